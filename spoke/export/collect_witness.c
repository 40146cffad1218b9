/*
 * Who is left out is known by attributes: hidden, marked, imported, disabled.
 * An account that may not read one of them any more sees nobody who is hidden,
 * and all of them would go out. So each whole reading remembers a few of those
 * whom each reason left out; before anybody is added they are looked at again,
 * and when none of several is left out now, that is no change of heart.
 *
 * Note "witnesses": one byte of the reason and the id, repeated.
 */
#include "spoke/export/collect_internal.h"

#define WITNESS_NOTE "witnesses"
#define WITNESS_LEN (1 + ID_LEN)
#define WITNESS_ARENA_MAX ((size_t)64 << 20)

static bool
is_by_attribute(enum shape_reason reason)
{
	switch (reason) {
	case SHAPE_OWN:
	case SHAPE_FOREIGN:
	case SHAPE_SYSTEM:
	case SHAPE_MARKED:
	case SHAPE_DISABLED:
	case SHAPE_HIDDEN:
	case SHAPE_CLOSED:
		return true;
	case SHAPE_EXPORTED:
	case SHAPE_EXCLUDED:
	case SHAPE_MEMBERS_ONLY:
	case SHAPE_KIND:
	case SHAPE_NO_ADDRESS:
	case SHAPE_ERROR:
	case SHAPE_REASON_COUNT:
		break;
	}
	return false;
}

void
collect_witness_take(
    struct collector *c, enum shape_reason reason, const struct id *id)
{
	struct collect_witnesses *w = &c->witnesses;

	if (is_by_attribute(reason) && w->count[reason] < COLLECT_WITNESSES_MAX)
		w->ids[reason][w->count[reason]++] = *id;
}

int
collect_witness_keep(struct collector *c, struct err *err)
{
	const struct collect_witnesses *w = &c->witnesses;
	struct buf note;
	int rc;

	if (!w->known)
		return 0;
	buf_init(&note, COLLECT_NOTE_MAX);
	for (unsigned r = 0; r < SHAPE_REASON_COUNT; r++)
		for (size_t i = 0; i < w->count[r]; i++) {
			buf_add_byte(&note, (uint8_t)r);
			buf_add(&note, id_slice(&w->ids[r][i]));
		}
	rc = replica_note_set(c->replica, WITNESS_NOTE, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
}

/* --- looking again --- */

struct look {
	struct collector *c;
	struct arena *arena;
	size_t found, out; /* of them still left out */
};

static int
witness_look(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	struct look *look = arg;
	struct shape_case question = {.entry = entry};
	struct collector *c = look->c;
	enum shape_reason reason;
	struct object raw;
	struct err cause = {0};
	struct id id;

	(void)none;
	(void)err;
	arena_reset(look->arena);
	if (dialect_entry_id(c->dialect, entry, &id, &cause) < 0 ||
	    dialect_read_object(c->dialect, entry, look->arena, &raw, &cause) <
		0)
		return 0;
	question.raw = &raw;
	reason = shape_object(c->shape, look->arena, &question);
	look->found++;
	look->out += is_by_attribute(reason);
	/* Those of a whole reading are newer. */
	if (!c->result->whole)
		collect_witness_take(c, reason, &id);
	return 0;
}

static int
reason_check(struct look *look, enum shape_reason reason, const struct id *ids,
    size_t count, struct err *err)
{
	struct collector *c = look->c;

	look->found = 0;
	look->out = 0;
	if (scope_read_any(c->scope, ids, count, shape_attributes(c->shape),
		witness_look, look, err) < 0)
		return -1;
	/* One may have changed, two seldom at once: who changed before is no
	 * witness any more. */
	if (look->found < 2 || look->out > 0)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "nobody is left out as \"%s\" any more, while %zu who were still "
	    "exist: may the account still read the "
	    "attributes that say so? If that is meant, run once with "
	    "--allow-empty",
	    shape_reason_text(reason), look->found);
}

int
collect_witness_check(struct collector *c, struct err *err)
{
	struct look look = {.c = c};
	struct id ids[COLLECT_WITNESSES_MAX];
	struct buf note;
	size_t n = 0;
	int rc;

	/* Under another policy it means nothing. */
	if (!c->may_follow || c->options->allow_empty)
		return 0;
	look.arena = arena_new(WITNESS_ARENA_MAX);
	c->witnesses.known = true;
	buf_init(&note, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, WITNESS_NOTE, &note, err);
	for (size_t at = 0; rc == 0 && at + WITNESS_LEN <= note.len;
	     at += WITNESS_LEN) {
		uint8_t reason = note.data[at];
		bool last = at + 2 * WITNESS_LEN > note.len ||
			    note.data[at + WITNESS_LEN] != reason;

		if (n < COLLECT_WITNESSES_MAX)
			memcpy(ids[n++].bytes, note.data + at + 1, ID_LEN);
		if (!last)
			continue;
		if (reason < SHAPE_REASON_COUNT)
			rc = reason_check(
			    &look, (enum shape_reason)reason, ids, n, err);
		n = 0;
	}
	buf_fini(&note);
	arena_free(look.arena);
	return rc;
}
