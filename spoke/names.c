#include <stdio.h>

#include "spoke/names.h"

struct slice
names_prefix(struct slice text, size_t max_units)
{
	size_t units = 0;
	size_t at = 0;

	while (at < text.len) {
		uint8_t c = text.data[at];
		size_t bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		units += bytes == 4 ? 2 : 1;
		if (units > max_units || bytes > text.len - at)
			break;
		at += bytes;
	}
	return slice_trim(slice_sub(text, 0, at));
}

static struct slice
names_clean(
    struct slice text, size_t max_chars, bool lines, struct arena *arena)
{
	struct slice cut;
	uint8_t *out;
	size_t n = 0;
	size_t i;

	if (text.len == 0 || !slice_is_utf8(text))
		return SLICE_NULL;
	out = arena_alloc(arena, text.len + 1);
	if (out == NULL)
		return SLICE_NULL;
	for (i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (lines && (c == '\n' || c == '\r')) {
			out[n++] = c;
			continue;
		}
		if (c < 0x20 || c == 0x7f)
			c = ' ';
		if (c == ' ' && (n == 0 || out[n - 1] == ' '))
			continue;
		out[n++] = c;
	}
	cut = slice_trim(slice_make(out, n));
	if (max_chars > 0)
		cut = names_prefix(cut, max_chars);
	return cut;
}

struct slice
names_text(struct slice text, size_t max_chars, struct arena *arena)
{
	return names_clean(text, max_chars, false, arena);
}

struct slice
names_lines(struct slice text, size_t max_chars, struct arena *arena)
{
	return names_clean(text, max_chars, true, arena);
}

static bool
names_nickname_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

struct slice
names_nickname(struct slice text, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	size_t i;

	if (out == NULL)
		return SLICE_NULL;
	for (i = 0; i < text.len && n < NAMES_NICKNAME_MAX; i++) {
		uint8_t c = text.data[i];

		if (c == '.' ? n > 0 && out[n - 1] != '.'
			     : names_nickname_byte(c))
			out[n++] = c;
	}
	while (n > 0 && out[n - 1] == '.')
		n--;
	return slice_make(out, n);
}

/* Base cut so that it and the suffix fit in max UTF-16 units. */
static struct slice
names_serial(
    struct slice base, const char *suffix, size_t max, struct arena *arena)
{
	size_t suffix_len = strlen(suffix);
	struct slice head = names_prefix(base, max - suffix_len);
	uint8_t *out;

	/* No blank or dot may come to stand before the serial number. */
	while (head.len > 0 && (head.data[head.len - 1] == ' ' ||
				   head.data[head.len - 1] == '.'))
		head.len--;
	out = arena_alloc(arena, head.len + suffix_len + 1);
	if (out == NULL)
		return SLICE_NULL;
	if (head.len > 0)
		memcpy(out, head.data, head.len);
	memcpy(out + head.len, suffix, suffix_len + 1);
	return slice_make(out, head.len + suffix_len);
}

struct slice
names_cn_serial(struct slice base, unsigned serial, struct arena *arena)
{
	char suffix[24] = "";

	if (serial <= 1)
		return names_prefix(base, NAMES_CN_MAX);
	(void)snprintf(suffix, sizeof(suffix), " (%u)", serial);
	return names_serial(base, suffix, NAMES_CN_MAX, arena);
}

struct slice
names_nickname_serial(struct slice base, unsigned serial, struct arena *arena)
{
	char suffix[24] = "";

	if (serial <= 1)
		return names_prefix(base, NAMES_NICKNAME_MAX);
	(void)snprintf(suffix, sizeof(suffix), "%u", serial);
	return names_serial(base, suffix, NAMES_NICKNAME_MAX, arena);
}

/* The number at the end of a name, between optional brackets; 0: none. */
static unsigned
names_tail_number(struct slice name, bool brackets)
{
	size_t end = name.len;
	unsigned value = 0;
	unsigned scale = 1;

	if (brackets) {
		if (end == 0 || name.data[end - 1] != ')')
			return 0;
		end--;
	}
	while (end > 0 && name.data[end - 1] >= '0' &&
	       name.data[end - 1] <= '9' && scale <= 1000) {
		value += scale * (unsigned)(name.data[end - 1] - '0');
		scale *= 10;
		end--;
	}
	return value;
}

bool
names_is_cn_of(struct slice name, struct slice base, struct arena *arena)
{
	unsigned serial;

	if (slice_equal(name, names_cn_serial(base, 1, arena)))
		return true;
	serial = names_tail_number(name, true);
	return serial > 1 &&
	       slice_equal(name, names_cn_serial(base, serial, arena));
}

bool
names_is_nickname_of(struct slice name, struct slice base, struct arena *arena)
{
	unsigned serial;
	unsigned scale;

	if (slice_equal(name, names_nickname_serial(base, 1, arena)))
		return true;
	serial = names_tail_number(name, false);
	/* The base may itself end in digits: try each length of the number. */
	for (scale = 10; scale <= 10000; scale *= 10) {
		unsigned tail = serial % scale;

		if (tail > 1 &&
		    slice_equal(name, names_nickname_serial(base, tail, arena)))
			return true;
	}
	return false;
}
