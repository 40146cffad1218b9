/*
 * The front: the process between network and spool. It holds the CURVE key and
 * nothing else of ours: neither the realm's private keys nor the database. One
 * runs under `galspoke serve` for good; a one-shot command forks one for as
 * long as it needs, unless that one runs (STATE/front.lock).
 */
#ifndef SPOKE_FRONT_H
#define SPOKE_FRONT_H

#include "common/carrier/carrier.h"
#include "spoke/identity.h"

/* In a process of its own, until SIGTERM. */
int front_serve(const struct spoke_conf *conf, struct err *err) ERR_WUR;

struct front_options {
	const struct spoke_conf *conf;
	const char *endpoint;
	const uint8_t *hub_curve;
	/* NULL: the spoke's own from STATE/keys. */
	const struct key_pair *curve;
	const char *spool_root;
	bool beside; /* may run beside another front: its spool is its own */
	unsigned expect_messages; /* wait until that many came */
	int64_t deadline_ms;
};

/* err->code when another front works on the spool already. */
#define FRONT_BUSY 1

/* Delivers the out box and takes what the hub has, in a forked process. Class
 * temporary when the hub does not answer in time, or another front is at work
 * (FRONT_BUSY); counters hold what was moved nevertheless. */
int front_once(const struct front_options *options,
    struct carrier_counters *out_counters, struct err *err) ERR_WUR;

/* Does a front run already? Then messages move by themselves. */
bool front_running(const struct spoke_conf *conf);

#define FRONT_TROUBLE_SIZE 128
/* Is the front that runs connected to the hub? If not, trouble says why, as far
 * as STATE/front.json has it. */
bool front_connected(
    const struct spoke_conf *conf, char trouble[FRONT_TROUBLE_SIZE]);

#endif
