#include <stdio.h>

#include <ldap.h>

#include "common/base/log.h"
#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "spoke/import/apply_internal.h"
#include "spoke/import/moves.h"

/* Results between two commits of the database. They are only a cache, the
 * directory knows them; each commit writes nearly every page of its indexes. */
#define APPLY_COMMIT_EVERY 4096
#define APPLY_ARENA_BYTES (16 * LIMIT_OBJECT_BYTES)

static int
apply_commit(struct apply *apply, struct err *err)
{
	if (importdb_commit(apply->db, err) != 0)
		return -1;
	apply->uncommitted = 0;
	return importdb_begin(apply->db, err);
}

static int
apply_quarantine(struct apply *apply, const struct importdb_change *change,
    const struct writer_result *result, struct err *err)
{
	struct importdb_trouble trouble = {
	    .kind = "quarantined",
	    .member = change->member,
	    .object = change->object,
	};
	char reason[ERR_MESSAGE_MAX];
	char hex[ID_HEX_SIZE];

	(void)snprintf(reason, sizeof(reason), "%s%s%s (%d) %s",
	    result->attribute == NULL ? "" : "attribute ",
	    result->attribute == NULL ? "" : result->attribute,
	    result->attribute == NULL ? "refused:" : " refused:", result->code,
	    result->diagnostic);
	trouble.reason = reason;
	apply->result->quarantined++;
	log_warn("object quarantined member=%s object=%s reason=%s",
	    change->member, id_format(&change->object, hex),
	    log_text(slice_str(reason)));
	return importdb_trouble_put(apply->db, &trouble, err);
}

static bool
apply_succeeded(const struct writer_result *result)
{
	if (result->code == LDAP_SUCCESS)
		return true;
	/* Somebody, maybe a former run, was faster. */
	return result->op == WRITER_DELETE &&
	       result->code == LDAP_NO_SUCH_OBJECT;
}

static int
apply_count(
    struct apply *apply, const struct importdb_change *change, struct err *err)
{
	bool first = false;

	switch (change->op) {
	case IMPORTDB_RENAME:
		apply->result->renamed++;
		break;
	case IMPORTDB_MODIFY:
		/* Once each, in however many steps. */
		if (importdb_written_put(apply->db, change->member,
			&change->object, &first, err) != 0)
			return -1;
		apply->result->modified += first;
		break;
	case IMPORTDB_DELETE:
		apply->result->deleted++;
		if (importdb_link_drop(
			apply->db, change->member, &change->object, err) != 0)
			return -1;
		break;
	case IMPORTDB_ADD:
		apply->result->added++;
		break;
	case IMPORTDB_OP_COUNT:
		break;
	}
	apply->result->writes++;
	return 0;
}

int
apply_done(
    struct apply *apply, const struct importdb_change *change, struct err *err)
{
	uint64_t seq = change->seq;

	if (apply_count(apply, change, err) != 0)
		return -1;
	if (change->op != IMPORTDB_ADD &&
	    importdb_need_met(apply->db, seq, err) != 0)
		return -1;
	return importdb_plan_drop(apply->db, seq, err);
}

/* The name is in use, by an entry that we may not see or in a spelling that the
 * directory takes for the same: another serial next time. */
static int
apply_name_refused(
    struct apply *apply, const struct importdb_change *change, struct err *err)
{
	bool rename = change->op == IMPORTDB_RENAME;
	struct err ignored = {0};
	struct buf scope;
	struct buf name;
	int rc = 0;

	buf_init(&scope, LIMIT_OBJECT_BYTES);
	buf_init(&name, LIMIT_OBJECT_BYTES);
	if (dn_normalize(dn_parent(change->dn), &scope, &ignored) == 0 &&
	    dn_rdn_value(
		rename ? change->new_rdn : change->dn, &name, &ignored) == 0) {
		apply->again = true;
		rc = importdb_name_refuse(
		    apply->db, buf_cstr(&scope), buf_slice(&name), err);
	}
	buf_fini(&name);
	buf_fini(&scope);
	return rc;
}

static int
apply_refused(struct apply *apply, const struct importdb_change *change,
    const struct writer_result *result, struct err *err)
{
	if (apply_quarantine(apply, change, result, err) != 0)
		return -1;
	if (result->code == LDAP_ALREADY_EXISTS &&
	    apply_name_refused(apply, change, err) != 0)
		return -1;
	if (change->op != IMPORTDB_RENAME)
		return 0;
	/* What else changed can still be written, under the old name. */
	return importdb_plan_redirect(apply->db, change, err);
}

/* What has no change in the plan any more has not given its address up. */
static int
apply_give_up(struct apply *apply, uint64_t seq, struct err *err)
{
	return importdb_plan_drop(apply->db, seq, err) == 0
		   ? moves_strand(apply->db, seq, apply->result, err)
		   : -1;
}

