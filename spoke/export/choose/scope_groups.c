/* The members of the groups that entries of `from` find. FEATURES E4, E5. */
#include "spoke/export/choose/scope_internal.h"

#include "common/base/mem.h"

#define MEMBERS_AT_ONCE 1000
#define MEMBERS_KEY_SIZE 64

static bool
from_expands(const struct scope_from *from)
{
	return from->base->groups != EXPORT_GROUPS_ITSELF;
}

bool
scope_expands(const struct scope *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (from_expands(&s->list[i]))
			return true;
	return false;
}

static size_t
from_index(const struct scope *s, const struct scope_from *from)
{
	return (size_t)(from - s->list);
}

/* --- who the members are --- */

static bool
is_skipped(const void *arg, size_t from, const char *dn)
{
	const struct scope *s = arg;

	return scope_is_excluded(&s->list[from], dn);
}

/* Who gets the groups that an entry of `from` finds. */
struct rooting {
	struct scope *scope;
	struct groups *groups;
};

static int
root_take(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	const struct rooting *r = arg;

	return hit->excluded ? 0 : groups_add(r->groups, entry, err);
}

static int
roots_read(struct rooting *r, size_t index, struct err *err)
{
	static const char *const names[] = {
	    "objectGUID", "entryUUID", "objectClass", NULL};
	struct scope *s = r->scope;
	struct scope_filters filters = {.search = s->list[index].groups_filter};
	struct buf kinds;
	int rc;

	buf_init(&kinds, 1024);
	dialect_kinds_filter(s->options.dialect, DIALECT_FIND_GROUPS, &kinds);
	filters.place = buf_cstr(&kinds);
	rc = scope_from_read(s, index, &filters, names, root_take, r, err);
	buf_fini(&kinds);
	return rc;
}

static int
from_walk(struct rooting *r, size_t index, struct err *err)
{
	const struct scope_from *from = &r->scope->list[index];
	char text[1024];

	if ((from_expands(from) && roots_read(r, index, err) < 0) ||
	    groups_walk(r->groups, index, from->base->depth, err) < 0)
		return err_prepend(err, "export from %s",
		    scope_text(from->base, text, sizeof(text)));
	return 0;
}

static struct groups *
groups_make(const struct scope *s)
{
	const struct groups_options options = {.forest = s->options.forest,
	    .replica = s->options.replica,
	    .page_size = s->options.page_size,
	    .skip = is_skipped,
	    .arg = s};

	return groups_new(&options);
}

/* Of the entry and of all that decides who its members are. */
static void
members_key(const struct scope_from *from, char key[MEMBERS_KEY_SIZE])
{
	scope_key(from->base, "members", key, MEMBERS_KEY_SIZE);
}

/* An account that may not read the members any more sees empty groups. Groups
 * that are gone are no riddle, but one that was chosen by name. */
static int
members_check(struct scope *s, size_t index, struct err *err)
{
	char key[MEMBERS_KEY_SIZE], text[1024];
	size_t before = 0;
	int rc;

	/* Who only looks is told what there is. */
	if (s->options.wide || s->options.repin ||
	    scope_members_count(s, &s->list[index]) > 0 ||
	    (groups_roots(s->groups, index) == 0 &&
		s->list[index].base->object == NULL))
		return 0;
	members_key(&s->list[index], key);
	rc = groups_before(s->groups, key, &before, err);
	if (rc < 0 || before == 0)
		return rc;
	return err_set(err, ERR_CONFIG,
	    "export from %s: no group there has members, last time there were "
	    "%zu: may the account still read them? If that is meant, run once "
	    "with --allow-empty",
	    scope_text(s->list[index].base, text, sizeof(text)), before);
}

int
scope_expand(struct scope *s, struct err *err)
{
	struct rooting rooting = {.scope = s};

	if (!scope_expands(s))
		return 0;
	groups_free(s->groups);
	groups_free(s->again);
	s->again = NULL;
	rooting.groups = s->groups = groups_make(s);
	for (size_t i = 0; i < s->count; i++)
		if (from_walk(&rooting, i, err) < 0 ||
		    members_check(s, i, err) < 0)
			return -1;
	return groups_unseen_find(s->groups, err);
}

int
scope_expand_again(struct scope *s, struct err *err)
{
	struct rooting rooting = {.scope = s};

	if (s->groups == NULL)
		return 0;
	groups_free(s->again);
	rooting.groups = s->again = groups_make(s);
	for (size_t i = 0; i < s->count; i++)
		if (from_walk(&rooting, i, err) < 0)
			return -1;
	return 0;
}

int
scope_members_changed(
    struct scope *s, replica_id_fn *fn, void *arg, struct err *err)
{
	const struct groups_change change = {fn, arg};
	char key[MEMBERS_KEY_SIZE];

	for (size_t i = 0; s->groups != NULL && i < s->count; i++) {
		if (!from_expands(&s->list[i]))
			continue;
		members_key(&s->list[i], key);
		if (groups_changed(s->groups, i, key, &change, err) < 0)
			return -1;
	}
	return 0;
}

int
scope_members_keep(struct scope *s, struct err *err)
{
	char key[MEMBERS_KEY_SIZE];

	if (s->groups == NULL)
		return 0;
	for (size_t i = 0; i < s->count; i++) {
		if (!from_expands(&s->list[i]))
			continue;
		members_key(&s->list[i], key);
		if (groups_keep(s->groups, i, key, err) < 0)
			return -1;
	}
	return groups_rolls_keep(s->groups, err);
}

