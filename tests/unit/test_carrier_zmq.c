/* The live link between real processes on loopback. */
#include "tests/unit/carrier_fixture.h"
#include "common/carrier/zmq_hub_internal.h"

static const size_t lens[] = {3 * 1024 * 1024 + 7, 1, 65536, 65537};

static void
test_both_ways(void **state)
{
	pid_t hub;
	struct fx_result r;
	int64_t start;

	(void)state;
	hub = fx_start_hub();
	fx_put(fx_spoke, "hub", "pub-1", lens, 4, 100);
	fx_put(fx_hub, "north", "bun-1", lens, 3, 200);
	fx_put(fx_hub, "north", "bun-2", NULL, 0, 300);
	r = fx_once(&fx_keys, 2, 20000);
	assert_string_equal(r.err.message, "");
	assert_int_equal(r.rc, 0);
	fx_expect(fx_hub, "north", "pub-1", lens, 4, 100);
	fx_expect(fx_spoke, "hub", "bun-1", lens, 3, 200);
	fx_expect(fx_spoke, "hub", "bun-2", NULL, 0, 300);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 0);
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_OUT), 0);
	assert_int_equal(r.counters.messages_in, 2);
	assert_int_equal(r.counters.messages_out, 1);
	assert_true(r.counters.bytes_in > lens[0] + 65536);
	assert_true(r.counters.bytes_in < lens[0] + 65536 + 2 * 1000 + 4000);
	/* Nothing to say costs next to nothing. */
	start = clock_mono_ms();
	r = fx_once(&fx_keys, 0, 5000);
	assert_true(clock_mono_ms() - start < 1000);
	print_message("idle exchange: %lld ms, %llu bytes\n",
	    (long long)(clock_mono_ms() - start),
	    (unsigned long long)(r.counters.bytes_in + r.counters.bytes_out));
	assert_int_equal(r.rc, 0);
	assert_true(r.counters.bytes_in + r.counters.bytes_out <= 32);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_ipv6(void **state)
{
	pid_t hub;

	(void)state;
	snprintf(fx_endpoint, sizeof(fx_endpoint), "tcp://[::1]:%d", fx_port());
	hub = fx_start_hub();
	fx_put(fx_spoke, "hub", "pub-1", lens, 1, 1);
	assert_int_equal(fx_once(&fx_keys, 0, 10000).rc, 0);
	fx_expect(fx_hub, "north", "pub-1", lens, 1, 1);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* Waits until the piece of the big blob in tmp has some bytes but not all. */
static bool
wait_part(const char *peer_dir)
{
	int64_t end = clock_mono_ms() + 10000;
	char *dir = fx_path(peer_dir);
	uint64_t used = 0;

	while (used < 512 * 1024 && clock_mono_ms() < end) {
		assert_int_equal(fsio_dir_usage(dir, &used, &fx_err), 0);
		if (used == 0)
			usleep(200);
	}
	free(dir);
	return used > 0;
}

/* Killed in the middle, either side: the rest follows, not all again. */
static void
resume(bool kill_hub, bool upload)
{
	static const size_t big[] = {48 * 1024 * 1024};
	struct fx_result r;
	pid_t hub = fx_start_hub(), spoke;
	const char *tmp = upload ? "hub/north/tmp" : "spoke/hub/tmp";
	char *dir = fx_path(tmp);
	uint64_t used = 0;
	int fd;

	assert_int_equal(spool_peer_add(fx_spoke, "hub", &fx_err), 0);
	if (upload)
		fx_put(fx_spoke, "hub", "pub-1", big, 1, 7);
	else
		fx_put(fx_hub, "north", "bun-1", big, 1, 7);
	spoke = fx_start_once(&fx_keys, upload ? 0 : 1, 30000, &fd);
	assert_true(wait_part(tmp));
	if (kill_hub) {
		fx_stop(hub, SIGKILL);
		usleep(100000);
		hub = fx_start_hub();
		assert_int_equal(read(fd, &r, sizeof(r)), sizeof(r));
		waitpid(spoke, NULL, 0);
	} else {
		fx_stop(spoke, SIGKILL);
		usleep(50000);
		assert_int_equal(fsio_dir_usage(dir, &used, &fx_err), 0);
		assert_true(used > 0 && used < big[0]);
		r = fx_once(&fx_keys, upload ? 0 : 1, 30000);
		/* Only what was missing crossed the wire again. */
		assert_true(
		    (upload ? r.counters.bytes_out : r.counters.bytes_in) <
		    big[0] - used + 16 * 65536);
	}
	assert_string_equal(r.err.message, "");
	assert_int_equal(r.rc, 0);
	if (upload)
		fx_expect(fx_hub, "north", "pub-1", big, 1, 7);
	else
		fx_expect(fx_spoke, "hub", "bun-1", big, 1, 7);
	assert_int_equal(fsio_dir_usage(dir, &used, &fx_err), 0);
	assert_int_equal(used, 0);
	close(fd);
	free(dir);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_resume_spoke_killed_up(void **state)
{
	(void)state;
	resume(false, true);
}

static void
test_resume_spoke_killed_down(void **state)
{
	(void)state;
	resume(false, false);
}

static void
test_resume_hub_killed_up(void **state)
{
	(void)state;
	resume(true, true);
}

static void
test_resume_hub_killed_down(void **state)
{
	(void)state;
	resume(true, false);
}

static void
expect_status(const char *text)
{
	char *path = fx_path("status.json");
	int64_t end = clock_mono_ms() + 6000;
	bool found = false;
	struct buf got;

	while (!found && clock_mono_ms() < end) {
		buf_init(&got, 1 << 20);
		if (fsio_read(path, &got, NULL) == 0)
			found = strstr(buf_cstr(&got), text) != NULL;
		buf_fini(&got);
		usleep(50000);
	}
	free(path);
	assert_true(found);
}

static void
test_unknown_key(void **state)
{
	struct keys stranger;
	struct fx_result r;
	pid_t hub;

	(void)state;
	fx_keypair(&stranger);
	hub = fx_start_hub();
	fx_put(fx_spoke, "hub", "pub-1", NULL, 0, 1);
	r = fx_once(&stranger, 0, 1500);
	assert_int_equal(r.rc, -1);
	assert_int_equal(r.err.class, ERR_TEMPORARY);
	assert_non_null(strstr(r.err.message, fx_endpoint));
	assert_non_null(strstr(r.err.message, "does not know our key"));
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_IN), 0);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 1);
	expect_status("\"refused_handshakes\":");
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* Who becomes a member while it knocks is let in without a restart. */
static void
test_admitted_later(void **state)
{
	pid_t hub, spoke;
	struct keys other;

	(void)state;
	fx_keypair(&other);
	fx_members_write(&other, "south");
	hub = fx_start_hub();
	fx_put(fx_spoke, "hub", "pub-1", NULL, 0, 1);
	spoke = fx_start_spoke(&fx_keys);
	usleep(300000);
	fx_members_write(&fx_keys, "north");
	assert_true(fx_wait(fx_hub, "north", SPOOL_IN, 1, 10000));
	assert_int_equal(fx_stop(spoke, SIGTERM), 0);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_wrong_hub(void **state)
{
	struct keys real = fx_hub_keys;
	struct fx_result r;
	pid_t hub;

	(void)state;
	hub = fx_start_hub();
	fx_keypair(&fx_hub_keys); /* what the spoke expects */
	r = fx_once(&fx_keys, 0, 1000);
	assert_int_equal(r.rc, -1);
	assert_int_equal(r.err.class, ERR_TEMPORARY);
	fx_hub_keys = real;
	assert_int_equal(fx_once(&fx_keys, 0, 5000).rc, 0);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_no_hub(void **state)
{
	int64_t start = clock_mono_ms();
	struct fx_result r;

	(void)state;
	r = fx_once(&fx_keys, 0, 700);
	assert_int_equal(r.rc, -1);
	assert_int_equal(r.err.class, ERR_TEMPORARY);
	assert_non_null(strstr(r.err.message, fx_endpoint));
	assert_true(clock_mono_ms() - start < 3000);
}

/* Revoked while connected: nothing of it is taken from that moment on, and
 * nothing is given. */
static void
test_revoked(void **state)
{
	pid_t hub, spoke;

	(void)state;
	hub = fx_start_hub();
	spoke = fx_start_spoke(&fx_keys);
	fx_put(fx_spoke, "hub", "pub-1", NULL, 0, 1);
	assert_true(fx_wait(fx_hub, "north", SPOOL_IN, 1, 10000));
	fx_members_write(NULL, NULL);
	usleep(400000);
	fx_put(fx_spoke, "hub", "pub-2", NULL, 0, 2);
	fx_put(fx_hub, "north", "bun-1", NULL, 0, 3);
	usleep(700000);
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_IN), 1);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_IN), 0);
	/* Let in again, both follow: it was the revocation. */
	fx_members_write(&fx_keys, "north");
	assert_true(fx_wait(fx_hub, "north", SPOOL_IN, 2, 20000));
	assert_true(fx_wait(fx_spoke, "hub", SPOOL_IN, 1, 20000));
	assert_int_equal(fx_stop(spoke, SIGTERM), 0);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* A waiting spoke gets what appears, at once and without asking. */
