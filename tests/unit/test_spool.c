/* The spool on a real file system: all or nothing, quota, receiving. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/spool/spool.h"

static char root[64];
static struct spool *spool;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/galr-spool-XXXXXX");
	assert_non_null(mkdtemp(root));
	memset(&err, 0, sizeof(err));
	assert_int_equal(spool_open(root, 0, &spool, &err), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(spool);
	spool = NULL;
	return fsio_remove_tree(root, NULL);
}

static void
sha(struct slice s, uint8_t out[SPOOL_HASH_LEN])
{
	assert_int_equal(
	    EVP_Digest(s.data, s.len, out, NULL, EVP_sha256(), NULL), 1);
}

/* Writes content beside the spool and describes it. */
static char *
blob_make(const char *content, struct spool_blob *out)
{
	static unsigned n;
	char *path = mem_printf("%s/.blob-%u", root, n++);

	assert_int_equal(fsio_write(path, slice_str(content), 0600, NULL), 0);
	sha(slice_str(content), out->sha256);
	out->length = strlen(content);
	return path;
}

static size_t
count_files(const char *peer, const char *leaf)
{
	char *dir = mem_printf("%s/%s/%s", root, peer, leaf);
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	free(dir);
	return n;
}

static void
put(const char *name, const char *text)
{
	assert_int_equal(
	    spool_put(spool, "north", SPOOL_OUT,
		&(struct spool_put){.name = name, .envelope = slice_str(text)},
		&err),
	    0);
}

static void
expect_text(enum spool_box box, const char *name, const char *text)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(spool_read(spool, "north", box, name, &out, &err), 0);
	assert_string_equal(buf_cstr(&out), text);
	buf_fini(&out);
}

static void
test_order(void **state)
{
	struct spool_message m = {0};
	char **peers;

	(void)state;
	put("pub-0000000000000002", "two");
	put("pub-0000000000000001", "one");
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_OUT, NULL, &m, &err), 1);
	assert_string_equal(m.name, "pub-0000000000000001");
	assert_int_equal(m.length, 3);
	assert_int_equal(m.blob_count, 0);
	/* The name may lie in the message that is filled. */
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_OUT, m.name, &m, &err), 1);
	assert_string_equal(m.name, "pub-0000000000000002");
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_OUT, m.name, &m, &err), 0);
	expect_text(SPOOL_OUT, "pub-0000000000000001", "one");
	assert_int_equal(
	    spool_next(spool, "south", SPOOL_OUT, NULL, &m, &err), 0);
	assert_int_equal(spool_peers(spool, &peers, &err), 0);
	assert_string_equal(peers[0], "north");
	assert_null(peers[1]);
	spool_peers_free(peers);
}

static void
test_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "../x", "a/b", ".x",
	    "a b", "a\n",
	    "0123456789012345678901234567890123456789012345678901234567890123"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(spool_name_valid(bad[i]));
		assert_int_equal(spool_put(spool, "north", SPOOL_OUT,
				     &(struct spool_put){.name = bad[i],
					 .envelope = slice_str("x")},
				     &err),
		    -1);
		assert_int_equal(spool_peer_add(spool, bad[i], &err), -1);
	}
	assert_true(spool_name_valid("0123456789012345678901234567890123456789"
				     "01234567890123456789012"));
}

