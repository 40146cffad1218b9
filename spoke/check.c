#include "spoke/check.h"

#include <strings.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/ldap/dn.h"
#include "common/wire/limits.h"
#include "common/wire/registry.h"
#include "spoke/check_internal.h"
#include "spoke/export/audience.h"
#include "spoke/export/publish.h"
#include "spoke/front.h"
#include "spoke/import/import.h"
#include "spoke/spoke.h"

#define CHECK_OUT_MAX (4 * 1024 * 1024)
#define CHECK_STEP_MS 100
#define CHECK_HUB_WAIT_MS 10000

void
check_say(struct check *c, enum check_grade grade, const char *what,
    const char *format, ...)
{
	static const char *const words[] = {"ok", "warning", "problem"};
	va_list args;
	struct buf text;

	buf_init(&text, 8192);
	va_start(args, format);
	{
		char line[4096];

		(void)vsnprintf(line, sizeof(line), format, args);
		buf_add_str(&text, line);
	}
	va_end(args);
	if (grade > c->worst)
		c->worst = grade;
	if (c->json) {
		buf_addf(&c->out, "%s{\"what\":", c->any ? "," : "");
		buf_add_json(&c->out, slice_str(what));
		buf_addf(&c->out, ",\"result\":\"%s\",\"text\":", words[grade]);
		buf_add_json(&c->out, buf_slice(&text));
		buf_add_byte(&c->out, '}');
	} else {
		(void)printf(
		    "%-8s %s: %s\n", words[grade], what, buf_cstr(&text));
		(void)fflush(stdout);
	}
	c->any = true;
	buf_fini(&text);
}

static void
check_audience(struct check *c, const struct export_policy *p)
{
	struct buf absent;
	size_t count;

	if (c->spoke.registry == NULL || p->audience_count == 0)
		return;
	buf_init(&absent, 64 * 1024);
	count = audience_receivers(&c->spoke, p, &absent);
	if (!buf_failed(&absent) && buf_cstr(&absent)[0] != '\0')
		check_say(c, CHECK_WARNING, p->name,
		    "in its audience, but no member of the realm: %s (see "
		    "galspoke members)",
		    buf_cstr(&absent));
	if (count == 0)
		check_say(c, CHECK_WARNING, p->name,
		    "nobody receives it: its audience names no other member");
	buf_fini(&absent);
}

static void
check_identity(struct check *c)
{
	struct err err = {0};
	char hex[ID_HEX_SIZE];

	if (spoke_open(c->conf, &c->spoke, &err) < 0) {
		check_say(c, CHECK_PROBLEM, "identity", "%s", err.message);
		return;
	}
	c->joined = true;
	check_say(c, CHECK_FINE, "identity", "member %s of realm %s",
	    c->spoke.identity.member, id_format(&c->spoke.identity.realm, hex));
	for (size_t i = 0; i < c->conf->export_count; i++) {
		const struct export_policy *p = &c->conf->exports[i];

		err_clear(&err);
		if (publish_tag_check(&c->spoke, p, &err) < 0)
			check_say(c, CHECK_PROBLEM, p->name, "%s", err.message);
		check_audience(c, p);
	}
}

/* Targets leave out every address outside these. */
static void
check_domains(struct check *c, const struct registry_member *me)
{
	struct buf list;

	buf_init(&list, 4096);
	for (size_t i = 0; i < me->domain_count && list.len < 512; i++)
		buf_addf(&list, "%s%s", i == 0 ? "" : ", ", me->domains[i]);
	check_say(c, CHECK_FINE, "registry",
	    "version %llu, %zu members, %zu domains allotted: %.512s",
	    (unsigned long long)c->spoke.registry->version,
	    c->spoke.registry->member_count, me->domain_count, buf_cstr(&list));
	buf_fini(&list);
}

/* The registry's domains of this member are what targets will accept. */
static void
check_registry(struct check *c)
{
	const struct registry_member *me;
	const struct registry_key *key;

	if (!c->joined)
		return;
	if (c->spoke.registry == NULL) {
		check_say(c, CHECK_PROBLEM, "registry",
		    "none is here: join again with the same invitation");
		return;
	}
	me = registry_find(c->spoke.registry, c->spoke.identity.member);
	if (me == NULL || me->revoked) {
		check_say(c, CHECK_PROBLEM, "registry",
		    "this spoke is not a member in force: ask the hub");
		return;
	}
	key = registry_active_key(me, REGISTRY_SIGN);
	if (key == NULL ||
	    id_compare(&key->id, &c->spoke.keys.sign_active.id) != 0)
		check_say(c, CHECK_WARNING, "registry",
		    "the hub's registry lists another signing key than this "
		    "spoke uses: after galspoke keys --rotate wait for the "
		    "hub, else ask there");
	if (me->domain_count == 0)
		check_say(c, CHECK_WARNING, "registry",
		    "no mail domain is allotted: nothing of this forest will "
		    "be imported anywhere; galhub allot %s --domains ...",
		    me->name);
	else
		check_domains(c, me);
}

static int
stream_check(void *arg, const char *name, struct err *err)
{
	struct check *c = arg;
	const char *member = c->spoke.identity.member;
	const struct registry_member *me =
	    registry_find(c->spoke.registry, member);

	(void)err;
	if (spoke_conf_export(c->conf, name) == NULL && me != NULL &&
	    !registry_stream_ended(me, name))
		check_say(c, CHECK_WARNING, name,
		    "no export policy has that name now: others keep what it "
		    "published, which may hide newer values of the same "
		    "people; galhub end %s/%s at the hub ends it",
		    member, name);
	return 0;
}

