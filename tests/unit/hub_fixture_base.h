/* The hub of hub_fixture.h, and what its spokes are. */
#ifndef TESTS_UNIT_HUB_FIXTURE_BASE_H
#define TESTS_UNIT_HUB_FIXTURE_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/replica/replica.h"
#include "common/wire/invitation.h"
#include "common/wire/limits.h"
#include "common/wire/object.h"
#include "hub/admit.h"
#include "hub/members.h"
#include "hub/publish.h"
#include "hub/report.h"

#define UNUSED __attribute__((unused))
#define OK(call)                                                               \
	do {                                                                   \
		if ((call) < 0)                                                \
			fail_msg("%s: %s", #call, fx_err.message);             \
	} while (0)

static struct err fx_err;
static char fx_dir[64];
static struct hub_conf fx_conf;
static struct hub *fx_hub;

#define SPOKE_HELD_MAX 64

/* What a spoke holds of one stream of another. */
struct fx_held {
	char member[64], stream[64];
	struct replica *replica;
	int64_t issued_at;
};

struct fx_spoke {
	const char *name;
	char dir[96];
	struct keys keys;
	struct id instance;
	struct registry *registry;
	struct replica *own; /* stream "staff" */
	char tag[80];
	const char *audience; /* NULL: all, or the list */
	const char *const *audiences;
	size_t audience_count;
	uint64_t last_publish, last_ack;
	int64_t issued_at;
	uint64_t hub_version; /* what the hub said that it holds */
	uint8_t hub_root[32];
	char hub_refusal[1100];
	struct fx_held held[SPOKE_HELD_MAX];
	size_t held_count;
	const char *wants;
	/* of the last fetch */
	size_t tuples, sections;
	uint64_t bytes;
	bool got_registry;
	struct buf last_envelope; /* of the last publication */
	char last_name[64];
	int64_t clock; /* added to now */
};

static UNUSED int
fx_setup(void **state)
{
	(void)state;
	log_init("test",
	    getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : (enum log_level)0);
	(void)snprintf(fx_dir, sizeof(fx_dir), "/tmp/test_hub.XXXXXX");
	if (mkdtemp(fx_dir) == NULL)
		return -1;
	fx_conf = (struct hub_conf){.realm = "test",
	    .state = mem_printf("%s/hub", fx_dir),
	    .listen = "tcp://127.0.0.1:4710",
	    .address = "tcp://127.0.0.1:4710",
	    .spool_quota = 1 << 30,
	    .bundle_lifetime_ms = 7 * CLOCK_DAY_MS,
	    .invite_lifetime_ms = 7 * CLOCK_DAY_MS,
	    .foreign_limit = 2,
	    .foreign_percent = 10,
	    .resend_ms = CLOCK_MINUTE_MS,
	    .every_ms = CLOCK_MINUTE_MS,
	    .worker_deadline_ms = CLOCK_HOUR_MS};
	if (fsio_mkdirs(fx_conf.state, &fx_err) < 0 ||
	    members_init(&fx_conf, &fx_err) < 0)
		return -1;
	return hub_open(&fx_conf, HUB_WRITE, 0, &fx_hub, &fx_err);
}

static UNUSED int
fx_teardown(void **state)
{
	(void)state;
	hub_close(fx_hub);
	fx_hub = NULL;
	free((char *)fx_conf.state);
	return fsio_remove_tree(fx_dir, &fx_err);
}

/* The hub process dies and a new one comes. */
static UNUSED void
fx_restart(void)
{
	hub_close(fx_hub);
	OK(hub_open(&fx_conf, HUB_WRITE, 0, &fx_hub, &fx_err));
}

static UNUSED struct admit_result
fx_admit(void)
{
	struct admit_result result;

	OK(admit_run(fx_hub, NULL, &result, &fx_err));
	return result;
}

static UNUSED struct publish_result
fx_publish(void)
{
	struct publish_result result;

	OK(publish_run(fx_hub, &result, &fx_err));
	return result;
}

static UNUSED uint64_t fx_counter_value;
static const char *fx_counter_name;

static UNUSED void
fx_counter_take(void *arg, const char *name, uint64_t value)
{
	(void)arg;
	if (strcmp(name, fx_counter_name) == 0)
		fx_counter_value = value;
}

static UNUSED uint64_t
fx_counter(const char *name)
{
	fx_counter_name = name;
	fx_counter_value = 0;
	OK(store_counters(fx_hub->store, fx_counter_take, NULL, &fx_err));
	return fx_counter_value;
}

static UNUSED size_t
fx_box_count(const char *peer, enum spool_box box)
{
	char after[SPOOL_NAME_SIZE] = "";
	struct spool_message message;
	size_t n = 0;
	int rc;

	while ((rc = spool_next(fx_hub->spool, peer, box,
		    after[0] == '\0' ? NULL : after, &message, &fx_err)) > 0) {
		(void)snprintf(after, sizeof(after), "%s", message.name);
		spool_message_fini(&message);
		n++;
	}
	OK(rc);
	return n;
}

#endif
