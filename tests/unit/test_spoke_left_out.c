/* Whom attributes left out, as it is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "spoke/export/collect/left_out.h"

static struct id
id_of(uint32_t number)
{
	uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15);
	struct id id = {{0}};

	memcpy(id.bytes, &mixed, sizeof(mixed));
	memcpy(id.bytes + 8, &number, sizeof(number));
	return id;
}

static void
add(struct left_out *out, uint32_t number, enum shape_reason reason,
    const char *attribute)
{
	struct id id = id_of(number);

	left_out_add(out, &id, reason, slice_str(attribute));
}

static void
assert_is(struct left_out *out, uint32_t number, enum shape_reason reason,
    const char *attribute)
{
	struct id id = id_of(number);
	const struct left_out_one *one = left_out_find(out, &id);

	assert_non_null(one);
	assert_int_equal(one->reason, reason);
	assert_string_equal(left_out_attribute(out, one), attribute);
}

static void
test_note(void **state)
{
	struct left_out *out = left_out_new(), *again = left_out_new();
	struct id id = id_of(2);
	struct err err = {0};
	struct buf note;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		add(out, i, i % 2 ? SHAPE_HIDDEN : SHAPE_MARKED,
		    i % 2 ? "hide" : "mark");
	add(out, 7, SHAPE_HIDDEN, "hide");
	add(out, 5000, SHAPE_HIDDEN, "");
	assert_int_equal(left_out_count(out), 1000);
	left_out_drop(out, &id);
	left_out_drop(out, &id);
	buf_init(&note, LEFT_OUT_NOTE_MAX);
	assert_int_equal(left_out_encode(out, &note, &err), 0);
	left_out_decode(again, buf_slice(&note));
	assert_int_equal(left_out_count(again), 999);
	assert_null(left_out_find(again, &id));
	assert_is(again, 7, SHAPE_HIDDEN, "hide");
	assert_is(again, 998, SHAPE_MARKED, "mark");
	for (size_t i = 1; i < left_out_count(again); i++)
		assert_true(id_compare(&left_out_at(again, i - 1)->id,
				&left_out_at(again, i)->id) < 0);
	left_out_free(again);
	/* What is cut says what it still says. */
	again = left_out_new();
	left_out_decode(again, slice_sub(buf_slice(&note), 0, note.len - 1));
	assert_int_equal(left_out_count(again), 998);
	left_out_free(again);
	again = left_out_new();
	left_out_decode(again, SLICE_LIT("\x05\x02no"));
	left_out_decode(again, SLICE_NULL);
	assert_int_equal(left_out_count(again), 0);
	left_out_free(again);
	left_out_free(out);
	left_out_free(NULL);
	buf_fini(&note);
}

/* Of more than are kept, late ones are chosen as early ones are. */
static void
test_choice(void **state)
{
	struct left_out *out = left_out_new();
	struct err err = {0};
	struct buf note;
	size_t late = 0;

	(void)state;
	for (uint32_t i = 0; i < LEFT_OUT_MAX; i++)
		add(out, i, SHAPE_HIDDEN, "hide");
	assert_int_equal(left_out_count(out), LEFT_OUT_MAX);
	for (uint32_t i = LEFT_OUT_MAX; i < 4 * LEFT_OUT_MAX; i++)
		add(out, i, SHAPE_MARKED, "mark");
	assert_int_equal(left_out_count(out), LEFT_OUT_MAX);
	for (size_t i = 0; i < LEFT_OUT_MAX; i++)
		late += left_out_at(out, i)->reason == SHAPE_MARKED;
	assert_in_range(
	    late, LEFT_OUT_MAX / 4 * 3 - 1000, LEFT_OUT_MAX / 4 * 3 + 1000);
	buf_init(&note, LEFT_OUT_NOTE_MAX);
	assert_int_equal(left_out_encode(out, &note, &err), 0);
	buf_fini(&note);
	left_out_free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_note),
	    cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
