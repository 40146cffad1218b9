#include "spoke/export/explain.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/address.h"
#include "spoke/export/collect.h"
#include "spoke/export/references.h"
#include "spoke/export/scope.h"

#define EXPLAIN_OUT_MAX (4 * 1024 * 1024)
#define EXPLAIN_ARENA_MAX (16 * 1024 * 1024)
#define EXPLAIN_FILTER_MAX (64 * 1024)

/* What the policies say of one entry, below its name. */
struct told {
	char *dn;
	struct buf out;
};

struct explainer {
	const struct spoke_conf *conf;
	struct forest *forest;
	const struct dialect *dialect; /* forest_dialect() */
	struct arena *arena;
	const struct export_policy *policy;
	struct scope *scope;
	struct shape *shape;
	struct told *told; /* for people: each entry once */
	size_t told_count;
	struct buf out; /* JSON: each entry and policy */
	bool json, any;
};

struct verdict {
	enum shape_reason reason;
	const char *from;       /* the entry of `from`; NULL: none */
	const char *group;      /* of which it is a member; NULL: none */
	const char *manager_of; /* whom it goes along with; NULL: nobody */
};

static bool
is_found(const struct verdict *v)
{
	return v->from != NULL || v->manager_of != NULL;
}

static const char *
verdict_words(const struct verdict *v)
{
	return is_found(v) ? shape_reason_text(v->reason)
			   : "no entry of from finds it";
}

static struct buf *
told_of(struct explainer *x, const char *dn)
{
	struct told *t;

	for (size_t i = 0; i < x->told_count; i++)
		if (strcmp(x->told[i].dn, dn) == 0)
			return &x->told[i].out;
	x->told = mem_realloc(x->told, (x->told_count + 1) * sizeof(*x->told));
	t = &x->told[x->told_count++];
	t->dn = mem_strdup(dn);
	buf_init(&t->out, EXPLAIN_OUT_MAX);
	return &t->out;
}

static void
verdict_line(struct buf *out, const char *what, const char *value)
{
	if (value != NULL)
		buf_addf(out, "    %s %s\n", what, value);
}

static void
verdict_text(
    struct explainer *x, const struct shape_case *c, const struct verdict *v)
{
	struct buf *out = told_of(x, c->entry->dn);

	buf_addf(out, "  %s%s: %s%s%s\n", x->policy->name,
	    x->policy->enabled ? "" : " (off)",
	    v->reason == SHAPE_EXPORTED ? "" : "not exported: ",
	    verdict_words(v), c->closed ? " although closed to outsiders" : "");
	verdict_line(out, "by", v->from);
	verdict_line(out, "member of", v->group);
	verdict_line(out, "along as manager of", v->manager_of);
	for (size_t i = 0; i < c->notes.count; i++)
		buf_addf(out, "    without one %s: %s: %s\n",
		    c->notes.list[i].attribute,
		    values_drop_text(c->notes.list[i].why),
		    log_text(c->notes.list[i].value));
}

static void
json_text(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, ",\"%s\":", key);
	buf_add_json(out, slice_str(value == NULL ? "" : value));
}

static void
verdict_json(
    struct explainer *x, const struct shape_case *c, const struct verdict *v)
{
	buf_addf(&x->out, "%s{\"dn\":", x->any ? "," : "");
	buf_add_json(&x->out, slice_str(c->entry->dn));
	json_text(&x->out, "policy", x->policy->name);
	buf_addf(&x->out, ",\"enabled\":%s,\"exported\":%s,\"closed\":%s",
	    x->policy->enabled ? "true" : "false",
	    v->reason == SHAPE_EXPORTED ? "true" : "false",
	    c->closed ? "true" : "false");
	json_text(&x->out, "reason",
	    is_found(v) ? shape_reason_key(v->reason) : "not_found");
	json_text(&x->out, "text", verdict_words(v));
	json_text(&x->out, "from", v->from);
	json_text(&x->out, "member_of", v->group);
	json_text(&x->out, "manager_of", v->manager_of);
	buf_add_str(&x->out, ",\"dropped\":[");
	for (size_t i = 0; i < c->notes.count; i++) {
		buf_addf(&x->out, "%s{\"attribute\":\"%s\",\"reason\":\"%s\"}",
		    i == 0 ? "" : ",", c->notes.list[i].attribute,
		    values_drop_key(c->notes.list[i].why));
	}
	buf_add_str(&x->out, "]}");
}

static void
verdict_tell(
    struct explainer *x, const struct shape_case *c, const struct verdict *v)
{
	if (x->json)
		verdict_json(x, c, v);
	else
		verdict_text(x, c, v);
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
	struct verdict v = {.reason = SHAPE_EXCLUDED};
	struct buf filter, whom;
	struct object raw;
	int rc;

	buf_init(&filter, EXPLAIN_FILTER_MAX);
	buf_init(&whom, EXPLAIN_FILTER_MAX);
	buf_add_str(&filter, "(manager=");
	search_filter_escape(&filter, slice_str(entry->dn));
	buf_add_byte(&filter, ')');
	rc = buf_check(&filter, "filter", err);
	for (size_t i = 0; references_managers(x->policy) && rc == 0 &&
			   i < forest_count(x->forest);
	     i++)
		rc = chosen_find(x, i, buf_cstr(&filter), &whom, err);
	if (rc > 0) {
		v.manager_of = buf_cstr(&whom);
		rc = entry_judge(x, &question, &raw, &v.reason, err);
	}
	if (rc == 0)
		verdict_tell(x, &question, &v);
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
	struct verdict v = {.reason = SHAPE_EXCLUDED};
	char from[1024];
	int rc = scope_find(x->scope, entry, &hit, err);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return along_explain(x, entry, err);
	question.excluded = hit.excluded;
	question.members_only = hit.members_only;
	if (entry_judge(x, &question, &raw, &v.reason, err) < 0)
		return -1;
	v.from = scope_text(&x->policy->bases[hit.from], from, sizeof(from));
	v.group = hit.group;
	verdict_tell(x, &question, &v);
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

static void
told_print(const struct explainer *x)
{
	for (size_t i = 0; i < x->told_count; i++)
		(void)printf(
		    "%s\n%s", x->told[i].dn, buf_cstr(&x->told[i].out));
}

int
explain_address(const struct spoke_conf *conf, const char *address, bool json)
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
	buf_init(&x.out, EXPLAIN_OUT_MAX);
	x.arena = arena_new(EXPLAIN_ARENA_MAX);
	if (address_explain(&x, mail, &err) < 0)
		log_err(&err, "not explained address=%s", address);
	else if (json)
		(void)printf("[%s]\n", buf_cstr(&x.out));
	else if (x.any)
		told_print(&x);
	else
		(void)fprintf(stderr,
		    "galspoke: no entry of the directory has the address %s, "
		    "or the account may not see it\n",
		    address);
	if (err.class == ERR_NONE && x.any)
		code = EXIT_DONE;
	arena_free(x.arena);
	forest_close(x.forest);
	for (size_t i = 0; i < x.told_count; i++) {
		free(x.told[i].dn);
		buf_fini(&x.told[i].out);
	}
	free(x.told);
	buf_fini(&x.out);
	return code;
}
