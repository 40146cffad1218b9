/*
 * Attributes that name other entries (manager, member), as ids. Active
 * Directory gives the id beside the name when a search asks with extended_dn;
 * elsewhere names are resolved, many at a time, and remembered.
 */
#ifndef COMMON_LDAP_REFERENCE_H
#define COMMON_LDAP_REFERENCE_H

#include "common/ldap/dialect.h"

/* Must a search ask with extended_dn, so that ids come with the names? */
bool reference_is_extended(const struct dialect *dialect);
/* The id in a value of an extended search: "<GUID=...>;<SID=...>;DN", MS-ADTS
 * 3.1.1.3.4.1.5; the GUID in hexadecimal (option 0) or as text (option 1).
 * false: there is none. */
bool reference_id(
    const struct dialect *dialect, struct slice value, struct id *out_id);
/* The name in such a value, within it; a plain name is itself. */
struct slice reference_name(struct slice value);
/* A value of any syntax that holds a name (DN, "B:4:01AB:" and a DN, ...) as it
 * would have come without extended_dn: ids and SIDs are cut out. In the arena
 * or within the value; empty when the arena is full. */
struct slice reference_plain(struct slice value, struct arena *arena);
/* Name and Optional UID (RFC 4517 3.3.21), a value of uniqueMember: the name,
 * without "#'0101'B". */
struct slice reference_without_uid(struct slice value);
/* Stands for a name that no entry has: 16 bytes of its normalised form's hash,
 * so that the entry is known when it comes. */
void reference_unresolved(struct slice name, struct id *out_id);

/* Names and their ids, at most 32,768: then it starts anew. */
struct reference_cache;
/* The session for context i of the list; asked for when the first name lies
 * there, so that a server nobody names need not answer. */
typedef int reference_open_fn(
    void *arg, size_t i, struct session **out_session, struct err *err);
struct reference_contexts {
	const char *const *dns; /* of naming contexts */
	size_t count;
	reference_open_fn *open;
	void *arg;
};
/* The list is copied; the DNs and the sessions are borrowed. */
struct reference_cache *reference_cache_new(
    const struct dialect *dialect, const struct reference_contexts *contexts);
/* NULL is legal. */
void reference_cache_free(struct reference_cache *cache);
/* NULL: not known yet. Valid until the next resolution. */
const struct id *reference_cache_find(
    const struct reference_cache *cache, struct slice name);
/* Sets a name's id, whatever the directory says; forgets all. */
void reference_cache_put(
    struct reference_cache *cache, struct slice name, const struct id *id);
void reference_cache_clear(struct reference_cache *cache);
/* Asks for those that are not known. A name that no entry has, or that the
 * account may not see, gets what reference_unresolved() gives. */
int reference_cache_resolve(struct reference_cache *cache,
    const struct slice *names, size_t count, struct err *err) ERR_WUR;

#endif
