/* Opening envelopes at the hub of a test realm. */
#ifndef TESTS_UNIT_WIRE_OPENING_H
#define TESTS_UNIT_WIRE_OPENING_H

#include "tests/unit/wire_vectors.h"
#include "tests/unit/wire_realm.h"

#define T(x) GALR__ENVELOPE_TYPE__ENVELOPE_##x
#define TYPE_BIT(x) (1u << T(x))
#define PAYLOAD SLICE_LIT("a payload that is not a message")

static struct realm realm;
static struct envelope_seen seen_last;

static inline int
realm_setup(void **state)
{
	(void)state;
	realm_init(&realm);
	memset(&seen_last, 0, sizeof(seen_last));
	return 0;
}

static inline int
realm_teardown(void **state)
{
	(void)state;
	realm_fini(&realm);
	return 0;
}

static inline int
seen_lookup(void *arg, const char *sender, Galr__EnvelopeType type,
    struct envelope_seen *out_seen, struct err *err)
{
	(void)err;
	assert_ptr_equal(&seen_last, arg);
	assert_string_equal("NORTH", sender);
	assert_int_equal(T(PUBLISH), type);
	*out_seen = seen_last;
	return 0;
}

static inline struct envelope_open_options
hub_options(void)
{
	return (struct envelope_open_options){.registry = realm.registry,
	    .realm = realm.id,
	    .me = "",
	    .keys = &realm.hub.keys,
	    .now_ms = REALM_NOW,
	    .types = TYPE_BIT(PUBLISH) | TYPE_BIT(ACK),
	    .seen = seen_lookup,
	    .seen_arg = &seen_last};
}

/* Opens; the code that refused, CHECK_OK when the payload came through. */
static inline int
open_with(struct slice file, const struct envelope_open_options *options,
    struct slice payload)
{
	struct envelope e;
	struct err err;
	int code = CHECK_OK;

	err_clear(&err);
	if (envelope_open(file, options, &e, &err) < 0) {
		code = err.code;
		assert_int_not_equal(CHECK_OK, code);
		assert_int_not_equal(ERR_NONE, err.class);
		assert_int_equal(0, e.payload.len);
	} else {
		assert_true(slice_equal(payload, buf_slice(&e.payload)));
	}
	envelope_fini(&e);
	return code;
}

static inline int
open_at_hub(struct slice file)
{
	struct envelope_open_options options = hub_options();

	return open_with(file, &options, PAYLOAD);
}

#define REALM_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, realm_setup, realm_teardown)

#endif
