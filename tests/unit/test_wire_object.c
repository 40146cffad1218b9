/* Object bodies: canonical when written, and nothing else is read. */
#include "tests/unit/wire_vectors.h"

#include "common/wire/limits.h"
#include "common/wire/object.h"
#include "common/wire/pb.h"

static struct arena *scratch;

static int
setup(void **state)
{
	(void)state;
	scratch = arena_new(64 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(scratch);
	return 0;
}

static void
test_round_trip(void **state)
{
	const struct slice mail[] = {SLICE_LIT("a@north.example")};
	const struct slice proxy[] = {SLICE_LIT("smtp:b"), SLICE_LIT("SMTP:a"),
	    SLICE_LIT("smtp:b"), SLICE_LIT("")};
	const struct slice photo[] = {SLICE_LIT("\0\xff\0")};
	const struct slice none[] = {SLICE_LIT("")};
	const struct object_attribute attributes[] = {
	    {"proxyAddresses", proxy, 4}, {"mail", mail, 1},
	    {"thumbnailPhoto", photo, 1}, {"empty", none, 1},
	    {"nothing", NULL, 0}};
	const struct object_attribute permuted[] = {attributes[4],
	    attributes[2], attributes[0], attributes[3], attributes[1]};
	struct object in = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=\xc3\xa4,DC=x",
	    .recipient_type = -1,
	    .attributes = attributes,
	    .attribute_count = 5};
	struct object out;
	struct buf a, b;

	(void)state;
	buf_init(&a, LIMIT_OBJECT_BYTES);
	buf_init(&b, LIMIT_OBJECT_BYTES);
	assert_int_equal(0, object_encode(&in, scratch, &a, NULL));
	in.attributes = permuted; /* same content, same bytes */
	assert_int_equal(0, object_encode(&in, scratch, &b, NULL));
	assert_true(slice_equal(buf_slice(&a), buf_slice(&b)));

	assert_int_equal(0, object_decode(buf_slice(&a), scratch, &out, NULL));
	memset(a.data, 'x', a.len); /* the arena holds it all */
	assert_int_equal(GALR__KIND__KIND_USER, out.kind);
	assert_string_equal("CN=\xc3\xa4,DC=x", out.source_dn);
	assert_int_equal(-1, out.recipient_type);
	assert_int_equal(3, out.attribute_count);
	assert_string_equal("mail", out.attributes[0].name);
	assert_string_equal("proxyAddresses", out.attributes[1].name);
	assert_int_equal(2, out.attributes[1].value_count);
	assert_true(
	    slice_equal(out.attributes[1].values[0], SLICE_LIT("SMTP:a")));
	assert_true(slice_equal(
	    object_first(&out, "ThumbnailPhoto"), SLICE_LIT("\0\xff\0")));
	assert_null(object_find(&out, "empty"));
	assert_int_equal(0, object_first(&out, "empty").len);
	buf_fini(&a);
	buf_fini(&b);
}

/* protobuf-c reads what we write by hand. */
static void
test_standard_protobuf(void **state)
{
	const struct slice mail[] = {SLICE_LIT("a"), SLICE_LIT("b")};
	const struct object_attribute attributes[] = {{"mail", mail, 2}};
	const struct id ids[2] = {{"1234567890123456"}, {"1234567890123457"}};
	const struct object in = {.kind = GALR__KIND__KIND_GROUP,
	    .source_dn = "CN=g",
	    .recipient_type = 77,
	    .attributes = attributes,
	    .attribute_count = 1,
	    .references = {&ids[1], ids, 2, true, true}};
	Galr__ObjectBody *m;
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_OBJECT_BYTES);
	assert_int_equal(0, object_encode(&in, scratch, &b, NULL));
	m = galr__object_body__unpack(NULL, b.len, b.data);
	assert_non_null(m);
	assert_int_equal(GALR__KIND__KIND_GROUP, m->kind);
	assert_string_equal("CN=g", m->source_dn);
	assert_int_equal(77, m->recipient_type);
	assert_int_equal(1, m->n_attributes);
	assert_string_equal("mail", m->attributes[0]->name);
	assert_int_equal(2, m->attributes[0]->n_values);
	assert_int_equal(16, m->manager.len);
	assert_memory_equal(&ids[1], m->manager.data, 16);
	assert_int_equal(
	    GALR__OBJECT_BODY__MEMBERSHIPS_MEMBERS, m->memberships_case);
	assert_int_equal(32, m->members.len);
	assert_memory_equal(ids, m->members.data, 32);
	assert_true(m->along);
	galr__object_body__free_unpacked(m, NULL);
	buf_fini(&b);
}

