#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "spoke/import/guard.h"
#include "spoke/import/import_internal.h"

char *
import_db_path(
    const struct spoke_conf *conf, const struct import_policy *policy)
{
	char *name = mem_printf("import-%s.db", policy->name);
	char *path = spoke_conf_state_path(conf, name);

	free(name);
	return path;
}

int
import_release(const struct spoke_conf *conf,
    const struct import_policy *policy, uint64_t *out_deletions,
    struct err *err)
{
	struct importdb *db = NULL;
	char *path = import_db_path(conf, policy);
	int rc = importdb_open(path, &db, err);

	if (rc == 0)
		rc = guard_release(db, out_deletions, err);
	importdb_close(db);
	free(path);
	return rc == 0 ? 0 : err_prepend(err, "import %s", policy->name);
}

struct import_notes {
	import_note_fn *fn;
	void *arg;
};

static int
import_note_one(
    void *arg, const struct importdb_trouble *trouble, struct err *err)
{
	const struct import_notes *notes = arg;
	struct import_note note = {
	    .kind = trouble->kind,
	    .member = trouble->member,
	    .object = trouble->object,
	    .reason = trouble->reason,
	};

	return notes->fn(notes->arg, &note, err);
}

int
import_notes(const struct spoke_conf *conf, const struct import_policy *policy,
    import_note_fn *fn, void *arg, struct err *err)
{
	struct import_notes notes = {fn, arg};
	struct importdb *db = NULL;
	char *path = import_db_path(conf, policy);
	int rc = 0;

	/* Asking makes no file: it would belong to whoever asked. */
	if (access(path, F_OK) == 0)
		rc = importdb_open(path, &db, err);
	if (db != NULL)
		rc = importdb_trouble_each(db, import_note_one, &notes, err);
	importdb_close(db);
	free(path);
	return rc;
}
