/* Bundles that a hub should not send: the replica stays as it was. */
#include <dirent.h>
#include "tests/unit/fetch_fixture.h"

static void
test_edited_content_is_refused(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	struct store_stream before, after;

	source_fill(s, 3, "a");
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	before = held(s);
	source_fill(s, 5, "b");
	/* What the source signed is not what came. */
	bundle_send(s, &(struct bundle){.wrong_root = true});
	r = fetch(s);
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(r.messages, 1);
	after = held(s);
	assert_true(after.version == before.version);
	assert_memory_equal(after.root, before.root, 32);
	assert_non_null(strstr(after.refusal, "root"));
	assert_true(r.acknowledged);
	/* The next good one is taken, and the refusal is gone. */
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	assert_true(equals_source(s));
	assert_string_equal(held(s).refusal, "");
}

static void
test_a_forged_manifest_is_refused(void **state)
{
	struct star *s = *state;
	struct fetch_result r;

	source_fill(s, 3, "a");
	bundle_send(
	    s, &(struct bundle){.sign = &s->f.realm.hub.keys.sign_active});
	r = fetch(s);
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(held(s).version, 0);
}

static void
test_a_swapped_key_holds_the_member(void **state)
{
	struct star *s = *state;
	struct key_pair forged;
	struct keys keys = s->f.realm.north.keys;
	struct slice registry;
	struct fetch_result r;
	struct store_stream before;

	source_fill(s, 3, "a");
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	before = held(s);
	realm_pair(&forged, "ed25519", 0x66);
	keys.sign_active = forged;
	fixture_relist(&s->f.realm.north, &keys);
	fixture_registry_next(&s->f);
	registry = buf_slice(&s->f.realm.signed_bytes);
	source_fill(s, 1, "forged");
	bundle_send(
	    s, &(struct bundle){.sign = &forged, .registry = &registry});
	r = fetch(s);
	assert_int_equal(r.members_held, 1);
	assert_int_equal(r.streams_refused, 1);
	assert_true(held(s).version == before.version);
	assert_int_equal(held(s).count, 3);
	assert_non_null(strstr(held(s).refusal, "held"));
}

static void
test_an_old_registry_is_refused(void **state)
{
	struct star *s = *state;
	struct buf old;
	struct slice bytes;
	struct fetch_result r;
	uint64_t version;

	buf_init(&old, LIMIT_PAYLOAD_BYTES);
	buf_add(&old, buf_slice(&s->f.realm.signed_bytes));
	bytes = buf_slice(&s->f.realm.signed_bytes);
	s->f.realm.north.message.revoked = true;
	fixture_registry_next(&s->f);
	bytes = buf_slice(&s->f.realm.signed_bytes);
	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){.registry = &bytes});
	r = fetch(s);
	assert_int_equal(r.streams_refused, 1);
	version = s->f.spoke.registry->version;
	bytes = buf_slice(&old);
	bundle_send(s, &(struct bundle){.registry = &bytes});
	r = fetch(s);
	assert_true(s->f.spoke.registry->version == version);
	assert_non_null(strstr(r.text, "older"));
	/* The revoked member stays out. */
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(held(s).version, 0);
	buf_fini(&old);
}

/* Our clock is behind: the message waits for it, and stops no other. */
static void
test_a_message_from_the_future_waits(void **state)
{
	char name[SPOOL_NAME_SIZE];
	struct star *s = *state;
	struct fetch_result r;
	struct err err = {0};
	struct buf file;

	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){.ahead = CLOCK_HOUR_MS});
	(void)snprintf(
	    name, sizeof(name), "bun-%016llx", (unsigned long long)s->sequence);
	bundle_send(s, &(struct bundle){0});
	r = fetch(s);
	assert_int_equal(r.refused, 1);
	assert_int_equal(r.messages, 1);
	assert_non_null(strstr(r.text, "clock"));
	assert_true(equals_source(s));
	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	assert_int_equal(spool_read(s->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
			     name, &file, &err),
	    0);
	buf_fini(&file);
}

static void
test_garbage_is_set_aside(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	struct err err = {0};

	assert_int_equal(spool_put(s->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
			     &(struct spool_put){.name = "aaa",
				 .envelope = SLICE_LIT("GALR\1 and more")},
			     &err),
	    0);
	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){0});
	r = fetch(s);
	assert_int_equal(r.refused, 1);
	assert_int_equal(r.messages, 1);
	assert_true(equals_source(s));
}

static void
test_a_missing_section_is_a_refusal(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	struct err err = {0};
	char *dir = mem_printf("%s/spool/hub/in", s->f.dir);
	struct dirent *entry;
	DIR *list;

	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){0});
	list = opendir(dir);
	assert_non_null(list);
	while ((entry = readdir(list)) != NULL) {
		char *path = fsio_join(dir, entry->d_name);

		if (strstr(entry->d_name, ".blob") != NULL &&
		    strstr(entry->d_name, ".blobs") == NULL)
			assert_int_equal(fsio_unlink(path, &err), 0);
		free(path);
	}
	(void)closedir(list);
	r = fetch(s);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(held(s).version, 0);
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	assert_true(equals_source(s));
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_edited_content_is_refused),
	    TEST(test_a_forged_manifest_is_refused),
	    TEST(test_a_swapped_key_holds_the_member),
	    TEST(test_an_old_registry_is_refused),
	    TEST(test_a_message_from_the_future_waits),
	    TEST(test_garbage_is_set_aside),
	    TEST(test_a_missing_section_is_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
