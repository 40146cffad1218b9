/* Shared by collect.c (a run, and what it remembers) and collect_read.c (the
 * entries). */
#ifndef SPOKE_COLLECT_INTERNAL_H
#define SPOKE_COLLECT_INTERNAL_H

#include "spoke/collect.h"
#include "spoke/idset.h"
#include "spoke/scope.h"

#define COLLECT_NOTE_MAX 4096
#define COLLECT_ARENA_MAX (16 * 1024 * 1024)

struct collector {
	const struct collect_options *options;
	const struct export_policy *policy;
	struct replica *replica;
	struct session *session;
	struct dialect *dialect;
	struct scope *scope;
	struct replica_intake *intake; /* NULL: only counted */
	struct idset *seen;            /* NULL: nothing can be found twice */
	struct arena *arena;
	struct buf body;
	const char **attributes; /* owned array of borrowed names */
	struct collect_result *result;
};

/* Opens the scope and chooses the attributes. */
int collect_prepare(struct collector *c, struct err *err) ERR_WUR;
/* Takes in everything that the policy finds; entries[i]: how many entry i of
 * `from` found. */
int collect_entries(
    struct collector *c, uint64_t *entries, struct err *err) ERR_WUR;
/* A number that a former run kept; 0: none. */
int collect_note_number(struct collector *c, const char *key, uint64_t *out,
    struct err *err) ERR_WUR;

#endif
