/* Changes of the registry: by the operator, and by what members bring. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/invitation.h"
#include "common/wire/limits.h"
#include "hub/members.h"

static int
unknown_member(const char *name, struct err *err)
{
	return err_set(err, ERR_CONFIG,
	    "no member is called %s (galhub members lists them)", name);
}

static int
revoke_box(struct hub *hub, const char *name, struct err *err)
{
	if (spool_peer_remove(hub->spool, name, err) < 0 ||
	    spool_peer_remove(hub->held, name, err) < 0)
		return -1;
	return 0;
}

/* Invitations of that name; *out_any when there was one that could be used. */
static int
revoke_invites(
    struct hub *hub, const char *name, bool *out_any, struct err *err)
{
	struct target_invite *invites;
	size_t count;
	int rc = 0;

	*out_any = false;
	if (target_invites(hub->store, &invites, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++) {
		char peer[INVITATION_PEER_SIZE];

		if (!slice_equal_case(
			slice_str(invites[i].name), slice_str(name)))
			continue;
		*out_any = true;
		rc = spool_peer_remove(
		    hub->spool, invitation_peer(&invites[i].id, peer), err);
	}
	target_invites_free(invites, count);
	if (rc == 0 && *out_any)
		rc = target_invite_drop(hub->store, name, err);
	return rc;
}

int
members_revoke(struct hub *hub, const char *name, struct err *err)
{
	Galr__Registry *message = NULL;
	Galr__Member *member;
	bool invited;
	int rc = -1;

	if (revoke_invites(hub, name, &invited, err) < 0 ||
	    members_edit_begin(hub, &message, err) < 0)
		goto out;
	member = members_edit_find(message, name);
	if (member == NULL || member->revoked) {
		if (!invited) {
			rc = unknown_member(name, err);
			goto out;
		}
		if (store_commit(hub->store, err) < 0 ||
		    members_front_write(hub, err) < 0)
			goto out;
		rc = hub_audit(hub->conf, err, "revoke invitation=%s", name);
		goto out;
	}
	member->revoked = true;
	for (size_t i = 0; i < member->n_keys; i++) {
		struct id id;

		if (members_key_id(member->keys[i], &id))
			members_edit_revoke_key(message, &id);
	}
	if (target_remove(hub->store, name, err) < 0 ||
	    members_edit_commit(hub, message, err) < 0 ||
	    revoke_box(hub, member->name, err) < 0)
		goto out;
	rc = hub_audit(hub->conf, err, "revoke member=%s", member->name);
out:
	members_edit_free(message);
	return rc;
}

int
members_allot(
    struct hub *hub, const char *name, const char *domains, struct err *err)
{
	Galr__Registry *message = NULL;
	struct store_stream *rows = NULL;
	Galr__Member *member;
	struct buf list;
	size_t count = 0;
	int rc = -1;

	buf_init(&list, 8191);
	if (members_domains_parse(domains, &list, err) < 0 ||
	    members_edit_begin(hub, &message, err) < 0)
		goto out;
	member = members_edit_find(message, name);
	if (member == NULL || member->revoked) {
		rc = unknown_member(name, err);
		goto out;
	}
	members_edit_domains(member, buf_cstr(&list));
	if (store_streams(hub->store, name, &rows, &count, err) < 0)
		goto out;
	for (size_t i = 0; i < count; i++) {
		rows[i].recount = true;
		if (store_stream_put(hub->store, &rows[i], false, err) < 0)
			goto out;
	}
	if (members_edit_commit(hub, message, err) < 0)
		goto out;
	rc = hub_audit(hub->conf, err, "allot member=%s domains=%s",
	    member->name, buf_cstr(&list));
out:
	store_streams_free(rows, count);
	members_edit_free(message);
	buf_fini(&list);
	return rc;
}

int
members_end(
    struct hub *hub, const char *name, const char *stream, struct err *err)
{
	Galr__Registry *message = NULL;
	Galr__Member *member;
	size_t n;
	int rc = -1;

