/* Marks that a peer wrote into a record that was imported: whatever they are, a row is held against it, and what was saved of a row once
 * is not saved again. */
#include "node/casework/importing.h"

#include "store/base/cbor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { OPS = 3, TARGETS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
    struct arena arena;
    struct importing importing;
    struct record_view open;
    struct replica_view view;
    struct record_target targets[TARGETS_MAX];
    struct live values[TARGETS_MAX];
    struct span shown[TARGETS_MAX];
    struct record_element elements[TARGETS_MAX];
};

static uint32_t
number_of(const char *name)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field =
        codebook_field_by_name(codebook, codebook_kind_by_name(codebook, "case")->number, name);

    assert(field != NULL);
    return field->number;
}

static struct span
text_of(struct arena *arena, const uint8_t *data, size_t size)
{
    struct buf cbor = { 0 };

    cbor_put_text(&cbor, span_of(data, size));
    struct span kept = arena_copy(arena, buf_span(&cbor));
    buf_free(&cbor);
    return kept;
}

static void
show(struct scene *scene, const struct target *target, struct span value)
{
    size_t at = scene->open.target_count;

    assert(at < TARGETS_MAX);
    scene->values[at] = (struct live){ .value = value };
    scene->shown[at] = value;
    scene->targets[at] = (struct record_target){ .target = *target,
                                                 .field = cell_field(codebook_reprisals(), target),
                                                 .values = &scene->values[at],
                                                 .value_count = 1,
                                                 .shown = &scene->shown[at],
                                                 .shown_count = 1 };
    scene->open.target_count++;
}

static void
show_element(struct scene *scene, const struct target *target)
{
    size_t at = scene->open.element_count;

    assert(at < TARGETS_MAX);
    scene->elements[at] = (struct record_element){ .collection = target->collection };
    memcpy(scene->elements[at].element, target->element, ELEMENT_ID_BYTES);
    scene->open.element_count++;
}

/* The record as it is once the ops were saved: of a target the last value stays. */
static void
apply(struct scene *scene, const struct imported *imported)
{
    for (size_t n = 0; n < imported->count; n++) {
        const struct save_op *op = &imported->ops[n];
        bool replaced = false;

        if (op->code == OP_ADD) {
            show_element(scene, &op->target);
            continue;
        }
        for (size_t m = 0; m < scene->open.target_count; m++) {
            if (target_compare(&scene->targets[m].target, &op->target) == 0) {
                scene->values[m].value = op->value;
                scene->shown[m] = op->value;
                replaced = true;
            }
        }
        if (!replaced) {
            show(scene, &op->target, op->value);
        }
    }
}

/* Byte 0: how many of the bytes are what stands in the record; the rest are its marks. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scene scene;
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_kind *kind = codebook_kind_by_name(codebook, "case");
    const struct codebook_collection *from =
        codebook_collection_by_name(codebook, kind->number, IMPORTING_COLLECTION);
    struct key secret = { { 1 } };
    struct imported imported;

    if (size == 0) {
        return 0;
    }
    memset(&scene, 0, sizeof scene);
    scene.importing = (struct importing){
        .codebook = codebook, .secret = &secret, .view = &scene.view, .kind = kind->number, .source = "test"
    };
    scene.open.targets = scene.targets;
    scene.open.elements = scene.elements;
    scene.view.open = &scene.open;
    importing_row(&scene.importing.row, &secret, "test", "case", "1");
    size_t title = data[0] < size - 1 ? data[0] : size - 1;
    show(&scene, &(struct target){ .field = number_of("title") }, text_of(&scene.arena, data + 1, title));
    struct target own = { .collection = from->number };
    struct buf cbor = { 0 };
    cbor_put_bytes(&cbor, ident_span(&scene.importing.row));
    codebook_element(buf_span(&cbor), own.element);
    buf_free(&cbor);
    show_element(&scene, &own);
    own.field = number_of(IMPORTING_COLLECTION ".marks");
    /* As text if it can be, else as the bytes that they are. */
    struct span marks = span_of(data + 1 + title, size - 1 - title);
    show(&scene, &own,
         utf8_valid(marks) ? text_of(&scene.arena, marks.data, marks.size) : arena_copy(&scene.arena, marks));

    const struct target act = { .collection =
                                    codebook_collection_by_name(codebook, kind->number, "act")->number,
                                .element = { 7 } };
    struct target act_place = act;
    act_place.field = number_of("act.place");
    const struct save_op ops[OPS] = {
        { .code = OP_SET,
          .target = { .field = number_of("title") },
          .value = text_of(&scene.arena, (const uint8_t *)"A", 1) },
        { .code = OP_ADD, .target = act },
        { .code = OP_SET, .target = act_place, .value = text_of(&scene.arena, (const uint8_t *)"B", 1) },
    };
    enum err err = importing_compare(&scene.importing, ops, OPS, &scene.arena, &imported);
    assert(err == ERR_OK);
    assert(imported.count <= OPS + 5 && imported.kept_count <= OPS);
    size_t kept = imported.kept_count;
    apply(&scene, &imported);
    err = importing_compare(&scene.importing, ops, OPS, &scene.arena, &imported);
    assert(err == ERR_OK && imported.count == 0 && imported.kept_count == kept);
    arena_free(&scene.arena);
    return 0;
}
