/* generate.c - synthetic cases that look like the real thing, the same for the same seed.
 *
 *     generate --office KEN --count 500 --seed 7 > records.ndjson
 *
 * One JSON object a line, in the shape that `vigil case new --file -` takes; what a record refers to
 * stands before it:
 *
 *     {"kind":"person","ref":"KEN-person-1","fields":{"pseudonym":"P-KEN-0001", ...}, ...}
 *     {"kind":"case","ref":"KEN-case-1","imported":true,
 *      "fields":{"title":"...","status":"triage"},          one value each, as a person types it
 *      "sets":{"country_of_act":["KEN"]},
 *      "elements":{"act":[{"type_of_act":"death_threat",      field names without "act."
 *                          "victim":["ref:KEN-person-1"],       several members of a union: an array
 *                          "perpetrator":["element:perpetrator:1"]}]},   the first of this record
 *      "notes":["..."]}
 *
 * Every value is judged by the codebook before it is printed; one that it refuses, or a required
 * field that is missing, ends the program. Nothing here is about anybody: names are invented
 * syllables, numbers and addresses are of ranges that are reserved for examples.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "store/codebook.h"
#include "tests/data/fragments.h"
#include "tests/support/chance.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Kinds of the reprisals codebook that are made here. */
enum { CASE = 1, PERSON = 2, SOURCE = 3, FOCAL = 4, PRACTICE = 5, POLICY = 6, WINDOW = 7, KINDS = 9 };

/* Persons met again in a later case, in percent. */
enum { MET_AGAIN_PERCENT = 5 };

/* Not every field may change later (references, sets, consents); of those that may, so many are
 * edited that it makes 2 % of all. */
enum { EDITED_PER_MILLE = 45 };

/* A text that is shorter is a name of something. */
enum { EDITED_TEXT_BYTES_MIN = 8 };

/* A subdivision: code of ISO 3166-2, and name. */
struct area {
    const char *code;
    const char *name;
};

struct country {
    const char *alpha_2;
    const char *alpha_3;
    struct area *areas;
    size_t area_count;
};

struct generator {
    struct chance chance;
    struct chance edit_chance; /* of chance for edits, so that they change no record */
    json_t *lists[2];          /* of iso-codes: codes and names are lent from them */
    const char *office;
    const char *marker; /* prefix of every strict text; NULL: none */
    const char *window; /* record id of the reporting window; NULL: none is known */
    FILE *edits;
    const char *iso_codes;
    struct country *countries;
    size_t country_count;
    size_t home; /* the office's country; country_count: it has none */
    size_t language;
    size_t made[KINDS];
    size_t markers;
};

/* A record as it grows. */
struct draft {
    struct generator *generator;
    uint32_t kind;
    char ref[48];
    json_t *fields;
    json_t *sets;
    json_t *elements;
    json_t *notes;
};

/* What a case is about, so that its parts fit together. */
struct plot {
    const struct country *country;
    const struct area *area;
    size_t language;
    int month; /* months since January of year 0 */
    char person[64];
};

static const struct codebook *book;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("generate: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* --- Chance ----------------------------------------------------------------- */

/* C leaves the order of arguments open, so no call draws in more than one of its own. */
static uint64_t
next_random(struct generator *generator)
{
    return chance_next(&generator->chance);
}

/* 0 to count - 1. */
static size_t
below(struct generator *generator, size_t count)
{
    return (size_t)(next_random(generator) % count);
}

static int
between(struct generator *generator, int least, int most)
{
    return least + (int)below(generator, (size_t)(most - least + 1));
}

static bool
chance(struct generator *generator, unsigned percent)
{
    return below(generator, 100) < percent;
}

static const char *
one_of(struct generator *generator, const char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL) {
        count++;
    }
    return list[below(generator, count)];
}

#define ONE_OF(generator, ...) one_of((generator), (const char *const[]){ __VA_ARGS__, NULL })

/* --- Countries and areas ------------------------------------------------------ */

static json_t *
iso_list(const struct generator *generator, const char *standard)
{
    char path[512];
    json_error_t error;

    snprintf(path, sizeof path, "%s/iso_%s.json", generator->iso_codes, standard);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL) {
        die("%s: %s (it is in the package iso-codes)", path, error.text);
    }
    json_t *list = json_incref(json_object_get(root, standard));
    if (!json_is_array(list)) {
        die("%s: holds no list", path);
    }
    json_decref(root);
    return list;
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL) {
        die("iso-codes: an entry without %s", key);
    }
    return text;
}

static void
add_areas(struct country *country, const json_t *areas)
{
    size_t i;
    json_t *area;

    json_array_foreach(areas, i, area)
    {
        const char *code = text_of(area, "code");
        if (strncmp(code, country->alpha_2, 2) == 0 && code[2] == '-') {
            country->areas = reallocarray(country->areas, country->area_count + 1, sizeof *country->areas);
            if (country->areas == NULL) {
                die("no memory");
            }
            country->areas[country->area_count++] = (struct area){ code, text_of(area, "name") };
        }
    }
}

/* The countries that have subdivisions. */
static void
load_countries(struct generator *generator)
{
    json_t *countries = iso_list(generator, "3166-1");
    json_t *areas = iso_list(generator, "3166-2");
    size_t i;
    json_t *entry;

    generator->lists[0] = countries;
    generator->lists[1] = areas;
    generator->countries = calloc(json_array_size(countries), sizeof *generator->countries);
    if (generator->countries == NULL) {
        die("no memory");
    }
    json_array_foreach(countries, i, entry)
    {
        struct country *country = &generator->countries[generator->country_count];
        country->alpha_2 = text_of(entry, "alpha_2");
        country->alpha_3 = text_of(entry, "alpha_3");
        add_areas(country, areas);
        generator->country_count += country->area_count > 0;
    }
    generator->home = generator->country_count;
    for (size_t n = 0; n < generator->country_count; n++) {
        if (strcmp(generator->countries[n].alpha_3, generator->office) == 0) {
            generator->home = n;
        }
    }
}

static void
free_countries(struct generator *generator)
{
    for (size_t i = 0; i < generator->country_count; i++) {
        free(generator->countries[i].areas);
    }
    free(generator->countries);
    json_decref(generator->lists[0]);
    json_decref(generator->lists[1]);
}

static const struct country *
any_country(struct generator *generator)
{
    return &generator->countries[below(generator, generator->country_count)];
}

static size_t
language_numbered(const char *language)
{
    for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
        if (strcmp(fragments[i].language, language) == 0) {
            return i;
        }
    }
    die("no sentences in %s", language);
}

/* The language that an office mostly writes in. */
static size_t
office_language(const char *office)
{
    static const char *const languages[][2] = { { "COL", "spa" }, { "LBN", "ara" }, { "TUN", "ara" },
                                                { "MEX", "spa" }, { "SEN", "fra" }, { "KGZ", "rus" } };

    for (size_t i = 0; i < COUNT(languages); i++) {
        if (strcmp(languages[i][0], office) == 0) {
            return language_numbered(languages[i][1]);
        }
    }
    return language_numbered("eng");
}

