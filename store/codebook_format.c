/* codebook_format.c - a codebook as bytes, and back.
 *
 *     { 0: version, 1: name, 2: [kind, ...], 3: [collection, ...], 4: [field, ...], 5: [vocabulary, ...] }
 *
 *     kind        [number, name, label]
 *     collection  [number, name, label, kinds, flags, sensitivity]
 *     field       [number, name, label, collection, kinds, type, vocabulary, sensitivity, policy, flags,
 *                  target, stage]
 *     vocabulary  [number, name, label, groups, [value, ...], [step, ...]]
 *     value       [number, name, label, rank, group]
 *     step        [from, to, gates]
 *
 * The bytes are read twice: to check and measure every item, and, once one block of that
 * size is there, to fill it. What the items say of each other is checked in the block.
 */
#include "store/codebook.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/cbor.h"
#include "store/base/crypto.h"

enum { NAME_BYTES_MAX = 64, LABEL_BYTES_MAX = 200 };

/* Names are compared with each other, so their number is bounded. */
enum {
    KINDS_MAX = 31,
    COLLECTIONS_MAX = 1024,
    FIELDS_MAX = 4096,
    VOCABULARIES_MAX = 1024,
    VALUES_MAX = 4096,
    STEPS_MAX = 4096
};

enum { FIELD_FLAGS = FIELD_REQUIRED | FIELD_INDEXED | FIELD_LISTED | FIELD_ONCE | FIELD_STAGE };
enum { GATES = GATE_SCOPE | GATE_CONSENT | GATE_NO_HARM | GATE_VERIFICATION | GATE_FOUR_EYES | GATE_REPLY };
enum { COLLECTION_FLAGS = COLLECTION_APPEND_ONLY | COLLECTION_SET | COLLECTION_KEYED };

/* --- Writing ---------------------------------------------------------------- */

static void
put_text(struct buf *out, const char *text)
{
    cbor_put_text(out, span_text(text));
}

static void
put_head(struct buf *out, size_t columns, uint32_t number, const char *name, const char *label)
{
    cbor_put_array(out, columns);
    cbor_put_uint(out, number);
    put_text(out, name);
    put_text(out, label);
}

static void
put_field(struct buf *out, const struct codebook_field *field)
{
    put_head(out, 12, field->number, field->name, field->label);
    cbor_put_uint(out, field->collection);
    cbor_put_uint(out, field->kinds);
    cbor_put_uint(out, field->type);
    cbor_put_uint(out, field->vocabulary);
    cbor_put_uint(out, field->sensitivity);
    cbor_put_uint(out, field->policy);
    cbor_put_uint(out, field->flags);
    cbor_put_uint(out, field->target);
    cbor_put_uint(out, field->stage);
}

static void
put_vocabulary(struct buf *out, const struct codebook_vocabulary *vocabulary)
{
    put_head(out, 6, vocabulary->number, vocabulary->name, vocabulary->label);
    cbor_put_uint(out, vocabulary->groups);
    cbor_put_array(out, vocabulary->value_count);
    for (size_t i = 0; i < vocabulary->value_count; i++) {
        const struct codebook_value *value = &vocabulary->values[i];
        put_head(out, 5, value->number, value->name, value->label);
        cbor_put_uint(out, value->rank);
        cbor_put_uint(out, value->group);
    }
    cbor_put_array(out, vocabulary->step_count);
    for (size_t i = 0; i < vocabulary->step_count; i++) {
        cbor_put_array(out, 3);
        cbor_put_uint(out, vocabulary->steps[i].from);
        cbor_put_uint(out, vocabulary->steps[i].to);
        cbor_put_uint(out, vocabulary->steps[i].gates);
    }
}

