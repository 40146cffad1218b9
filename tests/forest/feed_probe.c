/*
 * What a change feed says, for the tests in Python:
 *
 *   feed_probe URI WHO PASSWORD CA BASE KIND COOKIE
 *
 * COOKIE is hexadecimal, "" for none. Prints a line of JSON an event, then one
 * with answer, reason, kind and the new cookie; exit code 1 and the message on
 * an error.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/feed.h"

static const char *const events[] = {
    [FEED_CHANGED] = "changed",
    [FEED_DELETED] = "deleted",
    [FEED_PRESENT] = "present",
};
static const char *const answers[] = {
    [FEED_ANSWER_NONE] = "none",
    [FEED_ANSWER_TOUCHED] = "touched",
    [FEED_ANSWER_SWEEP] = "sweep",
    [FEED_ANSWER_FULL] = "full",
};

static enum feed_kind
kind_parse(const char *name)
{
	for (int kind = 0; kind < FEED_KIND_COUNT; kind++)
		if (strcmp(feed_kind_name((enum feed_kind)kind), name) == 0)
			return (enum feed_kind)kind;
	return FEED_KIND_COUNT;
}

static void
print_end(struct feed *feed, struct buf *line)
{
	struct err err = {0};
	struct buf cookie;

	buf_init(&cookie, FEED_COOKIE_MAX + 1024);
	if (feed_cookie(feed, &cookie, &err) < 0)
		abort();
	buf_reset(line);
	buf_addf(line, "{\"answer\": \"%s\", \"kind\": \"%s\", \"reason\": ",
	    answers[feed_answer(feed)], feed_kind_name(feed_kind(feed)));
	buf_add_json(line, slice_str(feed_reason(feed)));
	buf_add_str(line, ", \"cookie\": \"");
	buf_add_hex(line, buf_slice(&cookie));
	buf_add_str(line, "\"}");
	puts(buf_cstr(line));
	buf_fini(&cookie);
}

static int
probe_feed(struct feed *feed, struct err *err)
{
	struct feed_touched touched;
	char text[ID_HEX_SIZE];
	struct buf line;
	int rc;

	buf_init(&line, 1 << 20);
	while ((rc = feed_step(feed, &touched, err)) == 1) {
		buf_reset(&line);
		buf_addf(&line, "{\"id\": \"%s\", \"event\": \"%s\", \"dn\": ",
		    id_format(&touched.id, text), events[touched.event]);
		buf_add_json(
		    &line, slice_str(touched.dn == NULL ? "" : touched.dn));
		buf_add_byte(&line, '}');
		puts(buf_cstr(&line));
	}
	if (rc == 0)
		print_end(feed, &line);
	buf_fini(&line);
	return rc;
}

static int
probe_run(char **argv, struct err *err)
{
	const char *uris[] = {argv[1]};
	struct session_options options = {.uris = uris,
	    .uri_count = 1,
	    .tls = SESSION_TLS_NONE,
	    .bind = SESSION_SIMPLE,
	    .bind_dn = argv[2],
	    .password = slice_str(argv[3]),
	    .ca_file = argv[4],
	    .connect_timeout_ms = 5000,
	    .timeout_ms = 20000};
	size_t cookie_len = strlen(argv[7]) / 2;
	uint8_t *cookie = mem_calloc(cookie_len + 1, 1);
	struct feed_options how = {.base = argv[5],
	    .kind = kind_parse(argv[6]),
	    .cookie = slice_make(cookie, cookie_len)};
	struct session *session = NULL;
	struct dialect *dialect = NULL;
	struct feed *feed = NULL;
	int rc = -1;

	if (id_unhex(slice_str(argv[7]), cookie, cookie_len, err) == 0 &&
	    session_open(&options, &session, err) == 0 &&
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, err) == 0 &&
	    feed_open(session, dialect, &how, &feed, err) == 0)
		rc = probe_feed(feed, err);
	feed_close(feed);
	dialect_close(dialect);
	session_close(session);
	free(cookie);
	return rc;
}

int
main(int argc, char **argv)
{
	struct err err = {0};

	if (argc != 8 || kind_parse(argv[6]) == FEED_KIND_COUNT)
		return EXIT_USAGE;
	if (probe_run(argv, &err) == 0)
		return EXIT_DONE;
	printf("%s\n", err.message);
	return EXIT_FAILED;
}
