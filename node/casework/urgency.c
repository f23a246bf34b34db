#include "node/casework/urgency.h"

#include "node/value.h"
#include "store/base/cbor.h"

#include <stdio.h>
#include <string.h>

enum {
    DAY_MS = 24 * 60 * 60 * 1000,
    HEARING_DAYS = 14,
    PAST_DAYS = 365, /* longer ago than a reporting window is long: the report of its time is written */
};

/* --- the table --- */

#define TO_LIFE "attempted_killing death_threat"
#define TAKEN "enforced_disappearance abduction"
#define TORTURE "torture_ill_treatment sexual_violence incommunicado_or_solitary"
#define HELD "arbitrary_arrest detention incommunicado_or_solitary house_arrest prison_sentence"
#define CONFINED "travel_ban passport_confiscation denial_of_visa_or_entry"
#define WATCHED                                                                                              \
    "physical_surveillance online_surveillance_or_spyware hacking_or_cyberattack "                           \
    "online_harassment_or_doxxing"
#define HARM TO_LIFE " " TAKEN " " TORTURE " " HELD " killing physical_assault " THREAT
#define THREAT "threat_other threat_or_harm_to_relatives"
#define WORK "dismissal_or_loss_of_licence disbarment"
#define LEGISLATION "restrictive_legislation sanctions_on_mandate_holders self_censorship_observed"

/* A stage that is not said may be any: a first report asks for more and not for less. */
#define STILL "- threatened attempted ongoing"
#define NOT_ENDED "- threatened attempted carried_out ongoing"

static const struct urgency_rule rules[] = {
    { URGENCY_EMERGENCY, "killing", STILL, NULL, WHEN_RECENT, "somebody's life is at risk" },
    { URGENCY_EMERGENCY, TO_LIFE, NOT_ENDED, NULL, WHEN_RECENT, "somebody's life is at risk" },
    { URGENCY_EMERGENCY, TAKEN, "- carried_out ongoing", NULL, 0, "somebody disappeared or was abducted" },
    { URGENCY_EMERGENCY, TAKEN, "threatened attempted", NULL, WHEN_RECENT,
      "somebody may be made to disappear" },
    { URGENCY_EMERGENCY, "*", "- carried_out ongoing", NULL, WHEN_OUT_OF_REACH,
      "nobody is told where somebody is held" },
    { URGENCY_EMERGENCY, NULL, NULL, "missing", 0, "somebody is missing" },
    { URGENCY_EMERGENCY, TORTURE, STILL, NULL, WHEN_RECENT, "somebody may be tortured" },
    { URGENCY_EMERGENCY, HELD, "- ongoing", NULL, WHEN_RECENT | WHEN_NO_CONTACT,
      "somebody is held without contact" },
    { URGENCY_EMERGENCY, "deportation_or_extradition", STILL, NULL, WHEN_RECENT,
      "somebody may be deported or extradited" },
    { URGENCY_EMERGENCY, NULL, NULL, "at_risk in_hiding detained missing", WHEN_CHILD, "a child is at risk" },
    { URGENCY_EMERGENCY, HARM, STILL, "*", WHEN_RECENT | WHEN_CHILD, "a child is at risk" },
    { URGENCY_EMERGENCY, NULL, NULL, NULL, WHEN_EXPOSED,
      "an identity leaked, or a device with data was seized" },

    { URGENCY_URGENT, HELD, "- ongoing", NULL, WHEN_RECENT, "detention goes on" },
    { URGENCY_URGENT, NULL, NULL, "detained", 0, "somebody is detained" },
    { URGENCY_URGENT, "*", NOT_ENDED, NULL, WHEN_HEARING, "a hearing is due within 14 days" },
    { URGENCY_URGENT, CONFINED, NOT_ENDED, NULL, WHEN_MEETING,
      "somebody is kept from travelling before a meeting with the UN" },
    { URGENCY_URGENT, WATCHED, "- ongoing", NULL, WHEN_RECENT, "surveillance or doxxing goes on" },
    { URGENCY_URGENT, "*", NOT_ENDED, NULL, WHEN_IN_SESSION, "it happens at a UN meeting in session" },

    { URGENCY_PRIORITY, TO_LIFE " " THREAT, NULL, NULL, WHEN_RECENT, "somebody was threatened" },
    { URGENCY_PRIORITY, "*", "threatened attempted", NULL, WHEN_RECENT | WHEN_OF_PERSONS,
      "it was threatened or attempted" },
    { URGENCY_PRIORITY, WORK, NULL, NULL, WHEN_RECENT, "somebody lost work or a licence" },
    { URGENCY_PRIORITY, HELD, "carried_out ended", NULL, WHEN_RECENT, "somebody was detained" },
    { URGENCY_PRIORITY, NULL, NULL, "at_risk in_hiding", 0, "somebody is at risk or in hiding" },
    { URGENCY_PRIORITY, NULL, NULL, NULL, WHEN_NEW_HARM, "a follow-up tells of new harm" },
    { URGENCY_PRIORITY, "*", NULL, NULL, WHEN_RECENT | WHEN_OF_PERSONS, "it happened within a year" },

    { URGENCY_ROUTINE, LEGISLATION, NULL, NULL, 0, "it is about legislation or its effects" },
    { URGENCY_ROUTINE, NULL, NULL, NULL, WHEN_PATTERN, "it is about a pattern or about legislation" },
    { URGENCY_ROUTINE, "*", NULL, NULL, WHEN_PAST, "it is more than a year ago" },
};

