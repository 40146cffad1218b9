/* Names and addresses that a directory takes amiss. */
#include "tests/unit/import_tests.h"

/* slapd takes a ligature for its letters, which our key does not: the name is
 * refused, noted, and the next serial taken, in the same run. */
static void
test_names_that_only_the_directory_knows(void **state)
{
	struct seen seen;

	(void)state;
	world_local(w, "cn=Ra\xef\xac\x80i," WORLD_INTO, "Ra\xef\xac\x80i",
	    "here@here.example", NULL);
	world_local(w, "cn=M\xc3\xbcller," WORLD_INTO, "M\xc3\xbcller",
	    "mueller@here.example", NULL);
	world_person(w, 0, 0, "Raffi", "raffi@north.example", "");
	world_person(w, 0, 1, "MULLER", "muller@north.example", "");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.added, 2);
	assert_int_equal(w->result.quarantined, 0);
	seen = world_contact(w, "raffi@north.example");
	assert_string_equal(seen.cn, "Raffi (2)");
	seen = world_contact(w, "muller@north.example");
	assert_string_equal(seen.cn, "MULLER (2)");
	world_expect_settled(w);
	/* A rename into such a name, with another change beside it. */
	world_person(w, 0, 1, "RA\xef\xac\x80I", "muller@north.example", "T");
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.quarantined, 0);
	seen = world_contact(w, "muller@north.example");
	assert_string_equal(seen.title, "T");
	assert_true(strncmp(seen.cn, "RA\xef\xac\x80I (", 8) == 0);
	world_expect_settled(w);
}

static const struct nasty {
	const char *cn, *wanted; /* NULL: as it is */
	size_t cn_len;           /* 0: a C string */
	const char *mail;
} nasties[] = {
    {"Quote \"Double\" O'Single", NULL, 0, NULL},
    {"Comma, Inc.; +plus=equals", NULL, 0, NULL},
    {"#leading", NULL, 0, NULL},
    {"  blanks  inside  ", "blanks inside", 0, NULL},
    {"back\\slash\\2c", NULL, 0, NULL},
    {"<angle> & (paren) * |", NULL, 0, NULL},
    {"emoji \xf0\x9f\xa6\x8a\xf0\x9f\x9a\x80", NULL, 0, NULL},
    {"\xd8\xa7\xd9\x84\xd9\x85\xd8\xa8\xd9\x8a", NULL, 0, NULL},
    {"nul\0byte", "nul byte", 8, NULL},
    {"line\nbreak\ttab\r", "line break tab", 0, NULL},
    {"0123456789012345678901234567890123456789012345678901234567890123-cut",
	"0123456789012345678901234567890123456789012345678901234567890123", 0,
	NULL},
    {"star", NULL, 0, "a*b@north.example"},
    {"paren", NULL, 0, "(a)(b)@north.example"},
    {"backslash", NULL, 0, "a\\5c\\b@north.example"},
    {"filter", NULL, 0, "*)(uid=*@north.example"},
    {"pipe", NULL, 0, "x|(objectClass=*)@north.example"},
    {"\xff\xfe", "n16", 0, NULL}, /* no text: the address names it */
    {" ", "n17", 0, NULL},
};
#define NASTIES (sizeof(nasties) / sizeof(nasties[0]))

static const char *
nasty_mail(size_t i, char out[64])
{
	snprintf(out, 64, "n%zu@north.example", i);
	return nasties[i].mail == NULL ? out : nasties[i].mail;
}

static void
test_nasty_names(void **state)
{
	char mail[64];
	size_t i;

	(void)state;
	for (i = 0; i < NASTIES; i++) {
		struct person *p = &w->persons[0][i];

		world_person(w, 0, i, nasties[i].cn, nasty_mail(i, mail), "");
		if (nasties[i].cn_len > 0) {
			memcpy(p->cn, nasties[i].cn, nasties[i].cn_len);
			p->cn_len = nasties[i].cn_len;
		}
	}
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.quarantined, 0);
	assert_int_equal(w->result.added, NASTIES);
	for (i = 0; i < NASTIES; i++) {
		const char *wanted = nasties[i].wanted == NULL
					 ? nasties[i].cn
					 : nasties[i].wanted;
		struct seen seen = world_contact(w, nasty_mail(i, mail));

		assert_int_equal(seen.count, 1);
		if (i < 16)
			assert_string_equal(seen.cn, wanted);
		else
			assert_true(strncmp(seen.cn, wanted, 3) == 0);
		assert_int_equal(seen.cn_len, strlen(seen.cn));
		assert_true(dn_equal(dn_parent(seen.dn), WORLD_INTO));
	}
	world_expect_settled(w);
	/* A change finds exactly the one that it is meant for. */
	for (i = 0; i < NASTIES; i++)
		snprintf(w->persons[0][i].title, 64, "t%zu", i);
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.modified, NASTIES);
	for (i = 0; i < NASTIES; i++) {
		char title[16];

		snprintf(title, sizeof(title), "t%zu", i);
		assert_string_equal(
		    world_contact(w, nasty_mail(i, mail)).title, title);
	}
	memset(w->persons, 0, sizeof(w->persons));
	world_publish(w, 0);
	world_run(w);
	assert_int_equal(w->result.deleted, NASTIES);
	assert_int_equal(world_contacts(w), 0);
}

/* --- dying anywhere --- */

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(test_names_that_only_the_directory_knows),
	    WORLD_TEST(test_nasty_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
