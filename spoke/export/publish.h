/*
 * Telling the hub: replica -> manifest -> section -> envelope -> out box. One
 * pending message a policy; its signed bytes are kept in STATE/pending and sent
 * again unchanged until the hub's holding shows them. Nothing is sent while the
 * hub holds what we hold and the manifest is young. PROTOCOL.md "Publishing".
 */
#ifndef SPOKE_EXPORT_PUBLISH_H
#define SPOKE_EXPORT_PUBLISH_H

#include "common/replica/replica.h"
#include "spoke/spoke.h"

enum publish_state {
	PUBLISH_NOTHING,     /* never had an object */
	PUBLISH_HELD_BY_HUB, /* the hub has it all */
	PUBLISH_SENT,        /* a new message lies in the out box */
	PUBLISH_RESENT,      /* the pending one was put there again */
	PUBLISH_PENDING      /* it lies there still */
};

struct publish_result {
	enum publish_state state;
	uint64_t version, count, base;
	bool section;   /* with content, not a manifest alone */
	uint64_t bytes; /* envelope and section of the pending message */
};

/* Targets take a stream only under its member's name. Class config. */
int publish_tag_check(const struct spoke *spoke,
    const struct export_policy *policy, struct err *err) ERR_WUR;

/* Replica first, then store, then spool: a run killed anywhere is completed by
 * the next. The replica's manifest is re-signed when content, tag, audience or
 * signing key changed or a third of its lifetime has passed. */
int publish_run(struct spoke *spoke, const struct export_policy *policy,
    struct replica *replica, struct publish_result *out_result,
    struct err *err) ERR_WUR;

/* Takes the pending message out of the out box: what it says may not be meant
 * any more. The next publish_run() puts it back, or another. */
int publish_withdraw(struct spoke *spoke, const struct export_policy *policy,
    struct err *err) ERR_WUR;

/* What the hub's last holding, as the store has it, says of the pending
 * message. Stale: it holds something else than the message was made for, so
 * that another must be made. */
enum publish_answer {
	PUBLISH_UNANSWERED,
	PUBLISH_ACKNOWLEDGED,
	PUBLISH_STALE,
	PUBLISH_REFUSED /* store_own.hub_refusal says why */
};
int publish_look(struct spoke *spoke, const struct export_policy *policy,
    struct replica *replica, enum publish_answer *out_answer,
    struct err *err) ERR_WUR;

const char *publish_state_name(enum publish_state state);

#endif
