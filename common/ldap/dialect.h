/*
 * What differs between directories: Active Directory with Exchange attributes,
 * plain Active Directory, OpenLDAP with inetOrgPerson. Found from the rootDSE
 * and the schema, or set. Objects speak Active Directory's names (object.h);
 * a dialect translates on reading and on writing.
 */
#ifndef COMMON_LDAP_DIALECT_H
#define COMMON_LDAP_DIALECT_H

#include "common/base/id.h"
#include "common/ldap/schema.h"
#include "common/ldap/search.h"
#include "common/ldap/writer.h"
#include "common/wire/object.h"

enum dialect_kind {
	DIALECT_AUTO,
	DIALECT_EXCHANGE,
	DIALECT_AD,
	DIALECT_OPENLDAP
};

/* Where contacts that galrelay made say so, unless another one is set. */
#define DIALECT_PROVENANCE_AD "extensionName"
#define DIALECT_PROVENANCE_OPENLDAP "labeledURI"

struct dialect;

/* Reads rootDSE and schema. kind AUTO finds it; the others are checked against
 * what the server is. Class config when the server is none of them. The
 * provenance attribute defaults to extensionName (AD) or labeledURI
 * (OpenLDAP); the schema must know it. The session is borrowed: it must outlive
 * the dialect, which asks the schema late. */
int dialect_open(struct session *session, enum dialect_kind kind,
    const char *provenance_attribute, struct dialect **out_dialect,
    struct err *err) ERR_WUR;
void dialect_close(struct dialect *dialect);
/* Reads what the schema says of the contact class and of every attribute that
 * contacts carry, once; the questions below then cost nothing. They load by
 * themselves what is missing, and say no or 0 when that fails: an import calls
 * this first, so that a failure is an error and not a short answer. */
int dialect_load(const struct dialect *dialect, struct err *err) ERR_WUR;
enum dialect_kind dialect_kind(const struct dialect *dialect);
const char *dialect_kind_name(enum dialect_kind kind);
/* Naming contexts that hold people: the default one on AD, all on OpenLDAP. */
const char *const *dialect_contexts(
    const struct dialect *dialect, size_t *out_count);
const char *dialect_provenance_attribute(const struct dialect *dialect);
/* Does the schema define an attribute, and does the contact class allow it? */
bool dialect_has_attribute(const struct dialect *dialect, const char *name);
bool dialect_contact_allows(const struct dialect *dialect, const char *name);
/* Upper length (characters, octets for binary) of an attribute on this server,
 * by schema (rangeUpper) or fact; 0: none known. */
size_t dialect_attribute_max(const struct dialect *dialect, const char *name);
/* Asks the schema for these attributes (this directory's names, ended by NULL)
 * at once; what follows answers from it then. */
int dialect_attributes_fetch(const struct dialect *dialect,
    const char *const *names, struct err *err) ERR_WUR;
/* Of an attribute under this directory's name. */
/* Of several names of one, the one that a server answers with. */
const char *dialect_primary(const struct dialect *dialect, const char *name);
bool dialect_knows(const struct dialect *dialect, const char *name);
unsigned dialect_traits(const struct dialect *dialect, const char *name);
bool dialect_is_text(const struct dialect *dialect, const char *name);
/* Calls fn with each attribute of this directory whose name begins so. */
int dialect_attributes_begin(const struct dialect *dialect, const char *prefix,
    void (*fn)(void *arg, const char *name), void *arg,
    struct err *err) ERR_WUR;
/* The canonical name of an attribute of a directory of that kind: the same,
 * where nothing else is known. */
const char *dialect_canonical(enum dialect_kind kind, const char *name);
/* This directory's name of a canonical one, as it is written; NULL: none. */
const char *dialect_here(const struct dialect *dialect, const char *canonical);
/* The attributes of a directory of that kind that describe recipients, ended by
 * NULL. */
const char *const *dialect_vocabulary(enum dialect_kind kind);
/* A cheap mark of the directory's content on this server: AD invocationId and
 * highestCommittedUSN, OpenLDAP contextCSN. The same mark twice means that
 * nothing was written in between; out stays empty where there is none. */
int dialect_mark(struct session *session, const struct dialect *dialect,
    struct buf *out, struct err *err) ERR_WUR;
/* Does a server with this mark lack something that one with the other mark had?
 * On AD only if both are of one controller: a highestCommittedUSN means nothing
 * on another (see reach.h). */
