/* What a person asks of a spoke: status, keys, members. Text or JSON. */
#ifndef SPOKE_REPORT_H
#define SPOKE_REPORT_H

#include "spoke/conf.h"

/* Each prints on stdout and gives the exit code. */
int report_status(const struct spoke_conf *conf, bool json);
int report_keys(const struct spoke_conf *conf, bool json);
/* Domains, keys and holds of the other members. */
int report_members(const struct spoke_conf *conf, bool json);
int report_members_release(const struct spoke_conf *conf, const char *member);

/* Which members may receive the object with that mail address from us, as it is
 * published now. EXIT_FAILED when it is in no stream. */
int report_who_sees(
    const struct spoke_conf *conf, const char *address, bool json);

#endif
