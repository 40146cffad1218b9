/*
 * Random histories of a source, sections from random bases, carried in any
 * order, twice or not at all, over a hub to targets, with restored backups in
 * between: everything ends at the source's root.
 *
 * SEED=n repeats a run, ROUNDS=n changes how many there are.
 */
#include "tests/unit/replica_fixture.h"

#define OBJECTS 60
#define RECEIVERS 3 /* 0 is the hub, the others are its targets */
#define HISTORY 400
#define POOL 24
#define STEPS 70

static uint64_t random_state;

/* splitmix64: small, and the same everywhere. */
static uint32_t
random_below(uint32_t limit)
{
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((x ^ (x >> 31)) % limit);
}

/* What the directory of the source holds: 0 is absent. */
static uint32_t directory[OBJECTS];
static uint32_t generation;
static int64_t now;
static struct replica *source, *receivers[RECEIVERS];
static struct replica_state history[HISTORY]; /* every state of the source */
static size_t history_count;
static struct fixture_message pool[POOL];
static size_t pool_count;
static struct buf backups[1 + RECEIVERS];

static const char *
name_of(int who)
{
	static const char *const names[] = {"r0.db", "r1.db", "r2.db", "s.db"};

	return names[who < 0 ? RECEIVERS : who];
}

static struct replica **
handle_of(int who)
{
	return who < 0 ? &source : &receivers[who];
}

/* Tests run thousands of commits: no disk needs to survive them. */
static void
open_one(int who)
{
	*handle_of(who) = fixture_open(name_of(who));
	OK(db_exec(
	    (*handle_of(who))->db, "PRAGMA synchronous = OFF", &fixture_err));
}

static void
change_directory(void)
{
	uint32_t changes = random_below(4) == 0 ? OBJECTS : random_below(6);

	for (uint32_t i = 0; i < changes; i++) {
		uint32_t which = random_below(OBJECTS);

		directory[which] =
		    random_below(3) == 0 ? 0 : 1 + random_below(generation++);
	}
}

static void
put_present(struct replica_intake *intake, uint32_t number)
{
	struct id id = fixture_id(number);

	if (directory[number] != 0)
		OK(replica_intake_put(intake, &id,
		    fixture_body(number, directory[number]), &fixture_err));
}

static void
take_in(bool force)
{
	enum replica_intake_mode mode =
	    random_below(2) == 0 ? REPLICA_FULL : REPLICA_TOUCHED;
	uint64_t before = state_of(source).version;
	struct replica_intake *intake;
	struct replica_changes changes;

	now += random_below(5);
	OK(replica_intake_begin(source, mode, &intake, &fixture_err));
	for (uint32_t i = 0; i < OBJECTS; i++) {
		struct id id = fixture_id(i);

		put_present(intake, i);
		if (directory[i] == 0 && mode == REPLICA_TOUCHED)
			OK(replica_intake_delete(intake, &id, &fixture_err));
	}
	OK(replica_intake_finish(intake, now, force, &changes, &fixture_err));
	if (state_of(source).version > before) {
		assert_true(history_count < HISTORY);
		history[history_count++] = state_of(source);
	}
}

/* Every state of anyone is one that the source once had, with its content. */
static void
assert_known(struct replica *replica)
{
	struct replica_state state = state_of(replica);

	fixture_verify(replica);
	if (state.version == 0)
		return;
	for (size_t i = 0; i < history_count; i++) {
		if (history[i].version == state.version &&
		    history[i].count == state.count &&
		    memcmp(history[i].root, state.root, 32) == 0)
			return;
	}
	fail_msg("a state that the source never had");
}

/* A section of from for nobody in particular, base chosen at random among what
 * it recorded. */
static void
make_message(struct replica *from)
{
	struct replica_state state = state_of(from);
	struct fixture_message *message;
	uint64_t base = 0;
	char name[20];

	if (state.version == 0)
		return;
	if (random_below(4) != 0) {
		const struct replica_state *old =
		    &history[random_below((uint32_t)history_count)];
		bool recorded;

		OK(replica_recorded(
		    from, old->version, old->root, &recorded, &fixture_err));
		if (recorded && old->version < state.version)
			base = old->version;
	}
	message = &pool[pool_count < POOL ? pool_count++ : random_below(POOL)];
	snprintf(name, sizeof(name), "m%zu", (size_t)(message - pool));
	*message = fixture_section(from, base, name);
	message->manifest.issued_at = now;
}

/* With no restore in the game, only order can be wrong. */
static int
deliver(struct replica *to, const struct fixture_message *message, bool strict)
{
	struct replica_state before = state_of(to);
	int rc = fixture_apply(to, message);

	assert_known(to);
	assert_true(state_of(to).version >= before.version);
	if (rc == 0) {
		assert_true(state_of(to).version == message->section.version);
		return 0;
	}
	assert_int_equal(state_of(to).version, before.version);
	if (strict && fixture_err.code != CHECK_STREAM_OLDER &&
	    fixture_err.code != CHECK_SECTION_GAP)
		fail_msg("code %d: %s", fixture_err.code, fixture_err.message);
	return -1;
}

