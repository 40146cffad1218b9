/* E15: what looks like an accident is held until somebody releases it. */
#include "common/base/log.h"
#include "spoke/export/collect/collect_internal.h"
#include "spoke/export/choose/groups.h"

#define GUARD_TEXT_MAX ERR_MESSAGE_MAX
/* Attributes that a message names; --list tells all. */
#define GUARD_NAMES_MAX 4

/* The counts alone tell: which objects they are is asked only then. */
static unsigned
guards_find(
    const struct export_policy *p, const struct hold *hold, uint64_t deleted)
{
	unsigned guards = 0;

	if (hold->exported < p->minimum)
		guards |= HOLD_MINIMUM;
	if (hold->errors > p->max_errors || (hold->nameless > 0 && deleted > 0))
		guards |= HOLD_ERRORS;
	if (deleted > p->max_delete_count &&
	    deleted * 100 > hold->before * p->max_delete_percent)
		guards |= HOLD_DELETIONS;
	if (hold->cleared_count > 0)
		guards |= HOLD_CLEARED;
	return guards;
}

/* What collect_cleared_judge() found. */
static void
cleared_fill(struct collector *c)
{
	struct crypto_hash *hash = crypto_hash_new();

	for (size_t i = 0; i < cleared_count(c->cleared); i++) {
		const struct cleared_row *row = cleared_row(c->cleared, i);

		if (!row->held)
			continue;
		hold_cleared_add(
		    &c->hold, &(struct hold_cleared){.name = (char *)row->name,
				  .lost = row->lost,
				  .shrunk = row->shrunk,
				  .before = row->before,
				  .unwritten = row->unwritten});
		crypto_hash_add(hash, slice_str(row->name));
		crypto_hash_add(
		    hash, slice_make(row->digest, sizeof(row->digest)));
	}
	crypto_hash_final(hash, c->hold.cleared_digest);
	crypto_hash_free(hash);
}

static int
gone_add(void *arg, const struct id *id, struct err *err)
{
	struct hold *hold = arg;

	(void)err;
	idlist_add(&hold->gone, id);
	return 0;
}

static void
unread_fill(struct collector *c)
{
	struct idlist *out = &c->hold.unread;
	size_t count;
	const struct groups_doubt *doubts = scope_doubts(c->scope, &count);

	for (size_t i = 0; i < count; i++) {
		idlist_add(out, &doubts[i].group);
		for (size_t k = 0; k < doubts[i].lost.count; k++)
			idlist_add(out, &doubts[i].lost.list[k]);
	}
	idlist_sort(out);
}

static int
hold_fill(struct collector *c, struct err *err)
{
	if (replica_intake_gone(c->intake, gone_add, &c->hold, err) < 0)
		return -1;
	for (size_t i = 0; i < c->failed.count; i++)
		idlist_add(&c->hold.failed, &c->failed.list[i]);
	idlist_sort(&c->hold.failed);
	unread_fill(c);
	return 0;
}

static void
text_and(struct buf *text)
{
	if (text->len > 0)
		buf_add_str(text, "; ");
}

/* The first group; the log has told of each. */
static void
members_tell(const struct collector *c, struct buf *text)
{
	size_t count;
	const struct groups_doubt *doubt = scope_doubts(c->scope, &count);

	if (doubt->unseen)
		buf_addf(text, "group \"%.200s\" is not to be seen any more",
		    doubt->dn);
	else
		buf_addf(text,
		    "the list of group \"%.200s\" lost %zu of %zu "
		    "members",
		    doubt->dn, doubt->lost.count, doubt->before);
	buf_addf(text, ", %zu of %zu looked at %s", doubt->still, doubt->looked,
	    doubt->linked ? "say that they belong to it"
			  : "exist, and nobody wrote to them or the group");
	if (count > 1)
		buf_addf(text, "; so it is with %zu other groups", count - 1);
	buf_addf(text, ": let the account read %s again",
	    doubt->unseen ? "the group"
	    : dialect_kind(c->dialect) == DIALECT_OPENLDAP
		? "member and uniqueMember of the group"
		: "member of the group");
}

static void
cleared_tell(const struct collector *c, struct buf *text)
{
	const struct hold *hold = &c->hold;
	const char *user = c->options->conf->directory.user;

	for (size_t i = 0; i < hold->cleared_count && i < GUARD_NAMES_MAX;
	     i++) {
		const struct hold_cleared *one = &hold->cleared[i];

		buf_addf(text,
		    "%s%s would be %s by %llu of %llu objects that have it%s",
		    i > 0 ? ", " : "", one->name,
		    one->lost > 0 ? "lost" : "lost in part",
		    (unsigned long long)(one->lost > 0 ? one->lost
						       : one->shrunk),
		    (unsigned long long)one->before,
		    one->unwritten > 0 ? ", though nobody wrote to the entries"
				       : "");
	}
	if (hold->cleared_count > GUARD_NAMES_MAX)
		buf_addf(text, ", and %zu more attributes",
		    hold->cleared_count - GUARD_NAMES_MAX);
	buf_addf(text,
	    " (max_clear_percent, max_clear_count): if the account%s%s lost "
	    "the right to read them, give it back",
	    user != NULL ? " " : "", user != NULL ? user : "");
}

