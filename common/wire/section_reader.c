#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/envelope.h"
#include "common/wire/pb.h"
#include "common/wire/section.h"
#include "common/wire/section_format.h"

/* Window on the staging file: the largest record and its length prefix. */
#define READER_WINDOW (SECTION_RECORD_MAX + 16)
#define READER_IO (128 * 1024)

struct section_reader {
	int staging;
	uint64_t plain_length;
	uint64_t loaded; /* bytes of the staging file taken into the window */
	uint8_t *window;
	size_t start, end; /* of what is not yet parsed */
	struct section_head head;
	uint64_t seen;
	struct id last;
};

/* The sealed file while it is being verified. */
struct section_source {
	int fd;
	uint64_t length, packed, plain;
	struct chunk_cipher cipher;
	z_stream z;
	bool z_open;
	uint8_t sealed[CHUNK_SEALED_MAX];
	uint8_t packed_bytes[LIMIT_CHUNK_BYTES];
	uint8_t io[READER_IO];
};

static int
source_open(struct section_source *source, const char *path, struct err *err)
{
	struct stat st;

	source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (source->fd < 0 || fstat(source->fd, &st) < 0)
		return err_set_errno(err, ERR_IO, "cannot read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_IO, "%s is not a regular file", path);
	source->length = (uint64_t)st.st_size;
	if (source->length > LIMIT_SECTION_BYTES)
		return err_set_code(err, ERR_LIMIT, CHECK_SIZE,
		    "a section of %llu bytes",
		    (unsigned long long)source->length);
	return 0;
}

static int
source_hash(
    struct section_source *source, const uint8_t sha256[32], struct err *err)
{
	struct crypto_hash *hash = crypto_hash_new();
	uint8_t digest[CRYPTO_HASH_LEN];
	uint64_t offset = 0;
	size_t n;
	int rc = 0;

	while (rc == 0 && offset < source->length) {
		n = source->length - offset < READER_IO
			? (size_t)(source->length - offset)
			: READER_IO;
		rc = fsio_pread_all(
		    source->fd, source->io, n, (off_t)offset, err);
		if (rc == 0)
			crypto_hash_add(hash, slice_make(source->io, n));
		offset += n;
	}
	crypto_hash_final(hash, digest);
	crypto_hash_free(hash);
	if (rc == 0 && !crypto_equal(digest, sha256, sizeof(digest)))
		return err_set_code(err, ERR_UNTRUSTED, CHECK_SECTION_HASH,
		    "the section's bytes do not have the stated SHA-256");
	return rc;
}

/* Magic, lengths within caps and fitting each other, commitment under key. */
static int
source_start(
    struct section_source *source, const uint8_t key[32], struct err *err)
{
	uint8_t head[SECTION_HEAD_LEN], trailer[SECTION_TRAILER_LEN];
	uint8_t commitment[32];
	struct reader r;

	if (source->length <
	    SECTION_HEAD_LEN + SECTION_TRAILER_LEN + CRYPTO_TAG_LEN + 1)
		return err_set_code(err, ERR_BAD_DATA, CHECK_LENGTH,
		    "the section is too short");
	if (fsio_pread_all(source->fd, head, sizeof(head), 0, err) < 0 ||
	    fsio_pread_all(source->fd, trailer, sizeof(trailer),
		(off_t)(source->length - SECTION_TRAILER_LEN), err) < 0)
		return -1;
	if (memcmp(head, SECTION_MAGIC, SECTION_MAGIC_LEN) != 0)
		return err_set_code(
		    err, ERR_BAD_DATA, CHECK_MAGIC, "not a section");
	reader_init(&r, slice_make(trailer, sizeof(trailer)));
	source->plain = reader_u64be(&r);
	source->packed = reader_u64be(&r);
	if (source->plain == 0 || source->packed == 0 ||
	    source->plain > LIMIT_SECTION_PLAIN_BYTES ||
	    source->packed > LIMIT_SECTION_BYTES ||
	    chunk_sealed_length(source->packed) !=
		source->length - SECTION_HEAD_LEN - SECTION_TRAILER_LEN)
		return err_set_code(err, ERR_BAD_DATA, CHECK_LENGTH,
		    "the section's lengths do not fit each other");
	if (source->plain >
	    source->packed * LIMIT_INFLATE_RATIO + LIMIT_INFLATE_SLACK)
		return err_set_code(err, ERR_LIMIT, CHECK_RATIO,
		    "the section would inflate more than %d times",
		    LIMIT_INFLATE_RATIO);
	if (chunk_derive(CHUNK_SECTION, head + SECTION_MAGIC_LEN, key,
		&source->cipher, commitment, err) < 0)
		return -1;
	if (!crypto_equal(commitment, head + SECTION_MAGIC_LEN + 32, 32))
		return err_set_code(err, ERR_UNTRUSTED, CHECK_COMMITMENT,
		    "the key is not the section's");
	crypto_sha256(slice_make(head, sizeof(head)), source->cipher.aad);
	return 0;
}

/* Inflates the bytes of one chunk into the staging file. */
static int
source_inflate(struct section_source *source, size_t len, bool final,
    int staging, struct err *err)
{
	size_t n;
	int rc;

	source->z.next_in = source->packed_bytes;
	source->z.avail_in = (uInt)len;
	do {
		source->z.next_out = source->io;
		source->z.avail_out = READER_IO;
		rc = inflate(&source->z, Z_NO_FLUSH);
		n = READER_IO - source->z.avail_out;
		if ((rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) ||
		    source->z.total_out > source->plain)
			goto bad;
		if (n > 0 &&
		    fsio_write_all(staging, slice_make(source->io, n), err) < 0)
			return err_prepend(err, "staging");
	} while (
	    rc == Z_OK && (source->z.avail_in > 0 || source->z.avail_out == 0));
	if (source->z.avail_in > 0 || (rc == Z_STREAM_END) != final ||
	    (final && source->z.total_out != source->plain))
		goto bad;
	return 0;
bad:
	return err_set_code(err, ERR_BAD_DATA, CHECK_INFLATE,
	    "the section does not inflate to its stated length");
}

static int
source_decrypt(struct section_source *source, int staging, struct err *err)
{
	uint64_t offset = SECTION_HEAD_LEN, rest = source->packed;
	size_t n;
	bool final;

	if (inflateInit(&source->z) != Z_OK)
		return err_set(err, ERR_INTERNAL, "inflateInit failed");
	source->z_open = true;
	while (rest > 0) {
		final = rest <= LIMIT_CHUNK_BYTES;
		n = final ? (size_t)rest : LIMIT_CHUNK_BYTES;
		if (fsio_pread_all(source->fd, source->sealed,
			n + CRYPTO_TAG_LEN, (off_t)offset, err) < 0)
			return -1;
		if (chunk_open(&source->cipher, final,
			slice_make(source->sealed, n + CRYPTO_TAG_LEN),
			source->packed_bytes, err) < 0)
			return err_set_code(err, ERR_UNTRUSTED, CHECK_CHUNK,
			    "a chunk of the section does not authenticate");
		if (source_inflate(source, n, final, staging, err) < 0)
			return -1;
		offset += n + CRYPTO_TAG_LEN;
		rest -= n;
	}
	return 0;
}

/* An anonymous 0600 file: nothing stays behind, whatever happens. */
static int
staging_open(const char *dir, int *out_fd, struct err *err)
{
	char *path = mem_printf("%s/section-XXXXXX", dir);

	*out_fd = mkostemp(path, O_CLOEXEC);
	if (*out_fd < 0) {
		(void)err_set_errno(
		    err, ERR_IO, "cannot create a file in %s", dir);
	} else if (unlink(path) < 0) {
		(void)err_set_errno(err, ERR_IO, "cannot unlink %s", path);
		(void)close(*out_fd);
		*out_fd = -1;
	}
	free(path);
	return *out_fd < 0 ? -1 : 0;
}

/* --- records --- */

static int
reader_malformed(struct err *err)
{
	return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
	    "a record of the section is malformed");
}

