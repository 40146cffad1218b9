/* Envelopes: every check of PROTOCOL.md before the content; test_wire_craft.c
 * has the others. */
#include "tests/unit/wire_opening.h"

#include "common/base/mem.h"

/* A publish of NORTH to the hub. */
static struct envelope_seal_options
seal_options(const struct envelope_recipient *to)
{
	return (struct envelope_seal_options){.type = T(PUBLISH),
	    .realm = realm.id,
	    .sender = "NORTH",
	    .recipients = to,
	    .recipient_count = 1,
	    .sequence = 5,
	    .issued_at = REALM_NOW,
	    .not_after = REALM_NOW + 1000,
	    .sign_key = &realm.north.keys.sign_active};
}

static void
seal(const struct envelope_seal_options *options, struct slice payload,
    struct buf *out)
{
	struct err err;

	buf_init(out, LIMIT_ENVELOPE_BYTES);
	if (envelope_seal(options, payload, out, &err) < 0)
		fail_msg("%s", err.message);
}

/* Seals with the options, opens at the hub. */
static int
seal_and_open(const struct envelope_seal_options *options)
{
	struct buf file;
	int code;

	seal(options, PAYLOAD, &file);
	code = open_at_hub(buf_slice(&file));
	buf_fini(&file);
	return code;
}

static void
test_round_trip(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct envelope_open_options open = hub_options();
	struct buf file, big;
	struct envelope e;
	uint8_t digest[32];
	size_t i;

	(void)state;
	seal(&options, PAYLOAD, &file);
	assert_int_equal(0, envelope_open(buf_slice(&file), &open, &e, NULL));
	assert_int_equal(T(PUBLISH), e.type);
	assert_string_equal("NORTH", e.sender);
	assert_int_equal(5, e.sequence);
	assert_int_equal(REALM_NOW, e.issued_at);
	assert_memory_equal(
	    e.signer, realm.north.keys.sign_active.public_key, 32);
	memcpy(digest, e.hash, 32);
	envelope_fini(&e);
	assert_int_equal(0, envelope_peek(buf_slice(&file), &e, NULL));
	assert_string_equal("NORTH", e.sender);
	assert_memory_equal(digest, e.hash, 32);
	envelope_fini(&e);
	buf_fini(&file);

	/* many chunks, stored (random) and packed */
	buf_init(&big, LIMIT_PAYLOAD_BYTES);
	assert_int_equal(
	    0, crypto_random(buf_reserve(&big, 200000), 200000, NULL));
	seal(&options, buf_slice(&big), &file);
	assert_int_equal(
	    CHECK_OK, open_with(buf_slice(&file), &open, buf_slice(&big)));
	buf_fini(&file);
	for (i = 0; i < 100000; i++)
		buf_addf(&big, "line %zu\n", i * 7919 % 100003);
	seal(&options, buf_slice(&big), &file);
	assert_true(file.len < big.len);
	assert_int_equal(
	    CHECK_OK, open_with(buf_slice(&file), &open, buf_slice(&big)));
	buf_fini(&file);
	/* so monotonous that it must be stored */
	buf_reset(&big);
	memset(buf_reserve(&big, LIMIT_PAYLOAD_BYTES), 0, LIMIT_PAYLOAD_BYTES);
	seal(&options, buf_slice(&big), &file);
	assert_int_equal(
	    CHECK_OK, open_with(buf_slice(&file), &open, buf_slice(&big)));
	buf_fini(&file);
	buf_fini(&big);
}

static void
test_seal_refuses(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct buf out, big;

	(void)state;
	buf_init(&out, LIMIT_ENVELOPE_BYTES);
	buf_init(&big, LIMIT_PAYLOAD_BYTES + 1);
	memset(buf_reserve(&big, big.max), 0, big.max);
	assert_int_equal(-1, envelope_seal(&options, SLICE_NULL, &out, NULL));
	assert_int_equal(
	    -1, envelope_seal(&options, buf_slice(&big), &out, NULL));
	options.sequence = 0;
	assert_int_equal(-1, envelope_seal(&options, PAYLOAD, &out, NULL));
	options.sequence = 1;
	options.not_after = options.issued_at + LIMIT_ENVELOPE_LIFE_MS + 1;
	assert_int_equal(-1, envelope_seal(&options, PAYLOAD, &out, NULL));
	options.not_after--;
	assert_int_equal(0, envelope_seal(&options, PAYLOAD, &out, NULL));
	buf_fini(&out);
	buf_fini(&big);
}

