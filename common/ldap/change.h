/* A change that is on its way: the writer's own copy and how it is sent. */
#ifndef COMMON_LDAP_CHANGE_H
#define COMMON_LDAP_CHANGE_H

#include <ldap.h>

#include "common/ldap/writer.h"

struct change {
	struct writer_change as; /* strings and values are this copy's */
	char *dn_key;            /* normalised DN: one change on it at a time */
	int msgid;
	struct arena *arena; /* holds everything, this struct too */
};

/* NULL when the change is larger than any directory takes. */
struct change *change_copy(const struct writer_change *from);
void change_free(struct change *change);

/* Sends it; *out_msgid is set. Returns libldap's code. */
int change_send(LDAP *ld, const struct change *change, LDAPControl **controls,
    int *out_msgid);

#endif
