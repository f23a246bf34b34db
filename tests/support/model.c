#include "tests/support/model.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value that is live, and what the definition says of it. */
struct alive {
    const struct model_entry *entry;
    const struct model_op *op;
    uint32_t at; /* of the op in its entry */
    bool removed;
};

void
model_add(struct model *model, const struct model_entry *entry)
{
    for (size_t n = 0; n < model->count; n++) {
        if (model->entries[n] == entry) {
            return;
        }
    }
    if (model->count == model->capacity) {
        model->capacity = model->capacity == 0 ? 64 : model->capacity * 2;
        model->entries = realloc(model->entries, model->capacity * sizeof *model->entries);
        assert(model->entries != NULL);
    }
    model->entries[model->count++] = entry;
}

void
model_free(struct model *model)
{
    free(model->entries);
    *model = (struct model){ 0 };
}

void
model_say(struct model_text *out, const char *format, ...)
{
    va_list arguments;

    if (out->capacity - out->size < 512) {
        out->capacity = out->capacity == 0 ? 4096 : out->capacity * 2;
        out->text = realloc(out->text, out->capacity);
        assert(out->text != NULL);
    }
    va_start(arguments, format);
    int size = vsnprintf(out->text + out->size, out->capacity - out->size, format, arguments);
    va_end(arguments);
    assert(size >= 0 && (size_t)size < out->capacity - out->size);
    out->size += (size_t)size;
}

static bool
names_it(const struct model_op *op, const struct model_entry *entry, uint32_t at)
{
    for (size_t n = 0; n < op->name_count; n++) {
        const struct model_name *name = &op->names[n];
        if (memcmp(name->log, entry->log_id, 6) == 0 && name->seq == entry->seq && name->op == at &&
            memcmp(name->tag, entry->entry_id, 4) == 0) {
            return true;
        }
    }
    return false;
}

static bool
same_element(const struct model_op *a, const struct model_op *b)
{
    return a->collection == b->collection && a->element == b->element;
}

/* Every live value of a record, by the definition: added, and named by no set or add on the same target. */
static struct alive *
find_alive(const struct model_entry *const *entries, size_t count, uint32_t record, size_t *alive_count)
{
    struct alive *alive = NULL;

    *alive_count = 0;
    for (size_t n = 0; n < count; n++) {
        for (uint32_t at = 0; entries[n]->record == record && at < entries[n]->op_count; at++) {
            const struct model_op *op = &entries[n]->ops[at];
            struct alive value = { entries[n], op, at, false };
            bool live = op->code == MODEL_ADD || op->value != MODEL_NONE;
            for (size_t m = 0; live && m < count; m++) {
                for (size_t o = 0; entries[m]->record == record && o < entries[m]->op_count; o++) {
                    const struct model_op *other = &entries[m]->ops[o];
                    if (!names_it(other, entries[n], at)) {
                        continue;
                    }
                    if (other->code == MODEL_REMOVE) {
                        value.removed = value.removed || same_element(other, op);
                    } else if (same_element(other, op) && other->field == op->field) {
                        live = false;
                    }
                }
            }
            if (live) {
                alive = realloc(alive, (*alive_count + 1) * sizeof *alive);
                assert(alive != NULL);
                alive[(*alive_count)++] = value;
            }
        }
    }
    return alive;
}

