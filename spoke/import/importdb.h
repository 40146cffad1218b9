/*
 * What an import policy keeps between and during runs, one SQLite file
 * (STATE/import-POLICY.db):
 *
 *   entry, claim, name   the survey: what the target directory holds (rewritten
 *                        by each run that reads it)
 *   link                 which stream an entry came by; a cache, rebuilt from
 *                        provenance
 *   blocked              addresses that a plan wanted and another contact had
 *   refused              names that the directory said are in use although the
 *                        survey shows nobody who has them
 *   plan                 changes to make, in order; emptied as they are made
 *   need                 which of them wait for others, which give an address
 * up written              contacts that this run has modified quarantine
 * objects that this directory refused, and why note                 fingerprint
 * of the last complete run, held plans
 *
 * Everything goes through here, so that the planner reads one consistent
 * snapshot and nothing else.
 */
#ifndef SPOKE_IMPORT_IMPORTDB_H
#define SPOKE_IMPORT_IMPORTDB_H

#include "common/base/buf.h"
#include "common/base/id.h"

struct importdb;

enum importdb_name_kind { IMPORTDB_CN = 0, IMPORTDB_NICKNAME = 1 };

enum importdb_op {
	IMPORTDB_RENAME = 0,
	IMPORTDB_MODIFY = 1,
	IMPORTDB_DELETE = 2,
	IMPORTDB_ADD = 3,
	IMPORTDB_OP_COUNT
};

struct importdb_entry {
	struct id entry; /* objectGUID or entryUUID here */
	const char *dn;
	bool inside;         /* below the import OU */
	uint64_t created_ms; /* by the directory's clock, Unix; 0: not known */
	const char *member;
	struct id object;
	struct slice body; /* its attributes as the directory gave them, encoded
			      as an ObjectBody */
};

struct importdb_claim {
	struct id entry;
	bool ours;
	bool inside;        /* ours and managed, as surveyed; not of a plan */
	bool doomed;        /* the plan deletes the entry */
	const char *member; /* "" when not ours */
	struct id object;
	const char *dn; /* for messages */
};

struct importdb_change {
	uint64_t seq; /* given by the database */
	enum importdb_op op;
	const char *member;
	const char *stream;
	struct id object;
	const char *dn;      /* after renames, as the operation sees it */
	const char *new_rdn; /* rename */
	struct slice body;   /* add, modify: attributes as an ObjectBody */
	const char *cleared; /* modify: names, separated by blanks */
	const char *reason;  /* delete: for people */
};

/* Everything between begin and commit is one transaction. */
int importdb_open(
    const char *path, struct importdb **out_db, struct err *err) ERR_WUR;
void importdb_close(struct importdb *db);
int importdb_begin(struct importdb *db, struct err *err) ERR_WUR;
int importdb_commit(struct importdb *db, struct err *err) ERR_WUR;
void importdb_rollback(struct importdb *db);

/* --- survey --- */
int importdb_survey_clear(struct importdb *db, struct err *err) ERR_WUR;
int importdb_entry_put(struct importdb *db, const struct importdb_entry *entry,
    struct err *err) ERR_WUR;
/* member NULL: an entry that is not ours. address is folded. */
int importdb_claim_put(struct importdb *db, struct slice address,
    const struct importdb_claim *claim, struct err *err) ERR_WUR;
/* scope: normalised parent DN for cn, "" for nicknames. entry NULL: planned.
 * Names are kept and compared by their names_key(). */
int importdb_name_put(struct importdb *db, enum importdb_name_kind kind,
    const char *scope, struct slice name, const struct id *entry,
    struct err *err) ERR_WUR;

/* The directory says that the cn is in use, whoever has it: for good. */
int importdb_name_refuse(struct importdb *db, const char *scope,
    struct slice name, struct err *err) ERR_WUR;

/* --- reading; slices and strings are valid until the next call --- */
/* The managed entry of an object: inside before detached, then the oldest (the
 * others are copies of it), then the smallest entry id. 1, 0, -1. */
