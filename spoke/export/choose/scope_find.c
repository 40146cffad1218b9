/* Does an entry belong to the policy, and by which entry of `from`? */
#include <ldap.h>
#include "common/ldap/dn.h"
#include "spoke/export/choose/scope_internal.h"

static const char *const no_attributes[] = {"1.1", NULL};

bool
scope_is_excluded(const struct scope_from *from, const char *dn)
{
	for (size_t i = 0; i < from->base->exclude_count; i++) {
		const struct scope_place *place = &from->excludes[i];
		const char *at = place->dn != NULL ? place->dn : place->last;

		if ((at != NULL && dn_is_below(dn, at, true)) ||
		    dn_is_below(dn, from->base->exclude[i], true))
			return true;
	}
	return false;
}

bool
scope_excludes(const struct scope *s, const char *dn)
{
	for (size_t i = 0; i < s->count; i++)
		if (scope_is_excluded(&s->list[i], dn))
			return true;
	return false;
}

/* Sub-OUs only: not the OU itself, nor what is directly in it. */
static bool
is_above(const struct scope_from *from, const char *dn)
{
	return from->base->scope == EXPORT_SUB_OUS &&
	       (dn_equal(dn, from->place.dn) ||
		   dn_equal(dn_parent(dn), from->place.dn));
}

/* A subtree ends where another naming context begins. */
static bool
is_within(const struct scope *s, const char *dn, const char *place)
{
	const struct forest *forest = s->options.forest;

	return dn_is_below(dn, place, true) &&
	       forest_find(forest, dn) == forest_find(forest, place);
}

static bool
in_place(const struct scope *s, const struct scope_from *from, const char *dn)
{
	const char *place = from->place.dn;

	if (from->base->object != NULL)
		return dn_equal(dn, place);
	if (from->base->scope == EXPORT_THIS_OU &&
	    !dn_equal(dn_parent(dn), place))
		return false;
	return is_within(s, dn, place);
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

/* It has another name since it was read: by its id, which costs more. */
static int
search_has_moved(struct scope *s, const struct scope_from *from,
    const struct search_entry *entry, bool *out_found, struct err *err)
{
	struct scope_search search = {
	    .scope = SEARCH_SUBTREE, .attributes = no_attributes};
	size_t context = forest_find(s->options.forest, entry->dn);
	struct buf filter;
	struct id id;
	int rc;

	if (dialect_entry_id(s->options.dialect, entry, &id, err) < 0)
		return -1;
	buf_init(&filter, SCOPE_FILTER_MAX);
	buf_add_str(&filter, "(&");
	dialect_id_filter(s->options.dialect, &id, &filter);
	buf_addf(&filter, "%s)", from->filter);
	rc = buf_check(&filter, "filter", err);
	search.base = forest_dn(s->options.forest, context);
	search.filter = buf_cstr(&filter);
	if (rc == 0)
		rc = scope_search(s, &search, one_found, out_found, err);
	buf_fini(&filter);
	return rc;
}

/* Does its search find the entry? 1, 0, -1. */
static int
search_has(struct scope *s, const struct scope_from *from,
    const struct search_entry *entry, struct err *err)
{
	struct scope_search search = {.base = entry->dn,
	    .scope = SEARCH_BASE,
	    .filter = from->filter,
	    .attributes = no_attributes};
	struct err cause = {0};
	bool found = false;
	int rc;

	/* Only groups lead out of what is read. */
	if (from->filter == NULL ||
	    forest_find(s->options.forest, entry->dn) == FOREST_NONE)
		return 0;
	rc = scope_search(s, &search, one_found, &found, &cause);
	if (rc < 0 && cause.code == LDAP_NO_SUCH_OBJECT)
		rc = search_has_moved(s, from, entry, &found, err);
	else if (rc < 0)
		*err = cause;
	return rc < 0 ? -1 : found;
}

/* 1 it does, 0 not, -1. */
static int
from_has(struct scope *s, const struct scope_from *from,
    const struct search_entry *entry, struct err *err)
{
	if (from->base->ou != NULL || from->base->object != NULL)
		return from->place.dn != NULL && in_place(s, from, entry->dn);
	for (size_t i = 0; i < from->container_count; i++)
		if (is_within(s, entry->dn, from->containers[i]))
			return 1;
	return search_has(s, from, entry, err);
}

struct scope_hit
scope_place_hit(const struct scope *s, const struct scope_from *from,
    const struct search_entry *entry)
{
	return (struct scope_hit){.from = (size_t)(from - s->list),
	    .excluded =
		scope_is_excluded(from, entry->dn) || is_above(from, entry->dn),
	    .members_only = scope_members_only(s, from, entry)};
}

/* The better of two answers to whether it goes out. */
static unsigned
hit_rank(const struct scope_hit *hit)
{
	return hit->excluded ? 1 : hit->members_only ? 2 : 3;
}

int
scope_find(struct scope *s, const struct search_entry *entry,
    struct scope_hit *out_hit, struct err *err)
{
	unsigned best = 0;

	for (size_t i = 0; i < s->count && best < 3; i++) {
		const struct scope_from *from = &s->list[i];
		struct scope_hit hit;
		int rc = from_has(s, from, entry, err);

		if (rc < 0)
			return -1;
		hit = scope_place_hit(s, from, entry);
		if (rc == 1 && hit_rank(&hit) > best) {
			best = hit_rank(&hit);
			*out_hit = hit;
		}
		rc = scope_member_find(s, from, entry, &hit, err);
		if (rc < 0)
			return -1;
		if (rc == 1 && hit_rank(&hit) > best) {
			best = hit_rank(&hit);
			*out_hit = hit;
		}
	}
	return best > 0;
}