const struct urgency_rule *
urgency_rules(size_t *count_out)
{
    *count_out = sizeof rules / sizeof rules[0];
    return rules;
}

static const char *const names[] = { "", "emergency", "urgent", "priority", "routine" };
static const char *const shorts[] = { "", "U1", "U2", "U3", "U4" };

const char *
urgency_name(enum urgency urgency)
{
    return names[urgency];
}

const char *
urgency_short(enum urgency urgency)
{
    return shorts[urgency];
}

bool
urgency_is_above(enum urgency a, enum urgency b)
{
    return a != URGENCY_NONE && (b == URGENCY_NONE || a < b);
}

static bool
is_pressing(enum urgency urgency)
{
    return urgency == URGENCY_EMERGENCY || urgency == URGENCY_URGENT;
}

/* --- dates --- */

/* Some day of `edtf` may be `first` or later, and `last` or earlier. */
static bool
touches(const struct edtf *edtf, const char *first, const char *last)
{
    struct edtf_day from;
    struct edtf_day to;

    return (!edtf_latest(edtf, &to) || strcmp(to.text, first) >= 0) &&
           (!edtf_earliest(edtf, &from) || strcmp(from.text, last) <= 0);
}

struct today {
    struct edtf_day day;
    struct edtf_day hearing; /* the last day of those that are near */
    struct edtf_day past;    /* what is over before this is long past */
};

static const char last_day[] = "9999-12-31";

/* --- judging --- */

/* Is `name` among the words of `list`? NULL is called "-", and "*" is any. */
static bool
is_among(const char *list, const char *name)
{
    const char *wanted = name == NULL ? "-" : name;
    size_t size = strlen(wanted);

    if (strcmp(list, "*") == 0) {
        return true;
    }
    for (const char *at = list; *at != '\0';) {
        size_t word = strcspn(at, " ");

        if (word == size && memcmp(at, wanted, size) == 0) {
            return true;
        }
        at += word + strspn(at + word, " ");
    }
    return false;
}

static bool
is_stage(const struct urgency_act *act, const char *stage)
{
    return act->stage != NULL && strcmp(act->stage, stage) == 0;
}

static bool
is_recent(const struct urgency_act *act, const struct today *today)
{
    const struct edtf *end = act->has_to ? &act->to : act->has_from ? &act->from : NULL;

    return is_stage(act, "ongoing") || end == NULL || touches(end, today->past.text, last_day);
}

static bool
is_in_session(const struct urgency_act *act, const struct today *today)
{
    const struct edtf *begin = act->has_from ? &act->from : act->has_to ? &act->to : NULL;
    const struct edtf *end = act->has_to ? &act->to : begin;

    return act->at_un_event &&
           (is_stage(act, "ongoing") || (begin != NULL && touches(begin, "0000-01-01", today->day.text) &&
                                         touches(end, today->day.text, last_day)));
}

