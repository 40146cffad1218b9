/* hub.conf: table, sample and galrelay(5) in step. */
#include "tests/unit/conf_document.h"
#include "hub/conf.h"

#define SAMPLE "deploy/sample/hub.conf"

static void
test_man(void **state)
{
	struct document d = {
	    .section = ".Sh HUB CONFIGURATION\n", .table = "hub.conf"};

	(void)state;
	document_open_man(&d);
	document_compare_man(&d, &hub_conf_table);
	document_close(&d);
}

static void
test_sample(void **state)
{
	struct document d = {.sample_count = 0};

	(void)state;
	document_add_sample(&d, SAMPLE);
	document_compare_samples(&d, &hub_conf_table);
	document_close(&d);
}

/* The sample is accepted, as it is and with every example on. */
static void
test_sample_loads(void **state)
{
	(void)state;
	for (int on = 0; on < 2; on++) {
		char dir[] = "/tmp/galr-doc-XXXXXX";
		struct hub_conf *conf = NULL;
		struct err err;
		char *path;

		assert_non_null(mkdtemp(dir));
		path = document_copy_sample(SAMPLE, dir, "hub.conf", on == 1);
		if (hub_conf_load(path, &conf, &err) != 0)
			fail_msg("%s", err.message);
		assert_string_equal(conf->realm, "example");
		hub_conf_free(conf);
		assert_int_equal(fsio_remove_tree(dir, &err), 0);
		free(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_man),
	    cmocka_unit_test(test_sample),
	    cmocka_unit_test(test_sample_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
