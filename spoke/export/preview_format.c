#include "spoke/export/preview_internal.h"

/* What a picture starts with. */
static const struct {
	struct slice start;
	const char *type;
} pictures[] = {
    {SLICE_LIT("\xff\xd8\xff"), "JPEG"},
    {SLICE_LIT("\x89PNG"), "PNG"},
    {SLICE_LIT("GIF8"), "GIF"},
    {SLICE_LIT("BM"), "BMP"},
};

static bool
is_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];

		if (c == 0x7f ||
		    (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
			return false;
	}
	return slice_is_utf8(s);
}

static const char *
binary_type(struct slice s)
{
	for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++)
		if (s.len >= pictures[i].start.len &&
		    memcmp(s.data, pictures[i].start.data,
			pictures[i].start.len) == 0)
			return pictures[i].type;
	return "binary";
}

/* Attributes that hold octets, whatever these look like. */
static bool
is_octets(const char *name)
{
	return strcmp(name, "thumbnailPhoto") == 0 ||
	       strcmp(name, "jpegPhoto") == 0;
}

/* On one line, without what a terminal would obey: line breaks, tabs and U+0080
 * to U+009F. */
static void
value_text(struct slice value, struct buf *out)
{
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if (c == 0xc2 && i + 1 < value.len && value.data[i + 1] < 0xa0)
			buf_addf(out, "\\x%02x", value.data[++i]);
		else if (c < 0x20)
			buf_addf(out, "\\x%02x", c);
		else
			buf_add_byte(out, c);
	}
}

static void
named_text(const struct preview *p, const char *what, const struct id *id,
    struct buf *out)
{
	const struct preview_named *named = preview_find(p, id);
	char hex[ID_HEX_SIZE];

	buf_addf(out, "      %s: %s ", what, id_format(id, hex));
	if (named != NULL)
		value_text(named->mail, out);
	buf_add_byte(out, '\n');
}

void
preview_text(const struct preview *p, struct buf *out)
{
	const struct object *o = &p->object;
	const struct object_references *r = &o->references;
	char hex[ID_HEX_SIZE];

	buf_addf(out, "    sent: %s %s, %zu octets, known as ",
	    shape_kind_name(o->kind), id_format(&p->id, hex), p->body.len);
	value_text(slice_str(o->source_dn), out);
	buf_addf(out, ", recipient type %lld\n", (long long)o->recipient_type);
	for (size_t i = 0; i < o->attribute_count; i++) {
		const struct object_attribute *a = &o->attributes[i];

		for (size_t k = 0; k < a->value_count; k++) {
			struct slice value = a->values[k];

			buf_addf(out, "      %s: ", a->name);
			if (is_text(value) && !is_octets(a->name))
				value_text(value, out);
			else
				buf_addf(out, "(%zu octets, %s)", value.len,
				    binary_type(value));
			buf_add_byte(out, '\n');
		}
	}
	if (r->manager != NULL)
		named_text(p, "manager", r->manager, out);
	if (r->has_members)
		buf_addf(out, "      members: %zu\n", r->member_count);
	for (size_t i = 0; i < r->member_count; i++)
		named_text(p, "member", &r->members[i], out);
}

static void
named_json(const struct preview *p, const struct id *id, struct buf *out)
{
	const struct preview_named *named = preview_find(p, id);
	char hex[ID_HEX_SIZE];

	buf_addf(out, "{\"id\":\"%s\",\"mail\":", id_format(id, hex));
	buf_add_json(out, named == NULL ? SLICE_NULL : named->mail);
	buf_add_byte(out, '}');
}

static void
value_json(const char *name, struct slice value, struct buf *out)
{
	buf_add_str(out, "{\"name\":");
	buf_add_json(out, slice_str(name));
	if (is_text(value) && !is_octets(name)) {
		buf_add_str(out, ",\"value\":");
		buf_add_json(out, value);
	} else {
		buf_addf(out, ",\"octets\":%zu,\"type\":\"%s\"", value.len,
		    binary_type(value));
	}
	buf_add_byte(out, '}');
}

static void
references_json(const struct preview *p, struct buf *out)
{
	const struct object_references *r = &p->object.references;

	buf_add_str(out, ",\"manager\":");
	if (r->manager != NULL)
		named_json(p, r->manager, out);
	else
		buf_add_str(out, "null");
	buf_add_str(out, ",\"members\":");
	buf_add_str(out, r->has_members ? "[" : "null");
	for (size_t i = 0; i < r->member_count; i++) {
		buf_add_str(out, i == 0 ? "" : ",");
		named_json(p, &r->members[i], out);
	}
	buf_add_str(out, r->has_members ? "]" : "");
}

void
preview_json(const struct preview *p, struct buf *out)
{
	const struct object *o;
	char hex[ID_HEX_SIZE];
	bool any = false;

	if (p == NULL) {
		buf_add_str(out, "null");
		return;
	}
	o = &p->object;
	buf_addf(out,
	    "{\"id\":\"%s\",\"kind\":\"%s\",\"recipient_type\":%lld,"
	    "\"octets\":%zu,\"source_dn\":",
	    id_format(&p->id, hex), shape_kind_name(o->kind),
	    (long long)o->recipient_type, p->body.len);
	buf_add_json(out, slice_str(o->source_dn));
	buf_add_str(out, ",\"attributes\":[");
	for (size_t i = 0; i < o->attribute_count; i++)
		for (size_t k = 0; k < o->attributes[i].value_count; k++) {
			buf_add_str(out, any ? "," : "");
			any = true;
			value_json(o->attributes[i].name,
			    o->attributes[i].values[k], out);
		}
	buf_add_byte(out, ']');
	references_json(p, out);
	buf_addf(out, ",\"along\":%s}", o->references.along ? "true" : "false");
}
