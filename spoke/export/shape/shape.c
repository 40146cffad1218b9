#include "spoke/export/shape/shape.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "spoke/export/shape/addresses.h"
#include "spoke/export/shape/named.h"

/* PidTagDisplayTypeEx: may stand in an access control list. MS-OXOABK
 * 2.2.3.12. */
#define DISPLAY_TYPE_ACL INT64_C(0x40000000)
/* S-1-5-10: the account itself. */
static const uint8_t sid_self[] = {1, 1, 0, 0, 0, 0, 0, 5, 10, 0, 0, 0};
#define SID_MAX 68

struct shape {
	const struct export_policy *policy;
	bool exchange;
	struct attributes *attributes;
	struct facts_finder *facts;
};

static const struct {
	const char *text, *key;
} reasons[] = {
    [SHAPE_EXPORTED] = {"exported", "exported"},
    [SHAPE_EXCLUDED] = {"left out by place", "excluded"},
    [SHAPE_MEMBERS_ONLY] = {"only its members go out", "members_only"},
    [SHAPE_OWN] = {"imported by galrelay", "own"},
    [SHAPE_FOREIGN] = {"imported by another product", "foreign"},
    [SHAPE_SYSTEM] = {"system mailbox", "system"},
    [SHAPE_KIND] = {"no recipient", "kind"},
    [SHAPE_MARKED] = {"marked not to be exported", "marked"},
    [SHAPE_DISABLED] = {"disabled account", "disabled"},
    [SHAPE_HIDDEN] = {"hidden from address lists", "hidden"},
    [SHAPE_CLOSED] = {"closed to outsiders", "closed"},
    [SHAPE_NO_ADDRESS] = {"without mail address", "no_address"},
    [SHAPE_ERROR] = {"unreadable", "error"},
};
_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == SHAPE_REASON_COUNT,
    "every reason has its words");

const char *
shape_reason_text(enum shape_reason reason)
{
	return reasons[reason].text;
}

const char *
shape_reason_key(enum shape_reason reason)
{
	return reasons[reason].key;
}

static size_t
kind_index(Galr__Kind kind)
{
	return (unsigned)kind < SHAPE_KIND_COUNT ? (size_t)kind : 0;
}

void
shape_count(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason)
{
	counts->reasons[reason]++;
	counts->kinds[kind_index(kind)][reason]++;
}

void
shape_uncount(
    struct shape_counts *counts, Galr__Kind kind, enum shape_reason reason)
{
	counts->reasons[reason]--;
	counts->kinds[kind_index(kind)][reason]--;
}

void
shape_count_notes(struct shape_counts *counts, const struct shape_case *c)
{
	for (size_t i = 0; i < VALUES_DROP_COUNT; i++)
		counts->dropped[i] += c->notes.dropped[i];
	counts->closed += c->closed;
}

const char *
shape_kind_name(Galr__Kind kind)
{
	static const char *const names[SHAPE_KIND_COUNT] = {"other", "user",
	    "contact", "group", "dynamic-group", "public-folder"};

	return names[kind_index(kind)];
}

/* --- opening --- */

/* Whom an entry names is read, and goes out otherwise than as a value. */
static void
names_want(struct shape *shape, const struct shape_options *options)
{
	const char *names[NAMED_ATTRIBUTES_MAX];
	size_t count = named_attributes(options->kind, options->policy, names);

	for (size_t i = 0; i < count; i++)
		attributes_want(shape->attributes, names[i]);
}

int
shape_open(const struct shape_options *options, struct shape **out_shape,
    struct err *err)
{
	struct shape *shape = mem_calloc(1, sizeof(*shape));
	const struct facts_options facts = {.policy = options->policy,
	    .dialect = options->dialect,
	    .kind = options->kind,
	    .provenance = options->provenance,
	    .legacy_prefix = options->legacy_prefix};

	*out_shape = NULL;
	shape->policy = options->policy;
	shape->exchange = options->kind == DIALECT_EXCHANGE;
	if (attributes_open(options->policy, options->dialect, options->kind,
		&shape->attributes, err) < 0 ||
	    facts_open(&facts, shape->attributes, &shape->facts, err) < 0) {
		shape_close(shape);
		return err_prepend(err, "export \"%s\"", options->policy->name);
	}
	names_want(shape, options);
	*out_shape = shape;
	return 0;
}

int
shape_open_conf(const struct spoke_conf *conf,
    const struct export_policy *policy, const struct dialect *dialect,
    struct shape **out_shape, struct err *err)
{
	const struct shape_options options = {.policy = policy,
	    .dialect = dialect,
	    .kind = dialect_kind(dialect),
	    .provenance = dialect_provenance_attribute(dialect),
	    .legacy_prefix = conf->legacy_prefix};

	return shape_open(&options, out_shape, err);
}

