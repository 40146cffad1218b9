/* Manifests, and the key files that sign them. */
#include "tests/unit/wire_vectors.h"
#include "tests/unit/wire_realm_test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsio.h"

/* --- manifests --- */

static struct manifest
manifest_make(void)
{
	struct manifest m = {.realm = realm.id,
	    .member = "NORTH",
	    .stream = "staff",
	    .tag = "NORTH/staff",
	    .version = 7,
	    .count = 3,
	    .issued_at = REALM_NOW,
	    .not_after = REALM_NOW + 1000};

	memset(m.root, 5, sizeof(m.root));
	return m;
}

static int
manifest_check(const struct manifest *m, const struct key_pair *key)
{
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	struct manifest out;
	struct buf b;
	struct err err;
	int code = CHECK_OK;

	err_clear(&err);
	buf_init(&b, LIMIT_MANIFEST_BYTES);
	assert_int_equal(0, manifest_seal(m, key, &b, NULL));
	if (manifest_open(buf_slice(&b), realm.registry, REALM_NOW, arena, &out,
		&err) < 0)
		code = err.code;
	else
		assert_string_equal(m->tag, out.tag);
	buf_fini(&b);
	arena_free(arena);
	return code;
}

static void
test_manifest(void **state)
{
	const struct key_pair *key = &realm.north.keys.sign_active;
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	static const char *const audience[] = {"SOUTH", "EAST"};
	struct manifest m = manifest_make(), out;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, LIMIT_MANIFEST_BYTES);
	m.audience = audience;
	m.audience_count = 2;
	m.ended = true;
	assert_int_equal(0, manifest_seal(&m, key, &b, NULL));
	assert_int_equal(0, manifest_open(buf_slice(&b), realm.registry,
				REALM_NOW, arena, &out, NULL));
	assert_string_equal("NORTH", out.member);
	assert_string_equal("staff", out.stream);
	assert_int_equal(7, out.version);
	assert_int_equal(3, out.count);
	assert_memory_equal(m.root, out.root, 32);
	assert_int_equal(REALM_NOW, out.issued_at);
	assert_int_equal(REALM_NOW + 1000, out.not_after);
	assert_true(out.ended);
	assert_true(manifest_audience_has(&out, "south"));
	assert_true(manifest_audience_has(&out, "North"));
	assert_false(manifest_audience_has(&out, "WEST"));
	out.audience_count = 0;
	assert_true(manifest_audience_has(&out, "WEST"));
	/* expired long ago: stale, not refused */
	assert_int_equal(
	    0, manifest_open(buf_slice(&b), realm.registry,
		   REALM_NOW + INT64_C(1000) * 86400000, arena, &out, NULL));
	for (i = 0; i < b.len; i++) {
		arena_reset(arena);
		b.data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(
		    -1, manifest_open(buf_slice(&b), realm.registry, REALM_NOW,
			    arena, &out, NULL));
		b.data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(
		    -1, manifest_open(slice_make(b.data, i), realm.registry,
			    REALM_NOW, arena, &out, NULL));
	}
	buf_fini(&b);
	arena_free(arena);
}

static void
test_manifest_refused(void **state)
{
	const struct key_pair *key = &realm.north.keys.sign_active;
	struct key_pair fake = *key;
	struct manifest m = manifest_make();

	(void)state;
	assert_int_equal(CHECK_OK, manifest_check(&m, key));
	/* another member's key, the hub's, an unknown member */
	assert_int_equal(CHECK_MANIFEST_KEY,
	    manifest_check(&m, &realm.south.keys.sign_active));
	assert_int_equal(CHECK_MANIFEST_KEY,
	    manifest_check(&m, &realm.hub.keys.sign_active));
	m.member = "EAST";
	assert_int_equal(CHECK_MANIFEST_KEY, manifest_check(&m, key));
	m.member = "";
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m = manifest_make();
	/* claims the key, signs with another */
	memset(fake.private_key, 9, 32);
	assert_int_equal(CHECK_MANIFEST_SIGNATURE, manifest_check(&m, &fake));
	m.realm.bytes[0] ^= 1;
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m = manifest_make();
	m.tag = "SOUTH/staff";
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m.tag = "NORTHWEST/staff";
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m = manifest_make();
	m.version = 0;
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m = manifest_make();
	m.stream = "../x";
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m = manifest_make();
	m.not_after = m.issued_at;
	assert_int_equal(CHECK_MANIFEST_FIELDS, manifest_check(&m, key));
	m = manifest_make();
	m.issued_at = REALM_NOW + LIMIT_SKEW_MS;
	m.not_after = m.issued_at + 1;
	assert_int_equal(CHECK_OK, manifest_check(&m, key));
	m.issued_at++;
	m.not_after++;
	assert_int_equal(CHECK_MANIFEST_FUTURE, manifest_check(&m, key));
	m = manifest_make();
	realm.north.message.revoked = true;
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_int_equal(CHECK_MANIFEST_KEY, manifest_check(&m, key));
	realm.north.message.revoked = false;
	realm_revoke_key(&realm, key);
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_int_equal(CHECK_MANIFEST_KEY, manifest_check(&m, key));
}

