#include "common/base/clock.h"
#include "common/base/log.h"
#include "spoke/export/audience.h"
#include "spoke/export/collect/collect.h"
#include "spoke/exchange.h"
#include "spoke/export/publish.h"
#include "spoke/run_internal.h"
#include "spoke/export/stages.h"

/* A refused delta is followed by a full; once more when the hub was restored
 * in between. */
#define EXPORT_REPEATS_MAX 2

struct exporter {
	struct run *run;
	const struct export_policy *policy;
	struct replica *replica;
	struct collect_result collect;
	struct publish_result publish;
	struct exchange exchange;
	enum publish_answer answer;
	struct err trouble; /* the hub is out of reach, or refuses */
};

static int
collect(struct exporter *x, struct err *err)
{
	struct spoke *s = &x->run->spoke;
	struct collect_options options = {.conf = x->run->conf,
	    .policy = x->policy,
	    .full = x->run->options->full,
	    .allow_empty = x->run->options->allow_empty,
	    .now_ms = clock_now_ms()};
	struct store_own own;

	if (s->registry != NULL)
		options.me = registry_find(s->registry, s->identity.member);
	if (store_own_get(s->store, x->policy->name, &own, err) < 0)
		return -1;
	options.hub_version = own.hub_version;
	options.hub_root = own.hub_root;
	return collect_run(&options, x->replica, &x->collect, err);
}

/* What another policy exported does not leave while this one is not done. */
static int
former_withdraw(struct exporter *x, struct err *err)
{
	bool same;

	if (collect_is_of_policy(
		x->run->conf, x->policy, x->replica, &same, err) < 0)
		return -1;
	return same ? 0 : publish_withdraw(&x->run->spoke, x->policy, err);
}

static bool
must_deliver(const struct exporter *x)
{
	return x->publish.state != PUBLISH_NOTHING &&
	       x->publish.state != PUBLISH_HELD_BY_HUB;
}

/* One look at what the hub said: 1 that is its answer, 0 wait on, -1. */
static int
answer_take(struct exporter *x, unsigned *fulls, struct err *err)
{
	struct spoke *s = &x->run->spoke;
	struct publish_result again;

	if (publish_look(s, x->policy, x->replica, &x->answer, err) < 0)
		return -1;
	switch (x->answer) {
	case PUBLISH_UNANSWERED:
		return 0;
	case PUBLISH_REFUSED:
		return 1;
	case PUBLISH_ACKNOWLEDGED:
		/* Forgets what was pending. */
		return publish_run(s, x->policy, x->replica, &again, err) < 0
			   ? -1
			   : 1;
	case PUBLISH_STALE:
		if (++*fulls > EXPORT_REPEATS_MAX)
			return 1;
		return publish_run(s, x->policy, x->replica, &x->publish, err);
	}
	return 0;
}

/* Until the hub's holding answers what we sent, or the time is over. */
static int
deliver(struct exporter *x, struct err *err)
{
	int64_t end = clock_mono_ms() + x->run->conf->wait_ms;
	unsigned fulls = 0;

	for (;;) {
		int64_t left = end - clock_mono_ms();
		int rc, answer;

		if (left <= 0)
			return 0;
		rc = exchange_round(&x->exchange, 1, left, &x->trouble);
		if (rc < 0 && x->trouble.class != ERR_TEMPORARY)
			return err_set(
			    err, x->trouble.class, "%s", x->trouble.message);
		answer = answer_take(x, &fulls, err);
		if (answer != 0)
			return answer < 0 ? -1 : 0;
		if (rc < 0)
			return 0;
	}
}

