/* Sealing a bundle, and bringing it to its out box. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "hub/publish.h"

#define FLIGHT_REGISTRY 0
#define FLIGHT_ASK (-1)
/* Backoff of repeats: 1, 2, 4 ... times the first, at most. */
#define RESEND_DOUBLINGS 8
/* Repeats of a refused bundle before they come by the hour. */
#define RESEND_PASSING 4
/* Manifests in one bundle; the rest of the payload is registry and holdings.
 * Those that are no longer than most go first, so that nobody's long audiences
 * keep others' streams back. */
#define BUNDLE_MANIFEST_BYTES (LIMIT_PAYLOAD_BYTES / 4)
#define BUNDLE_MANIFEST_SHORT 4096

struct bundle {
	struct publish *publish;
	struct publish_plan *plan;
	uint64_t sequence;
	struct envelope_recipient to;
	struct bundle_kek kek;
	uint8_t enc[32];
	Galr__Payload payload;
	Galr__Tuple *tuples;
	Galr__Tuple **tuple_list;
	uint8_t (*wraps)[CRYPTO_WRAPPED_LEN];
	uint8_t (*hashes)[CRYPTO_HASH_LEN];
	struct target_bundle out;
	size_t manifest_bytes;
};

void
publish_bundle_name(uint64_t sequence, char out[SPOOL_NAME_SIZE])
{
	(void)snprintf(
	    out, SPOOL_NAME_SIZE, "bun-%016llx", (unsigned long long)sequence);
}

static int64_t
bundle_resend(const struct hub *hub, uint32_t attempts, bool refused)
{
	uint32_t doublings =
	    attempts < RESEND_DOUBLINGS ? attempts : RESEND_DOUBLINGS;
	int64_t wait = hub->conf->resend_ms << doublings;

	/* A refusal may have been the carrier's doing, so a few repeats come as
	 * usual. What is refused each time will be until somebody does
	 * something; then its acknowledgement changes. */
	if (refused && attempts >= RESEND_PASSING && wait < CLOCK_HOUR_MS)
		wait = CLOCK_HOUR_MS;
	return hub->now_ms + wait;
}

static int
bundle_recipient(struct bundle *b, struct err *err)
{
	const struct registry_key *key =
	    registry_active_key(b->plan->member, REGISTRY_DECRYPT);

	if (key == NULL)
		return err_set(err, ERR_BAD_DATA, "%s has no decryption key",
		    b->plan->target.name);
	b->to.name = b->plan->member->name;
	b->to.key_id = key->id;
	memcpy(b->to.public_key, key->public_key, 32);
	return 0;
}

static int
bundle_kek(struct bundle *b, struct err *err)
{
	if (b->payload.kek_enc.len > 0)
		return 0;
	if (bundle_kek_make(&b->to, &b->publish->hub->registry->realm,
		b->sequence, &b->kek, b->enc, err) < 0)
		return -1;
	b->payload.kek_enc.data = b->enc;
	b->payload.kek_enc.len = sizeof(b->enc);
	b->payload.kek_key_id.data = b->to.key_id.bytes;
	b->payload.kek_key_id.len = ID_LEN;
	return 0;
}

/* Wraps are numbered by the tuple's place. */
static int
bundle_section(struct bundle *b, Galr__Tuple *tuple,
    const struct store_section *section, struct err *err)
{
	size_t n = b->payload.n_tuples;
	struct spool_blob *blob = &b->out.blobs[b->out.blob_count];

	if (bundle_kek(b, err) < 0 ||
	    bundle_key_wrap(&b->kek, (uint32_t)n, section->sha256, section->key,
		b->wraps[n], err) < 0)
		return -1;
	memcpy(b->hashes[n], section->sha256, CRYPTO_HASH_LEN);
	tuple->base_version = section->base;
	tuple->section_sha256.data = b->hashes[n];
	tuple->section_sha256.len = CRYPTO_HASH_LEN;
	tuple->section_length = section->length;
	tuple->section_key.data = b->wraps[n];
	tuple->section_key.len = CRYPTO_WRAPPED_LEN;
	memcpy(blob->sha256, section->sha256, CRYPTO_HASH_LEN);
	blob->length = section->length;
	b->out.blob_count++;
	return 0;
}

