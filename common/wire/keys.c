#include "common/wire/keys.h"

#include <ctype.h>
#include <sys/stat.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/base/reader.h"

/*
 * Two files, each replaced as a whole, so that a rotation happens or does not:
 *
 *   private     realm keys: one line a key
 *   curve       the live link's key alone, for the front
 *
 *   "galrelay-keys 1"
 *   NAME PRIVATE-HEX [PREDECESSOR-ID-HEX ENDORSEMENT-HEX]
 */
#define KEYS_FILE_REALM "private"
#define KEYS_FILE_CURVE "curve"
#define KEYS_FIRST_LINE "galrelay-keys 1"

enum keys_slot {
	SLOT_SIGN_ACTIVE,
	SLOT_SIGN_NEXT,
	SLOT_DECRYPT_ACTIVE,
	SLOT_DECRYPT_PREVIOUS,
	SLOT_CURVE,
	SLOT_COUNT
};

static const struct {
	const char *name;
	const char *algorithm;
} slot_table[] = {
    [SLOT_SIGN_ACTIVE] = {"sign-active", "ed25519"},
    [SLOT_SIGN_NEXT] = {"sign-next", "ed25519"},
    [SLOT_DECRYPT_ACTIVE] = {"decrypt-active", "x25519"},
    [SLOT_DECRYPT_PREVIOUS] = {"decrypt-previous", "x25519"},
    [SLOT_CURVE] = {"curve", "curve"},
};
_Static_assert(
    sizeof(slot_table) / sizeof(slot_table[0]) == SLOT_COUNT, "slots");

static struct key_pair *
keys_slot(struct keys *keys, enum keys_slot slot)
{
	switch (slot) {
	case SLOT_SIGN_ACTIVE:
		return &keys->sign_active;
	case SLOT_SIGN_NEXT:
		return &keys->sign_next;
	case SLOT_DECRYPT_ACTIVE:
		return &keys->decrypt_active;
	case SLOT_DECRYPT_PREVIOUS:
		return &keys->decrypt_previous;
	case SLOT_CURVE:
	case SLOT_COUNT:
		break;
	}
	return &keys->curve;
}

/* Public key and id from the private key. */
static int
pair_complete(struct key_pair *pair, enum keys_slot slot, struct err *err)
{
	int rc;

	if (slot <= SLOT_SIGN_NEXT)
		rc = crypto_ed25519_public(
		    pair->private_key, pair->public_key, err);
	else
		rc = crypto_x25519_public(
		    pair->private_key, pair->public_key, err);
	if (rc < 0)
		return -1;
	crypto_key_id(slot_table[slot].algorithm, pair->public_key, &pair->id);
	pair->present = true;
	return 0;
}

static int
pair_make(struct key_pair *pair, enum keys_slot slot, struct err *err)
{
	memset(pair, 0, sizeof(*pair));
	if (crypto_random(pair->private_key, sizeof(pair->private_key), err) <
	    0)
		return -1;
	return pair_complete(pair, slot, err);
}

/* --- files --- */

static int
keys_file_write(const char *dir, const char *file, struct keys *keys,
    enum keys_slot first, enum keys_slot last, struct err *err)
{
	char *path = fsio_join(dir, file);
	const struct key_pair *pair;
	struct buf text;
	int slot, rc;

	buf_init(&text, SECRET_MAX);
	buf_add_str(&text, KEYS_FIRST_LINE "\n");
	for (slot = (int)first; slot <= (int)last; slot++) {
		pair = keys_slot(keys, (enum keys_slot)slot);
		if (!pair->present)
			continue;
		buf_add_str(&text, slot_table[slot].name);
		buf_add_byte(&text, ' ');
		buf_add_hex(&text, slice_make(pair->private_key, 32));
		if (pair->endorsed) {
			buf_add_byte(&text, ' ');
			buf_add_hex(&text, id_slice(&pair->predecessor));
			buf_add_byte(&text, ' ');
			buf_add_hex(&text,
			    slice_make(pair->endorsement, CRYPTO_SIG_LEN));
		}
		buf_add_byte(&text, '\n');
	}
	rc = buf_check(&text, path, err);
	if (rc == 0)
		rc = fsio_write(path, buf_slice(&text), 0600, err);
	buf_cleanse(&text);
	free(path);
	return rc;
}

