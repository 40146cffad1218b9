/*
 * The planner against a directory that lives in memory: sources change at
 * random, local people interfere, runs die half-way. Whatever happened, a few
 * whole runs later the plan must come out empty and the directory be right.
 * SEED=n replays.
 */
#include "tests/property/plan_directory.h"

struct source_object {
	bool live;
	char cn[64], mail[128], second[128], nickname[64];
};

static struct source_object objects[STREAMS][OBJECTS];
static const char *const members[STREAMS] = {"NORTH", "SOUTH", "SOUTH"};
static const char *const names[STREAMS] = {"staff", "staff", "extra"};
static struct replica *replicas[STREAMS];
static struct registry_member owners[STREAMS];
static bool held[STREAMS];
static char dir[64];

static struct id
object_id(int stream, int i)
{
	struct id id = {{0}};

	/* The two streams of SOUTH share their object ids. */
	id.bytes[0] = (uint8_t)(stream == 0 ? 1 : 2);
	id.bytes[15] = (uint8_t)(i + 1);
	return id;
}

/* --- the sources --- */

static void
publish_one(int s, int i, struct replica_intake *intake, struct buf *body)
{
	const struct source_object *o = &objects[s][i];
	struct err err = {0};
	struct arena *arena = arena_new(1 << 20);
	char first[160];
	char second[160];
	struct slice cn = slice_str(o->cn);
	struct slice mail = slice_str(o->mail);
	struct slice nick = slice_str(o->nickname);
	struct slice proxies[2];
	struct object_attribute list[] = {
	    {"cn", &cn, 1},
	    {"mail", &mail, 1},
	    {"mailNickname", &nick, 1},
	    {"proxyAddresses", proxies, o->second[0] == '\0' ? 1 : 2},
	};
	struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=x,DC=src,DC=example",
	    .attributes = list,
	    .attribute_count = 4};
	struct id id = object_id(s, i);

	snprintf(first, sizeof(first), "SMTP:%s", o->mail);
	snprintf(second, sizeof(second), "smtp:%s", o->second);
	proxies[0] = slice_str(first);
	proxies[1] = slice_str(second);
	buf_reset(body);
	ok(object_encode(&object, arena, body, &err), &err);
	ok(replica_intake_put(intake, &id, buf_slice(body), &err), &err);
	arena_free(arena);
}

static void
publish(int s)
{
	struct err err = {0};
	struct replica_intake *intake = NULL;
	struct replica_changes changes;
	struct buf body;
	int i;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	ok(replica_intake_begin(replicas[s], REPLICA_FULL, &intake, &err),
	    &err);
	for (i = 0; i < OBJECTS; i++)
		if (objects[s][i].live)
			publish_one(s, i, intake, &body);
	ok(replica_intake_finish(intake, 1000, false, &changes, &err), &err);
	buf_fini(&body);
}

static void
mutate_source(int s)
{
	int n = (int)rnd(6);

	while (n-- > 0) {
		struct source_object *o = &objects[s][rnd(OBJECTS)];

		if (o->live && rnd(3) == 0) {
			o->live = false;
			continue;
		}
		o->live = true;
		/* Few different names and addresses: clashes are the point. */
		snprintf(o->cn, sizeof(o->cn), "Person %u", rnd(8));
		snprintf(o->nickname, sizeof(o->nickname), "p%u", rnd(8));
		snprintf(o->mail, sizeof(o->mail), "p%u@%s", rnd(30),
		    rnd(10) == 0 ? "elsewhere.example" : domains[s]);
		o->second[0] = '\0';
		if (rnd(3) == 0)
			snprintf(o->second, sizeof(o->second), "p%u@%s",
			    rnd(30), domains[s]);
	}
}

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
	ok(importdb_commit(db, &err), &err);
	assert_int_equal(result.held_streams, 0);
}

/* One run; gives how many changes the plan had. With lose, it dies before a
 * change with probability 1 in lose. */
static unsigned
run(struct importdb *db, unsigned lose)
{
	static const enum importdb_op order[] = {
	    IMPORTDB_RENAME, IMPORTDB_MODIFY, IMPORTDB_DELETE, IMPORTDB_ADD};
	struct importdb_change change;
	struct err err = {0};
	unsigned changes = 0;
	size_t i;
	int rc;

	plan_once(db);
	for (i = 0; i < 4; i++) {
		uint64_t after = 0;

		while ((rc = importdb_plan_next(
			    db, order[i], after, &change, &err)) > 0) {
			after = change.seq;
			changes++;
			if (lose > 0 && rnd(lose) == 0)
				return changes;
			apply_change(&change);
		}
		ok(rc, &err);
	}
	return changes;
}

/* --- what must hold when the plan is empty --- */

static bool
entry_managed(const struct entry *e)
{
	return e->live && e->ours && dn_is_below(e->dn, INTO, false);
}

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

static void
check(void)
{
	int s;
	int i;

	for (i = 0; i < ENTRIES; i++)
		if (entry_managed(&entries[i]))
			check_entry(&entries[i]);
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
		run(db, 6);
	memset(held, 0, sizeof(held));
	/* What clashed must settle in a few whole runs. */
	for (tries = 0; run(db, 0) > 0; tries++)
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
