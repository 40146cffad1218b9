/*
 * Which naming contexts there are, and where each is read.
 *
 *   Active Directory: the domains under CN=Partitions (crossRef objects,
 *       MS-ADTS 6.1.1.2.1.1), each at its own controllers
 *   OpenLDAP: the databases of the server, and those of the configuration
 *
 * An entry of directory.domains says where a context is read instead.
 */
#include "spoke/forest_internal.h"

#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/ldap/dn.h"

#define FIND_ARENA_MAX ((size_t)4 << 20)
#define TEXT_MAX 16384

/* FLAG_CR_NTDS_DOMAIN, by LDAP_MATCHING_RULE_BIT_AND. */
#define DOMAINS_FILTER                                                         \
	"(&(objectClass=crossRef)"                                             \
	"(systemFlags:1.2.840.113556.1.4.803:=2))"

void
forest_places_text(const struct forest *forest, struct buf *out)
{
	for (size_t i = 0; i < forest->place_count; i++)
		buf_addf(out, "%s%s", i > 0 ? "; " : "", forest->places[i].dn);
}

static struct forest_place *
place_get(struct forest *forest, const char *dn)
{
	for (size_t i = 0; i < forest->place_count; i++)
		if (dn_equal(forest->places[i].dn, dn))
			return &forest->places[i];
	return NULL;
}

static const struct spoke_domain *
domain_get(const struct forest *forest, const char *dn)
{
	const struct spoke_directory *d = &forest->conf->directory;

	for (size_t i = 0; i < d->domain_count; i++)
		if (dn_equal(d->domains[i].context, dn))
			return &d->domains[i];
	return NULL;
}

static void
place_add(struct forest *forest, const char *dn, struct forest_server *server)
{
	forest->places = mem_realloc(forest->places,
	    (forest->place_count + 1) * sizeof(*forest->places));
	forest->places[forest->place_count++] =
	    (struct forest_place){.dn = mem_strdup(dn), .server = server};
}

/* DC=child,DC=north,DC=example to child.north.example; "" for another DN. */
static void
domain_from_dn(const char *dn, struct buf *out)
{
	struct err ignored = {0};

	for (; *dn != '\0'; dn = dn_parent(dn)) {
		if (strncasecmp(dn, "DC=", 3) != 0) {
			buf_reset(out);
			return;
		}
		if (out->len > 0)
			buf_add_byte(out, '.');
		if (dn_rdn_value(dn, out, &ignored) < 0) {
			buf_reset(out);
			return;
		}
	}
}

/* child.north.example to DC=child,DC=north,DC=example. */
static char *
dn_from_domain(const char *domain)
{
	struct buf dn;
	char *text;

	buf_init(&dn, TEXT_MAX);
	while (*domain != '\0') {
		size_t len = strcspn(domain, ".");

		if (dn.len > 0)
			buf_add_byte(&dn, ',');
		dn_add_rdn(&dn, "DC", slice_make(domain, len));
		domain += len + (domain[len] == '.');
	}
	text = mem_strdup(buf_cstr(&dn));
	buf_fini(&dn);
	return text;
}

/* A place on a server of its own. dns: what the forest says of it, NULL. */
static void
place_add_own(struct forest *forest, const char *dn, const char *dns,
    const struct spoke_domain *set)
{
	struct forest_server *server;
	struct controller where = {0};
	struct buf name;

	buf_init(&name, TEXT_MAX);
	if (set != NULL) {
		where.uris = set->uris;
		where.uri_count = set->uri_count;
		where.ca_file = set->ca_file;
		where.user = set->user;
		where.password_file = set->password_file;
	}
	if (dns == NULL)
		domain_from_dn(dn, &name);
	server = forest_server_add(forest, &where, mem_strdup(dn));
	server->setting = mem_printf("naming context %s (domains)", dn);
	server->where.setting = server->setting;
	if (set != NULL && set->domain != NULL)
		dns = set->domain;
	else if (dns == NULL)
		dns = buf_cstr(&name);
	server->domain = mem_strdup(dns);
	/* Who gives the servers says which they are. */
	if (where.uri_count == 0 || (set != NULL && set->domain != NULL))
		server->where.domain = server->domain;
	place_add(forest, dn, server);
	buf_fini(&name);
}

/* What the first server holds, but for what is switched off or elsewhere. */
static void
places_first(struct forest *forest)
{
	struct forest_server *first = forest->servers[0];
	size_t count;
	const char *const *names = dialect_contexts(first->dialect, &count);

	for (size_t i = 0; i < count; i++) {
		const struct spoke_domain *set = domain_get(forest, names[i]);

		if (set == NULL || (set->enabled && set->uri_count == 0 &&
				       set->domain == NULL))
			place_add(forest, names[i], first);
	}
}

