/*
 * What common/ldap makes of a directory, for the tests in Python:
 *
 *   ldap_probe URI BIND WHO SECRET CA VERB ARGUMENT...
 *
 * BIND is simple (WHO a DN, SECRET a password), starttls (the same) or gssapi
 * (WHO a principal, SECRET a keytab). Verbs: dialect, mark, export BASE,
 * read BASE FILTER ATTRIBUTE, write PARENT COUNT, odd PARENT. Prints lines of
 * JSON; exit code 1 and the message on an error.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/ldap/dialect.h"
#include "common/ldap/dn.h"

struct probe {
	struct session *session;
	struct dialect *dialect;
	struct arena *arena;
	char **arguments;
};

static void
print_text(struct slice s)
{
	struct buf json;

	buf_init(&json, 1 << 20);
	buf_add_json(&json, s);
	printf("%s", buf_cstr(&json));
	buf_fini(&json);
}

static void
print_values(const struct slice *values, size_t count)
{
	size_t i;

	printf("[");
	for (i = 0; i < count; i++) {
		printf("%s", i == 0 ? "" : ", ");
		print_text(values[i]);
	}
	printf("]");
}

static int
probe_dialect(struct probe *p, struct err *err)
{
	static const char *const names[] = {"cn", "company", "targetAddress",
	    "telephoneNumber", "extensionAttribute1", "nonsense",
	    "thumbnailPhoto", "objectSid", "mailNickname"};
	const char *const *contexts;
	size_t n, i;

	if (dialect_load(p->dialect, err) != 0)
		return -1;
	contexts = dialect_contexts(p->dialect, &n);
	printf("{\"kind\": \"%s\", \"provenance\": \"%s\", \"context\": ",
	    dialect_kind_name(dialect_kind(p->dialect)),
	    dialect_provenance_attribute(p->dialect));
	print_text(slice_str(contexts[0]));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf(", \"%s\": [%d, %d, %zu]", names[i],
		    dialect_has_attribute(p->dialect, names[i]),
		    dialect_contact_allows(p->dialect, names[i]),
		    dialect_attribute_max(p->dialect, names[i]));
	printf("}\n");
	return 0;
}

static int
probe_mark(struct probe *p, struct err *err)
{
	struct buf mark;
	int rc;

	buf_init(&mark, 4096);
	rc = dialect_mark(p->session, p->dialect, &mark, err);
	if (rc == 0) {
		print_text(buf_slice(&mark));
		printf("\n");
	}
	buf_fini(&mark);
	return rc;
}

static int
print_object(struct probe *p, const struct search_entry *entry, struct err *err)
{
	struct object object;
	struct id id;
	char text[ID_HEX_SIZE];
	size_t i;

	if (dialect_entry_id(p->dialect, entry, &id, err) != 0 ||
	    dialect_read_object(p->dialect, entry, p->arena, &object, err) != 0)
		return -1;
	printf("{\"id\": \"%s\", \"kind\": %d, \"type\": %lld, \"dn\": ",
	    id_format(&id, text), (int)object.kind,
	    (long long)object.recipient_type);
	print_text(slice_str(object.source_dn));
	for (i = 0; i < object.attribute_count; i++) {
		printf(", ");
		print_text(slice_str(object.attributes[i].name));
		printf(": ");
		print_values(object.attributes[i].values,
		    object.attributes[i].value_count);
	}
	printf("}\n");
	return 0;
}

static int
probe_export(struct probe *p, struct err *err)
{
	struct search_options options = {.base = p->arguments[0],
	    .scope = SEARCH_SUBTREE,
	    .filter = dialect_export_filter(p->dialect),
	    .attributes = dialect_export_attributes(p->dialect),
	    .page_size = 100};
	struct search_entry entry;
	struct search *search;
	int rc;

	if (search_open(p->session, &options, &search, err) != 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) == 1) {
		if (print_object(p, &entry, err) != 0) {
			rc = -1;
			break;
		}
		arena_reset(p->arena);
	}
	search_close(search);
	return rc;
}

static int
probe_read(struct probe *p, struct err *err)
{
	const char *const attributes[] = {p->arguments[2], NULL};
	/* A range asked for is followed to its end, under the bare name. */
	char *name =
	    mem_strndup(p->arguments[2], strcspn(p->arguments[2], ";"));
	struct search_options options = {.base = p->arguments[0],
	    .scope = SEARCH_SUBTREE,
	    .filter = p->arguments[1],
	    .attributes = attributes,
	    .page_size = 100};
	const struct search_attribute *a;
	struct search_entry entry;
	struct search *search = NULL;
	int rc;

	rc = search_open(p->session, &options, &search, err);
	while (rc >= 0 && (rc = search_step(search, &entry, err)) == 1) {
		a = search_find(&entry, name);
		printf("{\"dn\": ");
		print_text(slice_str(entry.dn));
		printf(", \"count\": %zu, \"values\": ",
		    a == NULL ? 0 : a->value_count);
		print_values(a == NULL ? NULL : a->values,
		    a == NULL ? 0 : a->value_count);
		printf("}\n");
	}
	search_close(search);
	free(name);
	return rc;
}

