/* A hub that turned on its members: it has its own real keys, and seals into
 * SOUTH's inbox whatever a test tells it to. NORTH and WEST are sources. */
#ifndef TESTS_UNIT_SPOKE_HOSTILE_H
#define TESTS_UNIT_SPOKE_HOSTILE_H

#include "common/wire/section.h"
#include "spoke/import/fetch.h"
#include "tests/unit/spoke_fixture.h"

#define HOSTILE_TUPLES 4

struct hostile {
	struct fixture f;
	struct realm_member west;
	Galr__Member *members[3];
	char *source_path;
	struct replica *source; /* NORTH's staff */
	uint64_t sequence;
};

/* One tuple; what is not said is as it should be. */
struct hostile_tuple {
	struct replica *source; /* NULL: NORTH's */
	const char *member, *stream, *tag, *audience;
	const struct key_pair *sign;
	uint64_t base;
	uint64_t version; /* other than the replica's */
	int64_t issued_at;
	bool ended, no_section, root_wrong, count_wrong;
	/* Of the tuple: what does not fit the section. */
	bool key_wrong, hash_wrong, length_wrong, blob_lost;
	/* The section is not the source's: */
	bool drop_one, edit_one, add_one, empty;
};

struct hostile_bundle {
	struct hostile_tuple tuples[HOSTILE_TUPLES];
	size_t count;
	bool registry; /* the realm's present one comes along */
	struct slice registry_bytes;
	uint64_t sequence; /* 0: the next */
	int64_t issued_at; /* 0: now */
	const char *name;
	uint64_t hub_version;  /* 0: the registry's */
	uint64_t held_version; /* what the hub says it holds of ours */
};

/* What one tuple points to while its bundle is put together. */
struct hostile_part {
	struct buf manifest;
	struct replica_section section;
	uint8_t wrapped[CRYPTO_WRAPPED_LEN];
	Galr__Tuple tuple;
	char *path;
};

static inline const char *
hostile_or(const char *text, const char *otherwise)
{
	return text != NULL ? text : otherwise;
}

/* The directory of a source holds the first n people of a domain. */
static inline void
hostile_fill(
    struct replica *source, unsigned n, const char *domain, const char *title)
{
	struct replica_changes changes;
	struct replica_intake *intake;
	struct err err = {0};
	struct buf body;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	REALM_CHECK(
	    replica_intake_begin(source, REPLICA_FULL, &intake, &err) == 0);
	for (unsigned i = 0; i < n; i++) {
		struct id id = {{0}};
		char mail[96];

		id.bytes[0] = (uint8_t)(i + 1);
		(void)snprintf(mail, sizeof(mail), "p%u@%s", i, domain);
		fixture_body(mail, i == 0 ? title : "-", &body);
		REALM_CHECK(replica_intake_put(
				intake, &id, buf_slice(&body), &err) == 0);
	}
	REALM_CHECK(replica_intake_finish(
			intake, clock_now_ms(), false, &changes, &err) == 0);
	buf_fini(&body);
}

/* The hub writes a section of its own from what it holds. */
static inline void
hostile_section(const struct hostile_tuple *t, struct replica *source,
    struct hostile_part *p)
{
	struct replica_cursor *cursor = NULL;
	struct section_writer *writer = NULL;
	struct section_object object;
	struct section_head head = {.base = t->base};
	struct replica_state state;
	struct err err = {0};
	struct buf body;
	uint64_t n = 0;

