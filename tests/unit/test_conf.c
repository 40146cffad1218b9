/* Configuration through tables: values, limits, messages with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"

enum colour { RED = 3, GREEN = 5 };

struct item {
	unsigned int line;
	const char *ou;
	bool deep;
};

struct till {
	unsigned int coins;
	const char *const *names;
	size_t name_count;
};

struct shop {
	const char *name;
	const char *note;
	bool open;
	unsigned int percent;
	uint16_t port;
	int64_t many;
	int64_t every_ms;
	uint64_t quota;
	const char *file;
	const char *key_file;
	const char *password;
	enum colour colour;
	const char *const *tags;
	size_t tag_count;
	const struct item *items;
	size_t item_count;
	struct till till;
};

static int
check_ou(const struct conf_row *row, const void *field, struct err *err)
{
	const char *ou = *(const char *const *)field;

	if (strchr(ou, '=') != NULL)
		return 0;
	return err_set(err, ERR_CONFIG, "is not a DN (row %s)", row->key);
}

static int
check_shop(void *group, struct err *err)
{
	const struct shop *shop = group;

	if (shop->percent == 66)
		return err_set(err, ERR_CONFIG, "66 percent is no good");
	return 0;
}

static const struct conf_name colours[] = {
    {"red", RED}, {"green", GREEN}, {NULL, 0}};
static const struct conf_row item_rows[] = {
    {"", CONF_LINE, CONF_FIELD(struct item, line)},
    {"ou", CONF_STRING, CONF_FIELD(struct item, ou), .required = true,
	.check = check_ou},
    {"deep", CONF_BOOL, CONF_FIELD(struct item, deep), .text = "true"},
};
static const struct conf_table item_table =
    CONF_TABLE("item", struct item, item_rows);
static const struct conf_row till_rows[] = {
    {"coins", CONF_INT, CONF_FIELD(struct till, coins), .text = "7"},
    {"names", CONF_STRINGS, CONF_FIELD(struct till, names),
	CONF_COUNT(struct till, name_count), .text = "main"},
};
static const struct conf_table till_table =
    CONF_TABLE("till", struct till, till_rows);
static const struct conf_row shop_rows[] = {
    {"name", CONF_STRING, CONF_FIELD(struct shop, name), .required = true,
	.min = 1, .max = 8},
    {"note", CONF_STRING, CONF_FIELD(struct shop, note), .text = "none"},
    {"open", CONF_BOOL, CONF_FIELD(struct shop, open)},
    {"percent", CONF_INT, CONF_FIELD(struct shop, percent), .text = "10",
	.min = 1, .max = 100},
    {"port", CONF_INT, CONF_FIELD(struct shop, port)},
    {"many", CONF_INT, CONF_FIELD(struct shop, many)},
    {"every", CONF_DURATION, CONF_FIELD(struct shop, every_ms), .text = "15m",
	.min = CLOCK_MINUTE_MS, .max = CLOCK_DAY_MS},
    {"quota", CONF_SIZE, CONF_FIELD(struct shop, quota), .text = "64M"},
    {"file", CONF_PATH, CONF_FIELD(struct shop, file), .text = "/a/b"},
    {"key", CONF_SECRET, CONF_FIELD(struct shop, key_file)},
    {"password", CONF_STRING, CONF_FIELD(struct shop, password),
	.secret = true},
    {"colour", CONF_ENUM, CONF_FIELD(struct shop, colour), .names = colours,
	.text = "green"},
    {"tags", CONF_STRINGS, CONF_FIELD(struct shop, tags),
	CONF_COUNT(struct shop, tag_count), .max = 3},
    {"item", CONF_GROUPS, CONF_FIELD(struct shop, items),
	CONF_COUNT(struct shop, item_count), .table = &item_table, .max = 2},
    {"till", CONF_GROUP, CONF_FIELD(struct shop, till), .table = &till_table},
};
static const struct conf_table shop_table =
    CONF_TABLE_CHECK("shop.conf", struct shop, shop_rows, check_shop);

static struct shop shop;
static struct arena *arena;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(1048576);
	err_clear(&err);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static int
parse(const char *text)
{
	/* A value that was not set must not look set. */
	memset(&shop, 0xa5, sizeof(shop));
	return conf_parse(
	    slice_str(text), "/etc/shop.conf", &shop_table, &shop, arena, &err);
}

