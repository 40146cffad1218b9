#include "spoke/controller.h"

#include <strings.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/locate.h"

/* How many of the servers that DNS names are tried. */
#define CONTROLLER_FOUND_MAX 8
#define CONTROLLER_TEXT_MAX 65536

struct controller
controller_first(const struct spoke_directory *directory)
{
	return (struct controller){.setting = "directory",
	    .uris = directory->uris,
	    .uri_count = directory->uri_count,
	    .domain = directory->domain};
}

static int
session_try(const struct spoke_directory *d, const struct controller *c,
    struct session_options *options, struct session **out_session,
    struct err *err)
{
	struct secret password = {0};
	const char *file =
	    c->user != NULL ? c->password_file : d->password_file;
	int rc = 0;

	options->ca_file = c->ca_file != NULL ? c->ca_file : d->ca_file;
	options->bind = c->user != NULL ? SESSION_SIMPLE : d->bind;
	options->bind_dn = c->user != NULL ? c->user : d->user;
	options->keytab = d->keytab;
	options->principal = d->principal;
	options->connect_timeout_ms = d->connect_timeout_ms;
	options->timeout_ms = d->timeout_ms;
	if (file != NULL && options->bind == SESSION_SIMPLE)
		rc = secret_read(&password, file, err);
	options->password = secret_slice(&password);
	if (rc == 0)
		rc = session_open(options, out_session, err);
	secret_free(&password);
	return rc;
}

/* Where such servers can stand in DNS; site and domain follow. */
struct service {
	const char *before_site; /* NULL: it knows no sites */
	const char *after_site;
	const char *plain;
};

static bool
hosts_have(const struct locate_hosts *hosts, const struct locate_host *host)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (hosts->list[i].port == host->port &&
		    strcasecmp(hosts->list[i].name, host->name) == 0)
			return true;
	return false;
}

/* Adds those that a name gives, behind what there is. */
static int
hosts_add(const char *name, struct locate_hosts *hosts, struct buf *asked,
    struct err *err)
{
	struct locate_hosts *more = mem_calloc(1, sizeof(*more));
	int rc = locate_service(name, more, err);

	buf_addf(asked, "%s%s", asked->len > 0 ? " or " : "", name);
	for (size_t i = 0; rc == 1 && i < more->count; i++)
		if (hosts->count < LOCATE_HOSTS_MAX &&
		    !hosts_have(hosts, &more->list[i]))
			hosts->list[hosts->count++] = more->list[i];
	free(more);
	return rc < 0 ? -1 : 0;
}

/* Those of the site before all others (MS-ADTS 6.3.2.3). */
static int
service_ask(const struct spoke_directory *d, const struct controller *c,
    const struct service *service, struct locate_hosts *hosts,
    struct buf *asked, struct err *err)
{
	char *name;
	int rc = 0;

	if (d->site != NULL && service->before_site != NULL) {
		name = mem_printf("%s%s%s%s", service->before_site, d->site,
		    service->after_site, c->domain);
		rc = hosts_add(name, hosts, asked, err);
		free(name);
	}
	if (rc == 0) {
		name = mem_printf("%s%s", service->plain, c->domain);
		rc = hosts_add(name, hosts, asked, err);
		free(name);
	}
	return rc;
}

/* Asks DNS under the names that such a server can have. 1, 0, -1. */
static int
hosts_find(const struct spoke_directory *d, const struct controller *c,
    struct locate_hosts *hosts, struct buf *asked, struct err *err)
{
	static const struct service catalogue = {
	    "_gc._tcp.", "._sites.", "_gc._tcp."};
	static const struct service domain = {
	    "_ldap._tcp.", "._sites.dc._msdcs.", "_ldap._tcp.dc._msdcs."};
	static const struct service plain = {NULL, NULL, "_ldap._tcp."};
	int rc = 0;

	if (c->catalogue)
		rc = service_ask(d, c, &catalogue, hosts, asked, err);
	else if (d->dialect != DIALECT_OPENLDAP)
		rc = service_ask(d, c, &domain, hosts, asked, err);
	if (rc == 0 && hosts->count == 0 && !c->catalogue)
		rc = service_ask(d, c, &plain, hosts, asked, err);
	return rc < 0 ? -1 : hosts->count > 0;
}

