/* `galspoke check`: tries configuration, identity, directory, rights, clock and
 * hub, and says of each thing that is wrong what to do. */
#ifndef SPOKE_CHECK_H
#define SPOKE_CHECK_H

#include "spoke/conf.h"

/* Prints a line (or a JSON object) for each thing tried. EXIT_DONE when all is
 * well, EXIT_PARTLY when only warnings were found, EXIT_FAILED otherwise. */
int check_run(const struct spoke_conf *conf, bool json);

#endif
