#include "hub/report.h"

#include <unistd.h>
#include "common/base/arena.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/wire/limits.h"

#define REPORT_STATUS_MAX (4 * 1024 * 1024)

static char *
age_text(int64_t now, int64_t then)
{
	char text[CLOCK_TEXT_SIZE];

	return mem_strdup(
	    then == 0 ? "never" : clock_format_age(now - then, text));
}

static char *
number_text(uint64_t n)
{
	return mem_printf("%llu", (unsigned long long)n);
}

static void
json_text(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "\"%s\":", key);
	buf_add_json(out, slice_str(value));
}

static void
json_number(struct buf *out, const char *key, int64_t value)
{
	buf_addf(out, ",\"%s\":%lld", key, (long long)value);
}

static void
json_strings(
    struct buf *out, const char *key, const char *const *items, size_t count)
{
	buf_addf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		buf_add_json(out, slice_str(items[i]));
	}
	buf_add_byte(out, ']');
}

static void
member_fingerprint(const struct registry_member *member, char *text)
{
	const struct registry_key *sign, *decrypt, *curve;

	sign = registry_active_key(member, REGISTRY_SIGN);
	decrypt = registry_active_key(member, REGISTRY_DECRYPT);
	curve = registry_active_key(member, REGISTRY_CURVE);
	text[0] = '\0';
	if (sign != NULL && decrypt != NULL && curve != NULL)
		(void)keys_fingerprint(sign->public_key, decrypt->public_key,
		    curve->public_key, text);
}

static char *
domains_text(const struct registry_member *member)
{
	struct buf text;
	char *out;

	buf_init(&text, 64 * 1024);
	for (size_t i = 0; i < member->domain_count; i++)
		buf_addf(&text, "%s%s", i == 0 ? "" : ",", member->domains[i]);
	out = mem_strdup(buf_cstr(&text));
	buf_fini(&text);
	return out;
}

static void
member_json(struct buf *out, const struct registry_member *member,
    const struct target *target, const Galr__Payload *ack)
{
	char fingerprint[KEYS_FINGERPRINT_SIZE];

	member_fingerprint(member, fingerprint);
	buf_add_byte(out, '{');
	json_text(out, "name", member->name);
	json_strings(out, "domains", member->domains, member->domain_count);
	buf_addf(out, ",\"revoked\":%s", member->revoked ? "true" : "false");
	json_number(out, "joined_at", member->joined_at);
	json_number(out, "heard_at", target->heard_at);
	json_number(out, "acked_at", target->acked_at);
	json_number(out, "registry_version", (int64_t)target->registry_version);
	json_number(out, "applied", (int64_t)target->applied);
	json_number(out, "refused", (int64_t)target->refused);
	json_number(out, "resend_at", target->resend_at);
	json_strings(out, "wants",
	    ack == NULL ? NULL : (const char *const *)ack->wants,
	    ack == NULL ? 0 : ack->n_wants);
	json_strings(
	    out, "ended_streams", member->ended_streams, member->ended_count);
	buf_add_byte(out, ',');
	json_text(out, "hold", target->hold);
	buf_add_byte(out, ',');
	json_text(out, "fingerprint", fingerprint);
	buf_add_byte(out, '}');
}

static void
member_row(struct hub *hub, struct table *table,
    const struct registry_member *member, const struct target *target)
{
	table_add(table, mem_strdup(member->name));
	table_add(table, mem_strdup(member->revoked           ? "revoked"
				    : target->hold[0] != '\0' ? "held"
				    : target->heard_at == 0   ? "silent"
							      : "active"));
	table_add(table, domains_text(member));
	table_add(table, age_text(hub->now_ms, target->heard_at));
	table_add(
	    table, mem_strdup(target->registry_version >= hub->registry->version
				  ? "current"
				  : "behind"));
	table_add(table, number_text(target->applied));
	table_add(table, number_text(target->refused));
}

