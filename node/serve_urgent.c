/* serve_urgent.c - cases that somebody must look at soon: which wait for that, and who says that he has. */
#include "node/call.h"
#include "node/casework/urgency.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIMIT_DEFAULT = 250,
    LIMIT_MAX = 1000,
    OLDEST_MAX = 64, /* cases of which `status` looks for the oldest */
    HOUR_MS = 60 * 60 * 1000,
};

/* --- who waits: by the coded index --- */

/* Numbers of records, ascending. */
struct numbers {
    uint32_t *all; /* in the call's arena */
    size_t count;
    size_t room;
};

static bool
add_number(struct call *call, struct numbers *numbers, uint32_t record_no)
{
    if (numbers->count == numbers->room) {
        size_t room = numbers->room == 0 ? 256 : 2 * numbers->room;
        uint32_t *grown = arena_take_array(&call->arena, room, sizeof *grown);

        if (grown == NULL) {
            call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
            return false;
        }
        if (numbers->count > 0) {
            memcpy(grown, numbers->all, numbers->count * sizeof *grown);
        }
        numbers->all = grown;
        numbers->room = room;
    }
    numbers->all[numbers->count] = record_no;
    numbers->count++;
    return true;
}

static int
number_order(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

static void
sort_numbers(struct numbers *numbers)
{
    if (numbers->count > 0) {
        qsort(numbers->all, numbers->count, sizeof *numbers->all, number_order);
    }
}

static bool
has_number(const struct numbers *numbers, uint32_t record_no)
{
    return numbers->count > 0 &&
           bsearch(&record_no, numbers->all, numbers->count, sizeof record_no, number_order) != NULL;
}

/* The fields of cases by which they are found; a codebook may have none of them. */
struct urgent_fields {
    uint32_t kind;
    const struct codebook_field *urgency;
    const struct codebook_field *alert;
    const struct codebook_field *acknowledged;
    const struct codebook_field *note;
    const struct codebook_collection *acknowledgement;
};

static bool
find_fields(const struct codebook *codebook, struct urgent_fields *out)
{
    const struct codebook_kind *kind = codebook_kind_by_name(codebook, "case");

    *out = (struct urgent_fields){ .kind = kind == NULL ? 0 : kind->number };
    if (kind == NULL) {
        return false;
    }
    out->urgency = codebook_field_by_name(codebook, kind->number, "urgency");
    out->alert = codebook_field_by_name(codebook, kind->number, "alert");
    out->acknowledged = codebook_field_by_name(codebook, kind->number, "acknowledgement.urgency");
    out->note = codebook_field_by_name(codebook, kind->number, "acknowledgement.note");
    out->acknowledgement = codebook_collection_by_name(codebook, kind->number, "acknowledgement");
    return out->urgency != NULL && out->alert != NULL && out->acknowledged != NULL && out->note != NULL &&
           out->acknowledgement != NULL;
}

/* Add the cases of an urgency; with `by`, only those that hold one of the codes from 1 to `most` of that field too. */
static void
add_walk(struct call *call, const struct urgent_fields *fields, enum urgency urgency,
         const struct codebook_field *by, uint32_t most, struct numbers *numbers)
{
    for (uint32_t code = 1; code <= most && !call->failed; code++) {
        const uint8_t set[] = { (uint8_t)urgency };
        const uint8_t other[] = { (uint8_t)code };
        const struct index_term terms[] = { { fields->urgency->number, span_of(set, sizeof set) },
                                            { by == NULL ? 0 : by->number, span_of(other, sizeof other) } };
        struct index_walk walk;
        uint32_t record_no = 0;

        index_walk_init(&walk, call->txn, terms, by == NULL ? 1 : 2, UINT32_MAX);
        while (index_walk_next(&walk, &record_no) && add_number(call, numbers, record_no)) {
        }
        index_walk_end(&walk);
    }
    sort_numbers(numbers);
}

/* Cases of an urgency: those that wait to be acknowledged go to `waiting`, the others to `known`, which may be NULL. As
 * urgency_state says it, without opening a case. */
static void
part_cases(struct call *call, const struct urgent_fields *fields, enum urgency urgency,
           struct numbers *waiting, struct numbers *known)
{
    struct numbers all = { 0 };
    struct numbers alerts = { 0 };
    struct numbers seen = { 0 };

    add_walk(call, fields, urgency, NULL, 1, &all);
    add_walk(call, fields, urgency, fields->alert, URGENCY_ROUTINE, &alerts);
    add_walk(call, fields, urgency, fields->acknowledged, (uint32_t)urgency, &seen);
    for (size_t n = 0; n < all.count && !call->failed; n++) {
        bool waits = has_number(&alerts, all.all[n]) || !has_number(&seen, all.all[n]);

        if (waits) {
            (void)add_number(call, waiting, all.all[n]);
        } else if (known != NULL) {
            (void)add_number(call, known, all.all[n]);
        }
    }
}

/* --- one case --- */

/* A person may be a record of another office than the case. */
static void
read_person(struct call *call, const struct ident *compartment, struct urgency_person *person)
{
    struct record_summary summary;
    uint32_t record_no = 0;
    enum err err = record_find(call->txn, compartment, &person->record_id, &record_no);

    for (size_t n = 0; err == ERR_ABSENT && n < roster_compartment_count(call->roster); n++) {
        const struct roster_compartment *other = roster_compartment_at(call->roster, n);

        if (other->role != COMPARTMENT_PROTECTED) {
            err = record_find(call->txn, &other->id, &person->record_id, &record_no);
        }
    }
    if (err == ERR_OK) {
        err = record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary);
    }
    if (err == ERR_OK && !summary.restricted) {
        urgency_read_person(call->codebook, &summary, person);
    }
}