/* One recipient's wraps do not concern the others. */
static void
test_recipients(void **state)
{
	struct envelope_recipient to[LIMIT_RECIPIENTS + 1];
	struct envelope_seal_options options = seal_options(to);
	struct envelope_open_options open = hub_options();
	struct buf file;
	size_t i;

	(void)state;
	for (i = 0; i < LIMIT_RECIPIENTS; i++)
		to[i] = realm_recipient(i == 7 ? &realm.hub : &realm.north);
	options.recipient_count = LIMIT_RECIPIENTS;
	seal(&options, PAYLOAD, &file);
	assert_int_equal(CHECK_OK, open_at_hub(buf_slice(&file)));
	open.me = "south";
	open.keys = &realm.south.keys;
	assert_int_equal(
	    CHECK_RECIPIENT, open_with(buf_slice(&file), &open, PAYLOAD));
	/* right name, but sealed to a key that is gone */
	open.me = "north";
	assert_int_equal(
	    CHECK_RECIPIENT, open_with(buf_slice(&file), &open, PAYLOAD));
	open.keys = &realm.north.keys;
	assert_int_equal(CHECK_OK, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
	options.recipient_count++;
	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	to[LIMIT_RECIPIENTS] = to[0];
	assert_int_equal(-1, envelope_seal(&options, PAYLOAD, &file, NULL));
	buf_fini(&file);
}

/* After a rotation the previous decryption key still opens. */
static void
test_previous_key(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct keys rotated = realm.hub.keys;
	struct envelope_open_options open = hub_options();
	struct buf file;

	(void)state;
	open.keys = &rotated;
	rotated.decrypt_previous = rotated.decrypt_active;
	realm_pair(&rotated.decrypt_active, "x25519", 0x55);
	seal(&options, PAYLOAD, &file);
	assert_int_equal(CHECK_OK, open_with(buf_slice(&file), &open, PAYLOAD));
	rotated.decrypt_previous.present = false;
	assert_int_equal(
	    CHECK_RECIPIENT, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
}

/* --- what a carrier can do --- */

static void
test_flip_every_bit(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct buf file;
	size_t i;

	(void)state;
	seal(&options, PAYLOAD, &file);
	for (i = 0; i < file.len; i++) {
		file.data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_not_equal(CHECK_OK, open_at_hub(buf_slice(&file)));
		file.data[i] ^= (uint8_t)(1u << i % 8);
		file.data[i] = (uint8_t)~file.data[i];
		assert_int_not_equal(CHECK_OK, open_at_hub(buf_slice(&file)));
		file.data[i] = (uint8_t)~file.data[i];
	}
	/* nothing of that stuck: the good one is accepted */
	assert_int_equal(CHECK_OK, open_at_hub(buf_slice(&file)));
	buf_fini(&file);
}

static void
test_truncate_and_extend(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct buf file;
	size_t i;

	(void)state;
	seal(&options, PAYLOAD, &file);
	for (i = 0; i < file.len; i++) {
		/* a copy of exactly that size, for ASan */
		uint8_t *copy = mem_alloc(i + 1);

		memcpy(copy, file.data, i);
		assert_int_not_equal(
		    CHECK_OK, open_at_hub(slice_make(copy, i)));
		free(copy);
	}
	buf_add_byte(&file, 0);
	assert_int_equal(CHECK_LENGTH, open_at_hub(buf_slice(&file)));
	buf_fini(&file);
}

static void
test_size(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct buf file;

	(void)state;
	seal(&options, PAYLOAD, &file);
	file.max = LIMIT_ENVELOPE_BYTES + 1;
	memset(buf_reserve(&file, LIMIT_ENVELOPE_BYTES - file.len), 0, 1);
	assert_int_equal(LIMIT_ENVELOPE_BYTES, file.len);
	assert_int_equal(CHECK_LENGTH, open_at_hub(buf_slice(&file)));
	buf_add_byte(&file, 0);
	assert_int_equal(CHECK_SIZE, open_at_hub(buf_slice(&file)));
	buf_fini(&file);
	/* 4 GiB of header; a header at its cap and above */
	assert_int_equal(
	    CHECK_SIZE, open_at_hub(SLICE_LIT("GALR\x01\xff\xff\xff\xff")));
	assert_int_equal(
	    CHECK_SIZE, open_at_hub(SLICE_LIT("GALR\x01\x00\x01\x00\x01")));
	assert_int_equal(
	    CHECK_HEADER, open_at_hub(SLICE_LIT("GALR\x01\x00\x01\x00\x00")));
	assert_int_equal(
	    CHECK_HEADER, open_at_hub(SLICE_LIT("GALR\x01\x00\x00\x00\x00")));
	assert_int_equal(CHECK_MAGIC, open_at_hub(SLICE_NULL));
	assert_int_equal(CHECK_MAGIC, open_at_hub(SLICE_LIT("GALR")));
	assert_int_equal(
	    CHECK_MAGIC, open_at_hub(SLICE_LIT("GALR\x02\x00\x00\x00\x01")));
}

/* --- senders and keys --- */

static void
test_sender(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct key_pair fake = realm.north.keys.sign_active;

	(void)state;
	assert_int_equal(CHECK_OK, seal_and_open(&options));
	options.sender = "EAST";
	assert_int_equal(CHECK_SENDER_UNKNOWN, seal_and_open(&options));
	options.sender = "NORTH";
	/* signed by another member's key; by a decryption key */
	options.sign_key = &realm.south.keys.sign_active;
	assert_int_equal(CHECK_KEY_UNKNOWN, seal_and_open(&options));
	options.sign_key = &realm.north.keys.decrypt_active;
	assert_int_equal(CHECK_KEY_UNKNOWN, seal_and_open(&options));
	/* names NORTH's key, signs with another */
	memset(fake.private_key, 9, 32);
	options.sign_key = &fake;
	assert_int_equal(CHECK_SIGNATURE, seal_and_open(&options));
	options.sign_key = &realm.north.keys.sign_active;

	realm_revoke_key(&realm, &realm.north.keys.sign_active);
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_int_equal(CHECK_KEY_REVOKED, seal_and_open(&options));
	realm.message.n_revoked_keys = 0;
	realm.north.message.revoked = true;
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_int_equal(CHECK_SENDER_REVOKED, seal_and_open(&options));
	realm.north.message.revoked = false;
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_int_equal(CHECK_OK, seal_and_open(&options));
}

static void
test_role(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);

	(void)state;
	options.type = T(BUNDLE); /* only the hub sends bundles */
	assert_int_equal(CHECK_ROLE, seal_and_open(&options));
	options.type = T(WELCOME);
	assert_int_equal(CHECK_ROLE, seal_and_open(&options));
	options.sender = "";
	options.sign_key = &realm.hub.keys.sign_active;
	options.type = T(PUBLISH);
	assert_int_equal(CHECK_ROLE, seal_and_open(&options));
	options.type = T(ACK);
	assert_int_equal(CHECK_ROLE, seal_and_open(&options));
}

/* Revoked, bad and for somebody else: the earliest check speaks. */
static void
test_order(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.south);
	struct envelope_seal_options options = seal_options(&to);
	struct key_pair fake = realm.north.keys.sign_active;

	(void)state;
	memset(fake.private_key, 9, 32);
	options.realm.bytes[0] ^= 1;
	options.type = T(BUNDLE);
	options.issued_at -= 10000;
	options.not_after = options.issued_at + 1;
	options.sign_key = &fake;
	assert_int_equal(CHECK_ROLE, seal_and_open(&options));
	options.type = 20; /* unknown types have no role */
	assert_int_equal(CHECK_SIGNATURE, seal_and_open(&options));
	options.sign_key = &realm.north.keys.sign_active;
	assert_int_equal(CHECK_REALM, seal_and_open(&options));
	options.realm.bytes[0] ^= 1;
	assert_int_equal(CHECK_RECIPIENT, seal_and_open(&options));
	to = realm_recipient(&realm.hub);
	assert_int_equal(CHECK_TYPE, seal_and_open(&options));
	options.type = T(PUBLISH);
	seen_last.sequence = 6;
	assert_int_equal(CHECK_EXPIRED, seal_and_open(&options));
	options.not_after = REALM_NOW + 1;
	assert_int_equal(CHECK_LATE, seal_and_open(&options));
}

