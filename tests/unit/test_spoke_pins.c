/* Pins: what a hub that turns hostile cannot change. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/unit/spoke_fixture.h"

static int
setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof(*f));

	fixture_init(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	fixture_fini(*state);
	free(*state);
	return 0;
}

static bool
good(struct fixture *f, const char *member, char *reason)
{
	struct err err = {0};
	int rc =
	    pins_good(f->spoke.store, f->realm.registry, member, reason, &err);

	assert_true(rc >= 0);
	return rc > 0;
}

/* Replaces NORTH's signing key, endorsed by the old one or not. */
static struct key_pair
replace_key(struct fixture *f, bool endorsed, uint8_t seed)
{
	struct realm_member *north = &f->realm.north;
	struct keys keys = north->keys;
	struct key_pair old = keys.sign_active;

	realm_pair(&keys.sign_active, "ed25519", seed);
	if (endorsed) {
		struct keys_change change = {&f->realm.id, "NORTH",
		    old.public_key, keys.sign_active.public_key};

		assert_int_equal(keys_change_sign(&change, old.private_key,
				     keys.sign_active.endorsement, NULL),
		    0);
		keys.sign_active.endorsed = true;
		keys.sign_active.predecessor = old.id;
	}
	fixture_relist(north, &keys);
	if (endorsed) {
		f->former[f->former_count] = old;
		for (size_t i = 0; i <= f->former_count; i++)
			(void)realm_list_key(north, GALR__KEY_ROLE__KEY_SIGN,
			    &f->former[i], false);
		f->former_count++;
	}
	return old;
}

static void
test_first_sight_is_believed(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;

	assert_true(good(f, "NORTH", reason));
	assert_true(good(f, "SOUTH", reason));
	assert_false(good(f, "NOBODY", reason));
	assert_string_not_equal(reason, "");
}

static void
test_a_swapped_key_holds(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;
	struct keys first = f->realm.north.keys;
	struct err err = {0};

	(void)replace_key(f, false, 0x77);
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 1);
	assert_false(good(f, "NORTH", reason));
	assert_non_null(strstr(reason, "not endorsed"));
	assert_true(good(f, "SOUTH", reason));
	/* Taking it back does not undo the hold: somebody should look. */
	fixture_relist(&f->realm.north, &first);
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 0);
	assert_false(good(f, "NORTH", reason));
	assert_int_equal(
	    pins_release(f->spoke.store, f->realm.registry, "NORTH", &err), 0);
	assert_true(good(f, "NORTH", reason));
}

static void
test_an_endorsed_key_follows(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;

	(void)replace_key(f, true, 0x78);
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 0);
	assert_true(good(f, "NORTH", reason));
	/* And the next follows from that one. */
	(void)replace_key(f, true, 0x79);
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 0);
	assert_true(good(f, "NORTH", reason));
}

static void
test_a_revoked_key_endorses_nothing(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;
	struct key_pair old = replace_key(f, true, 0x7a);

	realm_revoke_key(&f->realm, &old);
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 1);
	assert_false(good(f, "NORTH", reason));
}

static void
test_a_revocation_is_never_forgotten(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;

	realm_revoke_key(&f->realm, &f->realm.north.keys.sign_active);
	fixture_registry_next(f);
	(void)fixture_registry_take(f);
	f->realm.message.n_revoked_keys = 0;
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 1);
	assert_false(good(f, "NORTH", reason));
	assert_non_null(strstr(reason, "revoked"));
}

static void
test_a_moved_domain_holds(void **state)
{
	static const char *const moves[] = {"north.example", "*.example"};
	char reason[PINS_REASON_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;

		fixture_init(&f);
		f.realm.south.domains[1] = (char *)(uintptr_t)moves[i];
		f.realm.south.message.n_domains = 2;
		fixture_registry_next(&f);
		assert_int_equal(fixture_registry_take(&f), 1);
		assert_false(good(&f, "SOUTH", reason));
		assert_non_null(strstr(reason, "NORTH"));
		assert_true(good(&f, "NORTH", reason));
		fixture_fini(&f);
	}
}

