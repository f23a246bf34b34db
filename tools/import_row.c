#include "tools/import_row.h"

#include "tools/several.h"

#include "store/base/err.h"
#include "store/base/nearest.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 160, KEY_BYTES_MAX = 1024 };

/* No slot of a mapping has a hyphen. */
#define REPEAT_MARK "[repeat-"

/* Where values of a column go. */
struct place {
    char collection[NAME_BYTES]; /* "": a field of the record, or a set */
    char slot[NAME_BYTES];       /* "act[1]" */
    char field[NAME_BYTES];      /* "type_of_act", "title" */
    char confidential;
    bool many; /* several values are taken */
    bool date;
};

struct bound {
    const struct mapping_column *column; /* of the mapping; NULL: called as its field */
    const char *name;                    /* of the column */
    struct place place;
};

struct fixed {
    const struct mapping_constant *constant;
    struct place place;
};

/* A record of a row. */
struct shape {
    const struct mapping_record *record;
    const char *kind;
    struct bound *bounds;
    size_t count;
    size_t room;
    struct fixed *fixed;
    json_t *
        by_name; /* names of columns -> places in `bounds` + 1; 0: nothing is made of it. Of the row's own record */
};

struct import_rows {
    const struct mapping *mapping;
    const json_t *codebook;
    const char *office;
    struct shape shapes[1 + MAPPING_PERSONS_MAX];
    size_t count;
    struct shape repeat;
    bool lost;                   /* there was no memory for something of the row at hand */
    struct mapping_column plain; /* what holds of a column that is called as its field */
};

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

