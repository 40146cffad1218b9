/*
 * The worker processes that hear of changes in the directory, one after the
 * other (wait.h), as their supervisor sees them.
 *
 *   not due ─► connecting ─► listening ─┬─► changed: due when the export is
 *                  └────────────────────┴─► ended: due at once, or later
 *
 * Between two of them nobody hears anything. What is written then is read by
 * the export that was asked for, if the next one listens before that starts;
 * an export that did not wait for it, or one that ended without a change, is
 * made up for by LISTENER_MISSED.
 */
#ifndef SPOKE_LISTENER_H
#define SPOKE_LISTENER_H

#include "common/base/process.h"
#include "spoke/conf.h"

enum listener_news {
	LISTENER_NOTHING,
	LISTENER_CHANGED, /* the directory; set `due` */
	LISTENER_MISSED,  /* it listens again, and something may have changed */
	LISTENER_REFUSED  /* the directory took neither name nor password */
};

struct listener {
	struct process process;
	int64_t due;    /* of the next one, clock_mono_ms() */
	int ends[2];    /* of a pipe by which it says that it listens; or -1 */
	bool listening; /* it said so */
	bool deaf;      /* what happened meanwhile may have gone unheard */
	const struct spoke_conf *conf;
};

#define LISTENER_INIT                                                          \
	{                                                                      \
		.ends = { -1, -1 }                                             \
	}

/* Starts one when none runs and it is due. conf is borrowed until
 * listener_stop(). */
void listener_start(
    struct listener *listener, const struct spoke_conf *conf, int64_t now);
/* What is new; does not wait. */
enum listener_news listener_step(struct listener *listener, int64_t now);
/* Is one on its way to listen? */
bool listener_is_connecting(const struct listener *listener);
/* To poll for reading; -1: nothing. */
int listener_fd(const struct listener *listener);
/* Ends it; the next one is due at once. */
void listener_stop(struct listener *listener, int64_t grace_ms);

#endif
