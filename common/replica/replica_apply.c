/*
 * Applying a section: all of it or nothing.
 *
 *	held s, section (b, q], manifest at q
 *	  q < s              older: skipped
 *	  q = s              a duplicate, or equivocation: see replica_refresh()
 *	  b > s, or s = 0    a gap
 *	  b = 0              full: a new file that replaces (also at q = s when
 *	                     the copy held decayed)
 *	  else               delta: one transaction
 *
 * Rows whose content changes are stamped above what was held, whatever version
 * the sender gave them: deltas made from here are then complete from every
 * state that was recorded here, even when the sender was restored from a
 * backup and went on from below s.
 */
#include "common/replica/replica_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/wire/envelope.h"
#include "common/wire/registry.h"

struct replica_job {
	struct replica *replica;
	struct section_reader *reader;
	const struct replica_apply_options *options;
	struct replica_meta meta; /* afterwards */
	struct replica_changes changes;
};

static int
replica_text_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What a manifest may not change at one version: tag, audience (as a set),
 * root, count, and whether the stream ended. */
static void
replica_terms(const struct manifest *manifest, uint8_t out[CRYPTO_HASH_LEN])
{
	struct crypto_hash *hash = crypto_hash_new();
	size_t count = manifest->audience_count;
	const char **names = mem_calloc(count + 1, sizeof(*names));
	uint8_t fixed[9] = {manifest->ended ? 1 : 0};

	for (size_t i = 0; i < count; i++)
		names[i] = manifest->audience[i];
	qsort(names, count, sizeof(*names), replica_text_compare);
	for (size_t i = 0; i < 8; i++)
		fixed[1 + i] = (uint8_t)(manifest->count >> (8 * i));
	crypto_hash_add(hash, slice_make(fixed, sizeof(fixed)));
	crypto_hash_add(hash, slice_make(manifest->root, CRYPTO_HASH_LEN));
	/* With their NULs, which separate them. */
	crypto_hash_add(
	    hash, slice_make(manifest->tag, strlen(manifest->tag) + 1));
	for (size_t i = 0; i < count; i++)
		crypto_hash_add(
		    hash, slice_make(names[i], strlen(names[i]) + 1));
	crypto_hash_final(hash, out);
	crypto_hash_free(hash);
	free(names);
}

static int
replica_older(const struct replica *replica, uint64_t version, struct err *err)
{
	return err_set_code(err, ERR_BAD_DATA, CHECK_STREAM_OLDER,
	    "version %llu is older than %llu, which is held",
	    (unsigned long long)version,
	    (unsigned long long)replica->meta.state.version);
}

static int
replica_gap(const struct replica *replica, uint64_t base, struct err *err)
{
	return err_set_code(err, ERR_BAD_DATA, CHECK_SECTION_GAP,
	    "the section starts at %llu, held is %llu",
	    (unsigned long long)base,
	    (unsigned long long)replica->meta.state.version);
}

/* Version equals the held one. In a write transaction, which it ends. */
static int
replica_same_version(struct replica *replica, const struct manifest *manifest,
    struct slice signed_manifest, bool *out_fresh, struct err *err)
{
	struct replica_meta meta = replica->meta;
	uint8_t terms[CRYPTO_HASH_LEN];

	*out_fresh = false;
	replica_terms(manifest, terms);
	if (memcmp(terms, meta.terms, CRYPTO_HASH_LEN) != 0) {
		db_rollback(replica->db);
		return err_set_code(err, ERR_UNTRUSTED,
		    CHECK_STREAM_EQUIVOCATION,
		    "two different statements at version %llu",
		    (unsigned long long)manifest->version);
	}
	if (manifest->issued_at <= meta.issued_at) {
		db_rollback(replica->db);
		return 0;
	}
	meta.issued_at = manifest->issued_at;
	if (replica_manifest_store(replica->db, signed_manifest, err) < 0) {
		db_rollback(replica->db);
		return -1;
	}
	if (replica_write_commit(replica, &meta, err) < 0)
		return -1;
	*out_fresh = true;
	return 0;
}

