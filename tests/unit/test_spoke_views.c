/* Views, names and addresses: what strangers' objects become here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/wire/limits.h"
#include "spoke/address.h"
#include "spoke/names.h"
#include "spoke/import/views.h"

static struct arena *arena;
static const char *const north_domains[] = {"north.example"};
static const struct registry_member north = {
    .name = "NORTH", .domains = north_domains, .domain_count = 1};
static const struct id object_id = {{1, 2, 3}};
static const struct id realm = {{9}};

#define S(s) SLICE_LIT(s)
#define assert_slice(value, text)                                              \
	do {                                                                   \
		struct slice got_ = (value);                                   \
		assert_int_equal(got_.len, sizeof(text) - 1);                  \
		assert_memory_equal(got_.data, text, sizeof(text) - 1);        \
	} while (0)

struct given {
	const char *name;
	struct slice values[4];
};

static struct views_options
options(void)
{
	return (struct views_options){.realm = realm,
	    .member = &north,
	    .legacy_prefix = "/o=galrelay/cn="};
}

static enum views_reason
view_as(const struct views_options *o, Galr__Kind kind, int64_t type,
    const struct given *given, size_t count, struct views_contact *out)
{
	struct object_attribute list[16];
	struct object object = {.kind = kind,
	    .source_dn = "CN=Anna,OU=Staff,DC=north,DC=example",
	    .recipient_type = type,
	    .attributes = list,
	    .attribute_count = count};
	struct err err = {0};
	struct buf body;
	enum views_reason reason;
	size_t i;

	for (i = 0; i < count; i++) {
		size_t n = 0;

		while (n < 4 && given[i].values[n].len > 0)
			n++;
		list[i] = (struct object_attribute){
		    given[i].name, given[i].values, n};
	}
	arena_reset(arena);
	buf_init(&body, LIMIT_OBJECT_BYTES);
	assert_int_equal(object_encode(&object, arena, &body, &err), 0);
	reason = views_contact(o, &object_id, buf_slice(&body), arena, out);
	buf_fini(&body);
	return reason;
}

#define VIEW(out, ...)                                                         \
	view_as(&(struct views_options){.realm = realm,                        \
		    .member = &north,                                          \
		    .legacy_prefix = "/o=galrelay/cn="},                       \
	    GALR__KIND__KIND_USER, 1, (const struct given[]){__VA_ARGS__},     \
	    sizeof((const struct given[]){__VA_ARGS__}) /                      \
		sizeof(struct given),                                          \
	    out)

static struct slice
attribute(const struct views_contact *contact, const char *name)
{
	size_t i;

	for (i = 0; i < contact->attribute_count; i++)
		if (strcmp(contact->attributes[i].name, name) == 0)
			return contact->attributes[i].values[0];
	return SLICE_NULL;
}

static void
test_usual(void **state)
{
	struct views_contact c;

	(void)state;
	assert_int_equal(
	    VIEW(&c, {"cn", {S("Anna Berg")}},
		{"displayName", {S("Berg, Anna")}},
		{"mail", {S("Anna.Berg@north.example")}},
		{"mailNickname", {S("aberg")}},
		{"legacyExchangeDN", {S("/o=N/cn=aberg")}},
		{"proxyAddresses", {S("SMTP:Anna.Berg@north.example"),
				       S("smtp:ab@North.Example"),
				       S("smtp:ceo@headquarters.example"),
				       S("X500:/o=old/cn=ab")}},
		{"title", {S("Engineer")}}),
	    VIEWS_FINE);
	assert_slice(c.cn_base, "Anna Berg");
	assert_slice(c.nickname_base, "aberg");
	assert_slice(c.primary, "Anna.Berg@north.example");
	assert_int_equal(c.smtp_count, 2);
	assert_slice(c.smtp[0], "anna.berg@north.example");
	assert_slice(c.smtp[1], "ab@north.example");
	assert_int_equal(c.dropped, 1);
	assert_int_equal(c.other_count, 2);
	assert_slice(c.other[0], "X500:/o=old/cn=ab");
	assert_slice(c.other[1], "X500:/o=N/cn=aberg");
	assert_slice(attribute(&c, "displayName"), "Berg, Anna");
	assert_slice(attribute(&c, "title"), "Engineer");
	assert_slice(
	    attribute(&c, "targetAddress"), "SMTP:Anna.Berg@north.example");
	assert_slice(attribute(&c, "msExchOriginatingForest"), "north.example");
	assert_slice(
	    attribute(&c, "msExchRecipientDisplayType"), "-2147483642");
	assert_slice(attribute(&c, "legacyExchangeDN"),
	    "/o=galrelay/cn=01020300000000000000000000000000-NORTH");
	assert_int_equal(attribute(&c, "msExchHideFromAddressLists").len, 0);
}

static void
test_foreign_and_unusable(void **state)
{
	struct views_contact c;

	(void)state;
	assert_int_equal(VIEW(&c, {"cn", {S("Boss")}},
			     {"mail", {S("ceo@headquarters.example")}}),
	    VIEWS_FOREIGN);
	/* A tail that only looks like the domain. */
	assert_int_equal(
	    VIEW(&c, {"cn", {S("x")}}, {"mail", {S("a@evilnorth.example")}}),
	    VIEWS_FOREIGN);
	assert_int_equal(VIEW(&c, {"cn", {S("x")}},
			     {"mail", {S("a@north.example.evil.com")}}),
	    VIEWS_FOREIGN);
	assert_int_equal(VIEW(&c, {"cn", {S("Nobody")}}), VIEWS_NO_ADDRESS);
	assert_int_equal(
	    VIEW(&c, {"cn", {S("x")}}, {"mail", {S("not an address")}}),
	    VIEWS_NO_ADDRESS);
	assert_int_equal(views_contact(&(struct views_options){.member = &north,
					   .legacy_prefix = "/"},
			     &object_id, S("\xff\xff\xff"), arena, &c),
	    VIEWS_MALFORMED);
}

