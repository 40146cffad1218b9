#include "common/replica/db_note.h"
#include "spoke/store.h"

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"

#define STORE_FILE "spoke.db"
#define STORE_NOTE_REGISTRY "registry"

static const char *const steps[] = {
    "CREATE TABLE note(key TEXT PRIMARY KEY, value BLOB NOT NULL);"
    "CREATE TABLE sequence(type INTEGER PRIMARY KEY,"
    " last INTEGER NOT NULL);"
    "CREATE TABLE seen(type INTEGER PRIMARY KEY,"
    " sequence INTEGER NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE own(policy TEXT PRIMARY KEY COLLATE NOCASE,"
    " sequence INTEGER NOT NULL, version INTEGER NOT NULL,"
    " issued_at INTEGER NOT NULL, sent_at INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, base INTEGER NOT NULL,"
    " built_version INTEGER NOT NULL, built_root BLOB NOT NULL,"
    " hub_version INTEGER NOT NULL, hub_root BLOB NOT NULL,"
    " hub_issued_at INTEGER NOT NULL, hub_refusal TEXT NOT NULL);"
    "CREATE TABLE stream(member TEXT NOT NULL COLLATE NOCASE,"
    " stream TEXT NOT NULL COLLATE NOCASE, tag TEXT NOT NULL,"
    " version INTEGER NOT NULL, root BLOB NOT NULL,"
    " count INTEGER NOT NULL, issued_at INTEGER NOT NULL,"
    " not_after INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " taken_at INTEGER NOT NULL, refusal TEXT NOT NULL,"
    " PRIMARY KEY(member, stream));"
    "CREATE TABLE counter(name TEXT PRIMARY KEY,"
    " value INTEGER NOT NULL);"
    "CREATE TABLE run(policy TEXT PRIMARY KEY COLLATE NOCASE,"
    " started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,"
    " code INTEGER NOT NULL, text TEXT NOT NULL);"
    "CREATE TABLE pin_member(name TEXT PRIMARY KEY COLLATE NOCASE,"
    " pinned_at INTEGER NOT NULL, revoked INTEGER NOT NULL,"
    " accepted INTEGER NOT NULL, held TEXT NOT NULL,"
    " held_at INTEGER NOT NULL);"
    "CREATE TABLE pin_key(member TEXT NOT NULL COLLATE NOCASE,"
    " key_id BLOB NOT NULL, pinned_at INTEGER NOT NULL,"
    " PRIMARY KEY(member, key_id));"
    "CREATE TABLE pin_domain(domain TEXT NOT NULL COLLATE NOCASE,"
    " member TEXT NOT NULL COLLATE NOCASE,"
    " PRIMARY KEY(domain, member));"
    "CREATE TABLE pin_revoked(key_id BLOB PRIMARY KEY);"
    "CREATE TABLE pin_end(member TEXT NOT NULL COLLATE NOCASE,"
    " stream TEXT NOT NULL COLLATE NOCASE,"
    " PRIMARY KEY(member, stream));",
};

static const struct db_schema schema = {
    .what = "spoke store",
    .cure = "restore spoke.db from a backup, or remove it and run galspoke "
	    "join with a new invitation: contacts and replicas stay",
    .steps = steps,
    .count = sizeof(steps) / sizeof(steps[0]),
};

struct spoke_store {
	struct db *db;
};

int
store_open(const struct spoke_conf *conf, struct spoke_store **out_store,
    struct err *err)
{
	char *path = spoke_conf_state_path(conf, STORE_FILE);
	struct spoke_store *store = mem_calloc(1, sizeof(*store));
	int rc = db_open(path, &schema, &store->db, err);

	free(path);
	if (rc < 0) {
		free(store);
		return -1;
	}
	*out_store = store;
	return 0;
}

void
store_close(struct spoke_store *store)
{
	if (store == NULL)
		return;
	db_close(store->db);
	free(store);
}

struct db *
store_db(struct spoke_store *store)
{
	return store->db;
}

static void
text_take(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text);
}

static void
hash_take(uint8_t out[CRYPTO_HASH_LEN], struct slice s)
{
	memset(out, 0, CRYPTO_HASH_LEN);
	if (s.len == CRYPTO_HASH_LEN)
		memcpy(out, s.data, CRYPTO_HASH_LEN);
}

