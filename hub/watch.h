/* Which members' in boxes got a message, and whether the list of members
 * changed: inotify on STATE/spool/PEER/in and STATE/front/members. */
#ifndef HUB_WATCH_H
#define HUB_WATCH_H

#include <stdbool.h>
#include "hub/conf.h"

struct watch;

/* Watches what is there. */
int watch_open(const struct hub_conf *conf, struct watch **out_watch,
    struct err *err) ERR_WUR;
void watch_close(struct watch *watch);
int watch_fd(const struct watch *watch);

/* Takes in what happened. *out_peers: peers with new messages, NULL-terminated,
 * borrowed until the next call; NULL: any peer may have some (first call, or an
 * overrun). *out_members: the list of members changed. */
int watch_read(struct watch *watch, const char *const **out_peers,
    bool *out_members, struct err *err) ERR_WUR;
/* Does any in box hold a message right now? */
bool watch_waiting(const struct hub_conf *conf);

#endif
