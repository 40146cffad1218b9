/* What every part of the hub works with: configuration, state, keys, registry.
 *
 *   main ──► members (command line: init, invite, revoke, allot, release)
 *        ──► serve ──fork──► front            carrier, CURVE key only
 *                  ──fork──► worker: admit ─► publish
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "common/base/clock.h"
#include "common/spool/spool.h"
#include "common/wire/keys.h"
#include "common/wire/registry.h"
#include "hub/conf.h"
#include "hub/store.h"
#include "hub/target.h"

struct hub {
	const struct hub_conf *conf;
	struct store *store;
	struct spool *spool; /* STATE/spool */
	struct spool *held;  /* STATE/held: publications over the limit */
	struct keys keys;    /* all zero when opened for reading */
	struct registry *registry;
	int64_t now_ms; /* of this pass */
	int lock;       /* STATE/hub.lock, -1 when opened for reading */
};

enum hub_mode { HUB_READ, HUB_WRITE };

/* Opens the state of an initialised hub; write: takes hub.lock, waiting up to
 * wait_ms (class temporary), and loads the keys. crypto_init() is called. */
int hub_open(const struct hub_conf *conf, enum hub_mode mode, int64_t wait_ms,
    struct hub **out_hub, struct err *err) ERR_WUR;
void hub_close(struct hub *hub);
/* Between passes the lock is free for the command line; who takes it again
 * reads the registry again when it changed meanwhile. */
int hub_lock(struct hub *hub, int64_t wait_ms, struct err *err) ERR_WUR;
void hub_unlock(struct hub *hub);

/* Path below the state directory, in a string that the caller frees. */
char *hub_path(const struct hub_conf *conf, const char *name);
/* STATE/streams/MEMBER/STREAM.db; makes the directory. */
char *hub_stream_path(const struct hub_conf *conf, const char *member,
    const char *stream, struct err *err) ERR_WUR;
/* STATE/blobs/HEX */
char *hub_blob_path(
    const struct hub_conf *conf, const uint8_t sha256[CRYPTO_HASH_LEN]);

/* Decodes what meta "registry" holds, replacing hub->registry. */
int hub_registry_load(struct hub *hub, struct err *err) ERR_WUR;

/* One line with a time in STATE/audit.log, durable: who did what to whom. */
int hub_audit(const struct hub_conf *conf, struct err *err, const char *format,
    ...) ERR_PRINTF(3, 4);

/* Members not revoked, and only those: revoked ones never match. */
const struct registry_member *hub_member(
    const struct hub *hub, const char *name);

#endif
