/* Filters that people's words become (RFC 4515): nothing is pasted. */
#include "common/ldap/dialect_impl.h"

#include "common/base/buf.h"

struct kind_filter {
	unsigned kind;
	const char *ad, *openldap;
};

/* Computers are users too, but of another objectCategory. */
static const struct kind_filter kind_filters[] = {
    {DIALECT_FIND_USER, "(&(objectCategory=person)(objectClass=user))",
	"(objectClass=inetOrgPerson)"},
    {DIALECT_FIND_CONTACT, "(&(objectCategory=person)(objectClass=contact))",
	NULL},
    {DIALECT_FIND_GROUP, "(objectCategory=group)",
	"(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))"},
    {DIALECT_FIND_DYNAMIC_GROUP, "(objectClass=msExchDynamicDistributionList)",
	NULL},
    {DIALECT_FIND_PUBLIC_FOLDER, "(objectClass=publicFolder)", NULL},
    {DIALECT_FIND_CONTAINER, "(objectClass=container)",
	"(objectClass=organization)"},
    {DIALECT_FIND_OU, "(objectClass=organizationalUnit)",
	"(objectClass=organizationalUnit)"},
};
#define KIND_FILTERS (sizeof(kind_filters) / sizeof(kind_filters[0]))

static bool
kind_exists(const struct dialect *dialect, unsigned kind)
{
	if (kind == DIALECT_FIND_DYNAMIC_GROUP ||
	    kind == DIALECT_FIND_PUBLIC_FOLDER)
		return dialect->kind == DIALECT_EXCHANGE;
	return true;
}

void
dialect_kinds_filter(
    const struct dialect *dialect, unsigned kinds, struct buf *out)
{
	size_t start, i;
	bool any = false;

	buf_add_str(out, "(|");
	start = out->len;
	for (i = 0; i < KIND_FILTERS; i++) {
		const struct kind_filter *k = &kind_filters[i];
		const char *text = dialect_is_ad(dialect) ? k->ad : k->openldap;

		if ((kinds & k->kind) == 0 || text == NULL ||
		    !kind_exists(dialect, k->kind))
			continue;
		buf_add_str(out, text);
		any = true;
	}
	if (any) {
		buf_add_byte(out, ')');
		return;
	}
	/* What this directory does not have is not found. */
	buf_truncate(out, start - 2);
	buf_add_str(out, "(!(objectClass=*))");
}

/* "*" stays, the rest is escaped; "**" is "*". */
static void
expression_add(struct buf *out, const char *name, const char *prefix,
    struct slice expression)
{
	bool star = false;

	buf_addf(out, "(%s=%s", name, prefix);
	for (size_t i = 0; i < expression.len; i++) {
		if (expression.data[i] != '*')
			search_filter_escape(out, slice_sub(expression, i, 1));
		else if (!star)
			buf_add_byte(out, '*');
		star = expression.data[i] == '*';
	}
	buf_add_byte(out, ')');
}

void
dialect_expression_filter(
    const struct dialect *dialect, const char *expression, struct buf *out)
{
	static const char *const ad[] = {"cn", "name", "displayName",
	    "givenName", "sn", "mail", "mailNickname", NULL};
	static const char *const openldap[] = {
	    "cn", "ou", "o", "displayName", "givenName", "sn", "mail", NULL};
	const char *const *names = dialect_is_ad(dialect) ? ad : openldap;
	struct slice text = slice_trim(slice_str(expression));

	buf_add_str(out, "(|");
	for (; *names != NULL; names++)
		expression_add(out, *names, "", text);
	if (dialect_is_ad(dialect))
		expression_add(out, "proxyAddresses", "smtp:", text);
	buf_add_byte(out, ')');
}

void
dialect_id_filter(
    const struct dialect *dialect, const struct id *id, struct buf *out)
{
	const uint8_t *b = id->bytes;

	buf_add_str(
	    out, dialect_is_ad(dialect) ? "(objectGUID=" : "(entryUUID=");
	for (size_t i = 0; i < ID_LEN; i++) {
		if (dialect_is_ad(dialect))
			buf_addf(out, "\\%02x", b[i]);
		else
			buf_addf(out, "%s%02x",
			    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			    b[i]);
	}
	buf_add_byte(out, ')');
}

void
dialect_mail_filter(
    const struct dialect *dialect, struct slice mail, struct buf *out)
{
	static const char *const names[] = {
	    "mail=", "proxyAddresses=smtp:", "targetAddress=smtp:", NULL};
	size_t last = dialect->kind == DIALECT_EXCHANGE ? 3
		      : dialect_is_ad(dialect)          ? 2
							: 1;

	buf_add_str(out, "(|");
	for (size_t i = 0; i < last; i++) {
		buf_addf(out, "(%s", names[i]);
		search_filter_escape(out, mail);
		buf_add_byte(out, ')');
	}
	buf_add_byte(out, ')');
}

const char *
dialect_recipient_filter(const struct dialect *dialect)
{
	if (!dialect_is_ad(dialect))
		return "(|(objectClass=inetOrgPerson)"
		       "(objectClass=groupOfNames)"
		       "(objectClass=groupOfUniqueNames))";
	if (dialect->kind == DIALECT_AD)
		return "(|(objectCategory=person)(objectCategory=group))";
	return "(|(objectCategory=person)(objectCategory=group)"
	       "(objectClass=msExchDynamicDistributionList)"
	       "(objectClass=publicFolder))";
}

/* As Active Directory's tools write it, a GUID's first three groups are
 * little-endian numbers (MS-DTYP 2.3.4). */
int
dialect_id_parse(const struct dialect *dialect, const char *text,
    struct id *out_id, struct err *err)
{
	static const uint8_t order[ID_LEN] = {
	    3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	struct slice s = slice_trim(slice_str(text));
	struct id id;

	if (s.len > 2 && s.data[0] == '{' && s.data[s.len - 1] == '}')
		s = slice_sub(s, 1, s.len - 2);
	if (id_parse(s, &id, err) < 0)
		return -1;
	*out_id = id;
	if (dialect_is_ad(dialect) && slice_find(s, '-') != SIZE_MAX)
		for (size_t i = 0; i < ID_LEN; i++)
			out_id->bytes[i] = id.bytes[order[i]];
	return 0;
}
