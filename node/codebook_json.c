#include "node/codebook_json.h"

#include "node/value.h"
#include "store/codebook_changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const gates[] = { "scope", "consent", "no_harm", "verification", "four_eyes", "reply" };

/* --- out --- */

static json_t *
kinds_json(const struct codebook *codebook, uint32_t kinds)
{
    json_t *list = json_array();

    for (size_t n = 0; n < codebook->kind_count; n++) {
        if ((kinds & (UINT32_C(1) << codebook->kinds[n].number)) != 0) {
            (void)json_array_append_new(list, json_string(codebook->kinds[n].name));
        }
    }
    return list;
}

/* The stage from which on the field must be filled in, in the first of its kinds that has stages; "": never. */
static const char *
stage_name(const struct codebook *codebook, const struct codebook_field *field)
{
    for (size_t n = 0; n < codebook->kind_count && field->stage != 0; n++) {
        uint32_t kind = codebook->kinds[n].number;
        const struct codebook_field *stage =
            (field->kinds >> kind & 1) == 0 ? NULL : codebook_stage_field(codebook, kind);

        if (stage != NULL) {
            return codebook_value(codebook_vocabulary(codebook, stage->vocabulary), field->stage)->name;
        }
    }
    return "";
}

/* Of a record its kind, of an element its collection; "": any, or it points at nothing. */
static const char *
target_name(const struct codebook *codebook, const struct codebook_field *field)
{
    const struct codebook_kind *kind = codebook_kind(codebook, field->target);
    const struct codebook_collection *collection = codebook_collection(codebook, field->target);

    if (field->type == TYPE_RECORD && kind != NULL) {
        return kind->name;
    }
    return field->type == TYPE_ELEMENT && collection != NULL ? collection->name : "";
}

static json_t *
put_field(const struct codebook *codebook, const struct codebook_field *field)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);
    const struct codebook_collection *collection = codebook_collection(codebook, field->collection);

    return json_pack("{s:s,s:I,s:s,s:s,s:o,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:b,s:b,s:b,s:b}", "name", field->name,
                     "number", (json_int_t)field->number, "label", field->label, "collection",
                     collection == NULL ? "" : collection->name, "kinds", kinds_json(codebook, field->kinds),
                     "type", value_type_name(field->type), "vocabulary",
                     vocabulary == NULL ? "" : vocabulary->name, "target", target_name(codebook, field),
                     "level", value_level_name(field->sensitivity), "policy",
                     value_policy_name(field->policy), "required", (field->flags & FIELD_REQUIRED) != 0,
                     "from", stage_name(codebook, field), "indexed", (field->flags & FIELD_INDEXED) != 0,
                     "listed", (field->flags & FIELD_LISTED) != 0, "once", (field->flags & FIELD_ONCE) != 0,
                     "stage", (field->flags & FIELD_STAGE) != 0);
}

static json_t *
put_collection(const struct codebook *codebook, const struct codebook_collection *collection)
{
    return json_pack(
        "{s:s,s:I,s:s,s:o,s:s,s:b,s:b,s:b}", "name", collection->name, "number",
        (json_int_t)collection->number, "label", collection->label, "kinds",
        kinds_json(codebook, collection->kinds), "level", value_level_name(collection->sensitivity), "set",
        (collection->flags & COLLECTION_SET) != 0, "keyed", (collection->flags & COLLECTION_KEYED) != 0,
        "append_only", (collection->flags & COLLECTION_APPEND_ONLY) != 0);
}

/* A step, and what has to be passed before it. */
static json_t *
put_step(const struct codebook_vocabulary *vocabulary, const struct codebook_step *step)
{
    json_t *needs = json_array();

    for (size_t n = 0; n < sizeof gates / sizeof gates[0]; n++) {
        if ((step->gates >> n & 1) != 0) {
            (void)json_array_append_new(needs, json_string(gates[n]));
        }
    }
    const struct codebook_value *from = codebook_value(vocabulary, step->from);
    const char *any = step->from == STEP_FROM_ANY ? "any" : "none";
    return json_pack("{s:s,s:s,s:o}", "from", from == NULL ? any : from->name, "to",
                     codebook_value(vocabulary, step->to)->name, "gates", needs);
}

