#include "spoke/release.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "spoke/export/collect/collect.h"
#include "spoke/export/collect/hold.h"
#include "spoke/import/import.h"

#define RELEASE_OUT_MAX ((size_t)64 << 20)
#define RELEASE_ARENA_MAX (16 * 1024 * 1024)

struct release {
	const struct release_options *options;
	struct replica *replica;
	struct arena *arena;
	struct hold hold;
	uint64_t gone; /* of which the hold keeps the first */
	struct buf body, out;
};

/* The object as it is published now. */
static int
gone_tell(struct release *r, const struct id *id, bool first, struct err *err)
{
	struct slice name = SLICE_NULL, mail = SLICE_NULL;
	struct object object;
	char hex[ID_HEX_SIZE];
	int rc;

	arena_reset(r->arena);
	buf_reset(&r->body);
	rc = replica_get(r->replica, id, &r->body, err);
	if (rc > 0)
		rc = object_decode(buf_slice(&r->body), r->arena, &object, err);
	if (rc < 0)
		return -1;
	if (r->body.len > 0) {
		name = object_first(&object, "displayName");
		mail = object_first(&object, "mail");
	}
	id_format(id, hex);
	if (r->options->json) {
		buf_addf(&r->out,
		    "%s{\"id\":\"%s\",\"name\":", first ? "" : ",", hex);
		buf_add_json(&r->out, name);
		buf_add_str(&r->out, ",\"mail\":");
		buf_add_json(&r->out, mail);
		buf_add_byte(&r->out, '}');
	} else {
		buf_addf(&r->out, "  %s  ", hex);
		buf_add_text(&r->out, name);
		buf_add_str(&r->out, " <");
		buf_add_text(&r->out, mail);
		buf_add_str(&r->out, ">\n");
	}
	return buf_check(&r->out, "list of deletions", err);
}

static void
head_tell(struct release *r, const char *name)
{
	const struct hold *h = &r->hold;

	if (r->options->json) {
		buf_add_str(&r->out, "{\"policy\":");
		buf_add_json(&r->out, slice_str(name));
		buf_addf(&r->out,
		    ",\"objects\":%llu,\"before\":%llu,\"errors\":%llu,"
		    "\"deletions\":%llu,\"deleted\":[",
		    (unsigned long long)h->exported,
		    (unsigned long long)h->before,
		    (unsigned long long)h->errors, (unsigned long long)r->gone);
		return;
	}
	buf_addf(&r->out, "%s: %llu objects instead of %llu", name,
	    (unsigned long long)h->exported, (unsigned long long)h->before);
	if (h->errors > 0)
		buf_addf(&r->out,
		    ", %llu entries that cannot be read stay as they were",
		    (unsigned long long)h->errors);
	if ((h->guards & HOLD_MEMBERS) != 0)
		buf_add_str(
		    &r->out, ", and a list of members cannot be believed");
	if ((h->guards & HOLD_THERE) != 0)
		buf_add_str(&r->out, ", and some of these may not be gone");
	buf_addf(&r->out, "; %llu would be deleted%s\n",
	    (unsigned long long)r->gone, r->gone > 0 ? ":" : "");
}

/* The settings that hold it; the text of the run has the numbers. */
static void
guards_tell(struct release *r)
{
	static const struct {
		unsigned guard;
		const char *text;
	} known[] = {{HOLD_MINIMUM, "minimum"}, {HOLD_ERRORS, "max_errors"},
	    {HOLD_DELETIONS, "max_delete_percent, max_delete_count"},
	    {HOLD_MEMBERS, "a list of members that cannot be believed"},
	    {HOLD_CLEARED, "max_clear_percent, max_clear_count"},
	    {HOLD_THERE, "deletions that cannot be believed"}};
	bool any = false;

	if (r->options->json)
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if ((r->hold.guards & known[i].guard) == 0)
			continue;
		buf_addf(
		    &r->out, "%s%s", any ? "; " : "  held by ", known[i].text);
		any = true;
	}
	buf_add_byte(&r->out, '\n');
}

