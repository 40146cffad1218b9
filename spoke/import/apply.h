/*
 * Applying a plan: renames, modifications, deletions, what waited for one of
 * those (moves.h), additions, each kind behind a barrier. A change leaves the
 * plan when the directory has answered; what it refuses goes into quarantine
 * with the attribute named, and never stops the rest. Dying anywhere is
 * harmless: the next run surveys again.
 */
#ifndef SPOKE_IMPORT_APPLY_H
#define SPOKE_IMPORT_APPLY_H

#include "common/ldap/dialect.h"
#include "spoke/import/import.h"
#include "spoke/import/importdb.h"

/* Counts what was done into the result. *out_again: a name was in use that the
 * survey does not show; it is noted, and another plan takes another. -1 when
 * the connection was lost: what was written stays, the rest waits for the next
 * run.
 */
int apply_run(struct session *session, struct importdb *db,
    struct import_result *out_result, bool *out_again, struct err *err) ERR_WUR;

#endif
