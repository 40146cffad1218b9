/* The replica at its source: state, notes, bases, cursors, purge. */
#include "tests/unit/replica_fixture.h"

static void
test_empty(void **state)
{
	struct replica *replica = fixture_open("empty.db");
	struct replica_changes changes;
	uint8_t nothing[32];
	struct buf buf;
	bool recorded;
	uint64_t base;

	(void)state;
	crypto_sha256(SLICE_NULL, nothing);
	assert_int_equal(state_of(replica).version, 0);
	assert_int_equal(state_of(replica).count, 0);
	assert_memory_equal(state_of(replica).root, nothing, 32);
	buf_init(&buf, 100);
	OK(replica_manifest(replica, &buf, &fixture_err));
	OK(replica_note_get(replica, "none", &buf, &fixture_err));
	assert_int_equal(buf.len, 0);
	OK(replica_recorded(replica, 0, nothing, &recorded, &fixture_err));
	assert_false(recorded);
	OK(replica_base_choose(replica, 0, nothing, &base, &fixture_err));
	assert_int_equal(base, 0);
	/* Nothing read, nothing published. */
	changes = fixture_fill(replica, 0, 0, 0, 1000);
	assert_changes(&changes, 0, 0, 0, 0);
	assert_int_equal(state_of(replica).version, 0);
	assert_false(fixture_exists("empty.db.new"));
	buf_fini(&buf);
	replica_close(replica);
	replica_close(NULL);
}

