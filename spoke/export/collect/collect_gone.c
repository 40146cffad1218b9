/*
 * A reading takes its time: whoever was moved meanwhile, from what was still to
 * be read into what had been, was seen in neither. So those who seem gone are
 * looked for by id, unless they are so many that a guard, or another policy, is
 * the reason.
 *
 * Of places that is enough, an entry tells where it is. Groups are read once
 * more for it, if anything was written since the reading began.
 */
#include "common/base/log.h"
#include "spoke/export/collect/collect_internal.h"

#define GONE_MAX 10000

static int
gone_add(void *arg, const struct id *id, struct err *err)
{
	(void)err;
	idlist_add(arg, id);
	return 0;
}

/* Was nothing written since the servers were connected? They tell so. */
static int
is_still(struct collector *c, bool *out_still, struct err *err)
{
	struct buf then, now;
	int rc;

	buf_init(&then, COLLECT_NOTE_MAX);
	buf_init(&now, COLLECT_NOTE_MAX);
	rc = forest_mark(c->forest, false, &then, err);
	if (rc == 0)
		rc = forest_mark(c->forest, true, &now, err);
	*out_still = rc == 0 && then.len > 0 &&
		     slice_equal(buf_slice(&now), buf_slice(&then));
	buf_fini(&now);
	buf_fini(&then);
	return rc;
}

/* 1 they were read again, 0 no need, -1. */
static int
groups_confirm(struct collector *c, struct err *err)
{
	size_t doubts;
	bool still;

	/* A run that is held deletes nobody. */
	(void)scope_doubts(c->scope, &doubts);
	if (!scope_expands(c->scope) || doubts > 0)
		return 0;
	if (is_still(c, &still, err) < 0)
		return -1;
	if (still)
		return 0;
	log_info("groups were read again, as something was written while they "
		 "were read policy=%s",
	    c->policy->name);
	return scope_expand_again(c->scope, err) < 0 ? -1 : 1;
}

/* Whoever is left out was counted when the reading found him. */
static void
left_out_uncount(struct shape_counts *counts, const struct shape_counts *before)
{
	for (int r = 0; r < SHAPE_REASON_COUNT; r++) {
		if (r == SHAPE_EXPORTED || r == SHAPE_ERROR)
			continue;
		counts->reasons[r] = before->reasons[r];
		for (int k = 0; k < SHAPE_KIND_COUNT; k++)
			counts->kinds[k][r] = before->kinds[k][r];
	}
}

int
collect_gone_confirm(struct collector *c, struct err *err)
{
	const struct shape_counts before = c->result->counts;
	struct idlist gone = {.list = NULL};
	struct replica_changes changes;
	int rc;

	if (c->intake == NULL)
		return 0;
	rc = replica_intake_preview(c->intake, &changes, err);
	if (rc < 0 || changes.deleted == 0 || changes.deleted > GONE_MAX)
		return rc;
	rc = groups_confirm(c, err);
	if (rc >= 0)
		rc = replica_intake_gone(c->intake, gone_add, &gone, err);
	if (rc == 0)
		rc = idlist_take(c, gone.list, gone.count, err);
	left_out_uncount(&c->result->counts, &before);
	idlist_fini(&gone);
	return rc;
}

/* What was touched was read by id already: only groups may have hidden it. */
int
collect_gone_confirm_touched(
    struct collector *c, const struct idlist *touched, struct err *err)
{
	struct idlist gone = {.list = NULL};
	int rc = 0;

	if (!scope_expands(c->scope))
		return 0;
	for (size_t i = 0; rc >= 0 && i < touched->count; i++) {
		if (touched->marks[i])
			continue;
		rc = replica_holds(c->replica, &touched->list[i], err);
		if (rc > 0)
			idlist_add(&gone, &touched->list[i]);
	}
	if (rc >= 0 && gone.count > 0 && gone.count <= GONE_MAX) {
		rc = groups_confirm(c, err);
		if (rc > 0)
			rc = idlist_take(c, gone.list, gone.count, err);
	}
	idlist_fini(&gone);
	return rc < 0 ? -1 : 0;
}
