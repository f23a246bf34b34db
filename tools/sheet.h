/* sheet.h - tables in files: comma-separated values, a file each, or the sheets of a workbook.
 *
 *     sheets_csv  --+                                         case.csv, case.act.csv ...
 *                   +--> sheets_add, sheets_row --> sheets_end
 *     sheets_xlsx --+                                         one .xlsx
 *
 * A row goes where it belongs at once and is forgotten, so that memory does not grow with the rows. Cells are text from other
 * people: control characters but newlines, and those that turn text around, are taken out; no cell runs, in a workbook since it is
 * text whatever it looks like, elsewhere by csv_write.h.
 */
#pragma once

#include "tools/fresh.h"

struct sheets;

/* A file NAME.csv for each table. */
MUST_CHECK bool sheets_csv(struct sheets **sheets_out, struct fresh *fresh, struct client_fault *fault_out);

/* A workbook in one new file of `fresh`; what it needs on the way lies beside it, without a name. */
MUST_CHECK bool sheets_xlsx(struct sheets **sheets_out, struct fresh *fresh, const char *name,
                            struct client_fault *fault_out);

/* Begin a table with its headings. *sheet_out is its number, from 0. Names of sheets are cut to what a workbook takes. */
MUST_CHECK bool sheets_add(struct sheets *sheets, const char *name, const char *const *headings, size_t count,
                           size_t *sheet_out, struct client_fault *fault_out);

/* Append a row of UTF-8; NULL is an empty cell. False, and `fault_out`: a sheet takes no more rows. */
MUST_CHECK bool sheets_row(struct sheets *sheets, size_t sheet, const char *const *cells, size_t count,
                           struct client_fault *fault_out);

/* How many cells were longer than a workbook takes; their ends were left out, and that is said in them. */
size_t sheets_cut(const struct sheets *sheets);

/* Finish the files, which fresh_keep is to keep. Frees it either way. */
MUST_CHECK bool sheets_end(struct sheets **sheets, struct client_fault *fault_out);

/* Give it up. NULL does nothing. */
void sheets_drop(struct sheets **sheets);
