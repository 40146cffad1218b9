#include "spoke/export/choose/scope_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"

#define SCOPE_CONTAINERS_MAX 65536
#define SCOPE_KEY_TEXT_MAX ((size_t)16 << 20)
#define SCOPE_NAME_MAX ((size_t)64 << 10)

static const char *const id_attributes[] = {"objectGUID", "entryUUID", NULL};

void
scope_note_key(const char *what, const char *text, char *out, size_t size)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct id id;
	char hex[ID_HEX_SIZE];

	crypto_sha256(slice_str(text), digest);
	memcpy(id.bytes, digest, ID_LEN);
	(void)snprintf(out, size, "%s:%s", what, id_format(&id, hex));
}

void
scope_key(
    const struct export_base *base, const char *what, char *text, size_t size)
{
	char name[8192];
	struct buf all;

	buf_init(&all, SCOPE_KEY_TEXT_MAX);
	buf_addf(&all, "%s %d %u %d %u", scope_text(base, name, sizeof(name)),
	    (int)base->scope, base->kind_set, (int)base->groups, base->depth);
	for (size_t i = 0; i < base->exclude_count; i++)
		buf_addf(&all, "\n%s", base->exclude[i]);
	scope_note_key(what, buf_cstr(&all), text, size);
	buf_fini(&all);
}

int
scope_search_at(struct scope *s, const struct forest_context *context,
    const struct scope_search *what, scope_fn *fn, void *arg, struct err *err)
{
	const struct search_options options = {.base = what->base,
	    .scope = what->scope,
	    .filter = what->filter,
	    .attributes = what->attributes,
	    .reference = scope_referral_take,
	    .reference_arg = s,
	    .page_size = what->scope == SEARCH_BASE ? 0 : s->options.page_size,
	    .extended_dn = s->options.extended_dn};
	struct search *search = NULL;
	struct search_entry entry;
	int rc;

	if (search_open(context->session, &options, &search, err) < 0)
		return -1;
	while ((rc = search_step(search, &entry, err)) > 0) {
		rc = fn(arg, NULL, &entry, err);
		if (rc != 0)
			break;
	}
	search_close(search);
	return rc;
}

int
scope_search(struct scope *s, const struct scope_search *what, scope_fn *fn,
    void *arg, struct err *err)
{
	const struct forest_context *context;

	if (forest_context_of(s->options.forest, what->base, &context, err) < 0)
		return -1;
	return scope_search_at(s, context, what, fn, arg, err);
}

static int
container_take(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	struct scope_from *from = arg;
	size_t n = from->container_count;

	(void)hit;
	/* What lies in one that was found is found there. */
	for (size_t i = 0; i < n; i++)
		if (dn_is_below(entry->dn, from->containers[i], true))
			return 0;
	if (n == SCOPE_CONTAINERS_MAX)
		return err_set(err, ERR_LIMIT,
		    "the search finds more than %d containers",
		    SCOPE_CONTAINERS_MAX);
	if ((n & (n - 1)) == 0)
		from->containers = mem_realloc(from->containers,
		    (n == 0 ? 1 : n * 2) * sizeof(*from->containers));
	from->containers[from->container_count++] = mem_strdup(entry->dn);
	return 0;
}

int
scope_containers_read(struct scope *s, struct scope_from *from,
    const char *filter, struct err *err)
{
	struct scope_search search = {.scope = SEARCH_SUBTREE,
	    .filter = filter,
	    .attributes = id_attributes};
	struct forest *forest = s->options.forest;

	for (size_t i = 0; i < forest_count(forest); i++) {
		search.base = forest_dn(forest, i);
		if (scope_search(s, &search, container_take, from, err) < 0)
			return -1;
	}
	return 0;
}

/* --- pins --- */

static int
pin_get(struct scope *s, const char *text, struct scope_place *place,
    struct err *err)
{
	char key[64];
	struct buf note;
	struct err bad = {0};
	int rc;

