/* serve_conflict.c - what two people wrote at once, and how a person decides. */
#include "node/call.h"

#include "store/base/cbor.h"

#include <string.h>

enum { CONFLICT_LIMIT_DEFAULT = 100, CONFLICT_LIMIT_MAX = 1000 };

static const char *
how_text(enum conflict_how how)
{
    switch (how) {
    case CONFLICT_ELEMENT:
        return "edited while removed";
    case CONFLICT_MISPLACED:
        return "misplaced";
    default:
        return "values";
    }
}

/* --- conflict.list --- */

/* The number that a record's summary shows: the case half has it. */
static void
number_of(struct call *call, const struct ident *compartment, const struct ident *record_id,
          uint32_t *kind_out, char number[NAMES_NUMBER_BYTES])
{
    const struct roster_compartment *half = roster_compartment(call->roster, compartment);
    const struct ident *open = half != NULL && half->role == COMPARTMENT_PROTECTED && half->twin != NULL
                                   ? &half->twin->id
                                   : compartment;
    struct record_summary summary;
    uint32_t record_no = 0;

    number[0] = '\0';
    *kind_out = 0;
    if (record_find(call->txn, open, record_id, &record_no) != ERR_OK ||
        record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary) != ERR_OK) {
        return;
    }
    *kind_out = summary.kind;
    for (size_t n = 0; n < summary.item_count; n++) {
        const struct record_item *item = &summary.items[n];

        if (item->field != NULL && strcmp(item->field->name, "number") == 0 && item->shown_count > 0) {
            struct cbor_reader in = cbor_reader_of(item->shown[0]);
            struct span text = cbor_read_text(&in);

            if (cbor_done(&in) && text.size < NAMES_NUMBER_BYTES && utf8_valid(text)) {
                memcpy(number, text.data, text.size);
                number[text.size] = '\0';
            }
        }
    }
}

/* Append every open conflict of one half of a record. */
static void
list_record(struct call *call, uint32_t record_no, json_t *list)
{
    const struct record_conflict *conflicts = NULL;
    struct ident compartment;
    struct ident record_id;
    char number[NAMES_NUMBER_BYTES];
    uint32_t kind;
    size_t count = 0;
    enum err err = record_name(call->txn, record_no, &compartment, &record_id);

    if (err == ERR_OK) {
        err = record_conflicts_read(call->txn, record_no, &call->arena, &conflicts, &count);
    }
    if (err != ERR_OK) {
        if (err != ERR_ABSENT && err != ERR_CORRUPT) {
            call_fail(call, err, "", "%s", err_text(err));
        }
        return;
    }
    number_of(call, &compartment, &record_id, &kind, number);
    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(
            list, json_pack("{s:o,s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "record", hex_json(ident_span(&record_id)),
                            "number", number, "kind", kind_name(call->codebook, kind), "office",
                            office_name(call->roster, &compartment), "target",
                            target_print(call->codebook, &conflicts[n].target).text, "label",
                            target_label(call->codebook, &conflicts[n].target), "how",
                            how_text(conflicts[n].how), "since", hlc_json(conflicts[n].since_hlc)));
    }
}

bool
conflicts_list(struct call *call, uint32_t after, int64_t limit, json_t *list, uint32_t *last_out)
{
    bool more = true;

    *last_out = after;
    /* Records are listed whole, so a page may be a little longer than its limit. */
    while (!call->failed && json_array_size(list) < (size_t)limit &&
           (more = record_conflict_next(call->txn, *last_out, last_out))) {
        list_record(call, *last_out, list);
        arena_reset(&call->arena);
    }
    return more;
}

void
call_conflict_list(struct call *call)
{
    int64_t limit = call_number(call, "limit", 1, CONFLICT_LIMIT_MAX, CONFLICT_LIMIT_DEFAULT);
    uint32_t after = (uint32_t)call_number(call, "after", 0, UINT32_MAX, 0);
    json_t *list = json_array();
    uint32_t last = 0;
    bool more = conflicts_list(call, after, limit, list, &last);

    call_ok(call, json_pack("{s:o,s:o}", "conflicts", list, "next", more ? json_integer(last) : json_null()));
}

/* --- conflict.show --- */

