#include "spoke/shape.h"

#include <strings.h>
#include "spoke/address.h"

/* A directory allows more; no person has them. */
#define SHAPE_ADDRESSES_MAX 1024

/* FEATURES E10: the objects themselves, and what mail needs. */
static const char *const mandatory[] = {"cn", "givenName", "legacyExchangeDN",
    "mail", "mailNickname", "proxyAddresses", "sn", "targetAddress", NULL};

/* What both presets carry. */
static const char *const minimal[] = {"c", "co", "company", "countryCode",
    "department", "displayName", "displayNamePrintable",
    "facsimileTelephoneNumber", "initials", "ipPhone", "l", "mobile",
    "msDS-PhoneticCompanyName", "msDS-PhoneticDepartment",
    "msDS-PhoneticDisplayName", "msDS-PhoneticFirstName",
    "msDS-PhoneticLastName", "msExchAssistantName",
    "msExchHideFromAddressLists", "pager", "personalTitle",
    "physicalDeliveryOfficeName", "postOfficeBox", "postalCode", "st",
    "streetAddress", "telephoneAssistant", "telephoneNumber", "title",
    "userSMIMECertificate", "wWWHomePage", NULL};

/* What only the full preset carries. */
static const char *const full[] = {"description", "employeeID",
    "employeeNumber", "employeeType", "extensionAttribute1",
    "extensionAttribute10", "extensionAttribute11", "extensionAttribute12",
    "extensionAttribute13", "extensionAttribute14", "extensionAttribute15",
    "extensionAttribute2", "extensionAttribute3", "extensionAttribute4",
    "extensionAttribute5", "extensionAttribute6", "extensionAttribute7",
    "extensionAttribute8", "extensionAttribute9", "homePhone", "info", NULL};

static const struct {
	const char *text, *key;
} reasons[] = {
    [SHAPE_EXPORTED] = {"exported", "exported"},
    [SHAPE_EXCLUDED] = {"left out by place", "excluded"},
    [SHAPE_OWN] = {"imported by galrelay", "own"},
    [SHAPE_KIND] = {"no recipient", "kind"},
    [SHAPE_MARKED] = {"marked not to be exported", "marked"},
    [SHAPE_HIDDEN] = {"hidden from address lists", "hidden"},
    [SHAPE_NO_ADDRESS] = {"without mail address", "no_address"},
    [SHAPE_ERROR] = {"unreadable", "error"},
};
_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == SHAPE_REASON_COUNT,
    "every reason has its words");

const char *
shape_reason_text(enum shape_reason reason)
{
	return reasons[reason].text;
}

const char *
shape_reason_key(enum shape_reason reason)
{
	return reasons[reason].key;
}

static size_t
kind_index(Galr__Kind kind)
{
	return (unsigned)kind < SHAPE_KIND_COUNT ? (size_t)kind : 0;
}

void
shape_count(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason)
{
	counts->reasons[reason]++;
	counts->kinds[kind_index(kind)][reason]++;
}

void
shape_uncount(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason)
{
	counts->reasons[reason]--;
	counts->kinds[kind_index(kind)][reason]--;
}

const char *
shape_kind_name(Galr__Kind kind)
{
	static const char *const names[SHAPE_KIND_COUNT] = {"other", "user",
	    "contact", "group", "dynamic-group", "public-folder"};

	return names[kind_index(kind)];
}

static bool
list_has(const char *const *list, const char *name)
{
	for (; *list != NULL; list++)
		if (slice_name_equal(*list, name))
			return true;
	return false;
}

static bool
list_has_n(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_name_equal(list[i], name))
			return true;
	return false;
}

bool
shape_attribute_mandatory(const char *name)
{
	return list_has(mandatory, name);
}

bool
shape_attribute_allowed(const struct export_policy *policy, const char *name)
{
	if (list_has(mandatory, name))
		return true;
	if (list_has_n(policy->deny, policy->deny_count, name))
		return false;
	if (list_has_n(policy->allow, policy->allow_count, name))
		return true;
	return list_has(minimal, name) ||
	       (policy->preset == EXPORT_FULL && list_has(full, name));
}

