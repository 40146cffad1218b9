/*
 * Logging: one line an event, "text key=value ...", to standard error. With
 * journald behind it ($JOURNAL_STREAM) or --log-priority, each line starts
 * with its <priority>. Contacts are personal data: log identifiers, never
 * values. One failed job gives one line.
 */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include "common/base/err.h"
#include "common/base/slice.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* program is the first word of every line and must outlive the process. */
void log_init(const char *program, enum log_level level);

/* A prefix such as "spoke=north stream=staff" that every later line of this
 * process carries. Replaces the former; NULL removes it. */
void log_prefix(const char *format, ...) ERR_PRINTF(1, 2);

void log_at(enum log_level level, const char *format, ...) ERR_PRINTF(2, 3);
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* What follows is for a person at a terminal, not for a journal: log_err()
 * says "what: message", and no line has the prefix. log_init() ends it. */
void log_person(void);

/* One line for a failed job: "what failed class=... error="..."", where what
 * failed is what the caller says. */
void log_err(const struct err *err, const char *format, ...) ERR_PRINTF(2, 3);

/* Foreign bytes for a log line: printable ASCII as it is, quotes and the rest
 * escaped, cut at 120 bytes. One of eight rotating static buffers. */
const char *log_text(struct slice s);

#endif
