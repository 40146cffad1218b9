#include "common/replica/db_internal.h"

#include <errno.h>

#include "common/base/mem.h"

static bool
db_errno_is_full(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

const char *
db_cure(const struct db *db)
{
	if (db->schema != NULL && db->schema->cure != NULL)
		return db->schema->cure;
	return "restore it from a backup";
}

int
db_error(struct db *db, int code, struct err *err)
{
	/* SQLite does not keep the errno of every failed write. */
	int error = errno;
	const char *text = db->handle == NULL ? sqlite3_errstr(code)
					      : sqlite3_errmsg(db->handle);
	int primary = code & 0xff;

	if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
		return err_set(err, ERR_TEMPORARY,
		    "database is locked: %s (another process has held it "
		    "for more than %u ms)",
		    db->path, db->busy_ms);
	if (primary == SQLITE_FULL)
		return err_set(err, ERR_IO, "disk full: %s", db->path);
	if (code == SQLITE_READONLY_DBMOVED)
		return err_set(
		    err, ERR_TEMPORARY, "%s was replaced meanwhile", db->path);
	if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ||
	    primary == SQLITE_READONLY || primary == SQLITE_PERM) {
		errno = error;
		if (db_errno_is_full(error))
			return err_set_errno(
			    err, ERR_IO, "disk full: %s", db->path);
		if (error != 0)
			return err_set_errno(
			    err, ERR_IO, "database %s: %s", db->path, text);
		return err_set(err, ERR_IO, "database %s: %s", db->path, text);
	}
	if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
		return err_set_code(err, ERR_IO, DB_CODE_DAMAGED,
		    "database %s is damaged (%s): %s", db->path, text,
		    db_cure(db));
	if (primary == SQLITE_TOOBIG)
		return err_set(err, ERR_LIMIT,
		    "a value is too large for database %s", db->path);
	return err_set(err, ERR_INTERNAL, "database %s: %s (code %d)", db->path,
	    text, code);
}

int
db_exec(struct db *db, const char *sql, struct err *err)
{
	int code;

	errno = 0;
	code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : db_error(db, code, err);
}

const char *
db_path(const struct db *db)
{
	return db->path;
}

int
db_cache_set(struct db *db, unsigned kib, struct err *err)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%u", kib);
	return db_exec(db, sql, err);
}

void
db_busy_set(struct db *db, unsigned ms)
{
	db->busy_ms = ms;
	sqlite3_busy_timeout(db->handle, (int)ms);
}

bool
db_moved(struct db *db)
{
	int moved = 0;

	if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED,
		&moved) != SQLITE_OK)
		return false;
	return moved != 0;
}

static struct db_stmt *
db_cached(struct db *db, const char *sql)
{
	for (size_t i = 0; i < db->statement_count; i++) {
		struct db_stmt *stmt = db->statements[i];

		if (!stmt->in_use &&
		    (stmt->sql == sql || strcmp(stmt->sql, sql) == 0))
			return stmt;
	}
	return NULL;
}

int
db_prepare(
    struct db *db, const char *sql, struct db_stmt **out_stmt, struct err *err)
{
	struct db_stmt *stmt = db_cached(db, sql);
	sqlite3_stmt *handle = NULL;
	int code;

	*out_stmt = NULL;
	if (stmt == NULL) {
		code = sqlite3_prepare_v3(db->handle, sql, -1,
		    SQLITE_PREPARE_PERSISTENT, &handle, NULL);
		if (code != SQLITE_OK) {
			db_error(db, code, err);
			return -1;
		}
		stmt = mem_calloc(1, sizeof(*stmt));
		stmt->db = db;
		stmt->sql = sql;
		stmt->handle = handle;
		db->statements = mem_realloc(db->statements,
		    (db->statement_count + 1) * sizeof(struct db_stmt *));
		db->statements[db->statement_count++] = stmt;
	}
	stmt->in_use = true;
	stmt->bind_error = SQLITE_OK;
	*out_stmt = stmt;
	return 0;
}

static void
db_bound(struct db_stmt *stmt, int code)
{
	if (stmt->bind_error == SQLITE_OK)
		stmt->bind_error = code;
}

void
db_bind_i64(struct db_stmt *stmt, int index, int64_t value)
{
	db_bound(stmt, sqlite3_bind_int64(stmt->handle, index, value));
}

