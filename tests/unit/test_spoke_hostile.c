/* What a hub may try with its own real keys (PROTOCOL.md, "The security
 * argument"): the target holds or refuses, names it, keeps what it has, and
 * takes the next good bundle. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <glob.h>
#include <sys/stat.h>

#include "tests/unit/spoke_hostile.h"

/* --- objects --- */

static void
test_objects_dropped_edited_added(void **state)
{
	struct hostile *h = *state;

	(void)baseline(h);
	hostile_fill(h->source, 6, "north.example", "b");
	assert_refused(h, (struct hostile_tuple){.drop_one = true}, "root");
	assert_refused(h, (struct hostile_tuple){.edit_one = true}, "root");
	assert_refused(h, (struct hostile_tuple){.add_one = true}, "root");
	assert_refused(h, (struct hostile_tuple){.empty = true}, "root");
	assert_heals(h);
}

/* Nothing in it, although the source changed something. */
static void
test_an_empty_delta(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);

	hostile_fill(h->source, 6, "north.example", "b");
	assert_refused(h,
	    (struct hostile_tuple){.empty = true, .base = before.version},
	    "root");
	assert_heals(h);
}

static void
test_tuples_that_do_not_fit(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);

	hostile_fill(h->source, 6, "north.example", "b");
	assert_refused(h, (struct hostile_tuple){.key_wrong = true}, "commit");
	assert_refused(h, (struct hostile_tuple){.hash_wrong = true}, "hash");
	assert_refused(h, (struct hostile_tuple){.blob_lost = true}, "section");
	assert_refused(h, (struct hostile_tuple){.root_wrong = true}, "sign");
	assert_refused(h, (struct hostile_tuple){.count_wrong = true}, "sign");
	assert_refused(h,
	    (struct hostile_tuple){
		.version = before.version + 1, .no_section = true},
	    "without section");
	assert_heals(h);
}

/* One good stream between two bad ones comes in. */
static void
test_a_bad_stream_blocks_no_other(void **state)
{
	struct hostile *h = *state;
	struct hostile_bundle b = {.count = 3};
	struct fetch_result r;

	b.tuples[0] = (struct hostile_tuple){
	    .stream = "one", .sign = &h->west.keys.sign_active};
	b.tuples[1] = (struct hostile_tuple){0};
	b.tuples[2] = (struct hostile_tuple){.stream = "two", .edit_one = true};
	hostile_send(h, &b);
	r = hostile_fetch(h);
	assert_int_equal(r.streams_refused, 2);
	assert_int_equal(r.changed, 1);
	assert_true(north(h).version != 0);
	assert_true(hostile_held(h, "NORTH", "one").version == 0);
	assert_true(hostile_held(h, "NORTH", "two").version == 0);
}

/* The same stream twice in one bundle: as if in two. */
static void
test_one_stream_twice(void **state)
{
	struct hostile *h = *state;
	struct hostile_bundle b = {.count = 2};
	struct fetch_result r;

	hostile_send(h, &b);
	r = hostile_fetch(h);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.streams_refused, 0);
	assert_int_equal(north(h).count, 5);
	assert_heals(h);
}

/* --- statements --- */

static void
test_equivocation(void **state)
{
	struct hostile *h = *state;

	(void)baseline(h);
	/* Both signed by the source: it, not the hub, is lying. */
	assert_refused(h, (struct hostile_tuple){.root_wrong = true},
	    "two different statements");
	assert_refused(h,
	    (struct hostile_tuple){.tag = "NORTH/other", .no_section = true},
	    "two different statements");
	assert_refused(h,
	    (struct hostile_tuple){.ended = true, .no_section = true},
	    "two different statements");
	assert_heals(h);
}

static void
test_audience(void **state)
{
	struct hostile *h = *state;

	(void)baseline(h);
	hostile_fill(h->source, 6, "north.example", "b");
	assert_refused(
	    h, (struct hostile_tuple){.audience = "WEST"}, "audience");
	assert_heals(h);
}

static void
test_future_statement(void **state)
{
	struct hostile *h = *state;

	(void)baseline(h);
	hostile_fill(h->source, 6, "north.example", "b");
	assert_refused(h,
	    (struct hostile_tuple){
		.issued_at = clock_now_ms() + LIMIT_SKEW_MS + CLOCK_MINUTE_MS},
	    "clock");
	assert_heals(h);
}

