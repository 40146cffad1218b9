/* What an operator lets through: held versions and held members. */
#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/wire/limits.h"
#include "common/wire/manifest.h"
#include "hub/admit.h"

/* The tuple of that stream in a payload, or NULL. Its manifest was verified
 * when it was held and will be again. */
static const Galr__Tuple *
release_tuple(struct hub *hub, const Galr__Payload *payload, const char *stream,
    struct arena *arena)
{
	for (size_t i = 0; i < payload->n_tuples; i++) {
		const Galr__Tuple *tuple = payload->tuples[i];
		struct manifest manifest;
		struct buf bytes;
		uint8_t *at;
		bool same = false;

		buf_init(&bytes, 2 * LIMIT_MANIFEST_BYTES);
		at = buf_reserve(&bytes,
		    galr__signed_manifest__get_packed_size(tuple->manifest));
		if (at != NULL) {
			(void)galr__signed_manifest__pack(tuple->manifest, at);
			same = manifest_open(buf_slice(&bytes), hub->registry,
				   hub->now_ms, arena, &manifest, NULL) == 0 &&
			       registry_name_equal(manifest.stream, stream);
		}
		buf_fini(&bytes);
		if (same)
			return tuple;
	}
	return NULL;
}

static int
release_take(struct hub *hub, const struct store_stream *row, struct err *err)
{
	struct arena *arena = arena_new(2 * (size_t)LIMIT_UNPACK_BYTES);
	struct envelope_open_options options = {.registry = hub->registry,
	    .realm = hub->registry->realm,
	    .me = "",
	    .keys = &hub->keys,
	    .now_ms = hub->now_ms,
	    /* It passed the sequence when it was held. */
	    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH};
	struct admit_tuple in = {
	    .sender = row->member, .peer = row->member, .spool = hub->held};
	enum admit_outcome outcome = ADMIT_REFUSED;
	Galr__Payload *payload;
	struct envelope envelope;
	struct buf file;
	int rc = -1;

	memset(&envelope, 0, sizeof(envelope));
	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	if (spool_read(hub->held, row->member, SPOOL_IN, row->stream, &file,
		err) < 0 ||
	    envelope_open(buf_slice(&file), &options, &envelope, err) < 0 ||
	    payload_unpack(buf_slice(&envelope.payload), arena, &payload, err) <
		0)
		goto out;
	in.envelope = buf_slice(&file);
	in.tuple = release_tuple(hub, payload, row->stream, arena);
	if (in.tuple == NULL) {
		(void)err_set(
		    err, ERR_BAD_DATA, "the held message has no such stream");
		goto out;
	}
	if (admit_tuple_take(hub, &in, &outcome, err) < 0)
		goto out;
	rc = outcome == ADMIT_TAKEN
		 ? 0
		 : err_set(err, ERR_BAD_DATA, "it was refused");
out:
	envelope_fini(&envelope);
	buf_fini(&file);
	arena_free(arena);
	return rc;
}

int
admit_release(
    struct hub *hub, const char *member, const char *stream, struct err *err)
{
	struct store_stream row;
	struct err why = {0};
	int rc;

	rc = store_stream_get(hub->store, member, stream, &row, err);
	if (rc >= 0 && row.held_version == 0)
		rc = err_set(err, ERR_CONFIG,
		    "no version of %s/%s is held (galhub streams lists them)",
		    member, stream);
	if (rc < 0)
		goto out;
	rc = -1;
	row.released_version = row.held_version;
	if (store_stream_put(hub->store, &row, false, err) < 0)
		goto out;
	if (release_take(hub, &row, &why) < 0) {
		/* The source hears that we hold less, and sends it again. */
		log_err(&why, "held message not usable member=%s stream=%s",
		    row.member, row.stream);
		row.refusal[0] = '\0';
		row.held_version = 0;
		if (store_stream_put(hub->store, &row, false, err) < 0)
			goto out;
	}
	if (target_touch(hub->store, row.member, true, err) < 0 ||
	    store_commit(hub->store, err) < 0 ||
	    spool_drop(hub->held, row.member, SPOOL_IN, row.stream, err) < 0)
		goto out;
	rc = hub_audit(hub->conf, err, "release stream=%s/%s version=%llu",
	    row.member, row.stream, (unsigned long long)row.released_version);
out:
	store_stream_fini(&row);
	return rc;
}

int
admit_release_member(struct hub *hub, const char *name, struct err *err)
{
	struct target target;
	int rc = target_get(hub->store, name, &target, err);

	if (rc >= 0 && target.hold[0] == '\0')
		rc = err_set(err, ERR_CONFIG, "%s is not held", name);
	if (rc < 0)
		goto out;
	rc = -1;
	target.hold[0] = '\0';
	target.owed = true;
	target.dirty = true;
	if (target_instance_forget(hub->store, target.name, err) < 0 ||
	    target_put(hub->store, &target, err) < 0 ||
	    store_commit(hub->store, err) < 0)
		goto out;
	rc = hub_audit(hub->conf, err, "release member=%s", target.name);
out:
	target_fini(&target);
	return rc;
}
