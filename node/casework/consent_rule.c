#include "node/casework/consent_rule.h"

#include "store/base/cbor.h"

#include <stdio.h>
#include <string.h>

/* --- the tables --- */

enum {
    SPECIAL_PROCEDURES = CONSENT_BIT(CONSENT_SHARE_WITH_SPECIAL_PROCEDURES),
    TREATY_BODY = CONSENT_BIT(CONSENT_SHARE_WITH_TREATY_BODY),
    UNCT_OR_MISSION = CONSENT_BIT(CONSENT_SHARE_WITH_UNCT_OR_MISSION),
    GOVERNMENT = CONSENT_BIT(CONSENT_RAISE_WITH_GOVERNMENT),
    MEDIA = CONSENT_BIT(CONSENT_MEDIA),
    NAMED = CONSENT_BIT(CONSENT_PUBLISH_NAMED),
    ANONYMISED = CONSENT_BIT(CONSENT_PUBLISH_ANONYMISED),
};

struct rule {
    const char *value; /* of the status, or of the action */
    uint32_t all;
    uint32_t any;
    bool publishes;
    bool unseen;
};

static const struct rule step_rules[] = {
    { "shared_with_hq", CONSENT_BIT(CONSENT_SHARE_WITH_HQ), 0, false, false },
    /* What comes of it may be a number alone. */
    { "proposed_for_report", CONSENT_BIT(CONSENT_COUNT_ONLY), 0, true, false },
    { "included_named", NAMED, 0, true, false },
    { "included_anonymised", ANONYMISED, 0, true, true },
    { "counted_only", CONSENT_BIT(CONSENT_COUNT_ONLY), 0, true, false },
};

/* Letters of allegation and urgent appeals are those of special procedures; what a treaty body or the Working Group decides goes to
 * the State. A prison is entered, and a trial watched, with the knowledge of the authorities. To whom a case is referred is not
 * coded: one of those whom it may be shared with. What is "other" reaches nobody that is known. */
static const struct rule action_rules[] = {
    { "allegation_letter", SPECIAL_PROCEDURES | GOVERNMENT, 0, false, false },
    { "urgent_appeal", SPECIAL_PROCEDURES | GOVERNMENT, 0, false, false },
    { "other_communication", GOVERNMENT, 0, false, false },
    { "public_statement", MEDIA, 0, true, false },
    { "press_release", MEDIA, 0, true, false },
    { "meeting_with_authorities", GOVERNMENT, 0, false, false },
    { "note_verbale", GOVERNMENT, 0, false, false },
    { "letter_from_council_president", GOVERNMENT, 0, false, false },
    { "treaty_body_letter", TREATY_BODY | GOVERNMENT, 0, false, false },
    { "interim_measures", TREATY_BODY | GOVERNMENT, 0, false, false },
    { "opinion_wgad", SPECIAL_PROCEDURES | GOVERNMENT, 0, false, false },
    { "trial_observation", UNCT_OR_MISSION | GOVERNMENT, 0, false, false },
    { "prison_visit", UNCT_OR_MISSION | GOVERNMENT, 0, false, false },
    { "protection_support", UNCT_OR_MISSION, 0, false, false },
    { "relocation_support", UNCT_OR_MISSION, 0, false, false },
    { "referral", 0, SPECIAL_PROCEDURES | TREATY_BODY | UNCT_OR_MISSION, false, false },
    { "included_in_sg_report", ANONYMISED, 0, true, false },
    { "quiet_diplomacy", GOVERNMENT, 0, false, false },
};

static const struct rule *
find_rule(const struct rule *rules, size_t count, const char *value)
{
    for (size_t n = 0; n < count; n++) {
        if (strcmp(rules[n].value, value) == 0) {
            return &rules[n];
        }
    }
    return NULL;
}

/* --- reading a save --- */

static uint32_t
code_of(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    uint64_t code = cbor_peek(&in) == CBOR_UINT ? cbor_read_uint(&in) : 0;

    return code <= UINT32_MAX ? (uint32_t)code : 0;
}

