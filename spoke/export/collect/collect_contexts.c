/*
 * Which naming contexts there are is asked of the directory, and a context that
 * is not named any more is not read: a slapd without one of its databases, an
 * account that lost sight of a domain. Then everybody in it would look deleted.
 *
 * Note "contexts": the names of those that were read and that the directory
 * names itself, each ended by a NUL.
 */
#include "common/ldap/dn.h"
#include "spoke/export/collect/collect_internal.h"
#include "spoke/export/shape/named.h"

#define CONTEXTS_NOTE "contexts"

/* Managers come along from anywhere. FOREST_NONE: one that is not there. */
static bool
is_read(const struct collector *c, size_t context)
{
	return scope_reads(c->scope, context) || named_managers(c->policy);
}

/* Only the configuration names it, and may stop to. */
static bool
is_configured(const struct collector *c, const char *dn)
{
	const struct spoke_directory *d = &c->options->conf->directory;

	if (dialect_kind(c->dialect) != DIALECT_OPENLDAP)
		return false;
	for (size_t i = 0; i < d->domain_count; i++)
		if (dn_equal(d->domains[i].context, dn))
			return true;
	return false;
}

/* Is it there, or not to be looked into? */
static bool
is_accounted(const struct collector *c, const char *dn)
{
	const struct spoke_directory *d = &c->options->conf->directory;

	for (size_t i = 0; i < forest_count(c->forest); i++)
		if (dn_equal(forest_dn(c->forest, i), dn))
			return true;
	for (size_t i = 0; i < d->domain_count; i++)
		if (!d->domains[i].enabled &&
		    dn_is_below(dn, d->domains[i].context, true))
			return true;
	return false;
}

int
collect_contexts_check(struct collector *c, struct err *err)
{
	struct buf note;
	int rc;

	if (c->replica == NULL || c->options->count_only ||
	    c->options->allow_empty || !is_read(c, FOREST_NONE))
		return 0;
	buf_init(&note, COLLECT_NOTE_MAX);
	rc = replica_note_get(c->replica, CONTEXTS_NOTE, &note, err);
	for (const char *dn = buf_cstr(&note), *end = dn + note.len;
	     rc == 0 && dn < end; dn += strlen(dn) + 1)
		if (!is_accounted(c, dn))
			rc = err_set(err, ERR_CONFIG,
			    "the naming context %s was read last time, and %s "
			    "does not name it any more: is its database open, "
			    "and may the account still see it? If it is gone "
			    "for good, run once with --allow-empty; if it is "
			    "not to be read, give it enabled = false in "
			    "directory.domains of spoke.conf",
			    dn, session_uri(forest_session(c->forest)));
	buf_fini(&note);
	return rc;
}

int
collect_contexts_keep(struct collector *c, struct err *err)
{
	struct buf note;
	int rc;

	buf_init(&note, COLLECT_NOTE_MAX);
	for (size_t i = 0; i < forest_count(c->forest); i++) {
		const char *dn = forest_dn(c->forest, i);

		if (is_read(c, i) && !is_configured(c, dn))
			buf_add(&note, slice_make(dn, strlen(dn) + 1));
	}
	rc = buf_check(&note, "naming contexts", err);
	if (rc == 0)
		rc = replica_note_set(
		    c->replica, CONTEXTS_NOTE, buf_slice(&note), err);
	buf_fini(&note);
	return rc;
}
