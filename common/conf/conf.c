#include "common/conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <libconfig.h>
#include <sys/stat.h>
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/conf/value.h"

static const char *const type_names[] = {
    [CONF_STRING] = "string",
    [CONF_BOOL] = "boolean",
    [CONF_INT] = "number",
    [CONF_DURATION] = "duration",
    [CONF_SIZE] = "size",
    [CONF_PATH] = "path",
    [CONF_SECRET] = "path",
    [CONF_ENUM] = "name",
    [CONF_STRINGS] = "list of strings",
    [CONF_GROUP] = "group",
    [CONF_GROUPS] = "list of groups",
    [CONF_LINE] = "line",
};
_Static_assert(sizeof(type_names) / sizeof(type_names[0]) == CONF_TYPE_COUNT,
    "every type has a name");

/* What stays the same while one file is read. */
struct load {
	const char *path;
	bool may_hold_secrets; /* a file that only its owner can reach */
	struct value_source source;
};

const char *
conf_type_name(enum conf_type type)
{
	return (unsigned int)type < CONF_TYPE_COUNT ? type_names[type] : "?";
}

static unsigned int
setting_line(const config_setting_t *setting)
{
	unsigned int line = config_setting_source_line(setting);

	/* The root group begins with the file. */
	return line == 0 ? 1 : line;
}

/* Puts file, line and key before the message of err; returns -1. The class
 * stays: a configuration that does not fit in memory is class limit. */
static int
load_fail(const struct load *load, const config_setting_t *setting,
    const char *key, struct err *err)
{
	return err_prepend(err, "%s:%u: key \"%.64s\"", load->path,
	    setting_line(setting), key);
}

static bool
value_from_setting(const config_setting_t *setting, struct value *out)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		out->kind = VALUE_TEXT;
		out->text = slice_str(config_setting_get_string(setting));
		return true;
	case CONFIG_TYPE_INT:
		out->kind = VALUE_NUMBER;
		out->number = config_setting_get_int(setting);
		return true;
	case CONFIG_TYPE_INT64:
		out->kind = VALUE_NUMBER;
		out->number = config_setting_get_int64(setting);
		return true;
	case CONFIG_TYPE_BOOL:
		out->kind = VALUE_TRUTH;
		out->truth = config_setting_get_bool(setting) != 0;
		return true;
	default:
		return false;
	}
}

static int
load_scalar(const struct load *load, const struct conf_row *row,
    const config_setting_t *setting, void *field, struct err *err)
{
	struct value value = {VALUE_TEXT, SLICE_NULL, 0, false};

	if (!value_from_setting(setting, &value))
		return err_set(
		    err, ERR_CONFIG, "is not a %s", conf_type_name(row->type));
	if (row->secret && !load->may_hold_secrets)
		return err_set(err, ERR_CONFIG,
		    "is a secret, and others can read this file; run: "
		    "chmod 600 %s",
		    load->path);
	return value_store(&load->source, row, &value, field, err);
}

/* Counts the items of a list and checks the count against the row. */
static int
list_count(const struct conf_row *row, const config_setting_t *setting,
    size_t *out_count, struct err *err)
{
	int64_t max = row->max == 0 ? CONF_ITEMS_MAX : row->max;
	int n = config_setting_length(setting);

	if (n < row->min)
		return err_set(err, ERR_CONFIG,
		    "has %d items, but needs at least %lld", n,
		    (long long)row->min);
	if (n > max)
		return err_set(err, ERR_CONFIG,
		    "has %d items, but may have %lld at most", n,
		    (long long)max);
	*out_count = (size_t)n;
	return 0;
}

static bool
is_list(const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
}

static int
load_item(const struct load *load, const struct conf_row *row,
    struct slice text, const char **item, struct err *err)
{
	if (value_copy_text(&load->source, text, 1, 0, item, err) != 0)
		return -1;
	return row->check == NULL ? 0 : row->check(row, item, err);
}

/* A list of texts; a single text is a list of one. A NULL setting is the row's
 * default. */
