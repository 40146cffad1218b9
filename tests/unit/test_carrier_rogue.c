/* Peers on the live link that break its rules, or are not who they say. */
#include "tests/unit/carrier_fixture.h"
#include "common/carrier/zmq_hub_internal.h"

/* --- a member that does not keep to the protocol --- */
static void *
rogue_new(void *ctx)
{
	void *s = zmq_socket(ctx, ZMQ_DEALER);
	int linger = 0, timeout = 2000;

	assert_non_null(s);
	zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof(linger));
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, fx_hub_keys.public, 32);
	zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, fx_keys.public, 32);
	zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, fx_keys.secret, 32);
	assert_int_equal(zmq_connect(s, fx_endpoint), 0);
	return s;
}

/* Says HELLO and demands its echo: the connection works. */
static void
rogue_greet(void *s)
{
	uint8_t hello[] = {1, 1, 0, 0, 0, 9}, got[64];

	assert_int_equal(zmq_send(s, hello, 6, 0), 6);
	assert_int_equal(zmq_recv(s, got, sizeof(got), 0), 6);
	assert_memory_equal(got, hello, 6);
	/* IDLE */
	assert_int_equal(zmq_recv(s, got, sizeof(got), 0), 2);
}

/* The hub is well, and keeps the rogue out for a while. */
static void
rogue_expect_dropped(void *ctx, void *s)
{
	uint8_t hello[] = {1, 1, 0, 0, 0, 9}, got[64];
	int timeout = 800;

	zmq_setsockopt(s, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	(void)zmq_send(s, hello, 6, ZMQ_DONTWAIT);
	assert_int_equal(zmq_recv(s, got, sizeof(got), 0), -1);
	zmq_close(s);
	zmq_ctx_term(ctx);
}

static void
rogue_frames(const uint8_t *frame, size_t len, unsigned count)
{
	pid_t hub = fx_start_hub();
	void *ctx = zmq_ctx_new(), *s = rogue_new(ctx);

	rogue_greet(s);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(
		    zmq_send(s, frame, len, i + 1 < count ? ZMQ_SNDMORE : 0),
		    len);
	rogue_expect_dropped(ctx, s);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

static void
test_too_many_frames(void **state)
{
	uint8_t idle[] = {1, 8};

	(void)state;
	rogue_frames(idle, 2, 2000);
}

static void
test_garbage(void **state)
{
	(void)state;
	rogue_frames((const uint8_t *)"GET / HTTP/1.0\r\n\r\n", 18, 1);
}

static void
test_unasked_chunk(void **state)
{
	static uint8_t offer[] = {1, 2, 0, 0, 0, 1, 1, 'a', 0, 0, 0, 0, 0, 0, 0,
	    9, [16 ... 47] = 7, 0, 0, 0, 0};
	uint8_t data[] = {1, 4, 0, 0, 0, 1, 0xff, 0, 0, 0}, got[128];
	pid_t hub = fx_start_hub();
	void *ctx = zmq_ctx_new(), *s = rogue_new(ctx);

	(void)state;
	rogue_greet(s);
	assert_int_equal(zmq_send(s, offer, sizeof(offer), 0), sizeof(offer));
	assert_int_equal(zmq_recv(s, got, sizeof(got), 0), 58); /* FETCH */
	assert_int_equal(got[1], 3);
	assert_int_equal(
	    zmq_send(s, data, sizeof(data), ZMQ_SNDMORE), sizeof(data));
	assert_int_equal(zmq_send(s, "123456789", 9, 0), 9);
	rogue_expect_dropped(ctx, s);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* ZeroMQ itself ends a connection that declares a frame above the cap. */
static void
test_oversize_frame(void **state)
{
	uint8_t *big = mem_calloc(1, 200 * 1024);
	pid_t hub = fx_start_hub();
	void *ctx = zmq_ctx_new(), *s = rogue_new(ctx);
	uint8_t got[64];
	int timeout = 500;

	(void)state;
	rogue_greet(s);
	big[0] = 1;
	big[1] = 1;
	assert_int_equal(zmq_send(s, big, 200 * 1024, 0), 200 * 1024);
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	assert_int_equal(zmq_recv(s, got, sizeof(got), 0), -1);
	zmq_close(s);
	zmq_ctx_term(ctx);
	free(big);
	/* The hub lives and serves the member. */
	fx_put(fx_spoke, "hub", "pub-1", NULL, 0, 1);
	assert_int_equal(fx_once(&fx_keys, 0, 10000).rc, 0);
	assert_int_equal(fx_stop(hub, SIGTERM), 0);
}

/* The proof sees each way in which ZAP fails open. */
static enum carrier_verdict
deny(void *arg, const uint8_t key[CARRIER_CURVE_LEN])
{
	(void)arg;
	(void)key;
	return CARRIER_DENY;
}

static enum carrier_verdict
admit(void *arg, const uint8_t key[CARRIER_CURVE_LEN])
{
	(void)arg;
	(void)key;
	return CARRIER_ADMIT;
}

/* 93 is ZMQ_ZAP_ENFORCE_DOMAIN. */
enum prove_case { PROVE_GOOD, PROVE_ONLY_ENFORCED, PROVE_ADMITS };

static int
prove(enum prove_case which)
{
	struct carrier_zmq_hub_options o = {.endpoint = fx_endpoint,
	    .curve_public = fx_hub_keys.public,
	    .curve_secret = fx_hub_keys.secret};
	void *ctx = zmq_ctx_new();
	void *zap = carrier_zap_new(ctx, &fx_err);
	void *router = hub_router_new(ctx, &o, &fx_err);
	int linger = 0, rc;

	assert_non_null(zap);
	assert_non_null(router);
	zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof(linger));
	if (which == PROVE_ONLY_ENFORCED)
		assert_int_equal(
		    carrier_sock_set_int(router, 93, 1, &fx_err), 0);
	else
		assert_int_equal(carrier_zap_guard(router, &fx_err), 0);
	assert_int_equal(zmq_bind(router, fx_endpoint), 0);
	rc = carrier_zap_prove(ctx, router, zap, fx_hub_keys.public,
	    which == PROVE_ADMITS ? admit : deny, NULL, &fx_err);
	zmq_close(router);
	zmq_close(zap);
	zmq_ctx_term(ctx);
	return rc;
}

static void
test_proof(void **state)
{
	(void)state;
	if (prove(PROVE_GOOD) < 0)
		fail_msg("%s", fx_err.message);
	/* The handler says no, is not asked, and everybody comes in. */
	assert_int_equal(prove(PROVE_ONLY_ENFORCED), -1);
	assert_int_equal(fx_err.class, ERR_INTERNAL);
	assert_non_null(strstr(fx_err.message, "stranger"));
	assert_int_equal(prove(PROVE_ADMITS), -1);
	assert_int_equal(fx_err.class, ERR_INTERNAL);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_too_many_frames),
	    T(test_garbage),
	    T(test_unasked_chunk),
	    T(test_oversize_frame),
	    T(test_proof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
