/*
 * Writes the seeds of the wire format's fuzz targets below the directory given.
 * Build it as the targets are built, so that seals are what they can open:
 *
 *   make BUILD=build-corpus OPT='-O1 -DFUZZING' \
 *       build-corpus/tests/fuzz/make_corpus
 *   build-corpus/tests/fuzz/make_corpus tests/fuzz/corpus
 */
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/invitation.h"
#include "common/wire/object.h"
#include "common/wire/pb.h"
#include "common/wire/section.h"
#include "tests/unit/wire_realm.h"

static const char *root;
static struct realm realm;

static void
seed(const char *target, const char *name, struct slice content)
{
	char *dir = fsio_join(root, target), *path = fsio_join(dir, name);

	REALM_CHECK(fsio_mkdirs(dir, NULL) == 0);
	REALM_CHECK(fsio_write(path, content, 0644, NULL) == 0);
	free(path);
	free(dir);
}

static struct manifest
manifest_make(void)
{
	static const char *const audience[] = {"SOUTH"};
	struct manifest m = {.realm = realm.id,
	    .member = "NORTH",
	    .stream = "staff",
	    .tag = "NORTH/staff",
	    .version = 7,
	    .audience = audience,
	    .audience_count = 1,
	    .count = 3,
	    .issued_at = REALM_NOW,
	    .not_after = REALM_NOW + 1000};

	return m;
}

/* A payload of one tuple, one holding, one wish. */
static void
payload_make(struct buf *out)
{
	static uint8_t bytes[64] = {1, 2, 3};
	struct manifest m = manifest_make();
	Galr__Payload p = GALR__PAYLOAD__INIT;
	Galr__Tuple t = GALR__TUPLE__INIT, *tuples[1] = {&t};
	Galr__Holding h = GALR__HOLDING__INIT, *holdings[1] = {&h};
	char *wants[1] = {(char *)"NORTH"};
	struct buf manifest;

	buf_init(&manifest, LIMIT_MANIFEST_BYTES);
	REALM_CHECK(manifest_seal(&m, &realm.north.keys.sign_active, &manifest,
			NULL) == 0);
	t.manifest =
	    galr__signed_manifest__unpack(NULL, manifest.len, manifest.data);
	REALM_CHECK(t.manifest != NULL);
	t.base_version = 3;
	t.section_sha256 = (ProtobufCBinaryData){32, bytes};
	t.section_length = 1000;
	t.section_key = (ProtobufCBinaryData){48, bytes};
	h.member = (char *)"SOUTH";
	h.stream = (char *)"staff";
	h.version = 9;
	h.root = (ProtobufCBinaryData){32, bytes};
	p.tuples = tuples;
	p.n_tuples = 1;
	p.holdings = holdings;
	p.n_holdings = 1;
	p.wants = wants;
	p.n_wants = 1;
	p.registry_version = 4;
	p.instance = (ProtobufCBinaryData){16, bytes};
	p.kek_enc = (ProtobufCBinaryData){32, bytes};
	p.kek_key_id = (ProtobufCBinaryData){16, bytes};
	REALM_CHECK(payload_pack(&p, out, NULL) == 0);
	galr__signed_manifest__free_unpacked(t.manifest, NULL);
	buf_fini(&manifest);
}

static void
seed_envelopes(struct slice payload)
{
	struct envelope_recipient to[2] = {
	    realm_recipient(&realm.hub), realm_recipient(&realm.south)};
	struct envelope_seal_options o = {
	    .type = GALR__ENVELOPE_TYPE__ENVELOPE_PUBLISH,
	    .realm = realm.id,
	    .sender = "NORTH",
	    .recipients = to,
	    .recipient_count = 1,
	    .sequence = 5,
	    .issued_at = REALM_NOW,
	    .not_after = REALM_NOW + 1000,
	    .sign_key = &realm.north.keys.sign_active};
	struct buf file;

	buf_init(&file, LIMIT_ENVELOPE_BYTES);
	REALM_CHECK(envelope_seal(&o, payload, &file, NULL) == 0);
	seed("header", "publish", buf_slice(&file));
	seed("envelope", "publish", buf_slice(&file));
	buf_reset(&file);
	REALM_CHECK(envelope_seal(&o, SLICE_LIT("stored"), &file, NULL) == 0);
	seed("envelope", "stored", buf_slice(&file));
	buf_reset(&file);
	o.type = GALR__ENVELOPE_TYPE__ENVELOPE_BUNDLE;
	o.sender = "";
	o.sign_key = &realm.hub.keys.sign_active;
	o.recipient_count = 2;
	REALM_CHECK(envelope_seal(&o, payload, &file, NULL) == 0);
	seed("header", "bundle", buf_slice(&file));
	seed("envelope", "bundle", buf_slice(&file));
	buf_fini(&file);
}

