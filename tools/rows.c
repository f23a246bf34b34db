#include "tools/rows.h"

#include "store/base/cbor.h"
#include "store/base/err.h"

#include <csv.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 64 * 1024,
    /* A quotation mark that is never closed takes in what follows: the file ends there for us. */
    OPEN_CELL_BYTES_MAX = 4 << 20,
};

/* Rows that ended in the chunk that was read last. */
struct queued {
    struct row row;
    struct queued *next;
};

struct rows {
    struct rows_options options;
    struct csv_parser parser;
    bool parsing; /* the parser is to be freed */
    char *chunk;
    char **columns;
    size_t column_count;
    size_t column_room;
    bool has_heading;
    size_t number; /* of the row being read */
    size_t cell;   /* of it: how many have ended */
    struct row at; /* the row being read */
    struct queued *first;
    struct queued **last;
    bool ended;
    bool failed; /* no memory */
    bool begun;  /* bytes were read */
    bool broken; /* and why: to be told once the rows before it were given */
    struct client_fault why;
    char *line; /* of JSON */
    size_t line_room;
};

void
row_free(struct row *row)
{
    json_decref(row->cells);
    memset(row, 0, sizeof *row);
}

static bool
fail_memory(struct client_fault *fault_out)
{
    return fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

/* The first thing that is wrong with a row is what is said of it. */
__attribute__((format(printf, 3, 4))) static void
blame(struct row *row, const char *column, const char *format, ...)
{
    va_list args;

    if (row->message[0] != '\0') {
        return;
    }
    (void)snprintf(row->column, sizeof row->column, "%s", column);
    va_start(args, format);
    (void)vsnprintf(row->message, sizeof row->message, format, args);
    va_end(args);
}

/* --- CSV --- */

static void
take_heading(struct rows *rows, const char *text, size_t size)
{
    if (rows->column_count == rows->column_room) {
        size_t room = rows->column_room == 0 ? 32 : 2 * rows->column_room;
        char **columns =
            room > 2 * (size_t)ROWS_COLUMNS_MAX ? NULL : realloc(rows->columns, room * sizeof *columns);

        if (columns == NULL) {
            rows->failed = true;
            return;
        }
        rows->columns = columns;
        rows->column_room = room;
    }
    char *name = strndup(text, size);
    if (name == NULL) {
        rows->failed = true;
        return;
    }
    rows->columns[rows->column_count] = name;
    rows->column_count++;
}

static void
take_cell(struct rows *rows, const char *text, size_t size)
{
    const char *column = rows->columns[rows->cell];

    if (size > ROWS_CELL_BYTES_MAX) {
        blame(&rows->at, column, "the cell has %zu bytes, and at most %d are taken", size,
              ROWS_CELL_BYTES_MAX);
    } else if (memchr(text, '\0', size) != NULL) {
        blame(&rows->at, column, "the cell holds a NUL character");
    } else if (!utf8_valid(span_of(text, size))) {
        blame(&rows->at, column, "the cell is not UTF-8: save the file as \"CSV UTF-8\"");
    } else {
        json_t *value = json_stringn_nocheck(text, size);

        if (value == NULL || json_object_set_new_nocheck(rows->at.cells, column, value) != 0) {
            rows->failed = true;
        }
    }
}

static void
on_cell(void *data, size_t size, void *self)
{
    struct rows *rows = self;
    const char *text = data == NULL ? "" : data;

    if (rows->failed) {
        return;
    }
    if (!rows->has_heading) {
        take_heading(rows, text, size);
    } else {
        if (rows->at.cells == NULL) {
            rows->at.cells = json_object();
            rows->failed = rows->at.cells == NULL;
        }
        if (!rows->failed && size > 0 && rows->cell < rows->column_count) {
            take_cell(rows, text, size);
        }
    }
    rows->cell++;
}

static void
on_row(int end, void *self)
{
    struct rows *rows = self;

    (void)end;
    if (rows->failed) {
        return;
    }
    if (!rows->has_heading) {
        rows->has_heading = true;
    } else {
        struct queued *queued = malloc(sizeof *queued);

        if (queued == NULL) {
            rows->failed = true;
            return;
        }
        if (rows->cell != rows->column_count) {
            blame(&rows->at, "", "the row has %zu cells, and the heading %zu", rows->cell,
                  rows->column_count);
        }
        rows->at.number = rows->number;
        *queued = (struct queued){ .row = rows->at };
        *rows->last = queued;
        rows->last = &queued->next;
        memset(&rows->at, 0, sizeof rows->at);
    }
    rows->number++;
    rows->cell = 0;
}

/* Where the parser gave up. */
static bool
fail_csv(const struct rows *rows, struct client_fault *fault_out)
{
    const char *column =
        rows->has_heading && rows->cell < rows->column_count ? rows->columns[rows->cell] : "";

    return fault_set(fault_out, err_code(ERR_INVALID),
                     "put a cell that holds a quotation mark into quotation marks, and double those in it",
                     "row %zu of %s%s%s: a quotation mark stands where none may, or is not closed",
                     rows->number, rows->options.label, column[0] == '\0' ? "" : ", column ", column);
}

/* Read a chunk; rows that end in it are queued. */
static bool
read_chunk(struct rows *rows, struct client_fault *fault_out)
{
    size_t got = fread(rows->chunk, 1, CHUNK_BYTES, rows->options.file);
    const char *text = rows->chunk;
    size_t size = got;

    if (got == 0 && ferror(rows->options.file) != 0) {
        return fault_set(fault_out, err_code(ERR_IO), "look after its disk", "%s cannot be read",
                         rows->options.label);
    }
    if (!rows->begun && size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        return fault_set(fault_out, err_code(ERR_INVALID), "save it as \"CSV UTF-8\"",
                         "%s is UTF-16 and not UTF-8", rows->options.label);
    }
    if (!rows->begun && size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    rows->begun = true;
    bool good = csv_parse(&rows->parser, text, size, on_cell, on_row, rows) == size;
    if (got == 0) {
        good = csv_fini(&rows->parser, on_cell, on_row, rows) == 0 && good;
        rows->ended = true;
    }
    if (rows->failed) {
        return fail_memory(fault_out);
    }
    /* The parser's buffer is as large as the largest cell so far. */
    return (good && csv_get_buffer_size(&rows->parser) <= OPEN_CELL_BYTES_MAX) || fail_csv(rows, fault_out);
}

static bool
check_heading(const struct rows *rows, struct client_fault *fault_out)
{
    static const char hint[] = "the first row names the columns, each by a name of its own";

    if (rows->column_count == 0) {
        return fault_set(fault_out, err_code(ERR_INVALID), hint, "%s has no heading", rows->options.label);
    }
    if (rows->column_count > ROWS_COLUMNS_MAX) {
        return fault_set(fault_out, err_code(ERR_INVALID), "leave out those that are not needed",
                         "%s has %zu columns, and at most %d are taken", rows->options.label,
                         rows->column_count, ROWS_COLUMNS_MAX);
    }
    json_t *seen = json_object();
    bool good = seen != NULL || fail_memory(fault_out);
    for (size_t n = 0; good && n < rows->column_count; n++) {
        const char *name = rows->columns[n];

        if (name[0] == '\0') {
            good = fault_set(fault_out, err_code(ERR_INVALID), hint, "row 1 of %s: column %zu has no name",
                             rows->options.label, n + 1);
        } else if (!utf8_valid(span_text(name))) {
            good = fault_set(fault_out, err_code(ERR_INVALID), "save the file as \"CSV UTF-8\"",
                             "row 1 of %s: the name of column %zu is not UTF-8", rows->options.label, n + 1);
        } else if (json_object_get(seen, name) != NULL) {
            good = fault_set(fault_out, err_code(ERR_INVALID), hint, "row 1 of %s: two columns are called %s",
                             rows->options.label, name);
        } else if (json_object_set_new(seen, name, json_true()) != 0) {
            good = fail_memory(fault_out);
        }
    }
    json_decref(seen);
    return good;
}

static bool
open_csv(struct rows *rows, struct client_fault *fault_out)
{
    rows->chunk = malloc(CHUNK_BYTES);
    if (rows->chunk == NULL ||
        csv_init(&rows->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) != 0) {
        return fail_memory(fault_out);
    }
    rows->parsing = true;
    csv_set_delim(&rows->parser, (unsigned char)rows->options.delimiter);
    while (!rows->has_heading && !rows->ended) {
        if (!read_chunk(rows, &rows->why)) {
            /* The rows before it are told first. */
            rows->ended = true;
            rows->broken = true;
        }
    }
    if (rows->broken && !rows->has_heading) {
        *fault_out = rows->why;
        return false;
    }
    return check_heading(rows, fault_out);
}

static bool
next_csv(struct rows *rows, struct row *row_out, struct client_fault *fault_out)
{
    while (rows->first == NULL && !rows->ended) {
        if (!read_chunk(rows, &rows->why)) {
            rows->ended = true;
            rows->broken = true;
        }
    }
    struct queued *queued = rows->first;
    if (queued == NULL) {
        if (rows->broken) {
            *fault_out = rows->why;
        }
        return !rows->broken;
    }
    *row_out = queued->row;
    rows->first = queued->next;
    if (rows->first == NULL) {
        rows->last = &rows->first;
    }
    free(queued);
    return true;
}

/* --- JSON lines --- */

/* A line without its end; `size_out` is how long it is, also when it is longer than may be. False: the file ended. */
static bool
read_line(struct rows *rows, size_t *size_out)
{
    size_t size = 0;
    int c;

    while ((c = getc_unlocked(rows->options.file)) != EOF && c != '\n') {
        if (size < ROWS_LINE_BYTES_MAX) {
            rows->line[size] = (char)c;
        }
        size++;
    }
    if (size <= ROWS_LINE_BYTES_MAX) {
        rows->line[size] = '\0';
    }
    *size_out = size;
    return size > 0 || c == '\n';
}

static bool
is_plain(const json_t *value)
{
    return json_is_string(value) || json_is_number(value) || json_is_boolean(value) || json_is_null(value);
}

static void
check_cells(struct row *row)
{
    const char *column;
    json_t *value;
    void *next;

    json_object_foreach_safe(row->cells, next, column, value)
    {
        size_t index;
        json_t *item;
        bool good = is_plain(value) || json_is_array(value);

        json_array_foreach(value, index, item)
        {
            good = good && is_plain(item) && !json_is_null(item);
            if (json_string_length(item) > ROWS_CELL_BYTES_MAX) {
                blame(row, column, "the value has %zu bytes, and at most %d are taken",
                      json_string_length(item), ROWS_CELL_BYTES_MAX);
            }
        }
        if (!good) {
            blame(row, column, "the value is neither text, a number, true or false, nor a list of these");
        } else if (json_string_length(value) > ROWS_CELL_BYTES_MAX) {
            blame(row, column, "the value has %zu bytes, and at most %d are taken", json_string_length(value),
                  ROWS_CELL_BYTES_MAX);
        }
        if (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) {
            (void)json_object_del(row->cells, column);
        }
    }
}

static bool
next_json(struct rows *rows, struct row *row_out, struct client_fault *fault_out)
{
    size_t size = 0;
    char *line = rows->line;

    do {
        rows->number++;
        if (!read_line(rows, &size)) {
            return ferror(rows->options.file) == 0 ||
                   fault_set(fault_out, err_code(ERR_IO), "look after its disk", "%s cannot be read",
                             rows->options.label);
        }
        if (!rows->begun && size >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
            size -= 3;
            memmove(line, line + 3, size < ROWS_LINE_BYTES_MAX ? size : ROWS_LINE_BYTES_MAX - 3);
        }
        rows->begun = true;
    } while (size <= ROWS_LINE_BYTES_MAX && strspn(line, " \t\r") >= size);
    row_out->number = rows->number;
    if (size > ROWS_LINE_BYTES_MAX) {
        row_out->cells = json_object();
        blame(row_out, "", "the line has %zu bytes, and at most %d are taken", size, ROWS_LINE_BYTES_MAX);
    } else if (!utf8_valid(span_of(line, size))) {
        row_out->cells = json_object();
        blame(row_out, "", "the line is not UTF-8");
    } else {
        row_out->cells = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(row_out->cells)) {
            json_decref(row_out->cells);
            row_out->cells = json_object();
            blame(row_out, "", "the line is not a JSON object with each key once");
        }
        check_cells(row_out);
    }
    return row_out->cells != NULL || fail_memory(fault_out);
}

/* --- both --- */

bool
rows_open(struct rows **rows_out, const struct rows_options *options, struct client_fault *fault_out)
{
    struct rows *rows = calloc(1, sizeof *rows);

    *rows_out = NULL;
    if (rows == NULL) {
        return fail_memory(fault_out);
    }
    rows->options = *options;
    rows->last = &rows->first;
    bool good = true;
    if (options->json) {
        /* And a NUL behind it. */
        rows->line = calloc(1, ROWS_LINE_BYTES_MAX + 1);
        good = rows->line != NULL || fail_memory(fault_out);
    } else {
        rows->number = 1;
        good = open_csv(rows, fault_out);
    }
    if (!good) {
        rows_close(&rows);
        return false;
    }
    *rows_out = rows;
    return true;
}

void
rows_close(struct rows **rows_in)
{
    struct rows *rows = *rows_in;

    if (rows == NULL) {
        return;
    }
    while (rows->first != NULL) {
        struct queued *queued = rows->first;

        rows->first = queued->next;
        row_free(&queued->row);
        free(queued);
    }
    for (size_t n = 0; n < rows->column_count; n++) {
        free(rows->columns[n]);
    }
    if (rows->parsing) {
        csv_free(&rows->parser);
    }
    row_free(&rows->at);
    free(rows->columns);
    free(rows->chunk);
    free(rows->line);
    free(rows);
    *rows_in = NULL;
}

const char *const *
rows_columns(const struct rows *rows, size_t *count_out)
{
    *count_out = rows->options.json ? 0 : rows->column_count;
    return (const char *const *)rows->columns;
}

bool
rows_next(struct rows *rows, struct row *row_out, struct client_fault *fault_out)
{
    memset(row_out, 0, sizeof *row_out);
    return rows->options.json ? next_json(rows, row_out, fault_out) : next_csv(rows, row_out, fault_out);
}
