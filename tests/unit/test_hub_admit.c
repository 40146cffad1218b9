/* What the hub takes in, and what it does not. */
#include <signal.h>
#include <sys/wait.h>
#include "common/base/process.h"
#include "tests/unit/hub_fixture.h"

static struct fx_spoke north, south;

static void
pair(void)
{
	fx_spoke_join(&north, "NORTH", "north.example");
	fx_spoke_join(&south, "SOUTH", "south.example");
	fx_ack(&south);
	fx_ack(&north);
	(void)fx_admit();
	(void)fx_publish();
	(void)fx_fetch(&north);
	(void)fx_fetch(&south);
	fx_people(&north, 40, 0, "", "north.example");
}

static void
pair_fini(void)
{
	fx_spoke_fini(&north);
	fx_spoke_fini(&south);
}

static void
stream_get(struct store_stream *out, const char *stream)
{
	OK(store_stream_get(fx_hub->store, "NORTH", stream, out, &fx_err));
	store_stream_fini(out);
}

static uint64_t
held_version(void)
{
	struct store_stream row;

	stream_get(&row, "staff");
	return row.version;
}

/* Runs the worker and hears what the source is told. */
static void
turn(void)
{
	(void)fx_admit();
	(void)fx_publish();
	(void)fx_fetch(&north);
}

static void
put_raw(const char *peer, const char *name, struct slice bytes)
{
	OK(spool_put(fx_hub->spool, peer, SPOOL_IN,
	    &(struct spool_put){.name = name, .envelope = bytes}, &fx_err));
}

static void
takes_in_and_answers(void **state)
{
	struct replica_state now;

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	replica_state(north.own, &now);
	assert_int_equal(north.hub_version, now.version);
	assert_memory_equal(north.hub_root, now.root, 32);
	assert_string_equal(north.hub_refusal, "");
	assert_int_equal(fx_box_count("NORTH", SPOOL_IN), 0);
	pair_fini();
}

static void
flipped_bits_are_refused(void **state)
{
	struct admit_result result;
	uint64_t before;
	size_t refused = 0;
	struct buf bytes;

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	before = held_version();
	buf_init(&bytes, LIMIT_ENVELOPE_BYTES);
	for (size_t i = 0; i < north.last_envelope.len; i += 7) {
		buf_reset(&bytes);
		buf_add(&bytes, buf_slice(&north.last_envelope));
		bytes.data[i] ^= 0x10;
		put_raw("NORTH", "pub-ffff", buf_slice(&bytes));
		result = fx_admit();
		refused += result.refused;
		assert_int_equal(result.messages, 0);
		assert_int_equal(fx_box_count("NORTH", SPOOL_IN), 0);
	}
	assert_true(refused > 50);
	assert_int_equal(held_version(), before);
	/* The next good one is taken in. */
	fx_people(&north, 41, 0, "z", "north.example");
	fx_publish_staff(&north);
	turn();
	assert_true(held_version() > before);
	buf_fini(&bytes);
	pair_fini();
}

static void
replays_are_dropped(void **state)
{
	struct buf first;
	uint64_t version;

	(void)state;
	pair();
	fx_publish_staff(&north);
	buf_init(&first, LIMIT_ENVELOPE_BYTES);
	buf_add(&first, buf_slice(&north.last_envelope));
	turn();
	/* The same again: answered again, nothing else. */
	put_raw("NORTH", "pub-1", buf_slice(&first));
	(void)fx_admit();
	assert_int_equal(fx_counter("duplicate"), 1);
	(void)fx_publish();
	assert_int_equal(fx_fetch(&north), 1);
	fx_people(&north, 41, 0, "z", "north.example");
	fx_publish_staff(&north);
	turn();
	version = held_version();
	put_raw("NORTH", "pub-1", buf_slice(&first));
	(void)fx_admit();
	assert_int_equal(fx_counter("late"), 1);
	assert_int_equal(held_version(), version);
	buf_fini(&first);
	pair_fini();
}

