#include "hub/watch.h"

#include <dirent.h>
#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/mem.h"

struct watch_peer {
	int wd;
	bool flagged;
	char *name;
};

struct watch {
	const struct hub_conf *conf;
	int fd;
	int front;
	bool all, members;
	struct watch_peer *peers;
	size_t count;
	const char **flagged;
};

static char *
box_path(const struct hub_conf *conf, const char *peer)
{
	return mem_printf("%s/spool/%s/in", conf->state, peer);
}

/* Envelopes always appear by rename (spool.h). */
static int
peer_add(struct watch *watch, const char *name, struct err *err)
{
	char *path = box_path(watch->conf, name);
	int wd = inotify_add_watch(watch->fd, path, IN_MOVED_TO | IN_ONLYDIR);
	int saved = errno;

	free(path);
	if (wd < 0 && (saved == ENOENT || saved == ENOTDIR))
		return 0;
	if (wd < 0) {
		errno = saved;
		return err_set_errno(err, ERR_IO, "watch box of %s", name);
	}
	/* The same directory gives the same number again. */
	for (size_t i = 0; i < watch->count; i++)
		if (watch->peers[i].wd == wd)
			return 0;
	watch->peers = mem_realloc(
	    watch->peers, (watch->count + 1) * sizeof(*watch->peers));
	watch->peers[watch->count++] =
	    (struct watch_peer){wd, true, mem_strdup(name)};
	return 0;
}

static int
peers_scan(struct watch *watch, struct err *err)
{
	char *root = mem_printf("%s/spool", watch->conf->state);
	DIR *d = opendir(root);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL)
		rc = err_set_errno(err, ERR_IO, "%s", root);
	while (d != NULL && rc == 0 && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			rc = peer_add(watch, entry->d_name, err);
	if (d != NULL)
		closedir(d);
	free(root);
	return rc;
}

int
watch_open(
    const struct hub_conf *conf, struct watch **out_watch, struct err *err)
{
	struct watch *watch = mem_calloc(1, sizeof(*watch));
	char *front = mem_printf("%s/front", conf->state);

	watch->conf = conf;
	watch->all = true;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch->front = watch->fd < 0 ? -1
				     : inotify_add_watch(watch->fd, front,
					   IN_MOVED_TO | IN_ONLYDIR);
	if (watch->front < 0) {
		(void)err_set_errno(err, ERR_IO, "watch %s", front);
		goto fail;
	}
	if (peers_scan(watch, err) < 0)
		goto fail;
	free(front);
	*out_watch = watch;
	return 0;
fail:
	free(front);
	watch_close(watch);
	return -1;
}

void
watch_close(struct watch *watch)
{
	if (watch == NULL)
		return;
	for (size_t i = 0; i < watch->count; i++)
		free(watch->peers[i].name);
	free(watch->peers);
	free(watch->flagged);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

int
watch_fd(const struct watch *watch)
{
	return watch->fd;
}

static void
peer_forget(struct watch *watch, size_t i)
{
	free(watch->peers[i].name);
	watch->peers[i] = watch->peers[--watch->count];
}

static void
event_take(struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW)
		watch->all = true;
	if (event->wd == watch->front) {
		if (event->len > 0 && strcmp(event->name, "members") == 0)
			watch->members = true;
		return;
	}
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->peers[i].wd != event->wd)
			continue;
		if (event->mask & IN_IGNORED)
			peer_forget(watch, i);
		else
			watch->peers[i].flagged = true;
		return;
	}
}

static void
events_read(struct watch *watch)
{
	uint8_t block[8192]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	for (;;) {
		n = read(watch->fd, block, sizeof(block));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		for (size_t at = 0; at < (size_t)n;) {
			const struct inotify_event *event =
			    (const void *)(block + at);

			event_take(watch, event);
			at += sizeof(*event) + event->len;
		}
	}
}

int
watch_read(struct watch *watch, const char *const **out_peers,
    bool *out_members, struct err *err)
{
	bool all = watch->all;
	size_t n = 0;

	events_read(watch);
	*out_members = watch->members;
	/* New members have new boxes. What is in them already counts as new:
	 * peer_add() flags them. */
	if (watch->members && peers_scan(watch, err) < 0)
		return -1;
	watch->members = false;
	watch->all = false;
	watch->flagged =
	    mem_realloc(watch->flagged, (watch->count + 1) * sizeof(char *));
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->peers[i].flagged)
			watch->flagged[n++] = watch->peers[i].name;
		watch->peers[i].flagged = false;
	}
	watch->flagged[n] = NULL;
	*out_peers = all ? NULL : watch->flagged;
	return 0;
}

bool
watch_waiting(const struct hub_conf *conf)
{
	char *root = mem_printf("%s/spool", conf->state);
	DIR *d = opendir(root);
	struct dirent *peer, *entry;
	bool found = false;

	while (d != NULL && !found && (peer = readdir(d)) != NULL) {
		char *path;
		DIR *box;

		if (peer->d_name[0] == '.')
			continue;
		path = box_path(conf, peer->d_name);
		box = opendir(path);
		while (box != NULL && !found && (entry = readdir(box)) != NULL)
			found = slice_ends_case(
			    slice_str(entry->d_name), SLICE_LIT(".galr"));
		if (box != NULL)
			closedir(box);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	free(root);
	return found;
}
