/* Envelopes whose sender itself is wicked: it holds all its keys, signs what it
 * likes, and gets past every check before the one under test. */
#include "tests/unit/wire_opening.h"

#include <zlib.h>

#include "common/base/mem.h"
#include "common/wire/envelope_format.h"
#include "common/wire/hpke.h"
#include "common/wire/pb.h"

struct craft {
	struct slice packed;
	uint64_t plain_length;
	uint32_t compression;
	/* Edits the header before it is sealed (the AAD covers the edit). */
	void (*edit)(Galr__EnvelopeHeader *header);
	/* Edits the header when all else is done; it is signed afterwards. */
	void (*edit_after)(Galr__EnvelopeHeader *header);
	bool break_commitment, break_chunk, last_not_final, bytes_behind_hash;
};

static void
craft_seal(const struct craft *craft, struct buf *out)
{
	struct envelope_recipient to = realm_recipient(&realm.hub);
	const struct envelope_info info = {
	    "galr/1 content key", &realm.id, T(PUBLISH), "NORTH", "", 5};
	const struct key_pair *sign = &realm.north.keys.sign_active;
	uint8_t text[ENVELOPE_INFO_MAX], enc[32], wrapped[48], salt[32] = {1};
	uint8_t content_key[32] = {2}, commitment[32], digest[32] = {0};
	uint8_t sig[64], *p;
	Galr__EnvelopeHeader h = GALR__ENVELOPE_HEADER__INIT;
	Galr__Recipient r = GALR__RECIPIENT__INIT, *list[1] = {&r};
	struct hpke_context hpke;
	struct chunk_cipher chunks;
	struct buf header, cipher;
	struct slice rest = craft->packed, part;

	assert_int_equal(
	    0, hpke_setup_sender(CRYPTO_AES256_GCM, to.public_key,
		   envelope_info_encode(&info, text), NULL, &hpke, enc, NULL));
	assert_int_equal(0, hpke_seal(&hpke, slice_make(salt, 32),
				slice_make(content_key, 32), wrapped, NULL));
	assert_int_equal(0, chunk_derive(CHUNK_ENVELOPE, salt, content_key,
				&chunks, commitment, NULL));
	commitment[0] ^= craft->break_commitment;
	r.id = (char *)"";
	r.kind = GALR__RECIPIENT_KIND__RECIPIENT_HPKE;
	r.key_id = (ProtobufCBinaryData){ID_LEN, to.key_id.bytes};
	r.enc = (ProtobufCBinaryData){32, enc};
	r.wrapped = (ProtobufCBinaryData){48, wrapped};
	h.suite = 1;
	h.type = T(PUBLISH);
	h.realm = (ProtobufCBinaryData){ID_LEN, realm.id.bytes};
	h.sender = (char *)"NORTH";
	h.recipients = list;
	h.n_recipients = 1;
	h.sequence = 5;
	h.issued_at = REALM_NOW;
	h.not_after = REALM_NOW + 1000;
	h.salt = (ProtobufCBinaryData){32, salt};
	h.commitment = (ProtobufCBinaryData){32, commitment};
	h.plain_length = craft->plain_length;
	h.packed_length = craft->packed.len;
	h.cipher_length = chunk_sealed_length(craft->packed.len);
	h.compression = craft->compression;
	if (craft->edit != NULL)
		craft->edit(&h);
	buf_init(&header, LIMIT_HEADER_BYTES);
	buf_init(&cipher, LIMIT_ENVELOPE_BYTES);
	pb_pack(&h.base, &header);
	crypto_sha256(buf_slice(&header), chunks.aad);
	while (rest.len > 0) {
		part = slice_sub(rest, 0, LIMIT_CHUNK_BYTES);
		rest = slice_sub(rest, part.len, SIZE_MAX);
		p = buf_reserve(&cipher, part.len + 16);
		assert_non_null(p);
		assert_int_equal(0,
		    chunk_seal(&chunks, rest.len == 0 && !craft->last_not_final,
			part, p, NULL));
	}
	cipher.data[0] ^= craft->break_chunk;
	crypto_sha256(buf_slice(&cipher), digest);
	h.cipher_sha256 = (ProtobufCBinaryData){32, digest};
	if (craft->edit_after != NULL)
		craft->edit_after(&h);
	buf_reset(&header);
	pb_pack(&h.base, &header);
	if (craft->bytes_behind_hash)
		pb_add_uint(&header, 99, 1);
	assert_false(buf_failed(&header));
	assert_int_equal(0, crypto_sign(ENVELOPE_DOMAIN, sign->private_key,
				buf_slice(&header), sig, NULL));
	buf_init(out, LIMIT_ENVELOPE_BYTES);
	buf_add(out, slice_make("GALR\x01", 5));
	buf_add_u32be(out, (uint32_t)header.len);
	buf_add(out, buf_slice(&header));
	buf_add_byte(out, 1);
	buf_add(out, id_slice(&sign->id));
	buf_add(out, slice_make(sig, 64));
	buf_add(out, buf_slice(&cipher));
	buf_fini(&header);
	buf_fini(&cipher);
}

