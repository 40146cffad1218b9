/* Servers that go wrong in ways that slapd does not: a scripted responder. */
#include "tests/unit/ldap_fixture.h"

#include <lber.h>
#include <ldap.h>

#include "common/ldap/search.h"

#define BASE "ou=people,dc=example"

enum fault {
	FAULT_NONE,
	FAULT_CLOSE,      /* entries, then the end of the connection */
	FAULT_CUT,        /* half an entry */
	FAULT_SILENT,     /* entries, then nothing */
	FAULT_NO_CONTROL, /* success, but nothing said of pages */
	FAULT_PAGE_GONE,  /* a cookie, then the next page is refused */
	FAULT_PAGE_CLOSE, /* a cookie, then the end of the connection */
	FAULT_ADMIN_LIMIT,
	FAULT_GARBAGE,
	FAULT_NUL_NAME,
	RANGE_GOOD,
	RANGE_NOT_CONTINUED,
	RANGE_CUT,     /* fewer values than the range says */
	RANGE_SHIFTED, /* continues elsewhere */
	RANGE_ENTRY_GONE,
};

struct request {
	ber_int_t id;
	ber_tag_t op;
	char base[128];
	char attribute[64]; /* the first asked for */
};

/* --- the server's side, in a process of its own --- */

static bool
read_all(int fd, uint8_t *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n) {
		n = read(fd, data, len);
		if (n <= 0)
			return false;
	}
	return true;
}

static bool
request_read(int fd, struct request *out)
{
	static uint8_t data[65536];
	struct berval bv = {0, (char *)data}, base;
	size_t len, head = 2, i;
	BerElement *ber;
	ber_int_t e[5];
	char *attributes = NULL;

	if (!read_all(fd, data, 2))
		return false;
	len = data[1];
	if (len & 0x80) {
		head += len & 0x7f;
		if (!read_all(fd, data + 2, head - 2))
			return false;
		for (len = 0, i = 2; i < head; i++)
			len = len << 8 | data[i];
	}
	assert_true(head + len <= sizeof(data));
	if (!read_all(fd, data + head, len))
		return false;
	bv.bv_len = head + len;
	ber = ber_init(&bv);
	memset(out, 0, sizeof(*out));
	if (ber_scanf(ber, "{it", &out->id, &out->op) != LBER_ERROR &&
	    out->op == LDAP_REQ_SEARCH) {
		ber_scanf(
		    ber, "{meeiibx", &base, &e[0], &e[1], &e[2], &e[3], &e[4]);
		snprintf(out->base, sizeof(out->base), "%.*s", (int)base.bv_len,
		    base.bv_val);
		if (ber_scanf(ber, "{a", &attributes) != LBER_ERROR)
			snprintf(out->attribute, sizeof(out->attribute), "%s",
			    attributes);
		ber_memfree(attributes);
	}
	ber_free(ber, 1);
	return true;
}

static void
send_ber(int fd, BerElement *ber, size_t cut)
{
	struct berval *bv = NULL;
	struct err err;

	if (ber_flatten(ber, &bv) != 0)
		_exit(1);
	if (fsio_write_all(
		fd, slice_make(bv->bv_val, bv->bv_len - cut), &err) != 0)
		_exit(0);
	ber_bvfree(bv);
	ber_free(ber, 1);
}

/* Success with a page control carrying the cookie; NULL: without control. */
static void
send_done(int fd, ber_int_t id, ber_int_t code, const char *cookie)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	BerElement *value = ber_alloc_t(LBER_USE_DER);
	struct berval *bv = NULL;

	ber_printf(ber, "{it{ess}", id, LDAP_RES_SEARCH_RESULT, code, "",
	    code == 0 ? "" : "because");
	if (cookie != NULL) {
		ber_printf(value, "{is}", 0, cookie);
		ber_flatten(value, &bv);
		ber_printf(ber, "t{{sO}}", (ber_tag_t)0xa0U,
		    LDAP_CONTROL_PAGEDRESULTS, bv);
		ber_bvfree(bv);
	}
	ber_printf(ber, "}");
	ber_free(value, 1);
	send_ber(fd, ber, 0);
}

