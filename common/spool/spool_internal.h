/* Shared by the files of this module only. */
#ifndef COMMON_SPOOL_SPOOL_INTERNAL_H
#define COMMON_SPOOL_SPOOL_INTERNAL_H

#include "common/spool/spool.h"

#define SPOOL_HEX_SIZE (2 * SPOOL_HASH_LEN + 1)

struct spool {
	char *root;
	uint64_t quota;
	bool deferred; /* see spool_defer() */
};

/* Class internal unless both may be file names; name may be NULL. */
int spool_names_check(
    const char *peer, const char *name, struct err *err) ERR_WUR;
/* The smallest message name of a box above after (NULL: the first): 1, 0 none,
 * -1. */
int spool_box_first(const char *dir, const char *after,
    char name[SPOOL_NAME_SIZE], struct err *err) ERR_WUR;

/* ROOT/PEER/in or out, in a string that the caller frees. */
char *spool_box_dir(
    const struct spool *spool, const char *peer, enum spool_box box);
/* ROOT/PEER/leaf, the same. */
char *spool_peer_dir(
    const struct spool *spool, const char *peer, const char *leaf);
/* "DIR/NAMEsuffix", the same. */
char *spool_file(const char *dir, const char *name, const char *suffix);
/* 64 hexadecimal digits; returns text. */
char *spool_hex(
    const uint8_t sha256[SPOOL_HASH_LEN], char text[SPOOL_HEX_SIZE]);

/* Waits for the peer's lock; the caller closes the descriptor. Creates the
 * peer. -1 on failure. */
int spool_lock(struct spool *spool, const char *peer, struct err *err) ERR_WUR;

/* A file of the peer's tmp/ that holds content, synced. *out_path is the
 * caller's; on failure nothing is left and it is NULL. */
int spool_stage(struct spool *spool, const char *peer, struct slice content,
    char **out_path, struct err *err) ERR_WUR;
/* The text of NAME.blobs. */
void spool_blobs_format(
    const struct spool_blob *blobs, size_t blob_count, struct buf *out);
/* Reads NAME.blobs; a missing file means none. */
int spool_blobs_read(const char *dir, const char *name,
    struct spool_blob **out_blobs, size_t *out_count, struct err *err) ERR_WUR;

/* rename(2) without syncing the directory: the caller does that once. */
int spool_rename(const char *from, const char *to, struct err *err) ERR_WUR;

/* Growing list of hashes, sorted on demand. */
struct spool_set {
	uint8_t (*items)[SPOOL_HASH_LEN];
	size_t count, size;
};
void spool_set_add(struct spool_set *set, const uint8_t sha256[SPOOL_HASH_LEN]);
void spool_set_sort(struct spool_set *set);
bool spool_set_has(
    const struct spool_set *set, const uint8_t sha256[SPOOL_HASH_LEN]);
void spool_set_fini(struct spool_set *set);

/* Under the lock: removes from a box lists without envelope and blobs that
 * neither a message nor keep (may be NULL) names. */
int spool_box_sweep(
    const char *dir, const struct spool_message *keep, struct err *err) ERR_WUR;
/* Adds the blobs of all messages of a box except the one called `except`. */
int spool_box_named(const char *dir, const char *except, struct spool_set *set,
    struct err *err) ERR_WUR;
/* Under the lock: unlinks a message and the blobs that only it names. */
/* The caller syncs dir. */
int spool_box_drop(const char *dir, const char *name, struct err *err) ERR_WUR;
/* Removes from tmp/ staged files of dead writers, and pieces that keep does
 * not need when keep is given. */
void spool_tmp_sweep(
    struct spool *spool, const char *peer, const struct spool_set *keep);
/* Identity of a file for spool_message.mark; 0 when it is not there. */
uint64_t spool_mark(const char *path, uint64_t *out_length);

#endif
