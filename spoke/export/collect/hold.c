#include "spoke/export/collect/hold.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/reader.h"

#define HOLD_NOTE_HELD "held"
#define HOLD_NOTE_RELEASED "released"
#define HOLD_NOTE_MAX ((size_t)4 << 20)
#define HOLD_MAGIC 0x67616832u /* "gah2" */

/*
 * The note, all numbers big-endian:
 *
 *   u32 HOLD_MAGIC | hash | u32 guards | u64 exported, before, errors, gone |
 *   u32 attributes, each: u32 length, name, u64 lost, shrunk, before,
 *   unwritten | ids of the gone, as many as are kept
 */

void
hold_fini(struct hold *hold)
{
	idlist_fini(&hold->gone);
	idlist_fini(&hold->failed);
	idlist_fini(&hold->unread);
	for (size_t i = 0; i < hold->cleared_count; i++)
		free(hold->cleared[i].name);
	free(hold->cleared);
	hold->cleared = NULL;
	hold->cleared_count = 0;
	memset(hold->cleared_digest, 0, sizeof(hold->cleared_digest));
}

void
hold_cleared_add(struct hold *hold, const struct hold_cleared *cleared)
{
	struct hold_cleared *to;

	hold->cleared = mem_realloc(
	    hold->cleared, (hold->cleared_count + 1) * sizeof(*hold->cleared));
	to = &hold->cleared[hold->cleared_count++];
	*to = *cleared;
	to->name = mem_strdup(cleared->name);
}

static void
hash_ids(struct crypto_hash *hash, const struct idlist *ids)
{
	crypto_hash_add(hash, slice_make(ids->list, ids->count * ID_LEN));
}

static void
hold_hash(const struct hold *hold, uint8_t out[CRYPTO_HASH_LEN])
{
	struct crypto_hash *hash = crypto_hash_new();
	struct buf head;

	buf_init(&head, 128);
	buf_add_u32be(&head, hold->guards);
	buf_add_u64be(&head, hold->errors);
	buf_add_u64be(&head, hold->gone.count);
	buf_add_u64be(
	    &head, (hold->guards & HOLD_MINIMUM) != 0 ? hold->exported : 0);
	crypto_hash_add(hash, buf_slice(&head));
	hash_ids(hash, &hold->gone);
	hash_ids(hash, &hold->failed);
	hash_ids(hash, &hold->unread);
	crypto_hash_add(hash,
	    slice_make(hold->cleared_digest, sizeof(hold->cleared_digest)));
	crypto_hash_final(hash, out);
	crypto_hash_free(hash);
	buf_fini(&head);
}

static void
cleared_encode(const struct hold *hold, struct buf *note)
{
	buf_add_u32be(note, (uint32_t)hold->cleared_count);
	for (size_t i = 0; i < hold->cleared_count; i++) {
		const struct hold_cleared *one = &hold->cleared[i];

		buf_add_u32be(note, (uint32_t)strlen(one->name));
		buf_add_str(note, one->name);
		buf_add_u64be(note, one->lost);
		buf_add_u64be(note, one->shrunk);
		buf_add_u64be(note, one->before);
		buf_add_u64be(note, one->unwritten);
	}
}

static void
cleared_decode(struct reader *r, struct hold *out)
{
	uint32_t count = reader_u32be(r);

	for (uint32_t i = 0; !r->failed && i < count; i++) {
		struct slice name = reader_take(r, reader_u32be(r));
		struct hold_cleared one = {.lost = reader_u64be(r)};

		one.shrunk = reader_u64be(r);
		one.before = reader_u64be(r);
		one.unwritten = reader_u64be(r);
		one.name = mem_strndup((const char *)name.data, name.len);
		if (!r->failed)
			hold_cleared_add(out, &one);
		free(one.name);
	}
}

