/* serve_save.c - record.save: what a person typed becomes the ops of one save, or nothing at all. */
#include "node/call.h"
#include "node/casework/consent_rule.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A save while it is put together. Values live in the call's arena. */
struct draft {
    struct call *call;
    uint32_t kind;
    struct replica_view view;      /* of the record as it is; empty if it is new */
    struct element_name *elements; /* that the record has, or this save adds: these come last */
    size_t element_count;
    size_t added_first;
    struct save_op *ops;
    size_t op_count;
    size_t op_room;
    struct save save;
    char number[NAMES_NUMBER_BYTES];
    struct call_place at; /* what is being read */
};

/* --- ops --- */

static struct save_op *
add_op(struct draft *draft, uint32_t code, const struct target *target, struct span value)
{
    if (draft->op_count == draft->op_room) {
        call_fail(draft->call, ERR_FULL, "save it in several steps", "one save changes at most %d values",
                  CHANGE_OPS_MAX - 8);
        return NULL;
    }
    struct save_op *op = &draft->ops[draft->op_count];
    draft->op_count++;
    *op = (struct save_op){ .code = code, .target = *target, .value = value };
    return op;
}

/* "element:perpetrator:1": the first perpetrator that this save adds. */
static bool
element_reference(struct draft *draft, const struct codebook_field *field, const char *text,
                  struct buf *cbor_out)
{
    const struct codebook_collection *collection = codebook_collection(draft->call->codebook, field->target);
    char prefix[VALUE_TEXT_BYTES];

    if (field->type != TYPE_ELEMENT || collection == NULL ||
        (size_t)snprintf(prefix, sizeof prefix, "element:%s:", collection->name) >= sizeof prefix ||
        strncmp(text, prefix, strlen(prefix)) != 0) {
        return false;
    }
    unsigned long wanted = strtoul(text + strlen(prefix), NULL, 10);
    for (size_t n = draft->added_first; n < draft->element_count; n++) {
        if (draft->elements[n].collection == collection->number && wanted-- == 1) {
            cbor_put_bytes(cbor_out, span_of(draft->elements[n].element, ELEMENT_ID_BYTES));
            return true;
        }
    }
    return false;
}

/* A record may be named by its number wherever its id may stand. */
static bool
record_reference(struct draft *draft, const struct codebook_field *field, const char *text,
                 struct buf *cbor_out)
{
    struct named named;
    const struct names_source source = { draft->call->txn, draft->call->codebook, draft->call->roster };

    if (field->type != TYPE_RECORD || strlen(text) == 2 * IDENT_BYTES ||
        names_find(call_names(draft->call), &source, text, &named) != ERR_OK) {
        return false;
    }
    cbor_put_bytes(cbor_out, ident_span(&named.record_id));
    return true;
}

/* The CBOR of one value, in the arena. False: the call failed. */
static bool
parse_value(struct draft *draft, const struct codebook_field *field, const json_t *json,
            struct span *value_out)
{
    struct value_fault fault;
    struct buf cbor = { 0 };
    enum err err = ERR_OK;
    const char *text = json_string_value(json);

    if (text == NULL ||
        (!element_reference(draft, field, text, &cbor) && !record_reference(draft, field, text, &cbor))) {
        err = value_parse(draft->call->codebook, field, json, &cbor, &fault);
    }
    if (err == ERR_OK && cbor.failed) {
        err = ERR_MEMORY;
    }
    if (err == ERR_INVALID) {
        call_fail(draft->call, err, "vigil codebook show lists what each field may hold", "%s", fault.text);
    } else if (err != ERR_OK) {
        call_fail(draft->call, err, "", "%s", err_text(err));
    } else {
        *value_out = arena_copy_buf(&draft->call->arena, &cbor);
    }
    buf_wipe(&cbor);
    return err == ERR_OK;
}

/* One op for each value: several only where the field is a union. */
static void
set_values(struct draft *draft, const struct codebook_field *field, const struct target *target,
           const json_t *json)
{
    bool many = field->policy == MERGE_UNION && json_is_array(json);
    bool pair = field->type == TYPE_RANGE || field->type == TYPE_LOCALISED;
    if (json_is_array(json) && !many && !pair) {
        call_fail(draft->call, ERR_INVALID,
                  "give one; another element is begun by its name alone, as --add act between two acts",
                  "%s holds one value", field->name);
        return;
    }
    size_t count = many ? json_array_size(json) : 1;

    for (size_t n = 0; n < count && !draft->call->failed; n++) {
        struct span value;

        if (parse_value(draft, field, many ? json_array_get(json, n) : json, &value)) {
            (void)add_op(draft, OP_SET, target, value);
        }
    }
}

