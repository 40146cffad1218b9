/* What is parsed of an envelope before anything is authenticated. */
#include "common/wire/envelope.h"
#include "common/wire/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct envelope e;
	struct err err;

	INVARIANT(crypto_init(NULL) == 0);
	err_clear(&err);
	if (envelope_peek(slice_make(data, len), &e, &err) == 0) {
		INVARIANT(e.sequence != 0 && e.issued_at > 0);
		INVARIANT(e.sender[0] == '\0' || registry_name_valid(e.sender));
	} else {
		INVARIANT(err.code >= CHECK_SIZE && err.code <= CHECK_HEADER);
	}
	INVARIANT(e.payload.len == 0);
	envelope_fini(&e);
	return 0;
}
