#include "spoke/export/shape/addresses.h"

#include <stdlib.h>

#include "spoke/address.h"

/* A directory allows more; no person has them. */
#define ADDRESSES_MAX 1024

/* The addresses of one object while they are sorted out. */
struct sorter {
	struct arena *arena;
	struct values_notes *notes;
	struct slice *smtp; /* without prefix, as written */
	bool *flagged;      /* was written with SMTP: */
	size_t smtp_count;
	struct slice *other; /* whole X500: values */
	size_t other_count;
	size_t max;
	struct slice sip; /* whole */
};

static void
sorter_smtp(struct sorter *s, const char *from, struct slice mail, bool flagged)
{
	mail = slice_trim(mail);
	if (!address_smtp_valid(mail) || mail.len + 5 > ADDRESS_PROXY_MAX) {
		values_drop(s->notes, VALUES_ADDRESS, from, mail);
		return;
	}
	for (size_t i = 0; i < s->smtp_count; i++)
		if (slice_equal_case(s->smtp[i], mail)) {
			/* The primary spelling wins over a second copy, and of
			 * two such the least, whatever the server's order. */
			if (flagged != s->flagged[i]
				? flagged
				: slice_compare(mail, s->smtp[i]) < 0)
				s->smtp[i] = mail;
			s->flagged[i] = s->flagged[i] || flagged;
			return;
		}
	if (s->smtp_count == s->max) {
		values_drop(s->notes, VALUES_LARGE, from, mail);
		return;
	}
	s->smtp[s->smtp_count] = mail;
	s->flagged[s->smtp_count++] = flagged;
}

static void
sorter_x500(struct sorter *s, const char *from, struct slice value)
{
	if (value.len > ADDRESS_PROXY_MAX || s->other_count == s->max) {
		values_drop(s->notes, VALUES_LARGE, from, value);
		return;
	}
	for (size_t i = 0; i < s->other_count; i++)
		if (slice_equal_case(s->other[i], value)) {
			if (slice_compare(value, s->other[i]) < 0)
				s->other[i] = value;
			return;
		}
	s->other[s->other_count++] = value;
}

/* Of several the least, so that the answer does not depend on the order in
 * which a server lists a set. */
static void
sorter_sip(struct sorter *s, struct slice value, struct slice rest)
{
	struct slice before = s->sip;
	bool same = slice_equal_case(value, before);

	if (!address_smtp_valid(rest)) {
		values_drop(s->notes, VALUES_ADDRESS, "proxyAddresses", value);
		return;
	}
	if (before.len == 0 || (same ? slice_compare(value, before)
				     : slice_compare_case(value, before)) < 0)
		s->sip = value;
	if (before.len > 0 && !same)
		values_drop(s->notes, VALUES_SIP, "proxyAddresses",
		    s->sip.data == value.data ? before : value);
}

static void
sorter_proxy(struct sorter *s, struct slice value)
{
	struct slice rest;

	value = slice_trim(value);
	switch (address_parse(value, &rest)) {
	case ADDRESS_SMTP_PRIMARY:
		sorter_smtp(s, "proxyAddresses", rest, true);
		return;
	case ADDRESS_SMTP:
		sorter_smtp(s, "proxyAddresses", rest, false);
		return;
	case ADDRESS_X500:
		value = values_clean(value, ATTRIBUTES_TEXT, "proxyAddresses",
		    s->arena, s->notes);
		if (value.len > strlen("X500:"))
			sorter_x500(s, "proxyAddresses", value);
		return;
	case ADDRESS_SIP:
		sorter_sip(s, value, rest);
		return;
	case ADDRESS_OTHER:
		if (value.len > 0)
			values_drop(
			    s->notes, VALUES_OTHER, "proxyAddresses", value);
		return;
	}
}

static struct slice
prefixed(struct arena *arena, const char *prefix, struct slice rest)
{
	size_t len = strlen(prefix);
	uint8_t *value = arena_alloc(arena, len + rest.len);

	if (value == NULL)
		return SLICE_NULL;
	memcpy(value, prefix, len);
	memcpy(value + len, rest.data, rest.len);
	return slice_make(value, len + rest.len);
}

static void
sorter_legacy(struct sorter *s, const struct object *raw)
{
	struct slice dn = values_clean(object_first(raw, "legacyExchangeDN"),
	    ATTRIBUTES_TEXT, "legacyExchangeDN", s->arena, s->notes);

	if (dn.len > 0)
		dn = prefixed(s->arena, "X500:", dn);
	if (dn.len > 0)
		sorter_x500(s, "legacyExchangeDN", dn);
}

/* Index of the address that becomes primary: the flagged one; of several, or
 * of none, the one that mail names; else the least, so that the answer does
 * not depend on the order in which a server lists a set. */