/* --- elements --- */

static bool
know_element(struct draft *draft, const struct target *target)
{
    for (size_t n = draft->added_first; n < draft->element_count; n++) {
        if (draft->elements[n].collection == target->collection &&
            memcmp(draft->elements[n].element, target->element, ELEMENT_ID_BYTES) == 0) {
            return false;
        }
    }
    draft->elements[draft->element_count].collection = target->collection;
    memcpy(draft->elements[draft->element_count].element, target->element, ELEMENT_ID_BYTES);
    draft->element_count++;
    return true;
}

/* One value of a set: an element whose id follows from it. */
static void
add_to_set(struct draft *draft, const struct codebook_collection *collection, const json_t *json)
{
    const struct codebook_field *field = value_first_field(draft->call->codebook, collection->number);
    struct target target = { .collection = collection->number };
    struct span value;

    if (field == NULL || !parse_value(draft, field, json, &value)) {
        return;
    }
    if (value_is_null(value)) {
        call_usage(draft->call, "%s: a set holds no empty value; remove its element instead",
                   collection->name);
        return;
    }
    codebook_element(value, target.element);
    if (!know_element(draft, &target)) {
        return; /* the same value twice */
    }
    (void)add_op(draft, OP_ADD, &target, span_of(NULL, 0));
    target.field = field->number;
    (void)add_op(draft, OP_SET, &target, value);
}

static void
add_set_values(struct draft *draft, const struct codebook_collection *collection, const json_t *json)
{
    if (!json_is_array(json)) {
        add_to_set(draft, collection, json);
        return;
    }
    for (size_t n = 0; n < json_array_size(json) && !draft->call->failed; n++) {
        add_to_set(draft, collection, json_array_get(json, n));
    }
}

/* The id of a new element: chosen by the caller, following from its first field, or drawn. */
static bool
choose_element(struct draft *draft, const struct codebook_collection *collection, const json_t *item,
               const json_t *fields, struct target *target)
{
    const json_t *chosen = json_object_get(item, "element");
    const struct codebook_field *first = value_first_field(draft->call->codebook, collection->number);
    struct span value;

    target->collection = collection->number;
    if ((collection->flags & COLLECTION_KEYED) != 0 && first != NULL) {
        const char *dot = strchr(first->name, '.');
        const json_t *key = json_object_get(fields, dot == NULL ? first->name : dot + 1);

        if (key == NULL) {
            key = json_object_get(fields, first->name);
        }
        if (key == NULL || json_is_null(key)) {
            call_usage(draft->call, "%s needs its %s", collection->name, dot == NULL ? first->name : dot + 1);
            return false;
        }
        draft->at.name = first->name;
        if (!parse_value(draft, first, key, &value)) {
            return false;
        }
        codebook_element(value, target->element);
        return true;
    }
    if (chosen == NULL) {
        world_random(call_options(draft->call)->world, target->element, ELEMENT_ID_BYTES);
        return true;
    }
    if (!json_is_string(chosen) ||
        !bytes_from_hex(target->element, ELEMENT_ID_BYTES, json_string_value(chosen))) {
        call_usage(draft->call, "the id of an element is 16 hex digits");
        return false;
    }
    return true;
}

static const struct codebook_collection *
collection_of(struct draft *draft, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "to"));
    const struct codebook_collection *collection =
        name == NULL ? NULL : codebook_collection_by_name(draft->call->codebook, draft->kind, name);

    if (name == NULL) {
        call_usage(draft->call, "an item of \"add\" has no \"to\"");
    } else if (collection == NULL) {
        call_fail(draft->call, ERR_INVALID, "vigil codebook show lists the collections of each kind",
                  "there is no collection called %.60s%s", name,
                  value_guess_name(draft->call->codebook, draft->kind, NULL, name).text);
    }
    return collection;
}

