/*
 * DirSync, MS-ADTS 3.1.1.3.4.1.3: the server keeps nothing, its cookie says
 * where to go on. Everything that came in between is told once, tombstones
 * included.
 *
 * The first time there is no cookie: placing asks for the newest changes only,
 * and throws them away; what counts is the cookie at its end. Servers advance
 * it past what a filter hides; one that only counts what it sent (Samba) goes
 * on from the newest one sent.
 *
 * Without the right DS-Replication-Get-Changes the server shows what the
 * account may see (object security), and that seldom includes what was
 * deleted: then a sweep of ids follows. Samba does so even with the right.
 */
#include "common/ldap/feed_impl.h"

#include "common/base/mem.h"

#define DIRSYNC_MAX_BYTES (1 << 20)
/* So many of the newest changes are asked for when placing. */
#define DIRSYNC_PLACING 1000

enum dirsync_phase { DIRSYNC_CHANGES, DIRSYNC_SWEEP };

static int
dirsync_send(struct feed *feed, struct err *err)
{
	LDAP *ld = session_handle(feed->session);
	unsigned flags = LDAP_CONTROL_X_DIRSYNC_INCREMENTAL_VALUES;
	LDAPControl *control = NULL, *controls[2] = {NULL, NULL};
	struct berval cookie = {
	    feed->position.len, (char *)feed->position.data};
	/* isDeleted: the list is a filter too, and one attribute would do, but
	 * every change must be told: no list. */
	char *all[] = {(char *)"*", NULL};
	char *few[] = {(char *)"objectGUID", NULL};
	char *filter;
	int code;

	if (feed->object_security)
		flags |= LDAP_CONTROL_X_DIRSYNC_OBJECT_SECURITY;
	if (cookie.bv_val == NULL)
		cookie.bv_val = (char *)"";
	code = ldap_create_dirsync_control(
	    ld, (int)flags, DIRSYNC_MAX_BYTES, &cookie, &control);
	if (code != LDAP_SUCCESS)
		return feed_fail(feed, code, NULL, err);
	controls[0] = control;
	filter =
	    feed->placing
		? mem_printf("(uSNChanged>=%llu)",
		      (unsigned long long)(feed->highest > DIRSYNC_PLACING
					       ? feed->highest - DIRSYNC_PLACING
					       : 0))
		: mem_strdup(FEED_AD_FILTER);
	code = ldap_search_ext(ld, feed->base, LDAP_SCOPE_SUBTREE, filter,
	    feed->placing ? few : all, 0, controls, NULL, NULL, LDAP_NO_LIMIT,
	    &feed->msgid);
	free(filter);
	ldap_control_free(control);
	if (code == LDAP_SUCCESS)
		return 0;
	feed->msgid = -1;
	return feed_fail(feed, code, NULL, err);
}

static bool
value_is_true(LDAP *ld, LDAPMessage *message, const char *name)
{
	struct berval **values = ldap_get_values_len(ld, message, name);
	bool yes =
	    values != NULL && values[0] != NULL &&
	    slice_equal_case(slice_make(values[0]->bv_val, values[0]->bv_len),
		SLICE_LIT("TRUE"));

	ldap_value_free_len(values);
	return yes;
}

static int
dirsync_entry(struct feed *feed, LDAPMessage *message, struct feed_touched *out,
    struct err *err)
{
	LDAP *ld = session_handle(feed->session);
	struct berval **values = ldap_get_values_len(ld, message, "objectGUID");
	struct slice raw = SLICE_NULL;
	int rc;

	if (values != NULL && values[0] != NULL)
		raw = slice_make(values[0]->bv_val, values[0]->bv_len);
	rc = id_from_slice(raw, &out->id, err);
	ldap_value_free_len(values);
	if (rc < 0)
		return feed_bad(feed, "an entry without objectGUID", err);
	out->event = value_is_true(ld, message, "isDeleted") ? FEED_DELETED
							     : FEED_CHANGED;
	ldap_memfree(feed->dn);
	feed->dn = ldap_get_dn(ld, message);
	out->dn = feed->dn;
	feed->got = true;
	return 1;
}

/* Takes the answered cookie over. 1 there is more, 0 the end, -1. */
static int
dirsync_cookie(struct feed *feed, LDAPControl **controls, struct err *err)
{
	LDAPControl *control =
	    ldap_control_find(LDAP_CONTROL_X_DIRSYNC, controls, NULL);
	struct berval cookie = {0, NULL};
	int more = 0;

	if (control == NULL)
		return feed_bad(
		    feed, "an answer without a DirSync control", err);
	if (ldap_parse_dirsync_control(session_handle(feed->session), control,
		&more, &cookie) != LDAP_SUCCESS)
		return feed_bad(feed, "malformed DirSync control", err);
	buf_reset(&feed->position);
	buf_add(&feed->position, slice_make(cookie.bv_val, cookie.bv_len));
	ber_memfree(cookie.bv_val);
	if (buf_failed(&feed->position) || feed->position.len == 0)
		return feed_bad(feed, "odd DirSync cookie", err);
	return more != 0;
}

