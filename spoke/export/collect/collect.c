#include "spoke/export/collect/collect_internal.h"
#include "spoke/export/stages.h"

#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/replica/db.h"
#include "common/wire/limits.h"
#include "spoke/export/collect/references.h"
#include "spoke/store.h"

#define COLLECT_NOTE_READ "read-at"
#define COLLECT_NOTE_POLICY "policy"
#define COLLECT_NOTE_HEAD "head"
#define COLLECT_NOTE_CONTENT "content"
#define COLLECT_NOTE_CONF "conf"
/* Receivers that were away longer get a full. Versions are Unix ms. */
#define COLLECT_TOMBSTONE_MS (90 * CLOCK_DAY_MS)

static int
note_is(struct replica *replica, const char *key,
    const uint8_t hash[CRYPTO_HASH_LEN], bool *out_equal, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, COLLECT_NOTE_MAX);
	rc = replica_note_get(replica, key, &buf, err);
	*out_equal = rc == 0 && slice_equal(buf_slice(&buf),
				    slice_make(hash, CRYPTO_HASH_LEN));
	buf_fini(&buf);
	return rc;
}

static int
note_equal(struct collector *c, const char *key,
    const uint8_t hash[CRYPTO_HASH_LEN], bool *out_equal, struct err *err)
{
	return note_is(c->replica, key, hash, out_equal, err);
}

int
collect_is_of_policy(const struct spoke_conf *conf,
    const struct export_policy *policy, struct replica *replica, bool *out_is,
    struct err *err)
{
	uint8_t hash[CRYPTO_HASH_LEN];

	collect_settings_conf_hash(conf, policy, hash);
	return note_is(replica, COLLECT_NOTE_CONF, hash, out_is, err);
}

static int
conf_keep(struct collector *c, struct err *err)
{
	return replica_note_set(c->replica, COLLECT_NOTE_CONF,
	    slice_make(c->settings.conf, CRYPTO_HASH_LEN), err);
}

int
collect_note_number(
    struct collector *c, const char *key, uint64_t *out, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, 64);
	rc = replica_note_get(c->replica, key, &buf, err);
	*out = rc < 0 ? 0 : strtoull(buf_cstr(&buf), NULL, 10);
	buf_fini(&buf);
	return rc;
}

int
collect_note_number_set(
    struct collector *c, const char *key, uint64_t value, struct err *err)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return replica_note_set(c->replica, key, slice_str(text), err);
}

/* Does the hub hold what this replica never was, at or above its version? Then
 * this one was restored from a backup. */
static bool
is_behind(const struct collect_options *o, const struct replica_state *state)
{
	return o->hub_version > state->version ||
	       (o->hub_version == state->version && o->hub_version != 0 &&
		   memcmp(o->hub_root, state->root, CRYPTO_HASH_LEN) != 0);
}

/* Is the directory as the last reading left it? */
static int
mark_is_same(struct collector *c, bool *out_same, struct err *err)
{
	struct buf mark;
	int rc;

	buf_init(&mark, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, COLLECT_NOTE_MARK, &mark, err);
	if (rc == 0)
		rc = forest_mark_holds(
		    c->forest, buf_slice(&mark), out_same, err);
	buf_fini(&mark);
	return rc;
}

/* May the reading be spared? The mark must be the one of the last reading,
 * under the same policy, the last whole one not older than the proof interval.
 * If only the mark differs, what was touched will do. */
static int
is_unchanged(struct collector *c, bool *out, struct err *err)
{
	const struct collect_options *o = c->options;
	struct replica_state state;
	uint64_t read_at;
	bool same_policy;

	*out = false;
	c->proof_due = true;
	replica_state(c->replica, &state);
	if (note_equal(c, COLLECT_NOTE_CONTENT, c->settings.content,
		&c->same_content, err) < 0)
		return -1;
	if (state.version == 0 || is_behind(o, &state))
		return 0;
	if (collect_note_number(c, COLLECT_NOTE_READ, &read_at, err) < 0 ||
	    note_equal(c, COLLECT_NOTE_POLICY, c->settings.policy, &same_policy,
		err) < 0 ||
	    note_equal(
		c, COLLECT_NOTE_HEAD, c->settings.head, &c->same_head, err) < 0)
		return -1;
	c->may_follow = same_policy && c->same_head;
	c->proof_due =
	    o->full || (uint64_t)o->now_ms < read_at ||
	    (uint64_t)o->now_ms - read_at >= (uint64_t)c->policy->proof_ms;
	return c->may_follow && !c->proof_due && !o->allow_empty
		   ? mark_is_same(c, out, err)
		   : 0;
}

int
collect_base_before(struct collector *c, const struct export_base *base,
    uint64_t *out_entries, struct err *err)
{
	char key[64];

	scope_key(base, "base", key, sizeof(key));
	return collect_note_number(c, key, out_entries, err);
}

