#include "spoke/conf_internal.h"

#include <strings.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "common/wire/registry.h"

#define CONF_TEXT_BYTES (16 * 1024 * 1024)

static const struct conf_name hidden_names[] = {{"keep", IMPORT_HIDDEN_KEEP},
    {"show", IMPORT_HIDDEN_SHOW}, {"all", IMPORT_HIDDEN_ALL}, {NULL, 0}};
static const struct conf_name rich_text_names[] = {
    {"default", IMPORT_RICH_TEXT_DEFAULT}, {"never", IMPORT_RICH_TEXT_NEVER},
    {"always", IMPORT_RICH_TEXT_ALWAYS}, {NULL, 0}};

int
conf_check_name(const struct conf_row *row, const void *field, struct err *err)
{
	const char *name = *(const char *const *)field;

	(void)row;
	if (name != NULL && !registry_name_valid(name))
		return err_set(err, ERR_CONFIG,
		    "must be 1 to 63 of A-Z a-z 0-9 . _ -, first a letter or "
		    "digit");
	return 0;
}

int
conf_check_dn(const struct conf_row *row, const void *field, struct err *err)
{
	const char *dn = *(const char *const *)field;
	struct err own = {0};
	struct buf buf;
	int rc;

	(void)row;
	if (dn == NULL)
		return 0;
	buf_init(&buf, 16 * 1024);
	rc = dn_normalize(dn, &buf, &own);
	buf_fini(&buf);
	if (rc < 0 || dn[strspn(dn, " ")] == '\0')
		return err_set(err, ERR_CONFIG,
		    "is no distinguished name such as OU=Staff,DC=north,"
		    "DC=example");
	return 0;
}

static int
complete_import(void *group, struct err *err)
{
	const struct import_policy *p = group;

	for (size_t i = 0; i < p->tag_count; i++)
		if (p->tags[i][0] == '\0' ||
		    strlen(p->tags[i]) > LIMIT_TAG_CHARS)
			return err_set(err, ERR_CONFIG,
			    "a tag has 1 to %d characters, such as NORTH/staff "
			    "or *",
			    LIMIT_TAG_CHARS);
	return 0;
}

static const struct conf_row import_rows[] = {
    {"name", CONF_STRING, CONF_FIELD(struct import_policy, name),
	.required = true, .check = conf_check_name},
    {"enabled", CONF_BOOL, CONF_FIELD(struct import_policy, enabled),
	.text = "true"},
    {"tags", CONF_STRINGS, CONF_FIELD(struct import_policy, tags),
	CONF_COUNT(struct import_policy, tag_count), .min = 1,
	.max = SPOKE_CONF_LIST_MAX, .required = true},
    {"into", CONF_STRING, CONF_FIELD(struct import_policy, into),
	.required = true, .check = conf_check_dn},
    {"max_delete_percent", CONF_INT,
	CONF_FIELD(struct import_policy, max_delete_percent), .text = "10",
	.min = 0, .max = 100},
    {"max_delete_count", CONF_INT,
	CONF_FIELD(struct import_policy, max_delete_count), .text = "50",
	.min = 0, .max = INT32_MAX},
    {"hidden", CONF_ENUM, CONF_FIELD(struct import_policy, hidden),
	.names = hidden_names, .text = "keep"},
    {"rich_text", CONF_ENUM, CONF_FIELD(struct import_policy, rich_text),
	.names = rich_text_names, .text = "default"},
    {"every", CONF_DURATION, CONF_FIELD(struct import_policy, every_ms),
	.text = "15m", .min = 0, .max = 366 * CLOCK_DAY_MS},
    {"deadline", CONF_DURATION, CONF_FIELD(struct import_policy, deadline_ms),
	.text = "2h", .min = CLOCK_SECOND_MS, .max = CLOCK_DAY_MS},
    {"proof", CONF_DURATION, CONF_FIELD(struct import_policy, proof_ms),
	.text = "1d", .min = 0, .max = 31 * CLOCK_DAY_MS},
};
static const struct conf_table import_table = CONF_TABLE_CHECK(
    "import", struct import_policy, import_rows, complete_import);

