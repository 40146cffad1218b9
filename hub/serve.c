#include "hub/serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "hub/watch.h"

#define FRONT_RESTART_MIN_MS 500
#define FRONT_RESTART_MAX_MS CLOCK_MINUTE_MS
#define FRONT_STEADY_MS CLOCK_MINUTE_MS
#define WORKER_RETRY_MS (10 * CLOCK_SECOND_MS)
#define SERVE_GRACE_MS (5 * CLOCK_SECOND_MS)
#define SERVE_TICK_MS 1000

struct serve {
	struct hub_conf *conf;
	struct watch *watch;
	int signals;
	bool stop;
	struct process front, worker;
	int64_t front_started, front_at, front_wait;
	int64_t worker_at; /* monotonic: when it is due anyway */
	bool work;         /* something arrived */
	struct worker_job job;
};

static int
serve_signals(struct err *err)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGCHLD, SIGHUP};
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		(void)sigaddset(&set, caught[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_set_errno(err, ERR_IO, "signalfd");
	return fd;
}

static void
serve_signals_read(struct serve *serve)
{
	struct signalfd_siginfo info;

	while (read(serve->signals, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			serve->stop = true;
		if (info.ssi_signo == SIGHUP)
			serve->work = true;
	}
}

/* Says why a child ended; false while it runs. */
static bool
child_ended(struct process *process, int *out_status)
{
	switch (process_step(process, out_status)) {
	case PROCESS_RUNNING:
		return false;
	case PROCESS_EXITED:
		break;
	case PROCESS_CRASHED:
		log_error("%s crashed signal=%d", process->name, *out_status);
		*out_status = EXIT_FAILED;
		break;
	case PROCESS_TIMED_OUT:
		log_error("%s killed at its deadline", process->name);
		*out_status = EXIT_FAILED;
		break;
	}
	return true;
}

static void
front_step(struct serve *serve, int64_t now)
{
	struct err err = {0};
	int status;

	if (serve->front.pid != 0 && child_ended(&serve->front, &status)) {
		if (now - serve->front_started > FRONT_STEADY_MS)
			serve->front_wait = 0;
		serve->front_at = now + serve->front_wait;
		log_warn("front ended status=%d restart_ms=%lld", status,
		    (long long)serve->front_wait);
		serve->front_wait = serve->front_wait == 0
					? FRONT_RESTART_MIN_MS
					: serve->front_wait * 2;
		if (serve->front_wait > FRONT_RESTART_MAX_MS)
			serve->front_wait = FRONT_RESTART_MAX_MS;
	}
	if (serve->front.pid != 0 || now < serve->front_at)
		return;
	serve->front_started = now;
	if (process_start(&serve->front, "galhub-front", front_main,
		serve->conf, 0, &err) < 0) {
		log_err(&err, "front not started");
		serve->front_at = now + FRONT_RESTART_MIN_MS;
	}
}

static void
worker_step(struct serve *serve, int64_t now)
{
	const char *const *peers;
	struct err err = {0};
	bool members;
	int status;

	if (serve->worker.pid != 0 && child_ended(&serve->worker, &status)) {
		serve->worker_at = now + serve->conf->every_ms;
		if (status == EXIT_DONE || status == EXIT_PARTLY)
			serve->job.greet = false;
		if (status != EXIT_DONE &&
		    WORKER_RETRY_MS < serve->conf->every_ms)
			serve->worker_at = now + WORKER_RETRY_MS;
		/* It took in most of what the watch reported; what came while
		 * it ended is still there. */
		if (watch_read(serve->watch, &peers, &members, &err) < 0)
			log_err(&err, "watch failed");
		serve->work = status == EXIT_DONE && watch_waiting(serve->conf);
	}
	if (serve->worker.pid != 0 || (!serve->work && now < serve->worker_at))
		return;
	if (watch_read(serve->watch, &peers, &members, &err) < 0)
		log_err(&err, "watch failed");
	serve->work = false;
	serve->worker_at = now + serve->conf->every_ms;
	if (process_start(&serve->worker, "galhub-worker", worker_main,
		&serve->job, serve->conf->worker_deadline_ms, &err) < 0)
		log_err(&err, "worker not started");
}

static void
serve_wait(struct serve *serve)
{
	struct pollfd fds[] = {
	    {serve->signals, POLLIN, 0}, {watch_fd(serve->watch), POLLIN, 0}};
	/* While a worker runs it watches for itself. */
	nfds_t count = serve->worker.pid == 0 ? 2 : 1;
	const char *const *peers;
	struct err err = {0};
	bool members;

	if (poll(fds, count, SERVE_TICK_MS) > 0 && count == 2 &&
	    fds[1].revents != 0) {
		if (watch_read(serve->watch, &peers, &members, &err) < 0)
			log_err(&err, "watch failed");
		else if (members || peers == NULL || peers[0] != NULL)
			serve->work = true;
	}
	serve_signals_read(serve);
}

static int
serve_lock(const struct hub_conf *conf, struct err *err)
{
	char *path = mem_printf("%s/serve.lock", conf->state);
	int64_t end = clock_mono_ms() + SERVE_GRACE_MS;
	int fd;

	/* Children of one that was killed take a moment to follow it. */
	while ((fd = fsio_lock(path, err)) < 0 && err->class == ERR_TEMPORARY &&
	       clock_mono_ms() < end)
		usleep(50000);
	if (fd < 0 && err->class == ERR_TEMPORARY)
		(void)err_prepend(err, "another galhub serve runs here");
	free(path);
	return fd;
}

int
serve_run(const struct hub_conf *conf)
{
	struct serve serve = {.conf = (struct hub_conf *)conf,
	    .signals = -1,
	    .work = true,
	    .job = {conf, true}};
	struct err err = {0};
	int lock = serve_lock(conf, &err);
	int rc = -1;

	if (lock < 0)
		goto out;
	serve.signals = serve_signals(&err);
	if (serve.signals < 0 || watch_open(conf, &serve.watch, &err) < 0)
		goto out;
	log_notice("serving realm=\"%s\" state=%s listen=%s", conf->realm,
	    conf->state, conf->listen);
	while (!serve.stop) {
		int64_t now = clock_mono_ms();

		front_step(&serve, now);
		worker_step(&serve, now);
		serve_wait(&serve);
	}
	process_stop(&serve.worker, SERVE_GRACE_MS);
	process_stop(&serve.front, SERVE_GRACE_MS);
	log_notice("stopped");
	rc = 0;
out:
	if (rc < 0)
		log_err(&err, "serve failed");
	watch_close(serve.watch);
	if (serve.signals >= 0)
		close(serve.signals);
	if (lock >= 0)
		close(lock);
	return rc < 0 ? (int)err_exit_code(&err) : EXIT_DONE;
}