static void
there_tell(const struct collector *c, struct buf *text)
{
	const struct collect_deletions *d = &c->deletions;
	const char *user = c->options->conf->directory.user;

	if (d->there > 0)
		buf_addf(text,
		    "%llu of those who would be deleted are there, though "
		    "without an address or class that can be read, and nobody "
		    "wrote to them, such as \"%.200s\"",
		    (unsigned long long)d->there, d->dn);
	if (d->unseen > 0)
		buf_addf(text,
		    "%s%llu of those who would be deleted cannot be seen any "
		    "more, %s",
		    d->there > 0 ? "; " : "", (unsigned long long)d->unseen,
		    d->why);
	if (d->place != NULL)
		buf_addf(text, ", such as \"%.200s\"", d->place);
	buf_addf(text,
	    ": if the account%s%s lost the right to read them, give it back",
	    user != NULL ? " " : "", user != NULL ? user : "");
}

static int
hold_tell(struct collector *c, struct err *err)
{
	const struct export_policy *p = c->policy;
	const struct hold *hold = &c->hold;
	struct buf text;

	buf_init(&text, GUARD_TEXT_MAX);
	if ((hold->guards & HOLD_MINIMUM) != 0)
		buf_addf(&text,
		    "only %llu objects to export, the policy demands at least "
		    "%llu (minimum)",
		    (unsigned long long)hold->exported,
		    (unsigned long long)p->minimum);
	if ((hold->guards & HOLD_DELETIONS) != 0) {
		text_and(&text);
		buf_addf(&text,
		    "%zu of %llu objects would be deleted, more than %u %% and "
		    "more than %llu (max_delete_percent, max_delete_count)",
		    hold->gone.count, (unsigned long long)hold->before,
		    p->max_delete_percent,
		    (unsigned long long)p->max_delete_count);
	}
	if ((hold->guards & HOLD_THERE) != 0) {
		text_and(&text);
		there_tell(c, &text);
	}
	if ((hold->guards & HOLD_CLEARED) != 0) {
		text_and(&text);
		cleared_tell(c, &text);
	}
	if ((hold->guards & HOLD_ERRORS) != 0) {
		text_and(&text);
		buf_addf(&text,
		    "%llu entries cannot be read, %s %llu (max_errors), the "
		    "last: %.200s",
		    (unsigned long long)hold->errors,
		    hold->errors > p->max_errors
			? "more than"
			: "and some without an id may be those that would be "
			  "deleted, not more than",
		    (unsigned long long)p->max_errors, c->failure);
	}
	if ((hold->guards & HOLD_MEMBERS) != 0) {
		text_and(&text);
		members_tell(c, &text);
	}
	(void)err_set(err, ERR_LIMIT,
	    "%s: nothing is sent; look at it with galspoke release --list %s, "
	    "and if it is meant, run galspoke release %s",
	    buf_cstr(&text), p->name, p->name);
	buf_fini(&text);
	return -1;
}

int
collect_guards_check(struct collector *c, uint64_t exported, struct err *err)
{
	const struct export_policy *p = c->policy;
	struct hold *hold = &c->hold;
	struct replica_changes changes;
	struct replica_state state;
	int cleared = 0, released;
	size_t doubts;

	if (replica_intake_preview(c->intake, &changes, err) < 0 ||
	    collect_lag_check(c, &changes, err) < 0)
		return -1;
	if (changes.added + changes.deleted > 0 &&
	    scope_places_check(c->scope, err) < 0)
		return -1;
	if (collect_witness_check(c, changes.added > 0, err) < 0 ||
	    (changes.deleted > 0 && collect_deleted_judge(c, err) < 0))
		return -1;
	if (c->result->whole)
		cleared = collect_cleared_judge(c, err);
	if (cleared < 0)
		return -1;
	hold_fini(hold);
	if (cleared > 0)
		cleared_fill(c);
	replica_state(c->replica, &state);
	hold->exported = exported;
	hold->before = state.count;
	hold->errors = c->result->counts.reasons[SHAPE_ERROR];
	hold->nameless = c->nameless;
	hold->guards = guards_find(p, hold, changes.deleted);
	/* Whoever is deleted or not: what is kept of the list must not shrink,
	 * or nobody would know any more who was in it. */
	(void)scope_doubts(c->scope, &doubts);
	if (doubts > 0)
		hold->guards |= HOLD_MEMBERS;
	if (c->deletions.there + c->deletions.unseen > 0)
		hold->guards |= HOLD_THERE;
	if (hold->guards == 0)
		return 0;
	if (hold_fill(c, err) < 0)
		return -1;
	released = hold_is_released(c->replica, hold, err);
	if (released < 0)
		return -1;
	if (released == 0)
		return hold_tell(c, err);
	log_notice("what was held was released policy=%s deletions=%zu "
		   "attributes=%zu",
	    p->name, hold->gone.count, hold->cleared_count);
	hold->guards = 0;
	return 0;
}

int
collect_hold_keep(struct collector *c, struct err *err)
{
	return c->hold.guards == 0 ? 0 : hold_keep(c->replica, &c->hold, err);
}
