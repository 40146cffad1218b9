#include "spoke/export/preview_internal.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/reference.h"
#include "common/wire/limits.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/shape/named.h"

#define PREVIEW_ARENA_MAX ((size_t)64 << 20)
#define PREVIEW_NAME_MAX (64 * 1024)

/* Reading those whom one object names. */
struct naming {
	const struct inquiry *inquiry;
	struct preview *preview;
	const struct id *manager; /* whom a chosen object brings along */
	struct arena *arena;      /* of one of them */
};

static int
named_compare(const void *a, const void *b)
{
	const struct preview_named *x = a, *y = b;

	return id_compare(&x->id, &y->id);
}

struct preview_named *
preview_find(const struct preview *p, const struct id *id)
{
	const struct preview_named key = {.id = *id};

	return p->named_count == 0 ? NULL
				   : bsearch(&key, p->named, p->named_count,
					 sizeof(key), named_compare);
}

/* 0; 1: a value came without an id; -1. */
static int
ids_read(const struct inquiry *q, const struct slice *names, size_t count,
    struct idlist *out, struct err *err)
{
	struct reference_cache *cache =
	    q->extended_dn ? NULL : forest_reference_cache(q->forest);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct id *known = NULL;
		struct id id;

		if (cache == NULL) {
			rc = !reference_id(q->dialect, names[i], &id);
		} else {
			rc = reference_cache_resolve(cache, &names[i], 1, err);
			known = reference_cache_find(cache, names[i]);
			if (known == NULL)
				reference_unresolved(names[i], &id);
		}
		if (rc == 0)
			idlist_add(out, known != NULL ? known : &id);
	}
	reference_cache_free(cache);
	return rc;
}

/* He goes out: with which address? */
static void
named_take(struct naming *n, struct preview_named *named,
    const struct shape_case *answered)
{
	named->goes = true;
	named->mail = arena_dup(
	    n->preview->arena, object_first(&answered->object, "mail"));
}

static int
named_judge(struct naming *n, struct shape_case *question,
    struct preview_named **out_named, bool *out_exported, struct err *err)
{
	const struct inquiry *q = n->inquiry;
	enum shape_reason reason;
	struct object raw;
	struct id id;

	if (dialect_entry_id(q->dialect, question->entry, &id, err) < 0)
		return -1;
	arena_reset(n->arena);
	*out_named = preview_find(n->preview, &id);
	if (inquiry_judge(q, n->arena, question, &raw, &reason, err) < 0)
		return -1;
	*out_exported = *out_named != NULL && reason == SHAPE_EXPORTED;
	return 0;
}

static int
chosen_take(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	struct shape_case question = {.entry = entry,
	    .excluded = hit->excluded,
	    .members_only = hit->members_only};
	struct preview_named *named;
	bool exported;

	if (named_judge(arg, &question, &named, &exported, err) < 0)
		return -1;
	if (named != NULL)
		named->chosen = true;
	if (exported)
		named_take(arg, named, &question);
	return 0;
}

/* Nobody chose him; somebody who is chosen may bring him along. */
static int
along_take(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	struct naming *n = arg;
	struct shape_case question = {.entry = entry,
	    .excluded = scope_excludes(n->inquiry->scope, entry->dn)};
	struct preview_named *named;
	struct buf whose;
	bool exported;
	int rc = 1;

	(void)none;
	if (named_judge(n, &question, &named, &exported, err) < 0)
		return -1;
	if (!exported || named->chosen)
		return 0;
	buf_init(&whose, PREVIEW_NAME_MAX);
	if (n->manager == NULL || id_compare(n->manager, &named->id) != 0)
		rc = inquiry_managed(n->inquiry, entry->dn, &whose, err);
	if (rc > 0)
		named_take(n, named, &question);
	buf_fini(&whose);
	return rc < 0 ? -1 : 0;
}

/* Finds out which of these go. */
static int
named_settle(struct naming *n, const struct idlist *ids, struct err *err)
{
	const struct inquiry *q = n->inquiry;
	const char *const *attributes = shape_attributes(q->shape);
	struct preview *p = n->preview;

	p->named = mem_calloc(ids->count + 1, sizeof(*p->named));
	for (size_t i = 0; i < ids->count; i++)
		p->named[p->named_count++].id = ids->list[i];
	if (scope_read_ids(q->scope, ids->list, ids->count, attributes,
		chosen_take, n, err) < 0)
		return -1;
	if (!named_managers(q->policy))
		return 0;
	return scope_read_any(
	    q->scope, ids->list, ids->count, attributes, along_take, n, err);
}

