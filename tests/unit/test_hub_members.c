/* Enrolment, revocation, domains, key rotation, and what the hub reports. */
#include "tests/unit/hub_fixture.h"

static bool
front_lists(const char *peer)
{
	char *path = hub_path(&fx_conf, "front/members");
	char *needle = mem_printf(" %s\n", peer);
	struct buf text;
	bool found;

	buf_init(&text, 1 << 20);
	OK(fsio_read(path, &text, &fx_err));
	found = strstr(buf_cstr(&text), needle) != NULL;
	buf_fini(&text);
	free(path);
	free(needle);
	return found;
}

static void
join_by_invitation(void **state)
{
	struct invitation invitation;
	char peer[INVITATION_PEER_SIZE];
	char refusal[512];
	struct fx_spoke s;

	(void)state;
	fx_spoke_keys(&s, "NORTH", "NORTH");
	fx_invite("NORTH", "north.example, *.North.example", &invitation);
	(void)invitation_peer(&invitation.id, peer);
	assert_true(front_lists(peer));
	assert_false(front_lists("NORTH"));
	fx_join_send(&s, &invitation);
	assert_int_equal(fx_admit().messages, 1);
	assert_true(fx_join_answer(&s, &invitation, refusal));
	assert_true(front_lists("NORTH"));
	/* Lost the answer: the same keys are welcome again. */
	fx_join_send(&s, &invitation);
	assert_int_equal(fx_admit().messages, 1);
	assert_true(fx_join_answer(&s, &invitation, refusal));
	assert_int_equal(registry_find(s.registry, "NORTH")->domain_count, 2);
	assert_string_equal(
	    registry_find(s.registry, "NORTH")->domains[1], "*.north.example");
	/* Once it speaks for itself, the invitation is over. */
	fx_ack(&s);
	assert_int_equal(fx_admit().messages, 1);
	assert_false(front_lists(peer));
	fx_spoke_fini(&s);
}

static void
other_keys_alarm(void **state)
{
	struct invitation invitation;
	struct fx_spoke s, thief;
	char refusal[512];

	(void)state;
	fx_spoke_keys(&s, "NORTH", "NORTH");
	fx_spoke_keys(&thief, "NORTH", "thief");
	fx_invite("NORTH", "north.example", &invitation);
	fx_join_send(&s, &invitation);
	(void)fx_admit();
	assert_true(fx_join_answer(&s, &invitation, refusal));
	fx_join_send(&thief, &invitation);
	(void)fx_admit();
	assert_false(fx_join_answer(&thief, &invitation, refusal));
	assert_non_null(strstr(refusal, "another installation"));
	assert_int_equal(fx_counter("join-other-keys"), 1);
	/* The first one stays what it is. */
	assert_non_null(
	    registry_member_key(registry_find(fx_hub->registry, "NORTH"),
		REGISTRY_SIGN, &s.keys.sign_active.id));
	fx_spoke_fini(&s);
	fx_spoke_fini(&thief);
}

static void
wrong_secret_and_name(void **state)
{
	struct invitation invitation, bad;
	struct fx_spoke s;

	(void)state;
	fx_spoke_keys(&s, "NORTH", "NORTH");
	fx_invite("NORTH", "north.example", &invitation);
	bad = invitation;
	bad.secret[5] ^= 1;
	fx_join_send(&s, &bad);
	assert_int_equal(fx_admit().refused, 1);
	assert_int_equal(fx_counter("key-unknown"), 1);
	bad = invitation;
	(void)snprintf(bad.name, sizeof(bad.name), "SOUTH");
	fx_join_send(&s, &bad);
	assert_int_equal(fx_admit().refused, 1);
	assert_int_equal(fx_hub->registry->member_count, 0);
	/* Another hub's keys under the mac: a hub in between. */
	bad = invitation;
	bad.hub_curve[0] ^= 1;
	fx_join_send(&s, &bad);
	assert_int_equal(fx_admit().refused, 1);
	assert_int_equal(fx_hub->registry->member_count, 0);
	fx_spoke_fini(&s);
}

static void
expired_invitation(void **state)
{
	struct invitation invitation;
	char peer[INVITATION_PEER_SIZE];
	struct fx_spoke s;
	struct target_invite invite;

	(void)state;
	fx_spoke_keys(&s, "NORTH", "NORTH");
	fx_invite("NORTH", "north.example", &invitation);
	fx_join_send(&s, &invitation);
	assert_int_equal(
	    target_invite_get(fx_hub->store, &invitation.id, &invite, &fx_err),
	    1);
	invite.expires_at = clock_now_ms() - 1;
	OK(target_invite_put(fx_hub->store, &invite, &fx_err));
	(void)fx_admit();
	assert_int_equal(fx_hub->registry->member_count, 0);
	assert_false(front_lists(invitation_peer(&invitation.id, peer)));
	fx_spoke_fini(&s);
}

