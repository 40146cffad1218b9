#include "spoke/import/moves.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "spoke/address.h"

/* Where addresses stand that move: the survey's claims. */
static const char *const moves_attributes[] = {
    "mail", "targetAddress", "proxyAddresses"};
#define MOVES_ATTRIBUTES                                                       \
	(sizeof(moves_attributes) / sizeof(moves_attributes[0]))

static int
moves_strand_one(struct importdb *db, const struct importdb_need *need,
    struct import_result *result, struct err *err)
{
	char reason[512];
	struct importdb_trouble trouble = {
	    .kind = "exists",
	    .member = need->member,
	    .object = need->object,
	    .reason = reason,
	};

	(void)snprintf(
	    reason, sizeof(reason), "its address is in use by %s", need->dn);
	result->exists++;
	if (importdb_trouble_put(db, &trouble, err) != 0)
		return -1;
	return importdb_need_give_up(db, need->seq, err);
}

int
moves_strand(struct importdb *db, uint64_t seq,
    struct import_result *out_result, struct err *err)
{
	struct importdb_need need;
	uint64_t *gone = mem_calloc(1, sizeof(*gone));
	size_t count = 1;
	int rc = 0;

	/* Who waits for one that leaves the plan leaves it as well. */
	gone[0] = seq;
	while (rc == 0 && count > 0) {
		rc = importdb_need_waiting(db, gone[count - 1], &need, err);
		if (rc == 0) {
			count--;
			continue;
		}
		if (rc < 0)
			break;
		gone = mem_realloc(gone, (count + 1) * sizeof(*gone));
		gone[count++] = need.seq;
		rc = moves_strand_one(db, &need, out_result, err);
	}
	free(gone);
	return rc;
}

int
moves_settle(
    struct importdb *db, struct import_result *out_result, struct err *err)
{
	struct importdb_need need;
	uint64_t after = 0;
	uint64_t seq;
	int rc = importdb_need_link(db, err);

	if (rc != 0)
		return -1;
	while ((rc = importdb_need_stuck(db, after, &need, err)) > 0) {
		after = need.row;
		seq = need.seq;
		if (moves_strand_one(db, &need, out_result, err) != 0 ||
		    moves_strand(db, seq, out_result, err) != 0)
			return -1;
	}
	return rc;
}

/* --- rings --- */

/* What the change waits for; class internal when it waits for nothing. */
static int
moves_next(
    struct importdb *db, uint64_t seq, uint64_t *out_holder, struct err *err)
{
	struct importdb_need need;
	int rc = importdb_need_find(db, seq, &need, err);

	if (rc == 0)
		return err_set(err, ERR_INTERNAL,
		    "a change of the plan waits for one that could be made");
	if (rc < 0)
		return -1;
	*out_holder = need.holder;
	return 0;
}

int
moves_ring_find(
    struct importdb *db, struct moves_ring *out_ring, struct err *err)
{
	struct importdb_need need;
	uint64_t first;
	uint64_t seq;
	uint64_t steps;
	int rc;

	*out_ring = (struct moves_ring){.count = 0};
	rc = importdb_need_find(db, 0, &need, err);
	if (rc <= 0)
		return rc;
	seq = need.seq;
	if (importdb_need_count(db, &steps, err) != 0)
		return -1;
	/* Each waits for one other: so many steps end inside a ring. */
	while (steps-- > 0)
		if (moves_next(db, seq, &seq, err) != 0)
			return -1;
	first = seq;
	do {
		out_ring->seqs = mem_realloc(out_ring->seqs,
		    (out_ring->count + 1) * sizeof(*out_ring->seqs));
		out_ring->seqs[out_ring->count++] = seq;
		if (moves_next(db, seq, &seq, err) != 0)
			return -1;
	} while (seq != first);
	return 1;
}

void
moves_ring_fini(struct moves_ring *ring)
{
	free(ring->seqs);
}

void
moves_ring_turn(struct moves_ring *ring)
{
	uint64_t first = ring->seqs[0];

	memmove(ring->seqs, ring->seqs + 1,
	    (ring->count - 1) * sizeof(*ring->seqs));
	ring->seqs[ring->count - 1] = first;
}

/* --- attributes --- */

static bool
moves_is(struct slice value, struct slice address, struct arena *arena)
{
	struct slice rest = value;

	switch (address_parse(value, &rest)) {
	case ADDRESS_SMTP_PRIMARY:
	case ADDRESS_SMTP:
	case ADDRESS_OTHER:
		break;
	case ADDRESS_X500:
	case ADDRESS_SIP:
		rest = value;
		break;
	}
	return slice_equal(address_fold(rest, arena), address);
}

static int
moves_without(const struct object_attribute *attribute, struct slice address,
    struct arena *arena, struct writer_attribute *out, struct err *err)
{
	struct slice *values =
	    arena_calloc(arena, attribute->value_count + 1, sizeof(*values));
	size_t i;

	if (values == NULL)
		return err_set(err, ERR_LIMIT, "the contact is too large");
	*out = (struct writer_attribute){
	    .name = attribute->name, .values = values};
	for (i = 0; i < attribute->value_count; i++)
		if (!moves_is(attribute->values[i], address, arena))
			values[out->value_count++] = attribute->values[i];
	return 0;
}

int
moves_park(const struct object *stored, struct slice address,
    struct arena *arena, struct writer_attribute **out_attributes,
    size_t *out_count, bool *out_bare, struct err *err)
{
	struct writer_attribute *list =
	    arena_calloc(arena, MOVES_ATTRIBUTES, sizeof(*list));
	size_t n = 0;
	size_t i;

	if (list == NULL)
		return err_set(err, ERR_LIMIT, "the contact is too large");
	*out_bare = false;
	for (i = 0; i < MOVES_ATTRIBUTES; i++) {
		const struct object_attribute *attribute =
		    object_find(stored, moves_attributes[i]);

		if (attribute == NULL)
			continue;
		if (moves_without(attribute, address, arena, &list[n], err) !=
		    0)
			return -1;
		if (list[n].value_count == attribute->value_count)
			continue;
		*out_bare = *out_bare || list[n].value_count == 0;
		n++;
	}
	*out_attributes = list;
	*out_count = n;
	return 0;
}

int
moves_restore(const struct object *stored, const struct object *written,
    struct arena *arena, struct writer_attribute **out_attributes,
    size_t *out_count, struct err *err)
{
	struct writer_attribute *list =
	    arena_calloc(arena, MOVES_ATTRIBUTES, sizeof(*list));
	size_t n = 0;
	size_t i;

	if (list == NULL)
		return err_set(err, ERR_LIMIT, "the contact is too large");
	for (i = 0; i < MOVES_ATTRIBUTES; i++) {
		const char *name = moves_attributes[i];
		const struct object_attribute *before =
		    object_find(stored, name);

		if (before != NULL)
			list[n++] = (struct writer_attribute){
			    name, before->values, before->value_count};
		else if (object_find(written, name) != NULL)
			list[n++] = (struct writer_attribute){.name = name};
	}
	*out_attributes = list;
	*out_count = n;
	return 0;
}
