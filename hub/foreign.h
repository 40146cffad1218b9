/* Objects whose address lies outside of their member's allotted domains: every
 * target leaves them out, so the hub counts them, and holds a version that has
 * too many. */
#ifndef HUB_FOREIGN_H
#define HUB_FOREIGN_H

#include "common/base/arena.h"
#include "common/replica/replica.h"
#include "hub/hub.h"

/* The address that mail to the object goes to is outside. An object without
 * any, or one that does not decode, is not: targets leave it out anyway. */
bool foreign_object(const struct registry_member *member, struct slice body,
    struct arena *scratch);

/* Judges a section while it is applied: hand foreign_check() and the scan to
 * replica_apply(). */
struct foreign_scan {
	struct hub *hub;
	const struct registry_member *member;
	int64_t stream; /* row id */
	bool full;
	bool limited; /* hold at the limit */
	uint64_t records, seen;
	uint64_t live;  /* objects after this section */
	uint64_t count; /* foreign ones after this section */
	bool over;      /* set when the limit refused it */
	struct arena *arena;
	struct id *changed; /* ids whose state changed, with what they become */
	bool *becomes;
	size_t changed_count, changed_size;
};

/* before: foreign objects of the replica as it is. */
void foreign_scan_init(struct foreign_scan *scan, struct hub *hub,
    const struct registry_member *member, const struct store_stream *row);
int foreign_check(
    void *arg, const struct section_object *object, struct err *err) ERR_WUR;
/* After the section went in: writes what changed to hub.db. */
int foreign_scan_store(struct foreign_scan *scan, struct err *err) ERR_WUR;
/* More changed than it keeps ids of: the count needs a recount. */
bool foreign_scan_overrun(const struct foreign_scan *scan);
void foreign_scan_fini(struct foreign_scan *scan);

/* Reads the whole replica; sets row->foreign. */
int foreign_recount(struct hub *hub, const struct registry_member *member,
    struct replica *replica, struct store_stream *row, struct err *err) ERR_WUR;

#endif
