/*
 * One reading of a source, for the tests in Python:
 *
 *   spoke_collect_probe SPOKE.CONF POLICY REPLICA NOW [full] [dump] [empty]
 *
 * NOW in milliseconds, empty: --allow-empty. Prints a line of JSON with what
 * was read how, and the replica's root, with dump also its objects; exit code 1
 * and the message on an error.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "spoke/export/collect/collect.h"

#define ARENA_MAX (16 * 1024 * 1024)

static void
print_object(const struct object *object, struct buf *out)
{
	buf_addf(out, "{\"kind\": \"%s\", \"type\": %lld, \"dn\": ",
	    shape_kind_name(object->kind), (long long)object->recipient_type);
	buf_add_json(out, slice_str(object->source_dn));
	buf_add_str(out, ", \"attributes\": {");
	for (size_t i = 0; i < object->attribute_count; i++) {
		const struct object_attribute *a = &object->attributes[i];

		buf_addf(out, "%s\"%s\": [", i == 0 ? "" : ", ", a->name);
		for (size_t k = 0; k < a->value_count; k++) {
			buf_add_str(out, k == 0 ? "\"" : ", \"");
			buf_add_hex(out, a->values[k]);
			buf_add_byte(out, '"');
		}
		buf_add_byte(out, ']');
	}
	buf_add_str(out, "}}");
}

/* Values in hexadecimal digits. */
static int
print_objects(struct replica *replica, struct err *err)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct replica_cursor *cursor = NULL;
	struct section_object row;
	struct object object;
	struct buf out;
	bool any = false;
	int rc;

	printf(", \"objects\": [");
	rc = replica_cursor_open(replica, 0, &cursor, err);
	while (rc == 0 && (rc = replica_cursor_next(cursor, &row, err)) == 1) {
		arena_reset(arena);
		buf_init(&out, ARENA_MAX);
		rc = object_decode(row.body, arena, &object, err);
		if (rc == 0)
			print_object(&object, &out);
		printf("%s%s", any ? ", " : "", buf_cstr(&out));
		any = true;
		buf_fini(&out);
	}
	replica_cursor_close(cursor);
	arena_free(arena);
	printf("]");
	return rc;
}

static int
print_result(const struct collect_result *r, struct replica *replica, bool dump,
    struct err *err)
{
	int rc = 0;

	struct replica_state state;
	struct buf root;

	replica_state(replica, &state);
	buf_init(&root, 256);
	buf_add_hex(&root, slice_make(state.root, sizeof(state.root)));
	printf("{\"unchanged\": %d, \"whole\": %d, \"defect\": %d, "
	       "\"feed\": \"%s\", \"added\": %llu, \"modified\": %llu, "
	       "\"deleted\": %llu, \"entries\": %llu, \"count\": %llu, "
	       "\"root\": \"%s\"",
	    r->unchanged, r->whole, r->defect, feed_kind_name(r->feed),
	    (unsigned long long)r->changes.added,
	    (unsigned long long)r->changes.modified,
	    (unsigned long long)r->changes.deleted,
	    (unsigned long long)r->found, (unsigned long long)state.count,
	    buf_cstr(&root));
	buf_fini(&root);
	if (dump)
		rc = print_objects(replica, err);
	printf("}\n");
	return rc;
}

int
main(int argc, char **argv)
{
	struct spoke_conf *conf = NULL;
	struct replica *replica = NULL;
	struct collect_options options = {.full = false};
	bool dump = false;
	struct collect_result result;
	struct err err = {0};
	int rc = -1;

	if (argc < 5)
		return EXIT_USAGE;
	for (int i = 5; i < argc; i++) {
		options.full = options.full || strcmp(argv[i], "full") == 0;
		dump = dump || strcmp(argv[i], "dump") == 0;
		options.allow_empty =
		    options.allow_empty || strcmp(argv[i], "empty") == 0;
	}
	log_init("probe", LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
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
		rc = print_result(&result, replica, dump, &err);
	if (rc != 0)
		printf("%s\n", err.message);
	replica_close(replica);
	spoke_conf_free(conf);
	return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}
