#include "spoke/export/choose/idlist.h"

#include <stdlib.h>

#include "common/base/mem.h"

void
idlist_add(struct idlist *ids, const struct id *id)
{
	if (ids->count == ids->size) {
		ids->size = ids->size == 0 ? 256 : ids->size * 2;
		ids->list =
		    mem_realloc(ids->list, ids->size * sizeof(*ids->list));
	}
	ids->list[ids->count++] = *id;
}

static int
compare(const void *a, const void *b)
{
	return id_compare(a, b);
}

void
idlist_sort(struct idlist *ids)
{
	size_t n = 0;

	if (ids->count > 0)
		qsort(ids->list, ids->count, sizeof(*ids->list), compare);
	for (size_t i = 0; i < ids->count; i++)
		if (i == 0 || id_compare(&ids->list[i], &ids->list[n - 1]) != 0)
			ids->list[n++] = ids->list[i];
	ids->count = n;
	free(ids->marks);
	ids->marks = mem_calloc(n + 1, sizeof(*ids->marks));
}

bool
idlist_equal(const struct idlist *a, const struct idlist *b)
{
	return slice_equal(slice_make(a->list, a->count * ID_LEN),
	    slice_make(b->list, b->count * ID_LEN));
}

size_t
idlist_find(const struct idlist *ids, const struct id *id)
{
	const struct id *found;

	if (ids->count == 0)
		return SIZE_MAX;
	found = bsearch(id, ids->list, ids->count, sizeof(*ids->list), compare);
	return found == NULL ? SIZE_MAX : (size_t)(found - ids->list);
}

void
idlist_fini(struct idlist *ids)
{
	free(ids->list);
	free(ids->marks);
	*ids = (struct idlist){.list = NULL};
}
