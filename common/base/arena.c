#include "common/base/arena.h"

#include "common/base/mem.h"

#define ARENA_ALIGN ((size_t)16)
#define ARENA_BLOCK ((size_t)16384)

struct block {
	struct block *next;
	size_t size;
	size_t used;
	_Alignas(16) uint8_t data[];
};

struct arena {
	struct block *head; /* the block that is being filled */
	size_t used;
	size_t max;
};

struct arena *
arena_new(size_t max)
{
	struct arena *arena = mem_calloc(1, sizeof(*arena));

	arena->max = max;
	return arena;
}

static void
blocks_free(struct block *block)
{
	while (block != NULL) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	blocks_free(arena->head);
	free(arena);
}

void
arena_reset(struct arena *arena)
{
	struct block *keep = NULL;
	struct block *block = arena->head;

	while (block != NULL) {
		struct block *next = block->next;

		if (keep == NULL && block->size == ARENA_BLOCK)
			keep = block;
		else
			free(block);
		block = next;
	}
	if (keep != NULL) {
		keep->next = NULL;
		keep->used = 0;
	}
	arena->head = keep;
	arena->used = 0;
}

static void
arena_grow(struct arena *arena, size_t len)
{
	size_t size = len > ARENA_BLOCK ? len : ARENA_BLOCK;
	struct block *block = mem_alloc(sizeof(*block) + size);

	block->size = size;
	block->used = 0;
	/* A block for one large piece goes behind the head, which may still
	 * have room for small ones. */
	if (size > ARENA_BLOCK && arena->head != NULL) {
		block->next = arena->head->next;
		arena->head->next = block;
	} else {
		block->next = arena->head;
		arena->head = block;
	}
}

void *
arena_alloc(struct arena *arena, size_t len)
{
	struct block *block;
	void *p;

	if (len > SIZE_MAX - sizeof(struct block) - ARENA_ALIGN)
		return NULL;
	len = len == 0 ? ARENA_ALIGN
		       : (len + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
	if (arena->used > arena->max || len > arena->max - arena->used)
		return NULL;
	block = arena->head;
	if (block == NULL || block->size - block->used < len) {
		arena_grow(arena, len);
		block = arena->head;
		if (block->size - block->used < len)
			block = block->next;
	}
	p = block->data + block->used;
	block->used += len;
	arena->used += len;
	return p;
}

void *
arena_calloc(struct arena *arena, size_t n, size_t size)
{
	size_t len;
	void *p;

	if (__builtin_mul_overflow(n, size, &len))
		return NULL;
	p = arena_alloc(arena, len);
	if (p != NULL)
		memset(p, 0, len);
	return p;
}

struct slice
arena_dup(struct arena *arena, struct slice s)
{
	uint8_t *copy;

	if (s.len == SIZE_MAX)
		return SLICE_NULL;
	copy = arena_alloc(arena, s.len + 1);
	if (copy == NULL)
		return SLICE_NULL;
	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return slice_make(copy, s.len);
}

char *
arena_strdup(struct arena *arena, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = arena_alloc(arena, len);

	if (copy != NULL)
		memcpy(copy, s, len);
	return copy;
}

size_t
arena_used(const struct arena *arena)
{
	return arena->used;
}
