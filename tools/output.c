#include "tools/output.h"

#include "store/base/bytes.h"

#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { TEXT_WIDTH = 78, TEXT_WIDTH_LEAST = 40 };

void
output_init(struct output *output, bool json, bool no_color)
{
    const char *environment = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    (void)setlocale(LC_ALL, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    }
    output->to = stdout;
    output->json = json;
    output->terminal = isatty(STDOUT_FILENO) == 1;
    output->color = output->terminal && !json && !no_color &&
                    (environment == NULL || environment[0] == '\0') &&
                    (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

/* The next character of UTF-8 and how many bytes it takes; -1 and 1 if they are none. */
static int32_t
next_character(const unsigned char *text, size_t *size_out)
{
    static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t size = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

    *size_out = 1;
    if (size < 2) {
        return size == 1 ? text[0] : -1;
    }
    if (text[0] >= 0xf8) {
        return -1;
    }
    int32_t character = text[0] & (0x7f >> size);
    for (size_t n = 1; n < size; n++) {
        if ((text[n] & 0xc0) != 0x80) {
            return -1;
        }
        character = character << 6 | (text[n] & 0x3f);
    }
    if (character < least[size] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff)) {
        return -1;
    }
    *size_out = size;
    return character;
}

/* Control characters, those that set or end a direction, and those that nobody sees. */
static bool
steers(int32_t character)
{
    return character < 0x20 || (character >= 0x7f && character <= 0x9f) || character == 0xad ||
           character == 0x61c || character == 0x180e || character == 0x200b || character == 0x200e ||
           character == 0x200f || (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
           (character >= 0xfff9 && character <= 0xfffb) || (character >= 0xe0000 && character <= 0xe007f);
}

static void
put_clean(struct buf *out, const char *text, bool lines)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t size = 1;
        int32_t character = next_character(at, &size);
        if (character == '\n' && lines) {
            buf_put_u8(out, '\n');
        } else if (character == '\n' || character == '\t') {
            buf_put_u8(out, ' ');
        } else if (character < 0) {
            buf_put_u8(out, '?');
        } else if (!steers(character)) {
            buf_put(out, at, size);
        }
        at += size;
    }
}

char *
output_clean(const char *text, bool lines)
{
    struct buf out = { 0 };

    put_clean(&out, text, lines);
    buf_put_u8(&out, '\0');
    if (out.failed) {
        buf_free(&out);
        return NULL;
    }
    return (char *)out.data;
}

void
output_printf(FILE *to, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    int size = vasprintf(&text, format, args);
    va_end(args);
    if (size < 0) {
        return;
    }
    /* A newline at the end is ours; one within stays a line, since only we break lines. */
    char *clean = output_clean(text, true);
    free(text);
    if (clean != NULL) {
        (void)fputs(clean, to);
    }
    free(clean);
}

size_t
output_width(const char *text)
{
    size_t width = 0;
    mbstate_t state = { 0 };
    wchar_t character = 0;
    size_t size;

    while ((size = mbrtowc(&character, text, strlen(text) + 1, &state)) != 0) {
        if (size > (size_t)-3) {
            return width + strlen(text);
        }
        int columns = wcwidth(character);
        width += columns > 0 ? (size_t)columns : 0;
        text += size;
    }
    return width;
}

static size_t
line_width(const struct output *output)
{
    struct winsize size = { 0 };

    if (output->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= TEXT_WIDTH_LEAST) {
        return size.ws_col < 100 ? size.ws_col - 1u : 100u;
    }
    return TEXT_WIDTH;
}

void
output_wrapped(const struct output *output, const char *text, size_t left)
{
    char *clean = output_clean(text, true);
    size_t right = line_width(output);
    size_t column = left;

    right = right < left + TEXT_WIDTH_LEAST ? left + TEXT_WIDTH_LEAST : right;
    for (char *line = clean; line != NULL;) {
        char *rest = strchr(line, '\n');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        for (char *word = strsep(&line, " "); word != NULL; word = strsep(&line, " ")) {
            size_t width = output_width(word);
            if (column > left && column + 1 + width > right) {
                (void)fputc('\n', output->to);
                (void)fprintf(output->to, "%*s", (int)left, "");
                column = left;
            } else if (column > left) {
                (void)fputc(' ', output->to);
                column++;
            }
            (void)fputs(word, output->to);
            column += width;
        }
        line = rest;
        if (line != NULL && line[0] != '\0') {
            (void)fputc('\n', output->to);
            (void)fprintf(output->to, "%*s", (int)left, "");
            column = left;
        } else if (line != NULL && line[0] == '\0' && line[1] == '\0') {
            line = NULL;
        }
    }
    (void)fputc('\n', output->to);
    free(clean);
}