/* What policies published that were taken out or renamed. */
static void
check_streams(struct check *c)
{
	struct err err = {0};

	if (c->joined && c->spoke.registry != NULL &&
	    store_own_list(c->spoke.store, stream_check, c, &err) < 0)
		check_say(c, CHECK_PROBLEM, "streams", "%s", err.message);
}

#define CHECK_HUB                                                              \
	"see that galhub serve runs there, that its address and port are "     \
	"open "                                                                \
	"from here, and that this member is not revoked"

static void
check_hub(struct check *c)
{
	struct carrier_counters counters = {0};
	char trouble[FRONT_TROUBLE_SIZE];
	char *root;
	struct err err = {0};
	struct front_options options = {.conf = c->conf,
	    .endpoint = c->spoke.identity.address,
	    .hub_curve = c->spoke.identity.hub_curve,
	    .curve = &c->spoke.keys.curve,
	    .deadline_ms = CHECK_HUB_WAIT_MS};

	if (!c->joined)
		return;
	if (front_running(c->conf)) {
		/* A front that has just started says so a little later. */
		for (int i = 0; i < CHECK_HUB_WAIT_MS / CHECK_STEP_MS &&
				!front_connected(c->conf, trouble);
		     i++)
			(void)usleep(CHECK_STEP_MS * 1000);
		if (front_connected(c->conf, trouble))
			check_say(c, CHECK_FINE, "hub",
			    "galspoke serve is connected to %s",
			    options.endpoint);
		else
			check_say(c, CHECK_PROBLEM, "hub",
			    "galspoke serve does not reach %s: %s; " CHECK_HUB,
			    options.endpoint, trouble);
		return;
	}
	root = spoke_conf_state_path(c->conf, "spool");
	options.spool_root = root;
	if (front_once(&options, &counters, &err) < 0)
		check_say(
		    c, CHECK_PROBLEM, "hub", "%s; " CHECK_HUB, err.message);
	else
		check_say(c, CHECK_FINE, "hub", "%s answers, and knows us",
		    options.endpoint);
	free(root);
}

/* The directory's clock stands in for everybody's: Kerberos demands it. */
static void
check_clock(struct check *c)
{
	int64_t now = clock_now_ms();
	char text[CLOCK_TEXT_SIZE];
	int64_t issued;

	if (!c->joined || c->spoke.registry == NULL)
		return;
	issued = c->spoke.registry->issued_at;
	if (issued > now + LIMIT_SKEW_MS)
		check_say(c, CHECK_PROBLEM, "clock",
		    "this machine says %s, but the hub has signed later than "
		    "that: set up time synchronisation",
		    clock_format(now, text));
	else
		check_say(
		    c, CHECK_FINE, "clock", "%s", clock_format(now, text));
}

static const struct export_base *
base_hit(const struct export_policy *p, const char *dn)
{
	for (size_t i = 0; i < p->base_count; i++)
		if (p->bases[i].ou != NULL &&
		    dn_is_below(dn, p->bases[i].ou, true))
			return &p->bases[i];
	return NULL;
}

/* A policy that is off may share the OU of the one that took its place. */
static void
check_into(struct check *c, const struct import_policy *p)
{
	struct err err = {0};

	if (import_into_check(c->conf, p, &err) == 0)
		return;
	if (p->enabled)
		check_say(c, CHECK_PROBLEM, p->name, "%s", err.message);
	else
		check_say(c, CHECK_FINE, p->name, "off, and would not run: %s",
		    err.message);
}

/* What we import must not come back to the others as ours. */
static void
check_policies(struct check *c)
{
	for (size_t i = 0; i < c->conf->import_count; i++) {
		check_into(c, &c->conf->imports[i]);
		for (size_t k = 0; k < c->conf->export_count; k++) {
			const struct import_policy *in = &c->conf->imports[i];
			const struct export_policy *out = &c->conf->exports[k];

			if (base_hit(out, in->into) != NULL)
				check_say(c, CHECK_FINE, in->name,
				    "its OU lies in what %s exports: our own "
				    "contacts there are known by their mark "
				    "and left out",
				    out->name);
		}
	}
	check_say(c, CHECK_FINE, "configuration",
	    "%s: %zu exports, %zu imports", c->conf->path,
	    c->conf->export_count, c->conf->import_count);
	if (c->conf->export_count + c->conf->import_count == 0)
		check_say(c, CHECK_WARNING, "configuration",
		    "there is no policy in %s", c->conf->policies);
}

int
check_run(const struct spoke_conf *conf, bool json)
{
	struct check c = {.conf = conf, .json = json};

	buf_init(&c.out, CHECK_OUT_MAX);
	check_policies(&c);
	check_identity(&c);
	check_registry(&c);
	check_streams(&c);
	check_clock(&c);
	check_directory(&c);
	check_hub(&c);
	if (json)
		(void)printf("[%s]\n", buf_cstr(&c.out));
	buf_fini(&c.out);
	spoke_close(&c.spoke);
	if (c.worst == CHECK_PROBLEM)
		return EXIT_FAILED;
	return c.worst == CHECK_WARNING ? EXIT_PARTLY : EXIT_DONE;
}
