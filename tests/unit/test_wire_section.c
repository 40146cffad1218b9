/* Sections: what is written comes back; whatever else is refused. */
#include "tests/unit/wire_vectors.h"

#include <fcntl.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/chunk.h"
#include "common/wire/envelope.h"
#include "common/wire/pb.h"
#include "common/wire/section.h"

static char dir[64];

struct made {
	char *path;
	uint8_t key[CRYPTO_KEY_LEN];
	uint8_t sha256[CRYPTO_HASH_LEN];
	uint64_t length;
	struct buf bytes;
};

static struct id
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
static struct slice
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

static struct section_head
head_make(uint64_t base, uint64_t version, uint64_t records)
{
	struct section_head head = {"NORTH", "staff", base, version, records};

	return head;
}

/* Every third object of a delta is a tombstone. */
static void
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

static void
made_free(struct made *m)
{
	(void)unlink(m->path);
	free(m->path);
	buf_fini(&m->bytes);
}

/* Nothing but the section itself may stand in the directory. */
static void
assert_no_staging(void)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		assert_null(strstr(e->d_name, "section-"));
	(void)closedir(d);
}

static int
made_read(const struct made *m, struct section_reader **r, struct err *err)
{
	err_clear(err);
	return section_reader_open(m->path, m->sha256, m->key, dir, r, err);
}

/* Opens and reads to the end; the check that refused, or CHECK_OK. */
static int
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
static int
made_check_bytes(const struct made *m, struct slice bytes, bool rehash)
{
	struct made other = *m;

	assert_int_equal(0, fsio_write(m->path, bytes, 0600, NULL));
	if (rehash)
		crypto_sha256(bytes, other.sha256);
	return made_check(&other);
}

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

/* --- sections that an authentic but wicked author seals --- */