static const struct conf_row spoke_rows[] = {
    {"name", CONF_STRING, CONF_FIELD(struct spoke_conf, name),
	.check = conf_check_name},
    {"state", CONF_PATH, CONF_FIELD(struct spoke_conf, state),
	.text = SPOKE_CONF_STATE},
    {"policies", CONF_PATH, CONF_FIELD(struct spoke_conf, policies),
	.text = "policies.d"},
    {"machine_id_file", CONF_PATH,
	CONF_FIELD(struct spoke_conf, machine_id_file),
	.text = "/etc/machine-id"},
    {"user", CONF_STRING, CONF_FIELD(struct spoke_conf, user), .max = 32},
    {"legacy_prefix", CONF_STRING, CONF_FIELD(struct spoke_conf, legacy_prefix),
	.text = SPOKE_CONF_LEGACY_PREFIX, .min = 4, .max = 512},
    {"spool_quota", CONF_SIZE, CONF_FIELD(struct spoke_conf, spool_quota),
	.text = "8G", .min = 1024 * 1024, .max = INT64_C(1) << 44},
    {"wait", CONF_DURATION, CONF_FIELD(struct spoke_conf, wait_ms),
	.text = "30s", .min = 0, .max = CLOCK_HOUR_MS},
    {"directory", CONF_GROUP, CONF_FIELD(struct spoke_conf, directory),
	.table = &conf_directory_table, .required = true},
    {"member_groups", CONF_GROUPS, CONF_FIELD(struct spoke_conf, member_groups),
	CONF_COUNT(struct spoke_conf, member_group_count),
	.table = &conf_member_group_table, .max = SPOKE_CONF_LIST_MAX},
    {"export", CONF_GROUPS, CONF_FIELD(struct spoke_conf, exports),
	CONF_COUNT(struct spoke_conf, export_count),
	.table = &conf_export_table, .max = SPOKE_CONF_POLICIES_MAX},
    {"import", CONF_GROUPS, CONF_FIELD(struct spoke_conf, imports),
	CONF_COUNT(struct spoke_conf, import_count), .table = &import_table,
	.max = SPOKE_CONF_POLICIES_MAX},
};
const struct conf_table spoke_conf_table =
    CONF_TABLE("spoke.conf", struct spoke_conf, spoke_rows);

struct policy_file {
	const struct export_policy *exports;
	size_t export_count;
	const struct import_policy *imports;
	size_t import_count;
};

static const struct conf_row policy_rows[] = {
    {"export", CONF_GROUPS, CONF_FIELD(struct policy_file, exports),
	CONF_COUNT(struct policy_file, export_count),
	.table = &conf_export_table, .max = SPOKE_CONF_POLICIES_MAX},
    {"import", CONF_GROUPS, CONF_FIELD(struct policy_file, imports),
	CONF_COUNT(struct policy_file, import_count), .table = &import_table,
	.max = SPOKE_CONF_POLICIES_MAX},
};
const struct conf_table spoke_conf_policy_table =
    CONF_TABLE("policies.d/*.conf", struct policy_file, policy_rows);

/* Appends copies of count items of the given size to a list in the arena. */
static int
list_append(struct arena *arena, const void **list, size_t *list_count,
    const void *items, size_t count, size_t size)
{
	uint8_t *all;

	if (count == 0)
		return 0;
	all = arena_calloc(arena, *list_count + count, size);
	if (all == NULL)
		return -1;
	if (*list_count > 0)
		memcpy(all, *list, *list_count * size);
	memcpy(all + *list_count * size, items, count * size);
	*list = all;
	*list_count += count;
	return 0;
}

