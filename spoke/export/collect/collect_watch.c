/* What an intake adds and changes, told to those who look for accidents. */
#include "common/base/mem.h"
#include "common/ldap/stamp.h"
#include "spoke/export/collect/collect_internal.h"

static int
watch(void *arg, const struct id *id, struct slice before, struct slice now,
    struct err *err)
{
	struct collector *c = arg;

	if (before.len == 0)
		return collect_witness_added(c, id, err);
	return c->cleared == NULL
		   ? 0
		   : cleared_take(c->cleared, id, before, now, err);
}

void
collect_watch_begin(struct collector *c)
{
	cleared_free(c->cleared);
	/* What a policy takes back is meant to go. */
	c->cleared = c->same_content ? cleared_new() : NULL;
	collect_deleted_reset(c);
	collect_witness_begin(c);
	replica_intake_watch(c->intake, watch, c);
}

void
collect_watch_end(struct collector *c)
{
	cleared_free(c->cleared);
	c->cleared = NULL;
	collect_deleted_reset(c);
	collect_witness_end(c);
}

const char **
collect_stamped_attributes(const struct collector *c, bool all)
{
	static const char *const ids[] = {
	    "objectGUID", "entryUUID", CLEARED_MANAGER, NULL};
	const char *const *list = all ? shape_attributes(c->shape) : ids;
	const char **names;
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	names = mem_calloc(n + 2, sizeof(*names));
	memcpy(names, list, n * sizeof(*names));
	names[n] = stamp_attribute(c->dialect);
	return names;
}
