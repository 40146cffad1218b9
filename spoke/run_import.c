#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/exchange.h"
#include "spoke/import/import.h"
#include "spoke/pins.h"
#include "spoke/run_internal.h"

/* For the answer to changed wants; a hub that has nothing says nothing. */
#define IMPORT_WANTS_WAIT_MS 5000

struct importer {
	struct run *run;
	struct exchange exchange;
	struct err trouble; /* the hub is out of reach */
	struct store_stream *rows;
	struct import_stream *streams;
	size_t count;
	char (*reasons)[PINS_REASON_MAX];
	struct import_result result;
};

/* Says what we want, takes what there is. An absent hub is no reason not to
 * look after the contacts that we have. */
static int
fetch(struct importer *x, struct err *err)
{
	struct spoke *s = &x->run->spoke;
	int64_t wait = x->run->conf->wait_ms;
	bool sent, wants;

	if (fetch_acknowledge(s, &sent, &wants, err) < 0)
		return -1;
	if (wants && wait > IMPORT_WANTS_WAIT_MS)
		wait = IMPORT_WANTS_WAIT_MS;
	if (exchange_round(&x->exchange, wants ? 1 : 0, wait, &x->trouble) == 0)
		return 0;
	if (x->trouble.class != ERR_TEMPORARY)
		return err_set(err, x->trouble.class, "%s", x->trouble.message);
	/* The hub is there and had nothing: that is no trouble. */
	if (wants && x->exchange.counters.bytes_in > 0)
		err_clear(&x->trouble);
	return 0;
}

static int
streams_list(struct importer *x, struct err *err)
{
	struct spoke *s = &x->run->spoke;

	if (store_streams_list(s->store, &x->rows, &x->count, err) < 0)
		return -1;
	x->streams = mem_calloc(x->count + 1, sizeof(*x->streams));
	x->reasons = mem_calloc(x->count + 1, sizeof(*x->reasons));
	for (size_t i = 0; i < x->count; i++) {
		struct import_stream *stream = &x->streams[i];
		const struct store_stream *row = &x->rows[i];
		int good = pins_stream_good(s->store, s->registry, row->member,
		    row->stream, x->reasons[i], err);

		if (good < 0)
			return -1;
		stream->member = row->member;
		stream->stream = row->stream;
		stream->path =
		    store_stream_path(x->run->conf, row->member, row->stream);
		if (good == 0)
			stream->held = x->reasons[i];
		else if (row->version == 0)
			stream->held = row->refusal[0] != '\0'
					   ? row->refusal
					   : "nothing came yet";
	}
	return 0;
}

static void
streams_free(struct importer *x)
{
	for (size_t i = 0; x->streams != NULL && i < x->count; i++)
		free((void *)(uintptr_t)x->streams[i].path);
	free(x->streams);
	free(x->reasons);
	free(x->rows);
}

static void
number(struct importer *x, const char *key, const char *words, uint64_t n,
    bool always)
{
	buf_addf(&x->run->json, ",\"%s\":%llu", key, (unsigned long long)n);
	if (n > 0 || always)
		buf_addf(&x->run->text, "%s%llu %s",
		    x->run->text.len > 0 ? ", " : "", (unsigned long long)n,
		    words);
}

static void
summary(struct importer *x)
{
	const struct import_result *r = &x->result;
	const struct carrier_counters *wire = &x->exchange.counters;
	struct buf *text = &x->run->text;
	struct buf *json = &x->run->json;

	buf_addf(json, ",\"kind\":\"import\",\"read\":%s",
	    r->unchanged ? "false" : "true");
	number(x, "added", "added", r->added, true);
	number(x, "modified", "modified", r->modified, true);
	number(x, "renamed", "renamed", r->renamed, false);
	number(x, "deleted", "deleted", r->deleted, true);
	number(x, "unchanged", "unchanged", r->same, !r->unchanged);
	number(x, "exists", "not imported (address exists here)", r->exists,
	    false);
	number(x, "foreign", "left out (foreign domain)", r->foreign, false);
	number(x, "unusable", "left out (unusable)", r->unusable, false);
	number(x, "quarantined", "quarantined", r->quarantined, false);
	number(x, "detached", "detached", r->detached, false);
	number(x, "held_streams", "streams held", r->held_streams, false);
	if (r->unchanged)
		buf_add_str(text, "; nothing to do");
	buf_addf(text, "; %llu bytes sent, %llu received",
	    (unsigned long long)wire->bytes_out,
	    (unsigned long long)wire->bytes_in);
	buf_addf(json,
	    ",\"messages\":%u,\"streams_changed\":%u,\"streams_refused\":%u,"
	    "\"bytes_sent\":%llu,\"bytes_received\":%llu",
	    x->exchange.fetch.messages, x->exchange.fetch.changed,
	    x->exchange.fetch.streams_refused,
	    (unsigned long long)wire->bytes_out,
	    (unsigned long long)wire->bytes_in);
}

