/* Imports after something was lost: state, replica, directory, a member, life.
 */
#include "tests/unit/import_tests.h"

static void
test_lost_state(void **state)
{
	struct replica *replica = NULL;
	char path[128];
	struct err err;

	(void)state;
	world_three();
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
	world_three();
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
	world_three();
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
	world_three();
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
test_many_deletions_wait(void **state)
{
	uint64_t deletions;
	size_t i;

	(void)state;
	world_many(80);
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

/* A directory that goes away leaves everything as it was. */
static void
test_directory_gone(void **state)
{
	(void)state;
	world_three();
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(test_lost_state),
	    WORLD_TEST(test_restored_replica),
	    WORLD_TEST(test_restored_state),
	    WORLD_TEST(test_revoked_and_ended),
	    WORLD_TEST(test_many_deletions_wait),
	    WORLD_TEST(test_directory_gone),
	    WORLD_TEST(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
