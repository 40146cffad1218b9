/*
 *             ┌──────── SIGHUP: configuration anew ────────┐
 *   schedule ─┴► export worker ─► out box ─► front ─► hub   │
 *   inbox (inotify) ─► fetch worker ─ changed ─► import worker
 *   directory ─► waiting worker ─ changed ─► export worker
 *
 * An export that follows changes starts when the waiting worker listens again,
 * or is repeated then: nothing that is written meanwhile goes unheard.
 */
#include "spoke/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "spoke/front.h"
#include "spoke/listener.h"
#include "spoke/run.h"
#include "spoke/spoke.h"

/* Runs at once: one reads while another waits for the directory. */
#define SERVE_WORKERS_MAX 2
#define SERVE_FETCH_DEADLINE_MS CLOCK_HOUR_MS
/* Even without news: an acknowledgement may be due. */
#define SERVE_FETCH_EVERY_MS CLOCK_HOUR_MS
/* A failed run is tried again sooner than its schedule says. */
#define SERVE_RETRY_MS CLOCK_MINUTE_MS
/* Domains lock accounts after a few wrong passwords in as many minutes. */
#define SERVE_REFUSED_MS (15 * CLOCK_MINUTE_MS)
#define SERVE_FRONT_BACKOFF_MS 1000
#define SERVE_FRONT_BACKOFF_MAX_MS CLOCK_MINUTE_MS
#define SERVE_POLL_MAX_MS 1000
#define SERVE_STOP_GRACE_MS 3000
/* So long an export waits for the worker that hears of changes. */
#define SERVE_HEAR_MS 2000
/* How the fetch says that something changed. */
#define SERVE_EXIT_CHANGED 10

struct job {
	struct process process;
	char name[64];
	bool import;
	int64_t every_ms, deadline_ms;
	int64_t settle_ms, started; /* an export that follows changes */
	int64_t due; /* clock_mono_ms(); INT64_MAX: only by hand */
};

struct server {
	const char *conf_path;
	struct spoke_conf *conf;
	struct spool *spool;
	int watch;
	struct job *jobs;
	size_t job_count;
	struct process front, fetch;
	struct listener listener;
	int64_t front_due, front_backoff, front_started;
	int64_t fetch_due;
	int64_t refused_until; /* the directory refused us: nobody asks it */
};

struct worker {
	const struct server *server;
	const char *policy;
};

static volatile sig_atomic_t stop_wanted, reload_wanted;

static void
on_signal(int number)
{
	if (number == SIGHUP)
		reload_wanted = 1;
	else if (number != SIGCHLD)
		stop_wanted = 1;
}

/* Signals are let in only while polling. */
static void
signals_set(sigset_t *out_before)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	(void)sigemptyset(&action.sa_mask);
	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		(void)sigaction(numbers[i], &action, NULL);
		(void)sigaddset(&blocked, numbers[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &blocked, out_before);
}

static int
front_main(void *arg)
{
	const struct server *s = arg;
	struct err err = {0};

	if (front_serve(s->conf, &err) == 0)
		return EXIT_DONE;
	log_err(&err, "front failed");
	return EXIT_FAILED;
}

static int
fetch_main(void *arg)
{
	const struct server *s = arg;
	bool changed;
	int code;

	code = run_fetch(s->conf, &changed);
	return code == EXIT_DONE && changed ? SERVE_EXIT_CHANGED : code;
}

static int
policy_main(void *arg)
{
	const struct worker *w = arg;
	const struct run_options options = {
	    .quiet = true, .no_wait = true, .no_front = true};

	return run_policy(w->server->conf, w->policy, &options);
}

static void
job_add(struct server *s, const char *name, bool import, int64_t every,
    int64_t deadline)
{
	struct job *job = &s->jobs[s->job_count++];

	spoke_text(job->name, sizeof(job->name), "%s", name);
	job->import = import;
	job->every_ms = every;
	job->deadline_ms = deadline;
	/* Everything once at the start, exports first. */
	job->due =
	    every == 0 ? INT64_MAX : clock_mono_ms() + (import ? 2000 : 0);
}

static void
jobs_make(struct server *s)
{
	const struct spoke_conf *c = s->conf;

	s->job_count = 0;
	s->jobs =
	    mem_calloc(c->export_count + c->import_count + 1, sizeof(*s->jobs));
	for (size_t i = 0; i < c->export_count; i++)
		if (c->exports[i].enabled) {
			job_add(s, c->exports[i].name, false,
			    c->exports[i].every_ms, c->exports[i].deadline_ms);
			s->jobs[s->job_count - 1].settle_ms =
			    c->exports[i].settle_ms;
		}
	for (size_t i = 0; i < c->import_count; i++)
		if (c->imports[i].enabled)
			job_add(s, c->imports[i].name, true,
			    c->imports[i].every_ms, c->imports[i].deadline_ms);
}

static void
end_tell(const char *what, enum process_end end, int status)
{
	if (end == PROCESS_CRASHED)
		log_error("worker died name=%s signal=%d", what, status);
	else if (end == PROCESS_TIMED_OUT)
		log_error(
		    "worker passed its deadline and was killed name=%s", what);
}

