/*
 * Addresses that move from one contact of ours to another. The change that
 * takes one waits for the change that gives it up (importdb.h: need), so that
 * no two contacts ever have it:
 *
 *	A gives a up, B takes it        A is written, then B
 *	A is deleted, B takes a         A is deleted, then B is written
 *	A and B swap, rings of any size park one, then the others, then that one
 *
 * Parked means without the one address that another of the ring waits for.
 * When a change is refused, whoever waits for it stays as it is; when one of a
 * ring is, those that were written get their former addresses back, the last
 * first. After a crash in between the next plan sees that some have what they
 * should have and one has nothing, and goes on: no ring is left then.
 */
#ifndef SPOKE_IMPORT_MOVES_H
#define SPOKE_IMPORT_MOVES_H

#include "common/ldap/writer.h"
#include "common/wire/object.h"
#include "spoke/import/import.h"
#include "spoke/import/importdb.h"

/* After the guards: changes whose holder has no change in the plan leave it,
 * and so does what waits for them. They count as "exists". */
int moves_settle(struct importdb *db, struct import_result *out_result,
    struct err *err) ERR_WUR;

/* The same for what waits for a change that was refused, and left the plan. */
int moves_strand(struct importdb *db, uint64_t seq,
    struct import_result *out_result, struct err *err) ERR_WUR;

/* Changes of the plan: each waits for the next one, the last for the first,
 * whose contact holds the address. */
struct moves_ring {
	uint64_t *seqs;
	size_t count; /* two or more */
};

/* When nothing can be written any more that waits for nothing: a ring among
 * what waits. 1, 0: nothing waits, -1. moves_ring_fini() in any case. */
int moves_ring_find(
    struct importdb *db, struct moves_ring *out_ring, struct err *err) ERR_WUR;
void moves_ring_fini(struct moves_ring *ring);
/* The second becomes the first. */
void moves_ring_turn(struct moves_ring *ring);

/* The attributes of a stored contact without the address; *out_bare: nothing
 * is left in one of them, it was the primary one. -1 is class limit. */
int moves_park(const struct object *stored, struct slice address,
    struct arena *arena, struct writer_attribute **out_attributes,
    size_t *out_count, bool *out_bare, struct err *err) ERR_WUR;

/* The stored addresses again, after a change that wrote these attributes. */
int moves_restore(const struct object *stored, const struct object *written,
    struct arena *arena, struct writer_attribute **out_attributes,
    size_t *out_count, struct err *err) ERR_WUR;

#endif
