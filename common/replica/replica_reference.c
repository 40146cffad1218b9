/*
 * Who names whom, at the source: an object's body carries ids of objects of the
 * stream only, its row what the directory says. When one that is named enters
 * or leaves, those that name it are found here and amended.
 */
#include "common/replica/replica_internal.h"

int
replica_holds(struct replica *replica, const struct id *id, struct err *err)
{
	struct replica_row row;
	int found = replica_row_find(replica->db, id, &row, err);

	return found <= 0 ? found : !row.deleted;
}

int
replica_manager(struct replica *replica, const struct id *id,
    struct id *out_manager, struct err *err)
{
	struct replica_row row;
	int found = replica_row_find(replica->db, id, &row, err);

	if (found <= 0 || row.deleted || !row.has_manager)
		return found < 0 ? -1 : 0;
	*out_manager = row.manager;
	return 1;
}

int
replica_members(struct replica *replica, const struct id *id, struct buf *out,
    struct err *err)
{
	bool there = false;
	int rc = replica_row_live(replica->db,
	    "SELECT members FROM object INDEXED BY object_id "
	    "WHERE id = ?1 AND deleted = 0",
	    id, out, &there, err);

	return rc == 1 ? there : rc;
}

/* What a full reading did not see will be gone. */
static bool
row_stays(const struct replica_intake *intake, const struct replica_row *row)
{
	return !row->deleted && (intake->mode == REPLICA_TOUCHED ||
				    replica_intake_seen(intake, row->rowid));
}

int
replica_intake_has(
    struct replica_intake *intake, const struct id *id, struct err *err)
{
	struct replica_row row;
	int found;

	if (replica_intake_settle(intake, err) < 0)
		return -1;
	found = replica_row_find(intake->db, id, &row, err);
	return found <= 0 ? found : row_stays(intake, &row);
}

static int
row_amend(struct replica_intake *intake, const struct replica_row *row,
    const struct section_object *object, const uint8_t *hash, struct err *err)
{
	uint64_t length;

	if (replica_row_length(intake->db, row->rowid, &length, err) < 0 ||
	    replica_row_rewrite(intake->db, row->rowid, object, hash, err) < 0)
		return -1;
	intake->bytes = intake->bytes - length + object->body.len;
	/* It may count as new or changed already. */
	if (intake->build || row->version == intake->stamp)
		return 0;
	if (replica_intake_seen(intake, row->rowid))
		intake->changes.unchanged--;
	intake->changes.modified++;
	return 0;
}

int
replica_intake_amend(struct replica_intake *intake, const struct id *id,
    struct slice body, struct err *err)
{
	struct section_object object = {
	    .id = *id, .version = intake->stamp, .body = body};
	uint8_t hash[CRYPTO_HASH_LEN];
	struct replica_row row = {.deleted = true};
	char text[ID_HEX_SIZE];
	int rc;

	rc = replica_intake_settle(intake, err);
	if (rc == 0)
		rc = replica_row_find(intake->db, id, &row, err);
	if (rc == 0 || (rc > 0 && row.deleted))
		rc = err_set(err, ERR_INTERNAL,
		    "object %s is amended and not there", id_format(id, text));
	if (rc > 0) {
		crypto_sha256(body, hash);
		rc = memcmp(hash, row.hash, sizeof(hash)) == 0
			 ? 0
			 : row_amend(intake, &row, &object, hash, err);
	}
	if (rc < 0)
		intake->poisoned = true;
	return rc;
}

/* A query of: rowid, id, along, members, body, above ?1, in that order. */
static int
referrer_next(struct replica_intake *intake, const char *sql,
    const struct id *manager, struct replica_referrer *r, struct err *err)
{
	struct db_stmt *stmt;
	struct slice id;
	int rc;

	if (replica_intake_settle(intake, err) < 0 ||
	    db_prepare(intake->db, sql, &stmt, err) < 0)
		return -1;
	db_bind_i64(stmt, 1, r->rowid);
	if (manager != NULL)
		db_bind_blob_static(stmt, 2, id_slice(manager));
	do {
		rc = db_step(stmt, err);
		if (rc <= 0)
			return rc;
		r->rowid = db_column_i64(stmt, 0);
	} while (intake->mode == REPLICA_FULL &&
		 !replica_intake_seen(intake, r->rowid));
	id = db_column_blob(stmt, 1);
	if (id.len == ID_LEN)
		memcpy(r->id.bytes, id.data, ID_LEN);
	r->along = db_column_i64(stmt, 2) != 0;
	if (r->members != NULL) {
		buf_add(r->members, db_column_blob(stmt, 3));
		rc = buf_check(r->members, "memberships", err);
	}
	if (rc >= 0 && r->body != NULL) {
		buf_add(r->body, db_column_blob(stmt, 4));
		rc = buf_check(r->body, "object", err);
	}
	db_reset(stmt);
	return rc < 0 ? -1 : 1;
}

int
replica_intake_subordinate(struct replica_intake *intake,
    const struct id *manager, struct replica_referrer *referrer,
    struct err *err)
{
	return referrer_next(intake,
	    "SELECT rowid, id, along, members, body FROM object "
	    "INDEXED BY object_manager WHERE manager = ?2 AND rowid > ?1 "
	    "ORDER BY rowid",
	    manager, referrer, err);
}

int
replica_intake_group(struct replica_intake *intake,
    struct replica_referrer *referrer, struct err *err)
{
	return referrer_next(intake,
	    "SELECT rowid, id, along, members, body FROM object "
	    "INDEXED BY object_members WHERE members IS NOT NULL "
	    "AND rowid > ?1 ORDER BY rowid",
	    NULL, referrer, err);
}

int
replica_intake_along(struct replica_intake *intake,
    struct replica_referrer *referrer, struct err *err)
{
	return referrer_next(intake,
	    "SELECT rowid, id, along, members, body FROM object "
	    "INDEXED BY object_along WHERE along = 1 AND rowid > ?1 "
	    "ORDER BY rowid",
	    NULL, referrer, err);
}
