/* Sections whose author has the key and is wicked. */
#include "tests/unit/wire_section.h"

#include <fcntl.h>
#include <zlib.h>

#include "common/wire/pb.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bombs_and_lengths),
	    cmocka_unit_test(test_size_cap),
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_record_frames),
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
