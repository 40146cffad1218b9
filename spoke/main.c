/* The command line of the spoke: see spoke.8. */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/fsio.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/user.h"
#include "common/wire/invitation.h"
#include "spoke/check.h"
#include "spoke/export/count.h"
#include "spoke/export/explain.h"
#include "spoke/join.h"
#include "spoke/release.h"
#include "spoke/report.h"
#include "spoke/rotate.h"
#include "spoke/run.h"
#include "spoke/serve.h"

struct arguments {
	const char *config;
	const char *release;
	const char *operand;
	bool json, help, verbose, version;
	bool no_wait, full, allow_empty, timing; /* run */
	bool rotate;                             /* keys */
	bool rebind;                             /* init */
	bool list;                               /* release */
	bool attributes;                         /* explain */
};

enum main_option {
	OPTION_CONFIG = 1000,
	OPTION_JSON,
	OPTION_HELP,
	OPTION_VERBOSE,
	OPTION_VERSION,

	OPTION_NO_WAIT,
	OPTION_FULL,
	OPTION_ALLOW_EMPTY,
	OPTION_TIMING,
	OPTION_ROTATE,
	OPTION_REBIND,
	OPTION_RELEASE,
	OPTION_LIST,
	OPTION_ATTRIBUTES,
};

typedef int command_fn(
    const struct spoke_conf *conf, const struct arguments *arguments);

struct command {
	const char *name;
	const char *operand; /* its name in help; NULL: takes none */
	const char *summary;
	const char *options; /* help of its own options */
	command_fn *run;
	const int *allowed; /* options of its own, 0 ends */
};

static int
command_init(const struct spoke_conf *conf, const struct arguments *a)
{
	struct err err = {0};
	int rc = a->rebind ? identity_rebind(conf, &err)
			   : identity_create(conf, &err);

	if (rc < 0) {
		log_err(&err, "not initialised");
		return EXIT_FAILED;
	}
	(void)printf(a->rebind
			 ? "%s is bound to this machine now\n"
			 : "%s is ready; next: galspoke join INVITATION\n",
	    conf->state);
	return report_keys(conf, false);
}

static int
command_join(const struct spoke_conf *conf, const struct arguments *a)
{
	struct join_result result;
	struct err err = {0};
	struct buf out;
	char realm[ID_HEX_SIZE];
	int rc;

	rc = join_run(conf, a->operand, conf->wait_ms, &result, &err);
	if (!a->json && result.hub_fingerprint[0] != '\0')
		(void)printf("hub fingerprint:        %s\n"
			     "this spoke's fingerprint: %s\n",
		    result.hub_fingerprint, result.own_fingerprint);
	if (rc < 0) {
		log_err(&err, "not joined");
		return EXIT_FAILED;
	}
	if (!a->json) {
		(void)printf("joined realm %s as %s\n", result.realm_name,
		    result.member);
		return EXIT_DONE;
	}
	buf_init(&out, 64 * 1024);
	buf_add_str(&out, "{\"member\":");
	buf_add_json(&out, slice_str(result.member));
	buf_addf(&out, ",\"realm\":\"%s\",\"realm_name\":",
	    id_format(&result.realm, realm));
	buf_add_json(&out, slice_str(result.realm_name));
	buf_addf(&out, ",\"hub_fingerprint\":\"%s\",\"fingerprint\":\"%s\"}",
	    result.hub_fingerprint, result.own_fingerprint);
	(void)puts(buf_cstr(&out));
	buf_fini(&out);
	return EXIT_DONE;
}

static int
command_check(const struct spoke_conf *conf, const struct arguments *a)
{
	return check_run(conf, a->json);
}

static int
command_run(const struct spoke_conf *conf, const struct arguments *a)
{
	const struct run_options options = {.json = a->json,
	    .no_wait = a->no_wait,
	    .full = a->full,
	    .allow_empty = a->allow_empty,
	    .timing = a->timing};

	return run_policy(conf, a->operand, &options);
}

