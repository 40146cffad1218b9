/*
 * Ranged values: AD answers a long attribute as "member;range=0-1499" and wants
 * the rest asked for, MS-ADTS 3.1.1.3.1.3.3. A cut or shifted range is an
 * error, because half a group would pass for the whole.
 */
#ifndef COMMON_LDAP_RANGE_H
#define COMMON_LDAP_RANGE_H

#include "common/ldap/search.h"

struct range {
	size_t low;
	size_t high; /* SIZE_MAX: "*", the last part */
};

/* Splits "member;range=0-1499;binary": the bare name's length, and the range
 * if there is one. 1: ranged, 0: not, -1: malformed. Options other than range
 * and binary stay in the name (out_name_len is then the whole length). */
int range_parse(const char *name, size_t *out_name_len, struct range *out);

/* The entry that is made whole, and how it is read on. */
struct range_source {
	struct session *session;
	const char *dn;
	bool extended_dn; /* as in struct search_options */
};

/* Makes the attributes of one entry whole: strips options, drops the empty
 * twin that AD sends beside a range, and reads on until the last part. The
 * values read live in the arena. */
int range_complete(const struct range_source *source, struct arena *arena,
    struct search_attribute *attributes, size_t *count,
    struct err *err) ERR_WUR;

/* As search_read(), with the names of the attributes as the server wrote
 * them. */
int search_read_raw(const struct range_source *source,
    const char *const *attributes, struct arena *arena,
    struct search_entry *out_entry, struct err *err) ERR_WUR;

#endif
