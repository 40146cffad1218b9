/* Shared by import.c (runs) and import_notes.c (what is left to say). */
#ifndef SPOKE_IMPORT_INTERNAL_H
#define SPOKE_IMPORT_INTERNAL_H

#include "spoke/import.h"

/* STATE/import-POLICY.db; the caller frees. */
char *import_db_path(
    const struct spoke_conf *conf, const struct import_policy *policy);

#endif
