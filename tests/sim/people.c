#include "tests/sim/sim.h"

#include "store/base/cbor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_MAX = 24, LOOK_BACK = 3, HOT_FIELDS = 3, HOT_RECORDS = 5 };

/* What a person is about to save. */
struct edit {
    struct sim_node *node;
    struct save save;
    struct save_op ops[OPS_MAX];
    struct buf values[OPS_MAX];
    size_t count;
    uint32_t kind;
};

/* --- values --- */

static void
random_text(struct sim *sim, struct buf *out, const struct codebook_field *field)
{
    char text[3000];
    int size = snprintf(text, sizeof text, "%s%s-%llu", field->sensitivity == LEVEL_L3 ? L3_MARKER : "v",
                        field->name, (unsigned long long)sim->next_value++);

    if (field->type == TYPE_LONG_TEXT || chance_one_in(&sim->chance, 20)) {
        size_t more = chance_below(&sim->chance, chance_one_in(&sim->chance, 10) ? 2500 : 200);

        for (size_t n = 0; n < more; n++) {
            text[size++] = (char)('a' + chance_below(&sim->chance, 26));
        }
    }
    cbor_put_text(out, span_of(text, (size_t)size));
}

static void
put_one_of(struct sim *sim, struct buf *out, const char *const *texts, size_t count)
{
    cbor_put_text(out, span_text(texts[chance_below(&sim->chance, count)]));
}

/* False: nothing of this type is written here. */
static bool
random_value(struct sim *sim, struct buf *out, const struct codebook_field *field)
{
    static const char *const countries[] = { "KEN", "COL", "LBN", "CHE" };
    static const char *const dates[] = { "2024-03", "2024-11-02", "2019-03~", "2023", "2025-01/2025-02" };
    static const char *const languages[] = { "eng", "fra", "ara" };
    const struct codebook_vocabulary *vocabulary;
    uint8_t bytes[IDENT_BYTES];

    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_LONG_TEXT:
        random_text(sim, out, field);
        return true;
    case TYPE_CODE:
        vocabulary = codebook_vocabulary(codebook_reprisals(), field->vocabulary);
        cbor_put_uint(out, vocabulary->values[chance_below(&sim->chance, vocabulary->value_count)].number);
        return true;
    case TYPE_BOOL:
        cbor_put_bool(out, chance_one_in(&sim->chance, 2));
        return true;
    case TYPE_INTEGER:
        cbor_put_int(out, (int64_t)chance_below(&sim->chance, 50));
        return true;
    case TYPE_DATE:
        put_one_of(sim, out, dates, 5);
        return true;
    case TYPE_COUNTRY:
        put_one_of(sim, out, countries, 4);
        return true;
    case TYPE_LANGUAGE:
        put_one_of(sim, out, languages, 3);
        return true;
    case TYPE_RECORD:
        chance_fill(&sim->chance, bytes, sizeof bytes);
        cbor_put_bytes(out, span_of(bytes, sizeof bytes));
        return true;
    default:
        return false;
    }
}

/* --- ops --- */

static bool
has_target(const struct edit *edit, const struct target *target)
{
    for (size_t n = 0; n < edit->count; n++) {
        if (target_compare(&edit->ops[n].target, target) == 0) {
            return true;
        }
    }
    return false;
}

static struct save_op *
add_op(struct edit *edit, uint32_t code, const struct target *target)
{
    if (edit->count == OPS_MAX || has_target(edit, target)) {
        return NULL;
    }
    struct save_op *op = &edit->ops[edit->count++];
    *op = (struct save_op){ .code = code, .target = *target };
    return op;
}

/* May this node's people see and write protected fields there? */
static bool
writes_protected(const struct edit *edit)
{
    const struct sim *sim = edit->node->sim;
    const struct shape_compartment *at = shape_compartment(sim->shape, &edit->save.compartment);

    return at->office >= 0 &&
           shape_level(sim->shape, edit->node->index,
                       shape_compartment_of(sim->shape, at->office, OWN_PROTECTED), sim->step) >= LEVEL_WRITE;
}

