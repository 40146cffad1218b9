/* What a person asks of an export before it runs: how much would go out, and
 * why somebody does or does not. FEATURES E16. */
#ifndef SPOKE_COUNT_H
#define SPOKE_COUNT_H

#include "spoke/conf.h"

/* Each prints on stdout and gives the exit code. Nothing is written. */

/* Kinds by reasons, and what would be exported. */
int count_policy(const struct spoke_conf *conf, const char *name, bool json);
/* Every entry of the forest with that address, and what each export policy
 * makes of it, by which entry of `from`. EXIT_FAILED when there is none. */
int count_explain(
    const struct spoke_conf *conf, const char *address, bool json);

#endif