/* --- Drafts ------------------------------------------------------------------- */

static const struct codebook_field *
field_of(const struct draft *draft, const char *collection, const char *name)
{
    char whole[128];

    snprintf(whole, sizeof whole, "%s%s%s", collection != NULL ? collection : "",
             collection != NULL ? "." : "", name);
    const struct codebook_field *field = codebook_field_by_name(book, draft->kind, whole);
    if (field == NULL) {
        die("%s: the codebook has no field %s", draft->ref, whole);
    }
    return field;
}

/* "ref:KEN-person-12": made by this run, and of the kind the field is for. */
static bool
ref_fits(const struct draft *draft, const struct codebook_field *field, const char *value)
{
    char prefix[64];
    const struct codebook_kind *kind = codebook_kind(book, field->target);

    if (field->type != TYPE_RECORD || kind == NULL) {
        return false;
    }
    snprintf(prefix, sizeof prefix, "ref:%s-%s-", draft->generator->office, kind->name);
    if (strncmp(value, prefix, strlen(prefix)) != 0) {
        return false;
    }
    unsigned long number = strtoul(value + strlen(prefix), NULL, 10);
    return number >= 1 && number <= draft->generator->made[field->target];
}

/* "element:perpetrator:1": in this draft already. */
static bool
element_fits(const struct draft *draft, const struct codebook_field *field, const char *value)
{
    char prefix[64];
    const struct codebook_collection *collection = codebook_collection(book, field->target);

    if (field->type != TYPE_ELEMENT || collection == NULL) {
        return false;
    }
    snprintf(prefix, sizeof prefix, "element:%s:", collection->name);
    if (strncmp(value, prefix, strlen(prefix)) != 0) {
        return false;
    }
    unsigned long number = strtoul(value + strlen(prefix), NULL, 10);
    return number >= 1 && number <= json_array_size(json_object_get(draft->elements, collection->name));
}

/* What the codebook refuses is a mistake of this program. */
static void
judge(const struct draft *draft, const struct codebook_field *field, const char *value)
{
    struct buf cbor = { 0 };
    const char *why = NULL;

    if (ref_fits(draft, field, value) || element_fits(draft, field, value)) {
        return;
    }
    enum err err = codebook_parse(book, field, value, &cbor, &why);
    if (err != ERR_OK) {
        die("%s: %s: \"%s\" is refused: %s", draft->ref, field->name, value,
            why != NULL ? why : err_text(err));
    }
    if (!codebook_accepts(book, field, buf_span(&cbor))) {
        die("%s: %s: \"%s\" parses but is not accepted", draft->ref, field->name, value);
    }
    buf_free(&cbor);
}

static void
put(json_t *object, const char *key, const char *value)
{
    if (json_object_set_new(object, key, json_string(value)) != 0) {
        die("%s: \"%s\" is no text", key, value);
    }
}

static void
set(struct draft *draft, const char *name, const char *value)
{
    judge(draft, field_of(draft, NULL, name), value);
    put(draft->fields, name, value);
}

static void __attribute__((format(printf, 3, 4)))
setf(struct draft *draft, const char *name, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    set(draft, name, text);
}

/* The array under `key`, made if need be. */
static json_t *
array_in(json_t *object, const char *key)
{
    json_t *array = json_object_get(object, key);

    if (array == NULL) {
        array = json_array();
        json_object_set_new(object, key, array);
    }
    return array;
}

static void
append_once(json_t *array, const char *value)
{
    size_t i;
    json_t *member;

    json_array_foreach(array, i, member)
    {
        if (strcmp(json_string_value(member), value) == 0) {
            return;
        }
    }
    json_array_append_new(array, json_string(value));
}

static void
add(struct draft *draft, const char *name, const char *value)
{
    judge(draft, field_of(draft, NULL, name), value);
    append_once(array_in(draft->sets, name), value);
}

static json_t *
element(struct draft *draft, const char *collection)
{
    json_t *object = json_object();

    if (codebook_collection_by_name(book, draft->kind, collection) == NULL) {
        die("%s: the codebook has no collection %s", draft->ref, collection);
    }
    json_array_append_new(array_in(draft->elements, collection), object);
    return object;
}

static void
set_in(struct draft *draft, const char *collection, json_t *object, const char *name, const char *value)
{
    judge(draft, field_of(draft, collection, name), value);
    put(object, name, value);
}

/* One more member of a union field. */
static void
add_in(struct draft *draft, const char *collection, json_t *object, const char *name, const char *value)
{
    const struct codebook_field *field = field_of(draft, collection, name);

    if (field->policy != MERGE_UNION) {
        die("%s: %s holds one value", draft->ref, field->name);
    }
    judge(draft, field, value);
    append_once(array_in(object, name), value);
}

static void
note(struct draft *draft, const char *text)
{
    judge(draft, codebook_field_by_name(book, draft->kind, "note.text"), text);
    json_array_append_new(draft->notes, json_string(text));
}

/* Any value of the vocabulary of `field`. */
static const char *
any_code(struct generator *generator, const struct codebook_field *field)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(book, field->vocabulary);

    return vocabulary->values[below(generator, vocabulary->value_count)].name;
}

static void
set_any(struct draft *draft, const char *name)
{
    set(draft, name, any_code(draft->generator, field_of(draft, NULL, name)));
}

static void
set_any_in(struct draft *draft, const char *collection, json_t *object, const char *name)
{
    set_in(draft, collection, object, name, any_code(draft->generator, field_of(draft, collection, name)));
}

static void
add_any_in(struct draft *draft, const char *collection, json_t *object, const char *name)
{
    add_in(draft, collection, object, name, any_code(draft->generator, field_of(draft, collection, name)));
}

static void
begin(struct generator *generator, uint32_t kind, struct draft *draft)
{
    *draft = (struct draft){ .generator = generator,
                             .kind = kind,
                             .fields = json_object(),
                             .sets = json_object(),
                             .elements = json_object(),
                             .notes = json_array() };
    snprintf(draft->ref, sizeof draft->ref, "%s-%s-%zu", generator->office, codebook_kind(book, kind)->name,
             generator->made[kind] + 1);
}

/* --- Later edits on two sides --------------------------------------------------- */

