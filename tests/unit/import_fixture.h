/*
 * An import into a private slapd: replicas as NORTH would publish them, its
 * registry, and import_run() of SOUTH. Included by the tests that need it.
 */
#ifndef TESTS_UNIT_IMPORT_FIXTURE_H
#define TESTS_UNIT_IMPORT_FIXTURE_H

#include "common/ldap/dn.h"
#include "common/ldap/writer.h"
#include "common/replica/replica.h"
#include "spoke/import/import.h"
#include "tests/unit/ldap_fixture.h"
#include "tests/unit/wire_realm.h"

#define WORLD_INTO "ou=Partners,dc=example"
#define WORLD_STAFF "ou=Staff,dc=example"
#define WORLD_PERSONS 256
#define WORLD_STREAMS 2
#define WORLD_VALUES 4

/* One object at its source; mail[0] == '\0': not there. */
struct person {
	char cn[512];
	size_t cn_len; /* 0: a C string */
	char mail[160];
	char title[64];
};

struct world {
	struct fixture ldap;
	struct session *session; /* the test's own */
	struct realm realm;
	char password_file[128];
	const char *uris[1];
	const char *tags[1];
	struct import_policy policies[2];
	struct spoke_conf conf;
	struct person persons[WORLD_STREAMS][WORLD_PERSONS];
	int64_t version;
	bool ended[WORLD_STREAMS]; /* by the source */
	struct import_stream streams[WORLD_STREAMS];
	char *paths[WORLD_STREAMS];
	size_t stream_count;
	struct import_result result;
	struct err err;
	bool force;
};

/* --- the directory --- */

static MAYBE_UNUSED int
world_result(void *arg, const struct writer_result *result, struct err *err)
{
	(void)err;
	*(int *)arg = result->code;
	return 0;
}

/* One change by a local administrator; gives the LDAP result code. */
static MAYBE_UNUSED int
world_change(struct world *w, const struct writer_change *change)
{
	struct writer *writer = NULL;
	struct err err = {0};
	int code = -1;

	if (writer_open(w->session, world_result, &code, &writer, &err) != 0 ||
	    writer_submit(writer, change, &err) != 0 ||
	    writer_close(writer, &err) != 0)
		fail_msg("%s", err.message);
	return code;
}

static MAYBE_UNUSED void
world_ou(struct world *w, const char *dn, const char *name)
{
	struct slice classes[] = {
	    SLICE_LIT("top"), SLICE_LIT("organizationalUnit")};
	struct slice ou = slice_str(name);
	struct writer_attribute list[] = {
	    {"objectClass", classes, 2}, {"ou", &ou, 1}};

	assert_int_equal(
	    world_change(w, &(struct writer_change){.op = WRITER_ADD,
				.dn = dn,
				.attributes = list,
				.attribute_count = 2}),
	    0);
}

/* mark NULL: a person of this forest; else one that carries it. */
static MAYBE_UNUSED void
world_local(struct world *w, const char *dn, const char *cn, const char *mail,
    const char *mark)
{
	struct slice classes[] = {SLICE_LIT("top"), SLICE_LIT("person"),
	    SLICE_LIT("organizationalPerson"), SLICE_LIT("inetOrgPerson")};
	struct slice name = slice_str(cn);
	struct slice address = slice_str(mail);
	struct slice marked = slice_str(mark);
	struct writer_attribute list[] = {{"objectClass", classes, 4},
	    {"cn", &name, 1}, {"sn", &name, 1}, {"mail", &address, 1},
	    {"labeledURI", &marked, 1}};

	assert_int_equal(
	    world_change(w, &(struct writer_change){.op = WRITER_ADD,
				.dn = dn,
				.attributes = list,
				.attribute_count = mark == NULL ? 4 : 5}),
	    0);
}

static MAYBE_UNUSED void
world_delete(struct world *w, const char *dn)
{
	assert_int_equal(
	    world_change(
		w, &(struct writer_change){.op = WRITER_DELETE, .dn = dn}),
	    0);
}

static MAYBE_UNUSED void
world_move(struct world *w, const char *dn, const char *rdn, const char *parent)
{
	assert_int_equal(
	    world_change(w, &(struct writer_change){.op = WRITER_RENAME,
				.dn = dn,
				.new_rdn = rdn,
				.new_parent = parent}),
	    0);
}

/* A contact or person as it stands in the directory. */
struct seen {
	char dn[2048];
	char cn[1024];
	size_t cn_len;
	char title[64];
	char mark[256];
	char csn[64];
	unsigned count; /* entries that match */
};

static MAYBE_UNUSED void
world_copy(char *out, size_t size, struct slice value)
{
	snprintf(out, size, "%.*s", (int)value.len, (const char *)value.data);
}

