#include "common/ldap/schema.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/ldap/schema_parse.h"

#define FILTER_MAX (256 * 1024)
#define ARENA_MAX ((size_t)16 << 20)
/* Class names in one question: AD limits the size of filters kindly. */
#define CLASSES_MAX 64

struct schema {
	struct session *session;
	bool active_directory;
	char *base;
	char *contact_class;
	struct schema_table table;
	bool loaded;
	struct err failure; /* class none: fine so far */
};

struct schema *
schema_new(struct session *session, bool active_directory, const char *base,
    const char *contact_class)
{
	struct schema *schema = mem_calloc(1, sizeof(*schema));

	schema->session = session;
	schema->active_directory = active_directory;
	schema->base = mem_strdup(base);
	schema->contact_class = mem_strdup(contact_class);
	return schema;
}

void
schema_free(struct schema *schema)
{
	if (schema == NULL)
		return;
	schema_table_fini(&schema->table);
	free(schema->base);
	free(schema->contact_class);
	free(schema);
}

static int
schema_keep_failure(
    struct schema *schema, const struct err *cause, struct err *err)
{
	schema->failure = *cause;
	err_prepend(&schema->failure, "schema");
	if (err != NULL)
		*err = schema->failure;
	return -1;
}

/* --- Active Directory --- */

static size_t
decimal(struct slice text)
{
	size_t n = 0, i;

	for (i = 0; i < text.len && i < 10; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		n = n * 10 + (size_t)(text.data[i] - '0');
	}
	return n;
}

static enum schema_syntax
ad_syntax(struct slice oid)
{
	if (slice_equal(oid, SLICE_LIT("2.5.5.1")))
		return SCHEMA_DN;
	if (slice_equal(oid, SLICE_LIT("2.5.5.12")) ||
	    slice_equal(oid, SLICE_LIT("2.5.5.4")))
		return SCHEMA_TEXT;
	return SCHEMA_OTHER;
}

/* MS-ADTS 2.2.9 (searchFlags), 2.2.10 (systemFlags), 3.1.1.2.3.1 (links). */
static unsigned
ad_traits(const struct search_entry *entry)
{
	size_t system = decimal(search_first(entry, "systemFlags"));
	struct slice syntax = search_first(entry, "attributeSyntax");
	unsigned traits = 0;

	/* Not replicated, or constructed. */
	if ((system & 0x5) != 0)
		traits |= SCHEMA_OPERATIONAL;
	if ((decimal(search_first(entry, "linkID")) & 1) != 0)
		traits |= SCHEMA_BACK_LINK;
	if ((decimal(search_first(entry, "searchFlags")) & 128) != 0)
		traits |= SCHEMA_CONFIDENTIAL;
	if (slice_equal(syntax, SLICE_LIT("2.5.5.17")))
		traits |= SCHEMA_SID;
	if (slice_equal(syntax, SLICE_LIT("2.5.5.15")))
		traits |= SCHEMA_DESCRIPTOR;
	/* DN, with bytes, with text. */
	if (slice_equal(syntax, SLICE_LIT("2.5.5.1")) ||
	    slice_equal(syntax, SLICE_LIT("2.5.5.7")) ||
	    slice_equal(syntax, SLICE_LIT("2.5.5.14")))
		traits |= SCHEMA_NAMES;
	return traits;
}

static void
ad_attribute_take(struct schema *schema, const struct search_entry *entry)
{
	struct schema_attribute *a = schema_table_put(
	    &schema->table, search_first(entry, "lDAPDisplayName"));
	struct slice oid = search_first(entry, "attributeID");

	if (a->oid == NULL && oid.len > 0)
		a->oid = mem_strndup((const char *)oid.data, oid.len);
	a->known = true;
	a->detailed = true;
	a->max = decimal(search_first(entry, "rangeUpper"));
	a->syntax = ad_syntax(search_first(entry, "attributeSyntax"));
	a->traits = ad_traits(entry);
}

static int
ad_search(struct schema *schema, const char *filter,
    const char *const *attributes, struct search **out_search, struct err *err)
{
	struct search_options options = {.base = schema->base,
	    .scope = SEARCH_ONE,
	    .filter = filter,
	    .attributes = attributes,
	    .page_size = 500};

	return search_open(schema->session, &options, out_search, err);
}

static void
filter_add_name(struct buf *filter, const char *name)
{
	buf_add_str(filter, isdigit((unsigned char)name[0])
				? "(attributeID="
				: "(lDAPDisplayName=");
	search_filter_escape(filter, slice_str(name));
	buf_add_byte(filter, ')');
}

