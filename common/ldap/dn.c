#include "common/ldap/dn.h"

#include <stdlib.h>

#include "common/base/id.h"

#define DN_MAX (64 * 1024)
#define DN_SPECIALS ",+\"\\<>;="
/* Parts of a multi-valued RDN. */
#define RDN_PARTS_MAX 64

/* One attribute type and value as it stands in a name. */
struct ava {
	struct slice type;
	struct buf value; /* decoded */
};

static void
value_escape(struct buf *dn, struct slice value)
{
	bool utf8 = slice_is_utf8(value);
	size_t i;

	for (i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		bool edge = i == 0 || i == value.len - 1;

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			buf_addf(dn, "\\%02X", c);
		else if (strchr(DN_SPECIALS, c) != NULL || (c == ' ' && edge) ||
			 (c == '#' && i == 0))
			buf_addf(dn, "\\%c", c);
		else
			buf_add_byte(dn, c);
	}
}

void
dn_add_rdn(struct buf *dn, const char *type, struct slice value)
{
	buf_add_str(dn, type);
	buf_add_byte(dn, '=');
	value_escape(dn, value);
}

void
dn_add_parent(struct buf *dn, const char *parent)
{
	if (*parent == '\0')
		return;
	buf_add_byte(dn, ',');
	buf_add_str(dn, parent);
}

static bool
is_separator(char c)
{
	return c == ',' || c == ';';
}

/* Two hexadecimal digits at p, or -1. */
static int
hex_pair(const char *p)
{
	int high = id_hex_digit((uint8_t)p[0]);
	int low = high < 0 ? -1 : id_hex_digit((uint8_t)p[1]);

	return low < 0 ? -1 : high << 4 | low;
}

/* The escape behind a backslash; returns what follows it or NULL. */
static const char *
escape_decode(const char *p, struct buf *out)
{
	int byte = hex_pair(p);

	if (byte >= 0) {
		buf_add_byte(out, (uint8_t)byte);
		return p + 2;
	}
	if (*p == '\0' || (strchr(DN_SPECIALS " #", *p) == NULL))
		return NULL;
	buf_add_byte(out, (uint8_t)*p);
	return p + 1;
}

/* "..." of RFC 1779 and RFC 2253, still written by some administrators. */
static const char *
quoted_decode(const char *p, struct buf *out)
{
	while (*p != '"') {
		if (*p == '\0')
			return NULL;
		if (*p != '\\') {
			buf_add_byte(out, (uint8_t)*p++);
			continue;
		}
		p = escape_decode(p + 1, out);
		if (p == NULL)
			return NULL;
	}
	return p + 1;
}

static const char *
plain_decode(const char *p, struct buf *out)
{
	size_t kept = 0;

	while (*p != '\0' && *p != '+' && !is_separator(*p)) {
		if (*p == '\\') {
			p = escape_decode(p + 1, out);
			if (p == NULL)
				return NULL;
			kept = out->len;
			continue;
		}
		if (*p == '"' || *p == '<' || *p == '>')
			return NULL;
		buf_add_byte(out, (uint8_t)*p);
		if (*p != ' ')
			kept = out->len;
		p++;
	}
	/* Trailing blanks that no backslash keeps belong to the separator. */
	if (!buf_failed(out))
		buf_truncate(out, kept);
	return p;
}

/* "#" and the BER of the value (RFC 4514 section 2.4): a primitive string with
 * a definite length. */
static const char *
ber_decode(const char *p, struct buf *out)
{
	struct buf ber;
	size_t len, head = 2;
	int byte;

	buf_init(&ber, DN_MAX);
	while ((byte = hex_pair(p)) >= 0) {
		buf_add_byte(&ber, (uint8_t)byte);
		p += 2;
	}
	if (buf_failed(&ber) || ber.len < 2)
		goto bad;
	len = ber.data[1];
	if (len == 0x81 && ber.len > 2) {
		len = ber.data[2];
		head = 3;
	} else if (len == 0x82 && ber.len > 3) {
		len = (size_t)ber.data[2] << 8 | ber.data[3];
		head = 4;
	}
	if (ber.len != head + len)
		goto bad;
	buf_add(out, slice_make(ber.data + head, len));
	buf_fini(&ber);
	return p;
bad:
	buf_fini(&ber);
	return NULL;
}

static const char *
blanks_skip(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* Reads type=value at p into ava (value initialised by the caller); returns
 * what follows ('+', separator or NUL), NULL when malformed. */
static const char *
ava_decode(const char *p, struct ava *ava)
{
	const char *start = blanks_skip(p);

	p = start;
	while (*p != '\0' && strchr("= ,;+\\\"", *p) == NULL)
		p++;
	ava->type = slice_make(start, (size_t)(p - start));
	p = blanks_skip(p);
	if (*p != '=' || ava->type.len == 0)
		return NULL;
	p = blanks_skip(p + 1);
	if (*p == '#')
		p = ber_decode(p + 1, &ava->value);
	else if (*p == '"')
		p = quoted_decode(p + 1, &ava->value);
	else
		p = plain_decode(p, &ava->value);
	if (p == NULL)
		return NULL;
	p = blanks_skip(p);
	if (*p != '\0' && *p != '+' && !is_separator(*p))
		return NULL;
	return p;
}

/* Simple lower case of the alphabets that names use: Latin, Greek, Cyrillic.
 * Directories fold by Unicode; a pair missing here only makes two spellings of
 * one name compare as different. */
static uint32_t
fold(uint32_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c + 0x20;
	if (c < 0xc0)
		return c;
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) ||
	    (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) ||
	    (c >= 0x410 && c <= 0x42f))
		return c + 0x20;
	if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) ||
	    (c >= 0x14a && c <= 0x177))
		return c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c + (c & 1);
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	return c;
}

