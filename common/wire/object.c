#include "common/wire/object.h"

#include <stdlib.h>

#include "common/wire/limits.h"
#include "common/wire/pb.h"

/* Field numbers of object.proto. */
enum {
	BODY_KIND = 1,
	BODY_SOURCE_DN,
	BODY_RECIPIENT_TYPE,
	BODY_ATTRIBUTES,
	BODY_MANAGER,
	BODY_MEMBERS,
	BODY_ALONG
};
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_VALUES };

static int
object_attribute_compare(const void *a, const void *b)
{
	const struct object_attribute *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
object_value_compare(const void *a, const void *b)
{
	return slice_compare(
	    *(const struct slice *)a, *(const struct slice *)b);
}

/* LDAP attribute descriptions (RFC 4512 section 2.5), options included. */
static bool
object_name_valid(struct slice name)
{
	size_t i;

	if (name.len == 0 || name.len > 128)
		return false;
	for (i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '-' || c == ';' ||
			c == '.' || c == '_'))
			return false;
	}
	return true;
}

/* Copies the values sorted, without empty ones and duplicates. */
static int
object_values_sort(const struct object_attribute *attribute,
    struct arena *scratch, struct slice **out_values, size_t *out_count,
    struct err *err)
{
	struct slice *v;
	size_t i, n = 0, kept = 0;

	v = arena_calloc(
	    scratch, attribute->value_count + 1, sizeof(struct slice));
	if (v == NULL)
		return err_set(
		    err, ERR_LIMIT, "%s has too many values", attribute->name);
	for (i = 0; i < attribute->value_count; i++) {
		if (attribute->values[i].len > 0)
			v[n++] = attribute->values[i];
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), object_value_compare);
	for (i = 0; i < n; i++) {
		if (kept == 0 || !slice_equal(v[i], v[kept - 1]))
			v[kept++] = v[i];
	}
	*out_values = v;
	*out_count = kept;
	return 0;
}

static int
object_attribute_encode(const struct object_attribute *attribute,
    struct arena *scratch, struct buf *out, struct err *err)
{
	struct slice name = slice_str(attribute->name), *values = NULL;
	size_t i, n = 0, len;

	if (!object_name_valid(name))
		return err_set(err, ERR_INTERNAL,
		    "an attribute's name is not an LDAP name");
	if (object_values_sort(attribute, scratch, &values, &n, err) < 0)
		return -1;
	if (n == 0)
		return 0;
	len = pb_bytes_size(name.len);
	for (i = 0; i < n; i++)
		len += pb_bytes_size(values[i].len);
	buf_add_varint(out, BODY_ATTRIBUTES << 3 | PB_BYTES);
	buf_add_varint(out, len);
	pb_add_bytes(out, ATTRIBUTE_NAME, name);
	for (i = 0; i < n; i++)
		pb_add_bytes(out, ATTRIBUTE_VALUES, values[i]);
	return 0;
}

/* Canonical order of ids: they rise strictly. */
static bool
object_members_rise(const struct id *members, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (id_compare(&members[i - 1], &members[i]) >= 0)
			return false;
	return true;
}

static int
object_references_encode(
    const struct object_references *r, struct buf *out, struct err *err)
{
	if (r->member_count > LIMIT_OBJECT_MEMBERS)
		return err_set(err, ERR_LIMIT, "more than %d members",
		    LIMIT_OBJECT_MEMBERS);
	if (!object_members_rise(r->members, r->member_count))
		return err_set(err, ERR_INTERNAL, "members out of order");
	if (r->manager != NULL)
		pb_add_bytes(out, BODY_MANAGER, id_slice(r->manager));
	if (r->has_members)
		pb_add_bytes(out, BODY_MEMBERS,
		    slice_make(r->members, r->member_count * ID_LEN));
	if (r->along)
		pb_add_uint(out, BODY_ALONG, 1);
	return 0;
}

int
object_references_replace(struct slice body,
    const struct object_references *references, struct buf *out,
    struct err *err)
{
	struct pb_field field;
	struct reader r;
	int rc;

	reader_init(&r, body);
	for (;;) {
		struct slice before = r.rest;

		rc = pb_next(&r, &field);
		if (rc <= 0)
			break;
		if (field.number < BODY_MANAGER || field.number > BODY_ALONG)
			buf_add(
			    out, slice_sub(before, 0, before.len - r.rest.len));
	}
	if (rc < 0)
		return err_set(err, ERR_BAD_DATA, "an object is malformed");
	if (object_references_encode(references, out, err) < 0)
		return -1;
	return buf_check(out, "object", err);
}