/* Give every new element its id first, so that fields may point at elements that come later. */
static void
announce_element(struct draft *draft, const json_t *item, struct target *target)
{
    const struct codebook_collection *collection = collection_of(draft, item);

    memset(target, 0, sizeof *target);
    if (collection == NULL || (collection->flags & COLLECTION_SET) != 0) {
        return;
    }
    if (!json_is_object(json_object_get(item, "fields"))) {
        call_usage(draft->call, "%s: an element to be added needs \"fields\"", collection->name);
    } else if (choose_element(draft, collection, item, json_object_get(item, "fields"), target)) {
        (void)know_element(draft, target);
    }
}

static void
add_element(struct draft *draft, const json_t *item, const struct target *element)
{
    const struct codebook_collection *collection = collection_of(draft, item);
    struct target target = *element;
    const char *name;
    json_t *json;

    if (collection == NULL) {
        return;
    }
    if ((collection->flags & COLLECTION_SET) != 0) {
        const json_t *value = json_object_get(item, "value");

        if (value == NULL) {
            value = json_object_get(json_object_get(item, "fields"), collection->name);
        }
        if (value == NULL) {
            call_usage(draft->call, "%s: a value of a set to be added needs \"value\"", collection->name);
        } else {
            add_set_values(draft, collection, value);
        }
        return;
    }
    (void)add_op(draft, OP_ADD, &target, span_of(NULL, 0));
    json_object_foreach((json_t *)json_object_get(item, "fields"), name, json)
    {
        const struct codebook_field *field =
            value_element_field(draft->call->codebook, draft->kind, collection, name);

        if (draft->call->failed) {
            return;
        }
        draft->at.name = name;
        if (field == NULL) {
            call_fail(draft->call, ERR_INVALID, "vigil codebook show lists the fields of each collection",
                      "%s has no field called %.60s%s", collection->name, name,
                      value_guess_name(draft->call->codebook, draft->kind, collection, name).text);
            return;
        }
        target.field = field->number;
        set_values(draft, field, &target, json);
    }
}

