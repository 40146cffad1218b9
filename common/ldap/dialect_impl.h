/* What the parts of the dialect module share. */
#ifndef COMMON_LDAP_DIALECT_IMPL_H
#define COMMON_LDAP_DIALECT_IMPL_H

#include "common/ldap/dialect.h"
#include "common/ldap/schema.h"

#define DIALECT_CONTEXTS_MAX 64

struct dialect {
	enum dialect_kind kind;
	struct session *session; /* borrowed */
	struct schema *schema;   /* fills as it is asked */
	char *contexts[DIALECT_CONTEXTS_MAX + 1];
	size_t context_count;
	char *provenance;
	char *service_name; /* AD: dsServiceName, where invocationId is */
	/* The lists of dialect_names.h with the provenance attribute. */
	const char **export_attributes;
	const char **address_attributes;
	const char **contact_attributes;
};

enum dialect_list {
	DIALECT_LIST_EXPORT,
	DIALECT_LIST_ADDRESS,
	DIALECT_LIST_CONTACT
};

static inline bool
dialect_is_ad(const struct dialect *dialect)
{
	return dialect->kind != DIALECT_OPENLDAP;
}

/* A new NULL-terminated array (the names are constant) that the caller frees,
 * ending in `provenance`. */
const char **dialect_list_make(const struct dialect *dialect,
    enum dialect_list list, const char *provenance);

/* Name here of a canonical attribute, for writing; NULL: there is none. On AD
 * the name itself. */
const char *dialect_name_here(
    const struct dialect *dialect, const char *canonical);
/* inetOrgPerson's attribute to its canonical name; NULL: not mapped. */
const char *dialect_canonical_openldap(const char *name);

#endif
