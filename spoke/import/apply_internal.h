/* Shared by apply.c (a plan) and apply_moves.c (what waits in it). */
#ifndef SPOKE_IMPORT_APPLY_INTERNAL_H
#define SPOKE_IMPORT_APPLY_INTERNAL_H

#include "spoke/import/apply.h"

/* In the cookie of a write beside the plan, for the change of that seq. */
#define APPLY_BESIDE (UINT64_C(1) << 62)

struct apply {
	struct importdb *db;
	struct import_result *result;
	struct arena *arena; /* reset per change */
	struct writer *writer;
	unsigned uncommitted;
	bool again;
	bool ring;     /* a ring is being written: it counts as a whole */
	bool refused;  /* what was answered last */
	uint64_t sent; /* changes of the plan */
};

/* Sends all changes of the operation that wait for nothing, and waits for the
 * answers. */
int apply_kind(
    struct apply *apply, enum importdb_op op, struct err *err) ERR_WUR;

/* Sends one change; its attributes come from the arena. */
int apply_submit(struct apply *apply, const struct importdb_change *change,
    struct err *err) ERR_WUR;

/* The change was made: counted, and out of the plan. */
int apply_done(struct apply *apply, const struct importdb_change *change,
    struct err *err) ERR_WUR;

/* Sends the modifications that wait for others, in their order. */
int apply_moves(struct apply *apply, struct err *err) ERR_WUR;

#endif