static json_t *
put_value(const struct codebook_vocabulary *groups, const struct codebook_value *value)
{
    const struct codebook_value *group = groups == NULL ? NULL : codebook_value(groups, value->group);

    return json_pack("{s:s,s:I,s:s,s:I,s:s}", "name", value->name, "number", (json_int_t)value->number,
                     "label", value->label, "rank", (json_int_t)value->rank, "group",
                     group == NULL ? "" : group->name);
}

static json_t *
put_vocabulary(const struct codebook *codebook, const struct codebook_vocabulary *vocabulary)
{
    const struct codebook_vocabulary *groups = codebook_vocabulary(codebook, vocabulary->groups);
    json_t *values = json_array();
    json_t *steps = json_array();

    for (size_t n = 0; n < vocabulary->value_count; n++) {
        (void)json_array_append_new(values, put_value(groups, &vocabulary->values[n]));
    }
    for (size_t n = 0; n < vocabulary->step_count; n++) {
        (void)json_array_append_new(steps, put_step(vocabulary, &vocabulary->steps[n]));
    }
    return json_pack("{s:s,s:I,s:s,s:s,s:o,s:o}", "name", vocabulary->name, "number",
                     (json_int_t)vocabulary->number, "label", vocabulary->label, "groups",
                     groups == NULL ? "" : groups->name, "values", values, "steps", steps);
}

/* True if a field of one of `kinds` holds codes of the vocabulary. */
static bool
is_used(const struct codebook *codebook, uint32_t vocabulary, uint32_t kinds)
{
    for (size_t n = 0; n < codebook->field_count; n++) {
        if (codebook->fields[n].vocabulary == vocabulary && (codebook->fields[n].kinds & kinds) != 0) {
            return true;
        }
    }
    return false;
}

json_t *
codebook_json(const struct codebook *codebook, const struct codebook_kind *only)
{
    uint32_t wanted = only == NULL ? UINT32_MAX : UINT32_C(1) << only->number;
    json_t *kinds = json_array();
    json_t *fields = json_array();
    json_t *collections = json_array();
    json_t *vocabularies = json_array();
    struct hash id;

    for (size_t n = 0; n < codebook->kind_count; n++) {
        const struct codebook_kind *kind = &codebook->kinds[n];

        if (only == NULL || only == kind) {
            (void)json_array_append_new(kinds, json_pack("{s:s,s:I,s:s}", "name", kind->name, "number",
                                                         (json_int_t)kind->number, "label", kind->label));
        }
    }
    for (size_t n = 0; n < codebook->field_count; n++) {
        if ((codebook->fields[n].kinds & wanted) != 0) {
            (void)json_array_append_new(fields, put_field(codebook, &codebook->fields[n]));
        }
    }
    for (size_t n = 0; n < codebook->collection_count; n++) {
        if ((codebook->collections[n].kinds & wanted) != 0) {
            (void)json_array_append_new(collections, put_collection(codebook, &codebook->collections[n]));
        }
    }
    for (size_t n = 0; n < codebook->vocabulary_count; n++) {
        if (only == NULL || is_used(codebook, codebook->vocabularies[n].number, wanted)) {
            (void)json_array_append_new(vocabularies, put_vocabulary(codebook, &codebook->vocabularies[n]));
        }
    }
    codebook_id(codebook, &id);
    return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:o}", "name", codebook->name, "version",
                     (json_int_t)codebook->version, "id", hex_json(hash_span(&id)), "kinds", kinds, "fields",
                     fields, "collections", collections, "vocabularies", vocabularies);
}

static void
put_change(void *self, const struct codebook_change *change)
{
    static const char *const words[] = { "", "added", "altered", "refused" };

    (void)json_array_append_new(self, json_pack("{s:s,s:s,s:s}", "how", words[change->how], "what",
                                                change->what, "why", change->text));
}

json_t *
codebook_changes_json(const struct codebook *before, const struct codebook *after, size_t *refused_out)
{
    json_t *rows = json_array();

    *refused_out = rows == NULL ? 0 : codebook_compare(before, after, put_change, rows);
    return rows;
}