static const struct codebook_field *
random_field(struct edit *edit, uint32_t collection)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *found = NULL;
    uint64_t seen = 0;
    bool protected = writes_protected(edit);
    bool hot = !chance_one_in(&edit->node->sim->chance, 3);

    for (size_t n = 0; n < codebook->field_count; n++) {
        const struct codebook_field *field = &codebook->fields[n];

        if (field->collection != collection || (field->kinds >> edit->kind & 1) == 0 ||
            field->number == FIELD_KIND || (field->sensitivity == LEVEL_L3 && !protected)) {
            continue;
        }
        seen++;
        if (chance_below(&edit->node->sim->chance, seen) == 0) {
            found = field;
        }
        /* A few fields are what everybody edits. */
        if (found != NULL && seen == HOT_FIELDS && hot) {
            break;
        }
    }
    return found;
}

static void
set_field(struct edit *edit, const struct codebook_field *field, const uint8_t *element, bool resolve)
{
    struct target target = { .collection = field->collection, .field = field->number };

    if (edit->count == OPS_MAX) {
        return;
    }
    if (element != NULL) {
        memcpy(target.element, element, ELEMENT_ID_BYTES);
    }
    struct buf *value = &edit->values[edit->count];
    if (has_target(edit, &target) || !random_value(edit->node->sim, value, field)) {
        return;
    }
    struct save_op *op = add_op(edit, OP_SET, &target);
    op->value = buf_span(value);
    op->resolve = resolve;
}

static const struct codebook_collection *
random_collection(struct edit *edit)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_collection *found = NULL;
    uint64_t seen = 0;
    bool protected = writes_protected(edit);

    for (size_t n = 0; n < codebook->collection_count; n++) {
        const struct codebook_collection *collection = &codebook->collections[n];

        if ((collection->kinds >> edit->kind & 1) == 0 ||
            (collection->sensitivity == LEVEL_L3 && !protected) ||
            (collection->number == COLLECTION_RESTRICTION && !chance_one_in(&edit->node->sim->chance, 40))) {
            continue;
        }
        seen++;
        if (chance_below(&edit->node->sim->chance, seen) == 0) {
            found = collection;
        }
    }
    return found;
}

static void
add_element(struct edit *edit, const struct codebook_collection *collection)
{
    struct sim *sim = edit->node->sim;
    struct target target = { .collection = collection->number };

    if ((collection->flags & (COLLECTION_SET | COLLECTION_KEYED)) != 0) {
        /* Two people who add the same add one element. */
        static const char *const keys[] = { "KEN", "COL", "eng", "fra" };
        struct buf key = { 0 };

        cbor_put_text(&key, span_text(keys[chance_below(&sim->chance, 4)]));
        codebook_element(buf_span(&key), target.element);
        buf_free(&key);
    } else {
        chance_fill(&sim->chance, target.element, sizeof target.element);
    }
    (void)add_op(edit, OP_ADD, &target);
    for (uint64_t fields = chance_between(&sim->chance, 1, 4); fields > 0; fields--) {
        const struct codebook_field *field = random_field(edit, collection->number);

        if (field != NULL) {
            set_field(edit, field, target.element, false);
        }
    }
}

/* Something that is there already: an element's field, the element itself, or a conflict. */
static void
touch_what_is_there(struct edit *edit, const struct record_view *view)
{
    struct sim *sim = edit->node->sim;
    const struct codebook *codebook = codebook_reprisals();

    if (view == NULL || view->target_count == 0) {
        return;
    }
    if (view->element_count > 0 && chance_one_in(&sim->chance, 3)) {
        const struct record_element *element =
            &view->elements[chance_below(&sim->chance, view->element_count)];
        const struct codebook_collection *collection = codebook_collection(codebook, element->collection);
        struct target target = { .collection = element->collection };

        memcpy(target.element, element->element, sizeof target.element);
        if (collection != NULL && (collection->flags & COLLECTION_APPEND_ONLY) == 0) {
            (void)add_op(edit, OP_REMOVE, &target);
        }
        return;
    }
    const struct record_target *chosen = &view->targets[chance_below(&sim->chance, view->target_count)];
    for (size_t n = 0; n < view->target_count && view->conflict_count > 0; n++) {
        if (view->targets[n].conflict && chance_one_in(&sim->chance, 2)) {
            chosen = &view->targets[n];
        }
    }
    if (chosen->field != NULL && chosen->field->number != FIELD_KIND) {
        set_field(edit, chosen->field, chosen->target.collection == 0 ? NULL : chosen->target.element,
                  chosen->conflict && !chance_one_in(&sim->chance, 4));
    }
}

/* --- saving --- */

