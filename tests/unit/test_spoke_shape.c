/* The export policy: one answer for each entry, clean addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "spoke/shape.h"

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
static enum shape_reason
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

static enum shape_reason
shape(const struct export_policy *policy, Galr__Kind kind,
    const struct given *given, struct object *out)
{
	return shape_kind(policy, DIALECT_EXCHANGE, kind, given, out);
}

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
	    shape(&plain, USER, GIVEN({ANNA}), &o), SHAPE_EXPORTED);
	/* Exchange rules: mail alone makes no recipient. */
	assert_int_equal(
	    shape(&plain, USER, GIVEN({"mail", {"anna@north.example"}}), &o),
	    SHAPE_NO_ADDRESS);
	assert_int_equal(shape_kind(&plain, DIALECT_AD, USER,
			     GIVEN({"mail", {"anna@north.example"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "proxyAddresses", "SMTP:anna@north.example"));
	assert_true(has(&o, "targetAddress", "SMTP:anna@north.example"));
	/* A contact needs its target. */
	assert_int_equal(
	    shape(&plain, GALR__KIND__KIND_CONTACT, GIVEN({ANNA}), &o),
	    SHAPE_NO_ADDRESS);
	assert_int_equal(
	    shape(&plain, GALR__KIND__KIND_CONTACT,
		GIVEN({"targetAddress", {"SMTP:ext@other.example"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "targetAddress", "SMTP:ext@other.example"));
	assert_true(has(&o, "mail", "ext@other.example"));
}

/* Every reason at once: the first in the order of the enumeration counts; when
 * it is mended, the next. */
static void
test_one_reason_in_order(void **state)
{
	static const char *const foreign[] = {"user:adminDescription=quest*"};
	struct export_policy strict = plain;
	struct given given[] = {{"extensionName", {"x", "galrelay:aa:WEST:bb"}},
	    {"adminDescription", {"Quest-7"}},
	    {"dn", {"CN=HealthMailbox1a2b3c4d,CN=Users,DC=north"}},
	    {"extensionAttribute3", {" nogalSYNC "}},
	    {"userAccountControl", {"514"}},
	    {"msExchHideFromAddressLists", {"TRUE"}},
	    {"msExchRequireAuthToSendTo", {"TRUE"}}, {NULL, {NULL}}};
	static const enum shape_reason want[] = {SHAPE_OWN, SHAPE_FOREIGN,
	    SHAPE_SYSTEM, SHAPE_MARKED, SHAPE_DISABLED, SHAPE_HIDDEN,
	    SHAPE_CLOSED, SHAPE_NO_ADDRESS};
	struct object o;

	(void)state;
	strict.disabled = false;
	strict.closed = EXPORT_CLOSED_LEAVE_OUT;
	strict.foreign_marks = foreign;
	strict.foreign_mark_count = 1;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(shape(&strict, USER, given, &o), want[i]);
		given[i].values[0] = "-";
		given[i].values[1] = NULL;
		if (i == 2)
			assert_int_equal(
			    shape(&strict, GALR__KIND__KIND_UNSPECIFIED, given,
				&o),
			    SHAPE_KIND);
	}
}

static void
test_marks(void **state)
{
	struct export_policy other = plain;
	struct object o;

	(void)state;
	assert_int_equal(
	    shape(&plain, USER,
		GIVEN({ANNA}, {"extensionAttribute15", {"nogalsync"}}), &o),
	    SHAPE_MARKED);
	assert_int_equal(
	    shape(&plain, USER,
		GIVEN({ANNA}, {"extensionAttribute7", {"NoGALsync please"}},
		    {"extensionAttribute16", {"NoGALsync"}}),
		&o),
	    SHAPE_EXPORTED);
	/* An attribute of one's own, on Active Directory beside the others. */
	other.mark_attribute = "carLicense";
	other.mark = "keep";
	assert_int_equal(shape(&other, USER,
			     GIVEN({ANNA}, {"CARLICENSE", {"a", "Keep"}}), &o),
	    SHAPE_MARKED);
	assert_int_equal(
	    shape(&other, USER,
		GIVEN({ANNA}, {"extensionAttribute1", {"keep"}}), &o),
	    SHAPE_MARKED);
	assert_int_equal(
	    shape_kind(&plain, DIALECT_OPENLDAP, USER,
		GIVEN({ANNA}, {"businessCategory", {"NoGALsync"}}), &o),
	    SHAPE_MARKED);
	assert_int_equal(shape_kind(&other, DIALECT_OPENLDAP, USER,
			     GIVEN({ANNA}, {"businessCategory", {"keep"}}), &o),
	    SHAPE_EXPORTED);
	assert_int_equal(shape_kind(&other, DIALECT_OPENLDAP, USER,
			     GIVEN({ANNA}, {"carLicense", {"keep"}}), &o),
	    SHAPE_MARKED);
	other.mark = "";
	assert_int_equal(shape(&other, USER,
			     GIVEN({ANNA}, {"carLicense", {""}},
				 {"extensionAttribute1", {"NoGALsync"}}),
			     &o),
	    SHAPE_EXPORTED);
}

static void
test_never_again(void **state)
{
	static const char *const marks[] = {EXPORT_FOREIGN_DEFAULT,
	    "extensionAttribute9=*/sync/*x", "description=exactly"};
	struct export_policy p = plain;
	struct object o;

	(void)state;
	p.foreign_marks = marks;
	p.foreign_mark_count = 3;
#define AS(kind, want, ...)                                                    \
	assert_int_equal(                                                      \
	    shape(&p, kind,                                                    \
		GIVEN({ANNA}, {"targetAddress", {"SMTP:a@o.example"}},         \
		    __VA_ARGS__),                                              \
		&o),                                                           \
	    want)
	/* The default is about contacts. */
	AS(GALR__KIND__KIND_CONTACT, SHAPE_FOREIGN,
	    {"msExchOriginatingForest", {"other.example"}});
	AS(USER, SHAPE_EXPORTED,
	    {"msExchOriginatingForest", {"other.example"}});
	AS(USER, SHAPE_FOREIGN, {"extensionAttribute9", {"a/Sync/b/sync/x"}});
	AS(USER, SHAPE_EXPORTED, {"extensionAttribute9", {"a/sync/x/b"}});
	AS(USER, SHAPE_FOREIGN, {"description", {"no", " Exactly "}});
	AS(USER, SHAPE_EXPORTED, {"description", {"exactly so"}});
	/* Without its provenance a contact of ours is known by the name that
	 * it got; a user who was made of one is somebody of this forest. */
	AS(GALR__KIND__KIND_CONTACT, SHAPE_OWN,
	    {"legacyExchangeDN", {SPOKE_CONF_LEGACY_PREFIX "00ff-WEST"}});
	AS(USER, SHAPE_EXPORTED,
	    {"legacyExchangeDN", {SPOKE_CONF_LEGACY_PREFIX "00ff-WEST"}});
#undef AS
}

static void
test_disabled(void **state)
{
	struct export_policy p = plain;
	struct object o;

	(void)state;
#define ACCOUNT(type_, control)                                                \
	GIVEN({ANNA}, {"type", {type_}}, {"userAccountControl", {control}})
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("1", "514"), &o), SHAPE_EXPORTED);
	p.disabled = false;
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("1", "514"), &o), SHAPE_DISABLED);
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("128", "66050"), &o), SHAPE_DISABLED);
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("1", "512"), &o), SHAPE_EXPORTED);
	/* Nobody logs on to these. */
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("2", "514"), &o), SHAPE_EXPORTED);
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("16", "514"), &o), SHAPE_EXPORTED);
	assert_int_equal(
	    shape(&p, USER, ACCOUNT("34359738368", "514"), &o), SHAPE_EXPORTED);
	assert_int_equal(shape(&p, USER,
			     GIVEN({ANNA}, {"userAccountControl", {"514"}},
				 {"msExchMasterAccountSid", {"whoever"}}),
			     &o),
	    SHAPE_EXPORTED);
	assert_int_equal(
	    shape(&p, GALR__KIND__KIND_GROUP, ACCOUNT("256", "514"), &o),
	    SHAPE_EXPORTED);
}

