#include "spoke/import/fetch.h"

#include <strings.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "spoke/import/fetch_internal.h"
#include "spoke/pins.h"
#include "spoke/rotate.h"

#define FETCH_LOCK_MS 60000

bool
fetch_wanted(const struct spoke_conf *conf, const char *tag)
{
	for (size_t i = 0; i < conf->import_count; i++) {
		const struct import_policy *p = &conf->imports[i];

		for (size_t k = 0; p->enabled && k < p->tag_count; k++)
			if (registry_tag_match(p->tags[k], tag))
				return true;
	}
	return false;
}

static int
seen_look(void *arg, const char *sender, Galr__EnvelopeType type,
    struct envelope_seen *out_seen, struct err *err)
{
	struct spoke *spoke = arg;

	(void)sender;
	return store_seen_get(spoke->store, type, out_seen, err);
}

static void
fetch_note(struct fetcher *f, const char *what, const struct err *cause)
{
	if (f->result->text[0] == '\0')
		spoke_text(f->result->text, sizeof(f->result->text), "%s: %s",
		    what, cause->message);
}

/* A registry that does not verify, is older or contradicts the one held leaves
 * everything as it is: it is the hub's word alone. */
static int
registry_judge(
    struct fetcher *f, struct registry *fresh, bool *out_take, struct err *err)
{
	const struct registry *held = f->spoke->registry;
	struct err cause = {0};

	*out_take = false;
	if (id_compare(&fresh->realm, &f->spoke->identity.realm) != 0)
		(void)err_set(&cause, ERR_UNTRUSTED, "it is of another realm");
	else if (held != NULL && fresh->version < held->version)
		(void)err_set(&cause, ERR_UNTRUSTED,
		    "it is older than the one held here");
	else if (held != NULL && fresh->version == held->version &&
		 !slice_equal(fresh->signed_bytes, held->signed_bytes))
		(void)err_set(
		    &cause, ERR_UNTRUSTED, "two registries carry one version");
	else
		*out_take = held == NULL || fresh->version > held->version;
	if (cause.class == ERR_NONE)
		return 0;
	log_err(&cause, "registry refused");
	fetch_note(f, "registry refused", &cause);
	return store_count(f->spoke->store, "registry", err);
}

/* A hub that lists other keys for us could speak in our name to members who
 * see us for the first time: said loudly, for people. */
static void
own_keys_check(const struct spoke *s)
{
	const struct registry_member *me =
	    registry_find(s->registry, s->identity.member);
	const struct registry_key *key = NULL;

	if (me != NULL)
		key = registry_active_key(me, REGISTRY_SIGN);
	if (key == NULL || me->revoked)
		log_error("the registry does not list this spoke as a member "
			  "in force: ask the hub");
	else if (id_compare(&key->id, &s->keys.sign_active.id) != 0 &&
		 id_compare(&key->id, &s->keys.sign_next.id) != 0 &&
		 registry_member_key(
		     me, REGISTRY_SIGN, &s->keys.sign_active.id) == NULL)
		log_error("ALARM: the registry lists another signing key for "
			  "this spoke than its own");
}

static int
registry_take(struct fetcher *f, struct slice signed_bytes, struct err *err)
{
	struct spoke *s = f->spoke;
	struct registry *fresh = NULL;
	struct err cause = {0};
	unsigned held = 0;
	bool take;
	int rc = 0;

	if (signed_bytes.len == 0)
		return 0;
	if (registry_decode(
		signed_bytes, s->identity.hub_sign, &fresh, &cause) < 0) {
		log_err(&cause, "registry refused");
		fetch_note(f, "registry refused", &cause);
		return store_count(s->store, "registry", err);
	}
	if (registry_judge(f, fresh, &take, err) < 0)
		rc = -1;
	if (rc < 0 || !take)
		goto out;
	rc = -1;
	if (db_begin(store_db(s->store), err) < 0)
		goto out;
	if (pins_check(s->store, fresh, f->now, &held, err) < 0 ||
	    store_registry_set(s->store, fresh, err) < 0) {
		db_rollback(store_db(s->store));
		goto out;
	}
	if (db_commit(store_db(s->store), err) < 0)
		goto out;
	f->result->members_held += held;
	registry_free(s->registry);
	s->registry = fresh;
	fresh = NULL;
	own_keys_check(s);
	rc = rotate_follow(s, err);
out:
	registry_free(fresh);
	return rc;
}