const struct groups_doubt *
scope_doubts(const struct scope *s, size_t *out_count)
{
	*out_count = 0;
	return s->groups == NULL ? NULL : groups_doubts(s->groups, out_count);
}

size_t
scope_refused(const struct scope *s)
{
	return s->groups == NULL ? 0 : groups_refused(s->groups);
}

/* --- what belongs by them --- */

size_t
scope_members_count(const struct scope *s, const struct scope_from *from)
{
	return s->groups == NULL ? 0
				 : groups_count(s->groups, from_index(s, from));
}

bool
scope_members_only(const struct scope *s, const struct scope_from *from,
    const struct search_entry *entry)
{
	Galr__Kind kind;

	if (from->base->groups != EXPORT_GROUPS_MEMBERS)
		return false;
	kind = dialect_entry_kind(s->options.dialect, entry);
	return kind == GALR__KIND__KIND_GROUP ||
	       kind == GALR__KIND__KIND_DYNAMIC_GROUP;
}

/* In which reading is it a member? 1, 0 in none, -1. */
static int
member_get(const struct scope *s, size_t index, const struct id *id,
    const struct groups **out_groups, struct groups_member *out_member,
    struct err *err)
{
	const struct groups *readings[] = {s->groups, s->again};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2; i++) {
		if (readings[i] == NULL)
			continue;
		*out_groups = readings[i];
		rc = groups_find(readings[i], index, id, out_member, err);
	}
	return rc;
}

int
scope_member_find(struct scope *s, const struct scope_from *from,
    const struct search_entry *entry, struct scope_hit *out_hit,
    struct err *err)
{
	struct groups_member member;
	const struct groups *groups;
	size_t index = from_index(s, from);
	struct id id;
	int rc;

	if (s->again == NULL && scope_members_count(s, from) == 0)
		return 0;
	if (dialect_entry_id(s->options.dialect, entry, &id, err) < 0)
		return -1;
	rc = member_get(s, index, &id, &groups, &member, err);
	if (rc <= 0)
		return rc;
	*out_hit = (struct scope_hit){.from = index,
	    .excluded = scope_is_excluded(from, entry->dn),
	    .members_only =
		member.expanded && from->base->groups == EXPORT_GROUPS_MEMBERS,
	    .groups = groups,
	    .via = member.via};
	return 1;
}

int
scope_hit_group(const struct scope_hit *hit, char **out_dn, struct err *err)
{
	*out_dn = NULL;
	return hit->groups == NULL
		   ? 0
		   : groups_via(hit->groups, hit->via, out_dn, err);
}

/* 1, 0, -1. */
static int
is_outside(const struct scope *s, const struct id *id, struct err *err)
{
	struct groups_member member;
	const struct groups *groups;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->count; i++) {
		rc = member_get(s, i, id, &groups, &member, err);
		if (rc > 0)
			rc = member.outside;
	}
	return rc;
}

int
scope_outside_read(struct scope_reader *reader, const struct id *ids,
    size_t count, const char *const *attributes, struct err *err)
{
	struct idlist outside = {.list = NULL};
	int rc = 0;

	for (size_t i = 0;
	     rc >= 0 && reader->scope->groups != NULL && i < count; i++) {
		rc = is_outside(reader->scope, &ids[i], err);
		if (rc > 0)
			idlist_add(&outside, &ids[i]);
	}
	reader->outside = true;
	if (rc >= 0)
		rc = scope_batches_read(
		    reader, outside.list, outside.count, attributes, err);
	idlist_fini(&outside);
	return rc;
}

/* Members that are read together. */
struct batch {
	struct scope_reader *reader;
	const char *const *attributes;
	struct id ids[MEMBERS_AT_ONCE];
	size_t count;
};

static int
batch_read(struct batch *b, struct err *err)
{
	size_t n = b->count;

	b->count = 0;
	return scope_batches_read(b->reader, b->ids, n, b->attributes, err);
}

static int
batch_add(void *arg, const struct groups_member *member, struct err *err)
{
	struct batch *b = arg;

	if (member->outside != b->reader->outside)
		return 0;
	b->ids[b->count++] = member->id;
	return b->count < MEMBERS_AT_ONCE ? 0 : batch_read(b, err);
}

/* Members in the domains that are read, or in those that are not. */
static int
members_read(
    struct scope_reader *reader, const char *const *attributes, struct err *err)
{
	struct batch *b = mem_calloc(1, sizeof(*b));
	int rc;

	b->reader = reader;
	b->attributes = attributes;
	rc = groups_each(reader->scope->groups,
	    from_index(reader->scope, reader->from), batch_add, b, err);
	if (rc == 0)
		rc = batch_read(b, err);
	free(b);
	return rc;
}

int
scope_members_read(struct scope *s, const struct scope_from *from,
    const char *const *attributes, scope_fn *fn, void *arg, struct err *err)
{
	struct scope_reader reader = {
	    .scope = s, .from = from, .members = true, .fn = fn, .arg = arg};
	int rc;

	if (s->groups == NULL)
		return 0;
	rc = members_read(&reader, attributes, err);
	if (rc != 0)
		return rc;
	reader.outside = true;
	return members_read(&reader, attributes, err);
}
