/* Shared by run.c, run_export.c and run_import.c. */
#ifndef SPOKE_RUN_INTERNAL_H
#define SPOKE_RUN_INTERNAL_H

#include "spoke/run.h"
#include "spoke/spoke.h"

/* A second run of the same policy waits this long for the first. */
#define RUN_LOCK_MS 10000

struct run {
	const struct spoke_conf *conf;
	const struct run_options *options;
	const char *name;
	const struct export_policy *exporting;
	const struct import_policy *importing;
	struct spoke spoke;
	int64_t started_at, started_mono;
	struct buf text; /* for people */
	struct buf json; /* ",\"key\":value" parts */
};

/* 0 with *out_code any exit code, or -1 with err (and *out_code when it is to
 * differ from the error's own). */
int run_export(struct run *run, int *out_code, struct err *err) ERR_WUR;
int run_import(struct run *run, int *out_code, struct err *err) ERR_WUR;

#endif
