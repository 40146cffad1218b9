/*
 * A list that an account may no longer read looks as if all had left. So
 * whoever is missing is looked for:
 *
 *   still says that he is a member (Active Directory, memberOf) ─┐
 *   exists, and neither he nor the group was written to since ───┴─ doubted
 *   deleted, or written to with or without the group ────────────── believed
 *
 * A group that is gone as a whole is looked for in the same way, by its name:
 * deleting it ends the links to it.
 *
 * Removing a member writes to the group; deleting one need not, which also ends
 * the entry. A list that the server computes (slapo-dynlist) follows the
 * entries of its members.
 */
#include <stdlib.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/reference.h"
#include "spoke/export/choose/groups_internal.h"

#define DOUBT_FILTER_MAX (64 * 1024)
#define DOUBT_IDS_AT_ONCE 100
/* One is enough; more are for the message. */
#define DOUBT_LOOKED_MAX 1000
/* Groups that are gone and are asked about; of more, other guards hear. */
#define DOUBT_UNSEEN_MAX 1000

struct look {
	const struct groups *groups;
	struct groups_doubt *doubt;
};

/* --- searching --- */

static int
batch_search(const struct look *look, const struct forest_context *context,
    const char *filter, struct err *err)
{
	static const char *const names[] = {"1.1", NULL};
	const struct search_options options = {.base = context->dn,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = look->groups->options.page_size};
	struct search *search = NULL;
	struct search_entry entry;
	int rc;

	if (search_open(context->session, &options, &search, err) < 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) == 1)
		look->doubt->still++;
	search_close(search);
	return rc;
}

/* Counts those of the lost whom the condition finds there. */
static int
lost_search(const struct look *look, const struct forest_context *context,
    const char *condition, struct err *err)
{
	const struct groups_doubt *doubt = look->doubt;
	struct buf filter;
	int rc = 0;

	buf_init(&filter, DOUBT_FILTER_MAX);
	for (size_t i = 0; rc == 0 && i < doubt->looked;) {
		size_t n = 0;

		buf_reset(&filter);
		buf_addf(&filter, "(&%s(|", condition);
		for (; n < DOUBT_IDS_AT_ONCE && i < doubt->looked; n++)
			dialect_id_filter(look->groups->dialect,
			    &doubt->lost.list[i++], &filter);
		buf_add_str(&filter, "))");
		rc = buf_check(&filter, "filter", err);
		if (rc == 0)
			rc =
			    batch_search(look, context, buf_cstr(&filter), err);
	}
	buf_fini(&filter);
	return rc;
}

/* --- the evidence --- */

/* Where that name is read. 1, 0 nowhere, -1. */
static int
context_find(const struct groups *groups, const char *dn,
    const struct forest_context **out_context, struct err *err)
{
	struct forest *forest = groups->options.forest;
	size_t at = forest_find(forest, dn);

	if (at == FOREST_NONE)
		return forest_catalogue(forest, out_context, err);
	return forest_context(forest, at, out_context, err) < 0 ? -1 : 1;
}

/* A link has two ends, and the right to read one is not that to read the
 * other. The group's own server has both. */
static int
linked_count(struct look *look, const char *dn, struct err *err)
{
	const struct forest_context *context;
	struct buf condition;
	int rc = context_find(look->groups, dn, &context, err);

	if (rc <= 0)
		return rc;
	buf_init(&condition, DOUBT_FILTER_MAX / 2);
	buf_add_str(&condition, "(memberOf=");
	search_filter_escape(&condition, slice_str(dn));
	buf_add_byte(&condition, ')');
	rc = buf_check(&condition, "filter", err);
	if (rc == 0)
		rc = lost_search(look, context, buf_cstr(&condition), err);
	buf_fini(&condition);
	return rc;
}

/* Entries that were not written to after that. The server's clock wrote what is
 * compared with ours: one that runs behind makes some look untouched who were
 * touched just after the last reading, which only a computed list is sorry
 * for. */
static void
untouched_filter(bool plain, int64_t since_ms, char *out, size_t size)
{
	time_t seconds = (time_t)(since_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm);
	if (plain)
		(void)snprintf(out, size,
		    "(entryCSN<=%s.%03d000Z#000000#000#000000)", text,
		    (int)(since_ms % 1000));
	else
		(void)snprintf(out, size, "(whenChanged<=%s.0Z)", text);
}

static int
untouched_count(struct look *look, struct err *err)
{
	struct forest *forest = look->groups->options.forest;
	const struct forest_context *context;
	char condition[96];
	int64_t since_ms;

	if (groups_walked_before(look->groups, &since_ms, err) < 0)
		return -1;
	untouched_filter(!reference_is_extended(look->groups->dialect),
	    since_ms, condition, sizeof(condition));
	for (size_t i = 0; i < forest_count(forest); i++)
		if (forest_context(forest, i, &context, err) < 0 ||
		    lost_search(look, context, condition, err) < 0)
			return -1;
	return 0;
}

