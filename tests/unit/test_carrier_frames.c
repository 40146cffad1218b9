/* Frames: what is encoded decodes, every cap at N and N + 1; the table of
 * members. */
#include "tests/unit/carrier_fixture.h"
#include "common/carrier/frames.h"
#include "common/carrier/members.h"

/* Encodes, decodes; 0 or -1. *out_back is the caller's. */
static int
pass(const struct carrier_message *m, struct carrier_message *out_back)
{
	struct slice parts[CARRIER_FRAMES_MAX];
	struct carrier_frames frames;
	int rc;

	carrier_frames_init(&frames);
	carrier_message_encode(m, &frames);
	for (size_t i = 0; i < frames.count; i++)
		parts[i] = buf_slice(&frames.parts[i]);
	rc = carrier_message_decode(parts, frames.count, out_back, &fx_err);
	out_back->data = SLICE_NULL; /* was borrowed */
	carrier_frames_fini(&frames);
	return rc;
}

static int
passes(const struct carrier_message *m)
{
	struct carrier_message back;
	int rc = pass(m, &back);

	carrier_message_fini(&back);
	return rc;
}

static struct spool_blob *
blobs_make(size_t count)
{
	struct spool_blob *blobs = mem_calloc(count, sizeof(*blobs));

	for (size_t i = 0; i < count; i++) {
		memcpy(blobs[i].sha256, &i, sizeof(i));
		blobs[i].sha256[31] = 1;
		blobs[i].length = i + 1;
	}
	return blobs;
}

static void
offer_make(struct carrier_message *m, const char *name, uint64_t length,
    struct spool_blob *blobs, size_t count)
{
	memset(m, 0, sizeof(*m));
	m->type = CARRIER_OFFER;
	m->offer = 77;
	memset(m->sha256, 0xee, sizeof(m->sha256));
	memcpy(m->message.name, name, strlen(name));
	m->message.length = length;
	m->message.blobs = blobs;
	m->message.blob_count = count;
}

static void
test_offer(void **state)
{
	struct spool_blob *blobs = blobs_make(SPOOL_BLOBS_MAX);
	static const size_t counts[] = {0, 1, 1023, 1024, 1025, 4095, 4096};
	struct carrier_message m, back;

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		offer_make(&m, "pub-0000000000000001", 12345, blobs, counts[i]);
		assert_int_equal(pass(&m, &back), 0);
		assert_string_equal(back.message.name, m.message.name);
		assert_int_equal(back.offer, 77);
		assert_int_equal(back.message.length, 12345);
		assert_int_equal(back.message.blob_count, counts[i]);
		assert_memory_equal(back.sha256, m.sha256, 32);
		for (size_t k = 0; k < counts[i]; k++)
			assert_memory_equal(&back.message.blobs[k], &blobs[k],
			    sizeof(blobs[k]));
		carrier_message_fini(&back);
	}
	free(blobs);
}

static void
test_offer_caps(void **state)
{
	struct spool_blob *blobs = blobs_make(2);
	struct carrier_message m;
	char name[65];

	(void)state;
	offer_make(&m, "a", CARRIER_ENVELOPE_MAX, NULL, 0);
	assert_int_equal(passes(&m), 0);
	m.message.length++;
	assert_int_equal(passes(&m), -1);
	m.message.length = 0;
	assert_int_equal(passes(&m), -1);
	offer_make(&m, "a", 1, blobs, 2);
	blobs[1].length = CARRIER_BLOB_MAX;
	assert_int_equal(passes(&m), 0);
	blobs[1].length++;
	assert_int_equal(passes(&m), -1);
	blobs[1].length = 0;
	assert_int_equal(passes(&m), -1);
	blobs[1] = blobs[0];
	assert_int_equal(passes(&m), -1); /* twice */
	memcpy(m.sha256, blobs[0].sha256, 32);
	m.message.blob_count = 1;
	assert_int_equal(passes(&m), -1); /* the envelope as a blob */
	memset(name, 'n', 64);
	name[63] = '\0';
	offer_make(&m, name, 1, NULL, 0);
	assert_int_equal(passes(&m), 0);
	offer_make(&m, "../../etc/passwd", 1, NULL, 0);
	assert_int_equal(passes(&m), -1);
	offer_make(&m, ".galr", 1, NULL, 0);
	assert_int_equal(passes(&m), -1);
	offer_make(&m, "", 1, NULL, 0);
	assert_int_equal(passes(&m), -1);
	free(blobs);
}

