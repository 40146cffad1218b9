/*
 *   entries ──► doomed?  (no stream of its member carries the object)
 *   objects ──► view ──► claims ──► names ──► compare ──► add/rename/modify
 */
#include <stdio.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "spoke/names.h"
#include "spoke/plan.h"
#include "spoke/plan_compare.h"
#include "spoke/views.h"

/* Arena of one object: its body, the view and the attributes made from it. */
#define PLAN_ARENA_BYTES (16 * LIMIT_OBJECT_BYTES)

struct plan {
	struct plan_input *in;
	struct import_result *result;
	struct arena *arena; /* reset per object */
	struct buf body;
	char *into; /* normalised DN of the import OU */
};

/* Which stream of the member carries the object? The first that does, in the
 * order of the input. Gives its index, or -1 in *out_index; *out_unknown when a
 * held stream keeps us from knowing. */
static int
plan_carrier(struct plan *plan, const char *member, const struct id *object,
    ptrdiff_t *out_index, bool *out_unknown, struct err *err)
{
	size_t i;

	*out_index = -1;
	*out_unknown = true;
	for (i = 0; i < plan->in->stream_count; i++) {
		const struct plan_stream *stream = &plan->in->streams[i];
		int found;

		if (strcmp(stream->member, member) != 0)
			continue;
		if (stream->held) {
			*out_unknown = true;
			return 0;
		}
		*out_unknown = false;
		if (!stream->selected)
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
	return 0;
}

/* The stream that a vanished object is counted under: the linked one, else the
 * first of its member; SIZE_MAX when it has none. out_link->doubt stays 0 and
 * *out_linked false when this state never saw the object. */
static int
plan_blame(struct plan *plan, const struct importdb_entry *entry,
    struct importdb_link *out_link, bool *out_linked, size_t *out_index,
    struct err *err)
{
	size_t first = SIZE_MAX;
	size_t i;
	int rc = importdb_link_find(
	    plan->in->db, entry->member, &entry->object, out_link, err);

	if (rc < 0)
		return -1;
	*out_linked = rc == 1;
	*out_index = SIZE_MAX;
	for (i = 0; i < plan->in->stream_count; i++) {
		const struct plan_stream *stream = &plan->in->streams[i];

		if (strcmp(stream->member, entry->member) != 0)
			continue;
		if (first == SIZE_MAX)
			first = i;
		if (*out_linked &&
		    strcmp(out_link->stream, stream->stream) == 0)
			*out_index = i;
	}
	if (*out_index == SIZE_MAX)
		*out_index = first;
	return 0;
}

static int
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
	if (importdb_plan_put(plan->in->db, &change, err) != 0)
		return -1;
	return importdb_entry_doom(plan->in->db, &entry->entry, err);
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
	struct replica_state state = {0};
	const struct plan_stream *stream;
	size_t index;
	bool linked;

	if (plan_blame(plan, entry, &link, &linked, &index, err) != 0)
		return -1;
	if (index == SIZE_MAX)
		return 0;
	stream = &plan->in->streams[index];
	plan->in->streams[index].contacts++;
	if (stream->replica != NULL)
		replica_state(stream->replica, &state);
	if (!linked)
		return importdb_link_put(plan->in->db, entry->member,
		    &entry->object, stream->stream, state.version, err);
	if (link.doubt != 0 && state.version <= link.doubt)
		return 0;
	return plan_delete(plan, entry, index, "no longer published", err);
}

/* A second entry with one provenance (somebody copied a contact): only the
 * first is managed. */
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
	if (copy > 0)
		return plan_delete(plan, entry, index, "a copy", err);
	if (copy < 0)
		return -1;
	return importdb_link_put(plan->in->db, entry->member, &entry->object,
	    plan->in->streams[index].stream, 0, err);
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
		snprintf(member, sizeof(member), "%s", entry.member);
		dn = arena_strdup(plan->arena, entry.dn);
		entry.member = member;
		entry.dn = dn;
		if (plan_judge_entry(plan, &entry, err) != 0)
			return -1;
	}
}

/* --- objects --- */

struct plan_object {
	struct plan_stream *stream;
	struct id id;
	struct views_contact view;
	bool present; /* a contact of ours is inside */
	struct importdb_entry entry;
};

static int
plan_note(struct plan *plan, const struct plan_object *object, const char *kind,
    const char *reason, struct err *err)
{
	struct importdb_trouble trouble = {
	    .kind = kind,
	    .member = object->stream->member,
	    .object = object->id,
	    .reason = reason,
	};

	return importdb_trouble_put(plan->in->db, &trouble, err);
}

