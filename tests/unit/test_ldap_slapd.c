#include "tests/unit/ldap_fixture.h"

#include <ldap.h>

#include "common/ldap/dialect.h"
#include "common/ldap/dn.h"
#include "common/ldap/writer.h"

#define PEOPLE 5000
#define OU "ou=people,dc=example"

static struct fixture server;

/* --- writing helpers --- */

struct outcome {
	uint64_t good;
	uint64_t bad;
	int code;
	char attribute[64];
	char dn[256];
	uint64_t cookie;
	uint64_t cookie_sum;
};

static int
outcome_take(void *arg, const struct writer_result *result, struct err *err)
{
	struct outcome *o = arg;

	(void)err;
	assert_non_null(result->diagnostic);
	o->cookie_sum += result->cookie;
	if (result->code == LDAP_SUCCESS) {
		o->good++;
		return 0;
	}
	o->bad++;
	o->code = result->code;
	o->cookie = result->cookie;
	snprintf(o->attribute, sizeof(o->attribute), "%s",
	    result->attribute == NULL ? "" : result->attribute);
	snprintf(o->dn, sizeof(o->dn), "%s", result->dn);
	return 0;
}

static struct writer_attribute
text(const char *name, struct slice *storage, const char *value)
{
	*storage = slice_str(value);
	return (struct writer_attribute){name, storage, 1};
}

static int
submit_person(struct writer *writer, const char *dn, const char *cn,
    const char *mail, uint64_t cookie, struct err *err)
{
	static const char long_text[] =
	    "0123456789 0123456789 0123456789 0123456789 0123456789 01234567";
	struct slice values[6];
	struct writer_attribute list[] = {
	    text("objectClass", &values[0], "inetOrgPerson"),
	    text("cn", &values[1], cn),
	    text("sn", &values[2], "Berg"),
	    text("mail", &values[3], mail),
	    text("description", &values[4], long_text),
	    text("telephoneNumber", &values[5], "+49 30 1"),
	};
	struct writer_change change = {.op = WRITER_ADD,
	    .dn = dn,
	    .attributes = list,
	    .attribute_count = 6,
	    .cookie = cookie};

	return writer_submit(writer, &change, err);
}

static void
add_people(
    struct session *session, const char *prefix, int count, struct outcome *o)
{
	struct writer *writer;
	char dn[128], cn[64], mail[96];
	struct err err = {0};
	int i;

	*o = (struct outcome){.good = 0};
	assert_int_equal(
	    writer_open(session, outcome_take, o, &writer, &err), 0);
	for (i = 0; i < count; i++) {
		snprintf(cn, sizeof(cn), "%s%d", prefix, i);
		snprintf(dn, sizeof(dn), "cn=%s,%s", cn, OU);
		snprintf(mail, sizeof(mail), "%s@north.example", cn);
		if (submit_person(writer, dn, cn, mail, (uint64_t)i, &err) != 0)
			fail_msg("%s", err.message);
	}
	if (writer_close(writer, &err) != 0)
		fail_msg("%s", err.message);
}

static void
add_base(struct session *session)
{
	struct slice v[4];
	struct writer_attribute domain[] = {
	    text("objectClass", &v[0], "dcObject"), {"objectClass", NULL, 0},
	    text("dc", &v[1], "example"), text("o", &v[2], "Example")};
	struct slice classes[] = {
	    SLICE_LIT("dcObject"), SLICE_LIT("organization")};
	struct writer_attribute unit[] = {
	    text("objectClass", &v[3], "organizationalUnit")};
	struct writer_change change = {.op = WRITER_ADD,
	    .dn = FIXTURE_SUFFIX,
	    .attributes = domain + 1,
	    .attribute_count = 3};
	struct outcome o = {.good = 0};
	struct writer *writer;
	struct err err = {0};

	domain[1].values = classes;
	domain[1].value_count = 2;
	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	assert_int_equal(writer_submit(writer, &change, &err), 0);
	assert_int_equal(writer_barrier(writer, &err), 0);
	change = (struct writer_change){.op = WRITER_ADD,
	    .dn = OU,
	    .attributes = unit,
	    .attribute_count = 1};
	assert_int_equal(writer_submit(writer, &change, &err), 0);
	assert_int_equal(writer_close(writer, &err), 0);
	assert_int_equal(o.good, 2);
}

