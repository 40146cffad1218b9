/*
 * Chunked AES-256-GCM, the same for envelopes and sections (the construction is
 * STREAM: Hoang, Reyhanitabar, Rogaway, Vizar 2015). A text is cut into chunks
 * of 64 KiB; only the last may be shorter, none is empty. From a content key
 * and a salt come the chunk key and the commitment that a receiver compares
 * before it opens anything, because GCM does not commit to its key.
 *
 *   PRK = HKDF-Extract(salt, content key)
 *   key = HKDF-Expand(PRK, "galr/1 USE chunks")         USE: envelope, section
 *   commitment = HKDF-Expand(PRK, "galr/1 USE commitment")
 *   nonce = u64be counter | 3 zero bytes | 1 for the last chunk, else 0
 */
#ifndef COMMON_WIRE_CHUNK_H
#define COMMON_WIRE_CHUNK_H

#include "common/wire/crypto.h"
#include "common/wire/limits.h"

#define CHUNK_SEALED_MAX (LIMIT_CHUNK_BYTES + CRYPTO_TAG_LEN)

enum chunk_use { CHUNK_ENVELOPE, CHUNK_SECTION };

struct chunk_cipher {
	uint8_t key[32];
	uint8_t aad[CRYPTO_HASH_LEN]; /* the caller sets it */
	uint64_t counter;
};

/* Derives the chunk key and the commitment; counter 0, aad untouched. */
int chunk_derive(enum chunk_use use, const uint8_t salt[32],
    const uint8_t content_key[CRYPTO_KEY_LEN], struct chunk_cipher *out_cipher,
    uint8_t out_commitment[32], struct err *err) ERR_WUR;
/* Seals or opens the next chunk. out holds plain.len + 16, cipher.len - 16. */
int chunk_seal(struct chunk_cipher *cipher, bool final, struct slice plain,
    uint8_t *out, struct err *err) ERR_WUR;
int chunk_open(struct chunk_cipher *cipher, bool final, struct slice sealed,
    uint8_t *out, struct err *err) ERR_WUR;
/* Length of all sealed chunks of a text of 1..2^62 bytes. */
uint64_t chunk_sealed_length(uint64_t plain);

#endif