void
codebook_encode(const struct codebook *codebook, struct buf *out)
{
    cbor_put_map(out, 6);
    cbor_put_uint(out, 0);
    cbor_put_uint(out, codebook->version);
    cbor_put_uint(out, 1);
    put_text(out, codebook->name);
    cbor_put_uint(out, 2);
    cbor_put_array(out, codebook->kind_count);
    for (size_t i = 0; i < codebook->kind_count; i++) {
        const struct codebook_kind *kind = &codebook->kinds[i];
        put_head(out, 3, kind->number, kind->name, kind->label);
    }
    cbor_put_uint(out, 3);
    cbor_put_array(out, codebook->collection_count);
    for (size_t i = 0; i < codebook->collection_count; i++) {
        const struct codebook_collection *collection = &codebook->collections[i];
        put_head(out, 6, collection->number, collection->name, collection->label);
        cbor_put_uint(out, collection->kinds);
        cbor_put_uint(out, collection->flags);
        cbor_put_uint(out, collection->sensitivity);
    }
    cbor_put_uint(out, 4);
    cbor_put_array(out, codebook->field_count);
    for (size_t i = 0; i < codebook->field_count; i++) {
        put_field(out, &codebook->fields[i]);
    }
    cbor_put_uint(out, 5);
    cbor_put_array(out, codebook->vocabulary_count);
    for (size_t i = 0; i < codebook->vocabulary_count; i++) {
        put_vocabulary(out, &codebook->vocabularies[i]);
    }
}

void
codebook_id(const struct codebook *codebook, struct hash *id_out)
{
    struct buf bytes = { 0 };

    codebook_encode(codebook, &bytes);
    assert(!bytes.failed);
    CRYPTO_HASH(id_out, "vigil.cbk.v1", buf_span(&bytes));
    buf_free(&bytes);
}

/* --- Reading ---------------------------------------------------------------- */

/* The items of a codebook. The first time the pointers are NULL and the counts say how many
 * there will be; the second time they lead into the block, and say how many are there. */
struct loader {
    struct cbor_reader in;
    struct codebook head;
    struct codebook_kind *kinds;
    struct codebook_collection *collections;
    struct codebook_field *fields;
    struct codebook_vocabulary *vocabularies;
    struct codebook_value *values;
    size_t value_count;
    struct codebook_step *steps;
    size_t step_count;
    char *text;
    size_t text_bytes;
};

static bool
failed(const struct loader *loader)
{
    return loader->in.in.failed;
}

static uint32_t
take_number(struct loader *loader, uint32_t most)
{
    uint64_t number = cbor_read_uint(&loader->in);

    if (number > most) {
        cbor_fail(&loader->in);
        return 0;
    }
    return (uint32_t)number;
}

/* An array of exactly `columns`. */
static void
take_columns(struct loader *loader, size_t columns)
{
    if (cbor_read_array(&loader->in) != columns) {
        cbor_fail(&loader->in);
    }
}

/* An array of at most `most`; 0 once failed. */
static size_t
take_count(struct loader *loader, size_t most)
{
    size_t count = cbor_read_array(&loader->in);

    if (count > most) {
        cbor_fail(&loader->in);
    }
    return failed(loader) ? 0 : count;
}

/* Keys of the one map come in order. */
static void
take_key(struct loader *loader, uint64_t key)
{
    if (cbor_read_uint(&loader->in) != key) {
        cbor_fail(&loader->in);
    }
}

static bool
name_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' || byte == '.';
}

/* NULL the first time, and once failed. */
static const char *
take_text(struct loader *loader, bool is_name)
{
    struct span text = cbor_read_text(&loader->in);

    if (text.size == 0 || text.size > (is_name ? NAME_BYTES_MAX : LABEL_BYTES_MAX)) {
        cbor_fail(&loader->in);
        return NULL;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (is_name ? !name_byte(text.data[i]) : text.data[i] < 0x20 || text.data[i] == 0x7f) {
            cbor_fail(&loader->in);
            return NULL;
        }
    }
    char *copy = NULL;
    if (loader->text != NULL) {
        copy = loader->text + loader->text_bytes;
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
    }
    loader->text_bytes += text.size + 1;
    return copy;
}