static int
count_entries(struct session *session, const char *base, const char *filter,
    unsigned page_size, struct err *err)
{
	static const char *const attributes[] = {"cn", "mail", NULL};
	struct search_options options = {.base = base,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = attributes,
	    .page_size = page_size};
	struct search_entry entry;
	struct search *search;
	int n = 0, rc;

	assert_int_equal(search_open(session, &options, &search, err), 0);
	while ((rc = search_step(search, &entry, err)) == 1) {
		assert_int_equal(search_find(&entry, "CN")->value_count, 1);
		assert_true(slice_ends_case(
		    search_first(&entry, "mail"), SLICE_LIT("@north.example")));
		n++;
	}
	search_close(search);
	return rc == 0 ? n : -1;
}

static int
setup(void **state)
{
	struct session *session;
	struct outcome o;
	char *san;

	(void)state;
	fixture_init(&server, 0);
	san = mem_printf("IP:%s", server.address);
	fixture_certificate(&server, san);
	free(san);
	fixture_configure(&server, true,
	    "limits dn.exact=\"cn=small," OU "\" size=100 "
	    "size.prtotal=1000\n"
	    "access to * by dn.exact=\"cn=reader," OU "\" read "
	    "by * read\n");
	fixture_start(&server, true);
	session = fixture_session(&server);
	add_base(session);
	add_people(session, "person", PEOPLE, &o);
	session_close(session);
	return o.good == PEOPLE ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&server);
	return 0;
}

/* --- searching --- */

static void
test_paged(void **state)
{
	struct session *session = fixture_session(&server);
	struct err err = {0};

	(void)state;
	assert_int_equal(
	    count_entries(session, OU, "(mail=*)", 1000, &err), PEOPLE);
	assert_int_equal(
	    count_entries(session, OU, "(mail=*)", 7, &err), PEOPLE);
	assert_int_equal(
	    count_entries(session, OU, "(mail=*)", 0, &err), PEOPLE);
	assert_int_equal(
	    count_entries(session, OU, "(mail=none)", 10, &err), 0);
	assert_int_equal(count_entries(session, "ou=nowhere,dc=example",
			     "(mail=*)", 10, &err),
	    -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_int_equal(err.code, LDAP_NO_SUCH_OBJECT);
	assert_non_null(strstr(err.message, "ou=nowhere,dc=example"));
	assert_non_null(strstr(err.message, server.uri));
	assert_int_equal(count_entries(session, OU, "(mail=*", 10, &err), -1);
	session_close(session);
}

static void
test_read(void **state)
{
	static const char *const attributes[] = {"*", "entryUUID", NULL};
	struct session *session = fixture_session(&server);
	struct arena *arena = arena_new(1 << 20);
	struct search_entry entry;
	struct err err = {0};

	(void)state;
	assert_int_equal(search_read(session, "cn=person7," OU, attributes,
			     arena, &entry, &err),
	    1);
	assert_true(slice_equal(
	    search_first(&entry, "mail"), SLICE_LIT("person7@north.example")));
	assert_int_equal(search_first(&entry, "entryUUID").len, 36);
	assert_null(search_find(&entry, "title"));
	assert_int_equal(search_read(session, "cn=nobody," OU, attributes,
			     arena, &entry, &err),
	    0);
	arena_free(arena);
	session_close(session);
}

/* A limit must never pass for the end. */
static void
test_size_limit(void **state)
{
	struct session *session = fixture_session(&server);
	struct slice v[4];
	struct writer_attribute list[] = {
	    text("objectClass", &v[0], "inetOrgPerson"),
	    text("cn", &v[1], "small"), text("sn", &v[2], "Small"),
	    text("userPassword", &v[3], "small")};
	struct writer_change change = {.op = WRITER_ADD,
	    .dn = "cn=small," OU,
	    .attributes = list,
	    .attribute_count = 4};
	const char *uris[] = {server.uri};
	struct session_options options;
	struct outcome o = {.good = 0};
	struct writer *writer;
	struct err err = {0};

	(void)state;
	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	assert_int_equal(writer_submit(writer, &change, &err), 0);
	assert_int_equal(writer_close(writer, &err), 0);
	session_close(session);

	fixture_options(&server, uris, &options);
	options.bind_dn = "cn=small," OU;
	options.password = SLICE_LIT("small");
	assert_int_equal(session_open(&options, &session, &err), 0);
	assert_int_equal(count_entries(session, OU, "(mail=*)", 0, &err), -1);
	assert_int_equal(err.code, LDAP_SIZELIMIT_EXCEEDED);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.message, "after 100 entries"));
	/* The limit of a paged search as a whole. */
	assert_int_equal(count_entries(session, OU, "(mail=*)", 100, &err), -1);
	assert_int_equal(err.code, LDAP_SIZELIMIT_EXCEEDED);
	session_close(session);
}

