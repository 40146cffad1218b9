/* Bundles of a hub: the replica follows its source. Real keys, real sections,
 * real replicas. */
#include "tests/unit/fetch_fixture.h"

static void
test_full_then_changes(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	uint64_t first;

	source_fill(s, 5, "a");
	bundle_send(s, &(struct bundle){0});
	r = fetch(s);
	assert_int_equal(r.changed, 1);
	assert_int_equal(r.changes.added, 5);
	assert_true(r.acknowledged);
	assert_true(equals_source(s));
	first = held(s).version;
	source_fill(s, 4, "b");
	bundle_send(s, &(struct bundle){.base = first});
	r = fetch(s);
	assert_int_equal(r.changes.modified, 1);
	assert_int_equal(r.changes.deleted, 1);
	assert_true(equals_source(s));
	/* Nothing new: nothing to acknowledge. */
	r = fetch(s);
	assert_int_equal(r.messages, 0);
	assert_false(r.acknowledged);
}

static void
test_a_refresh_renews(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	int64_t now = clock_now_ms();

	source_fill(s, 3, "a");
	bundle_send(s, &(struct bundle){.issued_at = now - 5000});
	(void)fetch(s);
	bundle_send(
	    s, &(struct bundle){.no_section = true, .issued_at = now - 1000});
	r = fetch(s);
	assert_int_equal(r.refreshed, 1);
	assert_int_equal(held(s).issued_at, now - 1000);
	assert_true(r.acknowledged);
}

static void
test_a_replayed_bundle_is_dropped(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	struct store_stream before;
	struct err err = {0};
	struct buf file;
	char name[SPOOL_NAME_SIZE];

	source_fill(s, 3, "a");
	bundle_send(s, &(struct bundle){0});
	(void)snprintf(
	    name, sizeof(name), "bun-%016llx", (unsigned long long)s->sequence);
	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	assert_int_equal(spool_read(s->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
			     name, &file, &err),
	    0);
	(void)fetch(s);
	/* The same again: acknowledged again, nothing else. */
	assert_int_equal(
	    spool_put(s->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
		&(struct spool_put){.name = name, .envelope = buf_slice(&file)},
		&err),
	    0);
	r = fetch(s);
	assert_int_equal(r.messages, 0);
	assert_int_equal(r.refused, 0);
	assert_true(r.acknowledged);
	/* After a newer one it is late. */
	source_fill(s, 4, "b");
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	before = held(s);
	assert_int_equal(
	    spool_put(s->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
		&(struct spool_put){.name = name, .envelope = buf_slice(&file)},
		&err),
	    0);
	r = fetch(s);
	assert_int_equal(r.messages, 0);
	assert_true(before.version == held(s).version);
	buf_fini(&file);
}

/* The hub seals old content anew: the source's version tells. */
static void
test_old_content_is_skipped(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	char *copy = mem_printf("%s/old.db", s->f.dir);
	struct replica *newest;
	struct err err = {0};
	uint64_t version;

	source_fill(s, 3, "old");
	replica_close(s->source);
	{
		struct buf file;

		buf_init(&file, 1 << 24);
		assert_int_equal(fsio_read(s->source_path, &file, &err), 0);
		assert_int_equal(
		    fsio_write(copy, buf_slice(&file), 0600, &err), 0);
		buf_fini(&file);
	}
	assert_int_equal(replica_open(s->source_path, &s->source, &err), 0);
	source_fill(s, 6, "new");
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	version = held(s).version;
	newest = s->source;
	assert_int_equal(replica_open(copy, &s->source, &err), 0);
	bundle_send(s, &(struct bundle){0});
	r = fetch(s);
	assert_int_equal(r.changed, 0);
	assert_true(held(s).version == version);
	assert_int_equal(held(s).count, 6);
	replica_close(s->source);
	s->source = newest;
	free(copy);
}

