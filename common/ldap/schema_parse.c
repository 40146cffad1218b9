#include "common/ldap/schema_parse.h"

#include <ctype.h>
#include <ldap.h>
#include <ldap_schema.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/mem.h"

#define SYNTAX_PREFIX "1.3.6.1.4.1.1466.115.121.1."
/* Superiors of a class; more is a loop. */
#define SUPERIORS_MAX 16

void
schema_table_fini(struct schema_table *table)
{
	size_t i;

	for (i = 0; i < table->count; i++) {
		free(table->list[i].name);
		free(table->list[i].primary);
		free(table->list[i].oid);
	}
	free(table->list);
	*table = (struct schema_table){NULL, 0, 0};
}

/* Where name is, or where it belongs. */
static size_t
table_search(
    const struct schema_table *table, struct slice name, bool *out_found)
{
	size_t low = 0, high = table->count, middle;
	int order;

	*out_found = false;
	while (low < high) {
		middle = low + (high - low) / 2;
		order = slice_compare_case(
		    slice_str(table->list[middle].name), name);
		if (order == 0) {
			*out_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct schema_attribute *
schema_table_find(const struct schema_table *table, const char *name)
{
	bool found;
	size_t at;

	/* Hardly anybody writes them. */
	if (isdigit((unsigned char)name[0]))
		for (at = 0; at < table->count; at++)
			if (table->list[at].oid != NULL &&
			    strcmp(table->list[at].oid, name) == 0)
				return &table->list[at];
	at = table_search(table, slice_str(name), &found);
	return found ? &table->list[at] : NULL;
}

struct schema_attribute *
schema_table_put(struct schema_table *table, struct slice name)
{
	bool found;
	size_t at = table_search(table, name, &found);

	if (found)
		return &table->list[at];
	if (table->count == table->size) {
		table->size = table->size == 0 ? 256 : table->size * 2;
		table->list = mem_realloc(
		    table->list, table->size * sizeof(*table->list));
	}
	memmove(table->list + at + 1, table->list + at,
	    (table->count - at) * sizeof(*table->list));
	table->count++;
	table->list[at] = (struct schema_attribute){
	    .name = mem_strndup((const char *)name.data, name.len),
	    .syntax = SCHEMA_OTHER};
	return &table->list[at];
}

/* RFC 4517 numbers: 12 DN; 15 directory string, 26 IA5; 22 facsimile, 44
 * printable string, 50 telephone number, which slapd checks alike. */
static enum schema_syntax
syntax_kind(const char *oid)
{
	const char *number;

	if (oid == NULL ||
	    strncmp(oid, SYNTAX_PREFIX, strlen(SYNTAX_PREFIX)) != 0)
		return SCHEMA_OTHER;
	number = oid + strlen(SYNTAX_PREFIX);
	if (strcmp(number, "12") == 0)
		return SCHEMA_DN;
	if (strcmp(number, "15") == 0 || strcmp(number, "26") == 0)
		return SCHEMA_TEXT;
	if (strcmp(number, "22") == 0 || strcmp(number, "44") == 0 ||
	    strcmp(number, "50") == 0)
		return SCHEMA_PRINTABLE;
	return SCHEMA_OTHER;
}

/* A type without a syntax has its superior's, which servers list first. */
static enum schema_syntax
type_syntax(const struct schema_table *table, const LDAPAttributeType *type)
{
	const struct schema_attribute *superior;

	if (type->at_syntax_oid != NULL)
		return syntax_kind(type->at_syntax_oid);
	superior = type->at_sup_oid == NULL
		       ? NULL
		       : schema_table_find(table, type->at_sup_oid);
	return superior == NULL ? SCHEMA_OTHER : superior->syntax;
}

static void
type_take(struct schema_table *table, const LDAPAttributeType *type)
{
	enum schema_syntax syntax = type_syntax(table, type);
	size_t i;

	for (i = 0; type->at_names != NULL && type->at_names[i] != NULL; i++) {
		struct schema_attribute *a =
		    schema_table_put(table, slice_str(type->at_names[i]));

		a->known = true;
		a->detailed = true;
		a->syntax = syntax;
		if (i == 0 && a->oid == NULL && type->at_oid != NULL)
			a->oid = mem_strdup(type->at_oid);
		if (i > 0 && a->primary == NULL)
			a->primary = mem_strdup(type->at_names[0]);
		if (type->at_usage != LDAP_SCHEMA_USER_APPLICATIONS)
			a->traits |= SCHEMA_OPERATIONAL;
		if (syntax == SCHEMA_DN)
			a->traits |= SCHEMA_NAMES;
	}
}

static bool
class_is(const LDAPObjectClass *class, const char *name)
{
	size_t i;

	if (class->oc_oid != NULL && strcmp(class->oc_oid, name) == 0)
		return true;
	for (i = 0; class->oc_names != NULL && class->oc_names[i] != NULL; i++)
		if (strcasecmp(class->oc_names[i], name) == 0)
			return true;
	return false;
}

static void
names_allow(struct schema_table *table, char **names)
{
	for (; names != NULL && *names != NULL; names++) {
		struct schema_attribute *a =
		    schema_table_put(table, slice_str(*names));

		a->known = true;
		a->allowed = true;
	}
}

static LDAPObjectClass *
class_parse(struct slice definition)
{
	const char *where;
	int code;

	/* Values of an entry end in a NUL that is not counted. */
	return ldap_str2objectclass((const char *)definition.data, &code,
	    &where, LDAP_SCHEMA_ALLOW_ALL);
}

/* Allows the attributes of class `name`; its superior's name (to be freed) in
 * *out_superior. */
static bool
class_take(struct schema_table *table,
    const struct search_attribute *definitions, const char *name,
    char **out_superior)
{
	LDAPObjectClass *class;
	bool found = false;
	size_t i;

	*out_superior = NULL;
	for (i = 0; i < definitions->value_count && !found; i++) {
		/* Cheap first: parsing each definition takes its time. */
		if (strcasestr((const char *)definitions->values[i].data,
			name) == NULL)
			continue;
		class = class_parse(definitions->values[i]);
		if (class == NULL)
			continue;
		found = class_is(class, name);
		if (found) {
			names_allow(table, class->oc_at_oids_must);
			names_allow(table, class->oc_at_oids_may);
			if (class->oc_sup_oids != NULL &&
			    class->oc_sup_oids[0] != NULL)
				*out_superior =
				    mem_strdup(class->oc_sup_oids[0]);
		}
		ldap_objectclass_free(class);
	}
	return found;
}

static void
types_parse(
    struct schema_table *table, const struct search_attribute *definitions)
{
	LDAPAttributeType *type;
	const char *where;
	size_t i;
	int code;

	for (i = 0; i < definitions->value_count; i++) {
		type = ldap_str2attributetype(
		    (const char *)definitions->values[i].data, &code, &where,
		    LDAP_SCHEMA_ALLOW_ALL);
		if (type == NULL)
			continue;
		type_take(table, type);
		ldap_attributetype_free(type);
	}
}

int
schema_parse(struct schema_table *table, const struct search_entry *entry,
    const char *contact_class, struct err *err)
{
	const struct search_attribute *types =
	    search_find(entry, "attributeTypes");
	const struct search_attribute *classes =
	    search_find(entry, "objectClasses");
	char *name = mem_strdup(contact_class), *superior = NULL;
	bool found = false;
	int depth;

	if (types != NULL)
		types_parse(table, types);
	for (depth = 0;
	     classes != NULL && name != NULL && depth < SUPERIORS_MAX;
	     depth++) {
		if (!class_take(table, classes, name, &superior))
			break;
		found = true;
		free(name);
		name = superior;
	}
	free(name);
	if (!found)
		return err_set(err, ERR_CONFIG,
		    "the directory's schema has no class %s: load it, or "
		    "choose another dialect",
		    contact_class);
	return 0;
}
