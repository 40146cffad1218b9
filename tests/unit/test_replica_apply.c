/* Hub and target: sections go in whole or not at all. */
#include "tests/unit/replica_fixture.h"

static void
assert_same(struct replica *a, struct replica *b)
{
	assert_int_equal(state_of(a).version, state_of(b).version);
	assert_int_equal(state_of(a).count, state_of(b).count);
	assert_memory_equal(state_of(a).root, state_of(b).root, 32);
	fixture_verify(a);
	fixture_verify(b);
}

static void
assert_refused(
    struct replica *target, const struct fixture_message *message, int code)
{
	struct replica_state before = state_of(target);
	struct replica_state after;

	assert_int_equal(fixture_apply(target, message), -1);
	assert_int_equal(fixture_err.code, code);
	after = state_of(target);
	assert_memory_equal(&before, &after, sizeof(before));
	fixture_verify(target);
}

static void
test_full_and_delta(void **state)
{
	struct replica *source = fixture_open("s1.db");
	struct replica *target = fixture_open("t1.db");
	struct replica_apply_options options = {0};
	struct replica_changes changes;
	struct fixture_message message;
	struct buf buf;

	(void)state;
	fixture_fill(source, 0, 100, 1, 1000);
	OK(replica_note_set(target, "kept", SLICE_LIT("n"), &fixture_err));
	message = fixture_section(source, 0, "full1");
	OK(fixture_apply_options(target, &message, &options, &changes));
	assert_int_equal(changes.added, 100);
	assert_same(source, target);
	assert_int_equal(state_of(target).floor, 1000);
	buf_init(&buf, 100);
	OK(replica_note_get(target, "kept", &buf, &fixture_err));
	OK(replica_manifest(target, &buf, &fixture_err));
	assert_string_equal(buf_cstr(&buf), "nsigned");
	/* 20 leave, 10 come. */
	fixture_fill(source, 20, 110, 1, 2000);
	message = fixture_section(source, 1000, "delta1");
	OK(fixture_apply_options(target, &message, &options, &changes));
	assert_int_equal(changes.added, 10);
	assert_int_equal(changes.deleted, 20);
	assert_int_equal(changes.modified, 0);
	assert_same(source, target);
	assert_int_equal(state_of(target).floor, 1000);
	/* A full over an existing one counts what it changes. */
	fixture_fill(source, 30, 120, 1, 3000);
	fixture_fill(source, 30, 121, 2, 4000);
	message = fixture_section(source, 0, "full2");
	OK(fixture_apply_options(target, &message, &options, &changes));
	assert_int_equal(changes.added, 11);
	assert_int_equal(changes.modified, 80);
	assert_int_equal(changes.deleted, 10);
	assert_int_equal(changes.unchanged, 0);
	assert_same(source, target);
	buf_reset(&buf);
	OK(replica_note_get(target, "kept", &buf, &fixture_err));
	assert_string_equal(buf_cstr(&buf), "n");
	assert_false(fixture_exists("t1.db.new"));
	assert_false(fixture_exists("t1.db.ready"));
	/* An emptied stream. */
	fixture_fill(source, 0, 0, 0, 5000);
	message = fixture_section(source, 0, "full3");
	OK(fixture_apply(target, &message));
	assert_same(source, target);
	assert_int_equal(state_of(target).count, 0);
	buf_fini(&buf);
	replica_close(target);
	target = fixture_open("t1.db");
	assert_same(source, target);
	replica_close(target);
	replica_close(source);
}

static void
test_order(void **state)
{
	struct replica *source = fixture_open("s2.db");
	struct replica *target = fixture_open("t2.db");
	struct fixture_message full, d12, d23, d13, later;

	(void)state;
	fixture_fill(source, 0, 50, 1, 1000);
	full = fixture_section(source, 0, "full");
	fixture_fill(source, 5, 50, 1, 2000);
	d12 = fixture_section(source, 1000, "d12");
	fixture_fill(source, 3, 55, 1, 3000);
	d23 = fixture_section(source, 2000, "d23");
	d13 = fixture_section(source, 1000, "d13");
	/* A delta on nothing. */
	assert_refused(target, &d12, CHECK_SECTION_GAP);
	OK(fixture_apply(target, &full));
	assert_refused(target, &d23, CHECK_SECTION_GAP);
	OK(fixture_apply(target, &d12));
	/* From below what is held, to above it. */
	OK(fixture_apply(target, &d13));
	assert_same(source, target);
	/* Again, and late. */
	OK(fixture_apply(target, &d13));
	OK(fixture_apply(target, &d23));
	assert_refused(target, &d12, CHECK_STREAM_OLDER);
	assert_refused(target, &full, CHECK_STREAM_OLDER);
	assert_same(source, target);
	/* What the target kept makes complete deltas in its turn. */
	later = fixture_section(target, 1000, "relayed");
	replica_close(target);
	target = fixture_open("t2b.db");
	OK(fixture_apply(target, &full));
	OK(fixture_apply(target, &later));
	assert_same(source, target);
	replica_close(target);
	replica_close(source);
}

