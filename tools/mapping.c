#include "tools/mapping.h"

#include "node/value.h"
#include "store/base/cbor.h"

#include <confuse.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The files of tools/mappings/ are taken in as they are. */
#define READY(name)                                                                                          \
    __asm__(".pushsection .rodata\n"                                                                         \
            "vigil_mapping_" #name ":\n"                                                                     \
            ".incbin \"tools/mappings/" #name ".conf\"\n"                                                    \
            "vigil_mapping_" #name "_end:\n"                                                                 \
            ".popsection\n");                                                                                \
    extern const uint8_t name##_begin[] __asm__("vigil_mapping_" #name)                                      \
        __attribute__((visibility("hidden")));                                                               \
    extern const uint8_t name##_end[] __asm__("vigil_mapping_" #name "_end")                                 \
        __attribute__((visibility("hidden")))

READY(plain);
READY(uwazi);
READY(kobo);

static const struct ready {
    const char *name;
    const uint8_t *text;
    const uint8_t *end;
} ready[] = {
    { "plain", plain_begin, plain_end },
    { "uwazi", uwazi_begin, uwazi_end },
    { "kobo", kobo_begin, kobo_end },
};

static const struct {
    const char *name;
    const char *words;
} dates[] = {
    [MAPPING_DATE_EDTF] = { "edtf", "2019-03-14, 2019-03, 2019-03~ or 2019-03/2019-05" },
    [MAPPING_DATE_DMY] = { "dd/mm/yyyy", "14/03/2019" },
    [MAPPING_DATE_MDY] = { "mm/dd/yyyy", "03/14/2019" },
    [MAPPING_DATE_YMD] = { "yyyy/mm/dd", "2019/03/14" },
    [MAPPING_DATE_UNIX] = { "unix", "seconds since 1970" },
    [MAPPING_DATE_DATETIME] = { "datetime", "2019-03-14T10:00:00" },
};

enum { DATE_COUNT = sizeof dates / sizeof dates[0], READY_COUNT = sizeof ready / sizeof ready[0] };

struct span
mapping_ready(const char *name)
{
    for (size_t n = 0; n < READY_COUNT; n++) {
        if (strcmp(ready[n].name, name) == 0) {
            return span_of(ready[n].text, (size_t)(ready[n].end - ready[n].text));
        }
    }
    return span_of(NULL, 0);
}

const char *
mapping_ready_name(size_t at)
{
    return at < READY_COUNT ? ready[at].name : NULL;
}

/* --- reading --- */

/* Where options of the file itself stand: libconfuse keeps no line of an option, and tells it in a callback without an argument;
 * one file is read at a time. What the file lacks altogether is said of its first line. */
static struct {
    int key;
    int delimiter;
    int date;
} lines;

static int
note_line(cfg_t *cfg, cfg_opt_t *opt)
{
    int *line = strcmp(opt->name, "key") == 0    ? &lines.key
                : strcmp(opt->name, "date") == 0 ? &lines.date
                                                 : &lines.delimiter;

    *line = cfg->line;
    return 0;
}

struct reading {
    struct mapping *mapping;
    const char *name;
    struct config_fault *fault;
    size_t columns;
    enum err err;
};

/* The first fault is the one to mend. */
__attribute__((format(printf, 3, 4))) static void
refuse(struct reading *reading, int line, const char *format, ...)
{
    va_list args;

    if (reading->err != ERR_OK) {
        return;
    }
    reading->err = ERR_INVALID;
    int used = snprintf(reading->fault->text, sizeof reading->fault->text, "%s:%d: ", reading->name, line);
    if (used > 0 && (size_t)used < sizeof reading->fault->text) {
        va_start(args, format);
        (void)vsnprintf(reading->fault->text + used, sizeof reading->fault->text - (size_t)used, format,
                        args);
        va_end(args);
    }
}

static char *
copy_text(struct reading *reading, const char *text)
{
    char *copy = strdup(text == NULL ? "" : text);

    if (copy == NULL) {
        reading->err = ERR_MEMORY;
    }
    return copy;
}