int
object_encode(const struct object *object, struct arena *scratch,
    struct buf *out, struct err *err)
{
	const struct object_attribute **sorted;
	size_t i;

	if (object->kind == GALR__KIND__KIND_UNSPECIFIED)
		return err_set(err, ERR_INTERNAL, "an object without a kind");
	sorted = arena_calloc(
	    scratch, object->attribute_count + 1, sizeof(struct slice *));
	if (sorted == NULL || object->attribute_count > LIMIT_OBJECT_ATTRIBUTES)
		return err_set(err, ERR_LIMIT, "more than %d attributes",
		    LIMIT_OBJECT_ATTRIBUTES);
	for (i = 0; i < object->attribute_count; i++)
		sorted[i] = &object->attributes[i];
	if (object->attribute_count > 1)
		qsort(sorted, object->attribute_count, sizeof(*sorted),
		    object_attribute_compare);
	pb_add_uint(out, BODY_KIND, (uint64_t)object->kind);
	if (object->source_dn != NULL && object->source_dn[0] != '\0')
		pb_add_bytes(out, BODY_SOURCE_DN, slice_str(object->source_dn));
	if (object->recipient_type != 0)
		pb_add_uint(
		    out, BODY_RECIPIENT_TYPE, (uint64_t)object->recipient_type);
	for (i = 0; i < object->attribute_count; i++) {
		if (i > 0 && strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
			return err_set(err, ERR_INTERNAL,
			    "attribute %s twice in one object",
			    sorted[i]->name);
		if (object_attribute_encode(sorted[i], scratch, out, err) < 0)
			return -1;
	}
	if (object_references_encode(&object->references, out, err) < 0)
		return -1;
	return buf_check(out, "object", err);
}

/* --- decoding --- */

/* How much there is, so that arrays are allocated once and within the caps. */
struct object_counts {
	size_t attributes, values;
};

static int
object_count(struct slice body, struct object_counts *out)
{
	struct reader r, inner;
	struct pb_field field, sub;
	int rc, rc2;

	memset(out, 0, sizeof(*out));
	reader_init(&r, body);
	while ((rc = pb_next(&r, &field)) > 0) {
		if (field.number != BODY_ATTRIBUTES)
			continue;
		out->attributes++;
		reader_init(&inner, field.data);
		while ((rc2 = pb_next(&inner, &sub)) > 0)
			out->values += sub.number == ATTRIBUTE_VALUES;
		if (rc2 < 0)
			return -1;
	}
	return rc;
}

/* Names and values of one attribute; *values is the place for the values and
 * moves behind them. Values rise strictly: canonical form. */
static int
object_attribute_decode(struct slice bytes, struct arena *arena,
    struct object_attribute *out, struct slice **values)
{
	struct slice *v = *values;
	struct pb_field field;
	struct reader r;
	size_t n = 0;
	int rc;

	reader_init(&r, bytes);
	while ((rc = pb_next(&r, &field)) > 0) {
		if (field.number == ATTRIBUTE_NAME) {
			if (field.wire != PB_BYTES || out->name != NULL ||
			    !object_name_valid(field.data))
				return -1;
			out->name =
			    (const char *)arena_dup(arena, field.data).data;
			if (out->name == NULL)
				return -1;
		} else if (field.number == ATTRIBUTE_VALUES) {
			if (field.wire != PB_BYTES || field.data.len == 0 ||
			    (n > 0 && slice_compare(v[n - 1], field.data) >= 0))
				return -1;
			v[n++] = field.data;
		}
	}
	if (rc < 0 || n == 0 || out->name == NULL)
		return -1;
	out->values = v;
	out->value_count = n;
	*values = v + n;
	return 0;
}

static int
object_dn_decode(struct slice dn, struct arena *arena, struct object *out)
{
	if (out->source_dn != NULL || !pb_is_text(dn))
		return -1;
	out->source_dn = (const char *)arena_dup(arena, dn).data;
	return out->source_dn == NULL ? -1 : 0;
}

/* Fields 5 to 7; ids point into the body. */
static int
object_reference_decode(
    const struct pb_field *field, struct object_references *out)
{
	struct slice data = field->data;

	if (field->number == BODY_ALONG) {
		if (field->wire != PB_VARINT || out->along || field->value != 1)
			return -1;
		out->along = true;
		return 0;
	}
	if (field->wire != PB_BYTES || data.len % ID_LEN != 0)
		return -1;
	if (field->number == BODY_MANAGER) {
		if (out->manager != NULL || data.len != ID_LEN)
			return -1;
		out->manager = (const struct id *)data.data;
		return 0;
	}
	if (out->has_members || data.len / ID_LEN > LIMIT_OBJECT_MEMBERS)
		return -1;
	out->has_members = true;
	out->member_count = data.len / ID_LEN;
	if (data.len > 0)
		out->members = (const struct id *)data.data;
	return object_members_rise(out->members, out->member_count) ? 0 : -1;
}

static int
object_fields_decode(struct slice body, struct arena *arena,
    struct object_attribute *attributes, struct slice *values,
    struct object *out)
{
	struct object_attribute *a;
	struct pb_field field;
	struct reader r;
	int rc;

