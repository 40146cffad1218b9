/*
 * Pipelined writes: at most eight operations in flight on a connection, never
 * two on one DN, barriers between levels. A result for every operation, in any
 * order, through a callback. RFC 5805 transactions would save fsyncs, but
 * slapd 2.5.13 (Debian 12) crashes in one batch of a hundred.
 */
#ifndef COMMON_LDAP_WRITER_H
#define COMMON_LDAP_WRITER_H

#include "common/ldap/search.h"

#define WRITER_WINDOW 8

enum writer_op { WRITER_ADD, WRITER_MODIFY, WRITER_DELETE, WRITER_RENAME };

/* value_count 0 with replace: the attribute is cleared. */
struct writer_attribute {
	const char *name;
	const struct slice *values;
	size_t value_count;
};

struct writer_change {
	enum writer_op op;
	const char *dn;
	const struct writer_attribute *attributes; /* add, modify (replace) */
	size_t attribute_count;
	const char *new_rdn;    /* rename */
	const char *new_parent; /* rename; NULL: stays */
	uint64_t cookie;        /* handed back */
};

struct writer_result {
	uint64_t cookie;
	enum writer_op op;
	int code;               /* LDAP result code, 0 success */
	const char *diagnostic; /* server's text, escaped; never NULL */
	const char *attribute;  /* the refused attribute when it is known */
	const char *dn;
};

/* Returns -1 with err set to stop writing. */
typedef int writer_result_fn(
    void *arg, const struct writer_result *result, struct err *err);

struct writer;

/* Reads the rootDSE. */
int writer_open(struct session *session, writer_result_fn *fn, void *arg,
    struct writer **out_writer, struct err *err) ERR_WUR;
/* Copies what it needs; may call fn for earlier operations. -1 only when the
 * connection is gone or fn said so: an entry's own refusal is a result. */
int writer_submit(struct writer *writer, const struct writer_change *change,
    struct err *err) ERR_WUR;
/* Waits until everything submitted has its result (parents before children). */
int writer_barrier(struct writer *writer, struct err *err) ERR_WUR;
/* Barrier, then frees. */
int writer_close(struct writer *writer, struct err *err) ERR_WUR;
/* Frees without waiting: what was in flight has an unknown result. */
void writer_abort(struct writer *writer);

#endif
