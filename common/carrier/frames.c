/* Encoding and decoding of the live link's messages. Foreign bytes of peers
 * that ZAP let in come here first; nothing is trusted beyond "it parses". */
#include "common/carrier/frames.h"

#include "common/base/mem.h"
#include "common/base/reader.h"

/* Head of an offer: the longest first frame. */
#define HEAD_MAX 256

const char *
carrier_reason_text(enum carrier_reason reason)
{
	switch (reason) {
	case CARRIER_REASON_QUOTA:
		return "the receiver's spool for this peer is full";
	case CARRIER_REASON_DISK:
		return "the receiver cannot write to its spool";
	case CARRIER_REASON_SIZE:
		return "larger than this peer may send";
	case CARRIER_REASON_HASH:
		return "the bytes do not have the announced SHA-256";
	}
	return "unknown reason";
}

void
carrier_frames_init(struct carrier_frames *frames)
{
	for (size_t i = 0; i < CARRIER_FRAMES_MAX; i++)
		buf_init(&frames->parts[i], CARRIER_WIRE_FRAME_MAX);
	frames->count = 0;
}

void
carrier_frames_fini(struct carrier_frames *frames)
{
	for (size_t i = 0; i < CARRIER_FRAMES_MAX; i++)
		buf_fini(&frames->parts[i]);
	frames->count = 0;
}

static void
encode_blobs(const struct spool_message *m, struct carrier_frames *frames)
{
	for (size_t i = 0; i < m->blob_count; i++) {
		struct buf *out = &frames->parts[1 + i / CARRIER_BLOBS_A_FRAME];

		if (i % CARRIER_BLOBS_A_FRAME == 0) {
			buf_reset(out);
			frames->count++;
		}
		buf_add(out, slice_make(m->blobs[i].sha256, SPOOL_HASH_LEN));
		buf_add_u64be(out, m->blobs[i].length);
	}
}

static void
encode_offer(const struct carrier_message *m, struct carrier_frames *frames)
{
	struct buf *head = &frames->parts[0];
	struct slice name = slice_str(m->message.name);

	INVARIANT(m->message.blob_count <= SPOOL_BLOBS_MAX);
	buf_add_byte(head, (uint8_t)name.len);
	buf_add(head, name);
	buf_add_u64be(head, m->message.length);
	buf_add(head, slice_make(m->sha256, SPOOL_HASH_LEN));
	buf_add_u32be(head, (uint32_t)m->message.blob_count);
	encode_blobs(&m->message, frames);
	if (m->data.len > 0) {
		INVARIANT(m->data.len == m->message.length &&
			  m->data.len <= CARRIER_INLINE_BYTES);
		buf_reset(&frames->parts[frames->count]);
		buf_add(&frames->parts[frames->count++], m->data);
	}
}

void
carrier_message_encode(
    const struct carrier_message *m, struct carrier_frames *frames)
{
	struct buf *head = &frames->parts[0];

	buf_reset(head);
	frames->count = 1;
	buf_add_byte(head, CARRIER_VERSION);
	buf_add_byte(head, (uint8_t)m->type);
	if (m->type == CARRIER_HELLO)
		buf_add_u32be(head, m->epoch);
	else if (m->type == CARRIER_TAKEN)
		buf_add_u32be(head, m->received);
	else if (m->type != CARRIER_IDLE)
		buf_add_u32be(head, m->offer);
	switch (m->type) {
	case CARRIER_OFFER:
		encode_offer(m, frames);
		break;
	case CARRIER_FETCH:
		buf_add_u32be(head, m->request);
		buf_add_u32be(head, m->received);
		buf_add(head, slice_make(m->sha256, SPOOL_HASH_LEN));
		buf_add_u64be(head, m->offset);
		buf_add_u32be(head, m->length);
		break;
	case CARRIER_DATA:
		buf_add_u32be(head, m->request);
		buf_reset(&frames->parts[1]);
		buf_add(&frames->parts[1], m->data);
		frames->count = 2;
		break;
	case CARRIER_REFUSE:
		buf_add_byte(head, (uint8_t)m->reason);
		break;
	case CARRIER_HELLO:
	case CARRIER_DONE:
	case CARRIER_GONE:
	case CARRIER_IDLE:
	case CARRIER_TAKEN:
		break;
	}
	for (size_t i = 0; i < frames->count; i++)
		INVARIANT(!buf_failed(&frames->parts[i]));
}

