/* The front's table of keys; see members.h. */
#include "common/carrier/members.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/base/fsio.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"

/* 4,096 members and as many newcomers, with room. */
#define MEMBERS_BYTES_MAX (4 * 1024 * 1024)

void
carrier_members_init(struct carrier_members *members, const char *path)
{
	memset(members, 0, sizeof(*members));
	members->path = path;
	members->checked_at = INT64_MIN / 2;
}

void
carrier_members_fini(struct carrier_members *members)
{
	free(members->items);
	members->items = NULL;
	members->count = 0;
}

static int
member_compare(const void *a, const void *b)
{
	const struct carrier_member *x = a, *y = b;

	return memcmp(x->key, y->key, CARRIER_CURVE_LEN);
}

static bool
line_parse(struct slice line, struct carrier_member *out)
{
	struct slice name =
	    slice_trim(slice_sub(line, CARRIER_CURVE_HEX, line.len));

	memset(out, 0, sizeof(*out));
	if (line.len < CARRIER_CURVE_HEX + 2 ||
	    line.data[CARRIER_CURVE_HEX] != ' ' ||
	    id_unhex(slice_sub(line, 0, CARRIER_CURVE_HEX), out->key,
		CARRIER_CURVE_LEN, NULL) < 0 ||
	    name.len >= sizeof(out->name))
		return false;
	memcpy(out->name, name.data, name.len);
	return strlen(out->name) == name.len && spool_name_valid(out->name);
}

/* A line that does not parse admits nobody and is reported. */
static void
members_parse(struct carrier_members *members, struct slice text)
{
	struct carrier_member *items = NULL;
	size_t count = 0, bad = 0;

	while (text.len > 0) {
		size_t end = slice_find(text, '\n');
		struct slice line = slice_trim(slice_sub(text, 0, end));

		if (line.len > 0 && line.data[0] != '#') {
			items =
			    mem_realloc(items, (count + 1) * sizeof(*items));
			if (line_parse(line, &items[count]))
				count++;
			else
				bad++;
		}
		text = end == SIZE_MAX ? SLICE_NULL
				       : slice_sub(text, end + 1, text.len);
	}
	if (bad > 0)
		log_warn("members ignored path=%s bad_lines=%zu", members->path,
		    bad);
	if (count > 1)
		qsort(items, count, sizeof(*items), member_compare);
	free(members->items);
	members->items = items;
	members->count = count;
}

static uint64_t
file_mark(const char *path)
{
	struct stat st;
	uint64_t mark;

	if (stat(path, &st) < 0)
		return 0;
	mark = (uint64_t)st.st_ino * UINT64_C(0x9e3779b97f4a7c15);
	mark ^= (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000007);
	mark ^= (uint64_t)st.st_mtim.tv_nsec << 20;
	mark ^= (uint64_t)st.st_size << 3;
	return mark == 0 ? 1 : mark;
}

bool
carrier_members_refresh(
    struct carrier_members *members, int64_t now, int64_t max_age_ms)
{
	struct err err = {0};
	struct buf text;
	uint64_t mark;
	bool changed = false;

	if (now - members->checked_at < max_age_ms)
		return false;
	members->checked_at = now;
	mark = file_mark(members->path);
	if (mark == members->mark)
		return false;
	buf_init(&text, MEMBERS_BYTES_MAX);
	if (mark == 0 || fsio_read(members->path, &text, &err) == 0 ||
	    err.saved_errno == ENOENT) {
		members_parse(members, buf_slice(&text));
		changed = true;
	} else {
		log_err(&err, "members not read");
	}
	members->mark = mark;
	buf_fini(&text);
	return changed;
}

const char *
carrier_members_find(
    const struct carrier_members *members, const uint8_t key[CARRIER_CURVE_LEN])
{
	const struct carrier_member *found;
	struct carrier_member wanted;

	if (members->count == 0)
		return NULL;
	memcpy(wanted.key, key, CARRIER_CURVE_LEN);
	found = bsearch(&wanted, members->items, members->count,
	    sizeof(*members->items), member_compare);
	return found == NULL ? NULL : found->name;
}
