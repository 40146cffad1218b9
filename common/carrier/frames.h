/*
 * The messages of the live link, as frames. A message is one to five frames;
 * the first is
 *
 *   u8 version | u8 type | body          (all numbers big-endian)
 *
 *   HELLO  u32 epoch                     begins a link; the hub echoes it.
 *                                        0 from the hub: "say hello again"
 *   OFFER  u32 offer | u8 n | name[n] | u64 length | sha256[32] | u32 blobs
 *          + frames of at most 1024 entries: sha256[32] | u64 length
 *          + the whole envelope in one frame, if the sender likes and it has
 *          at most 2048 bytes: then nobody asks for it
 *   FETCH  u32 offer | u32 request | u32 received | sha256[32] | u64 offset |
 *          u32 length                    asks for a chunk; is one credit
 *   DATA   u32 offer | u32 request       + one frame: the bytes asked for
 *   DONE   u32 offer                     the message is durable here
 *   REFUSE u32 offer | u8 reason         not now; the sender keeps it
 *   GONE   u32 offer                     the sender took it back
 *   IDLE                                 nothing (more) to offer now
 *   TAKEN  u32 received                  chunks received so far, when there
 *                                        is no FETCH left to say it

 *
 * Both directions are alike: who has a message offers it, who receives asks
 * for what it lacks, at most CARRIER_CREDITS chunks ahead. Offers, requests
 * and counts are meaningful within one HELLO only.
 */
#ifndef COMMON_CARRIER_FRAMES_H
#define COMMON_CARRIER_FRAMES_H

#include "common/spool/spool.h"

#define CARRIER_VERSION 1
/* Caps of this layer, all checked before anything is allocated. */
#define CARRIER_CHUNK_BYTES (64 * 1024)
#define CARRIER_CREDITS 8
#define CARRIER_ENVELOPE_MAX (8 * 1024 * 1024 + 256 * 1024)
#define CARRIER_BLOB_MAX (UINT64_C(4) << 30)
#define CARRIER_BLOBS_A_FRAME 1024
/* An envelope that rides with its offer: most acknowledgements. */
#define CARRIER_INLINE_BYTES 2048
#define CARRIER_BLOB_ENTRY (SPOOL_HASH_LEN + 8)
/* An offer's head, its lists of blobs, its envelope. */
#define CARRIER_FRAMES_MAX (2 + SPOOL_BLOBS_MAX / CARRIER_BLOBS_A_FRAME)
/* What ZeroMQ lets pass: a chunk, its overhead, and room. */
#define CARRIER_WIRE_FRAME_MAX (128 * 1024)

enum carrier_type {
	CARRIER_HELLO = 1,
	CARRIER_OFFER,
	CARRIER_FETCH,
	CARRIER_DATA,
	CARRIER_DONE,
	CARRIER_REFUSE,
	CARRIER_GONE,
	CARRIER_IDLE,
	CARRIER_TAKEN
};

enum carrier_reason {
	CARRIER_REASON_QUOTA = 1, /* the receiver's spool for us is full */
	CARRIER_REASON_DISK,      /* the receiver cannot write */
	CARRIER_REASON_SIZE,      /* more than this peer may ever send */
	CARRIER_REASON_HASH       /* the bytes were not what was announced */
};

/* Static text for a log line. */
const char *carrier_reason_text(enum carrier_reason reason);

struct carrier_message {
	enum carrier_type type;
	uint32_t epoch;
	uint32_t offer;
	uint32_t request, received;
	uint8_t sha256[SPOOL_HASH_LEN];
	uint64_t offset;
	uint32_t length;
	enum carrier_reason reason;
	struct slice data;            /* chunk, or an offer's envelope; borrowed
				       * from the frames */
	struct spool_message message; /* of an offer; mark is 0 */
};

/* Frames to send; buffers are reused. */
struct carrier_frames {
	struct buf parts[CARRIER_FRAMES_MAX];
	size_t count;
};
void carrier_frames_init(struct carrier_frames *frames);
void carrier_frames_fini(struct carrier_frames *frames);

/* Never fails for a message within the caps. */
void carrier_message_encode(
    const struct carrier_message *message, struct carrier_frames *frames);
/* Checks everything that can be checked without state: version, type, exact
 * lengths, caps, names, no blob twice. Class bad data. Freed with
 * carrier_message_fini, also after an error. */
int carrier_message_decode(const struct slice *parts, size_t count,
    struct carrier_message *out_message, struct err *err) ERR_WUR;
void carrier_message_fini(struct carrier_message *message);

#endif