/* Taken from one in one registry, given to another in the next. */
static void
test_a_domain_that_moves_in_two_steps_holds(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;

	f->realm.north.message.n_domains = 0;
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 1);
	assert_false(good(f, "NORTH", reason));
	f->realm.south.domains[1] = (char *)"north.example";
	f->realm.south.message.n_domains = 2;
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 1);
	assert_false(good(f, "SOUTH", reason));
	assert_non_null(strstr(reason, "NORTH"));
}

static void
test_a_new_domain_is_no_trouble(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;

	f->realm.south.domains[1] = (char *)"else.example";
	f->realm.south.message.n_domains = 2;
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 0);
	assert_true(good(f, "SOUTH", reason));
}

static void
test_a_revoked_member_waits_for_the_operator(void **state)
{
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;
	struct err err = {0};

	f->realm.north.message.revoked = true;
	fixture_registry_next(f);
	(void)fixture_registry_take(f);
	assert_false(good(f, "NORTH", reason));
	assert_int_equal(
	    pins_release(f->spoke.store, f->realm.registry, "NORTH", &err), 0);
	assert_true(good(f, "NORTH", reason));
	/* Unrevoked: held again. */
	f->realm.north.message.revoked = false;
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 1);
	assert_false(good(f, "NORTH", reason));
}

static void
test_a_stream_ended_by_the_hub_waits(void **state)
{
	char *ended[] = {(char *)"staff"};
	char reason[PINS_REASON_MAX];
	struct fixture *f = *state;
	struct err err = {0};

	f->realm.north.message.ended_streams = ended;
	f->realm.north.message.n_ended_streams = 1;
	fixture_registry_next(f);
	assert_int_equal(fixture_registry_take(f), 0);
	assert_int_equal(pins_stream_good(f->spoke.store, f->realm.registry,
			     "NORTH", "other", reason, &err),
	    1);
	assert_int_equal(pins_stream_good(f->spoke.store, f->realm.registry,
			     "NORTH", "staff", reason, &err),
	    0);
	assert_int_equal(
	    pins_release(f->spoke.store, f->realm.registry, "NORTH", &err), 0);
	assert_int_equal(pins_stream_good(f->spoke.store, f->realm.registry,
			     "NORTH", "staff", reason, &err),
	    1);
}

static void
test_a_clone_refuses(void **state)
{
	struct fixture *f = *state;
	struct identity identity;
	struct err err = {0};

	assert_int_equal(
	    fsio_write(f->machine, SLICE_LIT("xyz\n"), 0600, &err), 0);
	assert_int_equal(identity_require(&f->conf, &identity, &err), -1);
	assert_non_null(strstr(err.message, "another machine"));
	assert_non_null(strstr(err.message, "--rebind"));
	assert_int_equal(identity_rebind(&f->conf, &err), 0);
	assert_int_equal(identity_require(&f->conf, &identity, &err), 0);
	assert_int_not_equal(
	    id_compare(&identity.instance, &f->spoke.identity.instance), 0);
	assert_string_equal(identity.member, "SOUTH");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_first_sight_is_believed),
	    TEST(test_a_swapped_key_holds),
	    TEST(test_an_endorsed_key_follows),
	    TEST(test_a_revoked_key_endorses_nothing),
	    TEST(test_a_revocation_is_never_forgotten),
	    TEST(test_a_moved_domain_holds),
	    TEST(test_a_domain_that_moves_in_two_steps_holds),
	    TEST(test_a_new_domain_is_no_trouble),
	    TEST(test_a_revoked_member_waits_for_the_operator),
	    TEST(test_a_stream_ended_by_the_hub_waits),
	    TEST(test_a_clone_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
