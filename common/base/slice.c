#include "common/base/slice.h"

struct slice
slice_sub(struct slice s, size_t offset, size_t len)
{
	if (offset >= s.len)
		return SLICE_NULL;
	if (len > s.len - offset)
		len = s.len - offset;
	return slice_make(s.data + offset, len);
}

bool
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len &&
	       (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

int
slice_compare(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n == 0 ? 0 : memcmp(a.data, b.data, n);

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

/* ASCII only: the locale must not change what two forests agree on. */
static uint8_t
fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

int
slice_compare_case(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++) {
		int order = (int)fold(a.data[i]) - (int)fold(b.data[i]);

		if (order != 0)
			return order;
	}
	return (a.len > b.len) - (a.len < b.len);
}

bool
slice_equal_case(struct slice a, struct slice b)
{
	return a.len == b.len && slice_compare_case(a, b) == 0;
}

bool
slice_starts_case(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       slice_equal_case(slice_make(s.data, prefix.len), prefix);
}

bool
slice_ends_case(struct slice s, struct slice suffix)
{
	if (suffix.len == 0)
		return true;
	return s.len >= suffix.len &&
	       slice_equal_case(
		   slice_make(s.data + (s.len - suffix.len), suffix.len),
		   suffix);
}

size_t
slice_find(struct slice s, uint8_t c)
{
	const uint8_t *hit;

	if (s.len == 0)
		return SIZE_MAX;
	hit = (const uint8_t *)memchr(s.data, c, s.len);
	return hit == NULL ? SIZE_MAX : (size_t)(hit - s.data);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.data[0])) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}

/* Bytes of the well-formed sequence at the start of s, or 0 (RFC 3629 §4). */
static size_t
utf8_sequence(struct slice s)
{
	uint8_t lead = s.data[0];
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t len;

	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		len = 2;
	else if (lead >= 0xe0 && lead <= 0xef)
		len = 3;
	else if (lead >= 0xf0 && lead <= 0xf4)
		len = 4;
	else
		return 0;
	/* The second byte excludes overlong forms, surrogates and what lies
	 * above U+10FFFF. */
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (s.len < len || s.data[1] < low || s.data[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s.data[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
slice_u64(struct slice text, uint64_t *out)
{
	uint64_t n = 0;

	if (text.len == 0 || text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	*out = n;
	return true;
}

bool
slice_is_utf8(struct slice s)
{
	while (s.len > 0) {
		size_t n = utf8_sequence(s);

		if (n == 0)
			return false;
		s.data += n;
		s.len -= n;
	}
	return true;
}

struct slice
slice_utf8_prefix(struct slice s, size_t max_chars)
{
	size_t len = 0;

	while (len < s.len && max_chars > 0) {
		size_t n = utf8_sequence(slice_sub(s, len, SIZE_MAX));

		/* A byte that begins no character counts as one. */
		len += n == 0 ? 1 : n;
		max_chars--;
	}
	return slice_make(s.data, len);
}

size_t
slice_utf8_length(struct slice s)
{
	size_t chars = 0;

	for (size_t i = 0; i < s.len; i++)
		chars += (s.data[i] & 0xc0) != 0x80;
	return chars;
}
