#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/replica/db.h"
#include "spoke/importdb.h"

/* Rows that were lent to the caller: their statement ends with the next call of
 * the same kind. */
enum importdb_slot {
	IMPORTDB_LENT_ENTRY,
	IMPORTDB_LENT_NEXT,
	IMPORTDB_LENT_CLAIM,
	IMPORTDB_LENT_PLAN,
	IMPORTDB_LENT_COUNT
};

struct importdb {
	struct db *db;
	struct db_stmt *lent[IMPORTDB_LENT_COUNT];
};

/* Rows of entry and claim are found by several keys; each has its index. */
static const char *const importdb_steps[] = {
    "CREATE TABLE entry(entry BLOB PRIMARY KEY, dn TEXT NOT NULL,"
    " inside INTEGER NOT NULL, doomed INTEGER NOT NULL DEFAULT 0,"
    " member TEXT NOT NULL, object BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX entry_object ON entry(object, member);"
    "CREATE TABLE claim(address BLOB NOT NULL, entry BLOB NOT NULL,"
    " ours INTEGER NOT NULL, inside INTEGER NOT NULL,"
    " member TEXT NOT NULL, object BLOB NOT NULL, dn TEXT NOT NULL);"
    "CREATE INDEX claim_address ON claim(address);"
    "CREATE TABLE name(kind INTEGER NOT NULL, scope TEXT NOT NULL,"
    " name TEXT NOT NULL COLLATE NOCASE, entry BLOB NOT NULL);"
    "CREATE INDEX name_name ON name(name, kind);"
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
};

static const struct db_schema importdb_schema = {
    .what = "import state",
    .cure = "remove the file: it is rebuilt from the contacts' provenance",
    .steps = importdb_steps,
    .count = sizeof(importdb_steps) / sizeof(importdb_steps[0]),
};

/* Takes back the row lent before; the statements must not pile up. */
static void
importdb_take_back(struct importdb *db, enum importdb_slot slot)
{
	if (db->lent[slot] != NULL)
		db_reset(db->lent[slot]);
	db->lent[slot] = NULL;
}

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

static struct slice
importdb_id(const struct id *id)
{
	return id == NULL ? SLICE_NULL : id_slice(id);
}

static void
importdb_id_column(struct db_stmt *stmt, int column, struct id *out_id)
{
	struct slice raw = db_column_blob(stmt, column);

	memset(out_id, 0, sizeof(*out_id));
	if (raw.len == ID_LEN)
		memcpy(out_id->bytes, raw.data, ID_LEN);
}

static const char *
importdb_text(const char *text)
{
	return text == NULL ? "" : text;
}

/* --- survey --- */

int
importdb_survey_clear(struct importdb *db, struct err *err)
{
	return db_exec(db->db,
	    "DELETE FROM entry; DELETE FROM claim; DELETE FROM name", err);
}

int
importdb_entry_put(
    struct importdb *db, const struct importdb_entry *entry, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR REPLACE INTO entry(entry, dn, inside, member,"
		" object, body) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
		&stmt, err) != 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(&entry->entry));
	db_bind_text(stmt, 2, entry->dn);
	db_bind_i64(stmt, 3, entry->inside);
	db_bind_text(stmt, 4, entry->member);
	db_bind_blob_static(stmt, 5, id_slice(&entry->object));
	db_bind_blob_static(stmt, 6, entry->body);
	return db_run(stmt, err);
}