int
replica_refresh(struct replica *replica, const struct manifest *manifest,
    struct slice signed_manifest, bool *out_fresh, struct err *err)
{
	uint64_t held;

	*out_fresh = false;
	if (replica_write_begin(replica, err) < 0)
		return -1;
	held = replica->meta.state.version;
	if (manifest->version == held)
		return replica_same_version(
		    replica, manifest, signed_manifest, out_fresh, err);
	db_rollback(replica->db);
	if (manifest->version < held)
		return replica_older(replica, manifest->version, err);
	return err_set_code(err, ERR_BAD_DATA, CHECK_SECTION_GAP,
	    "a statement about version %llu without section, held is %llu",
	    (unsigned long long)manifest->version, (unsigned long long)held);
}

/* 1: an object, that the caller's check accepted; 0: the end; -1. */
static int
replica_job_next(
    struct replica_job *job, struct section_object *out_object, struct err *err)
{
	const struct replica_apply_options *options = job->options;
	int rc = section_reader_next(job->reader, out_object, err);

	if (rc <= 0 || options->check == NULL)
		return rc;
	if (options->check(options->check_arg, out_object, err) < 0)
		return -1;
	return 1;
}

/* Compares with what the source signed. */
static int
replica_job_verify(struct replica_job *job, struct db *db, struct err *err)
{
	const struct manifest *manifest = job->options->manifest;
	struct replica_state *state = &job->meta.state;
	uint64_t duplicates;

	if (replica_root_compute(
		db, state->root, &state->count, &duplicates, err) < 0)
		return -1;
	if (duplicates == 0 && state->count == manifest->count &&
	    crypto_equal(state->root, manifest->root, CRYPTO_HASH_LEN))
		return 0;
	return err_set_code(err, ERR_UNTRUSTED, CHECK_ROOT,
	    "version %llu has %llu objects and another root than the %llu "
	    "objects that the source signed",
	    (unsigned long long)state->version,
	    (unsigned long long)state->count,
	    (unsigned long long)manifest->count);
}

/* The row exists. */
static int
replica_delta_change(struct replica_job *job, const struct replica_row *row,
    const struct section_object *object, const uint8_t *hash, struct err *err)
{
	struct db *db = job->replica->db;
	uint64_t length = 0;

	if (row->deleted && object->deleted)
		return 0;
	if (!row->deleted && !object->deleted &&
	    memcmp(row->hash, hash, CRYPTO_HASH_LEN) == 0) {
		job->changes.unchanged++;
		return 0;
	}
	if (!row->deleted &&
	    replica_row_length(db, row->rowid, &length, err) < 0)
		return -1;
	if (replica_row_update(db, row->rowid, object, hash, NULL, err) < 0)
		return -1;
	job->meta.bytes = job->meta.bytes - length + object->body.len;
	if (row->deleted)
		job->changes.added++;
	else if (object->deleted)
		job->changes.deleted++;
	else
		job->changes.modified++;
	return 0;
}

static int
replica_delta_object(struct replica_job *job,
    const struct section_object *received, struct err *err)
{
	struct section_object object = *received;
	uint8_t hash[CRYPTO_HASH_LEN] = {0};
	uint64_t stamp = job->replica->meta.state.version + 1;
	struct replica_row row;
	int found;

	if (object.version < stamp)
		object.version = stamp;
	if (!object.deleted)
		crypto_sha256(object.body, hash);
	found = replica_row_find(job->replica->db, &object.id, &row, err);
	if (found < 0)
		return -1;
	if (found > 0)
		return replica_delta_change(job, &row, &object, hash, err);
	/* A deletion of what was never here is kept too: a receiver of ours may
	 * have had it from a later state, before this copy was restored. */
	if (!object.deleted)
		job->changes.added++;
	job->meta.bytes += object.body.len;
	return replica_row_insert(job->replica->db, &object, hash, NULL, err);
}

/* After a root that differs: should the copy here have decayed, say so in the
 * state, so that the acknowledgement asks for a full. */
