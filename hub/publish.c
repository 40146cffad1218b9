#include "hub/publish.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"

/* Targets between two commits. */
#define PUBLISH_BATCH 64

static int
streams_load(struct publish *publish, struct err *err)
{
	if (store_streams(publish->hub->store, NULL, &publish->rows,
		&publish->count, err) < 0 ||
	    store_generation(publish->hub->store, &publish->generation, err) <
		0)
		return -1;
	publish->streams =
	    mem_calloc(publish->count + 1, sizeof(*publish->streams));
	for (size_t i = 0; i < publish->count; i++) {
		struct publish_stream *stream = &publish->streams[i];
		const struct registry_member *member =
		    hub_member(publish->hub, publish->rows[i].member);

		stream->row = &publish->rows[i];
		stream->open = member != NULL && !registry_stream_ended(member,
						     stream->row->stream);
	}
	return 0;
}

static void
streams_free(struct publish *publish)
{
	for (size_t i = 0; i < publish->count; i++) {
		free(publish->streams[i].memos);
		if (publish->streams[i].sections != NULL)
			crypto_cleanse(publish->streams[i].sections,
			    publish->streams[i].section_count *
				sizeof(struct store_section));
		free(publish->streams[i].sections);
	}
	free(publish->streams);
	store_streams_free(publish->rows, publish->count);
}

/* Something to say that is not on its way already? */
static bool
plan_speaks(const struct publish *publish, const struct publish_plan *plan)
{
	bool due = plan->meta_due;
	bool fresh = false;

	for (size_t i = 0; i < plan->item_count; i++) {
		due = due || plan->items[i].due;
		fresh = fresh ||
			(plan->items[i].due && plan->items[i].attempts == 0);
	}
	if (plan->owed || plan->withdraw || fresh ||
	    (plan->meta_due && plan->meta_attempts == 0))
		return true;
	/* A repeat of what nobody fetched yet says nothing, as long as the one
	 * that waits stays valid. */
	if (plan->waiting)
		return due && publish->hub->now_ms - plan->target.made_at >
				  publish->hub->conf->bundle_lifetime_ms / 2;
	return due;
}

/* Nothing to say: when to look again. */
static int
plan_rest(struct publish *publish, struct publish_plan *plan, struct err *err)
{
	struct target *target = &plan->target;
	struct hub *hub = publish->hub;

	if (target_resend(hub->store, target->name,
		hub->now_ms + hub->conf->resend_ms, &target->resend_at,
		err) < 0)
		return -1;
	return target_put(hub->store, target, err);
}

static int
publish_target(struct publish *publish, const char *name, struct err *err)
{
	struct publish_plan plan;
	int rc = publish_plan(publish, name, &plan, err);

	if (rc < 0)
		goto out;
	plan.target.dirty = false;
	plan.target.generation = publish->generation;
	publish->result->targets++;
	if (plan.member == NULL)
		rc = target_remove(publish->hub->store, name, err);
	else if (plan_speaks(publish, &plan))
		rc = publish_bundle(publish, &plan, err);
	else
		rc = plan_rest(publish, &plan, err);
out:
	publish_plan_fini(&plan);
	return rc;
}

static int
publish_targets(struct publish *publish, struct err *err)
{
	struct hub *hub = publish->hub;
	size_t batch = 0;
	char **names;
	int rc = 0;

	if (target_due(
		hub->store, publish->generation, hub->now_ms, &names, err) < 0)
		return -1;
	for (size_t i = 0; names[i] != NULL && rc == 0; i++) {
		struct err why = {0};

		if (publish_target(publish, names[i], &why) < 0) {
			if (why.class == ERR_IO || why.class == ERR_TEMPORARY) {
				rc = -1;
				*err = why;
				break;
			}
			/* One target never blocks the others. */
			log_err(&why, "no bundle made target=%s", names[i]);
		}
		if (++batch == PUBLISH_BATCH) {
			batch = 0;
			rc = publish_flush(publish, err);
		}
	}
	spool_peers_free(names);
	return rc == 0 ? publish_flush(publish, err) : -1;
}

int
publish_run(struct hub *hub, struct publish_result *out_result, struct err *err)
{
	struct publish publish = {.hub = hub, .result = out_result};
	int rc = -1;

	memset(out_result, 0, sizeof(*out_result));
	hub->now_ms = clock_now_ms();
	publish.arena = arena_new(2 * (size_t)LIMIT_UNPACK_BYTES);
	/* What a pass that died left behind comes first. */
	if (publish_flush(&publish, err) < 0 ||
	    streams_load(&publish, err) < 0 ||
	    publish_targets(&publish, err) < 0 ||
	    publish_blobs_purge(hub, err) < 0 ||
	    target_next_due(hub->store, &out_result->next_due, err) < 0)
		goto out;
	rc = store_commit(hub->store, err);
out:
	if (rc < 0)
		store_rollback(hub->store);
	publish_replica_close(&publish);
	streams_free(&publish);
	arena_free(publish.arena);
	return rc;
}
