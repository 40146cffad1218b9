/* Rows of table object, and the root over them. */
#include "common/replica/replica_internal.h"

/* Ids and hashes are handed to SHA-256 this many at a time. */
#define REPLICA_ROOT_BATCH 128
#define REPLICA_PAIR_LEN (ID_LEN + CRYPTO_HASH_LEN)

static int
replica_row_damaged(struct db *db, const char *what, struct err *err)
{
	return err_set(err, ERR_IO, "database %s is damaged (%s): %s",
	    db_path(db), what, replica_schema.cure);
}

int
replica_row_find(struct db *db, const struct id *id,
    struct replica_row *out_row, struct err *err)
{
	struct db_stmt *stmt;
	struct slice hash, manager;
	int rc;

	if (db_prepare(db,
		"SELECT rowid, deleted, hash, version, manager "
		"FROM object INDEXED BY object_id WHERE id = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(id));
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	out_row->rowid = db_column_i64(stmt, 0);
	out_row->deleted = db_column_i64(stmt, 1) != 0;
	memset(out_row->hash, 0, sizeof(out_row->hash));
	hash = db_column_blob(stmt, 2);
	out_row->version = db_column_u64(stmt, 3);
	manager = db_column_blob(stmt, 4);
	out_row->has_manager = manager.len == ID_LEN;
	if (out_row->has_manager)
		memcpy(out_row->manager.bytes, manager.data, ID_LEN);
	if (out_row->rowid <= 0 ||
	    (!out_row->deleted && hash.len != CRYPTO_HASH_LEN))
		rc = replica_row_damaged(db, "row of an object", err);
	else if (!out_row->deleted)
		memcpy(out_row->hash, hash.data, CRYPTO_HASH_LEN);
	db_reset(stmt);
	return rc;
}

int
replica_row_live(struct db *db, const char *sql, const struct id *id,
    struct buf *out, bool *out_there, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db, sql, &stmt, err) < 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(id));
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	*out_there = !db_column_is_null(stmt, 0);
	buf_add(out, db_column_blob(stmt, 0));
	db_reset(stmt);
	return buf_check(out, "object", err) < 0 ? -1 : 1;
}

int
replica_row_length(
    struct db *db, int64_t rowid, uint64_t *out_length, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	*out_length = 0;
	if (db_prepare(db, "SELECT length FROM object WHERE rowid = ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_i64(stmt, 1, rowid);
	rc = db_step(stmt, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return replica_row_damaged(
		    db, "an index entry without row", err);
	*out_length = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
}

/* Binds 1..5: version, deleted, hash, length, body. */
static void
replica_row_bind(struct db_stmt *stmt, const struct section_object *object,
    const uint8_t *hash)
{
	struct slice body = object->deleted ? SLICE_NULL : object->body;

	db_bind_u64(stmt, 1, object->version);
	db_bind_i64(stmt, 2, object->deleted);
	db_bind_blob_static(stmt, 3,
	    object->deleted ? SLICE_NULL : slice_make(hash, CRYPTO_HASH_LEN));
	db_bind_u64(stmt, 4, body.len);
	db_bind_blob_static(stmt, 5, body);
}

/* Binds at, at + 1, at + 2: manager, members, along. NULL: none. */
static void
replica_row_bind_references(
    struct db_stmt *stmt, int at, const struct replica_references *r)
{
	if (r != NULL && r->manager != NULL)
		db_bind_blob_static(stmt, at, id_slice(r->manager));
	else
		db_bind_null(stmt, at);
	if (r != NULL && r->has_members)
		db_bind_blob_static(stmt, at + 1, r->members);
	else
		db_bind_null(stmt, at + 1);
	if (r != NULL && r->along)
		db_bind_i64(stmt, at + 2, 1);
	else
		db_bind_null(stmt, at + 2);
}

int
replica_row_insert(struct db *db, const struct section_object *object,
    const uint8_t hash[CRYPTO_HASH_LEN],
    const struct replica_references *references, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"INSERT INTO object (version, deleted, hash, length, body, "
		"id, manager, members, along) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
		&stmt, err) < 0)
		return -1;
	replica_row_bind(stmt, object, hash);
	db_bind_blob_static(stmt, 6, id_slice(&object->id));
	replica_row_bind_references(stmt, 7, references);
	return db_run(stmt, err);
}

int
replica_row_update(struct db *db, int64_t rowid,
    const struct section_object *object, const uint8_t hash[CRYPTO_HASH_LEN],
    const struct replica_references *references, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"UPDATE object SET version = ?1, deleted = ?2, hash = ?3, "
		"length = ?4, body = ?5, manager = ?7, members = ?8, "
		"along = ?9 WHERE rowid = ?6",
		&stmt, err) < 0)
		return -1;
	replica_row_bind(stmt, object, hash);
	db_bind_i64(stmt, 6, rowid);
	replica_row_bind_references(stmt, 7, references);
	return db_run(stmt, err);
}