static void
text_excluded(struct exporter *x)
{
	const struct shape_counts *c = &x->collect.counts;
	struct buf *text = &x->run->text;
	struct buf *json = &x->run->json;
	const char *first = x->collect.whole
				? "; left out: "
				: "; left out of those that were touched: ";
	bool any = false;

	buf_add_str(json, ",\"excluded\":{");
	for (int r = SHAPE_EXPORTED + 1; r < SHAPE_REASON_COUNT; r++) {
		unsigned long long n = c->reasons[r];

		buf_addf(json, "%s\"%s\":%llu",
		    r == SHAPE_EXPORTED + 1 ? "" : ",",
		    shape_reason_key((enum shape_reason)r), n);
		if (n == 0)
			continue;
		buf_addf(text, "%s%llu %s", any ? ", " : first, n,
		    shape_reason_text((enum shape_reason)r));
		any = true;
	}
	buf_add_str(json, "},\"dropped\":{");
	for (int d = 0; d < VALUES_DROP_COUNT; d++) {
		unsigned long long n = c->dropped[d];

		buf_addf(json, "%s\"%s\":%llu", d == 0 ? "" : ",",
		    values_drop_key((enum values_drop)d), n);
		if (n > 0)
			buf_addf(text, "; %llu values left out: %s", n,
			    values_drop_text((enum values_drop)d));
	}
	buf_addf(json, "},\"closed\":%llu", (unsigned long long)c->closed);
	if (c->closed > 0)
		buf_addf(text, "; %llu closed to outsiders",
		    (unsigned long long)c->closed);
}

static void
text_passed_over(struct exporter *x)
{
	struct buf *text = &x->run->text;
	unsigned long long referrals = x->collect.referrals,
			   refused = x->collect.refused;

	buf_addf(&x->run->json, ",\"referrals\":%llu,\"refused_filters\":%llu",
	    referrals, refused);
	if (referrals > 0)
		buf_addf(text, "; %llu referrals not followed", referrals);
	if (refused > 0)
		buf_addf(
		    text, "; %llu filters of dynamic groups refused", refused);
}

/* A misspelt audience is no error: that member may be to come. */
static void
text_audience(struct exporter *x)
{
	struct buf absent;
	size_t count;

	buf_init(&absent, 64 * 1024);
	count = audience_receivers(&x->run->spoke, x->policy, &absent);
	if (!buf_failed(&absent) && buf_cstr(&absent)[0] != '\0')
		buf_addf(&x->run->text, "; in the audience, but no member: %s",
		    buf_cstr(&absent));
	if (count == 0 && x->policy->audience_count > 0)
		buf_add_str(&x->run->text, "; nobody receives it");
	buf_addf(&x->run->json, ",\"receivers\":%zu", count);
	buf_fini(&absent);
}

static void
summary(struct exporter *x)
{
	const struct replica_changes *c = &x->collect.changes;
	const struct publish_result *p = &x->publish;
	const struct carrier_counters *wire = &x->exchange.counters;
	struct buf *text = &x->run->text;
	struct buf *json = &x->run->json;
	uint64_t same = x->collect.unchanged ? p->count : c->unchanged;

	buf_addf(text,
	    "%s: %llu objects, %llu added, %llu modified, %llu deleted, %llu "
	    "unchanged",
	    x->policy->name, (unsigned long long)p->count,
	    (unsigned long long)c->added, (unsigned long long)c->modified,
	    (unsigned long long)c->deleted, (unsigned long long)same);
	buf_addf(json,
	    ",\"kind\":\"export\",\"objects\":%llu,\"version\":%llu,"
	    "\"added\":%llu,\"modified\":%llu,\"deleted\":%llu,"
	    "\"unchanged\":%llu,\"outside\":%llu,\"read\":%s,\"whole\":%s,"
	    "\"feed\":\"%s\"",
	    (unsigned long long)p->count, (unsigned long long)p->version,
	    (unsigned long long)c->added, (unsigned long long)c->modified,
	    (unsigned long long)c->deleted, (unsigned long long)same,
	    (unsigned long long)x->collect.outside,
	    x->collect.unchanged ? "false" : "true",
	    x->collect.whole ? "true" : "false",
	    feed_kind_name(x->collect.unchanged ? FEED_FULL : x->collect.feed));
	if (x->collect.outside > 0)
		buf_addf(text,
		    "; %llu outside our mail domains, which nobody imports",
		    (unsigned long long)x->collect.outside);
	text_excluded(x);
	text_passed_over(x);
	buf_addf(text, "; %s", publish_state_name(p->state));
	if (must_deliver(x))
		buf_addf(text, " (%s, %llu bytes)",
		    !p->section    ? "manifest"
		    : p->base == 0 ? "full"
				   : "changes",
		    (unsigned long long)p->bytes);
	if (x->answer == PUBLISH_ACKNOWLEDGED && must_deliver(x))
		buf_add_str(text, ", the hub has it");
	text_audience(x);
	if (wire->bytes_out + wire->bytes_in > 0)
		buf_addf(text, "; %llu bytes sent, %llu received",
		    (unsigned long long)wire->bytes_out,
		    (unsigned long long)wire->bytes_in);
	buf_addf(json,
	    ",\"published\":\"%s\",\"full\":%s,\"message_bytes\":%llu,"
	    "\"acknowledged\":%s,\"bytes_sent\":%llu,\"bytes_received\":%llu",
	    publish_state_name(p->state),
	    p->section && p->base == 0 ? "true" : "false",
	    (unsigned long long)p->bytes,
	    x->answer == PUBLISH_ACKNOWLEDGED ? "true" : "false",
	    (unsigned long long)wire->bytes_out,
	    (unsigned long long)wire->bytes_in);
	stages_format(x->collect.found, text, json);
}

