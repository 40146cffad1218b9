/* galhub: the command line. See hub.8. */
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "hub/admit.h"
#include "hub/members.h"
#include "hub/report.h"
#include "hub/serve.h"

#define LOCK_WAIT_MS (60 * CLOCK_SECOND_MS)
#define OUTPUT_MAX (64 * 1024 * 1024)

enum option_id {
	OPT_CONFIG = 256,
	OPT_HELP,
	OPT_VERSION,
	OPT_VERBOSE,
	OPT_JSON,
	OPT_REALM,
	OPT_STATE,
	OPT_LISTEN,
	OPT_ADDRESS,
	OPT_DOMAINS,
	OPT_EXPIRES
};

struct command_line {
	const char *config;
	const char *command;
	const char *argument; /* NAME or MEMBER/STREAM; NULL */
	struct hub_conf_sample sample;
	const char *domains, *expires;
	bool help, version, verbose, json;
	unsigned used; /* bit set of options, from OPT_JSON on */
};

struct command {
	const char *name;
	const char *argument; /* what it takes; NULL: nothing */
	unsigned options;     /* bit set of what it accepts */
	int (*run)(const struct hub_conf *conf, const struct command_line *line,
	    struct err *err);
	const char *help;
};

#define BIT(option) (1u << ((option)-OPT_JSON))

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"json", no_argument, NULL, OPT_JSON},
    {"realm", required_argument, NULL, OPT_REALM},
    {"state", required_argument, NULL, OPT_STATE},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"address", required_argument, NULL, OPT_ADDRESS},
    {"domains", required_argument, NULL, OPT_DOMAINS},
    {"expires", required_argument, NULL, OPT_EXPIRES}, {NULL, 0, NULL, 0}};

static int
output(struct buf *out, struct err *err)
{
	if (buf_check(out, "output", err) < 0)
		return -1;
	if (fwrite(out->data, 1, out->len, stdout) != out->len ||
	    fflush(stdout) != 0)
		return err_set_errno(err, ERR_IO, "standard output");
	return 0;
}

/* After a change: tell everybody now, also when no hub is serving. */
static int
finish(struct hub *hub, struct err *err)
{
	static const char *const nobody[] = {NULL};
	bool again;

	return worker_pass(hub, nobody, &again, err);
}

static int
command_init(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	struct hub *hub = NULL;
	struct buf out;
	int rc;

	(void)line;
	if (members_init(conf, err) < 0)
		return -1;
	buf_init(&out, OUTPUT_MAX);
	rc = hub_open(conf, HUB_READ, 0, &hub, err);
	if (rc == 0) {
		char fingerprint[KEYS_FINGERPRINT_SIZE];

		keys_fingerprint(
		    registry_active_key(&hub->registry->hub, REGISTRY_SIGN)
			->public_key,
		    registry_active_key(&hub->registry->hub, REGISTRY_DECRYPT)
			->public_key,
		    registry_active_key(&hub->registry->hub, REGISTRY_CURVE)
			->public_key,
		    fingerprint);
		buf_addf(&out,
		    "realm        %s\nstate        %s\nfingerprint  %s\n\n"
		    "Next: galhub serve, and galhub invite NAME --domains "
		    "DOMAIN,... for each branch.\n",
		    conf->realm, conf->state, fingerprint);
		rc = output(&out, err);
	}
	hub_close(hub);
	buf_fini(&out);
	return rc;
}

static int
command_invite(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	int64_t lifetime = conf->invite_lifetime_ms;
	struct hub *hub = NULL;
	struct buf out;
	int rc = -1;

	buf_init(&out, OUTPUT_MAX);
	if (line->domains == NULL)
		return err_set(err, ERR_CONFIG,
		    "which mail domains may %s publish? add --domains "
		    "north.example,*.north.example",
		    line->argument);
	if (line->expires != NULL &&
	    conf_parse_duration(slice_str(line->expires), &lifetime, err) < 0)
		return err_prepend(err, "--expires");
	if (hub_open(conf, HUB_WRITE, LOCK_WAIT_MS, &hub, err) == 0 &&
	    members_invite(
		hub, line->argument, line->domains, lifetime, &out, err) == 0) {
		buf_add_byte(&out, '\n');
		rc = output(&out, err);
		if (isatty(STDERR_FILENO))
			(void)fprintf(stderr,
			    "\nGive this line to %s over a channel that you "
			    "trust; there: galspoke join INVITATION\n",
			    line->argument);
	}
	hub_close(hub);
	buf_cleanse(&out);
	return rc;
}

