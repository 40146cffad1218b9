/*
 * SQLite behind a small face: one connection, statements cached by their SQL,
 * errors mapped to ours. Every local database uses it (replicas, hub.db,
 * spoke.db, import-POLICY.db). WAL, synchronous=FULL, 2 MiB page cache, a busy
 * wait of 10 s, files of mode 0600. A connection must not cross a fork.
 *
 *	struct db_stmt *stmt;
 *
 *	if (db_prepare(db, "SELECT a, b FROM t WHERE id = ?1", &stmt, err) < 0)
 *		return -1;
 *	db_bind_text(stmt, 1, "x");
 *	while ((rc = db_step(stmt, err)) > 0)
 *		use(db_column_i64(stmt, 0), db_column_blob(stmt, 1));
 *	return rc;
 *
 * A statement ends, and goes back to the cache with its bindings cleared, when
 * db_step() gives 0 or -1; one left earlier ends with db_reset().
 */
#ifndef COMMON_REPLICA_DB_H
#define COMMON_REPLICA_DB_H

#include "common/base/err.h"
#include "common/base/slice.h"

struct db;
struct db_stmt;

/* err->code of a damaged file, beside class io. */
#define DB_CODE_DAMAGED 10001

/* Step i takes a file from user_version i to i + 1; a new file runs all of
 * them. Each may hold several statements; all run in one transaction. */
struct db_schema {
	const char *what; /* "replica", for messages */
	const char *cure; /* what to do when the file is damaged */
	const char *const *steps;
	size_t count; /* the schema version */
};

/* Opens or creates path and brings its schema up to date. Class io, naming the
 * file: cannot be opened, disk full, damaged (with schema->cure), or written by
 * a later version of the program; temporary: locked by another process. */
int db_open(const char *path, const struct db_schema *schema,
    struct db **out_db, struct err *err) ERR_WUR;
/* A new file (an old one is removed) that is filled without journal or syncs
 * and has no schema: to be checked, finished with db_build_close() and renamed
 * into place. After any error it is garbage. */
int db_build_open(
    const char *path, struct db **out_db, struct err *err) ERR_WUR;
/* Sets user_version, closes and fsyncs. Frees db either way. */
int db_build_close(
    struct db *db, size_t schema_version, struct err *err) ERR_WUR;
/* A private database without a name, for what would grow too large for memory:
 * its cache is 512 KiB, what exceeds it goes to a file that nobody else sees
 * and that ends with the connection or the process. After any error it is
 * garbage. */
int db_scratch_open(struct db **out_db, struct err *err) ERR_WUR;
/* Where such files are made, and those in which SQLite sorts; one that cannot
 * be written to is passed over. SQLite's own choice is /var/tmp. */
void db_scratch_place(const char *directory);
/* Ends all statements, rolls back an open transaction. NULL is legal. */
void db_close(struct db *db);

const char *db_path(const struct db *db);
/* Page cache limit in KiB, when 2 MiB is not wanted. */
int db_cache_set(struct db *db, unsigned kib, struct err *err) ERR_WUR;
/* How long to wait for another process, when 10 s are not wanted. */
void db_busy_set(struct db *db, unsigned ms);
/* Was the file renamed over or removed since it was opened? Then a new
 * connection is due: writes to this one would be lost. */
bool db_moved(struct db *db);

/* One or more statements whose rows nobody wants. */
int db_exec(struct db *db, const char *sql, struct err *err) ERR_WUR;
/* sql must be a literal (or live as long as db). A statement in use is not
 * handed out twice: nested use gets another. */
int db_prepare(struct db *db, const char *sql, struct db_stmt **out_stmt,
    struct err *err) ERR_WUR;

/* Indices start at 1. Bytes are copied, except by the _static form, where they
 * must live until the statement ends. A failure shows in db_step(). */
void db_bind_i64(struct db_stmt *stmt, int index, int64_t value);
/* Values above INT64_MAX fail. */
void db_bind_u64(struct db_stmt *stmt, int index, uint64_t value);
void db_bind_text(struct db_stmt *stmt, int index, const char *text);
/* The empty slice is an empty blob, never NULL. */
void db_bind_blob(struct db_stmt *stmt, int index, struct slice blob);
void db_bind_blob_static(struct db_stmt *stmt, int index, struct slice blob);
void db_bind_null(struct db_stmt *stmt, int index);

/* 1: a row; 0: the end; -1: error. */
int db_step(struct db_stmt *stmt, struct err *err) ERR_WUR;
/* For statements without rows: steps to the end. 0 or -1. */
int db_run(struct db_stmt *stmt, struct err *err) ERR_WUR;
/* Ends a statement before its last row. */
void db_reset(struct db_stmt *stmt);

/* Columns start at 0; values are valid until the next step or reset. NULL reads
 * as 0, "" or the empty slice. */
int64_t db_column_i64(struct db_stmt *stmt, int column);
uint64_t db_column_u64(struct db_stmt *stmt, int column);
const char *db_column_text(struct db_stmt *stmt, int column);
struct slice db_column_blob(struct db_stmt *stmt, int column);
bool db_column_is_null(struct db_stmt *stmt, int column);

/* Rows changed by the last statement; rowid of the last insert. */
int64_t db_changes(struct db *db);
int64_t db_last_rowid(struct db *db);

/* A write transaction: takes the lock at once, so that it never fails halfway
 * for another writer. */
int db_begin(struct db *db, struct err *err) ERR_WUR;
/* Durable when it returns 0; rolled back when it returns -1. */
int db_commit(struct db *db, struct err *err) ERR_WUR;
/* Also ends statements in use. No-op outside a transaction. */
void db_rollback(struct db *db);
/* A read transaction: all reads until db_rollback() see one snapshot. */
int db_begin_read(struct db *db, struct err *err) ERR_WUR;
bool db_in_transaction(struct db *db);
/* Moves the whole log into the main file. Class temporary when a reader of an
 * older state stands in the way. */
int db_checkpoint(struct db *db, struct err *err) ERR_WUR;

#endif
