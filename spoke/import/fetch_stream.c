/* One stream of a bundle: verify what its source signed, apply or refuse. */
#include <errno.h>
#include <strings.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/replica/db.h"
#include "common/wire/limits.h"
#include "spoke/import/fetch_internal.h"
#include "spoke/pins.h"

struct taker {
	struct fetcher *f;
	const struct envelope *envelope;
	const Galr__Payload *payload;
	const Galr__Tuple *tuple;
	size_t index;
	struct buf signed_manifest;
	struct manifest manifest;
	struct replica *replica;
	struct store_stream row;
	bool skip; /* nothing to say of it */
};

/* Trouble of this machine, which another message would meet as well. */
/* A damaged replica is put aside: what is held is nothing then, and the hub
 * sends a full. Imports of the stream wait for it. */
static int
damage_heal(struct taker *t, struct err *err)
{
	static const char *const suffixes[] = {"-wal", "-shm"};
	char *path = store_stream_path(
	    t->f->spoke->conf, t->manifest.member, t->manifest.stream);
	char *aside = mem_printf("%s.damaged", path);
	int rc;

	replica_close(t->replica);
	t->replica = NULL;
	rc = fsio_rename(path, aside, err);
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		char *name = mem_printf("%s%s", path, suffixes[i]);

		rc = fsio_unlink(name, err);
		free(name);
	}
	if (rc == 0)
		log_error("damaged replica put aside path=%s", aside);
	t->row.version = 0;
	t->row.count = 0;
	t->row.issued_at = 0;
	memset(t->row.root, 0, sizeof(t->row.root));
	free(aside);
	free(path);
	return rc;
}

static bool
is_local(const struct err *err)
{
	return err->code == CHECK_OK &&
	       (err->class == ERR_IO || err->class == ERR_TEMPORARY ||
		   err->class == ERR_INTERNAL);
}

static int
manifest_take(struct taker *t, struct err *err)
{
	struct fetcher *f = t->f;
	const Galr__SignedManifest *m = t->tuple->manifest;
	uint8_t *at;

	if (m == NULL)
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "a tuple without manifest");
	at = buf_reserve(
	    &t->signed_manifest, galr__signed_manifest__get_packed_size(m));
	if (buf_check(&t->signed_manifest, "manifest", err) < 0)
		return -1;
	(void)galr__signed_manifest__pack(m, at);
	return manifest_open(buf_slice(&t->signed_manifest), f->spoke->registry,
	    f->now, f->arena, &t->manifest, err);
}

static int
may_take(struct taker *t, struct err *err)
{
	struct spoke *s = t->f->spoke;
	char reason[PINS_REASON_MAX];
	int rc;

	rc = pins_stream_good(s->store, s->registry, t->manifest.member,
	    t->manifest.stream, reason, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set_code(err, ERR_UNTRUSTED, CHECK_MANIFEST_KEY,
		    "held: member %s: %s (galspoke members)",
		    t->manifest.member, reason);
	if (!manifest_audience_has(&t->manifest, s->identity.member))
		return err_set_code(err, ERR_UNTRUSTED, CHECK_AUDIENCE,
		    "its source does not name %s in the audience",
		    s->identity.member);
	return 0;
}

static int
section_key(struct taker *t, uint8_t out_key[32], struct err *err)
{
	struct spoke *s = t->f->spoke;
	const Galr__Payload *p = t->payload;
	const Galr__Tuple *tuple = t->tuple;
	const struct bundle_kek_place place = {
	    &s->identity.realm, s->identity.member, t->envelope->sequence};
	struct bundle_kek kek;
	struct id key_id;
	int rc = -1;

	if (tuple->section_sha256.len != CRYPTO_HASH_LEN ||
	    p->kek_enc.len != 32 ||
	    id_from_slice(slice_make(p->kek_key_id.data, p->kek_key_id.len),
		&key_id, NULL) < 0)
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "a section without hash or key");
	if (bundle_kek_open(
		&s->keys, &key_id, p->kek_enc.data, &place, &kek, err) == 0)
		rc = bundle_key_unwrap(&kek, (uint32_t)t->index,
		    tuple->section_sha256.data,
		    slice_make(tuple->section_key.data, tuple->section_key.len),
		    out_key, err);
	if (rc < 0 && err != NULL && err->code == CHECK_OK)
		err->code = CHECK_UNWRAP;
	crypto_cleanse(&kek, sizeof(kek));
	return rc;
}

