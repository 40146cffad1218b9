/* Survey, plan, guard, apply: as often as it takes to settle. */
#include "spoke/import/apply.h"
#include "spoke/import/guard.h"
#include "spoke/import/import_internal.h"
#include "spoke/import/moves.h"
#include "spoke/import/survey.h"

/* Plans of one run: the second settles what the first one freed. */
#define IMPORT_PASSES 3

static int
import_map(const void *arg, const struct object *contact, struct arena *arena,
    struct writer_attribute **out_attributes, size_t *out_count,
    struct err *err)
{
	return dialect_contact_attributes_map(
	    arg, contact, arena, out_attributes, out_count, err);
}

static bool
import_equal(const void *arg, const char *name, const struct slice *a,
    size_t a_count, const struct slice *b, size_t b_count)
{
	return dialect_values_equal(arg, name, a, a_count, b, b_count);
}

static size_t
import_max(const void *arg, const char *name)
{
	return dialect_attribute_max(arg, name);
}

/* What cannot be done as somebody does not give way in this plan may be in the
 * next. */
static int
import_settle(struct import *import, struct plan_input *plan, struct err *err)
{
	uint64_t exists = import->result->exists;

	if (moves_settle(import->db, import->result, err) != 0)
		return -1;
	plan->blocked += import->result->exists - exists;
	return 0;
}

/* Survey and plan in one transaction: a plan never outlives its survey, and
 * what the former run made true is not known to be so any more. */
static int
import_plan_all(struct import *import, struct plan_input *plan, struct err *err)
{
	const struct survey_options survey = {
	    .forest = import->forest,
	    .session = import->session,
	    .dialect = import->dialect,
	    .into = import->in->policy->into,
	    .realm = import->in->registry->realm,
	    .page_size = import->in->conf->directory.page_size,
	};

	if (importdb_begin(import->db, err) != 0)
		return -1;
	if (importdb_note_set(import->db, IMPORT_NOTE_DONE, SLICE_NULL, err) !=
		0 ||
	    survey_run(&survey, import->db, err) != 0 ||
	    plan_make(plan, import->result, err) != 0 ||
	    guard_check(plan, import->result, err) != 0 ||
	    import_settle(import, plan, err) != 0) {
		importdb_rollback(import->db);
		return -1;
	}
	return importdb_commit(import->db, err);
}

/* *out_blocked: what another plan may find free, once this one is made. */
static int
import_plan(struct import *import, uint64_t *out_blocked, struct err *err)
{
	const struct plan_schema schema = {
	    .arg = import->dialect,
	    .nicknames =
		dialect_contact_allows(import->dialect, "mailNickname"),
	    .rdn_attribute = dialect_rdn_attribute(import->dialect),
	    .map = import_map,
	    .equal = import_equal,
	    .attribute_max = import_max,
	};
	struct plan_input plan = {
	    .db = import->db,
	    .policy = import->in->policy,
	    .legacy_prefix = import->in->conf->legacy_prefix,
	    .realm = import->in->registry->realm,
	    .streams = import->streams,
	    .stream_count = import->in->stream_count,
	    .schema = &schema,
	    .others = import->others,
	    .other_count = import->other_count,
	};
	size_t i;

	for (i = 0; i < plan.stream_count; i++) {
		plan.streams[i].contacts = 0;
		plan.streams[i].deletions = 0;
	}
	if (dialect_load(import->dialect, err) != 0 ||
	    import_plan_all(import, &plan, err) != 0)
		return -1;
	*out_blocked = plan.blocked;
	return 0;
}

/* One plan and its writing. *out_again: another pass may do what this one could
 * not, because it freed addresses or met a name in use. */
static int
import_pass(struct import *import, bool *out_again, struct err *err)
{
	uint64_t before = import->result->writes;
	uint64_t blocked = 0;
	bool collided = false;

	*out_again = false;
	if (import_plan(import, &blocked, err) != 0 ||
	    apply_run(import->session, import->db, import->result, &collided,
		err) != 0)
		return -1;
	*out_again =
	    collided || (blocked > 0 && import->result->writes > before);
	return 0;
}

/* What each pass counts anew; what the first found right stays counted. */
static void
import_recount(const struct import_result *start, struct import_result *result)
{
	struct import_result next = *start;

	next.added = result->added;
	next.modified = result->modified;
	next.renamed = result->renamed;
	next.deleted = result->deleted;
	next.writes = result->writes;
	*result = next;
}

int
import_passes(struct import *import, bool *out_settled, struct err *err)
{
	struct import_result start = *import->result;
	uint64_t same = 0;
	bool again = true;
	int pass;

	if (importdb_written_clear(import->db, err) != 0)
		return -1;
	for (pass = 0; again && pass < IMPORT_PASSES; pass++) {
		import_recount(&start, import->result);
		if (import_pass(import, &again, err) != 0)
			return -1;
		if (pass == 0)
			same = import->result->same;
	}
	import->result->same = same;
	*out_settled = !again;
	return 0;
}