static void
invitations_are_checked(void **state)
{
	static const char *const bad_names[] = {"", "-x", "a b", "a/b",
	    "join-x",
	    "x234567890123456789012345678901234567890123456789012345678901234"};
	static const char *const bad_domains[] = {
	    "", "example", "a..b", "*.", "x@y.example", "a b.example", "*"};
	struct buf text;

	(void)state;
	buf_init(&text, 65536);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		assert_int_equal(members_invite(fx_hub, bad_names[i],
				     "a.example", 1000, &text, &fx_err),
		    -1);
	for (size_t i = 0; i < sizeof(bad_domains) / sizeof(bad_domains[0]);
	     i++)
		assert_int_equal(members_invite(fx_hub, "NORTH", bad_domains[i],
				     1000, &text, &fx_err),
		    -1);
	assert_int_equal(fx_err.class, ERR_CONFIG);
	buf_fini(&text);
}

static void
revoke_is_for_ever(void **state)
{
	struct invitation invitation;
	struct fx_spoke s;
	char refusal[512];
	struct id old;

	(void)state;
	fx_spoke_join(&s, "NORTH", "north.example");
	fx_people(&s, 3, 0, "", "north.example");
	old = s.keys.sign_active.id;
	OK(members_revoke(fx_hub, "NORTH", &fx_err));
	assert_false(front_lists("NORTH"));
	assert_true(registry_find(fx_hub->registry, "NORTH")->revoked);
	assert_true(registry_key_revoked(fx_hub->registry, &old));
	fx_publish_staff(&s);
	assert_int_equal(fx_admit().refused, 1);
	assert_int_equal(fx_counter("sender-revoked"), 1);
	/* Its keys do not come back by another invitation. */
	fx_invite("NORTH", "north.example", &invitation);
	fx_join_send(&s, &invitation);
	(void)fx_admit();
	assert_false(fx_join_answer(&s, &invitation, refusal));
	assert_non_null(strstr(refusal, "revoked"));
	fx_spoke_fini(&s);
	/* New ones do. */
	fx_spoke_keys(&s, "NORTH", "NORTH2");
	fx_join_send(&s, &invitation);
	(void)fx_admit();
	assert_true(fx_join_answer(&s, &invitation, refusal));
	assert_true(registry_key_revoked(fx_hub->registry, &old));
	assert_int_equal(members_revoke(fx_hub, "WEST", &fx_err), -1);
	fx_spoke_fini(&s);
}

static void
key_list(struct fx_spoke *s, Galr__PublicKey keys[4], Galr__PublicKey *list[4])
{
	fx_key(&keys[0], GALR__KEY_ROLE__KEY_SIGN, &s->keys.sign_active);
	fx_key(&keys[1], GALR__KEY_ROLE__KEY_DECRYPT, &s->keys.decrypt_active);
	fx_key(&keys[2], GALR__KEY_ROLE__KEY_CURVE, &s->keys.curve);
	fx_key(&keys[3], GALR__KEY_ROLE__KEY_SIGN, &s->keys.sign_next);
	keys[3].active = 0;
	keys[3].predecessor.data = s->keys.sign_next.predecessor.bytes;
	keys[3].predecessor.len = ID_LEN;
	keys[3].endorsement.data = s->keys.sign_next.endorsement;
	keys[3].endorsement.len = CRYPTO_SIG_LEN;
	for (int i = 0; i < 4; i++)
		list[i] = &keys[i];
}

