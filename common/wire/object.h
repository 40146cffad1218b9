/*
 * Object bodies: building one in canonical form at the source, and reading one
 * at hub and target. The names are Active Directory's LDAP names.
 */
#ifndef COMMON_WIRE_OBJECT_H
#define COMMON_WIRE_OBJECT_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/wire/object.pb-c.h"

struct object_attribute {
	const char *name;
	const struct slice *values;
	size_t value_count;
};

/* How an object stands to others of its stream. FEATURES E11, E12. */
struct object_references {
	const struct id *manager; /* NULL: none is carried */
	/* Ascending, each once; NULL when there are none. */
	const struct id *members;
	size_t member_count;
	bool has_members; /* false: a group's memberships are not carried */
	bool along;       /* in the stream only as somebody's manager */
};

struct object {
	Galr__Kind kind;
	const char *source_dn;
	int64_t recipient_type;
	const struct object_attribute *attributes; /* ascending by name */
	size_t attribute_count;
	struct object_references references;
};

/* Sorts (names by strcmp, values by bytes, duplicates dropped, empty values
 * and attributes without values dropped) and encodes. out's maximum should be
 * LIMIT_OBJECT_BYTES; class limit when it does not fit. */
int object_encode(const struct object *object, struct arena *scratch,
    struct buf *out, struct err *err) ERR_WUR;
/* Decodes into the arena; slices point into the arena. Class bad data. */
int object_decode(struct slice body, struct arena *arena,
    struct object *out_object, struct err *err) ERR_WUR;
/* Appends body with other references; all else stays byte for byte. Class limit
 * as object_encode(), class bad data when body is none. */
int object_references_replace(struct slice body,
    const struct object_references *references, struct buf *out,
    struct err *err) ERR_WUR;
/* NULL when the object has no such attribute; names compare without case. */
const struct object_attribute *object_find(
    const struct object *object, const char *name);
/* First value, or the empty slice. */
struct slice object_first(const struct object *object, const char *name);

/* Is that SMTP address its mail or one of its proxyAddresses? */
bool object_has_mail(const struct object *object, struct slice mail);

#endif
