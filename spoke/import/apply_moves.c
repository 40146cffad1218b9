/* The part of a plan in which addresses change hands (moves.h). */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/wire/limits.h"
#include "spoke/import/apply_internal.h"
#include "spoke/import/moves.h"

/* One change of a ring, and its contact as surveyed. In the arena. */
struct apply_member {
	struct importdb_change change;
	struct object stored;
	struct object written;
};

/* A row that must be there. */
static int
apply_there(int rc, const char *what, struct err *err)
{
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return err_set(err, ERR_INTERNAL, "a ring of changes lacks %s", what);
}

static int
apply_change(struct apply *apply, uint64_t seq, struct importdb_change *out,
    struct err *err)
{
	return apply_there(
	    importdb_plan_find(apply->db, seq, out, err), "a change", err);
}

static int
apply_member(struct apply *apply, uint64_t seq, struct apply_member *out,
    struct err *err)
{
	struct importdb_change *change = &out->change;
	struct importdb_entry entry;

	arena_reset(apply->arena);
	if (apply_change(apply, seq, change, err) != 0 ||
	    apply_there(importdb_entry_find(apply->db, change->member,
			    &change->object, &entry, err),
		"a contact", err) != 0)
		return -1;
	if (object_decode(arena_dup(apply->arena, entry.body), apply->arena,
		&out->stored, err) != 0)
		return -1;
	return object_decode(arena_dup(apply->arena, change->body),
	    apply->arena, &out->written, err);
}

/* A write beside the plan, answered before it returns. */
static int
apply_beside(struct apply *apply, const struct apply_member *member,
    const struct writer_attribute *attributes, size_t count, struct err *err)
{
	const struct writer_change out = {
	    .op = WRITER_MODIFY,
	    .dn = member->change.dn,
	    .attributes = attributes,
	    .attribute_count = count,
	    .cookie = member->change.seq | APPLY_BESIDE,
	};

	return writer_submit(apply->writer, &out, err) == 0
		   ? writer_barrier(apply->writer, err)
		   : -1;
}

/* What the first of the ring is without the address that the last waits for. */
static int
apply_ring_park(struct apply *apply, const struct moves_ring *ring,
    struct apply_member *out_member, struct writer_attribute **out_attributes,
    size_t *out_count, bool *out_bare, struct err *err)
{
	struct importdb_need need;

	if (apply_member(apply, ring->seqs[0], out_member, err) != 0 ||
	    apply_there(importdb_need_find(
			    apply->db, ring->seqs[ring->count - 1], &need, err),
		"what it waits for", err) != 0)
		return -1;
	return moves_park(&out_member->stored, need.address, apply->arena,
	    out_attributes, out_count, out_bare, err);
}

/* Parks one of the ring and makes it the first: rather one that keeps its
 * primary address, as another waits for a second one of it. */
static int
apply_ring_open(struct apply *apply, struct moves_ring *ring, struct err *err)
{
	struct apply_member member;
	struct writer_attribute *attributes = NULL;
	size_t count = 0;
	size_t turns;
	bool bare = true;

	for (turns = 0; bare && turns <= ring->count; turns++) {
		if (turns > 0)
			moves_ring_turn(ring);
		if (apply_ring_park(apply, ring, &member, &attributes, &count,
			&bare, err) != 0)
			return -1;
	}
	return apply_beside(apply, &member, attributes, count, err);
}

/* All but the first, the last first; then that one. *out_made: how many. */
static int
apply_ring_write(struct apply *apply, const struct moves_ring *ring,
    size_t *out_made, struct err *err)
{
	struct importdb_change change;

	for (*out_made = 0; *out_made < ring->count; (*out_made)++) {
		size_t index = ring->count - 1 - *out_made;

		arena_reset(apply->arena);
		if (apply_change(apply, ring->seqs[index], &change, err) != 0 ||
		    apply_submit(apply, &change, err) != 0 ||
		    writer_barrier(apply->writer, err) != 0)
			return -1;
		if (apply->refused)
			return 0;
	}
	return 0;
}

/* The former addresses for those that were written, the last one first, and at
 * last for the parked one. One that does not take them back keeps those before
 * it from theirs: the address is not free. */
static int
apply_ring_close(struct apply *apply, const struct moves_ring *ring,
    size_t made, struct err *err)
{
	struct apply_member member;
	struct writer_attribute *attributes;
	size_t count;
	size_t i;

	for (i = ring->count - made; i <= ring->count; i++) {
		if (apply_member(apply, ring->seqs[i % ring->count], &member,
			err) != 0 ||
		    moves_restore(&member.stored, &member.written, apply->arena,
			&attributes, &count, err) != 0 ||
		    apply_beside(apply, &member, attributes, count, err) != 0)
			return -1;
		if (apply->refused)
			return 0;
	}
	return 0;
}

static int
apply_ring_done(
    struct apply *apply, const struct moves_ring *ring, struct err *err)
{
	struct importdb_change change;
	size_t i;

	for (i = 0; i < ring->count; i++)
		if (apply_change(apply, ring->seqs[i], &change, err) != 0 ||
		    apply_done(apply, &change, err) != 0)
			return -1;
	return 0;
}

static int
apply_ring(struct apply *apply, struct moves_ring *ring, struct err *err)
{
	size_t made = 0;
	size_t refused = 0; /* index */
	int rc;

	log_debug("addresses change hands in a ring contacts=%zu", ring->count);
	apply->ring = true;
	rc = apply_ring_open(apply, ring, err);
	if (rc == 0 && !apply->refused) {
		rc = apply_ring_write(apply, ring, &made, err);
		if (rc == 0 && made == ring->count)
			rc = apply_ring_done(apply, ring, err);
		else if (rc == 0)
			rc = apply_ring_close(apply, ring, made, err);
		refused = ring->count - 1 - made;
	}
	apply->ring = false;
	if (rc != 0 || made == ring->count)
		return rc;
	/* The others wait for it, and what else waits for them. */
	if (importdb_need_give_up(apply->db, ring->seqs[refused], err) != 0)
		return -1;
	return moves_strand(apply->db, ring->seqs[refused], apply->result, err);
}

int
apply_moves(struct apply *apply, struct err *err)
{
	struct moves_ring ring;
	uint64_t sent;
	int rc;

	for (;;) {
		sent = apply->sent;
		if (apply_kind(apply, IMPORTDB_MODIFY, err) != 0)
			return -1;
		if (apply->sent > sent)
			continue;
		rc = moves_ring_find(apply->db, &ring, err);
		if (rc > 0 && apply_ring(apply, &ring, err) != 0)
			rc = -1;
		moves_ring_fini(&ring);
		if (rc <= 0)
			return rc;
	}
}
