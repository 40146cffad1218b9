#include "common/base/buf.h"

#include <stdarg.h>
#include "common/base/mem.h"

#define BUF_FIRST 64

void
buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max};
}

void
buf_fini(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void
buf_cleanse(struct buf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->size);
	buf_fini(buf);
}

void
buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

/* Room for need bytes in all, one of them behind the counted ones. Old memory
 * is cleansed, since the buffer may hold a secret. */
static void
buf_grow(struct buf *buf, size_t need)
{
	size_t size = buf->size == 0 ? BUF_FIRST : buf->size;
	uint8_t *data;

	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	data = mem_alloc(size);
	if (buf->data != NULL) {
		memcpy(data, buf->data, buf->len);
		explicit_bzero(buf->data, buf->size);
		free(buf->data);
	}
	buf->data = data;
	buf->size = size;
}

uint8_t *
buf_reserve(struct buf *buf, size_t len)
{
	uint8_t *at;

	if (buf->failed)
		return NULL;
	if (buf->len > buf->max || len > buf->max - buf->len ||
	    len > SIZE_MAX - 1 - buf->len) {
		buf->failed = true;
		return NULL;
	}
	if (buf->len + len >= buf->size)
		buf_grow(buf, buf->len + len + 1);
	at = buf->data + buf->len;
	buf->len += len;
	return at;
}

void
buf_add(struct buf *buf, struct slice s)
{
	uint8_t *at = buf_reserve(buf, s.len);

	if (at != NULL && s.len > 0)
		memcpy(at, s.data, s.len);
}

void
buf_add_byte(struct buf *buf, uint8_t byte)
{
	buf_add(buf, slice_make(&byte, 1));
}

void
buf_add_str(struct buf *buf, const char *s)
{
	buf_add(buf, slice_str(s));
}

void
buf_addf(struct buf *buf, const char *format, ...)
{
	size_t old = buf->len;
	uint8_t *at;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0) {
		buf->failed = true;
		return;
	}
	at = buf_reserve(buf, (size_t)n);
	if (at == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf((char *)at, buf->size - old, format, ap);
	va_end(ap);
}

void
buf_add_u32be(struct buf *buf, uint32_t v)
{
	uint8_t bytes[4];

	for (int i = 3; i >= 0; i--, v >>= 8)
		bytes[i] = (uint8_t)(v & 0xff);
	buf_add(buf, slice_make(bytes, sizeof(bytes)));
}

void
buf_add_u64be(struct buf *buf, uint64_t v)
{
	uint8_t bytes[8];

	for (int i = 7; i >= 0; i--, v >>= 8)
		bytes[i] = (uint8_t)(v & 0xff);
	buf_add(buf, slice_make(bytes, sizeof(bytes)));
}

void
buf_add_varint(struct buf *buf, uint64_t v)
{
	uint8_t *at = buf_reserve(buf, buf_varint_size(v));

	if (at != NULL)
		(void)buf_varint_put(at, v);
}

void
buf_add_hex(struct buf *buf, struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *at;

	if (s.len > SIZE_MAX / 2) {
		buf->failed = true;
		return;
	}
	at = buf_reserve(buf, s.len * 2);
	if (at == NULL)
		return;
	for (size_t i = 0; i < s.len; i++) {
		at[2 * i] = (uint8_t)digits[s.data[i] >> 4];
		at[2 * i + 1] = (uint8_t)digits[s.data[i] & 15];
	}
}

/* One character that RFC 8259 §7 wants escaped. */
static void
json_escape(struct buf *buf, uint8_t c)
{
	switch (c) {
	case '"':
		buf_add_str(buf, "\\\"");
		break;
	case '\\':
		buf_add_str(buf, "\\\\");
		break;
	case '\n':
		buf_add_str(buf, "\\n");
		break;
	case '\r':
		buf_add_str(buf, "\\r");
		break;
	case '\t':
		buf_add_str(buf, "\\t");
		break;
	default:
		buf_addf(buf, "\\u%04x", c);
		break;
	}
}

void
buf_add_json(struct buf *buf, struct slice s)
{
	size_t old = buf->len;

	buf_add_byte(buf, '"');
	while (s.len > 0 && !buf->failed) {
		struct slice one = slice_utf8_prefix(s, 1);

		if (!slice_is_utf8(one))
			buf_add_str(buf, "\xef\xbf\xbd");
		else if (one.len == 1 &&
			 (one.data[0] < 0x20 || one.data[0] == 0x7f ||
			     one.data[0] == '"' || one.data[0] == '\\'))
			json_escape(buf, one.data[0]);
		else
			buf_add(buf, one);
		s = slice_sub(s, one.len, SIZE_MAX);
	}
	buf_add_byte(buf, '"');
	if (buf->failed)
		buf->len = old;
}

/* C0 and C1 controls, DEL, line and paragraph separators, and the marks of
 * Unicode's bidirectional algorithm (UAX 9). */
static bool
is_plain(struct slice one)
{
	const uint8_t *c = one.data;

	if (!slice_is_utf8(one))
		return false;
	if (one.len == 1)
		return c[0] >= 0x20 && c[0] != 0x7f;
	if (one.len == 2)
		return c[0] != 0xc2 || c[1] >= 0xa0;
	if (one.len == 3 && c[0] == 0xe2 && c[1] == 0x80)
		return c[2] < 0xa8 || c[2] > 0xae;
	if (one.len == 3 && c[0] == 0xe2 && c[1] == 0x81)
		return c[2] < 0xa6 || c[2] > 0xa9;
	return true;
}

void
buf_add_text(struct buf *buf, struct slice s)
{
	while (s.len > 0 && !buf->failed) {
		struct slice one = slice_utf8_prefix(s, 1);

		if (is_plain(one))
			buf_add(buf, one);
		else
			for (size_t i = 0; i < one.len; i++)
				buf_addf(buf, "\\%02X", one.data[i]);
		s = slice_sub(s, one.len, SIZE_MAX);
	}
}

void
buf_truncate(struct buf *buf, size_t len)
{
	INVARIANT(len <= buf->len);
	buf->len = len;
}

const char *
buf_cstr(struct buf *buf)
{
	if (buf->len >= buf->size)
		buf_grow(buf, buf->len + 1);
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

int
buf_check(const struct buf *buf, const char *what, struct err *err)
{
	if (!buf->failed)
		return 0;
	return err_set(err, ERR_LIMIT,
	    "%s is larger than the limit of %zu"
	    " bytes",
	    what, buf->max);
}
