/* spoke.conf and its policies: what follows from what, and what is refused with
 * file, line and cure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "spoke/conf.h"

#define DIRECTORY "directory = { uri = [ \"ldapi:///\" ]; };\n"
#define FROM "from = ( { ou = \"OU=Staff,DC=north,DC=example\"; } );"

static char dir[64];

static void
put(const char *name, const char *text)
{
	char *path = fsio_join(dir, name);
	struct err err = {0};

	assert_int_equal(fsio_write(path, slice_str(text), 0600, &err), 0);
	free(path);
}

/* Loads with that policy; on failure the message is in err. */
static struct spoke_conf *
load(const char *main_text, const char *policy, struct err *err)
{
	char *path = fsio_join(dir, "spoke.conf");
	struct spoke_conf *conf = NULL;

	put("spoke.conf", main_text);
	put("policies.d/p.conf", policy);
	memset(err, 0, sizeof(*err));
	if (spoke_conf_load(path, &conf, err) < 0)
		conf = NULL;
	free(path);
	return conf;
}

static void
refused(const char *main_text, const char *policy, const char *words)
{
	struct spoke_conf *conf;
	struct err err;

	conf = load(main_text, policy, &err);
	assert_null(conf);
	assert_int_equal(err.class, ERR_CONFIG);
	if (strstr(err.message, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, err.message);
}

static void
test_minimal(void **state)
{
	struct spoke_conf *conf;
	struct err err;

	(void)state;
	conf = load("name = \"NORTH\";\n" DIRECTORY,
	    "export: ( { name = \"staff\"; " FROM " } );\n"
	    "import: ( { name = \"partners\"; tags = [ \"*\" ];"
	    " into = \"OU=P,DC=north,DC=example\"; } );",
	    &err);
	if (conf == NULL)
		fail_msg("%s", err.message);
	assert_int_equal(conf->export_count, 1);
	assert_int_equal(conf->import_count, 1);
	assert_string_equal(conf->exports[0].tag, "NORTH/staff");
	assert_string_equal(conf->exports[0].mark, "NoGALsync");
	assert_int_equal(conf->exports[0].preset, EXPORT_FULL);
	assert_int_equal(conf->exports[0].bases[0].scope, EXPORT_SUBTREE);
	assert_int_equal(conf->exports[0].lifetime_ms, 7 * CLOCK_DAY_MS);
	assert_int_equal(conf->imports[0].max_delete_percent, 10);
	assert_int_equal(conf->imports[0].max_delete_count, 50);
	assert_int_equal(conf->directory.bind, SESSION_EXTERNAL);
	assert_int_equal(conf->directory.tls, SESSION_TLS_NONE);
	assert_string_equal(conf->machine_id_file, "/etc/machine-id");
	assert_non_null(spoke_conf_export(conf, "STAFF"));
	assert_null(spoke_conf_import(conf, "staff"));
	spoke_conf_free(conf);
}

static void
test_transport_follows_the_uri(void **state)
{
	static const struct {
		const char *uri;
		enum session_tls tls;
	} cases[] = {{"ldaps://dc", SESSION_TLS_LDAPS},
	    {"ldap://dc", SESSION_TLS_STARTTLS},
	    {"ldapi:///", SESSION_TLS_NONE}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *text = mem_printf(
		    "directory = { uri = [ \"%s\" ]; };", cases[i].uri);
		struct err err;
		struct spoke_conf *conf = load(text, "", &err);

		assert_non_null(conf);
		assert_int_equal(conf->directory.tls, cases[i].tls);
		spoke_conf_free(conf);
		free(text);
	}
	refused("directory = { uri = [ \"http://dc\" ]; };", "", "ldaps://");
}

/* Found servers are spoken to like the named ones; without any, by ldaps. */
static void
test_other_servers(void **state)
{
	static const struct {
		const char *text;
		enum session_tls found;
	} cases[] = {{"domain = \"north.example\";", SESSION_TLS_LDAPS},
	    {"uri = \"ldap://dc\";", SESSION_TLS_STARTTLS},
	    {"uri = \"ldapi:///\";", SESSION_TLS_LDAPS},
	    {"uri = \"ldaps://dc\"; tls = \"starttls\";", SESSION_TLS_STARTTLS},
	    {"domain = \"north.example\"; tls = \"none\";", SESSION_TLS_NONE}};
	static const char *const wrong[][2] = {{"", "say uri"},
	    {"domain = \"north..example\";", "no DNS name"},
	    {"domain = \"north/example\";", "no DNS name"},
	    {"uri = \"ldap://a\"; site = \"a.b\";", "no name of a site"},
	    {"uri = \"ldap://a\"; global_catalog = \"a:3268\";", "ldaps://"},
	    {"uri = \"ldap://a\"; domains = ( { uri = \"ldap://b\"; } );",
		"context"},
	    {"uri = \"ldap://a\"; domains = ( { context = \"x\"; } );",
		"distinguished name"},
	    {"uri = \"ldap://a\"; domains = ( { context = \"dc=x\"; "
	     "user = \"u\"; } );",
		"belong together"},
	    {"uri = \"ldap://a\"; domains = ( { context = \"dc=x\"; }, "
	     "{ context = \"DC=X\"; } );",
		"there twice"}};
	struct spoke_conf *conf;
	struct err err;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = mem_printf("directory = { %s };", cases[i].text);
		conf = load(text, "", &err);
		if (conf == NULL)
			fail_msg("%s", err.message);
		assert_int_equal(
		    spoke_conf_tls(&conf->directory, NULL), cases[i].found);
		spoke_conf_free(conf);
		free(text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		text = mem_printf("directory = { %s };", wrong[i][0]);
		refused(text, "", wrong[i][1]);
		free(text);
	}
}

static void
test_refusals(void **state)
{
	const char *main_text = "name = \"NORTH\";\n" DIRECTORY;

	(void)state;
	refused(
	    main_text, "export: ( { name = \"a b\"; " FROM " } );", "p.conf:1");
	refused(main_text,
	    "export: (\n{ name = \"a\";\ncolour = \"red\"; " FROM " } );",
	    "p.conf:3");
	refused(main_text,
	    "export: ( { name = \"a\"; " FROM " } );\n"
	    "import: ( { name = \"A\"; tags = [ \"*\" ]; into = \"OU=P\"; } );",
	    "two policies");
	refused(main_text,
	    "export: ( { name = \"a\"; deny = [ \"mail\" ]; " FROM " } );",
	    "cannot be denied");
	refused(main_text,
	    "export: ( { name = \"a\"; from = ( { ou = \"nonsense\"; } ); } );",
	    "distinguished name");
	refused(
	    DIRECTORY, "export: ( { name = \"a\"; " FROM " } );", "has no tag");
	refused(main_text,
	    "export: ( { name = \"a\"; " FROM " },\n"
	    "{ name = \"b\"; tag = \"North/A\"; " FROM " } );",
	    "exports \"a\" and \"b\" have one tag");
	refused("directory = { uri = [ \"ldaps://dc\" ]; bind = \"simple\"; };",
	    "", "password_file");
	refused("directory = { uri = [ \"ldaps://dc\" ]; bind = \"gssapi\"; };",
	    "", "keytab");
}

static void
refused_export(const char *settings, const char *words)
{
	char policy[1024];

	(void)snprintf(policy, sizeof(policy),
	    "export: ( { name = \"a\"; %s " FROM " } );", settings);
	refused("name = \"NORTH\";\n" DIRECTORY, policy, words);
}

static void
test_what_goes_along(void **state)
{
	const struct export_policy *p;
	struct spoke_conf *conf;
	struct err err;

	(void)state;
	refused_export("allow = [ \"userPassword\" ];",
	    "allow: attribute userPassword never leaves a forest: it holds "
	    "credentials");
	refused_export("allow = [ \"MEMBEROF\" ];", "far end of a link");
	refused_export("allow = [ \"objectSid\" ];", "delegation = true");
	refused_export("allow = [ \"*\" ];", "allow");
	refused_export("deny = [ \"tele*phone\" ];", "no attribute name");
	refused_export("deny = [ \"given*\" ];", "givenName cannot be denied");
	refused_export("closed = \"maybe\";", "leave-out");
	refused_export("forwarded = \"both\";", "target");
	refused_export("foreign_marks = [ \"adminDescription\" ];",
	    "foreign_marks: \"adminDescription\" is no mark");
	refused_export("foreign_marks = [ \"person:info=x\" ];", "is no mark");
	refused_export("foreign_marks = [ \"info=\" ];", "is no mark");
	refused_export("mark_attribute = \"two words\";", "mark_attribute");
	conf = load("name = \"NORTH\";\n" DIRECTORY,
	    "export: ( { name = \"a\"; " FROM " },"
	    " { name = \"b\"; foreign_marks = []; disabled = false;"
	    "   allow = [ \"msRTCSIP-*\" ]; deny = [ \"memberOf\" ];" FROM
	    " } );",
	    &err);
	if (conf == NULL)
		fail_msg("%s", err.message);
	p = conf->exports;
	assert_true(p[0].disabled && p[0].source_dn && !p[0].delegation);
	assert_int_equal(p[0].closed, EXPORT_CLOSED_REPORT);
	assert_int_equal(p[0].forwarded, EXPORT_FORWARDED_PRIMARY);
	assert_int_equal(p[0].foreign_mark_count, 1);
	assert_string_equal(p[0].foreign_marks[0], EXPORT_FOREIGN_DEFAULT);
	assert_int_equal(p[1].foreign_mark_count, 0);
	assert_false(p[1].disabled);
	spoke_conf_free(conf);
}

static void
refused_from(const char *from, const char *words)
{
	char policy[1024];

	(void)snprintf(policy, sizeof(policy),
	    "export: ( { name = \"a\"; from = ( { %s } ); } );", from);
	refused("name = \"NORTH\";\n" DIRECTORY, policy, words);
}

static void
test_what_from_says(void **state)
{
	const struct export_base *b;
	struct spoke_conf *conf;
	struct err err;

	(void)state;
	refused_from("ou = \"\";", "is no distinguished name");
	refused_from("ou = \"ou=x,dc=y\"; exclude = [ \"ou=a,dc=y\", \"a\" ];",
	    "exclude \"a\": is no distinguished name");
	refused_from("", "exactly one");
	refused_from("ou = \"OU=A\"; search = \"a\";", "exactly one");
	refused_from("ou = \"OU=A\"; kinds = [ \"user\" ];", "kinds belongs");
	refused_from("search = \"a\"; scope = \"this-ou\";", "scope belongs");
	refused_from(
	    "object = \"CN=A\"; exclude = [ \"OU=B\" ];", "exclude belongs");
	refused_from("search = \"a\"; kinds = [ \"printer\" ];", "printer");
	refused_from("search = \" \";", "empty");
	refused_from("filter = \"cn=a\";", "parentheses");
	refused_from("filter = \"(cn=a)(cn=b)\";", "parentheses");
	refused_from("filter = \"(cn=a))(cn=b)\";", "parentheses");
	refused_from("object = \"nonsense\";", "distinguished name");
	conf = load("name = \"NORTH\";\n" DIRECTORY,
	    "export: ( { name = \"a\"; from = ("
	    " { ou = \"6f9619ff-8b86-d011-b42d-00c04fc964ff\"; },"
	    " { search = \"a*\"; kinds = [ \"user\", \"ou\" ]; },"
	    " { filter = \"(&(cn=a)(sn=b))\"; } ); } );",
	    &err);
	if (conf == NULL)
		fail_msg("%s", err.message);
	b = conf->exports[0].bases;
	assert_int_equal(conf->exports[0].base_count, 3);
	assert_int_equal(b[1].kind_set, DIALECT_FIND_USER | DIALECT_FIND_OU);
	assert_int_equal(b[2].kind_set, DIALECT_FIND_RECIPIENTS);
	spoke_conf_free(conf);
}

static void
test_groups(void **state)
{
	const struct export_base *b;
	struct spoke_conf *conf;
	struct err err;

	(void)state;
	refused_from("ou = \"OU=A\"; groups = \"some\";", "\"members\"");
	refused_from("ou = \"OU=A\"; nested = true;", "not expanded");
	refused_from("ou = \"OU=A\"; depth = 3;", "not expanded");
	refused_from(
	    "ou = \"OU=A\"; groups = \"both\"; depth = 3;", "nested = true");
	refused_from("ou = \"OU=A\"; groups = \"both\"; nested = 1;",
	    "one of the names");
	refused_from("ou = \"OU=A\"; groups = \"both\"; nested = true;"
		     " depth = 101;",
	    "100");
	refused_from("object = \"CN=A\"; groups = \"itself\";"
		     " exclude = [ \"OU=B\" ];",
	    "exclude belongs");
	conf = load("name = \"NORTH\";\n" DIRECTORY,
	    "export: ( { name = \"a\"; groups = \"both\"; nested = true;"
	    " depth = 5; from = ( { ou = \"OU=A\"; },"
	    " { object = \"CN=B\"; groups = \"members\"; nested = false;"
	    "   exclude = [ \"OU=B\" ]; },"
	    " { object = \"CN=C\"; groups = \"itself\"; },"
	    " { object = \"CN=D\"; depth = 2; } ); } );",
	    &err);
	if (conf == NULL)
		fail_msg("%s", err.message);
	b = conf->exports[0].bases;
	assert_int_equal(b[0].groups, EXPORT_GROUPS_BOTH);
	assert_int_equal(b[0].depth, 5);
	assert_int_equal(b[1].groups, EXPORT_GROUPS_MEMBERS);
	assert_int_equal(b[1].depth, 1);
	assert_int_equal(b[2].groups, EXPORT_GROUPS_ITSELF);
	assert_int_equal(b[3].groups, EXPORT_GROUPS_BOTH);
	assert_int_equal(b[3].depth, 2);
	spoke_conf_free(conf);
}

#define EUROPE                                                                 \
	"member_groups = ( { name = \"Europe\";"                               \
	" members = [ \"WEST\", \"South\", \"EAST\" ]; } );\n"

static void
refused_audience(const char *more, const char *audience, const char *words)
{
	char text[1024], policy[1024];

	(void)snprintf(
	    text, sizeof(text), "name = \"NORTH\";\n%s%s", DIRECTORY, more);
	(void)snprintf(policy, sizeof(policy),
	    "export: ( { name = \"a\"; audience = [ %s ]; " FROM " } );",
	    audience);
	refused(text, policy, words);
}

/* Groups are the source's own; they never become nobody, which is all. */
static void
test_audience_of_groups(void **state)
{
	static const char *const want[] = {"EAST", "FAR", "South", "WEST"};
	const struct export_policy *p;
	struct spoke_conf *conf;
	struct err err;

	(void)state;
	conf = load("name = \"NORTH\";\n" DIRECTORY EUROPE,
	    "export: ( { name = \"a\"; audience = [ \"FAR\", \"@europe\","
	    " \"SOUTH\", \"@EUROPE\" ]; " FROM " },\n"
	    "{ name = \"b\"; " FROM " } );",
	    &err);
	if (conf == NULL)
		fail_msg("%s", err.message);
	p = spoke_conf_export(conf, "a");
	assert_int_equal(p->audience_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(strcasecmp(want[i], p->audience[i]) == 0
					? want[i]
					: p->audience[i],
		    want[i]);
	assert_int_equal(p->audience_group_count, 1);
	assert_string_equal(p->audience_groups[0], "Europe");
	p = spoke_conf_export(conf, "b");
	assert_int_equal(p->audience_count, 0);
	spoke_conf_free(conf);
	refused_audience(
	    EUROPE, "\"@asia\"", "there is no group \"asia\": name it in");
	refused_audience(EUROPE, "\"@\"", "there is no group");
	refused_audience("", "\"no one\"", "\"no one\" is no member name");
	refused_audience("", "\"*\"", "what names no audience");
	refused_audience("", "", "audience");
	refused_audience(
	    "member_groups = ( { name = \"a\"; members = [ ]; } );", "\"@a\"",
	    "members");
	refused_audience(
	    "member_groups = ( { name = \"a\"; } );", "\"@a\"", "members");
	refused_audience("member_groups = ( { name = \"a\";"
			 " members = [ \"@b\" ]; } );",
	    "\"@a\"", "no member name");
	refused_audience("member_groups = ( { name = \"a\";"
			 " members = [ \"B\" ]; }, { name = \"A\";"
			 " members = [ \"C\" ]; } );",
	    "\"@a\"", "two member_groups are called");
}

static int
setup(void **state)
{
	struct err err = {0};
	char *policies;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/galr-conf-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	policies = fsio_join(dir, "policies.d");
	if (fsio_mkdirs(policies, &err) < 0)
		return -1;
	free(policies);
	return 0;
}

static int
teardown(void **state)
{
	struct err err = {0};

	(void)state;
	return fsio_remove_tree(dir, &err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_minimal),
	    cmocka_unit_test(test_transport_follows_the_uri),
	    cmocka_unit_test(test_other_servers),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_what_goes_along),
	    cmocka_unit_test(test_what_from_says),
	    cmocka_unit_test(test_audience_of_groups),
	    cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