/* Another value of the field than `value`; `side` 0 and 1 give two that differ where there are as many. */
static bool
other_value(struct generator *generator, const struct codebook_field *field, const char *value, int side,
            struct buf *out)
{
    static const char *const qualifiers[] = { "", "~", "?", "%" };
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(book, field->vocabulary);

    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_LONG_TEXT:
        if (strlen(value) < EDITED_TEXT_BYTES_MIN) {
            return false;
        }
        buf_printf(out, "%s %s", value, side == 0 ? "(checked with the source)" : "(wording to be agreed)");
        return true;
    case TYPE_CODE: {
        size_t at = (size_t)(codebook_value_by_name(vocabulary, value) - vocabulary->values);
        buf_put_text(out, vocabulary->values[(at + 1 + (size_t)side) % vocabulary->value_count].name);
        return true;
    }
    case TYPE_BOOL:
        buf_put_text(out, (strcmp(value, "yes") == 0) == (side == 0) ? "no" : "yes");
        return true;
    case TYPE_DATE: {
        size_t bare = strlen(value) - (strchr("~?%", value[strlen(value) - 1]) != NULL);
        const char *last = value + bare;
        if (strchr(value, '/') != NULL) {
            return false;
        }
        size_t at = 0;
        while (strcmp(qualifiers[at], last) != 0) {
            at++;
        }
        buf_printf(out, "%.*s%s", (int)bare, value, qualifiers[(at + 1 + (size_t)side) % 4]);
        return true;
    }
    case TYPE_RANGE: {
        int least = between(generator, 10, 40) + side;
        buf_printf(out, "%d-%d", least, least + between(generator, 1, 9));
        return true;
    }
    default:
        return false;
    }
}

static void
print_edit(const struct draft *draft, const char *at, const struct codebook_field *field, size_t number,
           const char *value)
{
    const struct codebook_collection *collection = codebook_collection(book, field->collection);
    json_t *edit = json_object();

    judge(draft, field, value);
    put(edit, "at", at);
    put(edit, "ref", draft->ref);
    if (collection != NULL) {
        put(edit, "collection", collection->name);
        json_object_set_new(edit, "element", json_integer((json_int_t)number));
    }
    put(edit, "field", field->name);
    put(edit, "value", value);
    if (json_dumpf(edit, draft->generator->edits, JSON_COMPACT) != 0 ||
        fputc('\n', draft->generator->edits) == EOF) {
        die("the edits cannot be written");
    }
    json_decref(edit);
}

/* Now and then, the office and headquarters each write another value without knowing of each other. */
static void
edit_maybe(const struct draft *draft, const struct codebook_field *field, size_t number, const char *value)
{
    struct generator *generator = draft->generator;
    const struct codebook_collection *collection = codebook_collection(book, field->collection);
    struct buf sides[2] = { { 0 }, { 0 } };
    bool fixed = (field->flags & (FIELD_ONCE | FIELD_STAGE)) != 0 ||
                 (collection != NULL && (collection->flags & COLLECTION_APPEND_ONLY) != 0);

    if (fixed || below(generator, 1000) >= EDITED_PER_MILLE) {
        return;
    }
    if (other_value(generator, field, value, 0, &sides[0]) &&
        other_value(generator, field, value, 1, &sides[1])) {
        buf_put_u8(&sides[0], 0);
        buf_put_u8(&sides[1], 0);
        print_edit(draft, generator->office, field, number, (const char *)sides[0].data);
        print_edit(draft, "HQ", field, number, (const char *)sides[1].data);
    }
    buf_free(&sides[0]);
    buf_free(&sides[1]);
}

/* The other of the two streams of chance, and back. */
static void
swap_chance(struct generator *generator)
{
    struct chance was = generator->chance;

    generator->chance = generator->edit_chance;
    generator->edit_chance = was;
}

static void
edit_some(const struct draft *draft)
{
    const char *collection;
    const char *name;
    json_t *array;
    json_t *object;
    json_t *value;
    size_t i;

    json_object_foreach(draft->fields, name, value)
    {
        edit_maybe(draft, field_of(draft, NULL, name), 0, json_string_value(value));
    }
    json_object_foreach(draft->elements, collection, array)
    {
        json_array_foreach(array, i, object)
        {
            json_object_foreach(object, name, value)
            {
                if (json_is_string(value)) {
                    edit_maybe(draft, field_of(draft, collection, name), i + 1, json_string_value(value));
                }
            }
        }
    }
}

/* --- Finished records ------------------------------------------------------------- */

/* What the node fills in, or cannot be known without a window. */
static bool
filled_by_others(const struct draft *draft, const struct codebook_field *field)
{
    return field->number == FIELD_KIND || strcmp(field->name, "case_officer") == 0 ||
           (strcmp(field->name, "reporting_window") == 0 && draft->generator->window == NULL);
}

/* True if the required `field` is in all places where it must be. */
static bool
is_filled(const struct draft *draft, const struct codebook_field *field)
{
    const struct codebook_collection *collection = codebook_collection(book, field->collection);
    size_t i;
    json_t *object;

    if (collection == NULL) {
        return json_object_get(draft->fields, field->name) != NULL;
    }
    if ((collection->flags & COLLECTION_SET) != 0) {
        return json_array_size(json_object_get(draft->sets, collection->name)) > 0;
    }
    json_array_foreach(json_object_get(draft->elements, collection->name), i, object)
    {
        if (json_object_get(object, strchr(field->name, '.') + 1) == NULL) {
            return false;
        }
    }
    return true;
}

static void
put_unless_empty(json_t *record, const char *key, json_t *part, size_t size)
{
    if (size > 0) {
        json_object_set_new(record, key, part);
    } else {
        json_decref(part);
    }
}

