/* Sections: what is written comes back; whatever a carrier changed is refused.
 */
#include "tests/unit/wire_section.h"

static void
round_trip(uint64_t base, uint64_t version, uint64_t records, size_t body_size)
{
	struct section_head head = head_make(base, version, records);
	uint8_t *space = mem_alloc(body_size);
	struct section_reader *r;
	struct section_object o;
	struct made m;
	struct err err;
	uint32_t i;

	made_write(&m, &head, body_size);
	assert_int_equal(0, made_read(&m, &r, &err));
	assert_memory_equal(section_reader_head(r), &head, sizeof(head));
	for (i = 0; i < records; i++) {
		struct id id = id_number(i);

		assert_int_equal(1, section_reader_next(r, &o, &err));
		assert_int_equal(0, id_compare(&o.id, &id));
		assert_int_equal(version - i % (version - base), o.version);
		assert_int_equal(base > 0 && i % 3 == 0, o.deleted);
		assert_true(o.deleted || slice_equal(o.body,
					     body_number(i, space, body_size)));
	}
	assert_int_equal(0, section_reader_next(r, &o, &err));
	assert_int_equal(0, section_reader_next(r, &o, &err));
	section_reader_close(r);
	assert_no_staging();
	free(space);
	made_free(&m);
}

static void
test_round_trip(void **state)
{
	(void)state;
	round_trip(0, 1, 0, 1); /* an empty stream is a legal full */
	round_trip(0, 5, 1, 10);
	round_trip(3, 1700000000000, 7, 100);
	round_trip(0, 1700000000000, 20000, 300); /* many chunks, level 1 */
	round_trip(0, 9, 5, LIMIT_OBJECT_BYTES);
}

/* A full chunk at the very end is the last one and not empty. */
static void
test_chunk_border(void **state)
{
	struct section_head head = head_make(0, 1, 1);
	struct section_object o = {id_number(1), 1, false, SLICE_NULL};
	uint8_t *body = mem_alloc(LIMIT_CHUNK_BYTES);
	struct section_writer *w;
	struct made m;
	unsigned int at_border = 0;
	size_t len;

	(void)state;
	for (len = 65400; len < 65520; len++) {
		memset(&m, 0, sizeof(m));
		m.path = fsio_join(dir, "section");
		assert_int_equal(
		    0, crypto_random(body, LIMIT_CHUNK_BYTES, NULL));
		assert_int_equal(
		    0, section_writer_open(m.path, &head, &w, m.key, NULL));
		o.body = slice_make(body, len);
		assert_int_equal(0, section_writer_add(w, &o, NULL));
		assert_int_equal(
		    0, section_writer_close(w, m.sha256, &m.length, NULL));
		at_border += m.length == 69 + 16 + CHUNK_SEALED_MAX;
		assert_int_equal(CHECK_OK, made_check(&m));
		(void)unlink(m.path);
		free(m.path);
	}
	assert_true(at_border > 0);
	free(body);
}

/* Bytes on disk of a section of bodies that are large. */
static uint64_t
large_length(const struct slice *bodies, uint32_t count)
{
	struct section_head head = head_make(0, 1, count);
	struct section_reader *r;
	struct section_object o;
	struct section_writer *w;
	struct made m = {.path = fsio_join(dir, "section")};
	struct err err;

	assert_int_equal(
	    0, section_writer_open(m.path, &head, &w, m.key, NULL));
	for (uint32_t i = 0; i < count; i++) {
		o = (struct section_object){id_number(i), 1, false, bodies[i]};
		assert_int_equal(0, section_writer_add(w, &o, NULL));
	}
	assert_int_equal(0, section_writer_close(w, m.sha256, &m.length, NULL));
	assert_int_equal(0, made_read(&m, &r, &err));
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(1, section_reader_next(r, &o, &err));
		assert_true(slice_equal(o.body, bodies[i]));
	}
	assert_int_equal(0, section_reader_next(r, &o, &err));
	section_reader_close(r);
	(void)unlink(m.path);
	free(m.path);
	return m.length;
}

