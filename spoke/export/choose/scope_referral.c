/*
 * Continuation references: entries that say that the rest is on another server
 * (RFC 3296), and the naming contexts below a domain. They are never followed:
 * our password goes to nobody but the servers that the configuration names, and
 * two that point at each other cannot lead us in a circle. But what lies behind
 * them is missing, and that is said.
 */
#include <strings.h>
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "spoke/export/choose/scope_internal.h"

/* Every search of a domain from its top refers to these; they hold nobody. */
static bool
holds_nobody(const char *dn)
{
	static const char *const partitions[] = {
	    "CN=Configuration,", "DC=DomainDnsZones,", "DC=ForestDnsZones,"};

	for (size_t i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++)
		if (strncasecmp(dn, partitions[i], strlen(partitions[i])) == 0)
			return true;
	return false;
}

/* Another domain of the forest, which the policy reads there. */
static bool
is_read(const struct scope *s, const char *dn)
{
	const struct forest *forest = s->options.forest;

	for (size_t i = 0; i < forest_count(forest); i++)
		if (dn_equal(dn, forest_dn(forest, i)))
			return scope_reads(s, i);
	return false;
}

/* Every entry of `from` that would look there leaves the place out. */
static bool
is_left_out(const struct scope *s, const char *dn)
{
	bool out = false;

	for (size_t i = 0; i < s->count; i++) {
		const struct scope_from *from = &s->list[i];

		if (scope_is_excluded(from, dn))
			out = true;
		else if (from->place.dn == NULL ||
			 dn_is_below(dn, from->place.dn, true))
			return false;
	}
	return out;
}

void
scope_referral_take(void *arg, const char *url, const char *dn)
{
	struct scope *s = arg;

	if (s->referral_count == SCOPE_REFERRALS_MAX ||
	    (dialect_kind(s->options.dialect) != DIALECT_OPENLDAP &&
		holds_nobody(dn)) ||
	    is_read(s, dn) || is_left_out(s, dn))
		return;
	for (size_t i = 0; i < s->referral_count; i++)
		if (strcmp(s->referrals[i], url) == 0)
			return;
	s->referrals[s->referral_count++] = mem_strdup(url);
}

size_t
scope_referrals(const struct scope *s, const char *const **out_urls)
{
	*out_urls = (const char *const *)s->referrals;
	return s->referral_count;
}
