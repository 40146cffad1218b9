/* The registry: decoding, chains of keys, limits, names. */
#include "tests/unit/wire_vectors.h"
#include "tests/unit/wire_realm_test.h"

static void
assert_refused(enum err_class expected)
{
	struct err err;

	err_clear(&err);
	assert_int_equal(-1, realm_sign(&realm, &err));
	assert_int_equal(expected, err.class);
	assert_null(realm.registry);
}

static void
test_find(void **state)
{
	const struct registry_member *m;
	const struct registry_key *key;

	(void)state;
	assert_int_equal(2, realm.registry->member_count);
	assert_string_equal("NORTH", realm.registry->members[0].name);
	m = registry_find(realm.registry, "south");
	assert_non_null(m);
	assert_string_equal("SOUTH", m->name);
	assert_null(registry_find(realm.registry, "EAST"));
	assert_ptr_equal(
	    &realm.registry->hub, registry_find(realm.registry, ""));
	key = registry_active_key(m, REGISTRY_DECRYPT);
	assert_memory_equal(
	    key->public_key, realm.south.keys.decrypt_active.public_key, 32);
	assert_ptr_equal(
	    key, registry_member_key(m, REGISTRY_DECRYPT, &key->id));
	/* a decryption key is no signing key */
	assert_null(registry_member_key(m, REGISTRY_SIGN, &key->id));
	assert_true(slice_equal(
	    realm.registry->signed_bytes, buf_slice(&realm.signed_bytes)));
}

static void
test_flip_every_byte(void **state)
{
	struct registry *r;
	size_t i;

	(void)state;
	for (i = 0; i < realm.signed_bytes.len; i++) {
		realm.signed_bytes.data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(
		    -1, registry_decode(buf_slice(&realm.signed_bytes),
			    realm.hub.keys.sign_active.public_key, &r, NULL));
		assert_null(r);
		realm.signed_bytes.data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(
		    -1, registry_decode(slice_make(realm.signed_bytes.data, i),
			    realm.hub.keys.sign_active.public_key, &r, NULL));
	}
}

static void
test_another_hub(void **state)
{
	(void)state;
	realm_pair(&realm.hub.keys.sign_active, "ed25519", 0x66);
	assert_refused(ERR_UNTRUSTED); /* signs with a key not listed */
	realm.hub.message.n_keys = 0;
	(void)realm_list_key(&realm.hub, GALR__KEY_ROLE__KEY_SIGN,
	    &realm.hub.keys.sign_active, true);
	(void)realm_list_key(&realm.hub, GALR__KEY_ROLE__KEY_DECRYPT,
	    &realm.hub.keys.decrypt_active, true);
	(void)realm_list_key(
	    &realm.hub, GALR__KEY_ROLE__KEY_CURVE, &realm.hub.keys.curve, true);
	assert_refused(ERR_UNTRUSTED); /* listed, but follows from nothing */
}

/* Makes the successor of a signing key, endorsed by `by`. */
static struct key_pair
successor(const struct key_pair *old, const struct key_pair *by,
    const char *member, uint8_t seed)
{
	struct key_pair next;
	struct keys_change change = {
	    &realm.id, member, old->public_key, next.public_key};

	realm_pair(&next, "ed25519", seed);
	next.endorsed = true;
	next.predecessor = old->id;
	assert_int_equal(0,
	    keys_change_sign(&change, by->private_key, next.endorsement, NULL));
	return next;
}

