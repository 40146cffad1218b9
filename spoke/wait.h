/*
 * Waiting for the directory to change, so that an export follows within
 * seconds. One connection, one process; what changed is the export's matter.
 */
#ifndef SPOKE_WAIT_H
#define SPOKE_WAIT_H

#include "spoke/conf.h"

struct wait_options {
	int64_t timeout_ms;
	/* Called once: what is written from then on counts. */
	void (*listening)(void *arg);
	void *arg;
};

/* Until anything was written where an export with `settle` reads: 1; 0 when the
 * time is over; -1. */
int wait_for_change(const struct spoke_conf *conf,
    const struct wait_options *options, struct err *err) ERR_WUR;

#endif