static int
print_result(void *arg, const struct writer_result *result, struct err *err)
{
	(void)arg, (void)err;
	printf("{\"cookie\": %llu, \"code\": %d, \"attribute\": \"%s\", "
	       "\"text\": ",
	    (unsigned long long)result->cookie, result->code,
	    result->attribute == NULL ? "" : result->attribute);
	print_text(slice_str(result->diagnostic));
	printf("}\n");
	return 0;
}

/* A contact with what dialects map, its cn as given. */
static int
contact_add(struct probe *p, struct writer *writer, struct slice cn,
    struct slice mail, uint64_t cookie, struct err *err)
{
	struct slice values[] = {cn, mail, SLICE_LIT("galrelay:test"),
	    SLICE_LIT("Example Ltd"),
	    SLICE_LIT("+49 30\xe2\x80\x93"
		      "1"),
	    SLICE_LIT("SMTP:x@north.example"), SLICE_LIT("nick"),
	    SLICE_LIT("-2147483642"), SLICE_LIT("1310720"),
	    SLICE_LIT("{26491cfc-9e50-4857-861b-0cb8df22b5d7}"),
	    SLICE_LIT("64")};
	const struct object_attribute attributes[] = {{"cn", &values[0], 1},
	    {"mail", &values[1], 1}, {"provenance", &values[2], 1},
	    {"company", &values[3], 1}, {"telephoneNumber", &values[4], 1},
	    {"targetAddress", &values[5], 1}, {"mailNickname", &values[6], 1},
	    {"msExchRecipientDisplayType", &values[7], 1},
	    {"internetEncoding", &values[8], 1},
	    {"msExchPoliciesExcluded", &values[9], 1},
	    {"msExchRecipientTypeDetails", &values[10], 1},
	    {"nonsense", &values[1], 1}};
	struct object contact = {.kind = GALR__KIND__KIND_CONTACT,
	    .source_dn = "",
	    .attributes = attributes,
	    .attribute_count = sizeof(attributes) / sizeof(attributes[0])};
	struct writer_change change = {.op = WRITER_ADD, .cookie = cookie};
	struct writer_attribute *list = NULL;
	struct buf dn;
	int rc;

	buf_init(&dn, 4096);
	dn_add_rdn(&dn, dialect_rdn_attribute(p->dialect), cn);
	dn_add_parent(&dn, p->arguments[0]);
	change.dn = buf_cstr(&dn);
	rc = dialect_contact_attributes_map(p->dialect, &contact, p->arena,
	    &list, &change.attribute_count, err);
	change.attributes = list;
	if (rc == 0)
		rc = writer_submit(writer, &change, err);
	buf_fini(&dn);
	return rc;
}

