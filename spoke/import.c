#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/crypto.h"
#include "spoke/apply.h"
#include "spoke/guard.h"
#include "spoke/import.h"
#include "spoke/plan.h"
#include "spoke/survey.h"

#define IMPORT_NOTE_DONE                                                       \
	"done"                  /* fingerprint of what the last run made true  \
				 */
#define IMPORT_NOTE_MARK "mark" /* the directory's mark right after it */
#define IMPORT_NOTE_READ "read" /* when it was last surveyed, Unix ms */
#define IMPORT_NOTE_MAX (1024 * 1024)
/* How soon a refused object is tried again when nothing else happens. */
#define IMPORT_RETRY_MS CLOCK_HOUR_MS

struct import {
	const struct import_input *in;
	struct import_result *result;
	struct importdb *db;
	struct session *session;
	struct dialect *dialect;
	struct plan_stream *streams;
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
		snprintf(import->result->held_text,
		    sizeof(import->result->held_text),
		    "stream %.63s/%.63s: %.600s", stream->member,
		    stream->stream, reason);
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
	int rc;

	if (replica_open(from->path, &stream->replica, err) != 0)
		return -1;
	replica_state(stream->replica, &state);
	buf_init(&signed_bytes, IMPORT_NOTE_MAX);
	rc = replica_manifest(stream->replica, &signed_bytes, err);
	if (rc == 0 && signed_bytes.len == 0)
		import_hold(import, stream, "has never arrived whole");
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

static int
import_stream(struct import *import, const struct import_stream *from,
    struct plan_stream *stream, struct err *err)
{
	stream->member = from->member;
	stream->stream = from->stream;
	stream->owner = registry_find(import->in->registry, from->member);
	if (strcmp(from->member, import->in->me) == 0) {
		/* Own objects never come back, and hold nobody up. */
		stream->selected = false;
		return 0;
	}
	if (from->held != NULL)
		import_hold(import, stream, from->held);
	else if (stream->owner == NULL)
		import_hold(import, stream,
		    "the registry does not know its member any more");
	else if (stream->owner->revoked)
		import_hold(
		    import, stream, "its member was revoked by the hub");
	else
		return import_open_stream(import, from, stream, err);
	return 0;
}

static int
import_streams(struct import *import, struct err *err)
{
	size_t i;

	import->streams =
	    mem_calloc(import->in->stream_count, sizeof(*import->streams));
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

	snprintf(text, sizeof(text), "%" PRIu64, number);
	import_hash_text(hash, text);
}

/* Everything that a plan depends on but the directory itself. */
static void
import_fingerprint(struct import *import, uint8_t out[CRYPTO_HASH_LEN])
{
	const struct import_policy *policy = import->in->policy;
	struct crypto_hash *hash = crypto_hash_new();
	size_t i;

	import_hash_text(hash, policy->into);
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
		snprintf(result->quarantine_text,
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
	if (rc == 0 && slice_equal(buf_slice(&then), buf_slice(&now))) {
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

/* Survey and plan in one transaction: a plan never outlives its survey. */
static int
import_plan(struct import *import, struct err *err)
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
	const struct survey_options survey = {
	    .session = import->session,
	    .dialect = import->dialect,
	    .into = import->in->policy->into,
	    .realm = import->in->registry->realm,
	    .page_size = import->in->conf->directory.page_size,
	};
	struct plan_input plan = {
	    .db = import->db,
	    .policy = import->in->policy,
	    .legacy_prefix = import->in->conf->legacy_prefix,
	    .realm = import->in->registry->realm,
	    .streams = import->streams,
	    .stream_count = import->in->stream_count,
	    .schema = &schema,
	};

	if (importdb_begin(import->db, err) != 0)
		return -1;
	if (survey_run(&survey, import->db, err) != 0 ||
	    plan_make(&plan, import->result, err) != 0 ||
	    guard_check(&plan, import->result, err) != 0) {
		importdb_rollback(import->db);
		return -1;
	}
	return importdb_commit(import->db, err);
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
	snprintf(text, sizeof(text), "%" PRId64, read_ms);
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
	int rc;

	import_fingerprint(import, digest);
	if (import_connect(import, err) != 0)
		return -1;
	rc = import->in->force ? 0 : import_unchanged(import, fingerprint, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (import_plan(import, err) != 0 ||
	    apply_run(import->session, import->db, import->result, err) != 0 ||
	    importdb_trouble_each(
		import->db, import_first_quarantined, import->result, err) != 0)
		return -1;
	return import_remember(import, fingerprint, read_ms, err);
}

static char *
import_db_path(
    const struct spoke_conf *conf, const struct import_policy *policy)
{
	char *name = mem_printf("import-%s.db", policy->name);
	char *path = spoke_conf_state_path(conf, name);

	free(name);
	return path;
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
	rc = importdb_open(path, &import.db, err);
	if (rc == 0)
		rc = import_streams(&import, err);
	if (rc == 0)
		rc = import_work(&import, err);
	for (i = 0; import.streams != NULL && i < input->stream_count; i++)
		replica_close(import.streams[i].replica);
	free(import.streams);
	dialect_close(import.dialect);
	session_close(import.session);
	importdb_close(import.db);
	arena_free(import.arena);
	free(path);
	return rc == 0 ? 0 : err_prepend(err, "import %s", input->policy->name);
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
	int rc = importdb_open(path, &db, err);

	if (rc == 0)
		rc = importdb_trouble_each(db, import_note_one, &notes, err);
	importdb_close(db);
	free(path);
	return rc;
}
