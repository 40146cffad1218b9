/*
 * A replica of one stream: one SQLite file (WAL, synchronous=FULL). Source,
 * hub and target all use this module.
 *
 *   source:  intake (full read, diffed by hash; or touched objects) -> version
 *   any:     section of (base, version] or full -> section_writer
 *   hub, target: section_reader -> apply, root compared, all or nothing
 *
 * Memory is bounded by SQLite's page cache (8 MiB) and one object, whatever
 * the number of objects (plus one bit an object during a full intake).
 */
#ifndef COMMON_REPLICA_REPLICA_H
#define COMMON_REPLICA_REPLICA_H

#include "common/wire/manifest.h"
#include "common/wire/section.h"

struct replica;

struct replica_state {
	uint64_t version; /* 0: empty, never published */
	uint64_t floor;   /* highest version whose tombstones were purged */
	uint64_t count;   /* live objects */
	uint8_t root[CRYPTO_HASH_LEN];
};

/* Opens or creates the file. Class io; a file of another schema version or a
 * damaged one is class io with the cure in the message; a lock held longer
 * than 10 s is class temporary ("database is locked"). */
int replica_open(
    const char *path, struct replica **out_replica, struct err *err) ERR_WUR;
void replica_close(struct replica *replica);
void replica_state(
    const struct replica *replica, struct replica_state *out_state);

/* The newest SignedManifest kept with the content (empty before the first). */
int replica_manifest(
    struct replica *replica, struct buf *out_signed, struct err *err) ERR_WUR;
/* Replaces the manifest at an unchanged version: a refresh, or the source's
 * own after sealing it. Durable. */
int replica_manifest_set(struct replica *replica, struct slice signed_bytes,
    struct err *err) ERR_WUR;

/* Small values that belong to the stream (tag, feed cookie, policy hash), kept
 * in the same file; key is at most 63 characters. A missing one is empty. */
int replica_note_get(struct replica *replica, const char *key, struct buf *out,
    struct err *err) ERR_WUR;
int replica_note_set(struct replica *replica, const char *key,
    struct slice value, struct err *err) ERR_WUR;
/* What is set in between is written together and synced once; no intake may be
 * open. end writes when rc is 0, else nothing is kept; -1 then or when it
 * fails. */
int replica_notes_begin(struct replica *replica, struct err *err) ERR_WUR;
int replica_notes_end(struct replica *replica, int rc, struct err *err) ERR_WUR;

/* --- source: taking in what the directory holds --- */
struct replica_intake;

enum replica_intake_mode {
	REPLICA_FULL,   /* every object is put; what is not put is deleted */
	REPLICA_TOUCHED /* only what is put or deleted changes */
};

struct replica_changes {
	uint64_t added, modified, deleted, unchanged;
};

/* One write transaction; nothing is visible before finish. Notes and the
 * manifest set meanwhile belong to it. Other writers of this stream wait. After
 * a put or delete failed, finish fails. */
int replica_intake_begin(struct replica *replica, enum replica_intake_mode mode,
    struct replica_intake **out_intake, struct err *err) ERR_WUR;
/* Whom an object names in its directory, in the stream or not; kept at the
 * source only, so that a body can follow when one of them enters or leaves. */
struct replica_references {
	const struct id *manager; /* NULL: none */
	bool has_members;
	struct slice members; /* ids, 16 bytes each */
	bool along;           /* in the stream only as somebody's manager */
};

/* Told of each object that a put adds (before is empty) or changes, as it is
 * done; not of amendments, nor of anything while the replica is empty. Returns
 * 0, or -1 with err: the put fails. Set it right after begin. */
typedef int replica_watch_fn(void *arg, const struct id *id,
    struct slice before, struct slice now, struct err *err);
void replica_intake_watch(
    struct replica_intake *intake, replica_watch_fn *fn, void *arg);
/* body: an ObjectBody. An id put twice in one intake is class bad data when
 * the bodies differ, else counts once. */
int replica_intake_put(struct replica_intake *intake, const struct id *id,
    struct slice body, struct err *err) ERR_WUR;
int replica_intake_put_with(struct replica_intake *intake, const struct id *id,
    struct slice body, const struct replica_references *references,
    struct err *err) ERR_WUR;
int replica_intake_delete(struct replica_intake *intake, const struct id *id,
    struct err *err) ERR_WUR;
/* An object keeps the state that it has: 1; 0: there is none; -1. */
int replica_intake_keep(struct replica_intake *intake, const struct id *id,
    struct err *err) ERR_WUR;
/* Would it be in the stream after finish, as things are now? 1, 0, -1. */
int replica_intake_has(struct replica_intake *intake, const struct id *id,
    struct err *err) ERR_WUR;
/* Gives an object that is in the stream another body, whether this intake saw
 * it or not; its references stay. */
int replica_intake_amend(struct replica_intake *intake, const struct id *id,
    struct slice body, struct err *err) ERR_WUR;

/* A live row as the intake has it now. Start with all 0; members and body are
 * appended where they are not NULL. */
struct replica_referrer {
	int64_t rowid; /* the last one given */
	struct id id;
	bool along;
	struct buf *members, *body;
};
/* The next object whose manager this is; the next with memberships; the next
 * that is there only as a manager. 1, 0 at the end, -1. Rows may be amended,
 * put and deleted in between. */
int replica_intake_subordinate(struct replica_intake *intake,
    const struct id *manager, struct replica_referrer *referrer,
    struct err *err) ERR_WUR;
int replica_intake_group(struct replica_intake *intake,
    struct replica_referrer *referrer, struct err *err) ERR_WUR;
int replica_intake_along(struct replica_intake *intake,
    struct replica_referrer *referrer, struct err *err) ERR_WUR;