void
shape_close(struct shape *shape)
{
	if (shape == NULL)
		return;
	facts_close(shape->facts);
	attributes_close(shape->attributes);
	free(shape);
}

const char *const *
shape_attributes(const struct shape *shape)
{
	return attributes_names(shape->attributes);
}

/* --- judging --- */

/* Mailboxes whose account is disabled because nobody logs on to it: linked,
 * shared, rooms, equipment, teams, here and in the cloud. */
static bool
is_disabled_by_nature(const struct facts *facts, int64_t type)
{
	static const int64_t types[] = {2, 4, 16, 32, INT64_C(33554432),
	    INT64_C(8589934592), INT64_C(17179869184), INT64_C(34359738368),
	    INT64_C(137438953472), INT64_C(274877906944),
	    INT64_C(1099511627776), INT64_C(2199023255552),
	    INT64_C(8796093022208), INT64_C(17592186044416)};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] == type)
			return true;
	return facts->linked;
}

static enum shape_reason
shape_judge(const struct shape *shape, const struct shape_case *c)
{
	const struct export_policy *policy = shape->policy;
	const struct facts *facts = &c->facts;
	Galr__Kind kind = c->raw->kind;

	if (c->excluded)
		return SHAPE_EXCLUDED;
	if (c->members_only)
		return SHAPE_MEMBERS_ONLY;
	if (facts->own ||
	    (facts->own_legacy && kind == GALR__KIND__KIND_CONTACT))
		return SHAPE_OWN;
	if ((facts->foreign & (1U << kind)) != 0)
		return SHAPE_FOREIGN;
	if (facts->system || dialect_type_is_system(c->raw->recipient_type))
		return SHAPE_SYSTEM;
	if (kind == GALR__KIND__KIND_UNSPECIFIED)
		return SHAPE_KIND;
	if (facts->marked)
		return SHAPE_MARKED;
	if (!policy->disabled && facts->disabled &&
	    kind == GALR__KIND__KIND_USER &&
	    !is_disabled_by_nature(facts, c->raw->recipient_type))
		return SHAPE_DISABLED;
	if (facts->hidden && !policy->hidden)
		return SHAPE_HIDDEN;
	if (facts->closed && policy->closed == EXPORT_CLOSED_LEAVE_OUT)
		return SHAPE_CLOSED;
	return SHAPE_EXPORTED;
}

const char *
shape_source(const struct shape *shape, const struct search_entry *entry,
    enum shape_reason reason)
{
	static const char type[] = "msExchRecipientTypeDetails";
	struct facts facts;

	switch (reason) {
	case SHAPE_OWN:
		return facts_source(shape->facts, entry, FACTS_OWN);
	case SHAPE_FOREIGN:
		return facts_source(shape->facts, entry, FACTS_FOREIGN);
	case SHAPE_MARKED:
		return facts_source(shape->facts, entry, FACTS_MARKED);
	case SHAPE_DISABLED:
		return facts_source(shape->facts, entry, FACTS_DISABLED);
	case SHAPE_HIDDEN:
		return facts_source(shape->facts, entry, FACTS_HIDDEN);
	case SHAPE_CLOSED:
		return facts_source(shape->facts, entry, FACTS_CLOSED);
	case SHAPE_SYSTEM:
		facts_find(shape->facts, entry, &facts);
		return facts.system ? NULL : type;
	case SHAPE_EXPORTED:
	case SHAPE_EXCLUDED:
	case SHAPE_MEMBERS_ONLY:
	case SHAPE_KIND:
	case SHAPE_NO_ADDRESS:
	case SHAPE_ERROR:
	case SHAPE_REASON_COUNT:
		break;
	}
	return NULL;
}

enum attributes_form
shape_form(const struct shape *shape, const char *name)
{
	return attributes_form(shape->attributes, name);
}

/* --- composing --- */

struct composer {
	const struct shape *shape;
	struct arena *arena;
	struct values_notes *notes;
	struct object_attribute *attributes;
	size_t count;
};

static void
composer_add(struct composer *c, const char *name, const struct slice *values,
    size_t count)
{
	if (count > 0)
		c->attributes[c->count++] = (struct object_attribute){
		    .name = name, .values = values, .value_count = count};
}

static bool
composer_add_one(struct composer *c, const char *name, struct slice value)
{
	struct slice *copy = arena_alloc(c->arena, sizeof(*copy));

	if (copy == NULL)
		return false;
	*copy = value;
	composer_add(c, name, copy, value.len > 0);
	return true;
}

/* Whether it may stand in access control lists is for delegation. */
static bool
composer_display(struct composer *c, const struct object_attribute *a)
{
	char text[24];
	long long type;

	if (a->value_count == 0 || a->values[0].len >= sizeof(text))
		return true;
	memcpy(text, a->values[0].data, a->values[0].len);
	text[a->values[0].len] = '\0';
	type = strtoll(text, NULL, 10);
	if (!c->shape->policy->delegation)
		type &= ~DISPLAY_TYPE_ACL;
	(void)snprintf(text, sizeof(text), "%lld", type);
	return composer_add_one(
	    c, a->name, arena_dup(c->arena, slice_str(text)));
}