	if (members_edit_begin(hub, &message, err) < 0)
		return -1;
	member = members_edit_find(message, name);
	if (member == NULL || !registry_name_valid(stream)) {
		rc = unknown_member(name, err);
		goto out;
	}
	n = member->n_ended_streams;
	for (size_t i = 0; i < n; i++)
		if (strcmp(member->ended_streams[i], stream) == 0) {
			rc = 0;
			goto out;
		}
	member->ended_streams = mem_realloc(
	    member->ended_streams, (n + 1) * sizeof(member->ended_streams[0]));
	member->ended_streams[n] = mem_strdup(stream);
	member->n_ended_streams++;
	if (members_edit_commit(hub, message, err) < 0)
		goto out;
	rc = hub_audit(
	    hub->conf, err, "end member=%s stream=%s", member->name, stream);
out:
	members_edit_free(message);
	return rc;
}

/* What this hub decided and the other registry does not know yet. */
static void
take_merge(Galr__Registry *theirs, const Galr__Registry *ours)
{
	for (size_t i = 0; i < ours->n_revoked_keys; i++) {
		struct id id;

		if (ours->revoked_keys[i].len != ID_LEN)
			continue;
		memcpy(id.bytes, ours->revoked_keys[i].data, ID_LEN);
		members_edit_revoke_key(theirs, &id);
	}
	for (size_t i = 0; i < ours->n_members; i++) {
		const Galr__Member *mine = ours->members[i];
		Galr__Member *member = members_edit_find(theirs, mine->name);

		if (member != NULL) {
			/* Invited anew there, with keys unknown here? Then the
			 * revocation here is the older news. */
			if (mine->revoked && !member->revoked &&
			    member->joined_at <= mine->joined_at)
				member->revoked = true;
			continue;
		}
		member = members_edit_add(theirs, mine->name);
		members_edit_keys(member, mine->keys, mine->n_keys);
		member->revoked = mine->revoked;
		member->joined_at = mine->joined_at;
		member->domains =
		    mem_calloc(mine->n_domains + 1, sizeof(char *));
		for (size_t d = 0; d < mine->n_domains; d++)
			member->domains[d] = mem_strdup(mine->domains[d]);
		member->n_domains = mine->n_domains;
	}
}

/* Members that come back need rows and boxes. */
static int
take_targets(struct hub *hub, struct err *err)
{
	for (size_t i = 0; i < hub->registry->member_count; i++) {
		const struct registry_member *m = &hub->registry->members[i];
		struct target target;
		int rc;

		if (m->revoked)
			continue;
		rc = target_get(hub->store, m->name, &target, err);
		target.dirty = true;
		if (rc == 0)
			rc = target_put(hub->store, &target, err);
		target_fini(&target);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int
members_registry_take(struct hub *hub, const char *from,
    struct slice signed_bytes, struct err *err)
{
	uint64_t before = hub->registry->version;
	struct registry *theirs = NULL;
	Galr__Registry *ours = NULL, *message = NULL;
	int rc = -1;

	if (registry_decode(signed_bytes, hub->keys.sign_active.public_key,
		&theirs, err) < 0)
		return -1;
	if (id_compare(&theirs->realm, &hub->registry->realm) != 0) {
		(void)err_set(
		    err, ERR_UNTRUSTED, "the registry is of another realm");
		goto out;
	}
	if (theirs->version <= before) {
		rc = 0;
		goto out;
	}
	if (members_edit_begin(hub, &ours, err) < 0)
		goto out;
	/* Verified under our own key: edit it as ours. */
	registry_free(hub->registry);
	hub->registry = theirs;
	theirs = NULL;
	if (members_edit_begin(hub, &message, err) < 0)
		goto out;
	take_merge(message, ours);
	if (members_edit_commit(hub, message, err) < 0 ||
	    take_targets(hub, err) < 0 || store_commit(hub->store, err) < 0)
		goto out;
	log_warn("registry taken back from=%s was=%llu now=%llu", from,
	    (unsigned long long)before,
	    (unsigned long long)hub->registry->version);
	rc = hub_audit(hub->conf, err,
	    "registry taken from member=%s version=%llu", from,
	    (unsigned long long)hub->registry->version);
out:
	registry_free(theirs);
	members_edit_free(ours);
	members_edit_free(message);
	return rc;
}

/* Does the registry list all these keys with the same state? */
static bool
keys_same(const struct registry_member *member, Galr__PublicKey *const *keys,
    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct registry_key *known;
		struct id id;

		if (!members_key_id(keys[i], &id))
			return false;
		known = registry_member_key(
		    member, (enum registry_role)keys[i]->role, &id);
		if (known == NULL || known->active != (keys[i]->active != 0))
			return false;
	}
	return true;
}

static bool
keys_list(const struct registry_member *member, const struct id *id)
{
	for (size_t i = 0; i < member->key_count; i++)
		if (id_compare(&member->keys[i].id, id) == 0)
			return true;
	return false;
}

bool
members_key_taken(
    const struct registry *registry, const char *name, const struct id *id)
{
	for (size_t i = 0; i < registry->member_count; i++)
		if (!registry_name_equal(registry->members[i].name, name) &&
		    keys_list(&registry->members[i], id))
			return true;
	return keys_list(&registry->hub, id);
}

/* Each signing key is known, or follows one that is. after: the registry with
 * the announced keys in place. */
static int
keys_verify(const struct registry *before, const struct registry *after,
    const char *name, struct err *err)
{
	const struct registry_member *old = registry_find(before, name);
	const struct registry_member *now = registry_find(after, name);

	if (old == NULL || now == NULL)
		return err_set(err, ERR_INTERNAL, "member %s is gone", name);
	for (size_t i = 0; i < now->key_count; i++) {
		const struct registry_key *key = &now->keys[i];
		bool follows = false;

		if (registry_key_revoked(before, &key->id))
			return err_set(err, ERR_UNTRUSTED,
			    "%s announces a revoked key", name);
		if (members_key_taken(before, name, &key->id))
			return err_set(err, ERR_UNTRUSTED,
			    "%s announces another member's key", name);
		if (key->role != REGISTRY_SIGN ||
		    registry_member_key(old, REGISTRY_SIGN, &key->id) != NULL)
			continue;
		for (size_t k = 0; k < old->key_count && !follows; k++)
			follows = old->keys[k].role == REGISTRY_SIGN &&
				  registry_key_follows(
				      after, now, &old->keys[k].id, &key->id);
		if (!follows)
			return err_set(err, ERR_UNTRUSTED,
			    "%s announces a signing key that no known key "
			    "endorsed",
			    name);
	}
	if (registry_active_key(now, REGISTRY_SIGN) == NULL ||
	    registry_active_key(now, REGISTRY_DECRYPT) == NULL ||
	    registry_active_key(now, REGISTRY_CURVE) == NULL)
		return err_set(err, ERR_BAD_DATA,
		    "%s announces keys without an active one of each role",
		    name);
	return 0;
}

static bool
keys_have(Galr__PublicKey *const *keys, size_t count, const struct id *id)
{
	struct id other;

	for (size_t i = 0; i < count; i++)
		if (members_key_id(keys[i], &other) &&
		    id_compare(&other, id) == 0)
			return true;
	return false;
}

/* The announced keys, and behind them the member's former signing keys, no
 * longer active: whoever pinned one of them follows the chain from there, and
 * what they signed is still on its way. The oldest go when there are too many.
 */
static void
keys_replace(const struct registry *registry, Galr__Member *member,
    Galr__PublicKey *const *keys, size_t count)
{
	Galr__PublicKey **all =
	    mem_calloc(count + member->n_keys + 1, sizeof(all[0]));
	Galr__PublicKey **former = member->keys;
	size_t former_count = member->n_keys;
	size_t n = count;
	struct id id;

	memcpy(all, keys, count * sizeof(all[0]));
	for (size_t i = 0; i < former_count && n < LIMIT_MEMBER_KEYS; i++) {
		if (former[i]->role != GALR__KEY_ROLE__KEY_SIGN ||
		    !members_key_id(former[i], &id) ||
		    keys_have(keys, count, &id) ||
		    registry_key_revoked(registry, &id))
			continue;
		former[i]->active = 0;
		all[n++] = former[i];
	}
	member->keys = NULL;
	member->n_keys = 0;
	members_edit_keys(member, all, n);
	for (size_t i = 0; i < former_count; i++)
		galr__public_key__free_unpacked(former[i], NULL);
	free(former);
	free(all);
}

int
members_keys_take(struct hub *hub, const char *name,
    Galr__PublicKey *const *keys, size_t key_count, struct err *err)
{
	const struct registry_member *known = hub_member(hub, name);
	struct registry *after = NULL;
	Galr__Registry *message = NULL;
	Galr__Member *member;
	struct buf trial;
	int rc = -1;

	if (known == NULL || key_count == 0 ||
	    keys_same(known, keys, key_count))
		return 0;
	buf_init(&trial, LIMIT_PAYLOAD_BYTES);
	if (key_count > LIMIT_MEMBER_KEYS) {
		(void)err_set(
		    err, ERR_LIMIT, "%s announces too many keys", name);
		goto out;
	}
	if (members_edit_begin(hub, &message, err) < 0)
		goto out;
	member = members_edit_find(message, name);
	INVARIANT(member != NULL);
	keys_replace(hub->registry, member, keys, key_count);
	/* Decoding it as a target would checks every length and chain. */
	if (registry_encode(message, &hub->keys, &trial, err) < 0 ||
	    registry_decode(buf_slice(&trial), hub->keys.sign_active.public_key,
		&after, err) < 0 ||
	    keys_verify(hub->registry, after, name, err) < 0 ||
	    members_edit_commit(hub, message, err) < 0)
		goto out;
	log_notice("member rotated its keys member=%s", name);
	rc = hub_audit(hub->conf, err, "keys member=%s", name);
out:
	registry_free(after);
	members_edit_free(message);
	buf_fini(&trial);
	return rc;
}
