/* HPKE against the vectors of RFC 9180, appendix A, and a round trip with the
 * suite that GALR 1 uses. */
#include "tests/unit/wire_vectors.h"

#include "common/wire/hpke.h"

/* The nonces between the published ones are used up unseen. */
static void
hpke_skip_to(struct hpke_context *context, unsigned long sequence)
{
	assert_true(context->sequence <= sequence);
	context->sequence = sequence;
}

static void
hpke_check_setup(struct vectors *v, struct hpke_context *sender,
    struct hpke_context *receiver)
{
	enum crypto_aead aead = (enum crypto_aead)vectors_number(v, 1);
	uint8_t enc[32];

	assert_int_equal(0, hpke_setup_sender(aead, vectors_bytes(v, 5).data,
				vectors_bytes(v, 2), vectors_bytes(v, 3).data,
				sender, enc, NULL));
	assert_memory_equal(enc, vectors_bytes(v, 6).data, 32);
	assert_memory_equal(
	    sender->key, vectors_bytes(v, 7).data, vectors_bytes(v, 7).len);
	assert_memory_equal(sender->base_nonce, vectors_bytes(v, 8).data, 12);
	assert_memory_equal(
	    sender->exporter_secret, vectors_bytes(v, 9).data, 32);
	assert_int_equal(0,
	    hpke_setup_receiver(aead, vectors_bytes(v, 4).data,
		vectors_bytes(v, 6).data, vectors_bytes(v, 2), receiver, NULL));
	assert_memory_equal(sender, receiver, sizeof(*sender));
}

static void
hpke_check_seal(struct vectors *v, struct hpke_context *sender,
    struct hpke_context *receiver)
{
	struct slice plain = vectors_bytes(v, 2), cipher = vectors_bytes(v, 4);
	uint8_t out[128];

	assert_true(cipher.len <= sizeof(out));
	hpke_skip_to(sender, vectors_number(v, 1));
	hpke_skip_to(receiver, vectors_number(v, 1));
	assert_int_equal(
	    0, hpke_seal(sender, vectors_bytes(v, 3), plain, out, NULL));
	assert_memory_equal(out, cipher.data, cipher.len);
	assert_int_equal(
	    0, hpke_open(receiver, vectors_bytes(v, 3), cipher, out, NULL));
	assert_memory_equal(out, plain.data, plain.len);
}

static void
hpke_check_file(const char *path)
{
	struct hpke_context sender, receiver;
	unsigned int setups = 0, seals = 0, exports = 0;
	struct vectors v;
	uint8_t out[64];

	memset(&sender, 0, sizeof(sender));
	memset(&receiver, 0, sizeof(receiver));
	vectors_open(&v, path);
	while (vectors_next(&v)) {
		if (vectors_is(&v, 0, "setup")) {
			hpke_check_setup(&v, &sender, &receiver);
			setups++;
		} else if (vectors_is(&v, 0, "seal")) {
			hpke_check_seal(&v, &sender, &receiver);
			seals++;
		} else {
			assert_string_equal("export", v.fields[0]);
			assert_int_equal(32, vectors_number(&v, 2));
			assert_int_equal(
			    0, hpke_export(&receiver, vectors_bytes(&v, 1), out,
				   32, NULL));
			assert_memory_equal(out, vectors_bytes(&v, 3).data, 32);
			exports++;
		}
	}
	assert_int_equal(1, setups);
	assert_int_equal(6, seals);
	assert_int_equal(3, exports);
	vectors_close(&v);
}

static void
test_aes128gcm(void **state)
{
	(void)state;
	hpke_check_file("tests/vectors/hpke-aes128gcm.txt");
}

static void
test_chacha20poly1305(void **state)
{
	(void)state;
	hpke_check_file("tests/vectors/hpke-chacha20poly1305.txt");
}

/* Our suite: opens under the right key and info, and under no other. */
static void
test_aes256gcm(void **state)
{
	uint8_t mine[32], my_public[32], other[32], other_public[32];
	uint8_t enc[32], enc2[32], sealed[21], out[5];
	struct slice cipher = slice_make(sealed, sizeof(sealed));
	struct hpke_context s, r;

	(void)state;
	assert_int_equal(0, crypto_x25519_keypair(mine, my_public, NULL));
	assert_int_equal(0, crypto_x25519_keypair(other, other_public, NULL));
	assert_int_equal(0, hpke_setup_sender(CRYPTO_AES256_GCM, my_public,
				SLICE_LIT("info"), NULL, &s, enc, NULL));
	assert_int_equal(0,
	    hpke_seal(&s, SLICE_LIT("aad"), SLICE_LIT("hello"), sealed, NULL));
	assert_int_equal(0, hpke_setup_receiver(CRYPTO_AES256_GCM, mine, enc,
				SLICE_LIT("info"), &r, NULL));
	assert_int_equal(0, hpke_open(&r, SLICE_LIT("aad"), cipher, out, NULL));
	assert_memory_equal(out, "hello", 5);
	/* The nonce has moved on: the same message does not open again. */
	assert_int_equal(
	    -1, hpke_open(&r, SLICE_LIT("aad"), cipher, out, NULL));
	r.sequence = 0;
	assert_int_equal(
	    -1, hpke_open(&r, SLICE_LIT("AAD"), cipher, out, NULL));
	assert_int_equal(0, hpke_setup_receiver(CRYPTO_AES256_GCM, mine, enc,
				SLICE_LIT("inf0"), &r, NULL));
	assert_int_equal(
	    -1, hpke_open(&r, SLICE_LIT("aad"), cipher, out, NULL));
	assert_int_equal(0, hpke_setup_receiver(CRYPTO_AES256_GCM, other, enc,
				SLICE_LIT("info"), &r, NULL));
	assert_int_equal(
	    -1, hpke_open(&r, SLICE_LIT("aad"), cipher, out, NULL));
	/* Every encapsulation has an ephemeral key of its own. */
	assert_int_equal(0, hpke_setup_sender(CRYPTO_AES256_GCM, my_public,
				SLICE_LIT("info"), NULL, &s, enc2, NULL));
	assert_memory_not_equal(enc, enc2, 32);
	/* A low-order "encapsulation" is refused (RFC 9180 section 7.1.4). */
	memset(enc, 0, sizeof(enc));
	assert_int_equal(-1, hpke_setup_receiver(CRYPTO_AES256_GCM, mine, enc,
				 SLICE_LIT("info"), &r, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_aes128gcm),
	    cmocka_unit_test(test_chacha20poly1305),
	    cmocka_unit_test(test_aes256gcm),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