/* The entry with that mail below base; count 0 when there is none. */
static MAYBE_UNUSED struct seen
world_find(struct world *w, const char *base, const char *mail)
{
	static const char *const attributes[] = {
	    "cn", "title", "mail", "labeledURI", "entryCSN", NULL};
	struct search_options options = {.base = base,
	    .scope = SEARCH_SUBTREE,
	    .filter = "(mail=*)",
	    .attributes = attributes,
	    .page_size = 500};
	struct seen seen = {.count = 0};
	struct search *search = NULL;
	struct search_entry entry;
	struct err err = {0};
	int rc;

	assert_int_equal(search_open(w->session, &options, &search, &err), 0);
	while ((rc = search_step(search, &entry, &err)) > 0) {
		struct slice cn = search_first(&entry, "cn");

		if (mail != NULL &&
		    !slice_equal(search_first(&entry, "mail"), slice_str(mail)))
			continue;
		seen.count++;
		snprintf(seen.dn, sizeof(seen.dn), "%s", entry.dn);
		assert_true(cn.len < sizeof(seen.cn));
		memcpy(seen.cn, cn.data, cn.len);
		seen.cn[cn.len] = '\0';
		seen.cn_len = cn.len;
		world_copy(seen.title, sizeof(seen.title),
		    search_first(&entry, "title"));
		world_copy(seen.mark, sizeof(seen.mark),
		    search_first(&entry, "labeledURI"));
		world_copy(seen.csn, sizeof(seen.csn),
		    search_first(&entry, "entryCSN"));
	}
	if (rc < 0)
		fail_msg("%s", err.message);
	search_close(search);
	return seen;
}

static MAYBE_UNUSED struct seen
world_contact(struct world *w, const char *mail)
{
	return world_find(w, WORLD_INTO, mail);
}

static MAYBE_UNUSED unsigned
world_contacts(struct world *w)
{
	return world_find(w, WORLD_INTO, NULL).count;
}

/* --- the source --- */

static MAYBE_UNUSED void
world_person(struct world *w, size_t stream, size_t index, const char *cn,
    const char *mail, const char *title)
{
	struct person *p = &w->persons[stream][index];

	assert_true(index < WORLD_PERSONS);
	memset(p, 0, sizeof(*p));
	snprintf(p->cn, sizeof(p->cn), "%s", cn);
	p->cn_len = strlen(p->cn);
	snprintf(p->mail, sizeof(p->mail), "%s", mail);
	snprintf(p->title, sizeof(p->title), "%s", title);
}

static MAYBE_UNUSED void
world_person_put(
    const struct person *p, const struct id *id, struct replica_intake *intake)
{
	struct slice values[] = {slice_make(p->cn, p->cn_len),
	    slice_str(p->mail), slice_str(p->title)};
	const struct object_attribute list[] = {{"cn", &values[0], 1},
	    {"mail", &values[1], 1}, {"title", &values[2], 1}};
	const struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=x,DC=north,DC=example",
	    .attributes = list,
	    .attribute_count = p->title[0] == '\0' ? 2 : 3};
	struct arena *arena = arena_new(1 << 20);
	struct err err = {0};
	struct buf body;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	if (object_encode(&object, arena, &body, &err) != 0 ||
	    replica_intake_put(intake, id, buf_slice(&body), &err) != 0)
		fail_msg("%s", err.message);
	buf_fini(&body);
	arena_free(arena);
}

/* The objects of the two streams have the same ids. */
static MAYBE_UNUSED struct id
world_id(size_t index)
{
	struct id id = {{1}};

	id.bytes[14] = (uint8_t)(index >> 8);
	id.bytes[15] = (uint8_t)index;
	return id;
}

static MAYBE_UNUSED void
world_manifest(struct world *w, size_t stream, struct replica *replica)
{
	struct replica_state state;
	struct manifest manifest = {.realm = w->realm.id,
	    .member = "NORTH",
	    .stream = w->streams[stream].stream,
	    .tag = stream == 0 ? "NORTH/staff" : "NORTH/extra",
	    .issued_at = REALM_NOW,
	    .not_after = REALM_NOW + 1000000,
	    .ended = w->ended[stream]};
	struct err err = {0};
	struct buf bytes;

	replica_state(replica, &state);
	manifest.version = state.version;
	manifest.count = state.count;
	memcpy(manifest.root, state.root, sizeof(manifest.root));
	buf_init(&bytes, 65536);
	if (manifest_seal(&manifest, &w->realm.north.keys.sign_active, &bytes,
		&err) != 0 ||
	    replica_manifest_set(replica, buf_slice(&bytes), &err) != 0)
		fail_msg("%s", err.message);
	buf_fini(&bytes);
}

