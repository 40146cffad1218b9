/* Sources that publish few names and addresses, so that they clash, and change
 * at random. One test includes it, behind plan_directory.h. */
#ifndef TESTS_PROPERTY_PLAN_SOURCE_H
#define TESTS_PROPERTY_PLAN_SOURCE_H

#include "tests/property/plan_directory.h"

struct source_object {
	bool live;
	char cn[64], mail[128], second[128], nickname[64];
};

static struct source_object objects[STREAMS][OBJECTS];
static const char *const members[STREAMS] = {"NORTH", "SOUTH", "SOUTH"};
static const char *const names[STREAMS] = {"staff", "staff", "extra"};
static struct replica *replicas[STREAMS];

static struct id
object_id(int stream, int i)
{
	struct id id = {{0}};

	/* The two streams of SOUTH share their object ids. */
	id.bytes[0] = (uint8_t)(stream == 0 ? 1 : 2);
	id.bytes[15] = (uint8_t)(i + 1);
	return id;
}

static void
publish_one(int s, int i, struct replica_intake *intake, struct buf *body)
{
	const struct source_object *o = &objects[s][i];
	struct err err = {0};
	struct arena *arena = arena_new(1 << 20);
	char first[160];
	char second[160];
	struct slice cn = slice_str(o->cn);
	struct slice mail = slice_str(o->mail);
	struct slice nick = slice_str(o->nickname);
	struct slice proxies[2];
	struct object_attribute list[] = {
	    {"cn", &cn, 1},
	    {"mail", &mail, 1},
	    {"mailNickname", &nick, 1},
	    {"proxyAddresses", proxies, o->second[0] == '\0' ? 1 : 2},
	};
	struct object object = {.kind = GALR__KIND__KIND_USER,
	    .source_dn = "CN=x,DC=src,DC=example",
	    .attributes = list,
	    .attribute_count = 4};
	struct id id = object_id(s, i);

	snprintf(first, sizeof(first), "SMTP:%s", o->mail);
	snprintf(second, sizeof(second), "smtp:%s", o->second);
	proxies[0] = slice_str(first);
	proxies[1] = slice_str(second);
	buf_reset(body);
	ok(object_encode(&object, arena, body, &err), &err);
	ok(replica_intake_put(intake, &id, buf_slice(body), &err), &err);
	arena_free(arena);
}

static void
publish(int s)
{
	struct err err = {0};
	struct replica_intake *intake = NULL;
	struct replica_changes changes;
	struct buf body;
	int i;

	buf_init(&body, LIMIT_OBJECT_BYTES);
	ok(replica_intake_begin(replicas[s], REPLICA_FULL, &intake, &err),
	    &err);
	for (i = 0; i < OBJECTS; i++)
		if (objects[s][i].live)
			publish_one(s, i, intake, &body);
	ok(replica_intake_finish(intake, 1000, false, &changes, &err), &err);
	buf_fini(&body);
}

/* Some give each other their addresses in a ring. */
static void
rotate_source(int s)
{
	struct source_object *first = NULL;
	struct source_object *last = NULL;
	char mail[sizeof(first->mail)];
	int i;

	for (i = 0; i < OBJECTS; i++) {
		struct source_object *o = &objects[s][i];

		if (!o->live || rnd(8) != 0)
			continue;
		if (last == NULL) {
			first = o;
			memcpy(mail, o->mail, sizeof(mail));
		} else {
			memcpy(last->mail, o->mail, sizeof(mail));
		}
		last = o;
	}
	if (first != last)
		memcpy(last->mail, mail, sizeof(mail));
}

static void
mutate_source(int s)
{
	int n = (int)rnd(6);

	if (rnd(3) == 0)
		rotate_source(s);
	while (n-- > 0) {
		struct source_object *o = &objects[s][rnd(OBJECTS)];

		if (o->live && rnd(3) == 0) {
			o->live = false;
			continue;
		}
		o->live = true;
		/* Few different names and addresses: clashes are the point. */
		snprintf(o->cn, sizeof(o->cn), "Person %u", rnd(8));
		snprintf(o->nickname, sizeof(o->nickname), "p%u", rnd(8));
		snprintf(o->mail, sizeof(o->mail), "p%u@%s", rnd(30),
		    rnd(10) == 0 ? "elsewhere.example" : domains[s]);
		o->second[0] = '\0';
		if (rnd(3) == 0)
			snprintf(o->second, sizeof(o->second), "p%u@%s",
			    rnd(30), domains[s]);
	}
}

#endif
