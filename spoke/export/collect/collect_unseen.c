/*
 * Who would be deleted and is nowhere: was he deleted, or can the account see
 * him no more?
 *
 *   nothing was written since the last reading                    unseen
 *   the change feed tells of deletions, and did not tell of his   unseen
 *   none tells: with him went all others of his place, several,
 *     and the place is there                                      unseen
 *   else                                                          deleted
 */
#include "spoke/export/collect/collect_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/ldap/reference.h"
#include "common/wire/limits.h"

#define UNSEEN_ARENA_MAX ((size_t)16 << 20)
/* Fewer may have gone together. */
#define UNSEEN_PLACE_MIN 3

struct place {
	char *dn; /* owned */
	uint64_t gone;
	bool stays; /* somebody is there still */
};

struct unseen {
	struct collector *c;
	const struct idlist *gone; /* marked: found */
	struct arena *arena;
	struct place *places; /* by name */
	size_t count, size;
	struct collect_deletions *out;
};

static uint64_t
nowhere_count(const struct unseen *u)
{
	uint64_t count = 0;

	for (size_t i = 0; i < u->gone->count; i++)
		count += !u->gone->marks[i];
	return count;
}

static void
unseen_set(struct unseen *u, uint64_t count, const char *why)
{
	u->out->unseen = count;
	u->out->why = why;
}

/* --- nothing was written --- */

static int
still_judge(struct unseen *u, struct err *err)
{
	struct collector *c = u->c;
	struct buf then, now;
	int rc;

	if (!c->may_follow)
		return 0;
	buf_init(&then, COLLECT_NOTE_MAX);
	buf_init(&now, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, COLLECT_NOTE_MARK, &then, err);
	if (rc == 0 && then.len > 0)
		rc = forest_mark(c->forest, true, &now, err);
	if (rc == 0 && then.len > 0 &&
	    slice_equal(buf_slice(&then), buf_slice(&now)))
		unseen_set(u, nowhere_count(u),
		    "though nothing was written to the directory");
	buf_fini(&now);
	buf_fini(&then);
	return rc;
}

/* --- the feed --- */

static uint64_t
untold_count(const struct unseen *u)
{
	uint64_t count = 0;

	for (size_t i = 0; i < u->gone->count; i++)
		count += !u->gone->marks[i] &&
			 !collect_feeds_told(u->c->feeds, &u->gone->list[i]);
	return count;
}

static int
feeds_judge(struct unseen *u, struct err *err)
{
	if (untold_count(u) == 0)
		return 0;
	/* Deleted since the feeds were asked? */
	if (collect_feeds_ask_again(u->c, err) < 0)
		return -1;
	if (collect_feeds_tell(u->c->feeds))
		unseen_set(u, untold_count(u),
		    "and the change feed tells of no deletion");
	return 0;
}

/* --- the place --- */

static int
compare(const void *a, const void *b)
{
	return strcmp(
	    ((const struct place *)a)->dn, ((const struct place *)b)->dn);
}

static struct place *
place_find(const struct unseen *u, const char *dn)
{
	const struct place key = {.dn = (char *)(uintptr_t)dn};

	return u->count == 0
		   ? NULL
		   : bsearch(&key, u->places, u->count, sizeof(key), compare);
}

static void
place_add(struct unseen *u, const char *dn)
{
	if (u->count == u->size) {
		u->size = u->size == 0 ? 64 : 2 * u->size;
		u->places =
		    mem_realloc(u->places, u->size * sizeof(*u->places));
	}
	u->places[u->count++] = (struct place){.dn = mem_strdup(dn), .gone = 1};
}