static int
craft_check(const struct craft *craft)
{
	struct buf file;
	int code;

	craft_seal(craft, &file);
	code = open_at_hub(buf_slice(&file));
	buf_fini(&file);
	return code;
}

static struct craft
craft_stored(void)
{
	return (struct craft){.packed = PAYLOAD, .plain_length = PAYLOAD.len};
}

#define EDIT(name, statement)                                                  \
	static void edit_##name(Galr__EnvelopeHeader *h)                       \
	{                                                                      \
		statement;                                                     \
	}

static uint8_t edit_bytes[64] = {1, 2, 3};

EDIT(suite, h->suite = 2)
EDIT(realm_short, h->realm.len = 15)
EDIT(sender_path, h->sender = (char *)"../x")
EDIT(sequence, h->sequence = 0)
EDIT(issued, h->issued_at = 0)
EDIT(times, h->not_after = h->issued_at)
EDIT(salt, h->salt.len = 31)
EDIT(commitment, h->commitment.len = 31)
EDIT(compression, h->compression = 2)
EDIT(no_recipient, h->n_recipients = 0)
EDIT(recipient_name, h->recipients[0]->id = (char *)"a b")
EDIT(key_id, h->recipients[0]->key_id.len = 15)
EDIT(enc, h->recipients[0]->enc.len = 31)
EDIT(wrapped, h->recipients[0]->wrapped.len = 47)
EDIT(hash_short, h->cipher_sha256.len = 31)
EDIT(hash_none, h->cipher_sha256.len = 0)
EDIT(not_text, h->sender = (char *)"\xff\xfe")

static void
test_header(void **state)
{
	static void (*const edits[])(Galr__EnvelopeHeader *) = {edit_suite,
	    edit_realm_short, edit_sender_path, edit_sequence, edit_issued,
	    edit_times, edit_salt, edit_commitment, edit_compression,
	    edit_no_recipient, edit_recipient_name, edit_key_id, edit_enc,
	    edit_wrapped, edit_hash_short, edit_hash_none, edit_not_text};
	struct craft c = craft_stored();
	size_t i;

	(void)state;
	assert_int_equal(CHECK_OK, craft_check(&c));
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		c.edit_after = edits[i];
		assert_int_equal(CHECK_HEADER, craft_check(&c));
	}
	c = craft_stored();
	c.bytes_behind_hash = true; /* what the AAD would not cover */
	assert_int_equal(CHECK_HEADER, craft_check(&c));
}

EDIT(kind, h->recipients[0]->kind = 2)
EDIT(life, h->not_after = h->issued_at + LIMIT_ENVELOPE_LIFE_MS + 1)
EDIT(life_most, h->not_after = h->issued_at + LIMIT_ENVELOPE_LIFE_MS)

static void
test_header_context(void **state)
{
	struct craft c = craft_stored();

	(void)state;
	c.edit = edit_kind;
	assert_int_equal(CHECK_RECIPIENT, craft_check(&c));
	c.edit = edit_life;
	assert_int_equal(CHECK_EXPIRED, craft_check(&c));
	c.edit = edit_life_most;
	assert_int_equal(CHECK_OK, craft_check(&c));
}

EDIT(plain_zero, h->plain_length = 0)
EDIT(plain_less, h->plain_length--)
EDIT(plain_huge, h->plain_length = UINT64_C(4) << 30)
EDIT(plain_cap, h->plain_length = LIMIT_PAYLOAD_BYTES + 1)
EDIT(packed_zero, h->packed_length = 0)
EDIT(packed_more, h->packed_length++)
EDIT(packed_huge, h->packed_length = UINT64_MAX)
EDIT(cipher_more, h->cipher_length++)
EDIT(cipher_huge, h->cipher_length = UINT64_C(4) << 30)
EDIT(shift, h->packed_length++; h->plain_length++; h->cipher_length++)

