#include "common/wire/pb.h"

int
pb_next(struct reader *r, struct pb_field *out_field)
{
	uint64_t tag;

	if (r->failed)
		return -1;
	if (r->rest.len == 0)
		return 0;
	tag = reader_varint(r);
	if (r->failed || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
		goto malformed;
	out_field->number = (uint32_t)(tag >> 3);
	out_field->wire = (enum pb_wire)(tag & 7);
	out_field->value = 0;
	out_field->data = SLICE_NULL;
	switch (tag & 7) {
	case PB_VARINT:
		out_field->value = reader_varint(r);
		break;
	case PB_FIXED64:
		(void)reader_take(r, 8);
		break;
	case PB_FIXED32:
		(void)reader_take(r, 4);
		break;
	case PB_BYTES:
		out_field->value = reader_varint(r);
		if (r->failed || out_field->value > r->rest.len)
			goto malformed;
		out_field->data = reader_take(r, (size_t)out_field->value);
		break;
	default:
		goto malformed;
	}
	return r->failed ? -1 : 1;
malformed:
	r->failed = true;
	return -1;
}

void
pb_add_uint(struct buf *buf, uint32_t number, uint64_t value)
{
	buf_add_varint(buf, (uint64_t)number << 3 | PB_VARINT);
	buf_add_varint(buf, value);
}

void
pb_add_bytes(struct buf *buf, uint32_t number, struct slice s)
{
	uint64_t tag = (uint64_t)number << 3 | PB_BYTES;
	uint8_t *at;

	/* So that the sum cannot overflow. */
	if (s.len > SIZE_MAX / 2) {
		buf->failed = true;
		return;
	}
	at = buf_reserve(
	    buf, buf_varint_size(tag) + buf_varint_size(s.len) + s.len);
	if (at == NULL)
		return;
	at = buf_varint_put(buf_varint_put(at, tag), s.len);
	if (s.len > 0)
		memcpy(at, s.data, s.len);
}

size_t
pb_bytes_size(size_t len)
{
	return 1 + buf_varint_size(len) + len;
}

void
pb_pack(const ProtobufCMessage *message, struct buf *out)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *p = buf_reserve(out, len);

	if (p != NULL && len > 0)
		INVARIANT(protobuf_c_message_pack(message, p) == len);
}

bool
pb_is_text(struct slice s)
{
	/* An empty slice may point nowhere. */
	return s.len == 0 ||
	       (memchr(s.data, 0, s.len) == NULL && slice_is_utf8(s));
}

/* --- unpacking what others wrote --- */

/* What protobuf-c 1.4 takes for one field beyond its content: an entry of 40
 * bytes in slabs that double, an array slot of up to 16 bytes, an unknown-field
 * record of 32, and the arena's rounding. */
#define PB_FIELD_COST 176

struct pb_scan {
	const struct pb_unpack_options *options;
	size_t cost;
};

static int pb_scan_message(struct pb_scan *scan,
    const ProtobufCMessageDescriptor *descriptor, struct slice bytes,
    struct err *err);

static int
pb_charge(struct pb_scan *scan, size_t n, struct err *err)
{
	/* n is at most the message's length plus a constant, and the cost at
	 * most the budget: no overflow. */
	scan->cost += n;
	if (scan->cost > scan->options->budget)
		return err_set(err, ERR_LIMIT,
		    "%s would take more than %zu bytes of memory",
		    scan->options->what, scan->options->budget);
	return 0;
}

static int
pb_scan_field(struct pb_scan *scan,
    const ProtobufCMessageDescriptor *descriptor, const struct pb_field *field,
    struct err *err)
{
	const ProtobufCFieldDescriptor *known;

	if (pb_charge(scan, PB_FIELD_COST + field->data.len, err) < 0)
		return -1;
	known =
	    protobuf_c_message_descriptor_get_field(descriptor, field->number);
	if (known == NULL || field->wire != PB_BYTES)
		return 0;
	if (known->type == PROTOBUF_C_TYPE_STRING && !pb_is_text(field->data))
		return err_set(err, ERR_BAD_DATA, "%s: field %s is not a text",
		    scan->options->what, known->name);
	if (known->type == PROTOBUF_C_TYPE_MESSAGE)
		return pb_scan_message(
		    scan, known->descriptor, field->data, err);
	return 0;
}

/* Recursion follows our descriptors, which contain no cycle; unknown fields
 * are never entered. */
static int
pb_scan_message(struct pb_scan *scan,
    const ProtobufCMessageDescriptor *descriptor, struct slice bytes,
    struct err *err)
{
	struct reader r;
	struct pb_field field;
	int rc;

	if (pb_charge(scan, descriptor->sizeof_message + 32, err) < 0)
		return -1;
	reader_init(&r, bytes);
	while ((rc = pb_next(&r, &field)) > 0) {
		if (pb_scan_field(scan, descriptor, &field, err) < 0)
			return -1;
	}
	if (rc < 0)
		return err_set(
		    err, ERR_BAD_DATA, "%s is malformed", scan->options->what);
	return 0;
}

/* Before the scan, so that a message with a million parts is refused for that
 * reason, at the first part too many. */
static int
pb_check_caps(const struct pb_unpack_options *options, struct slice bytes,
    struct err *err)
{
	const struct pb_cap *cap;
	struct pb_field field;
	struct reader r;
	size_t n;

	for (cap = options->caps; cap != NULL && cap->number != 0; cap++) {
		n = 0;
		reader_init(&r, bytes);
		while (pb_next(&r, &field) > 0) {
			if (field.number == cap->number && ++n > cap->max)
				return err_set(err, ERR_LIMIT,
				    "%s has more than %zu of field %u",
				    options->what, cap->max, cap->number);
		}
	}
	return 0;
}

static void *
pb_arena_alloc(void *data, size_t len)
{
	return arena_alloc(data, len == 0 ? 1 : len);
}

static void
pb_arena_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

ProtobufCMessage *
pb_unpack(const struct pb_unpack_options *options, struct slice bytes,
    struct arena *arena, struct err *err)
{
	struct pb_scan scan = {options, 0};
	ProtobufCAllocator allocator = {pb_arena_alloc, pb_arena_free, arena};
	ProtobufCMessage *message;

	if (pb_check_caps(options, bytes, err) < 0 ||
	    pb_scan_message(&scan, options->descriptor, bytes, err) < 0)
		return NULL;
	message = protobuf_c_message_unpack(
	    options->descriptor, &allocator, bytes.len, bytes.data);
	if (message == NULL)
		(void)err_set(
		    err, ERR_BAD_DATA, "%s does not parse", options->what);
	return message;
}
