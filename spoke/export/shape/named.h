/* What has to be read of those whom an object names, its manager and a group's
 * members, as a policy wants it. */
#ifndef SPOKE_EXPORT_SHAPE_NAMED_H
#define SPOKE_EXPORT_SHAPE_NAMED_H

#include "common/ldap/dialect.h"
#include "spoke/conf.h"

#define NAMED_ATTRIBUTES_MAX 6

bool named_managers(const struct export_policy *policy);
bool named_memberships(const struct export_policy *policy);
/* What has to be read for them, at most NAMED_ATTRIBUTES_MAX names. */
size_t named_attributes(enum dialect_kind kind,
    const struct export_policy *policy, const char **out_names);

/* Are the memberships of this object carried? The values that name its members,
 * borrowed; NULL: it has none. */
bool named_members(const struct export_policy *policy, Galr__Kind kind,
    const struct search_entry *entry,
    const struct search_attribute **out_names);

#endif
