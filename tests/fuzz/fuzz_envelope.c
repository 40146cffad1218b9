/* A whole envelope, opened by the hub of the test realm. Built with FUZZING,
 * signatures, tags and hashes hold always (crypto.c), so that mutated bytes get
 * to everything behind them. */
#include "tests/unit/wire_realm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_open(struct slice file, const struct envelope_open_options *options)
{
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	Galr__Payload *payload;
	struct envelope e;
	struct err err;

	err_clear(&err);
	if (envelope_open(file, options, &e, &err) == 0) {
		INVARIANT(e.payload.len > 0);
		if (payload_unpack(
			buf_slice(&e.payload), arena, &payload, &err) == 0)
			INVARIANT(payload->n_tuples <= LIMIT_TUPLES);
	} else {
		INVARIANT(err.class != ERR_NONE && e.payload.len == 0);
	}
	envelope_fini(&e);
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct realm realm;
	static bool ready;
	struct envelope_open_options options = {
	    .now_ms = REALM_NOW, .types = 0x3e, .me = ""};

	if (!ready) {
		INVARIANT(crypto_init(NULL) == 0);
		realm_init(&realm);
		ready = true;
	}
	options.registry = realm.registry;
	options.realm = realm.id;
	options.keys = &realm.hub.keys;
	check_open(slice_make(data, len), &options);
	options.me = "SOUTH";
	options.keys = &realm.south.keys;
	check_open(slice_make(data, len), &options);
	return 0;
}
