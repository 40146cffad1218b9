/* One realm a test: setup and teardown for those that change it. */
#ifndef TESTS_UNIT_WIRE_REALM_TEST_H
#define TESTS_UNIT_WIRE_REALM_TEST_H

#include "tests/unit/wire_realm.h"

static struct realm realm;

static inline int
realm_setup(void **state)
{
	(void)state;
	realm_init(&realm);
	return 0;
}

static inline int
realm_teardown(void **state)
{
	(void)state;
	realm_fini(&realm);
	return 0;
}

#endif
