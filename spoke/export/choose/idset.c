#include "spoke/export/choose/idset.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/replica/db.h"

#define IDSET_FIRST 256
/* 2 Mbit: of half a million ids that are not there one in six is looked for. */
#define IDSET_BLOOM_BYTES ((size_t)256 << 10)
#define IDSET_BLOOM_HASHES 4
/* Ids that idset_each() reads at a time. */
#define IDSET_BATCH 1024

struct pair {
	struct id id;
	uint64_t value;
};

struct idset {
	struct pair *pairs;
	uint8_t *used;
	size_t size; /* a power of two */
	size_t held; /* in the table */
	uint64_t count;
	struct db *db;  /* NULL: all are in the table */
	uint8_t *bloom; /* of those in the database */
};

struct idset *
idset_new(void)
{
	return mem_calloc(1, sizeof(struct idset));
}

void
idset_free(struct idset *set)
{
	if (set == NULL)
		return;
	db_close(set->db);
	free(set->bloom);
	free(set->pairs);
	free(set->used);
	free(set);
}

/* An entryUUID is a clock and a constant; both have to reach every bit. */
static uint64_t
id_hash(const struct id *id)
{
	uint64_t low, high;

	memcpy(&low, id->bytes, sizeof(low));
	memcpy(&high, id->bytes + sizeof(low), sizeof(high));
	low ^= high * UINT64_C(0x9e3779b97f4a7c15);
	low = (low ^ low >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return low ^ low >> 29;
}

/* --- the table --- */

/* The place of the id, or the free one where it belongs. */
static size_t
place(const struct idset *set, const struct id *id)
{
	size_t at = (size_t)id_hash(id) & (set->size - 1);

	for (; set->used[at]; at = (at + 1) & (set->size - 1))
		if (id_compare(&set->pairs[at].id, id) == 0)
			break;
	return at;
}

static void
table_grow(struct idset *set)
{
	struct idset old = *set;

	set->size = old.size == 0 ? IDSET_FIRST : old.size * 2;
	set->pairs = mem_calloc(set->size, sizeof(*set->pairs));
	set->used = mem_calloc(set->size, 1);
	for (size_t i = 0; i < old.size; i++) {
		size_t at;

		if (!old.used[i])
			continue;
		at = place(set, &old.pairs[i].id);
		set->pairs[at] = old.pairs[i];
		set->used[at] = 1;
	}
	free(old.pairs);
	free(old.used);
}

static int
compare(const void *a, const void *b)
{
	return id_compare(
	    &((const struct pair *)a)->id, &((const struct pair *)b)->id);
}

/* What the table holds, in order, for the caller to free. */
static struct pair *
table_sorted(const struct idset *set)
{
	struct pair *list = mem_calloc(set->held + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < set->size; i++)
		if (set->used[i])
			list[n++] = set->pairs[i];
	if (n > 0)
		qsort(list, n, sizeof(*list), compare);
	return list;
}

/* --- the database --- */

/* Bit i of those that the id sets. */
static size_t
bloom_bit(uint64_t hash, unsigned i)
{
	uint64_t step = hash >> 32 | 1;

	return (size_t)(hash + i * step) & (IDSET_BLOOM_BYTES * 8 - 1);
}

static void
bloom_add(struct idset *set, const struct id *id)
{
	uint64_t hash = id_hash(id);

	for (unsigned i = 0; i < IDSET_BLOOM_HASHES; i++) {
		size_t bit = bloom_bit(hash, i);

		set->bloom[bit / 8] |= (uint8_t)(1U << bit % 8);
	}
}

static bool
bloom_may_have(const struct idset *set, const struct id *id)
{
	uint64_t hash = id_hash(id);

	for (unsigned i = 0; i < IDSET_BLOOM_HASHES; i++) {
		size_t bit = bloom_bit(hash, i);

		if ((set->bloom[bit / 8] & 1U << bit % 8) == 0)
			return false;
	}
	return true;
}

static int
store_open(struct idset *set, struct err *err)
{
	if (db_scratch_open(&set->db, err) < 0 ||
	    db_exec(set->db,
		"CREATE TABLE pair (id BLOB PRIMARY KEY, value INTEGER) "
		"WITHOUT ROWID",
		err) < 0)
		return -1;
	set->bloom = mem_calloc(1, IDSET_BLOOM_BYTES);
	return 0;
}

static int
store_put(struct idset *set, const struct pair *pair, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(set->db,
		"INSERT INTO pair VALUES (?1, ?2) "
		"ON CONFLICT (id) DO UPDATE SET value = excluded.value",
		&stmt, err) < 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(&pair->id));
	db_bind_u64(stmt, 2, pair->value);
	bloom_add(set, &pair->id);
	return db_run(stmt, err);
}

