/*
 * A set of object ids, each with a number to remember something by, in memory
 * that does not grow with it: about one MiB at most.
 *
 *	up to IDSET_MEMORY ids  a hash table
 *	more                    the table, whenever it is full, goes into a
 *	                        temporary database, in the order of ids; a Bloom
 *	                        filter knows most ids that are not there
 *
 * A set of which any call failed is good for idset_free() only.
 */
#ifndef SPOKE_EXPORT_CHOOSE_IDSET_H
#define SPOKE_EXPORT_CHOOSE_IDSET_H

#include "common/base/id.h"

#define IDSET_MEMORY 8192

struct idset;

struct idset *idset_new(void);
/* NULL is legal. */
void idset_free(struct idset *set);
/* Takes the id in, or gives it another number, below 2^63. Class io: disk full,
 * or the database cannot be written. */
int idset_put(struct idset *set, const struct id *id, uint64_t value,
    struct err *err) ERR_WUR;
/* 1: its number; 0: it is not in the set, *out_value is 0; -1. */
int idset_get(struct idset *set, const struct id *id, uint64_t *out_value,
    struct err *err) ERR_WUR;
uint64_t idset_count(const struct idset *set);

/* Returns 0 to go on, 1 to stop, -1 with err. */
typedef int idset_fn(
    void *arg, const struct id *id, uint64_t value, struct err *err);
/* Calls fn for every id in order, and returns what it says when that is not 0.
 * What fn puts into the set meanwhile may come or not, with the number of
 * before or after. */
int idset_each(
    struct idset *set, idset_fn *fn, void *arg, struct err *err) ERR_WUR;

#endif