/* extensionAttribute1 to extensionAttribute15. */
static bool
is_extension(const char *name)
{
	static const char prefix[] = "extensionAttribute";
	const char *digits = name + sizeof(prefix) - 1;
	size_t len;

	if ((name[0] | 0x20) != 'e' ||
	    strncasecmp(name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	len = strlen(digits);
	return (len == 1 && digits[0] >= '1' && digits[0] <= '9') ||
	       (len == 2 && digits[0] == '1' && digits[1] >= '0' &&
		   digits[1] <= '5');
}

/* One pass: this is asked of every entry. */
static bool
entry_marked(const struct search_entry *entry, const char *mark)
{
	if (mark == NULL || mark[0] == '\0')
		return false;
	for (size_t i = 0; i < entry->attribute_count; i++) {
		const struct search_attribute *a = &entry->attributes[i];

		if (!is_extension(a->name))
			continue;
		for (size_t k = 0; k < a->value_count; k++)
			if (slice_equal_case(
				slice_trim(a->values[k]), slice_str(mark)))
				return true;
	}
	return false;
}

static bool
entry_own(const struct search_entry *entry, const char *provenance_attribute)
{
	const struct search_attribute *attribute;

	attribute = search_find(entry, provenance_attribute);
	if (attribute == NULL)
		return false;
	for (size_t i = 0; i < attribute->value_count; i++)
		if (slice_starts_case(slice_trim(attribute->values[i]),
			SLICE_LIT(SHAPE_PROVENANCE_PREFIX)))
			return true;
	return false;
}

void
shape_facts_find(const struct export_policy *policy,
    const struct search_entry *entry, const char *provenance_attribute,
    struct shape_facts *facts)
{
	facts->own = entry_own(entry, provenance_attribute);
	facts->marked = entry_marked(entry, policy->mark);
	facts->hidden =
	    slice_equal_case(search_first(entry, "msExchHideFromAddressLists"),
		SLICE_LIT("TRUE"));
}

/* The addresses of one object while they are sorted out. */
struct addresses {
	struct arena *arena;
	struct slice *smtp; /* without prefix, as written */
	bool *flagged;      /* was written with SMTP: */
	size_t smtp_count;
	struct slice *other; /* whole X500: and sip: values */
	size_t other_count;
	size_t max;
	bool sip;
	uint64_t dropped;
};

static void
addresses_smtp(struct addresses *a, struct slice mail, bool flagged)
{
	mail = slice_trim(mail);
	if (!address_smtp_valid(mail) || mail.len + 5 > ADDRESS_PROXY_MAX) {
		a->dropped++;
		return;
	}
	for (size_t i = 0; i < a->smtp_count; i++)
		if (slice_equal_case(a->smtp[i], mail)) {
			/* The primary spelling wins over a second copy. */
			if (flagged && !a->flagged[i]) {
				a->smtp[i] = mail;
				a->flagged[i] = true;
			}
			return;
		}
	if (a->smtp_count == a->max) {
		a->dropped++;
		return;
	}
	a->smtp[a->smtp_count] = mail;
	a->flagged[a->smtp_count++] = flagged;
}

static void
addresses_other(struct addresses *a, struct slice value)
{
	if (value.len > ADDRESS_PROXY_MAX || a->other_count == a->max) {
		a->dropped++;
		return;
	}
	for (size_t i = 0; i < a->other_count; i++)
		if (slice_equal_case(a->other[i], value))
			return;
	a->other[a->other_count++] = value;
}

static void
addresses_add(struct addresses *a, struct slice value)
{
	struct slice rest;

	value = slice_trim(value);
	switch (address_parse(value, &rest)) {
	case ADDRESS_SMTP_PRIMARY:
		addresses_smtp(a, rest, true);
		return;
	case ADDRESS_SMTP:
		addresses_smtp(a, rest, false);
		return;
	case ADDRESS_X500:
		if (rest.len > 0 && slice_is_utf8(rest))
			addresses_other(a, value);
		else
			a->dropped++;
		return;
	case ADDRESS_SIP:
		if (!a->sip && address_smtp_valid(rest)) {
			a->sip = true;
			addresses_other(a, value);
		}
		return;
	case ADDRESS_OTHER:
		/* X400, EUM, NOTES and the like mean nothing elsewhere. */
		return;
	}
}

/* X500:legacyExchangeDN, so that replies to old mail resolve. */
static void
addresses_legacy(struct addresses *a, struct slice dn)
{
	struct slice prefix = SLICE_LIT("X500:");
	uint8_t *value;

	if (dn.len == 0 || !slice_is_utf8(dn))
		return;
	value = arena_alloc(a->arena, prefix.len + dn.len);
	if (value == NULL)
		return;
	memcpy(value, prefix.data, prefix.len);
	memcpy(value + prefix.len, dn.data, dn.len);
	addresses_other(a, slice_make(value, prefix.len + dn.len));
}

/* Index of the address that becomes primary: the flagged one; of several, or
 * of none, the one that mail names; else the least, so that the answer does
 * not depend on the order in which a server lists a set. */
static size_t
addresses_primary(const struct addresses *a, struct slice mail)
{
	size_t best = SIZE_MAX;
	bool any = false;

	for (size_t i = 0; i < a->smtp_count; i++)
		any = any || a->flagged[i];
	for (size_t i = 0; i < a->smtp_count; i++) {
		if (any && !a->flagged[i])
			continue;
		if (slice_equal_case(a->smtp[i], mail))
			return i;
		if (best == SIZE_MAX ||
		    slice_compare_case(a->smtp[i], a->smtp[best]) < 0)
			best = i;
	}
	return best;
}

static struct slice
smtp_value(struct arena *arena, struct slice mail, bool primary)
{
	uint8_t *value = arena_alloc(arena, mail.len + 5);

	if (value == NULL)
		return SLICE_NULL;
	memcpy(value, primary ? "SMTP:" : "smtp:", 5);
	memcpy(value + 5, mail.data, mail.len);
	return slice_make(value, mail.len + 5);
}

/* The mail part of a targetAddress, empty unless it is a valid SMTP one. */
static struct slice
target_mail(const struct object *raw)
{
	struct slice value = slice_trim(object_first(raw, "targetAddress"));
	struct slice rest;
	enum address_type type = address_parse(value, &rest);

	if (type == ADDRESS_OTHER && slice_find(value, ':') == SIZE_MAX)
		rest = value;
	else if (type != ADDRESS_SMTP && type != ADDRESS_SMTP_PRIMARY)
		return SLICE_NULL;
	return address_smtp_valid(rest) ? rest : SLICE_NULL;
}

static bool
addresses_collect(struct addresses *a, const struct shape_facts *facts,
    const struct object *raw, struct slice target)
{
	const struct object_attribute *proxies =
	    object_find(raw, "proxyAddresses");
	struct slice mail = slice_trim(object_first(raw, "mail"));
	size_t count = proxies == NULL ? 0 : proxies->value_count;

	a->max = count < SHAPE_ADDRESSES_MAX ? count + 2 : SHAPE_ADDRESSES_MAX;
	a->smtp = arena_calloc(a->arena, a->max, sizeof(*a->smtp));
	a->flagged = arena_calloc(a->arena, a->max, sizeof(*a->flagged));
	a->other = arena_calloc(a->arena, a->max, sizeof(*a->other));
	if (a->smtp == NULL || a->flagged == NULL || a->other == NULL)
		return false;
	/* First, so that a full list never loses it. */
	addresses_legacy(a, slice_trim(object_first(raw, "legacyExchangeDN")));
	for (size_t i = 0; i < count; i++)
		addresses_add(a, proxies->values[i]);
	if (raw->kind == GALR__KIND__KIND_CONTACT && target.len > 0 &&
	    a->smtp_count == 0)
		addresses_smtp(a, target, true);
	/* Where Exchange rules, mail alone does not make a recipient. */
	if (!facts->exchange && mail.len > 0)
		addresses_smtp(a, mail, a->smtp_count == 0);
	return true;
}

struct shaper {
	const struct export_policy *policy;
	struct arena *arena;
	struct object_attribute *attributes;
	size_t count;
};

static void
shaper_add(struct shaper *s, const char *name, const struct slice *values,
    size_t count)
{
	s->attributes[s->count++] = (struct object_attribute){
	    .name = name, .values = values, .value_count = count};
}

static void
shaper_add_one(struct shaper *s, const char *name, struct slice value)
{
	struct slice *copy = arena_alloc(s->arena, sizeof(*copy));

	if (copy == NULL || value.len == 0)
		return;
	*copy = value;
	shaper_add(s, name, copy, 1);
}

static void
shaper_addresses(struct shaper *s, const struct addresses *a, size_t primary,
    struct slice target)
{
	struct slice *values;
	size_t count = 0;

	values = arena_calloc(
	    s->arena, a->smtp_count + a->other_count, sizeof(*values));
	if (values == NULL)
		return;
	for (size_t i = 0; i < a->smtp_count; i++)
		values[count++] =
		    smtp_value(s->arena, a->smtp[i], i == primary);
	for (size_t i = 0; i < a->other_count; i++)
		values[count++] = a->other[i];
	shaper_add(s, "proxyAddresses", values, count);
	shaper_add_one(s, "mail", a->smtp[primary]);
	shaper_add_one(s, "targetAddress",
	    smtp_value(
		s->arena, target.len > 0 ? target : a->smtp[primary], true));
}

static bool
attribute_composed(const char *name)
{
	return slice_name_equal(name, "proxyAddresses") ||
	       slice_name_equal(name, "mail") ||
	       slice_name_equal(name, "targetAddress");
}

static enum shape_reason
shape_judge(const struct export_policy *policy, const struct shape_facts *facts,
    const struct object *raw)
{
	if (facts->excluded)
		return SHAPE_EXCLUDED;
	if (facts->own)
		return SHAPE_OWN;
	if (raw->kind == GALR__KIND__KIND_UNSPECIFIED)
		return SHAPE_KIND;
	if (facts->marked)
		return SHAPE_MARKED;
	if (facts->hidden && !policy->hidden)
		return SHAPE_HIDDEN;
	return SHAPE_EXPORTED;
}

enum shape_reason
shape_object(const struct export_policy *policy,
    const struct shape_facts *facts, const struct object *raw,
    struct arena *arena, struct object *out_object, struct shape_counts *counts)
{
	struct addresses addresses = {.arena = arena};
	struct shaper shaper = {.policy = policy, .arena = arena};
	enum shape_reason reason = shape_judge(policy, facts, raw);
	bool contact = raw->kind == GALR__KIND__KIND_CONTACT;
	struct slice target;
	size_t primary;

	if (reason != SHAPE_EXPORTED)
		return reason;
	target = contact ? target_mail(raw) : SLICE_NULL;
	if (contact && facts->exchange && target.len == 0)
		return SHAPE_NO_ADDRESS;
	if (!addresses_collect(&addresses, facts, raw, target))
		return SHAPE_ERROR;
	primary = addresses_primary(
	    &addresses, slice_trim(object_first(raw, "mail")));
	if (primary == SIZE_MAX)
		return SHAPE_NO_ADDRESS;
	shaper.attributes = arena_calloc(
	    arena, raw->attribute_count + 3, sizeof(*shaper.attributes));
	if (shaper.attributes == NULL)
		return SHAPE_ERROR;
	for (size_t i = 0; i < raw->attribute_count; i++) {
		const struct object_attribute *a = &raw->attributes[i];

		if (!attribute_composed(a->name) &&
		    shape_attribute_allowed(policy, a->name))
			shaper_add(&shaper, a->name, a->values, a->value_count);
	}
	shaper_addresses(&shaper, &addresses, primary, target);
	counts->addresses_dropped += addresses.dropped;
	*out_object = *raw;
	out_object->attributes = shaper.attributes;
	out_object->attribute_count = shaper.count;
	return SHAPE_EXPORTED;
}