static void
read_adds(struct draft *draft, const json_t *adds)
{
    size_t count = json_array_size(adds);
    struct target *targets = arena_take_array(&draft->call->arena, count + 1, sizeof *targets);

    if (targets == NULL) {
        call_fail(draft->call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    for (size_t n = 0; n < count && !draft->call->failed; n++) {
        draft->at = (struct call_place){ n, NULL };
        announce_element(draft, json_array_get(adds, n), &targets[n]);
    }
    for (size_t n = 0; n < count && !draft->call->failed; n++) {
        draft->at = (struct call_place){ n, NULL };
        add_element(draft, json_array_get(adds, n), &targets[n]);
    }
}

/* Find a target that exists, or that this save adds. */
static bool
find_target(struct draft *draft, const char *text, struct target *target_out)
{
    struct value_fault fault;
    enum err err = target_parse(draft->call->codebook, draft->kind, text, draft->elements,
                                draft->element_count, target_out, &fault);

    if (err != ERR_OK) {
        call_fail(draft->call, err,
                  err == ERR_INVALID ? "vigil codebook show lists the fields of each kind"
                                     : "vigil case show lists the elements of a record with their ids",
                  "%s", fault.text);
    }
    return err == ERR_OK;
}

static void
read_sets(struct draft *draft, const json_t *sets)
{
    const char *name;
    json_t *json;

    json_object_foreach((json_t *)sets, name, json)
    {
        const struct codebook_collection *collection =
            codebook_collection_by_name(draft->call->codebook, draft->kind, name);
        struct target target;

        if (draft->call->failed) {
            return;
        }
        draft->at = (struct call_place){ CALL_PLACE_SET, name };
        if (collection != NULL && (collection->flags & COLLECTION_SET) != 0) {
            add_set_values(draft, collection, json);
        } else if (find_target(draft, name, &target)) {
            const struct codebook_field *field = cell_field(draft->call->codebook, &target);

            if (field == NULL) {
                call_usage(draft->call, "%.60s is an element: set one of its fields", name);
            } else {
                set_values(draft, field, &target, json);
            }
        }
    }
}

/* A removal names what it saw in its own half; of the other half each field of the element is cleared. */
static void
remove_element(struct draft *draft, const struct target *element)
{
    static const uint8_t null[] = { 0xf6 };
    const struct record_view *const halves[2] = { draft->view.open, draft->view.protected_half };
    const struct codebook_collection *collection =
        codebook_collection(draft->call->codebook, element->collection);
    enum record_half own =
        collection != NULL && collection->sensitivity == LEVEL_L3 ? HALF_PROTECTED : HALF_CASE;

    (void)add_op(draft, OP_REMOVE, element, span_of(NULL, 0));
    for (int half = 0; half < 2; half++) {
        for (size_t n = 0; halves[half] != NULL && halves[half]->half != HALF_ALONE &&
                           halves[half]->half != own && n < halves[half]->target_count;
             n++) {
            const struct target *target = &halves[half]->targets[n].target;

            if (target->collection != element->collection || target->field == 0 ||
                memcmp(target->element, element->element, ELEMENT_ID_BYTES) != 0) {
                continue;
            }
            struct save_op *op = add_op(draft, OP_SET, target, span_of(null, sizeof null));
            if (op != NULL) {
                op->resolve = true;
            }
        }
    }
}

static void
read_removes(struct draft *draft, const json_t *removes)
{
    for (size_t n = 0; n < json_array_size(removes) && !draft->call->failed; n++) {
        const char *text = json_string_value(json_array_get(removes, n));
        struct target target;

        if (text == NULL) {
            call_usage(draft->call, "\"remove\" is a list of elements, as in act[3f09a1c2]");
        } else if (find_target(draft, text, &target)) {
            const struct codebook_collection *collection =
                codebook_collection(draft->call->codebook, target.collection);

            if (target.field != 0 || collection == NULL) {
                call_fail(draft->call, ERR_INVALID, "set a field to null to clear it",
                          "%.60s is a field, and only elements are removed", text);
            } else if ((collection->flags & COLLECTION_APPEND_ONLY) != 0) {
                call_fail(draft->call, ERR_DENIED, "add another one that corrects it", "%s are never removed",
                          collection->label);
            } else {
                remove_element(draft, &target);
            }
        }
    }
}

static void
read_notes(struct draft *draft, const json_t *notes)
{
    const struct codebook_field *field =
        codebook_field_by_name(draft->call->codebook, draft->kind, "note.text");

    for (size_t n = 0; n < json_array_size(notes) && !draft->call->failed && field != NULL; n++) {
        struct target target = { .collection = COLLECTION_NOTE };

        world_random(call_options(draft->call)->world, target.element, ELEMENT_ID_BYTES);
        (void)know_element(draft, &target);
        (void)add_op(draft, OP_ADD, &target, span_of(NULL, 0));
        target.field = field->number;
        set_values(draft, field, &target, json_array_get(notes, n));
    }
}

/* Mark the ops on targets whose siblings the caller has seen. */
static void
read_resolves(struct draft *draft, const json_t *resolves)
{
    for (size_t n = 0; n < json_array_size(resolves) && !draft->call->failed; n++) {
        const char *text = json_string_value(json_array_get(resolves, n));
        struct target target;
        bool marked = false;

        if (text == NULL) {
            call_usage(draft->call, "\"resolve\" is a list of fields");
            return;
        }
        if (!find_target(draft, text, &target)) {
            return;
        }
        for (size_t m = 0; m < draft->op_count; m++) {
            if (target_compare(&draft->ops[m].target, &target) == 0) {
                draft->ops[m].resolve = true;
                marked = true;
            }
        }
        if (!marked) {
            call_usage(draft->call, "\"resolve\" names %.60s, and the request gives it no value", text);
        }
    }
}

/* --- new records --- */

/* Kinds that belong to the whole organisation live in `shared`, all others in the cases of an office. */
static bool
is_shared_kind(const char *kind)
{
    static const char *const names[] = { "focal_point", "good_practice", "policy_development",
                                         "reporting_window", "snapshot" };

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        if (strcmp(names[n], kind) == 0) {
            return true;
        }
    }
    return false;
}

/* The compartment of a new record, and the code that its number begins with. */
static bool
choose_compartment(struct draft *draft, const struct codebook_kind *kind, const char **code_out)
{
    struct call *call = draft->call;
    const char *code = call_text(call, "office");
    const struct roster_office *office = call->own == NULL ? NULL : call->own->office;

    if (call->failed) {
        return false;
    }
    if (code != NULL && strcmp(code, "shared") != 0) {
        office = roster_office_by_code(call->roster, code);
        if (office == NULL) {
            call_fail(call, ERR_ABSENT, "vigil status names the office of this node",
                      "there is no office called %.60s", code);
            return false;
        }
    } else if (office == NULL) {
        call_fail_without_own(call);
        return false;
    }
    *code_out = office->code;
    bool shared = code != NULL ? strcmp(code, "shared") == 0 : is_shared_kind(kind->name);
    draft->save.compartment = shared ? *roster_shared_id(call->roster) : office->own[OWN_CASES];
    return true;
}

static bool
op_sets(const struct draft *draft, uint32_t field)
{
    for (size_t n = 0; n < draft->op_count; n++) {
        if (draft->ops[n].target.collection == 0 && draft->ops[n].target.field == field) {
            return true;
        }
    }
    return false;
}

/* Give it a number, if its kind has one and nobody chose it. */
static void
assign_number(struct draft *draft, const char *code)
{
    struct call *call = draft->call;
    const struct codebook_field *field = codebook_field_by_name(call->codebook, draft->kind, "number");
    const struct names_source source = { call->txn, call->codebook, call->roster };
    time_t now = (time_t)(world_wall_ms(call_options(call)->world) / 1000);
    struct tm parts;
    struct buf cbor = { 0 };

    if (call->failed || field == NULL || op_sets(draft, field->number)) {
        return;
    }
    unsigned year = gmtime_r(&now, &parts) == NULL ? 0 : (unsigned)parts.tm_year + 1900;
    enum err err = names_next_number(call_names(call), &source, code, year, draft->number);
    if (err != ERR_OK) {
        call_fail(call, err, "", "no number could be given: %s", err_text(err));
        return;
    }
    cbor_put_text(&cbor, span_text(draft->number));
    struct target target = { .field = field->number };
    (void)add_op(draft, OP_SET, &target, arena_copy_buf(&call->arena, &cbor));
    buf_free(&cbor);
}

/* What identifies a person is written to a protected half alone, and `shared` has none. A new record that holds such a thing, and
 * that nobody put anywhere, goes to the cases of this office, which headquarters and others with access read; elsewhere it is
 * refused. */
static void
mind_protected(struct draft *draft)
{
    struct call *call = draft->call;
    const struct roster_compartment *compartment = roster_compartment(call->roster, &draft->save.compartment);

    for (size_t n = 0;
         !call->failed && compartment != NULL && compartment->twin == NULL && n < draft->op_count; n++) {
        const struct target *target = &draft->ops[n].target;
        const struct codebook_field *field = cell_field(call->codebook, target);
        const struct codebook_collection *collection =
            codebook_collection(call->codebook, target->collection);
        enum sensitivity sensitivity = field != NULL        ? field->sensitivity
                                       : collection != NULL ? collection->sensitivity
                                                            : LEVEL_L2;

        if (policy_field_belongs(compartment, sensitivity)) {
            continue;
        }
        if (draft->save.create && call_text(call, "office") == NULL && call->own != NULL) {
            draft->save.compartment = call->own->office->own[OWN_CASES];
            return;
        }
        call_fail(call, ERR_DENIED,
                  "make a record of it in the cases of an office, as with --office and its code: there it is "
                  "protected",
                  "%s identifies a person, and %s has no protected half for it",
                  target_print(call->codebook, target).text, compartment->name);
    }
}

static bool
begin_new(struct draft *draft, const char **code_out)
{
    struct call *call = draft->call;
    const char *name = call_text_needed(call, "kind");
    const struct codebook_kind *kind = name == NULL ? NULL : codebook_kind_by_name(call->codebook, name);
    struct target target = { .field = FIELD_KIND };
    struct buf cbor = { 0 };

    if (name != NULL && kind == NULL) {
        call_fail(call, ERR_INVALID, "vigil codebook show lists the kinds",
                  "there is no kind of record called %.60s%s", name,
                  value_guess_kind(call->codebook, name).text);
    }
    if (kind != NULL && strcmp(kind->name, "audit_log") == 0) {
        call_fail(call, ERR_DENIED, "vigil audit list shows it",
                  "the audit log is written by the node alone");
    }
    if (kind == NULL || call->failed || !choose_compartment(draft, kind, code_out)) {
        return false;
    }
    draft->kind = kind->number;
    draft->save.create = true;
    cbor_put_uint(&cbor, kind->number);
    (void)add_op(draft, OP_SET, &target, arena_copy_buf(&call->arena, &cbor));
    buf_free(&cbor);
    return !call->failed;
}

static bool
begin_old(struct draft *draft, const struct named *named, const struct element_name **elements_out,
          size_t *count_out)
{
    struct call *call = draft->call;

    if (!call_view(call, named, &draft->view) ||
        !view_elements(call, &draft->view, elements_out, count_out)) {
        return false;
    }
    draft->kind = view_kind(&draft->view);
    draft->save.compartment = named->compartment;
    draft->save.record_id = named->record_id;
    memcpy(draft->number, named->number, sizeof draft->number);
    const struct roster_compartment *compartment = roster_compartment(call->roster, &named->compartment);
    if (compartment != NULL && compartment->role == COMPARTMENT_AUDIT) {
        call_fail(call, ERR_DENIED, "vigil audit list shows it",
                  "the audit log is written by the node alone");
    }
    if (draft->kind == 0) {
        call_fail(call, ERR_LOCKED, "its kind is in a part that has not arrived or cannot be read here",
                  "this record cannot be edited here yet");
    }
    return !call->failed;
}

/* --- the save --- */

/* What an op that was refused is about. */
static struct target_text
refused_target(const struct call *call, const struct save *save, size_t op)
{
    struct target_text whole = { "this record" };

    return op < save->op_count ? target_print(call->codebook, &save->ops[op].target) : whole;
}

static void
explain_refusal(struct call *call, enum err err, const struct save *save, size_t op)
{
    struct target_text target = refused_target(call, save, op);

    switch (err) {
    case ERR_CONFLICT:
        call_fail(call, err, "look at them with vigil conflict show, then name the field with --resolve",
                  "%s holds more than one value", target.text);
        break;
    case ERR_DENIED:
        if (call->own == NULL) {
            call_fail_without_own(call);
        }
        if (!save->create && replica_is_restricted(call->replica, &save->compartment, &save->record_id)) {
            call_fail_restricted(call);
        }
        call_fail(call, err, "ask for a right to write there, or leave the field to another office",
                  "this node may not write %s", target.text);
        break;
    case ERR_LOCKED:
        call_fail(call, err, "try again in a moment, and else once it has met a node that has the key",
                  "the key that %s needs has not arrived here", target.text);
        break;
    case ERR_ABSENT:
        call_fail(call, err, "vigil case show lists what there is", "there is nothing left of %s",
                  target.text);
        break;
    case ERR_FULL:
        call_fail(call, err, "save it in several steps, or make room on the disk",
                  "it is larger than one save may be, or the disk is full");
        break;
    case ERR_INVALID:
        call_fail(call, err, "save it in several steps", "it is more than one save may hold");
        break;
    default:
        call_fail(call, err, "", "%s", err_text(err));
        break;
    }
}

/* Decisions at gates are noted, each with the gate, the step and what was decided. */
static void
note_gates(struct call *call, const struct save *save, const struct ident *record_id)
{
    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *added = &save->ops[n];
        const struct codebook_collection *collection =
            codebook_collection(call->codebook, added->target.collection);
        char filter[AUDIT_TEXT_BYTES] = "";

        if (added->code != OP_ADD || collection == NULL || strcmp(collection->name, "review") != 0) {
            continue;
        }
        for (size_t m = 0; m < save->op_count; m++) {
            const struct save_op *op = &save->ops[m];
            const struct codebook_field *field = cell_field(call->codebook, &op->target);
            size_t size = strlen(filter);

            if (op->code != OP_SET || field == NULL || field->type != TYPE_CODE ||
                op->target.collection != added->target.collection ||
                memcmp(op->target.element, added->target.element, ELEMENT_ID_BYTES) != 0) {
                continue;
            }
            json_t *code = value_json(call->codebook, field, op->value);
            (void)snprintf(filter + size, sizeof filter - size, "%s%s=%s", size == 0 ? "" : " ", field->name,
                           json_is_string(code) ? json_string_value(code) : "");
            json_decref(code);
        }
        (void)call_audit(
            call,
            &(struct audit_event){
                .what = AUDIT_GATE, .record = record_id, .fields = "", .filter = filter, .reason = "" });
    }
}