static void
test_lies(void **state)
{
	struct replica *source = fixture_open("s3.db");
	struct replica *target = fixture_open("t3.db");
	struct fixture_message full, delta, lie;

	(void)state;
	fixture_fill(source, 0, 50, 1, 1000);
	full = fixture_section(source, 0, "full");
	lie = full;
	lie.manifest.root[7] ^= 1;
	assert_refused(target, &lie, CHECK_ROOT);
	lie = full;
	lie.manifest.count++;
	assert_refused(target, &lie, CHECK_ROOT);
	lie = full;
	lie.manifest.version++;
	assert_refused(target, &lie, CHECK_PAYLOAD);
	lie = full;
	lie.manifest.member = "SOUTH";
	assert_refused(target, &lie, CHECK_PAYLOAD);
	lie = full;
	lie.manifest.stream = "other";
	assert_refused(target, &lie, CHECK_PAYLOAD);
	assert_false(fixture_exists("t3.db.new"));
	OK(fixture_apply(target, &full));
	fixture_fill(source, 0, 60, 1, 2000);
	delta = fixture_section(source, 1000, "delta");
	lie = delta;
	lie.manifest.root[0] ^= 1;
	assert_refused(target, &lie, CHECK_ROOT);
	lie = delta;
	lie.manifest.count--;
	assert_refused(target, &lie, CHECK_ROOT);
	/* The good one is accepted afterwards. */
	OK(fixture_apply(target, &delta));
	assert_same(source, target);
	/* Two contents at one version. */
	lie = delta;
	lie.manifest.root[0] ^= 1;
	assert_refused(target, &lie, CHECK_STREAM_EQUIVOCATION);
	replica_close(target);
	replica_close(source);
}

static int
refuse_one(void *arg, const struct section_object *object, struct err *err)
{
	int *left = arg;

	(void)object;
	if ((*left)-- > 0)
		return 0;
	return err_set_code(err, ERR_LIMIT, 4711, "not this one");
}

static void
test_check(void **state)
{
	struct replica *source = fixture_open("s4.db");
	struct replica *target = fixture_open("t4.db");
	int left = 20;
	struct replica_apply_options options = {
	    .check = refuse_one, .check_arg = &left};
	struct replica_changes changes;
	struct fixture_message full, delta;

	(void)state;
	fixture_fill(source, 0, 50, 1, 1000);
	full = fixture_section(source, 0, "full");
	assert_int_equal(
	    fixture_apply_options(target, &full, &options, &changes), -1);
	assert_int_equal(fixture_err.code, 4711);
	assert_int_equal(state_of(target).version, 0);
	left = 50;
	OK(fixture_apply_options(target, &full, &options, &changes));
	assert_int_equal(left, 0);
	fixture_fill(source, 1, 60, 1, 2000);
	delta = fixture_section(source, 1000, "delta");
	left = 5;
	assert_int_equal(
	    fixture_apply_options(target, &delta, &options, &changes), -1);
	assert_int_equal(fixture_err.code, 4711);
	assert_int_equal(state_of(target).version, 1000);
	fixture_verify(target);
	left = 11;
	OK(fixture_apply_options(target, &delta, &options, &changes));
	assert_same(source, target);
	replica_close(target);
	replica_close(source);
}

static int
refresh(
    struct replica *target, const struct manifest *manifest, bool *out_fresh)
{
	err_clear(&fixture_err);
	return replica_refresh(
	    target, manifest, SLICE_LIT("newer"), out_fresh, &fixture_err);
}

static void
assert_equivocation(struct replica *target, const struct manifest *manifest)
{
	bool fresh = true;

	assert_int_equal(refresh(target, manifest, &fresh), -1);
	assert_int_equal(fixture_err.code, CHECK_STREAM_EQUIVOCATION);
	assert_int_equal(fixture_err.class, ERR_UNTRUSTED);
	assert_false(fresh);
}

