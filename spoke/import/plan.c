/*
 *   entries ──► doomed?  (no stream of its member carries the object)
 *   objects ──► view ──► claims ──► names ──► compare ──► add/rename/modify
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "spoke/import/plan_internal.h"

int
plan_carrier(struct plan *plan, const char *member, const struct id *object,
    ptrdiff_t *out_index, bool *out_unknown, struct err *err)
{
	bool held = false;
	bool any = false;
	size_t i;

	*out_index = -1;
	*out_unknown = false;
	for (i = 0; i < plan->in->stream_count; i++) {
		const struct plan_stream *stream = &plan->in->streams[i];
		int found;

		if (strcmp(stream->member, member) != 0)
			continue;
		any = true;
		held = held || stream->held;
		if (stream->held || !stream->selected)
			continue;
		buf_reset(&plan->body);
		found = replica_get(stream->replica, object, &plan->body, err);
		if (found < 0)
			return -1;
		if (found > 0) {
			*out_index = (ptrdiff_t)i;
			return 0;
		}
	}
	*out_unknown = held || !any;
	return 0;
}

/* The stream that a vanished object is counted under: the linked one, else the
 * first of its member. SIZE_MAX when there is none: the member has no stream,
 * or the link names one that this state has lost. */
static int
plan_blame(struct plan *plan, const struct importdb_entry *entry,
    struct importdb_link *out_link, bool *out_linked, size_t *out_index,
    struct err *err)
{
	size_t i;
	int rc = importdb_link_find(
	    plan->in->db, entry->member, &entry->object, out_link, err);

	if (rc < 0)
		return -1;
	*out_linked = rc == 1;
	*out_index = SIZE_MAX;
	for (i = 0; *out_index == SIZE_MAX && i < plan->in->stream_count; i++) {
		const struct plan_stream *stream = &plan->in->streams[i];

		if (strcmp(stream->member, entry->member) == 0 &&
		    (!*out_linked ||
			strcmp(out_link->stream, stream->stream) == 0))
			*out_index = i;
	}
	return 0;
}

int
plan_delete(struct plan *plan, const struct importdb_entry *entry,
    size_t stream_index, const char *reason, struct err *err)
{
	struct plan_stream *stream = &plan->in->streams[stream_index];
	struct importdb_change change = {
	    .op = IMPORTDB_DELETE,
	    .member = stream->member,
	    .stream = stream->stream,
	    .object = entry->object,
	    .dn = entry->dn,
	    .reason = reason,
	};

	stream->deletions++;
	plan->deletions++;
	if (importdb_plan_put(plan->in->db, &change, err) != 0 ||
	    importdb_entry_change(plan->in->db, &entry->entry,
		importdb_plan_last(plan->in->db), err) != 0)
		return -1;
	return importdb_entry_doom(
	    plan->in->db, &entry->entry, stream_index, err);
}

/* The oldest of what we hold of a member: versions follow its clock. */
static uint64_t
plan_oldest_version(const struct plan *plan, const char *member)
{
	uint64_t oldest = UINT64_MAX;
	size_t i;

	for (i = 0; i < plan->in->stream_count; i++) {
		const struct plan_stream *stream = &plan->in->streams[i];
		struct replica_state state;

		if (stream->replica == NULL ||
		    strcmp(stream->member, member) != 0)
			continue;
		replica_state(stream->replica, &state);
		if (state.version < oldest)
			oldest = state.version;
	}
	return oldest == UINT64_MAX ? 0 : oldest;
}

/* Nothing of its member carries the contact's object. That it once did must be
 * known before it may go: a state restored from a backup has never seen what
 * was created since, and absence there proves nothing. Such a contact waits
 * until its stream has brought something newer, which would have carried it. */
static int
plan_vanished(
    struct plan *plan, const struct importdb_entry *entry, struct err *err)
{
	struct importdb_link link = {.doubt = 0};
	uint64_t version = plan_oldest_version(plan, entry->member);
	struct plan_stream *stream;
	size_t index;
	bool linked;

	if (plan_blame(plan, entry, &link, &linked, &index, err) != 0)
		return -1;
	if (index == SIZE_MAX)
		return 0;
	stream = &plan->in->streams[index];
	stream->contacts++;
	/* What we hold is newer than the contact, or nobody knows. */
	if (!linked && (entry->created_ms == 0 || entry->created_ms > version))
		return importdb_link_put(plan->in->db, entry->member,
		    &entry->object, stream->stream, version, err);
	if (link.doubt != 0 && version <= link.doubt)
		return 0;
	return plan_delete(plan, entry, index, "no longer published", err);
}

/* A second entry with one provenance (somebody copied a contact): only the
 * oldest is managed, which groups and mail know. */
static int
plan_is_copy(
    struct plan *plan, const struct importdb_entry *entry, struct err *err)
{
	struct importdb_entry first;
	int rc = importdb_entry_find(
	    plan->in->db, entry->member, &entry->object, &first, err);

	if (rc <= 0)
		return rc;
	return id_compare(&first.entry, &entry->entry) != 0;
}

static int
plan_judge_entry(
    struct plan *plan, const struct importdb_entry *entry, struct err *err)
{
	ptrdiff_t carrier;
	bool unknown;
	size_t index;
	int copy;

