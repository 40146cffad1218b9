/*
 * Views: what one object of a replica becomes here, before it is known what the
 * directory holds. A pure function of the object, the signed registry and the
 * policy. Addresses outside the member's allotted domains end here, so that no
 * branch can put somebody else's address into our list. DESIGN 2, 7.
 */
#ifndef SPOKE_IMPORT_VIEWS_H
#define SPOKE_IMPORT_VIEWS_H

#include "common/wire/object.h"
#include "common/wire/registry.h"
#include "spoke/conf.h"

/* Attributes that one contact has at most, the composed ones included. */
#define VIEWS_ATTRIBUTES_MAX 96
#define VIEWS_ADDRESSES_MAX 1024

enum views_reason {
	VIEWS_FINE,
	VIEWS_FOREIGN,    /* primary address outside the member's domains */
	VIEWS_NO_ADDRESS, /* no usable SMTP address */
	VIEWS_NO_NAME,
	VIEWS_MALFORMED, /* the body does not decode, or is no recipient */
	VIEWS_REASON_COUNT
};

struct views_options {
	struct id realm;
	const struct registry_member *member;
	const char *legacy_prefix;
	enum import_hidden hidden;
	enum import_rich_text rich_text;
	/* Upper length of an attribute at this target; 0: none. */
	size_t (*attribute_max)(const void *arg, const char *name);
	const void *arg;
};

/* Everything but the unique names: the planner adds cn, mailNickname and
 * proxyAddresses when it knows who else has them. In the arena. */
struct views_contact {
	struct slice cn_base;
	struct slice nickname_base;
	struct slice primary; /* as written: "Anna.Berg@north.example" */
	struct slice *smtp;   /* all allotted ones, folded, primary first */
	size_t smtp_count;
	struct slice *other; /* whole values: X500:..., sip:... */
	size_t other_count;
	unsigned dropped; /* addresses outside the domains, left out */
	struct object_attribute attributes[VIEWS_ATTRIBUTES_MAX];
	size_t attribute_count;
};

/* Always answers; *out_contact is filled when the answer is fine. */
enum views_reason views_contact(const struct views_options *options,
    const struct id *object_id, struct slice body, struct arena *arena,
    struct views_contact *out_contact);
const char *views_reason_text(enum views_reason reason);

/* Provenance text "galrelay:REALM:MEMBER:OBJECT" (hex ids), and back. Parsing
 * gives 0, or -1 for text of somebody else. member holds 64 bytes. */
struct slice views_provenance(const struct id *realm, const char *member,
    const struct id *object_id, struct arena *arena);
int views_provenance_parse(struct slice text, struct id *out_realm,
    char *out_member, struct id *out_object);

/* Adds an attribute with one or more values; false when the list is full. */
bool views_add(struct views_contact *contact, const char *name,
    const struct slice *values, size_t value_count, struct arena *arena);

#endif
