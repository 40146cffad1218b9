/* One stream of a publication: manifest, domains, replica, row. */
#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/replica/replica.h"
#include "common/wire/limits.h"
#include "hub/admit.h"
#include "hub/foreign.h"

#define INTAKE_KEEP_MS (90 * CLOCK_DAY_MS)

struct intake {
	struct hub *hub;
	const struct admit_tuple *in;
	const struct registry_member *member;
	struct arena *arena;
	struct buf signed_manifest;
	struct manifest manifest;
	struct store_stream row;
	struct replica *replica;
	bool taken; /* content or manifest is newer than before */
	bool over;  /* refused by the foreign limit */
};

static void
intake_fini(struct intake *intake)
{
	if (intake->replica != NULL)
		replica_close(intake->replica);
	store_stream_fini(&intake->row);
	buf_fini(&intake->signed_manifest);
	arena_free(intake->arena);
}

static int
intake_manifest(struct intake *intake, struct err *why)
{
	const Galr__SignedManifest *given = intake->in->tuple->manifest;
	uint8_t *at = buf_reserve(&intake->signed_manifest,
	    galr__signed_manifest__get_packed_size(given));

	if (at == NULL)
		return buf_check(&intake->signed_manifest, "manifest", why);
	(void)galr__signed_manifest__pack(given, at);
	if (manifest_open(buf_slice(&intake->signed_manifest),
		intake->hub->registry, intake->hub->now_ms, intake->arena,
		&intake->manifest, why) < 0)
		return -1;
	if (!registry_name_equal(intake->manifest.member, intake->in->sender))
		return err_set_code(why, ERR_UNTRUSTED, CHECK_MANIFEST_KEY,
		    "%s published a stream of %s", intake->in->sender,
		    intake->manifest.member);
	if (intake->manifest.version > INT64_MAX)
		return err_set_code(why, ERR_BAD_DATA, CHECK_MANIFEST_FIELDS,
		    "the version is out of range");
	return 0;
}

static const struct spool_blob *
tuple_blob(const Galr__Tuple *tuple, struct spool_blob *out)
{
	memcpy(out->sha256, tuple->section_sha256.data, SPOOL_HASH_LEN);
	out->length = tuple->section_length;
	return out;
}

/* The section, verified end to end; nothing of it is parsed before. */
static int
intake_reader(
    struct intake *intake, struct section_reader **out_reader, struct err *err)
{
	const struct admit_tuple *in = intake->in;
	char *staging = hub_path(intake->hub->conf, "blobs");
	char *path = spool_blob_path(
	    in->spool, in->peer, SPOOL_IN, in->tuple->section_sha256.data);
	struct spool_blob blob;
	int rc = -1;

	if (in->tuple->section_key.len != CRYPTO_KEY_LEN ||
	    !spool_has_blob(
		in->spool, in->peer, SPOOL_IN, tuple_blob(in->tuple, &blob)))
		(void)err_set_code(err, ERR_BAD_DATA, CHECK_SECTION_HASH,
		    "the section did not come with its message");
	else
		rc = section_reader_open(path, blob.sha256,
		    in->tuple->section_key.data, staging, out_reader, err);
	if (rc == 0 &&
	    section_reader_head(*out_reader)->base != in->tuple->base_version)
		rc = err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "the section starts elsewhere than its tuple says");
	free(staging);
	free(path);
	return rc;
}

/* Deletions are kept for as long as a target may stay away and still get a
 * delta. Versions follow the clock. */
static int
intake_purge(struct intake *intake, struct err *err)
{
	struct replica_state state;
	uint64_t keep, slack = (uint64_t)CLOCK_DAY_MS;

	replica_state(intake->replica, &state);
	if (intake->hub->now_ms <= INTAKE_KEEP_MS)
		return 0;
	keep = (uint64_t)(intake->hub->now_ms - INTAKE_KEEP_MS);
	/* At most once a day. */
	if (state.version <= keep || state.floor + slack > keep)
		return 0;
	return replica_purge(intake->replica, keep, err);
}