static void *
take_array(struct reading *reading, size_t count, size_t size)
{
    void *array = calloc(count + 1, size);

    if (array == NULL) {
        reading->err = ERR_MEMORY;
    }
    return array;
}

static enum mapping_date
read_date(struct reading *reading, int line, const char *text, enum mapping_date missing)
{
    if (text == NULL || text[0] == '\0') {
        return missing;
    }
    for (size_t n = 0; n < DATE_COUNT; n++) {
        if (strcmp(dates[n].name, text) == 0) {
            return (enum mapping_date)n;
        }
    }
    refuse(reading, line, "date '%s' is none of edtf, dd/mm/yyyy, mm/dd/yyyy, yyyy/mm/dd, unix, datetime",
           text);
    return missing;
}

static int
pair_order(const void *a, const void *b)
{
    return strcmp(((const struct mapping_pair *)a)->theirs, ((const struct mapping_pair *)b)->theirs);
}

static void
read_map(struct reading *reading, cfg_t *section, struct mapping_map *map)
{
    unsigned count = cfg_size(section, "values");

    map->name = copy_text(reading, cfg_title(section));
    map->other = copy_text(reading, cfg_getstr(section, "other"));
    map->pairs = take_array(reading, count, sizeof *map->pairs);
    for (unsigned n = 0; n < count && reading->err == ERR_OK; n++) {
        struct mapping_pair *pair = &map->pairs[n];
        const char *text = cfg_getnstr(section, "values", n);
        const char *equals = strrchr(text, '=');

        if (equals == NULL || equals == text) {
            refuse(reading, section->line, "map '%s': a value is written \"theirs=ours\"", map->name);
            return;
        }
        pair->theirs = strndup(text, (size_t)(equals - text));
        pair->ours = copy_text(reading, equals + 1);
        map->count++;
        if (pair->theirs == NULL) {
            reading->err = ERR_MEMORY;
        }
    }
    if (reading->err != ERR_OK) {
        return;
    }
    if (count == 0) {
        refuse(reading, section->line, "map '%s' has no values", map->name);
        return;
    }
    qsort(map->pairs, map->count, sizeof *map->pairs, pair_order);
    for (size_t n = 1; n < map->count; n++) {
        if (pair_order(&map->pairs[n - 1], &map->pairs[n]) == 0) {
            refuse(reading, section->line, "map '%s' has a value twice: %.60s", map->name,
                   map->pairs[n].theirs);
        }
    }
}

/* "title", "act.type_of_act", "act[1].type_of_act". */
static bool
is_field(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t size = strspn(text, letters);
    const char *at = text + size;

    if (size == 0 || strlen(text) >= VALUE_TEXT_BYTES - 32) {
        return false;
    }
    if (*at == '\0') {
        return true;
    }
    if (*at == '[') {
        size_t inner = strspn(at + 1, letters);

        if (inner == 0 || at[1 + inner] != ']') {
            return false;
        }
        at += inner + 2;
    }
    if (*at != '.') {
        return false;
    }
    size = strspn(at + 1, letters);
    return size > 0 && at[1 + size] == '\0';
}

