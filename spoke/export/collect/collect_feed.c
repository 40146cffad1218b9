/*
 * Reading what was touched.
 *
 *   feeds ── ids ── groups are expanded: who is a member now and was not, or
 *                │  was and is not, is touched too
 *                ├─ containers among them: everything below is touched too
 *                └─ each id is searched for in every base, as a whole reading
 *                   would: found and exported: put; else deleted
 *
 * So a policy means the same whether all is read or little, and an id that a
 * feed names in vain costs a look and nothing else.
 */
#include "spoke/export/collect/collect_internal.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "spoke/export/choose/idlist.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/stages.h"
#include "spoke/export/shape/named.h"

/* Ids in one filter. */
#define FEED_BATCH 50
#define FEED_FILTER_MAX (64 * 1024)
/* Of more touched objects than these, and than a quarter, reading whole is
 * cheaper. */
#define FEED_TOUCHED_MIN 1000
#define FEED_TOUCHED_PART 4
/* And of more than these: their ids are kept in memory. */
#define FEED_TOUCHED_MAX 32768
#define FEED_CONTEXTS_MAX 64

struct feed_note {
	char key[64];
	size_t index; /* of the naming context */
	const char *context;
	struct buf cookie;
};

struct collect_feeds {
	struct feed_note notes[FEED_CONTEXTS_MAX];
	size_t count;
	struct idlist touched;
	bool many; /* more than FEED_TOUCHED_MAX: not all are in it */
	struct idset *present;
	struct idlist told; /* deleted */
	bool silent;        /* one does not tell of all that was deleted */
	bool sweep;
	bool whole;            /* a feed could not answer */
	struct idlist *taking; /* of the intake under way */
};

void
collect_feeds_seen(struct collect_feeds *feeds, const struct id *id)
{
	size_t at;

	if (feeds == NULL || feeds->taking == NULL)
		return;
	at = idlist_find(feeds->taking, id);
	if (at != SIZE_MAX)
		feeds->taking->marks[at] = true;
}

void
collect_feeds_free(struct collect_feeds *feeds)
{
	if (feeds == NULL)
		return;
	for (size_t i = 0; i < feeds->count; i++)
		buf_fini(&feeds->notes[i].cookie);
	idlist_fini(&feeds->touched);
	idlist_fini(&feeds->told);
	idset_free(feeds->present);
	free(feeds);
}

int
collect_feeds_keep(struct collector *c, struct err *err)
{
	if (c->feeds == NULL)
		return 0;
	for (size_t i = 0; i < c->feeds->count; i++)
		if (replica_note_set(c->replica, c->feeds->notes[i].key,
			buf_slice(&c->feeds->notes[i].cookie), err) < 0)
			return -1;
	return 0;
}

/* Says why everything is read. */
static int
read_whole_because(struct collector *c, const char *context, const char *reason)
{
	c->feeds->whole = true;
	log_info("read whole policy=%s context=%s reason=\"%s\"",
	    c->policy->name, log_text(slice_str(context)), reason);
	return 0;
}

static void
touched_add(struct collect_feeds *feeds, const struct id *id)
{
	struct idlist *touched = &feeds->touched;

	if (feeds->many)
		return;
	idlist_add(touched, id);
	if (touched->count < (size_t)FEED_TOUCHED_MAX * 2)
		return;
	idlist_sort(touched);
	feeds->many = touched->count > FEED_TOUCHED_MAX;
}

/* --- asking the feeds --- */

/* The contexts of the policy; false: there are more than are followed. */
static bool
contexts_choose(struct collector *c)
{
	for (size_t i = 0; i < forest_count(c->forest); i++) {
		const char *context = forest_dn(c->forest, i);
		struct feed_note *note = &c->feeds->notes[c->feeds->count];

		/* Managers come along from anywhere. */
		if (!scope_reads(c->scope, i) && !named_managers(c->policy))
			continue;
		if (c->feeds->count == FEED_CONTEXTS_MAX)
			return false;
		scope_note_key("feed", context, note->key, sizeof(note->key));
		note->index = i;
		note->context = context;
		buf_init(&note->cookie, FEED_COOKIE_MAX);
		c->feeds->count++;
	}
	return true;
}

static void
told_add(struct collect_feeds *feeds, const struct feed_touched *touched)
{
	if (touched->event == FEED_DELETED &&
	    feeds->told.count < FEED_TOUCHED_MAX)
		idlist_add(&feeds->told, &touched->id);
}

static void
told_end(struct collect_feeds *feeds, const struct feed *feed)
{
	if (feed_answer(feed) != FEED_ANSWER_TOUCHED ||
	    feeds->told.count == FEED_TOUCHED_MAX)
		feeds->silent = true;
	idlist_sort(&feeds->told);
}

