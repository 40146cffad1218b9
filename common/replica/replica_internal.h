/*
 * What the files of the replica module share.
 *
 * Tables: object holds one row an object or tombstone; object_id covers look-up
 * by id and the scan for the root, object_version deltas and their weight.
 * state has one row.
 *
 * Two versions meet here. The stream's version stands in state; a row's version
 * only has to lie above every state recorded before the row changed and not
 * above the one recorded with it. Rows that change are therefore stamped
 * "held + 1", which is known before the new version is.
 *
 * Replacing a file as a whole (see replica_build.c):
 *
 *	PATH.new    being built, without journal; garbage after a crash
 *	PATH.ready  complete and synced: the replacement is decided
 *	PATH        the replica; -wal and -shm of the old one are gone
 *
 * Whoever opens PATH first finishes a replacement that was decided, under a
 * lock of the directory.
 */
#ifndef COMMON_REPLICA_REPLICA_INTERNAL_H
#define COMMON_REPLICA_REPLICA_INTERNAL_H

#include "common/replica/db.h"
#include "common/replica/replica.h"

/* States remembered as possible starts of deltas; 60 bytes each. */
#define REPLICA_CHECKPOINTS 4096

/* The row of table state, without the manifest. */
struct replica_meta {
	struct replica_state state;
	uint64_t bytes;    /* of all live bodies */
	int64_t issued_at; /* of the manifest held; 0 at the source */
	/* Digest of what a manifest may not change at one version. */
	uint8_t terms[CRYPTO_HASH_LEN];
};

struct replica {
	char *path;
	struct db *db;
	struct replica_meta meta; /* as last read */
};

/* Who has a manager; in the order of managers. */
#define REPLICA_INDEX_MANAGER                                                  \
	"CREATE INDEX object_manager ON object (manager) "                     \
	"WHERE manager IS NOT NULL;"
extern const char replica_sql_tables[], replica_sql_indexes[];
extern const struct db_schema replica_schema;

/* A new connection; finishes a decided replacement first. */
int replica_connect(
    const char *path, struct db **out_db, struct err *err) ERR_WUR;
/* Connects anew when the file was replaced, and reads the state again. Inside
 * a transaction it does nothing. */
int replica_fresh(struct replica *replica, struct err *err) ERR_WUR;
/* Starts a write transaction on the present file; reads the state. */
int replica_write_begin(struct replica *replica, struct err *err) ERR_WUR;
/* Stores meta, commits, and makes it the handle's state. */
int replica_write_commit(struct replica *replica,
    const struct replica_meta *meta, struct err *err) ERR_WUR;

int replica_meta_load(
    struct db *db, struct replica_meta *out_meta, struct err *err) ERR_WUR;
int replica_meta_store(
    struct db *db, const struct replica_meta *meta, struct err *err) ERR_WUR;
int replica_manifest_store(
    struct db *db, struct slice signed_bytes, struct err *err) ERR_WUR;
/* Remembers that the replica stands at meta's (version, root). */
int replica_checkpoint_record(
    struct db *db, const struct replica_meta *meta, struct err *err) ERR_WUR;

/* SHA-256 over id(16) || hash(32) of the live objects in id order.
 * out_duplicates: neighbours with one id and one hash; with one id and two
 * hashes class bad data. */
int replica_root_compute(struct db *db, uint8_t out_root[CRYPTO_HASH_LEN],
    uint64_t *out_count, uint64_t *out_duplicates, struct err *err) ERR_WUR;

/* Taking in what a directory holds, see replica_intake.c. */
struct replica_intake {
	struct replica *replica;
	enum replica_intake_mode mode;
	struct db *db; /* replica->db, or the file being built */
	bool build;    /* db is ours */
	bool settled;  /* a build has its indexes and no duplicates */
	bool managers; /* a build will need object_manager */
	bool poisoned; /* something failed: nothing may be published */
	uint8_t *seen; /* one bit a rowid */
	size_t seen_bytes;
	uint64_t stamp; /* version of the rows that change */
	uint64_t bytes; /* of live bodies, as it would be after finish */
	struct replica_changes changes;
	replica_watch_fn *watch; /* NULL: nobody is told */
	void *watch_arg;
	struct buf before; /* a body that changes, for watch */
};

/* Was that row put or deleted by this intake? */
bool replica_intake_seen(const struct replica_intake *intake, int64_t rowid);
/* Of a build: makes the indexes, and drops what came twice. */
int replica_intake_settle(
    struct replica_intake *intake, struct err *err) ERR_WUR;

/* One row of object as the index knows it. */
struct replica_row {
	int64_t rowid;
	bool deleted;
	uint64_t version;
	uint8_t hash[CRYPTO_HASH_LEN];
	struct id manager;
	bool has_manager;
};
/* 1 found (tombstones too), 0 not, -1. */
int replica_row_find(struct db *db, const struct id *id,
    struct replica_row *out_row, struct err *err) ERR_WUR;
/* Appends the one column that sql selects by an id (?1), a literal. 1, 0 there
 * is no such row, -1; out_there: the column is not NULL. */
int replica_row_live(struct db *db, const char *sql, const struct id *id,
    struct buf *out, bool *out_there, struct err *err) ERR_WUR;
/* references may be NULL: there are none. */
int replica_row_insert(struct db *db, const struct section_object *object,
    const uint8_t hash[CRYPTO_HASH_LEN],
    const struct replica_references *references, struct err *err) ERR_WUR;
/* deleted: the row becomes a tombstone. */
int replica_row_update(struct db *db, int64_t rowid,
    const struct section_object *object, const uint8_t hash[CRYPTO_HASH_LEN],
    const struct replica_references *references, struct err *err) ERR_WUR;
/* A row whose content stays. */
int replica_row_refer(struct db *db, int64_t rowid,
    const struct replica_references *references, struct err *err) ERR_WUR;
/* Another body under the same references. */
int replica_row_rewrite(struct db *db, int64_t rowid,
    const struct section_object *object, const uint8_t hash[CRYPTO_HASH_LEN],
    struct err *err) ERR_WUR;
/* Does the row have these memberships? 1, 0, -1. */
int replica_row_members_equal(struct db *db, int64_t rowid,
    struct slice members, struct err *err) ERR_WUR;
/* Bytes of the live body of that row, for the totals. */
int replica_row_length(struct db *db, int64_t rowid, uint64_t *out_length,
    struct err *err) ERR_WUR;

/* Begins a write transaction on the old file and gives an empty new one, with
 * tables and without indexes. */
int replica_build_begin(
    struct replica *replica, struct db **out_db, struct err *err) ERR_WUR;
/* Takes over notes, and the manifest unless signed_bytes is given, stores meta
 * and replaces the file. Both transactions are over afterwards, db is freed. */
int replica_build_commit(struct replica *replica, struct db *db,
    const struct replica_meta *meta, struct slice signed_bytes,
    struct err *err) ERR_WUR;
void replica_build_abort(struct replica *replica, struct db *db);
/* With the directory's lock held: moves PATH.ready into place, if any. */
int replica_build_recover(const char *path, struct err *err) ERR_WUR;
/* Waits for the lock of path's directory; returns the descriptor to close. */
int replica_dir_lock(const char *path, struct err *err) ERR_WUR;
/* Is there a replacement that was decided but not finished? */
bool replica_build_decided(const char *path);

#endif