static void
read_column(struct reading *reading, cfg_t *section, struct mapping_column *column)
{
    const char *map = cfg_getstr(section, "map");
    const char *separator = cfg_getstr(section, "separator");

    column->line = section->line;
    column->name = copy_text(reading, cfg_title(section));
    column->field = copy_text(reading, cfg_getstr(section, "field"));
    column->separator = copy_text(reading, separator == NULL ? reading->mapping->separator : separator);
    column->when = copy_text(reading, cfg_getstr(section, "if"));
    column->value = copy_text(reading, cfg_getstr(section, "value"));
    column->optional = cfg_getbool(section, "optional") == cfg_true;
    column->date = read_date(reading, column->line, cfg_getstr(section, "date"), reading->mapping->date);
    if (reading->err != ERR_OK) {
        return;
    }
    if (column->name[0] == '\0') {
        refuse(reading, column->line, "a column has no name");
    } else if (column->field[0] == '\0') {
        refuse(reading, column->line, "column '%s' goes to no field", column->name);
    } else if (!is_field(column->field)) {
        refuse(reading, column->line, "column '%s': '%.60s' is not the name of a field", column->name,
               column->field);
    } else if (strlen(column->separator) > 8) {
        refuse(reading, column->line, "column '%s': a separator has at most 8 bytes", column->name);
    }
    for (size_t n = 0; map != NULL && map[0] != '\0' && n < reading->mapping->map_count; n++) {
        if (strcmp(reading->mapping->maps[n].name, map) == 0) {
            column->map = &reading->mapping->maps[n];
        }
    }
    if (map != NULL && map[0] != '\0' && column->map == NULL) {
        refuse(reading, column->line, "column '%s': there is no map '%s'", column->name, map);
    }
    reading->columns++;
    if (reading->columns > MAPPING_COLUMNS_MAX) {
        refuse(reading, column->line, "it names more than %d columns", MAPPING_COLUMNS_MAX);
    }
}

static void
read_keys(struct reading *reading, cfg_t *section, struct mapping_record *record)
{
    unsigned count = cfg_size(section, "key");

    if (count > MAPPING_KEYS_MAX) {
        refuse(reading, section->line, "a key is made of at most %d columns", MAPPING_KEYS_MAX);
        return;
    }
    for (unsigned n = 0; n < count && reading->err == ERR_OK; n++) {
        record->keys[n] = copy_text(reading, cfg_getnstr(section, "key", n));
        record->key_count++;
    }
}

/* The columns and constants of a section, or of the file itself. */
static void
read_record(struct reading *reading, cfg_t *section, struct mapping_record *record)
{
    unsigned columns = cfg_size(section, "column");
    unsigned constants = cfg_size(section, "constant");

    record->line = section->line;
    record->columns = take_array(reading, columns, sizeof *record->columns);
    record->constants = take_array(reading, constants, sizeof *record->constants);
    for (unsigned n = 0; n < columns && reading->err == ERR_OK; n++) {
        record->column_count++;
        read_column(reading, cfg_getnsec(section, "column", n), &record->columns[n]);
    }
    for (unsigned n = 0; n < constants && reading->err == ERR_OK; n++) {
        struct mapping_constant *constant = &record->constants[n];
        cfg_t *from = cfg_getnsec(section, "constant", n);

        record->constant_count++;
        constant->line = from->line;
        constant->field = copy_text(reading, cfg_title(from));
        constant->value = copy_text(reading, cfg_getstr(from, "value"));
        if (reading->err == ERR_OK && !is_field(constant->field)) {
            refuse(reading, constant->line, "'%.60s' is not the name of a field", constant->field);
        } else if (reading->err == ERR_OK && constant->value[0] == '\0') {
            refuse(reading, constant->line, "constant '%s' has no value", constant->field);
        }
    }
}

static void
read_persons(struct reading *reading, cfg_t *cfg)
{
    unsigned count = cfg_size(cfg, "person");

    for (unsigned n = 0; n < count && reading->err == ERR_OK; n++) {
        cfg_t *section = cfg_getnsec(cfg, "person", n);

        if (n == MAPPING_PERSONS_MAX) {
            refuse(reading, section->line, "a row names at most %d persons", MAPPING_PERSONS_MAX);
            return;
        }
        struct mapping_record *record = &reading->mapping->records[reading->mapping->record_count];
        reading->mapping->record_count++;
        record->title = copy_text(reading, cfg_title(section));
        record->part = copy_text(reading, cfg_getstr(section, "part"));
        read_record(reading, section, record);
        read_keys(reading, section, record);
        if (reading->err == ERR_OK && record->column_count == 0) {
            refuse(reading, section->line, "person '%s' names no column", record->title);
        }
    }
}

