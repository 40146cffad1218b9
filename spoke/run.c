#include "spoke/run.h"

#include <strings.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/exchange.h"
#include "spoke/import/import.h"
#include "spoke/run_internal.h"

/* Keeps the outcome for status, prints it, gives the code. */
static int
run_end(struct run *run, int code, const struct err *err)
{
	struct store_run kept = {.started_at = run->started_at,
	    .ended_at = clock_now_ms(),
	    .code = code};
	struct err ignored = {0};
	struct buf json;

	spoke_text(kept.policy, sizeof(kept.policy), "%s", run->name);
	if (err != NULL)
		spoke_text(kept.text, sizeof(kept.text), "%s", err->message);
	else
		spoke_text(
		    kept.text, sizeof(kept.text), "%s", buf_cstr(&run->text));
	if (run->spoke.store != NULL &&
	    store_run_set(run->spoke.store, &kept, &ignored) < 0)
		log_err(&ignored, "cannot keep the outcome");
	if (err != NULL)
		log_err(err, "run %s policy=%s exit=%d",
		    code == EXIT_HELD ? "held" : "failed", run->name, code);
	if (run->options->quiet) {
		if (err == NULL)
			log_info("run done policy=%s exit=%d %s", run->name,
			    code, kept.text);
	} else if (run->options->json) {
		buf_init(&json, 1024 * 1024);
		buf_add_str(&json, "{\"policy\":");
		buf_add_json(&json, slice_str(run->name));
		buf_addf(&json, ",\"exit\":%d", code);
		buf_add(&json, buf_slice(&run->json));
		if (err != NULL) {
			buf_add_str(&json, ",\"error\":");
			buf_add_json(&json, slice_str(err->message));
			buf_addf(&json, ",\"class\":\"%s\"",
			    err_class_name(err->class));
		}
		buf_addf(&json, ",\"milliseconds\":%lld}",
		    (long long)(clock_mono_ms() - run->started_mono));
		(void)puts(buf_cstr(&json));
		buf_fini(&json);
	} else if (buf_cstr(&run->text)[0] != '\0') {
		(void)puts(buf_cstr(&run->text));
	}
	(void)fflush(stdout);
	return code;
}

int
run_policy(const struct spoke_conf *conf, const char *name,
    const struct run_options *options)
{
	struct run run = {.conf = conf,
	    .options = options,
	    .name = name,
	    .exporting = spoke_conf_export(conf, name),
	    .importing = spoke_conf_import(conf, name),
	    .started_at = clock_now_ms(),
	    .started_mono = clock_mono_ms()};
	struct err err = {0};
	char *lock_name = NULL;
	int code = EXIT_FAILED;
	int lock = -1;
	int rc = -1;

	if (run.exporting == NULL && run.importing == NULL) {
		(void)err_set(&err, ERR_CONFIG,
		    "no policy is called \"%s\" (galspoke status lists them)",
		    name);
		log_err(&err, "cannot run");
		return EXIT_USAGE;
	}
	run.name =
	    run.exporting != NULL ? run.exporting->name : run.importing->name;
	buf_init(&run.text, 64 * 1024);
	buf_init(&run.json, 64 * 1024);
	lock_name = mem_printf("run-%s", run.name);
	if (spoke_open(conf, &run.spoke, &err) < 0)
		goto out;
	log_prefix("spoke=%s policy=%s", run.spoke.identity.member, run.name);
	lock = spoke_lock(conf, lock_name, RUN_LOCK_MS, &err);
	if (lock < 0) {
		(void)err_prepend(&err, "the policy runs already");
		goto out;
	}
	rc = run.exporting != NULL ? run_export(&run, &code, &err)
				   : run_import(&run, &code, &err);
out:
	if (rc < 0 && (code == EXIT_DONE || code == EXIT_FAILED))
		code = err_exit_code(&err);
	code = run_end(&run, code, rc < 0 ? &err : NULL);
	if (rc < 0 && options->quiet && session_refused(&err))
		code = RUN_EXIT_REFUSED;
	if (lock >= 0)
		(void)close(lock);
	spoke_close(&run.spoke);
	free(lock_name);
	buf_fini(&run.text);
	buf_fini(&run.json);
	return code;
}

int
run_fetch(const struct spoke_conf *conf, bool *out_changed)
{
	struct fetch_result result = {0};
	struct spoke spoke = {0};
	struct err err = {0};
	int code = EXIT_DONE;

	*out_changed = false;
	if (spoke_open(conf, &spoke, &err) < 0 ||
	    fetch_run(&spoke, &result, &err) < 0) {
		log_err(&err, "fetch failed");
		code = EXIT_FAILED;
	} else if (result.messages > 0) {
		log_info("fetched messages=%u changed=%u refreshed=%u "
			 "refused=%u",
		    result.messages, result.changed, result.refreshed,
		    result.streams_refused);
	}
	*out_changed = result.changed > 0 || result.members_held > 0;
	spoke_close(&spoke);
	return code;
}
