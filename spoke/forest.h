/*
 * The forest as this spoke reads it: every naming context that holds people,
 * each with a session to its own controller and that server's dialect, and the
 * global catalogue for what crosses domains. Nothing is opened before it is
 * asked for, but the first controller. FEATURES E18.
 *
 *	at = forest_find(forest, dn);
 *	if (at != FOREST_NONE)
 *		rc = forest_context(forest, at, &context, err);
 *	else
 *		rc = forest_catalogue(forest, &context, err);
 *
 * Contexts may share one session (the databases of one slapd) or have one each
 * (the domains of Active Directory). A controller that cannot be reached is an
 * error, never a forest without that context.
 */
#ifndef SPOKE_FOREST_H
#define SPOKE_FOREST_H

#include "common/ldap/stamp.h"
#include "spoke/conf.h"

#define FOREST_NONE SIZE_MAX

struct forest;
struct reference_cache;

/* Where a naming context is read. Belongs to the forest, and stays the same
 * until it is closed. */
struct forest_context {
	const char *dn; /* of the naming context; "": the global catalogue */
	struct session *session;
	struct dialect *dialect;
};

/* Connects to the first controller and finds which naming contexts there are.
 * conf is borrowed. Errors as session_open() and dialect_open(). */
int forest_open(const struct spoke_conf *conf, struct forest **out_forest,
    struct err *err) ERR_WUR;
/* Closes all sessions. NULL is legal. */
void forest_close(struct forest *forest);

/* Naming contexts, at least one; index 0 is on the first controller. */
size_t forest_count(const struct forest *forest);
/* The DN of a naming context; asks no server. */
const char *forest_dn(const struct forest *forest, size_t index);
/* The context that holds this DN, by its longest suffix; FOREST_NONE when it
 * lies outside of all, or in one that is switched off. Asks no server. */
size_t forest_find(const struct forest *forest, const char *dn);
/* Connects when that is still to be done. The error names the context, every
 * URI that was tried, why each failed, and the cure. */
int forest_context(struct forest *forest, size_t index,
    const struct forest_context **out_context, struct err *err) ERR_WUR;
/* Dialect and session of the first controller. The others speak it too, so that
 * filters and entries of any context may be made and read with it. */
struct dialect *forest_dialect(const struct forest *forest);
struct session *forest_session(const struct forest *forest);
/* For messages: the URI at which the context of this DN is read, or its DN
 * while it is not connected. */
const char *forest_where(const struct forest *forest, const char *dn);
/* The context that holds this DN, connected. Class config when none does; the
 * message names the contexts that there are, and the cure. */
int forest_context_of(struct forest *forest, const char *dn,
    const struct forest_context **out_context, struct err *err) ERR_WUR;
/* A second connection to the server that forest_context() gives. What is asked
 * while a search there is read waits for nothing, and does not have the rest of
 * its page, which may be lists of thousands of members, gather in memory. */
int forest_session_aside(struct forest *forest, size_t index,
    struct session **out_session, struct err *err) ERR_WUR;
/* Active Directory: has the forest more domains than one, whether or not they
 * are looked into? */
bool forest_spans_domains(const struct forest *forest);
/* For names that may lie in any of the contexts, asked for aside; the caller
 * frees it, before the forest. */
struct reference_cache *forest_reference_cache(struct forest *forest);
/* The global catalogue (read-only, of each object only the attributes of the
 * partial set, base "" means the whole forest): 1; 0 there is none, which is
 * so on OpenLDAP; -1 it cannot be reached. */
int forest_catalogue(struct forest *forest,
    const struct forest_context **out_context, struct err *err) ERR_WUR;

/* A mark over every server that is connected (dialect_mark()). now: as they
 * are at this moment, else as they were when each was connected, so that what
 * was read since is covered. out stays empty when one server has no mark. */
int forest_mark(
    struct forest *forest, bool now, struct buf *out, struct err *err) ERR_WUR;
/* Is a mark that was kept still the mark of the servers that it names? They
 * are connected for that. An empty one never is. */
int forest_mark_holds(struct forest *forest, struct slice mark, bool *out_holds,
    struct err *err) ERR_WUR;
/* Is a connected server at an earlier state than that mark? Then it is a state
 * that its change feed may take for the one that we hold. */
bool forest_mark_went_back(const struct forest *forest, struct slice mark);

/* What forest_reach() gave when the forest was read last, or nothing: each
 * server is compared with it as it is connected. Before anything is read. */
int forest_expect(
    struct forest *forest, struct slice reach, struct err *err) ERR_WUR;
/* A server that lacks something that the one in its place had: half a sentence
 * that names both; NULL: none that is known of. */
const char *forest_behind(struct forest *forest);
/* Appends how far the data goes that was read of the connected servers; of the
 * others what was expected. deleted: see reach_take(). */
int forest_reach(struct forest *forest, bool deleted, struct buf *out,
    struct err *err) ERR_WUR;
/* Was this entry, which its context's server gave with stamp_attribute(),
 * written since that mark was taken? */
enum stamp_answer forest_written(const struct forest *forest,
    const struct search_entry *entry, struct slice mark);

#endif
