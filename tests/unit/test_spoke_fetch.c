/* Bundles of a hub, good and hostile: the replica follows its source or stays
 * as it was. Real keys, real sections, real replicas. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>

#include "spoke/import/fetch.h"
#include "tests/unit/spoke_fixture.h"

struct star {
	struct fixture f;
	struct replica *source; /* NORTH's */
	char *source_path;
	uint64_t sequence;
};

static int
setup(void **state)
{
	struct star *s = mem_calloc(1, sizeof(*s));
	struct err err = {0};

	fixture_init(&s->f);
	s->source_path = mem_printf("%s/source.db", s->f.dir);
	assert_int_equal(replica_open(s->source_path, &s->source, &err), 0);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct star *s = *state;

	replica_close(s->source);
	free(s->source_path);
	fixture_fini(&s->f);
	free(s);
	return 0;
}

/* NORTH's directory holds the first n people; one has a title. */
static void
source_fill(struct star *s, unsigned n, const char *title)
{
	fixture_fill(s->source, "north.example", n, title, clock_now_ms());
}

struct bundle {
	uint64_t base;
	bool no_section;
	uint64_t sequence;           /* 0: the next */
	const struct key_pair *sign; /* of the manifest; NULL: NORTH's */
	const char *audience;
	bool wrong_root, ended;
	const struct slice *registry;
	const char *name; /* of the message; NULL: by sequence */
	int64_t issued_at;
	int64_t ahead; /* of the hub's clock */
};

static void
manifest_make(struct star *s, const struct bundle *b, struct buf *out)
{
	struct replica_state state;
	struct manifest m = {.realm = s->f.realm.id,
	    .member = "NORTH",
	    .stream = "staff",
	    .tag = "NORTH/staff",
	    .issued_at = b->issued_at != 0 ? b->issued_at : clock_now_ms(),
	    .not_after = clock_now_ms() + CLOCK_DAY_MS,
	    .ended = b->ended};
	const struct key_pair *key =
	    b->sign != NULL ? b->sign : &s->f.realm.north.keys.sign_active;

	replica_state(s->source, &state);
	m.version = state.version;
	m.count = state.count;
	memcpy(m.root, state.root, sizeof(m.root));
	if (b->wrong_root)
		m.root[0] ^= 1;
	if (b->audience != NULL) {
		m.audience = &b->audience;
		m.audience_count = 1;
	}
	assert_int_equal(manifest_seal(&m, key, out, NULL), 0);
}

/* The hub's part: wraps the section's key and lays all into the inbox. */
static void
bundle_send(struct star *s, const struct bundle *b)
{
	struct fixture *f = &s->f;
	struct envelope_recipient to = realm_recipient(&f->realm.south);
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	Galr__Tuple tuple = GALR__TUPLE__INIT;
	Galr__Tuple *list[] = {&tuple};
	struct envelope_seal_options seal = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE,
	    .realm = f->realm.id,
	    .sender = "",
	    .recipients = &to,
	    .recipient_count = 1,
	    .issued_at = clock_now_ms() + b->ahead,
	    .not_after = clock_now_ms() + CLOCK_DAY_MS,
	    .sign_key = &f->realm.hub.keys.sign_active};
	struct replica_section section = {0};
	uint8_t wrapped[CRYPTO_WRAPPED_LEN], enc[32];
	char *path = mem_printf("%s/section", f->dir);
	const char *paths[] = {path};
	struct spool_blob blob;
	struct bundle_kek kek;
	struct buf manifest, plain, sealed;
	struct err err = {0};
	char name[SPOOL_NAME_SIZE];

	seal.sequence =
	    b->sequence != 0
		? b->sequence
		: (s->sequence = envelope_next(s->sequence, clock_now_ms()));
	buf_init(&manifest, 1 << 20);
	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	buf_init(&sealed, LIMIT_ENVELOPE_BYTES);
	manifest_make(s, b, &manifest);
	tuple.manifest =
	    galr__signed_manifest__unpack(NULL, manifest.len, manifest.data);
	assert_int_equal(
	    bundle_kek_make(&to, &f->realm.id, seal.sequence, &kek, enc, &err),
	    0);
	if (!b->no_section) {
		assert_int_equal(replica_section_write(s->source, "NORTH",
				     "staff", b->base, path, &section, &err),
		    0);
		assert_int_equal(bundle_key_wrap(&kek, 0, section.sha256,
				     section.key, wrapped, &err),
		    0);
		tuple.base_version = section.base;
		tuple.section_sha256.data = section.sha256;
		tuple.section_sha256.len = 32;
		tuple.section_length = section.length;
		tuple.section_key.data = wrapped;
		tuple.section_key.len = sizeof(wrapped);
		memcpy(blob.sha256, section.sha256, 32);
		blob.length = section.length;
	}
	payload.kek_enc.data = enc;
	payload.kek_enc.len = sizeof(enc);
	payload.kek_key_id.data = to.key_id.bytes;
	payload.kek_key_id.len = ID_LEN;
	payload.n_tuples = 1;
	payload.tuples = list;
	payload.registry_version = f->realm.message.version;
	if (b->registry != NULL) {
		payload.registry.data = (uint8_t *)(uintptr_t)b->registry->data;
		payload.registry.len = b->registry->len;
	}
	assert_int_equal(payload_pack(&payload, &plain, &err), 0);
	assert_int_equal(
	    envelope_seal(&seal, buf_slice(&plain), &sealed, &err), 0);
	(void)snprintf(name, sizeof(name), "bun-%016llx",
	    (unsigned long long)seal.sequence);
	assert_int_equal(
	    spool_put(f->spoke.spool, SPOKE_PEER, SPOOL_IN,
		&(struct spool_put){.name = b->name != NULL ? b->name : name,
		    .envelope = buf_slice(&sealed),
		    .blobs = &blob,
		    .blob_paths = paths,
		    .blob_count = b->no_section ? 0 : 1},
		&err),
	    0);
	galr__signed_manifest__free_unpacked(tuple.manifest, NULL);
	buf_fini(&manifest);
	buf_fini(&plain);
	buf_fini(&sealed);
	free(path);
}

static struct fetch_result
fetch(struct star *s)
{
	struct fetch_result result;
	struct err err = {0};

	if (fetch_run(&s->f.spoke, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

static struct store_stream
held(struct star *s)
{
	struct store_stream row;
	struct err err = {0};

	assert_int_equal(
	    store_stream_get(s->f.spoke.store, "NORTH", "staff", &row, &err),
	    0);
	return row;
}

static bool
equals_source(struct star *s)
{
	struct store_stream row = held(s);
	struct replica_state state;

	replica_state(s->source, &state);
	return row.version == state.version &&
	       memcmp(row.root, state.root, 32) == 0 &&
	       row.count == state.count;
}

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_full_then_changes),
	    TEST(test_a_refresh_renews),
	    TEST(test_a_replayed_bundle_is_dropped),
	    TEST(test_old_content_is_skipped),
	    TEST(test_edited_content_is_refused),
	    TEST(test_a_forged_manifest_is_refused),
	    TEST(test_a_swapped_key_holds_the_member),
	    TEST(test_an_old_registry_is_refused),
	    TEST(test_audience),
	    TEST(test_unwanted_streams_are_left),
	    TEST(test_a_gap_is_said),
	    TEST(test_a_message_from_the_future_waits),
	    TEST(test_garbage_is_set_aside),
	    TEST(test_repeated_after_a_crash),
	    TEST(test_a_damaged_replica_heals),
	    TEST(test_a_missing_section_is_a_refusal),
	    TEST(test_a_restored_state_acknowledges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