static int
bundle_flight(
    struct bundle *b, const struct target_flight *flight, struct err *err)
{
	return target_flight_put(
	    b->publish->hub->store, b->plan->target.name, flight, err);
}

static int
bundle_item(struct bundle *b, const struct publish_item *item, struct err *err)
{
	const struct store_stream *row = b->publish->streams[item->index].row;
	Galr__Tuple *tuple = &b->tuples[b->payload.n_tuples];
	struct target_flight flight = {.stream = row->id,
	    .version = row->version,
	    .issued_at = row->issued_at,
	    .hold_version = item->hold_version,
	    .refused = item->refused,
	    .attempts = item->attempts + 1};
	struct store_section section;
	bool content = item->content;
	struct err why = {0};

	galr__tuple__init(tuple);
	if (content &&
	    publish_section(b->publish, item->index, item->hold_version,
		item->hold_root, &section, &why) < 0) {
		/* One stream never blocks the others. An end needs no content:
		 * its statement goes alone. */
		if (!row->ended) {
			log_err(&why, "section not made member=%s stream=%s",
			    row->member, row->stream);
			return 0;
		}
		content = false;
	}
	tuple->manifest = galr__signed_manifest__unpack(
	    NULL, row->manifest.len, row->manifest.data);
	if (tuple->manifest == NULL)
		return err_set(err, ERR_INTERNAL,
		    "the stored manifest of %s/%s does not parse", row->member,
		    row->stream);
	b->tuple_list[b->payload.n_tuples] = tuple;
	if (content && bundle_section(b, tuple, &section, err) < 0) {
		b->payload.n_tuples++;
		return -1;
	}
	b->payload.n_tuples++;
	flight.resend_at =
	    bundle_resend(b->publish->hub, item->attempts, item->refused);
	return bundle_flight(b, &flight, err);
}

/* What does not fit waits for the acknowledgement of what does. */
static int
bundle_items(struct bundle *b, bool longer, struct err *err)
{
	struct publish_plan *plan = b->plan;

	for (size_t i = 0; i < plan->item_count; i++) {
		const struct publish_item *item = &plan->items[i];
		size_t len = b->publish->streams[item->index].row->manifest.len;

		/* What is on its way already goes again only when this bundle
		 * replaces the one that carries it. */
		if ((!item->due && !plan->waiting) ||
		    (len > BUNDLE_MANIFEST_SHORT) != longer ||
		    b->manifest_bytes + len > BUNDLE_MANIFEST_BYTES)
			continue;
		b->manifest_bytes += len;
		if (bundle_item(b, item, err) < 0)
			return -1;
	}
	return 0;
}

static int
bundle_registry(struct bundle *b, struct err *err)
{
	const struct registry *registry = b->publish->hub->registry;
	struct publish_plan *plan = b->plan;
	struct target_flight flight = {.version = registry->version,
	    .hold_version = plan->target.registry_version,
	    .attempts = plan->meta_attempts + 1};

	b->payload.registry_version = registry->version;
	if (!plan->registry && !plan->ask)
		return 0;
	/* On its way already, and not in what this bundle replaces. */
	if (!plan->meta_due && !plan->waiting)
		return 0;
	if (plan->registry) {
		b->payload.registry.data =
		    (uint8_t *)registry->signed_bytes.data;
		b->payload.registry.len = registry->signed_bytes.len;
	}
	flight.stream = plan->registry ? FLIGHT_REGISTRY : FLIGHT_ASK;
	flight.resend_at =
	    bundle_resend(b->publish->hub, plan->meta_attempts, false);
	return bundle_flight(b, &flight, err);
}

