/*
 * Growable bytes with a mandatory maximum and a sticky error: append as often
 * as you like, check buf_failed() once. Growth beyond the maximum sets the
 * error and leaves the contents as they were. Out of memory aborts.
 */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H

#include "common/base/err.h"
#include "common/base/slice.h"

struct buf {
	uint8_t *data;
	size_t len;
	size_t size; /* allocated */
	size_t max;
	bool failed;
};

/* An empty buffer that may hold at most max bytes. Allocates nothing yet. */
void buf_init(struct buf *buf, size_t max);
/* Frees the bytes; the buffer is as after buf_init with the same maximum. */
void buf_fini(struct buf *buf);
/* Overwrites with zero, then frees: for buffers that held secrets. */
void buf_cleanse(struct buf *buf);
/* Length 0, error forgotten, memory kept. */
void buf_reset(struct buf *buf);

void buf_add(struct buf *buf, struct slice s);
void buf_add_byte(struct buf *buf, uint8_t byte);
void buf_add_str(struct buf *buf, const char *s);
void buf_addf(struct buf *buf, const char *format, ...) ERR_PRINTF(2, 3);
void buf_add_u32be(struct buf *buf, uint32_t v);
void buf_add_u64be(struct buf *buf, uint64_t v);
/* protobuf base-128 varint, 1..10 bytes. */
void buf_add_varint(struct buf *buf, uint64_t v);
/* Lower-case hexadecimal, two digits a byte. */
void buf_add_hex(struct buf *buf, struct slice s);
/* A JSON string with its quotes (RFC 8259); invalid UTF-8 becomes U+FFFD. */
void buf_add_json(struct buf *buf, struct slice s);
/* Foreign text for a line on a terminal: control characters, those that turn
 * the direction of writing, and what is no UTF-8 become \XX as in RFC 4514. */
void buf_add_text(struct buf *buf, struct slice s);
/* len bytes to write into, uninitialised, already counted; NULL on failure. */
uint8_t *buf_reserve(struct buf *buf, size_t len);
/* Cuts to len, which must not exceed the present length. */
void buf_truncate(struct buf *buf, size_t len);

/* What a varint takes; and writes it where there is room for it, returns the
 * place behind. */
static inline size_t
buf_varint_size(uint64_t v)
{
	size_t n = 1;

	for (; v > 0x7f; v >>= 7)
		n++;
	return n;
}

static inline uint8_t *
buf_varint_put(uint8_t *at, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		*at++ = (uint8_t)((v & 0x7f) | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

static inline struct slice
buf_slice(const struct buf *buf)
{
	return slice_make(buf->data, buf->len);
}

/* The bytes as a C string: a NUL is kept behind the end, not counted. Valid
 * until the next append. Never NULL. */
const char *buf_cstr(struct buf *buf);

static inline bool
buf_failed(const struct buf *buf)
{
	return buf->failed;
}

/* 0, or -1 with class limit naming `what` and the maximum. */
int buf_check(const struct buf *buf, const char *what, struct err *err) ERR_WUR;

#endif
