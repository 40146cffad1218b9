#include <inttypes.h>
#include <stdio.h>

#include "common/wire/crypto.h"
#include "spoke/import/guard.h"

#define GUARD_HELD "held"         /* hash and count of each held stream */
#define GUARD_RELEASED "released" /* the same records, released */
#define GUARD_TEXT "held-text"    /* the first of them, for people */
#define GUARD_NOTE_MAX (1024 * 1024)
#define GUARD_RECORD (CRYPTO_HASH_LEN + 8)

/* SHA-256 over the stream and the objects that it would delete, in order. */
static int
guard_hash(struct importdb *db, const struct plan_stream *stream,
    uint8_t out_hash[CRYPTO_HASH_LEN], struct err *err)
{
	struct crypto_hash *hash = crypto_hash_new();
	struct importdb_change change;
	uint64_t after = 0;
	int rc;

	crypto_hash_add(hash, slice_str(stream->member));
	crypto_hash_add(hash, SLICE_LIT("/"));
	crypto_hash_add(hash, slice_str(stream->stream));
	while ((rc = importdb_plan_next(
		    db, IMPORTDB_DELETE, after, &change, err)) > 0) {
		after = change.seq;
		if (strcmp(change.member, stream->member) == 0 &&
		    strcmp(change.stream, stream->stream) == 0)
			crypto_hash_add(hash, id_slice(&change.object));
	}
	crypto_hash_final(hash, out_hash);
	crypto_hash_free(hash);
	return rc;
}

static bool
guard_exceeds(
    const struct import_policy *policy, const struct plan_stream *stream)
{
	if (stream->deletions <= policy->max_delete_count)
		return false;
	/* Written so that no product overflows or rounds. */
	return stream->deletions >
	       stream->contacts / 100 * policy->max_delete_percent +
		   stream->contacts % 100 * policy->max_delete_percent / 100;
}

static bool
guard_listed(struct slice records, const uint8_t hash[CRYPTO_HASH_LEN])
{
	size_t at;

	for (at = 0; at + GUARD_RECORD <= records.len; at += GUARD_RECORD)
		if (memcmp(records.data + at, hash, CRYPTO_HASH_LEN) == 0)
			return true;
	return false;
}

static int
guard_hold(struct plan_input *input, struct plan_stream *stream,
    const uint8_t hash[CRYPTO_HASH_LEN], struct buf *held,
    struct import_result *out_result, struct err *err)
{
	buf_add(held, slice_make(hash, CRYPTO_HASH_LEN));
	buf_add_u64be(held, stream->deletions);
	if (out_result->held_streams++ == 0)
		(void)snprintf(out_result->held_text,
		    sizeof(out_result->held_text),
		    "stream %s/%s would lose %" PRIu64 " of %" PRIu64
		    " contacts here; look at them, then: galspoke release %s",
		    stream->member, stream->stream, stream->deletions,
		    stream->contacts, input->policy->name);
	return importdb_plan_hold(
	    input->db, stream->member, stream->stream, err);
}

int
guard_check(
    struct plan_input *input, struct import_result *out_result, struct err *err)
{
	uint8_t hash[CRYPTO_HASH_LEN];
	struct buf released;
	struct buf held;
	size_t i;
	int rc;

	buf_init(&released, GUARD_NOTE_MAX);
	buf_init(&held, GUARD_NOTE_MAX);
	rc = importdb_note_get(input->db, GUARD_RELEASED, &released, err);
	for (i = 0; rc == 0 && i < input->stream_count; i++) {
		struct plan_stream *stream = &input->streams[i];

		if (!guard_exceeds(input->policy, stream))
			continue;
		rc = guard_hash(input->db, stream, hash, err);
		if (rc == 0 && !guard_listed(buf_slice(&released), hash))
			rc = guard_hold(
			    input, stream, hash, &held, out_result, err);
	}
	if (rc == 0)
		rc = importdb_note_set(
		    input->db, GUARD_HELD, buf_slice(&held), err);
	if (rc == 0 && held.len > 0)
		rc = importdb_note_set(input->db, GUARD_TEXT,
		    slice_str(out_result->held_text), err);
	if (rc == 0 && released.len > 0)
		rc = importdb_note_set(
		    input->db, GUARD_RELEASED, SLICE_NULL, err);
	buf_fini(&held);
	buf_fini(&released);
	return rc;
}

int
guard_release(struct importdb *db, uint64_t *out_deletions, struct err *err)
{
	struct buf held;
	size_t at;
	int rc;

	*out_deletions = 0;
	buf_init(&held, GUARD_NOTE_MAX);
	rc = importdb_note_get(db, GUARD_HELD, &held, err);
	if (rc == 0 && held.len == 0)
		rc = err_set(err, ERR_CONFIG,
		    "nothing is held; run the policy to plan anew");
	for (at = 0; rc == 0 && at + GUARD_RECORD <= held.len;
	     at += GUARD_RECORD) {
		const uint8_t *p = held.data + at + CRYPTO_HASH_LEN;
		uint64_t n = 0;
		int k;

		for (k = 0; k < 8; k++)
			n = n << 8 | p[k];
		*out_deletions += n;
	}
	if (rc == 0)
		rc = importdb_note_set(
		    db, GUARD_RELEASED, buf_slice(&held), err);
	buf_fini(&held);
	return rc;
}

int
guard_holds(
    struct importdb *db, struct import_result *out_result, struct err *err)
{
	struct buf held;
	struct buf text;
	int rc;

	buf_init(&held, GUARD_NOTE_MAX);
	buf_init(&text, ERR_MESSAGE_MAX);
	rc = importdb_note_get(db, GUARD_HELD, &held, err);
	if (rc == 0 && held.len > 0)
		rc = importdb_note_get(db, GUARD_TEXT, &text, err);
	if (rc == 0 && held.len > 0) {
		if (out_result->held_streams == 0)
			(void)snprintf(out_result->held_text,
			    sizeof(out_result->held_text), "%s",
			    buf_cstr(&text));
		out_result->held_streams += held.len / GUARD_RECORD;
	}
	buf_fini(&text);
	buf_fini(&held);
	return rc;
}

int
guard_released(struct importdb *db, struct err *err)
{
	struct buf released;
	int rc;

	buf_init(&released, GUARD_NOTE_MAX);
	rc = importdb_note_get(db, GUARD_RELEASED, &released, err);
	if (rc == 0)
		rc = released.len > 0;
	buf_fini(&released);
	return rc;
}
