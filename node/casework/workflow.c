#include "node/casework/workflow.h"

#include "store/base/cbor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 16 };

/* What the record is at: one stage, or several that were taken at once. */
struct stages {
    uint32_t codes[VALUES_MAX]; /* each once */
    size_t count;
    uint64_t hlc; /* since when, as claimed */
};

/* Who may pass or refuse which gate: a certificate says it. The eyes that approve are a reviewer's. */
static const uint32_t gate_roles[] = {
    ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS, /* scope */
    ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS, /* consent */
    ROLE_REVIEW | ROLE_HEADQUARTERS,                  /* no harm */
    ROLE_REVIEW | ROLE_HEADQUARTERS,                  /* verification */
    ROLE_REVIEW | ROLE_HEADQUARTERS,                  /* four eyes */
    ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS, /* reply */
};

static bool
holds(const struct stages *stages, uint32_t code)
{
    for (size_t n = 0; n < stages->count; n++) {
        if (stages->codes[n] == code) {
            return true;
        }
    }
    return false;
}

/* The number of a code; 0: it is none, or cleared. */
static uint32_t
code_of(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    uint64_t code = cbor_peek(&in) == CBOR_UINT ? cbor_read_uint(&in) : 0;

    return code <= UINT32_MAX ? (uint32_t)code : 0;
}

static bool
is_null(struct span cbor)
{
    return cbor.size == 1 && cbor.data[0] == 0xf6;
}

static const char *
value_name(const struct codebook_vocabulary *vocabulary, uint32_t number)
{
    const struct codebook_value *value = codebook_value(vocabulary, number);

    return value == NULL ? "unknown here" : value->name;
}

static void append(char *text, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void
append(char *text, size_t room, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + used, room - used, format, args);
    va_end(args);
}

/* --- what the record will hold --- */

/* The halves of the record; the second may be NULL. */
static const struct record_view *
half_of(const struct workflow_save *save, int half)
{
    return half == 0 ? save->view->open : save->view->protected_half;
}

/* True if the target will hold a value: one that this save sets, or one that is there and is not cleared. */
static bool
is_filled(const struct workflow_save *save, const struct target *target)
{
    bool set = false;
    bool filled = false;

    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];

        if (op->code == OP_SET && target_compare(&op->target, target) == 0) {
            set = true;
            filled = !is_null(op->value);
        }
    }
    for (int half = 0; half < 2 && !set; half++) {
        const struct record_view *view = half_of(save, half);

        for (size_t n = 0; view != NULL && n < view->target_count; n++) {
            const struct record_target *at = &view->targets[n];

            for (size_t v = 0; target_compare(&at->target, target) == 0 && v < at->value_count; v++) {
                filled = filled || !is_null(at->values[v].value);
            }
        }
    }
    return filled;
}

