/* The part of the configuration that the directory's servers are. */
#include <strings.h>
#include "common/base/clock.h"
#include "common/ldap/dn.h"
#include "spoke/conf_internal.h"

#define TLS_AUTO 100
#define BIND_AUTO 100

static const struct conf_name tls_names[] = {{"auto", TLS_AUTO},
    {"ldaps", SESSION_TLS_LDAPS}, {"starttls", SESSION_TLS_STARTTLS},
    {"none", SESSION_TLS_NONE}, {NULL, 0}};
static const struct conf_name bind_names[] = {{"auto", BIND_AUTO},
    {"simple", SESSION_SIMPLE}, {"gssapi", SESSION_GSSAPI},
    {"external", SESSION_EXTERNAL}, {"anonymous", SESSION_ANONYMOUS},
    {NULL, 0}};
static const struct conf_name dialect_names[] = {{"auto", DIALECT_AUTO},
    {"exchange", DIALECT_EXCHANGE}, {"ad", DIALECT_AD},
    {"openldap", DIALECT_OPENLDAP}, {NULL, 0}};

static bool
text_starts(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static int
check_uri(const struct conf_row *row, const void *field, struct err *err)
{
	const char *uri = *(const char *const *)field;

	(void)row;
	if (text_starts(uri, "ldap://") || text_starts(uri, "ldaps://") ||
	    text_starts(uri, "ldapi://"))
		return 0;
	return err_set(err, ERR_CONFIG,
	    "\"%s\" must start with ldaps://, ldap:// or ldapi://", uri);
}

/* What SRV records can stand under: labels of 1 to 63, RFC 1035. */
static int
check_domain(const struct conf_row *row, const void *field, struct err *err)
{
	const char *name = *(const char *const *)field;
	size_t label = 0, len = name == NULL ? 0 : strlen(name);
	bool right = len > 0 && len <= 200;

	(void)row;
	if (name == NULL)
		return 0;
	for (size_t i = 0; right && i < len; i++) {
		right = strchr("abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
			    name[i]) != NULL;
		label = name[i] == '.' ? 0 : label + 1;
		right = right && label <= 63 &&
			(label > 0 || (i > 0 && name[i - 1] != '.'));
	}
	return right ? 0
		     : err_set(err, ERR_CONFIG,
			   "is no DNS name such as north.example");
}

/* A site's name is one label. */
static int
check_site(const struct conf_row *row, const void *field, struct err *err)
{
	const char *name = *(const char *const *)field;

	if (name == NULL)
		return 0;
	if (strchr(name, '.') != NULL || check_domain(row, field, err) < 0)
		return err_set(err, ERR_CONFIG,
		    "is no name of a site such as Default-First-Site-Name");
	return 0;
}

enum session_tls
spoke_conf_tls(const struct spoke_directory *d, const char *uri)
{
	if (!d->tls_auto)
		return d->tls;
	/* Found servers are spoken to like the one that was named. */
	if (uri == NULL && d->tls == SESSION_TLS_STARTTLS)
		return SESSION_TLS_STARTTLS;
	if (uri == NULL || text_starts(uri, "ldaps://"))
		return SESSION_TLS_LDAPS;
	return text_starts(uri, "ldapi://") ? SESSION_TLS_NONE
					    : SESSION_TLS_STARTTLS;
}

static enum session_bind
bind_choose(const struct spoke_directory *d)
{
	if (d->password_file != NULL)
		return SESSION_SIMPLE;
	if (d->keytab != NULL)
		return SESSION_GSSAPI;
	return d->uri_count > 0 && text_starts(d->uris[0], "ldapi://")
		   ? SESSION_EXTERNAL
		   : SESSION_ANONYMOUS;
}

static int
domains_check(const struct spoke_directory *d, struct err *err)
{
	for (size_t i = 0; i < d->domain_count; i++) {
		const struct spoke_domain *one = &d->domains[i];

		if ((one->user != NULL) != (one->password_file != NULL))
			return err_set(err, ERR_CONFIG,
			    "domains: %s: user and password_file belong "
			    "together",
			    one->context);
		for (size_t k = 0; k < i; k++)
			if (dn_equal(one->context, d->domains[k].context))
				return err_set(err, ERR_CONFIG,
				    "domains: %s is there twice: give one "
				    "entry all its URIs",
				    one->context);
	}
	return 0;
}

/* What was left to us follows from what was said. */
static int
complete_directory(void *group, struct err *err)
{
	struct spoke_directory *d = group;

	if (d->uri_count == 0 && d->domain == NULL)
		return err_set(err, ERR_CONFIG,
		    "say uri with the addresses of the servers, or domain to "
		    "have them found by DNS");
	if ((int)d->tls == TLS_AUTO) {
		d->tls_auto = true;
		d->tls = SESSION_TLS_LDAPS;
		if (d->uri_count > 0)
			d->tls = spoke_conf_tls(d, d->uris[0]);
	}
	if ((int)d->bind == BIND_AUTO)
		d->bind = bind_choose(d);
	if (d->bind == SESSION_SIMPLE &&
	    (d->user == NULL || d->password_file == NULL))
		return err_set(err, ERR_CONFIG,
		    "a simple bind needs user and password_file");
	if (d->bind == SESSION_GSSAPI &&
	    (d->keytab == NULL || d->principal == NULL))
		return err_set(err, ERR_CONFIG,
		    "a GSSAPI bind needs keytab and principal");
	return domains_check(d, err);
}

static const struct conf_row domain_rows[] = {
    {"context", CONF_STRING, CONF_FIELD(struct spoke_domain, context),
	.required = true, .check = conf_check_dn},
    {"enabled", CONF_BOOL, CONF_FIELD(struct spoke_domain, enabled),
	.text = "true"},
    {"uri", CONF_STRINGS, CONF_FIELD(struct spoke_domain, uris),
	CONF_COUNT(struct spoke_domain, uri_count), .max = SPOKE_CONF_URIS_MAX,
	.check = check_uri},
    {"domain", CONF_STRING, CONF_FIELD(struct spoke_domain, domain),
	.check = check_domain},
    {"ca", CONF_PATH, CONF_FIELD(struct spoke_domain, ca_file)},
    {"user", CONF_STRING, CONF_FIELD(struct spoke_domain, user)},
    {"password_file", CONF_SECRET,
	CONF_FIELD(struct spoke_domain, password_file)},
};
static const struct conf_table domain_table =
    CONF_TABLE("domains", struct spoke_domain, domain_rows);

static const struct conf_row directory_rows[] = {
    {"uri", CONF_STRINGS, CONF_FIELD(struct spoke_directory, uris),
	CONF_COUNT(struct spoke_directory, uri_count),
	.max = SPOKE_CONF_URIS_MAX, .check = check_uri},
    {"domain", CONF_STRING, CONF_FIELD(struct spoke_directory, domain),
	.check = check_domain},
    {"site", CONF_STRING, CONF_FIELD(struct spoke_directory, site),
	.check = check_site},
    {"domains", CONF_GROUPS, CONF_FIELD(struct spoke_directory, domains),
	CONF_COUNT(struct spoke_directory, domain_count),
	.table = &domain_table, .max = SPOKE_CONF_DOMAINS_MAX},
    {"global_catalog", CONF_STRINGS,
	CONF_FIELD(struct spoke_directory, catalogue_uris),
	CONF_COUNT(struct spoke_directory, catalogue_uri_count),
	.max = SPOKE_CONF_URIS_MAX, .check = check_uri},
    {"tls", CONF_ENUM, CONF_FIELD(struct spoke_directory, tls),
	.names = tls_names, .text = "auto"},
    {"ca", CONF_PATH, CONF_FIELD(struct spoke_directory, ca_file)},
    {"bind", CONF_ENUM, CONF_FIELD(struct spoke_directory, bind),
	.names = bind_names, .text = "auto"},
    {"user", CONF_STRING, CONF_FIELD(struct spoke_directory, user)},
    {"password_file", CONF_SECRET,
	CONF_FIELD(struct spoke_directory, password_file)},
    {"keytab", CONF_SECRET, CONF_FIELD(struct spoke_directory, keytab)},
    {"principal", CONF_STRING, CONF_FIELD(struct spoke_directory, principal)},
    {"dialect", CONF_ENUM, CONF_FIELD(struct spoke_directory, dialect),
	.names = dialect_names, .text = "auto"},
    {"provenance", CONF_STRING, CONF_FIELD(struct spoke_directory, provenance),
	.max = 255},
    {"connect_timeout", CONF_DURATION,
	CONF_FIELD(struct spoke_directory, connect_timeout_ms), .text = "10s",
	.min = 100, .max = 5 * CLOCK_MINUTE_MS},
    {"timeout", CONF_DURATION, CONF_FIELD(struct spoke_directory, timeout_ms),
	.text = "2m", .min = CLOCK_SECOND_MS, .max = CLOCK_HOUR_MS},
    {"page_size", CONF_INT, CONF_FIELD(struct spoke_directory, page_size),
	.text = "1000", .min = 0, .max = 100000},
};
const struct conf_table conf_directory_table = CONF_TABLE_CHECK(
    "directory", struct spoke_directory, directory_rows, complete_directory);
