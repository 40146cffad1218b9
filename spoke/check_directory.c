#include "common/base/clock.h"
#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "spoke/check_internal.h"
#include "spoke/export/collect/collect.h"
#include "spoke/export/choose/scope.h"

/* Enough to see that reading works. */
#define CHECK_SAMPLE 1000

struct directory {
	struct check *check;
	struct forest *forest;
	const struct dialect *dialect; /* forest_dialect() */
	struct arena *arena;
};

static int
entry_count(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	unsigned *count = arg;

	(void)entry;
	(void)err;
	*count += !hit->excluded;
	return *count == CHECK_SAMPLE;
}

/* What a policy that is off would meet harms nobody yet. */
static enum check_grade
graded(const struct export_policy *p, enum check_grade grade)
{
	return !p->enabled && grade == CHECK_WARNING ? CHECK_FINE : grade;
}

/* Followed by its id, under a name that the policy does not have. */
static void
check_name(struct directory *d, const struct export_policy *p, const char *name,
    const char *dn)
{
	struct err ignored = {0};
	struct id id;

	if (dn == NULL || dn_equal(name, dn) ||
	    dialect_id_parse(d->dialect, name, &id, &ignored) == 0)
		return;
	check_say(d->check, graded(p, CHECK_WARNING), p->name,
	    "%s is %s now, and is followed: write that into from, for nobody "
	    "would find it by the old name without the state directory",
	    name, dn);
}

/* Nothing was found: as well as can be told why. */
static void
check_nothing(struct directory *d, const struct export_policy *p,
    const struct export_base *base, const char *dn)
{
	const char *off = p->enabled ? "" : "off; ";
	char text[1024];

	(void)scope_text(base, text, sizeof(text));
	if (base->object != NULL && dn == NULL)
		check_say(d->check, graded(p, CHECK_WARNING), p->name,
		    "%s%s does not exist (any more), or the account may not "
		    "see it: correct object in from; if another one was made "
		    "under its name and is meant, run once with --allow-empty",
		    off, text);
	else if (base->search != NULL && strchr(base->search, '=') != NULL)
		check_say(d->check, graded(p, CHECK_WARNING), p->name,
		    "%s%s finds nobody: search looks at names and mail "
		    "addresses; for another attribute write filter = \"(%s)\"",
		    off, text, base->search);
	else
		check_say(d->check, graded(p, CHECK_WARNING), p->name,
		    "%s%s holds nothing that could be exported, or the account "
		    "may not see it",
		    off, text);
}

/* One entry of `from`: what the account sees there, at most CHECK_SAMPLE. */
static void
check_from(struct directory *d, const struct export_policy *p,
    struct scope *scope, size_t index)
{
	static const char *const none[] = {"1.1", NULL};
	const struct export_base *base = &p->bases[index];
	const char *dn = scope_place_dn(scope, index);
	struct err err = {0};
	unsigned count = 0;
	char text[1024];

	(void)scope_text(base, text, sizeof(text));
	if (base->ou != NULL || base->object != NULL)
		check_name(
		    d, p, base->ou != NULL ? base->ou : base->object, dn);
	if (scope_read(scope, index, none, entry_count, &count, &err) < 0)
		check_say(d->check, CHECK_PROBLEM, p->name,
		    "cannot read %s: %s", text, err.message);
	else if (count == 0)
		check_nothing(d, p, base, dn);
	else
		check_say(d->check, CHECK_FINE, p->name, "%s: %u%s candidates",
		    text, count, count == CHECK_SAMPLE ? " or more" : "");
}

static void
check_referrals(struct directory *d, const struct export_policy *p,
    const struct scope *scope)
{
	const char *const *urls;
	size_t count = scope_referrals(scope, &urls);

	for (size_t i = 0; i < count; i++)
		check_say(d->check, CHECK_WARNING, p->name,
		    "what lies behind the referral %s is not exported: let a "
		    "spoke read that server, or exclude the unit that holds "
		    "it",
		    urls[i]);
}