	replica_state(source, &state);
	(void)snprintf(head.member, sizeof(head.member), "%s",
	    hostile_or(t->member, "NORTH"));
	(void)snprintf(head.stream, sizeof(head.stream), "%s",
	    hostile_or(t->stream, "staff"));
	head.version = state.version;
	head.records = t->empty      ? 0
		       : t->drop_one ? state.count - 1
		       : t->add_one  ? state.count + 1
				     : state.count;
	buf_init(&body, LIMIT_OBJECT_BYTES);
	fixture_body("mallory@north.example", "forged", &body);
	REALM_CHECK(section_writer_open(
			p->path, &head, &writer, p->section.key, &err) == 0);
	REALM_CHECK(replica_cursor_open(source, 0, &cursor, &err) == 0);
	while (!t->empty && replica_cursor_next(cursor, &object, &err) > 0) {
		if (t->drop_one && n++ == 0)
			continue;
		if (t->edit_one && n++ == 0)
			object.body = buf_slice(&body);
		object.version = head.version;
		REALM_CHECK(section_writer_add(writer, &object, &err) == 0);
	}
	replica_cursor_close(cursor);
	if (t->add_one) {
		memset(&object.id, 0xff, sizeof(object.id));
		object.deleted = false;
		object.version = head.version;
		object.body = buf_slice(&body);
		REALM_CHECK(section_writer_add(writer, &object, &err) == 0);
	}
	REALM_CHECK(section_writer_close(writer, p->section.sha256,
			&p->section.length, &err) == 0);
	p->section.base = t->base;
	buf_fini(&body);
}

static inline void
hostile_manifest(struct hostile *h, const struct hostile_tuple *t,
    struct replica *source, struct buf *out)
{
	const char *member = hostile_or(t->member, "NORTH");
	const char *stream = hostile_or(t->stream, "staff");
	char *tag = mem_printf("%s/%s", member, stream);
	struct replica_state state;
	struct manifest m = {.realm = h->f.realm.id,
	    .member = member,
	    .stream = stream,
	    .tag = hostile_or(t->tag, tag),
	    .issued_at = t->issued_at != 0 ? t->issued_at : clock_now_ms(),
	    .ended = t->ended};

	replica_state(source, &state);
	m.not_after = m.issued_at + CLOCK_DAY_MS;
	m.version = t->version != 0 ? t->version : state.version;
	m.count = state.count + t->count_wrong;
	memcpy(m.root, state.root, sizeof(m.root));
	m.root[0] ^= t->root_wrong;
	if (t->audience != NULL) {
		m.audience = &t->audience;
		m.audience_count = 1;
	}
	REALM_CHECK(
	    manifest_seal(&m,
		t->sign != NULL ? t->sign : &h->f.realm.north.keys.sign_active,
		out, NULL) == 0);
	free(tag);
}

static inline void
hostile_tuple_make(struct hostile *h, const struct hostile_tuple *t,
    const struct bundle_kek *kek, uint32_t index, struct hostile_part *p)
{
	struct replica *source = t->source != NULL ? t->source : h->source;
	struct err err = {0};

	galr__tuple__init(&p->tuple);
	p->path = mem_printf("%s/section-%u", h->f.dir, index);
	buf_init(&p->manifest, 1 << 20);
	hostile_manifest(h, t, source, &p->manifest);
	p->tuple.manifest = galr__signed_manifest__unpack(
	    NULL, p->manifest.len, p->manifest.data);
	if (t->no_section)
		return;
	if (t->drop_one || t->edit_one || t->add_one || t->empty)
		hostile_section(t, source, p);
	else
		REALM_CHECK(replica_section_write(source,
				hostile_or(t->member, "NORTH"),
				hostile_or(t->stream, "staff"), t->base,
				p->path, &p->section, &err) == 0);
	p->section.key[0] ^= t->key_wrong;
	REALM_CHECK(bundle_key_wrap(kek, index, p->section.sha256,
			p->section.key, p->wrapped, &err) == 0);
	p->tuple.base_version = p->section.base;
	p->tuple.section_sha256.data = p->section.sha256;
	p->tuple.section_sha256.len = 32;
	p->tuple.section_length = p->section.length + t->length_wrong;
	p->tuple.section_key.data = p->wrapped;
	p->tuple.section_key.len = sizeof(p->wrapped);
}

