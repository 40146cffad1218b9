/* Boxes: putting, listing, dropping. */
#include "common/spool/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/spool/spool_internal.h"

int
spool_open(
    const char *root, uint64_t quota, struct spool **out_spool, struct err *err)
{
	struct spool *spool;

	*out_spool = NULL;
	if (fsio_mkdirs(root, err) < 0)
		return -1;
	spool = mem_calloc(1, sizeof(*spool));
	spool->root = mem_strdup(root);
	spool->quota = quota;
	*out_spool = spool;
	return 0;
}

void
spool_close(struct spool *spool)
{
	if (spool == NULL)
		return;
	free(spool->root);
	free(spool);
}

bool
spool_name_valid(const char *name)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strnlen(name, SPOOL_NAME_SIZE);

	return len > 0 && len < SPOOL_NAME_SIZE && name[0] != '.' &&
	       strspn(name, ok) == len;
}

int
spool_names_check(const char *peer, const char *name, struct err *err)
{
	if (!spool_name_valid(peer))
		return err_set(err, ERR_INTERNAL, "bad spool peer name");
	if (name != NULL && !spool_name_valid(name))
		return err_set(err, ERR_INTERNAL, "bad spool message name");
	return 0;
}

void
spool_defer(struct spool *spool, bool deferred)
{
	spool->deferred = deferred;
}

