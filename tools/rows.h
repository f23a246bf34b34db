/* rows.h - a file of rows, read one after the other.
 *
 *     CSV      a heading, then a row of cells each     (libcsv)      --+
 *     JSON     an object a line: its keys are columns  (jansson)     --+--> {"Country":"Kenya|Uganda", ...}
 *
 * The file is never whole in memory: what is held is a chunk of it, and the rows that end in that chunk. UTF-8 only; a byte order mark
 * at the beginning is skipped. Cells that are empty are left out of the object.
 *
 * Rows are counted as a spreadsheet counts them: the heading is row 1. A line of JSON is the row of its number.
 */
#pragma once

#include "tools/fault.h"

#include <jansson.h>

enum {
    ROWS_CELL_BYTES_MAX = 32768, /* no field of the codebook takes more */
    ROWS_COLUMNS_MAX = 2000,
    ROWS_LINE_BYTES_MAX = 1 << 20, /* of JSON */
};

struct rows;

struct rows_options {
    FILE *file;
    bool json;
    char delimiter;    /* of CSV */
    const char *label; /* what faults call it: "FILE" */
};

/* A row, and what is wrong with it: one cell of it cannot be taken, and those behind it may be. */
struct row {
    size_t number;
    json_t *cells;     /* an object of text, numbers, true and false, and lists of these; owned */
    char column[128];  /* "": nothing is wrong, or with no one column */
    char message[256]; /* "": nothing is wrong */
};

/* Begin; of CSV the heading is read. `rows_out` is NULL unless it worked. False, and `fault_out`: no heading, a column without a
 * name or twice, no UTF-8, no memory, or the file cannot be read. The file stays the caller's. */
MUST_CHECK bool rows_open(struct rows **rows_out, const struct rows_options *options,
                          struct client_fault *fault_out);
void rows_close(struct rows **rows);

/* The heading of CSV: names of columns, in order; count 0 of JSON. Lent. */
const char *const *rows_columns(const struct rows *rows, size_t *count_out);

/* The next row; `cells` NULL at the end. False, and `fault_out` names the row: from here on nobody can tell where a row begins, the
 * file cannot be read, or no memory. */
MUST_CHECK bool rows_next(struct rows *rows, struct row *row_out, struct client_fault *fault_out);
void row_free(struct row *row);
