/*
 * hub.db: what the hub remembers beside the replicas. One writer at a time
 * (hub.lock); writes collect in a transaction that the caller commits, so that
 * a batch of messages costs one fsync.
 *
 *   admit:    replica first (its own file), then here: seen sequence, stream
 *             row, acknowledgement; commit; then the message leaves the spool
 *   publish:  signed bundle with its sequence here; commit; then the spool;
 *             then it is marked as put
 *
 * Whatever dies in between is repeated from the left without harm.
 */
#ifndef HUB_STORE_H
#define HUB_STORE_H

#include "common/wire/envelope.h"
#include "common/replica/db.h"

#define STORE_REASON_SIZE 512
#define STORE_NAME_SIZE 64
#define STORE_TAG_SIZE 256

struct store;

int store_open(
    const char *path, struct store **out_store, struct err *err) ERR_WUR;
void store_close(struct store *store);
struct db *store_db(struct store *store);
/* Commit what was written since; no-op when nothing was. */
int store_commit(struct store *store, struct err *err) ERR_WUR;
void store_rollback(struct store *store);

/* Single values: "registry", "realm", "hub-sign" ... A missing one is empty. */
int store_meta_get(struct store *store, const char *key, struct buf *out,
    struct err *err) ERR_WUR;
int store_meta_set(struct store *store, const char *key, struct slice value,
    struct err *err) ERR_WUR;

/* Counters by name of a check ("signature", ...). */
int store_count(
    struct store *store, const char *name, uint64_t n, struct err *err) ERR_WUR;
/* Calls fn for each, ascending by name. */
int store_counters(struct store *store,
    void (*fn)(void *arg, const char *name, uint64_t value), void *arg,
    struct err *err) ERR_WUR;

/* What was seen last of a sender and type. */
int store_seen_get(struct store *store, const char *sender, int type,
    struct envelope_seen *out_seen, struct err *err) ERR_WUR;
int store_seen_set(struct store *store, const char *sender, int type,
    const struct envelope_seen *seen, struct err *err) ERR_WUR;

/* --- streams (store_stream.c) --- */
struct store_stream {
	int64_t id;
	char member[STORE_NAME_SIZE], stream[STORE_NAME_SIZE];
	char tag[STORE_TAG_SIZE];
	uint64_t version; /* 0: nothing was taken in yet */
	uint8_t root[CRYPTO_HASH_LEN];
	uint64_t count;
	int64_t issued_at, not_after;
	bool ended;
	char *audience;      /* "\nNAME\nNAME\n", lower case; "" is everybody */
	struct buf manifest; /* SignedManifest */
	char refusal[STORE_REASON_SIZE]; /* why the newest was not taken in */
	uint64_t foreign; /* live objects outside of the member's domains */
	uint64_t held_version, held_foreign, released_version;
	uint64_t asked_version; /* newest that a target reported beyond ours */
	bool recount;           /* foreign is not known */
	int64_t admitted_at;
	uint64_t generation; /* rises with every change that targets see */
};

/* 1 found, 0 not (names filled in, the rest zero), -1. Freed by
 * store_stream_fini. */
int store_stream_get(struct store *store, const char *member,
    const char *stream, struct store_stream *out_stream,
    struct err *err) ERR_WUR;
/* Writes the row; a new one gets its id. bump: gives it a new generation. */
int store_stream_put(struct store *store, struct store_stream *row, bool bump,
    struct err *err) ERR_WUR;
void store_stream_fini(struct store_stream *stream);
/* All rows by member and stream; member NULL: of everybody. An array that
 * store_streams_free frees. */
int store_streams(struct store *store, const char *member,
    struct store_stream **out_rows, size_t *out_count, struct err *err) ERR_WUR;
void store_streams_free(struct store_stream *rows, size_t count);
/* The newest generation of any stream. */
int store_generation(
    struct store *store, uint64_t *out, struct err *err) ERR_WUR;

/* Ids of objects outside of the member's domains. */
int store_foreign_has(struct store *store, int64_t stream, const struct id *id,
    bool *out_has, struct err *err) ERR_WUR;
int store_foreign_set(struct store *store, int64_t stream, const struct id *id,
    bool foreign, struct err *err) ERR_WUR;
int store_foreign_clear(
    struct store *store, int64_t stream, struct err *err) ERR_WUR;

/* Sealed sections, each made once. */
struct store_section {
	int64_t stream;
	uint64_t base, version;
	uint8_t sha256[CRYPTO_HASH_LEN];
	uint64_t length;
	uint8_t key[CRYPTO_KEY_LEN];
};
/* 1 found, 0 not, -1. A hit is marked as used now. */
int store_section_get(struct store *store, int64_t stream, uint64_t base,
    uint64_t version, int64_t now_ms, struct store_section *out_section,
    struct err *err) ERR_WUR;
int store_section_put(struct store *store, const struct store_section *section,
    int64_t now_ms, struct err *err) ERR_WUR;
/* Forgets sections of former versions, and those not used since before; fn is
 * told each. None is forgotten while a bundle waits to be put. */
int store_sections_purge(struct store *store, int64_t before,
    void (*fn)(void *arg, const uint8_t sha256[CRYPTO_HASH_LEN]), void *arg,
    struct err *err) ERR_WUR;
/* Is a section of that name known? */
int store_section_known(struct store *store,
    const uint8_t sha256[CRYPTO_HASH_LEN], bool *out_known,
    struct err *err) ERR_WUR;

#endif