/* --- in --- */

/* One codebook while it is read: arrays of its own, texts lent by the JSON. */
struct reading {
    struct codebook book;
    struct codebook_kind *kinds;
    struct codebook_collection *collections;
    struct codebook_field *fields;
    struct codebook_vocabulary *vocabularies;
    struct codebook_fault *fault;
    char where[96]; /* "field act.stage" */
    enum err err;
};

__attribute__((format(printf, 2, 3))) static void
wrong(struct reading *reading, const char *format, ...)
{
    char text[sizeof reading->fault->what];
    va_list args;

    if (reading->err != ERR_OK) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    reading->err = ERR_INVALID;
    (void)snprintf(reading->fault->what, sizeof reading->fault->what, "%.90s: %.60s", reading->where, text);
}

static void *
room(struct reading *reading, size_t count, size_t size)
{
    void *items = calloc(count + 1, size);

    if (items == NULL) {
        reading->err = reading->err == ERR_OK ? ERR_MEMORY : reading->err;
    }
    return items;
}

/* Nothing stands in an object but these members. */
static void
check_members(struct reading *reading, const json_t *object, const char *const *names)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object)) {
        wrong(reading, "it is no object");
        return;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        bool known = false;

        for (size_t n = 0; names[n] != NULL; n++) {
            known = known || strcmp(names[n], key) == 0;
        }
        if (!known) {
            wrong(reading, "it has no \"%.30s\"", key);
        }
    }
}

static const char *
text_of(struct reading *reading, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (value != NULL && !json_is_string(value)) {
        wrong(reading, "\"%s\" is no text", name);
    }
    return json_is_string(value) ? json_string_value(value) : "";
}

static uint32_t
number_of(struct reading *reading, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    json_int_t number = json_integer_value(value);

    if (value != NULL && (!json_is_integer(value) || number < 0 || number > UINT32_MAX)) {
        wrong(reading, "\"%s\" is no number from 0 to 4294967295", name);
        return 0;
    }
    return (uint32_t)number;
}

static uint32_t
flag_of(struct reading *reading, const json_t *object, const char *name, uint32_t flag)
{
    const json_t *value = json_object_get(object, name);

    if (value != NULL && !json_is_boolean(value)) {
        wrong(reading, "\"%s\" is neither true nor false", name);
    }
    return json_is_true(value) ? flag : 0;
}

static const json_t *
list_of(struct reading *reading, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (value != NULL && !json_is_array(value)) {
        wrong(reading, "\"%s\" is no list", name);
        return NULL;
    }
    return value;
}

/* The place of a word in a row of words; `missing`, and wrong, if it is none. */
static uint32_t
word_of(struct reading *reading, const json_t *object, const char *name, const char *(*word)(uint32_t n),
        uint32_t first, uint32_t end)
{
    const char *text = text_of(reading, object, name);

    for (uint32_t n = first; n < end; n++) {
        if (strcmp(word(n), text) == 0) {
            return n;
        }
    }
    wrong(reading, "\"%s\" is none of the words that it may be", name);
    return first;
}

static const char *
type_word(uint32_t n)
{
    return value_type_name((enum codebook_type)n);
}

static const char *
policy_word(uint32_t n)
{
    return value_policy_name((enum merge_policy)n);
}

static const char *
level_word(uint32_t n)
{
    return value_level_name((enum sensitivity)n);
}

static enum sensitivity
level_of(struct reading *reading, const json_t *object)
{
    return (enum sensitivity)word_of(reading, object, "level", level_word, LEVEL_L0, LEVEL_L3 + 1);
}

static uint32_t
kinds_of(struct reading *reading, const json_t *object)
{
    const json_t *list = list_of(reading, object, "kinds");
    uint32_t kinds = 0;

    for (size_t n = 0; n < json_array_size(list); n++) {
        const char *name = json_string_value(json_array_get(list, n));
        const struct codebook_kind *kind = name == NULL ? NULL : codebook_kind_by_name(&reading->book, name);

        if (kind == NULL || kind->number > 31) {
            wrong(reading, "there is no kind called %.30s", name == NULL ? "that" : name);
        } else {
            kinds |= UINT32_C(1) << kind->number;
        }
    }
    return kinds;
}

