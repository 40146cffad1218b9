/* The part of the configuration that export policies are. */
#include <strings.h>
#include "common/base/clock.h"
#include "common/wire/limits.h"
#include "spoke/conf_internal.h"
#include "spoke/export/shape/facts.h"

static const struct conf_name scope_names[] = {{"this-ou", EXPORT_THIS_OU},
    {"sub-ous", EXPORT_SUB_OUS}, {"subtree", EXPORT_SUBTREE}, {NULL, 0}};
static const struct conf_name find_names[] = {{"user", DIALECT_FIND_USER},
    {"contact", DIALECT_FIND_CONTACT}, {"group", DIALECT_FIND_GROUP},
    {"dynamic-group", DIALECT_FIND_DYNAMIC_GROUP},
    {"public-folder", DIALECT_FIND_PUBLIC_FOLDER},
    {"container", DIALECT_FIND_CONTAINER}, {"ou", DIALECT_FIND_OU}, {NULL, 0}};
static const struct conf_name groups_names[] = {
    {"itself", EXPORT_GROUPS_ITSELF}, {"members", EXPORT_GROUPS_MEMBERS},
    {"both", EXPORT_GROUPS_BOTH}, {NULL, 0}};
static const struct conf_name nested_names[] = {
    {"true", EXPORT_NESTED_YES}, {"false", EXPORT_NESTED_NO}, {NULL, 0}};
static const struct conf_name preset_names[] = {
    {"full", EXPORT_FULL}, {"minimal", EXPORT_MINIMAL}, {NULL, 0}};
static const struct conf_name closed_names[] = {
    {"report", EXPORT_CLOSED_REPORT}, {"leave-out", EXPORT_CLOSED_LEAVE_OUT},
    {"include", EXPORT_CLOSED_INCLUDE}, {NULL, 0}};
static const struct conf_name forwarded_names[] = {
    {"primary", EXPORT_FORWARDED_PRIMARY}, {"target", EXPORT_FORWARDED_TARGET},
    {NULL, 0}};
static const struct conf_name feed_names[] = {{"auto", FEED_AUTO},
    {"dirsync", FEED_DIRSYNC}, {"usn", FEED_USN}, {"syncrepl", FEED_SYNCREPL},
    {"full", FEED_FULL}, {NULL, 0}};

/* A DN or a GUID. */
static int
check_place(const struct conf_row *row, const void *field, struct err *err)
{
	struct slice text = slice_str(*(const char *const *)field);
	struct err own = {0};
	struct id id;

	if (text.len > 2 && text.data[0] == '{')
		text = slice_sub(text, 1, text.len - 2);
	return id_parse(text, &id, &own) == 0 ? 0
					      : conf_check_dn(row, field, err);
}

static int
kinds_take(struct export_base *base, struct err *err)
{
	for (size_t i = 0; i < base->kind_count; i++) {
		const struct conf_name *n = find_names;

		while (n->name != NULL && strcmp(n->name, base->kinds[i]) != 0)
			n++;
		if (n->name == NULL)
			return err_set(err, ERR_CONFIG,
			    "\"%s\" is no kind: user, contact, group, "
			    "dynamic-group, public-folder, container, ou",
			    base->kinds[i]);
		base->kind_set |= (unsigned)n->value;
	}
	if (base->kind_count == 0)
		base->kind_set = DIALECT_FIND_RECIPIENTS;
	return 0;
}

/* Parentheses pair, so that a filter stays one when it is put into another. */
static bool
filter_closed(const char *filter)
{
	size_t depth = 0, len = strlen(filter);

	if (len < 3 || filter[0] != '(')
		return false;
	for (size_t i = 0; i < len; i++) {
		depth += filter[i] == '(';
		if (filter[i] == ')' && --depth == 0)
			return i == len - 1;
	}
	return false;
}

static int
complete_base(void *group, struct err *err)
{
	struct export_base *b = group;
	bool search = b->search != NULL || b->filter != NULL;
	int count = (b->ou != NULL) + (b->search != NULL) +
		    (b->filter != NULL) + (b->object != NULL);

	if (count != 1)
		return err_set(err, ERR_CONFIG,
		    "say exactly one of ou, search, filter and object");
	if (b->kind_count > 0 && !search)
		return err_set(
		    err, ERR_CONFIG, "kinds belongs to search and filter");
	if (b->scope != EXPORT_SUBTREE && b->ou == NULL)
		return err_set(err, ERR_CONFIG, "scope belongs to ou");
	if (b->search != NULL && b->search[strspn(b->search, " ")] == '\0')
		return err_set(
		    err, ERR_CONFIG, "search is empty; \"*\" finds everything");
	for (size_t i = 0; i < b->exclude_count; i++)
		if (check_place(NULL, &b->exclude[i], err) < 0)
			return err_prepend(
			    err, "exclude \"%s\"", b->exclude[i]);
	if (b->filter != NULL && !filter_closed(b->filter))
		return err_set(err, ERR_CONFIG,
		    "filter must be one LDAP filter in parentheses, such as "
		    "(department=Sales)");
	return kinds_take(b, err);
}

