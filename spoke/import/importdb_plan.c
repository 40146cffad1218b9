#include "spoke/import/importdb_internal.h"

int
importdb_plan_clear(struct importdb *db, struct err *err)
{
	return db_exec(db->db, "DELETE FROM plan; DELETE FROM need", err);
}

uint64_t
importdb_plan_last(const struct importdb *db)
{
	return (uint64_t)db_last_rowid(db->db);
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
		" cleared, reason FROM plan p WHERE op = ?1 AND seq > ?2"
		" AND NOT EXISTS (SELECT 1 FROM need n WHERE n.seq = p.seq)"
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
importdb_plan_redirect(
    struct importdb *db, const struct importdb_change *rename, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"UPDATE plan SET dn = ?1"
		" WHERE op = ?2 AND member = ?3 AND object = ?4",
		&stmt, err) != 0)
		return -1;
	db_bind_text(stmt, 1, rename->dn);
	db_bind_i64(stmt, 2, IMPORTDB_MODIFY);
	db_bind_text(stmt, 3, rename->member);
	db_bind_blob(stmt, 4, id_slice(&rename->object));
	return db_run(stmt, err);
}
