#include "spoke/export/count.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/address.h"
#include "spoke/export/collect/collect.h"
#include "spoke/export/choose/scope.h"
#include "spoke/spoke.h"

#define COUNT_OUT_MAX (4 * 1024 * 1024)
/* All kinds that are usual fit a line of 80. */
#define COUNT_REASON_WIDTH 27
#define COUNT_NUMBER_WIDTH 6

/* Objects to look at, one by one, as text or JSON. */
struct remarks {
	struct buf out;
	bool json, any;
};

static void
remark(void *arg, const struct shape_case *c)
{
	struct remarks *r = arg;

	if (!c->closed)
		return;
	if (r->json) {
		buf_add_str(&r->out, r->any ? "," : "");
		buf_add_json(&r->out, slice_str(c->entry->dn));
	} else {
		buf_add_str(&r->out, "closed to outsiders: ");
		buf_add_text(&r->out, slice_str(c->entry->dn));
		buf_add_byte(&r->out, '\n');
	}
	r->any = true;
}

static void
count_json(const struct collect_result *r, const char *name,
    const struct replica_state *now, struct remarks *remarks, struct buf *out)
{
	buf_add_str(out, "{\"policy\":");
	buf_add_json(out, slice_str(name));
	buf_addf(out,
	    ",\"objects\":%llu,\"before\":%llu,\"along\":%llu,"
	    "\"outside\":%llu,\"untold_managers\":%llu,\"missing\":%llu,"
	    "\"referrals\":%llu,\"refused_filters\":%llu,\"kinds\":{",
	    (unsigned long long)r->counts.reasons[SHAPE_EXPORTED],
	    (unsigned long long)now->count, (unsigned long long)r->along,
	    (unsigned long long)r->outside, (unsigned long long)r->untold,
	    (unsigned long long)r->missing, (unsigned long long)r->referrals,
	    (unsigned long long)r->refused);
	for (int k = 0; k < SHAPE_KIND_COUNT; k++) {
		buf_addf(out, "%s\"%s\":{", k == 0 ? "" : ",",
		    shape_kind_name((Galr__Kind)k));
		for (int n = 0; n < SHAPE_REASON_COUNT; n++)
			buf_addf(out, "%s\"%s\":%llu", n == 0 ? "" : ",",
			    shape_reason_key((enum shape_reason)n),
			    (unsigned long long)r->counts.kinds[k][n]);
		buf_add_byte(out, '}');
	}
	buf_addf(out, "},\"closed\":[%s],\"dropped\":{",
	    buf_failed(&remarks->out) ? "" : buf_cstr(&remarks->out));
	for (int n = 0; n < VALUES_DROP_COUNT; n++)
		buf_addf(out, "%s\"%s\":%llu", n == 0 ? "" : ",",
		    values_drop_key((enum values_drop)n),
		    (unsigned long long)r->counts.dropped[n]);
	buf_add_str(out, "}}\n");
}

static void
count_text_remarks(
    const struct collect_result *r, struct remarks *remarks, struct buf *out)
{
	for (int n = 0; n < VALUES_DROP_COUNT; n++)
		if (r->counts.dropped[n] > 0)
			buf_addf(out, "%llu values left out: %s\n",
			    (unsigned long long)r->counts.dropped[n],
			    values_drop_text((enum values_drop)n));
	if (r->counts.closed > 0)
		buf_addf(out,
		    "%llu would be exported although closed to outsiders%s\n",
		    (unsigned long long)r->counts.closed,
		    buf_failed(&remarks->out) ? ", too many to list" : ":");
	if (!buf_failed(&remarks->out))
		buf_add_str(out, buf_cstr(&remarks->out));
}

/* Reasons by the kinds that occur. */
static void
count_table(const struct shape_counts *counts, struct buf *out)
{
	bool occurs[SHAPE_KIND_COUNT] = {false};
	int width[SHAPE_KIND_COUNT];

	buf_addf(out, "%-*s", COUNT_REASON_WIDTH, "");
	for (int k = 0; k < SHAPE_KIND_COUNT; k++) {
		const char *name = shape_kind_name((Galr__Kind)k);

		width[k] = strlen(name) > COUNT_NUMBER_WIDTH
			       ? (int)strlen(name)
			       : COUNT_NUMBER_WIDTH;
		for (int n = 0; n < SHAPE_REASON_COUNT; n++)
			occurs[k] |= counts->kinds[k][n] > 0;
		if (occurs[k])
			buf_addf(out, " %*s", width[k], name);
	}
	buf_add_byte(out, '\n');
	for (int n = 0; n < SHAPE_REASON_COUNT; n++) {
		if (counts->reasons[n] == 0 && n != SHAPE_EXPORTED)
			continue;
		buf_addf(out, "%-*s", COUNT_REASON_WIDTH,
		    shape_reason_text((enum shape_reason)n));
		for (int k = 0; k < SHAPE_KIND_COUNT; k++)
			if (occurs[k])
				buf_addf(out, " %*llu", width[k],
				    (unsigned long long)counts->kinds[k][n]);
		buf_add_byte(out, '\n');
	}
}

