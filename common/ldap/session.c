#include "common/ldap/session.h"

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <sasl/sasl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/session_guard.h"
#include "common/ldap/session_impl.h"

#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES 4
#define READAHEAD_BYTES ((ber_len_t)65536)

struct ldap *
session_handle(struct session *session)
{
	return session->ld;
}

const char *
session_uri(const struct session *session)
{
	return session->uri;
}

int64_t
session_timeout_ms(const struct session *session)
{
	return session->timeout_ms;
}

void
session_close(struct session *session)
{
	OM_uint32 minor;

	if (session == NULL)
		return;
	if (session->ld != NULL)
		ldap_unbind_ext(session->ld, NULL, NULL);
	if (session->cred != GSS_C_NO_CREDENTIAL)
		gss_release_cred(&minor, &session->cred);
	free(session->uri);
	free(session);
}

static enum err_class
code_class(int code)
{
	switch (code) {
	case LDAP_SERVER_DOWN:
	case LDAP_TIMEOUT:
	case LDAP_CONNECT_ERROR:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_TIMELIMIT_EXCEEDED:
	case LDAP_OPERATIONS_ERROR:
	case LDAP_OTHER:
		return ERR_TEMPORARY;
	case LDAP_PROTOCOL_ERROR:
	case LDAP_DECODING_ERROR:
		return ERR_BAD_DATA;
	case LDAP_NO_MEMORY:
	case LDAP_ENCODING_ERROR:
	case LDAP_PARAM_ERROR:
		return ERR_INTERNAL;
	default:
		return ERR_CONFIG;
	}
}

/* AD tells why it refused a password as "data 52e" in the diagnostic. */
static const char *
credentials_cure(const char *diagnostic)
{
	static const struct {
		const char *mark;
		const char *cure;
	} reasons[] = {
	    {"data 525", "the account does not exist: check user"},
	    {"data 530", "the account may not log on at this hour"},
	    {"data 532", "the password has expired: set a new one"},
	    {"data 533", "the account is disabled: enable it"},
	    {"data 701", "the account has expired"},
	    {"data 773", "the password must be changed first"},
	    {"data 775", "the account is locked: unlock it"},
	};
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strstr(diagnostic, reasons[i].mark) != NULL)
			return reasons[i].cure;
	}
	return "wrong name or password: check user and password_file";
}

/* What a person should do about a result code; "" when nothing is known. */
static const char *
code_cure(int code, const char *diagnostic)
{
	switch (code) {
	case LDAP_INVALID_CREDENTIALS:
		return credentials_cure(diagnostic);
	case LDAP_OPERATIONS_ERROR:
		/* Active Directory, to somebody who did not bind. */
		return strstr(diagnostic, "authentication") != NULL ||
			       strstr(diagnostic, "successful bind") != NULL
			   ? "it answers nobody without an account: set user "
			     "and password_file, or keytab"
			   : "";
	case LDAP_STRONG_AUTH_REQUIRED:
		return "the server wants signing or encryption: use an "
		       "ldaps:// URI, StartTLS, or GSSAPI";
	case LDAP_CONFIDENTIALITY_REQUIRED:
		return "the server wants encryption: use an ldaps:// URI or "
		       "StartTLS";
	case LDAP_INSUFFICIENT_ACCESS:
		return "the account lacks rights: grant them";
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED:
		return "let this account read everything in pages of "
		       "page_size entries: raise the server's limit for it "
		       "(slapd: limits ... size.prtotal=unlimited), or lower "
		       "page_size";
	case LDAP_UNAVAILABLE_CRITICAL_EXTENSION:
		return "the server lacks a control; when it cannot give "
		       "results in pages, set page_size = 0";
	case LDAP_NO_SUCH_OBJECT:
		return "there is no such entry, or the account cannot see it";
	case LDAP_FILTER_ERROR:
		return "this is no LDAP filter: correct filter in from";
	case LDAP_REFERRAL:
		return "this lies on another server, and referrals are not "
		       "followed: set uri to that server, name it with its "
		       "naming context in domains, or choose a place that is "
		       "here";
	case LDAP_SERVER_DOWN:
	case LDAP_CONNECT_ERROR:
		return "check address, port, firewall, that the name is known "
		       "to DNS, and that the server runs";
	case LDAP_TIMEOUT:
		return "the server did not answer in time";
	default:
		return "";
	}
}

static int
error_fill(const char *uri, int code, const char *diagnostic, struct err *err,
    const char *what)
{
	enum err_class class = code_class(code);
	const char *cure;

	if (diagnostic == NULL)
		diagnostic = "";
	cure = code_cure(code, diagnostic);
	return err_set_code(err, class, code, "%s: %s: %s%s%s%s%s%s", uri, what,
	    ldap_err2string(code), *diagnostic == '\0' ? "" : " (", diagnostic,
	    *diagnostic == '\0' ? "" : ")", *cure == '\0' ? "" : "; ", cure);
}

