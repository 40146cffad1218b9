/*
 * Taking in what a directory holds.
 *
 *   begin ── put, delete … ── [preview] ── finish
 *                                      └── abort
 *
 * An intake into an empty replica builds a new file: rows are appended, the
 * indexes made at the end, duplicates found then ("settled"). Any other works
 * in place, in one transaction, and marks each row that it saw in a bitmap.
 */
#include "common/replica/replica_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"

/* Unseen rows are collected this many at a time before they change. */
#define REPLICA_SWEEP_BATCH 1024

bool
replica_intake_seen(const struct replica_intake *intake, int64_t rowid)
{
	size_t byte = (size_t)rowid / 8;

	/* What stands in a file that this intake began was put by it. */
	if (intake->build)
		return true;
	return byte < intake->seen_bytes &&
	       (intake->seen[byte] & (1u << (rowid % 8))) != 0;
}

static void
replica_intake_seen_mark(struct replica_intake *intake, int64_t rowid)
{
	size_t byte = (size_t)rowid / 8;

	if (intake->build)
		return;
	if (byte >= intake->seen_bytes) {
		size_t bytes = (byte + 1) * 2 + 64;

		intake->seen = mem_realloc(intake->seen, bytes);
		memset(intake->seen + intake->seen_bytes, 0,
		    bytes - intake->seen_bytes);
		intake->seen_bytes = bytes;
	}
	intake->seen[byte] |= (uint8_t)(1u << (rowid % 8));
}

int
replica_intake_begin(struct replica *replica, enum replica_intake_mode mode,
    struct replica_intake **out_intake, struct err *err)
{
	struct replica_intake *intake = mem_calloc(1, sizeof(*intake));

	*out_intake = NULL;
	buf_init(&intake->before, LIMIT_OBJECT_BYTES);
	intake->replica = replica;
	intake->mode = mode;
	if (replica_fresh(replica, err) < 0)
		goto fail;
	if (mode == REPLICA_FULL && replica->meta.state.version == 0) {
		if (replica_build_begin(replica, &intake->db, err) < 0)
			goto fail;
		intake->build = replica->meta.state.version == 0;
		/* Another process was first. */
		if (!intake->build)
			replica_build_abort(replica, intake->db);
	}
	if (!intake->build) {
		if (replica_write_begin(replica, err) < 0)
			goto fail;
		intake->db = replica->db;
	}
	intake->settled = !intake->build;
	intake->stamp = replica->meta.state.version + 1;
	intake->bytes = replica->meta.bytes;
	*out_intake = intake;
	return 0;
fail:
	buf_fini(&intake->before);
	free(intake);
	return -1;
}

void
replica_intake_watch(
    struct replica_intake *intake, replica_watch_fn *fn, void *arg)
{
	/* Nothing was there before. */
	intake->watch = intake->build ? NULL : fn;
	intake->watch_arg = arg;
}

static void
replica_intake_free(struct replica_intake *intake)
{
	buf_fini(&intake->before);
	free(intake->seen);
	free(intake);
}

void
replica_intake_abort(struct replica_intake *intake)
{
	if (intake == NULL)
		return;
	if (intake->build)
		replica_build_abort(intake->replica, intake->db);
	else
		db_rollback(intake->replica->db);
	replica_intake_free(intake);
}

int
replica_intake_settle(struct replica_intake *intake, struct err *err)
{
	uint8_t root[CRYPTO_HASH_LEN];
	uint64_t count, duplicates;

	if (intake->settled)
		return 0;
	if (db_exec(intake->db, replica_sql_indexes, err) < 0 ||
	    (intake->managers &&
		db_exec(intake->db, REPLICA_INDEX_MANAGER, err) < 0) ||
	    replica_root_compute(intake->db, root, &count, &duplicates, err) <
		0)
		return -1;
	if (duplicates > 0) {
		struct db_stmt *stmt;

		if (db_prepare(intake->db,
			"DELETE FROM object WHERE EXISTS (SELECT 1 FROM object "
			"AS first INDEXED BY object_id WHERE first.id = "
			"object.id AND first.rowid < object.rowid)",
			&stmt, err) < 0 ||
		    db_run(stmt, err) < 0 ||
		    db_prepare(intake->db, "SELECT sum(length) FROM object",
			&stmt, err) < 0 ||
		    db_step(stmt, err) < 0)
			return -1;
		intake->bytes = db_column_u64(stmt, 0);
		db_reset(stmt);
		intake->changes.added = count;
	}
	intake->settled = true;
	return 0;
}

