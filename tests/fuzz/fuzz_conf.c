/* The configuration: text that a person wrote, through a table with a row of
 * every type. What is accepted must be inside the limits of its rows. */
#include "common/conf/conf.h"

#define INPUT_MAX 65536
#define ARENA_MAX 1048576

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the text of an unfinished string after a syntax error:
 * once a start, and not ours to mend. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

struct item {
	unsigned int line;
	const char *ou;
	bool deep;
};

struct nested {
	int64_t coins;
	const struct item *items;
	size_t item_count;
};

struct config {
	const char *name;
	bool open;
	unsigned int percent;
	int64_t every_ms;
	uint64_t quota;
	const char *file;
	const char *key_file;
	const char *password;
	int colour;
	const char *const *tags;
	size_t tag_count;
	struct nested nested;
};

static const struct conf_name colours[] = {{"red", 3}, {"green", 5}, {NULL, 0}};
static const struct conf_row item_rows[] = {
    {"", CONF_LINE, CONF_FIELD(struct item, line)},
    {"ou", CONF_STRING, CONF_FIELD(struct item, ou), .required = true, .min = 1,
	.max = 64},
    {"deep", CONF_BOOL, CONF_FIELD(struct item, deep), .text = "true"},
};
static const struct conf_table item_table =
    CONF_TABLE("item", struct item, item_rows);
static const struct conf_row nested_rows[] = {
    {"coins", CONF_INT, CONF_FIELD(struct nested, coins)},
    {"item", CONF_GROUPS, CONF_FIELD(struct nested, items),
	CONF_COUNT(struct nested, item_count), .table = &item_table, .max = 9},
};
static const struct conf_table nested_table =
    CONF_TABLE("nested", struct nested, nested_rows);
static const struct conf_row config_rows[] = {
    {"name", CONF_STRING, CONF_FIELD(struct config, name), .max = 16},
    {"open", CONF_BOOL, CONF_FIELD(struct config, open)},
    {"percent", CONF_INT, CONF_FIELD(struct config, percent), .text = "10",
	.min = 1, .max = 100},
    {"every", CONF_DURATION, CONF_FIELD(struct config, every_ms),
	.text = "15m"},
    {"quota", CONF_SIZE, CONF_FIELD(struct config, quota), .text = "64M"},
    {"file", CONF_PATH, CONF_FIELD(struct config, file)},
    {"key", CONF_SECRET, CONF_FIELD(struct config, key_file)},
    {"password", CONF_STRING, CONF_FIELD(struct config, password),
	.secret = true},
    {"colour", CONF_ENUM, CONF_FIELD(struct config, colour), .names = colours,
	.text = "green"},
    {"tags", CONF_STRINGS, CONF_FIELD(struct config, tags),
	CONF_COUNT(struct config, tag_count), .max = 4},
    {"nested", CONF_GROUP, CONF_FIELD(struct config, nested),
	.table = &nested_table},
};
static const struct conf_table config_table =
    CONF_TABLE("fuzz.conf", struct config, config_rows);

static void
check_accepted(const struct config *config)
{
	INVARIANT(config->percent >= 1 && config->percent <= 100);
	INVARIANT(config->every_ms >= 0);
	INVARIANT(config->name == NULL || strlen(config->name) <= 16);
	INVARIANT(config->colour == 3 || config->colour == 5);
	INVARIANT(config->password == NULL && config->key_file == NULL);
	INVARIANT(config->tag_count <= 4);
	for (size_t i = 0; i < config->tag_count; i++)
		INVARIANT(config->tags[i][0] != '\0' &&
			  slice_is_utf8(slice_str(config->tags[i])));
	INVARIANT(config->nested.item_count <= 9);
	for (size_t i = 0; i < config->nested.item_count; i++)
		INVARIANT(config->nested.items[i].ou != NULL &&
			  config->nested.items[i].line > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config config;
	struct arena *arena;
	struct err err;

	if (len > INPUT_MAX)
		return 0;
	arena = arena_new(ARENA_MAX);
	if (conf_parse(slice_make(data, len), "/nonexistent/fuzz.conf",
		&config_table, &config, arena, &err) == 0)
		check_accepted(&config);
	else
		INVARIANT(err.class == ERR_CONFIG || err.class == ERR_LIMIT);
	arena_free(arena);
	return 0;
}
