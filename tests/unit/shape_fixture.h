/* Entries as a server gives them, and what an export policy makes of them. */
#ifndef TESTS_UNIT_SHAPE_FIXTURE_H
#define TESTS_UNIT_SHAPE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "spoke/export/shape/shape.h"

static struct arena *arena;

struct given {
	const char *name;
	const char *values[6];
};

static const struct export_policy plain = {
    .name = "staff", .mark = "NoGALsync", .disabled = true, .source_dn = true};
/* Of the last answer. */
static struct shape_case last;

/* What the policy makes of an entry with these attributes, on a directory of
 * that kind. */
static inline enum shape_reason
shape_kind(const struct export_policy *policy, enum dialect_kind dialect,
    Galr__Kind kind, const struct given *given, struct object *out)
{
	static struct slice values[24][6];
	static struct object_attribute list[24];
	static struct search_attribute found[24];
	static struct search_entry entry;
	static struct object raw;
	const struct shape_options options = {.policy = policy,
	    .kind = dialect,
	    .provenance = "extensionName",
	    .legacy_prefix = SPOKE_CONF_LEGACY_PREFIX};
	struct shape *made = NULL;
	enum shape_reason reason;

	raw = (struct object){.kind = kind,
	    .source_dn = "CN=Anna,OU=Staff,DC=north,DC=example",
	    .attributes = list};
	entry = (struct search_entry){raw.source_dn, found, 0};
	for (; given->name != NULL; given++) {
		size_t n = raw.attribute_count++, k = 0;

		for (; k < 6 && given->values[k] != NULL; k++)
			values[n][k] = slice_str(given->values[k]);
		list[n] = (struct object_attribute){given->name, values[n], k};
		found[n] = (struct search_attribute){given->name, values[n], k};
		if (strcmp(given->name, "dn") == 0)
			entry.dn = given->values[0];
		if (strcmp(given->name, "type") == 0)
			raw.recipient_type =
			    strtoll(given->values[0], NULL, 10);
	}
	entry.attribute_count = raw.attribute_count;
	arena_reset(arena);
	memset(&last, 0, sizeof(last));
	last.entry = &entry;
	last.raw = &raw;
	assert_int_equal(shape_open(&options, &made, NULL), 0);
	reason = shape_object(made, arena, &last);
	shape_close(made);
	*out = last.object;
	return reason;
}

static inline enum shape_reason
shape(const struct export_policy *policy, Galr__Kind kind,
    const struct given *given, struct object *out)
{
	return shape_kind(policy, DIALECT_EXCHANGE, kind, given, out);
}

static inline bool
has(const struct object *object, const char *name, const char *value)
{
	const struct object_attribute *a = object_find(object, name);

	for (size_t i = 0; a != NULL && i < a->value_count; i++)
		if (slice_equal(a->values[i], slice_str(value)))
			return true;
	return false;
}

static inline size_t
count_of(const struct object *object, const char *name)
{
	const struct object_attribute *a = object_find(object, name);

	return a == NULL ? 0 : a->value_count;
}

static inline size_t
count_primary(const struct object *object)
{
	const struct object_attribute *a =
	    object_find(object, "proxyAddresses");
	size_t n = 0;

	for (size_t i = 0; a != NULL && i < a->value_count; i++)
		n += a->values[i].len > 5 &&
		     memcmp(a->values[i].data, "SMTP:", 5) == 0;
	return n;
}

#define USER GALR__KIND__KIND_USER
#define GIVEN(...) ((const struct given[]){__VA_ARGS__, {NULL, {NULL}}})
#define ANNA                                                                   \
	"proxyAddresses",                                                      \
	{                                                                      \
		"SMTP:anna@north.example"                                      \
	}

#endif
