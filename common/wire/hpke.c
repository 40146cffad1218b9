#include "common/wire/hpke.h"

/* RFC 9180 section 7: the identifiers of the suite. */
#define HPKE_KEM_X25519 0x0020
#define HPKE_KDF_SHA256 0x0001
#define HPKE_LABELED_MAX 2048

static size_t
hpke_key_len(enum crypto_aead aead)
{
	return aead == CRYPTO_AES128_GCM ? 16 : 32;
}

/* suite_id of the KEM ("KEM" || kem) or of the whole ("HPKE" || all three). */
struct hpke_suite {
	uint8_t id[10];
	size_t len;
};

static struct hpke_suite
hpke_suite_kem(void)
{
	return (struct hpke_suite){
	    {'K', 'E', 'M', HPKE_KEM_X25519 >> 8, HPKE_KEM_X25519 & 0xff}, 5};
}

static struct hpke_suite
hpke_suite_all(enum crypto_aead aead)
{
	return (struct hpke_suite){
	    {'H', 'P', 'K', 'E', HPKE_KEM_X25519 >> 8, HPKE_KEM_X25519 & 0xff,
		HPKE_KDF_SHA256 >> 8, HPKE_KDF_SHA256 & 0xff, 0, (uint8_t)aead},
	    10};
}

/* LabeledExtract(salt, label, ikm), RFC 9180 section 4. */
static int
hpke_extract(const struct hpke_suite *suite, struct slice salt,
    const char *label, struct slice ikm, uint8_t out_prk[32], struct err *err)
{
	struct buf text;
	int rc = -1;

	buf_init(&text, HPKE_LABELED_MAX);
	buf_add_str(&text, "HPKE-v1");
	buf_add(&text, slice_make(suite->id, suite->len));
	buf_add_str(&text, label);
	buf_add(&text, ikm);
	if (buf_check(&text, "HPKE input", err) == 0)
		rc = crypto_hkdf_extract(salt, buf_slice(&text), out_prk, err);
	buf_cleanse(&text);
	return rc;
}

/* LabeledExpand: the label and its info, and how many bytes to make. */
struct hpke_expand {
	const char *label;
	struct slice info;
	void *out;
	size_t out_len;
};

static int
hpke_expand(const struct hpke_suite *suite, const uint8_t prk[32],
    const struct hpke_expand *what, struct err *err)
{
	struct buf text;
	int rc = -1;

	INVARIANT(what->out_len <= UINT16_MAX);
	buf_init(&text, HPKE_LABELED_MAX);
	buf_add_byte(&text, (uint8_t)(what->out_len >> 8));
	buf_add_byte(&text, (uint8_t)(what->out_len & 0xff));
	buf_add_str(&text, "HPKE-v1");
	buf_add(&text, slice_make(suite->id, suite->len));
	buf_add_str(&text, what->label);
	buf_add(&text, what->info);
	if (buf_check(&text, "HPKE info", err) == 0)
		rc = crypto_hkdf_expand(slice_make(prk, 32), buf_slice(&text),
		    what->out, what->out_len, err);
	buf_cleanse(&text);
	return rc;
}

/* ExtractAndExpand of the KEM (section 4.1) over the shared point. */
static int
hpke_kem_secret(const uint8_t dh[32], const uint8_t enc[32],
    const uint8_t recipient[32], uint8_t out_secret[32], struct err *err)
{
	struct hpke_suite kem = hpke_suite_kem();
	uint8_t prk[32], context[64];
	struct hpke_expand expand = {
	    "shared_secret", {context, sizeof(context)}, out_secret, 32};
	int rc;

	memcpy(context, enc, 32);
	memcpy(context + 32, recipient, 32);
	rc = hpke_extract(
	    &kem, SLICE_NULL, "eae_prk", slice_make(dh, 32), prk, err);
	if (rc == 0)
		rc = hpke_expand(&kem, prk, &expand, err);
	crypto_cleanse(prk, sizeof(prk));
	return rc;
}

/* KeySchedule of mode base (section 5.1). */
static int
hpke_schedule(enum crypto_aead aead, const uint8_t shared[32],
    struct slice info, struct hpke_context *out, struct err *err)
{
	struct hpke_suite suite = hpke_suite_all(aead);
	uint8_t context[65], secret[32];
	struct slice ctx = slice_make(context, sizeof(context));
	struct hpke_expand steps[] = {
	    {"key", ctx, out->key, hpke_key_len(aead)},
	    {"base_nonce", ctx, out->base_nonce, CRYPTO_NONCE_LEN},
	    {"exp", ctx, out->exporter_secret, 32},
	};
	size_t i;
	int rc = -1;