static bool
has_meeting(const struct urgency_facts *facts, const struct today *today)
{
    for (size_t n = 0; n < facts->meeting_count; n++) {
        if (touches(&facts->meetings[n], today->day.text, last_day)) {
            return true;
        }
    }
    return false;
}

static bool
is_pattern(const struct urgency_facts *facts)
{
    return facts->kind != NULL && is_among("pattern_or_trend legislation", facts->kind);
}

static bool
concerns(const struct urgency_act *act, const struct urgency_person *person)
{
    bool named = act->victim_count == 0;

    for (size_t n = 0; n < act->victim_count; n++) {
        named = named || ident_equal(&act->victims[n], &person->record_id);
    }
    return named;
}

static bool
is_out_of_reach(const struct urgency_act *act)
{
    return act->whereabouts != NULL && is_among("unknown authorities_refuse_to_say", act->whereabouts);
}

/* `act` and `person` may be NULL: the rule is about none. */
static bool
holds(const struct urgency_rule *rule, const struct urgency_facts *facts, const struct urgency_act *act,
      const struct urgency_person *person, const struct today *today)
{
    unsigned is = 0;

    if ((act != NULL && (act->type == NULL || !is_among(rule->acts, act->type) ||
                         (rule->stages != NULL && !is_among(rule->stages, act->stage)))) ||
        (person != NULL && !is_among(rule->situations, person->situation)) ||
        (act != NULL && person != NULL && !concerns(act, person))) {
        return false;
    }
    if (act != NULL) {
        is |= is_recent(act, today) ? WHEN_RECENT : WHEN_PAST;
        is |= is_out_of_reach(act) ? WHEN_OUT_OF_REACH : 0;
        is |= act->contact != NULL && strcmp(act->contact, "no_contact") == 0 ? WHEN_NO_CONTACT : 0;
        is |= act->has_hearing && touches(&act->hearing, today->day.text, today->hearing.text) ? WHEN_HEARING
                                                                                               : 0;
        is |= is_in_session(act, today) ? WHEN_IN_SESSION : 0;
        is |= !is_among(LEGISLATION, act->type) && !is_pattern(facts) ? WHEN_OF_PERSONS : 0;
    }
    is |= person != NULL && person->child ? WHEN_CHILD : 0;
    is |= has_meeting(facts, today) ? WHEN_MEETING : 0;
    is |= is_pattern(facts) ? WHEN_PATTERN : 0;
    is |= facts->exposed ? WHEN_EXPOSED : 0;
    is |= facts->new_harm ? WHEN_NEW_HARM : 0;
    return (rule->when & ~is) == 0;
}

/* Is there an act, a person, or an act against a person, that the rule is about? */
static bool
applies(const struct urgency_rule *rule, const struct urgency_facts *facts, const struct today *today)
{
    size_t acts = rule->acts == NULL ? 1 : facts->act_count;
    size_t persons = rule->situations == NULL ? 1 : facts->person_count;

    for (size_t a = 0; a < acts; a++) {
        for (size_t p = 0; p < persons; p++) {
            if (holds(rule, facts, rule->acts == NULL ? NULL : &facts->acts[a],
                      rule->situations == NULL ? NULL : &facts->persons[p], today)) {
                return true;
            }
        }
    }
    return false;
}

static void
add_reason(struct urgency_verdict *verdict, const char *reason)
{
    for (size_t n = 0; n < verdict->reason_count; n++) {
        if (strcmp(verdict->reasons[n], reason) == 0) {
            return;
        }
    }
    if (verdict->reason_count < URGENCY_REASONS_MAX) {
        verdict->reasons[verdict->reason_count] = reason;
        verdict->reason_count++;
    }
}

