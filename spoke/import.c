#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/wire/crypto.h"
#include "common/wire/limits.h"
#include "spoke/apply.h"
#include "spoke/guard.h"
#include "spoke/import_internal.h"
#include "spoke/plan.h"
#include "spoke/survey.h"

/* Fingerprint of what the last complete run made true; the directory's mark
 * right after it; when it was surveyed (Unix ms). */
#define IMPORT_NOTE_DONE "done"
#define IMPORT_NOTE_MARK "mark"
#define IMPORT_NOTE_READ "read"
#define IMPORT_NOTE_PLANNED "planned:" /* and the stream: its version */
#define IMPORT_NOTE_MAX (1024 * 1024)
/* How soon a refused object is tried again when nothing else happens. */
#define IMPORT_RETRY_MS CLOCK_HOUR_MS
/* Rises when the same objects become other contacts than before. */
#define IMPORT_FORM 1
/* Plans of one run: the second settles what the first one freed. */
#define IMPORT_PASSES 3

struct import {
	const struct import_input *in;
	struct import_result *result;
	struct importdb *db;
	struct session *session;
	struct dialect *dialect;
	struct plan_stream *streams;
	const char **others; /* OUs of the other policies */
	size_t other_count;
	struct arena *arena; /* of the run: tags of manifests */
};

static bool
import_tag_wanted(const struct import_policy *policy, const char *tag)
{
	size_t i;

	for (i = 0; i < policy->tag_count; i++)
		if (registry_tag_match(policy->tags[i], tag))
			return true;
	return false;
}

static void
import_hold(
    struct import *import, struct plan_stream *stream, const char *reason)
{
	stream->held = true;
	if (import->result->held_streams++ == 0)
		(void)snprintf(import->result->held_text,
		    sizeof(import->result->held_text),
		    "stream %.63s/%.63s: %.600s", stream->member,
		    stream->stream, reason);
}

/* Versions only rise: a replica below what was planned from it before came out
 * of a backup, and what it lacks may well be published. */
static int
import_regressed(struct import *import, const struct plan_stream *stream,
    uint64_t version, bool *out_regressed, struct err *err)
{
	char key[2 * LIMIT_NAME_CHARS + 16];
	char number[24];
	struct buf text;
	int rc;

	(void)snprintf(key, sizeof(key), IMPORT_NOTE_PLANNED "%s/%s",
	    stream->member, stream->stream);
	buf_init(&text, 64);
	rc = importdb_note_get(import->db, key, &text, err);
	*out_regressed =
	    rc == 0 && strtoull(buf_cstr(&text), NULL, 10) > version;
	(void)snprintf(number, sizeof(number), "%" PRIu64, version);
	if (rc == 0 && !*out_regressed &&
	    !slice_equal(buf_slice(&text), slice_str(number)))
		rc = importdb_note_set(import->db, key, slice_str(number), err);
	buf_fini(&text);
	return rc;
}

/* A stream whose manifest says that it ended carries nothing any more: its
 * contacts are planned for deletion, behind the guard. */
static int
import_open_stream(struct import *import, const struct import_stream *from,
    struct plan_stream *stream, struct err *err)
{
	struct manifest manifest;
	struct replica_state state;
	struct buf signed_bytes;
	struct err reason = {0};
	bool regressed = false;
	int rc;

	if (replica_open(from->path, &stream->replica, err) != 0)
		return -1;
	replica_state(stream->replica, &state);
	buf_init(&signed_bytes, IMPORT_NOTE_MAX);
	rc = replica_manifest(stream->replica, &signed_bytes, err);
	if (rc == 0 && signed_bytes.len > 0)
		rc = import_regressed(
		    import, stream, state.version, &regressed, err);
	if (rc == 0 && signed_bytes.len == 0)
		import_hold(import, stream, "has never arrived whole");
	else if (rc == 0 && regressed)
		import_hold(import, stream,
		    "is older here than what was imported before: it waits "
		    "for the hub to send what is missing");
	else if (rc == 0 &&
		 manifest_open(buf_slice(&signed_bytes), import->in->registry,
		     clock_now_ms(), import->arena, &manifest, &reason) != 0)
		import_hold(import, stream, reason.message);
	else if (rc == 0)
		stream->selected =
		    !manifest.ended &&
		    import_tag_wanted(import->in->policy, manifest.tag) &&
		    manifest_audience_has(&manifest, import->in->me);
	buf_fini(&signed_bytes);
	return rc;
}