static void
trouble_add(struct importer *x, const char *text)
{
	if (text[0] == '\0')
		return;
	buf_addf(&x->run->text, "; %s", text);
	buf_add_str(&x->run->json, ",\"trouble\":");
	buf_add_json(&x->run->json, slice_str(text));
}

static void
conclude(struct importer *x, int *out_code)
{
	const struct import_result *r = &x->result;
	const struct fetch_result *f = &x->exchange.fetch;

	*out_code = EXIT_DONE;
	if (x->trouble.class != ERR_NONE || r->quarantined > 0 ||
	    f->streams_refused > 0)
		*out_code = EXIT_PARTLY;
	if (f->refused > 0)
		*out_code = EXIT_FAILED;
	if (r->held_streams > 0 || f->members_held > 0)
		*out_code = EXIT_HELD;
	if (r->held_streams > 0)
		trouble_add(x, r->held_text);
	else if (x->trouble.class != ERR_NONE)
		trouble_add(x, x->trouble.message);
	else if (r->quarantined > 0)
		trouble_add(x, r->quarantine_text);
	else
		trouble_add(x, f->text);
}

/* For the next acknowledgement: what arrived is one thing, what was written
 * another. */
static int
applied_keep(struct importer *x, struct err *err)
{
	struct spoke_store *store = x->run->spoke.store;
	const struct import_result *r = &x->result;

	if (r->unchanged)
		return 0;
	return fetch_written_keep(store, x->run->importing->name,
	    r->added + r->modified + r->same,
	    r->foreign + r->unusable + r->quarantined, err);
}

/* Another number of contacts goes to the hub at once; with no front of ours it
 * waits in the out box until there is one. */
static int
applied_tell(struct importer *x, struct err *err)
{
	bool sent, answer;
	struct err late = {0};

	if (applied_keep(x, err) < 0 ||
	    fetch_acknowledge(&x->run->spoke, &sent, &answer, err) < 0)
		return -1;
	if (!sent || x->run->options->no_front || x->trouble.class != ERR_NONE)
		return 0;
	if (exchange_round(&x->exchange, 0, x->run->conf->wait_ms, &late) < 0)
		log_debug(
		    "numbers wait for the hub reason=\"%s\"", late.message);
	return 0;
}

int
run_import(struct run *run, int *out_code, struct err *err)
{
	struct importer x = {.run = run,
	    .exchange = {
		.spoke = &run->spoke, .no_front = run->options->no_front}};
	struct import_input input = {.conf = run->conf,
	    .policy = run->importing,
	    .me = run->spoke.identity.member,
	    .force = run->options->full};
	int rc = -1;

	if (!run->options->no_front && fetch(&x, err) < 0)
		goto out;
	if (run->spoke.registry == NULL) {
		(void)err_set(err, ERR_TEMPORARY,
		    "there is no registry yet: join again, or wait for the "
		    "hub");
		goto out;
	}
	input.registry = run->spoke.registry;
	if (streams_list(&x, err) < 0)
		goto out;
	input.streams = x.streams;
	input.stream_count = x.count;
	if (import_run(&input, &x.result, err) < 0)
		goto out;
	if (applied_tell(&x, err) < 0)
		goto out;
	summary(&x);
	conclude(&x, out_code);
	rc = 0;
out:
	streams_free(&x);
	return rc;
}
