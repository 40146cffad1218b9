#include "spoke/export/shape/attributes.h"

#include <stdlib.h>
#include <strings.h>

#include "common/base/mem.h"
#include "spoke/export/shape/nametable.h"

enum class {
	CLASS_MANDATORY, /* the objects themselves, and what mail needs */
	CLASS_MINIMAL,   /* what both presets carry */
	CLASS_FULL       /* what only the full preset carries */
};

/* FEATURES E10. An id and a kind are always there; of the rest, the attribute
 * "name" is the same as cn. */
static const struct row {
	const char *name;
	enum class class;
	enum attributes_form form;
} rows[] = {
    {"c", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"cn", CLASS_MANDATORY, ATTRIBUTES_TEXT},
    {"co", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"company", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"countryCode", CLASS_MINIMAL, ATTRIBUTES_VERBATIM},
    {"department", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"description", CLASS_FULL, ATTRIBUTES_TEXT},
    {"displayName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"displayNamePrintable", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"employeeID", CLASS_FULL, ATTRIBUTES_TEXT},
    {"employeeNumber", CLASS_FULL, ATTRIBUTES_TEXT},
    {"employeeType", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute1", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute10", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute11", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute12", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute13", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute14", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute15", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute2", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute3", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute4", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute5", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute6", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute7", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute8", CLASS_FULL, ATTRIBUTES_TEXT},
    {"extensionAttribute9", CLASS_FULL, ATTRIBUTES_TEXT},
    {"facsimileTelephoneNumber", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"givenName", CLASS_MANDATORY, ATTRIBUTES_TEXT},
    {"groupType", CLASS_MINIMAL, ATTRIBUTES_VERBATIM},
    {"homePhone", CLASS_FULL, ATTRIBUTES_TEXT},
    {"info", CLASS_FULL, ATTRIBUTES_LINES},
    {"initials", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"ipPhone", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"l", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"legacyExchangeDN", CLASS_MANDATORY, ATTRIBUTES_TEXT},
    {"mail", CLASS_MANDATORY, ATTRIBUTES_MAIL},
    {"mailNickname", CLASS_MANDATORY, ATTRIBUTES_TEXT},
    {"mobile", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msDS-PhoneticCompanyName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msDS-PhoneticDepartment", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msDS-PhoneticDisplayName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msDS-PhoneticFirstName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msDS-PhoneticLastName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msExchAssistantName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"msExchHideFromAddressLists", CLASS_MINIMAL, ATTRIBUTES_VERBATIM},
    {"msExchRecipientDisplayType", CLASS_MINIMAL, ATTRIBUTES_DISPLAY},
    {"pager", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"personalTitle", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"physicalDeliveryOfficeName", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"postOfficeBox", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"postalCode", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"proxyAddresses", CLASS_MANDATORY, ATTRIBUTES_MAIL},
    {"sn", CLASS_MANDATORY, ATTRIBUTES_TEXT},
    {"st", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"streetAddress", CLASS_MINIMAL, ATTRIBUTES_LINES},
    {"targetAddress", CLASS_MANDATORY, ATTRIBUTES_MAIL},
    {"telephoneAssistant", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"telephoneNumber", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"thumbnailPhoto", CLASS_FULL, ATTRIBUTES_PICTURE},
    {"title", CLASS_MINIMAL, ATTRIBUTES_TEXT},
    {"userSMIMECertificate", CLASS_MINIMAL, ATTRIBUTES_VERBATIM},
    {"wWWHomePage", CLASS_MINIMAL, ATTRIBUTES_TEXT},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Who and what an entry is. */
static const char *const identity_ad[] = {
    "objectGUID", "objectClass", "msExchRecipientTypeDetails", NULL};
static const char *const identity_openldap[] = {
    "entryUUID", "objectClass", NULL};

/* A prefix before * is never shorter: nobody can say "everything". */
#define PREFIX_MIN 3

struct attributes {
	const struct export_policy *policy;
	const struct dialect *dialect;
	enum dialect_kind kind;
	struct nametable forms; /* canonical names of what goes */
	const char **names;     /* to be read, ended by NULL */
	size_t count, size;
	char **kept; /* texts that nobody else keeps */
	size_t kept_count;
	char **words; /* of deny, under this directory's names; owned */
	size_t word_count;
};

/* --- names --- */

static bool
is_pattern(const char *name)
{
	return strchr(name, '*') != NULL;
}

static const struct row *
row_find(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (slice_name_equal(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static const char *
schema_forbids(const struct attributes *a, const char *name)
{
	const char *why =
	    attributes_forbidden(dialect_primary(a->dialect, name));

	return why != NULL ? why
			   : attributes_traits_forbidden(
				 dialect_traits(a->dialect, name),
				 a->policy->source_dn);
}

static int
forbidden_error(const char *name, const char *why, struct err *err)
{
	return err_set(err, ERR_CONFIG,
	    "allow: attribute %s never leaves a forest: %s; take it out of "
	    "the list",
	    name, why);
}

/* RFC 4512 section 1.4: a letter, then letters, digits and hyphens; here with a
 * * at the end. */
static int
name_check(const char *list, const char *name, struct err *err)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
	bool star = name[len] == '*' && name[len + 1] == '\0';

	if (len == 0 || (name[len] != '\0' && !star))
		return err_set(err, ERR_CONFIG,
		    "%s: \"%s\" is no attribute name; * may stand at its end "
		    "only",
		    list, name);
	if (star && len < PREFIX_MIN)
		return err_set(err, ERR_CONFIG,
		    "%s: \"%s\" means too much: say at least %d letters before "
		    "the *",
		    list, name, PREFIX_MIN);
	return 0;
}

/* Does this pattern take away what contacts need? Then the name of it. */
static const char *
mandatory_among(const char *pattern)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].class == CLASS_MANDATORY &&
		    nametable_matches(pattern, rows[i].name))
			return rows[i].name;
	return NULL;
}

int
attributes_policy_check(const struct export_policy *policy, struct err *err)
{
	for (size_t i = 0; i < policy->deny_count; i++) {
		const char *needed = mandatory_among(policy->deny[i]);

		if (name_check("deny", policy->deny[i], err) < 0)
			return -1;
		if (needed != NULL)
			return err_set(err, ERR_CONFIG,
			    "deny: attribute %s cannot be denied: contacts "
			    "need it",
			    needed);
	}
	for (size_t i = 0; i < policy->allow_count; i++) {
		const char *why = attributes_forbidden(policy->allow[i]);

		if (name_check("allow", policy->allow[i], err) < 0)
			return -1;
		if (why != NULL)
			return forbidden_error(policy->allow[i], why, err);
	}
	return 0;
}

/* --- deciding --- */

/* Does this word of deny, a name of the directory or ours, mean that one? */
static bool
denies(const struct attributes *a, const char *word, const char *canonical)
{
	const char *const *list = dialect_vocabulary(a->kind);

	if (nametable_matches(word, canonical) ||
	    nametable_matches(dialect_canonical(a->kind, word), canonical))
		return true;
	for (; *list != NULL && is_pattern(word); list++)
		if (nametable_matches(word, *list) &&
		    slice_name_equal(
			dialect_canonical(a->kind, *list), canonical))
			return true;
	return false;
}

static bool
is_denied(const struct attributes *a, const char *canonical)
{
	for (size_t i = 0; i < a->word_count; i++)
		if (denies(a, a->words[i], canonical))
			return true;
	return false;
}

void
attributes_want(struct attributes *attributes, const char *name)
{
	struct attributes *a = attributes;

	for (size_t i = 0; i < a->count; i++)
		if (slice_name_equal(a->names[i], name))
			return;
	if (a->count + 1 >= a->size) {
		a->size = a->size == 0 ? 128 : 2 * a->size;
		a->names = mem_realloc(a->names, a->size * sizeof(*a->names));
	}
	a->names[a->count++] = name;
	a->names[a->count] = NULL;
}

static void
row_take(struct attributes *a, const struct row *row)
{
	bool chosen =
	    row->class != CLASS_FULL || a->policy->preset == EXPORT_FULL;

	if (chosen &&
	    (row->class == CLASS_MANDATORY || !is_denied(a, row->name)))
		nametable_put(&a->forms, row->name, row->form);
}

/* One that allow names, under this directory's name. */
static void
allowed_take(struct attributes *a, const char *name)
{
	const char *canonical = dialect_canonical(a->kind, name);
	const struct row *row = row_find(canonical);
	enum attributes_form form = ATTRIBUTES_VERBATIM;

	if (is_denied(a, canonical) || is_denied(a, name))
		return;
	if (row != NULL)
		form = row->form;
	else if (a->dialect != NULL && dialect_is_text(a->dialect, name))
		form = ATTRIBUTES_LINES;
	else if (a->dialect != NULL &&
		 (dialect_traits(a->dialect, name) & SCHEMA_NAMES) != 0)
		form = ATTRIBUTES_NAME;
	nametable_put(&a->forms, canonical, form);
	attributes_want(a, name);
}

/* The schema's answer to a pattern: what may not leave was not meant. */
static void
pattern_take(void *arg, const char *name)
{
	struct attributes *a = arg;

	if (schema_forbids(a, name) != NULL)
		return;
	a->kept = mem_realloc(a->kept, (a->kept_count + 1) * sizeof(*a->kept));
	a->kept[a->kept_count++] = mem_strdup(name);
}

static int
unknown_error(const char *list, const char *name, struct err *err)
{
	return err_set(err, ERR_CONFIG,
	    "%s: unknown attribute %s: the directory's schema has none of that "
	    "name; correct it, or take it out of the list",
	    list, name);
}

static int
pattern_open(struct attributes *a, const char *pattern, struct err *err)
{
	char *prefix = mem_strndup(pattern, strlen(pattern) - 1);
	size_t first = a->kept_count;
	int rc =
	    dialect_attributes_begin(a->dialect, prefix, pattern_take, a, err);

	free(prefix);
	if (rc < 0)
		return -1;
	if (a->kept_count == first)
		return unknown_error("allow", pattern, err);
	for (size_t i = first; i < a->kept_count; i++)
		allowed_take(a, a->kept[i]);
	return 0;
}

/* A name of the policy as this directory has it. */
static const char *
name_here(const struct attributes *a, const char *name)
{
	const char *here;

	if (a->dialect == NULL)
		return name;
	if (dialect_knows(a->dialect, name))
		return dialect_primary(a->dialect, name);
	here = dialect_here(a->dialect, name);
	return here != NULL && dialect_knows(a->dialect, here) ? here : NULL;
}

static int
allow_open(struct attributes *a, const char *name, struct err *err)
{
	const char *here, *why;

	if (is_pattern(name))
		return a->dialect == NULL ? 0 : pattern_open(a, name, err);
	here = name_here(a, name);
	if (here == NULL)
		return unknown_error("allow", name, err);
	why = a->dialect == NULL ? attributes_forbidden(here)
				 : schema_forbids(a, here);
	if (why != NULL)
		return forbidden_error(name, why, err);
	allowed_take(a, here);
	return 0;
}

/* An attribute may have several names; a server gives the first. */
static void
word_take(void *arg, const char *name)
{
	struct attributes *a = arg;

	if (a->dialect != NULL && !is_pattern(name))
		name = dialect_primary(a->dialect, name);
	a->words = mem_realloc(a->words, (a->word_count + 1) * sizeof(char *));
	a->words[a->word_count++] = mem_strdup(name);
}

/* The pattern, and what of the schema it means: 1 anything, 0, -1. */
static int
pattern_deny(struct attributes *a, const char *pattern, struct err *err)
{
	char *prefix = mem_strndup(pattern, strlen(pattern) - 1);
	size_t first = a->word_count;
	int rc =
	    dialect_attributes_begin(a->dialect, prefix, word_take, a, err);

	free(prefix);
	return rc < 0 ? -1 : a->word_count > first;
}

/* A misspelt name here would let out what is to stay. Names of ours are none,
 * even where a directory has no such attribute. */
static int
deny_open(struct attributes *a, const char *name, struct err *err)
{
	size_t first = a->word_count;
	bool ours = false;
	int known = 1;

	word_take(a, name);
	if (a->dialect != NULL)
		known = is_pattern(name) ? pattern_deny(a, name, err)
					 : name_here(a, name) != NULL;
	for (size_t i = first; known >= 0 && i < a->word_count; i++)
		for (size_t k = 0; k < ROWS; k++) {
			if (!denies(a, a->words[i], rows[k].name))
				continue;
			if (rows[k].class == CLASS_MANDATORY)
				return err_set(err, ERR_CONFIG,
				    "deny: %s is %s, which cannot be denied: "
				    "contacts need it",
				    name, rows[k].name);
			ours = true;
		}
	if (known == 0 && !ours)
		return unknown_error("deny", name, err);
	return known < 0 ? -1 : 0;
}

/* One question to the schema instead of one for each name. */
static int
schema_ask(const struct attributes *a, struct err *err)
{
	const struct export_policy *p = a->policy;
	const char **names =
	    mem_calloc(p->allow_count + p->deny_count + 1, sizeof(*names));
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < p->allow_count; i++)
		if (!is_pattern(p->allow[i]))
			names[n++] = p->allow[i];
	for (size_t i = 0; i < p->deny_count; i++)
		if (!is_pattern(p->deny[i]))
			names[n++] = p->deny[i];
	rc = n == 0 ? 0 : dialect_attributes_fetch(a->dialect, names, err);
	free(names);
	return rc;
}

/* What the preset carries. */
static void
preset_take(struct attributes *a)
{
	const char *const *list = dialect_vocabulary(a->kind);

	for (size_t i = 0; i < ROWS; i++)
		row_take(a, &rows[i]);
	for (; *list != NULL; list++)
		if (attributes_form(a, dialect_canonical(a->kind, *list)) !=
		    ATTRIBUTES_STAYS)
			attributes_want(a, *list);
}

static int
policy_take(struct attributes *a, struct err *err)
{
	const struct export_policy *p = a->policy;

	if (a->dialect != NULL && schema_ask(a, err) < 0)
		return -1;
	for (size_t i = 0; i < p->deny_count; i++)
		if (deny_open(a, p->deny[i], err) < 0)
			return -1;
	preset_take(a);
	for (size_t i = 0; i < p->allow_count; i++)
		if (allow_open(a, p->allow[i], err) < 0)
			return -1;
	return 0;
}

int
attributes_open(const struct export_policy *policy,
    const struct dialect *dialect, enum dialect_kind kind,
    struct attributes **out_attributes, struct err *err)
{
	struct attributes *a = mem_calloc(1, sizeof(*a));
	const char *const *list =
	    kind == DIALECT_OPENLDAP ? identity_openldap : identity_ad;

	*out_attributes = NULL;
	a->policy = policy;
	a->dialect = dialect;
	a->kind = kind;
	for (; *list != NULL; list++)
		attributes_want(a, *list);
	if (policy_take(a, err) < 0) {
		attributes_close(a);
		return -1;
	}
	*out_attributes = a;
	return 0;
}

void
attributes_close(struct attributes *attributes)
{
	if (attributes == NULL)
		return;
	nametable_fini(&attributes->forms);
	free(attributes->names);
	for (size_t i = 0; i < attributes->kept_count; i++)
		free(attributes->kept[i]);
	free(attributes->kept);
	for (size_t i = 0; i < attributes->word_count; i++)
		free(attributes->words[i]);
	free(attributes->words);
	free(attributes);
}

enum attributes_form
attributes_form(const struct attributes *attributes, const char *name)
{
	return (enum attributes_form)nametable_get(&attributes->forms, name);
}

const char *const *
attributes_names(const struct attributes *attributes)
{
	return attributes->names;
}
