#include "spoke/forest_internal.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/ldap/locate.h"

#define TEXT_MAX 16384

/* --- servers --- */

struct forest_server *
forest_server_add(
    struct forest *forest, const struct controller *where, char *context)
{
	struct forest_server *server = mem_calloc(1, sizeof(*server));

	server->where = *where;
	server->context = context;
	buf_init(&server->mark, FOREST_MARK_MAX);
	buf_init(&server->behind, FOREST_MARK_MAX);
	forest->servers = mem_realloc(forest->servers,
	    (forest->server_count + 1) * sizeof(struct forest_server *));
	forest->servers[forest->server_count++] = server;
	return server;
}

static void
server_free(struct forest_server *server)
{
	dialect_close(server->dialect);
	session_close(server->aside);
	session_close(server->session);
	buf_fini(&server->mark);
	buf_fini(&server->behind);
	free(server->setting);
	free(server->domain);
	free(server->uri);
	free(server->context);
	free(server);
}

/* All servers of a forest speak as the first one does. */
static enum dialect_kind
dialect_wanted(const struct forest *forest)
{
	const struct forest_server *first = forest->servers[0];

	return first->dialect != NULL ? dialect_kind(first->dialect)
				      : forest->conf->directory.dialect;
}

/* Does the server hold what it was asked for? */
static int
server_check(const struct forest_server *server, struct err *err)
{
	size_t count;
	const char *const *names = dialect_contexts(server->dialect, &count);

	if (server->context == NULL || server->context[0] == '\0')
		return 0;
	for (size_t i = 0; i < count; i++)
		if (dn_equal(names[i], server->context))
			return 0;
	return err_set(err, ERR_CONFIG,
	    "%s: %s holds %s%s, not this: correct context or uri",
	    server->where.setting, session_uri(server->session), names[0],
	    count > 1 ? " and others" : "");
}

int
forest_server_open(
    struct forest *forest, struct forest_server *server, struct err *err)
{
	const struct spoke_directory *d = &forest->conf->directory;

	if (server->dialect != NULL)
		return 0;
	session_close(server->aside);
	session_close(server->session);
	server->aside = server->session = NULL;
	if (controller_open(d, &server->where, &server->session, err) < 0)
		return -1;
	if (dialect_open(server->session, dialect_wanted(forest), d->provenance,
		&server->dialect, err) < 0)
		return err_prepend(err, "%s", server->where.setting);
	buf_reset(&server->mark);
	if (server_check(server, err) < 0 ||
	    dialect_mark(server->session, server->dialect, &server->mark, err) <
		0 ||
	    forest_server_judge(forest, server, err) < 0) {
		dialect_close(server->dialect);
		server->dialect = NULL;
		return -1;
	}
	return 0;
}

/* --- the forest --- */

int
forest_open(
    const struct spoke_conf *conf, struct forest **out_forest, struct err *err)
{
	const struct controller first = controller_first(&conf->directory);
	struct forest *forest = mem_calloc(1, sizeof(*forest));
	struct forest_server *server;
	size_t count;

	*out_forest = NULL;
	forest->conf = conf;
	buf_init(&forest->reach, FOREST_REACH_MAX);
	server = forest_server_add(forest, &first, NULL);
	if (forest_server_open(forest, server, err) < 0)
		goto fail;
	server->context =
	    mem_strdup(dialect_contexts(server->dialect, &count)[0]);
	if (forest_places_find(forest, err) < 0)
		goto fail;
	*out_forest = forest;
	return 0;
fail:
	forest_close(forest);
	return -1;
}

void
forest_close(struct forest *forest)
{
	if (forest == NULL)
		return;
	for (size_t i = 0; i < forest->server_count; i++)
		server_free(forest->servers[i]);
	for (size_t i = 0; i < forest->place_count; i++)
		free(forest->places[i].dn);
	free(forest->servers);
	free(forest->places);
	free(forest->root_domain);
	buf_fini(&forest->reach);
	free(forest);
}

size_t
forest_count(const struct forest *forest)
{
	return forest->place_count;
}

const char *
forest_dn(const struct forest *forest, size_t index)
{
	return forest->places[index].dn;
}

/* The context that holds a DN and is switched off: it does not fall to the one
 * above it. above: FOREST_NONE, or the index of one. NULL: there is none. */