static void
front_step(struct server *s, int64_t now)
{
	struct err err = {0};
	enum process_end end;
	int status = 0;

	if (s->front.pid != 0) {
		end = process_step(&s->front, &status);
		if (end == PROCESS_RUNNING)
			return;
		end_tell("front", end, status);
		if (now - s->front_started > SERVE_FRONT_BACKOFF_MAX_MS)
			s->front_backoff = 0;
		s->front_backoff = s->front_backoff == 0
				       ? SERVE_FRONT_BACKOFF_MS
				       : s->front_backoff * 2;
		if (s->front_backoff > SERVE_FRONT_BACKOFF_MAX_MS)
			s->front_backoff = SERVE_FRONT_BACKOFF_MAX_MS;
		s->front_due = now + s->front_backoff;
	}
	if (now < s->front_due)
		return;
	s->front_started = now;
	if (process_start(&s->front, "front", front_main, s, 0, &err) < 0) {
		log_err(&err, "cannot start the front");
		s->front_due = now + SERVE_FRONT_BACKOFF_MAX_MS;
	}
}

static void
imports_wake(struct server *s, int64_t now)
{
	for (size_t i = 0; i < s->job_count; i++)
		if (s->jobs[i].import && s->jobs[i].every_ms != 0)
			s->jobs[i].due = now;
}

static void
fetch_step(struct server *s, int64_t now)
{
	struct err err = {0};
	enum process_end end;
	int status = 0;

	if (s->fetch.pid != 0) {
		end = process_step(&s->fetch, &status);
		if (end == PROCESS_RUNNING)
			return;
		end_tell("fetch", end, status);
		if (end == PROCESS_EXITED && status == SERVE_EXIT_CHANGED)
			imports_wake(s, now);
		else if (end != PROCESS_EXITED || status != EXIT_DONE)
			s->fetch_due = now + SERVE_RETRY_MS;
	}
	if (now < s->fetch_due)
		return;
	s->fetch_due = now + SERVE_FETCH_EVERY_MS;
	if (process_start(&s->fetch, "fetch", fetch_main, s,
		SERVE_FETCH_DEADLINE_MS, &err) < 0)
		log_err(&err, "cannot start fetching");
}

/* Exports that follow changes run again, at most once in their settle time.
 * Returns when the first of them does: until then there is nothing to hear. */
static int64_t
exports_wake(struct server *s, int64_t now)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < s->job_count; i++) {
		struct job *job = &s->jobs[i];
		int64_t due = job->started + job->settle_ms;

		if (job->settle_ms == 0)
			continue;
		if (due < now)
			due = now;
		if (job->due > due)
			job->due = due;
		if (first > job->due)
			first = job->due;
	}
	return first;
}

static bool
listener_wanted(const struct server *s)
{
	for (size_t i = 0; i < s->job_count; i++)
		if (s->jobs[i].settle_ms != 0)
			return true;
	return false;
}

static void
refused_note(struct server *s, int64_t now)
{
	s->refused_until = now + SERVE_REFUSED_MS;
	log_warn(
	    "the directory refused name or password: it is not asked again "
	    "for 15 minutes, so that the account is not locked; correct "
	    "user and password_file, then SIGHUP");
}

static void
changed_note(struct server *s, int64_t now)
{
	s->listener.due = exports_wake(s, now);
	log_info("the directory changed export_in_ms=%lld",
	    (long long)(s->listener.due - now));
}

static void
listener_look(struct server *s, int64_t now)
{
	switch (listener_step(&s->listener, now)) {
	case LISTENER_CHANGED:
		changed_note(s, now);
		break;
	case LISTENER_MISSED:
		(void)exports_wake(s, now);
		break;
	case LISTENER_REFUSED:
		refused_note(s, now);
		break;
	case LISTENER_NOTHING:
		break;
	}
	if (now >= s->refused_until && listener_wanted(s))
		listener_start(&s->listener, s->conf, now);
}

static void
job_end(struct job *job, enum process_end end, int status, int64_t now)
{
	bool failed = end != PROCESS_EXITED || status == EXIT_FAILED;
	int64_t wait = job->every_ms;

	end_tell(job->name, end, status);
	if (failed && (wait == 0 || wait > SERVE_RETRY_MS))
		wait = SERVE_RETRY_MS;
	/* News that came meanwhile asked for another run. */
	if (job->due == INT64_MAX && wait != 0)
		job->due = now + wait;
}

/* Imports write to one directory: never two at once. */
static bool
job_may_start(const struct server *s, const struct job *job)
{
	unsigned running = 0;

	for (size_t i = 0; i < s->job_count; i++) {
		if (s->jobs[i].process.pid == 0)
			continue;
		running++;
		if (job->import && s->jobs[i].import)
			return false;
	}
	return running < SERVE_WORKERS_MAX;
}

/* One that follows changes waits a little for the worker that hears of them. */
static bool
job_is_heard(const struct server *s, const struct job *job, int64_t now)
{
	return job->settle_ms == 0 || !listener_is_connecting(&s->listener) ||
	       now - job->due >= SERVE_HEAR_MS;
}