static void
load_kind(struct loader *loader)
{
    struct codebook_kind kind = { 0 };

    take_columns(loader, 3);
    kind.number = take_number(loader, KINDS_MAX);
    kind.name = take_text(loader, true);
    kind.label = take_text(loader, false);
    if (loader->kinds != NULL) {
        loader->kinds[loader->head.kind_count] = kind;
    }
    loader->head.kind_count++;
}

static void
load_collection(struct loader *loader)
{
    struct codebook_collection collection = { 0 };

    take_columns(loader, 6);
    collection.number = take_number(loader, UINT32_MAX);
    collection.name = take_text(loader, true);
    collection.label = take_text(loader, false);
    collection.kinds = take_number(loader, UINT32_MAX);
    collection.flags = take_number(loader, COLLECTION_FLAGS);
    collection.sensitivity = take_number(loader, LEVEL_L3);
    if (loader->collections != NULL) {
        loader->collections[loader->head.collection_count] = collection;
    }
    loader->head.collection_count++;
}

static void
load_field(struct loader *loader)
{
    struct codebook_field field = { 0 };

    take_columns(loader, 12);
    field.number = take_number(loader, UINT32_MAX);
    field.name = take_text(loader, true);
    field.label = take_text(loader, false);
    field.collection = take_number(loader, UINT32_MAX);
    field.kinds = take_number(loader, UINT32_MAX);
    field.type = take_number(loader, TYPE_FILE_KEY);
    field.vocabulary = take_number(loader, UINT32_MAX);
    field.sensitivity = take_number(loader, LEVEL_L3);
    field.policy = take_number(loader, MERGE_LATEST);
    field.flags = take_number(loader, FIELD_FLAGS);
    field.target = take_number(loader, UINT32_MAX);
    field.stage = take_number(loader, UINT32_MAX);
    if (loader->fields != NULL) {
        loader->fields[loader->head.field_count] = field;
    }
    loader->head.field_count++;
}

static void
load_value(struct loader *loader)
{
    struct codebook_value value = { 0 };

    take_columns(loader, 5);
    value.number = take_number(loader, UINT32_MAX);
    value.name = take_text(loader, true);
    value.label = take_text(loader, false);
    value.rank = take_number(loader, UINT32_MAX);
    value.group = take_number(loader, UINT32_MAX);
    if (loader->values != NULL) {
        loader->values[loader->value_count] = value;
    }
    loader->value_count++;
}

static void
load_step(struct loader *loader)
{
    struct codebook_step step = { 0 };

    take_columns(loader, 3);
    step.from = take_number(loader, UINT32_MAX);
    step.to = take_number(loader, UINT32_MAX);
    step.gates = take_number(loader, GATES);
    if (loader->steps != NULL) {
        loader->steps[loader->step_count] = step;
    }
    loader->step_count++;
}

static void
load_vocabulary(struct loader *loader)
{
    struct codebook_vocabulary vocabulary = { 0 };

    take_columns(loader, 6);
    vocabulary.number = take_number(loader, UINT32_MAX);
    vocabulary.name = take_text(loader, true);
    vocabulary.label = take_text(loader, false);
    vocabulary.groups = take_number(loader, UINT32_MAX);
    vocabulary.values = loader->values == NULL ? NULL : loader->values + loader->value_count;
    vocabulary.value_count = take_count(loader, VALUES_MAX);
    for (size_t i = 0; i < vocabulary.value_count && !failed(loader); i++) {
        load_value(loader);
    }
    vocabulary.steps = loader->steps == NULL ? NULL : loader->steps + loader->step_count;
    vocabulary.step_count = take_count(loader, STEPS_MAX);
    for (size_t i = 0; i < vocabulary.step_count && !failed(loader); i++) {
        load_step(loader);
    }
    if (loader->vocabularies != NULL) {
        loader->vocabularies[loader->head.vocabulary_count] = vocabulary;
    }
    loader->head.vocabulary_count++;
}

static void
load_each(struct loader *loader, uint64_t key, size_t most, void (*load)(struct loader *loader))
{
    take_key(loader, key);
    size_t count = take_count(loader, most);
    for (size_t i = 0; i < count && !failed(loader); i++) {
        load(loader);
    }
}

