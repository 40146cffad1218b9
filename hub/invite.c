/* The rows of hub.db for invitations and for the installations of a member. */
#include "common/base/mem.h"
#include "hub/sql.h"
#include "hub/target.h"

#define INVITE_COLUMNS                                                         \
	"id, name, domains, secret, created_at, expires_at, state, keys"

int
target_instance_note(struct store *store, const char *name,
    const struct id *instance, int64_t now_ms, enum target_instance *out_seen,
    struct err *err)
{
	struct db *db = store_db(store);
	uint64_t known, current;

	if (sql_number(db, err, &current,
		"SELECT count(*) FROM instance WHERE target = ?1 AND current"
		" AND instance = ?2",
		"sb", name, id_slice(instance)) < 0)
		return -1;
	*out_seen = TARGET_INSTANCE_SAME;
	if (current != 0)
		return 0;
	if (sql_number(db, err, &known,
		"SELECT count(*) FROM instance WHERE target = ?1", "s",
		name) < 0 ||
	    sql_number(db, err, &current,
		"SELECT count(*) FROM instance WHERE target = ?1"
		" AND instance = ?2",
		"sb", name, id_slice(instance)) < 0)
		return -1;
	*out_seen = known == 0     ? TARGET_INSTANCE_FIRST
		    : current == 0 ? TARGET_INSTANCE_NEW
				   : TARGET_INSTANCE_RETURNED;
	if (sql_run(db, err,
		"UPDATE instance SET current = 0 WHERE target = ?1", "s",
		name) < 0)
		return -1;
	return sql_run(db, err,
	    "INSERT OR REPLACE INTO instance(target, instance, seen_at,"
	    " current) VALUES(?1, ?2, ?3, 1)",
	    "sbi", name, id_slice(instance), now_ms);
}

int
target_instance_forget(struct store *store, const char *name, struct err *err)
{
	return sql_run(store_db(store), err,
	    "DELETE FROM instance WHERE target = ?1", "s", name);
}

static void
invite_read(struct db_stmt *stmt, struct target_invite *out)
{
	memset(out, 0, sizeof(*out));
	(void)sql_bytes(stmt, 0, out->id.bytes, ID_LEN);
	sql_text(stmt, 1, out->name, sizeof(out->name));
	sql_text(stmt, 2, out->domains, sizeof(out->domains));
	(void)sql_bytes(stmt, 3, out->secret, sizeof(out->secret));
	out->created_at = db_column_i64(stmt, 4);
	out->expires_at = db_column_i64(stmt, 5);
	out->state = (enum invite_state)db_column_i64(stmt, 6);
	(void)sql_bytes(stmt, 7, out->keys, sizeof(out->keys));
}

int
target_invite_get(struct store *store, const struct id *id,
    struct target_invite *out_invite, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT " INVITE_COLUMNS " FROM invite WHERE id = ?1", "b",
	    id_slice(id));
	int rc;

	memset(out_invite, 0, sizeof(*out_invite));
	if (stmt == NULL)
		return -1;
	rc = db_step(stmt, err);
	if (rc == 1) {
		invite_read(stmt, out_invite);
		db_reset(stmt);
	}
	return rc;
}

int
target_invite_put(
    struct store *store, const struct target_invite *invite, struct err *err)
{
	return sql_run(store_db(store), err,
	    "INSERT OR REPLACE INTO invite(" INVITE_COLUMNS
	    ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	    "bssbiiib", id_slice(&invite->id), invite->name, invite->domains,
	    slice_make(invite->secret, sizeof(invite->secret)),
	    invite->created_at, invite->expires_at, (int64_t)invite->state,
	    slice_make(invite->keys, sizeof(invite->keys)));
}

int
target_invite_drop(struct store *store, const char *name, struct err *err)
{
	return sql_run(store_db(store), err,
	    "DELETE FROM invite WHERE name = ?1", "s", name);
}

void
target_invites_free(struct target_invite *invites, size_t count)
{
	if (count > 0)
		crypto_cleanse(invites, count * sizeof(*invites));
	free(invites);
}

/* realloc() would leave secrets behind. */
static struct target_invite *
invites_grow(struct target_invite *invites, size_t count)
{
	struct target_invite *grown =
	    mem_calloc(count == 0 ? 1 : count * 2, sizeof(*grown));

	if (count > 0)
		memcpy(grown, invites, count * sizeof(*grown));
	target_invites_free(invites, count);
	return grown;
}

int
target_invites(struct store *store, struct target_invite **out_invites,
    size_t *out_count, struct err *err)
{
	struct db_stmt *stmt = sql_query(store_db(store), err,
	    "SELECT " INVITE_COLUMNS
	    " FROM invite WHERE state < 2 ORDER BY created_at",
	    "");
	struct target_invite *invites = NULL;
	size_t count = 0;
	int rc;

	*out_invites = NULL;
	*out_count = 0;
	if (stmt == NULL)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		if ((count & (count - 1)) == 0)
			invites = invites_grow(invites, count);
		invite_read(stmt, &invites[count++]);
	}
	if (rc < 0) {
		target_invites_free(invites, count);
		return -1;
	}
	*out_invites = invites;
	*out_count = count;
	return 0;
}