static int
command_revoke(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	struct hub *hub = NULL;
	int rc = -1;

	if (hub_open(conf, HUB_WRITE, LOCK_WAIT_MS, &hub, err) == 0 &&
	    members_revoke(hub, line->argument, err) == 0)
		rc = finish(hub, err);
	hub_close(hub);
	return rc;
}

static int
command_allot(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	struct hub *hub = NULL;
	int rc = -1;

	if (line->domains == NULL)
		return err_set(err, ERR_CONFIG, "--domains is missing");
	if (hub_open(conf, HUB_WRITE, LOCK_WAIT_MS, &hub, err) == 0 &&
	    members_allot(hub, line->argument, line->domains, err) == 0)
		rc = finish(hub, err);
	hub_close(hub);
	return rc;
}

/* "MEMBER/STREAM" in two; false when there is no stream. */
static bool
split(const char *text, char member[STORE_NAME_SIZE], const char **out_stream)
{
	size_t len = strcspn(text, "/");

	*out_stream = text[len] == '/' ? text + len + 1 : NULL;
	if (len >= STORE_NAME_SIZE)
		len = STORE_NAME_SIZE - 1;
	memcpy(member, text, len);
	member[len] = '\0';
	return *out_stream != NULL;
}

static int
command_end(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	char member[STORE_NAME_SIZE];
	struct hub *hub = NULL;
	const char *stream;
	int rc = -1;

	if (!split(line->argument, member, &stream))
		return err_set(err, ERR_CONFIG, "say MEMBER/STREAM");
	if (hub_open(conf, HUB_WRITE, LOCK_WAIT_MS, &hub, err) == 0 &&
	    members_end(hub, member, stream, err) == 0)
		rc = finish(hub, err);
	hub_close(hub);
	return rc;
}

static int
command_release(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	char member[STORE_NAME_SIZE];
	struct hub *hub = NULL;
	const char *stream;
	int rc = -1;

	if (hub_open(conf, HUB_WRITE, LOCK_WAIT_MS, &hub, err) == 0) {
		if (split(line->argument, member, &stream))
			rc = admit_release(hub, member, stream, err);
		else
			rc = admit_release_member(hub, member, err);
		if (rc == 0)
			rc = finish(hub, err);
	}
	hub_close(hub);
	return rc;
}

static int
report(const struct hub_conf *conf, bool json,
    int (*fn)(struct hub *hub, bool json, struct buf *out, struct err *err),
    struct err *err)
{
	struct hub *hub = NULL;
	struct buf out;
	int rc = -1;

	buf_init(&out, OUTPUT_MAX);
	if (hub_open(conf, HUB_READ, 0, &hub, err) == 0 &&
	    fn(hub, json, &out, err) == 0)
		rc = output(&out, err);
	hub_close(hub);
	buf_fini(&out);
	return rc;
}

static int
command_members(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	return report(conf, line->json, report_members, err);
}

static int
command_streams(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	return report(conf, line->json, report_streams, err);
}

static int
command_status(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	return report(conf, line->json, report_status, err);
}

static int
command_who_sees(const struct hub_conf *conf, const struct command_line *line,
    struct err *err)
{
	struct hub *hub = NULL;
	struct buf out;
	int rc = -1;

	buf_init(&out, OUTPUT_MAX);
	if (hub_open(conf, HUB_READ, 0, &hub, err) == 0 &&
	    report_who_sees(hub, line->argument, line->json, &out, err) == 0)
		rc = output(&out, err);
	hub_close(hub);
	buf_fini(&out);
	return rc;
}