static int
apply_result(void *arg, const struct writer_result *result, struct err *err)
{
	struct apply *apply = arg;
	struct importdb_change change;
	bool beside = (result->cookie & APPLY_BESIDE) != 0;
	int rc = importdb_plan_find(
	    apply->db, result->cookie & ~APPLY_BESIDE, &change, err);

	apply->refused = !apply_succeeded(result);
	if (rc <= 0)
		return rc;
	if (apply->refused)
		rc = beside ? apply_quarantine(apply, &change, result, err)
			    : apply_refused(apply, &change, result, err);
	else
		rc = 0;
	if (rc != 0 || apply->ring)
		return rc;
	rc = apply->refused ? apply_give_up(apply, change.seq, err)
			    : apply_done(apply, &change, err);
	if (rc == 0 && ++apply->uncommitted >= APPLY_COMMIT_EVERY)
		rc = apply_commit(apply, err);
	return rc;
}

static size_t
apply_count_words(const char *text)
{
	size_t n = 0;

	while (*text != '\0') {
		text += strspn(text, " ");
		n += *text != '\0';
		text += strcspn(text, " ");
	}
	return n;
}

/* The row's attributes, and one without values for each to be cleared. */
static int
apply_attributes(struct apply *apply, const struct importdb_change *change,
    struct writer_change *out, struct err *err)
{
	struct object object = {0};
	struct writer_attribute *list;
	const char *word = change->cleared;
	size_t n = 0;
	size_t i;

	if (change->body.len > 0 &&
	    object_decode(change->body, apply->arena, &object, err) != 0)
		return -1;
	list = arena_calloc(apply->arena,
	    object.attribute_count + apply_count_words(word) + 1,
	    sizeof(*list));
	INVARIANT(list != NULL);
	for (i = 0; i < object.attribute_count; i++)
		list[n++] = (struct writer_attribute){object.attributes[i].name,
		    object.attributes[i].values,
		    object.attributes[i].value_count};
	while (*word != '\0') {
		size_t len = strcspn(word, " ");
		struct slice name =
		    arena_dup(apply->arena, slice_make(word, len));

		list[n++].name = (const char *)name.data;
		word += len;
		word += strspn(word, " ");
	}
	out->attributes = list;
	out->attribute_count = n;
	return 0;
}

int
apply_submit(
    struct apply *apply, const struct importdb_change *change, struct err *err)
{
	static const enum writer_op ops[] = {
	    [IMPORTDB_RENAME] = WRITER_RENAME,
	    [IMPORTDB_MODIFY] = WRITER_MODIFY,
	    [IMPORTDB_DELETE] = WRITER_DELETE,
	    [IMPORTDB_ADD] = WRITER_ADD,
	};
	struct writer_change out = {
	    .op = ops[change->op],
	    .cookie = change->seq,
	};

	out.dn = arena_strdup(apply->arena, change->dn);
	if (change->op == IMPORTDB_RENAME)
		out.new_rdn = arena_strdup(apply->arena, change->new_rdn);
	if (apply_attributes(apply, change, &out, err) != 0)
		return -1;
	return writer_submit(apply->writer, &out, err);
}

int
apply_kind(struct apply *apply, enum importdb_op op, struct err *err)
{
	struct importdb_change change;
	uint64_t after = 0;
	int rc;

	while (
	    (rc = importdb_plan_next(apply->db, op, after, &change, err)) > 0) {
		after = change.seq;
		arena_reset(apply->arena);
		if (apply_submit(apply, &change, err) != 0)
			return -1;
		apply->sent++;
	}
	return rc < 0 ? -1 : writer_barrier(apply->writer, err);
}

/* What waits comes when those that give something up are done. */
static int
apply_ordered(struct apply *apply, struct err *err)
{
	if (apply_kind(apply, IMPORTDB_RENAME, err) != 0 ||
	    apply_kind(apply, IMPORTDB_MODIFY, err) != 0 ||
	    apply_kind(apply, IMPORTDB_DELETE, err) != 0 ||
	    apply_moves(apply, err) != 0)
		return -1;
	return apply_kind(apply, IMPORTDB_ADD, err);
}

static int
apply_all(struct apply *apply, struct session *session, struct err *err)
{
	int rc = importdb_trouble_clear(apply->db, "quarantined", err);

	if (rc == 0)
		rc = writer_open(
		    session, apply_result, apply, &apply->writer, err);
	if (rc == 0)
		rc = apply_ordered(apply, err);
	if (rc != 0) {
		writer_abort(apply->writer);
		return -1;
	}
	return writer_close(apply->writer, err);
}

int
apply_run(struct session *session, struct importdb *db,
    struct import_result *out_result, bool *out_again, struct err *err)
{
	struct apply apply = {.db = db, .result = out_result};
	int rc;

	*out_again = false;
	apply.arena = arena_new(APPLY_ARENA_BYTES);
	rc = importdb_begin(db, err);
	if (rc != 0)
		goto out;
	rc = apply_all(&apply, session, err);
	if (rc == 0) {
		rc = importdb_commit(db, err);
	} else {
		struct err ignored = {0};

		/* What has been answered is known; keep it. */
		if (importdb_commit(db, &ignored) != 0)
			importdb_rollback(db);
	}
	*out_again = apply.again;
out:
	arena_free(apply.arena);
	return rc;
}
