/*
 * Change stamps: was an entry written since a mark was taken? Directories stamp
 * each entry that is written (uSNChanged, entryCSN), and never one that merely
 * looks otherwise because somebody's rights changed. MS-ADTS 3.1.1.3.2,
 * slapo-syncprov(5).
 */
#ifndef COMMON_LDAP_STAMP_H
#define COMMON_LDAP_STAMP_H

#include "common/ldap/dialect.h"

enum stamp_answer {
	STAMP_UNKNOWN, /* no stamp, another server, or a restored one */
	STAMP_BEFORE,  /* the entry was not written since */
	STAMP_SINCE    /* it may have been */
};

/* To be read of an entry. Static storage. */
const char *stamp_attribute(const struct dialect *dialect);
/* then, now: dialect_mark() of the server that gave the entry; then may be that
 * of another one. Only what was written to this entry is asked: values that
 * name others change without it. */
enum stamp_answer stamp_compare(const struct dialect *dialect,
    const struct search_entry *entry, struct slice then, struct slice now);

/* The same of the bare texts: Active Directory's, */
enum stamp_answer stamp_compare_usn(
    struct slice stamp, struct slice then, struct slice now);
/* and OpenLDAP's; the entry lies in that one of so many contexts. */
enum stamp_answer stamp_compare_csn(
    struct slice stamp, struct slice then, size_t context, size_t contexts);

#endif
