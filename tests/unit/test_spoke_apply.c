/* Applying a plan to a real slapd: what it refuses stops nothing else. */
#include "spoke/import/apply.h"
#include "tests/unit/import_fixture.h"

static struct world *w;
static struct importdb *db;
static struct import_result result;
static struct err err;
static bool again;

#define OK(x)                                                                  \
	do {                                                                   \
		if ((x) < 0)                                                   \
			fail_msg("%s", err.message);                           \
	} while (0)

static int
setup(void **state)
{
	static unsigned salt;
	char path[128];

	(void)state;
	w = world_new(100 + salt++);
	world_import_db(w, path, sizeof(path));
	OK(importdb_open(path, &db, &err));
	world_local(w, "cn=One," WORLD_INTO, "One", "one@north.example", "m:1");
	world_local(w, "cn=Two," WORLD_INTO, "Two", "two@north.example", "m:2");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	importdb_close(db);
	world_free(w);
	return 0;
}

struct value {
	const char *name;
	const char *text;
};

static void
put(enum importdb_op op, unsigned object, const char *dn, const char *new_rdn,
    const struct value *values, size_t count, const char *cleared)
{
	static const struct slice classes[] = {
	    {(const uint8_t *)"inetOrgPerson", 13}};
	struct importdb_change change = {.op = op,
	    .member = "NORTH",
	    .stream = "staff",
	    .object = world_id(object),
	    .dn = dn,
	    .new_rdn = new_rdn,
	    .cleared = cleared};
	struct slice texts[8];
	struct object_attribute list[9];
	struct object body = {.kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = list};
	struct arena *arena = arena_new(1 << 20);
	struct buf bytes;
	size_t i;

	buf_init(&bytes, 65536);
	for (i = 0; i < count; i++) {
		texts[i] = slice_str(values[i].text);
		list[body.attribute_count++] =
		    (struct object_attribute){values[i].name, &texts[i], 1};
	}
	if (op == IMPORTDB_ADD)
		list[body.attribute_count++] =
		    (struct object_attribute){"objectClass", classes, 1};
	if (count > 0) {
		OK(object_encode(&body, arena, &bytes, &err));
		change.body = buf_slice(&bytes);
	}
	OK(importdb_plan_put(db, &change, &err));
	buf_fini(&bytes);
	arena_free(arena);
}

#define PUT(op, object, dn, rdn, cleared, ...)                                 \
	put(op, object, dn, rdn, (const struct value[]){__VA_ARGS__},          \
	    sizeof((const struct value[]){__VA_ARGS__}) /                      \
		sizeof(struct value),                                          \
	    cleared)

static char trouble[ERR_MESSAGE_MAX];
static unsigned troubles;

static int
trouble_one(void *arg, const struct importdb_trouble *t, struct err *e)
{
	(void)arg;
	(void)e;
	assert_string_equal(t->kind, "quarantined");
	snprintf(trouble, sizeof(trouble), "%s", t->reason);
	troubles++;
	return 0;
}

static void
apply(void)
{
	memset(&result, 0, sizeof(result));
	troubles = 0;
	OK(apply_run(w->session, db, &result, &again, &err));
	OK(importdb_trouble_each(db, trouble_one, NULL, &err));
	assert_int_equal(troubles, result.quarantined);
}

static void
test_each_kind(void **state)
{
	struct importdb_change change;
	int op;

	(void)state;
	PUT(IMPORTDB_ADD, 3, "cn=Three," WORLD_INTO, NULL, NULL,
	    {"cn", "Three"}, {"sn", "x"}, {"mail", "three@north.example"});
	put(IMPORTDB_DELETE, 2, "cn=Two," WORLD_INTO, NULL, NULL, 0, NULL);
	PUT(IMPORTDB_MODIFY, 1, "cn=Uno," WORLD_INTO, NULL, "labeledURI",
	    {"title", "T"});
	put(IMPORTDB_RENAME, 1, "cn=One," WORLD_INTO, "cn=Uno", NULL, 0, NULL);
	apply();
	assert_int_equal(result.added, 1);
	assert_int_equal(result.deleted, 1);
	assert_int_equal(result.modified, 1);
	assert_int_equal(result.renamed, 1);
	assert_int_equal(result.quarantined, 0);
	assert_false(again);
	assert_string_equal(world_contact(w, "one@north.example").cn, "Uno");
	assert_string_equal(world_contact(w, "one@north.example").title, "T");
	assert_string_equal(world_contact(w, "one@north.example").mark, "");
	assert_int_equal(world_contacts(w), 2);
	for (op = 0; op < IMPORTDB_OP_COUNT; op++)
		assert_int_equal(importdb_plan_next(db, (enum importdb_op)op, 0,
				     &change, &err),
		    0);
}

