#include "spoke/join.h"

#include <errno.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/wire/envelope.h"
#include "common/wire/limits.h"
#include "spoke/front.h"
#include "spoke/pins.h"
#include "spoke/spoke.h"

#define JOIN_LIFE_MS CLOCK_DAY_MS

struct joiner {
	const struct spoke_conf *conf;
	struct invitation invitation;
	struct identity identity;
	struct keys keys;
	struct spool *spool; /* of its own: STATE/join */
	char *root;
	struct join_result *result;
};

char *
join_fingerprint(const struct keys *keys, char *text)
{
	return keys_fingerprint(keys->sign_active.public_key,
	    keys->decrypt_active.public_key, keys->curve.public_key, text);
}

static int
invitation_check(const struct joiner *j, struct err *err)
{
	const struct invitation *i = &j->invitation;
	char text[CLOCK_TEXT_SIZE];

	if (i->expires_at < clock_now_ms())
		return err_set(err, ERR_CONFIG,
		    "the invitation expired at %s: ask the hub for a new one",
		    clock_format(i->expires_at, text));
	if (j->conf->name != NULL && strcasecmp(j->conf->name, i->name) != 0)
		return err_set(err, ERR_CONFIG,
		    "the invitation is for \"%s\", %s says name = \"%s\"",
		    i->name, j->conf->path, j->conf->name);
	if (j->identity.joined &&
	    (id_compare(&j->identity.realm, &i->realm) != 0 ||
		strcasecmp(j->identity.member, i->name) != 0))
		return err_set(err, ERR_CONFIG,
		    "this spoke is already \"%s\" of another realm: one state "
		    "directory serves one membership",
		    j->identity.member);
	return 0;
}

/* Identity and keys, made now when `galspoke init` was left out. */
static int
self_load(struct joiner *j, struct err *err)
{
	char *path = spoke_conf_state_path(j->conf, "identity");
	char *keys = spoke_conf_state_path(j->conf, "keys");
	struct buf probe;
	struct err own = {0};
	int rc = -1;

	buf_init(&probe, 64 * 1024);
	if (fsio_read(path, &probe, &own) < 0 && own.saved_errno == ENOENT &&
	    identity_create(j->conf, err) < 0)
		goto out;
	if (identity_load(j->conf, &j->identity, err) < 0 ||
	    keys_load(keys, &j->keys, err) < 0)
		goto out;
	rc = 0;
out:
	buf_fini(&probe);
	free(keys);
	free(path);
	return rc;
}

static void
key_set(
    Galr__PublicKey *message, Galr__KeyRole role, const struct key_pair *pair)
{
	galr__public_key__init(message);
	message->role = role;
	message->key.data = (uint8_t *)(uintptr_t)pair->public_key;
	message->key.len = 32;
	message->active = true;
}

/* The request: our public keys, under the invitation's secret. */
static int
request_pack(struct joiner *j, struct buf *out, struct err *err)
{
	Galr__JoinRequest request = GALR__JOIN_REQUEST__INIT;
	Galr__PublicKey keys[3];
	Galr__PublicKey *list[3] = {&keys[0], &keys[1], &keys[2]};
	uint8_t mac[CRYPTO_HASH_LEN];
	uint8_t *at;

	key_set(&keys[0], GALR__KEY_ROLE__KEY_SIGN, &j->keys.sign_active);
	key_set(&keys[1], GALR__KEY_ROLE__KEY_DECRYPT, &j->keys.decrypt_active);
	key_set(&keys[2], GALR__KEY_ROLE__KEY_CURVE, &j->keys.curve);
	request.invitation.data = j->invitation.id.bytes;
	request.invitation.len = ID_LEN;
	request.name = j->invitation.name;
	request.n_keys = 3;
	request.keys = list;
	request.instance.data = j->identity.instance.bytes;
	request.instance.len = ID_LEN;
	if (invitation_mac(&j->invitation, &request, mac, err) < 0)
		return -1;
	request.mac.data = mac;
	request.mac.len = sizeof(mac);
	at = buf_reserve(out, galr__join_request__get_packed_size(&request));
	if (buf_check(out, "join request", err) < 0)
		return -1;
	(void)galr__join_request__pack(&request, at);
	return 0;
}

