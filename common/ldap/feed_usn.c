/*
 * uSNChanged: every write on a domain controller gets the next number there.
 *
 *   LIVE: (uSNChanged>=last+1) ── DELETED: the same below Deleted Objects
 *                              └─ SWEEP: every id, without the right to see it
 *
 * The number means nothing on another controller, or on one that was restored
 * (new invocationId): then everything is read. Microsoft, "Polling for Changes
 * Using USNChanged".
 */
#include "common/ldap/feed_impl.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/dialect_impl.h"

#define USN_ARENA_MAX ((size_t)1 << 20)

enum usn_phase { USN_LIVE, USN_DELETED, USN_SWEEP };

static const char *const usn_attributes[] = {"objectGUID", NULL};

int
feed_ad_identity(struct feed *feed, struct err *err)
{
	static const char *const names[] = {
	    "dsServiceName", "highestCommittedUSN", "vendorName", NULL};
	static const char *const invocation[] = {"invocationId", NULL};
	struct arena *arena = arena_new(USN_ARENA_MAX);
	struct search_entry root, service;
	struct slice id, name;
	char *dn = NULL;
	int rc;

	/* Asked again, not the dialect's: what counts is who answers now. */
	rc = search_read(feed->session, "", names, arena, &root, err);
	if (rc == 1) {
		feed->samba = slice_starts_case(
		    search_first(&root, "vendorName"), SLICE_LIT("Samba"));
		name = search_first(&root, "dsServiceName");
		dn = mem_strndup(
		    name.len == 0 ? "" : (const char *)name.data, name.len);
		rc = name.len == 0 ? 0
				   : search_read(feed->session, dn, invocation,
					 arena, &service, err);
	}
	if (rc == 1) {
		id = search_first(&service, "invocationId");
		buf_reset(&feed->identity);
		buf_add_hex(&feed->identity, id);
		if (id.len == 0 ||
		    !slice_u64(search_first(&root, "highestCommittedUSN"),
			&feed->highest))
			rc = 0;
	}
	free(dn);
	arena_free(arena);
	return rc != 0 ? rc
		       : feed_refuse(feed,
			     "the account cannot read highestCommittedUSN and "
			     "invocationId of the server");
}

/* The well-known GUID finds it in any language. */
char *
feed_ad_deleted_base(const struct feed *feed)
{
	return mem_printf(
	    "<WKGUID=18E2EA80684F11D2B9AA00C04F79F805,%s>", feed->base);
}

/* The container may be readable and what is in it not: only one that is seen
 * proves it. */
int
feed_ad_sees_deleted(struct feed *feed, struct err *err)
{
	char *base = feed_ad_deleted_base(feed);
	struct search_options options = {.base = base,
	    .scope = SEARCH_ONE,
	    .filter = "(isDeleted=TRUE)",
	    .attributes = usn_attributes,
	    .page_size = 1,
	    .show_deleted = true};
	struct search *search = NULL;
	struct search_entry entry;
	struct err cause = {0};
	int rc;

	rc = search_open(feed->session, &options, &search, &cause);
	if (rc == 0)
		rc = search_step(search, &entry, &cause);
	search_close(search);
	free(base);
	if (rc >= 0)
		return rc;
	/* No such object, or no right: not seen. */
	if (feed_code_refusal(cause.code))
		return 0;
	if (err != NULL)
		*err = cause;
	return -1;
}

static int
usn_search_open(
    struct feed *feed, const char *base, bool deleted, struct err *err)
{
	char *filter = mem_printf("(&(uSNChanged>=%llu)%s" FEED_AD_FILTER ")",
	    (unsigned long long)feed->since, deleted ? "(isDeleted=TRUE)" : "");
	struct search_options options = {.base = base,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = usn_attributes,
	    .page_size = FEED_PAGE,
	    .show_deleted = deleted};
	int rc;

	search_close(feed->search);
	feed->search = NULL;
	rc = search_open(feed->session, &options, &feed->search, err);
	free(filter);
	return rc;
}

int
feed_ad_sweep_open(struct feed *feed, struct err *err)
{
	struct search_options options = {.base = feed->base,
	    .scope = SEARCH_SUBTREE,
	    .filter = FEED_AD_FILTER,
	    .attributes = usn_attributes,
	    .page_size = FEED_PAGE};

	search_close(feed->search);
	feed->search = NULL;
	feed->gap = true;
	return search_open(feed->session, &options, &feed->search, err);
}

/* One entry of feed->search. What hides its id from the account was never
 * exported. */
static int
search_touched(struct feed *feed, struct feed_touched *out, struct err *err)
{
	struct search_entry entry;
	int rc;

	do
		rc = search_step(feed->search, &entry, err);
	while (rc == 1 && search_first(&entry, "objectGUID").len == 0);
	if (rc != 1)
		return rc;
	out->dn = entry.dn;
	if (dialect_entry_id(feed->dialect, &entry, &out->id, err) < 0)
		return -1;
	return 1;
}

int
feed_ad_sweep_step(struct feed *feed, struct feed_touched *out, struct err *err)
{
	out->event = FEED_PRESENT;
	return search_touched(feed, out, err);
}

int
feed_usn_begin(struct feed *feed, struct err *err)
{
	uint64_t last = 0;
	int rc = feed_ad_identity(feed, err);

	if (rc <= 0)
		return rc;
	buf_reset(&feed->position);
	buf_addf(&feed->position, "%llu", (unsigned long long)feed->highest);
	if (feed->old_position.len == 0)
		return feed_refuse(feed, "first reading");
	if (!slice_equal(
		buf_slice(&feed->identity), buf_slice(&feed->old_identity)))
		return feed_refuse(
		    feed, "another domain controller, or a restored one");
	if (!slice_u64(buf_slice(&feed->old_position), &last) ||
	    last > feed->highest)
		return feed_refuse(feed,
		    "the update sequence number went back: the domain "
		    "controller was restored");
	feed->since = last + 1;
	feed->phase = USN_LIVE;
	return usn_search_open(feed, feed->base, false, err) < 0 ? -1 : 1;
}

/* From the living to the deleted, or to everything. */
static int
usn_phase_next(struct feed *feed, struct err *err)
{
	int rc = feed_ad_sees_deleted(feed, err);
	char *base;

	if (rc < 0)
		return -1;
	if (rc == 0) {
		feed->phase = USN_SWEEP;
		return feed_ad_sweep_open(feed, err);
	}
	feed->phase = USN_DELETED;
	base = feed_ad_deleted_base(feed);
	rc = usn_search_open(feed, base, true, err);
	free(base);
	return rc;
}

int
feed_usn_step(struct feed *feed, struct feed_touched *out, struct err *err)
{
	int rc;

	/* Nothing at all was written. */
	if (feed->since > feed->highest)
		return 0;
	rc = search_touched(feed, out, err);
	if (rc == 0 && feed->phase == USN_LIVE) {
		if (usn_phase_next(feed, err) < 0)
			return -1;
		rc = search_touched(feed, out, err);
	}
	if (feed->phase == USN_DELETED)
		out->event = FEED_DELETED;
	if (feed->phase == USN_SWEEP)
		out->event = FEED_PRESENT;
	return rc;
}
