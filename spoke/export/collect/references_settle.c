/*
 * Who is in the stream after all.
 *
 *	managers that nobody chose ── read by id ── put along ─┐
 *	along, and nobody's manager any more ── deleted ───────┤
 *	            came or went, otherwise than was assumed ──┴─ bodies amended
 *
 * One level: the manager of one who came along does not.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/export/choose/idlist.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/collect/references_internal.h"

#define ALONG_AT_ONCE 1000

/* What an amendment changes. */
struct amendment {
	const struct id *manager; /* with set_manager */
	bool set_manager;
	struct slice members; /* raw ids, with set_members */
	bool set_members;
};

/* The body in r->body with other references. */
static int
body_amend(struct collector *c, const struct id *id,
    const struct amendment *change, struct err *err)
{
	struct references *r = c->references;
	struct object object;
	struct id *kept = NULL;
	size_t raw = change->members.len / ID_LEN;
	int rc;

	arena_reset(r->arena);
	if (object_decode(buf_slice(&r->body), r->arena, &object, err) < 0)
		return -1;
	if (change->set_manager)
		object.references.manager = change->manager;
	if (change->set_members) {
		kept = mem_calloc(raw + 1, sizeof(*kept));
		rc = references_filter(c,
		    (const struct id *)change->members.data, raw, kept,
		    &object.references.member_count, err);
		object.references.members = kept;
		object.references.has_members =
		    object.references.member_count <= LIMIT_OBJECT_MEMBERS;
		if (rc < 0)
			goto out;
		if (!object.references.has_members) {
			char text[ID_HEX_SIZE];

			object.references.member_count = 0;
			log_warn("a group has more members than can be "
				 "carried, its memberships stay here "
				 "object=%s limit=%d",
			    id_format(id, text), LIMIT_OBJECT_MEMBERS);
		}
	}
	buf_reset(&c->body);
	rc = object_references_replace(
	    buf_slice(&r->body), &object.references, &c->body, err);
	if (rc == 0)
		rc = replica_intake_amend(
		    c->intake, id, buf_slice(&c->body), err);
out:
	free(kept);
	return rc;
}

/* Everyone whose manager this is. */
static int
subordinates_amend(
    struct collector *c, const struct id *manager, bool there, struct err *err)
{
	struct references *r = c->references;
	struct replica_referrer s = {.body = &r->body};
	struct amendment change = {
	    .set_manager = true, .manager = there ? manager : NULL};
	int rc;

	for (;;) {
		buf_reset(&r->body);
		rc = replica_intake_subordinate(c->intake, manager, &s, err);
		if (rc <= 0)
			return rc;
		if (body_amend(c, &s.id, &change, err) < 0)
			return -1;
	}
}

struct managers {
	struct collector *c;
	struct idlist *turned; /* NULL: nobody asks */
};

static int
manager_settle(void *arg, const struct id *id, uint64_t target, struct err *err)
{
	struct managers *m = arg;
	int there = replica_intake_has(m->c->intake, id, err);

	if (there < 0)
		return -1;
	if ((there > 0) == ((target & TARGET_ASSUMED) != 0))
		return 0;
	if (m->turned != NULL)
		idlist_add(m->turned, id);
	return subordinates_amend(m->c, id, there > 0, err);
}

/* Amends the subordinates of all that turned out otherwise; gathers these. */
static int
managers_settle(struct collector *c, struct idlist *out_turned, struct err *err)
{
	struct managers m = {c, out_turned};

	if (idset_each(c->references->targets, manager_settle, &m, err) < 0)
		return -1;
	if (out_turned != NULL)
		idlist_sort(out_turned);
	return 0;
}

bool
references_name(struct slice members, const struct idlist *ids)
{
	const struct id *list = (const struct id *)members.data;

	for (size_t i = 0; i < members.len / ID_LEN; i++)
		if (idlist_find(ids, &list[i]) != SIZE_MAX)
			return true;
	return false;
}

/* Groups that name one of these; NULL: all. */
static int
groups_settle(struct collector *c, const struct idlist *turned, struct err *err)
{
	struct references *r = c->references;
	struct replica_referrer g = {.body = &r->body, .members = &r->members};
	int rc;

	for (;;) {
		struct amendment change = {.set_members = true};

		buf_reset(&r->body);
		buf_reset(&r->members);
		rc = replica_intake_group(c->intake, &g, err);
		if (rc <= 0)
			return rc;
		change.members = buf_slice(&r->members);
		if (turned != NULL && !references_name(change.members, turned))
			continue;
		if (body_amend(c, &g.id, &change, err) < 0)
			return -1;
	}
}

/* The next intake begins with what this one leaves. */
static void
targets_forget(struct references *r)
{
	if (r == NULL)
		return;
	idset_free(r->targets);
	r->targets = idset_new();
}

/* --- a whole reading --- */

/* Managers of those whom the policy chose, and who are not there. */
struct absentees {
	struct collector *c;
	struct idset *out;
};

static int
absent_add(void *arg, const struct id *id, uint64_t target, struct err *err)
{
	struct absentees *a = arg;
	struct collector *c = a->c;
	int there;

	if ((target & TARGET_MANAGER) == 0)
		return 0;
	there = c->intake == NULL ? collect_is_counted(c, id, err)
				  : replica_intake_has(c->intake, id, err);
	if (there != 0)
		return there < 0 ? -1 : 0;
	return idset_put(a->out, id, 0, err);
}

