#include "common/base/fsio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"

#define READ_STEP ((size_t)65536)

char *
fsio_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	return mem_printf(
	    "%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
}

/* The directory that path's last component is in, in a new string. */
static char *
parent_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	if (slash == path)
		return mem_strdup("/");
	return mem_strndup(path, (size_t)(slash - path));
}

int
fsio_mkdirs(const char *dir, struct err *err)
{
	char *path = mem_strdup(dir);
	int rc = -1;

	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST) {
			err_set_errno(
			    err, ERR_IO, "cannot create directory %s", path);
			goto out;
		}
		*p = c;
		if (c == '\0')
			break;
	}
	rc = 0;
out:
	free(path);
	return rc;
}

int
fsio_sync_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return err_set_errno(
		    err, ERR_IO, "cannot open directory %s", dir);
	if (fsync(fd) != 0)
		rc = err_set_errno(err, ERR_IO, "fsync %s", dir);
	(void)close(fd);
	return rc;
}

static int
sync_parent(const char *path, struct err *err)
{
	char *dir = parent_dir(path);
	int rc = fsio_sync_dir(dir, err);

	free(dir);
	return rc;
}

int
fsio_write_all(int fd, struct slice content, struct err *err)
{
	while (content.len > 0) {
		ssize_t n = write(fd, content.data, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, ERR_IO, "write");
		content.data += n;
		content.len -= (size_t)n;
	}
	return 0;
}

int
fsio_write(const char *path, struct slice content, mode_t mode, struct err *err)
{
	char *temporary = mem_printf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	int rc = -1;

	if (fd < 0) {
		err_set_errno(err, ERR_IO, "cannot create %s", temporary);
		free(temporary);
		return -1;
	}
	if (fchmod(fd, mode) != 0) {
		err_set_errno(err, ERR_IO, "chmod %s", temporary);
		goto out;
	}
	if (fsio_write_all(fd, content, err) != 0) {
		err_prepend(err, "%s", path);
		goto out;
	}
	if (fsync(fd) != 0) {
		err_set_errno(err, ERR_IO, "fsync %s", path);
		goto out;
	}
	if (rename(temporary, path) != 0) {
		err_set_errno(err, ERR_IO, "rename to %s", path);
		goto out;
	}
	rc = sync_parent(path, err);
out:
	(void)close(fd);
	if (rc != 0)
		(void)unlink(temporary);
	free(temporary);
	return rc;
}

int
fsio_read(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t old = out->len;
	uint8_t *step = NULL;
	int rc = -1;

	if (fd < 0)
		return err_set_errno(err, ERR_IO, "cannot read %s", path);
	step = mem_alloc(READ_STEP);
	for (;;) {
		ssize_t n = read(fd, step, READ_STEP);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set_errno(err, ERR_IO, "cannot read %s", path);
			goto out;
		}
		if (n == 0)
			break;
		buf_add(out, slice_make(step, (size_t)n));
		if (buf_check(out, path, err) != 0)
			goto out;
	}
	rc = 0;
out:
	if (rc != 0)
		buf_truncate(out, old);
	explicit_bzero(step, READ_STEP);
	free(step);
	(void)close(fd);
	return rc;
}

int
fsio_pread_all(int fd, void *out, size_t len, off_t offset, struct err *err)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t n = pread(fd, at, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, ERR_IO, "read");
		if (n == 0)
			return err_set(err, ERR_BAD_DATA,
			    "file ends %zu bytes early", len);
		at += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

int
fsio_rename(const char *from, const char *to, struct err *err)
{
	char *from_dir = parent_dir(from);
	char *to_dir = parent_dir(to);
	int rc = -1;

	if (rename(from, to) != 0) {
		err_set_errno(err, ERR_IO, "cannot rename %s to %s", from, to);
		goto out;
	}
	if (fsio_sync_dir(to_dir, err) != 0)
		goto out;
	if (strcmp(from_dir, to_dir) != 0 && fsio_sync_dir(from_dir, err) != 0)
		goto out;
	rc = 0;
out:
	free(from_dir);
	free(to_dir);
	return rc;
}

int
fsio_link(const char *from, const char *to, struct err *err)
{
	if (link(from, to) != 0 && errno != EEXIST)
		return err_set_errno(
		    err, ERR_IO, "cannot link %s to %s", from, to);
	return sync_parent(to, err);
}

int
fsio_unlink(const char *path, struct err *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return err_set_errno(err, ERR_IO, "cannot remove %s", path);
	return 0;
}

/* Removes name in the directory dir_fd. A tree as deep as the descriptor limit
 * fails with EMFILE rather than recursing further. */
static int
remove_at(int dir_fd, const char *name)
{
	DIR *dir = NULL;
	struct dirent *entry;
	int rc = 0;
	int fd;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	fd = openat(
	    dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			rc = remove_at(dirfd(dir), entry->d_name);
	}
	(void)closedir(dir);
	return rc != 0 ? rc : unlinkat(dir_fd, name, AT_REMOVEDIR);
}

int
fsio_remove_tree(const char *path, struct err *err)
{
	if (remove_at(AT_FDCWD, path) != 0)
		return err_set_errno(err, ERR_IO, "cannot remove %s", path);
	return 0;
}

int
fsio_lock(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set_errno(err, ERR_IO, "cannot open lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		err_set(err, ERR_TEMPORARY, "another process holds the lock %s",
		    path);
	else
		err_set_errno(err, ERR_IO, "cannot lock %s", path);
	(void)close(fd);
	return -1;
}

int
fsio_dir_usage(const char *dir, uint64_t *out_bytes, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	uint64_t sum = 0;
	struct stat st;

	if (d == NULL)
		return err_set_errno(
		    err, ERR_IO, "cannot read directory %s", dir);
	while ((errno = 0, entry = readdir(d)) != NULL) {
		/* A file that has gone meanwhile uses nothing. */
		if (fstatat(dirfd(d), entry->d_name, &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	if (errno != 0) {
		err_set_errno(err, ERR_IO, "cannot read directory %s", dir);
		(void)closedir(d);
		return -1;
	}
	(void)closedir(d);
	*out_bytes = sum;
	return 0;
}
