/* What a domain controller sends as replUpToDateVector. */
#include <stdlib.h>

#include "common/base/id.h"
#include "common/ldap/reach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The invocationId that is looked for, then the vector. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice all = slice_make(data, len);
	struct reach_cursor cursor = {.usn = 0};

	if (reach_vector_find(slice_sub(all, ID_LEN, SIZE_MAX),
		slice_sub(all, 0, ID_LEN), &cursor))
		INVARIANT(len >= 3 * ID_LEN && cursor.heard_ms >= 0);
	else
		INVARIANT(cursor.usn == 0 && cursor.heard_ms == 0);
	return 0;
}
