/* hub.db, the half that concerns members as targets: what they acknowledged,
 * what is on its way to them, invitations and instances. */
#ifndef HUB_TARGET_H
#define HUB_TARGET_H

#include "hub/store.h"
#include "common/spool/spool.h"
#include "common/wire/limits.h"

struct target {
	char name[STORE_NAME_SIZE];
	char hold[STORE_REASON_SIZE]; /* not empty: held, and why */
	/* Why its newest message was refused, to be told with the answer. */
	char notice[STORE_REASON_SIZE];
	uint64_t notice_sequence;  /* of that message, when it was a publish */
	uint64_t registry_version; /* that it holds */
	struct buf ack;            /* newest acknowledgement, a Payload */
	int64_t heard_at, acked_at;
	uint64_t applied, refused;
	/* The newest bundle. */
	uint64_t sequence;
	int64_t made_at;
	uint8_t told[CRYPTO_HASH_LEN]; /* digest of its own holdings as told */
	bool owed;                     /* it waits for an answer */
	bool dirty;
	uint64_t generation; /* of the streams when it was last looked at */
	int64_t resend_at;   /* 0: nothing on its way */
};

/* 1 found, 0 not (a row with nothing but the name), -1. */
int target_get(struct store *store, const char *name, struct target *out_target,
    struct err *err) ERR_WUR;
int target_put(
    struct store *store, const struct target *target, struct err *err) ERR_WUR;
void target_fini(struct target *target);
/* The target has to be looked at by publish; owed: it also gets an answer.
 * Name NULL: all targets. */
int target_touch(
    struct store *store, const char *name, bool owed, struct err *err) ERR_WUR;
int target_remove(
    struct store *store, const char *name, struct err *err) ERR_WUR;
/* Names that publish has to look at, NULL-terminated; freed by
 * spool_peers_free.
 */
int target_due(struct store *store, uint64_t generation, int64_t now_ms,
    char ***out_names, struct err *err) ERR_WUR;
/* When the next resend is due; 0: none. */
/* When the first of what is on its way to the target has to be said again,
 * Unix ms, at soonest_ms the earliest; 0: nothing is on its way. */
int target_resend(struct store *store, const char *name, int64_t soonest_ms,
    int64_t *out_ms, struct err *err) ERR_WUR;
int target_next_due(
    struct store *store, int64_t *out_ms, struct err *err) ERR_WUR;

/* What was sent of a stream and is not acknowledged. stream 0: the registry,
 * -1: the question for a newer registry. */
struct target_flight {
	int64_t stream;
	uint64_t version;
	int64_t issued_at;
	uint64_t hold_version; /* that the target held when it was sent */
	bool refused;          /* its acknowledgement gave a reason */
	uint32_t attempts;
	int64_t resend_at;
};
/* An array by stream id that the caller frees with free(). */
int target_flights(struct store *store, const char *name,
    struct target_flight **out_flights, size_t *out_count,
    struct err *err) ERR_WUR;
int target_flight_put(struct store *store, const char *name,
    const struct target_flight *flight, struct err *err) ERR_WUR;
int target_flight_drop(struct store *store, const char *name, int64_t stream,
    struct err *err) ERR_WUR;

/* Signed bundles that are not in the spool yet. */
struct target_bundle {
	char name[STORE_NAME_SIZE];
	uint64_t sequence, replaces; /* sequence of an older one; 0: none */
	struct buf envelope;
	struct spool_blob *blobs;
	size_t blob_count;
};
int target_bundle_put(struct store *store, const struct target_bundle *bundle,
    struct err *err) ERR_WUR;
/* 1, 0 when none is left, -1. */
int target_bundle_next(struct store *store, const char *after,
    struct target_bundle *out_bundle, struct err *err) ERR_WUR;
int target_bundle_drop(
    struct store *store, const char *name, struct err *err) ERR_WUR;
void target_bundle_fini(struct target_bundle *bundle);

/* Which installations spoke for a member. *out_seen: how this one stands. */
enum target_instance {
	TARGET_INSTANCE_SAME,
	TARGET_INSTANCE_FIRST,
	TARGET_INSTANCE_NEW,
	TARGET_INSTANCE_RETURNED
};
int target_instance_note(struct store *store, const char *name,
    const struct id *instance, int64_t now_ms, enum target_instance *out_seen,
    struct err *err) ERR_WUR;
int target_instance_forget(
    struct store *store, const char *name, struct err *err) ERR_WUR;

/* Invitations. */
enum invite_state { INVITE_OPEN, INVITE_USED, INVITE_DONE };
struct target_invite {
	struct id id;
	char name[STORE_NAME_SIZE];
	char domains[8192]; /* comma-separated */
	uint8_t secret[32];
	int64_t created_at, expires_at;
	enum invite_state state;
	uint8_t keys[CRYPTO_HASH_LEN]; /* digest of who used it */
};
/* 1, 0, -1. */
int target_invite_get(struct store *store, const struct id *id,
    struct target_invite *out_invite, struct err *err) ERR_WUR;
int target_invite_put(struct store *store, const struct target_invite *invite,
    struct err *err) ERR_WUR;
int target_invite_drop(
    struct store *store, const char *name, struct err *err) ERR_WUR;
/* Those not done, oldest first; to be freed with target_invites_free(). */
int target_invites(struct store *store, struct target_invite **out_invites,
    size_t *out_count, struct err *err) ERR_WUR;
/* Leaves no secret in memory. NULL is legal. */
void target_invites_free(struct target_invite *invites, size_t count);

#endif
