/* Shared by references.c (ids of one object) and references_settle.c (whether
 * those named are in the stream after all). */
#ifndef SPOKE_REFERENCES_INTERNAL_H
#define SPOKE_REFERENCES_INTERNAL_H

#include "common/ldap/reference.h"
#include "spoke/collect_ids.h"
#include "spoke/collect_internal.h"

/* What is known of an id that somebody names. */
#define TARGET_KNOWN 1U
#define TARGET_ASSUMED 2U /* bodies were made as if it were in the stream */
#define TARGET_MANAGER 4U /* of an object that the policy chose */

struct references {
	bool managers, memberships;
	bool first; /* nothing was published before */
	struct idset *targets;
	struct reference_cache *cache; /* NULL: names come with ids */
	struct references_queue *queue;
	struct buf body, members; /* of an object that is amended */
	struct arena *arena;
	uint64_t unresolved; /* managers that no entry is */
};

/* Notes that bodies are made as if this one were in the stream, or not. */
int references_assume(struct collector *c, const struct id *id, unsigned flags,
    bool *out_assumed, struct err *err) ERR_WUR;
/* Puts what waits for names to be resolved. */
int references_flush(struct collector *c, struct err *err) ERR_WUR;
/* Of these sorted ids those in the stream; into out, which has room for all. */
int references_filter(struct collector *c, const struct id *ids, size_t count,
    struct id *out, size_t *out_count, struct err *err) ERR_WUR;

/* Is one of these raw members in the sorted set? */
bool references_name(struct slice members, const struct collect_ids *ids);

#endif
