/* How much an export would send, and why not more. FEATURES E16. */
#ifndef SPOKE_EXPORT_COUNT_H
#define SPOKE_EXPORT_COUNT_H

#include "spoke/conf.h"

/* Kinds by reasons, and what would be exported. Prints on stdout and gives the
 * exit code. Nothing is written. */
int count_policy(const struct spoke_conf *conf, const char *name, bool json);

#endif