static void
put_u64(uint8_t *p, uint64_t v)
{
	size_t i;

	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

struct craft {
	struct slice packed; /* bytes that go into chunks as they are */
	uint64_t plain_length, packed_length;
	bool last_not_final;
};

/* Seals packed bytes correctly, whatever they are. */
static int
craft_check(const struct craft *craft)
{
	static const uint8_t salt[32] = {3};
	struct chunk_cipher cipher;
	uint8_t commitment[32], trailer[16];
	struct slice rest = craft->packed, part;
	struct made m;
	struct buf out;
	uint8_t *p;
	int code;

	memset(&m, 0, sizeof(m));
	m.path = fsio_join(dir, "section");
	buf_init(&out, 64 << 20);
	assert_int_equal(0, chunk_derive(CHUNK_SECTION, salt, m.key, &cipher,
				commitment, NULL));
	buf_add(&out, slice_make("GALS\x01", 5));
	buf_add(&out, slice_make(salt, 32));
	buf_add(&out, slice_make(commitment, 32));
	crypto_sha256(buf_slice(&out), cipher.aad);
	while (rest.len > 0) {
		part = slice_sub(rest, 0, LIMIT_CHUNK_BYTES);
		rest = slice_sub(rest, part.len, SIZE_MAX);
		p = buf_reserve(&out, part.len + CRYPTO_TAG_LEN);
		assert_non_null(p);
		assert_int_equal(0,
		    chunk_seal(&cipher, rest.len == 0 && !craft->last_not_final,
			part, p, NULL));
	}
	put_u64(trailer, craft->plain_length);
	put_u64(trailer + 8, craft->packed_length);
	buf_add(&out, slice_make(trailer, sizeof(trailer)));
	code = made_check_bytes(&m, buf_slice(&out), true);
	buf_fini(&out);
	(void)unlink(m.path);
	free(m.path);
	return code;
}

/* Packs plain bytes with zlib and seals them. */
static int
plain_check(struct slice plain)
{
	uLongf len = compressBound(plain.len);
	uint8_t *packed = mem_alloc(len);
	struct craft craft = {SLICE_NULL, plain.len, 0, false};
	int code;

	assert_int_equal(
	    Z_OK, compress2(packed, &len, plain.data, plain.len, 1));
	craft.packed = slice_make(packed, len);
	craft.packed_length = len;
	code = craft_check(&craft);
	free(packed);
	return code;
}

static void
test_bombs_and_lengths(void **state)
{
	struct slice zeros = slice_make(mem_calloc(1, 8 << 20), 8 << 20);
	uLongf len = compressBound(zeros.len);
	uint8_t *packed = mem_alloc(len);
	struct craft c = {SLICE_NULL, 0, 0, false};

	(void)state;
	assert_int_equal(
	    Z_OK, compress2(packed, &len, zeros.data, zeros.len, 9));
	c.packed = slice_make(packed, len);
	c.packed_length = len;
	/* Honest about its size: too dense. */
	c.plain_length = zeros.len;
	assert_int_equal(CHECK_RATIO, craft_check(&c));
	/* N is accepted by the ratio (and found to be a lie), N + 1 not. */
	c.plain_length = len * LIMIT_INFLATE_RATIO + LIMIT_INFLATE_SLACK;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.plain_length++;
	assert_int_equal(CHECK_RATIO, craft_check(&c));
	/* Lying about its size: stopped where the lie ends. */
	c.plain_length = 1000;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.plain_length = 0;
	assert_int_equal(CHECK_LENGTH, craft_check(&c));
	c.plain_length = UINT64_MAX;
	assert_int_equal(CHECK_LENGTH, craft_check(&c));
	c.plain_length = LIMIT_SECTION_PLAIN_BYTES + 1;
	assert_int_equal(CHECK_LENGTH, craft_check(&c));
	c.plain_length = LIMIT_SECTION_PLAIN_BYTES;
	assert_int_equal(CHECK_RATIO, craft_check(&c));
	c.plain_length = 1000;
	c.packed_length = UINT64_MAX;
	assert_int_equal(CHECK_LENGTH, craft_check(&c));
	c.packed_length = UINT64_C(4) << 30;
	assert_int_equal(CHECK_LENGTH, craft_check(&c));
	c.packed_length = len;
	c.last_not_final = true;
	assert_int_equal(CHECK_CHUNK, craft_check(&c));
	free(packed);
	free((void *)zeros.data);
}

/* A file above the cap is refused before a byte of it is read. */
static void
test_size_cap(void **state)
{
	struct made m;
	int fd;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.path = fsio_join(dir, "section");
	fd = open(m.path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(0, ftruncate(fd, (off_t)LIMIT_SECTION_BYTES + 1));
	assert_int_equal(CHECK_SIZE, made_check(&m));
	(void)close(fd);
	(void)unlink(m.path);
	free(m.path);
}

struct record {
	uint8_t id[17];
	size_t id_len;
	uint64_t version;
	bool deleted, twice;
	size_t body_len;
};

static void
record_add(struct buf *plain, const struct record *r)
{
	uint8_t *body = mem_calloc(1, r->body_len + 1);
	struct buf b;

	buf_init(&b, LIMIT_OBJECT_BYTES * 3);
	pb_add_bytes(&b, 1, slice_make(r->id, r->id_len));
	pb_add_uint(&b, 2, r->version);
	if (r->twice)
		pb_add_uint(&b, 2, r->version);
	if (r->deleted)
		pb_add_uint(&b, 3, 1);
	if (r->body_len > 0) {
		assert_int_equal(0, crypto_random(body, r->body_len, NULL));
		pb_add_bytes(&b, 4, slice_make(body, r->body_len));
	}
	buf_add_varint(plain, b.len);
	buf_add(plain, buf_slice(&b));
	assert_false(buf_failed(&b));
	buf_fini(&b);
	free(body);
}

/* Head of base 4, version 9 (or a full), then the records. */
static void
plain_start(struct buf *plain, uint64_t base, uint64_t records)
{
	struct buf b;

	buf_init(plain, 16 << 20);
	buf_init(&b, 256);
	pb_add_uint(&b, 1, 1);
	pb_add_bytes(&b, 2, SLICE_LIT("NORTH"));
	pb_add_bytes(&b, 3, SLICE_LIT("staff"));
	pb_add_uint(&b, 4, base);
	pb_add_uint(&b, 5, 9);
	pb_add_uint(&b, 6, records);
	buf_add_varint(plain, b.len);
	buf_add(plain, buf_slice(&b));
	buf_fini(&b);
}

static int
records_check(uint64_t base, const struct record *records, size_t n)
{
	struct buf plain;
	size_t i;
	int code;

	plain_start(&plain, base, n);
	for (i = 0; i < n; i++)
		record_add(&plain, &records[i]);
	code = plain_check(buf_slice(&plain));
	buf_fini(&plain);
	return code;
}

static void
test_records(void **state)
{
	struct record two[2] = {
	    {{1}, 16, 5, false, false, 3}, {{2}, 16, 9, false, false, 3}};
	struct record *r = &two[1];

	(void)state;
	assert_int_equal(CHECK_OK, records_check(4, two, 2));
	/* ids must rise strictly */
	r->id[0] = 1;
	assert_int_equal(CHECK_SECTION_ORDER, records_check(4, two, 2));
	r->id[0] = 0;
	assert_int_equal(CHECK_SECTION_ORDER, records_check(4, two, 2));
	r->id[0] = 2;
	/* versions in (base, version] */
	r->version = 4;
	assert_int_equal(CHECK_SECTION_ORDER, records_check(4, two, 2));
	r->version = 10;
	assert_int_equal(CHECK_SECTION_ORDER, records_check(4, two, 2));
	r->version = 0;
	assert_int_equal(CHECK_SECTION_ORDER, records_check(0, two, 2));
	r->version = 9;
	/* tombstones: without body, never in a full */
	r->deleted = true;
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
	r->body_len = 0;
	assert_int_equal(CHECK_OK, records_check(4, two, 2));
	assert_int_equal(CHECK_SECTION_ORDER, records_check(0, two, 2));
	r->deleted = false; /* an object without body */
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
	r->body_len = 3;
	r->id_len = 15;
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
	r->id_len = 17;
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
	r->id_len = 16;
	r->twice = true;
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
	r->twice = false;
	r->body_len = LIMIT_OBJECT_BYTES;
	assert_int_equal(CHECK_OK, records_check(4, two, 2));
	r->body_len = LIMIT_OBJECT_BYTES + 1;
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
	r->body_len = 2 * LIMIT_OBJECT_BYTES;
	assert_int_equal(CHECK_PAYLOAD, records_check(4, two, 2));
}

static void
test_record_frames(void **state)
{
	const struct record one = {{1}, 16, 5, false, false, 3};
	struct buf plain;

	(void)state;
	/* fewer than stated, more than stated */
	plain_start(&plain, 4, 2);
	record_add(&plain, &one);
	assert_int_equal(CHECK_PAYLOAD, plain_check(buf_slice(&plain)));
	buf_fini(&plain);
	plain_start(&plain, 4, 0);
	record_add(&plain, &one);
	assert_int_equal(CHECK_PAYLOAD, plain_check(buf_slice(&plain)));
	buf_fini(&plain);
	/* a record that goes on beyond the end; a length of 2^63 */
	plain_start(&plain, 4, 1);
	buf_add_varint(&plain, 30);
	buf_add_str(&plain, "short");
	assert_int_equal(CHECK_PAYLOAD, plain_check(buf_slice(&plain)));
	buf_fini(&plain);
	plain_start(&plain, 4, 1);
	buf_add_varint(&plain, UINT64_C(1) << 63);
	assert_int_equal(CHECK_PAYLOAD, plain_check(buf_slice(&plain)));
	buf_fini(&plain);
	/* an endless varint */
	plain_start(&plain, 4, 1);
	buf_add_str(&plain, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	assert_int_equal(CHECK_PAYLOAD, plain_check(buf_slice(&plain)));
	buf_fini(&plain);
	assert_int_equal(CHECK_PAYLOAD, plain_check(SLICE_LIT("\0")));
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
	    cmocka_unit_test(test_flip_every_byte),
	    cmocka_unit_test(test_truncate_and_extend),
	    cmocka_unit_test(test_wrong_key),
	    cmocka_unit_test(test_bombs_and_lengths),
	    cmocka_unit_test(test_size_cap),
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_record_frames),
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
