#include "spoke/export/choose/scope_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "spoke/export/choose/filter.h"

#define SCOPE_IDS_AT_ONCE 100

static const char *const no_attributes[] = {"1.1", NULL};

const char *
scope_text(const struct export_base *base, char *text, size_t size)
{
	const char *what = base->ou != NULL       ? "OU"
			   : base->search != NULL ? "search"
			   : base->filter != NULL ? "filter"
						  : "object";
	const char *value = base->ou != NULL       ? base->ou
			    : base->search != NULL ? base->search
			    : base->filter != NULL ? base->filter
						   : base->object;

	(void)snprintf(text, size, "%s %s", what, value);
	return text;
}

/* What a search asks of a recipient: its kind, its address, and the words. */
static int
filter_build(struct scope *s, const struct export_base *base, const char *basis,
    unsigned kinds, char **out, struct err *err)
{
	struct buf buf;
	int rc;

	kinds &= base->kind_set;
	if (kinds == 0)
		return 0;
	buf_init(&buf, SCOPE_FILTER_MAX);
	buf_addf(&buf, "(&%s", basis);
	dialect_kinds_filter(s->options.dialect, kinds, &buf);
	scope_words(s, base, &buf);
	buf_add_byte(&buf, ')');
	rc = buf_check(&buf, "filter", err);
	if (rc == 0)
		*out = mem_strdup(buf_cstr(&buf));
	buf_fini(&buf);
	return rc;
}

static int
filters_build(struct scope *s, struct scope_from *from, struct err *err)
{
	if (from->base->filter != NULL &&
	    filter_check(from->base->filter, s->options.dialect, err) < 0)
		return -1;
	if (filter_build(s, from->base, scope_filter(s),
		DIALECT_FIND_RECIPIENTS, &from->filter, err) < 0)
		return -1;
	/* A group needs no address to have members. */
	return from->base->groups == EXPORT_GROUPS_ITSELF
		   ? 0
		   : filter_build(s, from->base, "", DIALECT_FIND_GROUPS,
			 &from->groups_filter, err);
}

const char *
scope_filter(const struct scope *s)
{
	return s->options.wide ? dialect_recipient_filter(s->options.dialect)
			       : dialect_export_filter(s->options.dialect);
}

void
scope_words(
    const struct scope *s, const struct export_base *base, struct buf *out)
{
	if (base->search != NULL)
		dialect_expression_filter(
		    s->options.dialect, base->search, out);
	else
		buf_add_str(out, base->filter);
}

int
scope_containers_find(struct scope *s, struct scope_from *from, struct err *err)
{
	unsigned kinds = from->base->kind_set & ~DIALECT_FIND_RECIPIENTS;
	struct buf filter;
	int rc = 0;

	if (kinds == 0)
		return 0;
	buf_init(&filter, SCOPE_FILTER_MAX);
	buf_add_str(&filter, "(&");
	dialect_kinds_filter(s->options.dialect, kinds, &filter);
	scope_words(s, from->base, &filter);
	buf_add_byte(&filter, ')');
	rc = buf_check(&filter, "filter", err);
	if (rc == 0)
		rc = scope_containers_read(s, from, buf_cstr(&filter), err);
	buf_fini(&filter);
	return rc;
}

static int
excludes_open(struct scope *s, struct scope_from *from, struct err *err)
{
	const struct export_base *base = from->base;
	int rc;

	from->excludes =
	    mem_calloc(base->exclude_count + 1, sizeof(*from->excludes));
	for (size_t i = 0; i < base->exclude_count; i++) {
		from->excludes[i].by_name = true;
		rc = scope_pin(s, base->exclude[i], &from->excludes[i], err);
		if (rc < 0)
			return err_prepend(err, "exclude \"%s\" in policy %s",
			    base->exclude[i], s->options.policy->name);
		if (rc == 0 && from->excludes[i].pinned)
			log_warn("an excluded place does not exist any more "
				 "exclude=\"%s\"",
			    base->exclude[i]);
		else if (rc == 0)
			return err_set(err, ERR_CONFIG,
			    "exclude \"%s\" does not exist on %s: correct it "
			    "in policy %s, so that nothing goes out by mistake",
			    base->exclude[i],
			    forest_where(s->options.forest, base->exclude[i]),
			    s->options.policy->name);
	}
	return 0;
}

