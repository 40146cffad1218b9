/*
 * All addresses of one object, sorted out once at the source: exactly one
 * primary SMTP address, nothing twice, at most one sip address, and the
 * legacyExchangeDN as X500 address, so that replies to old mail resolve.
 * FEATURES E7.
 */
#ifndef SPOKE_EXPORT_SHAPE_ADDRESSES_H
#define SPOKE_EXPORT_SHAPE_ADDRESSES_H

#include "common/wire/object.h"
#include "spoke/conf.h"
#include "spoke/export/shape/values.h"

struct addresses {
	struct slice primary; /* without prefix, as written */
	/* proxyAddresses as they go out. */
	struct slice *values;
	size_t count;
	struct slice target; /* targetAddress, with its prefix */
};

enum addresses_answer { ADDRESSES_FINE, ADDRESSES_NONE, ADDRESSES_TOO_MANY };

/* Where Exchange rules, a contact needs a target address and others an SMTP
 * proxy address; elsewhere mail will do. own_target: a user's own targetAddress
 * goes out as well (EXPORT_FORWARDED_TARGET). Everything lives in the arena or
 * is borrowed from raw; what is left out is noted. */
enum addresses_answer addresses_find(const struct object *raw, bool exchange,
    bool own_target, struct arena *arena, struct values_notes *notes,
    struct addresses *out_addresses);

#endif
