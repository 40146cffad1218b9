/* Invitations: what one line carries, and what is derived from its secret. */
#include "tests/unit/wire_vectors.h"

#include "common/wire/invitation.h"

static struct invitation
invitation_make(void)
{
	struct invitation i;

	memset(&i, 0, sizeof(i));
	memset(i.realm.bytes, 1, ID_LEN);
	memset(i.hub_sign, 2, 32);
	memset(i.hub_decrypt, 3, 32);
	memset(i.hub_curve, 4, 32);
	memset(i.id.bytes, 0x5a, ID_LEN);
	memset(i.secret, 6, 32);
	i.expires_at = INT64_C(1700000000000);
	(void)snprintf(i.name, sizeof(i.name), "NORTH");
	(void)snprintf(i.address, sizeof(i.address), "tcp://hub.example:4710");
	return i;
}

static void
test_round_trip(void **state)
{
	struct invitation in = invitation_make(), out;
	struct buf text;

	(void)state;
	buf_init(&text, INVITATION_TEXT_MAX);
	buf_add_str(&text, " \t");
	assert_int_equal(0, invitation_encode(&in, &text, NULL));
	buf_add_str(&text, "\r\n");
	assert_int_equal(0, invitation_decode(buf_slice(&text), &out, NULL));
	assert_memory_equal(&in, &out, sizeof(in));
	buf_fini(&text);
}

/* One wrong, missing or added character is noticed. */
static void
test_damaged(void **state)
{
	struct invitation in = invitation_make(), out;
	struct buf text;
	struct err err;
	size_t i;

	(void)state;
	buf_init(&text, INVITATION_TEXT_MAX);
	assert_int_equal(0, invitation_encode(&in, &text, NULL));
	for (i = 0; i < text.len; i++) {
		uint8_t was = text.data[i];

		assert_int_equal(-1,
		    invitation_decode(slice_make(text.data, i), &out, NULL));
		text.data[i] = was == 'B' ? 'C' : 'B';
		if (i >= strlen(INVITATION_PREFIX)) {
			assert_int_equal(-1,
			    invitation_decode(buf_slice(&text), &out, &err));
			assert_int_equal(ERR_BAD_DATA, err.class);
		}
		text.data[i] = was;
	}
	buf_add_byte(&text, 'A');
	assert_int_equal(-1, invitation_decode(buf_slice(&text), &out, NULL));
	buf_fini(&text);
}

static void
test_limits(void **state)
{
	struct invitation in = invitation_make();
	struct buf text;
	struct err err;

	(void)state;
	buf_init(&text, INVITATION_TEXT_MAX);
	in.name[0] = '\0';
	assert_int_equal(-1, invitation_encode(&in, &text, &err));
	assert_int_equal(ERR_CONFIG, err.class);
	memset(in.name, 'n', 63);
	memset(in.address, 'a', INVITATION_ADDRESS_MAX);
	in.address[INVITATION_ADDRESS_MAX] = '\0';
	assert_int_equal(0, invitation_encode(&in, &text, NULL));
	in.address[0] = '\0';
	assert_int_equal(-1, invitation_encode(&in, &text, NULL));
	buf_fini(&text);
}

/* Keys differ by purpose, by secret and by id; both sides agree. */
static void
test_derived(void **state)
{
	struct invitation a = invitation_make(), b = invitation_make();
	struct key_pair curve, sign, other;
	uint8_t public_key[32];
	char peer[INVITATION_PEER_SIZE];

	(void)state;
	assert_int_equal(0, invitation_curve(&a, &curve, NULL));
	assert_int_equal(0, invitation_sign(&a, &sign, NULL));
	assert_memory_not_equal(curve.private_key, sign.private_key, 32);
	assert_int_equal(
	    0, crypto_x25519_public(curve.private_key, public_key, NULL));
	assert_memory_equal(public_key, curve.public_key, 32);
	assert_int_equal(
	    0, crypto_ed25519_public(sign.private_key, public_key, NULL));
	assert_memory_equal(public_key, sign.public_key, 32);
	assert_int_equal(0, invitation_curve(&b, &other, NULL));
	assert_memory_equal(&curve, &other, sizeof(curve));
	b.id.bytes[0] ^= 1;
	assert_int_equal(0, invitation_curve(&b, &other, NULL));
	assert_memory_not_equal(curve.private_key, other.private_key, 32);
	assert_string_equal("join-5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
	    invitation_peer(&a.id, peer));
}

/* The MAC covers the request, the realm and the hub's keys. */
static void
test_mac(void **state)
{
	struct invitation a = invitation_make(), b = invitation_make();
	Galr__JoinRequest r = GALR__JOIN_REQUEST__INIT;
	uint8_t one[32], two[32], bytes[32] = {9};

	(void)state;
	r.name = (char *)"NORTH";
	r.invitation = (ProtobufCBinaryData){ID_LEN, a.id.bytes};
	assert_int_equal(0, invitation_mac(&a, &r, one, NULL));
	r.mac = (ProtobufCBinaryData){32, bytes}; /* itself apart */
	assert_int_equal(0, invitation_mac(&a, &r, two, NULL));
	assert_memory_equal(one, two, 32);
	r.instance = (ProtobufCBinaryData){16, bytes};
	assert_int_equal(0, invitation_mac(&a, &r, two, NULL));
	assert_memory_not_equal(one, two, 32);
	r.instance.len = 0;
	b.hub_curve[0] ^= 1;
	assert_int_equal(0, invitation_mac(&b, &r, two, NULL));
	assert_memory_not_equal(one, two, 32);
	b = invitation_make();
	b.realm.bytes[0] ^= 1;
	assert_int_equal(0, invitation_mac(&b, &r, two, NULL));
	assert_memory_not_equal(one, two, 32);
	b = invitation_make();
	b.secret[0] ^= 1;
	assert_int_equal(0, invitation_mac(&b, &r, two, NULL));
	assert_memory_not_equal(one, two, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_derived),
	    cmocka_unit_test(test_mac),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
