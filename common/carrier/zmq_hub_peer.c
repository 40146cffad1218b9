/*
 * The hub's peers: from a frame to a member. A sender is known by the User-Id
 * that ZAP gave its connection and by nothing else; it is looked up in the
 * table of this moment for every message. Routing ids only say where an answer
 * goes.
 */
#include "common/carrier/zmq_hub_internal.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"

static enum carrier_sent
peer_send(void *arg, const struct carrier_frames *frames)
{
	struct hub_peer *peer = arg;

	if (peer->route_len == 0)
		return CARRIER_SENT_GONE;
	return carrier_sock_send(peer->hub->router,
	    slice_make(peer->route, peer->route_len), frames,
	    &peer->counters.bytes_out);
}

/* ZeroMQ cannot close one client of a ROUTER. It does tell the descriptor that
 * a message came from; shutting that down makes ZeroMQ see an end of file. Were
 * the number reused meanwhile, another client would reconnect, or a file would
 * answer ENOTSOCK. */
static void
connection_cut(int fd)
{
	if (fd >= 0)
		(void)shutdown(fd, SHUT_RDWR);
}

void
hub_peer_cut(struct hub_peer *peer)
{
	connection_cut(peer->fd);
	carrier_link_disconnected(peer->link);
	peer->fd = -1;
	peer->route_len = 0;
	peer->hub->dirty = true;
}

