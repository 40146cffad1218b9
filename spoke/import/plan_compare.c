#include <strings.h>

#include "common/wire/limits.h"
#include "spoke/import/plan_compare.h"

/* Attributes as an ObjectBody, for the plan's row. */
static int
plan_compare_encode(const struct plan_compare_options *options,
    const struct writer_attribute *attributes, size_t count, struct buf *out,
    struct err *err)
{
	struct object_attribute *list =
	    arena_calloc(options->arena, count + 1, sizeof(*list));
	struct object object = {
	    .kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = list,
	    .attribute_count = count,
	};
	size_t i;

	if (list == NULL)
		return err_set(err, ERR_LIMIT, "the contact is too large");
	for (i = 0; i < count; i++)
		list[i] = (struct object_attribute){attributes[i].name,
		    attributes[i].values, attributes[i].value_count};
	return object_encode(&object, options->arena, out, err);
}

int
plan_compare_add(const struct plan_compare_options *options,
    const struct object *wanted, uint64_t *out_seq, struct err *err)
{
	struct importdb_change change = options->change;
	struct writer_attribute *attributes = NULL;
	struct buf body;
	size_t count = 0;
	int rc;

	buf_init(&body, 2 * LIMIT_OBJECT_BYTES);
	rc = options->schema->map(options->schema->arg, wanted, options->arena,
	    &attributes, &count, err);
	if (rc == 0)
		rc =
		    plan_compare_encode(options, attributes, count, &body, err);
	if (rc == 0) {
		change.op = IMPORTDB_ADD;
		change.body = buf_slice(&body);
		rc = importdb_plan_put(options->db, &change, err);
		*out_seq = importdb_plan_last(options->db);
	}
	buf_fini(&body);
	return rc;
}

static bool
plan_compare_skip(const struct plan_compare_options *options, const char *name)
{
	/* The RDN goes by rename, the class never changes. */
	return strcasecmp(name, options->schema->rdn_attribute) == 0 ||
	       strcasecmp(name, "objectClass") == 0;
}

/* Keeps the attributes that differ from the stored ones; gives their number. */
static size_t
plan_compare_differences(const struct plan_compare_options *options,
    const struct object *stored, struct writer_attribute *attributes,
    size_t count)
{
	size_t kept = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct object_attribute *now =
		    object_find(stored, attributes[i].name);

		if (plan_compare_skip(options, attributes[i].name))
			continue;
		if (now != NULL && options->schema->equal(options->schema->arg,
				       attributes[i].name, attributes[i].values,
				       attributes[i].value_count, now->values,
				       now->value_count))
			continue;
		attributes[kept++] = attributes[i];
	}
	return kept;
}

static bool
plan_compare_wanted(
    const struct writer_attribute *attributes, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcasecmp(attributes[i].name, name) == 0)
			return true;
	return false;
}

static int
plan_compare_put(const struct plan_compare_options *options,
    const struct writer_attribute *attributes, size_t count,
    const char *cleared, struct err *err)
{
	struct importdb_change change = options->change;
	struct buf body;
	int rc;

	buf_init(&body, 2 * LIMIT_OBJECT_BYTES);
	rc = plan_compare_encode(options, attributes, count, &body, err);
	if (rc == 0) {
		change.op = IMPORTDB_MODIFY;
		change.body = buf_slice(&body);
		change.cleared = cleared;
		rc = importdb_plan_put(options->db, &change, err);
	}
	buf_fini(&body);
	return rc;
}

static int
plan_compare_rename(const struct plan_compare_options *options, struct err *err)
{
	struct importdb_change change = options->change;

	change.op = IMPORTDB_RENAME;
	change.dn = options->old_dn;
	change.new_rdn = options->new_rdn;
	return importdb_plan_put(options->db, &change, err);
}

int
plan_compare_modify(const struct plan_compare_options *options,
    const struct object *stored, const struct object *wanted,
    struct import_result *result, uint64_t *out_seq, struct err *err)
{
	struct writer_attribute *attributes = NULL;
	struct buf cleared;
	size_t count = 0;
	size_t kept;
	size_t i;
	int rc;

	*out_seq = 0;
	buf_init(&cleared, 65536);
	rc = options->schema->map(options->schema->arg, wanted, options->arena,
	    &attributes, &count, err);
	if (rc != 0)
		goto out;
	for (i = 0; i < stored->attribute_count; i++) {
		const char *name = stored->attributes[i].name;

		if (plan_compare_skip(options, name) ||
		    plan_compare_wanted(attributes, count, name))
			continue;
		buf_addf(&cleared, "%s%s", cleared.len > 0 ? " " : "", name);
	}
	kept = plan_compare_differences(options, stored, attributes, count);
	if (options->old_dn != NULL)
		rc = plan_compare_rename(options, err);
	if (rc == 0 && (kept > 0 || cleared.len > 0)) {
		rc = plan_compare_put(
		    options, attributes, kept, buf_cstr(&cleared), err);
		*out_seq = importdb_plan_last(options->db);
	} else if (rc == 0 && options->old_dn == NULL) {
		result->same++;
	}
out:
	buf_fini(&cleared);
	return rc;
}