static int
policies_load(struct spoke_conf *conf, struct err *err)
{
	const char *const *paths;
	size_t count;

	if (conf_dir_list(conf->policies, conf->arena, &paths, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct policy_file file;

		if (conf_load(paths[i], &spoke_conf_policy_table, &file,
			conf->arena, err) < 0)
			return -1;
		if (list_append(conf->arena, (const void **)&conf->exports,
			&conf->export_count, file.exports, file.export_count,
			sizeof(*file.exports)) < 0 ||
		    list_append(conf->arena, (const void **)&conf->imports,
			&conf->import_count, file.imports, file.import_count,
			sizeof(*file.imports)) < 0)
			return err_set(err, ERR_LIMIT, "too many policies");
	}
	return 0;
}

static int
names_check(const struct spoke_conf *conf, struct err *err)
{
	size_t n = conf->export_count + conf->import_count;

	if (n > SPOKE_CONF_POLICIES_MAX)
		return err_set(err, ERR_CONFIG,
		    "%s: %zu policies, at most %d are possible", conf->policies,
		    n, SPOKE_CONF_POLICIES_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *name =
		    i < conf->export_count
			? conf->exports[i].name
			: conf->imports[i - conf->export_count].name;

		for (size_t k = 0; k < i; k++) {
			const char *other =
			    k < conf->export_count
				? conf->exports[k].name
				: conf->imports[k - conf->export_count].name;

			if (strcasecmp(name, other) == 0)
				return err_set(err, ERR_CONFIG,
				    "%s: two policies are called \"%s\": "
				    "rename one",
				    conf->policies, name);
		}
	}
	return 0;
}

int
conf_exports_copy(
    struct spoke_conf *conf, struct export_policy **out_list, struct err *err)
{
	struct export_policy *list =
	    arena_calloc(conf->arena, conf->export_count + 1, sizeof(*list));

	*out_list = list;
	if (list == NULL)
		return err_set(err, ERR_LIMIT, "too many policies");
	if (conf->export_count > 0)
		memcpy(list, conf->exports, conf->export_count * sizeof(*list));
	conf->exports = list;
	return 0;
}

/* MEMBER/POLICY where no tag was given. */
static int
tags_complete(struct spoke_conf *conf, struct err *err)
{
	struct export_policy *list;

	if (conf_exports_copy(conf, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < conf->export_count; i++) {
		char *tag;

		if (list[i].tag != NULL)
			continue;
		if (conf->name == NULL)
			return err_set(err, ERR_CONFIG,
			    "export \"%s\" has no tag: say tag = \"MEMBER/%s\" "
			    "with this spoke's member name, or set name in %s",
			    list[i].name, list[i].name, conf->path);
		tag = mem_printf("%s/%s", conf->name, list[i].name);
		list[i].tag = arena_strdup(conf->arena, tag);
		free(tag);
	}
	return 0;
}

/* Targets choose streams by tag: two under one name cannot be told apart. */
static int
tags_check(const struct spoke_conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf->export_count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct export_policy *a = &conf->exports[k];
			const struct export_policy *b = &conf->exports[i];

			if (strcasecmp(a->tag, b->tag) == 0)
				return err_set(err, ERR_CONFIG,
				    "%s: exports \"%s\" and \"%s\" have one "
				    "tag, \"%s\": change tag in one of them",
				    conf->policies, a->name, b->name, a->tag);
		}
	return 0;
}

int
spoke_conf_load(const char *path, struct spoke_conf **out_conf, struct err *err)
{
	struct arena *arena = arena_new(CONF_TEXT_BYTES);
	struct spoke_conf *conf = arena_calloc(arena, 1, sizeof(*conf));

	INVARIANT(conf != NULL);
	if (conf_load(path, &spoke_conf_table, conf, arena, err) < 0)
		goto fail;
	conf->arena = arena;
	conf->path = arena_strdup(arena, path);
	if (policies_load(conf, err) < 0 || names_check(conf, err) < 0 ||
	    tags_complete(conf, err) < 0 || tags_check(conf, err) < 0 ||
	    conf_audience_expand(conf, err) < 0)
		goto fail;
	*out_conf = conf;
	return 0;
fail:
	arena_free(arena);
	return -1;
}

void
spoke_conf_free(struct spoke_conf *conf)
{
	if (conf != NULL)
		arena_free(conf->arena);
}

const struct export_policy *
spoke_conf_export(const struct spoke_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->export_count; i++)
		if (strcasecmp(conf->exports[i].name, name) == 0)
			return &conf->exports[i];
	return NULL;
}

const struct import_policy *
spoke_conf_import(const struct spoke_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->import_count; i++)
		if (strcasecmp(conf->imports[i].name, name) == 0)
			return &conf->imports[i];
	return NULL;
}

char *
spoke_conf_state_path(const struct spoke_conf *conf, const char *name)
{
	return fsio_join(conf->state, name);
}
