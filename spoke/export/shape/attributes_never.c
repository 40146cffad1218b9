/* What never leaves a forest. */
#include "spoke/export/shape/attributes.h"

#include <strings.h>

#include "spoke/export/shape/nametable.h"

#define WHY_CREDENTIAL "it holds credentials"
#define WHY_SECURITY "it decides who has which rights"
#define WHY_SID                                                                \
	"it is a security identifier; delegation = true carries what "         \
	"delegation between forests needs"
#define WHY_LINK "it is the far end of a link, and names entries of this forest"
#define WHY_REFERENCE                                                          \
	"it names entries of this forest; manager = true and memberships = "   \
	"true carry their ids"
#define WHY_NAME                                                               \
	"it names entries of this forest, and source_dn = false keeps names"
#define WHY_SERVER "it is kept or computed by the server for itself"
#define WHY_CONFIDENTIAL "the schema marks it as confidential"

/* Whatever schema a directory has. A trailing * stands for any text. */
static const struct {
	const char *pattern, *why;
} never[] = {
    {"unicodePwd", WHY_CREDENTIAL},
    {"userPassword", WHY_CREDENTIAL},
    {"authPassword", WHY_CREDENTIAL},
    {"dBCSPwd", WHY_CREDENTIAL},
    {"clearTextPassword", WHY_CREDENTIAL},
    {"ntPwdHistory", WHY_CREDENTIAL},
    {"lmPwdHistory", WHY_CREDENTIAL},
    {"supplementalCredentials", WHY_CREDENTIAL},
    {"unixUserPassword", WHY_CREDENTIAL},
    {"msSFU30Password", WHY_CREDENTIAL},
    {"msDS-KeyCredentialLink*", WHY_CREDENTIAL},
    {"msDS-ManagedPassword*", WHY_CREDENTIAL},
    {"msDS-ExecuteScriptPassword", WHY_CREDENTIAL},
    {"ms-Mcs-AdmPwd*", WHY_CREDENTIAL},
    {"msLAPS-*", WHY_CREDENTIAL},
    {"msFVE-*", WHY_CREDENTIAL},
    {"msTPM-*", WHY_CREDENTIAL},
    {"msPKIAccountCredentials", WHY_CREDENTIAL},
    {"msPKI-CredentialRoamingTokens", WHY_CREDENTIAL},
    {"msPKIDPAPIMasterKeys", WHY_CREDENTIAL},
    {"userPKCS12", WHY_CREDENTIAL},
    {"pekList", WHY_CREDENTIAL},
    {"trustAuth*", WHY_CREDENTIAL},
    {"initialAuth*", WHY_CREDENTIAL},
    {"currentValue", WHY_CREDENTIAL},
    {"priorValue", WHY_CREDENTIAL},
    {"sambaNTPassword", WHY_CREDENTIAL},
    {"sambaLMPassword", WHY_CREDENTIAL},
    {"sambaPasswordHistory", WHY_CREDENTIAL},
    {"krbPrincipalKey", WHY_CREDENTIAL},
    {"krbPwdHistory", WHY_CREDENTIAL},
    {"krbExtraData", WHY_CREDENTIAL},
    {"krb5Key*", WHY_CREDENTIAL},
    {"pwdHistory", WHY_CREDENTIAL},
    {"oathSecret", WHY_CREDENTIAL},
    {"oathEncKey", WHY_CREDENTIAL},
    {"oathTokenPIN", WHY_CREDENTIAL},
    {"nTSecurityDescriptor", WHY_SECURITY},
    {"msExchMailboxSecurityDescriptor", WHY_SECURITY},
    {"msDS-AllowedToActOnBehalfOfOtherIdentity", WHY_SECURITY},
    {"msDS-GroupMSAMembership", WHY_SECURITY},
    {"altSecurityIdentities", WHY_SECURITY},
    {"aci", WHY_SECURITY},
    {"OpenLDAPaci", WHY_SECURITY},
    {"objectSid", WHY_SID},
    {"sIDHistory", WHY_SID},
    {"securityIdentifier", WHY_SID},
    {"tokenGroups*", WHY_SID},
    {"msExchMasterAccountSid", WHY_SID},
    {"msExchMasterAccountHistory", WHY_SID},
    {"sambaSID", WHY_SID},
    {"sambaSIDList", WHY_SID},
    {"sambaPrimaryGroupSID", WHY_SID},
    {"memberOf", WHY_LINK},
    {"directReports", WHY_LINK},
    {"manager", WHY_REFERENCE},
    {"member", WHY_REFERENCE},
    {"uniqueMember", WHY_REFERENCE},
    {"managedObjects", WHY_LINK},
    {"distinguishedName", WHY_SERVER},
    {"entryDN", WHY_SERVER},
    {"entryUUID", WHY_SERVER},
    {"entryCSN", WHY_SERVER},
    {"objectGUID", WHY_SERVER},
    {"objectClass", WHY_SERVER},
    {"objectCategory", WHY_SERVER},
    {"structuralObjectClass", WHY_SERVER},
    {"instanceType", WHY_SERVER},
    {"whenCreated", WHY_SERVER},
    {"whenChanged", WHY_SERVER},
    {"createTimestamp", WHY_SERVER},
    {"modifyTimestamp", WHY_SERVER},
    {"creatorsName", WHY_SERVER},
    {"modifiersName", WHY_SERVER},
    {"uSNCreated", WHY_SERVER},
    {"uSNChanged", WHY_SERVER},
    {"replPropertyMetaData", WHY_SERVER},
    {"dSCorePropagationData", WHY_SERVER},
};
#define NEVER (sizeof(never) / sizeof(never[0]))

/* What schemas of one's own and of other products call it, in small letters. A
 * secretary, and when a password was set, are no credentials. */
static const struct {
	const char *word;
	bool at_end;
} telling[] = {
    {"password", false},
    {"passwd", false},
    {"passphrase", false},
    {"privatekey", false},
    {"secretkey", false},
    {"pinchecksum", false}, /* of Exchange's unified messaging */
    {"secret", true},
    {"pwd", true},
};

static bool
tells_credential(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
		size_t word = strlen(telling[i].word);
		size_t from = len < word          ? SIZE_MAX
			      : telling[i].at_end ? len - word
						  : 0;

		for (; from != SIZE_MAX && from + word <= len; from++)
			if (strncasecmp(name + from, telling[i].word, word) ==
			    0)
				return true;
	}
	return false;
}

const char *
attributes_forbidden(const char *name)
{
	for (size_t i = 0; i < NEVER; i++)
		if (nametable_matches(never[i].pattern, name))
			return never[i].why;
	return tells_credential(name) ? WHY_CREDENTIAL : NULL;
}

const char *
attributes_traits_forbidden(unsigned traits, bool names)
{
	if ((traits & SCHEMA_DESCRIPTOR) != 0)
		return WHY_SECURITY;
	if ((traits & SCHEMA_SID) != 0)
		return WHY_SID;
	if ((traits & SCHEMA_CONFIDENTIAL) != 0)
		return WHY_CONFIDENTIAL;
	if ((traits & SCHEMA_BACK_LINK) != 0)
		return WHY_LINK;
	if ((traits & SCHEMA_OPERATIONAL) != 0)
		return WHY_SERVER;
	return (traits & SCHEMA_NAMES) != 0 && !names ? WHY_NAME : NULL;
}
