/* Shared by import.c (runs), import_streams.c (what may be planned from),
 * import_pass.c (planning and writing) and import_notes.c (what is left to
 * say). */
#ifndef SPOKE_IMPORT_IMPORT_INTERNAL_H
#define SPOKE_IMPORT_IMPORT_INTERNAL_H

#include "spoke/forest.h"
#include "spoke/import/import.h"
#include "spoke/import/plan.h"

/* Fingerprint of what the last complete run made true. */
#define IMPORT_NOTE_DONE "done"
#define IMPORT_NOTE_MAX (1024 * 1024)

struct import {
	const struct import_input *in;
	struct import_result *result;
	struct importdb *db;
	struct forest *forest;
	struct session *session; /* of the context of the import OU */
	struct dialect *dialect;
	struct plan_stream *streams;
	const char **others; /* OUs of the other policies */
	size_t other_count;
	struct arena *arena; /* of the run: tags of manifests */
};

/* STATE/import-POLICY.db; the caller frees. */
char *import_db_path(
    const struct spoke_conf *conf, const struct import_policy *policy);

/* Opens the replicas and holds what must not be planned from. */
int import_streams(struct import *import, struct err *err) ERR_WUR;

/* Plans and writes until nothing more can be done in this run. *out_settled: a
 * further run would find nothing to do. */
int import_passes(
    struct import *import, bool *out_settled, struct err *err) ERR_WUR;

#endif