static void
intake_log(const struct intake *intake, const struct replica_changes *changes)
{
	log_info("stream taken in member=%s stream=%s version=%llu base=%llu "
		 "added=%llu modified=%llu deleted=%llu outside=%llu",
	    intake->row.member, intake->row.stream,
	    (unsigned long long)intake->manifest.version,
	    (unsigned long long)intake->in->tuple->base_version,
	    (unsigned long long)changes->added,
	    (unsigned long long)changes->modified,
	    (unsigned long long)changes->deleted,
	    (unsigned long long)intake->row.foreign);
}

static int
intake_section(struct intake *intake, struct err *err)
{
	struct replica_apply_options options = {.manifest = &intake->manifest,
	    .signed_manifest = buf_slice(&intake->signed_manifest),
	    .check = foreign_check};
	struct section_reader *reader = NULL;
	struct replica_changes changes;
	struct foreign_scan scan;
	int rc = -1;

	foreign_scan_init(&scan, intake->hub, intake->member, &intake->row);
	if (intake_reader(intake, &reader, err) < 0)
		goto out;
	scan.full = intake->in->tuple->base_version == 0;
	scan.records = section_reader_head(reader)->records;
	scan.live = intake->manifest.count;
	scan.limited = intake->row.released_version != intake->manifest.version;
	if (scan.full)
		scan.count = 0;
	options.check_arg = &scan;
	rc = replica_apply(intake->replica, reader, &options, &changes, err);
	if (rc < 0) {
		intake->over = scan.over;
		if (scan.over)
			intake->row.held_foreign = scan.count;
		goto out;
	}
	intake->taken = true;
	intake->row.foreign = scan.count;
	intake->row.recount = foreign_scan_overrun(&scan);
	intake_log(intake, &changes);
	rc = foreign_scan_store(&scan, err);
	if (rc == 0)
		rc = intake_purge(intake, err);
out:
	section_reader_close(reader);
	foreign_scan_fini(&scan);
	return rc;
}

/* The source's word that the stream is over needs no content: what is held
 * stays as it is, under the new statement. */
static int
intake_end(struct intake *intake, struct err *why)
{
	struct replica_state state;

	replica_state(intake->replica, &state);
	if (intake->manifest.version <= state.version)
		return replica_refresh(intake->replica, &intake->manifest,
		    buf_slice(&intake->signed_manifest), &intake->taken, why);
	intake->taken = intake->manifest.version > intake->row.version;
	return 0;
}

static int
intake_apply(struct intake *intake, struct err *why)
{
	const Galr__Tuple *tuple = intake->in->tuple;
	struct replica_state state;

	replica_state(intake->replica, &state);
	if (tuple->section_sha256.len == 0 && intake->manifest.ended)
		return intake_end(intake, why);
	/* The same again costs nothing, whatever comes with it. */
	if (tuple->section_sha256.len == 0 ||
	    (state.version == intake->manifest.version &&
		memcmp(state.root, intake->manifest.root, CRYPTO_HASH_LEN) ==
		    0))
		return replica_refresh(intake->replica, &intake->manifest,
		    buf_slice(&intake->signed_manifest), &intake->taken, why);
	return intake_section(intake, why);
}