/* True if this save removes the element. */
static bool
is_removed(const struct workflow_save *save, uint32_t collection, const uint8_t element[ELEMENT_ID_BYTES])
{
    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];

        if (op->code == OP_REMOVE && op->target.collection == collection &&
            memcmp(op->target.element, element, ELEMENT_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Is the field filled in for every element that the record will have? In a set or keyed collection there must be one. */
static bool
is_filled_in_elements(const struct workflow_save *save, const struct codebook_field *field)
{
    const struct codebook_collection *collection = codebook_collection(save->codebook, field->collection);
    struct target target = { .collection = field->collection, .field = field->number };
    bool filled = true;
    bool any = false;

    for (int half = 0; half < 2; half++) {
        const struct record_view *view = half_of(save, half);

        for (size_t n = 0; view != NULL && n < view->element_count; n++) {
            const struct record_element *element = &view->elements[n];

            if (element->collection == field->collection &&
                !is_removed(save, field->collection, element->element)) {
                memcpy(target.element, element->element, ELEMENT_ID_BYTES);
                filled = filled && is_filled(save, &target);
                any = true;
            }
        }
    }
    for (size_t n = 0; n < save->op_count; n++) {
        if (save->ops[n].code == OP_ADD && save->ops[n].target.collection == field->collection) {
            memcpy(target.element, save->ops[n].target.element, ELEMENT_ID_BYTES);
            filled = filled && is_filled(save, &target);
            any = true;
        }
    }
    return filled &&
           (any || collection == NULL || (collection->flags & (COLLECTION_SET | COLLECTION_KEYED)) == 0);
}

/* --- gates --- */

/* What was said last at a gate. */
struct opinion {
    uint64_t hlc;
    bool passed;
    bool refused;
    bool by_another; /* than who takes the step */
};

/* The numbers of the fields of a review, by their names: another codebook may have none. */
struct review_fields {
    const struct codebook_collection *collection;
    const struct codebook_field *gate;
    const struct codebook_field *step;
    const struct codebook_field *decision;
};

static bool
find_review_fields(const struct workflow_save *save, struct review_fields *out)
{
    out->collection = codebook_collection_by_name(save->codebook, save->kind, "review");
    out->gate = codebook_field_by_name(save->codebook, save->kind, "review.gate");
    out->step = codebook_field_by_name(save->codebook, save->kind, "review.step");
    out->decision = codebook_field_by_name(save->codebook, save->kind, "review.decision");
    return out->collection != NULL && out->gate != NULL && out->step != NULL && out->decision != NULL;
}

static const struct record_target *
element_target(const struct record_view *view, const struct record_element *element, uint32_t field)
{
    for (size_t n = element->first; n < element->first + element->count; n++) {
        if (view->targets[n].target.field == field) {
            return &view->targets[n];
        }
    }
    return NULL;
}

/* The one code of a field of a review; 0: none, or several. */
static uint32_t
review_code(const struct record_view *view, const struct record_element *element, uint32_t field)
{
    const struct record_target *target = element_target(view, element, field);

    return target != NULL && target->value_count == 1 ? code_of(target->values[0].value) : 0;
}

static bool
is_same_person(const struct workflow_person *person, const struct signed_change *entry)
{
    return hash_equal(&person->device_id, &entry->device_id) && person->actor == entry->change.actor;
}

static void
take_decisions(const struct workflow_save *save, const struct record_target *decisions,
               struct opinion *opinion)
{
    enum { PASSED = 1 };

    for (size_t n = 0; n < decisions->value_count; n++) {
        const struct live *live = &decisions->values[n];
        uint64_t hlc = live->entry->change.hlc;
        bool passed = code_of(live->value) == PASSED;

        if (hlc < opinion->hlc) {
            continue;
        }
        if (hlc > opinion->hlc) {
            *opinion = (struct opinion){ .hlc = hlc };
        }
        opinion->passed = opinion->passed || passed;
        opinion->refused = opinion->refused || !passed;
        opinion->by_another = opinion->by_another || !is_same_person(&save->person, live->entry);
    }
}

/* Reviews stand in the case half; those that this very save adds come too late for it. */
static struct opinion
opinion_at(const struct workflow_save *save, const struct review_fields *fields, uint32_t gate, uint32_t step,
           uint64_t since_hlc)
{
    const struct record_view *view = save->view->open;
    struct opinion opinion = { .hlc = since_hlc + 1 };

    for (size_t n = 0; view != NULL && n < view->element_count; n++) {
        const struct record_element *element = &view->elements[n];
        const struct record_target *decisions = NULL;

        if (element->collection == fields->collection->number &&
            review_code(view, element, fields->gate->number) == gate &&
            review_code(view, element, fields->step->number) == step) {
            decisions = element_target(view, element, fields->decision->number);
        }
        if (decisions != NULL) {
            take_decisions(save, decisions, &opinion);
        }
    }
    return opinion;
}

/* Which of the gates before a step are not passed. */
static uint32_t
gates_left(const struct workflow_save *save, uint32_t gates, uint32_t step, uint64_t since_hlc)
{
    struct review_fields fields;
    uint32_t left = 0;

    if (gates == 0) {
        return 0;
    }
    if (!find_review_fields(save, &fields)) {
        return gates;
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        uint32_t gate = UINT32_C(1) << bit;

        if ((gates & gate) != 0) {
            struct opinion opinion = opinion_at(save, &fields, bit + 1, step, since_hlc);
            bool passed =
                opinion.passed && !opinion.refused && (gate != GATE_FOUR_EYES || opinion.by_another);

            left |= passed ? 0 : gate;
        }
    }
    return left;
}

/* May this person say what the save says at gates? */
static bool
check_reviewer(const struct workflow_save *save, struct workflow_fault *fault)
{
    struct review_fields fields;

    if (!find_review_fields(save, &fields)) {
        return true;
    }
    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];
        uint32_t gate = op->target.field == fields.gate->number ? code_of(op->value) : 0;

        if (op->code != OP_SET || gate == 0 || gate > sizeof gate_roles / sizeof gate_roles[0] ||
            (gate_roles[gate - 1] & save->person.roles) != 0) {
            continue;
        }
        (void)snprintf(fault->what, sizeof fault->what,
                       "who has no role for the gate %s neither passes nor refuses it",
                       value_name(codebook_vocabulary(save->codebook, fields.gate->vocabulary), gate));
        (void)snprintf(fault->hint, sizeof fault->hint,
                       "ask somebody whose certificate and actor have the role review or headquarters");
        return false;
    }
    return true;
}

