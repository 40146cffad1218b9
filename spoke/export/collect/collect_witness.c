/*
 * Who is left out is known by attributes: hidden, marked, imported, disabled.
 * An account that may not read one of them any more sees nobody who is hidden,
 * and all of them would go out. So each whole reading remembers whom attributes
 * left out. Before anybody is added, those of them who would be, and some of
 * each kind, are looked at again:
 *
 *   still left out                           the right is there
 *   not, and shows the attribute             changed: another value
 *   not, and nobody wrote to the entry       the right is lost
 *   not, and the entry was written, others   changed
 *     of the kind are still left out
 *   the same, several, and no other is       that is no change of heart
 *   the same, the only one                   changed, unless the attribute
 *                                            cannot be read (OpenLDAP tells),
 * or the last run found that
 *
 * The only one of its kind is looked at with each run, so that on Active
 * Directory, which does not tell, a right that goes is found before the entry
 * is written to for another reason.
 *
 * A kind is a reason with the attribute that says so. Note "left-out": the
 * digest of the settings under which it was made, then left_out_encode(). Note
 * "left-out-doubt": the kinds because of which the last run failed, a line
 * each.
 */
#include "spoke/export/collect/collect_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/stamp.h"

#define WITNESS_NOTE "left-out"
#define WITNESS_NOTE_DOUBT "left-out-doubt"
#define WITNESS_ARENA_MAX ((size_t)64 << 20)
/* Of each kind; and of those who would go out. */
#define WITNESSES_MAX 16
#define WITNESSES_SHOWN_MAX 4096
/* Entries that are asked whether they show an attribute. */
#define SHOWN_SEARCHED 100

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

/* --- remembering --- */

/* What the last readings left out. */
static int
record_load(struct collector *c, struct err *err)
{
	struct collect_witnesses *w = &c->witnesses;
	struct slice hash =
	    slice_make(c->settings.reasons, sizeof(c->settings.reasons));
	struct buf note;
	int rc;

	if (w->before != NULL)
		return 0;
	buf_init(&note, LEFT_OUT_NOTE_MAX);
	buf_init(&w->doubt, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, WITNESS_NOTE, &note, err);
	if (rc == 0)
		rc = replica_note_get(
		    c->replica, WITNESS_NOTE_DOUBT, &w->doubt, err);
	if (rc == 0) {
		w->before = left_out_new();
		/* Under other settings it means nothing. */
		if (slice_equal(slice_sub(buf_slice(&note), 0, hash.len), hash))
			left_out_decode(w->before,
			    slice_sub(buf_slice(&note), hash.len, SIZE_MAX));
	}
	buf_fini(&note);
	return rc;
}

void
collect_witness_begin(struct collector *c)
{
	struct collect_witnesses *w = &c->witnesses;

	collect_witness_end(c);
	if (c->result->whole)
		w->now = left_out_new();
}

void
collect_witness_end(struct collector *c)
{
	struct collect_witnesses *w = &c->witnesses;

	left_out_free(w->before);
	left_out_free(w->now);
	idlist_fini(&w->added);
	idlist_fini(&w->changed);
	buf_fini(&w->doubt);
	*w = (struct collect_witnesses){.before = NULL};
}

int
collect_witness_take(struct collector *c, enum shape_reason reason,
    const struct id *id, const struct search_entry *entry, struct err *err)
{
	struct collect_witnesses *w = &c->witnesses;
	struct slice name;
	const char *source;

	if (c->intake == NULL || !is_by_attribute(reason))
		return 0;
	source = shape_source(c->shape, entry, reason);
	if (source == NULL)
		return 0;
	name =
	    slice_sub(slice_str(source), 0, slice_find(slice_str(source), ';'));
	if (w->now != NULL) {
		left_out_add(w->now, id, reason, name);
		return 0;
	}
	if (record_load(c, err) < 0)
		return -1;
	if (left_out_find(w->before, id) != NULL)
		return 0;
	left_out_add(w->before, id, reason, name);
	w->dirty = true;
	return 0;
}

int
collect_witness_added(struct collector *c, const struct id *id, struct err *err)
{
	if (record_load(c, err) < 0)
		return -1;
	if (left_out_find(c->witnesses.before, id) != NULL)
		idlist_add(&c->witnesses.added, id);
	return 0;
}