static void
seed_file(const char *name, uint64_t base, uint64_t records)
{
	const struct slice mail[] = {SLICE_LIT("a@north.example")};
	const struct object_attribute attributes[] = {
	    {"displayName", mail, 1}, {"mail", mail, 1}};
	const struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=a,DC=x",
	    .recipient_type = 1,
	    .attributes = attributes,
	    .attribute_count = 2};
	struct section_head head = {"NORTH", "staff", base, 9, records};
	struct arena *arena = arena_new(1 << 20);
	char *path = fsio_join(root, "section.tmp");
	struct section_object o = {.version = 9};
	uint8_t key[CRYPTO_KEY_LEN], sha256[CRYPTO_HASH_LEN];
	struct section_writer *w;
	struct buf body, file;
	uint64_t i, length;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	buf_init(&file, 1 << 20);
	REALM_CHECK(object_encode(&object, arena, &body, NULL) == 0);
	REALM_CHECK(section_writer_open(path, &head, &w, key, NULL) == 0);
	for (i = 0; i < records; i++) {
		o.id.bytes[0] = (uint8_t)i;
		o.deleted = base > 0 && i == 0;
		o.body = o.deleted ? SLICE_NULL : buf_slice(&body);
		REALM_CHECK(section_writer_add(w, &o, NULL) == 0);
	}
	REALM_CHECK(section_writer_close(w, sha256, &length, NULL) == 0);
	REALM_CHECK(fsio_read(path, &file, NULL) == 0);
	seed("section", name, buf_slice(&file));
	(void)unlink(path);
	free(path);
	buf_fini(&file);
	buf_fini(&body);
	arena_free(arena);
}

/* Records without their seal: see fuzz_section.c. */
static void
seed_records(void)
{
	struct buf all, one;

	buf_init(&all, 4096);
	buf_init(&one, 4096);
	pb_add_uint(&one, 1, 1);
	pb_add_bytes(&one, 2, SLICE_LIT("NORTH"));
	pb_add_bytes(&one, 3, SLICE_LIT("staff"));
	pb_add_uint(&one, 4, 3);
	pb_add_uint(&one, 5, 9);
	pb_add_uint(&one, 6, 2);
	buf_add_byte(&all, 'R');
	buf_add_varint(&all, one.len);
	buf_add(&all, buf_slice(&one));
	buf_reset(&one);
	pb_add_bytes(&one, 1, SLICE_LIT("0123456789abcdef"));
	pb_add_uint(&one, 2, 5);
	pb_add_uint(&one, 3, 1);
	buf_add_varint(&all, one.len);
	buf_add(&all, buf_slice(&one));
	buf_reset(&one);
	pb_add_bytes(&one, 1, SLICE_LIT("1123456789abcdef"));
	pb_add_uint(&one, 2, 9);
	pb_add_bytes(&one, 4,
	    SLICE_LIT("\x08\x03\x12\x04"
		      "CN=a\x22\x09\x0a\x04mail\x12\x01v"
		      "\x2a\x10"
		      "mmmmmmmmmmmmmmmm"
		      "\x32\x20"
		      "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
		      "\x38\x01"));
	buf_add_varint(&all, one.len);
	buf_add(&all, buf_slice(&one));
	seed("section", "records", buf_slice(&all));
	buf_fini(&one);
	buf_fini(&all);
}

static void
seed_invitation(void)
{
	struct invitation invitation;
	struct buf text;

	memset(&invitation, 0, sizeof(invitation));
	invitation.expires_at = REALM_NOW;
	(void)snprintf(invitation.name, sizeof(invitation.name), "NORTH");
	(void)snprintf(invitation.address, sizeof(invitation.address),
	    "tcp://hub.example:4710");
	buf_init(&text, INVITATION_TEXT_MAX);
	REALM_CHECK(invitation_encode(&invitation, &text, NULL) == 0);
	seed("invitation", "plain", buf_slice(&text));
	buf_fini(&text);
}

/* With a rotated, endorsed key, a revoked one and an ended stream. */
static void
seed_registries(void)
{
	static char *ended[] = {(char *)"old"};
	struct key_pair *next = &realm.north.keys.sign_next;
	struct keys_change change = {&realm.id, "NORTH",
	    realm.north.keys.sign_active.public_key, next->public_key};

	seed("registry", "plain", buf_slice(&realm.signed_bytes));
	realm_pair(next, "ed25519", 0x77);
	next->endorsed = true;
	next->predecessor = realm.north.keys.sign_active.id;
	REALM_CHECK(
	    keys_change_sign(&change, realm.north.keys.sign_active.private_key,
		next->endorsement, NULL) == 0);
	(void)realm_list_key(
	    &realm.north, GALR__KEY_ROLE__KEY_SIGN, next, false);
	realm_revoke_key(&realm, &realm.south.keys.sign_active);
	realm.south.message.revoked = true;
	realm.north.message.ended_streams = ended;
	realm.north.message.n_ended_streams = 1;
	REALM_CHECK(realm_sign(&realm, NULL) == 0);
	seed("registry", "rotated", buf_slice(&realm.signed_bytes));
}

int
main(int argc, char *argv[])
{
	struct buf payload;

	if (argc != 2 || crypto_init(NULL) < 0)
		return EXIT_USAGE;
	root = argv[1];
	realm_init(&realm);
	buf_init(&payload, LIMIT_PAYLOAD_BYTES);
	payload_make(&payload);
	seed("bundle", "tuple", buf_slice(&payload));
	seed_envelopes(buf_slice(&payload));
	seed_file("full", 0, 20);
	seed_file("delta", 3, 3);
	seed_file("empty", 0, 0);
	seed_records();
	seed_invitation();
	seed_registries();
	buf_fini(&payload);
	realm_fini(&realm);
	return EXIT_DONE;
}
