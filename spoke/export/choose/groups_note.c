/*
 * What stays of a walk in the notes of the replica.
 *
 *   KEY of an entry of `from`, KEY/1, KEY/2 ... until one is missing or empty:
 *   17 bytes a member, its id and whether it was expanded, in the order of the
 *   ids, some thousand a note
 *   group:ID, the list of one group, of a dynamic one as its filter last found
 *   it: u32 values | u32 length of the stamp | stamp | 16 bytes a member
 *   groups-met: of each group that was met, its id | u32 length of the DN | DN
 *   groups-at: when these lists were read, Unix ms
 */
#include "spoke/export/choose/groups_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/reader.h"

#define NOTE_MAX ((size_t)256 << 20)
#define NOTE_MEMBER (ID_LEN + 1)
#define NOTE_MEMBERS 4096 /* in one note */
#define NOTE_KEY_SIZE 64
#define NOTE_WALKED "groups-at"
#define NOTE_MET "groups-met"

static int
note_read(const struct groups *groups, const char *key, size_t unit,
    struct buf *out, struct err *err)
{
	if (groups->options.replica == NULL)
		return 0;
	if (replica_note_get(groups->options.replica, key, out, err) < 0)
		return -1;
	if (out->len % unit != 0)
		return err_set(err, ERR_BAD_DATA,
		    "note %s of the replica is %zu bytes long", key, out->len);
	return 0;
}

static void
roll_key(const struct id *id, char key[NOTE_KEY_SIZE])
{
	char hex[ID_HEX_SIZE];

	(void)snprintf(key, NOTE_KEY_SIZE, "group:%s", id_format(id, hex));
}

static bool
roll_decode(struct slice note, struct groups_roll *out)
{
	struct reader r;
	struct slice stamp;
	struct id id;

	reader_init(&r, note);
	out->values = reader_u32be(&r);
	stamp = reader_take(&r, reader_u32be(&r));
	if (r.failed || stamp.len >= sizeof(out->stamp) ||
	    r.rest.len % ID_LEN != 0)
		return false;
	if (stamp.len > 0)
		memcpy(out->stamp, stamp.data, stamp.len);
	for (size_t i = 0; i < r.rest.len; i += ID_LEN) {
		memcpy(id.bytes, r.rest.data + i, ID_LEN);
		idlist_add(&out->ids, &id);
	}
	out->known = true;
	return true;
}

int
groups_roll_before(const struct groups *groups, const struct groups_node *node,
    struct groups_roll *out, struct err *err)
{
	char key[NOTE_KEY_SIZE];
	struct buf note;
	int rc;

	roll_key(&node->id, key);
	buf_init(&note, NOTE_MAX);
	rc = note_read(groups, key, 1, &note, err);
	if (rc == 0 && note.len > 0 && !roll_decode(buf_slice(&note), out))
		rc = err_set(err, ERR_BAD_DATA,
		    "note %s of the replica is damaged", key);
	buf_fini(&note);
	return rc;
}

