/* The hub's front: one loop around ROUTER, ZAP, the out boxes and signals. */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/carrier/zmq_hub_internal.h"

/* Messages taken in before the others are served again. */
#define BATCH 64
#define STATUS_MIN_MS 2000
#define STATUS_MAX_MS 15000
/* A watch may be lost when a peer's directory is made anew. */
#define RESCAN_MS 5000
/* ZeroMQ tells of a closed connection before its route is gone. */
#define HUB_PROBE_MS 200

void *
hub_router_new(
    void *ctx, const struct carrier_zmq_hub_options *options, struct err *err)
{
	bool ipv6 = strchr(options->endpoint, '[') != NULL;
	void *router = carrier_sock_new(ctx, ZMQ_ROUTER, ipv6, err);

	if (router == NULL)
		return NULL;
	/* ROUTER_HANDOVER stays off: with it, any member could take over the
	 * routing id of another. */
	if (carrier_sock_set_int(router, ZMQ_ROUTER_MANDATORY, 1, err) < 0 ||
	    carrier_sock_set_int(router, ZMQ_CURVE_SERVER, 1, err) < 0 ||
	    carrier_sock_set(router, ZMQ_CURVE_PUBLICKEY, options->curve_public,
		CARRIER_CURVE_LEN, err) < 0 ||
	    carrier_sock_set(router, ZMQ_CURVE_SECRETKEY, options->curve_secret,
		CARRIER_CURVE_LEN, err) < 0) {
		zmq_close(router);
		return NULL;
	}
	return router;
}

static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int
hub_open(struct hub *hub, struct err *err)
{
	const struct carrier_zmq_hub_options *o = hub->options;

	raise_file_limit();
	if (carrier_signals_open(&hub->signals, err) < 0 ||
	    spool_watch_open(o->spool, &hub->watch, err) < 0)
		return -1;
	hub_peers_refresh(hub, 0);
	hub->ctx = zmq_ctx_new();
	if (hub->ctx == NULL)
		return err_set(err, ERR_INTERNAL, "ZeroMQ context: %s",
		    zmq_strerror(zmq_errno()));
	(void)zmq_ctx_set(hub->ctx, ZMQ_MAX_SOCKETS, 16 * 1024);
	hub->zap = carrier_zap_new(hub->ctx, err);
	if (hub->zap == NULL)
		return -1;
	hub->router = hub_router_new(hub->ctx, o, err);
	if (hub->router == NULL || carrier_zap_guard(hub->router, err) < 0)
		return -1;
	if (zmq_bind(hub->router, o->endpoint) < 0)
		return err_set(err,
		    zmq_errno() == EADDRINUSE ? ERR_TEMPORARY : ERR_CONFIG,
		    "listen on %s: %s", o->endpoint, zmq_strerror(zmq_errno()));
	if (carrier_zap_prove(hub->ctx, hub->router, hub->zap, o->curve_public,
		hub_verdict, hub, err) < 0)
		return -1;
	hub->monitor = carrier_monitor_new(
	    hub->ctx, hub->router, "inproc://hub-monitor", err);
	return hub->monitor == NULL ? -1 : 0;
}

static void
hub_close(struct hub *hub)
{
	hub_peers_fini(hub);
	if (hub->router != NULL) {
		(void)zmq_socket_monitor(hub->router, NULL, 0);
		zmq_close(hub->router);
	}
	if (hub->monitor != NULL)
		zmq_close(hub->monitor);
	if (hub->zap != NULL)
		zmq_close(hub->zap);
	while (hub->ctx != NULL && zmq_ctx_term(hub->ctx) < 0 &&
	       zmq_errno() == EINTR)
		;
	if (hub->watch >= 0)
		close(hub->watch);
	carrier_members_fini(&hub->members);
	carrier_signals_close(&hub->signals);
}

/* Only a hint: the number may belong to another connection by now. */
static void
hub_disconnected(struct hub *hub, int fd, int64_t now)
{
	for (size_t i = 0; i < hub->peer_count; i++)
		if (hub->peers[i]->route_len > 0 && hub->peers[i]->fd == fd) {
			hub->peers[i]->probe_at = now + HUB_PROBE_MS;
			hub->peers[i]->fd = -1;
		}
}

static void
hub_monitor(struct hub *hub, int64_t now)
{
	uint16_t event;
	uint32_t value;
	unsigned held;

	while (carrier_monitor_next(hub->monitor, &event, &value) > 0) {
		if (event == ZMQ_EVENT_DISCONNECTED)
			hub_disconnected(hub, (int)value, now);
		if (event != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH &&
		    event != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
		    event != ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
			continue;
		hub->refused++;
		hub->dirty = true;
		/* Refused clients come back for ever. */
		if (!carrier_limiter_pass(&hub->log_refused, now, &held))
			continue;
		log_warn("handshake refused reason=%s value=%#x more=%u",
		    event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? "key"
		    : event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
			? "protocol"
			: "broken-off",
		    value, held);
	}
}

static int
hub_input(struct hub *hub, struct err *err)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct carrier_inbound in;
		int rc = carrier_inbound_recv(hub->router, true, &in, err);

		if (rc <= 0)
			return rc;
		hub_peers_refresh(hub, HUB_MEMBERS_MS);
		hub_peer_input(hub, &in, clock_mono_ms());
		carrier_inbound_fini(&in);
	}
	return 0;
}

