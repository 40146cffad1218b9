#include "common/wire/registry.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "common/wire/pb.h"

#define REGISTRY_DOMAIN "galr/1 registry"

static const char *const role_algorithms[] = {
    [REGISTRY_SIGN] = "ed25519",
    [REGISTRY_DECRYPT] = "x25519",
    [REGISTRY_CURVE] = "curve",
};

static int
registry_bad(struct err *err, const char *what)
{
	return err_set(err, ERR_BAD_DATA, "the registry has %s", what);
}

static int
registry_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "the registry takes too much memory");
}

/* --- keys and their chains --- */

const struct registry_key *
registry_member_key(const struct registry_member *member,
    enum registry_role role, const struct id *key_id)
{
	size_t i;

	for (i = 0; i < member->key_count; i++) {
		if (member->keys[i].role == role &&
		    id_compare(&member->keys[i].id, key_id) == 0)
			return &member->keys[i];
	}
	return NULL;
}

const struct registry_key *
registry_active_key(
    const struct registry_member *member, enum registry_role role)
{
	size_t i;

	for (i = 0; i < member->key_count; i++) {
		if (member->keys[i].role == role && member->keys[i].active)
			return &member->keys[i];
	}
	return NULL;
}

static int
id_compare_void(const void *a, const void *b)
{
	return id_compare(a, b);
}

bool
registry_key_revoked(const struct registry *registry, const struct id *key_id)
{
	if (registry->revoked_count == 0)
		return false;
	return bsearch(key_id, registry->revoked_keys, registry->revoked_count,
		   sizeof(struct id), id_compare_void) != NULL;
}

/* Walks from key back to the key `root`, whose public bytes are known, checking
 * each endorsement. A revoked key endorses nobody. */
static bool
registry_chain_holds(const struct registry *registry,
    const struct registry_member *member, const struct registry_key *key,
    const struct id *root, const uint8_t root_public[32])
{
	struct keys_change change = {
	    &registry->realm, member->name, NULL, NULL};
	const struct registry_key *before;
	size_t steps;
	bool last;

	for (steps = 0; steps <= LIMIT_MEMBER_KEYS; steps++) {
		if (registry_key_revoked(registry, &key->id))
			return false;
		if (id_compare(&key->id, root) == 0)
			return true;
		if (!key->endorsed)
			return false;
		last = id_compare(&key->predecessor, root) == 0;
		before = registry_member_key(
		    member, REGISTRY_SIGN, &key->predecessor);
		if (!last && before == NULL)
			return false;
		change.old_public = last ? root_public : before->public_key;
		change.new_public = key->public_key;
		if (keys_change_verify(&change, key->endorsement, NULL) < 0)
			return false;
		if (last)
			return !registry_key_revoked(registry, root);
		key = before;
	}
	return false;
}

bool
registry_key_follows(const struct registry *registry,
    const struct registry_member *member, const struct id *from,
    const struct id *to)
{
	const struct registry_key *root, *key;

	root = registry_member_key(member, REGISTRY_SIGN, from);
	key = registry_member_key(member, REGISTRY_SIGN, to);
	return root != NULL && key != NULL &&
	       registry_chain_holds(
		   registry, member, key, from, root->public_key);
}

/* --- decoding --- */

static int
registry_key_decode(
    const Galr__PublicKey *in, struct registry_key *out, struct err *err)
{
	if (in->role < GALR__KEY_ROLE__KEY_SIGN ||
	    in->role > GALR__KEY_ROLE__KEY_CURVE)
		return registry_bad(err, "a key of unknown role");
	if (in->key.len != 32)
		return registry_bad(err, "a key that is not 32 bytes long");
	out->role = (enum registry_role)in->role;
	memcpy(out->public_key, in->key.data, 32);
	crypto_key_id(role_algorithms[out->role], out->public_key, &out->id);
	out->active = in->active;
	if (in->predecessor.len == 0 && in->endorsement.len == 0)
		return 0;
	if (in->predecessor.len != ID_LEN ||
	    in->endorsement.len != CRYPTO_SIG_LEN || out->role != REGISTRY_SIGN)
		return registry_bad(err, "a malformed endorsement");
	out->endorsed = true;
	memcpy(out->predecessor.bytes, in->predecessor.data, ID_LEN);
	memcpy(out->endorsement, in->endorsement.data, CRYPTO_SIG_LEN);
	return 0;
}

static int
registry_keys_decode(struct registry *registry, Galr__PublicKey *const *in,
    size_t n, struct registry_member *out, struct err *err)
{
	struct registry_key *keys;
	size_t i, j, active[REGISTRY_CURVE + 1] = {0};

	if (n > LIMIT_MEMBER_KEYS)
		return err_set(err, ERR_LIMIT,
		    "the registry lists more than %d keys for one member",
		    LIMIT_MEMBER_KEYS);
	keys = arena_calloc(registry->arena, n + 1, sizeof(*keys));
	if (keys == NULL)
		return registry_memory(err);
	for (i = 0; i < n; i++) {
		if (registry_key_decode(in[i], &keys[i], err) < 0)
			return -1;
		active[keys[i].role] += keys[i].active;
		for (j = 0; j < i; j++) {
			if (id_compare(&keys[i].id, &keys[j].id) == 0)
				return registry_bad(err, "one key twice");
		}
	}
	for (i = REGISTRY_SIGN; i <= REGISTRY_CURVE; i++) {
		if (active[i] > 1 || (active[i] == 0 && !out->revoked))
			return registry_bad(err,
			    "a member without exactly one active key a role");
	}
	out->keys = keys;
	out->key_count = n;
	return 0;
}

