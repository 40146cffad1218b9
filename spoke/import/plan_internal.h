/* Shared by plan.c (entries and the whole) and plan_object.c (one object). */
#ifndef SPOKE_IMPORT_PLAN_INTERNAL_H
#define SPOKE_IMPORT_PLAN_INTERNAL_H

#include "common/wire/limits.h"
#include "spoke/import/plan.h"

/* Arena of one object: its body, the view and the attributes made from it. */
#define PLAN_ARENA_BYTES (16 * LIMIT_OBJECT_BYTES)

struct plan {
	struct plan_input *in;
	struct import_result *result;
	struct arena *arena; /* reset per object */
	struct buf body;
	char *into; /* normalised DN of the import OU */
};

/* Plans the deletion of an entry, counted under a stream (its index). */
int plan_delete(struct plan *plan, const struct importdb_entry *entry,
    size_t stream_index, const char *reason, struct err *err) ERR_WUR;

/* Plans what becomes of one object that a stream carries. What cannot be
 * planned for its own sake is noted as unusable; -1 is trouble of this
 * machine. */
int plan_object(struct plan *plan, struct plan_stream *stream,
    const struct section_object *record, struct err *err) ERR_WUR;

#endif
