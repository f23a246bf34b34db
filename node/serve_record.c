/* serve_record.c - one record as people see it, and how it came to that. */
#include "node/call.h"

#include "store/journal.h"
#include "sync/held.h"

#include <stdlib.h>
#include <string.h>

/* --- both halves --- */

uint32_t
view_kind(const struct replica_view *view)
{
    if (view->open != NULL && view->open->kind != 0) {
        return view->open->kind;
    }
    return view->protected_half == NULL ? 0 : view->protected_half->kind;
}

static const struct record_target *
half_target(const struct record_view *half, const struct target *target)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        if (target_compare(&half->targets[n].target, target) == 0) {
            return &half->targets[n];
        }
    }
    return NULL;
}

const struct record_target *
view_target(const struct replica_view *view, const struct target *target)
{
    const struct record_target *found = half_target(view->open, target);

    return found != NULL ? found : half_target(view->protected_half, target);
}

/* True if the element is among the first `count` already. */
static bool
is_listed(const struct element_name *elements, size_t count, uint32_t collection,
          const uint8_t element[ELEMENT_ID_BYTES])
{
    for (size_t n = 0; n < count; n++) {
        if (elements[n].collection == collection &&
            memcmp(elements[n].element, element, ELEMENT_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

bool
view_elements(struct call *call, const struct replica_view *view, const struct element_name **elements_out,
              size_t *count_out)
{
    const struct record_view *const halves[2] = { view->open, view->protected_half };
    size_t room = 1;
    size_t count = 0;

    for (int half = 0; half < 2; half++) {
        room += halves[half] == NULL ? 0 : halves[half]->element_count;
    }
    struct element_name *elements = arena_take_array(&call->arena, room, sizeof *elements);
    if (elements == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return false;
    }
    for (int half = 0; half < 2; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->element_count; n++) {
            const struct record_element *from = &halves[half]->elements[n];

            if (!is_listed(elements, count, from->collection, from->element)) {
                elements[count].collection = from->collection;
                memcpy(elements[count].element, from->element, ELEMENT_ID_BYTES);
                count++;
            }
        }
    }
    *elements_out = elements;
    *count_out = count;
    return true;
}

/* --- values --- */

/* What the codebook does not know is as confidential as the half in which it stands may be. */
static bool
is_shown(const struct call *call, const struct codebook_field *field)
{
    return (field == NULL ? LEVEL_L2 : field->sensitivity) <= call->level;
}

static bool
is_collection_shown(const struct call *call, uint32_t number)
{
    const struct codebook_collection *collection = codebook_collection(call->codebook, number);

    return (collection == NULL ? LEVEL_L2 : collection->sensitivity) <= call->level;
}

/* Who wrote it. The names of a device and of its people tell of staff, so below L3 only the office is said. */
static json_t *
author_json(struct call *call, const struct signed_change *entry)
{
    if (call->level < LEVEL_L1) {
        return json_pack("{s:n,s:n,s:n}", "device", "actor", "at");
    }
    json_t *device = device_json(call->roster, &entry->device_id);
    json_t *actor = json_null();
    if (call->level < LEVEL_L3) {
        (void)json_object_del(device, "id");
        (void)json_object_del(device, "name");
    } else {
        actor = actor_json(call->roster, &entry->device_id, entry->change.actor);
    }
    return json_pack("{s:o,s:o,s:o}", "device", device, "actor", actor, "at", hlc_json(entry->change.hlc));
}

static bool
is_among(const struct record_target *target, struct span value)
{
    for (size_t n = 0; n < target->shown_count; n++) {
        if (span_equal(target->shown[n], value)) {
            return true;
        }
    }
    return false;
}

static json_t *
live_json(struct call *call, const struct record_target *target, const struct live *live, bool pick)
{
    const struct codebook_field *field = target->field;

    call_reads(call, field, live->value);
    json_t *json = json_pack(
        "{s:o,s:o,s:b,s:b,s:b,s:b}", "value", value_json(call->codebook, field, live->value), "label",
        value_label(call->codebook, field, live->value), "pick", pick, "shown", is_among(target, live->value),
        "suspect_time", stamp_is_suspect(call, live->entry->change.hlc), "newer", live->newer);
    json_t *author = author_json(call, live->entry);

    (void)json_object_update(json, author);
    json_decref(author);
    return json;
}

json_t *
values_json(struct call *call, const struct record_target *target)
{
    json_t *values = json_array();

    for (size_t n = 0; n < target->value_count; n++) {
        (void)json_array_append_new(values, live_json(call, target, &target->values[n], n == 0));
    }
    return values;
}

/* True if all of its values are null: it was cleared, and nothing is shown. */
static bool
is_cleared(const struct record_target *target)
{
    for (size_t n = 0; n < target->value_count; n++) {
        if (!value_is_null(target->values[n].value)) {
            return false;
        }
    }
    return true;
}

static json_t *
field_json(struct call *call, const struct record_target *target)
{
    const struct codebook_field *field = target->field;
    const struct codebook_vocabulary *vocabulary =
        field == NULL ? NULL : codebook_vocabulary(call->codebook, field->vocabulary);
    struct target_text text = target_print(call->codebook, &target->target);

    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:b,s:b,s:o}", "target", text.text, "name",
        field == NULL ? text.text : field->name, "label", target_label(call->codebook, &target->target),
        "level", field == NULL ? "L2" : value_level_name(field->sensitivity), "type",
        field == NULL ? "unknown" : value_type_name(field->type), "vocabulary",
        vocabulary == NULL ? "" : vocabulary->name, "conflict", target->conflict || target->misplaced,
        "policy", field == NULL ? "surface" : value_policy_name(field->policy), "exposed", target->exposed,
        "newer", target->newer, "values", values_json(call, target));
}

static json_t *
withheld_json(struct call *call, const struct codebook_field *field, const struct target *target)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:b}", "target", target_print(call->codebook, target).text, "name",
                     field->name, "label", field->label, "level", value_level_name(field->sensitivity),
                     "withheld", true);
}

