#include "common/ldap/search.h"

#include <ldap.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/ldap/attributes.h"
#include "common/ldap/range.h"

/* What one entry may take: a group of half a million members. */
#define SEARCH_ENTRY_MAX ((size_t)256 << 20)
/* Pages without an entry that a server may send in a row (AD does, when a
 * filter is slow). */
#define SEARCH_EMPTY_PAGES 10000
#define OID_SHOW_DELETED "1.2.840.113556.1.4.417"
#define OID_EXTENDED_DN "1.2.840.113556.1.4.529"

enum search_state { SEARCH_NEW, SEARCH_RUNNING, SEARCH_ENDED, SEARCH_FAILED };

struct search {
	struct session *session;
	enum search_state state;
	char *base;
	char *filter;
	char **attributes;
	enum search_scope scope;
	unsigned page_size;
	bool show_deleted;
	bool extended_dn;
	bool raw; /* ranges and options stay as they came */
	search_reference_fn *reference;
	void *reference_arg;
	int msgid;
	LDAPMessage *message; /* of the present entry */
	BerElement *ber;
	struct arena *arena; /* of the present entry */
	struct buf cookie;
	uint64_t entries;
	uint64_t pages;
	unsigned empty_pages;
	bool page_had_entry;
};

static char **
names_copy(const char *const *names)
{
	size_t n = 0, i;
	char **copy;

	if (names == NULL)
		return NULL;
	while (names[n] != NULL)
		n++;
	copy = mem_calloc(n + 1, sizeof(*copy));
	for (i = 0; i < n; i++)
		copy[i] = mem_strdup(names[i]);
	return copy;
}

int
search_open(struct session *session, const struct search_options *options,
    struct search **out_search, struct err *err)
{
	struct search *search = mem_calloc(1, sizeof(*search));

	(void)err;
	search->session = session;
	search->base = mem_strdup(options->base);
	search->filter = mem_strdup(
	    options->filter == NULL ? "(objectClass=*)" : options->filter);
	search->attributes = names_copy(options->attributes);
	search->scope = options->scope;
	search->page_size = options->page_size;
	search->show_deleted = options->show_deleted;
	search->reference = options->reference;
	search->reference_arg = options->reference_arg;
	search->extended_dn = options->extended_dn;
	search->msgid = -1;
	search->arena = arena_new(SEARCH_ENTRY_MAX);
	buf_init(&search->cookie, 64 * 1024);
	*out_search = search;
	return 0;
}

/* Lets the present entry go. */
static void
entry_release(struct search *search)
{
	if (search->ber != NULL)
		ber_free(search->ber, 0);
	search->ber = NULL;
	ldap_msgfree(search->message);
	search->message = NULL;
	arena_reset(search->arena);
}

void
search_close(struct search *search)
{
	char **name;

	if (search == NULL)
		return;
	if (search->msgid >= 0)
		ldap_abandon_ext(
		    session_handle(search->session), search->msgid, NULL, NULL);
	entry_release(search);
	arena_free(search->arena);
	buf_fini(&search->cookie);
	for (name = search->attributes; name != NULL && *name != NULL; name++)
		free(*name);
	free(search->attributes);
	free(search->base);
	free(search->filter);
	free(search);
}

static int
search_fail(
    struct search *search, int code, const char *diagnostic, struct err *err)
{
	char *what = mem_printf("search below \"%s\" after %llu entries",
	    search->base, (unsigned long long)search->entries);

	search->state = SEARCH_FAILED;
	session_error(search->session, code, diagnostic, err, what);
	free(what);
	return -1;
}

static int
search_bad(struct search *search, struct err *err, const char *cause)
{
	search->state = SEARCH_FAILED;
	return err_set(err, ERR_BAD_DATA,
	    "%s: search below \"%s\" after %llu entries: %s",
	    session_uri(search->session), search->base,
	    (unsigned long long)search->entries, cause);
}

