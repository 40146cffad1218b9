#include "spoke/export/collect/references_internal.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "spoke/export/shape/nametable.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/stages.h"
#include "spoke/export/shape/named.h"

#define REFERENCES_ARENA_MAX ((size_t)64 << 20)
/* Primary groups of touched people. */
#define REFERENCES_PRIMARY_MAX ((size_t)1 << 20)
/* Objects that wait for their managers' names to be resolved. */
#define QUEUE_NAMES 100
#define QUEUE_BYTES ((size_t)4 << 20)
/* Members whose names are resolved at a time: fewer than a cache holds. */
#define MEMBERS_AT_ONCE 10000

/* Of one object, as the directory says. */
struct raw {
	struct id manager;
	bool has_manager;
	struct slice manager_name; /* still to be resolved */
	bool has_members;
	struct id *members; /* sorted, each once */
	size_t member_count;
};

struct waiting {
	struct id id;
	bool along;
	size_t name, name_len, body, body_len; /* in the queue's bytes */
};

struct references_queue {
	struct waiting list[QUEUE_NAMES];
	size_t count;
	struct buf bytes;
};

struct references *
references_new(struct collector *c)
{
	struct references *r;
	struct replica_state state = {0};

	if (!named_managers(c->policy) && !named_memberships(c->policy))
		return NULL;
	r = mem_calloc(1, sizeof(*r));
	r->managers = named_managers(c->policy);
	r->memberships = named_memberships(c->policy);
	if (c->replica != NULL)
		replica_state(c->replica, &state);
	r->first = state.version == 0;
	r->targets = idset_new();
	r->arena = arena_new(REFERENCES_ARENA_MAX);
	r->spare = arena_new(LIMIT_OBJECT_UNPACK_BYTES);
	buf_init(&r->body, LIMIT_OBJECT_BYTES);
	buf_init(&r->members, REFERENCES_ARENA_MAX);
	buf_init(&r->primary, REFERENCES_PRIMARY_MAX);
	r->predicts = !r->first;
	if (reference_is_extended(c->dialect))
		return r;
	r->queue = mem_calloc(1, sizeof(*r->queue));
	buf_init(&r->queue->bytes, QUEUE_BYTES * 2);
	r->cache = forest_reference_cache(c->forest);
	return r;
}

void
references_free(struct references *r)
{
	if (r == NULL)
		return;
	if (r->queue != NULL)
		buf_fini(&r->queue->bytes);
	free(r->queue);
	reference_cache_free(r->cache);
	idset_free(r->targets);
	arena_free(r->arena);
	arena_free(r->spare);
	buf_fini(&r->body);
	buf_fini(&r->members);
	buf_fini(&r->primary);
	db_close(r->predicted);
	free(r);
}

/* --- what an entry names --- */

static int
compare(const void *a, const void *b)
{
	return id_compare(a, b);
}

static size_t
ids_sort(struct id *ids, size_t count)
{
	size_t n = 0;

	if (count > 1)
		qsort(ids, count, sizeof(*ids), compare);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || id_compare(&ids[i], &ids[n - 1]) != 0)
			ids[n++] = ids[i];
	return n;
}

/* Names become ids in the order of the values; 1: one has none. */
static int
names_resolve(struct references *r, const struct slice *names, size_t count,
    struct id *out, struct err *err)
{
	enum stage before = stages_enter(STAGE_RECEIVE);
	int rc = 0;

	for (size_t from = 0; rc == 0 && from < count;
	     from += MEMBERS_AT_ONCE) {
		size_t n = count - from;

		if (n > MEMBERS_AT_ONCE)
			n = MEMBERS_AT_ONCE;
		rc = reference_cache_resolve(r->cache, names + from, n, err);
		for (size_t i = from; rc == 0 && i < from + n; i++) {
			const struct id *id =
			    reference_cache_find(r->cache, names[i]);

			if (id != NULL)
				out[i] = *id;
			else
				reference_unresolved(names[i], &out[i]);
		}
	}
	(void)stages_enter(before);
	return rc;
}

/* Of those whom the group names; 1: a value without an id would make a shorter
 * list. */
static int
members_resolve(struct collector *c, const struct id *id,
    const struct search_attribute *a, struct id *out, struct err *cause,
    struct err *err)
{
	struct references *r = c->references;

	if (r->cache != NULL)
		return references_predict_members(c, id, err) < 0
			   ? -1
			   : names_resolve(
				 r, a->values, a->value_count, out, err);
	for (size_t i = 0; i < a->value_count; i++)
		if (!reference_id(c->dialect, a->values[i], &out[i])) {
			(void)err_set(cause, ERR_BAD_DATA,
			    "a member came without its GUID");
			return 1;
		}
	return 0;
}

