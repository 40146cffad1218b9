/*
 * Reading the source: search every base of an export policy, shape each entry,
 * and take the whole into the replica, or nothing of it. When a change feed
 * tells what was touched since the last time, only that is searched for. A
 * search that dies, loses a page or finds nothing where there was something is
 * an error, and then the last version stands. FEATURES E1, E15, E18.
 */
#ifndef SPOKE_EXPORT_COLLECT_COLLECT_H
#define SPOKE_EXPORT_COLLECT_COLLECT_H

#include "common/ldap/feed.h"
#include "common/replica/replica.h"
#include "common/wire/registry.h"
#include "spoke/export/shape/shape.h"

struct collect_options {
	const struct spoke_conf *conf;
	const struct export_policy *policy;
	bool full; /* read whole, even when the directory's mark is unchanged */
	bool allow_empty; /* a base that became empty is meant to be */
	/* Look only, and count also what has no mail address: E16. */
	bool count_only;
	/* What the hub holds: a version below or at it (with another content)
	 * comes from a restored backup, and the next one must lie above. */
	uint64_t hub_version;
	const uint8_t *hub_root;
	int64_t now_ms;
	/* Ourselves, whose mail domains targets look at; NULL: not known. */
	const struct registry_member *me;
	/* Told of every exported object of which something is worth saying;
	 * NULL: the log is. */
	void (*note)(void *arg, const struct shape_case *c);
	void *note_arg;
};

struct collect_result {
	bool unchanged; /* the mark says so: nothing was read */
	bool whole;     /* everything was read, not only what was touched */
	bool defect;    /* and that found what the feed had not told */
	enum feed_kind feed; /* FEED_FULL: none */
	struct replica_changes changes;
	struct shape_counts counts;
	uint64_t found;     /* entries that searches gave, repeated ones too */
	uint64_t outside;   /* exported, under addresses nobody will import */
	uint64_t along;     /* exported only as managers of others */
	uint64_t untold;    /* managers who are not: nobody is told of them */
	uint64_t missing;   /* single objects that do not exist */
	uint64_t referrals; /* met, and not followed */
	uint64_t refused;   /* dynamic groups whose filter is refused */
};

/* Class limit when a guard holds (E15 minimum, errors, deletions) what hold.h
 * then tells, config when
 * a base vanished; err names server, base and cause. */
int collect_run(const struct collect_options *options, struct replica *replica,
    struct collect_result *out_result, struct err *err) ERR_WUR;

/* Does the replica hold what this very policy exported, whatever the directory
 * says now? */
int collect_is_of_policy(const struct spoke_conf *conf,
    const struct export_policy *policy, struct replica *replica, bool *out_is,
    struct err *err) ERR_WUR;

/* The replica of an export for a look; NULL when it has never run. */
int collect_replica_open(const struct spoke_conf *conf,
    const struct export_policy *policy, struct replica **out_replica,
    struct err *err) ERR_WUR;

#endif
