/* Shared by scope.c (what is read), scope_find.c (what belongs), scope_pin.c
 * (where it is) and scope_groups.c (whose member it is). */
#ifndef SPOKE_EXPORT_CHOOSE_SCOPE_INTERNAL_H
#define SPOKE_EXPORT_CHOOSE_SCOPE_INTERNAL_H

#include "common/base/buf.h"
#include "spoke/export/choose/groups.h"
#include "spoke/export/choose/scope.h"

#define SCOPE_ARENA_MAX (4 * 1024 * 1024)
#define SCOPE_REFERRALS_MAX 16
#define SCOPE_FILTER_MAX (64 * 1024)

struct scope_place {
	char *dn; /* now; NULL: it does not exist */
	/* Of an excluded one that does not: what a former run saw; NULL. */
	char *last;
	struct id id;
	bool pinned; /* a former run saw it */
	/* Another that was made under its name stands for it. */
	bool by_name;
	bool taken; /* its name is another's now */
};

struct scope_from {
	const struct export_base *base;
	struct scope_place place;     /* of an OU or an object */
	struct scope_place *excludes; /* as many as base excludes */
	char *filter;                 /* of a search, for recipients; NULL */
	char *groups_filter;          /* the same for groups to expand; NULL */
	char **containers;            /* DNs that a search found */
	size_t container_count;
};

struct scope {
	struct scope_options options;
	struct scope_from *list;
	size_t count;
	size_t missing;
	char *referrals[SCOPE_REFERRALS_MAX]; /* URLs */
	size_t referral_count;
	struct arena *arena;
	struct groups *groups; /* NULL: not read, or none to read */
	struct groups *again;  /* NULL: not read a second time */
};

/* What is asked of entries by what is asked for: of those in a place, and of
 * those that a search finds (NULL: it finds none of them). */
struct scope_filters {
	const char *place, *search;
};

struct scope_search {
	const char *base;
	enum search_scope scope;
	const char *filter;
	const char *const *attributes;
};

/* Runs it to its end. Returns what fn says when that is not 0; fn's hit is
 * NULL. */
int scope_search(struct scope *scope, const struct scope_search *search,
    scope_fn *fn, void *arg, struct err *err) ERR_WUR;
/* The same on a server that is chosen already. */
int scope_search_at(struct scope *scope, const struct forest_context *context,
    const struct scope_search *search, scope_fn *fn, void *arg,
    struct err *err) ERR_WUR;
/* search_reference_fn; arg is the scope. */
void scope_referral_take(void *arg, const char *url, const char *dn);
/* The filter of everything that may go out (or, wide, be counted). */
const char *scope_filter(const struct scope *scope);
/* Appends what a search looks for. */
void scope_words(
    const struct scope *scope, const struct export_base *base, struct buf *out);
/* Containers and OUs that its search finds: what is in them goes out. */
int scope_containers_find(
    struct scope *scope, struct scope_from *from, struct err *err) ERR_WUR;
int scope_containers_read(struct scope *scope, struct scope_from *from,
    const char *filter, struct err *err) ERR_WUR;

/* Reads the places of an entry of `from`, and what its search finds. 1: fn
 * stopped it. */
int scope_from_read(struct scope *scope, size_t index,
    const struct scope_filters *filters, const char *const *attributes,
    scope_fn *fn, void *arg, struct err *err) ERR_WUR;
/* Who gets what is read. */
struct scope_reader {
	struct scope *scope;
	/* The entry of `from` that finds it; NULL: each is asked for. */
	const struct scope_from *from;
	bool members; /* of its groups */
	bool outside; /* from the global catalogue */
	bool any;     /* no question: fn gets all */
	scope_fn *fn;
	void *arg;
};
/* Reads these ids anywhere; with an entry of `from` they are members of its
 * groups. 1: fn stopped it. */
int scope_batches_read(struct scope_reader *reader, const struct id *ids,
    size_t count, const char *const *attributes, struct err *err) ERR_WUR;
/* By where the excluded places are now, or were when they were seen last, and
 * by the names that the policy says: one that was made anew, or that the
 * account no longer sees, lets nothing out. */
bool scope_is_excluded(const struct scope_from *from, const char *dn);

/* How an entry that this one of `from` finds stands to it. */
struct scope_hit scope_place_hit(const struct scope *scope,
    const struct scope_from *from, const struct search_entry *entry);

/* --- scope_groups.c --- */

/* Is it a member of a group of this entry of `from`? 1, 0, -1. */
int scope_member_find(struct scope *scope, const struct scope_from *from,
    const struct search_entry *entry, struct scope_hit *out_hit,
    struct err *err) ERR_WUR;
/* scope_read_ids() of those that only the global catalogue has; 1: fn stopped
 * it. */
int scope_outside_read(struct scope_reader *reader, const struct id *ids,
    size_t count, const char *const *attributes, struct err *err) ERR_WUR;
/* Do only the members of what is found there go out? */
bool scope_members_only(const struct scope *scope,
    const struct scope_from *from, const struct search_entry *entry);
/* Reads the members of the entry's groups whole. 1: fn stopped it. */
int scope_members_read(struct scope *scope, const struct scope_from *from,
    const char *const *attributes, scope_fn *fn, void *arg,
    struct err *err) ERR_WUR;
size_t scope_members_count(
    const struct scope *scope, const struct scope_from *from);
/* Writes who the members are. */
int scope_members_keep(struct scope *scope, struct err *err) ERR_WUR;

/* --- scope_pin.c --- */

/* Where is it now? text is a DN or an id. 1 found, 0 not (then place->pinned
 * says whether it ever was), -1. */
int scope_pin(struct scope *scope, const char *text, struct scope_place *place,
    struct err *err) ERR_WUR;

#endif