static int
registry_member_decode(struct registry *registry, const Galr__Member *in,
    struct registry_member *out, struct err *err)
{
	size_t i;

	if (!registry_name_valid(in->name))
		return registry_bad(err, "a malformed member name");
	if (in->n_domains > LIMIT_DOMAINS ||
	    in->n_ended_streams > LIMIT_STREAMS_ENDED)
		return err_set(err, ERR_LIMIT,
		    "the registry lists more than %d domains or %d ended "
		    "streams for one member",
		    LIMIT_DOMAINS, LIMIT_STREAMS_ENDED);
	for (i = 0; i < in->n_domains; i++) {
		if (!registry_domain_valid(in->domains[i]))
			return registry_bad(err, "a malformed domain");
	}
	for (i = 0; i < in->n_ended_streams; i++) {
		if (!registry_name_valid(in->ended_streams[i]))
			return registry_bad(err, "a malformed stream name");
	}
	out->name = in->name;
	out->domains = (const char *const *)in->domains;
	out->domain_count = in->n_domains;
	out->ended_streams = (const char *const *)in->ended_streams;
	out->ended_count = in->n_ended_streams;
	out->revoked = in->revoked;
	out->joined_at = in->joined_at;
	return registry_keys_decode(registry, in->keys, in->n_keys, out, err);
}

static int
registry_members_decode(
    struct registry *registry, const Galr__Registry *in, struct err *err)
{
	struct registry_member *members;
	size_t i;

	members =
	    arena_calloc(registry->arena, in->n_members + 1, sizeof(*members));
	if (members == NULL)
		return registry_memory(err);
	for (i = 0; i < in->n_members; i++) {
		if (registry_member_decode(
			registry, in->members[i], &members[i], err) < 0)
			return -1;
		if (i > 0 && slice_compare_case(slice_str(members[i - 1].name),
				 slice_str(members[i].name)) >= 0)
			return registry_bad(
			    err, "members that are not in ascending order");
	}
	registry->members = members;
	registry->member_count = in->n_members;
	return 0;
}

static int
registry_revoked_decode(
    struct registry *registry, const Galr__Registry *in, struct err *err)
{
	struct id *ids;
	size_t i;

	ids =
	    arena_calloc(registry->arena, in->n_revoked_keys + 1, sizeof(*ids));
	if (ids == NULL)
		return registry_memory(err);
	for (i = 0; i < in->n_revoked_keys; i++) {
		if (in->revoked_keys[i].len != ID_LEN)
			return registry_bad(err, "a malformed revocation");
		memcpy(ids[i].bytes, in->revoked_keys[i].data, ID_LEN);
	}
	if (in->n_revoked_keys > 1)
		qsort(ids, in->n_revoked_keys, sizeof(*ids), id_compare_void);
	registry->revoked_keys = ids;
	registry->revoked_count = in->n_revoked_keys;
	return 0;
}

/* It is shown to people: nothing in it may move their cursor. */
static bool
registry_text_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int
registry_head_decode(
    struct registry *registry, const Galr__Registry *in, struct err *err)
{
	if (in->format != 1 || in->realm.len != ID_LEN || in->version == 0 ||
	    in->version > LIMIT_NUMBER || in->issued_at <= 0 ||
	    strlen(in->realm_name) > LIMIT_NAME_CHARS ||
	    !registry_text_plain(in->realm_name))
		return registry_bad(err, "a malformed head");
	memcpy(registry->realm.bytes, in->realm.data, ID_LEN);
	registry->realm_name = in->realm_name;
	registry->version = in->version;
	registry->issued_at = in->issued_at;
	registry->hub.name = "";
	return registry_keys_decode(
	    registry, in->hub_keys, in->n_hub_keys, &registry->hub, err);
}

/* The signing key must be the pinned one, or follow from it inside. */
static int
registry_verify(struct registry *registry, const Galr__SignedRegistry *signed_,
    const uint8_t pinned_public[32], struct err *err)
{
	const struct registry_key *key;
	struct id key_id, pinned;

	crypto_key_id("ed25519", pinned_public, &pinned);
	if (id_from_slice(slice_make(signed_->key_id.data, signed_->key_id.len),
		&key_id, err) < 0)
		return err_prepend(err, "the registry's key id");
	key = registry_member_key(&registry->hub, REGISTRY_SIGN, &key_id);
	if (key == NULL || !registry_chain_holds(registry, &registry->hub, key,
			       &pinned, pinned_public))
		return err_set(err, ERR_UNTRUSTED,
		    "the registry is signed by a key that does not follow "
		    "from the hub's known key");
	if (crypto_verify(REGISTRY_DOMAIN, key->public_key,
		slice_make(signed_->registry.data, signed_->registry.len),
		slice_make(signed_->signature.data, signed_->signature.len),
		err) < 0)
		return err_prepend(err, "registry");
	return 0;
}

