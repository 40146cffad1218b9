/*
 * Random entries under random policies: whatever a directory holds, what leaves
 * it is clean, holds nothing that may not leave, does not depend on the order
 * in which a server answers, and shaped again stays what it is. SEED=n replays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "common/wire/limits.h"
#include "spoke/address.h"
#include "spoke/export/shape/shape.h"

#define ROUNDS 20000
#define VALUES 8
#define PICK(list) (list)[rnd(sizeof(list) / sizeof((list)[0]))]

static const char *const names[] = {"cn", "title", "info", "description",
    "postOfficeBox", "msExchRecipientDisplayType", "thumbnailPhoto",
    "userSMIMECertificate", "roomNumber", "msRTCSIP-Line", "userPassword",
    "unicodePwd", "objectSid", "memberOf", "extensionAttribute3", "homePhone",
    "displayName", "sAMAccountName"};
static const char *const may_leave[] = {"cn", "title", "info", "description",
    "postOfficeBox", "msExchRecipientDisplayType", "thumbnailPhoto",
    "userSMIMECertificate", "roomNumber", "msRTCSIP-Line",
    "extensionAttribute3", "homePhone", "displayName", "proxyAddresses", "mail",
    "targetAddress", "legacyExchangeDN"};
static const char *const locals[] = {"a", "A", "b", "anna.berg", "x y", "", "@",
    "\xc3\xa5sa", "\xff", "\"q q\"", "ANNA.BERG"};
static const char *const hosts[] = {
    "n.example", "N.Example", "n", "", "-n.x", "other.example"};
static const char *const prefixes[] = {
    "smtp:", "SMTP:", "Smtp:", "sip:", "SIP:", "X400:", "", " smtp:"};
static const char *const x500s[] = {"X500:/o=n/cn=a", "x500:/O=N/CN=A",
    "X500:", "X500:/o=n\t/cn=b", "X500:\xff"};
static const char *const allows[] = {
    "roomNumber", "msRTCSIP-Line", "homePhone", "info"};
static const char *const denies[] = {
    "title", "postO*", "thumbnailPhoto", "roomNumber", "homePhone"};

/* One entry as a server would give it, and as an object. */
struct made {
	char text[24][VALUES][64];
	struct slice values[24][VALUES];
	struct search_attribute found[24];
	struct object_attribute list[24];
	struct search_entry entry;
	struct object raw;
};

static unsigned long seed;
static struct made made;
static struct arena *arena;
static unsigned exported;

static unsigned
rnd(unsigned n)
{
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(seed >> 33) % n;
}

static void
add(const char *name, size_t count)
{
	size_t n = made.raw.attribute_count++;

	made.list[n] = (struct object_attribute){name, made.values[n], count};
	made.found[n] = (struct search_attribute){name, made.values[n], count};
	made.entry.attribute_count = made.raw.attribute_count;
}

/* Bytes of all sorts, more often than not text. */
static void
add_random(const char *name, size_t most)
{
	static const char *const pieces[] = {"a", "Z", " ", "  ", "\t", "\r\n",
	    "\x01", "\x7f", "\xc3\xbc", "\xff", "7", "-1", "1073741824",
	    "\xe2\x80\x93", "word", "NoGALsync"};
	size_t n = made.raw.attribute_count, count = rnd((unsigned)most + 1);

	for (size_t i = 0; i < count; i++) {
		char *text = made.text[n][i];

		text[0] = '\0';
		for (unsigned k = rnd(5); k > 0; k--) {
			size_t at = strlen(text);

			(void)snprintf(text + at, 64 - at, "%s", PICK(pieces));
		}
		made.values[n][i] = slice_str(text);
	}
	add(name, count);
}

static void
add_addresses(const char *name, size_t most)
{
	size_t n = made.raw.attribute_count, count = rnd((unsigned)most + 1);

	for (size_t i = 0; i < count; i++) {
		char *text = made.text[n][i];

		if (rnd(5) == 0)
			(void)snprintf(text, 64, "%s", PICK(x500s));
		else
			(void)snprintf(text, 64, "%s%s@%s", PICK(prefixes),
			    PICK(locals), PICK(hosts));
		made.values[n][i] = slice_str(text);
	}
	add(name, count);
}