/* Names that break naive code: each is written fit or not at all. */
static void
test_nasty_names(void **state)
{
	static const struct {
		struct slice given;
		struct slice cn;
	} rows[] = {
	    {SLICE_LIT("\"Q\" O'Hara, Jr."), SLICE_LIT("\"Q\" O'Hara, Jr.")},
	    {SLICE_LIT("#1 <a>;b=c+d\\e"), SLICE_LIT("#1 <a>;b=c+d\\e")},
	    {SLICE_LIT("  blanks   within  "), SLICE_LIT("blanks within")},
	    {SLICE_LIT("nul\0inside"), SLICE_LIT("nul inside")},
	    {SLICE_LIT("line\r\nbreak\x7f!"), SLICE_LIT("line break !")},
	    {SLICE_LIT("\xf0\x9f\x98\x80 Smile"),
		SLICE_LIT("\xf0\x9f\x98\x80 Smile")},
	    {SLICE_LIT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"),
		SLICE_LIT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d")},
	    {SLICE_LIT("0123456789012345678901234567890123456789"
		       "012345678901234567890123456789"),
		SLICE_LIT("0123456789012345678901234567890123456789"
			  "012345678901234567890123")},
	};
	struct views_contact c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(VIEW(&c, {"cn", {rows[i].given}},
				     {"mail", {S("a@north.example")}}),
		    VIEWS_FINE);
		assert_true(slice_equal(c.cn_base, rows[i].cn));
	}
	/* Not UTF-8: the name is dropped, the mail address stands in. */
	assert_int_equal(
	    VIEW(&c, {"cn", {S("\xc3(")}}, {"mail", {S("a@north.example")}}),
	    VIEWS_FINE);
	assert_slice(c.cn_base, "a@north.example");
}

static void
test_kinds(void **state)
{
	static const struct {
		Galr__Kind kind;
		int64_t type;
		const char *display;
	} rows[] = {
	    {GALR__KIND__KIND_USER, 1, "-2147483642"},
	    {GALR__KIND__KIND_USER, 16, "-2147481850"},
	    {GALR__KIND__KIND_USER, INT64_C(8589934592), "-2147481850"},
	    {GALR__KIND__KIND_USER, INT64_C(17179869184), "-2147481594"},
	    {GALR__KIND__KIND_USER, INT64_C(2147483648), "-2147483642"},
	    {GALR__KIND__KIND_USER, 32, "-2147481594"},
	    {GALR__KIND__KIND_USER, 128, "-2147482106"},
	    {GALR__KIND__KIND_CONTACT, 64, "-2147482106"},
	    {GALR__KIND__KIND_GROUP, 256, "-2147483386"},
	    {GALR__KIND__KIND_GROUP, 1024, "-2147481338"},
	    {GALR__KIND__KIND_DYNAMIC_GROUP, 2048, "-2147482874"},
	    {GALR__KIND__KIND_PUBLIC_FOLDER, 4096, "-2147483130"},
	};
	const struct given given[] = {
	    {"cn", {S("x")}}, {"mail", {S("x@north.example")}}};
	struct views_options o = options();
	struct views_contact c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    view_as(&o, rows[i].kind, rows[i].type, given, 2, &c),
		    VIEWS_FINE);
		assert_true(
		    slice_equal(attribute(&c, "msExchRecipientDisplayType"),
			slice_str(rows[i].display)));
	}
}

