/* fsio, process, log: what touches the operating system. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/process.h"

#define S(text) SLICE_LIT(text)

struct fixture {
	char dir[32];
	char *path;
	char *other;
	struct err err;
};

static int
setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof(*f));

	memcpy(f->dir, "/tmp/galr-sys-XXXXXX", 21);
	if (mkdtemp(f->dir) == NULL)
		return -1;
	f->path = fsio_join(f->dir, "a");
	f->other = fsio_join(f->dir, "b");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	int rc = fsio_remove_tree(f->dir, &f->err);

	free(f->path);
	free(f->other);
	free(f);
	return rc;
}

static unsigned int
count_files(const char *dir)
{
	const char *const argv[] = {"ls", "-A", dir, NULL};
	unsigned int lines = 0;
	struct err err;
	struct buf out;
	int status = -1;

	buf_init(&out, 65536);
	assert_int_equal(process_run(argv, &out, 10000, &status, &err), 0);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	buf_fini(&out);
	return lines;
}

static void
test_write_read(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	struct buf buf;

	assert_int_equal(fsio_write(f->path, S("one"), 0600, &f->err), 0);
	assert_int_equal(fsio_write(f->path, S("four"), 0640, &f->err), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	buf_init(&buf, 4);
	assert_int_equal(fsio_read(f->path, &buf, &f->err), 0);
	assert_string_equal(buf_cstr(&buf), "four");
	buf_fini(&buf);
	/* One byte too many: nothing is kept. */
	buf_init(&buf, 3);
	assert_int_equal(fsio_read(f->path, &buf, &f->err), -1);
	assert_int_equal(f->err.class, ERR_LIMIT);
	assert_int_equal(buf.len, 0);
	buf_fini(&buf);
	buf_init(&buf, 3);
	assert_int_equal(fsio_read(f->other, &buf, &f->err), -1);
	assert_int_equal(f->err.class, ERR_IO);
	assert_int_equal(f->err.saved_errno, ENOENT);
	buf_fini(&buf);
	/* No temporary file stays, neither after success nor after failure. */
	assert_int_equal(count_files(f->dir), 1);
	assert_int_equal(mkdir(f->other, 0700), 0);
	assert_int_equal(fsio_write(f->other, S("x"), 0600, &f->err), -1);
	assert_int_equal(count_files(f->dir), 2);
}

static int
write_killed_main(void *arg)
{
	const char *path = arg;
	static uint8_t content[65536];
	struct err err;

	for (int round = 0;; round++) {
		memset(content, 'a' + round % 26, sizeof(content));
		if (fsio_write(path, slice_make(content, sizeof(content)), 0600,
			&err) != 0)
			return EXIT_FAILED;
	}
}

/* Whenever the writer is killed, a reader finds one whole content. */
static void
test_write_is_atomic(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fsio_write(f->path, S("start"), 0600, &f->err), 0);
	for (int i = 0; i < 10; i++) {
		struct process p = {.pid = 0};
		struct buf buf;

		assert_int_equal(process_start(&p, "writer", write_killed_main,
				     f->path, 0, &f->err),
		    0);
		(void)poll(NULL, 0, 3 * i);
		process_stop(&p, 0);
		buf_init(&buf, 65536);
		assert_int_equal(fsio_read(f->path, &buf, &f->err), 0);
		assert_true(buf.len == 5 || buf.len == 65536);
		for (size_t j = 1; buf.len > 5 && j < buf.len; j++)
			assert_int_equal(buf.data[j], buf.data[0]);
		buf_fini(&buf);
	}
}

static void
test_files(void **state)
{
	struct fixture *f = *state;
	uint64_t usage = 0;
	uint8_t bytes[8];
	char *deep = fsio_join(f->dir, "x/y/z");
	char *in_deep = fsio_join(deep, "file");
	char *link_path = fsio_join(deep, "link");
	int fd;

	assert_int_equal(fsio_mkdirs(deep, &f->err), 0);
	assert_int_equal(fsio_mkdirs(deep, &f->err), 0);
	assert_int_equal(fsio_write(f->path, S("12345678"), 0600, &f->err), 0);
	assert_int_equal(fsio_mkdirs(f->path, &f->err), 0);
	assert_int_equal(fsio_link(f->path, f->other, &f->err), 0);
	assert_int_equal(fsio_link(f->path, f->other, &f->err), 0);
	assert_int_equal(fsio_dir_usage(f->dir, &usage, &f->err), 0);
	assert_int_equal(usage, 16);
	assert_int_equal(fsio_rename(f->other, in_deep, &f->err), 0);
	assert_int_equal(fsio_unlink(f->other, &f->err), 0);
	assert_int_equal(fsio_rename(f->other, in_deep, &f->err), -1);
	assert_int_equal(f->err.saved_errno, ENOENT);
	fd = open(in_deep, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fsio_pread_all(fd, bytes, 8, 0, &f->err), 0);
	assert_memory_equal(bytes, "12345678", 8);
	assert_int_equal(fsio_pread_all(fd, bytes, 8, 1, &f->err), -1);
	assert_int_equal(f->err.class, ERR_BAD_DATA);
	(void)close(fd);
	/* Removal does not follow a link out of the tree. */
	assert_int_equal(symlink(f->dir, link_path), 0);
	free(link_path);
	link_path = fsio_join(f->dir, "x");
	assert_int_equal(fsio_remove_tree(link_path, &f->err), 0);
	assert_int_equal(fsio_remove_tree(link_path, &f->err), 0);
	assert_int_equal(access(f->path, F_OK), 0);
	assert_int_equal(access(link_path, F_OK), -1);
	assert_int_equal(fsio_dir_usage(link_path, &usage, &f->err), -1);
	assert_int_equal(fsio_sync_dir(link_path, &f->err), -1);
	free(deep);
	free(in_deep);
	free(link_path);
}

