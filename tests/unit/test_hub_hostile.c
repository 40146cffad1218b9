/* What an authenticated member or newcomer may try against the hub: it costs
 * that member, and nobody else notices. */
#include "tests/unit/hub_fixture.h"

static struct fx_spoke north, south, evil;

static int
setup(void **state)
{
	if (fx_setup(state) < 0)
		return -1;
	fx_spoke_join(&north, "NORTH", "north.example");
	fx_spoke_join(&south, "SOUTH", "south.example");
	fx_spoke_join(&evil, "EVIL", "evil.example");
	fx_ack(&north);
	fx_ack(&south);
	fx_ack(&evil);
	(void)fx_admit();
	(void)fx_publish();
	(void)fx_fetch(&north);
	(void)fx_fetch(&south);
	(void)fx_fetch(&evil);
	fx_people(&north, 5, 0, "", "north.example");
	fx_people(&evil, 5, 0, "", "evil.example");
	return 0;
}

static int
teardown(void **state)
{
	fx_spoke_fini(&north);
	fx_spoke_fini(&south);
	fx_spoke_fini(&evil);
	return fx_teardown(state);
}

/* NORTH's news still reaches SOUTH. */
static void
assert_star_turns(void)
{
	struct fx_spoke *all[] = {&north, &south, &evil};
	static unsigned n;

	fx_people(&north, 6 + ++n, 0, "news", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 3);
	fx_assert_same(&north, &south);
}

static void
announce(struct fx_spoke *s, struct keys *keys)
{
	Galr__PublicKey key[3];
	Galr__PublicKey *list[3] = {&key[0], &key[1], &key[2]};

	fx_key(&key[0], GALR__KEY_ROLE__KEY_SIGN, &keys->sign_active);
	fx_key(&key[1], GALR__KEY_ROLE__KEY_DECRYPT, &keys->decrypt_active);
	fx_key(&key[2], GALR__KEY_ROLE__KEY_CURVE, &keys->curve);
	fx_ack_with(s, SLICE_NULL, s->registry->version, list, 3);
	(void)fx_admit();
}

static bool
listed(const char *name, enum registry_role role, const struct id *id)
{
	return registry_member_key(
		   registry_find(fx_hub->registry, name), role, id) != NULL;
}

/* The front knows members by their CURVE keys, and public keys are public:
 * whoever listed another's would be that other one. */
static void
anothers_keys_are_not_taken(void **state)
{
	struct keys keys = evil.keys;
	char *path = hub_path(&fx_conf, "front/members");
	struct buf before, after;

	(void)state;
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	OK(fsio_read(path, &before, &fx_err));
	keys.curve = north.keys.curve;
	announce(&evil, &keys);
	assert_false(listed("EVIL", REGISTRY_CURVE, &north.keys.curve.id));
	keys.curve = fx_hub->keys.curve;
	announce(&evil, &keys);
	assert_false(listed("EVIL", REGISTRY_CURVE, &fx_hub->keys.curve.id));
	keys = evil.keys;
	keys.sign_active = north.keys.sign_active;
	announce(&evil, &keys);
	assert_false(listed("EVIL", REGISTRY_SIGN, &north.keys.sign_active.id));
	keys = evil.keys;
	keys.decrypt_active = north.keys.decrypt_active;
	announce(&evil, &keys);
	assert_false(
	    listed("EVIL", REGISTRY_DECRYPT, &north.keys.decrypt_active.id));
	assert_int_equal(fx_counter("registry"), 4);
	OK(fsio_read(path, &after, &fx_err));
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	buf_fini(&before);
	buf_fini(&after);
	free(path);
	assert_star_turns();
}

/* A newcomer neither. */
static void
a_newcomer_with_anothers_key(void **state)
{
	struct invitation invitation;
	struct fx_spoke thief;
	char refusal[512];

	(void)state;
	fx_invite("THIEF", "thief.example", &invitation);
	fx_spoke_keys(&thief, "THIEF", "thief");
	thief.keys.curve = north.keys.curve;
	fx_join_send(&thief, &invitation);
	(void)fx_admit();
	assert_false(fx_join_answer(&thief, &invitation, refusal));
	assert_non_null(strstr(refusal, "another member's"));
	assert_null(registry_find(fx_hub->registry, "THIEF"));
	fx_spoke_fini(&thief);
	assert_star_turns();
}

/* The newcomer's box takes a join and nothing else, from nobody else. */
static void
a_newcomers_box_takes_joins_only(void **state)
{
	struct invitation invitation;
	char peer[INVITATION_PEER_SIZE];
	struct admit_result r;

	(void)state;
	fx_publish_staff(&north);
	fx_invite("GUEST", "guest.example", &invitation);
	OK(spool_put(fx_hub->spool, invitation_peer(&invitation.id, peer),
	    SPOOL_IN,
	    &(struct spool_put){
		.name = "pub-1", .envelope = buf_slice(&north.last_envelope)},
	    &fx_err));
	r = fx_admit();
	assert_int_equal(r.refused, 1);
	/* And a join in a member's box is none. */
	fx_join_send(&evil, &invitation);
	assert_star_turns();
}