static void
test_encode_refuses(void **state)
{
	const struct slice v[] = {SLICE_LIT("v")};
	struct object_attribute attributes[] = {{"mail", v, 1}, {"mail", v, 1}};
	struct object o = {.kind = GALR__KIND__KIND_USER,
	    .attributes = attributes,
	    .attribute_count = 2};
	struct buf b;
	struct err err;

	(void)state;
	buf_init(&b, LIMIT_OBJECT_BYTES);
	assert_int_equal(-1, object_encode(&o, scratch, &b, &err));
	attributes[0].name = "not a name";
	assert_int_equal(-1, object_encode(&o, scratch, &b, &err));
	o.attribute_count = 0;
	o.kind = GALR__KIND__KIND_UNSPECIFIED;
	assert_int_equal(-1, object_encode(&o, scratch, &b, &err));
	buf_fini(&b);
	/* one byte less room than it needs */
	o.kind = GALR__KIND__KIND_USER;
	buf_init(&b, 1);
	assert_int_equal(-1, object_encode(&o, scratch, &b, &err));
	assert_int_equal(ERR_LIMIT, err.class);
	buf_fini(&b);
}

static void
assert_references(
    const struct object_references *a, const struct object_references *b)
{
	assert_int_equal(a->manager == NULL, b->manager == NULL);
	if (a->manager != NULL)
		assert_memory_equal(a->manager, b->manager, ID_LEN);
	assert_int_equal(a->has_members, b->has_members);
	assert_int_equal(a->member_count, b->member_count);
	if (a->member_count > 0)
		assert_memory_equal(
		    a->members, b->members, a->member_count * ID_LEN);
	assert_int_equal(a->along, b->along);
}

/* Written, read, and put into a body that had others. */
static void
test_references(void **state)
{
	const struct slice mail[] = {SLICE_LIT("a")};
	const struct object_attribute attributes[] = {{"mail", mail, 1}};
	const struct id ids[3] = {{{1}}, {{2}}, {{2, 1}}};
	const struct object_references all[] = {{.manager = NULL},
	    {.manager = &ids[2]}, {.has_members = true}, {.along = true},
	    {&ids[0], ids, 3, true, false}, {&ids[1], ids + 1, 1, true, true}};
	const size_t n = sizeof(all) / sizeof(all[0]);
	struct object in = {.kind = GALR__KIND__KIND_GROUP,
	    .attributes = attributes,
	    .attribute_count = 1};
	struct object out;
	struct buf a, b, c;

	(void)state;
	buf_init(&a, LIMIT_OBJECT_BYTES);
	buf_init(&b, LIMIT_OBJECT_BYTES);
	buf_init(&c, LIMIT_OBJECT_BYTES);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			buf_reset(&a);
			buf_reset(&b);
			buf_reset(&c);
			in.references = all[i];
			assert_int_equal(
			    0, object_encode(&in, scratch, &a, NULL));
			assert_int_equal(0,
			    object_decode(buf_slice(&a), scratch, &out, NULL));
			assert_references(&all[i], &out.references);
			in.references = all[k];
			assert_int_equal(
			    0, object_encode(&in, scratch, &b, NULL));
			assert_int_equal(
			    0, object_references_replace(
				   buf_slice(&a), &all[k], &c, NULL));
			assert_true(slice_equal(buf_slice(&b), buf_slice(&c)));
		}
	/* out of order, twice, malformed */
	in.references = (struct object_references){
	    .members = (const struct id[]){{{2}}, {{1}}},
	    .member_count = 2,
	    .has_members = true};
	assert_int_equal(-1, object_encode(&in, scratch, &a, NULL));
	in.references.members = (const struct id[]){{{2}}, {{2}}};
	assert_int_equal(-1, object_encode(&in, scratch, &a, NULL));
	assert_int_equal(-1, object_references_replace(
				 SLICE_LIT("\x0a\x05"), &all[0], &c, NULL));
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

