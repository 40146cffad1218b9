#include <stdio.h>

#include "common/wire/limits.h"
#include "spoke/names.h"
#include "spoke/import/views_internal.h"

#define VIEWS_PROVENANCE "galrelay:"

/* How a passed-on attribute is treated. */
enum views_form {
	VIEWS_TEXT,
	VIEWS_LINES,
	VIEWS_PRINTABLE, /* ASCII, by its syntax; other text is left out */
	VIEWS_NUMBER,
	VIEWS_BINARY
};

/* What goes over as it is, cleaned and fitted. The order is the order of
 * names, so that a plan reads the same everywhere. The limit holds where the
 * target's schema states none (directories' common upper range). */
static const struct views_pass {
	const char *name;
	enum views_form form;
	size_t max;
	bool many;
} views_passed[] = {
    {"c", VIEWS_TEXT, 3, false},
    {"co", VIEWS_TEXT, 128, false},
    {"company", VIEWS_TEXT, 64, false},
    {"countryCode", VIEWS_NUMBER, 5, false},
    {"department", VIEWS_TEXT, 64, false},
    {"description", VIEWS_TEXT, 1024, false},
    {"displayNamePrintable", VIEWS_PRINTABLE, 256, false},
    {"employeeID", VIEWS_TEXT, 16, false},
    {"employeeNumber", VIEWS_TEXT, 512, false},
    {"employeeType", VIEWS_TEXT, 256, false},
    {"extensionAttribute1", VIEWS_TEXT, 1024, false},
    {"extensionAttribute10", VIEWS_TEXT, 1024, false},
    {"extensionAttribute11", VIEWS_TEXT, 2048, false},
    {"extensionAttribute12", VIEWS_TEXT, 2048, false},
    {"extensionAttribute13", VIEWS_TEXT, 2048, false},
    {"extensionAttribute14", VIEWS_TEXT, 2048, false},
    {"extensionAttribute15", VIEWS_TEXT, 2048, false},
    {"extensionAttribute2", VIEWS_TEXT, 1024, false},
    {"extensionAttribute3", VIEWS_TEXT, 1024, false},
    {"extensionAttribute4", VIEWS_TEXT, 1024, false},
    {"extensionAttribute5", VIEWS_TEXT, 1024, false},
    {"extensionAttribute6", VIEWS_TEXT, 1024, false},
    {"extensionAttribute7", VIEWS_TEXT, 1024, false},
    {"extensionAttribute8", VIEWS_TEXT, 1024, false},
    {"extensionAttribute9", VIEWS_TEXT, 1024, false},
    {"facsimileTelephoneNumber", VIEWS_TEXT, 64, false},
    {"givenName", VIEWS_TEXT, 64, false},
    {"homePhone", VIEWS_TEXT, 64, false},
    {"info", VIEWS_LINES, 1024, false},
    {"initials", VIEWS_TEXT, 6, false},
    {"ipPhone", VIEWS_TEXT, 64, false},
    {"l", VIEWS_TEXT, 128, false},
    {"mobile", VIEWS_TEXT, 64, false},
    {"pager", VIEWS_TEXT, 64, false},
    {"personalTitle", VIEWS_TEXT, 64, false},
    {"physicalDeliveryOfficeName", VIEWS_TEXT, 128, false},
    {"postOfficeBox", VIEWS_TEXT, 40, true},
    {"postalCode", VIEWS_TEXT, 40, false},
    {"sn", VIEWS_TEXT, 64, false},
    {"st", VIEWS_TEXT, 128, false},
    {"streetAddress", VIEWS_LINES, 1024, false},
    {"telephoneNumber", VIEWS_TEXT, 64, false},
    {"thumbnailPhoto", VIEWS_BINARY, 102400, false},
    {"title", VIEWS_TEXT, 64, false},
    {"wWWHomePage", VIEWS_TEXT, 2048, false},
};

static const char *const views_reason_texts[] = {
    [VIEWS_FINE] = "fine",
    [VIEWS_FOREIGN] = "address outside the domains of its member",
    [VIEWS_NO_ADDRESS] = "no usable mail address",
    [VIEWS_NO_NAME] = "no usable name",
    [VIEWS_MALFORMED] = "not decodable",
};
_Static_assert(sizeof(views_reason_texts) / sizeof(views_reason_texts[0]) ==
		   VIEWS_REASON_COUNT,
    "a text for each reason");

