/* Shared by preview.c (what goes) and preview_format.c (as text and JSON). */
#ifndef SPOKE_EXPORT_PREVIEW_INTERNAL_H
#define SPOKE_EXPORT_PREVIEW_INTERNAL_H

#include "spoke/export/preview.h"

/* Somebody whom the object names. */
struct preview_named {
	struct id id;
	bool chosen; /* by the policy itself */
	bool goes;
	struct slice mail; /* in the arena; of those who go */
};

struct preview {
	struct arena *arena;
	struct id id;
	struct buf body;
	struct object object;        /* body, decoded */
	struct preview_named *named; /* ascending by id, each once */
	size_t named_count;
};

/* NULL: nobody with that id. */
struct preview_named *preview_find(
    const struct preview *preview, const struct id *id);

#endif
