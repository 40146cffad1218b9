#include "spoke/export/groups.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/export/groups_internal.h"

#define GROUPS_FILTER_MAX (64 * 1024)
#define GROUPS_IDS_AT_ONCE 100
/* What the walk knows of an id. */
#define GROUPS_MEMBER 1U
#define GROUPS_EXPANDED 2U
#define GROUPS_OUTSIDE 4U

/* One walk. */
struct walk {
	struct groups *groups;
	struct groups_set *set;
	size_t from;
	struct idset *known;
	struct groups_roll roll; /* of the group that is being read */
	uint32_t via;
	bool last; /* what is found now is not expanded any more */
	size_t deeper;
};

struct groups *
groups_new(const struct groups_options *options)
{
	struct groups *groups = mem_calloc(1, sizeof(*groups));

	groups->options = *options;
	groups->began_ms = clock_now_ms();
	groups->dialect = forest_dialect(options->forest);
	if (!reference_is_extended(groups->dialect))
		groups->names = forest_reference_cache(options->forest);
	return groups;
}

void
groups_free(struct groups *groups)
{
	if (groups == NULL)
		return;
	for (size_t i = 0; i < groups->node_count; i++) {
		free(groups->nodes[i].dn);
		groups_roll_fini(&groups->nodes[i].roll);
	}
	for (size_t i = 0; i < groups->doubt_count; i++)
		groups_doubt_fini(&groups->doubts[i]);
	for (size_t i = 0; i < groups->set_count; i++)
		free(groups->sets[i].list);
	reference_cache_free(groups->names);
	free(groups->doubts);
	free(groups->nodes);
	free(groups->sets);
	free(groups);
}

void
groups_roll_fini(struct groups_roll *roll)
{
	collect_ids_fini(&roll->ids);
	*roll = (struct groups_roll){.known = false};
}

/* --- growing --- */

static struct groups_node *
node_add(struct groups *groups, const struct id *id, const char *dn)
{
	size_t n = groups->node_count;

	if ((n & (n - 1)) == 0)
		groups->nodes = mem_realloc(groups->nodes,
		    (n == 0 ? 1 : n * 2) * sizeof(*groups->nodes));
	groups->nodes[n] = (struct groups_node){.id = *id};
	groups->nodes[n].dn = mem_strdup(dn);
	groups->node_count++;
	return &groups->nodes[n];
}

static void
member_add(struct groups_set *set, const struct id *id, uint32_t via)
{
	if (set->count == set->size) {
		set->size = set->size == 0 ? 64 : set->size * 2;
		set->list =
		    mem_realloc(set->list, set->size * sizeof(*set->list));
	}
	set->list[set->count++] = (struct groups_member){.id = *id, .via = via};
}

int
groups_add(
    struct groups *groups, const struct search_entry *entry, struct err *err)
{
	struct id id;

	if (dialect_entry_id(groups->dialect, entry, &id, err) < 0)
		return -1;
	node_add(groups, &id, entry->dn)->dynamic =
	    dialect_entry_kind(groups->dialect, entry) ==
	    GALR__KIND__KIND_DYNAMIC_GROUP;
	return 0;
}

/* --- the members of one group --- */

/* Notes this of the id; *out_before: what was known. */
static int
known_add(struct walk *w, const struct id *id, unsigned flag,
    uint8_t *out_before, struct err *err)
{
	if (idset_get(w->known, id, out_before, err) < 0)
		return -1;
	if ((*out_before & flag) != 0)
		return 0;
	return idset_put(w->known, id, (uint8_t)(*out_before | flag), err);
}

static int
member_take(struct walk *w, const struct id *id, struct err *err)
{
	uint8_t before;

	if (known_add(w, id, GROUPS_MEMBER, &before, err) < 0)
		return -1;
	if ((before & GROUPS_MEMBER) == 0)
		member_add(w->set, id, w->via);
	return 0;
}

/* Nothing counts before the group was read to its end. */
static int
answer_take(void *arg, const struct id *id, const char *dn, struct err *err)
{
	struct walk *w = arg;
	uint8_t before;

	collect_ids_add(&w->roll.ids, id);
	return forest_find(w->groups->options.forest, dn) != FOREST_NONE
		   ? 0
		   : known_add(w, id, GROUPS_OUTSIDE, &before, err);
}

/* group_session_fn. What lies beneath a name is in the global catalogue when
 * there are other domains: that is where Exchange itself asks for the members
 * of a dynamic group. */
static int
session_find(void *arg, const char *dn, bool below,
    struct session **out_session, struct err *err)
{
	struct forest *forest = arg;
	const struct forest_context *context;
	size_t at = forest_find(forest, dn);
	int rc = 0;

	if (at == FOREST_NONE || (below && forest_spans_domains(forest)))
		rc = forest_catalogue(forest, &context, err);
	if (rc == 0 && at != FOREST_NONE)
		rc = forest_context(forest, at, &context, err) < 0 ? -1 : 1;
	if (rc == 1)
		*out_session = context->session;
	return rc;
}

