/* Sugar over common/replica/db.h for the many small statements of hub.db:
 * values bound by a format string, columns copied out with checked lengths. */
#ifndef HUB_SQL_H
#define HUB_SQL_H

#include "common/base/buf.h"
#include "common/replica/db.h"

/* Prepares and binds; text must be a literal. Format letters: s text (NULL
 * binds NULL), i int64_t, u uint64_t, b struct slice. NULL on failure. */
struct db_stmt *sql_query(struct db *db, struct err *err, const char *text,
    const char *format, ...) ERR_WUR;
/* Runs a statement without rows, inside a write transaction that is begun when
 * there is none. */
int sql_run(struct db *db, struct err *err, const char *text,
    const char *format, ...) ERR_WUR;
/* First column of the first row, or 0 when there is none. */
int sql_number(struct db *db, struct err *err, uint64_t *out_value,
    const char *text, const char *format, ...) ERR_WUR;

/* Text is cut to size - 1 bytes; bytes of another length than len become zeros
 * and false. */
void sql_text(struct db_stmt *stmt, int column, char *out, size_t size);
bool sql_bytes(struct db_stmt *stmt, int column, void *out, size_t len);

#endif