static void
make_entry(void)
{
	static const Galr__Kind kinds[] = {GALR__KIND__KIND_USER,
	    GALR__KIND__KIND_CONTACT, GALR__KIND__KIND_GROUP};

	memset(&made, 0, sizeof(made));
	made.raw.kind = PICK(kinds);
	made.raw.source_dn = made.entry.dn = "CN=Anna,OU=Staff,DC=n,DC=example";
	made.raw.attributes = made.list;
	made.entry.attributes = made.found;
	add_addresses("proxyAddresses", VALUES);
	add_addresses("targetAddress", 1);
	add_addresses("mail", 1);
	if (rnd(2) == 0)
		add_random("legacyExchangeDN", 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (rnd(2) == 0)
			add_random(names[i],
			    strcmp(names[i], "msExchRecipientDisplayType") == 0
				? 1
				: VALUES);
}

/* The same entry as another server might give it. */
static void
shuffle(void)
{
	for (size_t n = 0; n < made.raw.attribute_count; n++)
		for (size_t i = made.list[n].value_count; i > 1; i--) {
			size_t k = rnd((unsigned)i);
			struct slice swap = made.values[n][i - 1];

			made.values[n][i - 1] = made.values[n][k];
			made.values[n][k] = swap;
		}
	for (size_t i = made.raw.attribute_count; i > 1; i--) {
		size_t k = rnd((unsigned)i);
		struct object_attribute a = made.list[i - 1];
		struct search_attribute b = made.found[i - 1];

		made.list[i - 1] = made.list[k];
		made.list[k] = a;
		made.found[i - 1] = made.found[k];
		made.found[k] = b;
	}
}

static enum shape_reason
shape_into(struct shape *shape, const struct object *raw,
    const struct search_entry *entry, struct buf *out)
{
	struct shape_case c = {.raw = raw, .entry = entry};
	enum shape_reason reason = shape_object(shape, arena, &c);

	buf_reset(out);
	if (reason == SHAPE_EXPORTED)
		assert_int_equal(object_encode(&c.object, arena, out, NULL), 0);
	return reason;
}

static void
check_addresses(const struct object *object)
{
	const struct object_attribute *a =
	    object_find(object, "proxyAddresses");
	struct slice rest, primary = SLICE_NULL;
	size_t primaries = 0, sips = 0;

	assert_non_null(a);
	for (size_t i = 0; i < a->value_count; i++)
		switch (address_parse(a->values[i], &rest)) {
		case ADDRESS_SMTP_PRIMARY:
			primaries++;
			primary = rest;
			assert_true(address_smtp_valid(rest));
			break;
		case ADDRESS_SMTP:
			assert_true(address_smtp_valid(rest));
			break;
		case ADDRESS_SIP:
			sips++;
			assert_true(address_smtp_valid(rest));
			break;
		case ADDRESS_X500:
			assert_true(rest.len > 0);
			break;
		case ADDRESS_OTHER:
			fail_msg("an address of no kind");
		}
	assert_int_equal(primaries, 1);
	assert_true(sips <= 1);
	assert_true(slice_equal(object_first(object, "mail"), primary));
}

static void
check_values(const struct object *object)
{
	for (size_t n = 0; n < object->attribute_count; n++) {
		const struct object_attribute *a = &object->attributes[n];
		bool known = false;

		for (size_t i = 0; i < sizeof(may_leave) / sizeof(may_leave[0]);
		     i++)
			known = known || strcmp(may_leave[i], a->name) == 0;
		if (!known)
			fail_msg("%s left", a->name);
		if (strcmp(a->name, "title") != 0 &&
		    strcmp(a->name, "cn") != 0 &&
		    strcmp(a->name, "proxyAddresses") != 0)
			continue;
		for (size_t i = 0; i < a->value_count; i++) {
			assert_true(slice_is_utf8(a->values[i]));
			for (size_t k = 0; k < a->values[i].len; k++)
				assert_true(a->values[i].data[k] >= 0x20);
		}
	}
}

/* Policies borrow the lists. */
static void
make_policy(struct export_policy *p, const char **allow, const char **deny)
{
	*p = (struct export_policy){.name = "any",
	    .mark = rnd(2) == 0 ? "NoGALsync" : "",
	    .disabled = true,
	    .source_dn = true,
	    .preset = rnd(2) == 0 ? EXPORT_FULL : EXPORT_MINIMAL,
	    .forwarded = rnd(2) == 0 ? EXPORT_FORWARDED_PRIMARY
				     : EXPORT_FORWARDED_TARGET,
	    .allow = allow,
	    .deny = deny};
	for (unsigned i = rnd(3); i > 0; i--)
		allow[p->allow_count++] = PICK(allows);
	for (unsigned i = rnd(3); i > 0; i--)
		deny[p->deny_count++] = PICK(denies);
}

static void
round_run(struct buf *first, struct buf *second)
{
	const char *allow[4], *deny[4];
	struct export_policy policy;
	struct shape_options options = {.policy = &policy,
	    .kind = rnd(3) == 0 ? DIALECT_AD : DIALECT_EXCHANGE};
	struct shape *shape = NULL;
	struct object object;
	enum shape_reason reason;

	make_policy(&policy, allow, deny);
	make_entry();
	arena_reset(arena);
	assert_int_equal(shape_open(&options, &shape, NULL), 0);
	reason = shape_into(shape, &made.raw, &made.entry, first);
	shuffle();
	assert_int_equal(
	    shape_into(shape, &made.raw, &made.entry, second), reason);
	assert_true(slice_equal(buf_slice(first), buf_slice(second)));
	if (reason == SHAPE_EXPORTED) {
		exported++;
		assert_int_equal(
		    object_decode(buf_slice(first), arena, &object, NULL), 0);
		check_addresses(&object);
		check_values(&object);
		assert_int_equal(
		    shape_into(shape, &object, &made.entry, second), reason);
		assert_true(slice_equal(buf_slice(first), buf_slice(second)));
	}
	shape_close(shape);
}

static void
test_rounds(void **state)
{
	const char *text = getenv("SEED");
	struct buf first, second;

	(void)state;
	seed =
	    text != NULL ? strtoul(text, NULL, 10) : (unsigned long)time(NULL);
	arena = arena_new(16 * 1024 * 1024);
	buf_init(&first, LIMIT_OBJECT_BYTES);
	buf_init(&second, LIMIT_OBJECT_BYTES);
	printf("SEED=%lu\n", seed);
	for (int i = 0; i < ROUNDS; i++)
		round_run(&first, &second);
	/* Enough of them went all the way. */
	assert_true(exported > ROUNDS / 10);
	buf_fini(&second);
	buf_fini(&first);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