/* The server dies in the middle of a page. */
static void
test_killed(void **state)
{
	static const char *const attributes[] = {"*", "+", NULL};
	struct search_options options = {.base = OU,
	    .scope = SEARCH_SUBTREE,
	    .filter = "(mail=*)",
	    .attributes = attributes,
	    .page_size = 1000};
	struct session *session = fixture_session(&server);
	struct search_entry entry;
	struct search *search;
	struct err err = {0};
	int n = 0, rc;

	(void)state;
	assert_int_equal(search_open(session, &options, &search, &err), 0);
	while ((rc = search_step(search, &entry, &err)) == 1) {
		if (++n == 10)
			fixture_kill(&server, SIGKILL);
	}
	assert_int_equal(rc, -1);
	assert_true(n < PEOPLE);
	assert_int_equal(err.class, ERR_TEMPORARY);
	assert_non_null(strstr(err.message, OU));
	assert_non_null(strstr(err.message, server.uri));
	/* An error is never followed by an end. */
	assert_int_equal(search_step(search, &entry, &err), -1);
	search_close(search);
	session_close(session);
	fixture_start(&server, true);
}

/* --- writing --- */

static void
delete_people(struct session *session, const char *prefix, int count)
{
	struct outcome o = {.good = 0};
	struct writer *writer;
	struct err err = {0};
	char dn[128];
	int i;

	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	for (i = 0; i < count; i++) {
		struct writer_change change = {.op = WRITER_DELETE, .dn = dn};

		snprintf(dn, sizeof(dn), "cn=%s%d,%s", prefix, i, OU);
		assert_int_equal(writer_submit(writer, &change, &err), 0);
	}
	assert_int_equal(writer_close(writer, &err), 0);
	assert_int_equal(o.good, count);
}

static void
test_writer(void **state)
{
	struct session *session = fixture_session(&server);
	struct err err = {0};
	struct outcome o;

	(void)state;
	add_people(session, "new", 2000, &o);
	assert_int_equal(o.good, 2000);
	assert_int_equal(o.bad, 0);
	assert_int_equal(o.cookie_sum, 2000 * 1999 / 2);
	assert_int_equal(
	    count_entries(session, OU, "(&(mail=*)(cn=new*))", 500, &err),
	    2000);
	delete_people(session, "new", 2000);
	assert_int_equal(count_entries(session, OU, "(cn=new*)", 500, &err), 0);
	session_close(session);
}

static void
test_one_refused(void **state)
{
	struct session *session = fixture_session(&server);
	struct outcome o;
	struct writer *writer;
	struct err err = {0};
	char dn[128], cn[64];
	int i;

	(void)state;
	o = (struct outcome){.good = 0};
	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	for (i = 0; i < 250; i++) {
		snprintf(cn, sizeof(cn), "mix%d", i);
		snprintf(dn, sizeof(dn), "cn=%s,%s", cn, OU);
		/* IA5 only */
		assert_int_equal(
		    submit_person(writer, dn, cn,
			i == 77 ? "\xc3\xb6@x.example" : "a@north.example",
			(uint64_t)i, &err),
		    0);
	}
	assert_int_equal(writer_close(writer, &err), 0);
	assert_int_equal(o.good, 249);
	assert_int_equal(o.bad, 1);
	assert_int_equal(o.cookie, 77);
	assert_int_equal(o.code, LDAP_INVALID_SYNTAX);
	assert_string_equal(o.attribute, "mail");
	assert_string_equal(o.dn, "cn=mix77," OU);
	add_people(session, "mix", 78, &o);
	assert_int_equal(o.good, 1);
	assert_int_equal(o.code, LDAP_ALREADY_EXISTS);
	delete_people(session, "mix", 250);
	session_close(session);
}