/* The server does not do it: once more with object security, else full. The
 * position it may have given is void. */
static int
dirsync_refused(
    struct feed *feed, int code, const char *diagnostic, struct err *err)
{
	if (!feed_code_refusal(code))
		return feed_fail(feed, code, diagnostic, err);
	if (code == LDAP_INSUFFICIENT_ACCESS && !feed->object_security &&
	    !feed->got) {
		feed->object_security = true;
		return dirsync_send(feed, err) < 0 ? -1 : 1;
	}
	buf_reset(&feed->position);
	return feed_refuse(feed, "DirSync was refused: %s%s%s%s",
	    ldap_err2string(code), *diagnostic == '\0' ? "" : " (", diagnostic,
	    *diagnostic == '\0' ? "" : ")");
}

/* The final message of one portion. 1 another follows, 0 the end, -1. */
static int
dirsync_result(struct feed *feed, LDAPMessage *message, struct err *err)
{
	LDAPControl **controls = NULL;
	char *diagnostic = NULL;
	int code;
	int rc = feed_result(feed, message, &code, &diagnostic, &controls, err);

	if (rc < 0)
		return -1;
	if (code != LDAP_SUCCESS) {
		rc = dirsync_refused(
		    feed, code, diagnostic == NULL ? "" : diagnostic, err);
	} else {
		rc = dirsync_cookie(feed, controls, err);
		if (rc == 1 && dirsync_send(feed, err) < 0)
			rc = -1;
	}
	ldap_memfree(diagnostic);
	ldap_controls_free(controls);
	return rc;
}

/* One change. 1, 0 the end, -1. */
static int
dirsync_next(struct feed *feed, struct feed_touched *out, struct err *err)
{
	LDAPMessage *message = NULL;
	int type, rc;

	for (;;) {
		type = feed_receive(feed, &message, err);
		if (type < 0)
			return -1;
		if (type == LDAP_RES_SEARCH_RESULT) {
			rc = dirsync_result(feed, message, err);
			if (rc != 1)
				return rc;
			continue;
		}
		rc = type == LDAP_RES_SEARCH_ENTRY
			 ? dirsync_entry(feed, message, out, err)
			 : 0;
		ldap_msgfree(message);
		if (rc != 0)
			return rc;
	}
}

/* A position without an answer. */
static int
dirsync_place(struct feed *feed, const char *reason, struct err *err)
{
	struct feed_touched ignored;
	int rc;

	feed->placing = true;
	feed->got = false;
	feed->state = FEED_RUNNING;
	buf_reset(&feed->position);
	if (dirsync_send(feed, err) < 0)
		return -1;
	while ((rc = dirsync_next(feed, &ignored, err)) == 1)
		;
	if (rc < 0 || feed->state == FEED_ENDED)
		return rc;
	return feed_refuse(feed, "%s", reason);
}

int
feed_dirsync_begin(struct feed *feed, struct err *err)
{
	int rc = feed_ad_identity(feed, err);

	if (rc <= 0)
		return rc;
	if (feed->old_position.len == 0)
		return dirsync_place(feed, "first reading", err);
	if (!slice_equal(
		buf_slice(&feed->identity), buf_slice(&feed->old_identity)))
		return dirsync_place(
		    feed, "another domain controller, or a restored one", err);
	buf_reset(&feed->position);
	buf_add(&feed->position, buf_slice(&feed->old_position));
	feed->phase = DIRSYNC_CHANGES;
	return dirsync_send(feed, err) < 0 ? -1 : 1;
}

/* Changes ended: was the server free to tell what was deleted? */
static int
dirsync_sweep(struct feed *feed, struct err *err)
{
	int rc = feed_ad_sees_deleted(feed, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	feed->phase = DIRSYNC_SWEEP;
	return feed_ad_sweep_open(feed, err) < 0 ? -1 : 1;
}

int
feed_dirsync_step(struct feed *feed, struct feed_touched *out, struct err *err)
{
	int rc;

	if (feed->phase == DIRSYNC_SWEEP)
		return feed_ad_sweep_step(feed, out, err);
	rc = dirsync_next(feed, out, err);
	if (rc < 0)
		return -1;
	/* Refused in spite of a good cookie: from anew, if that is taken. */
	if (rc == 0 && feed->state == FEED_ENDED) {
		char reason[sizeof(feed->reason)];

		(void)snprintf(reason, sizeof(reason), "%s", feed->reason);
		return dirsync_place(feed, reason, err);
	}
	if (rc == 0 && (feed->object_security || feed->samba)) {
		rc = dirsync_sweep(feed, err);
		if (rc == 1)
			rc = feed_ad_sweep_step(feed, out, err);
	}
	return rc;
}
