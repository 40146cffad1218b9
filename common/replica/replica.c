#include "common/replica/db_note.h"
#include "common/replica/replica_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"

#define REPLICA_NOTE_KEY_MAX 63

/* manager, members and along: at a source only, see replica_references. What is
 * partial comes first: in a file that is being built it stays empty, or small,
 * but for object_manager (replica_intake.c). */
#define REPLICA_TABLE_OBJECT                                                   \
	"CREATE TABLE object ("                                                \
	" rowid INTEGER PRIMARY KEY,"                                          \
	" id BLOB NOT NULL,"                                                   \
	" version INTEGER NOT NULL,"                                           \
	" deleted INTEGER NOT NULL,"                                           \
	" hash BLOB NOT NULL,"                                                 \
	" length INTEGER NOT NULL,"                                            \
	" manager BLOB, members BLOB, along INTEGER,"                          \
	" body BLOB NOT NULL);"                                                \
	"CREATE INDEX object_tombstone ON object (version) WHERE deleted = 1;" \
	"CREATE INDEX object_members ON object (rowid) "                       \
	"WHERE members IS NOT NULL;"                                           \
	"CREATE INDEX object_along ON object (rowid) WHERE along = "           \
	"1;" REPLICA_INDEX_MANAGER
#define REPLICA_INDEXES                                                        \
	"CREATE INDEX object_id ON object (id, deleted, version, hash, "       \
	"manager);"                                                            \
	"CREATE INDEX object_version ON object (version, length);"

/* state starts with the root of nothing, SHA-256 of the empty string. */
const char replica_sql_tables[] = REPLICA_TABLE_OBJECT
    "CREATE TABLE checkpoint ("
    " version INTEGER PRIMARY KEY,"
    " root BLOB NOT NULL,"
    " count INTEGER NOT NULL);"
    "CREATE TABLE note (key TEXT PRIMARY KEY, value BLOB NOT NULL);"
    "CREATE TABLE state ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " version INTEGER NOT NULL,"
    " floor INTEGER NOT NULL,"
    " count INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " issued_at INTEGER NOT NULL,"
    " root BLOB NOT NULL,"
    " terms BLOB NOT NULL,"
    " manifest BLOB NOT NULL);"
    "INSERT INTO state VALUES (1, 0, 0, 0, 0, 0,"
    " x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',"
    " zeroblob(32), x'');";

const char replica_sql_indexes[] = REPLICA_INDEXES;

/* Files of before had no references; a new one has nothing to copy. */
static const char replica_sql_references[] =
    "ALTER TABLE object RENAME TO former;"
    "DROP INDEX object_id; DROP INDEX object_version;"
    "DROP INDEX object_tombstone; DROP INDEX IF EXISTS object_manager;"
    "DROP INDEX IF EXISTS object_members;"
    "DROP INDEX IF EXISTS object_along;" REPLICA_TABLE_OBJECT
    "INSERT INTO object (rowid, id, version, deleted, hash, length, body)"
    " SELECT rowid, id, version, deleted, hash, length, body FROM former;"
    "DROP TABLE former;" REPLICA_INDEXES;

static const char *const replica_steps[] = {
    replica_sql_tables,
    replica_sql_indexes,
    replica_sql_references,
};

const struct db_schema replica_schema = {
    .what = "replica",
    .cure = "remove it, and the stream is read or sent in full again",
    .steps = replica_steps,
    .count = sizeof(replica_steps) / sizeof(replica_steps[0]),
};

static int
replica_hash_take(
    struct db *db, struct slice blob, uint8_t *out, struct err *err)
{
	if (blob.len != CRYPTO_HASH_LEN)
		return err_set(err, ERR_IO,
		    "database %s is damaged (hash of %zu bytes): %s",
		    db_path(db), blob.len, replica_schema.cure);
	memcpy(out, blob.data, CRYPTO_HASH_LEN);
	return 0;
}

int
replica_meta_load(struct db *db, struct replica_meta *out_meta, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db,
		"SELECT version, floor, count, bytes, issued_at, root, terms "
		"FROM state",
		&stmt, err) < 0)
		return -1;
	rc = db_step(stmt, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(err, ERR_IO,
		    "database %s is damaged (no state): %s", db_path(db),
		    replica_schema.cure);
	out_meta->state.version = db_column_u64(stmt, 0);
	out_meta->state.floor = db_column_u64(stmt, 1);
	out_meta->state.count = db_column_u64(stmt, 2);
	out_meta->bytes = db_column_u64(stmt, 3);
	out_meta->issued_at = db_column_i64(stmt, 4);
	rc = replica_hash_take(
	    db, db_column_blob(stmt, 5), out_meta->state.root, err);
	if (rc == 0)
		rc = replica_hash_take(
		    db, db_column_blob(stmt, 6), out_meta->terms, err);
	db_reset(stmt);
	return rc;
}

