#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/pb.h"
#include "common/wire/section.h"
#include "common/wire/section_format.h"

/* Records gathered before they are deflated, and sealed bytes gathered before
 * they are written. */
#define WRITER_BATCH (128 * 1024)
#define WRITER_OUT (512 * 1024)
/* Up to so many records level 9 or 6 costs less than 0.1 s and saves a fifth of
 * the bytes; beyond it level 1 is four times faster. */
#define WRITER_TINY_RECORDS 1000
#define WRITER_SMALL_RECORDS 5000
/* A body of at least so many bytes is looked at: pictures and lists of ids do
 * not compress, and trying takes ten times as long as all the rest. */
#define WRITER_LARGE (8 * 1024)
#define WRITER_SAMPLE 4096
/* Half of what the reader accepts: above it the writer stores. */
#define WRITER_RATIO (LIMIT_INFLATE_RATIO / 2)

struct section_writer {
	char *path;
	int fd;
	bool created;
	struct section_head head;
	uint64_t records;
	struct id last;
	struct buf plain, out;
	uint8_t packed[LIMIT_CHUNK_BYTES];
	struct chunk_cipher cipher;
	struct crypto_hash *hash;
	z_stream z;
	bool z_open;
	int level, level_now;
	bool dense;      /* what is gathered does not compress */
	uint64_t length; /* of the file, flushed */
};

static void
section_writer_free(struct section_writer *writer)
{
	if (writer->z_open)
		(void)deflateEnd(&writer->z);
	if (writer->fd >= 0)
		(void)close(writer->fd);
	crypto_hash_free(writer->hash);
	buf_fini(&writer->plain);
	buf_fini(&writer->out);
	free(writer->path);
	crypto_cleanse(&writer->cipher, sizeof(writer->cipher));
	free(writer);
}

void
section_writer_abort(struct section_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->created)
		(void)unlink(writer->path);
	section_writer_free(writer);
}

/* Hashes and writes what is sealed so far. */
static int
writer_flush(struct section_writer *writer, struct err *err)
{
	struct slice s = buf_slice(&writer->out);

	if (buf_check(&writer->out, "section buffer", err) < 0)
		return -1;
	if (s.len == 0)
		return 0;
	crypto_hash_add(writer->hash, s);
	if (fsio_write_all(writer->fd, s, err) < 0)
		return err_prepend(err, "%s", writer->path);
	writer->length += s.len;
	if (writer->length > LIMIT_SECTION_BYTES)
		return err_set(err, ERR_LIMIT,
		    "the section would exceed %llu bytes",
		    (unsigned long long)LIMIT_SECTION_BYTES);
	buf_reset(&writer->out);
	return 0;
}

/* Seals the packed bytes gathered so far as one chunk. */
static int
writer_chunk(struct section_writer *writer, bool final, struct err *err)
{
	size_t len = LIMIT_CHUNK_BYTES - writer->z.avail_out;
	uint8_t *p;

	p = buf_reserve(&writer->out, len + CRYPTO_TAG_LEN);
	if (p == NULL)
		return buf_check(&writer->out, "section buffer", err);
	if (chunk_seal(&writer->cipher, final, slice_make(writer->packed, len),
		p, err) < 0)
		return -1;
	writer->z.next_out = writer->packed;
	writer->z.avail_out = LIMIT_CHUNK_BYTES;
	if (writer->out.len < WRITER_OUT)
		return 0;
	return writer_flush(writer, err);
}

/* Are all bytes about equally frequent? The sum of the squares of their counts
 * is then near its least, n * n / 256 + n; of text it is several times that. */
static bool
body_is_dense(struct slice body)
{
	struct slice sample =
	    slice_sub(body, (body.len - WRITER_SAMPLE) / 2, WRITER_SAMPLE);
	unsigned counts[256] = {0};
	uint64_t squares = 0;

	for (size_t i = 0; i < sample.len; i++)
		counts[sample.data[i]]++;
	for (size_t i = 0; i < 256; i++)
		squares += (uint64_t)counts[i] * counts[i];
	return squares <
	       2 * (WRITER_SAMPLE * WRITER_SAMPLE / 256 + WRITER_SAMPLE);
}

/* Legitimate content must never look like a bomb to the reader: stores as long
 * as the ratio is high. */
