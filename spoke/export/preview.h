/*
 * What of one object is sent, or would be with the next run: its body as a run
 * encodes it, read again. So nothing is shown that would not go out. Of a
 * manager and of members the ids go, and only of those who are in the stream
 * themselves; they are shown with the mail address that goes with them.
 * FEATURES E16.
 */
#ifndef SPOKE_EXPORT_PREVIEW_H
#define SPOKE_EXPORT_PREVIEW_H

#include "spoke/export/inquiry.h"

struct preview;

/* question: answered, and exported; along: only as somebody's manager. Asks the
 * directory for those whom the entry names. 0; 1: this object cannot be sent,
 * which is in the log; -1. */
int preview_make(const struct inquiry *inquiry,
    const struct shape_case *question, bool along, struct preview **out_preview,
    struct err *err) ERR_WUR;
/* NULL is legal. */
void preview_free(struct preview *preview);

/* Appends lines for people. What is no text is told by its size and type. */
void preview_text(const struct preview *preview, struct buf *out);
/* Appends a JSON object; null for NULL. */
void preview_json(const struct preview *preview, struct buf *out);

#endif
