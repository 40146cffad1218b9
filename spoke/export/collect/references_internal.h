/* Shared by references.c (ids of one object) and references_settle.c (whether
 * those named are in the stream after all). */
#ifndef SPOKE_EXPORT_COLLECT_REFERENCES_INTERNAL_H
#define SPOKE_EXPORT_COLLECT_REFERENCES_INTERNAL_H

#include "common/ldap/reference.h"
#include "common/replica/db.h"
#include "spoke/export/choose/idlist.h"
#include "spoke/export/collect/collect_internal.h"

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
	/* Names that are believed to mean whom they meant at the last reading,
	 * see references_predict.c. */
	bool predicts;
	struct db *predicted;     /* NULL: there are none */
	struct buf body, members; /* of an object that is amended */
	struct arena *arena, *spare;
	uint64_t unresolved; /* managers without a GUID */
	struct buf primary;  /* see references_primary.c */
};

/* Notes that bodies are made as if this one were in the stream, or not. */
int references_assume(struct collector *c, const struct id *id, unsigned flags,
    bool *out_assumed, struct err *err) ERR_WUR;
/* The manager of that object when it was last read, if its name is to be
 * believed in: 1, 0, -1. */
int references_predict(struct collector *c, const struct id *id,
    struct slice name, struct id *out_manager, struct err *err) ERR_WUR;
/* The same for the members of a group: those in the stream become known. */
int references_predict_members(
    struct collector *c, const struct id *id, struct err *err) ERR_WUR;
/* Were the names right? 1: all; 0: not, and all must be read again; -1. */
int references_confirm(struct collector *c, struct err *err) ERR_WUR;
/* Puts what waits for names to be resolved. */
int references_flush(struct collector *c, struct err *err) ERR_WUR;
/* Of these sorted ids those in the stream; into out, which has room for all. */
int references_filter(struct collector *c, const struct id *ids, size_t count,
    struct id *out, size_t *out_count, struct err *err) ERR_WUR;

/* --- references_primary.c --- */

/* A touched person: one who is new has a primary group that nobody touched. */
int references_primary_note(struct collector *c, const struct id *id,
    const struct search_entry *entry, struct err *err) ERR_WUR;
/* Reads these groups again that are in the stream. */
int references_primary_settle(
    struct collector *c, const struct idlist *touched, struct err *err) ERR_WUR;

/* Is one of these raw members in the sorted set? */
bool references_name(struct slice members, const struct idlist *ids);

#endif
