#include "common/base/mem.h"
#include "hub/report.h"

void
table_add(struct table *table, char *cell)
{
	if ((table->count & (table->count - 1)) == 0)
		table->cells = mem_realloc(
		    table->cells, (table->count == 0 ? 1 : table->count * 2) *
				      sizeof(char *));
	table->cells[table->count++] = cell;
}

static size_t
cell_width(const char *cell)
{
	struct slice s = slice_str(cell);

	return slice_is_utf8(s) ? slice_utf8_length(s) : s.len;
}

void
table_print(struct table *table, struct buf *out)
{
	size_t width[TABLE_COLUMNS] = {0};

	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		size_t w = cell_width(table->cells[i]);

		if (w > width[column])
			width[column] = w;
	}
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		size_t w = cell_width(table->cells[i]);

		buf_add_str(out, table->cells[i]);
		free(table->cells[i]);
		if (column + 1 == table->columns) {
			buf_add_byte(out, '\n');
			continue;
		}
		for (; w < width[column] + 2; w++)
			buf_add_byte(out, ' ');
	}
	free(table->cells);
	table->cells = NULL;
	table->count = 0;
}
