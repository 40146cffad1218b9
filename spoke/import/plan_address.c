/*
 * Addresses of one object of a replica: who has them here, who gives them up.
 *
 * A primary address that another contact of ours holds, and that this very plan
 * takes away from it, is free once that is written: the object's change waits
 * for the other's (moves.h). Other addresses are left out instead, and come
 * with the next plan of the run: for their sake nobody has to wait.
 */
#include <stdio.h>

#include "spoke/address.h"
#include "spoke/import/plan_internal.h"

#define PLAN_HOLDERS 64

int
plan_note(struct plan *plan, const struct plan_object *object, const char *kind,
    const char *reason, struct err *err)
{
	struct importdb_trouble trouble = {
	    .kind = kind,
	    .member = object->stream->member,
	    .object = object->id,
	    .reason = reason,
	};

	return importdb_trouble_put(plan->in->db, &trouble, err);
}

static struct importdb_claimant
plan_claimant(const struct plan_object *object)
{
	return (struct importdb_claimant){
	    .member = object->stream->member,
	    .object = object->id,
	    .stream = object->index,
	};
}

/* The address may be free for the next plan of this run. */
static int
plan_later(struct plan *plan, struct plan_object *object, struct slice address,
    struct err *err)
{
	object->later = true;
	return importdb_blocked_put(plan->in->db, address, err);
}

/* So it may be when it is another contact of ours that has it. */
static int
plan_blocked(struct plan *plan, struct plan_object *object,
    struct slice address, const struct importdb_claim *claim, struct err *err)
{
	return claim->ours && claim->inside
		   ? plan_later(plan, object, address, err)
		   : 0;
}

/* A contact of ours that holds an address which somebody waits for. */
struct plan_holder {
	char member[LIMIT_NAME_CHARS + 1];
	struct id object;
	struct buf *address; /* held; then what it should have instead */
};

enum plan_giving {
	PLAN_KEEPS, /* the address stays with somebody */
	PLAN_FREE,  /* nobody has it once that is written */
	PLAN_NEXT   /* the holder gives it up if it gets another one */
};

/* What the holder's object says of it: *holder is then what to ask next. */
static int
plan_holder_step(struct plan *plan, struct plan_holder *holder,
    enum plan_giving *out_giving, struct err *err)
{
	struct views_options options;
	struct views_contact *view;
	ptrdiff_t carrier;
	bool unknown;
	size_t i;

	*out_giving = PLAN_KEEPS;
	if (plan_carrier(plan, holder->member, &holder->object, &carrier,
		&unknown, err) != 0)
		return -1;
	/* What nothing carries stays, for now, as it is. */
	if (carrier < 0)
		return 0;
	arena_reset(plan->other);
	view = arena_calloc(plan->other, 1, sizeof(*view));
	INVARIANT(view != NULL);
	plan_view_options(plan, &plan->in->streams[carrier], &options);
	/* What the view leaves out is deleted. */
	*out_giving = PLAN_FREE;
	if (views_contact(&options, &holder->object, buf_slice(&plan->body),
		plan->other, view) != VIEWS_FINE)
		return 0;
	*out_giving = PLAN_KEEPS;
	for (i = 0; i < view->smtp_count; i++)
		if (slice_equal(view->smtp[i], buf_slice(holder->address)))
			return 0;
	*out_giving = PLAN_NEXT;
	buf_reset(holder->address);
	buf_add(holder->address, view->smtp[0]);
	return 0;
}

/* Who has the address, beside the claimant? *out_entry is it when it is one
 * contact of ours, of this plan: PLAN_NEXT. */
static int
plan_holder_find(struct plan *plan, const struct importdb_claimant *claimant,
    struct plan_holder *holder, struct id *out_entry,
    enum plan_giving *out_giving, struct err *err)
{
	struct importdb_claim claim;
	uint64_t count = 0;
	int rc = importdb_claim_find(
	    plan->in->db, buf_slice(holder->address), claimant, &claim, err);

	/* To somebody of this forest the contact that wants it yields. */
	*out_giving = PLAN_FREE;
	if (rc <= 0 || !claim.ours)
		return rc < 0 ? -1 : 0;
	*out_giving = PLAN_KEEPS;
	if (!claim.inside)
		return 0;
	if (importdb_claim_holders(plan->in->db, buf_slice(holder->address),
		claimant, &count, err) != 0)
		return -1;
	if (count != 1)
		return 0;
	*out_giving = claim.doomed ? PLAN_FREE : PLAN_NEXT;
	*out_entry = claim.entry;
	(void)snprintf(
	    holder->member, sizeof(holder->member), "%s", claim.member);
	holder->object = claim.object;
	return 0;
}

/* From holder to holder, until one gives the address up for a free one, or
 * keeps it, or it is the object's own again: a ring. In a ring without the
 * object there may be one that is to have the very address: it comes first, or
 * nobody could go on. *out_entry is the first holder. A chain of more than
 * PLAN_HOLDERS is taken for good; moves_settle() sees. */
static int
plan_holders(struct plan *plan, const struct plan_object *object,
    struct plan_holder *holder, struct id *out_entry,
    enum plan_giving *out_giving, struct err *err)
{
	struct importdb_claimant claimant = plan_claimant(object);
	char member[LIMIT_NAME_CHARS + 1];
	struct id entry;
	unsigned steps;