static void
test_manifest_audience_limit(void **state)
{
	static const char *audience[LIMIT_AUDIENCE + 1];
	struct manifest m = manifest_make();
	size_t i;

	(void)state;
	for (i = 0; i <= LIMIT_AUDIENCE; i++)
		audience[i] = "M";
	m.audience = audience;
	m.audience_count = LIMIT_AUDIENCE;
	assert_int_equal(
	    CHECK_OK, manifest_check(&m, &realm.north.keys.sign_active));
	m.audience_count++;
	assert_int_equal(CHECK_MANIFEST_FIELDS,
	    manifest_check(&m, &realm.north.keys.sign_active));
}

/* --- key files --- */

static void
test_key_files(void **state)
{
	char dir[] = "/tmp/galr-keys-XXXXXX";
	char *keys_dir, *private_path;
	struct keys a, b;
	struct key_pair curve;
	struct keys_change change;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	keys_dir = fsio_join(dir, "keys");
	private_path = fsio_join(keys_dir, "private");
	assert_int_equal(-1, keys_load(keys_dir, &a, &err));
	assert_int_equal(ERR_CONFIG, err.class);
	assert_int_equal(0, keys_create(keys_dir, NULL));
	assert_int_equal(-1, keys_create(keys_dir, &err));
	assert_int_equal(ERR_CONFIG, err.class);
	assert_int_equal(0, keys_load(keys_dir, &a, NULL));
	assert_true(a.sign_active.present && a.decrypt_active.present &&
		    a.curve.present && !a.sign_next.present &&
		    !a.decrypt_previous.present);
	assert_int_equal(0, keys_load_curve(keys_dir, &curve, NULL));
	assert_memory_equal(curve.private_key, a.curve.private_key, 32);

	assert_int_equal(
	    0, keys_rotate_begin(keys_dir, &a, &realm.id, "NORTH", NULL));
	assert_int_equal(
	    -1, keys_rotate_begin(keys_dir, &a, &realm.id, "NORTH", NULL));
	assert_int_equal(0, keys_load(keys_dir, &b, NULL));
	assert_memory_equal(&a, &b, sizeof(a));
	change = (struct keys_change){&realm.id, "NORTH",
	    a.sign_active.public_key, a.sign_next.public_key};
	assert_int_equal(
	    0, keys_change_verify(&change, a.sign_next.endorsement, NULL));
	assert_int_equal(
	    0, id_compare(&a.sign_next.predecessor, &a.sign_active.id));
	assert_true(a.decrypt_previous.present);
	assert_int_equal(0, keys_rotate_finish(keys_dir, &a, NULL));
	assert_int_equal(0, keys_rotate_finish(keys_dir, &a, NULL));
	assert_int_equal(0, id_compare(&a.sign_active.id, &b.sign_next.id));
	assert_false(a.sign_next.present);
	assert_int_equal(0, keys_load(keys_dir, &b, NULL));
	assert_memory_equal(&a, &b, sizeof(a));

	assert_int_equal(0, chmod(private_path, 0640));
	assert_int_equal(-1, keys_load(keys_dir, &b, &err));
	assert_int_equal(ERR_CONFIG, err.class);
	assert_int_equal(
	    0, fsio_write(private_path, SLICE_LIT("galrelay-keys 1\nsign 00\n"),
		   0600, NULL));
	assert_int_equal(-1, keys_load(keys_dir, &b, &err));
	assert_int_equal(ERR_CONFIG, err.class);
	keys_cleanse(&a);
	free(private_path);
	free(keys_dir);
	assert_int_equal(0, fsio_remove_tree(dir, NULL));
}

static void
test_fingerprint(void **state)
{
	static const uint8_t a[32] = {1}, b[32] = {2}, c[32] = {3};
	char one[KEYS_FINGERPRINT_SIZE], two[KEYS_FINGERPRINT_SIZE];

	(void)state;
	(void)keys_fingerprint(a, b, c, one);
	assert_int_equal(49, strlen(one));
	assert_int_equal(' ', one[4]);
	(void)keys_fingerprint(a, b, b, two);
	assert_string_not_equal(one, two);
}

#define REALM_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, realm_setup, realm_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    REALM_TEST(test_manifest),
	    REALM_TEST(test_manifest_refused),
	    REALM_TEST(test_manifest_audience_limit),
	    REALM_TEST(test_key_files),
	    cmocka_unit_test(test_fingerprint),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