static int
by_number(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* By target, and at one target the greatest of (HLC, device, entry, op) first. */
static int
alive_order(const void *a, const void *b)
{
    const struct alive *one = a;
    const struct alive *other = b;
    int order = by_number(one->op->collection, other->op->collection);

    order = order != 0 ? order : by_number(one->op->element, other->op->element);
    order = order != 0 ? order : by_number(one->op->field, other->op->field);
    order = order != 0 ? order : by_number(other->entry->hlc, one->entry->hlc);
    order = order != 0 ? order : memcmp(other->entry->device_id, one->entry->device_id, 32);
    order = order != 0 ? order : memcmp(other->entry->entry_id, one->entry->entry_id, 32);
    return order != 0 ? order : by_number(other->at, one->at);
}

static int
shown_order(const void *a, const void *b)
{
    int one = *(const int *)a;
    int other = *(const int *)b;

    return one < other ? -1 : one > other;
}

static bool
is_known(const struct model_op *op)
{
    return op->field < 90 && op->collection < 70;
}

static unsigned
shown_how(const struct model_op *op)
{
    return is_known(op) && op->field >= 10 ? op->field % 10 : SHOW_ALL;
}

/* What is shown of the values from `first` to `end`: ascending. */
static void
say_shown(const struct alive *alive, size_t first, size_t end, struct model_text *out)
{
    unsigned how = shown_how(alive[first].op);
    int shown[512];
    size_t count = 0;

    for (size_t n = first; n < end && count < 512; n++) {
        int value = alive[n].op->value;
        bool taken = value != MODEL_NONE && value != MODEL_NULL && !(how == SHOW_LATEST && n > first);
        if (taken && (how == SHOW_MAX || how == SHOW_MIN) && count > 0) {
            bool better = how == SHOW_MAX ? value > shown[0] : value < shown[0];
            shown[0] = better ? value : shown[0];
        } else if (taken) {
            shown[count++] = value;
        }
    }
    if (count > 0) {
        qsort(shown, count, sizeof shown[0], shown_order);
    }
    model_say(out, " shown");
    for (size_t n = 0; n < count; n++) {
        if (n == 0 || shown[n] != shown[n - 1]) {
            model_say(out, " %d", shown[n]);
        }
    }
}

static void
say_target(const struct alive *alive, size_t first, size_t end, struct model_text *out)
{
    const struct model_op *target = alive[first].op;
    bool conflict = false;
    bool newer = !is_known(target);
    int before = MODEL_NONE;

    for (size_t n = first; n < end; n++) {
        int value = alive[n].op->value;
        conflict = conflict || (value != MODEL_NONE && before != MODEL_NONE && value != before);
        before = value != MODEL_NONE ? value : before;
        newer = newer || alive[n].op->code > MODEL_REMOVE;
    }
    conflict = conflict && shown_how(target) != SHOW_UNION;
    model_say(out, "%u.%u.%u%s%s", target->collection, target->element, target->field,
              conflict ? " conflict" : "", newer ? " newer" : "");
    for (size_t n = first; n < end; n++) {
        model_say(out, " %d@%02x%02x%02x%02x#%u%s", alive[n].op->value, alive[n].entry->entry_id[4],
                  alive[n].entry->entry_id[5], alive[n].entry->entry_id[6], alive[n].entry->entry_id[7],
                  alive[n].at, alive[n].removed ? "-" : "");
    }
    say_shown(alive, first, end, out);
    model_say(out, "\n");
}

void
model_view(const struct model *model, uint32_t record, struct model_text *out)
{
    size_t count;
    struct alive *alive = find_alive(model->entries, model->count, record, &count);

    if (count > 1) {
        qsort(alive, count, sizeof *alive, alive_order);
    }
    for (size_t first = 0, next; first < count; first = next) {
        bool element = alive[first].op->collection != 0;
        size_t removed = 0;
        for (next = first; next < count && same_element(alive[first].op, alive[next].op) &&
                           (element || alive[first].op->field == alive[next].op->field);
             next++) {
            removed += alive[next].removed;
        }
        if (element && removed == next - first) {
            continue;
        }
        if (element) {
            model_say(out, "element %u.%u%s\n", alive[first].op->collection, alive[first].op->element,
                      removed > 0 ? " edited while removed" : "");
        }
        for (size_t from = first, end; from < next; from = end) {
            for (end = from; end < next && alive[from].op->field == alive[end].op->field; end++) {
            }
            say_target(alive, from, end, out);
        }
    }
    free(alive);
}

size_t
model_names(const struct model *model, const struct model_entry *const *seen, size_t seen_count,
            const struct model_op *target, uint32_t record, struct model_name *names_out)
{
    size_t alive_count;
    struct alive *alive = find_alive(seen != NULL ? seen : model->entries,
                                     seen != NULL ? seen_count : model->count, record, &alive_count);
    size_t count = 0;

    for (size_t n = 0; n < alive_count && count < MODEL_NAMES_MAX; n++) {
        if (same_element(alive[n].op, target) &&
            (target->field == MODEL_ANY || target->field == alive[n].op->field)) {
            struct model_name *name = &names_out[count++];
            memcpy(name->log, alive[n].entry->log_id, 6);
            name->seq = alive[n].entry->seq;
            name->op = alive[n].at;
            memcpy(name->tag, alive[n].entry->entry_id, 4);
        }
    }
    free(alive);
    return count;
}