void
output_json(FILE *to, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    if (text == NULL) {
        return;
    }
    /* Outside of strings JSON has nothing but ASCII, so what steers stands within one. */
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        size_t size = 1;
        int32_t character = next_character(at, &size);
        if (character < 0x10000 && steers(character)) {
            (void)fprintf(to, "\\u%04x", (unsigned)character);
        } else if (steers(character)) {
            unsigned rest = (unsigned)character - 0x10000;
            (void)fprintf(to, "\\u%04x\\u%04x", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
        } else {
            (void)fwrite(at, 1, size, to);
        }
        at += size;
    }
    (void)fputc('\n', to);
    free(text);
}

static void
put_value(struct buf *out, const json_t *value)
{
    static const char *const names[] = { "label", "name", "number", "id" };
    size_t index;
    json_t *item;

    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        buf_put_text(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        buf_printf(out, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
        buf_put_text(out, "yes");
        break;
    case JSON_FALSE:
        buf_put_text(out, "no");
        break;
    case JSON_ARRAY:
        json_array_foreach(value, index, item)
        {
            if (index > 0) {
                buf_put_text(out, ", ");
            }
            if (!json_is_array(item)) { /* a list in a list is nobody's: no recursion without a bound */
                put_value(out, item);
            }
        }
        break;
    case JSON_OBJECT:
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            item = json_object_get(value, names[n]);
            if (json_is_string(item) && json_string_length(item) > 0) {
                buf_put_text(out, json_string_value(item));
                break;
            }
        }
        break;
    case JSON_NULL:
        break;
    }
}

char *
output_value(const json_t *value)
{
    struct buf out = { 0 };

    put_value(&out, value);
    buf_put_u8(&out, '\0');
    if (out.failed) {
        buf_free(&out);
        return NULL;
    }
    return (char *)out.data;
}

void
output_time(char out[32], const char *text)
{
    /* 2026-03-01T10:00:00.000Z */
    if (text != NULL && strlen(text) >= 17 && text[10] == 'T' && text[strlen(text) - 1] == 'Z') {
        (void)snprintf(out, 32, "%.10s %.5s UTC", text, text + 11);
    } else {
        (void)snprintf(out, 32, "%s", text == NULL ? "" : text);
    }
}

