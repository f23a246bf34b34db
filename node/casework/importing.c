#include "node/casework/importing.h"

#include "store/base/cbor.h"

#include <stdlib.h>
#include <string.h>

enum { OPEN, PROTECTED, HALVES };

/* Half of it says what a value is of, and half which value it is. */
struct mark {
    uint8_t target[4];
    uint8_t value[4];
};

struct marks {
    struct mark *marks; /* ascending */
    size_t count;
};

/* What the codebook calls the fields of imported_from. */
struct fields {
    const struct codebook_collection *collection;
    const struct codebook_field *row;
    const struct codebook_field *source;
    const struct codebook_field *marks[HALVES];
};

struct compare {
    const struct importing *in;
    struct arena *arena;
    struct imported *out;
    struct fields fields;
    uint8_t key[16];
    uint8_t element[ELEMENT_ID_BYTES]; /* of imported_from */
    struct marks old[HALVES];
    struct marks now[HALVES];
};

void
importing_secret(struct key *secret_out, const struct replica_identity *identity)
{
    const struct span parts[] = { span_of(identity->control_key.bytes, KEY_BYTES),
                                  hash_span(&identity->org) };

    crypto_derive(secret_out, "vigil.imp.key.v1", parts, 2);
}

void
importing_row(struct ident *row_out, const struct key *secret, const char *source, const char *kind,
              const char *key)
{
    struct hash hash;

    /* With their NULs, so that no two rows are one string. */
    CRYPTO_HASH(&hash, "vigil.imp.row.v1", span_of(secret->bytes, KEY_BYTES),
                span_of(source, strlen(source) + 1), span_of(kind, strlen(kind) + 1), span_text(key));
    memcpy(row_out->bytes, hash.bytes, IDENT_BYTES);
}

void
importing_element(uint8_t element_out[ELEMENT_ID_BYTES], const struct ident *row, const char *slot)
{
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.imp.elt.v1", ident_span(row), span_text(slot));
    memcpy(element_out, hash.bytes, ELEMENT_ID_BYTES);
}

/* --- marks --- */

static int
mark_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct mark));
}

static struct mark
mark_of(const struct compare *compare, const struct target *target, struct span value)
{
    uint8_t name[4 + ELEMENT_ID_BYTES + 4];
    uint8_t name_hash[ROW_TAG_BYTES];
    uint8_t value_hash[ROW_TAG_BYTES];
    uint8_t both[2 * ROW_TAG_BYTES];
    struct mark mark;

    bytes_write_u32(name, target->collection);
    memcpy(name + 4, target->element, ELEMENT_ID_BYTES);
    bytes_write_u32(name + 4 + ELEMENT_ID_BYTES, target->field);
    crypto_short_hash(name_hash, compare->key, span_of(name, sizeof name));
    /* Equal values of two fields have different marks. */
    crypto_short_hash(value_hash, compare->key, value);
    memcpy(both, name_hash, sizeof name_hash);
    memcpy(both + sizeof name_hash, value_hash, sizeof value_hash);
    crypto_short_hash(value_hash, compare->key, span_of(both, sizeof both));
    memcpy(mark.target, name_hash, sizeof mark.target);
    memcpy(mark.value, value_hash, sizeof mark.value);
    return mark;
}

static bool
marks_have(const struct marks *marks, const struct mark *mark)
{
    return marks->count > 0 && bsearch(mark, marks->marks, marks->count, sizeof *mark, mark_order) != NULL;
}

/* The first mark of a target; NULL: none. */
static const struct mark *
marks_of_target(const struct marks *marks, const struct mark *mark)
{
    for (size_t n = 0; n < marks->count; n++) {
        if (memcmp(marks->marks[n].target, mark->target, sizeof mark->target) == 0) {
            return &marks->marks[n];
        }
    }
    return NULL;
}

/* Room for one more is the caller's care. */
static void
marks_add(struct marks *marks, const struct mark *mark)
{
    marks->marks[marks->count] = *mark;
    marks->count++;
}

