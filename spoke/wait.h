/*
 * Waiting for the directory to change, so that an export follows within
 * seconds. One connection, one process; what changed is the export's matter.
 */
#ifndef SPOKE_WAIT_H
#define SPOKE_WAIT_H

#include "spoke/conf.h"

/* Until anything was written: 1; 0 when the time is over; -1. Changes from the
 * call on count. */
int wait_for_change(
    const struct spoke_conf *conf, int64_t timeout_ms, struct err *err) ERR_WUR;

#endif
