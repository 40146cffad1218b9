/*
 * Reaching the servers that hold one naming context: at the URIs that the
 * configuration gives, in order, or at those that DNS names (SRV records).
 */
#ifndef SPOKE_CONTROLLER_H
#define SPOKE_CONTROLLER_H

#include "spoke/conf.h"

/* Everything is borrowed. */
struct controller {
	const char *setting; /* for people: "directory" or "domains: DC=..." */
	const char *const *uris;
	size_t uri_count;
	const char *domain; /* DNS name, for when no URI answers; NULL */
	bool catalogue;     /* of that forest, not a controller */
	/* What differs from the directory's; NULL. */
	const char *ca_file;
	const char *user;
	const char *password_file;
};

/* The servers of directory.uri or directory.domain. */
struct controller controller_first(const struct spoke_directory *directory);

/* Connects to the first server that answers; the log says which did not. The
 * error names the setting, every URI tried and why it failed: temporary
 * (unreachable), config (credentials, certificate, no SRV record). */
int controller_open(const struct spoke_directory *directory,
    const struct controller *controller, struct session **out_session,
    struct err *err) ERR_WUR;

#endif