static bool
judge(struct call *call, const struct record_view *open, struct urgency_verdict *verdict_out)
{
    struct urgency_facts facts;

    if (!urgency_read(call->codebook, open, &call->arena, &facts)) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return false;
    }
    for (size_t n = 0; n < facts.person_count; n++) {
        read_person(call, &open->compartment, &facts.persons[n]);
    }
    *verdict_out = urgency_judge(&facts, world_wall_ms(call_options(call)->world));
    return !call->failed;
}

static json_t *
reasons_json(const struct urgency_verdict *verdict)
{
    json_t *reasons = json_array();

    for (size_t n = 0; n < verdict->reason_count; n++) {
        (void)json_array_append_new(reasons, json_string(verdict->reasons[n]));
    }
    return reasons;
}

static json_int_t
hours_since(const struct call *call, uint64_t hlc)
{
    uint64_t now_ms = world_wall_ms(call_options(call)->world);
    uint64_t since_ms = hlc >> 16;

    return hlc == 0 || since_ms > now_ms ? 0 : (json_int_t)((now_ms - since_ms) / HOUR_MS);
}

json_t *
urgency_json(struct call *call, const struct record_view *open)
{
    struct urgency_state state = urgency_state(open);
    struct urgency_verdict verdict;

    if (!judge(call, open, &verdict)) {
        return NULL;
    }
    return json_pack("{s:s,s:b,s:o,s:I,s:s,s:b,s:o}", "set", urgency_name(state.set), "waits", state.waits,
                     "since", hlc_json(state.since_hlc), "hours", hours_since(call, state.since_hlc), "asks",
                     urgency_name(verdict.asks), "asks_more", urgency_is_above(verdict.asks, state.set),
                     "why", reasons_json(&verdict));
}

json_t *
shown_json(struct call *call, const struct record_view *view, const char *name)
{
    json_t *list = json_array();

    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        for (size_t v = 0;
             target->field != NULL && strcmp(target->field->name, name) == 0 && v < target->shown_count;
             v++) {
            (void)json_array_append_new(list, value_json(call->codebook, target->field, target->shown[v]));
        }
    }
    return list;
}

static json_t *
first_json(struct call *call, const struct record_view *view, const char *name)
{
    json_t *list = shown_json(call, view, name);
    json_t *first = json_array_size(list) > 0 ? json_incref(json_array_get(list, 0)) : json_string("");

    json_decref(list);
    return first;
}

/* Who acknowledged what, and when; the one that came last, last. */
static json_t *
acknowledgements_json(struct call *call, const struct urgent_fields *fields, const struct record_view *view)
{
    json_t *list = json_array();

    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        if (target->field != fields->acknowledged || target->value_count == 0) {
            continue;
        }
        const struct signed_change *entry = target->values[0].entry;
        json_t *one =
            json_pack("{s:o,s:o,s:o,s:o}", "urgency",
                      value_json(call->codebook, target->field, target->values[0].value), "at",
                      hlc_json(entry->change.hlc), "device", device_json(call->roster, &entry->device_id),
                      "actor", actor_json(call->roster, &entry->device_id, entry->change.actor));
        size_t place = 0;
        const char *at = json_string_value(json_object_get(one, "at"));
        while (at != NULL && place < json_array_size(list) &&
               strcmp(json_string_value(json_object_get(json_array_get(list, place), "at")), at) <= 0) {
            place++;
        }
        (void)json_array_insert_new(list, place, one);
    }
    return list;
}

