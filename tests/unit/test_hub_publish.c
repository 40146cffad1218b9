/* The star turns: sections once, bundles by what each target holds. */
#include <dirent.h>
#include "tests/unit/hub_fixture.h"

static struct fx_spoke north, south, west;
static struct fx_spoke *all[3] = {&north, &south, &west};

static void
star(void)
{
	fx_spoke_join(&north, "NORTH", "north.example");
	fx_spoke_join(&south, "SOUTH", "south.example");
	fx_spoke_join(&west, "WEST", "west.example");
	for (size_t i = 0; i < 3; i++)
		fx_ack(all[i]);
	fx_settle(all, 3);
}

static void
star_fini(void)
{
	for (size_t i = 0; i < 3; i++)
		fx_spoke_fini(all[i]);
}

static size_t
blob_count(void)
{
	char *dir = hub_path(&fx_conf, "blobs");
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t n = 0;

	while ((entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(d);
	free(dir);
	return n;
}

/* As if the time of every repeat had come. */
static int
repeats_due(struct err *err)
{
	struct db *db = store_db(fx_hub->store);

	return db_exec(db,
	    "UPDATE flight SET resend_at = 1; UPDATE target SET resend_at = 1 "
	    "WHERE resend_at > 0",
	    err);
}

static void
full_then_delta(void **state)
{
	struct publish_result result;
	uint64_t full;

	(void)state;
	star();
	fx_people(&north, 500, 0, "", "north.example");
	fx_publish_staff(&north);
	assert_int_equal(fx_admit().messages, 1);
	result = fx_publish();
	assert_int_equal(result.sections, 1);
	assert_int_equal(result.bundles, 3);
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.sections, 1);
	full = south.bytes;
	assert_int_equal(fx_fetch(&west), 1);
	assert_int_equal(fx_fetch(&north), 1);
	assert_int_equal(north.tuples, 0);
	fx_assert_same(&north, &south);
	fx_assert_same(&north, &west);
	fx_ack(&south);
	fx_ack(&west);
	fx_settle(all, 3);
	/* One changed person: a delta, sealed once, far smaller. */
	fx_people(&north, 500, 0, "new", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	result = fx_publish();
	assert_int_equal(result.sections, 1);
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(fx_fetch(&west), 1);
	if (south.bytes > full / 3)
		fail_msg("delta %llu bytes, full %llu",
		    (unsigned long long)south.bytes, (unsigned long long)full);
	fx_assert_same(&north, &south);
	fx_assert_same(&north, &west);
	star_fini();
}

static void
rest_is_silent(void **state)
{
	struct publish_result result;

	(void)state;
	star();
	fx_people(&north, 10, 0, "", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 3);
	result = fx_publish();
	assert_int_equal(result.targets, 0);
	assert_int_equal(result.bundles, 0);
	/* Sections nobody waits for go with time; out boxes are empty. */
	assert_int_equal(fx_box_count("SOUTH", SPOOL_OUT), 0);
	star_fini();
}

static void
refresh_is_small(void **state)
{
	size_t bytes;

	(void)state;
	star();
	fx_people(&north, 10, 0, "", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 3);
	fx_publish_staff(&north); /* re-signed, unchanged */
	bytes = north.last_envelope.len;
	(void)fx_admit();
	(void)fx_publish();
	assert_int_equal(fx_fetch(&north), 1);
	bytes += (size_t)north.bytes;
	if (bytes > 1536)
		fail_msg("a refresh takes %zu bytes with its answer", bytes);
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 1);
	assert_int_equal(south.sections, 0);
	star_fini();
}

static void
audience_and_wants(void **state)
{
	(void)state;
	star();
	north.audience = "SOUTH";
	fx_people(&north, 5, 0, "", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 3);
	assert_int_equal(west.held_count, 0);
	fx_assert_same(&north, &south);
	/* NORTHWEST is not NORTH. */
	south.wants = "NORTHWEST";
	fx_ack(&south);
	(void)fx_admit();
	fx_people(&north, 6, 0, "x", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	(void)fx_fetch(&south);
	assert_int_equal(south.tuples, 0);
	south.wants = "NORTH";
	fx_ack(&south);
	fx_settle(all, 3);
	fx_assert_same(&north, &south);
	star_fini();
}

static void
undelivered_is_replaced(void **state)
{
	(void)state;
	star();
	fx_people(&north, 5, 0, "", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	fx_people(&west, 7, 0, "", "west.example");
	fx_publish_staff(&west);
	(void)fx_admit();
	(void)fx_publish();
	/* One message with both, not two. */
	assert_int_equal(fx_box_count("SOUTH", SPOOL_OUT), 1);
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 2);
	fx_assert_same(&north, &south);
	fx_assert_same(&west, &south);
	star_fini();
}

static void
unacknowledged_is_repeated(void **state)
{
	struct publish_result result;

	(void)state;
	star();
	fx_people(&north, 5, 0, "", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	assert_int_equal(fx_fetch(&south), 1);
	/* The acknowledgement is lost. Other news do not repeat it. */
	fx_people(&west, 7, 0, "", "west.example");
	fx_publish_staff(&west);
	(void)fx_admit();
	(void)fx_publish();
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 1);
	assert_int_equal(fx_publish().bundles, 0);
	OK(repeats_due(&fx_err));
	result = fx_publish();
	assert_true(result.bundles >= 1);
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 2);
	fx_ack(&south);
	(void)fx_admit();
	(void)fx_publish();
	assert_int_equal(fx_fetch(&south), 0);
	star_fini();
}

static void
lose(const char *name)
{
	struct spool_message message;

	assert_int_equal(
	    spool_next(fx_hub->spool, name, SPOOL_OUT, NULL, &message, &fx_err),
	    1);
	OK(spool_drop(fx_hub->spool, name, SPOOL_OUT, message.name, &fx_err));
	spool_message_fini(&message);
}

/* A bundle that only answers is not the last word about what went before. */
static void
lost_before_an_answer_is_repeated(void **state)
{
	(void)state;
	star();
	fx_settle(all, 3);
	fx_people(&north, 5, 0, "", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	lose("SOUTH");
	OK(target_touch(fx_hub->store, "SOUTH", true, &fx_err));
	(void)fx_publish();
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 0);
	OK(repeats_due(&fx_err));
	(void)fx_publish();
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 1);
	fx_assert_same(&north, &south);
	star_fini();
}