static void
read_repeat(struct reading *reading, cfg_t *cfg)
{
    struct mapping_repeat *repeat = &reading->mapping->repeat;

    if (cfg_size(cfg, "repeat") == 0) {
        return;
    }
    cfg_t *section = cfg_getnsec(cfg, "repeat", 0);
    repeat->parent = copy_text(reading, cfg_getstr(section, "parent"));
    repeat->index = copy_text(reading, cfg_getstr(section, "index"));
    read_record(reading, section, &repeat->elements);
    if (reading->err == ERR_OK && (repeat->parent[0] == '\0' || repeat->index[0] == '\0')) {
        refuse(reading, section->line, "a repeat names the columns \"parent\" and \"index\"");
    } else if (reading->err == ERR_OK && repeat->elements.column_count == 0) {
        refuse(reading, section->line, "the repeat names no column");
    }
    for (size_t n = 0; reading->err == ERR_OK && n < repeat->elements.column_count; n++) {
        const struct mapping_column *column = &repeat->elements.columns[n];

        if (strchr(column->field, '.') == NULL || strchr(column->field, '[') != NULL) {
            refuse(reading, column->line,
                   "column '%s' of a repeat goes to a field of an element, as in act.type_of_act",
                   column->name);
        }
    }
}

static void
read_head(struct reading *reading, cfg_t *cfg)
{
    struct mapping *mapping = reading->mapping;
    const char *delimiter = cfg_getstr(cfg, "delimiter");
    unsigned ignored = cfg_size(cfg, "ignore");
    unsigned maps = cfg_size(cfg, "map");

    mapping->name = copy_text(reading, reading->name);
    mapping->source = copy_text(reading, cfg_getstr(cfg, "source"));
    mapping->kind = copy_text(reading, cfg_getstr(cfg, "kind"));
    mapping->office = copy_text(reading, cfg_getstr(cfg, "office"));
    mapping->separator = copy_text(reading, cfg_getstr(cfg, "separator"));
    mapping->names = cfg_getbool(cfg, "names") == cfg_true;
    mapping->guarded = cfg_getbool(cfg, "guarded") == cfg_true;
    mapping->escaped = cfg_getbool(cfg, "escaped") == cfg_true;
    mapping->labels = cfg_getbool(cfg, "labels") == cfg_true;
    mapping->date = read_date(reading, lines.date, cfg_getstr(cfg, "date"), MAPPING_DATE_EDTF);
    mapping->ignored = take_array(reading, ignored, sizeof *mapping->ignored);
    mapping->maps = take_array(reading, maps, sizeof *mapping->maps);
    if (reading->err == ERR_OK && (strlen(delimiter) != 1 || strchr("\"\r\n", delimiter[0]) != NULL)) {
        refuse(reading, lines.delimiter, "a delimiter is one character, such as \",\" or \";\"");
    }
    mapping->delimiter = delimiter[0];
    for (unsigned n = 0; n < ignored && reading->err == ERR_OK; n++) {
        mapping->ignored[n] = copy_text(reading, cfg_getnstr(cfg, "ignore", n));
        mapping->ignored_count++;
    }
    for (unsigned n = 0; n < maps && reading->err == ERR_OK; n++) {
        mapping->map_count++;
        read_map(reading, cfg_getnsec(cfg, "map", n), &mapping->maps[n]);
    }
    if (reading->err == ERR_OK && mapping->source[0] == '\0') {
        refuse(reading, 1, "it does not name its source: source = \"...\"");
    }
}

static void
read_all(struct reading *reading, cfg_t *cfg)
{
    struct mapping *mapping = reading->mapping;
    struct mapping_record *own = &mapping->records[0];

    mapping->record_count = 1;
    read_head(reading, cfg);
    if (reading->err == ERR_OK) {
        own->title = copy_text(reading, "");
        own->part = copy_text(reading, "");
        read_record(reading, cfg, own);
        read_keys(reading, cfg, own);
        own->line = lines.key;
    }
    if (reading->err == ERR_OK && own->column_count == 0 && !mapping->names) {
        refuse(reading, 1, "it names no column");
    } else if (reading->err == ERR_OK && own->key_count == 0) {
        refuse(reading, 1, "it does not say which column is the key of a row: key = { \"id\" }");
    }
    if (reading->err == ERR_OK) {
        read_persons(reading, cfg);
        read_repeat(reading, cfg);
    }
}

