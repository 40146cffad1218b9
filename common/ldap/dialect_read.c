#include "common/ldap/dialect_impl.h"

#include <strings.h>

#include "common/base/buf.h"
#include "common/ldap/dn.h"
#include "common/ldap/reference.h"

/* Attributes added to those of the entry: proxyAddresses. */
#define EXTRA_ATTRIBUTES 1

int
dialect_entry_id(const struct dialect *dialect,
    const struct search_entry *entry, struct id *out_id, struct err *err)
{
	const char *name = dialect_is_ad(dialect) ? "objectGUID" : "entryUUID";
	struct slice value = search_first(entry, name);
	int rc;

	if (value.len == 0)
		return err_set(err, ERR_BAD_DATA,
		    "%s: entry \"%s\" has no %s; let the account read it",
		    session_uri(dialect->session), entry->dn, name);
	rc = dialect_is_ad(dialect) ? id_from_slice(value, out_id, err)
				    : id_parse(value, out_id, err);
	if (rc != 0)
		err_prepend(err, "%s: entry \"%s\": %s",
		    session_uri(dialect->session), entry->dn, name);
	return rc;
}

bool
dialect_type_is_system(int64_t type)
{
	static const int64_t system[] = {
	    INT64_C(8192),            /* SystemAttendant */
	    INT64_C(16384),           /* SystemMailbox */
	    INT64_C(4194304),         /* MicrosoftExchange */
	    INT64_C(8388608),         /* Arbitration */
	    INT64_C(16777216),        /* MailboxPlan */
	    INT64_C(536870912),       /* Discovery */
	    INT64_C(68719476736),     /* PublicFolderMailbox */
	    INT64_C(549755813888),    /* Monitoring */
	    INT64_C(4398046511104),   /* AuditLog */
	    INT64_C(70368744177664),  /* AuxAuditLog */
	    INT64_C(140737488355328), /* SupervisoryReviewPolicy */
	};
	size_t i;

	for (i = 0; i < sizeof(system) / sizeof(system[0]); i++) {
		if (system[i] == type)
			return true;
	}
	return false;
}

/* 0 for what has more digits than 64 bits hold in any case. */
static int64_t
decimal(struct slice text)
{
	bool negative = text.len > 0 && text.data[0] == '-';
	int64_t n = 0;
	size_t i;

	if (text.len > 18 + (size_t)negative)
		return 0;
	for (i = negative; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		n = n * 10 + (text.data[i] - '0');
	}
	return negative ? -n : n;
}

struct class_kind {
	const char *class;
	Galr__Kind kind;
};

/* The most special class decides; all classes of an entry are listed. */
static const struct class_kind kinds_ad[] = {
    {"computer", GALR__KIND__KIND_UNSPECIFIED},
    {"contact", GALR__KIND__KIND_CONTACT},
    {"group", GALR__KIND__KIND_GROUP},
    {"msExchDynamicDistributionList", GALR__KIND__KIND_DYNAMIC_GROUP},
    {"publicFolder", GALR__KIND__KIND_PUBLIC_FOLDER},
    {"user", GALR__KIND__KIND_USER},
    {NULL, GALR__KIND__KIND_UNSPECIFIED},
};

static const struct class_kind kinds_openldap[] = {
    {"inetOrgPerson", GALR__KIND__KIND_USER},
    {"groupOfNames", GALR__KIND__KIND_GROUP},
    {"groupOfUniqueNames", GALR__KIND__KIND_GROUP},
    {NULL, GALR__KIND__KIND_UNSPECIFIED},
};

static Galr__Kind
kind_of(const struct class_kind *table, const struct search_attribute *classes)
{
	if (classes == NULL)
		return GALR__KIND__KIND_UNSPECIFIED;
	for (; table->class != NULL; table++)
		for (size_t i = 0; i < classes->value_count; i++)
			if (slice_equal_case(
				classes->values[i], slice_str(table->class)))
				return table->kind;
	return GALR__KIND__KIND_UNSPECIFIED;
}

Galr__Kind
dialect_entry_kind(
    const struct dialect *dialect, const struct search_entry *entry)
{
	const struct search_attribute *classes =
	    search_find(entry, "objectClass");

	return kind_of(
	    dialect_is_ad(dialect) ? kinds_ad : kinds_openldap, classes);
}

static bool
is_internal(const struct dialect *dialect, const char *name)
{
	return slice_name_equal(name, "objectClass") ||
	       slice_name_equal(name, "objectGUID") ||
	       slice_name_equal(name, "entryUUID") ||
	       slice_name_equal(name, "msExchRecipientTypeDetails") ||
	       slice_name_equal(name, "member") ||
	       slice_name_equal(name, "uniqueMember") ||
	       slice_name_equal(name, dialect->provenance);
}

/* Of what both have: OpenLDAP allows several, and Active Directory one. */
static bool
is_single(const char *canonical)
{
	return !slice_name_equal(canonical, "description") &&
	       !slice_name_equal(canonical, "postOfficeBox") &&
	       !slice_name_equal(canonical, "userSMIMECertificate");
}

struct reading {
	struct object_attribute *list;
	size_t count;
};

static void
reading_add(struct reading *r, const char *name, const struct slice *values,
    size_t count)
{
	if (count > 0)
		r->list[r->count++] =
		    (struct object_attribute){name, values, count};
}

