/*
 * What objects of a stream would lose: attributes that the version before had
 * and the one that is being made has not, or with fewer values, although the
 * object is still there. Nobody's telephone numbers go by themselves: when many
 * do at once, or when nobody wrote to the entries, the account that reads may
 * have lost the right to see them. collect_cleared.c judges. FEATURES E15.
 */
#ifndef SPOKE_EXPORT_COLLECT_CLEARED_H
#define SPOKE_EXPORT_COLLECT_CLEARED_H

#include "common/base/id.h"
#include "common/base/slice.h"
#include "common/base/err.h"
#include "common/wire/crypto.h"

/* The manager is none of an object's attributes, but counts as one. */
#define CLEARED_MANAGER "manager"
/* Nor is that a group keeps its members to itself: what it loses then is what
 * hides them. */
#define CLEARED_HIDING "hideDLMembership"
#define CLEARED_SAMPLES 32

/* One that lost something. */
struct cleared_sample {
	struct id id;
	struct id manager; /* whom it had, of CLEARED_MANAGER */
};

struct cleared_row {
	const char *name; /* canonical */
	uint64_t lost;    /* objects that had it and have it no more */
	uint64_t shrunk;  /* that have fewer of its values */
	/* Some of both, evenly chosen. */
	struct cleared_sample samples[CLEARED_SAMPLES];
	size_t sample_count;
	/* Which objects they all are, in whatever order they came. */
	uint8_t digest[CRYPTO_HASH_LEN];
	/* For the judge: objects that had it, and of the samples those that
	 * nobody wrote to. */
	uint64_t before, unwritten;
	bool held;
};

struct cleared;

struct cleared *cleared_new(void);
void cleared_free(struct cleared *cleared);
/* Two bodies of an object. Class bad data when one is none. */
int cleared_take(struct cleared *cleared, const struct id *id,
    struct slice before, struct slice now, struct err *err) ERR_WUR;
/* By name. */
size_t cleared_count(const struct cleared *cleared);
struct cleared_row *cleared_row(struct cleared *cleared, size_t index);
/* Adds 1 to before of each row whose attribute that body has. */
int cleared_count_before(
    struct cleared *cleared, struct slice body, struct err *err) ERR_WUR;

/* Does a body have that attribute? 1, 0, -1. */
struct object;
bool cleared_has(const struct object *object, const char *name);

#endif