void
output_span(char out[32], json_int_t seconds)
{
    static const struct {
        json_int_t seconds;
        const char *name;
    } units[] = { { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" }, { 1, "seconds" } };
    size_t n = 0;

    while (n + 1 < sizeof units / sizeof units[0] && seconds < 2 * units[n].seconds) {
        n++;
    }
    (void)snprintf(out, 32, "%lld %s", (long long)(seconds / units[n].seconds), units[n].name);
}

static const char *
color_of(const char *state)
{
    static const struct {
        const char *state;
        const char *color;
    } colors[] = {
        { "complete", "green" }, { "up", "green" },          { "running", "green" },
        { "pending", "yellow" }, { "connecting", "yellow" }, { "rebuilding", "yellow" },
        { "down", "red" },       { "locked", "red" },        { "ok", "green" },
        { "revoked", "red" },    { "forked", "red" },        { "expired", "yellow" },
        { "clock", "yellow" },   { "in force", "green" },
    };

    for (size_t n = 0; n < sizeof colors / sizeof colors[0]; n++) {
        if (strcmp(state, colors[n].state) == 0) {
            return colors[n].color;
        }
    }
    return NULL;
}

static char *
cell_text(const struct output_column *column, const json_t *value)
{
    char text[48];

    if ((column->flags & COLUMN_DAY) != 0 && json_is_string(value)) {
        (void)snprintf(text, sizeof text, "%.10s", json_string_value(value));
        return strdup(text);
    }
    if ((column->flags & COLUMN_TIME) != 0 && json_is_string(value)) {
        output_time(text, json_string_value(value));
        size_t size = strlen(text);
        if (size > 4 && strcmp(text + size - 4, " UTC") == 0) {
            text[size - 4] = '\0'; /* the heading says so */
        }
        return strdup(text);
    }
    if ((column->flags & COLUMN_PERCENT) != 0 && json_is_number(value)) {
        /* The small addition undoes the rounding of binary fractions: 0.29 * 1000 is 289.99… */
        double share = json_number_value(value);
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        int tenths = (int)(share * 1000 + 1e-9);
        (void)snprintf(text, sizeof text, "%d.%d %%", tenths / 10, tenths % 10);
        return strdup(text);
    }
    return output_value(value);
}

static int
fill_cell(const struct output *output, struct libscols_line *line, size_t at,
          const struct output_column *column, const json_t *value)
{
    char *text = cell_text(column, value);
    char *clean = text == NULL ? NULL : output_clean(text, false);
    int failed = clean == NULL;

    free(text);
    if (!failed && output->color && (column->flags & COLUMN_STATE) != 0 && color_of(clean) != NULL) {
        failed = scols_cell_set_color(scols_line_get_cell(line, at), color_of(clean));
    }
    if (!failed) {
        failed = scols_line_set_data(line, at, clean);
    }
    free(clean);
    return failed;
}

static int
add_column(struct libscols_table *table, const struct output_column *column)
{
    char heading[64];
    size_t n = 0;

    /* Times that others made are told in one zone; a heading says which, so that no row need to. */
    const char *zone = (column->flags & (COLUMN_TIME | COLUMN_DAY)) != 0 ? " (UTC)" : "";
    for (; column->name[n] != '\0' && n < sizeof heading - 8; n++) {
        char c = column->name[n];
        heading[n] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    (void)snprintf(heading + n, sizeof heading - n, "%s", zone);
    int flags = ((column->flags & COLUMN_RIGHT) != 0 ? SCOLS_FL_RIGHT : 0) |
                ((column->flags & COLUMN_CUT) != 0 ? SCOLS_FL_TRUNC : 0);
    return scols_table_new_column(table, heading, 0, flags) == NULL;
}

enum err
output_table(const struct output *output, const struct output_column *columns, size_t column_count,
             const json_t *rows)
{
    size_t index;
    json_t *row;

    if (output->json) {
        json_array_foreach(rows, index, row)
        {
            output_json(output->to, row);
        }
        return ERR_OK;
    }
    if (json_array_size(rows) == 0) {
        return ERR_OK;
    }
    struct libscols_table *table = scols_new_table();
    if (table == NULL) {
        return ERR_MEMORY;
    }
    int failed = scols_table_set_stream(table, output->to);
    (void)scols_table_enable_colors(table, output->color);
    for (size_t n = 0; n < column_count && !failed; n++) {
        if ((columns[n].flags & COLUMN_HIDE) == 0) {
            failed = add_column(table, &columns[n]);
        }
    }
    json_array_foreach(rows, index, row)
    {
        struct libscols_line *line = failed ? NULL : scols_table_new_line(table, NULL);
        if (line == NULL) {
            failed = 1;
            break;
        }
        size_t at = 0;
        for (size_t n = 0; n < column_count && !failed; n++) {
            if ((columns[n].flags & COLUMN_HIDE) == 0) {
                failed = fill_cell(output, line, at++, &columns[n], json_object_get(row, columns[n].name));
            }
        }
    }
    if (!failed) {
        failed = scols_print_table(table);
    }
    scols_unref_table(table);
    return failed ? ERR_MEMORY : ERR_OK;
}

void
output_name_rows(json_t *rows, const char *key)
{
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        json_t *id = json_object_get(row, key);
        if (json_string_length(json_object_get(row, "number")) == 0 && id != NULL) {
            (void)json_object_set(row, "number", id);
        }
    }
}

enum err
output_end(struct output *output)
{
    return fflush(output->to) != 0 || ferror(output->to) != 0 ? ERR_IO : ERR_OK;
}