/* What the hub holds of our own streams. */
static int
holdings_take(struct fetcher *f, const Galr__Payload *payload, struct err *err)
{
	struct spoke *s = f->spoke;

	for (size_t i = 0; i < payload->n_holdings; i++) {
		const Galr__Holding *h = payload->holdings[i];
		struct store_own own;

		if (strcasecmp(h->member, s->identity.member) != 0 ||
		    !registry_name_valid(h->stream))
			continue;
		if (h->version > LIMIT_VERSION_FAR) {
			log_error("ALARM: the hub claims to hold a version of "
				  "%s that no clock makes",
			    h->stream);
			if (store_count(s->store, "holding", err) < 0)
				return -1;
			continue;
		}
		if (store_own_get(s->store, h->stream, &own, err) < 0)
			return -1;
		own.hub_version = h->version;
		own.hub_issued_at = h->issued_at;
		memset(own.hub_root, 0, CRYPTO_HASH_LEN);
		if (h->root.len == CRYPTO_HASH_LEN)
			memcpy(own.hub_root, h->root.data, CRYPTO_HASH_LEN);
		/* A refusal of something older says nothing of what is on its
		 * way. */
		(void)snprintf(own.hub_refusal, sizeof(own.hub_refusal), "%s",
		    payload->answers < own.sequence ? "" : h->refusal);
		spoke_text_clean(own.hub_refusal);
		if (store_own_set(s->store, &own, err) < 0)
			return -1;
	}
	return 0;
}

/* The last step of a message: what it said of us, and that it was seen. */
static int
message_record(struct fetcher *f, const struct envelope *envelope,
    const Galr__Payload *payload, struct err *err)
{
	struct envelope_seen seen = {.sequence = envelope->sequence};
	struct spoke_store *store = f->spoke->store;

	memcpy(seen.hash, envelope->hash, CRYPTO_HASH_LEN);
	if (db_begin(store_db(store), err) < 0)
		return -1;
	if (holdings_take(f, payload, err) < 0 ||
	    store_number_set(store, FETCH_NOTE_HUB_REGISTRY,
		payload->registry_version, err) < 0 ||
	    store_seen_set(store, envelope->type, &seen, err) < 0) {
		db_rollback(store_db(store));
		return -1;
	}
	return db_commit(store_db(store), err);
}

static int
payload_take(struct fetcher *f, const struct envelope *envelope,
    const Galr__Payload *payload, struct err *err)
{
	struct slice registry =
	    slice_make(payload->registry.data, payload->registry.len);

	if (registry_take(f, registry, err) < 0)
		return -1;
	for (size_t i = 0; i < payload->n_tuples; i++)
		if (fetch_tuple(f, envelope, payload, i, err) < 0)
			return -1;
	return message_record(f, envelope, payload, err);
}

/* A message that is no use: dropped when it is merely old, else kept for a
 * look. Foreign trouble only; err is for our own. */
static int
message_refuse(struct fetcher *f, const char *name,
    const struct envelope *envelope, const struct err *cause, struct err *err)
{
	struct spoke *s = f->spoke;
	const char *check =
	    envelope_check_name((enum envelope_check)cause->code);

	if (cause->code == CHECK_DUPLICATE &&
	    store_number_set(s->store, FETCH_NOTE_ACK_DUE, 1, err) < 0)
		return -1;
	if (cause->code == CHECK_DUPLICATE)
		return spool_drop(s->spool, SPOKE_PEER, SPOOL_IN, name, err);
	if (store_count(s->store, check, err) < 0)
		return -1;
	if (cause->code == CHECK_LATE)
		return spool_drop(s->spool, SPOKE_PEER, SPOOL_IN, name, err);
	f->result->refused++;
	fetch_note(f, "message refused", cause);
	log_err(cause, "message refused name=%s check=%s", name, check);
	/* Good again when its time has come. */
	if (cause->code == CHECK_FUTURE && envelope_may_wait(envelope, f->now))
		return 0;
	return spool_refuse(
	    s->spool, SPOKE_PEER, SPOOL_IN, name, cause->message, err);
}

