#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"

#define HUB_LOCK_STEP_MS 50

char *
hub_path(const struct hub_conf *conf, const char *name)
{
	return fsio_join(conf->state, name);
}

char *
hub_stream_path(const struct hub_conf *conf, const char *member,
    const char *stream, struct err *err)
{
	char *dir = mem_printf("%s/streams/%s", conf->state, member);
	char *path = NULL;

	if (fsio_mkdirs(dir, err) == 0)
		path = mem_printf("%s/%s.db", dir, stream);
	free(dir);
	return path;
}

char *
hub_blob_path(
    const struct hub_conf *conf, const uint8_t sha256[CRYPTO_HASH_LEN])
{
	struct buf hex;
	char *path;

	buf_init(&hex, 2 * CRYPTO_HASH_LEN + 1);
	buf_add_hex(&hex, slice_make(sha256, CRYPTO_HASH_LEN));
	path = mem_printf("%s/blobs/%s", conf->state, buf_cstr(&hex));
	buf_fini(&hex);
	return path;
}

int
hub_registry_load(struct hub *hub, struct err *err)
{
	struct registry *registry = NULL;
	struct buf bytes, key;
	int rc = -1;

	buf_init(&bytes, LIMIT_PAYLOAD_BYTES);
	buf_init(&key, 32);
	if (store_meta_get(hub->store, "registry", &bytes, err) < 0 ||
	    store_meta_get(hub->store, "hub-sign", &key, err) < 0)
		goto out;
	if (bytes.len == 0 || key.len != 32) {
		(void)err_set(err, ERR_CONFIG,
		    "%s holds no realm yet: run galhub init", hub->conf->state);
		goto out;
	}
	if (registry_decode(buf_slice(&bytes), key.data, &registry, err) < 0) {
		(void)err_prepend(err, "the hub's own registry");
		goto out;
	}
	registry_free(hub->registry);
	hub->registry = registry;
	rc = 0;
out:
	buf_fini(&bytes);
	buf_fini(&key);
	return rc;
}

static int
lock_wait(struct hub *hub, int64_t wait_ms, struct err *err)
{
	char *path = hub_path(hub->conf, "hub.lock");
	int64_t end = clock_mono_ms() + wait_ms;

	for (;;) {
		hub->lock = fsio_lock(path, err);
		if (hub->lock >= 0 || err->class != ERR_TEMPORARY ||
		    clock_mono_ms() >= end)
			break;
		usleep(HUB_LOCK_STEP_MS * 1000);
	}
	free(path);
	return hub->lock < 0 ? -1 : 0;
}

int
hub_lock(struct hub *hub, int64_t wait_ms, struct err *err)
{
	struct buf bytes;
	int rc;

	if (hub->lock >= 0)
		return 0;
	if (lock_wait(hub, wait_ms, err) < 0)
		return -1;
	buf_init(&bytes, LIMIT_PAYLOAD_BYTES);
	rc = store_meta_get(hub->store, "registry", &bytes, err);
	if (rc == 0 &&
	    !slice_equal(buf_slice(&bytes), hub->registry->signed_bytes))
		rc = hub_registry_load(hub, err);
	buf_fini(&bytes);
	return rc;
}

void
hub_unlock(struct hub *hub)
{
	if (hub->lock >= 0)
		close(hub->lock);
	hub->lock = -1;
}

static int
hub_spools_open(struct hub *hub, struct err *err)
{
	char *spool = hub_path(hub->conf, "spool");
	char *held = hub_path(hub->conf, "held");
	int rc = -1;

	if (spool_open(spool, hub->conf->spool_quota, &hub->spool, err) == 0 &&
	    spool_open(held, 0, &hub->held, err) == 0) {
		/* hub.db repeats bundles until spool_sync() has passed, and
		 * knows messages that come back after a power cut. */
		spool_defer(hub->spool, true);
		rc = 0;
	}
	free(spool);
	free(held);
	return rc;
}

static int
hub_keys_load(struct hub *hub, struct err *err)
{
	char *dir = hub_path(hub->conf, "keys");
	int rc = keys_load(dir, &hub->keys, err);

	free(dir);
	return rc;
}

int
hub_open(const struct hub_conf *conf, enum hub_mode mode, int64_t wait_ms,
    struct hub **out_hub, struct err *err)
{
	struct hub *hub = mem_calloc(1, sizeof(*hub));
	char *path = hub_path(conf, "hub.db");

	hub->conf = conf;
	hub->lock = -1;
	hub->now_ms = clock_now_ms();
	if (access(path, F_OK) != 0) {
		(void)err_set_errno(err, ERR_CONFIG,
		    errno == EACCES
			? "not allowed into %s (call galhub as root, or as the "
			  "user that it runs as)"
			: "no hub in %s (run galhub init first)",
		    conf->state);
		goto fail;
	}
	if (crypto_init(err) < 0)
		goto fail;
	if (mode == HUB_WRITE &&
	    (lock_wait(hub, wait_ms, err) < 0 || hub_keys_load(hub, err) < 0))
		goto fail;
	if (store_open(path, &hub->store, err) < 0 ||
	    hub_registry_load(hub, err) < 0 || hub_spools_open(hub, err) < 0)
		goto fail;
	free(path);
	*out_hub = hub;
	return 0;
fail:
	free(path);
	hub_close(hub);
	return -1;
}

void
hub_close(struct hub *hub)
{
	if (hub == NULL)
		return;
	registry_free(hub->registry);
	store_close(hub->store);
	if (hub->spool != NULL)
		spool_close(hub->spool);
	if (hub->held != NULL)
		spool_close(hub->held);
	keys_cleanse(&hub->keys);
	if (hub->lock >= 0)
		close(hub->lock);
	free(hub);
}

int
hub_audit(const struct hub_conf *conf, struct err *err, const char *format, ...)
{
	char *path = hub_path(conf, "audit.log");
	char time[CLOCK_TEXT_SIZE];
	struct buf line;
	va_list ap;
	char text[1024];
	int rc = -1;
	int fd;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_init(&line, sizeof(text) + CLOCK_TEXT_SIZE + 64);
	buf_addf(&line, "%s uid=%u %s\n", clock_format(clock_now_ms(), time),
	    (unsigned)getuid(), text);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) {
		(void)err_set_errno(err, ERR_IO, "%s", path);
		goto out;
	}
	if (fsio_write_all(fd, buf_slice(&line), err) == 0)
		rc =
		    fsync(fd) == 0 ? 0 : err_set_errno(err, ERR_IO, "%s", path);
	close(fd);
out:
	buf_fini(&line);
	free(path);
	return rc;
}

const struct registry_member *
hub_member(const struct hub *hub, const char *name)
{
	const struct registry_member *member =
	    name[0] == '\0' ? NULL : registry_find(hub->registry, name);

	return member == NULL || member->revoked ? NULL : member;
}
