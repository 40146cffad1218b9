/* Who names whom: what the source's rows keep beside the bodies, and the bodies
 * that follow when one who is named comes or goes. */
#include "tests/unit/replica_fixture.h"

/* An object that names a manager (0: none) and members. */
static void
put(struct replica_intake *intake, uint32_t number, uint32_t manager,
    const struct id *members, size_t count)
{
	struct id id = fixture_id(number), boss = fixture_id(manager);
	struct replica_references r = {.manager = manager == 0 ? NULL : &boss,
	    .has_members = members != NULL,
	    .members = slice_make(members, count * sizeof(*members))};

	OK(replica_intake_put_with(
	    intake, &id, fixture_body(number, 1), &r, &fixture_err));
}

static struct replica_intake *
begin(struct replica *replica, enum replica_intake_mode mode)
{
	struct replica_intake *intake;

	OK(replica_intake_begin(replica, mode, &intake, &fixture_err));
	return intake;
}

static struct replica_changes
finish(struct replica_intake *intake, int64_t now)
{
	struct replica_changes changes;

	OK(replica_intake_finish(intake, now, false, &changes, &fixture_err));
	return changes;
}

static int
has(struct replica_intake *intake, uint32_t number)
{
	struct id id = fixture_id(number);

	return replica_intake_has(intake, &id, &fixture_err);
}

/* How many name that manager. */
static unsigned
subordinates(struct replica_intake *intake, uint32_t manager)
{
	struct id id = fixture_id(manager);
	struct replica_referrer s = {.rowid = 0};
	unsigned n = 0;
	int rc;

	while ((rc = replica_intake_subordinate(
		    intake, &id, &s, &fixture_err)) > 0)
		n++;
	OK(rc);
	return n;
}

static unsigned
groups(struct replica_intake *intake, size_t *out_members)
{
	struct replica_referrer g = {.rowid = 0};
	struct buf members;
	unsigned n = 0;
	int rc;

	*out_members = 0;
	buf_init(&members, 1 << 20);
	g.members = &members;
	while ((rc = replica_intake_group(intake, &g, &fixture_err)) > 0)
		n++;
	OK(rc);
	*out_members = members.len / ID_LEN;
	buf_fini(&members);
	return n;
}

/* In the file that a first intake builds, and in one that stands. */
static void
test_who_names_whom(void **state)
{
	const struct id members[2] = {fixture_id(1), fixture_id(77)};
	struct replica *replica = fixture_open("refs.db");
	struct replica_intake *intake = begin(replica, REPLICA_FULL);
	struct replica_changes changes;
	struct id id;
	size_t count;

	(void)state;
	put(intake, 1, 0, NULL, 0);
	put(intake, 2, 1, NULL, 0);
	put(intake, 3, 1, NULL, 0);
	put(intake, 4, 88, NULL, 0); /* who is not there */
	put(intake, 5, 0, members, 2);
	put(intake, 6, 0, members, 0);
	assert_int_equal(has(intake, 1), 1);
	assert_int_equal(has(intake, 88), 0);
	assert_int_equal(subordinates(intake, 1), 2);
	assert_int_equal(subordinates(intake, 88), 1);
	assert_int_equal(groups(intake, &count), 2);
	assert_int_equal(count, 2);
	(void)finish(intake, 10);
	id = fixture_id(2);
	assert_int_equal(replica_holds(replica, &id, &fixture_err), 1);

	/* the same content under another manager is no change */
	intake = begin(replica, REPLICA_TOUCHED);
	put(intake, 3, 88, NULL, 0);
	put(intake, 6, 0, members, 1);
	assert_int_equal(subordinates(intake, 1), 1);
	assert_int_equal(subordinates(intake, 88), 2);
	(void)groups(intake, &count);
	assert_int_equal(count, 3);
	changes = finish(intake, 20);
	assert_int_equal(changes.modified, 0);

	/* what is deleted names nobody */
	intake = begin(replica, REPLICA_TOUCHED);
	id = fixture_id(4);
	OK(replica_intake_delete(intake, &id, &fixture_err));
	id = fixture_id(5);
	OK(replica_intake_delete(intake, &id, &fixture_err));
	assert_int_equal(has(intake, 4), 0);
	assert_int_equal(subordinates(intake, 88), 1);
	assert_int_equal(groups(intake, &count), 1);
	changes = finish(intake, 30);
	assert_int_equal(changes.deleted, 2);
	replica_close(replica);
}

/* A whole reading knows nothing of what it did not show. */
static void
test_unseen(void **state)
{
	const struct id members[1] = {fixture_id(1)};
	struct replica *replica = fixture_open("unseen.db");
	struct replica_intake *intake = begin(replica, REPLICA_FULL);
	struct replica_changes changes;
	struct id id = fixture_id(3);
	size_t count;

	(void)state;
	put(intake, 1, 0, NULL, 0);
	for (uint32_t i = 2; i < 6; i++)
		put(intake, i, 1, members, 1);
	(void)finish(intake, 10);
	intake = begin(replica, REPLICA_FULL);
	assert_int_equal(has(intake, 1), 0);
	put(intake, 5, 1, members, 1);
	assert_int_equal(subordinates(intake, 1), 1);
	assert_int_equal(groups(intake, &count), 1);
	/* what could not be read stays as it was */
	assert_int_equal(replica_intake_keep(intake, &id, &fixture_err), 1);
	assert_int_equal(has(intake, 3), 1);
	assert_int_equal(subordinates(intake, 1), 2);
	id = fixture_id(99);
	assert_int_equal(replica_intake_keep(intake, &id, &fixture_err), 0);
	changes = finish(intake, 20);
	assert_int_equal(changes.unchanged, 2);
	assert_int_equal(changes.deleted, 3);
	replica_close(replica);
}

