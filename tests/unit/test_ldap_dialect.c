#include "tests/unit/ldap_fixture.h"

#include "common/ldap/dialect_impl.h"
#include "common/ldap/reference.h"

static struct fixture server;

static int
setup(void **state)
{
	(void)state;
	fixture_init(&server, 0);
	fixture_configure(&server, false, "");
	fixture_start(&server, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&server);
	return 0;
}

static void
test_choice(void **state)
{
	struct session *session = fixture_session(&server);
	struct dialect *dialect = NULL;
	const char *const *contexts;
	struct err err = {0};
	size_t n;

	(void)state;
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	assert_int_equal(dialect_kind(dialect), DIALECT_OPENLDAP);
	contexts = dialect_contexts(dialect, &n);
	assert_int_equal(n, 1);
	assert_string_equal(contexts[0], FIXTURE_SUFFIX);
	dialect_close(dialect);
	assert_int_equal(
	    dialect_open(session, DIALECT_EXCHANGE, NULL, &dialect, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.message, "set to exchange"));
	assert_null(dialect);
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, "noSuch", &dialect, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.message, "noSuch"));
	assert_int_equal(dialect_open(session, DIALECT_OPENLDAP, "description",
			     &dialect, &err),
	    0);
	assert_string_equal(
	    dialect_provenance_attribute(dialect), "description");
	dialect_close(dialect);
	session_close(session);
}