/* Add the L3 fields of the record itself, or of an element, which this node cannot read. */
static void
add_withheld(struct call *call, const struct replica_view *view, uint32_t collection,
             const uint8_t element[ELEMENT_ID_BYTES], json_t *fields)
{
    uint32_t kind = view_kind(view);

    for (size_t n = 0; view->withheld && kind < 32 && n < call->codebook->field_count; n++) {
        const struct codebook_field *field = &call->codebook->fields[n];
        struct target target = { .collection = collection, .field = field->number };

        if (field->sensitivity != LEVEL_L3 || field->collection != collection ||
            (field->kinds & (UINT32_C(1) << kind)) == 0) {
            continue;
        }
        if (element != NULL) {
            memcpy(target.element, element, ELEMENT_ID_BYTES);
        }
        (void)json_array_append_new(fields, withheld_json(call, field, &target));
    }
}

/* Add the fields of one element, or of the record itself (collection 0), that a half holds. */
static void
add_fields(struct call *call, const struct record_view *half, uint32_t collection,
           const uint8_t element[ELEMENT_ID_BYTES], json_t *fields)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        if (target->target.collection == collection && target->target.field != 0 &&
            (collection == 0 || memcmp(target->target.element, element, ELEMENT_ID_BYTES) == 0) &&
            !is_cleared(target) && is_shown(call, target->field)) {
            (void)json_array_append_new(fields, field_json(call, target));
        }
    }
}

/* --- elements --- */

static const struct record_element *
half_element(const struct record_view *half, const struct element_name *name)
{
    for (size_t n = 0; half != NULL && n < half->element_count; n++) {
        const struct record_element *element = &half->elements[n];

        if (element->collection == name->collection &&
            memcmp(element->element, name->element, ELEMENT_ID_BYTES) == 0) {
            return element;
        }
    }
    return NULL;
}

static json_t *
element_json(struct call *call, const struct replica_view *view, const struct element_name *name)
{
    const struct codebook_collection *collection = codebook_collection(call->codebook, name->collection);
    const struct record_element *open = half_element(view->open, name);
    const struct record_element *closed = half_element(view->protected_half, name);
    bool in_conflict = (open != NULL && open->state == ELEMENT_IN_CONFLICT) ||
                       (closed != NULL && closed->state == ELEMENT_IN_CONFLICT);
    struct target target = { .collection = name->collection };
    json_t *fields = json_array();

    memcpy(target.element, name->element, ELEMENT_ID_BYTES);
    add_fields(call, view->open, name->collection, name->element, fields);
    add_fields(call, view->protected_half, name->collection, name->element, fields);
    add_withheld(call, view, name->collection, name->element, fields);
    /* What only the protected half still holds of an element that was removed, and is all cleared, is nothing. */
    if (open == NULL && json_array_size(fields) == 0 &&
        (collection == NULL || collection->sensitivity != LEVEL_L3)) {
        json_decref(fields);
        return NULL;
    }
    return json_pack("{s:s,s:s,s:o,s:s,s:s,s:b,s:s,s:o}", "collection",
                     collection == NULL ? "" : collection->name, "label",
                     target_label(call->codebook, &target), "element",
                     hex_json(span_of(name->element, ELEMENT_ID_BYTES)), "target",
                     target_print(call->codebook, &target).text, "state",
                     in_conflict ? "edited while removed" : "present", "conflict", in_conflict, "level",
                     collection == NULL ? "L2" : value_level_name(collection->sensitivity), "fields", fields);
}

