/* Sections: each sealed once, whoever reads it. */
#include <dirent.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "hub/publish.h"

#define SECTION_KEEP_MS CLOCK_HOUR_MS

void
publish_replica_close(struct publish *publish)
{
	if (publish->replica != NULL)
		replica_close(publish->replica);
	publish->replica = NULL;
}

static int
section_replica(struct publish *publish, size_t index, struct err *err)
{
	const struct store_stream *row = publish->streams[index].row;
	struct replica_state state;
	char *path;
	int rc;

	if (publish->replica == NULL || publish->replica_of != index) {
		publish_replica_close(publish);
		path = hub_stream_path(
		    publish->hub->conf, row->member, row->stream, err);
		if (path == NULL)
			return -1;
		rc = replica_open(path, &publish->replica, err);
		free(path);
		if (rc < 0) {
			publish->replica = NULL;
			return -1;
		}
		publish->replica_of = index;
	}
	replica_state(publish->replica, &state);
	if (state.version != row->version ||
	    memcmp(state.root, row->root, CRYPTO_HASH_LEN) != 0)
		return err_set(err, ERR_BAD_DATA,
		    "the replica stands at %llu, hub.db at %llu: waiting for "
		    "the source to repeat itself",
		    (unsigned long long)state.version,
		    (unsigned long long)row->version);
	return 0;
}

static int
section_base(struct publish *publish, size_t index, uint64_t version,
    const uint8_t root[CRYPTO_HASH_LEN], uint64_t *out_base, struct err *err)
{
	struct publish_stream *stream = &publish->streams[index];
	struct publish_memo *memo;

	*out_base = 0;
	if (version == 0)
		return 0;
	for (size_t i = 0; i < stream->memo_count; i++) {
		memo = &stream->memos[i];
		if (memo->version == version &&
		    memcmp(memo->root, root, CRYPTO_HASH_LEN) == 0) {
			*out_base = memo->base;
			return 0;
		}
	}
	if (section_replica(publish, index, err) < 0 ||
	    replica_base_choose(
		publish->replica, version, root, out_base, err) < 0)
		return -1;
	stream->memos = mem_realloc(
	    stream->memos, (stream->memo_count + 1) * sizeof(*memo));
	memo = &stream->memos[stream->memo_count++];
	memo->version = version;
	memcpy(memo->root, root, CRYPTO_HASH_LEN);
	memo->base = *out_base;
	return 0;
}

/* Seals it into STATE/blobs under its hash, then names it in hub.db. */
static int
section_make(struct publish *publish, size_t index, uint64_t base,
    struct store_section *out, struct err *err)
{
	struct hub *hub = publish->hub;
	const struct store_stream *row = publish->streams[index].row;
	char *temporary = hub_path(hub->conf, "blobs/new");
	struct replica_section made = {0};
	char *path = NULL;
	int rc = -1;

	if (section_replica(publish, index, err) < 0 ||
	    replica_section_write(publish->replica, row->member, row->stream,
		base, temporary, &made, err) < 0)
		goto out;
	path = hub_blob_path(hub->conf, made.sha256);
	if (fsio_rename(temporary, path, err) < 0)
		goto out;
	memset(out, 0, sizeof(*out));
	out->stream = row->id;
	out->base = base;
	out->version = row->version;
	memcpy(out->sha256, made.sha256, CRYPTO_HASH_LEN);
	out->length = made.length;
	memcpy(out->key, made.key, CRYPTO_KEY_LEN);
	rc = store_section_put(hub->store, out, hub->now_ms, err);
	publish->result->sections++;
	log_info("section sealed member=%s stream=%s base=%llu version=%llu "
		 "bytes=%llu",
	    row->member, row->stream, (unsigned long long)base,
	    (unsigned long long)row->version, (unsigned long long)out->length);
out:
	crypto_cleanse(&made, sizeof(made));
	free(temporary);
	free(path);
	return rc;
}

int
publish_section(struct publish *publish, size_t index, uint64_t version,
    const uint8_t root[CRYPTO_HASH_LEN], struct store_section *out_section,
    struct err *err)
{
	struct publish_stream *stream = &publish->streams[index];
	struct hub *hub = publish->hub;
	uint64_t base;
	char *path;
	int rc;

	if (section_base(publish, index, version, root, &base, err) < 0)
		return -1;
	for (size_t i = 0; i < stream->section_count; i++)
		if (stream->sections[i].base == base) {
			*out_section = stream->sections[i];
			return 0;
		}
	rc = store_section_get(hub->store, stream->row->id, base,
	    stream->row->version, hub->now_ms, out_section, err);
	if (rc < 0)
		return -1;
	path = hub_blob_path(hub->conf, out_section->sha256);
	if (rc == 1 && access(path, R_OK) != 0)
		rc = 0;
	free(path);
	if (rc == 0 && section_make(publish, index, base, out_section, err) < 0)
		return -1;
	stream->sections = mem_realloc(stream->sections,
	    (stream->section_count + 1) * sizeof(*stream->sections));
	stream->sections[stream->section_count++] = *out_section;
	return 0;
}

static void
purge_one(void *arg, const uint8_t sha256[CRYPTO_HASH_LEN])
{
	char *path = hub_blob_path(arg, sha256);
	struct err ignored = {0};

	if (fsio_unlink(path, &ignored) < 0)
		log_err(&ignored, "blob stays");
	free(path);
}

/* Out boxes hold links of their own: what they need stays. */
int
publish_blobs_purge(struct hub *hub, struct err *err)
{
	char *dir = hub_path(hub->conf, "blobs");
	uint8_t sha256[CRYPTO_HASH_LEN];
	struct dirent *entry;
	bool known;
	DIR *d;
	int rc = -1;

	if (store_sections_purge(hub->store, hub->now_ms - SECTION_KEEP_MS,
		purge_one, (void *)hub->conf, err) < 0)
		goto out;
	d = opendir(dir);
	if (d == NULL) {
		(void)err_set_errno(err, ERR_IO, "%s", dir);
		goto out;
	}
	rc = 0;
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		char *path;

		if (id_unhex(slice_str(entry->d_name), sha256, sizeof(sha256),
			NULL) == 0) {
			rc = store_section_known(
			    hub->store, sha256, &known, err);
			if (rc < 0 || known)
				continue;
		} else if (entry->d_name[0] == '.') {
			continue;
		}
		/* Staging or sealing that died; nobody works here now. */
		path = fsio_join(dir, entry->d_name);
		rc = fsio_unlink(path, err);
		free(path);
	}
	closedir(d);
out:
	free(dir);
	return rc;
}
