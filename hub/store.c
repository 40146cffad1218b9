#include "hub/store.h"

#include "common/base/mem.h"
#include "hub/sql.h"

struct store {
	struct db *db;
};

/* A flight of stream 0 is the registry, so it has no foreign key. */
static const char *const store_steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL);"
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
    "CREATE TABLE seen(sender TEXT NOT NULL COLLATE NOCASE,"
    " type INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " hash BLOB NOT NULL, PRIMARY KEY(sender, type));"
    "CREATE TABLE stream(id INTEGER PRIMARY KEY,"
    " member TEXT NOT NULL COLLATE NOCASE,"
    " stream TEXT NOT NULL COLLATE NOCASE, tag TEXT NOT NULL,"
    " version INTEGER NOT NULL, root BLOB NOT NULL,"
    " count INTEGER NOT NULL, issued_at INTEGER NOT NULL,"
    " not_after INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " audience TEXT NOT NULL, manifest BLOB NOT NULL,"
    " refusal TEXT NOT NULL, outside INTEGER NOT NULL,"
    " held_version INTEGER NOT NULL, held_outside INTEGER NOT NULL,"
    " released_version INTEGER NOT NULL, asked_version INTEGER NOT NULL,"
    " recount INTEGER NOT NULL, admitted_at INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, UNIQUE(member, stream));"
    "CREATE INDEX stream_generation ON stream(generation);"
    "CREATE TABLE outside(stream INTEGER NOT NULL, id BLOB NOT NULL,"
    " PRIMARY KEY(stream, id));"
    "CREATE TABLE section(stream INTEGER NOT NULL, base INTEGER NOT NULL,"
    " version INTEGER NOT NULL, sha256 BLOB NOT NULL,"
    " length INTEGER NOT NULL, key BLOB NOT NULL,"
    " used_at INTEGER NOT NULL, PRIMARY KEY(stream, base, version));"
    "CREATE INDEX section_sha256 ON section(sha256);"
    "CREATE TABLE target(name TEXT PRIMARY KEY COLLATE NOCASE,"
    " hold TEXT NOT NULL, registry_version INTEGER NOT NULL,"
    " ack BLOB NOT NULL, heard_at INTEGER NOT NULL,"
    " acked_at INTEGER NOT NULL, applied INTEGER NOT NULL,"
    " refused INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " made_at INTEGER NOT NULL, told BLOB NOT NULL,"
    " owed INTEGER NOT NULL, dirty INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, resend_at INTEGER NOT NULL,"
    " notice TEXT NOT NULL DEFAULT '',"
    " notice_sequence INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE flight(target TEXT NOT NULL COLLATE NOCASE,"
    " stream INTEGER NOT NULL, version INTEGER NOT NULL,"
    " issued_at INTEGER NOT NULL, hold_version INTEGER NOT NULL,"
    " refused INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " resend_at INTEGER NOT NULL, PRIMARY KEY(target, stream));"
    "CREATE TABLE bundle(target TEXT PRIMARY KEY COLLATE NOCASE,"
    " sequence INTEGER NOT NULL, replaces INTEGER NOT NULL,"
    " envelope BLOB NOT NULL, blobs BLOB NOT NULL);"
    "CREATE TABLE instance(target TEXT NOT NULL COLLATE NOCASE,"
    " instance BLOB NOT NULL, seen_at INTEGER NOT NULL,"
    " current INTEGER NOT NULL, PRIMARY KEY(target, instance));"
    "CREATE TABLE invite(id BLOB PRIMARY KEY,"
    " name TEXT NOT NULL COLLATE NOCASE, domains TEXT NOT NULL,"
    " secret BLOB NOT NULL, created_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, state INTEGER NOT NULL,"
    " keys BLOB NOT NULL);"};

static const struct db_schema store_schema = {
    .what = "hub.db",
    .cure = "restore it from a backup: members bring back the newest "
	    "registry, sources and targets what they hold",
    .steps = store_steps,
    .count = sizeof(store_steps) / sizeof(store_steps[0]),
};

int
store_open(const char *path, struct store **out_store, struct err *err)
{
	struct store *store = mem_calloc(1, sizeof(*store));

	if (db_open(path, &store_schema, &store->db, err) < 0) {
		free(store);
		return -1;
	}
	*out_store = store;
	return 0;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	db_close(store->db);
	free(store);
}

struct db *
store_db(struct store *store)
{
	return store->db;
}

int
store_commit(struct store *store, struct err *err)
{
	if (!db_in_transaction(store->db))
		return 0;
	return db_commit(store->db, err);
}

void
store_rollback(struct store *store)
{
	db_rollback(store->db);
}

int
store_meta_get(
    struct store *store, const char *key, struct buf *out, struct err *err)
{
	struct db_stmt *stmt = sql_query(
	    store->db, err, "SELECT value FROM meta WHERE key = ?1", "s", key);
	int rc;

	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc == 1) {
		buf_add(out, db_column_blob(stmt, 0));
		db_reset(stmt);
		return buf_check(out, key, err);
	}
	return rc;
}

int
store_meta_set(
    struct store *store, const char *key, struct slice value, struct err *err)
{
	return sql_run(store->db, err,
	    "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)", "sb", key,
	    value);
}

int
store_count(struct store *store, const char *name, uint64_t n, struct err *err)
{
	return sql_run(store->db, err,
	    "INSERT INTO counter(name, value) VALUES(?1, ?2)"
	    " ON CONFLICT(name) DO UPDATE SET value = value + ?2",
	    "su", name, n);
}

int
store_counters(struct store *store,
    void (*fn)(void *arg, const char *name, uint64_t value), void *arg,
    struct err *err)
{
	struct db_stmt *stmt = sql_query(
	    store->db, err, "SELECT name, value FROM counter ORDER BY 1", "");
	int rc;

	if (stmt == NULL)
		return -1;
	while ((rc = db_step(stmt, err)) > 0)
		fn(arg, db_column_text(stmt, 0), db_column_u64(stmt, 1));
	return rc;
}

int
store_seen_get(struct store *store, const char *sender, int type,
    struct envelope_seen *out_seen, struct err *err)
{
	struct db_stmt *stmt = sql_query(store->db, err,
	    "SELECT sequence, hash FROM seen WHERE sender = ?1 AND type = ?2",
	    "si", sender, (int64_t)type);
	int rc;

	memset(out_seen, 0, sizeof(*out_seen));
	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	out_seen->sequence = db_column_u64(stmt, 0);
	(void)sql_bytes(stmt, 1, out_seen->hash, sizeof(out_seen->hash));
	db_reset(stmt);
	return 0;
}

int
store_seen_set(struct store *store, const char *sender, int type,
    const struct envelope_seen *seen, struct err *err)
{
	return sql_run(store->db, err,
	    "INSERT OR REPLACE INTO seen(sender, type, sequence, hash)"
	    " VALUES(?1, ?2, ?3, ?4)",
	    "siub", sender, (int64_t)type, seen->sequence,
	    slice_make(seen->hash, sizeof(seen->hash)));
}
