#include "common/replica/db_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"

#define DB_BUSY_MS 10000
#define DB_CACHE_KIB 2048
/* Rows are only appended to a file that is being built. An index is sorted in
 * as much memory as the cache may take: small, or it would grow with the
 * number of rows until then. */
#define DB_BUILD_CACHE_KIB 2048
#define DB_SCRATCH_CACHE_KIB 512

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

int
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

/* file: what SQLite opens; name: what messages call it. */
static int
db_connect(
    const char *file, const char *name, struct db **out_db, struct err *err)
{
	struct db *db = mem_calloc(1, sizeof(*db));
	int code;

	*out_db = NULL;
	db->path = mem_strdup(name);
	errno = 0;
	code = sqlite3_open_v2(file, &db->handle,
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
	if (db_create_private(path, err) < 0 ||
	    db_connect(path, path, &db, err) < 0)
		return -1;
	db->schema = schema;
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
	if (fsio_unlink(path, err) < 0 || db_create_private(path, err) < 0 ||
	    db_connect(path, path, &db, err) < 0)
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

void
db_scratch_place(const char *directory)
{
	sqlite3_free(sqlite3_temp_directory);
	sqlite3_temp_directory = sqlite3_mprintf("%s", directory);
}

int
db_scratch_open(struct db **out_db, struct err *err)
{
	const char *place = sqlite3_temp_directory;
	char *name =
	    place == NULL
		? mem_strdup("temporary database")
		: mem_printf("temporary database in directory %s", place);
	struct db *db = NULL;
	int rc = db_connect("", name, &db, err);

	*out_db = NULL;
	free(name);
	if (rc < 0)
		return -1;
	/* A defensive connection keeps its journal, against corruption that
	 * here would outlive nothing. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	if (db_exec(db, db_pragmas, err) < 0 ||
	    db_exec(db, "PRAGMA journal_mode = OFF", err) < 0 ||
	    db_cache_set(db, DB_SCRATCH_CACHE_KIB, err) < 0) {
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