static bool
import_ended_by_hub(const struct registry_member *owner, const char *stream)
{
	size_t i;

	for (i = 0; i < owner->ended_count; i++)
		if (registry_name_equal(owner->ended_streams[i], stream))
			return true;
	return false;
}

/* What the hub alone says (a revocation, an end) has been accepted by the
 * operator when the caller does not hold the stream: it then carries nothing
 * any more. */
static int
import_stream(struct import *import, const struct import_stream *from,
    struct plan_stream *stream, struct err *err)
{
	stream->member = from->member;
	stream->stream = from->stream;
	stream->owner = registry_find(import->in->registry, from->member);
	if (registry_name_equal(from->member, import->in->me))
		/* Own objects never come back, and hold nobody up. */
		return 0;
	if (from->held != NULL)
		import_hold(import, stream, from->held);
	else if (stream->owner == NULL)
		import_hold(import, stream,
		    "the registry does not know its member any more");
	else if (!stream->owner->revoked &&
		 !import_ended_by_hub(stream->owner, from->stream))
		return import_open_stream(import, from, stream, err);
	return 0;
}

static int
import_streams(struct import *import, struct err *err)
{
	size_t i;

	import->streams =
	    mem_calloc(import->in->stream_count + 1, sizeof(*import->streams));
	for (i = 0; i < import->in->stream_count; i++)
		if (import_stream(import, &import->in->streams[i],
			&import->streams[i], err) != 0)
			return err_prepend(err, "stream %s/%s",
			    import->in->streams[i].member,
			    import->in->streams[i].stream);
	return 0;
}

static void
import_hash_text(struct crypto_hash *hash, const char *text)
{
	crypto_hash_add(hash, slice_str(text));
	crypto_hash_add(hash, slice_make("", 1));
}

static void
import_hash_number(struct crypto_hash *hash, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	import_hash_text(hash, text);
}

/* Everything that a plan depends on but the directory itself. */
static void
import_fingerprint(struct import *import, uint8_t out[CRYPTO_HASH_LEN])
{
	const struct import_policy *policy = import->in->policy;
	struct crypto_hash *hash = crypto_hash_new();
	size_t i;

	import_hash_number(hash, IMPORT_FORM);
	import_hash_text(hash, policy->into);
	for (i = 0; i < import->other_count; i++)
		import_hash_text(hash, import->others[i]);
	import_hash_text(hash, dialect_provenance_attribute(import->dialect));
	import_hash_number(hash, (uint64_t)dialect_kind(import->dialect));
	import_hash_number(hash, policy->tag_count);
	for (i = 0; i < policy->tag_count; i++)
		import_hash_text(hash, policy->tags[i]);
	import_hash_number(hash, (uint64_t)policy->hidden);
	import_hash_number(hash, (uint64_t)policy->rich_text);
	import_hash_number(hash, policy->max_delete_count);
	import_hash_number(hash, policy->max_delete_percent);
	import_hash_text(hash, import->in->conf->legacy_prefix);
	import_hash_number(hash, import->in->registry->version);
	for (i = 0; i < import->in->stream_count; i++) {
		struct plan_stream *stream = &import->streams[i];
		struct replica_state state = {0};

		if (stream->replica != NULL)
			replica_state(stream->replica, &state);
		import_hash_text(hash, stream->member);
		import_hash_text(hash, stream->stream);
		import_hash_number(hash, stream->held);
		import_hash_number(hash, stream->selected);
		import_hash_number(hash, state.version);
		crypto_hash_add(
		    hash, slice_make(state.root, sizeof(state.root)));
	}
	crypto_hash_final(hash, out);
	crypto_hash_free(hash);
}