static inline void
hostile_put(struct hostile *h, const struct hostile_bundle *b,
    struct hostile_part *parts, struct slice envelope, uint64_t sequence)
{
	struct spool_blob blobs[HOSTILE_TUPLES];
	const char *paths[HOSTILE_TUPLES];
	struct err err = {0};
	char name[SPOOL_NAME_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++) {
		if (b->tuples[i].no_section || b->tuples[i].blob_lost)
			continue;
		memcpy(blobs[n].sha256, parts[i].section.sha256, 32);
		blobs[n].length = parts[i].section.length;
		paths[n++] = parts[i].path;
	}
	(void)snprintf(
	    name, sizeof(name), "bun-%016llx", (unsigned long long)sequence);
	REALM_CHECK(spool_put(h->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
			&(struct spool_put){.name = hostile_or(b->name, name),
			    .envelope = envelope,
			    .blobs = blobs,
			    .blob_paths = paths,
			    .blob_count = n},
			&err) == 0);
	/* A blob's name cannot lie, its bytes can: as a broken disk would. */
	for (size_t i = 0; i < b->count; i++) {
		char *path;

		if (!b->tuples[i].hash_wrong)
			continue;
		path = spool_blob_path(h->f.spoke.spool, SPOKE_PEER, SPOOL_IN,
		    parts[i].section.sha256);
		(void)unlink(path);
		REALM_CHECK(fsio_write(path, SLICE_LIT("other bytes"), 0600,
				&err) == 0);
		free(path);
	}
}

static inline void
hostile_send(struct hostile *h, const struct hostile_bundle *b)
{
	struct fixture *f = &h->f;
	struct envelope_recipient to = realm_recipient(&f->realm.south);
	int64_t now = b->issued_at != 0 ? b->issued_at : clock_now_ms();
	struct hostile_part parts[HOSTILE_TUPLES];
	Galr__Tuple *list[HOSTILE_TUPLES];
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	Galr__Holding holding = GALR__HOLDING__INIT;
	Galr__Holding *holdings[] = {&holding};
	struct envelope_seal_options seal = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE,
	    .realm = f->realm.id,
	    .sender = "",
	    .recipients = &to,
	    .recipient_count = 1,
	    .issued_at = now,
	    .not_after = now + CLOCK_DAY_MS,
	    .sign_key = &f->realm.hub.keys.sign_active};
	struct slice registry = b->registry_bytes;
	struct bundle_kek kek;
	struct buf plain, sealed;
	struct err err = {0};
	uint8_t enc[32];

	memset(parts, 0, sizeof(parts));
	seal.sequence =
	    b->sequence != 0
		? b->sequence
		: (h->sequence = envelope_next(h->sequence, clock_now_ms()));
	REALM_CHECK(bundle_kek_make(&to, &f->realm.id, seal.sequence, &kek, enc,
			&err) == 0);
	for (size_t i = 0; i < b->count; i++) {
		hostile_tuple_make(
		    h, &b->tuples[i], &kek, (uint32_t)i, &parts[i]);
		list[i] = &parts[i].tuple;
	}
	if (b->registry)
		registry = buf_slice(&f->realm.signed_bytes);
	payload.kek_enc.data = enc;
	payload.kek_enc.len = sizeof(enc);
	payload.kek_key_id.data = to.key_id.bytes;
	payload.kek_key_id.len = ID_LEN;
	payload.n_tuples = b->count;
	payload.tuples = list;
	payload.registry_version =
	    b->hub_version != 0 ? b->hub_version : f->realm.message.version;
	holding.member = (char *)(uintptr_t) "SOUTH";
	holding.stream = (char *)(uintptr_t) "staff";
	holding.version = b->held_version;
	payload.n_holdings = b->held_version != 0;
	payload.holdings = holdings;
	payload.registry.data = (uint8_t *)(uintptr_t)registry.data;
	payload.registry.len = registry.len;
	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	buf_init(&sealed, LIMIT_ENVELOPE_BYTES);
	REALM_CHECK(payload_pack(&payload, &plain, &err) == 0);
	REALM_CHECK(
	    envelope_seal(&seal, buf_slice(&plain), &sealed, &err) == 0);
	hostile_put(h, b, parts, buf_slice(&sealed), seal.sequence);
	for (size_t i = 0; i < b->count; i++) {
		galr__signed_manifest__free_unpacked(
		    parts[i].tuple.manifest, NULL);
		buf_fini(&parts[i].manifest);
		(void)unlink(parts[i].path);
		free(parts[i].path);
	}
	buf_fini(&plain);
	buf_fini(&sealed);
}

/* One tuple on its own. */
static inline void
hostile_send_one(struct hostile *h, struct hostile_tuple t)
{
	struct hostile_bundle b = {.count = 1};

	b.tuples[0] = t;
	hostile_send(h, &b);
}

