/*
 * Was the server put back to an earlier state? slapd has no number that changes
 * then (Active Directory has the invocationId), and its context sequence number
 * passes ours with the first write after a restore: from there on syncrepl
 * tells only what came later, and what was lost stays. So the cookie names a
 * witness of the state that it stands for:
 *
 *   'm' id entryCSN   the entry written last: it must be there, as new as that
 *   'd' id ...        or else those deleted last: they must not be there
 *   (nothing)         neither is visible to the account: trusted
 */
#include "common/ldap/feed_impl.h"

#include "common/ldap/dialect_impl.h"

#define WITNESS_FILTER_MAX (64 * 1024)

static const char *const witness_attributes[] = {"entryUUID", "entryCSN", NULL};

/* The highest of "rid=...,csn=A;B". */
static struct slice
newest_csn(struct slice position)
{
	struct slice best = SLICE_NULL;
	size_t at = 0, end;

	while (
	    at + 4 < position.len && memcmp(position.data + at, "csn=", 4) != 0)
		at++;
	for (at += 4; at < position.len; at = end + 1) {
		struct slice one;

		for (end = at;
		     end < position.len && position.data[end] != ';' &&
		     position.data[end] != ',';
		     end++)
			;
		one = slice_sub(position, at, end - at);
		if (slice_compare(one, best) > 0)
			best = one;
		if (end < position.len && position.data[end] == ',')
			break;
	}
	return best;
}

/* The first entry that matches. 1, 0, -1; id and csn as far as they are
 * readable. */
static int
find(struct feed *feed, const char *filter, struct id *out_id,
    struct buf *out_csn, struct err *err)
{
	struct search_options options = {.base = feed->base,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = witness_attributes};
	struct search *search = NULL;
	struct search_entry entry;
	int rc = search_open(feed->session, &options, &search, err);

	if (rc == 0)
		rc = search_step(search, &entry, err);
	if (rc == 1) {
		buf_add(out_csn, search_first(&entry, "entryCSN"));
		if (dialect_entry_id(feed->dialect, &entry, out_id, err) < 0)
			rc = -1;
	}
	search_close(search);
	return rc;
}

void
feed_witness_deleted(struct feed *feed, const struct id *id)
{
	struct slice old = buf_slice(&feed->old_identity);

	if (feed->deleted_count < FEED_WITNESS_MAX)
		feed->deleted[feed->deleted_count] = *id;
	feed->deleted_count++;
	/* Known to be gone: not the server's loss. */
	if (old.len > ID_LEN && old.data[0] == 'm' &&
	    memcmp(old.data + 1, id->bytes, ID_LEN) == 0)
		buf_reset(&feed->old_identity);
}

int
feed_witness_check(struct feed *feed, struct err *err)
{
	struct slice old = buf_slice(&feed->old_identity);
	struct buf filter, csn;
	struct id id;
	int rc;

	if (old.len <= ID_LEN)
		return 1;
	buf_init(&filter, WITNESS_FILTER_MAX);
	buf_init(&csn, FEED_IDENTITY_MAX);
	buf_add_str(&filter, "(|");
	for (size_t at = 1; at + ID_LEN <= old.len; at += ID_LEN) {
		memcpy(id.bytes, old.data + at, ID_LEN);
		dialect_id_filter(feed->dialect, &id, &filter);
		if (old.data[0] == 'm')
			break;
	}
	buf_add_byte(&filter, ')');
	rc = find(feed, buf_cstr(&filter), &id, &csn, err);
	if (rc >= 0 && old.data[0] == 'd')
		rc = rc == 0;
	else if (rc == 1)
		rc = slice_compare(buf_slice(&csn),
			 slice_sub(old, 1 + ID_LEN, old.len - 1 - ID_LEN)) >= 0;
	buf_fini(&filter);
	buf_fini(&csn);
	return rc;
}

int
feed_witness_take(struct feed *feed, struct err *err)
{
	struct slice newest = newest_csn(buf_slice(&feed->position));
	struct buf filter, csn;
	struct id id;
	int rc = 0;

	buf_reset(&feed->identity);
	buf_init(&filter, WITNESS_FILTER_MAX);
	buf_init(&csn, FEED_IDENTITY_MAX);
	if (newest.len > 0) {
		buf_add_str(&filter, "(entryCSN>=");
		search_filter_escape(&filter, newest);
		buf_add_byte(&filter, ')');
		rc = find(feed, buf_cstr(&filter), &id, &csn, err);
	}
	if (rc == 1 && csn.len > 0) {
		buf_add_byte(&feed->identity, 'm');
		buf_add(&feed->identity, id_slice(&id));
		buf_add(&feed->identity, buf_slice(&csn));
	} else if (rc == 0 && feed->deleted_count > 0 &&
		   feed->deleted_count <= FEED_WITNESS_MAX) {
		buf_add_byte(&feed->identity, 'd');
		for (size_t i = 0; i < feed->deleted_count; i++)
			buf_add(&feed->identity, id_slice(&feed->deleted[i]));
	} else if (rc == 0) {
		/* An older one is better than none. */
		buf_add(&feed->identity, buf_slice(&feed->old_identity));
	}
	buf_fini(&filter);
	buf_fini(&csn);
	return rc < 0 ? -1 : buf_check(&feed->identity, "feed witness", err);
}