/* The text must be refused with exactly this message. */
static void
refused(const char *text, const char *message)
{
	err_clear(&err);
	assert_int_equal(parse(text), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_string_equal(err.message, message);
}

static void
test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("name = \"x\";"), 0);
	assert_string_equal(shop.name, "x");
	assert_string_equal(shop.note, "none");
	assert_false(shop.open);
	assert_int_equal(shop.percent, 10);
	assert_int_equal(shop.port, 0);
	assert_int_equal(shop.every_ms, 15 * CLOCK_MINUTE_MS);
	assert_int_equal(shop.quota, 64 << 20);
	assert_string_equal(shop.file, "/a/b");
	assert_null(shop.key_file);
	assert_null(shop.password);
	assert_int_equal(shop.colour, GREEN);
	assert_null(shop.tags);
	assert_int_equal(shop.tag_count, 0);
	assert_null(shop.items);
	assert_int_equal(shop.item_count, 0);
	assert_int_equal(shop.till.coins, 7);
	assert_int_equal(shop.till.name_count, 1);
	assert_string_equal(shop.till.names[0], "main");
}

static void
test_all_set(void **state)
{
	(void)state;
	assert_int_equal(parse("# comment\n"
			       "name = \"\xc3\xa4\xc3\xb6\"; note = \"\";\n"
			       "open = true; percent = 100; port = 65535;\n"
			       "many = 9000000000L; every = \"1h30m\";\n"
			       "quota = 1000; file = \"ca.pem\";\n"
			       "colour = \"red\"; tags = [ \"*\", \"b\" ];\n"
			       "item: ( { ou = \"OU=a\"; },\n"
			       "        { ou = \"OU=b\"; deep = false; } );\n"
			       "till: { coins = 1; names = ( \"q\" ); };\n"),
	    0);
	assert_string_equal(shop.name, "\xc3\xa4\xc3\xb6");
	assert_string_equal(shop.note, "");
	assert_true(shop.open);
	assert_int_equal(shop.percent, 100);
	assert_int_equal(shop.port, 65535);
	assert_true(shop.many == INT64_C(9000000000));
	assert_int_equal(shop.every_ms, 90 * CLOCK_MINUTE_MS);
	assert_int_equal(shop.quota, 1000);
	assert_string_equal(shop.file, "/etc/ca.pem");
	assert_int_equal(shop.colour, RED);
	assert_int_equal(shop.tag_count, 2);
	assert_string_equal(shop.tags[1], "b");
	assert_int_equal(shop.item_count, 2);
	assert_string_equal(shop.items[0].ou, "OU=a");
	assert_true(shop.items[0].deep);
	assert_int_equal(shop.items[0].line, 7);
	assert_string_equal(shop.items[1].ou, "OU=b");
	assert_false(shop.items[1].deep);
	assert_int_equal(shop.items[1].line, 8);
	assert_int_equal(shop.till.coins, 1);
	assert_string_equal(shop.till.names[0], "q");
	/* One of a list may stand alone. */
	assert_int_equal(
	    parse("name = \"x\"; tags = \"t\"; item: { ou = \"a=b\"; };"), 0);
	assert_int_equal(shop.tag_count, 1);
	assert_string_equal(shop.tags[0], "t");
	assert_int_equal(shop.item_count, 1);
	assert_int_equal(parse("name = \"x\"; tags = []; item: ();"), 0);
	assert_null(shop.tags);
	assert_null(shop.items);
}