/* --- the step --- */

/* What the record is at now. */
static void
read_stages(const struct workflow_save *save, const struct codebook_field *stage, struct stages *out)
{
    const struct target target = { .field = stage->number };
    const struct record_view *view = save->view->open;

    *out = (struct stages){ .count = 0 };
    for (size_t n = 0; view != NULL && n < view->target_count; n++) {
        const struct record_target *at = &view->targets[n];

        for (size_t v = 0; target_compare(&at->target, &target) == 0 && v < at->value_count; v++) {
            uint32_t code = code_of(at->values[v].value);
            uint64_t hlc = at->values[v].entry->change.hlc;

            out->hlc = hlc > out->hlc ? hlc : out->hlc;
            if (code != 0 && !holds(out, code) && out->count < VALUES_MAX) {
                out->codes[out->count] = code;
                out->count++;
            }
        }
    }
    if (out->count == 0) {
        out->codes[0] = STEP_FROM_NONE;
        out->count = 1;
    }
}

/* The value that the save sets the stage to. False: it sets none. */
static bool
read_step(const struct workflow_save *save, const struct codebook_field *stage, uint32_t *to_out)
{
    const struct target target = { .field = stage->number };
    bool steps = false;

    for (size_t n = 0; n < save->op_count; n++) {
        if (save->ops[n].code == OP_SET && target_compare(&save->ops[n].target, &target) == 0) {
            *to_out = code_of(save->ops[n].value);
            steps = true;
        }
    }
    return steps;
}

static bool
explain_no_step(const struct codebook_vocabulary *vocabulary, uint32_t from, uint32_t to,
                struct workflow_fault *fault)
{
    bool first = true;

    if (from == STEP_FROM_NONE) {
        (void)snprintf(fault->what, sizeof fault->what, "no record begins as %s", value_name(vocabulary, to));
        (void)snprintf(fault->hint, sizeof fault->hint, "begin with ");
    } else {
        (void)snprintf(fault->what, sizeof fault->what, "%s does not follow upon %s",
                       value_name(vocabulary, to), value_name(vocabulary, from));
        (void)snprintf(fault->hint, sizeof fault->hint, "after %s comes ", value_name(vocabulary, from));
    }
    for (size_t n = 0; n < vocabulary->step_count; n++) {
        if (vocabulary->steps[n].from == from) {
            append(fault->hint, sizeof fault->hint, "%s%s", first ? "" : ", ",
                   value_name(vocabulary, vocabulary->steps[n].to));
            first = false;
        }
    }
    return false;
}

