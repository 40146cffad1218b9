/* A set of object ids, filled first and looked up then. */
#ifndef SPOKE_EXPORT_COLLECT_IDS_H
#define SPOKE_EXPORT_COLLECT_IDS_H

#include <stdbool.h>

#include "common/base/id.h"

struct collect_ids {
	struct id *list;
	size_t count, size;
	bool *marks; /* since the sort, one an id */
};

void collect_ids_add(struct collect_ids *ids, const struct id *id);
/* Sorts and drops what came twice; forgets the marks. */
void collect_ids_sort(struct collect_ids *ids);
/* Of two sorted sets. */
bool collect_ids_equal(
    const struct collect_ids *a, const struct collect_ids *b);
/* Index in a sorted set, or SIZE_MAX. */
size_t collect_ids_find(const struct collect_ids *ids, const struct id *id);
void collect_ids_fini(struct collect_ids *ids);

#endif
