/*
 * The spoke's front: a DEALER to the hub. ZeroMQ reconnects lost connections;
 * what it gives up on (a refused key, a silent peer) is connected anew here,
 * with a back-off.
 */
#include <errno.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/carrier/zmq_sock.h"
#include "common/carrier/zmq_zap.h"

#define REOPEN_MIN_MS 100
#define REOPEN_MAX_MS (60 * 1000)
#define REOPEN_ONCE_MS 500
/* From TCP's start to the echo of HELLO, before everything is made anew. */
#define ANSWER_MS (30 * 1000)
#define ANSWER_ONCE_MS (5 * 1000)
#define STATUS_MIN_MS 2000
#define STATUS_MAX_MS 15000
#define RESCAN_MS 5000

struct spoke {
	const struct carrier_zmq_spoke_options *options;
	void *ctx, *sock, *monitor;
	struct carrier_link *link;
	struct carrier_signals signals;
	struct carrier_budget budget;
	struct carrier_counters counters; /* bytes and refusals */
	int watch;
	unsigned attempt;  /* sockets opened so far */
	int64_t answer_by; /* give up this socket then */
	int64_t reopen_at, reopen_wait;
	int64_t last_seen_wall;
	const char *trouble; /* static; what went wrong last */
	struct carrier_limiter log_trouble;
	bool was_up, dirty;
	int64_t started_wall, status_at;
};

static enum carrier_sent
spoke_send(void *arg, const struct carrier_frames *frames)
{
	struct spoke *spoke = arg;

	if (spoke->sock == NULL)
		return CARRIER_SENT_GONE;
	return carrier_sock_send(
	    spoke->sock, SLICE_NULL, frames, &spoke->counters.bytes_out);
}

static void
spoke_shut(struct spoke *spoke, int linger)
{
	if (spoke->sock != NULL) {
		(void)zmq_setsockopt(
		    spoke->sock, ZMQ_LINGER, &linger, sizeof(linger));
		(void)zmq_socket_monitor(spoke->sock, NULL, 0);
		zmq_close(spoke->sock);
		spoke->sock = NULL;
	}
	if (spoke->monitor != NULL)
		zmq_close(spoke->monitor);
	spoke->monitor = NULL;
	carrier_link_disconnected(spoke->link);
}

/* A literal says its family. Names are tried as IPv4 and as IPv6 in turn,
 * because ZeroMQ does not fall back by itself. */
static bool
spoke_ipv6(const struct spoke *spoke)
{
	const char *host = spoke->options->endpoint;

	if (strchr(host, '[') != NULL)
		return true;
	if (strncmp(host, "tcp://", 6) == 0)
		host += 6;
	if (host[strspn(host, "0123456789.")] == ':')
		return false;
	return spoke->attempt % 2 == 1;
}

static int
spoke_socket(struct spoke *spoke, struct err *err)
{
	const struct carrier_zmq_spoke_options *o = spoke->options;
	void *sock;

	sock = carrier_sock_new(spoke->ctx, ZMQ_DEALER, spoke_ipv6(spoke), err);
	if (sock == NULL)
		return -1;
	spoke->sock = sock;
	if (carrier_sock_set_int(sock, ZMQ_IMMEDIATE, 1, err) < 0 ||
	    carrier_sock_set_int(sock, ZMQ_RECONNECT_IVL, 100, err) < 0 ||
	    carrier_sock_set_int(
		sock, ZMQ_RECONNECT_IVL_MAX, o->once ? 1000 : 60000, err) < 0 ||
	    carrier_sock_set_int(sock, ZMQ_CONNECT_TIMEOUT, 10000, err) < 0 ||
	    carrier_sock_set(sock, ZMQ_CURVE_SERVERKEY, o->hub_curve_public,
		CARRIER_CURVE_LEN, err) < 0 ||
	    carrier_sock_set(sock, ZMQ_CURVE_PUBLICKEY, o->curve_public,
		CARRIER_CURVE_LEN, err) < 0 ||
	    carrier_sock_set(sock, ZMQ_CURVE_SECRETKEY, o->curve_secret,
		CARRIER_CURVE_LEN, err) < 0)
		return -1;
	return 0;
}

