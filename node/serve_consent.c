/* serve_consent.c - what persons agreed to: shown, asked of each save, and counted where it keeps somebody out of a report. */
#include "node/call.h"
#include "node/casework/consent_rule.h"
#include "node/casework/shown.h"
#include "node/casework/statistics.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a sentence has room for, and of that what stands at its end: " and 12 more". */
enum { REASONS_BYTES = 224, REASONS_MORE_BYTES = 28 };

/* Persons who stand in the way, each with the reason: as many as a sentence holds, and how many more there are. */
struct reasons {
    char text[REASONS_BYTES];
    size_t count;
    size_t more;
};

static struct edtf_day
today_of(struct call *call)
{
    return edtf_day_of(world_wall_ms(call_options(call)->world));
}

static bool
fail_with(struct call *call, enum err err)
{
    call_fail(call, err, "", "%s", err_text(err));
    return false;
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

/* --- persons --- */

/* As much of the text as there is room for, no character cut. */
static void
copy_name(char name[PARTY_NAME_BYTES], struct span text)
{
    size_t size = text.size < PARTY_NAME_BYTES ? text.size : PARTY_NAME_BYTES - 1;

    while (size > 0 && !utf8_valid(span_of(text.data, size))) {
        size--;
    }
    memcpy(name, size == 0 ? "" : (const char *)text.data, size);
    name[size] = '\0';
}

static struct span
pseudonym_of(const struct party *party)
{
    const struct record_target *target = party->hidden ? NULL : shown_target(party->view, NULL, "pseudonym");

    if (target == NULL || target->shown_count == 0) {
        return span_of(NULL, 0);
    }
    struct cbor_reader in = cbor_reader_of(target->shown[0]);
    return cbor_peek(&in) == CBOR_TEXT ? cbor_read_text(&in) : span_of(NULL, 0);
}

static void
name_party(struct party *party)
{
    char id[2 * IDENT_BYTES + 1];

    bytes_hex(id, ident_span(&party->id));
    struct span pseudonym = pseudonym_of(party);
    if (party->number[0] != '\0') {
        copy_name(party->name, span_text(party->number));
    } else if (pseudonym.size > 0) {
        copy_name(party->name, pseudonym);
    } else {
        copy_name(party->name, span_of(id, 8));
    }
}

/* Read a person as far as this node can. False: the call failed. */
static bool
read_party(struct call *call, const struct ident *id, const struct edtf_day *today, struct party *party)
{
    const struct names_source source = { call->txn, call->codebook, call->roster };
    struct record_view *view = NULL;
    struct named named = { .number = "" };
    char text[2 * IDENT_BYTES + 1];

    *party = (struct party){ .id = *id };
    bytes_hex(text, ident_span(id));
    enum err err = names_find(call_names(call), &source, text, &named);
    if (err == ERR_OK) {
        err = call_read_in_spite(call, &named, &view);
    }
    if (call->failed) {
        return false;
    }
    if (err == ERR_MEMORY || err == ERR_IO) {
        return fail_with(call, err);
    }
    /* Absent, without its key, damaged, or no person at all: nobody here knows what was agreed to. */
    const char *kind = err == ERR_OK ? kind_name(call->codebook, view->kind) : "";
    party->known = strcmp(kind, "person") == 0;
    party->hidden = party->known && view->restricted;
    party->view = party->known ? view : NULL;
    (void)snprintf(party->number, sizeof party->number, "%s", named.number);
    name_party(party);
    err = consent_read(call->codebook, party->view, today, &call->arena, &party->consent);
    return err == ERR_OK || fail_with(call, err);
}

/* Persons are told of in the order in which people know them, not in that of their ids. */
static int
party_order(const void *left, const void *right)
{
    const struct party *a = left;
    const struct party *b = right;
    int order = strcmp(a->name, b->name);

    return order != 0 ? order : ident_compare(&a->id, &b->id);
}

bool
call_parties(struct call *call, const struct workflow_save *save, struct parties *parties_out)
{
    struct edtf_day today = today_of(call);
    const struct ident *ids = NULL;
    size_t count = 0;
    enum err err = consent_persons(save, &call->arena, &ids, &count);
    struct party *items = arena_take_array(&call->arena, count + 1, sizeof *items);

    *parties_out = (struct parties){ items, count };
    if (err != ERR_OK || items == NULL) {
        return fail_with(call, ERR_MEMORY);
    }
    for (size_t n = 0; n < count; n++) {
        if (!read_party(call, &ids[n], &today, &items[n])) {
            return false;
        }
    }
    if (count > 1) {
        qsort(items, count, sizeof *items, party_order);
    }
    return true;
}

/* --- what a save asks --- */

/* "share_with_hq: refused, media: unknown" */
static void
append_scopes(struct call *call, const struct consent *consent, uint32_t scopes, char *text, size_t room)
{
    bool first = true;

    for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
        if ((scopes & CONSENT_BIT(scope)) != 0) {
            enum consent_decision decision = consent_governing(consent, (enum consent_scope)scope);

            append(text, room, "%s%s: %s", first ? "" : ", ",
                   consent_scope_name(call->codebook, (enum consent_scope)scope),
                   consent_decision_name(call->codebook, decision));
            first = false;
        }
    }
}