static const char *
switched_off(const struct forest *forest, const char *dn, size_t above)
{
	const struct spoke_directory *d = &forest->conf->directory;

	for (size_t i = 0; i < d->domain_count; i++)
		if (!d->domains[i].enabled &&
		    dn_is_below(dn, d->domains[i].context, true) &&
		    (above == FOREST_NONE ||
			dn_is_below(d->domains[i].context,
			    forest->places[above].dn, false)))
			return d->domains[i].context;
	return NULL;
}

size_t
forest_find(const struct forest *forest, const char *dn)
{
	size_t found = FOREST_NONE;

	for (size_t i = 0; i < forest->place_count; i++) {
		const char *context = forest->places[i].dn;

		/* Of two that hold it one lies below the other. */
		if (dn_is_below(dn, context, true) &&
		    (found == FOREST_NONE ||
			dn_is_below(context, forest->places[found].dn, false)))
			found = i;
	}
	return found == FOREST_NONE || switched_off(forest, dn, found) != NULL
		   ? FOREST_NONE
		   : found;
}

struct dialect *
forest_dialect(const struct forest *forest)
{
	return forest->servers[0]->dialect;
}

struct session *
forest_session(const struct forest *forest)
{
	return forest->servers[0]->session;
}

const char *
forest_where(const struct forest *forest, const char *dn)
{
	size_t index = forest_find(forest, dn);
	const struct forest_server *server = index == FOREST_NONE
						 ? forest->servers[0]
						 : forest->places[index].server;

	return server->session != NULL ? session_uri(server->session)
				       : server->context;
}

int
forest_context(struct forest *forest, size_t index,
    const struct forest_context **out_context, struct err *err)
{
	struct forest_place *place = &forest->places[index];

	if (forest_server_open(forest, place->server, err) < 0)
		return -1;
	place->context = (struct forest_context){
	    place->dn, place->server->session, place->server->dialect};
	*out_context = &place->context;
	return 0;
}

int
forest_session_aside(struct forest *forest, size_t index,
    struct session **out_session, struct err *err)
{
	struct forest_server *server = forest->places[index].server;
	struct controller same = server->where;
	const char *uri;

	if (forest_server_open(forest, server, err) < 0)
		return -1;
	uri = session_uri(server->session);
	same.uris = &uri;
	same.uri_count = 1;
	same.domain = NULL;
	if (server->aside == NULL && controller_open(&forest->conf->directory,
					 &same, &server->aside, err) < 0)
		return -1;
	*out_session = server->aside;
	return 0;
}

int
forest_context_of(struct forest *forest, const char *dn,
    const struct forest_context **out_context, struct err *err)
{
	size_t index = forest_find(forest, dn);
	const char *off = switched_off(forest, dn, FOREST_NONE);
	struct buf text;

	if (index != FOREST_NONE)
		return forest_context(forest, index, out_context, err);
	if (off != NULL)
		return err_set(err, ERR_CONFIG,
		    "%s lies in %s, which is not looked into: set enabled = "
		    "true for it in directory.domains, or correct it",
		    dn, off);
	buf_init(&text, TEXT_MAX);
	forest_places_text(forest, &text);
	(void)err_set(err, ERR_CONFIG,
	    "%s lies in no naming context of this directory, which has: %s; "
	    "correct it, or add its naming context to directory.domains in "
	    "spoke.conf",
	    dn, buf_cstr(&text));
	buf_fini(&text);
	return -1;
}

/* --- the global catalogue --- */

bool
forest_spans_domains(const struct forest *forest)
{
	return forest->domain_count > 1;
}

/* As it is set; else on the first server, when that is one; else by DNS. */
static int
catalogue_where(struct forest *forest, struct err *err)
{
	const struct spoke_directory *d = &forest->conf->directory;
	struct forest_server *server = forest->catalogue;
	struct buf uri;
	int rc = 0;

	server->where.setting = "global_catalog";
	server->where.catalogue = true;
	server->where.uris = d->catalogue_uris;
	server->where.uri_count = d->catalogue_uri_count;
	if (d->catalogue_uri_count > 0)
		return 0;
	server->where.domain = forest->root_domain;
	if (!forest->first_is_catalogue)
		return 0;
	buf_init(&uri, TEXT_MAX);
	rc = locate_catalogue_uri(
	    session_uri(forest->servers[0]->session), &uri, err);
	if (rc == 0) {
		free(server->uri);
		server->uri = mem_strdup(buf_cstr(&uri));
		server->where.uris = (const char *const *)&server->uri;
		server->where.uri_count = 1;
	}
	buf_fini(&uri);
	return rc;
}

