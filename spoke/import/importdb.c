#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/replica/db_note.h"
#include "common/wire/limits.h"
#include "spoke/import/importdb_internal.h"

/* Rows of entry and claim are found by several keys; each has its index. */
static const char *const importdb_steps[] = {
    "CREATE TABLE entry(entry BLOB PRIMARY KEY, dn TEXT NOT NULL,"
    " inside INTEGER NOT NULL, created INTEGER NOT NULL,"
    " doomed INTEGER NOT NULL DEFAULT 0,"
    " member TEXT NOT NULL, object BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX entry_object ON entry(object, member);"
    "CREATE TABLE claim(address BLOB NOT NULL, entry BLOB NOT NULL,"
    " ours INTEGER NOT NULL, inside INTEGER NOT NULL,"
    " member TEXT NOT NULL, object BLOB NOT NULL, dn TEXT NOT NULL);"
    "CREATE INDEX claim_address ON claim(address);"
    "CREATE TABLE name(kind INTEGER NOT NULL, scope TEXT NOT NULL,"
    " name BLOB NOT NULL, entry BLOB NOT NULL);"
    "CREATE INDEX name_name ON name(name, kind);"
    "CREATE TABLE refused(scope TEXT NOT NULL, name BLOB NOT NULL,"
    " PRIMARY KEY(scope, name));"
    "CREATE TABLE blocked(address BLOB PRIMARY KEY);"
    "CREATE TABLE link(object BLOB NOT NULL, member TEXT NOT NULL,"
    " stream TEXT NOT NULL, doubt INTEGER NOT NULL,"
    " PRIMARY KEY(object, member));"
    "CREATE TABLE plan(seq INTEGER PRIMARY KEY, op INTEGER NOT NULL,"
    " member TEXT NOT NULL, stream TEXT NOT NULL, object BLOB NOT NULL,"
    " dn TEXT NOT NULL, new_rdn TEXT NOT NULL, body BLOB NOT NULL,"
    " cleared TEXT NOT NULL, reason TEXT NOT NULL);"
    "CREATE INDEX plan_op ON plan(op, seq);"
    "CREATE TABLE trouble(kind TEXT NOT NULL, member TEXT NOT NULL,"
    " object BLOB NOT NULL, reason TEXT NOT NULL,"
    " PRIMARY KEY(kind, member, object));"
    "CREATE TABLE note(key TEXT PRIMARY KEY, value BLOB NOT NULL);",
    "ALTER TABLE entry ADD COLUMN change INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE need(row INTEGER PRIMARY KEY, seq INTEGER NOT NULL,"
    " entry BLOB NOT NULL, address BLOB NOT NULL,"
    " holder INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX need_seq ON need(seq);"
    "CREATE INDEX need_holder ON need(holder);"
    "CREATE TABLE written(object BLOB NOT NULL, member TEXT NOT NULL,"
    " PRIMARY KEY(object, member));",
};

static const struct db_schema importdb_schema = {
    .what = "import state",
    .cure = "remove the file: it is rebuilt from the contacts' provenance",
    .steps = importdb_steps,
    .count = sizeof(importdb_steps) / sizeof(importdb_steps[0]),
};

static void
importdb_take_back_all(struct importdb *db)
{
	int slot;

	for (slot = 0; slot < IMPORTDB_LENT_COUNT; slot++)
		importdb_take_back(db, (enum importdb_slot)slot);
}

int
importdb_open(const char *path, struct importdb **out_db, struct err *err)
{
	struct importdb *db = mem_calloc(1, sizeof(*db));

	if (db_open(path, &importdb_schema, &db->db, err) != 0) {
		free(db);
		return -1;
	}
	buf_init(&db->key, LIMIT_OBJECT_BYTES);
	*out_db = db;
	return 0;
}

void
importdb_close(struct importdb *db)
{
	if (db == NULL)
		return;
	importdb_take_back_all(db);
	db_close(db->db);
	buf_fini(&db->key);
	free(db);
}