	if (s->options.replica == NULL)
		return 0;
	scope_note_key("pin", text, key, sizeof(key));
	buf_init(&note, 64);
	rc = replica_note_get(s->options.replica, key, &note, err);
	place->pinned =
	    rc == 0 && id_from_slice(buf_slice(&note), &place->id, &bad) == 0;
	buf_fini(&note);
	return rc;
}

static int
pin_set(struct scope *s, const char *text, const struct scope_place *place,
    struct err *err)
{
	char key[64];

	if (place->dn == NULL)
		return 0;
	scope_note_key("pin", text, key, sizeof(key));
	if (replica_note_set(
		s->options.replica, key, id_slice(&place->id), err) < 0)
		return -1;
	if (!place->by_name)
		return 0;
	scope_note_key("at", text, key, sizeof(key));
	return replica_note_set(
	    s->options.replica, key, slice_str(place->dn), err);
}

/* An excluded place may be there, only that the account sees it no more: what
 * is in it has the name still that it had last. */
static int
last_get(struct scope *s, const char *text, struct scope_place *place,
    struct err *err)
{
	char key[64];
	struct buf note;
	int rc;

	if (!place->by_name || s->options.replica == NULL)
		return 0;
	scope_note_key("at", text, key, sizeof(key));
	buf_init(&note, SCOPE_NAME_MAX);
	rc = replica_note_get(s->options.replica, key, &note, err);
	if (rc == 0 && note.len > 0)
		place->last = mem_strdup(buf_cstr(&note));
	buf_fini(&note);
	return rc;
}

int
scope_pins_keep(struct scope *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct scope_from *from = &s->list[i];
		const struct export_base *base = from->base;
		const char *text = base->ou != NULL ? base->ou : base->object;

		if (text != NULL && pin_set(s, text, &from->place, err) < 0)
			return -1;
		for (size_t k = 0; k < base->exclude_count; k++)
			if (pin_set(s, base->exclude[k], &from->excludes[k],
				err) < 0)
				return -1;
	}
	return scope_members_keep(s, err);
}

static int
place_take(void *arg, const struct scope_hit *hit,
    const struct search_entry *entry, struct err *err)
{
	struct scope_place *place = arg;

	(void)hit;
	(void)err;
	free(place->dn);
	place->dn = mem_strdup(entry->dn);
	return 0;
}

static int
find_id(struct scope *s, const struct id *id, struct scope_place *place,
    struct err *err)
{
	struct scope_search search = {
	    .scope = SEARCH_SUBTREE, .attributes = id_attributes};
	struct forest *forest = s->options.forest;
	struct buf filter;
	int rc = 0;

	buf_init(&filter, 256);
	dialect_id_filter(s->options.dialect, id, &filter);
	search.filter = buf_cstr(&filter);
	for (size_t i = 0;
	     rc == 0 && place->dn == NULL && i < forest_count(forest); i++) {
		search.base = forest_dn(forest, i);
		rc = scope_search(s, &search, place_take, place, err);
	}
	buf_fini(&filter);
	if (rc == 0)
		place->id = *id;
	return rc < 0 ? -1 : place->dn != NULL;
}

/* What bears that name now, and as the server writes it, which is how the names
 * below it end: it takes more for equal than we do. 1, 0, -1. */
static int
find_dn(struct scope *s, const char *dn, struct id *out_id, char **out_dn,
    struct err *err)
{
	const struct forest_context *context;
	struct search_entry entry;
	int rc;

	arena_reset(s->arena);
	if (forest_context_of(s->options.forest, dn, &context, err) < 0)
		return -1;
	rc = search_read(
	    context->session, dn, id_attributes, s->arena, &entry, err);
	if (rc <= 0)
		return rc;
	if (dialect_entry_id(s->options.dialect, &entry, out_id, err) < 0)
		return -1;
	*out_dn = mem_strdup(entry.dn);
	return 1;
}

static int
place_set(struct scope_place *place, const struct id *id, char *dn)
{
	place->id = *id;
	place->dn = dn;
	return 1;
}

