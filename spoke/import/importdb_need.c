#include "spoke/import/importdb_internal.h"

int
importdb_need_put(struct importdb *db, const struct id *entry,
    struct slice address, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT INTO need(seq, entry, address) VALUES(0, ?1, ?2)",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(entry));
	db_bind_blob(stmt, 2, address);
	return db_run(stmt, err);
}

int
importdb_need_put_doomed(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, bool *out_any, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT INTO need(seq, entry, address)"
		" SELECT DISTINCT 0, c.entry, c.address FROM claim c"
		" JOIN entry e ON e.entry = c.entry WHERE c.address = ?1"
		" AND e.doomed = ?4 AND NOT EXISTS (SELECT 1 FROM claim o"
		" WHERE o.address = ?1 AND o.ours AND o.inside"
		" AND o.member = ?2 AND o.object = ?3)",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, address);
	db_bind_text(stmt, 2, claimant->member);
	db_bind_blob(stmt, 3, id_slice(&claimant->object));
	db_bind_u64(stmt, 4, claimant->stream + 1);
	if (db_run(stmt, err) != 0)
		return -1;
	*out_any = db_changes(db->db) > 0;
	return 0;
}

int
importdb_need_bind(struct importdb *db, uint64_t seq, struct err *err)
{
	struct db_stmt *stmt;

	if (seq == 0)
		return db_exec(db->db, "DELETE FROM need WHERE seq = 0", err);
	if (db_prepare(db->db, "UPDATE need SET seq = ?1 WHERE seq = 0", &stmt,
		err) != 0)
		return -1;
	db_bind_u64(stmt, 1, seq);
	return db_run(stmt, err);
}

int
importdb_need_link(struct importdb *db, struct err *err)
{
	return db_exec(db->db,
	    "UPDATE need SET holder = coalesce((SELECT e.change FROM entry e"
	    " WHERE e.entry = need.entry), 0)",
	    err);
}

static int
importdb_need_delete(
    struct importdb *db, const char *sql, uint64_t seq, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, sql, &stmt, err) != 0)
		return -1;
	db_bind_u64(stmt, 1, seq);
	return db_run(stmt, err);
}

int
importdb_need_met(struct importdb *db, uint64_t seq, struct err *err)
{
	return importdb_need_delete(
	    db, "DELETE FROM need WHERE holder = ?1", seq, err);
}

static int
importdb_need_row(struct importdb *db, struct db_stmt *stmt,
    struct importdb_need *out_need, struct err *err)
{
	int rc = db_step(stmt, err);

	if (rc <= 0)
		return rc;
	db->lent[IMPORTDB_LENT_NEED] = stmt;
	out_need->row = db_column_u64(stmt, 0);
	out_need->seq = db_column_u64(stmt, 1);
	out_need->holder = db_column_u64(stmt, 2);
	out_need->address = db_column_blob(stmt, 3);
	out_need->member = db_column_text(stmt, 4);
	importdb_id_column(stmt, 5, &out_need->object);
	out_need->dn = db_column_text(stmt, 6);
	return 1;
}

#define IMPORTDB_NEEDS                                                         \
	"SELECT n.row, n.seq, n.holder, n.address, p.member, p.object, e.dn"   \
	" FROM need n JOIN plan p ON p.seq = n.seq"                            \
	" LEFT JOIN entry e ON e.entry = n.entry WHERE "

int
importdb_need_stuck(struct importdb *db, uint64_t after,
    struct importdb_need *out_need, struct err *err)
{
	struct db_stmt *stmt;

	importdb_take_back(db, IMPORTDB_LENT_NEED);
	if (db_prepare(db->db,
		IMPORTDB_NEEDS "n.row > ?1 AND NOT EXISTS"
			       " (SELECT 1 FROM plan h WHERE h.seq = n.holder)"
			       " ORDER BY n.row LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_u64(stmt, 1, after);
	return importdb_need_row(db, stmt, out_need, err);
}

int
importdb_need_waiting(struct importdb *db, uint64_t holder,
    struct importdb_need *out_need, struct err *err)
{
	struct db_stmt *stmt;

	importdb_take_back(db, IMPORTDB_LENT_NEED);
	if (db_prepare(db->db, IMPORTDB_NEEDS "n.holder = ?1 LIMIT 1", &stmt,
		err) != 0)
		return -1;
	db_bind_u64(stmt, 1, holder);
	return importdb_need_row(db, stmt, out_need, err);
}

int
importdb_need_find(struct importdb *db, uint64_t seq,
    struct importdb_need *out_need, struct err *err)
{
	struct db_stmt *stmt;

	importdb_take_back(db, IMPORTDB_LENT_NEED);
	if (db_prepare(db->db,
		seq == 0 ? IMPORTDB_NEEDS "p.op = ?1 ORDER BY n.row LIMIT 1"
			 : IMPORTDB_NEEDS "n.seq = ?1 ORDER BY n.row LIMIT 1",
		&stmt, err) != 0)
		return -1;
	db_bind_u64(stmt, 1, seq == 0 ? IMPORTDB_MODIFY : seq);
	return importdb_need_row(db, stmt, out_need, err);
}

int
importdb_need_count(struct importdb *db, uint64_t *out_count, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db, "SELECT count(*) FROM need", &stmt, err) != 0 ||
	    db_step(stmt, err) <= 0)
		return -1;
	*out_count = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
}

int
importdb_need_give_up(struct importdb *db, uint64_t seq, struct err *err)
{
	struct db_stmt *stmt;

	/* The planner puts a rename right before the other change. */
	if (db_prepare(db->db,
		"DELETE FROM plan WHERE seq = ?1 - 1 AND op = ?2 AND object ="
		" (SELECT p.object FROM plan p WHERE p.seq = ?1)",
		&stmt, err) != 0)
		return -1;
	db_bind_u64(stmt, 1, seq);
	db_bind_i64(stmt, 2, IMPORTDB_RENAME);
	if (db_run(stmt, err) != 0 || importdb_plan_drop(db, seq, err) != 0)
		return -1;
	return importdb_need_delete(
	    db, "DELETE FROM need WHERE seq = ?1", seq, err);
}

/* --- contacts that the run has counted --- */

int
importdb_written_clear(struct importdb *db, struct err *err)
{
	return db_exec(db->db, "DELETE FROM written", err);
}

int
importdb_written_put(struct importdb *db, const char *member,
    const struct id *object, bool *out_first, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db->db,
		"INSERT OR IGNORE INTO written(object, member)"
		" VALUES(?1, ?2)",
		&stmt, err) != 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(object));
	db_bind_text(stmt, 2, member);
	if (db_run(stmt, err) != 0)
		return -1;
	*out_first = db_changes(db->db) > 0;
	return 0;
}