static void
marks_sort(struct marks *marks)
{
    size_t kept = 0;

    if (marks->count > 0) {
        qsort(marks->marks, marks->count, sizeof *marks->marks, mark_order);
    }
    for (size_t n = 0; n < marks->count; n++) {
        if (kept == 0 || mark_order(&marks->marks[n], &marks->marks[kept - 1]) != 0) {
            marks->marks[kept] = marks->marks[n];
            kept++;
        }
    }
    marks->count = kept;
}

static const struct record_target *
find_target(const struct replica_view *view, const struct target *target)
{
    const struct record_view *const halves[HALVES] = { view->open, view->protected_half };

    for (int half = 0; half < HALVES; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->target_count; n++) {
            if (target_compare(&halves[half]->targets[n].target, target) == 0) {
                return &halves[half]->targets[n];
            }
        }
    }
    return NULL;
}

static void
find_element(struct compare *compare)
{
    struct buf cbor = { 0 };

    cbor_put_bytes(&cbor, ident_span(&compare->in->row));
    codebook_element(buf_span(&cbor), compare->element);
    compare->arena->failed = compare->arena->failed || cbor.failed;
    buf_free(&cbor);
}

static struct target
own_target(const struct compare *compare, uint32_t field)
{
    struct target target = { .collection = compare->fields.collection->number, .field = field };

    memcpy(target.element, compare->element, sizeof target.element);
    return target;
}

/* What the record says came the last time. What is no list of marks is none: then everything is as if it came first. */
static void
read_marks(struct compare *compare, int half)
{
    struct marks *marks = &compare->old[half];
    struct target target = own_target(compare, compare->fields.marks[half]->number);
    const struct record_target *found = find_target(compare->in->view, &target);
    struct buf bytes = { 0 };

    if (found == NULL || found->shown_count == 0) {
        return;
    }
    struct cbor_reader in = cbor_reader_of(found->shown[0]);
    struct span text = cbor_read_text(&in);
    if (cbor_done(&in) && crypto_base64_read(&bytes, text) && bytes.size % IMPORTING_MARK_BYTES == 0) {
        marks->marks =
            arena_take_array(compare->arena, bytes.size / IMPORTING_MARK_BYTES + 1, sizeof(struct mark));
        if (marks->marks != NULL && bytes.size > 0) {
            memcpy(marks->marks, bytes.data, bytes.size);
            marks->count = bytes.size / IMPORTING_MARK_BYTES;
            marks_sort(marks);
        }
    }
    buf_free(&bytes);
}

/* --- ops --- */

/* One walk over the codebook: this is asked for each row. */
static bool
find_fields(const struct codebook *codebook, uint32_t kind, struct fields *fields)
{
    const struct {
        const char *name;
        const struct codebook_field **field;
    } wanted[] = {
        { IMPORTING_COLLECTION ".row", &fields->row },
        { IMPORTING_COLLECTION ".source", &fields->source },
        { IMPORTING_COLLECTION ".marks", &fields->marks[OPEN] },
        { IMPORTING_COLLECTION ".protected_marks", &fields->marks[PROTECTED] },
    };
    enum { WANTED = sizeof wanted / sizeof wanted[0] };
    size_t found = 0;

    fields->collection = codebook_collection_by_name(codebook, kind, IMPORTING_COLLECTION);
    for (size_t n = 0; fields->collection != NULL && n < codebook->field_count && found < WANTED; n++) {
        const struct codebook_field *field = &codebook->fields[n];

        for (size_t w = 0; field->collection == fields->collection->number && w < WANTED; w++) {
            if (strcmp(field->name, wanted[w].name) == 0) {
                *wanted[w].field = field;
                found++;
            }
        }
    }
    return found == WANTED;
}

bool
importing_fits(const struct codebook *codebook, uint32_t kind)
{
    struct fields fields;

    return find_fields(codebook, kind, &fields);
}

