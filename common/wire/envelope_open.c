#include <stdlib.h>
#include <zlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/reader.h"
#include "common/wire/envelope_format.h"
#include "common/wire/hpke.h"
#include "common/wire/pb.h"

static const char *const check_names[] = {
    [CHECK_OK] = "ok",
    [CHECK_SIZE] = "size",
    [CHECK_MAGIC] = "magic",
    [CHECK_HEADER] = "header",
    [CHECK_SENDER_UNKNOWN] = "sender-unknown",
    [CHECK_SENDER_REVOKED] = "sender-revoked",
    [CHECK_KEY_UNKNOWN] = "key-unknown",
    [CHECK_KEY_REVOKED] = "key-revoked",
    [CHECK_ROLE] = "role",
    [CHECK_SIGNATURE] = "signature",
    [CHECK_REALM] = "realm",
    [CHECK_RECIPIENT] = "recipient",
    [CHECK_TYPE] = "type",
    [CHECK_FUTURE] = "future",
    [CHECK_EXPIRED] = "expired",
    [CHECK_LATE] = "late",
    [CHECK_DUPLICATE] = "duplicate",
    [CHECK_EQUIVOCATION] = "equivocation",
    [CHECK_LENGTH] = "length",
    [CHECK_RATIO] = "ratio",
    [CHECK_CIPHER_HASH] = "cipher-hash",
    [CHECK_UNWRAP] = "unwrap",
    [CHECK_COMMITMENT] = "commitment",
    [CHECK_CHUNK] = "chunk",
    [CHECK_INFLATE] = "inflate",
    [CHECK_PAYLOAD] = "payload",
    [CHECK_MANIFEST_KEY] = "manifest-key",
    [CHECK_MANIFEST_SIGNATURE] = "manifest-signature",
    [CHECK_MANIFEST_FIELDS] = "manifest-fields",
    [CHECK_MANIFEST_FUTURE] = "manifest-future",
    [CHECK_STREAM_OLDER] = "stream-older",
    [CHECK_STREAM_EQUIVOCATION] = "stream-equivocation",
    [CHECK_AUDIENCE] = "audience",
    [CHECK_SECTION_HASH] = "section-hash",
    [CHECK_SECTION_ORDER] = "section-order",
    [CHECK_SECTION_GAP] = "section-gap",
    [CHECK_ROOT] = "root",
};
_Static_assert(
    sizeof(check_names) / sizeof(check_names[0]) == CHECK_COUNT, "names");

const char *
envelope_check_name(enum envelope_check check)
{
	return check < CHECK_COUNT ? check_names[check] : "unknown";
}

/* An envelope taken apart, and what the checks found so far. */
struct opening {
	const struct envelope_open_options *options;
	struct slice header_bytes;
	struct slice key_id;
	struct slice sig;
	struct slice chunks;
	const Galr__EnvelopeHeader *header;
	const Galr__Recipient *mine;
	const struct key_pair *my_key;
	struct chunk_cipher cipher;
	struct buf packed;
};

static int
refuse(struct err *err, enum err_class class, enum envelope_check check,
    const char *why)
{
	return err_set_code(err, class, (int)check, "envelope: %s", why);
}

/* --- frame and header: untrusted bytes --- */

static int
open_frame(struct opening *o, struct slice file, struct err *err)
{
	struct reader r;
	struct slice magic;
	uint32_t len;

	if (file.len > LIMIT_ENVELOPE_BYTES)
		return refuse(err, ERR_LIMIT, CHECK_SIZE, "too long");
	reader_init(&r, file);
	magic = reader_take(&r, ENVELOPE_MAGIC_LEN);
	if (!slice_equal(magic, SLICE_LIT(ENVELOPE_MAGIC)))
		return refuse(err, ERR_BAD_DATA, CHECK_MAGIC,
		    "not an envelope of this version");
	len = reader_u32be(&r);
	if (len > LIMIT_HEADER_BYTES)
		return refuse(
		    err, ERR_LIMIT, CHECK_SIZE, "its header is too long");
	o->header_bytes = reader_take(&r, len);
	if (reader_u8(&r) != ENVELOPE_SIGNED_BY_ID)
		r.failed = true;
	o->key_id = reader_take(&r, ID_LEN);
	o->sig = reader_take(&r, CRYPTO_SIG_LEN);
	if (r.failed || len == 0)
		return refuse(err, ERR_BAD_DATA, CHECK_HEADER,
		    "cut short, or an unknown kind of signature");
	o->chunks = r.rest;
	return 0;
}

