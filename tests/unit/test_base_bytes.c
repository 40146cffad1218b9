/* err, slice, buf, reader, arena, secret, id, clock, log text. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/reader.h"
#include "common/base/secret.h"

#define S(text) SLICE_LIT(text)

static void
test_err(void **state)
{
	char a[2 * ERR_MESSAGE_MAX];
	struct err err;

	(void)state;
	err_clear(&err);
	assert_int_equal(err.class, ERR_NONE);
	assert_int_equal(err_exit_code(&err), EXIT_DONE);
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_prepend(NULL, "x"), -1);
	assert_int_equal(
	    err_set(&err, ERR_BAD_DATA, "a\nb\x7f%s", "\xc3\xa4"), -1);
	assert_string_equal(err.message, "a\\x0ab\\x7f\xc3\xa4");
	assert_int_equal(err_prepend(&err, "file %d", 7), -1);
	assert_string_equal(err.message, "file 7: a\\x0ab\\x7f\xc3\xa4");
	assert_int_equal(err.class, ERR_BAD_DATA);
	errno = ENOENT;
	assert_int_equal(err_set_errno(&err, ERR_IO, "open"), -1);
	assert_int_equal(err.saved_errno, ENOENT);
	assert_string_equal(err.message, "open: No such file or directory");
	err_set_code(&err, ERR_LIMIT, 42, "full");
	assert_int_equal(err.code, 42);
	assert_int_equal(err.saved_errno, 0);
	assert_int_equal(err_exit_code(&err), EXIT_HELD);
	assert_string_equal(err_class_name(ERR_UNTRUSTED), "untrusted");
	assert_string_equal(err_class_name((enum err_class)99), "unknown");
	/* Cut at the limit, one byte below and above it. */
	for (size_t len = ERR_MESSAGE_MAX - 2; len <= ERR_MESSAGE_MAX; len++) {
		memset(a, 'x', len);
		a[len] = '\0';
		err_set(&err, ERR_IO, "%s", a);
		assert_int_equal(strlen(err.message),
		    len < ERR_MESSAGE_MAX ? len : ERR_MESSAGE_MAX - 1);
	}
	/* An escape that does not fit is left out whole. */
	a[ERR_MESSAGE_MAX - 2] = '\n';
	a[ERR_MESSAGE_MAX - 1] = '\0';
	err_set(&err, ERR_IO, "%s", a);
	assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 2);
}

static void
test_slice_order(void **state)
{
	(void)state;
	assert_true(slice_equal(SLICE_NULL, S("")));
	assert_false(slice_equal(S("a"), S("A")));
	assert_true(slice_equal_case(S("aB"), S("Ab")));
	/* Only ASCII is folded: [ and {, the two cases of a-umlaut. */
	assert_false(slice_equal_case(S("["), S("{")));
	assert_false(slice_equal_case(S("\xc3\xa4"), S("\xc3\x84")));
	assert_true(slice_compare(S("a"), S("ab")) < 0);
	assert_true(slice_compare(S("b"), S("ab")) > 0);
	assert_int_equal(slice_compare(SLICE_NULL, SLICE_NULL), 0);
	assert_true(slice_compare(S("\xff"), S("a")) > 0);
	assert_true(slice_starts_case(S("SMTP:x"), S("smtp:")));
	assert_false(slice_starts_case(S("SM"), S("smtp:")));
	assert_true(slice_ends_case(S("A.Conf"), S(".conf")));
	assert_false(slice_ends_case(S("onf"), S(".conf")));
	assert_true(slice_ends_case(SLICE_NULL, SLICE_NULL));
	assert_int_equal(slice_find(S("abc"), 'c'), 2);
	assert_true(slice_find(S("abc"), 'd') == SIZE_MAX);
	assert_true(slice_find(SLICE_NULL, 0) == SIZE_MAX);
	assert_true(slice_equal(slice_trim(S(" \t\r\na b\n ")), S("a b")));
	assert_int_equal(slice_trim(S(" \n")).len, 0);
	assert_true(slice_equal(slice_sub(S("abcdef"), 2, 3), S("cde")));
	assert_true(slice_equal(slice_sub(S("abc"), 1, SIZE_MAX), S("bc")));
	assert_int_equal(slice_sub(S("abc"), 3, 1).len, 0);
	assert_int_equal(slice_sub(S("abc"), SIZE_MAX, SIZE_MAX).len, 0);
}