int
collect_witness_keep(struct collector *c, struct err *err)
{
	struct collect_witnesses *w = &c->witnesses;
	struct left_out *out = w->now;
	struct buf note;
	int rc;

	/* This run found nothing amiss. */
	if (w->doubt.len > 0 && replica_note_set(c->replica, WITNESS_NOTE_DOUBT,
				    SLICE_NULL, err) < 0)
		return -1;
	if (out == NULL) {
		for (size_t i = 0; i < w->changed.count; i++)
			left_out_drop(w->before, &w->changed.list[i]);
		if (w->changed.count == 0 && !w->dirty)
			return 0;
		out = w->before;
	}
	buf_init(&note, LEFT_OUT_NOTE_MAX);
	buf_add(&note,
	    slice_make(c->settings.reasons, sizeof(c->settings.reasons)));
	rc = left_out_encode(out, &note, err);
	if (rc == 0)
		rc = replica_note_set(
		    c->replica, WITNESS_NOTE, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
}

int
collect_witness_doubt_keep(struct collector *c, struct err *err)
{
	struct collect_witnesses *w = &c->witnesses;

	return w->doubted ? replica_note_set(c->replica, WITNESS_NOTE_DOUBT,
				buf_slice(&w->doubt), err)
			  : 0;
}

/* --- looking again --- */

/* One reason, by one attribute. */
struct witness_kind {
	enum shape_reason reason;
	const char *attribute;
	size_t known, asked, out, shown, unwritten;
	char *dn; /* of one who is shown; owned */
};

struct look {
	struct collector *c;
	struct arena *arena;
	struct buf mark; /* of the last whole reading */
	struct witness_kind *kinds;
	size_t count;
};

static struct witness_kind *
kind_of(struct look *look, const struct left_out_one *one)
{
	const char *attribute =
	    left_out_attribute(look->c->witnesses.before, one);
	struct witness_kind *k;

	for (size_t i = 0; i < look->count; i++) {
		k = &look->kinds[i];
		if (k->reason == one->reason && k->attribute == attribute)
			return k;
	}
	look->kinds =
	    mem_realloc(look->kinds, (look->count + 1) * sizeof(*look->kinds));
	k = &look->kinds[look->count++];
	*k = (struct witness_kind){
	    .reason = (enum shape_reason)one->reason, .attribute = attribute};
	return k;
}

static int
shown_take(struct look *look, struct witness_kind *kind,
    const struct search_entry *entry, struct err *err)
{
	struct collector *c = look->c;
	int unwritten = 0;

	if (search_first(entry, kind->attribute).len > 0)
		return 0;
	/* Values that name others go when those are deleted, without a stamp.
	 */
	if ((dialect_traits(c->dialect, kind->attribute) & SCHEMA_NAMES) == 0)
		unwritten =
		    collect_is_unwritten(c, entry, buf_slice(&look->mark), err);
	if (unwritten < 0)
		return -1;
	kind->unwritten += unwritten > 0;
	kind->shown++;
	if (kind->dn == NULL)
		kind->dn = mem_strdup(entry->dn);
	return 0;
}

static int
witness_look(void *arg, const struct scope_hit *none,
    const struct search_entry *entry, struct err *err)
{
	struct look *look = arg;
	struct shape_case question = {.entry = entry};
	struct collector *c = look->c;
	const struct left_out_one *one;
	enum shape_reason reason;
	struct object raw;
	struct err cause = {0};
	struct id id;

	(void)none;
	arena_reset(look->arena);
	if (dialect_entry_id(c->dialect, entry, &id, &cause) < 0 ||
	    dialect_read_object(c->dialect, entry, look->arena, &raw, &cause) <
		0)
		return 0;
	one = left_out_find(c->witnesses.before, &id);
	if (one == NULL)
		return 0;
	question.raw = &raw;
	reason = shape_object(c->shape, look->arena, &question);
	if (is_by_attribute(reason))
		kind_of(look, one)->out++;
	if (reason != SHAPE_EXPORTED)
		return 0;
	idlist_add(&c->witnesses.changed, &id);
	return shown_take(look, kind_of(look, one), entry, err);
}

/* All kinds when somebody is added, else those that have only one. */
static void
witnesses_choose(struct look *look, bool all, struct idlist *out)
{
	struct collect_witnesses *w = &look->c->witnesses;
	size_t count = left_out_count(w->before);

	for (size_t i = 0; i < count; i++)
		kind_of(look, left_out_at(w->before, i))->known++;
	for (size_t i = 0; i < count; i++) {
		const struct left_out_one *one = left_out_at(w->before, i);
		struct witness_kind *kind = kind_of(look, one);

		if ((all || kind->known == 1) && kind->asked++ < WITNESSES_MAX)
			idlist_add(out, &one->id);
	}
	for (size_t i = 0; i < w->added.count && i < WITNESSES_SHOWN_MAX; i++)
		idlist_add(out, &w->added.list[i]);
	idlist_sort(out);
}

static int
witnesses_read(struct look *look, bool all, struct err *err)
{
	struct collector *c = look->c;
	struct idlist ids = {.list = NULL};
	const char **names = collect_stamped_attributes(c, true);
	int rc = 0;

	witnesses_choose(look, all, &ids);
	if (ids.count > 0)
		rc = scope_read_any(c->scope, ids.list, ids.count, names,
		    witness_look, look, err);
	idlist_fini(&ids);
	free(names);
	return rc;
}

/* Does a search find an entry, with name also one that shows that attribute?
 * 1, 0, -1. */
static int
is_found(struct collector *c, const struct search_options *options,
    const char *name, struct err *err)
{
	const struct forest_context *context;
	struct search *search = NULL;
	struct search_entry entry;
	int rc = 0;

	if (forest_context_of(c->forest, options->base, &context, err) < 0 ||
	    search_open(context->session, options, &search, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < SHOWN_SEARCHED; i++) {
		int step = search_step(search, &entry, err);

		if (step <= 0) {
			rc = step;
			break;
		}
		/* One may search for what one may not read. */
		rc = name == NULL || search_first(&entry, name).len > 0;
	}
	search_close(search);
	return rc;
}

/* May the account read that attribute? 1; 0: nothing says so; -1. OpenLDAP
 * tells what an entry lacks from what one may not search for: not (X=*) is then
 * undefined (RFC 4511 section 4.5.1.7), and so no match. Active Directory takes
 * both for the same (MS-ADTS 3.1.1.4.3); there somebody else must show it. */
static int
attribute_is_readable(
    struct collector *c, const struct witness_kind *kind, struct err *err)
{
	const char *const names[] = {kind->attribute, NULL};
	bool lacks = dialect_kind(c->dialect) == DIALECT_OPENLDAP;
	size_t at = forest_find(c->forest, kind->dn);
	char *filter =
	    mem_printf(lacks ? "(!(%s=*))" : "(%s=*)", kind->attribute);
	struct search_options options = {.base = kind->dn,
	    .scope = SEARCH_BASE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = c->options->conf->directory.page_size};
	int rc;

	if (!lacks && at != FOREST_NONE) {
		options.base = forest_dn(c->forest, at);
		options.scope = SEARCH_SUBTREE;
	}
	rc = is_found(c, &options, lacks ? NULL : kind->attribute, err);
	free(filter);
	return rc;
}

static void
kind_line(const struct witness_kind *kind, struct buf *out)
{
	buf_addf(
	    out, "%s %s\n", shape_reason_key(kind->reason), kind->attribute);
}

static bool
is_doubted(const struct collector *c, const struct witness_kind *kind)
{
	struct buf line;
	bool found;

	buf_init(&line, 1024);
	kind_line(kind, &line);
	found = strstr(buf_cstr((struct buf *)&c->witnesses.doubt),
		    buf_cstr(&line)) != NULL;
	buf_fini(&line);
	return found;
}

static int
lost_error(struct collector *c, const struct witness_kind *kind,
    const char *why, struct err *err)
{
	const char *user = c->options->conf->directory.user;

	if (!is_doubted(c, kind))
		kind_line(kind, &c->witnesses.doubt);
	c->witnesses.doubted = true;
	return err_set(err, ERR_CONFIG,
	    "%s: \"%s\" by %s: let the account%s%s read it again; if that is "
	    "meant, run once with --allow-empty",
	    why, shape_reason_text(kind->reason), kind->attribute,
	    user != NULL ? " " : "", user != NULL ? user : "");
}

static int
only_check(
    struct collector *c, const struct witness_kind *kind, struct err *err)
{
	int readable = attribute_is_readable(c, kind, err);

	if (readable != 0)
		return readable < 0 ? -1 : 0;
	if (dialect_kind(c->dialect) != DIALECT_OPENLDAP &&
	    !is_doubted(c, kind))
		return 0;
	return lost_error(c, kind,
	    "the only one who was left out would go out, and nothing shows "
	    "that the attribute can be read",
	    err);
}

static int
kind_check(
    struct collector *c, const struct witness_kind *kind, struct err *err)
{
	if (kind->unwritten > 0)
		return lost_error(c, kind,
		    "somebody who was left out would go out, though nobody "
		    "wrote to the entry",
		    err);
	if (kind->shown == 0 || kind->out > 0)
		return 0;
	if (kind->shown > 1)
		return lost_error(c, kind,
		    "nobody is left out any more of several who still exist",
		    err);
	return only_check(c, kind, err);
}

static int
look_check(struct look *look, bool all, struct err *err)
{
	if (replica_note_get(
		look->c->replica, COLLECT_NOTE_WHOLE, &look->mark, err) < 0 ||
	    witnesses_read(look, all, err) < 0)
		return -1;
	if (look->c->options->allow_empty)
		return 0;
	for (size_t i = 0; i < look->count; i++)
		if (kind_check(look->c, &look->kinds[i], err) < 0)
			return -1;
	return 0;
}

int
collect_witness_check(struct collector *c, bool added, struct err *err)
{
	struct look look = {.c = c};
	int rc;

	if (record_load(c, err) < 0)
		return -1;
	if (left_out_count(c->witnesses.before) == 0)
		return 0;
	look.arena = arena_new(WITNESS_ARENA_MAX);
	buf_init(&look.mark, COLLECT_NOTE_MAX);
	rc = look_check(&look, added, err);
	for (size_t i = 0; i < look.count; i++)
		free(look.kinds[i].dn);
	free(look.kinds);
	buf_fini(&look.mark);
	arena_free(look.arena);
	return rc;
}