/* The bytes of a record's or an element's name, of exactly `size`. False: it is none. */
static bool
bytes_of(struct span cbor, void *out, size_t size)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (cbor_peek(&in) != CBOR_BYTES) {
        return false;
    }
    cbor_read_exact(&in, out, size);
    return cbor_done(&in);
}

static const struct codebook_field *
field_of(const struct workflow_save *save, const char *name)
{
    return codebook_field_by_name(save->codebook, save->kind, name);
}

static const char *
value_name(const struct workflow_save *save, const struct codebook_field *field, uint32_t code)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(save->codebook, field->vocabulary);
    const struct codebook_value *value = vocabulary == NULL ? NULL : codebook_value(vocabulary, code);

    return value == NULL ? "unknown here" : value->name;
}

/* Half 0 or 1 of the record as it is; NULL: there is none. */
static const struct record_view *
half_of(const struct workflow_save *save, int half)
{
    return half == 0 ? save->view->open : save->view->protected_half;
}

static bool
same_element(const struct target *a, const struct target *b)
{
    return a->collection == b->collection && memcmp(a->element, b->element, ELEMENT_ID_BYTES) == 0;
}

/* True if the save does this to the element. */
static bool
does(const struct workflow_save *save, enum op_code code, const struct target *element)
{
    for (size_t n = 0; n < save->op_count; n++) {
        if (save->ops[n].code == (uint32_t)code && same_element(&save->ops[n].target, element)) {
            return true;
        }
    }
    return false;
}

/* True if the save gives the target a value, null too. */
static bool
sets(const struct workflow_save *save, const struct target *target)
{
    for (size_t n = 0; n < save->op_count; n++) {
        if (save->ops[n].code == OP_SET && target_compare(&save->ops[n].target, target) == 0) {
            return true;
        }
    }
    return false;
}

