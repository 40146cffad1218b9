/*
 * Where references are names, each distinct one costs a look. When everything
 * is read again, nearly all of them mean whom they meant the last time: the one
 * that the replica has as the object's manager is taken to be the one named,
 * and at the end it must be in the stream under that name. Names of others are
 * asked for then. One that turns out to mean somebody else has everything read
 * once more, without belief.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/export/references.h"
#include "spoke/export/references_internal.h"

/* Names that are asked for together. */
#define CONFIRM_AT_ONCE 1000

/* In r->predicted, followed by the name. */
struct prediction {
	struct id id;
	size_t len;
};

void
references_begin_whole(struct collector *c)
{
	struct references *r = c->references;

	if (r == NULL)
		return;
	buf_reset(&r->predicted);
	r->predicts = r->predicts && r->cache != NULL && c->intake != NULL;
}

/* false: there is no room to remember it. */
static bool
believe(struct references *r, const struct id *id, struct slice name)
{
	struct prediction p = {.id = *id, .len = name.len};

	if (r->predicted.len + sizeof(p) + name.len > r->predicted.max)
		return false;
	buf_add(&r->predicted, slice_make(&p, sizeof(p)));
	buf_add(&r->predicted, name);
	reference_cache_put(r->cache, name, id);
	return true;
}

int
references_predict(struct collector *c, const struct id *id, struct slice name,
    struct id *out_manager, struct err *err)
{
	struct references *r = c->references;
	int rc;

	if (!r->predicts || !c->result->whole)
		return 0;
	rc = replica_manager(c->replica, id, out_manager, err);
	return rc <= 0 ? rc : believe(r, out_manager, name);
}

int
references_predict_members(
    struct collector *c, const struct id *id, struct err *err)
{
	struct references *r = c->references;
	struct object object;
	const struct id *list;
	int rc;

	if (!r->predicts || !c->result->whole)
		return 0;
	buf_reset(&r->members);
	rc = replica_members(c->replica, id, &r->members, err);
	list = (const struct id *)r->members.data;
	for (size_t i = 0; rc > 0 && i < r->members.len / ID_LEN; i++) {
		buf_reset(&r->body);
		arena_reset(r->spare);
		rc = replica_get(c->replica, &list[i], &r->body, err);
		if (rc == 0) {
			rc = 1; /* it is not in the stream: it is asked for */
			continue;
		}
		if (rc > 0 && object_decode(buf_slice(&r->body), r->spare,
				  &object, err) < 0)
			rc = -1;
		if (rc > 0 && object.source_dn[0] != '\0' &&
		    reference_cache_find(
			r->cache, slice_str(object.source_dn)) == NULL &&
		    !believe(r, &list[i], slice_str(object.source_dn)))
			break;
	}
	return rc < 0 ? -1 : 0;
}

/* Is it in the stream under that name? */
static int
is_named(struct collector *c, const struct prediction *p, struct slice name,
    struct err *err)
{
	struct references *r = c->references;
	struct object object;
	int rc = replica_intake_has(c->intake, &p->id, err);

	if (rc <= 0)
		return rc;
	buf_reset(&r->body);
	arena_reset(r->arena);
	rc = replica_get(c->replica, &p->id, &r->body, err);
	if (rc <= 0)
		return rc;
	if (object_decode(buf_slice(&r->body), r->arena, &object, err) < 0)
		return -1;
	return slice_equal(slice_str(object.source_dn), name);
}

/* Those whose names nobody of the stream has. */
struct doubts {
	struct slice names[CONFIRM_AT_ONCE];
	struct id ids[CONFIRM_AT_ONCE];
	size_t count;
};

/* 1, 0: one means somebody else, -1. */
static int
doubts_ask(struct references *r, struct doubts *d, struct err *err)
{
	size_t n = d->count;

	d->count = 0;
	reference_cache_clear(r->cache);
	if (reference_cache_resolve(r->cache, d->names, n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct id *id =
		    reference_cache_find(r->cache, d->names[i]);

		if (id == NULL || id_compare(id, &d->ids[i]) != 0)
			return 0;
	}
	return 1;
}

static int
all_confirm(struct collector *c, struct doubts *d, struct err *err)
{
	struct references *r = c->references;
	struct slice rest = buf_slice(&r->predicted);
	struct prediction p;
	int rc = 1;

	while (rc > 0 && rest.len > 0) {
		struct slice name;

		memcpy(&p, rest.data, sizeof(p));
		name = slice_sub(rest, sizeof(p), p.len);
		rest = slice_sub(rest, sizeof(p) + p.len, SIZE_MAX);
		rc = is_named(c, &p, name, err);
		if (rc != 0)
			continue;
		d->names[d->count] = name;
		d->ids[d->count] = p.id;
		rc = ++d->count < CONFIRM_AT_ONCE ? 1 : doubts_ask(r, d, err);
	}
	return rc <= 0 ? rc : doubts_ask(r, d, err);
}

int
references_confirm(struct collector *c, struct err *err)
{
	struct references *r = c->references;
	struct doubts *d;
	int rc;

	if (!r->predicts || r->predicted.len == 0)
		return 1;
	d = mem_calloc(1, sizeof(*d));
	rc = all_confirm(c, d, err);
	free(d);
	if (rc == 0) {
		log_info("read again, as a manager's name means somebody else "
			 "now policy=%s",
		    c->policy->name);
		r->predicts = false;
		reference_cache_clear(r->cache);
	}
	return rc;
}
