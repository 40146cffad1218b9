#include "spoke/import/import.h"
#include "spoke/report.h"

#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "spoke/front.h"
#include "spoke/join.h"
#include "spoke/pins.h"
#include "spoke/spoke.h"

#define REPORT_MAX (16 * 1024 * 1024)

struct report {
	const struct spoke_conf *conf;
	struct spoke spoke;
	struct buf out;
	bool json;
	int64_t now;
	bool first; /* of a JSON list */
};

static void
item(struct report *r)
{
	if (!r->first)
		buf_add_byte(&r->out, ',');
	r->first = false;
}

static void
key_text(struct report *r, const char *key, const char *value, bool comma)
{
	buf_addf(&r->out, "%s\"%s\":", comma ? "," : "", key);
	buf_add_json(&r->out, slice_str(value));
}

static const char *
age(struct report *r, int64_t at, char *text)
{
	return at == 0 ? "never" : clock_format_age(r->now - at, text);
}

static int
policy_report(struct report *r, const char *name, const char *kind,
    bool enabled, struct err *err)
{
	struct store_run run;
	char text[CLOCK_TEXT_SIZE];

	if (store_run_get(r->spoke.store, name, &run, err) < 0)
		return -1;
	if (r->json) {
		item(r);
		buf_add_byte(&r->out, '{');
		key_text(r, "policy", name, false);
		key_text(r, "kind", kind, true);
		buf_addf(&r->out,
		    ",\"enabled\":%s,\"started_at\":%lld,\"ended_at\":%lld,"
		    "\"exit\":%d",
		    enabled ? "true" : "false", (long long)run.started_at,
		    (long long)run.ended_at, run.code);
		key_text(r, "text", run.text, true);
		buf_add_byte(&r->out, '}');
		return 0;
	}
	buf_addf(&r->out, "%s %s%s: ", kind, name, enabled ? "" : " (off)");
	if (run.ended_at == 0)
		buf_add_str(&r->out, "never ran\n");
	else
		buf_addf(&r->out, "%s ago, exit %d: %s\n",
		    age(r, run.ended_at, text), run.code, run.text);
	return 0;
}

/* What a person can do something about; the others are counted by the run. */
#define REPORT_NOTES_MAX 20

struct noter {
	struct report *report;
	unsigned count;
};

static int
note_report(void *arg, const struct import_note *note, struct err *err)
{
	struct noter *n = arg;
	struct report *r = n->report;
	char hex[ID_HEX_SIZE];

	(void)err;
	if (strcmp(note->kind, "quarantined") != 0 &&
	    strcmp(note->kind, "detached") != 0)
		return 0;
	if (++n->count > REPORT_NOTES_MAX)
		return 0;
	(void)id_format(&note->object, hex);
	if (!r->json) {
		buf_addf(&r->out, "  %s: object %s of %s: %s\n", note->kind,
		    hex, note->member, note->reason);
		return 0;
	}
	item(r);
	buf_add_byte(&r->out, '{');
	key_text(r, "kind", note->kind, false);
	key_text(r, "member", note->member, true);
	key_text(r, "object", hex, true);
	key_text(r, "reason", note->reason, true);
	buf_add_byte(&r->out, '}');
	return 0;
}

static int
notes_report(
    struct report *r, const struct import_policy *policy, struct err *err)
{
	struct noter noter = {.report = r};
	bool first = r->first;

	if (r->json) {
		/* Within the object of the policy. */
		buf_truncate(&r->out, r->out.len - 1);
		buf_add_str(&r->out, ",\"notes\":[");
	}
	r->first = true;
	if (import_notes(r->conf, policy, note_report, &noter, err) < 0)
		return -1;
	r->first = first;
	if (r->json)
		buf_addf(&r->out, "],\"notes_total\":%u}", noter.count);
	else if (noter.count > REPORT_NOTES_MAX)
		buf_addf(
		    &r->out, "  and %u more\n", noter.count - REPORT_NOTES_MAX);
	return 0;
}

static int
policies_report(struct report *r, struct err *err)
{
	const struct spoke_conf *c = r->conf;

	if (r->json)
		buf_add_str(&r->out, ",\"policies\":[");
	r->first = true;
	for (size_t i = 0; i < c->export_count; i++)
		if (policy_report(r, c->exports[i].name, "export",
			c->exports[i].enabled, err) < 0)
			return -1;
	for (size_t i = 0; i < c->import_count; i++)
		if (policy_report(r, c->imports[i].name, "import",
			c->imports[i].enabled, err) < 0 ||
		    notes_report(r, &c->imports[i], err) < 0)
			return -1;
	if (r->json)
		buf_add_byte(&r->out, ']');
	return 0;
}

