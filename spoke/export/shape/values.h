/*
 * Values on their way out: cleaned once, at the source, so that every target
 * gets the same. Lengths are the target's affair, which knows its schema
 * (views.h); what no target could keep is dropped or cut here. FEATURES E13.
 */
#ifndef SPOKE_EXPORT_SHAPE_VALUES_H
#define SPOKE_EXPORT_SHAPE_VALUES_H

#include "common/base/arena.h"
#include "spoke/export/shape/attributes.h"

/* rangeUpper of thumbnailPhoto, in octets. */
#define VALUES_PICTURE_MAX 102400
/* No attribute of an address list takes more: characters of a text, octets of
 * anything else. */
#define VALUES_TEXT_MAX 4096
#define VALUES_OCTETS_MAX 102400

enum values_drop {
	VALUES_ADDRESS, /* no mail address, or too long for one */
	VALUES_PICTURE, /* larger than a picture may be */
	VALUES_LARGE,
	VALUES_TEXT,  /* not UTF-8 */
	VALUES_SIP,   /* one sip address goes out, and it is another */
	VALUES_OTHER, /* X400, EUM and the like mean nothing elsewhere */
	VALUES_DROP_COUNT
};

/* One value of one object that was dropped. Borrowed. */
struct values_note {
	enum values_drop why;
	const char *attribute;
	struct slice value;
};

#define VALUES_NOTES_MAX 16

struct values_notes {
	struct values_note list[VALUES_NOTES_MAX]; /* the first ones */
	size_t count;
	unsigned dropped[VALUES_DROP_COUNT]; /* all */
};

void values_drop(struct values_notes *notes, enum values_drop why,
    const char *attribute, struct slice value);
/* "no mail address" ..., and as a JSON key. Static storage. */
const char *values_drop_text(enum values_drop why);
const char *values_drop_key(enum values_drop why);

/* The value as it goes out, in the arena or as it is; empty: it does not, and
 * the notes say why, unless it was blank. */
struct slice values_clean(struct slice value, enum attributes_form form,
    const char *attribute, struct arena *arena, struct values_notes *notes);

#endif