static void
lost_find(const struct groups_roll *before, const struct groups_roll *now,
    struct idlist *out)
{
	for (size_t i = 0; i < before->ids.count; i++)
		if (idlist_find(&now->ids, &before->ids.list[i]) == SIZE_MAX)
			idlist_add(out, &before->ids.list[i]);
}

int
groups_doubt_find(struct groups *groups, const struct groups_node *node,
    const struct groups_roll *before, const struct groups_roll *now,
    struct groups_doubt *out, struct err *err)
{
	bool ad = reference_is_extended(groups->dialect);
	struct look look = {.groups = groups, .doubt = out};
	int rc = 0;

	*out = (struct groups_doubt){
	    .group = node->id, .before = before->ids.count};
	lost_find(before, now, &out->lost);
	if (out->lost.count == 0)
		return 0;
	out->looked = out->lost.count < DOUBT_LOOKED_MAX ? out->lost.count
							 : DOUBT_LOOKED_MAX;
	if (ad) {
		out->linked = true;
		rc = linked_count(&look, node->dn, err);
	}
	/* Where names are all there is, one that names nobody any more is still
	 * a value of the list. */
	if (rc == 0 && out->still == 0 && now->stamp[0] != '\0' &&
	    strcmp(before->stamp, now->stamp) == 0 &&
	    (ad || now->values < before->values)) {
		out->linked = false;
		rc = untouched_count(&look, err);
	}
	if (rc == 0 && out->still > 0) {
		out->dn = mem_strdup(node->dn);
		return 1;
	}
	groups_doubt_fini(out);
	return rc;
}

/* --- groups that are gone --- */

struct unseen {
	struct groups *groups;
	size_t looked;
};

/* 1 it is there, if only elsewhere, 0, -1. */
static int
group_is_there(const struct groups *groups, const struct id *id, const char *dn,
    struct err *err)
{
	struct groups_doubt found = {.lost = {.count = 0}, .looked = 1};
	struct look look = {
	    .groups = (struct groups *)(uintptr_t)groups, .doubt = &found};
	const struct forest_context *context;
	int rc = context_find(groups, dn, &context, err);

	if (rc <= 0)
		return rc;
	idlist_add(&found.lost, id);
	rc = lost_search(&look, context, "", err);
	idlist_fini(&found.lost);
	return rc < 0 ? -1 : found.still > 0;
}

/* A group that is deleted takes the links with it. */
static int
unseen_look(struct unseen *u, const struct id *id, const char *dn,
    struct groups_doubt *doubt, struct err *err)
{
	const struct groups_node node = {
	    .id = *id, .dn = (char *)(uintptr_t)dn};
	struct look look = {.groups = u->groups, .doubt = doubt};
	struct groups_roll before = {.known = false};
	int rc = group_is_there(u->groups, id, dn, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (groups_roll_before(u->groups, &node, &before, err) < 0)
		return -1;
	*doubt = (struct groups_doubt){.group = *id,
	    .before = before.ids.count,
	    .lost = before.ids,
	    .linked = true,
	    .unseen = true};
	doubt->looked =
	    doubt->before < DOUBT_LOOKED_MAX ? doubt->before : DOUBT_LOOKED_MAX;
	return linked_count(&look, dn, err);
}

static int
unseen_take(void *arg, const struct id *id, const char *dn, struct err *err)
{
	struct unseen *u = arg;
	struct groups_doubt doubt = {.dn = NULL};
	int rc = groups_node_has(u->groups, id, err);

	if (rc != 0 || u->looked == DOUBT_UNSEEN_MAX)
		return rc < 0 ? -1 : 0;
	u->looked++;
	rc = unseen_look(u, id, dn, &doubt, err);
	if (rc == 0 && doubt.still > 0) {
		doubt.dn = mem_strdup(dn);
		groups_doubt_add(u->groups, &doubt);
	} else {
		groups_doubt_fini(&doubt);
	}
	return rc;
}

int
groups_unseen_find(struct groups *groups, struct err *err)
{
	struct unseen u = {.groups = groups};

	/* Elsewhere members do not say where they belong. */
	return reference_is_extended(groups->dialect)
		   ? groups_met_before(groups, unseen_take, &u, err)
		   : 0;
}

void
groups_doubt_add(struct groups *groups, struct groups_doubt *doubt)
{
	for (size_t i = 0; i < groups->doubt_count; i++)
		if (id_compare(&groups->doubts[i].group, &doubt->group) == 0) {
			groups_doubt_fini(doubt);
			return;
		}
	log_warn("a group lost members who still belong to it: it may not be "
		 "readable group=\"%s\" before=%zu lost=%zu looked_at=%zu "
		 "belong=%zu",
	    doubt->dn, doubt->before, doubt->lost.count, doubt->looked,
	    doubt->still);
	groups->doubts = mem_realloc(groups->doubts,
	    (groups->doubt_count + 1) * sizeof(*groups->doubts));
	groups->doubts[groups->doubt_count++] = *doubt;
}

void
groups_doubt_fini(struct groups_doubt *doubt)
{
	idlist_fini(&doubt->lost);
	free(doubt->dn);
	*doubt = (struct groups_doubt){.dn = NULL};
}