/* Are all fields filled in that are asked for at this stage? */
static bool
check_fields(const struct workflow_save *save, const struct codebook_vocabulary *vocabulary, uint32_t to,
             struct workflow_fault *fault)
{
    const struct codebook_value *at = codebook_value(vocabulary, to);
    size_t missing = 0;

    fault->what[0] = '\0';
    fault->hint[0] = '\0';
    for (size_t n = 0; at != NULL && n < save->codebook->field_count; n++) {
        const struct codebook_field *field = &save->codebook->fields[n];
        const struct codebook_value *from = codebook_value(vocabulary, field->stage);
        const struct target target = { .field = field->number };

        if ((field->kinds >> save->kind & 1) == 0 || field->stage == 0 || from == NULL ||
            from->rank > at->rank || (save->view->withheld && field->sensitivity == LEVEL_L3) ||
            (field->collection == 0 ? is_filled(save, &target) : is_filled_in_elements(save, field))) {
            continue;
        }
        if (missing == 0) {
            append(fault->what, sizeof fault->what, "before it is %s this must be filled in: %s", at->name,
                   field->name);
        } else if (missing < 6) {
            append(fault->what, sizeof fault->what, ", %s", field->name);
        }
        missing++;
    }
    if (missing > 6) {
        append(fault->what, sizeof fault->what, " and %zu more", missing - 6);
    }
    append(fault->hint, sizeof fault->hint,
           "vigil codebook show tells from when on a field is asked for; set it in the same save");
    return missing == 0;
}

static bool
explain_gates(const struct workflow_save *save, const struct codebook_vocabulary *vocabulary, uint32_t left,
              uint32_t to, struct workflow_fault *fault)
{
    const struct codebook_field *gate = codebook_field_by_name(save->codebook, save->kind, "review.gate");
    const struct codebook_vocabulary *gates =
        gate == NULL ? NULL : codebook_vocabulary(save->codebook, gate->vocabulary);
    const char *name = "";
    bool first = true;

    (void)snprintf(fault->what, sizeof fault->what,
                   "before it is %s these gates must be passed: ", value_name(vocabulary, to));
    for (uint32_t bit = 0; bit < 32; bit++) {
        if ((left >> bit & 1) != 0) {
            const char *own = gates == NULL ? "unknown here" : value_name(gates, bit + 1);

            append(fault->what, sizeof fault->what, "%s%s", first ? "" : ", ", own);
            name = first ? own : name;
            first = false;
        }
    }
    (void)snprintf(fault->hint, sizeof fault->hint,
                   "add review.gate=%s review.step=%s review.decision=passed; four eyes are those of another "
                   "person",
                   name, value_name(vocabulary, to));
    return false;
}

bool
workflow_allows(const struct workflow_save *save, struct workflow_fault *fault_out)
{
    const struct codebook_field *stage = codebook_stage_field(save->codebook, save->kind);
    const struct codebook_vocabulary *vocabulary =
        stage == NULL ? NULL : codebook_vocabulary(save->codebook, stage->vocabulary);
    struct stages from;
    uint32_t gates = 0;
    uint32_t to = 0;
    bool on_the_way = false;

    *fault_out = (struct workflow_fault){ .what = "" };
    if (!check_reviewer(save, fault_out)) {
        return false;
    }
    if (vocabulary == NULL || vocabulary->step_count == 0 || !read_step(save, stage, &to)) {
        return true;
    }
    read_stages(save, stage, &from);
    if (to == 0) {
        (void)snprintf(fault_out->what, sizeof fault_out->what, "%s cannot be cleared", stage->name);
        (void)snprintf(fault_out->hint, sizeof fault_out->hint, "set it to another value");
        return false;
    }
    if (holds(&from, to)) {
        return true; /* no step, or one of several that were taken at once */
    }
    for (size_t n = 0; n < from.count; n++) {
        const struct codebook_step *step = codebook_step(vocabulary, from.codes[n], to);

        if (step == NULL) {
            return explain_no_step(vocabulary, from.codes[n], to, fault_out);
        }
        gates |= step->gates;
        on_the_way = on_the_way || step->from != STEP_FROM_ANY;
    }
    if (on_the_way && !check_fields(save, vocabulary, to, fault_out)) {
        return false;
    }
    uint32_t left = gates_left(save, gates, to, from.hlc);
    return left == 0 || explain_gates(save, vocabulary, left, to, fault_out);
}

