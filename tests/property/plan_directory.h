/* A directory that lives in memory: entries of ours and of local people, read
 * as a survey does, changed as a plan says. One test includes it. */
#ifndef TESTS_PROPERTY_PLAN_DIRECTORY_H
#define TESTS_PROPERTY_PLAN_DIRECTORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "spoke/address.h"
#include "spoke/import/guard.h"
#include "spoke/import/plan.h"
#include "spoke/import/views.h"

#define INTO "OU=Partners,DC=here,DC=example"
#define STAFF "OU=Staff,DC=here,DC=example"
#define ENTRIES 600
#define OBJECTS 40
#define STREAMS 3
#define ROUNDS 60

struct entry {
	bool live, ours;
	struct id id, object;
	char dn[512], member[16];
	char mail[128]; /* of those that are not ours */
	uint8_t body[8192];
	size_t body_len;
};

static struct entry entries[ENTRIES];
static unsigned long seed;
static uint64_t next_entry_id = 1;
static const char *const domains[STREAMS] = {
    "north.example", "south.example", "south.example"};

static unsigned
rnd(unsigned n)
{
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(seed >> 33) % n;
}

static void
ok(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->message);
}

static struct entry *
entry_new(void)
{
	int i;
	int k;

	for (i = 0; i < ENTRIES && entries[i].live; i++)
		;
	assert_true(i < ENTRIES);
	memset(&entries[i], 0, sizeof(entries[i]));
	entries[i].live = true;
	for (k = 0; k < 8; k++)
		entries[i].id.bytes[k] =
		    (uint8_t)(next_entry_id * 0x9e3779b97f4a7c15UL >> (8 * k));
	next_entry_id++;
	return &entries[i];
}

static struct entry *
entry_by_dn(const char *dn)
{
	int i;

	for (i = 0; i < ENTRIES; i++)
		if (entries[i].live && dn_equal(entries[i].dn, dn))
			return &entries[i];
	return NULL;
}

static void
local_takes_address(void)
{
	struct entry *e = entry_new();

	snprintf(e->dn, sizeof(e->dn), "CN=Local %u,%s",
	    (unsigned)next_entry_id, rnd(2) ? STAFF : INTO);
	snprintf(
	    e->mail, sizeof(e->mail), "P%u@%s", rnd(30), domains[rnd(STREAMS)]);
}

static void
local_mutate(void)
{
	struct entry *e = &entries[rnd(ENTRIES / 8)];
	struct entry *copy;
	struct id id;

	switch (rnd(8)) {
	case 0:
		local_takes_address();
		break;
	case 1:
		e->live = false;
		break;
	case 2: /* moved by hand */
		if (e->live)
			snprintf(e->dn, sizeof(e->dn), "CN=Moved %u,%s",
			    rnd(1000000), rnd(2) ? STAFF : "OU=Sub," INTO);
		break;
	case 3: /* copied by hand */
		if (!e->live || !e->ours)
			break;
		copy = entry_new();
		id = copy->id;
		*copy = *e;
		copy->id = id;
		snprintf(copy->dn, sizeof(copy->dn), "CN=Copy %u," INTO,
		    rnd(1000000));
		break;
	default:
		break;
	}
}

static void
survey_ours(struct importdb *db, const struct entry *e,
    const struct importdb_claim *claim, struct arena *arena)
{
	struct err err = {0};
	struct importdb_entry row = {.entry = e->id,
	    .dn = e->dn,
	    .inside = claim->inside,
	    .member = e->member,
	    .object = e->object,
	    .body = slice_make(e->body, e->body_len)};
	struct object object = {0};
	const struct object_attribute *proxies;
	size_t i;

	ok(importdb_entry_put(db, &row, &err), &err);
	ok(object_decode(row.body, arena, &object, &err), &err);
	proxies = object_find(&object, "proxyAddresses");
	for (i = 0; proxies != NULL && i < proxies->value_count; i++) {
		struct slice rest;

		address_parse(proxies->values[i], &rest);
		ok(importdb_claim_put(
		       db, address_fold(rest, arena), claim, &err),
		    &err);
	}
	ok(importdb_name_put(db, IMPORTDB_NICKNAME, "",
	       object_first(&object, "mailNickname"), &e->id, &err),
	    &err);
}

