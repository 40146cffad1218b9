/*
 * Taking in what the hub sends: inbox -> open -> registry and pins -> each
 * stream on its own -> acknowledgement. One bad stream never blocks the others;
 * after any failure the last good state stays. PROTOCOL.md "Receiving".
 *
 * Order: replicas, then one store transaction (registry, pins, holdings, seen
 * sequence), then the message leaves the inbox. Dying in between repeats it.
 */
#ifndef SPOKE_IMPORT_FETCH_H
#define SPOKE_IMPORT_FETCH_H

#include "common/replica/replica.h"
#include "spoke/spoke.h"

struct fetch_result {
	unsigned messages;  /* taken in */
	unsigned refused;   /* whole messages */
	unsigned changed;   /* streams with new content */
	unsigned refreshed; /* streams with a newer manifest alone */
	unsigned streams_refused;
	unsigned members_held; /* newly */
	bool acknowledged;     /* an acknowledgement lies in the out box now */
	struct replica_changes changes; /* objects, over all streams */
	char text[ERR_MESSAGE_MAX];     /* the first refusal */
};

/* Drains the inbox and acknowledges when something changed. -1 only for local
 * trouble (disk, lock): foreign trouble is counted in the result. */
int fetch_run(struct spoke *spoke, struct fetch_result *out_result,
    struct err *err) ERR_WUR;

/* Puts an acknowledgement into the out box when holdings, wants, registry or
 * instance differ from the last one, or one is owed. *out_answer: the hub may
 * have something to say to it, because we want something else than before, or
 * because this state may have been restored from a backup. */
int fetch_acknowledge(struct spoke *spoke, bool *out_sent, bool *out_answer,
    struct err *err) ERR_WUR;

/* How many contacts an import policy wrote, and how many it left out, for the
 * next acknowledgement; another number makes one due. */
int fetch_written_keep(struct spoke_store *store, const char *policy,
    uint64_t applied, uint64_t refused, struct err *err) ERR_WUR;

/* Does any enabled import policy ask for this tag? */
bool fetch_wanted(const struct spoke_conf *conf, const char *tag);

#endif