/* Cuts the part before c (or all) off the front of *rest. */
static struct slice
keys_cut(struct slice *rest, uint8_t c)
{
	size_t at = slice_find(*rest, c);
	struct slice part = *rest;

	if (at == SIZE_MAX) {
		*rest = SLICE_NULL;
		return part;
	}
	part.len = at;
	*rest = slice_sub(*rest, at + 1, SIZE_MAX);
	return part;
}

static int
keys_line_parse(struct slice line, struct keys *keys, struct err *err)
{
	struct slice name = keys_cut(&line, ' ');
	struct key_pair *pair;
	int slot;

	for (slot = 0; slot < SLOT_COUNT; slot++) {
		if (slice_equal(name, slice_str(slot_table[slot].name)))
			break;
	}
	if (slot == SLOT_COUNT)
		return -1;
	pair = keys_slot(keys, (enum keys_slot)slot);
	if (pair->present ||
	    id_unhex(keys_cut(&line, ' '), pair->private_key, 32, err) < 0)
		return -1;
	if (line.len > 0) {
		if (id_parse(keys_cut(&line, ' '), &pair->predecessor, err) <
			0 ||
		    id_unhex(line, pair->endorsement, CRYPTO_SIG_LEN, err) < 0)
			return -1;
		pair->endorsed = true;
	}
	return pair_complete(pair, (enum keys_slot)slot, err);
}

static int
keys_file_read(
    const char *dir, const char *file, struct keys *keys, struct err *err)
{
	char *path = fsio_join(dir, file);
	struct secret text = {NULL, 0};
	struct slice rest;
	int rc = -1;

	if (secret_read(&text, path, err) < 0) {
		/* A missing key file is a matter for a person. */
		if (err != NULL)
			err->class = ERR_CONFIG;
		goto out;
	}
	rest = secret_slice(&text);
	rc = slice_equal(keys_cut(&rest, '\n'), SLICE_LIT(KEYS_FIRST_LINE))
		 ? 0
		 : -1;
	while (rc == 0 && rest.len > 0)
		rc = keys_line_parse(keys_cut(&rest, '\n'), keys, err);
	if (rc < 0)
		(void)err_set(err, ERR_CONFIG,
		    "%s is not a key file of this program", path);
out:
	secret_free(&text);
	free(path);
	return rc;
}

static int
keys_realm_write(const char *dir, struct keys *keys, struct err *err)
{
	return keys_file_write(dir, KEYS_FILE_REALM, keys, SLOT_SIGN_ACTIVE,
	    SLOT_DECRYPT_PREVIOUS, err);
}

int
keys_create(const char *dir, struct err *err)
{
	static const enum keys_slot slots[] = {
	    SLOT_SIGN_ACTIVE, SLOT_DECRYPT_ACTIVE, SLOT_CURVE};
	char *path = fsio_join(dir, KEYS_FILE_REALM);
	struct keys keys;
	struct stat st;
	size_t i;
	int rc = -1;

	memset(&keys, 0, sizeof(keys));
	if (stat(path, &st) == 0) {
		(void)err_set(err, ERR_CONFIG,
		    "%s exists: these keys are in use; move them away first",
		    path);
		goto out;
	}
	for (i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		if (pair_make(keys_slot(&keys, slots[i]), slots[i], err) < 0)
			goto out;
	}
	/* The realm's keys last: they say that all is there. */
	if (fsio_mkdirs(dir, err) < 0 ||
	    keys_file_write(
		dir, KEYS_FILE_CURVE, &keys, SLOT_CURVE, SLOT_CURVE, err) < 0 ||
	    keys_realm_write(dir, &keys, err) < 0)
		goto out;
	rc = 0;
out:
	keys_cleanse(&keys);
	free(path);
	return rc;
}

int
keys_load(const char *dir, struct keys *out_keys, struct err *err)
{
	memset(out_keys, 0, sizeof(*out_keys));
	if (keys_file_read(dir, KEYS_FILE_REALM, out_keys, err) < 0 ||
	    keys_file_read(dir, KEYS_FILE_CURVE, out_keys, err) < 0)
		goto bad;
	if (!out_keys->sign_active.present ||
	    !out_keys->decrypt_active.present || !out_keys->curve.present) {
		(void)err_set(err, ERR_CONFIG, "a key is missing in %s", dir);
		goto bad;
	}
	return 0;
bad:
	keys_cleanse(out_keys);
	return -1;
}

