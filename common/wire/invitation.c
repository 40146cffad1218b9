#include "common/wire/invitation.h"

#include "common/base/reader.h"
#include "common/wire/registry.h"

#define INVITATION_FORMAT 1
#define INVITATION_CHECK_LEN 4
#define INVITATION_RAW_MAX 768

static const char base64url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 section 5, without padding. */
static void
base64url_add(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i += 3) {
		size_t n = s.len - i < 3 ? s.len - i : 3;
		uint32_t v = (uint32_t)s.data[i] << 16;

		if (n > 1)
			v |= (uint32_t)s.data[i + 1] << 8;
		if (n > 2)
			v |= s.data[i + 2];
		for (size_t k = 0; k <= n; k++)
			buf_add_byte(
			    out, (uint8_t)base64url[(v >> (18 - 6 * k)) & 63]);
	}
}

static int
base64url_digit(uint8_t c)
{
	const char *at = c == 0 ? NULL : strchr(base64url, c);

	return at == NULL ? -1 : (int)(at - base64url);
}

/* False on a foreign character, a lone digit or bits left over. */
static bool
base64url_read(struct slice text, struct buf *out)
{
	uint32_t v = 0;
	unsigned bits = 0;

	if (text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = base64url_digit(text.data[i]);

		if (digit < 0)
			return false;
		v = v << 6 | (uint32_t)digit;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_add_byte(out, (uint8_t)(v >> bits));
			v &= (1u << bits) - 1;
		}
	}
	return v == 0 && !buf_failed(out);
}

static int
text_check(const char *what, const char *text, size_t max, struct err *err)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return err_set(err, ERR_CONFIG,
		    "invitation: %s must have 1 to %zu characters", what, max);
	return 0;
}

int
invitation_encode(
    const struct invitation *invitation, struct buf *out, struct err *err)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct buf raw;
	int rc = -1;

	buf_init(&raw, INVITATION_RAW_MAX);
	if (text_check("the name", invitation->name,
		sizeof(invitation->name) - 1, err) < 0 ||
	    text_check("the hub's address", invitation->address,
		INVITATION_ADDRESS_MAX, err) < 0)
		goto out;
	buf_add_byte(&raw, INVITATION_FORMAT);
	buf_add(&raw, id_slice(&invitation->realm));
	buf_add(&raw, slice_make(invitation->hub_sign, 32));
	buf_add(&raw, slice_make(invitation->hub_decrypt, 32));
	buf_add(&raw, slice_make(invitation->hub_curve, 32));
	buf_add(&raw, id_slice(&invitation->id));
	buf_add(&raw, slice_make(invitation->secret, 32));
	buf_add_u64be(&raw, (uint64_t)invitation->expires_at);
	buf_add_byte(&raw, (uint8_t)strlen(invitation->name));
	buf_add_str(&raw, invitation->name);
	buf_add_byte(&raw, (uint8_t)strlen(invitation->address));
	buf_add_str(&raw, invitation->address);
	crypto_sha256(buf_slice(&raw), digest);
	buf_add(&raw, slice_make(digest, INVITATION_CHECK_LEN));
	if (buf_check(&raw, "invitation", err) < 0)
		goto out;
	buf_add_str(out, INVITATION_PREFIX);
	base64url_add(out, buf_slice(&raw));
	rc = buf_check(out, "invitation", err);
out:
	buf_cleanse(&raw);
	return rc;
}

static void
key_take(struct reader *r, uint8_t out[32])
{
	struct slice s = reader_take(r, 32);

	if (s.len == 32)
		memcpy(out, s.data, 32);
}

static void
id_take(struct reader *r, struct id *out)
{
	struct slice s = reader_take(r, ID_LEN);

	if (s.len == ID_LEN)
		memcpy(out->bytes, s.data, ID_LEN);
}

/* Text of 1..size-1 bytes without control characters. */
static void
text_take(struct reader *r, char *out, size_t size)
{
	struct slice s = reader_take(r, reader_u8(r));

	if (s.len == 0 || s.len >= size) {
		r->failed = true;
		return;
	}
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < 0x21 || s.data[i] > 0x7e)
			r->failed = true;
	memcpy(out, s.data, s.len);
	out[s.len] = '\0';
}