static bool
listed(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* Every attribute that is read or written by name exists, under exactly the
 * name that the server answers with. */
static void
test_lists(void **state)
{
	struct session *session = fixture_session(&server);
	struct dialect *dialect;
	const char *const *lists[3];
	struct err err = {0};
	size_t i, k;

	(void)state;
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	lists[0] = dialect_export_attributes(dialect);
	lists[1] = dialect_address_attributes(dialect);
	lists[2] = dialect_contact_attributes(dialect);
	for (i = 0; i < 3; i++) {
		assert_true(listed(lists[i], "entryUUID"));
		assert_true(listed(lists[i], "labeledURI"));
		for (k = 0; lists[i][k] != NULL; k++) {
			assert_true(
			    dialect_has_attribute(dialect, lists[i][k]));
		}
	}
	assert_true(dialect_contact_allows(dialect, "company"));
	assert_true(dialect_contact_allows(dialect, "department"));
	assert_true(dialect_contact_allows(dialect, "streetAddress"));
	assert_false(dialect_contact_allows(dialect, "mailNickname"));
	assert_false(dialect_contact_allows(dialect, "proxyAddresses"));
	assert_int_equal(dialect_attribute_max(dialect, "title"), 0);
	assert_true(dialect_knows(dialect, "2.5.4.12"));
	assert_string_equal(dialect_primary(dialect, "2.5.4.12"), "title");
	assert_string_equal(dialect_primary(dialect, "2.5.4.4"), "sn");
	assert_string_equal(dialect_primary(dialect, "surname"), "sn");
	assert_false(dialect_knows(dialect, "2.5.4.12.1"));
	assert_false(dialect_knows(dialect, "2.5.4"));
	dialect_close(dialect);
	session_close(session);
}

struct pair {
	const char *name;
	struct slice value;
};

static const struct writer_attribute *
mapped(const struct writer_attribute *list, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static void
expect_mapped(const struct writer_attribute *list, size_t n, const char *name,
    const char *value)
{
	const struct writer_attribute *a = mapped(list, n, name);

	if (a == NULL || a->value_count != 1)
		fail_msg("%s is not mapped once", name);
	assert_true(slice_equal(a->values[0], slice_str(value)));
}

static void
test_map(void **state)
{
	static const struct pair pairs[] = {
	    {"cn", SLICE_LIT("Anna Berg")},
	    {"company", SLICE_LIT("Example")},
	    {"department", SLICE_LIT("Sales")},
	    {"mail", SLICE_LIT("a@x.example")},
	    {"mailNickname", SLICE_LIT("a")},
	    {"mobile", SLICE_LIT("\xe2\x80\xaf#*\xc3\xb6")},
	    {"provenance", SLICE_LIT("galrelay:1")},
	    {"streetAddress", SLICE_LIT("Road 1")},
	    {"targetAddress", SLICE_LIT("SMTP:a@x.example")},
	    {"telephoneNumber", SLICE_LIT("+49\xc2\xa0"
					  "30\xe2\x80\x93"
					  "1 #5")},
	};
	struct session *session = fixture_session(&server);
	struct arena *arena = arena_new(1 << 20);
	struct object_attribute attributes[16];
	struct object contact = {.source_dn = "",
	    .attributes = attributes,
	    .attribute_count = sizeof(pairs) / sizeof(pairs[0])};
	struct writer_attribute *list;
	struct dialect *dialect;
	struct err err = {0};
	size_t i, n;

	(void)state;
	for (i = 0; i < contact.attribute_count; i++)
		attributes[i] = (struct object_attribute){
		    pairs[i].name, &pairs[i].value, 1};
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	assert_int_equal(dialect_contact_attributes_map(
			     dialect, &contact, arena, &list, &n, &err),
	    0);
	expect_mapped(list, n, "cn", "Anna Berg");
	expect_mapped(list, n, "sn", "Anna Berg");
	expect_mapped(list, n, "o", "Example");
	expect_mapped(list, n, "ou", "Sales");
	expect_mapped(list, n, "street", "Road 1");
	expect_mapped(list, n, "labeledURI", "galrelay:1");
	expect_mapped(list, n, "telephoneNumber", "+49 30-1 5");
	/* Nothing of it is a telephone number. */
	assert_null(mapped(list, n, "mobile"));
	assert_null(mapped(list, n, "uid"));
	assert_null(mapped(list, n, "targetAddress"));
	assert_non_null(mapped(list, n, "objectClass"));
	assert_int_equal(n, 9);
	dialect_close(dialect);
	arena_free(arena);
	session_close(session);
}

static void
test_equal(void **state)
{
	static const struct slice ab[] = {SLICE_LIT("a"), SLICE_LIT("b")};
	static const struct slice ba[] = {SLICE_LIT("b"), SLICE_LIT("a")};
	static const struct slice aa[] = {SLICE_LIT("a"), SLICE_LIT("a")};
	static const struct slice upper[] = {SLICE_LIT("A"), SLICE_LIT("b")};
	static const struct slice dn[] = {SLICE_LIT("CN=x,DC=y")};
	static const struct slice same[] = {SLICE_LIT("cn=X, dc=Y")};
	struct session *session = fixture_session(&server);
	struct dialect *dialect;
	struct err err = {0};

	(void)state;
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	assert_true(dialect_values_equal(dialect, "title", ab, 2, ba, 2));
	assert_false(dialect_values_equal(dialect, "title", ab, 2, ab, 1));
	assert_false(dialect_values_equal(dialect, "title", ab, 2, aa, 2));
	assert_false(dialect_values_equal(dialect, "title", aa, 2, ab, 2));
	/* A new spelling is a change, also where the server ignores case. */
	assert_false(dialect_values_equal(dialect, "cn", ab, 2, upper, 2));
	assert_false(dialect_values_equal(dialect, "title", dn, 1, same, 1));
	assert_true(dialect_values_equal(dialect, "seeAlso", dn, 1, same, 1));
	/* Superior classes come by themselves. */
	assert_true(
	    dialect_values_equal(dialect, "objectClass", ab, 2, upper, 2));
	assert_true(dialect_values_equal(dialect, "objectClass", ab, 1, ba, 2));
	dialect_close(dialect);
	session_close(session);
}

/* A number that no directory keeps is none. */
static void
test_recipient_types(void **state)
{
	static const struct {
		const char *text;
		int64_t type;
	} cases[] = {{"2147483648", INT64_C(2147483648)}, {"-1", -1},
	    {"999999999999999999", INT64_C(999999999999999999)},
	    {"-999999999999999999", INT64_C(-999999999999999999)},
	    {"9999999999999999999", 0}, {"-9999999999999999999", 0}, {"1x", 0},
	    {"", 0}};
	const struct dialect dialect = {
	    .kind = DIALECT_EXCHANGE, .provenance = (char *)"extensionName"};
	struct arena *arena = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct slice value = slice_str(cases[i].text);
		const struct search_attribute type = {
		    "msExchRecipientTypeDetails", &value, 1};
		const struct search_entry entry = {"CN=a", &type, 1};
		struct object object;
		struct err err = {0};

		assert_int_equal(
		    dialect_read_object(&dialect, &entry, arena, &object, &err),
		    0);
		assert_true(object.recipient_type == cases[i].type);
	}
	arena_free(arena);
}

static void
test_read(void **state)
{
	static const struct slice classes[] = {SLICE_LIT("inetOrgPerson")};
	static const struct slice cn[] = {
	    SLICE_LIT("Nick"), SLICE_LIT("Anna Berg")};
	static const struct slice mail[] = {
	    SLICE_LIT("z@x.example"), SLICE_LIT("a@x.example")};
	static const struct slice one[] = {SLICE_LIT("one"), SLICE_LIT("two")};
	static const struct slice id[] = {
	    SLICE_LIT("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")};
	const struct search_attribute attributes[] = {
	    {"objectClass", classes, 1}, {"cn", cn, 2}, {"mail", mail, 2},
	    {"departmentNumber", one, 1}, {"ou", one, 2}, {"street", one, 1},
	    {"uid", one, 2}, {"description", one, 2}, {"labeledURI", one, 1},
	    {"entryUUID", id, 1}, {"o", one, 2}};
	const struct search_entry entry = {
	    "cn=anna berg,dc=example", attributes, 11};
	struct session *session = fixture_session(&server);
	struct arena *arena = arena_new(1 << 20);
	struct dialect *dialect;
	struct object object;
	struct err err = {0};
	struct id found;
	char text[ID_HEX_SIZE];

	(void)state;
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	assert_int_equal(dialect_entry_id(dialect, &entry, &found, &err), 0);
	assert_string_equal(
	    id_format(&found, text), "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
	assert_int_equal(
	    dialect_read_object(dialect, &entry, arena, &object, &err), 0);
	assert_int_equal(object.kind, GALR__KIND__KIND_USER);
	assert_true(
	    slice_equal(object_first(&object, "cn"), SLICE_LIT("Anna Berg")));
	assert_true(slice_equal(
	    object_first(&object, "mail"), SLICE_LIT("z@x.example")));
	assert_int_equal(
	    object_find(&object, "proxyAddresses")->value_count, 2);
	assert_true(slice_equal(object_first(&object, "proxyAddresses"),
	    SLICE_LIT("SMTP:z@x.example")));
	assert_int_equal(object_find(&object, "department")->value_count, 1);
	assert_int_equal(object_find(&object, "description")->value_count, 2);
	assert_non_null(object_find(&object, "mailNickname"));
	assert_non_null(object_find(&object, "company"));
	assert_non_null(object_find(&object, "streetAddress"));
	assert_null(object_find(&object, "labeledURI"));
	assert_null(object_find(&object, "objectClass"));
	assert_int_equal(object.attribute_count, 8);
	dialect_close(dialect);
	arena_free(arena);
	session_close(session);
}

static void
test_mark(void **state)
{
	struct session *session = fixture_session(&server);
	struct dialect *dialect;
	struct buf mark;
	struct err err = {0};

	(void)state;
	buf_init(&mark, 4096);
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	/* Nothing there yet: no mark, and no error. */
	assert_int_equal(dialect_mark(session, dialect, &mark, &err), 0);
	assert_int_equal(mark.len, 0);
	buf_fini(&mark);
	dialect_close(dialect);
	session_close(session);
}

/* --- names of members --- */

static void
test_names_with_ids(void **state)
{
	const char *good = "<GUID=0102030405060708090a0b0c0d0e0f10>;"
			   "<SID=010500000000000515000000>;CN=a\\,b>;c,DC=x";
	static const char *const bad[] = {"", "CN=a,DC=x", "<GUID=01>;CN=a",
	    "<GUID=0102030405060708090a0b0c0d0e0f10", "<SID=01>;CN=a",
	    "<GUID=zz02030405060708090a0b0c0d0e0f10>;CN=a"};
	struct session *session = fixture_session(&server);
	struct dialect *dialect = NULL;
	struct err err = {0};
	struct id id;

	(void)state;
	assert_int_equal(
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, &err), 0);
	assert_true(reference_id(dialect, slice_str(good), &id));
	assert_int_equal(id.bytes[0], 1);
	assert_int_equal(id.bytes[15], 16);
	assert_true(slice_equal(
	    reference_name(slice_str(good)), SLICE_LIT("CN=a\\,b>;c,DC=x")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(reference_id(dialect, slice_str(bad[i]), &id));
	dialect_close(dialect);
	session_close(session);
}

static void
test_names_with_bits(void **state)
{
	static const char *const pairs[][2] = {{"cn=a,o=x#'0101'B", "cn=a,o=x"},
	    {"cn=a,o=x#''B", "cn=a,o=x"}, {"cn=a#1,o=x", "cn=a#1,o=x"},
	    {"cn=a#'01'B,o=x", "cn=a#'01'B,o=x"}, {"cn=a#'0a'B", "cn=a#'0a'B"},
	    {"'B", "'B"}, {"0'B", "0'B"}, {"", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_true(
		    slice_equal(reference_without_uid(slice_str(pairs[i][0])),
			slice_str(pairs[i][1])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_choice),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_recipient_types),
	    cmocka_unit_test(test_map),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_mark),
	    cmocka_unit_test(test_names_with_ids),
	    cmocka_unit_test(test_names_with_bits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