static void
add_reason(struct reasons *reasons, const char *name, const char *reason)
{
    char piece[REASONS_BYTES - REASONS_MORE_BYTES];
    size_t used = strlen(reasons->text);

    (void)snprintf(piece, sizeof piece, "%s%s (%s)", reasons->count == 0 ? "" : ", ", name, reason);
    reasons->count++;
    if (reasons->more > 0 || used + strlen(piece) >= sizeof piece) {
        reasons->more++;
    } else {
        append(reasons->text, sizeof reasons->text, "%s", piece);
    }
}

/* All of them have been added: say how many more there are. */
static void
end_reasons(struct reasons *reasons)
{
    if (reasons->more > 0) {
        append(reasons->text, sizeof reasons->text, " and %zu more", reasons->more);
    }
}

/* Whom a need meets. */
struct objections {
    struct reasons reasons;
    bool refused; /* somebody is known, and did not agree */
    bool unknown; /* somebody is not */
    bool seen;    /* somebody may be recognised */
};

static void
object(struct call *call, const struct party *party, uint32_t missing, bool seen,
       struct objections *objections)
{
    char reason[REASONS_BYTES] = "";

    objections->refused = objections->refused || (party->known && missing != 0);
    objections->unknown = objections->unknown || !party->known;
    objections->seen = objections->seen || (party->known && seen);
    if (!party->known) {
        append(reason, sizeof reason, "not known here");
    } else {
        append_scopes(call, &party->consent, missing, reason, sizeof reason);
        if (seen) {
            append(reason, sizeof reason, "%smay be recognised", missing == 0 ? "" : ", ");
        }
    }
    add_reason(&objections->reasons, party->name, reason);
}

static void
refuse(struct call *call, const struct consent_need *need, struct objections *objections)
{
    char hint[CALL_MESSAGE_BYTES] = "";

    if (objections->refused) {
        append(hint, sizeof hint, "ask them and add a consent to each, or take them out of the case");
    }
    if (objections->unknown) {
        append(hint, sizeof hint,
               "%sconnect until who is not known here has come, or take out who was erased",
               hint[0] == '\0' ? "" : "; ");
    }
    if (objections->seen) {
        append(hint, sizeof hint, "%slook at it again, and pass the gate no_harm for %s",
               hint[0] == '\0' ? "" : "; ", need->what);
    }
    if (need->step == 0 && !need->publishes) {
        append(hint, sizeof hint, "; to save a life a reviewer adds a consent_override in the same save");
    }
    end_reasons(&objections->reasons);
    call_fail(call, ERR_INVALID, hint, "%s needs the consent of every person of the case: %s", need->what,
              objections->reasons.text);
}

