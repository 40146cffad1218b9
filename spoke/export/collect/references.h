/*
 * Whom an object names: its manager, and a group's members. They are carried
 * as ids, and only of objects that are in the same stream, so that nobody
 * learns of people who are not shared. FEATURES E11, E12.
 *
 *	references_put()      taking an entry: ids read, body made and put as
 *	                      if those named were in the stream when they were
 *	                      at the last reading
 *	references_settle_*() at the end: managers whom the policy did not
 *	                      choose come along, or go; bodies whose named ones
 *	                      came or went are amended
 *
 * Memory grows with what was touched and with the largest group, not with the
 * directory.
 */
#ifndef SPOKE_EXPORT_COLLECT_REFERENCES_H
#define SPOKE_EXPORT_COLLECT_REFERENCES_H

#include "common/ldap/dialect.h"
#include "common/replica/replica.h"
#include "spoke/conf.h"

struct collector;
struct idlist;
struct forest;
struct references;

/* NULL when the policy carries neither. */
struct references *references_new(struct collector *c);
/* NULL is legal. */
void references_free(struct references *r);

/* An object that goes out: completes it, and puts it. along: only as somebody's
 * manager. 0; 1: this object cannot, *out_cause says why; -1. */
int references_put(struct collector *c, const struct id *id,
    struct object *object, const struct search_entry *entry,
    struct err *out_cause, struct err *err) ERR_WUR;
/* Adds those who have that group as their primary one, whom it does not name;
 * the entry was read with named_attributes(). On OpenLDAP nobody has. */
int references_primary_read(struct forest *forest, unsigned page_size,
    const struct search_entry *entry, struct idlist *out,
    struct err *err) ERR_WUR;

/* Before a whole reading. */
void references_begin_whole(struct collector *c);
/* After it: 0; 1: what was put must be dropped and everything read again; -1.
 */
int references_settle_whole(struct collector *c, struct err *err) ERR_WUR;
/* Before the touched objects are read: what else has to be, and how things
 * stand. Sorts the set. */
int references_touched(
    struct collector *c, struct idlist *touched, struct err *err) ERR_WUR;
/* After they were taken; marks those that came along, deletes the other
 * unmarked ones. */
int references_settle_touched(
    struct collector *c, struct idlist *touched, struct err *err) ERR_WUR;

#endif
