#include "common/ldap/session_guard.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile sig_atomic_t guard_fd = -1;
static volatile sig_atomic_t guard_acted;
static struct sigaction guard_former;

static void
guard_ring(int number)
{
	(void)number;
	if (guard_fd >= 0) {
		shutdown(guard_fd, SHUT_RDWR);
		guard_acted = 1;
	}
}

void
session_guard_start(int64_t ms)
{
	struct sigaction action = {.sa_handler = guard_ring};
	/* It rings again, should the first find no socket yet. */
	struct itimerval timer = {{1, 0}, {ms / 1000, ms % 1000 * 1000}};

	guard_fd = -1;
	guard_acted = 0;
	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, &guard_former);
	setitimer(ITIMER_REAL, &timer, NULL);
}

void
session_guard_watch(int fd)
{
	guard_fd = fd;
}

bool
session_guard_stop(void)
{
	struct itimerval none = {{0, 0}, {0, 0}};

	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &guard_former, NULL);
	guard_fd = -1;
	return guard_acted != 0;
}