static void
rotation_needs_endorsement(void **state)
{
	Galr__PublicKey keys[4];
	Galr__PublicKey *list[4];
	const struct registry_member *north;
	struct fx_spoke s;
	struct id first;
	char *dir;
	uint64_t version;

	(void)state;
	fx_spoke_join(&s, "NORTH", "north.example");
	dir = fsio_join(s.dir, "keys");
	OK(keys_rotate_begin(
	    dir, &s.keys, &s.registry->realm, "NORTH", &fx_err));
	key_list(&s, keys, list);
	/* An endorsement that does not verify. */
	s.keys.sign_next.endorsement[3] ^= 1;
	version = fx_hub->registry->version;
	fx_ack_with(&s, SLICE_NULL, s.registry->version, list, 4);
	assert_int_equal(fx_admit().messages, 1);
	assert_int_equal(fx_hub->registry->version, version);
	assert_int_equal(fx_counter("registry"), 1);
	s.keys.sign_next.endorsement[3] ^= 1;
	fx_ack_with(&s, SLICE_NULL, s.registry->version, list, 4);
	(void)fx_admit();
	assert_true(fx_hub->registry->version > version);
	assert_non_null(
	    registry_member_key(registry_find(fx_hub->registry, "NORTH"),
		REGISTRY_SIGN, &s.keys.sign_next.id));
	/* The same again changes nothing. */
	version = fx_hub->registry->version;
	fx_ack_with(&s, SLICE_NULL, s.registry->version, list, 4);
	(void)fx_admit();
	assert_int_equal(fx_hub->registry->version, version);
	/* Then the new one alone: the old stays listed, for those who pinned
	 * it and have not heard of the new one yet. */
	first = s.keys.sign_active.id;
	keys[0] = keys[3];
	keys[0].active = 1;
	fx_ack_with(&s, SLICE_NULL, s.registry->version, list, 3);
	(void)fx_admit();
	north = registry_find(fx_hub->registry, "NORTH");
	assert_true(registry_key_follows(
	    fx_hub->registry, north, &first, &s.keys.sign_next.id));
	assert_int_equal(
	    0, id_compare(&registry_active_key(north, REGISTRY_SIGN)->id,
		   &s.keys.sign_next.id));
	free(dir);
	fx_spoke_fini(&s);
}

static void
foreign_registry_is_refused(void **state)
{
	struct fx_spoke s;
	struct buf bytes;
	uint64_t version;

	(void)state;
	fx_spoke_join(&s, "NORTH", "north.example");
	buf_init(&bytes, 1 << 20);
	buf_add(&bytes, s.registry->signed_bytes);
	bytes.data[bytes.len / 2] ^= 1;
	version = fx_hub->registry->version;
	fx_ack_with(&s, buf_slice(&bytes), version + 1000, NULL, 0);
	(void)fx_admit();
	assert_int_equal(fx_hub->registry->version, version);
	assert_int_equal(fx_counter("registry"), 1);
	buf_fini(&bytes);
	fx_spoke_fini(&s);
}

static void
ended_streams_are_stated(void **state)
{
	struct fx_spoke s;

	(void)state;
	fx_spoke_join(&s, "NORTH", "north.example");
	OK(members_end(fx_hub, "NORTH", "staff", &fx_err));
	fx_ack(&s);
	(void)fx_admit();
	(void)fx_publish();
	assert_int_equal(fx_fetch(&s), 1);
	assert_true(s.got_registry);
	assert_int_equal(registry_find(s.registry, "NORTH")->ended_count, 1);
	fx_spoke_fini(&s);
}

static void
reports_are_json(void **state)
{
	struct fx_spoke s;
	struct buf out;

	(void)state;
	fx_spoke_join(&s, "NORTH", "north.example");
	fx_people(&s, 3, 1, "", "north.example");
	fx_publish_staff(&s);
	(void)fx_admit();
	buf_init(&out, 1 << 20);
	OK(report_members(fx_hub, true, &out, &fx_err));
	assert_non_null(strstr(buf_cstr(&out), "\"name\":\"NORTH\""));
	buf_reset(&out);
	OK(report_streams(fx_hub, true, &out, &fx_err));
	assert_non_null(strstr(buf_cstr(&out), "\"count\":4"));
	assert_non_null(strstr(buf_cstr(&out), "\"foreign\":1"));
	buf_reset(&out);
	OK(report_status(fx_hub, true, &out, &fx_err));
	assert_non_null(strstr(buf_cstr(&out), "\"members\":1"));
	buf_reset(&out);
	OK(report_members(fx_hub, false, &out, &fx_err));
	OK(report_streams(fx_hub, false, &out, &fx_err));
	OK(report_status(fx_hub, false, &out, &fx_err));
	assert_non_null(strstr(buf_cstr(&out), "NORTH/staff"));
	buf_fini(&out);
	fx_spoke_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		join_by_invitation, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		other_keys_alarm, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		wrong_secret_and_name, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		expired_invitation, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		invitations_are_checked, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		revoke_is_for_ever, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		rotation_needs_endorsement, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		foreign_registry_is_refused, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		ended_streams_are_stated, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		reports_are_json, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