/* Published here, but not known to be there: it waits, and is sent again with
 * each run. */
static int
trouble_tell(struct exporter *x, int *out_code, struct err *err)
{
	struct store_own own;
	char now[CLOCK_TEXT_SIZE];
	struct buf why;

	if (store_own_get(x->run->spoke.store, x->policy->name, &own, err) < 0)
		return -1;
	buf_init(&why, 8192);
	*out_code = EXIT_FAILED;
	if (own.hub_refusal[0] != '\0') {
		/* What an operator at the hub can let through. */
		if (strncmp(own.hub_refusal, "held:", 5) == 0)
			*out_code = EXIT_HELD;
		buf_addf(&why, "the hub does not take it: %s", own.hub_refusal);
	} else {
		if (x->trouble.class != ERR_NONE)
			buf_addf(&why, "%s; ", x->trouble.message);
		buf_addf(&why,
		    "the hub did not say that it has it: see its log, and "
		    "that its clock and this one (%s) agree",
		    clock_format(clock_now_ms(), now));
	}
	buf_addf(&x->run->text, "; %s", buf_cstr(&why));
	buf_add_str(&x->run->json, ",\"trouble\":");
	buf_add_json(&x->run->json, buf_slice(&why));
	buf_fini(&why);
	return 0;
}

int
run_export(struct run *run, int *out_code, struct err *err)
{
	struct exporter x = {.run = run,
	    .policy = run->exporting,
	    .exchange = {
		.spoke = &run->spoke, .no_front = run->options->no_front}};
	char *path = store_stream_path(run->conf, NULL, run->exporting->name);
	int rc = -1;

	if (run->options->timing)
		stages_start();
	if (publish_tag_check(&run->spoke, x.policy, err) < 0 ||
	    replica_open(path, &x.replica, err) < 0 ||
	    former_withdraw(&x, err) < 0 || collect(&x, err) < 0 ||
	    publish_run(&run->spoke, x.policy, x.replica, &x.publish, err) < 0)
		goto out;
	if (x.publish.state == PUBLISH_HELD_BY_HUB)
		x.answer = PUBLISH_ACKNOWLEDGED;
	if (must_deliver(&x) && !run->options->no_wait && deliver(&x, err) < 0)
		goto out;
	*out_code = EXIT_DONE;
	summary(&x);
	rc = 0;
	if (must_deliver(&x) && x.answer != PUBLISH_ACKNOWLEDGED &&
	    !run->options->no_wait)
		rc = trouble_tell(&x, out_code, err);
out:
	replica_close(x.replica);
	free(path);
	return rc;
}