static void
test_refresh(void **state)
{
	static const char *const two[] = {"SOUTH", "EAST"};
	static const char *const swapped[] = {"EAST", "SOUTH"};
	struct replica *source = fixture_open("s5.db");
	struct replica *target = fixture_open("t5.db");
	struct fixture_message full;
	struct manifest manifest;
	struct buf buf;
	bool fresh;

	(void)state;
	fixture_fill(source, 0, 5, 1, 1000);
	full = fixture_section(source, 0, "full");
	full.manifest.audience = two;
	full.manifest.audience_count = 2;
	full.manifest.issued_at = 100;
	OK(fixture_apply(target, &full));
	OK(refresh(target, &full.manifest, &fresh));
	assert_false(fresh);
	manifest = full.manifest;
	manifest.issued_at = 200;
	manifest.not_after = 99999;
	manifest.audience = swapped; /* a set */
	OK(refresh(target, &manifest, &fresh));
	assert_true(fresh);
	OK(refresh(target, &manifest, &fresh));
	assert_false(fresh);
	OK(refresh(target, &full.manifest, &fresh));
	assert_false(fresh);
	buf_init(&buf, 100);
	OK(replica_manifest(target, &buf, &fixture_err));
	assert_string_equal(buf_cstr(&buf), "newer");
	buf_fini(&buf);
	/* Anything else at this version, however late. */
	manifest = full.manifest;
	manifest.issued_at = 300;
	manifest.tag = "NORTH/staff2";
	assert_equivocation(target, &manifest);
	manifest.tag = full.manifest.tag;
	manifest.audience_count = 1;
	assert_equivocation(target, &manifest);
	manifest.audience_count = 2;
	manifest.root[31] ^= 1;
	assert_equivocation(target, &manifest);
	manifest.root[31] ^= 1;
	manifest.count++;
	assert_equivocation(target, &manifest);
	manifest.count--;
	manifest.ended = true;
	assert_equivocation(target, &manifest);
	manifest.ended = false;
	manifest.version = 999;
	assert_int_equal(refresh(target, &manifest, &fresh), -1);
	assert_int_equal(fixture_err.code, CHECK_STREAM_OLDER);
	manifest.version = 1001;
	assert_int_equal(refresh(target, &manifest, &fresh), -1);
	assert_int_equal(fixture_err.code, CHECK_SECTION_GAP);
	manifest.version = 1000;
	OK(refresh(target, &manifest, &fresh));
	assert_true(fresh);
	replica_close(target);
	replica_close(source);
}

/* A copy that decayed is noticed, named in the state and mended by a full of
 * the same version. */
static void
test_decay(void **state)
{
	struct replica *source = fixture_open("s6.db");
	struct replica *target = fixture_open("t6.db");
	struct replica_state before;
	struct fixture_message message;
	uint64_t base;

	(void)state;
	fixture_fill(source, 0, 50, 1, 1000);
	message = fixture_section(source, 0, "full");
	OK(fixture_apply(target, &message));
	OK(db_exec(
	    target->db, "DELETE FROM object WHERE rowid = 7", &fixture_err));
	fixture_fill(source, 0, 51, 1, 2000);
	message = fixture_section(source, 1000, "delta");
	before = state_of(target);
	assert_int_equal(fixture_apply(target, &message), -1);
	assert_int_equal(fixture_err.code, CHECK_ROOT);
	assert_int_equal(state_of(target).version, 1000);
	assert_memory_not_equal(state_of(target).root, before.root, 32);
	OK(replica_base_choose(
	    source, 1000, state_of(target).root, &base, &fixture_err));
	assert_int_equal(base, 0);
	message = fixture_section(source, 0, "full");
	OK(fixture_apply(target, &message));
	assert_same(source, target);
	/* At one version. */
	OK(db_exec(target->db,
	    "DELETE FROM object WHERE rowid = 7;"
	    "UPDATE state SET root = zeroblob(32)",
	    &fixture_err));
	OK(fixture_apply(target, &message));
	assert_same(source, target);
	replica_close(target);
	replica_close(source);
}

/* A source restored from a backup continues above its past. Even should it
 * send a delta from a state that the hub has gone beyond, what the hub relays
 * is complete. */