static int
request_put(struct joiner *j, struct err *err)
{
	int64_t now = clock_now_ms();
	struct envelope_recipient hub = {.name = ""};
	struct key_pair sign;
	const struct envelope_seal_options options = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_JOIN,
	    .realm = j->invitation.realm,
	    .sender = j->invitation.name,
	    .recipients = &hub,
	    .recipient_count = 1,
	    .sequence = envelope_next(0, now),
	    .issued_at = now,
	    .not_after = now + JOIN_LIFE_MS,
	    .sign_key = &sign};
	char name[SPOOL_NAME_SIZE];
	struct buf plain, sealed;
	int rc = -1;

	if (invitation_sign(&j->invitation, &sign, err) < 0)
		return -1;
	memcpy(hub.public_key, j->invitation.hub_decrypt, 32);
	crypto_key_id("x25519", hub.public_key, &hub.key_id);
	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	buf_init(&sealed, LIMIT_ENVELOPE_BYTES);
	(void)snprintf(name, sizeof(name), "join-%016llx",
	    (unsigned long long)options.sequence);
	if (request_pack(j, &plain, err) == 0 &&
	    envelope_seal(&options, buf_slice(&plain), &sealed, err) == 0)
		rc = spool_put(j->spool, SPOKE_PEER, SPOOL_OUT,
		    &(struct spool_put){
			.name = name, .envelope = buf_slice(&sealed)},
		    err);
	buf_fini(&plain);
	buf_fini(&sealed);
	crypto_cleanse(&sign, sizeof(sign));
	return rc;
}

/* Registry first, identity last: it alone makes the spoke a member. */
static int
member_become(struct joiner *j, struct slice registry_bytes, struct err *err)
{
	struct spoke_store *store = NULL;
	struct registry *registry = NULL;
	const struct registry_member *me;
	unsigned held;
	int rc = -1;

	if (registry_decode(
		registry_bytes, j->invitation.hub_sign, &registry, err) < 0)
		return -1;
	me = registry_find(registry, j->invitation.name);
	if (id_compare(&registry->realm, &j->invitation.realm) != 0 ||
	    me == NULL ||
	    registry_member_key(me, REGISTRY_SIGN, &j->keys.sign_active.id) ==
		NULL) {
		(void)err_set(err, ERR_UNTRUSTED,
		    "the hub's registry does not list this spoke's keys");
		goto out;
	}
	if (store_open(j->conf, &store, err) < 0 ||
	    db_begin(store_db(store), err) < 0)
		goto out;
	if (pins_check(store, registry, clock_now_ms(), &held, err) < 0 ||
	    store_registry_set(store, registry, err) < 0) {
		db_rollback(store_db(store));
		goto out;
	}
	if (db_commit(store_db(store), err) < 0)
		goto out;
	j->identity.joined = true;
	j->identity.realm = j->invitation.realm;
	spoke_text(
	    j->identity.member, sizeof(j->identity.member), "%s", me->name);
	spoke_text(j->identity.address, sizeof(j->identity.address), "%s",
	    j->invitation.address);
	memcpy(j->identity.hub_sign, j->invitation.hub_sign, 32);
	memcpy(j->identity.hub_decrypt, j->invitation.hub_decrypt, 32);
	memcpy(j->identity.hub_curve, j->invitation.hub_curve, 32);
	j->identity.joined_at = clock_now_ms();
	spoke_text(j->result->realm_name, sizeof(j->result->realm_name), "%s",
	    registry->realm_name);
	rc = identity_save(j->conf, &j->identity, err);
out:
	store_close(store);
	registry_free(registry);
	return rc;
}

static int
welcome_take(struct joiner *j, struct slice payload, struct err *err)
{
	Galr__JoinReply *reply = NULL;
	int rc = -1;

	if (payload.len <= LIMIT_PAYLOAD_BYTES)
		reply =
		    galr__join_reply__unpack(NULL, payload.len, payload.data);
	if (reply == NULL)
		return err_set(
		    err, ERR_BAD_DATA, "the hub's answer does not parse");
	if (reply->refusal[0] != '\0')
		(void)err_set(
		    err, ERR_UNTRUSTED, "the hub refuses: %s", reply->refusal);
	else
		rc = member_become(j,
		    slice_make(reply->registry.data, reply->registry.len), err);
	galr__join_reply__free_unpacked(reply, NULL);
	return rc;
}

