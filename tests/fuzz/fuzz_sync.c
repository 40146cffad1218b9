/* What a directory sends in RFC 4533's controls and messages. The first byte
 * chooses which. */
#include <stdlib.h>

#include "common/ldap/feed_sync.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
message_try(const struct berval *value, struct buf *cookie)
{
	struct feed_sync_info info;

	if (feed_sync_info_decode(value, &info, cookie) != 0) {
		INVARIANT(info.ids == NULL && info.id_count == 0);
		return;
	}
	INVARIANT(info.id_count == 0 || info.message == FEED_SYNC_ID_SET);
	INVARIANT((info.id_count == 0) == (info.ids == NULL));
	free(info.ids);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct berval value = {len - 1, (char *)data + 1};
	enum feed_sync_state state;
	struct buf cookie;
	struct id id;
	bool deletes;

	if (len == 0)
		return 0;
	buf_init(&cookie, 1024);
	if (data[0] % 3 == 0)
		message_try(&value, &cookie);
	else if (data[0] % 3 == 1)
		(void)(feed_sync_state_decode(&value, &state, &id, &cookie) ||
		       state > FEED_SYNC_DELETE);
	else
		(void)(feed_sync_done_decode(&value, &deletes, &cookie) ||
		       deletes);
	INVARIANT(cookie.len <= 1024);
	buf_fini(&cookie);
	return 0;
}
