#include "spoke/export/collect/collect_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/reference.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/stages.h"
#include "spoke/export/shape/named.h"

/* Lines in the log about odd values, each run. */
#define NOTES_MAX 100

/* An entry that cannot be read keeps the state it had, so that it does not look
 * deleted; of too many of them the guard hears. */
static int
entry_failed(struct collector *c, const struct id *id, Galr__Kind kind,
    struct err *cause, struct err *err)
{
	struct shape_counts *counts = &c->result->counts;
	char text[ID_HEX_SIZE] = "unknown";
	int rc;

	shape_count(counts, kind, SHAPE_ERROR);
	if (id != NULL)
		(void)id_format(id, text);
	if (counts->reasons[SHAPE_ERROR] <= c->policy->max_errors + 1)
		log_warn("entry not exported object=%s error=\"%s\"", text,
		    cause->message);
	(void)snprintf(
	    c->failure, sizeof(c->failure), "%s: %.200s", text, cause->message);
	c->nameless += id == NULL;
	if (id == NULL || c->intake == NULL)
		return 0;
	idlist_add(&c->failed, id);
	rc = replica_intake_keep(c->intake, id, err);
	if (rc > 0)
		collect_feeds_seen(c->feeds, id);
	return rc < 0 ? -1 : 0;
}

enum seen {
	SEEN_NEVER,
	SEEN_EXCLUDED,
	SEEN_MEMBERS_ONLY,
	SEEN_TAKEN,
	SEEN_COUNTED
};

int
collect_is_counted(struct collector *c, const struct id *id, struct err *err)
{
	uint64_t seen;

	return idset_get(c->seen, id, &seen, err) < 0 ? -1
						      : seen == SEEN_COUNTED;
}

/* Is it settled already? One entry of `from` may exclude what another finds. 1,
 * 0, -1. */
static int
seen_before(struct collector *c, const struct id *id,
    const struct scope_hit *hit, Galr__Kind kind, struct err *err)
{
	struct shape_counts *counts = &c->result->counts;
	uint64_t now = hit->excluded       ? SEEN_EXCLUDED
		       : hit->members_only ? SEEN_MEMBERS_ONLY
					   : SEEN_TAKEN;
	uint64_t seen;

	if (c->seen == NULL)
		return 0;
	if (idset_get(c->seen, id, &seen, err) < 0)
		return -1;
	if (seen >= now)
		return 1;
	if (seen != SEEN_NEVER)
		shape_uncount(counts, kind,
		    seen == SEEN_EXCLUDED ? SHAPE_EXCLUDED
					  : SHAPE_MEMBERS_ONLY);
	return idset_put(c->seen, id, now, err);
}

/* What is odd about an exported object; a few lines of them tell enough. */
static void
notes_take(struct collector *c, const struct shape_case *question)
{
	const struct values_notes *notes = &question->notes;
	struct slice dn = slice_str(question->entry->dn);

	shape_count_notes(&c->result->counts, question);
	if (notes->count == 0 && !question->closed)
		return;
	if (c->options->note != NULL) {
		c->options->note(c->options->note_arg, question);
		return;
	}
	for (size_t i = 0; i < notes->count && c->notes < NOTES_MAX; i++) {
		const struct values_note *n = &notes->list[i];

		/* Many have one, and nobody misses it. */
		if (n->why == VALUES_OTHER)
			continue;
		c->notes++;
		log_info("value not exported entry=%s attribute=%s octets=%zu "
			 "reason=\"%s\"",
		    log_text(dn), n->attribute, n->value.len,
		    values_drop_text(n->why));
	}
	if (question->closed && c->notes < NOTES_MAX) {
		c->notes++;
		log_info(
		    "exported, but closed to outsiders entry=%s", log_text(dn));
	}
}

/* 1: this object cannot, *cause says why. */
static int
object_put(struct collector *c, const struct id *id,
    struct shape_case *question, struct err *cause, struct err *err)
{
	if (c->references != NULL)
		return references_put(
		    c, id, &question->object, question->entry, cause, err);
	(void)stages_enter(STAGE_ENCODE);
	buf_reset(&c->body);
	if (object_encode(&question->object, c->arena, &c->body, cause) < 0)
		return 1;
	(void)stages_enter(STAGE_STORE);
	return c->intake == NULL ? 0
				 : replica_intake_put(
				       c->intake, id, buf_slice(&c->body), err);
}

/* along: nobody chose it, it is somebody's manager. */
static int
object_take(struct collector *c, const struct id *id,
    struct shape_case *question, bool along, struct err *err)
{
	struct shape_counts *counts = &c->result->counts;
	Galr__Kind kind = question->raw->kind;
	char opaque[ID_HEX_SIZE];
	struct err cause = {0};
	enum shape_reason reason;
	int rc;

	(void)stages_enter(STAGE_SHAPE);
	reason = shape_object(c->shape, c->arena, question);
	if (reason == SHAPE_ERROR) {
		(void)err_set(&cause, ERR_LIMIT, "too large");
		return entry_failed(c, id, kind, &cause, err);
	}
	if (reason != SHAPE_EXPORTED) {
		/* Who does not come along was no candidate of the policy. */
		if (!along)
			shape_count(counts, kind, reason);
		return collect_witness_take(
		    c, reason, id, question->entry, err);
	}
	shape_name(c->shape, id, opaque, &question->object);
	question->object.references.along = along;
	rc = object_put(c, id, question, &cause, err);
	if (rc != 0)
		return rc < 0 ? -1 : entry_failed(c, id, kind, &cause, err);
	shape_count(counts, kind, SHAPE_EXPORTED);
	notes_take(c, question);
	c->result->along += along;
	c->result->outside += c->options->me != NULL &&
			      !registry_domain_allotted(c->options->me,
				  object_first(&question->object, "mail"));
	collect_feeds_seen(c->feeds, id);
	return c->intake != NULL ? 0
				 : idset_put(c->seen, id, SEEN_COUNTED, err);
}