static void
test_keys(void **state)
{
	(void)state;
	refused("name = \"x\";\n\ncolor = \"red\";\n",
	    "/etc/shop.conf:3: key \"color\": is unknown in shop.conf; did you "
	    "mean \"colour\"?");
	refused("name = \"x\";\nxyzzy = 1;\n",
	    "/etc/shop.conf:2: key \"xyzzy\": is unknown in shop.conf; see "
	    "galrelay(5) or remove it");
	refused("name = \"x\";\nitem: ( { ou = \"a=b\";\n Deep = true; } );",
	    "/etc/shop.conf:3: key \"Deep\": is unknown in item; did you mean "
	    "\"deep\"?");
	refused("open = true;\n",
	    "/etc/shop.conf:1: key \"name\": is missing from shop.conf; add "
	    "this string");
	refused("name = \"x\";\nitem: (\n { deep = true; } );",
	    "/etc/shop.conf:3: key \"ou\": is missing from item; add this "
	    "string");
	refused("name = \"x\";\nname = \"y\";\n",
	    "/etc/shop.conf:2: duplicate setting name; what this line sets was "
	    "set before: take one away");
	refused("name = \"x\n",
	    "/etc/shop.conf:2: syntax error; check quotes, brackets and the ; "
	    "at the end of the line before");
	refused("name = \"x\"; percent = 66;",
	    "/etc/shop.conf:1: shop.conf: 66 percent is no good");
}

static void
test_types(void **state)
{
	(void)state;
	refused("name = 1;",
	    "/etc/shop.conf:1: key \"name\": is not a string; write text in "
	    "quotes");
	refused("name = { };", "/etc/shop.conf:1: key \"name\": is not a "
			       "string");
	refused("name = \"x\"; open = \"true\";",
	    "/etc/shop.conf:1: key \"open\": is not a boolean; write true or "
	    "false without quotes");
	refused("name = \"x\"; open = 1;",
	    "/etc/shop.conf:1: key \"open\": is not a boolean; write true or "
	    "false without quotes");
	refused("name = \"x\"; port = \"1\";",
	    "/etc/shop.conf:1: key \"port\": is not a number; write a whole "
	    "number without quotes");
	refused("name = \"x\"; port = 1.5;",
	    "/etc/shop.conf:1: key \"port\": is not a number");
	refused("name = \"x\";\nevery = 15;",
	    "/etc/shop.conf:2: key \"every\": is not a duration; write it in "
	    "quotes with a unit: \"15m\"");
	refused("name = \"x\"; colour = 3;",
	    "/etc/shop.conf:1: key \"colour\": is not a name; write one of the "
	    "names in quotes");
	refused("name = \"x\"; tags = [ 1 ];",
	    "/etc/shop.conf:1: key \"tags\": is not a list of strings; write "
	    "[ \"a\", \"b\" ]");
	refused("name = \"x\"; tags = { };",
	    "/etc/shop.conf:1: key \"tags\": is not a list of strings; write "
	    "[ \"a\", \"b\" ]");
	refused("name = \"x\"; item = \"OU=a\";",
	    "/etc/shop.conf:1: key \"item\": is not a list of groups; write "
	    "( { ... } )");
	refused("name = \"x\";\nitem = (\n\"OU=a\" );",
	    "/etc/shop.conf:3: key \"item\": is not a list of groups; write "
	    "( { ... } )");
	refused("name = \"x\"; till = ( );",
	    "/etc/shop.conf:1: key \"till\": is not a group; write { ... }");
}