static int
search_send(struct search *search, struct err *err)
{
	LDAP *ld = session_handle(search->session);
	LDAPControl *page = NULL, *controls[4] = {NULL, NULL, NULL, NULL};
	LDAPControl deleted = {(char *)OID_SHOW_DELETED, {0, NULL}, 1};
	LDAPControl extended = {(char *)OID_EXTENDED_DN, {0, NULL}, 1};
	struct berval cookie = {
	    search->cookie.len, (char *)search->cookie.data};
	size_t n = 0;
	int code;

	if (search->page_size > 0) {
		code = ldap_create_page_control(
		    ld, (ber_int_t)search->page_size, &cookie, 1, &page);
		if (code != LDAP_SUCCESS)
			return search_fail(search, code, NULL, err);
		controls[n++] = page;
	}
	if (search->show_deleted)
		controls[n++] = &deleted;
	if (search->extended_dn)
		controls[n++] = &extended;
	code = ldap_search_ext(ld, search->base, (int)search->scope,
	    search->filter, search->attributes, 0, controls, NULL, NULL,
	    LDAP_NO_LIMIT, &search->msgid);
	ldap_control_free(page);
	if (code != LDAP_SUCCESS) {
		search->msgid = -1;
		return search_fail(search, code, NULL, err);
	}
	search->state = SEARCH_RUNNING;
	search->page_had_entry = false;
	return 0;
}

/* The plain name in "<GUID=...>;<SID=...>;DN". */
static const char *
dn_plain(const char *dn)
{
	while (dn[0] == '<' && strchr(dn, ';') != NULL)
		dn = strchr(dn, ';') + 1;
	return dn;
}

static int
entry_decode(struct search *search, struct search_entry *out, struct err *err)
{
	LDAP *ld = session_handle(search->session);
	struct range_source source = {
	    .session = search->session, .extended_dn = search->extended_dn};
	struct search_attribute *attributes = NULL;
	const char *cause = NULL;
	struct berval dn;
	size_t n = 0;
	int code;

	code = ldap_get_dn_ber(ld, search->message, &search->ber, &dn);
	if (code != LDAP_SUCCESS)
		return search_fail(search, code, "malformed entry", err);
	if (strlen(dn.bv_val) != dn.bv_len)
		return search_bad(search, err, "NUL in an entry's name");
	if (attributes_decode(
		search->ber, search->arena, &attributes, &n, &cause) != 0)
		return search_bad(search, err, cause);
	out->dn = search->extended_dn ? dn_plain(dn.bv_val) : dn.bv_val;
	source.dn = out->dn;
	if (!search->raw &&
	    range_complete(&source, search->arena, attributes, &n, err) != 0) {
		search->state = SEARCH_FAILED;
		return -1;
	}
	INVARIANT(attributes != NULL || n == 0);
	out->attributes = attributes;
	out->attribute_count = n;
	search->entries++;
	search->page_had_entry = true;
	return 1;
}

/* The paged control of a final result: takes the cookie over. Without one the
 * server ignored a critical control, and nobody knows what is missing. */
static int
page_finish(struct search *search, LDAPControl **controls, struct err *err)
{
	struct berval cookie = {0, NULL};
	ber_int_t estimate;
	LDAPControl *control =
	    ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	int code;

	if (control == NULL)
		return search_bad(search, err,
		    "the server answered a page without saying whether it is "
		    "the last");
	code = ldap_parse_pageresponse_control(
	    session_handle(search->session), control, &estimate, &cookie);
	if (code != LDAP_SUCCESS)
		return search_bad(search, err, "malformed page control");
	buf_reset(&search->cookie);
	buf_add(&search->cookie, slice_make(cookie.bv_val, cookie.bv_len));
	ber_memfree(cookie.bv_val);
	if (buf_failed(&search->cookie))
		return search_bad(search, err, "page cookie too large");
	search->pages++;
	search->empty_pages =
	    search->page_had_entry ? 0 : search->empty_pages + 1;
	if (search->cookie.len == 0) {
		search->state = SEARCH_ENDED;
		return 0;
	}
	if (search->empty_pages > SEARCH_EMPTY_PAGES)
		return search_bad(search, err, "endless empty pages");
	return search_send(search, err);
}