static int
compare_places(const void *a, const void *b)
{
	const struct forest_place *x = a, *y = b;

	return strcasecmp(x->dn, y->dn);
}

/* One domain of the forest, as its crossRef describes it. */
static void
domain_take(struct forest *forest, const struct search_entry *entry)
{
	struct slice context = search_first(entry, "nCName");
	struct slice root = search_first(entry, "dnsRoot");
	const struct spoke_domain *set;
	char *dn, *dns;

	if (context.len == 0 && root.len == 0)
		return;
	forest->domain_count++;
	dns = mem_strndup((const char *)root.data, root.len);
	/* Samba hides the name of a context of which it has no copy. */
	dn = context.len == 0
		 ? dn_from_domain(dns)
		 : mem_strndup((const char *)context.data, context.len);
	set = domain_get(forest, dn);
	if (place_get(forest, dn) == NULL && (set == NULL || set->enabled))
		place_add_own(forest, dn, root.len > 0 ? dns : NULL, set);
	free(dn);
	free(dns);
}

static int
domains_read(struct forest *forest, const char *configuration, struct err *err)
{
	static const char *const names[] = {"nCName", "dnsRoot", NULL};
	struct search_options options = {.scope = SEARCH_ONE,
	    .filter = DOMAINS_FILTER,
	    .attributes = names,
	    .page_size = forest->conf->directory.page_size};
	char *base = mem_printf("CN=Partitions,%s", configuration);
	struct search *search = NULL;
	struct search_entry entry;
	size_t first = forest->place_count;
	int rc;

	options.base = base;
	rc = search_open(forest->servers[0]->session, &options, &search, err);
	while (rc == 0 && (rc = search_step(search, &entry, err)) == 1) {
		domain_take(forest, &entry);
		rc = 0;
	}
	search_close(search);
	free(base);
	if (rc < 0)
		return err_prepend(err, "the domains of the forest");
	/* In an order that does not hang on the server. */
	if (forest->place_count > first)
		qsort(&forest->places[first], forest->place_count - first,
		    sizeof(*forest->places), compare_places);
	return 0;
}

static char *
text_copy(const struct search_entry *entry, const char *name)
{
	struct slice value = search_first(entry, name);

	return mem_strndup((const char *)value.data, value.len);
}

static int
forest_read(struct forest *forest, struct err *err)
{
	static const char *const names[] = {"configurationNamingContext",
	    "rootDomainNamingContext", "isGlobalCatalogReady", NULL};
	struct session *session = forest->servers[0]->session;
	struct arena *arena = arena_new(FIND_ARENA_MAX);
	char *configuration = NULL, *root = NULL;
	struct search_entry entry;
	struct buf dns;
	int rc;

	buf_init(&dns, TEXT_MAX);
	rc = search_read(session, "", names, arena, &entry, err);
	if (rc == 1) {
		configuration = text_copy(&entry, names[0]);
		root = text_copy(&entry, names[1]);
		domain_from_dn(root, &dns);
		forest->root_domain = mem_strdup(buf_cstr(&dns));
		forest->first_is_catalogue = slice_equal_case(
		    search_first(&entry, names[2]), SLICE_LIT("TRUE"));
		rc = domains_read(forest, configuration, err);
	}
	free(configuration);
	free(root);
	buf_fini(&dns);
	arena_free(arena);
	return rc;
}

/* What the configuration adds. */
static int
places_configured(struct forest *forest, bool ad, struct err *err)
{
	const struct spoke_directory *d = &forest->conf->directory;

	for (size_t i = 0; i < d->domain_count; i++) {
		const struct spoke_domain *set = &d->domains[i];
		struct buf text;

		if (!set->enabled || place_get(forest, set->context) != NULL)
			continue;
		if (!ad) {
			place_add_own(forest, set->context, NULL, set);
			continue;
		}
		buf_init(&text, TEXT_MAX);
		forest_places_text(forest, &text);
		(void)err_set(err, ERR_CONFIG,
		    "domains: %s is no domain of this forest, which has: %s; "
		    "correct context",
		    set->context, buf_cstr(&text));
		buf_fini(&text);
		return -1;
	}
	return 0;
}

int
forest_places_find(struct forest *forest, struct err *err)
{
	bool ad = dialect_kind(forest->servers[0]->dialect) != DIALECT_OPENLDAP;

	places_first(forest);
	if ((ad && forest_read(forest, err) < 0) ||
	    places_configured(forest, ad, err) < 0)
		return -1;
	if (forest->place_count > 0)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "domains: every naming context is switched off: enable one");
}
