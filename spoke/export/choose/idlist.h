/* A set of object ids, filled first and looked up then. */
#ifndef SPOKE_EXPORT_CHOOSE_IDLIST_H
#define SPOKE_EXPORT_CHOOSE_IDLIST_H

#include <stdbool.h>

#include "common/base/id.h"

struct idlist {
	struct id *list;
	size_t count, size;
	bool *marks; /* since the sort, one an id */
};

void idlist_add(struct idlist *ids, const struct id *id);
/* Sorts and drops what came twice; forgets the marks. */
void idlist_sort(struct idlist *ids);
/* Of two sorted sets. */
bool idlist_equal(const struct idlist *a, const struct idlist *b);
/* Index in a sorted set, or SIZE_MAX. */
size_t idlist_find(const struct idlist *ids, const struct id *id);
void idlist_fini(struct idlist *ids);

#endif