int
replica_meta_store(
    struct db *db, const struct replica_meta *meta, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"UPDATE state SET version = ?1, floor = ?2, count = ?3, "
		"bytes = ?4, issued_at = ?5, root = ?6, terms = ?7",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, meta->state.version);
	db_bind_u64(stmt, 2, meta->state.floor);
	db_bind_u64(stmt, 3, meta->state.count);
	db_bind_u64(stmt, 4, meta->bytes);
	db_bind_i64(stmt, 5, meta->issued_at);
	db_bind_blob(stmt, 6, slice_make(meta->state.root, CRYPTO_HASH_LEN));
	db_bind_blob(stmt, 7, slice_make(meta->terms, CRYPTO_HASH_LEN));
	return db_run(stmt, err);
}

int
replica_manifest_store(
    struct db *db, struct slice signed_bytes, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db, "UPDATE state SET manifest = ?1", &stmt, err) < 0)
		return -1;
	db_bind_blob(stmt, 1, signed_bytes);
	return db_run(stmt, err);
}

int
replica_checkpoint_record(
    struct db *db, const struct replica_meta *meta, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"INSERT OR REPLACE INTO checkpoint (version, root, count) "
		"VALUES (?1, ?2, ?3)",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, meta->state.version);
	db_bind_blob(stmt, 2, slice_make(meta->state.root, CRYPTO_HASH_LEN));
	db_bind_u64(stmt, 3, meta->state.count);
	if (db_run(stmt, err) < 0 ||
	    db_prepare(db,
		"DELETE FROM checkpoint WHERE version <= (SELECT version FROM "
		"checkpoint ORDER BY version DESC LIMIT 1 OFFSET ?1)",
		&stmt, err) < 0)
		return -1;
	db_bind_i64(stmt, 1, REPLICA_CHECKPOINTS);
	return db_run(stmt, err);
}

int
replica_connect(const char *path, struct db **out_db, struct err *err)
{
	int lock = replica_dir_lock(path, err);
	int rc = -1;

	*out_db = NULL;
	if (lock < 0)
		return -1;
	/* Under the lock until the log is open, so that nobody pairs one
	 * file with the log of another. */
	if (replica_build_recover(path, err) == 0)
		rc = db_open(path, &replica_schema, out_db, err);
	close(lock);
	return rc;
}

int
replica_open(const char *path, struct replica **out_replica, struct err *err)
{
	struct replica *replica = mem_calloc(1, sizeof(*replica));

	*out_replica = NULL;
	replica->path = mem_strdup(path);
	if (replica_connect(path, &replica->db, err) < 0 ||
	    replica_meta_load(replica->db, &replica->meta, err) < 0) {
		replica_close(replica);
		return -1;
	}
	*out_replica = replica;
	return 0;
}

void
replica_close(struct replica *replica)
{
	if (replica == NULL)
		return;
	db_close(replica->db);
	free(replica->path);
	free(replica);
}

void
replica_state(const struct replica *replica, struct replica_state *out_state)
{
	*out_state = replica->meta.state;
}

static int
replica_reconnect(struct replica *replica, struct err *err)
{
	struct db *db;

	if (replica_connect(replica->path, &db, err) < 0)
		return -1;
	db_close(replica->db);
	replica->db = db;
	return 0;
}

int
replica_fresh(struct replica *replica, struct err *err)
{
	if (db_in_transaction(replica->db))
		return 0;
	if (db_moved(replica->db) && replica_reconnect(replica, err) < 0)
		return -1;
	return replica_meta_load(replica->db, &replica->meta, err);
}

int
replica_write_begin(struct replica *replica, struct err *err)
{
	INVARIANT(!db_in_transaction(replica->db));
	for (int i = 0; i < 8; i++) {
		if (db_begin(replica->db, err) < 0)
			return -1;
		/* Only with the lock held is it certain that nobody replaces
		 * the file any more. */
		if (!db_moved(replica->db) &&
		    !replica_build_decided(replica->path)) {
			if (replica_meta_load(
				replica->db, &replica->meta, err) == 0)
				return 0;
			db_rollback(replica->db);
			return -1;
		}
		db_rollback(replica->db);
		if (replica_reconnect(replica, err) < 0)
			return -1;
	}
	return err_set(err, ERR_TEMPORARY,
	    "%s is being replaced again and "
	    "again",
	    replica->path);
}

int
replica_write_commit(
    struct replica *replica, const struct replica_meta *meta, struct err *err)
{
	if (replica_meta_store(replica->db, meta, err) < 0) {
		db_rollback(replica->db);
		return -1;
	}
	if (db_commit(replica->db, err) < 0)
		return -1;
	replica->meta = *meta;
	return 0;
}

