#include "spoke/export/shape/nametable.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/slice.h"

#define NAMETABLE_SIZE_MIN 64

/* Length and a few letters without their case tell names apart; hashing all of
 * them costs more than the one comparison that follows. */
static size_t
name_hash(const char *name)
{
	size_t len = strlen(name);
	uint32_t a, b, c;

	if (len == 0)
		return 0;
	a = (uint8_t)name[0] | 0x20U;
	b = (uint8_t)name[len / 2] | 0x20U;
	c = (uint8_t)name[len - 1] | 0x20U;
	if (len > 1)
		b += ((uint8_t)name[len - 2] | 0x20U) * 31U;
	return (a + b * 131U + c * 2654435761U + len * 40503U) * 2246822519U >>
	       16;
}

/* Where the name is, or the free slot where it belongs. */
static struct nametable_slot *
slot_find(const struct nametable *table, const char *name)
{
	size_t at = name_hash(name) & (table->size - 1);

	while (table->slots[at].name != NULL &&
	       !slice_name_equal(table->slots[at].name, name))
		at = (at + 1) & (table->size - 1);
	return &table->slots[at];
}

static void
table_grow(struct nametable *table)
{
	struct nametable old = *table;

	table->size = old.size == 0 ? NAMETABLE_SIZE_MIN : old.size * 2;
	table->slots = mem_calloc(table->size, sizeof(*table->slots));
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i].name != NULL)
			*slot_find(table, old.slots[i].name) = old.slots[i];
	free(old.slots);
}

void
nametable_fini(struct nametable *table)
{
	free(table->slots);
	*table = (struct nametable){0};
}

void
nametable_put(struct nametable *table, const char *name, unsigned value)
{
	struct nametable_slot *slot;

	/* At most half full, so that searches are short and end. */
	if (2 * (table->count + 1) > table->size)
		table_grow(table);
	slot = slot_find(table, name);
	table->count += slot->name == NULL;
	*slot = (struct nametable_slot){name, value};
}

unsigned
nametable_get(const struct nametable *table, const char *name)
{
	return table->size == 0 ? 0 : slot_find(table, name)->value;
}

bool
nametable_matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncasecmp(pattern, name, len - 1) == 0;
	return slice_name_equal(pattern, name);
}