static json_t *
siblings_json(struct call *call, const struct record_target *target)
{
    json_t *siblings = values_json(call, target);
    size_t index;
    json_t *sibling;

    json_array_foreach(siblings, index, sibling)
    {
        (void)json_object_set_new(sibling, "n", json_integer((json_int_t)index + 1));
    }
    return siblings;
}

static void
add_conflict(struct call *call, json_t *list, const struct target *target, const char *how, json_t *siblings)
{
    (void)json_array_append_new(
        list, json_pack("{s:s,s:s,s:s,s:o}", "target", target_print(call->codebook, target).text, "label",
                        target_label(call->codebook, target), "how", how, "siblings", siblings));
}

/* What of an element in conflict is still there: each field with who wrote it, and whether the removal saw it. */
static json_t *
element_siblings(struct call *call, const struct record_view *half, const struct record_element *element)
{
    json_t *siblings = json_array();

    for (size_t n = element->first; n < element->first + element->count; n++) {
        const struct record_target *target = &half->targets[n];

        if (target->target.field == 0 || target->value_count == 0) {
            continue;
        }
        json_t *values = values_json(call, target);
        size_t index;
        json_t *value;

        json_array_foreach(values, index, value)
        {
            (void)json_object_set_new(value, "n", json_integer((json_int_t)json_array_size(siblings) + 1));
            (void)json_object_set_new(value, "target",
                                      json_string(target_print(call->codebook, &target->target).text));
            (void)json_object_set_new(value, "removed", json_boolean(target->values[index].removed));
            (void)json_array_append(siblings, value);
        }
        json_decref(values);
    }
    return siblings;
}

static void
list_half(struct call *call, const struct record_view *half, const struct target *only, json_t *list)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        if ((target->conflict || target->misplaced) &&
            (only == NULL || target_compare(only, &target->target) == 0)) {
            add_conflict(call, list, &target->target, target->misplaced ? "misplaced" : "values",
                         siblings_json(call, target));
        }
    }
    for (size_t n = 0; half != NULL && n < half->element_count; n++) {
        const struct record_element *element = &half->elements[n];
        struct target target = { .collection = element->collection };

        memcpy(target.element, element->element, ELEMENT_ID_BYTES);
        if (element->state == ELEMENT_IN_CONFLICT && (only == NULL || target_compare(only, &target) == 0)) {
            add_conflict(call, list, &target, "edited while removed", element_siblings(call, half, element));
        }
    }
}

/* The target that member "target" names; data of the view. False: the call failed. */
static bool
read_target(struct call *call, const struct replica_view *view, const char *text, struct target *target_out)
{
    const struct element_name *elements = NULL;
    struct value_fault fault;
    size_t count = 0;

    if (!view_elements(call, view, &elements, &count)) {
        return false;
    }
    enum err err = target_parse(call->codebook, view_kind(view), text, elements, count, target_out, &fault);
    if (err != ERR_OK) {
        call_fail(call, err, "vigil conflict list names the fields in conflict", "%s", fault.text);
    }
    return err == ERR_OK;
}

void
call_conflict_show(struct call *call)
{
    const char *text = call_text(call, "target");
    struct named named;
    struct replica_view view;
    struct target target;

    if (call->failed || !call_record(call, &named) || !call_view(call, &named, &view) ||
        (text != NULL && !read_target(call, &view, text, &target))) {
        return;
    }
    json_t *list = json_array();
    list_half(call, view.open, text == NULL ? NULL : &target, list);
    list_half(call, view.protected_half, text == NULL ? NULL : &target, list);
    call_ok(call,
            json_pack("{s:o,s:s,s:s,s:o}", "record", hex_json(ident_span(&named.record_id)), "number",
                      named.number, "kind", kind_name(call->codebook, view_kind(&view)), "conflicts", list));
}

/* --- conflict.resolve --- */

struct decision {
    struct call *call;
    struct save_op ops[CHANGE_OPS_MAX];
    size_t count;
};

static void
decide(struct decision *decision, uint32_t code, const struct target *target, struct span value)
{
    if (decision->count == CHANGE_OPS_MAX) {
        call_fail(decision->call, ERR_FULL, "remove it, and add it anew",
                  "the element holds more values than one save may write");
        return;
    }
    decision->ops[decision->count] =
        (struct save_op){ .code = code, .target = *target, .value = value, .resolve = true };
    decision->count++;
}

/* Keep an element: add it afresh with all that is left of it, siblings and all, so that nobody's words are lost. Or
 * remove it, whatever it holds. */
