/*
 * Names that must be unique or must fit: cn (per OU), mailNickname (per
 * forest), and any text that a schema bounds.
 */
#ifndef SPOKE_NAMES_H
#define SPOKE_NAMES_H

#include "common/base/arena.h"
#include "common/base/buf.h"

/* rangeUpper on Active Directory, in UTF-16 units. */
#define NAMES_CN_MAX 64
#define NAMES_NICKNAME_MAX 64
/* Serial numbers tried before a person is asked. */
#define NAMES_SERIAL_MAX 9999

/* Text of a stranger made fit for a directory: control bytes (NUL too) become
 * blanks, runs of blanks one, ends trimmed, cut to max_chars UTF-16 units (0:
 * uncut) without a trailing blank. Not UTF-8: the empty slice. In arena. */
struct slice names_text(
    struct slice text, size_t max_chars, struct arena *arena);
/* The same with line breaks kept (info, streetAddress). */
struct slice names_lines(
    struct slice text, size_t max_chars, struct arena *arena);
/* An alias from any text: only what Exchange allows in one (letters, digits and
 * !#$%&'*+-/=?^_`{|}~ with single inner dots), other characters dropped, at
 * most 64. May become empty. In arena. */
struct slice names_nickname(struct slice text, struct arena *arena);

/* Appends what a directory compares: two names with the same key must not stand
 * side by side. Case, marks ("é" is "e"), width and repeated blanks fold. */
void names_key(struct slice text, struct buf *out);

/* The longest prefix of at most max_units UTF-16 units, without a trailing
 * blank: directories count these. */
struct slice names_prefix(struct slice text, size_t max_units);

/* cn with a serial: "Anna Berg (2)", cut so that it fits. serial 1 is the base
 * itself. In arena. */
struct slice names_cn_serial(
    struct slice base, unsigned serial, struct arena *arena);
/* mailNickname with a serial: "aberg2". */
struct slice names_nickname_serial(
    struct slice base, unsigned serial, struct arena *arena);
/* Is name the base with some serial (1 included)? Then it is kept. */
bool names_is_cn_of(struct slice name, struct slice base, struct arena *arena);
bool names_is_nickname_of(
    struct slice name, struct slice base, struct arena *arena);

#endif
