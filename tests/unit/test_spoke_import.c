/* An import from replicas into a real slapd, and what people do meanwhile. */
#include "spoke/importdb.h"
#include "tests/unit/import_fixture.h"

static struct world *w;

static int
setup(void **state)
{
	static unsigned salt;

	(void)state;
	w = world_new(salt++);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* Some people, imported. */
static void
three(void)
{
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Engineer");
	world_person(w, 0, 1, "Bo Cole", "bo@north.example", "");
	world_person(w, 0, 2, "Cy Dahl", "cy@north.example", "Clerk");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 3);
	assert_int_equal(world_contacts(w), 3);
}

static void
test_changes_arrive(void **state)
{
	struct seen before;

	(void)state;
	three();
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
	three();
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
	three();
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
	three();
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
test_lost_state(void **state)
{
	struct replica *replica = NULL;
	char path[128];
	struct err err;

	(void)state;
	three();
	world_import_db(w, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Boss");
	w->persons[0][1].mail[0] = '\0';
	usleep(1100000); /* the directory counts in seconds */
	world_publish(w, 0);
	world_run(w);
	/* Older than the replica that lacks it: it may go. */
	assert_int_equal(w->result.deleted, 1);
	assert_int_equal(w->result.modified, 1);
	assert_int_equal(w->result.added, 0);
	world_expect_settled(w);
	/* An empty replica says nothing of what is gone. */
	assert_int_equal(unlink(w->paths[0]), 0);
	assert_int_equal(replica_open(w->paths[0], &replica, &err), 0);
	replica_close(replica);
	world_run(w);
	assert_int_equal(w->result.held_streams, 1);
	assert_int_equal(world_written(w), 0);
	/* Nor does a member of which there is no stream any more. */
	w->stream_count = 0;
	world_run(w);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(world_contacts(w), 2);
}

/* The first persons again, in a replica of an hour ago. */
static void
restore_replica(size_t count)
{
	struct replica *replica = NULL;
	struct replica_intake *intake = NULL;
	struct replica_changes changes;
	struct err err = {0};
	size_t i;

	assert_int_equal(unlink(w->paths[0]), 0);
	assert_int_equal(replica_open(w->paths[0], &replica, &err), 0);
	assert_int_equal(
	    replica_intake_begin(replica, REPLICA_FULL, &intake, &err), 0);
	for (i = 0; i < count; i++) {
		struct id id = world_id(i);

		world_person_put(&w->persons[0][i], &id, intake);
	}
	assert_int_equal(
	    replica_intake_finish(
		intake, clock_now_ms() - CLOCK_HOUR_MS, false, &changes, &err),
	    0);
	world_manifest(w, 0, replica);
	replica_close(replica);
}

/* The replica alone came out of a backup: the versions tell. */
static void
test_restored_replica(void **state)
{
	(void)state;
	three();
	restore_replica(2);
	world_run(w);
	assert_int_equal(w->result.held_streams, 1);
	assert_non_null(strstr(w->result.held_text, "older here"));
	assert_int_equal(world_written(w), 0);
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Boss");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.held_streams, 0);
	assert_int_equal(w->result.modified, 1);
	assert_int_equal(world_written(w), 1);
}

/* A restored state holds a replica older than the directory's contacts. */
static void
test_restored_state(void **state)
{
	struct seen late;
	char path[128];

	(void)state;
	three();
	usleep(1100000);
	world_person(w, 0, 3, "Late One", "late@north.example", "");
	world_publish(w, 0);
	world_run(w);
	late = world_contact(w, "late@north.example");
	assert_int_equal(late.count, 1);
	/* Back to before: neither link nor object, and an old version. */
	world_import_db(w, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	w->persons[0][3].mail[0] = '\0';
	restore_replica(3);
	world_run(w);
	assert_int_equal(world_written(w), 0);
	w->force = true;
	world_run(w);
	w->force = false;
	assert_int_equal(world_written(w), 0);
	assert_string_equal(
	    world_contact(w, "late@north.example").csn, late.csn);
	/* Something newer comes, and it really is gone. */
	usleep(1100000);
	world_person(w, 0, 0, "Anna Berg", "anna@north.example", "Newer");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 1);
	assert_int_equal(world_contact(w, "late@north.example").count, 0);
}

static void
test_revoked_and_ended(void **state)
{
	static char ended[] = "staff";
	static char *ends[] = {ended};

	(void)state;
	three();
	w->streams[0].held = "was revoked by the hub";
	w->realm.north.message.revoked = true;
	assert_int_equal(realm_sign(&w->realm, NULL), 0);
	world_run(w);
	assert_int_equal(w->result.held_streams, 1);
	assert_non_null(strstr(w->result.held_text, "revoked"));
	assert_int_equal(world_contacts(w), 3);
	/* The operator accepted it. */
	w->streams[0].held = NULL;
	world_run(w);
	assert_int_equal(w->result.held_streams, 0);
	assert_int_equal(w->result.deleted, 3);
	assert_int_equal(world_contacts(w), 0);
	w->realm.north.message.revoked = false;
	assert_int_equal(realm_sign(&w->realm, NULL), 0);
	world_run(w);
	assert_int_equal(w->result.added, 3);
	/* Ended by the hub alone, and accepted. */
	w->realm.north.message.ended_streams = ends;
	w->realm.north.message.n_ended_streams = 1;
	assert_int_equal(realm_sign(&w->realm, NULL), 0);
	w->streams[0].held = "the hub says that it ended";
	world_run(w);
	assert_int_equal(world_written(w), 0);
	w->streams[0].held = NULL;
	world_run(w);
	assert_int_equal(w->result.deleted, 3);
	w->realm.north.message.n_ended_streams = 0;
	assert_int_equal(realm_sign(&w->realm, NULL), 0);
	world_run(w);
	assert_int_equal(world_contacts(w), 3);
	/* Ended by its source. */
	w->ended[0] = true;
	world_person(w, 0, 5, "Last One", "last@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 3);
	assert_int_equal(world_contacts(w), 0);
	world_expect_settled(w);
}

static void
many(size_t count)
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

static void
test_many_deletions_wait(void **state)
{
	uint64_t deletions;
	size_t i;

	(void)state;
	many(80);
	world_run(w);
	for (i = 0; i < 60; i++)
		w->persons[0][i].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.held_streams, 1);
	assert_non_null(strstr(w->result.held_text, "60 of 80"));
	assert_int_equal(world_contacts(w), 80);
	world_run(w); /* nothing changed: still said */
	assert_true(w->result.unchanged);
	assert_int_equal(w->result.held_streams, 1);
	assert_int_equal(
	    import_release(&w->conf, &w->policies[0], &deletions, &w->err), 0);
	assert_int_equal(deletions, 60);
	/* One more deletion: not what was released. */
	w->persons[0][70].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.held_streams, 1);
	assert_int_equal(world_contacts(w), 80);
	assert_int_equal(
	    import_release(&w->conf, &w->policies[0], &deletions, &w->err), 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 61);
	assert_int_equal(world_contacts(w), 19);
	assert_int_equal(
	    import_release(&w->conf, &w->policies[0], &deletions, &w->err), -1);
}

static void
test_policies_and_places(void **state)
{
	static const char *const extra[] = {"NORTH/extra"};

	(void)state;
	three();
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
	many(100);
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

/* A directory that goes away leaves everything as it was. */
static void
test_directory_gone(void **state)
{
	(void)state;
	three();
	fixture_kill(&w->ldap, SIGKILL);
	assert_int_equal(world_run_of(w, &w->policies[0]), -1);
	assert_int_equal(w->err.class, ERR_TEMPORARY);
	assert_non_null(strstr(w->err.message, w->ldap.address));
	fixture_start(&w->ldap, false);
	session_close(w->session);
	w->session = fixture_session(&w->ldap);
	world_run(w);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(world_contacts(w), 3);
	world_expect_settled(w);
}

/* slapd takes a ligature for its letters, which our key does not: the name is
 * refused, noted, and the next serial taken, in the same run. */
static void
test_names_that_only_the_directory_knows(void **state)
{
	struct seen seen;

	(void)state;
	world_local(w, "cn=Ra\xef\xac\x80i," WORLD_INTO, "Ra\xef\xac\x80i",
	    "here@here.example", NULL);
	world_local(w, "cn=M\xc3\xbcller," WORLD_INTO, "M\xc3\xbcller",
	    "mueller@here.example", NULL);
	world_person(w, 0, 0, "Raffi", "raffi@north.example", "");
	world_person(w, 0, 1, "MULLER", "muller@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 2);
	assert_int_equal(w->result.quarantined, 0);
	seen = world_contact(w, "raffi@north.example");
	assert_string_equal(seen.cn, "Raffi (2)");
	seen = world_contact(w, "muller@north.example");
	assert_string_equal(seen.cn, "MULLER (2)");
	world_expect_settled(w);
	/* A rename into such a name, with another change beside it. */
	world_person(w, 0, 1, "RA\xef\xac\x80I", "muller@north.example", "T");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.quarantined, 0);
	seen = world_contact(w, "muller@north.example");
	assert_string_equal(seen.title, "T");
	assert_true(strncmp(seen.cn, "RA\xef\xac\x80I (", 8) == 0);
	world_expect_settled(w);
}

static const struct nasty {
	const char *cn, *wanted; /* NULL: as it is */
	size_t cn_len;           /* 0: a C string */
	const char *mail;
} nasties[] = {
    {"Quote \"Double\" O'Single", NULL, 0, NULL},
    {"Comma, Inc.; +plus=equals", NULL, 0, NULL},
    {"#leading", NULL, 0, NULL},
    {"  blanks  inside  ", "blanks inside", 0, NULL},
    {"back\\slash\\2c", NULL, 0, NULL},
    {"<angle> & (paren) * |", NULL, 0, NULL},
    {"emoji \xf0\x9f\xa6\x8a\xf0\x9f\x9a\x80", NULL, 0, NULL},
    {"\xd8\xa7\xd9\x84\xd9\x85\xd8\xa8\xd9\x8a", NULL, 0, NULL},
    {"nul\0byte", "nul byte", 8, NULL},
    {"line\nbreak\ttab\r", "line break tab", 0, NULL},
    {"0123456789012345678901234567890123456789012345678901234567890123-cut",
	"0123456789012345678901234567890123456789012345678901234567890123", 0,
	NULL},
    {"star", NULL, 0, "a*b@north.example"},
    {"paren", NULL, 0, "(a)(b)@north.example"},
    {"backslash", NULL, 0, "a\\5c\\b@north.example"},
    {"filter", NULL, 0, "*)(uid=*@north.example"},
    {"pipe", NULL, 0, "x|(objectClass=*)@north.example"},
    {"\xff\xfe", "n16", 0, NULL}, /* no text: the address names it */
    {" ", "n17", 0, NULL},
};
#define NASTIES (sizeof(nasties) / sizeof(nasties[0]))

static const char *
nasty_mail(size_t i, char out[64])
{
	snprintf(out, 64, "n%zu@north.example", i);
	return nasties[i].mail == NULL ? out : nasties[i].mail;
}

static void
test_nasty_names(void **state)
{
	char mail[64];
	size_t i;

	(void)state;
	for (i = 0; i < NASTIES; i++) {
		struct person *p = &w->persons[0][i];

		world_person(w, 0, i, nasties[i].cn, nasty_mail(i, mail), "");
		if (nasties[i].cn_len > 0) {
			memcpy(p->cn, nasties[i].cn, nasties[i].cn_len);
			p->cn_len = nasties[i].cn_len;
		}
	}
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.quarantined, 0);
	assert_int_equal(w->result.added, NASTIES);
	for (i = 0; i < NASTIES; i++) {
		const char *wanted = nasties[i].wanted == NULL
					 ? nasties[i].cn
					 : nasties[i].wanted;
		struct seen seen = world_contact(w, nasty_mail(i, mail));

		assert_int_equal(seen.count, 1);
		if (i < 16)
			assert_string_equal(seen.cn, wanted);
		else
			assert_true(strncmp(seen.cn, wanted, 3) == 0);
		assert_int_equal(seen.cn_len, strlen(seen.cn));
		assert_true(dn_equal(dn_parent(seen.dn), WORLD_INTO));
	}
	world_expect_settled(w);
	/* A change finds exactly the one that it is meant for. */
	for (i = 0; i < NASTIES; i++)
		snprintf(w->persons[0][i].title, 64, "t%zu", i);
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.modified, NASTIES);
	for (i = 0; i < NASTIES; i++) {
		char title[16];

		snprintf(title, sizeof(title), "t%zu", i);
		assert_string_equal(
		    world_contact(w, nasty_mail(i, mail)).title, title);
	}
	memset(w->persons, 0, sizeof(w->persons));
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, NASTIES);
	assert_int_equal(world_contacts(w), 0);
}

