/* Who may connect: "curve-key-hex peer-name" lines, rewritten by rename. */
#ifndef COMMON_CARRIER_MEMBERS_H
#define COMMON_CARRIER_MEMBERS_H

#include "common/carrier/zmq_zap.h"
#include "common/spool/spool.h"

struct carrier_member {
	uint8_t key[CARRIER_CURVE_LEN];
	char name[SPOOL_NAME_SIZE];
};

struct carrier_members {
	const char *path;             /* borrowed */
	struct carrier_member *items; /* sorted by key */
	size_t count;
	uint64_t mark;      /* identity of the file that was read */
	int64_t checked_at; /* monotonic */
};

/* Empty: nobody may connect. */
void carrier_members_init(struct carrier_members *members, const char *path);
void carrier_members_fini(struct carrier_members *members);
/* Reads the file again when it is another one; looks at most every max_age_ms.
 * Returns whether the table changed. A missing file is an empty table; one
 * that cannot be read is logged and leaves the table as it is. */
bool carrier_members_refresh(
    struct carrier_members *members, int64_t now, int64_t max_age_ms);
/* The peer that a key belongs to; NULL for a stranger. */
const char *carrier_members_find(const struct carrier_members *members,
    const uint8_t key[CARRIER_CURVE_LEN]);

#endif
