#include "spoke/export/idset.h"

#include <stdlib.h>
#include "common/base/mem.h"

#define IDSET_FIRST 256

struct idset {
	struct id *ids;
	uint8_t *values; /* what the caller keeps */
	uint8_t *used;
	size_t size; /* a power of two */
	size_t count;
};

struct idset *
idset_new(void)
{
	return mem_calloc(1, sizeof(struct idset));
}

void
idset_free(struct idset *set)
{
	if (set == NULL)
		return;
	free(set->ids);
	free(set->values);
	free(set->used);
	free(set);
}

/* The place of the id, or the free one where it belongs. GUIDs differ in their
 * first bytes; what does not is spread by the multiplier. */
static size_t
place(const struct idset *set, const struct id *id)
{
	uint64_t low, high;
	size_t at;

	memcpy(&low, id->bytes, sizeof(low));
	memcpy(&high, id->bytes + sizeof(low), sizeof(high));
	at = (size_t)((low ^ (high >> 7)) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
	for (at &= set->size - 1; set->used[at];
	     at = (at + 1) & (set->size - 1))
		if (id_compare(&set->ids[at], id) == 0)
			break;
	return at;
}

static void
grow(struct idset *set)
{
	struct idset old = *set;

	set->size = old.size == 0 ? IDSET_FIRST : old.size * 2;
	set->ids = mem_calloc(set->size, sizeof(*set->ids));
	set->values = mem_calloc(set->size, 1);
	set->used = mem_calloc(set->size, 1);
	for (size_t i = 0; i < old.size; i++) {
		size_t at;

		if (!old.used[i])
			continue;
		at = place(set, &old.ids[i]);
		set->ids[at] = old.ids[i];
		set->values[at] = old.values[i];
		set->used[at] = 1;
	}
	free(old.ids);
	free(old.values);
	free(old.used);
}

uint8_t *
idset_put(struct idset *set, const struct id *id)
{
	size_t at;

	if (set->count * 4 >= set->size * 3)
		grow(set);
	at = place(set, id);
	if (!set->used[at]) {
		set->used[at] = 1;
		set->ids[at] = *id;
		set->count++;
	}
	return &set->values[at];
}

const uint8_t *
idset_find(const struct idset *set, const struct id *id)
{
	size_t at;

	if (set->size == 0)
		return NULL;
	at = place(set, id);
	return set->used[at] ? &set->values[at] : NULL;
}

size_t
idset_count(const struct idset *set)
{
	return set->count;
}

uint8_t *
idset_next(struct idset *set, size_t *at, struct id *out_id)
{
	while (*at < set->size) {
		size_t here = (*at)++;

		if (!set->used[here])
			continue;
		*out_id = set->ids[here];
		return &set->values[here];
	}
	return NULL;
}
