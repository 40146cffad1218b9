#include "hub/target.h"

#include "common/base/mem.h"
#include "common/base/reader.h"
#include "hub/sql.h"

int
target_get(struct store *store, const char *name, struct target *out_target,
    struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT name, hold, registry_version, ack, heard_at, acked_at,"
	    " applied, refused, sequence, made_at, told, owed, dirty,"
	    " generation, resend_at, notice, notice_sequence FROM target WHERE "
	    "name = ?1",
	    "s", name);
	int rc;

	memset(out_target, 0, sizeof(*out_target));
	buf_init(&out_target->ack, LIMIT_PAYLOAD_BYTES);
	(void)snprintf(out_target->name, sizeof(out_target->name), "%s", name);
	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	sql_text(stmt, 0, out_target->name, sizeof(out_target->name));
	sql_text(stmt, 1, out_target->hold, sizeof(out_target->hold));
	out_target->registry_version = db_column_u64(stmt, 2);
	buf_add(&out_target->ack, db_column_blob(stmt, 3));
	out_target->heard_at = db_column_i64(stmt, 4);
	out_target->acked_at = db_column_i64(stmt, 5);
	out_target->applied = db_column_u64(stmt, 6);
	out_target->refused = db_column_u64(stmt, 7);
	out_target->sequence = db_column_u64(stmt, 8);
	out_target->made_at = db_column_i64(stmt, 9);
	(void)sql_bytes(stmt, 10, out_target->told, sizeof(out_target->told));
	out_target->owed = db_column_i64(stmt, 11) != 0;
	out_target->dirty = db_column_i64(stmt, 12) != 0;
	out_target->generation = db_column_u64(stmt, 13);
	out_target->resend_at = db_column_i64(stmt, 14);
	sql_text(stmt, 15, out_target->notice, sizeof(out_target->notice));
	out_target->notice_sequence = db_column_u64(stmt, 16);
	db_reset(stmt);
	return 1;
}

void
target_fini(struct target *target)
{
	buf_fini(&target->ack);
}

int
target_put(struct store *store, const struct target *t, struct err *err)
{
	return sql_run(store_db(store), err,
	    "INSERT OR REPLACE INTO target(name, hold, registry_version, ack,"
	    " heard_at, acked_at, applied, refused, sequence, made_at, told,"
	    " owed, dirty, generation, resend_at, notice, notice_sequence) "
	    "VALUES(?1, ?2, ?3, "
	    "?4, ?5,"
	    " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
	    "ssubiiuuuibiiuisu", t->name, t->hold, t->registry_version,
	    buf_slice(&t->ack), t->heard_at, t->acked_at, t->applied,
	    t->refused, t->sequence, t->made_at,
	    slice_make(t->told, sizeof(t->told)), (int64_t)t->owed,
	    (int64_t)t->dirty, t->generation, t->resend_at, t->notice,
	    t->notice_sequence);
}

int
target_touch(struct store *store, const char *name, bool owed, struct err *err)
{
	return sql_run(store_db(store), err,
	    "UPDATE target SET dirty = 1, owed = max(owed, ?2)"
	    " WHERE ?1 IS NULL OR name = ?1",
	    "si", name, (int64_t)owed);
}

int
target_remove(struct store *store, const char *name, struct err *err)
{
	struct db *db = store_db(store);

	if (sql_run(db, err, "DELETE FROM flight WHERE target = ?1", "s",
		name) < 0 ||
	    sql_run(db, err, "DELETE FROM bundle WHERE target = ?1", "s",
		name) < 0 ||
	    sql_run(db, err, "DELETE FROM instance WHERE target = ?1", "s",
		name) < 0)
		return -1;
	return sql_run(
	    db, err, "DELETE FROM target WHERE name = ?1", "s", name);
}

int
target_due(struct store *store, uint64_t generation, int64_t now_ms,
    char ***out_names, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT name FROM target WHERE dirty OR generation < ?1"
	    " OR (resend_at > 0 AND resend_at <= ?2) ORDER BY name",
	    "ui", generation, now_ms);
	char **names = mem_calloc(1, sizeof(*names));
	size_t count = 0;
	int rc;

	*out_names = NULL;
	if (stmt == NULL) {
		free(names);
		return -1;
	}
	while ((rc = db_step(stmt, err)) > 0) {
		names = mem_realloc(names, (count + 2) * sizeof(*names));
		names[count++] = mem_strdup(db_column_text(stmt, 0));
		names[count] = NULL;
	}
	if (rc < 0) {
		spool_peers_free(names);
		return -1;
	}
	*out_names = names;
	return 0;
}

int
target_next_due(struct store *store, int64_t *out_ms, struct err *err)
{
	uint64_t ms;
	int rc = sql_number(store_db(store), err, &ms,
	    "SELECT min(resend_at) FROM target WHERE resend_at > 0", "");

	*out_ms = (int64_t)ms;
	return rc;
}