static inline struct fetch_result
hostile_fetch(struct hostile *h)
{
	struct fetch_result result;
	struct err err = {0};

	if (fetch_run(&h->f.spoke, &result, &err) < 0) {
		fprintf(stderr, "fetch: %s\n", err.message);
		abort();
	}
	return result;
}

static inline struct store_stream
hostile_held(struct hostile *h, const char *member, const char *stream)
{
	struct store_stream row;
	struct err err = {0};

	REALM_CHECK(store_stream_get(
			h->f.spoke.store, member, stream, &row, &err) == 0);
	return row;
}

/* The realm with a third member, WEST. */
static inline void
hostile_members(struct hostile *h)
{
	struct realm *realm = &h->f.realm;

	realm_member_init(&h->west, "WEST", (char *)"west.example", 0x50);
	h->members[0] = &realm->north.message;
	h->members[1] = &realm->south.message;
	h->members[2] = &h->west.message;
	realm->message.members = h->members;
	realm->message.n_members = 3;
	fixture_registry_next(&h->f);
	(void)fixture_registry_take(&h->f);
}

static inline void
hostile_init(struct hostile *h)
{
	struct err err = {0};

	fixture_init(&h->f);
	hostile_members(h);
	h->source_path = mem_printf("%s/source.db", h->f.dir);
	REALM_CHECK(replica_open(h->source_path, &h->source, &err) == 0);
	hostile_fill(h->source, 5, "north.example", "a");
}

static inline void
hostile_fini(struct hostile *h)
{
	replica_close(h->source);
	free(h->source_path);
	fixture_fini(&h->f);
}

/* --- for tests, which include cmocka before --- */

static inline int
setup(void **state)
{
	struct hostile *h = mem_calloc(1, sizeof(*h));

	hostile_init(h);
	*state = h;
	return 0;
}

static inline int
teardown(void **state)
{
	struct hostile *h = *state;

	hostile_fini(h);
	free(h);
	return 0;
}

static inline struct store_stream
north(struct hostile *h)
{
	return hostile_held(h, "NORTH", "staff");
}

/* Takes in what NORTH has now; the state to come back to. */
static inline struct store_stream
baseline(struct hostile *h)
{
	struct replica_state state;
	struct store_stream row;
	struct fetch_result r;

	hostile_send_one(h, (struct hostile_tuple){0});
	r = hostile_fetch(h);
	assert_int_equal(r.streams_refused, 0);
	row = north(h);
	replica_state(h->source, &state);
	assert_true(row.version == state.version);
	return row;
}

static inline void
assert_kept(struct hostile *h, const struct store_stream *before)
{
	struct store_stream now = north(h);
	struct replica *replica;
	struct replica_state state;
	struct err err = {0};
	char *path;

	assert_true(now.version == before->version);
	assert_true(now.count == before->count);
	assert_memory_equal(now.root, before->root, 32);
	path = store_stream_path(&h->f.conf, "NORTH", "staff");
	assert_int_equal(replica_open(path, &replica, &err), 0);
	replica_state(replica, &state);
	assert_true(state.version == before->version);
	assert_memory_equal(state.root, before->root, 32);
	replica_close(replica);
	free(path);
}

/* Everything is well again with the next bundle. */
static inline void
assert_heals(struct hostile *h)
{
	struct replica_state state;

	hostile_fill(h->source, 7, "north.example", "healed");
	hostile_send_one(h, (struct hostile_tuple){0});
	(void)hostile_fetch(h);
	replica_state(h->source, &state);
	assert_true(north(h).version == state.version);
	assert_memory_equal(north(h).root, state.root, 32);
	assert_string_equal(north(h).refusal, "");
}

static inline void
assert_refused(struct hostile *h, struct hostile_tuple t, const char *reason)
{
	struct store_stream before = north(h);
	struct fetch_result r;

	hostile_send_one(h, t);
	r = hostile_fetch(h);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.streams_refused, 1);
	assert_kept(h, &before);
	if (strstr(north(h).refusal, reason) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", north(h).refusal, reason);
	assert_true(strlen(r.text) > 0);
}

#endif
