/*
 * Two links wired to each other in memory, on real spools: interruption after
 * every single message, replacement at every moment, windows and budgets.
 */
#include "tests/unit/carrier_fixture.h"
#include "common/carrier/link.h"

#define QUEUE_MAX 256

/* One direction of the wire: encoded messages. */
struct wire {
	struct buf parts[QUEUE_MAX][CARRIER_FRAMES_MAX];
	size_t counts[QUEUE_MAX];
	size_t head, tail;
	size_t capacity; /* messages in flight before "later" */
	unsigned sent;   /* ever */
};

struct side {
	struct carrier_link *link;
	struct wire out;
	struct carrier_budget budget;
	size_t asked; /* FETCH sent minus DATA received */
	size_t asked_most;
};

static struct side *hub, *spoke;
static int64_t now;

static enum carrier_sent
side_send(void *arg, const struct carrier_frames *frames)
{
	struct side *side = arg;
	struct wire *w = &side->out;
	size_t at = w->tail % QUEUE_MAX;

	if (w->tail - w->head >= w->capacity)
		return CARRIER_SENT_LATER;
	for (size_t i = 0; i < frames->count; i++) {
		buf_init(&w->parts[at][i], CARRIER_WIRE_FRAME_MAX);
		buf_add(&w->parts[at][i], buf_slice(&frames->parts[i]));
	}
	w->counts[at] = frames->count;
	w->tail++;
	w->sent++;
	if (frames->parts[0].data[1] == CARRIER_FETCH &&
	    ++side->asked > side->asked_most)
		side->asked_most = side->asked;
	return CARRIER_SENT;
}

static void
wire_pop(struct wire *w)
{
	size_t at = w->head++ % QUEUE_MAX;

	for (size_t i = 0; i < w->counts[at]; i++)
		buf_fini(&w->parts[at][i]);
}

static void
wire_clear(struct wire *w)
{
	while (w->head < w->tail)
		wire_pop(w);
}

/* Delivers one message; false when none waits. */
static bool
deliver(struct side *from, struct side *to)
{
	struct slice parts[CARRIER_FRAMES_MAX];
	struct carrier_message m;
	struct wire *w = &from->out;
	size_t at = w->head % QUEUE_MAX;

	if (w->head == w->tail)
		return false;
	for (size_t i = 0; i < w->counts[at]; i++)
		parts[i] = buf_slice(&w->parts[at][i]);
	assert_int_equal(
	    carrier_message_decode(parts, w->counts[at], &m, &fx_err), 0);
	if (m.type == CARRIER_DATA)
		to->asked--;
	assert_int_equal(carrier_link_input(to->link, &m, now, &fx_err), 0);
	carrier_message_fini(&m);
	wire_pop(w);
	return true;
}

static struct side *
side_new(bool is_hub)
{
	struct side *side = mem_calloc(1, sizeof(*side));
	struct carrier_link_options o = {.spool = is_hub ? fx_hub : fx_spoke,
	    .peer = is_hub ? "north" : "hub",
	    .hub = is_hub,
	    .budget = &side->budget,
	    .send = side_send,
	    .arg = side};

	side->budget.max = 64 * 1024 * 1024;
	side->out.capacity = QUEUE_MAX;
	side->link = carrier_link_new(&o);
	return side;
}

static void
side_free(struct side *side)
{
	carrier_link_free(side->link);
	assert_int_equal(side->budget.used, 0);
	wire_clear(&side->out);
	free(side);
}

static int
setup(void **state)
{
	fx_setup(state);
	log_init("test", 0);
	now = 1000;
	hub = side_new(true);
	spoke = side_new(false);
	carrier_link_connected(spoke->link, 1);
	return 0;
}

static int
teardown(void **state)
{
	side_free(hub);
	side_free(spoke);
	return fx_teardown(state);
}

