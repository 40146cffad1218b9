#include "spoke/rotate.h"

#include <unistd.h>
#include "common/base/log.h"
#include "spoke/import/fetch.h"

#define ROTATE_LOCK_MS 30000

static void
key_add(struct rotate_keys *out, Galr__KeyRole role,
    const struct key_pair *pair, bool active)
{
	Galr__PublicKey *key = &out->keys[out->count];

	if (!pair->present)
		return;
	galr__public_key__init(key);
	key->role = role;
	key->key.data = (uint8_t *)(uintptr_t)pair->public_key;
	key->key.len = 32;
	key->active = active;
	if (pair->endorsed) {
		key->predecessor.data =
		    (uint8_t *)(uintptr_t)pair->predecessor.bytes;
		key->predecessor.len = ID_LEN;
		key->endorsement.data = (uint8_t *)(uintptr_t)pair->endorsement;
		key->endorsement.len = CRYPTO_SIG_LEN;
	}
	out->list[out->count++] = key;
}

static bool
listed(const struct registry_member *me, const struct key_pair *pair,
    enum registry_role role, bool active)
{
	const struct registry_key *key;

	if (!pair->present)
		return true;
	key = registry_member_key(me, role, &pair->id);
	return key != NULL && key->active == active;
}

/* Former signing keys stay listed, so that whoever pinned one of them can
 * follow the chain to the present one. */
static void
former_add(struct rotate_keys *out, const struct spoke *spoke,
    const struct registry_member *me)
{
	const struct keys *k = &spoke->keys;

	for (size_t i = 0; i < me->key_count && out->count < ROTATE_KEYS_MAX;
	     i++) {
		const struct registry_key *known = &me->keys[i];
		struct key_pair former = {.present = true,
		    .endorsed = known->endorsed,
		    .predecessor = known->predecessor};
		Galr__PublicKey *key;

		if (known->role != REGISTRY_SIGN ||
		    id_compare(&known->id, &k->sign_active.id) == 0 ||
		    (k->sign_next.present &&
			id_compare(&known->id, &k->sign_next.id) == 0))
			continue;
		key_add(out, GALR__KEY_ROLE__KEY_SIGN, &former, false);
		key = &out->keys[out->count - 1];
		key->key.data = (uint8_t *)(uintptr_t)known->public_key;
		if (!known->endorsed)
			continue;
		key->predecessor.data =
		    (uint8_t *)(uintptr_t)known->predecessor.bytes;
		key->endorsement.data =
		    (uint8_t *)(uintptr_t)known->endorsement;
	}
}

void
rotate_announce(const struct spoke *spoke, struct rotate_keys *out_keys)
{
	const struct registry_member *me = NULL;
	const struct keys *k = &spoke->keys;

	out_keys->count = 0;
	if (spoke->registry != NULL)
		me = registry_find(spoke->registry, spoke->identity.member);
	if (me == NULL ||
	    (listed(me, &k->sign_active, REGISTRY_SIGN, true) &&
		listed(me, &k->sign_next, REGISTRY_SIGN, false) &&
		listed(me, &k->decrypt_active, REGISTRY_DECRYPT, true) &&
		listed(me, &k->curve, REGISTRY_CURVE, true)))
		return;
	key_add(out_keys, GALR__KEY_ROLE__KEY_SIGN, &k->sign_active, true);
	key_add(out_keys, GALR__KEY_ROLE__KEY_SIGN, &k->sign_next, false);
	key_add(
	    out_keys, GALR__KEY_ROLE__KEY_DECRYPT, &k->decrypt_active, true);
	key_add(
	    out_keys, GALR__KEY_ROLE__KEY_DECRYPT, &k->decrypt_previous, false);
	key_add(out_keys, GALR__KEY_ROLE__KEY_CURVE, &k->curve, true);
	former_add(out_keys, spoke, me);
}

int
rotate_follow(struct spoke *spoke, struct err *err)
{
	const struct registry_member *me;
	char *path;
	int rc;

	if (spoke->registry == NULL || !spoke->keys.sign_next.present)
		return 0;
	me = registry_find(spoke->registry, spoke->identity.member);
	if (me == NULL || registry_member_key(me, REGISTRY_SIGN,
			      &spoke->keys.sign_next.id) == NULL)
		return 0;
	path = spoke_conf_state_path(spoke->conf, "keys");
	rc = keys_rotate_finish(path, &spoke->keys, err);
	free(path);
	if (rc == 0)
		log_notice("the new signing key is in use");
	return rc;
}

int
rotate_run(const struct spoke_conf *conf)
{
	char *path = spoke_conf_state_path(conf, "keys");
	struct spoke spoke = {0};
	struct err err = {0};
	bool sent, wants;
	int lock = -1;
	int code = EXIT_FAILED;

	if (spoke_open(conf, &spoke, &err) < 0)
		goto out;
	lock = spoke_lock(conf, "fetch", ROTATE_LOCK_MS, &err);
	if (lock < 0)
		goto out;
	if (spoke.keys.sign_next.present) {
		(void)err_set(&err, ERR_CONFIG,
		    "a rotation is under way: it ends when the hub's registry "
		    "lists the new key");
		goto out;
	}
	if (keys_rotate_begin(path, &spoke.keys, &spoke.identity.realm,
		spoke.identity.member, &err) == 0 &&
	    fetch_acknowledge(&spoke, &sent, &wants, &err) == 0) {
		(void)fputs("new keys are made; the hub learns of them with "
			    "the next contact\n",
		    stderr);
		code = EXIT_DONE;
	}
out:
	if (code != EXIT_DONE)
		log_err(&err, "keys not rotated");
	if (lock >= 0)
		(void)close(lock);
	spoke_close(&spoke);
	free(path);
	return code;
}