/* Each once, and only those out of which several went. */
static void
places_gather(struct unseen *u)
{
	size_t n = 0;

	if (u->count > 0)
		qsort(u->places, u->count, sizeof(*u->places), compare);
	for (size_t i = 0; i < u->count; i++) {
		struct place *last = n > 0 ? &u->places[n - 1] : NULL;

		if (last != NULL && strcmp(last->dn, u->places[i].dn) == 0) {
			last->gone++;
			free(u->places[i].dn);
			continue;
		}
		if (last != NULL && last->gone < UNSEEN_PLACE_MIN) {
			free(last->dn);
			n--;
		}
		u->places[n++] = u->places[i];
	}
	if (n > 0 && u->places[n - 1].gone < UNSEEN_PLACE_MIN)
		free(u->places[--n].dn);
	u->count = n;
}

/* Calls fn with each object as it was published last, and its place. */
typedef void object_fn(struct unseen *u, const struct id *id, const char *dn);

static int
objects_each(struct unseen *u, object_fn *fn, struct err *err)
{
	struct replica_cursor *cursor = NULL;
	struct section_object one;
	struct object object;
	int rc;

	if (replica_cursor_open(u->c->replica, 0, &cursor, err) < 0)
		return -1;
	while ((rc = replica_cursor_next(cursor, &one, err)) == 1) {
		arena_reset(u->arena);
		if (object_decode(one.body, u->arena, &object, err) < 0) {
			rc = -1;
			break;
		}
		fn(u, &one.id, dn_parent(object.source_dn));
	}
	replica_cursor_close(cursor);
	return rc;
}

static void
gone_take(struct unseen *u, const struct id *id, const char *dn)
{
	size_t at = idlist_find(u->gone, id);

	if (at != SIZE_MAX && !u->gone->marks[at])
		place_add(u, dn);
}

static void
stay_take(struct unseen *u, const struct id *id, const char *dn)
{
	struct place *place =
	    idlist_find(u->gone, id) == SIZE_MAX ? place_find(u, dn) : NULL;

	if (place != NULL)
		place->stays = true;
}

static int
place_judge(struct unseen *u, const struct place *place, struct err *err)
{
	static const char *const names[] = {"1.1", NULL};
	const struct forest_context *context;
	struct search_entry entry;
	int rc;

	if (place->stays || forest_find(u->c->forest, place->dn) == FOREST_NONE)
		return 0;
	if (forest_context_of(u->c->forest, place->dn, &context, err) < 0)
		return -1;
	arena_reset(u->arena);
	rc = search_read(
	    context->session, place->dn, names, u->arena, &entry, err);
	if (rc <= 0)
		return rc;
	unseen_set(u, u->out->unseen + place->gone,
	    "with everybody else of their place, which is there");
	if (u->out->place == NULL)
		u->out->place = mem_strdup(place->dn);
	return 0;
}

static int
places_judge(struct unseen *u, struct err *err)
{
	int rc;

	/* Names that stay at home tell no place. */
	if (!u->c->policy->source_dn || nowhere_count(u) < UNSEEN_PLACE_MIN)
		return 0;
	u->arena = arena_new(UNSEEN_ARENA_MAX);
	rc = objects_each(u, gone_take, err);
	places_gather(u);
	if (rc == 0 && u->count > 0)
		rc = objects_each(u, stay_take, err);
	for (size_t i = 0; rc == 0 && i < u->count; i++)
		rc = place_judge(u, &u->places[i], err);
	for (size_t i = 0; i < u->count; i++)
		free(u->places[i].dn);
	free(u->places);
	arena_free(u->arena);
	return rc;
}

int
collect_unseen_judge(
    struct collector *c, const struct idlist *gone, struct err *err)
{
	struct unseen u = {.c = c, .gone = gone, .out = &c->deletions};

	if (nowhere_count(&u) == 0)
		return 0;
	/* Of members in domains that are not read nothing here tells. */
	if (scope_expands(c->scope) && reference_is_extended(c->dialect))
		return places_judge(&u, err);
	if (still_judge(&u, err) < 0)
		return -1;
	if (c->deletions.unseen > 0)
		return 0;
	return collect_feeds_tell(c->feeds) ? feeds_judge(&u, err)
					    : places_judge(&u, err);
}
