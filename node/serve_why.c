/* serve_why.c - how a value came to stand: every entry that said something about it, and what each replaced. */
#include "node/call.h"

#include "store/journal.h"

#include <stdlib.h>
#include <string.h>

/* What somebody asks about: a field, an element with its fields, or a collection with its elements. */
struct asked {
    struct target target;
    bool whole; /* the collection */
};

/* One op, wherever it is. */
struct told {
    const struct signed_change *entry;
    const struct op *op;
    const struct roster_compartment *compartment; /* NULL: no longer in the roster */
    struct dot dot;
};

struct telling {
    struct call *call;
    struct replica_view view;
    struct told *all; /* in the call's arena */
    size_t all_count;
    size_t room;
    struct told *told; /* those that are asked about, and what takes them away; likewise */
    size_t count;
    size_t unread; /* entries of the record that do not count, or cannot be read here */
};

/* --- gathering --- */

static bool
fail_memory(struct call *call)
{
    call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    return false;
}

static bool
tell(struct telling *telling, const struct roster_compartment *compartment, const struct signed_change *entry,
     uint32_t number)
{
    if (telling->all_count == telling->room) {
        size_t room = telling->room == 0 ? 64 : 2 * telling->room;
        struct told *grown = arena_take_array(&telling->call->arena, room, sizeof *grown);

        if (grown == NULL) {
            return fail_memory(telling->call);
        }
        for (size_t n = 0; n < telling->all_count; n++) {
            grown[n] = telling->all[n];
        }
        telling->all = grown;
        telling->room = room;
    }
    struct told *told = &telling->all[telling->all_count++];
    *told = (struct told){ .entry = entry, .op = &entry->change.ops[number], .compartment = compartment };
    dot_make(&told->dot, &entry->log_id, entry->seq, number, &entry->entry_id);
    return true;
}

static bool
tell_entry(struct telling *telling, const struct roster_compartment *compartment,
           const struct record_place *place)
{
    struct call *call = telling->call;
    const struct record_source *source = replica_source(call->replica);
    struct signed_change *entry = arena_take(&call->arena, sizeof *entry);

    if (entry == NULL) {
        return fail_memory(call);
    }
    enum err err = source->open(source->self, place->log_no, place->seq, &call->arena, entry);
    if (err == ERR_ABSENT) {
        telling->unread++;
        return true;
    }
    if (err != ERR_OK) {
        call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "", "%s",
                  err_text(err));
        return false;
    }
    for (size_t n = 0; n < entry->change.op_count; n++) {
        if (!tell(telling, compartment, entry, (uint32_t)n)) {
            return false;
        }
    }
    return true;
}

/* Everything that the entries of one half say. */
static bool
tell_half(struct telling *telling, const struct ident *compartment, const struct ident *record_id)
{
    struct call *call = telling->call;
    const struct record_place *places = NULL;
    uint32_t record_no = 0;
    size_t count = 0;
    bool good = true;
    enum err err = record_find(call->txn, compartment, record_id, &record_no);

    if (err == ERR_OK) {
        err = record_history(call->txn, record_no, &call->arena, &places, &count);
    }
    if (err != ERR_OK) {
        if (err != ERR_ABSENT) {
            call_fail(call, err, "", "%s", err_text(err));
        }
        return !call->failed;
    }
    const struct roster_compartment *half = roster_compartment(call->roster, compartment);
    for (size_t n = 0; good && n < count; n++) {
        good = tell_entry(telling, half, &places[n]);
    }
    return good;
}

static bool
tell_all(struct telling *telling, const struct named *named)
{
    const struct roster_compartment *compartment =
        roster_compartment(telling->call->roster, &named->compartment);

    return tell_half(telling, &named->compartment, &named->record_id) &&
           (compartment == NULL || compartment->twin == NULL ||
            tell_half(telling, &compartment->twin->id, &named->record_id));
}

/* --- what is asked --- */

/* The elements that anybody ever spoke of: one that was removed is asked for as often as one that is there. */
static bool
read_asked(struct telling *telling, const char *text, struct asked *asked_out)
{
    struct call *call = telling->call;
    uint32_t kind = view_kind(&telling->view);
    const struct codebook_collection *collection = codebook_collection_by_name(call->codebook, kind, text);
    struct element_name *elements = arena_take_array(&call->arena, telling->all_count + 1, sizeof *elements);
    struct value_fault fault;
    size_t count = 0;

    if (elements == NULL) {
        return fail_memory(call);
    }
    *asked_out = (struct asked){ .whole = collection != NULL };
    if (collection != NULL) {
        asked_out->target.collection = collection->number;
        return true;
    }
    for (size_t n = 0; n < telling->all_count; n++) {
        const struct target *target = &telling->all[n].op->target;

        if (target->collection != 0) {
            elements[count].collection = target->collection;
            memcpy(elements[count].element, target->element, ELEMENT_ID_BYTES);
            count++;
        }
    }
    enum err err = target_parse(call->codebook, kind, text, elements, count, &asked_out->target, &fault);
    if (err != ERR_OK) {
        call_fail(call, err, "vigil case show --ids names the fields and elements of a record", "%s",
                  fault.text);
    }
    return err == ERR_OK;
}

