/* What goes along: attributes, values and addresses. */
#include "tests/unit/shape_fixture.h"

static void
test_exactly_one_primary(void **state)
{
	struct object o;

	(void)state;
	/* Two primaries: the one that mail names. */
	assert_int_equal(shape(&plain, USER,
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
	assert_int_equal(shape(&plain, USER,
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
	struct object o;

	(void)state;
	assert_int_equal(
	    shape(&plain, USER,
		GIVEN({"proxyAddresses",
			  {"SMTP:a@n.example", "smtp:A@N.example",
			      "smtp:not an address", "X400:c=us;a= ;",
			      "sip:b@n.example", "sip:a@n.example"}},
		    {"legacyExchangeDN", {"/o=n/cn=a"}}),
		&o),
	    SHAPE_EXPORTED);
	assert_int_equal(count_of(&o, "proxyAddresses"), 3);
	assert_true(has(&o, "proxyAddresses", "SMTP:a@n.example"));
	assert_true(has(&o, "proxyAddresses", "sip:a@n.example"));
	assert_true(has(&o, "proxyAddresses", "X500:/o=n/cn=a"));
	assert_true(has(&o, "legacyExchangeDN", "/o=n/cn=a"));
	assert_int_equal(last.notes.dropped[VALUES_ADDRESS], 1);
	assert_int_equal(last.notes.dropped[VALUES_OTHER], 1);
	assert_int_equal(last.notes.dropped[VALUES_SIP], 1);
	assert_int_equal(last.notes.count, 3);
	assert_string_equal(last.notes.list[0].attribute, "proxyAddresses");
	assert_true(
	    slice_equal(last.notes.list[0].value, SLICE_LIT("not an address")));
}

/* Whichever comes first, the same one goes out; each other one is told of, but
 * not another spelling of it. */
static void
test_one_sip_address_goes_out(void **state)
{
	static const char *const orders[][4] = {
	    {"sip:c@n.example", "sip:a@n.example", "SIP:A@n.example",
		"sip:b@n.example"},
	    {"SIP:A@n.example", "sip:b@n.example", "sip:c@n.example",
		"sip:a@n.example"}};
	struct object o;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *const *v = orders[i];

		assert_int_equal(
		    shape(&plain, USER,
			GIVEN({"proxyAddresses",
			    {"SMTP:a@n.example", v[0], v[1], v[2], v[3]}}),
			&o),
		    SHAPE_EXPORTED);
		assert_int_equal(count_of(&o, "proxyAddresses"), 2);
		assert_true(has(&o, "proxyAddresses", "SIP:A@n.example"));
		assert_int_equal(last.notes.dropped[VALUES_SIP], 2);
		assert_int_equal(last.notes.count, 2);
		for (size_t k = 0; k < 2; k++)
			assert_false(slice_equal_case(last.notes.list[k].value,
			    SLICE_LIT("sip:a@n.example")));
	}
}

static void
test_values_are_cleaned(void **state)
{
	static char large[VALUES_PICTURE_MAX + 2], text[2 * VALUES_TEXT_MAX];
	struct object o;

	(void)state;
	memset(large, 'p', VALUES_PICTURE_MAX);
	memset(text, 't', sizeof(text) - 1);
	assert_int_equal(
	    shape(&plain, USER,
		GIVEN({ANNA}, {"title", {"  Dr.\t\x01 rer.  nat "}},
		    {"info", {"a \r\n\x02z"}}, {"l", {"M\xc3\xbcnchen"}},
		    {"st", {"\xff\xfe"}}, {"co", {" \t "}},
		    {"description", {text}},
		    {"postOfficeBox", {"1", "\xff", "2", " 3"}},
		    {"thumbnailPhoto", {large}}),
		&o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "title", "Dr. rer. nat"));
	assert_true(has(&o, "info", "a \r\n z"));
	assert_true(has(&o, "l", "M\xc3\xbcnchen"));
	assert_int_equal(count_of(&o, "st"), 0);
	assert_int_equal(count_of(&o, "co"), 0);
	assert_int_equal(object_first(&o, "description").len, VALUES_TEXT_MAX);
	assert_int_equal(count_of(&o, "postOfficeBox"), 3);
	assert_true(has(&o, "postOfficeBox", "3"));
	assert_int_equal(last.notes.dropped[VALUES_TEXT], 2);
	assert_int_equal(
	    object_first(&o, "thumbnailPhoto").len, VALUES_PICTURE_MAX);
	/* One octet more, and it is dropped, not cut. */
	large[VALUES_PICTURE_MAX] = 'p';
	assert_int_equal(
	    shape(&plain, USER, GIVEN({ANNA}, {"thumbnailPhoto", {large}}), &o),
	    SHAPE_EXPORTED);
	assert_int_equal(count_of(&o, "thumbnailPhoto"), 0);
	assert_int_equal(last.notes.dropped[VALUES_PICTURE], 1);
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
	shape(&plain, USER, MANY, &o);
	assert_true(has(&o, "title", "Dr"));
	assert_true(has(&o, "homePhone", "1"));
	assert_int_equal(count_of(&o, "msRTCSIP-UserEnabled"), 0);
	assert_int_equal(count_of(&o, "userPassword"), 0);
	shape(&minimal, USER, MANY, &o);
	assert_true(has(&o, "title", "Dr"));
	assert_true(has(&o, "cn", "Anna"));
	assert_int_equal(count_of(&o, "homePhone"), 0);
	assert_int_equal(count_of(&o, "description"), 0);
	shape(&chosen, USER, MANY, &o);
	assert_int_equal(count_of(&o, "title"), 0);
	assert_true(has(&o, "msRTCSIP-UserEnabled", "TRUE"));
}

/* What the manual of the product before this one exports unless told not to. */
static void
test_full_is_the_manuals_default(void **state)
{
	static const char *const manual[] = {"c", "cn", "co", "company",
	    "countryCode", "department", "description", "displayName",
	    "displayNamePrintable", "employeeID", "employeeNumber",
	    "employeeType", "extensionAttribute1", "extensionAttribute2",
	    "extensionAttribute3", "extensionAttribute4", "extensionAttribute5",
	    "extensionAttribute6", "extensionAttribute7", "extensionAttribute8",
	    "extensionAttribute9", "extensionAttribute10",
	    "extensionAttribute11", "extensionAttribute12",
	    "extensionAttribute13", "extensionAttribute14",
	    "extensionAttribute15", "facsimileTelephoneNumber", "givenName",
	    "homePhone", "info", "initials", "ipPhone", "l", "legacyExchangeDN",
	    "mail", "mailNickname", "mobile", "msExchHideFromAddressLists",
	    "pager", "personalTitle", "physicalDeliveryOfficeName",
	    "postalCode", "postOfficeBox", "proxyAddresses", "sn", "st",
	    "streetAddress", "targetAddress", "telephoneNumber", "title",
	    "wWWHomePage", "thumbnailPhoto"};
	static const char *const left_out[] = {"homePhone", "employeeID",
	    "employeeNumber", "employeeType", "info", "description",
	    "thumbnailPhoto"};
	struct export_policy minimal = plain;
	struct attributes *a = NULL;

	(void)state;
	assert_int_equal(
	    attributes_open(&plain, NULL, DIALECT_EXCHANGE, &a, NULL), 0);
	for (size_t i = 0; i < sizeof(manual) / sizeof(manual[0]); i++)
		if (attributes_form(a, manual[i]) == ATTRIBUTES_STAYS)
			fail_msg("%s stays", manual[i]);
	assert_int_equal(
	    attributes_form(a, "msRTCSIP-UserEnabled"), ATTRIBUTES_STAYS);
	attributes_close(a);
	minimal.preset = EXPORT_MINIMAL;
	assert_int_equal(
	    attributes_open(&minimal, NULL, DIALECT_EXCHANGE, &a, NULL), 0);
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		assert_int_equal(
		    attributes_form(a, left_out[i]), ATTRIBUTES_STAYS);
	assert_int_not_equal(attributes_form(a, "DisplayName"), 0);
	/* What stays is not even read. */
	for (const char *const *n = attributes_names(a); *n != NULL; n++)
		assert_int_not_equal(strcasecmp(*n, "thumbnailPhoto"), 0);
	attributes_close(a);
}

static void
test_nobody_can_allow(void **state)
{
	static const char *const never[] = {"unicodePwd", "userpassword",
	    "supplementalCredentials", "ms-Mcs-AdmPwd", "msLAPS-Password",
	    "msDS-KeyCredentialLink", "nTSecurityDescriptor", "objectSid",
	    "sIDHistory", "memberOf", "whenChanged", "entryUUID"};
	static const char *const odd[] = {
	    "", "*", "ms*", "*Phone", "a*b", "two words", "title;lang-de"};
	struct export_policy p = plain;
	struct err err;

	(void)state;
	p.allow_count = 1;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		p.allow = &never[i];
		memset(&err, 0, sizeof(err));
		assert_int_equal(attributes_policy_check(&p, &err), -1);
		assert_int_equal(err.class, ERR_CONFIG);
		assert_non_null(strstr(err.message, "allow"));
		assert_non_null(strstr(err.message, never[i]));
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		p.allow = &odd[i];
		memset(&err, 0, sizeof(err));
		assert_int_equal(attributes_policy_check(&p, &err), -1);
	}
	p.allow_count = 0;
	p.deny_count = 1;
	p.deny = (const char *const[]){"proxyAdd*"};
	assert_int_equal(attributes_policy_check(&p, &err), -1);
	p.deny = (const char *const[]){"memberOf"};
	assert_int_equal(attributes_policy_check(&p, &err), 0);
}

static void
test_deny_wins(void **state)
{
	static const char *const allow[] = {"msRTCSIP-UserEnabled", "title"};
	static const char *const deny[] = {
	    "TITLE", "msDS-Phonetic*", "jpegPhoto"};
	struct export_policy p = plain;
	struct attributes *a = NULL;

	(void)state;
	p.allow = allow;
	p.allow_count = 2;
	p.deny = deny;
	p.deny_count = 3;
	assert_int_equal(
	    attributes_open(&p, NULL, DIALECT_EXCHANGE, &a, NULL), 0);
	assert_int_equal(attributes_form(a, "title"), ATTRIBUTES_STAYS);
	assert_int_equal(
	    attributes_form(a, "msDS-PhoneticLastName"), ATTRIBUTES_STAYS);
	assert_int_not_equal(attributes_form(a, "msRTCSIP-UserEnabled"), 0);
	assert_int_equal(
	    attributes_form(a, "thumbnailPhoto"), ATTRIBUTES_PICTURE);
	attributes_close(a);
	/* On OpenLDAP the picture has another name. */
	assert_int_equal(
	    attributes_open(&p, NULL, DIALECT_OPENLDAP, &a, NULL), 0);
	assert_int_equal(
	    attributes_form(a, "thumbnailPhoto"), ATTRIBUTES_STAYS);
	attributes_close(a);
}

/* Does the policy let it out? Then, and for nothing else, it is read. */
static bool
goes(const struct export_policy *policy, const char *name)
{
	struct attributes *a = NULL;
	bool read = false;
	bool out;

	assert_int_equal(
	    attributes_open(policy, NULL, DIALECT_EXCHANGE, &a, NULL), 0);
	out = attributes_form(a, name) != ATTRIBUTES_STAYS;
	for (const char *const *n = attributes_names(a); *n != NULL; n++)
		read = read || strcmp(*n, name) == 0;
	assert_int_equal(read, out);
	attributes_close(a);
	return out;
}

static void
test_each_can_be_denied(void **state)
{
	static const char *const needed[] = {"cn", "givenName", "sn", "mail",
	    "mailNickname", "proxyAddresses", "targetAddress",
	    "legacyExchangeDN"};
	const char *const *list = dialect_vocabulary(DIALECT_EXCHANGE);
	size_t optional = 0, mandatory = 0;

	(void)state;
	for (; *list != NULL; list++) {
		struct export_policy p = plain;
		bool must = false;
		struct err err = {0};

		/* What an entry is, which no list names. */
		if (strncmp(*list, "object", 6) == 0 ||
		    strcmp(*list, "msExchRecipientTypeDetails") == 0)
			continue;
		assert_true(goes(&p, *list));
		p.deny = list;
		p.deny_count = 1;
		for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
			must = must || strcmp(needed[i], *list) == 0;
		assert_int_equal(
		    attributes_policy_check(&p, &err), must ? -1 : 0);
		if (!must)
			assert_false(goes(&p, *list));
		mandatory += must;
		optional += !must;
	}
	assert_int_equal(mandatory, 8);
	assert_true(optional > 50);
}

static void
test_delegation(void **state)
{
	static const char own[] = "\1\5own-sid";
	static const char other[] = "\1\5other-sid";
	struct export_policy p = plain;
	struct object o;

	(void)state;
#define DELEGATE(control, ...)                                                 \
	GIVEN({ANNA}, {"objectSid", {own}}, {"userAccountControl", {control}}, \
	    {"msExchRecipientDisplayType", {"1073741824"}}, __VA_ARGS__)
	assert_int_equal(shape(&p, USER, DELEGATE("512", {"cn", {"A"}}), &o),
	    SHAPE_EXPORTED);
	assert_int_equal(count_of(&o, "msExchMasterAccountSid"), 0);
	assert_int_equal(count_of(&o, "objectSid"), 0);
	assert_true(has(&o, "msExchRecipientDisplayType", "0"));
	p.delegation = true;
	shape(&p, USER, DELEGATE("512", {"cn", {"A"}}), &o);
	assert_true(has(&o, "msExchMasterAccountSid", own));
	assert_true(has(&o, "msExchRecipientDisplayType", "1073741824"));
	assert_int_equal(count_of(&o, "objectSid"), 0);
	shape(
	    &p, USER, DELEGATE("514", {"msExchMasterAccountSid", {other}}), &o);
	assert_true(has(&o, "msExchMasterAccountSid", other));
	shape(&p, USER, DELEGATE("514", {"cn", {"A"}}), &o);
	assert_int_equal(count_of(&o, "msExchMasterAccountSid"), 0);
	shape(
	    &p, USER, DELEGATE("512", {"msExchMasterAccountSid", {other}}), &o);
	assert_int_equal(count_of(&o, "msExchMasterAccountSid"), 0);
	/* Groups with security, contacts never. */
	shape(&p, GALR__KIND__KIND_GROUP,
	    DELEGATE("0", {"groupType", {"-2147483640"}}), &o);
	assert_true(has(&o, "msExchMasterAccountSid", own));
	shape(&p, GALR__KIND__KIND_GROUP, DELEGATE("0", {"groupType", {"8"}}),
	    &o);
	assert_int_equal(count_of(&o, "msExchMasterAccountSid"), 0);
	shape(&p, GALR__KIND__KIND_CONTACT,
	    DELEGATE("512", {"targetAddress", {"SMTP:x@o.example"}}), &o);
	assert_int_equal(count_of(&o, "msExchMasterAccountSid"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exactly_one_primary),
	    cmocka_unit_test(test_addresses_are_cleaned),
	    cmocka_unit_test(test_one_sip_address_goes_out),
	    cmocka_unit_test(test_values_are_cleaned),
	    cmocka_unit_test(test_attributes),
	    cmocka_unit_test(test_full_is_the_manuals_default),
	    cmocka_unit_test(test_nobody_can_allow),
	    cmocka_unit_test(test_deny_wins),
	    cmocka_unit_test(test_each_can_be_denied),
	    cmocka_unit_test(test_delegation),
	};
	int rc;

	arena = arena_new(1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(arena);
	return rc;
}