bool
session_refused(const struct err *err)
{
	return err->class == ERR_CONFIG &&
	       err->code == LDAP_INVALID_CREDENTIALS;
}

int
session_error(struct session *session, int code, const char *diagnostic,
    struct err *err, const char *what)
{
	char *own = NULL;

	if (diagnostic == NULL) {
		ldap_get_option(session->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &own);
		diagnostic = own;
	}
	error_fill(session->uri, code, diagnostic, err, what);
	ldap_memfree(own);
	return -1;
}

static struct timeval
timeval_from_ms(int64_t ms)
{
	return (struct timeval){ms / 1000, ms % 1000 * 1000};
}

static bool
uri_has_scheme(const char *uri, const char *scheme)
{
	return slice_starts_case(slice_str(uri), slice_str(scheme));
}

static int
session_set_limits(struct session *session,
    const struct session_options *options, struct err *err)
{
	struct timeval connect = timeval_from_ms(options->connect_timeout_ms);
	struct timeval answer = timeval_from_ms(options->timeout_ms);
	unsigned user_timeout = (unsigned)options->timeout_ms;
	int version = LDAP_VERSION3, none = 0;
	int idle = KEEPALIVE_IDLE_S, probes = KEEPALIVE_PROBES;
	int interval = KEEPALIVE_INTERVAL_S;
	const struct {
		int option;
		const void *value;
	} table[] = {
	    {LDAP_OPT_PROTOCOL_VERSION, &version},
	    {LDAP_OPT_REFERRALS, LDAP_OPT_OFF},
	    {LDAP_OPT_RESTART, LDAP_OPT_ON},
	    {LDAP_OPT_SIZELIMIT, &none},
	    {LDAP_OPT_TIMELIMIT, &none},
	    {LDAP_OPT_NETWORK_TIMEOUT, &connect},
	    {LDAP_OPT_TIMEOUT, &answer},
	    {LDAP_OPT_TCP_USER_TIMEOUT, &user_timeout},
	    {LDAP_OPT_X_KEEPALIVE_IDLE, &idle},
	    {LDAP_OPT_X_KEEPALIVE_PROBES, &probes},
	    {LDAP_OPT_X_KEEPALIVE_INTERVAL, &interval},
	    {LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (ldap_set_option(session->ld, table[i].option,
			table[i].value) != LDAP_OPT_SUCCESS)
			return err_set(err, ERR_INTERNAL,
			    "libldap refused option 0x%x", table[i].option);
	}
	return 0;
}

static int
bind_simple(struct session *session, const char *dn, struct slice password,
    struct err *err)
{
	struct berval cred = {password.len, (char *)password.data};
	struct berval *server = NULL;
	int code;

	/* RFC 4513 5.1.2: a name without a password is an anonymous bind that
	 * succeeds, and then reads nothing. */
	if (dn != NULL && *dn != '\0' && password.len == 0)
		return err_set(err, ERR_CONFIG,
		    "%s: bind as %s: the password is empty", session->uri, dn);
	code = ldap_sasl_bind_s(session->ld, dn == NULL ? "" : dn,
	    LDAP_SASL_SIMPLE, &cred, NULL, NULL, &server);
	ber_bvfree(server);
	if (code == LDAP_SUCCESS)
		return 0;
	return session_error(session, code, NULL, err, "bind");
}

static int
bind_external(struct session *session, struct err *err)
{
	struct berval cred = {0, (char *)""};
	struct berval *server = NULL;
	int code = ldap_sasl_bind_s(
	    session->ld, NULL, "EXTERNAL", &cred, NULL, NULL, &server);

	ber_bvfree(server);
	if (code == LDAP_SUCCESS)
		return 0;
	return session_error(session, code, NULL, err, "EXTERNAL bind");
}

static int
gss_error(struct session *session, OM_uint32 major, OM_uint32 minor,
    const struct session_options *options, struct err *err)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, context = 0;
	bool known = minor != 0;

	gss_display_status(&ignored, known ? minor : major,
	    known ? GSS_C_MECH_CODE : GSS_C_GSS_CODE, GSS_C_NO_OID, &context,
	    &text);
	err_set(err, ERR_CONFIG,
	    "%s: Kerberos credentials of %s from keytab %s: %.*s; check "
	    "keytab, principal and that the KDC is reachable",
	    session->uri,
	    options->principal == NULL ? "the default principal"
				       : options->principal,
	    options->keytab, (int)text.length, (const char *)text.value);
	gss_release_buffer(&ignored, &text);
	return -1;
}

/* Tickets come from the keytab into a cache in memory: no kinit. The SASL
 * plugin finds both by the environment, because libldap hands credentials over
 * only once the bind is under way (LDAP_OPT_X_SASL_GSS_CREDS). */