static int
section_apply(struct taker *t, struct err *err)
{
	struct fetcher *f = t->f;
	struct spoke *s = f->spoke;
	const struct replica_apply_options options = {.manifest = &t->manifest,
	    .signed_manifest = buf_slice(&t->signed_manifest)};
	struct section_reader *reader = NULL;
	struct replica_changes changes = {0};
	uint8_t key[CRYPTO_KEY_LEN];
	char *staging = NULL;
	char *path = NULL;
	int rc = -1;

	if (section_key(t, key, err) < 0)
		return -1;
	staging = spoke_conf_state_path(s->conf, "streams");
	path = spool_blob_path(
	    s->spool, SPOKE_PEER, SPOOL_IN, t->tuple->section_sha256.data);
	if (access(path, R_OK) < 0 && errno == ENOENT) {
		(void)err_set_code(err, ERR_BAD_DATA, CHECK_SECTION_HASH,
		    "its section did not come");
		goto out;
	}
	if (section_reader_open(path, t->tuple->section_sha256.data, key,
		staging, &reader, err) < 0 ||
	    replica_apply(t->replica, reader, &options, &changes, err) < 0)
		goto out;
	f->result->changed++;
	f->result->changes.added += changes.added;
	f->result->changes.modified += changes.modified;
	f->result->changes.deleted += changes.deleted;
	rc = 0;
out:
	section_reader_close(reader);
	crypto_cleanse(key, sizeof(key));
	free(path);
	free(staging);
	return rc;
}

/* Content that we hold already needs its manifest alone. */
static int
content_take(struct taker *t, struct err *err)
{
	struct replica_state state;
	bool fresh = false;

	replica_state(t->replica, &state);
	if (t->tuple->section_sha256.len != 0 &&
	    (state.version != t->manifest.version || state.version == 0))
		return section_apply(t, err);
	if (replica_refresh(t->replica, &t->manifest,
		buf_slice(&t->signed_manifest), &fresh, err) < 0)
		return -1;
	if (fresh)
		t->f->result->refreshed++;
	return 0;
}

static int
stream_take(struct taker *t, struct err *err)
{
	struct spoke *s = t->f->spoke;
	char *path;
	int rc;

	if (strcasecmp(t->manifest.member, s->identity.member) == 0 ||
	    !fetch_wanted(s->conf, t->manifest.tag)) {
		t->skip = true;
		return 0;
	}
	if (may_take(t, err) < 0)
		return -1;
	path =
	    store_stream_path(s->conf, t->manifest.member, t->manifest.stream);
	rc = replica_open(path, &t->replica, err);
	free(path);
	return rc < 0 ? -1 : content_take(t, err);
}

/* What the replica says now, whatever happened before. */
static int
row_renew(struct taker *t, struct err *err)
{
	struct fetcher *f = t->f;
	struct store_stream *row = &t->row;
	struct replica_state state;
	struct manifest held;
	struct buf signed_bytes;
	struct err ignored = {0};
	int rc = 0;

	if (t->replica == NULL)
		return 0;
	replica_state(t->replica, &state);
	if (row->version != state.version)
		row->taken_at = f->now;
	row->version = state.version;
	row->count = state.count;
	memcpy(row->root, state.root, CRYPTO_HASH_LEN);
	buf_init(&signed_bytes, 1024 * 1024);
	rc = replica_manifest(t->replica, &signed_bytes, err);
	if (rc == 0 && signed_bytes.len > 0 &&
	    manifest_open(buf_slice(&signed_bytes), f->spoke->registry, f->now,
		f->arena, &held, &ignored) == 0) {
		(void)snprintf(row->tag, sizeof(row->tag), "%s", held.tag);
		row->issued_at = held.issued_at;
		row->not_after = held.not_after;
		row->ended = held.ended;
	}
	buf_fini(&signed_bytes);
	return rc;
}

