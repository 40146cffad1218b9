/* What an intake adds and changes is told as it is done. */
#include "tests/unit/replica_fixture.h"

struct told {
	struct buf text;
	struct id refuse;
};

static int
told_take(void *arg, const struct id *id, struct slice before, struct slice now,
    struct err *err)
{
	struct told *told = arg;

	if (id_compare(id, &told->refuse) == 0)
		return err_set(err, ERR_LIMIT, "refused");
	buf_add(&told->text, before);
	buf_add_str(&told->text, ">");
	buf_add(&told->text, now);
	buf_add_str(&told->text, ";");
	return 0;
}

static void
begin(struct replica *replica, enum replica_intake_mode mode, struct told *told,
    struct replica_intake **out_intake)
{
	buf_reset(&told->text);
	OK(replica_intake_begin(replica, mode, out_intake, &fixture_err));
	replica_intake_watch(*out_intake, told_take, told);
}

static void
put(struct replica_intake *intake, uint8_t id, const char *body)
{
	OK(replica_intake_put(
	    intake, &(struct id){{id}}, slice_str(body), &fixture_err));
}

static void
finish(struct replica_intake *intake)
{
	OK(replica_intake_finish(
	    intake, 0, false, &(struct replica_changes){0}, &fixture_err));
}

static void
test_watch(void **state)
{
	struct replica *replica = fixture_open("watch.db");
	struct told told = {.refuse = {{99}}};
	struct replica_intake *intake;

	(void)state;
	buf_init(&told.text, 4096);
	/* Nothing was there to compare with. */
	begin(replica, REPLICA_FULL, &told, &intake);
	put(intake, 1, "a");
	put(intake, 2, "b");
	finish(intake);
	assert_string_equal(buf_cstr(&told.text), "");
	begin(replica, REPLICA_FULL, &told, &intake);
	put(intake, 1, "a");
	put(intake, 2, "bb");
	put(intake, 2, "bb");
	put(intake, 3, "c");
	finish(intake);
	assert_string_equal(buf_cstr(&told.text), "b>bb;>c;");
	/* A tombstone is nothing that was there. */
	begin(replica, REPLICA_TOUCHED, &told, &intake);
	OK(replica_intake_delete(intake, &(struct id){{3}}, &fixture_err));
	finish(intake);
	assert_string_equal(buf_cstr(&told.text), "");
	begin(replica, REPLICA_TOUCHED, &told, &intake);
	put(intake, 3, "d");
	put(intake, 1, "e");
	replica_intake_abort(intake);
	assert_string_equal(buf_cstr(&told.text), ">d;a>e;");
	/* Who is told may say no, and then nothing is taken in. */
	begin(replica, REPLICA_TOUCHED, &told, &intake);
	assert_int_equal(replica_intake_put(intake, &told.refuse,
			     SLICE_LIT("f"), &fixture_err),
	    -1);
	assert_int_equal(replica_intake_finish(intake, 0, false,
			     &(struct replica_changes){0}, &fixture_err),
	    -1);
	buf_fini(&told.text);
	replica_close(replica);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
