#include "common/ldap/writer.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/change.h"
#include "common/ldap/diagnostic.h"

#define OID_PERMISSIVE_MODIFY "1.2.840.113556.1.4.1413"
#define ARENA_MAX ((size_t)1 << 20)

struct writer {
	struct session *session;
	writer_result_fn *fn;
	void *arg;
	bool permissive;
	bool dead; /* the connection is gone, or fn said stop */
	struct change *flying[WRITER_WINDOW];
	size_t flying_count; /* oldest first */
	struct buf attribute;
};

static bool
root_offers(const struct search_entry *root, const char *name, const char *oid)
{
	const struct search_attribute *a = search_find(root, name);
	size_t i;

	for (i = 0; a != NULL && i < a->value_count; i++) {
		if (slice_equal(a->values[i], slice_str(oid)))
			return true;
	}
	return false;
}

int
writer_open(struct session *session, writer_result_fn *fn, void *arg,
    struct writer **out_writer, struct err *err)
{
	static const char *const attributes[] = {"supportedControl", NULL};
	struct arena *arena = arena_new(ARENA_MAX);
	struct search_entry root;
	struct writer *writer;
	int rc;

	rc = search_read(session, "", attributes, arena, &root, err);
	if (rc < 0) {
		arena_free(arena);
		return -1;
	}
	writer = mem_calloc(1, sizeof(*writer));
	writer->session = session;
	writer->fn = fn;
	writer->arg = arg;
	if (rc == 1) {
		writer->permissive = root_offers(
		    &root, "supportedControl", OID_PERMISSIVE_MODIFY);
	}
	arena_free(arena);
	buf_init(&writer->attribute, 256);
	*out_writer = writer;
	return 0;
}

void
writer_abort(struct writer *writer)
{
	size_t i;

	if (writer == NULL)
		return;
	for (i = 0; i < writer->flying_count; i++)
		change_free(writer->flying[i]);
	buf_fini(&writer->attribute);
	free(writer);
}

static int
writer_die(struct writer *writer, int code, struct err *err)
{
	writer->dead = true;
	return session_error(writer->session, code, NULL, err, "write");
}

static int
result_report(struct writer *writer, const struct change *change, int code,
    const char *diagnostic, struct err *err)
{
	struct writer_result result = {.cookie = change->as.cookie,
	    .op = change->as.op,
	    .code = code,
	    .dn = change->as.dn,
	    .diagnostic = diagnostic == NULL ? "" : diagnostic};

	buf_reset(&writer->attribute);
	if (code != LDAP_SUCCESS) {
		diagnostic_attribute(result.diagnostic, &writer->attribute);
		if (writer->attribute.len > 0)
			result.attribute = buf_cstr(&writer->attribute);
		if (*result.diagnostic == '\0')
			result.diagnostic = ldap_err2string(code);
	}
	if (writer->fn(writer->arg, &result, err) == 0)
		return 0;
	writer->dead = true;
	return -1;
}

static int
result_too_large(
    struct writer *writer, const struct writer_change *change, struct err *err)
{
	struct change refused = {.as = *change};

	return result_report(writer, &refused, LDAP_ADMINLIMIT_EXCEEDED,
	    "too large to be sent", err);
}

/* --- the window --- */

/* 0 sent, 1 libldap cannot even encode it (*out_code says why), -1. */
static int
change_launch(struct writer *writer, struct change *change, int *out_code,
    struct err *err)
{
	LDAPControl permissive = {(char *)OID_PERMISSIVE_MODIFY, {0, NULL}, 0};
	LDAPControl *controls[2] = {NULL, NULL};
	int code;

	*out_code = LDAP_SUCCESS;
	if (writer->permissive && change->as.op == WRITER_MODIFY)
		controls[0] = &permissive;
	code = change_send(
	    session_handle(writer->session), change, controls, &change->msgid);
	if (code == LDAP_PARAM_ERROR || code == LDAP_ENCODING_ERROR) {
		*out_code = code;
		return 1;
	}
	if (code != LDAP_SUCCESS)
		return writer_die(writer, code, err);
	writer->flying[writer->flying_count++] = change;
	return 0;
}

static struct change *
flying_take(struct writer *writer, size_t index)
{
	struct change *change = writer->flying[index];

	writer->flying_count--;
	memmove(&writer->flying[index], &writer->flying[index + 1],
	    (writer->flying_count - index) * sizeof(writer->flying[0]));
	return change;
}