static const struct command commands[] = {
    {"init", NULL,
	BIT(OPT_REALM) | BIT(OPT_STATE) | BIT(OPT_LISTEN) | BIT(OPT_ADDRESS),
	command_init, "make keys and an empty realm"},
    {"serve", NULL, 0, NULL, "run the hub until SIGTERM"},
    {"invite", "NAME", BIT(OPT_DOMAINS) | BIT(OPT_EXPIRES), command_invite,
	"print a one-time invitation for a branch"},
    {"members", NULL, BIT(OPT_JSON), command_members,
	"list members and invitations"},
    {"revoke", "NAME", 0, command_revoke,
	"revoke a member for ever, or withdraw an invitation"},
    {"allot", "NAME", BIT(OPT_DOMAINS), command_allot,
	"replace the mail domains of a member"},
    {"end", "MEMBER/STREAM", 0, command_end,
	"state that a stream is over; targets ask their operators"},
    {"release", "NAME|MEMBER/STREAM", 0, command_release,
	"let a held member or a held version of a stream through"},
    {"streams", NULL, BIT(OPT_JSON), command_streams, "list streams"},
    {"who-sees", "ADDRESS", BIT(OPT_JSON), command_who_sees,
	"list the members that receive a mail address"},
    {"status", NULL, BIT(OPT_JSON), command_status,
	"show the hub's state and counters"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *to)
{
	(void)fprintf(to, "usage: galhub [--config FILE] COMMAND ...\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(to, "  %-8s %-19s %s\n", commands[i].name,
		    commands[i].argument == NULL ? "" : commands[i].argument,
		    commands[i].help);
	(void)fprintf(to,
	    "\n  --config FILE  instead of %s\n"
	    "  --help         of a command too\n"
	    "  --verbose      log more\n"
	    "  --version\n\n"
	    "Exit codes: 0 done, 1 failed, 2 usage, 3 held by a guard, 4 "
	    "partly done.\n",
	    HUB_CONF_PATH);
}

static void
usage_command(const struct command *command)
{
	static const struct {
		enum option_id option;
		const char *text;
	} texts[] = {{OPT_JSON, "--json"}, {OPT_REALM, "--realm NAME"},
	    {OPT_STATE, "--state DIRECTORY"},
	    {OPT_LISTEN, "--listen tcp://0.0.0.0:4710"},
	    {OPT_ADDRESS, "--address tcp://hub.example:4710"},
	    {OPT_DOMAINS, "--domains DOMAIN,*.DOMAIN,..."},
	    {OPT_EXPIRES, "--expires 7d"}};

	(void)printf("usage: galhub [--config FILE] %s%s%s", command->name,
	    command->argument == NULL ? "" : " ",
	    command->argument == NULL ? "" : command->argument);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (command->options & BIT(texts[i].option))
			(void)printf(" [%s]", texts[i].text);
	(void)printf("\n\n%s\n", command->help);
}

static void
option_take(struct command_line *line, int option)
{
	switch (option) {
	case OPT_CONFIG:
		line->config = optarg;
		return;
	case OPT_HELP:
		line->help = true;
		return;
	case OPT_VERSION:
		line->version = true;
		return;
	case OPT_VERBOSE:
		line->verbose = true;
		return;
	case OPT_JSON:
		line->json = true;
		break;
	case OPT_REALM:
		line->sample.realm = optarg;
		break;
	case OPT_STATE:
		line->sample.state = optarg;
		break;
	case OPT_LISTEN:
		line->sample.listen = optarg;
		break;
	case OPT_ADDRESS:
		line->sample.address = optarg;
		break;
	case OPT_DOMAINS:
		line->domains = optarg;
		break;
	case OPT_EXPIRES:
		line->expires = optarg;
		break;
	default:
		return;
	}
	line->used |= BIT((unsigned)option);
}

static int
parse(int argc, char **argv, struct command_line *line)
{
	int option;

	line->config = HUB_CONF_PATH;
	while (
	    (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == '?')
			return -1;
		option_take(line, option);
	}
	if (optind < argc)
		line->command = argv[optind++];
	if (optind < argc)
		line->argument = argv[optind++];
	if (optind < argc) {
		(void)fprintf(
		    stderr, "galhub: what is \"%s\"?\n", argv[optind]);
		return -1;
	}
	return 0;
}

static const struct command *
find(const struct command_line *line)
{
	for (size_t i = 0; line->command != NULL && i < COMMANDS; i++)
		if (strcmp(commands[i].name, line->command) == 0)
			return &commands[i];
	if (line->command != NULL)
		(void)fprintf(
		    stderr, "galhub: no command \"%s\"\n", line->command);
	return NULL;
}

static int
check(const struct command *command, const struct command_line *line)
{
	if ((command->argument == NULL) != (line->argument == NULL)) {
		(void)fprintf(stderr, "galhub %s: %s%s\n", command->name,
		    command->argument == NULL ? "takes no argument"
					      : "say which: ",
		    command->argument == NULL ? "" : command->argument);
		return -1;
	}
	if (line->used & ~command->options) {
		(void)fprintf(stderr,
		    "galhub %s: an option does not belong here; see galhub %s "
		    "--help\n",
		    command->name, command->name);
		return -1;
	}
	return 0;
}

/* Files belong to one user, whoever calls. */
static int
become(const struct hub_conf *conf, struct err *err)
{
	const struct passwd *user;

	if (conf->user == NULL || geteuid() != 0)
		return 0;
	user = getpwnam(conf->user);
	if (user == NULL)
		return err_set(
		    err, ERR_CONFIG, "there is no user \"%s\"", conf->user);
	if (fsio_mkdirs(conf->state, err) < 0)
		return -1;
	if (chown(conf->state, user->pw_uid, user->pw_gid) < 0 ||
	    initgroups(conf->user, user->pw_gid) < 0 ||
	    setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		return err_set_errno(
		    err, ERR_CONFIG, "cannot become %s", conf->user);
	return 0;
}

static int
run(const struct command *command, const struct command_line *line)
{
	struct hub_conf *conf = NULL;
	struct err err = {0};
	int rc = 0;

	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	/* A first init writes the configuration that it goes on with. */
	if (command->run == command_init && access(line->config, F_OK) != 0)
		rc = hub_conf_write(line->config, &line->sample, &err);
	else if (command->run == command_init && line->used != 0)
		rc = err_set(&err, ERR_CONFIG,
		    "%s exists: change it there instead of by options",
		    line->config);
	if (rc == 0)
		rc = hub_conf_load(line->config, &conf, &err);
	if (rc == 0)
		rc = become(conf, &err);
	if (rc == 0 && command->run == NULL)
		rc = serve_run(conf);
	else if (rc == 0)
		rc = command->run(conf, line, &err);
	hub_conf_free(conf);
	if (rc >= 0)
		return rc;
	(void)fprintf(stderr, "galhub: %s\n", err.message);
	return (int)err_exit_code(&err);
}

int
main(int argc, char **argv)
{
	struct command_line line = {0};
	const struct command *command;

	if (parse(argc, argv, &line) < 0)
		return EXIT_USAGE;
	if (line.version) {
		(void)printf("galhub (galrelay) 1, format GALR 1\n");
		return EXIT_DONE;
	}
	if (line.command == NULL) {
		usage(line.help ? stdout : stderr);
		return line.help ? EXIT_DONE : EXIT_USAGE;
	}
	command = find(&line);
	if (command == NULL) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (line.help) {
		usage_command(command);
		return EXIT_DONE;
	}
	if (check(command, &line) < 0)
		return EXIT_USAGE;
	log_init("galhub", line.verbose           ? LOG_LEVEL_DEBUG
			   : command->run == NULL ? LOG_LEVEL_INFO
						  : LOG_LEVEL_WARN);
	return run(command, &line);
}
