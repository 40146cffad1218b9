/* The export policy: one answer for each entry, clean addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "spoke/shape.h"

static struct arena *arena;
static struct shape_counts counts;

struct given {
	const char *name;
	const char *values[6];
};

/* What the policy makes of a user with these attributes. */
static enum shape_reason
shape(const struct export_policy *policy, const struct shape_facts *facts,
    Galr__Kind kind, const struct given *given, struct object *out)
{
	static struct slice values[16][6];
	static struct object_attribute list[16];
	struct object raw = {.kind = kind,
	    .source_dn = "CN=Anna,OU=Staff,DC=north,DC=example",
	    .attributes = list};

	for (; given->name != NULL; given++) {
		struct object_attribute *a = &list[raw.attribute_count];

		a->name = given->name;
		a->values = values[raw.attribute_count++];
		a->value_count = 0;
		while (a->value_count < 6 && given->values[a->value_count]) {
			values[raw.attribute_count - 1][a->value_count] =
			    slice_str(given->values[a->value_count]);
			a->value_count++;
		}
	}
	arena_reset(arena);
	memset(out, 0, sizeof(*out));
	return shape_object(policy, facts, &raw, arena, out, &counts);
}

static const struct export_policy plain = {.mark = "NoGALsync"};
static const struct shape_facts exchange = {.exchange = true};
static const struct shape_facts no_exchange;

static bool
has(const struct object *object, const char *name, const char *value)
{
	const struct object_attribute *a = object_find(object, name);

	for (size_t i = 0; a != NULL && i < a->value_count; i++)
		if (slice_equal(a->values[i], slice_str(value)))
			return true;
	return false;
}

static size_t
count_of(const struct object *object, const char *name)
{
	const struct object_attribute *a = object_find(object, name);

	return a == NULL ? 0 : a->value_count;
}

static size_t
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