static bool
holds_already(const struct workflow_save *save, const struct save_op *op)
{
    for (int half = 0; half < 2; half++) {
        const struct record_view *view = half_of(save, half);

        for (size_t n = 0; view != NULL && n < view->target_count; n++) {
            const struct record_target *at = &view->targets[n];

            for (size_t v = 0; target_compare(&at->target, &op->target) == 0 && v < at->value_count; v++) {
                if (span_equal(at->values[v].value, op->value)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* --- needs --- */

static void
need_of_step(const struct workflow_save *save, struct consent_need *needs, size_t *count)
{
    const struct codebook_field *stage = codebook_stage_field(save->codebook, save->kind);
    uint32_t to = 0;

    if (stage == NULL || !workflow_step(save, &to)) {
        return;
    }
    const char *name = value_name(save, stage, to);
    const struct rule *rule = find_rule(step_rules, sizeof step_rules / sizeof step_rules[0], name);
    if (rule != NULL) {
        needs[*count] = (struct consent_need){ .what = name,
                                               .all = rule->all,
                                               .any = rule->any,
                                               .unseen = rule->unseen,
                                               .step = to,
                                               .publishes = rule->publishes };
        ++*count;
    }
}

static void
need_of_action(const struct workflow_save *save, const struct codebook_field *field, const struct save_op *op,
               struct consent_need *needs, size_t *count)
{
    const char *name = value_name(save, field, code_of(op->value));
    const struct rule *rule = find_rule(action_rules, sizeof action_rules / sizeof action_rules[0], name);

    if (rule == NULL || holds_already(save, op)) {
        return;
    }
    struct consent_need *need = &needs[*count];
    *need = (struct consent_need){
        .what = name, .all = rule->all, .any = rule->any, .unseen = rule->unseen, .publishes = rule->publishes
    };
    memcpy(need->element, op->target.element, ELEMENT_ID_BYTES);
    ++*count;
}

enum err
consent_needs(const struct workflow_save *save, struct arena *arena, const struct consent_need **needs_out,
              size_t *count_out)
{
    const struct codebook_field *const fields[2] = { field_of(save, "action.by_un"),
                                                     field_of(save, "action.by_un_confidential") };
    struct consent_need *needs = arena_take_array(arena, save->op_count + 1, sizeof *needs);

    *needs_out = needs;
    *count_out = 0;
    if (needs == NULL) {
        return ERR_MEMORY;
    }
    need_of_step(save, needs, count_out);
    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];

        for (int field = 0; field < 2; field++) {
            if (op->code == OP_SET && fields[field] != NULL && op->target.field == fields[field]->number) {
                need_of_action(save, fields[field], op, needs, count_out);
            }
        }
    }
    return ERR_OK;
}

uint32_t
consent_missing(const struct consent_need *need, const struct consent *consent, uint64_t no_harm_hlc,
                bool *seen_out)
{
    uint32_t granted = 0;

    for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
        if (consent_governing(consent, (enum consent_scope)scope) == CONSENT_GRANTED) {
            granted |= CONSENT_BIT(scope);
        }
    }
    *seen_out = need->unseen && consent->concern && no_harm_hlc <= consent->concern_hlc;
    return (need->all & ~granted) | ((need->any & granted) == 0 ? need->any : 0);
}

/* --- overrides --- */

/* What its ops say of one override. */
static void
read_override(const struct workflow_save *save, const struct target *element, struct arena *arena,
              struct consent_override *out)
{
    const struct codebook_field *person = field_of(save, "consent_override.person");
    const struct codebook_field *scope = field_of(save, "consent_override.scope");
    const struct codebook_field *reason = field_of(save, "consent_override.reason");
    const struct codebook_field *action = field_of(save, "consent_override.action");
    bool has_person = false;

    *out = (struct consent_override){ .reason = "" };
    if (person == NULL || scope == NULL || reason == NULL || action == NULL) {
        return;
    }
    for (size_t n = 0; n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];
        uint32_t field = op->target.field;

        if (op->code != OP_SET || !same_element(&op->target, element)) {
            continue;
        }
        if (field == person->number) {
            has_person = bytes_of(op->value, out->person.bytes, IDENT_BYTES);
        } else if (field == scope->number) {
            uint32_t code = code_of(op->value);

            out->scopes |= code >= 1 && code <= CONSENT_SCOPES ? CONSENT_BIT(code) : 0;
        } else if (field == action->number) {
            out->has_action = bytes_of(op->value, out->action, ELEMENT_ID_BYTES);
        } else if (field == reason->number) {
            struct cbor_reader in = cbor_reader_of(op->value);
            struct span text = cbor_peek(&in) == CBOR_TEXT ? cbor_read_text(&in) : span_of(NULL, 0);
            char *copy = arena_take(arena, text.size + 1);

            if (copy != NULL) {
                memcpy(copy, text.size == 0 ? "" : (const char *)text.data, text.size);
                copy[text.size] = '\0';
                out->reason = copy;
            }
        }
    }
    out->whole = has_person && out->scopes != 0 && out->reason[strspn(out->reason, " \t\r\n")] != '\0';
}

/* The scopes that may be overridden with this override: those of actions that do not publish. */
static uint32_t
open_scopes(const struct consent_need *needs, size_t need_count, const struct consent_override *override)
{
    uint32_t scopes = 0;

    for (size_t n = 0; n < need_count; n++) {
        if (!needs[n].publishes && needs[n].step == 0 &&
            (!override->has_action || memcmp(needs[n].element, override->action, ELEMENT_ID_BYTES) == 0)) {
            scopes |= needs[n].all | needs[n].any;
        }
    }
    return scopes;
}

bool
consent_may_override(const struct workflow_save *save, const struct consent_need *needs, size_t need_count,
                     const struct consent_override *override, struct workflow_fault *fault)
{
    const char *what = NULL;
    const char *hint = "";

    *fault = (struct workflow_fault){ .what = "" };
    if (!override->whole) {
        what = "an override needs person, scope and reason";
        hint = "add consent_override.person=NUMBER consent_override.scope=SCOPE consent_override.reason=...";
    } else if ((save->person.roles & (ROLE_REVIEW | ROLE_HEADQUARTERS)) == 0) {
        what = "who has neither the role review nor headquarters overrides no consent";
        hint = "ask somebody whose certificate and actor have the role review or headquarters";
    } else if ((override->scopes & ~open_scopes(needs, need_count, override)) != 0) {
        what = "consent is overridden for an action of the same save that saves a life and needs that scope, "
               "never for "
               "a step and never to publish";
        hint = "add the action and the override in one save, and name no scope that the action does not need";
    }
    if (what != NULL) {
        (void)snprintf(fault->what, sizeof fault->what, "%s", what);
        (void)snprintf(fault->hint, sizeof fault->hint, "%s", hint);
    }
    return what == NULL;
}

enum err
consent_overrides(const struct workflow_save *save, struct arena *arena,
                  const struct consent_override **overrides_out, size_t *count_out)
{
    const struct codebook_collection *collection =
        codebook_collection_by_name(save->codebook, save->kind, "consent_override");
    struct consent_override *overrides = arena_take_array(arena, save->op_count + 1, sizeof *overrides);

    *overrides_out = overrides;
    *count_out = 0;
    for (size_t n = 0; overrides != NULL && collection != NULL && n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];

        if (op->code == OP_ADD && op->target.collection == collection->number) {
            read_override(save, &op->target, arena, &overrides[*count_out]);
            ++*count_out;
        }
    }
    return arena->failed ? ERR_MEMORY : ERR_OK;
}