static void
test_hub_rotation(void **state)
{
	struct key_pair first = realm.hub.keys.sign_active, second, third;

	(void)state;
	second = successor(&first, &first, "", 0x41);
	third = successor(&second, &second, "", 0x42);
	realm.hub.key_messages[0].active = false;
	realm.hub.key_messages[0].key.data = first.public_key;
	(void)realm_list_key(
	    &realm.hub, GALR__KEY_ROLE__KEY_SIGN, &second, false);
	(void)realm_list_key(
	    &realm.hub, GALR__KEY_ROLE__KEY_SIGN, &third, true);
	realm.hub.keys.sign_active = third;
	assert_int_equal(0, realm_sign(&realm, NULL)); /* pin: first */
	assert_true(registry_key_follows(
	    realm.registry, &realm.registry->hub, &first.id, &third.id));
	assert_false(registry_key_follows(
	    realm.registry, &realm.registry->hub, &third.id, &first.id));
	/* the pinned key need not be listed any more, those between must */
	realm.hub.key_messages[0].key.data = third.private_key;
	assert_int_equal(0, realm_sign(&realm, NULL));
	realm.hub.key_messages[3].endorsement.data[0] ^= 1;
	assert_refused(ERR_UNTRUSTED);
	realm.hub.key_messages[3].endorsement.data[0] ^= 1;
	/* whoever stole an old key that was revoked endorses nobody */
	realm_revoke_key(&realm, &second);
	assert_refused(ERR_UNTRUSTED);
}

static void
test_member_rotation(void **state)
{
	struct key_pair first = realm.north.keys.sign_active, next, forged;
	struct key_pair loop = realm.south.keys.sign_active;
	const struct registry_member *north;

	(void)state;
	next = successor(&first, &first, "NORTH", 0x41);
	/* the hub tries to swap the key: endorsed by another key */
	forged = successor(&first, &realm.hub.keys.sign_active, "NORTH", 0x42);
	(void)realm_list_key(
	    &realm.north, GALR__KEY_ROLE__KEY_SIGN, &next, false);
	(void)realm_list_key(
	    &realm.north, GALR__KEY_ROLE__KEY_SIGN, &forged, false);
	/* endorses itself */
	loop.predecessor = loop.id;
	loop.endorsed = true;
	(void)realm_list_key(
	    &realm.north, GALR__KEY_ROLE__KEY_SIGN, &loop, false);
	assert_int_equal(0, realm_sign(&realm, NULL));
	north = registry_find(realm.registry, "NORTH");
	assert_true(
	    registry_key_follows(realm.registry, north, &first.id, &next.id));
	assert_true(
	    registry_key_follows(realm.registry, north, &first.id, &first.id));
	assert_false(
	    registry_key_follows(realm.registry, north, &first.id, &forged.id));
	assert_false(
	    registry_key_follows(realm.registry, north, &first.id, &loop.id));
	/* an endorsement for another member is none */
	next = successor(&first, &first, "SOUTH", 0x41);
	assert_int_equal(0, realm_sign(&realm, NULL));
	north = registry_find(realm.registry, "NORTH");
	assert_false(
	    registry_key_follows(realm.registry, north, &first.id, &next.id));
}