static int
from_open(struct scope *s, struct scope_from *from, struct err *err)
{
	const struct export_base *base = from->base;
	char text[1024];
	int rc;

	if (excludes_open(s, from, err) < 0)
		return -1;
	if (base->ou == NULL && base->object == NULL)
		return filters_build(s, from, err) < 0
			   ? -1
			   : scope_containers_find(s, from, err);
	rc = scope_pin(
	    s, base->ou != NULL ? base->ou : base->object, &from->place, err);
	if (rc < 0)
		return err_prepend(err, "%s in from of policy %s",
		    scope_text(base, text, sizeof(text)),
		    s->options.policy->name);
	if (rc > 0)
		return 0;
	if (base->object != NULL) {
		s->missing++;
		log_warn("a single object does not exist%s object=\"%s\"",
		    from->place.taken
			? " any more; if the one that has its name now is "
			  "meant, run once with --allow-empty"
			: "",
		    base->object);
		return 0;
	}
	if (from->place.pinned)
		return err_set(err, ERR_CONFIG,
		    "export from %s on %s: this OU has vanished: it was "
		    "deleted, or the account may no longer read it; if another "
		    "took its place under this name, run once with "
		    "--allow-empty",
		    base->ou, forest_where(s->options.forest, base->ou));
	return err_set(err, ERR_CONFIG,
	    "export from %s on %s: there is no such OU, or the account may not "
	    "read it: correct ou in from of policy %s",
	    base->ou, forest_where(s->options.forest, base->ou),
	    s->options.policy->name);
}

int
scope_open(const struct scope_options *options, struct scope **out_scope,
    struct err *err)
{
	struct scope *s;

	if (crypto_init(err) < 0)
		return -1;
	s = mem_calloc(1, sizeof(*s));
	s->options = *options;
	s->count = options->policy->base_count;
	s->list = mem_calloc(s->count + 1, sizeof(*s->list));
	s->arena = arena_new(SCOPE_ARENA_MAX);
	for (size_t i = 0; i < s->count; i++) {
		s->list[i].base = &options->policy->bases[i];
		if (from_open(s, &s->list[i], err) == 0)
			continue;
		/* Only so many were begun. */
		s->count = i + 1;
		scope_close(s);
		return -1;
	}
	*out_scope = s;
	return 0;
}

void
scope_close(struct scope *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++) {
		struct scope_from *from = &s->list[i];

		for (size_t k = 0;
		     from->excludes != NULL && k < from->base->exclude_count;
		     k++) {
			free(from->excludes[k].dn);
			free(from->excludes[k].last);
		}
		for (size_t k = 0; k < from->container_count; k++)
			free(from->containers[k]);
		free(from->containers);
		free(from->excludes);
		free(from->filter);
		free(from->groups_filter);
		free(from->place.dn);
	}
	for (size_t i = 0; i < s->referral_count; i++)
		free(s->referrals[i]);
	free(s->list);
	groups_free(s->groups);
	groups_free(s->again);
	arena_free(s->arena);
	free(s);
}

size_t
scope_missing(const struct scope *s)
{
	return s->missing;
}

/* --- naming contexts --- */

bool
scope_reads(const struct scope *s, size_t context)
{
	/* Members may lie anywhere. */
	if (scope_expands(s))
		return true;
	for (size_t i = 0; i < s->count; i++) {
		const struct scope_from *from = &s->list[i];
		bool fixed =
		    from->base->ou != NULL || from->base->object != NULL;

		/* What is gone was in one of them. */
		if (!fixed || from->place.dn == NULL ||
		    forest_find(s->options.forest, from->place.dn) == context)
			return true;
	}
	return false;
}

bool
scope_asks_links(const struct scope *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const char *filter = s->list[i].base->filter;

		if (filter != NULL &&
		    filter_asks_links(filter, s->options.dialect))
			return true;
	}
	return false;
}

/* --- reading --- */

static int
reader_take(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	const struct scope_reader *r = arg;
	struct scope_hit hit = {0};
	int rc;

	(void)none;
	if (r->any)
		return r->fn(r->arg, NULL, entry, err);
	if (r->from != NULL && !r->members) {
		hit = scope_place_hit(r->scope, r->from, entry);
	} else {
		rc = r->from == NULL ? scope_find(r->scope, entry, &hit, err)
				     : scope_member_find(
					   r->scope, r->from, entry, &hit, err);
		if (rc <= 0)
			return rc;
	}
	return r->fn(r->arg, &hit, entry, err);
}

/* The same search in every naming context that the policy reads, or in the
 * global catalogue. */
static int
read_forest(struct scope *s, struct scope_search *search,
    struct scope_reader *reader, struct err *err)
{
	struct forest *forest = s->options.forest;
	const struct forest_context *context;
	int rc = 0;