int
store_note_get(struct spoke_store *store, const char *key, struct buf *out,
    struct err *err)
{
	return db_note_get(store->db, key, out, err);
}

int
store_note_set(struct spoke_store *store, const char *key, struct slice value,
    struct err *err)
{
	return db_note_set(store->db, key, value, err);
}

int
store_number_get(struct spoke_store *store, const char *key,
    uint64_t *out_value, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, 32);
	rc = store_note_get(store, key, &buf, err);
	*out_value = rc < 0 ? 0 : strtoull(buf_cstr(&buf), NULL, 10);
	buf_fini(&buf);
	return rc;
}

int
store_number_set(
    struct spoke_store *store, const char *key, uint64_t value, struct err *err)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return store_note_set(store, key, slice_str(text), err);
}

int
store_registry(struct spoke_store *store, const struct identity *identity,
    struct registry **out_registry, struct err *err)
{
	struct buf buf;
	int rc = -1;

	*out_registry = NULL;
	buf_init(&buf, LIMIT_PAYLOAD_BYTES);
	if (store_note_get(store, STORE_NOTE_REGISTRY, &buf, err) < 0)
		goto out;
	rc = 0;
	if (buf.len > 0)
		rc = registry_decode(
		    buf_slice(&buf), identity->hub_sign, out_registry, err);
	if (rc < 0)
		(void)err_prepend(err, "the registry kept here");
out:
	buf_fini(&buf);
	return rc;
}

int
store_registry_set(
    struct spoke_store *store, const struct registry *registry, struct err *err)
{
	return store_note_set(
	    store, STORE_NOTE_REGISTRY, registry->signed_bytes, err);
}

