/*
 * syncrepl, RFC 4533 refreshOnly, by hand: libldap's own client cannot be
 * bounded in time. Of entries only the id counts, which is in the control.
 *
 *   with a session log     changed entries, then ids deleted; the final control
 *                          says refreshDeletes: the rest is as it was
 *   without, or lost       changed entries, then the ids of all others
 *                          (present): what came in neither is gone (SWEEP)
 *
 * The first position is made from contextCSN, so that nothing need be read
 * twice.
 */
#include "common/ldap/feed_impl.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/dialect_impl.h"
#include "common/ldap/feed_sync.h"

#define SYNC_ARENA_MAX ((size_t)1 << 20)

static int
compare_values(const void *a, const void *b)
{
	return slice_compare(
	    *(const struct slice *)a, *(const struct slice *)b);
}

/* "rid=000,csn=A;B", one for each server that writes. */
int
feed_syncrepl_position(
    struct session *session, const char *base, struct buf *out, struct err *err)
{
	static const char *const names[] = {"contextCSN", NULL};
	struct arena *arena = arena_new(SYNC_ARENA_MAX);
	const struct search_attribute *a = NULL;
	struct search_entry entry;
	struct slice *sorted;
	size_t i;
	int rc;

	rc = search_read(session, base, names, arena, &entry, err);
	if (rc == 1)
		a = search_find(&entry, "contextCSN");
	if (a != NULL && a->value_count > 0) {
		sorted = arena_calloc(arena, a->value_count, sizeof(*sorted));
		INVARIANT(sorted != NULL);
		memcpy(sorted, a->values, a->value_count * sizeof(*sorted));
		qsort(sorted, a->value_count, sizeof(*sorted), compare_values);
		buf_add_str(out, "rid=000,csn=");
		for (i = 0; i < a->value_count; i++) {
			if (i > 0)
				buf_add_byte(out, ';');
			buf_add(out, sorted[i]);
		}
	} else if (rc == 1) {
		rc = 0;
	}
	arena_free(arena);
	return rc;
}

