#include "spoke/export/collect/cleared.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/wire/limits.h"
#include "common/wire/object.h"

/* Two bodies, decoded. */
#define CLEARED_ARENA_MAX ((size_t)64 << 20)
#define CLEARED_TYPE "msExchRecipientTypeDetails"

struct cleared {
	struct cleared_row **rows; /* ascending by name */
	size_t count;
	struct arena *arena;
};

struct cleared *
cleared_new(void)
{
	struct cleared *c = mem_calloc(1, sizeof(*c));

	c->arena = arena_new(CLEARED_ARENA_MAX);
	return c;
}

void
cleared_free(struct cleared *cleared)
{
	if (cleared == NULL)
		return;
	for (size_t i = 0; i < cleared->count; i++) {
		free((char *)cleared->rows[i]->name);
		free(cleared->rows[i]);
	}
	free(cleared->rows);
	arena_free(cleared->arena);
	free(cleared);
}

static struct cleared_row *
row_of(struct cleared *c, const char *name)
{
	size_t at = 0;

	while (at < c->count && strcmp(c->rows[at]->name, name) < 0)
		at++;
	if (at < c->count && strcmp(c->rows[at]->name, name) == 0)
		return c->rows[at];
	c->rows = mem_realloc(c->rows, (c->count + 1) * sizeof(*c->rows));
	memmove(
	    &c->rows[at + 1], &c->rows[at], (c->count - at) * sizeof(*c->rows));
	c->rows[at] = mem_calloc(1, sizeof(**c->rows));
	c->rows[at]->name = mem_strdup(name);
	c->count++;
	return c->rows[at];
}

static void
row_add(struct cleared *c, const char *name, const struct cleared_sample *who,
    bool all)
{
	struct cleared_row *row = row_of(c, name);
	uint8_t hash[CRYPTO_HASH_LEN];
	uint64_t random, at;

	row->lost += all;
	row->shrunk += !all;
	crypto_sha256(id_slice(&who->id), hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		row->digest[i] ^= hash[i];
	memcpy(&random, hash, sizeof(random));
	at = row->sample_count < CLEARED_SAMPLES
		 ? row->sample_count++
		 : random % (row->lost + row->shrunk);
	if (at < CLEARED_SAMPLES)
		row->samples[at] = *who;
}

/* Each of them among the others? Addresses are told apart without case. */
static bool
is_within(
    const struct object_attribute *few, const struct object_attribute *many)
{
	for (size_t i = 0; i < few->value_count; i++) {
		size_t k = 0;

		while (k < many->value_count &&
		       !slice_equal_case(few->values[i], many->values[k]))
			k++;
		if (k == many->value_count)
			return false;
	}
	return true;
}

/* Both are in the order of names. */
static void
attributes_take(struct cleared *c, const struct cleared_sample *who,
    const struct object *before, const struct object *now)
{
	size_t k = 0;

	for (size_t i = 0; i < before->attribute_count; i++) {
		const struct object_attribute *had = &before->attributes[i];
		const struct object_attribute *has;

		while (k < now->attribute_count &&
		       strcmp(now->attributes[k].name, had->name) < 0)
			k++;
		has = k < now->attribute_count &&
			      strcmp(now->attributes[k].name, had->name) == 0
			  ? &now->attributes[k]
			  : NULL;
		if (has == NULL || (has->value_count < had->value_count &&
				       is_within(has, had)))
			row_add(c, had->name, who, has == NULL);
	}
}

static bool
is_hiding(const struct object *object)
{
	return object->kind == GALR__KIND__KIND_GROUP &&
	       !object->references.has_members;
}

int
cleared_take(struct cleared *cleared, const struct id *id, struct slice before,
    struct slice now, struct err *err)
{
	struct cleared_sample who = {.id = *id};
	struct object old, new;

	arena_reset(cleared->arena);
	if (object_decode(before, cleared->arena, &old, err) < 0 ||
	    object_decode(now, cleared->arena, &new, err) < 0)
		return -1;
	attributes_take(cleared, &who, &old, &new);
	if (old.recipient_type != 0 && new.recipient_type == 0)
		row_add(cleared, CLEARED_TYPE, &who, true);
	if (is_hiding(&old) && !is_hiding(&new))
		row_add(cleared, CLEARED_HIDING, &who, true);
	if (old.references.manager != NULL && new.references.manager == NULL) {
		who.manager = *old.references.manager;
		row_add(cleared, CLEARED_MANAGER, &who, true);
	}
	return 0;
}

size_t
cleared_count(const struct cleared *cleared)
{
	return cleared->count;
}

struct cleared_row *
cleared_row(struct cleared *cleared, size_t index)
{
	return cleared->rows[index];
}

bool
cleared_has(const struct object *object, const char *name)
{
	if (strcmp(name, CLEARED_MANAGER) == 0)
		return object->references.manager != NULL;
	if (strcmp(name, CLEARED_TYPE) == 0)
		return object->recipient_type != 0;
	if (strcmp(name, CLEARED_HIDING) == 0)
		return is_hiding(object);
	return object_find(object, name) != NULL;
}

int
cleared_count_before(
    struct cleared *cleared, struct slice body, struct err *err)
{
	struct object object;

	arena_reset(cleared->arena);
	if (object_decode(body, cleared->arena, &object, err) < 0)
		return -1;
	for (size_t i = 0; i < cleared->count; i++)
		cleared->rows[i]->before +=
		    cleared_has(&object, cleared->rows[i]->name);
	return 0;
}
