/*
 * A hub in a scratch directory and spokes that speak to it through its real
 * spool with real keys: they join, publish, fetch and acknowledge as the
 * protocol says, and can be made to misbehave between the steps.
 */
#ifndef TESTS_UNIT_HUB_FIXTURE_H
#define TESTS_UNIT_HUB_FIXTURE_H

#include "tests/unit/hub_fixture_send.h"

/* --- fetching --- */

static UNUSED struct fx_held *
fx_held(struct fx_spoke *s, const char *member, const char *stream)
{
	struct fx_held *h;
	char *path;

	for (size_t i = 0; i < s->held_count; i++)
		if (strcmp(s->held[i].member, member) == 0 &&
		    strcmp(s->held[i].stream, stream) == 0)
			return &s->held[i];
	assert_true(s->held_count < SPOKE_HELD_MAX);
	h = &s->held[s->held_count++];
	(void)snprintf(h->member, sizeof(h->member), "%s", member);
	(void)snprintf(h->stream, sizeof(h->stream), "%s", stream);
	path = mem_printf("%s/%s__%s.db", s->dir, member, stream);
	OK(replica_open(path, &h->replica, &fx_err));
	free(path);
	return h;
}

static UNUSED void
fx_take_tuple(struct fx_spoke *s, const struct envelope *envelope,
    const Galr__Payload *payload, size_t i, struct arena *arena)
{
	const Galr__Tuple *tuple = payload->tuples[i];
	struct replica_apply_options options;
	struct section_reader *reader;
	struct replica_changes changes;
	struct bundle_kek_place place;
	struct bundle_kek kek;
	struct manifest m;
	struct fx_held *h;
	struct buf bytes;
	struct id key_id;
	uint8_t key[32];
	char *path;
	bool fresh;

	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	(void)galr__signed_manifest__pack(tuple->manifest,
	    buf_reserve(&bytes,
		galr__signed_manifest__get_packed_size(tuple->manifest)));
	OK(manifest_open(buf_slice(&bytes), s->registry, clock_now_ms(), arena,
	    &m, &fx_err));
	assert_true(manifest_audience_has(&m, s->name));
	h = fx_held(s, m.member, m.stream);
	s->tuples++;
	h->issued_at = m.issued_at;
	if (tuple->section_sha256.len == 0) {
		OK(replica_refresh(
		    h->replica, &m, buf_slice(&bytes), &fresh, &fx_err));
		buf_fini(&bytes);
		return;
	}
	s->sections++;
	s->bytes += tuple->section_length;
	memcpy(key_id.bytes, payload->kek_key_id.data, ID_LEN);
	place = (struct bundle_kek_place){
	    &s->registry->realm, s->name, envelope->sequence};
	OK(bundle_kek_open(
	    &s->keys, &key_id, payload->kek_enc.data, &place, &kek, &fx_err));
	OK(bundle_key_unwrap(&kek, (uint32_t)i, tuple->section_sha256.data,
	    slice_make(tuple->section_key.data, tuple->section_key.len), key,
	    &fx_err));
	path = spool_blob_path(
	    fx_hub->spool, s->name, SPOOL_OUT, tuple->section_sha256.data);
	OK(section_reader_open(
	    path, tuple->section_sha256.data, key, s->dir, &reader, &fx_err));
	free(path);
	options = (struct replica_apply_options){
	    .manifest = &m, .signed_manifest = buf_slice(&bytes)};
	OK(replica_apply(h->replica, reader, &options, &changes, &fx_err));
	section_reader_close(reader);
	buf_fini(&bytes);
}

static UNUSED void
fx_take_holdings(struct fx_spoke *s, const Galr__Payload *payload)
{
	for (size_t i = 0; i < payload->n_holdings; i++) {
		const Galr__Holding *h = payload->holdings[i];

		if (strcmp(h->member, s->name) != 0 ||
		    strcmp(h->stream, "staff") != 0)
			continue;
		s->hub_version = h->version;
		memcpy(s->hub_root, h->root.data, 32);
		(void)snprintf(
		    s->hub_refusal, sizeof(s->hub_refusal), "%s", h->refusal);
	}
}