int
store_sequence_last(struct spoke_store *store, Galr__EnvelopeType type,
    uint64_t *out_sequence, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	*out_sequence = 0;
	if (db_prepare(store->db, "SELECT last FROM sequence WHERE type = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_i64(stmt, 1, type);
	rc = db_step(stmt, err);
	if (rc > 0) {
		*out_sequence = db_column_u64(stmt, 0);
		db_reset(stmt);
	}
	return rc < 0 ? -1 : 0;
}

int
store_sequence_next(struct spoke_store *store, Galr__EnvelopeType type,
    int64_t now_ms, uint64_t *out_sequence, struct err *err)
{
	bool own = !db_in_transaction(store->db);
	struct db_stmt *stmt;
	uint64_t last;

	/* Two processes must not read the same last one. */
	if (own && db_begin(store->db, err) < 0)
		return -1;
	if (store_sequence_last(store, type, &last, err) < 0 ||
	    db_prepare(store->db,
		"INSERT OR REPLACE INTO sequence(type, last) VALUES(?1, ?2)",
		&stmt, err) < 0)
		goto fail;
	*out_sequence = envelope_next(last, now_ms);
	db_bind_i64(stmt, 1, type);
	db_bind_u64(stmt, 2, *out_sequence);
	if (db_run(stmt, err) < 0)
		goto fail;
	return own ? db_commit(store->db, err) : 0;
fail:
	if (own)
		db_rollback(store->db);
	return -1;
}

int
store_seen_get(struct spoke_store *store, Galr__EnvelopeType type,
    struct envelope_seen *out_seen, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	memset(out_seen, 0, sizeof(*out_seen));
	if (db_prepare(store->db,
		"SELECT sequence, hash FROM seen WHERE type = ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_i64(stmt, 1, type);
	rc = db_step(stmt, err);
	if (rc > 0) {
		out_seen->sequence = db_column_u64(stmt, 0);
		hash_take(out_seen->hash, db_column_blob(stmt, 1));
		db_reset(stmt);
	}
	return rc < 0 ? -1 : 0;
}

int
store_seen_set(struct spoke_store *store, Galr__EnvelopeType type,
    const struct envelope_seen *seen, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store->db,
		"INSERT OR REPLACE INTO seen(type, sequence, hash)"
		" VALUES(?1, ?2, ?3)",
		&stmt, err) < 0)
		return -1;
	db_bind_i64(stmt, 1, type);
	db_bind_u64(stmt, 2, seen->sequence);
	db_bind_blob(stmt, 3, slice_make(seen->hash, CRYPTO_HASH_LEN));
	return db_run(stmt, err);
}

int
store_own_get(struct spoke_store *store, const char *policy,
    struct store_own *out_own, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	memset(out_own, 0, sizeof(*out_own));
	text_take(out_own->policy, sizeof(out_own->policy), policy);
	if (db_prepare(store->db,
		"SELECT sequence, version, issued_at, sent_at, bytes, base,"
		" built_version, built_root,"
		" hub_version, hub_root, hub_issued_at, hub_refusal"
		" FROM own WHERE policy = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, policy);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	out_own->sequence = db_column_u64(stmt, 0);
	out_own->version = db_column_u64(stmt, 1);
	out_own->issued_at = db_column_i64(stmt, 2);
	out_own->sent_at = db_column_i64(stmt, 3);
	out_own->bytes = db_column_u64(stmt, 4);
	out_own->base = db_column_u64(stmt, 5);
	out_own->built_version = db_column_u64(stmt, 6);
	hash_take(out_own->built_root, db_column_blob(stmt, 7));
	out_own->hub_version = db_column_u64(stmt, 8);
	hash_take(out_own->hub_root, db_column_blob(stmt, 9));
	out_own->hub_issued_at = db_column_i64(stmt, 10);
	text_take(out_own->hub_refusal, sizeof(out_own->hub_refusal),
	    db_column_text(stmt, 11));
	db_reset(stmt);
	return 0;
}

int
store_own_list(
    struct spoke_store *store, store_own_fn *fn, void *arg, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(store->db,
		"SELECT policy FROM own WHERE hub_version > 0 ORDER BY policy",
		&stmt, err) < 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0)
		if (fn(arg, db_column_text(stmt, 0), err) < 0) {
			db_reset(stmt);
			return -1;
		}
	return rc;
}

int
store_own_set(
    struct spoke_store *store, const struct store_own *own, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store->db,
		"INSERT OR REPLACE INTO own(policy, sequence, version,"
		" issued_at, sent_at, bytes, base, built_version, built_root,"
		" hub_version, hub_root, hub_issued_at, hub_refusal) VALUES"
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, own->policy);
	db_bind_u64(stmt, 2, own->sequence);
	db_bind_u64(stmt, 3, own->version);
	db_bind_i64(stmt, 4, own->issued_at);
	db_bind_i64(stmt, 5, own->sent_at);
	db_bind_u64(stmt, 6, own->bytes);
	db_bind_u64(stmt, 7, own->base);
	db_bind_u64(stmt, 8, own->built_version);
	db_bind_blob(stmt, 9, slice_make(own->built_root, CRYPTO_HASH_LEN));
	db_bind_u64(stmt, 10, own->hub_version);
	db_bind_blob(stmt, 11, slice_make(own->hub_root, CRYPTO_HASH_LEN));
	db_bind_i64(stmt, 12, own->hub_issued_at);
	db_bind_text(stmt, 13, own->hub_refusal);
	return db_run(stmt, err);
}

#define STREAM_COLUMNS                                                         \
	"member, stream, tag, version, root, count, issued_at, not_after,"     \
	" ended, taken_at, refusal"

static void
stream_take(struct db_stmt *stmt, struct store_stream *out)
{
	memset(out, 0, sizeof(*out));
	text_take(out->member, sizeof(out->member), db_column_text(stmt, 0));
	text_take(out->stream, sizeof(out->stream), db_column_text(stmt, 1));
	text_take(out->tag, sizeof(out->tag), db_column_text(stmt, 2));
	out->version = db_column_u64(stmt, 3);
	hash_take(out->root, db_column_blob(stmt, 4));
	out->count = db_column_u64(stmt, 5);
	out->issued_at = db_column_i64(stmt, 6);
	out->not_after = db_column_i64(stmt, 7);
	out->ended = db_column_i64(stmt, 8) != 0;
	out->taken_at = db_column_i64(stmt, 9);
	text_take(out->refusal, sizeof(out->refusal), db_column_text(stmt, 10));
}

int
store_stream_get(struct spoke_store *store, const char *member,
    const char *stream, struct store_stream *out_stream, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	memset(out_stream, 0, sizeof(*out_stream));
	text_take(out_stream->member, sizeof(out_stream->member), member);
	text_take(out_stream->stream, sizeof(out_stream->stream), stream);
	if (db_prepare(store->db,
		"SELECT " STREAM_COLUMNS " FROM stream"
		" WHERE member = ?1 AND stream = ?2",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, member);
	db_bind_text(stmt, 2, stream);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	stream_take(stmt, out_stream);
	db_reset(stmt);
	return 0;
}

int
store_stream_set(struct spoke_store *store, const struct store_stream *stream,
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store->db,
		"INSERT OR REPLACE INTO stream(" STREAM_COLUMNS ")"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, stream->member);
	db_bind_text(stmt, 2, stream->stream);
	db_bind_text(stmt, 3, stream->tag);
	db_bind_u64(stmt, 4, stream->version);
	db_bind_blob(stmt, 5, slice_make(stream->root, CRYPTO_HASH_LEN));
	db_bind_u64(stmt, 6, stream->count);
	db_bind_i64(stmt, 7, stream->issued_at);
	db_bind_i64(stmt, 8, stream->not_after);
	db_bind_i64(stmt, 9, stream->ended);
	db_bind_i64(stmt, 10, stream->taken_at);
	db_bind_text(stmt, 11, stream->refusal);
	return db_run(stmt, err);
}

int
store_streams_list(struct spoke_store *store, struct store_stream **out_streams,
    size_t *out_count, struct err *err)
{
	struct store_stream *list = NULL;
	struct db_stmt *stmt;
	size_t count = 0;
	int rc;

	*out_streams = NULL;
	*out_count = 0;
	if (db_prepare(store->db,
		"SELECT " STREAM_COLUMNS " FROM stream"
		" ORDER BY member, stream",
		&stmt, err) < 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		list = mem_realloc(list, (count + 1) * sizeof(*list));
		stream_take(stmt, &list[count++]);
	}
	if (rc < 0) {
		free(list);
		return -1;
	}
	*out_streams = list;
	*out_count = count;
	return 0;
}

char *
store_stream_path(
    const struct spoke_conf *conf, const char *member, const char *stream)
{
	char *path, *leaf;

	/* No name has an "@": two members' streams never meet in one file. One
	 * name has one file, whatever its case. */
	path = member == NULL
		   ? mem_printf("%s/streams/own-%s.db", conf->state, stream)
		   : mem_printf(
			 "%s/streams/%s@%s.db", conf->state, member, stream);
	leaf = path + strlen(conf->state) + strlen("/streams/");
	for (; *leaf != '\0'; leaf++)
		if (*leaf >= 'A' && *leaf <= 'Z')
			*leaf = (char)(*leaf - 'A' + 'a');
	return path;
}

int
store_count(struct spoke_store *store, const char *name, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store->db,
		"INSERT INTO counter(name, value) VALUES(?1, 1)"
		" ON CONFLICT(name) DO UPDATE SET value = value + 1",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, name);
	return db_run(stmt, err);
}

int
store_counters(
    struct spoke_store *store, store_counter_fn *fn, void *arg, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(store->db,
		"SELECT name, value FROM counter ORDER BY name", &stmt,
		err) < 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0)
		if (fn(arg, db_column_text(stmt, 0), db_column_u64(stmt, 1),
			err) < 0) {
			db_reset(stmt);
			return -1;
		}
	return rc;
}

int
store_run_set(
    struct spoke_store *store, const struct store_run *run, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store->db,
		"INSERT OR REPLACE INTO run(policy, started_at, ended_at,"
		" code, text) VALUES(?1, ?2, ?3, ?4, ?5)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, run->policy);
	db_bind_i64(stmt, 2, run->started_at);
	db_bind_i64(stmt, 3, run->ended_at);
	db_bind_i64(stmt, 4, run->code);
	db_bind_text(stmt, 5, run->text);
	return db_run(stmt, err);
}

int
store_run_get(struct spoke_store *store, const char *policy,
    struct store_run *out_run, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	memset(out_run, 0, sizeof(*out_run));
	text_take(out_run->policy, sizeof(out_run->policy), policy);
	if (db_prepare(store->db,
		"SELECT started_at, ended_at, code, text FROM run"
		" WHERE policy = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, policy);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	out_run->started_at = db_column_i64(stmt, 0);
	out_run->ended_at = db_column_i64(stmt, 1);
	out_run->code = (int)db_column_i64(stmt, 2);
	text_take(
	    out_run->text, sizeof(out_run->text), db_column_text(stmt, 3));
	db_reset(stmt);
	return 1;
}
