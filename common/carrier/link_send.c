/* The sending half of a link: choose, offer, answer requests, drop. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/carrier/link_internal.h"

static void
send_close(struct link_send *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* The peer has taken (or forgotten) all chunks that we sent. */
static void
send_landed(struct carrier_link *link, uint32_t received)
{
	struct link_send *s = &link->send;

	/* Requests for a message that was taken back may say less. */
	if (received <= s->received)
		return;
	link_budget_give(
	    link, (uint64_t)(received - s->received) * CARRIER_CHUNK_BYTES);
	s->received = received;
}

static void
send_forget(struct carrier_link *link)
{
	struct link_send *s = &link->send;

	send_landed(link, s->sent);
	send_close(s);
	spool_message_fini(&s->message);
	s->offered = false;
	s->announce = false;
	s->queued = 0;
	s->idle_told = false;
	s->changed = true;
}

void
link_send_reset(struct carrier_link *link)
{
	struct link_send *s = &link->send;

	send_forget(link);
	s->sent = 0;
	s->received = 0;
	s->gone = false;
	/* A new connection may find more room. */
	for (size_t i = 0; i < s->refused_count; i++)
		s->refused[i].retry_at = 0;
}

void
link_send_fini(struct carrier_link *link)
{
	send_close(&link->send);
	spool_message_fini(&link->send.message);
}

static struct link_refused *
refused_find(struct link_send *s, const struct spool_message *m)
{
	for (size_t i = 0; i < s->refused_count; i++)
		if (strcmp(s->refused[i].name, m->name) == 0)
			return &s->refused[i];
	return NULL;
}

static void
refused_remove(struct link_send *s, const char *name)
{
	for (size_t i = 0; i < s->refused_count; i++)
		if (strcmp(s->refused[i].name, name) == 0) {
			s->refused_count--;
			memmove(&s->refused[i], &s->refused[i + 1],
			    (s->refused_count - i) * sizeof(s->refused[0]));
			return;
		}
}

/* Its hash; and its bytes, when they may go with the offer. */
static int
hash_envelope(struct carrier_link *link, const struct spool_message *m,
    uint8_t out[SPOOL_HASH_LEN], struct err *err)
{
	struct link_send *s = &link->send;
	struct buf envelope;
	int rc = -1;

	buf_init(&envelope, CARRIER_ENVELOPE_MAX);
	if (spool_read(link->options.spool, link->options.peer, SPOOL_OUT,
		m->name, &envelope, err) < 0)
		goto out;
	if (!spool_same(
		link->options.spool, link->options.peer, SPOOL_OUT, m) ||
	    envelope.len != m->length) {
		err_set(err, ERR_TEMPORARY, "replaced while it was read");
		goto out;
	}
	if (EVP_Digest(envelope.data, envelope.len, out, NULL, EVP_sha256(),
		NULL) != 1) {
		err_set(err, ERR_INTERNAL, "SHA-256 failed");
		goto out;
	}
	s->small_len = 0;
	if (envelope.len <= sizeof(s->small)) {
		memcpy(s->small, envelope.data, envelope.len);
		s->small_len = envelope.len;
	}
	rc = 0;
out:
	buf_fini(&envelope);
	return rc;
}

static void
send_take(struct carrier_link *link, struct spool_message *m, int64_t now)
{
	struct link_send *s = &link->send;
	struct err err = {0};

	if (hash_envelope(link, m, s->sha256, &err) < 0) {
		/* Gone already: the watch will say so. Unreadable or too
		 * large: an operator must look. */
		if (err.class != ERR_TEMPORARY && err.saved_errno != ENOENT)
			log_err(&err, "message not sent peer=%s name=%s",
			    link->options.peer, m->name);
		spool_message_fini(m);
		s->waiting = true;
		s->retry_at =
		    now + (err.class == ERR_TEMPORARY ? LINK_REFUSED_MIN_MS
						      : LINK_REFUSED_MAX_MS);
		return;
	}
	s->message = *m;
	memset(m, 0, sizeof(*m));
	s->offer++;
	s->offered = true;
	s->announce = true;
	s->deadline = now + LINK_SILENCE_MS;
}

/* Messages "KIND-NUMBER" of one kind keep their order: a receiver drops those
 * with a sequence below the last one it saw. */
static bool
same_kind(const char *a, const char *b)
{
	size_t len = strcspn(a, "-");

	return len == strcspn(b, "-") && memcmp(a, b, len) == 0;
}

/* The oldest message that is not waiting after a refusal, nor behind one of
 * its kind that is. */
