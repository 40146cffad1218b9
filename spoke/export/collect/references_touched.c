/*
 * Who has to be read again because somebody else was touched. Where references
 * are names and not ids, a name that an entry lost or got changes what others
 * say, though nobody touched them.
 */
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/collect/references_internal.h"

#define TOUCHED_FILTER_MAX (64 * 1024)
#define TOUCHED_AT_ONCE 100

/* Ids whose name changed, and names that have an entry now. */
struct renamed {
	struct collector *c;
	struct idlist *touched;
	struct idlist ids;
};

/* Is that the name under which it was published? */
static int
is_same_name(struct collector *c, const struct id *id, const char *dn,
    bool *out_same, struct err *err)
{
	struct references *r = c->references;
	struct object object;
	int rc;

	*out_same = false;
	buf_reset(&r->body);
	arena_reset(r->arena);
	rc = replica_get(c->replica, id, &r->body, err);
	if (rc > 0 &&
	    object_decode(buf_slice(&r->body), r->arena, &object, err) < 0)
		return -1;
	*out_same = rc > 0 && dn_equal(object.source_dn, dn);
	return rc < 0 ? -1 : 0;
}

static int
entry_take(void *arg, const struct search_entry *entry, struct err *err)
{
	struct renamed *w = arg;
	struct id id, name;
	size_t at;
	bool same;

	if (dialect_entry_id(w->c->dialect, entry, &id, err) < 0)
		return -1;
	at = idlist_find(w->touched, &id);
	if (at == SIZE_MAX)
		return 0;
	w->touched->marks[at] = true;
	if (is_same_name(w->c, &id, entry->dn, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	reference_unresolved(slice_str(entry->dn), &name);
	idlist_add(&w->ids, &id);
	idlist_add(&w->ids, &name);
	return 0;
}

static int
context_read(
    struct renamed *w, size_t index, const char *filter, struct err *err)
{
	static const char *const names[] = {"entryUUID", "objectGUID", NULL};
	const struct search_options options = {
	    .base = forest_dn(w->c->forest, index),
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = w->c->options->conf->directory.page_size};
	const struct forest_context *context;

	if (forest_context(w->c->forest, index, &context, err) < 0)
		return -1;
	return search_each(context->session, &options, entry_take, w, err);
}

/* The names of all that were touched; what has none any more is gone. */
static int
names_read(struct renamed *w, struct err *err)
{
	size_t count = forest_count(w->c->forest);
	struct buf filter;
	int rc = 0;

	buf_init(&filter, TOUCHED_FILTER_MAX);
	for (size_t i = 0; rc == 0 && i < w->touched->count;) {
		buf_reset(&filter);
		buf_add_str(&filter, "(|");
		for (size_t n = 0; n < TOUCHED_AT_ONCE && i < w->touched->count;
		     n++)
			dialect_id_filter(
			    w->c->dialect, &w->touched->list[i++], &filter);
		buf_add_byte(&filter, ')');
		rc = buf_check(&filter, "filter", err);
		/* Feeds told of them: those of what the policy reads. */
		for (size_t k = 0; rc == 0 && k < count; k++)
			if (scope_reads(w->c->scope, k))
				rc = context_read(w, k, buf_cstr(&filter), err);
	}
	buf_fini(&filter);
	for (size_t i = 0; i < w->touched->count; i++)
		if (!w->touched->marks[i])
			idlist_add(&w->ids, &w->touched->list[i]);
	idlist_sort(&w->ids);
	return rc;
}

/* Everyone who names one of them is read again. */
static int
referrers_add(struct renamed *w, struct err *err)
{
	struct references *r = w->c->references;
	struct replica_referrer g = {.members = &r->members};
	int rc;

	for (size_t i = 0; i < w->ids.count; i++) {
		struct replica_referrer s = {.rowid = 0};

		while ((rc = replica_intake_subordinate(
			    w->c->intake, &w->ids.list[i], &s, err)) > 0)
			idlist_add(w->touched, &s.id);
		if (rc < 0)
			return -1;
	}
	if (w->ids.count == 0)
		return 0;
	for (;;) {
		buf_reset(&r->members);
		rc = replica_intake_group(w->c->intake, &g, err);
		if (rc <= 0)
			return rc;
		if (references_name(buf_slice(&r->members), &w->ids))
			idlist_add(w->touched, &g.id);
	}
}

int
references_touched(struct collector *c, struct idlist *touched, struct err *err)
{
	struct renamed w = {.c = c, .touched = touched};
	bool assumed;
	int rc = 0;

	if (c->references == NULL)
		return 0;
	idlist_sort(touched);
	if (c->references->cache != NULL) {
		rc = names_read(&w, err);
		if (rc == 0)
			rc = referrers_add(&w, err);
		idlist_fini(&w.ids);
		idlist_sort(touched);
	}
	for (size_t i = 0; rc == 0 && i < touched->count; i++)
		rc = references_assume(c, &touched->list[i], 0, &assumed, err);
	return rc;
}
