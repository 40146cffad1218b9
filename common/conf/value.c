#include "common/conf/value.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"

#define KEY_MAX 63

static const struct {
	const char *unit;
	int64_t ms;
} duration_units[] = {
    {"ms", 1},
    {"s", CLOCK_SECOND_MS},
    {"m", CLOCK_MINUTE_MS},
    {"h", CLOCK_HOUR_MS},
    {"d", CLOCK_DAY_MS},
    {"w", 7 * CLOCK_DAY_MS},
};

static const struct {
	char unit;
	int64_t bytes;
} size_units[] = {
    {'K', INT64_C(1) << 10},
    {'M', INT64_C(1) << 20},
    {'G', INT64_C(1) << 30},
    {'T', INT64_C(1) << 40},
};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Takes the digits at the start of *text. False: none, or above 2^63-1. */
static bool
take_digits(struct slice *text, int64_t *out)
{
	int64_t v = 0;
	size_t n = 0;

	while (n < text->len && text->data[n] >= '0' && text->data[n] <= '9') {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, text->data[n] - '0', &v))
			return false;
		n++;
	}
	*text = slice_sub(*text, n, SIZE_MAX);
	*out = v;
	return n > 0;
}

/* Takes a unit of time from *text; 0 when there is none. */
static int64_t
take_duration_unit(struct slice *text)
{
	size_t n = 0;

	while (n < text->len && (text->data[n] < '0' || text->data[n] > '9'))
		n++;
	for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
		if (slice_equal(slice_sub(*text, 0, n),
			slice_str(duration_units[i].unit))) {
			*text = slice_sub(*text, n, SIZE_MAX);
			return duration_units[i].ms;
		}
	}
	return 0;
}

int
conf_parse_duration(struct slice text, int64_t *out_ms, struct err *err)
{
	struct slice rest = slice_trim(text);
	int64_t sum = 0;

	if (slice_equal(rest, SLICE_LIT("0"))) {
		*out_ms = 0;
		return 0;
	}
	do {
		int64_t unit;
		int64_t v;

		if (!take_digits(&rest, &v))
			goto bad;
		unit = take_duration_unit(&rest);
		if (unit == 0 || __builtin_mul_overflow(v, unit, &v) ||
		    __builtin_add_overflow(sum, v, &sum))
			goto bad;
	} while (rest.len > 0);
	*out_ms = sum;
	return 0;
bad:
	return err_set(err, ERR_CONFIG,
	    "is not a duration; write numbers with units s, m, h, d or w, as "
	    "in \"90s\", \"15m\" or \"1h30m\"");
}

int
conf_parse_size(struct slice text, int64_t *out_bytes, struct err *err)
{
	struct slice rest = slice_trim(text);
	int64_t unit = 1;
	int64_t v;

	if (!take_digits(&rest, &v))
		goto bad;
	if (rest.len == 1) {
		unit = 0;
		for (size_t i = 0; i < COUNT_OF(size_units); i++)
			if ((char)rest.data[0] == size_units[i].unit)
				unit = size_units[i].bytes;
	}
	if (rest.len > 1 || unit == 0 || __builtin_mul_overflow(v, unit, &v))
		goto bad;
	*out_bytes = v;
	return 0;
bad:
	return err_set(err, ERR_CONFIG,
	    "is not a size; write bytes, or a number with K, M, G or T, as in "
	    "\"64M\"");
}

const char *
conf_format_value(enum conf_type type, int64_t v, char *text)
{
	if (type == CONF_DURATION) {
		for (size_t i = COUNT_OF(duration_units); i-- > 0;) {
			if (v == 0 || v % duration_units[i].ms != 0)
				continue;
			(void)snprintf(text, CONF_VALUE_TEXT_SIZE, "%lld%s",
			    (long long)(v / duration_units[i].ms),
			    duration_units[i].unit);
			return text;
		}
	}
	if (type == CONF_SIZE) {
		for (size_t i = COUNT_OF(size_units); i-- > 0;) {
			if (v == 0 || v % size_units[i].bytes != 0)
				continue;
			(void)snprintf(text, CONF_VALUE_TEXT_SIZE, "%lld%c",
			    (long long)(v / size_units[i].bytes),
			    size_units[i].unit);
			return text;
		}
	}
	(void)snprintf(text, CONF_VALUE_TEXT_SIZE, "%lld", (long long)v);
	return text;
}

