/*
 * Where references are names, each distinct one costs a look. When everything
 * is read again, nearly all of them mean whom they meant the last time: the one
 * that the replica has as the object's manager is taken to be the one named,
 * and at the end it must be in the stream under that name. Names of others are
 * asked for then. One that turns out to mean somebody else has everything read
 * once more, without belief.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/collect/references_internal.h"

/* Names that are asked for together. */
#define CONFIRM_AT_ONCE 1000
#define DOUBTS_ARENA_MAX ((size_t)32 << 20)

void
references_begin_whole(struct collector *c)
{
	struct references *r = c->references;

	if (r == NULL)
		return;
	db_close(r->predicted);
	r->predicted = NULL;
	r->predicts = r->predicts && r->cache != NULL && c->intake != NULL;
}

static int
predictions_open(struct references *r, struct err *err)
{
	if (r->predicted != NULL)
		return 0;
	if (db_scratch_open(&r->predicted, err) < 0)
		return -1;
	return db_exec(
	    r->predicted, "CREATE TABLE predicted (id BLOB, name BLOB)", err);
}

static int
believe(struct references *r, const struct id *id, struct slice name,
    struct err *err)
{
	struct db_stmt *stmt;

	if (predictions_open(r, err) < 0 ||
	    db_prepare(r->predicted, "INSERT INTO predicted VALUES (?1, ?2)",
		&stmt, err) < 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(id));
	db_bind_blob_static(stmt, 2, name);
	reference_cache_put(r->cache, name, id);
	return db_run(stmt, err);
}

int
references_predict(struct collector *c, const struct id *id, struct slice name,
    struct id *out_manager, struct err *err)
{
	struct references *r = c->references;
	int rc;

	if (!r->predicts || !c->result->whole)
		return 0;
	rc = replica_manager(c->replica, id, out_manager, err);
	if (rc > 0 && believe(r, out_manager, name, err) < 0)
		return -1;
	return rc;
}

int
references_predict_members(
    struct collector *c, const struct id *id, struct err *err)
{
	struct references *r = c->references;
	struct object object;
	const struct id *list;
	int rc;

	if (!r->predicts || !c->result->whole)
		return 0;
	buf_reset(&r->members);
	rc = replica_members(c->replica, id, &r->members, err);
	list = (const struct id *)r->members.data;
	for (size_t i = 0; rc > 0 && i < r->members.len / ID_LEN; i++) {
		buf_reset(&r->body);
		arena_reset(r->spare);
		rc = replica_get(c->replica, &list[i], &r->body, err);
		if (rc == 0) {
			rc = 1; /* it is not in the stream: it is asked for */
			continue;
		}
		if (rc > 0 && object_decode(buf_slice(&r->body), r->spare,
				  &object, err) < 0)
			rc = -1;
		if (rc > 0 && object.source_dn[0] != '\0' &&
		    reference_cache_find(
			r->cache, slice_str(object.source_dn)) == NULL &&
		    believe(r, &list[i], slice_str(object.source_dn), err) < 0)
			rc = -1;
	}
	return rc < 0 ? -1 : 0;
}

/* Is it in the stream under that name? */
static int
is_named(struct collector *c, const struct id *id, struct slice name,
    struct err *err)
{
	struct references *r = c->references;
	struct object object;
	int rc = replica_intake_has(c->intake, id, err);

	if (rc <= 0)
		return rc;
	buf_reset(&r->body);
	arena_reset(r->arena);
	rc = replica_get(c->replica, id, &r->body, err);
	if (rc <= 0)
		return rc;
	if (object_decode(buf_slice(&r->body), r->arena, &object, err) < 0)
		return -1;
	return slice_equal(slice_str(object.source_dn), name);
}

/* Those whose names nobody of the stream has. */
struct doubts {
	struct slice names[CONFIRM_AT_ONCE];
	struct id ids[CONFIRM_AT_ONCE];
	size_t count;
	struct arena *arena; /* has the names */
};

static int
doubt_add(
    struct doubts *d, const struct id *id, struct slice name, struct err *err)
{
	struct slice copy = arena_dup(d->arena, name);

	if (copy.data == NULL)
		return err_set(err, ERR_LIMIT, "names are too long");
	d->names[d->count] = copy;
	d->ids[d->count++] = *id;
	return 0;
}

/* 1, 0: one means somebody else, -1. */
static int
doubts_ask(struct references *r, struct doubts *d, struct err *err)
{
	size_t n = d->count;

	d->count = 0;
	reference_cache_clear(r->cache);
	if (reference_cache_resolve(r->cache, d->names, n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct id *id =
		    reference_cache_find(r->cache, d->names[i]);

		if (id == NULL || id_compare(id, &d->ids[i]) != 0)
			return 0;
	}
	arena_reset(d->arena);
	return 1;
}

/* 1, 0: it means somebody else, -1. */
static int
one_confirm(struct collector *c, struct doubts *d, struct slice raw,
    struct slice name, struct err *err)
{
	struct id id;
	int rc;

	if (id_from_slice(raw, &id, err) < 0)
		return -1;
	rc = is_named(c, &id, name, err);
	if (rc != 0)
		return rc;
	if (doubt_add(d, &id, name, err) < 0)
		return -1;
	return d->count < CONFIRM_AT_ONCE ? 1
					  : doubts_ask(c->references, d, err);
}

static int
all_confirm(struct collector *c, struct doubts *d, struct err *err)
{
	struct references *r = c->references;
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(r->predicted,
		"SELECT id, name FROM predicted ORDER BY rowid", &stmt,
		err) < 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		rc = one_confirm(c, d, db_column_blob(stmt, 0),
		    db_column_blob(stmt, 1), err);
		if (rc <= 0) {
			db_reset(stmt);
			return rc;
		}
	}
	return rc < 0 ? -1 : doubts_ask(r, d, err);
}

int
references_confirm(struct collector *c, struct err *err)
{
	struct references *r = c->references;
	struct doubts *d;
	int rc;

	if (!r->predicts || r->predicted == NULL)
		return 1;
	d = mem_calloc(1, sizeof(*d));
	d->arena = arena_new(DOUBTS_ARENA_MAX);
	rc = all_confirm(c, d, err);
	arena_free(d->arena);
	free(d);
	if (rc == 0) {
		log_info("read again, as a manager's name means somebody else "
			 "now policy=%s",
		    c->policy->name);
		r->predicts = false;
		reference_cache_clear(r->cache);
	}
	return rc;
}
