/*
 * Was whoever would be deleted deleted? Guards that count let a few go, or one
 * place beside a larger one; and an account that may not read an address, a
 * class or an entry any more sees what it would see if somebody had gone. So
 * each of them is looked for by id alone:
 *
 *   there, where the policy looks, and nobody wrote to him since the last
 *     whole reading: his address or class cannot be read           held
 *   the same where a search chooses: nor what it asks for          held
 *   nowhere, and not deleted (collect_unseen.c)                    held
 *   else he was deleted, moved or written to                       believed
 *
 * What was touched was written to: when somebody shows no address any more, nor
 * do those beside him who are exported, everything is read.
 */
#include "spoke/export/collect/collect_internal.h"

#include <ldap.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/ldap/reference.h"
#include "common/wire/limits.h"
#include "spoke/export/shape/named.h"

#define DELETED_ARENA_MAX ((size_t)64 << 20)
#define DELETED_FILTER_MAX ((size_t)64 << 10)
/* Of more, these are looked for, evenly chosen. */
#define DELETED_LOOKED_MAX 10000
#define DELETED_AT_ONCE 100
/* Entries beside one that are asked for an address. */
#define DELETED_BESIDE_MAX 100

struct look {
	struct collector *c;
	struct arena *arena;
	struct buf mark;    /* of the last whole reading */
	struct idlist gone; /* marked: found */
};

void
collect_deleted_reset(struct collector *c)
{
	free(c->deletions.dn);
	free(c->deletions.place);
	c->deletions = (struct collect_deletions){.judged = false};
}

/* --- who is there --- */

enum missed {
	MISSED_NOT,
	MISSED_IN_PLACE, /* by what cannot be read */
	MISSED_BY_SEARCH /* by that, or by what stands in it now */
};

/* Do searches choose, and does nothing but the entry itself decide whether they
 * find it? */
static bool
asks_entries_alone(const struct collector *c)
{
	bool any = false;

	for (size_t i = 0; i < c->policy->base_count; i++) {
		const struct export_base *base = &c->policy->bases[i];

		if (base->search == NULL && base->filter == NULL)
			continue;
		any = true;
		if ((base->kind_set & ~DIALECT_FIND_RECIPIENTS) != 0)
			return false;
	}
	return any && !scope_expands(c->scope) && !scope_asks_links(c->scope);
}

/* A whole reading: is it published for itself, and under that name? 1, 0, -1.
 */
static int
is_published_as(
    struct look *look, const struct id *id, const char *dn, struct err *err)
{
	struct collector *c = look->c;
	struct object object;
	struct buf body;
	int rc;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	arena_reset(look->arena);
	rc = replica_get(c->replica, id, &body, err);
	if (rc > 0 &&
	    object_decode(buf_slice(&body), look->arena, &object, err) < 0)
		rc = -1;
	if (rc > 0)
		rc = !object.references.along &&
		     strcmp(object.source_dn, dn) == 0;
	buf_fini(&body);
	return rc;
}

/* No place has it. */
static int
search_misses(struct look *look, const struct id *id,
    const struct search_entry *entry, enum missed *out, struct err *err)
{
	struct collector *c = look->c;
	int rc = 1;

	if (!c->may_follow || !asks_entries_alone(c))
		return 0;
	if (c->result->whole)
		rc = is_published_as(look, id, entry->dn, err);
	if (rc > 0)
		*out = MISSED_BY_SEARCH;
	return rc < 0 ? -1 : 0;
}

/* Would it be exported, but for what cannot be read? */
static int
entry_missed(struct look *look, const struct id *id,
    const struct search_entry *entry, enum missed *out, struct err *err)
{
	struct collector *c = look->c;
	struct shape_case question = {.entry = entry};
	enum shape_reason reason;
	struct scope_hit hit;
	struct object raw;
	struct err cause = {0};
	int rc = scope_find(c->scope, entry, &hit, err);

	*out = MISSED_NOT;
	if (rc == 0)
		return search_misses(look, id, entry, out, err);
	if (rc < 0 || hit.excluded || hit.members_only)
		return rc < 0 ? -1 : 0;
	arena_reset(look->arena);
	if (dialect_read_object(c->dialect, entry, look->arena, &raw, &cause) <
	    0)
		return 0;
	question.raw = &raw;
	reason = shape_object(c->shape, look->arena, &question);
	if (reason == SHAPE_EXPORTED || reason == SHAPE_NO_ADDRESS ||
	    reason == SHAPE_KIND)
		*out = MISSED_IN_PLACE;
	return 0;
}

/* The entries beside one. */
struct beside {
	struct collector *c;
	size_t count;
	bool found;
};

/* search_fn: one that can be read as an object that is exported. */
static int
is_readable(void *arg, const struct search_entry *entry, struct err *err)
{
	struct beside *b = arg;
	struct scope_hit hit;
	int rc;

	b->count++;
	/* One may search for what one may not read. */
	if (search_first(entry, "mail").len > 0 ||
	    search_first(entry, "proxyAddresses").len > 0 ||
	    search_first(entry, "targetAddress").len > 0) {
		rc = scope_find(b->c->scope, entry, &hit, err);
		if (rc < 0)
			return -1;
		b->found = rc > 0;
	}
	return b->found || b->count == DELETED_BESIDE_MAX;
}

/* search_fn: one that is exported. */
static int
is_published(void *arg, const struct search_entry *entry, struct err *err)
{
	struct beside *b = arg;
	struct err cause = {0};
	struct id id;
	int rc;

	if (dialect_entry_id(b->c->dialect, entry, &id, &cause) < 0)
		return 0;
	rc = replica_intake_has(b->c->intake, &id, err);
	b->found = rc > 0;
	return rc != 0 ? rc : ++b->count == DELETED_BESIDE_MAX;
}

