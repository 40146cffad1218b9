/* Up-to-dateness vectors: what Windows and Samba send, and what nobody should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/id.h"
#include "common/ldap/reach.h"

#define VECTOR_MAX 4096

static const uint8_t dc1[ID_LEN] = "first controller";
static const uint8_t dc2[ID_LEN] = "second controlle";

static void
add_le(struct buf *buf, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_add_byte(buf, (uint8_t)(value >> 8 * i));
}

static void
vector_begin(struct buf *buf, unsigned version, unsigned count)
{
	buf_init(buf, VECTOR_MAX);
	add_le(buf, version, 4);
	add_le(buf, 0, 4);
	add_le(buf, count, 4);
	add_le(buf, 0, 4);
}

static void
vector_add(
    struct buf *buf, const uint8_t *who, uint64_t usn, const uint64_t *heard)
{
	buf_add(buf, slice_make(who, ID_LEN));
	add_le(buf, usn, 8);
	if (heard != NULL)
		add_le(buf, *heard, 8);
}

static bool
find(const struct buf *buf, const uint8_t *who, struct reach_cursor *out)
{
	*out = (struct reach_cursor){.usn = 0};
	return reach_vector_find(buf_slice(buf), slice_make(who, ID_LEN), out);
}

static void
test_versions(void **state)
{
	/* 2026-11-22T20:00:00Z as both write it. */
	const uint64_t seconds = UINT64_C(13439851200);
	const uint64_t hundreds_ns = seconds * 10000000, never = 0;
	struct reach_cursor cursor;
	struct buf buf;

	(void)state;
	vector_begin(&buf, 1, 2);
	vector_add(&buf, dc1, 7, NULL);
	vector_add(&buf, dc2, UINT64_C(0x0102030405060708), NULL);
	assert_true(find(&buf, dc2, &cursor));
	assert_true(cursor.usn == UINT64_C(0x0102030405060708));
	assert_true(cursor.heard_ms == 0);
	buf_fini(&buf);

	vector_begin(&buf, 2, 3);
	vector_add(&buf, dc1, 3816, &seconds);
	vector_add(&buf, dc2, UINT64_MAX, &hundreds_ns);
	vector_add(&buf, (const uint8_t *)"a third one here", 1, &never);
	assert_true(find(&buf, dc1, &cursor));
	assert_true(cursor.usn == 3816);
	assert_true(cursor.heard_ms == INT64_C(1795377600000));
	assert_true(find(&buf, dc2, &cursor));
	assert_true(cursor.usn == UINT64_MAX);
	assert_true(cursor.heard_ms == INT64_C(1795377600000));
	assert_true(find(&buf, (const uint8_t *)"a third one here", &cursor));
	assert_true(cursor.heard_ms == 0);
	assert_false(find(&buf, (const uint8_t *)"nobody knows him", &cursor));
	buf_fini(&buf);
}

static void
test_malformed(void **state)
{
	static const unsigned versions[] = {0, 3, 0x102, UINT32_MAX};
	const uint64_t odd = UINT64_MAX;
	struct reach_cursor cursor;
	struct buf buf;

	(void)state;
	/* Every cut of a good one. */
	vector_begin(&buf, 2, 2);
	vector_add(&buf, dc1, 1, &odd);
	vector_add(&buf, dc2, 2, &odd);
	assert_true(find(&buf, dc1, &cursor) && cursor.heard_ms == 0);
	for (size_t len = 0; len < buf.len; len++)
		assert_false(
		    reach_vector_find(slice_sub(buf_slice(&buf), 0, len),
			slice_make(dc1, ID_LEN), &cursor));
	/* Not an invocationId. */
	assert_false(reach_vector_find(
	    buf_slice(&buf), slice_make(dc1, ID_LEN - 1), &cursor));
	buf_fini(&buf);
	/* More cursors than there are bytes for. */
	vector_begin(&buf, 1, UINT32_MAX);
	vector_add(&buf, dc1, 1, NULL);
	assert_false(find(&buf, dc1, &cursor));
	buf_fini(&buf);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		vector_begin(&buf, versions[i], 1);
		vector_add(&buf, dc1, 1, &odd);
		assert_false(find(&buf, dc1, &cursor));
		buf_fini(&buf);
	}
	/* None, and one behind the count. */
	vector_begin(&buf, 1, 0);
	vector_add(&buf, dc1, 1, NULL);
	assert_false(find(&buf, dc1, &cursor));
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
