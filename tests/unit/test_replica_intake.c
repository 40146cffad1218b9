/* Taking a reading into the replica: whole, or what was touched. */
#include "tests/unit/replica_fixture.h"

static void
test_full_intake(void **state)
{
	struct replica *replica = fixture_open("full.db");
	struct replica_changes changes;

	(void)state;
	changes = fixture_fill(replica, 0, 300, 1, 1000);
	assert_changes(&changes, 300, 0, 0, 0);
	assert_int_equal(state_of(replica).version, 1000);
	assert_int_equal(state_of(replica).floor, 0);
	fixture_verify(replica);
	changes = fixture_fill(replica, 0, 300, 1, 2000);
	assert_changes(&changes, 0, 0, 0, 300);
	assert_int_equal(state_of(replica).version, 1000);
	/* 100 leave, 50 come; the clock stood still. */
	changes = fixture_fill(replica, 100, 350, 1, 1000);
	assert_changes(&changes, 50, 0, 100, 200);
	assert_int_equal(state_of(replica).version, 1001);
	fixture_verify(replica);
	/* They come back, all others change. */
	changes = fixture_fill(replica, 0, 350, 2, 3000);
	assert_changes(&changes, 100, 250, 0, 0);
	fixture_verify(replica);
	/* All leave: more than one batch of the sweep in a larger one below. */
	changes = fixture_fill(replica, 0, 0, 0, 4000);
	assert_changes(&changes, 0, 0, 350, 0);
	assert_int_equal(state_of(replica).count, 0);
	fixture_verify(replica);
	changes = fixture_fill(replica, 0, 3000, 1, 5000);
	assert_changes(&changes, 3000, 0, 0, 0);
	changes = fixture_fill(replica, 2999, 3000, 1, 6000);
	assert_changes(&changes, 0, 0, 2999, 1);
	fixture_verify(replica);
	replica_close(replica);
	replica = fixture_open("full.db");
	assert_int_equal(state_of(replica).version, 6000);
	fixture_verify(replica);
	replica_close(replica);
}

/* Ids in order, as many as there are in text. */
static int
gone_take(void *arg, const struct id *id, struct err *err)
{
	struct buf *text = arg;

	(void)err;
	buf_add(text, id_slice(id));
	return 0;
}

static void
assert_gone(struct replica_intake *intake, const struct id *ids, size_t count)
{
	struct buf gone;

	buf_init(&gone, 4096);
	OK(replica_intake_gone(intake, gone_take, &gone, &fixture_err));
	assert_int_equal(gone.len, count * ID_LEN);
	for (size_t i = 0; i < count; i++)
		assert_memory_equal(
		    gone.data + i * ID_LEN, ids[i].bytes, ID_LEN);
	buf_fini(&gone);
}

/* Which they are is the same either way, and earlier tombstones are none. */
static void
test_gone(void **state)
{
	struct replica *replica = fixture_open("gone.db");
	struct id two[] = {fixture_id(1), fixture_id(2)};
	struct replica_intake *intake;
	struct replica_changes changes;

	(void)state;
	if (id_compare(&two[0], &two[1]) > 0) {
		two[1] = two[0];
		two[0] = fixture_id(2);
	}
	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	assert_gone(intake, NULL, 0);
	replica_intake_abort(intake);
	fixture_fill(replica, 0, 5, 1, 1000);
	OK(replica_intake_begin(
	    replica, REPLICA_TOUCHED, &intake, &fixture_err));
	OK(replica_intake_delete(intake, &two[1], &fixture_err));
	OK(replica_intake_delete(intake, &two[0], &fixture_err));
	assert_gone(intake, two, 2);
	replica_intake_abort(intake);
	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	for (unsigned i = 0; i < 5; i++) {
		struct id id = fixture_id(i);

		if (i != 1 && i != 2)
			OK(replica_intake_put(
			    intake, &id, SLICE_LIT("new"), &fixture_err));
	}
	assert_gone(intake, two, 2);
	OK(replica_intake_finish(intake, 2000, false, &changes, &fixture_err));
	assert_changes(&changes, 0, 3, 2, 0);
	OK(replica_intake_begin(
	    replica, REPLICA_TOUCHED, &intake, &fixture_err));
	assert_gone(intake, NULL, 0);
	replica_intake_abort(intake);
	replica_close(replica);
}

