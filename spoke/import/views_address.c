#include "common/wire/limits.h"
#include "spoke/address.h"
#include "spoke/names.h"
#include "spoke/import/views_internal.h"

/* Addresses of one contact on their way in. */
struct views_taker {
	const struct views_options *options;
	struct arena *arena;
	struct views_contact *contact;
	struct slice *keys; /* of all that were taken, with their type */
	size_t key_count;
	size_t max;
	struct slice own; /* key of the contact's own legacyExchangeDN */
};

/* Is it new? Then its key is remembered. */
static bool
views_take_key(struct views_taker *taker, const char *type, struct slice rest)
{
	struct buf text;
	struct slice key;
	bool fresh;
	size_t i;

	buf_init(&text, LIMIT_OBJECT_BYTES);
	buf_add_str(&text, type);
	names_key(rest, &text);
	key = arena_dup(taker->arena, buf_slice(&text));
	buf_fini(&text);
	fresh = key.len > 0 && !slice_equal(key, taker->own);
	for (i = 0; fresh && i < taker->key_count; i++)
		fresh = !slice_equal(taker->keys[i], key);
	if (fresh)
		taker->keys[taker->key_count++] = key;
	return fresh;
}

/* Takes an SMTP address in unless it is a repetition or not allotted. */
static void
views_take_smtp(struct views_taker *taker, struct slice mail)
{
	struct views_contact *contact = taker->contact;

	if (!address_smtp_valid(mail) || contact->smtp_count == taker->max)
		return;
	if (!registry_domain_allotted(taker->options->member, mail)) {
		contact->dropped++;
		return;
	}
	if (views_take_key(taker, "smtp:", mail))
		contact->smtp[contact->smtp_count++] =
		    address_fold(mail, taker->arena);
}

static void
views_take_other(struct views_taker *taker, const char *type, struct slice rest)
{
	struct views_contact *contact = taker->contact;
	struct slice clean = names_text(rest, 0, taker->arena);
	size_t type_len = strlen(type);
	uint8_t *value;

	if (clean.len == 0 || type_len + clean.len > ADDRESS_PROXY_MAX ||
	    contact->other_count == taker->max ||
	    !views_take_key(taker, type, clean))
		return;
	value = arena_alloc(taker->arena, type_len + clean.len + 1);
	if (value == NULL)
		return;
	memcpy(value, type, type_len);
	memcpy(value + type_len, clean.data, clean.len);
	contact->other[contact->other_count++] =
	    slice_make(value, type_len + clean.len);
}

/* Where mail to this object goes: the primary proxy address, else mail, else a
 * contact's own target. */
static struct slice
views_primary(const struct object *object)
{
	const struct object_attribute *proxies =
	    object_find(object, "proxyAddresses");
	struct slice rest = SLICE_NULL;
	size_t i;

	for (i = 0; proxies != NULL && i < proxies->value_count; i++)
		if (address_parse(proxies->values[i], &rest) ==
			ADDRESS_SMTP_PRIMARY &&
		    address_smtp_valid(rest))
			return rest;
	if (address_smtp_valid(object_first(object, "mail")))
		return object_first(object, "mail");
	rest = object_first(object, "targetAddress");
	if (rest.len > 0)
		address_parse(rest, &rest);
	return address_smtp_valid(rest) ? rest : SLICE_NULL;
}

static void
views_take_proxy(struct views_taker *taker, struct slice value)
{
	struct slice rest = SLICE_NULL;

	switch (address_parse(value, &rest)) {
	case ADDRESS_SMTP_PRIMARY:
	case ADDRESS_SMTP:
		views_take_smtp(taker, rest);
		break;
	case ADDRESS_X500:
		views_take_other(taker, "X500:", rest);
		break;
	case ADDRESS_SIP:
		if (registry_domain_allotted(taker->options->member, rest))
			views_take_other(taker, "sip:", rest);
		break;
	case ADDRESS_OTHER:
		break;
	}
}

/* Room for what the object brings, and the contact's own name. */
static bool
views_taker_init(struct views_taker *taker, size_t values, struct slice legacy)
{
	struct arena *arena = taker->arena;
	struct buf text;

	taker->max = values + 2;
	if (taker->max > VIEWS_ADDRESSES_MAX)
		taker->max = VIEWS_ADDRESSES_MAX;
	taker->contact->smtp =
	    arena_calloc(arena, taker->max, sizeof(struct slice));
	taker->contact->other =
	    arena_calloc(arena, taker->max, sizeof(struct slice));
	taker->keys = arena_calloc(arena, 2 * taker->max, sizeof(struct slice));
	buf_init(&text, LIMIT_OBJECT_BYTES);
	buf_add_str(&text, "X500:");
	names_key(legacy, &text);
	taker->own = arena_dup(arena, buf_slice(&text));
	buf_fini(&text);
	return taker->contact->smtp != NULL && taker->contact->other != NULL &&
	       taker->keys != NULL && taker->own.len > 0;
}

enum views_reason
views_addresses(const struct views_options *options,
    const struct object *object, struct slice legacy, struct arena *arena,
    struct views_contact *contact)
{
	const struct object_attribute *proxies =
	    object_find(object, "proxyAddresses");
	struct views_taker taker = {
	    .options = options, .arena = arena, .contact = contact};
	size_t count = proxies == NULL ? 0 : proxies->value_count;
	size_t i;

	if (!views_taker_init(&taker, count, legacy))
		return VIEWS_MALFORMED;
	contact->primary = views_primary(object);
	if (contact->primary.len == 0)
		return VIEWS_NO_ADDRESS;
	if (!registry_domain_allotted(options->member, contact->primary))
		return VIEWS_FOREIGN;
	views_take_smtp(&taker, contact->primary);
	for (i = 0; i < count; i++)
		views_take_proxy(&taker, proxies->values[i]);
	/* Old mail names people by their legacyExchangeDN. */
	views_take_other(
	    &taker, "X500:", object_first(object, "legacyExchangeDN"));
	return VIEWS_FINE;
}
