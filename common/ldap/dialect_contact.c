#include "common/ldap/dialect_impl.h"

#include <strings.h>

#include "common/base/buf.h"
#include "common/ldap/dn.h"

static const struct slice classes_ad[] = {
    {(const uint8_t *)"top", 3},
    {(const uint8_t *)"person", 6},
    {(const uint8_t *)"organizationalPerson", 20},
    {(const uint8_t *)"contact", 7},
};

static const struct slice classes_openldap[] = {
    {(const uint8_t *)"top", 3},
    {(const uint8_t *)"person", 6},
    {(const uint8_t *)"organizationalPerson", 20},
    {(const uint8_t *)"inetOrgPerson", 13},
};

struct mapping {
	const struct dialect *dialect;
	struct arena *arena;
	struct writer_attribute *list;
	size_t count;
};

static void
mapping_add(struct mapping *m, const char *name, const struct slice *values,
    size_t count)
{
	if (count > 0)
		m->list[m->count++] =
		    (struct writer_attribute){name, values, count};
}

/* PrintableString, RFC 4517 section 3.2. */
static bool
is_printable(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || (c != 0 && strchr("'()+,-./:? =", c));
}

/* Length of the UTF-8 dash or blank at p: U+00A0, U+2000..U+2015, U+202F,
 * U+2212. Sets what stands for it; 0 for anything else. */
static size_t
dash_or_blank(struct slice s, size_t at, uint8_t *out)
{
	const uint8_t *p = s.data + at;
	size_t left = s.len - at;

	if (left >= 2 && p[0] == 0xc2 && p[1] == 0xa0) {
		*out = ' ';
		return 2;
	}
	if (left < 3 || p[0] != 0xe2)
		return 0;
	*out = '-';
	if (p[1] == 0x80 && (p[2] <= 0x8f || p[2] == 0xaf))
		*out = ' ';
	else if (!(p[1] == 0x80 && p[2] >= 0x90 && p[2] <= 0x95) &&
		 !(p[1] == 0x88 && p[2] == 0x92))
		return 0;
	return 3;
}

/* slapd takes nothing but printable ASCII as a telephone number, and one odd
 * character would cost the whole contact: dashes and blanks are replaced, the
 * rest goes. */
static struct slice
printable_copy(struct mapping *m, struct slice value)
{
	uint8_t *text = arena_alloc(m->arena, value.len + 1);
	size_t i = 0, n = 0, skip;
	uint8_t c;

	if (text == NULL)
		return SLICE_NULL;
	while (i < value.len) {
		c = value.data[i];
		skip = dash_or_blank(value, i, &c);
		i += skip == 0 ? 1 : skip;
		if (is_printable(c))
			text[n++] = c;
	}
	return slice_trim(slice_make(text, n));
}

static int
add_printable(
    struct mapping *m, const char *name, const struct object_attribute *a)
{
	struct slice *values =
	    arena_calloc(m->arena, a->value_count, sizeof(*values));
	size_t i, n = 0;

	if (values == NULL)
		return -1;
	for (i = 0; i < a->value_count; i++) {
		values[n] = printable_copy(m, a->values[i]);
		if (values[n].len > 0)
			n++;
	}
	mapping_add(m, name, values, n);
	return 0;
}

/* Only what is read back can be compared: anything else would be written
 * again and again. */
static bool
is_listed(const struct dialect *dialect, const char *name)
{
	const char *const *list = dialect_contact_attributes(dialect);

	for (; *list != NULL; list++)
		if (slice_name_equal(*list, name))
			return true;
	return false;
}

static int
map_attribute(struct mapping *m, const struct object_attribute *a)
{
	const struct dialect *dialect = m->dialect;
	bool provenance = strcasecmp(a->name, "provenance") == 0;
	const char *name = provenance ? dialect->provenance
				      : dialect_name_here(dialect, a->name);

	if (name == NULL || a->value_count == 0 ||
	    strcasecmp(name, "objectClass") == 0 || !is_listed(dialect, name) ||
	    !schema_contact_allows(dialect->schema, name))
		return 0;
	if (!dialect_is_ad(dialect) &&
	    schema_syntax(dialect->schema, name) == SCHEMA_PRINTABLE)
		return add_printable(m, name, a);
	mapping_add(m, name, a->values, a->value_count);
	return 0;
}

