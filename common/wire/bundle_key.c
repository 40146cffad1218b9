/* Section keys in a bundle (envelope.h). */
#include "common/wire/envelope_format.h"
#include "common/wire/hpke.h"

/* bundle_kek_make() and _open(): the same context on both sides, then the
 * exporter gives the key-encryption key. */
static struct slice
kek_info(const struct id *realm, const char *me, uint64_t sequence,
    uint8_t out[ENVELOPE_INFO_MAX])
{
	const struct envelope_info info = {"galr/1 bundle kek", realm,
	    GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE, "", me, sequence};

	return envelope_info_encode(&info, out);
}

static int
kek_export(
    struct hpke_context *context, struct bundle_kek *out, struct err *err)
{
	int rc;

	rc = hpke_export(context, SLICE_LIT("galr/1 kek"), out->key, 32, err);
	hpke_cleanse(context);
	return rc;
}

int
bundle_kek_make(const struct envelope_recipient *to, const struct id *realm,
    uint64_t sequence, struct bundle_kek *out_kek, uint8_t out_enc[32],
    struct err *err)
{
	uint8_t text[ENVELOPE_INFO_MAX];
	struct hpke_context context;

	if (hpke_setup_sender(CRYPTO_AES256_GCM, to->public_key,
		kek_info(realm, to->name, sequence, text), NULL, &context,
		out_enc, err) < 0)
		return -1;
	return kek_export(&context, out_kek, err);
}

int
bundle_kek_open(const struct keys *keys, const struct id *key_id,
    const uint8_t enc[32], const struct bundle_kek_place *place,
    struct bundle_kek *out_kek, struct err *err)
{
	uint8_t text[ENVELOPE_INFO_MAX];
	const struct key_pair *pair = NULL;
	struct hpke_context context;

	if (keys->decrypt_active.present &&
	    id_compare(&keys->decrypt_active.id, key_id) == 0)
		pair = &keys->decrypt_active;
	else if (keys->decrypt_previous.present &&
		 id_compare(&keys->decrypt_previous.id, key_id) == 0)
		pair = &keys->decrypt_previous;
	if (pair == NULL)
		return err_set_code(err, ERR_UNTRUSTED, CHECK_UNWRAP,
		    "the section keys are sealed to a key that is not here");
	if (hpke_setup_receiver(CRYPTO_AES256_GCM, pair->private_key, enc,
		kek_info(place->realm, place->me, place->sequence, text),
		&context, err) < 0)
		return err_set_code(err, ERR_UNTRUSTED, CHECK_UNWRAP,
		    "the section keys do not unwrap");
	return kek_export(&context, out_kek, err);
}

static void
kek_nonce(uint32_t index, uint8_t out[CRYPTO_NONCE_LEN])
{
	size_t i;

	memset(out, 0, CRYPTO_NONCE_LEN);
	for (i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(index >> (24 - 8 * i));
}

int
bundle_key_wrap(const struct bundle_kek *kek, uint32_t index,
    const uint8_t section_hash[32], const uint8_t section_key[32],
    uint8_t out_wrapped[CRYPTO_WRAPPED_LEN], struct err *err)
{
	uint8_t nonce[CRYPTO_NONCE_LEN];

	kek_nonce(index, nonce);
	return crypto_gcm_seal(kek->key, nonce, slice_make(section_hash, 32),
	    slice_make(section_key, CRYPTO_KEY_LEN), out_wrapped, err);
}

int
bundle_key_unwrap(const struct bundle_kek *kek, uint32_t index,
    const uint8_t section_hash[32], struct slice wrapped,
    uint8_t out_section_key[32], struct err *err)
{
	uint8_t nonce[CRYPTO_NONCE_LEN];

	kek_nonce(index, nonce);
	if (wrapped.len != CRYPTO_WRAPPED_LEN ||
	    crypto_gcm_open(kek->key, nonce, slice_make(section_hash, 32),
		wrapped, out_section_key, NULL) < 0)
		return err_set_code(err, ERR_UNTRUSTED, CHECK_UNWRAP,
		    "the key of section %u does not unwrap", index);
	return 0;
}
