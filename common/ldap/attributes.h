/* The attributes of a found entry, as they stand in the message. Reading a
 * directory whole spends much of its time here, so nothing is copied. */
#ifndef COMMON_LDAP_ATTRIBUTES_H
#define COMMON_LDAP_ATTRIBUTES_H

#include <lber.h>

#include "common/base/arena.h"
#include "common/ldap/search.h"

/* PartialAttributeList of RFC 4511 section 4.5.2, which is the rest of ber (as
 * ldap_get_dn_ber() leaves it). Names and values point into the message, and a
 * NUL is written behind each; the arrays are the arena's. -1 when it is
 * malformed, a name holds a NUL or the arena is full: *out_cause says what
 * (static). */
int attributes_decode(BerElement *ber, struct arena *arena,
    struct search_attribute **out_list, size_t *out_count,
    const char **out_cause);

#endif
