#include "spoke/export/publish.h"

#include <dirent.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "common/wire/registry.h"
#include "spoke/export/stages.h"

#define PUBLISH_MANIFEST_MAX (1024 * 1024)
#define PUBLISH_LOCK_MS 60000

struct publisher {
	struct spoke *spoke;
	const struct export_policy *policy;
	struct replica *replica;
	struct replica_state state;
	struct buf manifest;  /* SignedManifest */
	int64_t issued_at;    /* of it */
	struct store_own own; /* as the store has it */
	int64_t now;
	struct publish_result *result;
};

static const char *const state_names[] = {
    [PUBLISH_NOTHING] = "nothing to publish",
    [PUBLISH_HELD_BY_HUB] = "at the hub",
    [PUBLISH_SENT] = "sent",
    [PUBLISH_RESENT] = "sent again",
    [PUBLISH_PENDING] = "waiting in the out box",
};

const char *
publish_state_name(enum publish_state state)
{
	return state_names[state];
}

int
publish_tag_check(const struct spoke *spoke, const struct export_policy *policy,
    struct err *err)
{
	const char *me = spoke->identity.member;

	if (registry_tag_match(me, policy->tag))
		return 0;
	return err_set(err, ERR_CONFIG,
	    "export \"%s\": tag \"%s\" must start with %s/", policy->name,
	    policy->tag, me);
}

static bool
audience_same(const struct export_policy *p, const Galr__Manifest *m)
{
	if (m->n_audience != p->audience_count)
		return false;
	for (size_t i = 0; i < m->n_audience; i++)
		if (strcmp(m->audience[i], p->audience[i]) != 0)
			return false;
	return true;
}

/* Our own manifest, read without verifying: the file is ours. Gives its
 * issued_at (0: none), and whether it still says what must be said. */
static bool
manifest_current(const struct publisher *p, int64_t *out_issued_at)
{
	const struct export_policy *policy = p->policy;
	Galr__SignedManifest *outer;
	Galr__Manifest *m = NULL;
	bool current = false;

	*out_issued_at = 0;
	outer = galr__signed_manifest__unpack(
	    NULL, p->manifest.len, p->manifest.data);
	if (outer != NULL)
		m = galr__manifest__unpack(
		    NULL, outer->manifest.len, outer->manifest.data);
	if (m != NULL) {
		*out_issued_at = m->issued_at;
		current =
		    m->version == p->state.version &&
		    m->root.len == CRYPTO_HASH_LEN &&
		    memcmp(m->root.data, p->state.root, CRYPTO_HASH_LEN) == 0 &&
		    strcmp(m->tag, policy->tag) == 0 &&
		    audience_same(policy, m) && !m->ended &&
		    outer->key_id.len == ID_LEN &&
		    memcmp(outer->key_id.data,
			p->spoke->keys.sign_active.id.bytes, ID_LEN) == 0 &&
		    m->issued_at <= p->now + LIMIT_SKEW_MS &&
		    p->now < m->issued_at + policy->lifetime_ms / 3;
		galr__manifest__free_unpacked(m, NULL);
	}
	if (outer != NULL)
		galr__signed_manifest__free_unpacked(outer, NULL);
	return current;
}

/* Re-signs when needed; issued_at rises strictly, as receivers demand. */
static int
manifest_renew(struct publisher *p, struct err *err)
{
	struct manifest m = {.realm = p->spoke->identity.realm,
	    .member = p->spoke->identity.member,
	    .stream = p->policy->name,
	    .tag = p->policy->tag,
	    .version = p->state.version,
	    .audience = p->policy->audience,
	    .audience_count = p->policy->audience_count,
	    .count = p->state.count};
	int64_t before;

	buf_reset(&p->manifest);
	if (replica_manifest(p->replica, &p->manifest, err) < 0)
		return -1;
	if (p->manifest.len > 0 && manifest_current(p, &before)) {
		p->issued_at = before;
		return 0;
	}
	if (p->manifest.len == 0)
		before = 0;
	memcpy(m.root, p->state.root, CRYPTO_HASH_LEN);
	/* One issued far ahead by a wrong clock must not be followed. */
	m.issued_at = before >= p->now && before <= p->now + LIMIT_SKEW_MS
			  ? before + 1
			  : p->now;
	m.not_after = m.issued_at + p->policy->lifetime_ms;
	p->issued_at = m.issued_at;
	buf_reset(&p->manifest);
	if (manifest_seal(&m, &p->spoke->keys.sign_active, &p->manifest, err) <
	    0)
		return -1;
	return replica_manifest_set(p->replica, buf_slice(&p->manifest), err);
}