static int
command_serve(const struct spoke_conf *conf, const struct arguments *a)
{
	(void)conf;
	return serve_run(a->config);
}

static int
command_status(const struct spoke_conf *conf, const struct arguments *a)
{
	return report_status(conf, a->json);
}

static int
command_keys(const struct spoke_conf *conf, const struct arguments *a)
{
	int code = a->rotate ? rotate_run(conf) : EXIT_DONE;

	return code == EXIT_DONE ? report_keys(conf, a->json) : code;
}

static int
command_count(const struct spoke_conf *conf, const struct arguments *a)
{
	return count_policy(conf, a->operand, a->json);
}

static int
command_explain(const struct spoke_conf *conf, const struct arguments *a)
{
	const struct explain_options options = {
	    .json = a->json, .attributes = a->attributes};

	return explain_address(conf, a->operand, &options);
}

static int
command_who_sees(const struct spoke_conf *conf, const struct arguments *a)
{
	return report_who_sees(conf, a->operand, a->json);
}

static int
command_release(const struct spoke_conf *conf, const struct arguments *a)
{
	const struct release_options options = {
	    .list = a->list, .json = a->json};

	return release_policy(conf, a->operand, &options);
}

static int
command_members(const struct spoke_conf *conf, const struct arguments *a)
{
	if (a->release != NULL)
		return report_members_release(conf, a->release);
	return report_members(conf, a->json);
}

static const int init_options[] = {OPTION_REBIND, 0};
static const int run_options[] = {OPTION_JSON, OPTION_NO_WAIT, OPTION_FULL,
    OPTION_ALLOW_EMPTY, OPTION_TIMING, 0};
static const int json_options[] = {OPTION_JSON, 0};
static const int keys_options[] = {OPTION_JSON, OPTION_ROTATE, 0};
static const int members_options[] = {OPTION_JSON, OPTION_RELEASE, 0};
static const int release_options[] = {OPTION_JSON, OPTION_LIST, 0};
static const int explain_options[] = {OPTION_JSON, OPTION_ATTRIBUTES, 0};
static const int no_options[] = {0};

#define HELP_JSON "  --json           machine-readable output\n"

