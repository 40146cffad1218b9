/* Publishing: what lies in the out box, what is sent again unchanged, and what
 * a restored source or hub makes of it. The hub's side opens it with its own
 * keys and applies it to a replica of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "spoke/export/publish.h"
#include "tests/unit/spoke_fixture.h"

struct star {
	struct fixture f;
	struct replica *source, *hub;
	char *source_path, *hub_path;
	struct arena *arena;
	int64_t now;
};

static int
setup(void **state)
{
	struct star *s = mem_calloc(1, sizeof(*s));
	struct err err = {0};

	fixture_init(&s->f);
	s->source_path = store_stream_path(&s->f.conf, NULL, "staff");
	s->hub_path = mem_printf("%s/hub.db", s->f.dir);
	assert_int_equal(replica_open(s->source_path, &s->source, &err), 0);
	assert_int_equal(replica_open(s->hub_path, &s->hub, &err), 0);
	s->arena = arena_new(LIMIT_UNPACK_BYTES);
	s->now = clock_now_ms();
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct star *s = *state;

	replica_close(s->source);
	replica_close(s->hub);
	arena_free(s->arena);
	free(s->source_path);
	free(s->hub_path);
	fixture_fini(&s->f);
	free(s);
	return 0;
}

static void
source_fill(struct star *s, unsigned n, const char *title)
{
	fixture_fill(s->source, "south.example", n, title, s->now++);
}

static struct publish_result
publish(struct star *s)
{
	struct publish_result result;
	struct err err = {0};

	if (publish_run(
		&s->f.spoke, &s->f.export_policy, s->source, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

static unsigned
out_count(struct star *s, char name[SPOOL_NAME_SIZE], struct buf *envelope)
{
	struct spool_message m;
	char after[SPOOL_NAME_SIZE] = "";
	struct err err = {0};
	unsigned n = 0;

	while (spool_next(s->f.spoke.spool, SPOKE_PEER, SPOOL_OUT,
		   after[0] == '\0' ? NULL : after, &m, &err) > 0) {
		memcpy(after, m.name, sizeof(after));
		spool_message_fini(&m);
		n++;
	}
	if (n > 0) {
		memcpy(name, after, sizeof(after));
		buf_reset(envelope);
		assert_int_equal(spool_read(s->f.spoke.spool, SPOKE_PEER,
				     SPOOL_OUT, name, envelope, &err),
		    0);
	}
	return n;
}

static int
never_seen(void *arg, const char *sender, Galr__EnvelopeType type,
    struct envelope_seen *out_seen, struct err *err)
{
	(void)arg;
	(void)sender;
	(void)type;
	(void)err;
	memset(out_seen, 0, sizeof(*out_seen));
	return 0;
}

/* What the hub makes of the newest message, and its holding afterwards. With
 * refuse it takes nothing and says so. */
