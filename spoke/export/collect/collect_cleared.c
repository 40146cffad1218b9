/*
 * Attributes that many objects lose, or that any object loses although nobody
 * wrote to its entry: the account may have lost the right to read them.
 *
 *   a whole reading:  those who lost are asked for their change stamps, and the
 *                     guard of collect_guard.c holds what looks like that
 *   what was touched: was written, so that its stamps tell nothing; a few of
 *                     those who had the attribute and were not touched are read
 *                     too. On suspicion everything is read, and judged as above
 *
 * An intake in which nothing is lost costs nothing here.
 */
#include "spoke/export/collect/collect_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/stamp.h"
#include "spoke/export/shape/named.h"

/* So few are suspicious when all who had it lose it. */
#define CLEARED_ALL_MIN 3
/* Of each attribute so many who had it are read again, found among so many. */
#define HOLDERS_MAX 8
#define HOLDERS_SEARCHED 1000
#define PROBE_ARENA_MAX ((size_t)64 << 20)

struct probe_pair {
	struct id id;
	struct cleared_row *row;
	bool holder; /* had it at the last version; does it still? */
};

struct probe {
	struct collector *c;
	struct arena *arena;
	struct buf mark; /* of the last whole reading */
	struct probe_pair *pairs;
	size_t count, size;
};

static int
probe_open(struct probe *p, struct collector *c, struct err *err)
{
	*p = (struct probe){.c = c, .arena = arena_new(PROBE_ARENA_MAX)};
	buf_init(&p->mark, COLLECT_NOTE_MAX);
	return replica_note_get(c->replica, COLLECT_NOTE_WHOLE, &p->mark, err);
}

static void
probe_close(struct probe *p)
{
	buf_fini(&p->mark);
	arena_free(p->arena);
	free(p->pairs);
}

static void
probe_add(
    struct probe *p, const struct id *id, struct cleared_row *row, bool holder)
{
	if (p->count == p->size) {
		p->size = p->size == 0 ? 64 : 2 * p->size;
		p->pairs = mem_realloc(p->pairs, p->size * sizeof(*p->pairs));
	}
	p->pairs[p->count++] =
	    (struct probe_pair){.id = *id, .row = row, .holder = holder};
}

/* --- who is asked --- */

static bool
is_manager(const struct cleared_row *row)
{
	return strcmp(row->name, CLEARED_MANAGER) == 0;
}

/* Values that name others go when those are deleted, without a stamp. */
static bool
is_stamped(const struct collector *c, const struct cleared_row *row)
{
	return shape_form(c->shape, row->name) != ATTRIBUTES_NAME;
}

/* A manager who went away is named by nobody any more, which is no loss; nor
 * is it when one who was renamed is named in vain, see probe_look(). */
static int
managers_add(struct probe *p, struct cleared_row *row, struct err *err)
{
	size_t stay = 0;

	for (size_t i = 0; i < row->sample_count; i++) {
		const struct cleared_sample *s = &row->samples[i];
		int there = replica_intake_has(p->c->intake, &s->manager, err);

		if (there < 0)
			return -1;
		stay += (size_t)there;
		if (there > 0)
			probe_add(p, &s->id, row, false);
	}
	/* Of very many, as many as of those that were chosen. */
	if (row->sample_count > 0)
		row->lost = row->lost * stay / row->sample_count;
	return 0;
}

static int
losers_add(struct probe *p, struct err *err)
{
	struct collector *c = p->c;

	for (size_t i = 0; i < cleared_count(c->cleared); i++) {
		struct cleared_row *row = cleared_row(c->cleared, i);

		if (is_manager(row)) {
			if (managers_add(p, row, err) < 0)
				return -1;
			continue;
		}
		for (size_t k = 0; is_stamped(c, row) && k < row->sample_count;
		     k++)
			probe_add(p, &row->samples[k].id, row, false);
	}
	return 0;
}

/* Those of the last version who have what others lose now. 1: enough. */
static int
holders_take(struct probe *p, const struct section_object *one, size_t *found,
    struct err *err)
{
	struct collector *c = p->c;
	struct object object;
	bool enough = true;

	arena_reset(p->arena);
	if (object_decode(one->body, p->arena, &object, err) < 0)
		return -1;
	for (size_t i = 0; i < cleared_count(c->cleared); i++) {
		struct cleared_row *row = cleared_row(c->cleared, i);

		if (found[i] < HOLDERS_MAX && is_stamped(c, row) &&
		    !is_manager(row) && cleared_has(&object, row->name)) {
			found[i]++;
			probe_add(p, &one->id, row, true);
		}
		enough = enough && found[i] == HOLDERS_MAX;
	}
	return enough;
}

static int
holders_add(struct probe *p, struct err *err)
{
	size_t *found =
	    mem_calloc(cleared_count(p->c->cleared), sizeof(*found));
	struct replica_cursor *cursor = NULL;
	struct section_object one;
	int rc = replica_cursor_open(p->c->replica, 0, &cursor, err);

	for (size_t i = 0; rc == 0 && i < HOLDERS_SEARCHED; i++) {
		int step = replica_cursor_next(cursor, &one, err);

		if (step == 0)
			break;
		rc = step < 0 ? -1 : holders_take(p, &one, found, err);
	}
	replica_cursor_close(cursor);
	free(found);
	return rc < 0 ? -1 : 0;
}