bool
call_write(struct call *call, const struct save *save, const char *number, struct saved *saved_out)
{
    size_t op = 0;
    enum err err = replica_save(call->replica, save, saved_out, &op);

    if (err != ERR_OK) {
        explain_refusal(call, err, save, op);
        return false;
    }
    note_gates(call, save, &saved_out->record_id);
    if (save->create) {
        const struct names_source source = { call->txn, call->codebook, call->roster };
        struct named named = { .compartment = save->compartment, .record_id = saved_out->record_id };

        (void)snprintf(named.number, sizeof named.number, "%s", number);
        names_add(call_names(call), &source, &named);
    }
    return !call->failed;
}

void
call_save(struct call *call, const struct save *save, const char *number)
{
    struct saved saved;

    if (call_write(call, save, number, &saved)) {
        call_ok(call, json_pack("{s:o,s:s,s:I}", "record", hex_json(ident_span(&saved.record_id)), "number",
                                number, "place", (json_int_t)saved.place));
    }
}

/* Check the types of all members at once. */
static bool
check_shape(struct call *call)
{
    static const char *const lists[] = { "add", "remove", "note", "resolve" };
    const json_t *set = json_object_get(call->body, "set");

    if (set != NULL && !json_is_object(set)) {
        call_usage(call, "\"set\" is not an object of fields and values");
    }
    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        const json_t *list = json_object_get(call->body, lists[n]);

        if (list != NULL && !json_is_array(list)) {
            call_usage(call, "\"%s\" is not a list", lists[n]);
        }
    }
    return !call->failed;
}

