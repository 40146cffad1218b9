/*
 * Table, sample and galrelay(5) say the same: every row is in both documents
 * with its type, default and range, and neither document has anything that is
 * no row. Tests run from the top of the tree.
 */
#ifndef TESTS_UNIT_CONF_DOCUMENT_H
#define TESTS_UNIT_CONF_DOCUMENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <ctype.h>
#include <libconfig.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"

#define MAN_PAGE "common/conf/galrelay.5"
#define DOCUMENT_MAX 1048576

struct document {
	const char *section; /* of the man page, with ".Sh " */
	const char *table;   /* heading of the rows that are in no group */
	struct buf man;      /* that section alone */
	size_t rows;
	/* Sample files with their examples switched on, parsed. */
	config_t samples[2];
	struct buf texts[2];
	size_t sample_count;
};

static inline void
document_read(struct buf *out, const char *path)
{
	struct err err;

	buf_init(out, DOCUMENT_MAX);
	if (fsio_read(path, out, &err) != 0)
		fail_msg("%s", err.message);
}

/* Cuts the section out of the man page. */
static inline void
document_open_man(struct document *d)
{
	struct buf all;
	char *start;
	char *end;

	document_read(&all, MAN_PAGE);
	start = strstr(buf_cstr(&all), d->section);
	assert_non_null(start);
	end = strstr(start + 1, "\n.Sh ");
	assert_non_null(end);
	buf_init(&d->man, DOCUMENT_MAX);
	buf_add(&d->man, slice_make(start, (size_t)(end - start) + 1));
	buf_fini(&all);
}

/* An example line is "#key = ...": no blank between, a letter behind. Blanks
 * take the place of the #, so that lines keep their numbers. */
static inline void
document_switch_on(struct buf *text)
{
	bool fresh = true;

	for (size_t i = 0; i + 1 < text->len; i++) {
		if (fresh && text->data[i] == '#' && islower(text->data[i + 1]))
			text->data[i] = ' ';
		fresh =
		    text->data[i] == '\n' || (fresh && text->data[i] == '\t');
	}
}

static inline void
document_add_sample(struct document *d, const char *path)
{
	config_t *config = &d->samples[d->sample_count];
	struct buf *text = &d->texts[d->sample_count];
	struct buf switched;

	document_read(text, path);
	buf_init(&switched, DOCUMENT_MAX);
	buf_add(&switched, buf_slice(text));
	document_switch_on(&switched);
	config_init(config);
	if (config_read_string(config, buf_cstr(&switched)) != CONFIG_TRUE)
		fail_msg("%s:%d: %s", path, config_error_line(config),
		    config_error_text(config));
	buf_fini(&switched);
	d->sample_count++;
}

static inline void
document_close(struct document *d)
{
	buf_fini(&d->man);
	for (size_t i = 0; i < d->sample_count; i++) {
		config_destroy(&d->samples[i]);
		buf_fini(&d->texts[i]);
	}
}

/* The lines of a row's item in the man page, in a new string; NULL: none. */
static inline char *
document_item(
    const struct document *d, const char *path, const struct conf_row *row)
{
	const char *dot = strrchr(path, '.');
	char *heading =
	    dot == NULL ? mem_printf("\n.Ss %s\n", d->table)
			: mem_printf("\n.Ss %.*s\n", (int)(dot - path), path);
	char *line = mem_printf(
	    "\n.It Ic %s Ar %s\n", row->key, conf_type_name(row->type));
	char *text = mem_strndup((const char *)d->man.data, d->man.len);
	char *group = strstr(text, heading);
	char *item = NULL;
	char *end;

	if (group != NULL) {
		end = strstr(group + 1, "\n.Ss ");
		if (end != NULL)
			end[1] = '\0';
		item = strstr(group, line);
	}
	if (item != NULL) {
		item = mem_strdup(item + strlen(line) - 1);
		end = strstr(item, "\n.It ");
		if (end == NULL)
			end = strstr(item, "\n.El");
		assert_non_null(end);
		end[1] = '\0';
	}
	free(text);
	free(line);
	free(heading);
	return item;
}

static inline void
document_expect(const char *path, const char *item, const char *text)
{
	if (strstr(item, text) == NULL)
		fail_msg(
		    "%s: galrelay(5) lacks \"%s\" in:%s", path, text, item);
}

static inline void
document_check_range(
    const char *path, const struct conf_row *row, const char *item)
{
	bool numeric = row->type == CONF_INT || row->type == CONF_DURATION ||
		       row->type == CONF_SIZE;
	char low[CONF_VALUE_TEXT_SIZE];
	char high[CONF_VALUE_TEXT_SIZE];
	char *text;

	if ((row->min == 0 && row->max == 0) ||
	    (!numeric && row->type != CONF_STRINGS && row->type != CONF_GROUPS))
		return;
	(void)conf_format_value(row->type, row->min, low);
	(void)conf_format_value(row->type, row->max, high);
	if (numeric && row->max >= INT32_MAX && row->type == CONF_INT)
		text = mem_printf("\n%s or more", low);
	else if (numeric && row->max == INT64_MAX)
		text = mem_printf("\n%s or more", low);
	else
		text = mem_printf(
		    "\nFrom %s to %s%s", low, high, numeric ? "" : " items");
	document_expect(path, item, text);
	free(text);
}