/* Into w->roll. As group_read(). */
static int
roll_read(struct walk *w, const struct groups_node *node, struct err *cause,
    struct err *err)
{
	struct groups *groups = w->groups;
	struct forest *forest = groups->options.forest;
	size_t context = forest_find(forest, node->dn);
	const struct group_source source = {.dialect = groups->dialect,
	    .dn = node->dn,
	    .context = context == FOREST_NONE ? "" : forest_dn(forest, context),
	    .page_size = groups->options.page_size,
	    .session = session_find,
	    .arg = forest,
	    .names = groups->names};
	struct group_told told;
	int rc;

	groups_roll_fini(&w->roll);
	rc = group_read(&source, answer_take, w, &told, err);
	*cause = told.cause;
	memcpy(w->roll.stamp, told.stamp, sizeof(told.stamp));
	w->roll.values = (uint32_t)told.values;
	w->roll.known = rc == 0;
	collect_ids_sort(&w->roll.ids);
	return rc;
}

/* A list that changed while it was read in parts may lack somebody too, so that
 * it is read once more before it is doubted. */
static int
roll_doubt(struct walk *w, const struct groups_node *node,
    const struct groups_roll *before, struct err *err)
{
	struct groups_doubt doubt = {.dn = NULL};
	struct err cause;
	int rc;

	if (node->dynamic)
		return 0;
	rc = groups_doubt_find(w->groups, node, before, &w->roll, &doubt, err);
	if (rc > 0) {
		groups_doubt_fini(&doubt);
		rc = roll_read(w, node, &cause, err);
		if (rc == 0)
			rc = groups_doubt_find(
			    w->groups, node, before, &w->roll, &doubt, err);
	}
	if (rc > 0)
		groups_doubt_add(w->groups, &doubt);
	return rc < 0 ? -1 : 0;
}

/* Only what is to be written stays in memory. */
static void
roll_stay(
    struct walk *w, struct groups_node *node, const struct groups_roll *before)
{
	const struct groups_roll *now = &w->roll;

	if (w->groups->options.replica == NULL ||
	    (before->known && before->values == now->values &&
		strcmp(before->stamp, now->stamp) == 0 &&
		collect_ids_equal(&before->ids, &now->ids)))
		return;
	node->roll = w->roll;
	w->roll = (struct groups_roll){.known = false};
}

static int
node_read(struct walk *w, size_t index, struct err *err)
{
	struct groups *groups = w->groups;
	struct groups_node *node = &groups->nodes[index];
	struct groups_roll before = {.known = false};
	struct err cause;
	int rc;

	if (groups_roll_before(groups, node, &before, err) < 0)
		return -1;
	rc = roll_read(w, node, &cause, err);
	if (rc == 0)
		rc = roll_doubt(w, node, &before, err);
	if (rc == 1) {
		groups->refused++;
		log_warn("the directory refuses the filter of a dynamic group; "
			 "whom it found last stay; correct it there "
			 "group=\"%s\" error=\"%s\"",
		    node->dn, cause.message);
		groups_roll_fini(&w->roll);
		w->roll = before;
		before = (struct groups_roll){.known = false};
	}
	w->via = (uint32_t)index;
	for (size_t i = 0; rc >= 0 && i < w->roll.ids.count; i++)
		if (member_take(w, &w->roll.ids.list[i], err) < 0)
			rc = -1;
	if (rc == 0)
		roll_stay(w, node, &before);
	groups_roll_fini(&before);
	return rc < 0 ? -1 : 0;
}

/* --- groups among the members --- */

static int
nested_take(struct walk *w, const struct search_entry *entry, struct err *err)
{
	const struct groups_options *o = &w->groups->options;
	const struct dialect *dialect = w->groups->dialect;
	uint8_t known;
	struct id id;

	if (dialect_entry_id(dialect, entry, &id, err) < 0)
		return -1;
	if (idset_get(w->known, &id, &known, err) < 0)
		return -1;
	if ((known & GROUPS_EXPANDED) != 0 ||
	    o->skip(o->arg, w->from, entry->dn))
		return 0;
	if (w->last) {
		w->deeper++;
		return 0;
	}
	if (known_add(w, &id, GROUPS_EXPANDED, &known, err) < 0)
		return -1;
	node_add(w->groups, &id, entry->dn)->dynamic =
	    dialect_entry_kind(dialect, entry) ==
	    GALR__KIND__KIND_DYNAMIC_GROUP;
	return 0;
}

static int
nested_search(struct walk *w, const struct forest_context *context,
    const char *filter, struct err *err)
{
	static const char *const names[] = {
	    "objectGUID", "entryUUID", "objectClass", NULL};
	const struct search_options options = {.base = context->dn,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = w->groups->options.page_size};
	struct search *search = NULL;
	struct search_entry entry;
	int rc;

	if (search_open(context->session, &options, &search, err) < 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) == 1)
		if (nested_take(w, &entry, err) < 0) {
			rc = -1;
			break;
		}
	search_close(search);
	return rc;
}

