/*
 * What a person says of this spoke: spoke.conf (identity, state, directory) and
 * policies.d/NAME.conf beside it (exports and imports). Read once at start into
 * constant structs; every text belongs to the struct spoke_conf. DESIGN 8.
 */
#ifndef SPOKE_CONF_H
#define SPOKE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/conf/conf.h"
#include "common/ldap/dialect.h"
#include "common/ldap/feed.h"
#include "common/ldap/session.h"

#define SPOKE_CONF_PATH "/etc/galrelay/spoke.conf"
#define SPOKE_CONF_STATE "/var/lib/galrelay/spoke"
#define SPOKE_CONF_POLICIES_MAX 256
#define SPOKE_CONF_BASES_MAX 64
#define SPOKE_CONF_LIST_MAX 256
#define SPOKE_CONF_DEPTH_MAX 100 /* groups within groups */
#define SPOKE_CONF_URIS_MAX 16
#define SPOKE_CONF_DOMAINS_MAX 64

/* The same everywhere, so that replies to old mail resolve in each forest. */
#define SPOKE_CONF_LEGACY_PREFIX "/o=galrelay/ou=contacts/cn=recipients/cn="

/* A naming context on servers of its own. */
struct spoke_domain {
	const char *context; /* DN */
	bool enabled;        /* false: not looked into */
	const char *const *uris;
	size_t uri_count;
	const char *domain;        /* for SRV, after uris; NULL */
	const char *ca_file;       /* NULL: the directory's */
	const char *user;          /* NULL: the directory's account */
	const char *password_file; /* goes with user */
};

struct spoke_directory {
	const char *const *uris; /* tried in order */
	size_t uri_count;
	const char *domain; /* DNS name for SRV, after uris; NULL */
	const char *site;   /* of Active Directory, before others; NULL */
	const struct spoke_domain *domains;
	size_t domain_count;
	const char *const *catalogue_uris; /* none: found */
	size_t catalogue_uri_count;
	enum session_tls tls;
	bool tls_auto; /* of each server by its own URI */
	enum session_bind bind;
	const char *ca_file;       /* NULL: the system's */
	const char *user;          /* bind DN or user@domain; NULL */
	const char *password_file; /* NULL */
	const char *keytab;        /* NULL */
	const char *principal;     /* NULL */
	enum dialect_kind dialect;
	const char *provenance; /* attribute; NULL: the dialect's default */
	int64_t connect_timeout_ms;
	int64_t timeout_ms; /* of any single answer */
	unsigned page_size;
};

/* One entry of `from`: an OU, a search of the whole forest or one object. */
enum export_scope { EXPORT_THIS_OU, EXPORT_SUB_OUS, EXPORT_SUBTREE };

/* What of a group that is found goes out (FEATURES E4, E5). */
enum export_groups {
	EXPORT_GROUPS_DEFAULT, /* the policy's; none is left once it is read */
	EXPORT_GROUPS_ITSELF,
	EXPORT_GROUPS_MEMBERS,
	EXPORT_GROUPS_BOTH
};
enum export_nested {
	EXPORT_NESTED_DEFAULT,
	EXPORT_NESTED_NO,
	EXPORT_NESTED_YES
};

struct export_base {
	/* Exactly one of these four is there. */
	const char *ou;     /* DN or GUID */
	const char *search; /* expression with * */
	const char *filter; /* LDAP filter, RFC 4515 */
	const char *object; /* DN or GUID */
	/* sub-ous: not the entries directly in the OU */
	enum export_scope scope;
	const char *const *exclude; /* DNs or GUIDs of subtrees left out */
	size_t exclude_count;
	const char *const *kinds; /* of a search; none: all recipients */
	size_t kind_count;
	unsigned kind_set; /* the same as a set of enum dialect_find */
	enum export_groups groups;
	enum export_nested nested;
	/* Levels of groups that are expanded, 1: what is found itself. */
	unsigned depth;
};

enum export_preset { EXPORT_FULL, EXPORT_MINIMAL };
/* Recipients that take no mail from outsiders. */
enum export_closed {
	EXPORT_CLOSED_REPORT, /* exported, counted and named */
	EXPORT_CLOSED_LEAVE_OUT,
	EXPORT_CLOSED_INCLUDE
};
/* Target address of users who have one of their own. */
enum export_forwarded { EXPORT_FORWARDED_PRIMARY, EXPORT_FORWARDED_TARGET };

/* Exchange itself never makes a contact with it; synchronisation between
 * forests by Microsoft's identity managers does. */
#define EXPORT_FOREIGN_DEFAULT "contact:msExchOriginatingForest=*"

