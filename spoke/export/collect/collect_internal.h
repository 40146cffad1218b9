/* Shared by collect.c (a run, and what it remembers), collect_read.c (the
 * entries), collect_gone.c (those who seem gone), collect_feed.c (what was
 * touched), and what looks for accidents before anything is committed:
 * collect_guard.c, collect_cleared.c, collect_deleted.c, collect_witness.c,
 * collect_lag.c. */
#ifndef SPOKE_EXPORT_COLLECT_COLLECT_INTERNAL_H
#define SPOKE_EXPORT_COLLECT_COLLECT_INTERNAL_H

#include "common/ldap/feed.h"
#include "spoke/export/collect/cleared.h"
#include "spoke/export/collect/collect.h"
#include "spoke/export/choose/idlist.h"
#include "spoke/export/collect/collect_settings.h"
#include "spoke/export/collect/hold.h"
#include "spoke/export/choose/idset.h"
#include "spoke/export/collect/left_out.h"
#include "spoke/export/choose/scope.h"

#define COLLECT_NOTE_MAX (256 * 1024)
#define COLLECT_ARENA_MAX (16 * 1024 * 1024)

/* forest_mark() of the servers, before the last reading that was kept. */
#define COLLECT_NOTE_MARK "mark"
/* The same of the last whole one: what is stored of an entry that was not
 * written since is what the entry says, as far as the account may read it. */
#define COLLECT_NOTE_WHOLE "mark-whole"

struct collect_feeds;
struct references;

/* Those whom the intake would delete and who may not be gone. */
struct collect_deletions {
	bool judged;
	uint64_t there;  /* nobody wrote to them */
	uint64_t unseen; /* they are nowhere */
	const char *why; /* they are not deleted; static */
	char *place;     /* where all are unseen; owned, NULL */
	char *dn;        /* of one who is there; owned */
	bool suspect;    /* what was touched is not enough to judge by */
};

/* Whom attributes left out. */
struct collect_witnesses {
	struct left_out *before; /* NULL: not loaded */
	struct left_out *now;    /* of a whole reading */
	struct idlist added;     /* of before, who would go out */
	struct idlist changed;   /* of before, who are left out no more */
	struct buf doubt;        /* kinds that the last run doubted, or this */
	bool doubted;            /* this run did */
	bool dirty;              /* before is to be written */
};

struct collector {
	const struct collect_options *options;
	const struct export_policy *policy;
	struct replica *replica;
	struct forest *forest;
	const struct dialect *dialect; /* forest_dialect() */
	struct scope *scope;
	struct replica_intake *intake; /* NULL: only counted */
	struct idset *seen;            /* NULL: nothing can be found twice */
	struct arena *arena;
	struct buf body;
	struct shape *shape;
	unsigned notes; /* lines in the log about odd values */
	struct collect_result *result;
	struct collect_settings settings;
	bool same_head, same_content; /* as at the last reading */
	/* The last reading was under this policy, and nothing was restored
	 * since: what was touched is all that can differ. */
	bool may_follow;
	bool went_back; /* a server, so that no feed can be followed */
	bool proof_due;
	struct references *references; /* NULL: none are carried */
	struct collect_feeds *feeds;   /* NULL: no feed is at work */
	struct idlist failed;          /* objects that could not be read */
	uint64_t nameless;             /* entries without an id */
	char failure[256];             /* why the last of them */
	struct hold hold;      /* what a guard holds; no guards: nothing */
	uint64_t behind_since; /* Unix ms; a server is behind; 0: none */
	bool reach_known;      /* something is expected of the servers */
	struct buf reach;      /* to be kept; empty: what is kept stays */
	bool deleted;          /* something that was taken in was deleted */
	struct collect_witnesses witnesses;
	bool stamps_asked, stamps_shown; /* does any entry show its stamp? */
	struct cleared *cleared;         /* NULL: nothing to compare with */
	struct collect_deletions deletions;
};

/* --- collect_read.c --- */

/* Opens the scope and the policy's judge. */
int collect_prepare(struct collector *c, struct err *err) ERR_WUR;
/* Takes in everything that the policy finds; entries[i]: how many entry i of
 * `from` found. 1: the intake must be dropped and everything taken again. */
int collect_entries(
    struct collector *c, uint64_t *entries, struct err *err) ERR_WUR;
/* Takes in those of these objects that the policy finds. */
int idlist_take(struct collector *c, const struct id *ids, size_t count,
    struct err *err) ERR_WUR;

/* The same for objects that the policy did not choose, wherever they are: they
 * go out as managers of others. */
int collect_along_take(struct collector *c, const struct id *ids, size_t count,
    struct err *err) ERR_WUR;
/* Without an intake: would it be exported? 1, 0, -1. */
int collect_is_counted(
    struct collector *c, const struct id *id, struct err *err) ERR_WUR;

/* --- collect.c --- */

/* How many entries this one of `from` found at the last whole reading. */
int collect_base_before(struct collector *c, const struct export_base *base,
    uint64_t *out_entries, struct err *err) ERR_WUR;
/* A note that is a number; 0 when there is none. */
int collect_note_number(struct collector *c, const char *key, uint64_t *out,
    struct err *err) ERR_WUR;
int collect_note_number_set(struct collector *c, const char *key,
    uint64_t value, struct err *err) ERR_WUR;
/* Commits the intake. */
int collect_intake_finish(
    struct collector *c, bool force, struct err *err) ERR_WUR;

/* --- collect_contexts.c --- */

/* Class config when a naming context that was read is not there any more;
 * after collect_prepare(). */
