#include "common/replica/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"

#define DB_BUSY_MS 10000
#define DB_CACHE_KIB 8192
/* Rows are only appended to a file that is being built. An index is sorted in
 * as much memory as the cache may take: small, or it would grow with the
 * number of rows until then. */
#define DB_BUILD_CACHE_KIB 2048

struct db_stmt {
	struct db *db;
	const char *sql;
	sqlite3_stmt *handle;
	int bind_error; /* first failed bind, reported by the next step */
	bool in_use;
};

struct db {
	char *path;
	sqlite3 *handle;
	const struct db_schema *schema;
	unsigned busy_ms;
	struct db_stmt **statements;
	size_t statement_count;
};

static bool
db_errno_is_full(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static const char *
db_cure(const struct db *db)
{
	if (db->schema != NULL && db->schema->cure != NULL)
		return db->schema->cure;
	return "restore it from a backup";
}

/* Maps a result code of SQLite on this connection. */
static int
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

/* SQLite makes files as the umask says; a replica is nobody else's business.
 * An existing file is left alone: closing a second descriptor of it would drop
 * this process's locks. */
static int
db_create_private(const char *path, struct err *err)
{
	int fd;

	if (access(path, F_OK) == 0)
		return 0;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return err_set_errno(
		    err, ERR_IO, "cannot create database %s", path);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int
db_user_version(struct db *db, int64_t *out_version, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db, "PRAGMA user_version", &stmt, err) < 0)
		return -1;
	rc = db_step(stmt, err);
	if (rc < 0)
		return -1;
	*out_version = rc > 0 ? db_column_i64(stmt, 0) : 0;
	db_reset(stmt);
	return 0;
}

static int
db_user_version_set(struct db *db, size_t version, struct err *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", version);
	return db_exec(db, sql, err);
}

static int
db_migrate(struct db *db, struct err *err)
{
	size_t count = db->schema->count;
	int64_t version;

	if (db_user_version(db, &version, err) < 0)
		return -1;
	if (version == (int64_t)count)
		return 0;
	if (db_begin(db, err) < 0)
		return -1;
	/* Another process may have been faster. */
	if (db_user_version(db, &version, err) < 0)
		goto fail;
	if (version < 0 || (uint64_t)version > count) {
		err_set(err, ERR_IO,
		    "%s %s has schema version %lld, this program knows up to "
		    "%zu: use the newer program, or %s",
		    db->schema->what, db->path, (long long)version, count,
		    db_cure(db));
		goto fail;
	}
	for (size_t i = (size_t)version; i < count; i++) {
		if (db_exec(db, db->schema->steps[i], err) < 0)
			goto fail;
	}
	if (db_user_version_set(db, count, err) < 0)
		goto fail;
	return db_commit(db, err);
fail:
	db_rollback(db);
	return -1;
}

static int
db_connect(const char *path, const struct db_schema *schema, struct db **out_db,
    struct err *err)
{
	struct db *db;
	int code;

	*out_db = NULL;
	if (db_create_private(path, err) < 0)
		return -1;
	db = mem_calloc(1, sizeof(*db));
	db->path = mem_strdup(path);
	db->schema = schema;
	errno = 0;
	code = sqlite3_open_v2(path, &db->handle,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
	    NULL);
	if (code != SQLITE_OK) {
		db_error(db, code, err);
		db_close(db);
		return -1;
	}
	sqlite3_extended_result_codes(db->handle, 1);
	db_busy_set(db, DB_BUSY_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	*out_db = db;
	return 0;
}

/* mmap stays off: an I/O error would be a signal. */
static const char db_pragmas[] = "PRAGMA trusted_schema = OFF;"
				 "PRAGMA cell_size_check = ON;"
				 "PRAGMA mmap_size = 0;"
				 "PRAGMA foreign_keys = ON;";

int
db_open(const char *path, const struct db_schema *schema, struct db **out_db,
    struct err *err)
{
	struct db *db;

	*out_db = NULL;
	if (db_connect(path, schema, &db, err) < 0)
		return -1;
	if (db_exec(db, db_pragmas, err) < 0 ||
	    db_exec(db,
		"PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL;"
		"PRAGMA journal_size_limit = 4194304;",
		err) < 0 ||
	    db_cache_set(db, DB_CACHE_KIB, err) < 0 ||
	    db_migrate(db, err) < 0) {
		db_close(db);
		return -1;
	}
	*out_db = db;
	return 0;
}

int
db_build_open(const char *path, struct db **out_db, struct err *err)
{
	struct db *db;

	*out_db = NULL;
	if (fsio_unlink(path, err) < 0 || db_connect(path, NULL, &db, err) < 0)
		return -1;
	if (db_exec(db, db_pragmas, err) < 0 ||
	    db_exec(db,
		"PRAGMA journal_mode = OFF;"
		"PRAGMA synchronous = OFF;"
		"PRAGMA locking_mode = EXCLUSIVE;",
		err) < 0 ||
	    db_cache_set(db, DB_BUILD_CACHE_KIB, err) < 0) {
		db_close(db);
		return -1;
	}
	*out_db = db;
	return 0;
}

int
db_build_close(struct db *db, size_t schema_version, struct err *err)
{
	char *path = mem_strdup(db->path);
	int rc = db_user_version_set(db, schema_version, err);
	int fd = -1;

	db_close(db);
	if (rc < 0)
		goto out;
	rc = -1;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0) {
		err_set_errno(err, ERR_IO, "cannot write database %s", path);
		goto out;
	}
	rc = 0;
out:
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->statement_count; i++) {
		sqlite3_finalize(db->statements[i]->handle);
		free(db->statements[i]);
	}
	if (db->handle != NULL)
		INVARIANT(sqlite3_close(db->handle) == SQLITE_OK);
	free(db->statements);
	free(db->path);
	free(db);
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

	snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%u", kib);
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
