#include "spoke/export/collect/left_out.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/reader.h"

/*
 * The note: u8 names | each: u8 length, bytes | 18 bytes each of the objects,
 * ascending: id, u8 reason, u8 index of the name.
 */
#define NAMES_MAX 255
#define ONE_LEN (ID_LEN + 2)

struct left_out {
	struct left_out_one *list;
	size_t count, size;
	uint64_t offered;
	bool sorted;
	char *names[NAMES_MAX];
	size_t name_count;
};

struct left_out *
left_out_new(void)
{
	struct left_out *out = mem_calloc(1, sizeof(*out));

	out->sorted = true;
	return out;
}

void
left_out_free(struct left_out *out)
{
	if (out == NULL)
		return;
	for (size_t i = 0; i < out->name_count; i++)
		free(out->names[i]);
	free(out->list);
	free(out);
}

/* NAMES_MAX: there are more attributes than are told apart. */
static size_t
name_index(struct left_out *out, struct slice name)
{
	for (size_t i = 0; i < out->name_count; i++)
		if (slice_equal_case(slice_str(out->names[i]), name))
			return i;
	if (name.len == 0 || name.len > UINT8_MAX ||
	    out->name_count == NAMES_MAX)
		return NAMES_MAX;
	out->names[out->name_count] =
	    mem_strndup((const char *)name.data, name.len);
	return out->name_count++;
}

/* Ids are as good as random: who comes in for whom is chosen by them. */
static size_t
place_find(struct left_out *out, const struct id *id)
{
	uint64_t random;

	if (out->count < LEFT_OUT_MAX) {
		if (out->count == out->size) {
			out->size = out->size == 0 ? 64 : 2 * out->size;
			out->list = mem_realloc(
			    out->list, out->size * sizeof(*out->list));
		}
		return out->count++;
	}
	memcpy(&random, id->bytes, sizeof(random));
	return (size_t)((random * UINT64_C(0x9e3779b97f4a7c15) >> 16) %
			out->offered);
}

void
left_out_add(struct left_out *out, const struct id *id,
    enum shape_reason reason, struct slice attribute)
{
	size_t name = name_index(out, attribute);
	size_t at;

	if (name == NAMES_MAX)
		return;
	out->offered++;
	at = place_find(out, id);
	if (at >= out->count)
		return;
	out->list[at] = (struct left_out_one){
	    .id = *id, .reason = (uint8_t)reason, .attribute = (uint8_t)name};
	out->sorted = false;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

static void
sort(struct left_out *out)
{
	size_t n = 0;

	if (out->sorted)
		return;
	qsort(out->list, out->count, sizeof(*out->list), compare);
	for (size_t i = 0; i < out->count; i++)
		if (i == 0 ||
		    id_compare(&out->list[i].id, &out->list[n - 1].id) != 0)
			out->list[n++] = out->list[i];
	out->count = n;
	out->sorted = true;
}

const struct left_out_one *
left_out_find(struct left_out *out, const struct id *id)
{
	sort(out);
	return out->count == 0 ? NULL
			       : bsearch(id, out->list, out->count,
				     sizeof(*out->list), compare);
}

void
left_out_drop(struct left_out *out, const struct id *id)
{
	const struct left_out_one *one = left_out_find(out, id);
	size_t at;

	if (one == NULL)
		return;
	at = (size_t)(one - out->list);
	out->count--;
	memmove(&out->list[at], &out->list[at + 1],
	    (out->count - at) * sizeof(*out->list));
}

size_t
left_out_count(struct left_out *out)
{
	sort(out);
	return out->count;
}

const struct left_out_one *
left_out_at(const struct left_out *out, size_t index)
{
	return &out->list[index];
}

const char *
left_out_attribute(const struct left_out *out, const struct left_out_one *one)
{
	return out->names[one->attribute];
}

int
left_out_encode(struct left_out *out, struct buf *note, struct err *err)
{
	sort(out);
	buf_add_byte(note, (uint8_t)out->name_count);
	for (size_t i = 0; i < out->name_count; i++) {
		buf_add_byte(note, (uint8_t)strlen(out->names[i]));
		buf_add_str(note, out->names[i]);
	}
	for (size_t i = 0; i < out->count; i++) {
		buf_add(note, id_slice(&out->list[i].id));
		buf_add_byte(note, out->list[i].reason);
		buf_add_byte(note, out->list[i].attribute);
	}
	return buf_check(note, "objects left out", err);
}

void
left_out_decode(struct left_out *out, struct slice note)
{
	struct slice names[NAMES_MAX];
	struct reader r;
	size_t count;

	reader_init(&r, note);
	count = reader_u8(&r);
	for (size_t i = 0; i < count; i++)
		names[i] = reader_take(&r, reader_u8(&r));
	while (!r.failed && r.rest.len >= ONE_LEN) {
		struct slice raw = reader_take(&r, ID_LEN);
		uint8_t reason = reader_u8(&r), name = reader_u8(&r);
		struct id id;

		memcpy(id.bytes, raw.data, ID_LEN);
		if (reason < SHAPE_REASON_COUNT && name < count)
			left_out_add(
			    out, &id, (enum shape_reason)reason, names[name]);
	}
}
