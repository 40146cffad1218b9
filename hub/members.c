#include "hub/members.h"

#include <ctype.h>
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/invitation.h"
#include "common/wire/limits.h"

#define FRONT_MEMBERS_MAX (4 * 1024 * 1024)

/* As targets will read it, and with a dot: a whole top-level domain is nobody's
 * mail domain. */
static bool
domain_valid(const char *text)
{
	return registry_domain_valid(text) &&
	       strchr(strncmp(text, "*.", 2) == 0 ? text + 2 : text, '.') !=
		   NULL;
}

/* One domain behind the others, in lower case. */
static int
domain_add(struct slice text, struct buf *out, struct err *err)
{
	char *domain = mem_strndup((const char *)text.data, text.len);
	bool valid;

	for (char *p = domain; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	valid = domain_valid(domain);
	if (valid)
		buf_addf(out, "%s%s", out->len > 0 ? "," : "", domain);
	free(domain);
	return valid ? 0
		     : err_set(err, ERR_CONFIG,
			   "\"%.*s\" is no mail domain: say for example "
			   "north.example or *.north.example",
			   SLICE_FMT(text));
}

int
members_domains_parse(const char *text, struct buf *out, struct err *err)
{
	size_t count = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		if (domain_add(slice_trim(slice_make(text, len)), out, err) < 0)
			return -1;
		if (++count > LIMIT_DOMAINS)
			return err_set(err, ERR_CONFIG,
			    "a member has at most %d domains", LIMIT_DOMAINS);
		text += len + (text[len] == ',');
	}
	if (count == 0)
		return err_set(
		    err, ERR_CONFIG, "at least one domain is needed");
	return buf_check(out, "domains", err);
}

static Galr__PublicKey *
init_key(Galr__PublicKey *key, Galr__KeyRole role, struct key_pair *pair)
{
	galr__public_key__init(key);
	key->role = role;
	key->active = true;
	key->key.data = pair->public_key;
	key->key.len = 32;
	return key;
}

static int
init_registry(const struct hub_conf *conf, struct keys *keys,
    struct store *store, struct err *err)
{
	Galr__Registry message = GALR__REGISTRY__INIT;
	Galr__PublicKey key[3];
	Galr__PublicKey *list[3] = {
	    init_key(&key[0], GALR__KEY_ROLE__KEY_SIGN, &keys->sign_active),
	    init_key(
		&key[1], GALR__KEY_ROLE__KEY_DECRYPT, &keys->decrypt_active),
	    init_key(&key[2], GALR__KEY_ROLE__KEY_CURVE, &keys->curve)};
	char *name = mem_strdup(conf->realm);
	struct buf bytes;
	struct id realm;
	int rc = -1;

	buf_init(&bytes, LIMIT_PAYLOAD_BYTES);
	if (id_random(&realm, err) < 0)
		goto out;
	message.format = 1;
	message.realm.data = realm.bytes;
	message.realm.len = ID_LEN;
	message.realm_name = name;
	message.issued_at = clock_now_ms();
	message.version = envelope_next(0, message.issued_at);
	message.hub_keys = list;
	message.n_hub_keys = 3;
	if (registry_encode(&message, keys, &bytes, err) < 0 ||
	    store_meta_set(store, "registry", buf_slice(&bytes), err) < 0 ||
	    store_meta_set(store, "hub-sign",
		slice_make(keys->sign_active.public_key, 32), err) < 0)
		goto out;
	rc = store_commit(store, err);
out:
	buf_fini(&bytes);
	free(name);
	return rc;
}

static int
init_dirs(const struct hub_conf *conf, struct err *err)
{
	static const char *const names[] = {
	    "streams", "blobs", "front", "spool", "held"};
	int rc = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *dir = hub_path(conf, names[i]);

		if (rc == 0)
			rc = fsio_mkdirs(dir, err);
		free(dir);
	}
	return rc;
}

