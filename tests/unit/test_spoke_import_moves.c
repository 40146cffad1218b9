/* Addresses that go from one imported person to another: swaps, rings, chains,
 * holders that go; and what dies or refuses in between. */
#include "tests/unit/import_tests.h"

static struct seen
who_has(const char *mail)
{
	struct seen seen = world_contact(w, mail);

	assert_int_equal(seen.count, 1);
	return seen;
}

/* Persons 0.. have the addresses given; what they are called stays. */
static void
publish_mails(const char *const *mails, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		char cn[32];

		snprintf(cn, sizeof(cn), "Person %zu", i);
		world_person(w, 0, i, cn, mails[i], "");
	}
	world_publish(w, 0);
}

static void
expect_mails(const char *const *mails, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		char cn[32];

		snprintf(cn, sizeof(cn), "Person %zu", i);
		assert_string_equal(who_has(mails[i]).cn, cn);
	}
	assert_int_equal(world_contacts(w), count);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
expect_only_modified(uint64_t count)
{
	assert_int_equal(w->result.modified, count);
	assert_int_equal(world_written(w), count);
	assert_int_equal(w->result.exists, 0);
	assert_int_equal(w->result.quarantined, 0);
}

static void
test_two_swap(void **state)
{
	static const char *const before[] = {
	    "a@north.example", "b@north.example", "c@north.example"};
	static const char *const after[] = {
	    "b@north.example", "a@north.example", "c@north.example"};
	struct seen a;
	struct seen c;

	(void)state;
	publish_mails(before, 3);
	world_run(w);
	a = who_has("a@north.example");
	c = who_has("c@north.example");
	publish_mails(after, 3);
	world_run(w);
	expect_only_modified(2);
	expect_mails(after, 3);
	/* The entries are those of before. */
	assert_string_equal(who_has("b@north.example").mark, a.mark);
	assert_string_equal(who_has("c@north.example").csn, c.csn);
	world_expect_settled(w);
	publish_mails(before, 3);
	world_run(w);
	expect_only_modified(2);
	expect_mails(before, 3);
	world_expect_settled(w);
}

/* A ring of three, one of two, a chain that hangs off a ring, and a chain that
 * is longer than a run has plans. */
static void
test_rings_and_chains(void **state)
{
	static const char *const before[] = {"a@north.example",
	    "b@north.example", "c@north.example", "d@north.example",
	    "e@north.example", "f@north.example", "g@north.example",
	    "h@north.example", "i@north.example", "j@north.example",
	    "k@north.example"};
	static const char *const after[] = {"b@north.example",
	    "c@north.example", "a@north.example", "e@north.example",
	    "d@north.example", "new@north.example", "f@north.example",
	    "g@north.example", "h@north.example", "i@north.example",
	    "j@north.example"};

	(void)state;
	publish_mails(before, COUNT(before));
	world_run(w);
	publish_mails(after, COUNT(after));
	world_person(w, 0, COUNT(after), "Person 11", "k@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.modified, 11);
	assert_int_equal(w->result.added, 1);
	assert_int_equal(world_written(w), 12);
	assert_int_equal(w->result.exists, 0);
	assert_string_equal(who_has("k@north.example").cn, "Person 11");
	w->persons[0][COUNT(after)].mail[0] = '\0';
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 1);
	expect_mails(after, COUNT(after));
	world_expect_settled(w);
}

