/* Enrolment: an invitation makes this spoke a member. PROTOCOL.md "Enrolment",
 * DESIGN 7. */
#ifndef SPOKE_JOIN_H
#define SPOKE_JOIN_H

#include "common/wire/invitation.h"
#include "spoke/identity.h"

struct join_result {
	char member[64];
	char realm_name[256];
	struct id realm;
	char hub_fingerprint[KEYS_FINGERPRINT_SIZE];
	char own_fingerprint[KEYS_FINGERPRINT_SIZE];
};

/* Makes keys if there are none, asks the hub, keeps its registry (pinned at
 * first sight) and completes the identity. A repetition with the same keys
 * succeeds; with others the hub refuses and alarms. wait_ms bounds the hub's
 * answer. The fingerprints are filled before anything is sent. */
int join_run(const struct spoke_conf *conf, const char *invitation,
    int64_t wait_ms, struct join_result *out_result, struct err *err) ERR_WUR;

/* Fingerprint of this spoke's active keys; text of KEYS_FINGERPRINT_SIZE. */
char *join_fingerprint(const struct keys *keys, char *text);

#endif
