/*
 * The export policy: which entries of the directory leave it, and with which
 * attributes. Every entry gets exactly one answer: exported, or one reason why
 * not. Values are cleaned here once, so that each target gets the same, with
 * exactly one primary SMTP address. A pure function of entry and policy.
 *
 *   entry ─► facts.c: whose, marked, hidden, disabled, closed ─► shape.c: judge
 *   entry ─► dialect: canonical names ─► addresses.c ─► attributes.c: which
 *                                        ─► values.c: cleaned ─► object
 */
#ifndef SPOKE_EXPORT_SHAPE_SHAPE_H
#define SPOKE_EXPORT_SHAPE_SHAPE_H

#include "common/wire/object.h"
#include "spoke/conf.h"
#include "spoke/export/shape/facts.h"
#include "spoke/export/shape/values.h"

/* In the order in which they are looked for. */
enum shape_reason {
	SHAPE_EXPORTED,
	SHAPE_EXCLUDED, /* in a subtree or a level that the policy leaves out */
	SHAPE_MEMBERS_ONLY, /* a group of which only the members go out */
	SHAPE_OWN,          /* imported by galrelay: never exported again */
	SHAPE_FOREIGN,      /* the same, by another product's mark */
	SHAPE_SYSTEM,       /* a mailbox that Exchange keeps for itself */
	SHAPE_KIND,         /* no recipient */
	SHAPE_MARKED,       /* carries the NoGALsync word */
	SHAPE_DISABLED,     /* a person's account that is disabled */
	SHAPE_HIDDEN,       /* hidden from address lists */
	SHAPE_CLOSED,       /* takes no mail from outsiders */
	SHAPE_NO_ADDRESS,   /* without a mail address */
	SHAPE_ERROR,        /* unreadable */
	SHAPE_REASON_COUNT
};

/* What an object is; 0 is no recipient. */
#define SHAPE_KIND_COUNT 6

struct shape_counts {
	uint64_t reasons[SHAPE_REASON_COUNT];
	uint64_t kinds[SHAPE_KIND_COUNT][SHAPE_REASON_COUNT];
	uint64_t dropped[VALUES_DROP_COUNT]; /* values of exported objects */
	uint64_t closed; /* exported, although closed to outsiders */
};

void shape_count(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason);
/* Takes back one. */
void shape_uncount(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason);
/* "user", "dynamic-group" ... "other". Static storage. */
const char *shape_kind_name(Galr__Kind kind);
/* "hidden", "no mail address" ... static storage. */
const char *shape_reason_text(enum shape_reason reason);
/* The same as a JSON key: "no_address". */
const char *shape_reason_key(enum shape_reason reason);

/* A policy at work on one directory. */
struct shape;

struct shape_options {
	const struct export_policy *policy;
	/* NULL: no schema to ask, and a directory of that kind. */
	const struct dialect *dialect;
	enum dialect_kind kind;
	const char *provenance;    /* attribute */
	const char *legacy_prefix; /* conf.h */
};

/* Class config when the directory's schema does not know an attribute that the
 * policy names, or it may never leave: names the setting. All is borrowed. */
int shape_open(const struct shape_options *options, struct shape **out_shape,
    struct err *err) ERR_WUR;
/* The same for a spoke's directory. */
int shape_open_conf(const struct spoke_conf *conf,
    const struct export_policy *policy, const struct dialect *dialect,
    struct shape **out_shape, struct err *err) ERR_WUR;
void shape_close(struct shape *shape);
/* What has to be read of an entry, ended by NULL. */
const char *const *shape_attributes(const struct shape *shape);

/* What was asked about one object, and the answer. */
struct shape_case {
	/* Given: by its place the policy leaves it out. */
	bool excluded;
	/* Given: the policy wants only the members of this group. */
	bool members_only;
	const struct search_entry *entry;
	const struct object *raw; /* of dialect_read_object() */
	/* Found: */
	struct facts facts;
	struct object object; /* when it is exported; borrows from raw */
	struct values_notes notes;
	bool closed; /* exported, and the policy wants that reported */
};

/* Judges, and fills in what was found (in the arena). */
enum shape_reason shape_object(
    const struct shape *shape, struct arena *arena, struct shape_case *c);
/* Sets source_dn to what the policy lets other forests know: opaque is the id
 * in hexadecimal digits, has ID_HEX_SIZE bytes and is borrowed. */
void shape_name(const struct shape *shape, const struct id *id, char *opaque,
    struct object *object);
/* The attribute that leaves this entry out for that reason, as the server names
 * it; NULL when no attribute does, but its place, its name or what it is. */
const char *shape_source(const struct shape *shape,
    const struct search_entry *entry, enum shape_reason reason);
/* How the values of an attribute are treated, by canonical name. */
enum attributes_form shape_form(const struct shape *shape, const char *name);
/* Adds the notes of an exported object. */
void shape_count_notes(struct shape_counts *counts, const struct shape_case *c);

#endif