/* What finish would do; for the guards before it. A full intake counts
 * everything not put so far as deleted. */
int replica_intake_preview(struct replica_intake *intake,
    struct replica_changes *out_changes, struct err *err) ERR_WUR;
/* Calls fn with the id of each object that finish would delete, in id order.
 * fn returns 0, or -1 with err to stop. */
typedef int replica_id_fn(void *arg, const struct id *id, struct err *err);
int replica_intake_gone(struct replica_intake *intake, replica_id_fn *fn,
    void *arg, struct err *err) ERR_WUR;
/* Commits under version = max(last + 1, now_ms) when anything changed (or
 * force: tag or audience changed), else leaves the version. Recomputes the
 * root, records the checkpoint. Frees the intake either way. */
int replica_intake_finish(struct replica_intake *intake, int64_t now_ms,
    bool force, struct replica_changes *out_changes, struct err *err) ERR_WUR;
/* Rolls back and frees. NULL is legal. */
void replica_intake_abort(struct replica_intake *intake);

/* --- anyone: producing sections --- */
/* Did this replica once stand at (version, root)? A delta may start only from
 * such a state, and only at or above the floor. */
int replica_recorded(struct replica *replica, uint64_t version,
    const uint8_t root[32], bool *out_recorded, struct err *err) ERR_WUR;
/* The base to start a section from for a receiver that holds (version, root):
 * rounded down to a rung so that receivers share sections (the newest 16
 * states, then ever sparser ones, at most 64); 0 (full) when it was never
 * recorded, lies below the floor, or the delta would exceed 60 % of the full's
 * bytes. The newest 4096 states are remembered. The present version for a
 * receiver that has all. */
int replica_base_choose(struct replica *replica, uint64_t version,
    const uint8_t root[32], uint64_t *out_base, struct err *err) ERR_WUR;
/* Writes the section (base, current version] to path (base below the version),
 * in id order, from one
 * snapshot. When another process may write meanwhile, compare out's version
 * with the manifest's that goes with it. */
struct replica_section {
	uint8_t key[CRYPTO_KEY_LEN];
	uint8_t sha256[CRYPTO_HASH_LEN];
	uint64_t length;
	uint64_t base, version;
};
int replica_section_write(struct replica *replica, const char *member,
    const char *stream, uint64_t base, const char *path,
    struct replica_section *out_section, struct err *err) ERR_WUR;

/* --- hub and target: applying --- */
/* Applies a section and the signed manifest it belongs to, in one transaction;
 * a full is built in a new file, verified, fsynced and renamed over the old
 * one (the handle goes on with the new). The caller has verified the manifest
 * (manifest_open) and its audience. Codes: CHECK_SECTION_GAP when base is above
 * what is held or below nothing, CHECK_STREAM_OLDER when the version held is
 * newer, CHECK_ROOT when the root or count differs afterwards (nothing is then
 * changed), CHECK_SECTION_ORDER/PAYLOAD from the reader. check, when not NULL,
 * sees every object first and may refuse the whole section. */
struct replica_apply_options {
	const struct manifest *manifest;
	struct slice signed_manifest;
	int (*check)(
	    void *arg, const struct section_object *object, struct err *err);
	void *check_arg;
};
int replica_apply(struct replica *replica, struct section_reader *reader,
    const struct replica_apply_options *options,
    struct replica_changes *out_changes, struct err *err) ERR_WUR;

/* Same version: decides what a manifest without section means. 0 and
 * *out_fresh when it only refreshes (same version, tag, audience, root; later
 * issued_at), 0 and not fresh when it is the same or older; CHECK_STREAM_* or
 * CHECK_SECTION_GAP otherwise. Stores a fresh one. */
int replica_refresh(struct replica *replica, const struct manifest *manifest,
    struct slice signed_manifest, bool *out_fresh, struct err *err) ERR_WUR;

/* --- reading --- */
/* Live objects in id order, from a consistent snapshot of what is committed.
 * since: only those that changed after this version of the replica, tombstones
 * included (0: all live). since must be a version that the replica once had, at
 * or above its floor; else class internal: compare with replica_state() first,
 * and read everything when it is below the floor. A row's version only serves
 * this comparison. */
struct replica_cursor;
int replica_cursor_open(struct replica *replica, uint64_t since,
    struct replica_cursor **out_cursor, struct err *err) ERR_WUR;
/* 1, 0 at the end, -1. The body is valid until the next call. */
int replica_cursor_next(struct replica_cursor *cursor,
    struct section_object *out_object, struct err *err) ERR_WUR;
void replica_cursor_close(struct replica_cursor *cursor);
/* Is it live in what is committed, or in the intake that works in place? 1, 0,
 * -1. Inside a full intake into an empty replica nothing is. */
int replica_holds(
    struct replica *replica, const struct id *id, struct err *err) ERR_WUR;
/* Whom it had as its manager when it was put: 1, 0 nobody, -1. */
int replica_manager(struct replica *replica, const struct id *id,
    struct id *out_manager, struct err *err) ERR_WUR;
/* Its members when it was put, appended: 1, 0 they are not known, -1. */
int replica_members(struct replica *replica, const struct id *id,
    struct buf *out, struct err *err) ERR_WUR;
/* 1 found and live, 0 not, -1 error. The body is appended to out. Inside a
 * full intake into an empty replica nothing is found. */
int replica_get(struct replica *replica, const struct id *id, struct buf *out,
    struct err *err) ERR_WUR;

/* Forgets tombstones at or below version (at most the present one), raises the
 * floor to it and forgets the states recorded below it: receivers that hold
 * something older get a full. Without such tombstones nothing happens. */
int replica_purge(
    struct replica *replica, uint64_t version, struct err *err) ERR_WUR;

#endif
