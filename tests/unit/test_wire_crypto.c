/* The primitives against Project Wycheproof, and our own constructions. */
#include "tests/unit/wire_vectors.h"

#include "common/wire/chunk.h"
#include "common/wire/crypto.h"

static void
test_aes_gcm(void **state)
{
	struct vectors v;
	uint8_t out[1024];
	unsigned int valid = 0, invalid = 0;
	struct slice plain, cipher, tag;
	struct buf sealed;
	int rc;

	(void)state;
	vectors_open(&v, "tests/vectors/aes256gcm.txt");
	buf_init(&sealed, 2048);
	while (vectors_next(&v)) {
		plain = vectors_bytes(&v, 5);
		cipher = vectors_bytes(&v, 6);
		tag = vectors_bytes(&v, 7);
		buf_reset(&sealed);
		buf_add(&sealed, cipher);
		buf_add(&sealed, tag);
		assert_true(sealed.len <= sizeof(out));
		rc = crypto_gcm_open(vectors_bytes(&v, 2).data,
		    vectors_bytes(&v, 3).data, vectors_bytes(&v, 4),
		    buf_slice(&sealed), out, NULL);
		if (plain.len == 0 || vectors_is(&v, 1, "invalid")) {
			/* Empty texts are refused on principle. */
			assert_int_equal(-1, rc);
			invalid++;
			continue;
		}
		assert_int_equal(0, rc);
		assert_memory_equal(out, plain.data, plain.len);
		assert_int_equal(
		    0, crypto_gcm_seal(vectors_bytes(&v, 2).data,
			   vectors_bytes(&v, 3).data, vectors_bytes(&v, 4),
			   plain, out, NULL));
		assert_memory_equal(out, sealed.data, sealed.len);
		valid++;
	}
	assert_int_equal(37, valid);
	assert_int_equal(29, invalid);
	buf_fini(&sealed);
	vectors_close(&v);
}

static void
test_gcm_open_cleanses(void **state)
{
	static const uint8_t key[32] = {1}, nonce[12] = {2}, zeros[8];
	uint8_t sealed[24], out[8];

	(void)state;
	assert_int_equal(0, crypto_gcm_seal(key, nonce, SLICE_NULL,
				SLICE_LIT("plain888"), sealed, NULL));
	sealed[23] ^= 1;
	memset(out, 'x', sizeof(out));
	assert_int_equal(
	    -1, crypto_gcm_open(key, nonce, SLICE_NULL,
		    slice_make(sealed, sizeof(sealed)), out, NULL));
	assert_memory_equal(out, zeros, sizeof(out));
}

static void
test_ed25519(void **state)
{
	struct vectors v;
	struct err err;
	unsigned int valid = 0, invalid = 0;

	(void)state;
	vectors_open(&v, "tests/vectors/ed25519.txt");
	while (vectors_next(&v)) {
		err_clear(&err);
		if (crypto_ed25519_verify(vectors_bytes(&v, 2).data,
			vectors_bytes(&v, 3), vectors_bytes(&v, 4),
			&err) == 0) {
			assert_string_equal("valid", v.fields[1]);
			valid++;
		} else {
			assert_string_equal("invalid", v.fields[1]);
			assert_int_equal(ERR_UNTRUSTED, err.class);
			invalid++;
		}
	}
	assert_int_equal(88, valid);
	assert_int_equal(63, invalid);
	vectors_close(&v);
}

static void
test_hkdf(void **state)
{
	static uint8_t out[255 * 32 + 1];
	struct vectors v;
	uint8_t prk[32];
	unsigned long size;
	unsigned int valid = 0, invalid = 0;
	int rc;

	(void)state;
	vectors_open(&v, "tests/vectors/hkdf.txt");
	while (vectors_next(&v)) {
		size = vectors_number(&v, 5);
		assert_true(size <= sizeof(out));
		assert_int_equal(0, crypto_hkdf_extract(vectors_bytes(&v, 3),
					vectors_bytes(&v, 2), prk, NULL));
		rc = crypto_hkdf_expand(slice_make(prk, sizeof(prk)),
		    vectors_bytes(&v, 4), out, size, NULL);
		if (vectors_is(&v, 1, "invalid")) {
			assert_int_equal(-1, rc);
			invalid++;
			continue;
		}
		assert_int_equal(0, rc);
		assert_int_equal(size, vectors_bytes(&v, 6).len);
		assert_memory_equal(out, vectors_bytes(&v, 6).data, size);
		valid++;
	}
	assert_int_equal(83, valid);
	assert_int_equal(3, invalid);
	vectors_close(&v);
}

static void
test_x25519(void **state)
{
	struct vectors v;
	struct err err;
	uint8_t out[32];
	unsigned int valid = 0, zero = 0;
	int rc;

	(void)state;
	vectors_open(&v, "tests/vectors/x25519.txt");
	while (vectors_next(&v)) {
		err_clear(&err);
		rc = crypto_x25519(vectors_bytes(&v, 3).data,
		    vectors_bytes(&v, 2).data, out, &err);
		if (vectors_is(&v, 1, "zero")) {
			assert_int_equal(-1, rc);
			assert_int_equal(ERR_UNTRUSTED, err.class);
			zero++;
			continue;
		}
		assert_int_equal(0, rc);
		assert_memory_equal(out, vectors_bytes(&v, 4).data, 32);
		valid++;
	}
	assert_int_equal(487, valid);
	assert_int_equal(31, zero);
	vectors_close(&v);
}

