/* Small values by name, in a table that several of our databases have:
 * note(key TEXT PRIMARY KEY, value BLOB NOT NULL). */
#ifndef COMMON_REPLICA_DB_NOTE_H
#define COMMON_REPLICA_DB_NOTE_H

#include "common/base/buf.h"
#include "common/replica/db.h"

/* Appends the value to out; a missing one is empty. Class limit when it exceeds
 * out's maximum. */
int db_note_get(
    struct db *db, const char *key, struct buf *out, struct err *err) ERR_WUR;
/* Replaces the value; durable with the transaction it is in. */
int db_note_set(struct db *db, const char *key, struct slice value,
    struct err *err) ERR_WUR;

#endif