/* "field act.stage", of what is read next. */
static void
set_where(struct reading *reading, const char *what, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));

    (void)snprintf(reading->where, sizeof reading->where, "%s %.60s", what,
                   name == NULL ? "without a name" : name);
}

static void
read_kinds(struct reading *reading, const json_t *list)
{
    static const char *const members[] = { "name", "number", "label", NULL };

    reading->kinds = room(reading, json_array_size(list), sizeof *reading->kinds);
    reading->book.kinds = reading->kinds;
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *object = json_array_get(list, n);

        set_where(reading, "kind", object);
        check_members(reading, object, members);
        reading->kinds[n] =
            (struct codebook_kind){ number_of(reading, object, "number"), text_of(reading, object, "name"),
                                    text_of(reading, object, "label") };
        reading->book.kind_count++;
    }
}

static void
read_collections(struct reading *reading, const json_t *list)
{
    static const char *const members[] = { "name", "number", "label",       "kinds", "level",
                                           "set",  "keyed",  "append_only", NULL };

    reading->collections = room(reading, json_array_size(list), sizeof *reading->collections);
    reading->book.collections = reading->collections;
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *object = json_array_get(list, n);

        set_where(reading, "collection", object);
        check_members(reading, object, members);
        reading->collections[n] = (struct codebook_collection){
            number_of(reading, object, "number"),
            text_of(reading, object, "name"),
            text_of(reading, object, "label"),
            kinds_of(reading, object),
            flag_of(reading, object, "set", COLLECTION_SET) |
                flag_of(reading, object, "keyed", COLLECTION_KEYED) |
                flag_of(reading, object, "append_only", COLLECTION_APPEND_ONLY),
            level_of(reading, object),
        };
        reading->book.collection_count++;
    }
}

static uint32_t
vocabulary_of(struct reading *reading, const json_t *object, const char *member)
{
    const char *name = text_of(reading, object, member);

    for (size_t n = 0; n < reading->book.vocabulary_count && name[0] != '\0'; n++) {
        if (strcmp(reading->vocabularies[n].name, name) == 0) {
            return reading->vocabularies[n].number;
        }
    }
    if (name[0] != '\0') {
        wrong(reading, "there is no vocabulary called %.30s", name);
    }
    return 0;
}

static uint32_t
value_number(struct reading *reading, uint32_t vocabulary, const char *name)
{
    const struct codebook_vocabulary *of = codebook_vocabulary(&reading->book, vocabulary);
    const struct codebook_value *value = of == NULL ? NULL : codebook_value_by_name(of, name);

    if (value == NULL) {
        wrong(reading, "there is no value called %.30s", name);
        return 0;
    }
    return value->number;
}

static void
read_values(struct reading *reading, const json_t *object, struct codebook_vocabulary *vocabulary)
{
    static const char *const members[] = { "name", "number", "label", "rank", "group", NULL };
    const json_t *list = list_of(reading, object, "values");
    struct codebook_value *values = room(reading, json_array_size(list), sizeof *values);

    vocabulary->values = values;
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *item = json_array_get(list, n);

        check_members(reading, item, members);
        values[n] =
            (struct codebook_value){ number_of(reading, item, "number"), number_of(reading, item, "rank"),
                                     text_of(reading, item, "name"), text_of(reading, item, "label"), 0 };
        vocabulary->value_count++;
    }
}