const char *
views_reason_text(enum views_reason reason)
{
	return views_reason_texts[reason];
}

bool
views_add(struct views_contact *contact, const char *name,
    const struct slice *values, size_t value_count, struct arena *arena)
{
	struct slice *copy;

	if (contact->attribute_count == VIEWS_ATTRIBUTES_MAX)
		return false;
	copy = arena_calloc(arena, value_count, sizeof(*copy));
	if (copy == NULL)
		return false;
	memcpy(copy, values, value_count * sizeof(*copy));
	contact->attributes[contact->attribute_count++] =
	    (struct object_attribute){name, copy, value_count};
	return true;
}

static bool
views_add_str(struct views_contact *contact, const char *name, const char *text,
    struct arena *arena)
{
	struct slice value = arena_dup(arena, slice_str(text));

	return views_add(contact, name, &value, 1, arena);
}

static size_t
views_max(const struct views_options *options, const char *name, size_t max)
{
	size_t here = options->attribute_max == NULL
			  ? 0
			  : options->attribute_max(options->arg, name);

	return here > 0 ? here : max;
}

/* Only bytes from low to high? */
static bool
views_bytes_within(struct slice value, uint8_t low, uint8_t high)
{
	size_t i;

	for (i = 0; i < value.len; i++)
		if (value.data[i] < low || value.data[i] > high)
			return false;
	return true;
}

static struct slice
views_fit(const struct views_options *options, const struct views_pass *pass,
    struct slice value, struct arena *arena)
{
	size_t max = views_max(options, pass->name, pass->max);

	switch (pass->form) {
	case VIEWS_TEXT:
		return names_text(value, max, arena);
	case VIEWS_LINES:
		return names_lines(value, max, arena);
	case VIEWS_PRINTABLE:
		value = names_text(value, max, arena);
		return views_bytes_within(value, ' ', '~') ? value : SLICE_NULL;
	case VIEWS_NUMBER:
		return value.len <= pass->max &&
			       views_bytes_within(value, '0', '9')
			   ? value
			   : SLICE_NULL;
	case VIEWS_BINARY:
		return value.len <= max ? value : SLICE_NULL;
	}
	return SLICE_NULL;
}

/* Directories refuse a set with two values that they compare as equal. */
static bool
views_repeats(const struct slice *values, size_t count, struct slice value)
{
	struct buf key;
	struct buf other;
	bool repeats = false;
	size_t i;

	buf_init(&key, LIMIT_OBJECT_BYTES);
	buf_init(&other, LIMIT_OBJECT_BYTES);
	names_key(value, &key);
	for (i = 0; i < count && !repeats; i++) {
		buf_reset(&other);
		names_key(values[i], &other);
		repeats = slice_equal(buf_slice(&key), buf_slice(&other));
	}
	buf_fini(&other);
	buf_fini(&key);
	return repeats;
}

static bool
views_pass_on(const struct views_options *options, const struct object *object,
    struct arena *arena, struct views_contact *contact)
{
	size_t i;

	for (i = 0; i < sizeof(views_passed) / sizeof(views_passed[0]); i++) {
		const struct views_pass *pass = &views_passed[i];
		const struct object_attribute *attribute =
		    object_find(object, pass->name);
		struct slice values[16];
		size_t n = 0;
		size_t k;

		if (attribute == NULL)
			continue;
		for (k = 0; k < attribute->value_count && n < 16; k++) {
			values[n] = views_fit(
			    options, pass, attribute->values[k], arena);
			if (values[n].len > 0 &&
			    !views_repeats(values, n, values[n]))
				n++;
			if (!pass->many && n == 1)
				break;
		}
		if (n > 0 && !views_add(contact, pass->name, values, n, arena))
			return false;
	}
	return true;
}