/* As members_resolve(), with those whom it does not name. */
static int
members_read(struct collector *c, const struct id *id,
    const struct search_entry *entry, const struct search_attribute *a,
    struct raw *raw, struct err *cause, struct err *err)
{
	struct references *r = c->references;
	size_t count = a == NULL ? 0 : a->value_count;
	struct idlist primary = {.list = NULL};
	enum stage before = stages_enter(STAGE_RECEIVE);
	int rc = references_primary_read(c->forest,
	    c->options->conf->directory.page_size, entry, &primary, err);

	(void)stages_enter(before);
	if (rc < 0)
		goto out;
	raw->members = arena_calloc(
	    r->arena, count + primary.count + 1, sizeof(struct id));
	if (raw->members == NULL) {
		(void)err_set(cause, ERR_LIMIT, "too many members");
		rc = 1;
		goto out;
	}
	if (a != NULL)
		rc = members_resolve(c, id, a, raw->members, cause, err);
	for (size_t i = 0; i < primary.count; i++)
		raw->members[count++] = primary.list[i];
	if (rc == 0)
		raw->member_count = ids_sort(raw->members, count);
	raw->has_members = rc == 0;
out:
	idlist_fini(&primary);
	return rc;
}

static int
raw_read(struct collector *c, const struct id *id, Galr__Kind kind,
    const struct search_entry *entry, struct raw *raw, struct err *cause,
    struct err *err)
{
	struct references *r = c->references;
	const struct search_attribute *members;
	struct slice manager = SLICE_NULL;

	if (r->managers)
		manager = search_first(entry, "manager");
	if (r->cache != NULL) {
		raw->manager_name = manager;
	} else if (manager.len > 0) {
		raw->has_manager =
		    reference_id(c->dialect, manager, &raw->manager);
		r->unresolved += !raw->has_manager;
	}
	if (c->intake == NULL ||
	    !named_members(c->policy, kind, entry, &members))
		return 0;
	return members_read(c, id, entry, members, raw, cause, err);
}

/* --- whether they are in the stream --- */

int
references_assume(struct collector *c, const struct id *id, unsigned flags,
    bool *out_assumed, struct err *err)
{
	struct references *r = c->references;
	uint64_t before, target;
	int there = 0;

	if (idset_get(r->targets, id, &before, err) < 0)
		return -1;
	target = before;
	if ((target & TARGET_KNOWN) == 0) {
		there = r->first || c->intake == NULL;
		if (!there)
			there = replica_holds(c->replica, id, err);
		if (there < 0)
			return -1;
		target |= TARGET_KNOWN;
		target |= there ? TARGET_ASSUMED : 0;
	}
	target |= flags;
	*out_assumed = (target & TARGET_ASSUMED) != 0;
	return target == before ? 0 : idset_put(r->targets, id, target, err);
}

int
references_filter(struct collector *c, const struct id *ids, size_t count,
    struct id *out, size_t *out_count, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		int there = replica_intake_has(c->intake, &ids[i], err);

		if (there < 0)
			return -1;
		if (there > 0)
			out[n++] = ids[i];
	}
	*out_count = n;
	return 0;
}

/* --- putting --- */

/* As they were at the last reading; the end of this one tells. */
static int
members_fill(struct collector *c, const struct raw *raw,
    struct object_references *out, struct err *cause, struct err *err)
{
	struct references *r = c->references;
	struct id *kept;
	size_t n = 0;

	out->has_members = raw->has_members;
	/* A first reading knows nobody yet. */
	if (!raw->has_members || r->first)
		return 0;
	kept = arena_calloc(r->arena, raw->member_count + 1, sizeof(*kept));
	if (kept == NULL) {
		(void)err_set(cause, ERR_LIMIT, "too many members");
		return 1;
	}
	for (size_t i = 0; i < raw->member_count; i++) {
		int there = replica_holds(c->replica, &raw->members[i], err);

		if (there < 0)
			return -1;
		if (there > 0)
			kept[n++] = raw->members[i];
	}
	out->has_members = n <= LIMIT_OBJECT_MEMBERS;
	if (out->has_members) {
		out->members = kept;
		out->member_count = n;
	}
	return 0;
}

static int
manager_fill(struct collector *c, const struct id *manager, bool along,
    struct object_references *out, struct err *err)
{
	bool assumed;

	out->manager = NULL;
	if (manager == NULL)
		return 0;
	if (references_assume(
		c, manager, along ? 0 : TARGET_MANAGER, &assumed, err) < 0)
		return -1;
	if (assumed)
		out->manager = manager;
	return 0;
}

/* Waits for its manager's name to be resolved. The body has room for the id. */
static int
queue_add(struct collector *c, const struct id *id, bool along,
    struct slice name, struct err *err)
{
	struct references_queue *q = c->references->queue;
	struct waiting *w = &q->list[q->count];

