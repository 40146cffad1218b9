#include "spoke/export/choose/groups.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/export/choose/groups_internal.h"

#define GROUPS_FILTER_MAX (64 * 1024)
#define GROUPS_IDS_AT_ONCE 100
/* One walk. */
struct walk {
	struct groups *groups;
	struct groups_set *set;
	size_t from;
	struct groups_roll roll; /* of the group that is being read */
	uint32_t via;
	/* Members among whom groups are still to be looked for. */
	struct id pending[GROUPS_IDS_AT_ONCE];
	size_t pending_count;
	bool nested; /* somebody asked for them */
	bool last;   /* what is found now is not expanded any more */
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
	for (size_t i = 0; i < groups->doubt_count; i++)
		groups_doubt_fini(&groups->doubts[i]);
	for (size_t i = 0; i < groups->set_count; i++)
		idset_free(groups->sets[i].known);
	reference_cache_free(groups->names);
	free(groups->doubts);
	db_close(groups->db);
	free(groups->sets);
	free(groups);
}

void
groups_roll_fini(struct groups_roll *roll)
{
	idlist_fini(&roll->ids);
	*roll = (struct groups_roll){.known = false};
}

/* --- growing --- */

static int
entry_add(struct groups *groups, const struct search_entry *entry,
    const struct id *id, struct err *err)
{
	struct groups_node node = {.id = *id, .dn = (char *)entry->dn};

	node.dynamic = dialect_entry_kind(groups->dialect, entry) ==
		       GALR__KIND__KIND_DYNAMIC_GROUP;
	return groups_node_add(groups, &node, err);
}

int
groups_add(
    struct groups *groups, const struct search_entry *entry, struct err *err)
{
	struct id id;

	if (dialect_entry_id(groups->dialect, entry, &id, err) < 0)
		return -1;
	return entry_add(groups, entry, &id, err);
}

/* --- the members of one group --- */

/* Notes this of the id; *out_before: what was known. */
static int
known_add(struct walk *w, const struct id *id, uint64_t flag,
    uint64_t *out_before, struct err *err)
{
	if (idset_get(w->set->known, id, out_before, err) < 0)
		return -1;
	if ((*out_before & flag) == flag)
		return 0;
	return idset_put(w->set->known, id, *out_before | flag, err);
}

static int nested_find(struct walk *w, struct err *err);

static int
member_take(struct walk *w, const struct id *id, struct err *err)
{
	uint64_t known;

	if (idset_get(w->set->known, id, &known, err) < 0)
		return -1;
	if ((known & GROUPS_MEMBER) != 0)
		return 0;
	known |= GROUPS_MEMBER | (uint64_t)w->via << GROUPS_FLAGS;
	w->set->count++;
	if (idset_put(w->set->known, id, known, err) < 0)
		return -1;
	if (!w->nested)
		return 0;
	w->pending[w->pending_count++] = *id;
	return w->pending_count < GROUPS_IDS_AT_ONCE ? 0 : nested_find(w, err);
}

