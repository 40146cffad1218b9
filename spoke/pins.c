#include "spoke/pins.h"

#include <stdarg.h>
#include <strings.h>
#include "common/base/clock.h"
#include "common/base/log.h"

struct pin {
	bool known;
	bool revoked;
	bool accepted; /* an operator took over what the registry says */
	char held[PINS_REASON_MAX];
};

struct pinner {
	struct spoke_store *store;
	const struct registry *registry;
	const struct registry_member *member;
	int64_t now;
	struct pin pin;
	/* Nothing was pinned before: the first registry is taken as it is. */
	bool first;
	/* An operator's release: what conflicts is replaced. */
	bool release;
	unsigned held;
};

static int
pin_get(struct spoke_store *store, const char *name, struct pin *out,
    struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	memset(out, 0, sizeof(*out));
	if (db_prepare(store_db(store),
		"SELECT revoked, accepted, held FROM pin_member"
		" WHERE name = ?1",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, name);
	rc = db_step(stmt, err);
	if (rc <= 0)
		return rc;
	out->known = true;
	out->revoked = db_column_i64(stmt, 0) != 0;
	out->accepted = db_column_i64(stmt, 1) != 0;
	(void)snprintf(
	    out->held, sizeof(out->held), "%s", db_column_text(stmt, 2));
	db_reset(stmt);
	return 0;
}

static int
pin_set(struct pinner *p, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store_db(p->store),
		"INSERT INTO pin_member(name, pinned_at, revoked, accepted,"
		" held, held_at) VALUES(?1, ?2, ?3, ?4, ?5, ?2)"
		" ON CONFLICT(name) DO UPDATE SET revoked = ?3,"
		" accepted = ?4, held = ?5, held_at ="
		" CASE WHEN held = ?5 THEN held_at ELSE ?2 END",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, p->member->name);
	db_bind_i64(stmt, 2, p->now);
	db_bind_i64(stmt, 3, p->pin.revoked);
	db_bind_i64(stmt, 4, p->pin.accepted);
	db_bind_text(stmt, 5, p->pin.held);
	return db_run(stmt, err);
}

/* The first reason stays: it is the one to look into. */
static void ERR_PRINTF(2, 3) pin_hold(struct pinner *p, const char *format, ...)
{
	va_list args;

	if (p->pin.held[0] != '\0')
		return;
	va_start(args, format);
	(void)vsnprintf(p->pin.held, sizeof(p->pin.held), format, args);
	va_end(args);
	p->pin.accepted = false;
	p->held++;
	log_warn("member held member=%s reason=\"%s\"", p->member->name,
	    p->pin.held);
}

/* 1 when a row of a one-column query with a name and an id exists. */
static int
row_exists(struct spoke_store *store, const char *sql, const char *name,
    const struct id *id, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(store_db(store), sql, &stmt, err) < 0)
		return -1;
	db_bind_blob(stmt, 1, id_slice(id));
	if (name != NULL)
		db_bind_text(stmt, 2, name);
	rc = db_step(stmt, err);
	if (rc > 0)
		db_reset(stmt);
	return rc;
}

static int
key_revoked(struct spoke_store *store, const struct id *id, struct err *err)
{
	return row_exists(store, "SELECT 1 FROM pin_revoked WHERE key_id = ?1",
	    NULL, id, err);
}

static int
key_pinned(struct pinner *p, const struct id *id, struct err *err)
{
	return row_exists(p->store,
	    "SELECT 1 FROM pin_key WHERE key_id = ?1 AND member = ?2",
	    p->member->name, id, err);
}

static int
key_pin(struct pinner *p, const struct id *id, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store_db(p->store),
		"INSERT OR IGNORE INTO pin_key(member, key_id, pinned_at)"
		" VALUES(?1, ?2, ?3)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, p->member->name);
	db_bind_blob(stmt, 2, id_slice(id));
	db_bind_i64(stmt, 3, p->now);
	return db_run(stmt, err);
}