/* What the entry does not say is the policy's. Then depth alone tells how far
 * groups are expanded. */
static int
complete_groups(
    const struct export_policy *p, struct export_base *b, struct err *err)
{
	bool own = b->nested != EXPORT_NESTED_DEFAULT || b->depth != 0;
	unsigned depth = b->depth != 0 ? b->depth : p->depth;

	if (b->groups == EXPORT_GROUPS_DEFAULT)
		b->groups = p->groups;
	if (own && b->groups == EXPORT_GROUPS_ITSELF)
		return err_set(err, ERR_CONFIG,
		    "an entry of from has nested or depth, but its groups are "
		    "not expanded: say groups = \"members\" or \"both\"");
	if (b->nested == EXPORT_NESTED_DEFAULT)
		b->nested = p->nested ? EXPORT_NESTED_YES : EXPORT_NESTED_NO;
	if (b->depth != 0 && b->nested == EXPORT_NESTED_NO)
		return err_set(err, ERR_CONFIG,
		    "an entry of from has depth, but nested groups are not "
		    "expanded: say nested = true");
	b->depth = b->nested == EXPORT_NESTED_YES ? depth : 1;
	if (b->exclude_count > 0 && b->object != NULL &&
	    b->groups == EXPORT_GROUPS_ITSELF)
		return err_set(err, ERR_CONFIG,
		    "exclude belongs to ou, search, filter, and to an object "
		    "that is a group whose members go out");
	return 0;
}

static int
complete_export(void *group, struct err *err)
{
	struct export_policy *p = group;

	for (size_t i = 0; i < p->base_count; i++)
		/* The array was made for this policy. */
		if (complete_groups(
			p, (struct export_base *)&p->bases[i], err) < 0)
			return -1;
	if (attributes_policy_check(p, err) < 0)
		return -1;
	return facts_policy_check(p, err);
}

static const struct conf_row base_rows[] = {
    {"ou", CONF_STRING, CONF_FIELD(struct export_base, ou),
	.check = check_place},
    {"scope", CONF_ENUM, CONF_FIELD(struct export_base, scope),
	.names = scope_names, .text = "subtree"},
    {"exclude", CONF_STRINGS, CONF_FIELD(struct export_base, exclude),
	CONF_COUNT(struct export_base, exclude_count),
	.max = SPOKE_CONF_LIST_MAX},
    {"search", CONF_STRING, CONF_FIELD(struct export_base, search), .max = 255},
    {"filter", CONF_STRING, CONF_FIELD(struct export_base, filter),
	.max = 4096},
    {"kinds", CONF_STRINGS, CONF_FIELD(struct export_base, kinds),
	CONF_COUNT(struct export_base, kind_count), .max = 7},
    {"object", CONF_STRING, CONF_FIELD(struct export_base, object),
	.check = check_place},
    {"groups", CONF_ENUM, CONF_FIELD(struct export_base, groups),
	.names = groups_names},
    {"nested", CONF_ENUM, CONF_FIELD(struct export_base, nested),
	.names = nested_names},
    {"depth", CONF_INT, CONF_FIELD(struct export_base, depth), .min = 1,
	.max = SPOKE_CONF_DEPTH_MAX},
};
static const struct conf_table base_table =
    CONF_TABLE_CHECK("from", struct export_base, base_rows, complete_base);