static void
promise(struct edit *edit, const struct ident *record_id)
{
    struct sim *sim = edit->node->sim;

    for (size_t n = 0; n < edit->count; n++) {
        sim->pending = realloc(sim->pending, (sim->pending_count + 1) * sizeof *sim->pending);
        assert(sim->pending != NULL);
        struct promise *made = &sim->pending[sim->pending_count++];
        *made = (struct promise){ .node = edit->node->index,
                                  .compartment = edit->save.compartment,
                                  .record_id = *record_id,
                                  .code = edit->ops[n].code,
                                  .target = edit->ops[n].target,
                                  .at_ms = sim->now_ms };
        buf_put_span(&made->value, edit->ops[n].value);
    }
}

static void
begin_record(struct edit *edit)
{
    struct sim *sim = edit->node->sim;
    static const char *const kinds[] = { "case", "person", "source" };
    const struct codebook_kind *kind =
        codebook_kind_by_name(codebook_reprisals(), kinds[chance_below(&sim->chance, 3)]);
    const struct target target = { .field = FIELD_KIND };

    if (kind == NULL) {
        kind = codebook_kind_by_name(codebook_reprisals(), "case");
    }
    edit->kind = kind->number;
    edit->save.create = true;
    cbor_put_uint(&edit->values[0], kind->number);
    add_op(edit, OP_SET, &target)->value = buf_span(&edit->values[0]);
}

/* Where this node's people may write, at random; false: nowhere. */
static bool
choose_compartment(struct edit *edit)
{
    struct sim *sim = edit->node->sim;
    uint64_t seen = 0;

    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &sim->shape->compartments[n];

        if (at->office < 0 || at->own != OWN_CASES ||
            shape_level(sim->shape, edit->node->index, at, sim->step) < LEVEL_WRITE) {
            continue;
        }
        seen++;
        if (chance_below(&sim->chance, seen) == 0) {
            edit->save.compartment = at->id;
        }
    }
    return seen > 0;
}

static bool
choose_record(struct edit *edit)
{
    struct sim *sim = edit->node->sim;
    uint64_t seen = 0;

    for (size_t n = sim->record_count; n-- > 0 && seen < HOT_RECORDS;) {
        const struct known_record *known = &sim->records[n];

        if (!ident_equal(&known->compartment, &edit->save.compartment)) {
            continue;
        }
        seen++;
        if (chance_below(&sim->chance, seen) == 0) {
            edit->save.record_id = known->id;
            edit->kind = known->kind;
        }
    }
    return seen > 0;
}

static void
fill_edit(struct edit *edit)
{
    struct sim *sim = edit->node->sim;
    struct arena arena = { 0 };
    struct replica_view view = { 0 };

    if (!edit->save.create) {
        enum err err =
            replica_read(edit->node->replica, &edit->save.compartment, &edit->save.record_id, &arena, &view);

        /* Its key may be destroyed before the rest is. */
        bool closed = err == ERR_LOCKED && trust_is_erased(sim, &edit->save.record_id);
        if (err != ERR_OK && err != ERR_ABSENT && err != ERR_FULL && !closed) {
            sim_fail(sim, "%s reads a record: %s", edit->node->device->name, err_code(err));
        }
    }
    for (uint64_t things = chance_between(&sim->chance, 1, 4); things > 0; things--) {
        const struct codebook_collection *collection;
        const struct codebook_field *field;

        switch (chance_below(&sim->chance, 4)) {
        case 0:
        case 1:
            field = random_field(edit, 0);
            if (field != NULL) {
                set_field(edit, field, NULL, chance_one_in(&sim->chance, 3));
            }
            break;
        case 2:
            collection = random_collection(edit);
            if (collection != NULL) {
                add_element(edit, collection);
            }
            break;
        default:
            touch_what_is_there(edit, chance_one_in(&sim->chance, 3) ? view.protected_half : view.open);
        }
    }
    arena_free(&arena);
}

