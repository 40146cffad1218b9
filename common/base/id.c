#include "common/base/id.h"

#include <errno.h>
#include <sys/random.h>

char *
id_format(const struct id *id, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < ID_LEN; i++) {
		text[2 * i] = digits[id->bytes[i] >> 4];
		text[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	text[ID_HEX_SIZE - 1] = '\0';
	return text;
}

int
id_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
id_unhex(struct slice text, uint8_t *out, size_t out_len, struct err *err)
{
	if (text.len % 2 != 0 || text.len / 2 != out_len)
		return err_set(err, ERR_BAD_DATA,
		    "%zu hexadecimal digits where %zu belong", text.len,
		    out_len * 2);
	for (size_t i = 0; i < out_len; i++) {
		int high = id_hex_digit(text.data[2 * i]);
		int low = id_hex_digit(text.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_set(err, ERR_BAD_DATA,
			    "not a hexadecimal digit at position %zu", 2 * i);
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int
id_parse(struct slice text, struct id *out_id, struct err *err)
{
	uint8_t digits[2 * ID_LEN];
	struct id id = {{0}};
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '-')
			continue;
		if (n == sizeof(digits))
			return err_set(err, ERR_BAD_DATA,
			    "identifier has more than %d digits", 2 * ID_LEN);
		digits[n++] = text.data[i];
	}
	if (id_unhex(slice_make(digits, n), id.bytes, ID_LEN, err) != 0)
		return err_prepend(err, "identifier");
	*out_id = id;
	return 0;
}

int
id_from_slice(struct slice raw, struct id *out_id, struct err *err)
{
	if (raw.len != ID_LEN)
		return err_set(err, ERR_BAD_DATA,
		    "identifier has %zu bytes where %d belong", raw.len,
		    ID_LEN);
	memcpy(out_id->bytes, raw.data, ID_LEN);
	return 0;
}

int
id_random(struct id *out_id, struct err *err)
{
	ssize_t n;

	/* getrandom(2) gives up to 256 bytes whole or nothing. */
	do {
		n = getrandom(out_id->bytes, ID_LEN, 0);
	} while (n < 0 && errno == EINTR);
	if (n != ID_LEN)
		return err_set_errno(err, ERR_IO, "getrandom");
	return 0;
}
