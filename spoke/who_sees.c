/* S11: who receives an address from us. */
#include "spoke/report.h"

#include <unistd.h>
#include "common/base/log.h"
#include "common/replica/replica.h"
#include "spoke/address.h"
#include "spoke/spoke.h"

#define WHO_OUT_MAX (4 * 1024 * 1024)
#define WHO_ARENA_MAX (16 * 1024 * 1024)

struct who {
	struct spoke spoke;
	struct slice mail;
	struct arena *arena;
	struct buf out;
	bool json, any;
};

static int
replica_has(
    struct who *w, struct replica *replica, bool *out_has, struct err *err)
{
	struct replica_cursor *cursor = NULL;
	struct section_object row;
	int rc;

	*out_has = false;
	if (replica_cursor_open(replica, 0, &cursor, err) < 0)
		return -1;
	while (!*out_has && (rc = replica_cursor_next(cursor, &row, err)) > 0) {
		struct object object;

		arena_reset(w->arena);
		rc = object_decode(row.body, w->arena, &object, err);
		if (rc < 0)
			break;
		*out_has = object_has_mail(&object, w->mail);
	}
	replica_cursor_close(cursor);
	return *out_has ? 0 : rc;
}

static void
member_add(struct who *w, const char *name, bool first)
{
	if (!first)
		buf_add_str(&w->out, w->json ? "," : ", ");
	if (w->json)
		buf_add_json(&w->out, slice_str(name));
	else
		buf_add_str(&w->out, name);
}

static void
members_tell(struct who *w, const struct manifest *m)
{
	const struct registry *registry = w->spoke.registry;
	bool first = true;

	for (size_t i = 0; registry != NULL && i < registry->member_count;
	     i++) {
		const struct registry_member *member = &registry->members[i];

		if (member->revoked ||
		    registry_name_equal(
			member->name, w->spoke.identity.member) ||
		    !manifest_audience_has(m, member->name))
			continue;
		member_add(w, member->name, first);
		first = false;
	}
	if (w->json)
		buf_add_str(&w->out, "]}");
	else
		buf_add_str(&w->out, first ? "nobody\n" : "\n");
}

/* The groups are the policy's as it is now; the members were signed. policy:
 * NULL when it was taken out or renamed. */
static void
stream_tell(struct who *w, const char *name, const struct export_policy *policy,
    const struct manifest *m)
{
	size_t groups = policy == NULL ? 0 : policy->audience_group_count;

	if (w->json) {
		buf_addf(&w->out, "%s{\"stream\":", w->any ? "," : "");
		buf_add_json(&w->out, slice_str(name));
		buf_addf(&w->out,
		    ",\"policy\":%s,\"everybody\":%s,\"groups\":[",
		    policy != NULL ? "true" : "false",
		    m->audience_count == 0 ? "true" : "false");
		for (size_t i = 0; i < groups; i++)
			member_add(w, policy->audience_groups[i], i == 0);
		buf_add_str(&w->out, "],\"members\":[");
	} else {
		buf_addf(&w->out, "%s (%s%s", name,
		    m->audience_count == 0 ? "all members"
					   : "named members only",
		    policy == NULL ? ", no policy has that name now" : "");
		for (size_t i = 0; i < groups; i++)
			buf_addf(&w->out, "%s@%s", i == 0 ? ", by " : ", ",
			    policy->audience_groups[i]);
		buf_add_str(&w->out, "): ");
	}
	members_tell(w, m);
	w->any = true;
}

static int
stream_look(struct who *w, const char *name, struct err *err)
{
	struct replica *replica = NULL;
	struct manifest manifest;
	struct arena *arena = arena_new(WHO_ARENA_MAX);
	struct buf text;
	bool has = false;
	char *path;
	int rc;

	buf_init(&text, LIMIT_PAYLOAD_BYTES);
	path = store_stream_path(w->spoke.conf, NULL, name);
	/* It never ran. */
	if (access(path, F_OK) != 0) {
		rc = 0;
		goto out;
	}
	rc = replica_open(path, &replica, err);
	if (rc < 0)
		goto out;
	rc = replica_manifest(replica, &text, err);
	if (rc == 0 && text.len > 0 && w->spoke.registry != NULL)
		rc = replica_has(w, replica, &has, err);
	/* Ours by our own hand: its age does not matter. */
	if (rc == 0 && has)
		rc = manifest_open(buf_slice(&text), w->spoke.registry,
		    INT64_MAX / 2, arena, &manifest, err);
	if (rc == 0 && has)
		stream_tell(
		    w, name, spoke_conf_export(w->spoke.conf, name), &manifest);
out:
	buf_fini(&text);
	arena_free(arena);
	free(path);
	replica_close(replica);
	return rc;
}

/* A policy was taken out or renamed: others keep what it published, until the
 * hub ends the stream. */
static int
orphan_look(void *arg, const char *name, struct err *err)
{
	struct who *w = arg;
	const struct registry *registry = w->spoke.registry;
	const struct registry_member *me =
	    registry == NULL
		? NULL
		: registry_find(registry, w->spoke.identity.member);

	if (spoke_conf_export(w->spoke.conf, name) != NULL ||
	    (me != NULL && registry_stream_ended(me, name)))
		return 0;
	return stream_look(w, name, err);
}

int
report_who_sees(const struct spoke_conf *conf, const char *address, bool json)
{
	struct who w = {.mail = slice_trim(slice_str(address)), .json = json};
	struct err err = {0};
	int rc, code = EXIT_FAILED;

	if (!address_smtp_valid(w.mail)) {
		(void)fprintf(stderr,
		    "galspoke: \"%s\" is no mail address: write name@domain\n",
		    address);
		return EXIT_USAGE;
	}
	buf_init(&w.out, WHO_OUT_MAX);
	w.arena = arena_new(WHO_ARENA_MAX);
	rc = spoke_open(conf, &w.spoke, &err);
	for (size_t i = 0; rc == 0 && i < conf->export_count; i++)
		rc = stream_look(&w, conf->exports[i].name, &err);
	if (rc == 0)
		rc = store_own_list(w.spoke.store, orphan_look, &w, &err);
	if (rc < 0)
		log_err(&err, "no answer address=%s", address);
	else if (json)
		(void)printf("[%s]\n", buf_cstr(&w.out));
	else if (w.any)
		(void)fputs(buf_cstr(&w.out), stdout);
	else
		(void)fprintf(stderr,
		    "galspoke: %s is in none of our published streams: nobody "
		    "receives it\n",
		    address);
	if (rc == 0 && w.any)
		code = EXIT_DONE;
	spoke_close(&w.spoke);
	arena_free(w.arena);
	buf_fini(&w.out);
	return code;
}
