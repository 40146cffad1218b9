/* Every cap on foreign bytes, with its reason. Tests try each at N and N+1. */
#ifndef COMMON_WIRE_LIMITS_H
#define COMMON_WIRE_LIMITS_H

#include <stdint.h>

/* A header with its recipients; parsed before anything is authenticated. */
#define LIMIT_HEADER_BYTES (64 * 1024)
/* Wraps are tried by key id only, yet each costs parsing. */
#define LIMIT_RECIPIENTS 256
/* Payload of an envelope after inflating: tuples, holdings, registry for a
 * thousand members; sections travel outside of it. */
#define LIMIT_PAYLOAD_BYTES (8 * 1024 * 1024)
/* A whole envelope file: payload stored, tags, header. */
#define LIMIT_ENVELOPE_BYTES (LIMIT_PAYLOAD_BYTES + 256 * 1024)
/* One object: 100 KB picture, 1,123-character proxy addresses, the rest. */
#define LIMIT_OBJECT_BYTES (1024 * 1024)
#define LIMIT_OBJECT_ATTRIBUTES 256
#define LIMIT_OBJECT_VALUES 16384
/* Members of one group: 800,000 bytes leave room for all else in an object. */
#define LIMIT_OBJECT_MEMBERS 50000
/* Plain bytes of one section, and of its sealed blob. */
#define LIMIT_SECTION_PLAIN_BYTES (UINT64_C(16) << 30)
#define LIMIT_SECTION_BYTES (UINT64_C(4) << 30)
/* zlib reaches 1029:1; directory text stays far below this. */
#define LIMIT_INFLATE_RATIO 200
/* Small payloads may exceed the ratio by constant parts. */
#define LIMIT_INFLATE_SLACK (64 * 1024)
#define LIMIT_CHUNK_BYTES (64 * 1024)
#define LIMIT_TUPLES 4096
#define LIMIT_MEMBERS 4096
#define LIMIT_DOMAINS 256
#define LIMIT_MEMBER_KEYS 16
#define LIMIT_NAME_CHARS 63
#define LIMIT_TAG_CHARS 255
#define LIMIT_AUDIENCE 4096
/* Allocation while unpacking one protobuf message (protobuf-c has no budget
 * of its own). */
#define LIMIT_UNPACK_BYTES (48 * 1024 * 1024)
#define LIMIT_OBJECT_UNPACK_BYTES (4 * 1024 * 1024)
/* The same for a header, before anything is authenticated. */
#define LIMIT_HEADER_UNPACK_BYTES (512 * 1024)
/* A manifest with its audience. */
#define LIMIT_MANIFEST_BYTES (512 * 1024)
/* Tags that one target asks for. */
#define LIMIT_WANTS 1024
/* Why somebody refused something, for people. */
#define LIMIT_REFUSAL_CHARS 1024
/* Streams of one member at the hub: each is a file there, and a place in every
 * target's bundle. */
#define LIMIT_MEMBER_STREAMS 256
#define LIMIT_STREAMS_ENDED 4096
#define LIMIT_KEYS_REVOKED 65536
/* Receiver's clock tolerance. */
#define LIMIT_SKEW_MS (5 * 60 * 1000)
/* What came too early by a wrong clock waits for its time at most so long. */
#define LIMIT_EARLY_MS (INT64_C(24) * 3600 * 1000)
/* Sequences, versions and counts: what SQLite can keep. */
#define LIMIT_NUMBER ((uint64_t)INT64_MAX)
/* The year 9999: no clock makes a version above, and a source that followed a
 * hub's claim of one would soon have no versions left. */
#define LIMIT_VERSION_FAR UINT64_C(253402300800000)
/* How long an envelope may live at most. */
#define LIMIT_ENVELOPE_LIFE_MS (INT64_C(30) * 24 * 3600 * 1000)

#endif