int
target_resend(struct store *store, const char *name, int64_t soonest_ms,
    int64_t *out_ms, struct err *err)
{
	uint64_t first;

	if (sql_number(store_db(store), err, &first,
		"SELECT min(resend_at) FROM flight WHERE target = ?1", "s",
		name) < 0)
		return -1;
	*out_ms = (int64_t)first;
	if (first != 0 && *out_ms < soonest_ms)
		*out_ms = soonest_ms;
	return 0;
}

int
target_flights(struct store *store, const char *name,
    struct target_flight **out_flights, size_t *out_count, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT stream, version, issued_at, hold_version, refused,"
	    " attempts, resend_at FROM flight WHERE target = ?1 ORDER BY 1",
	    "s", name);
	struct target_flight *flights = NULL;
	size_t count = 0;
	int rc;

	*out_flights = NULL;
	*out_count = 0;
	if (stmt == NULL)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		struct target_flight *f;

		if ((count & (count - 1)) == 0)
			flights = mem_realloc(flights,
			    (count == 0 ? 1 : count * 2) * sizeof(*flights));
		f = &flights[count++];
		f->stream = db_column_i64(stmt, 0);
		f->version = db_column_u64(stmt, 1);
		f->issued_at = db_column_i64(stmt, 2);
		f->hold_version = db_column_u64(stmt, 3);
		f->refused = db_column_i64(stmt, 4) != 0;
		f->attempts = (uint32_t)db_column_u64(stmt, 5);
		f->resend_at = db_column_i64(stmt, 6);
	}
	if (rc < 0) {
		free(flights);
		return -1;
	}
	*out_flights = flights;
	*out_count = count;
	return 0;
}

int
target_flight_put(struct store *store, const char *name,
    const struct target_flight *f, struct err *err)
{
	return sql_run(store_db(store), err,
	    "INSERT OR REPLACE INTO flight(target, stream, version, issued_at,"
	    " hold_version, refused, attempts, resend_at)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	    "siuiuiii", name, f->stream, f->version, f->issued_at,
	    f->hold_version, (int64_t)f->refused, (int64_t)f->attempts,
	    f->resend_at);
}

int
target_flight_drop(
    struct store *store, const char *name, int64_t stream, struct err *err)
{
	return sql_run(store_db(store), err,
	    "DELETE FROM flight WHERE target = ?1 AND stream = ?2", "si", name,
	    stream);
}

int
target_bundle_put(
    struct store *store, const struct target_bundle *bundle, struct err *err)
{
	struct buf blobs;
	int rc;

	buf_init(&blobs, SPOOL_BLOBS_MAX * (SPOOL_HASH_LEN + 8));
	for (size_t i = 0; i < bundle->blob_count; i++) {
		buf_add(&blobs,
		    slice_make(bundle->blobs[i].sha256, SPOOL_HASH_LEN));
		buf_add_u64be(&blobs, bundle->blobs[i].length);
	}
	rc = buf_check(&blobs, "blobs of a bundle", err);
	if (rc == 0)
		rc = sql_run(store_db(store), err,
		    "INSERT OR REPLACE INTO bundle(target, sequence, replaces,"
		    " envelope, blobs) VALUES(?1, ?2, ?3, ?4, ?5)",
		    "suubb", bundle->name, bundle->sequence, bundle->replaces,
		    buf_slice(&bundle->envelope), buf_slice(&blobs));
	buf_fini(&blobs);
	return rc;
}

int
target_bundle_next(struct store *store, const char *after,
    struct target_bundle *out_bundle, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT target, sequence, replaces, envelope, blobs FROM bundle"
	    " WHERE target > ?1 ORDER BY target LIMIT 1",
	    "s", after);
	struct reader r;
	int rc;

	memset(out_bundle, 0, sizeof(*out_bundle));
	buf_init(&out_bundle->envelope, LIMIT_ENVELOPE_BYTES);
	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	sql_text(stmt, 0, out_bundle->name, sizeof(out_bundle->name));
	out_bundle->sequence = db_column_u64(stmt, 1);
	out_bundle->replaces = db_column_u64(stmt, 2);
	buf_add(&out_bundle->envelope, db_column_blob(stmt, 3));
	reader_init(&r, db_column_blob(stmt, 4));
	out_bundle->blob_count = r.rest.len / (SPOOL_HASH_LEN + 8);
	out_bundle->blobs =
	    mem_calloc(out_bundle->blob_count + 1, sizeof(*out_bundle->blobs));
	for (size_t i = 0; i < out_bundle->blob_count; i++) {
		struct slice hash = reader_take(&r, SPOOL_HASH_LEN);

		memcpy(out_bundle->blobs[i].sha256, hash.data, hash.len);
		out_bundle->blobs[i].length = reader_u64be(&r);
	}
	db_reset(stmt);
	return 1;
}

int
target_bundle_drop(struct store *store, const char *name, struct err *err)
{
	return sql_run(store_db(store), err,
	    "DELETE FROM bundle WHERE target = ?1", "s", name);
}

void
target_bundle_fini(struct target_bundle *bundle)
{
	buf_fini(&bundle->envelope);
	free(bundle->blobs);
	bundle->blobs = NULL;
}