static struct replica_changes
amended(struct replica *replica, enum replica_intake_mode mode,
    const struct slice *bodies, size_t count)
{
	struct replica_intake *intake = begin(replica, mode);
	struct id id = fixture_id(2);

	if (mode == REPLICA_FULL) {
		put(intake, 1, 0, NULL, 0);
		put(intake, 2, 1, NULL, 0);
		put(intake, 3, 1, NULL, 0);
	}
	for (size_t i = 0; i < count; i++)
		OK(replica_intake_amend(intake, &id, bodies[i], &fixture_err));
	assert_int_equal(subordinates(intake, 1), 2);
	return finish(intake, 10);
}

/* Other bodies, counted once; the root is the one of these bodies. */
static void
test_amend(void **state)
{
	const struct slice bodies[] = {SLICE_LIT("x"), SLICE_LIT("y")};
	struct replica *replica = fixture_open("amend.db");
	struct replica_intake *intake;
	struct replica_state built, changed;
	struct replica_changes changes;
	struct id id = fixture_id(99);
	struct buf body;

	(void)state;
	changes = amended(replica, REPLICA_FULL, bodies, 2);
	assert_int_equal(changes.added, 3);
	replica_state(replica, &built);
	/* what was put stands as "unchanged" until it is amended */
	changes = amended(replica, REPLICA_FULL, bodies + 1, 1);
	assert_int_equal(changes.modified, 1);
	assert_int_equal(changes.unchanged, 2);
	replica_state(replica, &changed);
	assert_memory_equal(built.root, changed.root, sizeof(built.root));
	/* untouched rows too; the body they have is no change */
	changes = amended(replica, REPLICA_TOUCHED, bodies + 1, 1);
	assert_int_equal(changes.modified, 0);
	changes = amended(replica, REPLICA_TOUCHED, bodies, 2);
	assert_int_equal(changes.modified, 1);
	buf_init(&body, 100);
	id = fixture_id(2);
	assert_int_equal(replica_get(replica, &id, &body, &fixture_err), 1);
	assert_string_equal(buf_cstr(&body), "y");
	buf_fini(&body);
	/* nobody there: nothing is published */
	intake = begin(replica, REPLICA_TOUCHED);
	id = fixture_id(99);
	assert_int_equal(
	    replica_intake_amend(intake, &id, bodies[0], &fixture_err), -1);
	assert_int_equal(
	    replica_intake_finish(intake, 30, false, &changes, &fixture_err),
	    -1);
	replica_close(replica);
}

/* A file of before: its objects stay, and name nobody. */
static void
test_file_of_before(void **state)
{
	static const char *const steps[] = {
	    "CREATE TABLE object (rowid INTEGER PRIMARY KEY, id BLOB NOT NULL, "
	    "version INTEGER NOT NULL, deleted INTEGER NOT NULL, "
	    "hash BLOB NOT NULL, length INTEGER NOT NULL, "
	    "body BLOB NOT NULL);"
	    "CREATE TABLE checkpoint (version INTEGER PRIMARY KEY, "
	    "root BLOB NOT NULL, count INTEGER NOT NULL);"
	    "CREATE TABLE note (key TEXT PRIMARY KEY, value BLOB NOT NULL);"
	    "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), "
	    "version INTEGER NOT NULL, floor INTEGER NOT NULL, "
	    "count INTEGER NOT NULL, bytes INTEGER NOT NULL, "
	    "issued_at INTEGER NOT NULL, root BLOB NOT NULL, "
	    "terms BLOB NOT NULL, manifest BLOB NOT NULL);"
	    "INSERT INTO object VALUES (7, x'3131313131313131313131313131313"
	    "1', 5, 0, zeroblob(32), 1, 'b');"
	    "INSERT INTO state VALUES (1, 5, 0, 1, 1, 0, zeroblob(32), "
	    "zeroblob(32), x'');",
	    "CREATE INDEX object_id ON object (id, deleted, version, hash);"
	    "CREATE INDEX object_version ON object (version, length);"
	    "CREATE INDEX object_tombstone ON object (version) "
	    "WHERE deleted = 1;"};
	const struct db_schema before = {
	    .what = "replica", .cure = "", .steps = steps, .count = 2};
	const struct id id = {"1111111111111111"};
	struct replica *replica;
	struct replica_intake *intake;
	struct buf body;
	struct db *db;
	size_t members;

	(void)state;
	OK(db_open(fixture_path("before.db"), &before, &db, &fixture_err));
	db_close(db);
	replica = fixture_open("before.db");
	buf_init(&body, 10);
	assert_int_equal(replica_get(replica, &id, &body, &fixture_err), 1);
	assert_string_equal(buf_cstr(&body), "b");
	buf_fini(&body);
	intake = begin(replica, REPLICA_TOUCHED);
	assert_int_equal(groups(intake, &members), 0);
	put(intake, 2, 1, NULL, 0);
	assert_int_equal(subordinates(intake, 1), 1);
	replica_intake_abort(intake);
	replica_close(replica);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who_names_whom),
	    cmocka_unit_test(test_unseen),
	    cmocka_unit_test(test_amend),
	    cmocka_unit_test(test_file_of_before),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