static bool
hub_content(const struct publisher *p)
{
	return p->own.hub_version == p->state.version &&
	       memcmp(p->own.hub_root, p->state.root, CRYPTO_HASH_LEN) == 0;
}

static bool
hub_has_all(const struct publisher *p)
{
	return hub_content(p) && p->own.hub_issued_at >= p->issued_at;
}

static char *
pending_path(const struct publisher *p, uint64_t sequence, const char *suffix)
{
	return mem_printf("%s/pending/%s-%016llx.%s", p->spoke->conf->state,
	    p->policy->name, (unsigned long long)sequence, suffix);
}

static void
message_name(uint64_t sequence, char out[SPOOL_NAME_SIZE])
{
	(void)snprintf(
	    out, SPOOL_NAME_SIZE, "pub-%016llx", (unsigned long long)sequence);
}

static int
message_drop(struct spoke *spoke, uint64_t sequence, struct err *err)
{
	char name[SPOOL_NAME_SIZE];
	int rc;

	message_name(sequence, name);
	rc = spoke_out_has(spoke, name, err);
	return rc > 0
		   ? spool_drop(spoke->spool, SPOKE_PEER, SPOOL_OUT, name, err)
		   : rc;
}

/* Removes the files and the message of a sequence that is over. */
static int
pending_remove(struct publisher *p, uint64_t sequence, struct err *err)
{
	char *envelope = pending_path(p, sequence, "galr");
	char *section = pending_path(p, sequence, "section");
	int rc = message_drop(p->spoke, sequence, err);

	if (rc == 0 &&
	    (fsio_unlink(envelope, err) < 0 || fsio_unlink(section, err) < 0))
		rc = -1;
	free(envelope);
	free(section);
	return rc;
}

static int
hash_file(const char *path, uint8_t out[CRYPTO_HASH_LEN], uint64_t *out_len,
    bool *out_there)
{
	struct crypto_hash *hash = crypto_hash_new();
	FILE *file = fopen(path, "re");
	uint8_t block[16384];
	size_t n;

	*out_len = 0;
	*out_there = file != NULL;
	while (file != NULL && (n = fread(block, 1, sizeof(block), file)) > 0) {
		crypto_hash_add(hash, slice_make(block, n));
		*out_len += n;
	}
	crypto_hash_final(hash, out);
	crypto_hash_free(hash);
	if (file != NULL && (ferror(file) != 0) + (fclose(file) != 0) > 0)
		return -1;
	return 0;
}

/* Puts the kept bytes into the out box. 1 done, 0 the files are not there or
 * damaged, -1. */
static int
pending_put(struct publisher *p, uint64_t sequence, struct err *err)
{
	char *envelope_path = pending_path(p, sequence, "galr");
	char *section_path = pending_path(p, sequence, "section");
	const char *const paths[] = {section_path};
	struct spool_blob blob;
	char name[SPOOL_NAME_SIZE];
	struct err own = {0};
	struct buf envelope;
	bool there;
	int rc = 0;

	buf_init(&envelope, LIMIT_ENVELOPE_BYTES);
	message_name(sequence, name);
	if (fsio_read(envelope_path, &envelope, &own) < 0 ||
	    hash_file(section_path, blob.sha256, &blob.length, &there) < 0)
		goto out;
	rc = spool_put(p->spoke->spool, SPOKE_PEER, SPOOL_OUT,
	    &(struct spool_put){.name = name,
		.envelope = buf_slice(&envelope),
		.blobs = &blob,
		.blob_paths = paths,
		.blob_count = there ? 1 : 0},
	    err);
	if (rc == 0)
		rc = 1;
out:
	buf_fini(&envelope);
	free(envelope_path);
	free(section_path);
	return rc;
}