static int
reader_fill(struct section_reader *reader, struct err *err)
{
	uint64_t left = reader->plain_length - reader->loaded;
	size_t room;

	memmove(reader->window, reader->window + reader->start,
	    reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	room = READER_WINDOW - reader->end;
	if (room > left)
		room = (size_t)left;
	if (fsio_pread_all(reader->staging, reader->window + reader->end, room,
		(off_t)reader->loaded, err) < 0)
		return -1;
	reader->loaded += room;
	reader->end += room;
	return 0;
}

/* The next whole record: 1, 0 at the end, -1. */
static int
reader_record(struct section_reader *reader, struct slice *out, struct err *err)
{
	struct reader r;
	uint64_t len;
	int tries;

	for (tries = 0; tries < 2; tries++) {
		reader_init(&r, slice_make(reader->window + reader->start,
				    reader->end - reader->start));
		if (r.rest.len == 0 && reader->loaded == reader->plain_length)
			return 0;
		len = reader_varint(&r);
		if (!r.failed && len > SECTION_RECORD_MAX)
			return err_set_code(err, ERR_LIMIT, CHECK_PAYLOAD,
			    "a record of the section exceeds %d bytes",
			    SECTION_RECORD_MAX);
		if (!r.failed && len <= r.rest.len) {
			*out = reader_take(&r, (size_t)len);
			reader->start = reader->end - r.rest.len;
			return 1;
		}
		if (tries == 0 && reader_fill(reader, err) < 0)
			return -1;
	}
	return reader_malformed(err);
}

static int
head_name(const struct pb_field *field, char out[64])
{
	if (field->wire != PB_BYTES || field->data.len == 0 ||
	    field->data.len >= 64 || out[0] != '\0')
		return -1;
	memcpy(out, field->data.data, field->data.len);
	out[field->data.len] = '\0';
	return registry_name_valid(out) && strlen(out) == field->data.len ? 0
									  : -1;
}

static int
reader_head(struct section_reader *reader, struct err *err)
{
	struct section_head *head = &reader->head;
	uint64_t values[SECTION_HEAD_RECORDS + 1] = {0};
	struct slice record;
	struct pb_field field;
	struct reader r;
	int rc;

	rc = reader_record(reader, &record, err);
	if (rc <= 0)
		return rc == 0 ? reader_malformed(err) : -1;
	reader_init(&r, record);
	while ((rc = pb_next(&r, &field)) > 0) {
		if (field.number > SECTION_HEAD_RECORDS)
			continue;
		if (field.number == SECTION_HEAD_MEMBER)
			rc = head_name(&field, head->member);
		else if (field.number == SECTION_HEAD_STREAM)
			rc = head_name(&field, head->stream);
		else if (field.wire != PB_VARINT)
			rc = -1;
		else
			values[field.number] = field.value;
		if (rc < 0)
			break;
	}
	head->base = values[SECTION_HEAD_BASE];
	head->version = values[SECTION_HEAD_VERSION];
	head->records = values[SECTION_HEAD_RECORDS];
	if (rc < 0 || values[SECTION_HEAD_FORMAT] != 1 ||
	    head->member[0] == '\0' || head->stream[0] == '\0' ||
	    head->base >= head->version)
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "the section's head is malformed");
	return 0;
}