/* The transport breaks: what was under way is lost. */
static void
cut(uint32_t epoch)
{
	wire_clear(&hub->out);
	wire_clear(&spoke->out);
	hub->asked = spoke->asked = 0;
	carrier_link_disconnected(hub->link);
	carrier_link_connected(spoke->link, epoch);
}

/* One round; false when nothing happened. */
static bool
step(void)
{
	bool a, b;

	(void)carrier_link_pump(spoke->link, now);
	(void)carrier_link_pump(hub->link, now);
	a = deliver(spoke, hub);
	b = deliver(hub, spoke);
	return a || b;
}

static void
run(void)
{
	unsigned rounds = 0;

	while (step())
		assert_true(++rounds < 100000);
}

static const size_t lens[] = {700 * 1024 + 1, 3, 65536, 200};

static void
expect_all(void)
{
	fx_expect(fx_hub, "north", "pub-1", lens, 4, 100);
	fx_expect(fx_spoke, "hub", "bun-1", lens, 3, 200);
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_OUT), 0);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 0);
	assert_true(carrier_link_settled(spoke->link));
	assert_true(carrier_link_settled(hub->link));
}

static void
put_both(void)
{
	fx_put(fx_spoke, "hub", "pub-1", lens, 4, 100);
	fx_put(fx_hub, "north", "bun-1", lens, 3, 200);
}

static void
test_both_ways(void **state)
{
	(void)state;
	put_both();
	run();
	expect_all();
	/* The window is used, and never exceeded. */
	assert_int_equal(hub->asked_most, CARRIER_CREDITS);
	assert_int_equal(spoke->asked_most, CARRIER_CREDITS);
}

/* A transport that takes one message at a time stops nothing. */
static void
test_narrow(void **state)
{
	(void)state;
	hub->out.capacity = spoke->out.capacity = 1;
	put_both();
	run();
	expect_all();
}

static void
test_budget(void **state)
{
	(void)state;
	hub->budget.max = spoke->budget.max = 2 * CARRIER_CHUNK_BYTES;
	put_both();
	for (unsigned i = 0; i < 100000 && step(); i++) {
		/* Each half may have one chunk beyond. */
		assert_true(
		    hub->budget.used <= 4 * (uint64_t)CARRIER_CHUNK_BYTES);
		assert_true(
		    spoke->budget.used <= 4 * (uint64_t)CARRIER_CHUNK_BYTES);
	}
	expect_all();
}

/* The connection breaks after every n-th message, for every n: everything
 * arrives whole, and only once in the box. */
static void
test_cut_everywhere(void **state)
{
	unsigned n, rounds;

	for (n = 4; n < 60; n += 3) {
		unsigned since = 0;
		uint32_t epoch = 2;

		put_both();
		carrier_link_changed(hub->link);
		carrier_link_changed(spoke->link);
		for (rounds = 0; step() && rounds < 5000; rounds++)
			if (++since == n && epoch < 40) {
				cut(epoch++);
				since = 0;
			}
		expect_all();
		assert_true(rounds < 5000);
		assert_true(n > 20 || epoch > 2);
		teardown(state);
		setup(state);
	}
}

/* The peer is killed between "durable" and DONE: not taken twice while it
 * waits in the box. */
static void
test_done_lost(void **state)
{
	unsigned sent;

	(void)state;
	fx_put(fx_spoke, "hub", "pub-1", lens, 2, 100);
	while (fx_count(fx_hub, "north", SPOOL_IN) == 0)
		assert_true(step());
	cut(9);
	sent = spoke->out.sent;
	run();
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 0);
	fx_expect(fx_hub, "north", "pub-1", lens, 2, 100);
	/* HELLO, OFFER, IDLE: no chunk again. */
	assert_int_equal(spoke->out.sent - sent, 3);
}

/* A small message needs no chunk: HELLO, OFFER, IDLE there; HELLO, IDLE and
 * DONE back. */
