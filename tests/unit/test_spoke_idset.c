/*
 * The set of ids against a plain array, in memory and beyond; that it stays
 * small; and what a full disk does to it.
 *
 * SEED=n repeats a run.
 */
#include "tests/unit/replica_fixture.h"

#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

#include "common/replica/db.h"
#include "spoke/export/choose/idset.h"

#define SMALL 3000
#define LARGE (4 * IDSET_MEMORY)
#define MANY 300000
/* Table, filter, cache and a sorted copy of the table. */
#define MEMORY_MAX ((size_t)3 << 20)

static uint64_t random_state;

/* splitmix64 */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint32_t
random_below(uint32_t limit)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(mix(random_state) % limit);
}

/* A GUID, or what a server that counts made of a clock. */
static struct id
id_of(uint32_t n, bool clock)
{
	uint64_t parts[2] = {mix(n + 1), mix(~(uint64_t)n)};
	struct id id;

	memcpy(id.bytes, parts, sizeof(id.bytes));
	if (clock) {
		memset(id.bytes, 7, sizeof(id.bytes));
		for (size_t i = 0; i < 4; i++)
			id.bytes[i] = (uint8_t)(n >> (24 - 8 * i));
	}
	return id;
}

/* What the set should be. */
struct model {
	bool clock;
	uint32_t universe;
	uint8_t there[LARGE];
	uint64_t value[LARGE];
	struct idset *set;
	struct id last;
	uint64_t count, told;
};

static struct model model;

static int
check_one(void *arg, const struct id *id, uint64_t value, struct err *err)
{
	struct model *m = arg;

	(void)err;
	if (m->told > 0)
		assert_true(id_compare(&m->last, id) < 0);
	m->last = *id;
	m->told++;
	if (m->clock) {
		uint32_t n = (uint32_t)id->bytes[0] << 24 |
			     (uint32_t)id->bytes[1] << 16 |
			     (uint32_t)id->bytes[2] << 8 | id->bytes[3];

		assert_true(n < m->universe && m->there[n]);
		assert_int_equal(value, m->value[n]);
	}
	return 0;
}

static void
check_get(uint32_t n)
{
	struct id id = id_of(n, model.clock);
	uint64_t value = 99;
	int rc = idset_get(model.set, &id, &value, &fixture_err);

	assert_int_equal(rc, model.there[n]);
	assert_int_equal(value, model.there[n] ? model.value[n] : 0);
}

static void
check_all(void)
{
	assert_int_equal(idset_count(model.set), model.count);
	model.told = 0;
	OK(idset_each(model.set, check_one, &model, &fixture_err));
	assert_int_equal(model.told, model.count);
	for (uint32_t n = 0; n < model.universe; n++)
		check_get(n);
}

static void
step(void)
{
	uint32_t n = random_below(model.universe);
	struct id id = id_of(n, model.clock);

	if (random_below(4) == 0) {
		check_get(n);
		return;
	}
	model.count += !model.there[n];
	model.there[n] = 1;
	model.value[n] = random_below(256) == 0 ? INT64_MAX : random_below(999);
	OK(idset_put(model.set, &id, model.value[n], &fixture_err));
}

static void
compare(uint32_t universe, bool clock, unsigned steps)
{
	memset(&model, 0, sizeof(model));
	model.universe = universe;
	model.clock = clock;
	model.set = idset_new();
	check_all();
	for (unsigned i = 1; i <= steps; i++) {
		step();
		if (i % (steps / 3) == 0)
			check_all();
	}
	idset_free(model.set);
}

/* Files without a name that are open below the scratch directory. */
static unsigned
files_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[300], to[300] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		if (readlink(path, to, sizeof(to) - 1) > 0)
			n += strncmp(to, fixture_dir, strlen(fixture_dir)) ==
				 0 &&
			     strstr(to, " (deleted)") != NULL;
	}
	closedir(dir);
	return n;
}

static void
test_small(void **state)
{
	(void)state;
	for (int clock = 0; clock < 2; clock++)
		compare(SMALL, clock, 12000);
	assert_int_equal(files_open(), 0);
}

static void
test_large(void **state)
{
	(void)state;
	for (int clock = 0; clock < 2; clock++)
		compare(LARGE, clock, 4 * LARGE);
}

/* At the very number where the table is full. */
static void
test_edge(void **state)
{
	struct idset *set = idset_new();

	(void)state;
	for (uint32_t n = 0; n < IDSET_MEMORY + 2; n++) {
		struct id id = id_of(n, true);

		for (uint64_t twice = 1; twice <= 2; twice++)
			OK(idset_put(set, &id, twice, &fixture_err));
		assert_int_equal(idset_count(set), n + 1);
	}
	for (uint32_t n = 0; n < IDSET_MEMORY + 2; n++) {
		struct id id = id_of(n, true);
		uint64_t value;

		assert_int_equal(idset_get(set, &id, &value, &fixture_err), 1);
		assert_int_equal(value, 2);
	}
	idset_free(set);
	idset_free(NULL);
}

/* Puts what stands above and below while it is told, as settling managers
 * does. */
static int
put_more(void *arg, const struct id *id, uint64_t value, struct err *err)
{
	struct model *m = arg;
	struct id more = id_of(LARGE + (uint32_t)m->told, false);

	(void)value;
	m->told++;
	return idset_put(m->set, &more, 9, err) < 0
		   ? -1
		   : idset_put(m->set, id, 8, err);
}