/* One attribute with n values v<first>.. */
static void
send_entry(int fd, ber_int_t id, const char *name, int first, int n, size_t cut)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	char text[16];
	int i;

	ber_printf(ber, "{it{s{", id, LDAP_RES_SEARCH_ENTRY, "cn=a," BASE);
	if (strchr(name, ';') != NULL)
		ber_printf(ber, "{s[]}", "member");
	ber_printf(ber, "{s[", name);
	for (i = first; i < first + n; i++) {
		snprintf(text, sizeof(text), "v%d", i);
		ber_printf(ber, "s", text);
	}
	ber_printf(ber, "]}}}}");
	send_ber(fd, ber, cut);
}

static void
send_nul_name(int fd, ber_int_t id)
{
	struct berval name = {3, (char *)"c\0n"};
	BerElement *ber = ber_alloc_t(LBER_USE_DER);

	ber_printf(ber, "{it{s{{O[s]}}}}", id, LDAP_RES_SEARCH_ENTRY,
	    "cn=a," BASE, &name, "v");
	send_ber(fd, ber, 0);
}

static void
answer_range(int fd, enum fault fault, const struct request *r)
{
	if (strcmp(r->base, BASE) == 0) {
		send_entry(fd, r->id, "member;range=0-2", 0,
		    fault == RANGE_CUT ? 2 : 3, 0);
		send_done(fd, r->id, 0, "");
		return;
	}
	if (fault == RANGE_ENTRY_GONE) {
		send_done(fd, r->id, LDAP_NO_SUCH_OBJECT, NULL);
		return;
	}
	if (strcmp(r->attribute, "member;range=3-*") == 0)
		send_entry(fd, r->id,
		    fault == RANGE_NOT_CONTINUED ? "cn"
		    : fault == RANGE_SHIFTED     ? "member;range=4-5"
						 : "member;range=3-5",
		    3, fault == RANGE_SHIFTED ? 2 : 3, 0);
	else
		send_entry(fd, r->id, "member;range=6-*", 6, 1, 0);
	send_done(fd, r->id, 0, NULL);
}

/* Returns false when the connection is to be closed. */
static bool
answer(int fd, enum fault fault, const struct request *r, int turn)
{
	if (fault >= RANGE_GOOD) {
		answer_range(fd, fault, r);
		return true;
	}
	if (fault == FAULT_PAGE_GONE && turn == 1) {
		send_done(fd, r->id, LDAP_UNWILLING_TO_PERFORM, "");
		return true;
	}
	if (fault == FAULT_PAGE_CLOSE && turn == 1)
		return false;
	send_entry(fd, r->id, "cn", 0, 1, 0);
	send_entry(fd, r->id, "cn", 1, 1, fault == FAULT_CUT ? 5 : 0);
	switch (fault) {
	case FAULT_CLOSE:
	case FAULT_CUT:
		return false;
	case FAULT_SILENT:
		return true;
	case FAULT_NO_CONTROL:
		send_done(fd, r->id, 0, NULL);
		return true;
	case FAULT_PAGE_GONE:
	case FAULT_PAGE_CLOSE:
		send_done(fd, r->id, 0, "more");
		return true;
	case FAULT_ADMIN_LIMIT:
		send_done(fd, r->id, LDAP_ADMINLIMIT_EXCEEDED, "");
		return true;
	case FAULT_GARBAGE:
		return write(fd, "garbage, and more of it", 23) < 0;
	case FAULT_NUL_NAME:
		send_nul_name(fd, r->id);
		return true;
	default:
		send_done(fd, r->id, 0, turn == 0 ? "more" : "");
		return true;
	}
}

static void
serve(int listener, enum fault fault)
{
	struct request r;
	BerElement *ber;
	int fd = accept(listener, NULL, NULL), turn = 0;

	while (fd >= 0 && request_read(fd, &r)) {
		if (r.op == LDAP_REQ_BIND) {
			ber = ber_alloc_t(LBER_USE_DER);
			ber_printf(
			    ber, "{it{ess}}", r.id, LDAP_RES_BIND, 0, "", "");
			send_ber(fd, ber, 0);
		} else if (r.op == LDAP_REQ_SEARCH &&
			   !answer(fd, fault, &r, turn++)) {
			break;
		}
	}
	_exit(0);
}

/* --- the client's side --- */