/* A case as the list shows it: of its case half alone. NULL: it is gone, or the call failed. */
static json_t *
case_json(struct call *call, const struct urgent_fields *fields, uint32_t record_no, uint64_t *since_out)
{
    struct record_view view;
    enum err err = record_view_read(call->txn, call->codebook, replica_source(call->replica), record_no,
                                    &call->arena, &view);

    if (err != ERR_OK || view.restricted) {
        if (err != ERR_OK && err != ERR_ABSENT && err != ERR_CORRUPT) {
            call_fail(call, err, "", "%s", err_text(err));
        }
        return NULL;
    }
    json_t *row = urgency_json(call, &view);
    if (row == NULL) {
        return NULL;
    }
    *since_out = urgency_state(&view).since_hlc;
    (void)json_object_set_new(row, "urgency", json_incref(json_object_get(row, "set")));
    (void)json_object_del(row, "set");
    json_t *more = json_pack(
        "{s:o,s:o,s:s,s:o,s:o,s:o,s:o}", "record", hex_json(ident_span(&view.record_id)), "number",
        first_json(call, &view, "number"), "office", office_name(call->roster, &view.compartment), "country",
        shown_json(call, &view, "country_of_act"), "status", first_json(call, &view, "status"), "title",
        first_json(call, &view, "title"), "acknowledgements", acknowledgements_json(call, fields, &view));
    (void)json_object_update(row, more);
    json_decref(more);
    return row;
}

/* --- urgent.list --- */

struct listed {
    json_t *row;
    uint64_t since_hlc;
    uint32_t record_no;
};

static int
oldest_first(const void *left, const void *right)
{
    const struct listed *a = left;
    const struct listed *b = right;

    if (a->since_hlc != b->since_hlc) {
        return a->since_hlc < b->since_hlc ? -1 : 1;
    }
    return a->record_no < b->record_no ? -1 : a->record_no > b->record_no;
}

/* The cases one after the other: those that wait first, each part in the order in which they came here. */
struct queue {
    struct numbers cases;
    size_t waiting;
};

static void
make_queue(struct call *call, const struct urgent_fields *fields, bool all, struct queue *queue)
{
    struct numbers known = { 0 };

    *queue = (struct queue){ .waiting = 0 };
    part_cases(call, fields, URGENCY_EMERGENCY, &queue->cases, all ? &known : NULL);
    part_cases(call, fields, URGENCY_URGENT, &queue->cases, all ? &known : NULL);
    queue->waiting = queue->cases.count;
    sort_numbers(&queue->cases);
    sort_numbers(&known);
    for (size_t n = 0; n < known.count && !call->failed; n++) {
        (void)add_number(call, &queue->cases, known.all[n]);
    }
}

/* Where a page starts: "w17" is behind the waiting case 17, "k17" behind 17 of the others. */
static bool
find_start(struct call *call, const struct queue *queue, size_t *at_out)
{
    const char *text = call_text(call, "after");
    char *end = NULL;

    *at_out = 0;
    if (text == NULL || call->failed) {
        return !call->failed;
    }
    unsigned long after = text[0] == '\0' ? 0 : strtoul(text + 1, &end, 10);
    if ((text[0] != 'w' && text[0] != 'k') || end == text + 1 || *end != '\0' || after > UINT32_MAX) {
        call_usage(call, "\"after\" is no \"next\" of an answer before");
        return false;
    }
    *at_out = text[0] == 'w' ? 0 : queue->waiting;
    while (*at_out < (text[0] == 'w' ? queue->waiting : queue->cases.count) &&
           queue->cases.all[*at_out] <= after) {
        ++*at_out;
    }
    return true;
}

