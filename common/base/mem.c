#include "common/base/mem.h"

#include <stdarg.h>
#include <stdint.h>

static _Noreturn void
mem_exhausted(size_t len)
{
	(void)fprintf(stderr, "out of memory (%zu bytes)\n", len);
	abort();
}

void *
mem_alloc(size_t len)
{
	void *p = malloc(len == 0 ? 1 : len);

	if (p == NULL)
		mem_exhausted(len);
	return p;
}

void *
mem_calloc(size_t n, size_t size)
{
	void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		mem_exhausted(size);
	return p;
}

void *
mem_realloc(void *old, size_t len)
{
	void *p = realloc(old, len == 0 ? 1 : len);

	if (p == NULL)
		mem_exhausted(len);
	return p;
}

char *
mem_strndup(const char *s, size_t len)
{
	size_t n = strnlen(s, len);
	char *copy = mem_alloc(n + 1);

	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, SIZE_MAX);
}

char *
mem_printf(const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0 || text == NULL)
		mem_exhausted(0);
	return text;
}
