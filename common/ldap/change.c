#include "common/ldap/change.h"

#include "common/base/buf.h"
#include "common/ldap/dn.h"

/* AD's MaxReceiveBuffer and more. */
#define CHANGE_MAX ((size_t)16 << 20)

static char *
key_make(const char *dn, struct arena *arena)
{
	struct buf key;
	char *copy;

	buf_init(&key, 64 * 1024);
	/* A malformed name is for the server to refuse. */
	if (dn_normalize(dn, &key, NULL) != 0) {
		buf_reset(&key);
		buf_add_str(&key, dn);
	}
	copy = arena_strdup(arena, buf_cstr(&key));
	buf_fini(&key);
	return copy;
}

static int
attributes_copy(struct change *change, const struct writer_change *from)
{
	struct writer_attribute *list;
	struct slice *values;
	size_t i, k;

	list = arena_calloc(
	    change->arena, from->attribute_count + 1, sizeof(*list));
	if (list == NULL)
		return -1;
	for (i = 0; i < from->attribute_count; i++) {
		const struct writer_attribute *a = &from->attributes[i];

		values = arena_calloc(
		    change->arena, a->value_count + 1, sizeof(*values));
		list[i].name = arena_strdup(change->arena, a->name);
		if (values == NULL || list[i].name == NULL)
			return -1;
		for (k = 0; k < a->value_count; k++) {
			values[k] = arena_dup(change->arena, a->values[k]);
			if (values[k].data == NULL)
				return -1;
		}
		list[i].values = values;
		list[i].value_count = a->value_count;
	}
	change->as.attributes = list;
	return 0;
}

static bool
string_copy(struct arena *arena, const char *from, const char **out)
{
	if (from != NULL)
		*out = arena_strdup(arena, from);
	return from == NULL || *out != NULL;
}

struct change *
change_copy(const struct writer_change *from)
{
	struct arena *arena = arena_new(CHANGE_MAX);
	struct change *change = arena_calloc(arena, 1, sizeof(*change));

	if (change == NULL)
		goto full;
	change->arena = arena;
	change->as = *from;
	change->msgid = -1;
	if (!string_copy(arena, from->dn, &change->as.dn) ||
	    !string_copy(arena, from->new_rdn, &change->as.new_rdn) ||
	    !string_copy(arena, from->new_parent, &change->as.new_parent) ||
	    attributes_copy(change, from) != 0)
		goto full;
	change->dn_key = key_make(from->dn, arena);
	if (change->dn_key == NULL)
		goto full;
	return change;
full:
	arena_free(arena);
	return NULL;
}

void
change_free(struct change *change)
{
	if (change != NULL)
		arena_free(change->arena);
}

/* libldap's form of the attributes, in the change's arena. */
static LDAPMod **
mods_make(const struct change *change)
{
	const struct writer_change *as = &change->as;
	int op = as->op == WRITER_ADD ? LDAP_MOD_ADD : LDAP_MOD_REPLACE;
	struct berval *values, **pointers;
	LDAPMod **mods, *list;
	size_t i, k;

	mods = arena_calloc(
	    change->arena, as->attribute_count + 1, sizeof(LDAPMod *));
	list =
	    arena_calloc(change->arena, as->attribute_count + 1, sizeof(*list));
	if (mods == NULL || list == NULL)
		return NULL;
	for (i = 0; i < as->attribute_count; i++) {
		const struct writer_attribute *a = &as->attributes[i];

		values = arena_calloc(
		    change->arena, a->value_count + 1, sizeof(*values));
		pointers = arena_calloc(
		    change->arena, a->value_count + 1, sizeof(struct berval *));
		if (values == NULL || pointers == NULL)
			return NULL;
		for (k = 0; k < a->value_count; k++) {
			values[k].bv_val = (char *)a->values[k].data;
			values[k].bv_len = a->values[k].len;
			pointers[k] = &values[k];
		}
		list[i].mod_op = op | LDAP_MOD_BVALUES;
		list[i].mod_type = (char *)a->name;
		/* Replace without values clears (RFC 4511 section 4.6). */
		list[i].mod_bvalues = a->value_count == 0 ? NULL : pointers;
		mods[i] = &list[i];
	}
	return mods;
}

int
change_send(LDAP *ld, const struct change *change, LDAPControl **controls,
    int *out_msgid)
{
	const struct writer_change *as = &change->as;
	LDAPMod **mods = NULL;

	if (as->op == WRITER_ADD || as->op == WRITER_MODIFY) {
		mods = mods_make(change);
		if (mods == NULL)
			return LDAP_NO_MEMORY;
	}
	switch (as->op) {
	case WRITER_ADD:
		return ldap_add_ext(
		    ld, as->dn, mods, controls, NULL, out_msgid);
	case WRITER_MODIFY:
		return ldap_modify_ext(
		    ld, as->dn, mods, controls, NULL, out_msgid);
	case WRITER_DELETE:
		return ldap_delete_ext(ld, as->dn, controls, NULL, out_msgid);
	case WRITER_RENAME:
		return ldap_rename(ld, as->dn, as->new_rdn, as->new_parent, 1,
		    controls, NULL, out_msgid);
	}
	return LDAP_PARAM_ERROR;
}
