/*
 * The publish pass: for every target that has to be looked at, one bundle of
 * what it may see and does not hold.
 *
 *   streams (read once) × what the target acknowledged ─► tuples
 *   section once per (stream, base, version) ─► STATE/blobs, key wrapped per
 *   target ─► signed bundle in hub.db ─► commit ─► spool
 *
 * A target that is up to date costs nothing: it is not even looked at unless a
 * stream, its acknowledgement or the registry changed.
 */
#ifndef HUB_PUBLISH_H
#define HUB_PUBLISH_H

#include "common/base/arena.h"
#include "common/replica/replica.h"
#include "hub/hub.h"

struct publish_result {
	uint64_t targets;  /* looked at */
	uint64_t bundles;  /* put into out boxes */
	uint64_t waiting;  /* bundles that quota or disk kept out */
	uint64_t sections; /* sealed */
	int64_t next_due;  /* Unix ms of the next resend; 0: none */
};

int publish_run(struct hub *hub, struct publish_result *out_result,
    struct err *err) ERR_WUR;

/* --- within (publish_section.c, publish_target.c, publish_bundle.c) --- */
struct publish_memo {
	uint64_t version; /* that a target holds */
	uint8_t root[CRYPTO_HASH_LEN];
	uint64_t base; /* what it starts from */
};

struct publish_stream {
	struct store_stream *row;
	bool open; /* member neither revoked nor held back, not ended by
		    * the hub */
	struct publish_memo *memos;
	size_t memo_count;
	struct store_section *sections; /* of this version */
	size_t section_count;
};

struct publish {
	struct hub *hub;
	struct publish_result *result;
	struct store_stream *rows;
	struct publish_stream *streams; /* by member and stream, as rows */
	size_t count;
	uint64_t generation;
	struct replica *replica; /* the one used last */
	size_t replica_of;
	struct arena *arena; /* of one target */
};

/* Gives the sealed section that a holder of (version, root) needs; version 0: a
 * full. -1: this stream cannot be sent now; the caller logs and goes on, except
 * when hub.db failed. */
int publish_section(struct publish *publish, size_t index, uint64_t version,
    const uint8_t root[CRYPTO_HASH_LEN], struct store_section *out_section,
    struct err *err) ERR_WUR;
void publish_replica_close(struct publish *publish);
/* Removes blobs that no section names: old ones, and what a pass that died left
 * behind. */
int publish_blobs_purge(struct hub *hub, struct err *err) ERR_WUR;

/* One stream that a target needs. */
struct publish_item {
	size_t index; /* of the stream */
	uint64_t hold_version;
	uint8_t hold_root[CRYPTO_HASH_LEN];
	bool refused; /* its acknowledgement says why it is not newer */
	bool content; /* a section, not only a newer manifest */
	bool due;     /* not on its way already */
	uint32_t attempts;
};

struct publish_plan {
	struct target target;
	const struct registry_member *member;
	const Galr__Payload *ack; /* NULL: none yet */
	struct target_flight *flights;
	size_t flight_count;
	struct publish_item *items;
	size_t item_count;
	bool registry; /* it needs a newer one */
	bool ask;      /* it holds a newer one */
	bool meta_due; /* either of them is not on its way already */
	uint32_t meta_attempts;
	uint8_t told[CRYPTO_HASH_LEN];
	bool owed;
	bool waiting;  /* the last bundle is still in the out box */
	bool withdraw; /* and carries what the target may not see any more */
};

int publish_plan(struct publish *publish, const char *name,
    struct publish_plan *out_plan, struct err *err) ERR_WUR;
void publish_plan_fini(struct publish_plan *plan);

/* Seals the bundle and stores it with the target's row; the caller commits. */
int publish_bundle(struct publish *publish, struct publish_plan *plan,
    struct err *err) ERR_WUR;
/* Puts what is stored into the out boxes. */
int publish_flush(struct publish *publish, struct err *err) ERR_WUR;
void publish_bundle_name(uint64_t sequence, char out[SPOOL_NAME_SIZE]);

/* Does the audience of a stream have this member? */
bool publish_audience_has(const struct store_stream *row, const char *name);

#endif
