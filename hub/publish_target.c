/* What one target needs. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "hub/publish.h"

/* The registry and the question for a newer one travel like streams. */
#define FLIGHT_REGISTRY 0
#define FLIGHT_ASK (-1)

static int
holding_compare(const void *a, const void *b)
{
	const Galr__Holding *const *x = a, *const *y = b;
	int order = slice_compare_case(
	    slice_str((*x)->member), slice_str((*y)->member));

	return order != 0 ? order
			  : slice_compare_case(slice_str((*x)->stream),
				slice_str((*y)->stream));
}

static const Galr__Holding *
plan_holding(const struct publish_plan *plan, const struct store_stream *row)
{
	Galr__Holding key = GALR__HOLDING__INIT;
	const Galr__Holding *const pointer = &key;
	Galr__Holding **found;

	if (plan->ack == NULL || plan->ack->n_holdings == 0)
		return NULL;
	key.member = (char *)row->member;
	key.stream = (char *)row->stream;
	found = bsearch(&pointer, plan->ack->holdings, plan->ack->n_holdings,
	    sizeof(plan->ack->holdings[0]), holding_compare);
	return found == NULL ? NULL : *found;
}

bool
publish_audience_has(const struct store_stream *row, const char *name)
{
	char needle[STORE_NAME_SIZE + 2];
	size_t n = 0;

	if (row->audience[0] == '\0')
		return true;
	needle[n++] = '\n';
	for (; *name != '\0' && n < sizeof(needle) - 2; name++)
		needle[n++] =
		    (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a'
							: *name);
	needle[n++] = '\n';
	needle[n] = '\0';
	return strstr(row->audience, needle) != NULL;
}

static bool
plan_wants(const struct publish_plan *plan, const char *tag)
{
	if (plan->ack == NULL)
		return false;
	for (size_t i = 0; i < plan->ack->n_wants; i++)
		if (registry_tag_match(plan->ack->wants[i], tag))
			return true;
	return false;
}

static bool
plan_entitled(
    const struct publish_plan *plan, const struct publish_stream *stream)
{
	return stream->open && plan->target.hold[0] == '\0' &&
	       !registry_name_equal(stream->row->member, plan->target.name) &&
	       publish_audience_has(stream->row, plan->target.name) &&
	       plan_wants(plan, stream->row->tag);
}

static const struct target_flight *
plan_flight(const struct publish_plan *plan, int64_t stream)
{
	for (size_t i = 0; i < plan->flight_count; i++)
		if (plan->flights[i].stream == stream)
			return &plan->flights[i];
	return NULL;
}

/* A target that holds more than we do: this hub was restored. Its source is
 * told what we hold, once for each such version. */
static int
plan_behind(struct publish *publish, const Galr__Holding *holding,
    struct store_stream *row, struct err *err)
{
	if (holding->version <= row->version ||
	    holding->version <= row->asked_version ||
	    holding->version > INT64_MAX)
		return 0;
	log_warn("a target holds more than this hub member=%s stream=%s "
		 "held=%llu here=%llu",
	    row->member, row->stream, (unsigned long long)holding->version,
	    (unsigned long long)row->version);
	row->asked_version = holding->version;
	if (store_stream_put(publish->hub->store, row, false, err) < 0)
		return -1;
	return target_touch(publish->hub->store, row->member, true, err);
}

/* 1 when the target needs something of that stream, 0 not, -1. */
static int
plan_stream(struct publish *publish, struct publish_plan *plan, size_t index,
    struct err *err)
{
	struct publish_stream *stream = &publish->streams[index];
	const struct store_stream *row = stream->row;
	const Galr__Holding *holding = plan_holding(plan, row);
	struct publish_item *item = &plan->items[plan->item_count];
	const struct target_flight *flight;

	if (holding != NULL &&
	    plan_behind(publish, holding, stream->row, err) < 0)
		return -1;
	if (row->version == 0 || !plan_entitled(plan, stream))
		return 0;
	memset(item, 0, sizeof(*item));
	item->index = index;
	if (holding != NULL && holding->root.len == CRYPTO_HASH_LEN) {
		item->hold_version = holding->version;
		memcpy(item->hold_root, holding->root.data, CRYPTO_HASH_LEN);
		item->refused = holding->refusal[0] != '\0';
	}
	if (item->hold_version > row->version ||
	    (row->ended && item->hold_version == 0) ||
	    (item->hold_version == row->version &&
		holding->issued_at >= row->issued_at &&
		memcmp(item->hold_root, row->root, CRYPTO_HASH_LEN) == 0))
		return 0;
	/* The same version with another root: its copy decayed, a full mends
	 * it (publish_section() finds the state was never recorded). */
	item->content =
	    item->hold_version != row->version ||
	    memcmp(item->hold_root, row->root, CRYPTO_HASH_LEN) != 0;
	flight = plan_flight(plan, row->id);
	item->due = flight == NULL || flight->version != row->version ||
		    flight->issued_at != row->issued_at ||
		    flight->hold_version != item->hold_version ||
		    (flight->refused && !item->refused) ||
		    flight->resend_at <= publish->hub->now_ms;
	if (flight != NULL && flight->version == row->version &&
	    flight->issued_at == row->issued_at &&
	    flight->hold_version == item->hold_version)
		item->attempts = flight->attempts;
	plan->item_count++;
	return 1;
}

/* What we say of the member's own streams, as one digest: changed, it is told
 * again. */