static void
hand_in(struct edit *edit)
{
    struct sim *sim = edit->node->sim;
    struct saved saved = { 0 };
    size_t op = 0;

    edit->save.ops = edit->ops;
    edit->save.op_count = edit->count;
    enum err err = replica_save(edit->node->replica, &edit->save, &saved, &op);
    sim_note(sim, "%s saves %zu ops%s: %s", edit->node->device->name, edit->count,
             edit->save.create ? " of a new record" : "", err_code(err));
    if (err == ERR_OK) {
        promise(edit, &saved.record_id);
        gossip_changed(edit->node->gossip, &edit->save.compartment, &edit->node->device->identity.device_id,
                       sim->now_ms + edit->node->steady_ms);
        if (edit->save.create) {
            sim->records = realloc(sim->records, (sim->record_count + 1) * sizeof *sim->records);
            assert(sim->records != NULL);
            sim->records[sim->record_count++] =
                (struct known_record){ edit->save.compartment, saved.record_id, edit->kind };
        }
        files_add(edit->node, &edit->save.compartment, &saved.record_id, edit->kind);
        return;
    }
    sim->stats.refused_saves++;
    switch (err) {
    case ERR_CONFLICT: /* the person did not see all values */
    case ERR_LOCKED:   /* its key has not come yet */
    case ERR_ABSENT:   /* it has not come yet, or there is nothing to remove */
    case ERR_FULL:
        break;
    case ERR_DENIED:
        /* A protected field of a record that was begun without a protected half, or a certificate that has not come. */
        break;
    default:
        sim_fail(sim, "%s: a save: %s", edit->node->device->name, err_code(err));
    }
}

static void
save_once(struct sim_node *node)
{
    struct edit edit = { .node = node, .save = { .actor = 1 } };
    struct sim *sim = node->sim;

    if (!choose_compartment(&edit)) {
        return;
    }
    edit.save.urgent = chance_one_in(&sim->chance, 8);
    if (chance_one_in(&sim->chance, 4) || !choose_record(&edit)) {
        begin_record(&edit);
    }
    fill_edit(&edit);
    if (edit.count > 0) {
        hand_in(&edit);
    }
    for (size_t n = 0; n < OPS_MAX; n++) {
        buf_free(&edit.values[n]);
    }
}

void
people_save(struct sim_node *node)
{
    struct chance *chance = &node->sim->chance;

    save_once(node);
    if (chance_one_in(chance, 6)) {
        for (uint64_t more = chance_between(chance, 1, 5); more > 0; more--) {
            save_once(node);
        }
    }
    /* In bursts, and then for a while nothing. */
    if (node->burst > 0) {
        node->burst--;
        node->save_ms = node->sim->now_ms + chance_between(chance, 10, 2000);
    } else {
        node->burst = (unsigned)chance_below(chance, 6);
        node->save_ms = node->sim->now_ms + chance_between(chance, 5000, 120000);
    }
}

void
people_settle(struct sim *sim, bool committed)
{
    files_settle(sim, committed);
    for (size_t n = 0; n < sim->pending_count; n++) {
        if (!committed) {
            buf_free(&sim->pending[n].value);
            continue;
        }
        sim->promises = realloc(sim->promises, (sim->promise_count + 1) * sizeof *sim->promises);
        assert(sim->promises != NULL);
        /* What a device saves that is revoked already lies beyond its cuts. */
        sim->pending[n].excused =
            trust_is_revoked(sim, sim->pending[n].node) || trust_is_erased(sim, &sim->pending[n].record_id);
        sim->promises[sim->promise_count++] = sim->pending[n];
        sim->stats.saves++;
    }
    sim->pending_count = 0;
}

void
people_excuse(struct sim *sim, size_t node, uint64_t since_ms)
{
    files_excuse(sim, node, since_ms);
    for (size_t n = 0; n < sim->promise_count; n++) {
        if (sim->promises[n].node == node && sim->promises[n].at_ms >= since_ms) {
            sim->promises[n].excused = true;
        }
    }
}

void
people_look_back(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct table_txn *txn = NULL;
    unsigned looked = 0;

    if (replica_begin_read(node->replica, &txn) != ERR_OK) {
        sim_fail(sim, "%s cannot read", node->device->name);
    }
    for (size_t n = sim->promise_count; n-- > 0 && looked < LOOK_BACK;) {
        const struct promise *made = &sim->promises[n];

        if (made->node != node->index || made->excused) {
            continue;
        }
        looked++;
        if (!oracle_says(node, txn, made, &node->device->identity.device_id)) {
            sim_fail(sim, "%s lost what it acknowledged at %llu ms: field %u of collection %u",
                     node->device->name, (unsigned long long)made->at_ms, made->target.field,
                     made->target.collection);
        }
    }
    replica_end_read(node->replica, &txn);
}
