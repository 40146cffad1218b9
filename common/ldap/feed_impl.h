/* What the kinds of feeds share. */
#ifndef COMMON_LDAP_FEED_IMPL_H
#define COMMON_LDAP_FEED_IMPL_H

#include <ldap.h>

#include "common/ldap/feed.h"

/* Machines write themselves often and are never exported. */
#define FEED_AD_FILTER "(!(objectClass=computer))"
#define FEED_PAGE 1000
#define FEED_IDENTITY_MAX 4096
/* Deleted objects that a cookie remembers. */
#define FEED_WITNESS_MAX 64

enum feed_state {
	FEED_NEW,
	FEED_RUNNING, /* a search is under way */
	FEED_ENDED,
	FEED_FAILED
};

struct feed {
	struct session *session;
	const struct dialect *dialect;
	char *base;
	enum feed_kind wanted; /* as set */
	enum feed_kind kind;   /* at work */
	enum feed_state state;
	enum feed_answer answer;
	char reason[512];
	int64_t deadline; /* monotonic */

	/* Who answered last time and how far; empty position: first time. */
	struct buf old_identity, old_position;
	/* The same now: becomes the cookie. */
	struct buf identity, position;

	/* dirsync, syncrepl: the search under way. */
	int msgid;
	LDAPMessage *message;
	char *dn;
	bool object_security, placing, got;
	bool samba; /* filters DirSync by the account's rights */
	bool gap;   /* deletions are not all told */

	/* usn, and the sweep of dirsync */
	struct search *search;
	int phase;
	uint64_t since, highest;

	/* syncrepl: ids of a syncIdSet still to be handed out */
	struct id *ids;
	size_t id_count, id_next;
	enum feed_event id_event;
	struct id deleted[FEED_WITNESS_MAX]; /* the first of those told */
	size_t deleted_count;                /* may be more */
};

/* The end of a feed that cannot answer. Returns 0. */
int feed_refuse(struct feed *feed, const char *format, ...) ERR_PRINTF(2, 3);
/* Is this refusal of the server a matter of the feed, so that reading
 * everything may succeed; or would that fail as well? */
bool feed_code_refusal(int code);
/* The next message of feed->msgid, within answer and overall time. Returns its
 * type, or -1 (state is then FAILED). */
int feed_receive(
    struct feed *feed, LDAPMessage **out_message, struct err *err) ERR_WUR;
int feed_fail(
    struct feed *feed, int code, const char *diagnostic, struct err *err);
int feed_bad(struct feed *feed, const char *cause, struct err *err);
/* The answer that ends a search, and frees the message. *out_diagnostic may be
 * NULL; to be freed, as the controls. */
int feed_result(struct feed *feed, LDAPMessage *message, int *out_code,
    char **out_diagnostic, LDAPControl ***out_controls, struct err *err);

/* AD: invocationId (hex) as identity, and highestCommittedUSN. 1 found, 0 the
 * account may not read them, and the feed is refused, -1. */
int feed_ad_identity(struct feed *feed, struct err *err) ERR_WUR;
/* May the account read what was deleted? 1, 0, -1. */
int feed_ad_sees_deleted(struct feed *feed, struct err *err) ERR_WUR;
char *feed_ad_deleted_base(const struct feed *feed);
/* A syncrepl cookie for where the server stands now, into an empty buffer. 1,
 * 0 there is no contextCSN to be seen, -1. */
int feed_syncrepl_position(struct session *session, const char *base,
    struct buf *out, struct err *err) ERR_WUR;
/* syncrepl, see feed_witness.c. Is the server still what the old cookie saw? 1,
 * 0, -1; asked when all is told. */
int feed_witness_check(struct feed *feed, struct err *err) ERR_WUR;
/* The witness of the new position, as identity. */
int feed_witness_take(struct feed *feed, struct err *err) ERR_WUR;
/* The feed tells of this deletion. */
void feed_witness_deleted(struct feed *feed, const struct id *id);
/* Every id of the context as PRESENT. 1, 0 the end, -1. */
int feed_ad_sweep_open(struct feed *feed, struct err *err) ERR_WUR;
int feed_ad_sweep_step(
    struct feed *feed, struct feed_touched *out, struct err *err) ERR_WUR;

/* First step: checks the old position, or takes a new one and ends with FULL.
 * 1 go on, 0 ended, -1. */
int feed_dirsync_begin(struct feed *feed, struct err *err) ERR_WUR;
int feed_usn_begin(struct feed *feed, struct err *err) ERR_WUR;
int feed_syncrepl_begin(struct feed *feed, struct err *err) ERR_WUR;
/* Later steps: as feed_step(). */
int feed_dirsync_step(
    struct feed *feed, struct feed_touched *out, struct err *err) ERR_WUR;
int feed_usn_step(
    struct feed *feed, struct feed_touched *out, struct err *err) ERR_WUR;
int feed_syncrepl_step(
    struct feed *feed, struct feed_touched *out, struct err *err) ERR_WUR;

#endif
