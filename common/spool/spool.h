/*
 * The spool: durable directories of opaque messages, the only seam between
 * carriers and workers. A message is an envelope file and the section blobs
 * that it needs, named by their SHA-256. Per peer:
 *
 *   ROOT/PEER/in/   messages received        ROOT/PEER/out/  messages to send
 *   ROOT/PEER/tmp/  being written            BLOBS/HASH      shared (hard
 * links) ROOT/PEER/lock  held (flock) while a box changes
 *
 *   NAME.galr       the envelope: appears last, by rename
 *   NAME.blobs      "HASH LENGTH\n" for each blob it needs
 *   HASH.blob       a blob (hard link when it comes from a shared store)
 *
 * NAME is at most 63 of [A-Za-z0-9_.-] and sorts by age within its kind, the
 * part before the first "-": a carrier never lets one overtake another of its
 * kind. A spool knows nothing
 * of keys or plaintext. Quota: bytes of one peer's directory.
 */
#ifndef COMMON_SPOOL_SPOOL_H
#define COMMON_SPOOL_SPOOL_H

#include "common/base/buf.h"

#define SPOOL_NAME_SIZE 64
#define SPOOL_HASH_LEN 32
/* Blobs a message may name: one a tuple. */
#define SPOOL_BLOBS_MAX 4096
/* Messages that may wait in a box before a carrier takes more: a worker walks
 * through all of them. */
#define SPOOL_MESSAGES_MAX 1024
/* What a newcomer (peer "join-...") may have in the in box: its one request. */
#define SPOOL_JOIN_QUOTA (256 * 1024)

struct spool;

enum spool_box { SPOOL_IN, SPOOL_OUT };

struct spool_blob {
	uint8_t sha256[SPOOL_HASH_LEN];
	uint64_t length;
};

struct spool_message {
	char name[SPOOL_NAME_SIZE];
	uint64_t length; /* of the envelope */
	uint64_t mark;   /* changes when the name is replaced */
	struct spool_blob *blobs;
	size_t blob_count;
};

/* quota: bytes each peer's box may hold; 0: none. Creates root 0700. */
int spool_open(const char *root, uint64_t quota, struct spool **out_spool,
    struct err *err) ERR_WUR;
void spool_close(struct spool *spool);

/* Peer names: member names, and "join-HEX" for newcomers. */

/* At most 63 of [A-Za-z0-9_.-], not starting with a dot: may be a peer, and
 * the name of a message. */
bool spool_name_valid(const char *name);

/* A message to put; all borrowed. */
struct spool_put {
	const char *name;
	struct slice envelope;
	const struct spool_blob *blobs;
	const char *const *blob_paths; /* where each blob lies now */
	size_t blob_count;
};

/* Puts a message into a box, durably, all or nothing: each blob is linked (or
 * copied across file systems) from its path, then NAME.blobs, then the
 * envelope appears. A name that exists is replaced. Class limit at the quota,
 * io when the disk is full; nothing is left behind then. */
int spool_put(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_put *put, struct err *err) ERR_WUR;

/* For callers that keep what they put, or know what they dropped, elsewhere and
 * repeat it after a power cut: puts and drops are no longer synced one by one;
 * spool_sync() makes everything before it durable at once. */
void spool_defer(struct spool *spool, bool deferred);
int spool_sync(struct spool *spool, struct err *err) ERR_WUR;

/* Oldest message after `after` (NULL: the first; may be out_message->name): 1,
 * 0 none, -1. Freed with spool_message_fini. */
int spool_next(struct spool *spool, const char *peer, enum spool_box box,
    const char *after, struct spool_message *out_message,
    struct err *err) ERR_WUR;
void spool_message_fini(struct spool_message *message);
/* Reads an envelope; out's maximum is the cap. */
int spool_read(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, struct buf *out, struct err *err) ERR_WUR;
/* Path of a message's envelope, in a string that the caller frees. */
char *spool_message_path(struct spool *spool, const char *peer,
    enum spool_box box, const char *name);
/* Is the message still the one that spool_next gave? */
bool spool_same(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_message *message);
/* Path of a blob of that peer's box, in a string that the caller frees. */
char *spool_blob_path(struct spool *spool, const char *peer, enum spool_box box,
    const uint8_t sha256[SPOOL_HASH_LEN]);
/* Removes a message, then the blobs that no other message of the box names. */
int spool_drop(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, struct err *err) ERR_WUR;
/* The same, but only while it is still the message that spool_next gave: a
 * replacement of the same name stays. */
int spool_drop_same(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_message *message, struct err *err) ERR_WUR;
/* Keeps a refused message for a look: moved to ROOT/PEER/refused (at most the
 * newest 16; older ones go). reason becomes NAME.reason. */
int spool_refuse(struct spool *spool, const char *peer, enum spool_box box,
    const char *name, const char *reason, struct err *err) ERR_WUR;

/* Peers that have a directory; names in a NULL-terminated array that the
 * caller frees with spool_peers_free. */
int spool_peers(
    struct spool *spool, char ***out_names, struct err *err) ERR_WUR;
void spool_peers_free(char **names);

/* --- receiving piece by piece (carriers) --- */
/* Begins a message: removes pieces and blobs of earlier attempts that this one
 * does not need, then asks whether what is still missing fits. Class limit at
 * the quota. One message at a time per peer. */
int spool_receive_begin(struct spool *spool, const char *peer,
    enum spool_box box, const uint8_t sha256[SPOOL_HASH_LEN],
    const struct spool_message *message, struct err *err) ERR_WUR;
/* Bytes of a blob or envelope arriving in tmp/: resumes where a former attempt
 * ended. *out_offset is how many bytes are there already. The descriptor is the
 * caller's. Class limit when length alone exceeds the quota. */
int spool_receive_open(struct spool *spool, const char *peer,
    const uint8_t sha256[SPOOL_HASH_LEN], uint64_t length, int *out_fd,
    uint64_t *out_offset, struct err *err) ERR_WUR;
/* Verifies the SHA-256 of the whole and moves a blob into the box; on a
 * mismatch the piece is removed and the class is bad data. */
int spool_receive_blob(struct spool *spool, const char *peer,
    enum spool_box box, const uint8_t sha256[SPOOL_HASH_LEN], uint64_t length,
    struct err *err) ERR_WUR;
/* The same for the envelope, once all blobs are there: makes the message
 * appear, durably. Class temporary when a blob is no longer there (a worker
 * dropped the message that shared it): fetch it again. */
int spool_receive_message(struct spool *spool, const char *peer,
    enum spool_box box, const char *name, const uint8_t sha256[SPOOL_HASH_LEN],
    const struct spool_message *message, struct err *err) ERR_WUR;
/* Is the blob in the box with that length? */
bool spool_has_blob(struct spool *spool, const char *peer, enum spool_box box,
    const struct spool_blob *blob);

/* A descriptor that becomes readable when any message appears in a box or
 * leaves it (inotify); spool_watch_read() empties it. The peer may not exist
 * yet: watch the peer after creating it with spool_peer_add. */
int spool_watch_open(struct spool *spool, int *out_fd, struct err *err) ERR_WUR;
int spool_watch_peer(struct spool *spool, int fd, const char *peer,
    enum spool_box box, struct err *err) ERR_WUR;
void spool_watch_read(int fd);
int spool_peer_add(
    struct spool *spool, const char *peer, struct err *err) ERR_WUR;
/* Removes a peer's directory. */
int spool_peer_remove(
    struct spool *spool, const char *peer, struct err *err) ERR_WUR;

#endif