static void
test_audience(void **state)
{
	struct star *s = *state;
	struct fetch_result r;

	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){.audience = "WEST"});
	r = fetch(s);
	assert_int_equal(r.streams_refused, 1);
	assert_non_null(strstr(held(s).refusal, "audience"));
	source_fill(s, 3, "a");
	bundle_send(s, &(struct bundle){.audience = "SOUTH"});
	r = fetch(s);
	assert_int_equal(r.changed, 1);
}

static void
test_unwanted_streams_are_left(void **state)
{
	struct star *s = *state;
	struct fetch_result r;

	s->f.tags[0] = "NORTHWEST";
	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){0});
	r = fetch(s);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.changed + r.streams_refused, 0);
	assert_int_equal(held(s).version, 0);
}

/* A gap asks for a section from what is held. */
static void
test_a_gap_is_said(void **state)
{
	struct star *s = *state;
	struct replica_state first;
	struct fetch_result r;

	source_fill(s, 2, "a");
	replica_state(s->source, &first);
	source_fill(s, 3, "b");
	bundle_send(s, &(struct bundle){.base = first.version});
	r = fetch(s);
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(held(s).version, 0);
	assert_true(r.acknowledged);
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	assert_true(equals_source(s));
}

/* Killed between replica and store: the message is taken in once more. */
static void
test_repeated_after_a_crash(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	struct err err = {0};
	char *db = mem_printf("%s/spoke.db", s->f.dir);
	struct buf before;

	buf_init(&before, 1 << 24);
	source_fill(s, 4, "a");
	spoke_close(&s->f.spoke);
	assert_int_equal(fsio_read(db, &before, &err), 0);
	fixture_open(&s->f);
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	spoke_close(&s->f.spoke);
	assert_int_equal(fsio_write(db, buf_slice(&before), 0600, &err), 0);
	fixture_open(&s->f);
	bundle_send(s, &(struct bundle){.sequence = s->sequence});
	r = fetch(s);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.streams_refused, 0);
	assert_true(equals_source(s));
	buf_fini(&before);
	free(db);
}

/* A damaged file is put aside; a full makes it good, and blocks nobody. */
static void
test_a_damaged_replica_heals(void **state)
{
	struct star *s = *state;
	struct fetch_result r;
	struct err err = {0};
	char *path = store_stream_path(&s->f.conf, "NORTH", "staff");
	uint64_t first;

	source_fill(s, 4, "a");
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	first = held(s).version;
	assert_int_equal(fsio_write(path,
			     SLICE_LIT("this is no database at all, but a "
				       "text that is long enough for one"),
			     0600, &err),
	    0);
	source_fill(s, 5, "b");
	bundle_send(s, &(struct bundle){.base = first});
	r = fetch(s);
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(held(s).version, 0);
	assert_true(r.acknowledged);
	bundle_send(s, &(struct bundle){0});
	r = fetch(s);
	assert_int_equal(r.changed, 1);
	assert_true(equals_source(s));
	free(path);
}

/* A state that was copied back says anew what it holds. */
static void
test_a_restored_state_acknowledges(void **state)
{
	struct star *s = *state;
	char *path = mem_printf("%s/identity", s->f.dir);
	struct fetch_result r;
	struct err err = {0};
	struct buf bytes;

	buf_init(&bytes, 1 << 16);
	source_fill(s, 2, "a");
	bundle_send(s, &(struct bundle){0});
	(void)fetch(s);
	assert_false(fetch(s).acknowledged);
	assert_int_equal(fsio_read(path, &bytes, &err), 0);
	assert_int_equal(fsio_write(path, buf_slice(&bytes), 0600, &err), 0);
	r = fetch(s);
	assert_true(r.acknowledged);
	assert_false(fetch(s).acknowledged);
	buf_fini(&bytes);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_full_then_changes),
	    TEST(test_a_refresh_renews),
	    TEST(test_a_replayed_bundle_is_dropped),
	    TEST(test_old_content_is_skipped),
	    TEST(test_audience),
	    TEST(test_unwanted_streams_are_left),
	    TEST(test_a_gap_is_said),
	    TEST(test_repeated_after_a_crash),
	    TEST(test_a_damaged_replica_heals),
	    TEST(test_a_restored_state_acknowledges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
