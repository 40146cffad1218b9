/* A set of object ids, each with a byte to remember something by. 17 bytes an
 * id, twice that at worst. */
#ifndef SPOKE_EXPORT_IDSET_H
#define SPOKE_EXPORT_IDSET_H

#include "common/base/id.h"

struct idset;

struct idset *idset_new(void);
/* NULL is legal. */
void idset_free(struct idset *set);
/* The id's byte; a new one is taken in with 0. Valid until the next call. */
uint8_t *idset_put(struct idset *set, const struct id *id);
/* NULL when it is not in the set. */
const uint8_t *idset_find(const struct idset *set, const struct id *id);
/* Goes through the set: start with *at 0. The next id's byte, *out_id; NULL at
 * the end. */
uint8_t *idset_next(struct idset *set, size_t *at, struct id *out_id);
size_t idset_count(const struct idset *set);

#endif