enum err
mapping_parse(struct mapping *mapping_out, const char *name, struct span text, struct config_fault *fault_out)
{
    cfg_opt_t column_options[] = {
        CFG_STR("field", "", CFGF_NONE),
        CFG_STR("map", "", CFGF_NONE),
        CFG_STR("separator", NULL, CFGF_NONE),
        CFG_STR("date", "", CFGF_NONE),
        CFG_STR("if", "", CFGF_NONE),
        CFG_STR("value", "", CFGF_NONE),
        CFG_BOOL("optional", cfg_false, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t constant_options[] = { CFG_STR("value", "", CFGF_NONE), CFG_END() };
    cfg_opt_t map_options[] = {
        CFG_STR_LIST("values", "{}", CFGF_NONE),
        CFG_STR("other", "", CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t person_options[] = {
        CFG_STR_LIST("key", "{}", CFGF_NONE),
        CFG_STR("part", "alleged_victim", CFGF_NONE),
        CFG_SEC("column", column_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("constant", constant_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    cfg_opt_t repeat_options[] = {
        CFG_STR("parent", "_parent_index", CFGF_NONE),
        CFG_STR("index", "_index", CFGF_NONE),
        CFG_SEC("column", column_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("constant", constant_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_STR("source", "", CFGF_NONE),
        CFG_STR("kind", "case", CFGF_NONE),
        CFG_STR("office", "", CFGF_NONE),
        CFG_STR_LIST("key", "{}", CFGF_NONE),
        CFG_STR("separator", "|", CFGF_NONE),
        CFG_STR("delimiter", ",", CFGF_NONE),
        CFG_STR("date", "", CFGF_NONE),
        CFG_BOOL("names", cfg_false, CFGF_NONE),
        CFG_BOOL("guarded", cfg_false, CFGF_NONE),
        CFG_BOOL("escaped", cfg_false, CFGF_NONE),
        CFG_BOOL("labels", cfg_false, CFGF_NONE),
        CFG_STR_LIST("ignore", "{}", CFGF_NONE),
        CFG_SEC("column", column_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("constant", constant_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("map", map_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("person", person_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_SEC("repeat", repeat_options, CFGF_MULTI),
        CFG_END(),
    };
    struct reading reading = { .mapping = mapping_out, .name = name, .fault = fault_out };

    memset(mapping_out, 0, sizeof *mapping_out);
    memset(fault_out, 0, sizeof *fault_out);
    if (!utf8_valid(text) || (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)) {
        refuse(&reading, 1, "it is no text in UTF-8");
        return ERR_INVALID;
    }
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (cfg == NULL) {
        return ERR_MEMORY;
    }
    lines.key = lines.delimiter = lines.date = 1;
    cfg_set_validate_func(cfg, "key", note_line);
    cfg_set_validate_func(cfg, "delimiter", note_line);
    cfg_set_validate_func(cfg, "date", note_line);
    reading.err = config_parse(cfg, name, text, fault_out);
    if (reading.err == ERR_OK) {
        read_all(&reading, cfg);
    }
    cfg_free(cfg);
    return reading.err;
}

static void
free_record(struct mapping_record *record)
{
    for (size_t n = 0; n < record->column_count; n++) {
        struct mapping_column *column = &record->columns[n];

        free(column->name);
        free(column->field);
        free(column->separator);
        free(column->when);
        free(column->value);
    }
    for (size_t n = 0; n < record->constant_count; n++) {
        free(record->constants[n].field);
        free(record->constants[n].value);
    }
    for (size_t n = 0; n < record->key_count; n++) {
        free(record->keys[n]);
    }
    free(record->columns);
    free(record->constants);
    free(record->title);
    free(record->part);
}

void
mapping_free(struct mapping *mapping)
{
    for (size_t n = 0; n < mapping->record_count; n++) {
        free_record(&mapping->records[n]);
    }
    free_record(&mapping->repeat.elements);
    for (size_t n = 0; n < mapping->map_count; n++) {
        for (size_t pair = 0; pair < mapping->maps[n].count; pair++) {
            free(mapping->maps[n].pairs[pair].theirs);
            free(mapping->maps[n].pairs[pair].ours);
        }
        free(mapping->maps[n].pairs);
        free(mapping->maps[n].name);
        free(mapping->maps[n].other);
    }
    for (size_t n = 0; n < mapping->ignored_count; n++) {
        free(mapping->ignored[n]);
    }
    free(mapping->ignored);
    free(mapping->maps);
    free(mapping->repeat.parent);
    free(mapping->repeat.index);
    free(mapping->name);
    free(mapping->source);
    free(mapping->kind);
    free(mapping->office);
    free(mapping->separator);
    memset(mapping, 0, sizeof *mapping);
}

/* --- values --- */

const char *
mapping_translate(const struct mapping_map *map, const char *theirs)
{
    const struct mapping_pair wanted = { .theirs = (char *)theirs };
    const struct mapping_pair *found =
        bsearch(&wanted, map->pairs, map->count, sizeof *map->pairs, pair_order);

    if (found != NULL) {
        return found->ours;
    }
    return map->other[0] == '\0' ? NULL : map->other;
}

const char *
mapping_date_words(enum mapping_date form)
{
    return dates[form].words;
}

/* Three numbers with one kind of mark between them: "14/03/2019", "14.3.2019". */
static bool
read_numbers(const char *text, unsigned numbers[3], size_t digits[3])
{
    char mark = '\0';

    for (int n = 0; n < 3; n++) {
        size_t size = strspn(text, "0123456789");

        if (size == 0 || size > 4) {
            return false;
        }
        numbers[n] = (unsigned)strtoul(text, NULL, 10);
        digits[n] = size;
        text += size;
        if (n == 2) {
            break;
        }
        if (*text == '\0' || strchr("/.-", *text) == NULL || (n == 1 && *text != mark)) {
            return false;
        }
        mark = *text;
        text++;
    }
    return *text == '\0';
}

static bool
read_unix(const char *text, char out[MAPPING_DATE_BYTES])
{
    char *end = NULL;
    struct tm parts;
    size_t size = strspn(text, "-0123456789");

    if (size == 0 || size > 12 || text[size] != '\0') {
        return false;
    }
    time_t at = (time_t)strtoll(text, &end, 10);
    return *end == '\0' && gmtime_r(&at, &parts) != NULL && parts.tm_year >= -1900 && parts.tm_year < 8100 &&
           strftime(out, MAPPING_DATE_BYTES, "%Y-%m-%d", &parts) == 10;
}

bool
mapping_date_read(enum mapping_date form, const char *text, char out[MAPPING_DATE_BYTES])
{
    static const struct {
        int year;
        int month;
        int day;
    } places[] = {
        [MAPPING_DATE_DMY] = { 2, 1, 0 },
        [MAPPING_DATE_MDY] = { 2, 0, 1 },
        [MAPPING_DATE_YMD] = { 0, 1, 2 },
    };
    unsigned numbers[3];
    size_t digits[3];

    switch (form) {
    case MAPPING_DATE_EDTF:
        return (size_t)snprintf(out, MAPPING_DATE_BYTES, "%s", text) < MAPPING_DATE_BYTES;
    case MAPPING_DATE_UNIX:
        return read_unix(text, out);
    case MAPPING_DATE_DATETIME:
        if (strlen(text) > 10 && strchr("T ", text[10]) == NULL) {
            return false;
        }
        return strlen(text) >= 10 && snprintf(out, MAPPING_DATE_BYTES, "%.10s", text) == 10;
    case MAPPING_DATE_DMY:
    case MAPPING_DATE_MDY:
    case MAPPING_DATE_YMD:
        break;
    }
    return read_numbers(text, numbers, digits) && digits[places[form].year] == 4 &&
           digits[places[form].month] <= 2 && digits[places[form].day] <= 2 &&
           snprintf(out, MAPPING_DATE_BYTES, "%04u-%02u-%02u", numbers[places[form].year],
                    numbers[places[form].month], numbers[places[form].day]) == 10;
}