/* Attributes that objects would lose. */
static void
cleared_tell(struct release *r)
{
	const struct hold *h = &r->hold;

	if (r->options->json)
		buf_add_str(&r->out, "],\"cleared\":[");
	for (size_t i = 0; i < h->cleared_count; i++) {
		const struct hold_cleared *one = &h->cleared[i];

		if (r->options->json) {
			buf_addf(
			    &r->out, "%s{\"attribute\":", i == 0 ? "" : ",");
			buf_add_json(&r->out, slice_str(one->name));
			buf_addf(&r->out,
			    ",\"lost\":%llu,\"shrunk\":%llu,\"before\":%llu,"
			    "\"unwritten\":%llu}",
			    (unsigned long long)one->lost,
			    (unsigned long long)one->shrunk,
			    (unsigned long long)one->before,
			    (unsigned long long)one->unwritten);
			continue;
		}
		buf_add_str(&r->out, "  ");
		buf_add_text(&r->out, slice_str(one->name));
		buf_addf(&r->out,
		    " would be lost by %llu, and in part by %llu, of %llu "
		    "objects that have it%s\n",
		    (unsigned long long)one->lost,
		    (unsigned long long)one->shrunk,
		    (unsigned long long)one->before,
		    one->unwritten > 0 ? "; nobody wrote to the entries" : "");
	}
}

static int
hold_tell(struct release *r, const char *name, struct err *err)
{
	int rc = hold_get(r->replica, &r->hold, &r->gone, err);

	if (rc == 0)
		rc = err_set(err, ERR_CONFIG,
		    "nothing is held: run the policy first, and look at what "
		    "it holds");
	if (rc < 0)
		return -1;
	head_tell(r, name);
	for (size_t i = 0; i < r->hold.gone.count; i++)
		if (gone_tell(r, &r->hold.gone.list[i], i == 0, err) < 0)
			return -1;
	if (!r->options->json && r->gone > r->hold.gone.count)
		buf_addf(&r->out, "  and %llu more\n",
		    (unsigned long long)(r->gone - r->hold.gone.count));
	cleared_tell(r);
	guards_tell(r);
	return 0;
}

static int
export_release(const struct spoke_conf *conf, const struct export_policy *p,
    const struct release_options *options, struct err *err)
{
	struct release r = {.options = options};
	int rc;

	buf_init(&r.out, RELEASE_OUT_MAX);
	buf_init(&r.body, LIMIT_OBJECT_BYTES);
	r.arena = arena_new(RELEASE_ARENA_MAX);
	rc = collect_replica_open(conf, p, &r.replica, err);
	if (rc == 0 && r.replica == NULL)
		rc = err_set(err, ERR_CONFIG, "it never ran: nothing is held");
	if (rc == 0)
		rc = hold_tell(&r, p->name, err);
	if (rc == 0 && !options->list)
		rc = hold_release(r.replica, err);
	if (rc == 0 && options->json)
		buf_addf(&r.out, "],\"released\":%s}\n",
		    options->list ? "false" : "true");
	else if (rc == 0)
		buf_addf(&r.out, "%s: %s\n", p->name,
		    options->list ? "held; galspoke release lets just this "
				    "through"
				  : "the next run lets just this through");
	if (rc == 0)
		(void)fputs(buf_cstr(&r.out), stdout);
	hold_fini(&r.hold);
	replica_close(r.replica);
	arena_free(r.arena);
	buf_fini(&r.body);
	buf_fini(&r.out);
	return rc;
}

static int
import_tell(const struct spoke_conf *conf, const struct import_policy *p,
    const struct release_options *options, struct err *err)
{
	uint64_t deletions = 0;

	if (options->list)
		return err_set(err, ERR_CONFIG,
		    "--list is for exports: galspoke status shows what an "
		    "import holds");
	if (import_release(conf, p, &deletions, err) < 0)
		return -1;
	(void)printf(options->json
			 ? "{\"policy\":\"%s\",\"deletions\":%llu,"
			   "\"released\":true}\n"
			 : "%s: released %llu deletions for the next run\n",
	    p->name, (unsigned long long)deletions);
	return 0;
}

int
release_policy(const struct spoke_conf *conf, const char *name,
    const struct release_options *options)
{
	const struct export_policy *out = spoke_conf_export(conf, name);
	const struct import_policy *in = spoke_conf_import(conf, name);
	struct err err = {0};
	int rc;

	if (out == NULL && in == NULL) {
		(void)fprintf(stderr,
		    "galspoke: no policy is called \"%s\" (galspoke status "
		    "lists them)\n",
		    name);
		return EXIT_USAGE;
	}
	rc = out != NULL ? export_release(conf, out, options, &err)
			 : import_tell(conf, in, options, &err);
	if (rc == 0)
		return EXIT_DONE;
	log_err(&err, "cannot release policy=%s", name);
	return EXIT_FAILED;
}
