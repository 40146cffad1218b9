/* A borrowed run of bytes. LDAP values and wire fields are slices: they may
 * contain NUL, and never own what they point at. */
#ifndef COMMON_BASE_SLICE_H
#define COMMON_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const uint8_t *data;
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){(const uint8_t *)("" s), sizeof(s) - 1})
#define SLICE_NULL ((struct slice){NULL, 0})
/* For printf("%.*s", SLICE_FMT(s)); only for text known to be printable. */
#define SLICE_FMT(s) (int)(s).len, (const char *)(s).data

static inline struct slice
slice_make(const void *data, size_t len)
{
	return (struct slice){(const uint8_t *)data, len};
}

/* A C string without its NUL; NULL gives the empty slice. */
static inline struct slice
slice_str(const char *s)
{
	return (struct slice){(const uint8_t *)s, s == NULL ? 0 : strlen(s)};
}

/* The part from offset on, at most len bytes; clamps, never reads outside. */
struct slice slice_sub(struct slice s, size_t offset, size_t len);

/* Byte equality, and order by bytes then length (negative, 0, positive). */
bool slice_equal(struct slice a, struct slice b);
int slice_compare(struct slice a, struct slice b);

/* The same with ASCII letters folded; bytes above 127 compare as they are. */
bool slice_equal_case(struct slice a, struct slice b);
int slice_compare_case(struct slice a, struct slice b);
bool slice_starts_case(struct slice s, struct slice prefix);
bool slice_ends_case(struct slice s, struct slice suffix);

/* Are two attribute names or keywords equal, ASCII letters folded? Lists of
 * them are searched for every attribute of every entry, and the first letter
 * mostly settles it. */
static inline bool
slice_name_equal(const char *a, const char *b)
{
	return ((a[0] ^ b[0]) & 0xdf) == 0 && strcasecmp(a, b) == 0;
}

/* Index of the first byte c, or SIZE_MAX. */
size_t slice_find(struct slice s, uint8_t c);

/* Without leading and trailing ASCII blanks (space, tab, CR, LF). */
struct slice slice_trim(struct slice s);

/* A decimal number of 1 to 19 digits and nothing else? */
bool slice_u64(struct slice text, uint64_t *out);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool slice_is_utf8(struct slice s);

/* The longest prefix of at most max_chars code points (RFC 3629 text). */
struct slice slice_utf8_prefix(struct slice s, size_t max_chars);

/* Number of code points of a well-formed UTF-8 text. */
size_t slice_utf8_length(struct slice s);

#endif
