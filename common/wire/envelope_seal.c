#include <stdlib.h>
#include <zlib.h>

#include "common/base/mem.h"
#include "common/wire/envelope_format.h"
#include "common/wire/hpke.h"
#include "common/wire/pb.h"

struct seal {
	const struct envelope_seal_options *options;
	struct buf packed, cipher, prefix;
	uint8_t salt[32], commitment[32], content_key[CRYPTO_KEY_LEN];
	struct chunk_cipher chunks;
	Galr__EnvelopeHeader header;
	Galr__Recipient *recipients, **recipient_list;
	uint8_t (*enc)[32];
	uint8_t (*wrapped)[CRYPTO_WRAPPED_LEN];
};

struct slice
envelope_info_encode(
    const struct envelope_info *info, uint8_t out[ENVELOPE_INFO_MAX])
{
	size_t label = strlen(info->label), sender = strlen(info->sender);
	size_t recipient = strlen(info->recipient), i;
	uint8_t *p = out;

	INVARIANT(label < 48 && sender < 64 && recipient < 64);
	memcpy(p, info->label, label);
	p += label;
	*p++ = 0;
	memcpy(p, info->realm->bytes, ID_LEN);
	p += ID_LEN;
	*p++ = (uint8_t)info->type;
	*p++ = (uint8_t)sender;
	memcpy(p, info->sender, sender);
	p += sender;
	*p++ = (uint8_t)recipient;
	memcpy(p, info->recipient, recipient);
	p += recipient;
	for (i = 8; i-- > 0;)
		*p++ = (uint8_t)(info->sequence >> (8 * i));
	return slice_make(out, (size_t)(p - out));
}

/* zlib, unless that is no gain or would look like a bomb to the receiver. */
static int
seal_compress(struct seal *seal, struct slice payload, struct err *err)
{
	uLongf len = compressBound(payload.len);
	uint8_t *p;

	if (payload.len == 0 || payload.len > LIMIT_PAYLOAD_BYTES)
		return err_set(
		    err, ERR_LIMIT, "a payload of %zu bytes", payload.len);
	p = buf_reserve(&seal->packed, len);
	if (p == NULL)
		return buf_check(&seal->packed, "payload", err);
	if (compress2(p, &len, payload.data, payload.len, 6) != Z_OK)
		return err_set(err, ERR_INTERNAL, "zlib cannot compress");
	if (len < payload.len &&
	    payload.len < (size_t)len * LIMIT_INFLATE_RATIO) {
		buf_truncate(&seal->packed, len);
		seal->header.compression = ENVELOPE_ZLIB;
	} else {
		buf_reset(&seal->packed);
		buf_add(&seal->packed, payload);
		seal->header.compression = ENVELOPE_STORED;
	}
	return buf_check(&seal->packed, "payload", err);
}

static int
seal_wrap(struct seal *seal, size_t i, struct err *err)
{
	const struct envelope_seal_options *o = seal->options;
	const struct envelope_recipient *to = &o->recipients[i];
	Galr__Recipient *out = &seal->recipients[i];
	const struct envelope_info info = {"galr/1 content key", &o->realm,
	    o->type, o->sender, to->name, o->sequence};
	uint8_t text[ENVELOPE_INFO_MAX];
	struct hpke_context context;
	int rc;

	rc = hpke_setup_sender(CRYPTO_AES256_GCM, to->public_key,
	    envelope_info_encode(&info, text), NULL, &context, seal->enc[i],
	    err);
	if (rc == 0)
		rc = hpke_seal(&context,
		    slice_make(seal->salt, sizeof(seal->salt)),
		    slice_make(seal->content_key, CRYPTO_KEY_LEN),
		    seal->wrapped[i], err);
	hpke_cleanse(&context);
	if (rc < 0)
		return err_prepend(err, "recipient \"%s\"", to->name);
	galr__recipient__init(out);
	out->id = (char *)to->name;
	out->kind = GALR__RECIPIENT_KIND__RECIPIENT_HPKE;
	out->key_id.data = (uint8_t *)to->key_id.bytes;
	out->key_id.len = ID_LEN;
	out->enc.data = seal->enc[i];
	out->enc.len = 32;
	out->wrapped.data = seal->wrapped[i];
	out->wrapped.len = CRYPTO_WRAPPED_LEN;
	seal->recipient_list[i] = out;
	return 0;
}

static int
seal_keys(struct seal *seal, struct err *err)
{
	size_t i, n = seal->options->recipient_count;

	if (n == 0 || n > LIMIT_RECIPIENTS)
		return err_set(
		    err, ERR_LIMIT, "an envelope for %zu recipients", n);
	seal->recipients = mem_calloc(n, sizeof(*seal->recipients));
	seal->recipient_list = mem_calloc(n, sizeof(*seal->recipient_list));
	seal->enc = mem_calloc(n, sizeof(*seal->enc));
	seal->wrapped = mem_calloc(n, sizeof(*seal->wrapped));
	if (crypto_random(seal->salt, sizeof(seal->salt), err) < 0 ||
	    crypto_random(seal->content_key, sizeof(seal->content_key), err) <
		0 ||
	    chunk_derive(CHUNK_ENVELOPE, seal->salt, seal->content_key,
		&seal->chunks, seal->commitment, err) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		if (seal_wrap(seal, i, err) < 0)
			return -1;
	}
	return 0;
}

