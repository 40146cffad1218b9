/* What a hub may try with the registry that it signs: keys, domains, members,
 * ends and revocations. PROTOCOL.md, "Pinning". */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/unit/spoke_hostile.h"

static struct fetch_result
registry_send(struct hostile *h)
{
	fixture_registry_next(&h->f);
	hostile_send(h, &(struct hostile_bundle){.registry = true});
	return hostile_fetch(h);
}

static void
assert_held(struct hostile *h, const char *member, const char *reason)
{
	char why[PINS_REASON_MAX];
	struct err err = {0};

	assert_int_equal(
	    pins_good(h->f.spoke.store, h->f.spoke.registry, member, why, &err),
	    0);
	if (strstr(why, reason) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, reason);
}

static void
test_a_swapped_key(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	struct keys keys = h->f.realm.north.keys;
	struct key_pair good = keys.sign_active, forged;

	realm_pair(&forged, "ed25519", 0x66);
	keys.sign_active = forged;
	fixture_relist(&h->f.realm.north, &keys);
	assert_int_equal(registry_send(h).members_held, 1);
	assert_held(h, "NORTH", "not endorsed");
	hostile_fill(h->source, 1, "north.example", "forged");
	assert_refused(h, (struct hostile_tuple){.sign = &forged}, "held");
	/* Listing the good key again releases nobody. */
	keys.sign_active = good;
	fixture_relist(&h->f.realm.north, &keys);
	assert_int_equal(registry_send(h).members_held, 0);
	assert_held(h, "NORTH", "not endorsed");
	assert_refused(h, (struct hostile_tuple){0}, "held");
	assert_kept(h, &before);
}

/* A key is endorsed by another of the member, which nobody ever pinned. */
static void
test_a_chain_of_forged_keys(void **state)
{
	struct hostile *h = *state;
	struct keys keys = h->f.realm.north.keys;
	struct key_pair one, two;
	struct keys_change change = {
	    &h->f.realm.id, "NORTH", one.public_key, two.public_key};

	(void)baseline(h);
	realm_pair(&one, "ed25519", 0x66);
	realm_pair(&two, "ed25519", 0x67);
	assert_int_equal(
	    keys_change_sign(&change, one.private_key, two.endorsement, NULL),
	    0);
	two.endorsed = true;
	two.predecessor = one.id;
	fixture_relist(&h->f.realm.north, &keys);
	(void)realm_list_key(
	    &h->f.realm.north, GALR__KEY_ROLE__KEY_SIGN, &one, false);
	(void)realm_list_key(
	    &h->f.realm.north, GALR__KEY_ROLE__KEY_SIGN, &two, false);
	assert_int_equal(registry_send(h).members_held, 1);
	assert_held(h, "NORTH", "not endorsed");
	assert_refused(h, (struct hostile_tuple){.sign = &two}, "held");
}

static void
test_domains_move_and_vanish(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	struct realm *realm = &h->f.realm;

	/* WEST gets an umbrella over NORTH's domain. */
	h->west.domains[h->west.message.n_domains++] = (char *)"*.example";
	assert_int_equal(registry_send(h).members_held, 1);
	assert_held(h, "WEST", "moves");
	/* NORTH loses its domain. */
	realm->north.message.n_domains = 0;
	assert_int_equal(registry_send(h).members_held, 1);
	assert_held(h, "NORTH", "withdrawn");
	/* And WEST gets it. */
	h->west.domains[0] = (char *)"north.example";
	h->west.message.n_domains = 1;
	(void)registry_send(h);
	assert_held(h, "NORTH", "withdrawn");
	assert_held(h, "WEST", "moves");
	/* Our own domain to somebody else. */
	h->west.domains[0] = (char *)"south.example";
	(void)registry_send(h);
	assert_held(h, "WEST", "moves");
	assert_kept(h, &before);
}

/* The member under another name in capitals, or gone and back again. */
static void
test_a_member_listed_anew(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	struct realm_member *m = &h->f.realm.north;
	struct keys keys = m->keys;

	realm_pair(&keys.sign_active, "ed25519", 0x66);
	h->members[0] = h->members[2];
	h->f.realm.message.n_members = 2;
	assert_int_equal(registry_send(h).members_held, 0);
	assert_held(h, "NORTH", "no longer");
	assert_refused(h, (struct hostile_tuple){0}, "key");
	h->members[2] = &m->message;
	h->f.realm.message.n_members = 3;
	m->message.name = (char *)"north";
	fixture_relist(m, &keys);
	assert_int_equal(registry_send(h).members_held, 1);
	assert_held(h, "NORTH", "not endorsed");
	assert_kept(h, &before);
}

static void
test_the_hub_ends_and_revokes(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	static char *ended[] = {(char *)"Staff"};
	struct realm_member *m = &h->f.realm.north;
	struct err err = {0};

	m->message.ended_streams = ended;
	m->message.n_ended_streams = 1;
	(void)registry_send(h);
	hostile_fill(h->source, 1, "north.example", "last");
	assert_refused(h, (struct hostile_tuple){0}, "ended");
	m->message.n_ended_streams = 0;
	m->message.revoked = true;
	(void)registry_send(h);
	assert_held(h, "NORTH", "revoked");
	assert_refused(h, (struct hostile_tuple){0}, "revoked");
	/* Revoked for ever, whatever the hub says later. */
	m->message.revoked = false;
	assert_int_equal(registry_send(h).members_held, 1);
	assert_held(h, "NORTH", "listed again");
	assert_refused(h, (struct hostile_tuple){0}, "held");
	assert_kept(h, &before);
	/* The operator decides, and then all is well. */
	assert_int_equal(
	    pins_release(h->f.spoke.store, h->f.spoke.registry, "NORTH", &err),
	    0);
	assert_heals(h);
}

static void
test_two_registries_of_one_version(void **state)
{
	struct hostile *h = *state;
	struct fetch_result r;

	(void)baseline(h);
	h->f.realm.message.issued_at++;
	assert_int_equal(realm_sign(&h->f.realm, NULL), 0);
	hostile_send(h, &(struct hostile_bundle){.registry = true});
	r = hostile_fetch(h);
	assert_non_null(strstr(r.text, "one version"));
	assert_heals(h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_swapped_key),
	    TEST(test_a_chain_of_forged_keys),
	    TEST(test_domains_move_and_vanish),
	    TEST(test_a_member_listed_anew),
	    TEST(test_the_hub_ends_and_revokes),
	    TEST(test_two_registries_of_one_version),
	};

	/* What hangs is a failure. */
	(void)alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
