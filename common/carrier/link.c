/* The link's own state: greeting, dispatch, time. See link.h. */
#include "common/carrier/link.h"

#include <unistd.h>

#include "common/base/mem.h"
#include "common/carrier/link_internal.h"

struct carrier_link *
carrier_link_new(const struct carrier_link_options *options)
{
	struct carrier_link *link = mem_calloc(1, sizeof(*link));

	link->options = *options;
	link->chunk = mem_alloc(CARRIER_CHUNK_BYTES);
	link->send.fd = -1;
	link->recv.fd = -1;
	carrier_frames_init(&link->frames);
	return link;
}

void
carrier_link_free(struct carrier_link *link)
{
	if (link == NULL)
		return;
	link_send_reset(link);
	link_send_fini(link);
	link_recv_reset(link);
	carrier_frames_fini(&link->frames);
	free(link->chunk);
	free(link);
}

static void
link_reset(struct carrier_link *link)
{
	link_send_reset(link);
	link_recv_reset(link);
}

void
carrier_link_connected(struct carrier_link *link, uint32_t epoch)
{
	INVARIANT(!link->options.hub && epoch != 0);
	link_reset(link);
	link->state = LINK_GREETING;
	link->epoch = epoch;
	link->tell_hello = true;
}

void
carrier_link_disconnected(struct carrier_link *link)
{
	link_reset(link);
	link->state = LINK_DOWN;
	link->tell_hello = false;
}

void
carrier_link_probe(struct carrier_link *link)
{
	link->send.idle_told = false;
}

void
carrier_link_changed(struct carrier_link *link)
{
	link->send.changed = true;
}

/* Hub: every HELLO begins anew, and is echoed. Spoke: only the echo of our
 * own epoch counts; 0 asks us to begin anew. */
static void
input_hello(struct carrier_link *link, uint32_t epoch)
{
	if (link->options.hub) {
		if (epoch == 0)
			return;
		link_reset(link);
		link->epoch = epoch;
		link->state = LINK_UP;
		link->tell_hello = true;
	} else if (epoch == 0 && link->state == LINK_UP) {
		carrier_link_connected(
		    link, link->epoch + 1 == 0 ? 1 : link->epoch + 1);
	} else if (epoch != 0 && epoch == link->epoch &&
		   link->state == LINK_GREETING) {
		link_reset(link);
		link->state = LINK_UP;
	}
}

int
carrier_link_input(struct carrier_link *link,
    const struct carrier_message *message, int64_t now, struct err *err)
{
	if (message->type == CARRIER_HELLO) {
		input_hello(link, message->epoch);
		return 0;
	}
	if (link->state != LINK_UP) {
		/* Of an earlier connection, or we were restarted. */
		if (link->options.hub) {
			link->epoch = 0;
			link->tell_hello = true;
		}
		return 0;
	}
	switch (message->type) {
	case CARRIER_OFFER:
		link_recv_offer(link, message, now);
		break;
	case CARRIER_DATA:
		return link_recv_data(link, message, now, err);
	case CARRIER_FETCH:
		return link_send_fetch(link, message, now, err);
	case CARRIER_DONE:
		link_send_done(link, message);
		break;
	case CARRIER_REFUSE:
		link_send_refused(link, message, now);
		break;
	case CARRIER_GONE:
		link_recv_gone(link, message);
		break;
	case CARRIER_IDLE:
		link->recv.peer_idle = true;
		break;
	case CARRIER_TAKEN:
		return link_send_taken(link, message, err);
	case CARRIER_HELLO:
		break;
	}
	return 0;
}

enum carrier_sent
link_transmit(struct carrier_link *link, const struct carrier_message *message)
{
	carrier_message_encode(message, &link->frames);
	return link->options.send(link->options.arg, &link->frames);
}

bool
link_budget_take(struct carrier_link *link, uint64_t bytes, bool first)
{
	struct carrier_budget *budget = link->options.budget;

	if (!first && budget->used + bytes > budget->max)
		return false;
	budget->used += bytes;
	return true;
}

void
link_budget_give(struct carrier_link *link, uint64_t bytes)
{
	INVARIANT(link->options.budget->used >= bytes);
	link->options.budget->used -= bytes;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a == 0 ? b : a;
	return a < b ? a : b;
}

/* When something happens without anybody saying so. */
static int64_t
link_due(const struct carrier_link *link, int64_t now)
{
	int64_t due = now + 5000;

	if (link->state != LINK_UP)
		return due;
	due = earlier(due, link->send.retry_at);
	if (link->send.offered)
		due = earlier(due, link->send.deadline);
	if (link->recv.active)
		due = earlier(due, link->recv.deadline);
	return due;
}

int64_t
carrier_link_pump(struct carrier_link *link, int64_t now)
{
	struct carrier_message hello = {
	    .type = CARRIER_HELLO, .epoch = link->epoch};
	enum carrier_sent sent = CARRIER_SENT;

	if (link->tell_hello) {
		sent = link_transmit(link, &hello);
		link->tell_hello = sent == CARRIER_SENT_LATER;
	}
	if (sent == CARRIER_SENT && link->state == LINK_UP) {
		/* Each half alone: one that waits for the budget must not
		 * keep the other from giving it back. */
		enum carrier_sent halves[] = {
		    link_recv_pump(link, now), link_send_pump(link, now)};

		for (int i = 0; i < 2; i++)
			if (halves[i] > sent)
				sent = halves[i];
	}
	if (sent == CARRIER_SENT_GONE)
		carrier_link_disconnected(link);
	return sent == CARRIER_SENT_LATER ? now + LINK_RETRY_MS
					  : link_due(link, now);
}

bool
carrier_link_up(const struct carrier_link *link)
{
	return link->state == LINK_UP;
}

bool
carrier_link_stalled(const struct carrier_link *link, int64_t now)
{
	return link->state == LINK_UP && link->recv.active &&
	       now >= link->recv.deadline;
}

bool
carrier_link_settled(const struct carrier_link *link)
{
	return link->state == LINK_UP && !link->send.offered &&
	       !link->send.changed && !link->send.waiting && !link->send.gone &&
	       link->send.idle_told && !link->recv.active &&
	       !link->recv.tell_done && !link->recv.tell_refused &&
	       link->recv.peer_idle;
}

const char *
carrier_link_refusal(const struct carrier_link *link)
{
	if (link->send.refused_count == 0)
		return NULL;
	return carrier_reason_text(link->send.refused[0].reason);
}

const struct carrier_counters *
carrier_link_counters(const struct carrier_link *link)
{
	return &link->counters;
}