int importdb_entry_find(struct importdb *db, const char *member,
    const struct id *object, struct importdb_entry *out_entry,
    struct err *err) ERR_WUR;
/* Entries inside, in order of entry id, after *after (NULL: from the start).
 * Without bodies. 1, 0, -1. */
int importdb_entry_next(struct importdb *db, const struct id *after,
    struct importdb_entry *out_entry, struct err *err) ERR_WUR;
/* The plan deletes the entry, on account of that stream (its index). */
int importdb_entry_doom(struct importdb *db, const struct id *entry,
    size_t stream, struct err *err) ERR_WUR;
/* The entry has other addresses once that change of the plan is made. */
int importdb_entry_change(struct importdb *db, const struct id *entry,
    uint64_t seq, struct err *err) ERR_WUR;
/* A claim on the address by anybody but this object; claims of entries that are
 * not ours come first, then those that this plan made. Contacts that the same
 * stream dooms give theirs up (it goes or is held with them) unless doomed_too;
 * those of other streams keep it. 1, 0, -1. */
struct importdb_claimant {
	const char *member;
	struct id object;
	size_t stream;
	bool doomed_too;
};
int importdb_claim_find(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, struct importdb_claim *out_claim,
    struct err *err) ERR_WUR;
/* How many entries claim it in that way. */
int importdb_claim_holders(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, uint64_t *out_count,
    struct err *err) ERR_WUR;
/* Does the claimant's own contact have it, as surveyed? 1, 0, -1. */
int importdb_claim_own(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, struct err *err) ERR_WUR;
/* Notes an address that another managed contact has. Counts those that no
 * object of the finished plan keeps: they may be free when it is done. */
int importdb_blocked_put(
    struct importdb *db, struct slice address, struct err *err) ERR_WUR;
int importdb_blocked_count(
    struct importdb *db, uint64_t *out_count, struct err *err) ERR_WUR;
/* Is the name taken by anybody but this entry (NULL: anybody)? 1, 0, -1. */
int importdb_name_taken(struct importdb *db, enum importdb_name_kind kind,
    const char *scope, struct slice name, const struct id *entry,
    struct err *err) ERR_WUR;

/* --- links --- */
/* A link says by which stream a contact came: evidence that this state once
 * saw the object. doubt is 0 for that; for a contact that the directory has
 * and this state never saw (an older state was restored, or lost), it is the
 * stream's version when that was noticed. */
struct importdb_link {
	char stream[64];
	uint64_t doubt;
};
/* Writes nothing when the link says so already. */
int importdb_link_put(struct importdb *db, const char *member,
    const struct id *object, const char *stream, uint64_t doubt,
    struct err *err) ERR_WUR;
/* 1, 0, -1. */
int importdb_link_find(struct importdb *db, const char *member,
    const struct id *object, struct importdb_link *out_link,
    struct err *err) ERR_WUR;
int importdb_link_drop(struct importdb *db, const char *member,
    const struct id *object, struct err *err) ERR_WUR;

/* --- plan --- */
int importdb_plan_clear(struct importdb *db, struct err *err) ERR_WUR;
int importdb_plan_put(struct importdb *db, const struct importdb_change *change,
    struct err *err) ERR_WUR;
/* The seq of the change that was put last. */
uint64_t importdb_plan_last(const struct importdb *db);
/* The next change of an operation after seq `after` that waits for no other. 1,
 * 0, -1. */
int importdb_plan_next(struct importdb *db, enum importdb_op op, uint64_t after,
    struct importdb_change *out_change, struct err *err) ERR_WUR;
int importdb_plan_find(struct importdb *db, uint64_t seq,
    struct importdb_change *out_change, struct err *err) ERR_WUR;
int importdb_plan_drop(
    struct importdb *db, uint64_t seq, struct err *err) ERR_WUR;
/* Takes all changes of a member's stream out: they are held. */
int importdb_plan_hold(struct importdb *db, const char *member,
    const char *stream, struct err *err) ERR_WUR;
