#include "spoke/wait.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/feed.h"
#include "spoke/export/shape/named.h"
#include "spoke/forest.h"

#define WAIT_MARK_MAX 8192
/* Of several naming contexts each is listened to in turn so long. */
#define WAIT_TURN_MS CLOCK_SECOND_MS

/* One naming context that some export reads. */
struct watch {
	const struct forest_context *context;
	struct buf mark; /* at the call */
};

static bool
policy_reads(
    const struct export_policy *p, const struct forest *forest, size_t index)
{
	/* Managers come along from anywhere. */
	if (named_managers(p))
		return true;
	for (size_t i = 0; i < p->base_count; i++) {
		const struct export_base *base = &p->bases[i];
		size_t at = FOREST_NONE;

		/* Members too. */
		if (base->ou != NULL && base->groups == EXPORT_GROUPS_ITSELF)
			at = forest_find(forest, base->ou);
		/* A search looks everywhere, and so does an id. */
		if (at == index || at == FOREST_NONE)
			return true;
	}
	return false;
}

static bool
is_followed(
    const struct spoke_conf *conf, const struct forest *forest, size_t index)
{
	for (size_t i = 0; i < conf->export_count; i++) {
		const struct export_policy *p = &conf->exports[i];

		if (p->enabled && p->settle_ms > 0 &&
		    policy_reads(p, forest, index))
			return true;
	}
	return false;
}

static int
watches_open(const struct spoke_conf *conf, struct forest *forest,
    struct watch *list, size_t *out_count, struct err *err)
{
	*out_count = 0;
	for (size_t i = 0; i < forest_count(forest); i++) {
		struct watch *w = &list[*out_count];

		if (!is_followed(conf, forest, i))
			continue;
		if (forest_context(forest, i, &w->context, err) < 0)
			return -1;
		buf_init(&w->mark, WAIT_MARK_MAX);
		++*out_count;
		if (dialect_mark(w->context->session, w->context->dialect,
			&w->mark, err) < 0)
			return -1;
		if (w->mark.len == 0)
			log_warn("settle does nothing here, runs keep to "
				 "schedule: the server shows nothing that "
				 "changes would move; on OpenLDAP load the "
				 "overlay syncprov and let the account read "
				 "contextCSN server=%s context=%s",
			    session_uri(w->context->session),
			    log_text(slice_str(w->context->dn)));
	}
	return 0;
}

static int
watch_wait(struct watch *w, int64_t timeout_ms, struct err *err)
{
	const struct feed_wait_options options = {.base = w->context->dn,
	    .mark = buf_slice(&w->mark),
	    .timeout_ms = timeout_ms};

	return feed_wait(
	    w->context->session, w->context->dialect, &options, err);
}

static int
watches_wait(
    struct watch *list, size_t count, int64_t timeout_ms, struct err *err)
{
	int64_t end = clock_mono_ms() + timeout_ms;
	int rc = 0;

	if (count == 1)
		return watch_wait(list, timeout_ms, err);
	for (size_t i = 0; rc == 0 && clock_mono_ms() < end; i++)
		rc = watch_wait(&list[i % count], WAIT_TURN_MS, err);
	return rc;
}

int
wait_for_change(const struct spoke_conf *conf,
    const struct wait_options *options, struct err *err)
{
	struct forest *forest = NULL;
	struct watch *list = NULL;
	size_t count = 0;
	int rc = -1;

	if (forest_open(conf, &forest, err) == 0) {
		list = mem_calloc(forest_count(forest), sizeof(*list));
		rc = watches_open(conf, forest, list, &count, err);
	}
	if (rc == 0)
		options->listening(options->arg);
	if (rc == 0 && count > 0)
		rc = watches_wait(list, count, options->timeout_ms, err);
	for (size_t i = 0; i < count; i++)
		buf_fini(&list[i].mark);
	free(list);
	forest_close(forest);
	return rc;
}