/* An envelope of NORTH, in EVIL's hands. */
static void
anothers_envelope_is_refused(void **state)
{
	struct admit_result r;

	(void)state;
	fx_publish_staff(&north);
	OK(spool_drop(
	    fx_hub->spool, "NORTH", SPOOL_IN, north.last_name, &fx_err));
	OK(spool_put(fx_hub->spool, "EVIL", SPOOL_IN,
	    &(struct spool_put){
		.name = "pub-x", .envelope = buf_slice(&north.last_envelope)},
	    &fx_err));
	r = fx_admit();
	assert_int_equal(r.refused, 1);
	assert_int_equal(r.messages, 0);
	assert_star_turns();
}

/* A manifest of NORTH, sealed by EVIL: old news under a new envelope. */
static void
anothers_manifest_is_refused(void **state)
{
	struct store_stream row;
	struct fx_tuple how = {.stream = "staff",
	    .section = true,
	    .member = "NORTH",
	    .sign = &north.keys.sign_active};

	(void)state;
	(void)snprintf(evil.tag, sizeof(evil.tag), "NORTH/staff");
	fx_publish_tuple(&evil, &how);
	(void)snprintf(evil.tag, sizeof(evil.tag), "EVIL/staff");
	(void)fx_admit();
	OK(store_stream_get(fx_hub->store, "NORTH", "staff", &row, &fx_err));
	assert_true(row.version == 0);
	store_stream_fini(&row);
	assert_int_equal(fx_counter("manifest-key"), 1);
	assert_star_turns();
}

/* --- room --- */

/* Audiences as long as a manifest takes, in many streams: no target's bundle
 * would hold them all. */
static void
long_audiences_keep_nobody_back(void **state)
{
	struct fx_spoke *all[] = {&north, &south, &evil};
	static char names[4000][64];
	static const char *list[4001];

	(void)state;
	for (size_t i = 0; i < 4000; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "A%062zu", i);
		list[i] = names[i];
	}
	list[4000] = "SOUTH";
	for (int i = 0; i < 40; i++) {
		char stream[16];

		(void)snprintf(stream, sizeof(stream), "s%02d", i);
		evil.audiences = list;
		evil.audience_count = 4001;
		fx_publish_tuple(&evil,
		    &(struct fx_tuple){.stream = stream, .section = true});
	}
	(void)fx_admit();
	assert_int_equal(fx_counter("limit"), 0);
	evil.audience_count = 0;
	fx_publish_staff(&north);
	fx_settle(all, 3);
	fx_assert_same(&north, &south);
}

/* One member's streams are counted. */
static void
streams_without_number(void **state)
{
	struct store_stream *rows;
	size_t count;

	(void)state;
	for (int i = 0; i < LIMIT_MEMBER_STREAMS + 3; i++) {
		char stream[16];

		(void)snprintf(stream, sizeof(stream), "s%04d", i);
		fx_publish_tuple(&evil, &(struct fx_tuple){.stream = stream});
		if (i % 64 == 0)
			(void)fx_admit();
	}
	(void)fx_admit();
	OK(store_streams(fx_hub->store, "EVIL", &rows, &count, &fx_err));
	store_streams_free(rows, count);
	assert_int_equal(count, LIMIT_MEMBER_STREAMS);
	assert_int_equal(fx_counter("limit"), 3);
	assert_star_turns();
}

/* --- clocks and numbers --- */

static void
a_clock_that_is_ahead(void **state)
{
	(void)state;
	/* An hour: its message waits, no other does. */
	evil.clock = CLOCK_HOUR_MS;
	fx_publish_staff(&evil);
	assert_int_equal(fx_admit().retry, 1);
	assert_int_equal(fx_box_count("EVIL", SPOOL_IN), 1);
	OK(spool_drop(
	    fx_hub->spool, "EVIL", SPOOL_IN, evil.last_name, &fx_err));
	/* In the year 2200: refused, and kept aside for a look. */
	evil.clock = 174 * 365 * CLOCK_DAY_MS;
	fx_publish_staff(&evil);
	assert_int_equal(fx_admit().refused, 1);
	assert_int_equal(fx_box_count("EVIL", SPOOL_IN), 0);
	/* Set right, it is heard again. */
	evil.clock = 0;
	fx_publish_staff(&evil);
	assert_int_equal(fx_admit().messages, 1);
	assert_star_turns();
}

