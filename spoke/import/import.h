/*
 * One import run: survey the target directory, plan from replicas, links and
 * survey, guard, apply, report. Idempotent: a run that died anywhere is made
 * good by the next, because every contact carries its provenance.
 */
#ifndef SPOKE_IMPORT_IMPORT_H
#define SPOKE_IMPORT_IMPORT_H

#include "common/wire/registry.h"
#include "spoke/conf.h"

/* One replica that this spoke holds, as the fetch side knows it. */
struct import_stream {
	const char *member;
	const char *stream;
	const char *path; /* of the replica */
	const char *held; /* why nothing of it may be planned; NULL: fine */
};

struct import_input {
	const struct spoke_conf *conf;
	const struct import_policy *policy;
	const struct registry *registry;
	const char *me; /* own member name: own objects never come back */
	/* Every stream of every member that was ever taken in, those that
	 * failed to arrive too (held says so). */
	const struct import_stream *streams;
	size_t stream_count;
	bool force; /* read and plan even when nothing seems changed */
};

struct import_result {
	bool unchanged; /* nothing was read but marks */
	uint64_t added, modified, renamed, deleted; /* contacts */
	uint64_t writes;   /* that the directory took for them */
	uint64_t same;     /* contacts that were right already */
	uint64_t exists;   /* not imported: the address exists here */
	uint64_t foreign;  /* left out: address outside the member's domains */
	uint64_t unusable; /* left out: no address, not decodable */
	uint64_t quarantined; /* refused by this directory */
	uint64_t detached;    /* moved out of the OU: not ours any more */
	uint64_t held_streams;
	char held_text[ERR_MESSAGE_MAX]; /* the first held stream, and why */
	/* The first object that the directory refused, and why. */
	char quarantine_text[ERR_MESSAGE_MAX];
};

/* -1: nothing more can be said than err. 0 with held_streams > 0 is exit code
 * 3, with quarantined > 0 exit code 4. State: conf->state/import-POLICY.db. */
int import_run(const struct import_input *input,
    struct import_result *out_result, struct err *err) ERR_WUR;

/* Each policy owns its OU: two that shared one, or one inside the other, would
 * delete each other's contacts. Policies that are off do not count as others.
 * Class config: names both. Reads the configuration only. */
int import_into_check(const struct spoke_conf *conf,
    const struct import_policy *policy, struct err *err) ERR_WUR;

/* Lets the deletions that the last run held, exactly these, through the next
 * run. Gives how many. Class config when nothing is held. */
int import_release(const struct spoke_conf *conf,
    const struct import_policy *policy, uint64_t *out_deletions,
    struct err *err) ERR_WUR;

/* Calls fn for each object that the last plan or its writing left out, by kind.
 */
struct import_note {
	/* "quarantined": refused by this directory; "detached": its contact was
	 * moved out; "exists": its address is in use here; "foreign": its
	 * address is outside of its member's domains; "unusable". */
	const char *kind;
	const char *member;
	struct id object;
	const char *reason;
};
typedef int import_note_fn(
    void *arg, const struct import_note *note, struct err *err);
int import_notes(const struct spoke_conf *conf,
    const struct import_policy *policy, import_note_fn *fn, void *arg,
    struct err *err) ERR_WUR;

#endif
