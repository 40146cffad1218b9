#include "spoke/export/explain.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/address.h"
#include "spoke/export/inquiry.h"
#include "spoke/export/preview.h"

/* A group may have LIMIT_OBJECT_MEMBERS. */
#define EXPLAIN_OUT_MAX (64 * 1024 * 1024)
#define EXPLAIN_ARENA_MAX (16 * 1024 * 1024)
#define EXPLAIN_NAME_MAX (64 * 1024)

/* What the policies say of one entry, below its name. */
struct told {
	char *dn;
	struct buf out;
};

struct explainer {
	const struct explain_options *options;
	struct inquiry inquiry; /* of one policy after the other */
	struct arena *arena;
	bool outside;      /* in a domain that is not looked into */
	struct told *told; /* for people: each entry once */
	size_t told_count;
	struct buf out; /* JSON: each entry and policy */
	bool any;
	bool silent; /* a policy cannot be asked */
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
	if (value == NULL)
		return;
	buf_addf(out, "    %s ", what);
	buf_add_text(out, slice_str(value));
	buf_add_byte(out, '\n');
}

/* A malformed address is to be found; what is no text is not shown. */
static void
notes_text(const struct values_notes *notes, struct buf *out)
{
	unsigned all = 0;

	for (size_t i = 0; i < notes->count; i++) {
		const struct values_note *n = &notes->list[i];

		buf_addf(out, "    without one %s: %s: ", n->attribute,
		    values_drop_text(n->why));
		if (n->why == VALUES_ADDRESS || n->why == VALUES_SIP ||
		    n->why == VALUES_OTHER)
			buf_addf(out, "%s\n", log_text(n->value));
		else
			buf_addf(out, "%zu octets\n", n->value.len);
	}
	for (int d = 0; d < VALUES_DROP_COUNT; d++)
		all += notes->dropped[d];
	if (all > notes->count)
		buf_addf(out, "    and without %zu more values\n",
		    all - notes->count);
}

static void
verdict_text(struct explainer *x, const struct shape_case *c,
    const struct verdict *v, const struct preview *sent)
{
	struct buf *out = told_of(x, c->entry->dn);

	buf_addf(out, "  %s%s: %s%s%s\n", x->inquiry.policy->name,
	    x->inquiry.policy->enabled ? "" : " (off)",
	    v->reason == SHAPE_EXPORTED ? "" : "not exported: ",
	    verdict_words(v), c->closed ? " although closed to outsiders" : "");
	verdict_line(out, "by", v->from);
	verdict_line(out, "member of", v->group);
	verdict_line(out, "along as manager of", v->manager_of);
	notes_text(&c->notes, out);
	if (sent != NULL)
		preview_text(sent, out);
}

static void
json_text(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, ",\"%s\":", key);
	buf_add_json(out, slice_str(value == NULL ? "" : value));
}

