/*
 * Reading a replica in id order, and writing sections from it. A cursor has a
 * connection of its own, so that its snapshot outlives what the handle does.
 */
#include "common/replica/replica_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"

/* A scan touches each page about once: a large cache would not be hit. */
#define REPLICA_CURSOR_CACHE_KIB 2048
/* A delta of less than this part of all objects is sorted, a larger one found
 * by scanning the index in order. */
#define REPLICA_SCAN_PART 8

struct replica_cursor {
	struct db *db;
	struct replica_meta meta;
	uint64_t since;
	uint64_t records; /* what the cursor will give */
	struct db_stmt *list, *body;
	bool ended;
};

static int
replica_cursor_count(struct replica_cursor *cursor, struct err *err)
{
	struct db_stmt *stmt;

	cursor->records = cursor->meta.state.count;
	if (cursor->since == 0)
		return 0;
	if (db_prepare(cursor->db,
		"SELECT count(*) FROM object INDEXED BY object_version "
		"WHERE version > ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, cursor->since);
	if (db_step(stmt, err) < 0)
		return -1;
	cursor->records = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 0;
}

static int
replica_cursor_list(struct replica_cursor *cursor, struct err *err)
{
	const char *sql;

	if (cursor->since == 0)
		sql = "SELECT rowid, id, version, deleted FROM object "
		      "INDEXED BY object_id WHERE deleted = 0 ORDER BY id";
	else if (cursor->records > cursor->meta.state.count / REPLICA_SCAN_PART)
		sql = "SELECT rowid, id, version, deleted FROM object "
		      "INDEXED BY object_id WHERE version > ?1 ORDER BY id";
	else
		sql = "SELECT rowid, id, version, deleted FROM object "
		      "INDEXED BY object_version WHERE version > ?1 "
		      "ORDER BY id";
	if (db_prepare(cursor->db, sql, &cursor->list, err) < 0)
		return -1;
	if (cursor->since != 0)
		db_bind_u64(cursor->list, 1, cursor->since);
	return 0;
}

int
replica_cursor_open(struct replica *replica, uint64_t since,
    struct replica_cursor **out_cursor, struct err *err)
{
	struct replica_cursor *cursor = mem_calloc(1, sizeof(*cursor));

	*out_cursor = NULL;
	cursor->since = since;
	if (replica_connect(replica->path, &cursor->db, err) < 0 ||
	    db_cache_set(cursor->db, REPLICA_CURSOR_CACHE_KIB, err) < 0 ||
	    db_begin_read(cursor->db, err) < 0 ||
	    replica_meta_load(cursor->db, &cursor->meta, err) < 0)
		goto fail;
	if (since != 0 && (since < cursor->meta.state.floor ||
			      since > cursor->meta.state.version)) {
		err_set(err, ERR_INTERNAL,
		    "%s: changes since %llu are not known (floor %llu, "
		    "version %llu)",
		    replica->path, (unsigned long long)since,
		    (unsigned long long)cursor->meta.state.floor,
		    (unsigned long long)cursor->meta.state.version);
		goto fail;
	}
	if (replica_cursor_count(cursor, err) < 0 ||
	    replica_cursor_list(cursor, err) < 0)
		goto fail;
	*out_cursor = cursor;
	return 0;
fail:
	replica_cursor_close(cursor);
	return -1;
}

static int
replica_cursor_body(struct replica_cursor *cursor, int64_t rowid,
    struct slice *out_body, struct err *err)
{
	int rc;

	if (db_prepare(cursor->db, "SELECT body FROM object WHERE rowid = ?1",
		&cursor->body, err) < 0)
		return -1;
	db_bind_i64(cursor->body, 1, rowid);
	rc = db_step(cursor->body, err);
	if (rc > 0) {
		*out_body = db_column_blob(cursor->body, 0);
		return 0;
	}
	cursor->body = NULL;
	if (rc < 0)
		return -1;
	return err_set(err, ERR_IO,
	    "database %s is damaged (an index entry without row): %s",
	    db_path(cursor->db), replica_schema.cure);
}

int
replica_cursor_next(struct replica_cursor *cursor,
    struct section_object *out_object, struct err *err)
{
	int rc;

	if (cursor->body != NULL)
		db_reset(cursor->body);
	cursor->body = NULL;
	if (cursor->ended)
		return 0;
	rc = db_step(cursor->list, err);
	if (rc <= 0) {
		cursor->ended = true;
		return rc;
	}
	if (id_from_slice(
		db_column_blob(cursor->list, 1), &out_object->id, err) < 0)
		return -1;
	out_object->version = db_column_u64(cursor->list, 2);
	out_object->deleted = db_column_i64(cursor->list, 3) != 0;
	out_object->body = SLICE_NULL;
	if (!out_object->deleted &&
	    replica_cursor_body(cursor, db_column_i64(cursor->list, 0),
		&out_object->body, err) < 0)
		return -1;
	return 1;
}

void
replica_cursor_close(struct replica_cursor *cursor)
{
	if (cursor == NULL)
		return;
	if (cursor->db != NULL)
		db_rollback(cursor->db);
	db_close(cursor->db);
	free(cursor);
}

static int
replica_section_head(const struct replica_cursor *cursor, const char *member,
    const char *stream, struct section_head *out_head, struct err *err)
{
	struct section_head head = {
	    .base = cursor->since,
	    .version = cursor->meta.state.version,
	    .records = cursor->records,
	};

	if (head.version == 0)
		return err_set(err, ERR_INTERNAL, "%s was never published",
		    db_path(cursor->db));
	if (strlen(member) >= sizeof(head.member) ||
	    strlen(stream) >= sizeof(head.stream))
		return err_set(err, ERR_INTERNAL, "a name is too long");
	memcpy(head.member, member, strlen(member) + 1);
	memcpy(head.stream, stream, strlen(stream) + 1);
	*out_head = head;
	return 0;
}

static int
replica_section_copy(struct replica_cursor *cursor,
    struct section_writer *writer, struct err *err)
{
	struct section_object object;
	int rc;

	while ((rc = replica_cursor_next(cursor, &object, err)) > 0) {
		if (section_writer_add(writer, &object, err) < 0)
			return -1;
	}
	return rc;
}

int
replica_section_write(struct replica *replica, const char *member,
    const char *stream, uint64_t base, const char *path,
    struct replica_section *out_section, struct err *err)
{
	struct section_writer *writer = NULL;
	struct replica_cursor *cursor;
	struct section_head head = {.version = 0};
	int rc = -1;

	if (replica_cursor_open(replica, base, &cursor, err) < 0)
		return -1;
	if (replica_section_head(cursor, member, stream, &head, err) < 0 ||
	    section_writer_open(path, &head, &writer, out_section->key, err) <
		0)
		goto out;
	if (replica_section_copy(cursor, writer, err) < 0)
		goto out;
	out_section->base = head.base;
	out_section->version = head.version;
	rc = section_writer_close(
	    writer, out_section->sha256, &out_section->length, err);
	writer = NULL;
out:
	section_writer_abort(writer);
	replica_cursor_close(cursor);
	return rc;
}
