#include "spoke/wait.h"

#include "common/ldap/feed.h"

#define WAIT_MARK_MAX 4096

int
wait_for_change(
    const struct spoke_conf *conf, int64_t timeout_ms, struct err *err)
{
	const struct spoke_directory *d = &conf->directory;
	struct feed_wait_options options = {.timeout_ms = timeout_ms};
	struct session *session = NULL;
	struct dialect *dialect = NULL;
	struct buf mark;
	size_t count;
	int rc = -1;

	buf_init(&mark, WAIT_MARK_MAX);
	if (spoke_conf_session_open(conf, &session, err) < 0 ||
	    dialect_open(session, d->dialect, d->provenance, &dialect, err) <
		0 ||
	    dialect_mark(session, dialect, &mark, err) < 0)
		goto out;
	options.mark = buf_slice(&mark);
	options.base = dialect_contexts(dialect, &count)[0];
	rc = feed_wait(session, dialect, &options, err);
out:
	dialect_close(dialect);
	session_close(session);
	buf_fini(&mark);
	return rc;
}
