/*
 * Waiting for the next change.
 *
 *   registered ── a message, or now and then ── the mark is another: changed
 *       └─ refused: the mark is asked every second
 *
 * The messages say that something happened, never what; the mark decides, and
 * it is asked once after registering, so that nothing falls in between. AD:
 * change notification (MS-ADTS 3.1.1.3.4.1.9); OpenLDAP: refreshAndPersist (RFC
 * 4533 section 3.4) from where the server stands now.
 */
#include "common/ldap/feed_impl.h"

#include <poll.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ldap/dialect_impl.h"
#include "common/ldap/feed_sync.h"

#define OID_NOTIFICATION "1.2.840.113556.1.4.528"
#define WAIT_POLL_MS CLOCK_SECOND_MS
/* A connection may die without a word. */
#define WAIT_LOOK_MS CLOCK_MINUTE_MS
#define WAIT_MARK_MAX 4096

struct waiter {
	struct session *session;
	const struct dialect *dialect;
	const char *base;
	struct slice mark;
	int64_t deadline;
	int msgid; /* negative: not registered, look every second */
};

/* 1 another than the one given, 0 the same, -1. */
static int
mark_differs(struct waiter *w, struct err *err)
{
	struct buf now;
	int rc;

	buf_init(&now, WAIT_MARK_MAX);
	rc = dialect_mark(w->session, w->dialect, &now, err);
	if (rc == 0)
		rc = !slice_equal(buf_slice(&now), w->mark);
	buf_fini(&now);
	return rc;
}

static int
fail(struct waiter *w, int code, struct err *err)
{
	return session_error(
	    w->session, code, NULL, err, "waiting for changes");
}

static void
asks_tell(const struct waiter *w, const char *reason)
{
	log_debug("the server tells of no changes, it is asked every second "
		  "server=%s reason=\"%s\"",
	    session_uri(w->session), reason);
}

/* It ended: refused, or the server will not go on. */
static void
waiter_ended(struct waiter *w, LDAPMessage *message)
{
	int code = LDAP_OTHER;

	(void)ldap_parse_result(session_handle(w->session), message, &code,
	    NULL, NULL, NULL, NULL, 0);
	asks_tell(w, ldap_err2string(code));
	w->msgid = -1;
}

static int
waiter_register(struct waiter *w, struct err *err)
{
	LDAP *ld = session_handle(w->session);
	char *names[] = {(char *)LDAP_NO_ATTRS, NULL};
	bool ad = dialect_is_ad(w->dialect);
	LDAPControl control = {
	    (char *)(ad ? OID_NOTIFICATION : LDAP_CONTROL_SYNC), {0, NULL}, 1};
	LDAPControl *controls[] = {&control, NULL};
	struct buf position;
	int code, rc = 1;

	buf_init(&position, FEED_COOKIE_MAX);
	if (!ad)
		rc =
		    feed_syncrepl_position(w->session, w->base, &position, err);
	/* Without contextCSN there is no syncprov. */
	if (rc == 1 && !ad &&
	    feed_sync_request(
		true, buf_slice(&position), &control.ldctl_value) < 0)
		rc = err_set(err, ERR_INTERNAL, "cannot encode the request");
	if (rc == 1) {
		code = ldap_search_ext(ld, w->base, LDAP_SCOPE_SUBTREE,
		    "(objectClass=*)", names, 0, controls, NULL, NULL,
		    LDAP_NO_LIMIT, &w->msgid);
		if (code != LDAP_SUCCESS) {
			w->msgid = -1;
			rc = fail(w, code, err);
		}
	}
	if (rc == 0)
		asks_tell(w, "no contextCSN");
	ber_memfree(control.ldctl_value.bv_val);
	buf_fini(&position);
	return rc < 0 ? -1 : 0;
}

/* Waits for a message, at most so long. 1 there was one, 0 none, -1. */
static int
waiter_listen(struct waiter *w, int64_t ms, struct err *err)
{
	LDAP *ld = session_handle(w->session);
	struct timeval limit = {ms / 1000, ms % 1000 * 1000};
	LDAPMessage *message = NULL;
	int type, code = LDAP_SERVER_DOWN;

	if (w->msgid < 0) {
		(void)poll(NULL, 0, (int)ms);
		return 0;
	}
	type = ldap_result(ld, w->msgid, LDAP_MSG_ONE, &limit, &message);
	if (type < 0) {
		ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
		w->msgid = -1;
		return fail(
		    w, code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code, err);
	}
	if (type == LDAP_RES_SEARCH_RESULT)
		waiter_ended(w, message);
	ldap_msgfree(message);
	return type > 0;
}

static int
waiter_run(struct waiter *w, struct err *err)
{
	int64_t left, ms;
	int rc;

	for (;;) {
		rc = mark_differs(w, err);
		if (rc != 0)
			return rc;
		left = w->deadline - clock_mono_ms();
		if (left <= 0)
			return 0;
		ms = w->msgid < 0 ? WAIT_POLL_MS : WAIT_LOOK_MS;
		if (waiter_listen(w, left < ms ? left : ms, err) < 0)
			return -1;
	}
}

int
feed_wait(struct session *session, const struct dialect *dialect,
    const struct feed_wait_options *options, struct err *err)
{
	struct waiter w = {.session = session,
	    .dialect = dialect,
	    .base = options->base,
	    .mark = options->mark,
	    .deadline = clock_mono_ms() + options->timeout_ms,
	    .msgid = -1};
	int rc;

	rc = waiter_register(&w, err);
	if (rc == 0)
		rc = waiter_run(&w, err);
	if (w.msgid >= 0)
		ldap_abandon_ext(session_handle(session), w.msgid, NULL, NULL);
	return rc;
}
