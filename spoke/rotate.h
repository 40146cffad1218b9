/*
 * Rotation of this spoke's keys without a gap: new keys are made and endorsed
 * by the old signing key, announced to the hub with the next acknowledgement,
 * and used once the registry lists them. PROTOCOL.md "Rotation".
 */
#ifndef SPOKE_ROTATE_H
#define SPOKE_ROTATE_H

#include "common/wire/limits.h"
#include "spoke/spoke.h"

#define ROTATE_KEYS_MAX LIMIT_MEMBER_KEYS

struct rotate_keys {
	Galr__PublicKey keys[ROTATE_KEYS_MAX];
	Galr__PublicKey *list[ROTATE_KEYS_MAX];
	size_t count; /* 0: the registry lists exactly these */
};

/* What the hub must be told of our keys; borrows from the spoke. */
void rotate_announce(const struct spoke *spoke, struct rotate_keys *out_keys);
/* Makes the next signing key active when the registry lists it. */
int rotate_follow(struct spoke *spoke, struct err *err) ERR_WUR;
/* `galspoke keys --rotate`: begins. Prints, gives the exit code. */
int rotate_run(const struct spoke_conf *conf);

#endif