/* What a fetch would leave behind: the replica and its manifest. */
static MAYBE_UNUSED void
world_publish(struct world *w, size_t stream)
{
	struct replica *replica = NULL;
	struct replica_intake *intake = NULL;
	struct replica_changes changes;
	struct err err = {0};
	size_t i;

	if (replica_open(w->paths[stream], &replica, &err) != 0 ||
	    replica_intake_begin(replica, REPLICA_FULL, &intake, &err) != 0)
		fail_msg("%s", err.message);
	for (i = 0; i < WORLD_PERSONS; i++) {
		struct id id = world_id(i);

		if (w->persons[stream][i].mail[0] != '\0')
			world_person_put(&w->persons[stream][i], &id, intake);
	}
	if (replica_intake_finish(
		intake, clock_now_ms(), false, &changes, &err) != 0)
		fail_msg("%s", err.message);
	world_manifest(w, stream, replica);
	replica_close(replica);
}

/* --- the import --- */

static MAYBE_UNUSED int
world_run_of(struct world *w, const struct import_policy *policy)
{
	struct import_input input = {.conf = &w->conf,
	    .policy = policy,
	    .registry = w->realm.registry,
	    .me = "SOUTH",
	    .streams = w->streams,
	    .stream_count = w->stream_count,
	    .force = w->force};

	err_clear(&w->err);
	return import_run(&input, &w->result, &w->err);
}

static MAYBE_UNUSED void
world_run(struct world *w)
{
	if (world_run_of(w, &w->policies[0]) != 0)
		fail_msg("%s", w->err.message);
}

static MAYBE_UNUSED uint64_t
world_written(const struct world *w)
{
	return w->result.added + w->result.modified + w->result.renamed +
	       w->result.deleted;
}

/* Reads everything again and finds nothing to write. */
static MAYBE_UNUSED void
world_expect_settled(struct world *w)
{
	w->force = true;
	world_run(w);
	w->force = false;
	assert_int_equal(world_written(w), 0);
	assert_false(w->result.unchanged);
	world_run(w);
	assert_true(w->result.unchanged || w->result.quarantined > 0);
}

static MAYBE_UNUSED void
world_import_db(const struct world *w, char *out, size_t size)
{
	snprintf(
	    out, size, "%s/import-%s.db", w->ldap.dir, w->policies[0].name);
}

static MAYBE_UNUSED void
world_conf(struct world *w)
{
	w->uris[0] = w->ldap.uri;
	w->tags[0] = "NORTH";
	snprintf(w->password_file, sizeof(w->password_file), "%s/password",
	    w->ldap.dir);
	fixture_write(w->ldap.dir, "password", FIXTURE_PASSWORD);
	w->policies[0] = (struct import_policy){.name = "partners",
	    .enabled = true,
	    .tags = w->tags,
	    .tag_count = 1,
	    .into = WORLD_INTO,
	    .max_delete_percent = 10,
	    .max_delete_count = 50,
	    .proof_ms = CLOCK_DAY_MS};
	w->conf = (struct spoke_conf){.path = "spoke.conf",
	    .state = w->ldap.dir,
	    .legacy_prefix = SPOKE_CONF_LEGACY_PREFIX,
	    .imports = w->policies,
	    .import_count = 1,
	    .directory = {.uris = w->uris,
		.uri_count = 1,
		.tls = SESSION_TLS_NONE,
		.bind = SESSION_SIMPLE,
		.user = FIXTURE_ADMIN,
		.password_file = w->password_file,
		.connect_timeout_ms = 5000,
		.timeout_ms = 20000,
		.page_size = 100}};
}

static MAYBE_UNUSED struct world *
world_new(unsigned salt)
{
	struct world *w = mem_calloc(1, sizeof(*w));
	struct slice classes[] = {SLICE_LIT("top"), SLICE_LIT("domain")};
	struct slice dc = SLICE_LIT("example");
	struct writer_attribute root[] = {
	    {"objectClass", classes, 2}, {"dc", &dc, 1}};
	size_t i;

	assert_int_equal(crypto_init(NULL), 0);
	fixture_init(&w->ldap, salt);
	fixture_configure(&w->ldap, false, "");
	fixture_start(&w->ldap, false);
	w->session = fixture_session(&w->ldap);
	realm_init(&w->realm);
	world_conf(w);
	assert_int_equal(
	    world_change(w, &(struct writer_change){.op = WRITER_ADD,
				.dn = FIXTURE_SUFFIX,
				.attributes = root,
				.attribute_count = 2}),
	    0);
	world_ou(w, WORLD_INTO, "Partners");
	world_ou(w, WORLD_STAFF, "Staff");
	for (i = 0; i < WORLD_STREAMS; i++) {
		w->paths[i] = mem_printf("%s/stream%zu.db", w->ldap.dir, i);
		w->streams[i].member = "NORTH";
		w->streams[i].stream = i == 0 ? "staff" : "extra";
		w->streams[i].path = w->paths[i];
	}
	w->stream_count = 1;
	return w;
}

static MAYBE_UNUSED void
world_free(struct world *w)
{
	size_t i;

	session_close(w->session);
	fixture_fini(&w->ldap);
	realm_fini(&w->realm);
	for (i = 0; i < WORLD_STREAMS; i++)
		free(w->paths[i]);
	free(w);
}

#endif
