/*
 * The members of one group as its directory keeps them: named by the group
 * (member, uniqueMember), by themselves (primaryGroupID), or found by its
 * filter (msExchDynamicDistributionList). FEATURES E4, E5.
 */
#ifndef COMMON_LDAP_GROUP_H
#define COMMON_LDAP_GROUP_H

#include "common/ldap/reference.h"

/* The session of a server that holds this name; with below everything beneath
 * it too, in whatever domain. 1, 0 no server does, -1. */
typedef int group_session_fn(void *arg, const char *dn, bool below,
    struct session **out_session, struct err *err);

/* A name or an entry that is no group has no members. */
struct group_source {
	const struct dialect *dialect;
	const char *dn;
	const char *context; /* the naming context that the group is in */
	unsigned page_size;
	group_session_fn *session;
	void *arg;
	struct reference_cache *names; /* NULL: ids come with the names */
};

/* One member; dn ends when the function returns. Returns 0 to go on, -1. */
typedef int group_fn(
    void *arg, const struct id *id, const char *dn, struct err *err);

/* What a reading tells beside the members. */
#define GROUP_STAMP_SIZE 80
struct group_told {
	/* Another one whenever the group's own entry was written to: uSNChanged
	 * and whenChanged, entryCSN; "" when they cannot be read. */
	char stamp[GROUP_STAMP_SIZE];
	size_t values; /* in member and uniqueMember, whomever they name */
	struct err cause;
};

/* Calls fn for every member, of whatever kind and in no order; one may come
 * twice. 0: those were all; 1: a dynamic group whose filter is missing or
 * refused, out_told->cause says why, and what came counts for nothing; -1: the
 * list could not be read to its end. Members that a directory names and does
 * not have are passed over. */
int group_read(const struct group_source *source, group_fn *fn, void *arg,
    struct group_told *out_told, struct err *err) ERR_WUR;

/* Active Directory: calls fn for those who have the group as their primary one,
 * whom it names nowhere. entry: the group with objectSid and groupType. Asks
 * nothing when it is no security group, or when no server that is read holds
 * it. */
int group_read_primary(const struct group_source *source,
    const struct search_entry *entry, group_fn *fn, void *arg,
    struct err *err) ERR_WUR;

#endif