/* WEST's objects under NORTH's name, NORTH's under WEST's. */
static void
test_false_names(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	struct fetch_result r;

	hostile_fill(h->source, 6, "north.example", "b");
	assert_refused(h,
	    (struct hostile_tuple){.sign = &h->west.keys.sign_active}, "key");
	hostile_send_one(h, (struct hostile_tuple){.member = "WEST"});
	r = hostile_fetch(h);
	assert_int_equal(r.streams_refused, 1);
	assert_true(hostile_held(h, "WEST", "staff").version == 0);
	assert_kept(h, &before);
	/* Our own name, which no hub can sign for. */
	hostile_send_one(h, (struct hostile_tuple){.member = "SOUTH",
				.sign = &h->f.realm.hub.keys.sign_active});
	r = hostile_fetch(h);
	assert_int_equal(r.changed, 0);
	assert_heals(h);
}

/* Names that would be paths, hidden files or nothing at all. */
static void
test_names_that_are_paths(void **state)
{
	static const char *const names[] = {"../../evil", "..", ".hidden",
	    "a/b", "", "-option", "staff.db/../x", "sta\nff", "sta\033[31mff"};
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	char *pattern = mem_printf("%s/streams/*", h->f.dir);
	glob_t found;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fetch_result r;

		hostile_send_one(h, (struct hostile_tuple){.stream = names[i],
					.tag = "NORTH/x",
					.sign = &h->west.keys.sign_active,
					.no_section = true});
		r = hostile_fetch(h);
		assert_int_equal(r.streams_refused, 1);
		assert_null(strpbrk(r.text, "\033\n"));
		hostile_send_one(h, (struct hostile_tuple){.stream = names[i],
					.tag = "NORTH/x",
					.no_section = true});
		r = hostile_fetch(h);
		assert_int_equal(r.streams_refused, 1);
		hostile_send_one(
		    h, (struct hostile_tuple){.member = names[i],
			   .tag = "NORTH/x",
			   .sign = &h->f.realm.hub.keys.sign_active,
			   .no_section = true});
		r = hostile_fetch(h);
		assert_int_equal(r.streams_refused, 1);
	}
	assert_kept(h, &before);
	/* Only NORTH's replica and what SQLite has beside it. */
	assert_int_equal(glob(pattern, GLOB_PERIOD, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *leaf = strrchr(found.gl_pathv[i], '/') + 1;

		assert_true(
		    strncmp(leaf, "north@staff", 11) == 0 || leaf[0] == '.');
		assert_null(strstr(leaf, "evil"));
		assert_null(strstr(leaf, "hidden"));
	}
	globfree(&found);
	free(pattern);
	assert_heals(h);
}

/* Streams of two members never share a replica, however they are called. */
static void
test_names_that_run_together(void **state)
{
	static const char *const names[][2] = {{"NORTH", "x__y"},
	    {"NORTH__x", "y"}, {"own-NORTH", "x"}, {"own", "NORTH__x"},
	    {"NORTH", "x"}};
	struct hostile *h = *state;
	size_t n = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < n; i++) {
		char *path =
		    store_stream_path(&h->f.conf, names[i][0], names[i][1]);

		for (size_t k = 0; k < n; k++) {
			char *other = store_stream_path(
			    &h->f.conf, names[k][0], names[k][1]);

			assert_true((i == k) == (strcmp(path, other) == 0));
			free(other);
			/* A policy of ours has a member's stream's name. */
			if (strncmp(names[k][0], "own-", 4) == 0) {
				char *own;

				other = mem_printf(
				    "%s__%s", names[k][0] + 4, names[k][1]);
				own =
				    store_stream_path(&h->f.conf, NULL, other);
				assert_string_not_equal(path, own);
				free(own);
				free(other);
			}
		}
		free(path);
	}
}

/* Names are one whatever their case: so is the replica. */
static void
test_names_in_another_case(void **state)
{
	struct hostile *h = *state;
	struct store_stream before = baseline(h);
	char *pattern = mem_printf("%s/streams/*.db", h->f.dir);
	struct fetch_result r;
	glob_t found;

	hostile_send_one(
	    h, (struct hostile_tuple){
		   .member = "north", .stream = "STAFF", .tag = "north/staff"});
	r = hostile_fetch(h);
	/* Its source says two things at one version. */
	assert_int_equal(r.streams_refused, 1);
	assert_kept(h, &before);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	globfree(&found);
	free(pattern);
	assert_heals(h);
}

