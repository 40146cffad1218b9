/* What the hub tells people: members, streams, status; as tables or JSON. */
#ifndef HUB_REPORT_H
#define HUB_REPORT_H

#include "hub/hub.h"

/* Each appends to out. */
int report_members(
    struct hub *hub, bool json, struct buf *out, struct err *err) ERR_WUR;
int report_streams(
    struct hub *hub, bool json, struct buf *out, struct err *err) ERR_WUR;
int report_status(
    struct hub *hub, bool json, struct buf *out, struct err *err) ERR_WUR;
/* Members that may receive the object with that mail address, by stream. */
int report_who_sees(struct hub *hub, const char *mail, bool json,
    struct buf *out, struct err *err) ERR_WUR;

/* --- tables (table.c) --- */
#define TABLE_COLUMNS 12
struct table {
	size_t columns;
	size_t count; /* cells */
	char **cells;
};
/* Takes the string. Rows fill from left to right; the first is the heading. */
void table_add(struct table *table, char *cell);
/* Appends with columns as wide as their widest cell, then frees the cells. */
void table_print(struct table *table, struct buf *out);

#endif