static size_t
peer_index(const struct hub *hub, const char *name, bool *out_found)
{
	size_t low = 0, high = hub->peer_count;

	*out_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(hub->peers[mid]->name, name);

		if (order == 0) {
			*out_found = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct hub_peer *
hub_peer_find(struct hub *hub, const char *name)
{
	bool found;
	size_t i = peer_index(hub, name, &found);

	return found ? hub->peers[i] : NULL;
}

static void
peer_add(struct hub *hub, const char *name)
{
	struct hub_peer *peer = mem_calloc(1, sizeof(*peer));
	struct carrier_link_options options = {.spool = hub->options->spool,
	    .hub = true,
	    .newcomer = strncmp(name, "join-", 5) == 0,
	    .budget = &hub->budget,
	    .send = peer_send,
	    .arg = peer};
	size_t at;
	bool found;

	peer->hub = hub;
	peer->fd = -1;
	memcpy(peer->name, name, strnlen(name, sizeof(peer->name) - 1));
	options.peer = peer->name;
	peer->link = carrier_link_new(&options);
	at = peer_index(hub, name, &found);
	hub->peers = mem_realloc(
	    hub->peers, (hub->peer_count + 1) * sizeof(struct hub_peer *));
	memmove(&hub->peers[at + 1], &hub->peers[at],
	    (hub->peer_count - at) * sizeof(struct hub_peer *));
	hub->peers[at] = peer;
	hub->peer_count++;
}

static void
peer_free(struct hub_peer *peer)
{
	carrier_link_free(peer->link);
	free(peer);
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Drops those that no key belongs to any more. */
static void
peers_prune(struct hub *hub)
{
	const char **names = mem_calloc(hub->members.count + 1, sizeof(*names));
	size_t kept = 0;

	for (size_t i = 0; i < hub->members.count; i++)
		names[i] = hub->members.items[i].name;
	qsort(names, hub->members.count, sizeof(*names), name_compare);
	for (size_t i = 0; i < hub->peer_count; i++) {
		struct hub_peer *peer = hub->peers[i];
		const char *name = peer->name;

		if (bsearch(&name, names, hub->members.count, sizeof(*names),
			name_compare) != NULL) {
			hub->peers[kept++] = peer;
			continue;
		}
		hub_peer_cut(peer);
		peer_free(peer);
	}
	hub->peer_count = kept;
	free(names);
}

void
hub_peers_refresh(struct hub *hub, int64_t max_age_ms)
{
	struct err err = {0};

	if (!carrier_members_refresh(
		&hub->members, clock_mono_ms(), max_age_ms))
		return;
	peers_prune(hub);
	for (size_t i = 0; i < hub->members.count; i++) {
		const char *name = hub->members.items[i].name;

		if (hub_peer_find(hub, name) == NULL)
			peer_add(hub, name);
		/* Also when known: its directory may have been made anew. */
		if (spool_watch_peer(hub->options->spool, hub->watch, name,
			SPOOL_OUT, &err) < 0)
			log_err(&err, "peer not watched peer=%s", name);
	}
	for (size_t i = 0; i < hub->peer_count; i++) {
		struct hub_peer *peer = hub->peers[i];
		const char *now =
		    carrier_members_find(&hub->members, peer->key);

		if (peer->route_len > 0 &&
		    (now == NULL || strcmp(now, peer->name) != 0)) {
			log_notice("connection cut peer=%s reason=\"key no "
				   "longer allowed\"",
			    peer->name);
			hub_peer_cut(peer);
		}
	}
	hub->dirty = true;
}

enum carrier_verdict
hub_verdict(void *arg, const uint8_t key[CARRIER_CURVE_LEN])
{
	struct hub *hub = arg;
	const struct hub_peer *peer;
	const char *name;

	hub_peers_refresh(hub, 0);
	name = carrier_members_find(&hub->members, key);
	if (name == NULL)
		return CARRIER_DENY;
	peer = hub_peer_find(hub, name);
	if (peer != NULL && clock_mono_ms() < peer->banned_until)
		return CARRIER_LATER;
	return CARRIER_ADMIT;
}

/* The member that a message's connection belongs to now; NULL for none. */
static struct hub_peer *
inbound_peer(struct hub *hub, struct carrier_inbound *in,
    uint8_t out_key[CARRIER_CURVE_LEN])
{
	const char *user = NULL, *name;

	if (in->count > 0)
		user = zmq_msg_gets(&in->parts[0], "User-Id");
	if (user == NULL ||
	    id_unhex(slice_str(user), out_key, CARRIER_CURVE_LEN, NULL) < 0)
		return NULL;
	name = carrier_members_find(&hub->members, out_key);
	return name == NULL ? NULL : hub_peer_find(hub, name);
}

static void
stranger(struct hub *hub, int fd, int64_t now)
{
	unsigned held;

	connection_cut(fd);
	hub->refused++;
	hub->dirty = true;
	if (carrier_limiter_pass(&hub->log_refused, now, &held))
		log_warn("frames of a stranger dropped more=%u", held);
}

/* The connection that greets is the peer's from now on. */
static void
peer_adopt(struct hub_peer *peer, struct carrier_inbound *in, int fd,
    const uint8_t key[CARRIER_CURVE_LEN])
{
	size_t len = zmq_msg_size(&in->route);

	/* An older one of the same spoke is half open, or a clone's. */
	if (peer->route_len > 0 && peer->fd != fd)
		connection_cut(peer->fd);
	INVARIANT(len <= HUB_ROUTE_MAX);
	memcpy(peer->route, zmq_msg_data(&in->route), len);
	peer->route_len = len;
	peer->fd = fd;
	memcpy(peer->key, key, CARRIER_CURVE_LEN);
	peer->hub->dirty = true;
}

static bool
peer_route_is(const struct hub_peer *peer, struct carrier_inbound *in)
{
	return slice_equal(slice_make(peer->route, peer->route_len),
	    slice_make(zmq_msg_data(&in->route), zmq_msg_size(&in->route)));
}

static void
peer_violated(struct hub_peer *peer, int fd, int64_t now, const struct err *err)
{
	log_err(err, "peer dropped peer=%s for_s=%d", peer->name,
	    HUB_BAN_MS / 1000);
	peer->banned_until = now + HUB_BAN_MS;
	peer->counters.refused++;
	if (fd != peer->fd)
		connection_cut(fd);
	hub_peer_cut(peer);
}

void
hub_peer_input(struct hub *hub, struct carrier_inbound *in, int64_t now)
{
	uint8_t key[CARRIER_CURVE_LEN] = {0};
	struct carrier_message message = {0};
	struct hub_peer *peer = inbound_peer(hub, in, key);
	struct err err = {0};
	int fd = in->count == 0 ? -1 : zmq_msg_get(&in->parts[0], ZMQ_SRCFD);

	if (peer == NULL) {
		stranger(hub, fd, now);
		return;
	}
	peer->counters.bytes_in += in->bytes;
	if (now < peer->banned_until) {
		/* What was still queued when it was dropped. */
		connection_cut(fd);
		return;
	}
	if (carrier_inbound_decode(in, &message, &err) < 0) {
		peer_violated(peer, fd, now, &err);
		goto out;
	}
	if (message.type == CARRIER_HELLO || peer->route_len == 0)
		peer_adopt(peer, in, fd, key);
	else if (!peer_route_is(peer, in))
		goto out; /* an older connection's */
	peer->fd = fd;
	peer->last_seen = now;
	peer->last_seen_wall = clock_now_ms();
	peer->due = now;
	if (carrier_link_input(peer->link, &message, now, &err) < 0)
		peer_violated(peer, fd, now, &err);
out:
	carrier_message_fini(&message);
}

void
hub_peers_fini(struct hub *hub)
{
	for (size_t i = 0; i < hub->peer_count; i++)
		peer_free(hub->peers[i]);
	free(hub->peers);
	hub->peers = NULL;
	hub->peer_count = 0;
}
