/* import_row.h - a row of cells becomes the records that a node is asked for.
 *
 *     {"Country":"Kenya|Uganda","act1_type":"Detention"}                        a row: rows.h
 *       --> mapping.h, the codebook of the node -->
 *     {"row":2,"records":[{"key":"17","kind":"case",                            of import.rows: node/API.md
 *                          "set":{"country_of_act":["KEN","UGA"]},
 *                          "add":[{"to":"act","slot":"act","fields":{"type_of_act":"detention"}}]}]}
 *
 * And back: what the node says of a field is said of the column that it came from. Only the mapping is judged here; what a field
 * may hold the node alone says. Pure but for memory.
 */
#pragma once

#include "tools/mapping.h"
#include "tools/rows.h"

struct import_rows;

/* Hold the mapping against the codebook (of codebook.show) for records of `kind` in `office` ("": the node's own). All are lent
 * until it is freed. False, and `fault_out`: a kind or field that the codebook has not, a field given twice; with the line of the mapping. */
MUST_CHECK bool import_rows_new(struct import_rows **out, const struct mapping *mapping,
                                const json_t *codebook, const char *kind, const char *office,
                                struct client_fault *fault_out);
void import_rows_free(struct import_rows **rows);

/* Look at the heading of a file. False, and `fault_out`: a column that the mapping names is not there, or one is no field where columns are
 * called as fields. Columns that mean nothing are appended to `unused_out` (a list). */
MUST_CHECK bool import_rows_heading(struct import_rows *rows, const char *const *columns, size_t count,
                                    const char *label, json_t *unused_out, struct client_fault *fault_out);
/* Likewise of the second file of a repeat. */
MUST_CHECK bool import_rows_heading_repeat(const struct import_rows *rows, const char *const *columns,
                                           size_t count, const char *label, struct client_fault *fault_out);

/* The request's item for a row: a new reference. NULL: row->column and row->message say what is wrong, or, if that is "", no memory. */
json_t *import_rows_make(struct import_rows *rows, struct row *row);

/* Add what a row of the second file says, as the `ordinal`th (from 1) of `item`. False: as above, of
 * `repeat`. */
MUST_CHECK bool import_rows_repeat(struct import_rows *rows, json_t *item, size_t ordinal,
                                   struct row *repeat);

/* The number in the column that joins the files; false: there is none. */
MUST_CHECK bool import_rows_index(const struct import_rows *rows, const struct row *row,
                                  json_int_t *index_out);
MUST_CHECK bool import_rows_parent(const struct import_rows *rows, const struct row *repeat,
                                   json_int_t *parent_out);

/* The column that `fault` (an outcome of import.rows) is about; "" if it is about none. `cells` is the row as it was read. Lent. */
const char *import_rows_column(const struct import_rows *rows, const json_t *item, const json_t *cells,
                               const json_t *fault);