static bool
header_recipient_ok(const Galr__Recipient *r)
{
	if (r->id[0] != '\0' && !registry_name_valid(r->id))
		return false;
	/* Kinds of the future are somebody else's. */
	return r->kind != GALR__RECIPIENT_KIND__RECIPIENT_HPKE ||
	       (r->key_id.len == ID_LEN && r->enc.len == 32 &&
		   r->wrapped.len == CRYPTO_WRAPPED_LEN);
}

static bool
header_ok(const Galr__EnvelopeHeader *h, struct slice bytes)
{
	const uint8_t *tail;
	size_t i;

	if (h->suite != ENVELOPE_SUITE || h->realm.len != ID_LEN ||
	    (h->sender[0] != '\0' && !registry_name_valid(h->sender)) ||
	    h->n_recipients == 0 || h->sequence == 0 ||
	    h->sequence > LIMIT_NUMBER || h->issued_at <= 0 ||
	    h->not_after <= h->issued_at || h->salt.len != 32 ||
	    h->commitment.len != 32 || h->compression > ENVELOPE_ZLIB ||
	    h->cipher_sha256.len != CRYPTO_HASH_LEN ||
	    bytes.len <= ENVELOPE_HASH_FIELD_LEN)
		return false;
	for (i = 0; i < h->n_recipients; i++) {
		if (!header_recipient_ok(h->recipients[i]))
			return false;
	}
	/* The hash must be the last field: the AAD ends before it. */
	tail = bytes.data + bytes.len - ENVELOPE_HASH_FIELD_LEN;
	return tail[0] == ENVELOPE_HASH_TAG && tail[1] == CRYPTO_HASH_LEN &&
	       memcmp(tail + 2, h->cipher_sha256.data, CRYPTO_HASH_LEN) == 0;
}

static int
open_header(struct opening *o, struct arena *arena, struct envelope *out,
    struct err *err)
{
	static const struct pb_cap caps[] = {{5, LIMIT_RECIPIENTS}, {0, 0}};
	const struct pb_unpack_options unpack = {
	    &galr__envelope_header__descriptor, caps, LIMIT_HEADER_UNPACK_BYTES,
	    "envelope header"};
	struct err why = {ERR_NONE, 0, 0, ""};
	size_t len;

	o->header = (const Galr__EnvelopeHeader *)pb_unpack(
	    &unpack, o->header_bytes, arena, &why);
	if (o->header == NULL)
		return refuse(err, why.class,
		    why.class == ERR_LIMIT ? CHECK_SIZE : CHECK_HEADER,
		    why.message);
	if (!header_ok(o->header, o->header_bytes))
		return refuse(err, ERR_BAD_DATA, CHECK_HEADER,
		    "a header field is malformed");
	len = strlen(o->header->sender);
	memcpy(out->sender, o->header->sender, len + 1);
	out->type = o->header->type;
	out->sequence = o->header->sequence;
	out->issued_at = o->header->issued_at;
	crypto_sha256(o->header_bytes, out->hash);
	return 0;
}

/* --- sender and signature --- */

/* The key that must have signed: into out->signer. */
static int
open_registry_key(struct opening *o, struct envelope *out, struct err *err)
{
	const struct registry *registry = o->options->registry;
	const struct registry_member *member = NULL;
	const struct registry_key *key;
	struct id key_id;

	if (registry != NULL)
		member = registry_find(registry, o->header->sender);
	if (member == NULL)
		return refuse(err, ERR_UNTRUSTED, CHECK_SENDER_UNKNOWN,
		    "its sender is not in the registry");
	if (member->revoked)
		return refuse(err, ERR_UNTRUSTED, CHECK_SENDER_REVOKED,
		    "its sender is revoked");
	memcpy(key_id.bytes, o->key_id.data, ID_LEN);
	/* For ever: even when the registry no longer lists it. */
	if (registry_key_revoked(registry, &key_id))
		return refuse(err, ERR_UNTRUSTED, CHECK_KEY_REVOKED,
		    "its signing key is revoked");
	key = registry_member_key(member, REGISTRY_SIGN, &key_id);
	if (key == NULL)
		return refuse(err, ERR_UNTRUSTED, CHECK_KEY_UNKNOWN,
		    "its signing key is not one of the sender's");
	memcpy(out->signer, key->public_key, 32);
	return 0;
}