/* The final message of a page or of the search. */
static int
result_decode(struct search *search, LDAPMessage *message, struct err *err)
{
	LDAP *ld = session_handle(search->session);
	LDAPControl **controls = NULL;
	char *diagnostic = NULL;
	int code, rc, parsed;

	search->msgid = -1;
	parsed = ldap_parse_result(
	    ld, message, &code, NULL, &diagnostic, NULL, &controls, 1);
	if (parsed != LDAP_SUCCESS) {
		rc = search_fail(search, parsed, "malformed result", err);
	} else if (code != LDAP_SUCCESS) {
		rc = search_fail(
		    search, code, diagnostic == NULL ? "" : diagnostic, err);
	} else if (search->page_size > 0) {
		rc = page_finish(search, controls, err);
	} else {
		search->state = SEARCH_ENDED;
		rc = 0;
	}
	ldap_memfree(diagnostic);
	ldap_controls_free(controls);
	return rc;
}

static int
search_receive(
    struct search *search, LDAPMessage **out_message, struct err *err)
{
	LDAP *ld = session_handle(search->session);
	int64_t ms = session_timeout_ms(search->session);
	struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
	int type, code = LDAP_SERVER_DOWN;

	type =
	    ldap_result(ld, search->msgid, LDAP_MSG_ONE, &timeout, out_message);
	if (type > 0)
		return type;
	if (type == 0)
		return search_fail(search, LDAP_TIMEOUT, "", err);
	ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
	search->msgid = -1;
	return search_fail(search,
	    code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code,
	    "the connection died before the final result", err);
}

/* Takes the message. Several URLs are one place at several servers. */
static int
reference_tell(struct search *search, LDAPMessage *message, struct err *err)
{
	LDAP *ld = session_handle(search->session);
	LDAPURLDesc *url = NULL;
	char **urls = NULL;
	int code = ldap_parse_reference(ld, message, &urls, NULL, 1);

	if (code != LDAP_SUCCESS)
		return search_fail(search, code, "malformed reference", err);
	if (search->reference != NULL && urls != NULL && urls[0] != NULL) {
		if (ldap_url_parse(urls[0], &url) != LDAP_URL_SUCCESS)
			url = NULL;
		search->reference(search->reference_arg, urls[0],
		    url == NULL || url->lud_dn == NULL ? "" : url->lud_dn);
		ldap_free_urldesc(url);
	}
	ldap_memvfree((void **)urls);
	return 0;
}

int
search_step(
    struct search *search, struct search_entry *out_entry, struct err *err)
{
	LDAPMessage *message = NULL;
	int type;

	entry_release(search);
	if (search->state == SEARCH_FAILED)
		return err_set(
		    err, ERR_INTERNAL, "step of a search that failed");
	if (search->state == SEARCH_NEW && search_send(search, err) != 0)
		return -1;
	while (search->state == SEARCH_RUNNING) {
		type = search_receive(search, &message, err);
		if (type < 0)
			return -1;
		if (type == LDAP_RES_SEARCH_ENTRY) {
			search->message = message;
			return entry_decode(search, out_entry, err);
		}
		if (type == LDAP_RES_SEARCH_RESULT) {
			if (result_decode(search, message, err) != 0)
				return -1;
			continue;
		}
		if (type != LDAP_RES_SEARCH_REFERENCE)
			ldap_msgfree(message);
		else if (reference_tell(search, message, err) != 0)
			return -1;
	}
	return 0;
}

static int
entry_copy(const struct search_entry *from, struct arena *arena,
    struct search_entry *out, struct err *err)
{
	struct search_attribute *copy;
	struct slice *values;
	size_t i, k;

