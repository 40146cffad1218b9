/* Which attribute did a server refuse? Result codes do not say; the texts of
 * slapd, Samba and Active Directory do. */
#ifndef COMMON_LDAP_DIAGNOSTIC_H
#define COMMON_LDAP_DIAGNOSTIC_H

#include "common/base/buf.h"

/* The attribute's name appended to out; nothing when the text names none. */
void diagnostic_attribute(const char *diagnostic, struct buf *out);

#endif
