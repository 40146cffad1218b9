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

#include "common/ldap/dialect.h"
#include "spoke/conf.h"

#define FOREST_NONE SIZE_MAX

struct forest;

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
 * lies outside of all. Asks no server. */
size_t forest_find(const struct forest *forest, const char *dn);
/* Connects when that is still to be done. The error names the context, every
 * URI that was tried, why each failed, and the cure. */
int forest_context(struct forest *forest, size_t index,
    const struct forest_context **out_context, struct err *err) ERR_WUR;
/* The global catalogue (read-only, of each object only the attributes of the
 * partial set, base "" means the whole forest): 1; 0 there is none, which is
 * so on OpenLDAP; -1 it cannot be reached. */
int forest_catalogue(struct forest *forest,
    const struct forest_context **out_context, struct err *err) ERR_WUR;

#endif
