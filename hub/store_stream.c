/* The rows of hub.db that concern streams and their sections. */
#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "hub/sql.h"
#include "hub/store.h"

#define STREAM_MANIFEST_MAX (1024 * 1024)
#define STREAM_COLUMNS                                                         \
	"id, member, stream, tag, version, root, count, issued_at, "           \
	"not_after, ended, audience, manifest, refusal, outside, "             \
	"held_version, held_outside, released_version, asked_version, "        \
	"recount, admitted_at, generation"

static void
stream_read(struct db_stmt *stmt, struct store_stream *out)
{
	memset(out, 0, sizeof(*out));
	out->id = db_column_i64(stmt, 0);
	sql_text(stmt, 1, out->member, sizeof(out->member));
	sql_text(stmt, 2, out->stream, sizeof(out->stream));
	sql_text(stmt, 3, out->tag, sizeof(out->tag));
	out->version = db_column_u64(stmt, 4);
	(void)sql_bytes(stmt, 5, out->root, sizeof(out->root));
	out->count = db_column_u64(stmt, 6);
	out->issued_at = db_column_i64(stmt, 7);
	out->not_after = db_column_i64(stmt, 8);
	out->ended = db_column_i64(stmt, 9) != 0;
	out->audience = mem_strdup(db_column_text(stmt, 10));
	buf_init(&out->manifest, STREAM_MANIFEST_MAX);
	buf_add(&out->manifest, db_column_blob(stmt, 11));
	sql_text(stmt, 12, out->refusal, sizeof(out->refusal));
	out->foreign = db_column_u64(stmt, 13);
	out->held_version = db_column_u64(stmt, 14);
	out->held_foreign = db_column_u64(stmt, 15);
	out->released_version = db_column_u64(stmt, 16);
	out->asked_version = db_column_u64(stmt, 17);
	out->recount = db_column_i64(stmt, 18) != 0;
	out->admitted_at = db_column_i64(stmt, 19);
	out->generation = db_column_u64(stmt, 20);
}

int
store_stream_get(struct store *store, const char *member, const char *stream,
    struct store_stream *out_stream, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT " STREAM_COLUMNS
	    " FROM stream WHERE member = ?1 AND stream = ?2",
	    "ss", member, stream);
	int rc;

	memset(out_stream, 0, sizeof(*out_stream));
	buf_init(&out_stream->manifest, STREAM_MANIFEST_MAX);
	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc == 1) {
		stream_read(stmt, out_stream);
		db_reset(stmt);
	} else if (rc == 0) {
		out_stream->audience = mem_strdup("");
		(void)snprintf(out_stream->member, sizeof(out_stream->member),
		    "%s", member);
		(void)snprintf(out_stream->stream, sizeof(out_stream->stream),
		    "%s", stream);
	}
	return rc;
}

void
store_stream_fini(struct store_stream *stream)
{
	free(stream->audience);
	stream->audience = NULL;
	buf_fini(&stream->manifest);
}

int
store_generation(struct store *store, uint64_t *out, struct err *err)
{
	return sql_number(store_db(store), err, out,
	    "SELECT max(generation) FROM stream", "");
}

static int
stream_insert(struct store *store, struct store_stream *row, struct err *err)
{
	if (sql_run(store_db(store), err,
		"INSERT INTO stream(member, stream, tag, version, root, count,"
		" issued_at, not_after, ended, audience, manifest, refusal,"
		" outside, held_version, held_outside, released_version,"
		" asked_version, recount, admitted_at, generation)"
		" VALUES(?1, ?2, '', 0, x'', 0, 0, 0, 0, '', x'', '', 0, 0, 0,"
		" 0, 0, 0, 0, 0)",
		"ss", row->member, row->stream) < 0)
		return -1;
	row->id = db_last_rowid(store_db(store));
	return 0;
}

int
store_stream_put(
    struct store *store, struct store_stream *row, bool bump, struct err *err)
{
	if (row->id == 0 && stream_insert(store, row, err) < 0)
		return -1;
	if (bump) {
		uint64_t newest;

		if (store_generation(store, &newest, err) < 0)
			return -1;
		row->generation = newest + 1;
	}
	return sql_run(store_db(store), err,
	    "UPDATE stream SET tag = ?2, version = ?3, root = ?4, count = ?5,"
	    " issued_at = ?6, not_after = ?7, ended = ?8, audience = ?9,"
	    " manifest = ?10, refusal = ?11, outside = ?12,"
	    " held_version = ?13, held_outside = ?14,"
	    " released_version = ?15, asked_version = ?16, recount = ?17,"
	    " admitted_at = ?18, generation = ?19 WHERE id = ?1",
	    "isubuiiisbsuuuuuiiu", row->id, row->tag, row->version,
	    slice_make(row->root, sizeof(row->root)), row->count,
	    row->issued_at, row->not_after, (int64_t)row->ended, row->audience,
	    buf_slice(&row->manifest), row->refusal, row->foreign,
	    row->held_version, row->held_foreign, row->released_version,
	    row->asked_version, (int64_t)row->recount, row->admitted_at,
	    row->generation);
}

