#include "hub/admit.h"

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/replica/replica.h"
#include "common/wire/limits.h"
#include "hub/foreign.h"
#include "hub/members.h"

/* Messages whose effects wait for one commit, and how long at most. */
#define ADMIT_BATCH 256
#define ADMIT_BATCH_MS 500

struct admit_done {
	char peer[SPOOL_NAME_SIZE];
	char name[SPOOL_NAME_SIZE];
};

struct admit {
	struct hub *hub;
	struct admit_result *result;
	struct admit_done done[ADMIT_BATCH];
	size_t done_count;
	int64_t since; /* monotonic; when the first of them was done */
	struct buf file;
	struct arena *arena;
	uint64_t sequence; /* of the publish that was opened last; else 0 */
};

/* A message that passed all checks of its envelope. */
struct admit_opened {
	const char *peer;
	struct envelope envelope;
	Galr__Payload *payload; /* in the arena */
};

/* Commits, then lets the messages go: never the other way round. */
static int
admit_flush(struct admit *admit, struct err *err)
{
	struct hub *hub = admit->hub;

	if (store_commit(hub->store, err) < 0)
		return -1;
	for (size_t i = 0; i < admit->done_count; i++)
		if (spool_drop(hub->spool, admit->done[i].peer, SPOOL_IN,
			admit->done[i].name, err) < 0)
			return -1;
	admit->done_count = 0;
	return 0;
}

static int
admit_done(
    struct admit *admit, const char *peer, const char *name, struct err *err)
{
	struct admit_done *done = &admit->done[admit->done_count];

	if (admit->done_count++ == 0)
		admit->since = clock_mono_ms();
	(void)snprintf(done->peer, sizeof(done->peer), "%s", peer);
	(void)snprintf(done->name, sizeof(done->name), "%s", name);
	if (admit->done_count == ADMIT_BATCH ||
	    clock_mono_ms() - admit->since > ADMIT_BATCH_MS)
		return admit_flush(admit, err);
	return 0;
}

static int
admit_seen(void *arg, const char *sender, Galr__EnvelopeType type,
    struct envelope_seen *out_seen, struct err *err)
{
	struct hub *hub = arg;

	return store_seen_get(hub->store, sender, (int)type, out_seen, err);
}

/* An installation that speaks for the member: one that comes back after
 * another spoke means that two machines run it. */
static int
take_instance(struct hub *hub, struct target *target,
    const Galr__Payload *payload, struct err *err)
{
	enum target_instance seen;
	char hex[ID_HEX_SIZE];
	struct id instance;

	if (payload->instance.len != ID_LEN || target->hold[0] != '\0')
		return 0;
	memcpy(instance.bytes, payload->instance.data, ID_LEN);
	if (target_instance_note(hub->store, target->name, &instance,
		hub->now_ms, &seen, err) < 0)
		return -1;
	if (seen == TARGET_INSTANCE_NEW)
		log_warn("member speaks from a new installation member=%s "
			 "instance=%s",
		    target->name, id_format(&instance, hex));
	if (seen != TARGET_INSTANCE_RETURNED)
		return 0;
	(void)snprintf(target->hold, sizeof(target->hold),
	    "held: two installations alternate as %s: a cloned machine? stop "
	    "one, "
	    "then galhub release %s at the hub",
	    target->name, target->name);
	target->owed = true;
	log_error("ALARM: member held member=%s reason=\"%s\"", target->name,
	    target->hold);
	if (hub_audit(hub->conf, err, "hold member=%s instance=%s",
		target->name, id_format(&instance, hex)) < 0)
		return -1;
	return store_count(hub->store, "instance", 1, err);
}

/* What the member holds of ours, and its newest registry when we lost it. */
static int
take_registry(struct hub *hub, const char *sender, const Galr__Payload *payload,
    struct err *err)
{
	struct err why = {0};
	int rc = 0;

