#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/base/buf.h"
#include "common/base/clock.h"

#define TERM_GRACE_MS (2 * CLOCK_SECOND_MS)
#define WAIT_STEP_MS 50

void
process_harden(void)
{
	struct rlimit none = {0, 0};

	(void)umask(077);
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* What every child does first. */
static void
child_setup(const char *name, pid_t parent)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before the line above. */
	if (getppid() != parent)
		_exit(EXIT_FAILED);
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, name);
}

int
process_start(struct process *p, const char *name, process_main_fn *fn,
    void *arg, int64_t deadline_ms, struct err *err)
{
	pid_t parent = getpid();
	pid_t pid;

	*p = (struct process){.name = name};
	/* What stdio holds would be written by both. */
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return err_set_errno(
		    err, ERR_TEMPORARY, "cannot start %s", name);
	if (pid == 0) {
		int code;

		child_setup(name, parent);
		/* A peer that goes away is an error of one call, not the end
		 * of the worker: libldap writes without MSG_NOSIGNAL. */
		(void)signal(SIGPIPE, SIG_IGN);
		code = fn(arg);
		(void)fflush(NULL);
		_exit(code);
	}
	p->pid = pid;
	p->deadline = deadline_ms == 0 ? 0 : clock_mono_ms() + deadline_ms;
	return 0;
}

static enum process_end
process_ended(struct process *p, int wait_status, int *out_status)
{
	bool timed_out = p->term_sent;
	bool exited = WIFEXITED(wait_status);

	*out_status = exited ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status);
	p->pid = 0;
	p->term_sent = false;
	if (timed_out)
		return PROCESS_TIMED_OUT;
	return exited ? PROCESS_EXITED : PROCESS_CRASHED;
}

/* SIGTERM, and SIGCONT because a stopped process would not see it. */
static void
process_term(struct process *p, int64_t grace_ms)
{
	(void)kill(p->pid, SIGTERM);
	(void)kill(p->pid, SIGCONT);
	p->term_sent = true;
	p->kill_at = clock_mono_ms() + grace_ms;
}

enum process_end
process_step(struct process *p, int *out_status)
{
	int64_t now = clock_mono_ms();
	int status = 0;
	pid_t pid;

	INVARIANT(p->pid > 0);
	do {
		pid = waitpid(p->pid, &status, WNOHANG);
	} while (pid < 0 && errno == EINTR);
	if (pid == p->pid)
		return process_ended(p, status, out_status);
	if (pid < 0) {
		/* Somebody else reaped it: there is nothing to wait for. */
		p->pid = 0;
		*out_status = 0;
		return PROCESS_CRASHED;
	}
	if (!p->term_sent && p->deadline != 0 && now >= p->deadline)
		process_term(p, TERM_GRACE_MS);
	else if (p->term_sent && now >= p->kill_at)
		(void)kill(p->pid, SIGKILL);
	return PROCESS_RUNNING;
}

enum process_end
process_wait(struct process *p, int *out_status)
{
	/* Readable when it ends. Without one (Linux before 5.3): look often. */
	struct pollfd ended = {.fd = pidfd_open(p->pid, 0), .events = POLLIN};
	int pause_ms = ended.fd < 0 ? 1 : WAIT_STEP_MS;
	enum process_end end;

	while ((end = process_step(p, out_status)) == PROCESS_RUNNING) {
		(void)poll(&ended, 1, pause_ms);
		if (pause_ms < WAIT_STEP_MS)
			pause_ms *= 2;
	}
	if (ended.fd >= 0)
		(void)close(ended.fd);
	return end;
}

void
process_stop(struct process *p, int64_t grace_ms)
{
	int status;

	if (p->pid == 0)
		return;
	process_term(p, grace_ms);
	(void)process_wait(p, &status);
}

struct run_args {
	const char *const *argv;
	int out;
};

static int
run_main(void *arg)
{
	const struct run_args *run = arg;
	int null = open("/dev/null", O_RDONLY);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(run->out, STDOUT_FILENO) < 0)
		_exit(127);
	(void)execvp(run->argv[0], (char *const *)(uintptr_t)run->argv);
	_exit(127);
}

/* Moves what the child writes into output until it closes its end or the
 * deadline of p comes. */
static int
run_collect(struct process *p, int fd, struct buf *output, struct err *err)
{
	uint8_t bytes[4096];

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left = p->deadline == 0 ? WAIT_STEP_MS
						: p->deadline - clock_mono_ms();
		ssize_t n;

		if (left <= 0)
			return 0;
		if (poll(&pfd, 1,
			left > WAIT_STEP_MS ? WAIT_STEP_MS : (int)left) <= 0)
			continue;
		n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(
			    err, ERR_IO, "read from %s", p->name);
		if (n == 0)
			return 0;
		buf_add(output, slice_make(bytes, (size_t)n));
		if (buf_check(output, "output", err) != 0)
			return err_prepend(err, "%s", p->name);
	}
}

int
process_run(const char *const argv[], struct buf *output, int64_t deadline_ms,
    int *out_status, struct err *err)
{
	struct process p = {.pid = 0};
	struct run_args run = {.argv = argv};
	enum process_end end;
	int ends[2];
	int rc = -1;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_set_errno(err, ERR_IO, "pipe");
	run.out = ends[1];
	if (process_start(&p, argv[0], run_main, &run, deadline_ms, err) != 0)
		goto out;
	(void)close(ends[1]);
	ends[1] = -1;
	if (run_collect(&p, ends[0], output, err) != 0) {
		process_stop(&p, TERM_GRACE_MS);
		goto out;
	}
	end = process_wait(&p, out_status);
	if (end == PROCESS_TIMED_OUT)
		err_set(err, ERR_TEMPORARY, "%s did not end within %lld ms",
		    argv[0], (long long)deadline_ms);
	else if (end == PROCESS_CRASHED)
		err_set(err, ERR_TEMPORARY, "%s was ended by signal %d",
		    argv[0], *out_status);
	else
		rc = 0;
out:
	(void)close(ends[0]);
	if (ends[1] >= 0)
		(void)close(ends[1]);
	return rc;
}