static void
hub_takes(struct star *s, const char *refuse)
{
	struct fixture *f = &s->f;
	const struct envelope_open_options options = {
	    .registry = f->realm.registry,
	    .realm = f->realm.id,
	    .me = "",
	    .keys = &f->realm.hub.keys,
	    .now_ms = clock_now_ms(),
	    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH,
	    .seen = never_seen};
	struct envelope envelope = {0};
	struct replica_state state;
	struct manifest m;
	struct store_own own;
	Galr__Payload *payload;
	Galr__Tuple *tuple;
	char name[SPOOL_NAME_SIZE];
	struct buf file, manifest;
	struct err err = {0};
	bool fresh;

	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	buf_init(&manifest, 1 << 20);
	arena_reset(s->arena);
	assert_int_equal(out_count(s, name, &file), 1);
	if (envelope_open(buf_slice(&file), &options, &envelope, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(payload_unpack(buf_slice(&envelope.payload), s->arena,
			     &payload, &err),
	    0);
	assert_int_equal(payload->n_tuples, 1);
	tuple = payload->tuples[0];
	(void)galr__signed_manifest__pack(tuple->manifest,
	    buf_reserve(&manifest,
		galr__signed_manifest__get_packed_size(tuple->manifest)));
	assert_int_equal(manifest_open(buf_slice(&manifest), f->realm.registry,
			     clock_now_ms(), s->arena, &m, &err),
	    0);
	assert_string_equal(m.tag, "SOUTH/staff");
	if (refuse == NULL && tuple->section_sha256.len > 0) {
		const struct replica_apply_options apply = {
		    .manifest = &m, .signed_manifest = buf_slice(&manifest)};
		struct replica_changes changes;
		struct section_reader *reader;
		char *path = spool_blob_path(f->spoke.spool, SPOKE_PEER,
		    SPOOL_OUT, tuple->section_sha256.data);

		assert_int_equal(
		    section_reader_open(path, tuple->section_sha256.data,
			tuple->section_key.data, f->dir, &reader, &err),
		    0);
		if (replica_apply(s->hub, reader, &apply, &changes, &err) < 0)
			fail_msg("%s", err.message);
		section_reader_close(reader);
		free(path);
	} else if (refuse == NULL) {
		assert_int_equal(replica_refresh(s->hub, &m,
				     buf_slice(&manifest), &fresh, &err),
		    0);
	}
	assert_int_equal(
	    spool_drop(f->spoke.spool, SPOKE_PEER, SPOOL_OUT, name, &err), 0);
	replica_state(s->hub, &state);
	assert_int_equal(store_own_get(f->spoke.store, "staff", &own, &err), 0);
	own.hub_version = state.version;
	memcpy(own.hub_root, state.root, 32);
	own.hub_issued_at = refuse == NULL ? m.issued_at : own.hub_issued_at;
	(void)snprintf(own.hub_refusal, sizeof(own.hub_refusal), "%s",
	    refuse == NULL ? "" : refuse);
	assert_int_equal(store_own_set(f->spoke.store, &own, &err), 0);
	envelope_fini(&envelope);
	buf_fini(&manifest);
	buf_fini(&file);
}

static void
assert_in_step(struct star *s)
{
	struct replica_state a, b;

	replica_state(s->source, &a);
	replica_state(s->hub, &b);
	assert_true(a.version == b.version);
	assert_memory_equal(a.root, b.root, 32);
}

static void
test_nothing_yet(void **state)
{
	struct star *s = *state;

	assert_int_equal(publish(s).state, PUBLISH_NOTHING);
}

static void
test_full_then_changes_then_silence(void **state)
{
	struct star *s = *state;
	struct publish_result r;

	source_fill(s, 40, "a");
	r = publish(s);
	assert_int_equal(r.state, PUBLISH_SENT);
	assert_true(r.section);
	assert_int_equal(r.base, 0);
	hub_takes(s, NULL);
	assert_in_step(s);
	assert_int_equal(publish(s).state, PUBLISH_HELD_BY_HUB);
	source_fill(s, 40, "b");
	r = publish(s);
	assert_int_equal(r.state, PUBLISH_SENT);
	assert_int_not_equal(r.base, 0);
	hub_takes(s, NULL);
	assert_in_step(s);
	assert_int_equal(publish(s).state, PUBLISH_HELD_BY_HUB);
	assert_int_equal(publish(s).state, PUBLISH_HELD_BY_HUB);
}

/* Lost on the way: the same bytes again, under the same name. */
static void
test_sent_again_unchanged(void **state)
{
	char first[SPOOL_NAME_SIZE], second[SPOOL_NAME_SIZE];
	struct star *s = *state;
	struct buf a, b;
	struct err err = {0};

	buf_init(&a, LIMIT_ENVELOPE_BYTES);
	buf_init(&b, LIMIT_ENVELOPE_BYTES);
	source_fill(s, 3, "a");
	assert_int_equal(publish(s).state, PUBLISH_SENT);
	assert_int_equal(publish(s).state, PUBLISH_PENDING);
	assert_int_equal(out_count(s, first, &a), 1);
	assert_int_equal(
	    spool_drop(s->f.spoke.spool, SPOKE_PEER, SPOOL_OUT, first, &err),
	    0);
	assert_int_equal(publish(s).state, PUBLISH_RESENT);
	assert_int_equal(out_count(s, second, &b), 1);
	assert_string_equal(first, second);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	hub_takes(s, NULL);
	assert_in_step(s);
	buf_fini(&a);
	buf_fini(&b);
}

/* What is newer replaces what waits. */
static void
test_newer_replaces(void **state)
{
	struct star *s = *state;
	char name[SPOOL_NAME_SIZE];
	struct buf bytes;

	buf_init(&bytes, LIMIT_ENVELOPE_BYTES);
	source_fill(s, 3, "a");
	(void)publish(s);
	source_fill(s, 4, "b");
	assert_int_equal(publish(s).state, PUBLISH_SENT);
	assert_int_equal(out_count(s, name, &bytes), 1);
	hub_takes(s, NULL);
	assert_in_step(s);
	buf_fini(&bytes);
}

static void
test_a_refused_delta_becomes_a_full(void **state)
{
	struct star *s = *state;
	struct publish_result r;

	source_fill(s, 40, "a");
	(void)publish(s);
	hub_takes(s, NULL);
	source_fill(s, 40, "b");
	assert_int_not_equal(publish(s).base, 0);
	hub_takes(s, "the root differs");
	r = publish(s);
	assert_int_equal(r.state, PUBLISH_SENT);
	assert_int_equal(r.base, 0);
	hub_takes(s, NULL);
	assert_in_step(s);
}

/* The hub holds what this replica never was: a full, above it. */
static void
test_a_foreign_state_at_the_hub_gets_a_full(void **state)
{
	struct star *s = *state;
	struct publish_result r;
	struct store_own own;
	struct err err = {0};

	source_fill(s, 40, "a");
	(void)publish(s);
	hub_takes(s, NULL);
	assert_int_equal(
	    store_own_get(s->f.spoke.store, "staff", &own, &err), 0);
	own.hub_root[0] ^= 1;
	assert_int_equal(store_own_set(s->f.spoke.store, &own, &err), 0);
	source_fill(s, 40, "b");
	r = publish(s);
	assert_int_equal(r.state, PUBLISH_SENT);
	assert_int_equal(r.base, 0);
}

/* The hub lost it all: a full again, although nothing changed here. */
static void
test_a_restored_hub_gets_it_again(void **state)
{
	struct star *s = *state;
	struct publish_result r;
	struct store_own own;
	struct err err = {0};

	source_fill(s, 5, "a");
	(void)publish(s);
	hub_takes(s, NULL);
	assert_int_equal(publish(s).state, PUBLISH_HELD_BY_HUB);
	assert_int_equal(
	    store_own_get(s->f.spoke.store, "staff", &own, &err), 0);
	own.hub_version = 0;
	own.hub_issued_at = 0;
	memset(own.hub_root, 0, 32);
	assert_int_equal(store_own_set(s->f.spoke.store, &own, &err), 0);
	r = publish(s);
	assert_int_equal(r.state, PUBLISH_SENT);
	assert_int_equal(r.base, 0);
	assert_true(r.section);
}

/* A third of the lifetime later: the manifest alone, small. */
static void
test_a_refresh_is_small(void **state)
{
	struct star *s = *state;
	struct publish_result r;

	source_fill(s, 50, "a");
	(void)publish(s);
	hub_takes(s, NULL);
	(void)usleep(250000);
	assert_int_equal(publish(s).state, PUBLISH_HELD_BY_HUB);
	s->f.export_policy.lifetime_ms = 600;
	r = publish(s);
	assert_int_equal(r.state, PUBLISH_SENT);
	assert_false(r.section);
	assert_true(r.bytes < 1500);
}

/* Another policy's message went out in between: ours gets a new sequence, or
 * the hub would drop it as late. */
static void
test_an_overtaken_message_is_made_anew(void **state)
{
	char first[SPOOL_NAME_SIZE], second[SPOOL_NAME_SIZE];
	struct star *s = *state;
	uint64_t sequence;
	struct buf bytes;
	struct err err = {0};

	buf_init(&bytes, LIMIT_ENVELOPE_BYTES);
	source_fill(s, 3, "a");
	(void)publish(s);
	assert_int_equal(out_count(s, first, &bytes), 1);
	assert_int_equal(
	    spool_drop(s->f.spoke.spool, SPOKE_PEER, SPOOL_OUT, first, &err),
	    0);
	assert_int_equal(store_sequence_next(s->f.spoke.store,
			     GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH,
			     clock_now_ms(), &sequence, &err),
	    0);
	assert_int_equal(publish(s).state, PUBLISH_SENT);
	assert_int_equal(out_count(s, second, &bytes), 1);
	assert_true(strcmp(first, second) < 0);
	hub_takes(s, NULL);
	assert_in_step(s);
	buf_fini(&bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_nothing_yet),
	    TEST(test_full_then_changes_then_silence),
	    TEST(test_sent_again_unchanged),
	    TEST(test_newer_replaces),
	    TEST(test_a_refused_delta_becomes_a_full),
	    TEST(test_a_foreign_state_at_the_hub_gets_a_full),
	    TEST(test_a_restored_hub_gets_it_again),
	    TEST(test_a_refresh_is_small),
	    TEST(test_an_overtaken_message_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