/* RFC 4231 test cases 1 and 2; FIPS 180-2 "abc". */
static void
test_hashes(void **state)
{
	uint8_t key[20], out[64], expected[64];
	struct crypto_hash *hash;

	(void)state;
	memset(key, 0x0b, sizeof(key));
	crypto_hmac_sha256(
	    slice_make(key, sizeof(key)), SLICE_LIT("Hi There"), out);
	assert_int_equal(
	    0, id_unhex(SLICE_LIT("b0344c61d8db38535ca8afceaf0bf12b"
				  "881dc200c9833da726e9376c2e32cff7"),
		   expected, 32, NULL));
	assert_memory_equal(out, expected, 32);
	crypto_hmac_sha256(
	    SLICE_LIT("Jefe"), SLICE_LIT("what do ya want for nothing?"), out);
	assert_int_equal(
	    0, id_unhex(SLICE_LIT("5bdcc146bf60754e6a042426089575c7"
				  "5a003f089d2739839dec58b964ec3843"),
		   expected, 32, NULL));
	assert_memory_equal(out, expected, 32);

	assert_int_equal(
	    0, id_unhex(SLICE_LIT("ba7816bf8f01cfea414140de5dae2223"
				  "b00361a396177a9cb410ff61f20015ad"),
		   expected, 32, NULL));
	crypto_sha256(SLICE_LIT("abc"), out);
	assert_memory_equal(out, expected, 32);
	hash = crypto_hash_new();
	crypto_hash_add(hash, SLICE_LIT("a"));
	crypto_hash_add(hash, SLICE_LIT("bc"));
	crypto_hash_final(hash, out);
	assert_memory_equal(out, expected, 32);
	crypto_hash_add(hash, SLICE_LIT("abc"));
	crypto_hash_final(hash, out);
	assert_memory_equal(out, expected, 32);
	crypto_hash_free(hash);
	crypto_sha512(SLICE_LIT("abc"), out);
	assert_int_equal(
	    0, id_unhex(SLICE_LIT("ddaf35a193617abacc417349ae204131"
				  "12e6fa4e89a97ea20a9eeee64b55d39a"
				  "2192992a274fc1a836ba3c23a3feebbd"
				  "454d4423643ce80e2a9ac94fa54ca49f"),
		   expected, 64, NULL));
	assert_memory_equal(out, expected, 64);
}

/* A signature holds for its domain and message only. */
static void
test_sign_domain(void **state)
{
	uint8_t private_key[32], public_key[32], sig[CRYPTO_SIG_LEN];
	struct slice s = slice_make(sig, sizeof(sig));

	(void)state;
	assert_int_equal(
	    0, crypto_ed25519_keypair(private_key, public_key, NULL));
	assert_int_equal(
	    0, crypto_sign("one", private_key, SLICE_LIT("text"), sig, NULL));
	assert_int_equal(
	    0, crypto_verify("one", public_key, SLICE_LIT("text"), s, NULL));
	assert_int_equal(
	    -1, crypto_verify("two", public_key, SLICE_LIT("text"), s, NULL));
	assert_int_equal(
	    -1, crypto_verify("one", public_key, SLICE_LIT("texu"), s, NULL));
	assert_int_equal(-1, crypto_verify("one", public_key, SLICE_LIT("text"),
				 slice_sub(s, 0, 63), NULL));
}

static void
test_key_id(void **state)
{
	static const uint8_t key[32] = {7};
	struct id sign, decrypt;

	(void)state;
	crypto_key_id("ed25519", key, &sign);
	crypto_key_id("x25519", key, &decrypt);
	assert_int_not_equal(0, id_compare(&sign, &decrypt));
}

/* Chunks cannot be swapped, dropped at the end, or moved elsewhere. */
static void
test_chunks(void **state)
{
	static const uint8_t salt[32] = {1}, key[32] = {2};
	struct chunk_cipher c, d;
	uint8_t commitment[32], other[32], one[20], two[20], out[4];

	(void)state;
	memset(&c, 0, sizeof(c));
	assert_int_equal(
	    0, chunk_derive(CHUNK_SECTION, salt, key, &c, commitment, NULL));
	d = c;
	assert_int_equal(
	    0, chunk_seal(&c, false, SLICE_LIT("once"), one, NULL));
	assert_int_equal(0, chunk_seal(&c, true, SLICE_LIT("more"), two, NULL));
	c = d;
	assert_int_equal(
	    0, chunk_open(&c, false, slice_make(one, 20), out, NULL));
	assert_int_equal(
	    0, chunk_open(&c, true, slice_make(two, 20), out, NULL));
	assert_memory_equal(out, "more", 4);
	c = d; /* the first as if it were the last */
	assert_int_equal(
	    -1, chunk_open(&c, true, slice_make(one, 20), out, NULL));
	c = d; /* swapped */
	assert_int_equal(
	    -1, chunk_open(&c, true, slice_make(two, 20), out, NULL));
	c = d; /* another context */
	c.aad[0] ^= 1;
	assert_int_equal(
	    -1, chunk_open(&c, false, slice_make(one, 20), out, NULL));
	assert_int_equal(
	    0, chunk_derive(CHUNK_ENVELOPE, salt, key, &c, other, NULL));
	assert_memory_not_equal(commitment, other, 32);
	assert_memory_not_equal(c.key, d.key, 32);
	assert_int_equal(17, chunk_sealed_length(1));
	assert_int_equal(65536 + 16, chunk_sealed_length(65536));
	assert_int_equal(65537 + 32, chunk_sealed_length(65537));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_aes_gcm),
	    cmocka_unit_test(test_gcm_open_cleanses),
	    cmocka_unit_test(test_ed25519),
	    cmocka_unit_test(test_hkdf),
	    cmocka_unit_test(test_x25519),
	    cmocka_unit_test(test_hashes),
	    cmocka_unit_test(test_sign_domain),
	    cmocka_unit_test(test_key_id),
	    cmocka_unit_test(test_chunks),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
