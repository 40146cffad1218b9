#include "common/ldap/dialect_impl.h"

#include <stdlib.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/mem.h"

#define OID_ACTIVE_DIRECTORY "1.2.840.113556.1.4.800"
/* Only Exchange's schema extension brings this attribute. */
#define EXCHANGE_MARK "targetAddress"
#define ARENA_MAX ((size_t)1 << 20)

static const char *const kind_names[] = {
    [DIALECT_AUTO] = "auto",
    [DIALECT_EXCHANGE] = "exchange",
    [DIALECT_AD] = "ad",
    [DIALECT_OPENLDAP] = "openldap",
};

enum dialect_kind
dialect_kind(const struct dialect *dialect)
{
	return dialect->kind;
}

const char *
dialect_kind_name(enum dialect_kind kind)
{
	return kind_names[kind];
}

const char *const *
dialect_contexts(const struct dialect *dialect, size_t *out_count)
{
	*out_count = dialect->context_count;
	return (const char *const *)dialect->contexts;
}

const char *
dialect_provenance_attribute(const struct dialect *dialect)
{
	return dialect->provenance;
}

const char *const *
dialect_export_attributes(const struct dialect *dialect)
{
	return dialect->export_attributes;
}

const char *const *
dialect_address_attributes(const struct dialect *dialect)
{
	return dialect->address_attributes;
}

const char *const *
dialect_contact_attributes(const struct dialect *dialect)
{
	return dialect->contact_attributes;
}

bool
dialect_has_attribute(const struct dialect *dialect, const char *name)
{
	const char *here = dialect_name_here(dialect, name);

	return here != NULL && schema_has(dialect->schema, here);
}

bool
dialect_contact_allows(const struct dialect *dialect, const char *name)
{
	const char *here = dialect_name_here(dialect, name);

	return here != NULL && schema_contact_allows(dialect->schema, here);
}

size_t
dialect_attribute_max(const struct dialect *dialect, const char *name)
{
	const char *here = dialect_name_here(dialect, name);

	return here == NULL ? 0 : schema_max(dialect->schema, here);
}

int
dialect_attributes_fetch(
    const struct dialect *dialect, const char *const *names, struct err *err)
{
	return schema_fetch(dialect->schema, names, err);
}

const char *
dialect_primary(const struct dialect *dialect, const char *name)
{
	return schema_primary(dialect->schema, name);
}

bool
dialect_knows(const struct dialect *dialect, const char *name)
{
	return schema_has(dialect->schema, name);
}

unsigned
dialect_traits(const struct dialect *dialect, const char *name)
{
	return schema_traits(dialect->schema, name);
}

bool
dialect_is_text(const struct dialect *dialect, const char *name)
{
	enum schema_syntax syntax = schema_syntax(dialect->schema, name);

	return syntax == SCHEMA_TEXT || syntax == SCHEMA_PRINTABLE;
}

int
dialect_attributes_begin(const struct dialect *dialect, const char *prefix,
    void (*fn)(void *arg, const char *name), void *arg, struct err *err)
{
	return schema_begins(dialect->schema, prefix, fn, arg, err);
}

int
dialect_load(const struct dialect *dialect, struct err *err)
{
	if (schema_load(dialect->schema, err) != 0)
		return -1;
	return schema_fetch(dialect->schema, dialect->contact_attributes, err);
}

void
dialect_close(struct dialect *dialect)
{
	size_t i;

	if (dialect == NULL)
		return;
	for (i = 0; i < dialect->context_count; i++)
		free(dialect->contexts[i]);
	schema_free(dialect->schema);
	free(dialect->provenance);
	free(dialect->service_name);
	free(dialect->export_attributes);
	free(dialect->address_attributes);
	free(dialect->contact_attributes);
	free(dialect);
}

/* --- finding out what the server is --- */

static char *
first_copy(const struct search_entry *entry, const char *name)
{
	struct slice value = search_first(entry, name);

	return value.len == 0
		   ? NULL
		   : mem_strndup((const char *)value.data, value.len);
}

static bool
has_value(const struct search_entry *entry, const char *name, const char *value)
{
	const struct search_attribute *a = search_find(entry, name);
	size_t i;

	for (i = 0; a != NULL && i < a->value_count; i++) {
		if (slice_equal_case(a->values[i], slice_str(value)))
			return true;
	}
	return false;
}

static void
context_add(struct dialect *dialect, struct slice name)
{
	if (dialect->context_count < DIALECT_CONTEXTS_MAX && name.len > 0)
		dialect->contexts[dialect->context_count++] =
		    mem_strndup((const char *)name.data, name.len);
}

