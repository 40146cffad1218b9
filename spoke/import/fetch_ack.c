/* The acknowledgement: what we hold now, what we want, how far we are. */
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "spoke/import/fetch_internal.h"
#include "spoke/rotate.h"

#define ACK_NOTE_HASH "ack-hash"
#define ACK_NOTE_WANTS "ack-wants"
#define ACK_NOTE_SENT "ack-sent-at"
#define ACK_NOTE_BYTES "ack-bytes" /* pending envelope; empty when put */
#define ACK_NOTE_PLACE "ack-place"
#define ACK_NOTE_SEQUENCE "ack-sequence"
#define ACK_LIFE_MS (7 * CLOCK_DAY_MS)
/* Said again now and then, so that a hub restored from a backup learns. */
#define ACK_REPEAT_MS (ACK_LIFE_MS / 3)

struct acker {
	struct spoke *spoke;
	struct store_stream *streams;
	size_t stream_count;
	Galr__Holding *holdings;
	Galr__Holding **holding_list;
	size_t holding_count;
	char **wants;
	size_t want_count;
	uint64_t hub_registry;
	uint64_t applied, refused; /* contacts, over all import policies */
	struct rotate_keys keys;
	int64_t now;
	uint8_t hash[CRYPTO_HASH_LEN];
	uint8_t wants_hash[CRYPTO_HASH_LEN];
};

static bool
wants_has(const struct acker *a, const char *tag)
{
	for (size_t i = 0; i < a->want_count; i++)
		if (strcmp(a->wants[i], tag) == 0)
			return true;
	return false;
}

static void
wants_collect(struct acker *a)
{
	const struct spoke_conf *conf = a->spoke->conf;
	size_t max = 0;

	for (size_t i = 0; i < conf->import_count; i++)
		max += conf->imports[i].tag_count;
	a->wants = mem_calloc(max + 1, sizeof(*a->wants));
	for (size_t i = 0; i < conf->import_count; i++) {
		const struct import_policy *p = &conf->imports[i];

		for (size_t k = 0; p->enabled && k < p->tag_count; k++)
			if (!wants_has(a, p->tags[k]))
				a->wants[a->want_count++] =
				    mem_strdup(p->tags[k]);
	}
}

/* A replica that somebody removed is not held any more. */
static void
holdings_collect(struct acker *a)
{
	a->holdings = mem_calloc(a->stream_count + 1, sizeof(*a->holdings));
	a->holding_list =
	    mem_calloc(a->stream_count + 1, sizeof(*a->holding_list));
	for (size_t i = 0; i < a->stream_count; i++) {
		struct store_stream *s = &a->streams[i];
		Galr__Holding *h = &a->holdings[a->holding_count];
		char *path =
		    store_stream_path(a->spoke->conf, s->member, s->stream);
		bool there = access(path, F_OK) == 0;

		free(path);
		galr__holding__init(h);
		h->member = s->member;
		h->stream = s->stream;
		h->refusal = s->refusal;
		if (there && s->version != 0) {
			h->version = s->version;
			h->issued_at = s->issued_at;
			h->root.data = s->root;
			h->root.len = CRYPTO_HASH_LEN;
		}
		a->holding_list[a->holding_count++] = h;
	}
}

static char *
written_key(const char *what, const char *policy)
{
	return mem_printf("%s/%s", what, policy);
}

int
fetch_written_keep(struct spoke_store *store, const char *policy,
    uint64_t applied, uint64_t refused, struct err *err)
{
	char *keys[] = {
	    written_key("applied", policy), written_key("refused", policy)};
	int rc = store_number_set(store, keys[0], applied, err);

	if (rc == 0)
		rc = store_number_set(store, keys[1], refused, err);
	free(keys[0]);
	free(keys[1]);
	return rc;
}

static int
written_add(struct acker *a, const char *what, uint64_t *total, struct err *err)
{
	const struct spoke_conf *conf = a->spoke->conf;

	for (size_t i = 0; i < conf->import_count; i++) {
		char *key = written_key(what, conf->imports[i].name);
		uint64_t n;
		int rc = store_number_get(a->spoke->store, key, &n, err);

		free(key);
		if (rc < 0)
			return -1;
		*total += n;
	}
	return 0;
}

