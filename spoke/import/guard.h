/*
 * The guard between plan and apply: a stream that would lose more contacts than
 * the policy allows is held whole until a person released exactly these
 * deletions.
 */
#ifndef SPOKE_IMPORT_GUARD_H
#define SPOKE_IMPORT_GUARD_H

#include "spoke/import/plan.h"

/* Takes held streams out of the plan, inside the caller's transaction, and says
 * so in the result. A stream is held when its deletions exceed both the count
 * and the percentage of the policy, unless they were released. */
int guard_check(struct plan_input *input, struct import_result *out_result,
    struct err *err) ERR_WUR;

/* Releases what is held now: the next run lets exactly these deletions pass.
 * Class config when nothing is held. */
int guard_release(
    struct importdb *db, uint64_t *out_deletions, struct err *err) ERR_WUR;

/* Streams that the last plan held; the first one's text is in the result then.
 */
int guard_holds(struct importdb *db, struct import_result *out_result,
    struct err *err) ERR_WUR;

/* Is a release waiting for a run? Then a run must plan. 1, 0, -1. */
int guard_released(struct importdb *db, struct err *err) ERR_WUR;

#endif