static int
store_integer(
    const struct conf_row *row, int64_t v, void *field, struct err *err)
{
	bool bounded = row->min != 0 || row->max != 0;
	char low[CONF_VALUE_TEXT_SIZE];
	char high[CONF_VALUE_TEXT_SIZE];
	char text[CONF_VALUE_TEXT_SIZE];

	if (bounded && (v < row->min || v > row->max))
		return err_set(err, ERR_CONFIG,
		    "%s is out of range; it may be from %s to %s",
		    conf_format_value(row->type, v, text),
		    conf_format_value(row->type, row->min, low),
		    conf_format_value(row->type, row->max, high));
	/* Without bounds nothing is negative: all such options are counts,
	 * times and sizes. */
	if (!bounded && v < 0)
		return err_set(err, ERR_CONFIG, "is negative; write 0 or more");
	if (row->size == sizeof(int64_t)) {
		memcpy(field, &v, sizeof(v));
	} else if (row->size == sizeof(int32_t)) {
		/* An unsigned field with a maximum above 2^31 keeps its bits.
		 */
		uint32_t narrow = (uint32_t)v;

		if (v > UINT32_MAX || v < INT32_MIN)
			return err_set(err, ERR_CONFIG, "is too large");
		memcpy(field, &narrow, sizeof(narrow));
	} else if (row->size == sizeof(uint16_t)) {
		uint16_t narrow = (uint16_t)v;

		if (v > UINT16_MAX || v < INT16_MIN)
			return err_set(err, ERR_CONFIG, "is too large");
		memcpy(field, &narrow, sizeof(narrow));
	} else {
		INVARIANT(row->size == sizeof(int64_t));
	}
	return 0;
}

static bool
has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return true;
	return false;
}

int
value_copy_text(const struct value_source *source, struct slice text,
    int64_t min, int64_t max, const char **out_text, struct err *err)
{
	struct slice copy;

	if (max == 0)
		max = CONF_STRING_MAX;
	if ((int64_t)text.len < min)
		return err_set(err, ERR_CONFIG,
		    text.len == 0 ? "is empty"
				  : "is shorter than the minimum of %lld bytes",
		    (long long)min);
	if ((int64_t)text.len > max)
		return err_set(err, ERR_CONFIG,
		    "is longer than the maximum of %lld bytes", (long long)max);
	if (!slice_is_utf8(text))
		return err_set(
		    err, ERR_CONFIG, "is not UTF-8; save the file as UTF-8");
	if (has_control(text))
		return err_set(err, ERR_CONFIG,
		    "has a line break, tab or other control character");
	copy = arena_dup(source->arena, text);
	if (copy.data == NULL)
		return err_set(err, ERR_LIMIT, "configuration is too large");
	*out_text = (const char *)copy.data;
	return 0;
}

static int
store_path(const struct value_source *source, const struct conf_row *row,
    struct slice text, const char **field, struct err *err)
{
	const char *path = "";
	char *joined;

	if (value_copy_text(source, text, 1, row->max, &path, err) != 0)
		return -1;
	if (path[0] != '/') {
		joined = fsio_join(source->dir, path);
		path = arena_strdup(source->arena, joined);
		free(joined);
		if (path == NULL)
			return err_set(
			    err, ERR_LIMIT, "configuration is too large");
	}
	*field = path;
	return 0;
}

/* May only its owner reach the file? It is not opened. */
static int
check_secret_file(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_set(err, ERR_CONFIG,
		    "cannot reach secret file %s: %s; create it with mode 0600",
		    path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CONFIG,
		    "secret file %s is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return err_set(err, ERR_CONFIG,
		    "secret file %s has mode %04o and others can reach it; "
		    "run: chmod 600 %s",
		    path, (unsigned int)st.st_mode & 07777, path);
	if (geteuid() != 0 && st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_CONFIG,
		    "secret file %s belongs to uid %lu; run: chown %lu %s",
		    path, (unsigned long)st.st_uid, (unsigned long)geteuid(),
		    path);
	if (access(path, R_OK) != 0)
		return err_set(err, ERR_CONFIG,
		    "secret file %s cannot be read by uid %lu: %s; run: chown "
		    "%lu %s",
		    path, (unsigned long)geteuid(), strerror(errno),
		    (unsigned long)geteuid(), path);
	return 0;
}

static int
store_enum(
    const struct conf_row *row, struct slice text, void *field, struct err *err)
{
	char names[256];
	size_t len = 0;

	INVARIANT(row->size == sizeof(int));
	names[0] = '\0';
	for (const struct conf_name *n = row->names; n->name != NULL; n++) {
		int written;

		if (slice_equal(text, slice_str(n->name))) {
			memcpy(field, &n->value, sizeof(n->value));
			return 0;
		}
		written = snprintf(names + len, sizeof(names) - len, "%s\"%s\"",
		    len == 0 ? "" : ", ", n->name);
		if (written < 0 || (size_t)written >= sizeof(names) - len)
			break;
		len += (size_t)written;
	}
	return err_set(err, ERR_CONFIG,
	    "does not know \"%.*s\"; write one of %s",
	    text.len > 64 ? 64 : (int)text.len, (const char *)text.data, names);
}

