/*
 * The planner: a pure function from one snapshot (replicas, registry, what the
 * survey found, links) to a list of changes. No LDAP, no clock, no global
 * state. Planning the result of a plan again gives an empty plan.
 */
#ifndef SPOKE_IMPORT_PLAN_H
#define SPOKE_IMPORT_PLAN_H

#include "common/ldap/writer.h"
#include "common/replica/replica.h"
#include "spoke/import/import.h"
#include "spoke/import/importdb.h"

/* The target's schema as the planner needs it (dialect.h behind it). */
struct plan_schema {
	const void *arg;
	bool nicknames; /* mailNickname exists here and must be unique */
	const char *rdn_attribute;
	int (*map)(const void *arg, const struct object *contact,
	    struct arena *arena, struct writer_attribute **out_attributes,
	    size_t *out_count, struct err *err);
	bool (*equal)(const void *arg, const char *name, const struct slice *a,
	    size_t a_count, const struct slice *b, size_t b_count);
	size_t (*attribute_max)(const void *arg, const char *name);
};

struct plan_stream {
	const char *member;
	const char *stream;
	struct replica *replica;             /* NULL: held */
	const struct registry_member *owner; /* NULL: held */
	bool selected; /* its tag is asked for and it has not ended */
	bool held;
	/* Counted by the planner. */
	uint64_t contacts; /* entries in the OU that came by it */
	uint64_t deletions;
};

struct plan_input {
	struct importdb *db;
	const struct import_policy *policy;
	const char *legacy_prefix;
	struct id realm;
	struct plan_stream *streams; /* ascending by member, then stream */
	size_t stream_count;
	const struct plan_schema *schema;
	/* OUs that other policies of this spoke write to. */
	const char *const *others;
	size_t other_count;
	/* Counted by the planner: addresses that another contact of ours has,
	 * which may be free when this plan has been carried out. */
	uint64_t blocked;
};

/* Writes the plan into the database (inside the caller's transaction) and
 * counts what needs no change into the result. */
int plan_make(struct plan_input *input, struct import_result *out_result,
    struct err *err) ERR_WUR;

#endif
