/* What a guard held, and letting it through: `galspoke release POLICY`. */
#ifndef SPOKE_RELEASE_H
#define SPOKE_RELEASE_H

#include "spoke/conf.h"

struct release_options {
	bool list; /* only show what is held */
	bool json;
};

/* Prints what is held on stdout and, unless it is only to be listed, lets the
 * next run do just that. Gives the exit code: EXIT_FAILED when nothing is held,
 * EXIT_USAGE when there is no such policy. */
int release_policy(const struct spoke_conf *conf, const char *name,
    const struct release_options *options);

#endif
