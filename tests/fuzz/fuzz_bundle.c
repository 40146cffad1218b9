/* A payload as a target takes it apart: tuples, manifests, wrapped keys. */
#include "common/wire/pb.h"
#include "tests/unit/wire_realm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_tuple(const struct realm *realm, const Galr__Tuple *t, uint32_t index,
    const struct bundle_kek *kek)
{
	struct arena *arena = arena_new(8 * LIMIT_MANIFEST_BYTES);
	struct manifest manifest;
	uint8_t key[32];
	struct buf bytes;

	buf_init(&bytes, 2 * LIMIT_MANIFEST_BYTES);
	pb_pack(&t->manifest->base, &bytes);
	if (manifest_open(buf_slice(&bytes), realm->registry, REALM_NOW, arena,
		&manifest, NULL) == 0) {
		INVARIANT(
		    registry_find(realm->registry, manifest.member) != NULL);
		INVARIANT(registry_tag_match(manifest.member, manifest.tag));
		(void)manifest_audience_has(&manifest, "SOUTH");
	}
	if (t->section_sha256.len == CRYPTO_HASH_LEN &&
	    bundle_key_unwrap(kek, index, t->section_sha256.data,
		slice_make(t->section_key.data, t->section_key.len), key,
		NULL) == 0)
		crypto_cleanse(key, sizeof(key));
	buf_fini(&bytes);
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct realm realm;
	static struct arena *arena;
	struct bundle_kek kek = {{1}};
	Galr__Payload *payload;
	struct err err;
	size_t i;

	if (arena == NULL) {
		INVARIANT(crypto_init(NULL) == 0);
		realm_init(&realm);
		arena = arena_new(LIMIT_UNPACK_BYTES);
	}
	err_clear(&err);
	arena_reset(arena);
	if (payload_unpack(slice_make(data, len), arena, &payload, &err) < 0) {
		INVARIANT(err.code == CHECK_PAYLOAD);
		return 0;
	}
	for (i = 0; i < payload->n_tuples; i++)
		check_tuple(&realm, payload->tuples[i], (uint32_t)i, &kek);
	return 0;
}
