/*
 * One run of one policy, as `galspoke run POLICY` and the workers of `galspoke
 * serve` do it.
 *
 *   export: collect -> publish -> deliver -> the hub's holding -> summary
 *   import: wants -> deliver, fetch -> acknowledge -> import -> summary
 */
#ifndef SPOKE_RUN_H
#define SPOKE_RUN_H

#include "spoke/conf.h"

/* Of a quiet run instead of EXIT_FAILED: the directory refused our name or
 * password. */
#define RUN_EXIT_REFUSED 11

struct run_options {
	bool json;
	bool quiet;       /* no summary: the supervisor's workers log instead */
	bool no_wait;     /* export: do not wait for the hub */
	bool no_front;    /* a front runs beside us: never start one */
	bool full;        /* read whole even when nothing seems changed */
	bool allow_empty; /* export: a base that became empty is meant to be */
	bool timing;      /* export: say where CPU time went */
};

/* Runs the policy of that name, prints the summary on stdout, keeps it for
 * `galspoke status`, and gives the exit code. Errors are printed or logged
 * here; class config for an unknown policy comes back as EXIT_USAGE. */
int run_policy(const struct spoke_conf *conf, const char *name,
    const struct run_options *options);

/* Takes in what lies in the inbox and acknowledges: the worker that a new
 * message wakes. *out_changed: replicas or registry did. */
int run_fetch(const struct spoke_conf *conf, bool *out_changed);

#endif
