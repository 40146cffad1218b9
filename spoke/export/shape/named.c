#include "spoke/export/shape/named.h"

#include "spoke/export/shape/nametable.h"

static bool
is_denied(const struct export_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->deny_count; i++)
		if (nametable_matches(policy->deny[i], name))
			return true;
	return false;
}

bool
named_managers(const struct export_policy *policy)
{
	return policy->manager && !is_denied(policy, "manager");
}

bool
named_memberships(const struct export_policy *policy)
{
	return policy->memberships && !is_denied(policy, "member") &&
	       !is_denied(policy, "uniqueMember");
}

size_t
named_attributes(enum dialect_kind kind, const struct export_policy *policy,
    const char **out_names)
{
	bool ad = kind != DIALECT_OPENLDAP;
	size_t n = 0;

	if (named_managers(policy))
		out_names[n++] = "manager";
	if (named_memberships(policy)) {
		out_names[n++] = "member";
		out_names[n++] = ad ? "hideDLMembership" : "uniqueMember";
		/* Who has which group as primary one. */
		if (ad) {
			out_names[n++] = "objectSid";
			out_names[n++] = "groupType";
			out_names[n++] = "primaryGroupID";
		}
	}
	return n;
}

bool
named_members(const struct export_policy *policy, Galr__Kind kind,
    const struct search_entry *entry, const struct search_attribute **out_names)
{
	*out_names = NULL;
	if (!named_memberships(policy) || kind != GALR__KIND__KIND_GROUP ||
	    slice_equal_case(
		search_first(entry, "hideDLMembership"), SLICE_LIT("TRUE")))
		return false;
	*out_names = search_find(entry, "member");
	if (*out_names == NULL)
		*out_names = search_find(entry, "uniqueMember");
	return true;
}
