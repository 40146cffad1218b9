/*
 * `galspoke serve`: a small supervisor. It keeps the schedule, starts the front
 * and a worker for each run, with deadlines; a worker that hangs or crashes is
 * killed and reported, never waited for. It initialises no library, so that
 * forking is cheap and safe.
 */
#ifndef SPOKE_SERVE_H
#define SPOKE_SERVE_H

#include "spoke/conf.h"

/* Runs until SIGTERM or SIGINT; SIGHUP reads the configuration anew. Gives the
 * exit code. */
int serve_run(const char *conf_path);

#endif