int
members_init(const struct hub_conf *conf, struct err *err)
{
	char *keys_dir = hub_path(conf, "keys");
	char *db = hub_path(conf, "hub.db");
	struct store *store = NULL;
	struct hub *hub = NULL;
	struct keys keys;
	int rc = -1;

	memset(&keys, 0, sizeof(keys));
	if (init_dirs(conf, err) < 0 || crypto_init(err) < 0 ||
	    keys_create(keys_dir, err) < 0 ||
	    keys_load(keys_dir, &keys, err) < 0 ||
	    store_open(db, &store, err) < 0 ||
	    init_registry(conf, &keys, store, err) < 0)
		goto out;
	store_close(store);
	store = NULL;
	if (hub_open(conf, HUB_WRITE, 0, &hub, err) < 0 ||
	    members_front_write(hub, err) < 0)
		goto out;
	rc = hub_audit(conf, err, "init realm=\"%s\"", conf->realm);
out:
	hub_close(hub);
	store_close(store);
	keys_cleanse(&keys);
	free(keys_dir);
	free(db);
	return rc;
}

static void
front_line(struct buf *out, const uint8_t key[32], const char *peer)
{
	buf_add_hex(out, slice_make(key, 32));
	buf_addf(out, " %s\n", peer);
}

static int
front_invites(struct hub *hub, struct buf *out, struct err *err)
{
	struct target_invite *invites;
	size_t count;
	int rc = -1;

	if (target_invites(hub->store, &invites, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct invitation invitation;
		char peer[INVITATION_PEER_SIZE];
		struct key_pair curve;

		if (invites[i].expires_at <= hub->now_ms)
			continue;
		memset(&invitation, 0, sizeof(invitation));
		invitation.id = invites[i].id;
		memcpy(invitation.secret, invites[i].secret, 32);
		if (invitation_curve(&invitation, &curve, err) < 0)
			goto out;
		front_line(out, curve.public_key,
		    invitation_peer(&invites[i].id, peer));
		crypto_cleanse(&curve, sizeof(curve));
		crypto_cleanse(&invitation, sizeof(invitation));
		if (spool_peer_add(hub->spool, peer, err) < 0)
			goto out;
	}
	rc = 0;
out:
	target_invites_free(invites, count);
	return rc;
}

int
members_front_write(struct hub *hub, struct err *err)
{
	char *path = hub_path(hub->conf, "front/members");
	struct buf out;
	int rc = -1;

	buf_init(&out, FRONT_MEMBERS_MAX);
	for (size_t i = 0; i < hub->registry->member_count; i++) {
		const struct registry_member *m = &hub->registry->members[i];

		if (m->revoked)
			continue;
		if (spool_peer_add(hub->spool, m->name, err) < 0)
			goto out;
		for (size_t k = 0; k < m->key_count; k++)
			if (m->keys[k].role == REGISTRY_CURVE &&
			    !registry_key_revoked(
				hub->registry, &m->keys[k].id))
				front_line(
				    &out, m->keys[k].public_key, m->name);
	}
	if (front_invites(hub, &out, err) < 0 ||
	    buf_check(&out, "front/members", err) < 0)
		goto out;
	rc = fsio_write(path, buf_slice(&out), 0600, err);
out:
	buf_fini(&out);
	free(path);
	return rc;
}

static int
invite_text(struct hub *hub, const struct target_invite *invite,
    struct buf *out_text, struct err *err)
{
	struct invitation invitation;
	int rc;

	memset(&invitation, 0, sizeof(invitation));
	invitation.realm = hub->registry->realm;
	memcpy(invitation.hub_sign, hub->keys.sign_active.public_key, 32);
	memcpy(invitation.hub_decrypt, hub->keys.decrypt_active.public_key, 32);
	memcpy(invitation.hub_curve, hub->keys.curve.public_key, 32);
	invitation.id = invite->id;
	memcpy(invitation.secret, invite->secret, 32);
	invitation.expires_at = invite->expires_at;
	(void)snprintf(
	    invitation.name, sizeof(invitation.name), "%s", invite->name);
	(void)snprintf(invitation.address, sizeof(invitation.address), "%s",
	    hub->conf->address);
	rc = invitation_encode(&invitation, out_text, err);
	crypto_cleanse(&invitation, sizeof(invitation));
	return rc;
}

int
members_invite(struct hub *hub, const char *name, const char *domains,
    int64_t lifetime_ms, struct buf *out_text, struct err *err)
{
	struct target_invite invite;
	struct buf list;
	int rc = -1;

	memset(&invite, 0, sizeof(invite));
	buf_init(&list, sizeof(invite.domains) - 1);
	if (!registry_name_valid(name) ||
	    slice_starts_case(slice_str(name), SLICE_LIT("join-"))) {
		(void)err_set(err, ERR_CONFIG,
		    "\"%s\" is no member name: 1 to 63 letters, digits, dots, "
		    "hyphens or underscores, first a letter or digit",
		    name);
		goto out;
	}
	if (hub_member(hub, name) != NULL) {
		(void)err_set(err, ERR_CONFIG,
		    "%s is a member already: to invite it anew, galhub revoke "
		    "%s first",
		    name, name);
		goto out;
	}
	if (members_domains_parse(domains, &list, err) < 0 ||
	    id_random(&invite.id, err) < 0 ||
	    crypto_random(invite.secret, sizeof(invite.secret), err) < 0)
		goto out;
	(void)snprintf(invite.name, sizeof(invite.name), "%s", name);
	(void)snprintf(
	    invite.domains, sizeof(invite.domains), "%s", buf_cstr(&list));
	invite.created_at = hub->now_ms;
	invite.expires_at = hub->now_ms + lifetime_ms;
	/* A second invitation replaces the first. */
	if (target_invite_drop(hub->store, name, err) < 0 ||
	    target_invite_put(hub->store, &invite, err) < 0 ||
	    store_commit(hub->store, err) < 0 ||
	    members_front_write(hub, err) < 0 ||
	    invite_text(hub, &invite, out_text, err) < 0)
		goto out;
	rc = hub_audit(hub->conf, err, "invite member=%s domains=%s", name,
	    invite.domains);
out:
	crypto_cleanse(&invite, sizeof(invite));
	buf_fini(&list);
	return rc;
}

int
members_invites_expire(struct hub *hub, struct err *err)
{
	struct target_invite *invites;
	bool changed = false;
	size_t count;
	int rc = -1;

	if (target_invites(hub->store, &invites, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		char peer[INVITATION_PEER_SIZE];

		if (invites[i].expires_at > hub->now_ms)
			continue;
		invites[i].state = INVITE_DONE;
		crypto_cleanse(invites[i].secret, 32);
		log_notice("invitation expired member=%s", invites[i].name);
		if (target_invite_put(hub->store, &invites[i], err) < 0 ||
		    spool_peer_remove(hub->spool,
			invitation_peer(&invites[i].id, peer), err) < 0)
			goto out;
		changed = true;
	}
	rc = 0;
	if (changed && (store_commit(hub->store, err) < 0 ||
			   members_front_write(hub, err) < 0))
		rc = -1;
out:
	target_invites_free(invites, count);
	return rc;
}

int
members_joined(struct hub *hub, const char *name, struct err *err)
{
	struct target_invite *invites;
	bool changed = false;
	size_t count;
	int rc = 0;

	if (target_invites(hub->store, &invites, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++) {
		char peer[INVITATION_PEER_SIZE];

		if (invites[i].state != INVITE_USED ||
		    strcmp(invites[i].name, name) != 0)
			continue;
		invites[i].state = INVITE_DONE;
		crypto_cleanse(invites[i].secret, 32);
		rc = target_invite_put(hub->store, &invites[i], err);
		if (rc == 0)
			rc = spool_peer_remove(hub->spool,
			    invitation_peer(&invites[i].id, peer), err);
		changed = true;
	}
	if (rc == 0 && changed)
		rc = members_front_write(hub, err);
	target_invites_free(invites, count);
	return rc;
}
