#include "common/ldap/reference.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/ldap/dn.h"
#include "common/wire/crypto.h"

#define REFERENCE_MAX 32768
#define REFERENCE_AT_ONCE 100
#define REFERENCE_FILTER_MAX (1024 * 1024)
#define REFERENCE_NAME_MAX (16 * 1024)

/* A name is known by its hash: its size must not make the cache's. */
struct reference_slot {
	struct id key; /* half of the name's SHA-256; all 0: free */
	struct id id;
};

struct reference_cache {
	const struct dialect *dialect;
	struct reference_contexts contexts;
	const char **dns; /* owned array of borrowed names */
	struct reference_slot *slots;
	size_t size; /* a power of two */
	size_t count;
};

bool
reference_is_extended(const struct dialect *dialect)
{
	return dialect_kind(dialect) != DIALECT_OPENLDAP;
}

bool
reference_id(
    const struct dialect *dialect, struct slice value, struct id *out_id)
{
	const struct slice mark = SLICE_LIT("<GUID=");
	struct err ignored = {0};
	char text[ID_TEXT_SIZE];
	size_t end;

	if (!slice_starts_case(value, mark))
		return false;
	value = slice_sub(value, mark.len, SIZE_MAX);
	end = slice_find(value, '>');
	if (end == SIZE_MAX || end >= sizeof(text))
		return false;
	memcpy(text, value.data, end);
	text[end] = '\0';
	return dialect_id_parse(dialect, text, out_id, &ignored) == 0;
}

struct slice
reference_name(struct slice value)
{
	/* A name of RFC 4514 has no bare "<". */
	while (value.len > 0 && value.data[0] == '<') {
		size_t end = slice_find(value, ';');

		if (end == SIZE_MAX)
			return SLICE_NULL;
		value = slice_sub(value, end + 1, SIZE_MAX);
	}
	return value;
}

struct slice
reference_plain(struct slice value, struct arena *arena)
{
	const struct slice mark = SLICE_LIT("<GUID=");
	struct slice name;
	uint8_t *text;
	size_t at = 0;

	/* Bytes or text with their length may stand before the name. */
	while (at < value.len &&
	       !slice_starts_case(slice_sub(value, at, mark.len), mark))
		at++;
	if (at == value.len)
		return value;
	name = reference_name(slice_sub(value, at, SIZE_MAX));
	if (at == 0)
		return name;
	text = arena_alloc(arena, at + name.len);
	if (text == NULL)
		return SLICE_NULL;
	memcpy(text, value.data, at);
	if (name.len > 0)
		memcpy(text + at, name.data, name.len);
	return slice_make(text, at + name.len);
}

/* --- names without ids --- */

struct slice
reference_without_uid(struct slice value)
{
	size_t i = value.len;

	if (i < 4 || memcmp(value.data + i - 2, "'B", 2) != 0)
		return value;
	for (i -= 2;
	     i > 0 && (value.data[i - 1] == '0' || value.data[i - 1] == '1');)
		i--;
	if (i < 2 || memcmp(value.data + i - 2, "#'", 2) != 0)
		return value;
	return slice_sub(value, 0, i - 2);
}

/* Appends the form in which equal names are equal bytes. */
static void
name_normalize(struct slice name, struct buf *out)
{
	char *text = mem_strndup((const char *)name.data, name.len);
	struct err ignored = {0};
	size_t before = out->len;

	if (dn_normalize(text, out, &ignored) < 0) {
		out->len = before;
		buf_add(out, name);
	}
	free(text);
}

void
reference_unresolved(struct slice name, struct id *out_id)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct buf buf;

	buf_init(&buf, REFERENCE_NAME_MAX);
	name_normalize(reference_without_uid(name), &buf);
	crypto_sha256(buf_slice(&buf), digest);
	memcpy(out_id->bytes, digest, ID_LEN);
	buf_fini(&buf);
}

struct reference_cache *
reference_cache_new(
    const struct dialect *dialect, const struct reference_contexts *contexts)
{
	struct reference_cache *cache = mem_calloc(1, sizeof(*cache));

	cache->dialect = dialect;
	cache->contexts = *contexts;
	cache->dns = mem_calloc(contexts->count, sizeof(*cache->dns));
	memcpy(
	    cache->dns, contexts->dns, contexts->count * sizeof(*cache->dns));
	cache->size = (size_t)REFERENCE_MAX * 2;
	cache->slots = mem_calloc(cache->size, sizeof(*cache->slots));
	return cache;
}

void
reference_cache_clear(struct reference_cache *cache)
{
	/* An empty one is not looked at: that would make its two MiB real. */
	if (cache->count == 0)
		return;
	memset(cache->slots, 0, cache->size * sizeof(*cache->slots));
	cache->count = 0;
}

void
reference_cache_free(struct reference_cache *cache)
{
	if (cache == NULL)
		return;
	free(cache->slots);
	free(cache->dns);
	free(cache);
}

static bool
is_free(const struct reference_slot *slot)
{
	static const struct id none;

	return id_compare(&slot->key, &none) == 0;
}