/* Room for what the record has and for whatever this request may add. */
static bool
make_room(struct draft *draft, const struct element_name *elements, size_t count)
{
    struct call *call = draft->call;

    draft->op_room = CHANGE_OPS_MAX - 8;
    /* Most of both stays unused, and is not even cleared. */
    draft->ops = arena_take(&call->arena, draft->op_room * sizeof *draft->ops);
    size_t room = count + draft->op_room + json_array_size(json_object_get(call->body, "add")) +
                  json_array_size(json_object_get(call->body, "note"));
    draft->elements = arena_take(&call->arena, (room + 1) * sizeof *draft->elements);
    if (draft->ops == NULL || draft->elements == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return false;
    }
    if (count > 0) {
        memcpy(draft->elements, elements, count * sizeof *elements);
    }
    draft->element_count = count;
    draft->added_first = count;
    return true;
}

struct workflow_save
call_workflow_save(struct call *call, uint32_t kind, const struct replica_view *view, const struct save *save)
{
    return (struct workflow_save){
        .codebook = call->codebook,
        .kind = kind,
        .view = view,
        .ops = save->ops,
        .op_count = save->op_count,
        .person = { .device_id = replica_identity(call->replica)->device_id,
                    .actor = save->actor,
                    .roles = call_roles(call) },
    };
}

