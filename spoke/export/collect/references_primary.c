/*
 * On Active Directory a group does not name those who have it as their primary
 * group: each of them has the number of the group, the last part of its SID, in
 * primaryGroupID (MS-ADTS 6.1.1.4.1). They are its members nevertheless.
 *
 * Whoever gets another primary group leaves the list of the new one for it and
 * enters that of the old one, so that both groups are touched. Only who is made
 * anew has one that nobody touched: that group is read again.
 */
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/group.h"
#include "spoke/export/collect/references.h"
#include "spoke/export/collect/references_internal.h"

#define PRIMARY_FILTER_MAX 1024
/* MS-DTYP 2.4.2: 15 sub-authorities at most. */
#define PRIMARY_SID_MAX 68

/* A group to be read again; in r->primary, each once. */
struct primary {
	uint8_t sid[PRIMARY_SID_MAX];
	uint32_t len;
	uint32_t context; /* of the forest */
};
_Static_assert(sizeof(struct primary) == PRIMARY_SID_MAX + 8, "no padding");

/* group_session_fn. */
static int
session_find(void *arg, const char *dn, bool below,
    struct session **out_session, struct err *err)
{
	struct forest *forest = arg;
	const struct forest_context *context;
	size_t at = forest_find(forest, dn);

	(void)below;
	if (at == FOREST_NONE)
		return 0;
	if (forest_context(forest, at, &context, err) < 0)
		return -1;
	*out_session = context->session;
	return 1;
}

static int
member_take(void *arg, const struct id *id, const char *dn, struct err *err)
{
	(void)dn;
	(void)err;
	idlist_add(arg, id);
	return 0;
}

int
references_primary_read(struct forest *forest, unsigned page_size,
    const struct search_entry *entry, struct idlist *out, struct err *err)
{
	size_t at = forest_find(forest, entry->dn);
	const struct group_source source = {.dialect = forest_dialect(forest),
	    .dn = entry->dn,
	    .context = at == FOREST_NONE ? "" : forest_dn(forest, at),
	    .page_size = page_size,
	    .session = session_find,
	    .arg = forest};

	if (!reference_is_extended(source.dialect))
		return 0;
	return group_read_primary(&source, entry, member_take, out, err);
}

/* The group's SID is that of its member with another last part, little-endian.
 * false: it has none. */
static bool
primary_find(
    struct collector *c, const struct search_entry *entry, struct primary *out)
{
	struct slice sid = search_first(entry, "objectSid");
	struct slice number = search_first(entry, "primaryGroupID");
	size_t context = forest_find(c->forest, entry->dn);
	uint32_t rid = 0;

	if (context == FOREST_NONE || sid.len < 12 ||
	    sid.len > PRIMARY_SID_MAX || number.len == 0)
		return false;
	for (size_t i = 0; i < number.len; i++) {
		if (number.data[i] < '0' || number.data[i] > '9')
			return false;
		rid = rid * 10 + (uint32_t)(number.data[i] - '0');
	}
	*out = (struct primary){
	    .context = (uint32_t)context, .len = (uint32_t)sid.len};
	memcpy(out->sid, sid.data, sid.len);
	for (size_t i = 0; i < 4; i++)
		out->sid[sid.len - 4 + i] = (uint8_t)(rid >> 8 * i);
	return true;
}

int
references_primary_note(struct collector *c, const struct id *id,
    const struct search_entry *entry, struct err *err)
{
	struct references *r = c->references;
	struct slice known = buf_slice(&r->primary);
	struct primary p;
	int rc;

	if (r->cache != NULL || !r->memberships || c->intake == NULL ||
	    c->result->whole || !primary_find(c, entry, &p))
		return 0;
	rc = replica_holds(c->replica, id, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	for (size_t i = 0; i < known.len; i += sizeof(p))
		if (memcmp(known.data + i, &p, sizeof(p)) == 0)
			return 0;
	buf_add(&r->primary, slice_make(&p, sizeof(p)));
	return buf_check(&r->primary, "primary groups", err);
}

/* 1, 0 it is not there, -1. */
static int
group_find(struct collector *c, const struct primary *p, struct id *out_id,
    struct err *err)
{
	static const char *const names[] = {"objectGUID", NULL};
	const struct forest_context *context;
	struct search_options options = {
	    .scope = SEARCH_SUBTREE, .attributes = names};
	struct search *search = NULL;
	struct search_entry entry;
	struct buf filter;
	int rc = -1;

	buf_init(&filter, PRIMARY_FILTER_MAX);
	buf_add_str(&filter, "(objectSid=");
	search_filter_escape(&filter, slice_make(p->sid, p->len));
	buf_add_byte(&filter, ')');
	options.filter = buf_cstr(&filter);
	if (forest_context(c->forest, p->context, &context, err) < 0)
		goto out;
	options.base = context->dn;
	if (buf_check(&filter, "filter", err) < 0 ||
	    search_open(context->session, &options, &search, err) < 0)
		goto out;
	rc = search_step(search, &entry, err);
	if (rc == 1 && dialect_entry_id(c->dialect, &entry, out_id, err) < 0)
		rc = -1;
out:
	search_close(search);
	buf_fini(&filter);
	return rc;
}

int
references_primary_settle(
    struct collector *c, const struct idlist *touched, struct err *err)
{
	struct buf *primary = &c->references->primary;
	struct primary p;
	struct id id;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < primary->len; i += sizeof(p)) {
		memcpy(&p, primary->data + i, sizeof(p));
		rc = group_find(c, &p, &id, err);
		if (rc <= 0 || idlist_find(touched, &id) != SIZE_MAX)
			continue;
		rc = replica_intake_has(c->intake, &id, err);
		if (rc > 0)
			rc = idlist_take(c, &id, 1, err);
	}
	buf_reset(primary);
	return rc < 0 ? -1 : 0;
}
