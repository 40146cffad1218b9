#include "common/ldap/stamp.h"

#include "common/ldap/dn.h"

const char *
stamp_attribute(const struct dialect *dialect)
{
	return dialect_kind(dialect) == DIALECT_OPENLDAP ? "entryCSN"
							 : "uSNChanged";
}

/* --- Active Directory: "INVOCATION:USN" --- */

/* Update sequence numbers are at most 2^63 - 1. */
static bool
usn_parse(struct slice text, uint64_t *out)
{
	uint64_t n = 0;

	if (text.len == 0 || text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	*out = n;
	return true;
}

/* A number means something on its own controller only, and nothing when that
 * one fell back behind it. */
enum stamp_answer
stamp_compare_usn(struct slice stamp, struct slice then, struct slice now)
{
	size_t colon = slice_find(then, ':');
	uint64_t usn, usn_then, usn_now;

	if (colon == SIZE_MAX || slice_find(now, ':') != colon ||
	    !slice_equal(slice_sub(then, 0, colon), slice_sub(now, 0, colon)) ||
	    !usn_parse(slice_sub(then, colon + 1, SIZE_MAX), &usn_then) ||
	    !usn_parse(slice_sub(now, colon + 1, SIZE_MAX), &usn_now) ||
	    !usn_parse(stamp, &usn) || usn_now < usn_then)
		return STAMP_UNKNOWN;
	return usn <= usn_then ? STAMP_BEFORE : STAMP_SINCE;
}

/* --- OpenLDAP: of each context its CSNs, each ended by a blank --- */

/* TIME#COUNT#SERVER#MODIFICATION, draft-ietf-ldup-model. */
static struct slice
csn_server(struct slice csn)
{
	for (int i = 0; i < 2; i++) {
		size_t hash = slice_find(csn, '#');

		if (hash == SIZE_MAX)
			return SLICE_NULL;
		csn = slice_sub(csn, hash + 1, SIZE_MAX);
	}
	return slice_sub(csn, 0, slice_find(csn, '#'));
}

static struct slice
csn_next(struct slice *mark)
{
	size_t end = slice_find(*mark, ' ');
	struct slice csn = slice_sub(*mark, 0, end);

	*mark =
	    end == SIZE_MAX ? SLICE_NULL : slice_sub(*mark, end + 1, SIZE_MAX);
	return csn;
}

/* The index of the context of an entry; SIZE_MAX: none. */
static size_t
context_of(const struct dialect *dialect, const char *dn)
{
	size_t count, found = SIZE_MAX;
	const char *const *names = dialect_contexts(dialect, &count);

	for (size_t i = 0; i < count; i++)
		if (dn_is_below(dn, names[i], true) &&
		    (found == SIZE_MAX ||
			strlen(names[i]) > strlen(names[found])))
			found = i;
	return found;
}

/* Those of one context come in the order of their servers, so that another one
 * begins where that falls back. What does not part so into as many contexts as
 * there are tells nothing. */
static struct slice
csn_find(
    struct slice mark, size_t context, size_t contexts, struct slice server)
{
	struct slice found = SLICE_NULL, last = SLICE_NULL;
	size_t index = 0;

	while (mark.len > 0) {
		struct slice csn = csn_next(&mark);
		struct slice from = csn_server(csn);

		if (last.len > 0 && slice_compare(from, last) <= 0)
			index++;
		if (index == context && slice_equal(from, server))
			found = csn;
		last = from;
	}
	return index + 1 == contexts ? found : SLICE_NULL;
}

enum stamp_answer
stamp_compare_csn(
    struct slice stamp, struct slice then, size_t context, size_t contexts)
{
	struct slice server = csn_server(stamp);
	struct slice csn;

	if (server.len == 0)
		return STAMP_UNKNOWN;
	csn = csn_find(then, context, contexts, server);
	if (csn.len != stamp.len)
		return STAMP_UNKNOWN;
	return slice_compare(stamp, csn) <= 0 ? STAMP_BEFORE : STAMP_SINCE;
}

enum stamp_answer
stamp_compare(const struct dialect *dialect, const struct search_entry *entry,
    struct slice then, struct slice now)
{
	struct slice stamp = search_first(entry, stamp_attribute(dialect));
	size_t contexts;

	if (stamp.len == 0 || then.len == 0 || now.len == 0)
		return STAMP_UNKNOWN;
	if (dialect_kind(dialect) != DIALECT_OPENLDAP)
		return stamp_compare_usn(stamp, then, now);
	/* A database that was put back has old stamps on what is new here. */
	if (dialect_mark_is_behind(dialect, now, then))
		return STAMP_UNKNOWN;
	(void)dialect_contexts(dialect, &contexts);
	return stamp_compare_csn(
	    stamp, then, context_of(dialect, entry->dn), contexts);
}
