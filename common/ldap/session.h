/*
 * One connection to a directory: ldaps, StartTLS or plain; simple, GSSAPI with
 * a keytab, or EXTERNAL over ldapi; referrals off; every wait bounded. libldap
 * blocks, so only worker processes open sessions. See RFC 4511, RFC 4513.
 */
#ifndef COMMON_LDAP_SESSION_H
#define COMMON_LDAP_SESSION_H

#include "common/base/err.h"
#include "common/base/secret.h"

struct ldap; /* libldap's handle */
struct session;

enum session_bind {
	SESSION_SIMPLE,
	SESSION_GSSAPI,
	SESSION_EXTERNAL,
	SESSION_ANONYMOUS
};
enum session_tls {
	SESSION_TLS_LDAPS,
	SESSION_TLS_STARTTLS,
	SESSION_TLS_NONE,
	/* As each URI says: ldap:// with StartTLS, ldapi:// with none. */
	SESSION_TLS_BY_URI
};

struct session_options {
	const char *const *uris; /* tried in order until one binds */
	size_t uri_count;
	enum session_tls tls;
	const char *ca_file; /* NULL: the system's */
	enum session_bind bind;
	const char *bind_dn;
	struct slice password;
	const char *keytab;    /* GSSAPI */
	const char *principal; /* GSSAPI */
	int64_t connect_timeout_ms;
	int64_t timeout_ms; /* any single answer */
};

/* Connects and binds to the first URI that answers; the log then names those
 * that did not. The error names each URI, the step and the cure: temporary
 * (unreachable, busy), config (credentials, certificate, strong authentication
 * required). Never logs the password. Referrals are never followed. */
int session_open(const struct session_options *options,
    struct session **out_session, struct err *err) ERR_WUR;
/* Did the directory refuse name or password? To ask again and again would lock
 * the account. */
bool session_refused(const struct err *err);
/* Unbinds and frees. NULL is legal. */
void session_close(struct session *session);
struct ldap *session_handle(struct session *session);
/* The URI that answered. */
const char *session_uri(const struct session *session);
int64_t session_timeout_ms(const struct session *session);

/* An LDAP result code as an error: class by code (51 busy, 52 unavailable, -1
 * server down: temporary; 49, 50, 53, 8, 13: config; 32 noSuchObject: config
 * and saved as err->code; ...). what names server, operation and base. */
int session_error(struct session *session, int code, const char *diagnostic,
    struct err *err, const char *what);

#endif
