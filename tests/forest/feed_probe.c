/*
 * What a change feed says, for the tests in Python:
 *
 *   feed_probe URI WHO PASSWORD CA BASE KIND COOKIE
 *
 *   feed_probe URI WHO PASSWORD CA BASE wait MILLISECONDS
 *
 * COOKIE is hexadecimal, "" for none. Prints a line of JSON an event, then one
 * with answer, reason, kind and the new cookie. Waiting prints "ready" once the
 * mark is read, then 1 or 0; what the log says of it goes to standard error.
 * Exit code 1 and the message on an error.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
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
probe_wait(struct session *session, struct dialect *dialect, char **argv,
    struct err *err)
{
	struct feed_wait_options options = {
	    .base = argv[5], .timeout_ms = strtoll(argv[7], NULL, 10)};
	struct buf mark;
	int rc;

	buf_init(&mark, 4096);
	rc = dialect_mark(session, dialect, &mark, err);
	if (rc == 0) {
		puts("ready");
		fflush(stdout);
		options.mark = buf_slice(&mark);
		rc = feed_wait(session, dialect, &options, err);
	}
	if (rc >= 0)
		printf("%d\n", rc);
	buf_fini(&mark);
	return rc < 0 ? -1 : 0;
}

static int
probe_ask(struct session *session, struct dialect *dialect, char **argv,
    struct err *err)
{
	size_t len = strlen(argv[7]) / 2;
	uint8_t *cookie = mem_calloc(len + 1, 1);
	struct feed_options how = {.base = argv[5],
	    .kind = kind_parse(argv[6]),
	    .cookie = slice_make(cookie, len)};
	struct feed *feed = NULL;
	int rc = -1;

	if (id_unhex(slice_str(argv[7]), cookie, len, err) == 0 &&
	    feed_open(session, dialect, &how, &feed, err) == 0)
		rc = probe_feed(feed, err);
	feed_close(feed);
	free(cookie);
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
	struct session *session = NULL;
	struct dialect *dialect = NULL;
	int rc = -1;

	if (session_open(&options, &session, err) == 0 &&
	    dialect_open(session, DIALECT_AUTO, NULL, &dialect, err) == 0)
		rc = strcmp(argv[6], "wait") == 0
			 ? probe_wait(session, dialect, argv, err)
			 : probe_ask(session, dialect, argv, err);
	dialect_close(dialect);
	session_close(session);
	return rc;
}

int
main(int argc, char **argv)
{
	struct err err = {0};

	if (argc != 8 || (kind_parse(argv[6]) == FEED_KIND_COUNT &&
			     strcmp(argv[6], "wait") != 0))
		return EXIT_USAGE;
	log_init("probe", LOG_LEVEL_DEBUG);
	/* As the programs do: the directory may go first. */
	signal(SIGPIPE, SIG_IGN);
	if (probe_run(argv, &err) == 0)
		return EXIT_DONE;
	printf("%s\n", err.message);
	return EXIT_FAILED;
}
