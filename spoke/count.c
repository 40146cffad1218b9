#include "spoke/count.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/address.h"
#include "spoke/collect.h"
#include "spoke/references.h"
#include "spoke/scope.h"

#define COUNT_OUT_MAX (4 * 1024 * 1024)
#define NOT_FOUND "no entry of from finds it"
#define COUNT_ARENA_MAX (16 * 1024 * 1024)
#define COUNT_FILTER_MAX (64 * 1024)

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
		buf_addf(&r->out, "closed to outsiders: %s\n", c->entry->dn);
	}
	r->any = true;
}

static void
count_json(const struct collect_result *r, const char *name,
    struct remarks *remarks, struct buf *out)
{
	buf_add_str(out, "{\"policy\":");
	buf_add_json(out, slice_str(name));
	buf_addf(out,
	    ",\"objects\":%llu,\"along\":%llu,\"untold_managers\":%llu,"
	    "\"missing\":%llu,"
	    "\"referrals\":%llu,"
	    "\"refused_filters\":%llu,\"kinds\":{",
	    (unsigned long long)r->counts.reasons[SHAPE_EXPORTED],
	    (unsigned long long)r->along, (unsigned long long)r->untold,
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

static void
count_text(const struct collect_result *r, const char *name,
    struct remarks *remarks, struct buf *out)
{
	buf_addf(out, "%-16s", "");
	for (int n = 0; n < SHAPE_REASON_COUNT; n++)
		if (r->counts.reasons[n] > 0 || n == SHAPE_EXPORTED)
			buf_addf(out, "  %s",
			    shape_reason_text((enum shape_reason)n));
	buf_add_byte(out, '\n');
	for (int k = 0; k < SHAPE_KIND_COUNT; k++) {
		const uint64_t *row = r->counts.kinds[k];
		uint64_t sum = 0;

		for (int n = 0; n < SHAPE_REASON_COUNT; n++)
			sum += row[n];
		if (sum == 0)
			continue;
		buf_addf(out, "%-16s", shape_kind_name((Galr__Kind)k));
		for (int n = 0; n < SHAPE_REASON_COUNT; n++)
			if (r->counts.reasons[n] > 0 || n == SHAPE_EXPORTED)
				buf_addf(out, "  %*llu",
				    (int)strlen(shape_reason_text(
					(enum shape_reason)n)),
				    (unsigned long long)row[n]);
		buf_add_byte(out, '\n');
	}
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
	if (r->along > 0)
		buf_addf(out,
		    "%llu of them would go along as managers of others\n",
		    (unsigned long long)r->along);
	if (r->untold > 0)
		buf_addf(out,
		    "%llu managers would not go out, and nobody be told of "
		    "them\n",
		    (unsigned long long)r->untold);
	buf_addf(out, "%s would export %llu objects\n", name,
	    (unsigned long long)r->counts.reasons[SHAPE_EXPORTED]);
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
	struct err err = {0};
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
	buf_init(&out, COUNT_OUT_MAX);
	buf_init(&remarks.out, COUNT_OUT_MAX / 2);
	if (collect_replica_open(conf, options.policy, &replica, &err) < 0 ||
	    collect_run(&options, replica, &result, &err) < 0)
		goto out;
	if (json)
		count_json(&result, options.policy->name, &remarks, &out);
	else
		count_text(&result, options.policy->name, &remarks, &out);
	(void)fputs(buf_cstr(&out), stdout);
	code = EXIT_DONE;
out:
	if (code != EXIT_DONE)
		log_err(&err, "not counted policy=%s", name);
	buf_fini(&remarks.out);
	buf_fini(&out);
	replica_close(replica);
	return code;
}

/* --- one address --- */

struct explainer {
	const struct spoke_conf *conf;
	struct forest *forest;
	const struct dialect *dialect; /* forest_dialect() */
	struct arena *arena;
	const struct export_policy *policy;
	struct scope *scope;
	const char *group; /* by which the present entry is a member; NULL */
	struct shape *shape;
	struct buf out;
	bool json, any;
};

static void
verdict_text(struct explainer *x, const struct shape_case *c,
    enum shape_reason reason, const char *by)
{
	buf_addf(&x->out, "%s\n  %s: %s%s%s%s%s%s%s\n", c->entry->dn,
	    x->policy->name, reason == SHAPE_EXPORTED ? "" : "not exported: ",
	    by == NULL ? NOT_FOUND : shape_reason_text(reason),
	    c->closed ? " although closed to outsiders" : "",
	    by == NULL ? "" : ", ", by == NULL ? "" : by,
	    x->group == NULL ? "" : ", member of ",
	    x->group == NULL ? "" : x->group);
	for (size_t i = 0; i < c->notes.count; i++)
		buf_addf(&x->out, "    without one %s: %s: %s\n",
		    c->notes.list[i].attribute,
		    values_drop_text(c->notes.list[i].why),
		    log_text(c->notes.list[i].value));
}

static void
verdict_json(struct explainer *x, const struct shape_case *c,
    enum shape_reason reason, const char *by)
{
	buf_addf(&x->out, "%s{\"dn\":", x->any ? "," : "");
	buf_add_json(&x->out, slice_str(c->entry->dn));
	buf_add_str(&x->out, ",\"policy\":");
	buf_add_json(&x->out, slice_str(x->policy->name));
	buf_addf(&x->out, ",\"exported\":%s,\"closed\":%s,\"reason\":",
	    reason == SHAPE_EXPORTED ? "true" : "false",
	    c->closed ? "true" : "false");
	buf_add_json(&x->out,
	    slice_str(by == NULL ? NOT_FOUND : shape_reason_text(reason)));
	buf_add_str(&x->out, ",\"from\":");
	if (by != NULL && strncmp(by, "by ", 3) == 0)
		by += 3;
	buf_add_json(&x->out, slice_str(by == NULL ? "" : by));
	buf_add_str(&x->out, ",\"member_of\":");
	buf_add_json(&x->out, slice_str(x->group == NULL ? "" : x->group));
	buf_add_str(&x->out, ",\"dropped\":[");
	for (size_t i = 0; i < c->notes.count; i++) {
		buf_addf(&x->out, "%s{\"attribute\":\"%s\",\"reason\":\"%s\"}",
		    i == 0 ? "" : ",", c->notes.list[i].attribute,
		    values_drop_key(c->notes.list[i].why));
	}
	buf_add_str(&x->out, "]}");
}

/* by: "by ENTRY" of `from`, or "along as ..."; NULL: by none. */
static void
verdict(struct explainer *x, const struct shape_case *c,
    enum shape_reason reason, const char *by)
{
	if (x->json)
		verdict_json(x, c, reason, by);
	else
		verdict_text(x, c, reason, by);
	x->any = true;
}

/* Judges as an export would. raw is what the question borrows from. */
static int
entry_judge(struct explainer *x, struct shape_case *question,
    struct object *raw, enum shape_reason *out_reason, struct err *err)
{
	arena_reset(x->arena);
	question->raw = raw;
	if (dialect_read_object(
		x->dialect, question->entry, x->arena, raw, err) < 0)
		return -1;
	*out_reason = shape_object(x->shape, x->arena, question);
	return 0;
}

/* Of the entries found the first that is chosen: its name, appended. 1, 0,
 * -1. */
static int
chosen_find(struct explainer *x, size_t index, const char *filter,
    struct buf *out, struct err *err)
{
	const struct search_options options = {
	    .base = forest_dn(x->forest, index),
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = shape_attributes(x->shape),
	    .page_size = x->conf->directory.page_size};
	const struct forest_context *context;
	enum shape_reason reason;
	struct search *search = NULL;
	struct search_entry entry;
	struct object raw;
	struct scope_hit hit;
	bool found = false;
	int rc = forest_context(x->forest, index, &context, err);

	if (rc == 0)
		rc = search_open(context->session, &options, &search, err);
	while (
	    rc == 0 && !found && (rc = search_step(search, &entry, err)) == 1) {
		struct shape_case question = {.entry = &entry};

		rc = scope_find(x->scope, &entry, &hit, err);
		if (rc <= 0)
			continue;
		question.excluded = hit.excluded;
		question.members_only = hit.members_only;
		rc = entry_judge(x, &question, &raw, &reason, err);
		found = rc == 0 && reason == SHAPE_EXPORTED;
		if (found)
			buf_add_str(out, entry.dn);
	}
	search_close(search);
	return rc < 0 ? -1 : found;
}

/* Nobody chose it; does it go along as somebody's manager? */
static int
along_explain(
    struct explainer *x, const struct search_entry *entry, struct err *err)
{
	struct shape_case question = {
	    .entry = entry, .excluded = scope_excludes(x->scope, entry->dn)};
	enum shape_reason reason = SHAPE_EXCLUDED;
	struct buf filter, whom;
	struct object raw;
	int rc;

	buf_init(&filter, COUNT_FILTER_MAX);
	buf_init(&whom, COUNT_FILTER_MAX);
	buf_add_str(&whom, "along as manager of ");
	buf_add_str(&filter, "(manager=");
	search_filter_escape(&filter, slice_str(entry->dn));
	buf_add_byte(&filter, ')');
	rc = buf_check(&filter, "filter", err);
	for (size_t i = 0; references_managers(x->policy) && rc == 0 &&
			   i < forest_count(x->forest);
	     i++)
		rc = chosen_find(x, i, buf_cstr(&filter), &whom, err);
	if (rc == 0)
		verdict(x, &question, reason, NULL);
	if (rc > 0) {
		rc = entry_judge(x, &question, &raw, &reason, err);
		if (rc == 0)
			verdict(x, &question, reason, buf_cstr(&whom));
	}
	buf_fini(&filter);
	buf_fini(&whom);
	return rc;
}

static int
entry_explain(
    struct explainer *x, const struct search_entry *entry, struct err *err)
{
	struct shape_case question = {.entry = entry};
	struct object raw;
	struct scope_hit hit;
	enum shape_reason reason;
	char by[1024] = "by ";
	int rc = scope_find(x->scope, entry, &hit, err);

	if (rc < 0)
		return -1;
	x->group = rc == 0 ? NULL : hit.group;
	if (rc == 0)
		return along_explain(x, entry, err);
	question.excluded = hit.excluded;
	question.members_only = hit.members_only;
	if (entry_judge(x, &question, &raw, &reason, err) < 0)
		return -1;
	(void)scope_text(&x->policy->bases[hit.from], by + 3, sizeof(by) - 3);
	verdict(x, &question, reason, by);
	return 0;
}

static int
forest_explain(struct explainer *x, const char *filter,
    const char *const *attributes, struct err *err)
{
	struct search_options options = {.scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = attributes,
	    .page_size = x->conf->directory.page_size};
	const struct forest_context *context;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < forest_count(x->forest); i++) {
		struct search *search = NULL;
		struct search_entry entry;

		options.base = forest_dn(x->forest, i);
		if (forest_context(x->forest, i, &context, err) < 0 ||
		    search_open(context->session, &options, &search, err) < 0)
			return -1;
		while ((rc = search_step(search, &entry, err)) > 0 &&
		       (rc = entry_explain(x, &entry, err)) == 0)
			;
		search_close(search);
	}
	return rc;
}

static int
policy_explain(struct explainer *x, const struct export_policy *policy,
    const char *filter, struct err *err)
{
	struct scope_options options = {.forest = x->forest,
	    .dialect = x->dialect,
	    .policy = policy,
	    .page_size = x->conf->directory.page_size,
	    .wide = true};
	int rc = -1;

	x->policy = policy;
	if (collect_replica_open(x->conf, policy, &options.replica, err) == 0 &&
	    shape_open_conf(x->conf, policy, x->dialect, &x->shape, err) == 0 &&
	    scope_open(&options, &x->scope, err) == 0 &&
	    scope_expand(x->scope, err) == 0)
		rc = forest_explain(x, filter, shape_attributes(x->shape), err);
	scope_close(x->scope);
	shape_close(x->shape);
	x->scope = NULL;
	x->shape = NULL;
	replica_close(options.replica);
	return rc;
}

static int
address_explain(struct explainer *x, struct slice mail, struct err *err)
{
	struct buf filter;
	int rc = -1;

	buf_init(&filter, 16 * 1024);
	if (forest_open(x->conf, &x->forest, err) < 0)
		goto out;
	x->dialect = forest_dialect(x->forest);
	dialect_mail_filter(x->dialect, mail, &filter);
	rc = buf_check(&filter, "address", err);
	for (size_t i = 0; rc == 0 && i < x->conf->export_count; i++)
		rc = policy_explain(
		    x, &x->conf->exports[i], buf_cstr(&filter), err);
out:
	buf_fini(&filter);
	return rc;
}

int
count_explain(const struct spoke_conf *conf, const char *address, bool json)
{
	struct explainer x = {.conf = conf, .json = json};
	struct slice mail = slice_trim(slice_str(address));
	struct err err = {0};
	int code = EXIT_FAILED;

	if (!address_smtp_valid(mail)) {
		(void)fprintf(stderr,
		    "galspoke: \"%s\" is no mail address: write name@domain\n",
		    address);
		return EXIT_USAGE;
	}
	if (conf->export_count == 0) {
		(void)fprintf(stderr,
		    "galspoke: there is no export policy in %s\n",
		    conf->policies);
		return EXIT_FAILED;
	}
	buf_init(&x.out, COUNT_OUT_MAX);
	x.arena = arena_new(COUNT_ARENA_MAX);
	if (address_explain(&x, mail, &err) < 0)
		log_err(&err, "not explained address=%s", address);
	else if (json)
		(void)printf("[%s]\n", buf_cstr(&x.out));
	else if (x.any)
		(void)fputs(buf_cstr(&x.out), stdout);
	else
		(void)fprintf(stderr,
		    "galspoke: no entry of the directory has the address %s, "
		    "or the account may not see it\n",
		    address);
	if (err.class == ERR_NONE && x.any)
		code = EXIT_DONE;
	arena_free(x.arena);
	forest_close(x.forest);
	buf_fini(&x.out);
	return code;
}
