/* An import from replicas into a real slapd, and what people do meanwhile. */
#include "tests/unit/import_tests.h"

static void
test_changes_arrive(void **state)
{
	struct seen before;

	(void)state;
	world_three();
	assert_string_equal(
	    world_contact(w, "anna@north.example").title, "Engineer");
	assert_true(strncmp(world_contact(w, "bo@north.example").mark,
			"galrelay:", 9) == 0);
	world_expect_settled(w);
	before = world_contact(w, "bo@north.example");
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Boss");
	world_person(w, 0, 2, "Cy Ek", "cy@north.example", "");
	world_person(w, 0, 3, "Di Falk", "di@north.example", "");
	world_person(w, 0, 4, "The Boss", "ceo@headquarters.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(w->result.renamed, 1);
	assert_int_equal(w->result.foreign, 1);
	assert_int_equal(w->result.deleted, 0);
	assert_string_equal(
	    world_contact(w, "anna@north.example").title, "Boss");
	assert_string_equal(world_contact(w, "cy@north.example").cn, "Cy Ek");
	assert_string_equal(world_contact(w, "cy@north.example").title, "");
	assert_string_equal(
	    world_contact(w, "bo@north.example").csn, before.csn);
	w->persons[0][1].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 1);
	assert_int_equal(world_written(w), 1);
	assert_int_equal(world_contact(w, "bo@north.example").count, 0);
	world_expect_settled(w);
}

/* What somebody here already has is not imported, and a contact yields. */
static void
test_local_addresses_win(void **state)
{
	(void)state;
	world_local(
	    w, "cn=Bo Here," WORLD_STAFF, "Bo Here", "BO@North.Example", NULL);
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "");
	world_person(w, 0, 1, "Bo Cole", "bo@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(w->result.exists, 1);
	world_local(w, "cn=Anna Here," WORLD_STAFF, "Anna Here",
	    "anna@north.example", NULL);
	world_run(w);
	assert_int_equal(w->result.deleted, 1);
	assert_int_equal(w->result.exists, 2);
	assert_int_equal(world_contacts(w), 0);
	world_expect_settled(w);
	world_delete(w, "cn=Anna Here," WORLD_STAFF);
	world_run(w);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(
	    world_find(w, WORLD_STAFF, "BO@North.Example").count, 1);
}

/* An address that goes from one person to another is free at once. */
static void
test_addresses_move_in_one_run(void **state)
{
	(void)state;
	world_three();
	world_person(w, 0, 0, "Anna Berg", "berg@north.example", "");
	world_person(w, 0, 9, "Anna New", "anna@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.modified, 1);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(w->result.exists, 0);
	assert_string_equal(
	    world_contact(w, "anna@north.example").cn, "Anna New");
	world_expect_settled(w);
}

static void
test_moved_contacts(void **state)
{
	struct seen original;
	struct seen anna;
	struct seen copy;

	(void)state;
	world_three();
	world_ou(w, "ou=Sub," WORLD_INTO, "Sub");
	anna = world_contact(w, "anna@north.example");
	world_move(w, world_contact(w, "bo@north.example").dn, "cn=Bo Cole",
	    WORLD_STAFF);
	world_move(w, anna.dn, "cn=Anna Berg", "ou=Sub," WORLD_INTO);
	copy = world_contact(w, "cy@north.example");
	original = copy;
	usleep(1100000); /* the directory counts in seconds */
	world_local(w, "cn=Copied," WORLD_INTO, "Copied", "copy@here.example",
	    copy.mark);
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Moved");
	world_person(w, 0, 1, "Bo Cole", "bo@north.example", "Moved");
	world_publish(w, 0);
	copy = world_find(w, WORLD_STAFF, "bo@north.example");
	world_run(w);
	/* Moved out: seen, and never written again. */
	assert_int_equal(w->result.detached, 1);
	assert_string_equal(
	    world_find(w, WORLD_STAFF, "bo@north.example").csn, copy.csn);
	assert_int_equal(world_contact(w, "bo@north.example").count, 0);
	/* Moved inside: still managed, and left where it is. */
	anna = world_contact(w, "anna@north.example");
	assert_string_equal(anna.title, "Moved");
	assert_true(dn_is_below(anna.dn, "ou=Sub," WORLD_INTO, false));
	/* Of two with one mark, the older stays as it was. */
	assert_int_equal(world_contact(w, "cy@north.example").count +
			     world_contact(w, "copy@here.example").count,
	    1);
	copy = world_contact(w, "cy@north.example");
	assert_int_equal(copy.count, 1);
	assert_string_equal(copy.csn, original.csn);
	assert_string_equal(copy.dn, original.dn);
	world_expect_settled(w);
	/* The source loses it: what was detached stays. */
	w->persons[0][1].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 0);
	assert_int_equal(
	    world_find(w, WORLD_STAFF, "bo@north.example").count, 1);
}