static void
test_type(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct envelope_open_options open = hub_options();
	struct buf file;

	(void)state;
	open.types = TYPE_BIT(ACK);
	seal(&options, PAYLOAD, &file);
	assert_int_equal(
	    CHECK_TYPE, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
	options.type = 31;
	assert_int_equal(CHECK_TYPE, seal_and_open(&options));
	options.type = 32;
	assert_int_equal(CHECK_TYPE, seal_and_open(&options));
	options.type = 33; /* 1 << 33 must not look like 1 << 1 */
	assert_int_equal(CHECK_TYPE, seal_and_open(&options));
}

static void
test_times(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);

	(void)state;
	options.issued_at = REALM_NOW + LIMIT_SKEW_MS;
	options.not_after = options.issued_at + 1;
	assert_int_equal(CHECK_OK, seal_and_open(&options));
	options.issued_at++;
	options.not_after++;
	assert_int_equal(CHECK_FUTURE, seal_and_open(&options));
	options.issued_at = REALM_NOW - 1000;
	options.not_after = REALM_NOW;
	assert_int_equal(CHECK_OK, seal_and_open(&options));
	options.not_after--;
	assert_int_equal(CHECK_EXPIRED, seal_and_open(&options));
}

static void
test_sequence(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct envelope_open_options open = hub_options();
	struct envelope e;
	struct err err;
	struct buf file;

	(void)state;
	seal(&options, PAYLOAD, &file);
	assert_int_equal(0, envelope_open(buf_slice(&file), &open, &e, NULL));
	seen_last.sequence = e.sequence;
	memcpy(seen_last.hash, e.hash, 32);
	envelope_fini(&e);
	/* a replay is known, and says whose and which it is */
	assert_int_equal(-1, envelope_open(buf_slice(&file), &open, &e, &err));
	assert_int_equal(CHECK_DUPLICATE, err.code);
	assert_string_equal("NORTH", e.sender);
	assert_int_equal(5, e.sequence);
	envelope_fini(&e);
	/* another one under the same sequence (fresh keys: other bytes) */
	assert_int_equal(CHECK_EQUIVOCATION, seal_and_open(&options));
	options.sequence = 4;
	assert_int_equal(CHECK_LATE, seal_and_open(&options));
	options.sequence = 6;
	assert_int_equal(CHECK_OK, seal_and_open(&options));
	assert_int_equal(7, envelope_next(6, 1));
	assert_int_equal(1000, envelope_next(6, 1000));
	assert_int_equal(1, envelope_next(0, -5));
	buf_fini(&file);
}