static bool
check_need(struct call *call, const struct workflow_save *save, const struct consent_need *need,
           const struct consent_override *overrides, size_t override_count, const struct parties *parties)
{
    struct objections objections = { .refused = false };
    uint64_t no_harm_hlc = need->step == 0 ? 0 : workflow_gate_passed(save, GATE_NO_HARM, need->step);

    for (size_t n = 0; n < parties->count; n++) {
        const struct party *party = &parties->items[n];
        bool seen = false;
        uint32_t missing = consent_missing(need, &party->consent, no_harm_hlc, &seen);
        uint32_t overridden = consent_overridden(need, overrides, override_count, &party->id);

        missing &= ~overridden;
        if (need->any != 0 && (overridden & need->any) != 0) {
            missing &= ~need->any;
        }
        if (missing != 0 || seen) {
            object(call, party, missing, seen, &objections);
        }
    }
    if (objections.reasons.count > 0) {
        refuse(call, need, &objections);
    }
    return objections.reasons.count == 0;
}

/* Every override goes into the audit log, before anything is saved: all of one save are one event. Why stands in the case, and goes with it:
 * what people write there tells of persons, and nothing of the log is ever erased. */
static bool
note_overrides(struct call *call, const struct save *save, const struct consent_override *overrides,
               size_t count)
{
    char filter[AUDIT_TEXT_BYTES] = "";
    uint32_t scopes = 0;

    for (size_t n = 0; n < count; n++) {
        scopes |= overrides[n].scopes;
    }
    for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
        if ((scopes & CONSENT_BIT(scope)) != 0) {
            append(filter, sizeof filter, "%sconsent_override.scope=%s", filter[0] == '\0' ? "" : " ",
                   consent_scope_name(call->codebook, (enum consent_scope)scope));
        }
    }
    return count == 0 ||
           call_audit(call, &(struct audit_event){ .what = AUDIT_OVERRIDE,
                                                   .record = save->create ? NULL : &save->record_id,
                                                   .fields = "",
                                                   .filter = filter,
                                                   .reason = "",
                                                   .count = count });
}

static struct workflow_save
as_it_is(const struct call *call, const struct replica_view *view)
{
    return (struct workflow_save){ .codebook = call->codebook, .kind = view_kind(view), .view = view };
}

static struct workflow_save
as_it_will_be(struct call *call, uint32_t kind, const struct replica_view *view, const struct save *save)
{
    return (struct workflow_save){ .codebook = call->codebook,
                                   .kind = kind,
                                   .view = view,
                                   .ops = save->ops,
                                   .op_count = save->op_count,
                                   .person = { .device_id = replica_identity(call->replica)->device_id,
                                               .actor = save->actor,
                                               .roles = call_roles(call) } };
}

bool
call_notes_overrides(struct call *call, uint32_t kind, const struct replica_view *view,
                     const struct save *save)
{
    const struct workflow_save asked = as_it_will_be(call, kind, view, save);
    const struct consent_override *overrides = NULL;
    size_t count = 0;
    enum err err = consent_overrides(&asked, &call->arena, &overrides, &count);

    return err == ERR_OK ? note_overrides(call, save, overrides, count) : fail_with(call, err);
}

bool
call_allows_consent(struct call *call, uint32_t kind, const struct replica_view *view,
                    const struct save *save)
{
    const struct workflow_save asked = as_it_will_be(call, kind, view, save);
    const struct consent_override *overrides = NULL;
    const struct consent_need *needs = NULL;
    struct workflow_fault fault;
    struct parties parties = { .count = 0 };
    size_t need_count = 0;
    size_t override_count = 0;

    enum err err = consent_needs(&asked, &call->arena, &needs, &need_count);
    if (err == ERR_OK) {
        err = consent_overrides(&asked, &call->arena, &overrides, &override_count);
    }
    if (err != ERR_OK) {
        return fail_with(call, err);
    }
    for (size_t n = 0; n < override_count; n++) {
        if (!consent_may_override(&asked, needs, need_count, &overrides[n], &fault)) {
            call_fail(call, ERR_INVALID, fault.hint, "%s", fault.what);
            return false;
        }
    }
    if (need_count > 0 && !call_parties(call, &asked, &parties)) {
        return false;
    }
    for (size_t n = 0; n < need_count; n++) {
        if (!check_need(call, &asked, &needs[n], overrides, override_count, &parties)) {
            return false;
        }
    }
    return note_overrides(call, save, overrides, override_count);
}