static int
lock_main(void *arg)
{
	struct err err;
	int fd = fsio_lock(arg, &err);

	if (fd >= 0)
		return 0;
	return err.class == ERR_TEMPORARY ? 9 : 1;
}

static void
test_lock(void **state)
{
	struct fixture *f = *state;
	struct process p = {.pid = 0};
	int status = -1;
	int fd = fsio_lock(f->path, &f->err);

	assert_true(fd >= 0);
	assert_int_equal(
	    process_start(&p, "lock", lock_main, f->path, 5000, &f->err), 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_EXITED);
	assert_int_equal(status, 9);
	(void)close(fd);
	assert_int_equal(
	    process_start(&p, "lock", lock_main, f->path, 5000, &f->err), 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_EXITED);
	assert_int_equal(status, 0);
}

static int
exit_main(void *arg)
{
	return *(int *)arg;
}

static int
abort_main(void *arg)
{
	(void)arg;
	(void)raise(SIGUSR2);
	return 0;
}

static void
sleep_long(void)
{
	for (;;)
		(void)poll(NULL, 0, 1000);
}

static int
hang_main(void *arg)
{
	(void)arg;
	sleep_long();
	return 0;
}

static int
deaf_main(void *arg)
{
	(void)arg;
	(void)signal(SIGTERM, SIG_IGN);
	sleep_long();
	return 0;
}

static int
stopped_main(void *arg)
{
	(void)arg;
	(void)raise(SIGSTOP);
	sleep_long();
	return 0;
}

static void
test_process_ends(void **state)
{
	struct fixture *f = *state;
	struct process p = {.pid = 0};
	int status = -1;
	int code = 3;

	assert_int_equal(
	    process_start(&p, "exit", exit_main, &code, 0, &f->err), 0);
	assert_true(p.pid > 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_EXITED);
	assert_int_equal(status, 3);
	assert_int_equal(p.pid, 0);
	/* A handler or an ignored signal of ours is not the child's. */
	(void)signal(SIGUSR2, SIG_IGN);
	assert_int_equal(
	    process_start(&p, "crash", abort_main, NULL, 5000, &f->err), 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_CRASHED);
	assert_int_equal(status, SIGUSR2);
	(void)signal(SIGUSR2, SIG_DFL);
	process_stop(&p, 1000);
}

static void
test_process_deadline(void **state)
{
	static process_main_fn *const mains[] = {hang_main, stopped_main};
	struct fixture *f = *state;
	struct process p = {.pid = 0};
	int status = -1;
	int64_t began;

	for (size_t i = 0; i < 2; i++) {
		began = clock_mono_ms();
		assert_int_equal(
		    process_start(&p, "hang", mains[i], NULL, 100, &f->err), 0);
		assert_int_equal(process_step(&p, &status), PROCESS_RUNNING);
		assert_int_equal(process_wait(&p, &status), PROCESS_TIMED_OUT);
		assert_int_equal(status, SIGTERM);
		assert_true(clock_mono_ms() - began >= 100);
		assert_true(clock_mono_ms() - began < 1900);
	}
	/* Deaf to SIGTERM: killed two seconds later. */
	began = clock_mono_ms();
	assert_int_equal(
	    process_start(&p, "deaf", deaf_main, NULL, 100, &f->err), 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_TIMED_OUT);
	assert_int_equal(status, SIGKILL);
	assert_true(clock_mono_ms() - began >= 2100);
	assert_true(clock_mono_ms() - began < 10000);
	/* Stopped by us, with less patience. */
	assert_int_equal(
	    process_start(&p, "deaf", deaf_main, NULL, 0, &f->err), 0);
	(void)poll(NULL, 0, 100);
	process_stop(&p, 50);
	assert_int_equal(p.pid, 0);
}

