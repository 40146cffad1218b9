#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ldap.h>
#include <stdlib.h>

#include "common/ldap/diagnostic.h"
#include "common/ldap/dn.h"
#include "common/ldap/range.h"
#include "common/ldap/reference.h"

static const struct {
	struct slice value;
	const char *text; /* as dn_add_rdn writes it */
} nasty[] = {
    {SLICE_LIT("Anna Berg"), "Anna Berg"},
    {SLICE_LIT("Berg, Anna"), "Berg\\, Anna"},
    {SLICE_LIT("#hash"), "\\#hash"},
    {SLICE_LIT("in#side"), "in#side"},
    {SLICE_LIT("\"quoted\""), "\\\"quoted\\\""},
    {SLICE_LIT(" both ends "), "\\ both ends\\ "},
    {SLICE_LIT(" "), "\\ "},
    {SLICE_LIT("a+b\\c<d>e;f=g"), "a\\+b\\\\c\\<d\\>e\\;f\\=g"},
    {SLICE_LIT("nul\0in"), "nul\\00in"},
    {SLICE_LIT("line\nfeed\x7f"), "line\\0Afeed\\7F"},
    {SLICE_LIT("\xf0\x9f\x98\x80 smile"), "\xf0\x9f\x98\x80 smile"},
    {SLICE_LIT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"),
	"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"},
    {SLICE_LIT("bad\xff utf8"), "bad\\FF utf8"},
    {SLICE_LIT("cn=evil,dc=other"), "cn\\=evil\\,dc\\=other"},
};

static void
test_rdn_round_trip(void **state)
{
	struct buf dn, value;
	struct err err;
	LDAPDN parsed;
	size_t i;

	(void)state;
	buf_init(&dn, 4096);
	buf_init(&value, 4096);
	for (i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++) {
		buf_reset(&dn);
		buf_reset(&value);
		dn_add_rdn(&dn, "cn", nasty[i].value);
		assert_string_equal(buf_cstr(&dn) + 3, nasty[i].text);
		dn_add_parent(&dn, "OU=Partners,DC=example");
		assert_int_equal(dn_rdn_value(buf_cstr(&dn), &value, &err), 0);
		assert_true(slice_equal(buf_slice(&value), nasty[i].value));
		assert_string_equal(
		    dn_parent(buf_cstr(&dn)), "OU=Partners,DC=example");
		assert_true(dn_is_below(
		    buf_cstr(&dn), "ou=partners, dc=example", false));
		/* libldap, another reader of RFC 4514, sees the same value. */
		assert_int_equal(
		    ldap_str2dn(buf_cstr(&dn), &parsed, LDAP_DN_FORMAT_LDAPV3),
		    LDAP_SUCCESS);
		assert_true(
		    slice_equal(slice_make(parsed[0][0]->la_value.bv_val,
				    parsed[0][0]->la_value.bv_len),
			nasty[i].value));
		assert_non_null(parsed[2]);
		assert_null(parsed[3]);
		ldap_dnfree(parsed);
	}
	buf_fini(&dn);
	buf_fini(&value);
}

static void
test_equal(void **state)
{
	(void)state;
	assert_true(
	    dn_equal("CN=Anna,OU=Staff,DC=x", "cn=anna, ou=STAFF,dc=X"));
	assert_true(dn_equal("cn=a\\2Cb,dc=x", "cn=a\\,b,dc=x"));
	assert_true(dn_equal("cn=\"a,b\",dc=x", "cn=a\\,b;dc=x"));
	assert_true(dn_equal("cn=#04024869,dc=x", "CN=Hi,DC=X"));
	assert_true(dn_equal("cn=a+uid=b,dc=x", "uid=B + cn=A,dc=x"));
	assert_true(dn_is_below("sn=c+cn=a+uid=b,dc=x", "dc=X", false));
	assert_true(dn_equal("sn=c+cn=a+uid=b,dc=x", "uid=b+sn=c+cn=a,dc=x"));
	assert_false(dn_equal("sn=c+cn=a+uid=b,dc=x", "uid=b+cn=a,dc=x"));
	assert_true(dn_equal("OU=\xc3\x96l,dc=x", "ou=\xc3\xb6L,dc=x"));
	assert_true(
	    dn_equal("OU=\xd0\x94\xd0\x96,dc=x", "OU=\xd0\xb4\xd0\xb6,dc=x"));
	assert_true(dn_equal("cn=\\C3\\96,dc=x", "cn=\xc3\xb6,dc=x"));
	assert_false(dn_equal("cn=a\\ ,dc=x", "cn=a,dc=x"));
	assert_false(dn_equal("cn=a,dc=x", "cn=a,dc=y"));
	assert_false(dn_equal("cn=a\\,b,dc=x", "cn=a,b=b,dc=x"));
}