static void
job_step(struct server *s, struct job *job, int64_t now)
{
	struct worker worker = {.server = s, .policy = job->name};
	struct err err = {0};
	enum process_end end;
	int status = 0;

	if (job->process.pid != 0) {
		end = process_step(&job->process, &status);
		if (end == PROCESS_RUNNING)
			return;
		job_end(job, end, status, now);
		if (end == PROCESS_EXITED && status == RUN_EXIT_REFUSED)
			refused_note(s, now);
	}
	if (now < job->due || now < s->refused_until ||
	    !job_is_heard(s, job, now) || !job_may_start(s, job))
		return;
	if (job->settle_ms != 0 && !s->listener.listening)
		s->listener.deaf = true;
	job->due = INT64_MAX;
	job->started = now;
	if (process_start(&job->process, job->name, policy_main, &worker,
		job->deadline_ms, &err) < 0) {
		log_err(&err, "cannot start policy=%s", job->name);
		job->due = now + SERVE_RETRY_MS;
	}
}

static void
jobs_stop(struct server *s)
{
	for (size_t i = 0; i < s->job_count; i++)
		process_stop(&s->jobs[i].process, SERVE_STOP_GRACE_MS);
	free(s->jobs);
	s->jobs = NULL;
	s->job_count = 0;
}

/* A configuration with a mistake leaves the old one at work. */
static void
reload(struct server *s)
{
	struct spoke_conf *fresh = NULL;
	struct err err = {0};

	reload_wanted = 0;
	if (spoke_conf_load(s->conf_path, &fresh, &err) < 0) {
		log_err(&err, "configuration not taken over");
		return;
	}
	jobs_stop(s);
	process_stop(&s->fetch, SERVE_STOP_GRACE_MS);
	listener_stop(&s->listener, SERVE_STOP_GRACE_MS);
	spoke_conf_free(s->conf);
	s->conf = fresh;
	jobs_make(s);
	s->fetch_due = clock_mono_ms();
	s->refused_until = 0;
	log_notice("configuration taken over");
}

static void
poll_once(struct server *s, const sigset_t *mask)
{
	struct pollfd fds[] = {{.fd = s->watch, .events = POLLIN},
	    {.fd = listener_fd(&s->listener), .events = POLLIN}};
	struct timespec wait = {
	    .tv_sec = 0, .tv_nsec = SERVE_POLL_MAX_MS * 1000000L - 1};

	if (ppoll(fds, 2, &wait, mask) <= 0 || fds[0].revents == 0)
		return;
	spool_watch_read(s->watch);
	s->fetch_due = 0;
}

static void
loop(struct server *s, const sigset_t *mask)
{
	while (!stop_wanted) {
		int64_t now = clock_mono_ms();

		if (reload_wanted)
			reload(s);
		front_step(s, now);
		fetch_step(s, now);
		listener_look(s, now);
		for (size_t i = 0; i < s->job_count; i++)
			job_step(s, &s->jobs[i], now);
		poll_once(s, mask);
	}
}

static int
server_open(struct server *s, struct err *err)
{
	struct identity identity;
	char *root;
	int rc;

	if (spoke_conf_load(s->conf_path, &s->conf, err) < 0 ||
	    identity_require(s->conf, &identity, err) < 0)
		return -1;
	log_prefix("spoke=%s", identity.member);
	root = spoke_conf_state_path(s->conf, "spool");
	rc = spool_open(root, s->conf->spool_quota, &s->spool, err);
	free(root);
	if (rc < 0 || spool_peer_add(s->spool, SPOKE_PEER, err) < 0 ||
	    spool_watch_open(s->spool, &s->watch, err) < 0 ||
	    spool_watch_peer(s->spool, s->watch, SPOKE_PEER, SPOOL_IN, err) < 0)
		return -1;
	return 0;
}

int
serve_run(const char *conf_path)
{
	struct server s = {
	    .conf_path = conf_path, .watch = -1, .listener = LISTENER_INIT};
	struct err err = {0};
	sigset_t mask;
	int lock = -1;
	int code = EXIT_FAILED;

	if (server_open(&s, &err) < 0)
		goto out;
	lock = spoke_lock(s.conf, "serve", 0, &err);
	if (lock < 0) {
		(void)err_prepend(&err, "galspoke serve runs already");
		goto out;
	}
	signals_set(&mask);
	jobs_make(&s);
	log_notice("serving policies=%zu", s.job_count);
	loop(&s, &mask);
	log_notice("stopping");
	code = EXIT_DONE;
out:
	if (code != EXIT_DONE)
		log_err(&err, "cannot serve");
	jobs_stop(&s);
	process_stop(&s.fetch, SERVE_STOP_GRACE_MS);
	listener_stop(&s.listener, SERVE_STOP_GRACE_MS);
	process_stop(&s.front, SERVE_STOP_GRACE_MS);
	if (lock >= 0)
		(void)close(lock);
	if (s.watch >= 0)
		(void)close(s.watch);
	if (s.spool != NULL)
		spool_close(s.spool);
	spoke_conf_free(s.conf);
	return code;
}
