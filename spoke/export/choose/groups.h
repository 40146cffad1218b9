/*
 * Who belongs to the groups that a policy expands: ids only, entry of `from` by
 * entry. A walk in breadth, so that cycles end and everyone counts once.
 *
 *   groups_add() each root ── groups_walk() ── groups_find(), groups_each()
 *                                           ├─ groups_changed(): since the last
 *                                           │  time that groups_keep() was
 *                                           └─ groups_keep()
 *
 * A group that cannot be read to its end is an error, never a shorter list. A
 * dynamic group whose filter is refused keeps those whom it found last. A list
 * that lost members who belong to it nevertheless is doubted: groups_doubts().
 * Memory grows with the largest group, not with how many there are.
 * FEATURES E4, E5.
 */
#ifndef SPOKE_EXPORT_CHOOSE_GROUPS_H
#define SPOKE_EXPORT_CHOOSE_GROUPS_H

#include "common/replica/replica.h"
#include "spoke/export/choose/idlist.h"
#include "spoke/forest.h"

struct groups;

/* Does this entry of `from` leave out what has that name? */
typedef bool groups_skip_fn(const void *arg, size_t from, const char *dn);

struct groups_options {
	struct forest *forest;
	struct replica *replica; /* keeps what was found; NULL: nothing does */
	unsigned page_size;
	groups_skip_fn *skip;
	const void *arg;
};

struct groups_member {
	struct id id;
	uint32_t via;  /* groups_via() */
	bool expanded; /* a group whose own members are here too */
	bool outside;  /* in a domain that only the global catalogue has */
};

/* The options are copied, what they point to is borrowed. */
struct groups *groups_new(const struct groups_options *options);
/* NULL is legal. */
void groups_free(struct groups *groups);

/* A root of the next walk, read with objectGUID or entryUUID, and
 * objectClass. */
int groups_add(struct groups *groups, const struct search_entry *entry,
    struct err *err) ERR_WUR;
/* Reads the members of the roots that were added, and down to depth levels of
 * groups: 1 is the roots' own. Call with from = 0, 1, 2 ... in turn. */
int groups_walk(struct groups *groups, size_t from, unsigned depth,
    struct err *err) ERR_WUR;

/* Returns 0 to go on, 1 to stop, -1 with err. */
typedef int groups_fn(
    void *arg, const struct groups_member *member, struct err *err);
/* Calls fn for the members found for that entry of `from`, in the order of
 * their ids, and returns what it says when that is not 0. */
int groups_each(const struct groups *groups, size_t from, groups_fn *fn,
    void *arg, struct err *err) ERR_WUR;
size_t groups_count(const struct groups *groups, size_t from);
/* How many roots were added for it. */
size_t groups_roots(const struct groups *groups, size_t from);
/* 1, 0 there is no such member, -1. */
int groups_find(const struct groups *groups, size_t from, const struct id *id,
    struct groups_member *out_member, struct err *err) ERR_WUR;
/* DN of the group by which a member was found first, for the caller to free. */
int groups_via(const struct groups *groups, uint32_t via, char **out_dn,
    struct err *err) ERR_WUR;
/* Dynamic groups whose filter was refused. */
size_t groups_refused(const struct groups *groups);

/* A group whose list lost members, some of whom belong to it: then the list
 * could not be read, or not whole. */
struct groups_doubt {
	struct id group;
	char *dn;
	size_t before; /* members, last time */
	struct idlist lost;
	size_t looked; /* lost ones that were looked for */
	size_t still;  /* of them those who belong to it */
	/* They say so themselves (memberOf); else neither they nor the group
	 * were written to since. */
	bool linked;
	bool unseen; /* the group itself is not there any more */
};
/* After the last walk: doubts groups that were met before, are not there, and
 * whose members say that they belong to them. Class as groups_walk(). */
int groups_unseen_find(struct groups *groups, struct err *err) ERR_WUR;
/* Each group once; they belong to groups. */
const struct groups_doubt *groups_doubts(
    const struct groups *groups, size_t *out_count);

/* How many members were kept under this key. */
int groups_before(const struct groups *groups, const char *key,
    size_t *out_count, struct err *err) ERR_WUR;
struct groups_change {
	replica_id_fn *fn;
	void *arg;
};
/* Calls fn with the ids that are members under this key and were not, or the
 * other way round, and with those outside; one may come twice. */
int groups_changed(const struct groups *groups, size_t from, const char *key,
    const struct groups_change *change, struct err *err) ERR_WUR;
/* Writes under this key who was found; and the list of each group. */
int groups_keep(const struct groups *groups, size_t from, const char *key,
    struct err *err) ERR_WUR;
int groups_rolls_keep(struct groups *groups, struct err *err) ERR_WUR;

#endif
