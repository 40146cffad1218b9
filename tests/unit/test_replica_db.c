/* The SQLite helper: statements, transactions, schema, and error classes. */
#include "tests/unit/replica_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/replica/db.h"

static const char *const steps[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB);",
    "ALTER TABLE t ADD COLUMN more INTEGER; CREATE INDEX t_name ON t (name);",
};
static const struct db_schema old_schema = {"test", "remove it", steps, 1};
static const struct db_schema schema = {"test", "remove it", steps, 2};

static struct db *
open_db(const char *name)
{
	struct db *db;

	OK(db_open(fixture_path(name), &schema, &db, &fixture_err));
	return db;
}

static void
insert(struct db *db, int64_t id, const char *name, struct slice data)
{
	struct db_stmt *stmt;

	OK(db_prepare(db, "INSERT INTO t (id, name, data) VALUES (?1, ?2, ?3)",
	    &stmt, &fixture_err));
	db_bind_i64(stmt, 1, id);
	db_bind_text(stmt, 2, name);
	db_bind_blob(stmt, 3, data);
	OK(db_run(stmt, &fixture_err));
}

static int64_t
count(struct db *db)
{
	struct db_stmt *stmt;
	int64_t rows;

	OK(db_prepare(db, "SELECT count(*) FROM t", &stmt, &fixture_err));
	OK(db_step(stmt, &fixture_err));
	rows = db_column_i64(stmt, 0);
	db_reset(stmt);
	return rows;
}

static void
test_values(void **state)
{
	struct db *db = open_db("values.db");
	struct db_stmt *stmt, *nested;

	(void)state;
	insert(db, 1, "one", slice_make("a\0b", 3));
	insert(db, 2, "two", SLICE_NULL);
	assert_int_equal(db_last_rowid(db), 2);
	assert_int_equal(db_changes(db), 1);
	OK(db_prepare(db, "SELECT id, name, data, more FROM t ORDER BY id",
	    &stmt, &fixture_err));
	assert_int_equal(db_step(stmt, &fixture_err), 1);
	assert_int_equal(db_column_u64(stmt, 0), 1);
	assert_string_equal(db_column_text(stmt, 1), "one");
	assert_true(
	    slice_equal(db_column_blob(stmt, 2), slice_make("a\0b", 3)));
	assert_true(db_column_is_null(stmt, 3));
	assert_string_equal(db_column_text(stmt, 3), "");
	/* In use: the same SQL gives another statement. */
	OK(db_prepare(db, "SELECT id, name, data, more FROM t ORDER BY id",
	    &nested, &fixture_err));
	assert_ptr_not_equal(stmt, nested);
	assert_int_equal(db_step(nested, &fixture_err), 1);
	assert_int_equal(db_column_i64(nested, 0), 1);
	db_reset(nested);
	assert_int_equal(db_step(stmt, &fixture_err), 1);
	/* The empty blob is not NULL. */
	assert_int_equal(db_column_blob(stmt, 2).len, 0);
	assert_false(db_column_is_null(stmt, 2));
	assert_int_equal(db_step(stmt, &fixture_err), 0);
	/* Ended: the cache gives it again. */
	OK(db_prepare(db, "SELECT id, name, data, more FROM t ORDER BY id",
	    &nested, &fixture_err));
	assert_true(nested == stmt || nested != NULL);
	db_reset(nested);
	db_close(db);
}