	if (payload->registry.len > 0 &&
	    payload->registry_version > hub->registry->version)
		rc = members_registry_take(hub, sender,
		    slice_make(payload->registry.data, payload->registry.len),
		    &why);
	if (rc == 0 && payload->n_keys > 0)
		rc = members_keys_take(
		    hub, sender, payload->keys, payload->n_keys, &why);
	if (rc == 0)
		return 0;
	if (why.class == ERR_IO || why.class == ERR_TEMPORARY ||
	    why.class == ERR_INTERNAL) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	log_err(&why, "ALARM: keys or registry not taken member=%s", sender);
	return store_count(hub->store, "registry", 1, err);
}

/* Keeps the acknowledgement as publish will read it: without what was taken
 * out of it already. */
static int
take_ack(struct target *target, const Galr__Payload *payload, int64_t now_ms,
    struct err *err)
{
	Galr__Payload kept = *payload;

	kept.n_tuples = 0;
	kept.n_keys = 0;
	kept.registry.len = 0;
	kept.registry.data = NULL;
	buf_reset(&target->ack);
	if (payload_pack(&kept, &target->ack, err) < 0)
		return -1;
	target->acked_at = now_ms;
	target->applied = payload->applied;
	target->refused = payload->refused;
	return 0;
}

/* A delta may take long: nobody else should wait for hub.db meanwhile. */
static bool
tuple_is_long(const Galr__Tuple *tuple)
{
	return tuple->section_length > 256 * 1024;
}

static int
take_tuples(struct admit *admit, const struct admit_opened *opened,
    bool *out_retry, struct err *err)
{
	const Galr__Payload *payload = opened->payload;
	struct admit_tuple in = {.sender = opened->envelope.sender,
	    .peer = opened->peer,
	    .spool = admit->hub->spool,
	    .envelope = buf_slice(&admit->file)};

	*out_retry = false;
	for (size_t i = 0; i < payload->n_tuples; i++) {
		enum admit_outcome outcome;

		if (tuple_is_long(payload->tuples[i]) &&
		    admit_flush(admit, err) < 0)
			return -1;
		in.tuple = payload->tuples[i];
		if (admit_tuple_take(admit->hub, &in, &outcome, err) < 0)
			return -1;
		if (outcome == ADMIT_RETRY)
			*out_retry = true;
	}
	return 0;
}

/* The payload of an envelope that passed all checks. *out_retry: leave the
 * message where it is. */
static int
take_payload(struct admit *admit, const struct admit_opened *opened,
    bool *out_retry, struct err *err)
{
	const struct envelope *envelope = &opened->envelope;
	const Galr__Payload *payload = opened->payload;
	struct hub *hub = admit->hub;
	bool publish = envelope->type == GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH;
	struct envelope_seen seen;
	struct target target;
	int rc = -1;

	*out_retry = false;
	seen.sequence = envelope->sequence;
	memcpy(seen.hash, envelope->hash, sizeof(seen.hash));
	if (target_get(hub->store, envelope->sender, &target, err) < 0 ||
	    take_instance(hub, &target, payload, err) < 0)
		goto out;
	if (target.heard_at == 0 &&
	    members_joined(hub, envelope->sender, err) < 0)
		goto out;
	target.heard_at = hub->now_ms;
	target.notice[0] = '\0';
	target.dirty = true;
	target.owed = target.owed || publish;
	target.registry_version = payload->registry_version;
	if (!publish && target.hold[0] == '\0' &&
	    take_ack(&target, payload, hub->now_ms, err) < 0)
		goto out;
	if (target_put(hub->store, &target, err) < 0)
		goto out;
	if (publish && target.hold[0] == '\0' &&
	    take_tuples(admit, opened, out_retry, err) < 0)
		goto out;
	if (!*out_retry && store_seen_set(hub->store, envelope->sender,
			       (int)envelope->type, &seen, err) < 0)
		goto out;
	/* Last: it may replace the registry. */
	rc = take_registry(hub, envelope->sender, payload, err);
out:
	target_fini(&target);
	return rc;
}

/* An authentic message that cannot be taken in: its sender is told why. */
static int
admit_notice(struct admit *admit, const char *peer, const struct err *why,
    struct err *err)
{
	struct hub *hub = admit->hub;
	struct target target;
	int rc;