/* Pictures are stored, text between them is compressed. */
static void
test_large_bodies(void **state)
{
	enum { SIZE = 100000 };
	uint8_t *picture = mem_alloc(SIZE), *text = mem_alloc(SIZE);
	struct slice bodies[6];
	uint64_t length;
	char line[64];

	(void)state;
	assert_int_equal(0, crypto_random(picture, SIZE, NULL));
	/* Few different bytes, and no line twice. */
	for (size_t i = 0; i < SIZE; i += 40) {
		(void)snprintf(
		    line, sizeof(line), "%06zu %033zu", i, i * i * i);
		memcpy(text + i, line, 40);
	}
	for (size_t i = 0; i < 6; i++)
		bodies[i] = slice_make(i % 3 == 1 ? picture : text, SIZE);
	length = large_length(bodies, 6);
	assert_in_range(length, 2 * SIZE, 2 * SIZE + 4 * SIZE / 4);
	for (size_t i = 0; i < 6; i++)
		bodies[i] = slice_make(picture, SIZE);
	length = large_length(bodies, 6);
	assert_in_range(length, 6 * SIZE, 6 * SIZE + 6 * SIZE / 1000);
	free(picture);
	free(text);
}

static void
test_flip_every_byte(void **state)
{
	struct section_head head = head_make(4, 9, 12);
	struct made m;
	size_t i;
	int code;

	(void)state;
	made_write(&m, &head, 40);
	for (i = 0; i < m.bytes.len; i++) {
		m.bytes.data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(CHECK_SECTION_HASH,
		    made_check_bytes(&m, buf_slice(&m.bytes), false));
		/* Somebody who signs another hash still lacks the key. */
		code = made_check_bytes(&m, buf_slice(&m.bytes), true);
		assert_int_not_equal(CHECK_OK, code);
		if (i < 5)
			assert_int_equal(CHECK_MAGIC, code);
		else if (i < 69)
			assert_int_equal(CHECK_COMMITMENT, code);
		else if (i < m.bytes.len - 16)
			assert_int_equal(CHECK_CHUNK, code);
		m.bytes.data[i] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(
	    CHECK_OK, made_check_bytes(&m, buf_slice(&m.bytes), false));
	made_free(&m);
}

static void
test_truncate_and_extend(void **state)
{
	struct section_head head = head_make(4, 9, 12);
	struct made m;
	size_t i;

	(void)state;
	made_write(&m, &head, 40);
	for (i = 0; i < m.bytes.len; i++) {
		assert_int_equal(CHECK_SECTION_HASH,
		    made_check_bytes(&m, slice_make(m.bytes.data, i), false));
		assert_int_not_equal(CHECK_OK,
		    made_check_bytes(&m, slice_make(m.bytes.data, i), true));
	}
	buf_add_byte(&m.bytes, 0);
	assert_int_equal(CHECK_SECTION_HASH,
	    made_check_bytes(&m, buf_slice(&m.bytes), false));
	assert_int_equal(
	    CHECK_LENGTH, made_check_bytes(&m, buf_slice(&m.bytes), true));
	made_free(&m);
}

static void
test_wrong_key(void **state)
{
	struct section_head head = head_make(0, 9, 1);
	struct made m;

	(void)state;
	made_write(&m, &head, 40);
	m.key[31] ^= 1;
	assert_int_equal(CHECK_COMMITMENT, made_check(&m));
	made_free(&m);
}

/* --- the writer's own promises --- */

static void
test_writer_refuses(void **state)
{
	struct section_head head = head_make(4, 9, 2);
	struct section_object o = {id_number(5), 5, false, SLICE_LIT("x")};
	char *path = fsio_join(dir, "section");
	uint8_t key[32], sha256[32];
	struct section_writer *w;
	uint64_t length;
	struct err err;

	(void)state;
	assert_int_equal(0, section_writer_open(path, &head, &w, key, NULL));
	assert_int_equal(0, section_writer_add(w, &o, NULL));
	assert_int_equal(-1, section_writer_add(w, &o, &err)); /* same id */
	assert_int_equal(ERR_INTERNAL, err.class);
	o.id = id_number(6);
	o.version = 4;
	assert_int_equal(-1, section_writer_add(w, &o, NULL));
	o.version = 10;
	assert_int_equal(-1, section_writer_add(w, &o, NULL));
	o.version = 9;
	o.deleted = true;
	assert_int_equal(-1, section_writer_add(w, &o, NULL));
	/* announced two records, added one */
	assert_int_equal(-1, section_writer_close(w, sha256, &length, &err));
	assert_int_equal(-1, access(path, F_OK));

	assert_int_equal(0, section_writer_open(path, &head, &w, key, NULL));
	section_writer_abort(w);
	assert_int_equal(-1, access(path, F_OK));
	section_writer_abort(NULL);
	section_reader_close(NULL);
	free(path);
}

/* A full disk is an I/O error, and nothing stays behind. */
static void
test_writer_no_space(void **state)
{
	struct section_head head = head_make(0, 9, 1);
	uint8_t key[32];
	struct section_writer *w;
	struct err err;

	(void)state;
	err_clear(&err);
	assert_int_equal(-1,
	    section_writer_open("/nonexistent/section", &head, &w, key, &err));
	assert_int_equal(ERR_IO, err.class);
	assert_null(w);
}

/* A file that stands there, linked elsewhere, keeps its bytes. */
static void
test_writer_replaces(void **state)
{
	struct section_head head = head_make(0, 9, 0);
	char *other = fsio_join(dir, "other");
	char *path = fsio_join(dir, "section");
	struct stat st;
	struct made m;
	struct buf b;

	(void)state;
	assert_int_equal(
	    0, fsio_write(path, SLICE_LIT("precious"), 0644, NULL));
	assert_int_equal(0, link(path, other));
	made_write(&m, &head, 1);
	buf_init(&b, 100);
	assert_int_equal(0, fsio_read(other, &b, NULL));
	assert_string_equal("precious", buf_cstr(&b));
	assert_int_equal(0, stat(path, &st));
	assert_int_equal(0600, st.st_mode & 0777);
	buf_fini(&b);
	(void)unlink(other);
	free(other);
	free(path);
	made_free(&m);
}

/* Monotonous content would exceed the ratio: the writer stores instead. */
static void
test_monotonous(void **state)
{
	struct section_head head = head_make(0, 9, 40);
	struct section_object o = {id_number(0), 9, false, SLICE_NULL};
	struct section_writer *w;
	struct made m;
	uint32_t i;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.path = fsio_join(dir, "section");
	o.body =
	    slice_make(mem_calloc(1, LIMIT_OBJECT_BYTES), LIMIT_OBJECT_BYTES);
	assert_int_equal(
	    0, section_writer_open(m.path, &head, &w, m.key, NULL));
	for (i = 0; i < 40; i++) {
		o.id = id_number(i);
		assert_int_equal(0, section_writer_add(w, &o, NULL));
	}
	assert_int_equal(0, section_writer_close(w, m.sha256, &m.length, NULL));
	assert_int_equal(CHECK_OK, made_check(&m));
	free((void *)o.body.data);
	(void)unlink(m.path);
	free(m.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_chunk_border),
	    cmocka_unit_test(test_large_bodies),
	    cmocka_unit_test(test_flip_every_byte),
	    cmocka_unit_test(test_truncate_and_extend),
	    cmocka_unit_test(test_wrong_key),
	    cmocka_unit_test(test_writer_refuses),
	    cmocka_unit_test(test_writer_no_space),
	    cmocka_unit_test(test_writer_replaces),
	    cmocka_unit_test(test_monotonous),
	};
	int rc;

	(void)snprintf(dir, sizeof(dir), "/tmp/galr-section-XXXXXX");
	if (crypto_init(NULL) < 0 || mkdtemp(dir) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	if (fsio_remove_tree(dir, NULL) < 0)
		rc = 1;
	return rc;
}
