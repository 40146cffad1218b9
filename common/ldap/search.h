/*
 * Searches, one entry at a time: paged results (RFC 2696), ranged values
 * followed to their end, binary values. The end of the results is not an
 * error, and an error is never an end: a search that died, lost a page, cut a
 * range or ran into a size limit returns -1.
 */
#ifndef COMMON_LDAP_SEARCH_H
#define COMMON_LDAP_SEARCH_H

#include "common/base/arena.h"
#include "common/base/slice.h"
#include "common/ldap/session.h"

enum search_scope { SEARCH_BASE = 0, SEARCH_ONE = 1, SEARCH_SUBTREE = 2 };

struct search_attribute {
	const char *name; /* without options such as ;range= or ;binary */
	const struct slice *values;
	size_t value_count;
};

struct search_entry {
	const char *dn;
	const struct search_attribute *attributes;
	size_t attribute_count;
};

/* A continuation reference (RFC 4511 section 4.5.3): what lies behind it is not
 * read. dn is what the first of its URLs names, "" when it names nothing. */
typedef void search_reference_fn(void *arg, const char *url, const char *dn);

struct search_options {
	const char *base;
	enum search_scope scope;
	const char *filter;
	const char *const *attributes;  /* NULL-terminated */
	unsigned page_size;             /* 0: not paged; default 1000 */
	bool show_deleted;              /* AD's 1.2.840.113556.1.4.417 */
	search_reference_fn *reference; /* NULL: they are passed over */
	void *reference_arg;
	/* AD's 1.2.840.113556.1.4.529: values that are names come as
	 * "<GUID=...>;<SID=...>;DN" (MS-ADTS 3.1.1.3.4.1.5). */
	bool extended_dn;
};

struct search;

/* Starts; nothing is sent before the first step. */
int search_open(struct session *session, const struct search_options *options,
    struct search **out_search, struct err *err) ERR_WUR;
/* 1: *out_entry filled (valid until the next step), 0: the complete end, -1. A
 * page that is announced but missing, a paged control that is not answered by
 * a server asked for pages when entries stop at a limit, and a cut range are
 * errors; messages name server, base and cause. Continuation references are
 * told, and never followed. */
int search_step(struct search *search, struct search_entry *out_entry,
    struct err *err) ERR_WUR;
/* Abandons what is under way. NULL is legal. */
void search_close(struct search *search);

/* Returns 0 to go on, 1 to stop without error, -1. The entry is valid until it
 * returns. */
typedef int search_fn(
    void *arg, const struct search_entry *entry, struct err *err);
/* Calls fn for every entry: 0 the complete end, 1 fn stopped, -1. */
int search_each(struct session *session, const struct search_options *options,
    search_fn *fn, void *arg, struct err *err) ERR_WUR;

/* One entry by base search into the arena: 1 found, 0 noSuchObject, -1. */
int search_read(struct session *session, const char *dn,
    const char *const *attributes, struct arena *arena,
    struct search_entry *out_entry, struct err *err) ERR_WUR;

const struct search_attribute *search_find(
    const struct search_entry *entry, const char *name);
struct slice search_first(const struct search_entry *entry, const char *name);

/* Appends a value to a filter, RFC 4515 escaped: ( ) * \ NUL and every byte
 * above 127. */
struct buf;
void search_filter_escape(struct buf *filter, struct slice value);

#endif
