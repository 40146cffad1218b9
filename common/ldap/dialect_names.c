#include "common/ldap/dialect_impl.h"

#include <strings.h>

#include "common/base/mem.h"

/* What describes a person on every Active Directory. */
#define PERSON_ATTRIBUTES                                                      \
	"c", "cn", "co", "company", "countryCode", "department",               \
	    "description", "displayName", "displayNamePrintable",              \
	    "employeeID", "employeeNumber", "employeeType",                    \
	    "facsimileTelephoneNumber", "givenName", "homePhone", "info",      \
	    "initials", "ipPhone", "l", "mail", "mobile",                      \
	    "msDS-PhoneticCompanyName", "msDS-PhoneticDepartment",             \
	    "msDS-PhoneticDisplayName", "msDS-PhoneticFirstName",              \
	    "msDS-PhoneticLastName", "msExchAssistantName", "pager",           \
	    "personalTitle", "physicalDeliveryOfficeName", "postOfficeBox",    \
	    "postalCode", "proxyAddresses", "sn", "st", "streetAddress",       \
	    "telephoneAssistant", "telephoneNumber", "title",                  \
	    "userSMIMECertificate", "wWWHomePage", "legacyExchangeDN"

#define EXTENSION_ATTRIBUTES                                                   \
	"extensionAttribute1", "extensionAttribute2", "extensionAttribute3",   \
	    "extensionAttribute4", "extensionAttribute5",                      \
	    "extensionAttribute6", "extensionAttribute7",                      \
	    "extensionAttribute8", "extensionAttribute9",                      \
	    "extensionAttribute10", "extensionAttribute11",                    \
	    "extensionAttribute12", "extensionAttribute13",                    \
	    "extensionAttribute14", "extensionAttribute15"

static const char *const export_ad[] = {"objectGUID", "objectClass",
    "mailNickname", "targetAddress", "msExchHideFromAddressLists",
    "msExchRecipientTypeDetails", "msExchRecipientDisplayType", "groupType",
    "thumbnailPhoto", PERSON_ATTRIBUTES, EXTENSION_ATTRIBUTES, NULL};

static const char *const address_ad[] = {"objectGUID", "objectClass", "cn",
    "mail", "mailNickname", "proxyAddresses", "targetAddress",
    "legacyExchangeDN", NULL};

static const char *const contact_ad[] = {
    "objectGUID", "objectClass", PERSON_ATTRIBUTES, NULL};

static const char *const contact_exchange[] = {"objectGUID", "objectClass",
    "mailNickname", "targetAddress", "internetEncoding", "mAPIRecipient",
    "msExchPoliciesExcluded", "msExchOriginatingForest",
    "msExchRecipientDisplayType", "msExchRecipientTypeDetails",
    "msExchHideFromAddressLists", PERSON_ATTRIBUTES, EXTENSION_ATTRIBUTES,
    NULL};

/* inetOrgPerson (RFC 2798) under the names that slapd answers with. */
#define INETORG_ATTRIBUTES                                                     \
	"cn", "description", "displayName", "employeeNumber", "employeeType",  \
	    "facsimileTelephoneNumber", "givenName", "homePhone", "initials",  \
	    "l", "mail", "mobile", "o", "ou", "pager",                         \
	    "physicalDeliveryOfficeName", "postOfficeBox", "postalCode", "sn", \
	    "st", "street", "telephoneNumber", "title"

static const char *const export_openldap[] = {"entryUUID", "objectClass", "uid",
    "departmentNumber", "jpegPhoto", "userSMIMECertificate", INETORG_ATTRIBUTES,
    NULL};

static const char *const address_openldap[] = {
    "entryUUID", "objectClass", "cn", "mail", "uid", NULL};

static const char *const contact_openldap[] = {
    "entryUUID", "objectClass", INETORG_ATTRIBUTES, NULL};

/* inetOrgPerson's names and the canonical ones. Of two that read as one
 * canonical name, one is written. */
struct name_pair {
	const char *here;
	const char *canonical;
	bool written;
};

