#include "common/ldap/group.h"

#include <ldap.h>

#include "common/base/mem.h"

#define GROUP_FILTER_MAX (64 * 1024)
#define GROUP_NAMES_AT_ONCE 1000
#define GROUP_FIRST_MEMBERS "member;range=0-1499"
#define SID_PREFIX 8 /* revision, count of sub-authorities, authority */

struct group_reading {
	const struct group_source *source;
	group_fn *fn;
	void *arg;
};

/* --- Active Directory --- */

/* Gives a member by its value. */
static int
member_give(const struct group_reading *r, const struct id *id,
    struct slice name, struct err *err)
{
	char *dn = mem_strndup((const char *)name.data, name.len);
	int rc = r->fn(r->arg, id, dn, err);

	free(dn);
	return rc;
}

static int
members_named(const struct group_reading *r, const struct search_entry *entry,
    struct err *err)
{
	const struct search_attribute *a = search_find(entry, "member");
	struct id id;

	for (size_t i = 0; a != NULL && i < a->value_count; i++) {
		if (!reference_id(r->source->dialect, a->values[i], &id))
			return err_set(err, ERR_BAD_DATA,
			    "a member came without its GUID");
		if (member_give(r, &id, reference_name(a->values[i]), err) < 0)
			return -1;
	}
	return 0;
}

/* Gives the recipients that a search finds. */
static int
members_found(const struct group_reading *r, struct session *session,
    const char *base, const char *filter, struct err *err)
{
	static const char *const names[] = {
	    "objectGUID", "entryUUID", "objectClass", NULL};
	struct search_options options = {.base = base,
	    .scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = names,
	    .page_size = r->source->page_size};
	struct search *search = NULL;
	struct search_entry entry;
	struct id id;
	int rc;

	if (search_open(session, &options, &search, err) < 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) == 1) {
		if (dialect_entry_kind(r->source->dialect, &entry) ==
		    GALR__KIND__KIND_UNSPECIFIED)
			continue;
		if (dialect_entry_id(r->source->dialect, &entry, &id, err) <
			0 ||
		    r->fn(r->arg, &id, entry.dn, err) < 0) {
			rc = -1;
			break;
		}
	}
	search_close(search);
	return rc;
}

/* Whoever has the group as primary is in none of its values. Only security
 * groups can be primary (MS-ADTS 3.1.1.4.5, MS-SAMR 3.1.1.8.2). */
static int
members_primary(const struct group_reading *r, struct session *session,
    const struct search_entry *entry, struct err *err)
{
	struct slice sid = search_first(entry, "objectSid");
	struct slice type = search_first(entry, "groupType");
	struct buf filter;
	const uint8_t *last;
	int rc;

	/* A set highest bit, so a negative number, is a security group. */
	if (type.len == 0 || type.data[0] != '-' || sid.len < SID_PREFIX + 4)
		return 0;
	last = sid.data + sid.len - 4;
	buf_init(&filter, GROUP_FILTER_MAX);
	buf_addf(&filter, "(&(objectCategory=person)(primaryGroupID=%u))",
	    (unsigned)last[0] | (unsigned)last[1] << 8 |
		(unsigned)last[2] << 16 | (unsigned)last[3] << 24);
	rc = members_found(
	    r, session, r->source->context, buf_cstr(&filter), err);
	buf_fini(&filter);
	return rc;
}

/* What says that the filter or its base is no good, and not the server. */
static bool
is_refusal(const struct err *err)
{
	switch (err->code) {
	case LDAP_FILTER_ERROR:
	case LDAP_PROTOCOL_ERROR:
	case LDAP_UNDEFINED_TYPE:
	case LDAP_INAPPROPRIATE_MATCHING:
	case LDAP_INVALID_SYNTAX:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_REFERRAL:
	case LDAP_UNWILLING_TO_PERFORM:
		return true;
	default:
		return false;
	}
}

static int
members_dynamic(const struct group_reading *r, const struct search_entry *entry,
    struct err *out_cause, struct err *err)
{
	struct slice filter = search_first(entry, "msExchDynamicDLFilter");
	struct slice base = search_first(entry, "msExchDynamicDLBaseDN");
	struct session *session;
	char *filter_text, *base_text;
	int rc;

	if (filter.len == 0) {
		(void)err_set(out_cause, ERR_BAD_DATA,
		    "it has no msExchDynamicDLFilter, or the account may not "
		    "read it");
		return 1;
	}
	base = reference_name(base);
	filter_text = mem_strndup((const char *)filter.data, filter.len);
	base_text = base.len == 0
			? mem_strdup(r->source->context)
			: mem_strndup((const char *)base.data, base.len);
	rc = r->source->session(r->source->arg, base_text, true, &session, err);
	if (rc == 0) {
		(void)err_set(out_cause, ERR_BAD_DATA,
		    "its base \"%s\" lies in no domain that is read",
		    base_text);
		rc = 1;
	} else if (rc == 1) {
		rc = members_found(r, session, base_text, filter_text, err);
	}
	if (rc < 0 && is_refusal(err)) {
		*out_cause = *err;
		*err = (struct err){.class = ERR_NONE};
		rc = 1;
	}
	free(filter_text);
	free(base_text);
	return rc;
}