static int
syncrepl_place(struct feed *feed, const char *reason, struct err *err)
{
	int rc;

	buf_reset(&feed->position);
	rc = feed_syncrepl_position(
	    feed->session, feed->base, &feed->position, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return feed_refuse(feed,
		    "the server shows no contextCSN of \"%s\": load the "
		    "overlay syncprov and let the account read it",
		    feed->base);
	if (feed_witness_take(feed, err) < 0)
		return -1;
	return feed_refuse(feed, "%s", reason);
}

static int
sync_send(struct feed *feed, struct err *err)
{
	char *attributes[] = {(char *)"entryUUID", NULL};
	LDAPControl control = {(char *)LDAP_CONTROL_SYNC, {0, NULL}, 1};
	LDAPControl *controls[] = {&control, NULL};
	int code;

	if (feed_sync_request(
		false, buf_slice(&feed->position), &control.ldctl_value) < 0)
		return feed_bad(feed, "cannot encode the request", err);
	code = ldap_search_ext(session_handle(feed->session), feed->base,
	    LDAP_SCOPE_SUBTREE, "(objectClass=*)", attributes, 0, controls,
	    NULL, NULL, LDAP_NO_LIMIT, &feed->msgid);
	ber_memfree(control.ldctl_value.bv_val);
	if (code == LDAP_SUCCESS)
		return 0;
	feed->msgid = -1;
	return feed_fail(feed, code, NULL, err);
}

/* Where nothing was written, nothing is asked: the answer would say no more,
 * and slapd 2.5 with dynlist above syncprov dies of it (an assertion fails). */
int
feed_syncrepl_begin(struct feed *feed, struct err *err)
{
	if (feed->old_position.len == 0)
		return syncrepl_place(feed, "first reading", err);
	buf_reset(&feed->position);
	if (feed_syncrepl_position(
		feed->session, feed->base, &feed->position, err) < 0)
		return -1;
	if (slice_equal(
		buf_slice(&feed->position), buf_slice(&feed->old_position)))
		return 1;
	buf_reset(&feed->position);
	buf_add(&feed->position, buf_slice(&feed->old_position));
	return sync_send(feed, err) < 0 ? -1 : 1;
}

/* Overlays that compute entries, as slapo-dynlist does, add some to the answer
 * of syncprov, which says nothing of them: they may have changed. */
static int
sync_added(
    struct feed *feed, LDAPMessage *message, struct id *out_id, struct err *err)
{
	struct berval **values = ldap_get_values_len(
	    session_handle(feed->session), message, "entryUUID");
	int rc;

	if (values == NULL || values[0] == NULL)
		rc = feed_bad(feed,
		    "an entry without Sync State and entryUUID: let the "
		    "account read entryUUID",
		    err);
	else if (id_parse(slice_make(values[0]->bv_val, values[0]->bv_len),
		     out_id, err) < 0)
		rc = feed_bad(feed, "malformed entryUUID", err);
	else
		rc = 1;
	ldap_value_free_len(values);
	return rc;
}

static int
sync_entry(struct feed *feed, LDAPMessage *message, struct feed_touched *out,
    struct err *err)
{
	LDAP *ld = session_handle(feed->session);
	LDAPControl **controls = NULL, *control;
	enum feed_sync_state state = FEED_SYNC_MODIFY;
	int rc = -1;

	if (ldap_get_entry_controls(ld, message, &controls) != LDAP_SUCCESS)
		return feed_bad(feed, "malformed entry", err);
	control = ldap_control_find(LDAP_CONTROL_SYNC_STATE, controls, NULL);
	if (control == NULL)
		rc = sync_added(feed, message, &out->id, err);
	else if (feed_sync_state_decode(&control->ldctl_value, &state, &out->id,
		     &feed->position) < 0)
		rc = feed_bad(feed, "malformed Sync State", err);
	else
		rc = 1;
	ldap_controls_free(controls);
	if (rc < 0)
		return -1;
	out->event = state == FEED_SYNC_DELETE    ? FEED_DELETED
		     : state == FEED_SYNC_PRESENT ? FEED_PRESENT
						  : FEED_CHANGED;
	if (out->event == FEED_DELETED)
		feed_witness_deleted(feed, &out->id);
	ldap_memfree(feed->dn);
	feed->dn = ldap_get_dn(ld, message);
	out->dn = feed->dn;
	return 1;
}

/* A Sync Info message; ids in it wait to be handed out. */
static int
sync_info(struct feed *feed, LDAPMessage *message, struct err *err)
{
	struct feed_sync_info info = {.ids = NULL};
	struct berval *value = NULL;
	char *oid = NULL;
	int code, rc = 0;

	code = ldap_parse_intermediate(
	    session_handle(feed->session), message, &oid, &value, NULL, 0);
	if (code != LDAP_SUCCESS || oid == NULL || value == NULL ||
	    strcmp(oid, LDAP_SYNC_INFO) != 0 ||
	    feed_sync_info_decode(value, &info, &feed->position) < 0)
		rc = feed_bad(feed, "malformed Sync Info", err);
	ldap_memfree(oid);
	ber_bvfree(value);
	if (rc < 0)
		return -1;
	/* Its present phase is over: what it did not name is gone. */
	if (info.message == FEED_SYNC_REFRESH_PRESENT)
		feed->gap = true;
	if (info.message == FEED_SYNC_ID_SET) {
		free(feed->ids);
		feed->ids = info.ids;
		feed->id_count = info.id_count;
		feed->id_next = 0;
		feed->id_event = info.flag ? FEED_DELETED : FEED_PRESENT;
	}
	return 0;
}

static int
sync_refused(
    struct feed *feed, int code, const char *diagnostic, struct err *err)
{
	char reason[sizeof(feed->reason)];

	if (!feed_code_refusal(code))
		return feed_fail(feed, code, diagnostic, err);
	if (code == LDAP_SYNC_REFRESH_REQUIRED)
		(void)snprintf(reason, sizeof(reason),
		    "the server lost track of what we hold "
		    "(e-syncRefreshRequired)");
	else
		(void)snprintf(reason, sizeof(reason),
		    "syncrepl was refused: %s%s%s%s", ldap_err2string(code),
		    *diagnostic == '\0' ? "" : " (", diagnostic,
		    *diagnostic == '\0' ? "" : ")");
	return syncrepl_place(feed, reason, err);
}

/* The final control tells which of both phases it was. */
static int
sync_done(struct feed *feed, LDAPControl **controls, struct err *err)
{
	LDAPControl *control =
	    ldap_control_find(LDAP_CONTROL_SYNC_DONE, controls, NULL);
	bool deletes = false;

	if (control == NULL)
		return feed_bad(feed, "an end without Sync Done", err);
	if (feed_sync_done_decode(
		&control->ldctl_value, &deletes, &feed->position) < 0)
		return feed_bad(feed, "malformed Sync Done", err);
	if (!deletes)
		feed->gap = true;
	return 0;
}

static int
sync_result(struct feed *feed, LDAPMessage *message, struct err *err)
{
	LDAPControl **controls = NULL;
	char *diagnostic = NULL;
	int code;
	int rc = feed_result(feed, message, &code, &diagnostic, &controls, err);

	if (rc < 0)
		return -1;
	if (code != LDAP_SUCCESS)
		rc = sync_refused(
		    feed, code, diagnostic == NULL ? "" : diagnostic, err);
	else
		rc = sync_done(feed, controls, err);
	ldap_memfree(diagnostic);
	ldap_controls_free(controls);
	return rc;
}

/* All is told, by a server that is still the same? */
static int
sync_end(struct feed *feed, struct err *err)
{
	int rc = feed_witness_check(feed, err);

	if (rc < 0)
		return -1;
	if (rc == 0) {
		buf_reset(&feed->old_identity);
		return syncrepl_place(feed,
		    "the server was restored from a backup, or what was "
		    "written last is gone",
		    err);
	}
	return feed_witness_take(feed, err);
}

int
feed_syncrepl_step(struct feed *feed, struct feed_touched *out, struct err *err)
{
	LDAPMessage *message = NULL;
	int type, rc = 0;

	for (;;) {
		if (feed->id_next < feed->id_count) {
			out->id = feed->ids[feed->id_next++];
			out->event = feed->id_event;
			out->dn = NULL;
			if (out->event == FEED_DELETED)
				feed_witness_deleted(feed, &out->id);
			return 1;
		}
		if (feed->msgid < 0)
			return sync_end(feed, err);
		type = feed_receive(feed, &message, err);
		if (type < 0)
			return -1;
		if (type == LDAP_RES_SEARCH_RESULT) {
			rc = sync_result(feed, message, err);
			return rc == 0 && feed->state == FEED_RUNNING
				   ? sync_end(feed, err)
				   : rc;
		}
		if (type == LDAP_RES_SEARCH_ENTRY)
			rc = sync_entry(feed, message, out, err);
		else if (type == LDAP_RES_INTERMEDIATE)
			rc = sync_info(feed, message, err);
		ldap_msgfree(message);
		if (rc != 0)
			return rc;
	}
}
