/*
 * STATE/spoke.db: what this spoke remembers between runs. Order of writing
 * everywhere: replica, then store, then spool; each step can be repeated.
 *
 *   note      small values by key          seen     last sequence by type
 *   own       own streams at the hub       stream   other members' streams
 *   counter   what was refused and why     run      last run of each policy
 *   pin_*     see pins.h
 */
#ifndef SPOKE_STORE_H
#define SPOKE_STORE_H

#include "common/base/buf.h"
#include "common/replica/db.h"
#include "common/wire/envelope.h"
#include "spoke/conf.h"
#include "spoke/identity.h"

#define STORE_TEXT_MAX 256

struct spoke_store;

/* Opens or creates. Class io with the cure when the file is damaged. */
int store_open(const struct spoke_conf *conf, struct spoke_store **out_store,
    struct err *err) ERR_WUR;
void store_close(struct spoke_store *store);
/* For transactions (db_begin, db_commit) and pins. */
struct db *store_db(struct spoke_store *store);

/* Appends the value; a missing key appends nothing. */
int store_note_get(struct spoke_store *store, const char *key, struct buf *out,
    struct err *err) ERR_WUR;
int store_note_set(struct spoke_store *store, const char *key,
    struct slice value, struct err *err) ERR_WUR;
/* Numbers; 0 when missing. */
int store_number_get(struct spoke_store *store, const char *key,
    uint64_t *out_value, struct err *err) ERR_WUR;
int store_number_set(struct spoke_store *store, const char *key, uint64_t value,
    struct err *err) ERR_WUR;

/* The registry held, verified again; *out_registry is NULL before the first.
 * The caller frees it. */
int store_registry(struct spoke_store *store, const struct identity *identity,
    struct registry **out_registry, struct err *err) ERR_WUR;
/* Keeps it without judging (pins_check does). */
int store_registry_set(struct spoke_store *store,
    const struct registry *registry, struct err *err) ERR_WUR;

/* The next sequence for an envelope of that type, durable before it returns
 * (or with the caller's transaction). */
int store_sequence_next(struct spoke_store *store, Galr__EnvelopeType type,
    int64_t now_ms, uint64_t *out_sequence, struct err *err) ERR_WUR;
/* The last one given out; 0: none. */
int store_sequence_last(struct spoke_store *store, Galr__EnvelopeType type,
    uint64_t *out_sequence, struct err *err) ERR_WUR;
/* What came last from the hub. */
int store_seen_get(struct spoke_store *store, Galr__EnvelopeType type,
    struct envelope_seen *out_seen, struct err *err) ERR_WUR;
int store_seen_set(struct spoke_store *store, Galr__EnvelopeType type,
    const struct envelope_seen *seen, struct err *err) ERR_WUR;

/* An own stream: what was sent last, and what the hub says that it holds. */
struct store_own {
	char policy[64];
	uint64_t sequence; /* of the envelope kept in STATE/pending; 0: none */
	uint64_t version;
	int64_t issued_at; /* of the manifest in it */
	int64_t sent_at;   /* when it was put into the out box last */
	uint64_t bytes;    /* envelope and section */
	uint64_t base;     /* of the section in it; 0: full, or none */
	/* What the hub held when it was built. */
	uint64_t built_version;
	uint8_t built_root[CRYPTO_HASH_LEN];
	uint64_t hub_version;
	uint8_t hub_root[CRYPTO_HASH_LEN];
	int64_t hub_issued_at;
	char hub_refusal[STORE_TEXT_MAX];
};

/* A missing one is all zero but its name. */
int store_own_get(struct spoke_store *store, const char *policy,
    struct store_own *out_own, struct err *err) ERR_WUR;
int store_own_set(struct spoke_store *store, const struct store_own *own,
    struct err *err) ERR_WUR;

/* Calls fn with the policy of each that the hub has, by name. */
typedef int store_own_fn(void *arg, const char *policy, struct err *err);
int store_own_list(struct spoke_store *store, store_own_fn *fn, void *arg,
    struct err *err) ERR_WUR;

/* Another member's stream as taken in here. */
struct store_stream {
	char member[64];
	char stream[64];
	char tag[STORE_TEXT_MAX];
	uint64_t version; /* 0: nothing was ever taken in */
	uint8_t root[CRYPTO_HASH_LEN];
	uint64_t count; /* live objects */
	int64_t issued_at, not_after;
	bool ended;                   /* by its source */
	int64_t taken_at;             /* when it changed last */
	char refusal[STORE_TEXT_MAX]; /* why it is not newer; "" */
};

int store_stream_get(struct spoke_store *store, const char *member,
    const char *stream, struct store_stream *out_stream,
    struct err *err) ERR_WUR;
int store_stream_set(struct spoke_store *store,
    const struct store_stream *stream, struct err *err) ERR_WUR;
/* All of them by member and name, in an array that the caller frees. */
int store_streams_list(struct spoke_store *store,
    struct store_stream **out_streams, size_t *out_count,
    struct err *err) ERR_WUR;
/* STATE/streams/MEMBER@STREAM.db, "own-POLICY.db" for member NULL, in small
 * letters; the caller frees. */
char *store_stream_path(
    const struct spoke_conf *conf, const char *member, const char *stream);

/* Adds one to a counter, such as an envelope_check_name(). */
int store_count(
    struct spoke_store *store, const char *name, struct err *err) ERR_WUR;

/* What the last run of a policy did. */
struct store_run {
	char policy[64];
	int64_t started_at, ended_at;
	int code;        /* enum err_exit */
	char text[1024]; /* summary or error, one line */
};
int store_run_set(struct spoke_store *store, const struct store_run *run,
    struct err *err) ERR_WUR;
/* 1, or 0 when it never ran. */
int store_run_get(struct spoke_store *store, const char *policy,
    struct store_run *out_run, struct err *err) ERR_WUR;

/* Calls fn for each counter, by name. */
typedef int store_counter_fn(
    void *arg, const char *name, uint64_t value, struct err *err);
int store_counters(struct spoke_store *store, store_counter_fn *fn, void *arg,
    struct err *err) ERR_WUR;

#endif
