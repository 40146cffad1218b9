/* Who receives an export: members, and groups of members that this spoke's own
 * configuration names, so that nobody else can widen them. FEATURES S11. */
#include <stdlib.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "common/wire/registry.h"
#include "spoke/conf_internal.h"

static int
check_member(const char *name, struct err *err)
{
	if (registry_name_valid(name))
		return 0;
	return err_set(err, ERR_CONFIG, "\"%s\" is no member name%s", name,
	    strcmp(name, "*") == 0
		? ": all members receive what names no audience"
		: "");
}

static int
complete_group(void *group, struct err *err)
{
	const struct member_group *g = group;

	for (size_t i = 0; i < g->member_count; i++)
		if (check_member(g->members[i], err) < 0)
			return -1;
	return 0;
}

static const struct conf_row group_rows[] = {
    {"name", CONF_STRING, CONF_FIELD(struct member_group, name),
	.required = true, .check = conf_check_name},
    {"members", CONF_STRINGS, CONF_FIELD(struct member_group, members),
	CONF_COUNT(struct member_group, member_count), .min = 1,
	.max = LIMIT_AUDIENCE, .required = true},
};
const struct conf_table conf_member_group_table = CONF_TABLE_CHECK(
    "member_groups", struct member_group, group_rows, complete_group);

static const struct member_group *
group_find(const struct spoke_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->member_group_count; i++)
		if (strcasecmp(conf->member_groups[i].name, name) == 0)
			return &conf->member_groups[i];
	return NULL;
}

static int
groups_check(const struct spoke_conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf->member_group_count; i++) {
		const char *name = conf->member_groups[i].name;

		if (group_find(conf, name) != &conf->member_groups[i])
			return err_set(err, ERR_CONFIG,
			    "%s: two member_groups are called \"%s\": rename "
			    "one",
			    conf->path, name);
	}
	return 0;
}

/* Twice the limit: one group more is sorted, and repeated names drop out. */
#define NAMES_MAX (2 * LIMIT_AUDIENCE)

struct names {
	const char *list[NAMES_MAX];
	size_t count;
};

static int
compare(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* In one order, each once: that it was written otherwise is no new version. */
static void
names_sort(struct names *names)
{
	size_t n = 0;

	qsort(names->list, names->count, sizeof(*names->list), compare);
	for (size_t i = 0; i < names->count; i++)
		if (n == 0 ||
		    strcasecmp(names->list[i], names->list[n - 1]) != 0)
			names->list[n++] = names->list[i];
	names->count = n;
}

/* More names than one audience has room for do not come in at a time. */
static int
names_add(
    struct names *names, const char *const *list, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		names->list[names->count++] = list[i];
	names_sort(names);
	if (names->count > LIMIT_AUDIENCE)
		return err_set(
		    err, ERR_CONFIG, "more than %d members", LIMIT_AUDIENCE);
	return 0;
}

static const char *const *
names_keep(const struct names *names, struct arena *arena)
{
	const char **list =
	    arena_calloc(arena, names->count + 1, sizeof(*list));

	if (list != NULL)
		memcpy(list, names->list, names->count * sizeof(*list));
	return (const char *const *)list;
}

static int
entry_expand(const struct spoke_conf *conf, const char *entry,
    struct names *members, struct names *groups, struct err *err)
{
	const struct member_group *g;

	if (entry[0] != '@')
		return check_member(entry, err) < 0
			   ? -1
			   : names_add(members, &entry, 1, err);
	g = group_find(conf, entry + 1);
	if (g == NULL)
		return err_set(err, ERR_CONFIG,
		    "there is no group \"%s\": name it in member_groups of "
		    "%s",
		    entry + 1, conf->path);
	if (names_add(groups, &g->name, 1, err) < 0)
		return -1;
	return names_add(members, g->members, g->member_count, err);
}

static int
policy_expand(
    const struct spoke_conf *conf, struct export_policy *p, struct err *err)
{
	struct names *members = mem_calloc(1, sizeof(*members));
	struct names *groups = mem_calloc(1, sizeof(*groups));
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->audience_count; i++)
		rc = entry_expand(conf, p->audience[i], members, groups, err);
	if (rc < 0)
		(void)err_prepend(err, "export \"%s\": audience", p->name);
	if (rc == 0 && p->audience_count > 0) {
		p->audience = names_keep(members, conf->arena);
		p->audience_count = members->count;
		p->audience_groups = names_keep(groups, conf->arena);
		p->audience_group_count = groups->count;
		/* None would be all. */
		if (p->audience == NULL || p->audience_groups == NULL)
			rc = err_set(err, ERR_LIMIT, "audiences too large");
	}
	free(members);
	free(groups);
	return rc;
}

int
conf_audience_expand(struct spoke_conf *conf, struct err *err)
{
	struct export_policy *list;

	if (groups_check(conf, err) < 0)
		return -1;
	if (conf_exports_copy(conf, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < conf->export_count; i++)
		if (policy_expand(conf, &list[i], err) < 0)
			return -1;
	return 0;
}
