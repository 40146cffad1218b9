/* What the tests of an import share: a world for each test, and some people. */
#ifndef TESTS_UNIT_IMPORT_TESTS_H
#define TESTS_UNIT_IMPORT_TESTS_H

#include "spoke/import/importdb.h"
#include "tests/unit/import_fixture.h"

static struct world *w;

static MAYBE_UNUSED int
world_setup(void **state)
{
	static unsigned salt;

	(void)state;
	w = world_new(salt++);
	return 0;
}

static MAYBE_UNUSED int
world_teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* Some people, imported. */
static MAYBE_UNUSED void
world_three(void)
{
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Engineer");
	world_person(w, 0, 1, "Bo Cole", "bo@north.example", "");
	world_person(w, 0, 2, "Cy Dahl", "cy@north.example", "Clerk");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 3);
	assert_int_equal(world_contacts(w), 3);
}

static MAYBE_UNUSED void
world_many(size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		char cn[64];
		char mail[64];

		snprintf(cn, sizeof(cn), "Person %zu", i % 150);
		snprintf(mail, sizeof(mail), "p%zu@north.example", i);
		world_person(w, 0, i, cn, mail, "x");
	}
	world_publish(w, 0);
}

#define WORLD_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