/* Add, change, change, rename, delete of one name keep their order. */
static void
test_one_name(void **state)
{
	struct session *session = fixture_session(&server);
	struct arena *arena = arena_new(1 << 20);
	struct outcome o = {.good = 0};
	struct writer *writer;
	struct search_entry entry;
	struct slice v;
	struct writer_attribute title = {"title", &v, 1};
	struct writer_attribute clear = {"telephoneNumber", NULL, 0};
	struct writer_change modify = {.op = WRITER_MODIFY,
	    .dn = "cn=turn," OU,
	    .attributes = &title,
	    .attribute_count = 1};
	struct writer_change rename = {
	    .op = WRITER_RENAME, .dn = "CN=turn," OU, .new_rdn = "cn=turned"};
	struct writer_change delete = {
	    .op = WRITER_DELETE, .dn = "cn=turned," OU};
	struct err err = {0};

	(void)state;
	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	submit_person(writer, "cn=turn," OU, "turn", "t@x.example", 1, &err);
	v = SLICE_LIT("one");
	modify.attributes = &title;
	assert_int_equal(writer_submit(writer, &modify, &err), 0);
	v = SLICE_LIT("two");
	assert_int_equal(writer_submit(writer, &modify, &err), 0);
	modify.attributes = &clear;
	assert_int_equal(writer_submit(writer, &modify, &err), 0);
	assert_int_equal(writer_submit(writer, &rename, &err), 0);
	assert_int_equal(writer_barrier(writer, &err), 0);
	assert_int_equal(
	    search_read(session, "cn=turned," OU, NULL, arena, &entry, &err),
	    1);
	assert_true(
	    slice_equal(search_first(&entry, "title"), SLICE_LIT("two")));
	assert_null(search_find(&entry, "telephoneNumber"));
	assert_int_equal(writer_submit(writer, &delete, &err), 0);
	assert_int_equal(writer_close(writer, &err), 0);
	assert_int_equal(o.bad, 0);
	assert_int_equal(o.good, 6);
	arena_free(arena);
	session_close(session);
}

static void
test_nasty_names(void **state)
{
	static const struct slice names[] = {
	    SLICE_LIT("\"quoted\" name"),
	    SLICE_LIT("Berg, Anna"),
	    SLICE_LIT("#hash"),
	    SLICE_LIT("a+b\\c<d>e;f=g"),
	    SLICE_LIT("star * (paren)"),
	    SLICE_LIT("\xf0\x9f\x98\x80 emoji"),
	    SLICE_LIT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d right to left"),
	    SLICE_LIT("cn=evil,dc=other"),
	    SLICE_LIT("a name of more than sixty-four characters, as "
		      "directories in some countries have them"),
	};
	struct session *session = fixture_session(&server);
	struct arena *arena = arena_new(1 << 20);
	struct search_entry entry;
	struct outcome o = {.good = 0};
	struct writer *writer;
	struct buf dn, filter;
	struct err err = {0};
	size_t i;

	(void)state;
	buf_init(&dn, 4096);
	buf_init(&filter, 4096);
	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		buf_reset(&dn);
		buf_reset(&filter);
		dn_add_rdn(&dn, "cn", names[i]);
		dn_add_parent(&dn, OU);
		assert_int_equal(submit_person(writer, buf_cstr(&dn),
				     (const char *)names[i].data,
				     "x@north.example", i, &err),
		    0);
		assert_int_equal(writer_barrier(writer, &err), 0);
		assert_int_equal(o.bad, 0);
		assert_int_equal(search_read(session, buf_cstr(&dn), NULL,
				     arena, &entry, &err),
		    1);
		assert_true(slice_equal(search_first(&entry, "cn"), names[i]));
		assert_true(dn_equal(entry.dn, buf_cstr(&dn)));
		assert_true(dn_is_below(entry.dn, OU, false));
		buf_add_str(&filter, "(cn=");
		search_filter_escape(&filter, names[i]);
		buf_add_str(&filter, ")");
		assert_int_equal(count_entries(session, FIXTURE_SUFFIX,
				     buf_cstr(&filter), 10, &err),
		    1);
	}
	assert_int_equal(writer_close(writer, &err), 0);
	buf_fini(&dn);
	buf_fini(&filter);
	arena_free(arena);
	session_close(session);
}

static void
test_writer_server_gone(void **state)
{
	struct session *session = fixture_session(&server);
	struct outcome o = {.good = 0};
	struct writer *writer;
	struct err err = {0};
	int rc = 0, i;

	(void)state;
	assert_int_equal(
	    writer_open(session, outcome_take, &o, &writer, &err), 0);
	fixture_kill(&server, SIGKILL);
	for (i = 0; i < 20 && rc == 0; i++)
		rc = submit_person(
		    writer, "cn=gone," OU, "gone", "g@x.example", 0, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.class, ERR_TEMPORARY);
	assert_int_equal(writer_barrier(writer, &err), -1);
	writer_abort(writer);
	session_close(session);
	fixture_start(&server, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paged),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_size_limit),
	    cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_writer),
	    cmocka_unit_test(test_one_refused),
	    cmocka_unit_test(test_one_name),
	    cmocka_unit_test(test_nasty_names),
	    cmocka_unit_test(test_writer_server_gone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