static void
test_told_at_once(void **state)
{
	pid_t hub, spoke;
	int64_t start;

	(void)state;
	hub = fx_start_hub();
	spoke = fx_start_spoke(&fx_keys);
	expect_status("\"connected\":true");
	start = clock_mono_ms();
	fx_put(fx_hub, "north", "bun-1", NULL, 0, 1);
	assert_true(fx_wait(fx_spoke, "hub", SPOOL_IN, 1, 5000));
	assert_true(clock_mono_ms() - start < 1000);
	start = clock_mono_ms();
	fx_put(fx_spoke, "hub", "ack-1", NULL, 0, 2);
	assert_true(fx_wait(fx_hub, "north", SPOOL_IN, 1, 5000));
	assert_true(clock_mono_ms() - start < 1000);
	assert_int_equal(fx_stop(spoke, SIGTERM), 0);
	expect_status("\"connected\":false");
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_quota(void **state)
{
	static const size_t big[] = {300 * 1024};
	struct fx_result r;
	pid_t hub;

	(void)state;
	fx_quota(200 * 1024, 0);
	hub = fx_start_hub();
	fx_put(fx_spoke, "hub", "pub-1", big, 1, 1);
	fx_put(fx_spoke, "hub", "pub-2", NULL, 0, 2);
	fx_put(fx_spoke, "hub", "say-1", NULL, 0, 3);
	r = fx_once(&fx_keys, 0, 1500);
	assert_int_equal(r.rc, -1);
	assert_non_null(strstr(r.err.message, "full"));
	/* Kept here, and none of its kind overtook it; others did. */
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 2);
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_IN), 1);
	fx_expect(fx_hub, "north", "say-1", NULL, 0, 3);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_quota_frees(void **state)
{
	static const size_t big[] = {120 * 1024};
	pid_t hub, spoke;

	(void)state;
	fx_quota(200 * 1024, 0);
	hub = fx_start_hub();
	spoke = fx_start_spoke(&fx_keys);
	fx_put(fx_spoke, "hub", "pub-1", big, 1, 1);
	fx_put(fx_spoke, "hub", "pub-2", big, 1, 2);
	assert_true(fx_wait(fx_hub, "north", SPOOL_IN, 1, 5000));
	usleep(200000);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 1);
	assert_int_equal(
	    spool_drop(fx_hub, "north", SPOOL_IN, "pub-1", &fx_err), 0);
	assert_true(fx_wait(fx_spoke, "hub", SPOOL_OUT, 0, 10000));
	fx_expect(fx_hub, "north", "pub-2", big, 1, 2);
	assert_int_equal(fx_stop(spoke, SIGTERM), 0);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_newcomer(void **state)
{
	static const size_t one[] = {1};
	struct fx_result r;
	pid_t hub;

	(void)state;
	fx_members_write(&fx_keys, "join-0011");
	hub = fx_start_hub();
	fx_put(fx_spoke, "hub", "join-1", NULL, 0, 1);
	fx_put(fx_hub, "join-0011", "welcome-1", lens, 1, 2);
	r = fx_once(&fx_keys, 1, 5000);
	assert_int_equal(r.rc, 0);
	fx_expect(fx_hub, "join-0011", "join-1", NULL, 0, 1);
	fx_expect(fx_spoke, "hub", "welcome-1", lens, 1, 2);
	/* Nothing with blobs, however small. */
	fx_put(fx_spoke, "hub", "pub-1", one, 1, 3);
	r = fx_once(&fx_keys, 0, 1000);
	assert_int_equal(r.rc, -1);
	assert_non_null(strstr(r.err.message, "larger than"));
	assert_int_equal(fx_count(fx_hub, "join-0011", SPOOL_IN), 1);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* The hub's file size limit stands for its full disk. */
static void
test_disk_full(void **state)
{
	static const size_t big[] = {1024 * 1024};
	struct rlimit old, small;
	struct fx_result r;
	pid_t hub;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	fx_put(fx_spoke, "hub", "pub-1", big, 1, 1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 256 * 1024;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	hub = fx_start_hub();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	r = fx_once(&fx_keys, 0, 1500);
	assert_int_equal(r.rc, -1);
	assert_non_null(strstr(r.err.message, "cannot write"));
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_IN), 0);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 1);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
	/* Room again: delivered. */
	hub = fx_start_hub();
	assert_int_equal(fx_once(&fx_keys, 0, 10000).rc, 0);
	fx_expect(fx_hub, "north", "pub-1", big, 1, 1);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* The message is replaced while its blob is under way. */