static int
object_parse(struct slice record, struct section_object *out)
{
	uint32_t present = 0;
	struct pb_field field;
	struct reader r;
	int rc;

	memset(out, 0, sizeof(*out));
	reader_init(&r, record);
	while ((rc = pb_next(&r, &field)) > 0) {
		if (field.number > SECTION_OBJECT_BODY)
			continue;
		/* Twice the same field: two parsers could disagree. */
		if (present & 1u << field.number)
			return -1;
		present |= 1u << field.number;
		switch (field.number) {
		case SECTION_OBJECT_ID:
			if (field.wire != PB_BYTES || field.data.len != ID_LEN)
				return -1;
			memcpy(out->id.bytes, field.data.data, ID_LEN);
			break;
		case SECTION_OBJECT_VERSION:
			if (field.wire != PB_VARINT)
				return -1;
			out->version = field.value;
			break;
		case SECTION_OBJECT_DELETED:
			if (field.wire != PB_VARINT || field.value > 1)
				return -1;
			out->deleted = field.value == 1;
			break;
		default:
			if (field.wire != PB_BYTES)
				return -1;
			out->body = field.data;
			break;
		}
	}
	return rc < 0 || !(present & 1u << SECTION_OBJECT_ID) ? -1 : 0;
}

int
section_reader_next(struct section_reader *reader,
    struct section_object *out_object, struct err *err)
{
	struct slice record;
	int rc;

	rc = reader_record(reader, &record, err);
	if (rc < 0)
		return -1;
	if (rc == 0 && reader->seen != reader->head.records)
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "the section ends before its last record");
	if (rc == 0)
		return 0;
	if (reader->seen == reader->head.records)
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "the section has more records than it states");
	if (object_parse(record, out_object) < 0 ||
	    out_object->body.len > LIMIT_OBJECT_BYTES ||
	    out_object->deleted != (out_object->body.len == 0))
		return reader_malformed(err);
	if ((reader->seen > 0 &&
		id_compare(&out_object->id, &reader->last) <= 0) ||
	    out_object->version <= reader->head.base ||
	    out_object->version > reader->head.version ||
	    (out_object->deleted && reader->head.base == 0))
		return err_set_code(err, ERR_BAD_DATA, CHECK_SECTION_ORDER,
		    "ids do not rise, a version lies outside the section, or "
		    "a full section has a tombstone");
	reader->last = out_object->id;
	reader->seen++;
	return 1;
}

const struct section_head *
section_reader_head(const struct section_reader *reader)
{
	return &reader->head;
}

int
section_reader_open(const char *path, const uint8_t sha256[32],
    const uint8_t key[32], const char *staging_dir,
    struct section_reader **out_reader, struct err *err)
{
	struct section_source *source = mem_calloc(1, sizeof(*source));
	struct section_reader *reader = mem_calloc(1, sizeof(*reader));
	int rc = -1;

	*out_reader = NULL;
	reader->staging = -1;
	if (source_open(source, path, err) < 0 ||
	    source_hash(source, sha256, err) < 0 ||
	    source_start(source, key, err) < 0 ||
	    staging_open(staging_dir, &reader->staging, err) < 0 ||
	    source_decrypt(source, reader->staging, err) < 0)
		goto out;
	reader->plain_length = source->plain;
	reader->window = mem_alloc(READER_WINDOW);
	if (reader_head(reader, err) < 0)
		goto out;
	*out_reader = reader;
	reader = NULL;
	rc = 0;
out:
	if (source->z_open)
		(void)inflateEnd(&source->z);
	if (source->fd >= 0)
		(void)close(source->fd);
	crypto_cleanse(source, sizeof(*source));
	free(source);
	section_reader_close(reader);
	return rc;
}

void
section_reader_close(struct section_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->staging >= 0)
		(void)close(reader->staging);
	free(reader->window);
	free(reader);
}