static void
test_blobs(void **state)
{
	struct spool_blob blobs[3];
	char *paths[3];
	struct spool_message m = {0};
	struct stat st;
	char *path;

	(void)state;
	paths[0] = blob_make("first", &blobs[0]);
	paths[1] = blob_make("second one", &blobs[1]);
	paths[2] = paths[0];
	blobs[2] = blobs[0]; /* named twice: kept once */
	assert_int_equal(spool_put(spool, "north", SPOOL_OUT,
			     &(struct spool_put){.name = "a",
				 .envelope = slice_str("A"),
				 .blobs = blobs,
				 .blob_paths = (const char *const *)paths,
				 .blob_count = 3},
			     &err),
	    0);
	assert_int_equal(spool_put(spool, "north", SPOOL_OUT,
			     &(struct spool_put){.name = "b",
				 .envelope = slice_str("B"),
				 .blobs = blobs,
				 .blob_paths = (const char *const *)paths,
				 .blob_count = 1},
			     &err),
	    0);
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_OUT, NULL, &m, &err), 1);
	assert_int_equal(m.blob_count, 2);
	assert_memory_equal(m.blobs[1].sha256, blobs[1].sha256, 32);
	assert_int_equal(m.blobs[1].length, 10);
	path = spool_blob_path(spool, "north", SPOOL_OUT, blobs[0].sha256);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_nlink, 2); /* shared, not copied */
	free(path);
	assert_int_equal(spool_drop(spool, "north", SPOOL_OUT, "a", &err), 0);
	/* b still needs the first. */
	assert_true(spool_has_blob(spool, "north", SPOOL_OUT, &blobs[0]));
	assert_false(spool_has_blob(spool, "north", SPOOL_OUT, &blobs[1]));
	assert_int_equal(spool_drop(spool, "north", SPOOL_OUT, "b", &err), 0);
	assert_int_equal(count_files("north", "out"), 0);
	assert_int_equal(spool_drop(spool, "north", SPOOL_OUT, "b", &err), 0);
	spool_message_fini(&m);
	free(paths[0]);
	free(paths[1]);
}

static void
test_put_fails_whole(void **state)
{
	struct spool_blob blobs[2];
	char *paths[2];

	(void)state;
	paths[0] = blob_make("there", &blobs[0]);
	paths[1] = blob_make("shorter than said", &blobs[1]);
	blobs[1].length++;
	assert_int_equal(spool_put(spool, "north", SPOOL_OUT,
			     &(struct spool_put){.name = "a",
				 .envelope = slice_str("A"),
				 .blobs = blobs,
				 .blob_paths = (const char *const *)paths,
				 .blob_count = 2},
			     &err),
	    -1);
	assert_int_equal(count_files("north", "out"), 0);
	assert_int_equal(count_files("north", "tmp"), 0);
	free(paths[0]);
	free(paths[1]);
}

static void
test_replace(void **state)
{
	struct spool_message old = {0}, m = {0};
	struct spool_blob blob;
	char *path = blob_make("blob", &blob);

	(void)state;
	assert_int_equal(spool_put(spool, "north", SPOOL_OUT,
			     &(struct spool_put){.name = "a",
				 .envelope = slice_str("old"),
				 .blobs = &blob,
				 .blob_paths = (const char *const *)&path,
				 .blob_count = 1},
			     &err),
	    0);
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_OUT, NULL, &old, &err), 1);
	assert_true(spool_same(spool, "north", SPOOL_OUT, &old));
	put("a", "new text");
	assert_false(spool_same(spool, "north", SPOOL_OUT, &old));
	/* The old one was sent: the new one must stay. */
	assert_int_equal(
	    spool_drop_same(spool, "north", SPOOL_OUT, &old, &err), 0);
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_OUT, NULL, &m, &err), 1);
	assert_int_equal(m.blob_count, 0);
	expect_text(SPOOL_OUT, "a", "new text");
	assert_int_equal(
	    spool_drop_same(spool, "north", SPOOL_OUT, &m, &err), 0);
	assert_int_equal(count_files("north", "out"), 0);
	spool_message_fini(&old);
	spool_message_fini(&m);
	free(path);
}