/* --- join and welcome --- */

static void
test_join(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	struct envelope_seal_options options = seal_options(&to);
	struct envelope_open_options open = hub_options();
	struct key_pair invited;
	struct buf file;

	(void)state;
	realm_pair(&invited, "ed25519", 0x71);
	open.types = TYPE_BIT(JOIN);
	open.seen = NULL;
	options.type = T(JOIN);
	options.sender = "EAST";
	options.sign_key = &invited;
	seal(&options, PAYLOAD, &file);
	assert_int_equal(
	    CHECK_SENDER_UNKNOWN, open_with(buf_slice(&file), &open, PAYLOAD));
	open.sender_key = invited.public_key;
	assert_int_equal(CHECK_OK, open_with(buf_slice(&file), &open, PAYLOAD));
	open.registry = NULL;
	assert_int_equal(CHECK_OK, open_with(buf_slice(&file), &open, PAYLOAD));
	open.sender_key = realm.south.keys.sign_active.public_key;
	assert_int_equal(
	    CHECK_KEY_UNKNOWN, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
	/* the invitation's key opens no other type */
	open = hub_options();
	open.sender_key = invited.public_key;
	options.type = T(PUBLISH);
	seal(&options, PAYLOAD, &file);
	assert_int_equal(
	    CHECK_SENDER_UNKNOWN, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
}

static void
test_bundle_and_welcome(void **state)
{
	struct envelope_recipient to = realm_recipient(&realm.south);
	struct envelope_seal_options options = seal_options(&to);
	struct envelope_open_options open = hub_options();
	struct buf file;

	(void)state;
	open.me = "SOUTH";
	open.keys = &realm.south.keys;
	open.types = TYPE_BIT(BUNDLE) | TYPE_BIT(WELCOME);
	open.seen = NULL;
	options.sender = "";
	options.type = T(BUNDLE);
	options.sign_key = &realm.hub.keys.sign_active;
	seal(&options, PAYLOAD, &file);
	assert_int_equal(CHECK_OK, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
	options.type = T(WELCOME);
	open.registry = NULL;
	open.sender_key = realm.hub.keys.sign_active.public_key;
	seal(&options, PAYLOAD, &file);
	assert_int_equal(CHECK_OK, open_with(buf_slice(&file), &open, PAYLOAD));
	buf_fini(&file);
}

static void
test_check_names(void **state)
{
	int i, j;

	(void)state;
	for (i = 0; i < CHECK_COUNT; i++) {
		assert_non_null(envelope_check_name((enum envelope_check)i));
		for (j = 0; j < i; j++)
			assert_string_not_equal(
			    envelope_check_name((enum envelope_check)i),
			    envelope_check_name((enum envelope_check)j));
	}
	assert_string_equal("unknown", envelope_check_name(CHECK_COUNT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    REALM_TEST(test_round_trip),
	    REALM_TEST(test_seal_refuses),
	    REALM_TEST(test_recipients),
	    REALM_TEST(test_previous_key),
	    REALM_TEST(test_flip_every_bit),
	    REALM_TEST(test_truncate_and_extend),
	    REALM_TEST(test_size),
	    REALM_TEST(test_sender),
	    REALM_TEST(test_role),
	    REALM_TEST(test_order),
	    REALM_TEST(test_type),
	    REALM_TEST(test_times),
	    REALM_TEST(test_sequence),
	    REALM_TEST(test_join),
	    REALM_TEST(test_bundle_and_welcome),
	    cmocka_unit_test(test_check_names),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
