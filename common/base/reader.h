/* A cursor over borrowed bytes with a sticky error (Knot's wire_ctx): many
 * reads, one check. A read past the end yields zero or an empty slice. */
#ifndef COMMON_BASE_READER_H
#define COMMON_BASE_READER_H

#include "common/base/slice.h"

struct reader {
	struct slice rest;
	bool failed;
};

static inline void
reader_init(struct reader *r, struct slice s)
{
	r->rest = s;
	r->failed = false;
}

struct slice reader_take(struct reader *r, size_t len);
uint8_t reader_u8(struct reader *r);
uint32_t reader_u32be(struct reader *r);
uint64_t reader_u64be(struct reader *r);
/* protobuf varint; more than 10 bytes or above 2^64-1 fails. */
uint64_t reader_varint(struct reader *r);
static inline bool
reader_done(const struct reader *r)
{
	return !r->failed && r->rest.len == 0;
}

#endif