static int
spoke_open(struct spoke *spoke, int64_t now, struct err *err)
{
	char name[64];

	if (spoke_socket(spoke, err) < 0)
		return -1;
	(void)snprintf(
	    name, sizeof(name), "inproc://spoke-monitor-%u", spoke->attempt++);
	spoke->monitor =
	    carrier_monitor_new(spoke->ctx, spoke->sock, name, err);
	if (spoke->monitor == NULL)
		return -1;
	if (zmq_connect(spoke->sock, spoke->options->endpoint) < 0)
		return err_set(err, ERR_CONFIG, "hub address %s: %s",
		    spoke->options->endpoint, zmq_strerror(zmq_errno()));
	spoke->answer_by =
	    now + (spoke->options->once ? ANSWER_ONCE_MS : ANSWER_MS);
	return 0;
}

/* Closes, to open again after the back-off. */
static void
spoke_again(struct spoke *spoke, const char *trouble, int64_t now)
{
	int64_t max = spoke->options->once ? REOPEN_ONCE_MS : REOPEN_MAX_MS;
	unsigned held;

	spoke_shut(spoke, 0);
	spoke->trouble = trouble;
	spoke->counters.refused++;
	spoke->reopen_wait *= 2;
	if (spoke->reopen_wait < REOPEN_MIN_MS)
		spoke->reopen_wait = REOPEN_MIN_MS;
	if (spoke->reopen_wait > max)
		spoke->reopen_wait = max;
	spoke->reopen_at = now + spoke->reopen_wait;
	spoke->dirty = true;
	if (carrier_limiter_pass(&spoke->log_trouble, now, &held))
		log_warn("hub not reached endpoint=%s reason=\"%s\" more=%u",
		    spoke->options->endpoint, trouble, held);
}

static uint32_t
random_epoch(void)
{
	struct id id;
	uint32_t epoch = 0;

	if (id_random(&id, NULL) == 0)
		memcpy(&epoch, id.bytes, sizeof(epoch));
	/* 0 is the hub's, and the next one must not be 0 either. */
	return (epoch & 0x7fffffff) | 1;
}

static void
spoke_events(struct spoke *spoke, int64_t now)
{
	uint16_t event;
	uint32_t value;

	while (spoke->monitor != NULL &&
	       carrier_monitor_next(spoke->monitor, &event, &value) > 0) {
		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
			carrier_link_connected(spoke->link, random_epoch());
			spoke->answer_by = now + ANSWER_MS / 3;
		} else if (event == ZMQ_EVENT_DISCONNECTED) {
			if (carrier_link_up(spoke->link))
				log_info("connection lost endpoint=%s",
				    spoke->options->endpoint);
			carrier_link_disconnected(spoke->link);
			spoke->trouble = "connection lost";
			spoke->answer_by =
			    now +
			    (spoke->options->once ? ANSWER_ONCE_MS : ANSWER_MS);
			spoke->dirty = true;
		} else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH &&
			   value != 300) {
			spoke_again(
			    spoke, "the hub does not know our key", now);
		} else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
			spoke_again(spoke,
			    "not a hub, or not the hub that we know", now);
		}
	}
}

static int
spoke_input(struct spoke *spoke, int64_t now, struct err *err)
{
	while (spoke->sock != NULL) {
		struct carrier_message message = {0};
		struct carrier_inbound in;
		struct err why = {0};
		int rc = carrier_inbound_recv(spoke->sock, false, &in, err);

		if (rc <= 0)
			return rc;
		spoke->counters.bytes_in += in.bytes;
		spoke->last_seen_wall = clock_now_ms();
		rc = carrier_inbound_decode(&in, &message, &why);
		if (rc == 0)
			rc = carrier_link_input(
			    spoke->link, &message, now, &why);
		carrier_message_fini(&message);
		carrier_inbound_fini(&in);
		if (rc < 0) {
			log_err(&why, "hub broke the protocol endpoint=%s",
			    spoke->options->endpoint);
			spoke_again(spoke, "the hub broke the protocol", now);
		}
	}
	return 0;
}