/* Only when the intake is committed: a crash in between costs one reading. */
static int
notes_write(struct collector *c, struct slice mark, struct err *err)
{
	if (replica_note_set(c->replica, COLLECT_NOTE_HEAD,
		slice_make(c->settings.head, CRYPTO_HASH_LEN), err) < 0 ||
	    replica_note_set(c->replica, COLLECT_NOTE_POLICY,
		slice_make(c->settings.policy, CRYPTO_HASH_LEN), err) < 0 ||
	    replica_note_set(c->replica, COLLECT_NOTE_CONTENT,
		slice_make(c->settings.content, CRYPTO_HASH_LEN), err) < 0 ||
	    conf_keep(c, err) < 0 || scope_pins_keep(c->scope, err) < 0 ||
	    collect_feeds_keep(c, err) < 0 ||
	    hold_forget(c->replica, err) < 0 || collect_lag_keep(c, err) < 0 ||
	    collect_contexts_keep(c, err) < 0 ||
	    collect_witness_keep(c, err) < 0)
		return -1;
	if (c->result->whole &&
	    replica_note_set(c->replica, COLLECT_NOTE_WHOLE, mark, err) < 0)
		return -1;
	return replica_note_set(c->replica, COLLECT_NOTE_MARK, mark, err);
}

static int
notes_keep(struct collector *c, struct err *err)
{
	struct buf mark;
	int rc;

	buf_init(&mark, COLLECT_NOTE_MAX);
	rc = forest_mark(c->forest, false, &mark, err);
	if (rc == 0)
		rc = replica_notes_begin(c->replica, err);
	if (rc == 0)
		rc = replica_notes_end(
		    c->replica, notes_write(c, buf_slice(&mark), err), err);
	buf_fini(&mark);
	return rc;
}

/* Never above what the hub holds: it would get a full for one change. */
static int
tombstones_purge(struct collector *c, struct err *err)
{
	int64_t cut = c->options->now_ms - COLLECT_TOMBSTONE_MS;
	uint64_t version = c->options->hub_version;

	if (cut <= 0 || version == 0)
		return 0;
	if ((uint64_t)cut < version)
		version = (uint64_t)cut;
	return replica_purge(c->replica, version, err);
}

int
collect_intake_finish(struct collector *c, bool force, struct err *err)
{
	const struct collect_options *o = c->options;
	struct replica_changes changes;
	int rc;

	rc = replica_intake_finish(c->intake,
	    o->hub_version >= (uint64_t)o->now_ms ? (int64_t)o->hub_version + 1
						  : o->now_ms,
	    force, &changes, err);
	c->intake = NULL;
	if (rc < 0)
		return -1;
	c->result->changes.added += changes.added;
	c->result->changes.modified += changes.modified;
	c->result->changes.deleted += changes.deleted;
	c->result->changes.unchanged = changes.unchanged;
	return 0;
}

/* What the whole reading says of each base, and when it was. */
static int
bases_keep(struct collector *c, const uint64_t *entries, struct err *err)
{
	for (size_t i = 0; i < c->policy->base_count; i++) {
		char key[64];

		scope_key(&c->policy->bases[i], "base", key, sizeof(key));
		if (collect_note_number_set(c, key, entries[i], err) < 0)
			return -1;
	}
	return collect_note_number_set(
	    c, COLLECT_NOTE_READ, (uint64_t)c->options->now_ms, err);
}

/* A full intake with everything in it. */
static int
intake_fill(struct collector *c, uint64_t *entries, struct err *err)
{
	int rc;

	do {
		replica_intake_abort(c->intake);
		c->intake = NULL;
		memset(&c->result->counts, 0, sizeof(c->result->counts));
		c->failed.count = 0;
		c->nameless = 0;
		c->result->found = 0;
		c->result->along = 0;
		c->result->outside = 0;
		if (replica_intake_begin(
			c->replica, REPLICA_FULL, &c->intake, err) < 0)
			return -1;
		collect_watch_begin(c);
		rc = collect_entries(c, entries, err);
	} while (rc > 0);
	return rc;
}

static int
read_whole(struct collector *c, struct err *err)
{
	const struct collect_options *o = c->options;
	uint64_t *entries = mem_calloc(c->policy->base_count, sizeof(*entries));
	struct replica_state state;
	enum stage before = stages_enter(STAGE_STORE);
	int rc = -1;

	c->result->whole = true;
	replica_state(c->replica, &state);
	if (intake_fill(c, entries, err) < 0 ||
	    collect_guards_check(
		c, c->result->counts.reasons[SHAPE_EXPORTED], err) < 0 ||
	    collect_intake_finish(c,
		(state.version != 0 && !c->same_head) || is_behind(o, &state),
		err) < 0)
		goto out;
	rc = bases_keep(c, entries, err);
	if (rc == 0)
		rc = tombstones_purge(c, err);
out:
	replica_intake_abort(c->intake);
	c->intake = NULL;
	free(entries);
	(void)stages_enter(before);
	return rc;
}

/* The whole reading that follows a feed proves it. What was written meanwhile
 * proves nothing: the mark tells. */
