/* The receiving half of a link: ask, write, verify, acknowledge. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/carrier/link_internal.h"

/* A blob that a worker keeps taking away is not fetched for ever. */
#define RESTARTS_MAX 3

static void
recv_close(struct link_recv *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static void
recv_forget(struct carrier_link *link)
{
	struct link_recv *r = &link->recv;

	for (size_t i = 0; i < r->asked_count; i++)
		link_budget_give(link,
		    r->asked[(r->asked_first + i) % CARRIER_CREDITS].length);
	r->asked_count = 0;
	recv_close(r);
	spool_message_fini(&r->message);
	free(r->have);
	r->have = NULL;
	r->active = false;
}

void
link_recv_reset(struct carrier_link *link)
{
	struct link_recv *r = &link->recv;

	recv_forget(link);
	r->tell_done = false;
	r->tell_refused = false;
	r->tell_taken = false;
	r->peer_idle = false;
	r->received = 0;
}

static void
recv_refuse(struct carrier_link *link, enum carrier_reason reason,
    const struct err *err)
{
	struct link_recv *r = &link->recv;

	/* The peer decides how often it tries. */
	if (clock_mono_ms() >= r->log_at) {
		log_err(err, "message not taken peer=%s name=%s",
		    link->options.peer, r->message.name);
		r->log_at = clock_mono_ms() + LINK_REFUSED_MAX_MS;
	}
	r->tell_refused = true;
	r->tell_offer = r->offer;
	r->tell_reason = reason;
	recv_forget(link);
}

static void
recv_refuse_class(struct carrier_link *link, const struct err *err)
{
	recv_refuse(link,
	    err->class == ERR_LIMIT      ? CARRIER_REASON_QUOTA
	    : err->class == ERR_BAD_DATA ? CARRIER_REASON_HASH
					 : CARRIER_REASON_DISK,
	    err);
}

/* Piece i: the blobs in their order, then the envelope. */
static const uint8_t *
piece_hash(const struct link_recv *r, size_t i, uint64_t *out_length)
{
	if (i < r->message.blob_count) {
		*out_length = r->message.blobs[i].length;
		return r->message.blobs[i].sha256;
	}
	*out_length = r->message.length;
	return r->sha256;
}

/* Are the very bytes in the in box already? Then an earlier DONE was lost. A
 * message that a worker took out is taken again: re-sending is how a peer asks
 * for an acknowledgement that it misses. */
static bool
recv_known(struct carrier_link *link)
{
	struct link_recv *r = &link->recv;
	uint8_t have[SPOOL_HASH_LEN];
	struct buf envelope;
	bool known = false;
	char *path;

	path = spool_message_path(
	    link->options.spool, link->options.peer, SPOOL_IN, r->message.name);
	known = access(path, F_OK) == 0;
	free(path);
	if (!known)
		return false;
	buf_init(&envelope, CARRIER_ENVELOPE_MAX);
	known = spool_read(link->options.spool, link->options.peer, SPOOL_IN,
		    r->message.name, &envelope, NULL) == 0 &&
		EVP_Digest(envelope.data, envelope.len, have, NULL,
		    EVP_sha256(), NULL) == 1 &&
		memcmp(have, r->sha256, SPOOL_HASH_LEN) == 0;
	buf_fini(&envelope);
	for (size_t i = 0; known && i < r->message.blob_count; i++)
		known = spool_has_blob(link->options.spool, link->options.peer,
		    SPOOL_IN, &r->message.blobs[i]);
	return known;
}

/* Looks what is missing; asking begins at the first piece. */
static int
recv_start(struct carrier_link *link, int64_t now, struct err *err)
{
	struct link_recv *r = &link->recv;

	if (spool_receive_begin(link->options.spool, link->options.peer,
		SPOOL_IN, r->sha256, &r->message, err) < 0)
		return -1;
	for (size_t i = 0; i < r->message.blob_count; i++)
		r->have[i] = spool_has_blob(link->options.spool,
		    link->options.peer, SPOOL_IN, &r->message.blobs[i]);
	r->piece = 0;
	r->ask_piece = 0;
	r->ask_open = false;
	r->deadline = now + LINK_SILENCE_MS;
	return 0;
}

static int
write_at(int fd, struct slice s, uint64_t offset, struct err *err)
{
	while (s.len > 0) {
		ssize_t n = pwrite(fd, s.data, s.len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return err_set_errno(err, ERR_IO, "write");
		}
		s = slice_sub(s, (size_t)n, s.len);
		offset += (uint64_t)n;
	}
	return 0;
}

/* An envelope that came with its offer, as if it had been asked for. */
static int
recv_inline(struct carrier_link *link, struct slice envelope, struct err *err)
{
	struct link_recv *r = &link->recv;
	uint64_t offset;
	int fd, rc;

	if (envelope.len == 0)
		return 0;
	if (spool_receive_open(link->options.spool, link->options.peer,
		r->sha256, r->message.length, &fd, &offset, err) < 0)
		return -1;
	rc = write_at(fd, envelope, 0, err);
	close(fd);
	return rc;
}

static void
copy_message(struct link_recv *r, const struct carrier_message *m)
{
	size_t n = m->message.blob_count;

	r->active = true;
	r->offer = m->offer;
	r->restarts = 0;
	memcpy(r->sha256, m->sha256, SPOOL_HASH_LEN);
	r->message = m->message;
	r->message.blobs = mem_calloc(n + 1, sizeof(*r->message.blobs));
	if (n > 0)
		memcpy(r->message.blobs, m->message.blobs,
		    n * sizeof(*r->message.blobs));
	r->have = mem_calloc(n + 1, sizeof(*r->have));
}

void
link_recv_offer(
    struct carrier_link *link, const struct carrier_message *m, int64_t now)
{
	struct link_recv *r = &link->recv;
	struct err why = {0};

	/* An answer about the former offer has no reader any more. */
	recv_forget(link);
	r->tell_done = false;
	r->tell_refused = false;
	r->peer_idle = false;
	copy_message(r, m);
	if (link->options.newcomer &&
	    (m->message.blob_count > 0 ||
		m->message.length > SPOOL_JOIN_QUOTA)) {
		err_set(&why, ERR_LIMIT, "too large for a newcomer");
		recv_refuse(link, CARRIER_REASON_SIZE, &why);
		return;
	}
	if (recv_known(link)) {
		r->tell_done = true;
		r->tell_offer = r->offer;
		recv_forget(link);
		return;
	}
	if (recv_start(link, now, &why) < 0 ||
	    recv_inline(link, m->data, &why) < 0)
		recv_refuse_class(link, &why);
}

void
link_recv_gone(struct carrier_link *link, const struct carrier_message *m)
{
	if (link->recv.active && link->recv.offer == m->offer)
		recv_forget(link);
}

static void
recv_complete(struct carrier_link *link)
{
	struct link_recv *r = &link->recv;

	r->tell_done = true;
	r->tell_offer = r->offer;
	link->counters.messages_in++;
	recv_forget(link);
}

/* Verifies the piece that is whole, and goes to the next. */
static int
recv_finish_piece(struct carrier_link *link, int64_t now, struct err *err)
{
	struct link_recv *r = &link->recv;
	const struct carrier_link_options *o = &link->options;
	const uint8_t *hash;
	uint64_t length;
	struct err local = {0};

	recv_close(r);
	hash = piece_hash(r, r->piece, &length);
	if (r->piece < r->message.blob_count) {
		if (spool_receive_blob(
			o->spool, o->peer, SPOOL_IN, hash, length, err) < 0)
			return -1;
		r->piece++;
		return 0;
	}
	if (spool_receive_message(o->spool, o->peer, SPOOL_IN, r->message.name,
		hash, &r->message, &local) == 0) {
		recv_complete(link);
		return 0;
	}
	if (local.class == ERR_TEMPORARY && r->restarts++ < RESTARTS_MAX)
		return recv_start(link, now, err);
	*err = local;
	return -1;
}

/* Passes every piece that is whole; stops at the first that is not. */
static void
recv_advance(struct carrier_link *link, int64_t now)
{
	struct link_recv *r = &link->recv;
	struct err err = {0};

	while (r->active) {
		const uint8_t *hash;
		uint64_t length;

		if (r->piece < r->message.blob_count && r->have[r->piece]) {
			r->piece++;
			continue;
		}
		hash = piece_hash(r, r->piece, &length);
		if (r->fd < 0 &&
		    spool_receive_open(link->options.spool, link->options.peer,
			hash, length, &r->fd, &r->done, &err) < 0)
			break;
		if (r->done < length)
			return;
		if (recv_finish_piece(link, now, &err) < 0)
			break;
	}
	if (r->active)
		recv_refuse_class(link, &err);
}

int
link_recv_data(struct carrier_link *link, const struct carrier_message *m,
    int64_t now, struct err *err)
{
	struct link_recv *r = &link->recv;
	struct link_asked *a = &r->asked[r->asked_first];
	struct err why = {0};

	r->received++;
	r->tell_taken = true;
	if (!r->active || m->offer != r->offer)
		return 0; /* asked for before the offer changed */
	if (r->asked_count == 0 || m->request != a->request ||
	    m->data.len != a->length || a->piece != r->piece ||
	    a->offset != r->done || r->fd < 0)
		return err_set(err, ERR_BAD_DATA,
		    "link: sends a chunk that was not asked for");
	link_budget_give(link, a->length);
	r->asked_first = (r->asked_first + 1) % CARRIER_CREDITS;
	r->asked_count--;
	r->deadline = now + LINK_SILENCE_MS;
	if (write_at(r->fd, m->data, r->done, &why) < 0) {
		recv_refuse(link, CARRIER_REASON_DISK, &why);
		return 0;
	}
	r->done += m->data.len;
	recv_advance(link, now);
	return 0;
}

/* The next byte to ask for: 1, or 0 when everything is asked for. */
static int
ask_next(struct carrier_link *link, struct err *err)
{
	struct link_recv *r = &link->recv;

	for (; r->ask_piece <= r->message.blob_count; r->ask_piece++) {
		uint64_t length;
		const uint8_t *hash = piece_hash(r, r->ask_piece, &length);
		int fd = -1;

		if (r->ask_piece < r->message.blob_count &&
		    r->have[r->ask_piece])
			continue;
		if (!r->ask_open) {
			if (spool_receive_open(link->options.spool,
				link->options.peer, hash, length, &fd,
				&r->ask_offset, err) < 0)
				return -1;
			close(fd);
			r->ask_open = true;
		}
		if (r->ask_offset < length)
			return 1;
		r->ask_open = false;
	}
	return 0;
}

static enum carrier_sent
recv_ask(struct carrier_link *link)
{
	struct link_recv *r = &link->recv;
	struct carrier_message fetch = {.type = CARRIER_FETCH,
	    .offer = r->offer,
	    .request = r->next_request,
	    .received = r->received,
	    .offset = r->ask_offset};
	enum carrier_sent sent;
	struct link_asked *a;
	uint64_t length;

	memcpy(
	    fetch.sha256, piece_hash(r, r->ask_piece, &length), SPOOL_HASH_LEN);
	length -= r->ask_offset;
	fetch.length = length < CARRIER_CHUNK_BYTES ? (uint32_t)length
						    : CARRIER_CHUNK_BYTES;
	if (!link_budget_take(link, fetch.length, r->asked_count == 0))
		return CARRIER_SENT_LATER;
	sent = link_transmit(link, &fetch);
	if (sent != CARRIER_SENT) {
		link_budget_give(link, fetch.length);
		return sent;
	}
	a = &r->asked[(r->asked_first + r->asked_count++) % CARRIER_CREDITS];
	*a = (struct link_asked){.request = r->next_request++,
	    .piece = r->ask_piece,
	    .offset = r->ask_offset,
	    .length = fetch.length};
	r->tell_taken = false;
	r->ask_offset += fetch.length;
	return CARRIER_SENT;
}

enum carrier_sent
link_recv_pump(struct carrier_link *link, int64_t now)
{
	struct link_recv *r = &link->recv;
	enum carrier_sent sent = CARRIER_SENT;
	struct carrier_message m = {0};
	struct err err = {0};

	/* The spoke reconnects instead; see carrier_link_stalled. */
	if (r->active && link->options.hub && now >= r->deadline)
		recv_forget(link);
	recv_advance(link, now);
	while (sent == CARRIER_SENT && r->active &&
	       r->asked_count < CARRIER_CREDITS) {
		int more = ask_next(link, &err);

		if (more < 0)
			recv_refuse_class(link, &err);
		if (more <= 0)
			break;
		sent = recv_ask(link);
	}
	/* The peer's budget depends on it, also when all is asked for. */
	if (sent != CARRIER_SENT_GONE && r->active && r->tell_taken &&
	    r->asked_count > 0) {
		enum carrier_sent taken;

		m.type = CARRIER_TAKEN;
		m.received = r->received;
		taken = link_transmit(link, &m);
		r->tell_taken = taken != CARRIER_SENT;
		if (taken != CARRIER_SENT)
			sent = taken;
	}
	if (sent == CARRIER_SENT && (r->tell_done || r->tell_refused)) {
		m.type = r->tell_done ? CARRIER_DONE : CARRIER_REFUSE;
		m.offer = r->tell_offer;
		m.reason = r->tell_reason;
		sent = link_transmit(link, &m);
		if (sent == CARRIER_SENT) {
			r->tell_done = false;
			r->tell_refused = false;
		}
	}
	return sent;
}