static int
entry_read(struct collector *c, const struct scope_hit *hit, bool along,
    const struct search_entry *entry, struct err *err)
{
	struct shape_case question = {
	    .excluded = hit->excluded, .members_only = hit->members_only};
	struct object raw;
	struct err cause = {0};
	Galr__Kind kind = GALR__KIND__KIND_UNSPECIFIED;
	struct id id;
	int rc, seen = 0;

	arena_reset(c->arena);
	c->result->found += !along;
	if (dialect_entry_id(c->dialect, entry, &id, &cause) < 0)
		return entry_failed(c, NULL, kind, &cause, err);
	rc = dialect_read_object(c->dialect, entry, c->arena, &raw, &cause);
	if (rc == 0)
		kind = raw.kind;
	if (!along)
		seen = seen_before(c, &id, hit, kind, err);
	if (seen != 0)
		return seen < 0 ? -1 : 0;
	if (rc < 0)
		return entry_failed(c, &id, kind, &cause, err);
	question.entry = entry;
	question.raw = &raw;
	return object_take(c, &id, &question, along, err);
}

static int
entry_take(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	enum stage before = stages_enter(STAGE_READ);
	int rc = entry_read(arg, hit, false, entry, err);

	(void)stages_enter(before);
	return rc;
}

static int
along_entry_take(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	struct collector *c = arg;
	struct scope_hit hit = {
	    .excluded = scope_excludes(c->scope, entry->dn)};

	(void)none;
	return entry_read(c, &hit, true, entry, err);
}

/* Of a search, any server may be the one that answers otherwise. */
static const char *
from_where(const struct collector *c, const struct export_base *base)
{
	const char *dn = base->ou != NULL ? base->ou : base->object;

	return forest_where(c->forest, dn != NULL ? dn : "");
}

/* One that found entries and finds none now is an accident, unless somebody
 * says that it is not. */
static int
from_take(
    struct collector *c, size_t index, uint64_t *out_entries, struct err *err)
{
	const struct export_base *base = &c->policy->bases[index];
	uint64_t before = 0, start = c->result->found;
	char text[1024];

	(void)scope_text(base, text, sizeof(text));
	if (c->intake != NULL && collect_base_before(c, base, &before, err) < 0)
		return -1;
	if (scope_read(c->scope, index, shape_attributes(c->shape), entry_take,
		c, err) < 0)
		return err_prepend(err, "export from %s", text);
	*out_entries = c->result->found - start;
	if (*out_entries == 0 && before > 0 && base->object == NULL &&
	    !c->options->allow_empty)
		return err_set(err, ERR_CONFIG,
		    "export from %s on %s: the search succeeded and found "
		    "nothing, last time it found %llu entries: see whether the "
		    "account may still read there; if the place is meant to be "
		    "empty, run once with --allow-empty",
		    text, from_where(c, base), (unsigned long long)before);
	return 0;
}

/* One OU cannot find an object twice: then nothing has to be remembered, and
 * memory does not grow with the forest. */
static bool
finds_once(const struct export_policy *p)
{
	return p->base_count == 1 &&
	       (p->bases[0].ou != NULL || p->bases[0].object != NULL) &&
	       p->bases[0].groups == EXPORT_GROUPS_ITSELF;
}

int
collect_entries(struct collector *c, uint64_t *entries, struct err *err)
{
	enum stage before;
	int rc = 0;

	/* What was touched may have been read just now. */
	idset_free(c->seen);
	c->seen =
	    finds_once(c->policy) && c->intake != NULL ? NULL : idset_new();
	before = stages_enter(STAGE_RECEIVE);
	references_begin_whole(c);
	rc = scope_expand(c->scope, err);
	for (size_t i = 0; rc == 0 && i < c->policy->base_count; i++)
		rc = from_take(c, i, &entries[i], err);
	if (rc == 0)
		rc = collect_gone_confirm(c, err);
	(void)stages_enter(STAGE_STORE);
	if (rc == 0)
		rc = references_settle_whole(c, err);
	(void)stages_enter(before);
	return rc;
}

int
idlist_take(
    struct collector *c, const struct id *ids, size_t count, struct err *err)
{
	enum stage before = stages_enter(STAGE_RECEIVE);
	int rc = scope_read_ids(c->scope, ids, count,
	    shape_attributes(c->shape), entry_take, c, err);

	(void)stages_enter(before);
	return rc;
}

int
collect_along_take(
    struct collector *c, const struct id *ids, size_t count, struct err *err)
{
	return scope_read_any(c->scope, ids, count, shape_attributes(c->shape),
	    along_entry_take, c, err);
}

int
collect_prepare(struct collector *c, struct err *err)
{
	const struct scope_options options = {.forest = c->forest,
	    .dialect = c->dialect,
	    .policy = c->policy,
	    .replica = c->replica,
	    .page_size = c->options->conf->directory.page_size,
	    .repin = c->options->allow_empty,
	    .wide = c->options->count_only,
	    .extended_dn =
		reference_is_extended(c->dialect) &&
		(named_managers(c->policy) || named_memberships(c->policy))};

	if (shape_open_conf(
		c->options->conf, c->policy, c->dialect, &c->shape, err) < 0)
		return -1;
	c->references = references_new(c);
	return scope_open(&options, &c->scope, err);
}