/* Takes in the attributes that match. */
static int
ad_attributes(struct schema *schema, struct buf *filter, struct err *err)
{
	static const char *const attributes[] = {"lDAPDisplayName",
	    "attributeID", "rangeUpper", "attributeSyntax", "systemFlags",
	    "searchFlags", "linkID", NULL};
	struct search *search = NULL;
	struct search_entry entry;
	int rc = -1;

	if (buf_check(filter, "schema filter", err) != 0 ||
	    ad_search(schema, buf_cstr(filter), attributes, &search, err) != 0)
		goto out;
	while ((rc = search_step(search, &entry, err)) == 1)
		ad_attribute_take(schema, &entry);
out:
	search_close(search);
	return rc;
}

static int
ad_fetch(struct schema *schema, const char *const *names, struct err *err)
{
	struct buf filter;
	size_t i;
	int rc;

	buf_init(&filter, FILTER_MAX);
	buf_add_str(&filter, "(&(objectClass=attributeSchema)(|");
	for (i = 0; names[i] != NULL; i++)
		filter_add_name(&filter, names[i]);
	buf_add_str(&filter, "))");
	rc = ad_attributes(schema, &filter, err);
	/* What was not found does not exist. */
	for (i = 0; rc == 0 && names[i] != NULL; i++)
		schema_table_put(&schema->table, slice_str(names[i]))
		    ->detailed = true;
	buf_fini(&filter);
	return rc;
}

static int
ad_fetch_begins(struct schema *schema, const char *prefix, struct err *err)
{
	struct buf filter;
	int rc;

	buf_init(&filter, FILTER_MAX);
	buf_add_str(
	    &filter, "(&(objectClass=attributeSchema)(lDAPDisplayName=");
	search_filter_escape(&filter, slice_str(prefix));
	buf_add_str(&filter, "*))");
	rc = ad_attributes(schema, &filter, err);
	buf_fini(&filter);
	return rc;
}

/* The class names still to be read, and those that were. */
struct class_walk {
	char *names[CLASSES_MAX];
	size_t count;
	size_t read;
};

static void
walk_add(struct class_walk *walk, struct slice name)
{
	size_t i;

	for (i = 0; i < walk->count; i++) {
		if (slice_equal_case(slice_str(walk->names[i]), name))
			return;
	}
	if (walk->count < CLASSES_MAX)
		walk->names[walk->count++] =
		    mem_strndup((const char *)name.data, name.len);
}

static void
ad_class_take(struct schema *schema, struct class_walk *walk,
    const struct search_entry *entry)
{
	static const char *const contains[] = {"mayContain", "mustContain",
	    "systemMayContain", "systemMustContain", NULL};
	static const char *const classes[] = {
	    "subClassOf", "auxiliaryClass", "systemAuxiliaryClass", NULL};
	const struct search_attribute *a;
	size_t i, k;

	for (i = 0; contains[i] != NULL; i++) {
		a = search_find(entry, contains[i]);
		for (k = 0; a != NULL && k < a->value_count; k++) {
			struct schema_attribute *known =
			    schema_table_put(&schema->table, a->values[k]);

			known->known = true;
			known->allowed = true;
		}
	}
	for (i = 0; classes[i] != NULL; i++) {
		a = search_find(entry, classes[i]);
		for (k = 0; a != NULL && k < a->value_count; k++)
			walk_add(walk, a->values[k]);
	}
}

/* One level of superiors and auxiliary classes. */
static int
ad_walk_level(struct schema *schema, struct class_walk *walk, struct err *err)
{
	static const char *const attributes[] = {"lDAPDisplayName",
	    "subClassOf", "auxiliaryClass", "systemAuxiliaryClass",
	    "mayContain", "mustContain", "systemMayContain",
	    "systemMustContain", NULL};
	struct search *search = NULL;
	struct search_entry entry;
	struct buf filter;
	int rc = -1;

	buf_init(&filter, FILTER_MAX);
	buf_add_str(&filter, "(&(objectClass=classSchema)(|");
	while (walk->read < walk->count)
		filter_add_name(&filter, walk->names[walk->read++]);
	buf_add_str(&filter, "))");
	if (buf_check(&filter, "schema filter", err) != 0 ||
	    ad_search(schema, buf_cstr(&filter), attributes, &search, err) != 0)
		goto out;
	while ((rc = search_step(search, &entry, err)) == 1)
		ad_class_take(schema, walk, &entry);
out:
	search_close(search);
	buf_fini(&filter);
	return rc;
}