static void
check_export(struct directory *d, const struct export_policy *p)
{
	struct scope_options options = {.forest = d->forest,
	    .dialect = d->dialect,
	    .policy = p,
	    .page_size = d->check->conf->directory.page_size};
	struct scope *scope = NULL;
	struct shape *shape = NULL;
	struct err err = {0};

	/* Knows the schema every attribute that the policy names? */
	if (shape_open_conf(d->check->conf, p, d->dialect, &shape, &err) < 0)
		check_say(d->check, CHECK_PROBLEM, p->name, "%s", err.message);
	shape_close(shape);
	err_clear(&err);
	if (collect_replica_open(d->check->conf, p, &options.replica, &err) <
		0 ||
	    scope_open(&options, &scope, &err) < 0)
		check_say(d->check, CHECK_PROBLEM, p->name, "%s", err.message);
	for (size_t i = 0; scope != NULL && i < p->base_count; i++)
		check_from(d, p, scope, i);
	if (scope != NULL)
		check_referrals(d, p, scope);
	scope_close(scope);
	replica_close(options.replica);
}

static bool
has_value(const struct search_entry *entry, const char *name, const char *value)
{
	const struct search_attribute *a = search_find(entry, name);

	for (size_t i = 0; a != NULL && i < a->value_count; i++)
		if (slice_equal_case(a->values[i], slice_str(value)))
			return true;
	return false;
}

/* Active Directory answers what the account may do (MS-ADTS 3.1.1.4.5.4). */
static void
check_create(struct directory *d, const struct import_policy *p,
    const struct search_entry *entry)
{
	if (dialect_kind(d->dialect) == DIALECT_OPENLDAP)
		check_say(d->check, CHECK_FINE, p->name,
		    "%s exists; slapd does not say beforehand what an account "
		    "may write: the account needs write access to it and its "
		    "children",
		    p->into);
	else if (has_value(entry, "allowedChildClassesEffective", "contact"))
		check_say(d->check, CHECK_FINE, p->name,
		    "contacts may be created in %s", p->into);
	else
		check_say(d->check, CHECK_PROBLEM, p->name,
		    "the account may not create contacts in %s: grant it "
		    "there, for example dsacls \"%s\" /I:T /G "
		    "\"ACCOUNT:CCDC;contact\" and dsacls \"%s\" /I:S /G "
		    "\"ACCOUNT:RPWP;;contact\"",
		    p->into, p->into, p->into);
}

static void
check_import(struct directory *d, const struct import_policy *p)
{
	static const char *const attributes[] = {
	    "objectClass", "allowedChildClassesEffective", NULL};
	const struct forest_context *context;
	struct search_entry entry;
	struct err err = {0};
	int rc;

	arena_reset(d->arena);
	rc = forest_context_of(d->forest, p->into, &context, &err);
	if (rc == 0)
		rc = search_read(context->session, p->into, attributes,
		    d->arena, &entry, &err);
	if (rc < 0)
		check_say(d->check, CHECK_PROBLEM, p->name,
		    "cannot read %s: %s", p->into, err.message);
	else if (rc == 0)
		check_say(d->check, CHECK_PROBLEM, p->name,
		    "%s does not exist: create this OU, empty, for galrelay "
		    "alone",
		    p->into);
	else
		check_create(d, p, &entry);
}

/* Contacts without these cannot be found again or answered. */
static void
check_schema(struct directory *d)
{
	static const char *const wanted[] = {"proxyAddresses", "targetAddress",
	    "mailNickname", "legacyExchangeDN", NULL};

	check_say(d->check, CHECK_FINE, "directory",
	    "%s, dialect %s, contacts are marked in %s",
	    session_uri(forest_session(d->forest)),
	    dialect_kind_name(dialect_kind(d->dialect)),
	    dialect_provenance_attribute(d->dialect));
	if (d->check->conf->import_count == 0 ||
	    dialect_kind(d->dialect) == DIALECT_OPENLDAP)
		return;
	for (size_t i = 0; wanted[i] != NULL; i++)
		if (!dialect_contact_allows(d->dialect, wanted[i]))
			check_say(d->check, CHECK_WARNING, "directory",
			    "contacts cannot carry %s here: the schema has no "
			    "such attribute, and it is left out",
			    wanted[i]);
}

