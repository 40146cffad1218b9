/*
 * A deadline for opening a connection. libldap on GnuTLS cannot bound the TLS
 * handshake: it waits for ever, or spins when the socket is non-blocking. So a
 * timer shuts the socket down, and the handshake ends. SIGALRM belongs to the
 * guard while it runs; one at a time in a process.
 */
#ifndef COMMON_LDAP_SESSION_GUARD_H
#define COMMON_LDAP_SESSION_GUARD_H

#include <stdbool.h>
#include <stdint.h>

void session_guard_start(int64_t ms);
/* The socket to shut down. */
void session_guard_watch(int fd);
/* Did it have to act? */
bool session_guard_stop(void);

#endif
