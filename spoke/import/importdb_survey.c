#include "spoke/import/importdb_internal.h"
#include "spoke/names.h"

int
importdb_survey_clear(struct importdb *db, struct err *err)
{
	return db_exec(db->db,
	    "DELETE FROM entry; DELETE FROM claim; DELETE FROM name;"
	    " DELETE FROM blocked",
	    err);
}

int
importdb_entry_put(
    struct importdb *db, const struct importdb_entry *entry, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR REPLACE INTO entry(entry, dn, inside, member,"
		" object, body, created)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		&stmt, err) != 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(&entry->entry));
	db_bind_text(stmt, 2, entry->dn);
	db_bind_i64(stmt, 3, entry->inside);
	db_bind_text(stmt, 4, entry->member);
	db_bind_blob_static(stmt, 5, id_slice(&entry->object));
	db_bind_blob_static(stmt, 6, entry->body);
	db_bind_u64(stmt, 7, entry->created_ms);
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

static struct slice
importdb_key(struct importdb *db, struct slice name)
{
	buf_reset(&db->key);
	names_key(name, &db->key);
	return buf_slice(&db->key);
}

int
importdb_name_put(struct importdb *db, enum importdb_name_kind kind,
    const char *scope, struct slice name, const struct id *entry,
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT INTO name(kind, scope, name, entry)"
		" VALUES(?1, ?2, ?3, ?4)",
		&stmt, err) != 0)
		return -1;
	db_bind_i64(stmt, 1, kind);
	db_bind_text(stmt, 2, scope);
	db_bind_blob(stmt, 3, importdb_key(db, name));
	db_bind_blob(stmt, 4, entry == NULL ? SLICE_NULL : id_slice(entry));
	return db_run(stmt, err);
}

int
importdb_name_refuse(
    struct importdb *db, const char *scope, struct slice name, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR IGNORE INTO refused(scope, name) VALUES(?1, ?2)",
		&stmt, err) != 0)
		return -1;
	db_bind_text(stmt, 1, scope);
	db_bind_blob(stmt, 2, importdb_key(db, name));
	return db_run(stmt, err);
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
		"SELECT entry, dn, inside, body FROM entry"
		" WHERE object = ?1 AND member = ?2"
		" ORDER BY inside DESC, created, entry LIMIT 1",
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
	out_entry->body = db_column_blob(stmt, 3);
	out_entry->created_ms = 0;
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
		"SELECT entry, dn, member, object, created FROM entry"
		" WHERE entry > ?1 AND inside ORDER BY entry LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, after == NULL ? SLICE_NULL : id_slice(after));
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	db->lent[IMPORTDB_LENT_NEXT] = stmt;
	importdb_id_column(stmt, 0, &out_entry->entry);
	out_entry->dn = db_column_text(stmt, 1);
	out_entry->member = db_column_text(stmt, 2);
	importdb_id_column(stmt, 3, &out_entry->object);
	out_entry->created_ms = db_column_u64(stmt, 4);
	out_entry->inside = true;
	out_entry->body = SLICE_NULL;
	return 1;
}

int
importdb_entry_doom(
    struct importdb *db, const struct id *entry, size_t stream, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, "UPDATE entry SET doomed = ?2 WHERE entry = ?1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(entry));
	db_bind_u64(stmt, 2, stream + 1);
	return db_run(stmt, err);
}

int
importdb_entry_change(
    struct importdb *db, const struct id *entry, uint64_t seq, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, "UPDATE entry SET change = ?2 WHERE entry = ?1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(entry));
	db_bind_u64(stmt, 2, seq);
	return db_run(stmt, err);
}

/* Who else claims it; ?4 is the stream whose doomed entries do not count. */
#define IMPORTDB_CLAIMS                                                        \
	" FROM claim c LEFT JOIN entry e ON e.entry = c.entry"                 \
	" WHERE c.address = ?1 AND NOT (c.ours AND (c.member = ?2"             \
	" AND c.object = ?3 OR coalesce(e.doomed, 0) = ?4))"

static void
importdb_claim_bind(struct db_stmt *stmt, struct slice address,
    const struct importdb_claimant *claimant)
{
	db_bind_blob(stmt, 1, address);
	db_bind_text(stmt, 2, claimant->member);
	db_bind_blob(stmt, 3, id_slice(&claimant->object));
	db_bind_i64(
	    stmt, 4, claimant->doomed_too ? -1 : (int64_t)claimant->stream + 1);
}

int
importdb_claim_find(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, struct importdb_claim *out_claim,
    struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	importdb_take_back(db, IMPORTDB_LENT_CLAIM);
	if (db_prepare(db->db,
		"SELECT c.entry, c.ours, c.inside, c.member, c.object, c.dn,"
		" coalesce(e.doomed, 0)" IMPORTDB_CLAIMS
		" ORDER BY c.ours, c.inside, c.entry LIMIT 1",
		&stmt, err) != 0)
		return -1;
	importdb_claim_bind(stmt, address, claimant);
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
importdb_claim_holders(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, uint64_t *out_count,
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, "SELECT count(DISTINCT c.entry)" IMPORTDB_CLAIMS,
		&stmt, err) != 0)
		return -1;
	importdb_claim_bind(stmt, address, claimant);
	if (db_step(stmt, err) <= 0)
		return -1;
	*out_count = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
}

int
importdb_claim_own(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT 1 FROM claim WHERE address = ?1 AND ours AND inside"
		" AND member = ?2 AND object = ?3 LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, address);
	db_bind_text(stmt, 2, claimant->member);
	db_bind_blob(stmt, 3, id_slice(&claimant->object));
	rc = db_step(stmt, err);
	if (rc > 0)
		db_reset(stmt);
	return rc;
}

int
importdb_name_taken(struct importdb *db, enum importdb_name_kind kind,
    const char *scope, struct slice name, const struct id *entry,
    struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT 1 FROM name WHERE name = ?1 AND kind = ?2"
		" AND scope = ?3 AND entry IS NOT ?4"
		" UNION ALL SELECT 1 FROM refused WHERE name = ?1"
		" AND scope = ?3 AND ?2 = 0 LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, importdb_key(db, name));
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
	return rc;
}

int
importdb_blocked_put(struct importdb *db, struct slice address, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR IGNORE INTO blocked(address) VALUES(?1)", &stmt,
		err) != 0)
		return -1;
	db_bind_blob_static(stmt, 1, address);
	return db_run(stmt, err);
}

int
importdb_blocked_count(
    struct importdb *db, uint64_t *out_count, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db->db,
		"SELECT count(*) FROM blocked b WHERE NOT EXISTS"
		" (SELECT 1 FROM claim c WHERE c.address = b.address"
		" AND NOT (c.ours AND c.inside))",
		&stmt, err) != 0)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return -1;
	*out_count = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
}