/* Serves every peer that is due; returns when the next one is. */
static int64_t
hub_pump(struct hub *hub, int64_t now)
{
	int64_t next = now + HUB_MEMBERS_MS;

	for (size_t i = 0; i < hub->peer_count; i++) {
		struct hub_peer *peer = hub->peers[i];

		if (peer->route_len == 0)
			continue;
		if (peer->probe_at != 0 && peer->probe_at <= now) {
			carrier_link_probe(peer->link);
			peer->probe_at = 0;
			peer->due = now;
		}
		if (peer->due <= now) {
			peer->due = carrier_link_pump(peer->link, now);
			if (!carrier_link_up(peer->link))
				peer->fd = -1; /* closed, or unknown */
			hub->dirty = true;
		}
		if (peer->due < next)
			next = peer->due;
	}
	return next;
}

static void
hub_rescan(struct hub *hub, int64_t now)
{
	for (size_t i = 0; i < hub->peer_count; i++) {
		carrier_link_changed(hub->peers[i]->link);
		hub->peers[i]->due = now;
	}
}

static void
status_peer(struct buf *json, const struct hub_peer *peer)
{
	struct carrier_counters c = peer->counters;
	const struct carrier_counters *l = carrier_link_counters(peer->link);

	c.messages_in = l->messages_in;
	c.messages_out = l->messages_out;
	buf_add_str(json, "{\"name\":");
	buf_add_json(json, slice_str(peer->name));
	buf_addf(json, ",\"connected\":%s,\"last_seen\":%lld,",
	    carrier_link_up(peer->link) ? "true" : "false",
	    (long long)peer->last_seen_wall);
	carrier_status_counters(json, &c);
	buf_add_byte(json, '}');
}

static void
hub_status(struct hub *hub, int64_t now)
{
	struct carrier_counters sum = {.refused = hub->refused};
	struct buf json;

	if (hub->options->status_path == NULL ||
	    now - hub->status_at < (hub->dirty ? STATUS_MIN_MS : STATUS_MAX_MS))
		return;
	for (size_t i = 0; i < hub->peer_count; i++) {
		const struct hub_peer *p = hub->peers[i];
		const struct carrier_counters *l =
		    carrier_link_counters(p->link);

		sum.messages_in += l->messages_in;
		sum.messages_out += l->messages_out;
		sum.bytes_in += p->counters.bytes_in;
		sum.bytes_out += p->counters.bytes_out;
		sum.refused += p->counters.refused;
	}
	buf_init(&json, 4 * 1024 * 1024);
	buf_addf(&json, "{\"pid\":%ld,\"started\":%lld,\"updated\":%lld,",
	    (long)getpid(), (long long)hub->started_wall,
	    (long long)clock_now_ms());
	buf_add_str(&json, "\"endpoint\":");
	buf_add_json(&json, slice_str(hub->options->endpoint));
	buf_addf(&json, ",\"refused_handshakes\":%llu,",
	    (unsigned long long)hub->refused);
	carrier_status_counters(&json, &sum);
	buf_add_str(&json, ",\"peers\":[");
	for (size_t i = 0; i < hub->peer_count; i++) {
		buf_add_str(&json, i == 0 ? "" : ",");
		status_peer(&json, hub->peers[i]);
	}
	buf_add_str(&json, "]}\n");
	carrier_status_write(hub->options->status_path, &json);
	buf_fini(&json);
	hub->status_at = now;
	hub->dirty = false;
}

static int
hub_loop(struct hub *hub, struct err *err)
{
	int64_t next = 0, rescan_at = 0;

	while (hub->signals.caught == 0) {
		zmq_pollitem_t items[] = {{hub->zap, 0, ZMQ_POLLIN, 0},
		    {hub->router, 0, ZMQ_POLLIN, 0},
		    {hub->monitor, 0, ZMQ_POLLIN, 0},
		    {NULL, hub->watch, ZMQ_POLLIN, 0},
		    {NULL, hub->signals.fd, ZMQ_POLLIN, 0}};
		int64_t now = clock_mono_ms();

		if (zmq_poll(items, 5, next > now ? (long)(next - now) : 0) <
			0 &&
		    zmq_errno() != EINTR)
			return err_set(err, ERR_INTERNAL, "ZeroMQ poll: %s",
			    zmq_strerror(zmq_errno()));
		carrier_zap_step(hub->zap, hub_verdict, hub);
		hub_peers_refresh(hub, HUB_MEMBERS_MS);
		if (hub_input(hub, err) < 0)
			return -1;
		now = clock_mono_ms();
		if (items[3].revents != 0 || now >= rescan_at) {
			spool_watch_read(hub->watch);
			hub_rescan(hub, now);
			rescan_at = now + RESCAN_MS;
		}
		hub_monitor(hub, now);
		next = hub_pump(hub, now);
		hub_status(hub, now);
		carrier_signals_read(&hub->signals);
	}
	return 0;
}

int
carrier_zmq_hub_run(const struct carrier_zmq_hub_options *options, int ready_fd,
    struct err *err)
{
	struct hub hub = {.options = options,
	    .watch = -1,
	    .signals.fd = -1,
	    .budget.max = CARRIER_BUDGET_BYTES,
	    .started_wall = clock_now_ms(),
	    .status_at = INT64_MIN / 2,
	    .dirty = true};
	int rc;

	carrier_members_init(&hub.members, options->members_path);
	rc = hub_open(&hub, err);
	if (rc == 0) {
		log_info("listening endpoint=%s", options->endpoint);
		if (ready_fd >= 0 && write(ready_fd, "r", 1) != 1)
			log_warn("nobody waits for the front to be ready");
		rc = hub_loop(&hub, err);
	}
	hub_close(&hub);
	return rc;
}
