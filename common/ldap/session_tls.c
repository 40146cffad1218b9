#include "common/ldap/session_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

/* Debian's libldap stands on GnuTLS: without a CA file it trusts nobody. The
 * options take effect with NEWCTX, which therefore comes last. */
static bool
tls_configure(LDAP *ld, const char *ca, int require)
{
	int client = 0, min = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;

	return ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, ca) ==
		   LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &require) ==
		   LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &min) ==
		   LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client) ==
		   LDAP_OPT_SUCCESS;
}

static int
tls_start(struct session *session, LDAP *ld)
{
	return session->start_tls ? ldap_start_tls_s(ld, NULL, NULL)
				  : ldap_connect(ld);
}

static bool
certificate_names(X509 *certificate, const char *uri)
{
	LDAPURLDesc *url = NULL;
	bool named;

	if (ldap_url_parse(uri, &url) != LDAP_URL_SUCCESS)
		return true;
	named = X509_check_host(certificate, url->lud_host, 0, 0, NULL) == 1 ||
		X509_check_ip_asc(certificate, url->lud_host, 0) == 1;
	ldap_free_urldesc(url);
	return named;
}

static const char *
certificate_fault(X509 *certificate, const char *uri)
{
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		return "the server's certificate has expired: renew it";
	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		return "the server's certificate is not valid yet: check the "
		       "clocks";
	if (!certificate_names(certificate, uri))
		return "the server's certificate is for another host name: "
		       "write a name in uri that it carries";
	return "the server's certificate is not trusted: set ca to the "
	       "certificate of its authority";
}

/* libldap does not tell why a handshake failed. A second one that trusts
 * anybody, and carries nothing, shows the certificate. NULL: it fails too. */
static const char *
tls_explain(struct session *session, const char *ca)
{
	struct berval certificate = {0, NULL};
	const unsigned char *der;
	const char *fault = NULL;
	LDAP *ld = NULL;
	int version = LDAP_VERSION3;
	X509 *x509;

	if (ldap_initialize(&ld, session->uri) != LDAP_SUCCESS)
		return NULL;
	if (ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) == 0 &&
	    ldap_set_option(ld, LDAP_OPT_CONNECT_CB, &session->callback) == 0 &&
	    tls_configure(ld, ca, LDAP_OPT_X_TLS_NEVER) &&
	    tls_start(session, ld) == LDAP_SUCCESS &&
	    ldap_get_option(ld, LDAP_OPT_X_TLS_PEERCERT, &certificate) == 0 &&
	    certificate.bv_val != NULL) {
		der = (const unsigned char *)certificate.bv_val;
		x509 = d2i_X509(NULL, &der, (long)certificate.bv_len);
		fault = x509 == NULL ? "the server's certificate is malformed"
				     : certificate_fault(x509, session->uri);
		X509_free(x509);
	}
	ber_memfree(certificate.bv_val);
	ldap_unbind_ext(ld, NULL, NULL);
	return fault;
}

/* GnuTLS takes any file, and then trusts nobody. */
static bool
ca_has_certificate(const char *ca)
{
	FILE *file = fopen(ca, "re");
	X509 *x509 =
	    file == NULL ? NULL : PEM_read_X509_AUX(file, NULL, NULL, NULL);
	bool has = x509 != NULL;

	X509_free(x509);
	if (file != NULL)
		(void)fclose(file);
	ERR_clear_error();
	return has;
}

int
session_tls_open(struct session *session, const char *ca_file, struct err *err)
{
	const char *what = session->start_tls ? "StartTLS" : "TLS";
	const char *ca = ca_file == NULL ? SYSTEM_CA_FILE : ca_file;
	const char *fault = NULL;
	int code;

	if (access(ca, R_OK) != 0)
		return err_set_errno(err, ERR_CONFIG,
		    "%s: certificate authorities %s: check ca", session->uri,
		    ca);
	if (!ca_has_certificate(ca) ||
	    !tls_configure(session->ld, ca, LDAP_OPT_X_TLS_HARD))
		return err_set(err, ERR_CONFIG,
		    "%s: cannot use certificate authorities %s: check that ca "
		    "is a PEM file with certificates",
		    session->uri, ca);
	code = tls_start(session, session->ld);
	if (code == LDAP_SUCCESS)
		return 0;
	if (session->connected &&
	    (code == LDAP_SERVER_DOWN || code == LDAP_CONNECT_ERROR))
		fault = tls_explain(session, ca);
	if (fault != NULL)
		return err_set_code(err, ERR_CONFIG, code, "%s: %s: %s",
		    session->uri, what, fault);
	return session_error(session, code, NULL, err, what);
}
