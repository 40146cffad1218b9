#include "spoke/export/shape/facts.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/reference.h"
#include "spoke/export/shape/nametable.h"

/* What an attribute may tell; one may tell several things. */
enum fact {
	FACT_MARK = 1,
	FACT_PROVENANCE = 2,
	FACT_LEGACY = 4,
	FACT_FOREIGN = 8,
	FACT_HIDDEN = 16,
	FACT_ACCOUNT = 32, /* userAccountControl */
	FACT_OUTSIDERS = 64,
	FACT_SENDERS = 128,
	FACT_SID = 256,
	FACT_MASTER_SID = 512,
	FACT_GROUP_TYPE = 1024
};

#define ACCOUNT_DISABLED 2
#define GROUP_SECURITY 0x80000000U
/* Of an attribute; longer than any that a policy may name. */
#define FACTS_NAME_SIZE 512

/* One of foreign_marks. */
struct foreign {
	unsigned kinds; /* bits 1 << Galr__Kind */
	char *attribute;
	struct slice pattern;
};

struct facts_finder {
	struct slice mark;   /* empty: none */
	struct slice legacy; /* prefix; empty: none */
	struct nametable facts;
	struct foreign *foreign;
	size_t foreign_count;
};

/* --- marks of other products --- */

static int
foreign_kinds(struct slice kind, unsigned *out)
{
	static const struct {
		const char *name;
		Galr__Kind kind;
	} kinds[] = {{"user", GALR__KIND__KIND_USER},
	    {"contact", GALR__KIND__KIND_CONTACT},
	    {"group", GALR__KIND__KIND_GROUP},
	    {"dynamic-group", GALR__KIND__KIND_DYNAMIC_GROUP},
	    {"public-folder", GALR__KIND__KIND_PUBLIC_FOLDER}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_equal(kind, slice_str(kinds[i].name))) {
			*out = 1U << kinds[i].kind;
			return 0;
		}
	return -1;
}

/* "[kind:]attribute=pattern"; the attribute is not ended by a NUL. */
static int
foreign_parse(const char *text, unsigned *out_kinds, struct slice *out_name,
    struct slice *out_pattern, struct err *err)
{
	struct slice rest = slice_str(text);
	size_t equals = slice_find(rest, '=');
	size_t colon;
	bool fine = equals != SIZE_MAX;

	*out_kinds = ~0U;
	*out_name = slice_trim(slice_sub(rest, 0, equals));
	*out_pattern = fine ? slice_trim(slice_sub(rest, equals + 1, rest.len))
			    : SLICE_NULL;
	colon = slice_find(*out_name, ':');
	if (colon != SIZE_MAX) {
		fine = fine && foreign_kinds(slice_sub(*out_name, 0, colon),
				   out_kinds) == 0;
		*out_name = slice_sub(*out_name, colon + 1, out_name->len);
	}
	for (size_t i = 0; i < out_name->len; i++)
		fine = fine && (isalnum(out_name->data[i]) != 0 ||
				   out_name->data[i] == '-');
	if (fine && out_name->len > 0 && out_pattern->len > 0)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "foreign_marks: \"%s\" is no mark: say attribute=text, or "
	    "contact:attribute=text, where * stands for any text",
	    text);
}

int
facts_policy_check(const struct export_policy *policy, struct err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	const char *own = policy->mark_attribute;
	struct slice name, pattern;
	unsigned kinds;

	if (own != NULL &&
	    (own[0] == '\0' || own[strspn(own, letters)] != '\0'))
		return err_set(err, ERR_CONFIG,
		    "mark_attribute: \"%s\" is no attribute name", own);
	for (size_t i = 0; i < policy->foreign_mark_count; i++)
		if (foreign_parse(policy->foreign_marks[i], &kinds, &name,
			&pattern, err) < 0)
			return -1;
	return 0;
}

