#include "common/base/reader.h"

struct slice
reader_take(struct reader *r, size_t len)
{
	struct slice taken;

	if (r->failed || len > r->rest.len) {
		r->failed = true;
		return SLICE_NULL;
	}
	if (len == 0)
		return SLICE_NULL;
	taken = slice_make(r->rest.data, len);
	r->rest.data += len;
	r->rest.len -= len;
	return taken;
}

static uint64_t
reader_be(struct reader *r, size_t len)
{
	struct slice s = reader_take(r, len);
	uint64_t v = 0;

	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.data[i];
	return v;
}

uint8_t
reader_u8(struct reader *r)
{
	return (uint8_t)reader_be(r, 1);
}

uint32_t
reader_u32be(struct reader *r)
{
	return (uint32_t)reader_be(r, 4);
}

uint64_t
reader_u64be(struct reader *r)
{
	return reader_be(r, 8);
}

uint64_t
reader_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		uint8_t byte = reader_u8(r);

		if (r->failed)
			return 0;
		/* The tenth byte has room for one bit only. */
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return v;
	}
	r->failed = true;
	return 0;
}
