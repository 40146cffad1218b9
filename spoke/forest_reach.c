/*
 * Which server of a forest is behind the one that was read in its place before
 * (reach.h). Kept is one line a server: context, URI, reach, with tabs between.
 * The catalogue is not among them: it holds several contexts.
 */
#include "spoke/forest_internal.h"

#include "common/ldap/reach.h"

#define WHY_MAX 1024

struct line {
	struct slice context, uri, reach;
};

static bool
line_take(struct slice *rest, struct line *out)
{
	size_t end = slice_find(*rest, '\n');
	struct slice text = slice_sub(*rest, 0, end);
	size_t tab = slice_find(text, '\t');

	if (end == SIZE_MAX || tab == SIZE_MAX)
		return false;
	*rest = slice_sub(*rest, end + 1, SIZE_MAX);
	out->context = slice_sub(text, 0, tab);
	text = slice_sub(text, tab + 1, SIZE_MAX);
	tab = slice_find(text, '\t');
	out->uri = slice_sub(text, 0, tab);
	out->reach =
	    tab == SIZE_MAX ? SLICE_NULL : slice_sub(text, tab + 1, SIZE_MAX);
	return true;
}

static bool
line_find(struct slice lines, const char *context, struct line *out)
{
	while (line_take(&lines, out))
		if (slice_equal_case(out->context, slice_str(context)))
			return true;
	return false;
}

static bool
is_catalogue(const struct forest_server *server)
{
	return server->context == NULL || server->context[0] == '\0';
}

static struct reach_server
reach_server(const struct forest_server *server)
{
	return (struct reach_server){
	    server->session, server->dialect, server->context};
}

int
forest_server_judge(
    struct forest *forest, struct forest_server *server, struct err *err)
{
	const struct reach_server at = reach_server(server);
	struct line before;
	struct buf why;
	int rc;

	buf_reset(&server->behind);
	if (is_catalogue(server) ||
	    !line_find(buf_slice(&forest->reach), server->context, &before))
		return 0;
	buf_init(&why, WHY_MAX);
	rc =
	    reach_lacks(&at, buf_slice(&server->mark), before.reach, &why, err);
	if (rc == 1)
		buf_addf(&server->behind,
		    "%s is behind the server that was read before (%.*s): %s",
		    session_uri(server->session), SLICE_FMT(before.uri),
		    buf_cstr(&why));
	buf_fini(&why);
	return rc < 0 ? -1 : 0;
}

int
forest_expect(struct forest *forest, struct slice reach, struct err *err)
{
	buf_reset(&forest->reach);
	buf_add(&forest->reach, reach);
	for (size_t i = 0; i < forest->server_count; i++)
		if (forest->servers[i]->dialect != NULL &&
		    forest_server_judge(forest, forest->servers[i], err) < 0)
			return -1;
	return buf_check(&forest->reach, "reach", err);
}

const char *
forest_behind(struct forest *forest)
{
	for (size_t i = 0; i < forest->server_count; i++)
		if (forest->servers[i]->behind.len > 0)
			return buf_cstr(&forest->servers[i]->behind);
	return NULL;
}

static void
line_add(
    struct buf *out, struct slice context, struct slice uri, struct slice reach)
{
	buf_add(out, context);
	buf_add_byte(out, '\t');
	buf_add(out, uri);
	buf_add_byte(out, '\t');
	buf_add(out, reach);
	buf_add_byte(out, '\n');
}

/* Whatever is not connected keeps its line. */
static void
lines_carry(const struct forest *forest, struct buf *out)
{
	struct slice rest = buf_slice(&forest->reach);
	struct line line, taken;

	while (line_take(&rest, &line)) {
		struct slice lines = buf_slice(out);
		bool there = false;

		while (!there && line_take(&lines, &taken))
			there = slice_equal_case(taken.context, line.context);
		if (!there)
			line_add(out, line.context, line.uri, line.reach);
	}
}

int
forest_reach(
    struct forest *forest, bool deleted, struct buf *out, struct err *err)
{
	struct buf reach;
	int rc = 0;

	buf_init(&reach, REACH_MAX);
	for (size_t i = 0; rc == 0 && i < forest->server_count; i++) {
		const struct forest_server *server = forest->servers[i];
		const struct reach_server at = reach_server(server);
		struct line before = {.reach = SLICE_NULL};

		if (server->dialect == NULL || is_catalogue(server))
			continue;
		if (!line_find(
			buf_slice(&forest->reach), server->context, &before))
			before.reach = SLICE_NULL;
		buf_reset(&reach);
		rc = reach_take(&at, before.reach, deleted, &reach, err);
		if (rc == 0 && reach.len > 0)
			line_add(out, slice_str(server->context),
			    slice_str(session_uri(server->session)),
			    buf_slice(&reach));
	}
	buf_fini(&reach);
	if (rc < 0)
		return -1;
	lines_carry(forest, out);
	return buf_check(out, "reach", err);
}