/* Ends a write that stands in an intake's open transaction, or in its own. */
static int
replica_end(struct replica *replica, bool own, int rc, struct err *err)
{
	if (!own)
		return rc;
	if (rc == 0)
		return db_commit(replica->db, err);
	db_rollback(replica->db);
	return -1;
}

int
replica_manifest(
    struct replica *replica, struct buf *out_signed, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (replica_fresh(replica, err) < 0 ||
	    db_prepare(replica->db, "SELECT manifest FROM state", &stmt, err) <
		0)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	buf_add(out_signed, db_column_blob(stmt, 0));
	db_reset(stmt);
	return buf_check(out_signed, "manifest", err);
}

int
replica_manifest_set(
    struct replica *replica, struct slice signed_bytes, struct err *err)
{
	bool own = !db_in_transaction(replica->db);

	if (own && replica_write_begin(replica, err) < 0)
		return -1;
	return replica_end(replica, own,
	    replica_manifest_store(replica->db, signed_bytes, err), err);
}

static int
replica_note_check(const char *key, struct err *err)
{
	size_t len = strlen(key);

	if (len == 0 || len > REPLICA_NOTE_KEY_MAX)
		return err_set(err, ERR_INTERNAL,
		    "a note's key has 1 to %d characters, not %zu",
		    REPLICA_NOTE_KEY_MAX, len);
	return 0;
}

int
replica_note_get(
    struct replica *replica, const char *key, struct buf *out, struct err *err)
{
	if (replica_note_check(key, err) < 0 || replica_fresh(replica, err) < 0)
		return -1;
	return db_note_get(replica->db, key, out, err);
}

/* Each write that is made durable costs milliseconds; most notes stay. */
static int
replica_note_same(struct replica *replica, const char *key, struct slice value,
    bool *out_same, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	*out_same = false;
	if (db_prepare(replica->db, "SELECT value FROM note WHERE key = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, key);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	*out_same = slice_equal(db_column_blob(stmt, 0), value);
	db_reset(stmt);
	return 0;
}

int
replica_note_set(struct replica *replica, const char *key, struct slice value,
    struct err *err)
{
	bool own = !db_in_transaction(replica->db);
	bool same;

	if (replica_note_check(key, err) < 0 ||
	    replica_fresh(replica, err) < 0 ||
	    replica_note_same(replica, key, value, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	if (own && replica_write_begin(replica, err) < 0)
		return -1;
	return replica_end(
	    replica, own, db_note_set(replica->db, key, value, err), err);
}

int
replica_notes_begin(struct replica *replica, struct err *err)
{
	return replica_write_begin(replica, err);
}

int
replica_notes_end(struct replica *replica, int rc, struct err *err)
{
	return replica_end(replica, true, rc, err);
}

int
replica_get(struct replica *replica, const struct id *id, struct buf *out,
    struct err *err)
{
	bool there;

	return replica_row_live(replica->db,
	    "SELECT body FROM object INDEXED BY object_id "
	    "WHERE id = ?1 AND deleted = 0",
	    id, out, &there, err);
}

static int
replica_purge_rows(struct db *db, uint64_t floor, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(db,
		"DELETE FROM object WHERE deleted = 1 AND version <= ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_u64(stmt, 1, floor);
	if (db_run(stmt, err) < 0 ||
	    db_prepare(db, "DELETE FROM checkpoint WHERE version < ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_u64(stmt, 1, floor);
	return db_run(stmt, err);
}

/* 1 when there is a tombstone at or below version, 0 when not, -1. */
static int
replica_purge_due(struct db *db, uint64_t version, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(db,
		"SELECT 1 FROM object WHERE deleted = 1 AND version <= ?1 "
		"LIMIT 1",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, version);
	rc = db_step(stmt, err);
	if (rc > 0)
		db_reset(stmt);
	return rc;
}

int
replica_purge(struct replica *replica, uint64_t version, struct err *err)
{
	struct replica_meta meta;
	int rc;

	if (replica_fresh(replica, err) < 0)
		return -1;
	if (version > replica->meta.state.version)
		version = replica->meta.state.version;
	/* Most runs find nothing: they write nothing. */
	rc = replica_purge_due(replica->db, version, err);
	if (rc <= 0 || replica_write_begin(replica, err) < 0)
		return rc <= 0 ? rc : -1;
	meta = replica->meta;
	if (version > meta.state.floor)
		meta.state.floor = version;
	if (replica_purge_rows(replica->db, meta.state.floor, err) < 0) {
		db_rollback(replica->db);
		return -1;
	}
	return replica_write_commit(replica, &meta, err);
}
