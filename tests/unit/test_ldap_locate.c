/* SRV records: what answers hold, which host comes first, and what they must
 * not do to us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "common/ldap/locate.h"

#define ANSWER_MAX 8192

/* --- answers as they come --- */

static void
add_u16(struct buf *buf, unsigned value)
{
	buf_add_byte(buf, (uint8_t)(value >> 8));
	buf_add_byte(buf, (uint8_t)value);
}

static void
add_name(struct buf *buf, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		buf_add_byte(buf, (uint8_t)len);
		buf_add(buf, slice_make(name, len));
		name += len + (name[len] == '.');
	}
	buf_add_byte(buf, 0);
}

static void
answer_begin(struct buf *buf, unsigned records)
{
	buf_init(buf, ANSWER_MAX);
	add_u16(buf, 0x1234);
	add_u16(buf, 0x8180); /* a response, recursion available */
	add_u16(buf, 1);
	add_u16(buf, records);
	add_u16(buf, 0);
	add_u16(buf, 0);
	add_name(buf, "_ldap._tcp.x");
	add_u16(buf, 33); /* SRV */
	add_u16(buf, 1);
}

static void
answer_add(struct buf *buf, unsigned priority, unsigned weight, unsigned port,
    const char *target)
{
	struct buf data;

	buf_init(&data, ANSWER_MAX);
	add_u16(&data, priority);
	add_u16(&data, weight);
	add_u16(&data, port);
	add_name(&data, target);
	add_u16(buf, 0xc00c); /* the question's name */
	add_u16(buf, 33);
	add_u16(buf, 1);
	buf_add_u32be(buf, 300);
	add_u16(buf, (unsigned)data.len);
	buf_add(buf, buf_slice(&data));
	buf_fini(&data);
}

static void
test_an_answer(void **state)
{
	struct locate_hosts hosts;
	struct err err;
	struct buf buf;

	(void)state;
	answer_begin(&buf, 3);
	answer_add(&buf, 7, 300, 389, "dc1.north.example");
	answer_add(&buf, 0, 0, 0, ""); /* nobody */
	answer_add(&buf, 0, 65535, 65535, "dc-2.north.example");
	assert_int_equal(locate_parse(buf_slice(&buf), &hosts, &err), 0);
	assert_int_equal(hosts.count, 2);
	assert_string_equal(hosts.list[0].name, "dc1.north.example");
	assert_int_equal(hosts.list[0].priority, 7);
	assert_int_equal(hosts.list[0].weight, 300);
	assert_int_equal(hosts.list[0].port, 389);
	assert_string_equal(hosts.list[1].name, "dc-2.north.example");
	assert_int_equal(hosts.list[1].weight, 65535);
	/* cut anywhere: an error or fewer hosts, never more */
	for (size_t len = 0; len < buf.len; len++)
		if (locate_parse(slice_make(buf.data, len), &hosts, &err) == 0)
			fail_msg("accepted %zu of %zu bytes", len, buf.len);
	buf_fini(&buf);
}

static void
test_names_that_are_no_hosts(void **state)
{
	static const char *const names[] = {"evil/x", "a b", "u@host", "x:1",
	    "[x", "-x", "?x", "a%41", "a\x01", "\xc3\xa4"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct locate_hosts hosts;
		struct err err = {0};
		struct buf buf;

		answer_begin(&buf, 1);
		answer_add(&buf, 0, 0, 389, names[i]);
		assert_int_equal(
		    locate_parse(buf_slice(&buf), &hosts, &err), -1);
		assert_int_equal(err.class, ERR_BAD_DATA);
		buf_fini(&buf);
	}
}

static void
test_more_hosts_than_are_kept(void **state)
{
	struct locate_hosts hosts;
	struct err err;
	struct buf buf;

	(void)state;
	answer_begin(&buf, LOCATE_HOSTS_MAX + 1);
	for (unsigned i = 0; i <= LOCATE_HOSTS_MAX; i++)
		answer_add(&buf, i, 0, 389, "dc.north.example");
	assert_int_equal(locate_parse(buf_slice(&buf), &hosts, &err), 0);
	assert_int_equal(hosts.count, LOCATE_HOSTS_MAX);
	assert_int_equal(
	    hosts.list[LOCATE_HOSTS_MAX - 1].priority, LOCATE_HOSTS_MAX - 1);
	buf_fini(&buf);
}

/* --- the order --- */

struct draws {
	const uint32_t *numbers;
	size_t next;
	uint32_t sums[8];
};

static uint32_t
draw(void *arg, uint32_t sum)
{
	struct draws *d = arg;

	d->sums[d->next] = sum;
	return d->numbers[d->next++];
}

