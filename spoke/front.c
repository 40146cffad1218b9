#include "spoke/front.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "spoke/spoke.h"

#define FRONT_LOCK "front"
/* Beyond the carrier's own deadline, for its start and end. */
#define FRONT_GRACE_MS 5000

struct front_shared {
	int rc;
	struct err err;
	struct carrier_counters counters;
};

struct front_job {
	const struct front_options *options;
	struct front_shared *shared;
};

bool
front_running(const struct spoke_conf *conf)
{
	struct err err = {0};
	int lock = spoke_lock(conf, FRONT_LOCK, 0, &err);

	if (lock < 0)
		return err.class == ERR_TEMPORARY;
	(void)close(lock);
	return false;
}

static int
front_run(const struct front_options *o, bool once,
    struct carrier_counters *counters, struct err *err)
{
	char *status = spoke_conf_state_path(o->conf, "front.json");
	char *keys = spoke_conf_state_path(o->conf, "keys");
	struct carrier_zmq_spoke_options options = {.endpoint = o->endpoint,
	    .hub_curve_public = o->hub_curve,
	    .peer = SPOKE_PEER,
	    .status_path = once ? NULL : status,
	    .once = once,
	    .deadline_ms = o->deadline_ms,
	    .expect_messages = o->expect_messages};
	struct key_pair own = {0};
	int rc = -1;

	if (o->curve == NULL &&
	    (crypto_init(err) < 0 || keys_load_curve(keys, &own, err) < 0))
		goto out;
	options.curve_public =
	    o->curve == NULL ? own.public_key : o->curve->public_key;
	options.curve_secret =
	    o->curve == NULL ? own.private_key : o->curve->private_key;
	if (spool_open(
		o->spool_root, o->conf->spool_quota, &options.spool, err) < 0)
		goto out;
	if (spool_peer_add(options.spool, SPOKE_PEER, err) == 0)
		rc = carrier_zmq_spoke_run(&options, counters, err);
	spool_close(options.spool);
out:
	explicit_bzero(&own, sizeof(own));
	free(keys);
	free(status);
	return rc;
}

int
front_serve(const struct spoke_conf *conf, struct err *err)
{
	struct carrier_counters counters = {0};
	struct front_options options = {.conf = conf};
	struct identity identity;
	char *spool;
	int lock, rc;

	if (identity_require(conf, &identity, err) < 0)
		return -1;
	lock = spoke_lock(conf, FRONT_LOCK, 2 * FRONT_GRACE_MS, err);
	if (lock < 0)
		return err_prepend(err, "another front runs");
	spool = spoke_conf_state_path(conf, "spool");
	options.endpoint = identity.address;
	options.hub_curve = identity.hub_curve;
	options.spool_root = spool;
	rc = front_run(&options, false, &counters, err);
	free(spool);
	(void)close(lock);
	return rc;
}

static int
front_main(void *arg)
{
	struct front_job *job = arg;
	struct front_shared *s = job->shared;

	s->rc = front_run(job->options, true, &s->counters, &s->err);
	return s->rc == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int
front_fork(const struct front_options *options, struct front_shared *shared,
    struct err *err)
{
	struct front_job job = {.options = options, .shared = shared};
	struct process process = {0};
	enum process_end end;
	int status = 0;

	/* What the run has freed so far is not carried into the child. */
	(void)malloc_trim(0);
	if (process_start(&process, "front", front_main, &job,
		options->deadline_ms + FRONT_GRACE_MS, err) < 0)
		return -1;
	end = process_wait(&process, &status);
	if (end == PROCESS_EXITED && status == EXIT_DONE)
		return 0;
	if (end == PROCESS_EXITED && shared->err.class != ERR_NONE) {
		if (err != NULL)
			*err = shared->err;
		return -1;
	}
	return err_set(err, ERR_TEMPORARY,
	    end == PROCESS_TIMED_OUT ? "the front did not end in time (%s)"
				     : "the front died (%s)",
	    options->endpoint);
}

int
front_once(const struct front_options *options,
    struct carrier_counters *out_counters, struct err *err)
{
	struct front_shared *shared;
	struct err own = {0};
	int lock = -1;
	int rc;

	if (!options->beside) {
		lock = spoke_lock(options->conf, FRONT_LOCK, 0, &own);
		if (lock < 0)
			return err_set_code(err, own.class,
			    own.class == ERR_TEMPORARY ? FRONT_BUSY : 0, "%s",
			    own.message);
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		rc = err_set_errno(err, ERR_IO, "shared memory");
	} else {
		rc = front_fork(options, shared, err);
		*out_counters = shared->counters;
		(void)munmap(shared, sizeof(*shared));
	}
	if (lock >= 0)
		(void)close(lock);
	return rc;
}

#define TROUBLE_KEY "\"trouble\":\""

bool
front_connected(const struct spoke_conf *conf, char trouble[FRONT_TROUBLE_SIZE])
{
	char *path = spoke_conf_state_path(conf, "front.json");
	const char *text = NULL;
	struct buf json;
	bool up = false;

	buf_init(&json, 64 * 1024);
	if (fsio_read(path, &json, NULL) == 0) {
		up = strstr(buf_cstr(&json), "\"connected\":true") != NULL;
		text = strstr(buf_cstr(&json), TROUBLE_KEY);
	}
	/* Our own words: nothing in them is escaped. */
	text = text == NULL ? "" : text + strlen(TROUBLE_KEY);
	(void)snprintf(trouble, FRONT_TROUBLE_SIZE, "%.*s",
	    (int)strcspn(text, "\""), text);
	if (trouble[0] == '\0')
		(void)snprintf(trouble, FRONT_TROUBLE_SIZE, "no answer yet");
	buf_fini(&json);
	free(path);
	return up;
}
