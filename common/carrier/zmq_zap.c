/* The ZAP handler and the proof that it is asked; see zmq_zap.h. */
#include "common/carrier/zmq_zap.h"

#include <errno.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/carrier/zmq_sock.h"

/* version, id, domain, address, routing id, mechanism, key (RFC 27). */
#define REQUEST_FRAMES 7
#define PROVE_MS 3000
/* In every release since 4.3, but declared only with draft interfaces. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

void *
carrier_zap_new(void *ctx, struct err *err)
{
	void *zap = zmq_socket(ctx, ZMQ_REP);
	int linger = 0;

	if (zap == NULL ||
	    zmq_setsockopt(zap, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
	    zmq_bind(zap, "inproc://zeromq.zap.01") < 0) {
		err_set(err, ERR_INTERNAL, "ZAP handler: %s",
		    zmq_strerror(zmq_errno()));
		if (zap != NULL)
			zmq_close(zap);
		return NULL;
	}
	return zap;
}

struct zap_request {
	uint8_t frames[REQUEST_FRAMES][256];
	size_t lens[REQUEST_FRAMES];
	size_t count; /* received, also beyond the array */
};

/* Frames longer than the array are cut, and then fit nothing. */
static bool
request_recv(void *zap, struct zap_request *request)
{
	int more = 1;
	size_t size = sizeof(more);

	memset(request, 0, sizeof(*request));
	while (more) {
		uint8_t spare[256], *at = spare;
		int n;

		if (request->count < REQUEST_FRAMES)
			at = request->frames[request->count];
		n = zmq_recv(zap, at, sizeof(spare), ZMQ_DONTWAIT);
		if (n < 0 && zmq_errno() == EINTR)
			continue;
		if (n < 0)
			return false;
		if (request->count < REQUEST_FRAMES)
			request->lens[request->count] = (size_t)n;
		request->count++;
		if (zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) < 0)
			return false;
	}
	return true;
}

static bool
frame_is(const struct zap_request *request, size_t i, const char *text)
{
	return slice_equal(
	    slice_make(request->frames[i], request->lens[i]), slice_str(text));
}

static enum carrier_verdict
request_judge(
    const struct zap_request *request, carrier_verdict_fn *verdict, void *arg)
{
	if (request->count != REQUEST_FRAMES || !frame_is(request, 0, "1.0") ||
	    !frame_is(request, 2, CARRIER_ZAP_DOMAIN) ||
	    !frame_is(request, 5, "CURVE") ||
	    request->lens[6] != CARRIER_CURVE_LEN)
		return CARRIER_DENY;
	return verdict(arg, request->frames[6]);
}

/* Exactly six frames, else ZeroMQ calls it a protocol error. */
static void
request_answer(
    void *zap, const struct zap_request *request, enum carrier_verdict verdict)
{
	static const char *const codes[] = {[CARRIER_ADMIT] = "200",
	    [CARRIER_LATER] = "300",
	    [CARRIER_DENY] = "400"};
	static const char *const texts[] = {[CARRIER_ADMIT] = "",
	    [CARRIER_LATER] = "later",
	    [CARRIER_DENY] = "unknown key"};
	size_t id_len = request->lens[1] <= 256 ? request->lens[1] : 256;
	struct buf user;

	buf_init(&user, CARRIER_CURVE_HEX);
	if (verdict == CARRIER_ADMIT)
		buf_add_hex(
		    &user, slice_make(request->frames[6], CARRIER_CURVE_LEN));
	(void)zmq_send(zap, "1.0", 3, ZMQ_SNDMORE);
	(void)zmq_send(zap, request->frames[1], id_len, ZMQ_SNDMORE);
	(void)zmq_send(zap, codes[verdict], 3, ZMQ_SNDMORE);
	(void)zmq_send(
	    zap, texts[verdict], strlen(texts[verdict]), ZMQ_SNDMORE);
	(void)zmq_send(zap, buf_cstr(&user), user.len, ZMQ_SNDMORE);
	(void)zmq_send(zap, "", 0, 0);
	buf_fini(&user);
}

void
carrier_zap_step(void *zap, carrier_verdict_fn *verdict, void *arg)
{
	struct zap_request *request = mem_alloc(sizeof(*request));

	while (request_recv(zap, request))
		request_answer(
		    zap, request, request_judge(request, verdict, arg));
	free(request);
}

