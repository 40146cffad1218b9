/* Distinguished names, RFC 4514. Values come in from strangers: nothing is
 * pasted, everything is escaped. */
#ifndef COMMON_LDAP_DN_H
#define COMMON_LDAP_DN_H

#include "common/base/buf.h"

/* Appends type=value with the value escaped (leading # and blank, trailing
 * blank, , + " \ < > ; = NUL and control bytes as \XX). */
void dn_add_rdn(struct buf *dn, const char *type, struct slice value);
/* Appends "," and a parent DN. */
void dn_add_parent(struct buf *dn, const char *parent);
/* Is dn below base (at any depth) or, with or_equal, base itself? Compared
 * after normalisation: case and blanks around separators fold, escapes are
 * decoded. Malformed names are below nothing. */
bool dn_is_below(const char *dn, const char *base, bool or_equal);
bool dn_equal(const char *a, const char *b);
/* Normalised form for comparing and hashing. Class bad data. */
int dn_normalize(const char *dn, struct buf *out, struct err *err) ERR_WUR;
/* Parent part of a DN (borrowed, inside dn); "" at the root. */
const char *dn_parent(const char *dn);
/* Decoded value of the first RDN. Class bad data. */
int dn_rdn_value(const char *dn, struct buf *out, struct err *err) ERR_WUR;

#endif