static void
send_choose(struct carrier_link *link, int64_t now)
{
	struct link_send *s = &link->send;
	struct spool_message m = {0};
	char after[SPOOL_NAME_SIZE] = "";
	struct err err = {0};
	int rc;

	s->changed = false;
	s->waiting = false;
	s->retry_at = 0;
	while ((rc = spool_next(link->options.spool, link->options.peer,
		    SPOOL_OUT, after, &m, &err)) > 0) {
		struct link_refused *r = refused_find(s, &m);
		bool behind = s->waiting && same_kind(after, m.name);

		if (!behind &&
		    (r == NULL || r->mark != m.mark || now >= r->retry_at)) {
			send_take(link, &m, now);
			return;
		}
		s->waiting = true;
		if (!behind && (s->retry_at == 0 || r->retry_at < s->retry_at))
			s->retry_at = r->retry_at;
		memcpy(after, m.name, sizeof(after));
		spool_message_fini(&m);
	}
	if (rc < 0) {
		log_err(&err, "out box not read peer=%s", link->options.peer);
		s->retry_at = now + LINK_REFUSED_MAX_MS;
		s->waiting = true;
	} else if (!s->waiting) {
		s->refused_count = 0;
	}
}

/* A replaced or dropped message, or one that nobody answers, is taken back. */
static void
send_look(struct carrier_link *link, int64_t now)
{
	struct link_send *s = &link->send;
	bool due = s->retry_at != 0 && now >= s->retry_at;

	if (s->offered && s->changed &&
	    !spool_same(link->options.spool, link->options.peer, SPOOL_OUT,
		&s->message)) {
		s->gone = !s->announce;
		s->gone_offer = s->offer;
		send_forget(link);
	} else if (s->offered && now >= s->deadline) {
		send_forget(link);
	}
	if (s->offered)
		s->changed = false;
	else if (s->changed || due)
		send_choose(link, now);
}

/* Length of a piece of the offered message; 0 when it has no such piece. */
static uint64_t
piece_length(const struct link_send *s, const uint8_t sha256[SPOOL_HASH_LEN])
{
	if (memcmp(s->sha256, sha256, SPOOL_HASH_LEN) == 0)
		return s->message.length;
	for (size_t i = 0; i < s->message.blob_count; i++)
		if (memcmp(s->message.blobs[i].sha256, sha256,
			SPOOL_HASH_LEN) == 0)
			return s->message.blobs[i].length;
	return 0;
}

int
link_send_taken(
    struct carrier_link *link, const struct carrier_message *m, struct err *err)
{
	if (m->received > link->send.sent)
		return err_set(err, ERR_BAD_DATA,
		    "link: claims chunks that were not sent");
	send_landed(link, m->received);
	return 0;
}

int
link_send_fetch(struct carrier_link *link, const struct carrier_message *m,
    int64_t now, struct err *err)
{
	struct link_send *s = &link->send;
	struct link_request *r;
	uint64_t length;

	if (link_send_taken(link, m, err) < 0)
		return -1;
	if (!s->offered || m->offer != s->offer)
		return 0; /* of a message that was taken back */
	length = piece_length(s, m->sha256);
	if (length == 0 || m->offset >= length ||
	    m->length > length - m->offset)
		return err_set(err, ERR_BAD_DATA,
		    "link: asks for bytes that were not offered");
	/* The credits bound what waits in memory for a slow reader. */
	if (s->queued + (s->sent - s->received) >= CARRIER_CREDITS)
		return err_set(err, ERR_BAD_DATA,
		    "link: asks for more than %d chunks ahead",
		    CARRIER_CREDITS);
	r = &s->queue[s->queued++];
	r->request = m->request;
	memcpy(r->sha256, m->sha256, SPOOL_HASH_LEN);
	r->offset = m->offset;
	r->length = m->length;
	s->deadline = now + LINK_SILENCE_MS;
	return 0;
}

void
link_send_done(struct carrier_link *link, const struct carrier_message *m)
{
	struct link_send *s = &link->send;
	struct err err = {0};

	if (!s->offered || s->announce || m->offer != s->offer)
		return;
	if (spool_drop_same(link->options.spool, link->options.peer, SPOOL_OUT,
		&s->message, &err) < 0)
		log_err(&err, "sent message not removed peer=%s name=%s",
		    link->options.peer, s->message.name);
	link->counters.messages_out++;
	refused_remove(s, s->message.name);
	send_forget(link);
}

void
link_send_refused(
    struct carrier_link *link, const struct carrier_message *m, int64_t now)
{
	struct link_send *s = &link->send;
	struct link_refused *r;