/* The value that an element's field shows; data is NULL if it has none. */
static struct span
element_value(const struct record_view *half, const struct element_name *name, const char *field_name,
              const struct live **live_out)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        if (target->target.collection == name->collection && target->field != NULL &&
            memcmp(target->target.element, name->element, ELEMENT_ID_BYTES) == 0 &&
            strcmp(target->field->name, field_name) == 0 && target->shown_count > 0) {
            *live_out = &target->values[0];
            return target->shown[0];
        }
    }
    return span_of(NULL, 0);
}

static json_t *
note_json(struct call *call, const struct record_view *half, const struct element_name *name)
{
    const struct live *live = NULL;
    const struct live *dated = NULL;
    struct span date = element_value(half, name, "note.date", &dated);
    struct span text = element_value(half, name, "note.text", &live);

    if (live == NULL) {
        return NULL;
    }
    json_t *note =
        json_pack("{s:o,s:o,s:o}", "element", hex_json(span_of(name->element, ELEMENT_ID_BYTES)), "text",
                  value_json(call->codebook, NULL, text), "date", value_json(call->codebook, NULL, date));
    json_t *author = author_json(call, live->entry);
    (void)json_object_update(note, author);
    json_decref(author);
    return note;
}

static void
add_elements(struct call *call, const struct replica_view *view, json_t *elements, json_t *notes)
{
    const struct element_name *names = NULL;
    size_t count = 0;

    if (!view_elements(call, view, &names, &count)) {
        return;
    }
    for (size_t n = 0; n < count; n++) {
        if (!is_collection_shown(call, names[n].collection)) {
            continue;
        }
        json_t *note = names[n].collection == COLLECTION_NOTE ? note_json(call, view->open, &names[n]) : NULL;
        json_t *element = note == NULL ? element_json(call, view, &names[n]) : NULL;

        if (note != NULL) {
            (void)json_array_append_new(notes, note);
        } else if (element != NULL) {
            (void)json_array_append_new(elements, element);
        }
    }
}

/* --- what of it is held --- */

/* Of an entry that is held: its name, and why. */
static void
add_held(struct call *call, const struct record_place *place, json_t *json)
{
    struct journal *journal = replica_journal(call->replica);
    struct journal_entry stored;

    if (journal_read(journal, call->txn, place->log_no, place->seq, &stored) == ERR_OK) {
        const struct held_entry held = { .log_no = stored.log_no,
                                         .seq = place->seq,
                                         .entry_id = stored.entry.id };
        const struct log_branch *branch = journal_branch(journal, stored.log_no);
        enum held_reason reason = (enum held_reason)stored.detail;

        (void)json_object_set_new(json, "held", json_string(held_name(journal, &held).text));
        (void)json_object_set_new(json, "reason", json_string(held_reason_name(reason)));
        (void)json_object_set_new(json, "why",
                                  text_json(span_text(held_words(call->roster, branch, reason).text)));
    }
}

/* How many entries of one half are held; with the first of them, why. */
static void
count_held(struct call *call, const struct ident *compartment, const struct ident *record_id, json_t *held)
{
    struct journal *journal = replica_journal(call->replica);
    const struct record_place *places = NULL;
    uint32_t record_no = 0;
    size_t count = 0;

    if (record_find(call->txn, compartment, record_id, &record_no) != ERR_OK ||
        record_history(call->txn, record_no, &call->arena, &places, &count) != ERR_OK) {
        return;
    }
    for (size_t n = 0; n < count; n++) {
        const json_t *before = json_object_get(held, "count");
        enum entry_state state;

        if (journal_state(journal, call->txn, places[n].log_no, places[n].seq, &state) != ERR_OK ||
            state != STATE_HELD) {
            continue;
        }
        if (before == NULL) {
            add_held(call, &places[n], held);
            (void)json_object_del(held, "held");
        }
        (void)json_object_set_new(held, "count", json_integer(json_integer_value(before) + 1));
    }
}

/* {"count","reason","why"} of the entries of a record that do not count; null if all do. */
static json_t *
held_of_record(struct call *call, const struct named *named)
{
    const struct roster_compartment *compartment = roster_compartment(call->roster, &named->compartment);
    json_t *held = json_object();

    count_held(call, &named->compartment, &named->record_id, held);
    if (compartment != NULL && compartment->twin != NULL) {
        count_held(call, &compartment->twin->id, &named->record_id, held);
    }
    if (json_object_get(held, "count") == NULL) {
        json_decref(held);
        held = json_null();
    }
    return held;
}

