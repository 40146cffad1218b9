/* Payloads, the memory that unpacking may take, and section keys in bundles. */
#include "tests/unit/wire_vectors.h"
#include "tests/unit/wire_realm.h"

#include "common/base/mem.h"
#include "common/wire/pb.h"

static uint8_t bytes[64] = {1, 2, 3};

struct sample {
	Galr__Payload payload;
	Galr__Tuple tuple, *tuples[1];
	Galr__SignedManifest manifest;
	Galr__Holding holding, *holdings[1];
	char *wants[2];
};

#define DATA(n) ((ProtobufCBinaryData){(n), bytes})

static void
sample_init(struct sample *s)
{
	galr__payload__init(&s->payload);
	galr__tuple__init(&s->tuple);
	galr__signed_manifest__init(&s->manifest);
	galr__holding__init(&s->holding);
	s->manifest.manifest = DATA(10);
	s->manifest.key_id = DATA(16);
	s->manifest.signature = DATA(64);
	s->tuple.manifest = &s->manifest;
	s->tuple.base_version = 3;
	s->tuple.section_sha256 = DATA(32);
	s->tuple.section_length = 99;
	s->tuple.section_key = DATA(48);
	s->tuples[0] = &s->tuple;
	s->payload.tuples = s->tuples;
	s->payload.n_tuples = 1;
	s->holding.member = (char *)"NORTH";
	s->holding.stream = (char *)"staff";
	s->holding.root = DATA(32);
	s->holdings[0] = &s->holding;
	s->payload.holdings = s->holdings;
	s->payload.n_holdings = 1;
	s->wants[0] = (char *)"*";
	s->wants[1] = (char *)"NORTH/staff";
	s->payload.wants = s->wants;
	s->payload.n_wants = 2;
	s->payload.instance = DATA(16);
	s->payload.kek_enc = DATA(32);
	s->payload.kek_key_id = DATA(16);
}

static int
sample_check(const struct sample *s)
{
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	Galr__Payload *out;
	struct buf b;
	struct err err;
	int rc;

	err_clear(&err);
	buf_init(&b, LIMIT_PAYLOAD_BYTES);
	assert_int_equal(0, payload_pack(&s->payload, &b, NULL));
	rc = payload_unpack(buf_slice(&b), arena, &out, &err);
	if (rc == 0) {
		assert_int_equal(s->payload.n_tuples, out->n_tuples);
	} else {
		assert_null(out);
		assert_int_equal(CHECK_PAYLOAD, err.code);
	}
	buf_fini(&b);
	arena_free(arena);
	return rc;
}

#define REFUSED(change)                                                        \
	do {                                                                   \
		sample_init(&s);                                               \
		change;                                                        \
		assert_int_equal(-1, sample_check(&s));                        \
	} while (0)

static void
test_checks(void **state)
{
	struct sample s;
	char *long_text = mem_calloc(1, LIMIT_REFUSAL_CHARS + 2);

	(void)state;
	sample_init(&s);
	assert_int_equal(0, sample_check(&s));
	REFUSED(s.tuple.manifest = NULL);
	REFUSED(s.manifest.manifest.len = 0);
	REFUSED(s.manifest.key_id.len = 15);
	REFUSED(s.manifest.signature.len = 63);
	REFUSED(s.tuple.section_sha256.len = 31);
	REFUSED(s.tuple.section_sha256.len = 0);
	REFUSED(s.tuple.section_length = 0);
	REFUSED(s.tuple.section_length = LIMIT_SECTION_BYTES + 1);
	REFUSED(s.tuple.section_key.len = 0);
	REFUSED(s.tuple.section_key.len = 33);
	REFUSED(s.holding.member = (char *)"..");
	REFUSED(s.holding.stream = (char *)"a/b");
	REFUSED(s.holding.root.len = 31);
	REFUSED(s.wants[1] = (char *)"N*");
	REFUSED(s.payload.instance.len = 15);
	REFUSED(s.payload.kek_enc.len = 31);
	REFUSED(s.payload.kek_key_id.len = 0);
	memset(long_text, 'x', LIMIT_REFUSAL_CHARS + 1);
	REFUSED(s.holding.refusal = long_text);
	long_text[LIMIT_REFUSAL_CHARS] = '\0';
	sample_init(&s);
	s.holding.refusal = long_text;
	assert_int_equal(0, sample_check(&s));
	sample_init(&s);
	s.tuple.section_length = LIMIT_SECTION_BYTES;
	s.tuple.section_key.len = 32;
	assert_int_equal(0, sample_check(&s));
	/* a refresh: no section at all */
	s.tuple.section_sha256.len = 0;
	s.tuple.section_key.len = 0;
	s.tuple.section_length = 0;
	assert_int_equal(0, sample_check(&s));
	free(long_text);
}