static void
replica_delta_doubt(struct replica *replica)
{
	struct err ignored = {0};
	uint64_t duplicates;
	struct replica_meta meta;

	if (replica_write_begin(replica, &ignored) < 0)
		return;
	meta = replica->meta;
	if (replica_root_compute(replica->db, meta.state.root,
		&meta.state.count, &duplicates, &ignored) < 0 ||
	    memcmp(meta.state.root, replica->meta.state.root,
		CRYPTO_HASH_LEN) == 0) {
		db_rollback(replica->db);
		return;
	}
	(void)!replica_write_commit(replica, &meta, &ignored);
}

/* In a write transaction, which the caller rolls back on failure. */
static int
replica_delta_apply(struct replica_job *job, struct err *err)
{
	struct replica *replica = job->replica;
	struct section_object object;
	int rc;

	while ((rc = replica_job_next(job, &object, err)) > 0) {
		if (replica_delta_object(job, &object, err) < 0)
			return -1;
	}
	if (rc < 0 || replica_job_verify(job, replica->db, err) < 0 ||
	    replica_checkpoint_record(replica->db, &job->meta, err) < 0 ||
	    replica_manifest_store(
		replica->db, job->options->signed_manifest, err) < 0)
		return -1;
	return replica_write_commit(replica, &job->meta, err);
}

/* The old content beside the new one, both in id order, to count changes. */
struct replica_merge {
	struct db_stmt *old;
	bool ended;
};

static int
replica_merge_step(struct replica_merge *merge, struct err *err)
{
	int rc = db_step(merge->old, err);

	if (rc <= 0)
		merge->ended = true;
	return rc < 0 ? -1 : 0;
}

/* Counts what happened to the old objects up to the new one. */
static int
replica_merge_count(struct replica_job *job, struct replica_merge *merge,
    const struct id *id, const uint8_t *hash, struct err *err)
{
	while (!merge->ended) {
		struct slice old_id = db_column_blob(merge->old, 0);
		struct slice old_hash = db_column_blob(merge->old, 1);
		int order =
		    id == NULL ? -1 : slice_compare(old_id, id_slice(id));

		if (order > 0)
			break;
		if (order < 0) {
			job->changes.deleted++;
			if (replica_merge_step(merge, err) < 0)
				return -1;
			continue;
		}
		if (slice_equal(old_hash, slice_make(hash, CRYPTO_HASH_LEN)))
			job->changes.unchanged++;
		else
			job->changes.modified++;
		return replica_merge_step(merge, err);
	}
	if (id != NULL)
		job->changes.added++;
	return 0;
}

static int
replica_full_fill(struct replica_job *job, struct replica_merge *merge,
    struct db *db, struct err *err)
{
	struct section_object object;
	uint8_t hash[CRYPTO_HASH_LEN];
	int rc;

	job->meta.bytes = 0;
	if (replica_merge_step(merge, err) < 0)
		return -1;
	while ((rc = replica_job_next(job, &object, err)) > 0) {
		if (object.deleted)
			return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
			    "a deleted object in a full section");
		crypto_sha256(object.body, hash);
		if (replica_merge_count(job, merge, &object.id, hash, err) <
			0 ||
		    replica_row_insert(db, &object, hash, NULL, err) < 0)
			return -1;
		job->meta.bytes += object.body.len;
	}
	if (rc < 0)
		return -1;
	return replica_merge_count(job, merge, NULL, NULL, err);
}

static int
replica_full_apply(struct replica_job *job, struct db *db, struct err *err)
{
	struct replica_merge merge = {0};
	int rc;

	if (db_prepare(job->replica->db,
		"SELECT id, hash FROM object INDEXED BY object_id "
		"WHERE deleted = 0 ORDER BY id",
		&merge.old, err) < 0)
		return -1;
	rc = replica_full_fill(job, &merge, db, err);
	if (!merge.ended)
		db_reset(merge.old);
	if (rc < 0 || db_exec(db, replica_sql_indexes, err) < 0)
		return -1;
	return replica_job_verify(job, db, err);
}

/* Is the content held what the manifest says? True too when the manifest says
 * something else than the one held: that is not for a section to decide. */