static bool
same_element(const struct target *a, const struct target *b)
{
    return a->collection == b->collection && memcmp(a->element, b->element, ELEMENT_ID_BYTES) == 0;
}

static bool
is_asked(const struct asked *asked, const struct target *target)
{
    if (asked->whole) {
        return target->collection == asked->target.collection;
    }
    return asked->target.field == 0 ? same_element(&asked->target, target)
                                    : target_compare(&asked->target, target) == 0;
}

static bool
names(const struct op *op, const struct dot *dot)
{
    for (size_t n = 0; n < op->pred_count; n++) {
        if (dot_compare(&op->preds[n], dot) == 0) {
            return true;
        }
    }
    return false;
}

static int
order(const void *a, const void *b)
{
    const struct told *left = a;
    const struct told *right = b;
    uint64_t left_hlc = left->entry->change.hlc;
    uint64_t right_hlc = right->entry->change.hlc;

    return left_hlc < right_hlc ? -1 : left_hlc > right_hlc ? 1 : dot_compare(&left->dot, &right->dot);
}

/* True if the op takes away one of the first `count` that were chosen: a removal of an element names the values of its fields. */
static bool
takes_away(const struct telling *telling, size_t count, const struct op *op)
{
    for (size_t n = 0; op->pred_count > 0 && n < count; n++) {
        if (names(op, &telling->told[n].dot)) {
            return true;
        }
    }
    return false;
}

/* Choose what is asked about, and put it in order: the oldest first, as its authors claim. */
static bool
choose(struct telling *telling, const struct asked *asked)
{
    telling->told = arena_take_array(&telling->call->arena, telling->all_count + 1, sizeof *telling->told);
    if (telling->told == NULL) {
        return fail_memory(telling->call);
    }
    for (size_t n = 0; n < telling->all_count; n++) {
        if (is_asked(asked, &telling->all[n].op->target)) {
            telling->told[telling->count++] = telling->all[n];
        }
    }
    size_t asked_count = telling->count;
    for (size_t n = 0; n < telling->all_count; n++) {
        const struct op *op = telling->all[n].op;

        if (!is_asked(asked, &op->target) && takes_away(telling, asked_count, op)) {
            telling->told[telling->count++] = telling->all[n];
        }
    }
    qsort(telling->told, telling->count, sizeof *telling->told, order);
    return true;
}

/* --- what became of each --- */

static bool
is_same_op(const struct told *told, const struct live *live)
{
    return told->entry->log_no == live->entry->log_no && told->entry->seq == live->entry->seq &&
           told->op == &told->entry->change.ops[live->op];
}

static bool
is_shown(const struct record_target *target, struct span value)
{
    for (size_t n = 0; n < target->shown_count; n++) {
        if (span_equal(target->shown[n], value)) {
            return true;
        }
    }
    return false;
}

/* Where the view has it. NULL: it is not in it, since something replaced or removed it. */
static const char *
standing(const struct record_view *half, const struct told *told)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        for (size_t m = 0; m < target->value_count; m++) {
            const struct live *live = &target->values[m];

            if (live->op < told->entry->change.op_count && is_same_op(told, live)) {
                return target->value_count == 1        ? "stands"
                       : m == 0                        ? "stands, picked"
                       : is_shown(target, live->value) ? "stands beside it"
                                                       : "stands, not shown";
            }
        }
    }
    return NULL;
}

static json_t *
numbers_json(const struct telling *telling, const struct told *told, bool replaced_by)
{
    json_t *numbers = json_array();

    for (size_t n = 0; n < telling->count; n++) {
        const struct told *other = &telling->told[n];

        if (replaced_by ? names(other->op, &told->dot) : names(told->op, &other->dot)) {
            (void)json_array_append_new(numbers, json_integer((json_int_t)n + 1));
        }
    }
    return numbers;
}

/* Only a removal names it, and no other value. */
static bool
is_only_removed(const struct telling *telling, const struct told *told)
{
    for (size_t n = 0; n < telling->count; n++) {
        const struct op *op = telling->told[n].op;

        if (op->code != OP_REMOVE && names(op, &told->dot)) {
            return false;
        }
    }
    return true;
}

static const char *
fate(const struct telling *telling, const struct told *told)
{
    if (told->op->code == OP_REMOVE) {
        return "removes";
    }
    const char *stands = standing(telling->view.open, told);
    if (stands == NULL) {
        stands = standing(telling->view.protected_half, told);
    }
    return stands != NULL ? stands : is_only_removed(telling, told) ? "removed" : "replaced";
}

/* How many of the values that it names are in nothing that is here: their entries have not come, are held, or were erased. */
static json_int_t
count_missing(const struct telling *telling, const struct op *op)
{
    json_int_t missing = 0;

    for (size_t n = 0; n < op->pred_count; n++) {
        bool here = false;

        for (size_t m = 0; !here && m < telling->all_count; m++) {
            here = dot_compare(&op->preds[n], &telling->all[m].dot) == 0;
        }
        missing += here ? 0 : 1;
    }
    return missing;
}

