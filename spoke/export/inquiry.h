/*
 * What one export policy makes of single entries, as the directory is now and
 * without a run: for explain.h and preview.h.
 */
#ifndef SPOKE_EXPORT_INQUIRY_H
#define SPOKE_EXPORT_INQUIRY_H

#include "spoke/export/choose/scope.h"
#include "spoke/export/shape/shape.h"

struct inquiry {
	const struct spoke_conf *conf;
	const struct export_policy *policy;
	struct forest *forest;
	const struct dialect *dialect; /* forest_dialect() */
	struct replica *replica;       /* NULL: the policy never ran */
	struct scope *scope;           /* its groups are expanded */
	struct shape *shape;
	bool extended_dn; /* search as a run does, see search_options */
};

/* Finds the policy's places and the members of its groups. Class config as
 * scope_open(). All is borrowed; inquiry_close() also after a failure. */
int inquiry_open(struct inquiry *inquiry, const struct spoke_conf *conf,
    const struct export_policy *policy, struct forest *forest,
    struct err *err) ERR_WUR;
void inquiry_close(struct inquiry *inquiry);

/* Judges as an export would. The answer borrows from raw, arena and the entry
 * of the question, which is all that has to be given but its place. */
int inquiry_judge(const struct inquiry *inquiry, struct arena *arena,
    struct shape_case *question, struct object *raw,
    enum shape_reason *out_reason, struct err *err) ERR_WUR;

/* Of those whom the policy chooses and exports, one who has this entry as
 * manager: his name, appended. 1, 0 nobody or managers do not go along, -1. */
int inquiry_managed(const struct inquiry *inquiry, const char *dn,
    struct buf *out_dn, struct err *err) ERR_WUR;

#endif