	if (!s->offered || s->announce || m->offer != s->offer)
		return;
	r = refused_find(s, &s->message);
	if (r == NULL) {
		if (s->refused_count == LINK_REFUSED_COUNT)
			refused_remove(s, s->refused[0].name);
		r = &s->refused[s->refused_count++];
		memset(r, 0, sizeof(*r));
		memcpy(r->name, s->message.name, sizeof(r->name));
		log_warn("message refused peer=%s name=%s reason=\"%s\"",
		    link->options.peer, s->message.name,
		    carrier_reason_text(m->reason));
	}
	r->mark = s->message.mark;
	r->reason = m->reason;
	r->wait_ms = r->wait_ms == 0 ? LINK_REFUSED_MIN_MS : r->wait_ms * 2;
	if (r->wait_ms > LINK_REFUSED_MAX_MS)
		r->wait_ms = LINK_REFUSED_MAX_MS;
	r->retry_at = now + r->wait_ms;
	send_forget(link);
}

static int
piece_open(struct carrier_link *link, const uint8_t sha256[SPOOL_HASH_LEN],
    struct err *err)
{
	struct link_send *s = &link->send;
	char *path;

	if (s->fd >= 0 && memcmp(s->fd_sha256, sha256, SPOOL_HASH_LEN) == 0)
		return 0;
	send_close(s);
	if (memcmp(s->sha256, sha256, SPOOL_HASH_LEN) == 0)
		path = spool_message_path(link->options.spool,
		    link->options.peer, SPOOL_OUT, s->message.name);
	else
		path = spool_blob_path(
		    link->options.spool, link->options.peer, SPOOL_OUT, sha256);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		err_set_errno(err, ERR_IO, "%s", path);
	memcpy(s->fd_sha256, sha256, SPOOL_HASH_LEN);
	free(path);
	return s->fd < 0 ? -1 : 0;
}

static enum carrier_sent
send_chunk(struct carrier_link *link)
{
	struct link_send *s = &link->send;
	struct link_request *r = &s->queue[0];
	struct carrier_message data = {
	    .type = CARRIER_DATA, .offer = s->offer, .request = r->request};
	enum carrier_sent sent;
	struct err err = {0};

	if (!link_budget_take(
		link, CARRIER_CHUNK_BYTES, s->sent == s->received))
		return CARRIER_SENT_LATER;
	if (piece_open(link, r->sha256, &err) < 0 ||
	    fsio_pread_all(
		s->fd, link->chunk, r->length, (off_t)r->offset, &err) < 0) {
		/* Dropped by a worker meanwhile, or a disk that fails. */
		link_budget_give(link, CARRIER_CHUNK_BYTES);
		if (err.saved_errno != ENOENT)
			log_err(&err, "message not sent peer=%s name=%s",
			    link->options.peer, s->message.name);
		s->gone = true;
		s->gone_offer = s->offer;
		send_forget(link);
		return CARRIER_SENT;
	}
	data.data = slice_make(link->chunk, r->length);
	sent = link_transmit(link, &data);
	if (sent != CARRIER_SENT) {
		link_budget_give(link, CARRIER_CHUNK_BYTES);
		return sent;
	}
	s->sent++;
	s->queued--;
	memmove(&s->queue[0], &s->queue[1], s->queued * sizeof(s->queue[0]));
	return CARRIER_SENT;
}

static enum carrier_sent
send_announce(struct carrier_link *link)
{
	struct link_send *s = &link->send;
	struct carrier_message offer = {
	    .type = CARRIER_OFFER, .offer = s->offer};
	enum carrier_sent sent;

	offer.message = s->message;
	offer.data = slice_make(s->small, s->small_len);
	memcpy(offer.sha256, s->sha256, SPOOL_HASH_LEN);
	sent = link_transmit(link, &offer);
	s->announce = sent != CARRIER_SENT;
	return sent;
}

enum carrier_sent
link_send_pump(struct carrier_link *link, int64_t now)
{
	struct link_send *s = &link->send;
	struct carrier_message gone = {.type = CARRIER_GONE};
	struct carrier_message idle = {.type = CARRIER_IDLE};
	enum carrier_sent sent = CARRIER_SENT;

	while (sent == CARRIER_SENT && s->queued > 0)
		sent = send_chunk(link);
	if (sent != CARRIER_SENT)
		return sent;
	send_look(link, now);
	if (s->gone) {
		gone.offer = s->gone_offer;
		sent = link_transmit(link, &gone);
		s->gone = sent != CARRIER_SENT;
	}
	if (sent == CARRIER_SENT && s->announce)
		sent = send_announce(link);
	if (sent == CARRIER_SENT && !s->offered && !s->idle_told) {
		sent = link_transmit(link, &idle);
		s->idle_told = sent == CARRIER_SENT;
	}
	return sent;
}
