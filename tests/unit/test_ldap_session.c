#include "tests/unit/ldap_fixture.h"

#include <ldap.h>

#include "common/ldap/search.h"

static struct fixture server; /* certificate for its address */
static struct fixture other;  /* certificate for another name */

static int
setup(void **state)
{
	char *san;

	(void)state;
	fixture_init(&server, 0);
	san = mem_printf("IP:%s", server.address);
	fixture_certificate(&server, san);
	free(san);
	fixture_configure(&server, true, "");
	fixture_start(&server, true);
	fixture_init(&other, 1);
	fixture_certificate(&other, "DNS:elsewhere.example");
	fixture_configure(&other, true, "require authc\n");
	fixture_start(&other, true);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&server);
	fixture_fini(&other);
	return 0;
}

/* Opens; on success reads the rootDSE and closes. */
static int
try_open(const struct session_options *options, char *uri, size_t size,
    struct err *err)
{
	static const char *const attributes[] = {"supportedLDAPVersion", NULL};
	struct arena *arena = arena_new(1 << 20);
	struct session *session;
	struct search_entry entry;
	int rc = session_open(options, &session, err);

	if (rc == 0) {
		snprintf(uri, size, "%s", session_uri(session));
		assert_int_equal(
		    search_read(session, "", attributes, arena, &entry, err),
		    1);
		assert_true(
		    slice_equal(search_first(&entry, "supportedLDAPVersion"),
			SLICE_LIT("3")));
		session_close(session);
	} else {
		assert_null(session);
	}
	arena_free(arena);
	return rc;
}

static void
expect_error(const struct session_options *options, enum err_class class,
    const char *const words[])
{
	struct err err = {0};
	char uri[128];
	size_t i;

	assert_int_equal(try_open(options, uri, sizeof(uri), &err), -1);
	for (i = 0; words[i] != NULL; i++) {
		if (strstr(err.message, words[i]) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", err.message, words[i]);
	}
	assert_null(strstr(err.message, FIXTURE_PASSWORD));
	assert_int_equal(err.class, class);
}

static void
expect_open(const struct session_options *options, const char *expected)
{
	struct err err = {0};
	char uri[128] = "";

	if (try_open(options, uri, sizeof(uri), &err) != 0)
		fail_msg("%s", err.message);
	assert_string_equal(uri, expected);
}

static void
test_plain(void **state)
{
	const char *uris[] = {server.uri};
	struct session_options options;

	(void)state;
	fixture_options(&server, uris, &options);
	expect_open(&options, server.uri);
	options.bind = SESSION_ANONYMOUS;
	expect_open(&options, server.uri);
}

static void
test_local(void **state)
{
	const char *uris[] = {server.local_uri};
	struct session_options options;

	(void)state;
	fixture_options(&server, uris, &options);
	options.bind = SESSION_EXTERNAL;
	expect_open(&options, server.local_uri);
	/* Needs no TLS. */
	options.tls = SESSION_TLS_LDAPS;
	expect_open(&options, server.local_uri);
}

static void
test_tls(void **state)
{
	const char *uris[] = {server.tls_uri};
	const char *plain[] = {server.uri};
	struct session_options options;

	(void)state;
	fixture_options(&server, uris, &options);
	options.tls = SESSION_TLS_LDAPS;
	options.ca_file = server.ca;
	expect_open(&options, server.tls_uri);
	options.uris = plain;
	options.tls = SESSION_TLS_STARTTLS;
	expect_open(&options, server.uri);
	/* ldaps was asked for, and would not be used. */
	options.tls = SESSION_TLS_LDAPS;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.uri, "ldaps://", NULL});
	/* Each by its own address: StartTLS, with a certificate to check. */
	options.tls = SESSION_TLS_BY_URI;
	expect_open(&options, server.uri);
	options.ca_file = other.ca;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.uri, "not trusted", NULL});
	options.uris = uris;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.tls_uri, "not trusted", NULL});
}

static void
test_certificates(void **state)
{
	const char *trusted[] = {server.tls_uri}, *named[] = {other.tls_uri};
	const char *plain[] = {other.uri};
	struct session_options options;

	(void)state;
	fixture_options(&server, trusted, &options);
	options.tls = SESSION_TLS_LDAPS;
	/* Not of the system's authorities. */
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.tls_uri, "not trusted", "set ca", NULL});
	options.ca_file = other.ca;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.tls_uri, "not trusted", NULL});
	/* A file without any. */
	options.ca_file = "/etc/passwd";
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.tls_uri, "check that ca is a PEM", NULL});
	options.ca_file = other.ca;
	/* Trusted, but of another name. */
	options.uris = named;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){other.tls_uri, "another host name", NULL});
	options.tls = SESSION_TLS_STARTTLS;
	options.uris = plain;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){other.uri, "StartTLS", "another host name", NULL});
	options.ca_file = "/nonexistent/ca.pem";
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){"/nonexistent/ca.pem", "check ca", NULL});
}

static void
test_password(void **state)
{
	const char *uris[] = {server.uri, other.uri};
	struct session_options options;

	(void)state;
	fixture_options(&server, uris, &options);
	options.uri_count = 2;
	options.password = SLICE_LIT("wrong");
	/* The second server is not tried: that would lock accounts. */
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){server.uri, "bind", "password_file", NULL});
	options.password = SLICE_NULL;
	expect_error(
	    &options, ERR_CONFIG, (const char *[]){"password is empty", NULL});
}

static void
test_unreachable(void **state)
{
	const char *uris[] = {"ldap://127.78.0.254:3899", server.uri};
	struct session_options options;

	(void)state;
	fixture_options(&server, uris, &options);
	expect_error(&options, ERR_TEMPORARY,
	    (const char *[]){uris[0], "firewall", NULL});
	options.uri_count = 2;
	expect_open(&options, server.uri);
	options.uri_count = 0;
	expect_error(&options, ERR_CONFIG, (const char *[]){"no uri", NULL});
	uris[0] = "nonsense://x";
	options.uri_count = 1;
	expect_error(&options, ERR_CONFIG,
	    (const char *[]){"nonsense", "not an LDAP URI", NULL});
}

/* A server that accepts and never says a word. */
static void
test_silent(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t start = clock_mono_ms();
	char uri[64];
	const char *uris[] = {uri};
	struct session_options options;

	(void)state;
	assert_int_equal(inet_pton(AF_INET, server.address, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(uri, sizeof(uri), "ldap://%s:%d", server.address,
	    ntohs(at.sin_port));
	fixture_options(&server, uris, &options);
	options.connect_timeout_ms = 300;
	options.timeout_ms = 300;
	expect_error(
	    &options, ERR_TEMPORARY, (const char *[]){uri, "in time", NULL});
	snprintf(uri, sizeof(uri), "ldaps://%s:%d", server.address,
	    ntohs(at.sin_port));
	options.ca_file = server.ca;
	expect_error(&options, ERR_TEMPORARY, (const char *[]){uri, NULL});
	assert_true(clock_mono_ms() - start < 5000);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_local),
	    cmocka_unit_test(test_tls),
	    cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_password),
	    cmocka_unit_test(test_unreachable),
	    cmocka_unit_test(test_silent),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