/* A mark on something that is no contact makes it none of ours. */
static void
test_only_contacts_are_ours(void **state)
{
	struct slice classes[] = {SLICE_LIT("top"),
	    SLICE_LIT("organizationalUnit"), SLICE_LIT("labeledURIObject")};
	struct slice ou = SLICE_LIT("Marked");
	struct slice mark;
	struct seen anna;
	struct writer_attribute list[] = {{"objectClass", classes, 3},
	    {"ou", &ou, 1}, {"labeledURI", &mark, 1}};

	(void)state;
	world_three();
	anna = world_contact(w, "anna@north.example");
	mark = slice_str(anna.mark);
	assert_int_equal(
	    world_change(w, &(struct writer_change){.op = WRITER_ADD,
				.dn = "ou=Marked," WORLD_INTO,
				.attributes = list,
				.attribute_count = 3}),
	    0);
	w->persons[0][0].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 1);
	assert_int_equal(w->result.quarantined, 0);
	world_delete(w, "ou=Marked," WORLD_INTO); /* it was still there */
}

static void
test_policies_and_places(void **state)
{
	static const char *const extra[] = {"NORTH/extra"};

	(void)state;
	world_three();
	/* Other capitals and blanks are the same place. */
	w->policies[0].into = "OU=partners, DC=Example";
	world_run(w);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(w->result.same, 3);
	/* Another OU: what stands in the old one is left alone. */
	world_ou(w, "ou=Other," FIXTURE_SUFFIX, "Other");
	w->policies[0].into = "ou=Other," FIXTURE_SUFFIX;
	world_run(w);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(w->result.detached, 3);
	assert_int_equal(world_contacts(w), 3);
	/* A place that is not there. */
	w->policies[0].into = "ou=Nowhere," FIXTURE_SUFFIX;
	assert_int_equal(world_run_of(w, &w->policies[0]), -1);
	assert_int_equal(w->err.class, ERR_CONFIG);
	assert_non_null(
	    strstr(w->err.message, "ou=Nowhere," FIXTURE_SUFFIX " does not"));
	w->policies[0].into = WORLD_INTO;
	/* A second policy that wants the same people: the first keeps them. */
	w->policies[1] = w->policies[0];
	w->policies[1].name = "second";
	w->policies[1].into = "ou=Other," FIXTURE_SUFFIX;
	w->conf.import_count = 2;
	assert_int_equal(world_run_of(w, &w->policies[1]), 0);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(w->result.detached, 0);
	assert_int_equal(w->result.exists, 3);
	/* Two in one place are refused. */
	w->policies[1].into = "ou=Deep," WORLD_INTO;
	assert_int_equal(world_run_of(w, &w->policies[1]), -1);
	assert_int_equal(w->err.class, ERR_CONFIG);
	assert_non_null(strstr(w->err.message, "of its own"));
	w->conf.import_count = 1;
	/* No longer asked for. */
	w->policies[0].tags = extra;
	world_run(w);
	assert_int_equal(w->result.deleted, 3);
}

/* Two policies that want the same, started together: nobody twice. */
static void
test_policies_at_once(void **state)
{
	pid_t pids[2];
	char mail[64];
	int status;
	int i;

	(void)state;
	world_ou(w, "ou=Other," FIXTURE_SUFFIX, "Other");
	w->policies[1] = w->policies[0];
	w->policies[1].name = "second";
	w->policies[1].into = "ou=Other," FIXTURE_SUFFIX;
	w->conf.import_count = 2;
	world_many(100);
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(world_run_of(w, &w->policies[i]) == 0 ? 0 : 1);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < 100; i += 9) {
		snprintf(mail, sizeof(mail), "p%d@north.example", i);
		assert_int_equal(world_find(w, FIXTURE_SUFFIX, mail).count, 1);
	}
	assert_int_equal(world_find(w, FIXTURE_SUFFIX, NULL).count, 100);
}

