/* The guard between plan and apply: how many, how much of it, and which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/fsio.h"
#include "common/wire/crypto.h"
#include "spoke/import/guard.h"

static char dir[64];
static struct importdb *db;
static struct import_policy policy = {
    .name = "partners", .max_delete_percent = 10, .max_delete_count = 50};
static struct plan_stream streams[2];
static struct plan_input input = {
    .policy = &policy, .streams = streams, .stream_count = 2};
static struct import_result result;
static struct err err;

#define OK(x)                                                                  \
	do {                                                                   \
		if ((x) < 0)                                                   \
			fail_msg("%s", err.message);                           \
	} while (0)

static int
setup(void **state)
{
	char path[96];

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/galr-guard-XXXXXX");
	OK(crypto_init(&err));
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/import.db", dir);
	OK(importdb_open(path, &db, &err));
	input.db = db;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	importdb_close(db);
	return fsio_remove_tree(dir, &err);
}

/* A plan in which each stream loses so many of its contacts, from the object
 * number given on, and gains one. */
static void
plan(size_t stream, uint64_t deletions, uint64_t contacts, unsigned first)
{
	struct plan_stream *s = &streams[stream];
	struct importdb_change change = {.op = IMPORTDB_DELETE,
	    .member = "NORTH",
	    .stream = stream == 0 ? "staff" : "extra",
	    .dn = "cn=x"};
	uint64_t i;

	*s = (struct plan_stream){.member = change.member,
	    .stream = change.stream,
	    .selected = true,
	    .contacts = contacts,
	    .deletions = deletions};
	for (i = 0; i < deletions; i++) {
		unsigned number = first + (unsigned)i;

		change.object.bytes[0] = (uint8_t)(number >> 8);
		change.object.bytes[1] = (uint8_t)number;
		OK(importdb_plan_put(db, &change, &err));
	}
	change.op = IMPORTDB_ADD;
	OK(importdb_plan_put(db, &change, &err));
}

static unsigned
left(enum importdb_op op, const char *stream)
{
	struct importdb_change change;
	uint64_t after = 0;
	unsigned n = 0;
	int rc;

	while ((rc = importdb_plan_next(db, op, after, &change, &err)) > 0) {
		after = change.seq;
		n += strcmp(change.stream, stream) == 0;
	}
	OK(rc);
	return n;
}

/* One plan as a run makes it; gives how many streams were held. */
static uint64_t
check(uint64_t deletions, uint64_t contacts, unsigned first)
{
	uint64_t other = policy.max_delete_count == 0 ? 0 : 3;

	memset(&result, 0, sizeof(result));
	OK(importdb_begin(db, &err));
	OK(importdb_plan_clear(db, &err));
	plan(0, deletions, contacts, first);
	plan(1, other, 1000, 5000);
	OK(guard_check(&input, &result, &err));
	OK(importdb_commit(db, &err));
	/* The other stream is never touched. */
	assert_int_equal(left(IMPORTDB_DELETE, "extra"), other);
	assert_int_equal(left(IMPORTDB_ADD, "extra"), 1);
	assert_int_equal(left(IMPORTDB_DELETE, "staff"),
	    result.held_streams > 0 ? 0 : deletions);
	assert_int_equal(
	    left(IMPORTDB_ADD, "staff"), result.held_streams > 0 ? 0 : 1);
	return result.held_streams;
}

static void
test_limits(void **state)
{
	(void)state;
	/* The count alone never holds while it is not exceeded. */
	assert_int_equal(check(50, 50, 0), 0);
	assert_int_equal(check(50, 499, 0), 0);
	assert_int_equal(check(51, 51, 0), 1);
	/* Ten per cent exactly, and just above. */
	assert_int_equal(check(51, 510, 0), 0);
	assert_int_equal(check(51, 509, 0), 1);
	assert_int_equal(check(100, 1000, 0), 0);
	assert_int_equal(check(101, 1000, 0), 1);
	assert_int_equal(check(101, 1009, 0), 1);
	assert_int_equal(check(101, 1010, 0), 0);
	assert_int_equal(check(0, 0, 0), 0);
	policy.max_delete_percent = 0;
	policy.max_delete_count = 0;
	assert_int_equal(check(1, 1000000, 0), 1);
	assert_int_equal(check(0, 1000, 0), 0);
	policy.max_delete_percent = 100;
	assert_int_equal(check(1000, 1000, 0), 0);
	policy.max_delete_percent = 10;
	policy.max_delete_count = 50;
}

static uint64_t
release(void)
{
	uint64_t deletions = 0;

	OK(guard_release(db, &deletions, &err));
	return deletions;
}

static void
test_release_lets_exactly_these_through(void **state)
{
	uint64_t deletions;

	(void)state;
	assert_int_equal(check(60, 100, 0), 1);
	assert_non_null(strstr(result.held_text, "60 of 100"));
	assert_int_equal(guard_released(db, &err), 0);
	assert_int_equal(release(), 60);
	assert_int_equal(guard_released(db, &err), 1);
	assert_int_equal(check(60, 100, 0), 0);
	/* Once. */
	assert_int_equal(guard_released(db, &err), 0);
	assert_int_equal(check(60, 100, 0), 1);
	/* Others, as many: held again. */
	assert_int_equal(release(), 60);
	assert_int_equal(check(60, 100, 1), 1);
	/* And a released set that came too late is forgotten. */
	assert_int_equal(check(60, 100, 0), 1);
	assert_int_equal(release(), 60);
	assert_int_equal(check(61, 100, 0), 1);
	assert_int_equal(check(2, 100, 0), 0);
	assert_int_equal(guard_release(db, &deletions, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
}

/* A run that finds nothing new still says what is held. */
static void
test_holds_are_remembered(void **state)
{
	(void)state;
	assert_int_equal(check(60, 100, 0), 1);
	memset(&result, 0, sizeof(result));
	OK(guard_holds(db, &result, &err));
	assert_int_equal(result.held_streams, 1);
	assert_non_null(strstr(result.held_text, "NORTH/staff"));
	assert_int_equal(check(1, 100, 0), 0);
	memset(&result, 0, sizeof(result));
	OK(guard_holds(db, &result, &err));
	assert_int_equal(result.held_streams, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_limits),
	    TEST(test_release_lets_exactly_these_through),
	    TEST(test_holds_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