/* Names what is wrong with which stream, for the acknowledgement and people.
 * Before the manifest verified, its names are the hub's word: not kept. */
static int
refusal_keep(struct taker *t, const struct err *cause, struct err *err)
{
	struct fetcher *f = t->f;
	struct store_stream *row = &t->row;
	const char *check =
	    envelope_check_name((enum envelope_check)cause->code);
	const char *member = row->member[0] == '\0' ? "?" : row->member;

	if (cause->code == CHECK_STREAM_OLDER)
		return 0;
	f->result->streams_refused++;
	spoke_text(row->refusal, sizeof(row->refusal), "%s: %s", check,
	    cause->message);
	if (f->result->text[0] == '\0')
		spoke_text(f->result->text, sizeof(f->result->text),
		    "stream %s/%s refused: %s", member, row->stream,
		    cause->message);
	log_err(cause, "stream refused member=%s stream=%s check=%s",
	    log_text(slice_str(member)), log_text(slice_str(row->stream)),
	    check);
	return store_count(f->spoke->store, check, err);
}

/* The names that an unverified manifest claims, when they are names at all. */
static void
names_claimed(const struct taker *t, char member[64], char stream[64])
{
	const Galr__SignedManifest *outer = t->tuple->manifest;
	Galr__Manifest *m = NULL;

	member[0] = '\0';
	stream[0] = '\0';
	if (outer != NULL)
		m = galr__manifest__unpack(
		    NULL, outer->manifest.len, outer->manifest.data);
	if (m == NULL)
		return;
	if (registry_name_valid(m->member) && registry_name_valid(m->stream)) {
		(void)snprintf(member, 64, "%s", m->member);
		(void)snprintf(stream, 64, "%s", m->stream);
	}
	galr__manifest__free_unpacked(m, NULL);
}

static int
tuple_take(struct taker *t, struct err *err)
{
	struct spoke_store *store = t->f->spoke->store;
	char member[64], stream[64];
	struct err cause = {0};
	bool verified = false;
	int rc;

	names_claimed(t, member, stream);
	if (store_stream_get(store, member, stream, &t->row, err) < 0)
		return -1;
	rc = manifest_take(t, &cause);
	verified = rc == 0;
	if (verified)
		rc = stream_take(t, &cause);
	if (t->skip)
		return 0;
	t->row.refusal[0] = '\0';
	if (rc < 0 && cause.code == DB_CODE_DAMAGED) {
		if (damage_heal(t, err) < 0)
			return -1;
		cause.code = CHECK_ROOT;
	}
	if (rc < 0 && is_local(&cause)) {
		if (err != NULL)
			*err = cause;
		return -1;
	}
	if (row_renew(t, err) < 0 ||
	    (rc < 0 && refusal_keep(t, &cause, err) < 0))
		return -1;
	/* A stranger's claim makes no row of its own. */
	if (!verified && t->row.version == 0)
		return 0;
	return store_stream_set(store, &t->row, err);
}

int
fetch_tuple(struct fetcher *f, const struct envelope *envelope,
    const Galr__Payload *payload, size_t index, struct err *err)
{
	struct taker t = {.f = f,
	    .envelope = envelope,
	    .payload = payload,
	    .tuple = payload->tuples[index],
	    .index = index};
	int rc;

	arena_reset(f->arena);
	buf_init(&t.signed_manifest, 1024 * 1024);
	rc = tuple_take(&t, err);
	replica_close(t.replica);
	buf_fini(&t.signed_manifest);
	return rc;
}