static void
test_quota(void **state)
{
	char at[101], over[102];

	(void)state;
	memset(at, 'x', 100);
	at[100] = '\0';
	memset(over, 'x', 101);
	over[101] = '\0';
	spool_close(spool);
	assert_int_equal(spool_open(root, 100, &spool, &err), 0);
	assert_int_equal(
	    spool_put(spool, "north", SPOOL_OUT,
		&(struct spool_put){.name = "a", .envelope = slice_str(over)},
		&err),
	    -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(count_files("north", "tmp"), 0);
	put("a", at);
	put("a", at); /* a replacement does not count twice */
	assert_int_equal(
	    spool_put(spool, "north", SPOOL_OUT,
		&(struct spool_put){.name = "b", .envelope = slice_str("1")},
		&err),
	    -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

static void
test_refuse(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m%02d", i);
		put(name, "bad");
		assert_int_equal(spool_refuse(spool, "north", SPOOL_OUT, name,
				     "signature", &err),
		    0);
	}
	assert_int_equal(count_files("north", "out"), 0);
	assert_int_equal(count_files("north", "refused"), 32);
}

/* Receives like a carrier: text in pieces, blob first. */
static int
receive_piece(const char *text, size_t upto)
{
	uint8_t hash[SPOOL_HASH_LEN];
	uint64_t offset;
	int fd;

	sha(slice_str(text), hash);
	assert_int_equal(spool_receive_open(spool, "north", hash, strlen(text),
			     &fd, &offset, &err),
	    0);
	assert_true(offset <= upto);
	assert_int_equal(
	    pwrite(fd, text + offset, upto - offset, (off_t)offset),
	    upto - offset);
	close(fd);
	return (int)offset;
}

static void
test_receive(void **state)
{
	const char *blob = "a blob of some length", *envelope = "envelope";
	struct spool_message m = {.name = "bun-1", .length = 8}, got = {0};
	uint8_t hash[SPOOL_HASH_LEN];
	struct spool_blob b;

	(void)state;
	sha(slice_str(blob), b.sha256);
	b.length = strlen(blob);
	sha(slice_str(envelope), hash);
	m.blobs = &b;
	m.blob_count = 1;
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), 0);
	assert_int_equal(receive_piece(blob, 5), 0);
	/* An envelope without its blobs does not appear. */
	receive_piece(envelope, 8);
	assert_int_equal(spool_receive_message(
			     spool, "north", SPOOL_IN, "bun-1", hash, &m, &err),
	    -1);
	assert_int_equal(err.class, ERR_TEMPORARY);
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_IN, NULL, &got, &err), 0);
	/* Another attempt keeps the pieces. */
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), 0);
	assert_int_equal(receive_piece(blob, b.length), 5);
	assert_int_equal(spool_receive_blob(spool, "north", SPOOL_IN, b.sha256,
			     b.length, &err),
	    0);
	assert_int_equal(spool_receive_message(
			     spool, "north", SPOOL_IN, "bun-1", hash, &m, &err),
	    0);
	assert_int_equal(
	    spool_next(spool, "north", SPOOL_IN, NULL, &got, &err), 1);
	assert_string_equal(got.name, "bun-1");
	assert_int_equal(got.blob_count, 1);
	expect_text(SPOOL_IN, "bun-1", envelope);
	spool_message_fini(&got);
	assert_int_equal(count_files("north", "tmp"), 0);
}

static void
test_receive_wrong_hash(void **state)
{
	uint8_t hash[SPOOL_HASH_LEN];
	uint64_t offset;
	int fd;

	(void)state;
	sha(slice_str("what was said"), hash);
	assert_int_equal(
	    spool_receive_open(spool, "north", hash, 13, &fd, &offset, &err),
	    0);
	assert_int_equal(write(fd, "what was sent", 13), 13);
	close(fd);
	assert_int_equal(
	    spool_receive_blob(spool, "north", SPOOL_IN, hash, 13, &err), -1);
	assert_int_equal(err.class, ERR_BAD_DATA);
	assert_int_equal(count_files("north", "tmp"), 0);
	assert_int_equal(count_files("north", "in"), 0);
}

static void
test_receive_quota(void **state)
{
	struct spool_message m = {.name = "a", .length = SPOOL_JOIN_QUOTA};
	uint8_t hash[SPOOL_HASH_LEN] = {1};

	(void)state;
	assert_int_equal(
	    spool_receive_begin(spool, "join-00", SPOOL_IN, hash, &m, &err), 0);
	m.length++;
	assert_int_equal(
	    spool_receive_begin(spool, "join-00", SPOOL_IN, hash, &m, &err),
	    -1);
	assert_int_equal(err.class, ERR_LIMIT);
	/* Members have what the spool gives, here no bound. */
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), 0);
}

/* Small messages fill no box without end; one that is replaced is no more. */
static void
test_receive_crowd(void **state)
{
	struct spool_message m = {.name = "m0", .length = 3};
	uint8_t hash[SPOOL_HASH_LEN] = {1};
	char name[SPOOL_NAME_SIZE];

	(void)state;
	spool_defer(spool, true);
	for (int i = 0; i < SPOOL_MESSAGES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "m%d", i);
		assert_int_equal(spool_put(spool, "north", SPOOL_IN,
				     &(struct spool_put){.name = name,
					 .envelope = SLICE_LIT("x")},
				     &err),
		    0);
	}
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), 0);
	(void)snprintf(m.name, sizeof(m.name), "another");
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(spool_drop(spool, "north", SPOOL_IN, "m7", &err), 0);
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), 0);
}

