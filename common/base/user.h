/*
 * Commands that are started by root go on as the user that the service runs
 * as: files in the state directory then belong to one user, whoever calls.
 */
#ifndef COMMON_BASE_USER_H
#define COMMON_BASE_USER_H

#include "common/base/err.h"

/* Creates the state directory (mode 0700, the user's; missing parents 0755)
 * and becomes the named user for good, with its groups. Does nothing when user
 * is NULL or when root does not call. Class config: no such user. */
int user_become(const char *user, const char *state, struct err *err) ERR_WUR;

#endif