uint32_t
consent_overridden(const struct consent_need *need, const struct consent_override *overrides, size_t count,
                   const struct ident *person)
{
    uint32_t scopes = 0;

    for (size_t n = 0; n < count && !need->publishes && need->step == 0; n++) {
        if (ident_equal(&overrides[n].person, person) &&
            (!overrides[n].has_action || memcmp(overrides[n].action, need->element, ELEMENT_ID_BYTES) == 0)) {
            scopes |= overrides[n].scopes & (need->all | need->any);
        }
    }
    return scopes;
}

/* --- persons --- */

struct persons {
    struct ident *ids;
    size_t count;
};

static void
add_person(struct persons *persons, struct span cbor)
{
    struct ident id;

    if (!bytes_of(cbor, id.bytes, IDENT_BYTES)) {
        return;
    }
    for (size_t n = 0; n < persons->count; n++) {
        if (ident_equal(&persons->ids[n], &id)) {
            return;
        }
    }
    persons->ids[persons->count] = id;
    persons->count++;
}

/* True if this save takes what stands at the target away: with its element, or by another value. */
static bool
is_taken_away(const struct workflow_save *save, const struct record_target *at)
{
    return does(save, OP_REMOVE, &at->target) ||
           (at->field != NULL && at->field->policy != MERGE_UNION && sets(save, &at->target));
}

enum err
consent_persons(const struct workflow_save *save, struct arena *arena, const struct ident **persons_out,
                size_t *count_out)
{
    const struct codebook_field *const fields[2] = { field_of(save, "victim.person"),
                                                     field_of(save, "act.victim") };
    struct persons persons = { .count = 0 };
    size_t room = save->op_count + 1;

    for (int half = 0; half < 2; half++) {
        const struct record_view *view = half_of(save, half);

        for (size_t n = 0; view != NULL && n < view->target_count; n++) {
            room += view->targets[n].value_count;
        }
    }
    persons.ids = arena_take_array(arena, room, sizeof *persons.ids);
    *persons_out = persons.ids;
    *count_out = 0;
    if (persons.ids == NULL) {
        return ERR_MEMORY;
    }
    for (int field = 0; field < 2; field++) {
        for (int half = 0; fields[field] != NULL && half < 2; half++) {
            const struct record_view *view = half_of(save, half);

            for (size_t n = 0; view != NULL && n < view->target_count; n++) {
                const struct record_target *at = &view->targets[n];

                if (at->target.field != fields[field]->number || is_taken_away(save, at)) {
                    continue;
                }
                for (size_t v = 0; v < at->value_count; v++) {
                    add_person(&persons, at->values[v].value);
                }
            }
        }
        for (size_t n = 0; fields[field] != NULL && n < save->op_count; n++) {
            if (save->ops[n].code == OP_SET && save->ops[n].target.field == fields[field]->number) {
                add_person(&persons, save->ops[n].value);
            }
        }
    }
    *count_out = persons.count;
    return ERR_OK;
}

