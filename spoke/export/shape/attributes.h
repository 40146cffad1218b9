/*
 * Which attributes an export policy lets out, decided once a run: the presets,
 * what allow and deny say, and what never leaves a forest whatever a policy
 * says. FEATURES E10, E13.
 */
#ifndef SPOKE_EXPORT_SHAPE_ATTRIBUTES_H
#define SPOKE_EXPORT_SHAPE_ATTRIBUTES_H

#include "spoke/conf.h"

/* How the values of one that goes are treated. */
enum attributes_form {
	ATTRIBUTES_STAYS,
	ATTRIBUTES_TEXT,
	ATTRIBUTES_LINES,    /* text with line breaks */
	ATTRIBUTES_VERBATIM, /* numbers, certificates, what we do not know */
	ATTRIBUTES_NAME,     /* DNs, without the SIDs that may come along */
	ATTRIBUTES_PICTURE,
	ATTRIBUTES_DISPLAY, /* msExchRecipientDisplayType */
	ATTRIBUTES_MAIL     /* made anew of all addresses (addresses.h) */
};

struct attributes;

/* What can be said of a policy without a directory. Class config, naming allow
 * or deny, the attribute and why: one that contacts need is denied, one that
 * must never go is allowed, or a name is none. */
int attributes_policy_check(
    const struct export_policy *policy, struct err *err) ERR_WUR;

/* Decides. With a dialect its schema is asked for every name in the policy: one
 * that it does not know, or that by the schema must not leave (operational,
 * back link, confidential, SID, security descriptor), is class config. Without
 * (NULL) names are taken as they are, for a directory of that kind. Policy and
 * dialect are borrowed. */
int attributes_open(const struct export_policy *policy,
    const struct dialect *dialect, enum dialect_kind kind,
    struct attributes **out_attributes, struct err *err) ERR_WUR;
void attributes_close(struct attributes *attributes);

/* By canonical name. */
enum attributes_form attributes_form(
    const struct attributes *attributes, const char *name);
/* To be read too, although it may stay: this directory's name, borrowed. */
void attributes_want(struct attributes *attributes, const char *name);
/* What has to be read of an entry, in this directory's names, ended by NULL;
 * valid until the next attributes_want(). */
const char *const *attributes_names(const struct attributes *attributes);

/* Why an attribute of that name never leaves; NULL: nothing is against it.
 * Static storage. */
const char *attributes_forbidden(const char *name);

/* The same by what a schema says of it (enum schema_trait); names: values that
 * are names of entries may leave. */
const char *attributes_traits_forbidden(unsigned traits, bool names);

#endif
