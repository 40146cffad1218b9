/* Which streams a run may plan from. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "spoke/import/import_internal.h"

#define IMPORT_NOTE_PLANNED "planned:" /* and the stream: its version */

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

int
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