static void
test_touched_intake(void **state)
{
	struct replica *replica = fixture_open("touched.db");
	struct id one = fixture_id(1), two = fixture_id(2),
		  new = fixture_id(77);
	struct id absent = fixture_id(99);
	struct replica_intake *intake;
	struct replica_changes changes;
	struct buf buf;

	(void)state;
	fixture_fill(replica, 0, 10, 1, 1000);
	OK(replica_intake_begin(
	    replica, REPLICA_TOUCHED, &intake, &fixture_err));
	OK(replica_intake_put(intake, &one, SLICE_LIT("n"), &fixture_err));
	OK(replica_intake_put(intake, &new, SLICE_LIT("m"), &fixture_err));
	OK(replica_intake_delete(intake, &two, &fixture_err));
	OK(replica_intake_delete(intake, &two, &fixture_err));
	OK(replica_intake_delete(intake, &absent, &fixture_err));
	OK(replica_intake_preview(intake, &changes, &fixture_err));
	assert_changes(&changes, 1, 1, 1, 8);
	/* Nothing is visible before finish. */
	assert_int_equal(fixture_root(replica, (uint8_t[32]){0}), 10);
	OK(replica_intake_finish(intake, 1, false, &changes, &fixture_err));
	assert_changes(&changes, 1, 1, 1, 8);
	assert_int_equal(state_of(replica).version, 1001);
	fixture_verify(replica);
	buf_init(&buf, 100);
	assert_int_equal(replica_get(replica, &one, &buf, &fixture_err), 1);
	assert_string_equal(buf_cstr(&buf), "n");
	assert_int_equal(replica_get(replica, &two, &buf, &fixture_err), 0);
	assert_int_equal(replica_get(replica, &absent, &buf, &fixture_err), 0);
	buf_fini(&buf);
	/* A tombstone comes back to life. */
	OK(replica_intake_begin(
	    replica, REPLICA_TOUCHED, &intake, &fixture_err));
	OK(replica_intake_put(intake, &two, SLICE_LIT("back"), &fixture_err));
	OK(replica_intake_finish(intake, 1, false, &changes, &fixture_err));
	assert_changes(&changes, 1, 0, 0, 10);
	fixture_verify(replica);
	/* Forced: another version of the same. */
	OK(replica_intake_begin(
	    replica, REPLICA_TOUCHED, &intake, &fixture_err));
	OK(replica_intake_finish(intake, 9000, true, &changes, &fixture_err));
	assert_int_equal(state_of(replica).version, 9000);
	fixture_verify(replica);
	replica_close(replica);
}

/* Puts an id twice, into a new file (twice at the end) or an existing one. */
static void
put_twice(struct replica *replica, enum replica_intake_mode mode)
{
	struct replica_state before = state_of(replica);
	struct id id = fixture_id(500), other = fixture_id(501);
	struct replica_intake *intake;
	struct replica_changes changes;
	int rc;

	OK(replica_intake_begin(replica, mode, &intake, &fixture_err));
	OK(replica_intake_put(intake, &id, SLICE_LIT("one"), &fixture_err));
	rc = replica_intake_put(intake, &id, SLICE_LIT("two"), &fixture_err);
	if (rc == 0)
		rc = replica_intake_preview(intake, &changes, &fixture_err);
	assert_int_equal(rc, -1);
	assert_int_equal(fixture_err.class, ERR_BAD_DATA);
	assert_non_null(strstr(fixture_err.message, "twice"));
	/* Poisoned: partial is nothing. */
	assert_int_equal(
	    replica_intake_finish(intake, 1, false, &changes, &fixture_err),
	    -1);
	assert_int_equal(state_of(replica).version, before.version);
	OK(replica_intake_begin(replica, mode, &intake, &fixture_err));
	OK(replica_intake_put(intake, &id, SLICE_LIT("one"), &fixture_err));
	OK(replica_intake_put(intake, &other, SLICE_LIT("o"), &fixture_err));
	OK(replica_intake_put(intake, &id, SLICE_LIT("one"), &fixture_err));
	OK(replica_intake_put(intake, &id, SLICE_LIT("one"), &fixture_err));
	OK(replica_intake_preview(intake, &changes, &fixture_err));
	assert_int_equal(changes.added, 2);
	/* Still once after a preview. */
	OK(replica_intake_put(intake, &other, SLICE_LIT("o"), &fixture_err));
	OK(replica_intake_finish(intake, 1, false, &changes, &fixture_err));
	assert_int_equal(changes.added, 2);
	fixture_verify(replica);
	/* Put and deleted. */
	OK(replica_intake_begin(replica, mode, &intake, &fixture_err));
	OK(replica_intake_put(intake, &id, SLICE_LIT("one"), &fixture_err));
	assert_int_equal(replica_intake_delete(intake, &id, &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_BAD_DATA);
	replica_intake_abort(intake);
	OK(replica_intake_begin(replica, mode, &intake, &fixture_err));
	OK(replica_intake_delete(intake, &id, &fixture_err));
	assert_int_equal(
	    replica_intake_put(intake, &id, SLICE_LIT("one"), &fixture_err),
	    -1);
	replica_intake_abort(intake);
	fixture_verify(replica);
}

static void
test_twice(void **state)
{
	struct replica *replica = fixture_open("twice.db");

	(void)state;
	put_twice(replica, REPLICA_FULL);
	assert_int_equal(state_of(replica).count, 2);
	fixture_fill(replica, 0, 5, 1, 2000);
	put_twice(replica, REPLICA_FULL);
	assert_int_equal(state_of(replica).count, 2);
	fixture_fill(replica, 0, 5, 1, 3000);
	put_twice(replica, REPLICA_TOUCHED);
	assert_int_equal(state_of(replica).count, 7);
	replica_close(replica);
}

static void
test_body_limit(void **state)
{
	struct replica *replica = fixture_open("limit.db");
	uint8_t *bytes = mem_calloc(1, LIMIT_OBJECT_BYTES + 1);
	struct id id = fixture_id(1);
	struct replica_intake *intake;
	struct replica_changes changes;

	(void)state;
	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	OK(replica_intake_put(
	    intake, &id, slice_make(bytes, LIMIT_OBJECT_BYTES), &fixture_err));
	OK(replica_intake_finish(intake, 1, false, &changes, &fixture_err));
	fixture_verify(replica);
	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	assert_int_equal(
	    replica_intake_put(intake, &id,
		slice_make(bytes, LIMIT_OBJECT_BYTES + 1), &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_LIMIT);
	assert_int_equal(
	    replica_intake_put(intake, &id, SLICE_NULL, &fixture_err), -1);
	replica_intake_abort(intake);
	replica_intake_abort(NULL);
	free(bytes);
	replica_close(replica);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full_intake),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_touched_intake),
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_body_limit),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
