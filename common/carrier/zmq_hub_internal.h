/* Shared by zmq_hub.c and zmq_hub_peer.c, and for the test of the proof. */
#ifndef COMMON_CARRIER_ZMQ_HUB_INTERNAL_H
#define COMMON_CARRIER_ZMQ_HUB_INTERNAL_H

#include "common/carrier/members.h"
#include "common/carrier/zmq_sock.h"

/* A member's table is looked at this often; at once when a client connects. */
#define HUB_MEMBERS_MS 200
/* A peer that broke the protocol is kept out for this long. */
#define HUB_BAN_MS (10 * 1000)
#define HUB_ROUTE_MAX 255

struct hub;

/* A member or newcomer, connected or not. */
struct hub_peer {
	struct hub *hub;
	char name[SPOOL_NAME_SIZE];
	struct carrier_link *link;
	/* The connection that greeted last; its key can be revoked. */
	uint8_t route[HUB_ROUTE_MAX];
	size_t route_len;
	uint8_t key[CARRIER_CURVE_LEN];
	int fd; /* of that connection, inside ZeroMQ; -1 unknown */
	int64_t last_seen, last_seen_wall; /* monotonic, Unix ms; 0 never */
	int64_t due, banned_until;
	int64_t probe_at; /* its descriptor was closed: look; 0 no */
	struct carrier_counters counters; /* bytes and refusals */
};

struct hub {
	const struct carrier_zmq_hub_options *options;
	void *ctx, *zap, *router, *monitor;
	struct carrier_signals signals;
	int watch;
	struct carrier_members members;
	struct hub_peer **peers; /* sorted by name */
	size_t peer_count;
	struct carrier_budget budget;
	uint64_t refused; /* handshakes and strangers' frames */
	struct carrier_limiter log_refused;
	bool dirty;
	int64_t started_wall, status_at;
};

/* ROUTER with CURVE and every limit; neither guarded by ZAP nor bound. */
void *hub_router_new(
    void *ctx, const struct carrier_zmq_hub_options *options, struct err *err);
/* Verdict for ZAP; arg is the hub. */
enum carrier_verdict hub_verdict(
    void *arg, const uint8_t key[CARRIER_CURVE_LEN]);

/* Makes the peers those of the table: new ones get boxes and a watch, removed
 * and revoked ones lose their connection at once. */
void hub_peers_refresh(struct hub *hub, int64_t max_age_ms);
struct hub_peer *hub_peer_find(struct hub *hub, const char *name);
/* A message from the network, whoever sent it. */
void hub_peer_input(struct hub *hub, struct carrier_inbound *in, int64_t now);
/* Cuts the connection and forgets it. */
void hub_peer_cut(struct hub_peer *peer);
void hub_peers_fini(struct hub *hub);

#endif