static void
test_restored_source(void **state)
{
	struct replica *source = fixture_open("s7.db");
	struct replica *hub = fixture_open("h7.db");
	struct replica *target = fixture_open("t7.db");
	struct fixture_message message;
	struct replica_state held;
	struct buf copy;
	uint64_t base;

	(void)state;
	fixture_fill(source, 0, 50, 1, 1000);
	message = fixture_section(source, 0, "m");
	OK(fixture_apply(hub, &message));
	OK(fixture_apply(target, &message));
	replica_close(source);
	buf_init(&copy, 1 << 24);
	OK(fsio_read(fixture_path("s7.db"), &copy, &fixture_err));
	source = fixture_open("s7.db");
	fixture_fill(source, 0, 50, 1, 1000);
	fixture_fill(source, 1, 52, 1, 2000);
	message = fixture_section(source, 1000, "m");
	OK(fixture_apply(hub, &message));
	message = fixture_section(hub, 1000, "m");
	OK(fixture_apply(target, &message));
	replica_close(source);
	OK(fsio_write(
	    fixture_path("s7.db"), buf_slice(&copy), 0600, &fixture_err));
	source = fixture_open("s7.db");
	assert_int_equal(state_of(source).version, 1000);
	/* The directory has gone on: 51 stays, 2 leaves, 60 comes. */
	fixture_fill(source, 3, 53, 1, 3000);
	held = state_of(hub);
	OK(replica_base_choose(
	    source, held.version, held.root, &base, &fixture_err));
	assert_int_equal(base, 0);
	message = fixture_section(source, 1000, "m");
	OK(fixture_apply(hub, &message));
	assert_same(source, hub);
	held = state_of(target);
	OK(replica_base_choose(
	    hub, held.version, held.root, &base, &fixture_err));
	assert_int_equal(base, 2000);
	message = fixture_section(hub, base, "m");
	OK(fixture_apply(target, &message));
	assert_same(source, target);
	buf_fini(&copy);
	replica_close(source);
	replica_close(hub);
	replica_close(target);
}

/* Two handles of one file: readers keep their snapshot over a replacement, and
 * writers find the new file. */
static void
test_replaced_under_others(void **state)
{
	struct replica *source = fixture_open("s8.db");
	struct replica *target = fixture_open("t8.db");
	struct replica *other = fixture_open("t8.db");
	struct replica_cursor *cursor;
	struct section_object object;
	struct fixture_message message;
	int seen = 0;

	(void)state;
	fixture_fill(source, 0, 50, 1, 1000);
	message = fixture_section(source, 0, "full");
	OK(fixture_apply(target, &message));
	OK(replica_note_set(other, "a", SLICE_LIT("1"), &fixture_err));
	assert_int_equal(state_of(other).version, 1000);
	OK(replica_cursor_open(other, 0, &cursor, &fixture_err));
	assert_int_equal(replica_cursor_next(cursor, &object, &fixture_err), 1);
	fixture_fill(source, 40, 70, 2, 2000);
	message = fixture_section(source, 0, "full");
	OK(fixture_apply(target, &message));
	for (seen = 1; replica_cursor_next(cursor, &object, &fixture_err) > 0;)
		seen++;
	assert_int_equal(seen, 50);
	replica_cursor_close(cursor);
	/* A write through the old handle lands in the new file. */
	OK(replica_note_set(other, "b", SLICE_LIT("2"), &fixture_err));
	assert_same(source, other);
	replica_close(other);
	assert_same(source, target);
	replica_close(target);
	target = fixture_open("t8.db");
	assert_same(source, target);
	{
		struct buf buf;

		buf_init(&buf, 10);
		OK(replica_note_get(target, "a", &buf, &fixture_err));
		OK(replica_note_get(target, "b", &buf, &fixture_err));
		assert_string_equal(buf_cstr(&buf), "12");
		buf_fini(&buf);
	}
	replica_close(target);
	replica_close(source);
}

static void
test_section_errors(void **state)
{
	struct replica *source = fixture_open("s9.db");
	struct replica_section section;
	char name[65];

	(void)state;
	memset(name, 'N', sizeof(name));
	name[64] = '\0';
	/* Never published. */
	assert_int_equal(replica_section_write(source, "NORTH", "staff", 0,
			     fixture_path("x"), &section, &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_INTERNAL);
	fixture_fill(source, 0, 5, 1, 1000);
	assert_int_equal(replica_section_write(source, "NORTH", "staff", 2000,
			     fixture_path("x"), &section, &fixture_err),
	    -1);
	assert_int_equal(replica_section_write(source, name, "staff", 0,
			     fixture_path("y"), &section, &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_INTERNAL);
	assert_false(fixture_exists("y"));
	name[LIMIT_NAME_CHARS] = '\0';
	OK(replica_section_write(source, name, "staff", 0, fixture_path("y"),
	    &section, &fixture_err));
	assert_int_equal(replica_section_write(source, "NORTH", "staff", 0,
			     fixture_path("no/dir"), &section, &fixture_err),
	    -1);
	assert_int_equal(fixture_err.class, ERR_IO);
	replica_close(source);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full_and_delta),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_refresh),
	    cmocka_unit_test(test_decay),
	    cmocka_unit_test(test_restored_source),
	    cmocka_unit_test(test_replaced_under_others),
	    cmocka_unit_test(test_section_errors),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
