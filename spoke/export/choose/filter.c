#include "spoke/export/choose/filter.h"

#include <ctype.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/ldap/schema.h"

/* LDAP_MATCHING_RULE_IN_CHAIN follows links from entry to entry. */
#define OID_IN_CHAIN ":1.2.840.113556.1.4.1941:"

/* An item begins behind a parenthesis; a value has none of its own (RFC 4515
 * section 3: they are written as \28 and \29). */
void
filter_attributes(
    const char *filter, void (*fn)(void *arg, struct slice name), void *arg)
{
	for (const char *p = strchr(filter, '('); p != NULL;
	     p = strchr(p, '(')) {
		size_t len;

		p += 1 + strspn(p + 1, " ");
		/* As RFC 2251 had OIDs, and Active Directory takes them. */
		if (strncasecmp(p, "OID.", 4) == 0)
			p += 4;
		len = strcspn(p, "=~<>:;() ");
		/* Not the sets, nor "(:rule:=x)". */
		if (len > 0 && isalnum((unsigned char)p[0]))
			fn(arg, slice_make(p, len));
	}
}

struct names {
	const char **list;
	size_t count;
};

static void
name_keep(void *arg, struct slice name)
{
	struct names *names = arg;

	/* With the NULL that ends the list. */
	names->list =
	    mem_realloc(names->list, (names->count + 2) * sizeof(*names->list));
	names->list[names->count++] =
	    mem_strndup((const char *)name.data, name.len);
	names->list[names->count] = NULL;
}

int
filter_check(const char *filter, const struct dialect *dialect, struct err *err)
{
	struct names names = {0};
	int rc = 0;

	filter_attributes(filter, name_keep, &names);
	if (names.count > 0)
		rc = dialect_attributes_fetch(dialect, names.list, err);
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		if (!dialect_knows(dialect, names.list[i]))
			rc = err_set(err, ERR_CONFIG,
			    "filter %s: unknown attribute %s: the directory's "
			    "schema has none of that name; correct filter in "
			    "from",
			    filter, names.list[i]);
	for (size_t i = 0; i < names.count; i++)
		free((void *)(uintptr_t)names.list[i]);
	free(names.list);
	return rc;
}

struct links {
	const struct dialect *dialect;
	bool any;
};

/* A server that keeps memberOf by an overlay has it in its schema as a plain
 * attribute. */
static void
link_find(void *arg, struct slice name)
{
	struct links *links = arg;
	char *text = mem_strndup((const char *)name.data, name.len);

	if (slice_name_equal(
		dialect_primary(links->dialect, text), "memberOf") ||
	    (dialect_traits(links->dialect, text) & SCHEMA_BACK_LINK) != 0)
		links->any = true;
	free(text);
}

/* "(:rule:=x)" compares every attribute that the rule suits. */
static bool
asks_all(const char *filter)
{
	for (const char *p = strchr(filter, '('); p != NULL;
	     p = strchr(p, '(')) {
		p += 1 + strspn(p + 1, " ");
		if (*p == ':')
			return true;
	}
	return false;
}

bool
filter_asks_links(const char *filter, const struct dialect *dialect)
{
	struct links links = {.dialect = dialect};

	filter_attributes(filter, link_find, &links);
	return links.any || asks_all(filter) ||
	       strstr(filter, OID_IN_CHAIN) != NULL;
}