	search->scope = SEARCH_SUBTREE;
	if (reader->outside) {
		search->base = "";
		rc = forest_catalogue(forest, &context, err);
		return rc <= 0 ? rc
			       : scope_search_at(s, context, search,
				     reader_take, reader, err);
	}
	for (size_t i = 0; rc == 0 && i < forest_count(forest); i++) {
		/* Managers may be anywhere. */
		if (!reader->any && !scope_reads(s, i))
			continue;
		search->base = forest_dn(forest, i);
		rc = scope_search(s, search, reader_take, reader, err);
	}
	return rc;
}

int
scope_from_read(struct scope *s, size_t index,
    const struct scope_filters *filters, const char *const *attributes,
    scope_fn *fn, void *arg, struct err *err)
{
	const struct scope_from *from = &s->list[index];
	struct scope_reader reader = {
	    .scope = s, .from = from, .fn = fn, .arg = arg};
	struct scope_search search = {.base = from->place.dn,
	    .scope = from->base->scope == EXPORT_THIS_OU ? SEARCH_ONE
							 : SEARCH_SUBTREE,
	    .filter = filters->place,
	    .attributes = attributes};
	int rc = 0;

	if (from->base->object != NULL)
		search.scope = SEARCH_BASE;
	if (from->base->ou != NULL || from->base->object != NULL) {
		if (from->place.dn == NULL)
			return 0;
		return scope_search(s, &search, reader_take, &reader, err);
	}
	for (size_t i = 0; rc == 0 && i < from->container_count; i++) {
		search.base = from->containers[i];
		rc = scope_search(s, &search, reader_take, &reader, err);
	}
	if (rc == 0 && filters->search != NULL) {
		search.filter = filters->search;
		rc = read_forest(s, &search, &reader, err);
	}
	return rc;
}

int
scope_read(struct scope *s, size_t index, const char *const *attributes,
    scope_fn *fn, void *arg, struct err *err)
{
	const struct scope_from *from = &s->list[index];
	const struct scope_filters filters = {scope_filter(s), from->filter};
	int rc;

	rc = scope_from_read(s, index, &filters, attributes, fn, arg, err);
	if (rc == 0)
		rc = scope_members_read(s, from, attributes, fn, arg, err);
	return rc < 0 ? -1 : 0;
}

int
scope_batches_read(struct scope_reader *reader, const struct id *ids,
    size_t count, const char *const *attributes, struct err *err)
{
	struct scope *s = reader->scope;
	struct scope_search search = {.attributes = attributes};
	struct buf filter;
	int rc = 0;

	buf_init(&filter, SCOPE_FILTER_MAX);
	for (size_t i = 0; rc == 0 && i < count;) {
		buf_reset(&filter);
		buf_addf(&filter, "(&%s(|", scope_filter(s));
		for (size_t n = 0; i < count && n < SCOPE_IDS_AT_ONCE; n++)
			dialect_id_filter(
			    s->options.dialect, &ids[i++], &filter);
		buf_add_str(&filter, "))");
		rc = buf_check(&filter, "filter", err);
		search.filter = buf_cstr(&filter);
		if (rc == 0)
			rc = read_forest(s, &search, reader, err);
	}
	buf_fini(&filter);
	return rc;
}

int
scope_read_ids(struct scope *s, const struct id *ids, size_t count,
    const char *const *attributes, scope_fn *fn, void *arg, struct err *err)
{
	struct scope_reader reader = {.scope = s, .fn = fn, .arg = arg};
	int rc = scope_batches_read(&reader, ids, count, attributes, err);

	if (rc == 0)
		rc = scope_outside_read(&reader, ids, count, attributes, err);
	return rc < 0 ? -1 : 0;
}

const char *
scope_place_dn(const struct scope *s, size_t from)
{
	return s->list[from].place.dn;
}

int
scope_read_any(struct scope *s, const struct id *ids, size_t count,
    const char *const *attributes, scope_fn *fn, void *arg, struct err *err)
{
	struct scope_reader reader = {
	    .scope = s, .any = true, .fn = fn, .arg = arg};

	return scope_batches_read(&reader, ids, count, attributes, err) < 0 ? -1
									    : 0;
}

static int
any_found(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	(void)arg;
	(void)hit;
	(void)entry;
	(void)err;
	return 1;
}

int
scope_has_entries(struct scope *s, size_t index, struct err *err)
{
	const struct scope_filters filters = {
	    scope_filter(s), s->list[index].filter};

	if (scope_members_count(s, &s->list[index]) > 0)
		return 1;
	return scope_from_read(
	    s, index, &filters, no_attributes, any_found, NULL, err);
}