static int
load_strings(const struct load *load, const struct conf_row *row,
    const config_setting_t *setting, uint8_t *base, struct err *err)
{
	const char **items;
	size_t count = 1;

	if (setting == NULL && row->text == NULL)
		return 0;
	if (setting != NULL && is_list(setting) &&
	    list_count(row, setting, &count, err) != 0)
		return -1;
	if (count == 0)
		return 0;
	items = arena_calloc(load->source.arena, count, sizeof(*items));
	if (items == NULL)
		return err_set(err, ERR_LIMIT, "configuration is too large");
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *one = setting;
		const char *text = row->text;

		if (setting != NULL && is_list(setting))
			one = config_setting_get_elem(setting, (unsigned int)i);
		if (one != NULL) {
			if (config_setting_type(one) != CONFIG_TYPE_STRING)
				return err_set(err, ERR_CONFIG,
				    "is not a list of strings; write [ \"a\", "
				    "\"b\" ]");
			text = config_setting_get_string(one);
		}
		if (load_item(load, row, slice_str(text), &items[i], err) != 0)
			return err_prepend(err, "item %zu", i + 1);
	}
	memcpy(base + row->offset, &items, sizeof(items));
	memcpy(base + row->count_offset, &count, sizeof(count));
	return 0;
}

static int load_group(const struct load *load, const struct conf_table *table,
    const config_setting_t *setting, uint8_t *base, struct err *err);

static int
load_groups(const struct load *load, const struct conf_row *row,
    const config_setting_t *setting, uint8_t *base, struct err *err)
{
	bool list = is_list(setting);
	size_t count = 1;
	uint8_t *groups;

	if (list && list_count(row, setting, &count, err) != 0)
		return load_fail(load, setting, row->key, err);
	if (count == 0)
		return 0;
	groups = arena_calloc(load->source.arena, count, row->table->size);
	if (groups == NULL) {
		err_set(err, ERR_LIMIT, "configuration is too large");
		return load_fail(load, setting, row->key, err);
	}
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *one =
		    list ? config_setting_get_elem(setting, (unsigned int)i)
			 : setting;

		if (config_setting_type(one) != CONFIG_TYPE_GROUP) {
			err_set(err, ERR_CONFIG,
			    "is not a list of groups; write ( { ... } )");
			return load_fail(load, one, row->key, err);
		}
		if (load_group(load, row->table, one,
			groups + i * row->table->size, err) != 0)
			return -1;
	}
	memcpy(base + row->offset, &groups, sizeof(groups));
	memcpy(base + row->count_offset, &count, sizeof(count));
	return 0;
}