static int
open_sender(struct opening *o, struct envelope *out, struct err *err)
{
	Galr__EnvelopeType type = o->header->type;
	struct id key_id;

	if (o->options->sender_key != NULL &&
	    (type == GALR__ENVELOPE_TYPE__ENVELOPE_JOIN ||
		type == GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME)) {
		crypto_key_id("ed25519", o->options->sender_key, &key_id);
		if (!slice_equal(o->key_id, id_slice(&key_id)))
			return refuse(err, ERR_UNTRUSTED, CHECK_KEY_UNKNOWN,
			    "it is signed by another key than the "
			    "invitation's");
		memcpy(out->signer, o->options->sender_key, 32);
		return 0;
	}
	return open_registry_key(o, out, err);
}

/* Members publish and acknowledge; the hub sends bundles and welcomes. */
static int
open_role(const struct opening *o, struct err *err)
{
	bool hub = o->header->sender[0] == '\0';

	switch (o->header->type) {
	case GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH:
	case GALR__ENVELOPE_TYPE__ENVELOPE_ACK:
	case GALR__ENVELOPE_TYPE__ENVELOPE_JOIN:
		if (!hub)
			return 0;
		break;
	case GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE:
	case GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME:
		if (hub)
			return 0;
		break;
	default: /* judged as a type, once it is authentic */
		return 0;
	}
	return refuse(err, ERR_UNTRUSTED, CHECK_ROLE,
	    "its sender may not send this type");
}

static int
open_signature(
    const struct opening *o, const struct envelope *out, struct err *err)
{
	if (crypto_verify(ENVELOPE_DOMAIN, out->signer, o->header_bytes, o->sig,
		NULL) < 0)
		return refuse(err, ERR_UNTRUSTED, CHECK_SIGNATURE,
		    "its signature does not verify");
	return 0;
}

/* --- context: from here on the header is its sender's word --- */

static const struct key_pair *
open_my_key(const struct keys *keys, const struct id *key_id)
{
	if (keys->decrypt_active.present &&
	    id_compare(&keys->decrypt_active.id, key_id) == 0)
		return &keys->decrypt_active;
	if (keys->decrypt_previous.present &&
	    id_compare(&keys->decrypt_previous.id, key_id) == 0)
		return &keys->decrypt_previous;
	return NULL;
}

static int
open_recipient(struct opening *o, struct err *err)
{
	const Galr__Recipient *r;
	struct id key_id;
	bool named = false;
	size_t i;

	for (i = 0; i < o->header->n_recipients; i++) {
		r = o->header->recipients[i];
		if (!registry_name_equal(r->id, o->options->me) ||
		    r->kind != GALR__RECIPIENT_KIND__RECIPIENT_HPKE)
			continue;
		named = true;
		memcpy(key_id.bytes, r->key_id.data, ID_LEN);
		o->my_key = open_my_key(o->options->keys, &key_id);
		if (o->my_key != NULL) {
			o->mine = r;
			return 0;
		}
	}
	return refuse(err, ERR_UNTRUSTED, CHECK_RECIPIENT,
	    named ? "it is sealed to a key that is no longer here"
		  : "it is not addressed to this member");
}

static int
open_context(struct opening *o, struct err *err)
{
	uint32_t type = (uint32_t)o->header->type;

	if (memcmp(o->header->realm.data, o->options->realm.bytes, ID_LEN) != 0)
		return refuse(err, ERR_UNTRUSTED, CHECK_REALM,
		    "it belongs to another realm");
	if (open_recipient(o, err) < 0)
		return -1;
	if (type >= 32 || !(o->options->types & 1u << type))
		return refuse(err, ERR_UNTRUSTED, CHECK_TYPE,
		    "its type is not expected here");
	return 0;
}

