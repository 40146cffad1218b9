/* A joined spoke SOUTH in a scratch directory, and the realm around it. */
#ifndef TESTS_UNIT_SPOKE_FIXTURE_H
#define TESTS_UNIT_SPOKE_FIXTURE_H

#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/object.h"
#include "common/replica/replica.h"
#include "spoke/pins.h"
#include "spoke/spoke.h"
#include "tests/unit/wire_realm.h"

struct fixture {
	char dir[64];
	char *machine;
	struct export_policy export_policy;
	struct export_base base;
	struct import_policy import_policy;
	const char *tags[1];
	struct spoke_conf conf;
	struct realm realm;
	struct key_pair former[4];
	size_t former_count;
	struct spoke spoke;
};

static inline void
fixture_relist(struct realm_member *m, const struct keys *keys)
{
	m->keys = *keys;
	m->message.n_keys = 0;
	realm_list_keys(m);
}

/* Takes the realm's registry as join does, or as fetch would. */
static inline unsigned
fixture_registry_take(struct fixture *f)
{
	unsigned held = 0;
	struct err err = {0};

	REALM_CHECK(db_begin(store_db(f->spoke.store), &err) == 0);
	REALM_CHECK(pins_check(f->spoke.store, f->realm.registry,
			clock_now_ms(), &held, &err) == 0);
	REALM_CHECK(
	    store_registry_set(f->spoke.store, f->realm.registry, &err) == 0);
	REALM_CHECK(db_commit(store_db(f->spoke.store), &err) == 0);
	return held;
}

static inline void
fixture_open(struct fixture *f)
{
	struct err err = {0};

	if (spoke_open(&f->conf, &f->spoke, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
}

static inline void
fixture_init(struct fixture *f)
{
	struct identity identity;
	struct keys keys;
	struct err err = {0};
	char *path;

	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/galr-spoke-XXXXXX");
	REALM_CHECK(mkdtemp(f->dir) != NULL);
	f->machine = mem_printf("%s/machine-id", f->dir);
	REALM_CHECK(
	    fsio_write(f->machine, SLICE_LIT("abc\n"), 0600, &err) == 0);
	f->tags[0] = "*";
	f->import_policy = (struct import_policy){.name = "partners",
	    .enabled = true,
	    .tags = f->tags,
	    .tag_count = 1,
	    .into = "OU=P"};
	f->export_policy = (struct export_policy){.name = "staff",
	    .enabled = true,
	    .tag = "SOUTH/staff",
	    .lifetime_ms = 7 * CLOCK_DAY_MS};
	f->conf = (struct spoke_conf){.path = "spoke.conf",
	    .state = f->dir,
	    .machine_id_file = f->machine,
	    .spool_quota = 1 << 30,
	    .exports = &f->export_policy,
	    .export_count = 1,
	    .imports = &f->import_policy,
	    .import_count = 1};
	REALM_CHECK(crypto_init(&err) == 0);
	REALM_CHECK(identity_create(&f->conf, &err) == 0);
	REALM_CHECK(identity_load(&f->conf, &identity, &err) == 0);
	path = spoke_conf_state_path(&f->conf, "keys");
	REALM_CHECK(keys_load(path, &keys, &err) == 0);
	free(path);
	realm_init(&f->realm);
	fixture_relist(&f->realm.south, &keys);
	REALM_CHECK(realm_sign(&f->realm, &err) == 0);
	identity.joined = true;
	identity.realm = f->realm.id;
	(void)snprintf(identity.member, sizeof(identity.member), "SOUTH");
	(void)snprintf(
	    identity.address, sizeof(identity.address), "tcp://127.0.0.1:1");
	memcpy(identity.hub_sign, f->realm.hub.keys.sign_active.public_key, 32);
	memcpy(identity.hub_decrypt,
	    f->realm.hub.keys.decrypt_active.public_key, 32);
	memcpy(identity.hub_curve, f->realm.hub.keys.curve.public_key, 32);
	REALM_CHECK(identity_save(&f->conf, &identity, &err) == 0);
	fixture_open(f);
	REALM_CHECK(fixture_registry_take(f) == 0);
	spoke_close(&f->spoke);
	fixture_open(f);
}

static inline void
fixture_fini(struct fixture *f)
{
	struct err err = {0};

	spoke_close(&f->spoke);
	realm_fini(&f->realm);
	REALM_CHECK(fsio_remove_tree(f->dir, &err) == 0);
	free(f->machine);
}

/* The next version of the registry, signed. */
static inline void
fixture_registry_next(struct fixture *f)
{
	f->realm.message.version++;
	REALM_CHECK(realm_sign(&f->realm, NULL) == 0);
}

/* One object body: cn and mail. */
static inline void
fixture_body(const char *mail, const char *title, struct buf *out)
{
	struct slice values[2] = {slice_str(mail), slice_str(title)};
	const struct object_attribute list[] = {
	    {"mail", &values[0], 1}, {"title", &values[1], 1}};
	const struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=x",
	    .attributes = list,
	    .attribute_count = 2};
	struct arena *arena = arena_new(1 << 20);

	buf_reset(out);
	REALM_CHECK(object_encode(&object, arena, out, NULL) == 0);
	arena_free(arena);
}

/* The source's directory holds the first n people of a domain; the first has a
 * title. One reading, published at now_ms. */
static inline void
fixture_fill(struct replica *source, const char *domain, unsigned n,
    const char *title, int64_t now_ms)
{
	struct replica_changes changes;
	struct replica_intake *intake = NULL;
	struct buf body;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	REALM_CHECK(
	    replica_intake_begin(source, REPLICA_FULL, &intake, NULL) == 0);
	for (unsigned i = 0; i < n; i++) {
		struct id id = {{0}};
		char mail[64];

		id.bytes[0] = (uint8_t)(i + 1);
		(void)snprintf(mail, sizeof(mail), "p%u@%s", i, domain);
		fixture_body(mail, i == 0 ? title : "-", &body);
		REALM_CHECK(replica_intake_put(
				intake, &id, buf_slice(&body), NULL) == 0);
	}
	REALM_CHECK(
	    replica_intake_finish(intake, now_ms, false, &changes, NULL) == 0);
	buf_fini(&body);
}

#endif