static int
feed_drain(struct collector *c, struct feed *feed, struct err *err)
{
	struct feed_touched touched;
	int rc;

	while ((rc = feed_step(feed, &touched, err)) == 1) {
		told_add(c->feeds, &touched);
		if (touched.event != FEED_PRESENT)
			touched_add(c->feeds, &touched.id);
		else if (idset_put(c->feeds->present, &touched.id, 0, err) < 0)
			return -1;
	}
	told_end(c->feeds, feed);
	return rc;
}

bool
collect_feeds_tell(const struct collect_feeds *feeds)
{
	return feeds != NULL && !feeds->silent;
}

bool
collect_feeds_told(struct collect_feeds *feeds, const struct id *id)
{
	return idlist_find(&feeds->told, id) != SIZE_MAX;
}

static int
feed_ask_again(
    struct collector *c, const struct feed_note *note, struct err *err)
{
	const struct feed_options options = {.base = note->context,
	    .kind = c->policy->feed,
	    .cookie = buf_slice(&note->cookie),
	    .timeout_ms = c->policy->deadline_ms};
	const struct forest_context *context;
	struct feed_touched touched;
	struct feed *feed = NULL;
	int rc;

	if (forest_context(c->forest, note->index, &context, err) < 0 ||
	    feed_open(
		context->session, context->dialect, &options, &feed, err) < 0)
		return -1;
	while ((rc = feed_step(feed, &touched, err)) == 1)
		told_add(c->feeds, &touched);
	told_end(c->feeds, feed);
	feed_close(feed);
	return rc;
}

int
collect_feeds_ask_again(struct collector *c, struct err *err)
{
	for (size_t i = 0; i < c->feeds->count; i++)
		if (feed_ask_again(c, &c->feeds->notes[i], err) < 0)
			return -1;
	return 0;
}

static int
feed_ask(struct collector *c, struct feed_note *note, struct err *err)
{
	struct feed_options options = {.base = note->context,
	    .kind = c->policy->feed,
	    .timeout_ms = c->policy->deadline_ms};
	const struct forest_context *context;
	struct feed *feed = NULL;
	int rc = -1;

	if (forest_context(c->forest, note->index, &context, err) < 0 ||
	    collect_lag_went_back(c, err) < 0)
		return -1;
	/* An old cookie leads nowhere when everything is read anyway. */
	if (c->may_follow && !c->went_back &&
	    replica_note_get(c->replica, note->key, &note->cookie, err) < 0)
		return -1;
	options.cookie = buf_slice(&note->cookie);
	if (feed_open(
		context->session, context->dialect, &options, &feed, err) < 0)
		return -1;
	if (feed_drain(c, feed, err) < 0)
		goto out;
	c->result->feed = feed_kind(feed);
	if (feed_answer(feed) == FEED_ANSWER_FULL)
		(void)read_whole_because(c, note->context, feed_reason(feed));
	if (feed_answer(feed) == FEED_ANSWER_SWEEP) {
		c->feeds->sweep = true;
		log_info("the feed tells no deletions, all ids were read "
			 "policy=%s context=%s feed=%s",
		    c->policy->name, log_text(slice_str(note->context)),
		    feed_kind_name(feed_kind(feed)));
	}
	buf_reset(&note->cookie);
	rc = feed_cookie(feed, &note->cookie, err);
out:
	feed_close(feed);
	return rc;
}

/* --- which objects --- */

/* What of ours was neither touched nor seen may be gone. */
static int
sweep_add(struct collector *c, struct err *err)
{
	struct collect_feeds *f = c->feeds;
	struct replica_cursor *cursor = NULL;
	struct section_object object;
	uint64_t none;
	int rc;

	if (replica_cursor_open(c->replica, 0, &cursor, err) < 0)
		return -1;
	while ((rc = replica_cursor_next(cursor, &object, err)) == 1) {
		int there = idset_get(f->present, &object.id, &none, err);

		if (there < 0) {
			rc = -1;
			break;
		}
		if (there == 0)
			touched_add(f, &object.id);
	}
	replica_cursor_close(cursor);
	return rc;
}

/* (&BASIS(|id...)) of one batch. */
static const char *
batch_filter(struct collector *c, const char *basis, const struct idlist *ids,
    size_t from, struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "(&%s(|", basis);
	for (size_t i = from; i < ids->count && i < from + FEED_BATCH; i++)
		dialect_id_filter(c->dialect, &ids->list[i], out);
	buf_add_str(out, "))");
	return buf_cstr(out);
}

