/*
 * The planner against a directory that lives in memory: sources change at
 * random, local people interfere, runs die half-way. Whatever happened, a few
 * whole runs later the plan must come out empty and the directory be right.
 * SEED=n replays.
 */
#include "spoke/import/moves.h"
#include "tests/property/plan_source.h"

static struct registry_member owners[STREAMS];
static bool held[STREAMS];
static char dir[64];
static unsigned rings; /* that were met */

/* --- applying --- */

/* What a held stream carries is not known, so nothing of its member has
 * vanished; and what came by it is not touched. */
static void
check_held(const struct importdb_change *change)
{
	int i;

	for (i = 0; i < STREAMS; i++) {
		if (!held[i] || strcmp(members[i], change->member) != 0)
			continue;
		assert_string_not_equal(names[i], change->stream);
		if (change->op == IMPORTDB_DELETE)
			assert_string_not_equal(
			    change->reason, "no longer published");
	}
}

static void
apply_change(const struct importdb_change *change)
{
	struct entry *e = entry_by_dn(change->dn);

	check_held(change);

	if (change->op == IMPORTDB_ADD) {
		assert_null(e);
		apply_add(change);
		return;
	}
	/* Never anything but our own, below the import OU. */
	assert_non_null(e);
	assert_true(e->ours && dn_is_below(e->dn, INTO, false));
	if (change->op == IMPORTDB_DELETE)
		e->live = false;
	else if (change->op == IMPORTDB_RENAME)
		apply_rename(e, change);
	else
		apply_modify(e, change);
}

static void
plan_once(struct importdb *db)
{
	static const struct import_policy policy = {.name = "partners",
	    .into = INTO,
	    .max_delete_percent = 100,
	    .max_delete_count = 1000000};
	struct plan_stream streams[STREAMS];
	struct plan_input input = {.db = db,
	    .policy = &policy,
	    .legacy_prefix = "/o=galrelay/cn=",
	    .streams = streams,
	    .stream_count = STREAMS,
	    .schema = &schema};
	struct import_result result = {0};
	struct err err = {0};
	size_t i;

	memset(streams, 0, sizeof(streams));
	for (i = 0; i < STREAMS; i++)
		streams[i] = (struct plan_stream){.member = members[i],
		    .stream = names[i],
		    .replica = held[i] ? NULL : replicas[i],
		    .owner = &owners[i],
		    .held = held[i],
		    .selected = !held[i]};
	ok(importdb_begin(db, &err), &err);
	survey(db);
	ok(plan_make(&input, &result, &err), &err);
	ok(guard_check(&input, &result, &err), &err);
	ok(moves_settle(db, &result, &err), &err);
	ok(importdb_commit(db, &err), &err);
	assert_int_equal(result.held_streams, 0);
}

/* --- one run --- */

static bool
entry_managed(const struct entry *e)
{
	return e->live && e->ours && dn_is_below(e->dn, INTO, false);
}

static void
entry_primary(const struct entry *e, struct arena *arena, char out[128])
{
	struct object object = {0};
	struct err err = {0};
	struct slice mail;

	arena_reset(arena);
	ok(object_decode(
	       slice_make(e->body, e->body_len), arena, &object, &err),
	    &err);
	mail = object_first(&object, "mail");
	snprintf(out, 128, "%.*s", (int)mail.len, (const char *)mail.data);
}

/* After each change: no two contacts have one primary address, unless somebody
 * made one by hand from the other. */
static void
check_unique(void)
{
	static char mails[ENTRIES][128];
	struct arena *arena = arena_new(1 << 20);
	int i;
	int k;

	for (i = 0; i < ENTRIES; i++) {
		mails[i][0] = '\0';
		if (!entry_managed(&entries[i]))
			continue;
		entry_primary(&entries[i], arena, mails[i]);
		for (k = 0; k < i && mails[i][0] != '\0'; k++)
			if (strcasecmp(mails[k], mails[i]) == 0)
				assert_true(id_compare(&entries[i].object,
						&entries[k].object) == 0);
	}
	arena_free(arena);
}

