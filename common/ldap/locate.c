#include "common/ldap/locate.h"

#include <arpa/nameser.h>
#include <ldap.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/mem.h"

#define ANSWER_MAX 65536
#define SRV_FIXED 6 /* priority, weight, port */
#define RETRANSMIT_S 3
#define ATTEMPTS 2

#define PORT_LDAP 389
#define PORT_LDAPS 636
#define PORT_CATALOGUE 3268
#define PORT_CATALOGUE_TLS 3269

/* --- an answer --- */

/* What may stand in a URI as it is. */
static bool
name_is_host(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return len > 0 && name[len] == '\0' && name[0] != '.' && name[0] != '-';
}

static int
record_take(ns_msg *message, const ns_rr *rr, struct locate_hosts *hosts,
    struct err *err)
{
	struct locate_host *host = &hosts->list[hosts->count];
	const unsigned char *data = ns_rr_rdata(*rr);

	if (ns_rr_rdlen(*rr) <= SRV_FIXED ||
	    dn_expand(ns_msg_base(*message), ns_msg_end(*message),
		data + SRV_FIXED, host->name, sizeof(host->name)) < 0)
		return err_set(err, ERR_BAD_DATA, "a malformed SRV record");
	/* The root as the target: nobody offers it. */
	if (host->name[0] == '\0')
		return 0;
	if (!name_is_host(host->name))
		return err_set(err, ERR_BAD_DATA,
		    "an SRV record with the odd host name \"%s\"", host->name);
	host->priority = (uint16_t)ns_get16(data);
	host->weight = (uint16_t)ns_get16(data + 2);
	host->port = (uint16_t)ns_get16(data + 4);
	hosts->count++;
	return 0;
}

int
locate_parse(
    struct slice answer, struct locate_hosts *out_hosts, struct err *err)
{
	ns_msg message;
	ns_rr rr;

	out_hosts->count = 0;
	if (answer.len > ANSWER_MAX ||
	    ns_initparse(answer.data, (int)answer.len, &message) < 0)
		return err_set(err, ERR_BAD_DATA, "a malformed DNS answer");
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &rr) < 0)
			return err_set(
			    err, ERR_BAD_DATA, "a malformed DNS answer");
		if (ns_rr_type(rr) == ns_t_srv &&
		    out_hosts->count < LOCATE_HOSTS_MAX &&
		    record_take(&message, &rr, out_hosts, err) < 0)
			return -1;
	}
	return 0;
}

/* --- the order --- */

/* By priority, and a weight of 0 before the others; name servers turn the rest
 * round. */
static int
hosts_compare(const void *a, const void *b)
{
	const struct locate_host *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if ((x->weight != 0) != (y->weight != 0))
		return x->weight != 0 ? 1 : -1;
	return strcasecmp(x->name, y->name);
}

/* The host to be tried first among count of one priority. */
static size_t
host_draw(const struct locate_host *list, size_t count, locate_draw_fn *draw,
    void *arg)
{
	uint32_t sum = 0, running = 0, number;

	for (size_t i = 0; i < count; i++)
		sum += list[i].weight;
	number = draw(arg, sum);
	for (size_t i = 0; i < count; i++) {
		running += list[i].weight;
		if (running >= number)
			return i;
	}
	return count - 1;
}

void
locate_order(struct locate_hosts *hosts, locate_draw_fn *draw, void *arg)
{
	struct locate_host *list = hosts->list;

	qsort(list, hosts->count, sizeof(*list), hosts_compare);
	for (size_t i = 0; i < hosts->count; i++) {
		size_t same = 1, chosen;
		struct locate_host host;

		while (i + same < hosts->count &&
		       list[i + same].priority == list[i].priority)
			same++;
		chosen = i + host_draw(&list[i], same, draw, arg);
		host = list[chosen];
		/* The others keep their order: weight 0 stays in front. */
		memmove(&list[i + 1], &list[i], (chosen - i) * sizeof(*list));
		list[i] = host;
	}
}

/* Chance decides between machines, and on one always the same way: the feeds
 * and marks of one controller mean nothing on another, so that one that changed
 * with every run would have everything read each time. (FNV-1a, splitmix64.) */
static uint64_t
draw_seed(void)
{
	char name[LOCATE_NAME_SIZE] = "";
	uint64_t seed = UINT64_C(0xcbf29ce484222325);

	(void)gethostname(name, sizeof(name) - 1);
	for (const char *p = name; *p != '\0'; p++)
		seed = (seed ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return seed;
}

static uint32_t
draw_own(void *arg, uint32_t sum)
{
	uint64_t *state = arg, z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(((z ^ z >> 31) >> 32) * ((uint64_t)sum + 1) >> 32);
}

/* --- asking --- */

static int
query_failed(const char *service, int code, struct err *err)
{
	if (code == HOST_NOT_FOUND || code == NO_DATA)
		return 0;
	return err_set(err, ERR_TEMPORARY,
	    "DNS: %s: %s; check the name servers in /etc/resolv.conf", service,
	    hstrerror(code));
}

int
locate_service(
    const char *service, struct locate_hosts *out_hosts, struct err *err)
{
	struct __res_state state;
	uint64_t seed = draw_seed();
	unsigned char *answer;
	int len, rc = -1;

	out_hosts->count = 0;
	memset(&state, 0, sizeof(state));
	if (res_ninit(&state) != 0)
		return err_set(err, ERR_TEMPORARY,
		    "DNS: cannot use /etc/resolv.conf: check it");
	state.retrans = RETRANSMIT_S;
	state.retry = ATTEMPTS;
	answer = mem_alloc(ANSWER_MAX);
	len =
	    res_nquery(&state, service, ns_c_in, ns_t_srv, answer, ANSWER_MAX);
	if (len < 0)
		rc = query_failed(service, state.res_h_errno, err);
	else if (locate_parse(slice_make(answer,
				  len > ANSWER_MAX ? ANSWER_MAX : (size_t)len),
		     out_hosts, err) < 0)
		rc = err_prepend(err, "DNS: %s", service);
	else
		rc = out_hosts->count > 0;
	locate_order(out_hosts, draw_own, &seed);
	free(answer);
	res_nclose(&state);
	return rc;
}

/* --- URIs --- */

void
locate_uri_add(const struct locate_host *host, bool ldaps, struct buf *out)
{
	unsigned port = host->port;

	if (ldaps && port == PORT_LDAP)
		port = PORT_LDAPS;
	else if (ldaps && port == PORT_CATALOGUE)
		port = PORT_CATALOGUE_TLS;
	buf_addf(out, "%s://%s:%u", ldaps ? "ldaps" : "ldap", host->name, port);
}

int
locate_catalogue_uri(const char *uri, struct buf *out, struct err *err)
{
	LDAPURLDesc *url = NULL;
	bool ldaps;

	if (strncasecmp(uri, "ldapi:", 6) == 0 ||
	    ldap_url_parse(uri, &url) != LDAP_URL_SUCCESS)
		return err_set(err, ERR_CONFIG,
		    "%s: there is no global catalogue behind it: say "
		    "global_catalog",
		    uri);
	ldaps = strcasecmp(url->lud_scheme, "ldaps") == 0;
	buf_addf(out,
	    strchr(url->lud_host, ':') != NULL ? "%s://[%s]:%d" : "%s://%s:%d",
	    url->lud_scheme, url->lud_host,
	    ldaps ? PORT_CATALOGUE_TLS : PORT_CATALOGUE);
	ldap_free_urldesc(url);
	return 0;
}
