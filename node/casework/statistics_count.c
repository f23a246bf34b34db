#include "node/casework/statistics_state.h"

#include "node/casework/agreed.h"
#include "node/casework/same.h"

#include <stdlib.h>
#include <string.h>

/* What a status says of counting: see the head of statistics.h. */
enum counts_as {
    STANDING_COUNTED = 1,
    STANDING_UNDER_WAY,
    STANDING_WITHHELD,
    STANDING_LEFT_OUT,
    STANDING_AWAY
};

static const struct standing_rule {
    const char *status;
    enum counts_as first; /* of a case that was in no report yet */
    enum counts_as later; /* of one that was */
} standing_rules[] = {
    { "hq_review", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "action_only", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "proposed_for_report", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "included_named", STANDING_COUNTED, STANDING_COUNTED },
    { "included_anonymised", STANDING_COUNTED, STANDING_COUNTED },
    { "counted_only", STANDING_COUNTED, STANDING_COUNTED },
    { "excluded_protection", STANDING_WITHHELD, STANDING_WITHHELD },
    { "excluded_scope", STANDING_LEFT_OUT, STANDING_LEFT_OUT },
    { "excluded_unverified", STANDING_LEFT_OUT, STANDING_LEFT_OUT },
    { "follow_up", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "closed", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "reopened", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "sealed", STANDING_UNDER_WAY, STANDING_COUNTED },
    { "duplicate_of", STANDING_AWAY, STANDING_AWAY },
    { "out_of_scope", STANDING_AWAY, STANDING_AWAY },
    { "transferred", STANDING_AWAY, STANDING_AWAY },
    { "withdrawn", STANDING_AWAY, STANDING_AWAY },
};

bool
statistics_leaves_out(const char *status)
{
    for (size_t n = 0; n < sizeof standing_rules / sizeof standing_rules[0]; n++) {
        if (strcmp(standing_rules[n].status, status) == 0) {
            return standing_rules[n].later != STANDING_COUNTED;
        }
    }
    return false;
}

/* What stands on an axis for one subject: slots of every level, each once. */
struct set {
    uint64_t subject; /* it was made for; 0: none yet */
    size_t count;
    uint16_t slots[SET_MAX];
};

struct counting {
    const struct statistics *statistics;
    const struct facts *facts;
    const struct statistics_options *options;
    uint32_t *same;  /* see same.h */
    uint8_t *agreed; /* see agreed.h */
    struct parted parted;
    enum counts_as standing;
    bool bases[BASE_COUNT];
    uint64_t case_serial;
    uint64_t serial; /* of what is counted now */
    const struct act *act;
    const struct perpetrator *perpetrator;
    uint32_t person; /* name; 0: it is no person that is counted */
    const struct fact_record *person_record;
    uint32_t state;                  /* country; 0: it is no State that is counted */
    const struct fact_record *stub;  /* NULL: it is no count stub that is counted */
    bool all_states;                 /* of which all is known that their recurrence needs */
    bool recurs[FACT_COUNTRIES + 1]; /* by country, of States alone: see find_recurrence */
    bool counted[FACT_COUNTRIES + 1];
    uint32_t window_from; /* the day on which the window begins; 0: unknown, or there is none */
    struct set sets[AXIS_COUNT];
    uint64_t *counts; /* by local cell */
    uint64_t *stamps; /* by local cell: whom it counted last */
    uint64_t *states; /* by local cell of cubes of States: one bit for each State */
    size_t state_words;
    uint32_t state_first[CUBE_COUNT];         /* by cube: its first cell among those */
    uint8_t cubes_of[UNIT_COUNT][CUBE_COUNT]; /* which cubes count a unit */
    size_t cube_counts[UNIT_COUNT];
    uint8_t standings[256][2]; /* by status and whether it was in a report */
    uint32_t units[3];         /* individual, family, group_or_organisation */
    uint32_t associated;
};

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
concerns(const struct counting *counting, const struct act *act)
{
    if (counting->act != NULL) {
        return act == counting->act;
    }
    return counting->person == 0 || names_person(act, counting->person);
}