/* All case pairs above are two-byte sequences of the same length. */
static void
value_fold(struct buf *out, struct slice value)
{
	bool utf8 = slice_is_utf8(value);
	size_t i;

	for (i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		uint32_t low;

		if (utf8 && c >= 0xc3 && c <= 0xd3 && i + 1 < value.len) {
			low = fold((uint32_t)(c & 0x1f) << 6 |
				   (value.data[++i] & 0x3f));
			buf_add_byte(out, (uint8_t)(0xc0 | low >> 6));
			buf_add_byte(out, (uint8_t)(0x80 | (low & 0x3f)));
		} else if (c < 0x20 || c == 0x7f || strchr(DN_SPECIALS, c)) {
			/* Hexadecimal, so that a comma is always a separator */
			buf_addf(out, "\\%02x", c);
		} else {
			buf_add_byte(out, (uint8_t)(c < 0x80 ? fold(c) : c));
		}
	}
}

static void
ava_fold(struct buf *out, const struct ava *ava)
{
	struct slice type = ava->type;
	size_t i;

	if (slice_starts_case(type, SLICE_LIT("oid.")))
		type = slice_sub(type, 4, type.len);
	for (i = 0; i < type.len; i++)
		buf_add_byte(out, (uint8_t)fold(type.data[i] & 0x7f));
	buf_add_byte(out, '=');
	value_fold(out, buf_slice(&ava->value));
}

static int
part_compare(const void *a, const void *b)
{
	return slice_compare(
	    *(const struct slice *)a, *(const struct slice *)b);
}

/* Appends the parts, whose ends are these, in order: they are a set. */
static void
parts_sort(struct buf *out, const struct buf *all, const size_t *ends, size_t n)
{
	struct slice parts[RDN_PARTS_MAX];

	for (size_t i = 0, from = 0; i < n; from = ends[i++])
		parts[i] = slice_make(all->data + from, ends[i] - from);
	qsort(parts, n, sizeof(*parts), part_compare);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_byte(out, '+');
		buf_add(out, parts[i]);
	}
}

/* One RDN, which may have several parts. */
static const char *
rdn_fold(const char *p, struct buf *out)
{
	struct ava ava;
	struct buf all;
	size_t ends[RDN_PARTS_MAX], n = 0;

	buf_init(&ava.value, DN_MAX);
	buf_init(&all, DN_MAX);
	for (;;) {
		buf_reset(&ava.value);
		p = n < RDN_PARTS_MAX ? ava_decode(p, &ava) : NULL;
		if (p == NULL)
			break;
		ava_fold(&all, &ava);
		ends[n++] = all.len;
		if (*p != '+')
			break;
		p++;
	}
	if (buf_failed(&all))
		p = NULL;
	if (p != NULL)
		parts_sort(out, &all, ends, n);
	buf_fini(&ava.value);
	buf_fini(&all);
	return p;
}

int
dn_normalize(const char *dn, struct buf *out, struct err *err)
{
	const char *p = blanks_skip(dn);

	while (*p != '\0') {
		p = rdn_fold(p, out);
		if (p == NULL)
			return err_set(err, ERR_BAD_DATA,
			    "malformed distinguished name \"%s\"", dn);
		if (*p == '\0')
			break;
		p = blanks_skip(p + 1);
		if (*p == '\0')
			return err_set(err, ERR_BAD_DATA,
			    "distinguished name \"%s\" ends in a separator",
			    dn);
		buf_add_byte(out, ',');
	}
	return buf_check(out, "distinguished name", err);
}

bool
dn_is_below(const char *dn, const char *base, bool or_equal)
{
	struct buf a, b;
	bool below = false;

	buf_init(&a, DN_MAX);
	buf_init(&b, DN_MAX);
	if (dn_normalize(dn, &a, NULL) != 0 || dn_normalize(base, &b, NULL))
		goto out;
	if (a.len == b.len)
		below = or_equal && slice_equal(buf_slice(&a), buf_slice(&b));
	else if (b.len == 0)
		below = true;
	else if (a.len > b.len + 1)
		below = a.data[a.len - b.len - 1] == ',' &&
			memcmp(a.data + a.len - b.len, b.data, b.len) == 0;
out:
	buf_fini(&a);
	buf_fini(&b);
	return below;
}

bool
dn_equal(const char *a, const char *b)
{
	struct buf left, right;
	bool equal;

	if (strcmp(a, b) == 0)
		return true;
	buf_init(&left, DN_MAX);
	buf_init(&right, DN_MAX);
	equal = dn_normalize(a, &left, NULL) == 0 &&
		dn_normalize(b, &right, NULL) == 0 &&
		slice_equal(buf_slice(&left), buf_slice(&right));
	buf_fini(&left);
	buf_fini(&right);
	return equal;
}

const char *
dn_parent(const char *dn)
{
	bool quoted = false;
	const char *p;

	for (p = dn; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && is_separator(*p))
			return blanks_skip(p + 1);
	}
	return p;
}

int
dn_rdn_value(const char *dn, struct buf *out, struct err *err)
{
	struct ava ava;
	int rc = 0;

	buf_init(&ava.value, DN_MAX);
	if (ava_decode(dn, &ava) == NULL)
		rc = err_set(err, ERR_BAD_DATA,
		    "malformed distinguished name \"%s\"", dn);
	else
		buf_add(out, buf_slice(&ava.value));
	buf_fini(&ava.value);
	if (rc == 0)
		rc = buf_check(out, "name", err);
	return rc;
}