static int
own_report(struct report *r, const char *policy, struct err *err)
{
	struct store_own own;

	if (store_own_get(r->spoke.store, policy, &own, err) < 0)
		return -1;
	if (r->json) {
		item(r);
		buf_add_byte(&r->out, '{');
		key_text(r, "stream", policy, false);
		buf_addf(&r->out,
		    ",\"pending_version\":%llu,\"hub_version\":%llu,"
		    "\"hub_issued_at\":%lld",
		    (unsigned long long)(own.sequence == 0 ? 0 : own.version),
		    (unsigned long long)own.hub_version,
		    (long long)own.hub_issued_at);
		key_text(r, "refusal", own.hub_refusal, true);
		buf_addf(&r->out, ",\"policy\":%s}",
		    spoke_conf_export(r->conf, policy) != NULL ? "true"
							       : "false");
		return 0;
	}
	if (own.hub_version == 0 && own.sequence == 0)
		return 0;
	buf_addf(&r->out, "stream %s: the hub has version %llu%s%s%s\n", policy,
	    (unsigned long long)own.hub_version,
	    own.sequence != 0 ? ", a newer one is on its way" : "",
	    own.hub_refusal[0] != '\0' ? ", refused: " : "", own.hub_refusal);
	return 0;
}

/* A policy was taken out or renamed: what it published stays with others. */
static int
orphan_report(void *arg, const char *policy, struct err *err)
{
	struct report *r = arg;
	const struct registry_member *me =
	    r->spoke.registry == NULL
		? NULL
		: registry_find(r->spoke.registry, r->spoke.identity.member);

	if (spoke_conf_export(r->conf, policy) != NULL)
		return 0;
	if (own_report(r, policy, err) < 0)
		return -1;
	if (r->json)
		return 0;
	if (me != NULL && registry_stream_ended(me, policy))
		buf_addf(&r->out, "  the hub ended it\n");
	else
		buf_addf(&r->out,
		    "  no export policy has that name now: others keep what it "
		    "published; galhub end %s/%s at the hub ends it\n",
		    r->spoke.identity.member, policy);
	return 0;
}

static int
stream_report(struct report *r, const struct store_stream *s, struct err *err)
{
	struct spoke *spoke = &r->spoke;
	char reason[PINS_REASON_MAX];
	char text[CLOCK_TEXT_SIZE];
	bool stale = s->not_after != 0 && s->not_after < r->now;
	int good = 0;

	reason[0] = '\0';
	if (spoke->registry != NULL)
		good = pins_stream_good(spoke->store, spoke->registry,
		    s->member, s->stream, reason, err);
	if (good < 0)
		return -1;
	if (r->json) {
		item(r);
		buf_add_byte(&r->out, '{');
		key_text(r, "member", s->member, false);
		key_text(r, "stream", s->stream, true);
		key_text(r, "tag", s->tag, true);
		buf_addf(&r->out,
		    ",\"version\":%llu,\"objects\":%llu,\"issued_at\":%lld,"
		    "\"not_after\":%lld,\"stale\":%s,\"ended\":%s",
		    (unsigned long long)s->version,
		    (unsigned long long)s->count, (long long)s->issued_at,
		    (long long)s->not_after, stale ? "true" : "false",
		    s->ended ? "true" : "false");
		key_text(r, "held", reason, true);
		key_text(r, "refusal", s->refusal, true);
		buf_add_byte(&r->out, '}');
		return 0;
	}
	buf_addf(&r->out,
	    "from %s: %s, %llu objects, said %s ago%s%s%s%s%s%s\n", s->member,
	    s->tag[0] != '\0' ? s->tag : s->stream,
	    (unsigned long long)s->count, age(r, s->issued_at, text),
	    stale ? ", STALE" : "", s->ended ? ", ended by its source" : "",
	    reason[0] != '\0' ? ", HELD: " : "", reason,
	    s->refusal[0] != '\0' ? ", refused: " : "", s->refusal);
	return 0;
}

static int
streams_report(struct report *r, struct err *err)
{
	struct store_stream *list;
	size_t count;
	int rc = 0;

	if (r->json)
		buf_add_str(&r->out, ",\"own_streams\":[");
	r->first = true;
	for (size_t i = 0; i < r->conf->export_count; i++)
		if (own_report(r, r->conf->exports[i].name, err) < 0)
			return -1;
	if (store_own_list(r->spoke.store, orphan_report, r, err) < 0)
		return -1;
	if (store_streams_list(r->spoke.store, &list, &count, err) < 0)
		return -1;
	if (r->json)
		buf_add_str(&r->out, "],\"streams\":[");
	r->first = true;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = stream_report(r, &list[i], err);
	free(list);
	if (r->json)
		buf_add_byte(&r->out, ']');
	return rc;
}