static bool
raw_decode(struct slice raw, struct invitation *out)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct slice body;
	struct reader r;

	if (raw.len < INVITATION_CHECK_LEN)
		return false;
	body = slice_sub(raw, 0, raw.len - INVITATION_CHECK_LEN);
	crypto_sha256(body, digest);
	if (!crypto_equal(digest, raw.data + body.len, INVITATION_CHECK_LEN))
		return false;
	reader_init(&r, body);
	if (reader_u8(&r) != INVITATION_FORMAT)
		return false;
	id_take(&r, &out->realm);
	key_take(&r, out->hub_sign);
	key_take(&r, out->hub_decrypt);
	key_take(&r, out->hub_curve);
	id_take(&r, &out->id);
	key_take(&r, out->secret);
	out->expires_at = (int64_t)reader_u64be(&r);
	text_take(&r, out->name, sizeof(out->name));
	text_take(&r, out->address, sizeof(out->address));
	return reader_done(&r) && registry_name_valid(out->name);
}

int
invitation_decode(
    struct slice text, struct invitation *out_invitation, struct err *err)
{
	struct slice prefix = SLICE_LIT(INVITATION_PREFIX);
	struct buf raw;
	int rc = 0;

	memset(out_invitation, 0, sizeof(*out_invitation));
	text = slice_trim(text);
	if (text.len > INVITATION_TEXT_MAX || !slice_starts_case(text, prefix))
		return err_set(err, ERR_BAD_DATA,
		    "this is no invitation: it should start with %s",
		    INVITATION_PREFIX);
	buf_init(&raw, INVITATION_RAW_MAX);
	text = slice_sub(text, prefix.len, SIZE_MAX);
	if (!base64url_read(text, &raw) ||
	    !raw_decode(buf_slice(&raw), out_invitation)) {
		crypto_cleanse(out_invitation, sizeof(*out_invitation));
		rc = err_set(err, ERR_BAD_DATA,
		    "the invitation is cut or damaged: copy the whole line");
	}
	buf_cleanse(&raw);
	return rc;
}

static int
secret_derive(const struct invitation *invitation, const char *info,
    uint8_t out_key[32], struct err *err)
{
	uint8_t prk[CRYPTO_HASH_LEN];
	int rc;

	if (crypto_hkdf_extract(id_slice(&invitation->id),
		slice_make(invitation->secret, 32), prk, err) < 0)
		return -1;
	rc = crypto_hkdf_expand(
	    slice_make(prk, sizeof(prk)), slice_str(info), out_key, 32, err);
	crypto_cleanse(prk, sizeof(prk));
	return rc;
}

int
invitation_curve(const struct invitation *invitation,
    struct key_pair *out_curve, struct err *err)
{
	memset(out_curve, 0, sizeof(*out_curve));
	if (secret_derive(invitation, "galr/1 join curve",
		out_curve->private_key, err) < 0 ||
	    crypto_x25519_public(
		out_curve->private_key, out_curve->public_key, err) < 0)
		return -1;
	crypto_key_id("curve", out_curve->public_key, &out_curve->id);
	out_curve->present = true;
	return 0;
}

int
invitation_sign(const struct invitation *invitation, struct key_pair *out_sign,
    struct err *err)
{
	memset(out_sign, 0, sizeof(*out_sign));
	if (secret_derive(invitation, "galr/1 join sign", out_sign->private_key,
		err) < 0 ||
	    crypto_ed25519_public(
		out_sign->private_key, out_sign->public_key, err) < 0)
		return -1;
	crypto_key_id("ed25519", out_sign->public_key, &out_sign->id);
	out_sign->present = true;
	return 0;
}

int
invitation_mac(const struct invitation *invitation,
    const Galr__JoinRequest *request, uint8_t out_mac[CRYPTO_HASH_LEN],
    struct err *err)
{
	Galr__JoinRequest copy = *request;
	uint8_t key[32];
	struct buf buf;
	uint8_t *at;
	int rc = -1;

	copy.mac.data = NULL;
	copy.mac.len = 0;
	buf_init(&buf, 64 * 1024);
	if (secret_derive(invitation, "galr/1 join mac", key, err) < 0)
		goto out;
	buf_add(&buf, id_slice(&invitation->realm));
	buf_add(&buf, slice_make(invitation->hub_sign, 32));
	buf_add(&buf, slice_make(invitation->hub_decrypt, 32));
	buf_add(&buf, slice_make(invitation->hub_curve, 32));
	at = buf_reserve(&buf, galr__join_request__get_packed_size(&copy));
	if (buf_check(&buf, "join request", err) < 0)
		goto out;
	(void)galr__join_request__pack(&copy, at);
	crypto_hmac_sha256(
	    slice_make(key, sizeof(key)), buf_slice(&buf), out_mac);
	rc = 0;
out:
	crypto_cleanse(key, sizeof(key));
	buf_fini(&buf);
	return rc;
}

char *
invitation_peer(const struct id *id, char *text)
{
	memcpy(text, "join-", 5);
	(void)id_format(id, text + 5);
	return text;
}