static bool
named_goes(const struct preview *p, const struct id *id)
{
	const struct preview_named *named = preview_find(p, id);

	return named != NULL && named->goes;
}

/* Those of the sorted members who go; as references_put() leaves out the
 * memberships of too large a group. */
static void
members_keep(const struct preview *p, struct idlist *members,
    struct object_references *out)
{
	size_t n = 0;

	for (size_t i = 0; i < members->count; i++)
		if (named_goes(p, &members->list[i]))
			members->list[n++] = members->list[i];
	out->has_members = n <= LIMIT_OBJECT_MEMBERS;
	out->members = out->has_members ? members->list : NULL;
	out->member_count = out->has_members ? n : 0;
}

/* Whom the entry names, as ids. 0; 1: as ids_read(); -1. */
static int
references_read(const struct inquiry *q, const struct shape_case *question,
    struct idlist *manager, struct idlist *members, bool *out_has_members,
    struct err *err)
{
	const struct search_attribute *names;
	struct slice name = named_managers(q->policy)
				? search_first(question->entry, "manager")
				: SLICE_NULL;

	if (ids_read(q, &name, name.len > 0, manager, err) < 0)
		return -1;
	*out_has_members = named_members(
	    q->policy, question->object.kind, question->entry, &names);
	if (*out_has_members &&
	    references_primary_read(q->forest, q->conf->directory.page_size,
		question->entry, members, err) < 0)
		return -1;
	return names == NULL ? 0
			     : ids_read(q, names->values, names->value_count,
				   members, err);
}

static int
body_make(struct preview *p, const struct inquiry *q,
    const struct shape_case *question,
    const struct object_references *references, struct err *err)
{
	struct object object = question->object;
	struct arena *scratch = arena_new(PREVIEW_ARENA_MAX);
	char opaque[ID_HEX_SIZE];
	int rc;

	object.references = *references;
	shape_name(q->shape, &p->id, opaque, &object);
	rc = object_encode(&object, scratch, &p->body, err);
	arena_free(scratch);
	return rc < 0 ? -1
		      : object_decode(
			    buf_slice(&p->body), p->arena, &p->object, err);
}

/* 0; 1: it cannot be sent, *cause says why; -1. */
static int
preview_fill(struct preview *p, const struct inquiry *q,
    const struct shape_case *question, bool along, struct err *cause,
    struct err *err)
{
	struct object_references references = {.along = along};
	struct idlist manager = {.list = NULL}, members = {.list = NULL},
		      all = {.list = NULL};
	struct naming naming = {.inquiry = q, .preview = p};
	bool has_members = false;
	int rc =
	    references_read(q, question, &manager, &members, &has_members, err);

	if (rc > 0)
		(void)err_set(
		    cause, ERR_BAD_DATA, "a member came without its GUID");
	if (rc != 0)
		goto out;
	idlist_sort(&members);
	for (size_t i = 0; i < members.count; i++)
		idlist_add(&all, &members.list[i]);
	if (manager.count > 0) {
		idlist_add(&all, &manager.list[0]);
		naming.manager = along ? NULL : &manager.list[0];
	}
	idlist_sort(&all);
	naming.arena = arena_new(PREVIEW_ARENA_MAX);
	rc = named_settle(&naming, &all, err);
	arena_free(naming.arena);
	if (rc < 0)
		goto out;
	if (manager.count > 0 && named_goes(p, &manager.list[0]))
		references.manager = &manager.list[0];
	if (has_members)
		members_keep(p, &members, &references);
	rc = body_make(p, q, question, &references, cause) < 0;
out:
	idlist_fini(&manager);
	idlist_fini(&members);
	idlist_fini(&all);
	return rc;
}

int
preview_make(const struct inquiry *q, const struct shape_case *question,
    bool along, struct preview **out_preview, struct err *err)
{
	struct preview *p = mem_calloc(1, sizeof(*p));
	struct err cause = {0};
	int rc;

	*out_preview = NULL;
	p->arena = arena_new(PREVIEW_ARENA_MAX);
	buf_init(&p->body, LIMIT_OBJECT_BYTES);
	rc = dialect_entry_id(q->dialect, question->entry, &p->id, err);
	if (rc == 0)
		rc = preview_fill(p, q, question, along, &cause, err);
	if (rc == 0) {
		*out_preview = p;
		return 0;
	}
	if (rc > 0)
		log_err(&cause, "cannot be sent entry=%s",
		    log_text(slice_str(question->entry->dn)));
	preview_free(p);
	return rc;
}

void
preview_free(struct preview *p)
{
	if (p == NULL)
		return;
	free(p->named);
	buf_fini(&p->body);
	arena_free(p->arena);
	free(p);
}