static size_t
sorter_primary(const struct sorter *s, struct slice mail)
{
	size_t best = SIZE_MAX;
	bool any = false;

	for (size_t i = 0; i < s->smtp_count; i++)
		any = any || s->flagged[i];
	for (size_t i = 0; i < s->smtp_count; i++) {
		if (any && !s->flagged[i])
			continue;
		if (slice_equal_case(s->smtp[i], mail))
			return i;
		if (best == SIZE_MAX ||
		    slice_compare_case(s->smtp[i], s->smtp[best]) < 0)
			best = i;
	}
	return best;
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

static int
compare(const void *a, const void *b)
{
	return slice_compare(
	    *(const struct slice *)a, *(const struct slice *)b);
}

/* Of more than are taken the same ones stay, whatever the server's order; and
 * "SMTP:" sorts before "smtp:", so that none of them is the primary one. NULL:
 * no room. */
static const struct slice *
values_order(
    const struct object_attribute *proxies, size_t count, struct arena *arena)
{
	struct slice *copy;

	if (count <= ADDRESSES_MAX)
		return proxies == NULL ? NULL : proxies->values;
	copy = arena_calloc(arena, count, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		copy[i] = slice_trim(proxies->values[i]);
	qsort(copy, count, sizeof(*copy), compare);
	return copy;
}

static bool
sorter_collect(struct sorter *s, const struct object *raw, bool exchange,
    struct slice target)
{
	const struct object_attribute *proxies =
	    object_find(raw, "proxyAddresses");
	struct slice mail = slice_trim(object_first(raw, "mail"));
	size_t count = proxies == NULL ? 0 : proxies->value_count;
	const struct slice *values = values_order(proxies, count, s->arena);

	s->max = count < ADDRESSES_MAX ? count + 2 : ADDRESSES_MAX;
	s->smtp = arena_calloc(s->arena, s->max, sizeof(*s->smtp));
	s->flagged = arena_calloc(s->arena, s->max, sizeof(*s->flagged));
	s->other = arena_calloc(s->arena, s->max, sizeof(*s->other));
	if (s->smtp == NULL || s->flagged == NULL || s->other == NULL ||
	    (values == NULL && count > 0))
		return false;
	/* First, so that a full list never loses it. */
	sorter_legacy(s, raw);
	for (size_t i = 0; i < count; i++)
		sorter_proxy(s, values[i]);
	if (raw->kind == GALR__KIND__KIND_CONTACT && target.len > 0 &&
	    s->smtp_count == 0)
		sorter_smtp(s, "targetAddress", target, true);
	/* Where Exchange rules, mail alone does not make a recipient. */
	if (!exchange && mail.len > 0)
		sorter_smtp(s, "mail", mail, s->smtp_count == 0);
	return true;
}

static bool
addresses_fill(const struct sorter *s, size_t primary, struct slice target,
    struct addresses *out)
{
	bool fine;

	out->primary = s->smtp[primary];
	out->values = arena_calloc(
	    s->arena, s->smtp_count + s->other_count + 1, sizeof(*out->values));
	out->target =
	    prefixed(s->arena, "SMTP:", target.len > 0 ? target : out->primary);
	if (out->values == NULL)
		return false;
	fine = out->target.len > 0;
	for (size_t i = 0; i < s->smtp_count; i++) {
		out->values[out->count] = prefixed(
		    s->arena, i == primary ? "SMTP:" : "smtp:", s->smtp[i]);
		fine = fine && out->values[out->count++].len > 0;
	}
	for (size_t i = 0; i < s->other_count; i++)
		out->values[out->count++] = s->other[i];
	if (s->sip.len > 0)
		out->values[out->count++] = s->sip;
	return fine;
}

enum addresses_answer
addresses_find(const struct object *raw, bool exchange, bool own_target,
    struct arena *arena, struct values_notes *notes,
    struct addresses *out_addresses)
{
	struct sorter s = {.arena = arena, .notes = notes};
	bool contact = raw->kind == GALR__KIND__KIND_CONTACT;
	struct slice target =
	    contact || own_target ? target_mail(raw) : SLICE_NULL;
	size_t primary;

	*out_addresses = (struct addresses){0};
	if (contact && exchange && target.len == 0)
		return ADDRESSES_NONE;
	if (!sorter_collect(&s, raw, exchange, target))
		return ADDRESSES_TOO_MANY;
	primary = sorter_primary(&s, slice_trim(object_first(raw, "mail")));
	if (primary == SIZE_MAX)
		return ADDRESSES_NONE;
	return addresses_fill(&s, primary, target, out_addresses)
		   ? ADDRESSES_FINE
		   : ADDRESSES_TOO_MANY;
}