/* The defaults of a group that the file does not have. */
static int
default_group(const struct load *load, const struct conf_table *table,
    uint8_t *base, struct err *err)
{
	for (size_t i = 0; i < table->row_count; i++) {
		const struct conf_row *row = &table->rows[i];
		int rc = 0;

		if (row->type == CONF_GROUP)
			rc = default_group(
			    load, row->table, base + row->offset, err);
		else if (row->type == CONF_STRINGS)
			rc = load_strings(load, row, NULL, base, err);
		else if (row->type != CONF_GROUPS && row->type != CONF_LINE)
			rc = value_store_default(
			    &load->source, row, base + row->offset, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* A row that the group does not have: its default, or an error. */
static int
load_missing(const struct load *load, const struct conf_table *table,
    const struct conf_row *row, uint8_t *base, struct err *err)
{
	if (row->required)
		return err_set(err, ERR_CONFIG,
		    "is missing from %s; add this %s", table->name,
		    conf_type_name(row->type));
	if (row->type == CONF_GROUP)
		return default_group(load, row->table, base + row->offset, err);
	if (row->type == CONF_STRINGS)
		return load_strings(load, row, NULL, base, err);
	if (row->type == CONF_GROUPS)
		return 0;
	return value_store_default(&load->source, row, base + row->offset, err);
}

static int
load_row(const struct load *load, const struct conf_table *table,
    const struct conf_row *row, const config_setting_t *group, uint8_t *base,
    struct err *err)
{
	const config_setting_t *setting;

	if (row->type == CONF_LINE) {
		unsigned int line = setting_line(group);

		INVARIANT(row->size == sizeof(line));
		memcpy(base + row->offset, &line, sizeof(line));
		return 0;
	}
	setting = config_setting_get_member(group, row->key);
	if (setting == NULL) {
		if (load_missing(load, table, row, base, err) != 0)
			return load_fail(load, group, row->key, err);
		return 0;
	}
	if (row->type == CONF_GROUPS)
		return load_groups(load, row, setting, base, err);
	if (row->type == CONF_GROUP) {
		if (config_setting_type(setting) == CONFIG_TYPE_GROUP)
			return load_group(
			    load, row->table, setting, base + row->offset, err);
		err_set(err, ERR_CONFIG, "is not a group; write { ... }");
		return load_fail(load, setting, row->key, err);
	}
	if (row->type == CONF_STRINGS) {
		if (load_strings(load, row, setting, base, err) != 0)
			return load_fail(load, setting, row->key, err);
		return 0;
	}
	if (load_scalar(load, row, setting, base + row->offset, err) != 0)
		return load_fail(load, setting, row->key, err);
	return 0;
}

static bool
table_has(const struct conf_table *table, const char *key)
{
	for (size_t i = 0; i < table->row_count; i++)
		if (table->rows[i].type != CONF_LINE &&
		    strcmp(table->rows[i].key, key) == 0)
			return true;
	return false;
}

/* Every key of the group must be a row. */
static int
check_keys(const struct load *load, const struct conf_table *table,
    const config_setting_t *group, struct err *err)
{
	int n = config_setting_length(group);

	for (int i = 0; i < n; i++) {
		const config_setting_t *setting =
		    config_setting_get_elem(group, (unsigned int)i);
		const char *key = config_setting_name(setting);
		const char *nearest;

		if (table_has(table, key))
			continue;
		nearest = value_nearest(key, table);
		if (nearest != NULL)
			err_set(err, ERR_CONFIG,
			    "is unknown in %s; did you mean \"%s\"?",
			    table->name, nearest);
		else
			err_set(err, ERR_CONFIG,
			    "is unknown in %s; see galrelay(5) or remove it",
			    table->name);
		return load_fail(load, setting, key, err);
	}
	return 0;
}

/* Recursion is as deep as the tables, which are constant. */
static int
load_group(const struct load *load, const struct conf_table *table,
    const config_setting_t *setting, uint8_t *base, struct err *err)
{
	memset(base, 0, table->size);
	if (check_keys(load, table, setting, err) != 0)
		return -1;
	for (size_t i = 0; i < table->row_count; i++)
		if (load_row(
			load, table, &table->rows[i], setting, base, err) != 0)
			return -1;
	if (table->check != NULL && table->check(base, err) != 0)
		return err_prepend(err, "%s:%u: %s", load->path,
		    setting_line(setting), table->name);
	return 0;
}

/* What libconfig's lexer would follow or stop at. */
static int
check_text(struct slice text, const char *path, struct err *err)
{
	unsigned int number = 1;

	if (slice_find(text, 0) != SIZE_MAX || !slice_is_utf8(text))
		return err_set(err, ERR_CONFIG,
		    "%s: is not UTF-8 text; save the file as UTF-8", path);
	while (text.len > 0) {
		size_t end = slice_find(text, '\n');
		struct slice line = slice_trim(slice_sub(text, 0, end));

		if (slice_starts_case(line, SLICE_LIT("@include")))
			return err_set(err, ERR_CONFIG,
			    "%s:%u: @include is not supported; write the "
			    "options here, or a file of their own in "
			    "policies.d",
			    path, number);
		if (end == SIZE_MAX)
			break;
		text = slice_sub(text, end + 1, SIZE_MAX);
		number++;
	}
	return 0;
}

static int
load_text(struct load *load, const char *text, const struct conf_table *table,
    void *out_struct, struct err *err)
{
	config_t config;
	const char *why;
	int rc = -1;

	config_init(&config);
	if (config_read_string(&config, text) != CONFIG_TRUE) {
		why = config_error_text(&config);
		err_set(err, ERR_CONFIG, "%s:%d: %s; %s", load->path,
		    config_error_line(&config),
		    why == NULL ? "cannot be parsed" : why,
		    why != NULL && strncmp(why, "duplicate", 9) == 0
			? "what this line sets was set before: take one away"
			: "check quotes, brackets and the ; at the end of the "
			  "line before");
		goto out;
	}
	rc = load_group(
	    load, table, config_root_setting(&config), out_struct, err);
out:
	config_destroy(&config);
	return rc;
}

static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int
parse_bytes(struct load *load, struct slice text,
    const struct conf_table *table, void *out_struct, struct err *err)
{
	char *dir = dir_of(load->path);
	char *copy =
	    mem_strndup(text.len == 0 ? "" : (const char *)text.data, text.len);
	int rc = -1;

	load->source.dir = dir;
	if (check_text(text, load->path, err) == 0)
		rc = load_text(load, copy, table, out_struct, err);
	explicit_bzero(copy, strlen(copy));
	free(copy);
	free(dir);
	return rc;
}

int
conf_parse(struct slice text, const char *path, const struct conf_table *table,
    void *out_struct, struct arena *arena, struct err *err)
{
	struct load load = {.path = path, .source = {.arena = arena}};

	return parse_bytes(&load, text, table, out_struct, err);
}

int
conf_load(const char *path, const struct conf_table *table, void *out_struct,
    struct arena *arena, struct err *err)
{
	struct load load = {.path = path, .source = {.arena = arena}};
	struct stat st;
	struct buf text;
	int rc = -1;

	buf_init(&text, CONF_FILE_MAX);
	if (stat(path, &st) != 0) {
		err_set_errno(
		    err, ERR_CONFIG, "cannot read configuration %s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_CONFIG,
		    "configuration %s is not a regular file", path);
		goto out;
	}
	if (fsio_read(path, &text, err) != 0) {
		/* A person has to mend it, whatever it is. */
		if (err != NULL)
			err->class = ERR_CONFIG;
		goto out;
	}
	load.may_hold_secrets = (st.st_mode & 077) == 0;
	rc = parse_bytes(&load, buf_slice(&text), table, out_struct, err);
out:
	buf_cleanse(&text);
	return rc;
}

static int
is_conf_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       slice_ends_case(slice_str(entry->d_name), SLICE_LIT(".conf"));
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int
conf_dir_list(const char *dir, struct arena *arena,
    const char *const **out_paths, size_t *out_count, struct err *err)
{
	struct dirent **entries = NULL;
	const char **paths = NULL;
	int rc = -1;
	int n = scandir(dir, &entries, is_conf_name, by_bytes);

	*out_paths = NULL;
	*out_count = 0;
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return err_set_errno(
		    err, ERR_CONFIG, "cannot read directory %s", dir);
	if (n > CONF_FILES_MAX) {
		err_set(err, ERR_LIMIT, "%s has %d files, but may have %d", dir,
		    n, CONF_FILES_MAX);
		goto out;
	}
	paths = arena_calloc(arena, (size_t)n, sizeof(*paths));
	for (int i = 0; i < n && paths != NULL; i++) {
		char *path = fsio_join(dir, entries[i]->d_name);

		paths[i] = arena_strdup(arena, path);
		free(path);
		if (paths[i] == NULL)
			paths = NULL;
	}
	if (paths == NULL) {
		err_set(err, ERR_LIMIT, "%s: configuration is too large", dir);
		goto out;
	}
	*out_paths = n == 0 ? NULL : (const char *const *)paths;
	*out_count = (size_t)n;
	rc = 0;
out:
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return rc;
}

static int
walk(const struct conf_table *table, const char *prefix, int depth,
    conf_walk_fn *fn, void *arg)
{
	int rc = 0;

	INVARIANT(depth < CONF_DEPTH_MAX);
	for (size_t i = 0; i < table->row_count && rc == 0; i++) {
		const struct conf_row *row = &table->rows[i];
		char *path;

		if (row->type == CONF_LINE)
			continue;
		path = mem_printf(
		    "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", row->key);
		rc = fn(path, row, arg);
		if (rc == 0 &&
		    (row->type == CONF_GROUP || row->type == CONF_GROUPS))
			rc = walk(row->table, path, depth + 1, fn, arg);
		free(path);
	}
	return rc;
}

int
conf_table_walk(const struct conf_table *table, conf_walk_fn *fn, void *arg)
{
	return walk(table, "", 0, fn, arg);
}
