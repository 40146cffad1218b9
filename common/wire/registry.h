/*
 * The registry of a realm: hub keys, members, their keys and mail domains,
 * revocations; signed by the hub, carried with bundles, pinned by targets.
 * Decoded into plain structs that live in the registry's arena. DESIGN 7.
 */
#ifndef COMMON_WIRE_REGISTRY_H
#define COMMON_WIRE_REGISTRY_H

#include "common/base/arena.h"
#include "common/wire/crypto.h"
#include "common/wire/keys.h"
#include "common/wire/wire.pb-c.h"

enum registry_role {
	REGISTRY_SIGN = 1,
	REGISTRY_DECRYPT = 2,
	REGISTRY_CURVE = 3
};

struct registry_key {
	enum registry_role role;
	struct id id;
	uint8_t public_key[32];
	bool active;
	bool endorsed;
	struct id predecessor;
	uint8_t endorsement[CRYPTO_SIG_LEN];
};

struct registry_member {
	const char *name; /* "" is the hub itself */
	const struct registry_key *keys;
	size_t key_count;
	const char *const *domains; /* lower case */
	size_t domain_count;
	const char *const *ended_streams;
	size_t ended_count;
	bool revoked;
	int64_t joined_at;
};

struct registry {
	struct arena *arena;
	struct id realm;
	const char *realm_name;
	uint64_t version;
	int64_t issued_at;
	struct registry_member hub;
	const struct registry_member *members; /* ascending by name */
	size_t member_count;
	const struct id *revoked_keys;
	size_t revoked_count;
	struct slice signed_bytes; /* SignedRegistry as received */
};

/* Decodes and verifies a SignedRegistry against the hub's public signing key
 * (pinned at enrolment, or a key endorsed from it by an unbroken chain inside
 * the registry). Class untrusted when the signature does not verify, bad data
 * when it does not parse, limit at a cap. registry_free(NULL) is legal. */
int registry_decode(struct slice signed_bytes,
    const uint8_t hub_sign_public[32], struct registry **out_registry,
    struct err *err) ERR_WUR;
void registry_free(struct registry *registry);

/* Encodes and signs; the hub's side. The message is not kept. */
int registry_encode(const Galr__Registry *message, const struct keys *hub_keys,
    struct buf *out_signed, struct err *err) ERR_WUR;

/* NULL when there is none. name "" gives the hub. */
const struct registry_member *registry_find(
    const struct registry *registry, const char *name);
/* Does the hub say that this stream of the member is over? */
bool registry_stream_ended(
    const struct registry_member *member, const char *stream);
const struct registry_key *registry_member_key(
    const struct registry_member *member, enum registry_role role,
    const struct id *key_id);
/* The active key of a role, or NULL. */
const struct registry_key *registry_active_key(
    const struct registry_member *member, enum registry_role role);
bool registry_key_revoked(
    const struct registry *registry, const struct id *key_id);
/* Is there an unbroken chain of endorsements from one signing key of this
 * member to another (RFC-less; PROTOCOL.md "Pinning")? */
bool registry_key_follows(const struct registry *registry,
    const struct registry_member *member, const struct id *from,
    const struct id *to);

/* May the member publish this mail address (local@domain)? Domains match
 * whole or, allotted as "*.example", any depth below example. */
bool registry_domain_allotted(
    const struct registry_member *member, struct slice address);

/* Member and policy names: 1..63 of A-Z a-z 0-9 . _ -, first a letter or
 * digit. Compared without case; kept as given. */
bool registry_name_valid(const char *name);

/* Segments of A-Z a-z 0-9 . _ - with "/" between them, none empty, at most
 * LIMIT_TAG_CHARS. */
bool registry_tag_valid(const char *tag);
/* Lower-case letter-digit-hyphen labels (RFC 1123 section 2.1; IDNs in their
 * A-label form), "*." allowed in front. */
bool registry_domain_valid(const char *domain);
/* Equal without regard to ASCII case. */
bool registry_name_equal(const char *a, const char *b);

/* Does a tag pattern match a tag? Whole segments: NORTH means NORTH/...,
 * never NORTHWEST/...; "*" alone means all. */
bool registry_tag_match(const char *pattern, const char *tag);

#endif