static void
only_its_own_name(void **state)
{
	char name[SPOOL_NAME_SIZE];
	struct buf copy;

	(void)state;
	pair();
	fx_publish_staff(&north);
	buf_init(&copy, LIMIT_ENVELOPE_BYTES);
	buf_add(&copy, buf_slice(&north.last_envelope));
	(void)snprintf(name, sizeof(name), "pub-%016llx",
	    (unsigned long long)north.last_publish);
	OK(spool_drop(fx_hub->spool, "NORTH", SPOOL_IN, name, &fx_err));
	/* Delivered by another member. */
	put_raw("SOUTH", "pub-1", buf_slice(&copy));
	assert_int_equal(fx_admit().refused, 1);
	assert_int_equal(fx_counter("role"), 1);
	assert_int_equal(held_version(), 0);
	/* A stream of another member, under that one's name and own key. */
	fx_publish_tuple(
	    &north, &(struct fx_tuple){.stream = "staff", .member = "SOUTH"});
	(void)fx_admit();
	assert_int_equal(
	    fx_counter("manifest-key") + fx_counter("manifest-fields"), 1);
	/* Its own, signed by another member's key. */
	fx_publish_tuple(&north, &(struct fx_tuple){.stream = "staff",
				     .sign = &south.keys.sign_active});
	(void)fx_admit();
	assert_int_equal(
	    fx_counter("manifest-key") + fx_counter("manifest-fields"), 2);
	buf_fini(&copy);
	pair_fini();
}

static void
one_bad_stream_blocks_nothing(void **state)
{
	struct store_stream row;

	(void)state;
	pair();
	fx_publish_tuple(
	    &north, &(struct fx_tuple){
			.stream = "bad", .section = true, .bad_root = true});
	fx_publish_staff(&north);
	turn();
	stream_get(&row, "bad");
	assert_int_equal(row.version, 0);
	assert_true(row.refusal[0] != '\0');
	assert_int_equal(fx_counter("root"), 1);
	assert_true(held_version() > 0);
	pair_fini();
}

static void
equivocation_is_refused(void **state)
{
	struct store_stream row;
	uint8_t root[32];

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	stream_get(&row, "staff");
	memcpy(root, row.root, 32);
	fx_publish_tuple(
	    &north, &(struct fx_tuple){.stream = "staff", .bad_root = true});
	turn();
	assert_int_equal(fx_counter("stream-equivocation"), 1);
	stream_get(&row, "staff");
	assert_memory_equal(row.root, root, 32);
	pair_fini();
}

static void
gap_heals(void **state)
{
	struct replica_state first, second;

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	replica_state(north.own, &first);
	fx_people(&north, 40, 0, "a", "north.example");
	replica_state(north.own, &second);
	fx_people(&north, 40, 0, "b", "north.example");
	/* A delta from what the hub never had. */
	fx_publish_tuple(&north,
	    &(struct fx_tuple){
		.stream = "staff", .section = true, .base = second.version});
	turn();
	assert_int_equal(fx_counter("section-gap"), 1);
	assert_int_equal(north.hub_version, first.version);
	assert_true(north.hub_refusal[0] != '\0');
	fx_publish_staff(&north);
	turn();
	assert_string_equal(north.hub_refusal, "");
	replica_state(north.own, &second);
	assert_int_equal(north.hub_version, second.version);
	pair_fini();
}

static void
foreign_is_forwarded_and_counted(void **state)
{
	struct store_stream row;

	(void)state;
	pair();
	fx_people(&north, 40, 2, "", "north.example");
	fx_publish_staff(&north);
	turn();
	(void)fx_fetch(&south);
	fx_assert_same(&north, &south);
	stream_get(&row, "staff");
	assert_int_equal(row.foreign, 2);
	/* One goes, by a delta. */
	fx_people(&north, 40, 1, "", "north.example");
	fx_publish_staff(&north);
	turn();
	stream_get(&row, "staff");
	assert_int_equal(row.foreign, 1);
	/* Other domains, counted anew. */
	OK(members_allot(fx_hub, "NORTH", "elsewhere.example", &fx_err));
	(void)fx_admit();
	stream_get(&row, "staff");
	assert_int_equal(row.foreign, 40);
	pair_fini();
}

