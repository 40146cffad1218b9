/* What the tests of the replica share: a scratch directory, objects made from
 * numbers, and the way of a section from one replica to another. */
#ifndef TESTS_UNIT_REPLICA_FIXTURE_H
#define TESTS_UNIT_REPLICA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/replica/replica_internal.h"
#include "common/wire/envelope.h"

#define UNUSED __attribute__((unused))

static char fixture_dir[64];
static struct err fixture_err;
static pid_t fixture_pid;

/* In a forked child a failure must not return into cmocka's runner. */
static UNUSED void
fixture_fail(const char *call)
{
	if (getpid() != fixture_pid) {
		fprintf(stderr, "child: %s: %s\n", call, fixture_err.message);
		_exit(99);
	}
	fail_msg("%s: %s", call, fixture_err.message);
}

#define OK(call)                                                               \
	do {                                                                   \
		if ((call) < 0)                                                \
			fixture_fail(#call);                                   \
	} while (0)

static UNUSED int
fixture_setup(void **state)
{
	(void)state;
	fixture_pid = getpid();
	snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/test_replica.XXXXXX");
	if (mkdtemp(fixture_dir) == NULL)
		return -1;
	return crypto_init(&fixture_err);
}

static UNUSED int
fixture_teardown(void **state)
{
	(void)state;
	return fsio_remove_tree(fixture_dir, &fixture_err);
}

/* One of four rotating buffers. */
static UNUSED const char *
fixture_path(const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture_dir, name);
	return path;
}

/* Ids whose order is not the order of the numbers. */
static UNUSED struct id
fixture_id(uint32_t number)
{
	struct id id = {{0}};
	uint32_t mixed = number * 2654435761u;

	for (int i = 0; i < 4; i++) {
		id.bytes[i] = (uint8_t)(mixed >> (8 * i));
		id.bytes[12 + i] = (uint8_t)(number >> (8 * i));
	}
	return id;
}

/* The body of object number at a generation; valid until the next call. */
static UNUSED struct slice
fixture_body(uint32_t number, uint32_t generation)
{
	static char body[200];
	int len = snprintf(body, sizeof(body), "object %u generation %u %0*u",
	    number, generation, (int)(number % 90) + 1, number);

	return slice_make(body, (size_t)len);
}

static UNUSED struct replica *
fixture_open(const char *name)
{
	struct replica *replica;

	OK(replica_open(fixture_path(name), &replica, &fixture_err));
	return replica;
}

/* A full intake of objects [from, to) at one generation. */
static UNUSED struct replica_changes
fixture_fill(struct replica *replica, uint32_t from, uint32_t to,
    uint32_t generation, int64_t now)
{
	struct replica_intake *intake;
	struct replica_changes changes;

	OK(replica_intake_begin(replica, REPLICA_FULL, &intake, &fixture_err));
	for (uint32_t i = from; i < to; i++) {
		struct id id = fixture_id(i);

		OK(replica_intake_put(
		    intake, &id, fixture_body(i, generation), &fixture_err));
	}
	OK(replica_intake_finish(intake, now, false, &changes, &fixture_err));
	return changes;
}

/* The root by the definition, from what a cursor shows. */
static UNUSED uint64_t
fixture_root(struct replica *replica, uint8_t out_root[32])
{
	struct crypto_hash *hash = crypto_hash_new();
	struct replica_cursor *cursor;
	struct section_object object;
	uint64_t count = 0;
	uint8_t body[32];
	int rc;

	OK(replica_cursor_open(replica, 0, &cursor, &fixture_err));
	while ((rc = replica_cursor_next(cursor, &object, &fixture_err)) > 0) {
		crypto_sha256(object.body, body);
		crypto_hash_add(hash, id_slice(&object.id));
		crypto_hash_add(hash, slice_make(body, 32));
		count++;
	}
	OK(rc);
	replica_cursor_close(cursor);
	crypto_hash_final(hash, out_root);
	crypto_hash_free(hash);
	return count;
}

/* State and content agree. */
static UNUSED void
fixture_verify(struct replica *replica)
{
	struct replica_state state;
	uint8_t root[32];
	uint64_t count;

	OK(replica_fresh(replica, &fixture_err));
	replica_state(replica, &state);
	count = fixture_root(replica, root);
	assert_int_equal(count, state.count);
	assert_memory_equal(root, state.root, 32);
}

/* A section with its manifest, outside of any replica. */
struct fixture_message {
	char path[160];
	struct replica_section section;
	struct manifest manifest;
};

static UNUSED void
fixture_manifest(
    struct replica *replica, int64_t issued_at, struct manifest *out)
{
	struct replica_state state;

	replica_state(replica, &state);
	*out = (struct manifest){
	    .member = "NORTH",
	    .stream = "staff",
	    .tag = "NORTH/staff",
	    .version = state.version,
	    .count = state.count,
	    .issued_at = issued_at,
	    .not_after = issued_at + 1000,
	};
	memcpy(out->root, state.root, 32);
}

static UNUSED struct fixture_message
fixture_section(struct replica *replica, uint64_t base, const char *name)
{
	struct fixture_message message;

	snprintf(message.path, sizeof(message.path), "%s", fixture_path(name));
	OK(replica_section_write(replica, "NORTH", "staff", base, message.path,
	    &message.section, &fixture_err));
	fixture_manifest(replica, 1, &message.manifest);
	return message;
}

/* The result of replica_apply(); the error in fixture_err. */
static UNUSED int
fixture_apply_options(struct replica *replica,
    const struct fixture_message *message,
    struct replica_apply_options *options, struct replica_changes *out_changes)
{
	struct section_reader *reader;
	int rc;

	options->manifest = &message->manifest;
	options->signed_manifest = SLICE_LIT("signed");
	err_clear(&fixture_err);
	OK(section_reader_open(message->path, message->section.sha256,
	    message->section.key, fixture_dir, &reader, &fixture_err));
	rc = replica_apply(replica, reader, options, out_changes, &fixture_err);
	section_reader_close(reader);
	return rc;
}

static UNUSED int
fixture_apply(struct replica *replica, const struct fixture_message *message)
{
	struct replica_apply_options options = {0};
	struct replica_changes changes;

	return fixture_apply_options(replica, message, &options, &changes);
}

static UNUSED bool
fixture_exists(const char *name)
{
	return access(fixture_path(name), F_OK) == 0;
}

static UNUSED struct replica_state
state_of(const struct replica *replica)
{
	struct replica_state state;

	replica_state(replica, &state);
	return state;
}

static UNUSED void
assert_changes(const struct replica_changes *c, uint64_t added,
    uint64_t modified, uint64_t deleted, uint64_t unchanged)
{
	assert_int_equal(c->added, added);
	assert_int_equal(c->modified, modified);
	assert_int_equal(c->deleted, deleted);
	assert_int_equal(c->unchanged, unchanged);
}

#endif