/* --- what may be said of a case --- */

static void
say_why(struct call *call, const struct party *party, uint32_t uses, struct reasons *reasons)
{
    static const struct {
        enum consent_use use;
        enum consent_scope scope;
    } least[] = {
        { CONSENT_USE_COUNT, CONSENT_COUNT_ONLY },
        { CONSENT_USE_ANONYMISED, CONSENT_PUBLISH_ANONYMISED },
        { CONSENT_USE_NAMED, CONSENT_PUBLISH_NAMED },
    };
    char reason[REASONS_BYTES] = "";

    for (size_t n = 0; party->known && n < sizeof least / sizeof least[0]; n++) {
        enum consent_decision decision = consent_governing(&party->consent, least[n].scope);

        if ((uses & (uint32_t)least[n].use) == 0) {
            append(reason, sizeof reason, "%s%s: %s", reason[0] == '\0' ? "" : ", ",
                   consent_scope_name(call->codebook, least[n].scope),
                   decision == CONSENT_GRANTED ? "may be recognised"
                                               : consent_decision_name(call->codebook, decision));
        }
    }
    add_reason(reasons, party->name, party->known ? reason : "not known here");
}

uint64_t
call_no_harm(const struct workflow_save *save)
{
    const struct codebook_field *stage = codebook_stage_field(save->codebook, save->kind);
    const struct codebook_vocabulary *vocabulary =
        stage == NULL ? NULL : codebook_vocabulary(save->codebook, stage->vocabulary);
    const struct codebook_value *step =
        vocabulary == NULL ? NULL : codebook_value_by_name(vocabulary, "included_anonymised");

    return step == NULL ? 0 : workflow_gate_passed(save, GATE_NO_HARM, step->number);
}

bool
call_case_consent(struct call *call, const struct replica_view *view, struct case_consent *out)
{
    const struct workflow_save asked = as_it_is(call, view);
    const uint32_t all = CONSENT_USE_COUNT | CONSENT_USE_ANONYMISED | CONSENT_USE_NAMED;
    struct reasons reasons = { .text = "" };
    struct parties parties;

    *out = (struct case_consent){ .uses = all, .describable = true };
    if (view->restricted || view->open == NULL) {
        out->uses = 0;
        out->describable = false;
        append(out->why, sizeof out->why, "it is hidden behind a restriction");
        return true;
    }
    if (!call_parties(call, &asked, &parties)) {
        return false;
    }
    uint64_t no_harm_hlc = call_no_harm(&asked);
    for (size_t n = 0; n < parties.count; n++) {
        uint32_t uses = consent_uses(&parties.items[n].consent, no_harm_hlc);

        out->uses &= uses;
        out->describable = out->describable && (uses & (CONSENT_USE_ANONYMISED | CONSENT_USE_NAMED)) != 0;
        if (uses != all) {
            say_why(call, &parties.items[n], uses, &reasons);
        }
    }
    end_reasons(&reasons);
    append(out->why, sizeof out->why, "%s", reasons.text);
    return true;
}

/* --- consent.show --- */

static json_t *
scopes_json(const struct call *call, uint32_t scopes)
{
    json_t *names = json_array();

    for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
        if ((scopes & CONSENT_BIT(scope)) != 0) {
            (void)json_array_append_new(
                names, json_string(consent_scope_name(call->codebook, (enum consent_scope)scope)));
        }
    }
    return names;
}

static json_t *
shown_values_json(struct call *call, const struct record_target *target)
{
    json_t *values = json_array();

    for (size_t n = 0; target != NULL && n < target->shown_count; n++) {
        (void)json_array_append_new(values, value_json(call->codebook, target->field, target->shown[n]));
    }
    return values;
}

