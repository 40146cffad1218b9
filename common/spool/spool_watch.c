/* Waiting for messages with inotify. */
#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/spool/spool_internal.h"

int
spool_watch_open(struct spool *spool, int *out_fd, struct err *err)
{
	(void)spool;
	*out_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (*out_fd < 0)
		return err_set_errno(err, ERR_IO, "inotify");
	return 0;
}

int
spool_watch_peer(struct spool *spool, int fd, const char *peer,
    enum spool_box box, struct err *err)
{
	char *dir;
	int rc = 0;

	if (spool_peer_add(spool, peer, err) < 0)
		return -1;
	dir = spool_box_dir(spool, peer, box);
	/* Envelopes always appear by rename; adding a watch twice is one. */
	if (inotify_add_watch(fd, dir, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) <
	    0)
		rc = err_set_errno(err, ERR_IO, "watch %s", dir);
	free(dir);
	return rc;
}

void
spool_watch_read(int fd)
{
	uint8_t events[4096]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	do
		n = read(fd, events, sizeof(events));
	while (n > 0 || (n < 0 && errno == EINTR));
}
