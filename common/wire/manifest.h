/* Manifests: what a source says and signs of one of its streams. */
#ifndef COMMON_WIRE_MANIFEST_H
#define COMMON_WIRE_MANIFEST_H

#include "common/wire/registry.h"

struct manifest {
	struct id realm;
	const char *member;
	const char *stream;
	const char *tag;
	uint64_t version;
	const char *const *audience;
	size_t audience_count; /* 0: all members */
	uint64_t count;
	uint8_t root[CRYPTO_HASH_LEN];
	int64_t issued_at;
	int64_t not_after;
	bool ended;
};

/* Signs with the key; out_signed gets a SignedManifest (protobuf). */
int manifest_seal(const struct manifest *manifest, const struct key_pair *key,
    struct buf *out_signed, struct err *err) ERR_WUR;

/* Parses and verifies a SignedManifest under a key of its member in the
 * registry (a revoked member or key is class untrusted). Checks realm, names,
 * tag (first segment is the member), times: issued_at more than five minutes
 * ahead of now is refused naming the clock; an expired one is NOT refused (it
 * only marks the stream stale). Strings live in arena. err->code is an
 * enum envelope_check. */
int manifest_open(struct slice signed_bytes, const struct registry *registry,
    int64_t now_ms, struct arena *arena, struct manifest *out_manifest,
    struct err *err) ERR_WUR;

/* Is the member in the audience? The source itself always is. */
bool manifest_audience_has(const struct manifest *manifest, const char *member);

#endif
