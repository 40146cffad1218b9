/* Shared by groups.c (the walk) and groups_note.c (what stays of it). */
#ifndef SPOKE_EXPORT_GROUPS_INTERNAL_H
#define SPOKE_EXPORT_GROUPS_INTERNAL_H

#include "spoke/export/groups.h"
#include "spoke/export/idset.h"

/* A group whose members were asked for. */
struct groups_node {
	struct id id;
	char *dn;
	bool dynamic;
	bool answered; /* a dynamic one, whose filter was not refused */
	struct collect_ids answer; /* of such a one */
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
};

/* Whom a dynamic group found when it last could; nobody when it never could. */
int groups_answer_before(const struct groups *groups,
    const struct groups_node *node, struct collect_ids *out,
    struct err *err) ERR_WUR;

#endif