	*w = (struct waiting){.id = *id,
	    .along = along,
	    .name = q->bytes.len,
	    .name_len = name.len};
	buf_add(&q->bytes, name);
	w->body = q->bytes.len;
	w->body_len = c->body.len;
	buf_add(&q->bytes, buf_slice(&c->body));
	q->count++;
	if (buf_check(&q->bytes, "objects that wait for a name", err) < 0)
		return -1;
	if (q->count < QUEUE_NAMES && q->bytes.len < QUEUE_BYTES)
		return 0;
	return references_flush(c, err);
}

static int
queue_put(struct collector *c, const struct waiting *w,
    const struct id *manager, struct err *err)
{
	struct references *r = c->references;
	struct object_references object = {.along = w->along};
	struct replica_references row = {.manager = manager, .along = w->along};

	if (manager_fill(c, manager, w->along, &object, err) < 0)
		return -1;
	if (c->intake == NULL)
		return 0;
	buf_reset(&r->body);
	if (object_references_replace(
		slice_sub(buf_slice(&r->queue->bytes), w->body, w->body_len),
		&object, &r->body, err) < 0)
		return -1;
	(void)stages_enter(STAGE_STORE);
	return replica_intake_put_with(
	    c->intake, &w->id, buf_slice(&r->body), &row, err);
}

int
references_flush(struct collector *c, struct err *err)
{
	struct references *r = c->references;
	struct references_queue *q = r->queue;
	struct slice names[QUEUE_NAMES];
	struct id ids[QUEUE_NAMES];

	if (q == NULL || q->count == 0)
		return 0;
	for (size_t i = 0; i < q->count; i++)
		names[i] = slice_sub(
		    buf_slice(&q->bytes), q->list[i].name, q->list[i].name_len);
	if (names_resolve(r, names, q->count, ids, err) < 0)
		return -1;
	for (size_t i = 0; i < q->count; i++)
		if (queue_put(c, &q->list[i], &ids[i], err) < 0)
			return -1;
	q->count = 0;
	buf_reset(&q->bytes);
	return 0;
}

static int
body_make(struct collector *c, struct object *object, struct err *cause)
{
	if (c->intake == NULL)
		return 0;
	(void)stages_enter(STAGE_ENCODE);
	buf_reset(&c->body);
	return object_encode(object, c->arena, &c->body, cause) < 0 ? 1 : 0;
}

/* A name that was asked for already, or that is believed in. With members it
 * is asked for with theirs. */
static int
manager_known(
    struct collector *c, const struct id *id, struct raw *raw, struct err *err)
{
	struct references *r = c->references;
	const struct id *known;
	int rc;

	if (raw->manager_name.len == 0)
		return 0;
	known = reference_cache_find(r->cache, raw->manager_name);
	if (known != NULL) {
		raw->manager = *known;
		raw->has_manager = true;
		return 0;
	}
	rc = references_predict(c, id, raw->manager_name, &raw->manager, err);
	if (rc == 0 && raw->has_members) {
		if (names_resolve(
			r, &raw->manager_name, 1, &raw->manager, err) < 0)
			return -1;
		rc = 1;
	}
	raw->has_manager = rc > 0;
	return rc < 0 ? -1 : 0;
}

int
references_put(struct collector *c, const struct id *id, struct object *object,
    const struct search_entry *entry, struct err *cause, struct err *err)
{
	struct references *r = c->references;
	struct object_references *out = &object->references;
	struct replica_references row = {.along = out->along};
	struct raw raw = {.has_manager = false};
	int rc;

	(void)stages_enter(STAGE_READ);
	arena_reset(r->arena);
	rc = raw_read(c, id, object->kind, entry, &raw, cause, err);
	if (rc != 0)
		return rc;
	if (manager_known(c, id, &raw, err) < 0 ||
	    references_primary_note(c, id, entry, err) < 0)
		return -1;
	if (raw.manager_name.len > 0 && !raw.has_manager) {
		out->manager = id;
		rc = body_make(c, object, cause);
		return rc != 0 ? rc
			       : queue_add(
				     c, id, out->along, raw.manager_name, err);
	}
	row.manager = raw.has_manager ? &raw.manager : NULL;
	row.has_members = raw.has_members;
	row.members =
	    slice_make(raw.members, raw.member_count * sizeof(*raw.members));
	if (manager_fill(c, row.manager, out->along, out, err) < 0)
		return -1;
	rc = members_fill(c, &raw, out, cause, err);
	if (rc == 0)
		rc = body_make(c, object, cause);
	if (rc != 0 || c->intake == NULL)
		return rc;
	(void)stages_enter(STAGE_STORE);
	return replica_intake_put_with(
	    c->intake, id, buf_slice(&c->body), &row, err);
}