static int
absent_find(struct collector *c, struct idset *out, struct err *err)
{
	struct absentees a = {c, out};

	return idset_each(c->references->targets, absent_add, &a, err);
}

/* Objects that come along, read some at a time. */
struct along {
	struct collector *c;
	struct id ids[ALONG_AT_ONCE];
	size_t count;
};

static int
along_read(struct along *a, struct err *err)
{
	size_t n = a->count;

	a->count = 0;
	return collect_along_take(a->c, a->ids, n, err);
}

static int
along_add(void *arg, const struct id *id, uint64_t none, struct err *err)
{
	struct along *a = arg;

	(void)none;
	a->ids[a->count++] = *id;
	return a->count < ALONG_AT_ONCE ? 0 : along_read(a, err);
}

static int
along_take(struct collector *c, struct idset *ids, struct err *err)
{
	struct along *a = mem_calloc(1, sizeof(*a));
	int rc;

	a->c = c;
	rc = idset_each(ids, along_add, a, err);
	if (rc == 0)
		rc = along_read(a, err);
	free(a);
	return rc < 0 ? -1 : references_flush(c, err);
}

static int
groups_settle_whole(struct collector *c, struct err *err)
{
	struct replica_changes changes;

	if (!c->references->memberships)
		return 0;
	if (replica_intake_preview(c->intake, &changes, err) < 0)
		return -1;
	return changes.added + changes.deleted == 0
		   ? 0
		   : groups_settle(c, NULL, err);
}

int
references_settle_whole(struct collector *c, struct err *err)
{
	struct idset *absent;
	int rc;

	if (c->references == NULL)
		return 0;
	rc = references_flush(c, err);
	if (rc == 0) {
		int right = references_confirm(c, err);

		if (right == 0)
			targets_forget(c->references);
		if (right <= 0)
			return right < 0 ? -1 : 1;
	}
	absent = idset_new();
	if (rc == 0)
		rc = absent_find(c, absent, err);
	if (rc == 0)
		rc = along_take(c, absent, err);
	c->result->untold =
	    idset_count(absent) - c->result->along + c->references->unresolved;
	if (rc == 0 && c->intake != NULL) {
		rc = managers_settle(c, NULL, err);
		if (rc == 0)
			rc = groups_settle_whole(c, err);
	}
	targets_forget(c->references);
	idset_free(absent);
	return rc;
}

/* --- what was touched --- */

/* Is it touched, and not chosen (any more)? */
static bool
is_left(const struct idlist *touched, const struct id *id)
{
	size_t at = idlist_find(touched, id);

	return at != SIZE_MAX && !touched->marks[at];
}

/* Is it the manager of somebody whom the policy chose? 1, 0, -1. */
static int
is_wanted(struct collector *c, const struct idlist *touched,
    const struct id *id, struct err *err)
{
	struct replica_referrer s = {.rowid = 0};
	int rc;

	if (!c->references->managers)
		return 0;
	while ((rc = replica_intake_subordinate(c->intake, id, &s, err)) > 0)
		if (!s.along && !is_left(touched, &s.id))
			return 1;
	return rc;
}

/* Those who are along and nobody's manager any more; the touched ones are
 * looked at with the others. */
static int
orphans_delete(
    struct collector *c, const struct idlist *touched, struct err *err)
{
	struct replica_referrer a = {.rowid = 0};
	bool assumed;
	int rc;

	while ((rc = replica_intake_along(c->intake, &a, err)) > 0) {
		if (idlist_find(touched, &a.id) != SIZE_MAX)
			continue;
		rc = is_wanted(c, touched, &a.id, err);
		if (rc < 0)
			return -1;
		if (rc == 0 &&
		    (references_assume(c, &a.id, 0, &assumed, err) < 0 ||
			replica_intake_delete(c->intake, &a.id, err) < 0))
			return -1;
	}
	return rc;
}

/* Touched ones that were not chosen and are somebody's manager; and managers
 * that are new to the stream. */
static int
wanted_find(struct collector *c, const struct idlist *touched,
    struct idset *out, struct err *err)
{
	for (size_t i = 0; i < touched->count; i++) {
		int rc = touched->marks[i]
			     ? 0
			     : is_wanted(c, touched, &touched->list[i], err);

		if (rc < 0 ||
		    (rc > 0 && idset_put(out, &touched->list[i], 0, err) < 0))
			return -1;
	}
	return absent_find(c, out, err);
}

int
references_settle_touched(
    struct collector *c, struct idlist *touched, struct err *err)
{
	struct idlist turned = {.list = NULL};
	struct idset *wanted = idset_new();
	int rc = 0;

	if (c->references != NULL) {
		rc = references_flush(c, err);
		if (rc == 0)
			rc = references_primary_settle(c, touched, err);
		if (rc == 0)
			rc = wanted_find(c, touched, wanted, err);
		if (rc == 0)
			rc = orphans_delete(c, touched, err);
		if (rc == 0)
			rc = along_take(c, wanted, err);
	}
	for (size_t i = 0; rc == 0 && i < touched->count; i++)
		if (!touched->marks[i])
			rc = replica_intake_delete(
			    c->intake, &touched->list[i], err);
	if (rc == 0 && c->references != NULL) {
		rc = managers_settle(c, &turned, err);
		if (rc == 0 && turned.count > 0)
			rc = groups_settle(c, &turned, err);
	}
	targets_forget(c->references);
	idset_free(wanted);
	idlist_fini(&turned);
	return rc;
}
