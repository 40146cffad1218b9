/* One object of a replica: view, address, names, and what to write. */
#include <stdio.h>

#include "common/ldap/dn.h"
#include "spoke/names.h"
#include "spoke/import/plan_compare.h"
#include "spoke/import/plan_internal.h"
#include "spoke/import/views.h"

/* A name that must be unique, while one is looked for. */
struct plan_name {
	enum importdb_name_kind kind;
	const char *scope;
	struct slice base;
	struct slice present;   /* what the entry has now */
	const struct id *entry; /* NULL: a new one */
};

static struct slice
plan_serial(struct plan *plan, const struct plan_name *name, unsigned serial)
{
	return name->kind == IMPORTDB_CN
		   ? names_cn_serial(name->base, serial, plan->arena)
		   : names_nickname_serial(name->base, serial, plan->arena);
}

static int
plan_serial_taken(struct plan *plan, const struct plan_name *name,
    unsigned serial, struct err *err)
{
	return importdb_name_taken(plan->in->db, name->kind, name->scope,
	    plan_serial(plan, name, serial), name->entry, err);
}

/* A free serial whose predecessor is taken. In doubling steps: a member that
 * publishes thousands of the same name must not cost millions of look-ups. */
static int
plan_serial_find(struct plan *plan, const struct plan_name *name,
    unsigned *out_serial, struct err *err)
{
	unsigned low = 0; /* taken, or none */
	unsigned high = 1;
	int taken;

	while ((taken = plan_serial_taken(plan, name, high, err)) > 0) {
		if (high == NAMES_SERIAL_MAX)
			return err_set(err, ERR_LIMIT,
			    "more than %u entries share one name",
			    (unsigned)NAMES_SERIAL_MAX);
		low = high;
		high =
		    2 * high < NAMES_SERIAL_MAX ? 2 * high : NAMES_SERIAL_MAX;
	}
	while (taken >= 0 && high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		taken = plan_serial_taken(plan, name, middle, err);
		if (taken > 0)
			low = middle;
		else
			high = middle;
	}
	*out_serial = high;
	return taken < 0 ? -1 : 0;
}

/* The present name stays if it is the base with any serial. */
static int
plan_unique(struct plan *plan, const struct plan_name *name,
    struct slice *out_name, struct err *err)
{
	bool keep =
	    name->present.len > 0 &&
	    (name->kind == IMPORTDB_CN
		    ? names_is_cn_of(name->present, name->base, plan->arena)
		    : names_is_nickname_of(
			  name->present, name->base, plan->arena));
	unsigned serial = 1;

	*out_name = name->present;
	if (!keep) {
		if (plan_serial_find(plan, name, &serial, err) != 0)
			return -1;
		*out_name = plan_serial(plan, name, serial);
	}
	return importdb_name_put(
	    plan->in->db, name->kind, name->scope, *out_name, name->entry, err);
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

/* The change that writes the object's addresses was planned, or none is needed
 * (0): whoever waits for the contact waits for that. */
static int
plan_written(struct plan *plan, struct plan_object *object, uint64_t seq,
    struct err *err)
{
	struct importdb *db = plan->in->db;
	bool first;

	if (object->waits && importdb_need_bind(db, seq, err) != 0)
		return -1;
	object->waits = false;
	if (seq == 0)
		return 0;
	if (object->present)
		return importdb_entry_change(
		    db, &object->entry.entry, seq, err);
	/* Added, it counts as that, though the next plan adds an address. */
	return object->later ? importdb_written_put(db, object->stream->member,
				   &object->id, &first, err)
			     : 0;
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
	uint64_t seq = 0;

	if (object->present)
		parent = dn_parent(object->entry.dn);
	options.change.dn = plan_dn(rdn_attribute, cn, parent, plan->arena);
	if (options.change.dn == NULL)
		return err_set(err, ERR_LIMIT, "DN below %s is too long",
		    plan->in->policy->into);
	if (!object->present)
		return plan_compare_add(&options, &wanted, &seq, err) == 0
			   ? plan_written(plan, object, seq, err)
			   : -1;
	if (!rename)
		options.change.dn = object->entry.dn;
	options.old_dn = rename ? object->entry.dn : NULL;
	options.new_rdn =
	    rename ? plan_dn(rdn_attribute, cn, NULL, plan->arena) : NULL;
	if (plan_compare_modify(
		&options, stored, &wanted, plan->result, &seq, err) != 0)
		return -1;
	return plan_written(plan, object, seq, err);
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
	struct plan_name name = {
	    .kind = IMPORTDB_CN,
	    .base = object->view.cn_base,
	    .entry = object->present ? &object->entry.entry : NULL,
	};
	struct plan_name alias = {
	    .kind = IMPORTDB_NICKNAME,
	    .scope = "",
	    .base = object->view.nickname_base,
	    .entry = name.entry,
	};