struct urgency_verdict
urgency_judge(const struct urgency_facts *facts, uint64_t today_ms)
{
    struct urgency_verdict verdict = { .asks = URGENCY_NONE };
    const struct today today = {
        .day = edtf_day_of(today_ms),
        .hearing = edtf_day_of(today_ms + (uint64_t)HEARING_DAYS * DAY_MS),
        .past = edtf_day_of(
            today_ms - (today_ms > (uint64_t)PAST_DAYS * DAY_MS ? (uint64_t)PAST_DAYS * DAY_MS : today_ms)),
    };

    for (size_t n = 0; n < sizeof rules / sizeof rules[0]; n++) {
        if ((verdict.asks == URGENCY_NONE || rules[n].asks == verdict.asks) &&
            applies(&rules[n], facts, &today)) {
            verdict.asks = rules[n].asks;
            add_reason(&verdict, rules[n].reason);
        }
    }
    return verdict;
}

/* --- reading --- */

static uint32_t
code_of(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    uint64_t code = cbor_peek(&in) == CBOR_UINT ? cbor_read_uint(&in) : 0;

    return code <= UINT32_MAX ? (uint32_t)code : 0;
}

/* The name of a code; NULL: it is none that is known here. */
static const char *
name_of(const struct codebook *codebook, const struct codebook_field *field, struct span cbor)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);
    const struct codebook_value *value =
        vocabulary == NULL ? NULL : codebook_value(vocabulary, code_of(cbor));

    return value == NULL ? NULL : value->name;
}

static bool
read_date(struct span cbor, struct edtf *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span text = cbor_peek(&in) == CBOR_TEXT ? cbor_read_text(&in) : span_of(NULL, 0);

    return text.data != NULL && edtf_parse(out, text);
}

static bool
read_record(struct span cbor, struct ident *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span bytes = cbor_peek(&in) == CBOR_BYTES ? cbor_read_bytes(&in) : span_of(NULL, 0);

    if (bytes.data == NULL || bytes.size != IDENT_BYTES) {
        return false;
    }
    memcpy(out->bytes, bytes.data, IDENT_BYTES);
    return true;
}

static bool
is_field(const struct record_target *target, const char *name)
{
    return target->field != NULL && target->shown_count > 0 && strcmp(target->field->name, name) == 0;
}

/* One act, or one for each type that it may be of. */
static void
read_act(const struct codebook *codebook, const struct record_view *view,
         const struct record_element *element, struct arena *arena, struct urgency_act *acts, size_t *count)
{
    const struct record_target *types = NULL;
    struct urgency_act act = { .type = NULL };

    for (size_t n = element->first; n < element->first + element->count; n++) {
        const struct record_target *target = &view->targets[n];
        struct span first = target->shown_count > 0 ? target->shown[0] : span_of(NULL, 0);

        if (is_field(target, "act.type_of_act")) {
            types = target;
        } else if (is_field(target, "act.stage")) {
            act.stage = name_of(codebook, target->field, first);
        } else if (is_field(target, "act.detention_whereabouts")) {
            act.whereabouts = name_of(codebook, target->field, first);
        } else if (is_field(target, "act.detention_contact")) {
            act.contact = name_of(codebook, target->field, first);
        } else if (is_field(target, "act.at_un_premises_or_event")) {
            act.at_un_event = first.size == 1 && first.data[0] == 0xf5;
        } else if (is_field(target, "act.date_from")) {
            act.has_from = read_date(first, &act.from);
        } else if (is_field(target, "act.date_to")) {
            act.has_to = read_date(first, &act.to);
        } else if (is_field(target, "act.hearing")) {
            act.has_hearing = read_date(first, &act.hearing);
        } else if (is_field(target, "act.victim")) {
            struct ident *victims = arena_take_array(arena, target->shown_count, sizeof *victims);

            for (size_t v = 0; victims != NULL && v < target->shown_count; v++) {
                act.victim_count += read_record(target->shown[v], &victims[act.victim_count]);
            }
            act.victims = victims;
        }
    }
    for (size_t n = 0; types != NULL && n < types->shown_count; n++) {
        act.type = name_of(codebook, types->field, types->shown[n]);
        acts[*count] = act;
        ++*count;
    }
}

static bool
names_harm(const struct codebook *codebook, const struct record_target *target)
{
    for (size_t n = 0; n < target->shown_count; n++) {
        const char *name = name_of(codebook, target->field, target->shown[n]);

        if (name != NULL && is_among("further_reprisal new_charge conviction death", name)) {
            return true;
        }
    }
    return false;
}

