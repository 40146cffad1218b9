/* Shared by groups.c (the walk), groups_note.c (what stays of it) and
 * groups_doubt.c (whether lists that shrank were read). */
#ifndef SPOKE_EXPORT_GROUPS_INTERNAL_H
#define SPOKE_EXPORT_GROUPS_INTERNAL_H

#include "common/ldap/group.h"
#include "spoke/export/groups.h"
#include "spoke/export/idset.h"

/* The members of one group alone, at one reading. */
struct groups_roll {
	bool known;
	char stamp[GROUP_STAMP_SIZE]; /* see struct group_told */
	uint32_t values;
	struct collect_ids ids; /* sorted */
};

/* A group whose members were asked for. */
struct groups_node {
	struct id id;
	char *dn;
	bool dynamic;
	struct groups_roll roll; /* known: another than the one that is kept */
};

/* The members that one entry of `from` brings. */
struct groups_set {
	size_t roots;
	struct groups_member *list;
	size_t count, size;
};

struct groups {
	struct groups_options options;
	const struct dialect *dialect; /* forest_dialect() */
	struct reference_cache *names; /* NULL: ids come with them */
	struct groups_node *nodes;
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

/* --- groups_note.c --- */

/* The list that the replica keeps of that group: of a dynamic one whom it found
 * when it last could. Not known when there is none. */
int groups_roll_before(const struct groups *groups,
    const struct groups_node *node, struct groups_roll *out,
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