static void
decide_element(struct decision *decision, const struct replica_view *view, const struct target *element,
               bool keep)
{
    static const uint8_t null[] = { 0xf6 };
    const struct record_view *const halves[2] = { view->open, view->protected_half };
    const struct codebook_collection *collection =
        codebook_collection(decision->call->codebook, element->collection);
    int own = collection != NULL && collection->sensitivity == LEVEL_L3 ? 1 : 0;

    decide(decision, keep ? OP_ADD : OP_REMOVE, element, span_of(NULL, 0));
    for (int half = 0; half < 2; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->target_count; n++) {
            const struct record_target *target = &halves[half]->targets[n];

            if (target->target.collection != element->collection || target->target.field == 0 ||
                memcmp(target->target.element, element->element, ELEMENT_ID_BYTES) != 0) {
                continue;
            }
            for (size_t m = 0; keep && m < target->value_count; m++) {
                if (target->values[m].value.data != NULL) {
                    decide(decision, OP_SET, &target->target, target->values[m].value);
                }
            }
            if (!keep && half != own) {
                decide(decision, OP_SET, &target->target, span_of(null, sizeof null));
            }
        }
    }
}

/* The value that "choose" or "value" stands for, in the arena. */
static bool
choose_value(struct call *call, const struct record_target *target, struct span *value_out)
{
    const json_t *value = json_object_get(call->body, "value");
    struct value_fault fault;
    struct buf cbor = { 0 };

    if (value == NULL) {
        int64_t n = call_number(call, "choose", 1, INT64_MAX, 0);

        if (n == 0 && !call->failed) {
            call_usage(call, "the request neither chooses one of the values nor gives another");
        }
        if (n > (int64_t)target->value_count) {
            call_fail(call, ERR_ABSENT, "vigil conflict show numbers them", "there are only %zu values",
                      target->value_count);
        }
        if (!call->failed) {
            *value_out = target->values[n - 1].value;
        }
        return !call->failed;
    }
    if (target->field == NULL) {
        call_fail(call, ERR_NEWER, "upgrade this node", "this field is of a newer version");
        return false;
    }
    enum err err = value_parse(call->codebook, target->field, value, &cbor, &fault);
    if (err != ERR_OK) {
        call_fail(call, err, "vigil codebook show lists what each field may hold", "%s",
                  err == ERR_INVALID ? fault.text : err_text(err));
    }
    *value_out = arena_copy_buf(&call->arena, &cbor);
    buf_wipe(&cbor);
    return !call->failed;
}

static void
decide_field(struct decision *decision, const struct replica_view *view, const struct target *target)
{
    const struct record_target *found = view_target(view, target);
    struct span value;

    if (found == NULL || (!found->conflict && !found->misplaced)) {
        call_fail(decision->call, ERR_ABSENT, "vigil conflict show lists what is open",
                  "%s is not in conflict", target_print(decision->call->codebook, target).text);
    } else if (choose_value(decision->call, found, &value)) {
        decide(decision, OP_SET, target, value);
    }
}

void
call_conflict_resolve(struct call *call)
{
    const char *text = call_text_needed(call, "target");
    const char *choose = json_string_value(json_object_get(call->body, "choose"));
    struct named named;
    struct replica_view view;
    struct target target;

    if (call->failed || !call_record(call, &named) || !call_view(call, &named, &view) ||
        !read_target(call, &view, text, &target)) {
        return;
    }
    struct decision *decision = arena_take_array(&call->arena, 1, sizeof *decision);
    if (decision == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    decision->call = call;
    if (target.field != 0) {
        decide_field(decision, &view, &target);
    } else if (choose == NULL || (strcmp(choose, "keep") != 0 && strcmp(choose, "remove") != 0)) {
        call_usage(call, "%s is an element: choose \"keep\" or \"remove\"", text);
    } else {
        decide_element(decision, &view, &target, strcmp(choose, "keep") == 0);
    }
    if (call->failed) {
        return;
    }
    struct save save = { .compartment = named.compartment,
                         .record_id = named.record_id,
                         .actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0),
                         .ops = decision->ops,
                         .op_count = decision->count };
    if (call_allows_step(call, view_kind(&view), &view, &save) &&
        call_minds_urgency(call, view_kind(&view), &view, &save)) {
        call_save(call, &save, named.number);
    }
}