/* The answer to one change: 1 taken, 0 not there yet (only without waiting),
 * -1. The change then belongs to the caller. */
static int
answer_take(struct writer *writer, size_t index, bool wait, int *out_code,
    char **out_diagnostic, struct err *err)
{
	LDAP *ld = session_handle(writer->session);
	int64_t ms = wait ? session_timeout_ms(writer->session) : 0;
	struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
	LDAPMessage *message = NULL;
	int code = LDAP_SERVER_DOWN, type;

	*out_code = LDAP_SUCCESS;
	*out_diagnostic = NULL;
	type = ldap_result(
	    ld, writer->flying[index]->msgid, LDAP_MSG_ALL, &timeout, &message);
	if (type == 0 && !wait)
		return 0;
	if (type == 0)
		return writer_die(writer, LDAP_TIMEOUT, err);
	if (type < 0) {
		ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
		return writer_die(writer,
		    code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code, err);
	}
	code = ldap_parse_result(
	    ld, message, out_code, NULL, out_diagnostic, NULL, NULL, 1);
	if (code != LDAP_SUCCESS)
		return writer_die(writer, code, err);
	return 1;
}

/* Takes the result of flying[index] and reports it: 1, 0 not there, -1. */
static int
flying_finish(struct writer *writer, size_t index, bool wait, struct err *err)
{
	struct change *change;
	char *diagnostic;
	int code, rc;

	rc = answer_take(writer, index, wait, &code, &diagnostic, err);
	if (rc != 1)
		return rc;
	change = flying_take(writer, index);
	rc = result_report(writer, change, code, diagnostic, err);
	ldap_memfree(diagnostic);
	change_free(change);
	return rc == 0 ? 1 : -1;
}

/* Waits for the oldest, then takes those after it that have come. Servers
 * answer in about that order: looking for each one costs a poll. Nobody else's
 * messages on this connection are touched. */
static int
window_step(struct writer *writer, struct err *err)
{
	int rc = flying_finish(writer, 0, true, err);

	while (rc > 0 && writer->flying_count > 0)
		rc = flying_finish(writer, 0, false, err);
	return rc < 0 ? -1 : 0;
}

static int
window_drain(struct writer *writer, struct err *err)
{
	while (writer->flying_count > 0) {
		if (window_step(writer, err) != 0)
			return -1;
	}
	return 0;
}

static bool
dn_flies(const struct writer *writer, const struct change *change)
{
	size_t i;

	for (i = 0; i < writer->flying_count; i++) {
		if (strcmp(writer->flying[i]->dn_key, change->dn_key) == 0)
			return true;
	}
	return false;
}

/* Takes the change over. A rename also uses its new name: nothing else may be
 * under way. */
static int
window_submit(struct writer *writer, struct change *change, struct err *err)
{
	bool rename = change->as.op == WRITER_RENAME;
	int code, rc = 0;

	while (rc == 0 && writer->flying_count > 0 &&
	       (rename || writer->flying_count == WRITER_WINDOW ||
		   dn_flies(writer, change)))
		rc = window_step(writer, err);
	if (rc == 0)
		rc = change_launch(writer, change, &code, err);
	if (rc == 0)
		return rename ? window_drain(writer, err) : 0;
	if (rc == 1)
		rc = result_report(writer, change, code, NULL, err);
	change_free(change);
	return rc;
}

/* --- the public face --- */

static int
check_alive(const struct writer *writer, struct err *err)
{
	if (!writer->dead)
		return 0;
	return err_set(err, ERR_TEMPORARY, "%s: writing has stopped",
	    session_uri(writer->session));
}

int
writer_submit(
    struct writer *writer, const struct writer_change *change, struct err *err)
{
	struct change *copy;

	if (check_alive(writer, err) != 0)
		return -1;
	copy = change_copy(change);
	if (copy == NULL)
		return result_too_large(writer, change, err);
	return window_submit(writer, copy, err);
}

int
writer_barrier(struct writer *writer, struct err *err)
{
	if (check_alive(writer, err) != 0)
		return -1;
	return window_drain(writer, err);
}

int
writer_close(struct writer *writer, struct err *err)
{
	int rc = writer_barrier(writer, err);

	writer_abort(writer);
	return rc;
}
