/* SIGKILL at any moment, full disks and locks: afterwards stands the old state
 * or the new one, never anything between. */
#include "tests/unit/replica_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

#define GENERATION 10 /* versions of a generation's states */

/* All objects are of one generation. */
static void
assert_generation(struct replica *replica, uint32_t generation)
{
	struct replica_cursor *cursor;
	struct section_object object;
	char text[32];
	int rc;

	snprintf(text, sizeof(text), " generation %u ", generation);
	OK(replica_cursor_open(replica, 0, &cursor, &fixture_err));
	while ((rc = replica_cursor_next(cursor, &object, &fixture_err)) > 0)
		assert_non_null(memmem(
		    object.body.data, object.body.len, text, strlen(text)));
	OK(rc);
	replica_cursor_close(cursor);
}

/* Runs child_main in a child and kills it after some microseconds. 0 when it
 * was killed, else it had ended: then with success. */
static int
run_and_kill(void (*child_main)(void), long microseconds)
{
	struct timespec delay = {0, microseconds * 1000};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		child_main();
		_exit(0);
	}
	nanosleep(&delay, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return 0;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return 1;
}

/* Intakes of ever new generations, from the one that stands. */
static void
intake_for_ever(void)
{
	struct replica *replica;

	if (replica_open(fixture_path("kill.db"), &replica, &fixture_err) < 0)
		_exit(2);
	for (;;) {
		uint32_t next =
		    (uint32_t)(state_of(replica).version / GENERATION) + 1;

		/* Every third generation is another set of objects. */
		fixture_fill(replica, next % 3 == 0 ? 100 : 0, 400, next,
		    (int64_t)next * GENERATION);
	}
}

static void
test_kill_intake(void **state)
{
	uint64_t last = 0;
	int grown = 0;

	(void)state;
	for (int i = 0; i < 25; i++) {
		struct replica *replica;

		run_and_kill(intake_for_ever, 500 + i * 2500);
		replica = fixture_open("kill.db");
		fixture_verify(replica);
		assert_true(state_of(replica).version >= last);
		grown += state_of(replica).version > last;
		last = state_of(replica).version;
		assert_int_equal(last % GENERATION, 0);
		assert_generation(replica, (uint32_t)(last / GENERATION));
		replica_close(replica);
	}
	assert_true(grown > 3);
}

#define MESSAGES 10
static struct fixture_message messages[MESSAGES];

/* Applies all messages in their order; even ones are fulls. */
static void
apply_all(void)
{
	struct replica *replica;

	if (replica_open(fixture_path("target.db"), &replica, &fixture_err) < 0)
		_exit(2);
	for (int i = 0; i < MESSAGES; i++) {
		if (messages[i].section.version <= state_of(replica).version)
			continue;
		if (fixture_apply(replica, &messages[i]) < 0)
			_exit(3);
	}
	replica_close(replica);
}

static void
test_kill_apply(void **state)
{
	struct replica *source = fixture_open("source.db");
	int between = 0;

	(void)state;
	for (uint32_t i = 0; i < MESSAGES; i++) {
		char name[20];

		snprintf(name, sizeof(name), "m%u", i);
		fixture_fill(source, i % 2 * 20, 300, i + 1,
		    (int64_t)(i + 1) * GENERATION);
		messages[i] = fixture_section(
		    source, i % 2 == 0 ? 0 : i * GENERATION, name);
	}
	replica_close(source);
	for (int i = 0; i < 60; i++) {
		struct replica *target;
		uint64_t version;

		run_and_kill(apply_all, 300 + i * 37 % 23 * 1500);
		target = fixture_open("target.db");
		fixture_verify(target);
		version = state_of(target).version;
		assert_int_equal(version % GENERATION, 0);
		assert_generation(target, (uint32_t)(version / GENERATION));
		replica_close(target);
		if (version > 0 && version < MESSAGES * GENERATION)
			between++;
		if (version == MESSAGES * GENERATION)
			OK(fsio_unlink(
			    fixture_path("target.db"), &fixture_err));
	}
	assert_true(between > 5);
}

static void
leave_note_in_log(void)
{
	struct replica *replica;

	if (replica_open(fixture_path("step.db"), &replica, &fixture_err) < 0 ||
	    replica_note_set(replica, "old", SLICE_LIT("log"), &fixture_err) <
		0)
		_exit(2);
	/* Not closed: the note stands in the log only. */
	_exit(0);
}

