/*
 * What this target believes of the other members whatever the hub says next:
 * their signing keys and mail domains as first seen, and every revocation for
 * ever. A key that no pinned key endorses, or a domain that moves between
 * members, holds that member until an operator releases it; its contacts stay
 * as they are meanwhile. PROTOCOL.md "Pinning", DESIGN 7.
 */
#ifndef SPOKE_PINS_H
#define SPOKE_PINS_H

#include "common/wire/registry.h"
#include "spoke/store.h"

#define PINS_REASON_MAX 256

/* Compares a registry that verified with the pins, inside the caller's
 * transaction: pins what is new, endorsed and free, holds what is not.
 * out_held counts members that were not held before. */
int pins_check(struct spoke_store *store, const struct registry *registry,
    int64_t now_ms, unsigned *out_held, struct err *err) ERR_WUR;

/* May streams of this member be taken in and planned? 1 yes, 0 no with the
 * reason in out_reason (PINS_REASON_MAX bytes): held, revoked and not yet
 * accepted by the operator, or gone from the registry. */
int pins_good(struct spoke_store *store, const struct registry *registry,
    const char *member, char *out_reason, struct err *err) ERR_WUR;
/* The same for one stream: also no when the hub alone says that it ended. */
int pins_stream_good(struct spoke_store *store, const struct registry *registry,
    const char *member, const char *stream, char *out_reason,
    struct err *err) ERR_WUR;

/* The operator believes what the registry says of this member now: pins become
 * that, holds, revocations and ends are accepted. Class config when the
 * registry does not know the member. */
int pins_release(struct spoke_store *store, const struct registry *registry,
    const char *member, struct err *err) ERR_WUR;

#endif
