/* Heap allocation that never returns NULL: out of memory ends the process,
 * because the state on disk is always consistent. */
#ifndef COMMON_BASE_MEM_H
#define COMMON_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t len) __attribute__((malloc, returns_nonnull));
void *mem_calloc(size_t n, size_t size)
    __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t len) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *s, size_t len)
    __attribute__((malloc, returns_nonnull));
/* Formats into a new string that the caller frees. */
char *mem_printf(const char *format, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

#endif