/* Silence, or a greeting without answer. */
static void
spoke_watchdog(struct spoke *spoke, int64_t now)
{
	bool up = carrier_link_up(spoke->link);

	if (up && !spoke->was_up) {
		log_info("connected endpoint=%s", spoke->options->endpoint);
		spoke->reopen_wait = 0;
		spoke->trouble = NULL;
		spoke->dirty = true;
	}
	spoke->was_up = up;
	if (spoke->sock == NULL)
		return;
	if (up && carrier_link_stalled(spoke->link, now))
		spoke_again(spoke, "the transfer stalled", now);
	else if (!up && now >= spoke->answer_by)
		spoke_again(spoke,
		    spoke->trouble == NULL ? "no answer" : spoke->trouble, now);
}

static void
spoke_counters(const struct spoke *spoke, struct carrier_counters *out)
{
	const struct carrier_counters *l = carrier_link_counters(spoke->link);

	*out = spoke->counters;
	out->messages_in = l->messages_in;
	out->messages_out = l->messages_out;
}

static void
spoke_status(struct spoke *spoke, int64_t now)
{
	struct carrier_counters c;
	struct buf json;

	if (spoke->options->status_path == NULL ||
	    now - spoke->status_at <
		(spoke->dirty ? STATUS_MIN_MS : STATUS_MAX_MS))
		return;
	spoke_counters(spoke, &c);
	buf_init(&json, 64 * 1024);
	buf_addf(&json, "{\"pid\":%ld,\"started\":%lld,\"updated\":%lld,",
	    (long)getpid(), (long long)spoke->started_wall,
	    (long long)clock_now_ms());
	buf_add_str(&json, "\"endpoint\":");
	buf_add_json(&json, slice_str(spoke->options->endpoint));
	buf_addf(&json, ",\"connected\":%s,\"last_seen\":%lld,",
	    carrier_link_up(spoke->link) ? "true" : "false",
	    (long long)spoke->last_seen_wall);
	buf_add_str(&json, "\"trouble\":");
	buf_add_json(&json, slice_str(spoke->trouble));
	buf_add_str(&json, ",\"refusal\":");
	buf_add_json(&json, slice_str(carrier_link_refusal(spoke->link)));
	buf_add_byte(&json, ',');
	carrier_status_counters(&json, &c);
	buf_add_str(&json, "}\n");
	carrier_status_write(spoke->options->status_path, &json);
	buf_fini(&json);
	spoke->status_at = now;
	spoke->dirty = false;
}

/* With once: 1 done, 0 go on, -1 out of time. */
static int
spoke_finished(
    const struct spoke *spoke, int64_t now, int64_t end, struct err *err)
{
	const struct carrier_zmq_spoke_options *o = spoke->options;
	const char *why = spoke->trouble;

	if (!o->once)
		return 0;
	if (carrier_link_settled(spoke->link) &&
	    carrier_link_counters(spoke->link)->messages_in >=
		o->expect_messages)
		return 1;
	if (o->deadline_ms <= 0 || now < end)
		return 0;
	if (carrier_link_refusal(spoke->link) != NULL)
		why = carrier_link_refusal(spoke->link);
	else if (carrier_link_up(spoke->link))
		why = "connected, but not everything was exchanged";
	return err_set(err, ERR_TEMPORARY, "hub %s: %s after %lld ms",
	    o->endpoint, why == NULL ? "no connection" : why,
	    (long long)o->deadline_ms);
}

static int
spoke_wait(
    struct spoke *spoke, int64_t until, bool *out_changed, struct err *err)
{
	zmq_pollitem_t items[] = {{NULL, spoke->watch, ZMQ_POLLIN, 0},
	    {NULL, spoke->signals.fd, ZMQ_POLLIN, 0},
	    {spoke->sock, 0, ZMQ_POLLIN, 0},
	    {spoke->monitor, 0, ZMQ_POLLIN, 0}};
	int64_t now = clock_mono_ms();

