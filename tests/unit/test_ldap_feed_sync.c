/* RFC 4533's values, from bytes made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/feed_sync.h"

#define UUID "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"

static struct buf cookie;

static struct berval
bytes(struct slice s)
{
	return (struct berval){s.len, (char *)s.data};
}

static int
setup(void **state)
{
	(void)state;
	buf_init(&cookie, 64);
	buf_add_str(&cookie, "old");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_fini(&cookie);
	return 0;
}

static void
request_has_the_form_of_the_rfc(void **state)
{
	struct berval value;

	(void)state;
	assert_int_equal(feed_sync_request(false, SLICE_LIT("abc"), &value), 0);
	assert_true(slice_equal(slice_make(value.bv_val, value.bv_len),
	    SLICE_LIT("\x30\x0b\x0a\x01\x01\x04\x03"
		      "abc\x01\x01\x00")));
	ber_memfree(value.bv_val);
	assert_int_equal(feed_sync_request(true, SLICE_NULL, &value), 0);
	assert_true(slice_equal(slice_make(value.bv_val, value.bv_len),
	    SLICE_LIT("\x30\x06\x0a\x01\x03\x01\x01\x00")));
	ber_memfree(value.bv_val);
}

static int
state_decode(struct slice s, enum feed_sync_state *out, struct id *id)
{
	struct berval value = bytes(s);

	return feed_sync_state_decode(&value, out, id, &cookie);
}

static void
states_are_read(void **state)
{
	enum feed_sync_state found;
	struct id id;

	(void)state;
	assert_int_equal(
	    state_decode(
		SLICE_LIT("\x30\x15\x0a\x01\x03\x04\x10" UUID), &found, &id),
	    0);
	assert_int_equal(found, FEED_SYNC_DELETE);
	assert_memory_equal(id.bytes, UUID, 16);
	assert_string_equal(buf_cstr(&cookie), "old");
	assert_int_equal(
	    state_decode(
		SLICE_LIT("\x30\x1a\x0a\x01\x01\x04\x10" UUID "\x04\x03new"),
		&found, &id),
	    0);
	assert_int_equal(found, FEED_SYNC_ADD);
	assert_string_equal(buf_cstr(&cookie), "new");
	/* no such state; an id of 15 bytes */
	assert_int_equal(
	    state_decode(
		SLICE_LIT("\x30\x15\x0a\x01\x04\x04\x10" UUID), &found, &id),
	    -1);
	assert_int_equal(state_decode(SLICE_LIT("\x30\x14\x0a\x01\x01\x04\x0f"
						"123456789012345"),
			     &found, &id),
	    -1);
}

static void
ends_are_read(void **state)
{
	struct berval empty = bytes(SLICE_LIT("\x30\x00"));
	struct berval deletes = bytes(SLICE_LIT("\x30\x08\x04\x03new"
						"\x01\x01\xff"));
	bool flag = true;

	(void)state;
	assert_int_equal(feed_sync_done_decode(&empty, &flag, &cookie), 0);
	assert_false(flag);
	assert_string_equal(buf_cstr(&cookie), "old");
	assert_int_equal(feed_sync_done_decode(&deletes, &flag, &cookie), 0);
	assert_true(flag);
	assert_string_equal(buf_cstr(&cookie), "new");
	empty = (struct berval){0, NULL};
	assert_int_equal(feed_sync_done_decode(&empty, &flag, &cookie), -1);
}

static int
info_decode(struct slice s, struct feed_sync_info *out)
{
	struct berval value = bytes(s);

	return feed_sync_info_decode(&value, out, &cookie);
}

static void
messages_are_read(void **state)
{
	struct feed_sync_info info;

	(void)state;
	assert_int_equal(info_decode(SLICE_LIT("\x80\x03"
					       "abc"),
			     &info),
	    0);
	assert_int_equal(info.message, FEED_SYNC_NEW_COOKIE);
	assert_string_equal(buf_cstr(&cookie), "abc");
	assert_int_equal(info_decode(SLICE_LIT("\xa1\x00"), &info), 0);
	assert_int_equal(info.message, FEED_SYNC_REFRESH_DELETE);
	assert_true(info.flag);
	assert_int_equal(
	    info_decode(SLICE_LIT("\xa2\x03\x01\x01\x00"), &info), 0);
	assert_int_equal(info.message, FEED_SYNC_REFRESH_PRESENT);
	assert_false(info.flag);
	assert_int_equal(
	    info_decode(
		SLICE_LIT("\xa3\x17\x01\x01\xff\x31\x12\x04\x10" UUID), &info),
	    0);
	assert_int_equal(info.message, FEED_SYNC_ID_SET);
	assert_true(info.flag);
	assert_int_equal(info.id_count, 1);
	assert_memory_equal(info.ids[0].bytes, UUID, 16);
	free(info.ids);
	/* a choice that the RFC does not have; an id of 15 bytes */
	assert_int_equal(info_decode(SLICE_LIT("\xa4\x00"), &info), -1);
	assert_int_equal(info_decode(SLICE_LIT("\xa3\x13\x31\x11\x04\x0f"
					       "123456789012345"),
			     &info),
	    -1);
	assert_null(info.ids);
}

/* A message cut anywhere is refused, or the shorter one is whole by itself. */
static void
cut_messages_are_refused(void **state)
{
	static const char whole[] =
	    "\xa3\x1c\x04\x03new\x01\x01\xff\x31\x12\x04\x10" UUID;
	struct feed_sync_info info;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		/* On the heap, so that a sanitizer sees a read beyond. */
		char *copy = mem_alloc(len + 1);
		struct berval value = {len, copy};

		memcpy(copy, whole, len);
		assert_int_equal(
		    feed_sync_info_decode(&value, &info, &cookie), -1);
		free(copy);
	}
}

static void
a_cookie_beyond_the_maximum_is_refused(void **state)
{
	char text[2 + 65] = {'\x80', 65};
	struct feed_sync_info info;
	struct berval value = {sizeof(text), text};

	(void)state;
	assert_int_equal(feed_sync_info_decode(&value, &info, &cookie), -1);
	text[1] = 64;
	value.bv_len--;
	assert_int_equal(feed_sync_info_decode(&value, &info, &cookie), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(request_has_the_form_of_the_rfc),
	    cmocka_unit_test_setup_teardown(states_are_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(ends_are_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(messages_are_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		cut_messages_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_cookie_beyond_the_maximum_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