static int
bad(struct err *err, const char *what)
{
	return err_set(err, ERR_BAD_DATA, "link: %s", what);
}

static void
take_hash(struct reader *r, uint8_t out[SPOOL_HASH_LEN])
{
	struct slice s = reader_take(r, SPOOL_HASH_LEN);

	if (s.len == SPOOL_HASH_LEN)
		memcpy(out, s.data, SPOOL_HASH_LEN);
}

static int
blob_compare(const void *a, const void *b)
{
	return memcmp(a, b, SPOOL_HASH_LEN);
}

/* No hash twice, neither among the blobs nor as the envelope's: pieces are
 * files called by their hash. */
static bool
hashes_unique(const struct carrier_message *m)
{
	size_t n = m->message.blob_count + 1;
	uint8_t(*sorted)[SPOOL_HASH_LEN] = mem_calloc(n, sizeof(*sorted));
	bool unique = true;

	memcpy(sorted[0], m->sha256, SPOOL_HASH_LEN);
	for (size_t i = 1; i < n; i++)
		memcpy(
		    sorted[i], m->message.blobs[i - 1].sha256, SPOOL_HASH_LEN);
	qsort(sorted, n, SPOOL_HASH_LEN, blob_compare);
	for (size_t i = 1; unique && i < n; i++)
		unique = memcmp(sorted[i - 1], sorted[i], SPOOL_HASH_LEN) != 0;
	free(sorted);
	return unique;
}

static size_t
blob_frames(size_t blobs)
{
	return (blobs + CARRIER_BLOBS_A_FRAME - 1) / CARRIER_BLOBS_A_FRAME;
}

/* The lists behind an offer's head: all full but the last. */
static int
decode_blobs(const struct slice *parts, size_t count,
    struct spool_message *out_message, struct err *err)
{
	size_t left = out_message->blob_count, at = 0;

	if (count - 1 != blob_frames(left))
		return bad(err, "wrong number of frames in an offer");
	if (left == 0)
		return 0;
	out_message->blobs = mem_calloc(left, sizeof(*out_message->blobs));
	for (size_t i = 1; i < count; i++) {
		size_t here =
		    left < CARRIER_BLOBS_A_FRAME ? left : CARRIER_BLOBS_A_FRAME;
		struct reader r;

		if (parts[i].len != here * CARRIER_BLOB_ENTRY)
			return bad(err, "wrong length of a list of blobs");
		reader_init(&r, parts[i]);
		for (size_t k = 0; k < here; k++) {
			struct spool_blob *blob = &out_message->blobs[at++];

			take_hash(&r, blob->sha256);
			blob->length = reader_u64be(&r);
			if (blob->length == 0 ||
			    blob->length > CARRIER_BLOB_MAX)
				return bad(err, "length of a blob");
		}
		left -= here;
	}
	return 0;
}

static int
decode_offer(struct reader *r, const struct slice *parts, size_t count,
    struct carrier_message *out, struct err *err)
{
	struct spool_message *m = &out->message;
	struct slice name = reader_take(r, reader_u8(r));
	uint32_t blobs;

