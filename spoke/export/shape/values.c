#include "spoke/export/shape/values.h"

#include "common/ldap/reference.h"
#include "spoke/names.h"

static const struct {
	const char *text, *key;
} drops[] = {
    [VALUES_ADDRESS] = {"no mail address", "address"},
    [VALUES_PICTURE] = {"larger than a picture may be (102400 octets)",
	"picture"},
    [VALUES_LARGE] = {"too large", "large"},
    [VALUES_TEXT] = {"not UTF-8 text", "text"},
    [VALUES_SIP] = {"another sip address goes out", "sip"},
    [VALUES_OTHER] = {"an address that means nothing elsewhere", "other"},
};
_Static_assert(sizeof(drops) / sizeof(drops[0]) == VALUES_DROP_COUNT,
    "every way to be dropped has its words");

const char *
values_drop_text(enum values_drop why)
{
	return drops[why].text;
}

const char *
values_drop_key(enum values_drop why)
{
	return drops[why].key;
}

void
values_drop(struct values_notes *notes, enum values_drop why,
    const char *attribute, struct slice value)
{
	if (notes->count < VALUES_NOTES_MAX)
		notes->list[notes->count++] =
		    (struct values_note){why, attribute, value};
	notes->dropped[why]++;
}

/* Nothing to do, as with nearly all: printable UTF-8, single blanks, none at
 * the ends, short. */
static bool
is_clean(struct slice value)
{
	uint8_t before = ' ', bits = 0;

	if (value.len > VALUES_TEXT_MAX)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if (c < 0x20 || c == 0x7f || (c == ' ' && before == ' '))
			return false;
		bits |= c;
		before = c;
	}
	return before != ' ' && (bits < 0x80 || slice_is_utf8(value));
}

static struct slice
text_clean(struct slice value, bool lines, const char *attribute,
    struct arena *arena, struct values_notes *notes)
{
	if (is_clean(value))
		return value;
	if (!slice_is_utf8(value)) {
		values_drop(notes, VALUES_TEXT, attribute, value);
		return SLICE_NULL;
	}
	return lines ? names_lines(value, VALUES_TEXT_MAX, arena)
		     : names_text(value, VALUES_TEXT_MAX, arena);
}

struct slice
values_clean(struct slice value, enum attributes_form form,
    const char *attribute, struct arena *arena, struct values_notes *notes)
{
	switch (form) {
	case ATTRIBUTES_TEXT:
		return text_clean(value, false, attribute, arena, notes);
	case ATTRIBUTES_LINES:
		return text_clean(value, true, attribute, arena, notes);
	case ATTRIBUTES_PICTURE:
		if (value.len <= VALUES_PICTURE_MAX)
			return value;
		values_drop(notes, VALUES_PICTURE, attribute, value);
		return SLICE_NULL;
	case ATTRIBUTES_NAME:
		value = reference_plain(value, arena);
		/* fall through */
	case ATTRIBUTES_VERBATIM:
	case ATTRIBUTES_DISPLAY:
		if (value.len <= VALUES_OCTETS_MAX)
			return value;
		values_drop(notes, VALUES_LARGE, attribute, value);
		return SLICE_NULL;
	case ATTRIBUTES_MAIL:
	case ATTRIBUTES_STAYS:
		break;
	}
	return SLICE_NULL;
}