static void
test_system_mailboxes(void **state)
{
	static const char *const types[] = {"8192", "16384", "8388608",
	    "536870912", "549755813888", "4398046511104"};
	static const char *const names[] = {
	    "CN=HealthMailbox0123456789abcdef,CN=Users",
	    "CN=SystemMailbox{1f05a927-89c0-4725-adca-4527114196a1},CN=Users",
	    "CN=DiscoverySearchMailbox {D919BA05-46A6-415f},CN=Users",
	    "CN=FederatedEmail.4c1f4d8b-8179-4148,CN=Users"};
	struct export_policy hidden = plain;
	struct object o;

	(void)state;
	hidden.hidden = true;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(shape(&hidden, USER,
				     GIVEN({ANNA}, {"type", {types[i]}}), &o),
		    SHAPE_SYSTEM);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    shape(&hidden, USER, GIVEN({ANNA}, {"dn", {names[i]}}), &o),
		    SHAPE_SYSTEM);
	assert_int_equal(
	    shape(&plain, USER,
		GIVEN({ANNA}, {"dn", {"CN=HealthMailbox Team,OU=Staff"}}), &o),
	    SHAPE_EXPORTED);
}

static void
test_closed(void **state)
{
	struct export_policy p = plain;
	struct object o;

	(void)state;
	assert_int_equal(
	    shape(&p, USER,
		GIVEN({ANNA}, {"msExchRequireAuthToSendTo", {"TRUE"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(last.closed);
	assert_int_equal(
	    shape(&p, USER,
		GIVEN({ANNA}, {"msExchRequireAuthToSendTo", {"FALSE"}}), &o),
	    SHAPE_EXPORTED);
	assert_false(last.closed);
	assert_int_equal(
	    shape(&p, USER, GIVEN({ANNA}, {"authOrig", {"CN=Boss"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(last.closed);
	/* Those who may send, and moderation, stay here. */
	assert_int_equal(count_of(&o, "authOrig"), 0);
	p.closed = EXPORT_CLOSED_LEAVE_OUT;
	assert_int_equal(
	    shape(&p, USER, GIVEN({ANNA}, {"dLMemSubmitPerms", {"CN=Group"}}),
		&o),
	    SHAPE_CLOSED);
	p.closed = EXPORT_CLOSED_INCLUDE;
	assert_int_equal(
	    shape(&p, USER, GIVEN({ANNA}, {"authOrig", {"CN=Boss"}}), &o),
	    SHAPE_EXPORTED);
	assert_false(last.closed);
}

static void
test_forwarded(void **state)
{
	static const char cloud[] = "SMTP:anna@north.mail.onmicrosoft.com";
	struct export_policy p = plain;
	struct object o;

	(void)state;
	assert_int_equal(
	    shape(&p, USER, GIVEN({ANNA}, {"targetAddress", {cloud}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "targetAddress", "SMTP:anna@north.example"));
	p.forwarded = EXPORT_FORWARDED_TARGET;
	assert_int_equal(
	    shape(&p, USER, GIVEN({ANNA}, {"targetAddress", {cloud}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "targetAddress", cloud));
	assert_true(has(&o, "mail", "anna@north.example"));
	assert_true(has(&o, "proxyAddresses", "SMTP:anna@north.example"));
	assert_int_equal(
	    shape(&p, USER, GIVEN({ANNA}, {"targetAddress", {"X400:c=x"}}), &o),
	    SHAPE_EXPORTED);
	assert_true(has(&o, "targetAddress", "SMTP:anna@north.example"));
}

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
	assert_int_equal(last.notes.count, 1);
	assert_string_equal(last.notes.list[0].attribute, "proxyAddresses");
	assert_true(
	    slice_equal(last.notes.list[0].value, SLICE_LIT("not an address")));
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
	    cmocka_unit_test(test_only_with_an_address),
	    cmocka_unit_test(test_one_reason_in_order),
	    cmocka_unit_test(test_marks),
	    cmocka_unit_test(test_never_again),
	    cmocka_unit_test(test_disabled),
	    cmocka_unit_test(test_system_mailboxes),
	    cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_forwarded),
	    cmocka_unit_test(test_exactly_one_primary),
	    cmocka_unit_test(test_addresses_are_cleaned),
	    cmocka_unit_test(test_values_are_cleaned),
	    cmocka_unit_test(test_attributes),
	    cmocka_unit_test(test_full_is_the_manuals_default),
	    cmocka_unit_test(test_nobody_can_allow),
	    cmocka_unit_test(test_deny_wins),
	    cmocka_unit_test(test_delegation),
	};
	int rc;

	arena = arena_new(1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(arena);
	return rc;
}