/* Everything in the header but the ciphertext's hash; gives the AAD. */
static int
seal_prefix(struct seal *seal, size_t plain_length, struct err *err)
{
	const struct envelope_seal_options *o = seal->options;
	Galr__EnvelopeHeader *h = &seal->header;

	h->suite = ENVELOPE_SUITE;
	h->type = o->type;
	h->realm.data = (uint8_t *)o->realm.bytes;
	h->realm.len = ID_LEN;
	h->sender = (char *)o->sender;
	h->recipients = seal->recipient_list;
	h->n_recipients = o->recipient_count;
	h->sequence = o->sequence;
	h->issued_at = o->issued_at;
	h->not_after = o->not_after;
	h->salt.data = seal->salt;
	h->salt.len = sizeof(seal->salt);
	h->commitment.data = seal->commitment;
	h->commitment.len = sizeof(seal->commitment);
	h->plain_length = plain_length;
	h->packed_length = seal->packed.len;
	h->cipher_length = chunk_sealed_length(seal->packed.len);
	pb_pack(&h->base, &seal->prefix);
	if (buf_check(&seal->prefix, "envelope header", err) < 0)
		return -1;
	crypto_sha256(buf_slice(&seal->prefix), seal->chunks.aad);
	return 0;
}

/* Seals the chunks and ends the header with their hash. */
static int
seal_chunks(struct seal *seal, struct err *err)
{
	struct slice rest = buf_slice(&seal->packed), part;
	uint8_t digest[CRYPTO_HASH_LEN];
	uint8_t *p;

	while (rest.len > 0) {
		part = slice_sub(rest, 0, LIMIT_CHUNK_BYTES);
		rest = slice_sub(rest, part.len, SIZE_MAX);
		p = buf_reserve(&seal->cipher, part.len + CRYPTO_TAG_LEN);
		if (p == NULL)
			return buf_check(&seal->cipher, "ciphertext", err);
		if (chunk_seal(&seal->chunks, rest.len == 0, part, p, err) < 0)
			return -1;
	}
	crypto_sha256(buf_slice(&seal->cipher), digest);
	buf_add_byte(&seal->prefix, ENVELOPE_HASH_TAG);
	buf_add_byte(&seal->prefix, CRYPTO_HASH_LEN);
	buf_add(&seal->prefix, slice_make(digest, sizeof(digest)));
	return buf_check(&seal->prefix, "envelope header", err);
}

static int
seal_finish(struct seal *seal, struct buf *out, struct err *err)
{
	const struct key_pair *key = seal->options->sign_key;
	uint8_t sig[CRYPTO_SIG_LEN];

	if (crypto_sign(ENVELOPE_DOMAIN, key->private_key,
		buf_slice(&seal->prefix), sig, err) < 0)
		return -1;
	buf_add(out, slice_make(ENVELOPE_MAGIC, ENVELOPE_MAGIC_LEN));
	buf_add_u32be(out, (uint32_t)seal->prefix.len);
	buf_add(out, buf_slice(&seal->prefix));
	buf_add_byte(out, ENVELOPE_SIGNED_BY_ID);
	buf_add(out, id_slice(&key->id));
	buf_add(out, slice_make(sig, sizeof(sig)));
	buf_add(out, buf_slice(&seal->cipher));
	return buf_check(out, "envelope", err);
}

int
envelope_seal(const struct envelope_seal_options *options, struct slice payload,
    struct buf *out, struct err *err)
{
	struct seal *seal = mem_calloc(1, sizeof(*seal));
	int rc = -1;

	seal->options = options;
	galr__envelope_header__init(&seal->header);
	buf_init(&seal->packed, LIMIT_PAYLOAD_BYTES + 64 * 1024);
	buf_init(&seal->cipher, LIMIT_ENVELOPE_BYTES);
	buf_init(&seal->prefix, LIMIT_HEADER_BYTES);
	if (options->sequence == 0 ||
	    options->not_after <= options->issued_at ||
	    options->not_after - options->issued_at > LIMIT_ENVELOPE_LIFE_MS) {
		(void)err_set(err, ERR_INTERNAL,
		    "an envelope without sequence or with impossible times");
		goto out;
	}
	if (seal_compress(seal, payload, err) < 0 || seal_keys(seal, err) < 0 ||
	    seal_prefix(seal, payload.len, err) < 0 ||
	    seal_chunks(seal, err) < 0 || seal_finish(seal, out, err) < 0)
		goto out;
	rc = 0;
out:
	buf_cleanse(&seal->packed);
	buf_fini(&seal->cipher);
	buf_fini(&seal->prefix);
	free(seal->recipients);
	free(seal->recipient_list);
	free(seal->enc);
	free(seal->wrapped);
	crypto_cleanse(seal, sizeof(*seal));
	free(seal);
	return rc;
}