int
importdb_claim_put(struct importdb *db, struct slice address,
    const struct importdb_claim *claim, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT INTO claim(address, entry, ours, inside, member,"
		" object, dn) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		&stmt, err) != 0)
		return -1;
	db_bind_blob_static(stmt, 1, address);
	db_bind_blob_static(stmt, 2, id_slice(&claim->entry));
	db_bind_i64(stmt, 3, claim->ours);
	db_bind_i64(stmt, 4, claim->inside);
	db_bind_text(stmt, 5, importdb_text(claim->member));
	db_bind_blob_static(stmt, 6, id_slice(&claim->object));
	db_bind_text(stmt, 7, importdb_text(claim->dn));
	return db_run(stmt, err);
}

int
importdb_name_put(struct importdb *db, enum importdb_name_kind kind,
    const char *scope, struct slice name, const struct id *entry,
    struct err *err)
{
	struct db_stmt *stmt;
	char *text = mem_strndup((const char *)name.data, name.len);
	int rc;

	rc = db_prepare(db->db,
	    "INSERT INTO name(kind, scope, name, entry)"
	    " VALUES(?1, ?2, ?3, ?4)",
	    &stmt, err);
	if (rc == 0) {
		db_bind_i64(stmt, 1, kind);
		db_bind_text(stmt, 2, scope);
		db_bind_text(stmt, 3, text);
		db_bind_blob(stmt, 4, importdb_id(entry));
		rc = db_run(stmt, err);
	}
	free(text);
	return rc;
}

/* --- reading --- */

int
importdb_entry_find(struct importdb *db, const char *member,
    const struct id *object, struct importdb_entry *out_entry, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	importdb_take_back(db, IMPORTDB_LENT_ENTRY);
	if (db_prepare(db->db,
		"SELECT entry, dn, inside, doomed, body FROM entry"
		" WHERE object = ?1 AND member = ?2"
		" ORDER BY inside DESC, entry LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(object));
	db_bind_text(stmt, 2, member);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	db->lent[IMPORTDB_LENT_ENTRY] = stmt;
	importdb_id_column(stmt, 0, &out_entry->entry);
	out_entry->dn = db_column_text(stmt, 1);
	out_entry->inside = db_column_i64(stmt, 2) != 0;
	out_entry->doomed = db_column_i64(stmt, 3) != 0;
	out_entry->body = db_column_blob(stmt, 4);
	out_entry->member = member;
	out_entry->object = *object;
	return 1;
}

int
importdb_entry_next(struct importdb *db, const struct id *after,
    struct importdb_entry *out_entry, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	importdb_take_back(db, IMPORTDB_LENT_NEXT);
	if (db_prepare(db->db,
		"SELECT entry, dn, member, object, doomed FROM entry"
		" WHERE entry > ?1 AND inside ORDER BY entry LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, importdb_id(after));
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	db->lent[IMPORTDB_LENT_NEXT] = stmt;
	importdb_id_column(stmt, 0, &out_entry->entry);
	out_entry->dn = db_column_text(stmt, 1);
	out_entry->member = db_column_text(stmt, 2);
	importdb_id_column(stmt, 3, &out_entry->object);
	out_entry->doomed = db_column_i64(stmt, 4) != 0;
	out_entry->inside = true;
	out_entry->body = SLICE_NULL;
	return 1;
}

int
importdb_entry_doom(
    struct importdb *db, const struct id *entry, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, "UPDATE entry SET doomed = 1 WHERE entry = ?1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(entry));
	return db_run(stmt, err);
}

int
importdb_claim_find(struct importdb *db, struct slice address,
    const char *member, const struct id *object,
    struct importdb_claim *out_claim, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	importdb_take_back(db, IMPORTDB_LENT_CLAIM);
	if (db_prepare(db->db,
		"SELECT c.entry, c.ours, c.inside, c.member, c.object, c.dn,"
		" coalesce(e.doomed, 0) AS gone FROM claim c"
		" LEFT JOIN entry e ON e.entry = c.entry"
		" WHERE c.address = ?1"
		" AND NOT (c.ours AND c.member = ?2 AND c.object = ?3)"
		" ORDER BY gone, c.ours, c.entry LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, address);
	db_bind_text(stmt, 2, member);
	db_bind_blob(stmt, 3, id_slice(object));
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	db->lent[IMPORTDB_LENT_CLAIM] = stmt;
	importdb_id_column(stmt, 0, &out_claim->entry);
	out_claim->ours = db_column_i64(stmt, 1) != 0;
	out_claim->inside = db_column_i64(stmt, 2) != 0;
	out_claim->member = db_column_text(stmt, 3);
	importdb_id_column(stmt, 4, &out_claim->object);
	out_claim->dn = db_column_text(stmt, 5);
	out_claim->doomed = db_column_i64(stmt, 6) != 0;
	return 1;
}

int
importdb_name_taken(struct importdb *db, enum importdb_name_kind kind,
    const char *scope, struct slice name, const struct id *entry,
    struct err *err)
{
	struct db_stmt *stmt;
	char *text = mem_strndup((const char *)name.data, name.len);
	int rc;

	rc = db_prepare(db->db,
	    "SELECT 1 FROM name WHERE name = ?1 AND kind = ?2 AND scope = ?3"
	    " AND entry IS NOT ?4 LIMIT 1",
	    &stmt, err);
	if (rc == 0) {
		db_bind_text(stmt, 1, text);
		db_bind_i64(stmt, 2, kind);
		db_bind_text(stmt, 3, scope);
		/* Planned names carry no entry: nobody's own. */
		if (entry == NULL)
			db_bind_null(stmt, 4);
		else
			db_bind_blob(stmt, 4, id_slice(entry));
		rc = db_step(stmt, err);
		if (rc > 0)
			db_reset(stmt);
	}
	free(text);
	return rc;
}

int
importdb_counts(struct importdb *db, uint64_t *out_inside,
    uint64_t *out_detached, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT count(*) FILTER (WHERE inside),"
		" count(*) FILTER (WHERE NOT inside) FROM entry",
		&stmt, err) != 0)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return -1;
	*out_inside = db_column_u64(stmt, 0);
	*out_detached = db_column_u64(stmt, 1);
	db_reset(stmt);
	return 0;
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
		snprintf(out_link->stream, sizeof(out_link->stream), "%s",
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

/* --- plan --- */

int
importdb_plan_clear(struct importdb *db, struct err *err)
{
	return db_exec(db->db, "DELETE FROM plan", err);
}

int
importdb_plan_put(
    struct importdb *db, const struct importdb_change *change, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT INTO plan(op, member, stream, object, dn, new_rdn,"
		" body, cleared, reason)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
		&stmt, err) != 0)
		return -1;
	db_bind_i64(stmt, 1, change->op);
	db_bind_text(stmt, 2, change->member);
	db_bind_text(stmt, 3, change->stream);
	db_bind_blob_static(stmt, 4, id_slice(&change->object));
	db_bind_text(stmt, 5, change->dn);
	db_bind_text(stmt, 6, importdb_text(change->new_rdn));
	db_bind_blob_static(stmt, 7, change->body);
	db_bind_text(stmt, 8, importdb_text(change->cleared));
	db_bind_text(stmt, 9, importdb_text(change->reason));
	return db_run(stmt, err);
}

static int
importdb_plan_row(struct importdb *db, struct db_stmt *stmt,
    struct importdb_change *out_change, struct err *err)
{
	int rc = db_step(stmt, err);

	if (rc <= 0)
		return rc;
	db->lent[IMPORTDB_LENT_PLAN] = stmt;
	out_change->seq = db_column_u64(stmt, 0);
	out_change->op = (enum importdb_op)db_column_i64(stmt, 1);
	out_change->member = db_column_text(stmt, 2);
	out_change->stream = db_column_text(stmt, 3);
	importdb_id_column(stmt, 4, &out_change->object);
	out_change->dn = db_column_text(stmt, 5);
	out_change->new_rdn = db_column_text(stmt, 6);
	out_change->body = db_column_blob(stmt, 7);
	out_change->cleared = db_column_text(stmt, 8);
	out_change->reason = db_column_text(stmt, 9);
	return 1;
}

int
importdb_plan_next(struct importdb *db, enum importdb_op op, uint64_t after,
    struct importdb_change *out_change, struct err *err)
{
	struct db_stmt *stmt;

	importdb_take_back(db, IMPORTDB_LENT_PLAN);
	if (db_prepare(db->db,
		"SELECT seq, op, member, stream, object, dn, new_rdn, body,"
		" cleared, reason FROM plan WHERE op = ?1 AND seq > ?2"
		" ORDER BY seq LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_i64(stmt, 1, op);
	db_bind_u64(stmt, 2, after);
	return importdb_plan_row(db, stmt, out_change, err);
}

int
importdb_plan_find(struct importdb *db, uint64_t seq,
    struct importdb_change *out_change, struct err *err)
{
	struct db_stmt *stmt;

	importdb_take_back(db, IMPORTDB_LENT_PLAN);
	if (db_prepare(db->db,
		"SELECT seq, op, member, stream, object, dn, new_rdn, body,"
		" cleared, reason FROM plan WHERE seq = ?1",
		&stmt, err) != 0)
		return -1;
	db_bind_u64(stmt, 1, seq);
	return importdb_plan_row(db, stmt, out_change, err);
}

int
importdb_plan_drop(struct importdb *db, uint64_t seq, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, "DELETE FROM plan WHERE seq = ?1", &stmt, err) !=
	    0)
		return -1;
	db_bind_u64(stmt, 1, seq);
	return db_run(stmt, err);
}

int
importdb_plan_hold(struct importdb *db, const char *member, const char *stream,
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"DELETE FROM plan WHERE member = ?1 AND stream = ?2", &stmt,
		err) != 0)
		return -1;
	db_bind_text(stmt, 1, member);
	db_bind_text(stmt, 2, stream);
	return db_run(stmt, err);
}

int
importdb_plan_count(struct importdb *db, enum importdb_op op,
    const char *member, const char *stream, uint64_t *out_count,
    struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT count(*) FROM plan WHERE op = ?1"
		" AND (?2 IS NULL OR (member = ?2 AND stream = ?3))",
		&stmt, err) != 0)
		return -1;
	db_bind_i64(stmt, 1, op);
	if (member == NULL) {
		db_bind_null(stmt, 2);
		db_bind_null(stmt, 3);
	} else {
		db_bind_text(stmt, 2, member);
		db_bind_text(stmt, 3, stream);
	}
	rc = db_step(stmt, err);
	if (rc <= 0)
		return -1;
	*out_count = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
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
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db, "SELECT value FROM note WHERE key = ?1", &stmt,
		err) != 0)
		return -1;
	db_bind_text(stmt, 1, key);
	rc = db_step(stmt, err);
	if (rc > 0) {
		buf_add(out, db_column_blob(stmt, 0));
		db_reset(stmt);
	}
	return rc < 0 ? -1 : 0;
}

int
importdb_note_set(
    struct importdb *db, const char *key, struct slice value, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR REPLACE INTO note(key, value) VALUES(?1, ?2)", &stmt,
		err) != 0)
		return -1;
	db_bind_text(stmt, 1, key);
	db_bind_blob(stmt, 2, value);
	return db_run(stmt, err);
}