static void
test_malformed(void **state)
{
	Galr__PublicKey *key = &realm.north.key_messages[1];
	Galr__Member *m = &realm.north.message;
	char *ended[] = {(char *)"../staff"};
	uint8_t sig[64] = {1};

	(void)state;
	realm.message.format = 2;
	assert_refused(ERR_BAD_DATA);
	realm.message.format = 1;
	realm.message.realm.len = 15;
	assert_refused(ERR_BAD_DATA);
	realm.message.realm.len = 16;
	realm.message.version = 0;
	assert_refused(ERR_BAD_DATA);
	realm.message.version = 1;
	m->name = (char *)"../NORTH";
	assert_refused(ERR_BAD_DATA);
	m->name = (char *)"south"; /* twice, but for case */
	assert_refused(ERR_BAD_DATA);
	m->name = (char *)"NORTH";
	m->domains[0] = (char *)"North.example";
	assert_refused(ERR_BAD_DATA);
	m->domains[0] = (char *)"north.example";
	key->key.len = 31;
	assert_refused(ERR_BAD_DATA);
	key->key.len = 32;
	key->role = 9;
	assert_refused(ERR_BAD_DATA);
	key->role = GALR__KEY_ROLE__KEY_DECRYPT;
	key->active = false; /* none active */
	assert_refused(ERR_BAD_DATA);
	m->revoked = true; /* a revoked member needs none */
	assert_int_equal(0, realm_sign(&realm, NULL));
	m->revoked = false;
	key->active = true;
	(void)realm_list_key(&realm.north, GALR__KEY_ROLE__KEY_DECRYPT,
	    &realm.south.keys.decrypt_active, true); /* two active */
	assert_refused(ERR_BAD_DATA);
	m->n_keys--;
	(void)realm_list_key(&realm.north, GALR__KEY_ROLE__KEY_DECRYPT,
	    &realm.north.keys.decrypt_active, false); /* one twice */
	assert_refused(ERR_BAD_DATA);
	m->n_keys--;
	/* endorsements: of full length, and of signing keys only */
	key = &realm.north.key_messages[0];
	key->predecessor = (ProtobufCBinaryData){16, realm.id.bytes};
	assert_refused(ERR_BAD_DATA);
	key->endorsement = (ProtobufCBinaryData){63, sig};
	assert_refused(ERR_BAD_DATA);
	key->endorsement.len = 64;
	assert_int_equal(0, realm_sign(&realm, NULL));
	realm.north.key_messages[1].predecessor = key->predecessor;
	realm.north.key_messages[1].endorsement = key->endorsement;
	assert_refused(ERR_BAD_DATA);
	realm.north.key_messages[1].predecessor.len = 0;
	realm.north.key_messages[1].endorsement.len = 0;
	m->ended_streams = ended;
	m->n_ended_streams = 1;
	assert_refused(ERR_BAD_DATA);
	m->n_ended_streams = 0;
	realm.message.n_revoked_keys = 1;
	realm.revoked_keys[0].data = realm.id.bytes;
	realm.revoked_keys[0].len = 15;
	assert_refused(ERR_BAD_DATA);
	realm.message.n_revoked_keys = 0;
	assert_int_equal(0, realm_sign(&realm, NULL));
}

static void
test_revoked_keys(void **state)
{
	(void)state;
	realm_revoke_key(&realm, &realm.north.keys.sign_active);
	realm_revoke_key(&realm, &realm.north.keys.decrypt_active);
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_true(registry_key_revoked(
	    realm.registry, &realm.north.keys.sign_active.id));
	assert_true(registry_key_revoked(
	    realm.registry, &realm.north.keys.decrypt_active.id));
	assert_false(registry_key_revoked(
	    realm.registry, &realm.south.keys.sign_active.id));
}

/* --- limits: N is accepted, N + 1 refused --- */

static void
test_limit_keys(void **state)
{
	static struct key_pair pairs[LIMIT_MEMBER_KEYS];
	int i;

	(void)state;
	for (i = 3; i < LIMIT_MEMBER_KEYS; i++) {
		realm_pair(&pairs[i], "ed25519", (uint8_t)(0x80 + i));
		(void)realm_list_key(
		    &realm.north, GALR__KEY_ROLE__KEY_SIGN, &pairs[i], false);
	}
	assert_int_equal(0, realm_sign(&realm, NULL));
	realm_pair(&pairs[0], "ed25519", 0x7f);
	(void)realm_list_key(
	    &realm.north, GALR__KEY_ROLE__KEY_SIGN, &pairs[0], false);
	assert_refused(ERR_LIMIT);
}

static void
test_limit_members(void **state)
{
	static Galr__Member *list[LIMIT_MEMBERS + 1];
	static Galr__Member many[LIMIT_MEMBERS + 1];
	static char names[LIMIT_MEMBERS + 1][12];
	size_t i;

	(void)state;
	for (i = 0; i <= LIMIT_MEMBERS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "M%06zu", i);
		many[i] = realm.north.message;
		many[i].name = names[i];
		list[i] = &many[i];
	}
	realm.message.members = list;
	realm.message.n_members = LIMIT_MEMBERS;
	assert_int_equal(0, realm_sign(&realm, NULL));
	assert_string_equal(
	    "M004095", registry_find(realm.registry, "m004095")->name);
	realm.message.n_members = LIMIT_MEMBERS + 1;
	assert_refused(ERR_LIMIT);
}