static void
test_limits(void **state)
{
	static Galr__Tuple *tuples[LIMIT_TUPLES + 1];
	static Galr__Holding *holdings[LIMIT_TUPLES + 1];
	static char *wants[LIMIT_WANTS + 1];
	struct sample s;
	size_t i;

	(void)state;
	sample_init(&s);
	for (i = 0; i <= LIMIT_TUPLES; i++) {
		tuples[i] = &s.tuple;
		holdings[i] = &s.holding;
	}
	for (i = 0; i <= LIMIT_WANTS; i++)
		wants[i] = (char *)"NORTH";
	s.payload.tuples = tuples;
	s.payload.n_tuples = LIMIT_TUPLES;
	s.payload.holdings = holdings;
	s.payload.n_holdings = LIMIT_TUPLES;
	s.payload.wants = wants;
	s.payload.n_wants = LIMIT_WANTS;
	assert_int_equal(0, sample_check(&s));
	s.payload.n_tuples++;
	assert_int_equal(-1, sample_check(&s));
	s.payload.n_tuples--;
	s.payload.n_holdings++;
	assert_int_equal(-1, sample_check(&s));
	s.payload.n_holdings--;
	s.payload.n_wants++;
	assert_int_equal(-1, sample_check(&s));
}

/* Whatever is refused is refused before the arena gives a byte. */
static void
assert_costs_nothing(struct slice message, enum err_class expected)
{
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	Galr__Payload *out;
	struct err err;

	err_clear(&err);
	assert_int_equal(-1, payload_unpack(message, arena, &out, &err));
	assert_int_equal(expected, err.class);
	assert_int_equal(0, arena_used(arena));
	arena_free(arena);
}

