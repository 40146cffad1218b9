/* Messages that arrive piece by piece: tmp/HASH.part grows, is verified as a
 * whole, and moves into the box; the envelope last. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/spool/spool_internal.h"

#define READ_BYTES (64 * 1024)

/* 0 is none. A newcomer has only little, whatever the members have. */
static uint64_t
receive_quota(const struct spool *spool, const char *peer)
{
	if (strncmp(peer, "join-", 5) == 0 &&
	    (spool->quota == 0 || spool->quota > SPOOL_JOIN_QUOTA))
		return SPOOL_JOIN_QUOTA;
	return spool->quota;
}

static char *
piece_path(
    struct spool *spool, const char *peer, const uint8_t sha256[SPOOL_HASH_LEN])
{
	char hex[SPOOL_HEX_SIZE];
	char *dir = spool_peer_dir(spool, peer, "tmp");
	char *path = spool_file(dir, spool_hex(sha256, hex), ".part");

	free(dir);
	return path;
}

/* Are there as many other messages as may wait? */
static bool
box_crowded(const char *dir, const char *name)
{
	struct dirent *e;
	unsigned count = 0;
	size_t len;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		len = strlen(e->d_name);
		if (len < 6 || strcmp(e->d_name + len - 5, ".galr") != 0)
			continue;
		if (strlen(name) == len - 5 &&
		    memcmp(e->d_name, name, len - 5) == 0)
			continue; /* it is replaced */
		count++;
	}
	if (d != NULL)
		closedir(d);
	return count >= SPOOL_MESSAGES_MAX;
}

static int
begin_room(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_message *message, struct err *err)
{
	uint64_t quota = receive_quota(spool, peer);
	uint64_t need = message->length, used = 0;
	char *dir = spool_box_dir(spool, peer, box);
	bool crowded = box_crowded(dir, message->name);
	int rc = 0;

	if (crowded)
		rc = err_set(err, ERR_LIMIT,
		    "spool of %s is full: %d messages wait", peer,
		    SPOOL_MESSAGES_MAX);
	else if (quota != 0)
		rc = fsio_dir_usage(dir, &used, err);
	free(dir);
	if (rc < 0 || quota == 0)
		return rc;
	for (size_t i = 0; i < message->blob_count; i++) {
		if (!spool_has_blob(spool, peer, box, &message->blobs[i]))
			need += message->blobs[i].length;
		if (need > quota)
			break;
	}
	if (need > quota || used > quota - need)
		return err_set(err, ERR_LIMIT,
		    "spool of %s is full: %llu of %llu bytes used", peer,
		    (unsigned long long)used, (unsigned long long)quota);
	return 0;
}

int
spool_receive_begin(struct spool *spool, const char *peer, enum spool_box box,
    const uint8_t sha256[SPOOL_HASH_LEN], const struct spool_message *message,
    struct err *err)
{
	struct spool_set keep = {0};
	char *dir;
	int lock, rc;

	if (!spool_name_valid(peer))
		return err_set(err, ERR_INTERNAL, "bad spool peer name");
	lock = spool_lock(spool, peer, err);
	if (lock < 0)
		return -1;
	dir = spool_box_dir(spool, peer, box);
	rc = spool_box_sweep(dir, message, err);
	spool_set_add(&keep, sha256);
	for (size_t i = 0; i < message->blob_count; i++)
		spool_set_add(&keep, message->blobs[i].sha256);
	spool_set_sort(&keep);
	spool_tmp_sweep(spool, peer, &keep);
	spool_set_fini(&keep);
	free(dir);
	if (rc == 0)
		rc = begin_room(spool, peer, box, message, err);
	close(lock);
	return rc;
}

int
spool_receive_open(struct spool *spool, const char *peer,
    const uint8_t sha256[SPOOL_HASH_LEN], uint64_t length, int *out_fd,
    uint64_t *out_offset, struct err *err)
{
	uint64_t quota = receive_quota(spool, peer);
	struct stat st;
	char *path;
	int fd, rc = -1;

	*out_fd = -1;
	*out_offset = 0;
	if (quota != 0 && length > quota)
		return err_set(
		    err, ERR_LIMIT, "longer than the spool of %s", peer);
	if (spool_peer_add(spool, peer, err) < 0)
		return -1;
	path = piece_path(spool, peer, sha256);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0 ||
	    ((uint64_t)st.st_size > length && ftruncate(fd, 0) < 0)) {
		err_set_errno(err, ERR_IO, "%s", path);
		goto out;
	}
	if ((uint64_t)st.st_size <= length)
		*out_offset = (uint64_t)st.st_size;
	*out_fd = fd;
	fd = -1;
	rc = 0;