static int
decode(struct slice body)
{
	struct arena *arena = arena_new(LIMIT_OBJECT_UNPACK_BYTES);
	struct object out;
	struct err err;
	int rc;

	err_clear(&err);
	rc = object_decode(body, arena, &out, &err);
	if (rc < 0)
		assert_int_equal(ERR_BAD_DATA, err.class);
	arena_free(arena);
	return rc;
}

#define BODY "\x08\x01"
#define DECODE(s) decode(SLICE_LIT(s))

static void
test_decode_refuses(void **state)
{
	(void)state;
	assert_int_equal(0, DECODE(BODY));
	assert_int_equal(-1, DECODE(""));
	assert_int_equal(-1, DECODE("\x12\x01x")); /* no kind */
	assert_int_equal(-1, DECODE("\x08\x06"));  /* unknown kind */
	assert_int_equal(-1, DECODE(BODY BODY));   /* twice */
	assert_int_equal(0, DECODE(BODY "\x12\x03"
					"abc"));
	assert_int_equal(-1, DECODE(BODY "\x12\x03"
					 "a\0c"));
	assert_int_equal(-1, DECODE(BODY "\x12\x01\xff"));
	assert_int_equal(-1, DECODE(BODY "\x12\x04"
					 "abc")); /* cut */
	assert_int_equal(-1, DECODE(BODY "\x12\xff\xff\xff\xff\x0f"
					 "abc"));
	assert_int_equal(-1, DECODE(BODY "\x80"));
	assert_int_equal(-1, DECODE(BODY "\x03"));        /* group */
	assert_int_equal(-1, DECODE(BODY "\x00"));        /* field 0 */
	assert_int_equal(0, DECODE(BODY "\x98\x06\x01")); /* a newer field */
	assert_int_equal(0, DECODE(BODY "\x22\x06\x0a\x01m\x12\x01v"));
	assert_int_equal(-1, DECODE(BODY "\x22\x03\x0a\x01m")); /* no value */
	assert_int_equal(-1, DECODE(BODY "\x22\x03\x12\x01v")); /* no name */
	assert_int_equal(-1, DECODE(BODY "\x22\x05\x0a\x01m\x12\x00"));
	assert_int_equal(-1, DECODE(BODY "\x22\x06\x0a\x01 \x12\x01v"));
	assert_int_equal(
	    -1, DECODE(BODY "\x22\x09\x0a\x01m\x12\x01v\x12\x01v"));
	assert_int_equal(
	    -1, DECODE(BODY "\x22\x09\x0a\x01m\x12\x01v\x12\x01u"));
	assert_int_equal(0, DECODE(BODY "\x22\x09\x0a\x01m\x12\x01u\x12\x01v"));
	/* attributes not in ascending order, or twice */
	assert_int_equal(-1,
	    DECODE(
		BODY "\x22\x06\x0a\x01n\x12\x01v\x22\x06\x0a\x01m\x12\x01v"));
	assert_int_equal(-1,
	    DECODE(
		BODY "\x22\x06\x0a\x01m\x12\x01v\x22\x06\x0a\x01m\x12\x01v"));
	assert_int_equal(0,
	    DECODE(
		BODY "\x22\x06\x0a\x01m\x12\x01v\x22\x06\x0a\x01n\x12\x01v"));
}

#define ID_A "aaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbb"

