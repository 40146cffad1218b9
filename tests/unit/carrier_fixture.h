/* A hub's and a spoke's spool in a scratch directory, keys, real processes on
 * a free loopback port. */
#ifndef TESTS_UNIT_CARRIER_FIXTURE_H
#define TESTS_UNIT_CARRIER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/carrier/carrier.h"

struct keys {
	uint8_t public[32], secret[32];
};

static char fx_root[64];
static struct spool *fx_hub, *fx_spoke;
static struct keys fx_hub_keys, fx_keys;
static char fx_endpoint[64], *fx_members;
static struct err fx_err;
static uint64_t fx_hub_quota, fx_spoke_quota;

static inline void
fx_keypair(struct keys *out)
{
	char public[41], secret[41];

	assert_int_equal(zmq_curve_keypair(public, secret), 0);
	assert_non_null(zmq_z85_decode(out->public, public));
	assert_non_null(zmq_z85_decode(out->secret, secret));
}

static inline char *
fx_path(const char *name)
{
	return mem_printf("%s/%s", fx_root, name);
}

/* A port that nobody uses at the moment. */
static inline int
fx_port(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* name NULL: nobody is a member. */
static inline void
fx_members_write(const struct keys *keys, const char *name)
{
	struct buf text;

	buf_init(&text, 4096);
	if (name != NULL) {
		buf_add_hex(&text, slice_make(keys->public, 32));
		buf_addf(&text, " %s\n", name);
	}
	assert_int_equal(
	    fsio_write(fx_members, buf_slice(&text), 0600, &fx_err), 0);
	buf_fini(&text);
}

static inline int
fx_setup(void **state)
{
	char *hub, *spoke;

	(void)state;
	memset(&fx_err, 0, sizeof(fx_err));
	log_init("test", LOG_LEVEL_ERROR);
	snprintf(fx_root, sizeof(fx_root), "/tmp/galr-carrier-XXXXXX");
	assert_non_null(mkdtemp(fx_root));
	hub = fx_path("hub");
	spoke = fx_path("spoke");
	assert_int_equal(spool_open(hub, fx_hub_quota, &fx_hub, &fx_err), 0);
	assert_int_equal(
	    spool_open(spoke, fx_spoke_quota, &fx_spoke, &fx_err), 0);
	free(hub);
	free(spoke);
	fx_keypair(&fx_hub_keys);
	fx_keypair(&fx_keys);
	fx_members = fx_path("members");
	fx_members_write(&fx_keys, "north");
	snprintf(
	    fx_endpoint, sizeof(fx_endpoint), "tcp://127.0.0.1:%d", fx_port());
	return 0;
}

static inline int
fx_teardown(void **state)
{
	(void)state;
	spool_close(fx_hub);
	spool_close(fx_spoke);
	fx_hub = fx_spoke = NULL;
	free(fx_members);
	fx_hub_quota = fx_spoke_quota = 0;
	return fsio_remove_tree(fx_root, NULL);
}

/* Other spools under the same roots. */
static inline void
fx_quota(uint64_t hub_quota, uint64_t spoke_quota)
{
	char *hub = fx_path("hub"), *spoke = fx_path("spoke");

	spool_close(fx_hub);
	spool_close(fx_spoke);
	assert_int_equal(spool_open(hub, hub_quota, &fx_hub, &fx_err), 0);
	assert_int_equal(spool_open(spoke, spoke_quota, &fx_spoke, &fx_err), 0);
	free(hub);
	free(spoke);
}

static inline void
fx_child(void)
{
	struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	alarm(120); /* outlives no test run */
}

static inline int
fx_run_hub(int ready)
{
	char *status = fx_path("status.json");
	struct carrier_zmq_hub_options o = {.endpoint = fx_endpoint,
	    .curve_public = fx_hub_keys.public,
	    .curve_secret = fx_hub_keys.secret,
	    .members_path = fx_members,
	    .spool = fx_hub,
	    .status_path = status};
	struct err err = {0};
	int rc = carrier_zmq_hub_run(&o, ready, &err);

	if (rc < 0)
		log_err(&err, "hub");
	free(status);
	return rc < 0 ? (int)err.class : 0;
}

/* Forks a hub and waits until it is ready; 0 when it was not. */
static inline pid_t
fx_start_hub(void)
{
	int ready[2];
	char byte;
	pid_t pid;
	ssize_t n;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fx_child();
		close(ready[0]);
		_exit(fx_run_hub(ready[1]));
	}
	close(ready[1]);
	n = read(ready[0], &byte, 1);
	close(ready[0]);
	assert_int_equal(n, 1);
	return pid;
}

