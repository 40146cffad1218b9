/*
 * Where the CPU time of one export goes. Off unless asked for, and then each
 * switch costs the branch of one test. One clock a process, since a process
 * runs one policy at a time.
 */
#ifndef SPOKE_EXPORT_STAGES_H
#define SPOKE_EXPORT_STAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

enum stage {
	STAGE_REST,    /* start, feeds, waiting for the hub */
	STAGE_RECEIVE, /* TLS and LDAP up to the entry */
	STAGE_READ,    /* the entry as an object */
	STAGE_SHAPE,   /* the policy */
	STAGE_ENCODE,
	STAGE_STORE,   /* object hashes, replica, root */
	STAGE_SECTION, /* read, compress, encrypt */
	STAGE_SEAL,    /* manifest, envelope, out box */
	STAGE_COUNT
};

extern bool stages_on;

/* Starts the clock, in STAGE_REST; the process's time so far is part of it. */
void stages_start(void);
enum stage stages_change(enum stage stage);

/* From here on time counts for stage; returns the one before, to go back. */
static inline enum stage
stages_enter(enum stage stage)
{
	return stages_on ? stages_change(stage) : STAGE_REST;
}

/* What was measured, less the cost of measuring: "CPU 10.5 us an entry:
 * receive 4.1, ..." (of no entries: in ms, of all), and
 * ,"cpu_us":{"rest":0,...}. Adds nothing when the clock is off. */
void stages_format(uint64_t entries, struct buf *text, struct buf *json);

#endif