/* Everything that the hub must know; sizes and times apart. */
static void
ack_hash(struct acker *a)
{
	const struct spoke *s = a->spoke;
	uint64_t registry = s->registry == NULL ? 0 : s->registry->version;
	struct buf buf;

	buf_init(&buf, 16 * 1024 * 1024);
	for (size_t i = 0; i < a->want_count; i++)
		buf_addf(&buf, "%s\n", a->wants[i]);
	crypto_sha256(buf_slice(&buf), a->wants_hash);
	/* Told once to a hub that fell behind: it gets ours. */
	buf_addf(&buf, "registry %llu %d\n", (unsigned long long)registry,
	    a->hub_registry != 0 && a->hub_registry < registry);
	buf_addf(&buf, "written %llu %llu\n", (unsigned long long)a->applied,
	    (unsigned long long)a->refused);
	buf_add(&buf, id_slice(&s->identity.instance));
	for (size_t i = 0; i < a->keys.count; i++)
		buf_add(&buf, slice_make(a->keys.keys[i].key.data,
				  a->keys.keys[i].key.len));
	for (size_t i = 0; i < a->holding_count; i++) {
		const Galr__Holding *h = &a->holdings[i];

		buf_addf(&buf, "%s/%s %llu %lld %s\n", h->member, h->stream,
		    (unsigned long long)h->version, (long long)h->issued_at,
		    h->refusal);
		buf_add(&buf, slice_make(h->root.data, h->root.len));
	}
	crypto_sha256(buf_slice(&buf), a->hash);
	buf_fini(&buf);
}

static void
payload_fill(struct acker *a, Galr__Payload *payload)
{
	struct spoke *s = a->spoke;

	payload->n_holdings = a->holding_count;
	payload->holdings = a->holding_list;
	payload->n_wants = a->want_count;
	payload->wants = a->wants;
	payload->instance.data = s->identity.instance.bytes;
	payload->instance.len = ID_LEN;
	payload->n_keys = a->keys.count;
	payload->keys = a->keys.list;
	if (s->registry == NULL)
		return;
	payload->registry_version = s->registry->version;
	/* A hub restored from a backup takes its registry back from us. */
	if (a->hub_registry < s->registry->version) {
		payload->registry.data =
		    (uint8_t *)(uintptr_t)s->registry->signed_bytes.data;
		payload->registry.len = s->registry->signed_bytes.len;
	}
}

static int
ack_seal(struct acker *a, uint64_t sequence, struct buf *out, struct err *err)
{
	struct spoke *s = a->spoke;
	Galr__Payload payload = GALR__PAYLOAD__INIT;
	struct envelope_recipient hub;
	const struct envelope_seal_options options = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_ACK,
	    .realm = s->identity.realm,
	    .sender = s->identity.member,
	    .recipients = &hub,
	    .recipient_count = 1,
	    .sequence = sequence,
	    .issued_at = a->now,
	    .not_after = a->now + ACK_LIFE_MS,
	    .sign_key = &s->keys.sign_active};
	struct buf plain;
	int rc = -1;

	spoke_hub_recipient(s, &hub);
	payload_fill(a, &payload);
	payload.applied = a->applied;
	payload.refused = a->refused;
	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	if (payload_pack(&payload, &plain, err) == 0)
		rc = envelope_seal(&options, buf_slice(&plain), out, err);
	buf_fini(&plain);
	return rc;
}

/* Puts the kept bytes where the front finds them; newer ones replace older. */
static int
ack_put(struct acker *a, struct err *err)
{
	struct spoke *s = a->spoke;
	char name[SPOOL_NAME_SIZE];
	uint64_t sequence;
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, LIMIT_ENVELOPE_BYTES);
	if (store_number_get(s->store, ACK_NOTE_SEQUENCE, &sequence, err) < 0 ||
	    store_note_get(s->store, ACK_NOTE_BYTES, &bytes, err) < 0)
		goto out;
	rc = 0;
	if (bytes.len == 0)
		goto out;
	(void)snprintf(
	    name, sizeof(name), "ack-%016llx", (unsigned long long)sequence);
	rc = spool_put(s->spool, SPOKE_PEER, SPOOL_OUT,
	    &(struct spool_put){.name = name, .envelope = buf_slice(&bytes)},
	    err);
	if (rc == 0)
		rc = spoke_out_clear(s, "ack-", name, err);
	if (rc == 0)
		rc = store_note_set(s->store, ACK_NOTE_BYTES, SLICE_NULL, err);
out:
	buf_fini(&bytes);
	return rc;
}

static int
ack_store(struct acker *a, struct err *err)
{
	struct spoke_store *store = a->spoke->store;
	struct buf sealed;
	uint64_t sequence;
	int rc = -1;

	buf_init(&sealed, LIMIT_ENVELOPE_BYTES);
	if (db_begin(store_db(store), err) < 0)
		goto out;
	if (store_sequence_next(store, GALR__ENVELOPE_TYPE__ENVELOPE_ACK,
		a->now, &sequence, err) < 0 ||
	    ack_seal(a, sequence, &sealed, err) < 0 ||
	    store_note_set(store, ACK_NOTE_BYTES, buf_slice(&sealed), err) <
		0 ||
	    store_number_set(store, ACK_NOTE_SEQUENCE, sequence, err) < 0 ||
	    store_note_set(store, ACK_NOTE_HASH,
		slice_make(a->hash, sizeof(a->hash)), err) < 0 ||
	    store_note_set(store, ACK_NOTE_WANTS,
		slice_make(a->wants_hash, sizeof(a->wants_hash)), err) < 0 ||
	    store_number_set(store, ACK_NOTE_SENT, (uint64_t)a->now, err) < 0 ||
	    store_number_set(store, FETCH_NOTE_ACK_DUE, 0, err) < 0) {
		db_rollback(store_db(store));
		goto out;
	}
	rc = db_commit(store_db(store), err);
out:
	buf_fini(&sealed);
	return rc;
}

