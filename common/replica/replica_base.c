/* Where a delta may start. */
#include "common/replica/replica_internal.h"

/* The rungs that bases are rounded down to: the newest states all, then ones
 * whose distance from the newest grows by a quarter each time. A stream that
 * changes every quarter of an hour has rungs for years. */
#define REPLICA_LADDER_DENSE 16
#define REPLICA_LADDER_MAX 64
/* Head of an object in a section: id, version, lengths. */
#define REPLICA_OBJECT_OVERHEAD 32
#define REPLICA_DELTA_PERCENT 60

/* 1 when recorded, 0 when not, -1. */
static int
replica_checkpoint_find(struct replica *replica, uint64_t version,
    const uint8_t root[32], struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (version == 0 || version > INT64_MAX ||
	    version < replica->meta.state.floor)
		return 0;
	if (db_prepare(replica->db,
		"SELECT 1 FROM checkpoint WHERE version = ?1 AND root = ?2",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, version);
	db_bind_blob(stmt, 2, slice_make(root, CRYPTO_HASH_LEN));
	rc = db_step(stmt, err);
	if (rc > 0)
		db_reset(stmt);
	return rc;
}

int
replica_recorded(struct replica *replica, uint64_t version,
    const uint8_t root[32], bool *out_recorded, struct err *err)
{
	int rc;

	*out_recorded = false;
	if (replica_fresh(replica, err) < 0)
		return -1;
	rc = replica_checkpoint_find(replica, version, root, err);
	*out_recorded = rc > 0;
	return rc < 0 ? -1 : 0;
}

/* The highest rung at or below version, which is recorded; the oldest state of
 * all is the bottom rung. */
static int
replica_base_round(struct replica *replica, uint64_t version,
    uint64_t *out_base, struct err *err)
{
	uint64_t newest = replica->meta.state.version, next = 0;
	struct db_stmt *stmt;
	int rungs = 0, rc;

	*out_base = version;
	if (db_prepare(replica->db,
		"SELECT version FROM checkpoint WHERE version >= ?1 "
		"ORDER BY version DESC",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, replica->meta.state.floor);
	while ((rc = db_step(stmt, err)) > 0) {
		uint64_t distance;

		*out_base = db_column_u64(stmt, 0);
		distance = newest - *out_base;
		if (rungs >= REPLICA_LADDER_DENSE &&
		    (distance < next || rungs >= REPLICA_LADDER_MAX - 1))
			continue;
		next = distance + distance / 4 + 1;
		rungs++;
		if (*out_base <= version) {
			db_reset(stmt);
			break;
		}
	}
	return rc < 0 ? -1 : 0;
}

/* Is the delta from base small enough beside a full? */
static int
replica_base_pays(
    struct replica *replica, uint64_t base, bool *out_pays, struct err *err)
{
	const struct replica_meta *meta = &replica->meta;
	uint64_t full =
	    meta->bytes + meta->state.count * REPLICA_OBJECT_OVERHEAD;
	struct db_stmt *stmt;
	uint64_t delta;

	*out_pays = false;
	if (db_prepare(replica->db,
		"SELECT count(*), sum(length) FROM object "
		"INDEXED BY object_version WHERE version > ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_u64(stmt, 1, base);
	if (db_step(stmt, err) < 0)
		return -1;
	delta = db_column_u64(stmt, 1) +
		db_column_u64(stmt, 0) * REPLICA_OBJECT_OVERHEAD;
	db_reset(stmt);
	*out_pays = delta <= full / 100 * REPLICA_DELTA_PERCENT +
				 full % 100 * REPLICA_DELTA_PERCENT / 100;
	return 0;
}

int
replica_base_choose(struct replica *replica, uint64_t version,
    const uint8_t root[32], uint64_t *out_base, struct err *err)
{
	uint64_t rung;
	bool pays;
	int rc;

	*out_base = 0;
	if (replica_fresh(replica, err) < 0)
		return -1;
	rc = replica_checkpoint_find(replica, version, root, err);
	if (rc <= 0)
		return rc;
	if (replica_base_round(replica, version, &rung, err) < 0 ||
	    replica_base_pays(replica, rung, &pays, err) < 0)
		return -1;
	if (!pays && rung != version) {
		/* Sharing is not worth a full. */
		rung = version;
		if (replica_base_pays(replica, rung, &pays, err) < 0)
			return -1;
	}
	if (pays)
		*out_base = rung;
	return 0;
}