static void
test_small(void **state)
{
	(void)state;
	fx_put(fx_spoke, "hub", "ack-1", lens, 0, 100);
	run();
	fx_expect(fx_hub, "north", "ack-1", lens, 0, 100);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 0);
	assert_int_equal(hub->asked_most, 0);
	assert_int_equal(spoke->out.sent, 3);
	assert_int_equal(hub->out.sent, 3);
}

/* What rides with an offer is verified like what was asked for. */
static void
test_small_forged(void **state)
{
	struct carrier_message m = {.type = CARRIER_HELLO, .epoch = 3};
	static const uint8_t bytes[100] = {1};

	(void)state;
	assert_int_equal(carrier_link_input(hub->link, &m, now, &fx_err), 0);
	m = (struct carrier_message){.type = CARRIER_OFFER,
	    .offer = 1,
	    .data = slice_make(bytes, sizeof(bytes)),
	    .message = {.name = "ack-1", .length = sizeof(bytes)}};
	assert_int_equal(carrier_link_input(hub->link, &m, now, &fx_err), 0);
	wire_clear(&hub->out);
	hub->out.sent = 0;
	(void)carrier_link_pump(hub->link, now);
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_IN), 0);
	assert_true(hub->out.head < hub->out.tail);
	/* HELLO, perhaps, and the refusal. */
	assert_int_equal(
	    hub->out.parts[(hub->out.tail - 2) % QUEUE_MAX][0].data[1],
	    CARRIER_REFUSE);
}

/* Taken out by a worker and sent again on purpose: it arrives again. */
static void
test_sent_again(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		fx_put(fx_hub, "north", "bun-1", lens, 1, 5);
		carrier_link_changed(hub->link);
		run();
		fx_expect(fx_spoke, "hub", "bun-1", lens, 1, 5);
		assert_int_equal(
		    spool_drop(fx_spoke, "hub", SPOOL_IN, "bun-1", &fx_err), 0);
	}
}

/* Replaced by a newer name after k rounds, for every k. */
static void
test_replaced_everywhere(void **state)
{
	for (unsigned k = 0; k < 40; k += 2) {
		fx_put(fx_hub, "north", "bun-1", lens, 3, 200);
		for (unsigned i = 0; i < k; i++)
			step();
		fx_put(fx_hub, "north", "bun-2", lens, 2, 200);
		assert_int_equal(
		    spool_drop(fx_hub, "north", SPOOL_OUT, "bun-1", &fx_err),
		    0);
		carrier_link_changed(hub->link);
		run();
		fx_expect(fx_spoke, "hub", "bun-2", lens, 2, 200);
		assert_int_equal(fx_count(fx_hub, "north", SPOOL_OUT), 0);
		assert_true(carrier_link_settled(spoke->link));
		teardown(state);
		setup(state);
	}
}

/* The same name with other content, and taken back altogether. */
static void
test_same_name_and_gone(void **state)
{
	(void)state;
	fx_put(fx_hub, "north", "bun-1", lens, 3, 200);
	for (unsigned i = 0; i < 10; i++)
		step();
	fx_put(fx_hub, "north", "bun-1", lens, 1, 900);
	carrier_link_changed(hub->link);
	run();
	fx_expect(fx_spoke, "hub", "bun-1", lens, 1, 900);
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_OUT), 0);

	fx_put(fx_hub, "north", "bun-2", lens, 3, 300);
	carrier_link_changed(hub->link);
	for (unsigned i = 0; i < 6; i++)
		step();
	assert_false(carrier_link_settled(spoke->link));
	assert_int_equal(
	    spool_drop(fx_hub, "north", SPOOL_OUT, "bun-2", &fx_err), 0);
	carrier_link_changed(hub->link);
	run();
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_IN), 1);
	assert_true(carrier_link_settled(spoke->link));
}