static void
test_decode_refuses_references(void **state)
{
	(void)state;
	assert_int_equal(0, DECODE(BODY "\x2a\x10" ID_A));
	assert_int_equal(-1, DECODE(BODY "\x2a\x0f" ID_A)); /* short, rest */
	assert_int_equal(-1, DECODE(BODY "\x2a\x11" ID_A "a"));
	assert_int_equal(-1, DECODE(BODY "\x2a\x00"));
	assert_int_equal(-1, DECODE(BODY "\x28\x10")); /* no bytes */
	assert_int_equal(
	    -1, DECODE(BODY "\x2a\x10" ID_A "\x2a\x10" ID_B)); /* twice */
	assert_int_equal(0, DECODE(BODY "\x32\x00"));
	assert_int_equal(0, DECODE(BODY "\x32\x20" ID_A ID_B));
	assert_int_equal(-1, DECODE(BODY "\x32\x20" ID_B ID_A));
	assert_int_equal(-1, DECODE(BODY "\x32\x20" ID_A ID_A));
	assert_int_equal(-1, DECODE(BODY "\x32\x11" ID_A "b"));
	assert_int_equal(-1, DECODE(BODY "\x32\x00\x32\x00"));
	assert_int_equal(-1, DECODE(BODY "\x30\x00"));
	assert_int_equal(0, DECODE(BODY "\x38\x01"));
	assert_int_equal(-1, DECODE(BODY "\x38\x00"));
	assert_int_equal(-1, DECODE(BODY "\x38\x02"));
	assert_int_equal(-1, DECODE(BODY "\x38\x01\x38\x01"));
	assert_int_equal(-1, DECODE(BODY "\x3a\x01x"));
}

static void
body_members(struct buf *out, unsigned int n)
{
	struct buf ids;

	buf_reset(out);
	buf_init(&ids, LIMIT_OBJECT_BYTES);
	for (unsigned int i = 0; i < n; i++) {
		struct id id = {
		    {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

		buf_add(&ids, id_slice(&id));
	}
	pb_add_uint(out, 1, 3);
	pb_add_bytes(out, 6, buf_slice(&ids));
	assert_false(buf_failed(out));
	buf_fini(&ids);
}

static void
body_attributes(struct buf *out, unsigned int n, unsigned int values)
{
	struct buf a;
	unsigned int i, j;
	char text[16];

	buf_reset(out);
	pb_add_uint(out, 1, 1);
	for (i = 0; i < n; i++) {
		buf_init(&a, LIMIT_OBJECT_BYTES);
		(void)snprintf(text, sizeof(text), "a%05u", i);
		pb_add_bytes(&a, 1, slice_str(text));
		for (j = 0; j < values; j++) {
			(void)snprintf(text, sizeof(text), "%05u", j);
			pb_add_bytes(&a, 2, slice_str(text));
		}
		pb_add_bytes(out, 4, buf_slice(&a));
		buf_fini(&a);
	}
	assert_false(buf_failed(out));
}

static void
test_limits(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_OBJECT_BYTES + 1);
	body_attributes(&b, LIMIT_OBJECT_ATTRIBUTES, 1);
	assert_int_equal(0, decode(buf_slice(&b)));
	body_attributes(&b, LIMIT_OBJECT_ATTRIBUTES + 1, 1);
	assert_int_equal(-1, decode(buf_slice(&b)));
	body_attributes(&b, 1, LIMIT_OBJECT_VALUES);
	assert_int_equal(0, decode(buf_slice(&b)));
	body_attributes(&b, 1, LIMIT_OBJECT_VALUES + 1);
	assert_int_equal(-1, decode(buf_slice(&b)));
	body_members(&b, LIMIT_OBJECT_MEMBERS);
	assert_int_equal(0, decode(buf_slice(&b)));
	body_members(&b, LIMIT_OBJECT_MEMBERS + 1);
	assert_int_equal(-1, decode(buf_slice(&b)));
	buf_reset(&b);
	pb_add_uint(&b, 1, 1);
	buf_add_str(&b, "\x12\xf9\xff\x3f"); /* 1 MiB - 7 of source DN */
	memset(buf_reserve(&b, LIMIT_OBJECT_BYTES - b.len), 'x',
	    LIMIT_OBJECT_BYTES - 6);
	b.data[3] = (LIMIT_OBJECT_BYTES - 6) & 0x7f;
	b.data[3] |= 0x80;
	assert_int_equal(LIMIT_OBJECT_BYTES, b.len);
	b.data[4] = 0xff;
	b.data[5] = 0x3f;
	assert_int_equal(0, decode(buf_slice(&b)));
	buf_add_byte(&b, 'x');
	assert_int_equal(-1, decode(buf_slice(&b)));
	buf_fini(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),
	    TEST(test_standard_protobuf),
	    TEST(test_encode_refuses),
	    TEST(test_decode_refuses),
	    TEST(test_references),
	    TEST(test_decode_refuses_references),
	    TEST(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