static void
test_slice_number(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_true(slice_u64(S("0"), &n) && n == 0);
	assert_true(slice_u64(S("9999999999999999999"), &n));
	assert_true(n == UINT64_C(9999999999999999999));
	n = 7;
	assert_false(slice_u64(S(""), &n) || slice_u64(S("-1"), &n) ||
		     slice_u64(S("1 "), &n) || slice_u64(S("0x1"), &n) ||
		     slice_u64(S("10000000000000000000"), &n));
	assert_int_equal(n, 7);
}

static void
test_slice_utf8(void **state)
{
	static const struct slice good[] = {SLICE_LIT(""), SLICE_LIT("a\0b"),
	    SLICE_LIT("\xc2\x80"), SLICE_LIT("\xdf\xbf"),
	    SLICE_LIT("\xe0\xa0\x80"), SLICE_LIT("\xed\x9f\xbf"),
	    SLICE_LIT("\xee\x80\x80"), SLICE_LIT("\xf0\x90\x80\x80"),
	    SLICE_LIT("\xf4\x8f\xbf\xbf")};
	static const struct slice bad[] = {SLICE_LIT("\x80"),
	    SLICE_LIT("\xc0\x80"), SLICE_LIT("\xc1\xbf"),
	    SLICE_LIT("\xe0\x9f\xbf"), SLICE_LIT("\xed\xa0\x80"),
	    SLICE_LIT("\xed\xbf\xbf"), SLICE_LIT("\xf0\x8f\xbf\xbf"),
	    SLICE_LIT("\xf4\x90\x80\x80"), SLICE_LIT("\xf5\x80\x80\x80"),
	    SLICE_LIT("\xff"), SLICE_LIT("\xc3"), SLICE_LIT("\xe2\x82"),
	    SLICE_LIT("\xf0\x9f\x98"), SLICE_LIT("\xe2\x28\xa1"),
	    SLICE_LIT("a\xc3(")};
	struct slice text = S("a\xc3\xa4\xf0\x9f\x98\x80z");

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(slice_is_utf8(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(slice_is_utf8(bad[i]));
	assert_int_equal(slice_utf8_length(text), 4);
	assert_int_equal(slice_utf8_prefix(text, 0).len, 0);
	assert_int_equal(slice_utf8_prefix(text, 2).len, 3);
	assert_int_equal(slice_utf8_prefix(text, 3).len, 7);
	assert_int_equal(slice_utf8_prefix(text, 99).len, text.len);
	assert_int_equal(slice_utf8_prefix(S("\xff\xff"), 1).len, 1);
}

static void
test_buf(void **state)
{
	struct err err;
	struct buf buf;

	(void)state;
	buf_init(&buf, 5);
	assert_string_equal(buf_cstr(&buf), "");
	buf_add_str(&buf, "abcd");
	buf_add_byte(&buf, 'e');
	assert_int_equal(buf_check(&buf, "text", &err), 0);
	buf_add_byte(&buf, 'f');
	assert_true(buf_failed(&buf));
	assert_string_equal(buf_cstr(&buf), "abcde");
	assert_int_equal(buf_check(&buf, "text", &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_non_null(strstr(err.message, "text is larger"));
	/* Sticky, also for what would fit. */
	buf_truncate(&buf, 0);
	buf_add_byte(&buf, 'g');
	assert_int_equal(buf.len, 0);
	buf_reset(&buf);
	buf_addf(&buf, "%05d", 7);
	assert_string_equal(buf_cstr(&buf), "00007");
	buf_addf(&buf, "%s", "");
	assert_false(buf_failed(&buf));
	buf_addf(&buf, "x");
	assert_true(buf_failed(&buf));
	buf_fini(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.max, 5);
	assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_init(&buf, SIZE_MAX);
	buf_add_str(&buf, "x");
	assert_null(buf_reserve(&buf, SIZE_MAX - 1));
	buf_cleanse(&buf);
	/* Growth keeps contents. */
	buf_init(&buf, 100000);
	for (size_t i = 0; i < 100000; i++)
		buf_add_byte(&buf, (uint8_t)(i % 251));
	assert_int_equal(buf.len, 100000);
	assert_false(buf_failed(&buf));
	for (size_t i = 0; i < buf.len; i++)
		assert_int_equal(buf.data[i], i % 251);
	buf_cleanse(&buf);
}

static void
test_buf_numbers(void **state)
{
	static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384,
	    UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
	struct reader r;
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	buf_add_u32be(&buf, 0x01020304);
	buf_add_u64be(&buf, UINT64_C(0xfedcba9876543210));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		buf_add_varint(&buf, values[i]);
	assert_memory_equal(buf.data, "\x01\x02\x03\x04\xfe\xdc", 6);
	reader_init(&r, buf_slice(&buf));
	assert_int_equal(reader_u32be(&r), 0x01020304);
	assert_true(reader_u64be(&r) == UINT64_C(0xfedcba9876543210));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_true(reader_varint(&r) == values[i]);
	assert_true(reader_done(&r));
	assert_int_equal(reader_u8(&r), 0);
	assert_true(r.failed);
	buf_reset(&buf);
	buf_add_hex(&buf, S("\x00\xab\xff"));
	assert_string_equal(buf_cstr(&buf), "00abff");
	buf_fini(&buf);
}

static void
test_buf_text(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 200);
	buf_add_text(&buf, S("\xc3\x85sa, O=\"x\" \xe2\x82\xac\xf0\x9f\x98\x80"
			     "\xc2\xa0"));
	assert_string_equal(buf_cstr(&buf),
	    "\xc3\x85sa, O=\"x\" \xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0");
	buf_reset(&buf);
	buf_add_text(&buf, S("a\nb\x1b[2J\x7f\0z"));
	assert_string_equal(buf_cstr(&buf), "a\\0Ab\\1B[2J\\7F\\00z");
	buf_reset(&buf);
	/* C1, the line separator, right-to-left override and isolate, no UTF-8
	 */
	buf_add_text(&buf, S("\xc2\x9b|\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa7|"
			     "\xff|\xc3"));
	assert_string_equal(buf_cstr(&buf),
	    "\\C2\\9B|\\E2\\80\\A8|\\E2\\80\\AE|\\E2\\81\\A7|\\FF|\\C3");
	buf_fini(&buf);
	buf_init(&buf, 4);
	buf_add_text(&buf, S("abcde"));
	assert_true(buf_failed(&buf));
	buf_fini(&buf);
}

static void
test_buf_json(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 200);
	buf_add_json(&buf, S("a\"\\/\n\r\t\b\x01\x1f\x7f\0z"));
	assert_string_equal(buf_cstr(&buf),
	    "\"a\\\"\\\\/\\n\\r\\t\\u0008\\u0001\\u001f\\u007f\\u0000z\"");
	buf_reset(&buf);
	/* Text stays; each bad byte becomes one replacement character. */
	buf_add_json(&buf, S("\xf0\x9f\x98\x80\xff\xc3"));
	assert_string_equal(
	    buf_cstr(&buf), "\"\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\"");
	buf_reset(&buf);
	buf_add_json(&buf, SLICE_NULL);
	assert_string_equal(buf_cstr(&buf), "\"\"");
	buf_fini(&buf);
	/* What does not fit leaves nothing behind. */
	buf_init(&buf, 4);
	buf_add_json(&buf, S("abc"));
	assert_true(buf_failed(&buf));
	assert_int_equal(buf.len, 0);
	buf_fini(&buf);
}

static void
test_reader(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, S("abc"));
	assert_int_equal(reader_take(&r, 0).len, 0);
	assert_true(slice_equal(reader_take(&r, 2), S("ab")));
	assert_int_equal(reader_u32be(&r), 0);
	assert_true(r.failed);
	/* Sticky: the byte that is left is not given out. */
	assert_int_equal(reader_u8(&r), 0);
	assert_false(reader_done(&r));
	reader_init(&r, S("abc"));
	assert_int_equal(reader_take(&r, SIZE_MAX).len, 0);
	assert_true(r.failed);
	/* 2^64 and eleven bytes are refused; an endless one too. */
	reader_init(&r, S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
	(void)reader_varint(&r);
	assert_true(r.failed);
	reader_init(&r, S("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
	(void)reader_varint(&r);
	assert_true(r.failed);
	reader_init(&r, S("\x80"));
	(void)reader_varint(&r);
	assert_true(r.failed);
}

static void
test_arena(void **state)
{
	struct arena *arena = arena_new(1024);
	char *text;

	(void)state;
	assert_non_null(arena_alloc(arena, 1024));
	assert_null(arena_alloc(arena, 1));
	assert_int_equal(arena_used(arena), 1024);
	arena_reset(arena);
	assert_int_equal(arena_used(arena), 0);
	assert_null(arena_alloc(arena, 1025));
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_calloc(arena, SIZE_MAX / 2, 3));
	text = arena_strdup(arena, "hello");
	assert_string_equal(text, "hello");
	assert_int_equal((uintptr_t)text % 16, 0);
	assert_true(slice_equal(arena_dup(arena, S("a\0b")), S("a\0b")));
	assert_int_equal(arena_dup(arena, S("a\0b")).data[3], 0);
	arena_free(arena);
	arena_free(NULL);

	/* Many blocks, and pieces larger than one. */
	arena = arena_new(SIZE_MAX);
	for (size_t round = 0; round < 3; round++) {
		uint8_t *large = arena_alloc(arena, 100000);
		uint8_t *small = NULL;

		memset(large, 1, 100000);
		for (size_t i = 1; i < 3000; i++) {
			uint8_t *next = arena_calloc(arena, 1, i % 40);

			assert_int_equal((uintptr_t)next % 16, 0);
			assert_true(next != small);
			if (i % 40 > 0)
				assert_int_equal(next[i % 40 - 1], 0);
			memset(next, 2, i % 40);
			small = next;
		}
		assert_int_equal(large[99999], 1);
		arena_reset(arena);
	}
	arena_free(arena);
}

static void
test_secret(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620};
	char dir[] = "/tmp/galr-base-XXXXXX";
	uint8_t bytes[SECRET_MAX + 2];
	struct secret secret = {NULL, 0};
	struct secret other = {NULL, 0};
	struct err err;
	char *path;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = fsio_join(dir, "key");
	assert_int_equal(secret_read(&secret, path, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_int_equal(err.saved_errno, ENOENT);
	assert_int_equal(fsio_write(path, S("pass word\n"), 0600, &err), 0);
	assert_int_equal(secret_read(&secret, path, &err), 0);
	assert_true(slice_equal(secret_slice(&secret), S("pass word")));
	assert_int_equal(secret.data[secret.len], 0);
	secret_free(&secret);
	assert_null(secret.data);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(secret_read(&secret, path, &err), -1);
		assert_int_equal(err.class, ERR_CONFIG);
		assert_non_null(strstr(err.message, "chmod 600"));
	}
	assert_int_equal(fsio_write(path, S("\n"), 0600, &err), 0);
	assert_int_equal(secret_read(&secret, path, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	memset(bytes, 'k', sizeof(bytes));
	bytes[SECRET_MAX] = '\n';
	assert_int_equal(
	    fsio_write(path, slice_make(bytes, SECRET_MAX + 1), 0600, &err), 0);
	assert_int_equal(secret_read(&secret, path, &err), 0);
	assert_int_equal(secret.len, SECRET_MAX);
	secret_free(&secret);
	bytes[SECRET_MAX] = 'k';
	assert_int_equal(
	    fsio_write(path, slice_make(bytes, SECRET_MAX + 1), 0600, &err), 0);
	assert_int_equal(secret_read(&secret, path, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	/* A directory is no secret. */
	assert_int_equal(secret_read(&secret, dir, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_int_equal(secret_random(&secret, 32, &err), 0);
	assert_int_equal(secret_random(&other, 32, &err), 0);
	assert_memory_not_equal(secret.data, other.data, 32);
	secret_free(&secret);
	secret_free(&other);
	secret_free(NULL);
	assert_int_equal(fsio_remove_tree(dir, &err), 0);
	free(path);
}

static void
test_id(void **state)
{
	char text[ID_HEX_SIZE];
	struct id a;
	struct id b;
	struct err err;

	(void)state;
	assert_int_equal(
	    id_parse(S("00112233-4455-6677-8899-AABBCCDDEEFF"), &a, &err), 0);
	assert_string_equal(
	    id_format(&a, text), "00112233445566778899aabbccddeeff");
	assert_int_equal(id_from_slice(id_slice(&a), &b, &err), 0);
	assert_int_equal(id_compare(&a, &b), 0);
	assert_int_equal(id_from_slice(S("short"), &b, &err), -1);
	assert_int_equal(err.class, ERR_BAD_DATA);
	assert_int_equal(
	    id_parse(S("00112233445566778899aabbccddeef"), &b, &err), -1);
	assert_int_equal(
	    id_parse(S("00112233445566778899aabbccddeeff0"), &b, &err), -1);
	assert_int_equal(
	    id_parse(S("00112233445566778899aabbccddeefg"), &b, &err), -1);
	assert_int_equal(id_random(&a, &err), 0);
	assert_int_equal(id_random(&b, &err), 0);
	assert_int_not_equal(id_compare(&a, &b), 0);
}

static void
test_clock(void **state)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t before = clock_mono_ms();

	(void)state;
	assert_string_equal(
	    clock_format(INT64_C(1795442240999), text), "2026-11-23T13:57:20Z");
	assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_format(-1, text), "1969-12-31T23:59:59Z");
	assert_string_equal(
	    clock_format(INT64_C(951782400000), text), "2000-02-29T00:00:00Z");
	assert_true(strlen(clock_format(INT64_MAX, text)) > 0);
	assert_string_equal(clock_format_age(-5, text), "0 s");
	assert_string_equal(clock_format_age(999, text), "0 s");
	assert_string_equal(clock_format_age(119999, text), "119 s");
	assert_string_equal(clock_format_age(120000, text), "2 min");
	assert_string_equal(clock_format_age(7200000, text), "2 h");
	assert_string_equal(clock_format_age(172800000, text), "2 d");
	assert_true(clock_mono_ms() >= before);
	assert_true(clock_now_ms() > INT64_C(1600000000000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_err),
	    cmocka_unit_test(test_slice_order),
	    cmocka_unit_test(test_slice_number),
	    cmocka_unit_test(test_slice_utf8),
	    cmocka_unit_test(test_buf),
	    cmocka_unit_test(test_buf_numbers),
	    cmocka_unit_test(test_buf_json),
	    cmocka_unit_test(test_buf_text),
	    cmocka_unit_test(test_reader),
	    cmocka_unit_test(test_arena),
	    cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_id),
	    cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