/* --- OpenLDAP --- */

/* Names are all that the group has. */
static int
names_give(const struct group_reading *r, const struct slice *names,
    size_t count, struct err *err)
{
	struct reference_cache *cache = r->source->names;

	if (reference_cache_resolve(cache, names, count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct id *id = reference_cache_find(cache, names[i]);
		struct id none;

		reference_unresolved(names[i], &none);
		if (id != NULL && id_compare(id, &none) != 0 &&
		    member_give(r, id, reference_without_uid(names[i]), err) <
			0)
			return -1;
	}
	return 0;
}

static int
members_resolve(const struct group_reading *r, const struct search_entry *entry,
    const char *attribute, struct err *err)
{
	const struct search_attribute *a = search_find(entry, attribute);
	size_t n;

	for (size_t i = 0; a != NULL && i < a->value_count; i += n) {
		n = a->value_count - i;
		if (n > GROUP_NAMES_AT_ONCE)
			n = GROUP_NAMES_AT_ONCE;
		if (names_give(r, a->values + i, n, err) < 0)
			return -1;
	}
	return 0;
}

/* --- */

static int
entry_members(const struct group_reading *r, struct session *session,
    const struct search_entry *entry, struct err *out_cause, struct err *err)
{
	const struct dialect *dialect = r->source->dialect;

	switch (dialect_entry_kind(dialect, entry)) {
	case GALR__KIND__KIND_DYNAMIC_GROUP:
		return members_dynamic(r, entry, out_cause, err);
	case GALR__KIND__KIND_GROUP:
		break;
	default:
		return 0;
	}
	if (dialect_kind(dialect) == DIALECT_OPENLDAP)
		return members_resolve(r, entry, "member", err) < 0
			   ? -1
			   : members_resolve(r, entry, "uniqueMember", err);
	return members_named(r, entry, err) < 0
		   ? -1
		   : members_primary(r, session, entry, err);
}

static size_t
values_count(const struct search_entry *entry, const char *name)
{
	const struct search_attribute *a = search_find(entry, name);

	return a == NULL ? 0 : a->value_count;
}

static void
told_take(
    bool plain, const struct search_entry *entry, struct group_told *out_told)
{
	struct slice first =
	    search_first(entry, plain ? "entryCSN" : "uSNChanged");
	struct slice second = search_first(entry, "whenChanged");
	struct buf stamp;

	out_told->values = values_count(entry, "member");
	if (plain)
		out_told->values += values_count(entry, "uniqueMember");
	buf_init(&stamp, GROUP_STAMP_SIZE - 1);
	buf_add(&stamp, first);
	/* A number of one controller is nothing on another. */
	if (!plain) {
		buf_add_byte(&stamp, ' ');
		buf_add(&stamp, second);
	}
	if (first.len > 0 && !buf_failed(&stamp))
		(void)snprintf(out_told->stamp, sizeof(out_told->stamp), "%s",
		    buf_cstr(&stamp));
	buf_fini(&stamp);
}

int
group_read(const struct group_source *source, group_fn *fn, void *arg,
    struct group_told *out_told, struct err *err)
{
	static const char *const openldap[] = {
	    "objectClass", "member", "uniqueMember", "entryCSN", NULL};
	/* AD sends no more at once in any case. Asked for so, a server that
	 * would send all does not make one message of a large group. */
	static const char *const ad[] = {"objectClass", GROUP_FIRST_MEMBERS,
	    "objectSid", "groupType", "msExchDynamicDLFilter",
	    "msExchDynamicDLBaseDN", "uSNChanged", "whenChanged", NULL};
	const struct group_reading reading = {source, fn, arg};
	bool plain = dialect_kind(source->dialect) == DIALECT_OPENLDAP;
	struct search_options options = {.base = source->dn,
	    .scope = SEARCH_BASE,
	    .attributes = plain ? openldap : ad,
	    .extended_dn = !plain};
	struct search *search = NULL;
	struct search_entry entry;
	struct session *session;
	struct err cause = {0};
	int rc;

	memset(out_told, 0, sizeof(*out_told));
	rc = source->session(source->arg, source->dn, false, &session, err);
	if (rc <= 0)
		return rc;
	if (search_open(session, &options, &search, err) < 0)
		return -1;
	rc = search_step(search, &entry, &cause);
	if (rc == 1) {
		told_take(plain, &entry, out_told);
		rc = entry_members(
		    &reading, session, &entry, &out_told->cause, &cause);
	}
	search_close(search);
	/* It was there a moment ago: deleted or moved, which the next reading
	 * is told. */
	if (rc < 0 && cause.code == LDAP_NO_SUCH_OBJECT)
		return 0;
	if (rc < 0) {
		*err = cause;
		(void)err_prepend(err, "members of \"%s\"", source->dn);
	}
	return rc;
}

int
group_read_primary(const struct group_source *source,
    const struct search_entry *entry, group_fn *fn, void *arg, struct err *err)
{
	const struct group_reading reading = {source, fn, arg};
	struct session *session;
	int rc = source->session(source->arg, source->dn, false, &session, err);

	if (rc > 0)
		rc = members_primary(&reading, session, entry, err);
	return rc < 0 ? err_prepend(err, "members of \"%s\"", source->dn) : 0;
}