static void
restored_target_heals(void **state)
{
	struct fx_held *h;
	char *live, *copy;
	struct buf file;

	(void)state;
	star();
	fx_people(&north, 50, 0, "", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 3);
	/* A backup of the target's copy. */
	h = fx_held(&south, "NORTH", "staff");
	replica_close(h->replica);
	live = mem_printf("%s/NORTH__staff.db", south.dir);
	copy = mem_printf("%s/backup.db", south.dir);
	buf_init(&file, SIZE_MAX);
	OK(fsio_read(live, &file, &fx_err));
	OK(fsio_write(copy, buf_slice(&file), 0600, &fx_err));
	OK(replica_open(live, &h->replica, &fx_err));
	fx_people(&north, 50, 0, "one", "north.example");
	fx_publish_staff(&north);
	fx_settle(all, 3);
	fx_assert_same(&north, &south);
	/* The version that it acknowledges falls; the newest word wins. */
	replica_close(h->replica);
	OK(fsio_rename(copy, live, &fx_err));
	OK(replica_open(live, &h->replica, &fx_err));
	fx_ack(&south);
	fx_settle(all, 3);
	fx_assert_same(&north, &south);
	buf_fini(&file);
	free(live);
	free(copy);
	star_fini();
}

static void
died_before_the_spool(void **state)
{
	struct target_bundle bundle = {.name = "SOUTH"};
	struct buf before;
	struct spool_message message;
	struct target target;

	(void)state;
	star();
	fx_people(&north, 5, 0, "", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	/* As if the pass had died after its commit: the row is there, the
	 * message is not. */
	buf_init(&before, LIMIT_ENVELOPE_BYTES);
	buf_init(&bundle.envelope, LIMIT_ENVELOPE_BYTES);
	assert_int_equal(spool_next(fx_hub->spool, "SOUTH", SPOOL_OUT, NULL,
			     &message, &fx_err),
	    1);
	OK(spool_read(
	    fx_hub->spool, "SOUTH", SPOOL_OUT, message.name, &before, &fx_err));
	OK(target_get(fx_hub->store, "SOUTH", &target, &fx_err));
	bundle.sequence = target.sequence;
	buf_add(&bundle.envelope, buf_slice(&before));
	bundle.blobs = message.blobs;
	bundle.blob_count = message.blob_count;
	OK(target_bundle_put(fx_hub->store, &bundle, &fx_err));
	OK(store_commit(fx_hub->store, &fx_err));
	OK(spool_drop(
	    fx_hub->spool, "SOUTH", SPOOL_OUT, message.name, &fx_err));
	fx_restart();
	(void)fx_publish();
	/* The same bytes under the same sequence. */
	buf_reset(&bundle.envelope);
	OK(spool_read(fx_hub->spool, "SOUTH", SPOOL_OUT, message.name,
	    &bundle.envelope, &fx_err));
	assert_true(
	    slice_equal(buf_slice(&before), buf_slice(&bundle.envelope)));
	assert_int_equal(fx_fetch(&south), 1);
	fx_assert_same(&north, &south);
	spool_message_fini(&message);
	buf_fini(&before);
	buf_fini(&bundle.envelope);
	target_fini(&target);
	star_fini();
}

static void
blobs_are_collected(void **state)
{
	(void)state;
	star();
	for (int i = 0; i < 3; i++) {
		fx_people(&north, 5, 0,
		    i == 0   ? "a"
		    : i == 1 ? "b"
			     : "c",
		    "north.example");
		fx_publish_staff(&north);
		fx_settle(all, 3);
	}
	assert_int_equal(blob_count(), 1);
	star_fini();
}

static void
revoked_gets_and_gives_nothing(void **state)
{
	(void)state;
	star();
	fx_people(&north, 5, 0, "", "north.example");
	fx_publish_staff(&north);
	(void)fx_admit();
	(void)fx_publish();
	/* In the out box already, and withdrawn with the member. */
	fx_hub->now_ms = clock_now_ms();
	OK(members_revoke(fx_hub, "NORTH", &fx_err));
	(void)fx_publish();
	assert_int_equal(fx_fetch(&south), 1);
	assert_int_equal(south.tuples, 0);
	assert_true(south.got_registry);
	assert_true(registry_find(south.registry, "NORTH")->revoked);
	star_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		full_then_delta, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		rest_is_silent, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		refresh_is_small, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		audience_and_wants, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		undelivered_is_replaced, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		unacknowledged_is_repeated, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		lost_before_an_answer_is_repeated, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		restored_target_heals, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		died_before_the_spool, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		blobs_are_collected, fx_setup, fx_teardown),
	    cmocka_unit_test_setup_teardown(
		revoked_gets_and_gives_nothing, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
