#include "spoke/exchange.h"

#include <unistd.h>
#include "common/base/clock.h"

#define EXCHANGE_POLL_US 50000

static void
fetch_add(struct fetch_result *sum, const struct fetch_result *r)
{
	sum->messages += r->messages;
	sum->refused += r->refused;
	sum->changed += r->changed;
	sum->refreshed += r->refreshed;
	sum->streams_refused += r->streams_refused;
	sum->members_held += r->members_held;
	sum->acknowledged = sum->acknowledged || r->acknowledged;
	sum->changes.added += r->changes.added;
	sum->changes.modified += r->changes.modified;
	sum->changes.deleted += r->changes.deleted;
	if (sum->text[0] == '\0')
		memcpy(sum->text, r->text, sizeof(sum->text));
}

static void
counters_add(struct carrier_counters *sum, const struct carrier_counters *c)
{
	sum->messages_in += c->messages_in;
	sum->messages_out += c->messages_out;
	sum->bytes_in += c->bytes_in;
	sum->bytes_out += c->bytes_out;
	sum->refused += c->refused;
}

static int
front_round(
    struct exchange *e, unsigned expect, int64_t wait_ms, struct err *err)
{
	struct spoke *s = e->spoke;
	struct carrier_counters counters = {0};
	char *root = spoke_conf_state_path(s->conf, "spool");
	const struct front_options options = {.conf = s->conf,
	    .endpoint = s->identity.address,
	    .hub_curve = s->identity.hub_curve,
	    .curve = &s->keys.curve,
	    .spool_root = root,
	    .expect_messages = expect,
	    .deadline_ms = wait_ms};
	int rc = front_once(&options, &counters, err);

	counters_add(&e->counters, &counters);
	free(root);
	return rc;
}

static int
fetch_round(struct exchange *e, struct fetch_result *out, struct err *err)
{
	if (fetch_run(e->spoke, out, err) < 0)
		return -1;
	fetch_add(&e->fetch, out);
	return 0;
}

static int
out_empty(struct spoke *s, bool *out_empty_box, struct err *err)
{
	struct spool_message message;
	int rc;

	rc = spool_next(s->spool, SPOKE_PEER, SPOOL_OUT, NULL, &message, err);
	if (rc > 0)
		spool_message_fini(&message);
	*out_empty_box = rc == 0;
	return rc < 0 ? -1 : 0;
}

/* Somebody else moves the messages, and takes them in as well: see them go, and
 * leave a moment for the answer. The caller looks at what the store says. */
static int
watch_round(
    struct exchange *e, unsigned expect, int64_t wait_ms, struct err *err)
{
	int64_t end = clock_mono_ms() + wait_ms;
	struct fetch_result fetch;
	bool empty;

	for (;;) {
		if (out_empty(e->spoke, &empty, err) < 0)
			return -1;
		if (empty && expect > 0)
			(void)usleep(EXCHANGE_POLL_US);
		if (fetch_round(e, &fetch, err) < 0)
			return -1;
		if (empty)
			return 0;
		if (clock_mono_ms() >= end)
			return err_set(err, ERR_TEMPORARY,
			    "the hub at %s took nothing within %lld ms: it "
			    "waits in the out box",
			    e->spoke->identity.address, (long long)wait_ms);
		(void)usleep(EXCHANGE_POLL_US);
	}
}

int
exchange_round(struct exchange *exchange, unsigned expect, int64_t wait_ms,
    struct err *err)
{
	struct fetch_result fetch;
	struct err own = {0};
	int rc;

	if (exchange->no_front || front_running(exchange->spoke->conf))
		return watch_round(exchange, expect, wait_ms, err);
	rc = front_round(exchange, expect, wait_ms, &own);
	if (rc < 0 && own.class == ERR_TEMPORARY &&
	    front_running(exchange->spoke->conf))
		return watch_round(exchange, expect, wait_ms, err);
	/* What came is taken in, even when more was expected. */
	if (fetch_round(exchange, &fetch, err) < 0)
		return -1;
	if (rc < 0) {
		if (err != NULL)
			*err = own;
		return -1;
	}
	return fetch.acknowledged ? front_round(exchange, 0, wait_ms, err) : 0;
}