static json_t *
told_json(struct telling *telling, size_t at)
{
    struct call *call = telling->call;
    const struct told *told = &telling->told[at];
    const struct signed_change *entry = told->entry;
    json_t *json = op_json(call, told->op);

    (void)json_object_del(json, "shown");
    (void)json_object_set_new(
        json, "label",
        told->op->value.data == NULL
            ? json_null()
            : value_label(call->codebook, cell_field(call->codebook, &told->op->target), told->op->value));
    json_t *rest = json_pack(
        "{s:I,s:s,s:o,s:o,s:I,s:o,s:b,s:o,s:o,s:s,s:o,s:I,s:o}", "n", (json_int_t)at + 1, "fate",
        fate(telling, told), "replaced_by", numbers_json(telling, told, true), "replaces",
        numbers_json(telling, told, false), "missing", count_missing(telling, told->op), "at",
        hlc_json(entry->change.hlc), "suspect_time", stamp_is_suspect(call, entry->change.hlc), "device",
        device_json(call->roster, &entry->device_id), "actor",
        actor_json(call->roster, &entry->device_id, entry->change.actor), "compartment",
        told->compartment == NULL ? "" : told->compartment->name, "log", hex_json(hash_span(&entry->log_id)),
        "seq", (json_int_t)entry->seq, "entry", hex_json(hash_span(&entry->entry_id)));
    (void)json_object_update(json, rest);
    json_decref(rest);
    return json;
}

/* --- in a sentence --- */

static const char *
because_several(const struct record_target *target)
{
    if (target->field == NULL) {
        return "several values stand: each was written by somebody who had not seen the others";
    }
    switch (target->field->policy) {
    case MERGE_UNION:
        return "all values that stand count together, since none replaces another";
    case MERGE_MAX:
        return "several values stand, and of these the highest counts";
    case MERGE_MIN:
        return "several values stand, and of these the lowest counts";
    case MERGE_PROTECTIVE:
        return "several values stand, and of these the one that protects most counts";
    case MERGE_LATEST:
        return "several values stand, and of these the one written last, as its author's clock says, counts";
    default:
        return target->conflict ? "several values stand: each was written by somebody who had not seen the "
                                  "others, and it is "
                                  "for people to decide"
                                : "several people wrote the same";
    }
}

static const char *
because(const struct telling *telling, const struct asked *asked)
{
    const struct record_target *target = asked->whole ? NULL : view_target(&telling->view, &asked->target);

    if (telling->count == 0) {
        return telling->unread > 0 ? "nothing that counts here says anything about it" : "nobody has set it";
    }
    if (asked->target.field == 0) {
        return "an element is there as long as something of it stands that no removal has seen";
    }
    if (target == NULL || target->value_count == 0) {
        return "what was written was removed";
    }
    if (target->value_count > 1) {
        return because_several(target);
    }
    return value_is_null(target->values[0].value) ? "it was cleared"
                                                  : "it is the one value that no other entry replaces";
}

/* True if it can only stand where this node cannot read. */
static bool
is_withheld(const struct telling *telling, const struct asked *asked)
{
    const struct codebook_field *field = cell_field(telling->call->codebook, &asked->target);
    const struct codebook_collection *collection =
        codebook_collection(telling->call->codebook, asked->target.collection);
    enum sensitivity level = field != NULL        ? field->sensitivity
                             : collection != NULL ? collection->sensitivity
                                                  : LEVEL_L2;

    return telling->view.withheld && level == LEVEL_L3;
}

void
call_record_why(struct call *call)
{
    const char *text = call_text_needed(call, "target");
    struct telling telling = { .call = call };
    struct named named;
    struct asked asked;

    if (call->failed || !call_record(call, &named) || !call_view(call, &named, &telling.view)) {
        return;
    }
    if (telling.view.restricted) {
        call_fail_restricted(call);
        return;
    }
    if (!tell_all(&telling, &named) || !read_asked(&telling, text, &asked) || !choose(&telling, &asked)) {
        return;
    }
    json_t *ops = json_array();
    for (size_t n = 0; n < telling.count; n++) {
        (void)json_array_append_new(ops, told_json(&telling, n));
    }
    const struct codebook_field *field = cell_field(call->codebook, &asked.target);
    bool withheld = is_withheld(&telling, &asked);
    call_ok(call,
            json_pack("{s:o,s:s,s:s,s:s,s:s,s:s,s:b,s:I,s:o}", "record",
                      hex_json(ident_span(&named.record_id)), "number", named.number, "target",
                      asked.whole ? text : target_print(call->codebook, &asked.target).text, "label",
                      target_label(call->codebook, &asked.target), "policy",
                      field == NULL ? "" : value_policy_name(field->policy), "because",
                      withheld ? "it stands in the protected part of the record, which this node may not read"
                               : because(&telling, &asked),
                      "withheld", withheld, "unread", (json_int_t)telling.unread, "ops", ops));
}
