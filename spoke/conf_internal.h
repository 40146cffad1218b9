/* Shared by conf.c, conf_audience.c, conf_directory.c and conf_export.c. */
#ifndef SPOKE_CONF_INTERNAL_H
#define SPOKE_CONF_INTERNAL_H

#include "spoke/conf.h"

extern const struct conf_table conf_directory_table;
extern const struct conf_table conf_export_table;
extern const struct conf_table conf_member_group_table;

/* A copy of the exports takes their place, to be completed. */
int conf_exports_copy(struct spoke_conf *conf, struct export_policy **out_list,
    struct err *err) ERR_WUR;

/* Replaces the groups in audiences by their members. Class config when there is
 * no such group, or two of one name. */
int conf_audience_expand(struct spoke_conf *conf, struct err *err) ERR_WUR;

/* conf_check_fn: a policy or member name, a distinguished name. */
int conf_check_name(
    const struct conf_row *row, const void *field, struct err *err);
int conf_check_dn(
    const struct conf_row *row, const void *field, struct err *err);

#endif