	copy = arena_calloc(arena, from->attribute_count + 1, sizeof(*copy));
	out->dn = arena_strdup(arena, from->dn);
	if (copy == NULL || out->dn == NULL)
		goto full;
	for (i = 0; i < from->attribute_count; i++) {
		const struct search_attribute *a = &from->attributes[i];

		values =
		    arena_calloc(arena, a->value_count + 1, sizeof(*values));
		copy[i].name = arena_strdup(arena, a->name);
		if (values == NULL || copy[i].name == NULL)
			goto full;
		for (k = 0; k < a->value_count; k++) {
			values[k] = arena_dup(arena, a->values[k]);
			if (values[k].data == NULL)
				goto full;
		}
		copy[i].values = values;
		copy[i].value_count = a->value_count;
	}
	out->attributes = copy;
	out->attribute_count = from->attribute_count;
	return 0;
full:
	return err_set(err, ERR_LIMIT, "entry \"%s\" is too large", from->dn);
}

static int
entry_read(struct search *search, struct arena *arena,
    struct search_entry *out_entry, struct err *err)
{
	struct search_entry entry = {NULL, NULL, 0};
	struct err cause = {0};
	int rc;

	rc = search_step(search, &entry, &cause);
	if (rc == 1 && entry_copy(&entry, arena, out_entry, &cause) != 0)
		rc = -1;
	/* Only the final result proves that the entry was all. */
	if (rc == 1 && search_step(search, &entry, &cause) < 0)
		rc = -1;
	if (rc == -1 && cause.code == LDAP_NO_SUCH_OBJECT)
		return 0;
	if (rc == -1 && err != NULL)
		*err = cause;
	return rc;
}

static int
read_with(struct session *session, const struct search_options *options,
    bool raw, struct arena *arena, struct search_entry *out_entry,
    struct err *err)
{
	struct search *search = NULL;
	int rc;

	if (search_open(session, options, &search, err) != 0)
		return -1;
	search->raw = raw;
	rc = entry_read(search, arena, out_entry, err);
	search_close(search);
	return rc;
}

int
search_each(struct session *session, const struct search_options *options,
    search_fn *fn, void *arg, struct err *err)
{
	struct search *search = NULL;
	struct search_entry entry;
	int rc;

	if (search_open(session, options, &search, err) < 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) == 1) {
		rc = fn(arg, &entry, err);
		if (rc != 0)
			break;
	}
	search_close(search);
	return rc;
}

int
search_read(struct session *session, const char *dn,
    const char *const *attributes, struct arena *arena,
    struct search_entry *out_entry, struct err *err)
{
	struct search_options options = {
	    .base = dn, .scope = SEARCH_BASE, .attributes = attributes};

	return read_with(session, &options, false, arena, out_entry, err);
}

int
search_read_raw(const struct range_source *source,
    const char *const *attributes, struct arena *arena,
    struct search_entry *out_entry, struct err *err)
{
	struct search_options options = {.base = source->dn,
	    .scope = SEARCH_BASE,
	    .attributes = attributes,
	    .extended_dn = source->extended_dn};

	return read_with(
	    source->session, &options, true, arena, out_entry, err);
}

const struct search_attribute *
search_find(const struct search_entry *entry, const char *name)
{
	size_t i;

	for (i = 0; i < entry->attribute_count; i++) {
		if (slice_name_equal(entry->attributes[i].name, name))
			return &entry->attributes[i];
	}
	return NULL;
}

struct slice
search_first(const struct search_entry *entry, const char *name)
{
	const struct search_attribute *a = search_find(entry, name);

	return a == NULL || a->value_count == 0 ? SLICE_NULL : a->values[0];
}

void
search_filter_escape(struct buf *filter, struct slice value)
{
	size_t i;

	for (i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if (c == '(' || c == ')' || c == '*' || c == '\\' || c < 0x20 ||
		    c > 126)
			buf_addf(filter, "\\%02x", c);
		else
			buf_add_byte(filter, c);
	}
}