static bool
fail_memory(struct client_fault *fault_out)
{
    return fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

/* --- the codebook --- */

static bool
has_kind(const json_t *entry, const char *kind)
{
    size_t index;
    json_t *name;

    json_array_foreach(json_object_get(entry, "kinds"), index, name)
    {
        if (strcmp(json_string_value(name), kind) == 0) {
            return true;
        }
    }
    return false;
}

static bool
says(const json_t *entry, const char *member, const char *text)
{
    const char *here = json_string_value(json_object_get(entry, member));

    return here != NULL && strcmp(here, text) == 0;
}

/* The entry of a list of the codebook that is called so. */
static const json_t *
find_entry(const json_t *codebook, const char *list, const char *kind, const char *name,
           struct nearest *nearest)
{
    size_t index;
    json_t *entry;

    json_array_foreach(json_object_get(codebook, list), index, entry)
    {
        if (!has_kind(entry, kind)) {
            continue;
        }
        if (says(entry, "name", name)) {
            return entry;
        }
        nearest_see(nearest, json_string_value(json_object_get(entry, "name")));
    }
    return NULL;
}

/* "act[1].type_of_act" of a kind. False: there is no such field; `nearest_out` may know what was meant. */
static bool
find_place(const json_t *codebook, const char *kind, const char *text, struct place *out,
           const char **nearest_out)
{
    const char *dot = strchr(text, '.');
    char full[2 * NAME_BYTES];

    memset(out, 0, sizeof *out);
    *nearest_out = NULL;
    if (strlen(text) >= NAME_BYTES) {
        return false;
    }
    (void)snprintf(out->field, sizeof out->field, "%s", dot == NULL ? text : dot + 1);
    if (dot != NULL) {
        (void)snprintf(out->slot, sizeof out->slot, "%.*s", (int)(dot - text), text);
        (void)snprintf(out->collection, sizeof out->collection, "%.*s", (int)strcspn(text, "[."), text);
    }
    (void)snprintf(full, sizeof full, "%s%s%s", out->collection, dot == NULL ? "" : ".", out->field);
    struct nearest nearest = nearest_to(full);
    const json_t *field = find_entry(codebook, "fields", kind, full, &nearest);
    const json_t *collection =
        find_entry(codebook, "collections", kind, dot == NULL ? full : out->collection, &nearest);
    bool is_set = json_is_true(json_object_get(collection, "set"));
    if (field == NULL || (dot != NULL && (collection == NULL || is_set))) {
        *nearest_out = nearest.name;
        return false;
    }
    out->many = (dot == NULL && is_set) || says(field, "policy", "union");
    out->date = says(field, "type", "date");
    out->confidential = says(field, "level", "L3") ? 1 : 0;
    return true;
}

static bool
refuse_field(const struct mapping *mapping, int line, const char *kind, const char *field,
             const char *nearest, struct client_fault *fault_out)
{
    return fault_set(fault_out, err_code(ERR_INVALID), "vigil codebook show lists the fields of each kind",
                     "%s:%d: a %s has no field called %s%s%s", mapping->name, line, kind, field,
                     nearest == NULL ? "" : ": did you mean ", nearest == NULL ? "" : nearest);
}

/* --- binding --- */

static struct bound *
add_bound(struct shape *shape)
{
    if (shape->count == shape->room) {
        size_t room = shape->room == 0 ? 32 : 2 * shape->room;
        struct bound *bounds = realloc(shape->bounds, room * sizeof *bounds);

        if (bounds == NULL) {
            return NULL;
        }
        shape->bounds = bounds;
        shape->room = room;
    }
    struct bound *bound = &shape->bounds[shape->count];
    memset(bound, 0, sizeof *bound);
    return bound;
}

static bool
bind_shape(struct import_rows *rows, struct shape *shape, const struct mapping_record *record,
           const char *kind, struct client_fault *fault_out)
{
    const char *nearest = NULL;

    shape->record = record;
    shape->kind = kind;
    shape->by_name = json_object();
    shape->fixed = calloc(record->constant_count + 1, sizeof *shape->fixed);
    if (shape->by_name == NULL || shape->fixed == NULL) {
        return fail_memory(fault_out);
    }
    for (size_t n = 0; n < record->column_count; n++) {
        const struct mapping_column *column = &record->columns[n];
        struct bound *bound = add_bound(shape);

        if (bound == NULL) {
            return fail_memory(fault_out);
        }
        bound->column = column;
        bound->name = column->name;
        if (!find_place(rows->codebook, kind, column->field, &bound->place, &nearest)) {
            return refuse_field(rows->mapping, column->line, kind, column->field, nearest, fault_out);
        }
        shape->count++;
        if (json_object_set_new(shape->by_name, column->name, json_integer((json_int_t)shape->count)) != 0) {
            return fail_memory(fault_out);
        }
    }
    for (size_t n = 0; n < record->constant_count; n++) {
        const struct mapping_constant *constant = &record->constants[n];

        shape->fixed[n].constant = constant;
        if (!find_place(rows->codebook, kind, constant->field, &shape->fixed[n].place, &nearest)) {
            return refuse_field(rows->mapping, constant->line, kind, constant->field, nearest, fault_out);
        }
    }
    return true;
}

/* A key is kept as a hash, but a name makes a poor one: it is found by trying. */
static bool
check_keys(const struct import_rows *rows, struct client_fault *fault_out)
{
    for (size_t s = 0; s < rows->count; s++) {
        const struct mapping_record *record = rows->shapes[s].record;

        for (size_t key = 0; key < record->key_count; key++) {
            for (size_t n = 0; n < rows->shapes[s].count; n++) {
                const struct bound *bound = &rows->shapes[s].bounds[n];

                if (strcmp(bound->name, record->keys[key]) == 0 && bound->place.confidential != 0) {
                    return fault_set(fault_out, err_code(ERR_INVALID),
                                     "choose a column that says nothing of a person, such as a number",
                                     "%s:%d: column '%s' goes to a field of L3, and so is no key",
                                     rows->mapping->name, record->line, bound->name);
                }
            }
        }
    }
    return true;
}

static bool
knows_kind(const json_t *codebook, const char *kind)
{
    size_t index;
    json_t *entry;

    json_array_foreach(json_object_get(codebook, "kinds"), index, entry)
    {
        if (says(entry, "name", kind)) {
            return true;
        }
    }
    return false;
}

static bool
bind_all(struct import_rows *rows, const char *kind, struct client_fault *fault_out)
{
    const struct mapping *mapping = rows->mapping;

    if (!knows_kind(rows->codebook, kind)) {
        return fault_set(fault_out, err_code(ERR_INVALID), "vigil codebook show lists the kinds",
                         "there is no kind of record called %s", kind);
    }
    if (mapping->record_count > 1 && strcmp(kind, "case") != 0) {
        return fault_set(fault_out, err_code(ERR_INVALID), "leave out the sections \"person\"",
                         "%s:%d: only a case names persons", mapping->name, mapping->records[1].line);
    }
    for (size_t n = 0; n < mapping->record_count; n++) {
        rows->count++;
        if (!bind_shape(rows, &rows->shapes[n], &mapping->records[n], n == 0 ? kind : "person", fault_out)) {
            return false;
        }
    }
    return (mapping->repeat.parent == NULL ||
            bind_shape(rows, &rows->repeat, &mapping->repeat.elements, kind, fault_out)) &&
           check_keys(rows, fault_out);
}

bool
import_rows_new(struct import_rows **out, const struct mapping *mapping, const json_t *codebook,
                const char *kind, const char *office, struct client_fault *fault_out)
{
    static char nothing[] = "";
    struct import_rows *rows = calloc(1, sizeof *rows);

    *out = NULL;
    if (rows == NULL) {
        return fail_memory(fault_out);
    }
    rows->mapping = mapping;
    rows->codebook = codebook;
    rows->office = office;
    rows->plain = (struct mapping_column){ .name = nothing,
                                           .field = nothing,
                                           .separator = mapping->separator,
                                           .date = mapping->date,
                                           .when = nothing,
                                           .value = nothing };
    if (!bind_all(rows, kind, fault_out)) {
        import_rows_free(&rows);
        return false;
    }
    *out = rows;
    return true;
}

static void
free_shape(struct shape *shape)
{
    for (size_t n = 0; n < shape->count; n++) {
        if (shape->bounds[n].column == NULL) {
            free((char *)shape->bounds[n].name);
        }
    }
    free(shape->bounds);
    free(shape->fixed);
    json_decref(shape->by_name);
}

void
import_rows_free(struct import_rows **rows_in)
{
    struct import_rows *rows = *rows_in;

    if (rows == NULL) {
        return;
    }
    for (size_t n = 0; n < rows->count; n++) {
        free_shape(&rows->shapes[n]);
    }
    free_shape(&rows->repeat);
    free(rows);
    *rows_in = NULL;
}

/* --- headings --- */

static bool
is_in(const char *const *columns, size_t count, const char *name)
{
    for (size_t n = 0; n < count; n++) {
        if (strcmp(columns[n], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool
refuse_missing(const struct import_rows *rows, const char *label, int line, const char *name,
               struct client_fault *fault_out)
{
    return fault_set(fault_out, err_code(ERR_INVALID),
                     "mend the mapping, or say there that the column is optional",
                     "%s has no column '%s', which %s:%d names", label, name, rows->mapping->name, line);
}

static bool
has_columns(const struct import_rows *rows, const struct shape *shape, const char *const *columns,
            size_t count, const char *label, struct client_fault *fault_out)
{
    const struct mapping_record *record = shape->record;

    for (size_t n = 0; n < record->column_count; n++) {
        if (!record->columns[n].optional && !is_in(columns, count, record->columns[n].name)) {
            return refuse_missing(rows, label, record->columns[n].line, record->columns[n].name, fault_out);
        }
    }
    for (size_t n = 0; n < record->key_count; n++) {
        if (!is_in(columns, count, record->keys[n])) {
            return refuse_missing(rows, label, record->line, record->keys[n], fault_out);
        }
    }
    return true;
}

/* True if it is called as a field of codes with "_label" behind it. */
static bool
is_label(const struct import_rows *rows, const char *name)
{
    static const char ending[] = "_label";
    size_t size = strlen(name);
    const char *nearest = NULL;
    struct place place;

    if (!rows->mapping->labels || size < sizeof ending ||
        strcmp(name + size - (sizeof ending - 1), ending) != 0) {
        return false;
    }
    char *stem = strndup(name, size - (sizeof ending - 1));
    bool found = stem != NULL && find_place(rows->codebook, rows->shapes[0].kind, stem, &place, &nearest);
    free(stem);
    return found;
}

/* True if a mapping names the column, or says that it means nothing. */
static bool
is_mapped(const struct import_rows *rows, const char *name)
{
    for (size_t s = 0; s < rows->count; s++) {
        const struct mapping_record *record = rows->shapes[s].record;

        if (json_object_get(rows->shapes[s].by_name, name) != NULL ||
            is_in((const char *const *)record->keys, record->key_count, name)) {
            return true;
        }
    }
    return is_in((const char *const *)rows->mapping->ignored, rows->mapping->ignored_count, name) ||
           is_label(rows, name) ||
           (rows->mapping->repeat.index != NULL && strcmp(rows->mapping->repeat.index, name) == 0);
}

/* A column that is called as its field. False: it is not, or no memory (then `nearest_out` is NULL too). */
static bool
bind_name(struct import_rows *rows, const char *name, const char **nearest_out)
{
    struct shape *own = &rows->shapes[0];
    struct bound *bound = add_bound(own);
    char *copy = strdup(name);

    *nearest_out = NULL;
    if (bound == NULL || copy == NULL ||
        !find_place(rows->codebook, own->kind, name, &bound->place, nearest_out) ||
        json_object_set_new(own->by_name, name, json_integer((json_int_t)own->count + 1)) != 0) {
        free(copy);
        return false;
    }
    bound->name = copy;
    own->count++;
    return true;
}

bool
import_rows_heading(struct import_rows *rows, const char *const *columns, size_t count, const char *label,
                    json_t *unused_out, struct client_fault *fault_out)
{
    for (size_t n = 0; n < rows->count; n++) {
        if (!has_columns(rows, &rows->shapes[n], columns, count, label, fault_out)) {
            return false;
        }
    }
    if (rows->mapping->repeat.parent != NULL && !is_in(columns, count, rows->mapping->repeat.index)) {
        return refuse_missing(rows, label, rows->repeat.record->line, rows->mapping->repeat.index, fault_out);
    }
    for (size_t n = 0; n < count; n++) {
        const char *nearest = NULL;

        if (is_mapped(rows, columns[n])) {
            continue;
        }
        if (!rows->mapping->names) {
            (void)json_array_append_new(unused_out, json_string(columns[n]));
        } else if (!bind_name(rows, columns[n], &nearest)) {
            return fault_set(fault_out, err_code(ERR_INVALID),
                             "vigil codebook show lists the fields; or name the column in a mapping",
                             "row 1 of %s, column %s: a %s has no field called so%s%s", label, columns[n],
                             rows->shapes[0].kind, nearest == NULL ? "" : ": did you mean ",
                             nearest == NULL ? "" : nearest);
        }
    }
    return true;
}

bool
import_rows_heading_repeat(const struct import_rows *rows, const char *const *columns, size_t count,
                           const char *label, struct client_fault *fault_out)
{
    if (!is_in(columns, count, rows->mapping->repeat.parent)) {
        return refuse_missing(rows, label, rows->repeat.record->line, rows->mapping->repeat.parent,
                              fault_out);
    }
    return has_columns(rows, &rows->repeat, columns, count, label, fault_out);
}

/* --- cells --- */

/* Something was put where it belongs, or was not. */
static void
keep(struct import_rows *rows, int rc)
{
    rows->lost = rows->lost || rc != 0;
}

/* A cell as text without the blanks around it, in `out`. NULL: it is empty. Lent by `out` or by the cell. */
struct cell_text {
    char number[64];
    char *own;
};

static const char *
text_of(const json_t *value, bool guarded, struct cell_text *out)
{
    const char *text = json_string_value(value);

    out->own = NULL;
    if (json_is_integer(value)) {
        (void)snprintf(out->number, sizeof out->number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return out->number;
    }
    if (json_is_real(value)) {
        (void)snprintf(out->number, sizeof out->number, "%.17g", json_real_value(value));
        return out->number;
    }
    if (json_is_boolean(value)) {
        return json_is_true(value) ? "yes" : "no";
    }
    if (text == NULL) {
        return NULL;
    }
    if (guarded && text[0] == '\'' && text[1] != '\0' && strchr("=+-@\t\r", text[1]) != NULL) {
        text++;
    }
    text += strspn(text, " \t\r\n");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) {
        size--;
    }
    if (size == 0) {
        return NULL;
    }
    if (text[size] == '\0') {
        return text;
    }
    out->own = strndup(text, size);
    return out->own;
}

static void
take_value(struct import_rows *rows, const struct bound *bound, const char *text, json_t *values,
           struct row *row)
{
    const struct mapping_column *column = bound->column == NULL ? &rows->plain : bound->column;
    char date[MAPPING_DATE_BYTES];

    if (column->when[0] != '\0' && strcmp(column->when, text) != 0) {
        return;
    }
    if (column->value[0] != '\0') {
        text = column->value;
    } else if (column->map != NULL) {
        text = mapping_translate(column->map, text);
        if (text == NULL) {
            blame(row, bound->name, "the map '%s' of %s has no such value", column->map->name,
                  rows->mapping->name);
            return;
        }
    }
    if (bound->place.date && column->date != MAPPING_DATE_EDTF) {
        if (!mapping_date_read(column->date, text, date)) {
            blame(row, bound->name, "the date is not written as %s", mapping_date_words(column->date));
            return;
        }
        text = date;
    }
    keep(rows, json_array_append_new(values, json_string(text)));
}

/* All values of a cell. */
static void
take_text(struct import_rows *rows, const struct bound *bound, const char *text, json_t *values,
          struct row *row)
{
    const char *separator =
        bound->place.many ? (bound->column == NULL ? &rows->plain : bound->column)->separator : "";

    while (text != NULL) {
        struct buf value = { 0 };
        struct cell_text cut;

        text = several_next(text, separator, rows->mapping->escaped, &value);
        json_t *part = value.size == 0 ? json_string("") : json_stringn((const char *)value.data, value.size);
        keep(rows, part == NULL || value.failed ? -1 : 0);
        const char *trimmed = text_of(part, false, &cut);
        if (trimmed != NULL) {
            take_value(rows, bound, trimmed, values, row);
        }
        free(cut.own);
        json_decref(part);
        buf_wipe(&value);
    }
}

static void
take_cell(struct import_rows *rows, const struct bound *bound, const json_t *cell, json_t *values,
          struct row *row)
{
    size_t count = json_is_array(cell) ? json_array_size(cell) : 1;

    for (size_t n = 0; n < count; n++) {
        struct cell_text cut;
        const char *text =
            text_of(json_is_array(cell) ? json_array_get(cell, n) : cell, rows->mapping->guarded, &cut);

        if (text != NULL && json_is_array(cell)) {
            take_value(rows, bound, text, values, row);
        } else if (text != NULL) {
            take_text(rows, bound, text, values, row);
        }
        free(cut.own);
    }
}

/* --- records --- */

/* The item of "add" for a slot, made if `make`. NULL: there is none, or no memory. */
static json_t *
slot_item(struct import_rows *rows, json_t *record, const struct place *place, const char *slot, bool make)
{
    json_t *adds = json_object_get(record, "add");
    size_t index;
    json_t *item;

    json_array_foreach(adds, index, item)
    {
        if (says(item, "slot", slot)) {
            return item;
        }
    }
    if (!make) {
        return NULL;
    }
    item = json_pack("{s:s,s:s,s:{}}", "to", place->collection, "slot", slot, "fields");
    int rc = json_array_append_new(adds, item);
    keep(rows, rc);
    return rc == 0 ? item : NULL;
}

/* Put values where they belong. Two columns of one field make several values, if it may hold them. */
static void
put_values(struct import_rows *rows, json_t *record, const struct bound *bound, const char *slot,
           json_t *values, struct row *row)
{
    bool own = bound->place.collection[0] == '\0';
    json_t *fields = own ? json_object_get(record, "set")
                         : json_object_get(slot_item(rows, record, &bound->place, slot, true), "fields");
    json_t *before = json_object_get(fields, bound->place.field);

    if (bound->place.many) {
        if (before != NULL) {
            keep(rows, json_array_extend(before, values));
        } else {
            keep(rows, json_object_set(fields, bound->place.field, values));
        }
    } else if (before != NULL) {
        blame(row, bound->name, "an earlier column of this row gave %s a value already", bound->place.field);
    } else if (json_array_size(values) > 1) {
        blame(row, bound->name, "%s holds one value, and not %zu", bound->place.field,
              json_array_size(values));
    } else {
        keep(rows, json_object_set(fields, bound->place.field, json_array_get(values, 0)));
    }
}

/* The element that values go to: of the row of a second file each has its own. */
struct slot {
    char text[2 * NAME_BYTES];
};

static struct slot
slot_of(const struct place *place, size_t ordinal)
{
    struct slot slot;

    if (ordinal == 0) {
        (void)snprintf(slot.text, sizeof slot.text, "%s", place->slot);
    } else {
        (void)snprintf(slot.text, sizeof slot.text, "%s" REPEAT_MARK "%zu]", place->collection, ordinal);
    }
    return slot;
}

/* Constants of what the row has: those of an element only where some column made it. */
static void
put_constants(struct import_rows *rows, json_t *record, const struct shape *shape, size_t ordinal)
{
    for (size_t n = 0; n < shape->record->constant_count; n++) {
        const struct fixed *fixed = &shape->fixed[n];
        struct slot slot = slot_of(&fixed->place, ordinal);
        json_t *fields =
            fixed->place.collection[0] == '\0'
                ? json_object_get(record, "set")
                : json_object_get(slot_item(rows, record, &fixed->place, slot.text, false), "fields");

        if (fields != NULL && json_object_get(fields, fixed->place.field) == NULL) {
            keep(rows, json_object_set_new(fields, fixed->place.field, json_string(fixed->constant->value)));
        }
    }
}

/* True if a cell of the record says something. */
static bool
fill_record(struct import_rows *rows, const struct shape *shape, size_t ordinal, json_t *record,
            struct row *row)
{
    bool some = false;

    for (size_t n = 0; n < shape->count; n++) {
        const struct bound *bound = &shape->bounds[n];
        const json_t *cell = json_object_get(row->cells, bound->name);

        if (cell == NULL) {
            continue;
        }
        json_t *values = json_array();
        take_cell(rows, bound, cell, values, row);
        if (json_array_size(values) > 0) {
            some = true;
            put_values(rows, record, bound, slot_of(&bound->place, ordinal).text, values, row);
        }
        json_decref(values);
    }
    return some;
}

/* The key of a record of the row, in `key`. False: a column of it is empty. */
static bool
make_key(const struct import_rows *rows, const struct mapping_record *record, struct row *row,
         char key[KEY_BYTES_MAX])
{
    size_t used = 0;

    key[0] = '\0';
    for (size_t n = 0; n < record->key_count; n++) {
        struct cell_text cut;
        const char *text =
            text_of(json_object_get(row->cells, record->keys[n]), rows->mapping->guarded, &cut);

        if (text == NULL) {
            blame(row, record->keys[n], "the key is empty");
        } else {
            /* A unit separator, so that "1","23" is not "12","3". */
            int size = snprintf(key + used, KEY_BYTES_MAX - used, "%s%s", n == 0 ? "" : "\x1f", text);

            if (size < 0 || used + (size_t)size >= KEY_BYTES_MAX) {
                blame(row, record->keys[n], "the key has more than %d bytes", KEY_BYTES_MAX - 1);
            } else {
                used += (size_t)size;
            }
        }
        free(cut.own);
    }
    return row->message[0] == '\0';
}

static json_t *
new_record(struct import_rows *rows, const struct shape *shape, const char *key)
{
    json_t *record = json_pack("{s:s,s:s,s:{},s:[]}", "key", key, "kind", shape->kind, "set", "add");

    if (rows->office[0] != '\0') {
        keep(rows, json_object_set_new(record, "office", json_string(rows->office)));
    }
    return record;
}

/* A person whom the row names, if it does. */
static void
add_person(struct import_rows *rows, const struct shape *shape, const char *row_key, json_t *records,
           json_t *links, struct row *row)
{
    char key[KEY_BYTES_MAX];
    json_t *person = new_record(rows, shape, "");

    if (!fill_record(rows, shape, 0, person, row)) {
        json_decref(person);
        return;
    }
    if (shape->record->key_count == 0) {
        if (snprintf(key, sizeof key, "%s\x1f%s", row_key, shape->record->title) >= (int)sizeof key) {
            blame(row, rows->shapes[0].record->keys[0], "the key has more than %d bytes", KEY_BYTES_MAX - 1);
        }
    } else {
        (void)make_key(rows, shape->record, row, key);
    }
    put_constants(rows, person, shape, 0);
    keep(rows, json_object_set_new(person, "key", json_string(key)));
    json_t *link = json_pack("{s:s,s:o,s:{s:{s:I}}}", "to", "victim", "slot",
                             json_sprintf("victim[%s]", shape->record->title), "fields", "person", "row",
                             (json_int_t)json_array_size(records));
    if (shape->record->part[0] != '\0') {
        keep(rows,
             json_object_set_new(json_object_get(link, "fields"), "part", json_string(shape->record->part)));
    }
    keep(rows, json_array_append_new(links, link));
    keep(rows, json_array_append_new(records, person));
}

/* In a file of JSON a column may come that no row before it had. */
static bool
bind_new_names(struct import_rows *rows, struct row *row)
{
    const char *column;
    json_t *value;

    json_object_foreach(row->cells, column, value)
    {
        const char *nearest = NULL;

        if (!is_mapped(rows, column) && !bind_name(rows, column, &nearest)) {
            blame(row, column, "a %s has no field called so%s%s", rows->shapes[0].kind,
                  nearest == NULL ? "" : ": did you mean ", nearest == NULL ? "" : nearest);
        }
    }
    return row->message[0] == '\0';
}

json_t *
import_rows_make(struct import_rows *rows, struct row *row)
{
    char key[KEY_BYTES_MAX];

    if (row->message[0] != '\0' || !make_key(rows, rows->shapes[0].record, row, key) ||
        (rows->mapping->names && !bind_new_names(rows, row))) {
        return NULL;
    }
    json_t *records = json_array();
    json_t *own = new_record(rows, &rows->shapes[0], key);
    json_t *links = json_array();
    rows->lost = own == NULL || links == NULL;
    (void)fill_record(rows, &rows->shapes[0], 0, own, row);
    put_constants(rows, own, &rows->shapes[0], 0);
    for (size_t n = 1; n < rows->count; n++) {
        add_person(rows, &rows->shapes[n], key, records, links, row);
    }
    keep(rows, json_array_extend(json_object_get(own, "add"), links));
    json_decref(links);
    keep(rows, json_array_append_new(records, own));
    json_t *item = json_pack("{s:I,s:o}", "row", (json_int_t)row->number, "records", records);
    if (row->message[0] != '\0' || rows->lost) {
        json_decref(item);
        return NULL;
    }
    return item;
}

bool
import_rows_repeat(struct import_rows *rows, json_t *item, size_t ordinal, struct row *repeat)
{
    json_t *records = json_object_get(item, "records");
    json_t *own = json_array_get(records, json_array_size(records) - 1);
    json_t *adds = json_object_get(own, "add");
    size_t before = json_array_size(adds);

    rows->lost = false;
    if (repeat->message[0] == '\0' && fill_record(rows, &rows->repeat, ordinal, own, repeat)) {
        put_constants(rows, own, &rows->repeat, ordinal);
    }
    for (size_t n = before; n < json_array_size(adds); n++) {
        /* So that a fault is said of it. */
        (void)json_object_set_new(json_array_get(adds, n), "row", json_integer((json_int_t)repeat->number));
    }
    return repeat->message[0] == '\0' && !rows->lost;
}

static bool
read_index(const struct row *row, const char *column, json_int_t *out)
{
    struct cell_text cut;
    const char *text = text_of(json_object_get(row->cells, column), false, &cut);
    char *end = NULL;

    bool good = text != NULL && strspn(text, "0123456789") == strlen(text) && strlen(text) < 16;
    *out = good ? (json_int_t)strtoll(text, &end, 10) : 0;
    free(cut.own);
    return good;
}

bool
import_rows_index(const struct import_rows *rows, const struct row *row, json_int_t *index_out)
{
    return read_index(row, rows->mapping->repeat.index, index_out);
}

bool
import_rows_parent(const struct import_rows *rows, const struct row *repeat, json_int_t *parent_out)
{
    return read_index(repeat, rows->mapping->repeat.parent, parent_out);
}

/* --- and back --- */

const char *
import_rows_column(const struct import_rows *rows, const json_t *item, const json_t *cells,
                   const json_t *fault)
{
    const json_t *records = json_object_get(item, "records");
    size_t at = (size_t)json_integer_value(json_object_get(fault, "record"));
    const json_t *record = json_array_get(records, at);
    const json_t *add = json_array_get(json_object_get(record, "add"),
                                       (size_t)json_integer_value(json_object_get(fault, "item")));
    const char *slot = json_is_integer(json_object_get(fault, "item"))
                           ? json_string_value(json_object_get(add, "slot"))
                           : "";
    const char *field = json_string_value(json_object_get(fault, "field"));
    const char *dot = field == NULL ? NULL : strchr(field, '.');

    if (field == NULL || slot == NULL) {
        return "";
    }
    field = dot == NULL ? field : dot + 1;
    for (size_t s = 0; s < rows->count; s++) {
        const struct shape *shape = &rows->shapes[s];
        bool own = at + 1 == json_array_size(records);

        for (size_t n = 0; own == (s == 0) && n < shape->count; n++) {
            const struct bound *bound = &shape->bounds[n];

            if (strcmp(bound->place.slot, slot) == 0 && strcmp(bound->place.field, field) == 0 &&
                json_object_get(cells, bound->name) != NULL) {
                return bound->name;
            }
        }
    }
    for (size_t n = 0; strstr(slot, REPEAT_MARK) != NULL && n < rows->repeat.count; n++) {
        if (strcmp(rows->repeat.bounds[n].place.field, field) == 0) {
            return rows->repeat.bounds[n].name;
        }
    }
    return "";
}