static void
test_below(void **state)
{
	static const char *const malformed[] = {"cn", "cn=a,", "=a", "cn=a\\",
	    "cn=\"a", "cn=a\\0", "cn=#0", "cn=#0405", "cn=a+b+c", "cn=a<b",
	    "a=1+b=2+c=3+"};
	size_t i;

	(void)state;
	assert_true(dn_is_below("cn=a,ou=b,dc=c", "dc=c", false));
	assert_true(dn_is_below("cn=a,ou=b,dc=c", "OU=B, DC=C", false));
	assert_true(dn_is_below("cn=a", "", false));
	assert_true(dn_is_below("ou=b,dc=c", "ou=b,dc=c", true));
	assert_false(dn_is_below("ou=b,dc=c", "ou=b,dc=c", false));
	/* A value that ends like the base is not below it. */
	assert_false(dn_is_below("cn=a\\,ou=b,dc=c", "ou=b,dc=c", false));
	assert_false(dn_is_below("cn=a\\5c,ou=bb,dc=c", "ou=b,dc=c", false));
	assert_true(dn_is_below("cn=a\\5c,ou=b,dc=c", "ou=b,dc=c", false));
	assert_false(dn_is_below("xou=b,dc=c", "ou=b,dc=c", true));
	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		assert_false(dn_is_below(malformed[i], "", true));
		assert_false(dn_equal(malformed[i], "dc=c"));
	}
}

static void
test_parent(void **state)
{
	(void)state;
	assert_string_equal(dn_parent("cn=a\\,b , dc=x"), "dc=x");
	assert_string_equal(dn_parent("cn=\"a,b\",dc=x"), "dc=x");
	assert_string_equal(dn_parent("dc=x"), "");
	assert_string_equal(dn_parent(""), "");
	assert_string_equal(dn_parent("cn=a\\"), "");
}

static void
test_filter(void **state)
{
	struct buf filter;

	(void)state;
	buf_init(&filter, 4096);
	search_filter_escape(&filter, SLICE_LIT("a*(b)\\c\0d\xc3\xb6\x01"));
	assert_string_equal(
	    buf_cstr(&filter), "a\\2a\\28b\\29\\5cc\\00d\\c3\\b6\\01");
	buf_fini(&filter);
}

static void
test_range(void **state)
{
	static const char *const malformed[] = {"m;range=", "m;range=0",
	    "m;range=0-", "m;range=-5", "m;range=5-4", "m;range=0-1x",
	    "m;range=99999999999999999999-*", "m;range=1-*5"};
	struct range range;
	size_t len, i;

	(void)state;
	assert_int_equal(range_parse("member;range=0-1499", &len, &range), 1);
	assert_int_equal(len, 6);
	assert_int_equal(range.low, 0);
	assert_int_equal(range.high, 1499);
	assert_int_equal(range_parse("member;Range=1500-*", &len, &range), 1);
	assert_true(range.high == SIZE_MAX);
	assert_int_equal(range_parse("x;binary;range=1-2", &len, &range), 1);
	assert_int_equal(len, 1);
	assert_int_equal(
	    range_parse("userCertificate;binary", &len, &range), 0);
	assert_int_equal(len, 15);
	assert_int_equal(range_parse("cn;lang-de", &len, &range), 0);
	assert_int_equal(len, 10);
	assert_int_equal(range_parse("cn", &len, &range), 0);
	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_int_equal(range_parse(malformed[i], &len, &range), -1);
}

static void
test_diagnostic(void **state)
{
	static const struct {
		const char *text, *name;
	} table[] = {
	    {"mail: value #0 invalid per syntax", "mail"},
	    {"object class 'inetOrgPerson' requires attribute 'sn'", "sn"},
	    {"attribute 'targetAddress' not allowed", "targetAddress"},
	    {"foo: attribute type undefined", "foo"},
	    {"attribute 'displayName' cannot have multiple values",
		"displayName"},
	    {"objectclass_attrs: attribute 'mailNickname' on entry "
	     "'CN=mail,DC=x' was not found in the schema!",
		"mailNickname"},
	    {"00002030: objectclass_attrs: at least one mandatory attribute "
	     "('sn') on entry 'CN=x' wasn't specified!",
		"sn"},
	    {"00002081: AtrErr: DSID-031517B0, #1:\n\t0: 00002081: "
	     "DSID-031517B0, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att "
	     "290001 (wWWHomePage):len 6000",
		"wWWHomePage"},
	    {"no write access to parent", ""},
	    {"", ""},
	};
	struct buf name;
	size_t i;

	(void)state;
	buf_init(&name, 256);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		buf_reset(&name);
		diagnostic_attribute(table[i].text, &name);
		assert_string_equal(buf_cstr(&name), table[i].name);
	}
	buf_fini(&name);
}

/* Values of an extended search hold a SID beside the name. */
static void
test_plain_names(void **state)
{
	static const struct {
		const char *value, *plain;
	} cases[] = {{"CN=A,DC=n", "CN=A,DC=n"},
	    {"<GUID=aa>;<SID=S-1-5-21-1>;CN=A,DC=n", "CN=A,DC=n"},
	    {"<GUID=aa>;CN=A,DC=n", "CN=A,DC=n"},
	    {"B:4:01AB:<GUID=aa>;<SID=0105>;CN=A,DC=n", "B:4:01AB:CN=A,DC=n"},
	    {"S:2:a<:<guid=aa>;CN=A", "S:2:a<:CN=A"},
	    {"<GUID=aa>;<SID=S-1-5", ""}, {"a < b", "a < b"}, {"", ""}};
	struct arena *arena = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(slice_equal(
		    reference_plain(slice_str(cases[i].value), arena),
		    slice_str(cases[i].plain)));
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rdn_round_trip),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_below),
	    cmocka_unit_test(test_parent),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_range),
	    cmocka_unit_test(test_diagnostic),
	    cmocka_unit_test(test_plain_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
