/* The merge by the letter of its rules, over all entries of a record, in quadratic time and without tables. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct naive_op {
    const struct signed_change *entry;
    const struct op *op;
    struct dot dot;
    bool replaced; /* a set or add names it */
    bool removed;  /* a removal of its element names it */
};

struct naive {
    struct naive_op *ops;
    size_t count;
    struct arena arena;
};

static void
gather(struct sim_node *node, struct table_txn *txn, uint32_t record_no, struct naive *out)
{
    const struct record_source *source = replica_source(node->replica);
    const struct record_place *places = NULL;
    size_t count = 0;

    memset(out, 0, sizeof *out);
    if (record_history(txn, record_no, &out->arena, &places, &count) != ERR_OK) {
        sim_fail(node->sim, "%s: no history of a record", node->device->name);
    }
    for (size_t n = 0; n < count; n++) {
        struct signed_change *entry = arena_take(&out->arena, sizeof *entry);
        enum err err = source->open(source->self, places[n].log_no, places[n].seq, &out->arena, entry);

        if (err == ERR_ABSENT) {
            continue;
        }
        if (err != ERR_OK) {
            sim_fail(node->sim, "%s: an entry does not open: %s", node->device->name, err_code(err));
        }
        out->ops = realloc(out->ops, (out->count + entry->change.op_count) * sizeof *out->ops);
        assert(out->ops != NULL || entry->change.op_count == 0);
        for (size_t op = 0; op < entry->change.op_count; op++) {
            struct naive_op *at = &out->ops[out->count++];
            *at = (struct naive_op){ .entry = entry, .op = &entry->change.ops[op] };
            /* log_id[0..6] | seq | op | entry_id[0..4], as change.h says. */
            memcpy(at->dot.bytes, entry->log_id.bytes, 6);
            bytes_write_u64(at->dot.bytes + 6, entry->seq);
            bytes_write_u16(at->dot.bytes + 14, (uint16_t)op);
            memcpy(at->dot.bytes + 16, entry->entry_id.bytes, 4);
        }
    }
}

static bool
same_element(const struct target *a, const struct target *b)
{
    return a->collection == b->collection && memcmp(a->element, b->element, ELEMENT_ID_BYTES) == 0;
}

static bool
same_target(const struct target *a, const struct target *b)
{
    return same_element(a, b) && a->field == b->field;
}

static void
name(struct naive *naive)
{
    for (size_t n = 0; n < naive->count; n++) {
        const struct op *by = naive->ops[n].op;

        for (size_t pred = 0; pred < by->pred_count; pred++) {
            for (size_t m = 0; m < naive->count; m++) {
                struct naive_op *at = &naive->ops[m];

                if (memcmp(at->dot.bytes, by->preds[pred].bytes, DOT_BYTES) != 0) {
                    continue;
                }
                if (by->code == OP_REMOVE) {
                    at->removed = at->removed ||
                                  (by->target.collection != 0 && same_element(&by->target, &at->op->target));
                } else {
                    at->replaced = at->replaced || same_target(&by->target, &at->op->target);
                }
            }
        }
    }
}

/* An add or a set adds a value; a removal does not. */
static bool
is_live(const struct naive_op *at)
{
    return at->op->code != OP_REMOVE && !at->replaced;
}

static bool
is_absent(const struct naive *naive, const struct target *element)
{
    for (size_t n = 0; n < naive->count; n++) {
        const struct naive_op *at = &naive->ops[n];

        if (same_element(&at->op->target, element) && is_live(at) && !at->removed) {
            return false;
        }
    }
    return true;
}

static const struct record_target *
find_target(const struct record_view *view, const struct target *target)
{
    for (size_t n = 0; n < view->target_count; n++) {
        if (same_target(&view->targets[n].target, target)) {
            return &view->targets[n];
        }
    }
    return NULL;
}

static bool
shows(const struct record_target *target, const struct naive_op *at)
{
    for (size_t n = 0; target != NULL && n < target->value_count; n++) {
        const struct live *live = &target->values[n];

        if (hash_equal(&live->entry->entry_id, &at->entry->entry_id) &&
            span_equal(live->value, at->op->value) && at->entry->change.ops + live->op == at->op &&
            live->removed == (at->removed && at->op->target.collection != 0)) {
            return true;
        }
    }
    return false;
}

/* Of a restricted record its kind, its number and its restrictions are shown, and nothing else. */
static void
check_hidden(struct sim_node *node, const struct record_view *view)
{
    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];
        bool named = target->field != NULL &&
                     (target->field->number == FIELD_KIND || strcmp(target->field->name, "number") == 0);

        if (target->target.collection != COLLECTION_RESTRICTION && !named) {
            sim_fail(node->sim, "%s shows field %u of collection %u of a restricted record",
                     node->device->name, target->target.field, target->target.collection);
        }
    }
}

void
oracle_compare(struct sim_node *node, struct table_txn *txn, uint32_t record_no,
               const struct record_view *view)
{
    struct naive naive;
    size_t expected = 0;
    size_t shown = 0;

    if (view->restricted) {
        check_hidden(node, view);
        return;
    }
    gather(node, txn, record_no, &naive);
    name(&naive);
    for (size_t n = 0; n < naive.count; n++) {
        const struct naive_op *at = &naive.ops[n];

        if (!is_live(at) || (at->op->target.collection != 0 && is_absent(&naive, &at->op->target))) {
            continue;
        }
        expected++;
        if (!shows(find_target(view, &at->op->target), at)) {
            sim_fail(node->sim, "%s does not show a live value: field %u of collection %u, op %u of entry %s",
                     node->device->name, at->op->target.field, at->op->target.collection, dot_op(&at->dot),
                     hash_short(&at->entry->entry_id).text);
        }
    }
    for (size_t n = 0; n < view->target_count; n++) {
        shown += view->targets[n].value_count;
    }
    if (shown != expected) {
        sim_fail(node->sim, "%s shows %zu values of a record that has %zu", node->device->name, shown,
                 expected);
    }
    free(naive.ops);
    arena_free(&naive.arena);
}

static bool
half_says(struct sim_node *node, struct table_txn *txn, const struct ident *compartment,
          const struct promise *promise, const struct hash *device_id)
{
    struct naive naive;
    uint32_t record_no;
    bool found = false;

    if (record_find(txn, compartment, &promise->record_id, &record_no) != ERR_OK) {
        return false;
    }
    gather(node, txn, record_no, &naive);
    for (size_t n = 0; n < naive.count && !found; n++) {
        const struct naive_op *at = &naive.ops[n];

        found = at->op->code == promise->code && same_target(&at->op->target, &promise->target) &&
                span_equal(at->op->value, buf_span(&promise->value)) &&
                hash_equal(&at->entry->device_id, device_id);
    }
    free(naive.ops);
    arena_free(&naive.arena);
    return found;
}

bool
oracle_says(struct sim_node *node, struct table_txn *txn, const struct promise *promise,
            const struct hash *device_id)
{
    const struct shape *shape = node->sim->shape;
    const struct shape_compartment *at = shape_compartment(shape, &promise->compartment);

    return half_says(node, txn, &promise->compartment, promise, device_id) ||
           (at->office >= 0 &&
            half_says(node, txn, &shape_compartment_of(shape, at->office, OWN_PROTECTED)->id, promise,
                      device_id));
}