	*out_giving = PLAN_NEXT;
	for (steps = 0; steps < PLAN_HOLDERS && *out_giving == PLAN_NEXT;
	     steps++) {
		memset(&entry, 0, sizeof(entry));
		if (plan_holder_find(
			plan, &claimant, holder, &entry, out_giving, err) != 0)
			return -1;
		if (steps == 0)
			*out_entry = entry;
		if (*out_giving != PLAN_NEXT ||
		    (strcmp(holder->member, object->stream->member) == 0 &&
			id_compare(&holder->object, &object->id) == 0))
			break;
		if (plan_holder_step(plan, holder, out_giving, err) != 0)
			return -1;
		if (*out_giving == PLAN_NEXT &&
		    slice_equal(
			buf_slice(holder->address), object->view.smtp[0]))
			*out_giving = PLAN_KEEPS;
		(void)snprintf(member, sizeof(member), "%s", holder->member);
		claimant.member = member;
		claimant.object = holder->object;
	}
	return 0;
}

/* The primary address is held by contacts of ours. 1: one that this plan takes
 * it away from, and the object waits for that; 0, -1. */
static int
plan_gives_up(struct plan *plan, struct plan_object *object, struct err *err)
{
	struct slice address = object->view.smtp[0];
	enum plan_giving giving = PLAN_KEEPS;
	struct plan_holder holder;
	struct buf text;
	struct id entry;
	int rc;

	buf_init(&text, LIMIT_OBJECT_BYTES);
	buf_add(&text, address);
	holder.address = &text;
	rc = plan_holders(plan, object, &holder, &entry, &giving, err);
	buf_fini(&text);
	if (rc != 0 || giving == PLAN_KEEPS)
		return rc;
	object->waits = true;
	object->follows = true;
	return importdb_need_put(plan->in->db, &entry, address, err) == 0 ? 1
									  : -1;
}

int
plan_check_primary(
    struct plan *plan, struct plan_object *object, struct err *err)
{
	struct importdb_claimant claimant = plan_claimant(object);
	struct slice address = object->view.smtp[0];
	struct importdb_claim claim;
	const char *dn;
	char reason[512];
	int rc =
	    importdb_claim_find(plan->in->db, address, &claimant, &claim, err);

	if (rc <= 0)
		return rc < 0 ? -1 : 1;
	if (claim.ours && claim.inside) {
		dn = arena_strdup(plan->arena, claim.dn);
		rc = plan_gives_up(plan, object, err);
		if (rc != 0)
			return rc;
		claim.dn = dn;
	}
	plan->result->exists++;
	(void)snprintf(
	    reason, sizeof(reason), "its address is in use by %s", claim.dn);
	if (plan_note(plan, object, "exists", reason, err) != 0 ||
	    plan_blocked(plan, object, address, &claim, err) != 0)
		return -1;
	/* Somebody of this forest took the address: the contact yields. */
	if (object->present && !claim.ours)
		return plan_delete(
		    plan, &object->entry, object->index, reason, err);
	return 0;
}

static int
plan_claim_put(struct plan *plan, struct plan_object *object,
    struct slice address, struct err *err)
{
	struct importdb_claimant claimant = plan_claimant(object);
	struct importdb_claim claim = {
	    .ours = true,
	    .member = object->stream->member,
	    .object = object->id,
	    .dn = object->present ? object->entry.dn : "",
	};
	bool waits = false;

	if (object->present)
		claim.entry = object->entry.entry;
	if (plan->deletions > 0 && importdb_need_put_doomed(plan->in->db,
				       address, &claimant, &waits, err) != 0)
		return -1;
	object->waits = object->waits || waits;
	return importdb_claim_put(plan->in->db, address, &claim, err);
}

/* Claims an address unless somebody else has it: 1 claimed, 0 taken, -1. A
 * contact that is there already waits for nobody's end to get it. One that
 * waits for its primary address takes none that is new: the other may be in
 * want of just that to give the primary one up. */
static int
plan_claim(struct plan *plan, struct plan_object *object, struct slice address,
    struct err *err)
{
	struct importdb_claimant claimant = plan_claimant(object);
	struct importdb_claim other;
	int rc;

	claimant.doomed_too = object->present;
	rc = importdb_claim_find(plan->in->db, address, &claimant, &other, err);
	if (rc > 0 && plan_blocked(plan, object, address, &other, err) != 0)
		return -1;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (object->follows) {
		rc = importdb_claim_own(plan->in->db, address, &claimant, err);
		if (rc == 0)
			return plan_later(plan, object, address, err);
		if (rc < 0)
			return -1;
	}
	return plan_claim_put(plan, object, address, err) == 0 ? 1 : -1;
}

int
plan_claim_addresses(
    struct plan *plan, struct plan_object *object, struct err *err)
{
	struct views_contact *view = &object->view;
	size_t kept = 1;
	size_t i;
	int rc;

	/* The first is the primary one, which was looked at. */
	if (plan_claim_put(plan, object, view->smtp[0], err) != 0)
		return -1;
	for (i = 1; i < view->smtp_count; i++) {
		rc = plan_claim(plan, object, view->smtp[i], err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			view->smtp[kept++] = view->smtp[i];
	}
	view->smtp_count = kept;
	kept = 0;
	for (i = 0; i < view->other_count; i++) {
		rc = plan_claim(plan, object,
		    address_fold(view->other[i], plan->arena), err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			view->other[kept++] = view->other[i];
	}
	view->other_count = kept;
	return 0;
}
