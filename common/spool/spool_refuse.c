/* Messages that a worker refused, kept for a look. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/spool/spool_internal.h"

#define REFUSED_KEEP 16

/* Removes the oldest refused messages beyond the newest REFUSED_KEEP. */
static void
refused_prune(const char *dir)
{
	for (;;) {
		char oldest[SPOOL_NAME_SIZE] = "", name[SPOOL_NAME_SIZE];
		char after[SPOOL_NAME_SIZE] = "";
		struct timespec when = {0};
		struct stat st;
		unsigned count = 0;
		char *path;

		while (spool_box_first(dir, after, name, NULL) > 0) {
			path = spool_file(dir, name, ".galr");
			if (stat(path, &st) == 0 &&
			    (oldest[0] == '\0' ||
				st.st_ctim.tv_sec < when.tv_sec ||
				(st.st_ctim.tv_sec == when.tv_sec &&
				    st.st_ctim.tv_nsec < when.tv_nsec))) {
				memcpy(oldest, name, sizeof(oldest));
				when = st.st_ctim;
			}
			free(path);
			memcpy(after, name, sizeof(after));
			count++;
		}
		if (count <= REFUSED_KEEP)
			return;
		path = spool_file(dir, oldest, ".reason");
		(void)unlink(path);
		free(path);
		path = spool_file(dir, oldest, ".galr");
		if (unlink(path) < 0)
			count = 0;
		free(path);
		if (count == 0)
			return;
	}
}

int
spool_refuse(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, const char *reason, struct err *err)
{
	char *dir = NULL, *refused = NULL, *from = NULL, *to = NULL;
	char *why = NULL;
	int lock, rc = -1;

	if (spool_names_check(peer, name, err) < 0)
		return -1;
	lock = spool_lock(spool, peer, err);
	if (lock < 0)
		return -1;
	dir = spool_box_dir(spool, peer, box);
	refused = spool_peer_dir(spool, peer, "refused");
	from = spool_file(dir, name, ".galr");
	to = spool_file(refused, name, ".galr");
	why = spool_file(refused, name, ".reason");
	if (fsio_mkdirs(refused, err) < 0 ||
	    fsio_write(why, slice_str(reason), 0600, err) < 0 ||
	    spool_rename(from, to, err) < 0 ||
	    spool_box_drop(dir, name, err) < 0 || fsio_sync_dir(dir, err) < 0)
		goto out;
	refused_prune(refused);
	rc = fsio_sync_dir(refused, err);
out:
	close(lock);
	free(why);
	free(to);
	free(from);
	free(refused);
	free(dir);
	return rc;
}