static int
invites_report(struct hub *hub, bool json, struct buf *out, struct err *err)
{
	struct target_invite *invites;
	char expiry[CLOCK_TEXT_SIZE];
	size_t count, n = 0;

	if (target_invites(hub->store, &invites, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (invites[i].state != INVITE_OPEN)
			continue;
		if (json) {
			buf_add_str(out, n == 0 ? "" : ",");
			buf_add_byte(out, '{');
			json_text(out, "name", invites[i].name);
			buf_add_byte(out, ',');
			json_text(out, "domains", invites[i].domains);
			json_number(out, "expires_at", invites[i].expires_at);
			buf_add_byte(out, '}');
		} else {
			buf_addf(out, "invited: %s (%s) until %s\n",
			    invites[i].name, invites[i].domains,
			    clock_format(invites[i].expires_at, expiry));
		}
		n++;
	}
	target_invites_free(invites, count);
	return 0;
}

static int
members_each(struct hub *hub, bool json, struct table *table, struct buf *out,
    struct err *err)
{
	struct arena *arena = arena_new(LIMIT_UNPACK_BYTES);
	int rc = 0;

	for (size_t i = 0; i < hub->registry->member_count && rc >= 0; i++) {
		const struct registry_member *m = &hub->registry->members[i];
		Galr__Payload *ack = NULL;
		struct target target;

		arena_reset(arena);
		rc = target_get(hub->store, m->name, &target, err);
		if (rc >= 0 && target.ack.len > 0)
			rc = payload_unpack(
			    buf_slice(&target.ack), arena, &ack, err);
		if (rc >= 0 && json) {
			buf_add_str(out, i == 0 ? "" : ",");
			member_json(out, m, &target, ack);
		} else if (rc >= 0) {
			member_row(hub, table, m, &target);
		}
		if (rc >= 0 && !json && target.hold[0] != '\0')
			buf_addf(out, "%s: %s\n", m->name, target.hold);
		target_fini(&target);
	}
	arena_free(arena);
	return rc < 0 ? -1 : 0;
}

int
report_members(struct hub *hub, bool json, struct buf *out, struct err *err)
{
	static const char *const heads[] = {"MEMBER", "STATE", "DOMAINS",
	    "HEARD", "REGISTRY", "CONTACTS", "REFUSED"};
	struct table table = {.columns = 7};
	struct buf notes;
	int rc;

	buf_init(&notes, REPORT_STATUS_MAX);
	for (size_t i = 0; i < 7 && !json; i++)
		table_add(&table, mem_strdup(heads[i]));
	if (json)
		buf_add_str(out, "{\"members\":[");
	rc = members_each(hub, json, &table, json ? out : &notes, err);
	table_print(&table, out);
	buf_add(out, buf_slice(&notes));
	if (json)
		buf_add_str(out, "],\"invitations\":[");
	if (rc == 0)
		rc = invites_report(hub, json, out, err);
	if (json)
		buf_add_str(out, "]}\n");
	buf_fini(&notes);
	return rc == 0 ? buf_check(out, "report", err) : -1;
}

/* By its source, or by us. */
static bool
stream_ended(struct hub *hub, const struct store_stream *row)
{
	const struct registry_member *member = hub_member(hub, row->member);

	return row->ended ||
	       (member != NULL && registry_stream_ended(member, row->stream));
}

static void
stream_json(struct hub *hub, struct buf *out, const struct store_stream *row)
{
	struct buf hex;

	buf_init(&hex, 2 * CRYPTO_HASH_LEN + 1);
	buf_add_hex(&hex, slice_make(row->root, CRYPTO_HASH_LEN));
	buf_add_byte(out, '{');
	json_text(out, "member", row->member);
	buf_add_byte(out, ',');
	json_text(out, "stream", row->stream);
	buf_add_byte(out, ',');
	json_text(out, "tag", row->tag);
	json_number(out, "version", (int64_t)row->version);
	json_number(out, "count", (int64_t)row->count);
	buf_add_byte(out, ',');
	json_text(out, "root", buf_cstr(&hex));
	json_number(out, "issued_at", row->issued_at);
	json_number(out, "not_after", row->not_after);
	json_number(out, "admitted_at", row->admitted_at);
	buf_addf(out, ",\"stale\":%s,\"ended\":%s",
	    row->not_after < hub->now_ms ? "true" : "false",
	    stream_ended(hub, row) ? "true" : "false");
	json_number(out, "foreign", (int64_t)row->foreign);
	json_number(out, "held_version", (int64_t)row->held_version);
	json_number(out, "held_foreign", (int64_t)row->held_foreign);
	buf_add_byte(out, ',');
	json_text(out, "refusal", row->refusal);
	buf_add_byte(out, '}');
	buf_fini(&hex);
}

static const char *
stream_state(struct hub *hub, const struct store_stream *row)
{
	if (hub_member(hub, row->member) == NULL)
		return "revoked";
	if (stream_ended(hub, row))
		return "ended";
	if (row->held_version != 0)
		return "held";
	if (row->refusal[0] != '\0')
		return "refused";
	if (row->version == 0)
		return "empty";
	return row->not_after < hub->now_ms ? "stale" : "current";
}

static void
stream_row(struct hub *hub, struct table *table, const struct store_stream *row)
{
	char time[CLOCK_TEXT_SIZE];

	table_add(table, mem_printf("%s/%s", row->member, row->stream));
	table_add(table, mem_strdup(row->tag));
	table_add(table, mem_strdup(stream_state(hub, row)));
	table_add(table, number_text(row->count));
	table_add(table, number_text(row->foreign));
	table_add(
	    table, mem_strdup(row->version == 0
				  ? "-"
				  : clock_format((int64_t)row->version, time)));
	table_add(table, age_text(hub->now_ms, row->issued_at));
}

int
report_streams(struct hub *hub, bool json, struct buf *out, struct err *err)
{
	static const char *const heads[] = {"STREAM", "TAG", "STATE", "OBJECTS",
	    "OUTSIDE", "VERSION", "SIGNED"};
	struct table table = {.columns = 7};
	struct store_stream *rows;
	size_t count;

	if (store_streams(hub->store, NULL, &rows, &count, err) < 0)
		return -1;
	if (json)
		buf_add_str(out, "{\"streams\":[");
	for (size_t i = 0; i < 7 && !json; i++)
		table_add(&table, mem_strdup(heads[i]));
	for (size_t i = 0; i < count; i++) {
		if (json) {
			buf_add_str(out, i == 0 ? "" : ",");
			stream_json(hub, out, &rows[i]);
		} else {
			stream_row(hub, &table, &rows[i]);
		}
	}
	if (json)
		buf_add_str(out, "]}\n");
	else
		table_print(&table, out);
	for (size_t i = 0; i < count && !json; i++) {
		if (rows[i].refusal[0] != '\0')
			buf_addf(out, "%s/%s: %s\n", rows[i].member,
			    rows[i].stream, rows[i].refusal);
		else if (rows[i].foreign > 0)
			buf_addf(out,
			    "%s/%s: targets leave out %llu objects with "
			    "addresses outside the domains of %s\n",
			    rows[i].member, rows[i].stream,
			    (unsigned long long)rows[i].foreign,
			    rows[i].member);
	}
	store_streams_free(rows, count);
	return buf_check(out, "report", err);
}

struct counters {
	struct buf *out;
	bool json;
	size_t count;
};

static void
counter_add(void *arg, const char *name, uint64_t value)
{
	struct counters *c = arg;

	if (c->json)
		buf_addf(c->out, "%s\"%s\":%llu", c->count == 0 ? "" : ",",
		    name, (unsigned long long)value);
	else
		buf_addf(
		    c->out, "  %-24s %llu\n", name, (unsigned long long)value);
	c->count++;
}

static bool
front_running(const struct hub *hub)
{
	char *path = hub_path(hub->conf, "serve.lock");
	struct err ignored = {0};
	bool running = false;
	int fd;

	if (access(path, F_OK) == 0) {
		fd = fsio_lock(path, &ignored);
		running = fd < 0;
		if (fd >= 0)
			close(fd);
	}
	free(path);
	return running;
}

static void
status_front_json(const struct hub *hub, struct buf *out)
{
	char *path = hub_path(hub->conf, "front/status.json");
	struct err ignored = {0};
	struct buf text;
	struct slice s;

	buf_init(&text, REPORT_STATUS_MAX);
	buf_add_str(out, ",\"front\":");
	if (fsio_read(path, &text, &ignored) == 0 && text.len > 1) {
		s = slice_trim(buf_slice(&text));
		buf_add(out, s);
	} else {
		buf_add_str(out, "null");
	}
	buf_fini(&text);
	free(path);
}

struct totals {
	size_t members, revoked, held, streams, refused;
	uint64_t objects, foreign;
};

static int
totals_count(struct hub *hub, struct totals *t, struct err *err)
{
	struct store_stream *rows;
	size_t count;

	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < hub->registry->member_count; i++) {
		const struct registry_member *m = &hub->registry->members[i];
		struct target target;

		if (m->revoked) {
			t->revoked++;
			continue;
		}
		t->members++;
		if (target_get(hub->store, m->name, &target, err) < 0)
			return -1;
		t->held += target.hold[0] != '\0';
		target_fini(&target);
	}
	if (store_streams(hub->store, NULL, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (hub_member(hub, rows[i].member) == NULL)
			continue;
		t->streams++;
		t->objects += rows[i].count;
		t->foreign += rows[i].foreign;
		t->refused += rows[i].refusal[0] != '\0';
	}
	store_streams_free(rows, count);
	return 0;
}

static void
status_json(struct hub *hub, const struct totals *t, const char *fingerprint,
    struct buf *out)
{
	char realm[ID_HEX_SIZE];

	buf_add_byte(out, '{');
	json_text(out, "realm", hub->registry->realm_name);
	buf_add_byte(out, ',');
	json_text(out, "realm_id", id_format(&hub->registry->realm, realm));
	buf_add_byte(out, ',');
	json_text(out, "fingerprint", fingerprint);
	buf_add_byte(out, ',');
	json_text(out, "listen", hub->conf->listen);
	buf_add_byte(out, ',');
	json_text(out, "address", hub->conf->address);
	buf_addf(out, ",\"serving\":%s", front_running(hub) ? "true" : "false");
	json_number(out, "registry_version", (int64_t)hub->registry->version);
	json_number(out, "members", (int64_t)t->members);
	json_number(out, "revoked", (int64_t)t->revoked);
	json_number(out, "held_members", (int64_t)t->held);
	json_number(out, "streams", (int64_t)t->streams);
	json_number(out, "refused_streams", (int64_t)t->refused);
	json_number(out, "objects", (int64_t)t->objects);
	json_number(out, "foreign", (int64_t)t->foreign);
	buf_add_str(out, ",\"counters\":{");
}

static void
status_text(struct hub *hub, const struct totals *t, const char *fingerprint,
    struct buf *out)
{
	buf_addf(out, "realm        %s\n", hub->registry->realm_name);
	buf_addf(out, "fingerprint  %s\n", fingerprint);
	buf_addf(out, "state        %s\n", hub->conf->state);
	buf_addf(out, "serving      %s on %s\n",
	    front_running(hub) ? "yes" : "no", hub->conf->listen);
	buf_addf(out, "registry     version %llu\n",
	    (unsigned long long)hub->registry->version);
	buf_addf(out, "members      %zu (%zu held, %zu revoked)\n", t->members,
	    t->held, t->revoked);
	buf_addf(out,
	    "streams      %zu (%zu refused or held), %llu objects, %llu "
	    "outside their domains\n",
	    t->streams, t->refused, (unsigned long long)t->objects,
	    (unsigned long long)t->foreign);
	buf_add_str(out, "what was refused or dropped, by check:\n");
}

int
report_status(struct hub *hub, bool json, struct buf *out, struct err *err)
{
	struct counters counters = {.out = out, .json = json};
	char fingerprint[KEYS_FINGERPRINT_SIZE];
	struct totals totals;

	member_fingerprint(&hub->registry->hub, fingerprint);
	if (totals_count(hub, &totals, err) < 0)
		return -1;
	if (json)
		status_json(hub, &totals, fingerprint, out);
	else
		status_text(hub, &totals, fingerprint, out);
	if (store_counters(hub->store, counter_add, &counters, err) < 0)
		return -1;
	if (json) {
		buf_add_byte(out, '}');
		status_front_json(hub, out);
		buf_add_str(out, "}\n");
	} else if (counters.count == 0) {
		buf_add_str(out, "  nothing\n");
	}
	return buf_check(out, "report", err);
}
