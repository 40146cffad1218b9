/* What reading whole and reading what was touched share. */
#ifndef SPOKE_COLLECT_INTERNAL_H
#define SPOKE_COLLECT_INTERNAL_H

#include "common/ldap/feed.h"
#include "spoke/collect.h"

struct collect_feeds;

struct collector {
	const struct collect_options *options;
	const struct export_policy *policy;
	struct replica *replica;
	struct session *session;
	struct dialect *dialect;
	struct replica_intake *intake;
	struct arena *arena;
	struct buf body;
	const char **attributes; /* owned array of borrowed names */
	struct collect_result *result;
	/* The last reading was under this policy, and nothing was restored
	 * since: what was touched is all that can differ. */
	bool may_follow;
	bool proof_due;
	struct collect_feeds *feeds; /* NULL: no feed is at work */
};

/* Takes what a search below one base finds; filter is the dialect's, or
 * narrower. */
int collect_base_search(struct collector *c, const struct export_base *base,
    const char *filter, uint64_t *out_entries, struct err *err) ERR_WUR;
/* How many entries the base had at the last whole reading. */
int collect_base_before(struct collector *c, const struct export_base *base,
    uint64_t *out_entries, struct err *err) ERR_WUR;
/* Guards E15 on what the intake would do. exported: the objects there would
 * be. */
int collect_guards_check(
    struct collector *c, uint64_t exported, struct err *err) ERR_WUR;
/* Commits the intake. */
int collect_intake_finish(
    struct collector *c, bool force, struct err *err) ERR_WUR;

/* Asks the feeds of every naming context that the policy reads. 1: what was
 * touched is taken in, 0: read whole (said in the log), -1. */
int collect_feeds_follow(struct collector *c, struct err *err) ERR_WUR;
/* Keeps the feeds' cookies; what they led to is committed. */
int collect_feeds_keep(struct collector *c, struct err *err) ERR_WUR;
/* An object is exported, or keeps its former state: it is not to be deleted. */
void collect_feeds_seen(struct collect_feeds *feeds, const struct id *id);
void collect_feeds_free(struct collect_feeds *feeds);

#endif
