/* What objects lose from one version to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "common/wire/limits.h"
#include "common/wire/object.h"
#include "spoke/export/collect/cleared.h"

struct given {
	const char *name;
	const char *values[3];
};

/* given ends with a NULL name. */
static void
encode(const struct given *given, int64_t type, const struct id *manager,
    struct buf *out)
{
	struct object_attribute attributes[8];
	struct slice values[8][3];
	struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=a",
	    .recipient_type = type,
	    .attributes = attributes,
	    .references = {.manager = manager}};
	struct arena *arena = arena_new(1 << 20);
	struct err err = {0};

	for (size_t i = 0; given[i].name != NULL; i++) {
		size_t n = 0;

		while (n < 3 && given[i].values[n] != NULL) {
			values[i][n] = slice_str(given[i].values[n]);
			n++;
		}
		attributes[i] = (struct object_attribute){.name = given[i].name,
		    .values = values[i],
		    .value_count = n};
		object.attribute_count++;
	}
	buf_init(out, LIMIT_OBJECT_BYTES);
	assert_int_equal(object_encode(&object, arena, out, &err), 0);
	arena_free(arena);
}

static const struct given full[] = {{"cn", {"A"}}, {"l", {"x"}},
    {"proxyAddresses", {"SMTP:a@x", "smtp:b@x"}}, {"title", {"t"}},
    {NULL, {NULL}}};
static const struct given less[] = {{"cn", {"B"}}, {"department", {"d"}},
    {"proxyAddresses", {"SMTP:B@x"}}, {"title", {"t"}}, {NULL, {NULL}}};
static const struct given other[] = {{"cn", {"A"}}, {"l", {"x"}},
    {"proxyAddresses", {"SMTP:c@x"}}, {"title", {"u"}}, {NULL, {NULL}}};

static void
take(struct cleared *c, uint8_t number, const struct buf *before,
    const struct buf *now)
{
	struct err err = {0};

	assert_int_equal(cleared_take(c, &(struct id){{number}},
			     buf_slice(before), buf_slice(now), &err),
	    0);
}

static void
test_rows(void **state)
{
	const struct id boss = {{9}};
	struct buf had, lost, changed;
	struct cleared *c = cleared_new();
	struct err err = {0};

	(void)state;
	encode(full, 1, &boss, &had);
	encode(less, 0, NULL, &lost);
	encode(other, 1, &boss, &changed);
	take(c, 1, &had, &changed);
	take(c, 2, &had, &had);
	take(c, 3, &lost, &had);
	/* Another value is none that is lost; nor what comes. */
	assert_int_equal(cleared_count(c), 1);
	assert_string_equal(cleared_row(c, 0)->name, "department");
	take(c, 4, &had, &lost);
	take(c, 5, &had, &lost);
	assert_int_equal(cleared_count(c), 5);
	assert_string_equal(cleared_row(c, 1)->name, "l");
	assert_int_equal(cleared_row(c, 1)->lost, 2);
	assert_int_equal(cleared_row(c, 1)->shrunk, 0);
	assert_string_equal(cleared_row(c, 2)->name, CLEARED_MANAGER);
	assert_memory_equal(
	    &cleared_row(c, 2)->samples[1].manager, &boss, ID_LEN);
	assert_string_equal(
	    cleared_row(c, 3)->name, "msExchRecipientTypeDetails");
	assert_string_equal(cleared_row(c, 4)->name, "proxyAddresses");
	assert_int_equal(cleared_row(c, 4)->lost, 0);
	assert_int_equal(cleared_row(c, 4)->shrunk, 2);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
		    cleared_count_before(c, buf_slice(&had), &err), 0);
	assert_int_equal(cleared_count_before(c, buf_slice(&lost), &err), 0);
	assert_int_equal(cleared_row(c, 0)->before, 1);
	assert_int_equal(cleared_row(c, 1)->before, 3);
	assert_int_equal(cleared_row(c, 2)->before, 3);
	assert_int_equal(cleared_row(c, 3)->before, 3);
	assert_int_equal(cleared_row(c, 4)->before, 4);
	assert_int_equal(
	    cleared_take(c, &boss, SLICE_LIT("x"), buf_slice(&had), &err), -1);
	cleared_free(c);
	cleared_free(NULL);
	buf_fini(&had);
	buf_fini(&lost);
	buf_fini(&changed);
}

static void
encode_group(bool has_members, struct buf *out)
{
	struct object group = {.kind = GALR__KIND__KIND_GROUP,
	    .source_dn = "CN=g",
	    .references = {.has_members = has_members}};
	struct arena *arena = arena_new(1 << 20);
	struct err err = {0};

	buf_init(out, LIMIT_OBJECT_BYTES);
	assert_int_equal(object_encode(&group, arena, out, &err), 0);
	arena_free(arena);
}

/* What hid them is lost. */
static void
test_members_that_show(void **state)
{
	struct cleared *c = cleared_new();
	struct buf hidden, shown;
	struct err err = {0};

	(void)state;
	encode_group(false, &hidden);
	encode_group(true, &shown);
	take(c, 1, &shown, &hidden);
	take(c, 2, &hidden, &hidden);
	assert_int_equal(cleared_count(c), 0);
	take(c, 3, &hidden, &shown);
	assert_int_equal(cleared_count(c), 1);
	assert_string_equal(cleared_row(c, 0)->name, CLEARED_HIDING);
	assert_int_equal(cleared_row(c, 0)->lost, 1);
	assert_int_equal(cleared_count_before(c, buf_slice(&shown), &err), 0);
	assert_int_equal(cleared_row(c, 0)->before, 0);
	assert_int_equal(cleared_count_before(c, buf_slice(&hidden), &err), 0);
	assert_int_equal(cleared_row(c, 0)->before, 1);
	cleared_free(c);
	buf_fini(&hidden);
	buf_fini(&shown);
}

/* The digest is of those who lose, in any order. */
static void
test_digest(void **state)
{
	struct cleared *forth = cleared_new(), *back = cleared_new();
	struct buf had, lost;

	(void)state;
	encode(full, 0, NULL, &had);
	encode(less, 0, NULL, &lost);
	for (uint8_t i = 1; i <= 100; i++) {
		take(forth, i, &had, &lost);
		take(back, (uint8_t)(101 - i), &had, &lost);
	}
	assert_int_equal(cleared_row(forth, 0)->sample_count, CLEARED_SAMPLES);
	assert_memory_equal(cleared_row(forth, 0)->digest,
	    cleared_row(back, 0)->digest, CRYPTO_HASH_LEN);
	take(back, 101, &had, &lost);
	assert_memory_not_equal(cleared_row(forth, 0)->digest,
	    cleared_row(back, 0)->digest, CRYPTO_HASH_LEN);
	cleared_free(forth);
	cleared_free(back);
	buf_fini(&had);
	buf_fini(&lost);
}

static int
setup(void **state)
{
	struct err err = {0};

	(void)state;
	return crypto_init(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_members_that_show),
	    cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
