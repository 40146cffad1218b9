#include "spoke/spoke.h"

#include <stdarg.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"

#define SPOKE_LOCK_POLL_US 20000

int
spoke_open(
    const struct spoke_conf *conf, struct spoke *out_spoke, struct err *err)
{
	struct spoke *s = out_spoke;
	char *keys = spoke_conf_state_path(conf, "keys");
	char *spool = spoke_conf_state_path(conf, "spool");
	char *streams = spoke_conf_state_path(conf, "streams");
	char *pending = spoke_conf_state_path(conf, "pending");
	int rc = -1;

	memset(s, 0, sizeof(*s));
	s->conf = conf;
	if (identity_require(conf, &s->identity, err) < 0 ||
	    crypto_init(err) < 0 || keys_load(keys, &s->keys, err) < 0 ||
	    fsio_mkdirs(streams, err) < 0 || fsio_mkdirs(pending, err) < 0 ||
	    store_open(conf, &s->store, err) < 0 ||
	    store_registry(s->store, &s->identity, &s->registry, err) < 0 ||
	    spool_open(spool, conf->spool_quota, &s->spool, err) < 0 ||
	    spool_peer_add(s->spool, SPOKE_PEER, err) < 0)
		goto out;
	rc = 0;
out:
	if (rc < 0)
		spoke_close(s);
	free(pending);
	free(streams);
	free(spool);
	free(keys);
	return rc;
}

void
spoke_close(struct spoke *spoke)
{
	if (spoke->spool != NULL)
		spool_close(spoke->spool);
	registry_free(spoke->registry);
	store_close(spoke->store);
	keys_cleanse(&spoke->keys);
	memset(spoke, 0, sizeof(*spoke));
}

int
spoke_lock(const struct spoke_conf *conf, const char *name, int64_t wait_ms,
    struct err *err)
{
	char *path = mem_printf("%s/%s.lock", conf->state, name);
	int64_t end = clock_mono_ms() + wait_ms;
	int fd;

	for (;;) {
		struct err own = {0};

		fd = fsio_lock(path, &own);
		if (fd >= 0 || own.class != ERR_TEMPORARY ||
		    clock_mono_ms() >= end) {
			if (fd < 0 && err != NULL)
				*err = own;
			break;
		}
		(void)usleep(SPOKE_LOCK_POLL_US);
	}
	free(path);
	return fd;
}

void
spoke_hub_recipient(
    const struct spoke *spoke, struct envelope_recipient *out_recipient)
{
	const struct registry_key *key = NULL;

	out_recipient->name = "";
	if (spoke->registry != NULL)
		key = registry_active_key(
		    &spoke->registry->hub, REGISTRY_DECRYPT);
	memcpy(out_recipient->public_key,
	    key != NULL ? key->public_key : spoke->identity.hub_decrypt, 32);
	crypto_key_id(
	    "x25519", out_recipient->public_key, &out_recipient->key_id);
}

int
spoke_out_has(struct spoke *spoke, const char *name, struct err *err)
{
	struct spool_message message;
	char after[SPOOL_NAME_SIZE];
	int rc;

	after[0] = '\0';
	while ((rc = spool_next(spoke->spool, SPOKE_PEER, SPOOL_OUT,
		    after[0] == '\0' ? NULL : after, &message, err)) > 0) {
		bool same = strcmp(message.name, name) == 0;

		memcpy(after, message.name, sizeof(after));
		spool_message_fini(&message);
		if (same)
			return 1;
	}
	return rc;
}

int
spoke_out_clear(
    struct spoke *spoke, const char *prefix, const char *keep, struct err *err)
{
	struct spool_message message;
	char after[SPOOL_NAME_SIZE];
	int rc;

	after[0] = '\0';
	while ((rc = spool_next(spoke->spool, SPOKE_PEER, SPOOL_OUT,
		    after[0] == '\0' ? NULL : after, &message, err)) > 0) {
		bool drop =
		    strncmp(message.name, prefix, strlen(prefix)) == 0 &&
		    strcmp(message.name, keep) != 0;

		memcpy(after, message.name, sizeof(after));
		spool_message_fini(&message);
		if (drop && spool_drop(spoke->spool, SPOKE_PEER, SPOOL_OUT,
				after, err) < 0)
			return -1;
	}
	return rc;
}

void
spoke_text_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void
spoke_text(char *out, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out, size, format, args);
	va_end(args);
	spoke_text_clean(out);
}