static json_t *
statement_json(struct call *call, const struct record_view *view, const struct consent_statement *statement)
{
    const struct record_element *element = NULL;

    for (size_t n = 0; n < view->element_count && element == NULL; n++) {
        if (shown_is_in(call->codebook, &view->elements[n], "consent") &&
            memcmp(view->elements[n].element, statement->element, ELEMENT_ID_BYTES) == 0) {
            element = &view->elements[n];
        }
    }
    const struct record_target *decision =
        element == NULL ? NULL : shown_target(view, element, "consent.decision");
    const struct signed_change *entry =
        decision == NULL || decision->value_count == 0 ? NULL : decision->values[0].entry;
    json_t *json = json_pack(
        "{s:o,s:o,s:o,s:s,s:o,s:b,s:o,s:o,s:o}", "element",
        hex_json(span_of(statement->element, ELEMENT_ID_BYTES)), "scopes",
        scopes_json(call, statement->scopes), "stands", scopes_json(call, statement->stands), "decision",
        consent_decision_name(call->codebook, statement->decision), "concern",
        statement->concern == CONCERN_NOT_SAID ? json_null()
                                               : json_boolean(statement->concern == CONCERN_YES),
        "concern_stands", statement->concern_stands, "valid_until",
        shown_values_json(call, element == NULL ? NULL : shown_target(view, element, "consent.valid_until")),
        "replaces", shown_values_json(call, statement->replaces), "at", hlc_json(statement->hlc));

    if (json != NULL && entry != NULL) {
        (void)json_object_set_new(json, "device", device_json(call->roster, &entry->device_id));
        (void)json_object_set_new(json, "actor",
                                  actor_json(call->roster, &entry->device_id, entry->change.actor));
    }
    return json;
}

/* {"decision","label","by":[element]} of one scope. */
static json_t *
governing_json(struct call *call, const struct party *party, enum consent_scope scope)
{
    const struct consent *consent = &party->consent;
    enum consent_decision decision = consent_governing(consent, scope);
    const char *name = consent_decision_name(call->codebook, decision);
    json_t *by = json_array();

    for (size_t n = 0; n < consent->count; n++) {
        if (consent_made_by(consent, &consent->statements[n], scope)) {
            (void)json_array_append_new(by,
                                        hex_json(span_of(consent->statements[n].element, ELEMENT_ID_BYTES)));
        }
    }
    const char *label = decision == CONSENT_UNKNOWN && json_array_size(by) == 0 ? "nothing said" : name;
    return json_pack("{s:s,s:s,s:o}", "decision", name, "label", label, "by", by);
}

static json_t *
party_json(struct call *call, const struct party *party)
{
    json_t *scopes = json_object();
    json_t *statements = json_array();
    bool shown = party->known && !party->hidden;

    for (int scope = 1; shown && scope <= CONSENT_SCOPES; scope++) {
        (void)json_object_set_new(scopes, consent_scope_name(call->codebook, (enum consent_scope)scope),
                                  governing_json(call, party, (enum consent_scope)scope));
    }
    for (size_t n = 0; shown && n < party->consent.count; n++) {
        (void)json_array_append_new(statements,
                                    statement_json(call, party->view, &party->consent.statements[n]));
    }
    return json_pack("{s:o,s:s,s:o,s:s,s:s,s:b,s:o,s:o}", "record", hex_json(ident_span(&party->id)),
                     "number", party->number, "pseudonym", text_json(pseudonym_of(party)), "name",
                     party->name, "state",
                     !party->known   ? "not known here"
                     : party->hidden ? "hidden"
                                     : "known",
                     "concern", shown && party->consent.concern, "scopes", scopes, "statements", statements);
}

static json_t *
uses_json(uint32_t uses)
{
    json_t *names = json_array();

    if ((uses & CONSENT_USE_COUNT) != 0) {
        (void)json_array_append_new(names, json_string("count"));
    }
    if ((uses & CONSENT_USE_ANONYMISED) != 0) {
        (void)json_array_append_new(names, json_string("anonymised"));
    }
    if ((uses & CONSENT_USE_NAMED) != 0) {
        (void)json_array_append_new(names, json_string("named"));
    }
    return names;
}