/* Did the hub refuse the delta that is pending? Then a full must go: a mismatch
 * is never answered with the same bytes. */
static bool
hub_refused_section(const struct publisher *p)
{
	return p->own.version == p->state.version && p->own.base != 0 &&
	       p->own.hub_refusal[0] != '\0';
}

/* The section file for the hub's base, in STATE/pending. */
static int
section_build(struct publisher *p, uint64_t sequence, Galr__Tuple *tuple,
    struct replica_section *out, struct err *err)
{
	char *path = pending_path(p, sequence, "section");
	enum stage before = stages_enter(STAGE_SECTION);
	uint64_t base = 0;
	int rc = 0;

	if (p->own.hub_version != 0 && !hub_refused_section(p))
		rc = replica_base_choose(p->replica, p->own.hub_version,
		    p->own.hub_root, &base, err);
	if (rc == 0)
		rc =
		    replica_section_write(p->replica, p->spoke->identity.member,
			p->policy->name, base, path, out, err);
	if (rc == 0) {
		tuple->base_version = out->base;
		tuple->section_sha256.data = out->sha256;
		tuple->section_sha256.len = CRYPTO_HASH_LEN;
		tuple->section_length = out->length;
		tuple->section_key.data = out->key;
		tuple->section_key.len = CRYPTO_KEY_LEN;
		p->result->base = out->base;
		p->result->section = true;
		p->result->bytes += out->length;
	}
	(void)stages_enter(before);
	free(path);
	return rc;
}

static int
envelope_build(
    struct publisher *p, uint64_t sequence, Galr__Tuple *tuple, struct err *err)
{
	struct spoke *s = p->spoke;
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	struct envelope_recipient hub;
	struct envelope_seal_options options = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH,
	    .realm = s->identity.realm,
	    .sender = s->identity.member,
	    .recipients = &hub,
	    .recipient_count = 1,
	    .sequence = sequence,
	    .issued_at = p->now,
	    .not_after = p->now + p->policy->lifetime_ms,
	    .sign_key = &s->keys.sign_active};
	char *path = pending_path(p, sequence, "galr");
	struct buf plain, sealed;
	int rc = -1;

	if (options.not_after > p->now + LIMIT_ENVELOPE_LIFE_MS)
		options.not_after = p->now + LIMIT_ENVELOPE_LIFE_MS;
	payload.n_tuples = 1;
	payload.tuples = &tuple;
	payload.registry_version =
	    s->registry == NULL ? 0 : s->registry->version;
	payload.instance.data = s->identity.instance.bytes;
	payload.instance.len = ID_LEN;
	spoke_hub_recipient(s, &hub);
	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	buf_init(&sealed, LIMIT_ENVELOPE_BYTES);
	if (payload_pack(&payload, &plain, err) == 0 &&
	    envelope_seal(&options, buf_slice(&plain), &sealed, err) == 0)
		rc = fsio_write(path, buf_slice(&sealed), 0600, err);
	p->result->bytes += sealed.len;
	/* It carries the section's key. */
	buf_cleanse(&plain);
	buf_fini(&sealed);
	free(path);
	return rc;
}

