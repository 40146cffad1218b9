/* Enrolment at the hub: PROTOCOL.md "Enrolment". */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/envelope.h"
#include "common/wire/invitation.h"
#include "common/wire/limits.h"
#include "hub/members.h"

/* A request has three keys and a name. */
#define JOIN_REQUEST_MAX (16 * 1024)

struct join {
	struct target_invite invite;
	struct invitation invitation;
	Galr__JoinRequest *request;
	struct envelope_recipient reply_to;
	uint8_t digest[CRYPTO_HASH_LEN]; /* of the keys */
	bool has_reply_key;
	char refusal[STORE_REASON_SIZE]; /* for the newcomer; "" is welcome */
};

/* The first reason stands. */
static void
join_refuse(struct join *join, const char *reason)
{
	if (join->refusal[0] == '\0')
		(void)snprintf(
		    join->refusal, sizeof(join->refusal), "%s", reason);
}

/* Where the answer can be sealed to, whatever it says. */
static void
join_reply_key(struct join *join)
{
	for (size_t i = 0; i < join->request->n_keys; i++) {
		Galr__PublicKey *key = join->request->keys[i];

		if (key->role != GALR__KEY_ROLE__KEY_DECRYPT ||
		    !members_key_id(key, &join->reply_to.key_id))
			continue;
		memcpy(join->reply_to.public_key, key->key.data, 32);
		join->has_reply_key = true;
	}
}

/* Exactly one active key of each role, all new to this realm. */
static void
join_keys_check(struct hub *hub, struct join *join)
{
	Galr__JoinRequest *request = join->request;
	unsigned roles = 0;
	struct id id;

	if (request->n_keys != 3)
		join_refuse(join, "the request needs three keys");
	for (size_t i = 0; i < request->n_keys; i++) {
		Galr__PublicKey *key = request->keys[i];

		if (!members_key_id(key, &id) || !key->active)
			join_refuse(join, "a key is malformed");
		else if (registry_key_revoked(hub->registry, &id))
			join_refuse(
			    join, "a key was revoked: make a new installation");
		else if (members_key_taken(
			     hub->registry, join->invite.name, &id))
			join_refuse(join,
			    "a key is another member's: make a new "
			    "installation");
		else
			roles |= 1u << key->role;
	}
	if (roles != (1u << REGISTRY_SIGN | 1u << REGISTRY_DECRYPT |
			 1u << REGISTRY_CURVE))
		join_refuse(join, "a key is missing");
}

static void
join_digest(struct join *join)
{
	struct crypto_hash *hash = crypto_hash_new();

	for (size_t i = 0; i < join->request->n_keys; i++) {
		Galr__PublicKey *key = join->request->keys[i];
		uint8_t role = (uint8_t)key->role;

		crypto_hash_add(hash, slice_make(&role, 1));
		crypto_hash_add(hash, slice_make(key->key.data, key->key.len));
	}
	crypto_hash_final(hash, join->digest);
	crypto_hash_free(hash);
}

/* The invitation behind a newcomer's box, with its secret. */
static int
join_invitation(
    struct hub *hub, const char *peer, struct join *join, struct err *err)
{
	struct invitation *invitation = &join->invitation;
	struct id id;
	int rc;

	if (id_parse(slice_str(peer + 5), &id, err) < 0)
		return -1;
	rc = target_invite_get(hub->store, &id, &join->invite, err);
	if (rc < 0)
		return -1;
	if (rc == 0 || join->invite.state == INVITE_DONE)
		return err_set_code(err, ERR_UNTRUSTED, CHECK_SENDER_UNKNOWN,
		    "no such invitation, or it is over");
	invitation->realm = hub->registry->realm;
	memcpy(invitation->hub_sign, hub->keys.sign_active.public_key, 32);
	memcpy(
	    invitation->hub_decrypt, hub->keys.decrypt_active.public_key, 32);
	memcpy(invitation->hub_curve, hub->keys.curve.public_key, 32);
	invitation->id = id;
	memcpy(invitation->secret, join->invite.secret, 32);
	return 0;
}

static int
join_open(struct hub *hub, struct join *join, struct slice file,
    struct envelope *envelope, struct err *err)
{
	struct envelope_open_options options;
	struct key_pair sign;
	int rc;