/* 0 taken, 1 refused with cause, -1 local trouble in err. */
static int
message_open(struct fetcher *f, const char *name, struct envelope *envelope,
    struct err *cause, struct err *err)
{
	struct spoke *s = f->spoke;
	const struct envelope_open_options options = {.registry = s->registry,
	    .realm = s->identity.realm,
	    .me = s->identity.member,
	    .keys = &s->keys,
	    .now_ms = f->now,
	    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE,
	    .seen = seen_look,
	    .seen_arg = s};
	struct buf file;
	int rc = -1;

	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	if (spool_read(s->spool, SPOKE_PEER, SPOOL_IN, name, &file, cause) <
	    0) {
		if (cause->class == ERR_LIMIT) {
			cause->code = CHECK_SIZE;
			rc = 1;
		} else if (err != NULL)
			*err = *cause;
		goto out;
	}
	rc = 0;
	if (envelope_open(buf_slice(&file), &options, envelope, cause) < 0) {
		rc = cause->code == CHECK_OK ? -1 : 1;
		if (rc < 0 && err != NULL)
			*err = *cause;
	}
out:
	buf_fini(&file);
	return rc;
}

static int
fetch_message(struct fetcher *f, const char *name, struct err *err)
{
	struct envelope envelope = {0};
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	Galr__Payload *payload = NULL;
	struct err cause = {0};
	int rc;

	rc = message_open(f, name, &envelope, &cause, err);
	if (rc == 0 && payload_unpack(buf_slice(&envelope.payload), arena,
			   &payload, &cause) < 0) {
		cause.code = CHECK_PAYLOAD;
		rc = 1;
	}
	if (rc > 0) {
		rc = message_refuse(f, name, &envelope, &cause, err);
	} else if (rc == 0) {
		rc = payload_take(f, &envelope, payload, err);
		if (rc == 0) {
			f->result->messages++;
			rc = spool_drop(
			    f->spoke->spool, SPOKE_PEER, SPOOL_IN, name, err);
		}
	}
	envelope_fini(&envelope);
	arena_free(arena);
	return rc;
}

static int
fetch_locked(struct fetcher *f, struct err *err)
{
	struct spool_message message;
	char name[SPOOL_NAME_SIZE] = "";
	bool wants;
	int rc;

	/* Onwards by name: one that waits for its time stays behind. */
	for (;;) {
		rc = spool_next(f->spoke->spool, SPOKE_PEER, SPOOL_IN,
		    name[0] == '\0' ? NULL : name, &message, err);
		if (rc <= 0)
			break;
		memcpy(name, message.name, sizeof(name));
		spool_message_fini(&message);
		if (fetch_message(f, name, err) < 0)
			return err_prepend(err, "message %s", name);
	}
	if (rc < 0)
		return -1;
	return fetch_acknowledge(
	    f->spoke, &f->result->acknowledged, &wants, err);
}

int
fetch_run(struct spoke *spoke, struct fetch_result *out_result, struct err *err)
{
	struct fetcher f = {
	    .spoke = spoke, .result = out_result, .now = clock_now_ms()};
	int lock, rc;

	memset(out_result, 0, sizeof(*out_result));
	lock = spoke_lock(spoke->conf, "fetch", FETCH_LOCK_MS, err);
	if (lock < 0)
		return -1;
	f.arena = arena_new(LIMIT_UNPACK_BYTES);
	/* Another process may have taken in a newer one meanwhile. */
	registry_free(spoke->registry);
	spoke->registry = NULL;
	rc = store_registry(
	    spoke->store, &spoke->identity, &spoke->registry, err);
	if (rc == 0)
		rc = fetch_locked(&f, err);
	arena_free(f.arena);
	(void)close(lock);
	return rc;
}