static void
too_many_foreign_hold(void **state)
{
	struct store_stream row;
	struct replica_state now;
	uint64_t before;

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	before = held_version();
	fx_people(&north, 40, 10, "", "north.example");
	fx_publish_staff(&north);
	turn();
	assert_int_equal(held_version(), before);
	stream_get(&row, "staff");
	assert_true(row.held_version > before);
	assert_int_equal(row.held_foreign, 10);
	assert_int_equal(row.foreign, 0);
	assert_true(strncmp(north.hub_refusal, "held:", 5) == 0);
	assert_int_equal(fx_counter("foreign-limit"), 1);
	(void)fx_fetch(&south);
	/* The operator lets it through, without the source. */
	OK(admit_release(fx_hub, "NORTH", "staff", &fx_err));
	(void)fx_publish();
	(void)fx_fetch(&north);
	replica_state(north.own, &now);
	assert_int_equal(held_version(), now.version);
	assert_string_equal(north.hub_refusal, "");
	stream_get(&row, "staff");
	assert_int_equal(row.foreign, 10);
	assert_int_equal(row.held_version, 0);
	assert_int_equal(fx_fetch(&south), 1);
	fx_assert_same(&north, &south);
	assert_int_equal(admit_release(fx_hub, "NORTH", "staff", &fx_err), -1);
	pair_fini();
}

static void
clone_is_held(void **state)
{
	struct id one, two;
	uint64_t before;

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	before = held_version();
	one = north.instance;
	OK(id_random(&two, &fx_err));
	north.instance = two; /* moved, once: fine */
	fx_people(&north, 41, 0, "a", "north.example");
	fx_publish_staff(&north);
	turn();
	assert_true(held_version() > before);
	before = held_version();
	north.instance = one; /* and back: a clone */
	fx_people(&north, 42, 0, "b", "north.example");
	fx_publish_staff(&north);
	turn();
	assert_int_equal(held_version(), before);
	assert_non_null(strstr(north.hub_refusal, "alternate"));
	assert_int_equal(fx_counter("instance"), 1);
	OK(admit_release_member(fx_hub, "NORTH", &fx_err));
	(void)fx_publish();
	(void)fx_fetch(&north);
	assert_string_equal(north.hub_refusal, "");
	fx_publish_staff(&north);
	turn();
	assert_true(held_version() > before);
	pair_fini();
}

static void
clock_ahead_waits(void **state)
{
	struct admit_result result;
	uint64_t version;

	(void)state;
	pair();
	fx_publish_staff(&north);
	turn();
	version = held_version();
	fx_people(&north, 41, 0, "z", "north.example");
	north.clock = CLOCK_HOUR_MS;
	fx_publish_staff(&north);
	result = fx_admit();
	assert_int_equal(result.retry, 1);
	assert_int_equal(held_version(), version);
	assert_int_equal(fx_box_count("NORTH", SPOOL_IN), 1);
	/* The source hears of it, once. */
	(void)fx_publish();
	assert_int_equal(fx_fetch(&north), 1);
	assert_non_null(strstr(north.hub_refusal, "clock"));
	(void)fx_admit();
	assert_int_equal(fx_publish().bundles, 0);
	/* The clock is set right: the next one is taken in. */
	north.clock = 0;
	north.issued_at = 0;
	fx_publish_staff(&north);
	turn();
	assert_true(held_version() > version);
	assert_string_equal(north.hub_refusal, "");
	pair_fini();
}

/* The worker dies at any moment of a pass: the next one finds a state from
 * which everything arrives, once. */
static void
killed_passes_converge(void **state)
{
	struct fx_spoke *all[2] = {&north, &south};

	(void)state;
	pair();
	for (int round = 0; round < 12; round++) {
		char salt[16];
		pid_t pid;
		int status;

		(void)snprintf(salt, sizeof(salt), "r%d", round);
		fx_people(
		    &north, 200, round % 3 == 0 ? 2 : 0, salt, "north.example");
		fx_publish_staff(&north);
		hub_close(fx_hub);
		fx_hub = NULL;
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct publish_result published;
			struct admit_result admitted;

			if (hub_open(&fx_conf, HUB_WRITE, 1000, &fx_hub,
				&fx_err) < 0)
				_exit(1);
			(void)!admit_run(fx_hub, NULL, &admitted, &fx_err);
			(void)!publish_run(fx_hub, &published, &fx_err);
			_exit(0);
		}
		usleep((useconds_t)(1500 * (round + 1)));
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		OK(hub_open(&fx_conf, HUB_WRITE, 1000, &fx_hub, &fx_err));
		fx_settle(all, 2);
		fx_assert_same(&north, &south);
	}
	{
		struct store_stream row;

		/* Died between replica and hub.db or not: the count is right.
		 */
		(void)fx_admit();
		stream_get(&row, "staff");
		assert_int_equal(row.foreign, 0);
	}
	pair_fini();
}

