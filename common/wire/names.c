/* Names, tags and mail domains of the registry (registry.h). */
#include "common/wire/limits.h"
#include "common/wire/registry.h"

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool
registry_name_valid(const char *name)
{
	size_t i;

	/* A dot in front would make hidden files, a hyphen an option. */
	if (!name_char(name[0]) || name[0] == '.' || name[0] == '_' ||
	    name[0] == '-')
		return false;
	for (i = 0; name[i] != '\0'; i++) {
		if (i >= LIMIT_NAME_CHARS || !name_char(name[i]))
			return false;
	}
	return true;
}

bool
registry_name_equal(const char *a, const char *b)
{
	return slice_equal_case(slice_str(a), slice_str(b));
}

bool
registry_tag_valid(const char *tag)
{
	size_t i;

	for (i = 0; tag[i] != '\0'; i++) {
		if (i >= LIMIT_TAG_CHARS)
			return false;
		if (tag[i] == '/') {
			if (i == 0 || tag[i - 1] == '/')
				return false;
		} else if (!name_char(tag[i])) {
			return false;
		}
	}
	return i > 0 && tag[i - 1] != '/';
}

bool
registry_tag_match(const char *pattern, const char *tag)
{
	struct slice p = slice_str(pattern), t = slice_str(tag);

	if (slice_equal(p, SLICE_LIT("*")))
		return true;
	if (p.len == 0 || !slice_starts_case(t, p))
		return false;
	return t.len == p.len || t.data[p.len] == '/';
}

static bool
label_valid(struct slice label)
{
	size_t i;

	if (label.len == 0 || label.len > 63 || label.data[0] == '-' ||
	    label.data[label.len - 1] == '-')
		return false;
	for (i = 0; i < label.len; i++) {
		uint8_t c = label.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '-'))
			return false;
	}
	return true;
}

bool
registry_domain_valid(const char *domain)
{
	struct slice rest = slice_str(domain);
	size_t dot;

	if (slice_starts_case(rest, SLICE_LIT("*.")))
		rest = slice_sub(rest, 2, SIZE_MAX);
	if (rest.len > 253)
		return false;
	while ((dot = slice_find(rest, '.')) != SIZE_MAX) {
		if (!label_valid(slice_sub(rest, 0, dot)))
			return false;
		rest = slice_sub(rest, dot + 1, SIZE_MAX);
	}
	return label_valid(rest);
}

bool
registry_domain_allotted(
    const struct registry_member *member, struct slice address)
{
	struct slice domain, allotted;
	size_t i, at = SIZE_MAX;

	/* The last @: a quoted local part may contain others. */
	for (i = 0; i < address.len; i++) {
		if (address.data[i] == '@')
			at = i;
	}
	if (at == SIZE_MAX || at == 0)
		return false;
	domain = slice_sub(address, at + 1, SIZE_MAX);
	for (i = 0; domain.len > 0 && i < member->domain_count; i++) {
		allotted = slice_str(member->domains[i]);
		if (slice_equal_case(domain, allotted))
			return true;
		/* "*.example": what ends with ".example" and has more. */
		if (allotted.len > 2 && allotted.data[0] == '*' &&
		    domain.len > allotted.len - 1 && domain.data[0] != '.' &&
		    slice_ends_case(domain, slice_sub(allotted, 1, SIZE_MAX)))
			return true;
	}
	return false;
}