int
keys_load_curve(const char *dir, struct key_pair *out_curve, struct err *err)
{
	struct keys keys;
	int rc;

	memset(&keys, 0, sizeof(keys));
	rc = keys_file_read(dir, KEYS_FILE_CURVE, &keys, err);
	if (rc == 0 && !keys.curve.present)
		rc = err_set(
		    err, ERR_CONFIG, "the CURVE key is missing in %s", dir);
	*out_curve = keys.curve;
	keys_cleanse(&keys);
	return rc;
}

void
keys_cleanse(struct keys *keys)
{
	crypto_cleanse(keys, sizeof(*keys));
}

/* --- rotation --- */

static int
keys_change_text(
    const struct keys_change *change, struct buf *out, struct err *err)
{
	size_t len = strlen(change->member);

	INVARIANT(len <= UINT8_MAX);
	buf_init(out, 512);
	buf_add(out, id_slice(change->realm));
	buf_add_byte(out, (uint8_t)len);
	buf_add_str(out, change->member);
	buf_add(out, slice_make(change->old_public, 32));
	buf_add(out, slice_make(change->new_public, 32));
	return buf_check(out, "key change", err);
}

int
keys_change_sign(const struct keys_change *change,
    const uint8_t old_private[32], uint8_t out_sig[CRYPTO_SIG_LEN],
    struct err *err)
{
	struct buf text;
	int rc;

	rc = keys_change_text(change, &text, err);
	if (rc == 0)
		rc = crypto_sign("galr/1 key change", old_private,
		    buf_slice(&text), out_sig, err);
	buf_fini(&text);
	return rc;
}

int
keys_change_verify(const struct keys_change *change,
    const uint8_t sig[CRYPTO_SIG_LEN], struct err *err)
{
	struct buf text;
	int rc;

	rc = keys_change_text(change, &text, err);
	if (rc == 0)
		rc = crypto_verify("galr/1 key change", change->old_public,
		    buf_slice(&text), slice_make(sig, CRYPTO_SIG_LEN), err);
	buf_fini(&text);
	return rc;
}

int
keys_rotate_begin(const char *dir, struct keys *keys, const struct id *realm,
    const char *member, struct err *err)
{
	struct keys next = *keys;
	struct keys_change change = {realm, member,
	    keys->sign_active.public_key, next.sign_next.public_key};
	int rc = -1;

	if (keys->sign_next.present) {
		(void)err_set(err, ERR_CONFIG,
		    "a rotation is under way: wait until the registry lists "
		    "the next key");
		goto out;
	}
	if (pair_make(&next.sign_next, SLOT_SIGN_NEXT, err) < 0 ||
	    keys_change_sign(&change, keys->sign_active.private_key,
		next.sign_next.endorsement, err) < 0)
		goto out;
	next.sign_next.endorsed = true;
	next.sign_next.predecessor = keys->sign_active.id;
	next.decrypt_previous = keys->decrypt_active;
	if (pair_make(&next.decrypt_active, SLOT_DECRYPT_ACTIVE, err) < 0 ||
	    keys_realm_write(dir, &next, err) < 0)
		goto out;
	*keys = next;
	rc = 0;
out:
	keys_cleanse(&next);
	return rc;
}

int
keys_rotate_finish(const char *dir, struct keys *keys, struct err *err)
{
	struct keys next = *keys;
	int rc;

	if (!keys->sign_next.present)
		return 0;
	next.sign_active = keys->sign_next;
	memset(&next.sign_next, 0, sizeof(next.sign_next));
	rc = keys_realm_write(dir, &next, err);
	if (rc == 0)
		*keys = next;
	keys_cleanse(&next);
	return rc;
}

char *
keys_fingerprint(const uint8_t sign_public[32],
    const uint8_t decrypt_public[32], const uint8_t curve_public[32],
    char *text)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t all[96], digest[CRYPTO_HASH_LEN];
	char *p = text;
	size_t i;

	memcpy(all, sign_public, 32);
	memcpy(all + 32, decrypt_public, 32);
	memcpy(all + 64, curve_public, 32);
	crypto_sha256(slice_make(all, sizeof(all)), digest);
	for (i = 0; i < 20; i++) {
		if (i > 0 && i % 2 == 0)
			*p++ = ' ';
		*p++ = digits[digest[i] >> 4];
		*p++ = digits[digest[i] & 15];
	}
	*p = '\0';
	return text;
}
