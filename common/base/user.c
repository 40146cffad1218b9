#include "common/base/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/base/process.h"

/* Everybody may pass through the parents; nobody else into the last. */
static int
state_make(const char *state, const struct passwd *user, struct err *err)
{
	char *path = mem_strdup(state);
	int rc = -1;
	int fd;

	for (char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
		mode_t mask;

		*p = '\0';
		mask = umask(022);
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			err_set_errno(
			    err, ERR_IO, "cannot create directory %s", path);
		(void)umask(mask);
		if (access(path, F_OK) != 0)
			goto out;
		*p = '/';
	}
	if (fsio_mkdirs(state, err) < 0)
		goto out;
	fd = open(state, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, user->pw_uid, user->pw_gid) < 0)
		err_set_errno(err, ERR_IO, "cannot give %s to its user", state);
	else
		rc = 0;
	if (fd >= 0)
		(void)close(fd);
out:
	free(path);
	return rc;
}

int
user_become(const char *user, const char *state, struct err *err)
{
	const struct passwd *found;

	if (user == NULL || geteuid() != 0)
		return 0;
	errno = 0;
	found = getpwnam(user);
	if (found == NULL)
		return err_set(err, ERR_CONFIG,
		    "there is no user \"%s\": run systemd-sysusers, or: "
		    "useradd --system %s; or name another as \"user\"",
		    user, user);
	if (state_make(state, found, err) < 0)
		return -1;
	if (initgroups(user, found->pw_gid) < 0 || setgid(found->pw_gid) < 0 ||
	    setuid(found->pw_uid) < 0)
		return err_set_errno(err, ERR_CONFIG, "cannot become %s", user);
	process_harden(); /* the kernel forgets with the user */
	return 0;
}