static int
note_same(struct spoke_store *store, const char *key, const uint8_t hash[32],
    bool *out_same, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, 256);
	rc = store_note_get(store, key, &buf, err);
	*out_same = slice_equal(buf_slice(&buf), slice_make(hash, 32));
	buf_fini(&buf);
	return rc;
}

static int
ack_decide(struct acker *a, bool *out_send, bool *out_wants, struct err *err)
{
	struct spoke_store *store = a->spoke->store;
	uint64_t due, sent;
	bool same, same_wants;

	ack_hash(a);
	if (note_same(store, ACK_NOTE_HASH, a->hash, &same, err) < 0 ||
	    note_same(store, ACK_NOTE_WANTS, a->wants_hash, &same_wants, err) <
		0 ||
	    store_number_get(store, FETCH_NOTE_ACK_DUE, &due, err) < 0 ||
	    store_number_get(store, ACK_NOTE_SENT, &sent, err) < 0)
		return -1;
	/* A spoke that only exports has nothing to acknowledge. */
	if (a->want_count == 0 && a->holding_count == 0 && sent == 0 &&
	    a->keys.count == 0) {
		*out_send = due != 0;
		return 0;
	}
	*out_send = !same || due != 0 ||
		    sent + ACK_REPEAT_MS <= (uint64_t)a->now ||
		    sent > (uint64_t)a->now + LIMIT_SKEW_MS;
	*out_wants = !same_wants;
	return 0;
}

/* Where this state lies: file, and boot of the machine. A copy that came back
 * from a backup has another inode change time, a machine that came back from a
 * snapshot another boot; neither can be carried over. */
static void
place_describe(const struct spoke *spoke, struct buf *out)
{
	char *path = spoke_conf_state_path(spoke->conf, "identity");
	struct stat st;

	if (stat(path, &st) == 0)
		buf_addf(out, "%llu %lld.%09ld ", (unsigned long long)st.st_ino,
		    (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	if (fsio_read("/proc/sys/kernel/random/boot_id", out, NULL) < 0)
		buf_add_str(out, "-");
	free(path);
}

/* A state that may have been restored says what it holds, because the hub may
 * believe more of it. The same after each boot: one small message. */
static int
place_check(struct spoke *spoke, bool *out_moved, struct err *err)
{
	struct buf now, before;
	int rc = -1;

	buf_init(&now, 512);
	buf_init(&before, 512);
	place_describe(spoke, &now);
	if (store_note_get(spoke->store, ACK_NOTE_PLACE, &before, err) < 0)
		goto out;
	rc = 0;
	if (slice_equal(buf_slice(&now), buf_slice(&before)))
		goto out;
	/* At first there is nothing to repeat. */
	*out_moved = before.len > 0;
	if (*out_moved)
		rc = store_number_set(spoke->store, FETCH_NOTE_ACK_DUE, 1, err);
	if (rc == 0)
		rc = store_note_set(
		    spoke->store, ACK_NOTE_PLACE, buf_slice(&now), err);
out:
	buf_fini(&now);
	buf_fini(&before);
	return rc;
}

static void
acker_fini(struct acker *a)
{
	for (size_t i = 0; i < a->want_count; i++)
		free(a->wants[i]);
	free(a->wants);
	free(a->holdings);
	free(a->holding_list);
	free(a->streams);
}

int
fetch_acknowledge(
    struct spoke *spoke, bool *out_sent, bool *out_answer, struct err *err)
{
	struct acker a = {.spoke = spoke, .now = clock_now_ms()};
	bool moved = false;
	int rc = -1;

	*out_sent = false;
	*out_answer = false;
	if (place_check(spoke, &moved, err) < 0 ||
	    store_number_get(spoke->store, FETCH_NOTE_HUB_REGISTRY,
		&a.hub_registry, err) < 0 ||
	    store_streams_list(spoke->store, &a.streams, &a.stream_count, err) <
		0)
		return -1;
	wants_collect(&a);
	holdings_collect(&a);
	rotate_announce(spoke, &a.keys);
	if (written_add(&a, "applied", &a.applied, err) < 0 ||
	    written_add(&a, "refused", &a.refused, err) < 0)
		goto out;
	if (ack_decide(&a, out_sent, out_answer, err) < 0)
		goto out;
	*out_answer = *out_answer || moved;
	if (*out_sent && ack_store(&a, err) < 0)
		goto out;
	rc = ack_put(&a, err);
out:
	acker_fini(&a);
	return rc;
}