static bool
replica_job_intact(const struct replica_job *job)
{
	const struct replica_meta *meta = &job->replica->meta;
	uint8_t terms[CRYPTO_HASH_LEN];

	replica_terms(job->options->manifest, terms);
	return memcmp(terms, meta->terms, CRYPTO_HASH_LEN) != 0 ||
	       memcmp(meta->state.root, job->options->manifest->root,
		   CRYPTO_HASH_LEN) == 0;
}

/* In whatever transaction was begun: may this section be applied? 1: yes,
 * 0: it is a duplicate by its version, -1. */
static int
replica_job_admit(struct replica_job *job, struct err *err)
{
	const struct section_head *head = section_reader_head(job->reader);
	const struct manifest *manifest = job->options->manifest;
	uint64_t held = job->replica->meta.state.version;

	if (head->version != manifest->version ||
	    !registry_name_equal(head->member, manifest->member) ||
	    !registry_name_equal(head->stream, manifest->stream))
		return err_set_code(err, ERR_BAD_DATA, CHECK_PAYLOAD,
		    "the section is of another stream or version than its "
		    "manifest");
	if (manifest->version == 0 || manifest->version > INT64_MAX ||
	    head->base > manifest->version)
		return err_set_code(err, ERR_BAD_DATA, CHECK_MANIFEST_FIELDS,
		    "version %llu is out of range",
		    (unsigned long long)manifest->version);
	if (manifest->version < held)
		return replica_older(job->replica, manifest->version, err);
	/* A full also mends a copy that no longer is what was signed. */
	if (manifest->version == held &&
	    (head->base != 0 || replica_job_intact(job)))
		return 0;
	if (head->base > held)
		return replica_gap(job->replica, head->base, err);
	job->meta = job->replica->meta;
	job->meta.state.version = manifest->version;
	job->meta.issued_at = manifest->issued_at;
	replica_terms(manifest, job->meta.terms);
	return 1;
}

static int
replica_apply_full(struct replica_job *job, struct err *err)
{
	struct replica *replica = job->replica;
	bool fresh;
	struct db *db;
	int rc;

	if (replica_build_begin(replica, &db, err) < 0)
		return -1;
	rc = replica_job_admit(job, err);
	if (rc == 0) {
		/* Keeps the lock, and ends the transaction itself. */
		db_close(db);
		rc = replica_same_version(replica, job->options->manifest,
		    job->options->signed_manifest, &fresh, err);
		replica_build_abort(replica, NULL);
		return rc;
	}
	if (rc < 0 || replica_full_apply(job, db, err) < 0) {
		replica_build_abort(replica, db);
		return -1;
	}
	/* Tombstones before this version are not known here. */
	job->meta.state.floor = job->meta.state.version;
	return replica_build_commit(
	    replica, db, &job->meta, job->options->signed_manifest, err);
}

static int
replica_apply_delta(struct replica_job *job, struct err *err)
{
	struct replica *replica = job->replica;
	bool fresh;
	int rc;

	if (replica_write_begin(replica, err) < 0)
		return -1;
	rc = replica_job_admit(job, err);
	if (rc == 0)
		return replica_same_version(replica, job->options->manifest,
		    job->options->signed_manifest, &fresh, err);
	if (rc > 0 && replica_delta_apply(job, err) == 0)
		return 0;
	db_rollback(replica->db);
	return -1;
}

int
replica_apply(struct replica *replica, struct section_reader *reader,
    const struct replica_apply_options *options,
    struct replica_changes *out_changes, struct err *err)
{
	struct replica_job job = {
	    .replica = replica, .reader = reader, .options = options};
	struct err local = {0};
	int rc;

	if (err == NULL)
		err = &local;
	memset(out_changes, 0, sizeof(*out_changes));
	if (section_reader_head(reader)->base == 0) {
		rc = replica_apply_full(&job, err);
	} else {
		rc = replica_apply_delta(&job, err);
		if (rc < 0 && err->code == CHECK_ROOT)
			replica_delta_doubt(replica);
	}
	if (rc == 0)
		*out_changes = job.changes;
	return rc;
}