/* Of those beside it none can be read, though some are exported: 1, 0, -1. */
static int
is_bare_beside(struct collector *c, const char *dn, struct err *err)
{
	static const char *const names[] = {"mail", "proxyAddresses",
	    "targetAddress", "objectGUID", "entryUUID", NULL};
	struct beside b = {.c = c};
	struct search_options options = {.base = dn_parent(dn),
	    .scope = SEARCH_ONE,
	    .filter = dialect_export_filter(c->dialect),
	    .attributes = names,
	    .page_size = c->options->conf->directory.page_size};
	const struct forest_context *context;
	struct err cause = {0};
	int rc;

	/* The top of a context has nobody beside it. */
	if (forest_find(c->forest, options.base) == FOREST_NONE)
		return 0;
	if (forest_context_of(c->forest, options.base, &context, err) < 0)
		return -1;
	rc = search_each(context->session, &options, is_readable, &b, &cause);
	if (rc >= 0 && b.found)
		return 0;
	b.count = 0;
	options.filter = reference_is_extended(c->dialect) ? "(objectGUID=*)"
							   : "(entryUUID=*)";
	if (rc >= 0)
		rc = search_each(
		    context->session, &options, is_published, &b, &cause);
	/* It moved on, with what is in it: that is told next time. */
	if (rc < 0 && cause.code == LDAP_NO_SUCH_OBJECT)
		return 0;
	if (rc < 0)
		*err = cause;
	return rc < 0 ? -1 : b.found;
}

static int
entry_look(void *arg, const struct search_entry *entry, struct err *err)
{
	struct look *look = arg;
	struct collector *c = look->c;
	struct collect_deletions *d = &c->deletions;
	struct err cause = {0};
	enum missed missed;
	struct id id;
	size_t at;
	int rc = 0;

	if (dialect_entry_id(c->dialect, entry, &id, &cause) < 0)
		return 0;
	at = idlist_find(&look->gone, &id);
	if (at == SIZE_MAX)
		return 0;
	look->gone.marks[at] = true;
	if (entry_missed(look, &id, entry, &missed, err) < 0)
		return -1;
	if (missed == MISSED_NOT)
		return 0;
	if (missed == MISSED_IN_PLACE || c->result->whole)
		rc =
		    collect_is_unwritten(c, entry, buf_slice(&look->mark), err);
	if (rc > 0) {
		d->there++;
		if (d->dn == NULL)
			d->dn = mem_strdup(entry->dn);
	} else if (rc == 0 && !c->result->whole && !d->suspect) {
		rc = is_bare_beside(c, entry->dn, err);
		d->suspect = rc > 0;
	}
	return rc < 0 ? -1 : 0;
}

static int
batch_look(struct look *look, const char *filter, struct err *err)
{
	struct collector *c = look->c;
	const char **names = collect_stamped_attributes(c, true);
	struct search_options options = {.scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = c->options->conf->directory.page_size,
	    .extended_dn = reference_is_extended(c->dialect)};
	const struct forest_context *context;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < forest_count(c->forest); i++) {
		/* Managers come along from anywhere. */
		if (!scope_reads(c->scope, i) && !named_managers(c->policy))
			continue;
		options.base = forest_dn(c->forest, i);
		rc = forest_context(c->forest, i, &context, err);
		if (rc == 0)
			rc = search_each(
			    context->session, &options, entry_look, look, err);
	}
	free(names);
	return rc;
}

static int
gone_look(struct look *look, struct err *err)
{
	const struct idlist *gone = &look->gone;
	struct buf filter;
	int rc = 0;

	buf_init(&filter, DELETED_FILTER_MAX);
	for (size_t i = 0; rc == 0 && i < gone->count;) {
		buf_reset(&filter);
		buf_add_str(&filter, "(|");
		for (size_t n = 0; n < DELETED_AT_ONCE && i < gone->count; n++)
			dialect_id_filter(
			    look->c->dialect, &gone->list[i++], &filter);
		buf_add_byte(&filter, ')');
		rc = buf_check(&filter, "filter", err);
		if (rc == 0)
			rc = batch_look(look, buf_cstr(&filter), err);
	}
	buf_fini(&filter);
	return rc;
}

/* --- judging --- */

static int
gone_add(void *arg, const struct id *id, struct err *err)
{
	(void)err;
	idlist_add(arg, id);
	return 0;
}

static void
gone_thin(struct idlist *gone)
{
	size_t step = gone->count / DELETED_LOOKED_MAX + 1, n = 0;

	for (size_t i = 0; i < gone->count; i += step)
		gone->list[n++] = gone->list[i];
	gone->count = n;
	idlist_sort(gone);
}

int
collect_deleted_judge(struct collector *c, struct err *err)
{
	struct look look = {.c = c};
	int rc;

	/* Another policy, or dialect, asks for something else. */
	if (c->deletions.judged || c->options->allow_empty || !c->same_content)
		return 0;
	c->deletions.judged = true;
	look.arena = arena_new(DELETED_ARENA_MAX);
	buf_init(&look.mark, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, COLLECT_NOTE_WHOLE, &look.mark, err);
	if (rc == 0)
		rc = replica_intake_gone(c->intake, gone_add, &look.gone, err);
	gone_thin(&look.gone);
	if (rc == 0)
		rc = gone_look(&look, err);
	if (rc == 0)
		rc = collect_unseen_judge(c, &look.gone, err);
	idlist_fini(&look.gone);
	buf_fini(&look.mark);
	arena_free(look.arena);
	return rc;
}