static int
welcome_open(struct joiner *j, const char *name, struct err *err)
{
	const struct envelope_open_options options = {
	    .sender_key = j->invitation.hub_sign,
	    .realm = j->invitation.realm,
	    .me = j->invitation.name,
	    .keys = &j->keys,
	    .now_ms = clock_now_ms(),
	    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME};
	struct envelope envelope = {0};
	struct buf file;
	int rc = -1;

	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	if (spool_read(j->spool, SPOKE_PEER, SPOOL_IN, name, &file, err) == 0 &&
	    envelope_open(buf_slice(&file), &options, &envelope, err) == 0)
		rc = welcome_take(j, buf_slice(&envelope.payload), err);
	envelope_fini(&envelope);
	buf_fini(&file);
	return rc;
}

/* The newest answer counts: older ones may be of an attempt before. */
static int
answer_take(struct joiner *j, struct err *err)
{
	struct spool_message message;
	char name[SPOOL_NAME_SIZE] = "";
	int rc;

	while ((rc = spool_next(j->spool, SPOKE_PEER, SPOOL_IN,
		    name[0] == '\0' ? NULL : name, &message, err)) > 0) {
		memcpy(name, message.name, sizeof(name));
		spool_message_fini(&message);
	}
	if (rc < 0)
		return -1;
	if (name[0] == '\0')
		return err_set(err, ERR_TEMPORARY,
		    "the hub at %s did not answer the request: run the same "
		    "command again",
		    j->invitation.address);
	return welcome_open(j, name, err);
}

static int
exchange(struct joiner *j, int64_t wait_ms, struct err *err)
{
	struct carrier_counters counters;
	struct front_options front = {.conf = j->conf,
	    .endpoint = j->invitation.address,
	    .hub_curve = j->invitation.hub_curve,
	    .spool_root = j->root,
	    .beside = true,
	    .expect_messages = 1,
	    .deadline_ms = wait_ms};
	struct key_pair curve;
	int rc;

	if (invitation_curve(&j->invitation, &curve, err) < 0)
		return -1;
	front.curve = &curve;
	rc = front_once(&front, &counters, err);
	crypto_cleanse(&curve, sizeof(curve));
	if (rc < 0 && err->class == ERR_TEMPORARY)
		return err_prepend(err,
		    "no welcome (was this invitation used, withdrawn or "
		    "replaced? does galhub serve run, and do firewalls let us "
		    "through?)");
	return rc;
}

static int
join_locked(struct joiner *j, int64_t wait_ms, struct err *err)
{
	/* Answers of a former attempt are sealed to the same keys, but the
	 * question is asked anew. */
	if (fsio_remove_tree(j->root, err) < 0 ||
	    spool_open(j->root, j->conf->spool_quota, &j->spool, err) < 0 ||
	    spool_peer_add(j->spool, SPOKE_PEER, err) < 0 ||
	    request_put(j, err) < 0 || exchange(j, wait_ms, err) < 0 ||
	    answer_take(j, err) < 0)
		return -1;
	return fsio_remove_tree(j->root, err);
}

int
join_run(const struct spoke_conf *conf, const char *invitation, int64_t wait_ms,
    struct join_result *out_result, struct err *err)
{
	struct joiner j = {.conf = conf, .result = out_result};
	const struct invitation *i = &j.invitation;
	int rc = -1;

	memset(out_result, 0, sizeof(*out_result));
	if (crypto_init(err) < 0 ||
	    invitation_decode(slice_str(invitation), &j.invitation, err) < 0)
		return -1;
	j.root = spoke_conf_state_path(conf, "join");
	if (self_load(&j, err) < 0 || invitation_check(&j, err) < 0)
		goto out;
	(void)keys_fingerprint(i->hub_sign, i->hub_decrypt, i->hub_curve,
	    out_result->hub_fingerprint);
	(void)join_fingerprint(&j.keys, out_result->own_fingerprint);
	spoke_text(
	    out_result->member, sizeof(out_result->member), "%s", i->name);
	out_result->realm = i->realm;
	rc = join_locked(&j, wait_ms, err);
out:
	if (j.spool != NULL)
		spool_close(j.spool);
	keys_cleanse(&j.keys);
	crypto_cleanse(&j.invitation, sizeof(j.invitation));
	free(j.root);
	return rc;
}
