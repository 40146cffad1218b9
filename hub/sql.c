#include "hub/sql.h"

#include <stdarg.h>

static void
sql_bind(struct db_stmt *stmt, const char *format, va_list ap)
{
	const char *text;
	int n = 1;

	for (; *format != '\0'; format++, n++) {
		switch (*format) {
		case 's':
			text = va_arg(ap, const char *);
			if (text == NULL)
				db_bind_null(stmt, n);
			else
				db_bind_text(stmt, n, text);
			break;
		case 'i':
			db_bind_i64(stmt, n, va_arg(ap, int64_t));
			break;
		case 'u':
			db_bind_u64(stmt, n, va_arg(ap, uint64_t));
			break;
		case 'b':
			db_bind_blob(stmt, n, va_arg(ap, struct slice));
			break;
		default:
			INVARIANT(!"format of a statement");
		}
	}
}

struct db_stmt *
sql_query(
    struct db *db, struct err *err, const char *text, const char *format, ...)
{
	struct db_stmt *stmt;
	va_list ap;

	if (db_prepare(db, text, &stmt, err) < 0)
		return NULL;
	va_start(ap, format);
	sql_bind(stmt, format, ap);
	va_end(ap);
	return stmt;
}

int
sql_run(
    struct db *db, struct err *err, const char *text, const char *format, ...)
{
	struct db_stmt *stmt;
	va_list ap;

	if (!db_in_transaction(db) && db_begin(db, err) < 0)
		return -1;
	if (db_prepare(db, text, &stmt, err) < 0)
		return -1;
	va_start(ap, format);
	sql_bind(stmt, format, ap);
	va_end(ap);
	return db_run(stmt, err);
}

int
sql_number(struct db *db, struct err *err, uint64_t *out_value,
    const char *text, const char *format, ...)
{
	struct db_stmt *stmt;
	va_list ap;
	int rc;

	*out_value = 0;
	if (db_prepare(db, text, &stmt, err) < 0)
		return -1;
	va_start(ap, format);
	sql_bind(stmt, format, ap);
	va_end(ap);
	rc = db_step(stmt, err);
	if (rc == 1) {
		*out_value = db_column_u64(stmt, 0);
		db_reset(stmt);
	}
	return rc < 0 ? -1 : 0;
}

void
sql_text(struct db_stmt *stmt, int column, char *out, size_t size)
{
	const char *text = db_column_text(stmt, column);
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

bool
sql_bytes(struct db_stmt *stmt, int column, void *out, size_t len)
{
	struct slice s = db_column_blob(stmt, column);

	if (s.len != len) {
		memset(out, 0, len);
		return false;
	}
	memcpy(out, s.data, len);
	return true;
}