static int
middle_main(void *arg)
{
	struct process p = {.pid = 0};
	struct err err;

	(void)arg;
	/* The grandchild inherits the write end and never closes it. */
	if (process_start(&p, "grandchild", hang_main, NULL, 0, &err) != 0)
		return EXIT_FAILED;
	sleep_long();
	return 0;
}

/* A child dies with its parent, even when that is killed: the end of the pipe
 * that only the grandchild still holds shows it. */
static void
test_process_dies_with_parent(void **state)
{
	struct fixture *f = *state;
	struct process p = {.pid = 0};
	struct pollfd pfd;
	int ends[2];
	int status;
	char byte;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(
	    process_start(&p, "middle", middle_main, NULL, 0, &f->err), 0);
	(void)close(ends[1]);
	(void)poll(NULL, 0, 200);
	pfd = (struct pollfd){.fd = ends[0], .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(kill(p.pid, SIGKILL), 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_CRASHED);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	(void)close(ends[0]);
}

static void
test_process_run(void **state)
{
	const char *const echo[] = {
	    "sh", "-c", "cat; printf '%s' ok; exit 3", NULL};
	const char *const missing[] = {"/nonexistent/program", NULL};
	const char *const slow[] = {"sleep", "30", NULL};
	const char *const endless[] = {"yes", NULL};
	struct fixture *f = *state;
	int64_t began = clock_mono_ms();
	struct buf out;
	int status = -1;

	buf_init(&out, 1000);
	assert_int_equal(process_run(echo, &out, 10000, &status, &f->err), 0);
	assert_int_equal(status, 3);
	assert_string_equal(buf_cstr(&out), "ok");
	assert_int_equal(
	    process_run(missing, &out, 10000, &status, &f->err), 0);
	assert_int_equal(status, 127);
	assert_int_equal(process_run(slow, &out, 100, &status, &f->err), -1);
	assert_int_equal(f->err.class, ERR_TEMPORARY);
	assert_int_equal(
	    process_run(endless, &out, 10000, &status, &f->err), -1);
	assert_int_equal(f->err.class, ERR_LIMIT);
	assert_true(clock_mono_ms() - began < 9000);
	buf_fini(&out);
}

static int
log_main(void *arg)
{
	const char *path = arg;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char journal[64];
	struct err err;
	struct stat st;

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || fstat(fd, &st) != 0)
		return 1;
	(void)unsetenv("JOURNAL_STREAM");
	log_init("galtest", LOG_LEVEL_INFO);
	log_debug("hidden");
	log_info("plain n=%d", 1);
	log_prefix("spoke=%s", "north");
	log_warn("odd name=%s", log_text(S("a\"\n\xc3\xa4\\")));
	err_set(&err, ERR_IO, "disk \"full\"");
	log_err(&err, "export policy=staff");
	/* Somebody else's journal stream is not ours. */
	(void)setenv("JOURNAL_STREAM", "1:2", 1);
	log_init("galtest", LOG_LEVEL_INFO);
	log_info("other");
	log_person();
	log_prefix("spoke=%s", "north");
	log_err(&err, "not done");
	(void)snprintf(journal, sizeof(journal), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	(void)setenv("JOURNAL_STREAM", journal, 1);
	log_init("galtest", LOG_LEVEL_DEBUG);
	log_debug("two\nlines");
	return 0;
}

static void
test_log(void **state)
{
	struct fixture *f = *state;
	struct process p = {.pid = 0};
	struct buf out;
	int status = -1;

	assert_int_equal(
	    process_start(&p, "log", log_main, f->path, 5000, &f->err), 0);
	assert_int_equal(process_wait(&p, &status), PROCESS_EXITED);
	assert_int_equal(status, 0);
	buf_init(&out, 10000);
	assert_int_equal(fsio_read(f->path, &out, &f->err), 0);
	assert_string_equal(buf_cstr(&out),
	    "galtest: plain n=1\n"
	    "galtest: warning: odd name=a\\\"\\x0a\\xc3\\xa4\\\\ spoke=north\n"
	    "galtest: error: export policy=staff class=io "
	    "error=\"disk \\\"full\\\"\" spoke=north\n"
	    "galtest: other\n"
	    "galtest: error: not done: disk \"full\"\n"
	    "<7>two lines\n");
	buf_fini(&out);
}

static void
test_log_text_limit(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(strlen(log_text(slice_make(text, 120))), 120);
	assert_int_equal(strlen(log_text(slice_make(text, 121))), 123);
	assert_string_equal(log_text(slice_make(text, 121)) + 120, "...");
	assert_string_equal(log_text(SLICE_NULL), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_write_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_write_is_atomic, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_process_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_process_deadline, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_process_dies_with_parent, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_process_run, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	    cmocka_unit_test(test_log_text_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
