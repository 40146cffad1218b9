#include "spoke/scope_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"

#define SCOPE_FILTER_MAX (64 * 1024)
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
filter_build(struct scope *s, struct scope_from *from, struct err *err)
{
	const struct export_base *base = from->base;
	unsigned kinds = base->kind_set & DIALECT_FIND_RECIPIENTS;
	struct buf buf;
	int rc;

	if (kinds == 0)
		return 0;
	buf_init(&buf, SCOPE_FILTER_MAX);
	buf_addf(&buf, "(&%s", scope_filter(s));
	dialect_kinds_filter(s->options.dialect, kinds, &buf);
	scope_words(s, base, &buf);
	buf_add_byte(&buf, ')');
	rc = buf_check(&buf, "filter", err);
	if (rc == 0)
		from->filter = mem_strdup(buf_cstr(&buf));
	buf_fini(&buf);
	return rc;
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

/* Containers and OUs that a search finds: what is in them goes out. */
static int
containers_find(struct scope *s, struct scope_from *from, struct err *err)
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
from_open(struct scope *s, struct scope_from *from, struct err *err)
{
	const struct export_base *base = from->base;
	int rc;

	from->excludes =
	    mem_calloc(base->exclude_count + 1, sizeof(*from->excludes));
	for (size_t i = 0; i < base->exclude_count; i++) {
		rc = scope_pin(s, base->exclude[i], &from->excludes[i], err);
		if (rc < 0)
			return -1;
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
	if (base->ou == NULL && base->object == NULL)
		return filter_build(s, from, err) < 0
			   ? -1
			   : containers_find(s, from, err);
	rc = scope_pin(
	    s, base->ou != NULL ? base->ou : base->object, &from->place, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (base->object != NULL) {
		s->missing++;
		log_warn("a single object does not exist object=\"%s\"",
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
		     k++)
			free(from->excludes[k].dn);
		for (size_t k = 0; k < from->container_count; k++)
			free(from->containers[k]);
		free(from->containers);
		free(from->excludes);
		free(from->filter);
		free(from->place.dn);
	}
	for (size_t i = 0; i < s->referral_count; i++)
		free(s->referrals[i]);
	free(s->list);
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
	for (size_t i = 0; i < s->count; i++) {
		const struct scope_from *from = &s->list[i];
		bool fixed =
		    from->base->ou != NULL || from->base->object != NULL;

		if (!fixed ||
		    (from->place.dn != NULL && forest_find(s->options.forest,
						   from->place.dn) == context))
			return true;
	}
	return false;
}

/* --- does it belong? --- */

static bool
is_excluded(const struct scope_from *from, const char *dn)
{
	for (size_t i = 0; i < from->base->exclude_count; i++)
		if (from->excludes[i].dn != NULL &&
		    dn_is_below(dn, from->excludes[i].dn, true))
			return true;
	return false;
}

/* Sub-OUs only: not the OU itself, nor what is directly in it. */
static bool
is_above(const struct scope_from *from, const char *dn)
{
	return from->base->scope == EXPORT_BELOW &&
	       (dn_equal(dn, from->place.dn) ||
		   dn_equal(dn_parent(dn), from->place.dn));
}

static bool
in_place(const struct scope_from *from, const char *dn)
{
	const char *place = from->place.dn;

	if (from->base->object != NULL || from->base->scope == EXPORT_BASE)
		return dn_equal(dn, place);
	if (from->base->scope == EXPORT_ONE)
		return dn_equal(dn_parent(dn), place);
	return dn_is_below(dn, place, true);
}

static int
one_found(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	(void)hit;
	(void)entry;
	(void)err;
	*(bool *)arg = true;
	return 0;
}

/* 1 it does, 0 not, -1. */
static int
from_has(struct scope *s, const struct scope_from *from, const char *dn,
    struct err *err)
{
	struct scope_search search = {.base = dn,
	    .scope = SEARCH_BASE,
	    .filter = from->filter,
	    .attributes = no_attributes};
	bool found = false;

	if (from->base->ou != NULL || from->base->object != NULL)
		return from->place.dn != NULL && in_place(from, dn);
	for (size_t i = 0; i < from->container_count; i++)
		if (dn_is_below(dn, from->containers[i], true))
			return 1;
	if (from->filter == NULL)
		return 0;
	if (scope_search(s, &search, one_found, &found, err) < 0)
		return -1;
	return found;
}

int
scope_find(struct scope *s, const struct search_entry *entry,
    struct scope_hit *out_hit, struct err *err)
{
	bool found = false;

	for (size_t i = 0; i < s->count; i++) {
		const struct scope_from *from = &s->list[i];
		int rc = from_has(s, from, entry->dn, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (!is_excluded(from, entry->dn) &&
		    !is_above(from, entry->dn)) {
			*out_hit = (struct scope_hit){.from = i};
			return 1;
		}
		if (!found)
			*out_hit =
			    (struct scope_hit){.from = i, .excluded = true};
		found = true;
	}
	return found;
}

/* --- reading --- */

struct reader {
	struct scope *scope;
	const struct scope_from *from; /* NULL: each entry is asked for */
	scope_fn *fn;
	void *arg;
};

static int
reader_take(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	struct reader *r = arg;
	struct scope_hit hit = {0};
	int rc;

	(void)none;
	if (r->from == NULL) {
		rc = scope_find(r->scope, entry, &hit, err);
		if (rc <= 0)
			return rc;
	} else {
		hit.from = (size_t)(r->from - r->scope->list);
		hit.excluded = is_excluded(r->from, entry->dn) ||
			       is_above(r->from, entry->dn);
	}
	return r->fn(r->arg, &hit, entry, err);
}

/* The same search in every naming context that the policy reads. */
static int
read_forest(struct scope *s, struct scope_search *search, struct reader *reader,
    struct err *err)
{
	struct forest *forest = s->options.forest;
	int rc = 0;

	search->scope = SEARCH_SUBTREE;
	for (size_t i = 0; rc == 0 && i < forest_count(forest); i++) {
		if (!scope_reads(s, i))
			continue;
		search->base = forest_dn(forest, i);
		rc = scope_search(s, search, reader_take, reader, err);
	}
	return rc;
}

/* 1: fn stopped it. */
static int
from_read(struct scope *s, size_t index, const char *const *attributes,
    scope_fn *fn, void *arg, struct err *err)
{
	const struct scope_from *from = &s->list[index];
	struct reader reader = {.scope = s, .from = from, .fn = fn, .arg = arg};
	struct scope_search search = {.base = from->place.dn,
	    .scope =
		from->base->scope == EXPORT_ONE ? SEARCH_ONE : SEARCH_SUBTREE,
	    .filter = scope_filter(s),
	    .attributes = attributes};
	int rc = 0;

	if (from->base->object != NULL || from->base->scope == EXPORT_BASE)
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
	if (rc == 0 && from->filter != NULL) {
		search.filter = from->filter;
		rc = read_forest(s, &search, &reader, err);
	}
	return rc;
}

int
scope_read(struct scope *s, size_t index, const char *const *attributes,
    scope_fn *fn, void *arg, struct err *err)
{
	return from_read(s, index, attributes, fn, arg, err) < 0 ? -1 : 0;
}

int
scope_read_ids(struct scope *s, const struct id *ids, size_t count,
    const char *const *attributes, scope_fn *fn, void *arg, struct err *err)
{
	struct reader reader = {.scope = s, .fn = fn, .arg = arg};
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
			rc = read_forest(s, &search, &reader, err);
	}
	buf_fini(&filter);
	return rc < 0 ? -1 : 0;
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
	return from_read(s, index, no_attributes, any_found, NULL, err);
}