static void
test_put_meanwhile(void **state)
{
	static const uint32_t counts[] = {100, IDSET_MEMORY - 50, LARGE};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct idset *set = idset_new();

		model.set = set;
		model.told = 0;
		for (uint32_t n = 0; n < counts[i]; n++) {
			struct id id = id_of(n, false);

			OK(idset_put(set, &id, 1, &fixture_err));
		}
		OK(idset_each(set, put_more, &model, &fixture_err));
		assert_true(model.told >= counts[i]);
		for (uint32_t n = 0; n < counts[i]; n++) {
			struct id id = id_of(n, false);
			uint64_t value;

			OK(idset_get(set, &id, &value, &fixture_err));
			assert_int_equal(value, 8);
		}
		assert_true(idset_count(set) >= 2 * (uint64_t)counts[i]);
		idset_free(set);
	}
}

static int
stop_at_ten(void *arg, const struct id *id, uint64_t value, struct err *err)
{
	unsigned *told = arg;

	(void)id;
	(void)value;
	if (++*told < 10)
		return 0;
	return *told == 10 ? 1 : err_set(err, ERR_BAD_DATA, "eleven");
}

static void
test_stop(void **state)
{
	struct idset *set = idset_new();
	struct err err = {0};
	unsigned told = 0;

	(void)state;
	for (uint32_t n = 0; n < LARGE; n++) {
		struct id id = id_of(n, false);

		OK(idset_put(set, &id, 1, &fixture_err));
		if (n == 100 || n == LARGE - 1) {
			told = 0;
			assert_int_equal(
			    idset_each(set, stop_at_ten, &told, &err), 1);
			assert_int_equal(told, 10);
			assert_int_equal(
			    idset_each(set, stop_at_ten, &told, &err), -1);
			assert_string_equal(err.message, "eleven");
		}
	}
	idset_free(set);
}

static void
test_memory(void **state)
{
	size_t before = mallinfo2().uordblks, most = 0;
	struct idset *set = idset_new();

	(void)state;
	for (uint32_t n = 0; n < MANY; n++) {
		struct id id = id_of(n, false);

		OK(idset_put(set, &id, 1, &fixture_err));
		if (mallinfo2().uordblks - before > most)
			most = mallinfo2().uordblks - before;
	}
	assert_int_equal(idset_count(set), MANY);
	/* Out of sight, and beside the state. */
	assert_int_equal(files_open(), 1);
	idset_free(set);
	assert_int_equal(files_open(), 0);
#ifdef __SANITIZE_ADDRESS__
	skip(); /* the sanitizer's heap does not tell */
#endif
	assert_in_range(most, IDSET_MEMORY * 17, MEMORY_MAX);
}

/* Ends the child with 0 when the set said that the disk is full. */
static void
fill(void)
{
	struct idset *set = idset_new();
	struct err err = {0};
	uint64_t value;
	int rc = 0;

	for (uint32_t n = 0; rc == 0 && n < MANY; n++) {
		struct id id = id_of(n, false);

		rc = idset_put(set, &id, 1, &err);
		if (rc == 0)
			rc = idset_get(set, &id, &value, &err) < 0 ? -1 : 0;
	}
	idset_free(set);
	if (rc == 0 || err.class != ERR_IO)
		_exit(3);
	if (strstr(err.message, "disk full: temporary database in directory "
				"/tmp/test_replica.") == NULL) {
		fprintf(stderr, "%s\n", err.message);
		_exit(4);
	}
	_exit(0);
}

static void
expect_full(const struct rlimit *limit)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGXFSZ, SIG_IGN);
		if (limit != NULL && setrlimit(RLIMIT_FSIZE, limit) < 0)
			_exit(2);
		fill();
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void
test_full(void **state)
{
	const struct rlimit limit = {1 << 20, 1 << 20};

	(void)state;
	expect_full(&limit);
}

/* The same with a file system that is really full; needs root. */
static void
test_tmpfs_full(void **state)
{
	(void)state;
	OK(fsio_mkdirs(fixture_path("small"), &fixture_err));
	if (mount("galrelay-test", fixture_path("small"), "tmpfs", 0,
		"size=1m") < 0)
		skip();
	db_scratch_place(fixture_path("small"));
	expect_full(NULL);
	db_scratch_place(fixture_dir);
	assert_int_equal(umount2(fixture_path("small"), MNT_DETACH), 0);
}

/* Somebody who may not write there, as with galspoke count. */
static void
test_no_place(void **state)
{
	(void)state;
	db_scratch_place(fixture_path("absent"));
	compare(LARGE, true, LARGE);
	db_scratch_place(fixture_dir);
}

static int
setup(void **state)
{
	const char *seed = getenv("SEED");

	random_state = seed != NULL ? strtoull(seed, NULL, 10)
				    : (uint64_t)time(NULL) << 20 ^ getpid();
	printf("SEED=%llu\n", (unsigned long long)random_state);
	if (fixture_setup(state) < 0)
		return -1;
	db_scratch_place(fixture_dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_small),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_edge),
	    cmocka_unit_test(test_put_meanwhile),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_tmpfs_full),
	    cmocka_unit_test(test_no_place),
	};

	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
