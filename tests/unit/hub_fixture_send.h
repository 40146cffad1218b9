/* What the spokes of hub_fixture.h send: they join and publish. */
#ifndef TESTS_UNIT_HUB_FIXTURE_SEND_H
#define TESTS_UNIT_HUB_FIXTURE_SEND_H

#include "tests/unit/hub_fixture_base.h"

/* --- joining --- */

static UNUSED void
fx_spoke_keys(struct fx_spoke *s, const char *name, const char *dir)
{
	char *path;

	memset(s, 0, sizeof(*s));
	s->name = name;
	s->wants = "*";
	(void)snprintf(s->dir, sizeof(s->dir), "%s/%s", fx_dir, dir);
	(void)snprintf(s->tag, sizeof(s->tag), "%s/staff", name);
	OK(fsio_mkdirs(s->dir, &fx_err));
	path = fsio_join(s->dir, "keys");
	OK(keys_create(path, &fx_err));
	OK(keys_load(path, &s->keys, &fx_err));
	free(path);
	OK(id_random(&s->instance, &fx_err));
	path = fsio_join(s->dir, "own.db");
	OK(replica_open(path, &s->own, &fx_err));
	free(path);
	buf_init(&s->last_envelope, LIMIT_ENVELOPE_BYTES);
}

static UNUSED void
fx_spoke_fini(struct fx_spoke *s)
{
	replica_close(s->own);
	for (size_t i = 0; i < s->held_count; i++)
		replica_close(s->held[i].replica);
	registry_free(s->registry);
	buf_fini(&s->last_envelope);
}

static UNUSED void
fx_key(Galr__PublicKey *out, Galr__KeyRole role, struct key_pair *pair)
{
	galr__public_key__init(out);
	out->role = role;
	out->active = 1;
	out->key.data = pair->public_key;
	out->key.len = 32;
}

/* Puts a JOIN into the newcomer's box. */
static UNUSED void
fx_join_send(struct fx_spoke *s, const struct invitation *invitation)
{
	Galr__JoinRequest request = GALR__JOIN_REQUEST__INIT;
	Galr__PublicKey keys[3];
	Galr__PublicKey *list[3] = {&keys[0], &keys[1], &keys[2]};
	struct envelope_recipient hub = {.name = ""};
	struct envelope_seal_options options = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_JOIN,
	    .realm = invitation->realm,
	    .sender = invitation->name,
	    .recipients = &hub,
	    .recipient_count = 1,
	    .issued_at = clock_now_ms()};
	char peer[INVITATION_PEER_SIZE];
	struct buf payload, envelope;
	struct key_pair sign;
	uint8_t mac[32];
	char name[64];

	buf_init(&payload, 65536);
	buf_init(&envelope, LIMIT_ENVELOPE_BYTES);
	fx_key(&keys[0], GALR__KEY_ROLE__KEY_SIGN, &s->keys.sign_active);
	fx_key(&keys[1], GALR__KEY_ROLE__KEY_DECRYPT, &s->keys.decrypt_active);
	fx_key(&keys[2], GALR__KEY_ROLE__KEY_CURVE, &s->keys.curve);
	request.invitation.data = (uint8_t *)invitation->id.bytes;
	request.invitation.len = ID_LEN;
	request.name = (char *)invitation->name;
	request.n_keys = 3;
	request.keys = list;
	request.instance.data = s->instance.bytes;
	request.instance.len = ID_LEN;
	OK(invitation_mac(invitation, &request, mac, &fx_err));
	request.mac.data = mac;
	request.mac.len = sizeof(mac);
	(void)galr__join_request__pack(
	    &request, buf_reserve(&payload,
			  galr__join_request__get_packed_size(&request)));
	OK(invitation_sign(invitation, &sign, &fx_err));
	memcpy(hub.public_key, invitation->hub_decrypt, 32);
	crypto_key_id("x25519", hub.public_key, &hub.key_id);
	options.sequence = envelope_next(s->last_publish, clock_now_ms());
	s->last_publish = options.sequence;
	options.not_after = options.issued_at + CLOCK_DAY_MS;
	options.sign_key = &sign;
	OK(envelope_seal(&options, buf_slice(&payload), &envelope, &fx_err));
	(void)snprintf(name, sizeof(name), "join-%016llx",
	    (unsigned long long)options.sequence);
	OK(spool_put(fx_hub->spool, invitation_peer(&invitation->id, peer),
	    SPOOL_IN,
	    &(struct spool_put){.name = name, .envelope = buf_slice(&envelope)},
	    &fx_err));
	buf_fini(&payload);
	buf_fini(&envelope);
}