static void
test_hidden_and_rich_text(void **state)
{
	const struct given hidden[] = {{"cn", {S("x")}},
	    {"mail", {S("x@north.example")}},
	    {"msExchHideFromAddressLists", {S("TRUE")}}};
	struct views_options o = options();
	struct views_contact c;

	(void)state;
	view_as(&o, GALR__KIND__KIND_USER, 1, hidden, 3, &c);
	assert_slice(attribute(&c, "msExchHideFromAddressLists"), "TRUE");
	assert_int_equal(attribute(&c, "mAPIRecipient").len, 0);
	o.hidden = IMPORT_HIDDEN_SHOW;
	o.rich_text = IMPORT_RICH_TEXT_NEVER;
	view_as(&o, GALR__KIND__KIND_USER, 1, hidden, 3, &c);
	assert_int_equal(attribute(&c, "msExchHideFromAddressLists").len, 0);
	assert_slice(attribute(&c, "mAPIRecipient"), "FALSE");
	o.hidden = IMPORT_HIDDEN_ALL;
	view_as(&o, GALR__KIND__KIND_USER, 1, hidden, 2, &c);
	assert_slice(attribute(&c, "msExchHideFromAddressLists"), "TRUE");
}

static void
test_provenance(void **state)
{
	struct id got_realm;
	struct id got_object;
	char member[64];
	struct slice text =
	    views_provenance(&realm, "NORTH", &object_id, arena);

	(void)state;
	assert_int_equal(
	    views_provenance_parse(text, &got_realm, member, &got_object), 0);
	assert_string_equal(member, "NORTH");
	assert_int_equal(id_compare(&got_object, &object_id), 0);
	assert_int_equal(id_compare(&got_realm, &realm), 0);
	assert_int_equal(views_provenance_parse(
			     S("galrelay:"), &got_realm, member, &got_object),
	    -1);
	assert_int_equal(views_provenance_parse(S("http://x:y:z"), &got_realm,
			     member, &got_object),
	    -1);
	text = slice_sub(text, 0, text.len - 1);
	assert_int_equal(
	    views_provenance_parse(text, &got_realm, member, &got_object), -1);
}

static void
test_serials(void **state)
{
	struct slice long_name = S("0123456789012345678901234567890123456789"
				   "012345678901234567890123");

	(void)state;
	assert_slice(names_cn_serial(S("Anna Berg"), 1, arena), "Anna Berg");
	assert_slice(
	    names_cn_serial(S("Anna Berg"), 2, arena), "Anna Berg (2)");
	assert_slice(names_nickname_serial(S("aberg"), 12, arena), "aberg12");
	assert_int_equal(
	    slice_utf8_length(names_cn_serial(long_name, 9999, arena)), 64);
	assert_true(names_is_cn_of(S("Anna Berg (2)"), S("Anna Berg"), arena));
	assert_true(names_is_cn_of(S("Anna Berg"), S("Anna Berg"), arena));
	assert_false(names_is_cn_of(S("Anna Berg (x)"), S("Anna Berg"), arena));
	assert_false(
	    names_is_cn_of(S("Anna Bergh (2)"), S("Anna Berg"), arena));
	assert_true(names_is_nickname_of(S("p12"), S("p1"), arena));
	assert_true(names_is_nickname_of(S("p12"), S("p"), arena));
	assert_false(names_is_nickname_of(S("p12"), S("q"), arena));
	assert_slice(names_nickname(S(".a..b c(d)@\xc3\xa9."), arena), "a.bcd");
}