/* Databases of slapd that describe itself. */
static bool
is_own_database(struct slice context)
{
	static const char *const own[] = {"cn=config", "cn=monitor",
	    "cn=accesslog", "cn=deltalog", "cn=log", NULL};
	size_t i;

	for (i = 0; own[i] != NULL; i++) {
		if (slice_equal_case(context, slice_str(own[i])))
			return true;
	}
	return false;
}

static int
contexts_take(struct dialect *dialect, const struct search_entry *root,
    bool active_directory, struct err *err)
{
	const struct search_attribute *a = search_find(root, "namingContexts");
	size_t i;

	if (active_directory)
		context_add(
		    dialect, search_first(root, "defaultNamingContext"));
	for (i = 0; !active_directory && a != NULL && i < a->value_count; i++) {
		if (!is_own_database(a->values[i]))
			context_add(dialect, a->values[i]);
	}
	if (dialect->context_count > 0)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "%s: the rootDSE names no naming context; let the account read it",
	    session_uri(dialect->session));
}

static int
schema_open(struct dialect *dialect, const struct search_entry *root,
    bool active_directory, struct err *err)
{
	char *base = first_copy(root,
	    active_directory ? "schemaNamingContext" : "subschemaSubentry");

	if (base == NULL)
		return err_set(err, ERR_CONFIG,
		    "%s: the rootDSE does not say where the schema is; let the "
		    "account read it",
		    session_uri(dialect->session));
	dialect->schema = schema_new(dialect->session, active_directory, base,
	    active_directory ? "contact" : "inetOrgPerson");
	free(base);
	return 0;
}

/* Settles the kind; the schema is asked for the least that tells. */
static int
kind_find(struct dialect *dialect, enum dialect_kind wanted,
    bool active_directory, struct err *err)
{
	const char *const names[] = {EXCHANGE_MARK, dialect->provenance, NULL};

	if (schema_fetch(dialect->schema, names, err) != 0)
		return -1;
	if (!active_directory) {
		dialect->kind = DIALECT_OPENLDAP;
		if (!schema_has(dialect->schema, "entryUUID"))
			return err_set(err, ERR_CONFIG,
			    "%s: neither Active Directory nor OpenLDAP: there "
			    "is no entryUUID",
			    session_uri(dialect->session));
	} else {
		dialect->kind = schema_has(dialect->schema, EXCHANGE_MARK)
				    ? DIALECT_EXCHANGE
				    : DIALECT_AD;
	}
	/* A forest with Exchange can be used as if it had none. */
	if (wanted == DIALECT_AD && dialect->kind == DIALECT_EXCHANGE)
		dialect->kind = DIALECT_AD;
	if (wanted != DIALECT_AUTO && wanted != dialect->kind)
		return err_set(err, ERR_CONFIG,
		    "%s: dialect is set to %s, but the server is %s: use "
		    "auto",
		    session_uri(dialect->session), dialect_kind_name(wanted),
		    dialect_kind_name(dialect->kind));
	if (!schema_has(dialect->schema, dialect->provenance))
		return err_set(err, ERR_CONFIG,
		    "%s: the schema has no attribute %s: choose another "
		    "provenance",
		    session_uri(dialect->session), dialect->provenance);
	return 0;
}

static int
dialect_find(struct dialect *dialect, enum dialect_kind kind,
    const char *provenance, const struct search_entry *root, struct err *err)
{
	bool active_directory =
	    has_value(root, "supportedCapabilities", OID_ACTIVE_DIRECTORY);

	if (provenance == NULL)
		provenance = active_directory ? DIALECT_PROVENANCE_AD
					      : DIALECT_PROVENANCE_OPENLDAP;
	dialect->provenance = mem_strdup(provenance);
	dialect->service_name = first_copy(root, "dsServiceName");
	if (contexts_take(dialect, root, active_directory, err) != 0 ||
	    schema_open(dialect, root, active_directory, err) != 0 ||
	    kind_find(dialect, kind, active_directory, err) != 0)
		return -1;
	dialect->export_attributes = dialect_list_make(
	    dialect, DIALECT_LIST_EXPORT, dialect->provenance);
	dialect->address_attributes = dialect_list_make(
	    dialect, DIALECT_LIST_ADDRESS, dialect->provenance);
	dialect->contact_attributes = dialect_list_make(
	    dialect, DIALECT_LIST_CONTACT, dialect->provenance);
	return 0;
}