static int
folded(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* * stands for any text; letters compare without case. */
static bool
pattern_matches(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.data[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.len &&
			   folded(pattern.data[p]) == folded(text.data[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}

/* --- opening --- */

struct opening {
	struct facts_finder *finder;
	struct attributes *attributes;
	const struct facts_options *options;
};

/* An attribute may have several names; a server gives the first. */
static const char *
name_given(const struct opening *o, const char *name)
{
	return o->options->dialect == NULL
		   ? name
		   : dialect_primary(o->options->dialect, name);
}

static void
fact_add(struct opening *o, const char *name, enum fact fact)
{
	struct nametable *facts = &o->finder->facts;

	nametable_put(facts, name, nametable_get(facts, name) | fact);
	attributes_want(o->attributes, name);
}

static int
known_check(const struct opening *o, const char *setting, const char *name,
    struct err *err)
{
	if (o->options->dialect == NULL ||
	    dialect_knows(o->options->dialect, name))
		return 0;
	return err_set(err, ERR_CONFIG,
	    "%s: unknown attribute %s: the directory's schema has none of that "
	    "name; correct it",
	    setting, name);
}

static int
mark_open(struct opening *o, struct err *err)
{
	static const char *const extensions[] = {"extensionAttribute1",
	    "extensionAttribute2", "extensionAttribute3", "extensionAttribute4",
	    "extensionAttribute5", "extensionAttribute6", "extensionAttribute7",
	    "extensionAttribute8", "extensionAttribute9",
	    "extensionAttribute10", "extensionAttribute11",
	    "extensionAttribute12", "extensionAttribute13",
	    "extensionAttribute14", "extensionAttribute15"};
	const struct export_policy *p = o->options->policy;

	o->finder->mark = slice_trim(slice_str(p->mark));
	if (o->finder->mark.len == 0)
		return 0;
	if (o->options->kind != DIALECT_OPENLDAP)
		for (size_t i = 0; i < 15; i++)
			fact_add(o, extensions[i], FACT_MARK);
	else if (p->mark_attribute == NULL)
		fact_add(o, FACTS_MARK_OPENLDAP, FACT_MARK);
	if (p->mark_attribute == NULL)
		return 0;
	fact_add(o, name_given(o, p->mark_attribute), FACT_MARK);
	return known_check(o, "mark_attribute", p->mark_attribute, err);
}

static int
foreign_open(struct opening *o, struct err *err)
{
	const struct export_policy *p = o->options->policy;
	struct facts_finder *f = o->finder;

	f->foreign = mem_calloc(p->foreign_mark_count + 1, sizeof(*f->foreign));
	for (size_t i = 0; i < p->foreign_mark_count; i++) {
		struct foreign *mark = &f->foreign[i];
		struct slice name;

		if (foreign_parse(p->foreign_marks[i], &mark->kinds, &name,
			&mark->pattern, err) < 0)
			return -1;
		mark->attribute =
		    mem_strndup((const char *)name.data, name.len);
		f->foreign_count++;
		/* The default is for directories that have it. */
		if (strcmp(p->foreign_marks[i], EXPORT_FOREIGN_DEFAULT) != 0) {
			const char *given = name_given(o, mark->attribute);

			if (known_check(
				o, "foreign_marks", mark->attribute, err) < 0)
				return -1;
			if (given != mark->attribute) {
				free(mark->attribute);
				mark->attribute = mem_strdup(given);
			}
		}
		fact_add(o, mark->attribute, FACT_FOREIGN);
	}
	return 0;
}

static void
exchange_open(struct opening *o)
{
	const struct export_policy *p = o->options->policy;

	fact_add(o, "msExchHideFromAddressLists", FACT_HIDDEN);
	fact_add(o, "legacyExchangeDN", FACT_LEGACY);
	if (p->closed != EXPORT_CLOSED_INCLUDE) {
		fact_add(o, "msExchRequireAuthToSendTo", FACT_OUTSIDERS);
		fact_add(o, "authOrig", FACT_SENDERS);
		fact_add(o, "dLMemSubmitPerms", FACT_SENDERS);
	}
	if (!p->disabled || p->delegation) {
		fact_add(o, "userAccountControl", FACT_ACCOUNT);
		fact_add(o, "msExchMasterAccountSid", FACT_MASTER_SID);
	}
	if (p->delegation) {
		fact_add(o, "objectSid", FACT_SID);
		fact_add(o, "groupType", FACT_GROUP_TYPE);
	}
}

int
facts_open(const struct facts_options *options, struct attributes *attributes,
    struct facts_finder **out_finder, struct err *err)
{
	struct opening o = {.finder = mem_calloc(1, sizeof(*o.finder)),
	    .attributes = attributes,
	    .options = options};

	*out_finder = NULL;
	o.finder->legacy = slice_str(options->legacy_prefix);
	if (options->provenance != NULL)
		fact_add(
		    &o, name_given(&o, options->provenance), FACT_PROVENANCE);
	/* Where it stood before somebody set another one. */
	fact_add(&o,
	    options->kind == DIALECT_OPENLDAP ? DIALECT_PROVENANCE_OPENLDAP
					      : DIALECT_PROVENANCE_AD,
	    FACT_PROVENANCE);
	if (options->kind != DIALECT_OPENLDAP)
		exchange_open(&o);
	if (mark_open(&o, err) < 0 || foreign_open(&o, err) < 0) {
		facts_close(o.finder);
		return -1;
	}
	*out_finder = o.finder;
	return 0;
}

void
facts_close(struct facts_finder *finder)
{
	if (finder == NULL)
		return;
	for (size_t i = 0; i < finder->foreign_count; i++)
		free(finder->foreign[i].attribute);
	free(finder->foreign);
	nametable_fini(&finder->facts);
	free(finder);
}

/* --- finding --- */

static bool
any_equal(const struct search_attribute *a, struct slice text)
{
	for (size_t i = 0; i < a->value_count; i++)
		if (slice_equal_case(slice_trim(a->values[i]), text))
			return true;
	return false;
}

static bool
any_starts(const struct search_attribute *a, struct slice prefix)
{
	for (size_t i = 0; i < a->value_count; i++)
		if (slice_starts_case(slice_trim(a->values[i]), prefix))
			return true;
	return false;
}

/* As views.h makes them: prefix, id, hyphen, member. The prefix alone might be
 * that of a forest's own recipients. */
static bool
any_own_legacy(const struct search_attribute *a, struct slice prefix)
{
	for (size_t i = 0; i < a->value_count; i++) {
		struct slice rest = slice_trim(a->values[i]);
		size_t digits = 0;

		if (!slice_starts_case(rest, prefix))
			continue;
		rest = slice_sub(rest, prefix.len, rest.len);
		while (digits < rest.len && isxdigit(rest.data[digits]) != 0)
			digits++;
		if (digits == ID_HEX_SIZE - 1 && rest.len > digits + 1 &&
		    rest.data[digits] == '-')
			return true;
	}
	return false;
}

/* A decimal number of 32 bits, as directories write flags: with a sign. */
static uint32_t
flags_of(const struct search_attribute *a)
{
	struct slice text = a->value_count == 0 ? SLICE_NULL : a->values[0];
	bool negative = text.len > 0 && text.data[0] == '-';
	uint32_t n = 0;

	for (size_t i = negative; i < text.len && i < 11; i++)
		n = n * 10 + (uint32_t)(text.data[i] - '0');
	return negative ? 0U - n : n;
}

/* A DN may come with ids before it. */
static struct slice
mark_text(struct slice value)
{
	return slice_starts_case(value, SLICE_LIT("<GUID="))
		   ? reference_name(value)
		   : slice_trim(value);
}

static void
foreign_find(const struct facts_finder *f, const char *name,
    const struct search_attribute *a, struct facts *out)
{
	for (size_t i = 0; i < f->foreign_count; i++) {
		const struct foreign *mark = &f->foreign[i];

		if (!slice_name_equal(mark->attribute, name))
			continue;
		for (size_t k = 0; k < a->value_count; k++)
			if (pattern_matches(
				mark->pattern, mark_text(a->values[k])))
				out->foreign |= mark->kinds;
	}
}

static void
fact_take(const struct facts_finder *f, const struct search_attribute *a,
    unsigned fact, struct facts *out)
{
	if ((fact & FACT_MARK) != 0)
		out->marked = out->marked || any_equal(a, f->mark);
	if ((fact & FACT_PROVENANCE) != 0)
		out->own = out->own ||
			   any_starts(a, SLICE_LIT(FACTS_PROVENANCE_PREFIX));
	if ((fact & FACT_LEGACY) != 0 && f->legacy.len > 0)
		out->own_legacy = any_own_legacy(a, f->legacy);
	if ((fact & FACT_HIDDEN) != 0)
		out->hidden = any_equal(a, SLICE_LIT("TRUE"));
	if ((fact & FACT_ACCOUNT) != 0)
		out->disabled = (flags_of(a) & ACCOUNT_DISABLED) != 0;
	if ((fact & FACT_OUTSIDERS) != 0)
		out->closed = out->closed || any_equal(a, SLICE_LIT("TRUE"));
	if ((fact & FACT_SENDERS) != 0)
		out->closed = out->closed || a->value_count > 0;
	if (a->value_count == 0)
		return;
	if ((fact & FACT_SID) != 0)
		out->sid = a->values[0];
	if ((fact & FACT_MASTER_SID) != 0) {
		out->master_sid = a->values[0];
		out->linked = true;
	}
	if ((fact & FACT_GROUP_TYPE) != 0)
		out->security_group = (flags_of(a) & GROUP_SECURITY) != 0;
}

/* What Exchange's set-up names its own mailboxes, where an old one did not
 * write a type: "HealthMailbox1a2b3c4...", "SystemMailbox{1f05a927-...". */
static bool
is_system_name(const char *dn)
{
	static const struct {
		struct slice prefix;
		bool digits; /* hexadecimal ones follow */
	} names[] = {{SLICE_LIT("CN=HealthMailbox"), true},
	    {SLICE_LIT("CN=SystemMailbox{"), true},
	    {SLICE_LIT("CN=DiscoverySearchMailbox {"), true},
	    {SLICE_LIT("CN=FederatedEmail.4c1f4d8b-"), false},
	    {SLICE_LIT("CN=Migration.8f3e7716-"), false}};
	struct slice text = slice_str(dn);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t at = names[i].prefix.len, digits = 0;

		if (!slice_starts_case(text, names[i].prefix))
			continue;
		while (at + digits < text.len &&
		       isxdigit(text.data[at + digits]) != 0)
			digits++;
		if (!names[i].digits || digits >= 7)
			return true;
	}
	return false;
}

/* A server gives "businessCategory;lang-de" to who asks for businessCategory,
 * and whatever its options it is one (RFC 4512 section 2.5.2). */
static const char *
name_plain(const char *name, char room[FACTS_NAME_SIZE])
{
	const char *end = strchr(name, ';');
	size_t len;

	if (end == NULL || (size_t)(end - name) >= FACTS_NAME_SIZE)
		return name;
	len = (size_t)(end - name);
	memcpy(room, name, len);
	room[len] = '\0';
	return room;
}

static void
attribute_take(const struct facts_finder *finder,
    const struct search_attribute *a, struct facts *out)
{
	char room[FACTS_NAME_SIZE];
	const char *name = name_plain(a->name, room);
	unsigned fact = nametable_get(&finder->facts, name);

	if (fact != 0)
		fact_take(finder, a, fact, out);
	if ((fact & FACT_FOREIGN) != 0)
		foreign_find(finder, name, a, out);
}

void
facts_find(const struct facts_finder *finder, const struct search_entry *entry,
    struct facts *out_facts)
{
	memset(out_facts, 0, sizeof(*out_facts));
	out_facts->system = is_system_name(entry->dn);
	for (size_t i = 0; i < entry->attribute_count; i++)
		attribute_take(finder, &entry->attributes[i], out_facts);
}

static bool
is_answered(enum facts_question question, const struct facts *facts)
{
	switch (question) {
	case FACTS_OWN:
		return facts->own || facts->own_legacy;
	case FACTS_FOREIGN:
		return facts->foreign != 0;
	case FACTS_MARKED:
		return facts->marked;
	case FACTS_DISABLED:
		return facts->disabled;
	case FACTS_HIDDEN:
		return facts->hidden;
	case FACTS_CLOSED:
		return facts->closed;
	}
	return false;
}

const char *
facts_source(const struct facts_finder *finder,
    const struct search_entry *entry, enum facts_question question)
{
	for (size_t i = 0; i < entry->attribute_count; i++) {
		const struct search_attribute *a = &entry->attributes[i];
		struct facts facts = {.own = false};

		attribute_take(finder, a, &facts);
		if (is_answered(question, &facts))
			return a->name;
	}
	return NULL;
}