	if (why->code < CHECK_REALM || why->code == CHECK_LATE ||
	    why->code == CHECK_DUPLICATE || hub_member(hub, peer) == NULL)
		return 0;
	rc = target_get(hub->store, peer, &target, err);
	/* Told once, not again with each try. */
	if (rc >= 0 && (target.notice[0] == '\0' ||
			   target.notice_sequence < admit->sequence)) {
		target.notice_sequence = admit->sequence;
		(void)snprintf(target.notice, sizeof(target.notice), "%.500s",
		    why->message);
		target.dirty = true;
		target.owed = true;
		rc = target_put(hub->store, &target, err);
	}
	target_fini(&target);
	return rc < 0 ? -1 : 0;
}

/* Disk full, database locked, a clock that is behind: another time. */
static bool
admit_again(const struct err *why)
{
	return why->class == ERR_IO || why->class == ERR_TEMPORARY ||
	       why->class == ERR_INTERNAL;
}

static int
admit_refuse(struct admit *admit, const char *peer, const char *name,
    const struct err *why, struct err *err)
{
	struct hub *hub = admit->hub;
	const char *check =
	    why->code > 0 && why->code < CHECK_COUNT
		? envelope_check_name((enum envelope_check)why->code)
		: err_class_name(why->class);

	if (store_count(hub->store, check, 1, err) < 0)
		return -1;
	if (why->code == CHECK_LATE || why->code == CHECK_DUPLICATE) {
		log_info("message dropped peer=%s name=%s check=%s", peer, name,
		    check);
		/* A source that repeats itself did not hear our answer. */
		if (why->code == CHECK_DUPLICATE &&
		    target_touch(hub->store, peer, true, err) < 0)
			return -1;
		return admit_done(admit, peer, name, err);
	}
	log_err(why, "%smessage refused peer=%s name=%s check=%s",
	    why->code == CHECK_EQUIVOCATION ? "ALARM: " : "", peer, name,
	    check);
	admit->result->refused++;
	/* Counted once: the message goes only after the commit. */
	if (admit_flush(admit, err) < 0)
		return -1;
	return spool_refuse(
	    hub->spool, peer, SPOOL_IN, name, why->message, err);
}

/* Opens and takes one regular message; why says what was wrong with it. */
static int
admit_regular(struct admit *admit, const char *peer, bool *out_retry,
    struct err *err, struct err *why)
{
	struct hub *hub = admit->hub;
	struct envelope_open_options options = {.registry = hub->registry,
	    .realm = hub->registry->realm,
	    .me = "",
	    .keys = &hub->keys,
	    .now_ms = hub->now_ms,
	    .types = 1u << GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH |
		     1u << GALR__ENVELOPE_TYPE__ENVELOPE_ACK,
	    .seen = admit_seen,
	    .seen_arg = hub};
	struct admit_opened opened = {.peer = peer};
	struct envelope *envelope = &opened.envelope;
	int rc;

	arena_reset(admit->arena);
	admit->sequence = 0;
	rc = envelope_open(buf_slice(&admit->file), &options, envelope, why);
	if (envelope->type == GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH)
		admit->sequence = envelope->sequence;
	/* No longer than a clock may be wrong. */
	if (rc < 0 && why->code == CHECK_FUTURE &&
	    !envelope_may_wait(envelope, hub->now_ms))
		why->class = ERR_BAD_DATA;
	if (rc < 0)
		goto out;
	rc = -1;
	/* The carrier knows who delivered it by its CURVE key. */
	if (!registry_name_equal(envelope->sender, peer)) {
		(void)err_set_code(why, ERR_UNTRUSTED, CHECK_ROLE,
		    "%s delivered a message of %s", peer, envelope->sender);
		goto out;
	}
	if (payload_unpack(buf_slice(&envelope->payload), admit->arena,
		&opened.payload, why) < 0)
		goto out;
	rc = take_payload(admit, &opened, out_retry, err);
out:
	envelope_fini(envelope);
	return rc;
}

