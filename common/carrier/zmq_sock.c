/* ZeroMQ's sockets as this project uses them; see zmq_sock.h. */
#include "common/carrier/zmq_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"

#define LIMITER_MS (10 * CLOCK_SECOND_MS)

static int
set_failed(int option, struct err *err)
{
	return err_set(err, ERR_INTERNAL, "ZeroMQ option %d: %s", option,
	    zmq_strerror(zmq_errno()));
}

int
carrier_sock_set(
    void *sock, int option, const void *value, size_t len, struct err *err)
{
	if (zmq_setsockopt(sock, option, value, len) < 0)
		return set_failed(option, err);
	return 0;
}

int
carrier_sock_set_int(void *sock, int option, int value, struct err *err)
{
	return carrier_sock_set(sock, option, &value, sizeof(value), err);
}

void *
carrier_sock_new(void *ctx, int type, bool ipv6, struct err *err)
{
	/* The decoder allocates what a frame declares, before anyone is
	 * authenticated: MAXMSGSIZE stays small. */
	static const int64_t max_frame = CARRIER_WIRE_FRAME_MAX;
	static const struct {
		int option, value;
	} options[] = {
	    {ZMQ_LINGER, CARRIER_SOCK_LINGER_MS},
	    {ZMQ_HANDSHAKE_IVL, 5000},
	    {ZMQ_HEARTBEAT_IVL, 15000},
	    {ZMQ_HEARTBEAT_TIMEOUT, 45000},
	    {ZMQ_HEARTBEAT_TTL, 60000},
	    {ZMQ_SNDHWM, CARRIER_SOCK_HWM},
	    {ZMQ_RCVHWM, CARRIER_SOCK_HWM},
	    {ZMQ_BACKLOG, 100},
	};
	void *sock = zmq_socket(ctx, type);

	if (sock == NULL) {
		err_set(err, ERR_INTERNAL, "ZeroMQ socket: %s",
		    zmq_strerror(zmq_errno()));
		return NULL;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (carrier_sock_set_int(
			sock, options[i].option, options[i].value, err) < 0)
			goto fail;
	if (carrier_sock_set(
		sock, ZMQ_MAXMSGSIZE, &max_frame, sizeof(max_frame), err) < 0 ||
	    carrier_sock_set_int(sock, ZMQ_IPV6, ipv6, err) < 0)
		goto fail;
	return sock;
fail:
	zmq_close(sock);
	return NULL;
}

/* 1, 0 nothing waiting, -1. */
static int
part_recv(void *sock, zmq_msg_t *part, struct err *err)
{
	int rc;

	zmq_msg_init(part);
	do
		rc = zmq_msg_recv(part, sock, ZMQ_DONTWAIT);
	while (rc < 0 && zmq_errno() == EINTR);
	if (rc >= 0)
		return 1;
	zmq_msg_close(part);
	if (zmq_errno() == EAGAIN)
		return 0;
	return err_set(
	    err, ERR_INTERNAL, "ZeroMQ receive: %s", zmq_strerror(zmq_errno()));
}

int
carrier_inbound_recv(
    void *sock, bool router, struct carrier_inbound *in, struct err *err)
{
	bool more;
	int rc;

	memset(in, 0, sizeof(*in));
	if (router) {
		rc = part_recv(sock, &in->route, err);
		if (rc <= 0)
			return rc;
		in->routed = true;
		if (!zmq_msg_more(&in->route))
			return 1;
	}
	do {
		zmq_msg_t part;

		rc = part_recv(sock, &part, err);
		if (rc <= 0) {
			carrier_inbound_fini(in);
			return rc;
		}
		more = zmq_msg_more(&part);
		in->bytes += zmq_msg_size(&part);
		if (in->count < CARRIER_FRAMES_MAX) {
			in->parts[in->count++] = part;
		} else {
			in->excess = true;
			zmq_msg_close(&part);
		}
	} while (more);
	return 1;
}

void
carrier_inbound_fini(struct carrier_inbound *in)
{
	if (in->routed)
		zmq_msg_close(&in->route);
	for (size_t i = 0; i < in->count; i++)
		zmq_msg_close(&in->parts[i]);
	in->count = 0;
	in->routed = false;
}

int
carrier_inbound_decode(struct carrier_inbound *in,
    struct carrier_message *out_message, struct err *err)
{
	struct slice parts[CARRIER_FRAMES_MAX];

	memset(out_message, 0, sizeof(*out_message));
	if (in->excess)
		return err_set(err, ERR_BAD_DATA, "link: too many frames");
	for (size_t i = 0; i < in->count; i++)
		parts[i] = slice_make(
		    zmq_msg_data(&in->parts[i]), zmq_msg_size(&in->parts[i]));
	return carrier_message_decode(parts, in->count, out_message, err);
}

static int
part_send(void *sock, struct slice s, bool more)
{
	int rc;

	do
		rc = zmq_send(sock, s.data == NULL ? "" : (const void *)s.data,
		    s.len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
	while (rc < 0 && zmq_errno() == EINTR);
	return rc;
}

enum carrier_sent
carrier_sock_send(void *sock, struct slice route,
    const struct carrier_frames *frames, uint64_t *bytes)
{
	uint64_t total = 0;
	int rc = 0;

	if (route.len > 0)
		rc = part_send(sock, route, true);
	for (size_t i = 0; rc >= 0 && i < frames->count; i++) {
		rc = part_send(
		    sock, buf_slice(&frames->parts[i]), i + 1 < frames->count);
		total += frames->parts[i].len;
	}
	if (rc < 0)
		return zmq_errno() == EAGAIN ? CARRIER_SENT_LATER
					     : CARRIER_SENT_GONE;
	*bytes += total;
	return CARRIER_SENT;
}

void *
carrier_monitor_new(void *ctx, void *sock, const char *name, struct err *err)
{
	const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED |
			   ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
			   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
			   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
			   ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
	void *monitor = zmq_socket(ctx, ZMQ_PAIR);
	int linger = 0;

	if (monitor == NULL || zmq_socket_monitor(sock, name, events) < 0 ||
	    zmq_setsockopt(monitor, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
	    zmq_connect(monitor, name) < 0) {
		err_set(err, ERR_INTERNAL, "ZeroMQ monitor: %s",
		    zmq_strerror(zmq_errno()));
		if (monitor != NULL)
			zmq_close(monitor);
		return NULL;
	}
	return monitor;
}

int
carrier_monitor_next(void *monitor, uint16_t *out_event, uint32_t *out_value)
{
	zmq_msg_t part;
	bool first = true, more = true, found = false;

	while (more) {
		if (part_recv(monitor, &part, NULL) <= 0)
			return 0;
		/* Unaligned: copied. */
		if (first && zmq_msg_size(&part) >= 6) {
			const uint8_t *p = zmq_msg_data(&part);

			memcpy(out_event, p, 2);
			memcpy(out_value, p + 2, 4);
			found = true;
		}
		first = false;
		more = zmq_msg_more(&part);
		zmq_msg_close(&part);
	}
	return found;
}

int
carrier_signals_open(struct carrier_signals *signals, struct err *err)
{
	sigset_t set;

	memset(signals, 0, sizeof(*signals));
	signals->fd = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, &signals->old) < 0)
		return err_set_errno(err, ERR_INTERNAL, "sigprocmask");
	signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals->fd < 0) {
		err_set_errno(err, ERR_INTERNAL, "signalfd");
		sigprocmask(SIG_SETMASK, &signals->old, NULL);
		return -1;
	}
	return 0;
}