/* --- messages --- */

static void
test_last_month(void **state)
{
	struct hostile *h = *state;
	struct store_stream before;
	struct fetch_result r;
	struct err err = {0};
	char *copy = mem_printf("%s/old.db", h->f.dir);
	struct replica *old;
	struct buf bytes, registry;

	(void)baseline(h);
	replica_close(h->source);
	buf_init(&bytes, 1 << 24);
	assert_int_equal(fsio_read(h->source_path, &bytes, &err), 0);
	assert_int_equal(fsio_write(copy, buf_slice(&bytes), 0600, &err), 0);
	buf_fini(&bytes);
	assert_int_equal(replica_open(h->source_path, &h->source, &err), 0);
	assert_int_equal(replica_open(copy, &old, &err), 0);
	buf_init(&registry, LIMIT_PAYLOAD_BYTES);
	buf_add(&registry, buf_slice(&h->f.realm.signed_bytes));
	fixture_registry_next(&h->f);
	hostile_fill(h->source, 9, "north.example", "b");
	hostile_send(h, &(struct hostile_bundle){.count = 1, .registry = true});
	(void)hostile_fetch(h);
	before = north(h);
	assert_int_equal(before.count, 9);
	/* The old bundle itself. */
	hostile_send(h, &(struct hostile_bundle){.count = 1,
			    .tuples = {{.source = old}},
			    .registry_bytes = buf_slice(&registry),
			    .sequence = h->sequence - 1000});
	r = hostile_fetch(h);
	assert_int_equal(r.messages, 0);
	assert_kept(h, &before);
	/* Its content, sealed anew. */
	hostile_send(h, &(struct hostile_bundle){.count = 1,
			    .tuples = {{.source = old}},
			    .registry_bytes = buf_slice(&registry)});
	r = hostile_fetch(h);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.changed, 0);
	assert_non_null(strstr(r.text, "older"));
	assert_true(h->f.spoke.registry->version == h->f.realm.message.version);
	assert_kept(h, &before);
	buf_fini(&registry);
	replica_close(old);
	free(copy);
	assert_heals(h);
}

static unsigned
waiting(struct hostile *h)
{
	char *pattern =
	    mem_printf("%s/spool/%s/in/*.galr", h->f.dir, SPOKE_PEER);
	unsigned count = 0;
	glob_t found;

	if (glob(pattern, 0, NULL, &found) == 0)
		count = (unsigned)found.gl_pathc;
	globfree(&found);
	free(pattern);
	return count;
}

/* A clock that is ahead: the bundle waits, those behind it do not. */
static void
test_a_message_from_the_future_waits(void **state)
{
	struct hostile *h = *state;
	struct fetch_result r;

	hostile_send(h, &(struct hostile_bundle){.count = 1,
			    .issued_at = clock_now_ms() + CLOCK_HOUR_MS,
			    .name = "bun-0000000000000001"});
	r = hostile_fetch(h);
	assert_int_equal(r.messages, 0);
	assert_int_equal(r.refused, 1);
	assert_non_null(strstr(r.text, "clock"));
	assert_heals(h);
	assert_int_equal(waiting(h), 1);
}

/* Nobody's clock is wrong for years: what comes from there makes no room full,
 * and says nothing for ever. */
static void
test_a_message_from_far_ahead_is_refused(void **state)
{
	struct hostile *h = *state;

	hostile_send(
	    h, &(struct hostile_bundle){.count = 1,
		   .issued_at = clock_now_ms() + 200 * 365 * CLOCK_DAY_MS});
	assert_int_equal(hostile_fetch(h).refused, 1);
	assert_int_equal(waiting(h), 0);
	assert_heals(h);
}

/* Numbers that no database holds are refused as what they are, and do not come
 * up again with every run. */
static void
test_numbers_without_end(void **state)
{
	struct hostile *h = *state;
	struct fetch_result r;

	hostile_send(
	    h, &(struct hostile_bundle){.count = 1, .sequence = UINT64_MAX});
	assert_int_equal(hostile_fetch(h).refused, 1);
	hostile_send(
	    h, &(struct hostile_bundle){.count = 1, .hub_version = UINT64_MAX});
	assert_int_equal(hostile_fetch(h).refused, 1);
	hostile_send(h,
	    &(struct hostile_bundle){.count = 1, .held_version = UINT64_MAX});
	assert_int_equal(hostile_fetch(h).refused, 1);
	hostile_send_one(h,
	    (struct hostile_tuple){.version = UINT64_MAX, .no_section = true});
	r = hostile_fetch(h);
	assert_int_equal(r.streams_refused, 1);
	assert_int_equal(waiting(h), 0);
	assert_heals(h);
}