out:
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

static int
file_sha256(
    int fd, uint64_t *out_length, uint8_t out[SPOOL_HASH_LEN], struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *bytes = mem_alloc(READ_BYTES);
	uint64_t offset = 0;
	ssize_t n = 0;
	int rc = -1;

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
		err_set(err, ERR_INTERNAL, "SHA-256 is not available");
		goto out;
	}
	for (;;) {
		n = pread(fd, bytes, READ_BYTES, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (EVP_DigestUpdate(ctx, bytes, (size_t)n) != 1)
			break;
		offset += (uint64_t)n;
	}
	if (n < 0)
		err_set_errno(err, ERR_IO, "read back");
	else if (n > 0 || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		err_set(err, ERR_INTERNAL, "SHA-256 failed");
	else
		rc = 0;
	*out_length = offset;
out:
	free(bytes);
	EVP_MD_CTX_free(ctx);
	return rc;
}

/* The piece is what was announced, and on the disk. */
static int
piece_verify(const char *path, const uint8_t sha256[SPOOL_HASH_LEN],
    uint64_t length, struct err *err)
{
	uint8_t have[SPOOL_HASH_LEN];
	uint64_t bytes = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC), rc = -1;

	if (fd < 0)
		return err_set_errno(err, ERR_IO, "%s", path);
	if (file_sha256(fd, &bytes, have, err) < 0) {
		err_prepend(err, "%s", path);
	} else if (bytes != length ||
		   memcmp(have, sha256, SPOOL_HASH_LEN) != 0) {
		(void)unlink(path);
		err_set(err, ERR_BAD_DATA,
		    "received bytes do not have the announced SHA-256");
	} else if (fsync(fd) < 0) {
		err_set_errno(err, ERR_IO, "fsync %s", path);
	} else {
		rc = 0;
	}
	close(fd);
	return rc;
}

int
spool_receive_blob(struct spool *spool, const char *peer, enum spool_box box,
    const uint8_t sha256[SPOOL_HASH_LEN], uint64_t length, struct err *err)
{
	char *from = piece_path(spool, peer, sha256);
	char *to = spool_blob_path(spool, peer, box, sha256);
	int rc = piece_verify(from, sha256, length, err);

	/* The directory is synced once, before the envelope appears. */
	if (rc == 0)
		rc = spool_rename(from, to, err);
	free(from);
	free(to);
	return rc;
}

static int
message_appear(struct spool *spool, const char *peer, const char *dir,
    const char *piece, const struct spool_message *message, struct err *err)
{
	char *galr = spool_file(dir, message->name, ".galr");
	char *list = spool_file(dir, message->name, ".blobs");
	char *staged = NULL;
	struct buf text;
	int rc = -1;

	buf_init(&text, (size_t)SPOOL_BLOBS_MAX * 96);
	spool_blobs_format(message->blobs, message->blob_count, &text);
	if (message->blob_count > 0 &&
	    spool_stage(spool, peer, buf_slice(&text), &staged, err) < 0)
		goto out;
	if (fsio_unlink(galr, err) < 0 || fsio_unlink(list, err) < 0)
		goto out;
	if (staged != NULL && (spool_rename(staged, list, err) < 0 ||
				  fsio_sync_dir(dir, err) < 0))
		goto out;
	if (spool_rename(piece, galr, err) < 0)
		goto out;
	rc = fsio_sync_dir(dir, err);
out:
	if (rc < 0 && staged != NULL)
		(void)unlink(staged);
	free(staged);
	buf_fini(&text);
	free(list);
	free(galr);
	return rc;
}

int
spool_receive_message(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, const uint8_t sha256[SPOOL_HASH_LEN],
    const struct spool_message *message, struct err *err)
{
	char *piece = NULL, *dir = NULL;
	int lock = -1, rc = -1;

	if (!spool_name_valid(name) || strcmp(name, message->name) != 0)
		return err_set(err, ERR_INTERNAL, "bad spool message name");
	lock = spool_lock(spool, peer, err);
	if (lock < 0)
		return -1;
	piece = piece_path(spool, peer, sha256);
	dir = spool_box_dir(spool, peer, box);
	for (size_t i = 0; i < message->blob_count; i++)
		if (!spool_has_blob(spool, peer, box, &message->blobs[i])) {
			err_set(err, ERR_TEMPORARY,
			    "a blob of %s is missing again", name);
			goto out;
		}
	if (piece_verify(piece, sha256, message->length, err) < 0)
		goto out;
	rc = message_appear(spool, peer, dir, piece, message, err);
out:
	close(lock);
	free(piece);
	free(dir);
	return rc;
}