static int
ad_load(struct schema *schema, struct err *err)
{
	struct class_walk walk = {.count = 0};
	size_t i;
	int rc = 0;

	walk_add(&walk, slice_str(schema->contact_class));
	while (rc == 0 && walk.read < walk.count)
		rc = ad_walk_level(schema, &walk, err);
	for (i = 0; i < walk.count; i++)
		free(walk.names[i]);
	return rc;
}

/* --- others: the subschema entry --- */

static int
subschema_load(struct schema *schema, struct err *err)
{
	static const char *const attributes[] = {
	    "attributeTypes", "objectClasses", NULL};
	struct arena *arena = arena_new(ARENA_MAX);
	struct search_entry entry;
	int rc;

	rc = search_read(
	    schema->session, schema->base, attributes, arena, &entry, err);
	if (rc == 0)
		rc = err_set(err, ERR_CONFIG,
		    "%s: cannot read the subschema entry \"%s\"; grant the "
		    "account the right to read it",
		    session_uri(schema->session), schema->base);
	else if (rc == 1)
		rc = schema_parse(
		    &schema->table, &entry, schema->contact_class, err);
	arena_free(arena);
	return rc;
}

/* --- both --- */

int
schema_load(struct schema *schema, struct err *err)
{
	struct err cause = {0};
	int rc;

	if (schema->failure.class != ERR_NONE) {
		if (err != NULL)
			*err = schema->failure;
		return -1;
	}
	if (schema->loaded)
		return 0;
	rc = schema->active_directory ? ad_load(schema, &cause)
				      : subschema_load(schema, &cause);
	if (rc != 0)
		return schema_keep_failure(schema, &cause, err);
	schema->loaded = true;
	return 0;
}

int
schema_fetch(struct schema *schema, const char *const *names, struct err *err)
{
	struct err cause = {0};
	const char **missing;
	size_t n = 0, i;
	int rc = 0;

	if (!schema->active_directory)
		return schema_load(schema, err);
	for (i = 0; names[i] != NULL; i++)
		;
	missing = mem_calloc(i + 1, sizeof(*missing));
	for (i = 0; names[i] != NULL; i++) {
		const struct schema_attribute *a =
		    schema_table_find(&schema->table, names[i]);

		if (a == NULL || !a->detailed)
			missing[n++] = names[i];
	}
	if (n > 0 && ad_fetch(schema, missing, &cause) != 0)
		rc = schema_keep_failure(schema, &cause, err);
	free(missing);
	return rc;
}

/* The details of one attribute, or NULL when it does not exist. */
static const struct schema_attribute *
schema_details(struct schema *schema, const char *name)
{
	const char *const names[] = {name, NULL};
	const struct schema_attribute *a;

	if (schema_fetch(schema, names, NULL) != 0)
		return NULL;
	a = schema_table_find(&schema->table, name);
	return a == NULL || !a->known ? NULL : a;
}

bool
schema_has(struct schema *schema, const char *name)
{
	const struct schema_attribute *a =
	    schema_table_find(&schema->table, name);

	return (a != NULL && a->known) || schema_details(schema, name) != NULL;
}

bool
schema_contact_allows(struct schema *schema, const char *name)
{
	const struct schema_attribute *a;

	if (schema_load(schema, NULL) != 0)
		return false;
	a = schema_table_find(&schema->table, name);
	return a != NULL && a->allowed;
}

size_t
schema_max(struct schema *schema, const char *name)
{
	const struct schema_attribute *a = schema_details(schema, name);

	return a == NULL ? 0 : a->max;
}

enum schema_syntax
schema_syntax(struct schema *schema, const char *name)
{
	const struct schema_attribute *a = schema_details(schema, name);

	return a == NULL ? SCHEMA_OTHER : a->syntax;
}

const char *
schema_primary(struct schema *schema, const char *name)
{
	const struct schema_attribute *a = schema_details(schema, name);

	if (a == NULL)
		return name;
	return a->primary == NULL ? a->name : a->primary;
}

unsigned
schema_traits(struct schema *schema, const char *name)
{
	const struct schema_attribute *a = schema_details(schema, name);

	return a == NULL ? 0 : a->traits;
}

int
schema_begins(struct schema *schema, const char *prefix,
    void (*fn)(void *arg, const char *name), void *arg, struct err *err)
{
	int rc = schema->active_directory ? ad_fetch_begins(schema, prefix, err)
					  : schema_load(schema, err);

	for (size_t i = 0; rc == 0 && i < schema->table.count; i++) {
		const struct schema_attribute *a = &schema->table.list[i];

		if (a->known &&
		    slice_starts_case(slice_str(a->name), slice_str(prefix)))
			fn(arg, a->name);
	}
	return rc;
}