static void
order(const struct locate_host *list, size_t count, const uint32_t *numbers,
    struct draws *draws, char *out)
{
	struct locate_hosts hosts = {.count = count};

	memcpy(hosts.list, list, count * sizeof(*list));
	*draws = (struct draws){.numbers = numbers};
	locate_order(&hosts, draw, draws);
	for (size_t i = 0; i < count; i++)
		out[i] = hosts.list[i].name[0];
	out[count] = '\0';
}

static void
test_priority_before_weight(void **state)
{
	static const struct locate_host list[] = {
	    {"c", 20, 0, 389}, {"a", 0, 1, 389}, {"b", 10, 999, 389}};
	static const uint32_t numbers[] = {0, 0, 0};
	struct draws draws;
	char text[8];

	(void)state;
	order(list, 3, numbers, &draws, text);
	assert_string_equal(text, "abc");
}

/* RFC 2782's procedure: weight 0 first, then the first running sum that is not
 * below the number drawn. */
static void
test_weights(void **state)
{
	static const struct locate_host list[] = {
	    {"a", 0, 10, 389}, {"b", 0, 30, 389}, {"z", 0, 0, 389}};
	static const struct {
		uint32_t numbers[3];
		const char *order;
	} cases[] = {{{0, 0, 0}, "zab"}, {{10, 0, 0}, "azb"},
	    {{11, 0, 0}, "bza"}, {{40, 1, 0}, "baz"}};
	struct draws draws;
	char text[8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		order(list, 3, cases[i].numbers, &draws, text);
		if (strcmp(text, cases[i].order) != 0)
			fail_msg(
			    "case %zu: %s, not %s", i, text, cases[i].order);
		assert_int_equal(draws.next, 3);
		assert_int_equal(draws.sums[0], 40);
	}
}

/* Name servers turn their answers round. */
static void
test_order_of_the_answer(void **state)
{
	static const struct locate_host list[] = {{"c", 0, 100, 389},
	    {"a", 0, 100, 389}, {"b", 0, 100, 389}, {"a", 1, 100, 389}};
	static const uint32_t numbers[] = {150, 100, 0, 0};
	struct locate_host turned[4];
	struct draws draws;
	char text[8];

	(void)state;
	for (size_t by = 0; by < 4; by++) {
		for (size_t i = 0; i < 4; i++)
			turned[i] = list[(i + by) % 4];
		order(turned, 4, numbers, &draws, text);
		assert_string_equal(text, "baca");
	}
}

/* --- URIs --- */

static void
test_uris(void **state)
{
	static const struct {
		uint16_t port;
		bool ldaps;
		const char *uri;
	} cases[] = {{389, false, "ldap://dc.x:389"},
	    {389, true, "ldaps://dc.x:636"}, {3268, false, "ldap://dc.x:3268"},
	    {3268, true, "ldaps://dc.x:3269"},
	    {10636, true, "ldaps://dc.x:10636"}};
	static const char *const catalogues[][2] = {
	    {"ldaps://dc.x", "ldaps://dc.x:3269"},
	    {"LDAPS://dc.x:636/", "ldaps://dc.x:3269"},
	    {"ldap://dc.x:389", "ldap://dc.x:3268"},
	    {"ldaps://[fd00::1]:636", "ldaps://[fd00::1]:3269"}};
	struct locate_host host = {.name = "dc.x"};
	struct err err = {0};
	struct buf buf;

	(void)state;
	buf_init(&buf, 256);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		host.port = cases[i].port;
		buf_reset(&buf);
		locate_uri_add(&host, cases[i].ldaps, &buf);
		assert_string_equal(buf_cstr(&buf), cases[i].uri);
	}
	for (size_t i = 0; i < sizeof(catalogues) / sizeof(catalogues[0]);
	     i++) {
		buf_reset(&buf);
		assert_int_equal(
		    locate_catalogue_uri(catalogues[i][0], &buf, &err), 0);
		assert_string_equal(buf_cstr(&buf), catalogues[i][1]);
	}
	assert_int_equal(
	    locate_catalogue_uri("ldapi://%2frun%2fldapi", &buf, &err), -1);
	assert_non_null(strstr(err.message, "global_catalog"));
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_answer),
	    cmocka_unit_test(test_names_that_are_no_hosts),
	    cmocka_unit_test(test_more_hosts_than_are_kept),
	    cmocka_unit_test(test_priority_before_weight),
	    cmocka_unit_test(test_weights),
	    cmocka_unit_test(test_order_of_the_answer),
	    cmocka_unit_test(test_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
