/* Memory of one job: many small allocations, freed at once. Pieces are
 * aligned to 16 bytes. Never put a secret here. Out of memory aborts. */
#ifndef COMMON_BASE_ARENA_H
#define COMMON_BASE_ARENA_H

#include "common/base/slice.h"

struct arena;

/* max: bytes that all pieces together may take; arena_alloc returns NULL
 * beyond it, so that a decoder can refuse foreign input. */
struct arena *arena_new(size_t max);
void arena_free(struct arena *arena);
/* Forgets all pieces, keeps one block for reuse. */
void arena_reset(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t len);
/* Zeroed array of n items of the given size; overflow gives NULL. */
void *arena_calloc(struct arena *arena, size_t n, size_t size);
/* Copies; the slice form adds a NUL that is not counted. NULL at the cap. */
struct slice arena_dup(struct arena *arena, struct slice s);
char *arena_strdup(struct arena *arena, const char *s);
size_t arena_used(const struct arena *arena);

#endif