/* Each refusal names its attribute; what was already gone is done. */
static void
test_refusals(void **state)
{
	(void)state;
	PUT(IMPORTDB_ADD, 3, "cn=Three," WORLD_INTO, NULL, NULL,
	    {"cn", "Three"}, {"sn", "x"}, {"mail", "three@north.example"});
	PUT(IMPORTDB_ADD, 4, "cn=Four," WORLD_INTO, NULL, NULL, {"cn", "Four"},
	    {"sn", "x"}, {"mail", "f\xc3\xbcnf@north.example"});
	PUT(IMPORTDB_ADD, 5, "cn=Five," WORLD_INTO, NULL, NULL, {"cn", "Five"},
	    {"sn", "x"}, {"mail", "five@north.example"});
	put(IMPORTDB_DELETE, 9, "cn=Gone," WORLD_INTO, NULL, NULL, 0, NULL);
	apply();
	assert_int_equal(result.added, 2);
	assert_int_equal(result.deleted, 1);
	assert_int_equal(result.quarantined, 1);
	assert_non_null(strstr(trouble, "attribute mail refused"));
	assert_false(again);
	assert_int_equal(world_contacts(w), 4);
	/* The next one starts with a clean sheet. */
	apply();
	assert_int_equal(result.quarantined, 0);
}

/* A name in use: another plan will know, and the other changes of that contact
 * find it under its old name. */
static void
test_names_in_use(void **state)
{
	(void)state;
	put(IMPORTDB_RENAME, 1, "cn=One," WORLD_INTO, "cn=Two", NULL, 0, NULL);
	PUT(IMPORTDB_MODIFY, 1, "cn=Two," WORLD_INTO, NULL, NULL,
	    {"title", "Mine"});
	PUT(IMPORTDB_ADD, 6, "cn=TWO," WORLD_INTO, NULL, NULL, {"cn", "TWO"},
	    {"sn", "x"}, {"mail", "six@north.example"});
	apply();
	assert_true(again);
	assert_int_equal(result.renamed, 0);
	assert_int_equal(result.modified, 1);
	assert_int_equal(result.added, 0);
	assert_int_equal(result.quarantined, 2);
	assert_string_equal(
	    world_contact(w, "one@north.example").title, "Mine");
	assert_string_equal(world_contact(w, "two@north.example").title, "");
	assert_int_equal(
	    importdb_name_taken(db, IMPORTDB_CN, "ou=partners,dc=example",
		SLICE_LIT("tw\xc3\xb6"), NULL, &err),
	    1);
	assert_int_equal(
	    importdb_name_taken(db, IMPORTDB_CN, "ou=staff,dc=example",
		SLICE_LIT("two"), NULL, &err),
	    0);
	assert_int_equal(importdb_name_taken(db, IMPORTDB_NICKNAME, "",
			     SLICE_LIT("two"), NULL, &err),
	    0);
}

/* The directory goes away: what was not answered stays planned, nothing else.
 */
static void
test_the_connection_dies(void **state)
{
	struct importdb_change change;

	(void)state;
	PUT(IMPORTDB_ADD, 3, "cn=Three," WORLD_INTO, NULL, NULL,
	    {"cn", "Three"}, {"sn", "x"}, {"mail", "three@north.example"});
	fixture_kill(&w->ldap, SIGKILL);
	assert_int_equal(apply_run(w->session, db, &result, &again, &err), -1);
	assert_int_equal(err.class, ERR_TEMPORARY);
	assert_int_equal(
	    importdb_plan_next(db, IMPORTDB_ADD, 0, &change, &err), 1);
	assert_string_equal(change.dn, "cn=Three," WORLD_INTO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_each_kind),
	    TEST(test_refusals),
	    TEST(test_names_in_use),
	    TEST(test_the_connection_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