static void
show_parties(struct call *call, const struct named *named, const struct replica_view *view,
             const struct parties *parties)
{
    struct edtf_day today = today_of(call);
    const char *kind = kind_name(call->codebook, view_kind(view));
    json_t *persons = json_array();

    for (size_t n = 0; n < parties->count; n++) {
        (void)json_array_append_new(persons, party_json(call, &parties->items[n]));
    }
    json_t *json = json_pack("{s:o,s:s,s:s,s:s,s:o,s:o}", "record", hex_json(ident_span(&named->record_id)),
                             "number", named->number, "kind", kind, "today", today.text, "scopes",
                             scopes_json(call, ~UINT32_C(1)), "persons", persons);
    if (json != NULL && strcmp(kind, "case") == 0) {
        struct case_consent consent;

        if (!call_case_consent(call, view, &consent)) {
            json_decref(json);
            return;
        }
        (void)json_object_set_new(json, "uses", uses_json(consent.uses));
        (void)json_object_set_new(json, "describable", json_boolean(consent.describable));
        (void)json_object_set_new(json, "why", text_json(span_text(consent.why)));
    }
    call_ok(call, json);
}

void
call_consent_show(struct call *call)
{
    struct parties parties = { .count = 0 };
    struct edtf_day today = today_of(call);
    struct replica_view view;
    struct named named;
    struct party one;

    if (!call_record(call, &named) || !call_view(call, &named, &view)) {
        return;
    }
    const char *kind = kind_name(call->codebook, view_kind(&view));
    const struct workflow_save asked = as_it_is(call, &view);
    bool good = true;
    if (strcmp(kind, "person") == 0) {
        parties = (struct parties){ &one, 1 };
        good = read_party(call, &named.record_id, &today, &one);
    } else if (strcmp(kind, "case") != 0) {
        call_fail(call, ERR_INVALID, "name a case or a person", "%s says nothing of consent",
                  kind[0] == '\0' ? "this record" : kind);
        good = false;
    } else {
        good = call_parties(call, &asked, &parties);
    }
    if (good) {
        show_parties(call, &named, &view, &parties);
    }
}

/* --- records by the index --- */

struct span
number_token(struct call *call, uint64_t number)
{
    struct buf token = { 0 };

    cbor_put_uint(&token, number);
    struct span kept = arena_copy_buf(&call->arena, &token);
    buf_free(&token);
    return kept;
}

struct span
record_token(struct call *call, const struct ident *id)
{
    struct buf token = { 0 };

    cbor_put_bytes(&token, ident_span(id));
    struct span kept = arena_copy_buf(&call->arena, &token);
    buf_free(&token);
    return kept;
}

bool
call_gather(struct call *call, const struct index_term *terms, size_t count, struct buf *found)
{
    struct index_walk walk;
    uint32_t record_no = 0;
    enum err err = ERR_OK;

    index_walk_init(&walk, call->txn, terms, count, UINT32_MAX);
    while (err == ERR_OK && index_walk_next(&walk, &record_no)) {
        struct named named = { .record_no = record_no };

        err = record_name(call->txn, record_no, &named.compartment, &named.record_id);
        if (err == ERR_OK) {
            buf_put(found, &named, sizeof named);
        } else if (err == ERR_CORRUPT) {
            err = ERR_OK; /* counted by table, and found by verify */
        }
    }
    index_walk_end(&walk);
    if (err == ERR_OK && (found->failed || call->arena.failed)) {
        err = ERR_MEMORY;
    }
    return err == ERR_OK || fail_with(call, err);
}

struct named
named_at(const struct buf *found, size_t n)
{
    struct named named;

    memcpy(&named, found->data + n * sizeof named, sizeof named);
    return named;
}

/* --- count stubs: one individual of one window --- */