int
dialect_open(struct session *session, enum dialect_kind kind,
    const char *provenance_attribute, struct dialect **out_dialect,
    struct err *err)
{
	static const char *const attributes[] = {"namingContexts",
	    "defaultNamingContext", "schemaNamingContext", "subschemaSubentry",
	    "supportedCapabilities", "dsServiceName", NULL};
	struct dialect *dialect = mem_calloc(1, sizeof(*dialect));
	struct arena *arena = arena_new(ARENA_MAX);
	struct search_entry root;
	int rc;

	*out_dialect = NULL;
	dialect->session = session;
	rc = search_read(session, "", attributes, arena, &root, err);
	if (rc == 0)
		rc = err_set(err, ERR_CONFIG, "%s: the rootDSE is not readable",
		    session_uri(session));
	else if (rc == 1)
		rc = dialect_find(
		    dialect, kind, provenance_attribute, &root, err);
	arena_free(arena);
	if (rc != 0) {
		dialect_close(dialect);
		return -1;
	}
	*out_dialect = dialect;
	return 0;
}

/* --- marks --- */

static int
mark_ad(struct session *session, const struct dialect *dialect,
    struct arena *arena, struct buf *out, struct err *err)
{
	static const char *const usn[] = {"highestCommittedUSN", NULL};
	static const char *const invocation[] = {"invocationId", NULL};
	struct search_entry root, service;
	struct slice number, id;
	int rc;

	if (dialect->service_name == NULL)
		return 0;
	rc = search_read(session, "", usn, arena, &root, err);
	if (rc == 1)
		rc = search_read(session, dialect->service_name, invocation,
		    arena, &service, err);
	if (rc != 1)
		return rc;
	number = search_first(&root, "highestCommittedUSN");
	id = search_first(&service, "invocationId");
	if (number.len == 0 || id.len == 0)
		return 0;
	buf_add_hex(out, id);
	buf_add_byte(out, ':');
	buf_add(out, number);
	return 0;
}

/* Every context has to have one: what changes in the others goes unseen. */
static int
mark_openldap(struct session *session, const struct dialect *dialect,
    struct arena *arena, struct buf *out, struct err *err)
{
	static const char *const csn[] = {"contextCSN", NULL};
	const struct search_attribute *a;
	struct search_entry entry;
	size_t i, k, start = out->len;
	int rc;

	for (i = 0; i < dialect->context_count; i++) {
		rc = search_read(
		    session, dialect->contexts[i], csn, arena, &entry, err);
		if (rc < 0)
			return -1;
		a = rc == 0 ? NULL : search_find(&entry, "contextCSN");
		if (a == NULL || a->value_count == 0) {
			buf_truncate(out, start);
			return 0;
		}
		for (k = 0; k < a->value_count; k++) {
			buf_add(out, a->values[k]);
			buf_add_byte(out, ' ');
		}
	}
	return 0;
}

int
dialect_mark(struct session *session, const struct dialect *dialect,
    struct buf *out, struct err *err)
{
	struct arena *arena = arena_new(ARENA_MAX);
	int rc;

	rc = dialect_is_ad(dialect)
		 ? mark_ad(session, dialect, arena, out, err)
		 : mark_openldap(session, dialect, arena, out, err);
	arena_free(arena);
	return rc != 0 ? -1 : buf_check(out, "mark", err);
}

/* The next of the CSNs, each of which a blank ends. */
static struct slice
mark_take(struct slice *rest)
{
	size_t end = slice_find(*rest, ' ');
	struct slice csn = slice_sub(*rest, 0, end);

	*rest =
	    end == SIZE_MAX ? SLICE_NULL : slice_sub(*rest, end + 1, SIZE_MAX);
	return csn;
}

/* Of one domain controller whose number went back. */
static bool
mark_ad_is_behind(struct slice now, struct slice before)
{
	size_t colon = slice_find(now, ':');
	uint64_t a, b;

	return colon != SIZE_MAX &&
	       slice_equal(
		   slice_sub(now, 0, colon), slice_sub(before, 0, colon)) &&
	       slice_u64(slice_sub(now, colon + 1, SIZE_MAX), &a) &&
	       slice_u64(slice_sub(before, colon + 1, SIZE_MAX), &b) && a < b;
}

/* Of each context one CSN a serverID, in their order: as many of them, and each
 * as long as the other, are of the same writers. */
bool
dialect_mark_is_behind(
    const struct dialect *dialect, struct slice now, struct slice before)
{
	bool behind = false;

	if (dialect_is_ad(dialect))
		return mark_ad_is_behind(now, before);
	while (now.len > 0 && before.len > 0) {
		struct slice a = mark_take(&now), b = mark_take(&before);

		if (a.len != b.len)
			return false;
		behind = behind || slice_compare(a, b) < 0;
	}
	return behind && now.len == before.len;
}
