#include "tools/export_table.h"

#include "store/base/bytes.h"
#include "tools/output.h"
#include "tools/several.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 256, TABLES_MAX = 200, NAME_BYTES = 128 };

struct column {
    char name[NAME_BYTES];
    const char *field; /* name of the codebook's; lent by it. NULL: one of ours */
    const char *label;
    const char *type;
    const char *vocabulary; /* "": none */
    bool many;              /* may hold several values, with bars between them */
    bool of_labels;         /* holds the labels of the codes in the column before it */
    struct buf cell;        /* of the row that is being made */
};

struct table {
    char name[NAME_BYTES];
    const char *kind;       /* lent by the codebook */
    const char *collection; /* ""; lent */
    struct column *columns;
    size_t count;
    size_t sheet;
};

struct tables {
    struct sheets *sheets;
    json_t *codebook;
    struct table tables[TABLES_MAX];
    size_t count;
};

static bool
no_memory(struct client_fault *fault)
{
    return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* --- which tables and columns there are --- */

static struct column *
add_column(struct table *table, const char *name, const char *field, const char *label, const char *type)
{
    if (table->count == COLUMNS_MAX) {
        return NULL;
    }
    struct column *column = &table->columns[table->count++];
    (void)snprintf(column->name, sizeof column->name, "%s", name);
    column->field = field;
    column->label = label;
    column->type = type;
    column->vocabulary = "";
    return column;
}

static bool
has_column(const struct table *table, const char *name)
{
    for (size_t n = 0; n < table->count; n++) {
        if (strcmp(table->columns[n].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A type whose values are codes, each with a label. */
static bool
is_coded(const char *type)
{
    return strcmp(type, "code") == 0 || strcmp(type, "country") == 0 || strcmp(type, "subdivision") == 0 ||
           strcmp(type, "language") == 0;
}

/* The column or two of a field. A name that one of our own columns has gets that of the kind before it. */
static bool
add_field(struct table *table, const json_t *field)
{
    const char *name = text_of(field, "name");
    const char *type = text_of(field, "type");
    char own[NAME_BYTES];
    /* In the table of records a field of a collection is that of a set. */
    bool many = strcmp(text_of(field, "policy"), "union") == 0 ||
                (table->collection[0] == '\0' && text_of(field, "collection")[0] != '\0');

    (void)snprintf(own, sizeof own, "%s%s%.60s", has_column(table, name) ? table->kind : "",
                   has_column(table, name) ? "_" : "", name);
    struct column *column = add_column(table, own, name, text_of(field, "label"), type);
    if (column == NULL) {
        return false;
    }
    column->vocabulary = text_of(field, "vocabulary");
    column->many = many;
    if (is_coded(type)) {
        (void)snprintf(own + strlen(own), sizeof own - strlen(own), "_label");
        column = add_column(table, own, name, text_of(field, "label"), "text");
        if (column == NULL) {
            return false;
        }
        column->many = many;
        column->of_labels = true;
    }
    return true;
}

static bool
is_of_kind(const json_t *entry, const char *kind)
{
    size_t index;
    json_t *name;

    json_array_foreach(json_object_get(entry, "kinds"), index, name)
    {
        if (strcmp(json_string_value(name) == NULL ? "" : json_string_value(name), kind) == 0) {
            return true;
        }
    }
    return false;
}

/* The collection of this name that records of the kind have. */
static const json_t *
find_collection(const json_t *codebook, const char *kind, const char *name)
{
    size_t index;
    json_t *collection;

    json_array_foreach(json_object_get(codebook, "collections"), index, collection)
    {
        if (strcmp(text_of(collection, "name"), name) == 0 && is_of_kind(collection, kind)) {
            return collection;
        }
    }
    return NULL;
}

/* Is the field one of this table: of its collection, or of the record itself or of a set of values? */
static bool
belongs(const json_t *codebook, const json_t *field, const struct table *table, const char *level)
{
    const char *collection = text_of(field, "collection");

    if (strcmp(text_of(field, "level"), level) > 0 || !is_of_kind(field, table->kind)) {
        return false;
    }
    if (table->collection[0] != '\0') {
        return strcmp(collection, table->collection) == 0;
    }
    /* Kind and number stand in every row anyway. */
    return collection[0] == '\0'
               ? strcmp(text_of(field, "name"), "record_kind") != 0 &&
                     strcmp(text_of(field, "name"), "number") != 0
               : json_is_true(json_object_get(find_collection(codebook, table->kind, collection), "set"));
}

static bool
begin_table(struct tables *tables, const char *kind, const char *collection, const char *level,
            struct client_fault *fault)
{
    static const char *const of_records[][3] = {
        { "id", "Id of the record", "record" },
        { "number", "Number", "text" },
        { "office", "Office whose record it is", "text" },
        { "created", "When it was made, as claimed", "time" },
        { "updated", "When it was changed last, as claimed", "time" },
        { "conflict", "A field holds values that stand against each other", "bool" },
        { "withheld", "It has, or may have, fields that are not here", "bool" },
    };
    static const char *const of_elements[][3] = {
        { "record", "Id of the record", "record" },
        { "number", "Number of the record", "text" },
        { "element", "Id of the element", "element" },
    };
    const char *headings[COLUMNS_MAX];
    size_t index;
    json_t *field;
    bool good = true;

    if (tables->count == TABLES_MAX) {
        return fault_set(fault, err_code(ERR_FULL), "export fewer kinds at once with --kind",
                         "at most %d tables are written", TABLES_MAX);
    }
    struct table *table = &tables->tables[tables->count];
    table->kind = kind;
    table->collection = collection;
    (void)snprintf(table->name, sizeof table->name, "%.60s%s%.60s", kind, collection[0] == '\0' ? "" : ".",
                   collection);
    table->columns = calloc(COLUMNS_MAX, sizeof *table->columns);
    if (table->columns == NULL) {
        return no_memory(fault);
    }
    tables->count++;
    bool own = collection[0] == '\0';
    size_t ours = own ? sizeof of_records / sizeof of_records[0] : sizeof of_elements / sizeof of_elements[0];
    for (size_t n = 0; n < ours; n++) {
        const char *const *column = own ? of_records[n] : of_elements[n];

        (void)add_column(table, column[0], NULL, column[1], column[2]);
    }
    json_array_foreach(json_object_get(tables->codebook, "fields"), index, field)
    {
        good = good && (!belongs(tables->codebook, field, table, level) || add_field(table, field));
    }
    if (strcmp(collection, "note") == 0) {
        good = good && add_column(table, "at", NULL, "When it was written, as claimed", "time") != NULL &&
               add_column(table, "office", NULL, "Office of who wrote it", "text") != NULL;
    }
    good = good &&
           add_column(table, "conflicts", NULL, "All values of each field that is in conflict", "text") !=
               NULL &&
           add_column(table, "newer", NULL, "What a newer version put into it, and has no column", "text") !=
               NULL;
    if (!good) {
        return fault_set(fault, err_code(ERR_FULL), "use vigil export jsonl",
                         "%s has more fields than a table takes", table->name);
    }
    for (size_t n = 0; n < table->count; n++) {
        headings[n] = table->columns[n].name;
    }
    return sheets_add(tables->sheets, table->name, headings, table->count, &table->sheet, fault);
}

/* The table of a kind, and those of its collections. What is restricted does not go out, so nobody says why. */
static bool
begin_kind(struct tables *tables, const char *kind, const char *level, struct client_fault *fault)
{
    size_t index;
    json_t *collection;

    if (!begin_table(tables, kind, "", level, fault)) {
        return false;
    }
    json_array_foreach(json_object_get(tables->codebook, "collections"), index, collection)
    {
        const char *name = text_of(collection, "name");

        if (is_of_kind(collection, kind) && !json_is_true(json_object_get(collection, "set")) &&
            strcmp(text_of(collection, "level"), level) <= 0 && strcmp(name, "restriction") != 0 &&
            !begin_table(tables, kind, name, level, fault)) {
            return false;
        }
    }
    return true;
}

bool
tables_begin(struct tables **tables_out, struct sheets *sheets, const json_t *codebook, const json_t *kinds,
             const char *level, struct client_fault *fault)
{
    struct tables *tables = calloc(1, sizeof *tables);
    size_t index;
    json_t *kind;

    *tables_out = tables;
    if (tables == NULL) {
        return no_memory(fault);
    }
    tables->sheets = sheets;
    tables->codebook = json_deep_copy(codebook);
    json_array_foreach(kinds, index, kind)
    {
        /* The codebook's own text, which lives as long as the tables. */
        const char *name = NULL;
        size_t at;
        json_t *known;

        json_array_foreach(json_object_get(tables->codebook, "kinds"), at, known)
        {
            if (strcmp(text_of(known, "name"), json_string_value(kind)) == 0) {
                name = text_of(known, "name");
            }
        }
        if (name == NULL) {
            (void)fault_set(fault, "usage", "vigil codebook show lists the kinds",
                            "there is no kind of record called %.60s", json_string_value(kind));
        }
        if (name == NULL || !begin_kind(tables, name, level, fault)) {
            tables_free(tables_out);
            return false;
        }
    }
    return true;
}

void
tables_free(struct tables **tables_in)
{
    struct tables *tables = *tables_in;

    if (tables == NULL) {
        return;
    }
    for (size_t n = 0; n < tables->count; n++) {
        for (size_t c = 0; c < tables->tables[n].count; c++) {
            buf_wipe(&tables->tables[n].columns[c].cell);
        }
        free(tables->tables[n].columns);
    }
    json_decref(tables->codebook);
    free(tables);
    *tables_in = NULL;
}

/* --- rows --- */

static struct table *
find_table(struct tables *tables, const char *kind, const char *collection)
{
    for (size_t n = 0; n < tables->count; n++) {
        if (strcmp(tables->tables[n].kind, kind) == 0 &&
            strcmp(tables->tables[n].collection, collection) == 0) {
            return &tables->tables[n];
        }
    }
    return NULL;
}

static void
clear_row(struct table *table)
{
    for (size_t n = 0; n < table->count; n++) {
        buf_clear(&table->columns[n].cell);
    }
}

static bool
write_row(struct tables *tables, struct table *table, struct client_fault *fault)
{
    const char *cells[COLUMNS_MAX];
    bool failed = false;

    for (size_t n = 0; n < table->count; n++) {
        struct buf *cell = &table->columns[n].cell;
        bool empty = cell->size == 0;

        if (!empty) {
            buf_put_u8(cell, '\0');
        }
        failed = failed || cell->failed;
        cells[n] = empty ? NULL : (const char *)cell->data;
    }
    return failed ? no_memory(fault) : sheets_row(tables->sheets, table->sheet, cells, table->count, fault);
}

static struct buf *
own_cell(struct table *table, const char *name)
{
    for (size_t n = 0; n < table->count; n++) {
        if (table->columns[n].field == NULL && strcmp(table->columns[n].name, name) == 0) {
            return &table->columns[n].cell;
        }
    }
    return NULL;
}

static void
set_own(struct table *table, const char *name, const json_t *value)
{
    struct buf *cell = own_cell(table, name);
    char *text = cell == NULL ? NULL : output_value(value);

    if (text != NULL) {
        buf_put_text(cell, text);
    }
    free(text);
}

/* Add one of those that stand against each other, for people: "old|new". */
static void
join(struct buf *cell, const char *text)
{
    if (cell->size > 0) {
        buf_put_u8(cell, '|');
    }
    buf_put_text(cell, text);
}

/* A value in words: of a code its name, or its label. */
static char *
value_text(const json_t *value, bool code)
{
    return output_value(json_object_get(value, code ? "value" : "label"));
}

/* Append a line to `conflicts`: "status: triage|assessment", or what is odd about an element. */
static void
put_conflict(struct table *table, const char *name, const char *what)
{
    struct buf *cell = own_cell(table, "conflicts");

    if (cell->size > 0) {
        buf_put_u8(cell, '\n');
    }
    buf_put_text(cell, name);
    buf_put_text(cell, ": ");
    buf_put_text(cell, what);
}

static void
put_siblings(struct table *table, const json_t *field, bool code)
{
    struct buf all = { 0 };
    size_t index;
    json_t *value;

    json_array_foreach(json_object_get(field, "values"), index, value)
    {
        char *text = value_text(value, code);

        join(&all, text == NULL ? "" : text);
        free(text);
    }
    if (json_is_true(json_object_get(field, "exposed"))) {
        buf_put_text(&all, " (exposed: it stands where more people may read than should)");
    }
    buf_put_u8(&all, '\0');
    if (!all.failed) {
        put_conflict(table, text_of(field, "name"), (const char *)all.data);
    }
    buf_wipe(&all);
}

/* Put what a field shows into its columns. */
static void
put_field(struct table *table, const json_t *field)
{
    const char *name = text_of(field, "name");
    bool known = false;
    bool code = is_coded(text_of(field, "type"));
    size_t index;
    json_t *value;

    if (json_is_true(json_object_get(field, "withheld"))) {
        return;
    }
    for (size_t n = 0; n < table->count; n++) {
        struct column *column = &table->columns[n];

        if (column->field == NULL || strcmp(column->field, name) != 0) {
            continue;
        }
        known = true;
        json_array_foreach(json_object_get(field, "values"), index, value)
        {
            if (json_is_true(json_object_get(value, "shown"))) {
                char *text = value_text(value, code && !column->of_labels);

                if (column->many) {
                    several_put(&column->cell, text == NULL ? "" : text);
                } else {
                    join(&column->cell, text == NULL ? "" : text);
                }
                free(text);
            }
        }
    }
    if (!known && strcmp(name, "record_kind") != 0 && strcmp(name, "number") != 0) {
        join(own_cell(table, "newer"), text_of(field, "target"));
    }
    if (json_is_true(json_object_get(field, "conflict"))) {
        put_siblings(table, field, code);
    }
}

static void
put_fields(struct table *table, const json_t *fields)
{
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        put_field(table, field);
    }
}

static bool
add_element(struct tables *tables, struct table *table, const json_t *record, const json_t *element,
            struct client_fault *fault)
{
    clear_row(table);
    set_own(table, "record", json_object_get(record, "id"));
    set_own(table, "number", json_object_get(record, "number"));
    set_own(table, "element", json_object_get(element, "element"));
    put_fields(table, json_object_get(element, "fields"));
    if (json_is_true(json_object_get(element, "conflict"))) {
        put_conflict(table, text_of(element, "collection"), text_of(element, "state"));
    }
    return write_row(tables, table, fault);
}

/* A note has its text and date, and when and where it was written. */
static bool
add_note(struct tables *tables, struct table *table, const json_t *record, const json_t *note,
         struct client_fault *fault)
{
    clear_row(table);
    set_own(table, "record", json_object_get(record, "id"));
    set_own(table, "number", json_object_get(record, "number"));
    set_own(table, "element", json_object_get(note, "element"));
    set_own(table, "at", json_object_get(note, "at"));
    set_own(table, "office", json_object_get(json_object_get(note, "device"), "office"));
    for (size_t n = 0; n < table->count; n++) {
        struct column *column = &table->columns[n];
        const char *dot = column->field == NULL ? NULL : strchr(column->field, '.');

        if (dot != NULL) {
            buf_put_text(&column->cell, text_of(note, dot + 1));
        }
    }
    return write_row(tables, table, fault);
}

bool
tables_add(struct tables *tables, const json_t *record, struct client_fault *fault)
{
    static const char *const own[] = {
        "id", "number", "office", "created", "updated", "conflict", "withheld"
    };
    const char *kind = text_of(record, "kind");
    struct table *table = find_table(tables, kind, "");
    size_t index;
    json_t *element;

    if (table == NULL) {
        return fault_set(fault, err_code(ERR_NEWER), "upgrade this program",
                         "the node gave a record of kind %.60s, which was not asked for", kind);
    }
    clear_row(table);
    for (size_t n = 0; n < sizeof own / sizeof own[0]; n++) {
        set_own(table, own[n], json_object_get(record, own[n]));
    }
    put_fields(table, json_object_get(record, "fields"));
    /* A set is a column: all of its values are in the row of the record. */
    json_array_foreach(json_object_get(record, "elements"), index, element)
    {
        const char *collection = text_of(element, "collection");

        if (json_is_true(json_object_get(find_collection(tables->codebook, kind, collection), "set"))) {
            put_fields(table, json_object_get(element, "fields"));
            if (json_is_true(json_object_get(element, "conflict"))) {
                put_conflict(table, text_of(element, "target"), text_of(element, "state"));
            }
        } else if (collection[0] == '\0' || find_table(tables, kind, collection) == NULL) {
            join(own_cell(table, "newer"), text_of(element, "target"));
        }
    }
    bool good = write_row(tables, table, fault);
    json_array_foreach(json_object_get(record, "elements"), index, element)
    {
        struct table *inside = find_table(tables, kind, text_of(element, "collection"));

        if (inside != NULL && inside->collection[0] != '\0') {
            good = good && add_element(tables, inside, record, element, fault);
        }
    }
    struct table *notes = find_table(tables, kind, "note");
    json_array_foreach(json_object_get(record, "notes"), index, element)
    {
        good = good && (notes == NULL || add_note(tables, notes, record, element, fault));
    }
    return good;
}

/* --- what the columns mean --- */

/* A row for each code that the column may hold. */
static bool
write_codes(struct tables *tables, size_t sheet, const struct table *table, const struct column *column,
            struct client_fault *fault)
{
    size_t index;
    size_t at;
    json_t *vocabulary;
    json_t *value;
    bool good = true;

    json_array_foreach(json_object_get(tables->codebook, "vocabularies"), index, vocabulary)
    {
        if (column->vocabulary[0] == '\0' || strcmp(text_of(vocabulary, "name"), column->vocabulary) != 0) {
            continue;
        }
        json_array_foreach(json_object_get(vocabulary, "values"), at, value)
        {
            const char *cells[] = {
                table->name,        column->name,           column->label,          column->type,
                column->vocabulary, text_of(value, "name"), text_of(value, "label")
            };

            good = good && sheets_row(tables->sheets, sheet, cells, 7, fault);
        }
    }
    return good;
}

bool
tables_end(struct tables *tables, const json_t *about, struct client_fault *fault)
{
    static const char *const headings[] = { "table",      "column", "label",     "type",
                                            "vocabulary", "code",   "code_label" };
    static const char *const pair[] = { "key", "value" };
    size_t sheet = 0;
    size_t index;
    json_t *row;

    bool good = sheets_add(tables->sheets, "dictionary", headings, 7, &sheet, fault);
    for (size_t n = 0; good && n < tables->count; n++) {
        const struct table *table = &tables->tables[n];

        for (size_t c = 0; good && c < table->count; c++) {
            const struct column *column = &table->columns[c];
            const char *cells[] = {
                table->name, column->name, column->label, column->type, column->vocabulary, "", ""
            };

            good = sheets_row(tables->sheets, sheet, cells, 7, fault) &&
                   write_codes(tables, sheet, table, column, fault);
        }
    }
    good = good && sheets_add(tables->sheets, "about", pair, 2, &sheet, fault);
    json_array_foreach(about, index, row)
    {
        const char *cells[] = { json_string_value(json_array_get(row, 0)),
                                json_string_value(json_array_get(row, 1)) };

        good = good && sheets_row(tables->sheets, sheet, cells, 2, fault);
    }
    return good;
}