static void
shell(const char *format, const char *a, const char *b)
{
	const char *argv[4] = {"/bin/sh", "-c", format, NULL};
	char *line = mem_printf("a=%s; b=%s; %s", a, b, format);
	struct buf out;
	int status;

	argv[2] = line;
	buf_init(&out, 65536);
	OK(process_run(argv, &out, 10000, &status, &fx_err));
	assert_int_equal(status, 0);
	buf_fini(&out);
	free(line);
}

static void
backup(void)
{
	hub_close(fx_hub);
	shell("cp -a $a $b/backup", fx_conf.state, fx_dir);
	OK(hub_open(&fx_conf, HUB_WRITE, 0, &fx_hub, &fx_err));
}

/* What serving again does: everybody is told what the hub holds. */
static void
restore(void)
{
	hub_close(fx_hub);
	shell("rm -r $a && mv $b/backup $a", fx_conf.state, fx_dir);
	OK(hub_open(&fx_conf, HUB_WRITE, 0, &fx_hub, &fx_err));
	OK(target_touch(fx_hub->store, NULL, true, &fx_err));
	(void)fx_publish();
}

/* The hub's state of last week comes back. */
static void
restored_hub_heals(void **state)
{
	struct fx_spoke *all[2] = {&north, &south};
	struct fx_spoke east;

	(void)state;
	pair();
	fx_publish_staff(&north);
	fx_settle(all, 2);
	backup();
	/* Since then: a new member, a new version, a new registry. */
	fx_spoke_join(&east, "EAST", "east.example");
	fx_people(&north, 45, 0, "later", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 2);
	assert_non_null(registry_find(south.registry, "EAST"));
	restore();
	assert_null(registry_find(fx_hub->registry, "EAST"));
	/* A target answers: it holds more than the hub, registry included. */
	assert_int_equal(fx_fetch(&south), 1);
	fx_ack_with(&south, south.registry->signed_bytes,
	    south.registry->version, NULL, 0);
	(void)fx_admit();
	(void)fx_publish();
	assert_non_null(registry_find(fx_hub->registry, "EAST"));
	assert_true(fx_hub->registry->version > south.registry->version);
	/* The source hears what is missing, and repeats it. */
	assert_true(fx_fetch(&north) >= 1);
	fx_publish_staff(&north);
	fx_settle(all, 2);
	fx_assert_same(&north, &south);
	fx_spoke_fini(&east);
	pair_fini();
}

/* The target has an object that the restored hub never saw, and that is gone
 * again: the hub's delta must say so. */
static void
restored_hub_knows_no_less(void **state)
{
	struct fx_spoke *all[2] = {&north, &south};
	uint64_t between;

	(void)state;
	pair();
	fx_publish_staff(&north);
	fx_settle(all, 2);
	backup();
	fx_people(&north, 45, 0, "", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 2);
	between = north.hub_version;
	restore();
	fx_people(&north, 42, 0, "", "north.example");
	(void)fx_fetch(&north);
	assert_true(north.hub_version < between);
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	(void)fx_fetch(&south);
	assert_int_equal(south.sections, 1);
	fx_assert_same(&north, &south);
	pair_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		takes_in_and_answers, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		flipped_bits_are_refused, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		replays_are_dropped, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		only_its_own_name, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		one_bad_stream_blocks_nothing, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		equivocation_is_refused, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(gap_heals, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		foreign_is_forwarded_and_counted, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		too_many_foreign_hold, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		clone_is_held, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		clock_ahead_waits, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		killed_passes_converge, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		restored_hub_heals, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		restored_hub_knows_no_less, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
