/* Names, locks, lists and garbage: what the boxes are made of. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/spool/spool_internal.h"

char *
spool_peer_dir(const struct spool *spool, const char *peer, const char *leaf)
{
	return mem_printf("%s/%s/%s", spool->root, peer, leaf);
}

char *
spool_box_dir(const struct spool *spool, const char *peer, enum spool_box box)
{
	return spool_peer_dir(spool, peer, box == SPOOL_IN ? "in" : "out");
}

char *
spool_file(const char *dir, const char *name, const char *suffix)
{
	return mem_printf("%s/%s%s", dir, name, suffix);
}

char *
spool_hex(const uint8_t sha256[SPOOL_HASH_LEN], char text[SPOOL_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SPOOL_HASH_LEN; i++) {
		text[2 * i] = digits[sha256[i] >> 4];
		text[2 * i + 1] = digits[sha256[i] & 15];
	}
	text[2 * SPOOL_HASH_LEN] = '\0';
	return text;
}

uint64_t
spool_mark(const char *path, uint64_t *out_length)
{
	struct stat st;
	uint64_t mark;

	if (stat(path, &st) < 0)
		return 0;
	if (out_length != NULL)
		*out_length = (uint64_t)st.st_size;
	/* Inode numbers are reused at once; the time tells them apart. */
	mark = (uint64_t)st.st_ino * UINT64_C(0x9e3779b97f4a7c15);
	mark ^= (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000007);
	mark ^= (uint64_t)st.st_mtim.tv_nsec << 20;
	return mark == 0 ? 1 : mark;
}

int
spool_lock(struct spool *spool, const char *peer, struct err *err)
{
	char *path;
	int fd, rc;

	if (spool_peer_add(spool, peer, err) < 0)
		return -1;
	path = spool_peer_dir(spool, peer, "lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_set_errno(err, ERR_IO, "%s", path);
		free(path);
		return -1;
	}
	do
		rc = flock(fd, LOCK_EX);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		err_set_errno(err, ERR_IO, "lock %s", path);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

int
spool_stage(struct spool *spool, const char *peer, struct slice content,
    char **out_path, struct err *err)
{
	static unsigned counter;
	char *dir = spool_peer_dir(spool, peer, "tmp");
	char *path =
	    mem_printf("%s/put-%ld-%u", dir, (long)getpid(), counter++);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = -1;

	*out_path = NULL;
	if (fd < 0) {
		err_set_errno(err, ERR_IO, "%s", path);
		goto out;
	}
	if (fsio_write_all(fd, content, err) < 0)
		err_prepend(err, "%s", path);
	else if (!spool->deferred && fsync(fd) < 0)
		err_set_errno(err, ERR_IO, "fsync %s", path);
	else
		rc = 0;
	if (close(fd) < 0 && rc == 0)
		rc = err_set_errno(err, ERR_IO, "close %s", path);
	if (rc < 0)
		(void)unlink(path);
out:
	if (rc == 0)
		*out_path = path;
	else
		free(path);
	free(dir);
	return rc;
}

int
spool_rename(const char *from, const char *to, struct err *err)
{
	if (rename(from, to) < 0)
		return err_set_errno(err, ERR_IO, "rename %s to %s", from, to);
	return 0;
}

void
spool_blobs_format(
    const struct spool_blob *blobs, size_t blob_count, struct buf *out)
{
	for (size_t i = 0; i < blob_count; i++) {
		buf_add_hex(out, slice_make(blobs[i].sha256, SPOOL_HASH_LEN));
		buf_addf(out, " %llu\n", (unsigned long long)blobs[i].length);
	}
}

/* One line "HASH LENGTH" without its newline. */
static int
blobs_line(struct slice line, struct spool_blob *out_blob, struct err *err)
{
	struct slice digits = slice_sub(line, 65, line.len);
	uint64_t length = 0;

	if (line.len < 66 || line.data[64] != ' ' || digits.len > 18)
		return err_set(err, ERR_BAD_DATA, "bad line in a blob list");
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return err_set(
			    err, ERR_BAD_DATA, "bad length in a blob list");
		length = length * 10 + (uint64_t)(digits.data[i] - '0');
	}
	out_blob->length = length;
	return id_unhex(
	    slice_sub(line, 0, 64), out_blob->sha256, SPOOL_HASH_LEN, err);
}