struct run {
	struct importdb *db;
	unsigned lose;   /* dies before a change with probability 1 in this */
	unsigned refuse; /* a change is refused with probability 1 in this */
	unsigned changes;
	bool dead;
};

/* 1: made, 0: refused; false once it is dead. */
static bool
run_change(struct run *run, const struct importdb_change *change)
{
	struct import_result result = {0};
	struct err err = {0};
	uint64_t seq = change->seq;

	run->dead = run->lose > 0 && rnd(run->lose) == 0;
	run->changes++;
	if (run->dead)
		return false;
	if (run->refuse > 0 && rnd(run->refuse) == 0 &&
	    change->op != IMPORTDB_RENAME) {
		ok(importdb_plan_drop(run->db, seq, &err), &err);
		ok(moves_strand(run->db, seq, &result, &err), &err);
		return true;
	}
	apply_change(change);
	check_unique();
	ok(importdb_need_met(run->db, seq, &err), &err);
	ok(importdb_plan_drop(run->db, seq, &err), &err);
	return true;
}

/* All that wait for nothing; true: there were some. */
static bool
run_kind(struct run *run, enum importdb_op op)
{
	struct importdb_change change;
	struct err err = {0};
	uint64_t after = 0;
	bool any = false;
	int rc = 0;

	while (!run->dead && (rc = importdb_plan_next(
				  run->db, op, after, &change, &err)) > 0) {
		after = change.seq;
		any = true;
		(void)run_change(run, &change);
	}
	ok(rc, &err);
	return any;
}

static void
run_park(struct run *run, const struct moves_ring *ring)
{
	struct arena *arena = arena_new(1 << 20);
	struct writer_attribute *attributes;
	struct object_attribute list[4];
	struct object body = {.kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = list};
	struct importdb_change change = {.cleared = ""};
	struct importdb_need need;
	struct object stored = {0};
	struct err err = {0};
	struct entry *e;
	struct buf cleared;
	struct buf bytes;
	size_t count;
	bool bare;
	size_t i;

	ok(importdb_plan_find(run->db, ring->seqs[0], &change, &err), &err);
	e = entry_by_dn(change.dn);
	assert_non_null(e);
	ok(importdb_need_find(
	       run->db, ring->seqs[ring->count - 1], &need, &err),
	    &err);
	ok(object_decode(
	       slice_make(e->body, e->body_len), arena, &stored, &err),
	    &err);
	ok(moves_park(
	       &stored, need.address, arena, &attributes, &count, &bare, &err),
	    &err);
	assert_true(count > 0);
	buf_init(&bytes, LIMIT_OBJECT_BYTES);
	buf_init(&cleared, 1024);
	for (i = 0; i < count; i++)
		if (attributes[i].value_count > 0)
			list[body.attribute_count++] =
			    (struct object_attribute){attributes[i].name,
				attributes[i].values,
				attributes[i].value_count};
		else
			buf_addf(&cleared, " %s", attributes[i].name);
	ok(object_encode(&body, arena, &bytes, &err), &err);
	change = (struct importdb_change){
	    .body = buf_slice(&bytes), .cleared = buf_cstr(&cleared)};
	apply_modify(e, &change);
	check_unique();
	buf_fini(&cleared);
	buf_fini(&bytes);
	arena_free(arena);
}

/* One is parked, then all are written, the last first. */
static void
run_ring(struct run *run, const struct moves_ring *ring)
{
	unsigned refuse = run->refuse;
	struct importdb_change change;
	struct err err = {0};
	size_t i;

	assert_true(ring->count > 1);
	run_park(run, ring);
	run->refuse = 0;
	for (i = ring->count; i > 0 && !run->dead; i--) {
		ok(importdb_plan_find(
		       run->db, ring->seqs[i - 1], &change, &err),
		    &err);
		(void)run_change(run, &change);
	}
	run->refuse = refuse;
	rings++;
}