static void
back_up(int who)
{
	replica_close(*handle_of(who));
	buf_reset(&backups[who + 1]);
	OK(fsio_read(
	    fixture_path(name_of(who)), &backups[who + 1], &fixture_err));
	open_one(who);
}

static void
restore(int who)
{
	if (backups[who + 1].len == 0)
		return;
	replica_close(*handle_of(who));
	OK(fsio_write(fixture_path(name_of(who)), buf_slice(&backups[who + 1]),
	    0600, &fixture_err));
	open_one(who);
}

/* One exchange as the programs do it: the receiver says what it holds, the
 * sender starts from there. */
static void
exchange(struct replica *from, struct replica *to)
{
	struct replica_state held = state_of(to);
	struct fixture_message message;
	uint64_t base;
	bool fresh;

	if (state_of(from).version == 0)
		return;
	OK(replica_base_choose(
	    from, held.version, held.root, &base, &fixture_err));
	if (base == state_of(from).version) {
		fixture_manifest(from, now, &message.manifest);
		(void)!replica_refresh(to, &message.manifest,
		    SLICE_LIT("signed"), &fresh, &fixture_err);
		return;
	}
	message = fixture_section(from, base, "exchange");
	message.manifest.issued_at = now;
	deliver(to, &message, false);
}

/* The clock has outrun all versions by now, and the directory's next change
 * makes one. Needed only when source and hub were both restored, so that
 * nobody they listen to knows of the newer state that a target holds. */
static void
let_time_pass(void)
{
	for (size_t i = 0; i < history_count; i++) {
		if (now <= (int64_t)history[i].version)
			now = (int64_t)history[i].version + 1;
	}
	take_in(true);
}

static void
converge(void)
{
	/* A source that was restored learns from the acknowledgement that it
	 * has to go on above its past. */
	for (int i = 0; i < 4; i++) {
		struct replica_state held = state_of(receivers[0]);
		bool recorded;

		OK(replica_recorded(
		    source, held.version, held.root, &recorded, &fixture_err));
		if (!recorded && held.version >= state_of(source).version) {
			if (now <= (int64_t)held.version)
				now = (int64_t)held.version + 1;
			take_in(true);
		}
		exchange(source, receivers[0]);
		for (int r = 1; r < RECEIVERS; r++)
			exchange(receivers[0], receivers[r]);
	}
	for (int r = 0; r < RECEIVERS; r++) {
		assert_int_equal(
		    state_of(receivers[r]).version, state_of(source).version);
		assert_memory_equal(
		    state_of(receivers[r]).root, state_of(source).root, 32);
		assert_known(receivers[r]);
	}
}

static void
step(bool restores)
{
	int who = (int)random_below(RECEIVERS + 1) - 1;

	switch (random_below(restores ? 8 : 6)) {
	case 0:
	case 1:
		change_directory();
		take_in(random_below(8) == 0);
		break;
	case 2:
		make_message(*handle_of((int)random_below(2) - 1));
		break;
	case 3:
	case 4:
		if (pool_count > 0)
			deliver(receivers[random_below(RECEIVERS)],
			    &pool[random_below((uint32_t)pool_count)],
			    !restores);
		break;
	case 5:
		if (random_below(4) == 0)
			OK(replica_purge(*handle_of(who),
			    history_count == 0
				? 0
				: history[random_below((uint32_t)history_count)]
				      .version,
			    &fixture_err));
		break;
	case 6:
		back_up(who);
		break;
	case 7:
		if (random_below(2) == 0)
			restore(who);
		break;
	}
}

static void
run(uint64_t seed, bool restores)
{
	random_state = seed;
	memset(directory, 0, sizeof(directory));
	generation = 1;
	now = 1000;
	history_count = 0;
	pool_count = 0;
	for (int who = -1; who < RECEIVERS; who++) {
		buf_init(&backups[who + 1], 1 << 24);
		/* Of a run that failed. */
		OK(fsio_unlink(fixture_path(name_of(who)), &fixture_err));
		open_one(who);
	}
	change_directory();
	take_in(true);
	for (int i = 0; i < STEPS; i++)
		step(restores);
	if (restores)
		let_time_pass();
	converge();
	for (int who = -1; who < RECEIVERS; who++) {
		replica_close(*handle_of(who));
		OK(fsio_unlink(fixture_path(name_of(who)), &fixture_err));
		buf_fini(&backups[who + 1]);
	}
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 0);
}

static void
run_many(bool restores)
{
	uint64_t rounds = number_of("ROUNDS", 40);
	uint64_t seed = 0;

	if (crypto_random(&seed, sizeof(seed), &fixture_err) < 0)
		fail();
	seed = number_of("SEED", seed >> 16);
	for (uint64_t i = 0; i < rounds; i++) {
		printf("# SEED=%llu ROUNDS=1%c", (unsigned long long)(seed + i),
		    i + 1 < rounds ? '\r' : '\n');
		fflush(stdout);
		run(seed + i, restores);
	}
}

static void
test_any_order(void **state)
{
	(void)state;
	run_many(false);
}

static void
test_restored(void **state)
{
	(void)state;
	run_many(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_order),
	    cmocka_unit_test(test_restored),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
