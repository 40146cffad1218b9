/*
 * A private slapd for a test: its own directory and loopback address, ended by
 * its process id. Included by the tests that need it; all functions are static.
 */
#ifndef TESTS_UNIT_LDAP_FIXTURE_H
#define TESTS_UNIT_LDAP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fsio.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/ldap/session.h"

#define FIXTURE_SUFFIX "dc=example"
#define FIXTURE_ADMIN "cn=admin,dc=example"
#define FIXTURE_PASSWORD "secret"
#define FIXTURE_PORT 3890
#define FIXTURE_TLS_PORT 6360

#define MAYBE_UNUSED __attribute__((unused))

struct fixture {
	char dir[64];
	char address[32];
	char uri[64];
	char tls_uri[64];
	char local_uri[96];
	char ca[96];
	pid_t pid;
};

/* Every process has an address of its own. */
static MAYBE_UNUSED void
fixture_address(char *out, size_t size, unsigned salt)
{
	unsigned pid = (unsigned)getpid() + salt * 7919;

	snprintf(out, size, "127.78.%u.%u", pid >> 8 & 0xff, (pid & 0xff) | 1);
}

static MAYBE_UNUSED bool
fixture_connects(const char *address, int port)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
	ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	close(fd);
	return ok;
}

static MAYBE_UNUSED void
fixture_write(const char *dir, const char *name, const char *text)
{
	char *path = fsio_join(dir, name);
	struct err err;

	assert_int_equal(fsio_write(path, slice_str(text), 0600, &err), 0);
	free(path);
}

static MAYBE_UNUSED void
fixture_run(const char *const argv[])
{
	struct buf output;
	struct err err;
	int status = -1;

	buf_init(&output, 1 << 20);
	if (process_run(argv, &output, 30000, &status, &err) != 0 ||
	    status != 0)
		fail_msg("%s failed: %s", argv[0], buf_cstr(&output));
	buf_fini(&output);
}

/* A certificate of its own authority, for the name given ("IP:1.2.3.4"). */
static MAYBE_UNUSED void
fixture_certificate(struct fixture *f, const char *san)
{
	char *key = fsio_join(f->dir, "key.pem");
	char *option = mem_printf("subjectAltName=%s", san);
	const char *argv[] = {"openssl", "req", "-x509", "-newkey", "ec",
	    "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
	    "-subj", "/CN=test", "-addext", option, "-keyout", key, "-out",
	    f->ca, NULL};

	fixture_run(argv);
	free(key);
	free(option);
}

static MAYBE_UNUSED void
fixture_init(struct fixture *f, unsigned salt)
{
	char *data;
	struct err err;

	*f = (struct fixture){.pid = 0};
	snprintf(f->dir, sizeof(f->dir), "/tmp/galrelay-ldap-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	data = fsio_join(f->dir, "data");
	assert_int_equal(fsio_mkdirs(data, &err), 0);
	free(data);
	fixture_address(f->address, sizeof(f->address), salt);
	snprintf(
	    f->uri, sizeof(f->uri), "ldap://%s:%d", f->address, FIXTURE_PORT);
	snprintf(f->tls_uri, sizeof(f->tls_uri), "ldaps://%s:%d", f->address,
	    FIXTURE_TLS_PORT);
	/* f->dir is "/tmp/" and a name without slashes. */
	snprintf(f->local_uri, sizeof(f->local_uri),
	    "ldapi://%%2Ftmp%%2F%s%%2Fldapi", f->dir + 5);
	snprintf(f->ca, sizeof(f->ca), "%s/ca.pem", f->dir);
}

/* extra: more lines of slapd.conf for the database. */
static MAYBE_UNUSED void
fixture_configure(const struct fixture *f, bool tls, const char *extra)
{
	char *tls_text = mem_printf("TLSCACertificateFile %s\n"
				    "TLSCertificateFile %s\n"
				    "TLSCertificateKeyFile %s/key.pem\n",
	    f->ca, f->ca, f->dir);
	char *text = mem_printf(
	    "include /etc/ldap/schema/core.schema\n"
	    "include /etc/ldap/schema/cosine.schema\n"
	    "include /etc/ldap/schema/inetorgperson.schema\n"
	    "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
	    "moduleload syncprov\n%s"
	    "database mdb\nmaxsize 2147483648\nsuffix " FIXTURE_SUFFIX "\n"
	    "rootdn " FIXTURE_ADMIN "\nrootpw " FIXTURE_PASSWORD "\n"
	    "directory %s/data\ndbnosync\nindex objectClass,entryUUID eq\n"
	    "index mail,cn pres,eq\n%soverlay syncprov\n",
	    tls ? tls_text : "", f->dir, extra);

	fixture_write(f->dir, "slapd.conf", text);
	free(tls_text);
	free(text);
}

static MAYBE_UNUSED void
fixture_start(struct fixture *f, bool tls)
{
	char *conf = fsio_join(f->dir, "slapd.conf");
	char *listen =
	    mem_printf("%s %s %s", f->uri, f->local_uri, tls ? f->tls_uri : "");
	int64_t deadline = clock_mono_ms() + 20000;

	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(127);
		execl("/usr/sbin/slapd", "slapd", "-d", "0", "-h", listen, "-f",
		    conf, (char *)NULL);
		_exit(127);
	}
	while (!fixture_connects(f->address, FIXTURE_PORT)) {
		if (clock_mono_ms() > deadline ||
		    waitpid(f->pid, NULL, WNOHANG) != 0)
			fail_msg("slapd did not start");
		usleep(20000);
	}
	free(conf);
	free(listen);
}

static MAYBE_UNUSED void
fixture_kill(struct fixture *f, int signal_number)
{
	if (f->pid == 0)
		return;
	kill(f->pid, signal_number);
	waitpid(f->pid, NULL, 0);
	f->pid = 0;
}

static MAYBE_UNUSED void
fixture_fini(struct fixture *f)
{
	struct err err;

	fixture_kill(f, SIGTERM);
	assert_int_equal(fsio_remove_tree(f->dir, &err), 0);
}

static MAYBE_UNUSED void
fixture_options(const struct fixture *f, const char *const *uris,
    struct session_options *out)
{
	(void)f;
	*out = (struct session_options){.uris = uris,
	    .uri_count = 1,
	    .tls = SESSION_TLS_NONE,
	    .bind = SESSION_SIMPLE,
	    .bind_dn = FIXTURE_ADMIN,
	    .password = SLICE_LIT(FIXTURE_PASSWORD),
	    .connect_timeout_ms = 5000,
	    .timeout_ms = 20000};
}

static MAYBE_UNUSED struct session *
fixture_session(const struct fixture *f)
{
	const char *uris[] = {f->uri};
	struct session_options options;
	struct session *session = NULL;
	struct err err = {0};

	fixture_options(f, uris, &options);
	if (session_open(&options, &session, &err) != 0)
		fail_msg("%s", err.message);
	return session;
}

#endif
