/*
 * What both ends of the live link need of ZeroMQ: hardened socket options,
 * whole messages with a cap on their frames, monitor events, signals.
 */
#ifndef COMMON_CARRIER_ZMQ_SOCK_H
#define COMMON_CARRIER_ZMQ_SOCK_H

#include <signal.h>
#include <zmq.h>

#include "common/carrier/link.h"

/* Bytes of chunks under way on all links of a process. */
#define CARRIER_BUDGET_BYTES (64 * 1024 * 1024)
/* Messages queued for one peer: its credits both ways, the rest of the
 * protocol, and room because ZeroMQ learns of reads in halves. */
#define CARRIER_SOCK_HWM 40
#define CARRIER_SOCK_LINGER_MS 2000

/* A socket of that type with every limit set: frame size, handshake time,
 * heartbeats, queue lengths, bounded linger. ipv6 for literals in brackets
 * and names that have such addresses. NULL with class internal. */
void *carrier_sock_new(void *ctx, int type, bool ipv6, struct err *err);
int carrier_sock_set(void *sock, int option, const void *value, size_t len,
    struct err *err) ERR_WUR;
int carrier_sock_set_int(
    void *sock, int option, int value, struct err *err) ERR_WUR;

/* One received message. Frames beyond the cap are read and thrown away, and
 * excess is set: the peer is to be dropped. */
struct carrier_inbound {
	zmq_msg_t route; /* ROUTER only */
	zmq_msg_t parts[CARRIER_FRAMES_MAX];
	size_t count;
	bool routed, excess;
	uint64_t bytes; /* of all frames, without the route */
};
/* 1 message, 0 none waiting, -1 class internal. The caller frees a message
 * with carrier_inbound_fini. */
int carrier_inbound_recv(void *sock, bool router, struct carrier_inbound *in,
    struct err *err) ERR_WUR;
void carrier_inbound_fini(struct carrier_inbound *in);
/* Decodes the frames; class bad data, also for too many. */
int carrier_inbound_decode(struct carrier_inbound *in,
    struct carrier_message *out_message, struct err *err) ERR_WUR;

/* Sends all frames, behind a route when it is not empty. Adds to *bytes. */
enum carrier_sent carrier_sock_send(void *sock, struct slice route,
    const struct carrier_frames *frames, uint64_t *bytes);

/* Attaches a PAIR that yields the events of handshakes and connections. name
 * must be unused in the context. */
void *carrier_monitor_new(
    void *ctx, void *sock, const char *name, struct err *err);
/* 1 with the next event, 0 none. */
int carrier_monitor_next(
    void *monitor, uint16_t *out_event, uint32_t *out_value);

/* SIGTERM and SIGINT as a descriptor; the former mask comes back on close. */
struct carrier_signals {
	int fd;
	int caught; /* signal number, 0 none */
	sigset_t old;
};
int carrier_signals_open(
    struct carrier_signals *signals, struct err *err) ERR_WUR;
void carrier_signals_read(struct carrier_signals *signals);
void carrier_signals_close(struct carrier_signals *signals);

/* One line in ten seconds: counts what it held back. */
struct carrier_limiter {
	int64_t next;
	unsigned held;
};
bool carrier_limiter_pass(
    struct carrier_limiter *limiter, int64_t now, unsigned *out_held);

/* Replaces a status file; it need not survive a power cut. Failures are
 * ignored: a status that is old says so itself. */
void carrier_status_write(const char *path, const struct buf *json);
/* "counters":{...} for a status file. */
void carrier_status_counters(
    struct buf *json, const struct carrier_counters *counters);

#endif
