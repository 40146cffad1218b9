/* Shared by check.c (this machine and the hub) and check_directory.c. */
#ifndef SPOKE_CHECK_INTERNAL_H
#define SPOKE_CHECK_INTERNAL_H

#include <stdarg.h>
#include "spoke/check.h"
#include "spoke/spoke.h"

enum check_grade { CHECK_FINE, CHECK_WARNING, CHECK_PROBLEM };

struct check {
	const struct spoke_conf *conf;
	struct spoke spoke;
	bool json, joined;
	bool any; /* something was said */
	enum check_grade worst;
	struct buf out; /* JSON */
};

void check_say(struct check *c, enum check_grade grade, const char *what,
    const char *format, ...) ERR_PRINTF(4, 5);

/* Connection, dialect, each export base readable, each import OU writable. */
void check_directory(struct check *c);

#endif