static void
test_notes(void **state)
{
	static const char key63[] = "012345678901234567890123456789012345678901"
				    "234567890123456789012";
	struct replica *replica = fixture_open("notes.db");
	struct replica_intake *intake;
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_int_equal(strlen(key63), 63);
	OK(replica_note_set(
	    replica, key63, slice_make("a\0b", 3), &fixture_err));
	OK(replica_note_get(replica, key63, &buf, &fixture_err));
	assert_true(slice_equal(buf_slice(&buf), slice_make("a\0b", 3)));
	assert_int_equal(replica_note_set(replica,
			     "0123456789012345678901234567890123456789012345678"
			     "901234567890123",
			     SLICE_NULL, &fixture_err),
	    -1);
	assert_int_equal(replica_note_get(replica, "", &buf, &fixture_err), -1);
	OK(replica_manifest_set(replica, SLICE_LIT("m1"), &fixture_err));
	/* In an intake they belong to it: into a new file ... */
	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	OK(replica_note_set(replica, "tag", SLICE_LIT("x"), &fixture_err));
	replica_intake_abort(intake);
	buf_reset(&buf);
	OK(replica_note_get(replica, "tag", &buf, &fixture_err));
	assert_int_equal(buf.len, 0);
	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	OK(replica_note_set(replica, "tag", SLICE_LIT("y"), &fixture_err));
	OK(replica_intake_put(
	    intake, &(struct id){{1}}, SLICE_LIT("b"), &fixture_err));
	OK(replica_intake_finish(
	    intake, 5, false, &(struct replica_changes){0}, &fixture_err));
	OK(replica_note_get(replica, "tag", &buf, &fixture_err));
	assert_string_equal(buf_cstr(&buf), "y");
	buf_reset(&buf);
	OK(replica_manifest(replica, &buf, &fixture_err));
	assert_string_equal(buf_cstr(&buf), "m1");
	/* ... and when nothing changed. */
	OK(replica_intake_begin(
	    replica, REPLICA_TOUCHED, &intake, &fixture_err));
	OK(replica_note_set(replica, "tag", SLICE_LIT("z"), &fixture_err));
	OK(replica_intake_finish(
	    intake, 6, false, &(struct replica_changes){0}, &fixture_err));
	buf_reset(&buf);
	OK(replica_note_get(replica, "tag", &buf, &fixture_err));
	assert_string_equal(buf_cstr(&buf), "z");
	assert_int_equal(state_of(replica).version, 5);
	/* A buffer that is too small. */
	buf_fini(&buf);
	buf_init(&buf, 2);
	assert_int_equal(
	    replica_note_get(replica, key63, &buf, &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_LIMIT);
	buf_fini(&buf);
	replica_close(replica);
}

static void
test_recorded_and_base(void **state)
{
	struct replica *replica = fixture_open("base.db");
	struct replica_state first, second;
	uint8_t wrong[32] = {1};
	bool recorded;
	uint64_t base;

	(void)state;
	fixture_fill(replica, 0, 100, 1, 1000);
	first = state_of(replica);
	fixture_fill(replica, 0, 101, 1, 2000);
	second = state_of(replica);
	OK(replica_recorded(
	    replica, 1000, first.root, &recorded, &fixture_err));
	assert_true(recorded);
	OK(replica_recorded(replica, 1000, wrong, &recorded, &fixture_err));
	assert_false(recorded);
	OK(replica_recorded(
	    replica, UINT64_MAX, first.root, &recorded, &fixture_err));
	assert_false(recorded);
	OK(replica_base_choose(replica, 1000, first.root, &base, &fixture_err));
	assert_int_equal(base, 1000);
	OK(replica_base_choose(
	    replica, 2000, second.root, &base, &fixture_err));
	assert_int_equal(base, 2000);
	OK(replica_base_choose(replica, 1000, wrong, &base, &fixture_err));
	assert_int_equal(base, 0);
	/* More than 60 % of a full: a full. */
	fixture_fill(replica, 40, 101, 2, 3000);
	OK(replica_base_choose(
	    replica, 2000, second.root, &base, &fixture_err));
	assert_int_equal(base, 0);
	fixture_fill(replica, 0, 101, 2, 4000);
	second = state_of(replica);
	fixture_fill(replica, 0, 100, 2, 5000);
	OK(replica_base_choose(
	    replica, 4000, second.root, &base, &fixture_err));
	assert_int_equal(base, 4000);
	/* Below the floor. */
	OK(replica_purge(replica, 5000, &fixture_err));
	OK(replica_base_choose(
	    replica, 4000, second.root, &base, &fixture_err));
	assert_int_equal(base, 0);
	OK(replica_recorded(
	    replica, 4000, second.root, &recorded, &fixture_err));
	assert_false(recorded);
	fixture_verify(replica);
	replica_close(replica);
}

/* Laggards share a few bases, and each base is at or below its receiver. */
static void
test_ladder(void **state)
{
	struct replica *replica = fixture_open("ladder.db");
	struct replica_state states[300];
	uint64_t last = 0;
	int rungs = 0;

	(void)state;
	fixture_fill(replica, 0, 2000, 1, 1000);
	OK(db_exec(replica->db, "PRAGMA synchronous = OFF", &fixture_err));
	for (int i = 0; i < 300; i++) {
		struct id id = fixture_id((uint32_t)i % 50);
		struct replica_intake *intake;
		struct replica_changes changes;

		OK(replica_intake_begin(
		    replica, REPLICA_TOUCHED, &intake, &fixture_err));
		OK(replica_intake_put(intake, &id,
		    fixture_body(1, (uint32_t)i + 9), &fixture_err));
		OK(replica_intake_finish(
		    intake, 2000 + i * 900, false, &changes, &fixture_err));
		states[i] = state_of(replica);
	}
	for (int i = 0; i < 300; i++) {
		uint64_t base;

		OK(replica_base_choose(replica, states[i].version,
		    states[i].root, &base, &fixture_err));
		assert_true(base != 0 && base <= states[i].version);
		assert_true(base >= last);
		if (base != last)
			rungs++;
		last = base;
		if (i >= 300 - 16)
			assert_int_equal(base, states[i].version);
	}
	assert_in_range(rungs, 20, 64);
	replica_close(replica);
}

static void
test_cursor(void **state)
{
	struct replica *replica = fixture_open("cursor.db");
	struct replica_cursor *cursor;
	struct section_object object;
	struct id last;
	int live = 0, dead = 0, rc;

	(void)state;
	fixture_fill(replica, 0, 200, 1, 1000);
	fixture_fill(replica, 3, 205, 1, 2000);
	OK(replica_cursor_open(replica, 1000, &cursor, &fixture_err));
	/* The snapshot stays while the replica goes on. */
	fixture_fill(replica, 50, 60, 3, 3000);
	while ((rc = replica_cursor_next(cursor, &object, &fixture_err)) > 0) {
		if (live + dead > 0)
			assert_true(id_compare(&last, &object.id) < 0);
		last = object.id;
		assert_true(object.version > 1000 && object.version <= 2000);
		if (object.deleted)
			dead++;
		else
			live++;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(replica_cursor_next(cursor, &object, &fixture_err), 0);
	assert_int_equal(dead, 3);
	assert_int_equal(live, 5);
	replica_cursor_close(cursor);
	replica_cursor_close(NULL);
	assert_int_equal(
	    replica_cursor_open(replica, 3001, &cursor, &fixture_err), -1);
	OK(replica_purge(replica, 2500, &fixture_err));
	assert_int_equal(state_of(replica).floor, 2500);
	assert_int_equal(
	    replica_cursor_open(replica, 2000, &cursor, &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_INTERNAL);
	replica_close(replica);
}

static int64_t
tombstones(struct replica *replica)
{
	struct db_stmt *stmt;
	int64_t count;

	OK(db_prepare(replica->db, "SELECT count(*) FROM object WHERE deleted",
	    &stmt, &fixture_err));
	OK(db_step(stmt, &fixture_err));
	count = db_column_i64(stmt, 0);
	db_reset(stmt);
	return count;
}

static void
test_purge(void **state)
{
	struct replica *replica = fixture_open("purge.db");

	(void)state;
	fixture_fill(replica, 0, 20, 1, 1000);
	fixture_fill(replica, 5, 20, 1, 2000);
	fixture_fill(replica, 10, 20, 1, 3000);
	assert_int_equal(tombstones(replica), 10);
	OK(replica_purge(replica, 2000, &fixture_err));
	assert_int_equal(tombstones(replica), 5);
	/* It never falls, and never passes the version. */
	OK(replica_purge(replica, 1000, &fixture_err));
	assert_int_equal(state_of(replica).floor, 2000);
	OK(replica_purge(replica, UINT64_MAX, &fixture_err));
	assert_int_equal(state_of(replica).floor, 3000);
	assert_int_equal(tombstones(replica), 0);
	fixture_verify(replica);
	/* Rows go on after a purge. */
	fixture_fill(replica, 0, 20, 1, 4000);
	fixture_verify(replica);
	/* Nothing to forget: nothing is written. */
	OK(replica_purge(replica, 4000, &fixture_err));
	assert_int_equal(state_of(replica).floor, 3000);
	replica_close(replica);
}

static void
test_damaged(void **state)
{
	struct replica *replica;

	(void)state;
	OK(fsio_write(fixture_path("bad.db"),
	    SLICE_LIT("SQLite format 4, which does not exist, is in this file "
		      "that has more than a hundred bytes, all of them wrong."),
	    0600, &fixture_err));
	assert_int_equal(
	    replica_open(fixture_path("bad.db"), &replica, &fixture_err), -1);
	assert_null(replica);
	assert_int_equal(fixture_err.class, ERR_IO);
	assert_non_null(strstr(fixture_err.message, "in full again"));
	/* Rows that vanished are noticed before anything is published. */
	replica = fixture_open("lost.db");
	fixture_fill(replica, 0, 20, 1, 1000);
	OK(db_exec(
	    replica->db, "DELETE FROM object WHERE rowid = 3", &fixture_err));
	{
		struct replica_intake *intake;
		struct replica_changes changes;
		struct id id = fixture_id(77);

		OK(replica_intake_begin(
		    replica, REPLICA_TOUCHED, &intake, &fixture_err));
		OK(replica_intake_put(
		    intake, &id, SLICE_LIT("x"), &fixture_err));
		assert_int_equal(replica_intake_finish(intake, 2000, false,
				     &changes, &fixture_err),
		    -1);
		assert_int_equal(fixture_err.class, ERR_IO);
	}
	assert_int_equal(state_of(replica).version, 1000);
	replica_close(replica);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_notes),
	    cmocka_unit_test(test_recorded_and_base),
	    cmocka_unit_test(test_ladder),
	    cmocka_unit_test(test_cursor),
	    cmocka_unit_test(test_purge),
	    cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
