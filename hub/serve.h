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

/* The two children (front.c, worker.c); arg is the struct hub_conf. */
int front_main(void *arg);
int worker_main(void *arg);

/* One pass of admit and publish under hub.lock, for the command line too.
 * *out_again: something was left for another time. */
struct hub;
int worker_pass(struct hub *hub, const char *const *peers, bool *out_again,
    struct err *err) ERR_WUR;

#endif