static void
read_steps(struct reading *reading, const json_t *object, struct codebook_vocabulary *vocabulary)
{
    static const char *const members[] = { "from", "to", "gates", NULL };
    const json_t *list = list_of(reading, object, "steps");
    struct codebook_step *steps = room(reading, json_array_size(list), sizeof *steps);

    vocabulary->steps = steps;
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *item = json_array_get(list, n);
        const char *from = text_of(reading, item, "from");
        const json_t *needs = list_of(reading, item, "gates");
        struct codebook_step *step = &steps[n];

        check_members(reading, item, members);
        step->from = strcmp(from, "any") == 0    ? STEP_FROM_ANY
                     : strcmp(from, "none") == 0 ? (uint32_t)STEP_FROM_NONE
                                                 : value_number(reading, vocabulary->number, from);
        step->to = value_number(reading, vocabulary->number, text_of(reading, item, "to"));
        for (size_t gate = 0; gate < json_array_size(needs); gate++) {
            const char *name = json_string_value(json_array_get(needs, gate));
            uint32_t bit = 0;

            for (size_t at = 0; name != NULL && at < sizeof gates / sizeof gates[0]; at++) {
                bit |= strcmp(gates[at], name) == 0 ? UINT32_C(1) << at : 0;
            }
            if (bit == 0) {
                wrong(reading, "there is no gate called %.30s", name == NULL ? "that" : name);
            }
            step->gates |= bit;
        }
        vocabulary->step_count++;
    }
}

/* Values first, then what refers to them. */
static void
read_vocabularies(struct reading *reading, const json_t *list)
{
    static const char *const members[] = { "name", "number", "label", "groups", "values", "steps", NULL };

    reading->vocabularies = room(reading, json_array_size(list), sizeof *reading->vocabularies);
    reading->book.vocabularies = reading->vocabularies;
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *object = json_array_get(list, n);
        struct codebook_vocabulary *vocabulary = &reading->vocabularies[n];

        set_where(reading, "vocabulary", object);
        check_members(reading, object, members);
        vocabulary->number = number_of(reading, object, "number");
        vocabulary->name = text_of(reading, object, "name");
        vocabulary->label = text_of(reading, object, "label");
        reading->book.vocabulary_count++;
        read_values(reading, object, vocabulary);
    }
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *object = json_array_get(list, n);
        const json_t *values = json_object_get(object, "values");
        struct codebook_vocabulary *vocabulary = &reading->vocabularies[n];

        set_where(reading, "vocabulary", object);
        vocabulary->groups = vocabulary_of(reading, object, "groups");
        for (size_t at = 0; at < json_array_size(values) && reading->err == ERR_OK; at++) {
            const char *group = text_of(reading, json_array_get(values, at), "group");

            if (group[0] != '\0') {
                ((struct codebook_value *)(uintptr_t)vocabulary->values)[at].group =
                    value_number(reading, vocabulary->groups, group);
            }
        }
        read_steps(reading, object, vocabulary);
    }
}

/* A collection by name, among those of any of these kinds. */
static uint32_t
collection_of(struct reading *reading, const char *name, uint32_t kinds)
{
    for (size_t n = 0; n < reading->book.collection_count && name[0] != '\0'; n++) {
        if (strcmp(reading->collections[n].name, name) == 0 && (reading->collections[n].kinds & kinds) != 0) {
            return reading->collections[n].number;
        }
    }
    if (name[0] != '\0') {
        wrong(reading, "there is no collection called %.30s", name);
    }
    return 0;
}

static uint32_t
target_of(struct reading *reading, const json_t *object, const struct codebook_field *field)
{
    const char *name = text_of(reading, object, "target");
    const struct codebook_kind *kind = codebook_kind_by_name(&reading->book, name);

    if (name[0] == '\0') {
        return 0;
    }
    if (field->type == TYPE_ELEMENT) {
        return collection_of(reading, name, field->kinds);
    }
    if (field->type != TYPE_RECORD || kind == NULL) {
        wrong(reading, "it cannot point at %.30s", name);
        return 0;
    }
    return kind->number;
}

/* The stage from which on the field is asked for, in the first of its kinds that has stages. */
static uint32_t
stage_of(struct reading *reading, const json_t *object, uint32_t kinds)
{
    const char *name = text_of(reading, object, "from");

    for (size_t n = 0; n < reading->book.kind_count && name[0] != '\0'; n++) {
        uint32_t kind = reading->kinds[n].number;
        const struct codebook_field *stage =
            (kinds >> kind & 1) == 0 ? NULL : codebook_stage_field(&reading->book, kind);

        if (stage != NULL) {
            return value_number(reading, stage->vocabulary, name);
        }
    }
    if (name[0] != '\0') {
        wrong(reading, "no kind that has it has stages");
    }
    return 0;
}