/* The ids of everything below a container that may be exported. */
static int
below_add(struct collector *c, const char *dn, struct err *err)
{
	static const char *const names[] = {"objectGUID", "entryUUID", NULL};
	struct search_options options = {.base = dn,
	    .scope = SEARCH_SUBTREE,
	    .filter = dialect_export_filter(c->dialect),
	    .attributes = names,
	    .page_size = c->options->conf->directory.page_size};
	const struct forest_context *context;
	struct search *search = NULL;
	struct search_entry entry;
	struct err cause = {0};
	struct id id;
	int rc;

	if (forest_context_of(c->forest, dn, &context, &cause) < 0 ||
	    search_open(context->session, &options, &search, &cause) < 0)
		rc = -1;
	else
		while ((rc = search_step(search, &entry, &cause)) == 1)
			if (dialect_entry_id(c->dialect, &entry, &id, &cause) ==
			    0)
				touched_add(c->feeds, &id);
	search_close(search);
	/* Moved on meanwhile: the next run is told. */
	if (rc < 0 && cause.code != 32) {
		*err = cause;
		return -1;
	}
	return 0;
}

/* Entries that can have others below them; slapd knows, AD's classes tell. */
static const char *
container_filter(const struct collector *c)
{
	return dialect_kind(c->dialect) == DIALECT_OPENLDAP
		   ? "(hasSubordinates=TRUE)"
		   : "(!(|(objectClass=person)(objectClass=group)))";
}

/* DNs of the containers in a batch. */
static int
containers_find(struct collector *c, const char *context, const char *filter,
    struct arena *arena, struct buf *out, struct err *err)
{
	static const char *const names[] = {"1.1", NULL};
	struct search_options options = {.base = context,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = c->options->conf->directory.page_size};
	const struct forest_context *at;
	struct search *search = NULL;
	struct search_entry entry;
	const char *dn;
	int rc;

	if (forest_context_of(c->forest, context, &at, err) < 0 ||
	    search_open(at->session, &options, &search, err) < 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) == 1) {
		/* The context's own name never changes. */
		if (dn_equal(entry.dn, context))
			continue;
		dn = arena_strdup(arena, entry.dn);
		if (dn == NULL) {
			rc = err_set(err, ERR_LIMIT, "too many containers");
			break;
		}
		buf_add(out, slice_make(&dn, sizeof(dn)));
	}
	search_close(search);
	return rc < 0 ? -1 : buf_check(out, "touched containers", err);
}

static int
containers_add(struct collector *c, const char *context, struct err *err)
{
	struct collect_feeds *f = c->feeds;
	struct arena *arena = arena_new((size_t)64 << 20);
	struct buf filter, dns;
	const char *dn;
	size_t count = f->touched.count;
	int rc = 0;

	buf_init(&filter, FEED_FILTER_MAX);
	buf_init(&dns, (size_t)8 << 20);
	for (size_t i = 0; rc == 0 && i < count; i += FEED_BATCH)
		rc = containers_find(c, context,
		    batch_filter(
			c, container_filter(c), &f->touched, i, &filter),
		    arena, &dns, err);
	for (size_t i = 0; rc == 0 && i < dns.len; i += sizeof(dn)) {
		memcpy(&dn, dns.data + i, sizeof(dn));
		rc = below_add(c, dn, err);
	}
	buf_fini(&filter);
	buf_fini(&dns);
	arena_free(arena);
	return rc;
}

static int
member_touched(void *arg, const struct id *id, struct err *err)
{
	(void)err;
	touched_add(arg, id);
	return 0;
}

/* Whatever was touched may have changed who is a member of a group: the group,
 * a primary group, or what a dynamic group asks for. */
static int
members_add(struct collector *c, struct err *err)
{
	return scope_expand(c->scope, err) < 0
		   ? -1
		   : scope_members_changed(
			 c->scope, member_touched, c->feeds, err);
}

static bool
too_many(struct collector *c)
{
	struct replica_state state;

	replica_state(c->replica, &state);
	if (c->feeds->many)
		return true;
	return c->feeds->touched.count > FEED_TOUCHED_MIN &&
	       c->feeds->touched.count > state.count / FEED_TOUCHED_PART;
}

/* 1 the set is complete, 0 read whole, -1. */
static int
touched_complete(struct collector *c, struct err *err)
{
	struct collect_feeds *f = c->feeds;

	if (f->sweep && sweep_add(c, err) < 0)
		return -1;
	if (!f->many && members_add(c, err) < 0)
		return -1;
	idlist_sort(&f->touched);
	if (too_many(c))
		return read_whole_because(
		    c, "", "more was touched than is worth reading one by one");
	for (size_t i = 0; i < f->count; i++) {
		if (containers_add(c, f->notes[i].context, err) < 0)
			return -1;
		idlist_sort(&f->touched);
	}
	if (too_many(c))
		return read_whole_because(
		    c, "", "more was touched than is worth reading one by one");
	return 1;
}