/* --- asking --- */

static int
pair_compare(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

/* Is it exported, without that attribute? */
static int
lacks(struct probe *p, const struct search_entry *entry, const char *name,
    bool *out_lacks)
{
	struct shape_case question = {.entry = entry};
	const struct search_attribute *members;
	struct object raw;
	struct err cause = {0};

	arena_reset(p->arena);
	*out_lacks = false;
	if (dialect_read_object(p->c->dialect, entry, p->arena, &raw, &cause) <
	    0)
		return 0;
	question.raw = &raw;
	if (shape_object(p->c->shape, p->arena, &question) == SHAPE_EXPORTED) {
		question.object.recipient_type = raw.recipient_type;
		question.object.references.has_members =
		    named_members(p->c->policy, raw.kind, entry, &members);
		*out_lacks = !cleared_has(&question.object, name);
	}
	return 0;
}

static int
probe_look(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	struct probe *p = arg;
	int unwritten =
	    collect_is_unwritten(p->c, entry, buf_slice(&p->mark), err);
	struct err cause = {0};
	struct id id;

	(void)none;
	if (unwritten < 0)
		return -1;
	if (dialect_entry_id(p->c->dialect, entry, &id, &cause) < 0)
		return 0;
	for (size_t i = 0; i < p->count; i++) {
		struct probe_pair *pair = &p->pairs[i];
		bool gone = !pair->holder;

		if (id_compare(&pair->id, &id) != 0)
			continue;
		if (is_manager(pair->row) &&
		    search_first(entry, CLEARED_MANAGER).len > 0) {
			pair->row->lost = 0;
			continue;
		}
		if (pair->holder && unwritten > 0 &&
		    lacks(p, entry, pair->row->name, &gone) < 0)
			return -1;
		pair->row->unwritten += gone && unwritten > 0;
	}
	return 0;
}

/* Asks for the stamps, with holders also for all that they show. */
static int
probe_ask(struct probe *p, bool holders, struct err *err)
{
	struct collector *c = p->c;
	struct idlist ids = {.list = NULL};
	const char **names = collect_stamped_attributes(c, holders);
	int rc;

	qsort(p->pairs, p->count, sizeof(*p->pairs), pair_compare);
	for (size_t i = 0; i < p->count; i++)
		idlist_add(&ids, &p->pairs[i].id);
	idlist_sort(&ids);
	rc = scope_read_any(
	    c->scope, ids.list, ids.count, names, probe_look, p, err);
	idlist_fini(&ids);
	free(names);
	return rc;
}

/* --- judging --- */

static int
before_count(struct collector *c, struct err *err)
{
	struct replica_cursor *cursor = NULL;
	struct section_object one;
	int rc;

	if (replica_cursor_open(c->replica, 0, &cursor, err) < 0)
		return -1;
	while ((rc = replica_cursor_next(cursor, &one, err)) == 1)
		if (cleared_count_before(c->cleared, one.body, err) < 0) {
			rc = -1;
			break;
		}
	replica_cursor_close(cursor);
	return rc;
}

/* One value is lost as well as all: of addresses one is always made. */
static uint64_t
losers(const struct cleared_row *row)
{
	return row->lost + row->shrunk;
}

/* Is it worth counting how many had it? */
static bool
is_suspect(const struct collector *c, const struct cleared_row *row)
{
	return row->unwritten > 0 || losers(row) >= CLEARED_ALL_MIN ||
	       losers(row) > c->policy->max_clear_count;
}

static bool
is_held(const struct collector *c, const struct cleared_row *row)
{
	const struct export_policy *p = c->policy;

	if (row->unwritten > 0)
		return true;
	if (losers(row) >= CLEARED_ALL_MIN && losers(row) >= row->before)
		return true;
	return losers(row) > p->max_clear_count &&
	       losers(row) * 100 > row->before * p->max_clear_percent;
}

static int
rows_ask(struct collector *c, bool holders, struct err *err)
{
	struct probe probe;
	int rc = probe_open(&probe, c, err);

	if (rc == 0)
		rc = losers_add(&probe, err);
	if (rc == 0 && holders)
		rc = holders_add(&probe, err);
	if (rc == 0 && probe.count > 0)
		rc = probe_ask(&probe, holders, err);
	probe_close(&probe);
	return rc;
}

static bool
any_row(const struct collector *c,
    bool (*test)(const struct collector *, const struct cleared_row *))
{
	for (size_t i = 0; i < cleared_count(c->cleared); i++)
		if (test(c, cleared_row(c->cleared, i)))
			return true;
	return false;
}

/* 1: some are held. */
static int
rows_judge(struct collector *c, bool holders, struct err *err)
{
	if (c->cleared == NULL || cleared_count(c->cleared) == 0)
		return 0;
	if (rows_ask(c, holders, err) < 0)
		return -1;
	if (!any_row(c, is_suspect))
		return 0;
	if (before_count(c, err) < 0)
		return -1;
	for (size_t i = 0; i < cleared_count(c->cleared); i++) {
		struct cleared_row *row = cleared_row(c->cleared, i);

		row->held = is_held(c, row);
	}
	return any_row(c, is_held);
}

int
collect_cleared_suspect(struct collector *c, struct err *err)
{
	return rows_judge(c, true, err);
}

int
collect_cleared_judge(struct collector *c, struct err *err)
{
	return rows_judge(c, false, err);
}