/* Does a pinned key that was never revoked endorse it, directly or through the
 * registry's chain? 1, 0, -1. A revoked key may be in a thief's hands. */
static int
key_follows(struct pinner *p, const struct id *id, struct err *err)
{
	struct db_stmt *stmt;
	bool follows = false;
	int rc;

	if (db_prepare(store_db(p->store),
		"SELECT key_id FROM pin_key WHERE member = ?1 AND key_id"
		" NOT IN (SELECT key_id FROM pin_revoked)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, p->member->name);
	while ((rc = db_step(stmt, err)) > 0) {
		struct id from;

		if (id_from_slice(db_column_blob(stmt, 0), &from, NULL) == 0)
			follows = follows || registry_key_follows(p->registry,
						 p->member, &from, id);
	}
	return rc < 0 ? -1 : follows;
}

static int
key_check(struct pinner *p, const struct registry_key *key, struct err *err)
{
	char text[ID_HEX_SIZE];
	int rc;

	if (key->role != REGISTRY_SIGN)
		return 0;
	rc = key_revoked(p->store, &key->id, err);
	if (rc < 0)
		return -1;
	if (rc > 0) {
		/* A revoked key may still be listed, as revoked. */
		if (!registry_key_revoked(p->registry, &key->id))
			pin_hold(p, "key %s was revoked and is listed again",
			    id_format(&key->id, text));
		return 0;
	}
	rc = key_pinned(p, &key->id, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (p->pin.known && !p->release) {
		rc = key_follows(p, &key->id, err);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			pin_hold(p, "key %s is not endorsed by a known one",
			    id_format(&key->id, text));
			return 0;
		}
	}
	return key_pin(p, &key->id, err);
}

/* Can an address lie in both? "*.x" means any depth below x. */
static bool
domains_overlap(struct slice a, struct slice b)
{
	bool wild_a = slice_starts_case(a, SLICE_LIT("*."));
	bool wild_b = slice_starts_case(b, SLICE_LIT("*."));

	if (slice_equal_case(a, b))
		return true;
	if (wild_a && slice_ends_case(wild_b ? slice_sub(b, 1, b.len) : b,
			  slice_sub(a, 1, a.len)))
		return true;
	return wild_b && slice_ends_case(wild_a ? slice_sub(a, 1, a.len) : a,
			     slice_sub(b, 1, b.len));
}

/* Is the domain inside what this member has pinned already? */
static bool
domain_covered(struct slice domain, struct slice pinned)
{
	return slice_equal_case(domain, pinned) ||
	       (slice_starts_case(pinned, SLICE_LIT("*.")) &&
		   slice_ends_case(domain, slice_sub(pinned, 1, pinned.len)));
}

/* Looks at all pinned domains: *out_covered when the member has it already,
 * out_other names another member that it would move from. */
static int
domain_look(struct pinner *p, struct slice domain, bool *out_covered,
    char out_other[64], struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	*out_covered = false;
	out_other[0] = '\0';
	if (db_prepare(store_db(p->store),
		"SELECT domain, member FROM pin_domain", &stmt, err) < 0)
		return -1;
	while ((rc = db_step(stmt, err)) > 0) {
		struct slice pinned = slice_str(db_column_text(stmt, 0));
		const char *member = db_column_text(stmt, 1);

		if (strcasecmp(member, p->member->name) == 0)
			*out_covered =
			    *out_covered || domain_covered(domain, pinned);
		else if (domains_overlap(domain, pinned))
			(void)snprintf(out_other, 64, "%s", member);
	}
	return rc;
}

static int
domain_pin(struct pinner *p, const char *domain, struct err *err)
{
	struct db_stmt *stmt;

	if (p->release) {
		if (db_prepare(store_db(p->store),
			"DELETE FROM pin_domain WHERE domain = ?1", &stmt,
			err) < 0)
			return -1;
		db_bind_text(stmt, 1, domain);
		if (db_run(stmt, err) < 0)
			return -1;
	}
	if (db_prepare(store_db(p->store),
		"INSERT OR IGNORE INTO pin_domain(domain, member)"
		" VALUES(?1, ?2)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, domain);
	db_bind_text(stmt, 2, p->member->name);
	return db_run(stmt, err);
}

static int
domain_check(struct pinner *p, const char *domain, struct err *err)
{
	bool covered = false;
	char other[64] = "";

	if (!p->first && !p->release) {
		if (domain_look(p, slice_str(domain), &covered, other, err) < 0)
			return -1;
		if (covered)
			return 0;
		if (other[0] != '\0') {
			pin_hold(p, "domain %s moves here from member %s",
			    domain, other);
			return 0;
		}
	}
	return domain_pin(p, domain, err);
}

static bool
domain_still_allotted(const struct registry_member *member, struct slice pinned)
{
	for (size_t i = 0; i < member->domain_count; i++)
		if (domain_covered(pinned, slice_str(member->domains[i])))
			return true;
	return false;
}

/* A domain that the hub takes away would turn its contacts foreign: that waits
 * for the operator. Released, the pins forget it. */
static int
domains_withdrawn(struct pinner *p, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (p->release) {
		if (db_prepare(store_db(p->store),
			"DELETE FROM pin_domain WHERE member = ?1", &stmt,
			err) < 0)
			return -1;
		db_bind_text(stmt, 1, p->member->name);
		return db_run(stmt, err);
	}
	if (db_prepare(store_db(p->store),
		"SELECT domain FROM pin_domain WHERE member = ?1", &stmt,
		err) < 0)
		return -1;
	db_bind_text(stmt, 1, p->member->name);
	while ((rc = db_step(stmt, err)) > 0)
		if (!domain_still_allotted(
			p->member, slice_str(db_column_text(stmt, 0))))
			pin_hold(p, "domain %s was withdrawn by the hub",
			    db_column_text(stmt, 0));
	return rc;
}

static int
member_check(struct pinner *p, struct err *err)
{
	const struct registry_member *member = p->member;

	if (!p->release && pin_get(p->store, member->name, &p->pin, err) < 0)
		return -1;
	if (p->pin.revoked && !member->revoked)
		pin_hold(p, "was revoked and is listed again");
	for (size_t i = 0; i < member->key_count; i++)
		if (key_check(p, &member->keys[i], err) < 0)
			return -1;
	if (domains_withdrawn(p, err) < 0)
		return -1;
	for (size_t i = 0; i < member->domain_count; i++)
		if (domain_check(p, member->domains[i], err) < 0)
			return -1;
	if (member->revoked && !p->pin.revoked) {
		p->pin.revoked = true;
		p->pin.accepted = p->release;
	}
	return pin_set(p, err);
}

static int
revocations_keep(
    struct spoke_store *store, const struct registry *registry, struct err *err)
{
	for (size_t i = 0; i < registry->revoked_count; i++) {
		struct db_stmt *stmt;

		if (db_prepare(store_db(store),
			"INSERT OR IGNORE INTO pin_revoked(key_id) VALUES(?1)",
			&stmt, err) < 0)
			return -1;
		db_bind_blob(stmt, 1, id_slice(&registry->revoked_keys[i]));
		if (db_run(stmt, err) < 0)
			return -1;
	}
	return 0;
}

static int
pins_empty(struct spoke_store *store, bool *out_empty, struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(store_db(store), "SELECT 1 FROM pin_member LIMIT 1",
		&stmt, err) < 0)
		return -1;
	rc = db_step(stmt, err);
	if (rc > 0)
		db_reset(stmt);
	*out_empty = rc == 0;
	return rc < 0 ? -1 : 0;
}

int
pins_check(struct spoke_store *store, const struct registry *registry,
    int64_t now_ms, unsigned *out_held, struct err *err)
{
	bool first;

	*out_held = 0;
	if (pins_empty(store, &first, err) < 0 ||
	    revocations_keep(store, registry, err) < 0)
		return -1;
	for (size_t i = 0; i < registry->member_count; i++) {
		struct pinner p = {.store = store,
		    .registry = registry,
		    .member = &registry->members[i],
		    .now = now_ms,
		    .first = first};

		if (member_check(&p, err) < 0)
			return -1;
		*out_held += p.held;
	}
	return 0;
}

int
pins_good(struct spoke_store *store, const struct registry *registry,
    const char *member, char *out_reason, struct err *err)
{
	const struct registry_member *m = registry_find(registry, member);
	const char *reason = NULL;
	struct pin pin;

	out_reason[0] = '\0';
	if (pin_get(store, member, &pin, err) < 0)
		return -1;
	if (pin.held[0] != '\0')
		reason = pin.held;
	else if (m == NULL)
		reason = "is no longer in the registry";
	else if (!pin.known)
		reason = "was never pinned";
	else if (m->revoked && !pin.accepted)
		reason = "was revoked by the hub";
	if (reason == NULL)
		return 1;
	(void)snprintf(out_reason, PINS_REASON_MAX, "%s", reason);
	return 0;
}

/* Did the operator accept that the hub ended this stream? 1, 0, -1. */
static int
end_accepted(struct spoke_store *store, const char *member, const char *stream,
    struct err *err)
{
	struct db_stmt *stmt;
	int rc;

	if (db_prepare(store_db(store),
		"SELECT 1 FROM pin_end WHERE member = ?1 AND stream = ?2",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, member);
	db_bind_text(stmt, 2, stream);
	rc = db_step(stmt, err);
	if (rc > 0)
		db_reset(stmt);
	return rc;
}

static int
end_accept(struct spoke_store *store, const char *member, const char *stream,
    struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store_db(store),
		"INSERT OR IGNORE INTO pin_end(member, stream) VALUES(?1, ?2)",
		&stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, member);
	db_bind_text(stmt, 2, stream);
	return db_run(stmt, err);
}

int
pins_stream_good(struct spoke_store *store, const struct registry *registry,
    const char *member, const char *stream, char *out_reason, struct err *err)
{
	const struct registry_member *m = registry_find(registry, member);
	int rc = pins_good(store, registry, member, out_reason, err);

	if (rc <= 0 || m == NULL)
		return rc;
	for (size_t i = 0; i < m->ended_count; i++) {
		if (strcasecmp(m->ended_streams[i], stream) != 0)
			continue;
		rc = end_accepted(store, member, stream, err);
		if (rc == 0)
			(void)snprintf(out_reason, PINS_REASON_MAX,
			    "the hub says that it ended");
		return rc;
	}
	return 1;
}

static int
keys_unpin(struct pinner *p, struct err *err)
{
	struct db_stmt *stmt;

	if (db_prepare(store_db(p->store),
		"DELETE FROM pin_key WHERE member = ?1", &stmt, err) < 0)
		return -1;
	db_bind_text(stmt, 1, p->member->name);
	return db_run(stmt, err);
}

int
pins_release(struct spoke_store *store, const struct registry *registry,
    const char *member, struct err *err)
{
	struct pinner p = {.store = store,
	    .registry = registry,
	    .member = registry_find(registry, member),
	    .now = clock_now_ms(),
	    .release = true};

	if (p.member == NULL || p.member->name[0] == '\0')
		return err_set(
		    err, ERR_CONFIG, "the registry knows no member %s", member);
	if (db_begin(store_db(store), err) < 0)
		return -1;
	p.pin.known = true;
	p.pin.accepted = true;
	p.pin.revoked = p.member->revoked;
	if (keys_unpin(&p, err) < 0 || member_check(&p, err) < 0)
		goto fail;
	for (size_t i = 0; i < p.member->ended_count; i++)
		if (end_accept(store, member, p.member->ended_streams[i], err) <
		    0)
			goto fail;
	return db_commit(store_db(store), err);
fail:
	db_rollback(store_db(store));
	return -1;
}
