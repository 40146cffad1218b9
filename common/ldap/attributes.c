#include "common/ldap/attributes.h"

#define ATTRIBUTES_FIRST 32

static int
bad(const char **out_cause, const char *cause)
{
	*out_cause = cause;
	return -1;
}

/* The next element of BER with a definite length (RFC 4511 section 5.1), which
 * must have this tag. */
static bool
element_take(struct slice *rest, uint8_t tag, struct slice *out)
{
	const uint8_t *p = rest->data;
	size_t len, head = 2;

	if (rest->len < 2 || p[0] != tag)
		return false;
	len = p[1];
	if (len > 0x7f) {
		size_t n = len & 0x7f;

		if (n == 0 || n > 4 || n > rest->len - 2)
			return false;
		for (len = 0; head < n + 2; head++)
			len = len << 8 | p[head];
	}
	if (len > rest->len - head)
		return false;
	*out = slice_make(p + head, len);
	*rest = slice_make(p + head + len, rest->len - head - len);
	return true;
}

/* The tag or the byte behind the message that stands there was read. */
static void
terminate(struct slice s)
{
	((uint8_t *)s.data)[s.len] = 0;
}

/* PartialAttribute ::= SEQUENCE {
 *     type OCTET STRING, vals SET OF value OCTET STRING } */
static int
attribute_decode(struct slice bytes, struct arena *arena,
    struct search_attribute *out, const char **out_cause)
{
	struct slice name, set, rest, value, *values;
	size_t n = 0;

	if (!element_take(&bytes, LBER_OCTETSTRING, &name) ||
	    !element_take(&bytes, LBER_SET, &set) || bytes.len > 0)
		return bad(out_cause, "malformed attribute");
	if (memchr(name.data, 0, name.len) != NULL)
		return bad(out_cause, "NUL in an attribute's name");
	for (rest = set; rest.len > 0; n++)
		if (!element_take(&rest, LBER_OCTETSTRING, &value))
			return bad(out_cause, "malformed value");
	values = arena_alloc(arena, (n + 1) * sizeof(*values));
	if (values == NULL)
		return bad(out_cause, "entry too large");
	rest = set;
	for (n = 0; element_take(&rest, LBER_OCTETSTRING, &value); n++)
		values[n] = value;
	terminate(name);
	for (size_t i = 0; i < n; i++)
		terminate(values[i]);
	out->name = (const char *)name.data;
	out->values = values;
	out->value_count = n;
	return 0;
}

int
attributes_decode(BerElement *ber, struct arena *arena,
    struct search_attribute **out_list, size_t *out_count,
    const char **out_cause)
{
	struct search_attribute *list = NULL, *grown;
	struct berval bytes;
	size_t n = 0, size = 0;
	ber_len_t left = 0;

	for (;;) {
		if (ber_get_option(ber, LBER_OPT_BER_REMAINING_BYTES, &left) !=
		    LBER_OPT_SUCCESS)
			return bad(out_cause, "malformed entry");
		if (left == 0)
			break;
		if (ber_skip_element(ber, &bytes) != LBER_SEQUENCE)
			return bad(out_cause, "malformed entry");
		if (n == size) {
			size = size == 0 ? ATTRIBUTES_FIRST : size * 2;
			grown = arena_calloc(arena, size, sizeof(*grown));
			if (grown == NULL)
				return bad(out_cause, "entry too large");
			if (n > 0)
				memcpy(grown, list, n * sizeof(*list));
			list = grown;
		}
		if (attribute_decode(slice_make(bytes.bv_val, bytes.bv_len),
			arena, &list[n], out_cause) < 0)
			return -1;
		n++;
	}
	*out_list = list;
	*out_count = n;
	return 0;
}