	if (plan_carrier(plan, entry->member, &entry->object, &carrier,
		&unknown, err) != 0)
		return -1;
	/* Absence of a member or a held stream proves nothing. */
	if (unknown)
		return 0;
	if (carrier < 0)
		return plan_vanished(plan, entry, err);
	index = (size_t)carrier;
	plan->in->streams[index].contacts++;
	copy = plan_is_copy(plan, entry, err);
	return copy > 0 ? plan_delete(plan, entry, index, "a copy", err) : copy;
}

static int
plan_judge_entries(struct plan *plan, struct err *err)
{
	struct importdb_entry entry;
	struct id last;
	char member[LIMIT_NAME_CHARS + 1];
	char *dn = NULL;
	bool first = true;
	int rc;

	for (;;) {
		rc = importdb_entry_next(
		    plan->in->db, first ? NULL : &last, &entry, err);
		if (rc <= 0)
			return rc;
		first = false;
		last = entry.entry;
		arena_reset(plan->arena);
		(void)snprintf(member, sizeof(member), "%s", entry.member);
		dn = arena_strdup(plan->arena, entry.dn);
		entry.member = member;
		entry.dn = dn;
		if (plan_judge_entry(plan, &entry, err) != 0)
			return -1;
	}
}

/* --- objects --- */

/* Did the contact come by a stream that is held now? It stays as that left it.
 */
static int
plan_held_owner(struct plan *plan, const struct plan_stream *stream,
    const struct id *id, bool *out_held, struct err *err)
{
	struct importdb_link link;
	size_t i;
	int rc =
	    importdb_link_find(plan->in->db, stream->member, id, &link, err);

	for (i = 0; rc == 1 && i < plan->in->stream_count; i++) {
		const struct plan_stream *s = &plan->in->streams[i];

		if (s->held && strcmp(s->member, stream->member) == 0 &&
		    strcmp(s->stream, link.stream) == 0)
			*out_held = true;
	}
	return rc < 0 ? -1 : 0;
}

/* Does an earlier stream of the same member carry it? Then that one counts. */
static int
plan_elsewhere(struct plan *plan, const struct plan_stream *stream,
    const struct id *id, bool *out_elsewhere, struct err *err)
{
	const struct plan_stream *s;
	bool held = false;

	*out_elsewhere = false;
	for (s = plan->in->streams; s < stream; s++) {
		int found;

		if (strcmp(s->member, stream->member) != 0)
			continue;
		held = held || s->held;
		if (s->held || !s->selected)
			continue;
		buf_reset(&plan->body);
		found = replica_get(s->replica, id, &plan->body, err);
		if (found < 0)
			return -1;
		if (found > 0) {
			*out_elsewhere = true;
			return 0;
		}
	}
	return held ? plan_held_owner(plan, stream, id, out_elsewhere, err) : 0;
}

static int
plan_stream_objects(
    struct plan *plan, struct plan_stream *stream, struct err *err)
{
	struct replica_cursor *cursor = NULL;
	struct section_object record;
	bool elsewhere;
	int rc;

	if (replica_cursor_open(stream->replica, 0, &cursor, err) != 0)
		return -1;
	while ((rc = replica_cursor_next(cursor, &record, err)) > 0) {
		arena_reset(plan->arena);
		rc = plan_elsewhere(plan, stream, &record.id, &elsewhere, err);
		if (rc == 0 && !elsewhere)
			rc = plan_object(plan, stream, &record, err);
		if (rc != 0) {
			err_prepend(err, "stream %s/%s", stream->member,
			    stream->stream);
			break;
		}
	}
	replica_cursor_close(cursor);
	return rc;
}

static int
plan_clear(struct plan_input *input, struct err *err)
{
	static const char *const kinds[] = {
	    "exists", "detached", "foreign", "unusable"};
	size_t i;
	int rc = importdb_plan_clear(input->db, err);

	for (i = 0; rc == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		rc = importdb_trouble_clear(input->db, kinds[i], err);
	return rc;
}

int
plan_make(
    struct plan_input *input, struct import_result *out_result, struct err *err)
{
	struct plan plan = {.in = input, .result = out_result};
	struct buf into;
	size_t i;
	int rc;

	plan.arena = arena_new(PLAN_ARENA_BYTES);
	plan.other = arena_new(PLAN_ARENA_BYTES);
	buf_init(&plan.body, LIMIT_OBJECT_BYTES);
	buf_init(&into, 8192);
	rc = dn_normalize(input->policy->into, &into, err);
	if (rc != 0)
		goto out;
	plan.into = mem_strdup(buf_cstr(&into));
	rc = plan_clear(input, err);
	if (rc == 0)
		rc = plan_judge_entries(&plan, err);
	for (i = 0; rc == 0 && i < input->stream_count; i++)
		if (!input->streams[i].held && input->streams[i].selected)
			rc =
			    plan_stream_objects(&plan, &input->streams[i], err);
	if (rc == 0)
		rc = importdb_blocked_count(input->db, &input->blocked, err);
out:
	free(plan.into);
	buf_fini(&into);
	buf_fini(&plan.body);
	arena_free(plan.other);
	arena_free(plan.arena);
	return rc;
}