static void
plan_told(struct publish *publish, struct publish_plan *plan)
{
	struct crypto_hash *hash = crypto_hash_new();
	bool any = plan->target.hold[0] != '\0';
	struct buf text;

	buf_init(&text, 64 * 1024);
	for (size_t i = 0; i < publish->count; i++) {
		const struct store_stream *row = &publish->rows[i];

		if (!registry_name_equal(row->member, plan->target.name))
			continue;
		any = true;
		buf_reset(&text);
		buf_addf(&text, "%s\n%llu\n%lld\n%s\n", row->stream,
		    (unsigned long long)row->version, (long long)row->issued_at,
		    row->refusal);
		buf_add(&text, slice_make(row->root, CRYPTO_HASH_LEN));
		crypto_hash_add(hash, buf_slice(&text));
	}
	crypto_hash_add(hash, slice_str(plan->target.hold));
	crypto_hash_add(hash, slice_str(plan->target.notice));
	crypto_hash_final(hash, plan->told);
	/* Who publishes nothing has nothing to be told. */
	if (!any)
		memset(plan->told, 0, CRYPTO_HASH_LEN);
	crypto_hash_free(hash);
	buf_fini(&text);
	plan->owed = plan->target.owed || memcmp(plan->told, plan->target.told,
					      CRYPTO_HASH_LEN) != 0;
}

static void
plan_registry(struct publish *publish, struct publish_plan *plan)
{
	uint64_t ours = publish->hub->registry->version;
	uint64_t theirs = plan->target.registry_version;
	const struct target_flight *flight;

	plan->registry = theirs < ours;
	plan->ask = theirs > ours;
	if (!plan->registry && !plan->ask)
		return;
	flight =
	    plan_flight(plan, plan->registry ? FLIGHT_REGISTRY : FLIGHT_ASK);
	plan->meta_due = flight == NULL || flight->version != ours ||
			 flight->hold_version != theirs ||
			 flight->resend_at <= publish->hub->now_ms;
	if (flight != NULL && flight->version == ours &&
	    flight->hold_version == theirs)
		plan->meta_attempts = flight->attempts;
}

/* Is the last bundle still in the out box? */
static int
plan_waiting(
    struct publish *publish, struct publish_plan *plan, struct err *err)
{
	char name[SPOOL_NAME_SIZE], after[SPOOL_NAME_SIZE] = "";
	struct spool_message message;
	int rc;

	if (plan->target.sequence == 0)
		return 0;
	publish_bundle_name(plan->target.sequence, name);
	while (
	    (rc = spool_next(publish->hub->spool, plan->target.name, SPOOL_OUT,
		 after[0] == '\0' ? NULL : after, &message, err)) > 0) {
		(void)snprintf(after, sizeof(after), "%s", message.name);
		spool_message_fini(&message);
		if (strcmp(after, name) == 0) {
			plan->waiting = true;
			return 0;
		}
	}
	return rc;
}

/* Flights that landed, or that are not for this target any more. */
static int
plan_flights_clean(
    struct publish *publish, struct publish_plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->flight_count; i++) {
		const struct target_flight *flight = &plan->flights[i];
		bool needed =
		    (flight->stream == FLIGHT_REGISTRY && plan->registry) ||
		    (flight->stream == FLIGHT_ASK && plan->ask);
		bool entitled = flight->stream <= 0;

		for (size_t k = 0; k < plan->item_count && !needed; k++)
			needed =
			    publish->streams[plan->items[k].index].row->id ==
			    flight->stream;
		if (needed)
			continue;
		for (size_t k = 0; k < publish->count && !entitled; k++)
			entitled = publish->rows[k].id == flight->stream &&
				   plan_entitled(plan, &publish->streams[k]);
		plan->withdraw = plan->withdraw || (!entitled && plan->waiting);
		if (target_flight_drop(publish->hub->store, plan->target.name,
			flight->stream, err) < 0)
			return -1;
	}
	return 0;
}

static int
plan_ack(struct publish *publish, struct publish_plan *plan, struct err *err)
{
	Galr__Payload *ack;

	if (plan->target.ack.len == 0)
		return 0;
	if (payload_unpack(
		buf_slice(&plan->target.ack), publish->arena, &ack, err) < 0)
		return err_prepend(err, "stored acknowledgement");
	if (ack->n_holdings > 1)
		qsort(ack->holdings, ack->n_holdings, sizeof(ack->holdings[0]),
		    holding_compare);
	plan->ack = ack;
	return 0;
}

int
publish_plan(struct publish *publish, const char *name,
    struct publish_plan *plan, struct err *err)
{
	struct store *store = publish->hub->store;

	memset(plan, 0, sizeof(*plan));
	arena_reset(publish->arena);
	if (target_get(store, name, &plan->target, err) < 0 ||
	    target_flights(
		store, name, &plan->flights, &plan->flight_count, err) < 0 ||
	    plan_ack(publish, plan, err) < 0)
		return -1;
	plan->member = hub_member(publish->hub, name);
	plan->items = mem_calloc(publish->count + 1, sizeof(*plan->items));
	for (size_t i = 0; i < publish->count; i++)
		if (plan->item_count < LIMIT_TUPLES &&
		    plan_stream(publish, plan, i, err) < 0)
			return -1;
	plan_told(publish, plan);
	plan_registry(publish, plan);
	if (plan_waiting(publish, plan, err) < 0)
		return -1;
	return plan_flights_clean(publish, plan, err);
}

void
publish_plan_fini(struct publish_plan *plan)
{
	target_fini(&plan->target);
	free(plan->flights);
	free(plan->items);
}
