/* The attribute list of a found entry, as a directory sends it. */
#include <lber.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/attributes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* As in a message there is one byte more, for a NUL. */
	uint8_t *copy = mem_alloc(len + 1);
	struct berval bytes = {len, (char *)copy};
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	struct arena *arena = arena_new((size_t)1 << 20);
	struct search_attribute *list = NULL;
	const char *cause = NULL;
	size_t count = 0, sum = 0;

	memcpy(copy, data, len);
	copy[len] = 0xff;
	ber_init2(ber, &bytes, LBER_USE_DER);
	if (attributes_decode(ber, arena, &list, &count, &cause) < 0) {
		INVARIANT(cause != NULL);
		count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		sum += strlen(list[i].name);
		for (size_t k = 0; k < list[i].value_count; k++) {
			struct slice value = list[i].values[k];

			INVARIANT(value.data[value.len] == 0);
			sum += value.len;
		}
	}
	INVARIANT(sum <= len);
	ber_free(ber, 0);
	arena_free(arena);
	free(copy);
	return 0;
}
