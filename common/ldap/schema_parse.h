/* A table of attributes, and filling it from a subschema entry's definitions
 * (RFC 4512 sections 4.1.1 and 4.1.2). */
#ifndef COMMON_LDAP_SCHEMA_PARSE_H
#define COMMON_LDAP_SCHEMA_PARSE_H

#include "common/ldap/schema.h"

struct schema_attribute {
	char *name;
	char *primary; /* when name is another one of the same attribute */
	char *oid;     /* under the first name; NULL: not known */
	bool known;    /* the schema defines it */
	bool allowed;  /* a contact may have it */
	bool detailed; /* max and syntax were asked for */
	size_t max;
	enum schema_syntax syntax;
	unsigned traits; /* enum schema_trait */
};

/* Ascending by name without case. */
struct schema_table {
	struct schema_attribute *list;
	size_t count;
	size_t size;
};

void schema_table_fini(struct schema_table *table);
/* By one of its names or its OID; NULL when it is not there. */
struct schema_attribute *schema_table_find(
    const struct schema_table *table, const char *name);
/* Finds or inserts. Valid until the next insertion. */
struct schema_attribute *schema_table_put(
    struct schema_table *table, struct slice name);

/* Definitions that libldap cannot parse are passed over: they are somebody
 * else's. Class config when the contact class is not among them. */
int schema_parse(struct schema_table *table, const struct search_entry *entry,
    const char *contact_class, struct err *err) ERR_WUR;

#endif
