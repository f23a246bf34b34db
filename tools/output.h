/* output.h - what people and scripts get to read.
 *
 * Data come from other people, so nothing of theirs may steer a terminal or turn text around: control
 * characters and the characters that set a direction are taken out of text, and written as \uXXXX in
 * JSON, where they can be had back. Tables are libsmartcols'; with `json` the same rows are
 * printed as one object a line. Colour only repeats what words say.
 */
#pragma once

#include "store/base/err.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdio.h>

struct output {
    FILE *to;
    bool json;
    bool color;    /* a terminal, and neither NO_COLOR nor --no-color */
    bool terminal; /* `to` is one */
};

enum output_flag {
    COLUMN_RIGHT = 1,   /* numbers */
    COLUMN_CUT = 2,     /* cut first when the terminal is too narrow */
    COLUMN_TIME = 4,    /* a time, shown to the minute */
    COLUMN_PERCENT = 8, /* 0 to 1, shown rounded down: 99.99 % is not all */
    COLUMN_STATE = 16,  /* a word that colour repeats */
    COLUMN_DAY = 32,    /* a time, shown to the day */
    COLUMN_HIDE = 64,   /* in JSON, and not in the table */
};

struct output_column {
    const char *name; /* key of the row, and in capitals the heading */
    unsigned flags;   /* enum output_flag */
};

/* Stdout as it is: a terminal or not, NO_COLOR or not. Also sets the locale, so that UTF-8 is UTF-8. */
void output_init(struct output *output, bool json, bool no_color);

/* A copy of `text` without control, bidirectional and invisible characters; bytes that are no UTF-8
 * become "?". Newlines and tabs become spaces, or with `lines` newlines stay. The caller frees it;
 * NULL: no memory. */
char *output_clean(const char *text, bool lines);

/* Print as printf does; what comes out is cleaned, newlines and tabs of `format` itself kept. */
void output_printf(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Columns that `text` takes on a terminal. */
size_t output_width(const char *text);

/* Print `text`, cleaned, and end the line. It is broken at spaces so that it stays right of column `left`, which the cursor is in:
 * within a terminal, or else within 78 columns. */
void output_wrapped(const struct output *output, const char *text, size_t left);

/* Print `value` on a line of its own. */
void output_json(FILE *to, const json_t *value);

/* A value as people read it: a code's or device's own name, "yes" and "no", lists with commas, "" for
 * nothing. Not cleaned. The caller frees it; NULL: no memory. */
char *output_value(const json_t *value);

/* "2026-03-01 10:00 UTC" of a time of the API; anything else is copied as it is. */
void output_time(char out[32], const char *text);

/* "4 days" of seconds, in the largest unit that fits twice. */
void output_span(char out[32], json_int_t seconds);

/* Print `rows` (an array of objects) as a table with a heading, or as JSON with one row a line. No
 * rows: nothing. ERR_MEMORY. */
MUST_CHECK enum err output_table(const struct output *output, const struct output_column *columns,
                                 size_t column_count, const json_t *rows);

/* Where a row has no "number", its id under `key` becomes it: every record can be named in a table. */
void output_name_rows(json_t *rows, const char *key);

/* ERR_IO: what was printed did not reach its place. To be called once, at the end. */
MUST_CHECK enum err output_end(struct output *output);
