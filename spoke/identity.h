/*
 * Who this spoke is: STATE/identity, written by init (instance and machine) and
 * completed by join (realm, member, hub). Bound to the machine: a copy of the
 * state on another machine refuses to start, because two spokes under one name
 * would publish against each other. DESIGN 6, 7.
 */
#ifndef SPOKE_IDENTITY_H
#define SPOKE_IDENTITY_H

#include "common/base/id.h"
#include "common/wire/keys.h"
#include "spoke/conf.h"

#define IDENTITY_MACHINE_MAX 128

struct identity {
	bool joined;
	char machine[IDENTITY_MACHINE_MAX + 1]; /* text of machine-id */
	struct id instance; /* random, of this installation */
	/* The rest only when joined. */
	struct id realm;
	char member[64];
	char address[256]; /* tcp://hub.example:4710 */
	uint8_t hub_sign[32], hub_decrypt[32], hub_curve[32];
	int64_t joined_at;
};

/* Makes keys and identity where there are none. Class config when they exist
 * already. */
int identity_create(const struct spoke_conf *conf, struct err *err) ERR_WUR;
/* Class config, with the cure: not initialised, made on another machine. */
int identity_load(const struct spoke_conf *conf, struct identity *out_identity,
    struct err *err) ERR_WUR;
/* As identity_load(), and class config when the spoke has not joined or the
 * configuration names another member. */
int identity_require(const struct spoke_conf *conf,
    struct identity *out_identity, struct err *err) ERR_WUR;
/* Replaces the file durably. */
int identity_save(const struct spoke_conf *conf,
    const struct identity *identity, struct err *err) ERR_WUR;
/* Binds an existing state to this machine under a new instance: for a restore
 * onto new hardware, when the old machine is gone. */
int identity_rebind(const struct spoke_conf *conf, struct err *err) ERR_WUR;

#endif
