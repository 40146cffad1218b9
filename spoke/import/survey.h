/*
 * The survey: everything that a plan needs to know of the target directory,
 * read once into the import database. A survey that does not reach its end
 * leaves the former one as it was and no plan follows.
 */
#ifndef SPOKE_IMPORT_SURVEY_H
#define SPOKE_IMPORT_SURVEY_H

#include "spoke/forest.h"
#include "spoke/import/importdb.h"

struct survey_options {
	struct forest *forest;
	struct session *session; /* of the context of the import OU */
	const struct dialect *dialect;
	const char *into; /* DN of the import OU */
	struct id realm;
	unsigned page_size;
};

/* Reads all addresses of the forest (claims, nicknames; of other domains of
 * Active Directory from the global catalogue) and everything below
 * the import OU (names, and those contacts that carry our provenance). Inside
 * the caller's transaction. Class config when the OU is not there. */
int survey_run(const struct survey_options *options, struct importdb *db,
    struct err *err) ERR_WUR;

#endif