int
hold_keep(struct replica *replica, const struct hold *hold, struct err *err)
{
	uint8_t hash[CRYPTO_HASH_LEN];
	size_t kept = hold->gone.count;
	struct buf note;
	int rc;

	if (kept > HOLD_IDS_MAX)
		kept = HOLD_IDS_MAX;
	hold_hash(hold, hash);
	buf_init(&note, HOLD_NOTE_MAX);
	buf_add_u32be(&note, HOLD_MAGIC);
	buf_add(&note, slice_make(hash, sizeof(hash)));
	buf_add_u32be(&note, hold->guards);
	buf_add_u64be(&note, hold->exported);
	buf_add_u64be(&note, hold->before);
	buf_add_u64be(&note, hold->errors);
	buf_add_u64be(&note, hold->gone.count);
	cleared_encode(hold, &note);
	buf_add(&note, slice_make(hold->gone.list, kept * ID_LEN));
	rc = buf_check(&note, "held objects", err);
	if (rc == 0)
		rc = replica_note_set(
		    replica, HOLD_NOTE_HELD, buf_slice(&note), err);
	if (rc == 0)
		rc = replica_note_set(
		    replica, HOLD_NOTE_RELEASED, SLICE_NULL, err);
	buf_fini(&note);
	return rc;
}

int
hold_is_released(
    struct replica *replica, const struct hold *hold, struct err *err)
{
	uint8_t hash[CRYPTO_HASH_LEN];
	struct buf released;
	int rc;

	hold_hash(hold, hash);
	buf_init(&released, CRYPTO_HASH_LEN);
	rc = replica_note_get(replica, HOLD_NOTE_RELEASED, &released, err);
	if (rc == 0)
		rc = slice_equal(
		    buf_slice(&released), slice_make(hash, sizeof(hash)));
	buf_fini(&released);
	return rc;
}

static int
note_drop(struct replica *replica, const char *key, struct err *err)
{
	struct buf note;
	int rc;

	buf_init(&note, HOLD_NOTE_MAX);
	rc = replica_note_get(replica, key, &note, err);
	/* A write costs a sync. */
	if (rc == 0 && note.len > 0)
		rc = replica_note_set(replica, key, SLICE_NULL, err);
	buf_fini(&note);
	return rc;
}

int
hold_forget(struct replica *replica, struct err *err)
{
	if (note_drop(replica, HOLD_NOTE_HELD, err) < 0)
		return -1;
	return note_drop(replica, HOLD_NOTE_RELEASED, err);
}

static bool
hold_decode(
    struct slice note, struct hold *out, uint64_t *out_gone, struct slice *hash)
{
	struct reader r;
	bool good;

	reader_init(&r, note);
	good = reader_u32be(&r) == HOLD_MAGIC;
	*hash = reader_take(&r, CRYPTO_HASH_LEN);
	out->guards = reader_u32be(&r);
	out->exported = reader_u64be(&r);
	out->before = reader_u64be(&r);
	out->errors = reader_u64be(&r);
	*out_gone = reader_u64be(&r);
	cleared_decode(&r, out);
	for (size_t i = 0; good && i < *out_gone && i < HOLD_IDS_MAX; i++) {
		struct slice id = reader_take(&r, ID_LEN);
		struct id one;

		if (id.len != ID_LEN)
			break;
		memcpy(one.bytes, id.data, ID_LEN);
		idlist_add(&out->gone, &one);
	}
	return good && reader_done(&r);
}

int
hold_get(struct replica *replica, struct hold *out_hold, uint64_t *out_gone,
    struct err *err)
{
	struct slice hash = SLICE_NULL;
	struct buf note;
	int rc;

	*out_hold = (struct hold){.guards = 0};
	buf_init(&note, HOLD_NOTE_MAX);
	rc = replica_note_get(replica, HOLD_NOTE_HELD, &note, err);
	if (rc == 0 && note.len > 0)
		rc = hold_decode(buf_slice(&note), out_hold, out_gone, &hash);
	buf_fini(&note);
	return rc;
}

int
hold_release(struct replica *replica, struct err *err)
{
	struct hold hold = {.guards = 0};
	struct slice hash = SLICE_NULL;
	struct buf note;
	uint64_t gone;
	int rc;

	buf_init(&note, HOLD_NOTE_MAX);
	rc = replica_note_get(replica, HOLD_NOTE_HELD, &note, err);
	if (rc == 0 && (note.len == 0 ||
			   !hold_decode(buf_slice(&note), &hold, &gone, &hash)))
		rc = err_set(err, ERR_CONFIG,
		    "nothing is held: run the policy first, and look at what "
		    "it holds");
	if (rc == 0)
		rc = replica_note_set(replica, HOLD_NOTE_RELEASED, hash, err);
	hold_fini(&hold);
	buf_fini(&note);
	return rc;
}
