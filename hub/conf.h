/* What a person says of this hub: hub.conf. Read once into a constant struct.
 */
#ifndef HUB_CONF_H
#define HUB_CONF_H

#include <stdint.h>
#include "common/base/err.h"

#define HUB_CONF_PATH "/etc/galrelay/hub.conf"
#define HUB_CONF_STATE "/var/lib/galrelay/hub"

struct hub_conf {
	const char *path;
	const char *realm;    /* name of the realm, for people */
	const char *state;    /* directory */
	const char *listen;   /* ZeroMQ endpoint to bind */
	const char *address;  /* endpoint that invitations carry */
	const char *user;     /* run as this user when started by root; NULL */
	uint64_t spool_quota; /* bytes of one member's box */
	int64_t bundle_lifetime_ms; /* how long a bundle may travel */
	int64_t invite_lifetime_ms;
	/* More objects outside of the member's domains than both hold a version
	 * at the hub. */
	uint64_t foreign_limit;
	unsigned foreign_percent;
	int64_t resend_ms; /* first repeat of what nobody acknowledged */
	int64_t every_ms;  /* look at everything at least this often */
	int64_t worker_deadline_ms; /* of one message at the admit worker */
	void *owner;                /* what keeps the texts alive */
};

struct conf_table;
/* For tests of samples and manual. */
extern const struct conf_table hub_conf_table;

/* Class config with file, line and cure. hub_conf_free(NULL) is legal. */
int hub_conf_load(
    const char *path, struct hub_conf **out_conf, struct err *err) ERR_WUR;
void hub_conf_free(struct hub_conf *conf);

/* What `galhub init` writes when there is no file yet. Class config when it
 * exists. */
struct hub_conf_sample {
	const char *realm, *state, *listen, *address; /* NULL: default */
};
int hub_conf_write(const char *path, const struct hub_conf_sample *sample,
    struct err *err) ERR_WUR;

#endif