/* The old holder is deleted in the same run, by its end or for its address. */
static void
test_holders_that_go(void **state)
{
	static const char *const before[] = {
	    "a@north.example", "b@north.example", "c@north.example"};

	(void)state;
	publish_mails(before, 3);
	world_run(w);
	w->persons[0][0].mail[0] = '\0';
	world_person(w, 0, 1, "Person 1", "a@north.example", "");
	world_person(w, 0, 2, "Person 2", "c@elsewhere.example", "");
	world_person(w, 0, 3, "Person 3", "b@north.example", "");
	world_person(w, 0, 4, "Person 4", "c@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, 2);
	assert_int_equal(w->result.modified, 1);
	assert_int_equal(w->result.added, 2);
	assert_int_equal(w->result.exists, 0);
	assert_string_equal(who_has("a@north.example").cn, "Person 1");
	assert_string_equal(who_has("b@north.example").cn, "Person 3");
	assert_string_equal(who_has("c@north.example").cn, "Person 4");
	assert_int_equal(world_contacts(w), 3);
	world_expect_settled(w);
}

static char reason[512];

static int
note_exists(void *arg, const struct import_note *note, struct err *err)
{
	struct id id = world_id(*(const size_t *)arg);

	(void)err;
	if (strcmp(note->kind, "exists") == 0 &&
	    id_compare(&note->object, &id) == 0)
		snprintf(reason, sizeof(reason), "%s", note->reason);
	return 0;
}

/* Why was the person left out? */
static const char *
left_out(size_t person)
{
	reason[0] = '\0';
	if (import_notes(
		&w->conf, &w->policies[0], note_exists, &person, &w->err) != 0)
		fail_msg("%s", w->err.message);
	return reason;
}

/* Somebody of this forest, or a contact that another policy keeps, gives
 * nothing up; whoever waits for such a one stays as it is. */
static void
test_others_block(void **state)
{
	static const char *const before[] = {
	    "a@north.example", "b@north.example", "c@north.example"};
	struct seen b;

	(void)state;
	publish_mails(before, 3);
	world_run(w);
	world_local(
	    w, "cn=Local," WORLD_STAFF, "Local", "local@north.example", NULL);
	/* Moved out of the unit, it is not ours to write any more. */
	world_move(
	    w, who_has("c@north.example").dn, "cn=Person 2", WORLD_STAFF);
	b = who_has("b@north.example");
	world_person(w, 0, 0, "Person 0", "c@north.example", "");
	world_person(w, 0, 1, "Person 1", "a@north.example", "Late");
	world_person(w, 0, 2, "Person 2", "b@north.example", "");
	world_person(w, 0, 3, "Person 3", "local@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(w->result.exists, 3);
	assert_int_equal(w->result.detached, 1);
	assert_non_null(strstr(left_out(0), "is in use by cn=Person 2,ou=Sta"));
	assert_non_null(strstr(left_out(1), "is in use by cn=Person 0,ou=Par"));
	assert_non_null(strstr(left_out(3), "is in use by cn=Local,ou=Staff"));
	assert_string_equal(who_has("b@north.example").csn, b.csn);
	world_expect_settled(w);
	/* It comes back: the ring is whole. */
	world_move(w, "cn=Person 2," WORLD_STAFF, "cn=Person 2", WORLD_INTO);
	world_run(w);
	assert_int_equal(w->result.modified, 3);
	assert_int_equal(w->result.exists, 1);
	assert_string_equal(who_has("a@north.example").title, "Late");
	world_expect_settled(w);
}

/* A held stream gives nothing up, and its contacts are in no ring. */
static void
test_held_streams_block(void **state)
{
	uint64_t deletions;
	struct seen a;
	size_t i;

	(void)state;
	w->stream_count = 2;
	world_person(w, 0, 0, "Anna", "anna@north.example", "");
	for (i = 1; i < 100; i++) {
		char mail[64];

		snprintf(mail, sizeof(mail), "p%zu@north.example", i);
		world_person(w, 1, i, "Person", mail, "");
	}
	world_publish(w, 0);
	world_publish(w, 1);
	world_run(w);
	assert_int_equal(w->result.added, 100);
	a = who_has("anna@north.example");
	for (i = 3; i < 90; i++)
		w->persons[1][i].mail[0] = '\0';
	/* One that is in a ring with it, one whose address is free. */
	world_person(w, 0, 0, "Anna", "p1@north.example", "");
	world_person(w, 1, 1, "Person", "anna@north.example", "");
	world_person(w, 0, 100, "Bo", "p50@north.example", "");
	world_publish(w, 0);
	world_publish(w, 1);
	world_run(w);
	assert_int_equal(w->result.held_streams, 1);
	assert_int_equal(world_written(w), 0);
	assert_int_equal(w->result.exists, 2);
	assert_string_equal(who_has("anna@north.example").csn, a.csn);
	assert_int_equal(
	    import_release(&w->conf, &w->policies[0], &deletions, &w->err), 0);
	assert_int_equal(deletions, 87);
	world_run(w);
	assert_int_equal(w->result.deleted, 87);
	assert_int_equal(w->result.modified, 2);
	assert_int_equal(w->result.added, 1);
	assert_string_equal(who_has("p1@north.example").cn, "Anna");
	assert_true(
	    strncmp(who_has("anna@north.example").cn, "Person", 6) == 0);
	assert_string_equal(who_has("p50@north.example").cn, "Bo");
	world_expect_settled(w);
}

/* --- dying --- */

#define DANCERS 24

static size_t place[DANCERS]; /* whose address each has */

static void
dance_mail(size_t person, char out[64])
{
	snprintf(out, 64, "d%zu@north.example", place[person]);
}

static void
dance(void)
{
	size_t i;

	for (i = 0; i < DANCERS; i++)
		if (rand() % 2 == 0) {
			size_t other = (size_t)rand() % DANCERS;
			size_t mine = place[i];

			place[i] = place[other];
			place[other] = mine;
		}
	for (i = 0; i < DANCERS; i++) {
		char cn[32];
		char mail[64];

		snprintf(cn, sizeof(cn), "Person %zu", i);
		dance_mail(i, mail);
		world_person(w, 0, i, cn, mail, "");
	}
	world_publish(w, 0);
}

/* One search sees one state: nobody shares an address, nobody is lost, and no
 * more than that many are without one. */
static void
expect_no_shared_address(unsigned parked)
{
	static const char *const attributes[] = {"mail", NULL};
	struct search_options options = {.base = WORLD_INTO,
	    .scope = SEARCH_SUBTREE,
	    .filter = "(objectClass=inetOrgPerson)",
	    .attributes = attributes,
	    .page_size = 500};
	struct search *search = NULL;
	struct search_entry entry;
	struct err err = {0};
	unsigned counts[DANCERS] = {0};
	unsigned all = 0;
	unsigned bare = 0;
	int rc;

	assert_int_equal(search_open(w->session, &options, &search, &err), 0);
	while ((rc = search_step(search, &entry, &err)) > 0) {
		struct slice mail = search_first(&entry, "mail");
		char text[64];
		size_t number = DANCERS;

		all++;
		bare += mail.len == 0;
		world_copy(text, sizeof(text), mail);
		if (mail.len > 0) {
			number = strtoul(text + 1, NULL, 10);
			assert_true(number < DANCERS);
			assert_int_equal(counts[number]++, 0);
		}
	}
	if (rc < 0)
		fail_msg("%s", err.message);
	search_close(search);
	assert_int_equal(all, DANCERS);
	assert_true(bare <= parked);
}

/* What the killed run had sent is answered before slapd ends. */
static void
run_and_die(void)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(world_run_of(w, &w->policies[0]) == 0 ? 0 : 1);
	usleep((unsigned)rand() % 40000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	session_close(w->session);
	fixture_kill(&w->ldap, SIGTERM);
	fixture_start(&w->ldap, false);
	w->session = fixture_session(&w->ldap);
}

static void
test_killed_at_any_moment(void **state)
{
	unsigned seed = (unsigned)clock_now_ms();
	unsigned round;
	size_t i;

	(void)state;
	if (getenv("SEED") != NULL)
		seed = (unsigned)strtoul(getenv("SEED"), NULL, 10);
	print_message("SEED=%u\n", seed);
	srand(seed);
	for (i = 0; i < DANCERS; i++)
		place[i] = i;
	dance();
	world_run(w);
	for (round = 0; round < 15; round++) {
		dance();
		run_and_die();
		expect_no_shared_address(1);
		if (round % 3 == 0) {
			dance();
			run_and_die();
			expect_no_shared_address(2);
		}
		world_run(w);
		assert_int_equal(w->result.exists, 0);
		assert_int_equal(w->result.deleted, 0);
		assert_int_equal(w->result.added, 0);
		for (i = 0; i < DANCERS; i++) {
			char cn[32];
			char mail[64];

			snprintf(cn, sizeof(cn), "Person %zu", i);
			dance_mail(i, mail);
			assert_string_equal(who_has(mail).cn, cn);
		}
	}
	world_expect_settled(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(test_two_swap),
	    WORLD_TEST(test_rings_and_chains),
	    WORLD_TEST(test_holders_that_go),
	    WORLD_TEST(test_others_block),
	    WORLD_TEST(test_held_streams_block),
	    WORLD_TEST(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
