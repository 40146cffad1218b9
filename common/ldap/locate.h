/*
 * Finding directory servers by DNS: SRV records (RFC 2782), as domain
 * controllers register them (MS-ADTS 6.3.2.3). The system's resolver is asked,
 * so /etc/resolv.conf says which name servers those are. Answers come from the
 * network and are checked before they become part of a URI; who the server
 * really is, its certificate has to tell.
 */
#ifndef COMMON_LDAP_LOCATE_H
#define COMMON_LDAP_LOCATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define LOCATE_HOSTS_MAX 64 /* of one answer; more are passed over */
#define LOCATE_NAME_SIZE 256

struct locate_host {
	char name[LOCATE_NAME_SIZE]; /* without the last dot */
	uint16_t priority, weight, port;
};

struct locate_hosts {
	struct locate_host list[LOCATE_HOSTS_MAX];
	size_t count;
};

/* Asks for the SRV records of a service such as _ldap._tcp.north.example, and
 * puts the hosts into the order in which they are to be tried, always the same
 * on one machine. 1 there are some; 0 there is no such record, or it says that
 * nobody offers the service; -1 no name server answered (temporary), or
 * nonsense (bad data). Blocks as long as the resolver does. */
int locate_service(const char *service, struct locate_hosts *out_hosts,
    struct err *err) ERR_WUR;

/* The SRV records of a DNS answer as it came, in its order. Class bad data. */
int locate_parse(struct slice answer, struct locate_hosts *out_hosts,
    struct err *err) ERR_WUR;
/* Lowest priority first; among equals by weight and chance (RFC 2782, "the
 * weights"). draw(arg, sum) gives a number from 0 to sum. */
typedef uint32_t locate_draw_fn(void *arg, uint32_t sum);
void locate_order(struct locate_hosts *hosts, locate_draw_fn *draw, void *arg);

/* Appends the URI of a host. SRV records name the plain port: with ldaps 389
 * and 3268 become 636 and 3269. */
void locate_uri_add(
    const struct locate_host *host, bool ldaps, struct buf *out);
/* Appends the URI of the global catalogue on the same host. Class config when
 * it has none: a socket. */
int locate_catalogue_uri(
    const char *uri, struct buf *out, struct err *err) ERR_WUR;

#endif
