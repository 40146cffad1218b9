#include "spoke/exchange.h"

#include <unistd.h>
#include "common/base/clock.h"

#define EXCHANGE_POLL_US 50000
/* An answer to an acknowledgement may come with its delivery, and so on. */
#define EXCHANGE_ANSWERS_MAX 3

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

/* Another front moves the messages, and somebody may take them in as well: see
 * them go, and leave a moment for the answer. The caller looks at what the
 * store says then. */
static int
watch_step(struct exchange *e, unsigned expect, bool *out_done, struct err *err)
{
	struct fetch_result fetch;

	if (out_empty(e->spoke, out_done, err) < 0)
		return -1;
	if (*out_done && expect > 0)
		(void)usleep(EXCHANGE_POLL_US);
	return fetch_round(e, &fetch, err);
}

/* Our own front is through: what came is taken in, even when more was expected,
 * and acknowledged. */
static int
round_end(struct exchange *e, int rc, const struct err *trouble,
    int64_t wait_ms, struct err *err)
{
	struct fetch_result fetch;

	if (fetch_round(e, &fetch, err) < 0)
		return -1;
	if (rc < 0) {
		if (err != NULL)
			*err = *trouble;
		return -1;
	}
	/* What comes while acknowledgements leave must not lie until the next
	 * round: that would wait for a message which is here. */
	for (int i = 0; fetch.acknowledged && i < EXCHANGE_ANSWERS_MAX; i++)
		if (front_round(e, 0, wait_ms, err) < 0 ||
		    fetch_round(e, &fetch, err) < 0)
			return -1;
	return 0;
}

int
exchange_round(struct exchange *exchange, unsigned expect, int64_t wait_ms,
    struct err *err)
{
	int64_t end = clock_mono_ms() + wait_ms;

	for (;;) {
		int64_t left = end - clock_mono_ms();
		struct err own = {0};
		bool done = false;

		if (!exchange->no_front) {
			int rc = front_round(
			    exchange, expect, left > 0 ? left : 1, &own);

			if (rc == 0 || own.code != FRONT_BUSY)
				return round_end(
				    exchange, rc, &own, wait_ms, err);
		}
		if (watch_step(exchange, expect, &done, err) < 0)
			return -1;
		if (done)
			return 0;
		if (left <= 0)
			return err_set(err, ERR_TEMPORARY,
			    "the hub at %s took nothing within %lld ms: it "
			    "waits in the out box",
			    exchange->spoke->identity.address,
			    (long long)wait_ms);
		(void)usleep(EXCHANGE_POLL_US);
	}
}