int
spool_sync(struct spool *spool, struct err *err)
{
	int fd = open(spool->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_set_errno(err, ERR_IO, "%s", spool->root);
	rc = syncfs(fd) < 0 ? err_set_errno(err, ERR_IO, "sync %s", spool->root)
			    : 0;
	close(fd);
	return rc;
}

int
spool_peer_add(struct spool *spool, const char *peer, struct err *err)
{
	static const char *const leaves[] = {"in", "out", "tmp"};
	int rc = 0;

	if (spool_names_check(peer, NULL, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		char *dir = spool_peer_dir(spool, peer, leaves[i]);

		if (access(dir, F_OK) < 0)
			rc = fsio_mkdirs(dir, err);
		free(dir);
	}
	return rc;
}

int
spool_peer_remove(struct spool *spool, const char *peer, struct err *err)
{
	char *dir;
	int rc;

	if (spool_names_check(peer, NULL, err) < 0)
		return -1;
	dir = fsio_join(spool->root, peer);
	rc = access(dir, F_OK) < 0 ? 0 : fsio_remove_tree(dir, err);
	free(dir);
	return rc;
}

/* Places one blob into the box: 1 when it was not there before. */
static int
blob_place(struct spool *spool, const char *peer, const char *dir,
    const struct spool_blob *blob, const char *from, struct err *err)
{
	char hex[SPOOL_HEX_SIZE], *to = NULL, *staged = NULL;
	struct buf content;
	struct stat st;
	int rc = -1;

	buf_init(&content, SIZE_MAX);
	to = spool_file(dir, spool_hex(blob->sha256, hex), ".blob");
	if (stat(to, &st) == 0 && (uint64_t)st.st_size == blob->length) {
		rc = 0;
		goto out;
	}
	if (stat(from, &st) < 0) {
		err_set_errno(err, ERR_IO, "%s", from);
		goto out;
	}
	if ((uint64_t)st.st_size != blob->length) {
		err_set(
		    err, ERR_INTERNAL, "%s is not as long as announced", from);
		goto out;
	}
	if (link(from, to) == 0) {
		rc = 1;
		goto out;
	}
	if (errno != EXDEV && errno != EPERM && errno != EMLINK) {
		err_set_errno(err, ERR_IO, "link %s", to);
		goto out;
	}
	if (fsio_read(from, &content, err) < 0 ||
	    spool_stage(spool, peer, buf_slice(&content), &staged, err) < 0)
		goto out;
	rc = spool_rename(staged, to, err) < 0 ? -1 : 1;
out:
	buf_fini(&content);
	free(staged);
	free(to);
	return rc;
}

/* A message about to appear in a box. */
struct put {
	struct spool *spool;
	const char *peer, *name;
	char *dir;
	const struct spool_blob *blobs;
	const char *const *paths;
	size_t count;
	struct spool_set placed; /* by us: taken back on failure */
};

static int
put_quota(const struct put *put, uint64_t envelope, struct err *err)
{
	uint64_t need = envelope, used = 0, old = 0;
	char *path;

	if (put->spool->quota == 0)
		return 0;
	if (fsio_dir_usage(put->dir, &used, err) < 0)
		return -1;
	path = spool_file(put->dir, put->name, ".galr");
	(void)spool_mark(path, &old);
	free(path);
	for (size_t i = 0; i < put->count; i++) {
		char hex[SPOOL_HEX_SIZE];
		uint64_t there = 0;

		path = spool_file(
		    put->dir, spool_hex(put->blobs[i].sha256, hex), ".blob");
		if (spool_mark(path, &there) == 0)
			need += put->blobs[i].length;
		free(path);
	}
	used -= old < used ? old : used;
	if (need > put->spool->quota || used > put->spool->quota - need)
		return err_set(err, ERR_LIMIT,
		    "spool of %s is full: %llu of %llu bytes used", put->peer,
		    (unsigned long long)used,
		    (unsigned long long)put->spool->quota);
	return 0;
}

static int
box_sync(const struct spool *spool, const char *dir, struct err *err)
{
	return spool->deferred ? 0 : fsio_sync_dir(dir, err);
}

/* Blobs, then the list, then the envelope. A former message of that name goes
 * first, because envelope and list could not be exchanged in one step. */
static int
put_appear(
    struct put *put, const char *envelope, const char *list, struct err *err)
{
	char *galr = spool_file(put->dir, put->name, ".galr");
	char *blobs = spool_file(put->dir, put->name, ".blobs");
	int rc = -1;

	for (size_t i = 0; i < put->count; i++) {
		int placed = blob_place(put->spool, put->peer, put->dir,
		    &put->blobs[i], put->paths[i], err);

		if (placed < 0)
			goto out;
		if (placed > 0)
			spool_set_add(&put->placed, put->blobs[i].sha256);
	}
	if (fsio_unlink(galr, err) < 0 || fsio_unlink(blobs, err) < 0)
		goto out;
	if (list != NULL && (spool_rename(list, blobs, err) < 0 ||
				box_sync(put->spool, put->dir, err) < 0))
		goto out;
	if (spool_rename(envelope, galr, err) < 0)
		goto out;
	rc = box_sync(put->spool, put->dir, err);
out:
	free(galr);
	free(blobs);
	return rc;
}

static void
put_undo(struct put *put)
{
	for (size_t i = 0; i < put->placed.count; i++) {
		char hex[SPOOL_HEX_SIZE];
		char *path = spool_file(
		    put->dir, spool_hex(put->placed.items[i], hex), ".blob");

		(void)unlink(path);
		free(path);
	}
}

/* Each blob once: a receiver treats repeated names as garbage. */
static void
put_unique(struct spool_blob *blobs, const char **paths, size_t *count)
{
	struct spool_set seen = {0};
	size_t n = 0;

	for (size_t i = 0; i < *count; i++) {
		bool twice = false;

		for (size_t k = 0; !twice && k < seen.count; k++)
			twice = memcmp(seen.items[k], blobs[i].sha256,
				    SPOOL_HASH_LEN) == 0;
		if (twice)
			continue;
		spool_set_add(&seen, blobs[i].sha256);
		blobs[n] = blobs[i];
		paths[n++] = paths[i];
	}
	*count = n;
	spool_set_fini(&seen);
}

static int
put_locked(
    struct put *put, enum spool_box box, struct slice envelope, struct err *err)
{
	char *staged = NULL, *list = NULL, *former = NULL;
	struct buf text;
	bool replaced;
	int rc = -1;

	buf_init(&text, (size_t)SPOOL_BLOBS_MAX * 96);
	if (box == SPOOL_OUT) {
		/* Everything appears under the lock here, so what no message
		 * names was left by a writer that died. */
		if (spool_box_sweep(put->dir, NULL, err) < 0)
			goto out;
		spool_tmp_sweep(put->spool, put->peer, NULL);
	}
	if (put_quota(put, envelope.len, err) < 0 ||
	    spool_stage(put->spool, put->peer, envelope, &staged, err) < 0)
		goto out;
	spool_blobs_format(put->blobs, put->count, &text);
	if (put->count > 0 && spool_stage(put->spool, put->peer,
				  buf_slice(&text), &list, err) < 0)
		goto out;
	former = spool_file(put->dir, put->name, ".blobs");
	replaced = access(former, F_OK) == 0;
	rc = put_appear(put, staged, list, err);
	if (rc < 0)
		put_undo(put);
	else if (replaced && box == SPOOL_OUT)
		rc = spool_box_sweep(put->dir, NULL, err);
out:
	if (staged != NULL)
		(void)unlink(staged);
	if (list != NULL)
		(void)unlink(list);
	free(staged);
	free(list);
	free(former);
	buf_fini(&text);
	return rc;
}

int
spool_put(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_put *message, struct err *err)
{
	struct put put = {.spool = spool, .peer = peer, .name = message->name};
	size_t blob_count = message->blob_count;
	struct spool_blob *own = NULL;
	const char **paths = NULL;
	int lock = -1, rc = -1;

	if (spool_names_check(peer, message->name, err) < 0)
		return -1;
	if (blob_count > SPOOL_BLOBS_MAX || message->envelope.len == 0)
		return err_set(err, ERR_INTERNAL,
		    "a spool message needs an envelope and at most %d blobs",
		    SPOOL_BLOBS_MAX);
	put.dir = spool_box_dir(spool, peer, box);
	own = mem_calloc(blob_count + 1, sizeof(*own));
	paths = mem_calloc(blob_count + 1, sizeof(*paths));
	for (size_t i = 0; i < blob_count; i++) {
		own[i] = message->blobs[i];
		paths[i] = message->blob_paths[i];
	}
	put_unique(own, paths, &blob_count);
	put.blobs = own;
	put.paths = paths;
	put.count = blob_count;
	lock = spool_lock(spool, peer, err);
	if (lock >= 0)
		rc = put_locked(&put, box, message->envelope, err);
	if (lock >= 0)
		close(lock);
	spool_set_fini(&put.placed);
	free(own);
	free(paths);
	free(put.dir);
	return rc;
}

int
spool_box_first(const char *dir, const char *after, char name[SPOOL_NAME_SIZE],
    struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	if (d == NULL)
		return errno == ENOENT ? 0
				       : err_set_errno(err, ERR_IO, "%s", dir);
	while ((e = readdir(d)) != NULL) {
		char this[SPOOL_NAME_SIZE];
		size_t len = strlen(e->d_name);

		if (len < 6 || len - 5 >= SPOOL_NAME_SIZE ||
		    memcmp(e->d_name + len - 5, ".galr", 5) != 0)
			continue;
		memcpy(this, e->d_name, len - 5);
		this[len - 5] = '\0';
		if (!spool_name_valid(this) ||
		    (after != NULL && strcmp(this, after) <= 0) ||
		    (found && strcmp(this, name) >= 0))
			continue;
		memcpy(name, this, SPOOL_NAME_SIZE);
		found = true;
	}
	closedir(d);
	return found;
}

int
spool_next(struct spool *spool, const char *peer, enum spool_box box,
    const char *after, struct spool_message *out_message, struct err *err)
{
	struct spool_message *m = out_message;
	char start[SPOOL_NAME_SIZE] = "";
	char *dir, *path = NULL;
	int rc;

	/* Callers walk with after = out_message->name. */
	if (after != NULL)
		memcpy(start, after, strnlen(after, sizeof(start) - 1));
	memset(m, 0, sizeof(*m));
	if (spool_names_check(peer, NULL, err) < 0)
		return -1;
	dir = spool_box_dir(spool, peer, box);
	for (;;) {
		spool_message_fini(m);
		free(path);
		path = NULL;
		rc = spool_box_first(dir, start, m->name, err);
		if (rc <= 0)
			break;
		path = spool_file(dir, m->name, ".galr");
		m->mark = spool_mark(path, &m->length);
		if (m->mark == 0)
			continue; /* dropped meanwhile */
		if (spool_blobs_read(
			dir, m->name, &m->blobs, &m->blob_count, err) < 0) {
			rc = -1;
			break;
		}
		/* A replacement takes the envelope away before it touches the
		 * list: the same envelope on both sides of the reading means
		 * that the list is its own. */
		if (spool_mark(path, NULL) == m->mark)
			break;
	}
	if (rc <= 0)
		spool_message_fini(m);
	free(path);
	free(dir);
	return rc;
}

void
spool_message_fini(struct spool_message *message)
{
	free(message->blobs);
	memset(message, 0, sizeof(*message));
}

int
spool_read(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, struct buf *out, struct err *err)
{
	char *dir, *path;
	int rc;

	if (spool_names_check(peer, name, err) < 0)
		return -1;
	dir = spool_box_dir(spool, peer, box);
	path = spool_file(dir, name, ".galr");
	rc = fsio_read(path, out, err);
	free(path);
	free(dir);
	return rc;
}

char *
spool_message_path(
    struct spool *spool, const char *peer, enum spool_box box, const char *name)
{
	char *dir = spool_box_dir(spool, peer, box);
	char *path = spool_file(dir, name, ".galr");

	free(dir);
	return path;
}

bool
spool_same(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_message *message)
{
	char *path = spool_message_path(spool, peer, box, message->name);
	bool same = spool_mark(path, NULL) == message->mark;

	free(path);
	return same;
}

char *
spool_blob_path(struct spool *spool, const char *peer, enum spool_box box,
    const uint8_t sha256[SPOOL_HASH_LEN])
{
	char hex[SPOOL_HEX_SIZE];
	char *dir = spool_box_dir(spool, peer, box);
	char *path = spool_file(dir, spool_hex(sha256, hex), ".blob");

	free(dir);
	return path;
}

bool
spool_has_blob(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_blob *blob)
{
	char *path = spool_blob_path(spool, peer, box, blob->sha256);
	uint64_t length = 0;
	bool has = spool_mark(path, &length) != 0 && length == blob->length;

	free(path);
	return has;
}

/* mark 0: whatever is there. */
static int
drop_marked(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, uint64_t mark, struct err *err)
{
	char *dir = NULL, *path = NULL;
	int lock, rc = 0;

	if (spool_names_check(peer, name, err) < 0)
		return -1;
	lock = spool_lock(spool, peer, err);
	if (lock < 0)
		return -1;
	dir = spool_box_dir(spool, peer, box);
	path = spool_file(dir, name, ".galr");
	if (mark == 0 || spool_mark(path, NULL) == mark)
		rc = spool_box_drop(dir, name, err) < 0
			 ? -1
			 : box_sync(spool, dir, err);
	close(lock);
	free(path);
	free(dir);
	return rc;
}

int
spool_drop(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, struct err *err)
{
	return drop_marked(spool, peer, box, name, 0, err);
}

int
spool_drop_same(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_message *message, struct err *err)
{
	return drop_marked(spool, peer, box, message->name, message->mark, err);
}

int
spool_peers(struct spool *spool, char ***out_names, struct err *err)
{
	DIR *d = opendir(spool->root);
	struct dirent *e;
	char **names = mem_calloc(1, sizeof(*names));
	size_t count = 0;

	*out_names = NULL;
	if (d == NULL) {
		free(names);
		return err_set_errno(err, ERR_IO, "%s", spool->root);
	}
	while ((e = readdir(d)) != NULL) {
		struct stat st;

		if (!spool_name_valid(e->d_name) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) <
			0 ||
		    !S_ISDIR(st.st_mode))
			continue;
		names = mem_realloc(names, (count + 2) * sizeof(*names));
		names[count++] = mem_strdup(e->d_name);
		names[count] = NULL;
	}
	closedir(d);
	*out_names = names;
	return 0;
}

void
spool_peers_free(char **names)
{
	if (names == NULL)
		return;
	for (size_t i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
}