static void
test_bombs(void **state)
{
	struct slice fill[] = {
	    SLICE_LIT("\x0a\x00"),         /* millions of tuples */
	    SLICE_LIT("\x0a\x02\x0a\x00"), /* with a manifest each */
	    SLICE_LIT("\x20\x01"),         /* one number over and over */
	    SLICE_LIT("\xfa\x7f\x00"),     /* fields of the future */
	    SLICE_LIT("\x4a\x00"),
	};
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, LIMIT_PAYLOAD_BYTES);
	for (i = 0; i < sizeof(fill) / sizeof(fill[0]); i++) {
		buf_reset(&b);
		while (b.len + fill[i].len <= LIMIT_PAYLOAD_BYTES)
			buf_add(&b, fill[i]);
		assert_costs_nothing(buf_slice(&b), ERR_LIMIT);
	}
	/* nested as deep as bytes allow: unknown fields are not entered, known
	 * ones end after two levels */
	buf_reset(&b);
	for (i = 0; i < 100000; i++)
		buf_add_str(&b, "\x0a\xff\xff\xff\x7f");
	assert_costs_nothing(buf_slice(&b), ERR_BAD_DATA);
	assert_costs_nothing(
	    SLICE_LIT("\x0a\xff\xff\xff\xff\x0f"), ERR_BAD_DATA);
	assert_costs_nothing(SLICE_LIT("\x0b"), ERR_BAD_DATA);
	assert_costs_nothing(
	    SLICE_LIT("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	    ERR_BAD_DATA);
	/* a text with NUL, a text that is none */
	assert_costs_nothing(SLICE_LIT("\x1a\x02"
				       "a\0"),
	    ERR_BAD_DATA);
	assert_costs_nothing(SLICE_LIT("\x1a\x01\xc0"), ERR_BAD_DATA);
	buf_fini(&b);
}

/* The budget is an upper bound of what protobuf-c really takes. */
static void
test_budget_holds(void **state)
{
	const struct pb_unpack_options options = {
	    &galr__payload__descriptor, NULL, LIMIT_UNPACK_BYTES, "payload"};
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	struct err err = {ERR_NONE, 0, 0, ""};
	struct buf b;
	size_t n;

	(void)state;
	buf_init(&b, LIMIT_PAYLOAD_BYTES);
	for (n = 1000; n < 400000; n = n * 3 / 2) {
		buf_reset(&b);
		while (b.len < n)
			buf_add(&b, SLICE_LIT("\x0a\x04\x0a\x02\x0a\x00"));
		arena_reset(arena);
		if (pb_unpack(&options, buf_slice(&b), arena, &err) == NULL)
			break;
	}
	/* The scan refused, never the arena within the budget. */
	assert_true(n > 1000 && n < 400000 * 3);
	assert_int_not_equal(ERR_BAD_DATA, err.class);
	buf_fini(&b);
	arena_free(arena);
}

static void
test_section_keys(void **state)
{
	static const uint8_t hash[32] = {1}, other[32] = {2}, key[32] = {3};
	uint8_t enc[32], wrapped[CRYPTO_WRAPPED_LEN], out[32];
	struct slice w = slice_make(wrapped, sizeof(wrapped));
	struct envelope_recipient to;
	struct bundle_kek mine, theirs;
	struct realm realm;
	struct id no_key = {{9}};
	struct err err;

	(void)state;
	realm_init(&realm);
	to = realm_recipient(&realm.south);
	assert_int_equal(
	    0, bundle_kek_make(&to, &realm.id, 5, &mine, enc, NULL));
	assert_int_equal(
	    0, bundle_key_wrap(&mine, 7, hash, key, wrapped, NULL));
	assert_int_equal(
	    0, bundle_kek_open(&realm.south.keys, &to.key_id, enc,
		   &(const struct bundle_kek_place){&realm.id, "SOUTH", 5},
		   &theirs, NULL));
	assert_int_equal(0, bundle_key_unwrap(&theirs, 7, hash, w, out, NULL));
	assert_memory_equal(key, out, 32);
	/* moved to another place, or to another section */
	assert_int_equal(-1, bundle_key_unwrap(&theirs, 8, hash, w, out, &err));
	assert_int_equal(CHECK_UNWRAP, err.code);
	assert_int_equal(
	    -1, bundle_key_unwrap(&theirs, 7, other, w, out, NULL));
	w.len--;
	assert_int_equal(-1, bundle_key_unwrap(&theirs, 7, hash, w, out, NULL));
	w.len++;
	/* another bundle, another target, another realm's key */
	assert_int_equal(
	    0, bundle_kek_open(&realm.south.keys, &to.key_id, enc,
		   &(const struct bundle_kek_place){&realm.id, "SOUTH", 6},
		   &theirs, NULL));
	assert_int_equal(-1, bundle_key_unwrap(&theirs, 7, hash, w, out, NULL));
	assert_int_equal(
	    0, bundle_kek_open(&realm.south.keys, &to.key_id, enc,
		   &(const struct bundle_kek_place){&realm.id, "NORTH", 5},
		   &theirs, NULL));
	assert_int_equal(-1, bundle_key_unwrap(&theirs, 7, hash, w, out, NULL));
	assert_int_equal(
	    -1, bundle_kek_open(&realm.south.keys, &no_key, enc,
		    &(const struct bundle_kek_place){&realm.id, "SOUTH", 5},
		    &theirs, &err));
	assert_int_equal(CHECK_UNWRAP, err.code);
	realm_fini(&realm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_checks),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_bombs),
	    cmocka_unit_test(test_budget_holds),
	    cmocka_unit_test(test_section_keys),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
