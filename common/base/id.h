/* Identifiers: object ids (objectGUID, entryUUID), realm ids, key ids. */
#ifndef COMMON_BASE_ID_H
#define COMMON_BASE_ID_H

#include "common/base/err.h"
#include "common/base/slice.h"

#define ID_LEN 16
#define ID_TEXT_SIZE 37 /* 8-4-4-4-12 and NUL */
#define ID_HEX_SIZE 33

/* 16 raw bytes. An objectGUID is kept in the byte order of its LDAP value, an
 * entryUUID in the order of its text (RFC 4530). Order is memcmp. */
struct id {
	uint8_t bytes[ID_LEN];
};

static inline int
id_compare(const struct id *a, const struct id *b)
{
	return memcmp(a->bytes, b->bytes, ID_LEN);
}
static inline struct slice
id_slice(const struct id *id)
{
	return slice_make(id->bytes, ID_LEN);
}
/* 32 hexadecimal digits. text must hold ID_HEX_SIZE bytes; returns it. */
char *id_format(const struct id *id, char *text);
/* Takes 32 hexadecimal digits, dashes allowed anywhere. Class bad data. */
int id_parse(struct slice text, struct id *out_id, struct err *err) ERR_WUR;
/* From exactly 16 raw bytes. Class bad data. */
int id_from_slice(struct slice raw, struct id *out_id, struct err *err) ERR_WUR;
/* Random bytes from the operating system's generator. */
int id_random(struct id *out_id, struct err *err) ERR_WUR;

/* 0 to 15, or -1: no hexadecimal digit. */
int id_hex_digit(uint8_t c);
/* Lower- or upper-case hexadecimal to bytes, exactly out_len of them. */
int id_unhex(
    struct slice text, uint8_t *out, size_t out_len, struct err *err) ERR_WUR;

#endif
