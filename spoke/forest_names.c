#include "common/base/mem.h"
#include "common/ldap/reference.h"
#include "spoke/forest.h"

static int
context_open(void *arg, size_t i, struct session **out_session, struct err *err)
{
	return forest_session_aside(arg, i, out_session, err);
}

struct reference_cache *
forest_reference_cache(struct forest *forest)
{
	size_t count = forest_count(forest);
	const char **dns = mem_calloc(count, sizeof(*dns));
	const struct reference_contexts contexts = {
	    .dns = dns, .count = count, .open = context_open, .arg = forest};
	struct reference_cache *cache;

	for (size_t i = 0; i < count; i++)
		dns[i] = forest_dn(forest, i);
	cache = reference_cache_new(forest_dialect(forest), &contexts);
	free(dns);
	return cache;
}
