/* Payloads of publish, bundle and acknowledgement (envelope.h). */
#include "common/wire/envelope.h"
#include "common/wire/limits.h"
#include "common/wire/pb.h"

int
payload_pack(const Galr__Payload *payload, struct buf *out, struct err *err)
{
	pb_pack(&payload->base, out);
	return buf_check(out, "payload", err);
}

static bool
length_is(const ProtobufCBinaryData *data, size_t a, size_t b)
{
	return data->len == a || data->len == b;
}

static const char *
payload_tuple_check(const Galr__Tuple *t)
{
	const Galr__SignedManifest *m = t->manifest;

	if (m == NULL || m->manifest.len == 0 ||
	    m->manifest.len > LIMIT_MANIFEST_BYTES || m->key_id.len != ID_LEN ||
	    m->signature.len != CRYPTO_SIG_LEN)
		return "a manifest";
	if (t->section_sha256.len == 0)
		return t->section_length == 0 && t->section_key.len == 0
			   ? NULL
			   : "a tuple without a section";
	if (t->section_sha256.len != CRYPTO_HASH_LEN ||
	    t->section_length == 0 || t->section_length > LIMIT_SECTION_BYTES ||
	    !length_is(&t->section_key, CRYPTO_KEY_LEN, CRYPTO_WRAPPED_LEN))
		return "a section";
	return NULL;
}

static const char *
payload_holding_check(const Galr__Holding *h)
{
	if (!registry_name_valid(h->member) ||
	    !registry_name_valid(h->stream) ||
	    !length_is(&h->root, 0, CRYPTO_HASH_LEN) ||
	    h->version > LIMIT_NUMBER ||
	    strlen(h->refusal) > LIMIT_REFUSAL_CHARS)
		return "a holding";
	return NULL;
}

static const char *
payload_check(const Galr__Payload *p)
{
	const char *bad = NULL;
	size_t i;

	if (!length_is(&p->instance, 0, ID_LEN))
		bad = "the instance";
	else if (!length_is(&p->kek_enc, 0, 32) ||
		 !length_is(&p->kek_key_id, 0, ID_LEN) ||
		 (p->kek_enc.len == 0) != (p->kek_key_id.len == 0))
		bad = "the section keys' encapsulation";
	else if (p->registry_version > LIMIT_NUMBER ||
		 p->applied > LIMIT_NUMBER || p->refused > LIMIT_NUMBER ||
		 p->answers > LIMIT_NUMBER)
		bad = "a number";
	for (i = 0; bad == NULL && i < p->n_tuples; i++)
		bad = payload_tuple_check(p->tuples[i]);
	for (i = 0; bad == NULL && i < p->n_holdings; i++)
		bad = payload_holding_check(p->holdings[i]);
	for (i = 0; bad == NULL && i < p->n_wants; i++) {
		if (strcmp(p->wants[i], "*") != 0 &&
		    !registry_tag_valid(p->wants[i]))
			bad = "a wanted tag";
	}
	return bad;
}

int
payload_unpack(struct slice bytes, struct arena *arena,
    Galr__Payload **out_payload, struct err *err)
{
	static const struct pb_cap caps[] = {{1, LIMIT_TUPLES},
	    {2, LIMIT_TUPLES}, {3, LIMIT_WANTS}, {11, LIMIT_MEMBER_KEYS},
	    {0, 0}};
	const struct pb_unpack_options options = {
	    &galr__payload__descriptor, caps, LIMIT_UNPACK_BYTES, "payload"};
	const char *bad;

	*out_payload = (Galr__Payload *)pb_unpack(&options, bytes, arena, err);
	if (*out_payload == NULL) {
		if (err != NULL)
			err->code = CHECK_PAYLOAD;
		return -1;
	}
	bad = payload_check(*out_payload);
	if (bad != NULL) {
		*out_payload = NULL;
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "payload: %s is malformed", bad);
	}
	return 0;
}
