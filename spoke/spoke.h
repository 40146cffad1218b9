/*
 * What every command of a joined spoke works with: configuration, identity,
 * keys, store, registry, spool. Opened by the process that uses it, never
 * before a fork.
 */
#ifndef SPOKE_SPOKE_H
#define SPOKE_SPOKE_H

#include "common/spool/spool.h"
#include "spoke/identity.h"
#include "spoke/store.h"

/* The spool peer that stands for the hub. */
#define SPOKE_PEER "hub"

struct spoke {
	const struct spoke_conf *conf;
	struct identity identity;
	struct keys keys;
	struct spoke_store *store;
	struct registry *registry; /* NULL before the first */
	struct spool *spool;
};

/* Opens all of it; class config when the spoke has not joined. On failure
 * nothing stays open. */
int spoke_open(const struct spoke_conf *conf, struct spoke *out_spoke,
    struct err *err) ERR_WUR;
/* Closes and cleanses. Legal on a zeroed struct. */
void spoke_close(struct spoke *spoke);

/* Takes STATE/NAME.lock, waiting at most wait_ms. Returns the descriptor that
 * unlocks when closed; -1 with class temporary. */
int spoke_lock(const struct spoke_conf *conf, const char *name, int64_t wait_ms,
    struct err *err) ERR_WUR;

/* The hub as a recipient of envelopes: its decryption key from the registry, or
 * from the invitation before there is one. */
void spoke_hub_recipient(
    const struct spoke *spoke, struct envelope_recipient *out_recipient);

/* Is a message of that name still in the out box? 1, 0, -1. */
int spoke_out_has(
    struct spoke *spoke, const char *name, struct err *err) ERR_WUR;
/* Drops messages in the out box whose names start with prefix, except one. */
int spoke_out_clear(struct spoke *spoke, const char *prefix, const char *keep,
    struct err *err) ERR_WUR;

/* A blank for each control character: what others wrote must not steer the
 * terminal of who reads it. */
void spoke_text_clean(char *text);
/* snprintf() that may cut, and cleans: for texts that people read. */
void spoke_text(char *out, size_t size, const char *format, ...)
    ERR_PRINTF(3, 4);

#endif