static int
gss_acquire(struct session *session, const struct session_options *options,
    struct err *err)
{
	static unsigned serial;
	char cache[64];
	gss_key_value_element_desc elements[2] = {
	    {"client_keytab", options->keytab}, {"ccache", cache}};
	gss_key_value_set_desc store = {2, elements};
	gss_name_t name = GSS_C_NO_NAME;
	gss_buffer_desc text;
	OM_uint32 major = GSS_S_COMPLETE, minor = 0, ignored, lifetime;

	(void)snprintf(cache, sizeof(cache), "MEMORY:galrelay-%d-%u",
	    (int)getpid(), serial++);
	if (options->principal != NULL) {
		text.value = (void *)options->principal;
		text.length = strlen(options->principal);
		major = gss_import_name(
		    &minor, &text, (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME, &name);
	}
	if (!GSS_ERROR(major))
		major = gss_acquire_cred_from(&minor, name, GSS_C_INDEFINITE,
		    GSS_C_NO_OID_SET, GSS_C_INITIATE, &store, &session->cred,
		    NULL, NULL);
	/* Asking how long it lasts makes it fetch the first ticket. */
	if (!GSS_ERROR(major))
		major = gss_inquire_cred(
		    &minor, session->cred, NULL, &lifetime, NULL, NULL);
	if (name != GSS_C_NO_NAME)
		gss_release_name(&ignored, &name);
	if (GSS_ERROR(major))
		return gss_error(session, major, minor, options, err);
	setenv("KRB5CCNAME", cache, 1);
	setenv("KRB5_CLIENT_KTNAME", options->keytab, 1);
	return 0;
}

/* SASL asks for what it lacks; the defaults of every question are right. */
static int
interact(LDAP *ld, unsigned flags, void *defaults, void *arg)
{
	sasl_interact_t *question;

	(void)ld, (void)flags, (void)defaults;
	for (question = arg; question->id != SASL_CB_LIST_END; question++) {
		question->result =
		    question->defresult == NULL ? "" : question->defresult;
		question->len = (unsigned)strlen(question->result);
	}
	return LDAP_SUCCESS;
}

/* AD refuses SASL signing inside TLS (MS-ADTS 5.1.1.1.2), and refuses a bind
 * without signing outside it. */
static int
bind_gssapi(struct session *session, const struct session_options *options,
    bool tls, struct err *err)
{
	int binding = LDAP_OPT_X_SASL_CBINDING_TLS_ENDPOINT;
	int code;

	if (options->keytab != NULL && gss_acquire(session, options, err) != 0)
		return -1;
	if (ldap_set_option(session->ld, LDAP_OPT_X_SASL_SECPROPS,
		tls ? "maxssf=0" : "minssf=1") != LDAP_OPT_SUCCESS)
		return err_set(err, ERR_INTERNAL,
		    "libldap refused SASL security properties");
	if (tls)
		ldap_set_option(
		    session->ld, LDAP_OPT_X_SASL_CBINDING, &binding);
	code = ldap_sasl_interactive_bind_s(session->ld, NULL, "GSSAPI", NULL,
	    NULL, LDAP_SASL_QUIET, interact, NULL);
	if (code == LDAP_SUCCESS)
		return 0;
	session_error(session, code, NULL, err, "GSSAPI bind");
	if (code == LDAP_LOCAL_ERROR && err != NULL)
		err_set_code(err, ERR_CONFIG, code,
		    "%.600s; use the server's full host name in the URI, and "
		    "check keytab, clock and KDC",
		    err->message);
	return -1;
}

static int
session_bind(struct session *session, const struct session_options *options,
    bool tls, struct err *err)
{
	switch (options->bind) {
	case SESSION_SIMPLE:
		return bind_simple(
		    session, options->bind_dn, options->password, err);
	case SESSION_ANONYMOUS:
		return bind_simple(session, NULL, SLICE_NULL, err);
	case SESSION_EXTERNAL:
		return bind_external(session, err);
	case SESSION_GSSAPI:
		return bind_gssapi(session, options, tls, err);
	}
	return err_set(err, ERR_INTERNAL, "unknown kind of bind");
}

/* Called by libldap when TCP has connected. From here on the guard bounds the
 * handshake: with a network timeout libldap would make it non-blocking, and
 * then spin. Later reads must not hang in half a TLS record either. */
static int
connected(LDAP *ld, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *address,
    struct ldap_conncb *callback)
{
	struct session *session = callback->lc_arg;
	struct timeval limit = timeval_from_ms(session->timeout_ms);
	/* Not NULL: that is 0 s, and the socket non-blocking all the same. */
	struct timeval none = {-1, 0};
	int fd = -1;