int collect_contexts_check(struct collector *c, struct err *err) ERR_WUR;
/* Keeps which are read. */
int collect_contexts_keep(struct collector *c, struct err *err) ERR_WUR;

/* --- collect_gone.c --- */

/* Takes in those of the ones that a whole reading did not find who are there
 * after all. */
int collect_gone_confirm(struct collector *c, struct err *err) ERR_WUR;
/* The same of those touched ones that were not found; marks them. */
int collect_gone_confirm_touched(
    struct collector *c, const struct idlist *touched, struct err *err) ERR_WUR;

/* --- collect_lag.c --- */

/* Tells the forest what its servers are expected to have. */
int collect_lag_begin(struct collector *c, struct err *err) ERR_WUR;
/* Of what the intake would do: class temporary when a server that was read
 * lacks what the one before it had, and has not for long; then c->behind_since
 * says since when. Else c->reach is taken. */
int collect_lag_check(struct collector *c,
    const struct replica_changes *changes, struct err *err) ERR_WUR;
/* Sets c->went_back by the servers that are connected. */
int collect_lag_went_back(struct collector *c, struct err *err) ERR_WUR;
/* Of another error: a server that is behind may be all there is to it. */
void collect_lag_tell(const struct collector *c, struct err *err);
/* Keeps c->reach, and that no server is behind; what it stands for is
 * committed. */
int collect_lag_keep(struct collector *c, struct err *err) ERR_WUR;
/* Nothing is taken in, for another reason than that a server is behind: keeps
 * that none is, or the next one would be believed the sooner. */
int collect_lag_over(struct collector *c, struct err *err) ERR_WUR;
/* Keeps since when a server is behind. */
int collect_lag_hold(struct collector *c, struct err *err) ERR_WUR;

/* --- collect_watch.c --- */

/* Watches the intake that was just begun, for the two below. */
void collect_watch_begin(struct collector *c);
void collect_watch_end(struct collector *c);
/* What has to be read of an entry to know whether it was written
 * (forest_written()), with all also to shape it. The caller frees the list. */
const char **collect_stamped_attributes(const struct collector *c, bool all);

/* --- collect_unwritten.c --- */

/* Did nobody write to this entry, read with those, since that mark? 1; 0: it
 * was written to, or nothing tells; -1. */
int collect_is_unwritten(struct collector *c, const struct search_entry *entry,
    struct slice mark, struct err *err) ERR_WUR;

/* --- collect_cleared.c --- */

/* After what was touched is taken in: 1 when what objects would lose is to be
 * judged by a whole reading, 0, -1. */
int collect_cleared_suspect(struct collector *c, struct err *err) ERR_WUR;
/* After a whole reading: 1 when some of it is held (c->cleared says what), 0,
 * -1. */
int collect_cleared_judge(struct collector *c, struct err *err) ERR_WUR;

/* --- collect_deleted.c --- */

void collect_deleted_reset(struct collector *c);
/* Fills c->deletions, once an intake. */
int collect_deleted_judge(struct collector *c, struct err *err) ERR_WUR;

/* --- collect_unseen.c --- */

/* Counts those who were not deleted among the ones that are not marked. */
int collect_unseen_judge(
    struct collector *c, const struct idlist *gone, struct err *err) ERR_WUR;

/* --- collect_witness.c --- */

void collect_witness_begin(struct collector *c);
void collect_witness_end(struct collector *c);
/* This one is left out. */
int collect_witness_take(struct collector *c, enum shape_reason reason,
    const struct id *id, const struct search_entry *entry,
    struct err *err) ERR_WUR;
/* This one would go out, and did not before. */
int collect_witness_added(
    struct collector *c, const struct id *id, struct err *err) ERR_WUR;
/* Class config when the account may have lost the right to read what left
 * somebody out. added: somebody would go out who did not before. */
int collect_witness_check(
    struct collector *c, bool added, struct err *err) ERR_WUR;
/* Keeps why that failed, for the next run. */
int collect_witness_doubt_keep(struct collector *c, struct err *err) ERR_WUR;
/* Writes whom attributes left out, if that is news. */
int collect_witness_keep(struct collector *c, struct err *err) ERR_WUR;

/* --- collect_guard.c --- */

/* Guards E15 on what the intake would do. exported: the objects there would
 * be. Class limit when they hold it, unless just this was released. */
int collect_guards_check(
    struct collector *c, uint64_t exported, struct err *err) ERR_WUR;
/* Keeps what they held; after the intake was aborted. */
int collect_hold_keep(struct collector *c, struct err *err) ERR_WUR;

/* --- collect_feed.c --- */

/* Asks the feeds of every naming context that the policy reads. 1: what was
 * touched is taken in, 0: read whole (said in the log), -1. */
int collect_feeds_follow(struct collector *c, struct err *err) ERR_WUR;
/* Keeps the feeds' cookies; what they led to is committed. */
int collect_feeds_keep(struct collector *c, struct err *err) ERR_WUR;
/* Were they told of all that was deleted since the last reading? */
bool collect_feeds_tell(const struct collect_feeds *feeds);
/* Was this one among it? */
bool collect_feeds_told(struct collect_feeds *feeds, const struct id *id);
/* Asks also for what was deleted since they were asked. */
int collect_feeds_ask_again(struct collector *c, struct err *err) ERR_WUR;
/* An object is exported, or keeps its former state: it is not to be deleted. */
void collect_feeds_seen(struct collect_feeds *feeds, const struct id *id);
void collect_feeds_free(struct collect_feeds *feeds);

#endif
