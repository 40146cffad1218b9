/*
 * The values of RFC 4533's controls and messages, in BER:
 *
 *   syncRequestValue  { mode ENUM, cookie OPTIONAL, reloadHint DEFAULT FALSE }
 *   syncStateValue    { state ENUM, entryUUID, cookie OPTIONAL }
 *   syncDoneValue     { cookie OPTIONAL, refreshDeletes DEFAULT FALSE }
 *   syncInfoValue     newcookie      [0] cookie
 *                     refreshDelete  [1] { cookie OPTIONAL, refreshDone }
 *                     refreshPresent [2] { cookie OPTIONAL, refreshDone }
 *                     syncIdSet      [3] { cookie OPTIONAL,
 *                                          refreshDeletes DEFAULT FALSE,
 *                                          syncUUIDs SET OF }
 */
#ifndef COMMON_LDAP_FEED_SYNC_H
#define COMMON_LDAP_FEED_SYNC_H

#include <ldap.h>

#include "common/base/buf.h"
#include "common/base/id.h"

enum feed_sync_state {
	FEED_SYNC_PRESENT = 0,
	FEED_SYNC_ADD = 1,
	FEED_SYNC_MODIFY = 2,
	FEED_SYNC_DELETE = 3
};

enum feed_sync_message {
	FEED_SYNC_NEW_COOKIE,
	FEED_SYNC_REFRESH_DELETE,
	FEED_SYNC_REFRESH_PRESENT,
	FEED_SYNC_ID_SET
};

struct feed_sync_info {
	enum feed_sync_message message;
	bool flag;      /* refreshDone or refreshDeletes */
	struct id *ids; /* of a syncIdSet; the caller frees */
	size_t id_count;
};

/* The request, without a cookie when it is empty. -1 out of memory only. The
 * value is to be freed with ber_memfree(). */
int feed_sync_request(
    bool persist, struct slice cookie, struct berval *out_value);
/* These read what a server sent: -1 when malformed. A cookie that comes along
 * replaces what is in the buffer. */
int feed_sync_state_decode(const struct berval *value,
    enum feed_sync_state *out_state, struct id *out_id, struct buf *cookie);
int feed_sync_done_decode(
    const struct berval *value, bool *out_deletes, struct buf *cookie);
int feed_sync_info_decode(const struct berval *value,
    struct feed_sync_info *out_info, struct buf *cookie);

#endif
