/* Change stamps: what they say, and where they say nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/ldap/stamp.h"

static enum stamp_answer
usn(const char *stamp, const char *then, const char *now)
{
	return stamp_compare_usn(
	    slice_str(stamp), slice_str(then), slice_str(now));
}

static void
test_usn(void **state)
{
	(void)state;
	assert_int_equal(usn("99", "ab:100", "ab:100"), STAMP_BEFORE);
	assert_int_equal(usn("100", "ab:100", "ab:120"), STAMP_BEFORE);
	assert_int_equal(usn("101", "ab:100", "ab:120"), STAMP_SINCE);
	/* A controller's numbers are its own. */
	assert_int_equal(usn("99", "ab:100", "cd:120"), STAMP_UNKNOWN);
	assert_int_equal(usn("99", "ab:100", "abc:120"), STAMP_UNKNOWN);
	/* One that was put back without a new name. */
	assert_int_equal(usn("99", "ab:100", "ab:98"), STAMP_UNKNOWN);
	assert_int_equal(usn("", "ab:100", "ab:100"), STAMP_UNKNOWN);
	assert_int_equal(usn("9x", "ab:100", "ab:100"), STAMP_UNKNOWN);
	assert_int_equal(
	    usn("99999999999999999999", "ab:100", "ab:100"), STAMP_UNKNOWN);
	assert_int_equal(usn("99", "", "ab:100"), STAMP_UNKNOWN);
	assert_int_equal(usn("99", "ab:", "ab:100"), STAMP_UNKNOWN);
}

#define CSN(time, server)                                                      \
	"202601010000" time ".000000Z#000000#" server "#000000"

static enum stamp_answer
csn(const char *stamp, const char *then, size_t context, size_t contexts)
{
	return stamp_compare_csn(
	    slice_str(stamp), slice_str(then), context, contexts);
}

static void
test_csn(void **state)
{
	static const char one[] = CSN("30", "000") " ";
	/* Two databases, the first written by two servers. */
	static const char two[] =
	    CSN("30", "001") " " CSN("40", "002") " " CSN("20", "001") " ";

	(void)state;
	assert_int_equal(csn(CSN("30", "000"), one, 0, 1), STAMP_BEFORE);
	assert_int_equal(csn(CSN("31", "000"), one, 0, 1), STAMP_SINCE);
	/* A writer of whom nothing was known. */
	assert_int_equal(csn(CSN("10", "001"), one, 0, 1), STAMP_UNKNOWN);
	assert_int_equal(csn(CSN("30", "001"), two, 0, 2), STAMP_BEFORE);
	assert_int_equal(csn(CSN("30", "001"), two, 1, 2), STAMP_SINCE);
	assert_int_equal(csn(CSN("40", "002"), two, 0, 2), STAMP_BEFORE);
	assert_int_equal(csn(CSN("10", "002"), two, 1, 2), STAMP_UNKNOWN);
	/* It cannot be told which is whose. */
	assert_int_equal(csn(CSN("10", "001"), two, 0, 3), STAMP_UNKNOWN);
	assert_int_equal(
	    csn(CSN("10", "001"), two, SIZE_MAX, 2), STAMP_UNKNOWN);
	assert_int_equal(csn("20260101000010Z", one, 0, 1), STAMP_UNKNOWN);
	assert_int_equal(csn("", one, 0, 1), STAMP_UNKNOWN);
	assert_int_equal(csn(CSN("30", "000"), "", 0, 1), STAMP_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_usn),
	    cmocka_unit_test(test_csn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