int
replica_row_refer(struct db *db, int64_t rowid,
    const struct replica_references *references, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"UPDATE object SET manager = ?2, members = ?3, along = ?4 "
		"WHERE rowid = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_i64(stmt, 1, rowid);
	replica_row_bind_references(stmt, 2, references);
	return db_run(stmt, err);
}

int
replica_row_rewrite(struct db *db, int64_t rowid,
    const struct section_object *object, const uint8_t hash[CRYPTO_HASH_LEN],
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"UPDATE object SET version = ?1, deleted = ?2, hash = ?3, "
		"length = ?4, body = ?5 WHERE rowid = ?6",
		&stmt, err) < 0)
		return -1;
	replica_row_bind(stmt, object, hash);
	db_bind_i64(stmt, 6, rowid);
	return db_run(stmt, err);
}

int
replica_row_members_equal(
    struct db *db, int64_t rowid, struct slice members, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db,
		"SELECT members IS NOT NULL AND members = ?2 FROM object "
		"WHERE rowid = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_i64(stmt, 1, rowid);
	db_bind_blob_static(stmt, 2, members);
	rc = db_step(stmt, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return replica_row_damaged(
		    db, "an index entry without row", err);
	rc = db_column_i64(stmt, 0) != 0;
	db_reset(stmt);
	return rc;
}

struct replica_root {
	struct crypto_hash *hash;
	uint8_t pairs[REPLICA_ROOT_BATCH * REPLICA_PAIR_LEN];
	size_t used;
	uint8_t last[REPLICA_PAIR_LEN];
	uint64_t count, duplicates;
};

static int
replica_root_add(struct replica_root *root, struct db *db, struct slice id,
    struct slice hash, struct err *err)
{
	uint8_t *pair = root->pairs + root->used;
	int order;

	if (id.len != ID_LEN || hash.len != CRYPTO_HASH_LEN)
		return replica_row_damaged(db, "index entry of an object", err);
	order = root->count == 0 ? 1 : memcmp(id.data, root->last, ID_LEN);
	if (order < 0)
		return replica_row_damaged(db, "order of the index", err);
	if (order == 0) {
		char text[ID_HEX_SIZE];
		struct id twice;

		if (memcmp(hash.data, root->last + ID_LEN, hash.len) == 0) {
			root->duplicates++;
			return 0;
		}
		memcpy(twice.bytes, id.data, ID_LEN);
		return err_set(err, ERR_BAD_DATA,
		    "object %s came twice with different content",
		    id_format(&twice, text));
	}
	memcpy(pair, id.data, ID_LEN);
	memcpy(pair + ID_LEN, hash.data, CRYPTO_HASH_LEN);
	memcpy(root->last, pair, REPLICA_PAIR_LEN);
	root->used += REPLICA_PAIR_LEN;
	root->count++;
	if (root->used == sizeof(root->pairs)) {
		crypto_hash_add(
		    root->hash, slice_make(root->pairs, root->used));
		root->used = 0;
	}
	return 0;
}

int
replica_root_compute(struct db *db, uint8_t out_root[CRYPTO_HASH_LEN],
    uint64_t *out_count, uint64_t *out_duplicates, struct err *err)
{
	struct replica_root root = {.hash = crypto_hash_new()};
	struct db_stmt *stmt;
	int rc = -1;

	if (db_prepare(db,
		"SELECT id, hash FROM object INDEXED BY object_id "
		"WHERE deleted = 0 ORDER BY id",
		&stmt, err) < 0)
		goto out;
	while ((rc = db_step(stmt, err)) > 0) {
		if (replica_root_add(&root, db, db_column_blob(stmt, 0),
			db_column_blob(stmt, 1), err) < 0) {
			db_reset(stmt);
			rc = -1;
			goto out;
		}
	}
	if (rc < 0)
		goto out;
	crypto_hash_add(root.hash, slice_make(root.pairs, root.used));
	crypto_hash_final(root.hash, out_root);
	*out_count = root.count;
	*out_duplicates = root.duplicates;
out:
	crypto_hash_free(root.hash);
	return rc;
}
