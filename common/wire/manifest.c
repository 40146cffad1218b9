#include "common/wire/manifest.h"

#include "common/base/clock.h"
#include "common/wire/envelope.h"
#include "common/wire/limits.h"
#include "common/wire/pb.h"

#define MANIFEST_DOMAIN "galr/1 manifest"
/* SHA-256 over (id, SHA-256(body)) of the live objects by id. */
#define MANIFEST_ROOT_SHA256 1

int
manifest_seal(const struct manifest *manifest, const struct key_pair *key,
    struct buf *out_signed, struct err *err)
{
	Galr__Manifest m = GALR__MANIFEST__INIT;
	Galr__SignedManifest signed_ = GALR__SIGNED_MANIFEST__INIT;
	uint8_t sig[CRYPTO_SIG_LEN];
	struct buf bytes;
	int rc = -1;

	m.format = 1;
	m.realm.data = (uint8_t *)manifest->realm.bytes;
	m.realm.len = ID_LEN;
	m.member = (char *)manifest->member;
	m.stream = (char *)manifest->stream;
	m.tag = (char *)manifest->tag;
	m.version = manifest->version;
	m.audience = (char **)manifest->audience;
	m.n_audience = manifest->audience_count;
	m.count = manifest->count;
	m.algorithm = MANIFEST_ROOT_SHA256;
	m.root.data = (uint8_t *)manifest->root;
	m.root.len = CRYPTO_HASH_LEN;
	m.issued_at = manifest->issued_at;
	m.not_after = manifest->not_after;
	m.ended = manifest->ended;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	pb_pack(&m.base, &bytes);
	if (buf_check(&bytes, "manifest", err) < 0 ||
	    crypto_sign(MANIFEST_DOMAIN, key->private_key, buf_slice(&bytes),
		sig, err) < 0)
		goto out;
	signed_.manifest.data = bytes.data;
	signed_.manifest.len = bytes.len;
	signed_.key_id.data = (uint8_t *)key->id.bytes;
	signed_.key_id.len = ID_LEN;
	signed_.signature.data = sig;
	signed_.signature.len = sizeof(sig);
	pb_pack(&signed_.base, out_signed);
	rc = buf_check(out_signed, "manifest", err);
out:
	buf_fini(&bytes);
	return rc;
}

/* The key that must have signed: the member's own, neither revoked. */
static int
manifest_verify(const Galr__SignedManifest *signed_, const Galr__Manifest *m,
    const struct registry *registry, struct err *err)
{
	const struct registry_member *member;
	const struct registry_key *key = NULL;
	struct id key_id;

	if (signed_->key_id.len != ID_LEN || !registry_name_valid(m->member))
		return err_set_code(err, ERR_BAD_DATA, CHECK_MANIFEST_FIELDS,
		    "a manifest is malformed");
	memcpy(key_id.bytes, signed_->key_id.data, ID_LEN);
	member = registry_find(registry, m->member);
	/* Provenance has the name: one member, one spelling. */
	if (member != NULL && strcmp(member->name, m->member) != 0)
		return err_set_code(err, ERR_BAD_DATA, CHECK_MANIFEST_FIELDS,
		    "the manifest of %s writes its member's name otherwise "
		    "than the registry",
		    m->member);
	if (member != NULL)
		key = registry_member_key(member, REGISTRY_SIGN, &key_id);
	if (key == NULL || member->revoked ||
	    registry_key_revoked(registry, &key_id))
		return err_set_code(err, ERR_UNTRUSTED, CHECK_MANIFEST_KEY,
		    "the manifest of %s/%s is signed by an unknown or revoked "
		    "key",
		    m->member, m->stream);
	if (crypto_verify(MANIFEST_DOMAIN, key->public_key,
		slice_make(signed_->manifest.data, signed_->manifest.len),
		slice_make(signed_->signature.data, signed_->signature.len),
		NULL) < 0)
		return err_set_code(err, ERR_UNTRUSTED,
		    CHECK_MANIFEST_SIGNATURE,
		    "the signature on the manifest of %s/%s does not verify",
		    m->member, m->stream);
	return 0;
}

static bool
manifest_tag_ok(const Galr__Manifest *m)
{
	return registry_tag_valid(m->tag) &&
	       registry_tag_match(m->member, m->tag);
}