int
groups_roll_set(struct groups *groups, size_t index,
    const struct groups_roll *roll, struct err *err)
{
	struct buf note;
	int rc;

	buf_init(&note, NOTE_MAX);
	buf_add_u32be(&note, roll->values);
	buf_add_u32be(&note, (uint32_t)strlen(roll->stamp));
	buf_add_str(&note, roll->stamp);
	buf_add(&note, slice_make(roll->ids.list, roll->ids.count * ID_LEN));
	rc = buf_check(&note, "members of a group", err);
	if (rc == 0)
		rc = groups_node_roll_set(groups, index, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
}

static int
roll_keep(struct groups *groups, const struct id *id, struct slice note,
    struct err *err)
{
	char key[NOTE_KEY_SIZE];

	roll_key(id, key);
	return replica_note_set(groups->options.replica, key, note, err);
}

int
groups_walked_before(
    const struct groups *groups, int64_t *out_ms, struct err *err)
{
	struct buf note;
	int rc;

	buf_init(&note, 64);
	rc = note_read(groups, NOTE_WALKED, 1, &note, err);
	*out_ms = rc < 0 ? 0 : strtoll(buf_cstr(&note), NULL, 10);
	buf_fini(&note);
	return rc;
}

/* --- the members of an entry of `from` --- */

/* They are read, or written, in the order of their ids. */
struct list {
	const struct groups *groups;
	const char *key;
	unsigned part;
	struct buf buf; /* one note */
	size_t at;
	/* Read: the next one, if any. */
	struct id id;
	bool expanded, there;
};

static void
list_init(struct list *l, const struct groups *groups, const char *key)
{
	*l = (struct list){.groups = groups, .key = key};
	buf_init(&l->buf, NOTE_MAX);
}

static void
part_key(const struct list *l, char key[NOTE_KEY_SIZE])
{
	if (l->part == 0)
		(void)snprintf(key, NOTE_KEY_SIZE, "%s", l->key);
	else
		(void)snprintf(key, NOTE_KEY_SIZE, "%s/%u", l->key, l->part);
}

static int
part_read(struct list *l, struct err *err)
{
	char key[NOTE_KEY_SIZE];

	part_key(l, key);
	l->part++;
	l->at = 0;
	buf_reset(&l->buf);
	return note_read(l->groups, key, NOTE_MEMBER, &l->buf, err);
}

/* To the next one. */
static int
list_read(struct list *l, struct err *err)
{
	l->there = false;
	if (l->at == l->buf.len && part_read(l, err) < 0)
		return -1;
	if (l->at == l->buf.len)
		return 0;
	memcpy(l->id.bytes, l->buf.data + l->at, ID_LEN);
	l->expanded = l->buf.data[l->at + ID_LEN] != 0;
	l->at += NOTE_MEMBER;
	l->there = true;
	return 0;
}

static int
part_write(struct list *l, struct err *err)
{
	char key[NOTE_KEY_SIZE];
	int rc;

	part_key(l, key);
	l->part++;
	rc = buf_check(&l->buf, key, err);
	/* One that stays costs nothing. */
	if (rc == 0)
		rc = replica_note_set(
		    l->groups->options.replica, key, buf_slice(&l->buf), err);
	buf_reset(&l->buf);
	return rc;
}

static int
member_write(void *arg, const struct groups_member *member, struct err *err)
{
	struct list *l = arg;

	buf_add(&l->buf, id_slice(&member->id));
	buf_add_byte(&l->buf, member->expanded);
	return l->buf.len < (size_t)NOTE_MEMBERS * NOTE_MEMBER
		   ? 0
		   : part_write(l, err);
}

/* What a longer list left. */
static int
rest_drop(struct list *l, struct err *err)
{
	struct buf rest;
	int rc = 0;

	buf_init(&rest, NOTE_MAX);
	for (bool there = true; rc == 0 && there;) {
		char key[NOTE_KEY_SIZE];

		part_key(l, key);
		buf_reset(&rest);
		rc = note_read(l->groups, key, 1, &rest, err);
		there = rest.len > 0;
		if (rc == 0 && there)
			rc = part_write(l, err);
	}
	buf_fini(&rest);
	return rc;
}

int
groups_keep(
    const struct groups *groups, size_t from, const char *key, struct err *err)
{
	struct list l;
	int rc;

	list_init(&l, groups, key);
	rc = groups_each(groups, from, member_write, &l, err);
	if (rc == 0 && l.buf.len > 0)
		rc = part_write(&l, err);
	if (rc == 0)
		rc = rest_drop(&l, err);
	buf_fini(&l.buf);
	return rc;
}

int
groups_before(const struct groups *groups, const char *key, size_t *out_count,
    struct err *err)
{
	struct list l;
	int rc;

	*out_count = 0;
	list_init(&l, groups, key);
	do {
		rc = part_read(&l, err);
		*out_count += l.buf.len / NOTE_MEMBER;
	} while (rc == 0 && l.buf.len > 0);
	buf_fini(&l.buf);
	return rc;
}

/* Then and now, side by side. */
struct comparison {
	struct list then;
	const struct groups_change *change;
};

static int
change_give(const struct comparison *c, const struct id *id, struct err *err)
{
	return c->change->fn(c->change->arg, id, err);
}

/* Those of then below this id, NULL: the rest, are members no more. */
static int
left_give(struct comparison *c, const struct id *below, struct err *err)
{
	while (c->then.there &&
	       (below == NULL || id_compare(&c->then.id, below) < 0))
		if (change_give(c, &c->then.id, err) < 0 ||
		    list_read(&c->then, err) < 0)
			return -1;
	return 0;
}

static int
member_compare(void *arg, const struct groups_member *member, struct err *err)
{
	struct comparison *c = arg;
	bool same;

	if (left_give(c, &member->id, err) < 0)
		return -1;
	same = c->then.there && id_compare(&c->then.id, &member->id) == 0;
	if (same) {
		bool expanded = c->then.expanded;

		if (list_read(&c->then, err) < 0)
			return -1;
		same = expanded == member->expanded;
	}
	/* No feed tells of those who are outside. */
	return same && !member->outside ? 0 : change_give(c, &member->id, err);
}

int
groups_changed(const struct groups *groups, size_t from, const char *key,
    const struct groups_change *change, struct err *err)
{
	struct comparison c = {.change = change};
	int rc;

	list_init(&c.then, groups, key);
	rc = list_read(&c.then, err);
	if (rc == 0)
		rc = groups_each(groups, from, member_compare, &c, err);
	if (rc == 0)
		rc = left_give(&c, NULL, err);
	buf_fini(&c.then.buf);
	return rc;
}

int
groups_met_before(
    const struct groups *groups, groups_met_fn *fn, void *arg, struct err *err)
{
	struct buf note;
	struct reader r;
	int rc;

	buf_init(&note, NOTE_MAX);
	rc = note_read(groups, NOTE_MET, 1, &note, err);
	reader_init(&r, buf_slice(&note));
	while (rc == 0 && r.rest.len > 0) {
		struct slice id = reader_take(&r, ID_LEN);
		struct slice dn = reader_take(&r, reader_u32be(&r));
		struct id one;
		char *text;

		if (r.failed || id_from_slice(id, &one, err) < 0) {
			rc = err_set(err, ERR_BAD_DATA,
			    "note %s of the replica is damaged", NOTE_MET);
			break;
		}
		text = mem_strndup((const char *)dn.data, dn.len);
		rc = fn(arg, &one, text, err);
		free(text);
	}
	buf_fini(&note);
	return rc;
}

static int
met_keep(struct groups *groups, struct err *err)
{
	struct groups_node node = {.dn = NULL};
	struct buf note;
	int rc = 0;

	buf_init(&note, NOTE_MAX);
	for (size_t i = 0; rc == 0 && i < groups->node_count; i++) {
		rc = groups_node_get(groups, i, &node, err);
		if (rc < 0)
			break;
		buf_add(&note, id_slice(&node.id));
		buf_add_u32be(&note, (uint32_t)strlen(node.dn));
		buf_add_str(&note, node.dn);
		free(node.dn);
	}
	if (rc == 0)
		rc = buf_check(&note, NOTE_MET, err);
	if (rc == 0)
		rc = replica_note_set(
		    groups->options.replica, NOTE_MET, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
}

int
groups_rolls_keep(struct groups *groups, struct err *err)
{
	char text[24];

	if (groups_node_rolls(groups, roll_keep, err) < 0 ||
	    met_keep(groups, err) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%lld", (long long)groups->began_ms);
	return replica_note_set(
	    groups->options.replica, NOTE_WALKED, slice_str(text), err);
}