/* Gives how many changes it made, or tried. */
static unsigned
run(struct importdb *db, unsigned lose, unsigned refuse)
{
	struct run run = {.db = db, .lose = lose, .refuse = refuse};
	struct moves_ring ring;
	struct err err = {0};
	int rc = 1;

	plan_once(db);
	(void)run_kind(&run, IMPORTDB_RENAME);
	(void)run_kind(&run, IMPORTDB_MODIFY);
	(void)run_kind(&run, IMPORTDB_DELETE);
	while (rc > 0 && !run.dead) {
		if (run_kind(&run, IMPORTDB_MODIFY) || run.dead)
			continue;
		rc = moves_ring_find(db, &ring, &err);
		ok(rc, &err);
		if (rc > 0)
			run_ring(&run, &ring);
		moves_ring_fini(&ring);
	}
	(void)run_kind(&run, IMPORTDB_ADD);
	return run.changes;
}

/* --- what must hold when the plan is empty --- */

static bool
entry_is_of(const struct entry *e, const char *member, const struct id *object)
{
	return strcmp(e->member, member) == 0 &&
	       id_compare(&e->object, object) == 0;
}

static void
check_entry(const struct entry *e)
{
	int i;

	for (i = 0; i < ENTRIES; i++) {
		const struct entry *o = &entries[i];

		if (!o->live || o == e)
			continue;
		assert_false(dn_equal(o->dn, e->dn));
		if (entry_managed(o))
			assert_false(entry_is_of(o, e->member, &e->object));
	}
}

static bool
address_of_others(const char *mail, const char *member, const struct id *id)
{
	int i;

	for (i = 0; i < ENTRIES; i++) {
		const struct entry *e = &entries[i];

		if (!e->live)
			continue;
		if (!e->ours && strcasecmp(e->mail, mail) == 0)
			return true;
		if (e->ours && !entry_is_of(e, member, id) &&
		    memmem(e->body, e->body_len, mail, strlen(mail)) != NULL)
			return true;
	}
	return false;
}

static bool
local_has(const char *mail)
{
	int i;

	for (i = 0; i < ENTRIES; i++)
		if (entries[i].live && !entries[i].ours &&
		    strcasecmp(entries[i].mail, mail) == 0)
			return true;
	return false;
}

static void
check_object(int s, int i)
{
	/* SOUTH's first stream wins over its second. */
	int from = s == 2 && objects[1][i].live ? 1 : s;
	const struct source_object *o = &objects[from][i];
	struct id id = object_id(s, i);
	bool mine = false;
	bool detached = false;
	int k;

	if (s == 1 && !o->live)
		o = &objects[2][i];
	for (k = 0; k < ENTRIES; k++) {
		if (!entries[k].live || !entries[k].ours ||
		    !entry_is_of(&entries[k], members[s], &id))
			continue;
		if (entry_managed(&entries[k]))
			mine = true;
		else
			detached = true;
	}
	if (!o->live || strstr(o->mail, "elsewhere") != NULL)
		assert_false(mine);
	else if (local_has(o->mail))
		assert_false(mine && !detached);
	else if (!detached)
		assert_true(
		    mine || address_of_others(o->mail, members[s], &id));
}

/* What the object should have here, as its first stream says. */
static const struct source_object *
wanted(const char *member, const struct id *id)
{
	int s;

	for (s = 0; s < STREAMS; s++) {
		int i = id->bytes[15] - 1;
		struct id own = object_id(s, i);

		if (strcmp(members[s], member) == 0 && objects[s][i].live &&
		    id_compare(&own, id) == 0)
			return &objects[s][i];
	}
	return NULL;
}

enum standing { RIGHT, BLOCKED, WAITS, FREE };

/* Has the contact the primary address that it should have? Blocked: somebody
 * has that one for good. Waits: one of ours does that should have another;
 * *out_other. */
