/*
 * Seal and open envelopes (GALR 1). envelope_open() makes the checks of
 * PROTOCOL.md in their order; each failure has a code below, which is also the
 * counter's name. Payloads fit in memory (LIMIT_PAYLOAD_BYTES); sections are
 * blobs of their own (section.h).
 */
#ifndef COMMON_WIRE_ENVELOPE_H
#define COMMON_WIRE_ENVELOPE_H

#include "common/wire/limits.h"
#include "common/wire/registry.h"

enum envelope_check {
	CHECK_OK = 0,
	CHECK_SIZE, /* file, header or recipient caps */
	CHECK_MAGIC,
	CHECK_HEADER, /* header does not parse */
	CHECK_SENDER_UNKNOWN,
	CHECK_SENDER_REVOKED,
	CHECK_KEY_UNKNOWN,
	CHECK_KEY_REVOKED,
	CHECK_ROLE, /* this sender may not send this type */
	CHECK_SIGNATURE,
	CHECK_REALM,
	CHECK_RECIPIENT, /* not addressed to me */
	CHECK_TYPE,
	CHECK_FUTURE, /* issued more than five minutes ahead */
	CHECK_EXPIRED,
	CHECK_LATE,         /* sequence below the last: dropped */
	CHECK_DUPLICATE,    /* same sequence, same hash: acknowledge again */
	CHECK_EQUIVOCATION, /* same sequence, another hash: alarm */
	CHECK_LENGTH,
	CHECK_RATIO,
	CHECK_CIPHER_HASH,
	CHECK_UNWRAP,
	CHECK_COMMITMENT,
	CHECK_CHUNK,
	CHECK_INFLATE,
	CHECK_PAYLOAD, /* payload or section does not parse */
	CHECK_MANIFEST_KEY,
	CHECK_MANIFEST_SIGNATURE,
	CHECK_MANIFEST_FIELDS,
	CHECK_MANIFEST_FUTURE,
	CHECK_STREAM_OLDER, /* skipped, not refused */
	CHECK_STREAM_EQUIVOCATION,
	CHECK_AUDIENCE,
	CHECK_SECTION_HASH,
	CHECK_SECTION_ORDER, /* ids not strictly ascending, versions outside */
	CHECK_SECTION_GAP,   /* base above what is held */
	CHECK_ROOT,
	CHECK_COUNT
};

/* "signature", "stream-equivocation" ... static storage. */
const char *envelope_check_name(enum envelope_check check);

/* What is remembered of a sender and type between runs. */
struct envelope_seen {
	uint64_t sequence;             /* 0: nothing yet */
	uint8_t hash[CRYPTO_HASH_LEN]; /* SHA-256 of the header bytes */
};

struct envelope_recipient {
	const char *name; /* "" for the hub */
	struct id key_id;
	uint8_t public_key[32];
};

struct envelope_seal_options {
	Galr__EnvelopeType type;
	struct id realm;
	const char *sender;
	const struct envelope_recipient *recipients;
	size_t recipient_count;
	uint64_t sequence;
	int64_t issued_at, not_after;
	const struct key_pair *sign_key;
};

/* Compresses, encrypts, signs. payload: 1..LIMIT_PAYLOAD_BYTES bytes. out must
 * have LIMIT_ENVELOPE_BYTES as its maximum. */
int envelope_seal(const struct envelope_seal_options *options,
    struct slice payload, struct buf *out, struct err *err) ERR_WUR;

struct envelope_open_options {
	const struct registry *registry; /* NULL only for join and welcome */
	/* For a join or welcome, where the registry cannot know the sender: the
	 * signing key to expect. It judges only these two types. */
	const uint8_t *sender_key;
	struct id realm;
	const char *me; /* "" for the hub */
	const struct keys *keys;
	int64_t now_ms;
	uint32_t types; /* bit set: 1u << type accepted */
	/* Looks up what was seen last of this sender and type. */
	int (*seen)(void *arg, const char *sender, Galr__EnvelopeType type,
	    struct envelope_seen *out_seen, struct err *err);
	void *seen_arg;
};

struct envelope {
	Galr__EnvelopeType type;
	char sender[64];
	uint64_t sequence;
	int64_t issued_at;
	uint8_t hash[CRYPTO_HASH_LEN]; /* of the header, for envelope_seen */
	uint8_t signer[32];            /* public key that verified */
	struct buf payload;
};

/* err->code is an enum envelope_check; class untrusted, bad data, limit or
 * temporary (clock). CHECK_DUPLICATE and CHECK_LATE come as errors too, after
 * the signature verified, with out filled as far as the header goes. The
 * caller records (sequence, hash) in the transaction that takes the payload
 * in. envelope_fini() frees. */
int envelope_open(struct slice file,
    const struct envelope_open_options *options, struct envelope *out,
    struct err *err) ERR_WUR;
void envelope_fini(struct envelope *envelope);

/* Refuses nothing but malformed bytes, authenticates nothing: type, sender
 * and sequence for logs and file names. */
int envelope_peek(
    struct slice file, struct envelope *out, struct err *err) ERR_WUR;

/* After CHECK_FUTURE: is it worth waiting for its time? Not beyond
 * LIMIT_EARLY_MS: its sender's clock will be set right before. */
static inline bool
envelope_may_wait(const struct envelope *envelope, int64_t now_ms)
{
	return envelope->issued_at <= now_ms ||
	       envelope->issued_at - now_ms <= LIMIT_EARLY_MS;
}

/* max(last + 1, now): sequences and versions follow the clock, so that a
 * restored backup goes on above its own past. */
static inline uint64_t
envelope_next(uint64_t last, int64_t now_ms)
{
	uint64_t now = now_ms > 0 ? (uint64_t)now_ms : 1;

	return now > last ? now : last + 1;
}

/* Payload of the three regular types. The arena holds the unpacked message;
 * its maximum is LIMIT_UNPACK_BYTES. Checks every length that PROTOCOL.md
 * fixes (ids 16, hashes 32, caps). */
int payload_pack(
    const Galr__Payload *payload, struct buf *out, struct err *err) ERR_WUR;
int payload_unpack(struct slice bytes, struct arena *arena,
    Galr__Payload **out_payload, struct err *err) ERR_WUR;

/* Section keys in a bundle: one HPKE encapsulation per bundle gives a
 * key-encryption key; wrap number i uses nonce i and the section hash as AAD.
 */
struct bundle_kek {
	uint8_t key[32];
};
int bundle_kek_make(const struct envelope_recipient *to, const struct id *realm,
    uint64_t sequence, struct bundle_kek *out_kek, uint8_t out_enc[32],
    struct err *err) ERR_WUR;
/* Which bundle the encapsulation belongs to; me is its target. */
struct bundle_kek_place {
	const struct id *realm;
	const char *me;
	uint64_t sequence;
};
int bundle_kek_open(const struct keys *keys, const struct id *key_id,
    const uint8_t enc[32], const struct bundle_kek_place *place,
    struct bundle_kek *out_kek, struct err *err) ERR_WUR;
int bundle_key_wrap(const struct bundle_kek *kek, uint32_t index,
    const uint8_t section_hash[32], const uint8_t section_key[32],
    uint8_t out_wrapped[CRYPTO_WRAPPED_LEN], struct err *err) ERR_WUR;
int bundle_key_unwrap(const struct bundle_kek *kek, uint32_t index,
    const uint8_t section_hash[32], struct slice wrapped,
    uint8_t out_section_key[32], struct err *err) ERR_WUR;

#endif
