#include "node/casework/statistics_state.h"

#include "node/casework/agreed.h"

static void
put(struct set *set, const struct axis *axis, uint16_t slot)
{
    for (;;) {
        for (size_t n = 0; n < set->count; n++) {
            if (set->slots[n] == slot) {
                return; /* and what it is a part of */
            }
        }
        if (set->count < SET_MAX) {
            set->slots[set->count] = slot;
            set->count++;
        }
        if (slot == 0) {
            return;
        }
        slot = axis->slots[slot].parent;
    }
}

static void
put_value(struct set *set, const struct axis *axis, uint32_t value)
{
    put(set, axis, value == 0 ? axis->unsaid : statistics_axis_find(axis, value));
}

static void
put_all(struct set *set, const struct axis *axis, const uint32_t *values, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        put_value(set, axis, values[n]);
    }
}

static void
put_person_facts(struct set *set, const struct axis *axis, const struct fact_record *person,
                 enum fact_what what)
{
    for (uint32_t n = 0; person != NULL && n < person->fact_count; n++) {
        if (person->facts[n].what == what) {
            put_value(set, axis, person->facts[n].value);
        }
    }
}

static bool
names_person(const struct act *act, uint32_t person)
{
    for (size_t n = 0; n < act->victim_count; n++) {
        if (act->victims[n] == person) {
            return true;
        }
    }
    return false;
}

/* The acts that the subject has a part in: itself, those that name the person, or all of the case. */
static bool
concerns(const struct subject *subject, const struct act *act)
{
    if (subject->act != NULL) {
        return act == subject->act;
    }
    return subject->person == 0 || names_person(act, subject->person);
}

static void
put_acts(const struct subject *subject, struct set *set, const struct axis *axis, enum statistics_axis which)
{
    for (uint32_t n = 0; subject->stub != NULL && which == AXIS_ACT && n < subject->stub->fact_count; n++) {
        if (subject->stub->facts[n].what == FACT_STUB_GROUP) {
            put(set, axis, statistics_axis_find_group(axis, subject->stub->facts[n].value));
        }
    }
    for (size_t n = 0; n < subject->parted.act_count; n++) {
        const struct act *act = &subject->parted.acts[n];

        if (!concerns(subject, act)) {
            continue;
        }
        switch (which) {
        case AXIS_ACT:
            put_value(set, axis, act->type);
            break;
        case AXIS_STAGE:
            put_value(set, axis, act->stage);
            break;
        case AXIS_ONLINE:
            put_value(set, axis, !act->online_said ? 0 : act->online ? 1 : 2);
            break;
        default:
            put_all(set, axis, act->bases, act->basis_count);
            break;
        }
    }
}

/* How a person who is counted may be described. */
static uint32_t
anonymity_of(uint8_t agreed)
{
    if ((agreed & CONSENT_USE_NAMED) != 0) {
        return ANONYMITY_NAMED;
    }
    return (agreed & CONSENT_USE_ANONYMISED) != 0 ? ANONYMITY_ASKED : ANONYMITY_COUNTED_ONLY;
}

const struct fact_record *
statistics_person(const struct facts *facts, uint32_t name)
{
    const struct fact_record *record = facts_named(facts, name);

    return record != NULL && record->kind == FACTS_PERSON ? record : NULL;
}

bool
statistics_is_victim(const struct subject *subject, const struct victim *victim)
{
    return victim->person != 0 && (victim->part == 0 || victim->part != subject->associated);
}

/* Of the person, or of those of the case who are counted. */
static void
put_anonymity(const struct subject *subject, struct set *set, const struct axis *axis)
{
    if (subject->person != 0) {
        put_value(set, axis, anonymity_of(subject->agreed[subject->person]));
        return;
    }
    for (size_t n = 0; n < subject->parted.victim_count; n++) {
        const struct victim *victim = &subject->parted.victims[n];
        uint8_t agreed = subject->agreed[victim->person];

        if ((agreed & CONSENT_USE_COUNT) != 0 && statistics_is_victim(subject, victim)) {
            put_value(set, axis, anonymity_of(agreed));
        }
    }
}