/* A superseded attempt leaves nothing behind. */
static void
test_receive_begin_sweeps(void **state)
{
	struct spool_message m = {.name = "new", .length = 3};
	uint8_t hash[SPOOL_HASH_LEN] = {1};
	const char *old = "verified blob of an old attempt";
	struct spool_blob b;

	(void)state;
	sha(slice_str(old), b.sha256);
	b.length = strlen(old);
	receive_piece(old, b.length);
	assert_int_equal(spool_receive_blob(spool, "north", SPOOL_IN, b.sha256,
			     b.length, &err),
	    0);
	receive_piece("half of an old envelope", 10);
	assert_int_equal(
	    spool_receive_begin(spool, "north", SPOOL_IN, hash, &m, &err), 0);
	assert_int_equal(count_files("north", "in"), 0);
	assert_int_equal(count_files("north", "tmp"), 0);
}

static void
test_watch(void **state)
{
	struct pollfd p = {.events = POLLIN};

	(void)state;
	assert_int_equal(spool_watch_open(spool, &p.fd, &err), 0);
	assert_int_equal(
	    spool_watch_peer(spool, p.fd, "north", SPOOL_OUT, &err), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	put("a", "x");
	assert_int_equal(poll(&p, 1, 1000), 1);
	spool_watch_read(p.fd);
	assert_int_equal(poll(&p, 1, 0), 0);
	close(p.fd);
}

/* RLIMIT_FSIZE stands for a full disk: EFBIG instead of ENOSPC. */
static void
test_disk_full(void **state)
{
	struct rlimit old, small;
	char *big = mem_calloc(1, 65537);
	int rc;

	(void)state;
	memset(big, 'x', 65536);
	put("a", "before");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = spool_put(spool, "north", SPOOL_OUT,
	    &(struct spool_put){.name = "a", .envelope = slice_str(big)}, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(err.class, ERR_IO);
	expect_text(SPOOL_OUT, "a", "before");
	assert_int_equal(count_files("north", "tmp"), 0);
	free(big);
}

/* A writer killed at any moment: what is listed is whole, and debris goes
 * with the next put. */
static void
test_kill(void **state)
{
	struct spool_blob blob;
	char *path = blob_make("blob of the message", &blob);
	struct spool_message m = {0};
	size_t files;

	(void)state;
	srand(1);
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (int k = 0;; k++) {
				char name[16];

				snprintf(name, sizeof(name), "m%d", k % 3);
				if (spool_put(spool, "north", SPOOL_OUT,
					&(struct spool_put){.name = name,
					    .envelope = slice_str("envelope"),
					    .blobs = &blob,
					    .blob_paths =
						(const char *const *)&path,
					    .blob_count = 1},
					NULL) < 0 ||
				    (k % 4 == 0 &&
					spool_drop(spool, "north", SPOOL_OUT,
					    name, NULL) < 0))
					_exit(1);
			}
		}
		assert_true(pid > 0);
		usleep((useconds_t)(rand() % 12000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (;;) {
			char after[SPOOL_NAME_SIZE];

			memcpy(after, m.name, sizeof(after));
			spool_message_fini(&m);
			if (spool_next(spool, "north", SPOOL_OUT, after, &m,
				&err) <= 0)
				break;
			assert_int_equal(m.length, 8);
			assert_int_equal(m.blob_count, 1);
			assert_true(spool_has_blob(
			    spool, "north", SPOOL_OUT, &m.blobs[0]));
			expect_text(SPOOL_OUT, m.name, "envelope");
		}
		spool_message_fini(&m);
	}
	put("m0", "x");
	put("m1", "x");
	put("m2", "x");
	put("m2", "x");
	files = count_files("north", "out");
	assert_int_equal(files, 3);
	assert_int_equal(count_files("north", "tmp"), 0);
	free(path);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_order),
	    T(test_names),
	    T(test_blobs),
	    T(test_put_fails_whole),
	    T(test_replace),
	    T(test_quota),
	    T(test_refuse),
	    T(test_receive),
	    T(test_receive_wrong_hash),
	    T(test_receive_quota),
	    T(test_receive_crowd),
	    T(test_receive_begin_sweeps),
	    T(test_watch),
	    T(test_disk_full),
	    T(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