/* Active Directory says what time it is (MS-ADTS 3.1.1.3.2.18), and Kerberos
 * and the hub stop at five minutes. */
static void
check_time(struct directory *d)
{
	static const char *const attributes[] = {"currentTime", NULL};
	struct search_entry entry;
	struct tm tm = {0};
	struct err err = {0};
	struct slice value;
	char text[16];
	int64_t ahead;

	arena_reset(d->arena);
	if (search_read(forest_session(d->forest), "", attributes, d->arena,
		&entry, &err) <= 0)
		return;
	value = search_first(&entry, "currentTime");
	if (value.len < 14)
		return;
	memcpy(text, value.data, 14);
	text[14] = '\0';
	if (strptime(text, "%Y%m%d%H%M%S", &tm) == NULL)
		return;
	ahead = clock_now_ms() - (int64_t)timegm(&tm) * 1000;
	if (ahead > LIMIT_SKEW_MS || ahead < -LIMIT_SKEW_MS)
		check_say(d->check, CHECK_PROBLEM, "clock",
		    "this machine is %lld s %s the domain controller: set up "
		    "time synchronisation",
		    (long long)(ahead < 0 ? -ahead : ahead) / 1000,
		    ahead < 0 ? "behind" : "ahead of");
}

/* Each naming context and the global catalogue, where there are several. */
static void
check_forest(struct directory *d)
{
	const struct forest_context *context;
	struct err err = {0};
	size_t count = forest_count(d->forest);

	for (size_t i = 0; count > 1 && i < count; i++) {
		err_clear(&err);
		if (forest_context(d->forest, i, &context, &err) < 0)
			check_say(d->check, CHECK_PROBLEM, "directory",
			    "%s; if it is not to be looked into, set enabled "
			    "= false for %s in domains",
			    err.message, forest_dn(d->forest, i));
		else
			check_say(d->check, CHECK_FINE, "directory",
			    "naming context %s at %s", context->dn,
			    session_uri(context->session));
	}
	if (!forest_spans_domains(d->forest))
		return;
	err_clear(&err);
	if (forest_catalogue(d->forest, &context, &err) < 0)
		check_say(d->check,
		    d->check->conf->import_count > 0 ? CHECK_PROBLEM
						     : CHECK_WARNING,
		    "directory", "%s", err.message);
	else if (context != NULL)
		check_say(d->check, CHECK_FINE, "directory",
		    "global catalogue at %s", session_uri(context->session));
}

void
check_directory(struct check *c)
{
	const struct spoke_directory *conf = &c->conf->directory;
	struct directory d = {.check = c};
	static const char prefix[] = "directory: ";
	struct err err = {0};

	d.arena = arena_new(4 * 1024 * 1024);
	if (forest_open(c->conf, &d.forest, &err) < 0) {
		const char *message = err.message;

		if (strncmp(message, prefix, sizeof(prefix) - 1) == 0)
			message += sizeof(prefix) - 1;
		check_say(c, CHECK_PROBLEM, "directory",
		    "%s (account %s, password file %s)", message,
		    conf->user != NULL ? conf->user : "none",
		    conf->password_file != NULL ? conf->password_file : "none");
		goto out;
	}
	d.dialect = forest_dialect(d.forest);
	check_schema(&d);
	check_time(&d);
	check_forest(&d);
	for (size_t i = 0; i < c->conf->export_count; i++)
		check_export(&d, &c->conf->exports[i]);
	for (size_t i = 0; i < c->conf->import_count; i++)
		check_import(&d, &c->conf->imports[i]);
out:
	forest_close(d.forest);
	arena_free(d.arena);
}