/* What we hold of the member's own streams. */
static void
bundle_holdings(struct bundle *b)
{
	struct publish *publish = b->publish;
	struct arena *arena = publish->arena;
	const struct target *target = &b->plan->target;
	char *why =
	    (char *)(target->hold[0] != '\0' ? target->hold : target->notice);

	b->payload.holdings = arena_calloc(
	    arena, publish->count + 1, sizeof(b->payload.holdings[0]));
	for (size_t i = 0; i < publish->count; i++) {
		struct store_stream *row = &publish->rows[i];
		Galr__Holding *h;

		if (!registry_name_equal(row->member, target->name) ||
		    b->payload.holdings == NULL)
			continue;
		h = arena_calloc(arena, 1, sizeof(*h));
		if (h == NULL)
			break;
		galr__holding__init(h);
		h->member = row->member;
		h->stream = row->stream;
		h->version = row->version;
		h->root.data = row->root;
		h->root.len = CRYPTO_HASH_LEN;
		h->issued_at = row->issued_at;
		h->refusal = why[0] != '\0' ? why : row->refusal;
		b->payload.holdings[b->payload.n_holdings++] = h;
	}
}

/* Which publish our holdings answer. */
static int
bundle_answers(struct bundle *b, struct err *err)
{
	const struct target *target = &b->plan->target;
	struct envelope_seen seen;

	if (store_seen_get(b->publish->hub->store, target->name,
		GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH, &seen, err) < 0)
		return -1;
	b->payload.answers = seen.sequence;
	if (target->notice[0] != '\0' &&
	    target->notice_sequence > seen.sequence)
		b->payload.answers = target->notice_sequence;
	return 0;
}

static int
bundle_seal(struct bundle *b, struct err *err)
{
	struct hub *hub = b->publish->hub;
	struct envelope_seal_options options = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE,
	    .realm = hub->registry->realm,
	    .sender = "",
	    .recipients = &b->to,
	    .recipient_count = 1,
	    .sequence = b->sequence,
	    .issued_at = hub->now_ms,
	    .not_after = hub->now_ms + hub->conf->bundle_lifetime_ms,
	    .sign_key = &hub->keys.sign_active};
	struct buf plain;
	int rc = -1;

	buf_init(&plain, LIMIT_PAYLOAD_BYTES);
	if (payload_pack(&b->payload, &plain, err) == 0)
		rc = envelope_seal(
		    &options, buf_slice(&plain), &b->out.envelope, err);
	buf_cleanse(&plain);
	return rc;
}

static int
bundle_store(struct bundle *b, struct err *err)
{
	struct target *target = &b->plan->target;
	struct store *store = b->publish->hub->store;

	(void)snprintf(b->out.name, sizeof(b->out.name), "%s", target->name);
	b->out.sequence = b->sequence;
	b->out.replaces = b->plan->waiting ? target->sequence : 0;
	target->sequence = b->sequence;
	target->made_at = b->publish->hub->now_ms;
	memcpy(target->told, b->plan->told, CRYPTO_HASH_LEN);
	target->owed = false;
	/* Also of what an earlier bundle carries: that one may get lost. */
	if (target_resend(store, target->name,
		b->publish->hub->now_ms + b->publish->hub->conf->resend_ms,
		&target->resend_at, err) < 0 ||
	    target_bundle_put(store, &b->out, err) < 0)
		return -1;
	return target_put(store, target, err);
}

static void
bundle_fini(struct bundle *b)
{
	for (size_t i = 0; i < b->payload.n_tuples; i++)
		galr__signed_manifest__free_unpacked(
		    b->tuples[i].manifest, NULL);
	crypto_cleanse(&b->kek, sizeof(b->kek));
	free(b->tuples);
	free(b->tuple_list);
	free(b->wraps);
	free(b->hashes);
	target_bundle_fini(&b->out);
}