/* The first stream of a member counts; what it drops, the second keeps. */
static void
test_two_streams_of_a_member(void **state)
{
	(void)state;
	w->stream_count = 2;
	world_person(w, 0, 0, "Anna", "anna@north.example", "First");
	world_person(w, 1, 0, "Anna", "anna@north.example", "Second");
	world_publish(w, 0);
	world_publish(w, 1);
	world_run(w);
	assert_int_equal(w->result.added, 1);
	assert_string_equal(
	    world_contact(w, "anna@north.example").title, "First");
	/* Held: the other one does not take it over. */
	w->streams[0].held = "a test";
	world_person(w, 1, 1, "Bo", "bo@north.example", "");
	world_publish(w, 1);
	world_run(w);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(world_written(w), 1);
	assert_string_equal(
	    world_contact(w, "anna@north.example").title, "First");
	w->streams[0].held = NULL;
	w->persons[0][0].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 0);
	assert_string_equal(
	    world_contact(w, "anna@north.example").title, "Second");
	world_expect_settled(w);
}

static unsigned noted;

static int
note_one(void *arg, const struct import_note *note, struct err *err)
{
	struct id id = world_id(1);

	(void)err;
	if (strcmp(note->kind, arg) != 0)
		return 0;
	assert_string_equal(note->member, "NORTH");
	assert_int_equal(id_compare(&note->object, &id), 0);
	noted++;
	return 0;
}

/* How many notes of a kind there are, all on object 1. */
static unsigned
notes(const char *kind)
{
	noted = 0;
	if (import_notes(&w->conf, &w->policies[0], note_one,
		(void *)(uintptr_t)kind, &w->err) != 0)
		fail_msg("%s", w->err.message);
	return noted;
}

/* As if the last reading had been so long ago. */
static void
back_date(int64_t ms)
{
	struct importdb *db = NULL;
	char number[32];
	char path[128];
	struct err err = {0};

	world_import_db(w, path, sizeof(path));
	snprintf(
	    number, sizeof(number), "%lld", (long long)(clock_now_ms() - ms));
	assert_int_equal(importdb_open(path, &db, &err), 0);
	assert_int_equal(
	    importdb_note_set(db, "read", slice_str(number), &err), 0);
	importdb_close(db);
}

/* slapd's mail is ASCII: that one is refused by name, the others are written,
 * and a better one goes through. */
static void
test_quarantine(void **state)
{
	(void)state;
	world_person(w, 0, 0, "Anna", "anna@north.example", "");
	world_person(w, 0, 1, "Unser Ümlaut", "\xc3\xbcml@north.example", "");
	world_person(w, 0, 2, "Cy", "cy@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 2);
	assert_int_equal(w->result.quarantined, 1);
	assert_int_equal(notes("quarantined"), 1);
	assert_int_equal(notes("foreign"), 0);
	assert_non_null(strstr(w->result.quarantine_text, "mail"));
	world_run(w);
	assert_true(w->result.unchanged);
	assert_int_equal(w->result.quarantined, 1);
	assert_non_null(strstr(w->result.quarantine_text, "mail"));
	w->force = true;
	world_run(w);
	w->force = false;
	assert_int_equal(world_written(w), 0);
	assert_int_equal(w->result.quarantined, 1);
	/* An hour later it is tried again, though nothing changed. */
	world_run(w);
	assert_true(w->result.unchanged);
	back_date(CLOCK_HOUR_MS + 1000);
	world_run(w);
	assert_false(w->result.unchanged);
	assert_int_equal(w->result.quarantined, 1);
	world_person(w, 0, 1, "Unser Ümlaut", "uml@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(w->result.quarantined, 0);
	assert_int_equal(notes("quarantined"), 0);
	/* Without trouble an hour means nothing, a day a proof. */
	back_date(CLOCK_HOUR_MS + 1000);
	world_run(w);
	assert_true(w->result.unchanged);
	back_date(CLOCK_DAY_MS + 1000);
	world_run(w);
	assert_false(w->result.unchanged);
	assert_int_equal(world_written(w), 0);
	world_person(w, 0, 1, "Elsewhere", "e@elsewhere.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 1);
	assert_int_equal(notes("foreign"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(test_changes_arrive),
	    WORLD_TEST(test_local_addresses_win),
	    WORLD_TEST(test_addresses_move_in_one_run),
	    WORLD_TEST(test_moved_contacts),
	    WORLD_TEST(test_only_contacts_are_ours),
	    WORLD_TEST(test_policies_and_places),
	    WORLD_TEST(test_policies_at_once),
	    WORLD_TEST(test_two_streams_of_a_member),
	    WORLD_TEST(test_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