static void
test_limit_domains(void **state)
{
	static char names[LIMIT_DOMAINS + 1][24];
	static char *list[LIMIT_DOMAINS + 1];
	size_t i;

	(void)state;
	for (i = 0; i <= LIMIT_DOMAINS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "d%zu.example", i);
		list[i] = names[i];
	}
	realm.north.message.domains = list;
	realm.north.message.n_domains = LIMIT_DOMAINS;
	assert_int_equal(0, realm_sign(&realm, NULL));
	realm.north.message.n_domains = LIMIT_DOMAINS + 1;
	assert_refused(ERR_LIMIT);
}

static void
test_limit_ended(void **state)
{
	static char *ended[LIMIT_STREAMS_ENDED + 1];
	size_t i;

	(void)state;
	for (i = 0; i <= LIMIT_STREAMS_ENDED; i++)
		ended[i] = (char *)"staff";
	realm.north.message.ended_streams = ended;
	realm.north.message.n_ended_streams = LIMIT_STREAMS_ENDED;
	assert_int_equal(0, realm_sign(&realm, NULL));
	realm.north.message.n_ended_streams++;
	assert_refused(ERR_LIMIT);
}

static void
test_limit_revoked(void **state)
{
	static ProtobufCBinaryData revoked[LIMIT_KEYS_REVOKED + 1];
	size_t i;

	(void)state;
	for (i = 0; i <= LIMIT_KEYS_REVOKED; i++)
		revoked[i] = (ProtobufCBinaryData){ID_LEN, realm.id.bytes};
	realm.message.revoked_keys = revoked;
	realm.message.n_revoked_keys = LIMIT_KEYS_REVOKED;
	assert_int_equal(0, realm_sign(&realm, NULL));
	realm.message.n_revoked_keys++;
	assert_refused(ERR_LIMIT);
}

static void
test_limit_realm_name(void **state)
{
	static char name[LIMIT_NAME_CHARS + 2];

	(void)state;
	memset(name, 'r', LIMIT_NAME_CHARS);
	realm.message.realm_name = (char *)"te\033[31mst";
	assert_int_equal(-1, realm_sign(&realm, NULL));
	realm.message.realm_name = name;
	assert_int_equal(0, realm_sign(&realm, NULL));
	name[LIMIT_NAME_CHARS] = 'r';
	assert_refused(ERR_BAD_DATA);
}

static void
test_limit_size(void **state)
{
	struct buf big;
	struct err err;
	struct registry *r;

	(void)state;
	buf_init(&big, LIMIT_PAYLOAD_BYTES + 1);
	memset(buf_reserve(&big, LIMIT_PAYLOAD_BYTES + 1), 0, big.max);
	assert_int_equal(
	    -1, registry_decode(buf_slice(&big),
		    realm.hub.keys.sign_active.public_key, &r, &err));
	assert_int_equal(ERR_LIMIT, err.class);
	buf_truncate(&big, LIMIT_PAYLOAD_BYTES);
	assert_int_equal(
	    -1, registry_decode(buf_slice(&big),
		    realm.hub.keys.sign_active.public_key, &r, &err));
	assert_int_equal(ERR_BAD_DATA, err.class);
	buf_fini(&big);
}

/* --- names --- */

static void
test_names(void **state)
{
	char name[66];

	(void)state;
	assert_true(registry_name_valid("NORTH"));
	assert_true(registry_name_valid("a"));
	assert_true(registry_name_valid("9.b_c-d"));
	assert_false(registry_name_valid(""));
	assert_false(registry_name_valid(".hidden"));
	assert_false(registry_name_valid("-option"));
	assert_false(registry_name_valid("_x"));
	assert_false(registry_name_valid("a/b"));
	assert_false(registry_name_valid("a b"));
	assert_false(registry_name_valid("M\xc3\xbcnchen"));
	memset(name, 'n', sizeof(name));
	name[LIMIT_NAME_CHARS] = '\0';
	assert_true(registry_name_valid(name));
	name[LIMIT_NAME_CHARS] = 'n';
	name[LIMIT_NAME_CHARS + 1] = '\0';
	assert_false(registry_name_valid(name));
}

