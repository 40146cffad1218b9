/* A realm in memory for tests: a hub, NORTH and SOUTH, and a registry that can
 * be edited and signed again. */
#ifndef TESTS_UNIT_WIRE_REALM_H
#define TESTS_UNIT_WIRE_REALM_H

#include <stdio.h>
#include <stdlib.h>

#include "common/wire/envelope.h"
#include "common/wire/limits.h"
#include "common/wire/manifest.h"

#define REALM_NOW INT64_C(1700000000000)
#define REALM_CHECK(c)                                                         \
	do {                                                                   \
		if (!(c)) {                                                    \
			fprintf(                                               \
			    stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);    \
			abort();                                               \
		}                                                              \
	} while (0)

struct realm_member {
	const char *name;
	struct keys keys;
	Galr__Member message;
	Galr__PublicKey key_messages[LIMIT_MEMBER_KEYS + 1];
	Galr__PublicKey *key_list[LIMIT_MEMBER_KEYS + 1];
	char *domains[4];
};

struct realm {
	struct id id;
	struct realm_member hub, north, south;
	Galr__Registry message;
	Galr__Member *member_list[2];
	ProtobufCBinaryData revoked_keys[4];
	struct buf signed_bytes;
	struct registry *registry;
};

static inline void
realm_pair(struct key_pair *pair, const char *algorithm, uint8_t seed)
{
	memset(pair, 0, sizeof(*pair));
	memset(pair->private_key, seed, 32);
	if (strcmp(algorithm, "ed25519") == 0)
		REALM_CHECK(crypto_ed25519_public(pair->private_key,
				pair->public_key, NULL) == 0);
	else
		REALM_CHECK(crypto_x25519_public(pair->private_key,
				pair->public_key, NULL) == 0);
	crypto_key_id(algorithm, pair->public_key, &pair->id);
	pair->present = true;
}

/* Lists one more public key of a member (or of the hub). */
static inline Galr__PublicKey *
realm_list_key(struct realm_member *m, Galr__KeyRole role,
    const struct key_pair *pair, bool active)
{
	Galr__PublicKey *key = &m->key_messages[m->message.n_keys];

	galr__public_key__init(key);
	key->role = role;
	key->key.data = (uint8_t *)pair->public_key;
	key->key.len = 32;
	key->active = active;
	if (pair->endorsed) {
		key->predecessor.data = (uint8_t *)pair->predecessor.bytes;
		key->predecessor.len = ID_LEN;
		key->endorsement.data = (uint8_t *)pair->endorsement;
		key->endorsement.len = CRYPTO_SIG_LEN;
	}
	m->key_list[m->message.n_keys++] = key;
	return key;
}

/* Its active keys, one of each role. */
static inline void
realm_list_keys(struct realm_member *m)
{
	(void)realm_list_key(
	    m, GALR__KEY_ROLE__KEY_SIGN, &m->keys.sign_active, true);
	(void)realm_list_key(
	    m, GALR__KEY_ROLE__KEY_DECRYPT, &m->keys.decrypt_active, true);
	(void)realm_list_key(
	    m, GALR__KEY_ROLE__KEY_CURVE, &m->keys.curve, true);
}

static inline void
realm_member_init(
    struct realm_member *m, const char *name, char *domain, uint8_t seed)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	realm_pair(&m->keys.sign_active, "ed25519", seed);
	realm_pair(&m->keys.decrypt_active, "x25519", (uint8_t)(seed + 1));
	realm_pair(&m->keys.curve, "curve", (uint8_t)(seed + 2));
	galr__member__init(&m->message);
	m->message.name = (char *)name;
	m->message.keys = m->key_list;
	m->message.joined_at = REALM_NOW - 1000;
	m->message.domains = m->domains;
	if (domain != NULL)
		m->domains[m->message.n_domains++] = domain;
	realm_list_keys(m);
}

/* Encodes the message as it stands now. */
static inline void
realm_encode(struct realm *realm)
{
	buf_reset(&realm->signed_bytes);
	realm->message.hub_keys = realm->hub.key_list;
	realm->message.n_hub_keys = realm->hub.message.n_keys;
	REALM_CHECK(registry_encode(&realm->message, &realm->hub.keys,
			&realm->signed_bytes, NULL) == 0);
}

/* Encodes and decodes again, under the hub's first key. */
static inline int
realm_sign(struct realm *realm, struct err *err)
{
	static uint8_t pin_private[32], pin[32];

	memset(pin_private, 0x10, 32);
	REALM_CHECK(crypto_ed25519_public(pin_private, pin, NULL) == 0);
	realm_encode(realm);
	registry_free(realm->registry);
	realm->registry = NULL;
	return registry_decode(
	    buf_slice(&realm->signed_bytes), pin, &realm->registry, err);
}

static inline void
realm_init(struct realm *realm)
{
	memset(realm, 0, sizeof(*realm));
	memset(realm->id.bytes, 0xaa, ID_LEN);
	realm_member_init(&realm->hub, "", NULL, 0x10);
	realm_member_init(
	    &realm->north, "NORTH", (char *)"north.example", 0x20);
	realm_member_init(
	    &realm->south, "SOUTH", (char *)"south.example", 0x30);
	galr__registry__init(&realm->message);
	realm->message.format = 1;
	realm->message.realm.data = realm->id.bytes;
	realm->message.realm.len = ID_LEN;
	realm->message.realm_name = (char *)"Test";
	realm->message.version = 1;
	realm->message.issued_at = REALM_NOW - 1000;
	realm->member_list[0] = &realm->south.message; /* encode sorts */
	realm->member_list[1] = &realm->north.message;
	realm->message.members = realm->member_list;
	realm->message.n_members = 2;
	realm->message.revoked_keys = realm->revoked_keys;
	buf_init(&realm->signed_bytes, LIMIT_PAYLOAD_BYTES);
	REALM_CHECK(realm_sign(realm, NULL) == 0);
}

static inline void
realm_fini(struct realm *realm)
{
	registry_free(realm->registry);
	buf_fini(&realm->signed_bytes);
}

static inline void
realm_revoke_key(struct realm *realm, const struct key_pair *pair)
{
	ProtobufCBinaryData *d =
	    &realm->revoked_keys[realm->message.n_revoked_keys++];

	d->data = (uint8_t *)pair->id.bytes;
	d->len = ID_LEN;
}

static inline struct envelope_recipient
realm_recipient(const struct realm_member *m)
{
	struct envelope_recipient r = {m->name, m->keys.decrypt_active.id, {0}};

	memcpy(r.public_key, m->keys.decrypt_active.public_key, 32);
	return r;
}

#endif
