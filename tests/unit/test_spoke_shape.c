/* The export policy: one answer for each entry. */
#include "tests/unit/shape_fixture.h"

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
	for (int n = 1; n <= 15; n++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "extensionAttribute%d", n);
		assert_int_equal(shape(&plain, USER,
				     GIVEN({ANNA}, {name, {"nogalsync"}}), &o),
		    SHAPE_MARKED);
	}
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
#define HEX "0123456789abcdef0123456789abcdef"
	/* Without its provenance a contact of ours is known by the name that
	 * it got; a user who was made of one is somebody of this forest. */
	AS(GALR__KIND__KIND_CONTACT, SHAPE_OWN,
	    {"legacyExchangeDN", {SPOKE_CONF_LEGACY_PREFIX HEX "-WEST"}});
	AS(USER, SHAPE_EXPORTED,
	    {"legacyExchangeDN", {SPOKE_CONF_LEGACY_PREFIX HEX "-WEST"}});
	AS(GALR__KIND__KIND_CONTACT, SHAPE_EXPORTED,
	    {"legacyExchangeDN", {SPOKE_CONF_LEGACY_PREFIX "abba"}});
#undef AS
#undef HEX
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
	static const char *const types[] = {"8192", "16384", "4194304",
	    "8388608", "16777216", "536870912", "68719476736", "549755813888",
	    "4398046511104", "70368744177664", "140737488355328"};
	static const char *const names[] = {
	    "CN=HealthMailbox0123456789abcdef,CN=Users",
	    "CN=SystemMailbox{1f05a927-89c0-4725-adca-4527114196a1},CN=Users",
	    "CN=DiscoverySearchMailbox {D919BA05-46A6-415f},CN=Users",
	    "CN=FederatedEmail.4c1f4d8b-8179-4148,CN=Users"};
	struct export_policy hidden = plain;
	struct object o;

	(void)state;
	hidden.hidden = true;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
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
	};
	int rc;

	arena = arena_new(1024 * 1024);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(arena);
	return rc;
}
