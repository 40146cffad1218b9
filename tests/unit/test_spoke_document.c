/* spoke.conf and policies: table, samples and galrelay(5) in step. */
#include "tests/unit/conf_document.h"
#include "spoke/conf.h"

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
	    cmocka_unit_test(test_policy_table),
	    cmocka_unit_test(test_sample_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