int
spool_blobs_read(const char *dir, const char *name,
    struct spool_blob **out_blobs, size_t *out_count, struct err *err)
{
	char *path = spool_file(dir, name, ".blobs");
	struct spool_blob *blobs = NULL;
	size_t count = 0;
	struct slice rest;
	struct buf text;
	int rc = -1;

	buf_init(&text, (size_t)SPOOL_BLOBS_MAX * 96);
	*out_blobs = NULL;
	*out_count = 0;
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		rc = 0;
		goto out;
	}
	if (fsio_read(path, &text, err) < 0)
		goto out;
	rest = buf_slice(&text);
	blobs = mem_calloc(rest.len / 66 + 1, sizeof(*blobs));
	while (rest.len > 0) {
		size_t end = slice_find(rest, '\n');

		if (end == SIZE_MAX || count >= SPOOL_BLOBS_MAX) {
			err_set(err, ERR_BAD_DATA, "%s: cut or too long", path);
			goto out;
		}
		if (blobs_line(slice_sub(rest, 0, end), &blobs[count], err) <
		    0) {
			err_prepend(err, "%s", path);
			goto out;
		}
		count++;
		rest = slice_sub(rest, end + 1, rest.len);
	}
	*out_blobs = blobs;
	*out_count = count;
	blobs = NULL;
	rc = 0;
out:
	free(blobs);
	buf_fini(&text);
	free(path);
	return rc;
}

void
spool_set_add(struct spool_set *set, const uint8_t sha256[SPOOL_HASH_LEN])
{
	if (set->count == set->size) {
		set->size = set->size == 0 ? 16 : set->size * 2;
		set->items =
		    mem_realloc(set->items, set->size * sizeof(*set->items));
	}
	memcpy(set->items[set->count++], sha256, SPOOL_HASH_LEN);
}

static int
hash_compare(const void *a, const void *b)
{
	return memcmp(a, b, SPOOL_HASH_LEN);
}

void
spool_set_sort(struct spool_set *set)
{
	if (set->count > 1)
		qsort(set->items, set->count, SPOOL_HASH_LEN, hash_compare);
}

bool
spool_set_has(const struct spool_set *set, const uint8_t sha256[SPOOL_HASH_LEN])
{
	return set->count > 0 && bsearch(sha256, set->items, set->count,
				     SPOOL_HASH_LEN, hash_compare) != NULL;
}

void
spool_set_fini(struct spool_set *set)
{
	free(set->items);
	memset(set, 0, sizeof(*set));
}

/* Cuts suffix off a file name into name (of SPOOL_HEX_SIZE or more). */
static bool
name_stem(const char *file, const char *suffix, char *name, size_t size)
{
	size_t len = strlen(file), tail = strlen(suffix);

	if (len <= tail || len - tail >= size ||
	    strcmp(file + len - tail, suffix) != 0)
		return false;
	memcpy(name, file, len - tail);
	name[len - tail] = '\0';
	return true;
}

