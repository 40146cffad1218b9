#include "hub/conf.h"

#include <pwd.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/wire/limits.h"

#define HUB_CONF_ARENA (4 * 1024 * 1024)

static int
endpoint_check(const struct conf_row *row, const void *field, struct err *err)
{
	const char *text = *(const char *const *)field;

	(void)row;
	if (text != NULL && strncmp(text, "tcp://", 6) != 0 &&
	    strncmp(text, "ipc://", 6) != 0)
		return err_set(err, ERR_CONFIG,
		    "\"%s\" is no endpoint; say for example "
		    "tcp://hub.example:4710",
		    text);
	return 0;
}

static const struct conf_row hub_rows[] = {
    {"realm", CONF_STRING, CONF_FIELD(struct hub_conf, realm),
	.text = "galrelay", .min = 1, .max = LIMIT_NAME_CHARS},
    {"state", CONF_PATH, CONF_FIELD(struct hub_conf, state),
	.text = HUB_CONF_STATE},
    {"listen", CONF_STRING, CONF_FIELD(struct hub_conf, listen),
	.text = "tcp://0.0.0.0:4710", .max = 255, .check = endpoint_check},
    {"address", CONF_STRING, CONF_FIELD(struct hub_conf, address), .max = 255,
	.check = endpoint_check},
    {"user", CONF_STRING, CONF_FIELD(struct hub_conf, user), .max = 32},
    {"spool_quota", CONF_SIZE, CONF_FIELD(struct hub_conf, spool_quota),
	.text = "8G", .min = 1048576, .max = INT64_MAX},
    {"bundle_lifetime", CONF_DURATION,
	CONF_FIELD(struct hub_conf, bundle_lifetime_ms), .text = "7d",
	.min = CLOCK_HOUR_MS, .max = LIMIT_ENVELOPE_LIFE_MS},
    {"invitation_lifetime", CONF_DURATION,
	CONF_FIELD(struct hub_conf, invite_lifetime_ms), .text = "7d",
	.min = CLOCK_MINUTE_MS, .max = 90 * CLOCK_DAY_MS},
    {"foreign_limit", CONF_INT, CONF_FIELD(struct hub_conf, foreign_limit),
	.text = "50", .min = 0, .max = INT32_MAX},
    {"foreign_percent", CONF_INT, CONF_FIELD(struct hub_conf, foreign_percent),
	.text = "10", .min = 0, .max = 100},
    {"resend", CONF_DURATION, CONF_FIELD(struct hub_conf, resend_ms),
	.text = "5m", .min = CLOCK_SECOND_MS, .max = CLOCK_DAY_MS},
    {"every", CONF_DURATION, CONF_FIELD(struct hub_conf, every_ms),
	.text = "1m", .min = CLOCK_SECOND_MS, .max = CLOCK_DAY_MS},
    {"worker_deadline", CONF_DURATION,
	CONF_FIELD(struct hub_conf, worker_deadline_ms), .text = "1h",
	.min = 10 * CLOCK_SECOND_MS, .max = CLOCK_DAY_MS},
};

const struct conf_table hub_conf_table =
    CONF_TABLE("hub.conf", struct hub_conf, hub_rows);

/* What spokes connect to when nothing else is said: the port of `listen` on
 * this machine's own name. */
static const char *
address_default(const char *listen, struct arena *arena)
{
	char host[128] = "localhost";
	const char *port = strrchr(listen, ':');
	char *text;
	char *copy;

	if (strncmp(listen, "tcp://", 6) != 0 || port == NULL ||
	    (strncmp(listen, "tcp://0.0.0.0", 13) != 0 &&
		strncmp(listen, "tcp://*", 7) != 0))
		return listen;
	if (gethostname(host, sizeof(host) - 1) < 0)
		return listen;
	text = mem_printf("tcp://%s%s", host, port);
	copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

int
hub_conf_load(const char *path, struct hub_conf **out_conf, struct err *err)
{
	struct hub_conf *conf = mem_calloc(1, sizeof(*conf));
	struct arena *arena = arena_new(HUB_CONF_ARENA);

	*out_conf = NULL;
	if (conf_load(path, &hub_conf_table, conf, arena, err) < 0) {
		arena_free(arena);
		free(conf);
		return -1;
	}
	conf->path = arena_strdup(arena, path);
	if (conf->address == NULL)
		conf->address = address_default(conf->listen, arena);
	conf->owner = arena;
	*out_conf = conf;
	return 0;
}

void
hub_conf_free(struct hub_conf *conf)
{
	if (conf == NULL)
		return;
	arena_free(conf->owner);
	free(conf);
}

static void
sample_line(struct buf *out, const char *key, const char *value,
    const char *fallback, const char *comment)
{
	buf_addf(out, "# %s\n%s%s = ", comment, value == NULL ? "# " : "", key);
	buf_add_json(out, slice_str(value == NULL ? fallback : value));
	buf_add_str(out, ";\n");
}

int
hub_conf_write(
    const char *path, const struct hub_conf_sample *sample, struct err *err)
{
	struct buf out;
	int rc = -1;

	if (access(path, F_OK) == 0)
		return err_set(err, ERR_CONFIG, "%s exists already", path);
	buf_init(&out, 64 * 1024);
	buf_add_str(&out, "# galhub: see galrelay(5). What is commented out "
			  "shows the default.\n");
	sample_line(&out, "realm", sample->realm, "galrelay",
	    "Name of the star, for people.");
	sample_line(&out, "state", sample->state, HUB_CONF_STATE,
	    "Keys, database, streams and spool.");
	sample_line(&out, "listen", sample->listen, "tcp://0.0.0.0:4710",
	    "Where spokes connect.");
	sample_line(&out, "address", sample->address, "tcp://hub.example:4710",
	    "The same, as spokes reach it: invitations carry it.");
	sample_line(&out, "user",
	    geteuid() == 0 && getpwnam("galrelay") != NULL ? "galrelay" : NULL,
	    "galrelay", "Who it runs as when root starts it.");
	if (buf_check(&out, path, err) == 0)
		rc = fsio_write(path, buf_slice(&out), 0644, err);
	buf_fini(&out);
	return rc;
}