/* PidTagDisplayTypeEx of a remote recipient: MS-OXOABK 2.2.3.12. */
static const char *
views_display_type(const struct object *object)
{
	switch (object->kind) {
	case GALR__KIND__KIND_CONTACT:
		return "-2147482106";
	case GALR__KIND__KIND_GROUP:
		return object->recipient_type == 1024 ? "-2147481338"
						      : "-2147483386";
	case GALR__KIND__KIND_DYNAMIC_GROUP:
		return "-2147482874";
	case GALR__KIND__KIND_PUBLIC_FOLDER:
		return "-2147483130";
	default:
		break;
	}
	switch (object->recipient_type) {
	case 16:
	case INT64_C(8589934592):    /* remote */
	case INT64_C(2199023255552): /* linked */
		return "-2147481850";
	case 32:
	case INT64_C(17179869184): /* remote */
		return "-2147481594";
	case 128:
		return "-2147482106";
	default:
		return "-2147483642";
	}
}

/* "north.example" from "...,DC=north,DC=example"; empty without DC parts. */
static struct slice
views_forest(const char *source_dn, struct arena *arena)
{
	struct slice rest = slice_str(source_dn);
	uint8_t *out = arena_alloc(arena, rest.len + 1);
	size_t n = 0;

	if (out == NULL)
		return SLICE_NULL;
	while (rest.len > 0) {
		size_t comma = slice_find(rest, ',');
		struct slice part = slice_trim(slice_sub(rest, 0, comma));

		if (slice_starts_case(part, SLICE_LIT("DC=")) && part.len > 3) {
			if (n > 0)
				out[n++] = '.';
			memcpy(out + n, part.data + 3, part.len - 3);
			n += part.len - 3;
		}
		rest = comma == SIZE_MAX ? SLICE_NULL
					 : slice_sub(rest, comma + 1, rest.len);
	}
	return names_text(slice_make(out, n), 255, arena);
}

static bool
views_exchange(const struct views_options *options, const struct object *object,
    struct arena *arena, struct views_contact *contact)
{
	struct slice forest = views_forest(object->source_dn, arena);
	bool hide = options->hidden == IMPORT_HIDDEN_ALL ||
		    (options->hidden == IMPORT_HIDDEN_KEEP &&
			slice_equal_case(
			    object_first(object, "msExchHideFromAddressLists"),
			    SLICE_LIT("TRUE")));

	if (!views_add_str(contact, "internetEncoding", "1310720", arena) ||
	    !views_add_str(contact, "msExchPoliciesExcluded",
		"{26491cfc-9e50-4857-861b-0cb8df22b5d7}", arena) ||
	    !views_add_str(contact, "msExchRecipientDisplayType",
		views_display_type(object), arena) ||
	    !views_add_str(contact, "msExchRecipientTypeDetails", "64", arena))
		return false;
	if (forest.len > 0 &&
	    !views_add(contact, "msExchOriginatingForest", &forest, 1, arena))
		return false;
	if (hide && !views_add_str(
			contact, "msExchHideFromAddressLists", "TRUE", arena))
		return false;
	if (options->rich_text == IMPORT_RICH_TEXT_DEFAULT)
		return true;
	return views_add_str(contact, "mAPIRecipient",
	    options->rich_text == IMPORT_RICH_TEXT_ALWAYS ? "TRUE" : "FALSE",
	    arena);
}

/* legacyExchangeDN of the contact: the same in every forest. Ids are their
 * source's word: with the member's name behind, no member can take the mail
 * that goes to another's contact. */
static struct slice
views_legacy(const struct views_options *options, const struct id *object_id,
    struct arena *arena)
{
	char hex[ID_HEX_SIZE];
	struct buf text;
	struct slice value = SLICE_NULL;

	buf_init(&text, 4096);
	buf_add_str(&text, options->legacy_prefix);
	buf_add_str(&text, id_format(object_id, hex));
	buf_addf(&text, "-%s", options->member->name);
	if (!buf_failed(&text))
		value = arena_dup(arena, buf_slice(&text));
	buf_fini(&text);
	return value;
}

static bool
views_mail(
    struct slice legacy, struct arena *arena, struct views_contact *contact)
{
	struct buf text;
	struct slice target;

	buf_init(&text, 4096);
	buf_add_str(&text, "SMTP:");
	buf_add(&text, contact->primary);
	target = arena_dup(arena, buf_slice(&text));
	buf_fini(&text);
	return views_add(contact, "mail", &contact->primary, 1, arena) &&
	       views_add(contact, "targetAddress", &target, 1, arena) &&
	       views_add(contact, "legacyExchangeDN", &legacy, 1, arena);
}

