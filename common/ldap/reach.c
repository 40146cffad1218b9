#include "common/ldap/reach.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ldap/dialect_impl.h"

#define REACH_ARENA_MAX ((size_t)1 << 20)
/* The objects written last that are remembered. */
#define REACH_WITNESSES 8
/* So many of the newest numbers are looked at first, and then more. */
#define REACH_WINDOW 512
#define REACH_WIDER 16

/* --- the text of Active Directory: invocationId:number{ objectGUID=time} ---
 */

struct position {
	struct slice invocation; /* hexadecimal */
	uint64_t usn;
	struct slice witnesses;
};

static bool
position_parse(struct slice text, struct position *out)
{
	size_t colon = slice_find(text, ':');
	size_t end = slice_find(text, ' ');

	if (colon != 2 * ID_LEN || (end != SIZE_MAX && end < colon))
		return false;
	out->invocation = slice_sub(text, 0, colon);
	out->witnesses =
	    end == SIZE_MAX ? SLICE_NULL : slice_sub(text, end + 1, SIZE_MAX);
	if (end == SIZE_MAX)
		end = text.len;
	return slice_u64(
	    slice_sub(text, colon + 1, end - colon - 1), &out->usn);
}

/* whenChanged is a GeneralizedTime, which sorts as text. */
#define CHANGED_SIZE 32

struct witness {
	struct id id;
	char changed[CHANGED_SIZE];
	uint64_t usn;
	bool deleted;
};

static void
changed_set(struct witness *one, struct slice text)
{
	size_t len = text.len < CHANGED_SIZE ? text.len : 0;

	if (slice_find(text, ' ') != SIZE_MAX)
		len = 0;
	if (len > 0)
		memcpy(one->changed, text.data, len);
	one->changed[len] = '\0';
}

/* The next of a position's. */
static bool
witness_parse(struct slice *rest, struct witness *out)
{
	size_t end = slice_find(*rest, ' ');
	struct slice one = slice_sub(*rest, 0, end);

	*rest =
	    end == SIZE_MAX ? SLICE_NULL : slice_sub(*rest, end + 1, SIZE_MAX);
	changed_set(out, slice_sub(one, 2 * ID_LEN + 1, SIZE_MAX));
	out->usn = 0;
	out->deleted = false;
	return one.len > 2 * ID_LEN && one.data[2 * ID_LEN] == '=' &&
	       id_parse(slice_sub(one, 0, 2 * ID_LEN), &out->id, NULL) == 0;
}

/* --- what was written last --- */

struct newest {
	struct witness list[REACH_WITNESSES]; /* the newest first */
	size_t count;
	uint64_t usn;
	bool deleted; /* some were, so that the account sees deletions */
};

static void
newest_add(struct newest *newest, const struct witness *one)
{
	size_t at = newest->count;

	for (size_t i = 0; i < newest->count; i++)
		if (id_compare(&newest->list[i].id, &one->id) == 0)
			return;
	while (at > 0 && newest->list[at - 1].usn < one->usn)
		at--;
	if (at == REACH_WITNESSES)
		return;
	if (newest->count < REACH_WITNESSES)
		newest->count++;
	memmove(&newest->list[at + 1], &newest->list[at],
	    (newest->count - 1 - at) * sizeof(newest->list[0]));
	newest->list[at] = *one;
}

/* The next object with what is known of its last change. 1, 0, -1. */
static int
witness_step(struct search *search, const struct dialect *dialect,
    struct witness *out, struct err *err)
{
	struct search_entry entry;
	int rc;

	/* One that hides its id or number says nothing. */
	while ((rc = search_step(search, &entry, err)) == 1)
		if (dialect_entry_id(dialect, &entry, &out->id, NULL) == 0 &&
		    slice_u64(search_first(&entry, "uSNChanged"), &out->usn)) {
			changed_set(out, search_first(&entry, "whenChanged"));
			out->deleted =
			    search_first(&entry, "isDeleted").len > 0;
			return 1;
		}
	return rc;
}

static int
witness_search(const struct reach_server *server, const char *filter,
    struct search **out_search, struct err *err)
{
	static const char *const names[] = {
	    "objectGUID", "uSNChanged", "whenChanged", "isDeleted", NULL};
	struct search_options options = {.base = server->base,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = 1000,
	    .show_deleted = true};

	return search_open(server->session, &options, out_search, err);
}