/* Reads the newest answer; copies its refusal. True when welcome. */
static UNUSED bool
fx_join_answer(
    struct fx_spoke *s, const struct invitation *invitation, char refusal[512])
{
	struct envelope_open_options options = {
	    .sender_key = invitation->hub_sign,
	    .realm = invitation->realm,
	    .me = invitation->name,
	    .keys = &s->keys,
	    .now_ms = clock_now_ms(),
	    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME};
	char peer[INVITATION_PEER_SIZE];
	struct spool_message message;
	struct envelope envelope;
	Galr__JoinReply *reply;
	struct buf file;
	bool welcome;

	(void)invitation_peer(&invitation->id, peer);
	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	assert_int_equal(
	    spool_next(fx_hub->spool, peer, SPOOL_OUT, NULL, &message, &fx_err),
	    1);
	OK(spool_read(
	    fx_hub->spool, peer, SPOOL_OUT, message.name, &file, &fx_err));
	OK(envelope_open(buf_slice(&file), &options, &envelope, &fx_err));
	reply = galr__join_reply__unpack(
	    NULL, envelope.payload.len, envelope.payload.data);
	assert_non_null(reply);
	(void)snprintf(refusal, 512, "%s", reply->refusal);
	welcome = reply->refusal[0] == '\0';
	if (welcome) {
		registry_free(s->registry);
		s->registry = NULL;
		OK(registry_decode(
		    slice_make(reply->registry.data, reply->registry.len),
		    invitation->hub_sign, &s->registry, &fx_err));
	}
	galr__join_reply__free_unpacked(reply, NULL);
	OK(spool_drop(fx_hub->spool, peer, SPOOL_OUT, message.name, &fx_err));
	spool_message_fini(&message);
	envelope_fini(&envelope);
	buf_fini(&file);
	return welcome;
}

static UNUSED void
fx_invite(const char *name, const char *domains, struct invitation *out)
{
	struct buf text;

	buf_init(&text, 65536);
	fx_hub->now_ms = clock_now_ms();
	OK(members_invite(fx_hub, name, domains, CLOCK_DAY_MS, &text, &fx_err));
	OK(invitation_decode(buf_slice(&text), out, &fx_err));
	buf_fini(&text);
}

static UNUSED void
fx_spoke_join(struct fx_spoke *s, const char *name, const char *domains)
{
	struct invitation invitation;
	char refusal[512];

	fx_spoke_keys(s, name, name);
	fx_invite(name, domains, &invitation);
	fx_join_send(s, &invitation);
	(void)fx_admit();
	assert_true(fx_join_answer(s, &invitation, refusal));
}

/* --- publishing --- */

static UNUSED void
fx_seal(struct fx_spoke *s, Galr__EnvelopeType type, uint64_t sequence,
    const Galr__Payload *payload, struct buf *out)
{
	const struct registry_key *key =
	    registry_active_key(&s->registry->hub, REGISTRY_DECRYPT);
	struct envelope_recipient hub = {.name = "", .key_id = key->id};
	struct envelope_seal_options options = {.type = type,
	    .realm = s->registry->realm,
	    .sender = s->name,
	    .recipients = &hub,
	    .recipient_count = 1,
	    .sequence = sequence,
	    .issued_at = clock_now_ms() + s->clock,
	    .sign_key = &s->keys.sign_active};
	struct buf plain;

	memcpy(hub.public_key, key->public_key, 32);
	options.not_after = options.issued_at + CLOCK_DAY_MS;
	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	OK(payload_pack(payload, &plain, &fx_err));
	OK(envelope_seal(&options, buf_slice(&plain), out, &fx_err));
	buf_fini(&plain);
}

/* A person with this mail address; the number makes the id. */
static UNUSED void
fx_person(struct replica_intake *intake, uint32_t number, const char *mail)
{
	struct arena *arena = arena_new(1 << 20);
	struct slice values[2] = {slice_str("Person"), slice_str(mail)};
	struct object_attribute attributes[2] = {
	    {"displayName", &values[0], 1}, {"mail", &values[1], 1}};
	struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=x",
	    .attributes = attributes,
	    .attribute_count = 2};
	struct id id = {{0}};
	struct buf body;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	memcpy(id.bytes, &number, sizeof(number));
	OK(object_encode(&object, arena, &body, &fx_err));
	OK(replica_intake_put(intake, &id, buf_slice(&body), &fx_err));
	buf_fini(&body);
	arena_free(arena);
}

