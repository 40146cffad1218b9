/* spoke.conf and policies: table, samples and galrelay(5) in step. */
#include "tests/unit/conf_document.h"
#include "spoke/export/shape/attributes.h"
#include "spoke/export/shape/shape.h"

#define SAMPLE "deploy/sample/spoke.conf"
#define POLICY "deploy/sample/policies.d/staff.conf"

extern const struct conf_table spoke_conf_table;
extern const struct conf_table spoke_conf_policy_table;

static void
test_man(void **state)
{
	struct document d = {
	    .section = ".Sh SPOKE CONFIGURATION\n", .table = "spoke.conf"};

	(void)state;
	document_open_man(&d);
	document_compare_man(&d, &spoke_conf_table);
	document_close(&d);
}

static void
test_sample(void **state)
{
	struct document d = {.sample_count = 0};

	(void)state;
	document_add_sample(&d, SAMPLE);
	document_add_sample(&d, POLICY);
	document_compare_samples(&d, &spoke_conf_table);
	document_close(&d);
}

/* Is that word in the text? Names continue with letters, digits and \-. */
static bool
has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		if ((at == text || (!isalnum(at[-1]) && at[-1] != '-')) &&
		    !isalnum(at[len]) && at[len] != '-' && at[len] != '\\')
			return true;
	return false;
}

/* As the page writes it: without hyphens that may break. */
static void
name_on_page(const char *name, char *out, size_t size)
{
	size_t n = 0;

	for (; *name != '\0' && n + 3 < size; name++) {
		if (*name == '-')
			out[n++] = '\\';
		out[n++] = *name;
	}
	out[n] = '\0';
}

/* Every attribute that the presets carry is listed where it belongs. */
static void
test_attributes(void **state)
{
	struct document d = {.section = ".Sh ATTRIBUTES\n"};
	struct export_policy policy = {.preset = EXPORT_FULL};
	const char *const *names = dialect_vocabulary(DIALECT_EXCHANGE);
	struct attributes *full = NULL, *minimal = NULL;
	char *always, *both, *only, *named;

	(void)state;
	assert_int_equal(
	    attributes_open(&policy, NULL, DIALECT_EXCHANGE, &full, NULL), 0);
	policy.preset = EXPORT_MINIMAL;
	assert_int_equal(
	    attributes_open(&policy, NULL, DIALECT_EXCHANGE, &minimal, NULL),
	    0);
	document_open_man(&d);
	always = strstr(buf_cstr(&d.man), ".It always\n");
	both = strstr(always, ".It Cm minimal\n");
	only = strstr(both, ".It Cm full\n");
	named = strstr(only, ".It when named\n");
	assert_non_null(named);
	both[-1] = only[-1] = named[-1] = '\0';
	for (; *names != NULL; names++) {
		char name[64];
		bool small = attributes_form(minimal, *names) != 0;

		if (attributes_form(full, *names) == 0 ||
		    strncmp(*names, "extensionAttribute", 18) == 0)
			continue;
		name_on_page(*names, name, sizeof(name));
		if (has_word(only, name) != !small ||
		    (has_word(always, name) || has_word(both, name)) != small)
			fail_msg(
			    "%s: not where it belongs in galrelay(5)", *names);
	}
	document_close(&d);
	attributes_close(minimal);
	attributes_close(full);
}

/* Every reason, in words and as JSON has it. */
static void
test_reasons(void **state)
{
	struct buf page;
	struct err err;

	(void)state;
	buf_init(&page, DOCUMENT_MAX);
	assert_int_equal(fsio_read("spoke/spoke.8", &page, &err), 0);
	for (int n = 0; n < SHAPE_REASON_COUNT; n++) {
		char line[128];

		(void)snprintf(line, sizeof(line), "\n.It %s Bq %s\n",
		    shape_reason_text((enum shape_reason)n),
		    shape_reason_key((enum shape_reason)n));
		if (strstr(buf_cstr(&page), line) == NULL)
			fail_msg("not in galspoke(8): %s", line);
	}
	buf_fini(&page);
}

/* A policy file has nothing that spoke.conf would not have. */
static void
test_policy_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < spoke_conf_policy_table.row_count; i++) {
		const struct conf_row *row = &spoke_conf_policy_table.rows[i];
		bool found = false;

		for (size_t k = 0; k < spoke_conf_table.row_count; k++)
			found |= strcmp(spoke_conf_table.rows[k].key,
				     row->key) == 0 &&
				 spoke_conf_table.rows[k].table == row->table;
		assert_true(found);
	}
}

/* The samples are accepted, as they are and with every example on. */
static void
test_sample_loads(void **state)
{
	(void)state;
	for (int on = 0; on < 2; on++) {
		char dir[] = "/tmp/galr-doc-XXXXXX";
		char *policies;
		char *secret;
		char *path;
		struct spoke_conf *conf = NULL;
		struct err err;

		assert_non_null(mkdtemp(dir));
		policies = fsio_join(dir, "policies.d");
		assert_int_equal(fsio_mkdirs(policies, &err), 0);
		secret = fsio_join(dir, "north.password");
		assert_int_equal(
		    fsio_write(secret, SLICE_LIT("x"), 0600, &err), 0);
		free(secret);
		secret = fsio_join(dir, "north.keytab");
		assert_int_equal(
		    fsio_write(secret, SLICE_LIT("x"), 0600, &err), 0);
		free(secret);
		free(document_copy_sample(
		    POLICY, policies, "staff.conf", on == 1));
		path = document_copy_sample(SAMPLE, dir, "spoke.conf", on == 1);
		if (spoke_conf_load(path, &conf, &err) != 0)
			fail_msg("%s", err.message);
		assert_int_equal(conf->export_count, 2);
		assert_int_equal(conf->import_count, 1);
		assert_string_equal(conf->exports[0].tag, "NORTH/staff");
		spoke_conf_free(conf);
		assert_int_equal(fsio_remove_tree(dir, &err), 0);
		free(policies);
		free(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_man),
	    cmocka_unit_test(test_sample),
	    cmocka_unit_test(test_attributes),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_policy_table),
	    cmocka_unit_test(test_sample_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
