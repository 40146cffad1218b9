#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include <ldap.h>

#include "common/base/mem.h"

#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "spoke/address.h"
#include "spoke/import/survey.h"
#include "spoke/import/views.h"

#define SURVEY_ARENA_BYTES (64 * 1024 * 1024)

struct survey {
	const struct survey_options *options;
	struct importdb *db;
	struct arena *arena; /* reset per entry */
	struct buf body;
};

/* Nothing but a contact is ever ours, whatever it carries: somebody may have
 * copied the mark onto a user. */
static bool
survey_is_contact(const struct survey *survey, const struct search_entry *entry)
{
	const struct search_attribute *classes =
	    search_find(entry, "objectClass");
	struct slice wanted =
	    dialect_kind(survey->options->dialect) == DIALECT_OPENLDAP
		? SLICE_LIT("inetOrgPerson")
		: SLICE_LIT("contact");
	size_t i;

	for (i = 0; classes != NULL && i < classes->value_count; i++)
		if (slice_equal_case(classes->values[i], wanted))
			return true;
	return false;
}

/* GeneralizedTime in UTC (RFC 4517 section 3.3.13) to Unix milliseconds; 0 when
 * it is not there or of another form. */
static uint64_t
survey_created(const struct search_entry *entry)
{
	struct slice text = search_first(entry, "createTimestamp");
	struct tm tm = {0};
	char digits[16];
	time_t seconds;

	if (text.len == 0)
		text = search_first(entry, "whenCreated");
	if (text.len < 15 || text.data[text.len - 1] != 'Z')
		return 0;
	memcpy(digits, text.data, 14);
	digits[14] = '\0';
	if (strptime(digits, "%Y%m%d%H%M%S", &tm) != digits + 14)
		return 0;
	seconds = timegm(&tm);
	return seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

/* Whose contact is it? Fills member (64 bytes) and object. */
static bool
survey_provenance(const struct survey *survey, const struct search_entry *entry,
    char *member, struct id *out_object)
{
	const struct search_attribute *attribute = search_find(
	    entry, dialect_provenance_attribute(survey->options->dialect));
	struct id realm;
	size_t i;

	if (!survey_is_contact(survey, entry))
		return false;
	for (i = 0; attribute != NULL && i < attribute->value_count; i++)
		if (views_provenance_parse(attribute->values[i], &realm, member,
			out_object) == 0 &&
		    id_compare(&realm, &survey->options->realm) == 0)
			return true;
	return false;
}

static int
survey_claim(struct survey *survey, struct slice mail,
    const struct importdb_claim *claim, struct err *err)
{
	struct slice folded = address_fold(mail, survey->arena);

	if (folded.len == 0)
		return 0;
	return importdb_claim_put(survey->db, folded, claim, err);
}

/* All addresses under one attribute; plain SMTP ones have no prefix, X500 and
 * sip ones keep theirs. */
static int
survey_claims(struct survey *survey, const struct search_entry *entry,
    const char *name, const struct importdb_claim *claim, struct err *err)
{
	const struct search_attribute *attribute = search_find(entry, name);
	size_t i;

	for (i = 0; attribute != NULL && i < attribute->value_count; i++) {
		struct slice rest = attribute->values[i];

		switch (address_parse(attribute->values[i], &rest)) {
		case ADDRESS_SMTP_PRIMARY:
		case ADDRESS_SMTP:
			break;
		case ADDRESS_X500:
		case ADDRESS_SIP:
			rest = attribute->values[i];
			break;
		case ADDRESS_OTHER:
			if (!address_smtp_valid(rest))
				continue;
			break;
		}
		if (survey_claim(survey, rest, claim, err) != 0)
			return -1;
	}
	return 0;
}

/* Mail from within the organisation goes to legacyExchangeDN: nobody else may
 * have somebody's as an X500 address. */
static int
survey_legacy(struct survey *survey, const struct search_entry *entry,
    const struct importdb_claim *claim, struct err *err)
{
	struct slice legacy = search_first(entry, "legacyExchangeDN");
	struct buf text;
	int rc = 0;

	buf_init(&text, LIMIT_OBJECT_BYTES);
	buf_add_str(&text, "x500:");
	buf_add(&text, legacy);
	if (legacy.len > 0)
		rc = survey_claim(survey, buf_slice(&text), claim, err);
	buf_fini(&text);
	return rc;
}

static int
survey_address_entry(
    void *arg, const struct search_entry *entry, struct err *err)
{
	struct survey *survey = arg;
	static const char *const names[] = {
	    "mail", "proxyAddresses", "targetAddress"};
	struct importdb_claim claim = {.dn = entry->dn};
	char member[LIMIT_NAME_CHARS + 1] = "";
	struct slice nickname;
	size_t i;

	arena_reset(survey->arena);
	if (dialect_entry_id(
		survey->options->dialect, entry, &claim.entry, err) != 0)
		return -1;
	claim.ours = survey_provenance(survey, entry, member, &claim.object);
	claim.member = member;
	claim.inside =
	    claim.ours && dn_is_below(entry->dn, survey->options->into, false);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (survey_claims(survey, entry, names[i], &claim, err) != 0)
			return -1;
	if (survey_legacy(survey, entry, &claim, err) != 0)
		return -1;
	if (claim.ours && !claim.inside) {
		struct importdb_entry detached = {
		    .entry = claim.entry,
		    .dn = entry->dn,
		    .member = member,
		    .object = claim.object,
		};

		if (importdb_entry_put(survey->db, &detached, err) != 0)
			return -1;
	}
	nickname = search_first(entry, "mailNickname");
	if (nickname.len == 0)
		return 0;
	return importdb_name_put(
	    survey->db, IMPORTDB_NICKNAME, "", nickname, &claim.entry, err);
}

/* Of the catalogue only what lies elsewhere: it may lag behind our own writes.
 */
static int
survey_catalogue_entry(
    void *arg, const struct search_entry *entry, struct err *err)
{
	struct survey *survey = arg;
	const struct survey_options *o = survey->options;

	if (forest_find(o->forest, entry->dn) ==
	    forest_find(o->forest, o->into))
		return 0;
	return survey_address_entry(survey, entry, err);
}

static int
survey_addresses_in(
    struct survey *survey, const struct forest_context *in, struct err *err)
{
	bool catalogue = in->dn[0] == '\0';
	struct search_options options = {
	    .base = in->dn,
	    .scope = SEARCH_SUBTREE,
	    .filter = dialect_address_filter(in->dialect),
	    .attributes = dialect_address_attributes(in->dialect),
	    .page_size = survey->options->page_size,
	};

	if (search_each(in->session, &options,
		catalogue ? survey_catalogue_entry : survey_address_entry,
		survey, err) != 0)
		return err_prepend(err, "reading addresses");
	return 0;
}

/* Everywhere in the forest: the domain of the import OU at its controller, the
 * others in the global catalogue, where there is one. */
static int
survey_addresses(struct survey *survey, struct err *err)
{
	struct forest *forest = survey->options->forest;
	const struct forest_context *context;
	size_t own = forest_find(forest, survey->options->into);
	int rc = 0;

	if (forest_spans_domains(forest)) {
		rc = forest_catalogue(forest, &context, err);
		if (rc < 0)
			return -1;
		if (rc == 1 && survey_addresses_in(survey, context, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < forest_count(forest); i++) {
		if (rc == 1 && i != own)
			continue;
		if (forest_context(forest, i, &context, err) != 0 ||
		    survey_addresses_in(survey, context, err) != 0)
			return -1;
	}
	return 0;
}

/* The attributes that contacts of ours carry, as the directory gave them. */
static int
survey_body(
    struct survey *survey, const struct search_entry *entry, struct err *err)
{
	const char *const *names =
	    dialect_contact_attributes(survey->options->dialect);
	struct object_attribute *list = arena_calloc(
	    survey->arena, entry->attribute_count + 1, sizeof(*list));
	struct object object = {
	    .kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = list,
	};
	size_t i;

	if (list == NULL)
		return err_set(
		    err, ERR_LIMIT, "entry %s is too large", entry->dn);
	for (i = 0; names[i] != NULL; i++) {
		const struct search_attribute *attribute =
		    search_find(entry, names[i]);

		if (attribute == NULL ||
		    strcasecmp(names[i], "objectGUID") == 0 ||
		    strcasecmp(names[i], "entryUUID") == 0)
			continue;
		list[object.attribute_count++] = (struct object_attribute){
		    attribute->name, attribute->values, attribute->value_count};
	}
	buf_reset(&survey->body);
	return object_encode(&object, survey->arena, &survey->body, err);
}

/* A name that does not parse can still be met: the directory then refuses ours
 * and the next plan takes another. */
static int
survey_name(struct survey *survey, const struct search_entry *entry,
    const struct id *id, struct err *err)
{
	struct buf parent;
	struct buf name;
	struct err ignored = {0};
	int rc = 0;

	buf_init(&parent, 65536);
	buf_init(&name, 65536);
	if (dn_normalize(dn_parent(entry->dn), &parent, &ignored) == 0 &&
	    dn_rdn_value(entry->dn, &name, &ignored) == 0)
		rc = importdb_name_put(survey->db, IMPORTDB_CN,
		    buf_cstr(&parent), buf_slice(&name), id, err);
	buf_fini(&name);
	buf_fini(&parent);
	return rc;
}

static int
survey_ou_entry(void *arg, const struct search_entry *entry, struct err *err)
{
	struct survey *survey = arg;
	struct importdb_entry ours = {.dn = entry->dn, .inside = true};
	char member[LIMIT_NAME_CHARS + 1] = "";

	arena_reset(survey->arena);
	if (dn_equal(entry->dn, survey->options->into))
		return 0;
	if (dialect_entry_id(
		survey->options->dialect, entry, &ours.entry, err) != 0 ||
	    survey_name(survey, entry, &ours.entry, err) != 0)
		return -1;
	if (!survey_provenance(survey, entry, member, &ours.object))
		return 0;
	if (survey_body(survey, entry, err) != 0)
		return -1;
	ours.member = member;
	ours.created_ms = survey_created(entry);
	ours.body = buf_slice(&survey->body);
	return importdb_entry_put(survey->db, &ours, err);
}

/* What contacts carry, and when each was created. */
static const char **
survey_ou_attributes(const struct dialect *dialect)
{
	const char *const *names = dialect_contact_attributes(dialect);
	const char **list;
	size_t n;

	for (n = 0; names[n] != NULL; n++)
		;
	list = mem_calloc(n + 2, sizeof(*list));
	memcpy(list, names, n * sizeof(*list));
	list[n] = dialect_kind(dialect) == DIALECT_OPENLDAP ? "createTimestamp"
							    : "whenCreated";
	return list;
}

static int
survey_ou(struct survey *survey, struct err *err)
{
	const char **attributes =
	    survey_ou_attributes(survey->options->dialect);
	struct search_options options = {
	    .base = survey->options->into,
	    .scope = SEARCH_SUBTREE,
	    .filter = "(objectClass=*)",
	    .attributes = attributes,
	    .page_size = survey->options->page_size,
	};
	int rc = search_each(
	    survey->options->session, &options, survey_ou_entry, survey, err);

	free(attributes);
	if (rc != 0 && err->code == LDAP_NO_SUCH_OBJECT)
		return err_set(err, ERR_CONFIG,
		    "the import OU %s does not exist: create it, empty, for "
		    "galrelay alone",
		    survey->options->into);
	return rc == 0 ? 0
		       : err_prepend(err, "reading the import OU %s",
			     survey->options->into);
}

int
survey_run(
    const struct survey_options *options, struct importdb *db, struct err *err)
{
	struct survey survey = {.options = options, .db = db};
	int rc;

	survey.arena = arena_new(SURVEY_ARENA_BYTES);
	buf_init(&survey.body, 4 * LIMIT_OBJECT_BYTES);
	rc = importdb_survey_clear(db, err);
	if (rc == 0)
		rc = survey_addresses(&survey, err);
	if (rc == 0)
		rc = survey_ou(&survey, err);
	buf_fini(&survey.body);
	arena_free(survey.arena);
	return rc;
}
