/* Moving messages for a one-shot command: by a front of its own, or by the one
 * that runs under `galspoke serve`. */
#ifndef SPOKE_EXCHANGE_H
#define SPOKE_EXCHANGE_H

#include "spoke/import/fetch.h"
#include "spoke/front.h"

struct exchange {
	struct spoke *spoke;
	bool no_front;
	struct carrier_counters counters; /* sum over all rounds */
	struct fetch_result fetch;        /* sum over all rounds */
};

/* Delivers the out box, takes what the hub has (waiting for at least expect
 * messages, at most wait_ms), takes it in, and delivers the acknowledgement.
 * Class temporary when the hub is out of reach. */
int exchange_round(struct exchange *exchange, unsigned expect, int64_t wait_ms,
    struct err *err) ERR_WUR;

#endif