static const struct conf_row export_rows[] = {
    {"name", CONF_STRING, CONF_FIELD(struct export_policy, name),
	.required = true, .check = conf_check_name},
    {"enabled", CONF_BOOL, CONF_FIELD(struct export_policy, enabled),
	.text = "true"},
    {"tag", CONF_STRING, CONF_FIELD(struct export_policy, tag),
	.max = LIMIT_TAG_CHARS},
    {"from", CONF_GROUPS, CONF_FIELD(struct export_policy, bases),
	CONF_COUNT(struct export_policy, base_count), .table = &base_table,
	.min = 1, .max = SPOKE_CONF_BASES_MAX, .required = true},
    {"groups", CONF_ENUM, CONF_FIELD(struct export_policy, groups),
	.names = groups_names, .text = "itself"},
    {"nested", CONF_BOOL, CONF_FIELD(struct export_policy, nested),
	.text = "false"},
    {"depth", CONF_INT, CONF_FIELD(struct export_policy, depth), .text = "16",
	.min = 1, .max = SPOKE_CONF_DEPTH_MAX},
    {"audience", CONF_STRINGS, CONF_FIELD(struct export_policy, audience),
	CONF_COUNT(struct export_policy, audience_count), .min = 1,
	.max = LIMIT_AUDIENCE},
    {"hidden", CONF_BOOL, CONF_FIELD(struct export_policy, hidden),
	.text = "false"},
    {"mark", CONF_STRING, CONF_FIELD(struct export_policy, mark),
	.text = "NoGALsync", .max = 255},
    {"mark_attribute", CONF_STRING,
	CONF_FIELD(struct export_policy, mark_attribute), .max = 255},
    {"foreign_marks", CONF_STRINGS,
	CONF_FIELD(struct export_policy, foreign_marks),
	CONF_COUNT(struct export_policy, foreign_mark_count),
	.text = EXPORT_FOREIGN_DEFAULT, .max = SPOKE_CONF_LIST_MAX},
    {"disabled", CONF_BOOL, CONF_FIELD(struct export_policy, disabled),
	.text = "true"},
    {"closed", CONF_ENUM, CONF_FIELD(struct export_policy, closed),
	.names = closed_names, .text = "report"},
    {"forwarded", CONF_ENUM, CONF_FIELD(struct export_policy, forwarded),
	.names = forwarded_names, .text = "primary"},
    {"attributes", CONF_ENUM, CONF_FIELD(struct export_policy, preset),
	.names = preset_names, .text = "full"},
    {"allow", CONF_STRINGS, CONF_FIELD(struct export_policy, allow),
	CONF_COUNT(struct export_policy, allow_count),
	.max = SPOKE_CONF_LIST_MAX},
    {"deny", CONF_STRINGS, CONF_FIELD(struct export_policy, deny),
	CONF_COUNT(struct export_policy, deny_count),
	.max = SPOKE_CONF_LIST_MAX},
    {"source_dn", CONF_BOOL, CONF_FIELD(struct export_policy, source_dn),
	.text = "true"},
    {"delegation", CONF_BOOL, CONF_FIELD(struct export_policy, delegation),
	.text = "false"},
    {"memberships", CONF_BOOL, CONF_FIELD(struct export_policy, memberships),
	.text = "true"},
    {"manager", CONF_BOOL, CONF_FIELD(struct export_policy, manager),
	.text = "false"},
    {"minimum", CONF_INT, CONF_FIELD(struct export_policy, minimum),
	.text = "0", .min = 0, .max = INT32_MAX},
    {"max_errors", CONF_INT, CONF_FIELD(struct export_policy, max_errors),
	.text = "10", .min = 0, .max = INT32_MAX},
    {"max_delete_percent", CONF_INT,
	CONF_FIELD(struct export_policy, max_delete_percent), .text = "50",
	.min = 0, .max = 100},
    {"max_delete_count", CONF_INT,
	CONF_FIELD(struct export_policy, max_delete_count), .text = "50",
	.min = 0, .max = INT32_MAX},
    {"max_clear_percent", CONF_INT,
	CONF_FIELD(struct export_policy, max_clear_percent), .text = "50",
	.min = 0, .max = 100},
    {"max_clear_count", CONF_INT,
	CONF_FIELD(struct export_policy, max_clear_count), .text = "10",
	.min = 0, .max = INT32_MAX},
    {"every", CONF_DURATION, CONF_FIELD(struct export_policy, every_ms),
	.text = "15m", .min = 0, .max = 366 * CLOCK_DAY_MS},
    {"deadline", CONF_DURATION, CONF_FIELD(struct export_policy, deadline_ms),
	.text = "1h", .min = CLOCK_SECOND_MS, .max = CLOCK_DAY_MS},
    {"lifetime", CONF_DURATION, CONF_FIELD(struct export_policy, lifetime_ms),
	.text = "7d", .min = 3 * CLOCK_SECOND_MS,
	.max = LIMIT_ENVELOPE_LIFE_MS},
    {"proof", CONF_DURATION, CONF_FIELD(struct export_policy, proof_ms),
	.text = "1d", .min = 0, .max = 31 * CLOCK_DAY_MS},
    {"feed", CONF_ENUM, CONF_FIELD(struct export_policy, feed),
	.names = feed_names, .text = "auto"},
    {"settle", CONF_DURATION, CONF_FIELD(struct export_policy, settle_ms),
	.text = "0", .min = 0, .max = CLOCK_DAY_MS},
};
const struct conf_table conf_export_table = CONF_TABLE_CHECK(
    "export", struct export_policy, export_rows, complete_export);