int
store_streams(struct store *store, const char *member,
    struct store_stream **out_rows, size_t *out_count, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT " STREAM_COLUMNS
	    " FROM stream WHERE ?1 IS NULL OR member = ?1 ORDER BY 2, 3",
	    "s", member);
	struct store_stream *rows = NULL;
	size_t count = 0, size = 0;
	int rc;

	*out_rows = NULL;
	*out_count = 0;
	if (stmt == NULL)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		if (count == size) {
			size = size == 0 ? 16 : size * 2;
			rows = mem_realloc(rows, size * sizeof(*rows));
		}
		stream_read(stmt, &rows[count++]);
	}
	if (rc < 0) {
		store_streams_free(rows, count);
		return -1;
	}
	*out_rows = rows;
	*out_count = count;
	return 0;
}

void
store_streams_free(struct store_stream *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_stream_fini(&rows[i]);
	free(rows);
}

int
store_foreign_has(struct store *store, int64_t stream, const struct id *id,
    bool *out_has, struct err *err)
{
	uint64_t n;
	int rc = sql_number(store_db(store), err, &n,
	    "SELECT 1 FROM outside WHERE stream = ?1 AND id = ?2", "ib", stream,
	    id_slice(id));

	*out_has = n != 0;
	return rc;
}

int
store_foreign_set(struct store *store, int64_t stream, const struct id *id,
    bool foreign, struct err *err)
{
	if (foreign)
		return sql_run(store_db(store), err,
		    "INSERT OR IGNORE INTO outside(stream, id) VALUES(?1, ?2)",
		    "ib", stream, id_slice(id));
	return sql_run(store_db(store), err,
	    "DELETE FROM outside WHERE stream = ?1 AND id = ?2", "ib", stream,
	    id_slice(id));
}

int
store_foreign_clear(struct store *store, int64_t stream, struct err *err)
{
	return sql_run(store_db(store), err,
	    "DELETE FROM outside WHERE stream = ?1", "i", stream);
}

int
store_section_get(struct store *store, int64_t stream, uint64_t base,
    uint64_t version, int64_t now_ms, struct store_section *out_section,
    struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT sha256, length, key FROM section"
	    " WHERE stream = ?1 AND base = ?2 AND version = ?3",
	    "iuu", stream, base, version);
	int rc;

	memset(out_section, 0, sizeof(*out_section));
	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	out_section->stream = stream;
	out_section->base = base;
	out_section->version = version;
	(void)sql_bytes(stmt, 0, out_section->sha256, CRYPTO_HASH_LEN);
	out_section->length = db_column_u64(stmt, 1);
	(void)sql_bytes(stmt, 2, out_section->key, CRYPTO_KEY_LEN);
	db_reset(stmt);
	if (sql_run(store_db(store), err,
		"UPDATE section SET used_at = ?4"
		" WHERE stream = ?1 AND base = ?2 AND version = ?3",
		"iuui", stream, base, version, now_ms) < 0)
		return -1;
	return 1;
}

int
store_section_put(struct store *store, const struct store_section *section,
    int64_t now_ms, struct err *err)
{
	return sql_run(store_db(store), err,
	    "INSERT OR REPLACE INTO section(stream, base, version, sha256,"
	    " length, key, used_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	    "iuububi", section->stream, section->base, section->version,
	    slice_make(section->sha256, CRYPTO_HASH_LEN), section->length,
	    slice_make(section->key, CRYPTO_KEY_LEN), now_ms);
}

int
store_sections_purge(struct store *store, int64_t before,
    void (*fn)(void *arg, const uint8_t sha256[CRYPTO_HASH_LEN]), void *arg,
    struct err *err)
{
	static const char old[] =
	    "SELECT sha256 FROM section WHERE (used_at < ?1 OR NOT EXISTS"
	    " (SELECT 1 FROM stream WHERE id = section.stream"
	    " AND version = section.version))"
	    " AND NOT EXISTS (SELECT 1 FROM bundle)";
	uint8_t sha256[CRYPTO_HASH_LEN];
	struct db_stmt *stmt =
	    sql_query(store_db(store), err, old, "i", before);
	size_t count = 0;
	int rc;

	if (stmt == NULL)
		return -1;
	for (; (rc = db_step(stmt, err)) > 0; count++) {
		(void)sql_bytes(stmt, 0, sha256, sizeof(sha256));
		fn(arg, sha256);
	}
	if (rc < 0 || count == 0)
		return rc;
	return sql_run(store_db(store), err,
	    "DELETE FROM section WHERE (used_at < ?1 OR NOT EXISTS"
	    " (SELECT 1 FROM stream WHERE id = section.stream"
	    " AND version = section.version))"
	    " AND NOT EXISTS (SELECT 1 FROM bundle)",
	    "i", before);
}

int
store_section_known(struct store *store, const uint8_t sha256[CRYPTO_HASH_LEN],
    bool *out_known, struct err *err)
{
	uint64_t n;
	int rc = sql_number(store_db(store), err, &n,
	    "SELECT 1 FROM section WHERE sha256 = ?1", "b",
	    slice_make(sha256, CRYPTO_HASH_LEN));

	*out_known = n != 0;
	return rc;
}
