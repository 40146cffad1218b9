#include "spoke/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ldap/session.h"
#include "spoke/run.h"
#include "spoke/wait.h"

/* A connection that waits for changes is renewed this often. */
#define LISTENER_RENEW_MS CLOCK_HOUR_MS
#define LISTENER_RETRY_MS CLOCK_MINUTE_MS
/* How it says that something changed. */
#define LISTENER_EXIT_CHANGED 10

static void
listening_tell(void *arg)
{
	const struct listener *l = arg;

	if (write(l->ends[1], "", 1) < 0)
		log_error(
		    "cannot say that changes are heard of errno=%d", errno);
}

static int
listener_main(void *arg)
{
	const struct listener *l = arg;
	const struct wait_options options = {.timeout_ms = LISTENER_RENEW_MS,
	    .listening = listening_tell,
	    .arg = arg};
	struct err err = {0};
	int rc = wait_for_change(l->conf, &options, &err);

	if (rc < 0)
		log_err(&err, "cannot wait for changes, runs keep to schedule");
	if (rc < 0)
		return session_refused(&err) ? RUN_EXIT_REFUSED : EXIT_FAILED;
	return rc > 0 ? LISTENER_EXIT_CHANGED : EXIT_DONE;
}

static void
end_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void
listener_forget(struct listener *l)
{
	end_close(&l->ends[0]);
	end_close(&l->ends[1]);
	l->listening = false;
}

static int
listener_fork(struct listener *l, struct err *err)
{
	int rc;

	if (pipe2(l->ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set_errno(err, ERR_TEMPORARY, "cannot make a pipe");
	rc = process_start(&l->process, "wait", listener_main, l,
	    LISTENER_RENEW_MS + CLOCK_HOUR_MS, err);
	end_close(&l->ends[1]);
	if (rc < 0)
		listener_forget(l);
	return rc;
}

void
listener_start(struct listener *l, const struct spoke_conf *conf, int64_t now)
{
	struct err err = {0};

	if (l->process.pid != 0 || now < l->due)
		return;
	l->conf = conf;
	if (listener_fork(l, &err) < 0) {
		log_err(&err, "cannot start waiting");
		l->due = now + LISTENER_RETRY_MS;
	}
}

/* Does it begin to listen? */
static bool
listener_hear(struct listener *l)
{
	char byte;

	if (l->ends[0] < 0 || read(l->ends[0], &byte, 1) != 1)
		return false;
	end_close(&l->ends[0]);
	l->listening = true;
	return true;
}

static enum listener_news
listener_end(struct listener *l, enum process_end end, int status, int64_t now)
{
	bool done = end == PROCESS_EXITED && status == EXIT_DONE;

	listener_forget(l);
	if (end == PROCESS_EXITED && status == LISTENER_EXIT_CHANGED)
		return LISTENER_CHANGED;
	if (end == PROCESS_CRASHED)
		log_error("worker died name=wait signal=%d", status);
	if (end == PROCESS_TIMED_OUT)
		log_error("worker passed its deadline and was killed "
			  "name=wait");
	l->deaf = true;
	l->due = done ? now : now + LISTENER_RETRY_MS;
	return end == PROCESS_EXITED && status == RUN_EXIT_REFUSED
		   ? LISTENER_REFUSED
		   : LISTENER_NOTHING;
}

enum listener_news
listener_step(struct listener *l, int64_t now)
{
	bool missed = listener_hear(l) && l->deaf;
	enum process_end end;
	int status = 0;

	if (missed)
		l->deaf = false;
	if (l->process.pid != 0) {
		end = process_step(&l->process, &status);
		if (end != PROCESS_RUNNING)
			return listener_end(l, end, status, now);
	}
	return missed ? LISTENER_MISSED : LISTENER_NOTHING;
}

bool
listener_is_connecting(const struct listener *l)
{
	return l->process.pid != 0 && !l->listening;
}

int
listener_fd(const struct listener *l)
{
	return l->ends[0];
}

void
listener_stop(struct listener *l, int64_t grace_ms)
{
	process_stop(&l->process, grace_ms);
	listener_forget(l);
	l->due = 0;
}