static inline int
fx_stop(pid_t pid, int sig)
{
	int status;

	kill(pid, sig);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void
fx_spoke_options(struct carrier_zmq_spoke_options *o, const struct keys *keys)
{
	memset(o, 0, sizeof(*o));
	o->endpoint = fx_endpoint;
	o->hub_curve_public = fx_hub_keys.public;
	o->curve_public = keys->public;
	o->curve_secret = keys->secret;
	o->spool = fx_spoke;
	o->peer = "hub";
}

/* What a child reports of one exchange. */
struct fx_result {
	int rc;
	struct carrier_counters counters;
	struct err err;
};

static inline pid_t
fx_start_once(
    const struct keys *keys, unsigned expect, int64_t deadline, int *out_fd)
{
	struct carrier_zmq_spoke_options o;
	struct fx_result r = {0};
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(fds[1]);
		*out_fd = fds[0];
		return pid;
	}
	fx_child();
	fx_spoke_options(&o, keys);
	o.once = true;
	o.deadline_ms = deadline;
	o.expect_messages = expect;
	r.rc = carrier_zmq_spoke_run(&o, &r.counters, &r.err);
	_exit(write(fds[1], &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1);
}

/* One exchange in a process of its own. */
static inline struct fx_result
fx_once(const struct keys *keys, unsigned expect, int64_t deadline)
{
	struct fx_result r = {0};
	int fd;
	pid_t pid = fx_start_once(keys, expect, deadline, &fd);

	assert_int_equal(read(fd, &r, sizeof(r)), sizeof(r));
	close(fd);
	waitpid(pid, NULL, 0);
	return r;
}

static inline pid_t
fx_start_spoke(const struct keys *keys)
{
	struct carrier_zmq_spoke_options o;
	struct err err = {0};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	fx_child();
	fx_spoke_options(&o, keys);
	if (carrier_zmq_spoke_run(&o, NULL, &err) < 0) {
		log_err(&err, "spoke");
		_exit(1);
	}
	_exit(0);
}

/* Bytes that depend on seed; the caller frees them. */
static inline struct slice
fx_bytes(size_t len, unsigned seed)
{
	uint8_t *p = mem_alloc(len + 1);
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)(x >> 24);
	}
	return slice_make(p, len);
}

/* Puts an envelope and blobs of these lengths, all derived from seed. */
static inline void
fx_put(struct spool *spool, const char *peer, const char *name,
    const size_t *lens, size_t count, unsigned seed)
{
	struct spool_blob blobs[16];
	const char *paths[16];
	struct slice envelope = fx_bytes(1000, seed);

	assert_true(count <= 16);
	for (size_t i = 0; i < count; i++) {
		struct slice s = fx_bytes(lens[i], seed + 1 + (unsigned)i);

		paths[i] = mem_printf("%s/source-%u-%zu", fx_root, seed, i);
		assert_int_equal(fsio_write(paths[i], s, 0600, &fx_err), 0);
		assert_int_equal(EVP_Digest(s.data, s.len, blobs[i].sha256,
				     NULL, EVP_sha256(), NULL),
		    1);
		blobs[i].length = lens[i];
		free((void *)(uintptr_t)s.data);
	}
	assert_int_equal(spool_put(spool, peer, SPOOL_OUT,
			     &(struct spool_put){.name = name,
				 .envelope = envelope,
				 .blobs = blobs,
				 .blob_paths = paths,
				 .blob_count = count},
			     &fx_err),
	    0);
	for (size_t i = 0; i < count; i++) {
		(void)unlink(paths[i]);
		free((void *)(uintptr_t)paths[i]);
	}
	free((void *)(uintptr_t)envelope.data);
}

static inline void
fx_expect_file(const char *path, size_t len, unsigned seed)
{
	struct slice want = fx_bytes(len, seed);
	struct buf got;

	buf_init(&got, 1 << 28);
	assert_int_equal(fsio_read(path, &got, &fx_err), 0);
	assert_true(slice_equal(buf_slice(&got), want));
	buf_fini(&got);
	free((void *)(uintptr_t)want.data);
}

/* The message after m. */
static inline int
fx_next(struct spool *spool, const char *peer, enum spool_box box,
    struct spool_message *m)
{
	char after[SPOOL_NAME_SIZE];

	memcpy(after, m->name, sizeof(after));
	spool_message_fini(m);
	return spool_next(spool, peer, box, after, m, &fx_err);
}

/* The in box holds exactly what fx_put put with these arguments. */
static inline void
fx_expect(struct spool *spool, const char *peer, const char *name,
    const size_t *lens, size_t count, unsigned seed)
{
	struct spool_message m = {0};
	char *path;

	assert_int_equal(
	    spool_next(spool, peer, SPOOL_IN, NULL, &m, &fx_err), 1);
	while (strcmp(m.name, name) != 0)
		assert_int_equal(fx_next(spool, peer, SPOOL_IN, &m), 1);
	assert_int_equal(m.blob_count, count);
	path = spool_message_path(spool, peer, SPOOL_IN, name);
	fx_expect_file(path, 1000, seed);
	free(path);
	for (size_t i = 0; i < count; i++) {
		path =
		    spool_blob_path(spool, peer, SPOOL_IN, m.blobs[i].sha256);
		fx_expect_file(path, lens[i], seed + 1 + (unsigned)i);
		free(path);
	}
	spool_message_fini(&m);
}

static inline size_t
fx_count(struct spool *spool, const char *peer, enum spool_box box)
{
	struct spool_message m = {0};
	size_t n = 0;

	while (fx_next(spool, peer, box, &m) > 0)
		n++;
	spool_message_fini(&m);
	return n;
}

/* Waits until a box has that many messages. */
static inline bool
fx_wait(struct spool *spool, const char *peer, enum spool_box box, size_t n,
    int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	while (clock_mono_ms() < end) {
		if (fx_count(spool, peer, box) == n)
			return true;
		usleep(5000);
	}
	return false;
}

#endif