	(void)url, (void)address;
	ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &none);
	ber_sockbuf_ctrl(sb, LBER_SB_OPT_GET_FD, &fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	session_guard_watch(fd);
	session->connected = true;
	return 0;
}

static void
disconnected(LDAP *ld, Sockbuf *sb, struct ldap_conncb *callback)
{
	(void)ld, (void)sb, (void)callback;
}

static int
session_prepare(struct session *session, const struct session_options *options,
    struct err *err)
{
	int code = ldap_initialize(&session->ld, session->uri);

	if (code != LDAP_SUCCESS)
		return err_set(err, ERR_CONFIG,
		    "%s: not an LDAP URI: write ldaps://host, ldap://host or "
		    "ldapi://path",
		    session->uri);
	session->callback =
	    (struct ldap_conncb){connected, disconnected, session};
	if (ldap_set_option(session->ld, LDAP_OPT_CONNECT_CB,
		&session->callback) != LDAP_OPT_SUCCESS)
		return err_set(err, ERR_INTERNAL, "libldap refused a callback");
	return session_set_limits(session, options, err);
}

/* A buffer between the socket and TLS or SASL: without it every message costs
 * two reads and a poll. Only now, when libldap has put its own layers on. */
static void
session_read_ahead(struct session *session)
{
	ber_len_t bytes = READAHEAD_BYTES;
	Sockbuf *sb = NULL;

	if (ldap_get_option(session->ld, LDAP_OPT_SOCKBUF, &sb) !=
		LDAP_OPT_SUCCESS ||
	    sb == NULL)
		return;
	if (ber_sockbuf_add_io(sb, &ber_sockbuf_io_readahead,
		LBER_SBIOD_LEVEL_PROVIDER, NULL) == 0)
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_READAHEAD, &bytes);
}

static int
session_connect(struct session *session, const struct session_options *options,
    struct err *err)
{
	bool local = uri_has_scheme(session->uri, "ldapi:");

	session->ldaps = uri_has_scheme(session->uri, "ldaps:");
	session->start_tls = (options->tls == SESSION_TLS_STARTTLS ||
				 options->tls == SESSION_TLS_BY_URI) &&
			     !session->ldaps && !local;
	if (options->tls == SESSION_TLS_LDAPS && !session->ldaps && !local)
		return err_set(err, ERR_CONFIG,
		    "%s: tls is ldaps: write ldaps://, or choose StartTLS",
		    session->uri);
	if (session_prepare(session, options, err) != 0)
		return -1;
	if ((session->ldaps || session->start_tls) &&
	    session_tls_open(session, options->ca_file, err) != 0)
		return -1;
	if (session_bind(session, options, session->ldaps || session->start_tls,
		err) != 0)
		return -1;
	session_read_ahead(session);
	return 0;
}

/* All of connecting under one deadline. */
static int
session_connect_guarded(struct session *session,
    const struct session_options *options, struct err *err)
{
	int64_t limit = options->connect_timeout_ms + options->timeout_ms;
	int rc;

	session_guard_start(limit);
	rc = session_connect(session, options, err);
	if (session_guard_stop() && rc != 0)
		return err_set_code(err, ERR_TEMPORARY, LDAP_TIMEOUT,
		    "%s: connecting took more than %lld ms; the server did "
		    "not answer in time",
		    session->uri, (long long)limit);
	return rc;
}

/* Keeps the more hopeful class, so that a job is retried when any server
 * might come back. */
static void
errors_join(struct err *all, const struct err *one)
{
	struct err first = *all;

	if (first.class == ERR_NONE) {
		*all = *one;
		return;
	}
	err_set_code(all,
	    one->class == ERR_TEMPORARY ? ERR_TEMPORARY : first.class,
	    one->code, "%s; %s", first.message, one->message);
}

int
session_open(const struct session_options *options,
    struct session **out_session, struct err *err)
{
	struct session *session;
	struct err all = {0}, one;
	size_t i;

	/* Only what is set here counts, not /etc/ldap/ldap.conf. */
	setenv("LDAPNOINIT", "1", 1);
	*out_session = NULL;
	for (i = 0; i < options->uri_count; i++) {
		session = mem_calloc(1, sizeof(*session));
		session->uri = mem_strdup(options->uris[i]);
		session->timeout_ms = options->timeout_ms;
		err_clear(&one);
		if (session_connect_guarded(session, options, &one) == 0) {
			if (i > 0)
				log_warn("another server answered instead "
					 "uri=%s error=\"%s\"",
				    session->uri, all.message);
			*out_session = session;
			return 0;
		}
		session_close(session);
		errors_join(&all, &one);
		/* A wrong password everywhere would lock the account. */
		if (one.code == LDAP_INVALID_CREDENTIALS)
			break;
	}
	if (options->uri_count == 0)
		err_set(&all, ERR_CONFIG, "directory: no uri is given");
	if (err != NULL)
		*err = all;
	return -1;
}
