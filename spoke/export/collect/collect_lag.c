/*
 * A server that took over may be behind the one that was read before: what it
 * lacks was not deleted, it has not arrived. Then nothing is taken in until the
 * server has caught up. One that never does, because the other one is gone for
 * good or both were restored from a backup, is believed after a while.
 *
 * Kept is how far the data goes that was taken in (forest_reach()). A reading
 * that changes nothing takes nothing in, from whatever server; so that stays.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "spoke/export/collect/collect_internal.h"

/* Replication between sites runs every three hours by default. */
#define COLLECT_LAG_MS (3 * CLOCK_HOUR_MS)
#define COLLECT_NOTE_BEHIND "behind-since"
#define COLLECT_NOTE_REACH "reach"

int
collect_lag_begin(struct collector *c, struct err *err)
{
	struct buf reach;
	int rc;

	buf_init(&reach, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, COLLECT_NOTE_REACH, &reach, err);
	if (rc == 0)
		rc = forest_expect(c->forest, buf_slice(&reach), err);
	c->reach_known = reach.len > 0;
	buf_fini(&reach);
	return rc;
}

int
collect_lag_went_back(struct collector *c, struct err *err)
{
	struct buf mark;
	int rc;

	/* slapd notices by itself, DirSync does not. */
	if (dialect_kind(c->dialect) == DIALECT_OPENLDAP)
		return 0;
	buf_init(&mark, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, COLLECT_NOTE_MARK, &mark, err);
	if (rc == 0)
		c->went_back =
		    forest_mark_went_back(c->forest, buf_slice(&mark));
	buf_fini(&mark);
	return rc;
}

static int
behind_judge(struct collector *c, const char *behind, struct err *err)
{
	const uint64_t now = (uint64_t)c->options->now_ms;
	uint64_t since;

	if (collect_note_number(c, COLLECT_NOTE_BEHIND, &since, err) < 0)
		return -1;
	if (since == 0 || since > now)
		since = now;
	if (now - since >= COLLECT_LAG_MS) {
		log_warn("a server that is behind is believed now policy=%s "
			 "cause=\"%s\"",
		    c->policy->name, behind);
		return 0;
	}
	c->behind_since = since;
	return err_set(err, ERR_TEMPORARY,
	    "%s; what it lacks may be on its way, so it is not believed for "
	    "%d hours; if the directory was restored from a backup, or the "
	    "other server is gone for good, run once with --allow-empty",
	    behind, (int)(COLLECT_LAG_MS / CLOCK_HOUR_MS));
}

int
collect_lag_check(
    struct collector *c, const struct replica_changes *changes, struct err *err)
{
	const char *behind = forest_behind(c->forest);

	if (c->reach_known &&
	    changes->added + changes->modified + changes->deleted == 0)
		return 0;
	if (behind != NULL && !c->options->allow_empty &&
	    behind_judge(c, behind, err) < 0)
		return -1;
	c->deleted = c->deleted || changes->deleted > 0;
	buf_reset(&c->reach);
	return forest_reach(c->forest, c->deleted, &c->reach, err);
}

void
collect_lag_tell(const struct collector *c, struct err *err)
{
	const char *behind =
	    c->forest == NULL ? NULL : forest_behind(c->forest);

	if (behind != NULL && c->behind_since == 0)
		(void)err_prepend(err, "%s", behind);
}

int
collect_lag_keep(struct collector *c, struct err *err)
{
	if (c->reach.len > 0 && replica_note_set(c->replica, COLLECT_NOTE_REACH,
				    buf_slice(&c->reach), err) < 0)
		return -1;
	return collect_note_number_set(c, COLLECT_NOTE_BEHIND, 0, err);
}

int
collect_lag_over(struct collector *c, struct err *err)
{
	uint64_t since;

	if (forest_behind(c->forest) != NULL)
		return 0;
	if (collect_note_number(c, COLLECT_NOTE_BEHIND, &since, err) < 0)
		return -1;
	return since == 0
		   ? 0
		   : collect_note_number_set(c, COLLECT_NOTE_BEHIND, 0, err);
}

int
collect_lag_hold(struct collector *c, struct err *err)
{
	return collect_note_number_set(
	    c, COLLECT_NOTE_BEHIND, c->behind_since, err);
}