/* --- record.show --- */

/* The number as the view has it now. */
static json_t *
number_json(struct call *call, const struct replica_view *view)
{
    const struct codebook_field *field = codebook_field_by_name(call->codebook, view_kind(view), "number");
    struct target target = { .field = field == NULL ? 0 : field->number };
    const struct record_target *found = field == NULL ? NULL : view_target(view, &target);

    return found == NULL || found->shown_count == 0 || !is_shown(call, field)
               ? json_string("")
               : value_json(call->codebook, field, found->shown[0]);
}

json_t *
record_json(struct call *call, const struct named *named, const struct replica_view *whole)
{
    struct replica_view view = *whole;
    uint64_t created = 0;
    uint64_t updated = 0;
    size_t conflicts = 0;

    if (call->level < LEVEL_L3) {
        /* As on a node that may not read it. */
        view.withheld = view.withheld || view.protected_half != NULL;
        view.protected_half = NULL;
    }
    const struct record_view *const halves[2] = { view.open, view.protected_half };
    for (int half = 0; half < 2; half++) {
        if (halves[half] != NULL) {
            created =
                created == 0 || halves[half]->created_hlc < created ? halves[half]->created_hlc : created;
            updated = halves[half]->updated_hlc > updated ? halves[half]->updated_hlc : updated;
            conflicts += halves[half]->conflict_count;
        }
    }
    json_t *fields = json_array();
    json_t *elements = json_array();
    json_t *notes = json_array();
    if (!view.restricted) {
        add_fields(call, view.open, 0, NULL, fields);
        add_fields(call, view.protected_half, 0, NULL, fields);
        add_withheld(call, &view, 0, NULL, fields);
    }
    add_elements(call, &view, elements, notes);
    const struct roster_compartment *compartment = roster_compartment(call->roster, &named->compartment);
    bool internal = call->level >= LEVEL_L1;
    return json_pack("{s:o,s:o,s:s,s:s,s:s,s:b,s:b,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "id",
                     hex_json(ident_span(&named->record_id)), "number", number_json(call, &view), "kind",
                     kind_name(call->codebook, view_kind(&view)), "office",
                     internal ? office_name(call->roster, &named->compartment) : "", "compartment",
                     internal && compartment != NULL ? compartment->name : "", "conflict", conflicts > 0,
                     "withheld", view.withheld, "restricted", view.restricted, "created",
                     internal ? hlc_json(created) : json_null(), "updated",
                     internal ? hlc_json(updated) : json_null(), "held",
                     call->level >= LEVEL_L3 ? held_of_record(call, named) : json_null(), "fields", fields,
                     "elements", elements, "notes", notes);
}

void
call_record_show(struct call *call)
{
    struct named named;
    struct replica_view view;

    if (!call_record(call, &named) || !call_view(call, &named, &view)) {
        return;
    }
    json_t *record = record_json(call, &named, &view);
    (void)json_object_set_new(record, "same", view.restricted ? json_null() : same_json(call, &named));
    struct intake_absent absent;
    if (replica_absent(call->replica, &named.record_id, false, &absent) == ERR_OK && absent.count > 0) {
        (void)json_object_set_new(record, "to_come", absent_json(&absent));
    }
    call_ok(call, record);
    if (!call->failed && !view.restricted && view.open != NULL &&
        codebook_field_by_name(call->codebook, view_kind(&view), "urgency") != NULL) {
        json_t *urgency = urgency_json(call, view.open);

        (void)json_object_set_new(call->ok, "urgency", urgency);
    }
}

/* --- record.history --- */

void
call_fail_restricted(struct call *call)
{
    call_fail(call, ERR_DENIED, "vigil record show says who restricted it; removing the restriction lifts it",
              "the record is restricted: nothing of it is shown or changed");
}

struct history_entry {
    uint64_t hlc;
    json_t *json;
};

static int
history_order(const void *a, const void *b)
{
    const struct history_entry *left = a;
    const struct history_entry *right = b;

    return left->hlc < right->hlc ? -1 : left->hlc > right->hlc;
}

json_t *
op_json(struct call *call, const struct op *op)
{
    static const char *const names[] = { "newer", "set", "add", "remove" };
    const struct codebook_field *field = cell_field(call->codebook, &op->target);
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:I}", "op", names[op->code <= OP_REMOVE ? op->code : 0], "target",
                  target_print(call->codebook, &op->target).text, "label",
                  target_label(call->codebook, &op->target), "replaces", (json_int_t)op->pred_count);

    if (json != NULL && op->value.data != NULL) {
        call_reads(call, field, op->value);
        (void)json_object_set_new(json, "value", value_json(call->codebook, field, op->value));
        (void)json_object_set_new(json, "shown", value_label(call->codebook, field, op->value));
    }
    return json;
}