	reader_init(&r, body);
	while ((rc = pb_next(&r, &field)) > 0) {
		switch (field.number) {
		case BODY_KIND:
			if (field.wire != PB_VARINT || out->kind != 0 ||
			    field.value > GALR__KIND__KIND_PUBLIC_FOLDER)
				return -1;
			out->kind = (Galr__Kind)field.value;
			break;
		case BODY_SOURCE_DN:
			if (field.wire != PB_BYTES ||
			    object_dn_decode(field.data, arena, out) < 0)
				return -1;
			break;
		case BODY_RECIPIENT_TYPE:
			if (field.wire != PB_VARINT)
				return -1;
			out->recipient_type = (int64_t)field.value;
			break;
		case BODY_ATTRIBUTES:
			a = &attributes[out->attribute_count];
			if (field.wire != PB_BYTES ||
			    object_attribute_decode(
				field.data, arena, a, &values) < 0 ||
			    (out->attribute_count > 0 &&
				strcmp(a[-1].name, a->name) >= 0))
				return -1;
			out->attribute_count++;
			break;
		case BODY_MANAGER:
		case BODY_MEMBERS:
		case BODY_ALONG:
			if (object_reference_decode(&field, &out->references) <
			    0)
				return -1;
			break;
		default: /* from a newer source */
			break;
		}
	}
	return rc;
}

int
object_decode(struct slice body, struct arena *arena, struct object *out_object,
    struct err *err)
{
	struct object_attribute *attributes;
	struct object_counts counts;
	struct slice *values, copy;

	memset(out_object, 0, sizeof(*out_object));
	if (body.len == 0 || body.len > LIMIT_OBJECT_BYTES)
		return err_set(
		    err, ERR_BAD_DATA, "an object of %zu bytes", body.len);
	if (object_count(body, &counts) < 0)
		return err_set(err, ERR_BAD_DATA, "an object is malformed");
	if (counts.attributes > LIMIT_OBJECT_ATTRIBUTES ||
	    counts.values > LIMIT_OBJECT_VALUES)
		return err_set(err, ERR_BAD_DATA,
		    "an object has more than %d attributes or %d values",
		    LIMIT_OBJECT_ATTRIBUTES, LIMIT_OBJECT_VALUES);
	copy = arena_dup(arena, body);
	attributes =
	    arena_calloc(arena, counts.attributes + 1, sizeof(*attributes));
	values = arena_calloc(arena, counts.values + 1, sizeof(*values));
	if (copy.data == NULL || attributes == NULL || values == NULL)
		return err_set(
		    err, ERR_BAD_DATA, "an object takes too much memory");
	if (object_fields_decode(copy, arena, attributes, values, out_object) <
		0 ||
	    out_object->kind == GALR__KIND__KIND_UNSPECIFIED)
		return err_set(err, ERR_BAD_DATA,
		    "an object is malformed or not in canonical form");
	if (out_object->source_dn == NULL)
		out_object->source_dn = "";
	out_object->attributes = attributes;
	return 0;
}

const struct object_attribute *
object_find(const struct object *object, const char *name)
{
	size_t i;

	for (i = 0; i < object->attribute_count; i++) {
		if (slice_name_equal(object->attributes[i].name, name))
			return &object->attributes[i];
	}
	return NULL;
}

struct slice
object_first(const struct object *object, const char *name)
{
	const struct object_attribute *a = object_find(object, name);

	return a == NULL || a->value_count == 0 ? SLICE_NULL : a->values[0];
}

bool
object_has_mail(const struct object *object, struct slice mail)
{
	const struct object_attribute *a =
	    object_find(object, "proxyAddresses");
	struct slice prefix = SLICE_LIT("smtp:");

	if (mail.len == 0)
		return false;
	if (slice_equal_case(object_first(object, "mail"), mail))
		return true;
	for (size_t i = 0; a != NULL && i < a->value_count; i++)
		if (slice_starts_case(a->values[i], prefix) &&
		    slice_equal_case(
			slice_sub(a->values[i], prefix.len, SIZE_MAX), mail))
			return true;
	return false;
}