struct stub {
    struct span window;  /* CBOR; empty: the cases name none */
    struct span country; /* likewise */
    uint32_t groups;
};

static void
stub_value(struct call *call, struct save *save, struct save_op *ops, uint32_t kind, const char *name,
           struct span value)
{
    const struct codebook_field *field = codebook_field_by_name(call->codebook, kind, name);

    if (field != NULL && value.size > 0) {
        ops[save->op_count] = (struct save_op){ .code = OP_SET,
                                                .target = { .field = field->number },
                                                .value = value,
                                                .resolve = field->policy != MERGE_UNION };
        save->op_count++;
    }
}

/* The State alleged to be responsible, or else where it happened; of several the first of the alphabet, since a stub counts one
 * person once. */
static struct span
stub_country(const struct call *call, const struct record_view *view)
{
    static const char *const names[] = { "country_alleged_responsible", "country_of_act" };
    struct span country = span_of(NULL, 0);

    for (size_t name = 0; name < 2 && country.size == 0; name++) {
        for (size_t n = 0; n < view->element_count; n++) {
            const struct record_element *element = &view->elements[n];
            const struct record_target *target = shown_is_in(call->codebook, element, names[name])
                                                     ? shown_target(view, element, names[name])
                                                     : NULL;

            for (size_t v = 0; target != NULL && v < target->shown_count; v++) {
                if (country.size == 0 || span_compare(target->shown[v], country) < 0) {
                    country = target->shown[v];
                }
            }
        }
    }
    return country;
}

/* The groups of acts that name the person, or nobody. */
static uint32_t
stub_groups(const struct call *call, const struct record_view *view, const struct ident *person)
{
    uint32_t groups = 0;

    for (size_t n = 0; n < view->element_count; n++) {
        const struct record_element *element = &view->elements[n];

        if (!shown_is_in(call->codebook, element, "act")) {
            continue;
        }
        const struct record_target *victim = shown_target(view, element, "act.victim");
        const struct codebook_value *type =
            shown_value(call->codebook, shown_target(view, element, "act.type_of_act"));
        if (type != NULL && type->group < 32 &&
            (victim == NULL || victim->shown_count == 0 || shown_has_record(victim, person))) {
            groups |= UINT32_C(1) << type->group;
        }
    }
    return groups & ~UINT32_C(1);
}

/* What counts and nothing else: country, window, groups of acts. Two offices that order the same erasure apart write the same
 * record, so that nobody counts twice: it is the heir of the person's record. */
static bool
write_stub(struct call *call, const struct named *person, uint32_t actor, const struct stub *stub)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "count_stub");
    struct save_op ops[3 + 32];
    struct save save = { .compartment = person->compartment,
                         .create = true,
                         .heir_of = &person->record_id,
                         .heir_mark = stub->window,
                         .actor = actor,
                         .ops = ops };
    struct saved saved;
    size_t op = 0;

    ops[save.op_count++] = (struct save_op){ .code = OP_SET,
                                             .target = { .field = FIELD_KIND },
                                             .value = number_token(call, kind->number),
                                             .resolve = true };
    stub_value(call, &save, ops, kind->number, "country", stub->country);
    stub_value(call, &save, ops, kind->number, "reporting_window", stub->window);
    for (uint32_t group = 1; group < 32; group++) {
        if ((stub->groups >> group & 1) != 0) {
            stub_value(call, &save, ops, kind->number, "act_group", number_token(call, group));
        }
    }
    enum err err = call->arena.failed ? ERR_MEMORY : replica_save(call->replica, &save, &saved, &op);
    if (err != ERR_OK) {
        return fail_with(call, err);
    }
    const struct names_source source = { call->txn, call->codebook, call->roster };
    const struct named made = { .compartment = save.compartment, .record_id = saved.record_id };
    names_add(call_names(call), &source, &made);
    return true;
}