/* inetOrgPerson must have sn (RFC 4519 section 3.12). */
static void
map_surname(struct mapping *m, const struct object *contact)
{
	const struct object_attribute *sn = object_find(contact, "sn");

	if (dialect_is_ad(m->dialect) || (sn != NULL && sn->value_count > 0))
		return;
	sn = object_find(contact, "cn");
	if (sn != NULL)
		mapping_add(m, "sn", sn->values, sn->value_count);
}

int
dialect_contact_attributes_map(const struct dialect *dialect,
    const struct object *contact, struct arena *arena,
    struct writer_attribute **out_attributes, size_t *out_count,
    struct err *err)
{
	struct mapping m = {.dialect = dialect, .arena = arena};
	size_t i;
	int rc = 0;

	if (dialect_load(dialect, err) != 0)
		return -1;
	m.list =
	    arena_calloc(arena, contact->attribute_count + 2, sizeof(*m.list));
	if (m.list == NULL)
		return err_set(err, ERR_LIMIT, "contact is too large");
	mapping_add(&m, "objectClass",
	    dialect_is_ad(dialect) ? classes_ad : classes_openldap, 4);
	for (i = 0; i < contact->attribute_count && rc == 0; i++)
		rc = map_attribute(&m, &contact->attributes[i]);
	if (rc != 0)
		return err_set(err, ERR_LIMIT, "contact is too large");
	map_surname(&m, contact);
	*out_attributes = m.list;
	*out_count = m.count;
	return 0;
}

/* --- comparing --- */

static bool
dn_values_equal(struct slice a, struct slice b)
{
	char left[4096], right[4096];

	if (a.len >= sizeof(left) || b.len >= sizeof(right))
		return false;
	memcpy(left, a.data, a.len);
	memcpy(right, b.data, b.len);
	left[a.len] = '\0';
	right[b.len] = '\0';
	return dn_equal(left, right);
}

static bool
value_equal(
    enum schema_syntax syntax, bool class, struct slice a, struct slice b)
{
	if (slice_equal(a, b))
		return true;
	if (class)
		return slice_equal_case(a, b);
	return syntax == SCHEMA_DN && dn_values_equal(a, b);
}

/* Every value of a is in b? */
static bool
set_within(enum schema_syntax syntax, bool class, const struct slice *a,
    size_t a_count, const struct slice *b, size_t b_count)
{
	size_t i, k;

	for (i = 0; i < a_count; i++) {
		/* Sets mostly come in the same order. */
		if (i < b_count && value_equal(syntax, class, a[i], b[i]))
			continue;
		for (k = 0; k < b_count; k++) {
			if (value_equal(syntax, class, a[i], b[k]))
				break;
		}
		if (k == b_count)
			return false;
	}
	return true;
}

/* "Equal" means: the server would give back these very values after they were
 * written. Directories keep the case that was written even where they ignore
 * it in comparing, so a new spelling of a name is a change; names of entries
 * are given back in the server's own spelling. */
bool
dialect_values_equal(const struct dialect *dialect, const char *name,
    const struct slice *a, size_t a_count, const struct slice *b,
    size_t b_count)
{
	bool class = strcasecmp(name, "objectClass") == 0;
	enum schema_syntax syntax = SCHEMA_OTHER;

	/* The server adds superior classes of its own accord. */
	if (class)
		return a_count <= b_count
			   ? set_within(syntax, class, a, a_count, b, b_count)
			   : set_within(syntax, class, b, b_count, a, a_count);
	if (a_count != b_count)
		return false;
	if (set_within(syntax, class, a, a_count, b, b_count) &&
	    set_within(syntax, class, b, b_count, a, a_count))
		return true;
	syntax = schema_syntax(dialect->schema, name);
	return syntax == SCHEMA_DN &&
	       set_within(syntax, class, a, a_count, b, b_count) &&
	       set_within(syntax, class, b, b_count, a, a_count);
}