static void
finish(struct draft *draft)
{
    for (size_t i = 0; i < book->field_count; i++) {
        const struct codebook_field *field = &book->fields[i];
        bool required = (field->kinds >> draft->kind & 1) != 0 && (field->flags & FIELD_REQUIRED) != 0;
        if (required && !is_filled(draft, field) && !filled_by_others(draft, field)) {
            die("%s: the required field %s is missing", draft->ref, field->name);
        }
    }
    draft->generator->made[draft->kind]++;
    if (draft->generator->edits != NULL) {
        swap_chance(draft->generator);
        edit_some(draft);
        swap_chance(draft->generator);
    }
    json_t *record = json_object();
    put(record, "kind", codebook_kind(book, draft->kind)->name);
    put(record, "ref", draft->ref);
    /* Cases come with the status that they have elsewhere. */
    if (codebook_stage_field(book, draft->kind) != NULL) {
        json_object_set_new(record, "imported", json_true());
    }
    put_unless_empty(record, "fields", draft->fields, json_object_size(draft->fields));
    put_unless_empty(record, "sets", draft->sets, json_object_size(draft->sets));
    put_unless_empty(record, "elements", draft->elements, json_object_size(draft->elements));
    put_unless_empty(record, "notes", draft->notes, json_array_size(draft->notes));
    if (json_dumpf(record, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF) {
        die("the output cannot be written");
    }
    json_decref(record);
}

/* --- Words ------------------------------------------------------------------------ */

/* `sentence` with what its %P, %A and %D stand for. */
static void
fill(const char *sentence, const struct plot *plot, const char *date, struct buf *out)
{
    for (const char *at = sentence; *at != '\0'; at++) {
        if (at[0] == '%' && at[1] == 'P') {
            buf_put_text(out, plot->person);
            at++;
        } else if (at[0] == '%' && at[1] == 'A') {
            buf_put_text(out, plot->area->name);
            at++;
        } else if (at[0] == '%' && at[1] == 'D') {
            buf_put_text(out, date);
            at++;
        } else {
            buf_put_u8(out, (uint8_t)*at);
        }
    }
}

static void
exact_month(int month, char out[16])
{
    snprintf(out, 16, "%04d-%02d", month / 12, month % 12 + 1);
}

/* A day, month or year at or after `month`, as sure as such dates usually are. */
static void
partial_date(struct generator *generator, int month, char out[32])
{
    char first[16];
    char second[16];
    size_t kind = below(generator, 100);
    int day = between(generator, 1, 28);

    exact_month(month, first);
    exact_month(month + between(generator, 1, 4), second);
    if (kind < 40) {
        snprintf(out, 32, "%s-%02d", first, day);
    } else if (kind < 48) {
        snprintf(out, 32, "%s-%02d%s", first, day, ONE_OF(generator, "?", "~", "%"));
    } else if (kind < 72) {
        snprintf(out, 32, "%s", first);
    } else if (kind < 84) {
        snprintf(out, 32, "%s%s", first, ONE_OF(generator, "~", "?"));
    } else if (kind < 90) {
        snprintf(out, 32, "%04d%s", month / 12, ONE_OF(generator, "", "~"));
    } else if (kind < 96) {
        snprintf(out, 32, "%s/%s", first, second);
    } else {
        snprintf(out, 32, "%s-%02d/..", first, day);
    }
}

static void
exact_day(struct generator *generator, int month, char out[32])
{
    char first[16];

    exact_month(month, first);
    snprintf(out, 32, "%s-%02d", first, between(generator, 1, 28));
}

/* Text of a strict field: marked, if there is a marker, so that a test can look for it. */
static void __attribute__((format(printf, 3, 4)))
strict_text(struct generator *generator, struct buf *out, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buf_clear(out);
    if (generator->marker != NULL) {
        buf_printf(out, "%s%06zu ", generator->marker, ++generator->markers);
    }
    buf_put_text(out, text);
    buf_put_u8(out, 0);
}

/* A name that nobody bears: syllables in the script of `language`. */
static void
invented_name(struct generator *generator, size_t language, struct buf *out)
{
    for (int part = 0; part < 2; part++) {
        int syllables = between(generator, 2, 3);
        buf_put_text(out, part == 0 ? "" : " ");
        for (int i = 0; i < syllables; i++) {
            buf_put_text(out, one_of(generator, fragments[language].syllables));
        }
    }
    buf_put_u8(out, 0);
}

static void
narrative_text(struct generator *generator, const struct plot *plot, size_t language, struct buf *out)
{
    const struct fragments *words = &fragments[language];
    const char *space = strcmp(words->language, "zho") == 0 ? "" : " ";
    char date[32];
    int events = between(generator, 2, 4);

    exact_month(plot->month, date);
    fill(one_of(generator, words->opening), plot, date, out);
    for (int i = 0; i < events; i++) {
        buf_put_text(out, i == events / 2 ? "\n\n" : space);
        fill(one_of(generator, words->events), plot, date, out);
    }
    buf_put_text(out, space);
    fill(one_of(generator, words->link), plot, date, out);
    buf_put_text(out, "\n\n");
    fill(one_of(generator, words->after), plot, date, out);
    buf_put_text(out, space);
    fill(one_of(generator, words->closing), plot, date, out);
    buf_put_u8(out, 0);
}

/* A language: mostly the office's own. */
static size_t
some_language(struct generator *generator)
{
    return chance(generator, 70) ? generator->language : below(generator, LANGUAGE_COUNT);
}

static void
begin_plot(struct generator *generator, struct plot *plot)
{
    bool at_home = generator->home < generator->country_count && chance(generator, 90);

    plot->country = at_home ? &generator->countries[generator->home] : any_country(generator);
    plot->area = &plot->country->areas[below(generator, plot->country->area_count)];
    plot->language = some_language(generator);
    plot->month = 2024 * 12 + 4 + (int)below(generator, 24); /* May 2024 to April 2026 */
    snprintf(plot->person, sizeof plot->person, "P-%s-0000", generator->office);
}

/* --- Persons and sources ------------------------------------------------------------ */

static void
make_name(struct draft *draft, size_t language, const char *type)
{
    struct buf name = { 0 };
    struct buf text = { 0 };
    json_t *object = element(draft, "name");

    invented_name(draft->generator, language, &name);
    strict_text(draft->generator, &text, "%s", (const char *)name.data);
    set_in(draft, "name", object, "text", (const char *)text.data);
    set_in(draft, "name", object, "type", type);
    set_in(draft, "name", object, "script", fragments[language].script);
    buf_free(&name);
    buf_free(&text);
}

static void
make_contact(struct draft *draft)
{
    struct generator *generator = draft->generator;
    struct buf text = { 0 };
    json_t *object = element(draft, "contact");
    bool by_email = chance(generator, 40);

    set_in(draft, "contact", object, "channel",
           by_email ? "email" : ONE_OF(generator, "phone", "secure_messenger"));
    if (by_email) {
        strict_text(generator, &text, "person%d@example.org", between(generator, 100, 999));
    } else {
        strict_text(generator, &text, "+000 555 %04d", between(generator, 100, 199));
    }
    set_in(draft, "contact", object, "address", (const char *)text.data);
    if (chance(generator, 40)) {
        int from = between(generator, 6, 10);
        strict_text(generator, &text, "%02d:00-%02d:00", from, from + between(generator, 8, 11));
        set_in(draft, "contact", object, "safe_hours", (const char *)text.data);
    }
    buf_free(&text);
}

/* Consent is given by steps: what is recorded, what is shared, what is published. */
static void
make_consent(struct draft *draft, const struct plot *plot, size_t number)
{
    static const char *const scopes[][4] = {
        { "record_in_system", "share_with_hq", "contact_again", NULL },
        { "share_with_special_procedures", "share_with_treaty_body", NULL, NULL },
        { "publish_anonymised", "count_only", NULL, NULL },
        { "publish_named", "raise_with_government", NULL, NULL },
    };
    struct generator *generator = draft->generator;
    struct buf text = { 0 };
    char date[32];
    json_t *object = element(draft, "consent");

    for (size_t i = 0; i < 4 && scopes[number][i] != NULL; i++) {
        add_in(draft, "consent", object, "scope", scopes[number][i]);
    }
    bool granted = number == 0 || chance(generator, number < 3 ? 75 : 30);
    set_in(draft, "consent", object, "decision",
           granted ? "granted" : ONE_OF(generator, "refused", "unknown", "withdrawn", "expired"));
    set_in(draft, "consent", object, "informed_of_risk", chance(generator, 90) ? "yes" : "no");
    set_in(draft, "consent", object, "identifiability_concern", chance(generator, 25) ? "yes" : "no");
    set_in(draft, "consent", object, "given_by",
           chance(generator, 80) ? "self" : ONE_OF(generator, "family_member", "legal_representative"));
    exact_day(generator, plot->month + between(generator, 0, 2), date);
    set_in(draft, "consent", object, "obtained_on", date);
    strict_text(generator, &text, "Officer %d, %s", between(generator, 1, 9), generator->office);
    set_in(draft, "consent", object, "obtained_by", (const char *)text.data);
    set_any_in(draft, "consent", object, "obtained_how");
    set_in(draft, "consent", object, "language", fragments[plot->language].language);
    if (granted && chance(generator, 30)) {
        set_in(draft, "consent", object, "valid_until", "2027-12-31");
        set_in(draft, "consent", object, "conditions", "Ask again before each publication.");
    }
    buf_free(&text);
}

static void
make_person(struct generator *generator, const struct plot *plot)
{
    struct draft draft;
    struct buf text = { 0 };

    begin(generator, PERSON, &draft);
    bool is_group = chance(generator, 15);
    setf(&draft, "pseudonym", "P-%s-%04zu", generator->office, generator->made[PERSON] + 1);
    set(&draft, "counting_unit",
        is_group ? ONE_OF(generator, "group_or_organisation", "community", "family") : "individual");
    set(&draft, "gender",
        is_group ? "not_applicable" : ONE_OF(generator, "woman", "man", "woman", "man", "unknown"));
    set(&draft, "language", fragments[plot->language].language);
    if (is_group) {
        int least = between(generator, 3, 30);
        setf(&draft, "number_of_persons", "%d-%d", least, least + between(generator, 0, 20));
        make_name(&draft, plot->language, "organisation_name");
    } else {
        set_any(&draft, "age_group");
        make_name(&draft, plot->language, "full_name");
        if (strcmp(fragments[plot->language].script, "Latn") != 0) {
            make_name(&draft, language_numbered("eng"), "transliteration");
        }
    }
    set(&draft, "current_situation",
        ONE_OF(generator, "safe", "at_risk", "at_risk", "in_hiding", "relocated", "detained", "released",
               "unknown"));
    add(&draft, "roles",
        ONE_OF(generator, "human_rights_defender", "journalist_media", "lawyer", "civil_society_staff",
               "trade_unionist", "environmental_defender", "indigenous_representative", "witness"));
    if (chance(generator, 35)) {
        add(&draft, "roles", any_code(generator, field_of(&draft, NULL, "roles")));
    }
    add(&draft, "nationality", plot->country->alpha_3);
    add(&draft, "country_of_residence", plot->country->alpha_3);
    if (chance(generator, 30)) {
        add(&draft, "vulnerability", any_code(generator, field_of(&draft, NULL, "vulnerability")));
    }
    if (chance(generator, 60)) {
        make_contact(&draft);
    }
    if (chance(generator, 8)) {
        set(&draft, "do_not_contact", "yes");
    }
    int consents = between(generator, 1, 4);
    for (int i = 0; i < consents; i++) {
        make_consent(&draft, plot, (size_t)i);
    }
    finish(&draft);
    buf_free(&text);
}

static void
make_source(struct generator *generator, const struct plot *plot)
{
    struct draft draft;
    struct buf name = { 0 };
    struct buf text = { 0 };
    char date[32];

    begin(generator, SOURCE, &draft);
    bool anonymous = chance(generator, 20);
    set(&draft, "anonymous", anonymous ? "yes" : "no");
    if (anonymous) {
        set(&draft, "source_type", "anonymous");
    } else {
        set_any(&draft, "source_type");
        invented_name(generator, plot->language, &name);
        strict_text(generator, &text, "%s", (const char *)name.data);
        set(&draft, "identity", (const char *)text.data);
        strict_text(generator, &text, "source%d@example.net", between(generator, 100, 999));
        set(&draft, "contact", (const char *)text.data);
    }
    exact_day(generator, plot->month + between(generator, 0, 2), date);
    set(&draft, "date_received", date);
    set_any(&draft, "channel");
    set(&draft, "reliability_of_source",
        ONE_OF(generator, "highly_reliable", "likely_reliable", "likely_reliable", "unsure", "unknown"));
    set(&draft, "validity_of_information",
        ONE_OF(generator, "highly_reliable", "likely_reliable", "likely_reliable", "unsure", "unknown"));
    set_any(&draft, "material_type");
    set(&draft, "material_language", fragments[plot->language].language);
    if (generator->made[SOURCE] > 0 && chance(generator, 30)) {
        char ref[64];
        snprintf(ref, sizeof ref, "ref:%s-source-%zu", generator->office,
                 1 + below(generator, generator->made[SOURCE]));
        add(&draft, "independent_of", ref);
    }
    finish(&draft);
    buf_free(&name);
    buf_free(&text);
}

/* --- Cases -------------------------------------------------------------------------- */

enum { VICTIMS_MAX = 5 };

struct cast {
    char victims[VICTIMS_MAX][64];
    size_t victim_count;
    char sources[VICTIMS_MAX][64];
    size_t source_count;
};

/* Victims and sources, made before the case; now and then one that was met before. */
static void
make_cast(struct generator *generator, struct plot *plot, struct cast *cast)
{
    cast->victim_count = (size_t)ONE_OF(generator, "1", "1", "1", "2", "2", "3", "4")[0] - '0';
    cast->source_count = (size_t)between(generator, 1, 3);
    for (size_t i = 0; i < cast->victim_count; i++) {
        size_t number = generator->made[PERSON] + 1;
        if (generator->made[PERSON] > 20 && chance(generator, MET_AGAIN_PERCENT)) {
            number = 1 + below(generator, 20);
        } else {
            make_person(generator, plot);
        }
        snprintf(cast->victims[i], sizeof cast->victims[i], "ref:%s-person-%zu", generator->office, number);
        if (i == 0) {
            snprintf(plot->person, sizeof plot->person, "P-%s-%04zu", generator->office, number);
        }
    }
    for (size_t i = 0; i < cast->source_count; i++) {
        make_source(generator, plot);
        snprintf(cast->sources[i], sizeof cast->sources[i], "ref:%s-source-%zu", generator->office,
                 generator->made[SOURCE]);
    }
}

static void
make_narratives(struct draft *draft, const struct plot *plot)
{
    struct generator *generator = draft->generator;
    size_t languages[2] = { plot->language, below(generator, LANGUAGE_COUNT) };
    size_t count = languages[0] != languages[1] && chance(generator, 45) ? 2 : 1;

    for (size_t i = 0; i < count; i++) {
        struct buf text = { 0 };
        json_t *object = element(draft, "narrative");
        narrative_text(generator, plot, languages[i], &text);
        set_in(draft, "narrative", object, "language", fragments[languages[i]].language);
        set_in(draft, "narrative", object, "text", (const char *)text.data);
        buf_free(&text);
    }
}

static size_t
make_cooperations(struct draft *draft, const struct plot *plot)
{
    struct generator *generator = draft->generator;
    size_t count = chance(generator, 25) ? 2 : 1;
    char text[64];

    for (size_t i = 0; i < count; i++) {
        json_t *object = element(draft, "cooperation");
        add_in(draft, "cooperation", object, "un_actor",
               ONE_OF(generator, "special_procedures", "human_rights_council", "upr", "cat", "hrctee",
                      "cedaw", "ohchr_field_presence", "ohchr_headquarters"));
        if (chance(generator, 30)) {
            add_any_in(draft, "cooperation", object, "un_actor");
        }
        add_any_in(draft, "cooperation", object, "form");
        set_in(draft, "cooperation", object, "state",
               ONE_OF(generator, "past", "past", "ongoing", "sought", "perceived"));
        partial_date(generator, plot->month - between(generator, 0, 3), text);
        set_in(draft, "cooperation", object, "date", text);
        set_in(draft, "cooperation", object, "visibility",
               ONE_OF(generator, "public", "confidential", "unknown"));
        if (chance(generator, 50)) {
            snprintf(text, sizeof text, "Session %d", between(generator, 50, 140));
            set_in(draft, "cooperation", object, "session", text);
        }
    }
    return count;
}

static size_t
make_perpetrators(struct draft *draft)
{
    struct generator *generator = draft->generator;
    size_t count = chance(generator, 30) ? 2 : 1;
    struct buf text = { 0 };

    for (size_t i = 0; i < count; i++) {
        json_t *object = element(draft, "perpetrator");
        bool state = chance(generator, 75);
        set_in(draft, "perpetrator", object, "actor_type",
               state ? ONE_OF(generator, "police", "intelligence_service", "local_official", "prison_service",
                              "judiciary_or_prosecution", "border_or_immigration_service")
                     : ONE_OF(generator, "private_person", "mob_or_crowd", "unknown", "corporation"));
        set_in(draft, "perpetrator", object, "state_or_non_state",
               state ? "state" : ONE_OF(generator, "non_state", "unknown", "state_linked"));
        if (chance(generator, 40)) {
            set_in(draft, "perpetrator", object, "institution", "Regional directorate (invented)");
        }
        if (chance(generator, 20)) {
            struct buf name = { 0 };
            invented_name(generator, generator->language, &name);
            strict_text(generator, &text, "%s", (const char *)name.data);
            set_in(draft, "perpetrator", object, "individual_name", (const char *)text.data);
            buf_free(&name);
        }
        if (chance(generator, 50)) {
            set_any_in(draft, "perpetrator", object, "degree_of_involvement");
        }
    }
    buf_free(&text);
    return count;
}

static void
make_detention(struct draft *draft, json_t *object)
{
    set_any_in(draft, "act", object, "detention_type");
    set_any_in(draft, "act", object, "detention_whereabouts");
    set_any_in(draft, "act", object, "detention_contact");
    set_any_in(draft, "act", object, "detention_counsel");
}

static bool
is_detention(const char *type)
{
    return strcmp(type, "detention") == 0 || strcmp(type, "arbitrary_arrest") == 0 ||
           strcmp(type, "incommunicado_or_solitary") == 0;
}

static void
make_act(struct draft *draft, const struct plot *plot, const struct cast *cast, size_t cooperations,
         size_t perpetrators)
{
    struct generator *generator = draft->generator;
    struct buf text = { 0 };
    char date[32];
    char place[64];
    json_t *object = element(draft, "act");
    const char *type = any_code(generator, field_of(draft, "act", "type_of_act"));

    set_in(draft, "act", object, "type_of_act", type);
    set_in(draft, "act", object, "stage",
           ONE_OF(generator, "carried_out", "carried_out", "ongoing", "threatened", "attempted", "ended"));
    partial_date(generator, plot->month + between(generator, 0, 4), date);
    set_in(draft, "act", object, "date_from", date);
    set_in(draft, "act", object, "admin_area", plot->area->code);
    set_in(draft, "act", object, "verification",
           ONE_OF(generator, "allegation", "allegation", "under_assessment", "corroborated",
                  "reasonable_grounds"));
    for (size_t i = 0; i < cast->victim_count; i++) {
        if (i == 0 || chance(generator, 50)) {
            add_in(draft, "act", object, "victim", cast->victims[i]);
        }
    }
    snprintf(place, sizeof place, "element:cooperation:%zu", 1 + below(generator, cooperations));
    add_in(draft, "act", object, "cooperation", place);
    snprintf(place, sizeof place, "element:perpetrator:%zu", 1 + below(generator, perpetrators));
    add_in(draft, "act", object, "perpetrator", place);
    add_any_in(draft, "act", object, "cooperation_link");
    if (chance(generator, 60)) {
        set_any_in(draft, "act", object, "place_type");
    }
    if (chance(generator, 35)) {
        int latitude = between(generator, -90000, 90000);
        int longitude = between(generator, -180000, 180000);
        strict_text(generator, &text, "%.3f,%.3f", latitude / 1000.0, longitude / 1000.0);
        set_in(draft, "act", object, "coordinates", (const char *)text.data);
    }
    if (chance(generator, 35)) {
        add_any_in(draft, "act", object, "legal_basis");
        set_in(draft, "act", object, "stated_reason", one_of(generator, fragments[plot->language].reasons));
    }
    if (chance(generator, 30)) {
        set_in(draft, "act", object, "online", "yes");
        set_any_in(draft, "act", object, "platform_type");
    }
    if (chance(generator, 40)) {
        set_any_in(draft, "act", object, "method");
        set_any_in(draft, "act", object, "psychological_consequence");
    }
    if (is_detention(type)) {
        make_detention(draft, object);
    }
    buf_free(&text);
}

static void
make_action(struct draft *draft, const struct plot *plot)
{
    struct generator *generator = draft->generator;
    char text[128];
    json_t *object = element(draft, "action");
    int month = plot->month + between(generator, 1, 6);
    const char *side = ONE_OF(generator, "un", "un", "un", "victim_or_representative", "government");

    set_in(draft, "action", object, "actor_side", side);
    if (strcmp(side, "un") == 0) {
        if (chance(generator, 10)) {
            set_in(draft, "action", object, "by_un_confidential", "quiet_diplomacy");
        } else {
            set_any_in(draft, "action", object, "by_un");
        }
        const char *form = ONE_OF(generator, "AL", "UA", "OL");
        snprintf(text, sizeof text, "SYN %s %s %d/%d", form, generator->office, between(generator, 1, 40),
                 month / 12);
        set_in(draft, "action", object, "symbol", text);
        exact_day(generator, month + 2, text);
        set_in(draft, "action", object, "reply_due", text);
    } else if (strcmp(side, "government") == 0) {
        set_any_in(draft, "action", object, "by_government");
    } else {
        set_any_in(draft, "action", object, "by_victim");
    }
    exact_day(generator, month, text);
    set_in(draft, "action", object, "date", text);
    set_any_in(draft, "action", object, "status");
    set_in(draft, "action", object, "already_public", chance(generator, 30) ? "yes" : "no");
    if (chance(generator, 50)) {
        set_in(draft, "action", object, "summary", one_of(generator, fragments[plot->language].closing));
    }
}

static void
make_follow_up(struct draft *draft, const struct plot *plot)
{
    struct generator *generator = draft->generator;
    struct buf text = { 0 };
    struct buf sentence = { 0 };
    char date[32];
    json_t *object = element(draft, "follow_up");

    set_in(draft, "follow_up", object, "window", generator->window);
    exact_day(generator, plot->month + between(generator, 6, 12), date);
    set_in(draft, "follow_up", object, "date", date);
    add_any_in(draft, "follow_up", object, "new_development");
    fill(one_of(generator, fragments[plot->language].after), plot, date, &sentence);
    buf_put_u8(&sentence, 0);
    buf_printf(&text, "%s: %s", fragments[plot->language].language, (const char *)sentence.data);
    buf_put_u8(&text, 0);
    set_in(draft, "follow_up", object, "narrative", (const char *)text.data);
    set_in(draft, "follow_up", object, "annex_ii_proposed", chance(generator, 40) ? "yes" : "no");
    buf_free(&text);
    buf_free(&sentence);
}

/* Status, urgency and what else stands at the head of a case. */
static void
make_head(struct draft *draft, const struct plot *plot)
{
    struct generator *generator = draft->generator;
    struct buf title = { 0 };
    bool abroad = chance(generator, 12);

    fill(one_of(generator, fragments[plot->language].titles), plot, "", &title);
    buf_put_u8(&title, 0);
    set(draft, "title", (const char *)title.data);
    set(draft, "language", fragments[plot->language].language);
    set(draft, "kind",
        ONE_OF(generator, "individual_case", "individual_case", "individual_case", "individual_case",
               "situation", "pattern_or_trend", "legislation"));
    set_any(draft, "act_nature");
    set(draft, "transnational", abroad ? "yes" : "no");
    set(draft, "status",
        ONE_OF(generator, "received", "triage", "triage", "assessment", "assessment", "office_cleared",
               "shared_with_hq", "follow_up", "closed"));
    set(draft, "urgency",
        ONE_OF(generator, "emergency", "urgent", "priority", "priority", "routine", "routine"));
    set(draft, "verification",
        ONE_OF(generator, "allegation", "under_assessment", "under_assessment", "corroborated",
               "reasonable_grounds"));
    set(draft, "risk_level", ONE_OF(generator, "low", "medium", "medium", "high", "extreme"));
    if (chance(generator, 50)) {
        set(draft, "risk_note", one_of(generator, fragments[plot->language].risks));
    }
    set(draft, "owner_office", generator->office);
    set(draft, "retention_until", "2036-12-31");
    if (generator->window != NULL) {
        set(draft, "reporting_window", generator->window);
    }
    add(draft, "country_of_act", plot->country->alpha_3);
    add(draft, "country_alleged_responsible",
        abroad ? any_country(generator)->alpha_3 : plot->country->alpha_3);
    add(draft, "scope_basis", any_code(generator, field_of(draft, NULL, "scope_basis")));
    buf_free(&title);
}

static void
make_links(struct draft *draft, const struct cast *cast)
{
    struct generator *generator = draft->generator;
    char text[64];

    for (size_t i = 0; i < cast->victim_count; i++) {
        json_t *object = element(draft, "victim");
        set_in(draft, "victim", object, "person", cast->victims[i]);
        set_in(draft, "victim", object, "part",
               i == 0 || chance(generator, 70) ? "alleged_victim" : "associated_person");
    }
    for (size_t i = 0; i < cast->source_count; i++) {
        add(draft, "source_ref", cast->sources[i]);
    }
    if (generator->made[CASE] > 0 && chance(generator, 10)) {
        json_t *object = element(draft, "linked_case");
        snprintf(text, sizeof text, "ref:%s-case-%zu", generator->office,
                 1 + below(generator, generator->made[CASE]));
        set_in(draft, "linked_case", object, "case", text);
        set_any_in(draft, "linked_case", object, "relation");
    }
    if (chance(generator, 15)) {
        json_t *object = element(draft, "earlier_report");
        int year = between(generator, 2019, 2025);
        snprintf(text, sizeof text, "SYN/%d/%d", year, between(generator, 10, 60));
        set_in(draft, "earlier_report", object, "symbol", text);
        snprintf(text, sizeof text, "%d", year);
        set_in(draft, "earlier_report", object, "year", text);
    }
}

static void
make_case(struct generator *generator)
{
    struct plot plot;
    struct cast cast;
    struct draft draft;

    begin_plot(generator, &plot);
    make_cast(generator, &plot, &cast);
    begin(generator, CASE, &draft);
    make_head(&draft, &plot);
    make_links(&draft, &cast);
    make_narratives(&draft, &plot);
    size_t cooperations = make_cooperations(&draft, &plot);
    size_t perpetrators = make_perpetrators(&draft);
    int acts = ONE_OF(generator, "1", "1", "2", "2", "3", "4")[0] - '0';
    for (int i = 0; i < acts; i++) {
        make_act(&draft, &plot, &cast, cooperations, perpetrators);
    }
    int actions = between(generator, 0, 3);
    for (int i = 0; i < actions; i++) {
        make_action(&draft, &plot);
    }
    if (generator->window != NULL && chance(generator, 20)) {
        make_follow_up(&draft, &plot);
    }
    if (chance(generator, 60)) {
        note(&draft, one_of(generator, fragments[plot.language].notes));
    }
    finish(&draft);
}

/* --- What is not bound to a case ------------------------------------------------------ */

static void
make_window(struct generator *generator, int year)
{
    struct draft draft;

    begin(generator, WINDOW, &draft);
    setf(&draft, "from", "%d-05-01", year - 1);
    setf(&draft, "to", "%d-04-30", year);
    setf(&draft, "report_symbol", "SYN/%d/1", year);
    setf(&draft, "submission_deadline", "%d-04-15", year);
    set(&draft, "word_limit", "8500");
    setf(&draft, "freeze_date", "%d-06-15", year);
    finish(&draft);
}

static void
set_window(struct draft *draft)
{
    char ref[64];

    snprintf(ref, sizeof ref, "ref:%s-reporting_window-%zu", draft->generator->office,
             1 + below(draft->generator, draft->generator->made[WINDOW]));
    set(draft, "reporting_window", ref);
}

static void
set_localised(struct draft *draft, const char *name, size_t language, const char *text)
{
    setf(draft, name, "%s: %s", fragments[language].language, text);
}

static void
make_focal_point(struct generator *generator)
{
    struct draft draft;
    struct buf name = { 0 };
    struct buf text = { 0 };

    begin(generator, FOCAL, &draft);
    set_any(&draft, "entity");
    set_any(&draft, "role");
    setf(&draft, "office", "Office %d", between(generator, 1, 60));
    set(&draft, "function_title", "Human rights officer");
    set(&draft, "from", "2025-01-01");
    set(&draft, "last_confirmed", ONE_OF(generator, "2026-01", "2026-02", "2025-11~"));
    add(&draft, "country", any_country(generator)->alpha_3);
    add(&draft, "languages", fragments[below(generator, LANGUAGE_COUNT)].language);
    invented_name(generator, below(generator, LANGUAGE_COUNT), &name);
    strict_text(generator, &text, "%s", (const char *)name.data);
    set(&draft, "name", (const char *)text.data);
    strict_text(generator, &text, "focal%d@example.org", between(generator, 100, 999));
    set(&draft, "contact", (const char *)text.data);
    finish(&draft);
    buf_free(&name);
    buf_free(&text);
}

static void
make_good_practice(struct generator *generator)
{
    struct draft draft;
    size_t language = below(generator, LANGUAGE_COUNT);

    begin(generator, PRACTICE, &draft);
    set(&draft, "title",
        ONE_OF(generator, "Safe room at a session", "Public statement of support",
               "Checklist before a country visit", "Fund for travel in need"));
    set_any(&draft, "entity");
    set_any(&draft, "category");
    set(&draft, "date", ONE_OF(generator, "2025-06", "2025-10~", "2026-02-11"));
    add(&draft, "country", any_country(generator)->alpha_3);
    set_localised(&draft, "description", language, one_of(generator, fragments[language].closing));
    set(&draft, "cleared_for_publication", chance(generator, 50) ? "yes" : "no");
    set_window(&draft);
    finish(&draft);
}

static void
make_policy_development(struct generator *generator)
{
    struct draft draft;
    size_t language = below(generator, LANGUAGE_COUNT);

    begin(generator, POLICY, &draft);
    set(&draft, "title",
        ONE_OF(generator, "Law on the registration of associations", "Resolution on cooperation",
               "Guidelines against intimidation", "Bill on foreign contributions"));
    set_any(&draft, "actor_type");
    set_any(&draft, "instrument");
    set_any(&draft, "effect");
    setf(&draft, "symbol", "SYN/RES/%d", between(generator, 1, 90));
    set(&draft, "adopted_on", ONE_OF(generator, "2025-07-04", "2025-12", "2026-03"));
    add(&draft, "country", any_country(generator)->alpha_3);
    set_localised(&draft, "summary", language, one_of(generator, fragments[language].reasons));
    set_window(&draft);
    finish(&draft);
}

static void
make_reference(struct generator *generator, unsigned long count)
{
    make_window(generator, 2025);
    make_window(generator, 2026);
    for (unsigned long i = 0; i < count; i++) {
        make_focal_point(generator);
        make_good_practice(generator);
        make_policy_development(generator);
    }
}

/* --- Texts for the dictionary ----------------------------------------------------------- */

/* One text a line, of the fields that hold most of them. */
static void
print_texts(struct generator *generator, unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        struct plot plot;
        struct buf text = { 0 };
        char date[32];

        begin_plot(generator, &plot);
        const struct fragments *words = &fragments[below(generator, LANGUAGE_COUNT)];
        const char *const *const lists[] = { words->titles, words->opening, words->events,
                                             words->link,   words->after,   words->closing,
                                             words->notes,  words->reasons, words->risks };
        snprintf(plot.person, sizeof plot.person, "P-%s-%04zu", generator->office,
                 1 + below(generator, 9999));
        partial_date(generator, plot.month, date);
        size_t sentences = 1 + below(generator, 3);
        for (size_t n = 0; n < sentences; n++) {
            buf_put_text(&text, n == 0 ? "" : " ");
            fill(one_of(generator, lists[below(generator, COUNT(lists))]), &plot, date, &text);
        }
        buf_put_u8(&text, 0);
        puts((const char *)text.data);
        buf_free(&text);
    }
}

