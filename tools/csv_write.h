/* csv_write.h - rows of comma-separated values, for spreadsheets and statistics.
 *
 * UTF-8, every cell between quotation marks (libcsv writes them), rows ended by a newline. A cell that a spreadsheet would take
 * for a formula begins with an apostrophe: who opens a list of cases must not run what somebody typed into one. (OWASP, "CSV
 * Injection")
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Write one row; NULL is an empty cell. Errors stay in `to`: see ferror. */
void csv_write_row(FILE *to, const char *const *cells, size_t count);