/* Everything, once. */
static bool
load(struct loader *loader, struct span bytes)
{
    loader->in = cbor_reader_of(bytes);
    if (cbor_read_map(&loader->in) != 6) {
        cbor_fail(&loader->in);
    }
    take_key(loader, 0);
    loader->head.version = take_number(loader, UINT32_MAX);
    take_key(loader, 1);
    loader->head.name = take_text(loader, true);
    load_each(loader, 2, KINDS_MAX, load_kind);
    load_each(loader, 3, COLLECTIONS_MAX, load_collection);
    load_each(loader, 4, FIELDS_MAX, load_field);
    load_each(loader, 5, VOCABULARIES_MAX, load_vocabulary);
    return cbor_done(&loader->in);
}

/* --- What the items say of each other --------------------------------------- */

/* Numbers start at 1 and ascend in an array of items that begin with theirs. */
static bool
ascends(const void *items, size_t count, size_t item_bytes)
{
    const unsigned char *at = items;
    uint32_t last = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t number = *(const uint32_t *)(const void *)(at + i * item_bytes);
        if (number <= last) {
            return false;
        }
        last = number;
    }
    return true;
}

static bool
kinds_sound(const struct codebook *codebook)
{
    for (size_t i = 0; i < codebook->kind_count; i++) {
        if (codebook_kind_by_name(codebook, codebook->kinds[i].name) != &codebook->kinds[i]) {
            return false;
        }
    }
    return true;
}

/* The bits of all kinds that there are. */
static uint32_t
kinds_known(const struct codebook *codebook)
{
    uint32_t known = 0;

    for (size_t i = 0; i < codebook->kind_count; i++) {
        known |= (uint32_t)1 << codebook->kinds[i].number;
    }
    return known;
}