/* The steps of a replacement, as a crash leaves them. */
static void
test_replacement_steps(void **state)
{
	struct replica *replica = fixture_open("step.db");
	struct replica *new_one = fixture_open("other.db");
	struct fixture_message message;
	struct buf buf;

	(void)state;
	fixture_fill(replica, 0, 50, 1, 1000);
	replica_close(replica);
	fixture_fill(new_one, 0, 80, 2, 2000);
	message = fixture_section(new_one, 0, "step");
	replica_close(new_one);
	run_and_kill(leave_note_in_log, 900000);
	assert_true(fixture_exists("step.db-wal"));
	/* Being built: garbage. */
	OK(fsio_write(fixture_path("step.db.new"), SLICE_LIT("half"), 0600,
	    &fixture_err));
	replica = fixture_open("step.db");
	assert_int_equal(state_of(replica).version, 1000);
	fixture_verify(replica);
	replica_close(replica);
	/* Decided: the log of the old file must not reach the new one. */
	run_and_kill(leave_note_in_log, 900000);
	assert_true(fixture_exists("step.db-wal"));
	OK(fsio_rename(fixture_path("other.db"), fixture_path("step.db.ready"),
	    &fixture_err));
	replica = fixture_open("step.db");
	assert_false(fixture_exists("step.db.ready"));
	assert_int_equal(state_of(replica).version, 2000);
	fixture_verify(replica);
	buf_init(&buf, 10);
	OK(replica_note_get(replica, "old", &buf, &fixture_err));
	assert_int_equal(buf.len, 0);
	buf_fini(&buf);
	replica_close(replica);
	/* The garbage does not hinder the next replacement. */
	message.manifest.version = message.section.version;
	replica = fixture_open("step2.db");
	OK(fsio_write(fixture_path("step2.db.new"), SLICE_LIT("half"), 0600,
	    &fixture_err));
	OK(fixture_apply(replica, &message));
	assert_false(fixture_exists("step2.db.new"));
	fixture_verify(replica);
	replica_close(replica);
}

/* Someone died in the middle of a replacement while this handle was open: its
 * next write goes to the replacement. */
static void
test_decided_meanwhile(void **state)
{
	struct replica *replica = fixture_open("mean.db");
	struct replica *other = fixture_open("mean2.db");

	(void)state;
	fixture_fill(replica, 0, 5, 1, 1000);
	fixture_fill(other, 0, 9, 1, 2000);
	replica_close(other);
	OK(fsio_rename(fixture_path("mean2.db"), fixture_path("mean.db.ready"),
	    &fixture_err));
	OK(replica_note_set(replica, "x", SLICE_LIT("y"), &fixture_err));
	assert_int_equal(state_of(replica).version, 2000);
	fixture_verify(replica);
	replica_close(replica);
}

static const char *full_name;
static enum replica_intake_mode full_mode;

/* An intake that does not fit. Exit code 0: refused as it should be. */
static void
intake_too_much(void)
{
	static char body[2000];
	struct replica *replica;
	struct replica_intake *intake;
	struct replica_changes changes;
	uint32_t i;

	memset(body, 'x', sizeof(body));
	if (replica_open(fixture_path(full_name), &replica, &fixture_err) < 0 ||
	    replica_intake_begin(replica, full_mode, &intake, &fixture_err) < 0)
		_exit(2);
	/* SQLite writes when its cache is full, or at the end. */
	for (i = 0; i < 8000; i++) {
		struct id id = fixture_id(i);

		snprintf(body, sizeof(body), "%u", i);
		if (replica_intake_put(intake, &id,
			slice_make(body, sizeof(body)), &fixture_err) < 0)
			break;
	}
	if (i < 8000)
		replica_intake_abort(intake);
	else if (replica_intake_finish(
		     intake, 9000, false, &changes, &fixture_err) == 0)
		_exit(3);
	if (fixture_err.class != ERR_IO ||
	    strstr(fixture_err.message, "disk full") == NULL) {
		fprintf(stderr, "%s\n", fixture_err.message);
		_exit(4);
	}
	replica_close(replica);
	_exit(0);
}

static void
limited_intake(void)
{
	struct rlimit limit = {2 << 20, 2 << 20};

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		_exit(5);
	intake_too_much();
}

static void
limited_apply(void)
{
	struct rlimit limit = {128 << 10, 128 << 10};
	struct section_reader *reader;
	struct replica_apply_options options = {
	    .manifest = &messages[0].manifest,
	    .signed_manifest = SLICE_LIT("signed")};
	struct replica_changes changes;
	struct replica *replica;

	if (replica_open(fixture_path(full_name), &replica, &fixture_err) < 0 ||
	    section_reader_open(messages[0].path, messages[0].section.sha256,
		messages[0].section.key, fixture_dir, &reader,
		&fixture_err) < 0)
		_exit(2);
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		_exit(5);
	if (replica_apply(replica, reader, &options, &changes, &fixture_err) ==
	    0)
		_exit(3);
	if (fixture_err.class != ERR_IO ||
	    strstr(fixture_err.message, "disk full") == NULL) {
		fprintf(stderr, "%s\n", fixture_err.message);
		_exit(4);
	}
	section_reader_close(reader);
	replica_close(replica);
	_exit(0);
}