/* --- taking them in --- */

/* Still something where there was something? A place that the account may no
 * longer read looks as if all were deleted. 1, 0, -1. */
static int
base_has_entries(struct collector *c, size_t index, struct err *err)
{
	const struct export_base *base = &c->policy->bases[index];
	uint64_t before;

	if (collect_base_before(c, base, &before, err) < 0)
		return -1;
	if (before == 0 || base->object != NULL)
		return 1;
	return scope_has_entries(c->scope, index, err);
}

static int
bases_have_entries(struct collector *c, struct err *err)
{
	int rc = 1;

	for (size_t i = 0; rc == 1 && i < c->policy->base_count; i++)
		rc = base_has_entries(c, i, err);
	return rc;
}

static int
touched_put(struct collector *c, struct err *err)
{
	struct idlist *ids = &c->feeds->touched;
	int rc;

	if (references_touched(c, ids, err) < 0)
		return -1;
	c->feeds->taking = ids;
	rc = idlist_take(c, ids->list, ids->count, err);
	if (rc == 0)
		rc = collect_gone_confirm_touched(c, ids, err);
	if (rc == 0)
		rc = references_settle_touched(c, ids, err);
	c->feeds->taking = NULL;
	return rc;
}

/* 1: what was touched looks as if more were amiss, read whole; 0; -1. */
static int
touched_suspect(
    struct collector *c, const struct replica_changes *changes, struct err *err)
{
	const char *why = "a place in which there was something is empty";
	int rc = changes->deleted == 0 ? 1 : bases_have_entries(c, err);

	if (rc == 1) {
		why = "objects lose attributes that the account may not read "
		      "any more";
		rc = collect_cleared_suspect(c, err);
	} else if (rc == 0) {
		rc = 1;
	}
	if (rc == 0 && changes->deleted > 0) {
		why = "somebody shows no address any more, nor does anybody "
		      "beside him";
		rc = collect_deleted_judge(c, err);
		if (rc == 0)
			rc = c->deletions.suspect;
	}
	if (rc == 1)
		(void)read_whole_because(c, "", why);
	return rc;
}

/* 1 committed, 0 read whole, -1. */
static int
touched_take(struct collector *c, struct err *err)
{
	struct replica_changes changes;
	struct replica_state state;
	enum stage before = stages_enter(STAGE_STORE);
	int rc = -1;

	replica_state(c->replica, &state);
	if (replica_intake_begin(c->replica, REPLICA_TOUCHED, &c->intake, err) <
	    0)
		goto out;
	collect_watch_begin(c);
	if (touched_put(c, err) < 0 ||
	    replica_intake_preview(c->intake, &changes, err) < 0)
		goto out;
	rc = touched_suspect(c, &changes, err);
	if (rc != 0) {
		rc = rc < 0 ? -1 : 0;
		goto out;
	}
	rc = 1;
	if (collect_guards_check(
		c, state.count + changes.added - changes.deleted, err) < 0 ||
	    collect_intake_finish(c, false, err) < 0)
		rc = -1;
out:
	replica_intake_abort(c->intake);
	c->intake = NULL;
	(void)stages_enter(before);
	return rc;
}

int
collect_feeds_follow(struct collector *c, struct err *err)
{
	int rc;

	c->result->feed = FEED_FULL;
	if (c->policy->feed == FEED_FULL)
		return 0;
	c->feeds = mem_calloc(1, sizeof(*c->feeds));
	c->feeds->present = idset_new();
	c->feeds->silent = !contexts_choose(c);
	if (c->feeds->silent)
		return read_whole_because(
		    c, "", "there are more naming contexts than are followed");
	for (size_t i = 0; i < c->feeds->count; i++)
		if (feed_ask(c, &c->feeds->notes[i], err) < 0)
			return -1;
	if (c->went_back)
		return read_whole_because(
		    c, "", "the server is back at an earlier state");
	if (c->feeds->whole || !c->may_follow)
		return 0;
	if (c->options->allow_empty)
		return read_whole_because(c, "",
		    "what is meant anew may lie where nobody wrote anything");
	if ((c->feeds->touched.count > 0 || c->feeds->sweep) &&
	    scope_asks_links(c->scope))
		return read_whole_because(c, "",
		    "a filter asks for links to an entry, which change without "
		    "it");
	rc = touched_complete(c, err);
	return rc == 1 ? touched_take(c, err) : rc;
}