int
importdb_begin(struct importdb *db, struct err *err)
{
	return db_begin(db->db, err);
}

int
importdb_commit(struct importdb *db, struct err *err)
{
	importdb_take_back_all(db);
	return db_commit(db->db, err);
}

void
importdb_rollback(struct importdb *db)
{
	importdb_take_back_all(db);
	db_rollback(db->db);
}

/* --- links --- */

int
importdb_link_put(struct importdb *db, const char *member,
    const struct id *object, const char *stream, uint64_t doubt,
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT INTO link(object, member, stream, doubt)"
		" VALUES(?1, ?2, ?3, ?4)"
		" ON CONFLICT(object, member) DO UPDATE"
		" SET stream = excluded.stream, doubt = excluded.doubt"
		" WHERE stream <> excluded.stream OR doubt <> excluded.doubt",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(object));
	db_bind_text(stmt, 2, member);
	db_bind_text(stmt, 3, stream);
	db_bind_u64(stmt, 4, doubt);
	return db_run(stmt, err);
}

int
importdb_link_find(struct importdb *db, const char *member,
    const struct id *object, struct importdb_link *out_link, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT stream, doubt FROM link"
		" WHERE object = ?1 AND member = ?2",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(object));
	db_bind_text(stmt, 2, member);
	rc = db_step(stmt, err);
	if (rc > 0) {
		(void)snprintf(out_link->stream, sizeof(out_link->stream), "%s",
		    db_column_text(stmt, 0));
		out_link->doubt = db_column_u64(stmt, 1);
		db_reset(stmt);
	}
	return rc;
}

int
importdb_link_drop(struct importdb *db, const char *member,
    const struct id *object, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"DELETE FROM link WHERE object = ?1 AND member = ?2", &stmt,
		err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(object));
	db_bind_text(stmt, 2, member);
	return db_run(stmt, err);
}

/* --- quarantine and other notes on objects --- */

int
importdb_trouble_clear(struct importdb *db, const char *kind, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(
		db->db, "DELETE FROM trouble WHERE kind = ?1", &stmt, err) != 0)
		return -1;
	db_bind_text(stmt, 1, kind);
	return db_run(stmt, err);
}

int
importdb_trouble_put(struct importdb *db,
    const struct importdb_trouble *trouble, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR REPLACE INTO trouble(kind, member, object, reason)"
		" VALUES(?1, ?2, ?3, ?4)",
		&stmt, err) != 0)
		return -1;
	db_bind_text(stmt, 1, trouble->kind);
	db_bind_text(stmt, 2, trouble->member);
	db_bind_blob(stmt, 3, id_slice(&trouble->object));
	db_bind_text(stmt, 4, trouble->reason);
	return db_run(stmt, err);
}

int
importdb_trouble_count(
    struct importdb *db, const char *kind, uint64_t *out_count, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db, "SELECT count(*) FROM trouble WHERE kind = ?1",
		&stmt, err) != 0)
		return -1;
	db_bind_text(stmt, 1, kind);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return -1;
	*out_count = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
}

int
importdb_trouble_each(struct importdb *db,
    int (*fn)(
	void *arg, const struct importdb_trouble *trouble, struct err *err),
    void *arg, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT kind, member, object, reason FROM trouble"
		" ORDER BY kind, member, object",
		&stmt, err) != 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		struct importdb_trouble trouble = {
		    .kind = db_column_text(stmt, 0),
		    .member = db_column_text(stmt, 1),
		    .reason = db_column_text(stmt, 3),
		};

		importdb_id_column(stmt, 2, &trouble.object);
		if (fn(arg, &trouble, err) != 0) {
			db_reset(stmt);
			return -1;
		}
	}
	return rc;
}

/* --- notes --- */

int
importdb_note_get(
    struct importdb *db, const char *key, struct buf *out, struct err *err)
{
	return db_note_get(db->db, key, out, err);
}

int
importdb_note_set(
    struct importdb *db, const char *key, struct slice value, struct err *err)
{
	return db_note_set(db->db, key, value, err);
}
