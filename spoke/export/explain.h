/* Why somebody is or is not exported. FEATURES E16. */
#ifndef SPOKE_EXPORT_EXPLAIN_H
#define SPOKE_EXPORT_EXPLAIN_H

#include "spoke/conf.h"

struct explain_options {
	bool json;
	bool attributes; /* and what is, or would be, sent of him (preview.h) */
};

/* Every entry of the forest with that address, and what each export policy
 * makes of it, by which entry of `from`. Prints on stdout and gives the exit
 * code: EXIT_FAILED when there is none. Nothing is written. */
int explain_address(const struct spoke_conf *conf, const char *address,
    const struct explain_options *options);

#endif
