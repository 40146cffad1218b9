#include "common/replica/db_note.h"

int
db_note_get(struct db *db, const char *key, struct buf *out, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(
		db, "SELECT value FROM note WHERE key = ?1", &stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, key);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	buf_add(out, db_column_blob(stmt, 0));
	db_reset(stmt);
	return buf_check(out, key, err);
}

int
db_note_set(struct db *db, const char *key, struct slice value, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"INSERT OR REPLACE INTO note(key, value) VALUES(?1, ?2)", &stmt,
		err) < 0)
		return -1;
	db_bind_text(stmt, 1, key);
	db_bind_blob(stmt, 2, value);
	return db_run(stmt, err);
}