	m->length = reader_u64be(r);
	take_hash(r, out->sha256);
	blobs = reader_u32be(r);
	if (!reader_done(r))
		return bad(err, "wrong length of an offer");
	if (name.len == 0 || name.len >= SPOOL_NAME_SIZE ||
	    memchr(name.data, '\0', name.len) != NULL)
		return bad(err, "name of an offer");
	memcpy(m->name, name.data, name.len);
	if (!spool_name_valid(m->name))
		return bad(err, "name of an offer");
	if (m->length == 0 || m->length > CARRIER_ENVELOPE_MAX)
		return bad(err, "length of an envelope");
	if (blobs > SPOOL_BLOBS_MAX)
		return bad(err, "too many blobs in an offer");
	m->blob_count = blobs;
	if (count == 2 + blob_frames(blobs)) {
		out->data = parts[--count];
		if (out->data.len > CARRIER_INLINE_BYTES ||
		    out->data.len != m->length)
			return bad(err, "length of an envelope in its offer");
	}
	if (decode_blobs(parts, count, m, err) < 0)
		return -1;
	if (!hashes_unique(out))
		return bad(err, "a blob twice in an offer");
	return 0;
}

static int
decode_fetch(struct reader *r, struct carrier_message *out, struct err *err)
{
	out->request = reader_u32be(r);
	out->received = reader_u32be(r);
	take_hash(r, out->sha256);
	out->offset = reader_u64be(r);
	out->length = reader_u32be(r);
	if (!reader_done(r) || out->length == 0 ||
	    out->length > CARRIER_CHUNK_BYTES ||
	    out->offset > CARRIER_BLOB_MAX - out->length)
		return bad(err, "bad request for a chunk");
	return 0;
}

static int
decode_data(struct reader *r, const struct slice *parts, size_t count,
    struct carrier_message *out, struct err *err)
{
	out->request = reader_u32be(r);
	if (!reader_done(r) || count != 2 || parts[1].len == 0 ||
	    parts[1].len > CARRIER_CHUNK_BYTES)
		return bad(err, "bad chunk");
	out->data = parts[1];
	return 0;
}

static int
decode_body(struct reader *r, const struct slice *parts, size_t count,
    struct carrier_message *out, struct err *err)
{
	switch (out->type) {
	case CARRIER_OFFER:
		return decode_offer(r, parts, count, out, err);
	case CARRIER_DATA:
		return decode_data(r, parts, count, out, err);
	case CARRIER_FETCH:
		if (decode_fetch(r, out, err) < 0)
			return -1;
		break;
	case CARRIER_REFUSE:
		out->reason = reader_u8(r);
		if (out->reason < CARRIER_REASON_QUOTA ||
		    out->reason > CARRIER_REASON_HASH)
			return bad(err, "unknown reason of a refusal");
		break;
	case CARRIER_HELLO:
	case CARRIER_DONE:
	case CARRIER_GONE:
	case CARRIER_IDLE:
	case CARRIER_TAKEN:
		break;
	}
	if (count != 1 || !reader_done(r))
		return bad(err, "wrong length");
	return 0;
}

int
carrier_message_decode(const struct slice *parts, size_t count,
    struct carrier_message *out, struct err *err)
{
	struct reader r;
	uint8_t version, type;

	memset(out, 0, sizeof(*out));
	if (count == 0 || count > CARRIER_FRAMES_MAX)
		return bad(err, "too many frames or none");
	if (parts[0].len < 2 || parts[0].len > HEAD_MAX)
		return bad(err, "length of the first frame");
	reader_init(&r, parts[0]);
	version = reader_u8(&r);
	type = reader_u8(&r);
	if (version != CARRIER_VERSION)
		return bad(err, "unknown version");
	if (type < CARRIER_HELLO || type > CARRIER_TAKEN)
		return bad(err, "unknown type");
	out->type = type;
	if (type == CARRIER_HELLO)
		out->epoch = reader_u32be(&r);
	else if (type == CARRIER_TAKEN)
		out->received = reader_u32be(&r);
	else if (type != CARRIER_IDLE)
		out->offer = reader_u32be(&r);
	if (r.failed)
		return bad(err, "cut message");
	return decode_body(&r, parts, count, out, err);
}

void
carrier_message_fini(struct carrier_message *message)
{
	spool_message_fini(&message->message);
}