static int
pending_build(struct publisher *p, uint64_t sequence, struct err *err)
{
	struct replica_section section = {0};
	Galr__Tuple tuple = GALR__TUPLE__INIT;
	Galr__SignedManifest *manifest;
	int rc = -1;

	p->result->bytes = 0;
	manifest = galr__signed_manifest__unpack(
	    NULL, p->manifest.len, p->manifest.data);
	if (manifest == NULL)
		return err_set(err, ERR_INTERNAL, "own manifest unreadable");
	tuple.manifest = manifest;
	if ((hub_content(p) ||
		section_build(p, sequence, &tuple, &section, err) == 0) &&
	    envelope_build(p, sequence, &tuple, err) == 0)
		rc = 0;
	crypto_cleanse(&section, sizeof(section));
	galr__signed_manifest__free_unpacked(manifest, NULL);
	return rc;
}

/* Is what lies in STATE/pending still what must be said? */
static bool
pending_valid(const struct publisher *p)
{
	return p->own.sequence != 0 && p->own.version == p->state.version &&
	       p->own.issued_at == p->issued_at &&
	       p->own.built_version == p->own.hub_version &&
	       memcmp(p->own.built_root, p->own.hub_root, CRYPTO_HASH_LEN) ==
		   0 &&
	       !hub_refused_section(p);
}

static int
own_keep(struct publisher *p, uint64_t sequence, struct err *err)
{
	struct store_own own;
	struct db *db = store_db(p->spoke->store);

	/* The hub's part may have been renewed by a fetch meanwhile. */
	if (db_begin(db, err) < 0)
		return -1;
	if (store_own_get(p->spoke->store, p->policy->name, &own, err) < 0)
		goto fail;
	own.sequence = sequence;
	own.version = p->state.version;
	own.issued_at = p->issued_at;
	own.sent_at = sequence == 0 ? own.sent_at : p->now;
	own.bytes = p->result->bytes;
	own.base = p->result->base;
	own.built_version = p->own.hub_version;
	memcpy(own.built_root, p->own.hub_root, CRYPTO_HASH_LEN);
	if (hub_refused_section(p))
		own.hub_refusal[0] = '\0';
	if (store_own_set(p->spoke->store, &own, err) < 0)
		goto fail;
	return db_commit(db, err);
fail:
	db_rollback(db);
	return -1;
}

/* Is this file of this policy, and of a message that is over? A run that was
 * killed may have left such. */
static bool
pending_stale(const struct publisher *p, const char *name, uint64_t keep)
{
	size_t len = strlen(p->policy->name);
	char kept[24];

	(void)snprintf(kept, sizeof(kept), "%016llx", (unsigned long long)keep);
	return strncmp(name, p->policy->name, len) == 0 && name[len] == '-' &&
	       strspn(name + len + 1, "0123456789abcdef") == 16 &&
	       name[len + 17] == '.' && strncmp(name + len + 1, kept, 16) != 0;
}

static int
pending_sweep(struct publisher *p, uint64_t keep, struct err *err)
{
	char *dir = spoke_conf_state_path(p->spoke->conf, "pending");
	DIR *list = opendir(dir);
	struct dirent *entry;
	int rc = 0;

	while (rc == 0 && list != NULL && (entry = readdir(list)) != NULL) {
		char *path;

		if (!pending_stale(p, entry->d_name, keep))
			continue;
		path = fsio_join(dir, entry->d_name);
		rc = fsio_unlink(path, err);
		free(path);
	}
	if (list != NULL)
		(void)closedir(list);
	free(dir);
	return rc;
}

static int
publish_new(struct publisher *p, struct err *err)
{
	uint64_t sequence, before = p->own.sequence;

	if (store_sequence_next(p->spoke->store,
		GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH, p->now, &sequence,
		err) < 0 ||
	    pending_build(p, sequence, err) < 0 ||
	    own_keep(p, sequence, err) < 0 || pending_put(p, sequence, err) < 0)
		return -1;
	p->result->state = PUBLISH_SENT;
	if (before != 0 && pending_remove(p, before, err) < 0)
		return -1;
	return pending_sweep(p, sequence, err);
}

/* The message of p->own.sequence is valid: see that it is on its way. A later
 * message of another policy has overtaken it when its sequence is not the last:
 * the hub would drop it, so it is made anew. */