static void
row_audience(struct store_stream *row, const struct manifest *manifest)
{
	struct buf text;

	buf_init(&text, LIMIT_MANIFEST_BYTES);
	for (size_t i = 0; i < manifest->audience_count; i++)
		buf_addf(
		    &text, "%s%s\n", i == 0 ? "\n" : "", manifest->audience[i]);
	free(row->audience);
	row->audience = mem_strdup(buf_cstr(&text));
	for (char *p = row->audience; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	buf_fini(&text);
}

/* The row follows the statement that was taken in. */
static void
row_from_manifest(struct intake *intake)
{
	const struct manifest *manifest = &intake->manifest;
	struct store_stream *row = &intake->row;

	(void)snprintf(row->tag, sizeof(row->tag), "%s", manifest->tag);
	row->version = manifest->version;
	memcpy(row->root, manifest->root, CRYPTO_HASH_LEN);
	row->count = manifest->count;
	row->issued_at = manifest->issued_at;
	row->not_after = manifest->not_after;
	row->ended = manifest->ended;
	row_audience(row, manifest);
	buf_reset(&row->manifest);
	buf_add(&row->manifest, buf_slice(&intake->signed_manifest));
	row->refusal[0] = '\0';
	row->held_version = 0;
	row->held_foreign = 0;
	row->admitted_at = intake->hub->now_ms;
	if (row->asked_version <= row->version)
		row->asked_version = 0;
}

/* The replica and hub.db are two files: when a pass died between them, or one
 * was restored alone, the replica is right. */
static int
row_follow(struct intake *intake, struct err *why)
{
	struct manifest *manifest = &intake->manifest;
	struct store_stream *row = &intake->row;
	struct replica_state state;
	struct manifest held;
	struct buf bytes;
	int rc = 0;

	replica_state(intake->replica, &state);
	if (row->ended ||
	    (state.version == row->version &&
		memcmp(state.root, row->root, CRYPTO_HASH_LEN) == 0))
		return 0;
	row->recount = true;
	if (state.version == manifest->version &&
	    memcmp(state.root, manifest->root, CRYPTO_HASH_LEN) == 0) {
		intake->taken = true;
		return 0;
	}
	buf_init(&bytes, LIMIT_MANIFEST_BYTES * 2);
	row->version = state.version;
	row->count = state.count;
	memcpy(row->root, state.root, CRYPTO_HASH_LEN);
	rc = replica_manifest(intake->replica, &bytes, why);
	if (rc == 0 && bytes.len > 0 &&
	    manifest_open(buf_slice(&bytes), intake->hub->registry,
		intake->hub->now_ms, intake->arena, &held, NULL) == 0) {
		row->issued_at = held.issued_at;
		buf_reset(&row->manifest);
		buf_add(&row->manifest, buf_slice(&bytes));
	}
	buf_fini(&bytes);
	return rc;
}

/* Keeps the message for `galhub release`, one a stream. */
static int
intake_hold(struct intake *intake, struct err *why)
{
	const struct admit_tuple *in = intake->in;
	struct spool_blob blob;
	const char *path = NULL;
	char *from;
	int rc;

	/* Held before, and now looked at again: it is there. */
	if (in->spool == intake->hub->held)
		return 0;
	from = spool_blob_path(
	    in->spool, in->peer, SPOOL_IN, in->tuple->section_sha256.data);
	path = from;
	rc = spool_put(intake->hub->held, intake->row.member, SPOOL_IN,
	    &(struct spool_put){.name = intake->row.stream,
		.envelope = in->envelope,
		.blobs = tuple_blob(in->tuple, &blob),
		.blob_paths = &path,
		.blob_count = 1},
	    why);
	free(from);
	return rc;
}

static int
intake_refused(struct intake *intake, const struct err *why,
    enum admit_outcome *out_outcome, struct err *err)
{
	struct store_stream *row = &intake->row;
	const char *check =
	    intake->over ? "foreign-limit"
	    : why->code > 0 && why->code < CHECK_COUNT
		? envelope_check_name((enum envelope_check)why->code)
		: err_class_name(why->class);
	struct err hold = {0};

	*out_outcome = ADMIT_REFUSED;
	if (why->code == 0 && !intake->over &&
	    (why->class == ERR_IO || why->class == ERR_TEMPORARY ||
		why->class == ERR_INTERNAL))
		*out_outcome = ADMIT_RETRY;
	if (intake->over) {
		*out_outcome = ADMIT_HELD;
		if (intake_hold(intake, &hold) < 0) {
			log_err(&hold, "held message not kept");
			*out_outcome = ADMIT_RETRY;
		}
		row->held_version = intake->manifest.version;
	}
	log_err(why, "%sstream not taken in member=%s stream=%s check=%s",
	    why->code == CHECK_STREAM_EQUIVOCATION ? "ALARM: " : "",
	    row->member, row->stream, check);
	if (store_count(intake->hub->store, check, 1, err) < 0)
		return -1;
	/* An older one is no trouble: what is newer stands. */
	if (why->code != CHECK_STREAM_OLDER)
		(void)snprintf(
		    row->refusal, sizeof(row->refusal), "%.500s", why->message);
	return store_stream_put(intake->hub->store, row, false, err);
}

static int
intake_taken(struct intake *intake, struct err *err)
{
	struct store_stream *row = &intake->row;
	struct err ignored = {0};
	bool held = row->held_version != 0;

	if (!intake->taken && row->refusal[0] == '\0' && row->id != 0 &&
	    !held && !row->recount)
		return 0;
	if (intake->taken)
		row_from_manifest(intake);
	row->refusal[0] = '\0';
	if (store_stream_put(intake->hub->store, row, intake->taken, err) < 0)
		return -1;
	/* What was held is overtaken. */
	if (held && intake->in->spool != intake->hub->held &&
	    spool_drop(intake->hub->held, row->member, SPOOL_IN, row->stream,
		&ignored) < 0)
		log_err(&ignored, "held message stays");
	return 0;
}

/* The row of the stream; a new one must exist before foreign objects can refer
 * to it. 1 there, 0 the member has too many, -1. */
static int
intake_row(struct intake *intake, struct err *err)
{
	struct store *store = intake->hub->store;
	struct store_stream *rows;
	size_t count;

	if (store_stream_get(store, intake->manifest.member,
		intake->manifest.stream, &intake->row, err) < 0)
		return -1;
	if (intake->row.id != 0)
		return 1;
	if (store_streams(store, intake->row.member, &rows, &count, err) < 0)
		return -1;
	store_streams_free(rows, count);
	if (count >= LIMIT_MEMBER_STREAMS) {
		log_error("stream not taken in member=%s stream=%s check=limit "
			  "error=\"more than %d streams of one member\"",
		    intake->row.member, intake->row.stream,
		    LIMIT_MEMBER_STREAMS);
		return store_count(store, "limit", 1, err);
	}
	return store_stream_put(store, &intake->row, false, err) < 0 ? -1 : 1;
}

int
admit_tuple_take(struct hub *hub, const struct admit_tuple *in,
    enum admit_outcome *out_outcome, struct err *err)
{
	struct intake intake = {.hub = hub, .in = in};
	struct err why = {0};
	char *path = NULL;
	int rc = -1;

	*out_outcome = ADMIT_REFUSED;
	intake.arena = arena_new(LIMIT_UNPACK_BYTES);
	buf_init(&intake.signed_manifest, 2 * LIMIT_MANIFEST_BYTES);
	intake.member = registry_find(hub->registry, in->sender);
	if (intake_manifest(&intake, &why) < 0) {
		/* Nothing in it can be believed, not even its name. */
		log_err(&why, "manifest refused peer=%s", in->peer);
		rc = store_count(hub->store,
		    envelope_check_name((enum envelope_check)why.code), 1, err);
		goto out;
	}
	rc = intake_row(&intake, err);
	if (rc <= 0)
		goto out;
	path = hub_stream_path(
	    hub->conf, intake.row.member, intake.row.stream, &why);
	if (path == NULL || replica_open(path, &intake.replica, &why) < 0 ||
	    intake_apply(&intake, &why) < 0 ||
	    (!intake.taken && row_follow(&intake, &why) < 0)) {
		if (intake.replica != NULL) {
			struct err ignored = {0};

			(void)!row_follow(&intake, &ignored);
		}
		rc = intake_refused(&intake, &why, out_outcome, err);
		goto out;
	}
	*out_outcome = ADMIT_TAKEN;
	rc = intake_taken(&intake, err);
out:
	free(path);
	intake_fini(&intake);
	return rc;
}
