#include "common/base/mem.h"
#include "common/ldap/reference.h"
#include "spoke/forest.h"

static int
context_open(void *arg, size_t i, struct session **out_session, struct err *err)
{
	const struct forest_context *context;

	if (forest_context(arg, i, &context, err) < 0)
		return -1;
	*out_session = context->session;
	return 0;
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
