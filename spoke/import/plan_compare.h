/* The last step of planning: what a contact should be against what the
 * directory has, as changes in the plan. */
#ifndef SPOKE_IMPORT_PLAN_COMPARE_H
#define SPOKE_IMPORT_PLAN_COMPARE_H

#include "spoke/import/plan.h"

struct plan_compare_options {
	struct importdb *db;
	const struct plan_schema *schema;
	struct arena *arena;
	struct importdb_change change; /* who and where; dn after a rename */
	const char *old_dn;            /* rename first; NULL: none */
	const char *new_rdn;
};

/* Plans the add of a wanted contact (canonical names). *out_seq: the change. */
int plan_compare_add(const struct plan_compare_options *options,
    const struct object *wanted, uint64_t *out_seq, struct err *err) ERR_WUR;

/* Plans a rename and the attributes that differ; what we once wrote and no
 * longer want is cleared. stored has the directory's names and values. Counts
 * what is right already in the result. *out_seq: the change that writes
 * attributes, right behind the rename; 0 when they are right. */
int plan_compare_modify(const struct plan_compare_options *options,
    const struct object *stored, const struct object *wanted,
    struct import_result *result, uint64_t *out_seq, struct err *err) ERR_WUR;

#endif