static inline int
document_check_man(const char *path, const struct conf_row *row, void *arg)
{
	struct document *d = arg;
	char *item = document_item(d, path, row);
	char *text;

	if (item == NULL)
		fail_msg("%s: not in %s of galrelay(5), or not as %s", path,
		    d->section, conf_type_name(row->type));
	if (row->text != NULL) {
		text = mem_printf("default is\n.Ql %s .\n", row->text);
		document_expect(path, item, text);
		free(text);
	} else if (strstr(item, "default is\n") != NULL) {
		fail_msg("%s: galrelay(5) has a default", path);
	}
	if (row->required != (strstr(item, "\nRequired.\n") != NULL))
		fail_msg("%s: required or not?", path);
	for (const struct conf_name *n = row->names;
	     n != NULL && n->name != NULL; n++) {
		text = mem_printf(".Cm %s", n->name);
		document_expect(path, item, text);
		free(text);
	}
	document_check_range(path, row, item);
	free(item);
	d->rows++;
	return 0;
}

static inline size_t
document_count(const struct buf *text, const char *what)
{
	size_t count = 0;
	char *copy = mem_strndup((const char *)text->data, text->len);

	for (const char *at = copy; (at = strstr(at, what)) != NULL; at++)
		count++;
	free(copy);
	return count;
}

static inline void
document_compare_man(struct document *d, const struct conf_table *table)
{
	d->rows = 0;
	(void)conf_table_walk(table, document_check_man, d);
	assert_true(d->rows > 10);
	assert_int_equal(document_count(&d->man, "\n.It "), d->rows);
}

/* The setting of a row in a sample, in whichever group of a list has it. */
static inline config_setting_t *
document_setting_in(config_setting_t *at, const char *path)
{
	const char *dot = strchr(path, '.');
	char *key = mem_strndup(
	    path, dot == NULL ? strlen(path) : (size_t)(dot - path));
	config_setting_t *found = NULL;

	if (config_setting_is_list(at)) {
		for (int i = 0; i < config_setting_length(at); i++)
			if (found == NULL)
				found = document_setting_in(
				    config_setting_get_elem(at, (unsigned)i),
				    path);
	} else if (config_setting_is_group(at)) {
		found = config_setting_get_member(at, key);
		if (found != NULL && dot != NULL)
			found = document_setting_in(found, dot + 1);
	}
	free(key);
	return found;
}

static inline config_setting_t *
document_setting(const config_t *config, const char *path)
{
	return document_setting_in(config_root_setting(config), path);
}

/* Is that line of the file an example? */
static inline bool
document_switched_off(const struct buf *text, unsigned int line)
{
	struct slice rest = buf_slice(text);

	while (--line > 0)
		rest = slice_sub(rest, slice_find(rest, '\n') + 1, SIZE_MAX);
	rest = slice_trim(slice_sub(rest, 0, slice_find(rest, '\n')));
	return rest.len > 0 && rest.data[0] == '#';
}

/* Is the whole group that this is in an example? */
static inline bool
document_group_off(const struct buf *text, const config_setting_t *setting)
{
	const config_setting_t *group = config_setting_parent(setting);

	return !config_setting_is_root(group) &&
	       document_switched_off(text, config_setting_source_line(group));
}

static inline char *
document_value(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		return mem_strdup(config_setting_get_string(setting));
	case CONFIG_TYPE_BOOL:
		return mem_strdup(
		    config_setting_get_bool(setting) ? "true" : "false");
	case CONFIG_TYPE_INT:
		return mem_printf("%d", config_setting_get_int(setting));
	default:
		return mem_strdup("?");
	}
}

static inline int
document_check_sample(const char *path, const struct conf_row *row, void *arg)
{
	struct document *d = arg;
	const config_setting_t *setting = NULL;
	size_t i;
	char *value;

	for (i = 0; i < d->sample_count && setting == NULL; i++)
		setting = document_setting(&d->samples[i], path);
	if (setting == NULL)
		fail_msg("%s: not in the sample", path);
	if (row->type == CONF_GROUP || row->type == CONF_GROUPS)
		return 0;
	if (!document_switched_off(
		&d->texts[i - 1], config_setting_source_line(setting)))
		return 0;
	if (row->required && !document_group_off(&d->texts[i - 1], setting))
		fail_msg("%s: required, but switched off in the sample", path);
	value = document_value(setting);
	if (row->text != NULL && strcmp(value, row->text) != 0)
		fail_msg("%s: default is %s, the sample says %s", path,
		    row->text, value);
	free(value);
	return 0;
}

static inline void
document_compare_samples(struct document *d, const struct conf_table *table)
{
	(void)conf_table_walk(table, document_check_sample, d);
}

/* Copies a sample, with its examples switched on if wanted, into dir, where
 * /etc/galrelay of the sample becomes dir. Returns the path, to be freed. */
static inline char *
document_copy_sample(
    const char *from, const char *dir, const char *name, bool switch_on)
{
	static const char place[] = "\"/etc/galrelay/";
	char *path = fsio_join(dir, name);
	struct buf text;
	struct buf out;
	struct err err;
	const char *at;

	document_read(&text, from);
	if (switch_on)
		document_switch_on(&text);
	buf_init(&out, DOCUMENT_MAX);
	at = buf_cstr(&text);
	for (const char *hit; (hit = strstr(at, place)) != NULL;) {
		buf_add(&out, slice_make(at, (size_t)(hit - at)));
		buf_addf(&out, "\"%s/", dir);
		at = hit + sizeof(place) - 1;
	}
	buf_add_str(&out, at);
	assert_int_equal(fsio_write(path, buf_slice(&out), 0600, &err), 0);
	buf_fini(&out);
	buf_fini(&text);
	return path;
}

#endif