/* Clean values are taken where they are: this is most of what a run does. */
static bool
composer_take(struct composer *c, const struct object_attribute *a)
{
	enum attributes_form form =
	    attributes_form(c->shape->attributes, a->name);
	const struct slice *values = a->values;
	struct slice *copy = NULL;
	size_t n = 0;

	if (form == ATTRIBUTES_STAYS || form == ATTRIBUTES_MAIL)
		return true;
	if (form == ATTRIBUTES_DISPLAY)
		return composer_display(c, a);
	for (size_t i = 0; i < a->value_count; i++) {
		struct slice value =
		    values_clean(values[i], form, a->name, c->arena, c->notes);

		if (copy == NULL && value.data == values[i].data &&
		    value.len == values[i].len) {
			n++;
			continue;
		}
		if (copy == NULL) {
			copy = arena_calloc(
			    c->arena, a->value_count, sizeof(*copy));
			if (copy == NULL)
				return false;
			memcpy(copy, values, n * sizeof(*copy));
		}
		if (value.len > 0)
			copy[n++] = value;
	}
	composer_add(c, a->name, copy == NULL ? values : copy, n);
	return true;
}

/* Who it is to other forests that trust this one: the account itself, or the
 * one that a disabled account stands for. */
static struct slice
delegate_sid(const struct facts *facts, Galr__Kind kind)
{
	bool self = slice_equal(
	    facts->master_sid, slice_make(sid_self, sizeof(sid_self)));

	if (kind == GALR__KIND__KIND_GROUP)
		return facts->security_group ? facts->sid : SLICE_NULL;
	if (kind != GALR__KIND__KIND_USER)
		return SLICE_NULL;
	if (facts->disabled)
		return self ? SLICE_NULL : facts->master_sid;
	return facts->master_sid.len == 0 ? facts->sid : SLICE_NULL;
}

static bool
composer_delegation(struct composer *c, const struct shape_case *question)
{
	struct slice sid;

	if (!c->shape->policy->delegation)
		return true;
	sid = delegate_sid(&question->facts, question->raw->kind);
	return sid.len == 0 || sid.len > SID_MAX ||
	       composer_add_one(c, "msExchMasterAccountSid", sid);
}

static bool
composer_addresses(struct composer *c, const struct addresses *addresses)
{
	composer_add(c, "proxyAddresses", addresses->values, addresses->count);
	return composer_add_one(c, "mail", addresses->primary) &&
	       composer_add_one(c, "targetAddress", addresses->target);
}

/* Attributes beside those of the entry. */
#define COMPOSED 4

enum shape_reason
shape_object(
    const struct shape *shape, struct arena *arena, struct shape_case *c)
{
	struct composer composer = {
	    .shape = shape, .arena = arena, .notes = &c->notes};
	const struct object *raw = c->raw;
	struct addresses addresses;
	enum shape_reason reason;
	bool fine;

	c->notes.count = 0;
	memset(c->notes.dropped, 0, sizeof(c->notes.dropped));
	c->closed = false;
	facts_find(shape->facts, c->entry, &c->facts);
	reason = shape_judge(shape, c);
	if (reason != SHAPE_EXPORTED)
		return reason;
	switch (addresses_find(raw, shape->exchange,
	    shape->policy->forwarded == EXPORT_FORWARDED_TARGET, arena,
	    &c->notes, &addresses)) {
	case ADDRESSES_NONE:
		return SHAPE_NO_ADDRESS;
	case ADDRESSES_TOO_MANY:
		return SHAPE_ERROR;
	case ADDRESSES_FINE:
		break;
	}
	composer.attributes = arena_calloc(arena,
	    raw->attribute_count + COMPOSED, sizeof(*composer.attributes));
	fine = composer.attributes != NULL;
	for (size_t i = 0; fine && i < raw->attribute_count; i++)
		fine = composer_take(&composer, &raw->attributes[i]);
	if (!fine || !composer_addresses(&composer, &addresses) ||
	    !composer_delegation(&composer, c))
		return SHAPE_ERROR;
	c->closed =
	    c->facts.closed && shape->policy->closed == EXPORT_CLOSED_REPORT;
	c->object = *raw;
	c->object.attributes = composer.attributes;
	c->object.attribute_count = composer.count;
	return SHAPE_EXPORTED;
}

void
shape_name(const struct shape *shape, const struct id *id, char *opaque,
    struct object *object)
{
	if (!shape->policy->source_dn)
		object->source_dn = id_format(id, opaque);
}