bool
call_allows_step(struct call *call, uint32_t kind, const struct replica_view *view, const struct save *save)
{
    const struct workflow_save asked = call_workflow_save(call, kind, view, save);
    struct workflow_fault fault;

    if (!workflow_allows(&asked, &fault) || !workflow_keeps(&asked, &fault)) {
        call_fail(call, ERR_INVALID, fault.hint, "%s", fault.what);
    }
    return !call->failed && call_allows_consent(call, kind, view, save);
}

/* Add what goes without saying: see consent_complete. */
static void
complete(struct draft *draft)
{
    struct call *call = draft->call;
    const struct workflow_save asked = {
        .codebook = call->codebook,
        .kind = draft->kind,
        .view = &draft->view,
        .ops = draft->ops,
        .op_count = draft->op_count,
    };
    struct edtf_day today = edtf_day_of(world_wall_ms(call_options(call)->world));
    uint8_t restriction[ELEMENT_ID_BYTES] = { 0 };
    bool withdraws = false;

    if (codebook_collection_by_name(call->codebook, draft->kind, "consent") != NULL) {
        world_random(call_options(call)->world, restriction, sizeof restriction);
    }
    enum err err = consent_complete(&asked, &today, restriction, &call->arena, draft->ops, draft->op_room,
                                    &draft->op_count, &withdraws);
    if (err != ERR_OK) {
        call_fail(call, err, err == ERR_FULL ? "save it in several steps" : "", "%s",
                  err == ERR_FULL ? "it is more than one save may hold" : err_text(err));
    }
    /* A withdrawal goes first wherever it goes. */
    draft->save.urgent = draft->save.urgent || withdraws;
}