struct export_policy {
	const char *name; /* the stream's name */
	bool enabled;
	const char *tag; /* first segment is the member */
	const struct export_base *bases;
	size_t base_count;
	/* What the entries of `from` do not say of groups themselves. */
	enum export_groups groups;
	bool nested;
	unsigned depth;
	/* Members, with those of the groups that it names, in one order; none:
	 * all. Of groups only the names. */
	const char *const *audience;
	size_t audience_count;
	const char *const *audience_groups;
	size_t audience_group_count;
	bool hidden;                /* E8: hidden objects too */
	const char *mark;           /* E9: "NoGALsync"; "" switches it off */
	const char *mark_attribute; /* where the mark may stand too; NULL */
	bool disabled;              /* E7: disabled accounts too */
	enum export_forwarded forwarded;
	enum export_closed closed;        /* E20 */
	const char *const *foreign_marks; /* E19, facts.h */
	size_t foreign_mark_count;
	bool source_dn;  /* E10: DNs; else ids stand for them */
	bool delegation; /* E14 */
	/* E10: attribute names. The preset's, then minus deny, plus allow. */
	enum export_preset preset;
	const char *const *allow;
	size_t allow_count;
	const char *const *deny;
	size_t deny_count;
	bool memberships;    /* E11: ids of the members of groups */
	bool manager;        /* E12: the manager's id, and the manager */
	uint64_t minimum;    /* E15: fewer objects: nothing is sent */
	uint64_t max_errors; /* E15: more unreadable entries: nothing is sent */
	/* More deletions than both hold the run (exit 3). */
	unsigned max_delete_percent;
	uint64_t max_delete_count;
	/* The same of objects that lose an attribute. */
	unsigned max_clear_percent;
	uint64_t max_clear_count;
	int64_t every_ms;    /* schedule; 0: only by hand */
	int64_t deadline_ms; /* of one run */
	int64_t lifetime_ms; /* of the manifest */
	int64_t proof_ms;    /* read whole at least this often */
	enum feed_kind feed; /* how to find what changed in between */
	/* serve follows changes, at most once in this time; 0: schedule only */
	int64_t settle_ms;
};

enum import_hidden {
	IMPORT_HIDDEN_KEEP,
	IMPORT_HIDDEN_SHOW,
	IMPORT_HIDDEN_ALL
};
enum import_rich_text {
	IMPORT_RICH_TEXT_DEFAULT,
	IMPORT_RICH_TEXT_NEVER,
	IMPORT_RICH_TEXT_ALWAYS
};

struct import_policy {
	const char *name;
	bool enabled;
	const char *const *tags; /* patterns, registry_tag_match() */
	size_t tag_count;
	const char *into; /* DN of the import OU */
	/* More deletions of one stream than both hold it (exit 3). */
	unsigned max_delete_percent; /* default 10 */
	uint64_t max_delete_count;   /* default 50 */
	enum import_hidden hidden;
	enum import_rich_text rich_text;
	int64_t every_ms;    /* schedule; 0: only by hand */
	int64_t deadline_ms; /* of one run */
	/* Read the import OU and the forest's addresses whole at least this
	 * often, even when no mark and no stream changed. */
	int64_t proof_ms;
};

/* Members under one name, for audiences: "@name". */
struct member_group {
	const char *name;
	const char *const *members;
	size_t member_count;
};

struct spoke_conf {
	const char *path;     /* of spoke.conf */
	const char *name;     /* member name; NULL: the one given at join */
	const char *state;    /* directory */
	const char *policies; /* directory of *.conf */
	const char *machine_id_file;
	const char *user;          /* to become when started by root; NULL */
	const char *legacy_prefix; /* legacyExchangeDN of created contacts */
	uint64_t spool_quota;      /* bytes */
	int64_t wait_ms;           /* for the hub in one-shot runs */
	struct spoke_directory directory;
	const struct member_group *member_groups;
	size_t member_group_count;
	const struct export_policy *exports;
	size_t export_count;
	const struct import_policy *imports;
	size_t import_count;
	struct arena *arena; /* keeps the texts */
};

/* Of spoke.conf and of a policy file, for tests and galrelay(5). */
extern const struct conf_table spoke_conf_table;
extern const struct conf_table spoke_conf_policy_table;

/* Reads spoke.conf and its policies. Class config with file, line and cure: an
 * unknown key, a wrong type, a value out of range, a name twice. Needs no
 * network and opens no secret. spoke_conf_free(NULL) is legal. */
int spoke_conf_load(
    const char *path, struct spoke_conf **out_conf, struct err *err) ERR_WUR;
void spoke_conf_free(struct spoke_conf *conf);

/* NULL when there is none. Names of exports and imports are distinct. */
const struct export_policy *spoke_conf_export(
    const struct spoke_conf *conf, const char *name);
const struct import_policy *spoke_conf_import(
    const struct spoke_conf *conf, const char *name);

/* How a server at this URI is spoken to; NULL: one that SRV records name. */
enum session_tls spoke_conf_tls(
    const struct spoke_directory *directory, const char *uri);
/* Path of a file in the state directory, in a string that the caller frees. */
char *spoke_conf_state_path(const struct spoke_conf *conf, const char *name);

#endif