static void
verdict_json(struct explainer *x, const struct shape_case *c,
    const struct verdict *v, const struct preview *sent)
{
	buf_addf(&x->out, "%s{\"dn\":", x->any ? "," : "");
	buf_add_json(&x->out, slice_str(c->entry->dn));
	json_text(&x->out, "policy", x->inquiry.policy->name);
	buf_addf(&x->out, ",\"enabled\":%s,\"exported\":%s,\"closed\":%s",
	    x->inquiry.policy->enabled ? "true" : "false",
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
	buf_add_byte(&x->out, ']');
	if (x->options->attributes) {
		buf_add_str(&x->out, ",\"sent\":");
		preview_json(sent, &x->out);
	}
	buf_add_byte(&x->out, '}');
}

static int
verdict_tell(struct explainer *x, const struct shape_case *c, struct verdict *v,
    struct err *err)
{
	struct preview *sent = NULL;
	int rc = 0;

	if (x->options->attributes && v->reason == SHAPE_EXPORTED)
		rc = preview_make(
		    &x->inquiry, c, v->manager_of != NULL, &sent, err);
	if (rc < 0)
		return -1;
	if (rc > 0)
		v->reason = SHAPE_ERROR;
	if (x->options->json)
		verdict_json(x, c, v, sent);
	else
		verdict_text(x, c, v, sent);
	x->any = true;
	preview_free(sent);
	return 0;
}

/* Nobody chose it; does it go along as somebody's manager? */
static int
along_explain(
    struct explainer *x, const struct search_entry *entry, struct err *err)
{
	struct shape_case question = {.entry = entry,
	    .excluded = scope_excludes(x->inquiry.scope, entry->dn)};
	struct verdict v = {.reason = SHAPE_EXCLUDED};
	struct object raw;
	struct buf whom;
	int rc;

	buf_init(&whom, EXPLAIN_NAME_MAX);
	rc = x->outside ? 0
			: inquiry_managed(&x->inquiry, entry->dn, &whom, err);
	if (rc > 0) {
		v.manager_of = buf_cstr(&whom);
		rc = inquiry_judge(
		    &x->inquiry, x->arena, &question, &raw, &v.reason, err);
	}
	if (rc == 0)
		rc = verdict_tell(x, &question, &v, err);
	buf_fini(&whom);
	return rc;
}

static int
entry_explain(void *arg, const struct search_entry *entry, struct err *err)
{
	struct explainer *x = arg;
	struct shape_case question = {.entry = entry};
	struct object raw;
	struct scope_hit hit;
	struct verdict v = {.reason = SHAPE_EXCLUDED};
	char from[1024], *group = NULL;
	const struct inquiry *q = &x->inquiry;
	int rc = scope_find(q->scope, entry, &hit, err);

	if (rc < 0)
		return -1;
	arena_reset(x->arena);
	if (rc == 0)
		return along_explain(x, entry, err);
	question.excluded = hit.excluded;
	question.members_only = hit.members_only;
	if (inquiry_judge(q, x->arena, &question, &raw, &v.reason, err) < 0)
		return -1;
	v.from = scope_text(&q->policy->bases[hit.from], from, sizeof(from));
	if (scope_hit_group(&hit, &group, err) < 0)
		return -1;
	v.group = group;
	rc = verdict_tell(x, &question, &v, err);
	free(group);
	return rc;
}

static int
outside_explain(void *arg, const struct search_entry *entry, struct err *err)
{
	struct explainer *x = arg;

	return forest_find(x->inquiry.forest, entry->dn) == FOREST_NONE
		   ? entry_explain(x, entry, err)
		   : 0;
}

/* Members of groups go out from there too, as the global catalogue knows
 * them. */
static int
catalogue_explain(
    struct explainer *x, struct search_options *options, struct err *err)
{
	const struct inquiry *q = &x->inquiry;
	const struct spoke_directory *d = &q->conf->directory;
	const struct forest_context *context;
	bool off = false;
	int rc;

	for (size_t i = 0; i < d->domain_count; i++)
		off = off || !d->domains[i].enabled;
	if (!off || !scope_expands(q->scope))
		return 0;
	rc = forest_catalogue(q->forest, &context, err);
	if (rc <= 0)
		return rc;
	options->base = "";
	x->outside = true;
	rc = search_each(context->session, options, outside_explain, x, err);
	x->outside = false;
	return rc;
}

static int
forest_explain(struct explainer *x, const char *filter, struct err *err)
{
	const struct inquiry *q = &x->inquiry;
	struct search_options options = {.scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = shape_attributes(q->shape),
	    .page_size = q->conf->directory.page_size,
	    .extended_dn = q->extended_dn};
	const struct forest_context *context;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < forest_count(q->forest); i++) {
		options.base = forest_dn(q->forest, i);
		if (forest_context(q->forest, i, &context, err) < 0)
			return -1;
		rc = search_each(
		    context->session, &options, entry_explain, x, err);
	}
	return rc == 0 ? catalogue_explain(x, &options, err) : rc;
}

/* A mistake in one policy keeps no other from answering. */
static int
policy_explain(struct explainer *x, const struct spoke_conf *conf,
    const struct export_policy *policy, struct forest *forest,
    const char *filter, struct err *err)
{
	struct err cause = {0};
	int rc = inquiry_open(&x->inquiry, conf, policy, forest, &cause);

	if (rc == 0) {
		rc = forest_explain(x, filter, err);
	} else if (cause.class == ERR_CONFIG) {
		log_err(
		    &cause, "no answer of a policy policy=%s", policy->name);
		x->silent |= policy->enabled;
		rc = 0;
	} else {
		*err = cause;
	}
	inquiry_close(&x->inquiry);
	return rc;
}

static int
address_explain(struct explainer *x, const struct spoke_conf *conf,
    struct slice mail, struct err *err)
{
	struct forest *forest = NULL;
	struct buf filter;
	int rc = -1;

	buf_init(&filter, 16 * 1024);
	if (forest_open(conf, &forest, err) < 0)
		goto out;
	dialect_mail_filter(forest_dialect(forest), mail, &filter);
	rc = buf_check(&filter, "address", err);
	for (size_t i = 0; rc == 0 && i < conf->export_count; i++)
		rc = policy_explain(
		    x, conf, &conf->exports[i], forest, buf_cstr(&filter), err);
out:
	buf_fini(&filter);
	forest_close(forest);
	return rc;
}

static void
told_print(const struct explainer *x)
{
	struct buf dn;

	buf_init(&dn, EXPLAIN_OUT_MAX);
	for (size_t i = 0; i < x->told_count; i++) {
		buf_reset(&dn);
		buf_add_text(&dn, slice_str(x->told[i].dn));
		(void)printf(
		    "%s\n%s", buf_cstr(&dn), buf_cstr(&x->told[i].out));
	}
	buf_fini(&dn);
}

int
explain_address(const struct spoke_conf *conf, const char *address,
    const struct explain_options *options)
{
	struct explainer x = {.options = options};
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
	if (address_explain(&x, conf, mail, &err) < 0)
		log_err(&err, "not explained address=%s", address);
	else if (options->json)
		(void)printf("[%s]\n", buf_cstr(&x.out));
	else if (x.any)
		told_print(&x);
	else if (!x.silent)
		(void)fprintf(stderr,
		    "galspoke: no entry of the directory has the address %s, "
		    "or the account may not see it\n",
		    address);
	if (err.class == ERR_NONE && x.any && !x.silent)
		code = EXIT_DONE;
	arena_free(x.arena);
	for (size_t i = 0; i < x.told_count; i++) {
		free(x.told[i].dn);
		buf_fini(&x.told[i].out);
	}
	free(x.told);
	buf_fini(&x.out);
	return code;
}
