/*
 * What a raw LDAP filter of a policy asks for. A directory takes a filter with
 * a misspelt attribute, finds nobody by it, and everybody where "not" stands
 * before it: so its names are looked up in the schema first. FEATURES E2.
 */
#ifndef SPOKE_EXPORT_CHOOSE_FILTER_H
#define SPOKE_EXPORT_CHOOSE_FILTER_H

#include "common/ldap/dialect.h"

/* Calls fn with each attribute that the filter (RFC 4515) compares, without
 * options and matching rules, in the order in which they stand; also more than
 * once. It may be an OID. */
void filter_attributes(
    const char *filter, void (*fn)(void *arg, struct slice name), void *arg);
/* Class config, naming the attribute, when the schema lacks one. */
int filter_check(
    const char *filter, const struct dialect *dialect, struct err *err) ERR_WUR;
/* After filter_check(): does it ask for the far end of a link, as
 * (memberOf=...) does? Who is put into a group is not written to, the group is:
 * what was touched does not tell whom such a filter finds. */
bool filter_asks_links(const char *filter, const struct dialect *dialect);

#endif
