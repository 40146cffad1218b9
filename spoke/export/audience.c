#include "spoke/export/audience.h"

static bool
is_active(const struct registry *registry, const char *name)
{
	const struct registry_member *member = registry_find(registry, name);

	return member != NULL && !member->revoked;
}

static size_t
everybody(const struct spoke *spoke)
{
	size_t count = 0;

	for (size_t i = 0; i < spoke->registry->member_count; i++) {
		const struct registry_member *m = &spoke->registry->members[i];

		count += !m->revoked &&
			 !registry_name_equal(m->name, spoke->identity.member);
	}
	return count;
}

size_t
audience_receivers(const struct spoke *spoke,
    const struct export_policy *policy, struct buf *out_absent)
{
	size_t count = 0, absent = 0;

	if (spoke->registry == NULL)
		return 0;
	if (policy->audience_count == 0)
		return everybody(spoke);
	for (size_t i = 0; i < policy->audience_count; i++) {
		const char *name = policy->audience[i];

		if (is_active(spoke->registry, name))
			count +=
			    !registry_name_equal(name, spoke->identity.member);
		else if (out_absent != NULL)
			buf_addf(
			    out_absent, "%s%s", absent++ > 0 ? ", " : "", name);
	}
	return count;
}