static void
test_tags(void **state)
{
	char tag[LIMIT_TAG_CHARS + 2];

	(void)state;
	assert_true(registry_tag_match("NORTH", "NORTH"));
	assert_true(registry_tag_match("NORTH", "NORTH/staff"));
	assert_true(registry_tag_match("north/STAFF", "NORTH/staff/all"));
	assert_false(registry_tag_match("NORTH", "NORTHWEST/staff"));
	assert_false(registry_tag_match("NORTH/staff", "NORTH"));
	assert_false(registry_tag_match("", "NORTH"));
	assert_true(registry_tag_match("*", "NORTH/staff"));
	assert_false(registry_tag_match("N*", "NORTH/staff"));
	assert_true(registry_tag_valid("NORTH/staff"));
	assert_false(registry_tag_valid(""));
	assert_false(registry_tag_valid("/a"));
	assert_false(registry_tag_valid("a/"));
	assert_false(registry_tag_valid("a//b"));
	assert_false(registry_tag_valid("a/*"));
	memset(tag, 't', sizeof(tag));
	tag[LIMIT_TAG_CHARS] = '\0';
	assert_true(registry_tag_valid(tag));
	tag[LIMIT_TAG_CHARS] = 't';
	tag[LIMIT_TAG_CHARS + 1] = '\0';
	assert_false(registry_tag_valid(tag));
}

static void
test_domains(void **state)
{
	static const char *const list[] = {"north.example", "*.branch.example"};
	const struct registry_member m = {
	    .name = "NORTH", .domains = list, .domain_count = 2};
	static const struct {
		const char *address;
		bool allotted;
	} cases[] = {
	    {"a@north.example", true},
	    {"a@NORTH.Example", true},
	    {"a@x.north.example", false},
	    {"a@xnorth.example", false},
	    {"a@north.example.org", false},
	    {"a@branch.example", false},
	    {"a@x.branch.example", true},
	    {"a@y.x.branch.example", true},
	    {"a@xbranch.example", false},
	    {"a@.branch.example", false},
	    {"\"a@north.example\"@evil.example", false},
	    {"\"x@evil.example\"@north.example", true},
	    {"@north.example", false},
	    {"north.example", false},
	    {"a@", false},
	    {"", false},
	    {"ceo@headquarters.example", false},
	    {"a@north.example ", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cases[i].allotted,
		    registry_domain_allotted(&m, slice_str(cases[i].address)));
	assert_true(registry_domain_valid("xn--mnchen-3ya.example"));
	assert_true(registry_domain_valid("*.example"));
	assert_false(registry_domain_valid("*"));
	assert_false(registry_domain_valid("*.*.example"));
	assert_false(registry_domain_valid("a..b"));
	assert_false(registry_domain_valid("-a.example"));
	assert_false(registry_domain_valid("a-.example"));
	assert_false(registry_domain_valid("a_b.example"));
	assert_false(registry_domain_valid("example."));
	assert_false(registry_domain_valid(""));
}

#define REALM_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, realm_setup, realm_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    REALM_TEST(test_find),
	    REALM_TEST(test_flip_every_byte),
	    REALM_TEST(test_another_hub),
	    REALM_TEST(test_hub_rotation),
	    REALM_TEST(test_member_rotation),
	    REALM_TEST(test_malformed),
	    REALM_TEST(test_revoked_keys),
	    REALM_TEST(test_limit_keys),
	    REALM_TEST(test_limit_members),
	    REALM_TEST(test_limit_domains),
	    REALM_TEST(test_limit_ended),
	    REALM_TEST(test_limit_revoked),
	    REALM_TEST(test_limit_realm_name),
	    REALM_TEST(test_limit_size),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_tags),
	    cmocka_unit_test(test_domains),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
