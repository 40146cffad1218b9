/* Shared by db_open.c (making connections) and db.c (using them). */
#ifndef COMMON_REPLICA_DB_INTERNAL_H
#define COMMON_REPLICA_DB_INTERNAL_H

#include <sqlite3.h>

#include "common/replica/db.h"

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

/* Maps a result code of SQLite on this connection. Returns -1. */
int db_error(struct db *db, int code, struct err *err);
/* What the schema says to do about a damaged file. */
const char *db_cure(const struct db *db);
/* Also takes the snapshot of a read transaction. */
int db_user_version(
    struct db *db, int64_t *out_version, struct err *err) ERR_WUR;

#endif
