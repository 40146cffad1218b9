#include "common/ldap/feed_impl.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/reader.h"
#include "common/ldap/dialect_impl.h"

/*
 * The cookie that is kept, all numbers big-endian:
 *
 *   u32 FEED_MAGIC | u8 kind | 3 x (u32 length, bytes): base, identity,
 * position
 *
 * identity: which server answered (AD: invocationId; a restored or another
 * domain controller has another), or a witness (feed_witness.c). position: the
 * feed's own.
 */
#define FEED_MAGIC 0x67616631u /* "gaf1" */
#define FEED_TIMEOUT_MS (10 * CLOCK_MINUTE_MS)

static const char *const kind_names[] = {
    [FEED_AUTO] = "auto",
    [FEED_DIRSYNC] = "dirsync",
    [FEED_USN] = "usn",
    [FEED_SYNCREPL] = "syncrepl",
    [FEED_FULL] = "full",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == FEED_KIND_COUNT,
    "every kind has its name");

const char *
feed_kind_name(enum feed_kind kind)
{
	return kind < FEED_KIND_COUNT ? kind_names[kind] : "unknown";
}

enum feed_kind
feed_kind(const struct feed *feed)
{
	return feed->kind;
}

enum feed_answer
feed_answer(const struct feed *feed)
{
	return feed->state == FEED_ENDED ? feed->answer : FEED_ANSWER_NONE;
}

const char *
feed_reason(const struct feed *feed)
{
	return feed->reason;
}

static void
add_part(struct buf *out, struct slice part)
{
	buf_add_u32be(out, (uint32_t)part.len);
	buf_add(out, part);
}

int
feed_cookie(const struct feed *feed, struct buf *out, struct err *err)
{
	INVARIANT(feed->state == FEED_ENDED);
	if (feed->kind == FEED_FULL || feed->position.len == 0)
		return 0;
	buf_add_u32be(out, FEED_MAGIC);
	buf_add_byte(out, (uint8_t)feed->kind);
	add_part(out, slice_str(feed->base));
	add_part(out, buf_slice(&feed->identity));
	add_part(out, buf_slice(&feed->position));
	return buf_check(out, "feed cookie", err);
}

/* Takes the kept cookie over. One that is not ours counts as none. */
static void
cookie_take(struct feed *feed, struct slice cookie)
{
	struct slice base, identity, position;
	struct reader r;
	uint32_t magic;
	uint8_t kind;

	reader_init(&r, cookie);
	magic = reader_u32be(&r);
	kind = reader_u8(&r);
	base = reader_take(&r, reader_u32be(&r));
	identity = reader_take(&r, reader_u32be(&r));
	position = reader_take(&r, reader_u32be(&r));
	if (!reader_done(&r) || magic != FEED_MAGIC || kind <= FEED_AUTO ||
	    kind >= FEED_FULL || !slice_equal_case(base, slice_str(feed->base)))
		return;
	if (feed->wanted == FEED_AUTO)
		feed->kind = kind;
	else if (feed->wanted != (enum feed_kind)kind)
		return;
	buf_add(&feed->old_identity, identity);
	buf_add(&feed->old_position, position);
}

/* Is the kind one of this directory's? */
static bool
kind_fits(const struct feed *feed, enum feed_kind kind)
{
	switch (kind) {
	case FEED_AUTO:
	case FEED_FULL:
		return true;
	case FEED_DIRSYNC:
	case FEED_USN:
		return dialect_is_ad(feed->dialect);
	case FEED_SYNCREPL:
		return !dialect_is_ad(feed->dialect);
	case FEED_KIND_COUNT:
		break;
	}
	return false;
}

int
feed_open(struct session *session, const struct dialect *dialect,
    const struct feed_options *options, struct feed **out_feed, struct err *err)
{
	struct feed *feed = mem_calloc(1, sizeof(*feed));
	int64_t ms = options->timeout_ms;

	*out_feed = NULL;
	feed->session = session;
	feed->dialect = dialect;
	feed->base = mem_strdup(options->base);
	feed->wanted = feed->kind = options->kind;
	feed->deadline = clock_mono_ms() + (ms > 0 ? ms : FEED_TIMEOUT_MS);
	feed->msgid = -1;
	buf_init(&feed->old_identity, FEED_IDENTITY_MAX);
	buf_init(&feed->identity, FEED_IDENTITY_MAX);
	buf_init(&feed->old_position, FEED_COOKIE_MAX);
	buf_init(&feed->position, FEED_COOKIE_MAX);
	if (options->cookie.len > 0)
		cookie_take(feed, options->cookie);
	if (!kind_fits(feed, feed->kind)) {
		err_set(err, ERR_CONFIG,
		    "%s: feed is set to %s, but the server is %s: use auto",
		    session_uri(session), feed_kind_name(feed->kind),
		    dialect_kind_name(dialect_kind(dialect)));
		feed_close(feed);
		return -1;
	}
	*out_feed = feed;
	return 0;
}

void
feed_close(struct feed *feed)
{
	if (feed == NULL)
		return;
	if (feed->msgid >= 0)
		ldap_abandon_ext(
		    session_handle(feed->session), feed->msgid, NULL, NULL);
	ldap_msgfree(feed->message);
	ldap_memfree(feed->dn);
	search_close(feed->search);
	buf_fini(&feed->old_identity);
	buf_fini(&feed->old_position);
	buf_fini(&feed->identity);
	buf_fini(&feed->position);
	free(feed->ids);
	free(feed->base);
	free(feed);
}

/* --- what the kinds share --- */

