/*
 * Carriers move opaque messages between two spools: what lies in a peer's out
 * box here appears in the matching in box there. They never see keys of the
 * realm or plaintext. One interface, one file a transport; each runs in a
 * process of its own (the front).
 */
#ifndef COMMON_CARRIER_CARRIER_H
#define COMMON_CARRIER_CARRIER_H

#include "common/spool/spool.h"

/* Counted since the start; written to a status file by the front. */
struct carrier_counters {
	uint64_t messages_in, messages_out;
	uint64_t bytes_in, bytes_out; /* payload of frames, both ways */
	uint64_t refused;             /* connections or frames refused */
};

/* --- ZeroMQ, hub side: ROUTER with CURVE and ZAP (zmq_hub.c) --- */
struct carrier_zmq_hub_options {
	const char *endpoint;                       /* tcp://0.0.0.0:4710 */
	const uint8_t *curve_public, *curve_secret; /* 32 bytes each */
	/* "curve-key-hex peer-name" lines, rewritten by rename; re-read when it
	 * changes. A peer named join-* may only send and fetch its own join. */
	const char *members_path;
	struct spool *spool;
	const char *status_path; /* counters and connected peers, JSON */
};
/* Runs until SIGTERM. Proves first, with a random key, that strangers are
 * refused (ZAP fails open unless its domain is set and enforced): class
 * internal when they are not. ready_fd, when not -1, gets one byte when the
 * socket is bound and proven. */
int carrier_zmq_hub_run(const struct carrier_zmq_hub_options *options,
    int ready_fd, struct err *err) ERR_WUR;

/* --- ZeroMQ, spoke side: DEALER (zmq_spoke.c) --- */
struct carrier_zmq_spoke_options {
	const char *endpoint; /* tcp://hub.example:4710 */
	const uint8_t *hub_curve_public;
	const uint8_t *curve_public, *curve_secret;
	struct spool *spool;
	const char *peer; /* spool peer that stands for the hub */
	const char *status_path;
	/* once: return when the out box is empty and the hub has nothing more,
	 * or when deadline_ms (monotonic interval) has passed: class temporary
	 * naming the endpoint. Otherwise runs until SIGTERM. */
	bool once;
	int64_t deadline_ms;
	/* With once: wait until at least this many messages arrived. */
	unsigned expect_messages;
};
int carrier_zmq_spoke_run(const struct carrier_zmq_spoke_options *options,
    struct carrier_counters *out_counters, struct err *err) ERR_WUR;

#endif
