/* Applying a plan to a real slapd: what it refuses stops nothing else. */
#include "spoke/import/apply.h"
#include "spoke/import/moves.h"
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

/* --- addresses in a ring --- */

#define RING 3

static const char *const ring_dns[RING] = {
    "cn=One," WORLD_INTO, "cn=Two," WORLD_INTO, "cn=Three," WORLD_INTO};
static const char *const ring_mails[RING] = {
    "one@north.example", "two@north.example", "three@north.example"};

/* The contact as a survey has it. */
static void
ring_survey(unsigned i)
{
	struct slice mail = slice_str(ring_mails[i]);
	struct object_attribute list[] = {{"mail", &mail, 1}};
	struct object body = {.kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = list,
	    .attribute_count = 1};
	struct importdb_entry entry = {.entry = world_id(100 + i),
	    .dn = ring_dns[i],
	    .inside = true,
	    .member = "NORTH",
	    .object = world_id(i)};
	struct arena *arena = arena_new(1 << 20);
	struct buf bytes;

	buf_init(&bytes, 65536);
	OK(object_encode(&body, arena, &bytes, &err));
	entry.body = buf_slice(&bytes);
	OK(importdb_entry_put(db, &entry, &err));
	buf_fini(&bytes);
	arena_free(arena);
}

/* Contact i is to have what the next one has, and another attribute. */
static void
ring_change(unsigned i, const char *attribute)
{
	unsigned next = (i + 1) % RING;
	struct id entry = world_id(100 + i);
	struct id holder = world_id(100 + next);

	OK(importdb_need_put(db, &holder, slice_str(ring_mails[next]), &err));
	PUT(IMPORTDB_MODIFY, i, ring_dns[i], NULL, NULL,
	    {"mail", ring_mails[next]}, {attribute, "x"});
	OK(importdb_entry_change(db, &entry, importdb_plan_last(db), &err));
	OK(importdb_need_bind(db, importdb_plan_last(db), &err));
}

static void
ring_init(unsigned bad)
{
	unsigned i;

	world_local(w, ring_dns[2], "Three", "three@north.example", "m:3");
	memset(&result, 0, sizeof(result));
	OK(importdb_plan_clear(db, &err));
	OK(importdb_survey_clear(db, &err));
	OK(importdb_written_clear(db, &err));
	for (i = 0; i < RING; i++) {
		ring_survey(i);
		ring_change(i, i == bad ? "noSuchThing" : "title");
	}
	OK(moves_settle(db, &result, &err));
	assert_int_equal(result.exists, 0);
}

static void
ring_expect(unsigned i, const char *cn)
{
	struct seen seen = world_contact(w, ring_mails[i]);

	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.cn, cn);
}

static unsigned ring_exists;

static int
ring_trouble(void *arg, const struct importdb_trouble *t, struct err *e)
{
	(void)arg;
	(void)e;
	if (strcmp(t->kind, "exists") == 0) {
		ring_exists++;
		assert_non_null(strstr(t->reason, "its address is in use by"));
	}
	return 0;
}

static void
ring_apply(void)
{
	struct importdb_change change;

	ring_exists = 0;
	OK(apply_run(w->session, db, &result, &again, &err));
	OK(importdb_trouble_each(db, ring_trouble, NULL, &err));
	assert_int_equal(ring_exists, result.exists);
	assert_int_equal(
	    importdb_plan_next(db, IMPORTDB_MODIFY, 0, &change, &err), 0);
	OK(importdb_trouble_clear(db, "exists", &err));
}

/* Whichever is refused, all have what they had, and then all get theirs. */
static void
test_a_ring_is_refused(void **state)
{
	unsigned bad;

	(void)state;
	for (bad = 0; bad < RING; bad++) {
		ring_init(bad);
		ring_apply();
		assert_int_equal(result.modified, 0);
		assert_int_equal(result.quarantined, 1);
		assert_int_equal(result.exists, RING - 1);
		ring_expect(0, "One");
		ring_expect(1, "Two");
		ring_expect(2, "Three");
		world_delete(w, ring_dns[2]);
	}
	ring_init(RING);
	ring_apply();
	assert_int_equal(result.modified, RING);
	assert_int_equal(result.quarantined, 0);
	assert_int_equal(result.exists, 0);
	ring_expect(1, "One");
	ring_expect(2, "Two");
	ring_expect(0, "Three");
}

/* Somebody removes one of them in between. */
static void
test_one_of_a_ring_is_gone(void **state)
{
	unsigned gone;
	unsigned i;

	(void)state;
	for (gone = 0; gone < RING; gone++) {
		ring_init(RING);
		world_delete(w, ring_dns[gone]);
		ring_apply();
		assert_int_equal(result.modified, 0);
		assert_int_equal(result.quarantined, 1);
		assert_int_equal(result.exists, RING - 1);
		for (i = 0; i < RING; i++) {
			assert_int_equal(
			    world_contact(w, ring_mails[i]).count, i != gone);
			if (i != gone && i != 2)
				world_delete(w, ring_dns[i]);
		}
		if (gone != 2)
			world_delete(w, ring_dns[2]);
		world_local(w, ring_dns[0], "One", ring_mails[0], "m:1");
		world_local(w, ring_dns[1], "Two", ring_mails[1], "m:2");
	}
}