static int
counter_report(void *arg, const char *name, uint64_t value, struct err *err)
{
	struct report *r = arg;

	(void)err;
	if (r->json) {
		item(r);
		buf_add_json(&r->out, slice_str(name));
		buf_addf(&r->out, ":%llu", (unsigned long long)value);
	} else {
		buf_addf(&r->out, "refused so far for %s: %llu\n", name,
		    (unsigned long long)value);
	}
	return 0;
}

static int
out_count(struct spoke *s, unsigned *out, struct err *err)
{
	struct spool_message message;
	char after[SPOOL_NAME_SIZE] = "";
	int rc;

	*out = 0;
	while ((rc = spool_next(s->spool, SPOKE_PEER, SPOOL_OUT,
		    after[0] == '\0' ? NULL : after, &message, err)) > 0) {
		memcpy(after, message.name, sizeof(after));
		spool_message_fini(&message);
		++*out;
	}
	return rc;
}

static int
status_fill(struct report *r, struct err *err)
{
	struct spoke *s = &r->spoke;
	const struct identity *id = &s->identity;
	const char *realm = s->registry == NULL ? "" : s->registry->realm_name;
	bool serving = front_running(r->conf);
	char trouble[FRONT_TROUBLE_SIZE];
	unsigned waiting;
	char hex[ID_HEX_SIZE];

	if (out_count(s, &waiting, err) < 0)
		return -1;
	if (r->json) {
		buf_add_byte(&r->out, '{');
		key_text(r, "member", id->member, false);
		key_text(r, "realm", id_format(&id->realm, hex), true);
		key_text(r, "realm_name", realm, true);
		key_text(r, "hub", id->address, true);
		buf_addf(&r->out,
		    ",\"registry_version\":%llu,\"serving\":%s,\"connected\":%"
		    "s,"
		    "\"waiting\":%u",
		    s->registry == NULL
			? 0
			: (unsigned long long)s->registry->version,
		    serving ? "true" : "false",
		    serving && front_connected(r->conf, trouble) ? "true"
								 : "false",
		    waiting);
	} else {
		buf_addf(&r->out, "%s in realm %s, hub %s, %s\n", id->member,
		    realm, id->address,
		    serving ? "served" : "not served (galspoke serve)");
		if (serving && !front_connected(r->conf, trouble))
			buf_addf(
			    &r->out, "the hub is not reached: %s\n", trouble);
		if (waiting > 0)
			buf_addf(
			    &r->out, "%u messages wait for the hub\n", waiting);
	}
	if (policies_report(r, err) < 0 || streams_report(r, err) < 0)
		return -1;
	if (r->json)
		buf_add_str(&r->out, ",\"refused\":{");
	r->first = true;
	if (store_counters(s->store, counter_report, r, err) < 0)
		return -1;
	if (r->json)
		buf_add_str(&r->out, "}}\n");
	return 0;
}

typedef int report_fn(struct report *r, struct err *err);

static int
report_run(const struct spoke_conf *conf, bool json, report_fn *fn)
{
	struct report r = {.conf = conf, .json = json, .now = clock_now_ms()};
	struct err err = {0};
	int code = EXIT_DONE;

	buf_init(&r.out, REPORT_MAX);
	if (spoke_open(conf, &r.spoke, &err) < 0 || fn(&r, &err) < 0 ||
	    buf_check(&r.out, "report", &err) < 0) {
		log_err(&err, "no report");
		code = EXIT_FAILED;
	} else {
		(void)fputs(buf_cstr(&r.out), stdout);
	}
	spoke_close(&r.spoke);
	buf_fini(&r.out);
	return code;
}

int
report_status(const struct spoke_conf *conf, bool json)
{
	return report_run(conf, json, status_fill);
}

static void
key_report(struct report *r, const char *what, const struct key_pair *key)
{
	char hex[ID_HEX_SIZE];

	if (!key->present)
		return;
	if (r->json) {
		item(r);
		buf_add_byte(&r->out, '{');
		key_text(r, "use", what, false);
		key_text(r, "id", id_format(&key->id, hex), true);
		buf_add_str(&r->out, ",\"public\":\"");
		buf_add_hex(&r->out, slice_make(key->public_key, 32));
		buf_add_str(&r->out, "\"}");
		return;
	}
	buf_addf(&r->out, "%-18s %s\n", what, id_format(&key->id, hex));
}

