/*
 * Change feeds: which objects of a naming context were touched since last time.
 * A feed never supplies content: what it names is read whole by its id. Four
 * kinds behind one interface:
 *
 *   dirsync   AD: DirSync control (MS-ADTS 3.1.1.3.4.1.3); object security when
 *             the account lacks the right
 *   usn       AD: uSNChanged, on the same domain controller only
 *   syncrepl  RFC 4533 refreshOnly, with and without session log
 *   full      knows nothing
 *
 *   feed_open ── feed_step … 1 ── 0 ── feed_answer ── TOUCHED: those were all
 *                                          ├── SWEEP: what was neither changed
 *                                          │   nor present is gone
 *                                          └── FULL: read everything; why
 *
 * feed_cookie() is then where to go on. It was taken before the answer, so that
 * nothing written meanwhile is missed, and is to be kept only together with
 * what was read: a cookie without its data loses changes.
 *
 * Not reported: entries below a container that was renamed or moved (the
 * container is), objects that hold the DN of a renamed one, and what went out
 * of the account's sight. A full read now and then proves the feed right.
 */
#ifndef COMMON_LDAP_FEED_H
#define COMMON_LDAP_FEED_H

#include "common/base/id.h"
#include "common/ldap/dialect.h"

/* What a cookie may take. */
#define FEED_COOKIE_MAX ((size_t)256 << 10)

enum feed_kind {
	FEED_AUTO, /* the cookie's, else the best that the server gives */
	FEED_DIRSYNC,
	FEED_USN,
	FEED_SYNCREPL,
	FEED_FULL,
	FEED_KIND_COUNT
};

enum feed_event {
	FEED_CHANGED, /* added, modified, renamed, moved, undeleted */
	FEED_DELETED,
	FEED_PRESENT /* exists; only the answer SWEEP gives it a meaning */
};

enum feed_answer {
	FEED_ANSWER_NONE, /* not at the end */
	FEED_ANSWER_TOUCHED,
	FEED_ANSWER_SWEEP,
	FEED_ANSWER_FULL
};

struct feed_touched {
	struct id id;
	enum feed_event event;
	const char *dn; /* valid until the next step; NULL: not known */
};

struct feed_options {
	const char *base; /* a naming context of the dialect */
	enum feed_kind kind;
	struct slice cookie; /* what feed_cookie() gave; empty: none */
	int64_t timeout_ms;  /* all steps together; 0: ten minutes */
};

struct feed;

/* Nothing is asked of the server before the first step. Session and dialect
 * are borrowed. Class config when a set kind is not of this dialect. */
int feed_open(struct session *session, const struct dialect *dialect,
    const struct feed_options *options, struct feed **out_feed,
    struct err *err) ERR_WUR;
/* 1: *out_touched filled, an id may come several times; 0: the end, ask
 * feed_answer(); -1: the connection died, the server was busy or answered
 * nonsense: nothing that came counts. What a server refuses is no error but
 * the answer FULL. */
int feed_step(struct feed *feed, struct feed_touched *out_touched,
    struct err *err) ERR_WUR;
enum feed_answer feed_answer(const struct feed *feed);
/* Why everything must be read; "" with another answer. */
const char *feed_reason(const struct feed *feed);
/* The kind at work; FEED_FULL when there is none. */
enum feed_kind feed_kind(const struct feed *feed);
/* Appends the cookie to keep; nothing with FEED_FULL. At the end only. */
int feed_cookie(
    const struct feed *feed, struct buf *out, struct err *err) ERR_WUR;
/* Abandons what is under way. NULL is legal. */
void feed_close(struct feed *feed);

struct feed_wait_options {
	const char *base; /* a naming context of the dialect */
	struct slice
	    mark; /* what dialect_mark() gave before the last reading */
	int64_t timeout_ms;
};

/* Waits until the directory's mark is another: 1; 0 when the time is over; -1,
 * when the connection died. By AD's change notification or RFC 4533
 * refreshAndPersist; a server that refuses is asked every second. The mark also
 * moves for what no policy reads. */
int feed_wait(struct session *session, const struct dialect *dialect,
    const struct feed_wait_options *options, struct err *err) ERR_WUR;

/* "auto", "dirsync", "usn", "syncrepl", "full". Static storage. */
const char *feed_kind_name(enum feed_kind kind);

#endif
