/*
 * How far the data of one server goes, so that another one that takes over, or
 * the same after a restore, can be asked whether it has all of it. A reach is a
 * text to be kept:
 *
 *   OpenLDAP  the mark: servers of one directory share their CSNs
 *   AD        invocationId:uSNChanged of what was written last to the naming
 *             context, and the objects that this was. Another controller's
 *             up-to-dateness vector (replUpToDateVector of the context's head,
 *             MS-DRSR 5.166) says up to which number of that server it has
 *             everything. Where it says nothing, those objects must be there,
 *             as new.
 *
 * highestCommittedUSN would not do for AD: it also counts what is written to
 * other contexts, and no cursor of this one ever reaches that.
 */
#ifndef COMMON_LDAP_REACH_H
#define COMMON_LDAP_REACH_H

#include "common/ldap/dialect.h"

#define REACH_MAX 8192

struct reach_server {
	struct session *session;
	const struct dialect *dialect;
	const char *base; /* DN of the naming context */
};

/* Appends the reach of a server whose data was read just now. before: a reach
 * that may be of the same server, or empty. deleted: something was deleted,
 * which leaves no trace for most accounts. Nothing is appended where the
 * account cannot read it. */
int reach_take(const struct reach_server *server, struct slice before,
    bool deleted, struct buf *out, struct err *err) ERR_WUR;
/* Does this server, whose dialect_mark() is `mark`, lack something of a reach?
 * 1 it does, or does not show that it has it; then out_why is filled (half a
 * sentence for people); 0; -1. To be asked before it is read: it may catch up
 * meanwhile. */
int reach_lacks(const struct reach_server *server, struct slice mark,
    struct slice reach, struct buf *out_why, struct err *err) ERR_WUR;

struct reach_cursor {
	uint64_t usn;     /* everything up to it was received */
	int64_t heard_ms; /* Unix ms; 0: not told */
};

/* The cursor of the controller with this invocationId (16 bytes, as they stand
 * in the directory) in a value of replUpToDateVector: UPTODATE_VECTOR_V1_EXT or
 * V2_EXT, MS-DRSR 5.208 and 5.209. false: there is none, or it is malformed. */
bool reach_vector_find(struct slice vector, struct slice invocation,
    struct reach_cursor *out_cursor);

#endif
