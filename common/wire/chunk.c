#include "common/wire/chunk.h"

static const struct {
	const char *chunks, *commitment;
} chunk_labels[] = {
    [CHUNK_ENVELOPE] = {"galr/1 envelope chunks", "galr/1 envelope commitment"},
    [CHUNK_SECTION] = {"galr/1 section chunks", "galr/1 section commitment"},
};

int
chunk_derive(enum chunk_use use, const uint8_t salt[32],
    const uint8_t content_key[CRYPTO_KEY_LEN], struct chunk_cipher *out_cipher,
    uint8_t out_commitment[32], struct err *err)
{
	uint8_t prk[CRYPTO_HASH_LEN];
	int rc;

	out_cipher->counter = 0;
	rc = crypto_hkdf_extract(slice_make(salt, 32),
	    slice_make(content_key, CRYPTO_KEY_LEN), prk, err);
	if (rc == 0)
		rc = crypto_hkdf_expand(slice_make(prk, sizeof(prk)),
		    slice_str(chunk_labels[use].chunks), out_cipher->key, 32,
		    err);
	if (rc == 0)
		rc = crypto_hkdf_expand(slice_make(prk, sizeof(prk)),
		    slice_str(chunk_labels[use].commitment), out_commitment, 32,
		    err);
	crypto_cleanse(prk, sizeof(prk));
	return rc;
}

static void
chunk_nonce(
    struct chunk_cipher *cipher, bool final, uint8_t out[CRYPTO_NONCE_LEN])
{
	uint64_t counter = cipher->counter++;
	size_t i;

	memset(out, 0, CRYPTO_NONCE_LEN);
	for (i = 8; i-- > 0;) {
		out[i] = (uint8_t)(counter & 0xff);
		counter >>= 8;
	}
	out[CRYPTO_NONCE_LEN - 1] = final ? 1 : 0;
}

int
chunk_seal(struct chunk_cipher *cipher, bool final, struct slice plain,
    uint8_t *out, struct err *err)
{
	uint8_t nonce[CRYPTO_NONCE_LEN];

	chunk_nonce(cipher, final, nonce);
	return crypto_gcm_seal(cipher->key, nonce,
	    slice_make(cipher->aad, sizeof(cipher->aad)), plain, out, err);
}

int
chunk_open(struct chunk_cipher *cipher, bool final, struct slice sealed,
    uint8_t *out, struct err *err)
{
	uint8_t nonce[CRYPTO_NONCE_LEN];

	chunk_nonce(cipher, final, nonce);
	return crypto_gcm_open(cipher->key, nonce,
	    slice_make(cipher->aad, sizeof(cipher->aad)), sealed, out, err);
}

uint64_t
chunk_sealed_length(uint64_t plain)
{
	uint64_t chunks = (plain + LIMIT_CHUNK_BYTES - 1) / LIMIT_CHUNK_BYTES;

	return plain + chunks * CRYPTO_TAG_LEN;
}