static void
test_ranges(void **state)
{
	(void)state;
	refused("name = \"\";", "/etc/shop.conf:1: key \"name\": is empty");
	assert_int_equal(parse("name = \"12345678\";"), 0);
	refused("name = \"123456789\";",
	    "/etc/shop.conf:1: key \"name\": is longer than the maximum of 8 "
	    "bytes");
	assert_int_equal(parse("name = \"x\"; percent = 1;"), 0);
	refused("name = \"x\"; percent = 0;",
	    "/etc/shop.conf:1: key \"percent\": 0 is out of range; it may be "
	    "from 1 to 100");
	refused("name = \"x\"; percent = 101;",
	    "/etc/shop.conf:1: key \"percent\": 101 is out of range; it may be "
	    "from 1 to 100");
	refused("name = \"x\"; port = 65536;",
	    "/etc/shop.conf:1: key \"port\": is too large");
	refused("name = \"x\"; many = -1;",
	    "/etc/shop.conf:1: key \"many\": is negative; write 0 or more");
	assert_int_equal(parse("name = \"x\"; every = \"1d\";"), 0);
	refused("name = \"x\"; every = \"25h\";",
	    "/etc/shop.conf:1: key \"every\": 25h is out of range; it may be "
	    "from 1m to 1d");
	refused("name = \"x\"; every = \"59s\";",
	    "/etc/shop.conf:1: key \"every\": 59s is out of range; it may be "
	    "from 1m to 1d");
	refused("name = \"x\"; colour = \"blue\";",
	    "/etc/shop.conf:1: key \"colour\": does not know \"blue\"; write "
	    "one of \"red\", \"green\"");
	assert_int_equal(parse("name = \"x\"; tags = [\"a\",\"b\",\"c\"];"), 0);
	refused("name = \"x\"; tags = [\"a\",\"b\",\"c\",\"d\"];",
	    "/etc/shop.conf:1: key \"tags\": has 4 items, but may have 3 at "
	    "most");
	refused("name = \"x\"; tags = [\"a\",\"\"];",
	    "/etc/shop.conf:1: key \"tags\": item 2: is empty");
	refused("name = \"x\"; item: ({ou=\"a=\";},{ou=\"a=\";},{ou=\"a=\";});",
	    "/etc/shop.conf:1: key \"item\": has 3 items, but may have 2 at "
	    "most");
	refused("name = \"x\"; item: ({ou=\"a\";});",
	    "/etc/shop.conf:1: key \"ou\": is not a DN (row ou)");
	refused("name = \"a\\nb\";",
	    "/etc/shop.conf:1: key \"name\": has a line break, tab or other "
	    "control character");
	refused("name = \"\\xff\";",
	    "/etc/shop.conf:1: key \"name\": is not UTF-8; save the file as "
	    "UTF-8");
}

static void
test_refused_text(void **state)
{
	(void)state;
	refused("name = \"x\";\n  @include \"/etc/passwd\"\n",
	    "/etc/shop.conf:2: @include is not supported; write the options "
	    "here, or a file of their own in policies.d");
	refused("name = \"\xff\";",
	    "/etc/shop.conf: is not UTF-8 text; save the file as UTF-8");
	assert_int_equal(conf_parse(SLICE_LIT("name = \"x\";\0"), "p",
			     &shop_table, &shop, arena, &err),
	    -1);
	refused("name = \"x\"; password = \"p\";",
	    "/etc/shop.conf:1: key \"password\": is a secret, and others can "
	    "read this file; run: chmod 600 /etc/shop.conf");
	/* An arena that is too small is a limit, not a crash. */
	arena_free(arena);
	arena = arena_new(16);
	assert_int_equal(parse("name = \"x\"; note = \"yy\";"), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.message,
	    "/etc/shop.conf:1: key \"note\": configuration is too large");
}

