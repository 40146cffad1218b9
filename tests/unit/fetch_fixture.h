/* A spoke SOUTH, its hub, and NORTH's replica as the source: bundles are made
 * and sent as a hub would, or worse. */
#ifndef TESTS_UNIT_FETCH_FIXTURE_H
#define TESTS_UNIT_FETCH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "spoke/import/fetch.h"
#include "tests/unit/spoke_fixture.h"

struct star {
	struct fixture f;
	struct replica *source; /* NORTH's */
	char *source_path;
	uint64_t sequence;
};

static inline int
fetch_setup(void **state)
{
	struct star *s = mem_calloc(1, sizeof(*s));
	struct err err = {0};

	fixture_init(&s->f);
	s->source_path = mem_printf("%s/source.db", s->f.dir);
	assert_int_equal(replica_open(s->source_path, &s->source, &err), 0);
	*state = s;
	return 0;
}

static inline int
fetch_teardown(void **state)
{
	struct star *s = *state;

	replica_close(s->source);
	free(s->source_path);
	fixture_fini(&s->f);
	free(s);
	return 0;
}

/* NORTH's directory holds the first n people; one has a title. */
static inline void
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

static inline void
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
static inline void
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

static inline struct fetch_result
fetch(struct star *s)
{
	struct fetch_result result;
	struct err err = {0};

	if (fetch_run(&s->f.spoke, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

static inline struct store_stream
held(struct star *s)
{
	struct store_stream row;
	struct err err = {0};

	assert_int_equal(
	    store_stream_get(s->f.spoke.store, "NORTH", "staff", &row, &err),
	    0);
	return row;
}

static inline bool
equals_source(struct star *s)
{
	struct store_stream row = held(s);
	struct replica_state state;

	replica_state(s->source, &state);
	return row.version == state.version &&
	       memcmp(row.root, state.root, 32) == 0 &&
	       row.count == state.count;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fetch_setup, fetch_teardown)

#endif