void
carrier_signals_read(struct carrier_signals *signals)
{
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		signals->caught = (int)info.ssi_signo;
}

void
carrier_signals_close(struct carrier_signals *signals)
{
	if (signals->fd < 0)
		return;
	close(signals->fd);
	signals->fd = -1;
	sigprocmask(SIG_SETMASK, &signals->old, NULL);
}

bool
carrier_limiter_pass(
    struct carrier_limiter *limiter, int64_t now, unsigned *out_held)
{
	if (now < limiter->next) {
		limiter->held++;
		return false;
	}
	*out_held = limiter->held;
	limiter->held = 0;
	limiter->next = now + LIMITER_MS;
	return true;
}

void
carrier_status_write(const char *path, const struct buf *json)
{
	char *tmp = mem_printf("%s.new", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && !buf_failed(json) &&
		  fsio_write_all(fd, buf_slice(json), NULL) == 0;

	if (fd >= 0 && close(fd) < 0)
		ok = false;
	if (!ok || rename(tmp, path) < 0)
		(void)unlink(tmp);
	free(tmp);
}

void
carrier_status_counters(
    struct buf *json, const struct carrier_counters *counters)
{
	buf_addf(json,
	    "\"messages_in\":%llu,\"messages_out\":%llu,\"bytes_in\":%llu,"
	    "\"bytes_out\":%llu,\"refused\":%llu",
	    (unsigned long long)counters->messages_in,
	    (unsigned long long)counters->messages_out,
	    (unsigned long long)counters->bytes_in,
	    (unsigned long long)counters->bytes_out,
	    (unsigned long long)counters->refused);
}