static void
test_lengths(void **state)
{
	static void (*const edits[])(Galr__EnvelopeHeader *) = {edit_plain_zero,
	    edit_plain_less, edit_plain_huge, edit_plain_cap, edit_packed_zero,
	    edit_packed_more, edit_packed_huge, edit_cipher_more,
	    edit_cipher_huge, edit_shift};
	struct craft c = craft_stored();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		c.edit = edits[i];
		assert_int_equal(CHECK_LENGTH, craft_check(&c));
	}
	c.compression = ENVELOPE_ZLIB; /* packed may not be longer than plain */
	c.edit = edit_plain_less;
	assert_int_equal(CHECK_LENGTH, craft_check(&c));
}

EDIT(hash, h->cipher_sha256 = ((ProtobufCBinaryData){32, edit_bytes}))
EDIT(wrong_enc, h->recipients[0]->enc.data = edit_bytes)
EDIT(wrong_wrap, h->recipients[0]->wrapped.data = edit_bytes)

/* The first edit happens before the chunks get the header as their AAD. */
static void
test_content(void **state)
{
	struct craft c = craft_stored();

	(void)state;
	c.edit_after = edit_hash;
	assert_int_equal(CHECK_CIPHER_HASH, craft_check(&c));
	c = craft_stored();
	c.edit = edit_wrong_enc;
	assert_int_equal(CHECK_UNWRAP, craft_check(&c));
	c.edit = edit_wrong_wrap;
	assert_int_equal(CHECK_UNWRAP, craft_check(&c));
	c = craft_stored();
	c.break_commitment = true;
	assert_int_equal(CHECK_COMMITMENT, craft_check(&c));
	c = craft_stored();
	c.break_chunk = true;
	assert_int_equal(CHECK_CHUNK, craft_check(&c));
	c = craft_stored();
	c.last_not_final = true;
	assert_int_equal(CHECK_CHUNK, craft_check(&c));
	/* the AAD holds the header to its chunks */
	c = craft_stored();
	c.edit_after = edit_life_most;
	assert_int_equal(CHECK_CHUNK, craft_check(&c));
}

static void
test_inflate(void **state)
{
	struct slice zeros =
	    slice_make(mem_calloc(1, LIMIT_PAYLOAD_BYTES), LIMIT_PAYLOAD_BYTES);
	uLongf len = compressBound(zeros.len), small;
	uint8_t *packed = mem_alloc(len);
	struct craft c = {.compression = ENVELOPE_ZLIB};
	uint64_t most;

	(void)state;
	assert_int_equal(
	    Z_OK, compress2(packed, &len, zeros.data, zeros.len, 9));
	c.packed = slice_make(packed, len);
	c.plain_length = zeros.len;
	assert_int_equal(CHECK_RATIO, craft_check(&c));
	most = len * LIMIT_INFLATE_RATIO + LIMIT_INFLATE_SLACK;
	c.plain_length = most; /* a lie within the ratio */
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.plain_length = most + 1;
	assert_int_equal(CHECK_RATIO, craft_check(&c));
	/* longer than it says, shorter than it says, bytes behind, garbage */
	small = compressBound(PAYLOAD.len);
	assert_int_equal(Z_OK, compress2(packed, &small, zeros.data, 100, 9));
	c.packed = slice_make(packed, small);
	c.plain_length = 99;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.plain_length = 101;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.plain_length = 100;
	c.packed.len++;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.packed.len -= 2;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	c.packed = zeros;
	c.packed.len = 100;
	assert_int_equal(CHECK_INFLATE, craft_check(&c));
	free(packed);
	free((void *)zeros.data);
}

/* A million recipients do not fit the header's cap; as many as fit are counted
 * before anything is allocated. */
static void
test_endless_header(void **state)
{
	struct buf file, header;
	struct slice fill[] = {SLICE_LIT("\x2a\x00"), SLICE_LIT("\x08\x01"),
	    SLICE_LIT("\xa2\x06\x00")};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		buf_init(&header, 4 << 20);
		buf_init(&file, LIMIT_ENVELOPE_BYTES);
		while (header.len + fill[i].len <= LIMIT_HEADER_BYTES)
			buf_add(&header, fill[i]);
		buf_add(&file, slice_make("GALR\x01", 5));
		buf_add_u32be(&file, (uint32_t)header.len);
		buf_add(&file, buf_slice(&header));
		buf_add_byte(&file, 1);
		memset(buf_reserve(&file, 80), 0, 80);
		assert_int_equal(CHECK_SIZE, open_at_hub(buf_slice(&file)));
		buf_fini(&header);
		buf_fini(&file);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    REALM_TEST(test_header),
	    REALM_TEST(test_header_context),
	    REALM_TEST(test_lengths),
	    REALM_TEST(test_content),
	    REALM_TEST(test_inflate),
	    REALM_TEST(test_endless_header),
	};

	if (crypto_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
