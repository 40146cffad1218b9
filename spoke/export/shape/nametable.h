/* Attribute names to small numbers. Directories compare names without case, and
 * every attribute of every entry is looked up: hence a hash. */
#ifndef SPOKE_EXPORT_SHAPE_NAMETABLE_H
#define SPOKE_EXPORT_SHAPE_NAMETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nametable_slot {
	const char *name; /* borrowed; NULL: free */
	unsigned value;
};

/* All zero is an empty table. */
struct nametable {
	struct nametable_slot *slots;
	size_t size; /* a power of two */
	size_t count;
};

void nametable_fini(struct nametable *table);
/* Adds or replaces. The name is borrowed; value is not 0. */
void nametable_put(struct nametable *table, const char *name, unsigned value);
/* 0 when it is not there. */
unsigned nametable_get(const struct nametable *table, const char *name);

/* Is that the name, or does it begin as a pattern with * at its end says? */
bool nametable_matches(const char *pattern, const char *name);

#endif
