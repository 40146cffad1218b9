/* Shared by fetch.c (messages), fetch_stream.c (tuples) and fetch_ack.c. */
#ifndef SPOKE_IMPORT_FETCH_INTERNAL_H
#define SPOKE_IMPORT_FETCH_INTERNAL_H

#include "spoke/import/fetch.h"

/* Notes in the store. */
#define FETCH_NOTE_ACK_DUE "ack-due" /* a duplicate came: say it again */
#define FETCH_NOTE_HUB_REGISTRY "hub-registry-version"

struct fetcher {
	struct spoke *spoke;
	struct fetch_result *result;
	struct arena *arena; /* reset for each tuple */
	int64_t now;
};

/* Takes in tuple number index of a bundle, on its own: foreign trouble becomes
 * the stream's refusal, -1 is local trouble. */
int fetch_tuple(struct fetcher *f, const struct envelope *envelope,
    const Galr__Payload *payload, size_t index, struct err *err) ERR_WUR;

#endif