	if (invitation_sign(&join->invitation, &sign, err) < 0)
		return -1;
	memset(&options, 0, sizeof(options));
	options.sender_key = sign.public_key;
	options.realm = hub->registry->realm;
	options.me = "";
	options.keys = &hub->keys;
	options.now_ms = hub->now_ms;
	options.types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_JOIN;
	/* A join is idempotent by its keys: no sequence to look up. */
	rc = envelope_open(file, &options, envelope, err);
	crypto_cleanse(&sign, sizeof(sign));
	return rc;
}

/* The request stands under the secret and names what was invited. */
static int
join_verify(struct join *join, const struct envelope *envelope, struct err *err)
{
	struct slice payload = buf_slice(&envelope->payload);
	uint8_t mac[CRYPTO_HASH_LEN];

	if (payload.len <= JOIN_REQUEST_MAX)
		join->request =
		    galr__join_request__unpack(NULL, payload.len, payload.data);
	if (join->request == NULL || join->request->n_keys > LIMIT_MEMBER_KEYS)
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "the join request does not parse");
	if (invitation_mac(&join->invitation, join->request, mac, err) < 0)
		return -1;
	if (join->request->mac.len != CRYPTO_HASH_LEN ||
	    !crypto_equal(mac, join->request->mac.data, CRYPTO_HASH_LEN) ||
	    !slice_equal(slice_make(join->request->invitation.data,
			     join->request->invitation.len),
		id_slice(&join->invite.id)) ||
	    strcmp(join->request->name, join->invite.name) != 0 ||
	    strcmp(join->request->name, envelope->sender) != 0 ||
	    join->request->instance.len != ID_LEN)
		return err_set_code(err, ERR_UNTRUSTED, CHECK_SIGNATURE,
		    "the join request does not match its invitation");
	return 0;
}

static int
join_add(struct hub *hub, struct join *join, struct err *err)
{
	enum target_instance seen;
	Galr__Registry *message;
	Galr__Member *member;
	struct target target;
	struct id instance;
	int rc = -1;

	memset(&target, 0, sizeof(target));
	if (members_edit_begin(hub, &message, err) < 0)
		return -1;
	member = members_edit_find(message, join->invite.name);
	if (member == NULL)
		member = members_edit_add(message, join->invite.name);
	/* Invited anew in another spelling: the newcomer's is the one. */
	free(member->name);
	member->name = mem_strdup(join->invite.name);
	member->revoked = false;
	member->joined_at = hub->now_ms;
	members_edit_keys(member, join->request->keys, join->request->n_keys);
	members_edit_domains(member, join->invite.domains);
	memcpy(instance.bytes, join->request->instance.data, ID_LEN);
	join->invite.state = INVITE_USED;
	memcpy(join->invite.keys, join->digest, CRYPTO_HASH_LEN);
	if (target_remove(hub->store, join->invite.name, err) < 0 ||
	    target_get(hub->store, join->invite.name, &target, err) < 0 ||
	    target_put(hub->store, &target, err) < 0 ||
	    target_instance_note(hub->store, join->invite.name, &instance,
		hub->now_ms, &seen, err) < 0 ||
	    target_invite_put(hub->store, &join->invite, err) < 0 ||
	    members_edit_commit(hub, message, err) < 0)
		goto out;
	/* The welcome carries it. */
	target.registry_version = hub->registry->version;
	if (target_put(hub->store, &target, err) < 0)
		goto out;
	log_notice("member joined member=%s", join->invite.name);
	rc = hub_audit(hub->conf, err, "join member=%s domains=%s",
	    join->invite.name, join->invite.domains);
out:
	target_fini(&target);
	members_edit_free(message);
	return rc;
}

/* Used before: welcome again with the same keys, an alarm with others. */
static int
join_again(struct hub *hub, struct join *join, struct err *err)
{
	if (memcmp(join->digest, join->invite.keys, sizeof(join->digest)) == 0)
		return 0;
	log_error("ALARM: invitation used twice with other keys member=%s",
	    join->invite.name);
	join_refuse(join,
	    "this invitation was used by another installation: if that was "
	    "not you, tell the hub's operator");
	if (hub_audit(hub->conf, err, "alarm=join-other-keys member=%s",
		join->invite.name) < 0)
		return -1;
	return store_count(hub->store, "join-other-keys", 1, err);
}