static int
replica_intake_twice(const struct id *id, const char *what, struct err *err)
{
	char text[ID_HEX_SIZE];

	return err_set(err, ERR_BAD_DATA, "object %s came twice%s",
	    id_format(id, text), what);
}

/* live: it is one already. */
static int
replica_intake_tell(struct replica_intake *intake,
    const struct section_object *object, bool live, struct err *err)
{
	if (intake->watch == NULL)
		return 0;
	buf_reset(&intake->before);
	if (live &&
	    replica_get(intake->replica, &object->id, &intake->before, err) < 0)
		return -1;
	return intake->watch(intake->watch_arg, &object->id,
	    buf_slice(&intake->before), object->body, err);
}

static int
replica_intake_add(struct replica_intake *intake,
    const struct section_object *object, const uint8_t *hash,
    const struct replica_references *references, struct err *err)
{
	/* Filled at the end, an index takes less than row by row. */
	if (!intake->settled && !intake->managers && references != NULL &&
	    references->manager != NULL) {
		intake->managers = true;
		if (db_exec(intake->db, "DROP INDEX object_manager", err) < 0)
			return -1;
	}
	if (replica_intake_tell(intake, object, false, err) < 0 ||
	    replica_row_insert(intake->db, object, hash, references, err) < 0)
		return -1;
	intake->changes.added++;
	intake->bytes += object->body.len;
	if (intake->settled)
		replica_intake_seen_mark(intake, db_last_rowid(intake->db));
	return 0;
}

/* The content stays; whom it names may not, without being in the content. */
static int
replica_intake_refer(struct replica_intake *intake,
    const struct replica_row *row, const struct replica_references *references,
    struct err *err)
{
	const struct id *manager =
	    references == NULL ? NULL : references->manager;
	int same =
	    row->has_manager
		? manager != NULL && id_compare(&row->manager, manager) == 0
		: manager == NULL;

	if (same && references != NULL && references->has_members)
		same = replica_row_members_equal(
		    intake->db, row->rowid, references->members, err);
	if (same != 0)
		return same < 0 ? -1 : 0;
	return replica_row_refer(intake->db, row->rowid, references, err);
}

/* The row exists, as an object or a tombstone. */
static int
replica_intake_change(struct replica_intake *intake,
    const struct replica_row *row, const struct section_object *object,
    const uint8_t *hash, const struct replica_references *references,
    struct err *err)
{
	bool same =
	    !row->deleted && memcmp(row->hash, hash, CRYPTO_HASH_LEN) == 0;
	uint64_t length = 0;

	if (replica_intake_seen(intake, row->rowid)) {
		if (same)
			return 0;
		return replica_intake_twice(&object->id,
		    row->deleted ? ", deleted and put"
				 : " with different content",
		    err);
	}
	replica_intake_seen_mark(intake, row->rowid);
	if (same) {
		intake->changes.unchanged++;
		return replica_intake_refer(intake, row, references, err);
	}
	if (replica_intake_tell(intake, object, !row->deleted, err) < 0 ||
	    (!row->deleted &&
		replica_row_length(intake->db, row->rowid, &length, err) < 0))
		return -1;
	if (replica_row_update(
		intake->db, row->rowid, object, hash, references, err) < 0)
		return -1;
	intake->bytes = intake->bytes - length + object->body.len;
	if (row->deleted)
		intake->changes.added++;
	else
		intake->changes.modified++;
	return 0;
}

static int
replica_intake_take(struct replica_intake *intake, const struct id *id,
    struct slice body, const struct replica_references *references,
    struct err *err)
{
	struct section_object object = {
	    .id = *id, .version = intake->stamp, .body = body};
	uint8_t hash[CRYPTO_HASH_LEN];
	struct replica_row row;
	int found = 0;

	if (body.len == 0)
		return err_set(err, ERR_INTERNAL, "an object without body");
	if (body.len > LIMIT_OBJECT_BYTES) {
		char text[ID_HEX_SIZE];

		return err_set(err, ERR_LIMIT,
		    "object %s has %zu bytes, the limit is %d",
		    id_format(id, text), body.len, LIMIT_OBJECT_BYTES);
	}
	crypto_sha256(body, hash);
	if (intake->settled)
		found = replica_row_find(intake->db, id, &row, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return replica_intake_add(
		    intake, &object, hash, references, err);
	return replica_intake_change(
	    intake, &row, &object, hash, references, err);
}

int
replica_intake_put(struct replica_intake *intake, const struct id *id,
    struct slice body, struct err *err)
{
	return replica_intake_put_with(intake, id, body, NULL, err);
}

int
replica_intake_put_with(struct replica_intake *intake, const struct id *id,
    struct slice body, const struct replica_references *references,
    struct err *err)
{
	if (replica_intake_take(intake, id, body, references, err) == 0)
		return 0;
	intake->poisoned = true;
	return -1;
}

int
replica_intake_keep(
    struct replica_intake *intake, const struct id *id, struct err *err)
{
	struct replica_row row;
	int found;

