/*
 * Whom attributes left out at the last whole reading: hidden, marked, imported,
 * disabled ... each with the reason and the attribute that said so. Whoever of
 * them would go out now is looked at twice, see collect_witness.c.
 */
#ifndef SPOKE_EXPORT_COLLECT_LEFT_OUT_H
#define SPOKE_EXPORT_COLLECT_LEFT_OUT_H

#include "common/base/buf.h"
#include "common/base/id.h"
#include "spoke/export/shape/shape.h"

/* Of more than these an even choice is remembered. */
#define LEFT_OUT_MAX 32768
#define LEFT_OUT_NOTE_MAX ((size_t)1 << 20)

struct left_out_one {
	struct id id;
	uint8_t reason;    /* enum shape_reason */
	uint8_t attribute; /* index, see left_out_attribute() */
};

struct left_out;

struct left_out *left_out_new(void);
void left_out_free(struct left_out *out);
/* attribute: this directory's name, copied. An id that comes twice counts
 * once. */
void left_out_add(struct left_out *out, const struct id *id,
    enum shape_reason reason, struct slice attribute);
void left_out_drop(struct left_out *out, const struct id *id);
/* NULL when it is not there; valid until the next change. */
const struct left_out_one *left_out_find(
    struct left_out *out, const struct id *id);
/* In the order of ids. */
size_t left_out_count(struct left_out *out);
const struct left_out_one *left_out_at(
    const struct left_out *out, size_t index);
const char *left_out_attribute(
    const struct left_out *out, const struct left_out_one *one);

/* Class limit when it does not fit. */
int left_out_encode(
    struct left_out *out, struct buf *note, struct err *err) ERR_WUR;
/* A note of another make is an empty set. */
void left_out_decode(struct left_out *out, struct slice note);

#endif
