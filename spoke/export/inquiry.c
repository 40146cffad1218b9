#include "spoke/export/inquiry.h"

#include "common/ldap/reference.h"
#include "spoke/export/collect/collect.h"
#include "spoke/export/shape/named.h"

#define INQUIRY_ARENA_MAX (16 * 1024 * 1024)
#define INQUIRY_FILTER_MAX (64 * 1024)

int
inquiry_open(struct inquiry *q, const struct spoke_conf *conf,
    const struct export_policy *policy, struct forest *forest, struct err *err)
{
	struct scope_options options = {.forest = forest,
	    .dialect = forest_dialect(forest),
	    .policy = policy,
	    .page_size = conf->directory.page_size,
	    .wide = true};

	*q = (struct inquiry){.conf = conf,
	    .policy = policy,
	    .forest = forest,
	    .dialect = options.dialect,
	    .extended_dn = reference_is_extended(options.dialect)};
	options.extended_dn = q->extended_dn;
	if (collect_replica_open(conf, policy, &q->replica, err) < 0 ||
	    shape_open_conf(conf, policy, q->dialect, &q->shape, err) < 0)
		return -1;
	options.replica = q->replica;
	if (scope_open(&options, &q->scope, err) < 0)
		return -1;
	return scope_expand(q->scope, err);
}

void
inquiry_close(struct inquiry *q)
{
	scope_close(q->scope);
	shape_close(q->shape);
	replica_close(q->replica);
	*q = (struct inquiry){.conf = NULL};
}

int
inquiry_judge(const struct inquiry *q, struct arena *arena,
    struct shape_case *question, struct object *raw,
    enum shape_reason *out_reason, struct err *err)
{
	question->raw = raw;
	if (dialect_read_object(q->dialect, question->entry, arena, raw, err) <
	    0)
		return -1;
	*out_reason = shape_object(q->shape, arena, question);
	return 0;
}

struct choice {
	const struct inquiry *inquiry;
	struct arena *arena;
	struct buf *out_dn;
};

/* 1: this one is chosen. */
static int
chosen_take(void *arg, const struct search_entry *entry, struct err *err)
{
	const struct choice *choice = arg;
	struct shape_case question = {.entry = entry};
	enum shape_reason reason;
	struct object raw;
	struct scope_hit hit;
	int rc = scope_find(choice->inquiry->scope, entry, &hit, err);

	if (rc <= 0)
		return rc;
	question.excluded = hit.excluded;
	question.members_only = hit.members_only;
	arena_reset(choice->arena);
	if (inquiry_judge(choice->inquiry, choice->arena, &question, &raw,
		&reason, err) < 0)
		return -1;
	if (reason != SHAPE_EXPORTED)
		return 0;
	buf_add_str(choice->out_dn, entry->dn);
	return 1;
}

/* The first that is chosen of the entries found. */
static int
chosen_find(const struct inquiry *q, size_t context, const char *filter,
    struct buf *out_dn, struct err *err)
{
	const struct search_options options = {
	    .base = forest_dn(q->forest, context),
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = shape_attributes(q->shape),
	    .page_size = q->conf->directory.page_size,
	    .extended_dn = q->extended_dn};
	struct choice choice = {.inquiry = q, .out_dn = out_dn};
	const struct forest_context *place;
	int rc;

	if (forest_context(q->forest, context, &place, err) < 0)
		return -1;
	choice.arena = arena_new(INQUIRY_ARENA_MAX);
	rc = search_each(place->session, &options, chosen_take, &choice, err);
	arena_free(choice.arena);
	return rc;
}

int
inquiry_managed(const struct inquiry *q, const char *dn, struct buf *out_dn,
    struct err *err)
{
	struct buf filter;
	int rc;

	if (!named_managers(q->policy))
		return 0;
	buf_init(&filter, INQUIRY_FILTER_MAX);
	buf_add_str(&filter, "(manager=");
	search_filter_escape(&filter, slice_str(dn));
	buf_add_byte(&filter, ')');
	rc = buf_check(&filter, "filter", err);
	for (size_t i = 0; rc == 0 && i < forest_count(q->forest); i++)
		rc = chosen_find(q, i, buf_cstr(&filter), out_dn, err);
	buf_fini(&filter);
	return rc;
}
