/* Shared by plan.c (entries and the whole), plan_object.c (one object) and
 * plan_address.c (its addresses). */
#ifndef SPOKE_IMPORT_PLAN_INTERNAL_H
#define SPOKE_IMPORT_PLAN_INTERNAL_H

#include "common/wire/limits.h"
#include "spoke/import/plan.h"
#include "spoke/import/views.h"

/* Arena of one object: its body, the view and the attributes made from it. */
#define PLAN_ARENA_BYTES (16 * LIMIT_OBJECT_BYTES)

struct plan {
	struct plan_input *in;
	struct import_result *result;
	struct arena *arena; /* reset per object */
	struct arena *other; /* for a look at another object meanwhile */
	struct buf body;
	char *into; /* normalised DN of the import OU */
	uint64_t deletions;
};

struct plan_object {
	struct plan_stream *stream;
	size_t index; /* of the stream */
	struct id id;
	struct views_contact view;
	bool present; /* a contact of ours is inside */
	bool waits;   /* for contacts that give up an address */
	bool follows; /* one of them in its primary address */
	bool later;   /* an address may come with the next plan */
	struct importdb_entry entry;
};

/* Plans the deletion of an entry, counted under a stream (its index). */
int plan_delete(struct plan *plan, const struct importdb_entry *entry,
    size_t stream_index, const char *reason, struct err *err) ERR_WUR;

/* Which stream of the member carries the object? The first that does, in the
 * order of the input. Gives its index and the body in plan->body, or -1 in
 * *out_index; *out_unknown when none does but a held stream, or a member
 * without streams, keeps us from knowing. */
int plan_carrier(struct plan *plan, const char *member, const struct id *object,
    ptrdiff_t *out_index, bool *out_unknown, struct err *err) ERR_WUR;

/* Plans what becomes of one object that a stream carries. What cannot be
 * planned for its own sake is noted as unusable; -1 is trouble of this
 * machine. */
int plan_object(struct plan *plan, struct plan_stream *stream,
    const struct section_object *record, struct err *err) ERR_WUR;

/* Notes why the object is left out. */
int plan_note(struct plan *plan, const struct plan_object *object,
    const char *kind, const char *reason, struct err *err) ERR_WUR;

/* What a stream's objects become here. */
void plan_view_options(const struct plan *plan,
    const struct plan_stream *stream, struct views_options *out);

/* May the object have its primary address? 1: yes, when those have written who
 * hold it now and give it up (object->waits), 0: no, which is noted; a contact
 * of it yields to somebody of this forest. -1. */
int plan_check_primary(
    struct plan *plan, struct plan_object *object, struct err *err) ERR_WUR;

/* Addresses that nobody else has become claims of this object; the others are
 * left out. X500 and sip names are addresses too, with their prefix. */
int plan_claim_addresses(
    struct plan *plan, struct plan_object *object, struct err *err) ERR_WUR;

#endif
