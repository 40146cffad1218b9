/*
 * The export policy: which entries of the directory leave it, and with which
 * attributes. Every entry gets exactly one answer: exported, or one reason why
 * not. Addresses are cleaned here once, so that each target sees exactly one
 * primary SMTP address. A pure function of entry and policy.
 */
#ifndef SPOKE_SHAPE_H
#define SPOKE_SHAPE_H

#include "common/wire/object.h"
#include "spoke/conf.h"

/* Contacts that any galrelay made start their provenance with this. */
#define SHAPE_PROVENANCE_PREFIX "galrelay:"

/* In the order in which they are looked for. */
enum shape_reason {
	SHAPE_EXPORTED,
	SHAPE_EXCLUDED, /* in a subtree or a level that the policy leaves out */
	SHAPE_OWN,      /* imported by galrelay: never exported again */
	SHAPE_KIND,     /* no recipient */
	SHAPE_MARKED,   /* carries the NoGALsync word */
	SHAPE_HIDDEN,   /* hidden from address lists */
	SHAPE_NO_ADDRESS, /* without a mail address */
	SHAPE_ERROR,      /* unreadable */
	SHAPE_REASON_COUNT
};

/* What an object is; 0 is no recipient. */
#define SHAPE_KIND_COUNT 6

struct shape_counts {
	uint64_t reasons[SHAPE_REASON_COUNT];
	uint64_t kinds[SHAPE_KIND_COUNT][SHAPE_REASON_COUNT];
	uint64_t addresses_dropped; /* malformed ones of exported objects */
};

/* What the raw entry says beside the object itself. */
struct shape_facts {
	bool excluded, own, marked, hidden;
	bool exchange; /* the forest has Exchange attributes */
};

void shape_count(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason);
/* Takes back one. */
void shape_uncount(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason);
/* "user", "dynamic-group" ... "other". Static storage. */
const char *shape_kind_name(Galr__Kind kind);

/* Does any attribute's provenance, mark or hiding keep the entry in? Whether
 * its place does (excluded) and the forest's nature are the caller's. */
void shape_facts_find(const struct export_policy *policy,
    const struct search_entry *entry, const char *provenance_attribute,
    struct shape_facts *facts);

/* Judges, and fills *out_object (in the arena, borrowing from raw) when the
 * answer is exported. */
enum shape_reason shape_object(const struct export_policy *policy,
    const struct shape_facts *facts, const struct object *raw,
    struct arena *arena, struct object *out_object,
    struct shape_counts *counts);

/* "hidden", "no mail address" ... static storage. */
const char *shape_reason_text(enum shape_reason reason);
/* The same as a JSON key: "no_address". */
const char *shape_reason_key(enum shape_reason reason);

/* Does the policy let this attribute out? */
bool shape_attribute_allowed(
    const struct export_policy *policy, const char *name);
/* Must it always go out? Then a policy cannot deny it. */
bool shape_attribute_mandatory(const char *name);

#endif