static void
test_files(void **state)
{
	char dir[] = "/tmp/galr-conf-XXXXXX";
	const char *const *paths = NULL;
	size_t count = 0;
	char *path;
	char *key;
	char *policy;
	uint8_t *large = mem_alloc(CONF_FILE_MAX + 1);
	struct slice text = SLICE_LIT("name = \"x\"; password = \"p\";\n"
				      "key = \"key\";\n");

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = fsio_join(dir, "shop.conf");
	key = fsio_join(dir, "key");
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.message, "No such file"));
	assert_int_equal(conf_load(dir, &shop_table, &shop, arena, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);

	assert_int_equal(fsio_write(path, text, 0600, &err), 0);
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), -1);
	assert_non_null(strstr(err.message, ":2: key \"key\": cannot reach "
					    "secret file"));
	assert_int_equal(fsio_write(key, SLICE_LIT("k"), 0600, &err), 0);
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), 0);
	assert_string_equal(shop.password, "p");
	assert_string_equal(shop.key_file, key);
	assert_int_equal(chmod(key, 0644), 0);
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), -1);
	assert_non_null(strstr(err.message, "run: chmod 600"));
	assert_int_equal(chmod(key, 0600), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), -1);
	assert_non_null(
	    strstr(err.message, ":1: key \"password\": is a secret"));

	memset(large, ' ', CONF_FILE_MAX + 1);
	memcpy(large, "name=\"x\";", 9);
	assert_int_equal(
	    fsio_write(path, slice_make(large, CONF_FILE_MAX), 0600, &err), 0);
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), 0);
	assert_int_equal(
	    fsio_write(path, slice_make(large, CONF_FILE_MAX + 1), 0600, &err),
	    0);
	assert_int_equal(conf_load(path, &shop_table, &shop, arena, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);

	policy = fsio_join(dir, "b.conf");
	assert_int_equal(fsio_write(policy, SLICE_LIT(""), 0600, &err), 0);
	free(policy);
	policy = fsio_join(dir, ".c.conf");
	assert_int_equal(fsio_write(policy, SLICE_LIT(""), 0600, &err), 0);
	assert_int_equal(conf_dir_list(dir, arena, &paths, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_string_equal(strrchr(paths[0], '/'), "/b.conf");
	assert_string_equal(paths[1], path);
	assert_int_equal(fsio_remove_tree(dir, &err), 0);
	assert_int_equal(conf_dir_list(dir, arena, &paths, &count, &err), 0);
	assert_int_equal(count, 0);
	free(policy);
	free(path);
	free(key);
	free(large);
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"250ms", 250}, {"30s", 30000}, {"15m", 900000},
	    {"1h", 3600000}, {"2d", 172800000}, {"1w", 604800000},
	    {" 1h30m ", 5400000}, {"9223372036854775807ms", INT64_MAX}};
	static const char *const bad[] = {"", "15", "m", "15 m", "15M", "-1m",
	    "1.5h", "15mm", "1h30", "9223372036854775808ms",
	    "9223372036854775807s", "9223372036854775807ms1ms", "0x1s"};
	int64_t ms = -1;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(
		    conf_parse_duration(slice_str(good[i].text), &ms, &err), 0);
		assert_true(ms == good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    conf_parse_duration(slice_str(bad[i]), &ms, &err), -1);
}

static void
test_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {{"0", 0}, {"1000", 1000}, {"64K", 65536}, {"1M", 1048576},
	    {"2G", INT64_C(2147483648)}, {"1T", INT64_C(1099511627776)},
	    {"9223372036854775807", INT64_MAX}};
	static const char *const bad[] = {"", "M", "1k", "1MB", "1 M", "-1",
	    "1.5M", "9223372036854775808", "9223372036854775807K"};
	int64_t bytes = -1;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(
		    conf_parse_size(slice_str(good[i].text), &bytes, &err), 0);
		assert_true(bytes == good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    conf_parse_size(slice_str(bad[i]), &bytes, &err), -1);
}

static int
collect(const char *path, const struct conf_row *row, void *arg)
{
	struct buf *buf = arg;

	buf_addf(buf, "%s %s\n", path, conf_type_name(row->type));
	return strcmp(path, "till.coins") == 0 ? 42 : 0;
}

static void
test_walk(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4096);
	assert_int_equal(conf_table_walk(&shop_table, collect, &buf), 42);
	assert_non_null(strstr(buf_cstr(&buf), "tags list of strings\n"
					       "item list of groups\n"
					       "item.ou string\n"
					       "item.deep boolean\n"
					       "till group\n"
					       "till.coins number\n"));
	buf_fini(&buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_defaults),
	    TEST(test_all_set),
	    TEST(test_keys),
	    TEST(test_types),
	    TEST(test_ranges),
	    TEST(test_refused_text),
	    TEST(test_files),
	    TEST(test_durations),
	    TEST(test_sizes),
	    TEST(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