/* Takes every bundle out of its out box. Returns how many there were. */
static UNUSED size_t
fx_fetch(struct fx_spoke *s)
{
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	struct spool_message message;
	struct envelope envelope;
	Galr__Payload *payload;
	struct buf file;
	size_t n = 0;

	s->tuples = s->sections = 0;
	s->bytes = 0;
	s->got_registry = false;
	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	while (spool_next(fx_hub->spool, s->name, SPOOL_OUT, NULL, &message,
		   &fx_err) > 0) {
		struct envelope_open_options options = {.registry = s->registry,
		    .realm = s->registry->realm,
		    .me = s->name,
		    .keys = &s->keys,
		    .now_ms = clock_now_ms(),
		    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE};

		buf_reset(&file);
		arena_reset(arena);
		OK(spool_read(fx_hub->spool, s->name, SPOOL_OUT, message.name,
		    &file, &fx_err));
		s->bytes += file.len;
		OK(envelope_open(
		    buf_slice(&file), &options, &envelope, &fx_err));
		OK(payload_unpack(
		    buf_slice(&envelope.payload), arena, &payload, &fx_err));
		if (payload->registry.len > 0) {
			struct registry *newer;

			OK(registry_decode(slice_make(payload->registry.data,
					       payload->registry.len),
			    fx_hub->keys.sign_active.public_key, &newer,
			    &fx_err));
			registry_free(s->registry);
			s->registry = newer;
			s->got_registry = true;
		}
		fx_take_holdings(s, payload);
		for (size_t i = 0; i < payload->n_tuples; i++)
			fx_take_tuple(s, &envelope, payload, i, arena);
		OK(spool_drop(
		    fx_hub->spool, s->name, SPOOL_OUT, message.name, &fx_err));
		envelope_fini(&envelope);
		spool_message_fini(&message);
		n++;
	}
	buf_fini(&file);
	arena_free(arena);
	return n;
}

static UNUSED void
fx_ack_with(struct fx_spoke *s, struct slice registry,
    uint64_t registry_version, Galr__PublicKey **keys, size_t key_count)
{
	Galr__Holding holdings[SPOKE_HELD_MAX];
	Galr__Holding *list[SPOKE_HELD_MAX];
	struct replica_state states[SPOKE_HELD_MAX];
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	char *wants[1] = {(char *)s->wants};
	struct buf envelope;
	char name[64];

	for (size_t i = 0; i < s->held_count; i++) {
		replica_state(s->held[i].replica, &states[i]);
		galr__holding__init(&holdings[i]);
		holdings[i].member = s->held[i].member;
		holdings[i].stream = s->held[i].stream;
		holdings[i].version = states[i].version;
		holdings[i].root.data = states[i].root;
		holdings[i].root.len = 32;
		holdings[i].issued_at = s->held[i].issued_at;
		list[i] = &holdings[i];
	}
	payload.n_holdings = s->held_count;
	payload.holdings = list;
	payload.n_wants = s->wants == NULL ? 0 : 1;
	payload.wants = wants;
	payload.registry_version = registry_version;
	payload.registry.data = (uint8_t *)registry.data;
	payload.registry.len = registry.len;
	payload.instance.data = s->instance.bytes;
	payload.instance.len = ID_LEN;
	payload.n_keys = key_count;
	payload.keys = keys;
	s->last_ack = envelope_next(s->last_ack, clock_now_ms());
	buf_init(&envelope, LIMIT_ENVELOPE_BYTES);
	fx_seal(s, GALR__ENVELOPE_TYPE__ENVELOPE_ACK, s->last_ack, &payload,
	    &envelope);
	(void)snprintf(
	    name, sizeof(name), "ack-%016llx", (unsigned long long)s->last_ack);
	OK(spool_put(fx_hub->spool, s->name, SPOOL_IN,
	    &(struct spool_put){.name = name, .envelope = buf_slice(&envelope)},
	    &fx_err));
	buf_fini(&envelope);
}

static UNUSED void
fx_ack(struct fx_spoke *s)
{
	fx_ack_with(s, SLICE_NULL, s->registry->version, NULL, 0);
}

/* Everything that is under way arrives. */
static UNUSED void
fx_settle(struct fx_spoke **spokes, size_t count)
{
	for (int round = 0; round < 8; round++) {
		bool moved = fx_admit().messages > 0;

		(void)fx_publish();
		for (size_t i = 0; i < count; i++)
			if (fx_fetch(spokes[i]) > 0) {
				fx_ack(spokes[i]);
				moved = true;
			}
		if (!moved)
			return;
	}
	fail_msg("the star does not come to rest");
}

static UNUSED void
fx_assert_same(struct fx_spoke *source, struct fx_spoke *target)
{
	struct replica_state a, b;

	replica_state(source->own, &a);
	replica_state(fx_held(target, source->name, "staff")->replica, &b);
	assert_int_equal(a.version, b.version);
	assert_int_equal(a.count, b.count);
	assert_memory_equal(a.root, b.root, 32);
}

#endif
