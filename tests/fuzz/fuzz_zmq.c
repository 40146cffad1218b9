/*
 * Frames from a peer that ZAP let in: the decoder, and the state machine of
 * both sides behind it, with a real spool but no network.
 *
 * Input: u8 role, then records
 *   0x00..0x7f  a message: that many (mod 8) frames of u16 length and bytes
 *   0x80        a good HELLO, or the echo of ours
 *   0x81        the next chunk that was asked for, as asked
 *   0x82        the same with the wrong length
 *   0x83        a request for what was offered to us
 *   0x84        DONE for what was offered
 *   0x85 u8     time passes: that many seconds
 *   0x86        the transport breaks
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/reader.h"
#include "common/carrier/link.h"

struct peer {
	struct carrier_link *link;
	struct carrier_message asked[64]; /* FETCHes not answered */
	size_t asked_count;
	uint32_t epoch, offer;
	uint8_t offer_sha256[SPOOL_HASH_LEN];
	uint32_t offer_length;
	int64_t now;
};

/* What the state machine says must always parse. */
static enum carrier_sent
peer_send(void *arg, const struct carrier_frames *frames)
{
	struct peer *peer = arg;
	struct carrier_message m;
	struct slice parts[CARRIER_FRAMES_MAX];
	struct err err = {0};

	for (size_t i = 0; i < frames->count; i++)
		parts[i] = buf_slice(&frames->parts[i]);
	if (carrier_message_decode(parts, frames->count, &m, &err) < 0)
		abort();
	if (m.type == CARRIER_FETCH && peer->asked_count < 64)
		peer->asked[peer->asked_count++] = m;
	if (m.type == CARRIER_HELLO)
		peer->epoch = m.epoch;
	if (m.type == CARRIER_OFFER) {
		peer->offer = m.offer;
		peer->offer_length = (uint32_t)m.message.length;
		memcpy(peer->offer_sha256, m.sha256, SPOOL_HASH_LEN);
	}
	carrier_message_fini(&m);
	return CARRIER_SENT;
}

/* What parses is encoded to the same bytes. */
static void
round_trip(
    const struct carrier_message *m, const struct slice *parts, size_t count)
{
	struct carrier_frames frames;

	carrier_frames_init(&frames);
	carrier_message_encode(m, &frames);
	if (frames.count != count)
		abort();
	for (size_t i = 0; i < count; i++)
		if (!slice_equal(buf_slice(&frames.parts[i]), parts[i]))
			abort();
	carrier_frames_fini(&frames);
}

static void
peer_input(struct peer *peer, const struct carrier_message *m)
{
	struct err err = {0};

	if (carrier_link_input(peer->link, m, peer->now, &err) < 0) {
		if (err.class != ERR_BAD_DATA)
			abort();
		carrier_link_disconnected(peer->link);
		peer->asked_count = 0;
	}
	(void)carrier_link_pump(peer->link, peer->now);
}

static void
raw_message(struct peer *peer, struct reader *r, uint8_t frames)
{
	struct slice parts[8];
	struct carrier_message m;
	size_t count = frames % 8;

	for (size_t i = 0; i < count; i++) {
		size_t len = (size_t)reader_u8(r) << 8;

		len |= reader_u8(r);
		if (len > r->rest.len)
			len = r->rest.len;
		parts[i] = reader_take(r, len);
	}
	if (carrier_message_decode(parts, count, &m, NULL) == 0) {
		round_trip(&m, parts, count);
		peer_input(peer, &m);
	}
	carrier_message_fini(&m);
}

static void
chunk(struct peer *peer, size_t more)
{
	static const uint8_t bytes[CARRIER_CHUNK_BYTES + 1];
	struct carrier_message m = {.type = CARRIER_DATA};

	if (peer->asked_count == 0)
		return;
	m.offer = peer->asked[0].offer;
	m.request = peer->asked[0].request;
	m.data = slice_make(bytes, peer->asked[0].length + more);
	peer->asked_count--;
	memmove(&peer->asked[0], &peer->asked[1],
	    peer->asked_count * sizeof(peer->asked[0]));
	peer_input(peer, &m);
}

static void
record(struct peer *peer, struct reader *r, bool hub)
{
	struct carrier_message m = {.offer = peer->offer};
	uint8_t op = reader_u8(r);

	switch (op) {
	case 0x80:
		m.type = CARRIER_HELLO;
		m.epoch = hub ? 7 : peer->epoch;
		peer_input(peer, &m);
		break;
	case 0x81:
	case 0x82:
		chunk(peer, op == 0x82);
		break;
	case 0x83:
		m.type = CARRIER_FETCH;
		m.length = peer->offer_length;
		memcpy(m.sha256, peer->offer_sha256, SPOOL_HASH_LEN);
		if (m.length > 0)
			peer_input(peer, &m);
		break;
	case 0x84:
		m.type = CARRIER_DONE;
		peer_input(peer, &m);
		break;
	case 0x85:
		peer->now += 1000 * (int64_t)reader_u8(r);
		(void)carrier_link_pump(peer->link, peer->now);
		break;
	case 0x86:
		carrier_link_disconnected(peer->link);
		peer->asked_count = 0;
		if (!hub)
			carrier_link_connected(peer->link, 5);
		(void)carrier_link_pump(peer->link, peer->now);
		break;
	default:
		raw_message(peer, r, op);
	}
}

static char fuzz_root[64];

static void
root_remove(void)
{
	if (fsio_remove_tree(fuzz_root, NULL) < 0)
		abort();
}

/* In memory where possible: the spool syncs a lot. */
static void
root_make(void)
{
	snprintf(fuzz_root, sizeof(fuzz_root), "%s/galr-fuzz-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(fuzz_root) == NULL)
		abort();
	log_init("fuzz", 0);
	atexit(root_remove);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct carrier_budget budget = {.max = 4 * CARRIER_CHUNK_BYTES};
	struct peer peer = {.now = 1000};
	struct carrier_link_options options = {
	    .peer = "p", .budget = &budget, .send = peer_send, .arg = &peer};
	struct spool *spool;
	struct reader r;
	uint8_t role;

	if (fuzz_root[0] == '\0')
		root_make();
	if (spool_open(fuzz_root, 1024 * 1024, &spool, NULL) < 0)
		abort();
	reader_init(&r, slice_make(data, size));
	role = reader_u8(&r);
	options.spool = spool;
	options.hub = role & 1;
	options.newcomer = role & 2;
	if ((role & 4) && spool_put(spool, "p", SPOOL_OUT,
			      &(struct spool_put){.name = "m",
				  .envelope = SLICE_LIT("envelope")},
			      NULL) < 0)
		abort();
	peer.link = carrier_link_new(&options);
	if (!options.hub)
		carrier_link_connected(peer.link, 5);
	(void)carrier_link_pump(peer.link, peer.now);
	for (unsigned n = 0; r.rest.len > 0 && n < 64; n++)
		record(&peer, &r, options.hub);
	carrier_link_free(peer.link);
	if (budget.used != 0)
		abort();
	if (spool_peer_remove(spool, "p", NULL) < 0)
		abort();
	spool_close(spool);
	return 0;
}