static int
probe_write(struct probe *p, struct err *err)
{
	long count = strtol(p->arguments[1], NULL, 10), i;
	struct writer *writer;
	char cn[32];
	int rc = 0;

	if (writer_open(p->session, print_result, NULL, &writer, err))
		return -1;
	for (i = 0; i < count && rc == 0; i++) {
		snprintf(cn, sizeof(cn), "Probe %ld", i);
		rc = contact_add(p, writer, slice_str(cn),
		    SLICE_LIT("x@north.example"), (uint64_t)i, err);
		arena_reset(p->arena);
	}
	if (rc == 0)
		return writer_close(writer, err);
	writer_abort(writer);
	return rc;
}

/* Odd names, and an entry that must be refused among them. */
static int
probe_odd(struct probe *p, struct err *err)
{
	static const struct slice names[] = {SLICE_LIT("Berg, Anna"),
	    SLICE_LIT("#hash"), SLICE_LIT("\"quoted\" + <angle>; a=b\\c"),
	    SLICE_LIT("star * (paren)"), SLICE_LIT("\xf0\x9f\x98\x80 emoji"),
	    SLICE_LIT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"),
	    SLICE_LIT("cn=evil,dc=other"),
	    SLICE_LIT("0123456789012345678901234567890123456789"
		      "0123456789012345678901234567890123456789"),
	    SLICE_LIT("nul\0inside"), SLICE_LIT(" blanks ")};
	struct writer *writer;
	size_t i;
	int rc = 0;

	if (writer_open(p->session, print_result, NULL, &writer, err))
		return -1;
	for (i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++)
		rc = contact_add(
		    p, writer, names[i], SLICE_LIT("x@north.example"), i, err);
	if (rc == 0)
		return writer_close(writer, err);
	writer_abort(writer);
	return rc;
}

static int
probe_open(struct probe *p, char **argv, struct err *err)
{
	const char *uris[] = {argv[1]};
	struct session_options options = {.uris = uris,
	    .uri_count = 1,
	    .tls = SESSION_TLS_NONE,
	    .bind = SESSION_SIMPLE,
	    .bind_dn = argv[3],
	    .password = slice_str(argv[4]),
	    .connect_timeout_ms = 5000,
	    .timeout_ms = 20000};

	if (*argv[5] != '\0')
		options.ca_file = argv[5];
	if (strcmp(argv[2], "starttls") == 0)
		options.tls = SESSION_TLS_STARTTLS;
	if (strcmp(argv[2], "gssapi") == 0) {
		options.bind = SESSION_GSSAPI;
		options.principal = argv[3];
		options.keytab = argv[4];
	}
	if (session_open(&options, &p->session, err) != 0)
		return -1;
	return dialect_open(p->session, DIALECT_AUTO, NULL, &p->dialect, err);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *verb;
		int arguments;
		int (*run)(struct probe *p, struct err *err);
	} verbs[] = {
	    {"dialect", 0, probe_dialect},
	    {"mark", 0, probe_mark},
	    {"export", 1, probe_export},
	    {"read", 3, probe_read},
	    {"write", 2, probe_write},
	    {"odd", 1, probe_odd},
	};
	struct probe p = {NULL, NULL, arena_new(1 << 24), argv + 7};
	struct err err = {0};
	int rc = -1;
	size_t i;

	if (argc < 7)
		return EXIT_USAGE;
	rc = probe_open(&p, argv, &err);
	for (i = 0; rc == 0 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].verb, argv[6]) == 0 &&
		    argc == 7 + verbs[i].arguments) {
			rc = verbs[i].run(&p, &err);
			break;
		}
	}
	if (rc != 0)
		printf("%s\n", err.message);
	dialect_close(p.dialect);
	session_close(p.session);
	arena_free(p.arena);
	return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}