static int
wrong_type(const struct conf_row *row, struct err *err)
{
	static const char *const cures[CONF_TYPE_COUNT + 1] = {
	    [CONF_STRING] = "write text in quotes",
	    [CONF_BOOL] = "write true or false without quotes",
	    [CONF_INT] = "write a whole number without quotes",
	    [CONF_DURATION] = "write it in quotes with a unit: \"15m\"",
	    [CONF_SIZE] = "write bytes, or in quotes with a unit: \"64M\"",
	    [CONF_PATH] = "write a path in quotes",
	    [CONF_SECRET] = "write a path in quotes",
	    [CONF_ENUM] = "write one of the names in quotes",
	};
	const char *cure = cures[row->type];

	return err_set(err, ERR_CONFIG, "is not a %s; %s",
	    conf_type_name(row->type), cure == NULL ? "see galrelay(5)" : cure);
}

static int
store_text(const struct value_source *source, const struct conf_row *row,
    struct slice text, void *field, struct err *err)
{
	int64_t v = 0;

	switch (row->type) {
	case CONF_STRING:
		return value_copy_text(source, text, row->min, row->max,
		    (const char **)field, err);
	case CONF_DURATION:
		if (conf_parse_duration(text, &v, err) != 0)
			return -1;
		return store_integer(row, v, field, err);
	case CONF_SIZE:
		if (conf_parse_size(text, &v, err) != 0)
			return -1;
		return store_integer(row, v, field, err);
	case CONF_PATH:
		return store_path(source, row, text, (const char **)field, err);
	case CONF_SECRET:
		if (store_path(source, row, text, (const char **)field, err) !=
		    0)
			return -1;
		return check_secret_file(*(const char **)field, err);
	case CONF_ENUM:
		return store_enum(row, text, field, err);
	case CONF_BOOL:
	case CONF_INT:
	case CONF_STRINGS:
	case CONF_GROUP:
	case CONF_GROUPS:
	case CONF_LINE:
	case CONF_TYPE_COUNT:
		break;
	}
	return wrong_type(row, err);
}

int
value_store(const struct value_source *source, const struct conf_row *row,
    const struct value *value, void *field, struct err *err)
{
	int rc = -1;

	switch (value->kind) {
	case VALUE_TEXT:
		rc = store_text(source, row, value->text, field, err);
		break;
	case VALUE_NUMBER:
		if (row->type == CONF_INT || row->type == CONF_SIZE ||
		    (row->type == CONF_DURATION && value->number == 0))
			rc = store_integer(row, value->number, field, err);
		else
			rc = wrong_type(row, err);
		break;
	case VALUE_TRUTH:
		if (row->type == CONF_BOOL) {
			memcpy(field, &value->truth, sizeof(value->truth));
			rc = 0;
		} else if (row->type == CONF_ENUM) {
			rc = store_enum(row,
			    slice_str(value->truth ? "true" : "false"), field,
			    err);
		} else {
			rc = wrong_type(row, err);
		}
		break;
	}
	if (rc == 0 && row->check != NULL)
		rc = row->check(row, field, err);
	return rc;
}

int
value_store_default(const struct value_source *source,
    const struct conf_row *row, void *field, struct err *err)
{
	struct value value = {VALUE_TEXT, slice_str(row->text), 0, false};
	struct slice digits = value.text;

	if (row->text == NULL)
		return 0;
	if (row->type == CONF_BOOL) {
		value.kind = VALUE_TRUTH;
		value.truth = strcmp(row->text, "true") == 0;
	} else if (row->type == CONF_INT) {
		value.kind = VALUE_NUMBER;
		if (!take_digits(&digits, &value.number) || digits.len > 0)
			return err_set(err, ERR_INTERNAL,
			    "default %s is not a number", row->text);
	}
	return value_store(source, row, &value, field, err);
}

/* Levenshtein distance of two short words. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[KEY_MAX + 1];
	size_t a_len = strnlen(a, KEY_MAX);
	size_t b_len = strnlen(b, KEY_MAX);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *
value_nearest(const char *key, const struct conf_table *table)
{
	/* A third of the letters may differ; else it is another word. */
	size_t best = strlen(key) / 3 + 2;
	const char *nearest = NULL;

	for (size_t i = 0; i < table->row_count; i++) {
		const char *known = table->rows[i].key;
		size_t d = distance(key, known);

		if (table->rows[i].type != CONF_LINE && d < best) {
			best = d;
			nearest = known;
		}
	}
	return nearest;
}