/* Those above a number. */
static int
newest_find(const struct reach_server *server, uint64_t above,
    struct newest *newest, struct err *err)
{
	char *filter =
	    mem_printf("(uSNChanged>=%llu)", (unsigned long long)above + 1);
	struct search *search = NULL;
	struct witness one;
	int rc = witness_search(server, filter, &search, err);

	if (rc == 0)
		while ((rc = witness_step(
			    search, server->dialect, &one, err)) == 1) {
			newest_add(newest, &one);
			newest->deleted = newest->deleted || one.deleted;
		}
	search_close(search);
	free(filter);
	return rc;
}

/* now: where the server stands; before: where it stood when it was read last,
 * or nothing. Few were written since; of a server that is new to us more are
 * looked at, until there is one. */
static int
take_newest(const struct reach_server *server, const struct position *now,
    const struct position *before, struct newest *newest, struct err *err)
{
	struct slice witnesses = before->witnesses;
	uint64_t above, width = REACH_WINDOW;
	struct witness old;
	int rc;

	do {
		above = now->usn > width ? now->usn - width : 0;
		if (above < before->usn)
			above = before->usn;
		rc = newest_find(server, above, newest, err);
		width = width > UINT64_MAX / REACH_WIDER ? UINT64_MAX
							 : width * REACH_WIDER;
	} while (rc == 0 && newest->count == 0 && above > before->usn);
	newest->usn = newest->count > 0 ? newest->list[0].usn : before->usn;
	while (witness_parse(&witnesses, &old))
		newest_add(newest, &old);
	return rc;
}

static int
take_ad(const struct reach_server *server, const struct position *now,
    struct slice before, bool deleted, struct buf *out, struct err *err)
{
	struct newest newest = {.count = 0};
	struct position then;
	char hex[ID_HEX_SIZE];

	if (!position_parse(before, &then) ||
	    !slice_equal(then.invocation, now->invocation))
		then = (struct position){.usn = 0};
	if (take_newest(server, now, &then, &newest, err) < 0)
		return -1;
	/* A number above that of the deletion, though it may be of another
	 * context; and no witness proves it. */
	if (deleted && !newest.deleted) {
		newest.usn = now->usn;
		newest.count = 0;
	}
	buf_add(out, now->invocation);
	buf_addf(out, ":%llu", (unsigned long long)newest.usn);
	for (size_t i = 0; i < newest.count; i++)
		buf_addf(out, " %s=%s", id_format(&newest.list[i].id, hex),
		    newest.list[i].changed);
	return 0;
}

int
reach_take(const struct reach_server *server, struct slice before, bool deleted,
    struct buf *out, struct err *err)
{
	struct position now;
	struct buf mark;
	int rc;

	if (!dialect_is_ad(server->dialect))
		return dialect_mark(server->session, server->dialect, out, err);
	buf_init(&mark, REACH_MAX);
	rc = dialect_mark(server->session, server->dialect, &mark, err);
	if (rc == 0 && position_parse(buf_slice(&mark), &now))
		rc = take_ad(server, &now, before, deleted, out, err);
	buf_fini(&mark);
	return rc;
}

/* --- the up-to-dateness vector --- */

#define VECTOR_HEAD 16 /* version, reserved, number of cursors, reserved */
/* Between Windows' epoch of 1601 and ours. */
#define EPOCH_MS INT64_C(11644473600000)

static uint64_t
number_le(struct slice bytes)
{
	uint64_t n = 0;

	for (size_t i = bytes.len; i > 0; i--)
		n = n << 8 | bytes.data[i - 1];
	return n;
}

/* Seconds (DSTIME, MS-DRSR), as Windows has it; Samba has 100 ns there. */
static int64_t
time_of_cursor(uint64_t value)
{
	const uint64_t year_9999 = UINT64_C(265000000000);
	int64_t ms;

	if (value > year_9999)
		value /= 10000000;
	if (value > year_9999)
		return 0;
	ms = (int64_t)value * 1000 - EPOCH_MS;
	return ms > 0 ? ms : 0;
}

bool
reach_vector_find(struct slice vector, struct slice invocation,
    struct reach_cursor *out_cursor)
{
	size_t version, count, size;

	if (vector.len < VECTOR_HEAD || invocation.len != ID_LEN)
		return false;
	version = number_le(slice_sub(vector, 0, 4));
	count = number_le(slice_sub(vector, 8, 4));
	size = version == 1 ? ID_LEN + 8 : ID_LEN + 16;
	if ((version != 1 && version != 2) ||
	    count > (vector.len - VECTOR_HEAD) / size)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct slice one =
		    slice_sub(vector, VECTOR_HEAD + i * size, size);

