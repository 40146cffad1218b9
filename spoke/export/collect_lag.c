/*
 * A server that took over may be behind the one that was read before: what it
 * lacks was not deleted, it has not arrived. Then nothing is taken in until the
 * server has caught up. One that never does, because the other one is gone for
 * good or both were restored from a backup, is believed after a while.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "spoke/export/collect_internal.h"

/* Replication between sites runs every three hours by default. */
#define COLLECT_LAG_MS (3 * CLOCK_HOUR_MS)
#define COLLECT_NOTE_BEHIND "behind-since"

static int
behind_find(struct collector *c, const char **out_uri, struct err *err)
{
	struct buf mark;
	int rc;

	buf_init(&mark, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, COLLECT_NOTE_MARK, &mark, err);
	if (rc == 0)
		*out_uri = forest_mark_behind(c->forest, buf_slice(&mark));
	buf_fini(&mark);
	return rc;
}

int
collect_lag_check(struct collector *c, struct err *err)
{
	const uint64_t now = (uint64_t)c->options->now_ms;
	const char *uri = NULL;
	uint64_t since;

	if (c->options->allow_empty)
		return 0;
	if (behind_find(c, &uri, err) < 0 ||
	    collect_note_number(c, COLLECT_NOTE_BEHIND, &since, err) < 0)
		return -1;
	if (uri == NULL)
		return 0;
	if (since == 0 || since > now)
		since = now;
	if (now - since >= COLLECT_LAG_MS) {
		log_warn("a server that is behind is believed now policy=%s "
			 "uri=%s",
		    c->policy->name, uri);
		return 0;
	}
	c->behind_since = since;
	return err_set(err, ERR_TEMPORARY,
	    "%s is behind the server that was read before: what it lacks may "
	    "not have arrived yet, so it is not believed for %d hours; if the "
	    "directory was restored from a backup, run once with "
	    "--allow-empty",
	    uri, (int)(COLLECT_LAG_MS / CLOCK_HOUR_MS));
}

int
collect_lag_keep(struct collector *c, uint64_t since, struct err *err)
{
	return collect_note_number_set(c, COLLECT_NOTE_BEHIND, since, err);
}