/* A small envelope behind its lists, and nothing else there. */
static void
test_offer_inline(void **state)
{
	static const size_t counts[] = {0, 1, 1024, 4096};
	static const uint8_t bytes[CARRIER_INLINE_BYTES + 1] = {1, 2, 3};
	struct spool_blob *blobs = blobs_make(SPOOL_BLOBS_MAX);
	struct slice parts[CARRIER_FRAMES_MAX];
	struct carrier_frames frames;
	struct carrier_message m, back;

	(void)state;
	carrier_frames_init(&frames);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		offer_make(&m, "ack-1", CARRIER_INLINE_BYTES, blobs, counts[i]);
		m.data = slice_make(bytes, CARRIER_INLINE_BYTES);
		carrier_message_encode(&m, &frames);
		for (size_t k = 0; k < frames.count; k++)
			parts[k] = buf_slice(&frames.parts[k]);
		assert_int_equal(
		    carrier_message_decode(parts, frames.count, &back, &fx_err),
		    0);
		assert_true(slice_equal(back.data, m.data));
		assert_int_equal(back.message.blob_count, counts[i]);
		carrier_message_fini(&back);
		parts[frames.count - 1].len--; /* not what was offered */
		assert_int_equal(
		    carrier_message_decode(parts, frames.count, &back, &fx_err),
		    -1);
		carrier_message_fini(&back);
	}
	carrier_frames_fini(&frames);
	offer_make(&m, "ack-1", sizeof(bytes), NULL, 0);
	carrier_frames_init(&frames);
	carrier_message_encode(&m, &frames);
	parts[0] = buf_slice(&frames.parts[0]);
	parts[1] = slice_make(bytes, sizeof(bytes)); /* one too many */
	assert_int_equal(carrier_message_decode(parts, 2, &back, &fx_err), -1);
	carrier_message_fini(&back);
	carrier_frames_fini(&frames);
	free(blobs);
}

/* What the encoder would never write. */
static void
test_raw(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
	} cases[] = {
	    {"\1\1\0\0\0\7", 6, 0}, {"\1\1\0\0\0", 5, -1}, /* cut */
	    {"\1\1\0\0\0\7\0", 7, -1},                     /* extended */
	    {"\2\1\0\0\0\7", 6, -1},                       /* version */
	    {"\0\1\0\0\0\7", 6, -1},                       /* version */
	    {"\1\0\0\0\0\7", 6, -1},                       /* type */
	    {"\1\11\0\0\0\7", 6, 0},                       /* TAKEN */
	    {"\1\12\0\0\0\7", 6, -1},                      /* type */
	    {"\1\10", 2, 0},                               /* IDLE */
	    {"\1\10\0", 3, -1}, {"\1", 1, -1}, {"", 0, -1},
	    {"\1\5\0\0\0\1", 6, 0},   /* DONE */
	    {"\1\6\0\0\0\1\1", 7, 0}, /* REFUSE */
	    {"\1\6\0\0\0\1\4", 7, 0},
	    {"\1\6\0\0\0\1\5", 7, -1}, /* unknown reason */
	    {"\1\6\0\0\0\1\0", 7, -1},
	    {"\1\4\0\0\0\1\0\0\0\1", 10, -1}, /* DATA without a chunk */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice part = slice_make(cases[i].bytes, cases[i].len);
		struct carrier_message m;

		assert_int_equal(
		    carrier_message_decode(&part, 1, &m, &fx_err), cases[i].rc);
		carrier_message_fini(&m);
	}
}