static struct id
name_key(struct slice name)
{
	uint8_t digest[CRYPTO_HASH_LEN];
	struct id key;

	crypto_sha256(name, digest);
	memcpy(key.bytes, digest, ID_LEN);
	return key;
}

/* Its slot, or the free one where it belongs. */
static struct reference_slot *
slot_find(const struct reference_cache *cache, const struct id *key)
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, key->bytes, sizeof(hash));
	for (at = (size_t)hash & (cache->size - 1); !is_free(&cache->slots[at]);
	     at = (at + 1) & (cache->size - 1))
		if (id_compare(&cache->slots[at].key, key) == 0)
			break;
	return &cache->slots[at];
}

const struct id *
reference_cache_find(const struct reference_cache *cache, struct slice name)
{
	struct id key = name_key(reference_without_uid(name));
	const struct reference_slot *slot = slot_find(cache, &key);

	return is_free(slot) ? NULL : &slot->id;
}

void
reference_cache_put(
    struct reference_cache *cache, struct slice name, const struct id *id)
{
	struct id key = name_key(name);
	struct reference_slot *slot;

	if (cache->count >= REFERENCE_MAX)
		reference_cache_clear(cache);
	slot = slot_find(cache, &key);
	cache->count += is_free(slot);
	*slot = (struct reference_slot){.key = key, .id = *id};
}

/* Names that are asked for together. */
struct batch {
	struct slice names[REFERENCE_AT_ONCE];
	struct id keys[REFERENCE_AT_ONCE]; /* as if unresolved */
	struct id ids[REFERENCE_AT_ONCE];
	size_t count;
};

static void
batch_match(struct batch *b, const struct dialect *dialect,
    const struct search_entry *entry)
{
	struct err ignored = {0};
	struct id key, id;

	if (dialect_entry_id(dialect, entry, &id, &ignored) < 0)
		return;
	reference_unresolved(slice_str(entry->dn), &key);
	for (size_t i = 0; i < b->count; i++)
		if (id_compare(&b->keys[i], &key) == 0)
			b->ids[i] = id;
}

static bool
is_in(struct slice name, const char *context)
{
	char *text = mem_strndup((const char *)name.data, name.len);
	bool in = dn_is_below(text, context, true);

	free(text);
	return in;
}

/* slapd finds an entryDN without an index. */
static int
batch_search(
    struct reference_cache *cache, struct batch *b, size_t at, struct err *err)
{
	static const char *const names[] = {"entryUUID", "objectGUID", NULL};
	const struct reference_contexts *contexts = &cache->contexts;
	struct search_options options = {.base = cache->dns[at],
	    .scope = SEARCH_SUBTREE,
	    .attributes = names};
	struct session *session = NULL;
	struct search *search = NULL;
	struct search_entry entry;
	struct buf filter;
	bool any = false;
	int rc;

	buf_init(&filter, REFERENCE_FILTER_MAX);
	buf_add_str(&filter, "(|");
	for (size_t i = 0; i < b->count; i++) {
		if (!is_in(b->names[i], cache->dns[at]))
			continue;
		any = true;
		buf_add_str(&filter, "(entryDN=");
		search_filter_escape(&filter, b->names[i]);
		buf_add_byte(&filter, ')');
	}
	buf_add_byte(&filter, ')');
	rc = buf_check(&filter, "filter", err);
	options.filter = buf_cstr(&filter);
	if (rc == 0 && any)
		rc = contexts->open(contexts->arg, at, &session, err);
	if (rc == 0 && any)
		rc = search_open(session, &options, &search, err);
	while (rc == 0 && search != NULL &&
	       (rc = search_step(search, &entry, err)) == 1) {
		batch_match(b, cache->dialect, &entry);
		rc = 0;
	}
	search_close(search);
	buf_fini(&filter);
	return rc;
}

static int
batch_resolve(struct reference_cache *cache, struct batch *b, struct err *err)
{
	for (size_t i = 0; i < cache->contexts.count; i++)
		if (batch_search(cache, b, i, err) < 0)
			return -1;
	for (size_t i = 0; i < b->count; i++)
		reference_cache_put(cache, b->names[i], &b->ids[i]);
	b->count = 0;
	return 0;
}

int
reference_cache_resolve(struct reference_cache *cache,
    const struct slice *names, size_t count, struct err *err)
{
	struct batch *b = mem_calloc(1, sizeof(*b));
	int rc = 0;

	/* All of these are to be found afterwards. */
	if (cache->count + count > REFERENCE_MAX)
		reference_cache_clear(cache);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (names[i].len > REFERENCE_NAME_MAX / 4 ||
		    reference_cache_find(cache, names[i]) != NULL)
			continue;
		b->names[b->count] = reference_without_uid(names[i]);
		reference_unresolved(names[i], &b->keys[b->count]);
		b->ids[b->count] = b->keys[b->count];
		if (++b->count == REFERENCE_AT_ONCE)
			rc = batch_resolve(cache, b, err);
	}
	if (rc == 0 && b->count > 0)
		rc = batch_resolve(cache, b, err);
	free(b);
	return rc;
}