/* Nothing counts before the group was read to its end. */
static int
answer_take(void *arg, const struct id *id, const char *dn, struct err *err)
{
	struct walk *w = arg;
	uint64_t before;

	idlist_add(&w->roll.ids, id);
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
	idlist_sort(&w->roll.ids);
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

/* Only what is to be written is kept. */
static int
roll_stay(struct walk *w, size_t index, const struct groups_roll *before,
    struct err *err)
{
	const struct groups_roll *now = &w->roll;

	if (w->groups->options.replica == NULL ||
	    (before->known && before->values == now->values &&
		strcmp(before->stamp, now->stamp) == 0 &&
		idlist_equal(&before->ids, &now->ids)))
		return 0;
	return groups_roll_set(w->groups, index, now, err);
}

/* 1: its filter is refused, and the list is that of before. */
static int
roll_settle(struct walk *w, const struct groups_node *node,
    struct groups_roll *before, struct err *err)
{
	struct err cause;
	int rc;

	if (groups_roll_before(w->groups, node, before, err) < 0)
		return -1;
	rc = roll_read(w, node, &cause, err);
	if (rc == 0)
		return roll_doubt(w, node, before, err);
	if (rc < 0)
		return -1;
	w->groups->refused++;
	log_warn("the directory refuses the filter of a dynamic group; whom "
		 "it found last stay; correct it there group=\"%s\" "
		 "error=\"%s\"",
	    node->dn, cause.message);
	groups_roll_fini(&w->roll);
	w->roll = *before;
	*before = (struct groups_roll){.known = false};
	return 1;
}

static int
node_read(struct walk *w, size_t index, struct err *err)
{
	struct groups_node node = {.dn = NULL};
	struct groups_roll before = {.known = false};
	int rc = -1;

	if (groups_node_get(w->groups, index, &node, err) < 0)
		return -1;
	rc = roll_settle(w, &node, &before, err);
	if (rc == 0)
		rc = roll_stay(w, index, &before, err);
	w->via = (uint32_t)index;
	for (size_t i = 0; rc >= 0 && i < w->roll.ids.count; i++)
		if (member_take(w, &w->roll.ids.list[i], err) < 0)
			rc = -1;
	groups_roll_fini(&before);
	free(node.dn);
	return rc < 0 ? -1 : 0;
}

/* --- groups among the members --- */

static int
nested_take(void *arg, const struct search_entry *entry, struct err *err)
{
	struct walk *w = arg;
	const struct groups_options *o = &w->groups->options;
	const struct dialect *dialect = w->groups->dialect;
	uint64_t known;
	struct id id;

	if (dialect_entry_id(dialect, entry, &id, err) < 0 ||
	    idset_get(w->set->known, &id, &known, err) < 0)
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
	return entry_add(w->groups, entry, &id, err);
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

	return search_each(context->session, &options, nested_take, w, err);
}

/* (&GROUP(|id...)) of those who wait. */
static void
nested_filter(struct walk *w, struct buf *out)
{
	const struct dialect *dialect = w->groups->dialect;

	buf_add_str(out, "(&");
	dialect_kinds_filter(dialect, DIALECT_FIND_GROUPS, out);
	buf_add_str(out, "(|");
	for (size_t i = 0; i < w->pending_count; i++)
		dialect_id_filter(dialect, &w->pending[i], out);
	buf_add_str(out, "))");
	w->pending_count = 0;
}

/* Adds the groups among those who wait to the nodes. */
static int
nested_find(struct walk *w, struct err *err)
{
	struct forest *forest = w->groups->options.forest;
	const struct forest_context *context;
	struct buf filter;
	int rc;

	if (w->pending_count == 0)
		return 0;
	buf_init(&filter, GROUPS_FILTER_MAX);
	nested_filter(w, &filter);
	rc = buf_check(&filter, "filter", err);
	for (size_t i = 0; rc == 0 && i < forest_count(forest); i++) {
		rc = forest_context(forest, i, &context, err);
		if (rc == 0)
			rc = nested_search(w, context, buf_cstr(&filter), err);
	}
	buf_fini(&filter);
	return rc;
}

/* --- the walk --- */

static int
levels_walk(struct walk *w, unsigned depth, struct err *err)
{
	size_t node = w->groups->walked;

	for (unsigned level = 1; node < w->groups->node_count; level++) {
		size_t end = w->groups->node_count;

		w->last = level == depth;
		for (; node < end; node++)
			if (node_read(w, node, err) < 0)
				return -1;
		if (nested_find(w, err) < 0)
			return -1;
	}
	return 0;
}

int
groups_walk(struct groups *groups, size_t from, unsigned depth, struct err *err)
{
	/* One level means that nobody asked for nested groups. */
	struct walk w = {.groups = groups, .from = from, .nested = depth > 1};
	uint64_t before;
	int rc = 0;

	INVARIANT(from == groups->set_count && depth > 0);
	groups->sets =
	    mem_realloc(groups->sets, (from + 1) * sizeof(*groups->sets));
	groups->sets[from] = (struct groups_set){.known = idset_new()};
	groups->set_count++;
	w.set = &groups->sets[from];
	w.set->roots = groups->node_count - groups->walked;
	for (size_t i = groups->walked; rc == 0 && i < groups->node_count;
	     i++) {
		struct groups_node node;

		rc = groups_node_get(groups, i, &node, err);
		if (rc < 0)
			break;
		rc = known_add(&w, &node.id, GROUPS_EXPANDED, &before, err);
		free(node.dn);
	}
	if (rc == 0)
		rc = levels_walk(&w, depth, err);
	groups->walked = groups->node_count;
	if (rc == 0 && w.deeper > 0)
		log_warn("groups lie deeper than the policy expands them, they "
			 "stay groups depth=%u groups=%zu",
		    depth, w.deeper);
	groups_roll_fini(&w.roll);
	return rc;
}

/* --- looking --- */

static struct groups_member
member_make(const struct id *id, uint64_t known)
{
	return (struct groups_member){.id = *id,
	    .via = (uint32_t)(known >> GROUPS_FLAGS),
	    .expanded = (known & GROUPS_EXPANDED) != 0,
	    .outside = (known & GROUPS_OUTSIDE) != 0};
}

struct giving {
	groups_fn *fn;
	void *arg;
};

static int
member_give(void *arg, const struct id *id, uint64_t known, struct err *err)
{
	const struct giving *g = arg;
	struct groups_member member = member_make(id, known);

	return (known & GROUPS_MEMBER) == 0 ? 0 : g->fn(g->arg, &member, err);
}

int
groups_each(const struct groups *groups, size_t from, groups_fn *fn, void *arg,
    struct err *err)
{
	struct giving g = {fn, arg};

	return from >= groups->set_count
		   ? 0
		   : idset_each(groups->sets[from].known, member_give, &g, err);
}

size_t
groups_count(const struct groups *groups, size_t from)
{
	return from < groups->set_count ? groups->sets[from].count : 0;
}

size_t
groups_roots(const struct groups *groups, size_t from)
{
	return from < groups->set_count ? groups->sets[from].roots : 0;
}

int
groups_find(const struct groups *groups, size_t from, const struct id *id,
    struct groups_member *out_member, struct err *err)
{
	uint64_t known;

	if (groups_count(groups, from) == 0)
		return 0;
	if (idset_get(groups->sets[from].known, id, &known, err) < 0)
		return -1;
	if ((known & GROUPS_MEMBER) == 0)
		return 0;
	*out_member = member_make(id, known);
	return 1;
}

int
groups_via(
    const struct groups *groups, uint32_t via, char **out_dn, struct err *err)
{
	struct groups_node node = {.dn = NULL};
	int rc = groups_node_get(groups, via, &node, err);

	*out_dn = node.dn;
	return rc;
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