static const struct name_pair openldap_names[] = {
    {"cn", "cn", true},
    {"departmentNumber", "department", false},
    {"description", "description", true},
    {"displayName", "displayName", true},
    {"employeeNumber", "employeeNumber", true},
    {"employeeType", "employeeType", true},
    {"facsimileTelephoneNumber", "facsimileTelephoneNumber", true},
    {"givenName", "givenName", true},
    {"homePhone", "homePhone", true},
    {"initials", "initials", true},
    {"jpegPhoto", "thumbnailPhoto", true},
    {"l", "l", true},
    {"mail", "mail", true},
    {"mobile", "mobile", true},
    {"o", "company", true},
    {"ou", "department", true},
    {"pager", "pager", true},
    {"physicalDeliveryOfficeName", "physicalDeliveryOfficeName", true},
    {"postalCode", "postalCode", true},
    {"postOfficeBox", "postOfficeBox", true},
    {"sn", "sn", true},
    {"st", "st", true},
    {"street", "streetAddress", true},
    {"streetAddress", "streetAddress", false},
    {"telephoneNumber", "telephoneNumber", true},
    {"title", "title", true},
    {"uid", "mailNickname", false},
    {"userSMIMECertificate", "userSMIMECertificate", true},
};

#define OPENLDAP_NAMES (sizeof(openldap_names) / sizeof(openldap_names[0]))

const char *
dialect_canonical_openldap(const char *name)
{
	for (size_t i = 0; i < OPENLDAP_NAMES; i++)
		if (slice_name_equal(name, openldap_names[i].here))
			return openldap_names[i].canonical;
	return NULL;
}

const char *
dialect_canonical(enum dialect_kind kind, const char *name)
{
	const char *canonical =
	    kind == DIALECT_OPENLDAP ? dialect_canonical_openldap(name) : NULL;

	return canonical == NULL ? name : canonical;
}

const char *
dialect_name_here(const struct dialect *dialect, const char *canonical)
{
	bool mapped = false;
	size_t i;

	if (dialect_is_ad(dialect))
		return canonical;
	for (i = 0; i < OPENLDAP_NAMES; i++) {
		if (!slice_name_equal(openldap_names[i].canonical, canonical))
			continue;
		if (openldap_names[i].written)
			return openldap_names[i].here;
		mapped = true;
	}
	return mapped ? NULL : canonical;
}

const char *
dialect_here(const struct dialect *dialect, const char *canonical)
{
	return dialect_name_here(dialect, canonical);
}

const char *const *
dialect_vocabulary(enum dialect_kind kind)
{
	return kind == DIALECT_OPENLDAP ? export_openldap : export_ad;
}

const char *
dialect_rdn_attribute(const struct dialect *dialect)
{
	(void)dialect;
	return "cn";
}

/* Computers are users too, but of another objectCategory. Address filters are
 * on indexed attributes. */
const char *
dialect_export_filter(const struct dialect *dialect)
{
	if (!dialect_is_ad(dialect))
		return "(&(mail=*)(|(objectClass=inetOrgPerson)"
		       "(objectClass=groupOfNames)"
		       "(objectClass=groupOfUniqueNames)))";
	if (dialect->kind == DIALECT_AD)
		return "(&(|(mail=*)(proxyAddresses=*))"
		       "(|(objectCategory=person)(objectCategory=group)))";
	return "(&(|(mail=*)(proxyAddresses=*)(targetAddress=*))"
	       "(|(objectCategory=person)(objectCategory=group)"
	       "(objectClass=msExchDynamicDistributionList)"
	       "(objectClass=publicFolder)))";
}

const char *
dialect_address_filter(const struct dialect *dialect)
{
	if (!dialect_is_ad(dialect))
		return "(mail=*)";
	if (dialect->kind == DIALECT_AD)
		return "(|(mail=*)(proxyAddresses=*))";
	return "(|(mail=*)(proxyAddresses=*)(targetAddress=*)"
	       "(mailNickname=*))";
}

static const char *const *
list_choose(const struct dialect *dialect, enum dialect_list list)
{
	bool ad = dialect_is_ad(dialect);

	switch (list) {
	case DIALECT_LIST_EXPORT:
		return ad ? export_ad : export_openldap;
	case DIALECT_LIST_ADDRESS:
		return ad ? address_ad : address_openldap;
	case DIALECT_LIST_CONTACT:
		break;
	}
	if (!ad)
		return contact_openldap;
	return dialect->kind == DIALECT_EXCHANGE ? contact_exchange
						 : contact_ad;
}

const char **
dialect_list_make(const struct dialect *dialect, enum dialect_list list,
    const char *provenance)
{
	const char *const *names = list_choose(dialect, list);
	bool listed = false;
	const char **copy;
	size_t n;

	for (n = 0; names[n] != NULL; n++)
		listed = listed || strcasecmp(names[n], provenance) == 0;
	copy = mem_calloc(n + 2, sizeof(*copy));
	memcpy(copy, names, n * sizeof(*copy));
	if (!listed)
		copy[n] = provenance;
	return copy;
}