static enum standing
standing(
    const struct entry *e, struct arena *arena, const struct entry **out_other)
{
	const struct source_object *o = wanted(e->member, &e->object);
	enum standing is = FREE;
	char now[128];
	int i;

	entry_primary(e, arena, now);
	if (o == NULL || strcasecmp(now, o->mail) == 0)
		return RIGHT;
	for (i = 0; i < ENTRIES; i++) {
		const struct entry *other = &entries[i];
		const struct source_object *theirs;

		if (!other->live || other == e)
			continue;
		if (!other->ours && strcasecmp(other->mail, o->mail) == 0)
			return BLOCKED;
		if (!other->ours || memmem(other->body, other->body_len,
					o->mail, strlen(o->mail)) == NULL)
			continue;
		theirs = wanted(other->member, &other->object);
		if (!entry_managed(other) || theirs == NULL ||
		    strcasecmp(theirs->mail, o->mail) == 0 ||
		    strcasecmp(theirs->second, o->mail) == 0)
			return BLOCKED;
		*out_other = other;
		is = WAITS;
	}
	return is;
}

/* Nobody waits for one who could go on, or in a ring. */
static void
check_primary(const struct entry *e, struct arena *arena)
{
	const struct entry *other = e;
	int steps;

	for (steps = 0; steps < ENTRIES; steps++)
		switch (standing(other, arena, &other)) {
		case RIGHT:
			if (steps == 0)
				return;
			fail_msg("%s waits for what is right", e->dn);
			break;
		case BLOCKED:
			return;
		case FREE:
			fail_msg("%s could go on", other->dn);
			break;
		case WAITS:
			break;
		}
	fail_msg("%s waits in a ring", e->dn);
}

static void
check(void)
{
	struct arena *arena = arena_new(1 << 20);
	int s;
	int i;

	for (i = 0; i < ENTRIES; i++)
		if (entry_managed(&entries[i])) {
			check_entry(&entries[i]);
			check_primary(&entries[i], arena);
		}
	arena_free(arena);
	for (s = 0; s < STREAMS; s++)
		for (i = 0; i < OBJECTS; i++)
			check_object(s, i);
}

static void
one_round(struct importdb *db, int round)
{
	unsigned tries;
	int i;

	for (i = 0; i < STREAMS; i++) {
		mutate_source(i);
		publish(i);
	}
	local_mutate();
	if (rnd(3) == 0)
		held[rnd(STREAMS)] = true;
	for (tries = rnd(3); tries > 0; tries--)
		run(db, 6, 0);
	if (rnd(2) == 0)
		run(db, 0, 4);
	memset(held, 0, sizeof(held));
	/* What clashed must settle in a few whole runs. */
	for (tries = 0; run(db, 0, 0) > 0; tries++)
		if (tries > 8)
			fail_msg("round %d does not settle", round);
	check();
}

static void
test_converges(void **state)
{
	static const char *const north[] = {"north.example"};
	static const char *const south[] = {"south.example"};
	struct importdb *db = NULL;
	struct err err = {0};
	char path[128];
	int i;

	(void)state;
	ok(crypto_init(&err), &err);
	for (i = 0; i < STREAMS; i++) {
		snprintf(path, sizeof(path), "%s/r%d.db", dir, i);
		ok(replica_open(path, &replicas[i], &err), &err);
		owners[i].name = members[i];
		owners[i].domains = i == 0 ? north : south;
		owners[i].domain_count = 1;
	}
	snprintf(path, sizeof(path), "%s/import.db", dir);
	ok(importdb_open(path, &db, &err), &err);
	for (i = 0; i < ROUNDS; i++)
		one_round(db, i);
	printf("rings=%u\n", rings);
	importdb_close(db);
	for (i = 0; i < STREAMS; i++)
		replica_close(replicas[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_converges)};
	struct err err = {0};
	const char *given = getenv("SEED");
	int rc;

	seed = given != NULL ? strtoul(given, NULL, 10)
			     : (unsigned long)clock_now_ms();
	printf("SEED=%lu\n", seed);
	snprintf(dir, sizeof(dir), "/tmp/galr-plan-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	if (fsio_remove_tree(dir, &err) != 0)
		fprintf(stderr, "%s\n", err.message);
	return rc;
}
