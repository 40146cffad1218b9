/* What the parts of the session module share. */
#ifndef COMMON_LDAP_SESSION_IMPL_H
#define COMMON_LDAP_SESSION_IMPL_H

#include <gssapi/gssapi.h>
#include <ldap.h>

#include "common/ldap/session.h"

struct session {
	LDAP *ld;
	char *uri;
	int64_t timeout_ms;
	gss_cred_id_t cred;
	struct ldap_conncb callback; /* libldap keeps a pointer to it */
	bool connected;              /* TCP stood at least once */
	bool ldaps, start_tls;
};

/* Connects and makes the handshake, ldaps or StartTLS. ca_file NULL: the
 * system's. Class config when the certificate does not do, saying why. */
int session_tls_open(
    struct session *session, const char *ca_file, struct err *err) ERR_WUR;

#endif
