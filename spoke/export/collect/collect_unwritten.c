/*
 * Did nobody write to an entry? Its stamp says so, and an account that lost the
 * right to read all properties of some entries does not see that either. So an
 * entry without a stamp, where others show theirs, is taken for one that nobody
 * wrote to: what is held by mistake can be released, what went out cannot be
 * taken back.
 */
#include "spoke/export/collect/collect_internal.h"

#include "common/base/mem.h"
#include "common/ldap/stamp.h"

/* Entries that are asked for a stamp, of each context. */
#define UNWRITTEN_ASKED 100

struct asked {
	const char *name;
	size_t count;
	bool shown;
};

static int
stamp_look(void *arg, const struct search_entry *entry, struct err *err)
{
	struct asked *a = arg;

	(void)err;
	/* One may search for what one may not read. */
	a->shown = search_first(entry, a->name).len > 0;
	return a->shown || ++a->count == UNWRITTEN_ASKED;
}

static int
context_ask(struct collector *c, size_t index, struct asked *a, struct err *err)
{
	const char *const names[] = {a->name, NULL};
	const struct forest_context *context;
	char *filter = mem_printf(
	    "(&%s(%s=*))", dialect_export_filter(c->dialect), a->name);
	const struct search_options options = {
	    .base = forest_dn(c->forest, index),
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = c->options->conf->directory.page_size};
	int rc = forest_context(c->forest, index, &context, err);

	a->count = 0;
	if (rc == 0)
		rc =
		    search_each(context->session, &options, stamp_look, a, err);
	free(filter);
	return rc < 0 ? -1 : 0;
}

/* Does any entry that might be exported show its stamp? */
static int
stamps_ask(struct collector *c, struct err *err)
{
	struct asked a = {.name = stamp_attribute(c->dialect)};

	for (size_t i = 0; !a.shown && i < forest_count(c->forest); i++)
		if (scope_reads(c->scope, i) && context_ask(c, i, &a, err) < 0)
			return -1;
	c->stamps_asked = true;
	c->stamps_shown = a.shown;
	return 0;
}

int
collect_is_unwritten(struct collector *c, const struct search_entry *entry,
    struct slice mark, struct err *err)
{
	if (forest_written(c->forest, entry, mark) == STAMP_BEFORE)
		return 1;
	/* Without a mark nothing was seen before, nor lost since. */
	if (mark.len == 0 ||
	    search_first(entry, stamp_attribute(c->dialect)).len > 0)
		return 0;
	if (!c->stamps_asked && stamps_ask(c, err) < 0)
		return -1;
	return c->stamps_shown;
}
