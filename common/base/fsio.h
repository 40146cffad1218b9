/*
 * Files that survive a power cut: write to a temporary name in the same
 * directory, fsync, rename, fsync the directory, and only then acknowledge.
 */
#ifndef COMMON_BASE_FSIO_H
#define COMMON_BASE_FSIO_H

#include <sys/types.h>
#include "common/base/buf.h"

/* Creates dir and its missing parents with mode 0700 (existing ones are left
 * as they are). Class io, with the path. */
int fsio_mkdirs(const char *dir, struct err *err) ERR_WUR;

/* Replaces path durably. */
int fsio_write(const char *path, struct slice content, mode_t mode,
    struct err *err) ERR_WUR;

/* Appends the whole file to out. A file that does not fit in out's maximum is
 * class limit, a missing one class io with saved_errno ENOENT. */
int fsio_read(const char *path, struct buf *out, struct err *err) ERR_WUR;

/* write(2) until everything is written. */
int fsio_write_all(int fd, struct slice content, struct err *err) ERR_WUR;
/* pread(2) exactly len bytes; fewer is class bad data. */
int fsio_pread_all(
    int fd, void *out, size_t len, off_t offset, struct err *err) ERR_WUR;

/* rename(2) and fsync of the target's directory (both when they differ). */
int fsio_rename(const char *from, const char *to, struct err *err) ERR_WUR;
/* link(2) and fsync of the target's directory; EEXIST counts as done. */
int fsio_link(const char *from, const char *to, struct err *err) ERR_WUR;
/* unlink(2); ENOENT counts as done. */
int fsio_unlink(const char *path, struct err *err) ERR_WUR;
/* fsync of a directory given by path. */
int fsio_sync_dir(const char *dir, struct err *err) ERR_WUR;
/* Removes a directory tree, without following symbolic links. */
int fsio_remove_tree(const char *path, struct err *err) ERR_WUR;

/* Opens (creating) and locks path with flock(2), exclusive, not waiting.
 * Returns the descriptor, which the caller closes to unlock; -1 with class
 * temporary when another process holds it. */
int fsio_lock(const char *path, struct err *err) ERR_WUR;

/* Bytes in use by the regular files of a directory, not recursive. */
int fsio_dir_usage(
    const char *dir, uint64_t *out_bytes, struct err *err) ERR_WUR;

/* "dir/name" in a new string that the caller frees. */
char *fsio_join(const char *dir, const char *name);

#endif
