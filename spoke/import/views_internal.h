/* Shared by views.c and views_address.c. */
#ifndef SPOKE_IMPORT_VIEWS_INTERNAL_H
#define SPOKE_IMPORT_VIEWS_INTERNAL_H

#include "spoke/import/views.h"

/* Fills primary, smtp and other of the contact with what its member may use,
 * nothing twice, and never the contact's own legacyExchangeDN. */
enum views_reason views_addresses(const struct views_options *options,
    const struct object *object, struct slice legacy, struct arena *arena,
    struct views_contact *contact);

#endif