	/* Nothing was there before a build. */
	if (intake->build)
		return 0;
	found = replica_row_find(intake->db, id, &row, err);
	if (found <= 0 || row.deleted)
		return found < 0 ? -1 : 0;
	if (!replica_intake_seen(intake, row.rowid)) {
		replica_intake_seen_mark(intake, row.rowid);
		intake->changes.unchanged++;
	}
	return 1;
}

/* Makes a live row a tombstone. */
static int
replica_intake_bury(
    struct replica_intake *intake, int64_t rowid, struct err *err)
{
	struct section_object tombstone = {
	    .version = intake->stamp, .deleted = true};
	uint64_t length;

	if (replica_row_length(intake->db, rowid, &length, err) < 0 ||
	    replica_row_update(intake->db, rowid, &tombstone, NULL, NULL, err) <
		0)
		return -1;
	intake->bytes -= length;
	intake->changes.deleted++;
	return 0;
}

static int
replica_intake_drop(
    struct replica_intake *intake, const struct id *id, struct err *err)
{
	struct replica_row row;
	int found;

	if (replica_intake_settle(intake, err) < 0)
		return -1;
	found = replica_row_find(intake->db, id, &row, err);
	if (found <= 0 || row.deleted)
		return found < 0 ? -1 : 0;
	if (replica_intake_seen(intake, row.rowid))
		return replica_intake_twice(id, ", put and deleted", err);
	replica_intake_seen_mark(intake, row.rowid);
	return replica_intake_bury(intake, row.rowid, err);
}

int
replica_intake_delete(
    struct replica_intake *intake, const struct id *id, struct err *err)
{
	if (replica_intake_drop(intake, id, err) == 0)
		return 0;
	intake->poisoned = true;
	return -1;
}

static int
replica_intake_check(const struct replica_intake *intake, struct err *err)
{
	if (!intake->poisoned)
		return 0;
	return err_set(err, ERR_INTERNAL,
	    "an object could not be taken in, so nothing is");
}

/* Live objects of before that were not seen. */
static uint64_t
replica_intake_unseen(const struct replica_intake *intake)
{
	const struct replica_changes *c = &intake->changes;

	if (intake->mode == REPLICA_TOUCHED)
		return 0;
	return intake->replica->meta.state.count - c->unchanged - c->modified -
	       c->deleted;
}

int
replica_intake_preview(struct replica_intake *intake,
    struct replica_changes *out_changes, struct err *err)
{
	if (replica_intake_check(intake, err) < 0)
		return -1;
	if (replica_intake_settle(intake, err) < 0) {
		intake->poisoned = true;
		return -1;
	}
	*out_changes = intake->changes;
	out_changes->deleted += replica_intake_unseen(intake);
	if (intake->mode == REPLICA_TOUCHED)
		out_changes->unchanged = intake->replica->meta.state.count -
					 out_changes->modified -
					 out_changes->deleted;
	return 0;
}

int
replica_intake_gone(struct replica_intake *intake, replica_id_fn *fn, void *arg,
    struct err *err)
{
	bool full = intake->mode == REPLICA_FULL;
	struct db_stmt *stmt;
	struct id id;
	int rc;