bool
workflow_step(const struct workflow_save *save, uint32_t *to_out)
{
    const struct codebook_field *stage = codebook_stage_field(save->codebook, save->kind);
    struct stages from;

    *to_out = 0;
    if (stage == NULL || !read_step(save, stage, to_out)) {
        return false;
    }
    read_stages(save, stage, &from);
    return !holds(&from, *to_out);
}

uint64_t
workflow_gate_passed(const struct workflow_save *save, enum codebook_gate gate, uint32_t step)
{
    struct review_fields fields;

    if (!find_review_fields(save, &fields)) {
        return 0;
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        if (UINT32_C(1) << bit == (uint32_t)gate) {
            struct opinion opinion = opinion_at(save, &fields, bit + 1, step, 0);

            return opinion.passed && !opinion.refused ? opinion.hlc : 0;
        }
    }
    return 0;
}

/* --- what is only added to --- */

/* The target where a half of the record holds it; NULL: it holds none. */
static const struct record_target *
find_target(const struct workflow_save *save, const struct target *target)
{
    for (int half = 0; half < 2; half++) {
        const struct record_view *view = half_of(save, half);

        for (size_t n = 0; view != NULL && n < view->target_count; n++) {
            if (target_compare(&view->targets[n].target, target) == 0) {
                return &view->targets[n];
            }
        }
    }
    return NULL;
}

/* May the value stand where these stand? */
static bool
may_follow(const struct workflow_save *save, const struct codebook_field *field,
           const struct record_target *there, const struct save_op *op)
{
    bool ordered = field->policy == MERGE_PROTECTIVE || field->policy == MERGE_MAX;
    bool any = false;

    for (size_t n = 0; n < there->value_count; n++) {
        struct span value = there->values[n].value;

        if (is_null(value) || span_equal(value, op->value)) {
            continue;
        }
        any = true;
        if (ordered &&
            codebook_rank(save->codebook, field, op->value) <= codebook_rank(save->codebook, field, value)) {
            return false;
        }
    }
    return !any || (ordered && !is_null(op->value)) ||
           (there->conflict && op->resolve && !is_null(op->value));
}

bool
workflow_keeps(const struct workflow_save *save, struct workflow_fault *fault_out)
{
    *fault_out = (struct workflow_fault){ .what = "" };
    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];
        const struct codebook_collection *collection =
            codebook_collection(save->codebook, op->target.collection);
        const struct codebook_field *field = cell_field(save->codebook, &op->target);
        const struct record_target *there =
            collection == NULL || field == NULL || (collection->flags & COLLECTION_APPEND_ONLY) == 0
                ? NULL
                : find_target(save, &op->target);

        if (op->code == OP_REMOVE && collection != NULL &&
            (collection->flags & COLLECTION_APPEND_ONLY) != 0) {
            (void)snprintf(fault_out->what, sizeof fault_out->what, "%s are never removed",
                           collection->label);
            (void)snprintf(fault_out->hint, sizeof fault_out->hint, "add another one that corrects it");
            return false;
        }
        if (op->code != OP_SET || there == NULL || may_follow(save, field, there, op) ||
            (field->policy == MERGE_UNION && !op->resolve && !is_null(op->value))) {
            continue;
        }
        (void)snprintf(fault_out->what, sizeof fault_out->what,
                       "%s says something already, and %s are never changed", field->name, collection->label);
        (void)snprintf(fault_out->hint, sizeof fault_out->hint, "add another one that takes its place");
        return false;
    }
    return true;
}