/* (&GROUP(|id...)) of some members from `at` on; returns where to go on. */
static size_t
nested_filter(const struct walk *w, size_t at, struct buf *out)
{
	const struct dialect *dialect = w->groups->dialect;

	buf_reset(out);
	buf_add_str(out, "(&");
	dialect_kinds_filter(dialect, DIALECT_FIND_GROUPS, out);
	buf_add_str(out, "(|");
	for (size_t n = 0; at < w->set->count && n < GROUPS_IDS_AT_ONCE; n++)
		dialect_id_filter(dialect, &w->set->list[at++].id, out);
	buf_add_str(out, "))");
	return at;
}

/* Adds the groups among the members from `at` on to the nodes. */
static int
nested_find(struct walk *w, size_t at, struct err *err)
{
	struct forest *forest = w->groups->options.forest;
	const struct forest_context *context;
	struct buf filter;
	int rc = 0;

	buf_init(&filter, GROUPS_FILTER_MAX);
	while (rc == 0 && at < w->set->count) {
		at = nested_filter(w, at, &filter);
		rc = buf_check(&filter, "filter", err);
		for (size_t i = 0; rc == 0 && i < forest_count(forest); i++) {
			rc = forest_context(forest, i, &context, err);
			if (rc == 0)
				rc = nested_search(
				    w, context, buf_cstr(&filter), err);
		}
	}
	buf_fini(&filter);
	return rc;
}

/* --- the walk --- */

static int
compare(const void *a, const void *b)
{
	const struct groups_member *x = a, *y = b;

	return id_compare(&x->id, &y->id);
}

static int
set_finish(struct walk *w, struct err *err)
{
	struct groups_set *set = w->set;

	if (set->count > 0)
		qsort(set->list, set->count, sizeof(*set->list), compare);
	for (size_t i = 0; i < set->count; i++) {
		uint8_t known;

		if (idset_get(w->known, &set->list[i].id, &known, err) < 0)
			return -1;
		set->list[i].expanded = (known & GROUPS_EXPANDED) != 0;
		set->list[i].outside = (known & GROUPS_OUTSIDE) != 0;
	}
	return 0;
}

static int
levels_walk(struct walk *w, unsigned depth, struct err *err)
{
	size_t node = w->groups->walked;

	for (unsigned level = 1; node < w->groups->node_count; level++) {
		size_t end = w->groups->node_count, first = w->set->count;

		for (; node < end; node++)
			if (node_read(w, node, err) < 0)
				return -1;
		w->last = level == depth;
		/* One level means that nobody asked for nested groups. */
		if (depth > 1 && nested_find(w, first, err) < 0)
			return -1;
	}
	return 0;
}

int
groups_walk(struct groups *groups, size_t from, unsigned depth, struct err *err)
{
	struct walk w = {.groups = groups, .from = from};
	uint8_t before;
	int rc = 0;

	INVARIANT(from == groups->set_count && depth > 0);
	groups->sets =
	    mem_realloc(groups->sets, (from + 1) * sizeof(*groups->sets));
	groups->sets[from] = (struct groups_set){.list = NULL};
	groups->set_count++;
	w.set = &groups->sets[from];
	w.set->roots = groups->node_count - groups->walked;
	w.known = idset_new();
	for (size_t i = groups->walked; rc == 0 && i < groups->node_count; i++)
		rc = known_add(
		    &w, &groups->nodes[i].id, GROUPS_EXPANDED, &before, err);
	if (rc == 0)
		rc = levels_walk(&w, depth, err);
	if (rc == 0)
		rc = set_finish(&w, err);
	groups->walked = groups->node_count;
	if (rc == 0 && w.deeper > 0)
		log_warn("groups lie deeper than the policy expands them, they "
			 "stay groups depth=%u groups=%zu",
		    depth, w.deeper);
	idset_free(w.known);
	groups_roll_fini(&w.roll);
	return rc;
}

/* --- looking --- */

const struct groups_member *
groups_list(const struct groups *groups, size_t from, size_t *out_count)
{
	*out_count = from < groups->set_count ? groups->sets[from].count : 0;
	return *out_count == 0 ? NULL : groups->sets[from].list;
}

size_t
groups_roots(const struct groups *groups, size_t from)
{
	return from < groups->set_count ? groups->sets[from].roots : 0;
}

const struct groups_member *
groups_find(const struct groups *groups, size_t from, const struct id *id)
{
	const struct groups_member key = {.id = *id};
	size_t count;
	const struct groups_member *list = groups_list(groups, from, &count);

	return count == 0 ? NULL
			  : bsearch(&key, list, count, sizeof(*list), compare);
}

const char *
groups_via(const struct groups *groups, const struct groups_member *member)
{
	return groups->nodes[member->via].dn;
}

size_t
groups_refused(const struct groups *groups)
{
	return groups->refused;
}

const struct groups_doubt *
groups_doubts(const struct groups *groups, size_t *out_count)
{
	*out_count = groups->doubt_count;
	return groups->doubts;
}