/* First count people of domain, then foreign ones of elsewhere.example. */
static UNUSED void
fx_people(struct fx_spoke *s, uint32_t count, uint32_t foreign,
    const char *salt, const char *domain)
{
	struct replica_intake *intake;
	struct replica_changes changes;
	char mail[160];

	OK(replica_intake_begin(s->own, REPLICA_FULL, &intake, &fx_err));
	for (uint32_t i = 0; i < count; i++) {
		(void)snprintf(mail, sizeof(mail), "p%u%s@%s", i,
		    i == 0 ? salt : "", domain);
		fx_person(intake, i, mail);
	}
	for (uint32_t i = 0; i < foreign; i++) {
		(void)snprintf(
		    mail, sizeof(mail), "p%u%s@elsewhere.example", i, salt);
		fx_person(intake, 100000 + i, mail);
	}
	OK(replica_intake_finish(
	    intake, clock_now_ms(), false, &changes, &fx_err));
}

struct fx_tuple {
	const char *stream;
	bool section;
	uint64_t base;
	bool ended;
	uint64_t bump;               /* added to the manifest's version */
	const struct key_pair *sign; /* NULL: its own */
	const char *member;          /* NULL: its own */
	bool bad_root;
};

/* Seals and puts a publication with one tuple. */
static UNUSED void
fx_publish_tuple(struct fx_spoke *s, const struct fx_tuple *how)
{
	const char *audience[1] = {s->audience};
	struct manifest m = {.realm = s->registry->realm,
	    .member = how->member != NULL ? how->member : s->name,
	    .stream = how->stream,
	    .tag = s->tag,
	    .audience = s->audience != NULL ? audience : s->audiences,
	    .audience_count = s->audience != NULL ? 1 : s->audience_count,
	    .ended = how->ended};
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	Galr__Tuple tuple = GALR__TUPLE__INIT;
	Galr__Tuple *tuples[1] = {&tuple};
	struct replica_section section;
	struct replica_state state;
	struct spool_blob blob;
	char *path = fsio_join(s->dir, "section");
	const char *paths[1] = {path};
	struct buf manifest;
	char name[64];

	buf_init(&manifest, LIMIT_MANIFEST_BYTES);
	replica_state(s->own, &state);
	m.version = state.version + how->bump;
	m.count = state.count;
	memcpy(m.root, state.root, 32);
	if (how->bad_root)
		m.root[0] ^= 1;
	m.issued_at = clock_now_ms() + s->clock;
	if (m.issued_at <= s->issued_at)
		m.issued_at = s->issued_at + 1;
	s->issued_at = m.issued_at;
	m.not_after = m.issued_at + 7 * CLOCK_DAY_MS;
	OK(manifest_seal(&m,
	    how->sign != NULL ? how->sign : &s->keys.sign_active, &manifest,
	    &fx_err));
	tuple.manifest =
	    galr__signed_manifest__unpack(NULL, manifest.len, manifest.data);
	if (how->section) {
		OK(replica_section_write(s->own, m.member, how->stream,
		    how->base, path, &section, &fx_err));
		tuple.base_version = how->base;
		tuple.section_sha256.data = section.sha256;
		tuple.section_sha256.len = 32;
		tuple.section_length = section.length;
		tuple.section_key.data = section.key;
		tuple.section_key.len = 32;
		memcpy(blob.sha256, section.sha256, 32);
		blob.length = section.length;
	}
	payload.n_tuples = 1;
	payload.tuples = tuples;
	payload.registry_version = s->registry->version;
	payload.instance.data = s->instance.bytes;
	payload.instance.len = ID_LEN;
	s->last_publish = envelope_next(s->last_publish, clock_now_ms());
	buf_reset(&s->last_envelope);
	fx_seal(s, GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH, s->last_publish,
	    &payload, &s->last_envelope);
	(void)snprintf(name, sizeof(name), "pub-%016llx",
	    (unsigned long long)s->last_publish);
	(void)snprintf(s->last_name, sizeof(s->last_name), "%s", name);
	OK(spool_put(fx_hub->spool, s->name, SPOOL_IN,
	    &(struct spool_put){.name = name,
		.envelope = buf_slice(&s->last_envelope),
		.blobs = &blob,
		.blob_paths = paths,
		.blob_count = how->section ? 1 : 0},
	    &fx_err));
	galr__signed_manifest__free_unpacked(tuple.manifest, NULL);
	buf_fini(&manifest);
	free(path);
}

/* As a spoke would: from what the hub said that it holds. */
static UNUSED void
fx_publish_staff(struct fx_spoke *s)
{
	struct fx_tuple how = {.stream = "staff", .section = true};
	struct replica_state state;

	replica_state(s->own, &state);
	if (s->hub_version == state.version)
		how.section = false;
	else
		OK(replica_base_choose(
		    s->own, s->hub_version, s->hub_root, &how.base, &fx_err));
	fx_publish_tuple(s, &how);
}

#endif