static bool
file_exists(const char *dir, const char *name, const char *suffix)
{
	char *path = spool_file(dir, name, suffix);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

int
spool_box_named(
    const char *dir, const char *except, struct spool_set *set, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return err_set_errno(err, ERR_IO, "%s", dir);
	while (rc == 0 && (e = readdir(d)) != NULL) {
		char name[SPOOL_NAME_SIZE];
		struct spool_blob *blobs = NULL;
		size_t count = 0;

		if (!name_stem(e->d_name, ".blobs", name, sizeof(name)) ||
		    (except != NULL && strcmp(name, except) == 0) ||
		    !file_exists(dir, name, ".galr"))
			continue;
		rc = spool_blobs_read(dir, name, &blobs, &count, err);
		for (size_t i = 0; i < count; i++)
			spool_set_add(set, blobs[i].sha256);
		free(blobs);
	}
	closedir(d);
	spool_set_sort(set);
	return rc;
}

static int
sweep_entry(const char *dir, const char *file, const struct spool_set *named,
    struct err *err)
{
	char stem[SPOOL_HEX_SIZE];
	uint8_t hash[SPOOL_HASH_LEN];
	bool garbage = false;
	char *path;
	int rc = 0;

	if (name_stem(file, ".blobs", stem, SPOOL_NAME_SIZE))
		garbage = !file_exists(dir, stem, ".galr");
	else if (name_stem(file, ".blob", stem, sizeof(stem)) &&
		 id_unhex(slice_str(stem), hash, sizeof(hash), NULL) == 0)
		garbage = !spool_set_has(named, hash);
	if (garbage) {
		path = fsio_join(dir, file);
		rc = fsio_unlink(path, err);
		free(path);
	}
	return rc;
}

int
spool_box_sweep(
    const char *dir, const struct spool_message *keep, struct err *err)
{
	struct spool_set named = {0};
	struct dirent *e;
	DIR *d = NULL;
	int rc = -1;

	for (size_t i = 0; keep != NULL && i < keep->blob_count; i++)
		spool_set_add(&named, keep->blobs[i].sha256);
	if (spool_box_named(dir, NULL, &named, err) < 0)
		goto out;
	d = opendir(dir);
	if (d == NULL) {
		err_set_errno(err, ERR_IO, "%s", dir);
		goto out;
	}
	rc = 0;
	while (rc == 0 && (e = readdir(d)) != NULL)
		rc = sweep_entry(dir, e->d_name, &named, err);
out:
	if (d != NULL)
		closedir(d);
	spool_set_fini(&named);
	return rc;
}

int
spool_box_drop(const char *dir, const char *name, struct err *err)
{
	struct spool_blob *blobs = NULL;
	struct spool_set named = {0};
	size_t count = 0;
	char *path = NULL;
	int rc = -1;

	if (spool_blobs_read(dir, name, &blobs, &count, err) < 0 ||
	    spool_box_named(dir, name, &named, err) < 0)
		goto out;
	path = spool_file(dir, name, ".galr");
	if (fsio_unlink(path, err) < 0)
		goto out;
	for (size_t i = 0; i < count; i++) {
		char hex[SPOOL_HEX_SIZE];

		if (spool_set_has(&named, blobs[i].sha256))
			continue;
		free(path);
		path =
		    spool_file(dir, spool_hex(blobs[i].sha256, hex), ".blob");
		if (fsio_unlink(path, err) < 0)
			goto out;
	}
	free(path);
	path = spool_file(dir, name, ".blobs");
	if (count > 0 && fsio_unlink(path, err) < 0)
		goto out;
	rc = 0;
out:
	free(path);
	free(blobs);
	spool_set_fini(&named);
	return rc;
}

/* put-PID-N whose writer is gone. */
static bool
stage_abandoned(const char *file)
{
	char *end;
	long pid;

	if (strncmp(file, "put-", 4) != 0)
		return false;
	pid = strtol(file + 4, &end, 10);
	return *end == '-' && pid > 0 && pid != (long)getpid() &&
	       kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void
spool_tmp_sweep(
    struct spool *spool, const char *peer, const struct spool_set *keep)
{
	char *dir = spool_peer_dir(spool, peer, "tmp");
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char stem[SPOOL_HEX_SIZE];
		uint8_t hash[SPOOL_HASH_LEN];
		bool piece =
		    name_stem(e->d_name, ".part", stem, sizeof(stem)) &&
		    id_unhex(slice_str(stem), hash, sizeof(hash), NULL) == 0;

		if (stage_abandoned(e->d_name) ||
		    (piece && keep != NULL && !spool_set_has(keep, hash)))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
	free(dir);
}
