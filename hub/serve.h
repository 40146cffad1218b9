/*
 * `galhub serve`: a supervisor that initialises no library and forks
 *
 *   front    carrier over ZeroMQ; restarted when it ends
 *   worker   admit, then publish; started when a message arrived, the members
 *            changed, a resend is due or `every` passed; stays a moment for
 *            more, then ends; killed at its deadline
 */
#ifndef HUB_SERVE_H
#define HUB_SERVE_H

#include <stdbool.h>
#include "hub/conf.h"

/* Until SIGTERM or SIGINT. An exit code (enum err_exit). */
int serve_run(const struct hub_conf *conf);

/* The two children (front.c, worker.c). */
int front_main(void *arg); /* struct hub_conf */
struct worker_job {
	const struct hub_conf *conf;
	/* The first one of this hub: it tells every member what the hub holds,
	 * because its state may be a backup. Members answer with what is newer.
	 */
	bool greet;
};
int worker_main(void *arg); /* struct worker_job */

/* One pass of admit and publish under hub.lock, for the command line too.
 * *out_again: something was left for another time. */
struct hub;
int worker_pass(struct hub *hub, const char *const *peers, bool *out_again,
    struct err *err) ERR_WUR;

#endif