static int
feed_prove(struct collector *c, struct err *err)
{
	struct replica_changes before = c->result->changes, *after;
	struct buf then, now;
	int rc;

	if (read_whole(c, err) < 0)
		return -1;
	after = &c->result->changes;
	if (after->added == before.added &&
	    after->modified == before.modified &&
	    after->deleted == before.deleted)
		return 0;
	buf_init(&then, COLLECT_NOTE_MAX);
	buf_init(&now, COLLECT_NOTE_MAX);
	rc = forest_mark(c->forest, false, &then, err);
	if (rc == 0)
		rc = forest_mark(c->forest, true, &now, err);
	if (rc == 0 && then.len > 0 &&
	    slice_equal(buf_slice(&now), buf_slice(&then))) {
		c->result->defect = true;
		log_warn("the change feed missed something, corrected now "
			 "policy=%s feed=%s added=%llu modified=%llu "
			 "deleted=%llu",
		    c->policy->name, feed_kind_name(c->result->feed),
		    (unsigned long long)(after->added - before.added),
		    (unsigned long long)(after->modified - before.modified),
		    (unsigned long long)(after->deleted - before.deleted));
	}
	buf_fini(&now);
	buf_fini(&then);
	return rc;
}

/* What was touched, or everything, or both. */
static int
read_directory(struct collector *c, struct err *err)
{
	int followed = collect_feeds_follow(c, err);

	if (followed < 0)
		return -1;
	if (followed == 0 && read_whole(c, err) < 0)
		return -1;
	if (followed == 1 && c->proof_due && feed_prove(c, err) < 0)
		return -1;
	return notes_keep(c, err);
}

int
collect_replica_open(const struct spoke_conf *conf,
    const struct export_policy *policy, struct replica **out_replica,
    struct err *err)
{
	char *path = store_stream_path(conf, NULL, policy->name);
	int rc = 0;

	*out_replica = NULL;
	if (access(path, F_OK) == 0)
		rc = replica_open(path, out_replica, err);
	free(path);
	return rc;
}

/* The run fails either way; what it held can then not be released. */
static void
refusal_keep(struct collector *c, struct err *err)
{
	struct err own = {0};

	if ((c->hold.guards != 0 && collect_hold_keep(c, &own) < 0) ||
	    collect_witness_doubt_keep(c, &own) < 0 ||
	    (c->behind_since != 0 && collect_lag_hold(c, &own) < 0) ||
	    (c->behind_since == 0 && c->forest != NULL &&
		!c->options->count_only && collect_lag_over(c, &own) < 0))
		(void)err_prepend(
		    err, "cannot keep what is held: %s", own.message);
}

static void
referrals_tell(struct collector *c)
{
	const char *const *urls;

	c->result->referrals = scope_referrals(c->scope, &urls);
	for (size_t i = 0; i < c->result->referrals; i++)
		log_warn("what lies behind a referral is not exported "
			 "policy=%s referral=%s",
		    c->policy->name, log_text(slice_str(urls[i])));
}

static int
count_whole(struct collector *c, struct err *err)
{
	uint64_t *entries = mem_calloc(c->policy->base_count, sizeof(*entries));
	int rc = collect_entries(c, entries, err);

	free(entries);
	return rc;
}

int
collect_run(const struct collect_options *options, struct replica *replica,
    struct collect_result *out_result, struct err *err)
{
	struct collector c = {.options = options,
	    .policy = options->policy,
	    .replica = replica,
	    .result = out_result};
	int rc = -1;

	memset(out_result, 0, sizeof(*out_result));
	buf_init(&c.body, LIMIT_OBJECT_BYTES);
	buf_init(&c.reach, COLLECT_NOTE_MAX);
	c.arena = arena_new(COLLECT_ARENA_MAX);
	/* As large as the state, and not where memory may be the disk. */
	db_scratch_place(options->conf->state);
	if (crypto_init(err) < 0 ||
	    forest_open(options->conf, &c.forest, err) < 0)
		goto out;
	c.dialect = forest_dialect(c.forest);
	collect_settings_hash(options->conf, c.policy, c.forest, &c.settings);
	if (!options->count_only &&
	    (collect_lag_begin(&c, err) < 0 ||
		is_unchanged(&c, &out_result->unchanged, err) < 0))
		goto out;
	if (out_result->unchanged) {
		rc = collect_lag_over(&c, err) < 0 ? -1 : conf_keep(&c, err);
		goto out;
	}
	if (collect_prepare(&c, err) < 0 || collect_contexts_check(&c, err) < 0)
		goto out;
	rc = options->count_only ? count_whole(&c, err)
				 : read_directory(&c, err);
	out_result->missing = scope_missing(c.scope);
	referrals_tell(&c);
	out_result->refused = scope_refused(c.scope);
out:
	if (rc < 0) {
		collect_lag_tell(&c, err);
		refusal_keep(&c, err);
	}
	idlist_fini(&c.failed);
	hold_fini(&c.hold);
	collect_watch_end(&c);
	scope_close(c.scope);
	idset_free(c.seen);
	collect_feeds_free(c.feeds);
	references_free(c.references);
	shape_close(c.shape);
	forest_close(c.forest);
	arena_free(c.arena);
	buf_fini(&c.body);
	buf_fini(&c.reach);
	return rc;
}
