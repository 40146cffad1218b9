#include "spoke/identity.h"

#include <errno.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/registry.h"

#define IDENTITY_FILE "identity"
#define IDENTITY_KEYS "keys"
#define IDENTITY_HEAD "galrelay-identity 1\n"
#define IDENTITY_FILE_MAX 8192

static int
machine_read(const struct spoke_conf *conf, char *out, struct err *err)
{
	struct slice text;
	struct buf buf;
	int rc = -1;

	buf_init(&buf, 4096);
	if (fsio_read(conf->machine_id_file, &buf, err) < 0) {
		if (err != NULL)
			err->class = ERR_CONFIG;
		(void)err_prepend(err, "machine id (systemd-machine-id-setup "
				       "makes one, or set machine_id_file)");
		goto out;
	}
	text = slice_trim(buf_slice(&buf));
	if (text.len == 0 || text.len > IDENTITY_MACHINE_MAX ||
	    slice_find(text, '\n') != SIZE_MAX) {
		(void)err_set(err, ERR_CONFIG,
		    "%s holds no machine id: one line of 1 to %d characters",
		    conf->machine_id_file, IDENTITY_MACHINE_MAX);
		goto out;
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	rc = 0;
out:
	buf_fini(&buf);
	return rc;
}

static void
line_add(struct buf *buf, const char *key, const char *value)
{
	buf_addf(buf, "%s %s\n", key, value);
}

static void
line_add_hex(struct buf *buf, const char *key, const void *data, size_t len)
{
	buf_addf(buf, "%s ", key);
	buf_add_hex(buf, slice_make(data, len));
	buf_add_byte(buf, '\n');
}

int
identity_save(const struct spoke_conf *conf, const struct identity *identity,
    struct err *err)
{
	char *path = spoke_conf_state_path(conf, IDENTITY_FILE);
	struct buf buf;
	int rc = -1;

	buf_init(&buf, IDENTITY_FILE_MAX);
	buf_add_str(&buf, IDENTITY_HEAD);
	line_add(&buf, "machine", identity->machine);
	line_add_hex(&buf, "instance", identity->instance.bytes, ID_LEN);
	if (identity->joined) {
		line_add_hex(&buf, "realm", identity->realm.bytes, ID_LEN);
		line_add(&buf, "member", identity->member);
		line_add(&buf, "address", identity->address);
		line_add_hex(&buf, "hub-sign", identity->hub_sign, 32);
		line_add_hex(&buf, "hub-decrypt", identity->hub_decrypt, 32);
		line_add_hex(&buf, "hub-curve", identity->hub_curve, 32);
		buf_addf(&buf, "joined %lld\n", (long long)identity->joined_at);
	}
	if (buf_check(&buf, "identity", err) == 0)
		rc = fsio_write(path, buf_slice(&buf), 0600, err);
	buf_fini(&buf);
	free(path);
	return rc;
}

static bool
text_copy(struct slice value, char *out, size_t size)
{
	if (value.len == 0 || value.len >= size)
		return false;
	memcpy(out, value.data, value.len);
	out[value.len] = '\0';
	return true;
}

/* One "key value" line; false when the value is malformed. */
static bool
line_parse(struct identity *id, struct slice key, struct slice value)
{
	const struct {
		const char *key;
		void *to;
		size_t len;
	} hex[] = {
	    {"instance", id->instance.bytes, ID_LEN},
	    {"realm", id->realm.bytes, ID_LEN},
	    {"hub-sign", id->hub_sign, 32},
	    {"hub-decrypt", id->hub_decrypt, 32},
	    {"hub-curve", id->hub_curve, 32},
	};
	char number[24];

	for (size_t i = 0; i < sizeof(hex) / sizeof(hex[0]); i++)
		if (slice_equal(key, slice_str(hex[i].key)))
			return id_unhex(value, hex[i].to, hex[i].len, NULL) ==
			       0;
	if (slice_equal(key, SLICE_LIT("machine")))
		return text_copy(value, id->machine, sizeof(id->machine));
	if (slice_equal(key, SLICE_LIT("member")))
		return text_copy(value, id->member, sizeof(id->member)) &&
		       registry_name_valid(id->member);
	if (slice_equal(key, SLICE_LIT("address")))
		return text_copy(value, id->address, sizeof(id->address));
	if (slice_equal(key, SLICE_LIT("joined"))) {
		if (!text_copy(value, number, sizeof(number)))
			return false;
		id->joined_at = strtoll(number, NULL, 10);
		id->joined = true;
		return true;
	}
	return false;
}

static int
identity_parse(struct slice text, struct identity *out, struct err *err)
{
	struct slice head = SLICE_LIT(IDENTITY_HEAD);
	bool good;

	good = text.len > head.len &&
	       slice_equal(slice_sub(text, 0, head.len), head);
	if (good)
		text = slice_sub(text, head.len, SIZE_MAX);
	while (good && text.len > 0) {
		size_t end = slice_find(text, '\n');
		struct slice line = slice_sub(text, 0, end);
		size_t gap = slice_find(line, ' ');

		good = end != SIZE_MAX && gap != SIZE_MAX &&
		       line_parse(out, slice_sub(line, 0, gap),
			   slice_sub(line, gap + 1, SIZE_MAX));
		if (good)
			text = slice_sub(text, end + 1, SIZE_MAX);
	}
	if (!good || out->machine[0] == '\0' ||
	    (out->joined &&
		(out->member[0] == '\0' || out->address[0] == '\0')))
		return err_set(err, ERR_IO,
		    "the file is damaged: restore it from a backup, or remove "
		    "the state directory and join with a new invitation");
	return 0;
}

static int
identity_read(
    const struct spoke_conf *conf, struct identity *out, struct err *err)
{
	char *path = spoke_conf_state_path(conf, IDENTITY_FILE);
	struct err own = {0};
	struct buf buf;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	buf_init(&buf, IDENTITY_FILE_MAX);
	if (fsio_read(path, &buf, &own) < 0) {
		if (own.saved_errno == ENOENT)
			(void)err_set(err, ERR_CONFIG,
			    "%s does not exist: run galspoke init, then "
			    "galspoke join INVITATION",
			    path);
		else if (err != NULL)
			*err = own;
		goto out;
	}
	if (identity_parse(buf_slice(&buf), out, err) < 0) {
		(void)err_prepend(err, "%s", path);
		goto out;
	}
	rc = 0;
out:
	buf_fini(&buf);
	free(path);
	return rc;
}

int
identity_load(const struct spoke_conf *conf, struct identity *out_identity,
    struct err *err)
{
	char machine[IDENTITY_MACHINE_MAX + 1];

	if (identity_read(conf, out_identity, err) < 0 ||
	    machine_read(conf, machine, err) < 0)
		return -1;
	if (strcmp(machine, out_identity->machine) != 0)
		return err_set(err, ERR_CONFIG,
		    "the state in %s was made on another machine: two spokes "
		    "under one name would publish against each other. If this "
		    "is a copy, remove it and join with a new invitation; if "
		    "the old machine is gone for good, run galspoke init "
		    "--rebind",
		    conf->state);
	return 0;
}

int
identity_require(const struct spoke_conf *conf, struct identity *out_identity,
    struct err *err)
{
	if (identity_load(conf, out_identity, err) < 0)
		return -1;
	if (!out_identity->joined)
		return err_set(err, ERR_CONFIG,
		    "this spoke has not joined a realm: ask the hub for an "
		    "invitation and run galspoke join INVITATION");
	if (conf->name != NULL &&
	    strcasecmp(conf->name, out_identity->member) != 0)
		return err_set(err, ERR_CONFIG,
		    "%s says name = \"%s\", but this spoke joined as \"%s\"",
		    conf->path, conf->name, out_identity->member);
	return 0;
}

int
identity_create(const struct spoke_conf *conf, struct err *err)
{
	char *path = spoke_conf_state_path(conf, IDENTITY_FILE);
	char *keys = spoke_conf_state_path(conf, IDENTITY_KEYS);
	struct identity identity = {0};
	struct err own = {0};
	int rc = -1;

	if (identity_read(conf, &identity, &own) == 0) {
		(void)err_set(err, ERR_CONFIG,
		    "%s exists: this spoke is initialised already", path);
		goto out;
	}
	if (own.class != ERR_CONFIG) {
		if (err != NULL)
			*err = own;
		goto out;
	}
	memset(&identity, 0, sizeof(identity));
	if (fsio_mkdirs(conf->state, err) < 0 ||
	    machine_read(conf, identity.machine, err) < 0 ||
	    id_random(&identity.instance, err) < 0 || crypto_init(err) < 0)
		goto out;
	/* A crash after the keys leaves them without identity: use them. */
	if (keys_create(keys, &own) < 0) {
		struct keys old;

		if (keys_load(keys, &old, err) < 0)
			goto out;
		keys_cleanse(&old);
	}
	rc = identity_save(conf, &identity, err);
out:
	free(path);
	free(keys);
	return rc;
}

int
identity_rebind(const struct spoke_conf *conf, struct err *err)
{
	struct identity identity;

	if (identity_read(conf, &identity, err) < 0 ||
	    machine_read(conf, identity.machine, err) < 0 ||
	    id_random(&identity.instance, err) < 0)
		return -1;
	return identity_save(conf, &identity, err);
}
