#include "common/ldap/range.h"

#include <ldap.h>
#include <stdlib.h>

#include "common/base/mem.h"

/* Digits at p into *out; returns what follows, or NULL. */
static const char *
number_parse(const char *p, size_t *out)
{
	size_t n = 0;
	int digits = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (++digits > 12)
			return NULL;
		n = n * 10 + (size_t)(*p - '0');
	}
	*out = n;
	return digits == 0 ? NULL : p;
}

/* "0-1499" or "1500-*" up to the end of the option. */
static int
bounds_parse(const char *p, struct range *out)
{
	p = number_parse(p, &out->low);
	if (p == NULL || *p++ != '-')
		return -1;
	if (*p == '*') {
		out->high = SIZE_MAX;
		p++;
	} else {
		p = number_parse(p, &out->high);
		if (p == NULL || out->high < out->low)
			return -1;
	}
	return *p == '\0' || *p == ';' ? 1 : -1;
}

int
range_parse(const char *name, size_t *out_name_len, struct range *out)
{
	const char *option = strchr(name, ';');
	int ranged = 0;
	size_t len;

	*out_name_len = option == NULL ? strlen(name) : (size_t)(option - name);
	while (option != NULL) {
		option++;
		len = strcspn(option, ";");
		if (strncasecmp(option, "range=", 6) == 0) {
			ranged = bounds_parse(option + 6, out);
			if (ranged < 0)
				return -1;
		} else if (len != 6 || strncasecmp(option, "binary", 6) != 0) {
			*out_name_len = strlen(name);
		}
		option = option[len] == ';' ? option + len : NULL;
	}
	return ranged;
}

static int
range_error(const struct range_source *source, const char *name,
    const char *cause, struct err *err)
{
	return err_set(err, ERR_BAD_DATA, "%s: values of %s of \"%s\": %s",
	    session_uri(source->session), name, source->dn, cause);
}

/* The part of `entry` that continues `name` at `low`; NULL when the server
 * sent anything else. */
static const struct search_attribute *
part_find(const struct search_entry *entry, const char *name, size_t low,
    struct range *out_range)
{
	size_t i, len;

	for (i = 0; i < entry->attribute_count; i++) {
		const struct search_attribute *a = &entry->attributes[i];

		if (range_parse(a->name, &len, out_range) == 1 &&
		    len == strlen(name) &&
		    strncasecmp(a->name, name, len) == 0 &&
		    out_range->low == low)
			return a;
	}
	return NULL;
}

/* Values collected so far, growing in ordinary memory. */
struct collected {
	struct slice *values;
	size_t count;
	size_t size;
};

static int
part_add(struct collected *all, const struct search_attribute *part,
    const struct range *range, struct arena *arena)
{
	size_t i;

	if (part->value_count == 0 ||
	    (range->high != SIZE_MAX &&
		part->value_count != range->high - range->low + 1))
		return -1;
	if (all->count + part->value_count > all->size) {
		all->size = (all->count + part->value_count) * 2;
		all->values =
		    mem_realloc(all->values, all->size * sizeof(*all->values));
	}
	for (i = 0; i < part->value_count; i++) {
		struct slice copy = arena_dup(arena, part->values[i]);

		if (copy.data == NULL)
			return -1;
		all->values[all->count++] = copy;
	}
	return 0;
}

/* Base search for the part from range->high + 1 on. */
static int
part_read(const struct range_source *source, const char *name,
    struct range *range, struct collected *all, struct arena *arena,
    struct err *err)
{
	size_t low = range->high + 1;
	char *option = mem_printf("%s;range=%zu-*", name, low);
	const char *attributes[] = {option, NULL};
	const struct search_attribute *part;
	struct search_entry entry;
	int rc;

	rc = search_read_raw(source, attributes, arena, &entry, err);
	free(option);
	if (rc < 0)
		return -1;
	part = rc == 0 ? NULL : part_find(&entry, name, low, range);
	if (part == NULL)
		return range_error(source, name,
		    "the server does not continue the range", err);
	if (part_add(all, part, range, arena) != 0)
		return range_error(source, name, "the range is cut", err);
	return 0;
}

static int
range_follow(const struct range_source *source, struct search_attribute *first,
    struct range range, struct arena *arena, struct err *err)
{
	struct collected all = {NULL, 0, 0};
	struct slice *values;
	int rc = -1;

	if (range.low != 0 || part_add(&all, first, &range, arena) != 0) {
		range_error(source, first->name, "the range is cut", err);
		goto out;
	}
	while (range.high != SIZE_MAX) {
		if (part_read(source, first->name, &range, &all, arena, err) !=
		    0)
			goto out;
	}
	values = arena_calloc(arena, all.count, sizeof(*values));
	if (values == NULL) {
		range_error(source, first->name, "too many", err);
		goto out;
	}
	memcpy(values, all.values, all.count * sizeof(*values));
	first->values = values;
	first->value_count = all.count;
	rc = 0;
out:
	free(all.values);
	return rc;
}

/* Is there another attribute of the same bare name that has values? */
static bool
has_twin(const struct search_attribute *attributes, size_t count, size_t self)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (i != self && attributes[i].value_count > 0 &&
		    strcasecmp(attributes[i].name, attributes[self].name) == 0)
			return true;
	}
	return false;
}

static int
attribute_complete(const struct range_source *source, struct arena *arena,
    struct search_attribute *a, struct err *err)
{
	struct range range;
	size_t len;
	int ranged;

	if (strchr(a->name, ';') == NULL)
		return 0;
	ranged = range_parse(a->name, &len, &range);
	if (ranged < 0)
		return range_error(source, a->name, "malformed range", err);
	a->name = (const char *)arena_dup(arena, slice_make(a->name, len)).data;
	if (a->name == NULL)
		return err_set(err, ERR_LIMIT, "entry too large");
	if (ranged == 0)
		return 0;
	return range_follow(source, a, range, arena, err);
}

int
range_complete(const struct range_source *source, struct arena *arena,
    struct search_attribute *attributes, size_t *count, struct err *err)
{
	size_t i, kept = 0;
	bool empty = false;

	for (i = 0; i < *count; i++) {
		if (attribute_complete(source, arena, &attributes[i], err) != 0)
			return -1;
		empty = empty || attributes[i].value_count == 0;
	}
	if (!empty)
		return 0;
	for (i = 0; i < *count; i++) {
		if (attributes[i].value_count == 0 &&
		    has_twin(attributes, *count, i))
			continue;
		attributes[kept++] = attributes[i];
	}
	*count = kept;
	return 0;
}
