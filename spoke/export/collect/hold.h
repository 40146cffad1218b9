/*
 * What the guards of an export held (FEATURES E15), kept in its replica:
 *
 *   held ── release ── the same comes again: let through, forgotten
 *    │          └───── another comes: held anew, the release is void
 *    └───── something passes the guards: forgotten
 *
 * "The same" is the same guards, the same objects deleted, the same objects
 * unreadable, the same members lost by the same groups, the same objects
 * without the same attributes, and with `minimum` the same number of objects.
 */
#ifndef SPOKE_EXPORT_COLLECT_HOLD_H
#define SPOKE_EXPORT_COLLECT_HOLD_H

#include "common/replica/replica.h"
#include "common/wire/crypto.h"
#include "spoke/export/choose/idlist.h"

/* A set of them is an unsigned. */
enum hold_guard {
	HOLD_MINIMUM = 1,
	HOLD_ERRORS = 2,
	HOLD_DELETIONS = 4,
	HOLD_MEMBERS = 8, /* groups whose list cannot be believed */
	HOLD_CLEARED = 16,
	HOLD_THERE = 32 /* some who would be deleted may not be gone */
};

/* An attribute that objects would lose. */
struct hold_cleared {
	char *name;         /* owned */
	uint64_t lost;      /* objects that have it no more */
	uint64_t shrunk;    /* that have fewer values */
	uint64_t before;    /* that had it */
	uint64_t unwritten; /* lost it without being written, of some asked */
};

struct hold {
	unsigned guards;
	uint64_t exported; /* objects that there would be */
	uint64_t before;   /* that there are */
	uint64_t errors;   /* entries that cannot be read */
	uint64_t nameless; /* without an id among them: nobody knows which */
	struct idlist gone, failed; /* objects; sorted */
	/* Groups whose list cannot be believed, and whom it lost; sorted. */
	struct idlist unread;
	struct hold_cleared *cleared; /* by name */
	size_t cleared_count;
	/* Which objects lose what; to tell one such hold from another. */
	uint8_t cleared_digest[CRYPTO_HASH_LEN];
};

void hold_fini(struct hold *hold);
/* Adds one; the name is copied. */
void hold_cleared_add(struct hold *hold, const struct hold_cleared *cleared);

/* Keeps what is held now, instead of what was. Not inside an intake, which is
 * rolled back. */
int hold_keep(
    struct replica *replica, const struct hold *hold, struct err *err) ERR_WUR;
/* Did somebody release just this? 1, 0, -1. */
int hold_is_released(
    struct replica *replica, const struct hold *hold, struct err *err) ERR_WUR;
/* Nothing is held, nor released. */
int hold_forget(struct replica *replica, struct err *err) ERR_WUR;

/* What is held; 0 when nothing is. Of very many objects only the first
 * HOLD_IDS_MAX are told; *out_gone is how many there are. */
#define HOLD_IDS_MAX 100000
int hold_get(struct replica *replica, struct hold *out_hold, uint64_t *out_gone,
    struct err *err) ERR_WUR;
/* Lets what is held through once. Class config when nothing is held. */
int hold_release(struct replica *replica, struct err *err) ERR_WUR;

#endif