static int
import_connect(struct import *import, struct err *err)
{
	const struct spoke_directory *directory = &import->in->conf->directory;

	if (spoke_conf_session_open(import->in->conf, &import->session, err) !=
	    0)
		return -1;
	return dialect_open(import->session, directory->dialect,
	    directory->provenance, &import->dialect, err);
}

static int
import_read_at(struct import *import, int64_t *out_read_ms, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, 64);
	rc = importdb_note_get(import->db, IMPORT_NOTE_READ, &text, err);
	*out_read_ms = rc == 0 ? strtoll(buf_cstr(&text), NULL, 10) : 0;
	buf_fini(&text);
	return rc;
}

static int
import_first_quarantined(
    void *arg, const struct importdb_trouble *trouble, struct err *err)
{
	struct import_result *result = arg;
	char hex[ID_HEX_SIZE];

	(void)err;
	if (strcmp(trouble->kind, "quarantined") == 0 &&
	    result->quarantine_text[0] == '\0')
		(void)snprintf(result->quarantine_text,
		    sizeof(result->quarantine_text),
		    "object %s of %.63s: %.600s",
		    id_format(&trouble->object, hex), trouble->member,
		    trouble->reason);
	return 0;
}

/* Has neither a stream nor the directory changed since the last complete run?
 * 1: unchanged, 0: changed or not known, -1. Opens the session. */
static int
import_unchanged(
    struct import *import, struct slice fingerprint, struct err *err)
{
	struct buf then;
	struct buf now;
	uint64_t quarantined = 0;
	int64_t read_ms = 0;
	int64_t age;
	int released;
	int rc;

	buf_init(&then, IMPORT_NOTE_MAX);
	buf_init(&now, IMPORT_NOTE_MAX);
	rc = importdb_note_get(import->db, IMPORT_NOTE_DONE, &then, err);
	if (rc != 0 || !slice_equal(buf_slice(&then), fingerprint))
		goto out;
	released = guard_released(import->db, err);
	rc = released < 0 ? -1 : 0;
	if (released != 0)
		goto out;
	rc = importdb_trouble_count(
	    import->db, "quarantined", &quarantined, err);
	if (rc == 0)
		rc = import_read_at(import, &read_ms, err);
	age = clock_now_ms() - read_ms;
	if (rc != 0 || age < 0 || age > import->in->policy->proof_ms ||
	    (quarantined > 0 && age > IMPORT_RETRY_MS))
		goto out;
	rc = dialect_mark(import->session, import->dialect, &now, err);
	buf_reset(&then);
	if (rc == 0)
		rc =
		    importdb_note_get(import->db, IMPORT_NOTE_MARK, &then, err);
	/* A directory without a mark is read every time. */
	if (rc == 0 && now.len > 0 &&
	    slice_equal(buf_slice(&then), buf_slice(&now))) {
		import->result->unchanged = true;
		import->result->quarantined = quarantined;
		rc = importdb_trouble_each(
		    import->db, import_first_quarantined, import->result, err);
	}
	if (rc == 0 && import->result->unchanged) {
		rc = guard_holds(import->db, import->result, err) == 0 ? 1 : -1;
	}
out:
	buf_fini(&now);
	buf_fini(&then);
	return rc;
}

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

/* Survey and plan in one transaction: a plan never outlives its survey, and
 * what the former run made true is not known to be so any more. */
static int
import_plan_all(struct import *import, struct plan_input *plan, struct err *err)
{
	const struct survey_options survey = {
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
	    guard_check(plan, import->result, err) != 0) {
		importdb_rollback(import->db);
		return -1;
	}
	return importdb_commit(import->db, err);
}

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

static uint64_t
import_written(const struct import_result *result)
{
	return result->added + result->modified + result->renamed +
	       result->deleted;
}

/* One plan and its writing. *out_again: another pass may do what this one could
 * not, because it freed addresses or met a name in use. */
static int
import_pass(struct import *import, bool *out_again, struct err *err)
{
	uint64_t before = import_written(import->result);
	uint64_t blocked = 0;
	bool collided = false;

	*out_again = false;
	if (import_plan(import, &blocked, err) != 0 ||
	    apply_run(import->session, import->db, import->result, &collided,
		err) != 0)
		return -1;
	*out_again = collided ||
		     (blocked > 0 && import_written(import->result) > before);
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
	*result = next;
}