int
feed_refuse(struct feed *feed, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(feed->reason, sizeof(feed->reason), format, args);
	va_end(args);
	feed->answer = FEED_ANSWER_FULL;
	feed->state = FEED_ENDED;
	return 0;
}

int
feed_fail(struct feed *feed, int code, const char *diagnostic, struct err *err)
{
	char *what = mem_printf(
	    "%s feed of \"%s\"", feed_kind_name(feed->kind), feed->base);

	feed->state = FEED_FAILED;
	session_error(feed->session, code, diagnostic, err, what);
	free(what);
	return -1;
}

int
feed_result(struct feed *feed, LDAPMessage *message, int *out_code,
    char **out_diagnostic, LDAPControl ***out_controls, struct err *err)
{
	int parsed;

	feed->msgid = -1;
	parsed = ldap_parse_result(session_handle(feed->session), message,
	    out_code, NULL, out_diagnostic, NULL, out_controls, 1);
	return parsed == LDAP_SUCCESS
		   ? 0
		   : feed_fail(feed, parsed, "malformed result", err);
}

int
feed_bad(struct feed *feed, const char *cause, struct err *err)
{
	feed->state = FEED_FAILED;
	return err_set(err, ERR_BAD_DATA, "%s: %s feed of \"%s\": %s",
	    session_uri(feed->session), feed_kind_name(feed->kind), feed->base,
	    cause);
}

bool
feed_code_refusal(int code)
{
	switch (code) {
	case LDAP_SERVER_DOWN:
	case LDAP_TIMEOUT:
	case LDAP_CONNECT_ERROR:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_STRONG_AUTH_REQUIRED:
	case LDAP_INVALID_CREDENTIALS:
		return false;
	default:
		return code > 0;
	}
}

int
feed_receive(struct feed *feed, LDAPMessage **out_message, struct err *err)
{
	LDAP *ld = session_handle(feed->session);
	int64_t left = feed->deadline - clock_mono_ms();
	int64_t ms = session_timeout_ms(feed->session);
	struct timeval timeout;
	int type, code = LDAP_SERVER_DOWN;

	if (left < ms)
		ms = left;
	if (ms <= 0)
		return feed_fail(feed, LDAP_TIMEOUT,
		    "the feed took longer than it may", err);
	timeout = (struct timeval){ms / 1000, ms % 1000 * 1000};
	type =
	    ldap_result(ld, feed->msgid, LDAP_MSG_ONE, &timeout, out_message);
	if (type > 0)
		return type;
	if (type == 0)
		return feed_fail(feed, LDAP_TIMEOUT, "", err);
	ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
	feed->msgid = -1;
	return feed_fail(feed, code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code,
	    "the connection died before the final result", err);
}

/* --- stepping --- */

static int
begin_kind(struct feed *feed, struct err *err)
{
	switch (feed->kind) {
	case FEED_DIRSYNC:
		return feed_dirsync_begin(feed, err);
	case FEED_USN:
		return feed_usn_begin(feed, err);
	case FEED_SYNCREPL:
		return feed_syncrepl_begin(feed, err);
	case FEED_AUTO:
	case FEED_FULL:
	case FEED_KIND_COUNT:
		break;
	}
	return feed_refuse(feed, "no feed is set");
}

static enum feed_kind
kind_next(const struct feed *feed, enum feed_kind kind)
{
	if (!dialect_is_ad(feed->dialect))
		return kind == FEED_AUTO ? FEED_SYNCREPL : FEED_FULL;
	return kind == FEED_AUTO      ? FEED_DIRSYNC
	       : kind == FEED_DIRSYNC ? FEED_USN
				      : FEED_FULL;
}

/* With auto: the first kind that gives at least a position to go on from. */
static int
feed_begin(struct feed *feed, struct err *err)
{
	int rc;

	if (feed->kind == FEED_AUTO)
		feed->kind = kind_next(feed, FEED_AUTO);
	for (;;) {
		rc = begin_kind(feed, err);
		if (rc != 0 || feed->kind == FEED_FULL ||
		    feed->position.len > 0 || feed->wanted != FEED_AUTO)
			return rc;
		feed->kind = kind_next(feed, feed->kind);
		buf_reset(&feed->old_position);
		buf_reset(&feed->old_identity);
		buf_reset(&feed->identity);
		if (feed->kind == FEED_FULL)
			return 0; /* the last reason stays */
		feed->state = FEED_NEW;
	}
}

int
feed_step(struct feed *feed, struct feed_touched *out, struct err *err)
{
	int rc = 0;

	if (feed->state == FEED_FAILED)
		return err_set(err, ERR_INTERNAL, "step of a feed that failed");
	if (feed->state == FEED_NEW) {
		rc = feed_begin(feed, err);
		if (rc < 0)
			feed->state = FEED_FAILED;
		if (rc <= 0)
			return rc;
		feed->state = FEED_RUNNING;
	}
	if (feed->state == FEED_ENDED)
		return 0;
	*out = (struct feed_touched){.event = FEED_CHANGED};
	if (feed->kind == FEED_DIRSYNC)
		rc = feed_dirsync_step(feed, out, err);
	else if (feed->kind == FEED_USN)
		rc = feed_usn_step(feed, out, err);
	else
		rc = feed_syncrepl_step(feed, out, err);
	if (rc < 0)
		feed->state = FEED_FAILED;
	if (rc == 0 && feed->state == FEED_RUNNING) {
		feed->answer =
		    feed->gap ? FEED_ANSWER_SWEEP : FEED_ANSWER_TOUCHED;
		feed->state = FEED_ENDED;
	}
	return rc;
}