/* Append the cases from `first` to `last` of the queue, the oldest first. */
static void
list_cases(struct call *call, const struct urgent_fields *fields, const struct queue *queue, size_t first,
           size_t last, json_t *rows)
{
    struct listed *listed = calloc(last - first + 1, sizeof *listed);
    struct arena kept = call->arena; /* the queue is in it; each case has one of its own */
    size_t count = 0;

    if (listed == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    call->arena = (struct arena){ 0 };
    for (size_t n = first; n < last && !call->failed; n++) {
        listed[count].record_no = queue->cases.all[n];
        listed[count].row = case_json(call, fields, queue->cases.all[n], &listed[count].since_hlc);
        count += listed[count].row != NULL;
        arena_reset(&call->arena);
    }
    arena_free(&call->arena);
    call->arena = kept;
    qsort(listed, count, sizeof *listed, oldest_first);
    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(rows, listed[n].row);
    }
    free(listed);
}

bool
urgent_rows(struct call *call, bool all, int64_t limit, struct urgent_page *page_out)
{
    struct urgent_fields fields;
    struct queue queue;
    char next[16];
    size_t first = 0;

    *page_out = (struct urgent_page){ .rows = json_array(), .next = json_null() };
    if (!find_fields(call->codebook, &fields)) {
        return true; /* another codebook has no such cases */
    }
    make_queue(call, &fields, all, &queue);
    if (call->failed || !find_start(call, &queue, &first)) {
        return false;
    }
    size_t last = queue.cases.count - first > (size_t)limit ? first + (size_t)limit : queue.cases.count;
    size_t middle = queue.waiting < first ? first : queue.waiting < last ? queue.waiting : last;
    list_cases(call, &fields, &queue, first, middle, page_out->rows);
    if (!call->failed) {
        list_cases(call, &fields, &queue, middle, last, page_out->rows);
    }
    page_out->waiting = queue.waiting;
    page_out->total = queue.cases.count;
    if (last < queue.cases.count) {
        (void)snprintf(next, sizeof next, "%c%lu", last <= queue.waiting ? 'w' : 'k',
                       (unsigned long)queue.cases.all[last - 1]);
        page_out->next = json_string(next);
    }
    return !call->failed;
}

void
call_urgent_list(struct call *call)
{
    bool all = call_flag(call, "all");
    int64_t limit = call_number(call, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
    struct urgent_page page = { .rows = NULL };

    if (!call->failed && urgent_rows(call, all, limit, &page)) {
        call_ok(call, json_pack("{s:o,s:o,s:I,s:I}", "cases", page.rows, "next", page.next, "waiting",
                                (json_int_t)page.waiting, "total", (json_int_t)page.total));
        return;
    }
    json_decref(page.rows);
    json_decref(page.next);
}

/* --- urgent.ack --- */

/* At most so many ops: the element, what it is of, a note, and the alert. */
enum { ACK_OPS_MAX = 4 };

static bool
put_note(struct call *call, const struct urgent_fields *fields, const char *note, struct save_op *op)
{
    struct value_fault fault;
    struct buf cbor = { 0 };
    json_t *text = json_string(note);
    enum err err = text == NULL ? ERR_MEMORY : value_parse(call->codebook, fields->note, text, &cbor, &fault);

    json_decref(text);
    if (err != ERR_OK) {
        call_fail(call, err, "type it anew", "%s", err == ERR_INVALID ? fault.text : err_text(err));
    }
    op->value = arena_copy_buf(&call->arena, &cbor);
    buf_wipe(&cbor);
    return !call->failed;
}

void
call_urgent_ack(struct call *call)
{
    static const uint8_t null[] = { 0xf6 };
    const char *note = call_text(call, "note");
    struct urgent_fields fields;
    struct named named;
    struct replica_view view;
    struct save_op ops[ACK_OPS_MAX];
    size_t count = 0;

    if (call->failed || !call_record(call, &named) || !call_view(call, &named, &view)) {
        return;
    }
    if (view.restricted) {
        call_fail_restricted(call);
        return;
    }
    struct urgency_state state = urgency_state(view.open);
    if (!find_fields(call->codebook, &fields) || view_kind(&view) != fields.kind ||
        (state.set != URGENCY_EMERGENCY && state.set != URGENCY_URGENT)) {
        call_fail(call, ERR_INVALID, "vigil urgent list shows what waits to be acknowledged",
                  "%s is neither U1 nor U2: there is nothing to acknowledge",
                  named.number[0] == '\0' ? "this record" : named.number);
        return;
    }
    const uint8_t code[] = { (uint8_t)state.set };
    struct target element = { .collection = fields.acknowledgement->number };
    world_random(call_options(call)->world, element.element, ELEMENT_ID_BYTES);
    ops[count++] = (struct save_op){ .code = OP_ADD, .target = element };
    element.field = fields.acknowledged->number;
    ops[count++] = (struct save_op){ .code = OP_SET, .target = element, .value = span_of(code, sizeof code) };
    if (note != NULL && note[0] != '\0') {
        element.field = fields.note->number;
        ops[count] = (struct save_op){ .code = OP_SET, .target = element };
        if (!put_note(call, &fields, note, &ops[count++])) {
            return;
        }
    }
    /* Only the alerts that are seen here: one that is raised elsewhere meanwhile stands. */
    const struct target alert = { .field = fields.alert->number };
    const struct record_target *alerts = view_target(&view, &alert);
    if (alerts != NULL && alerts->shown_count > 0) {
        ops[count++] = (struct save_op){
            .code = OP_SET, .target = alert, .value = span_of(null, sizeof null), .resolve = true
        };
    }
    const struct save save = { .compartment = named.compartment,
                               .record_id = named.record_id,
                               .urgent = true,
                               .actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0),
                               .ops = ops,
                               .op_count = count };
    if (!call->failed) {
        call_save(call, &save, named.number);
    }
    if (!call->failed) {
        (void)json_object_set_new(call->ok, "urgency", json_string(urgency_name(state.set)));
    }
}

