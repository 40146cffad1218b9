/* A section file; or, when the input starts with 'R', its records alone, which
 * are then packed and sealed around: no mutation gets through zlib's checksum.
 * Every object that comes out is decoded. */
#include <unistd.h>
#include <zlib.h>

#include "common/base/mem.h"
#include "common/wire/chunk.h"
#include "common/wire/envelope.h"
#include "common/wire/object.h"
#include "common/wire/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Only a crash leaves the input's file here. */
#define DIR "/dev/shm"
static const uint8_t key[CRYPTO_KEY_LEN] = {7};

static void
section_wrap(struct slice records, struct buf *out)
{
	static const uint8_t salt[32] = {3};
	struct chunk_cipher cipher;
	uint8_t commitment[32], *packed, *p;
	uLongf len = compressBound(records.len);
	struct slice rest, part;

	packed = mem_alloc(len);
	INVARIANT(
	    compress2(packed, &len, records.data, records.len, 1) == Z_OK);
	INVARIANT(chunk_derive(CHUNK_SECTION, salt, key, &cipher, commitment,
		      NULL) == 0);
	buf_add(out, slice_make("GALS\x01", 5));
	buf_add(out, slice_make(salt, 32));
	buf_add(out, slice_make(commitment, 32));
	crypto_sha256(buf_slice(out), cipher.aad);
	for (rest = slice_make(packed, len); rest.len > 0;) {
		part = slice_sub(rest, 0, LIMIT_CHUNK_BYTES);
		rest = slice_sub(rest, part.len, SIZE_MAX);
		p = buf_reserve(out, part.len + CRYPTO_TAG_LEN);
		INVARIANT(p != NULL);
		INVARIANT(
		    chunk_seal(&cipher, rest.len == 0, part, p, NULL) == 0);
	}
	buf_add_u64be(out, records.len);
	buf_add_u64be(out, len);
	free(packed);
}

/* What was read can be written, and reads the same. */
static void
object_again(
    struct slice body, const struct object *object, struct arena *arena)
{
	struct object again;
	struct buf out;

	buf_init(&out, LIMIT_OBJECT_BYTES);
	if (object_references_replace(body, &object->references, &out, NULL) ==
	    0) {
		INVARIANT(
		    object_decode(buf_slice(&out), arena, &again, NULL) == 0);
		INVARIANT(again.references.member_count ==
			  object->references.member_count);
		INVARIANT(again.attribute_count == object->attribute_count);
	}
	buf_fini(&out);
}

static void
section_read(const char *path, const uint8_t sha256[CRYPTO_HASH_LEN])
{
	struct arena *arena = arena_new(LIMIT_OBJECT_UNPACK_BYTES);
	struct section_reader *reader;
	struct section_object o;
	struct object object;
	struct id last;
	struct err err;
	uint64_t seen = 0;

	err_clear(&err);
	memset(&last, 0, sizeof(last));
	if (section_reader_open(path, sha256, key, DIR, &reader, &err) == 0) {
		while (section_reader_next(reader, &o, &err) > 0) {
			INVARIANT(seen == 0 || id_compare(&last, &o.id) < 0);
			INVARIANT(o.deleted == (o.body.len == 0));
			arena_reset(arena);
			if (object_decode(o.body, arena, &object, NULL) == 0) {
				INVARIANT(
				    object.attribute_count == 0 ||
				    object_find(&object,
					object.attributes[0].name) != NULL);
				object_again(o.body, &object, arena);
			}
			last = o.id;
			seen++;
		}
		INVARIANT(seen <= section_reader_head(reader)->records);
		section_reader_close(reader);
	} else {
		INVARIANT(err.class != ERR_INTERNAL);
	}
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char *path;
	uint8_t sha256[CRYPTO_HASH_LEN];
	struct buf file;
	FILE *f;

	if (path == NULL) {
		INVARIANT(crypto_init(NULL) == 0);
		path = mem_printf(DIR "/galr-fuzz-%ld", (long)getpid());
	}
	if (len == 0)
		return 0;
	buf_init(&file, (size_t)4 << 20);
	if (data[0] == 'R' && len > 1)
		section_wrap(slice_make(data + 1, len - 1), &file);
	else
		buf_add(&file, slice_make(data, len));
	crypto_sha256(buf_slice(&file), sha256);
	f = fopen(path, "we");
	INVARIANT(f != NULL && fwrite(file.data, file.len, 1, f) == 1 &&
		  fclose(f) == 0);
	section_read(path, sha256);
	(void)unlink(path);
	buf_fini(&file);
	return 0;
}