	if (zmq_poll(items, spoke->sock == NULL ? 2 : 4,
		until > now ? (long)(until - now) : 0) < 0 &&
	    zmq_errno() != EINTR)
		return err_set(err, ERR_INTERNAL, "ZeroMQ poll: %s",
		    zmq_strerror(zmq_errno()));
	*out_changed = items[0].revents != 0;
	return 0;
}

/* When the loop must run again though nothing happens. */
static int64_t
spoke_until(const struct spoke *spoke, int64_t due, int64_t end)
{
	int64_t until = due;

	if (spoke->sock == NULL)
		until = spoke->reopen_at;
	else if (!carrier_link_up(spoke->link) && spoke->answer_by < until)
		until = spoke->answer_by;
	if (spoke->options->once && spoke->options->deadline_ms > 0 &&
	    end < until)
		until = end;
	return until;
}

static int
spoke_loop(struct spoke *spoke, struct err *err)
{
	int64_t now = clock_mono_ms(), rescan_at = 0, until = now;
	int64_t end = now + spoke->options->deadline_ms;
	int finished = 0;

	while (spoke->signals.caught == 0 && finished == 0) {
		bool changed = false;

		if (spoke_wait(spoke, until, &changed, err) < 0)
			return -1;
		now = clock_mono_ms();
		if (spoke->sock == NULL && now >= spoke->reopen_at &&
		    spoke_open(spoke, now, err) < 0)
			return -1;
		spoke_events(spoke, now);
		if (spoke_input(spoke, now, err) < 0)
			return -1;
		if (changed || now >= rescan_at) {
			spool_watch_read(spoke->watch);
			carrier_link_changed(spoke->link);
			rescan_at = now + RESCAN_MS;
		}
		until = carrier_link_pump(spoke->link, now);
		spoke_watchdog(spoke, now);
		spoke_status(spoke, now);
		finished = spoke_finished(spoke, now, end, err);
		until = spoke_until(spoke, until, end);
		carrier_signals_read(&spoke->signals);
	}
	return finished < 0 ? -1 : 0;
}

static void
spoke_close(struct spoke *spoke, int linger)
{
	spoke_shut(spoke, linger);
	while (spoke->ctx != NULL && zmq_ctx_term(spoke->ctx) < 0 &&
	       zmq_errno() == EINTR)
		;
	if (spoke->watch >= 0)
		close(spoke->watch);
	carrier_signals_close(&spoke->signals);
}

int
carrier_zmq_spoke_run(const struct carrier_zmq_spoke_options *options,
    struct carrier_counters *out_counters, struct err *err)
{
	struct spoke spoke = {.options = options,
	    .watch = -1,
	    .signals.fd = -1,
	    .budget.max = CARRIER_BUDGET_BYTES,
	    .started_wall = clock_now_ms(),
	    .status_at = INT64_MIN / 2,
	    .dirty = true};
	struct carrier_link_options link = {.spool = options->spool,
	    .peer = options->peer,
	    .budget = &spoke.budget,
	    .send = spoke_send,
	    .arg = &spoke};
	int rc = -1, caught;

	spoke.link = carrier_link_new(&link);
	if (carrier_signals_open(&spoke.signals, err) < 0 ||
	    spool_watch_open(options->spool, &spoke.watch, err) < 0 ||
	    spool_watch_peer(
		options->spool, spoke.watch, options->peer, SPOOL_OUT, err) < 0)
		goto out;
	spoke.ctx = zmq_ctx_new();
	if (spoke.ctx == NULL) {
		err_set(err, ERR_INTERNAL, "ZeroMQ context: %s",
		    zmq_strerror(zmq_errno()));
		goto out;
	}
	rc = spoke_loop(&spoke, err);
out:
	if (out_counters != NULL)
		spoke_counters(&spoke, out_counters);
	caught = spoke.signals.caught;
	spoke_close(&spoke, rc == 0 ? CARRIER_SOCK_LINGER_MS : 0);
	carrier_link_free(spoke.link);
	/* One exchange inside a larger run: the signal was meant for that. */
	if (caught != 0 && options->once) {
		(void)raise(caught);
		rc = err_set(err, ERR_TEMPORARY, "stopped by a signal");
	}
	return rc;
}
