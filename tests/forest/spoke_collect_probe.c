/*
 * One reading of a source, for the tests in Python:
 *
 *   spoke_collect_probe SPOKE.CONF POLICY REPLICA NOW [full]
 *
 * NOW in milliseconds. Prints a line of JSON with what was read how, and the
 * replica's root; exit code 1 and the message on an error.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "spoke/collect.h"

static void
print_result(const struct collect_result *r, struct replica *replica)
{
	struct replica_state state;
	struct buf root;

	replica_state(replica, &state);
	buf_init(&root, 256);
	buf_add_hex(&root, slice_make(state.root, sizeof(state.root)));
	printf("{\"unchanged\": %d, \"whole\": %d, \"defect\": %d, "
	       "\"feed\": \"%s\", \"added\": %llu, \"modified\": %llu, "
	       "\"deleted\": %llu, \"entries\": %llu, \"count\": %llu, "
	       "\"root\": \"%s\"}\n",
	    r->unchanged, r->whole, r->defect, feed_kind_name(r->feed),
	    (unsigned long long)r->changes.added,
	    (unsigned long long)r->changes.modified,
	    (unsigned long long)r->changes.deleted,
	    (unsigned long long)r->found, (unsigned long long)state.count,
	    buf_cstr(&root));
	buf_fini(&root);
}

int
main(int argc, char **argv)
{
	struct spoke_conf *conf = NULL;
	struct replica *replica = NULL;
	struct collect_options options = {.full = argc == 6};
	struct collect_result result;
	struct err err = {0};
	int rc = -1;

	if (argc < 5)
		return EXIT_USAGE;
	log_init("probe", LOG_LEVEL_INFO);
	options.now_ms = strtoll(argv[4], NULL, 10);
	if (crypto_init(&err) == 0 &&
	    spoke_conf_load(argv[1], &conf, &err) == 0 &&
	    replica_open(argv[3], &replica, &err) == 0) {
		options.conf = conf;
		options.policy = spoke_conf_export(conf, argv[2]);
		if (options.policy != NULL)
			rc = collect_run(&options, replica, &result, &err);
	}
	if (rc == 0)
		print_result(&result, replica);
	else
		printf("%s\n", err.message);
	replica_close(replica);
	spoke_conf_free(conf);
	return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}
