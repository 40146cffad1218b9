/*
 * What sealing and opening envelopes share; see envelope.h and PROTOCOL.md.
 *
 *   "GALR" 0x01 | u32be header length | header | signature block | chunks
 *
 * Signature block: u8 1 | key id[16] | signature[64].
 *
 * The header's last field is cipher_sha256 (tag 0x7a, length 0x20). The chunks'
 * AAD is the SHA-256 of the header bytes before that field: it cannot cover
 * the hash of what it goes into. The signature covers the whole header.
 */
#ifndef COMMON_WIRE_ENVELOPE_FORMAT_H
#define COMMON_WIRE_ENVELOPE_FORMAT_H

#include "common/wire/chunk.h"
#include "common/wire/envelope.h"

#define ENVELOPE_MAGIC "GALR\x01"
#define ENVELOPE_MAGIC_LEN 5
#define ENVELOPE_PREFIX_LEN (ENVELOPE_MAGIC_LEN + 4)
#define ENVELOPE_DOMAIN "galr/1 envelope"
#define ENVELOPE_SUITE 1
#define ENVELOPE_STORED 0
#define ENVELOPE_ZLIB 1

/* The tag and length of cipher_sha256, which end the header with the hash. */
#define ENVELOPE_HASH_TAG 0x7a
#define ENVELOPE_HASH_FIELD_LEN (2 + CRYPTO_HASH_LEN)

#define ENVELOPE_SIGNED_BY_ID 1

/* HPKE info of a content key wrap: label, realm, type, sender, recipient (each
 * with a length byte), sequence. out holds ENVELOPE_INFO_MAX bytes. */
#define ENVELOPE_INFO_MAX 256
struct envelope_info {
	const char *label;
	const struct id *realm;
	Galr__EnvelopeType type;
	const char *sender, *recipient;
	uint64_t sequence;
};
struct slice envelope_info_encode(
    const struct envelope_info *info, uint8_t out[ENVELOPE_INFO_MAX]);

#endif