static void
test_bind_errors(void **state)
{
	struct db *db = open_db("bind.db");
	struct db_stmt *stmt;

	(void)state;
	OK(db_prepare(
	    db, "INSERT INTO t (id) VALUES (?1)", &stmt, &fixture_err));
	db_bind_u64(stmt, 1, (uint64_t)INT64_MAX + 1);
	assert_int_equal(db_run(stmt, &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_LIMIT);
	OK(db_prepare(
	    db, "INSERT INTO t (id) VALUES (?1)", &stmt, &fixture_err));
	db_bind_u64(stmt, 1, INT64_MAX);
	OK(db_run(stmt, &fixture_err));
	assert_int_equal(count(db), 1);
	OK(db_prepare(
	    db, "INSERT INTO t (id) VALUES (?1)", &stmt, &fixture_err));
	db_bind_i64(stmt, 2, 1);
	assert_int_equal(db_run(stmt, &fixture_err), -1);
	assert_int_equal(
	    db_prepare(db, "SELECT nothing FROM nowhere", &stmt, &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_INTERNAL);
	db_close(db);
}

static void
test_transactions(void **state)
{
	struct db *db = open_db("tx.db");
	struct db *other = open_db("tx.db");
	struct db_stmt *stmt;

	(void)state;
	OK(db_begin(db, &fixture_err));
	insert(db, 1, "gone", SLICE_NULL);
	assert_true(db_in_transaction(db));
	OK(db_prepare(db, "SELECT id FROM t", &stmt, &fixture_err));
	assert_int_equal(db_step(stmt, &fixture_err), 1);
	db_rollback(db); /* with a statement in use */
	assert_false(db_in_transaction(db));
	db_rollback(db);
	assert_int_equal(count(db), 0);
	OK(db_begin(db, &fixture_err));
	insert(db, 1, "stays", SLICE_NULL);
	assert_int_equal(count(other), 0);
	OK(db_commit(db, &fixture_err));
	assert_int_equal(count(other), 1);
	/* A snapshot does not move. */
	OK(db_begin_read(other, &fixture_err));
	insert(db, 2, "later", SLICE_NULL);
	assert_int_equal(count(other), 1);
	db_rollback(other);
	assert_int_equal(count(other), 2);
	db_close(other);
	OK(db_checkpoint(db, &fixture_err));
	db_close(db);
	assert_false(fixture_exists("tx.db-wal"));
}

static void
test_locked(void **state)
{
	struct db *db = open_db("lock.db");
	int ready[2], done[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	db_close(db);
	pid = fork();
	if (pid == 0) {
		struct db *holder;
		int rc = db_open(fixture_path("lock.db"), &schema, &holder,
			     &fixture_err) < 0 ||
			 db_begin(holder, &fixture_err) < 0;

		rc |= write(ready[1], "r", 1) != 1;
		rc |= read(done[0], &byte, 1) != 1;
		_exit(rc);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	db = open_db("lock.db");
	db_busy_set(db, 50);
	assert_int_equal(db_begin(db, &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_TEMPORARY);
	assert_non_null(strstr(fixture_err.message, "database is locked"));
	assert_int_equal(write(done[1], "d", 1), 1);
	waitpid(pid, NULL, 0);
	/* The holder died with its transaction open. */
	OK(db_begin(db, &fixture_err));
	db_rollback(db);
	db_close(db);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(done[i]);
	}
}

static void
test_schema(void **state)
{
	struct db *db;
	struct stat status;

	(void)state;
	OK(db_open(fixture_path("schema.db"), &old_schema, &db, &fixture_err));
	insert(db, 1, "kept", SLICE_NULL);
	db_close(db);
	assert_int_equal(stat(fixture_path("schema.db"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	db = open_db("schema.db");
	assert_int_equal(count(db), 1);
	OK(db_exec(db, "UPDATE t SET more = 1", &fixture_err));
	db_close(db);
	/* Written by a later program. */
	assert_int_equal(
	    db_open(fixture_path("schema.db"), &old_schema, &db, &fixture_err),
	    -1);
	assert_null(db);
	assert_int_equal(fixture_err.class, ERR_IO);
	assert_non_null(strstr(fixture_err.message, "newer program"));
}

static void
test_damaged(void **state)
{
	static const char text[] = "this is not a database, whatever its name "
				   "may say, and it is long enough to look "
				   "like a header of one hundred bytes......";
	struct db *db;

	(void)state;
	OK(fsio_write(
	    fixture_path("text.db"), slice_str(text), 0600, &fixture_err));
	assert_int_equal(
	    db_open(fixture_path("text.db"), &schema, &db, &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_IO);
	assert_non_null(strstr(fixture_err.message, "text.db"));
	assert_non_null(strstr(fixture_err.message, "remove it"));
	assert_int_equal(
	    db_open(fixture_path("no/such/dir.db"), &schema, &db, &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_IO);
	assert_int_equal(fixture_err.saved_errno, ENOENT);
}

/* In a child whose files may not grow: what comes is "disk full". */
static int
fill_until_full(void)
{
	static uint8_t data[20000];
	struct rlimit limit = {256 * 1024, 256 * 1024};
	struct db *db = open_db("full.db");
	struct db_stmt *stmt;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 2;
	for (int i = 0; i < 100; i++) {
		if (db_prepare(db, "INSERT INTO t (data) VALUES (?1)", &stmt,
			&fixture_err) < 0)
			break;
		db_bind_blob(stmt, 1, slice_make(data, sizeof(data)));
		if (db_run(stmt, &fixture_err) < 0)
			break;
	}
	if (fixture_err.class != ERR_IO)
		return 3;
	return strstr(fixture_err.message, "disk full: ") == NULL ? 4 : 0;
}

static void
test_disk_full(void **state)
{
	struct db *db;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(fill_until_full());
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	db = open_db("full.db");
	assert_true(count(db) > 0);
	db_close(db);
}

static void
test_build_and_moved(void **state)
{
	struct db *db = open_db("moved.db");
	struct db *build;

	(void)state;
	assert_false(db_moved(db));
	OK(db_build_open(fixture_path("moved.new"), &build, &fixture_err));
	OK(db_exec(build, steps[0], &fixture_err));
	OK(db_exec(build, steps[1], &fixture_err));
	insert(build, 7, "built", SLICE_NULL);
	OK(db_build_close(build, 2, &fixture_err));
	/* The old log must not meet the new file. */
	OK(fsio_unlink(fixture_path("moved.db-wal"), &fixture_err));
	OK(fsio_unlink(fixture_path("moved.db-shm"), &fixture_err));
	OK(fsio_rename(
	    fixture_path("moved.new"), fixture_path("moved.db"), &fixture_err));
	assert_true(db_moved(db));
	db_close(db);
	db = open_db("moved.db");
	assert_int_equal(count(db), 1);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_bind_errors),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_locked),
	    cmocka_unit_test(test_schema),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_disk_full),
	    cmocka_unit_test(test_build_and_moved),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