int
forest_catalogue(struct forest *forest,
    const struct forest_context **out_context, struct err *err)
{
	const struct controller none = {0};

	*out_context = NULL;
	if (forest->root_domain == NULL)
		return 0;
	if (forest->catalogue == NULL)
		forest->catalogue =
		    forest_server_add(forest, &none, mem_strdup(""));
	if (forest->catalogue->dialect == NULL &&
	    (catalogue_where(forest, err) < 0 ||
		forest_server_open(forest, forest->catalogue, err) < 0))
		return -1;
	forest->catalogue_context = (struct forest_context){
	    "", forest->catalogue->session, forest->catalogue->dialect};
	*out_context = &forest->catalogue_context;
	return 1;
}

/* --- marks --- */

/* One line a server: its context, a tab, its mark. */
int
forest_mark(struct forest *forest, bool now, struct buf *out, struct err *err)
{
	size_t start = out->len;
	struct buf mark;
	int rc = 0;

	buf_init(&mark, FOREST_MARK_MAX);
	for (size_t i = 0; rc == 0 && i < forest->server_count; i++) {
		struct forest_server *server = forest->servers[i];

		if (server->dialect == NULL)
			continue;
		buf_reset(&mark);
		if (now)
			rc = dialect_mark(
			    server->session, server->dialect, &mark, err);
		else
			buf_add(&mark, buf_slice(&server->mark));
		if (rc == 0 && mark.len == 0) {
			buf_truncate(out, start);
			break;
		}
		buf_addf(out, "%s\t%s\n", server->context, buf_cstr(&mark));
	}
	buf_fini(&mark);
	return rc < 0 ? -1 : buf_check(out, "mark", err);
}

/* The server that a line of a mark stands for, connected. 1, 0 none, -1. */
static int
server_of_mark(struct forest *forest, struct slice name,
    struct forest_server **out_server, struct err *err)
{
	const struct forest_context *ignored;

	if (name.len == 0 && forest_catalogue(forest, &ignored, err) < 0)
		return -1;
	for (size_t i = 0; i < forest->server_count; i++) {
		struct forest_server *server = forest->servers[i];

		if (!slice_equal_case(slice_str(server->context), name))
			continue;
		*out_server = server;
		return forest_server_open(forest, server, err) < 0 ? -1 : 1;
	}
	return 0;
}

/* The next line of a mark. */
static bool
mark_line(struct slice *mark, struct slice *out_name, struct slice *out_value)
{
	size_t end = slice_find(*mark, '\n');
	struct slice line = slice_sub(*mark, 0, end);
	size_t tab = slice_find(line, '\t');

	if (end == SIZE_MAX || tab == SIZE_MAX)
		return false;
	*out_name = slice_sub(line, 0, tab);
	*out_value = slice_sub(line, tab + 1, SIZE_MAX);
	*mark = slice_sub(*mark, end + 1, SIZE_MAX);
	return true;
}

int
forest_mark_holds(
    struct forest *forest, struct slice mark, bool *out_holds, struct err *err)
{
	struct forest_server *server = NULL;
	struct slice name, value;
	int rc;

	*out_holds = false;
	while (mark_line(&mark, &name, &value)) {
		rc = server_of_mark(forest, name, &server, err);
		if (rc <= 0)
			return rc;
		if (!slice_equal(buf_slice(&server->mark), value))
			return 0;
		if (mark.len == 0)
			*out_holds = true;
	}
	return 0;
}

bool
forest_mark_went_back(const struct forest *forest, struct slice mark)
{
	struct slice name, value;

	while (mark_line(&mark, &name, &value))
		for (size_t i = 0; i < forest->server_count; i++) {
			const struct forest_server *server = forest->servers[i];

			if (server->dialect != NULL &&
			    slice_equal_case(
				slice_str(server->context), name) &&
			    dialect_mark_is_behind(server->dialect,
				buf_slice(&server->mark), value))
				return true;
		}
	return false;
}

enum stamp_answer
forest_written(const struct forest *forest, const struct search_entry *entry,
    struct slice mark)
{
	size_t at = forest_find(forest, entry->dn);
	const struct forest_server *server;
	struct slice name, value;

	if (at == FOREST_NONE)
		return STAMP_UNKNOWN;
	server = forest->places[at].server;
	while (server->dialect != NULL && mark_line(&mark, &name, &value))
		if (slice_equal_case(slice_str(server->context), name))
			return stamp_compare(server->dialect, entry, value,
			    buf_slice(&server->mark));
	return STAMP_UNKNOWN;
}