static void
test_chunks(void **state)
{
	uint8_t *bytes = mem_calloc(1, CARRIER_CHUNK_BYTES + 1);
	struct slice parts[CARRIER_FRAMES_MAX + 1] = {
	    SLICE_LIT("\1\4\0\0\0\1\0\0\0\1"),
	    slice_make(bytes, CARRIER_CHUNK_BYTES)};
	struct carrier_message m = {.type = CARRIER_FETCH};

	(void)state;
	assert_int_equal(carrier_message_decode(parts, 2, &m, &fx_err), 0);
	assert_int_equal(m.data.len, CARRIER_CHUNK_BYTES);
	parts[1].len++;
	assert_int_equal(carrier_message_decode(parts, 2, &m, &fx_err), -1);
	parts[1].len = 0;
	assert_int_equal(carrier_message_decode(parts, 2, &m, &fx_err), -1);
	parts[1].len = 1;
	parts[2] = parts[1];
	assert_int_equal(carrier_message_decode(parts, 3, &m, &fx_err), -1);
	assert_int_equal(carrier_message_decode(parts, 0, &m, &fx_err), -1);
	for (size_t i = 1; i <= CARRIER_FRAMES_MAX; i++)
		parts[i] = parts[0];
	assert_int_equal(
	    carrier_message_decode(parts, CARRIER_FRAMES_MAX + 1, &m, &fx_err),
	    -1);
	m = (struct carrier_message){.type = CARRIER_FETCH,
	    .length = CARRIER_CHUNK_BYTES,
	    .offset = CARRIER_BLOB_MAX - CARRIER_CHUNK_BYTES};
	assert_int_equal(passes(&m), 0);
	m.length++;
	assert_int_equal(passes(&m), -1);
	m.length = 0;
	assert_int_equal(passes(&m), -1);
	m.length = CARRIER_CHUNK_BYTES;
	m.offset = UINT64_MAX;
	assert_int_equal(passes(&m), -1);
	free(bytes);
}

static void
members_text(const char *text)
{
	assert_int_equal(
	    fsio_write(fx_members, slice_str(text), 0600, &fx_err), 0);
}

static void
test_members(void **state)
{
	struct carrier_members members;
	uint8_t a[32], b[32] = {0};
	char *text;

	(void)state;
	memset(a, 0xab, sizeof(a));
	log_init("test", 0);
	carrier_members_init(&members, fx_members);
	assert_null(carrier_members_find(&members, a));
	text = mem_printf(
	    "# comment\n\n%s north\n%s\nzz%s x\n%s a/b\n%.62s y\n",
	    "abababababababababababababababababababababababababababababababab",
	    "0000000000000000000000000000000000000000000000000000000000000000",
	    "00000000000000000000000000000000000000000000000000000000000000",
	    "0000000000000000000000000000000000000000000000000000000000000000",
	    "0000000000000000000000000000000000000000000000000000000000000000");
	members_text(text);
	free(text);
	assert_true(carrier_members_refresh(&members, 1000, 200));
	assert_string_equal(carrier_members_find(&members, a), "north");
	/* Lines that do not parse admit nobody. */
	assert_null(carrier_members_find(&members, b));
	assert_int_equal(members.count, 1);
	members_text("");
	/* Not looked at more often than asked. */
	assert_false(carrier_members_refresh(&members, 1199, 200));
	assert_non_null(carrier_members_find(&members, a));
	assert_true(carrier_members_refresh(&members, 1200, 200));
	assert_null(carrier_members_find(&members, a));
	assert_false(carrier_members_refresh(&members, 1300, 0));
	fx_members_write(&fx_keys, "north");
	assert_true(carrier_members_refresh(&members, 1300, 0));
	assert_int_equal(unlink(fx_members), 0);
	assert_true(carrier_members_refresh(&members, 1300, 0));
	assert_int_equal(members.count, 0);
	carrier_members_fini(&members);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_offer),
	    T(test_offer_caps),
	    T(test_offer_inline),
	    T(test_raw),
	    T(test_chunks),
	    T(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