static void
test_refusal_backs_off(void **state)
{
	int64_t due;

	(void)state;
	side_free(hub);
	fx_quota(100 * 1024, 0);
	hub = side_new(true);
	carrier_link_free(spoke->link);
	free(spoke);
	spoke = side_new(false);
	carrier_link_connected(spoke->link, 1);
	fx_put(fx_spoke, "hub", "pub-1", lens, 1, 1);
	run();
	assert_non_null(carrier_link_refusal(spoke->link));
	assert_false(carrier_link_settled(spoke->link));
	due = carrier_link_pump(spoke->link, now);
	assert_int_equal(due - now, 500);
	now = due;
	run();
	due = carrier_link_pump(spoke->link, now);
	assert_int_equal(due - now, 1000);
	assert_int_equal(fx_count(fx_spoke, "hub", SPOOL_OUT), 1);
}

/* A receiver that asks and never reads cannot make us queue more. */
static void
test_greedy(void **state)
{
	struct carrier_message m = {.type = CARRIER_HELLO, .epoch = 3};
	struct spool_message offered = {0};
	int rc = 0;

	(void)state;
	fx_put(fx_hub, "north", "bun-1", lens, 1, 1);
	assert_int_equal(
	    spool_next(fx_hub, "north", SPOOL_OUT, NULL, &offered, &fx_err), 1);
	assert_int_equal(carrier_link_input(hub->link, &m, now, &fx_err), 0);
	(void)carrier_link_pump(hub->link, now);
	m = (struct carrier_message){
	    .type = CARRIER_FETCH, .offer = 1, .length = 65536};
	memcpy(m.sha256, offered.blobs[0].sha256, 32);
	for (unsigned i = 0; i < CARRIER_CREDITS; i++, m.request++) {
		assert_int_equal(
		    carrier_link_input(hub->link, &m, now, &fx_err), 0);
		(void)carrier_link_pump(hub->link, now);
	}
	rc = carrier_link_input(hub->link, &m, now, &fx_err);
	assert_int_equal(rc, -1);
	assert_int_equal(fx_err.class, ERR_BAD_DATA);
	/* With what it received told, it may go on; not with lies. */
	m.received = 1;
	assert_int_equal(carrier_link_input(hub->link, &m, now, &fx_err), 0);
	m.received = 100;
	assert_int_equal(carrier_link_input(hub->link, &m, now, &fx_err), -1);
	spool_message_fini(&offered);
}

/* A hub that was restarted does not know the link: it asks for HELLO. */
static void
test_hub_restarted(void **state)
{
	(void)state;
	run();
	side_free(hub);
	hub = side_new(true);
	fx_put(fx_spoke, "hub", "pub-1", lens, 1, 1);
	carrier_link_changed(spoke->link);
	run();
	fx_expect(fx_hub, "north", "pub-1", lens, 1, 1);
}

/* Nobody answers an offer: it is made again after a minute. */
static void
test_silence(void **state)
{
	int64_t due;

	(void)state;
	run();
	fx_put(fx_spoke, "hub", "pub-1", lens, 1, 1);
	carrier_link_changed(spoke->link);
	due = carrier_link_pump(spoke->link, now);
	wire_clear(&spoke->out);
	run();
	assert_int_equal(fx_count(fx_hub, "north", SPOOL_IN), 0);
	while (due < now + 60000) {
		now = due;
		due = carrier_link_pump(spoke->link, now);
		if (spoke->out.head != spoke->out.tail)
			break;
	}
	run();
	fx_expect(fx_hub, "north", "pub-1", lens, 1, 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_both_ways),
	    T(test_narrow),
	    T(test_budget),
	    T(test_cut_everywhere),
	    T(test_done_lost),
	    T(test_small),
	    T(test_small_forged),
	    T(test_sent_again),
	    T(test_replaced_everywhere),
	    T(test_same_name_and_gone),
	    T(test_refusal_backs_off),
	    T(test_greedy),
	    T(test_hub_restarted),
	    T(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