static int
open_times(const struct opening *o, struct err *err)
{
	const Galr__EnvelopeHeader *h = o->header;
	int64_t now = o->options->now_ms;
	char issued[CLOCK_TEXT_SIZE], here[CLOCK_TEXT_SIZE];

	if (h->issued_at > now && h->issued_at - now > LIMIT_SKEW_MS)
		return err_set_code(err, ERR_TEMPORARY, CHECK_FUTURE,
		    "envelope: issued at %s, but this machine's clock says "
		    "%s: one of the two clocks is wrong",
		    clock_format(h->issued_at, issued),
		    clock_format(now, here));
	if (h->not_after < now)
		return refuse(err, ERR_BAD_DATA, CHECK_EXPIRED, "expired");
	if (h->not_after - h->issued_at > LIMIT_ENVELOPE_LIFE_MS)
		return refuse(err, ERR_BAD_DATA, CHECK_EXPIRED,
		    "it claims a longer life than allowed");
	return 0;
}

static int
open_sequence(
    const struct opening *o, const struct envelope *out, struct err *err)
{
	struct envelope_seen seen;

	if (o->options->seen == NULL)
		return 0;
	memset(&seen, 0, sizeof(seen));
	if (o->options->seen(
		o->options->seen_arg, out->sender, out->type, &seen, err) < 0)
		return -1;
	if (out->sequence > seen.sequence)
		return 0;
	if (out->sequence < seen.sequence)
		return refuse(err, ERR_BAD_DATA, CHECK_LATE,
		    "a newer one was taken in before");
	if (memcmp(out->hash, seen.hash, CRYPTO_HASH_LEN) == 0)
		return refuse(
		    err, ERR_BAD_DATA, CHECK_DUPLICATE, "taken in before");
	return refuse(err, ERR_UNTRUSTED, CHECK_EQUIVOCATION,
	    "its sender signed two different ones under one sequence");
}

/* --- content --- */

static int
open_lengths(const struct opening *o, struct err *err)
{
	const Galr__EnvelopeHeader *h = o->header;

	if (h->plain_length == 0 || h->plain_length > LIMIT_PAYLOAD_BYTES ||
	    h->packed_length == 0 || h->packed_length > h->plain_length ||
	    (h->compression == ENVELOPE_STORED &&
		h->packed_length != h->plain_length) ||
	    h->cipher_length != chunk_sealed_length(h->packed_length) ||
	    h->cipher_length != o->chunks.len)
		return refuse(err, ERR_BAD_DATA, CHECK_LENGTH,
		    "its lengths do not fit each other and the file");
	if (h->plain_length >
	    h->packed_length * LIMIT_INFLATE_RATIO + LIMIT_INFLATE_SLACK)
		return refuse(err, ERR_LIMIT, CHECK_RATIO,
		    "it would inflate beyond the allowed ratio");
	return 0;
}

/* The content key from my wrap, then the commitment. */
static int
open_unwrap(struct opening *o, struct err *err)
{
	const Galr__EnvelopeHeader *h = o->header;
	const struct envelope_info info = {"galr/1 content key",
	    &o->options->realm, h->type, h->sender, o->mine->id, h->sequence};
	uint8_t text[ENVELOPE_INFO_MAX], content_key[CRYPTO_KEY_LEN];
	uint8_t commitment[32];
	struct hpke_context context;
	int rc;

	rc = hpke_setup_receiver(CRYPTO_AES256_GCM, o->my_key->private_key,
	    o->mine->enc.data, envelope_info_encode(&info, text), &context,
	    NULL);
	if (rc == 0)
		rc = hpke_open(&context, slice_make(h->salt.data, h->salt.len),
		    slice_make(o->mine->wrapped.data, o->mine->wrapped.len),
		    content_key, NULL);
	hpke_cleanse(&context);
	if (rc < 0)
		return refuse(err, ERR_UNTRUSTED, CHECK_UNWRAP,
		    "its content key does not unwrap");
	rc = chunk_derive(CHUNK_ENVELOPE, h->salt.data, content_key, &o->cipher,
	    commitment, err);
	crypto_cleanse(content_key, sizeof(content_key));
	if (rc == 0 && !crypto_equal(commitment, h->commitment.data, 32))
		return refuse(err, ERR_UNTRUSTED, CHECK_COMMITMENT,
		    "its content key is not the committed one");
	return rc;
}