void
db_bind_u64(struct db_stmt *stmt, int index, uint64_t value)
{
	if (value > INT64_MAX)
		db_bound(stmt, SQLITE_TOOBIG);
	else
		db_bind_i64(stmt, index, (int64_t)value);
}

void
db_bind_text(struct db_stmt *stmt, int index, const char *text)
{
	db_bound(stmt,
	    sqlite3_bind_text(stmt->handle, index, text, -1, SQLITE_TRANSIENT));
}

static void
db_bind_bytes(struct db_stmt *stmt, int index, struct slice blob,
    sqlite3_destructor_type lifetime)
{
	int code;

	/* A NULL pointer would bind NULL. */
	if (blob.len == 0)
		code = sqlite3_bind_zeroblob(stmt->handle, index, 0);
	else
		code = sqlite3_bind_blob64(
		    stmt->handle, index, blob.data, blob.len, lifetime);
	db_bound(stmt, code);
}

void
db_bind_blob(struct db_stmt *stmt, int index, struct slice blob)
{
	db_bind_bytes(stmt, index, blob, SQLITE_TRANSIENT);
}

void
db_bind_blob_static(struct db_stmt *stmt, int index, struct slice blob)
{
	db_bind_bytes(stmt, index, blob, SQLITE_STATIC);
}

void
db_bind_null(struct db_stmt *stmt, int index)
{
	db_bound(stmt, sqlite3_bind_null(stmt->handle, index));
}

int
db_step(struct db_stmt *stmt, struct err *err)
{
	int code = stmt->bind_error;

	errno = 0;
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt->handle);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE) {
		db_reset(stmt);
		return 0;
	}
	db_error(stmt->db, code, err);
	db_reset(stmt);
	return -1;
}

int
db_run(struct db_stmt *stmt, struct err *err)
{
	int rc;

	do {
		rc = db_step(stmt, err);
	} while (rc > 0);
	return rc;
}

void
db_reset(struct db_stmt *stmt)
{
	sqlite3_reset(stmt->handle);
	sqlite3_clear_bindings(stmt->handle);
	stmt->bind_error = SQLITE_OK;
	stmt->in_use = false;
}

int64_t
db_column_i64(struct db_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->handle, column);
}

uint64_t
db_column_u64(struct db_stmt *stmt, int column)
{
	int64_t value = sqlite3_column_int64(stmt->handle, column);

	return value < 0 ? 0 : (uint64_t)value;
}

const char *
db_column_text(struct db_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt->handle, column);

	return text == NULL ? "" : (const char *)text;
}

struct slice
db_column_blob(struct db_stmt *stmt, int column)
{
	const void *data = sqlite3_column_blob(stmt->handle, column);
	int len = sqlite3_column_bytes(stmt->handle, column);

	return data == NULL ? SLICE_NULL : slice_make(data, (size_t)len);
}

bool
db_column_is_null(struct db_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

int64_t
db_changes(struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t
db_last_rowid(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int
db_begin(struct db *db, struct err *err)
{
	return db_exec(db, "BEGIN IMMEDIATE", err);
}

int
db_commit(struct db *db, struct err *err)
{
	if (db_exec(db, "COMMIT", err) == 0)
		return 0;
	db_rollback(db);
	return -1;
}

void
db_rollback(struct db *db)
{
	for (size_t i = 0; i < db->statement_count; i++) {
		if (db->statements[i]->in_use)
			db_reset(db->statements[i]);
	}
	/* An error may have rolled back already; a failed rollback leaves
	 * nothing that a close would not undo. */
	if (db_in_transaction(db))
		(void)!sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int
db_begin_read(struct db *db, struct err *err)
{
	int64_t version;

	if (db_exec(db, "BEGIN", err) < 0)
		return -1;
	/* The snapshot is taken by the first read. */
	if (db_user_version(db, &version, err) < 0) {
		db_rollback(db);
		return -1;
	}
	return 0;
}

bool
db_in_transaction(struct db *db)
{
	return sqlite3_get_autocommit(db->handle) == 0;
}

int
db_checkpoint(struct db *db, struct err *err)
{
	int logged = 0, done = 0;
	int code;

	errno = 0;
	code = sqlite3_wal_checkpoint_v2(
	    db->handle, NULL, SQLITE_CHECKPOINT_FULL, &logged, &done);
	if (code != SQLITE_OK)
		return db_error(db, code, err);
	if (logged != done)
		return db_error(db, SQLITE_BUSY, err);
	return 0;
}
