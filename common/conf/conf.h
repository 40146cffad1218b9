/*
 * Configuration through tables. A file format is a constant table with one row
 * an option; conf_load() reads a libconfig file through it into a plain struct.
 * Nothing is accepted that no row names. Every mistake is class config with
 *
 *	FILE:LINE: key "x": what is wrong; cure
 *
 *	struct shop {
 *		const char *name;
 *		int64_t every_ms;
 *		enum colour colour;
 *		const char *const *tags;
 *		size_t tag_count;
 *		const struct item *items;
 *		size_t item_count;
 *		struct till till;
 *	};
 *	static const struct conf_name colours[] = {
 *		{"red", COLOUR_RED}, {"green", COLOUR_GREEN}, {NULL, 0}};
 *	static const struct conf_row shop_rows[] = {
 *		{"name", CONF_STRING, CONF_FIELD(struct shop, name),
 *		    .required = true, .max = 64},
 *		{"every", CONF_DURATION, CONF_FIELD(struct shop, every_ms),
 *		    .text = "15m", .min = CLOCK_MINUTE_MS,
 *		    .max = CLOCK_DAY_MS},
 *		{"colour", CONF_ENUM, CONF_FIELD(struct shop, colour),
 *		    .names = colours, .text = "red"},
 *		{"tags", CONF_STRINGS, CONF_FIELD(struct shop, tags),
 *		    CONF_COUNT(struct shop, tag_count), .max = 16},
 *		{"item", CONF_GROUPS, CONF_FIELD(struct shop, items),
 *		    CONF_COUNT(struct shop, item_count),
 *		    .table = &item_table, .max = 100},
 *		{"till", CONF_GROUP, CONF_FIELD(struct shop, till),
 *		    .table = &till_table},
 *	};
 *	const struct conf_table shop_table = CONF_TABLE(
 *	    "shop.conf", struct shop, shop_rows);
 *
 * Export the tables of a program (no "static" before the struct conf_table), so
 * that tests can compare them with the samples and galrelay(5).
 */
#ifndef COMMON_CONF_CONF_H
#define COMMON_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define CONF_FILE_MAX 1048576 /* bytes: policies of 1,000 tags fit */
#define CONF_STRING_MAX 1024  /* bytes of a string without a .max of its own */
#define CONF_ITEMS_MAX 256    /* of a list without a .max of its own */
#define CONF_FILES_MAX 256    /* *.conf in one directory */
#define CONF_DEPTH_MAX 8      /* groups within groups */

enum conf_type {
	CONF_STRING,   /* const char *; min and max are its bytes */
	CONF_BOOL,     /* bool */
	CONF_INT,      /* any integer field; min and max inclusive */
	CONF_DURATION, /* "15m", "1h30m", "0": milliseconds in int64_t */
	CONF_SIZE,     /* "64M" or 1000: bytes; K, M, G, T of 1024 */
	CONF_PATH,     /* const char *; relative to the file's directory */
	CONF_SECRET,   /* as path, of a file that only its owner can reach */
	CONF_ENUM,     /* an enum field; one of .names, where true and false
			* need no quotes */
	CONF_STRINGS,  /* const char *const *, and the count */
	CONF_GROUP,    /* a struct by value; its defaults when it is missing */
	CONF_GROUPS,   /* const struct x *, and the count */
	CONF_LINE,     /* unsigned: line where the group begins; key "" */
	CONF_TYPE_COUNT
};

struct conf_name {
	const char *name; /* NULL ends the list */
	int value;
};

struct conf_row;

/* More to say about one value than its range: field points at what was stored.
 * Returns -1 with class config and a message without file and key. */
typedef int conf_check_fn(
    const struct conf_row *row, const void *field, struct err *err);
/* The same for a whole group, after all its rows; may also complete it. */
typedef int conf_check_group_fn(void *group, struct err *err);

struct conf_row {
	const char *key;
	enum conf_type type;
	size_t offset; /* CONF_FIELD */
	size_t size;
	size_t count_offset; /* CONF_COUNT: a size_t */
	const char *text;    /* default as a person would write it without
			      * quotes; a list has it as its only item; NULL:
			      * zero, NULL, none */
	int64_t min;         /* of value, ms, bytes, or items; */
	int64_t max;         /* min = max = 0 is no bound of its own */
	const struct conf_name *names;
	const struct conf_table *table;
	conf_check_fn *check;
	bool required;
	bool secret; /* a string that makes the file itself a secret (0600) */
};

struct conf_table {
	const char *name; /* of the file or group, for people */
	size_t size;      /* of the struct that is filled */
	const struct conf_row *rows;
	size_t row_count;
	conf_check_group_fn *check;
};

#define CONF_FIELD(type, member)                                               \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define CONF_COUNT(type, member) .count_offset = offsetof(type, member)
#define CONF_TABLE(text, type, list)                                           \
	{                                                                      \
		.name = (text), .size = sizeof(type), .rows = (list),          \
		.row_count = sizeof(list) / sizeof((list)[0])                  \
	}
#define CONF_TABLE_CHECK(text, type, list, function)                           \
	{                                                                      \
		.name = (text), .size = sizeof(type), .rows = (list),          \
		.row_count = sizeof(list) / sizeof((list)[0]),                 \
		.check = (function)                                            \
	}

/* Reads path into out_struct (table->size bytes, overwritten). All texts and
 * arrays in it belong to the arena. An empty list is NULL with count 0; a
 * missing string without default NULL. @include is refused. After a failure the
 * contents of out_struct must not be used. */
int conf_load(const char *path, const struct conf_table *table,
    void *out_struct, struct arena *arena, struct err *err) ERR_WUR;

/* The same for text in memory; path names it in messages, and relative paths
 * start at its directory. A string row with .secret is refused here. */
int conf_parse(struct slice text, const char *path,
    const struct conf_table *table, void *out_struct, struct arena *arena,
    struct err *err) ERR_WUR;

/* Paths "dir/NAME.conf" in byte order of their names; files that begin with a
 * dot are left out. A missing directory is an empty list. More than
 * CONF_FILES_MAX is class limit. */
int conf_dir_list(const char *dir, struct arena *arena,
    const char *const **out_paths, size_t *out_count, struct err *err) ERR_WUR;

/* "90s", "1h30m", "2d", "1w", "0"; every number needs its unit. Class config.
 */
int conf_parse_duration(
    struct slice text, int64_t *out_ms, struct err *err) ERR_WUR;
/* "1000", "64K", "1M", "2G", "1T". Class config. */
int conf_parse_size(
    struct slice text, int64_t *out_bytes, struct err *err) ERR_WUR;

/* A bound of a row as a person would write it: "1h", "64M", "100". text must
 * hold CONF_VALUE_TEXT_SIZE bytes; returns it. */
#define CONF_VALUE_TEXT_SIZE 48
const char *conf_format_value(enum conf_type type, int64_t value, char *text);

/* Calls fn for every row, groups before what is in them. path is dotted, as in
 * "export.from.ou". Stops at the first value that is not 0 and returns it. */
typedef int conf_walk_fn(
    const char *path, const struct conf_row *row, void *arg);
int conf_table_walk(
    const struct conf_table *table, conf_walk_fn *fn, void *arg);

/* The type in a person's words, e.g. "duration". Static storage. */
const char *conf_type_name(enum conf_type type);

#endif
