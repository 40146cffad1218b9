/*
 * Replacing a replica by a new file. The old one's write lock is held from
 * begin to commit, so that nothing written to it meanwhile can be lost.
 *
 *	PATH.new built, checked, synced
 *	  directory locked: nobody opens PATH
 *	PATH.new -> PATH.ready        decided; a crash before leaves the old one
 *	PATH-wal, PATH-shm removed
 *	PATH.ready -> PATH            a crash before: the next opener goes on
 *here directory unlocked, the old connection closed
 *
 * Other processes that have the old file open read on in it and find out with
 * db_moved() before they write. SQLite itself leaves the log of a moved file
 * alone when it closes.
 */
#include "common/replica/replica_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"

#define REPLICA_LOCK_MS 10000
#define REPLICA_LOCK_STEP_NS (2 * 1000 * 1000)

int
replica_dir_lock(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL
			? mem_strdup(".")
			: mem_strndup(path, (size_t)(slash - path) + 1);
	int64_t deadline = clock_mono_ms() + REPLICA_LOCK_MS;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		err_set_errno(err, ERR_IO, "cannot open directory %s", dir);
		free(dir);
		return -1;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec step = {0, REPLICA_LOCK_STEP_NS};

		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK || clock_mono_ms() > deadline) {
			err_set_errno(err, ERR_TEMPORARY,
			    "cannot lock directory %s", dir);
			close(fd);
			fd = -1;
			break;
		}
		nanosleep(&step, NULL);
	}
	free(dir);
	return fd;
}

static char *
replica_build_path(const char *path, const char *suffix)
{
	return mem_printf("%s%s", path, suffix);
}

static int
replica_build_unlink(const char *path, const char *suffix, struct err *err)
{
	char *name = replica_build_path(path, suffix);
	int rc = fsio_unlink(name, err);

	free(name);
	return rc;
}

static int
replica_build_rename(
    const char *path, const char *from, const char *to, struct err *err)
{
	char *old_name = replica_build_path(path, from);
	char *new_name = replica_build_path(path, to);
	int rc = fsio_rename(old_name, new_name, err);

	free(old_name);
	free(new_name);
	return rc;
}

bool
replica_build_decided(const char *path)
{
	char *ready = replica_build_path(path, ".ready");
	bool decided = access(ready, F_OK) == 0;

	free(ready);
	return decided;
}

int
replica_build_recover(const char *path, struct err *err)
{
	if (!replica_build_decided(path))
		return 0;
	if (replica_build_unlink(path, "-wal", err) < 0 ||
	    replica_build_unlink(path, "-shm", err) < 0 ||
	    replica_build_rename(path, ".ready", "", err) < 0)
		return -1;
	return 0;
}

static int
replica_build_clean(const char *path, struct err *err)
{
	static const char *const suffixes[] = {
	    ".new", ".new-journal", ".new-wal", ".new-shm"};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (replica_build_unlink(path, suffixes[i], err) < 0)
			return -1;
	}
	return 0;
}

int
replica_build_begin(
    struct replica *replica, struct db **out_db, struct err *err)
{
	char *path = replica_build_path(replica->path, ".new");
	int rc = -1;

	*out_db = NULL;
	if (replica_write_begin(replica, err) < 0)
		goto out;
	/* The lock says that nobody else is building. */
	if (replica_build_clean(replica->path, err) < 0 ||
	    db_build_open(path, out_db, err) < 0 ||
	    db_exec(*out_db, replica_sql_tables, err) < 0 ||
	    db_exec(*out_db, "BEGIN", err) < 0) {
		replica_build_abort(replica, *out_db);
		*out_db = NULL;
		goto out;
	}
	rc = 0;
out:
	free(path);
	return rc;
}

void
replica_build_abort(struct replica *replica, struct db *db)
{
	struct err ignored = {0};

	db_close(db);
	/* A file that stays is removed by the next build. */
	(void)!replica_build_clean(replica->path, &ignored);
	db_rollback(replica->db);
}

static int
replica_build_notes(struct db *from, struct db *to, struct err *err)
{
	struct db_stmt *get, *put;
	int rc;

	if (db_prepare(from, "SELECT key, value FROM note", &get, err) < 0)
		return -1;
	while ((rc = db_step(get, err)) > 0) {
		if (db_prepare(to, "INSERT INTO note VALUES (?1, ?2)", &put,
			err) < 0) {
			rc = -1;
			break;
		}
		db_bind_text(put, 1, db_column_text(get, 0));
		db_bind_blob(put, 2, db_column_blob(get, 1));
		rc = db_run(put, err);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		db_reset(get);
	return rc;
}

static int
replica_build_manifest(
    struct db *from, struct db *to, struct slice signed_bytes, struct err *err)
{
	struct db_stmt *get;
	int rc;

	if (signed_bytes.len > 0)
		return replica_manifest_store(to, signed_bytes, err);
	if (db_prepare(from, "SELECT manifest FROM state", &get, err) < 0)
		return -1;
	rc = db_step(get, err);
	if (rc <= 0)
		return rc;
	rc = replica_manifest_store(to, db_column_blob(get, 0), err);
	db_reset(get);
	return rc;
}

/* The finished file as the regular kind: WAL in its header, nothing beside
 * it, synced. Frees db. */
static int
replica_build_finish(const char *path, struct db *db, struct err *err)
{
	char *name = replica_build_path(path, ".new");
	struct db *regular;
	int rc = -1;

	if (db_build_close(db, replica_schema.count, err) < 0)
		goto out;
	if (db_open(name, &replica_schema, &regular, err) < 0)
		goto out;
	db_close(regular);
	rc = 0;
out:
	free(name);
	return rc;
}

static int
replica_build_replace(struct replica *replica, struct err *err)
{
	struct db *db = NULL;
	int lock = replica_dir_lock(replica->path, err);
	int rc = -1;

	if (lock < 0)
		return -1;
	if (replica_build_rename(replica->path, ".new", ".ready", err) < 0 ||
	    replica_build_recover(replica->path, err) < 0)
		goto out;
	/* Should this fail, the replacement stands all the same, and the old
	 * connection is known as moved. */
	if (db_open(replica->path, &replica_schema, &db, err) < 0)
		goto out;
	db_rollback(replica->db);
	db_close(replica->db);
	replica->db = db;
	rc = 0;
out:
	close(lock);
	return rc;
}

int
replica_build_commit(struct replica *replica, struct db *db,
    const struct replica_meta *meta, struct slice signed_bytes, struct err *err)
{
	if (replica_build_notes(replica->db, db, err) < 0 ||
	    replica_build_manifest(replica->db, db, signed_bytes, err) < 0 ||
	    replica_meta_store(db, meta, err) < 0 ||
	    replica_checkpoint_record(db, meta, err) < 0 ||
	    db_exec(db, "COMMIT", err) < 0) {
		replica_build_abort(replica, db);
		return -1;
	}
	if (replica_build_finish(replica->path, db, err) < 0 ||
	    replica_build_replace(replica, err) < 0) {
		replica_build_abort(replica, NULL);
		return -1;
	}
	replica->meta = *meta;
	return 0;
}
