#include "hub/foreign.h"

#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "common/wire/object.h"

/* Ids kept while one section is judged. A member far beyond the limit is held
 * anyway, so more are only counted. */
#define FOREIGN_CHANGED_MAX 65536

static bool
address_of(struct slice value, struct slice *out_mail)
{
	struct slice prefix = SLICE_LIT("smtp:");

	*out_mail = value;
	if (slice_starts_case(value, prefix))
		*out_mail = slice_sub(value, prefix.len, value.len);
	return slice_find(*out_mail, '@') != SIZE_MAX;
}

/* The same choice that targets make: primary proxy address, mail, target. */
static struct slice
primary_address(const struct object *object)
{
	const struct object_attribute *proxies =
	    object_find(object, "proxyAddresses");
	struct slice mail;

	for (size_t i = 0; proxies != NULL && i < proxies->value_count; i++)
		if (proxies->values[i].len > 5 &&
		    memcmp(proxies->values[i].data, "SMTP:", 5) == 0 &&
		    address_of(proxies->values[i], &mail))
			return mail;
	if (address_of(object_first(object, "mail"), &mail) ||
	    address_of(object_first(object, "targetAddress"), &mail))
		return mail;
	return SLICE_NULL;
}

bool
foreign_object(const struct registry_member *member, struct slice body,
    struct arena *scratch)
{
	struct object object;
	struct slice mail;

	arena_reset(scratch);
	if (object_decode(body, scratch, &object, NULL) < 0)
		return false;
	mail = primary_address(&object);
	return mail.len > 0 && !registry_domain_allotted(member, mail);
}

void
foreign_scan_init(struct foreign_scan *scan, struct hub *hub,
    const struct registry_member *member, const struct store_stream *row)
{
	memset(scan, 0, sizeof(*scan));
	scan->hub = hub;
	scan->member = member;
	scan->stream = row->id;
	scan->count = row->foreign;
	scan->arena = arena_new(LIMIT_OBJECT_UNPACK_BYTES);
}

void
foreign_scan_fini(struct foreign_scan *scan)
{
	arena_free(scan->arena);
	free(scan->changed);
	free(scan->becomes);
	scan->arena = NULL;
	scan->changed = NULL;
	scan->becomes = NULL;
}

static void
scan_note(struct foreign_scan *scan, const struct id *id, bool becomes)
{
	if (scan->changed_count == FOREIGN_CHANGED_MAX)
		return;
	if (scan->changed_count == scan->changed_size) {
		scan->changed_size =
		    scan->changed_size == 0 ? 64 : scan->changed_size * 2;
		scan->changed = mem_realloc(
		    scan->changed, scan->changed_size * sizeof(*scan->changed));
		scan->becomes = mem_realloc(
		    scan->becomes, scan->changed_size * sizeof(*scan->becomes));
	}
	scan->changed[scan->changed_count] = *id;
	scan->becomes[scan->changed_count++] = becomes;
}

static bool
scan_over(const struct foreign_scan *scan)
{
	const struct hub_conf *conf = scan->hub->conf;

	return scan->limited && scan->count > conf->foreign_limit &&
	       scan->count * 100 > scan->live * conf->foreign_percent;
}

int
foreign_check(void *arg, const struct section_object *object, struct err *err)
{
	struct foreign_scan *scan = arg;
	bool now = !object->deleted &&
		   foreign_object(scan->member, object->body, scan->arena);
	bool was = false;

	/* A full replaces: the count began at zero. Otherwise only members that
	 * ever had such objects pay for the question. */
	if (!scan->full && scan->count > 0 &&
	    store_foreign_has(
		scan->hub->store, scan->stream, &object->id, &was, err) < 0)
		return -1;
	if (now && !was)
		scan->count++;
	else if (was && !now)
		scan->count--;
	if (now != was)
		scan_note(scan, &object->id, now);
	if (++scan->seen == scan->records && scan_over(scan)) {
		scan->over = true;
		return err_set(err, ERR_LIMIT,
		    "held: %llu of %llu objects have addresses outside the "
		    "domains of %s (limit %llu and %u %%)",
		    (unsigned long long)scan->count,
		    (unsigned long long)scan->live, scan->member->name,
		    (unsigned long long)scan->hub->conf->foreign_limit,
		    scan->hub->conf->foreign_percent);
	}
	return 0;
}

int
foreign_scan_store(struct foreign_scan *scan, struct err *err)
{
	if (scan->full &&
	    store_foreign_clear(scan->hub->store, scan->stream, err) < 0)
		return -1;
	for (size_t i = 0; i < scan->changed_count; i++)
		if (store_foreign_set(scan->hub->store, scan->stream,
			&scan->changed[i], scan->becomes[i], err) < 0)
			return -1;
	return 0;
}

bool
foreign_scan_overrun(const struct foreign_scan *scan)
{
	return scan->changed_count == FOREIGN_CHANGED_MAX;
}

int
foreign_recount(struct hub *hub, const struct registry_member *member,
    struct replica *replica, struct store_stream *row, struct err *err)
{
	struct arena *arena = arena_new(LIMIT_OBJECT_UNPACK_BYTES);
	struct replica_cursor *cursor = NULL;
	struct section_object object;
	int rc = -1;

	row->foreign = 0;
	if (store_foreign_clear(hub->store, row->id, err) < 0 ||
	    replica_cursor_open(replica, 0, &cursor, err) < 0)
		goto out;
	while ((rc = replica_cursor_next(cursor, &object, err)) > 0) {
		if (object.deleted ||
		    !foreign_object(member, object.body, arena))
			continue;
		row->foreign++;
		if (store_foreign_set(
			hub->store, row->id, &object.id, true, err) < 0) {
			rc = -1;
			break;
		}
	}
	if (rc == 0)
		row->recount = false;
out:
	if (cursor != NULL)
		replica_cursor_close(cursor);
	arena_free(arena);
	return rc;
}