	context[0] = 0; /* mode_base */
	if (hpke_extract(&suite, SLICE_NULL, "psk_id_hash", SLICE_NULL,
		context + 1, err) < 0 ||
	    hpke_extract(
		&suite, SLICE_NULL, "info_hash", info, context + 33, err) < 0 ||
	    hpke_extract(&suite, slice_make(shared, 32), "secret", SLICE_NULL,
		secret, err) < 0)
		goto out;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (hpke_expand(&suite, secret, &steps[i], err) < 0)
			goto out;
	}
	out->aead = aead;
	out->sequence = 0;
	rc = 0;
out:
	crypto_cleanse(secret, sizeof(secret));
	return rc;
}

int
hpke_setup_sender(enum crypto_aead aead, const uint8_t recipient_public[32],
    struct slice info, const uint8_t *ephemeral,
    struct hpke_context *out_context, uint8_t out_enc[32], struct err *err)
{
	uint8_t private_key[32], dh[32], shared[32];
	int rc;

	memset(out_context, 0, sizeof(*out_context));
	if (ephemeral != NULL) {
		memcpy(private_key, ephemeral, 32);
		rc = crypto_x25519_public(private_key, out_enc, err);
	} else {
		rc = crypto_x25519_keypair(private_key, out_enc, err);
	}
	if (rc == 0)
		rc = crypto_x25519(private_key, recipient_public, dh, err);
	if (rc == 0)
		rc =
		    hpke_kem_secret(dh, out_enc, recipient_public, shared, err);
	if (rc == 0)
		rc = hpke_schedule(aead, shared, info, out_context, err);
	crypto_cleanse(private_key, sizeof(private_key));
	crypto_cleanse(dh, sizeof(dh));
	crypto_cleanse(shared, sizeof(shared));
	return rc;
}

int
hpke_setup_receiver(enum crypto_aead aead, const uint8_t private_key[32],
    const uint8_t enc[32], struct slice info, struct hpke_context *out_context,
    struct err *err)
{
	uint8_t public_key[32], dh[32], shared[32];
	int rc;

	memset(out_context, 0, sizeof(*out_context));
	rc = crypto_x25519_public(private_key, public_key, err);
	if (rc == 0)
		rc = crypto_x25519(private_key, enc, dh, err);
	if (rc == 0)
		rc = hpke_kem_secret(dh, enc, public_key, shared, err);
	if (rc == 0)
		rc = hpke_schedule(aead, shared, info, out_context, err);
	crypto_cleanse(dh, sizeof(dh));
	crypto_cleanse(shared, sizeof(shared));
	return rc;
}

/* ComputeNonce (section 5.2): base_nonce XOR the counter, big endian. */
static void
hpke_nonce(
    const struct hpke_context *context, uint8_t out_nonce[CRYPTO_NONCE_LEN])
{
	uint64_t sequence = context->sequence;
	size_t i;

	memcpy(out_nonce, context->base_nonce, CRYPTO_NONCE_LEN);
	for (i = CRYPTO_NONCE_LEN; i-- > CRYPTO_NONCE_LEN - 8;) {
		out_nonce[i] ^= (uint8_t)(sequence & 0xff);
		sequence >>= 8;
	}
}

int
hpke_seal(struct hpke_context *context, struct slice aad, struct slice plain,
    uint8_t *out, struct err *err)
{
	uint8_t nonce[CRYPTO_NONCE_LEN];
	struct crypto_aead_key key = {context->aead, context->key, nonce};

	hpke_nonce(context, nonce);
	if (crypto_aead_seal(&key, aad, plain, out, err) < 0)
		return -1;
	context->sequence++;
	return 0;
}

int
hpke_open(struct hpke_context *context, struct slice aad, struct slice cipher,
    uint8_t *out, struct err *err)
{
	uint8_t nonce[CRYPTO_NONCE_LEN];
	struct crypto_aead_key key = {context->aead, context->key, nonce};

	hpke_nonce(context, nonce);
	if (crypto_aead_open(&key, aad, cipher, out, err) < 0)
		return -1;
	context->sequence++;
	return 0;
}

int
hpke_export(const struct hpke_context *context, struct slice label, void *out,
    size_t out_len, struct err *err)
{
	struct hpke_suite suite = hpke_suite_all(context->aead);
	struct hpke_expand expand = {"sec", label, out, out_len};

	return hpke_expand(&suite, context->exporter_secret, &expand, err);
}

void
hpke_cleanse(struct hpke_context *context)
{
	crypto_cleanse(context, sizeof(*context));
}