/* Marks and zero-width characters alone are no name. */
static bool
views_visible(struct slice name)
{
	struct buf key;
	bool visible;

	buf_init(&key, 65536);
	names_key(name, &key);
	visible = key.len > 0;
	buf_fini(&key);
	return visible;
}

/* The name that a person reads; every directory needs one for the RDN. */
static struct slice
views_name(const struct object *object, size_t max, struct arena *arena)
{
	static const char *const from[] = {
	    "cn", "displayName", "name", "mailNickname", "mail"};
	struct slice name;
	size_t i;

	for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		name = names_text(object_first(object, from[i]), max, arena);
		if (views_visible(name))
			return name;
	}
	return SLICE_NULL;
}

static struct slice
views_nickname(
    const struct object *object, struct slice primary, struct arena *arena)
{
	struct slice name =
	    names_nickname(object_first(object, "mailNickname"), arena);

	if (name.len == 0)
		name = names_nickname(
		    slice_sub(primary, 0, slice_find(primary, '@')), arena);
	return name.len == 0 ? SLICE_LIT("contact") : name;
}

enum views_reason
views_contact(const struct views_options *options, const struct id *object_id,
    struct slice body, struct arena *arena, struct views_contact *out_contact)
{
	struct object object;
	struct slice display;
	struct slice legacy = views_legacy(options, object_id, arena);
	enum views_reason reason;
	struct err ignored = {0};

	memset(out_contact, 0, sizeof(*out_contact));
	if (object_decode(body, arena, &object, &ignored) != 0 ||
	    object.kind == GALR__KIND__KIND_UNSPECIFIED)
		return VIEWS_MALFORMED;
	reason = views_addresses(options, &object, legacy, arena, out_contact);
	if (reason != VIEWS_FINE)
		return reason;
	out_contact->cn_base = views_name(&object, NAMES_CN_MAX, arena);
	if (out_contact->cn_base.len == 0)
		return VIEWS_NO_NAME;
	display = names_text(object_first(&object, "displayName"),
	    views_max(options, "displayName", 256), arena);
	if (display.len == 0)
		display = views_name(&object, 256, arena);
	out_contact->nickname_base =
	    views_nickname(&object, out_contact->primary, arena);
	if (!views_add(out_contact, "displayName", &display, 1, arena) ||
	    !views_pass_on(options, &object, arena, out_contact) ||
	    !views_mail(legacy, arena, out_contact) ||
	    !views_exchange(options, &object, arena, out_contact))
		return VIEWS_MALFORMED;
	return VIEWS_FINE;
}

struct slice
views_provenance(const struct id *realm, const char *member,
    const struct id *object_id, struct arena *arena)
{
	char text[160];
	char realm_hex[ID_HEX_SIZE];
	char object_hex[ID_HEX_SIZE];

	(void)snprintf(text, sizeof(text), VIEWS_PROVENANCE "%s:%s:%s",
	    id_format(realm, realm_hex), member,
	    id_format(object_id, object_hex));
	return arena_dup(arena, slice_str(text));
}

int
views_provenance_parse(struct slice text, struct id *out_realm,
    char *out_member, struct id *out_object)
{
	struct slice rest = text;
	struct slice realm;
	struct slice member;
	struct err ignored = {0};
	size_t colon;

	if (!slice_starts_case(rest, SLICE_LIT(VIEWS_PROVENANCE)))
		return -1;
	rest = slice_sub(rest, sizeof(VIEWS_PROVENANCE) - 1, rest.len);
	colon = slice_find(rest, ':');
	if (colon == SIZE_MAX)
		return -1;
	realm = slice_sub(rest, 0, colon);
	rest = slice_sub(rest, colon + 1, rest.len);
	colon = slice_find(rest, ':');
	if (colon == SIZE_MAX || colon == 0 || colon > LIMIT_NAME_CHARS)
		return -1;
	member = slice_sub(rest, 0, colon);
	memcpy(out_member, member.data, member.len);
	out_member[member.len] = '\0';
	if (id_parse(realm, out_realm, &ignored) != 0)
		return -1;
	return id_parse(
	    slice_sub(rest, colon + 1, rest.len), out_object, &ignored);
}