/* --- dying anywhere --- */

static void
mutate(unsigned round)
{
	size_t i;

	for (i = 0; i < 120; i++) {
		char cn[64];
		char mail[64];
		unsigned r = (unsigned)rand() % 8;

		if (r == 0) {
			w->persons[0][i].mail[0] = '\0';
			continue;
		}
		snprintf(cn, sizeof(cn), "Person %u", (unsigned)rand() % 40);
		snprintf(mail, sizeof(mail), "p%zu@north.example", i);
		if (r < 4)
			world_person(w, 0, i, cn, mail, r == 2 ? "" : "T");
	}
	snprintf(w->persons[0][0].title, 64, "round %u", round);
	world_publish(w, 0);
}

static void
run_and_die(void)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(world_run_of(w, &w->policies[0]) == 0 ? 0 : 1);
	usleep((unsigned)rand() % 60000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
expect_exactly_the_published(void)
{
	unsigned live = 0;
	size_t i;

	for (i = 0; i < WORLD_PERSONS; i++) {
		const struct person *p = &w->persons[0][i];
		struct seen seen;

		if (p->mail[0] == '\0')
			continue;
		live++;
		seen = world_contact(w, p->mail);
		assert_int_equal(seen.count, 1);
		assert_string_equal(seen.title, p->title);
		assert_true(strncmp(seen.cn, p->cn, strlen(p->cn)) == 0);
	}
	assert_int_equal(world_contacts(w), live);
}

static void
test_killed_at_any_moment(void **state)
{
	unsigned seed = (unsigned)clock_now_ms();
	unsigned round;

	(void)state;
	if (getenv("SEED") != NULL)
		seed = (unsigned)strtoul(getenv("SEED"), NULL, 10);
	print_message("SEED=%u\n", seed);
	srand(seed);
	w->policies[0].max_delete_count = 1000;
	for (round = 0; round < 12; round++) {
		mutate(round);
		run_and_die();
		if (round % 3 == 0)
			run_and_die();
		world_run(w);
		assert_int_equal(w->result.quarantined, 0);
		assert_int_equal(w->result.detached, 0);
	}
	expect_exactly_the_published();
	world_expect_settled(w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_changes_arrive),
	    TEST(test_local_addresses_win),
	    TEST(test_addresses_move_in_one_run),
	    TEST(test_moved_contacts),
	    TEST(test_only_contacts_are_ours),
	    TEST(test_lost_state),
	    TEST(test_restored_replica),
	    TEST(test_restored_state),
	    TEST(test_revoked_and_ended),
	    TEST(test_many_deletions_wait),
	    TEST(test_policies_and_places),
	    TEST(test_policies_at_once),
	    TEST(test_two_streams_of_a_member),
	    TEST(test_quarantine),
	    TEST(test_directory_gone),
	    TEST(test_names_that_only_the_directory_knows),
	    TEST(test_nasty_names),
	    TEST(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
