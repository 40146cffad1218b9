/*
 * One peer's link: the state machine between its boxes and its connection. It
 * knows no ZeroMQ: messages go in, messages come out through a callback, time
 * is handed in. The hub has one link a peer, the spoke one.
 *
 *          connected (spoke)            HELLO echoed
 *   DOWN ───────────────────► GREETING ─────────────► UP
 *    │        HELLO arrives (hub)                     ▲│
 *    └────────────────────────────────────────────────┘│
 *    ◄──────────────── disconnected ───────────────────┘
 *
 * In UP, sending and receiving run side by side:
 *   sending    none → offered → (chunks as asked for) → DONE: dropped here
 *                             → REFUSE: kept, offered again after a back-off
 *   receiving  none → OFFER → asking → verified, durable → DONE
 *                             → no room, no disk, wrong hash → REFUSE
 * Whatever arrived stays in tmp/ and is continued after a reconnect.
 */
#ifndef COMMON_CARRIER_LINK_H
#define COMMON_CARRIER_LINK_H

#include "common/carrier/carrier.h"
#include "common/carrier/frames.h"

struct carrier_link;

/* Bytes of chunks under way on all links of a process. One link may always
 * have one chunk under way, so that none starves. */
struct carrier_budget {
	uint64_t used, max;
};

/* In order of weight. */
enum carrier_sent { CARRIER_SENT, CARRIER_SENT_LATER, CARRIER_SENT_GONE };

struct carrier_link_options {
	struct spool *spool;
	const char *peer; /* borrowed */
	bool hub;         /* this side answers HELLO */
	bool newcomer;    /* may send one small message without blobs */
	struct carrier_budget *budget;
	enum carrier_sent (*send)(
	    void *arg, const struct carrier_frames *frames);
	void *arg;
};

struct carrier_link *carrier_link_new(
    const struct carrier_link_options *options);
void carrier_link_free(struct carrier_link *link);

/* Spoke: the transport is there, say HELLO with this epoch (not 0). */
void carrier_link_connected(struct carrier_link *link, uint32_t epoch);
/* The transport is gone. */
void carrier_link_disconnected(struct carrier_link *link);
/* A decoded message. Class bad data: the peer broke the protocol and should
 * be dropped. */
int carrier_link_input(struct carrier_link *link,
    const struct carrier_message *message, int64_t now,
    struct err *err) ERR_WUR;
/* Has the peer gone? Says IDLE again when there is nothing else to say, so
 * that the transport finds out. */
void carrier_link_probe(struct carrier_link *link);
/* Something changed in the out box. */
void carrier_link_changed(struct carrier_link *link);
/* Sends what is due. Returns when to call again at the latest (monotonic). */
int64_t carrier_link_pump(struct carrier_link *link, int64_t now);

bool carrier_link_up(const struct carrier_link *link);
/* Asked for chunks, and nothing came for too long: reconnect. */
bool carrier_link_stalled(const struct carrier_link *link, int64_t now);
/* Nothing to send, nothing arriving, and the peer said that it has nothing. */
bool carrier_link_settled(const struct carrier_link *link);
/* Why the peer refused our oldest waiting message; NULL when it did not. */
const char *carrier_link_refusal(const struct carrier_link *link);
/* Messages only; bytes are counted by the transport. */
const struct carrier_counters *carrier_link_counters(
    const struct carrier_link *link);

#endif
