/*
 * Object bodies: building one in canonical form at the source, and reading one
 * at hub and target. The names are Active Directory's LDAP names.
 */
#ifndef COMMON_WIRE_OBJECT_H
#define COMMON_WIRE_OBJECT_H

#include "common/base/arena.h"
#include "common/wire/object.pb-c.h"
#include "common/base/buf.h"

struct object_attribute {
	const char *name;
	const struct slice *values;
	size_t value_count;
};

struct object {
	Galr__Kind kind;
	const char *source_dn;
	int64_t recipient_type;
	const struct object_attribute *attributes; /* ascending by name */
	size_t attribute_count;
};

/* Sorts (names by strcmp, values by bytes, duplicates dropped, empty values
 * and attributes without values dropped) and encodes. out's maximum should be
 * LIMIT_OBJECT_BYTES; class limit when it does not fit. */
int object_encode(const struct object *object, struct arena *scratch,
    struct buf *out, struct err *err) ERR_WUR;
/* Decodes into the arena; slices point into the arena. Class bad data. */
int object_decode(struct slice body, struct arena *arena,
    struct object *out_object, struct err *err) ERR_WUR;
/* NULL when the object has no such attribute; names compare without case. */
const struct object_attribute *object_find(
    const struct object *object, const char *name);
/* First value, or the empty slice. */
struct slice object_first(const struct object *object, const char *name);

/* Is that SMTP address its mail or one of its proxyAddresses? */
bool object_has_mail(const struct object *object, struct slice mail);

#endif