/* Names without the ids that an extended search gives; NULL: no room. */
static const struct slice *
names_plain(const struct search_attribute *a, struct arena *arena)
{
	struct slice *plain;

	if (a->value_count == 0 ||
	    !slice_starts_case(a->values[0], SLICE_LIT("<GUID=")))
		return a->values;
	plain = arena_calloc(arena, a->value_count, sizeof(*plain));
	for (size_t i = 0; plain != NULL && i < a->value_count; i++)
		plain[i] = reference_name(a->values[i]);
	return plain;
}

static int
read_ad(const struct dialect *dialect, const struct search_entry *entry,
    struct arena *arena, struct reading *r, struct object *out)
{
	size_t i;

	out->kind = dialect_entry_kind(dialect, entry);
	out->recipient_type =
	    decimal(search_first(entry, "msExchRecipientTypeDetails"));
	if (dialect_type_is_system(out->recipient_type))
		out->kind = GALR__KIND__KIND_UNSPECIFIED;
	for (i = 0; i < entry->attribute_count; i++) {
		const struct search_attribute *a = &entry->attributes[i];
		const struct slice *values;

		if (is_internal(dialect, a->name))
			continue;
		values = names_plain(a, arena);
		if (values == NULL && a->value_count > 0)
			return -1;
		reading_add(r, a->name, values, a->value_count);
	}
	return 0;
}

/* cn has many values on OpenLDAP; the one that names the entry is meant. NULL
 * when the entry is not named by cn. */
static const struct slice *
cn_of_rdn(const struct search_entry *entry, const struct search_attribute *cn)
{
	const struct slice *found = NULL;
	struct buf value;
	size_t i;

	if (cn->value_count < 2 ||
	    !slice_starts_case(slice_str(entry->dn), SLICE_LIT("cn=")))
		return NULL;
	buf_init(&value, 4096);
	if (dn_rdn_value(entry->dn, &value, NULL) == 0) {
		for (i = 0; i < cn->value_count && found == NULL; i++) {
			if (slice_equal_case(cn->values[i], buf_slice(&value)))
				found = &cn->values[i];
		}
	}
	buf_fini(&value);
	return found;
}

/* "SMTP:first", "smtp:others": the form in which AD keeps addresses. */
static int
add_proxies(
    const struct search_attribute *mail, struct arena *arena, struct reading *r)
{
	struct slice *values =
	    arena_calloc(arena, mail->value_count, sizeof(*values));
	uint8_t *text;
	size_t i, len;

	if (values == NULL)
		return -1;
	for (i = 0; i < mail->value_count; i++) {
		len = mail->values[i].len;
		text = arena_alloc(arena, len + 5);
		if (text == NULL)
			return -1;
		memcpy(text, i == 0 ? "SMTP:" : "smtp:", 5);
		memcpy(text + 5, mail->values[i].data, len);
		values[i] = slice_make(text, len + 5);
	}
	reading_add(r, "proxyAddresses", values, mail->value_count);
	return 0;
}

static void
read_openldap_attribute(const struct search_entry *entry,
    const struct search_attribute *a, struct reading *r)
{
	const char *known = dialect_canonical_openldap(a->name);
	const char *name = known == NULL ? a->name : known;
	const struct slice *values = a->values;
	size_t count = a->value_count;

	/* Both mean the department: ou wins. */
	if (strcmp(name, "department") == 0 &&
	    slice_name_equal(a->name, "departmentNumber") &&
	    search_find(entry, "ou") != NULL)
		return;
	if (slice_name_equal(name, "cn") && cn_of_rdn(entry, a) != NULL)
		values = cn_of_rdn(entry, a);
	if (count > 1 && known != NULL && is_single(name))
		count = 1;
	reading_add(r, name, values, count);
}

static int
read_openldap(const struct dialect *dialect, const struct search_entry *entry,
    struct arena *arena, struct reading *r, struct object *out)
{
	size_t i;

	out->kind = dialect_entry_kind(dialect, entry);
	for (i = 0; i < entry->attribute_count; i++) {
		const struct search_attribute *a = &entry->attributes[i];

		if (is_internal(dialect, a->name))
			continue;
		read_openldap_attribute(entry, a, r);
		if (slice_name_equal(a->name, "mail") && a->value_count > 0 &&
		    add_proxies(a, arena, r) != 0)
			return -1;
	}
	return 0;
}

int
dialect_read_object(const struct dialect *dialect,
    const struct search_entry *entry, struct arena *arena,
    struct object *out_object, struct err *err)
{
	struct reading r = {NULL, 0};
	int rc = 0;

	*out_object = (struct object){
	    .kind = GALR__KIND__KIND_UNSPECIFIED, .source_dn = entry->dn};
	r.list = arena_calloc(
	    arena, entry->attribute_count + EXTRA_ATTRIBUTES, sizeof(*r.list));
	if (r.list == NULL)
		rc = -1;
	else if (dialect_is_ad(dialect))
		rc = read_ad(dialect, entry, arena, &r, out_object);
	else
		rc = read_openldap(dialect, entry, arena, &r, out_object);
	if (rc != 0)
		return err_set(
		    err, ERR_LIMIT, "entry \"%s\" is too large", entry->dn);
	out_object->attributes = r.list;
	out_object->attribute_count = r.count;
	return 0;
}