const char *
entry_state_name(enum entry_state state)
{
    static const char *const names[STATE_COUNT] = {
        [STATE_MERGED] = "merged",
        [STATE_CARRIED] = "carried",
        [STATE_HELD] = "held",
        [STATE_ERASED] = "erased",
        [STATE_NEEDS_KEY] = "needs key",
        [STATE_NEEDS_SCHEMA] = "needs upgrade",
        [STATE_NEEDS_PAYLOAD] = "not here yet",
    };

    return (unsigned)state < STATE_COUNT ? names[state] : "unknown";
}

/* One entry of the history. An entry that does not count is listed with its state and nothing that it says. */
static json_t *
entry_json(struct call *call, const struct ident *compartment, const struct record_place *place,
           uint64_t *hlc_out)
{
    const struct record_source *source = replica_source(call->replica);
    const struct log_branch *branch = journal_branch(replica_journal(call->replica), place->log_no);
    const struct roster_compartment *named = roster_compartment(call->roster, compartment);
    enum entry_state state = STATE_MERGED;
    struct signed_change entry;
    json_t *ops = json_array();
    uint32_t actor = 0;

    *hlc_out = 0;
    enum err err =
        journal_state(replica_journal(call->replica), call->txn, place->log_no, place->seq, &state);
    if (err == ERR_OK) {
        err = source->open(source->self, place->log_no, place->seq, &call->arena, &entry);
    }
    if (err == ERR_OK) {
        *hlc_out = entry.change.hlc;
        actor = entry.change.actor;
        for (size_t n = 0; n < entry.change.op_count; n++) {
            (void)json_array_append_new(ops, op_json(call, &entry.change.ops[n]));
        }
    } else if (err != ERR_ABSENT) {
        call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "", "%s",
                  err_text(err));
    }
    json_t *json = json_pack("{s:o,s:o,s:o,s:s,s:o,s:I,s:o,s:s}", "at", hlc_json(*hlc_out), "device",
                             device_json(call->roster, &branch->device_id), "actor",
                             actor_json(call->roster, &branch->device_id, actor), "compartment",
                             named == NULL ? "" : named->name, "log", hex_json(hash_span(&branch->log_id)),
                             "seq", (json_int_t)place->seq, "ops", ops, "state", entry_state_name(state));
    if (json != NULL && state == STATE_HELD) {
        add_held(call, place, json);
    }
    return json;
}

/* Append the entries of one half. */
static void
add_history(struct call *call, const struct ident *compartment, const struct ident *record_id,
            struct history_entry **entries, size_t *count)
{
    const struct record_place *places = NULL;
    size_t place_count = 0;
    uint32_t record_no = 0;
    enum err err = record_find(call->txn, compartment, record_id, &record_no);

    if (err == ERR_OK) {
        err = record_history(call->txn, record_no, &call->arena, &places, &place_count);
    }
    if (err != ERR_OK) {
        if (err != ERR_ABSENT) {
            call_fail(call, err, "", "%s", err_text(err));
        }
        return;
    }
    struct history_entry *grown = realloc(*entries, (*count + place_count + 1) * sizeof *grown);
    if (grown == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    *entries = grown;
    for (size_t n = 0; n < place_count; n++) {
        struct history_entry *entry = &grown[*count];

        entry->json = entry_json(call, compartment, &places[n], &entry->hlc);
        ++*count;
    }
}

void
call_record_history(struct call *call)
{
    struct history_entry *entries = NULL;
    struct named named;
    size_t count = 0;

    if (!call_record(call, &named)) {
        return;
    }
    if (replica_is_restricted(call->replica, &named.compartment, &named.record_id)) {
        call_fail_restricted(call);
        return;
    }
    const struct roster_compartment *compartment = roster_compartment(call->roster, &named.compartment);
    add_history(call, &named.compartment, &named.record_id, &entries, &count);
    if (compartment != NULL && compartment->twin != NULL) {
        add_history(call, &compartment->twin->id, &named.record_id, &entries, &count);
    }
    json_t *list = json_array();
    if (count > 0) {
        qsort(entries, count, sizeof *entries, history_order);
    }
    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(list, entries[n].json);
    }
    free(entries);
    call_ok(call, json_pack("{s:o,s:s,s:o}", "record", hex_json(ident_span(&named.record_id)), "number",
                            named.number, "entries", list));
}