static void
test_addresses(void **state)
{
	static const char *const good[] = {"a@b.c", "o'hara@north.example",
	    "a*(b)\\c@north.example", "x+tag@sub.north.example",
	    "\xc3\xa9@north.example"};
	static const char *const bad[] = {"", "a", "@b.c", "a@", "a@b",
	    "a b@c.d", "a@b..c", "a@-b.c", "a@b-.c", "a@b.c-", "a@@b.c",
	    "a<b@c.d", "a@b.c d", "a\x01@b.c", "\xc3(@b.c", "a@.b.c"};
	struct slice rest;
	char mail[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(address_smtp_valid(slice_str(good[i])));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(address_smtp_valid(slice_str(bad[i])));
	/* RFC 5321 4.5.3.1.1: 64 octets before the @, not 65. */
	memset(mail, 'a', 65);
	memcpy(mail + 64, "@b.cc", 6);
	assert_true(address_smtp_valid(slice_str(mail)));
	memset(mail, 'a', 65);
	memcpy(mail + 65, "@b.cc", 6);
	assert_false(address_smtp_valid(slice_str(mail)));
	assert_int_equal(
	    address_parse(S("SMTP:a@b.c"), &rest), ADDRESS_SMTP_PRIMARY);
	assert_slice(rest, "a@b.c");
	assert_int_equal(address_parse(S("smtp:a@b.c"), &rest), ADDRESS_SMTP);
	assert_int_equal(address_parse(S("Smtp:a@b.c"), &rest), ADDRESS_SMTP);
	assert_int_equal(address_parse(S("x500:/o=a"), &rest), ADDRESS_X500);
	assert_int_equal(address_parse(S("sip:a@b.c"), &rest), ADDRESS_SIP);
	assert_int_equal(address_parse(S("a@b.c"), &rest), ADDRESS_OTHER);
}

/* Names that a directory takes for one, and names that it does not. */
static void
test_keys(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} rows[] = {
	    {"Anna Berg", "ANNA  berg ", true},
	    {"M\xc3\xbcller", "muller", true},
	    {"M\xc3\xbcller", "Mu\xcc\x88ller", true}, /* combining mark */
	    {"Stra\xc3\x9f\x65", "STRASSE", true},
	    {"\xc3\x86gir", "Aegir", true},
	    {"\xc5\x81ukasz", "lukasz", true},
	    {"Nguy\xe1\xbb\x85n", "nguyen", true},
	    {"\xd0\x99\xd0\xbe\xd0\xb3", "\xd0\xb8\xd0\xbe\xd0\xb3", true},
	    {"\xce\x86\xce\xbd", "\xce\xb1\xce\xbd", true},
	    {"\xef\xbc\xa1\xef\xbd\x82", "ab", true}, /* full width */
	    {"a\xc2\xa0"
	     "b",
		"a b", true},
	    {"a\xe2\x80\x8b"
	     "b",
		"ab", true},
	    {"Anna", "Anne", false},
	    {"a b", "ab", false},
	    {"\xf0\x9f\xa6\x8a", "\xf0\x9f\x9a\x80", false},
	    {"\xe6\xb8\xac", "\xe6\xb8\xad", false},
	    {"\xff", "\xfe", false},
	};
	struct buf a;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&a, 256);
	buf_init(&b, 256);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&a);
		buf_reset(&b);
		names_key(slice_str(rows[i].a), &a);
		names_key(slice_str(rows[i].b), &b);
		if (slice_equal(buf_slice(&a), buf_slice(&b)) != rows[i].same)
			fail_msg("row %zu: %s and %s", i, buf_cstr(&a),
			    buf_cstr(&b));
	}
	buf_reset(&a);
	names_key(S("\xf0\x9f\xa6\x8a \xe6\xb8\xac"), &a);
	assert_slice(buf_slice(&a), "\xf0\x9f\xa6\x8a \xe6\xb8\xac");
	buf_fini(&a);
	buf_fini(&b);
}