/* --- what goes without saying --- */

struct completion {
    const struct workflow_save *save;
    struct arena *arena;
    struct save_op *ops;
    size_t room;
    size_t count;
    enum err err;
};

static void
complete_op(struct completion *to, enum op_code code, const struct target *target, const struct buf *cbor)
{
    if (to->err != ERR_OK) {
        return;
    }
    if (to->count == to->room) {
        to->err = ERR_FULL;
        return;
    }
    struct save_op *op = &to->ops[to->count];
    *op = (struct save_op){ .code = code, .target = *target };
    if (cbor != NULL) {
        op->value = arena_copy_buf(to->arena, cbor);
        to->err = cbor->failed || to->arena->failed ? ERR_MEMORY : ERR_OK;
    }
    to->count++;
}

static void
complete_element(struct completion *to, const struct target *element, const struct codebook_field *field,
                 const uint8_t named[ELEMENT_ID_BYTES])
{
    struct target target = *element;
    struct buf cbor = { 0 };

    target.field = field->number;
    cbor_put_bytes(&cbor, span_of(named, ELEMENT_ID_BYTES));
    complete_op(to, OP_SET, &target, &cbor);
    buf_free(&cbor);
}

/* The scopes that a statement will speak of, and whether it withdraws them. */
struct said {
    uint32_t scopes;
    bool withdraws;
};

static struct said
said_of(const struct workflow_save *save, const struct target *element, const struct consent *consent)
{
    const struct codebook_field *scope = field_of(save, "consent.scope");
    const struct codebook_field *decision = field_of(save, "consent.decision");
    struct said said = { 0 };

    for (size_t n = 0; n < consent->count; n++) {
        if (memcmp(consent->statements[n].element, element->element, ELEMENT_ID_BYTES) == 0) {
            said.scopes = consent->statements[n].scopes;
            said.withdraws = consent->statements[n].decision == CONSENT_WITHDRAWN;
        }
    }
    for (size_t n = 0; n < save->op_count && scope != NULL && decision != NULL; n++) {
        const struct save_op *op = &save->ops[n];
        uint32_t code = code_of(op->value);

        if (op->code != OP_SET || !same_element(&op->target, element)) {
            continue;
        }
        if (op->target.field == scope->number && code >= 1 && code <= CONSENT_SCOPES) {
            said.scopes |= CONSENT_BIT(code);
        } else if (op->target.field == decision->number) {
            said.withdraws = said.withdraws || code == CONSENT_WITHDRAWN;
        }
    }
    return said;
}

/* The officer saw what governs now: this takes its place. */
static void
complete_replaces(struct completion *to, const struct target *element, uint32_t scopes,
                  const struct consent *consent)
{
    const struct codebook_field *field = field_of(to->save, "consent.replaces");
    struct target target = *element;

    target.field = field == NULL ? 0 : field->number;
    for (size_t n = 0; field != NULL && !sets(to->save, &target) && n < consent->count; n++) {
        if ((consent->statements[n].stands & scopes) != 0) {
            complete_element(to, element, field, consent->statements[n].element);
        }
    }
}

