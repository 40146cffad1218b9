/*
 * What a directory's schema says of the attributes that contacts use. Active
 * Directory is asked name by name (a few indexed look-ups; its subschema
 * weighs a megabyte), others by their subschema entry (RFC 4512 section 4.2),
 * and both only when somebody wants to know. An OID may stand for a name.
 */
#ifndef COMMON_LDAP_SCHEMA_H
#define COMMON_LDAP_SCHEMA_H

#include "common/ldap/search.h"

enum schema_syntax { SCHEMA_TEXT, SCHEMA_DN, SCHEMA_PRINTABLE, SCHEMA_OTHER };

/* What else is known of an attribute, as a set. */
enum schema_trait {
	SCHEMA_OPERATIONAL = 1,  /* kept or computed by the server */
	SCHEMA_BACK_LINK = 2,    /* the far end of another one (linkID odd) */
	SCHEMA_CONFIDENTIAL = 4, /* AD searchFlags 128: not for everybody */
	SCHEMA_SID = 8,          /* a security identifier */
	SCHEMA_DESCRIPTOR = 16,  /* a security descriptor */
	SCHEMA_NAMES = 32        /* names of entries, perhaps with more */
};

struct schema;

/* base: AD's schemaNamingContext, or the subschema entry. contact_class: whose
 * attributes count as allowed, with its superiors and auxiliary classes. The
 * session is borrowed and must outlive the schema. */
struct schema *schema_new(struct session *session, bool active_directory,
    const char *base, const char *contact_class);
void schema_free(struct schema *schema);
/* Looks these up at once (NULL-terminated; a no-op for known ones). */
int schema_fetch(
    struct schema *schema, const char *const *names, struct err *err) ERR_WUR;
/* Reads everything about the contact class. A failure stays and is given again
 * by every later call. */
int schema_load(struct schema *schema, struct err *err) ERR_WUR;

/* These load what they need; when that fails they say no, and the next
 * schema_load() tells why. */
bool schema_has(struct schema *schema, const char *name);
bool schema_contact_allows(struct schema *schema, const char *name);
/* rangeUpper on AD; 0: none known (slapd enforces no lengths). */
size_t schema_max(struct schema *schema, const char *name);
enum schema_syntax schema_syntax(struct schema *schema, const char *name);
/* The name under which a server gives the attribute: its first one. */
const char *schema_primary(struct schema *schema, const char *name);
unsigned schema_traits(struct schema *schema, const char *name);
/* Calls fn with each attribute whose name begins so, in order of names. */
int schema_begins(struct schema *schema, const char *prefix,
    void (*fn)(void *arg, const char *name), void *arg,
    struct err *err) ERR_WUR;

#endif