static const struct command commands[] = {
    {"init", NULL, "make this installation's keys and identity",
	"  --rebind         bind restored state to this machine\n",
	command_init, init_options},
    {"join", "INVITATION", "become a member of the realm that invited",
	HELP_JSON, command_join, json_options},
    {"check", NULL, "try everything and say what to do", HELP_JSON,
	command_check, json_options},
    {"run", "POLICY", "run one export or import now",
	HELP_JSON
	"  --no-wait        do not wait for the hub's acknowledgement\n"
	"  --full           read whole even when nothing seems changed\n"
	"  --allow-empty    a place that became empty is meant to be\n"
	"  --timing         say where an export's CPU time went\n",
	command_run, run_options},
    {"count", "POLICY", "say how much an export would send, and why not more",
	HELP_JSON, command_count, json_options},
    {"explain", "ADDRESS", "say why somebody is or is not exported",
	HELP_JSON "  --attributes     also show what is sent\n",
	command_explain, explain_options},
    {"who-sees", "ADDRESS", "say which members receive somebody", HELP_JSON,
	command_who_sees, json_options},
    {"serve", NULL, "run all policies by their schedule", "", command_serve,
	no_options},
    {"status", NULL, "show runs, streams and what was refused", HELP_JSON,
	command_status, json_options},
    {"keys", NULL, "show this spoke's public keys",
	HELP_JSON "  --rotate         make new ones\n", command_keys,
	keys_options},
    {"members", NULL, "show the other members and who is held",
	HELP_JSON "  --release NAME   believe what the hub says of NAME\n",
	command_members, members_options},
    {"release", "POLICY", "let through once what a guard holds",
	HELP_JSON "  --list           only show what is held\n",
	command_release, release_options},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct option longs[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
    {"full", no_argument, NULL, OPTION_FULL},
    {"allow-empty", no_argument, NULL, OPTION_ALLOW_EMPTY},
    {"timing", no_argument, NULL, OPTION_TIMING},
    {"rotate", no_argument, NULL, OPTION_ROTATE},
    {"rebind", no_argument, NULL, OPTION_REBIND},
    {"release", required_argument, NULL, OPTION_RELEASE},
    {"list", no_argument, NULL, OPTION_LIST},
    {"attributes", no_argument, NULL, OPTION_ATTRIBUTES},
    {NULL, 0, NULL, 0},
};

static void
usage(FILE *to)
{
	(void)fputs(
	    "usage: galspoke [--config FILE] COMMAND [OPTION ...]\n\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &commands[i];

		(void)fprintf(to, "  %-8s %-11s %s\n", c->name,
		    c->operand == NULL ? "" : c->operand, c->summary);
	}
	(void)fputs("\n  --config FILE    default " SPOKE_CONF_PATH "\n"
		    "  --verbose        say more on standard error\n"
		    "  --help           also after a command\n"
		    "  --version\n\n"
		    "Exit codes: 0 done, 1 failed, 2 usage, 3 held by a guard, "
		    "4 partly done.\n",
	    to);
}

static void
command_usage(const struct command *c, FILE *to)
{
	(void)fprintf(to,
	    "usage: galspoke [--config FILE] %s [OPTION ...]%s%s\n\n%s.\n\n"
	    "%s  --config FILE    default " SPOKE_CONF_PATH "\n"
	    "  --verbose        say more on standard error\n"
	    "  --help           this text\n",
	    c->name, c->operand == NULL ? "" : " ",
	    c->operand == NULL ? "" : c->operand, c->summary, c->options);
}

static const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool
option_allowed(const struct command *c, int option)
{
	if (option == OPTION_CONFIG || option == OPTION_HELP ||
	    option == OPTION_VERBOSE || option == OPTION_VERSION)
		return true;
	for (const int *at = c == NULL ? no_options : c->allowed; *at != 0;
	     at++)
		if (*at == option)
			return true;
	return false;
}

static bool
option_take(struct arguments *a, int option)
{
	switch (option) {
	case OPTION_CONFIG:
		a->config = optarg;
		return true;
	case OPTION_JSON:
		a->json = true;
		return true;
	case OPTION_HELP:
		a->help = true;
		return true;
	case OPTION_VERBOSE:
		a->verbose = true;
		return true;
	case OPTION_VERSION:
		a->version = true;
		return true;
	case OPTION_NO_WAIT:
		a->no_wait = true;
		return true;
	case OPTION_FULL:
		a->full = true;
		return true;
	case OPTION_ALLOW_EMPTY:
		a->allow_empty = true;
		return true;
	case OPTION_TIMING:
		a->timing = true;
		return true;
	case OPTION_ROTATE:
		a->rotate = true;
		return true;
	case OPTION_REBIND:
		a->rebind = true;
		return true;
	case OPTION_RELEASE:
		a->release = optarg;
		return true;
	case OPTION_LIST:
		a->list = true;
		return true;
	case OPTION_ATTRIBUTES:
		a->attributes = true;
		return true;
	default:
		return false;
	}
}

/* Options up to the first operand (or, for a command, anywhere). */
static int
options_parse(
    struct arguments *a, const struct command *c, int argc, char **argv)
{
	int option, index = 0;

	while ((option = getopt_long(
		    argc, argv, c == NULL ? "+" : "", longs, &index)) != -1) {
		if (option == '?')
			return -1;
		if (!option_allowed(c, option) || !option_take(a, option)) {
			(void)fprintf(stderr,
			    "galspoke: --%s means nothing here\n",
			    longs[index].name);
			return -1;
		}
	}
	return 0;
}

/* The configuration was read by whoever started us. */
static int
secret_readable(
    const struct spoke_conf *conf, const char *path, struct err *err)
{
	if (conf->user == NULL || path == NULL || access(path, R_OK) == 0)
		return 0;
	return err_set_errno(err, ERR_CONFIG,
	    "user %s cannot read %s (run: chown %s %s)", conf->user, path,
	    conf->user, path);
}

static int
secrets_readable(const struct spoke_conf *conf, struct err *err)
{
	const struct spoke_directory *d = &conf->directory;

	if (secret_readable(conf, d->password_file, err) < 0 ||
	    secret_readable(conf, d->keytab, err) < 0)
		return -1;
	for (size_t i = 0; i < d->domain_count; i++)
		if (secret_readable(conf, d->domains[i].password_file, err) < 0)
			return -1;
	return 0;
}

static int
command_start(const struct command *c, const struct arguments *a)
{
	struct spoke_conf *conf = NULL;
	struct err err = {0};
	int code;

	if (c->run != command_serve)
		log_person();
	if (spoke_conf_load(a->config, &conf, &err) < 0) {
		log_err(&err, "configuration not read");
		return EXIT_FAILED;
	}
	if (user_become(conf->user, conf->state, &err) < 0 ||
	    secrets_readable(conf, &err) < 0) {
		log_err(&err, "not started");
		spoke_conf_free(conf);
		return EXIT_FAILED;
	}
	/* A person reads the summary; a service's log wants every step. */
	if (!a->verbose && c->run != command_serve)
		log_init("galspoke", LOG_LEVEL_WARN);
	if (c->run != command_serve)
		log_person();
	code = c->run(conf, a);
	spoke_conf_free(conf);
	return code;
}

/* "-": the invitation comes by stdin. Either way it does not stand in the list
 * of processes while we wait for the hub. */
static int
command_join_start(const struct command *c, struct arguments *a, char *argument)
{
	char line[INVITATION_TEXT_MAX];
	int code;

	if (strcmp(argument, "-") != 0)
		(void)snprintf(line, sizeof(line), "%s", argument);
	else if (fgets(line, sizeof(line), stdin) == NULL)
		line[0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	explicit_bzero(argument, strlen(argument));
	a->operand = line;
	code = command_start(c, a);
	a->operand = NULL;
	explicit_bzero(line, sizeof(line));
	return code;
}

int
main(int argc, char **argv)
{
	struct arguments a = {.config = SPOKE_CONF_PATH};
	const struct command *c;
	int first;

	(void)umask(077);
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	/* A directory that goes away is an error, not the end. */
	(void)signal(SIGPIPE, SIG_IGN);
	process_harden();
	log_init("galspoke", LOG_LEVEL_INFO);
	if (options_parse(&a, NULL, argc, argv) < 0)
		return EXIT_USAGE;
	if (a.help) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (a.version) {
		(void)printf("galspoke (galrelay) 1, format GALR 1\n");
		return EXIT_DONE;
	}
	c = optind < argc ? command_find(argv[optind]) : NULL;
	if (c == NULL) {
		if (optind < argc)
			(void)fprintf(stderr,
			    "galspoke: no command is called \"%s\"\n\n",
			    argv[optind]);
		usage(stderr);
		return EXIT_USAGE;
	}
	first = optind;
	optind = 0;
	if (options_parse(&a, c, argc - first, argv + first) < 0) {
		command_usage(c, stderr);
		return EXIT_USAGE;
	}
	if (a.help) {
		command_usage(c, stdout);
		return EXIT_DONE;
	}
	if (argc - first - optind != (c->operand == NULL ? 0 : 1)) {
		command_usage(c, stderr);
		return EXIT_USAGE;
	}
	a.operand = c->operand == NULL ? NULL : argv[first + optind];
	if (c->run == command_join)
		return command_join_start(c, &a, argv[first + optind]);
	return command_start(c, &a);
}