static void
run_to_end(void (*child_main)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		child_main();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_disk_full(void **state)
{
	struct replica *replica;

	(void)state;
	/* A new file. */
	full_name = "full.db";
	full_mode = REPLICA_FULL;
	run_to_end(limited_intake);
	replica = fixture_open("full.db");
	assert_int_equal(state_of(replica).version, 0);
	fixture_fill(replica, 0, 50, 1, 1000);
	replica_close(replica);
	assert_false(fixture_exists("full.db.new"));
	/* In place, both ways. */
	run_to_end(limited_intake);
	full_mode = REPLICA_TOUCHED;
	run_to_end(limited_intake);
	replica = fixture_open("full.db");
	assert_int_equal(state_of(replica).version, 1000);
	fixture_verify(replica);
	/* Once there is room again, all is well. */
	fixture_fill(replica, 0, 5000, 2, 2000);
	fixture_verify(replica);
	messages[0] = fixture_section(replica, 0, "big");
	replica_close(replica);
	full_name = "fulltarget.db";
	run_to_end(limited_apply);
	replica = fixture_open("fulltarget.db");
	assert_int_equal(state_of(replica).version, 0);
	OK(fixture_apply(replica, &messages[0]));
	assert_false(fixture_exists("fulltarget.db.new"));
	fixture_fill(replica, 0, 10, 3, 3000);
	fixture_verify(replica);
	replica_close(replica);
}

/* The same with a file system that is really full; needs root. */
static void
test_tmpfs_full(void **state)
{
	struct replica *replica;

	(void)state;
	OK(fsio_mkdirs(fixture_path("small"), &fixture_err));
	if (mount("galrelay-test", fixture_path("small"), "tmpfs", 0,
		"size=4m") < 0)
		skip();
	full_name = "small/r.db";
	full_mode = REPLICA_FULL;
	run_to_end(intake_too_much);
	replica = fixture_open("small/r.db");
	assert_int_equal(state_of(replica).version, 0);
	fixture_fill(replica, 0, 50, 1, 1000);
	replica_close(replica);
	run_to_end(intake_too_much);
	replica = fixture_open("small/r.db");
	assert_int_equal(state_of(replica).version, 1000);
	fixture_fill(replica, 0, 60, 2, 2000);
	fixture_verify(replica);
	replica_close(replica);
	assert_int_equal(umount2(fixture_path("small"), MNT_DETACH), 0);
}

static int pipes[2];

static void
hold_intake(void)
{
	struct replica *replica;
	struct replica_intake *intake;
	struct id id = fixture_id(1);

	if (replica_open(fixture_path("lock.db"), &replica, &fixture_err) < 0 ||
	    replica_intake_begin(
		replica, REPLICA_TOUCHED, &intake, &fixture_err) < 0 ||
	    replica_intake_put(intake, &id, SLICE_LIT("z"), &fixture_err) < 0 ||
	    write(pipes[1], "r", 1) != 1)
		_exit(2);
	pause();
}

static void
test_locked(void **state)
{
	struct replica *replica = fixture_open("lock.db");
	struct replica_intake *intake;
	struct fixture_message message;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	fixture_fill(replica, 0, 50, 1, 1000);
	fixture_fill(replica, 0, 51, 1, 2000);
	message = fixture_section(replica, 0, "lock");
	message.manifest.version = 3000;
	replica_close(replica);
	pid = fork();
	if (pid == 0) {
		hold_intake();
		_exit(1);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	replica = fixture_open("lock.db");
	db_busy_set(replica->db, 50);
	/* Readers are not hindered, and see nothing of it. */
	fixture_verify(replica);
	assert_int_equal(
	    replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_TEMPORARY);
	assert_non_null(strstr(fixture_err.message, "database is locked"));
	assert_int_equal(fixture_apply(replica, &message), -1);
	assert_int_equal(fixture_err.class, ERR_TEMPORARY);
	assert_int_equal(
	    replica_note_set(replica, "a", SLICE_LIT("b"), &fixture_err), -1);
	assert_int_equal(fixture_err.class, ERR_TEMPORARY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	OK(replica_note_set(replica, "a", SLICE_LIT("b"), &fixture_err));
	assert_int_equal(state_of(replica).version, 2000);
	fixture_verify(replica);
	replica_close(replica);
	close(pipes[0]);
	close(pipes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kill_intake),
	    cmocka_unit_test(test_kill_apply),
	    cmocka_unit_test(test_replacement_steps),
	    cmocka_unit_test(test_decided_meanwhile),
	    cmocka_unit_test(test_disk_full),
	    cmocka_unit_test(test_tmpfs_full),
	    cmocka_unit_test(test_locked),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