/* How many values the fields of this name show. */
static size_t
count_shown(const struct record_view *view, const char *name)
{
    size_t count = 0;

    for (size_t n = 0; n < view->target_count; n++) {
        count += is_field(&view->targets[n], name) ? view->targets[n].shown_count : 0;
    }
    return count;
}

bool
urgency_read(const struct codebook *codebook, const struct record_view *open, struct arena *arena,
             struct urgency_facts *facts)
{
    *facts = (struct urgency_facts){ .kind = NULL };
    struct urgency_act *acts =
        arena_take_array(arena, count_shown(open, "act.type_of_act") + 1, sizeof *acts);
    struct urgency_person *persons =
        arena_take_array(arena, count_shown(open, "victim.person") + 1, sizeof *persons);
    struct edtf *meetings =
        arena_take_array(arena, count_shown(open, "cooperation.date") + 1, sizeof *meetings);

    if (arena->failed) {
        return false;
    }
    facts->acts = acts;
    facts->persons = persons;
    facts->meetings = meetings;
    for (size_t n = 0; n < open->element_count; n++) {
        read_act(codebook, open, &open->elements[n], arena, acts, &facts->act_count);
    }
    for (size_t n = 0; n < open->target_count; n++) {
        const struct record_target *target = &open->targets[n];

        if (is_field(target, "kind") && target->target.collection == 0) {
            facts->kind = name_of(codebook, target->field, target->shown[0]);
        } else if (is_field(target, "exposure")) {
            facts->exposed = true;
        } else if (is_field(target, "follow_up.new_development")) {
            facts->new_harm = facts->new_harm || names_harm(codebook, target);
        }
        for (size_t v = 0; v < target->shown_count; v++) {
            if (is_field(target, "victim.person")) {
                struct urgency_person person = { .situation = NULL };

                if (read_record(target->shown[v], &person.record_id)) {
                    persons[facts->person_count] = person;
                    facts->person_count++;
                }
            } else if (is_field(target, "cooperation.date")) {
                facts->meeting_count += read_date(target->shown[v], &meetings[facts->meeting_count]);
            }
        }
    }
    return !arena->failed;
}

void
urgency_read_person(const struct codebook *codebook, const struct record_summary *summary,
                    struct urgency_person *person)
{
    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        if (item->field == NULL || item->shown_count == 0) {
            continue;
        }
        const char *name = name_of(codebook, item->field, item->shown[0]);
        if (strcmp(item->field->name, "current_situation") == 0) {
            person->situation = name;
        } else if (strcmp(item->field->name, "age_group") == 0) {
            person->child = name != NULL && strcmp(name, "child_under_18") == 0;
        }
    }
}

/* --- what is set --- */

static enum urgency
urgency_of(struct span cbor)
{
    uint32_t code = code_of(cbor);

    return code <= URGENCY_ROUTINE ? (enum urgency)code : URGENCY_NONE;
}

static const struct record_target *
own_target(const struct record_view *open, const char *name)
{
    for (size_t n = 0; open != NULL && n < open->target_count; n++) {
        const struct record_target *target = &open->targets[n];

        if (target->field != NULL && target->target.collection == 0 &&
            strcmp(target->field->name, name) == 0) {
            return target;
        }
    }
    return NULL;
}

/* The most urgent of what is shown. */
static enum urgency
urgency_set(const struct record_view *open)
{
    const struct record_target *target = own_target(open, "urgency");
    enum urgency set = URGENCY_NONE;

    for (size_t n = 0; target != NULL && n < target->shown_count; n++) {
        enum urgency one = urgency_of(target->shown[n]);

        set = urgency_is_above(one, set) ? one : set;
    }
    return set;
}

static bool
is_acknowledged(const struct record_view *open, enum urgency set)
{
    for (size_t n = 0; n < open->target_count; n++) {
        const struct record_target *target = &open->targets[n];

        for (size_t v = 0; is_field(target, "acknowledgement.urgency") && v < target->shown_count; v++) {
            enum urgency one = urgency_of(target->shown[v]);

            if (one == set || urgency_is_above(one, set)) {
                return true;
            }
        }
    }
    return false;
}

