/* Writing a section and checking what a reader says of it. */
#ifndef TESTS_UNIT_WIRE_SECTION_H
#define TESTS_UNIT_WIRE_SECTION_H

#include "tests/unit/wire_vectors.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/chunk.h"
#include "common/wire/envelope.h"
#include "common/wire/section.h"

static char dir[64];

struct made {
	char *path;
	uint8_t key[CRYPTO_KEY_LEN];
	uint8_t sha256[CRYPTO_HASH_LEN];
	uint64_t length;
	struct buf bytes;
};

static inline struct id
id_number(uint32_t n)
{
	struct id id;

	memset(&id, 0, sizeof(id));
	id.bytes[0] = (uint8_t)(n >> 24);
	id.bytes[1] = (uint8_t)(n >> 16);
	id.bytes[2] = (uint8_t)(n >> 8);
	id.bytes[3] = (uint8_t)n;
	return id;
}

/* Bodies that do not repeat, of 1..size bytes. */
static inline struct slice
body_number(uint32_t n, uint8_t *space, size_t size)
{
	size_t i, len = 1 + n * 7919u % size;
	uint32_t x = n * 2654435761u + 1;

	for (i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		space[i] = (uint8_t)(x >> 24);
	}
	return slice_make(space, len);
}

static inline struct section_head
head_make(uint64_t base, uint64_t version, uint64_t records)
{
	struct section_head head = {"NORTH", "staff", base, version, records};

	return head;
}

/* Every third object of a delta is a tombstone. */
static inline void
made_write(struct made *m, const struct section_head *head, size_t body_size)
{
	struct section_object o;
	struct section_writer *w;
	uint8_t *space = mem_alloc(body_size);
	uint32_t i;

	memset(m, 0, sizeof(*m));
	m->path = fsio_join(dir, "section");
	assert_int_equal(
	    0, section_writer_open(m->path, head, &w, m->key, NULL));
	for (i = 0; i < head->records; i++) {
		o.id = id_number(i);
		o.version = head->version - i % (head->version - head->base);
		o.deleted = head->base > 0 && i % 3 == 0;
		o.body =
		    o.deleted ? SLICE_NULL : body_number(i, space, body_size);
		assert_int_equal(0, section_writer_add(w, &o, NULL));
	}
	assert_int_equal(
	    0, section_writer_close(w, m->sha256, &m->length, NULL));
	free(space);
	buf_init(&m->bytes, 64 << 20);
	assert_int_equal(0, fsio_read(m->path, &m->bytes, NULL));
	assert_int_equal(m->length, m->bytes.len);
}

static inline void
made_free(struct made *m)
{
	(void)unlink(m->path);
	free(m->path);
	buf_fini(&m->bytes);
}

/* Nothing but the section itself may stand in the directory. */
static inline void
assert_no_staging(void)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		assert_null(strstr(e->d_name, "section-"));
	(void)closedir(d);
}

static inline int
made_read(const struct made *m, struct section_reader **r, struct err *err)
{
	err_clear(err);
	return section_reader_open(m->path, m->sha256, m->key, dir, r, err);
}

/* Opens and reads to the end; the check that refused, or CHECK_OK. */
static inline int
made_check(const struct made *m)
{
	struct section_reader *r;
	struct section_object o;
	struct err err;
	int rc;

	if (made_read(m, &r, &err) < 0) {
		assert_null(r);
		assert_no_staging();
		return err.code;
	}
	while ((rc = section_reader_next(r, &o, &err)) > 0)
		continue;
	section_reader_close(r);
	return rc == 0 ? CHECK_OK : err.code;
}

/* Puts other bytes into the file, under their own SHA-256 if rehash. */
static inline int
made_check_bytes(const struct made *m, struct slice bytes, bool rehash)
{
	struct made other = *m;
	FILE *f;

	f = fopen(m->path, "we"); /* not durably: hundreds of times */
	assert_non_null(f);
	assert_int_equal(bytes.len, fwrite(bytes.data, 1, bytes.len, f));
	assert_int_equal(0, fclose(f));
	if (rehash)
		crypto_sha256(bytes, other.sha256);
	return made_check(&other);
}

#endif