static int
import_passes(struct import *import, bool *out_settled, struct err *err)
{
	struct import_result start = *import->result;
	uint64_t same = 0;
	bool again = true;
	int pass;

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

/* The mark is taken after our own writes; whoever wrote between survey and mark
 * is found by the next proof at the latest. */
static int
import_remember(struct import *import, struct slice fingerprint,
    int64_t read_ms, struct err *err)
{
	struct buf mark;
	char text[32];
	int rc;

	buf_init(&mark, IMPORT_NOTE_MAX);
	(void)snprintf(text, sizeof(text), "%" PRId64, read_ms);
	rc = dialect_mark(import->session, import->dialect, &mark, err);
	if (rc == 0)
		rc = importdb_begin(import->db, err);
	if (rc == 0) {
		rc = importdb_note_set(
		    import->db, IMPORT_NOTE_MARK, buf_slice(&mark), err);
		if (rc == 0)
			rc = importdb_note_set(
			    import->db, IMPORT_NOTE_READ, slice_str(text), err);
		if (rc == 0)
			rc = importdb_note_set(
			    import->db, IMPORT_NOTE_DONE, fingerprint, err);
		if (rc == 0)
			rc = importdb_commit(import->db, err);
		else
			importdb_rollback(import->db);
	}
	buf_fini(&mark);
	return rc;
}

static int
import_work(struct import *import, struct err *err)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct slice fingerprint = slice_make(digest, sizeof(digest));
	int64_t read_ms = clock_now_ms();
	bool settled;
	int rc;

	if (import_connect(import, err) != 0)
		return -1;
	import_fingerprint(import, digest);
	rc = import->in->force ? 0 : import_unchanged(import, fingerprint, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (import_passes(import, &settled, err) != 0 ||
	    importdb_trouble_each(
		import->db, import_first_quarantined, import->result, err) != 0)
		return -1;
	/* What is not settled is planned again by the next run. */
	return import_remember(
	    import, settled ? fingerprint : SLICE_NULL, read_ms, err);
}

/* Each policy owns its OU: two that shared one, or one inside the other, would
 * delete each other's contacts. */
static int
import_others(struct import *import, struct err *err)
{
	const struct spoke_conf *conf = import->in->conf;
	const char *into = import->in->policy->into;
	size_t i;

	import->others =
	    mem_calloc(conf->import_count + 1, sizeof(*import->others));
	for (i = 0; i < conf->import_count; i++) {
		const struct import_policy *other = &conf->imports[i];

		if (strcmp(other->name, import->in->policy->name) == 0)
			continue;
		if (dn_is_below(other->into, into, true) ||
		    dn_is_below(into, other->into, true)) {
			if (!other->enabled)
				continue;
			return err_set(err, ERR_CONFIG,
			    "%s lies in the OU of import %s (%s): give each "
			    "import an OU of its own",
			    into, other->name, other->into);
		}
		import->others[import->other_count++] = other->into;
	}
	return 0;
}

int
import_run(const struct import_input *input, struct import_result *out_result,
    struct err *err)
{
	struct import import = {.in = input, .result = out_result};
	char *path = import_db_path(input->conf, input->policy);
	size_t i;
	int rc;

	memset(out_result, 0, sizeof(*out_result));
	import.arena = arena_new(IMPORT_NOTE_MAX * 64);
	rc = import_others(&import, err);
	if (rc == 0)
		rc = importdb_open(path, &import.db, err);
	if (rc == 0)
		rc = import_streams(&import, err);
	if (rc == 0)
		rc = import_work(&import, err);
	for (i = 0; import.streams != NULL && i < input->stream_count; i++)
		replica_close(import.streams[i].replica);
	free(import.streams);
	free(import.others);
	dialect_close(import.dialect);
	session_close(import.session);
	importdb_close(import.db);
	arena_free(import.arena);
	free(path);
	return rc == 0 ? 0 : err_prepend(err, "import %s", input->policy->name);
}