int
publish_bundle(
    struct publish *publish, struct publish_plan *plan, struct err *err)
{
	struct bundle b = {.publish = publish, .plan = plan};
	size_t n = plan->item_count + 1;
	int rc = -1;

	galr__payload__init(&b.payload);
	buf_init(&b.out.envelope, LIMIT_ENVELOPE_BYTES);
	b.tuples = mem_calloc(n, sizeof(*b.tuples));
	b.tuple_list = mem_calloc(n, sizeof(Galr__Tuple *));
	b.wraps = mem_calloc(n, sizeof(*b.wraps));
	b.hashes = mem_calloc(n, sizeof(*b.hashes));
	b.out.blobs = mem_calloc(n, sizeof(*b.out.blobs));
	b.payload.tuples = b.tuple_list;
	b.sequence = envelope_next(plan->target.sequence, publish->hub->now_ms);
	if (bundle_recipient(&b, err) < 0)
		goto out;
	if (bundle_items(&b, false, err) < 0 || bundle_items(&b, true, err) < 0)
		goto out;
	bundle_holdings(&b);
	if (bundle_answers(&b, err) < 0 || bundle_registry(&b, err) < 0 ||
	    bundle_seal(&b, err) < 0 || bundle_store(&b, err) < 0)
		goto out;
	rc = 0;
out:
	bundle_fini(&b);
	return rc;
}

static int
flush_one(struct publish *publish, const struct target_bundle *bundle,
    struct err *err)
{
	struct hub *hub = publish->hub;
	char name[SPOOL_NAME_SIZE];
	char **paths = mem_calloc(bundle->blob_count + 1, sizeof(char *));
	int rc;

	for (size_t i = 0; i < bundle->blob_count; i++)
		paths[i] = hub_blob_path(hub->conf, bundle->blobs[i].sha256);
	publish_bundle_name(bundle->sequence, name);
	rc = spool_put(hub->spool, bundle->name, SPOOL_OUT,
	    &(struct spool_put){.name = name,
		.envelope = buf_slice(&bundle->envelope),
		.blobs = bundle->blobs,
		.blob_paths = (const char *const *)paths,
		.blob_count = bundle->blob_count},
	    err);
	if (rc == 0 && bundle->replaces != 0) {
		publish_bundle_name(bundle->replaces, name);
		rc = spool_drop(hub->spool, bundle->name, SPOOL_OUT, name, err);
	}
	for (size_t i = 0; i < bundle->blob_count; i++)
		free(paths[i]);
	free(paths);
	return rc;
}

/* Puts what waits; *out_count: how many were put. */
static int
flush_puts(struct publish *publish, size_t *out_count, struct err *err)
{
	struct hub *hub = publish->hub;
	char after[STORE_NAME_SIZE] = "";
	struct target_bundle bundle;
	struct err why = {0};
	int rc;

	*out_count = 0;
	while ((rc = target_bundle_next(hub->store, after, &bundle, err)) > 0) {
		(void)snprintf(after, sizeof(after), "%s", bundle.name);
		if (hub_member(hub, bundle.name) != NULL &&
		    flush_one(publish, &bundle, &why) < 0) {
			/* Quota or disk: it stays in hub.db and goes later. */
			log_err(&why, "bundle waits target=%s", bundle.name);
			publish->result->waiting++;
		} else {
			publish->result->bundles++;
			(*out_count)++;
			rc = target_bundle_drop(hub->store, bundle.name, err);
		}
		target_bundle_fini(&bundle);
		if (rc < 0)
			return -1;
	}
	return rc;
}

int
publish_flush(struct publish *publish, struct err *err)
{
	struct hub *hub = publish->hub;
	size_t count;

	if (store_commit(hub->store, err) < 0 ||
	    flush_puts(publish, &count, err) < 0)
		return -1;
	/* Until the sync has passed, hub.db still has the rows. */
	if (count > 0 && spool_sync(hub->spool, err) < 0)
		return -1;
	return store_commit(hub->store, err);
}
