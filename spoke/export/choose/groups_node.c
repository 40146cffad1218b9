/* The groups of a walk, in a temporary database: there may be very many. */
#include "spoke/export/choose/groups_internal.h"

#include "common/base/mem.h"

static int
nodes_open(struct groups *groups, struct err *err)
{
	if (groups->db != NULL)
		return 0;
	if (db_scratch_open(&groups->db, err) < 0)
		return -1;
	return db_exec(groups->db,
	    "CREATE TABLE node (at INTEGER PRIMARY KEY, id BLOB, dn TEXT, "
	    "dynamic INTEGER);"
	    "CREATE INDEX node_id ON node (id);"
	    "CREATE TABLE roll (at INTEGER PRIMARY KEY, note BLOB)",
	    err);
}

int
groups_node_add(
    struct groups *groups, const struct groups_node *node, struct err *err)
{
	struct db_stmt *stmt;

	if (nodes_open(groups, err) < 0 ||
	    db_prepare(groups->db, "INSERT INTO node VALUES (?1, ?2, ?3, ?4)",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, groups->node_count);
	db_bind_blob_static(stmt, 2, id_slice(&node->id));
	db_bind_text(stmt, 3, node->dn);
	db_bind_i64(stmt, 4, node->dynamic);
	if (db_run(stmt, err) < 0)
		return -1;
	groups->node_count++;
	return 0;
}

int
groups_node_get(const struct groups *groups, size_t index,
    struct groups_node *out, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	INVARIANT(index < groups->node_count);
	if (db_prepare(groups->db,
		"SELECT id, dn, dynamic FROM node WHERE at = ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_u64(stmt, 1, index);
	rc = db_step(stmt, err);
	INVARIANT(rc != 0);
	if (rc < 0)
		return -1;
	rc = id_from_slice(db_column_blob(stmt, 0), &out->id, err);
	if (rc == 0) {
		out->dn = mem_strdup(db_column_text(stmt, 1));
		out->dynamic = db_column_i64(stmt, 2) != 0;
	}
	db_reset(stmt);
	return rc;
}

int
groups_node_has(
    const struct groups *groups, const struct id *id, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (groups->db == NULL)
		return 0;
	if (db_prepare(
		groups->db, "SELECT 1 FROM node WHERE id = ?1", &stmt, err) < 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(id));
	rc = db_step(stmt, err);
	db_reset(stmt);
	return rc;
}

int
groups_node_roll_set(
    struct groups *groups, size_t index, struct slice note, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(
		groups->db, "INSERT INTO roll VALUES (?1, ?2)", &stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, index);
	db_bind_blob_static(stmt, 2, note);
	return db_run(stmt, err);
}

int
groups_node_rolls(struct groups *groups, groups_node_fn *fn, struct err *err)
{
	struct db_stmt *stmt;
	struct id id;
	int rc;

	if (groups->db == NULL)
		return 0;
	if (db_prepare(groups->db,
		"SELECT id, note FROM roll NATURAL JOIN node ORDER BY at",
		&stmt, err) < 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		if (id_from_slice(db_column_blob(stmt, 0), &id, err) < 0 ||
		    fn(groups, &id, db_column_blob(stmt, 1), err) < 0) {
			db_reset(stmt);
			return -1;
		}
	}
	return rc;
}
