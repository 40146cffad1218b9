#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/wire/crypto.h"
#include "spoke/import/guard.h"
#include "spoke/import/import_internal.h"
#include "spoke/spoke.h"

/* The directory's mark right after the last complete run; when it was surveyed
 * (Unix ms). */
#define IMPORT_NOTE_MARK "mark"
#define IMPORT_NOTE_READ "read"
/* How soon a refused object is tried again when nothing else happens. */
#define IMPORT_RETRY_MS CLOCK_HOUR_MS
/* How long another policy's run is waited for when there is no deadline. */
#define IMPORT_LOCK_MS (10 * CLOCK_MINUTE_MS)
/* Rises when the same objects become other contacts than before. */
#define IMPORT_FORM 2

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
	const struct forest_context *context;

	if (forest_open(import->in->conf, &import->forest, err) != 0 ||
	    forest_context_of(
		import->forest, import->in->policy->into, &context, err) != 0)
		return -1;
	import->session = context->session;
	import->dialect = context->dialect;
	return 0;
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
	bool holds = false;
	uint64_t quarantined = 0;
	int64_t read_ms = 0;
	int64_t age;
	int released;
	int rc;

	buf_init(&then, IMPORT_NOTE_MAX);
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
	buf_reset(&then);
	rc = importdb_note_get(import->db, IMPORT_NOTE_MARK, &then, err);
	/* A directory without a mark is read every time. */
	if (rc == 0)
		rc = forest_mark_holds(
		    import->forest, buf_slice(&then), &holds, err);
	if (rc == 0 && holds) {
		import->result->unchanged = true;
		import->result->quarantined = quarantined;
		rc = importdb_trouble_each(
		    import->db, import_first_quarantined, import->result, err);
	}
	if (rc == 0 && import->result->unchanged) {
		rc = guard_holds(import->db, import->result, err) == 0 ? 1 : -1;
	}
out:
	buf_fini(&then);
	return rc;
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
	rc = forest_mark(import->forest, true, &mark, err);
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

/* One import at a time: what one policy surveys, another must not be writing,
 * or both would import the same object. */
static int
import_write(struct import *import, bool *out_settled, struct err *err)
{
	const struct import_policy *policy = import->in->policy;
	int64_t wait =
	    policy->deadline_ms > 0 ? policy->deadline_ms : IMPORT_LOCK_MS;
	int lock = spoke_lock(import->in->conf, "import", wait, err);
	int rc;

	if (lock < 0)
		return err_prepend(err, "another import is at work");
	rc = import_passes(import, out_settled, err);
	(void)close(lock);
	return rc;
}

static int
import_work(struct import *import, struct err *err)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct slice fingerprint = slice_make(digest, sizeof(digest));
	int64_t read_ms = clock_now_ms();
	bool settled = false;
	int rc;

	if (import_connect(import, err) != 0)
		return -1;
	import_fingerprint(import, digest);
	rc = import->in->force ? 0 : import_unchanged(import, fingerprint, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (import_write(import, &settled, err) != 0 ||
	    importdb_trouble_each(
		import->db, import_first_quarantined, import->result, err) != 0)
		return -1;
	/* What is not settled is planned again by the next run. */
	return import_remember(
	    import, settled ? fingerprint : SLICE_NULL, read_ms, err);
}

static bool
import_overlaps(const struct import_policy *a, const struct import_policy *b)
{
	return dn_is_below(a->into, b->into, true) ||
	       dn_is_below(b->into, a->into, true);
}

int
import_into_check(const struct spoke_conf *conf,
    const struct import_policy *policy, struct err *err)
{
	for (size_t i = 0; i < conf->import_count; i++) {
		const struct import_policy *other = &conf->imports[i];

		if (strcmp(other->name, policy->name) != 0 && other->enabled &&
		    import_overlaps(policy, other))
			return err_set(err, ERR_CONFIG,
			    "%s lies in the OU of import %s (%s): give each "
			    "import an OU of its own",
			    policy->into, other->name, other->into);
	}
	return 0;
}

static int
import_others(struct import *import, struct err *err)
{
	const struct spoke_conf *conf = import->in->conf;
	const struct import_policy *policy = import->in->policy;

	if (import_into_check(conf, policy, err) < 0)
		return -1;
	import->others =
	    mem_calloc(conf->import_count + 1, sizeof(*import->others));
	for (size_t i = 0; i < conf->import_count; i++)
		if (strcmp(conf->imports[i].name, policy->name) != 0 &&
		    !import_overlaps(policy, &conf->imports[i]))
			import->others[import->other_count++] =
			    conf->imports[i].into;
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
	forest_close(import.forest);
	importdb_close(import.db);
	arena_free(import.arena);
	free(path);
	return rc == 0 ? 0 : err_prepend(err, "import %s", input->policy->name);
}