/* The earliest claim among live values that are at least that urgent. */
static void
take_since(const struct record_target *target, enum urgency set, uint64_t *since_hlc)
{
    for (size_t n = 0; target != NULL && n < target->value_count; n++) {
        const struct live *live = &target->values[n];
        enum urgency one = live->value.data == NULL ? URGENCY_NONE : urgency_of(live->value);
        uint64_t hlc = live->entry->change.hlc;

        if ((one == set || urgency_is_above(one, set)) && (*since_hlc == 0 || hlc < *since_hlc)) {
            *since_hlc = hlc;
        }
    }
}

struct urgency_state
urgency_state(const struct record_view *open)
{
    struct urgency_state state = { .set = urgency_set(open) };
    const struct record_target *alert = own_target(open, "alert");

    if (state.set == URGENCY_NONE) {
        return state;
    }
    take_since(own_target(open, "urgency"), state.set, &state.since_hlc);
    take_since(alert, state.set, &state.since_hlc);
    state.waits = is_pressing(state.set) &&
                  ((alert != NULL && alert->shown_count > 0) || !is_acknowledged(open, state.set));
    return state;
}

/* --- saves --- */

/* What the save sets the urgency to; false: it does not touch it. */
static bool
read_set(const struct workflow_save *save, enum urgency *to_out)
{
    const struct codebook_field *field = codebook_field_by_name(save->codebook, save->kind, "urgency");
    bool sets = false;

    for (size_t n = 0; field != NULL && n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];

        if (op->code == OP_SET && op->target.collection == 0 && op->target.field == field->number) {
            *to_out = urgency_of(op->value);
            sets = true;
        }
    }
    return sets;
}

/* Does the save add a reason that says something? */
static bool
gives_reason(const struct workflow_save *save)
{
    const struct codebook_field *field =
        codebook_field_by_name(save->codebook, save->kind, "lowering.reason");

    for (size_t n = 0; field != NULL && n < save->op_count; n++) {
        const struct save_op *op = &save->ops[n];
        struct cbor_reader in = cbor_reader_of(op->value);

        if (op->code != OP_SET || op->target.field != field->number || cbor_peek(&in) != CBOR_TEXT) {
            continue;
        }
        struct span text = cbor_read_text(&in);
        for (size_t at = 0; at < text.size; at++) {
            if (text.data[at] > ' ') {
                return true;
            }
        }
    }
    return false;
}

bool
urgency_allows(const struct workflow_save *save, struct workflow_fault *fault_out)
{
    enum urgency before = urgency_set(save->view->open);
    enum urgency after = before;

    *fault_out = (struct workflow_fault){ .what = "" };
    if (!read_set(save, &after) || !urgency_is_above(before, after)) {
        return true;
    }
    if ((save->person.roles & (ROLE_REVIEW | ROLE_HEADQUARTERS)) == 0) {
        (void)snprintf(fault_out->what, sizeof fault_out->what,
                       "the urgency is %s, and who has no role for reviews does not lower it", names[before]);
        (void)snprintf(fault_out->hint, sizeof fault_out->hint,
                       "ask somebody whose certificate and actor have the role review or headquarters");
        return false;
    }
    if (!gives_reason(save)) {
        (void)snprintf(fault_out->what, sizeof fault_out->what,
                       "the urgency is %s, and is lowered only with a reason in the same save",
                       names[before]);
        (void)snprintf(fault_out->hint, sizeof fault_out->hint,
                       "vigil case set CASE urgency=%s --add lowering.reason=...",
                       after == URGENCY_NONE ? names[URGENCY_ROUTINE] : names[after]);
        return false;
    }
    return true;
}

bool
urgency_hastens(const struct workflow_save *save)
{
    enum urgency after = URGENCY_NONE;

    return is_pressing(urgency_set(save->view->open)) || (read_set(save, &after) && is_pressing(after));
}

enum urgency
urgency_raises(const struct workflow_save *save)
{
    enum urgency after = URGENCY_NONE;

    return read_set(save, &after) && is_pressing(after) &&
                   urgency_is_above(after, urgency_set(save->view->open))
               ? after
               : URGENCY_NONE;
}
