/*
 * Protobuf's wire format around protobuf-c: reading field by field without
 * allocating, writing single fields, and unpacking foreign messages only after
 * a scan has shown what they would cost.
 */
#ifndef COMMON_WIRE_PB_H
#define COMMON_WIRE_PB_H

#include <protobuf-c/protobuf-c.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/reader.h"

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
	uint32_t number;
	enum pb_wire wire;
	uint64_t value;    /* PB_VARINT only */
	struct slice data; /* PB_BYTES only; points into the input */
};

/* The next field: 1, 0 at the end, -1 when the bytes are malformed (groups are
 * not accepted). */
int pb_next(struct reader *r, struct pb_field *out_field);

/* Appends one field. Zero and empty values are written too. */
void pb_add_uint(struct buf *buf, uint32_t number, uint64_t value);
void pb_add_bytes(struct buf *buf, uint32_t number, struct slice s);
/* Bytes that pb_add_bytes() takes for s.len. Field numbers below 16 only. */
size_t pb_bytes_size(size_t len);

/* Appends a packed message. Check buf_failed() afterwards. */
void pb_pack(const ProtobufCMessage *message, struct buf *out);

/* Well-formed UTF-8 without NUL: what a C string can hold. Empty is. */
bool pb_is_text(struct slice s);

/* At most max occurrences of a top-level field; a list ends with number 0. */
struct pb_cap {
	uint32_t number;
	size_t max;
};

/* Unpacks a foreign message into the arena, whose pieces need no freeing.
 * Before anything is allocated the whole message is scanned: well-formed to its
 * last byte, strings valid UTF-8 without NUL, repeated fields within caps
 * (NULL: none), and an upper bound of the memory that protobuf-c would take
 * within budget. Class limit or bad data; what is named in messages. */
struct pb_unpack_options {
	const ProtobufCMessageDescriptor *descriptor;
	const struct pb_cap *caps;
	size_t budget;
	const char *what;
};
ProtobufCMessage *pb_unpack(const struct pb_unpack_options *options,
    struct slice bytes, struct arena *arena, struct err *err) ERR_WUR;

#endif