static int
writer_level(struct section_writer *writer, struct err *err)
{
	int level = writer->level, rc;

	if (writer->dense ||
	    writer->z.total_in > (uint64_t)writer->z.total_out * WRITER_RATIO +
				     LIMIT_INFLATE_SLACK / 2)
		level = Z_NO_COMPRESSION;
	if (level == writer->level_now)
		return 0;
	while ((rc = deflateParams(&writer->z, level, Z_DEFAULT_STRATEGY)) ==
		   Z_BUF_ERROR &&
	       writer->z.avail_out == 0) {
		if (writer_chunk(writer, false, err) < 0)
			return -1;
	}
	if (rc != Z_OK && rc != Z_BUF_ERROR)
		return err_set(err, ERR_INTERNAL, "deflateParams: %d", rc);
	writer->level_now = level;
	return 0;
}

static int
writer_deflate(struct section_writer *writer, int flush, struct err *err)
{
	int rc;

	if (buf_check(&writer->plain, "section records", err) < 0 ||
	    writer_level(writer, err) < 0)
		return -1;
	if (writer->z.total_in + writer->plain.len > LIMIT_SECTION_PLAIN_BYTES)
		return err_set(err, ERR_LIMIT,
		    "the section's content would exceed %llu bytes",
		    (unsigned long long)LIMIT_SECTION_PLAIN_BYTES);
	writer->z.next_in = writer->plain.data;
	writer->z.avail_in = (uInt)writer->plain.len;
	do {
		/* The stream's end is still to come, so a full chunk is not
		 * the last one. */
		if (writer->z.avail_out == 0 &&
		    writer_chunk(writer, false, err) < 0)
			return -1;
		rc = deflate(&writer->z, flush);
		INVARIANT(
		    rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
	} while (writer->z.avail_in > 0 ||
		 (flush == Z_FINISH && rc != Z_STREAM_END));
	buf_reset(&writer->plain);
	if (flush == Z_FINISH)
		return writer_chunk(writer, true, err);
	return 0;
}

static int
writer_create(struct section_writer *writer, struct err *err)
{
	/* A former file may be linked from elsewhere: never write into it. */
	if (unlink(writer->path) < 0 && errno != ENOENT)
		return err_set_errno(
		    err, ERR_IO, "cannot replace %s", writer->path);
	writer->fd =
	    open(writer->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (writer->fd < 0)
		return err_set_errno(
		    err, ERR_IO, "cannot create %s", writer->path);
	writer->created = true;
	return 0;
}

/* Salt, commitment, AAD; the head of the file. */
static int
writer_start(struct section_writer *writer, uint8_t out_key[CRYPTO_KEY_LEN],
    struct err *err)
{
	uint8_t salt[32], commitment[32];

	if (crypto_random(out_key, CRYPTO_KEY_LEN, err) < 0 ||
	    crypto_random(salt, sizeof(salt), err) < 0 ||
	    chunk_derive(CHUNK_SECTION, salt, out_key, &writer->cipher,
		commitment, err) < 0)
		return -1;
	buf_add(&writer->out, SLICE_LIT(SECTION_MAGIC));
	buf_add(&writer->out, slice_make(salt, sizeof(salt)));
	buf_add(&writer->out, slice_make(commitment, sizeof(commitment)));
	crypto_sha256(buf_slice(&writer->out), writer->cipher.aad);
	writer->level = writer->head.records <= WRITER_TINY_RECORDS    ? 9
			: writer->head.records <= WRITER_SMALL_RECORDS ? 6
								       : 1;
	writer->level_now = writer->level;
	if (deflateInit(&writer->z, writer->level) != Z_OK)
		return err_set(err, ERR_INTERNAL, "deflateInit failed");
	writer->z_open = true;
	writer->z.next_out = writer->packed;
	writer->z.avail_out = LIMIT_CHUNK_BYTES;
	return 0;
}

static void
writer_add_head(struct section_writer *writer)
{
	const struct section_head *head = &writer->head;
	struct buf record;

	buf_init(&record, 256);
	pb_add_uint(&record, SECTION_HEAD_FORMAT, 1);
	pb_add_bytes(&record, SECTION_HEAD_MEMBER, slice_str(head->member));
	pb_add_bytes(&record, SECTION_HEAD_STREAM, slice_str(head->stream));
	if (head->base != 0)
		pb_add_uint(&record, SECTION_HEAD_BASE, head->base);
	pb_add_uint(&record, SECTION_HEAD_VERSION, head->version);
	if (head->records != 0)
		pb_add_uint(&record, SECTION_HEAD_RECORDS, head->records);
	INVARIANT(!buf_failed(&record));
	buf_add_varint(&writer->plain, record.len);
	buf_add(&writer->plain, buf_slice(&record));
	buf_fini(&record);
}

int
section_writer_open(const char *path, const struct section_head *head,
    struct section_writer **out_writer, uint8_t out_key[CRYPTO_KEY_LEN],
    struct err *err)
{
	struct section_writer *writer;

	*out_writer = NULL;
	if (head->base >= head->version)
		return err_set(err, ERR_INTERNAL,
		    "a section whose base is not below its version");
	writer = mem_calloc(1, sizeof(*writer));
	writer->path = mem_strdup(path);
	writer->fd = -1;
	writer->head = *head;
	writer->hash = crypto_hash_new();
	buf_init(&writer->plain, WRITER_BATCH + SECTION_RECORD_MAX + 16);
	buf_init(&writer->out, WRITER_OUT + CHUNK_SEALED_MAX + 256);
	if (writer_create(writer, err) < 0 ||
	    writer_start(writer, out_key, err) < 0) {
		crypto_cleanse(out_key, CRYPTO_KEY_LEN);
		section_writer_abort(writer);
		return -1;
	}
	writer_add_head(writer);
	*out_writer = writer;
	return 0;
}

static int
writer_check(const struct section_writer *writer,
    const struct section_object *object, struct err *err)
{
	if (writer->records > 0 && id_compare(&object->id, &writer->last) <= 0)
		return err_set(err, ERR_INTERNAL,
		    "section objects are not in ascending order of id");
	if (object->version <= writer->head.base ||
	    object->version > writer->head.version)
		return err_set(err, ERR_INTERNAL,
		    "an object's version lies outside the section");
	if (object->deleted != (object->body.len == 0) ||
	    (object->deleted && writer->head.base == 0))
		return err_set(err, ERR_INTERNAL,
		    "a tombstone with a body or in a full section, or an "
		    "object without a body");
	if (object->body.len > LIMIT_OBJECT_BYTES)
		return err_set(err, ERR_LIMIT,
		    "an object of %zu bytes, more than %d", object->body.len,
		    LIMIT_OBJECT_BYTES);
	return 0;
}

int
section_writer_add(struct section_writer *writer,
    const struct section_object *object, struct err *err)
{
	size_t len;
	bool dense;

	if (writer_check(writer, object, err) < 0)
		return -1;
	dense = object->body.len >= WRITER_LARGE && body_is_dense(object->body);
	if (dense != writer->dense &&
	    writer_deflate(writer, Z_NO_FLUSH, err) < 0)
		return -1;
	writer->dense = dense;
	len = pb_bytes_size(ID_LEN) + 1 + buf_varint_size(object->version) +
	      (object->deleted ? 2 : pb_bytes_size(object->body.len));
	buf_add_varint(&writer->plain, len);
	pb_add_bytes(&writer->plain, SECTION_OBJECT_ID, id_slice(&object->id));
	pb_add_uint(&writer->plain, SECTION_OBJECT_VERSION, object->version);
	if (object->deleted)
		pb_add_uint(&writer->plain, SECTION_OBJECT_DELETED, 1);
	else
		pb_add_bytes(&writer->plain, SECTION_OBJECT_BODY, object->body);
	writer->last = object->id;
	writer->records++;
	if (writer->plain.len < WRITER_BATCH)
		return 0;
	return writer_deflate(writer, Z_NO_FLUSH, err);
}

int
section_writer_close(struct section_writer *writer,
    uint8_t out_sha256[CRYPTO_HASH_LEN], uint64_t *out_length, struct err *err)
{
	int rc = -1;

	if (writer->records != writer->head.records) {
		(void)err_set(err, ERR_INTERNAL,
		    "a section of %llu records was announced with %llu",
		    (unsigned long long)writer->records,
		    (unsigned long long)writer->head.records);
		goto out;
	}
	if (writer_deflate(writer, Z_FINISH, err) < 0)
		goto out;
	buf_add_u64be(&writer->out, writer->z.total_in);
	buf_add_u64be(&writer->out, writer->z.total_out);
	if (writer_flush(writer, err) < 0)
		goto out;
	if (fsync(writer->fd) < 0) {
		(void)err_set_errno(err, ERR_IO, "fsync %s", writer->path);
		goto out;
	}
	crypto_hash_final(writer->hash, out_sha256);
	*out_length = writer->length;
	writer->created = false; /* it stays */
	rc = 0;
out:
	section_writer_abort(writer);
	return rc;
}
