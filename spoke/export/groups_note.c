/*
 * What stays of a walk in the notes of the replica.
 *
 *   KEY of an entry of `from`: 17 bytes a member, its id and whether it was
 *   expanded, in the order of the ids
 *   group:ID, the list of one group, of a dynamic one as its filter last found
 *   it: u32 values | u32 length of the stamp | stamp | 16 bytes a member
 *   groups-at: when these lists were read, Unix ms
 */
#include "spoke/export/groups_internal.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/reader.h"

#define NOTE_MAX ((size_t)256 << 20)
#define NOTE_MEMBER (ID_LEN + 1)
#define NOTE_KEY_SIZE 64
#define NOTE_WALKED "groups-at"

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

/* Writes only what differs: a note may be long. */
static int
note_write(const struct groups *groups, const char *key, struct slice value,
    struct err *err)
{
	struct buf before;
	int rc;

	buf_init(&before, NOTE_MAX);
	rc = note_read(groups, key, 1, &before, err);
	if (rc == 0 && !slice_equal(buf_slice(&before), value))
		rc = replica_note_set(groups->options.replica, key, value, err);
	buf_fini(&before);
	return rc;
}

static void
roll_key(const struct groups_node *node, char key[NOTE_KEY_SIZE])
{
	char hex[ID_HEX_SIZE];

	(void)snprintf(
	    key, NOTE_KEY_SIZE, "group:%s", id_format(&node->id, hex));
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
		collect_ids_add(&out->ids, &id);
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

	roll_key(node, key);
	buf_init(&note, NOTE_MAX);
	rc = note_read(groups, key, 1, &note, err);
	if (rc == 0 && note.len > 0 && !roll_decode(buf_slice(&note), out))
		rc = err_set(err, ERR_BAD_DATA,
		    "note %s of the replica is damaged", key);
	buf_fini(&note);
	return rc;
}

static int
roll_keep(
    struct groups *groups, const struct groups_node *node, struct err *err)
{
	const struct groups_roll *roll = &node->roll;
	char key[NOTE_KEY_SIZE];
	struct buf note;
	int rc;

	roll_key(node, key);
	buf_init(&note, NOTE_MAX);
	buf_add_u32be(&note, roll->values);
	buf_add_u32be(&note, (uint32_t)strlen(roll->stamp));
	buf_add_str(&note, roll->stamp);
	buf_add(&note, slice_make(roll->ids.list, roll->ids.count * ID_LEN));
	rc = buf_check(&note, key, err);
	if (rc == 0)
		rc = replica_note_set(
		    groups->options.replica, key, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
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

int
groups_changed(const struct groups *groups, size_t from, const char *key,
    struct collect_ids *out, size_t *out_before, struct err *err)
{
	struct buf note;
	size_t count, now = 0, at = 0;
	const struct groups_member *list = groups_list(groups, from, &count);

	buf_init(&note, NOTE_MAX);
	if (note_read(groups, key, NOTE_MEMBER, &note, err) < 0) {
		buf_fini(&note);
		return -1;
	}
	*out_before = note.len / NOTE_MEMBER;
	/* No feed tells of those. */
	for (size_t i = 0; i < count; i++)
		if (list[i].outside)
			collect_ids_add(out, &list[i].id);
	while (now < count || at < note.len) {
		struct id id = {{0}};
		int order = now == count ? 1 : -1;

		if (at < note.len)
			memcpy(id.bytes, note.data + at, ID_LEN);
		if (now < count && at < note.len)
			order = id_compare(&list[now].id, &id);
		if (order < 0)
			collect_ids_add(out, &list[now].id);
		else if (order > 0 ||
			 list[now].expanded != (note.data[at + ID_LEN] != 0))
			collect_ids_add(out, &id);
		now += order <= 0;
		at += order >= 0 ? NOTE_MEMBER : 0;
	}
	buf_fini(&note);
	return 0;
}

int
groups_keep(
    const struct groups *groups, size_t from, const char *key, struct err *err)
{
	struct buf note;
	size_t count;
	const struct groups_member *list = groups_list(groups, from, &count);
	int rc;

	buf_init(&note, NOTE_MAX);
	for (size_t i = 0; i < count; i++) {
		buf_add(&note, id_slice(&list[i].id));
		buf_add_byte(&note, list[i].expanded);
	}
	rc = buf_check(&note, key, err);
	if (rc == 0)
		rc = note_write(groups, key, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
}

int
groups_rolls_keep(struct groups *groups, struct err *err)
{
	char text[24];

	for (size_t i = 0; i < groups->node_count; i++)
		if (groups->nodes[i].roll.known &&
		    roll_keep(groups, &groups->nodes[i], err) < 0)
			return -1;
	(void)snprintf(text, sizeof(text), "%lld", (long long)groups->began_ms);
	return replica_note_set(
	    groups->options.replica, NOTE_WALKED, slice_str(text), err);
}
