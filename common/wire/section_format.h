/* What the section's writer and reader share; see section.h. */
#ifndef COMMON_WIRE_SECTION_FORMAT_H
#define COMMON_WIRE_SECTION_FORMAT_H

#include "common/wire/chunk.h"

#define SECTION_MAGIC "GALS\x01"
#define SECTION_MAGIC_LEN 5
#define SECTION_HEAD_LEN (SECTION_MAGIC_LEN + 32 + 32)
#define SECTION_TRAILER_LEN 16

/* One SectionObject with its frame: id, version, flag, tags and lengths. */
#define SECTION_RECORD_MAX (LIMIT_OBJECT_BYTES + 64)

/* Field numbers of object.proto. */
enum section_head_field {
	SECTION_HEAD_FORMAT = 1,
	SECTION_HEAD_MEMBER,
	SECTION_HEAD_STREAM,
	SECTION_HEAD_BASE,
	SECTION_HEAD_VERSION,
	SECTION_HEAD_RECORDS
};
enum section_object_field {
	SECTION_OBJECT_ID = 1,
	SECTION_OBJECT_VERSION,
	SECTION_OBJECT_DELETED,
	SECTION_OBJECT_BODY
};

#endif