static bool
is_inside(const char *host, const char *domain)
{
	size_t len = strlen(host), tail = strlen(domain);

	if (len == tail)
		return strcasecmp(host, domain) == 0;
	return len > tail && host[len - tail - 1] == '.' &&
	       strcasecmp(host + len - tail, domain) == 0;
}

/* DNS is not signed: whoever forges an answer must not lead us, and the
 * password, to a host of his own with a good certificate of its own. */
static int
hosts_check(
    struct locate_hosts *hosts, const struct controller *c, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < hosts->count; i++) {
		if (is_inside(hosts->list[i].name, c->domain))
			hosts->list[kept++] = hosts->list[i];
		else
			log_warn("a server outside of the domain is passed "
				 "over domain=%s host=%s",
			    c->domain, hosts->list[i].name);
	}
	if (kept == 0)
		return err_set(err, ERR_UNTRUSTED,
		    "DNS names only servers outside of %s, such as %s: if "
		    "that is right, say %s",
		    c->domain, hosts->list[0].name,
		    c->catalogue ? "global_catalog" : "uri");
	hosts->count = kept;
	return 0;
}

static int
found_open(const struct spoke_directory *d, const struct controller *c,
    const struct locate_hosts *hosts, struct session **out_session,
    struct err *err)
{
	const char *uris[CONTROLLER_FOUND_MAX] = {NULL};
	struct session_options options = {
	    .uris = uris, .tls = spoke_conf_tls(d, NULL)};
	struct buf uri;
	int rc;

	buf_init(&uri, CONTROLLER_TEXT_MAX);
	for (size_t i = 0; i < hosts->count && i < CONTROLLER_FOUND_MAX; i++) {
		buf_reset(&uri);
		locate_uri_add(
		    &hosts->list[i], options.tls == SESSION_TLS_LDAPS, &uri);
		uris[options.uri_count++] = mem_strdup(buf_cstr(&uri));
	}
	log_info("servers found by DNS domain=%s count=%zu first=%s", c->domain,
	    hosts->count, uris[0]);
	rc = session_try(d, c, &options, out_session, err);
	for (size_t i = 0; i < options.uri_count; i++)
		free((char *)uris[i]);
	buf_fini(&uri);
	return rc;
}

static int
controller_locate(const struct spoke_directory *d, const struct controller *c,
    struct session **out_session, struct err *err)
{
	struct locate_hosts *hosts;
	struct buf asked;
	int rc;

	if (c->domain == NULL || c->domain[0] == '\0')
		return err_set(err, ERR_CONFIG,
		    "no DNS name follows from it: say uri, or domain");
	hosts = mem_calloc(1, sizeof(*hosts));
	buf_init(&asked, CONTROLLER_TEXT_MAX);
	rc = hosts_find(d, c, hosts, &asked, err);
	if (rc == 0)
		rc = err_set(err, ERR_CONFIG,
		    "DNS has no SRV record %s: check domain and the name "
		    "servers in /etc/resolv.conf, or say %s",
		    buf_cstr(&asked), c->catalogue ? "global_catalog" : "uri");
	else if (rc == 1 && (rc = hosts_check(hosts, c, err)) == 0)
		rc = found_open(d, c, hosts, out_session, err);
	buf_fini(&asked);
	free(hosts);
	return rc;
}

int
controller_open(const struct spoke_directory *directory,
    const struct controller *controller, struct session **out_session,
    struct err *err)
{
	struct session_options options = {
	    .uris = controller->uris, .uri_count = controller->uri_count};
	struct err trouble = {0};
	int rc = -1;

	*out_session = NULL;
	if (controller->uri_count > 0) {
		options.tls =
		    directory->tls_auto ? SESSION_TLS_BY_URI : directory->tls;
		rc = session_try(
		    directory, controller, &options, out_session, &trouble);
		/* What one server refused, another would refuse as well. */
		if (rc == 0 || controller->domain == NULL ||
		    trouble.class != ERR_TEMPORARY)
			goto out;
		log_warn("asking DNS instead domain=%s error=\"%s\"",
		    controller->domain, trouble.message);
	}
	rc = controller_locate(directory, controller, out_session, &trouble);
out:
	if (rc == 0)
		return 0;
	if (err != NULL)
		*err = trouble;
	return err_prepend(err, "%s", controller->setting);
}
