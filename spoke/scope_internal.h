/* Shared by scope.c (what belongs) and scope_pin.c (where it is). */
#ifndef SPOKE_SCOPE_INTERNAL_H
#define SPOKE_SCOPE_INTERNAL_H

#include "common/base/buf.h"
#include "spoke/scope.h"

#define SCOPE_ARENA_MAX (4 * 1024 * 1024)
#define SCOPE_REFERRALS_MAX 16

struct scope_place {
	char *dn; /* now; NULL: it does not exist */
	struct id id;
	bool pinned; /* a former run saw it */
};

struct scope_from {
	const struct export_base *base;
	struct scope_place place;     /* of an OU or an object */
	struct scope_place *excludes; /* as many as base excludes */
	char *filter;                 /* of a search, for recipients; NULL */
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
/* search_reference_fn; arg is the scope. */
void scope_referral_take(void *arg, const char *url, const char *dn);
/* The filter of everything that may go out (or, wide, be counted). */
const char *scope_filter(const struct scope *scope);
/* Appends what a search looks for. */
void scope_words(
    const struct scope *scope, const struct export_base *base, struct buf *out);
int scope_containers_read(struct scope *scope, struct scope_from *from,
    const char *filter, struct err *err) ERR_WUR;

/* Where is it now? text is a DN or an id. 1 found, 0 not (then place->pinned
 * says whether it ever was), -1. */
int scope_pin(struct scope *scope, const char *text, struct scope_place *place,
    struct err *err) ERR_WUR;

#endif