static void
test_only_with_an_address(void **state)
{
	struct object o;

	(void)state;
	assert_int_equal(
	    shape(&plain, &exchange, USER, GIVEN({ANNA}), &o), SHAPE_EXPORTED);
	/* Exchange rules: mail alone makes no recipient. */
	assert_int_equal(shape(&plain, &exchange, USER,
			     GIVEN({"mail", {"anna@north.example"}}), &o),
	    SHAPE_NO_ADDRESS);
	assert_int_equal(shape(&plain, &no_exchange, USER,
			     GIVEN({"mail", {"anna@north.example"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "proxyAddresses", "SMTP:anna@north.example"));
	assert_true(has(&o, "targetAddress", "SMTP:anna@north.example"));
	/* A contact needs its target. */
	assert_int_equal(shape(&plain, &exchange, GALR__KIND__KIND_CONTACT,
			     GIVEN({ANNA}), &o),
	    SHAPE_NO_ADDRESS);
	assert_int_equal(
	    shape(&plain, &exchange, GALR__KIND__KIND_CONTACT,
		GIVEN({"targetAddress", {"SMTP:ext@other.example"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "targetAddress", "SMTP:ext@other.example"));
	assert_true(has(&o, "mail", "ext@other.example"));
}

static void
test_one_reason_in_order(void **state)
{
	struct shape_facts facts = {.excluded = true,
	    .own = true,
	    .marked = true,
	    .hidden = true,
	    .exchange = true};
	struct export_policy hidden_too = plain;
	struct object o;

	(void)state;
	hidden_too.hidden = true;
	assert_int_equal(
	    shape(&plain, &facts, USER, GIVEN({ANNA}), &o), SHAPE_EXCLUDED);
	facts.excluded = false;
	assert_int_equal(
	    shape(&plain, &facts, USER, GIVEN({ANNA}), &o), SHAPE_OWN);
	facts.own = false;
	assert_int_equal(shape(&plain, &facts, GALR__KIND__KIND_UNSPECIFIED,
			     GIVEN({ANNA}), &o),
	    SHAPE_KIND);
	assert_int_equal(
	    shape(&plain, &facts, USER, GIVEN({ANNA}), &o), SHAPE_MARKED);
	facts.marked = false;
	assert_int_equal(
	    shape(&plain, &facts, USER, GIVEN({ANNA}), &o), SHAPE_HIDDEN);
	assert_int_equal(shape(&hidden_too, &facts, USER, GIVEN({ANNA}), &o),
	    SHAPE_EXPORTED);
	facts.hidden = false;
	assert_int_equal(
	    shape(&plain, &facts, USER, GIVEN({"cn", {"Anna"}}), &o),
	    SHAPE_NO_ADDRESS);
}

static void
find_facts(const struct export_policy *policy, const char *name,
    const char *value, struct shape_facts *out)
{
	struct slice v = slice_str(value);
	const struct search_attribute a = {name, &v, 1};
	const struct search_entry entry = {
	    "CN=Anna,OU=Sub,OU=Staff,DC=north,DC=example", &a, 1};

	memset(out, 0, sizeof(*out));
	shape_facts_find(policy, &entry, "extensionName", out);
}

static void
test_facts(void **state)
{
	struct export_policy other = plain;
	struct shape_facts f;

	(void)state;
	find_facts(&plain, "extensionAttribute15", " nogalSYNC ", &f);
	assert_true(f.marked);
	find_facts(&plain, "extensionAttribute7", "NoGALsync please", &f);
	assert_false(f.marked);
	find_facts(&plain, "extensionAttribute16", "NoGALsync", &f);
	assert_false(f.marked);
	other.mark = "";
	find_facts(&other, "extensionAttribute1", "NoGALsync", &f);
	assert_false(f.marked);
	find_facts(&plain, "msExchHideFromAddressLists", "TRUE", &f);
	assert_true(f.hidden);
	find_facts(&plain, "msExchHideFromAddressLists", "FALSE", &f);
	assert_false(f.hidden);
	find_facts(&plain, "extensionName", "galrelay:aa:WEST:bb", &f);
	assert_true(f.own);
	find_facts(&plain, "extensionName", "something", &f);
	assert_false(f.own);
}

static void
test_exactly_one_primary(void **state)
{
	struct object o;

	(void)state;
	/* Two primaries: the one that mail names. */
	assert_int_equal(shape(&plain, &exchange, USER,
			     GIVEN({"proxyAddresses",
				       {"SMTP:b@n.example", "SMTP:a@n.example",
					   "smtp:c@n.example"}},
				 {"mail", {"B@n.example"}}),
			     &o),
	    SHAPE_EXPORTED);
	assert_int_equal(count_primary(&o), 1);
	assert_true(has(&o, "proxyAddresses", "SMTP:b@n.example"));
	assert_true(has(&o, "proxyAddresses", "smtp:a@n.example"));
	assert_true(has(&o, "mail", "b@n.example"));
	/* None, and mail elsewhere: the least. */
	assert_int_equal(shape(&plain, &exchange, USER,
			     GIVEN({"proxyAddresses",
				 {"smtp:z@n.example", "smtp:a@n.example"}}),
			     &o),
	    SHAPE_EXPORTED);
	assert_int_equal(count_primary(&o), 1);
	assert_true(has(&o, "proxyAddresses", "SMTP:a@n.example"));
}

static void
test_addresses_are_cleaned(void **state)
{
	uint64_t before = counts.addresses_dropped;
	struct object o;

	(void)state;
	assert_int_equal(
	    shape(&plain, &exchange, USER,
		GIVEN({"proxyAddresses",
			  {"SMTP:a@n.example", "smtp:A@N.example",
			      "smtp:not an address", "X400:c=us;a= ;",
			      "sip:a@n.example", "sip:other@n.example"}},
		    {"legacyExchangeDN", {"/o=n/cn=a"}}),
		&o),
	    SHAPE_EXPORTED);
	assert_int_equal(count_of(&o, "proxyAddresses"), 3);
	assert_true(has(&o, "proxyAddresses", "SMTP:a@n.example"));
	assert_true(has(&o, "proxyAddresses", "sip:a@n.example"));
	assert_true(has(&o, "proxyAddresses", "X500:/o=n/cn=a"));
	assert_true(has(&o, "legacyExchangeDN", "/o=n/cn=a"));
	assert_int_equal(counts.addresses_dropped, before + 1);
}

static void
test_attributes(void **state)
{
	static const char *const deny[] = {"title"};
	static const char *const allow[] = {"msRTCSIP-UserEnabled"};
	struct export_policy minimal = plain;
	struct export_policy chosen = plain;
	struct object o;

	(void)state;
	minimal.preset = EXPORT_MINIMAL;
	chosen.deny = deny;
	chosen.deny_count = 1;
	chosen.allow = allow;
	chosen.allow_count = 1;
#define MANY                                                                   \
	GIVEN({ANNA}, {"title", {"Dr"}}, {"homePhone", {"1"}},                 \
	    {"cn", {"Anna"}}, {"msRTCSIP-UserEnabled", {"TRUE"}},              \
	    {"userPassword", {"secret"}}, {"description", {"d"}})
	shape(&plain, &exchange, USER, MANY, &o);
	assert_true(has(&o, "title", "Dr"));
	assert_true(has(&o, "homePhone", "1"));
	assert_int_equal(count_of(&o, "msRTCSIP-UserEnabled"), 0);
	assert_int_equal(count_of(&o, "userPassword"), 0);
	shape(&minimal, &exchange, USER, MANY, &o);
	assert_true(has(&o, "title", "Dr"));
	assert_true(has(&o, "cn", "Anna"));
	assert_int_equal(count_of(&o, "homePhone"), 0);
	assert_int_equal(count_of(&o, "description"), 0);
	shape(&chosen, &exchange, USER, MANY, &o);
	assert_int_equal(count_of(&o, "title"), 0);
	assert_true(has(&o, "msRTCSIP-UserEnabled", "TRUE"));
	assert_true(shape_attribute_mandatory("ProxyAddresses"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_only_with_an_address),
	    cmocka_unit_test(test_one_reason_in_order),
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_exactly_one_primary),
	    cmocka_unit_test(test_addresses_are_cleaned),
	    cmocka_unit_test(test_attributes),
	};
	int rc;

	arena = arena_new(1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(arena);
	return rc;
}
