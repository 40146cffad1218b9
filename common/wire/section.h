/*
 * Sections: sealed blobs without recipients, named by the SHA-256 of all their
 * bytes. Written and read as streams, in memory bounded by the chunk size.
 *
 *   "GALS" 0x01 | salt[32] | commitment[32] | chunks | u64be plain | u64be
 * packed
 *
 * A chunk is up to 64 KiB of the zlib stream under AES-256-GCM (chunk.h). The
 * lengths stand behind the chunks, so that writing and hashing take one pass.
 * Records inside are length-delimited (varint) protobuf messages: SectionHead,
 * then SectionObjects in strictly ascending id order.
 */
#ifndef COMMON_WIRE_SECTION_H
#define COMMON_WIRE_SECTION_H

#include "common/wire/crypto.h"
#include "common/wire/limits.h"

struct section_head {
	char member[64];
	char stream[64];
	uint64_t base; /* 0: full */
	uint64_t version;
	uint64_t records;
};

struct section_object {
	struct id id;
	uint64_t version;
	bool deleted;
	struct slice body;
};

/* --- writing --- */
struct section_writer;

/* Starts a section in the new file path (0600; truncated when it exists) under
 * a fresh random key, given out. */
int section_writer_open(const char *path, const struct section_head *head,
    struct section_writer **out_writer, uint8_t out_key[CRYPTO_KEY_LEN],
    struct err *err) ERR_WUR;
/* Ids must rise strictly, versions lie in (base, version]; else internal. */
int section_writer_add(struct section_writer *writer,
    const struct section_object *object, struct err *err) ERR_WUR;
/* Writes the final chunk and the lengths, fsyncs, gives name and file length.
 * head.records must equal the records added. Frees the writer either way;
 * after a failure the file is gone. */
int section_writer_close(struct section_writer *writer,
    uint8_t out_sha256[CRYPTO_HASH_LEN], uint64_t *out_length,
    struct err *err) ERR_WUR;
/* Gives up: frees and removes the file. NULL is legal. */
void section_writer_abort(struct section_writer *writer);

/* --- reading --- */
struct section_reader;

/* Verifies the file at path end to end (size cap, SHA-256 equals sha256,
 * commitment under key, every chunk, inflate to exactly the stated length
 * within the ratio) into a 0600 staging file in staging_dir, and only then lets
 * anything be parsed. err->code is an enum envelope_check. */
int section_reader_open(const char *path, const uint8_t sha256[32],
    const uint8_t key[32], const char *staging_dir,
    struct section_reader **out_reader, struct err *err) ERR_WUR;
const struct section_head *section_reader_head(
    const struct section_reader *reader);
/* 1: *out_object filled, its body valid until the next call; 0: the end, all
 * records seen; -1: bad data (order, version outside (base, version], deleted
 * with body, unknown trailing bytes). */
int section_reader_next(struct section_reader *reader,
    struct section_object *out_object, struct err *err) ERR_WUR;
/* Frees and removes the staging file. NULL is legal. */
void section_reader_close(struct section_reader *reader);

#endif