static void
numbers_without_end(void **state)
{
	struct buf envelope;
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	struct admit_result r;

	(void)state;
	buf_init(&envelope, LIMIT_ENVELOPE_BYTES);
	payload.registry_version = evil.registry->version;
	fx_seal(&evil, GALR__ENVELOPE_TYPE__ENVELOPE_ACK, UINT64_MAX, &payload,
	    &envelope);
	OK(spool_put(fx_hub->spool, "EVIL", SPOOL_IN,
	    &(struct spool_put){
		.name = "ack-1", .envelope = buf_slice(&envelope)},
	    &fx_err));
	buf_reset(&envelope);
	payload.registry_version = UINT64_MAX;
	payload.applied = UINT64_MAX;
	fx_seal(&evil, GALR__ENVELOPE_TYPE__ENVELOPE_ACK,
	    envelope_next(evil.last_ack, clock_now_ms()), &payload, &envelope);
	OK(spool_put(fx_hub->spool, "EVIL", SPOOL_IN,
	    &(struct spool_put){
		.name = "ack-2", .envelope = buf_slice(&envelope)},
	    &fx_err));
	r = fx_admit();
	assert_int_equal(r.refused, 2);
	assert_int_equal(fx_box_count("EVIL", SPOOL_IN), 0);
	fx_publish_tuple(&evil, &(struct fx_tuple){.stream = "staff",
				    .section = true,
				    .bump = (uint64_t)INT64_MAX});
	(void)fx_admit();
	assert_int_equal(fx_counter("manifest-fields"), 1);
	buf_fini(&envelope);
	assert_star_turns();
}

/* --- domains --- */

/* What a target would not read in the registry is no domain here. */
static void
domains_that_nobody_reads(void **state)
{
	static const char *const bad[] = {"-a.example", "a-.example",
	    "m\303\274nchen.example", "a..example", ".example", "example",
	    "*.com", "*", "a b.example", "*.*.example", "a.example/x", ""};
	struct buf text;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_init(&text, 65536);
		if (members_invite(fx_hub, "BAD", bad[i], CLOCK_DAY_MS, &text,
			&fx_err) == 0)
			fail_msg("\"%s\" is a domain", bad[i]);
		assert_int_equal(
		    members_allot(fx_hub, "EVIL", bad[i], &fx_err), -1);
		buf_fini(&text);
	}
	OK(members_allot(
	    fx_hub, "EVIL", "Evil.Example, *.evil.example", &fx_err));
	fx_restart();
	assert_star_turns();
}

/* A registry that does not read back is not stored, whatever made it so. */
static void
a_registry_that_nobody_reads(void **state)
{
	uint64_t version = fx_hub->registry->version;
	Galr__Registry *message;
	Galr__Member *member;

	(void)state;
	OK(members_edit_begin(fx_hub, &message, &fx_err));
	member = members_edit_find(message, "EVIL");
	free(member->domains[0]);
	member->domains[0] = mem_strdup("no domain");
	assert_int_equal(members_edit_commit(fx_hub, message, &fx_err), -1);
	members_edit_free(message);
	OK(store_commit(fx_hub->store, &fx_err));
	fx_restart();
	assert_true(fx_hub->registry->version == version);
	assert_star_turns();
}

/* A stream whose file at the hub decayed, and has to be counted anew, stands in
 * nobody else's way. */
static void
a_damaged_replica_blocks_nobody(void **state)
{
	char *path;

	(void)state;
	fx_publish_staff(&evil);
	(void)fx_admit();
	path = hub_stream_path(&fx_conf, "EVIL", "staff", &fx_err);
	assert_non_null(path);
	OK(fsio_write(path,
	    SLICE_LIT("this is no database, but long enough "
		      "to be looked at as if it were one"),
	    0600, &fx_err));
	OK(members_allot(fx_hub, "EVIL", "else.example", &fx_err));
	(void)fx_admit();
	fx_restart();
	(void)fx_admit();
	(void)fx_publish();
	assert_true(fx_fetch(&north) > 0);
	fx_publish_staff(&north);
	assert_int_equal(fx_admit().messages, 1);
	free(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(anothers_keys_are_not_taken),
	    TEST(a_newcomer_with_anothers_key),
	    TEST(a_newcomers_box_takes_joins_only),
	    TEST(anothers_envelope_is_refused),
	    TEST(anothers_manifest_is_refused),
	    TEST(long_audiences_keep_nobody_back),
	    TEST(streams_without_number),
	    TEST(a_clock_that_is_ahead),
	    TEST(numbers_without_end),
	    TEST(a_damaged_replica_blocks_nobody),
	    TEST(domains_that_nobody_reads),
	    TEST(a_registry_that_nobody_reads),
	};

	/* What hangs is a failure. */
	(void)alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