/* A source goes on above what the hub holds; so the hub could leave it no
 * version to go on with. */
static void
test_the_hub_claims_the_last_version(void **state)
{
	struct hostile *h = *state;
	uint64_t claims[] = {INT64_MAX, INT64_MAX - 1, LIMIT_VERSION_FAR + 1};
	struct store_own own;
	struct err err = {0};

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		hostile_send(
		    h, &(struct hostile_bundle){.held_version = claims[i]});
		assert_int_equal(hostile_fetch(h).messages, 1);
		assert_int_equal(
		    store_own_get(h->f.spoke.store, "staff", &own, &err), 0);
		assert_true(own.hub_version == 0);
	}
	hostile_send(
	    h, &(struct hostile_bundle){.held_version = LIMIT_VERSION_FAR});
	(void)hostile_fetch(h);
	assert_int_equal(
	    store_own_get(h->f.spoke.store, "staff", &own, &err), 0);
	assert_true(own.hub_version == LIMIT_VERSION_FAR);
}

/* A source whose clock was far ahead once goes on from there. */
static void
test_a_version_of_the_year_2200(void **state)
{
	struct hostile *h = *state;
	struct replica_changes changes;
	struct replica_intake *intake;
	struct replica_state now;
	struct err err = {0};

	(void)baseline(h);
	assert_int_equal(
	    replica_intake_begin(h->source, REPLICA_TOUCHED, &intake, &err), 0);
	assert_int_equal(replica_intake_finish(intake, INT64_C(7258118400000),
			     true, &changes, &err),
	    0);
	hostile_send_one(h, (struct hostile_tuple){0});
	assert_int_equal(hostile_fetch(h).streams_refused, 0);
	assert_true(north(h).version == UINT64_C(7258118400000));
	hostile_fill(h->source, 8, "north.example", "now");
	replica_state(h->source, &now);
	assert_true(now.version == UINT64_C(7258118400001));
	assert_heals(h);
}

/* --- files --- */

static void
assert_private(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	if ((st.st_mode & 077) != 0)
		fail_msg("%s has mode %o", path, (unsigned)st.st_mode & 0777);
}

/* Keys, registries and contacts are nobody else's business, whatever umask the
 * caller has. */
static void
test_files_are_private(void **state)
{
	struct hostile *h = *state;
	mode_t before = umask(0);

	(void)baseline(h);
	assert_heals(h);
	for (int i = 0; i < 3; i++) {
		char *pattern;
		glob_t found;

		pattern = i == 0   ? mem_printf("%s/*", h->f.dir)
			  : i == 1 ? mem_printf("%s/*/*", h->f.dir)
				   : mem_printf("%s/*/*/*", h->f.dir);
		assert_int_equal(glob(pattern, GLOB_PERIOD, NULL, &found), 0);
		for (size_t k = 0; k < found.gl_pathc; k++) {
			const char *leaf = strrchr(found.gl_pathv[k], '/') + 1;

			if (strcmp(leaf, ".") != 0 && strcmp(leaf, "..") != 0)
				assert_private(found.gl_pathv[k]);
		}
		globfree(&found);
		free(pattern);
	}
	(void)umask(before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_objects_dropped_edited_added),
	    TEST(test_an_empty_delta),
	    TEST(test_tuples_that_do_not_fit),
	    TEST(test_a_bad_stream_blocks_no_other),
	    TEST(test_one_stream_twice),
	    TEST(test_equivocation),
	    TEST(test_audience),
	    TEST(test_future_statement),
	    TEST(test_false_names),
	    TEST(test_names_that_are_paths),
	    TEST(test_names_that_run_together),
	    TEST(test_names_in_another_case),
	    TEST(test_last_month),
	    TEST(test_a_message_from_the_future_waits),
	    TEST(test_a_message_from_far_ahead_is_refused),
	    TEST(test_numbers_without_end),
	    TEST(test_the_hub_claims_the_last_version),
	    TEST(test_a_version_of_the_year_2200),
	    TEST(test_files_are_private),
	};

	/* What hangs is a failure. */
	(void)alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