int
report_keys(const struct spoke_conf *conf, bool json)
{
	struct report r = {.conf = conf, .json = json, .first = true};
	char *path = spoke_conf_state_path(conf, "keys");
	char text[KEYS_FINGERPRINT_SIZE];
	struct identity identity;
	struct keys keys = {0};
	struct err err = {0};
	int code = EXIT_FAILED;

	buf_init(&r.out, REPORT_MAX);
	if (identity_load(conf, &identity, &err) < 0 || crypto_init(&err) < 0 ||
	    keys_load(path, &keys, &err) < 0) {
		log_err(&err, "no keys");
		goto out;
	}
	(void)join_fingerprint(&keys, text);
	if (json) {
		buf_add_byte(&r.out, '{');
		key_text(&r, "fingerprint", text, false);
		key_text(&r, "member", identity.member, true);
		buf_add_str(&r.out, ",\"keys\":[");
	} else {
		buf_addf(&r.out, "fingerprint        %s\n", text);
	}
	key_report(&r, "signing", &keys.sign_active);
	key_report(&r, "signing, next", &keys.sign_next);
	key_report(&r, "decryption", &keys.decrypt_active);
	key_report(&r, "decryption, former", &keys.decrypt_previous);
	key_report(&r, "live link", &keys.curve);
	if (json)
		buf_add_str(&r.out, "]}\n");
	(void)fputs(buf_cstr(&r.out), stdout);
	code = EXIT_DONE;
out:
	keys_cleanse(&keys);
	buf_fini(&r.out);
	free(path);
	return code;
}

static void
member_text(
    struct report *r, const struct registry_member *m, const char *reason)
{
	buf_addf(&r->out, "%s: ", m->name);
	for (size_t i = 0; i < m->domain_count; i++)
		buf_addf(&r->out, "%s%s", i > 0 ? ", " : "", m->domains[i]);
	if (m->domain_count == 0)
		buf_add_str(&r->out, "no domains");
	if (reason[0] != '\0')
		buf_addf(&r->out,
		    "; HELD: %s (to believe the hub: galspoke members "
		    "--release %s)",
		    reason, m->name);
	buf_add_byte(&r->out, '\n');
}

static void
member_json(
    struct report *r, const struct registry_member *m, const char *reason)
{
	char hex[ID_HEX_SIZE];
	bool first = true;

	item(r);
	buf_add_byte(&r->out, '{');
	key_text(r, "member", m->name, false);
	key_text(r, "held", reason, true);
	buf_addf(&r->out, ",\"revoked\":%s,\"domains\":[",
	    m->revoked ? "true" : "false");
	for (size_t i = 0; i < m->domain_count; i++) {
		if (i > 0)
			buf_add_byte(&r->out, ',');
		buf_add_json(&r->out, slice_str(m->domains[i]));
	}
	buf_add_str(&r->out, "],\"signing_keys\":[");
	for (size_t i = 0; i < m->key_count; i++) {
		if (m->keys[i].role != REGISTRY_SIGN)
			continue;
		buf_addf(&r->out, "%s\"%s\"", first ? "" : ",",
		    id_format(&m->keys[i].id, hex));
		first = false;
	}
	buf_add_str(&r->out, "]}");
}

static int
members_fill(struct report *r, struct err *err)
{
	const struct registry *registry = r->spoke.registry;

	r->first = true;
	if (r->json)
		buf_add_byte(&r->out, '[');
	for (size_t i = 0; registry != NULL && i < registry->member_count;
	     i++) {
		const struct registry_member *m = &registry->members[i];
		char reason[PINS_REASON_MAX];
		int good =
		    pins_good(r->spoke.store, registry, m->name, reason, err);

		if (good < 0)
			return -1;
		if (r->json)
			member_json(r, m, reason);
		else
			member_text(r, m, reason);
	}
	if (r->json)
		buf_add_str(&r->out, "]\n");
	return 0;
}

int
report_members(const struct spoke_conf *conf, bool json)
{
	return report_run(conf, json, members_fill);
}

int
report_members_release(const struct spoke_conf *conf, const char *member)
{
	struct spoke spoke = {0};
	struct err err = {0};
	int code = EXIT_FAILED;

	if (spoke_open(conf, &spoke, &err) < 0)
		goto out;
	if (spoke.registry == NULL) {
		(void)err_set(&err, ERR_CONFIG, "there is no registry yet");
		goto out;
	}
	if (pins_release(spoke.store, spoke.registry, member, &err) == 0) {
		(void)printf("%s: released; its keys and domains are pinned as "
			     "the hub states them now\n",
		    member);
		code = EXIT_DONE;
	}
out:
	if (code != EXIT_DONE)
		log_err(&err, "not released: member %s", member);
	spoke_close(&spoke);
	return code;
}