/* Active Directory counts UTF-16 units: a fox is two. */
static void
test_lengths(void **state)
{
	char foxes[40 * 4 + 1] = "";
	char mail[300];
	int i;

	(void)state;
	for (i = 0; i < 40; i++)
		memcpy(foxes + (ptrdiff_t)4 * i, "\xf0\x9f\xa6\x8a", 4);
	assert_int_equal(names_text(slice_str(foxes), 64, arena).len, 32 * 4);
	assert_int_equal(names_text(slice_str(foxes), 63, arena).len, 31 * 4);
	assert_int_equal(
	    names_cn_serial(slice_str(foxes), 2, arena).len, 30 * 4 + 4);
	assert_slice(names_prefix(S("a b"), 2), "a");
	/* 254 octets of address, not 255. */
	memset(mail, 'a', sizeof(mail));
	mail[20] = '@';
	for (i = 80; i < 250; i += 60)
		mail[i] = '.';
	assert_true(address_smtp_valid(slice_make(mail, 254)));
	assert_false(address_smtp_valid(slice_make(mail, 255)));
}

/* What a directory would refuse for its syntax, or as a repetition. */
static void
test_values_that_would_be_refused(void **state)
{
	struct views_contact c;
	char own[128];
	char hex[ID_HEX_SIZE];

	(void)state;
	snprintf(own, sizeof(own), "x500:/O=galrelay/CN=%s-north",
	    id_format(&object_id, hex));
	assert_int_equal(
	    VIEW(&c, {"cn", {S("x")}}, {"mail", {S("x@north.example")}},
		{"countryCode", {S("4x")}},
		{"displayNamePrintable", {S("\xc3\xa9")}},
		{"postOfficeBox", {S("P1"), S("p1"), S("P2")}},
		{"proxyAddresses",
		    {S("X500:/o=\xc3\x89"), S("x500:/o=e"), slice_str(own),
			S("smtp:X@North.example")}}),
	    VIEWS_FINE);
	assert_int_equal(attribute(&c, "countryCode").len, 0);
	assert_int_equal(attribute(&c, "displayNamePrintable").len, 0);
	assert_slice(attribute(&c, "postOfficeBox"), "P1");
	assert_int_equal(c.smtp_count, 1);
	assert_int_equal(c.other_count, 1);
	assert_slice(c.other[0], "X500:/o=\xc3\x89");
	assert_int_equal(
	    VIEW(&c, {"cn", {S("\xe2\x80\x8b")}},
		{"mail", {S("x@north.example")}}, {"countryCode", {S("49")}}),
	    VIEWS_FINE);
	assert_slice(c.cn_base, "x@north.example");
	assert_slice(attribute(&c, "countryCode"), "49");
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* What a source sends along besides never reaches the directory: neither what
 * gives rights or says who somebody is, nor what only servers write. */
static void
test_only_known_attributes(void **state)
{
	static const char *const never[] = {"userPassword", "unicodePwd",
	    "objectSid", "sIDHistory", "nTSecurityDescriptor", "memberOf",
	    "member", "objectClass", "userAccountControl", "objectGUID",
	    "homeMDB", "msExchMailboxGuid", "altRecipient", "authOrig",
	    "publicDelegates", "entryUUID", "extensionName"};
	struct given given[sizeof(never) / sizeof(never[0]) + 2];
	struct views_options o = options();
	struct views_contact c;
	size_t n = sizeof(never) / sizeof(never[0]);

	(void)state;
	memset(given, 0, sizeof(given));
	for (size_t i = 0; i < n; i += 8) {
		size_t k = 0;

		given[k++] = (struct given){"cn", {S("x")}};
		given[k++] = (struct given){"mail", {S("x@north.example")}};
		for (; k < 10 && i + k - 2 < n; k++)
			given[k] =
			    (struct given){never[i + k - 2], {S("evil")}};
		assert_int_equal(
		    view_as(&o, GALR__KIND__KIND_USER, 1, given, k, &c),
		    VIEWS_FINE);
		for (k = 0; k < n; k++)
			assert_int_equal(attribute(&c, never[k]).len, 0);
		for (k = 0; k < c.attribute_count; k++)
			assert_false(
			    slice_equal(c.attributes[k].values[0], S("evil")));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_usual),
	    cmocka_unit_test(test_foreign_and_unusable),
	    cmocka_unit_test(test_nasty_names),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_hidden_and_rich_text),
	    cmocka_unit_test(test_provenance),
	    cmocka_unit_test(test_serials),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_values_that_would_be_refused),
	    cmocka_unit_test(test_only_known_attributes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