/* The address is somebody else's here. 1: free, 0: taken, -1. Doomed contacts
 * of ours give theirs up before anything is added. */
static int
plan_address_free(struct plan *plan, const struct plan_object *object,
    struct slice address, struct importdb_claim *out_claim, struct err *err)
{
	int rc = importdb_claim_find(plan->in->db, address,
	    object->stream->member, &object->id, out_claim, err);

	if (rc < 0)
		return -1;
	return rc == 0 || (out_claim->ours && out_claim->doomed);
}

/* 1: import it, 0: the primary address is taken (handled), -1. */
static int
plan_check_primary(
    struct plan *plan, struct plan_object *object, struct err *err)
{
	struct importdb_claim claim;
	char reason[512];
	size_t index = (size_t)(object->stream - plan->in->streams);
	int rc =
	    plan_address_free(plan, object, object->view.smtp[0], &claim, err);

	if (rc != 0)
		return rc;
	plan->result->exists++;
	snprintf(
	    reason, sizeof(reason), "its address is in use by %s", claim.dn);
	if (plan_note(plan, object, "exists", reason, err) != 0)
		return -1;
	/* Somebody of this forest took the address: the contact yields. */
	if (object->present && !claim.ours)
		return plan_delete(plan, &object->entry, index, reason, err) ==
			       0
			   ? 0
			   : -1;
	return 0;
}

/* Folded addresses that nobody else has become claims of this object. */
static int
plan_claim_addresses(
    struct plan *plan, struct plan_object *object, struct err *err)
{
	struct views_contact *view = &object->view;
	struct importdb_claim claim = {
	    .ours = true,
	    .inside = true,
	    .member = object->stream->member,
	    .object = object->id,
	    .dn = "",
	};
	struct importdb_claim other;
	size_t kept = 0;
	size_t i;
	int rc;

	for (i = 0; i < view->smtp_count; i++) {
		rc = i == 0 ? 1
			    : plan_address_free(
				  plan, object, view->smtp[i], &other, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		view->smtp[kept++] = view->smtp[i];
		if (object->present)
			claim.entry = object->entry.entry;
		if (importdb_claim_put(
			plan->in->db, view->smtp[i], &claim, err) != 0)
			return -1;
	}
	view->smtp_count = kept;
	return 0;
}

/* The first free serial of a base; the present name stays if it is one. */
static int
plan_unique(struct plan *plan, enum importdb_name_kind kind, const char *scope,
    struct slice base, struct slice present, const struct id *entry,
    struct slice *out_name, struct err *err)
{
	unsigned serial;

	if (present.len > 0 &&
	    (kind == IMPORTDB_CN
		    ? names_is_cn_of(present, base, plan->arena)
		    : names_is_nickname_of(present, base, plan->arena))) {
		*out_name = present;
		return importdb_name_put(
		    plan->in->db, kind, scope, present, entry, err);
	}
	for (serial = 1; serial <= NAMES_SERIAL_MAX; serial++) {
		struct slice name =
		    kind == IMPORTDB_CN
			? names_cn_serial(base, serial, plan->arena)
			: names_nickname_serial(base, serial, plan->arena);
		int taken = importdb_name_taken(
		    plan->in->db, kind, scope, name, entry, err);

		if (taken < 0)
			return -1;
		if (taken == 0) {
			*out_name = name;
			return importdb_name_put(
			    plan->in->db, kind, scope, name, entry, err);
		}
	}
	return err_set(err, ERR_LIMIT,
	    "more than %u entries share one name; give some another",
	    (unsigned)NAMES_SERIAL_MAX);
}

/* cn, mailNickname, proxyAddresses and provenance, the last parts. */
static int
plan_compose(struct plan *plan, struct plan_object *object, struct slice cn,
    struct slice nickname, struct err *err)
{
	struct views_contact *view = &object->view;
	struct slice *proxies = arena_calloc(plan->arena,
	    view->smtp_count + view->other_count + 1, sizeof(*proxies));
	struct slice provenance = views_provenance(
	    &plan->in->realm, object->stream->member, &object->id, plan->arena);
	struct buf text;
	size_t n = 0;
	size_t i;
	bool fine = proxies != NULL && provenance.len > 0;