	if (replica_intake_check(intake, err) < 0 ||
	    replica_intake_settle(intake, err) < 0 ||
	    db_prepare(intake->db,
		"SELECT rowid, id, deleted FROM object INDEXED BY object_id "
		"WHERE deleted = 0 AND ?1 OR deleted = 1 AND version = ?2 "
		"ORDER BY id",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, full);
	db_bind_u64(stmt, 2, intake->stamp);
	while ((rc = db_step(stmt, err)) > 0) {
		/* What is gone by name bears our stamp; of a full read also
		 * what it did not show. */
		if (db_column_u64(stmt, 2) == 0 &&
		    replica_intake_seen(intake, db_column_i64(stmt, 0)))
			continue;
		rc = id_from_slice(db_column_blob(stmt, 1), &id, err);
		if (rc == 0)
			rc = fn(arg, &id, err);
		if (rc < 0)
			break;
	}
	db_reset(stmt);
	return rc;
}

struct replica_sweep {
	uint8_t after[ID_LEN]; /* the last id looked at */
	size_t after_len;      /* 0: from the start */
	int64_t rowids[REPLICA_SWEEP_BATCH];
	size_t count;
};

/* Collects the next unseen live rows. */
static int
replica_intake_collect(
    struct replica_intake *intake, struct replica_sweep *sweep, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	sweep->count = 0;
	if (db_prepare(intake->db,
		"SELECT rowid, id FROM object INDEXED BY object_id "
		"WHERE id > ?1 AND deleted = 0 ORDER BY id",
		&stmt, err) < 0)
		return -1;
	db_bind_blob(stmt, 1, slice_make(sweep->after, sweep->after_len));
	while ((rc = db_step(stmt, err)) > 0) {
		struct slice id = db_column_blob(stmt, 1);
		int64_t rowid = db_column_i64(stmt, 0);

		if (replica_intake_seen(intake, rowid) || id.len != ID_LEN)
			continue;
		sweep->rowids[sweep->count++] = rowid;
		if (sweep->count < REPLICA_SWEEP_BATCH)
			continue;
		memcpy(sweep->after, id.data, ID_LEN);
		sweep->after_len = ID_LEN;
		db_reset(stmt);
		return 0;
	}
	return rc;
}

/* Deletes what a full read did not show. */
static int
replica_intake_sweep(struct replica_intake *intake, struct err *err)
{
	struct replica_sweep sweep = {.after_len = 0};

	if (replica_intake_unseen(intake) == 0)
		return 0;
	do {
		if (replica_intake_collect(intake, &sweep, err) < 0)
			return -1;
		for (size_t i = 0; i < sweep.count; i++) {
			if (replica_intake_bury(intake, sweep.rowids[i], err) <
			    0)
				return -1;
		}
	} while (sweep.count == REPLICA_SWEEP_BATCH);
	return 0;
}

/* The state after finish, with the root recomputed. */
static int
replica_intake_meta(struct replica_intake *intake, int64_t now_ms,
    struct replica_meta *out_meta, struct err *err)
{
	const struct replica_changes *c = &intake->changes;
	struct replica_meta meta = intake->replica->meta;
	uint64_t now = now_ms > 0 ? (uint64_t)now_ms : 1;
	uint64_t expected = meta.state.count + c->added - c->deleted;
	uint64_t duplicates;

	meta.state.version =
	    now > meta.state.version ? now : meta.state.version + 1;
	meta.bytes = intake->bytes;
	if (replica_root_compute(intake->db, meta.state.root, &meta.state.count,
		&duplicates, err) < 0)
		return -1;
	if (duplicates != 0 || meta.state.count != expected)
		return err_set(err, ERR_IO,
		    "database %s is damaged (%llu objects where %llu should "
		    "be): %s",
		    intake->replica->path, (unsigned long long)meta.state.count,
		    (unsigned long long)expected, replica_schema.cure);
	*out_meta = meta;
	return 0;
}

/* Frees nothing but, in a build, db. */
static int
replica_intake_commit(
    struct replica_intake *intake, int64_t now_ms, struct err *err)
{
	struct replica *replica = intake->replica;
	struct replica_meta meta;

	if (replica_intake_meta(intake, now_ms, &meta, err) < 0)
		return -1;
	if (intake->build) {
		struct db *db = intake->db;

		intake->db = NULL;
		return replica_build_commit(
		    replica, db, &meta, SLICE_NULL, err);
	}
	if (replica_checkpoint_record(replica->db, &meta, err) < 0)
		return -1;
	return replica_write_commit(replica, &meta, err);
}

int
replica_intake_finish(struct replica_intake *intake, int64_t now_ms, bool force,
    struct replica_changes *out_changes, struct err *err)
{
	struct replica_changes changes;
	int rc = -1;

	if (replica_intake_preview(intake, &changes, err) < 0)
		goto out;
	*out_changes = changes;
	if (changes.added + changes.modified + changes.deleted == 0 && !force) {
		/* The commit keeps notes that were set on the way. */
		rc = db_commit(intake->replica->db, err);
		goto out;
	}
	if (replica_intake_sweep(intake, err) < 0 ||
	    replica_intake_commit(intake, now_ms, err) < 0)
		goto out;
	replica_intake_free(intake);
	return 0;
out:
	/* Nothing is left to roll back when the commit was made. */
	replica_intake_abort(intake);
	return rc;
}