int
carrier_zap_guard(void *server, struct err *err)
{
	/* Either one alone admits everybody. */
	if (carrier_sock_set(server, ZMQ_ZAP_DOMAIN, CARRIER_ZAP_DOMAIN,
		strlen(CARRIER_ZAP_DOMAIN), err) < 0)
		return -1;
	return carrier_sock_set_int(server, ZMQ_ZAP_ENFORCE_DOMAIN, 1, err);
}

/* Where to reach our own bound socket. */
static int
prove_endpoint(void *server, char *out, size_t size, struct err *err)
{
	char bound[256] = "";
	size_t len = sizeof(bound) - 1;
	const char *port;

	if (zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, bound, &len) < 0)
		return err_set(err, ERR_INTERNAL, "no bound endpoint");
	port = strrchr(bound, ':');
	if (port != NULL && strncmp(bound, "tcp://0.0.0.0:", 14) == 0)
		(void)snprintf(out, size, "tcp://127.0.0.1%s", port);
	else if (port != NULL && strncmp(bound, "tcp://[::]:", 11) == 0)
		(void)snprintf(out, size, "tcp://[::1]%s", port);
	else
		(void)snprintf(out, size, "%s", bound);
	return 0;
}

/* A client with a key that nobody knows. */
static void *
prove_client(void *ctx, const uint8_t server_public[CARRIER_CURVE_LEN],
    const char *endpoint, void **out_monitor, struct err *err)
{
	bool ipv6 = strchr(endpoint, '[') != NULL;
	void *client = carrier_sock_new(ctx, ZMQ_DEALER, ipv6, err);
	char public[41], secret[41];

	*out_monitor = NULL;
	if (client == NULL)
		return NULL;
	if (zmq_curve_keypair(public, secret) < 0) {
		err_set(err, ERR_INTERNAL, "ZeroMQ has no CURVE");
		goto fail;
	}
	if (carrier_sock_set_int(client, ZMQ_LINGER, 0, err) < 0 ||
	    carrier_sock_set(client, ZMQ_CURVE_SERVERKEY, server_public,
		CARRIER_CURVE_LEN, err) < 0 ||
	    carrier_sock_set(
		client, ZMQ_CURVE_PUBLICKEY, public, strlen(public), err) < 0 ||
	    carrier_sock_set(
		client, ZMQ_CURVE_SECRETKEY, secret, strlen(secret), err) < 0)
		goto fail;
	*out_monitor =
	    carrier_monitor_new(ctx, client, "inproc://zap-proof", err);
	if (*out_monitor == NULL)
		goto fail;
	if (zmq_connect(client, endpoint) < 0) {
		err_set(err, ERR_INTERNAL, "%s: %s", endpoint,
		    zmq_strerror(zmq_errno()));
		goto fail;
	}
	return client;
fail:
	if (*out_monitor != NULL)
		zmq_close(*out_monitor);
	*out_monitor = NULL;
	zmq_close(client);
	return NULL;
}

/* 1 refused, -1 admitted or undecided, 0 not known yet. */
static int
prove_look(void *monitor, struct err *err)
{
	uint16_t event;
	uint32_t value;

	while (carrier_monitor_next(monitor, &event, &value) > 0) {
		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
			return err_set(err, ERR_INTERNAL,
			    "a stranger's key was admitted: access control "
			    "of the live link does not work");
		if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && value == 400)
			return 1;
	}
	return 0;
}

int
carrier_zap_prove(void *ctx, void *server, void *zap,
    const uint8_t server_public[CARRIER_CURVE_LEN], carrier_verdict_fn *verdict,
    void *arg, struct err *err)
{
	int64_t end = clock_mono_ms() + PROVE_MS;
	void *client, *monitor;
	char endpoint[256];
	int rc;

	if (prove_endpoint(server, endpoint, sizeof(endpoint), err) < 0)
		return -1;
	client = prove_client(ctx, server_public, endpoint, &monitor, err);
	if (client == NULL)
		return -1;
	do {
		zmq_pollitem_t items[] = {
		    {zap, 0, ZMQ_POLLIN, 0}, {monitor, 0, ZMQ_POLLIN, 0}};

		(void)zmq_poll(items, 2, 50);
		carrier_zap_step(zap, verdict, arg);
		rc = prove_look(monitor, err);
	} while (rc == 0 && clock_mono_ms() < end);
	if (rc == 0)
		rc = err_set(err, ERR_INTERNAL,
		    "%s: could not prove that strangers are refused", endpoint);
	zmq_socket_monitor(client, NULL, 0);
	zmq_close(client);
	zmq_close(monitor);
	return rc < 0 ? -1 : 0;
}
