/* The worker: passes of admit and publish until nothing more comes. */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "common/base/log.h"
#include "hub/admit.h"
#include "hub/publish.h"
#include "hub/serve.h"
#include "hub/watch.h"

/* A pass costs little, a process more: wait this long for the next message. */
#define WORKER_LINGER_MS 3000
/* Messages of several members often come together. */
#define WORKER_GATHER_MS 30
#define WORKER_LOCK_MS 60000

int
worker_pass(
    struct hub *hub, const char *const *peers, bool *out_again, struct err *err)
{
	struct admit_result admitted;
	struct publish_result published;

	*out_again = false;
	if (admit_run(hub, peers, &admitted, err) < 0 ||
	    publish_run(hub, &published, err) < 0)
		return -1;
	*out_again = admitted.retry > 0 || published.waiting > 0;
	if (admitted.messages > 0 || admitted.refused > 0 ||
	    published.bundles > 0)
		log_info("pass messages=%llu refused=%llu retry=%llu "
			 "targets=%llu sections=%llu bundles=%llu",
		    (unsigned long long)admitted.messages,
		    (unsigned long long)admitted.refused,
		    (unsigned long long)admitted.retry,
		    (unsigned long long)published.targets,
		    (unsigned long long)published.sections,
		    (unsigned long long)published.bundles);
	return 0;
}

static int
worker_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* 1: more to do, 0: the worker should end, -1. */
static int
worker_wait(struct watch *watch, int signals, const char *const **out_peers,
    struct err *err)
{
	struct pollfd fds[] = {
	    {watch_fd(watch), POLLIN, 0}, {signals, POLLIN, 0}};
	int64_t end = clock_mono_ms() + WORKER_LINGER_MS;
	int64_t left;
	bool members;

	while ((left = end - clock_mono_ms()) > 0) {
		if (poll(fds, 2, (int)left) <= 0 || fds[1].revents != 0)
			return 0;
		if (poll(&fds[1], 1, WORKER_GATHER_MS) > 0)
			return 0;
		if (watch_read(watch, out_peers, &members, err) < 0)
			return -1;
		/* The front's status file stirs the watch too. */
		if (members || *out_peers == NULL || (*out_peers)[0] != NULL)
			return 1;
	}
	return 0;
}

static int
worker_loop(struct hub *hub, struct watch *watch, int signals, bool *out_again,
    struct err *err)
{
	int64_t end = clock_mono_ms() + hub->conf->worker_deadline_ms / 4;
	const char *const *peers;
	bool members;
	int more;

	if (watch_read(watch, &peers, &members, err) < 0)
		return -1;
	do {
		if (hub_lock(hub, WORKER_LOCK_MS, err) < 0 ||
		    worker_pass(hub, peers, out_again, err) < 0)
			return -1;
		hub_unlock(hub);
		more = worker_wait(watch, signals, &peers, err);
	} while (more > 0 && clock_mono_ms() < end);
	return more < 0 ? -1 : 0;
}

int
worker_main(void *arg)
{
	const struct worker_job *job = arg;
	const struct hub_conf *conf = job->conf;
	struct watch *watch = NULL;
	struct hub *hub = NULL;
	struct err err = {0};
	bool again = false;
	int signals = worker_signals();
	int rc = -1;

	log_prefix("part=worker");
	if (watch_open(conf, &watch, &err) == 0 &&
	    hub_open(conf, HUB_WRITE, WORKER_LOCK_MS, &hub, &err) == 0 &&
	    (!job->greet || target_touch(hub->store, NULL, true, &err) == 0))
		rc = worker_loop(hub, watch, signals, &again, &err);
	if (rc < 0)
		log_err(&err, "worker failed");
	hub_close(hub);
	watch_close(watch);
	if (signals >= 0)
		close(signals);
	if (rc < 0)
		return (int)err_exit_code(&err);
	return again ? EXIT_PARTLY : EXIT_DONE;
}
