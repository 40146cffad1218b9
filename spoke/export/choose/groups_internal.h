/* Shared by groups.c (the walk), groups_node.c (the groups that it met),
 * groups_note.c (what stays of it) and groups_doubt.c (whether lists that
 * shrank were read). */
#ifndef SPOKE_EXPORT_CHOOSE_GROUPS_INTERNAL_H
#define SPOKE_EXPORT_CHOOSE_GROUPS_INTERNAL_H

#include "common/ldap/group.h"
#include "common/replica/db.h"
#include "spoke/export/choose/groups.h"
#include "spoke/export/choose/idset.h"

/* The members of one group alone, at one reading. */
struct groups_roll {
	bool known;
	char stamp[GROUP_STAMP_SIZE]; /* see struct group_told */
	uint32_t values;
	struct idlist ids; /* sorted */
};

/* A group whose members were asked for. */
struct groups_node {
	struct id id;
	char *dn;
	bool dynamic;
};

/* What the walk knows of an id; above it `via`. */
#define GROUPS_MEMBER 1U
#define GROUPS_EXPANDED 2U
#define GROUPS_OUTSIDE 4U
#define GROUPS_FLAGS 8U /* bits */

/* The members that one entry of `from` brings. */
struct groups_set {
	size_t roots;
	size_t count;
	struct idset *known; /* also groups that are no members */
};

struct groups {
	struct groups_options options;
	const struct dialect *dialect; /* forest_dialect() */
	struct reference_cache *names; /* NULL: ids come with them */
	struct db *db;                 /* the nodes, see groups_node.c */
	size_t node_count;
	size_t walked; /* nodes of former walks */
	struct groups_set *sets;
	size_t set_count;
	size_t refused;
	int64_t began_ms; /* Unix */
	struct groups_doubt *doubts;
	size_t doubt_count;
};

void groups_roll_fini(struct groups_roll *roll);

/* --- groups_node.c --- */

/* The next index is groups->node_count. */
int groups_node_add(struct groups *groups, const struct groups_node *node,
    struct err *err) ERR_WUR;
/* out->dn is the caller's. */
int groups_node_get(const struct groups *groups, size_t index,
    struct groups_node *out, struct err *err) ERR_WUR;
/* Was that group met? 1, 0, -1. */
int groups_node_has(
    const struct groups *groups, const struct id *id, struct err *err) ERR_WUR;
/* Another list of that group than the one that is kept, as its note will be. */
int groups_node_roll_set(struct groups *groups, size_t index, struct slice note,
    struct err *err) ERR_WUR;
/* Calls fn with each group of which there is one. */
typedef int groups_node_fn(struct groups *groups, const struct id *id,
    struct slice note, struct err *err);
int groups_node_rolls(
    struct groups *groups, groups_node_fn *fn, struct err *err) ERR_WUR;

/* --- groups_note.c --- */

/* The list that the replica keeps of that group: of a dynamic one whom it found
 * when it last could. Not known when there is none. */
int groups_roll_before(const struct groups *groups,
    const struct groups_node *node, struct groups_roll *out,
    struct err *err) ERR_WUR;
/* Keeps another list until groups_rolls_keep(). */
int groups_roll_set(struct groups *groups, size_t index,
    const struct groups_roll *roll, struct err *err) ERR_WUR;
/* Calls fn with each group that was met when the lists were read that the
 * replica keeps. */
typedef int groups_met_fn(
    void *arg, const struct id *id, const char *dn, struct err *err);
int groups_met_before(const struct groups *groups, groups_met_fn *fn, void *arg,
    struct err *err) ERR_WUR;
/* When the lists were read that the replica keeps: Unix ms, 0: never. */
int groups_walked_before(
    const struct groups *groups, int64_t *out_ms, struct err *err) ERR_WUR;

/* --- groups_doubt.c --- */

/* Do some whom the list lost belong to it nevertheless? 1: *out_doubt says
 * which, and is the caller's; 0; -1. */
int groups_doubt_find(struct groups *groups, const struct groups_node *node,
    const struct groups_roll *before, const struct groups_roll *now,
    struct groups_doubt *out_doubt, struct err *err) ERR_WUR;
/* Takes it over, each group once. */
void groups_doubt_add(struct groups *groups, struct groups_doubt *doubt);
void groups_doubt_fini(struct groups_doubt *doubt);

#endif