static int
manifest_check(const Galr__Manifest *m, const struct registry *registry,
    int64_t now_ms, struct err *err)
{
	char text[CLOCK_TEXT_SIZE];
	const char *bad = NULL;
	size_t i;

	if (m->format != 1 || m->algorithm != MANIFEST_ROOT_SHA256)
		bad = "format";
	else if (m->realm.len != ID_LEN ||
		 memcmp(m->realm.data, registry->realm.bytes, ID_LEN) != 0)
		bad = "realm";
	else if (!registry_name_valid(m->stream))
		bad = "stream";
	else if (!manifest_tag_ok(m))
		bad = "tag";
	else if (m->version == 0 || m->version > LIMIT_NUMBER)
		bad = "version";
	else if (m->count > LIMIT_NUMBER)
		bad = "count";
	else if (m->root.len != CRYPTO_HASH_LEN)
		bad = "root";
	else if (m->issued_at <= 0 || m->not_after <= m->issued_at)
		bad = "times";
	for (i = 0; bad == NULL && i < m->n_audience; i++) {
		if (!registry_name_valid(m->audience[i]))
			bad = "audience";
	}
	if (bad != NULL)
		return err_set_code(err, ERR_BAD_DATA, CHECK_MANIFEST_FIELDS,
		    "the manifest of %s: bad %s", m->member, bad);
	if (m->issued_at > now_ms && m->issued_at - now_ms > LIMIT_SKEW_MS)
		return err_set_code(err, ERR_TEMPORARY, CHECK_MANIFEST_FUTURE,
		    "the manifest of %s/%s was issued at %s, ahead of this "
		    "machine's clock: check the clocks here and there",
		    m->member, m->stream, clock_format(m->issued_at, text));
	return 0;
}

static const Galr__Manifest *
manifest_unpack(struct slice signed_bytes, struct arena *arena,
    const Galr__SignedManifest **out_signed, struct err *err)
{
	static const struct pb_cap caps[] = {{7, LIMIT_AUDIENCE}, {0, 0}};
	const struct pb_unpack_options outer = {
	    &galr__signed_manifest__descriptor, NULL, 2 * LIMIT_MANIFEST_BYTES,
	    "signed manifest"};
	const struct pb_unpack_options inner = {&galr__manifest__descriptor,
	    caps, 4 * LIMIT_MANIFEST_BYTES, "manifest"};
	const ProtobufCMessage *m = NULL;

	*out_signed = (const Galr__SignedManifest *)pb_unpack(
	    &outer, signed_bytes, arena, err);
	if (*out_signed != NULL)
		m = pb_unpack(&inner,
		    slice_make((*out_signed)->manifest.data,
			(*out_signed)->manifest.len),
		    arena, err);
	if (m == NULL && err != NULL)
		err->code = CHECK_MANIFEST_FIELDS;
	return (const Galr__Manifest *)m;
}

int
manifest_open(struct slice signed_bytes, const struct registry *registry,
    int64_t now_ms, struct arena *arena, struct manifest *out_manifest,
    struct err *err)
{
	const Galr__SignedManifest *signed_;
	const Galr__Manifest *m;

	memset(out_manifest, 0, sizeof(*out_manifest));
	m = manifest_unpack(signed_bytes, arena, &signed_, err);
	if (m == NULL || manifest_verify(signed_, m, registry, err) < 0 ||
	    manifest_check(m, registry, now_ms, err) < 0)
		return -1;
	out_manifest->realm = registry->realm;
	out_manifest->member = m->member;
	out_manifest->stream = m->stream;
	out_manifest->tag = m->tag;
	out_manifest->version = m->version;
	out_manifest->audience = (const char *const *)m->audience;
	out_manifest->audience_count = m->n_audience;
	out_manifest->count = m->count;
	memcpy(out_manifest->root, m->root.data, CRYPTO_HASH_LEN);
	out_manifest->issued_at = m->issued_at;
	out_manifest->not_after = m->not_after;
	out_manifest->ended = m->ended;
	return 0;
}

bool
manifest_audience_has(const struct manifest *manifest, const char *member)
{
	size_t i;

	if (manifest->audience_count == 0 ||
	    registry_name_equal(manifest->member, member))
		return true;
	for (i = 0; i < manifest->audience_count; i++) {
		if (registry_name_equal(manifest->audience[i], member))
			return true;
	}
	return false;
}