	buf_init(&text, LIMIT_OBJECT_BYTES);
	for (i = 0; fine && i < view->smtp_count; i++) {
		buf_reset(&text);
		buf_add_str(&text, i == 0 ? "SMTP:" : "smtp:");
		buf_add(&text, i == 0 ? view->primary : view->smtp[i]);
		proxies[n++] = arena_dup(plan->arena, buf_slice(&text));
	}
	buf_fini(&text);
	for (i = 0; fine && i < view->other_count; i++)
		proxies[n++] = view->other[i];
	fine = fine && views_add(view, "cn", &cn, 1, plan->arena) &&
	       views_add(view, "proxyAddresses", proxies, n, plan->arena) &&
	       views_add(view, "provenance", &provenance, 1, plan->arena);
	if (fine && nickname.len > 0)
		fine =
		    views_add(view, "mailNickname", &nickname, 1, plan->arena);
	return fine
		   ? 0
		   : err_set(err, ERR_LIMIT, "the contact has too many values");
}

static char *
plan_dn(const char *rdn_attribute, struct slice cn, const char *parent,
    struct arena *arena)
{
	struct buf dn;
	char *text;

	buf_init(&dn, 8192);
	dn_add_rdn(&dn, rdn_attribute, cn);
	if (parent != NULL)
		dn_add_parent(&dn, parent);
	text = buf_failed(&dn) ? NULL : arena_strdup(arena, buf_cstr(&dn));
	buf_fini(&dn);
	return text;
}

/* Present names of a managed entry, and the scope its cn is unique in. */
static int
plan_present_names(struct plan *plan, const struct plan_object *object,
    struct object *out_stored, struct slice *out_cn, const char **out_scope,
    struct err *err)
{
	struct buf text;
	int rc = 0;

	*out_cn = SLICE_NULL;
	*out_scope = plan->into;
	memset(out_stored, 0, sizeof(*out_stored));
	if (!object->present)
		return 0;
	buf_init(&text, 65536);
	rc = dn_rdn_value(object->entry.dn, &text, err);
	if (rc == 0)
		*out_cn = arena_dup(plan->arena, buf_slice(&text));
	buf_reset(&text);
	if (rc == 0)
		rc = dn_normalize(dn_parent(object->entry.dn), &text, err);
	if (rc == 0)
		*out_scope = arena_strdup(plan->arena, buf_cstr(&text));
	buf_fini(&text);
	if (rc == 0)
		rc = object_decode(
		    object->entry.body, plan->arena, out_stored, err);
	return rc;
}

static int
plan_write(struct plan *plan, struct plan_object *object,
    const struct object *stored, struct slice cn, struct slice present_cn,
    struct err *err)
{
	const char *rdn_attribute = plan->in->schema->rdn_attribute;
	struct object wanted = {
	    .kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = object->view.attributes,
	    .attribute_count = object->view.attribute_count,
	};
	struct plan_compare_options options = {
	    .db = plan->in->db,
	    .schema = plan->in->schema,
	    .arena = plan->arena,
	    .change =
		{
		    .member = object->stream->member,
		    .stream = object->stream->stream,
		    .object = object->id,
		},
	};
	const char *parent = plan->in->policy->into;
	bool rename = object->present && !slice_equal(cn, present_cn);

	if (object->present)
		parent = dn_parent(object->entry.dn);
	options.change.dn = plan_dn(rdn_attribute, cn, parent, plan->arena);
	if (options.change.dn == NULL)
		return err_set(err, ERR_LIMIT, "DN below %s is too long",
		    plan->in->policy->into);
	if (!object->present) {
		/* Known before it is written: should we die in between, the
		 * contact that is then there has a past. */
		if (importdb_link_put(plan->in->db, object->stream->member,
			&object->id, object->stream->stream, 0, err) != 0)
			return -1;
		return plan_compare_add(&options, &wanted, err);
	}
	if (!rename)
		options.change.dn = object->entry.dn;
	options.old_dn = rename ? object->entry.dn : NULL;
	options.new_rdn =
	    rename ? plan_dn(rdn_attribute, cn, NULL, plan->arena) : NULL;
	return plan_compare_modify(
	    &options, stored, &wanted, plan->result, err);
}

static int
plan_names_and_write(
    struct plan *plan, struct plan_object *object, struct err *err)
{
	struct object stored;
	struct slice present_cn;
	struct slice cn;
	struct slice nickname = SLICE_NULL;
	const char *scope;
	const struct id *entry = object->present ? &object->entry.entry : NULL;