static void
put_acts(const struct counting *counting, struct set *set, const struct axis *axis,
         enum statistics_axis which)
{
    for (uint32_t n = 0; counting->stub != NULL && which == AXIS_ACT && n < counting->stub->fact_count; n++) {
        if (counting->stub->facts[n].what == FACT_STUB_GROUP) {
            put(set, axis, statistics_axis_find_group(axis, counting->stub->facts[n].value));
        }
    }
    for (size_t n = 0; n < counting->parted.act_count; n++) {
        const struct act *act = &counting->parted.acts[n];

        if (!concerns(counting, act)) {
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

static const struct fact_record *
person_of(const struct counting *counting, uint32_t name)
{
    const struct fact_record *record = facts_named(counting->facts, name);

    return record != NULL && record->kind == FACTS_PERSON ? record : NULL;
}

static bool
is_victim(const struct counting *counting, const struct victim *victim)
{
    return victim->person != 0 && (victim->part == 0 || victim->part != counting->associated);
}

/* Of the person, or of those of the case who are counted. */
static void
put_anonymity(const struct counting *counting, struct set *set, const struct axis *axis)
{
    if (counting->person != 0) {
        put_value(set, axis, anonymity_of(counting->agreed[counting->person]));
        return;
    }
    for (size_t n = 0; n < counting->parted.victim_count; n++) {
        const struct victim *victim = &counting->parted.victims[n];
        uint8_t agreed = counting->agreed[victim->person];

        if ((agreed & CONSENT_USE_COUNT) != 0 && is_victim(counting, victim)) {
            put_value(set, axis, anonymity_of(agreed));
        }
    }
}

/* What is on record of a person's consent to be counted. */
static uint32_t
consent_of(const struct counting *counting)
{
    uint8_t agreed = counting->agreed[counting->person];

    if (counting->stub != NULL || (agreed & CONSENT_USE_COUNT) != 0) {
        return AGREED_COUNTED;
    }
    return (agreed & AGREED_SAID) != 0 ? AGREED_NOT : 0;
}

static void
put_un_groups(const struct counting *counting, struct set *set, const struct axis *axis)
{
    size_t count = counting->state != 0 ? 1 : counting->parted.state_count;

    for (size_t n = 0; n < count; n++) {
        char code[4];

        fact_country_text(counting->state != 0 ? counting->state : counting->parted.states[n], code);
        enum region_group group = region_group_of(code);
        put_value(set, axis, group == REGION_GROUP_NONE ? UN_GROUP_NONE : (uint32_t)group);
    }
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
phase_of(const struct counting *counting)
{
    const struct parted *parted = &counting->parted;

    if (counting->stub != NULL) {
        return 0;
    }
    bool other = counting->options->window != 0 && parted->window != counting->options->window;

    return parted->earlier || other ? 2 : 1;
}

static void
fill_set(const struct counting *counting, struct set *set, enum statistics_axis which)
{
    const struct axis *axis = &counting->statistics->axes[which];
    const struct parted *parted = &counting->parted;

    switch (which) {
    case AXIS_PHASE:
        put_value(set, axis, phase_of(counting));
        break;
    case AXIS_PLACE:
    case AXIS_STATE:
        if (counting->state != 0) {
            put_value(set, axis, counting->state);
        } else {
            put_all(set, axis, parted->states, parted->state_count);
        }
        break;
    case AXIS_UN_GROUP:
        put_un_groups(counting, set, axis);
        break;
    case AXIS_RECURRENCE:
        put_value(set, axis, counting->recurs[counting->state] ? RECURS : 0);
        break;
    case AXIS_HOST:
        put_all(set, axis, parted->hosts, parted->host_count);
        break;
    case AXIS_ACT:
    case AXIS_STAGE:
    case AXIS_ONLINE:
    case AXIS_BASIS:
        put_acts(counting, set, axis, which);
        break;
    case AXIS_ROLE:
        put_person_facts(set, axis, counting->person_record, FACT_ROLE);
        break;
    case AXIS_GENDER:
        put_person_facts(set, axis, counting->person_record, FACT_GENDER);
        break;
    case AXIS_AGE:
        put_person_facts(set, axis, counting->person_record, FACT_AGE);
        break;
    case AXIS_SITUATION:
        put_person_facts(set, axis, counting->person_record, FACT_SITUATION);
        break;
    case AXIS_ANONYMITY:
        put_anonymity(counting, set, axis);
        break;
    case AXIS_CONSENT:
        put_value(set, axis, consent_of(counting));
        break;
    case AXIS_UN_ACTOR:
        put_all(set, axis, parted->actors, parted->actor_count);
        break;
    case AXIS_ACTOR_COUNT:
        put_value(set, axis, parted->actor_count > 1 ? 2 : (uint32_t)parted->actor_count);
        break;
    case AXIS_SIDE:
        put_value(set, axis, counting->perpetrator->side);
        break;
    case AXIS_PERPETRATOR:
        put_value(set, axis, counting->perpetrator->type);
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
                  parted->next_review == 0                             ? 0
                  : parted->next_review < counting->options->as_of_day ? 1
                                                                       : 2);
        break;
    case AXIS_STANDING:
        put_value(set, axis, (uint32_t)counting->standing);
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

/* Where it is the same for all subjects of a case, it is looked up once for the case. */
static bool
is_of_case(const struct counting *counting, enum statistics_axis which)
{
    switch (which) {
    case AXIS_PHASE:
    case AXIS_UN_ACTOR:
        return true;
    case AXIS_PLACE:
    case AXIS_UN_GROUP:
        return counting->state == 0;
    default:
        return false;
    }
}

static const struct set *
set_of(struct counting *counting, enum statistics_axis which)
{
    struct set *set = &counting->sets[which];
    uint64_t subject = is_of_case(counting, which) ? counting->case_serial : counting->serial;

    if (set->subject != subject) {
        set->subject = subject;
        set->count = 0;
        fill_set(counting, set, which);
    }
    return set;
}

/* Count the subject in one cell, once. */
static void
count_cell(struct counting *counting, size_t cube_no, uint32_t at, uint64_t stamp, uint64_t weight)
{
    const struct cube *cube = &counting->statistics->cubes[cube_no];

    if (counting->state != 0) {
        uint16_t slot = statistics_axis_find(&counting->statistics->axes[AXIS_STATE], counting->state);
        uint64_t *words =
            counting->states + (size_t)(counting->state_first[cube_no] + at) * counting->state_words;

        words[slot / 64] |= UINT64_C(1) << (slot % 64);
        return;
    }
    at += cube->first;
    if (counting->stamps[at] != stamp) {
        counting->stamps[at] = stamp;
        counting->counts[at] += weight;
    }
}

static void
count_cube(struct counting *counting, size_t cube_no, uint64_t stamp, uint64_t weight)
{
    static const struct set whole = { .count = 1 };
    const struct cube *cube = &counting->statistics->cubes[cube_no];
    const struct set *sets[STATISTICS_AXES] = { &whole, &whole, &whole };

    for (int n = 0; n < cube->description->axis_count; n++) {
        sets[n] = set_of(counting, (enum statistics_axis)cube->description->axes[n].axis);
    }
    for (size_t a = 0; a < sets[0]->count; a++) {
        if (sets[0]->slots[a] >= cube->sizes[0]) {
            continue;
        }
        for (size_t b = 0; b < sets[1]->count; b++) {
            if (sets[1]->slots[b] >= cube->sizes[1]) {
                continue;
            }
            for (size_t c = 0; c < sets[2]->count; c++) {
                if (sets[2]->slots[c] < cube->sizes[2]) {
                    count_cell(counting, cube_no,
                               sets[0]->slots[a] * cube->strides[0] + sets[1]->slots[b] * cube->strides[1] +
                                   sets[2]->slots[c] * cube->strides[2],
                               stamp, weight);
                }
            }
        }
    }
}

static void
count_subject(struct counting *counting, enum statistics_unit unit, uint64_t stamp, uint64_t weight)
{
    for (size_t n = 0; n < counting->cube_counts[unit]; n++) {
        uint8_t cube = counting->cubes_of[unit][n];
        const struct statistics_cube *description = counting->statistics->cubes[cube].description;
        bool waits = description->axis_count > 0 && description->axes[0].axis == AXIS_RECURRENCE;

        if (counting->bases[description->base] && waits == counting->all_states) {
            count_cube(counting, cube, stamp, weight);
        }
    }
}

/* The day on which a window begins or ends; 0: it is not here, or does not say. */
static uint32_t
window_day(const struct facts *facts, uint32_t window, enum fact_what what)
{
    const struct fact_record *record = facts_named(facts, window);

    for (uint32_t n = 0; record != NULL && record->kind == FACTS_WINDOW && n < record->fact_count; n++) {
        if (record->facts[n].what == what) {
            return record->facts[n].value;
        }
    }
    return 0;
}

/* The States of a counted case recur if it is of this window and was in an earlier report, or is of a window that was over before
 * this one began. */
static void
find_recurrence(struct counting *counting, bool of_window)
{
    const struct parted *parted = &counting->parted;
    uint32_t end =
        of_window || counting->window_from == 0 ? 0 : window_day(counting->facts, parted->window, FACT_TO);
    bool recurs = of_window ? parted->earlier : end != 0 && end < counting->window_from;

    for (size_t n = 0; n < parted->state_count; n++) {
        counting->recurs[parted->states[n]] = counting->recurs[parted->states[n]] || recurs;
        counting->counted[parted->states[n]] = counting->counted[parted->states[n]] || of_window;
    }
}

/* True if the case is of the window at all; what it counts for is noted, but for persons. */
static bool
begin_case(struct counting *counting, const struct fact_record *record)
{
    struct parted *parted = &counting->parted;
    uint32_t window = counting->options->window;

    statistics_part_case(parted, record, window, counting->same);
    counting->standing = parted->status < 256 && counting->standings[parted->status][0] != 0
                             ? (enum counts_as)counting->standings[parted->status][parted->earlier ? 1 : 0]
                             : STANDING_UNDER_WAY;
    bool counted = counting->standing == STANDING_COUNTED;
    bool of_window = window == 0 || parted->window == window || parted->followed;
    if (counted && counting->person == 0) {
        find_recurrence(counting, of_window);
    }
    if (!of_window) {
        return false;
    }
    counting->case_serial = ++counting->serial;
    counting->bases[BASE_COUNTED] = counted;
    counting->bases[BASE_WINDOW] = true;
    counting->bases[BASE_WITHHELD] = false;
    counting->bases[BASE_ASKED] = false;
    counting->bases[BASE_TRANSNATIONAL] = counted && parted->transnational;
    counting->bases[BASE_FOLLOWED] = counted && parted->followed;
    return true;
}

static void
count_states_of_case(struct counting *counting)
{
    for (size_t n = 0; n < counting->parted.state_count; n++) {
        counting->state = counting->parted.states[n];
        counting->serial++;
        count_subject(counting, UNIT_STATES, 0, 1);
    }
    counting->state = 0;
}

static void
count_case(struct counting *counting)
{
    const struct parted *parted = &counting->parted;

    count_subject(counting, UNIT_CASES, counting->serial, 1);
    if (!counting->bases[BASE_COUNTED]) {
        return;
    }
    for (size_t n = 0; n < parted->act_count; n++) {
        counting->act = &parted->acts[n];
        counting->serial++;
        count_subject(counting, UNIT_ACTS, counting->serial, 1);
    }
    counting->act = NULL;
    for (size_t n = 0; n < parted->perpetrator_count; n++) {
        counting->perpetrator = &parted->perpetrators[n];
        counting->serial++;
        count_subject(counting, UNIT_PERPETRATORS, counting->serial, 1);
    }
    count_states_of_case(counting);
}

/* Every State once more, for what is known once all cases were looked at. */
static void
count_all_states(struct counting *counting)
{
    memset(counting->bases, 0, sizeof counting->bases);
    counting->bases[BASE_COUNTED] = true;
    counting->all_states = true;
    for (uint32_t country = 1; country <= FACT_COUNTRIES; country++) {
        if (counting->counted[country]) {
            counting->state = country;
            counting->serial++;
            count_subject(counting, UNIT_STATES, 0, 1);
        }
    }
    counting->state = 0;
    counting->all_states = false;
}

/* One individual of whom nothing else is left. */
static void
count_stub(struct counting *counting, const struct fact_record *record)
{
    uint32_t window = counting->options->window;

    statistics_part_case(&counting->parted, record, window, counting->same);
    if (window != 0 && counting->parted.window != window) {
        return;
    }
    memset(counting->bases, 0, sizeof counting->bases);
    counting->bases[BASE_COUNTED] = true;
    counting->bases[BASE_ASKED] = true;
    counting->stub = record;
    counting->case_serial = ++counting->serial;
    count_subject(counting, UNIT_INDIVIDUALS, counting->serial, 1);
    counting->stub = NULL;
}

/* --- persons: whoever was met in several cases is counted with all of them at once --- */

struct link {
    uint32_t person;
    uint32_t place; /* of the case */
};

static int
link_order(const void *left, const void *right)
{
    const struct link *a = left;
    const struct link *b = right;

    if (a->person != b->person) {
        return a->person < b->person ? -1 : 1;
    }
    return a->place < b->place ? -1 : a->place > b->place;
}

static enum statistics_unit
unit_of(const struct counting *counting, const struct fact_record *person, uint64_t *least_out)
{
    uint32_t unit = 0;

    *least_out = 0;
    for (uint32_t n = 0; person != NULL && n < person->fact_count; n++) {
        if (person->facts[n].what == FACT_UNIT) {
            unit = person->facts[n].value;
        } else if (person->facts[n].what == FACT_LEAST) {
            *least_out = person->facts[n].value;
        }
    }
    if (unit == 0) {
        return UNIT_UNSAID;
    }
    if (unit == counting->units[0]) {
        return UNIT_INDIVIDUALS;
    }
    return unit == counting->units[2] ? UNIT_ORGANISATIONS : UNIT_GROUPS;
}

/* What a case counts for the person in it. False: for nothing. */
static bool
begin_person(struct counting *counting, uint8_t agreed)
{
    bool counted = counting->standing == STANDING_COUNTED;
    bool agrees = (agreed & CONSENT_USE_COUNT) != 0;
    bool withheld = (counted && !agrees) || counting->standing == STANDING_WITHHELD;

    counting->bases[BASE_COUNTED] = counted && agrees;
    counting->bases[BASE_WINDOW] = false;
    counting->bases[BASE_WITHHELD] = withheld && (agreed & AGREED_WITHHELD) != 0;
    counting->bases[BASE_ASKED] = counted && (agrees || (agreed & AGREED_WITHHELD) != 0);
    counting->bases[BASE_TRANSNATIONAL] = counting->bases[BASE_TRANSNATIONAL] && agrees;
    counting->bases[BASE_FOLLOWED] = counting->bases[BASE_FOLLOWED] && agrees;
    return counting->bases[BASE_COUNTED] || counting->bases[BASE_WITHHELD];
}

/* The States of somebody who is withheld. */
static void
count_withheld_states(struct counting *counting)
{
    bool bases[BASE_COUNT];
    uint32_t person = counting->person;

    memcpy(bases, counting->bases, sizeof bases);
    memset(counting->bases, 0, sizeof counting->bases);
    counting->bases[BASE_WITHHELD] = true;
    counting->person = 0;
    count_states_of_case(counting);
    counting->person = person;
    memcpy(counting->bases, bases, sizeof bases);
}

static void
count_person(struct counting *counting, const struct link *links, size_t count)
{
    uint8_t agreed = counting->agreed[links[0].person];
    uint64_t least = 0;

    counting->person = links[0].person;
    counting->person_record = person_of(counting, links[0].person);
    enum statistics_unit unit = unit_of(counting, counting->person_record, &least);
    uint64_t stamp = ++counting->serial;
    for (size_t n = 0; n < count; n++) {
        if (!begin_case(counting, facts_at(counting->facts, links[n].place)) ||
            !begin_person(counting, agreed)) {
            continue;
        }
        count_subject(counting, unit, stamp, 1);
        if (unit == UNIT_GROUPS || unit == UNIT_ORGANISATIONS) {
            count_subject(counting, UNIT_IN_GROUPS, stamp, least);
        }
        if (counting->bases[BASE_WITHHELD]) {
            count_withheld_states(counting);
        }
    }
    counting->person = 0;
    counting->person_record = NULL;
}

static bool
add_link(struct link **links, size_t *count, size_t *room, uint32_t person, uint32_t place)
{
    if (*count == *room) {
        size_t more = *room == 0 ? 1024 : 2 * *room;
        struct link *grown = realloc(*links, more * sizeof *grown);

        if (grown == NULL) {
            return false;
        }
        *links = grown;
        *room = more;
    }
    (*links)[*count] = (struct link){ person, place };
    ++*count;
    return true;
}

/* The victims of a case of whom anything is known. */
static bool
link_victims(const struct counting *counting, struct link **links, size_t *count, size_t *room,
             uint32_t place)
{
    bool counts = counting->standing == STANDING_COUNTED || counting->standing == STANDING_WITHHELD;
    bool good = true;

    for (size_t n = 0; n < counting->parted.victim_count && counts && good; n++) {
        const struct victim *victim = &counting->parted.victims[n];

        if (is_victim(counting, victim) && counting->agreed[victim->person] != 0) {
            good = add_link(links, count, room, victim->person, place);
        }
    }
    return good;
}

static enum err
count_all(struct counting *counting)
{
    struct link *links = NULL;
    size_t count = 0;
    size_t room = 0;
    bool good = true;

    for (uint32_t n = 0; n < facts_end(counting->facts) && good; n++) {
        const struct fact_record *record = facts_at(counting->facts, n);

        if (record != NULL && record->kind == FACTS_STUB) {
            count_stub(counting, record);
        } else if (record != NULL && record->kind == FACTS_CASE && begin_case(counting, record)) {
            count_case(counting);
            good = link_victims(counting, &links, &count, &room, n);
        }
    }
    if (count > 0) {
        qsort(links, count, sizeof *links, link_order);
    }
    for (size_t n = 0; n < count && good;) {
        size_t end = n + 1;

        while (end < count && links[end].person == links[n].person) {
            end++;
        }
        count_person(counting, links + n, end - n);
        n = end;
    }
    free(links);
    count_all_states(counting);
    return good ? ERR_OK : ERR_MEMORY;
}

/* --- all of it --- */

static uint32_t
value_number(const struct counting *counting, enum fact_what what, const char *name)
{
    const struct codebook_vocabulary *vocabulary =
        facts_has(counting->facts, what)
            ? codebook_vocabulary(counting->options->codebook, facts_vocabulary(counting->facts, what))
            : NULL;
    const struct codebook_value *value = vocabulary == NULL ? NULL : codebook_value_by_name(vocabulary, name);

    return value == NULL ? UINT32_MAX : value->number;
}

static void
read_rules(struct counting *counting)
{
    for (size_t n = 0; n < sizeof standing_rules / sizeof standing_rules[0]; n++) {
        uint32_t status = value_number(counting, FACT_STATUS, standing_rules[n].status);

        if (status < 256) {
            counting->standings[status][0] = (uint8_t)standing_rules[n].first;
            counting->standings[status][1] = (uint8_t)standing_rules[n].later;
        }
    }
    counting->units[0] = value_number(counting, FACT_UNIT, "individual");
    counting->units[1] = value_number(counting, FACT_UNIT, "family");
    counting->units[2] = value_number(counting, FACT_UNIT, "group_or_organisation");
    counting->associated = value_number(counting, FACT_VICTIM_PART, "associated_person");
    counting->window_from = window_day(counting->facts, counting->options->window, FACT_FROM);
}

/* Which cubes count a unit, and where those of States have their bits. Gives how many cells the latter have. */
static uint32_t
sort_cubes(struct counting *counting)
{
    uint32_t state_cells = 0;

    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &counting->statistics->cubes[n];
        enum statistics_unit unit = cube->description->unit;

        counting->cubes_of[unit][counting->cube_counts[unit]] = (uint8_t)n;
        counting->cube_counts[unit]++;
        if (unit == UNIT_STATES) {
            counting->state_first[n] = state_cells;
            state_cells += cube->cell_count;
        }
    }
    return state_cells;
}

static void
count_states(struct counting *counting)
{
    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &counting->statistics->cubes[n];

        for (uint32_t at = 0; cube->description->unit == UNIT_STATES && at < cube->cell_count; at++) {
            const uint64_t *words =
                counting->states + (size_t)(counting->state_first[n] + at) * counting->state_words;
            uint64_t count = 0;

            for (size_t w = 0; w < counting->state_words; w++) {
                count += (uint64_t)__builtin_popcountll(words[w]);
            }
            counting->counts[cube->first + at] = count;
        }
    }
}

static enum err
count_with(struct counting *counting)
{
    const struct statistics *statistics = counting->statistics;
    const struct cube *last = &statistics->cubes[CUBE_COUNT - 1];

    read_rules(counting);
    counting->state_words = statistics->axes[AXIS_STATE].count / 64 + 1;
    counting->stamps = calloc(last->first + last->cell_count, sizeof *counting->stamps);
    counting->states = calloc(sort_cubes(counting) * counting->state_words, sizeof *counting->states);
    if (counting->stamps == NULL || counting->states == NULL) {
        return ERR_MEMORY;
    }
    enum err err = same_persons(counting->facts, &counting->same);
    if (err == ERR_OK) {
        err = agreed_read(counting->facts, counting->same, counting->options->as_of_day, &counting->agreed);
    }
    if (err == ERR_OK) {
        err = count_all(counting);
    }
    if (err == ERR_OK) {
        count_states(counting);
    }
    return err;
}

enum err
statistics_count(const struct statistics *statistics, const struct facts *facts,
                 const struct statistics_options *options, uint64_t *counts)
{
    struct counting *counting = calloc(1, sizeof *counting);

    if (counting == NULL) {
        return ERR_MEMORY;
    }
    counting->statistics = statistics;
    counting->facts = facts;
    counting->options = options;
    counting->counts = counts;
    enum err err = count_with(counting);
    free(counting->same);
    free(counting->agreed);
    free(counting->stamps);
    free(counting->states);
    free(counting);
    return err;
}