/* --- what every save is looked at for, and what `status` says --- */

bool
call_minds_urgency(struct call *call, uint32_t kind, const struct replica_view *view, struct save *save)
{
    const struct workflow_save asked = call_workflow_save(call, kind, view, save);
    struct workflow_fault fault;
    struct urgent_fields fields;

    if (!find_fields(call->codebook, &fields) || kind != fields.kind) {
        return true;
    }
    if (!urgency_allows(&asked, &fault)) {
        call_fail(call, ERR_DENIED, fault.hint, "%s", fault.what);
        return false;
    }
    save->urgent = save->urgent || urgency_hastens(&asked);
    enum urgency raised = urgency_raises(&asked);
    if (raised != URGENCY_NONE) {
        struct save_op *ops = arena_take_array(&call->arena, save->op_count + 1, sizeof *ops);
        uint8_t *code = arena_take(&call->arena, 1);

        if (ops == NULL || code == NULL) {
            call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
            return false;
        }
        *code = (uint8_t)raised;
        memcpy(ops, save->ops, save->op_count * sizeof *ops);
        ops[save->op_count] = (struct save_op){ .code = OP_SET,
                                                .target = { .field = fields.alert->number },
                                                .value = span_of(code, 1) };
        save->ops = ops;
        save->op_count++;
    }
    return true;
}

bool
urgent_each_waiting(struct call *call, void (*each)(void *self, const struct ident *compartment), void *self)
{
    struct urgent_fields fields;
    struct numbers waiting = { 0 };

    if (find_fields(call->codebook, &fields)) {
        part_cases(call, &fields, URGENCY_EMERGENCY, &waiting, NULL);
    }
    for (size_t n = 0; n < waiting.count && !call->failed; n++) {
        struct ident compartment;
        struct ident record_id;

        if (record_name(call->txn, waiting.all[n], &compartment, &record_id) == ERR_OK) {
            each(self, &compartment);
        }
    }
    return !call->failed;
}

void
urgent_warn(struct call *call, json_t *warnings)
{
    struct urgent_fields fields;
    struct numbers waiting = { 0 };
    json_t *rows = json_array();

    if (find_fields(call->codebook, &fields)) {
        part_cases(call, &fields, URGENCY_EMERGENCY, &waiting, NULL);
    }
    if (waiting.count > 0 && !call->failed) {
        const struct queue queue = { .cases = waiting, .waiting = waiting.count };

        list_cases(call, &fields, &queue, 0, waiting.count < OLDEST_MAX ? waiting.count : OLDEST_MAX, rows);
        const json_t *oldest = json_array_get(rows, 0);
        const char *number = json_string_value(json_object_get(oldest, "number"));
        long long hours = json_integer_value(json_object_get(oldest, "hours"));
        /* Who looks after the node alone is told that there is one, and not which. */
        bool named = roles_allow("urgent.list", call_roles(call)) && number != NULL && number[0] != '\0';

        warn(warnings,
             "%zu %s (U1) and nobody has acknowledged %s; %s waits for %lld hour%s: vigil urgent list",
             waiting.count, waiting.count == 1 ? "case is an emergency" : "cases are emergencies",
             waiting.count == 1 ? "it" : "them", named ? number : "the oldest", hours, hours == 1 ? "" : "s");
    }
    json_decref(rows);
}
