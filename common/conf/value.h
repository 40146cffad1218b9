/* One value of a configuration: from text, number or truth to the field that
 * its row names. Messages are without file, line and key: conf.c adds them. */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include "common/conf/conf.h"

struct value_source {
	const char *dir; /* where relative paths start */
	struct arena *arena;
};

enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_TRUTH };

struct value {
	enum value_kind kind;
	struct slice text;
	int64_t number;
	bool truth;
};

/* Checks type, range and form, and stores into field. Not for lists and
 * groups. Texts are copied into the arena. Class config. */
int value_store(const struct value_source *source, const struct conf_row *row,
    const struct value *value, void *field, struct err *err) ERR_WUR;

/* The row's default, which must be right: a wrong one is class internal. */
int value_store_default(const struct value_source *source,
    const struct conf_row *row, void *field, struct err *err) ERR_WUR;

/* A text of 1 to max bytes, UTF-8 without control characters, copied into the
 * arena. Class config. */
int value_copy_text(const struct value_source *source, struct slice text,
    int64_t min, int64_t max, const char **out_text, struct err *err) ERR_WUR;

/* Of a key that is not known: the row whose key is nearest, or NULL when none
 * looks like it. */
const char *value_nearest(const char *key, const struct conf_table *table);

#endif