/* A rename was refused: the modification of that object finds it under the old
 * name. */
int importdb_plan_redirect(struct importdb *db,
    const struct importdb_change *rename, struct err *err) ERR_WUR;

/* --- what waits for what (moves.h) --- */
/* The change that is about to be planned waits until the entry has given the
 * address up; or all entries that the claimant's stream dooms and that have it,
 * unless the claimant has it as well. */
int importdb_need_put(struct importdb *db, const struct id *entry,
    struct slice address, struct err *err) ERR_WUR;
int importdb_need_put_doomed(struct importdb *db, struct slice address,
    const struct importdb_claimant *claimant, bool *out_any,
    struct err *err) ERR_WUR;
/* That change it is; 0: there is none, nothing waits. */
int importdb_need_bind(
    struct importdb *db, uint64_t seq, struct err *err) ERR_WUR;
/* The plan is complete: entries stand for the changes of them. */
int importdb_need_link(struct importdb *db, struct err *err) ERR_WUR;
/* The change is made: nobody waits for it any more. */
int importdb_need_met(
    struct importdb *db, uint64_t seq, struct err *err) ERR_WUR;
/* A change and, of those that it waits for, one. */
struct importdb_need {
	uint64_t row;    /* a cursor */
	uint64_t seq;    /* waits */
	uint64_t holder; /* for this; 0 when that is not planned */
	struct slice address;
	const char *member; /* of seq, and its object */
	struct id object;
	const char *dn; /* of the holder, as surveyed */
};
/* The first need behind the cursor (0: from the start) whose holder's change is
 * not in the plan. 1, 0, -1; lent until the next call. */
int importdb_need_stuck(struct importdb *db, uint64_t after,
    struct importdb_need *out_need, struct err *err) ERR_WUR;
/* One that waits for that change. 1, 0, -1; lent until the next call. */
int importdb_need_waiting(struct importdb *db, uint64_t holder,
    struct importdb_need *out_need, struct err *err) ERR_WUR;
/* What a change waits for; seq 0: the first modification that waits. 1, 0, -1;
 * lent until the next call. */
int importdb_need_find(struct importdb *db, uint64_t seq,
    struct importdb_need *out_need, struct err *err) ERR_WUR;
int importdb_need_count(
    struct importdb *db, uint64_t *out_count, struct err *err) ERR_WUR;
/* Takes a change out, its needs, and the rename that goes before it. */
int importdb_need_give_up(
    struct importdb *db, uint64_t seq, struct err *err) ERR_WUR;

/* --- contacts that the run has counted --- */
int importdb_written_clear(struct importdb *db, struct err *err) ERR_WUR;
/* *out_first: it was not among them. */
int importdb_written_put(struct importdb *db, const char *member,
    const struct id *object, bool *out_first, struct err *err) ERR_WUR;

/* --- quarantine --- */
struct importdb_trouble {
	/* "quarantined", "exists", "detached", "foreign", "unusable" */
	const char *kind;
	const char *member;
	struct id object;
	const char *reason;
};
int importdb_trouble_clear(
    struct importdb *db, const char *kind, struct err *err) ERR_WUR;
int importdb_trouble_put(struct importdb *db,
    const struct importdb_trouble *trouble, struct err *err) ERR_WUR;
int importdb_trouble_count(struct importdb *db, const char *kind,
    uint64_t *out_count, struct err *err) ERR_WUR;
int importdb_trouble_each(struct importdb *db,
    int (*fn)(
	void *arg, const struct importdb_trouble *trouble, struct err *err),
    void *arg, struct err *err) ERR_WUR;

/* --- notes; a missing one is empty --- */
int importdb_note_get(struct importdb *db, const char *key, struct buf *out,
    struct err *err) ERR_WUR;
int importdb_note_set(struct importdb *db, const char *key, struct slice value,
    struct err *err) ERR_WUR;

#endif