static int
publish_again(struct publisher *p, struct err *err)
{
	char name[SPOOL_NAME_SIZE];
	uint64_t last;
	int rc;

	message_name(p->own.sequence, name);
	p->result->bytes = p->own.bytes;
	rc = spoke_out_has(p->spoke, name, err);
	if (rc > 0)
		p->result->state = PUBLISH_PENDING;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (store_sequence_last(p->spoke->store,
		GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH, &last, err) < 0)
		return -1;
	if (last == p->own.sequence) {
		rc = pending_put(p, p->own.sequence, err);
		if (rc > 0)
			p->result->state = PUBLISH_RESENT;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	return publish_new(p, err);
}

static int
publish_locked(struct publisher *p, struct err *err)
{
	replica_state(p->replica, &p->state);
	p->result->version = p->state.version;
	p->result->count = p->state.count;
	if (p->state.version == 0) {
		p->result->state = PUBLISH_NOTHING;
		return 0;
	}
	if (manifest_renew(p, err) < 0 ||
	    store_own_get(p->spoke->store, p->policy->name, &p->own, err) < 0)
		return -1;
	if (hub_has_all(p)) {
		uint64_t before = p->own.sequence;

		p->result->state = PUBLISH_HELD_BY_HUB;
		if (before == 0)
			return 0;
		if (own_keep(p, 0, err) < 0)
			return -1;
		return pending_remove(p, before, err);
	}
	if (pending_valid(p))
		return publish_again(p, err);
	return publish_new(p, err);
}

int
publish_run(struct spoke *spoke, const struct export_policy *policy,
    struct replica *replica, struct publish_result *out_result, struct err *err)
{
	struct publisher p = {.spoke = spoke,
	    .policy = policy,
	    .replica = replica,
	    .now = clock_now_ms(),
	    .result = out_result};
	enum stage before;
	int lock, rc;

	memset(out_result, 0, sizeof(*out_result));
	/* Sequences must enter the out box in their order. */
	lock = spoke_lock(spoke->conf, "publish", PUBLISH_LOCK_MS, err);
	if (lock < 0)
		return -1;
	buf_init(&p.manifest, PUBLISH_MANIFEST_MAX);
	before = stages_enter(STAGE_SEAL);
	rc = publish_locked(&p, err);
	(void)stages_enter(before);
	buf_fini(&p.manifest);
	(void)close(lock);
	return rc;
}

int
publish_withdraw(
    struct spoke *spoke, const struct export_policy *policy, struct err *err)
{
	struct store_own own;
	int lock, rc;

	lock = spoke_lock(spoke->conf, "publish", PUBLISH_LOCK_MS, err);
	if (lock < 0)
		return -1;
	rc = store_own_get(spoke->store, policy->name, &own, err);
	if (rc == 0 && own.sequence != 0)
		rc = message_drop(spoke, own.sequence, err);
	(void)close(lock);
	return rc;
}

int
publish_look(struct spoke *spoke, const struct export_policy *policy,
    struct replica *replica, enum publish_answer *out_answer, struct err *err)
{
	struct publisher p = {.spoke = spoke,
	    .policy = policy,
	    .replica = replica,
	    .now = clock_now_ms()};
	int rc = -1;

	buf_init(&p.manifest, PUBLISH_MANIFEST_MAX);
	replica_state(replica, &p.state);
	if (replica_manifest(replica, &p.manifest, err) == 0 &&
	    store_own_get(spoke->store, policy->name, &p.own, err) == 0) {
		(void)manifest_current(&p, &p.issued_at);
		*out_answer = hub_has_all(&p)      ? PUBLISH_ACKNOWLEDGED
			      : !pending_valid(&p) ? PUBLISH_STALE
			      : p.own.hub_refusal[0] != '\0'
				  ? PUBLISH_REFUSED
				  : PUBLISH_UNANSWERED;
		rc = 0;
	}
	buf_fini(&p.manifest);
	return rc;
}