	if (plan_present_names(
		plan, object, &stored, &present_cn, &scope, err) != 0)
		return -1;
	if (plan_unique(plan, IMPORTDB_CN, scope, object->view.cn_base,
		present_cn, entry, &cn, err) != 0)
		return -1;
	if (plan->in->schema->nicknames &&
	    plan_unique(plan, IMPORTDB_NICKNAME, "", object->view.nickname_base,
		object_first(&stored, "mailNickname"), entry, &nickname,
		err) != 0)
		return -1;
	if (plan_compose(plan, object, cn, nickname, err) != 0)
		return -1;
	return plan_write(plan, object, &stored, cn, present_cn, err);
}

/* Copies what the database lent, which the next call would take back. */
static int
plan_find_entry(struct plan *plan, struct plan_object *object,
    bool *out_detached, struct err *err)
{
	int rc = importdb_entry_find(plan->in->db, object->stream->member,
	    &object->id, &object->entry, err);

	*out_detached = rc > 0 && !object->entry.inside;
	object->present = rc > 0 && object->entry.inside;
	if (rc > 0) {
		object->entry.dn = arena_strdup(plan->arena, object->entry.dn);
		object->entry.member = object->stream->member;
		object->entry.body = arena_dup(plan->arena, object->entry.body);
	}
	return rc < 0 ? -1 : 0;
}

static void
plan_count_reason(struct plan *plan, enum views_reason reason)
{
	if (reason == VIEWS_FOREIGN)
		plan->result->foreign++;
	else
		plan->result->unusable++;
}

/* An object that the view leaves out: a contact of it that we have goes. */
static int
plan_left_out(struct plan *plan, struct plan_object *object,
    enum views_reason reason, struct err *err)
{
	size_t index = (size_t)(object->stream - plan->in->streams);

	plan_count_reason(plan, reason);
	if (!object->present)
		return 0;
	return plan_delete(
	    plan, &object->entry, index, views_reason_text(reason), err);
}

static int
plan_object_one(struct plan *plan, struct plan_stream *stream,
    const struct section_object *record, struct err *err)
{
	struct views_options view = {
	    .realm = plan->in->realm,
	    .member = stream->owner,
	    .legacy_prefix = plan->in->legacy_prefix,
	    .hidden = plan->in->policy->hidden,
	    .rich_text = plan->in->policy->rich_text,
	    .attribute_max = plan->in->schema->attribute_max,
	    .arg = plan->in->schema->arg,
	};
	struct plan_object *object =
	    arena_calloc(plan->arena, 1, sizeof(*object));
	enum views_reason reason;
	bool detached;
	int rc;

	INVARIANT(object != NULL);
	object->stream = stream;
	object->id = record->id;
	if (plan_find_entry(plan, object, &detached, err) != 0)
		return -1;
	if (detached) {
		plan->result->detached++;
		return plan_note(
		    plan, object, "detached", object->entry.dn, err);
	}
	reason = views_contact(
	    &view, &record->id, record->body, plan->arena, &object->view);
	if (reason != VIEWS_FINE)
		return plan_left_out(plan, object, reason, err);
	rc = plan_check_primary(plan, object, err);
	if (rc <= 0)
		return rc;
	if (plan_claim_addresses(plan, object, err) != 0)
		return -1;
	return plan_names_and_write(plan, object, err);
}

/* Does an earlier stream of the same member carry it? Then that one counts. */
static int
plan_elsewhere(struct plan *plan, const struct plan_stream *stream,
    const struct id *id, bool *out_elsewhere, struct err *err)
{
	const struct plan_stream *s;

	*out_elsewhere = false;
	for (s = plan->in->streams; s < stream; s++) {
		int found;

		if (strcmp(s->member, stream->member) != 0 || s->held ||
		    !s->selected)
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
	return 0;
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
			rc = plan_object_one(plan, stream, &record, err);
		if (rc != 0) {
			err_prepend(err, "stream %s/%s", stream->member,
			    stream->stream);
			break;
		}
	}
	replica_cursor_close(cursor);
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
	buf_init(&plan.body, LIMIT_OBJECT_BYTES);
	buf_init(&into, 8192);
	rc = dn_normalize(input->policy->into, &into, err);
	if (rc != 0)
		goto out;
	plan.into = mem_strdup(buf_cstr(&into));
	rc = importdb_plan_clear(input->db, err);
	if (rc == 0)
		rc = importdb_trouble_clear(input->db, "exists", err);
	if (rc == 0)
		rc = importdb_trouble_clear(input->db, "detached", err);
	if (rc == 0)
		rc = plan_judge_entries(&plan, err);
	for (i = 0; rc == 0 && i < input->stream_count; i++)
		if (!input->streams[i].held && input->streams[i].selected)
			rc =
			    plan_stream_objects(&plan, &input->streams[i], err);
out:
	free(plan.into);
	buf_fini(&into);
	buf_fini(&plan.body);
	arena_free(plan.arena);
	return rc;
}