/* What is on record of a person's consent to be counted. */
static uint32_t
consent_of(const struct subject *subject)
{
    uint8_t agreed = subject->agreed[subject->person];

    if (subject->stub != NULL || (agreed & CONSENT_USE_COUNT) != 0) {
        return AGREED_COUNTED;
    }
    return (agreed & AGREED_SAID) != 0 ? AGREED_NOT : 0;
}

static uint32_t
delay_value(uint32_t from, uint32_t to)
{
    if (from == 0 || to == 0) {
        return 0;
    }
    uint32_t days = to > from ? to - from : 0;
    return days <= 7 ? 1 : days <= 30 ? 2 : days <= 90 ? 3 : 4;
}

static uint32_t
phase_of(const struct subject *subject)
{
    const struct parted *parted = &subject->parted;

    if (subject->stub != NULL) {
        return 0;
    }
    bool other = subject->options->window != 0 && parted->window != subject->options->window;

    return parted->earlier || other ? 2 : 1;
}

void
statistics_fill_set(const struct subject *subject, struct set *set, enum statistics_axis which)
{
    const struct axis *axis = &subject->statistics->axes[which];
    const struct parted *parted = &subject->parted;

    switch (which) {
    case AXIS_PHASE:
        put_value(set, axis, phase_of(subject));
        break;
    case AXIS_PLACE:
    case AXIS_UN_GROUP:
    case AXIS_STATE:
        if (subject->state != 0) {
            put_value(set, axis, subject->state);
        } else {
            put_all(set, axis, parted->states, parted->state_count);
        }
        break;
    case AXIS_RECURRENCE:
        put_value(set, axis, subject->recurs[subject->state] ? RECURS : 0);
        break;
    case AXIS_HOST:
        put_all(set, axis, parted->hosts, parted->host_count);
        break;
    case AXIS_ACT:
    case AXIS_STAGE:
    case AXIS_ONLINE:
    case AXIS_BASIS:
        put_acts(subject, set, axis, which);
        break;
    case AXIS_ROLE:
        put_person_facts(set, axis, subject->person_record, FACT_ROLE);
        break;
    case AXIS_GENDER:
        put_person_facts(set, axis, subject->person_record, FACT_GENDER);
        break;
    case AXIS_AGE:
        put_person_facts(set, axis, subject->person_record, FACT_AGE);
        break;
    case AXIS_SITUATION:
        put_person_facts(set, axis, subject->person_record, FACT_SITUATION);
        break;
    case AXIS_ANONYMITY:
        put_anonymity(subject, set, axis);
        break;
    case AXIS_CONSENT:
        put_value(set, axis, consent_of(subject));
        break;
    case AXIS_UN_ACTOR:
        put_all(set, axis, parted->actors, parted->actor_count);
        break;
    case AXIS_ACTOR_COUNT:
        put_value(set, axis, parted->actor_count > 1 ? 2 : (uint32_t)parted->actor_count);
        break;
    case AXIS_SIDE:
        put_value(set, axis, subject->perpetrator->side);
        break;
    case AXIS_PERPETRATOR:
        put_value(set, axis, subject->perpetrator->type);
        break;
    case AXIS_DEVELOPMENT:
        put_all(set, axis, parted->developments, parted->development_count);
        break;
    case AXIS_VERIFICATION:
        put_value(set, axis, parted->verification);
        break;
    case AXIS_SOURCES:
        put_value(set, axis, parted->sources > 1 ? 2 : (uint32_t)parted->sources);
        break;
    case AXIS_CONFLICT:
        put_value(set, axis, parted->record->conflict ? 1 : 2);
        break;
    case AXIS_REVIEW:
        put_value(set, axis,
                  parted->next_review == 0                            ? 0
                  : parted->next_review < subject->options->as_of_day ? 1
                                                                      : 2);
        break;
    case AXIS_STANDING:
        put_value(set, axis, (uint32_t)subject->standing);
        break;
    case AXIS_TO_OFFICE:
        put_value(set, axis, delay_value(parted->first_act, parted->record->created_day));
        break;
    case AXIS_TO_ACTION:
        put_value(set, axis, delay_value(parted->record->created_day, parted->first_action));
        break;
    case AXIS_TO_REPLY:
        put_value(set, axis, delay_value(parted->first_action, parted->first_reply));
        break;
    case AXIS_NONE:
    case AXIS_COUNT:
        break;
    }
    if (set->count == 0) {
        put(set, axis, axis->unsaid);
    }
}