static void
read_fields(struct reading *reading, const json_t *list)
{
    static const char *const members[] = { "name",       "number", "label", "collection", "kinds",    "type",
                                           "vocabulary", "target", "level", "policy",     "required", "from",
                                           "indexed",    "listed", "once",  "stage",      NULL };

    reading->fields = room(reading, json_array_size(list), sizeof *reading->fields);
    reading->book.fields = reading->fields;
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *object = json_array_get(list, n);
        struct codebook_field *field = &reading->fields[n];

        set_where(reading, "field", object);
        check_members(reading, object, members);
        field->number = number_of(reading, object, "number");
        field->name = text_of(reading, object, "name");
        field->label = text_of(reading, object, "label");
        field->kinds = kinds_of(reading, object);
        field->collection = collection_of(reading, text_of(reading, object, "collection"), field->kinds);
        field->type =
            (enum codebook_type)word_of(reading, object, "type", type_word, TYPE_TEXT, TYPE_FILE_KEY + 1);
        field->vocabulary = vocabulary_of(reading, object, "vocabulary");
        field->sensitivity = level_of(reading, object);
        field->policy = (enum merge_policy)word_of(reading, object, "policy", policy_word, MERGE_SURFACE,
                                                   MERGE_LATEST + 1);
        field->flags = flag_of(reading, object, "required", FIELD_REQUIRED) |
                       flag_of(reading, object, "indexed", FIELD_INDEXED) |
                       flag_of(reading, object, "listed", FIELD_LISTED) |
                       flag_of(reading, object, "once", FIELD_ONCE) |
                       flag_of(reading, object, "stage", FIELD_STAGE);
        field->target = target_of(reading, object, field);
        reading->book.field_count++;
    }
    for (size_t n = 0; n < json_array_size(list) && reading->err == ERR_OK; n++) {
        const json_t *object = json_array_get(list, n);

        set_where(reading, "field", object);
        reading->fields[n].stage = stage_of(reading, object, reading->fields[n].kinds);
    }
}

/* What was read, in one block: the strict reader of its bytes has the last word. */
static enum err
take_whole(struct reading *reading, struct codebook **out)
{
    struct buf bytes = { 0 };

    codebook_encode(&reading->book, &bytes);
    enum err err = bytes.failed ? ERR_MEMORY : codebook_decode(buf_span(&bytes), out);
    buf_free(&bytes);
    if (err == ERR_INVALID) {
        (void)snprintf(
            reading->fault->what, sizeof reading->fault->what,
            "numbers rise, names are of a-z 0-9 _ and ., no L3 field is indexed or listed, and the whole "
            "is not too large: one of these does not hold");
    }
    return err;
}

enum err
codebook_from_json(const json_t *json, struct codebook **codebook_out, struct codebook_fault *fault_out)
{
    static const char *const members[] = { "name",   "version",     "id",           "kinds",
                                           "fields", "collections", "vocabularies", NULL };
    struct reading reading = { .fault = fault_out, .where = "the codebook" };

    *codebook_out = NULL;
    fault_out->what[0] = '\0';
    check_members(&reading, json, members);
    reading.book.name = text_of(&reading, json, "name");
    reading.book.version = number_of(&reading, json, "version");
    read_kinds(&reading, list_of(&reading, json, "kinds"));
    read_collections(&reading, list_of(&reading, json, "collections"));
    read_vocabularies(&reading, list_of(&reading, json, "vocabularies"));
    read_fields(&reading, list_of(&reading, json, "fields"));
    enum err err = reading.err == ERR_OK ? take_whole(&reading, codebook_out) : reading.err;
    for (size_t n = 0; n < reading.book.vocabulary_count; n++) {
        free((void *)(uintptr_t)reading.vocabularies[n].values);
        free((void *)(uintptr_t)reading.vocabularies[n].steps);
    }
    free(reading.kinds);
    free(reading.collections);
    free(reading.fields);
    free(reading.vocabularies);
    return err;
}
