/* Which members receive an address, and from which streams: FEATURES S11. */
#include "hub/report.h"

#include "common/base/mem.h"
#include "common/replica/replica.h"
#include "common/wire/object.h"
#include "hub/publish.h"

#define WHO_ARENA_MAX (16 * 1024 * 1024)

struct who {
	struct hub *hub;
	struct slice mail;
	struct arena *arena;
	struct buf *out;
	bool json;
	size_t count;
};

static int
cursor_finds(
    struct who *w, struct replica_cursor *cursor, bool *out, struct err *err)
{
	struct section_object row;
	int rc;

	while ((rc = replica_cursor_next(cursor, &row, err)) > 0) {
		struct object object;

		arena_reset(w->arena);
		if (object_decode(row.body, w->arena, &object, err) < 0)
			return -1;
		if (object_has_mail(&object, w->mail)) {
			*out = true;
			return 0;
		}
	}
	return rc;
}

static int
stream_has(struct who *w, const struct store_stream *row, bool *out_has,
    struct err *err)
{
	struct replica *replica = NULL;
	struct replica_cursor *cursor = NULL;
	char *path =
	    hub_stream_path(w->hub->conf, row->member, row->stream, err);
	int rc = -1;

	*out_has = false;
	if (path == NULL || replica_open(path, &replica, err) < 0)
		goto out;
	if (replica_cursor_open(replica, 0, &cursor, err) == 0)
		rc = cursor_finds(w, cursor, out_has, err);
	replica_cursor_close(cursor);
out:
	replica_close(replica);
	free(path);
	return rc;
}

static void
member_add(struct who *w, const char *name, bool first)
{
	if (!first)
		buf_add_str(w->out, w->json ? "," : ", ");
	if (w->json)
		buf_add_json(w->out, slice_str(name));
	else
		buf_add_str(w->out, name);
}

static void
members_tell(struct who *w, const struct store_stream *row)
{
	const struct registry *registry = w->hub->registry;
	bool first = true;

	for (size_t i = 0; i < registry->member_count; i++) {
		const struct registry_member *m = &registry->members[i];

		if (m->revoked || strcasecmp(m->name, row->member) == 0 ||
		    !publish_audience_has(row, m->name))
			continue;
		member_add(w, m->name, first);
		first = false;
	}
	if (w->json)
		buf_add_str(w->out, "]}");
	else
		buf_add_str(w->out, first ? "nobody\n" : "\n");
}

static void
stream_tell(struct who *w, const struct store_stream *row)
{
	if (w->json) {
		buf_addf(w->out, "%s{\"member\":", w->count > 0 ? "," : "");
		buf_add_json(w->out, slice_str(row->member));
		buf_add_str(w->out, ",\"stream\":");
		buf_add_json(w->out, slice_str(row->stream));
		buf_addf(w->out, ",\"everybody\":%s,\"ended\":%s,\"members\":[",
		    row->audience[0] == '\0' ? "true" : "false",
		    row->ended ? "true" : "false");
	} else {
		buf_addf(w->out, "%s/%s%s (%s): ", row->member, row->stream,
		    row->ended ? ", ended" : "",
		    row->audience[0] == '\0' ? "all members"
					     : "named members only");
	}
	members_tell(w, row);
	w->count++;
}

int
report_who_sees(struct hub *hub, const char *mail, bool json, struct buf *out,
    struct err *err)
{
	struct who w = {.hub = hub,
	    .mail = slice_trim(slice_str(mail)),
	    .out = out,
	    .json = json};
	struct store_stream *rows;
	size_t count;
	int rc = 0;

	if (store_streams(hub->store, NULL, &rows, &count, err) < 0)
		return -1;
	w.arena = arena_new(WHO_ARENA_MAX);
	buf_add_str(out, json ? "[" : "");
	for (size_t i = 0; rc == 0 && i < count; i++) {
		bool has = false;

		if (rows[i].version > 0)
			rc = stream_has(&w, &rows[i], &has, err);
		if (has)
			stream_tell(&w, &rows[i]);
	}
	buf_add_str(out, json ? "]\n" : "");
	arena_free(w.arena);
	store_streams_free(rows, count);
	if (rc < 0)
		return -1;
	if (w.count == 0 && !json)
		buf_addf(out, "%s is in no stream: nobody receives it\n", mail);
	return buf_check(out, "report", err);
}