bool
call_draft(struct call *call, const struct named *known, bool number, struct call_draft *draft_out)
{
    struct draft draft = { .call = call, .at = { CALL_PLACE_NONE, NULL } };
    const struct element_name *elements = NULL;
    const char *code = NULL;
    size_t count = 0;

    memset(draft_out, 0, sizeof *draft_out);
    if (check_shape(call) && (known == NULL || begin_old(&draft, known, &elements, &count)) &&
        make_room(&draft, elements, count) && (known != NULL || begin_new(&draft, &code))) {
        draft.save.actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0);
        read_adds(&draft, json_object_get(call->body, "add"));
        read_sets(&draft, json_object_get(call->body, "set"));
        draft_out->at = draft.at;
        mind_protected(&draft);
        if (known == NULL && number) {
            assign_number(&draft, code);
        }
        if (!call->failed && call->arena.failed) {
            call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        }
    } else {
        draft_out->at = draft.at;
    }
    draft.save.ops = draft.ops;
    draft.save.op_count = draft.op_count;
    draft_out->kind = draft.kind;
    draft_out->save = draft.save;
    draft_out->view = draft.view;
    memcpy(draft_out->number, draft.number, sizeof draft_out->number);
    return !call->failed;
}

/* A record that has a history elsewhere comes with the status that it has: nobody judges steps that were taken before. */
bool
call_may_import(struct call *call, const struct save *save)
{
    if (!save->create) {
        call_usage(call, "only a new record can be imported");
    } else if (call->own == NULL || roster_level(call->roster, call->own, &save->compartment) < LEVEL_ADMIN) {
        call_fail(call, ERR_DENIED, "ask somebody with admin there, or enter it as a draft",
                  "records are imported by a device with admin");
    }
    return !call->failed;
}

void
call_record_save(struct call *call)
{
    struct draft draft = { .call = call };
    const struct element_name *elements = NULL;
    const char *code = NULL;
    size_t count = 0;
    struct named named;
    bool create = json_object_get(call->body, "record") == NULL;

    if (!check_shape(call) ||
        (!create && (!call_record(call, &named) || !begin_old(&draft, &named, &elements, &count))) ||
        !make_room(&draft, elements, count) || (create && !begin_new(&draft, &code))) {
        return;
    }
    draft.save.urgent = call_flag(call, "urgent");
    draft.save.actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0);
    read_adds(&draft, json_object_get(call->body, "add"));
    read_sets(&draft, json_object_get(call->body, "set"));
    read_removes(&draft, json_object_get(call->body, "remove"));
    read_notes(&draft, json_object_get(call->body, "note"));
    if (!call->failed) {
        read_resolves(&draft, json_object_get(call->body, "resolve"));
    }
    mind_protected(&draft);
    if (create) {
        assign_number(&draft, code);
    }
    if (!call->failed && draft.op_count == 0) {
        call_usage(call, "the request changes nothing: give \"set\", \"add\", \"remove\" or \"note\"");
    }
    if (!call->failed && call->arena.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    bool imported = call_flag(call, "imported");
    if (!call->failed && !imported) {
        complete(&draft);
    }
    draft.save.ops = draft.ops;
    draft.save.op_count = draft.op_count;
    if (!call->failed && !imported) {
        (void)call_allows_step(call, draft.kind, &draft.view, &draft.save);
    } else if (!call->failed) {
        (void)(call_may_import(call, &draft.save) &&
               call_notes_overrides(call, draft.kind, &draft.view, &draft.save));
    }
    if (!call->failed && call_minds_urgency(call, draft.kind, &draft.view, &draft.save)) {
        call_save(call, &draft.save, draft.number);
    }
}