struct responder {
	pid_t pid;
	char uri[64];
	struct session *session;
};

static void
responder_start(struct responder *r, enum fault fault)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct session_options options;
	const char *uris[] = {r->uri};
	char address[32];
	struct err err = {0};

	fixture_address(address, sizeof(address), 2);
	assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(r->uri, sizeof(r->uri), "ldap://%s:%d", address,
	    ntohs(at.sin_port));
	r->pid = fork();
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd, fault);
	}
	close(fd);
	fixture_options(NULL, uris, &options);
	options.timeout_ms = 400;
	if (session_open(&options, &r->session, &err) != 0)
		fail_msg("%s", err.message);
}

static void
responder_stop(struct responder *r)
{
	session_close(r->session);
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
}

/* Reads everything; gives the values of the last entry. */
static int
read_everything(
    struct responder *r, int *out_entries, size_t *out_values, struct err *err)
{
	struct search_options options = {
	    .base = BASE, .scope = SEARCH_SUBTREE, .page_size = 10};
	struct search_entry entry;
	struct search *search;
	char expected[32];
	size_t i;
	int rc;

	*out_entries = 0;
	*out_values = 0;
	assert_int_equal(search_open(r->session, &options, &search, err), 0);
	while ((rc = search_step(search, &entry, err)) == 1) {
		++*out_entries;
		assert_int_equal(entry.attribute_count, 1);
		*out_values = entry.attributes[0].value_count;
		if (strcmp(entry.attributes[0].name, "member") != 0)
			continue;
		for (i = 0; i < *out_values; i++) {
			snprintf(expected, sizeof(expected), "v%zu", i);
			assert_true(slice_equal(entry.attributes[0].values[i],
			    slice_str(expected)));
		}
	}
	search_close(search);
	return rc;
}

static void
test_good(void **state)
{
	struct responder r;
	struct err err = {0};
	size_t values;
	int entries;

	(void)state;
	responder_start(&r, FAULT_NONE);
	assert_int_equal(read_everything(&r, &entries, &values, &err), 0);
	assert_int_equal(entries, 4);
	responder_stop(&r);
	responder_start(&r, RANGE_GOOD);
	if (read_everything(&r, &entries, &values, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(entries, 1);
	assert_int_equal(values, 7);
	responder_stop(&r);
}

static void
test_faults(void **state)
{
	static const struct {
		enum fault fault;
		enum err_class class;
		const char *word;
	} table[] = {
	    {FAULT_CLOSE, ERR_TEMPORARY, "after 2 entries"},
	    {FAULT_CUT, ERR_TEMPORARY, "after 1 entries"},
	    {FAULT_SILENT, ERR_TEMPORARY, "did not answer in time"},
	    {FAULT_NO_CONTROL, ERR_BAD_DATA, "whether it is the last"},
	    {FAULT_PAGE_GONE, ERR_CONFIG, "because"},
	    {FAULT_PAGE_CLOSE, ERR_TEMPORARY, "after 2 entries"},
	    {FAULT_ADMIN_LIMIT, ERR_CONFIG, "raise the server's limit"},
	    {FAULT_GARBAGE, ERR_TEMPORARY, "after 2 entries"},
	    {FAULT_NUL_NAME, ERR_BAD_DATA, "NUL"},
	    {RANGE_NOT_CONTINUED, ERR_BAD_DATA, "does not continue"},
	    {RANGE_CUT, ERR_BAD_DATA, "the range is cut"},
	    {RANGE_SHIFTED, ERR_BAD_DATA, "does not continue"},
	    {RANGE_ENTRY_GONE, ERR_BAD_DATA, "does not continue"},
	};
	struct responder r;
	struct err err;
	size_t values, i;
	int entries;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		err_clear(&err);
		responder_start(&r, table[i].fault);
		if (read_everything(&r, &entries, &values, &err) != -1)
			fail_msg("fault %d passed", table[i].fault);
		if (strstr(err.message, table[i].word) == NULL ||
		    strstr(err.message, r.uri) == NULL ||
		    strstr(err.message, BASE) == NULL ||
		    err.class != table[i].class)
			fail_msg("fault %d: %s: %s", table[i].fault,
			    err_class_name(err.class), err.message);
		responder_stop(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