/* Does the case name the person as a victim, and not only as somebody near one? */
static bool
stub_is_victim(const struct call *call, const struct record_view *view, const struct ident *person)
{
    for (size_t n = 0; n < view->element_count; n++) {
        const struct record_element *element = &view->elements[n];

        if (shown_is_in(call->codebook, element, "victim") &&
            shown_has_record(shown_target(view, element, "victim.person"), person) &&
            strcmp(shown_code(call->codebook, shown_target(view, element, "victim.part")),
                   "associated_person") != 0) {
            return true;
        }
    }
    return false;
}

/* Add one case of the person to the stub of its window. One that is hidden, or cannot be read here, or that no figure
 * counts, adds nothing. */
static bool
stub_case(struct call *call, const struct named *person, const struct named *named, struct stub *stubs,
          size_t *count)
{
    struct record_view *view = NULL;
    enum err err = call_read_in_spite(call, named, &view);
    size_t at = 0;

    if (err == ERR_MEMORY || err == ERR_IO) {
        return fail_with(call, err);
    }
    if (err != ERR_OK || view->restricted || !stub_is_victim(call, view, &person->record_id) ||
        statistics_leaves_out(shown_code(call->codebook, shown_target(view, NULL, "status")))) {
        return true;
    }
    const struct record_target *shown = shown_target(view, NULL, "reporting_window");
    struct span window = shown != NULL && shown->shown_count > 0 ? shown->shown[0] : span_of(NULL, 0);
    struct span country = stub_country(call, view);
    while (at < *count && !span_equal(stubs[at].window, window)) {
        at++;
    }
    struct stub *stub = &stubs[at];
    if (at == *count) {
        *stub = (struct stub){ .window = window };
        ++*count;
    }
    if (country.size > 0 && (stub->country.size == 0 || span_compare(country, stub->country) < 0)) {
        stub->country = country;
    }
    stub->groups |= stub_groups(call, view, &person->record_id);
    return true;
}

/* A stub does not say what it counts, so it is written of individuals alone; and of those who said that they may be counted. */
static bool
leaves_stub(const struct call *call, const struct party *party)
{
    return party->known && party->consent.decisions[CONSENT_COUNT_ONLY] == CONSENT_GRANTED &&
           strcmp(shown_code(call->codebook, shown_target(party->view, NULL, "counting_unit")),
                  "individual") == 0;
}

bool
call_write_stubs(struct call *call, const struct named *person, uint32_t actor, size_t *written_out,
                 size_t *lost_out)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "case");
    const struct codebook_field *field =
        kind == NULL ? NULL : codebook_field_by_name(call->codebook, kind->number, "victim.person");
    bool known = field != NULL && codebook_kind_by_name(call->codebook, "count_stub") != NULL;
    struct edtf_day today = today_of(call);
    struct buf found = { 0 };
    struct party party;
    size_t count = 0;

    *written_out = 0;
    *lost_out = 0;
    if (!read_party(call, &person->record_id, &today, &party)) {
        return false;
    }
    if (!known || !leaves_stub(call, &party)) {
        return true;
    }
    /* A case that was saved in this very turn counts too. */
    enum err err = replica_bring_up_to_date(call->replica);
    if (err != ERR_OK) {
        return fail_with(call, err);
    }
    const struct index_term terms[] = { { FIELD_KIND, number_token(call, kind->number) },
                                        { field->number, record_token(call, &person->record_id) } };
    bool good = call_gather(call, terms, 2, &found);
    size_t case_count = found.size / sizeof(struct named);
    struct stub *stubs = arena_take_array(&call->arena, case_count + 1, sizeof *stubs);
    if (good && stubs == NULL) {
        good = fail_with(call, ERR_MEMORY);
    }
    for (size_t n = 0; good && n < case_count; n++) {
        const struct named named = named_at(&found, n);

        good = stub_case(call, person, &named, stubs, &count);
    }
    buf_free(&found);
    if (good && replica_turn_is_narrow(call->replica)) {
        *lost_out = count;
        return true;
    }
    for (size_t n = 0; good && n < count; n++) {
        good = write_stub(call, person, actor, &stubs[n]);
        *written_out += good;
    }
    return good;
}