/* What becomes of a request that proved to know the secret. */
static int
join_decide(struct hub *hub, struct join *join, struct err *err)
{
	join_digest(join);
	join_reply_key(join);
	join_keys_check(hub, join);
	if (join->refusal[0] != '\0')
		return 0;
	if (join->invite.state == INVITE_USED)
		return join_again(hub, join, err);
	if (join->invite.expires_at <= hub->now_ms)
		join_refuse(
		    join, "the invitation has expired: ask for another");
	else if (hub_member(hub, join->invite.name) != NULL)
		join_refuse(join, "the name is taken: ask for another");
	else
		return join_add(hub, join, err);
	return 0;
}

static int
join_sequence(struct hub *hub, uint64_t *out, struct err *err)
{
	struct envelope_seen seen;

	/* The hub's own side: kept like what is seen of others. */
	if (store_seen_get(hub->store, "",
		GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME, &seen, err) < 0)
		return -1;
	seen.sequence = envelope_next(seen.sequence, hub->now_ms);
	*out = seen.sequence;
	if (store_seen_set(hub->store, "",
		GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME, &seen, err) < 0)
		return -1;
	return store_commit(hub->store, err);
}

static int
join_reply(
    struct hub *hub, const char *peer, struct join *join, struct err *err)
{
	Galr__JoinReply reply = GALR__JOIN_REPLY__INIT;
	struct envelope_seal_options options;
	struct slice registry = hub->registry->signed_bytes;
	char name[SPOOL_NAME_SIZE];
	struct buf payload, envelope;
	uint8_t *at;
	int rc = -1;

	buf_init(&payload, LIMIT_PAYLOAD_BYTES);
	buf_init(&envelope, LIMIT_ENVELOPE_BYTES);
	memset(&options, 0, sizeof(options));
	reply.refusal = join->refusal;
	if (join->refusal[0] == '\0') {
		reply.registry.data = (uint8_t *)registry.data;
		reply.registry.len = registry.len;
	}
	at = buf_reserve(&payload, galr__join_reply__get_packed_size(&reply));
	if (buf_check(&payload, "welcome", err) < 0 ||
	    join_sequence(hub, &options.sequence, err) < 0)
		goto out;
	(void)galr__join_reply__pack(&reply, at);
	join->reply_to.name = join->invite.name;
	options.type = GALR__ENVELOPE_TYPE__ENVELOPE_WELCOME;
	options.realm = hub->registry->realm;
	options.sender = "";
	options.recipients = &join->reply_to;
	options.recipient_count = 1;
	options.issued_at = hub->now_ms;
	options.not_after = hub->now_ms + hub->conf->bundle_lifetime_ms;
	options.sign_key = &hub->keys.sign_active;
	if (envelope_seal(&options, buf_slice(&payload), &envelope, err) < 0)
		goto out;
	(void)snprintf(name, sizeof(name), "wel-%016llx",
	    (unsigned long long)options.sequence);
	if (spool_put(hub->spool, peer, SPOOL_OUT,
		&(struct spool_put){
		    .name = name, .envelope = buf_slice(&envelope)},
		err) == 0)
		rc = spool_sync(hub->spool, err);
out:
	buf_fini(&payload);
	buf_fini(&envelope);
	return rc;
}

int
members_join(
    struct hub *hub, const char *peer, struct slice file, struct err *err)
{
	struct join *join = mem_calloc(1, sizeof(*join));
	struct envelope envelope;
	int rc = -1;

	memset(&envelope, 0, sizeof(envelope));
	if (join_invitation(hub, peer, join, err) < 0 ||
	    join_open(hub, join, file, &envelope, err) < 0 ||
	    join_verify(join, &envelope, err) < 0 ||
	    join_decide(hub, join, err) < 0)
		goto out;
	if (join->refusal[0] != '\0')
		log_warn("join refused member=%s reason=\"%s\"",
		    join->invite.name, join->refusal);
	/* Without a key to seal to there is nobody to answer. */
	rc = join->has_reply_key ? join_reply(hub, peer, join, err)
				 : err_set_code(err, ERR_BAD_DATA,
				       CHECK_PAYLOAD, "%s", join->refusal);
out:
	if (join->request != NULL)
		galr__join_request__free_unpacked(join->request, NULL);
	envelope_fini(&envelope);
	crypto_cleanse(join, sizeof(*join));
	free(join);
	return rc;
}
