/* Changing the registry: protobuf messages on the heap, as unpacked. */
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "hub/members.h"

static const char *
key_algorithm(Galr__KeyRole role)
{
	switch ((int)role) {
	case GALR__KEY_ROLE__KEY_SIGN:
		return "ed25519";
	case GALR__KEY_ROLE__KEY_DECRYPT:
		return "x25519";
	case GALR__KEY_ROLE__KEY_CURVE:
		return "curve";
	default:
		return NULL;
	}
}

bool
members_key_id(const Galr__PublicKey *key, struct id *out_id)
{
	const char *algorithm = key_algorithm(key->role);

	memset(out_id, 0, sizeof(*out_id));
	if (algorithm == NULL || key->key.len != 32)
		return false;
	crypto_key_id(algorithm, key->key.data, out_id);
	return true;
}

int
members_edit_begin(
    struct hub *hub, Galr__Registry **out_message, struct err *err)
{
	struct slice bytes = hub->registry->signed_bytes;
	Galr__SignedRegistry *outer =
	    galr__signed_registry__unpack(NULL, bytes.len, bytes.data);

	*out_message = NULL;
	if (outer != NULL) {
		*out_message = galr__registry__unpack(
		    NULL, outer->registry.len, outer->registry.data);
		galr__signed_registry__free_unpacked(outer, NULL);
	}
	if (*out_message == NULL)
		return err_set(
		    err, ERR_INTERNAL, "the hub's own registry does not parse");
	return 0;
}

void
members_edit_free(Galr__Registry *message)
{
	if (message != NULL)
		galr__registry__free_unpacked(message, NULL);
}

int
members_edit_commit(struct hub *hub, Galr__Registry *message, struct err *err)
{
	struct registry *trial = NULL;
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, LIMIT_PAYLOAD_BYTES / 2);
	if (message->n_members > LIMIT_MEMBERS) {
		(void)err_set(err, ERR_LIMIT, "a realm has at most %d members",
		    LIMIT_MEMBERS);
		goto out;
	}
	message->version = envelope_next(
	    message->version > hub->registry->version ? message->version
						      : hub->registry->version,
	    hub->now_ms);
	message->issued_at = hub->now_ms;
	/* What nobody could read must never be stored: it would be the end of
	 * the realm. */
	if (registry_encode(message, &hub->keys, &bytes, err) < 0 ||
	    registry_decode(buf_slice(&bytes), hub->keys.sign_active.public_key,
		&trial, err) < 0 ||
	    store_meta_set(hub->store, "registry", buf_slice(&bytes), err) <
		0 ||
	    target_touch(hub->store, NULL, false, err) < 0 ||
	    hub_registry_load(hub, err) < 0 ||
	    store_commit(hub->store, err) < 0)
		goto out;
	rc = members_front_write(hub, err);
out:
	registry_free(trial);
	buf_fini(&bytes);
	return rc;
}

Galr__Member *
members_edit_find(Galr__Registry *message, const char *name)
{
	for (size_t i = 0; i < message->n_members; i++)
		if (slice_equal_case(
			slice_str(message->members[i]->name), slice_str(name)))
			return message->members[i];
	return NULL;
}

Galr__Member *
members_edit_add(Galr__Registry *message, const char *name)
{
	Galr__Member *member = mem_alloc(sizeof(*member));
	size_t n = message->n_members;

	galr__member__init(member);
	member->name = mem_strdup(name);
	message->members = mem_realloc(
	    message->members, (n + 1) * sizeof(message->members[0]));
	for (; n > 0 && strcmp(message->members[n - 1]->name, name) > 0; n--)
		message->members[n] = message->members[n - 1];
	message->members[n] = member;
	message->n_members++;
	return member;
}

static ProtobufCBinaryData
bytes_dup(ProtobufCBinaryData from)
{
	ProtobufCBinaryData to = {0, NULL};

	if (from.len > 0) {
		to.data = mem_alloc(from.len);
		memcpy(to.data, from.data, from.len);
		to.len = from.len;
	}
	return to;
}

void
members_edit_keys(
    Galr__Member *member, Galr__PublicKey *const *keys, size_t count)
{
	for (size_t i = 0; i < member->n_keys; i++)
		galr__public_key__free_unpacked(member->keys[i], NULL);
	free(member->keys);
	member->keys = mem_calloc(count + 1, sizeof(member->keys[0]));
	member->n_keys = count;
	for (size_t i = 0; i < count; i++) {
		Galr__PublicKey *copy = mem_alloc(sizeof(*copy));

		galr__public_key__init(copy);
		copy->role = keys[i]->role;
		copy->active = keys[i]->active;
		copy->key = bytes_dup(keys[i]->key);
		copy->predecessor = bytes_dup(keys[i]->predecessor);
		copy->endorsement = bytes_dup(keys[i]->endorsement);
		member->keys[i] = copy;
	}
}

void
members_edit_domains(Galr__Member *member, const char *comma_separated)
{
	size_t count = 0;

	for (size_t i = 0; i < member->n_domains; i++)
		free(member->domains[i]);
	free(member->domains);
	member->domains =
	    mem_calloc(LIMIT_DOMAINS + 1, sizeof(member->domains[0]));
	while (*comma_separated != '\0' && count < LIMIT_DOMAINS) {
		size_t len = strcspn(comma_separated, ",");

		if (len > 0)
			member->domains[count++] =
			    mem_strndup(comma_separated, len);
		comma_separated += len + (comma_separated[len] == ',');
	}
	member->n_domains = count;
}

void
members_edit_revoke_key(Galr__Registry *message, const struct id *id)
{
	size_t n = message->n_revoked_keys;

	for (size_t i = 0; i < n; i++)
		if (slice_equal(slice_make(message->revoked_keys[i].data,
				    message->revoked_keys[i].len),
			id_slice(id)))
			return;
	message->revoked_keys = mem_realloc(
	    message->revoked_keys, (n + 1) * sizeof(message->revoked_keys[0]));
	message->revoked_keys[n].len = ID_LEN;
	message->revoked_keys[n].data = mem_alloc(ID_LEN);
	memcpy(message->revoked_keys[n].data, id->bytes, ID_LEN);
	message->n_revoked_keys++;
}