static uint64_t
count_all(const struct shape_counts *counts)
{
	uint64_t sum = 0;

	for (int n = 0; n < SHAPE_REASON_COUNT; n++)
		sum += counts->reasons[n];
	return sum;
}

static void
count_text(const struct collect_result *r, const char *name,
    const struct replica_state *now, struct remarks *remarks, struct buf *out)
{
	if (count_all(&r->counts) > 0)
		count_table(&r->counts, out);
	else
		buf_add_str(out,
		    "from finds nothing: galspoke check says of each entry "
		    "what to do\n");
	if (r->missing > 0)
		buf_addf(out, "%llu single objects do not exist\n",
		    (unsigned long long)r->missing);
	if (r->referrals > 0)
		buf_addf(out, "%llu referrals are not followed\n",
		    (unsigned long long)r->referrals);
	if (r->refused > 0)
		buf_addf(out,
		    "%llu dynamic groups have a filter that the directory "
		    "refuses\n",
		    (unsigned long long)r->refused);
	count_text_remarks(r, remarks, out);
	if (r->outside > 0)
		buf_addf(out,
		    "%llu have an address outside our mail domains, and nobody "
		    "imports them\n"
		    "(galspoke check shows the domains, galhub allot adds "
		    "one)\n",
		    (unsigned long long)r->outside);
	if (r->along > 0)
		buf_addf(out,
		    "%llu of them would go along as managers of others\n",
		    (unsigned long long)r->along);
	if (r->untold > 0)
		buf_addf(out,
		    "%llu managers would not go out, and nobody be told of "
		    "them\n",
		    (unsigned long long)r->untold);
	buf_addf(out, "%s would export %llu objects", name,
	    (unsigned long long)r->counts.reasons[SHAPE_EXPORTED]);
	if (now->version != 0)
		buf_addf(out, "; the last run left %llu",
		    (unsigned long long)now->count);
	buf_add_byte(out, '\n');
}

int
count_policy(const struct spoke_conf *conf, const char *name, bool json)
{
	struct collect_options options = {.conf = conf,
	    .policy = spoke_conf_export(conf, name),
	    .count_only = true,
	    .now_ms = clock_now_ms(),
	    .note = remark};
	struct remarks remarks = {.json = json};
	struct collect_result result;
	struct replica *replica = NULL;
	struct replica_state now = {.version = 0};
	struct spoke spoke = {.conf = NULL};
	struct err err = {0}, ignored = {0};
	struct buf out;
	int code = EXIT_FAILED;

	if (options.policy == NULL) {
		(void)fprintf(stderr,
		    "galspoke: no export policy is called \"%s\" (galspoke "
		    "status lists them)\n",
		    name);
		return EXIT_USAGE;
	}
	options.note_arg = &remarks;
	/* Before it joined, a spoke has no domains. */
	if (spoke_open(conf, &spoke, &ignored) == 0 && spoke.registry != NULL)
		options.me =
		    registry_find(spoke.registry, spoke.identity.member);
	buf_init(&out, COUNT_OUT_MAX);
	buf_init(&remarks.out, COUNT_OUT_MAX / 2);
	if (collect_replica_open(conf, options.policy, &replica, &err) < 0 ||
	    collect_run(&options, replica, &result, &err) < 0)
		goto out;
	if (replica != NULL)
		replica_state(replica, &now);
	if (json)
		count_json(&result, options.policy->name, &now, &remarks, &out);
	else
		count_text(&result, options.policy->name, &now, &remarks, &out);
	(void)fputs(buf_cstr(&out), stdout);
	code = EXIT_DONE;
out:
	if (code != EXIT_DONE)
		log_err(&err, "not counted policy=%s", name);
	buf_fini(&remarks.out);
	buf_fini(&out);
	replica_close(replica);
	spoke_close(&spoke);
	return code;
}
