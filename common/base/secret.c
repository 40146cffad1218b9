#include "common/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"

static void
secret_take(struct secret *secret, size_t len)
{
	secret->data = mem_alloc(len + 1);
	secret->data[len] = 0;
	secret->len = len;
}

void
secret_set(struct secret *secret, struct slice s)
{
	secret_take(secret, s.len);
	if (s.len > 0)
		memcpy(secret->data, s.data, s.len);
}

int
secret_random(struct secret *secret, size_t len, struct err *err)
{
	secret_take(secret, len);
	for (size_t at = 0; at < len;) {
		ssize_t n = getrandom(secret->data + at, len - at, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			secret_free(secret);
			return err_set_errno(err, ERR_IO, "getrandom");
		}
		at += (size_t)n;
	}
	return 0;
}

static int
secret_check_file(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set_errno(err, ERR_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CONFIG,
		    "secret file %s is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return err_set(err, ERR_CONFIG,
		    "secret file %s has mode %04o and others can reach it;"
		    " run: chmod 600 %s",
		    path, (unsigned int)st.st_mode & 07777, path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_CONFIG,
		    "secret file %s belongs to another user (uid %lu);"
		    " run: chown %lu %s",
		    path, (unsigned long)st.st_uid, (unsigned long)geteuid(),
		    path);
	return 0;
}

/* Bytes read, at most size, or -1. */
static ssize_t
read_up_to(int fd, uint8_t *out, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, out + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int
secret_read(struct secret *out_secret, const char *path, struct err *err)
{
	/* Room for a secret of SECRET_MAX, its newline, and one byte that
	 * shows that there is more. */
	uint8_t bytes[SECRET_MAX + 3];
	ssize_t n;
	int rc = -1;
	int fd;

	*out_secret = (struct secret){NULL, 0};
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_set_errno(
		    err, ERR_IO, "cannot read secret file %s", path);
	if (secret_check_file(fd, path, err) != 0)
		goto out;
	n = read_up_to(fd, bytes, sizeof(bytes));
	if (n < 0) {
		err_set_errno(err, ERR_IO, "cannot read secret file %s", path);
		goto out;
	}
	if (n > 0 && bytes[n - 1] == '\n')
		n--;
	if (n > 0 && bytes[n - 1] == '\r')
		n--;
	if (n == 0) {
		err_set(err, ERR_CONFIG, "secret file %s is empty", path);
		goto out;
	}
	if (n > SECRET_MAX) {
		err_set(err, ERR_CONFIG,
		    "secret file %s is longer than %d bytes", path, SECRET_MAX);
		goto out;
	}
	secret_set(out_secret, slice_make(bytes, (size_t)n));
	rc = 0;
out:
	explicit_bzero(bytes, sizeof(bytes));
	(void)close(fd);
	return rc;
}

void
secret_free(struct secret *secret)
{
	if (secret == NULL)
		return;
	if (secret->data != NULL)
		explicit_bzero(secret->data, secret->len);
	free(secret->data);
	*secret = (struct secret){NULL, 0};
}