		if (!slice_equal(slice_sub(one, 0, ID_LEN), invocation))
			continue;
		out_cursor->usn = number_le(slice_sub(one, ID_LEN, 8));
		out_cursor->heard_ms =
		    version == 1
			? 0
			: time_of_cursor(number_le(slice_sub(one, 24, 8)));
		return true;
	}
	return false;
}

/* Has this controller heard of the other one? 1, 0, -1. */
static int
cursor_find(const struct reach_server *server, const struct position *then,
    struct reach_cursor *out_cursor, struct err *err)
{
	static const char *const names[] = {"replUpToDateVector", NULL};
	struct arena *arena = arena_new(REACH_ARENA_MAX);
	struct search_entry head;
	uint8_t invocation[ID_LEN];
	int rc = id_unhex(then->invocation, invocation, ID_LEN, err);

	if (rc == 0)
		rc = search_read(
		    server->session, server->base, names, arena, &head, err);
	if (rc == 1)
		rc = reach_vector_find(search_first(&head, names[0]),
		    slice_make(invocation, ID_LEN), out_cursor);
	arena_free(arena);
	return rc;
}

/* How many of those written last are not there, or older. */
static int
witnesses_miss(const struct reach_server *server, struct slice witnesses,
    size_t *out_count, size_t *out_missing, struct err *err)
{
	struct witness known[REACH_WITNESSES], one;
	struct search *search = NULL;
	struct buf filter;
	size_t count = 0, found = 0;
	int rc;

	buf_init(&filter, REACH_MAX);
	buf_add_str(&filter, "(|");
	while (count < REACH_WITNESSES &&
	       witness_parse(&witnesses, &known[count])) {
		dialect_id_filter(server->dialect, &known[count].id, &filter);
		count++;
	}
	buf_add_byte(&filter, ')');
	rc = count == 0
		 ? 0
		 : witness_search(server, buf_cstr(&filter), &search, err);
	while (rc == 0 && search != NULL &&
	       (rc = witness_step(search, server->dialect, &one, err)) == 1) {
		rc = 0;
		for (size_t i = 0; i < count; i++)
			found += id_compare(&known[i].id, &one.id) == 0 &&
				 strcmp(one.changed, known[i].changed) >= 0;
	}
	search_close(search);
	buf_fini(&filter);
	*out_count = count;
	*out_missing = count - found;
	return rc;
}

static int
lacks_ad(const struct reach_server *server, const struct position *now,
    const struct position *then, struct buf *why, struct err *err)
{
	struct reach_cursor cursor;
	char heard[CLOCK_TEXT_SIZE];
	size_t count = 0, missing = 0;
	int rc;

	if (slice_equal(now->invocation, then->invocation)) {
		if (now->usn >= then->usn)
			return 0;
		buf_addf(why,
		    "its update sequence number went back from %llu to %llu",
		    (unsigned long long)then->usn,
		    (unsigned long long)now->usn);
		return 1;
	}
	rc = cursor_find(server, then, &cursor, err);
	if (rc == 1) {
		if (cursor.usn >= then->usn)
			return 0;
		buf_addf(why, "up to %llu changes have not arrived",
		    (unsigned long long)(then->usn - cursor.usn));
		if (cursor.heard_ms > 0)
			buf_addf(why, ", the last came at %s",
			    clock_format(cursor.heard_ms, heard));
		return 1;
	}
	if (rc == 0)
		rc = witnesses_miss(
		    server, then->witnesses, &count, &missing, err);
	if (rc < 0 || (count > 0 && missing == 0))
		return rc;
	if (count > 0)
		buf_addf(why, "of the last %zu changes %zu have not arrived",
		    count, missing);
	else
		buf_addf(why,
		    "the account cannot see how much arrived "
		    "(replUpToDateVector of %s)",
		    server->base);
	return 1;
}

int
reach_lacks(const struct reach_server *server, struct slice mark,
    struct slice reach, struct buf *out_why, struct err *err)
{
	struct position now, then;

	if (dialect_is_ad(server->dialect))
		return position_parse(mark, &now) &&
			       position_parse(reach, &then)
			   ? lacks_ad(server, &now, &then, out_why, err)
			   : 0;
	if (!dialect_mark_is_behind(server->dialect, mark, reach))
		return 0;
	buf_add_str(out_why, "not all that was written there has arrived");
	return 1;
}
