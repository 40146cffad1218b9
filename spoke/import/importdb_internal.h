/* Shared by importdb.c (file, links, troubles, notes), importdb_survey.c,
 * importdb_plan.c and importdb_need.c. */
#ifndef SPOKE_IMPORT_IMPORTDB_INTERNAL_H
#define SPOKE_IMPORT_IMPORTDB_INTERNAL_H

#include "common/replica/db.h"
#include "spoke/import/importdb.h"

/* Rows that were lent to the caller: their statement ends with the next call of
 * the same kind. */
enum importdb_slot {
	IMPORTDB_LENT_ENTRY,
	IMPORTDB_LENT_NEXT,
	IMPORTDB_LENT_CLAIM,
	IMPORTDB_LENT_PLAN,
	IMPORTDB_LENT_NEED,
	IMPORTDB_LENT_COUNT
};

struct importdb {
	struct db *db;
	struct db_stmt *lent[IMPORTDB_LENT_COUNT];
	struct buf key; /* of the name being looked at */
};

/* Takes back the row lent before; the statements must not pile up. */
static inline void
importdb_take_back(struct importdb *db, enum importdb_slot slot)
{
	if (db->lent[slot] != NULL)
		db_reset(db->lent[slot]);
	db->lent[slot] = NULL;
}

static inline void
importdb_id_column(struct db_stmt *stmt, int column, struct id *out_id)
{
	struct slice raw = db_column_blob(stmt, column);

	memset(out_id, 0, sizeof(*out_id));
	if (raw.len == ID_LEN)
		memcpy(out_id->bytes, raw.data, ID_LEN);
}

static inline const char *
importdb_text(const char *text)
{
	return text == NULL ? "" : text;
}

#endif
