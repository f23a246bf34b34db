#include "node/casework/statistics_state.h"

#include "node/casework/agreed.h"
#include "node/casework/same.h"

#include <stdlib.h>
#include <string.h>

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

struct counting {
    struct subject subject;
    uint32_t *same; /* see same.h */
    bool bases[BASE_COUNT];
    uint64_t case_serial;
    uint64_t serial;                  /* of what is counted now */
    bool all_states;                  /* of which all is known that their recurrence needs */
    bool counted[FACT_COUNTRIES + 1]; /* by country */
    uint32_t window_from;             /* the day on which the window begins; 0: unknown, or there is none */
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
};

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
        return counting->subject.state == 0;
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
        statistics_fill_set(&counting->subject, set, which);
    }
    return set;
}

/* Count the subject in one cell, once. */
static void
count_cell(struct counting *counting, size_t cube_no, uint32_t at, uint64_t stamp, uint64_t weight)
{
    const struct cube *cube = &counting->subject.statistics->cubes[cube_no];

    if (counting->subject.state != 0) {
        uint16_t slot =
            statistics_axis_find(&counting->subject.statistics->axes[AXIS_STATE], counting->subject.state);
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
    const struct cube *cube = &counting->subject.statistics->cubes[cube_no];
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
        const struct statistics_cube *description = counting->subject.statistics->cubes[cube].description;
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
    const struct parted *parted = &counting->subject.parted;
    uint32_t end = of_window || counting->window_from == 0
                       ? 0
                       : window_day(counting->subject.facts, parted->window, FACT_TO);
    bool recurs = of_window ? parted->earlier : end != 0 && end < counting->window_from;

    for (size_t n = 0; n < parted->state_count; n++) {
        counting->subject.recurs[parted->states[n]] = counting->subject.recurs[parted->states[n]] || recurs;
        counting->counted[parted->states[n]] = counting->counted[parted->states[n]] || of_window;
    }
}

/* True if the case is of the window at all; what it counts for is noted, but for persons. */
static bool
begin_case(struct counting *counting, const struct fact_record *record)
{
    struct parted *parted = &counting->subject.parted;
    uint32_t window = counting->subject.options->window;

    statistics_part_case(parted, record, window, counting->same);
    counting->subject.standing =
        parted->status < 256 && counting->standings[parted->status][0] != 0
            ? (enum counts_as)counting->standings[parted->status][parted->earlier ? 1 : 0]
            : STANDING_UNDER_WAY;
    bool counted = counting->subject.standing == STANDING_COUNTED;
    bool of_window = window == 0 || parted->window == window || parted->followed;
    if (counted && counting->subject.person == 0) {
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
    for (size_t n = 0; n < counting->subject.parted.state_count; n++) {
        counting->subject.state = counting->subject.parted.states[n];
        counting->serial++;
        count_subject(counting, UNIT_STATES, 0, 1);
    }
    counting->subject.state = 0;
}

static void
count_case(struct counting *counting)
{
    const struct parted *parted = &counting->subject.parted;

    count_subject(counting, UNIT_CASES, counting->serial, 1);
    if (!counting->bases[BASE_COUNTED]) {
        return;
    }
    for (size_t n = 0; n < parted->act_count; n++) {
        counting->subject.act = &parted->acts[n];
        counting->serial++;
        count_subject(counting, UNIT_ACTS, counting->serial, 1);
    }
    counting->subject.act = NULL;
    for (size_t n = 0; n < parted->perpetrator_count; n++) {
        counting->subject.perpetrator = &parted->perpetrators[n];
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
            counting->subject.state = country;
            counting->serial++;
            count_subject(counting, UNIT_STATES, 0, 1);
        }
    }
    counting->subject.state = 0;
    counting->all_states = false;
}

/* One individual of whom nothing else is left. */
static void
count_stub(struct counting *counting, const struct fact_record *record)
{
    uint32_t window = counting->subject.options->window;

    statistics_part_case(&counting->subject.parted, record, window, counting->same);
    if (window != 0 && counting->subject.parted.window != window) {
        return;
    }
    memset(counting->bases, 0, sizeof counting->bases);
    counting->bases[BASE_COUNTED] = true;
    counting->bases[BASE_ASKED] = true;
    counting->subject.stub = record;
    counting->case_serial = ++counting->serial;
    count_subject(counting, UNIT_INDIVIDUALS, counting->serial, 1);
    counting->subject.stub = NULL;
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
    bool counted = counting->subject.standing == STANDING_COUNTED;
    bool agrees = (agreed & CONSENT_USE_COUNT) != 0;
    bool withheld = (counted && !agrees) || counting->subject.standing == STANDING_WITHHELD;

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
    uint32_t person = counting->subject.person;

    memcpy(bases, counting->bases, sizeof bases);
    memset(counting->bases, 0, sizeof counting->bases);
    counting->bases[BASE_WITHHELD] = true;
    counting->subject.person = 0;
    count_states_of_case(counting);
    counting->subject.person = person;
    memcpy(counting->bases, bases, sizeof bases);
}

static void
count_person(struct counting *counting, const struct link *links, size_t count)
{
    uint8_t agreed = counting->subject.agreed[links[0].person];
    uint64_t least = 0;

    counting->subject.person = links[0].person;
    counting->subject.person_record = statistics_person(counting->subject.facts, links[0].person);
    enum statistics_unit unit = unit_of(counting, counting->subject.person_record, &least);
    uint64_t stamp = ++counting->serial;
    for (size_t n = 0; n < count; n++) {
        if (!begin_case(counting, facts_at(counting->subject.facts, links[n].place)) ||
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
    counting->subject.person = 0;
    counting->subject.person_record = NULL;
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
    bool counts =
        counting->subject.standing == STANDING_COUNTED || counting->subject.standing == STANDING_WITHHELD;
    bool good = true;

    for (size_t n = 0; n < counting->subject.parted.victim_count && counts && good; n++) {
        const struct victim *victim = &counting->subject.parted.victims[n];

        if (statistics_is_victim(&counting->subject, victim) &&
            counting->subject.agreed[victim->person] != 0) {
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

    for (uint32_t n = 0; n < facts_end(counting->subject.facts) && good; n++) {
        const struct fact_record *record = facts_at(counting->subject.facts, n);

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
        facts_has(counting->subject.facts, what)
            ? codebook_vocabulary(counting->subject.options->codebook,
                                  facts_vocabulary(counting->subject.facts, what))
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
    counting->subject.associated = value_number(counting, FACT_VICTIM_PART, "associated_person");
    counting->window_from = window_day(counting->subject.facts, counting->subject.options->window, FACT_FROM);
}

/* Which cubes count a unit, and where those of States have their bits. Gives how many cells the latter have. */
static uint32_t
sort_cubes(struct counting *counting)
{
    uint32_t state_cells = 0;

    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &counting->subject.statistics->cubes[n];
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
        const struct cube *cube = &counting->subject.statistics->cubes[n];

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
    const struct statistics *statistics = counting->subject.statistics;
    const struct cube *last = &statistics->cubes[CUBE_COUNT - 1];

    read_rules(counting);
    counting->state_words = statistics->axes[AXIS_STATE].count / 64 + 1;
    counting->stamps = calloc(last->first + last->cell_count, sizeof *counting->stamps);
    counting->states = calloc(sort_cubes(counting) * counting->state_words, sizeof *counting->states);
    if (counting->stamps == NULL || counting->states == NULL) {
        return ERR_MEMORY;
    }
    enum err err = same_persons(counting->subject.facts, &counting->same);
    if (err == ERR_OK) {
        err = agreed_read(counting->subject.facts, counting->same, counting->subject.options->as_of_day,
                          &counting->subject.agreed);
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
    counting->subject.statistics = statistics;
    counting->subject.facts = facts;
    counting->subject.options = options;
    counting->counts = counts;
    enum err err = count_with(counting);
    free(counting->same);
    free(counting->subject.agreed);
    free(counting->stamps);
    free(counting->states);
    free(counting);
    return err;
}
