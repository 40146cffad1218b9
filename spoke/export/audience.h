/* Of the members that an export policy names as its audience, who is one now.
 * A name that nobody bears may be a mistake, or a member to come. FEATURES S11.
 */
#ifndef SPOKE_EXPORT_AUDIENCE_H
#define SPOKE_EXPORT_AUDIENCE_H

#include "common/base/buf.h"
#include "spoke/spoke.h"

/* The number of other members that may receive the stream, by our registry (0
 * without one). Appends the names of the audience that no member bears whom
 * the hub did not revoke, with ", " between them; NULL: not wanted. */
size_t audience_receivers(const struct spoke *spoke,
    const struct export_policy *policy, struct buf *out_absent);

#endif