static int
registry_fill(
    struct registry *registry, const uint8_t pinned_public[32], struct err *err)
{
	static const struct pb_cap caps[] = {{6, LIMIT_MEMBER_KEYS},
	    {7, LIMIT_MEMBERS}, {8, LIMIT_KEYS_REVOKED}, {0, 0}};
	const struct pb_unpack_options outer = {
	    &galr__signed_registry__descriptor, NULL, LIMIT_UNPACK_BYTES,
	    "signed registry"};
	const struct pb_unpack_options inner = {
	    &galr__registry__descriptor, caps, LIMIT_UNPACK_BYTES, "registry"};
	const Galr__SignedRegistry *signed_;
	const Galr__Registry *in;

	signed_ = (const Galr__SignedRegistry *)pb_unpack(
	    &outer, registry->signed_bytes, registry->arena, err);
	if (signed_ == NULL)
		return -1;
	in = (const Galr__Registry *)pb_unpack(&inner,
	    slice_make(signed_->registry.data, signed_->registry.len),
	    registry->arena, err);
	/* Revocations and hub keys are what the signature is judged by. */
	if (in == NULL || registry_revoked_decode(registry, in, err) < 0 ||
	    registry_head_decode(registry, in, err) < 0 ||
	    registry_verify(registry, signed_, pinned_public, err) < 0)
		return -1;
	return registry_members_decode(registry, in, err);
}

int
registry_decode(struct slice signed_bytes, const uint8_t hub_sign_public[32],
    struct registry **out_registry, struct err *err)
{
	struct registry *registry;

	*out_registry = NULL;
	if (signed_bytes.len == 0 || signed_bytes.len > LIMIT_PAYLOAD_BYTES)
		return err_set(err, ERR_LIMIT, "a registry of %zu bytes",
		    signed_bytes.len);
	registry = mem_calloc(1, sizeof(*registry));
	registry->arena = arena_new(2 * (size_t)LIMIT_UNPACK_BYTES);
	registry->signed_bytes = arena_dup(registry->arena, signed_bytes);
	if (registry_fill(registry, hub_sign_public, err) < 0) {
		registry_free(registry);
		return -1;
	}
	*out_registry = registry;
	return 0;
}

void
registry_free(struct registry *registry)
{
	if (registry == NULL)
		return;
	arena_free(registry->arena);
	free(registry);
}

/* --- encoding --- */

static int
member_compare(const void *a, const void *b)
{
	const Galr__Member *const *x = a, *const *y = b;

	return slice_compare_case(slice_str((*x)->name), slice_str((*y)->name));
}

int
registry_encode(const Galr__Registry *message, const struct keys *hub_keys,
    struct buf *out_signed, struct err *err)
{
	Galr__SignedRegistry signed_ = GALR__SIGNED_REGISTRY__INIT;
	Galr__Registry sorted = *message;
	uint8_t sig[CRYPTO_SIG_LEN];
	struct id key_id = hub_keys->sign_active.id;
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, LIMIT_PAYLOAD_BYTES / 2);
	sorted.members =
	    mem_calloc(message->n_members + 1, sizeof(Galr__Member *));
	if (message->n_members > 0) {
		memcpy(sorted.members, message->members,
		    message->n_members * sizeof(Galr__Member *));
		qsort(sorted.members, message->n_members,
		    sizeof(Galr__Member *), member_compare);
	}
	pb_pack(&sorted.base, &bytes);
	if (buf_check(&bytes, "registry", err) < 0 ||
	    crypto_sign(REGISTRY_DOMAIN, hub_keys->sign_active.private_key,
		buf_slice(&bytes), sig, err) < 0)
		goto out;
	signed_.registry.data = bytes.data;
	signed_.registry.len = bytes.len;
	signed_.key_id.data = key_id.bytes;
	signed_.key_id.len = ID_LEN;
	signed_.signature.data = sig;
	signed_.signature.len = sizeof(sig);
	pb_pack(&signed_.base, out_signed);
	rc = buf_check(out_signed, "registry", err);
out:
	buf_fini(&bytes);
	free(sorted.members);
	return rc;
}

/* --- members --- */

static int
member_find_compare(const void *key, const void *item)
{
	const struct registry_member *member = item;

	return slice_compare_case(slice_str(key), slice_str(member->name));
}

bool
registry_stream_ended(const struct registry_member *member, const char *stream)
{
	for (size_t i = 0; i < member->ended_count; i++)
		if (registry_name_equal(member->ended_streams[i], stream))
			return true;
	return false;
}

const struct registry_member *
registry_find(const struct registry *registry, const char *name)
{
	if (name[0] == '\0')
		return &registry->hub;
	if (registry->member_count == 0)
		return NULL;
	return bsearch(name, registry->members, registry->member_count,
	    sizeof(struct registry_member), member_find_compare);
}