bool dialect_mark_is_behind(
    const struct dialect *dialect, struct slice now, struct slice before);

/* --- reading a source --- */
/* Filter and attribute list for what may be exported (users, contacts, groups
 * with a mail address). Strings belong to the dialect. */
const char *dialect_export_filter(const struct dialect *dialect);
const char *const *dialect_export_attributes(const struct dialect *dialect);
/* The same kinds of entries, also those without a mail address. */
const char *dialect_recipient_filter(const struct dialect *dialect);

/* Is it one of the recipients that Exchange keeps for itself
 * (msExchRecipientTypeDetails)? */
bool dialect_type_is_system(int64_t type);

/* What a policy's search may look for; a set of them is an unsigned. */
enum dialect_find {
	DIALECT_FIND_USER = 1,
	DIALECT_FIND_CONTACT = 2,
	DIALECT_FIND_GROUP = 4,
	DIALECT_FIND_DYNAMIC_GROUP = 8,
	DIALECT_FIND_PUBLIC_FOLDER = 16,
	DIALECT_FIND_CONTAINER = 32,
	DIALECT_FIND_OU = 64
};
#define DIALECT_FIND_RECIPIENTS 31U
#define DIALECT_FIND_GROUPS (DIALECT_FIND_GROUP | DIALECT_FIND_DYNAMIC_GROUP)

/* These append a filter. Entries of one of the kinds: */
void dialect_kinds_filter(
    const struct dialect *dialect, unsigned kinds, struct buf *out);
/* Entries one of whose names or addresses matches; * stands for any text. */
void dialect_expression_filter(
    const struct dialect *dialect, const char *expression, struct buf *out);
/* The entry of that id. */
void dialect_id_filter(
    const struct dialect *dialect, const struct id *id, struct buf *out);
/* Entries with that SMTP address. */
void dialect_mail_filter(
    const struct dialect *dialect, struct slice mail, struct buf *out);
/* An id as people write it: 32 hexadecimal digits as in our messages, or with
 * dashes as the directory's tools show it. Class bad data. */
int dialect_id_parse(const struct dialect *dialect, const char *text,
    struct id *out_id, struct err *err) ERR_WUR;
/* objectGUID or entryUUID. Class bad data when missing or odd. */
int dialect_entry_id(const struct dialect *dialect,
    const struct search_entry *entry, struct id *out_id,
    struct err *err) ERR_WUR;
/* What kind of recipient objectClass makes it; unspecified: none. */
Galr__Kind dialect_entry_kind(
    const struct dialect *dialect, const struct search_entry *entry);
/* The entry as an object with canonical names, in the order in which the server
 * gave them (object_encode() sorts). The arrays live in arena; names and values
 * may point into the entry, so that they end with the next search_step(). kind
 * is unspecified for what is no recipient. The id, object classes, the
 * provenance attribute and the members of a group are left out: policies find
 * them in the raw entry. */
int dialect_read_object(const struct dialect *dialect,
    const struct search_entry *entry, struct arena *arena,
    struct object *out_object, struct err *err) ERR_WUR;

/* --- reading and writing a target --- */
/* For reading the whole forest's addresses: filter and attributes. */
const char *dialect_address_filter(const struct dialect *dialect);
const char *const *dialect_address_attributes(const struct dialect *dialect);
/* All attributes that contacts of ours carry, under this directory's names, for
 * reading them back; with objectGUID or entryUUID and objectClass, which are
 * never written. */
const char *const *dialect_contact_attributes(const struct dialect *dialect);
/* A wanted contact (canonical names, single cn, provenance under the name
 * "provenance") into this directory's attributes, object classes included;
 * attributes that the schema lacks are left out. Used for adding (all) and for
 * comparing (what differs is replaced). Lives in arena. */
int dialect_contact_attributes_map(const struct dialect *dialect,
    const struct object *contact, struct arena *arena,
    struct writer_attribute **out_attributes, size_t *out_count,
    struct err *err) ERR_WUR;
/* RDN attribute of contacts: "cn". */
const char *dialect_rdn_attribute(const struct dialect *dialect);
/* Are two sets of values equal as this attribute's syntax compares (order
 * never, case where the attribute ignores it)? */
bool dialect_values_equal(const struct dialect *dialect, const char *name,
    const struct slice *a, size_t a_count, const struct slice *b,
    size_t b_count);

#endif