static void
survey_one(struct importdb *db, const struct entry *e, struct arena *arena)
{
	struct err err = {0};
	struct importdb_claim claim = {.entry = e->id,
	    .ours = e->ours,
	    .inside = e->ours && dn_is_below(e->dn, INTO, false),
	    .member = e->member,
	    .object = e->object,
	    .dn = e->dn};
	struct buf text;
	struct buf parent;

	buf_init(&text, 1024);
	buf_init(&parent, 1024);
	ok(dn_normalize(dn_parent(e->dn), &parent, &err), &err);
	ok(dn_rdn_value(e->dn, &text, &err), &err);
	ok(importdb_name_put(db, IMPORTDB_CN, buf_cstr(&parent),
	       buf_slice(&text), &e->id, &err),
	    &err);
	buf_fini(&parent);
	buf_fini(&text);
	if (e->ours)
		survey_ours(db, e, &claim, arena);
	else
		ok(importdb_claim_put(db,
		       address_fold(slice_str(e->mail), arena), &claim, &err),
		    &err);
}

static void
survey(struct importdb *db)
{
	struct err err = {0};
	struct arena *arena = arena_new(1 << 22);
	int i;

	ok(importdb_survey_clear(db, &err), &err);
	for (i = 0; i < ENTRIES; i++) {
		arena_reset(arena);
		if (entries[i].live)
			survey_one(db, &entries[i], arena);
	}
	arena_free(arena);
}

static int
identity_map(const void *arg, const struct object *contact, struct arena *arena,
    struct writer_attribute **out_attributes, size_t *out_count,
    struct err *err)
{
	size_t i;

	(void)arg;
	(void)err;
	*out_attributes = arena_calloc(
	    arena, contact->attribute_count, sizeof(**out_attributes));
	for (i = 0; i < contact->attribute_count; i++)
		(*out_attributes)[i] = (struct writer_attribute){
		    contact->attributes[i].name, contact->attributes[i].values,
		    contact->attributes[i].value_count};
	*out_count = contact->attribute_count;
	return 0;
}

static bool
set_equal(const void *arg, const char *name, const struct slice *a,
    size_t a_count, const struct slice *b, size_t b_count)
{
	size_t i;
	size_t k;

	(void)arg;
	(void)name;
	for (i = 0; i < a_count; i++) {
		for (k = 0; k < b_count && !slice_equal(a[i], b[k]); k++)
			;
		if (k == b_count)
			return false;
	}
	return a_count == b_count;
}

static const struct plan_schema schema = {.nicknames = true,
    .rdn_attribute = "cn",
    .map = identity_map,
    .equal = set_equal};

static void
apply_add(const struct importdb_change *change)
{
	struct entry *e = entry_new();

	e->ours = true;
	snprintf(e->dn, sizeof(e->dn), "%s", change->dn);
	snprintf(e->member, sizeof(e->member), "%s", change->member);
	e->object = change->object;
	assert_true(change->body.len <= sizeof(e->body));
	e->body_len = change->body.len;
	memcpy(e->body, change->body.data, change->body.len);
}

static void
apply_modify(struct entry *e, const struct importdb_change *change)
{
	struct err err = {0};
	struct arena *arena = arena_new(1 << 20);
	struct object stored = {0};
	struct object delta = {0};
	struct object_attribute merged[256];
	struct object out = {.kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = merged};
	struct buf body;
	size_t i;

	ok(object_decode(
	       slice_make(e->body, e->body_len), arena, &stored, &err),
	    &err);
	ok(object_decode(change->body, arena, &delta, &err), &err);
	for (i = 0; i < stored.attribute_count; i++)
		if (object_find(&delta, stored.attributes[i].name) == NULL &&
		    strstr(change->cleared, stored.attributes[i].name) == NULL)
			merged[out.attribute_count++] = stored.attributes[i];
	for (i = 0; i < delta.attribute_count; i++)
		merged[out.attribute_count++] = delta.attributes[i];
	buf_init(&body, sizeof(e->body));
	ok(object_encode(&out, arena, &body, &err), &err);
	e->body_len = body.len;
	memcpy(e->body, body.data, body.len);
	buf_fini(&body);
	arena_free(arena);
}

static void
apply_rename(struct entry *e, const struct importdb_change *change)
{
	char dn[512];
	struct entry *there;

	snprintf(dn, sizeof(dn), "%s,%s", change->new_rdn, dn_parent(e->dn));
	there = entry_by_dn(dn);
	assert_true(there == NULL || there == e);
	snprintf(e->dn, sizeof(e->dn), "%s", dn);
}

#endif