static void
test_replaced(void **state)
{
	static const size_t big[] = {32 * 1024 * 1024};
	pid_t hub, spoke;

	(void)state;
	hub = fx_start_hub();
	assert_int_equal(spool_peer_add(fx_spoke, "hub", &fx_err), 0);
	spoke = fx_start_spoke(&fx_keys);
	fx_put(fx_hub, "north", "bun-1", big, 1, 1);
	assert_true(wait_part("spoke/hub/tmp"));
	kill(spoke, SIGSTOP); /* else it may be through before we are */
	fx_put(fx_hub, "north", "bun-2", lens, 2, 9);
	assert_int_equal(
	    spool_drop(fx_hub, "north", SPOOL_OUT, "bun-1", &fx_err), 0);
	kill(spoke, SIGCONT);
	assert_true(fx_wait(fx_hub, "north", SPOOL_OUT, 0, 10000));
	fx_expect(fx_spoke, "hub", "bun-2", lens, 2, 9);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_IN), 1);
	assert_int_equal(fx_stop(spoke, SIGTERM), 0);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* The port is taken: the front says so and ends. */
static void
test_port_taken(void **state)
{
	pid_t hub = fx_start_hub(), second = fork();
	int status;

	(void)state;
	if (second == 0) {
		fx_child();
		log_init("test", 0);
		_exit(fx_run_hub(-1));
	}
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ERR_TEMPORARY);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_both_ways),
	    T(test_ipv6),
	    T(test_resume_spoke_killed_up),
	    T(test_resume_spoke_killed_down),
	    T(test_resume_hub_killed_up),
	    T(test_resume_hub_killed_down),
	    T(test_unknown_key),
	    T(test_admitted_later),
	    T(test_wrong_hub),
	    T(test_no_hub),
	    T(test_revoked),
	    T(test_told_at_once),
	    T(test_quota),
	    T(test_quota_frees),
	    T(test_newcomer),
	    T(test_disk_full),
	    T(test_replaced),
	    T(test_port_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