/* --- The command ---------------------------------------------------------------------------- */

static const char usage[] =
    "Usage: generate [OPTION]...\n"
    "Print synthetic records, one JSON object a line.\n"
    "\n"
    "  --office CODE         office, mostly its country too (KEN)\n"
    "  --count N             cases, or other records of each kind, or texts (10)\n"
    "  --seed N              the same seed gives the same records (1)\n"
    "  --window ID           record id of the reporting window of the cases, and follow-ups\n"
    "  --marker-prefix TEXT  begin every text of a strict field with TEXT and a number\n"
    "  --edits FILE          write later edits of 2 % of the fields, by the office and by HQ at once\n"
    "  --reference           reporting windows, focal points, good practice and policy instead of cases\n"
    "  --payload-texts       short texts in six languages instead of records\n"
    "  --iso-codes DIR       where the lists of iso-codes are (/usr/share/iso-codes/json)\n";

static unsigned long
number_from(const char *option, const char *text)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);

    if (*text == '\0' || *text == '-' || *end != '\0') {
        die("--%s: \"%s\" is no number", option, text);
    }
    return number;
}

static bool
is_office(const char *text)
{
    size_t size = strlen(text);

    return size >= 1 && size <= 12 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == size;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "office", required_argument, NULL, 'o' },
        { "count", required_argument, NULL, 'c' },
        { "seed", required_argument, NULL, 's' },
        { "window", required_argument, NULL, 'w' },
        { "marker-prefix", required_argument, NULL, 'm' },
        { "edits", required_argument, NULL, 'e' },
        { "reference", no_argument, NULL, 'r' },
        { "payload-texts", no_argument, NULL, 'p' },
        { "iso-codes", required_argument, NULL, 'i' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct generator generator = { .office = "KEN", .iso_codes = "/usr/share/iso-codes/json" };
    unsigned long count = 10;
    unsigned long seed = 1;
    bool texts = false;
    bool reference = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            generator.office = optarg;
            break;
        case 'c':
            count = number_from("count", optarg);
            break;
        case 's':
            seed = number_from("seed", optarg);
            break;
        case 'w':
            generator.window = optarg;
            break;
        case 'm':
            generator.marker = optarg;
            break;
        case 'e':
            generator.edits = fopen(optarg, "w");
            if (generator.edits == NULL) {
                die("%s: cannot be written", optarg);
            }
            break;
        case 'r':
            reference = true;
            break;
        case 'p':
            texts = true;
            break;
        case 'i':
            generator.iso_codes = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind != argc || !is_office(generator.office)) {
        fputs(usage, stderr);
        return 2;
    }
    book = codebook_reprisals();
    /* Offices with one seed write about different things. */
    generator.chance.state = seed;
    for (const char *at = generator.office; *at != '\0'; at++) {
        generator.chance.state = next_random(&generator) ^ (uint64_t)*at;
    }
    generator.edit_chance.state = next_random(&generator);
    load_countries(&generator);
    generator.language = office_language(generator.office);
    if (texts) {
        print_texts(&generator, count);
    } else if (reference) {
        make_reference(&generator, count);
    } else {
        for (unsigned long i = 0; i < count; i++) {
            make_case(&generator);
        }
    }
    free_countries(&generator);
    if (generator.edits != NULL && fclose(generator.edits) != 0) {
        die("the edits cannot be written");
    }
    if (fflush(stdout) != 0) {
        die("the output cannot be written");
    }
    return 0;
}