/* Withdrawn, the record is hidden everywhere at once. */
static void
complete_restriction(struct completion *to, const uint8_t element[ELEMENT_ID_BYTES])
{
    const struct codebook_field *field = field_of(to->save, "restriction.reason");
    const struct codebook_vocabulary *reasons =
        field == NULL ? NULL : codebook_vocabulary(to->save->codebook, field->vocabulary);
    const struct codebook_value *reason =
        reasons == NULL ? NULL : codebook_value_by_name(reasons, "consent_withdrawn");
    struct target target = { .collection = COLLECTION_RESTRICTION };
    struct buf cbor = { 0 };

    memcpy(target.element, element, ELEMENT_ID_BYTES);
    complete_op(to, OP_ADD, &target, NULL);
    if (reason != NULL) {
        target.field = field->number;
        cbor_put_uint(&cbor, reason->number);
        complete_op(to, OP_SET, &target, &cbor);
        buf_free(&cbor);
    }
}

static enum err
complete_statements(struct completion *to, const struct edtf_day *today,
                    const uint8_t restriction[ELEMENT_ID_BYTES], bool *withdraws_out)
{
    const struct workflow_save *save = to->save;
    const struct codebook_collection *collection =
        codebook_collection_by_name(save->codebook, save->kind, "consent");
    struct consent consent;
    bool hidden = false;

    if (collection == NULL) {
        return ERR_OK;
    }
    enum err err = consent_read(save->codebook, save->view->open, today, to->arena, &consent);
    for (size_t n = 0; n < save->op_count && err == ERR_OK; n++) {
        const struct target *target = &save->ops[n].target;

        if (target->collection != collection->number || save->ops[n].code == OP_REMOVE) {
            continue;
        }
        struct said said = said_of(save, target, &consent);
        if (save->ops[n].code == OP_ADD) {
            complete_replaces(to, target, said.scopes, &consent);
        }
        *withdraws_out = *withdraws_out || said.withdraws;
        hidden = hidden || (said.withdraws && (said.scopes & CONSENT_BIT(CONSENT_RECORD_IN_SYSTEM)) != 0);
    }
    if (err == ERR_OK && hidden) {
        complete_restriction(to, restriction);
    }
    return err == ERR_OK ? to->err : err;
}

static enum err
complete_overrides(struct completion *to)
{
    const struct workflow_save *save = to->save;
    const struct codebook_collection *collection =
        codebook_collection_by_name(save->codebook, save->kind, "consent_override");
    const struct codebook_field *field = field_of(save, "consent_override.action");
    const struct consent_need *needs = NULL;
    size_t count = 0;

    if (collection == NULL || field == NULL) {
        return ERR_OK;
    }
    enum err err = consent_needs(save, to->arena, &needs, &count);
    const struct consent_need *only = NULL;
    size_t open = 0;
    for (size_t n = 0; n < count; n++) {
        if (needs[n].step == 0 && !needs[n].publishes) {
            only = &needs[n];
            open++;
        }
    }
    for (size_t n = 0; n < save->op_count && err == ERR_OK && open == 1; n++) {
        struct target target = save->ops[n].target;

        if (save->ops[n].code == OP_ADD && target.collection == collection->number) {
            struct target named = target;

            named.field = field->number;
            if (!sets(save, &named)) {
                complete_element(to, &target, field, only->element);
            }
        }
    }
    return err == ERR_OK ? to->err : err;
}

enum err
consent_complete(const struct workflow_save *save, const struct edtf_day *today,
                 const uint8_t restriction[ELEMENT_ID_BYTES], struct arena *arena, struct save_op *ops,
                 size_t room, size_t *count_inout, bool *withdraws_out)
{
    struct completion to = {
        .save = save, .arena = arena, .ops = ops, .room = room, .count = *count_inout, .err = ERR_OK
    };

    *withdraws_out = false;
    enum err err = complete_statements(&to, today, restriction, withdraws_out);
    if (err == ERR_OK) {
        err = complete_overrides(&to);
    }
    *count_inout = to.count;
    return err;
}