/* Ascending, each between values that there are. */
static bool
steps_sound(const struct codebook_vocabulary *vocabulary)
{
    for (size_t i = 0; i < vocabulary->step_count; i++) {
        const struct codebook_step *step = &vocabulary->steps[i];
        const struct codebook_step *before = i == 0 ? NULL : step - 1;

        if ((before != NULL &&
             (step->from < before->from || (step->from == before->from && step->to <= before->to))) ||
            codebook_value(vocabulary, step->to) == NULL ||
            (step->from != STEP_FROM_NONE && step->from != STEP_FROM_ANY &&
             codebook_value(vocabulary, step->from) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool
vocabulary_sound(const struct codebook *codebook, const struct codebook_vocabulary *vocabulary)
{
    const struct codebook_vocabulary *groups = codebook_vocabulary(codebook, vocabulary->groups);

    if (vocabulary->value_count == 0 || (vocabulary->groups != 0 && groups == NULL) ||
        !ascends(vocabulary->values, vocabulary->value_count, sizeof *vocabulary->values)) {
        return false;
    }
    for (size_t i = 0; i < vocabulary->value_count; i++) {
        const struct codebook_value *value = &vocabulary->values[i];
        if (codebook_value_by_name(vocabulary, value->name) != value ||
            (value->group != 0 && (groups == NULL || codebook_value(groups, value->group) == NULL))) {
            return false;
        }
    }
    return steps_sound(vocabulary);
}

/* True if another collection that some kind has too bears the name. */
static bool
collection_name_taken(const struct codebook *codebook, const struct codebook_collection *collection)
{
    for (const struct codebook_collection *other = codebook->collections; other != collection; other++) {
        if ((other->kinds & collection->kinds) != 0 && strcmp(other->name, collection->name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t
fields_of(const struct codebook *codebook, const struct codebook_collection *collection)
{
    size_t count = 0;

    for (size_t i = 0; i < codebook->field_count; i++) {
        count += codebook->fields[i].collection == collection->number;
    }
    return count;
}

static bool
collection_sound(const struct codebook *codebook, const struct codebook_collection *collection)
{
    bool is_set = (collection->flags & COLLECTION_SET) != 0;
    bool is_keyed = (collection->flags & COLLECTION_KEYED) != 0;
    size_t fields = fields_of(codebook, collection);

    return collection->kinds != 0 && (collection->kinds & ~kinds_known(codebook)) == 0 &&
           strchr(collection->name, '.') == NULL && !(is_set && is_keyed) &&
           (is_set ? fields == 1 : fields >= 1) && !collection_name_taken(codebook, collection);
}

/* A field of an element is named after its collection, that of a set like it, any other has no dot. */
static bool
field_name_sound(const struct codebook_field *field, const struct codebook_collection *collection)
{
    if (collection == NULL) {
        return strchr(field->name, '.') == NULL;
    }
    if ((collection->flags & COLLECTION_SET) != 0) {
        return strcmp(field->name, collection->name) == 0;
    }
    size_t size = strlen(collection->name);
    return strncmp(field->name, collection->name, size) == 0 && field->name[size] == '.' &&
           field->name[size + 1] != '\0' && strchr(field->name + size + 1, '.') == NULL;
}

/* Two fields of one kind have two names, and a field of the record is not named like a collection. */
static bool
field_name_taken(const struct codebook *codebook, const struct codebook_field *field)
{
    for (const struct codebook_field *other = codebook->fields; other != field; other++) {
        if ((other->kinds & field->kinds) != 0 && strcmp(other->name, field->name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; field->collection == 0 && i < codebook->collection_count; i++) {
        const struct codebook_collection *other = &codebook->collections[i];
        if ((other->kinds & field->kinds) != 0 && strcmp(other->name, field->name) == 0) {
            return true;
        }
    }
    return false;
}

static bool
target_sound(const struct codebook *codebook, const struct codebook_field *field)
{
    switch (field->type) {
    case TYPE_RECORD:
        return field->target == 0 || codebook_kind(codebook, field->target) != NULL;
    case TYPE_ELEMENT:
        return field->target == 0 || codebook_collection(codebook, field->target) != NULL;
    default:
        return field->target == 0;
    }
}

/* The field that tells the stage is a code of the record itself, and a kind has one at most. The stage from which on another
 * must be filled in is one of every kind that has stages; one kind of the field has. */
static bool
stage_sound(const struct codebook *codebook, const struct codebook_field *field)
{
    bool staged = false;

    for (size_t i = 0; i < codebook->kind_count; i++) {
        uint32_t kind = codebook->kinds[i].number;
        const struct codebook_field *stage = codebook_stage_field(codebook, kind);

        if ((field->kinds >> kind & 1) == 0 || stage == NULL) {
            continue;
        }
        if ((field->flags & FIELD_STAGE) != 0 &&
            (stage != field || field->collection != 0 || field->type != TYPE_CODE)) {
            return false;
        }
        const struct codebook_vocabulary *stages = codebook_vocabulary(codebook, stage->vocabulary);
        if (field->stage != 0 && (stages == NULL || codebook_value(stages, field->stage) == NULL)) {
            return false;
        }
        staged = true;
    }
    return staged || field->stage == 0;
}

static bool
field_sound(const struct codebook *codebook, const struct codebook_field *field)
{
    const struct codebook_collection *collection = codebook_collection(codebook, field->collection);
    bool has_vocabulary = codebook_vocabulary(codebook, field->vocabulary) != NULL;

    if (field->type < TYPE_TEXT || field->kinds == 0 || (field->kinds & ~kinds_known(codebook)) != 0 ||
        (field->type == TYPE_CODE ? !has_vocabulary : field->vocabulary != 0) ||
        !target_sound(codebook, field)) {
        return false;
    }
    if (field->collection != 0 && (collection == NULL || collection->kinds != field->kinds)) {
        return false;
    }
    if (collection != NULL && collection->sensitivity == LEVEL_L3 && field->sensitivity != LEVEL_L3) {
        return false;
    }
    /* What is strict must not leave the protected twin by way of an index or a list. */
    if (field->sensitivity == LEVEL_L3 && (field->flags & (FIELD_INDEXED | FIELD_LISTED)) != 0) {
        return false;
    }
    return stage_sound(codebook, field) && field_name_sound(field, collection) &&
           !field_name_taken(codebook, field);
}

/* Field 1 of every record is its kind. */
static bool
kind_field_sound(const struct codebook *codebook)
{
    const struct codebook_field *field = codebook_field(codebook, FIELD_KIND);

    return field != NULL && field->type == TYPE_CODE && field->collection == 0 &&
           field->sensitivity != LEVEL_L3 && field->kinds == kinds_known(codebook);
}

static bool
sound(const struct codebook *codebook)
{
    if (codebook->version == 0 || !ascends(codebook->kinds, codebook->kind_count, sizeof *codebook->kinds) ||
        !ascends(codebook->collections, codebook->collection_count, sizeof *codebook->collections) ||
        !ascends(codebook->fields, codebook->field_count, sizeof *codebook->fields) ||
        !ascends(codebook->vocabularies, codebook->vocabulary_count, sizeof *codebook->vocabularies) ||
        !kinds_sound(codebook) || !kind_field_sound(codebook)) {
        return false;
    }
    for (size_t i = 0; i < codebook->vocabulary_count; i++) {
        if (!vocabulary_sound(codebook, &codebook->vocabularies[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < codebook->collection_count; i++) {
        if (!collection_sound(codebook, &codebook->collections[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < codebook->field_count; i++) {
        if (!field_sound(codebook, &codebook->fields[i])) {
            return false;
        }
    }
    return true;
}

/* --- One block -------------------------------------------------------------- */

/* Room for `count` items at `*used`, which moves on. Items with pointers come before the text, so that
 * each stands where its pointers may. */
static void *
room(unsigned char *block, size_t *used, size_t count, size_t item_bytes)
{
    void *at = block + *used;

    *used += count * item_bytes;
    return at;
}

enum err
codebook_decode(struct span bytes, struct codebook **codebook_out)
{
    struct loader measure = { 0 };
    struct loader fill = { 0 };

    *codebook_out = NULL;
    if (bytes.size > CODEBOOK_BYTES_MAX || !load(&measure, bytes)) {
        return ERR_INVALID;
    }
    const struct codebook *counts = &measure.head;
    size_t size =
        sizeof(struct codebook) + counts->kind_count * sizeof *fill.kinds +
        counts->collection_count * sizeof *fill.collections + counts->field_count * sizeof *fill.fields +
        counts->vocabulary_count * sizeof *fill.vocabularies + measure.value_count * sizeof *fill.values +
        measure.step_count * sizeof *fill.steps + measure.text_bytes;
    unsigned char *block = malloc(size);
    if (block == NULL) {
        return ERR_MEMORY;
    }
    size_t used = sizeof(struct codebook);
    fill.kinds = room(block, &used, counts->kind_count, sizeof *fill.kinds);
    fill.collections = room(block, &used, counts->collection_count, sizeof *fill.collections);
    fill.fields = room(block, &used, counts->field_count, sizeof *fill.fields);
    fill.vocabularies = room(block, &used, counts->vocabulary_count, sizeof *fill.vocabularies);
    fill.values = room(block, &used, measure.value_count, sizeof *fill.values);
    fill.steps = room(block, &used, measure.step_count, sizeof *fill.steps);
    fill.text = room(block, &used, measure.text_bytes, 1);
    assert(used == size);
    bool loaded = load(&fill, bytes);
    assert(loaded && fill.text_bytes == measure.text_bytes && fill.value_count == measure.value_count);
    fill.head.kinds = fill.kinds;
    fill.head.collections = fill.collections;
    fill.head.fields = fill.fields;
    fill.head.vocabularies = fill.vocabularies;
    struct codebook *codebook = (struct codebook *)(void *)block;
    *codebook = fill.head;
    if (!sound(codebook)) {
        codebook_free(&codebook);
        return ERR_INVALID;
    }
    *codebook_out = codebook;
    return ERR_OK;
}

void
codebook_free(struct codebook **codebook)
{
    if (codebook != NULL) {
        free(*codebook);
        *codebook = NULL;
    }
}
