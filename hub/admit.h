/*
 * The admit worker: drains the in boxes of all members.
 *
 *   message ─► envelope checks ─► payload ─┬► tuple ─► manifest ─► replica
 *              (envelope_open)             ├► tuple ... each on its own
 *                                          └► acknowledgement, keys, registry
 *   then hub.db in one commit, then the message leaves the spool
 *
 * A message that fails a check is kept in the spool's refused directory and
 * counted under the check's name; one that met a full disk or a lock stays
 * where it is and is tried again.
 */
#ifndef HUB_ADMIT_H
#define HUB_ADMIT_H

#include "common/wire/envelope.h"
#include "hub/hub.h"

struct admit_result {
	uint64_t messages; /* taken in */
	uint64_t refused;
	uint64_t retry; /* left for another time */
};

/* Drains the boxes of peers (NULL-terminated; NULL: of all) once. -1 only when
 * the hub itself cannot work (hub.db); what single messages meet is counted in
 * out and logged. */
int admit_run(struct hub *hub, const char *const *peers,
    struct admit_result *out_result, struct err *err) ERR_WUR;

/* Takes in the version of a stream that was held for its foreign objects; the
 * caller publishes. Class config when nothing is held. */
int admit_release(struct hub *hub, const char *member, const char *stream,
    struct err *err) ERR_WUR;
/* Ends the hold of a member whose installations alternated: from now on the one
 * that speaks next is right. Class config when it is not held. */
int admit_release_member(
    struct hub *hub, const char *name, struct err *err) ERR_WUR;

/* Counts the objects outside of a member's domains anew where that is due. */
int admit_recount(struct hub *hub, struct err *err) ERR_WUR;

/* --- one stream of a publication (admit_stream.c) --- */
struct admit_tuple {
	const char *sender;
	const Galr__Tuple *tuple;
	const char *peer;
	struct spool *spool; /* where the blobs lie */
	struct slice envelope;
};

enum admit_outcome {
	ADMIT_TAKEN,   /* or refreshed, or known already */
	ADMIT_REFUSED, /* counted; the source is told */
	ADMIT_HELD,    /* over the limit; kept */
	ADMIT_RETRY    /* disk or lock: try the whole message again */
};

/* -1 only when hub.db fails. */
int admit_tuple_take(struct hub *hub, const struct admit_tuple *in,
    enum admit_outcome *out_outcome, struct err *err) ERR_WUR;

#endif