/* 1, 0 it is not there, -1. */
static int
store_get(struct idset *set, const struct id *id, uint64_t *out_value,
    struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (set->db == NULL || !bloom_may_have(set, id))
		return 0;
	if (db_prepare(set->db, "SELECT value FROM pair WHERE id = ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_blob_static(stmt, 1, id_slice(id));
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	*out_value = db_column_u64(stmt, 0);
	db_reset(stmt);
	return 1;
}

/* Empties the table into the database. */
static int
table_flush(struct idset *set, struct err *err)
{
	struct pair *list;
	int rc = 0;

	if (set->held == 0)
		return 0;
	if (set->db == NULL && store_open(set, err) < 0)
		return -1;
	list = table_sorted(set);
	rc = db_exec(set->db, "BEGIN", err);
	for (size_t i = 0; rc == 0 && i < set->held; i++)
		rc = store_put(set, &list[i], err);
	if (rc == 0)
		rc = db_commit(set->db, err);
	free(list);
	memset(set->used, 0, set->size);
	set->held = 0;
	return rc;
}

/* --- */

int
idset_put(
    struct idset *set, const struct id *id, uint64_t value, struct err *err)
{
	uint64_t before;
	size_t at;
	int rc;

	if (set->held * 2 >= set->size) {
		if (set->held < IDSET_MEMORY)
			table_grow(set);
		else if (table_flush(set, err) < 0)
			return -1;
	}
	at = place(set, id);
	if (!set->used[at]) {
		rc = store_get(set, id, &before, err);
		if (rc < 0)
			return -1;
		set->count += rc == 0;
		set->used[at] = 1;
		set->pairs[at].id = *id;
		set->held++;
	}
	set->pairs[at].value = value;
	return 0;
}

int
idset_get(struct idset *set, const struct id *id, uint64_t *out_value,
    struct err *err)
{
	size_t at;

	*out_value = 0;
	if (set->size == 0)
		return 0;
	at = place(set, id);
	if (!set->used[at])
		return store_get(set, id, out_value, err);
	*out_value = set->pairs[at].value;
	return 1;
}

uint64_t
idset_count(const struct idset *set)
{
	return set->count;
}

/* The next ones after `after`, NULL: the first. */
static int
store_read(struct idset *set, const struct id *after, struct pair *out,
    size_t *out_count, struct err *err)
{
	struct db_stmt *stmt;
	size_t n = 0;
	int rc;

	if (db_prepare(set->db,
		"SELECT id, value FROM pair WHERE id > ?1 ORDER BY id LIMIT ?2",
		&stmt, err) < 0)
		return -1;
	db_bind_blob(stmt, 1, after == NULL ? SLICE_NULL : id_slice(after));
	db_bind_i64(stmt, 2, IDSET_BATCH);
	while ((rc = db_step(stmt, err)) > 0) {
		rc = id_from_slice(db_column_blob(stmt, 0), &out[n].id, err);
		if (rc < 0)
			break;
		out[n++].value = db_column_u64(stmt, 1);
	}
	if (rc < 0)
		db_reset(stmt);
	*out_count = n;
	return rc;
}

static int
pairs_give(const struct pair *list, size_t count, idset_fn *fn, void *arg,
    struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = fn(arg, &list[i].id, list[i].value, err);
	return rc;
}

static int
store_each(struct idset *set, idset_fn *fn, void *arg, struct err *err)
{
	struct pair *list = mem_calloc(IDSET_BATCH, sizeof(*list));
	struct id last;
	size_t n = 0;
	int rc;

	do {
		rc = store_read(set, n == 0 ? NULL : &last, list, &n, err);
		if (rc == 0 && n > 0) {
			last = list[n - 1].id;
			rc = pairs_give(list, n, fn, arg, err);
		}
	} while (rc == 0 && n == IDSET_BATCH);
	free(list);
	return rc;
}

int
idset_each(struct idset *set, idset_fn *fn, void *arg, struct err *err)
{
	struct pair *list;
	int rc;

	if (set->db != NULL)
		return table_flush(set, err) < 0
			   ? -1
			   : store_each(set, fn, arg, err);
	list = table_sorted(set);
	rc = pairs_give(list, set->held, fn, arg, err);
	free(list);
	return rc;
}