static int
admit_message(struct admit *admit, const char *peer,
    const struct spool_message *message, struct err *err)
{
	struct hub *hub = admit->hub;
	struct err why = {0};
	bool retry = false;
	int rc;

	buf_reset(&admit->file);
	rc = spool_read(
	    hub->spool, peer, SPOOL_IN, message->name, &admit->file, &why);
	if (rc == 0 && strncmp(peer, "join-", 5) == 0)
		rc = members_join(hub, peer, buf_slice(&admit->file), &why);
	else if (rc == 0)
		rc = admit_regular(admit, peer, &retry, err, &why);
	if (rc < 0 &&
	    (why.class == ERR_NONE || admit_notice(admit, peer, &why, err) < 0))
		return -1;
	if (rc < 0 && admit_again(&why)) {
		log_err(
		    &why, "message waits peer=%s name=%s", peer, message->name);
		retry = true;
	} else if (rc < 0) {
		return admit_refuse(admit, peer, message->name, &why, err);
	}
	if (retry) {
		admit->result->retry++;
		return 0;
	}
	admit->result->messages++;
	return admit_done(admit, peer, message->name, err);
}

static int
admit_peer(struct admit *admit, const char *peer, struct err *err)
{
	char after[SPOOL_NAME_SIZE] = "";
	struct spool_message message;
	int rc;

	for (;;) {
		rc = spool_next(admit->hub->spool, peer, SPOOL_IN,
		    after[0] == '\0' ? NULL : after, &message, err);
		if (rc <= 0)
			return rc;
		(void)snprintf(after, sizeof(after), "%s", message.name);
		rc = admit_message(admit, peer, &message, err);
		spool_message_fini(&message);
		if (rc < 0)
			return -1;
	}
}

int
admit_run(struct hub *hub, const char *const *only,
    struct admit_result *out_result, struct err *err)
{
	struct admit *admit = mem_calloc(1, sizeof(*admit));
	char **peers = NULL;
	int rc = -1;

	memset(out_result, 0, sizeof(*out_result));
	admit->hub = hub;
	admit->result = out_result;
	buf_init(&admit->file, LIMIT_ENVELOPE_BYTES);
	admit->arena = arena_new(LIMIT_UNPACK_BYTES);
	hub->now_ms = clock_now_ms();
	if (members_invites_expire(hub, err) < 0 ||
	    (only == NULL && spool_peers(hub->spool, &peers, err) < 0))
		goto out;
	if (only == NULL)
		only = (const char *const *)peers;
	for (size_t i = 0; only[i] != NULL; i++)
		if (admit_peer(admit, only[i], err) < 0)
			goto out;
	if (admit_flush(admit, err) < 0)
		goto out;
	rc = admit_recount(hub, err);
out:
	if (rc < 0)
		store_rollback(hub->store);
	if (peers != NULL)
		spool_peers_free(peers);
	buf_fini(&admit->file);
	arena_free(admit->arena);
	free(admit);
	return rc;
}

static int
recount_row(struct hub *hub, struct store_stream *row, struct err *err)
{
	const struct registry_member *member =
	    registry_find(hub->registry, row->member);
	struct replica *replica = NULL;
	char *path;
	int rc = -1;

	path = hub_stream_path(hub->conf, row->member, row->stream, err);
	if (path == NULL)
		return -1;
	if (replica_open(path, &replica, err) == 0 && member != NULL &&
	    foreign_recount(hub, member, replica, row, err) == 0)
		rc = store_stream_put(hub->store, row, false, err);
	if (replica != NULL)
		replica_close(replica);
	free(path);
	return rc;
}

int
admit_recount(struct hub *hub, struct err *err)
{
	struct store_stream *rows;
	struct err why = {0};
	size_t count;

	if (store_streams(hub->store, NULL, &rows, &count, err) < 0)
		return -1;
	/* A replica that does not read is counted another time: it must not
	 * keep the hub from everything else. */
	for (size_t i = 0; i < count; i++)
		if (rows[i].recount &&
		    hub_member(hub, rows[i].member) != NULL &&
		    recount_row(hub, &rows[i], &why) < 0)
			log_err(&why, "objects not counted member=%s stream=%s",
			    rows[i].member, rows[i].stream);
	store_streams_free(rows, count);
	return store_commit(hub->store, err);
}