static int
open_chunks(struct opening *o, struct err *err)
{
	struct slice rest = o->chunks, part;
	uint8_t *p;

	crypto_sha256(slice_make(o->header_bytes.data,
			  o->header_bytes.len - ENVELOPE_HASH_FIELD_LEN),
	    o->cipher.aad);
	p = buf_reserve(&o->packed, (size_t)o->header->packed_length);
	if (p == NULL)
		return buf_check(&o->packed, "payload", err);
	while (rest.len > 0) {
		part = slice_sub(rest, 0, CHUNK_SEALED_MAX);
		rest = slice_sub(rest, part.len, SIZE_MAX);
		if (chunk_open(&o->cipher, rest.len == 0, part, p, NULL) < 0)
			return refuse(err, ERR_UNTRUSTED, CHECK_CHUNK,
			    "a chunk does not authenticate");
		p += part.len - CRYPTO_TAG_LEN;
	}
	return 0;
}

static int
open_inflate(struct opening *o, struct envelope *out, struct err *err)
{
	uLongf plain = (uLongf)o->header->plain_length;
	uLong packed = (uLong)o->packed.len;
	uint8_t *p;

	p = buf_reserve(&out->payload, plain);
	if (p == NULL)
		return buf_check(&out->payload, "payload", err);
	if (o->header->compression == ENVELOPE_STORED) {
		memcpy(p, o->packed.data, plain);
		return 0;
	}
	if (uncompress2(p, &plain, o->packed.data, &packed) != Z_OK ||
	    plain != o->header->plain_length || packed != o->packed.len) {
		buf_reset(&out->payload);
		return refuse(err, ERR_BAD_DATA, CHECK_INFLATE,
		    "it does not inflate to its stated length");
	}
	return 0;
}

static int
open_content(struct opening *o, struct envelope *out, struct err *err)
{
	uint8_t digest[CRYPTO_HASH_LEN];

	if (open_lengths(o, err) < 0)
		return -1;
	crypto_sha256(o->chunks, digest);
	if (!crypto_equal(
		digest, o->header->cipher_sha256.data, CRYPTO_HASH_LEN))
		return refuse(err, ERR_UNTRUSTED, CHECK_CIPHER_HASH,
		    "its ciphertext is not the signed one");
	if (open_unwrap(o, err) < 0 || open_chunks(o, err) < 0)
		return -1;
	return open_inflate(o, out, err);
}

static void
envelope_init(struct envelope *envelope)
{
	memset(envelope, 0, sizeof(*envelope));
	buf_init(&envelope->payload, LIMIT_PAYLOAD_BYTES);
}

int
envelope_open(struct slice file, const struct envelope_open_options *options,
    struct envelope *out, struct err *err)
{
	struct arena *arena = arena_new(2 * LIMIT_HEADER_UNPACK_BYTES);
	struct opening o;
	int rc = -1;

	memset(&o, 0, sizeof(o));
	o.options = options;
	buf_init(&o.packed, LIMIT_PAYLOAD_BYTES);
	envelope_init(out);
	if (open_frame(&o, file, err) < 0 ||
	    open_header(&o, arena, out, err) < 0 ||
	    open_sender(&o, out, err) < 0 || open_role(&o, err) < 0 ||
	    open_signature(&o, out, err) < 0 || open_context(&o, err) < 0 ||
	    open_times(&o, err) < 0 || open_sequence(&o, out, err) < 0 ||
	    open_content(&o, out, err) < 0)
		goto out;
	rc = 0;
out:
	buf_cleanse(&o.packed);
	crypto_cleanse(&o.cipher, sizeof(o.cipher));
	arena_free(arena);
	return rc;
}

int
envelope_peek(struct slice file, struct envelope *out, struct err *err)
{
	struct arena *arena = arena_new(2 * LIMIT_HEADER_UNPACK_BYTES);
	struct opening o;
	int rc = -1;

	memset(&o, 0, sizeof(o));
	envelope_init(out);
	if (open_frame(&o, file, err) == 0)
		rc = open_header(&o, arena, out, err);
	arena_free(arena);
	return rc;
}

void
envelope_fini(struct envelope *envelope)
{
	buf_cleanse(&envelope->payload);
}