	if (plan_present_names(
		plan, object, &stored, &present_cn, &scope, err) != 0)
		return -1;
	name.scope = scope;
	name.present = present_cn;
	if (plan_unique(plan, &name, &cn, err) != 0)
		return -1;
	alias.present = object_first(&stored, "mailNickname");
	if (plan->in->schema->nicknames &&
	    plan_unique(plan, &alias, &nickname, err) != 0)
		return -1;
	if (plan_compose(plan, object, cn, nickname, err) != 0)
		return -1;
	return plan_write(plan, object, &stored, cn, present_cn, err);
}

/* Copies what the database lent, which the next call would take back. */
static int
plan_find_entry(struct plan *plan, struct plan_object *object,
    bool *out_outside, struct err *err)
{
	int rc = importdb_entry_find(plan->in->db, object->stream->member,
	    &object->id, &object->entry, err);

	*out_outside = rc > 0 && !object->entry.inside;
	object->present = rc > 0 && object->entry.inside;
	if (rc > 0) {
		object->entry.dn = arena_strdup(plan->arena, object->entry.dn);
		object->entry.member = object->stream->member;
		object->entry.body = arena_dup(plan->arena, object->entry.body);
	}
	return rc < 0 ? -1 : 0;
}

/* An object that the view leaves out: a contact of it that we have goes. */
static int
plan_left_out(struct plan *plan, struct plan_object *object,
    enum views_reason reason, struct err *err)
{
	const char *text = views_reason_text(reason);
	bool foreign = reason == VIEWS_FOREIGN;

	if (foreign)
		plan->result->foreign++;
	else
		plan->result->unusable++;
	if (plan_note(
		plan, object, foreign ? "foreign" : "unusable", text, err) != 0)
		return -1;
	if (!object->present)
		return 0;
	return plan_delete(plan, &object->entry, object->index, text, err);
}

/* A contact of the object stands outside of our OU: another policy keeps it
 * there, or somebody moved it out, which detached it. */
static int
plan_outside(struct plan *plan, struct plan_object *object, struct err *err)
{
	const char *dn = object->entry.dn;
	char reason[512];
	size_t i;

	for (i = 0; i < plan->in->other_count; i++) {
		if (!dn_is_below(dn, plan->in->others[i], false))
			continue;
		plan->result->exists++;
		(void)snprintf(reason, sizeof(reason),
		    "another policy imports it as %s", dn);
		return plan_note(plan, object, "exists", reason, err);
	}
	plan->result->detached++;
	return plan_note(plan, object, "detached", dn, err);
}

static int
plan_viewed(struct plan *plan, struct plan_object *object, struct err *err)
{
	struct err reason = {0};
	int rc = plan_check_primary(plan, object, err);

	if (rc <= 0)
		return rc;
	if (plan_claim_addresses(plan, object, err) != 0)
		return -1;
	if (plan_names_and_write(plan, object, &reason) == 0)
		return 0;
	if (plan_written(plan, object, 0, err) != 0)
		return -1;
	if (reason.class != ERR_LIMIT && reason.class != ERR_BAD_DATA) {
		*err = reason;
		return -1;
	}
	/* One odd object is no reason to stop the others. */
	plan->result->unusable++;
	return plan_note(plan, object, "unusable", reason.message, err);
}

void
plan_view_options(const struct plan *plan, const struct plan_stream *stream,
    struct views_options *out)
{
	*out = (struct views_options){
	    .realm = plan->in->realm,
	    .member = stream->owner,
	    .legacy_prefix = plan->in->legacy_prefix,
	    .hidden = plan->in->policy->hidden,
	    .rich_text = plan->in->policy->rich_text,
	    .attribute_max = plan->in->schema->attribute_max,
	    .arg = plan->in->schema->arg,
	};
}

int
plan_object(struct plan *plan, struct plan_stream *stream,
    const struct section_object *record, struct err *err)
{
	struct views_options view;
	struct plan_object *object =
	    arena_calloc(plan->arena, 1, sizeof(*object));
	enum views_reason reason;
	bool outside;

	INVARIANT(object != NULL);
	object->stream = stream;
	object->index = (size_t)(stream - plan->in->streams);
	object->id = record->id;
	if (plan_find_entry(plan, object, &outside, err) != 0)
		return -1;
	if (outside)
		return plan_outside(plan, object, err);
	/* Known before it is written: should we die in between, the contact
	 * that is then there has a past. */
	if (importdb_link_put(plan->in->db, stream->member, &object->id,
		stream->stream, 0, err) != 0)
		return -1;
	plan_view_options(plan, stream, &view);
	reason = views_contact(
	    &view, &record->id, record->body, plan->arena, &object->view);
	if (reason != VIEWS_FINE)
		return plan_left_out(plan, object, reason, err);
	return plan_viewed(plan, object, err);
}
