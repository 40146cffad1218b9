/* Reads the files of tests/vectors: fields separated by blanks, bytes in
 * hexadecimal, "-" for none. For tests that run in the top directory. */
#ifndef TESTS_UNIT_WIRE_VECTORS_H
#define TESTS_UNIT_WIRE_VECTORS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/id.h"
#include "common/base/slice.h"

#define VECTOR_FIELDS 10

struct vectors {
	FILE *file;
	char *line;
	size_t size;
	char *fields[VECTOR_FIELDS];
	size_t field_count;
	uint8_t *bytes[VECTOR_FIELDS]; /* of the current line */
};

static inline void
vectors_open(struct vectors *v, const char *path)
{
	memset(v, 0, sizeof(*v));
	v->file = fopen(path, "re");
	assert_non_null(v->file);
}

static inline void
vectors_forget(struct vectors *v)
{
	size_t i;

	for (i = 0; i < VECTOR_FIELDS; i++) {
		free(v->bytes[i]);
		v->bytes[i] = NULL;
	}
}

static inline void
vectors_close(struct vectors *v)
{
	vectors_forget(v);
	free(v->line);
	(void)fclose(v->file);
}

/* The next line that is no comment; false at the end. */
static inline bool
vectors_next(struct vectors *v)
{
	char *save = NULL, *p;

	vectors_forget(v);
	do {
		if (getline(&v->line, &v->size, v->file) < 0)
			return false;
	} while (v->line[0] == '#');
	v->field_count = 0;
	for (p = strtok_r(v->line, " \n", &save); p != NULL;
	     p = strtok_r(NULL, " \n", &save)) {
		assert_true(v->field_count < VECTOR_FIELDS);
		v->fields[v->field_count++] = p;
	}
	return true;
}

/* Field i as bytes, valid until the next line; an allocation of exactly that
 * size, so that ASan sees reads beyond it. */
static inline struct slice
vectors_bytes(struct vectors *v, size_t i)
{
	size_t len;

	assert_true(i < v->field_count);
	len = strcmp(v->fields[i], "-") == 0 ? 0 : strlen(v->fields[i]) / 2;
	if (v->bytes[i] == NULL) {
		v->bytes[i] = malloc(len == 0 ? 1 : len);
		assert_non_null(v->bytes[i]);
		if (len > 0)
			assert_int_equal(0, id_unhex(slice_str(v->fields[i]),
						v->bytes[i], len, NULL));
	}
	return slice_make(v->bytes[i], len);
}

static inline unsigned long
vectors_number(const struct vectors *v, size_t i)
{
	assert_true(i < v->field_count);
	return strtoul(v->fields[i], NULL, 10);
}

static inline bool
vectors_is(const struct vectors *v, size_t i, const char *word)
{
	assert_true(i < v->field_count);
	return strcmp(v->fields[i], word) == 0;
}

#endif