/* As scope_pin(). */
static int
place_find(struct scope *s, const char *text, struct scope_place *place,
    struct err *err)
{
	struct err bad = {0};
	struct id id;
	char *dn = NULL;
	int rc;

	if (pin_get(s, text, place, err) < 0)
		return -1;
	if (dialect_id_parse(s->options.dialect, text, &id, &bad) == 0)
		return find_id(s, &id, place, err);
	rc = find_dn(s, text, &id, &dn, err);
	if (rc < 0)
		return -1;
	if (rc == 1 && (!place->pinned || id_compare(&id, &place->id) == 0))
		return place_set(place, &id, dn);
	if (place->pinned) {
		int found = find_id(s, &place->id, place, err);

		if (found > 0)
			log_info("a place was renamed policy=%s was=\"%s\" "
				 "is=\"%s\"",
			    s->options.policy->name, text, place->dn);
		if (found != 0) {
			free(dn);
			return found;
		}
	}
	/* Made anew under the old name. */
	if (rc == 1 && (s->options.repin || place->by_name))
		return place_set(place, &id, dn);
	place->taken = rc == 1;
	free(dn);
	return 0;
}

int
scope_pin(struct scope *s, const char *text, struct scope_place *place,
    struct err *err)
{
	int rc = place_find(s, text, place, err);

	return rc == 0 ? last_get(s, text, place, err) : rc;
}

/* --- after reading --- */

static int
moved(struct scope *s, const char *dn, struct err *err)
{
	return err_set(err, ERR_TEMPORARY,
	    "\"%s\" on %s was renamed, moved, deleted or made while it was "
	    "read: nothing is taken in; the next run reads it again",
	    dn, forest_where(s->options.forest, dn));
}

static int
place_stays(struct scope *s, const struct scope_place *place, struct err *err)
{
	struct id id;
	char *dn = NULL;
	int rc;

	if (place->dn == NULL)
		return 0;
	rc = find_dn(s, place->dn, &id, &dn, err);
	free(dn);
	if (rc < 0)
		return -1;
	return rc == 1 && id_compare(&id, &place->id) == 0
		   ? 0
		   : moved(s, place->dn, err);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The first of a that is not in b, nor below one of b: which of two containers
 * within each other is kept hangs on the order in which they came. */
static const char *
missing_from(const struct scope_from *a, const struct scope_from *b)
{
	for (size_t i = 0; i < a->container_count; i++) {
		bool found =
		    b->container_count > 0 &&
		    bsearch(&a->containers[i], b->containers,
			b->container_count, sizeof(char *), compare) != NULL;

		for (size_t k = 0; !found && k < b->container_count; k++)
			found = dn_is_below(
			    a->containers[i], b->containers[k], true);
		if (!found)
			return a->containers[i];
	}
	return NULL;
}

/* What its search finds now: the same containers? */
static int
containers_stay(struct scope *s, struct scope_from *from, struct err *err)
{
	struct scope_from now = {.base = from->base};
	const char *dn;
	int rc = scope_containers_find(s, &now, err);

	if (rc == 0 && from->container_count > 0)
		qsort(from->containers, from->container_count, sizeof(char *),
		    compare);
	if (rc == 0 && now.container_count > 0)
		qsort(now.containers, now.container_count, sizeof(char *),
		    compare);
	dn = rc < 0 ? NULL : missing_from(from, &now);
	if (rc == 0 && dn == NULL)
		dn = missing_from(&now, from);
	if (dn != NULL)
		rc = moved(s, dn, err);
	for (size_t i = 0; i < now.container_count; i++)
		free(now.containers[i]);
	free(now.containers);
	return rc;
}

int
scope_places_check(struct scope *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		struct scope_from *from = &s->list[i];

		if (place_stays(s, &from->place, err) < 0)
			return -1;
		for (size_t k = 0; k < from->base->exclude_count; k++)
			if (place_stays(s, &from->excludes[k], err) < 0)
				return -1;
		if ((from->base->search != NULL ||
			from->base->filter != NULL) &&
		    containers_stay(s, from, err) < 0)
			return -1;
	}
	return 0;
}
