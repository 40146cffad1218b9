/*
 * What an entry says of itself beside its contents: imported by whom, marked,
 * hidden, disabled, closed. One pass over its attributes; shape.h judges.
 * FEATURES E7 to E9, E14, E19, E20.
 */
#ifndef SPOKE_EXPORT_SHAPE_FACTS_H
#define SPOKE_EXPORT_SHAPE_FACTS_H

#include "spoke/export/shape/attributes.h"

/* Contacts that any galrelay made start their provenance with this. */
#define FACTS_PROVENANCE_PREFIX "galrelay:"
/* On OpenLDAP, which has no extension attributes. */
#define FACTS_MARK_OPENLDAP "businessCategory"

/* About one entry; slices point into it. */
struct facts {
	bool own;         /* carries the provenance of a galrelay */
	bool own_legacy;  /* its legacyExchangeDN is one that galrelay makes */
	unsigned foreign; /* kinds for which another product's mark counts */
	bool marked, hidden, disabled, system;
	bool closed; /* takes no mail from strangers */
	/* E14; empty unless the policy wants delegation. */
	struct slice sid, master_sid;
	bool linked; /* has a master account, or the mark of having none */
	bool security_group;
};

struct facts_options {
	const struct export_policy *policy;
	const struct dialect *dialect; /* NULL: none to ask */
	enum dialect_kind kind;
	const char *provenance;    /* attribute */
	const char *legacy_prefix; /* of contacts that galrelay makes; NULL */
};

struct facts_finder;

/* Class config when foreign_marks are malformed: "attribute=text",
 * "kind:attribute=text", with * for any text. */
int facts_policy_check(
    const struct export_policy *policy, struct err *err) ERR_WUR;
/* Adds to what has to be read. Class config when the schema does not know an
 * attribute that the policy names. Everything is borrowed. */
int facts_open(const struct facts_options *options,
    struct attributes *attributes, struct facts_finder **out_finder,
    struct err *err) ERR_WUR;
void facts_close(struct facts_finder *finder);
void facts_find(const struct facts_finder *finder,
    const struct search_entry *entry, struct facts *out_facts);

enum facts_question {
	FACTS_OWN,
	FACTS_FOREIGN,
	FACTS_MARKED,
	FACTS_DISABLED,
	FACTS_HIDDEN,
	FACTS_CLOSED
};
/* The attribute of the entry that says so, as the server names it, perhaps with
 * options; NULL: none does. */
const char *facts_source(const struct facts_finder *finder,
    const struct search_entry *entry, enum facts_question question);

#endif