static int
half_of(const struct codebook *codebook, const struct target *target)
{
    const struct codebook_field *field = cell_field(codebook, target);
    const struct codebook_collection *collection = codebook_collection(codebook, target->collection);
    enum sensitivity sensitivity = field != NULL        ? field->sensitivity
                                   : collection != NULL ? collection->sensitivity
                                                        : LEVEL_L2;

    return sensitivity == LEVEL_L3 ? PROTECTED : OPEN;
}

static bool
has_element(const struct replica_view *view, const struct target *target)
{
    const struct record_view *const halves[HALVES] = { view->open, view->protected_half };

    for (int half = 0; half < HALVES; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->element_count; n++) {
            if (halves[half]->elements[n].collection == target->collection &&
                memcmp(halves[half]->elements[n].element, target->element, ELEMENT_ID_BYTES) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool
is_null(struct span cbor)
{
    return cbor.size == 1 && cbor.data[0] == 0xf6;
}

enum fate { DROP, KEEP, SAVE };

/* Of an element: it is there, it was removed here since it came, or it is new. */
static enum fate
fate_of_element(const struct compare *compare, const struct save_op *op, const struct marks *old)
{
    struct target element = op->target;

    element.field = 0;
    if (has_element(compare->in->view, &element)) {
        return op->code == OP_ADD ? DROP : SAVE;
    }
    struct mark mark = mark_of(compare, &element, span_of(NULL, 0));
    return marks_have(old, &mark) ? DROP : SAVE;
}

static enum fate
fate_of_value(const struct compare *compare, const struct save_op *op, const struct mark *mark,
              const struct marks *old)
{
    const struct record_target *found = find_target(compare->in->view, &op->target);
    const struct codebook_field *field = cell_field(compare->in->codebook, &op->target);
    bool is_union = field != NULL && field->policy == MERGE_UNION;
    const struct mark *came = is_union ? NULL : marks_of_target(old, mark);
    size_t others = 0;
    bool same_as_came = came != NULL;

    if (marks_have(old, mark)) {
        return DROP;
    }
    for (size_t n = 0; found != NULL && n < found->value_count; n++) {
        struct span value = found->values[n].value;

        if (span_equal(value, op->value)) {
            return DROP;
        }
        if (value.data == NULL || is_union) {
            continue;
        }
        others += is_null(value) && came == NULL ? 0 : 1;
        struct mark here = mark_of(compare, &op->target, value);
        same_as_came = same_as_came && memcmp(&here, came, sizeof here) == 0;
    }
    /* Somebody here said something that the source did not. */
    return others > 0 && !same_as_came ? KEEP : SAVE;
}

static void
take_op(struct compare *compare, const struct save_op *op)
{
    int half = half_of(compare->in->codebook, &op->target);
    const struct marks *old = &compare->old[half];
    bool adds = op->code == OP_ADD;
    struct mark mark = mark_of(compare, &op->target, adds ? span_of(NULL, 0) : op->value);
    enum fate fate = SAVE;

    if (compare->in->view != NULL && op->target.collection != 0) {
        struct target element = { .collection = op->target.collection };

        memcpy(element.element, op->target.element, ELEMENT_ID_BYTES);
        fate = fate_of_element(compare, op, &compare->old[half_of(compare->in->codebook, &element)]);
    }
    if (compare->in->view != NULL && !adds && fate == SAVE) {
        fate = fate_of_value(compare, op, &mark, old);
    }
    if (fate == SAVE) {
        compare->out->ops[compare->out->count] = *op;
        compare->out->count++;
    }
    const struct mark *came = marks_of_target(old, &mark);
    if (fate == KEEP) {
        compare->out->kept[compare->out->kept_count] = op->target;
        compare->out->kept_count++;
        if (came != NULL) {
            marks_add(&compare->now[half], came);
        }
        return;
    }
    marks_add(&compare->now[half], &mark);
}

/* Marks of what the row no longer has stay: it may come again. */
static void
carry_marks(struct compare *compare, int half)
{
    const struct marks *old = &compare->old[half];
    struct marks *now = &compare->now[half];
    size_t fresh = now->count;

    for (size_t n = 0; n < old->count; n++) {
        const struct marks these = { now->marks, fresh };

        if (marks_of_target(&these, &old->marks[n]) == NULL) {
            marks_add(now, &old->marks[n]);
        }
    }
    marks_sort(now);
}

static void
add_own(struct compare *compare, uint32_t code, uint32_t field, struct buf *cbor)
{
    struct save_op *op = &compare->out->ops[compare->out->count];

    *op = (struct save_op){ .code = code, .target = own_target(compare, field), .resolve = code == OP_SET };
    if (cbor != NULL) {
        op->value = arena_copy_buf(compare->arena, cbor);
        compare->arena->failed = compare->arena->failed || cbor->failed;
        buf_free(cbor);
    }
    compare->out->count++;
}

static void
add_marks(struct compare *compare, int half)
{
    struct marks *now = &compare->now[half];
    const struct marks *old = &compare->old[half];
    struct buf text = { 0 };
    struct buf cbor = { 0 };

    if (now->count == 0 ||
        (now->count == old->count && memcmp(now->marks, old->marks, now->count * sizeof *now->marks) == 0)) {
        return;
    }
    crypto_base64(&text, span_of(now->marks, now->count * sizeof *now->marks));
    cbor_put_text(&cbor, buf_span(&text));
    cbor.failed = cbor.failed || text.failed;
    add_own(compare, OP_SET, compare->fields.marks[half]->number, &cbor);
    buf_free(&text);
}

/* What the record says of where it came from. */
static void
add_provenance(struct compare *compare)
{
    struct target element = own_target(compare, 0);
    struct buf cbor = { 0 };

    if (compare->in->view == NULL || !has_element(compare->in->view, &element)) {
        add_own(compare, OP_ADD, 0, NULL);
        cbor_put_bytes(&cbor, ident_span(&compare->in->row));
        add_own(compare, OP_SET, compare->fields.row->number, &cbor);
        cbor = (struct buf){ 0 };
        cbor_put_text(&cbor, span_text(compare->in->source));
        add_own(compare, OP_SET, compare->fields.source->number, &cbor);
    }
    add_marks(compare, OPEN);
    add_marks(compare, PROTECTED);
}

enum err
importing_compare(const struct importing *importing, const struct save_op *ops, size_t count,
                  struct arena *arena, struct imported *imported_out)
{
    enum { OWN_OPS = 5 };
    struct compare compare = { .in = importing, .arena = arena, .out = imported_out };

    memset(imported_out, 0, sizeof *imported_out);
    if (!find_fields(importing->codebook, importing->kind, &compare.fields)) {
        return ERR_INVALID;
    }
    memcpy(compare.key, importing->secret->bytes, sizeof compare.key);
    find_element(&compare);
    for (int half = 0; half < HALVES && importing->view != NULL; half++) {
        read_marks(&compare, half);
    }
    imported_out->ops = arena_take_array(arena, count + OWN_OPS, sizeof *imported_out->ops);
    imported_out->kept = arena_take_array(arena, count + 1, sizeof *imported_out->kept);
    for (int half = 0; half < HALVES; half++) {
        compare.now[half].marks =
            arena_take_array(arena, count + compare.old[half].count + 1, sizeof(struct mark));
    }
    if (arena->failed) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < count; n++) {
        if (importing->view != NULL && importing->view->withheld &&
            half_of(importing->codebook, &ops[n].target) == PROTECTED) {
            return ERR_LOCKED;
        }
        if (ops[n].target.collection == 0 && ops[n].target.field == FIELD_KIND) {
            imported_out->ops[imported_out->count] = ops[n];
            imported_out->count++;
        } else {
            take_op(&compare, &ops[n]);
        }
    }
    for (int half = 0; half < HALVES; half++) {
        carry_marks(&compare, half);
    }
    if (importing->view == NULL || imported_out->count > 0) {
        add_provenance(&compare);
    }
    return arena->failed ? ERR_MEMORY : ERR_OK;
}
