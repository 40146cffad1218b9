/* Time. Everything on the wire is Unix time in milliseconds (UTC). */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdint.h>
#include <stddef.h>

#define CLOCK_SECOND_MS INT64_C(1000)
#define CLOCK_MINUTE_MS (60 * CLOCK_SECOND_MS)
#define CLOCK_HOUR_MS (60 * CLOCK_MINUTE_MS)
#define CLOCK_DAY_MS (24 * CLOCK_HOUR_MS)
#define CLOCK_TEXT_SIZE 32

/* Wall clock, for what is signed or shown. */
int64_t clock_now_ms(void);
/* Monotonic, for deadlines and intervals. */
int64_t clock_mono_ms(void);
/* RFC 3339 in UTC with seconds, "2026-11-22T13:57:20Z". text must hold
 * CLOCK_TEXT_SIZE bytes; returns it. */
char *clock_format(int64_t unix_ms, char *text);
/* "3 min", "2 h", "5 d": an age for a person. Returns text. */
char *clock_format_age(int64_t age_ms, char *text);

#endif