/* Who waits for one that is refused stays as it is, and so on. */
static void
test_a_chain_breaks(void **state)
{
	struct id holder = world_id(100);

	(void)state;
	world_local(w, ring_dns[2], "Three", "three@north.example", "m:3");
	OK(importdb_written_clear(db, &err));
	ring_survey(0);
	ring_survey(1);
	ring_survey(2);
	PUT(IMPORTDB_MODIFY, 0, ring_dns[0], NULL, NULL,
	    {"mail", "free@north.example"}, {"noSuchThing", "x"});
	OK(importdb_entry_change(db, &holder, importdb_plan_last(db), &err));
	ring_change(2, "title");
	OK(importdb_need_put(db, &holder, slice_str(ring_mails[0]), &err));
	PUT(IMPORTDB_ADD, 7, "cn=Seven," WORLD_INTO, NULL, NULL,
	    {"cn", "Seven"}, {"sn", "x"}, {"mail", "one@north.example"});
	OK(importdb_need_bind(db, importdb_plan_last(db), &err));
	PUT(IMPORTDB_MODIFY, 1, ring_dns[1], NULL, NULL, {"title", "T"});
	OK(moves_settle(db, &result, &err));
	memset(&result, 0, sizeof(result));
	ring_apply();
	assert_int_equal(result.modified, 1);
	assert_int_equal(result.added, 0);
	assert_int_equal(result.quarantined, 1);
	assert_int_equal(result.exists, 2);
	ring_expect(0, "One");
	ring_expect(2, "Three");
	assert_string_equal(world_contact(w, ring_mails[1]).title, "T");
	assert_int_equal(world_contacts(w), 3);
}

/* A holder that cannot be deleted keeps its address. */
static void
test_a_holder_stays(void **state)
{
	struct id holder = world_id(100);

	(void)state;
	memset(&result, 0, sizeof(result));
	ring_survey(0);
	world_local(w, "cn=Below,cn=One," WORLD_INTO, "Below",
	    "below@north.example", "m:4");
	put(IMPORTDB_DELETE, 0, ring_dns[0], NULL, NULL, 0, NULL);
	OK(importdb_entry_change(db, &holder, importdb_plan_last(db), &err));
	OK(importdb_need_put(db, &holder, slice_str(ring_mails[0]), &err));
	PUT(IMPORTDB_ADD, 7, "cn=Seven," WORLD_INTO, NULL, NULL,
	    {"cn", "Seven"}, {"sn", "x"}, {"mail", "one@north.example"});
	OK(importdb_need_bind(db, importdb_plan_last(db), &err));
	OK(moves_settle(db, &result, &err));
	ring_apply();
	assert_int_equal(result.deleted, 0);
	assert_int_equal(result.added, 0);
	assert_int_equal(result.quarantined, 1);
	assert_int_equal(result.exists, 1);
	ring_expect(0, "One");
}

/* Parked is without the one address, and as little else as can be. */
static void
test_what_is_parked(void **state)
{
	struct slice mail = SLICE_LIT("One@North.example");
	struct slice target = SLICE_LIT("SMTP:One@North.example");
	struct slice proxies[] = {SLICE_LIT("SMTP:One@North.example"),
	    SLICE_LIT("smtp:uno@north.example"), SLICE_LIT("X500:/o=a/cn=b")};
	struct object_attribute list[] = {{"mail", &mail, 1},
	    {"title", &mail, 1}, {"targetAddress", &target, 1},
	    {"proxyAddresses", proxies, 3}};
	struct object stored = {.attributes = list, .attribute_count = 4};
	struct object written = {.attributes = list, .attribute_count = 1};
	struct arena *arena = arena_new(1 << 20);
	struct writer_attribute *out;
	size_t count;
	bool bare;

	(void)state;
	OK(moves_park(&stored, SLICE_LIT("one@north.example"), arena, &out,
	    &count, &bare, &err));
	assert_true(bare);
	assert_int_equal(count, 3);
	assert_string_equal(out[0].name, "mail");
	assert_int_equal(out[0].value_count, 0);
	assert_int_equal(out[1].value_count, 0);
	assert_int_equal(out[2].value_count, 2);
	assert_true(slice_equal(out[2].values[0], proxies[1]));
	OK(moves_park(&stored, SLICE_LIT("uno@north.example"), arena, &out,
	    &count, &bare, &err));
	assert_false(bare);
	assert_int_equal(count, 1);
	assert_string_equal(out[0].name, "proxyAddresses");
	assert_int_equal(out[0].value_count, 2);
	OK(moves_restore(&stored, &written, arena, &out, &count, &err));
	assert_int_equal(count, 3);
	assert_int_equal(out[2].value_count, 3);
	/* What was not there before goes again. */
	stored.attribute_count = 0;
	OK(moves_restore(&stored, &written, arena, &out, &count, &err));
	assert_int_equal(count, 1);
	assert_string_equal(out[0].name, "mail");
	assert_int_equal(out[0].value_count, 0);
	arena_free(arena);
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
	    TEST(test_a_ring_is_refused),
	    TEST(test_one_of_a_ring_is_gone),
	    TEST(test_a_chain_breaks),
	    TEST(test_a_holder_stays),
	    TEST(test_what_is_parked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
