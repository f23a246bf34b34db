#include "node/casework/statistics.h"

#include "node/casework/same.h"

#include "node/casework/disclosure.h"
#include "store/region.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MAX = 2000, /* of an axis: cells are named by 11 bits of each */
    SET_MAX = 96,     /* values of one axis that one subject has, with what they are parts of */
    ACTS_MAX = 128,   /* of one case; so are its perpetrators and victims */
    LIST_MAX = 32,    /* values of one field */
    LEVELS_MAX = 3,
};

/* --- what the tables are --- */

static const struct statistics_table tables[] = {
    { "T1", "Volume",
      "Counted are cases that a report may count: included, counted only, or in an earlier report and "
      "followed up since." },
    { "T2", "Geography",
      "A State is one alleged to be responsible, and lies where UN M49 says. Not recorded: the five UN "
      "regional groups, and "
      "which States sit on the Human Rights Council." },
    { "T3", "Victims", "A person with several roles counts once in each." },
    { "T4", "Acts",
      "An act counts once. An individual counts once in each group of acts that names them, however many "
      "there are." },
    { "T5", "Mechanisms", "A case with several UN actors counts once for each." },
    { "T6", "Alleged perpetrators", "" },
    { "T7", "Anonymity and withheld cases",
      "Anonymity is asked for where a person agreed to be in a report unnamed only, or refused to be named. "
      "Not recorded: "
      "refusals to cooperate; self-censorship stands among the acts of T4." },
    { "T8", "Surveillance and digital acts", "" },
    { "T9", "Legislation", "An act with several legal bases counts once for each." },
    { "T10", "Transnational acts", "States where it happened, and States alleged to be responsible." },
    { "T11", "Outcome", "Cases with a follow-up in the window, by what was new." },
    { "T12", "Timeliness",
      "Days between dates that are known to the day. Not recorded: when a case went to headquarters, when it "
      "was verified, and "
      "how long nodes were apart." },
    { "T13", "Quality of the data",
      "Sources are counted, whether or not they are independent of each other. Nodes that were not heard "
      "from: vigil status." },
};

#define CUBE(table, title, unit, base, share, count, ...)                                                    \
    {                                                                                                        \
        table, title, unit, base, count, { __VA_ARGS__ }, share                                              \
    }
#define WHOLE(table, title, unit, base)                                                                      \
    {                                                                                                        \
        table, title, unit, base, 0, { { 0, 0 } }, false                                                     \
    }

/* clang-format off */
static const struct statistics_cube cubes[] = {
    CUBE("T1", "Cases", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "States", UNIT_STATES, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "Individuals", UNIT_INDIVIDUALS, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "Organisations", UNIT_ORGANISATIONS, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "Families, communities and other groups", UNIT_GROUPS, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "Persons in groups, at least", UNIT_IN_GROUPS, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "Victims not recorded as a person or a group", UNIT_UNSAID, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "Acts", UNIT_ACTS, BASE_COUNTED, false, 1, { AXIS_PHASE, 1 }),
    CUBE("T1", "All cases of the window", UNIT_CASES, BASE_WINDOW, false, 1, { AXIS_STANDING, 1 }),
    CUBE("T2", "Individuals by region", UNIT_INDIVIDUALS, BASE_COUNTED, false, 2, { AXIS_PLACE, 3 }, { AXIS_PHASE, 1 }),
    CUBE("T2", "Cases by region", UNIT_CASES, BASE_COUNTED, false, 2, { AXIS_PLACE, 3 }, { AXIS_PHASE, 1 }),
    CUBE("T2", "States by region", UNIT_STATES, BASE_COUNTED, false, 2, { AXIS_PLACE, 2 }, { AXIS_PHASE, 1 }),
    CUBE("T3", "Individuals by role, gender and age", UNIT_INDIVIDUALS, BASE_COUNTED, false, 3, { AXIS_ROLE, 1 }, { AXIS_GENDER, 1 }, { AXIS_AGE, 1 }),
    CUBE("T3", "Individuals by gender", UNIT_INDIVIDUALS, BASE_COUNTED, true, 1, { AXIS_GENDER, 1 }),
    CUBE("T4", "Acts by type and region", UNIT_ACTS, BASE_COUNTED, false, 2, { AXIS_ACT, 2 }, { AXIS_PLACE, 1 }),
    CUBE("T4", "Individuals by group of acts, gender and region", UNIT_INDIVIDUALS, BASE_COUNTED, false, 3, { AXIS_ACT, 1 }, { AXIS_GENDER, 1 }, { AXIS_PLACE, 1 }),
    CUBE("T4", "Acts by group and stage", UNIT_ACTS, BASE_COUNTED, false, 2, { AXIS_ACT, 1 }, { AXIS_STAGE, 1 }),
    CUBE("T5", "Cases by UN actor", UNIT_CASES, BASE_COUNTED, false, 2, { AXIS_UN_ACTOR, 1 }, { AXIS_PHASE, 1 }),
    CUBE("T5", "Acts by UN actor and group", UNIT_ACTS, BASE_COUNTED, false, 2, { AXIS_UN_ACTOR, 1 }, { AXIS_ACT, 1 }),
    CUBE("T5", "States by UN actor", UNIT_STATES, BASE_COUNTED, false, 1, { AXIS_UN_ACTOR, 1 }),
    CUBE("T5", "Cases by number of UN actors", UNIT_CASES, BASE_COUNTED, true, 1, { AXIS_ACTOR_COUNT, 1 }),
    CUBE("T6", "Alleged perpetrators", UNIT_PERPETRATORS, BASE_COUNTED, false, 2, { AXIS_PERPETRATOR, 1 }, { AXIS_SIDE, 1 }),
    CUBE("T7", "States by anonymity of persons", UNIT_STATES, BASE_COUNTED, true, 1, { AXIS_ANONYMITY, 1 }),
    CUBE("T7", "Individuals by anonymity", UNIT_INDIVIDUALS, BASE_COUNTED, true, 1, { AXIS_ANONYMITY, 1 }),
    CUBE("T7", "Individuals withheld", UNIT_INDIVIDUALS, BASE_WITHHELD, false, 1, { AXIS_GENDER, 1 }),
    WHOLE("T7", "States with somebody withheld", UNIT_STATES, BASE_WITHHELD),
    CUBE("T8", "States by group of acts", UNIT_STATES, BASE_COUNTED, true, 1, { AXIS_ACT, 1 }),
    CUBE("T8", "Acts online, by group", UNIT_ACTS, BASE_COUNTED, false, 2, { AXIS_ACT, 1 }, { AXIS_ONLINE, 1 }),
    CUBE("T9", "States by legal basis", UNIT_STATES, BASE_COUNTED, true, 1, { AXIS_BASIS, 1 }),
    CUBE("T9", "Acts by legal basis and region", UNIT_ACTS, BASE_COUNTED, false, 2, { AXIS_BASIS, 1 }, { AXIS_PLACE, 1 }),
    CUBE("T10", "Transnational cases", UNIT_CASES, BASE_TRANSNATIONAL, false, 2, { AXIS_HOST, 1 }, { AXIS_STATE, 1 }),
    CUBE("T11", "Cases followed up, by development", UNIT_CASES, BASE_FOLLOWED, false, 2, { AXIS_DEVELOPMENT, 1 }, { AXIS_PLACE, 1 }),
    CUBE("T11", "Individuals by their situation", UNIT_INDIVIDUALS, BASE_COUNTED, false, 1, { AXIS_SITUATION, 1 }),
    CUBE("T12", "Cases by days from the first act to their record", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_TO_OFFICE, 1 }),
    CUBE("T12", "Cases by days from their record to the first action of the UN", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_TO_ACTION, 1 }),
    CUBE("T12", "Cases by days from there to the first answer of a Government", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_TO_REPLY, 1 }),
    CUBE("T13", "Individuals by consent on record", UNIT_INDIVIDUALS, BASE_COUNTED, true, 1, { AXIS_CONSENT, 1 }),
    CUBE("T13", "Cases by number of sources", UNIT_CASES, BASE_COUNTED, true, 1, { AXIS_SOURCES, 1 }),
    CUBE("T13", "Cases by verification", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_VERIFICATION, 1 }),
    CUBE("T13", "Cases with an open conflict", UNIT_CASES, BASE_COUNTED, true, 1, { AXIS_CONFLICT, 1 }),
    CUBE("T13", "Cases by next review", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_REVIEW, 1 }),
};
/* clang-format on */

enum { CUBE_COUNT = sizeof cubes / sizeof cubes[0] };

static const char *const unit_names[UNIT_COUNT][2] = {
    [UNIT_CASES] = { "cases", "Cases" },
    [UNIT_STATES] = { "states", "States" },
    [UNIT_INDIVIDUALS] = { "individuals", "Individuals" },
    [UNIT_ORGANISATIONS] = { "organisations", "Organisations" },
    [UNIT_GROUPS] = { "groups", "Groups" },
    [UNIT_IN_GROUPS] = { "persons_in_groups", "Persons in groups, at least" },
    [UNIT_UNSAID] = { "unsaid", "Victims of no recorded unit" },
    [UNIT_ACTS] = { "acts", "Acts" },
    [UNIT_PERPETRATORS] = { "perpetrators", "Alleged perpetrators" },
};

/* An axis whose values are those of a field's vocabulary, or of a list here. */
static const struct axis_text {
    const char *name;
    const char *label;
    enum fact_what what; /* whose codes they are; FACT_NONE: `values` has them, numbered from 1 */
    const char *values[8][2];
    bool whole; /* none is "not recorded" */
} axis_texts[AXIS_COUNT] = {
    [AXIS_PHASE] = { "phase",
                     "New or follow-up",
                     FACT_NONE,
                     { { "new", "New" }, { "follow_up", "Follow-up" } },
                     true },
    [AXIS_PLACE] = { "place", "Region", FACT_NONE, { { NULL } }, false },
    [AXIS_ACT] = { "act", "Act", FACT_ACT_TYPE, { { NULL } }, false },
    [AXIS_STAGE] = { "stage", "Stage", FACT_ACT_STAGE, { { NULL } }, false },
    [AXIS_ONLINE] = { "online", "Online", FACT_NONE, { { "yes", "Online" }, { "no", "Not online" } }, false },
    [AXIS_BASIS] = { "legal_basis", "Legal basis", FACT_ACT_BASIS, { { NULL } }, false },
    [AXIS_ROLE] = { "role", "Role", FACT_ROLE, { { NULL } }, false },
    [AXIS_GENDER] = { "gender", "Gender", FACT_GENDER, { { NULL } }, false },
    [AXIS_AGE] = { "age_group", "Age", FACT_AGE, { { NULL } }, false },
    [AXIS_SITUATION] = { "situation", "Situation", FACT_SITUATION, { { NULL } }, false },
    [AXIS_ANONYMITY] = { "anonymity",
                         "Anonymity",
                         FACT_NONE,
                         { { "asked_for", "Asked for" }, { "may_be_named", "May be named" } },
                         false },
    [AXIS_CONSENT] = { "consent", "Consent", FACT_NONE, { { "recorded", "On record" } }, false },
    [AXIS_UN_ACTOR] = { "un_actor", "UN actor", FACT_UN_ACTOR, { { NULL } }, false },
    [AXIS_ACTOR_COUNT] = { "actors",
                           "UN actors",
                           FACT_NONE,
                           { { "one", "One" }, { "several", "Several" } },
                           false },
    [AXIS_SIDE] = { "side", "State or not", FACT_PERPETRATOR_SIDE, { { NULL } }, false },
    [AXIS_PERPETRATOR] = { "perpetrator", "Institution", FACT_PERPETRATOR_TYPE, { { NULL } }, false },
    [AXIS_HOST] = { "host", "State where it happened", FACT_NONE, { { NULL } }, false },
    [AXIS_STATE] = { "state", "State alleged to be responsible", FACT_NONE, { { NULL } }, false },
    [AXIS_DEVELOPMENT] = { "development", "Development", FACT_DEVELOPMENT, { { NULL } }, false },
    [AXIS_VERIFICATION] = { "verification", "Verification", FACT_VERIFICATION, { { NULL } }, false },
    [AXIS_SOURCES] = { "sources",
                       "Sources",
                       FACT_NONE,
                       { { "one", "One" }, { "several", "Two or more" } },
                       false },
    [AXIS_CONFLICT] = { "conflict", "Conflict", FACT_NONE, { { "open", "Open" }, { "none", "None" } }, true },
    [AXIS_REVIEW] = { "review",
                      "Next review",
                      FACT_NONE,
                      { { "late", "Late" }, { "to_come", "To come" } },
                      false },
    [AXIS_STANDING] = { "standing",
                        "Standing",
                        FACT_NONE,
                        { { "counted", "Counted" },
                          { "under_way", "Under way" },
                          { "withheld", "Withheld for protection" },
                          { "left_out", "Left out" },
                          { "out_of_the_way", "Duplicate, out of scope, transferred or withdrawn" } },
                        true },
#define DAYS                                                                                                 \
    {                                                                                                        \
        { "within_7", "Up to 7" }, { "within_30", "8 to 30" }, { "within_90", "31 to 90" },                  \
        {                                                                                                    \
            "later", "More than 90"                                                                          \
        }                                                                                                    \
    }
    [AXIS_TO_OFFICE] = { "act_to_office", "Days", FACT_NONE, DAYS, false },
    [AXIS_TO_ACTION] = { "office_to_action", "Days", FACT_NONE, DAYS, false },
    [AXIS_TO_REPLY] = { "action_to_reply", "Days", FACT_NONE, DAYS, false },
#undef DAYS
};

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

const struct statistics_table *
statistics_tables(size_t *count_out)
{
    *count_out = sizeof tables / sizeof tables[0];
    return tables;
}

const struct statistics_cube *
statistics_cubes(size_t *count_out)
{
    *count_out = CUBE_COUNT;
    return cubes;
}

const char *
statistics_unit_name(enum statistics_unit unit)
{
    return unit_names[unit][0];
}

const char *
statistics_unit_label(enum statistics_unit unit)
{
    return unit_names[unit][1];
}

const char *
statistics_axis_name(enum statistics_axis axis)
{
    return axis_texts[axis].name;
}

const char *
statistics_axis_label(enum statistics_axis axis)
{
    return axis_texts[axis].label;
}

/* --- axes --- */

struct axis {
    struct statistics_slot *slots; /* level by level, "all" first */
    uint32_t count;
    uint32_t room;
    uint32_t ends[LEVELS_MAX + 1]; /* by depth: slots of that and of higher levels */
    uint16_t unsaid;               /* the slot of what is not recorded; 0: there is none */
    uint16_t *lookup;              /* by value of the lowest level: its slot */
    uint32_t lookup_count;
};

struct cube {
    const struct statistics_cube *description;
    uint32_t sizes[STATISTICS_AXES];
    uint32_t strides[STATISTICS_AXES];
    uint32_t first; /* of its cells within all local ones */
    uint32_t cell_count;
};

struct statistics {
    struct axis axes[AXIS_COUNT];
    struct cube cubes[CUBE_COUNT];
    uint32_t *cell_of; /* by local cell: its number in the release */
    struct disclosure disclosure;
    struct disclosure_line *lines;
    uint32_t *parts;
    uint64_t small;
    uint64_t guarding;
};

static void
axis_add(struct axis *axis, const char *list, const char *name, const char *label, uint32_t value,
         uint16_t parent, uint8_t level, bool *failed)
{
    if (axis->count == axis->room) {
        uint32_t room = axis->room == 0 ? 32 : 2 * axis->room;
        struct statistics_slot *slots = realloc(axis->slots, room * sizeof *slots);

        if (slots == NULL) {
            *failed = true;
            return;
        }
        axis->slots = slots;
        axis->room = room;
    }
    struct statistics_slot *slot = &axis->slots[axis->count];
    *slot = (struct statistics_slot){ .list = list, .value = value, .parent = parent, .level = level };
    (void)snprintf(slot->name, sizeof slot->name, "%s", name);
    (void)snprintf(slot->label, sizeof slot->label, "%s", label);
    axis->count++;
    for (int n = level; n <= LEVELS_MAX; n++) {
        axis->ends[n] = axis->count;
    }
}

static void
axis_add_unsaid(struct axis *axis, bool *failed)
{
    axis->unsaid = (uint16_t)axis->count;
    axis_add(axis, "", "not_recorded", "Not recorded", 0, 0, 1, failed);
}

/* Values of the lowest level are found by their number, up to `most`. */
static void
axis_make_lookup(struct axis *axis, uint32_t most, bool *failed)
{
    axis->lookup = calloc((size_t)most + 1, sizeof *axis->lookup);
    if (axis->lookup == NULL || *failed) {
        *failed = true;
        return;
    }
    axis->lookup_count = most + 1;
    for (uint32_t n = 1; n < axis->count; n++) {
        const struct statistics_slot *slot = &axis->slots[n];
        bool lowest = slot->level == axis->slots[axis->count - 1].level;

        if (lowest && n != axis->unsaid && slot->value <= most) {
            axis->lookup[slot->value] = (uint16_t)n;
        }
    }
}

static uint16_t
axis_find(const struct axis *axis, uint32_t value)
{
    uint16_t slot = value < axis->lookup_count ? axis->lookup[value] : 0;

    return slot == 0 ? axis->unsaid : slot;
}

static uint32_t
greatest_value(const struct codebook_vocabulary *vocabulary)
{
    return vocabulary->value_count == 0 ? 0 : vocabulary->values[vocabulary->value_count - 1].number;
}

static void
add_vocabulary(struct axis *axis, const struct codebook_vocabulary *vocabulary, uint8_t level, bool *failed)
{
    for (size_t n = 0; n < vocabulary->value_count && axis->count < SLOTS_MAX; n++) {
        const struct codebook_value *value = &vocabulary->values[n];
        uint16_t parent = 0;

        for (uint32_t at = 1; level > 1 && at < axis->ends[level - 1]; at++) {
            if (axis->slots[at].value == value->group && at != axis->unsaid) {
                parent = (uint16_t)at;
            }
        }
        if (level > 1 && parent == 0) {
            parent = axis->unsaid;
        }
        axis_add(axis, vocabulary->name, value->name, value->label, value->number, parent, level, failed);
    }
}

/* The values of the field's vocabulary, under those that it rolls up into. */
static void
make_code_axis(struct axis *axis, const struct facts *facts, const struct codebook *codebook,
               enum fact_what what, bool *failed)
{
    const struct codebook_vocabulary *vocabulary =
        facts_has(facts, what) ? codebook_vocabulary(codebook, facts_vocabulary(facts, what)) : NULL;
    const struct codebook_vocabulary *groups = vocabulary == NULL || vocabulary->groups == 0
                                                   ? NULL
                                                   : codebook_vocabulary(codebook, vocabulary->groups);

    if (groups != NULL) {
        add_vocabulary(axis, groups, 1, failed);
    } else if (vocabulary != NULL) {
        add_vocabulary(axis, vocabulary, 1, failed);
    }
    axis_add_unsaid(axis, failed);
    if (groups != NULL) {
        add_vocabulary(axis, vocabulary, 2, failed);
    }
    axis_make_lookup(axis, vocabulary == NULL ? 0 : greatest_value(vocabulary), failed);
}

static void
add_region(struct axis *axis, uint16_t number, uint16_t parent, uint8_t level, bool *failed)
{
    char name[8];
    char label[REGION_NAME_BYTES];

    (void)snprintf(name, sizeof name, "%03u", number % 1000u);
    region_name(number, label);
    axis_add(axis, "regions", name, label, number, parent, level, failed);
}

static uint16_t
find_region(const struct axis *axis, uint16_t number, uint8_t level)
{
    for (uint32_t n = 1; n < axis->count; n++) {
        if (axis->slots[n].level == level && axis->slots[n].value == number && n != axis->unsaid) {
            return (uint16_t)n;
        }
    }
    return 0;
}

static void
add_country(struct axis *axis, uint32_t country, uint16_t parent, uint8_t level, bool *failed)
{
    char code[4];
    char label[REGION_NAME_BYTES];

    fact_country_text(country, code);
    region_country_name(code, label);
    axis_add(axis, "countries", code, label, country, parent, level, failed);
}

/* The countries that were met, ascending, and what they lie in. `met` is by country. */
static void
make_place_axis(struct axis *axis, const bool *met, bool *failed)
{
    enum { REGIONS = 1000 };
    struct region regions[REGIONS] = { { 0 } }; /* by subregion: itself, and its region */
    bool is_region[REGIONS] = { false };
    char code[4];

    for (uint32_t n = 1; n <= FACT_COUNTRIES; n++) {
        if (met[n]) {
            fact_country_text(n, code);
            struct region region = region_of(code);
            regions[region.subregion % REGIONS] = region;
            is_region[region.region % REGIONS] = true;
        }
    }
    for (uint16_t n = 1; n < REGIONS; n++) {
        if (is_region[n]) {
            add_region(axis, n, 0, 1, failed);
        }
    }
    axis_add_unsaid(axis, failed);
    for (uint16_t n = 1; n < REGIONS; n++) {
        if (regions[n].subregion != 0) {
            add_region(axis, n, find_region(axis, regions[n].region, 1), 2, failed);
        }
    }
    for (uint32_t n = 1; n <= FACT_COUNTRIES && axis->count < SLOTS_MAX; n++) {
        if (met[n]) {
            fact_country_text(n, code);
            uint16_t parent = find_region(axis, region_of(code).subregion, 2);
            add_country(axis, n, parent == 0 ? axis->unsaid : parent, 3, failed);
        }
    }
    axis_make_lookup(axis, FACT_COUNTRIES, failed);
}

static void
make_country_axis(struct axis *axis, const bool *met, bool *failed)
{
    for (uint32_t n = 1; n <= FACT_COUNTRIES && axis->count < SLOTS_MAX; n++) {
        if (met[n]) {
            add_country(axis, n, 0, 1, failed);
        }
    }
    axis_add_unsaid(axis, failed);
    axis_make_lookup(axis, FACT_COUNTRIES, failed);
}

static void
make_listed_axis(struct axis *axis, const struct axis_text *text, bool *failed)
{
    uint32_t count = 0;

    while (count < sizeof text->values / sizeof text->values[0] && text->values[count][0] != NULL) {
        axis_add(axis, "", text->values[count][0], text->values[count][1], count + 1, 0, 1, failed);
        count++;
    }
    if (!text->whole) {
        axis_add_unsaid(axis, failed);
    }
    axis_make_lookup(axis, count, failed);
}

/* --- a case, taken apart --- */

struct act {
    uint32_t type;
    uint32_t stage;
    uint32_t day;
    bool online_said;
    bool online;
    uint32_t bases[LIST_MAX];
    size_t basis_count;
    uint32_t victims[LIST_MAX];
    size_t victim_count;
};

struct victim {
    uint32_t person;
    uint32_t part;
};

struct perpetrator {
    uint32_t type;
    uint32_t side;
};

struct parted {
    const struct fact_record *record;
    uint32_t status;
    uint32_t verification;
    bool transnational;
    uint32_t window;
    bool earlier;
    bool followed; /* a follow-up of it is of the window */
    size_t sources;
    uint32_t hosts[LIST_MAX];
    size_t host_count;
    uint32_t states[LIST_MAX];
    size_t state_count;
    uint32_t actors[LIST_MAX];
    size_t actor_count;
    uint32_t developments[LIST_MAX];
    size_t development_count;
    uint32_t next_review; /* the earliest */
    uint32_t first_act;
    uint32_t first_action;
    uint32_t first_reply;
    struct act acts[ACTS_MAX + 1]; /* one more is being read */
    size_t act_count;
    struct victim victims[ACTS_MAX];
    size_t victim_count;
    struct perpetrator perpetrators[ACTS_MAX];
    size_t perpetrator_count;
};

/* Put a value into a list, once. */
static void
list_add(uint32_t *list, size_t *count, size_t room, uint32_t value)
{
    for (size_t n = 0; n < *count; n++) {
        if (list[n] == value) {
            return;
        }
    }
    if (*count < room) {
        list[*count] = value;
        ++*count;
    }
}

static void
keep_first(uint32_t *day, uint32_t other)
{
    *day = *day == 0 || other < *day ? other : *day;
}

/* What one element of the case says. An act is read where it will stand: it is large. */
struct element {
    struct act *act;
    bool is_act;
    bool is_victim;
    bool is_perpetrator;
    bool of_window;
    uint32_t side;
    uint32_t action_day;
    struct victim victim;
    struct perpetrator perpetrator;
    size_t development_count;
    uint32_t developments[LIST_MAX];
};

static void
element_begin(struct element *element, struct parted *parted)
{
    struct act *act = &parted->acts[parted->act_count < ACTS_MAX ? parted->act_count : ACTS_MAX];

    act->type = 0;
    act->stage = 0;
    act->day = 0;
    act->online_said = false;
    act->online = false;
    act->basis_count = 0;
    act->victim_count = 0;
    element->act = act;
    element->is_act = false;
    element->is_victim = false;
    element->is_perpetrator = false;
    element->of_window = false;
    element->side = 0;
    element->action_day = 0;
    element->victim = (struct victim){ 0, 0 };
    element->perpetrator = (struct perpetrator){ 0, 0 };
    element->development_count = 0;
}

static void
element_take(struct element *element, const struct fact *fact, uint32_t window, const uint32_t *same)
{
    switch (fact->what) {
    case FACT_ACT_TYPE:
        element->act->type = fact->value;
        element->is_act = true;
        break;
    case FACT_ACT_STAGE:
        element->act->stage = fact->value;
        element->is_act = true;
        break;
    case FACT_ACT_DAY:
        element->act->day = fact->value;
        element->is_act = true;
        break;
    case FACT_ACT_ONLINE:
        element->act->online_said = true;
        element->act->online = fact->value != 0;
        element->is_act = true;
        break;
    case FACT_ACT_BASIS:
        list_add(element->act->bases, &element->act->basis_count, LIST_MAX, fact->value);
        element->is_act = true;
        break;
    case FACT_ACT_VICTIM:
        list_add(element->act->victims, &element->act->victim_count, LIST_MAX, same[fact->value]);
        element->is_act = true;
        break;
    case FACT_VICTIM:
        element->victim.person = same[fact->value];
        element->is_victim = true;
        break;
    case FACT_VICTIM_PART:
        element->victim.part = fact->value;
        break;
    case FACT_PERPETRATOR_TYPE:
        element->perpetrator.type = fact->value;
        element->is_perpetrator = true;
        break;
    case FACT_PERPETRATOR_SIDE:
        element->perpetrator.side = fact->value;
        element->is_perpetrator = true;
        break;
    case FACT_ACTION_SIDE:
        element->side = fact->value;
        break;
    case FACT_ACTION_DAY:
        element->action_day = fact->value;
        break;
    case FACT_FOLLOW_UP_WINDOW:
        element->of_window = element->of_window || window == 0 || fact->value == window;
        break;
    case FACT_DEVELOPMENT:
        list_add(element->developments, &element->development_count, LIST_MAX, fact->value);
        break;
    default:
        break;
    }
}

enum { SIDE_UN = 2, SIDE_GOVERNMENT = 3 }; /* of vocabulary actor_side */

static void
element_end(struct parted *parted, const struct element *element)
{
    if (element->is_act && parted->act_count < ACTS_MAX) {
        parted->act_count++;
        if (element->act->day != 0) {
            keep_first(&parted->first_act, element->act->day);
        }
    }
    bool twice = false; /* named by two records of one person */
    for (size_t n = 0; element->is_victim && element->victim.person != 0 && n < parted->victim_count; n++) {
        twice = twice || (parted->victims[n].person == element->victim.person &&
                          parted->victims[n].part == element->victim.part);
    }
    if (element->is_victim && !twice && parted->victim_count < ACTS_MAX) {
        parted->victims[parted->victim_count] = element->victim;
        parted->victim_count++;
    }
    if (element->is_perpetrator && parted->perpetrator_count < ACTS_MAX) {
        parted->perpetrators[parted->perpetrator_count] = element->perpetrator;
        parted->perpetrator_count++;
    }
    if (element->action_day != 0 && element->side == SIDE_UN) {
        keep_first(&parted->first_action, element->action_day);
    }
    if (element->of_window) {
        parted->followed = true;
        for (size_t n = 0; n < element->development_count; n++) {
            list_add(parted->developments, &parted->development_count, LIST_MAX, element->developments[n]);
        }
    }
}

/* The first answer after the first action: known once all actions are. */
static void
find_reply(struct parted *parted)
{
    const struct fact_record *record = parted->record;
    uint32_t side = 0;

    for (uint32_t n = 0; n < record->fact_count; n++) {
        const struct fact *fact = &record->facts[n];

        if (n == 0 || fact->element != record->facts[n - 1].element) {
            side = 0;
        }
        if (fact->what == FACT_ACTION_SIDE) {
            side = fact->value;
        } else if (fact->what == FACT_ACTION_DAY && side == SIDE_GOVERNMENT &&
                   fact->value >= parted->first_action) {
            keep_first(&parted->first_reply, fact->value);
        }
    }
}

static void
part_case(struct parted *parted, const struct fact_record *record, uint32_t window, const uint32_t *same)
{
    struct element element;
    uint16_t at = 0;

    /* What the counts say is all that is read. */
    parted->record = record;
    parted->status = 0;
    parted->verification = 0;
    parted->transnational = false;
    parted->window = 0;
    parted->earlier = false;
    parted->followed = false;
    parted->sources = 0;
    parted->host_count = 0;
    parted->state_count = 0;
    parted->actor_count = 0;
    parted->development_count = 0;
    parted->next_review = 0;
    parted->first_act = 0;
    parted->first_action = 0;
    parted->first_reply = 0;
    parted->act_count = 0;
    parted->victim_count = 0;
    parted->perpetrator_count = 0;
    element_begin(&element, parted);
    for (uint32_t n = 0; n < record->fact_count; n++) {
        const struct fact *fact = &record->facts[n];

        if (fact->element != at) {
            element_end(parted, &element);
            element_begin(&element, parted);
            at = fact->element;
        }
        switch (fact->what) {
        case FACT_STATUS:
            parted->status = fact->value;
            break;
        case FACT_VERIFICATION:
            parted->verification = fact->value;
            break;
        case FACT_TRANSNATIONAL:
            parted->transnational = fact->value != 0;
            break;
        case FACT_OF_WINDOW:
            parted->window = fact->value;
            break;
        case FACT_EARLIER_REPORT:
            parted->earlier = true;
            break;
        case FACT_SOURCE:
            parted->sources++;
            break;
        case FACT_HOST:
            list_add(parted->hosts, &parted->host_count, LIST_MAX, fact->value);
            break;
        case FACT_STATE:
            list_add(parted->states, &parted->state_count, LIST_MAX, fact->value);
            break;
        case FACT_UN_ACTOR:
            list_add(parted->actors, &parted->actor_count, LIST_MAX, fact->value);
            break;
        case FACT_NEXT_REVIEW:
            keep_first(&parted->next_review, fact->value);
            break;
        default:
            element_take(&element, fact, window, same);
            break;
        }
    }
    element_end(parted, &element);
    if (parted->first_action != 0) {
        find_reply(parted);
    }
}

/* --- counting --- */

/* What stands on an axis for one subject: slots of every level, each once. */
struct set {
    uint64_t subject; /* it was made for; 0: none yet */
    size_t count;
    uint16_t slots[SET_MAX];
};

struct counting {
    struct statistics *statistics;
    const struct facts *facts;
    const struct statistics_options *options;
    uint32_t *same; /* see same.h */
    struct parted parted;
    enum counts_as standing;
    bool bases[BASE_COUNT];
    uint64_t case_serial;
    uint64_t serial; /* of what is counted now */
    const struct act *act;
    const struct perpetrator *perpetrator;
    uint32_t person; /* name; 0: it is no person that is counted */
    const struct fact_record *person_record;
    uint32_t state; /* country; 0: it is no State that is counted */
    struct set sets[AXIS_COUNT];
    uint64_t *counts; /* by local cell */
    uint64_t *stamps; /* by local cell: whom it counted last */
    uint64_t *states; /* by local cell of cubes of States: one bit for each State */
    size_t state_words;
    uint32_t *state_first;                    /* by cube: its first cell among those */
    uint8_t cubes_of[UNIT_COUNT][CUBE_COUNT]; /* which cubes count a unit */
    size_t cube_counts[UNIT_COUNT];
    uint8_t standings[256][2];  /* by status and whether it was in a report */
    uint32_t consent_scopes[2]; /* publish_named, publish_anonymised */
    uint32_t granted;
    uint32_t units[3]; /* individual, family, group_or_organisation */
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
    put(set, axis, value == 0 ? axis->unsaid : axis_find(axis, value));
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

/* What a person decided on a scope: the most protective of all statements. False: nothing is recorded. */
static bool
find_decision(const struct counting *counting, const struct fact_record *person, uint32_t scope,
              bool *granted_out)
{
    bool any = false;

    *granted_out = true;
    for (uint32_t n = 0; n < person->fact_count; n++) {
        const struct fact *fact = &person->facts[n];

        if (fact->what != FACT_CONSENT_SCOPE || fact->value != scope) {
            continue;
        }
        for (uint32_t m = 0; m < person->fact_count; m++) {
            const struct fact *other = &person->facts[m];

            if (other->what == FACT_CONSENT_DECISION && other->element == fact->element) {
                any = true;
                *granted_out = *granted_out && other->value == counting->granted;
            }
        }
    }
    *granted_out = *granted_out && any;
    return any;
}

enum { ANONYMITY_ASKED = 1, ANONYMITY_NAMED = 2 };

static uint32_t
anonymity_of(const struct counting *counting, const struct fact_record *person)
{
    bool named = false;
    bool unnamed = false;
    bool named_said = find_decision(counting, person, counting->consent_scopes[0], &named);
    bool unnamed_said = find_decision(counting, person, counting->consent_scopes[1], &unnamed);

    if (named) {
        return ANONYMITY_NAMED;
    }
    return named_said || (unnamed_said && unnamed) ? ANONYMITY_ASKED : 0;
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

static void
put_anonymity(const struct counting *counting, struct set *set, const struct axis *axis)
{
    if (counting->person_record != NULL) {
        put_value(set, axis, anonymity_of(counting, counting->person_record));
        return;
    }
    for (size_t n = 0; n < counting->parted.victim_count; n++) {
        const struct victim *victim = &counting->parted.victims[n];
        const struct fact_record *person = person_of(counting, victim->person);

        if (person != NULL && is_victim(counting, victim)) {
            put_value(set, axis, anonymity_of(counting, person));
        }
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

static bool
has_consent(const struct fact_record *person)
{
    for (uint32_t n = 0; person != NULL && n < person->fact_count; n++) {
        if (person->facts[n].what == FACT_CONSENT_DECISION) {
            return true;
        }
    }
    return false;
}

static uint32_t
phase_of(const struct counting *counting)
{
    const struct parted *parted = &counting->parted;
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
        put_value(set, axis, has_consent(counting->person_record) ? 1 : 0);
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
        uint16_t slot = axis_find(&counting->statistics->axes[AXIS_STATE], counting->state);
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

        if (counting->bases[cubes[cube].base]) {
            count_cube(counting, cube, stamp, weight);
        }
    }
}

/* True if the case is of the window at all; what it counts for is noted. */
static bool
begin_case(struct counting *counting, const struct fact_record *record)
{
    struct parted *parted = &counting->parted;
    uint32_t window = counting->options->window;

    part_case(parted, record, window, counting->same);
    if (window != 0 && parted->window != window && !parted->followed) {
        return false;
    }
    counting->case_serial = ++counting->serial;
    counting->standing = parted->status < 256 && counting->standings[parted->status][0] != 0
                             ? (enum counts_as)counting->standings[parted->status][parted->earlier ? 1 : 0]
                             : STANDING_UNDER_WAY;
    bool counted = counting->standing == STANDING_COUNTED;
    counting->bases[BASE_COUNTED] = counted;
    counting->bases[BASE_WINDOW] = true;
    counting->bases[BASE_WITHHELD] = counting->standing == STANDING_WITHHELD;
    counting->bases[BASE_TRANSNATIONAL] = counted && parted->transnational;
    counting->bases[BASE_FOLLOWED] = counted && parted->followed;
    return true;
}

static void
count_case(struct counting *counting)
{
    const struct parted *parted = &counting->parted;

    count_subject(counting, UNIT_CASES, counting->serial, 1);
    if (!counting->bases[BASE_COUNTED] && !counting->bases[BASE_WITHHELD]) {
        return;
    }
    for (size_t n = 0; n < parted->act_count && counting->bases[BASE_COUNTED]; n++) {
        counting->act = &parted->acts[n];
        counting->serial++;
        count_subject(counting, UNIT_ACTS, counting->serial, 1);
    }
    counting->act = NULL;
    for (size_t n = 0; n < parted->perpetrator_count && counting->bases[BASE_COUNTED]; n++) {
        counting->perpetrator = &parted->perpetrators[n];
        counting->serial++;
        count_subject(counting, UNIT_PERPETRATORS, counting->serial, 1);
    }
    for (size_t n = 0; n < parted->state_count; n++) {
        counting->state = parted->states[n];
        counting->serial++;
        count_subject(counting, UNIT_STATES, 0, 1);
    }
    counting->state = 0;
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

static void
count_person(struct counting *counting, const struct link *links, size_t count)
{
    uint64_t least = 0;

    counting->person = links[0].person;
    counting->person_record = person_of(counting, links[0].person);
    enum statistics_unit unit = unit_of(counting, counting->person_record, &least);
    uint64_t stamp = ++counting->serial;
    for (size_t n = 0; n < count; n++) {
        if (!begin_case(counting, facts_at(counting->facts, links[n].place))) {
            continue;
        }
        count_subject(counting, unit, stamp, 1);
        if (unit == UNIT_GROUPS || unit == UNIT_ORGANISATIONS) {
            count_subject(counting, UNIT_IN_GROUPS, stamp, least);
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

static enum err
count_all(struct counting *counting)
{
    struct link *links = NULL;
    size_t count = 0;
    size_t room = 0;
    enum err err = ERR_OK;

    for (uint32_t n = 0; n < facts_end(counting->facts) && err == ERR_OK; n++) {
        const struct fact_record *record = facts_at(counting->facts, n);

        if (record == NULL || record->kind != FACTS_CASE || !begin_case(counting, record)) {
            continue;
        }
        count_case(counting);
        bool counts = counting->bases[BASE_COUNTED] || counting->bases[BASE_WITHHELD];
        for (size_t v = 0; v < counting->parted.victim_count && counts && err == ERR_OK; v++) {
            const struct victim *victim = &counting->parted.victims[v];

            if (is_victim(counting, victim) && !add_link(&links, &count, &room, victim->person, n)) {
                err = ERR_MEMORY;
            }
        }
    }
    if (count > 0) {
        qsort(links, count, sizeof *links, link_order);
    }
    for (size_t n = 0; n < count && err == ERR_OK;) {
        size_t end = n + 1;

        while (end < count && links[end].person == links[n].person) {
            end++;
        }
        count_person(counting, links + n, end - n);
        n = end;
    }
    free(links);
    return err;
}

/* --- the release --- */

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
    counting->consent_scopes[0] = value_number(counting, FACT_CONSENT_SCOPE, "publish_named");
    counting->consent_scopes[1] = value_number(counting, FACT_CONSENT_SCOPE, "publish_anonymised");
    counting->granted = value_number(counting, FACT_CONSENT_DECISION, "granted");
    counting->units[0] = value_number(counting, FACT_UNIT, "individual");
    counting->units[1] = value_number(counting, FACT_UNIT, "family");
    counting->units[2] = value_number(counting, FACT_UNIT, "group_or_organisation");
    counting->associated = value_number(counting, FACT_VICTIM_PART, "associated_person");
}

/* Countries of all cases, so that the axes are the same for every window. */
static void
find_countries(struct counting *counting, bool *states, bool *hosts)
{
    for (uint32_t n = 0; n < facts_end(counting->facts); n++) {
        const struct fact_record *record = facts_at(counting->facts, n);

        if (record == NULL || record->kind != FACTS_CASE) {
            continue;
        }
        for (uint32_t f = 0; f < record->fact_count; f++) {
            const struct fact *fact = &record->facts[f];

            if (fact->what == FACT_STATE || fact->what == FACT_HOST) {
                (fact->what == FACT_STATE ? states : hosts)[fact->value] = true;
            }
        }
    }
}

static bool
make_axes(struct counting *counting)
{
    struct statistics *statistics = counting->statistics;
    bool *met = calloc(2 * (FACT_COUNTRIES + 1), sizeof *met);
    bool failed = met == NULL;

    if (!failed) {
        find_countries(counting, met, met + FACT_COUNTRIES + 1);
    }
    for (int n = AXIS_NONE + 1; n < AXIS_COUNT && !failed; n++) {
        struct axis *axis = &statistics->axes[n];

        axis_add(axis, "", "all", "All", 0, 0, 0, &failed);
        if (failed) {
            break;
        }
        if (n == AXIS_PLACE) {
            make_place_axis(axis, met, &failed);
        } else if (n == AXIS_STATE) {
            make_country_axis(axis, met, &failed);
        } else if (n == AXIS_HOST) {
            make_country_axis(axis, met + FACT_COUNTRIES + 1, &failed);
        } else if (axis_texts[n].what != FACT_NONE) {
            make_code_axis(axis, counting->facts, counting->options->codebook, axis_texts[n].what, &failed);
        } else {
            make_listed_axis(axis, &axis_texts[n], &failed);
        }
    }
    free(met);
    return !failed;
}

/* Gives how many cells all cubes have, and how many those of States. */
static uint32_t
make_cubes(struct counting *counting, uint32_t *state_cells_out)
{
    struct statistics *statistics = counting->statistics;
    uint32_t first = 0;

    *state_cells_out = 0;
    for (size_t n = 0; n < CUBE_COUNT; n++) {
        struct cube *cube = &statistics->cubes[n];
        uint32_t count = 1;

        cube->description = &cubes[n];
        cube->first = first;
        counting->cubes_of[cubes[n].unit][counting->cube_counts[cubes[n].unit]++] = (uint8_t)n;
        for (int a = STATISTICS_AXES - 1; a >= 0; a--) {
            cube->sizes[a] = a < cubes[n].axis_count
                                 ? statistics->axes[cubes[n].axes[a].axis].ends[cubes[n].axes[a].depth]
                                 : 1;
            cube->strides[a] = count;
            count *= cube->sizes[a];
        }
        cube->cell_count = count;
        first += count;
        if (cubes[n].unit == UNIT_STATES) {
            counting->state_first[n] = *state_cells_out;
            *state_cells_out += count;
        }
    }
    return first;
}

static void
count_states(struct counting *counting)
{
    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &counting->statistics->cubes[n];

        for (uint32_t at = 0; cubes[n].unit == UNIT_STATES && at < cube->cell_count; at++) {
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

/* --- one system of all cubes --- */

struct keyed {
    uint64_t key;
    uint32_t local;
};

static int
keyed_order(const void *left, const void *right)
{
    const struct keyed *a = left;
    const struct keyed *b = right;

    return a->key < b->key ? -1 : a->key > b->key;
}

/* Unit, base, and the axes on which it is not "all", ascending: what the cell counts, whichever cube it stands in. */
static uint64_t
name_cell(const struct cube *cube, uint32_t at)
{
    const struct statistics_cube *description = cube->description;
    uint64_t key = (uint64_t)description->unit << 3 | (uint64_t)description->base;
    uint32_t parts[STATISTICS_AXES] = { 0 };

    for (int n = 0; n < description->axis_count; n++) {
        uint32_t slot = at / cube->strides[n] % cube->sizes[n];
        uint32_t one = slot == 0 ? 0 : (uint32_t)description->axes[n].axis << 11 | slot;
        int place = n;

        for (; place > 0 && parts[place - 1] > one; place--) {
            parts[place] = parts[place - 1];
        }
        parts[place] = one;
    }
    for (int n = 0; n < STATISTICS_AXES; n++) {
        if (parts[n] != 0) {
            key = key << 16 | parts[n];
        }
    }
    return key;
}

static enum err
number_cells(struct statistics *statistics, const uint64_t *counts, uint32_t local_count)
{
    struct keyed *keyed = calloc(local_count, sizeof *keyed);
    size_t count = 0;

    statistics->cell_of = calloc(local_count, sizeof *statistics->cell_of);
    statistics->disclosure.cells = calloc(local_count, sizeof *statistics->disclosure.cells);
    if (keyed == NULL || statistics->cell_of == NULL || statistics->disclosure.cells == NULL) {
        free(keyed);
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &statistics->cubes[n];

        for (uint32_t at = 0; at < cube->cell_count; at++) {
            keyed[cube->first + at] = (struct keyed){ name_cell(cube, at), cube->first + at };
        }
    }
    qsort(keyed, local_count, sizeof *keyed, keyed_order);
    for (uint32_t n = 0; n < local_count; n++) {
        if (n == 0 || keyed[n].key != keyed[n - 1].key) {
            statistics->disclosure.cells[count].count = counts[keyed[n].local];
            count++;
        }
        statistics->cell_of[keyed[n].local] = (uint32_t)count - 1;
    }
    statistics->disclosure.cell_count = count;
    free(keyed);
    return ERR_OK;
}

struct line_room {
    size_t line_count;
    size_t line_room;
    size_t part_count;
    size_t part_room;
};

static void *
grow(void *list, size_t *room, size_t size)
{
    size_t more = *room == 0 ? 1024 : 2 * *room;
    void *grown = realloc(list, more * size);

    if (grown != NULL) {
        *room = more;
    }
    return grown;
}

static bool
add_part(struct statistics *statistics, struct line_room *room, uint32_t cell)
{
    if (room->part_count == room->part_room) {
        void *grown = grow(statistics->parts, &room->part_room, sizeof *statistics->parts);

        if (grown == NULL) {
            return false;
        }
        statistics->parts = grown;
    }
    statistics->parts[room->part_count] = cell;
    room->part_count++;
    return true;
}

/* The line of a total and its parts on one axis. Where the total is 0 there is nothing to tell. */
static bool
add_line(struct statistics *statistics, struct line_room *room, const struct cube *cube, int axis_no,
         uint32_t at, uint32_t slot)
{
    const struct axis *axis = &statistics->axes[cube->description->axes[axis_no].axis];
    uint32_t total = statistics->cell_of[cube->first + at + slot * cube->strides[axis_no]];
    size_t first = room->part_count;

    if (statistics->disclosure.cells[total].count == 0) {
        return true;
    }
    for (uint32_t n = 1; n < cube->sizes[axis_no]; n++) {
        if (axis->slots[n].parent == slot &&
            !add_part(statistics, room, statistics->cell_of[cube->first + at + n * cube->strides[axis_no]])) {
            return false;
        }
    }
    if (room->part_count == first) {
        return true;
    }
    if (room->line_count == room->line_room) {
        void *grown = grow(statistics->lines, &room->line_room, sizeof *statistics->lines);

        if (grown == NULL) {
            return false;
        }
        statistics->lines = grown;
    }
    statistics->lines[room->line_count] = (struct disclosure_line){
        .total = total, .first = (uint32_t)first, .part_count = (uint32_t)(room->part_count - first)
    };
    room->line_count++;
    return true;
}

static enum err
draw_lines(struct statistics *statistics)
{
    struct line_room room = { 0 };

    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &statistics->cubes[n];

        for (int a = 0; a < cube->description->axis_count; a++) {
            for (uint32_t at = 0; at < cube->cell_count; at++) {
                if (at / cube->strides[a] % cube->sizes[a] != 0) {
                    continue; /* the other axes once each */
                }
                for (uint32_t slot = 0; slot < cube->sizes[a]; slot++) {
                    if (!add_line(statistics, &room, cube, a, at, slot)) {
                        return ERR_MEMORY;
                    }
                }
            }
        }
    }
    statistics->disclosure.lines = statistics->lines;
    statistics->disclosure.line_count = room.line_count;
    statistics->disclosure.parts = statistics->parts;
    return ERR_OK;
}

static enum err
count_release(struct counting *counting)
{
    struct statistics *statistics = counting->statistics;
    uint32_t state_cells = 0;

    counting->state_first = calloc(CUBE_COUNT, sizeof *counting->state_first);
    if (counting->state_first == NULL || !make_axes(counting)) {
        return ERR_MEMORY;
    }
    read_rules(counting);
    uint32_t local_count = make_cubes(counting, &state_cells);
    counting->state_words = statistics->axes[AXIS_STATE].count / 64 + 1;
    counting->counts = calloc(local_count, sizeof *counting->counts);
    counting->stamps = calloc(local_count, sizeof *counting->stamps);
    counting->states = calloc(state_cells * counting->state_words, sizeof *counting->states);
    if (counting->counts == NULL || counting->stamps == NULL || counting->states == NULL) {
        return ERR_MEMORY;
    }
    enum err err = count_all(counting);
    if (err == ERR_OK) {
        count_states(counting);
        err = number_cells(statistics, counting->counts, local_count);
    }
    if (err == ERR_OK) {
        err = draw_lines(statistics);
    }
    return err == ERR_OK ? disclosure_guard(&statistics->disclosure, counting->options->threshold,
                                            &statistics->small, &statistics->guarding)
                         : err;
}

enum err
statistics_new(struct statistics **statistics_out, const struct facts *facts,
               const struct statistics_options *options)
{
    struct counting *counting = calloc(1, sizeof *counting);
    enum err err = ERR_MEMORY;

    *statistics_out = calloc(1, sizeof **statistics_out);
    if (counting != NULL && *statistics_out != NULL) {
        counting->statistics = *statistics_out;
        counting->facts = facts;
        counting->options = options;
        err = same_persons(facts, &counting->same);
        if (err == ERR_OK) {
            err = count_release(counting);
        }
        free(counting->same);
        free(counting->counts);
        free(counting->stamps);
        free(counting->states);
        free(counting->state_first);
    }
    free(counting);
    if (err != ERR_OK) {
        statistics_free(statistics_out);
    }
    return err;
}

void
statistics_free(struct statistics **statistics_in)
{
    struct statistics *statistics = *statistics_in;

    if (statistics == NULL) {
        return;
    }
    for (int n = 0; n < AXIS_COUNT; n++) {
        free(statistics->axes[n].slots);
        free(statistics->axes[n].lookup);
    }
    free(statistics->cell_of);
    free(statistics->disclosure.cells);
    free(statistics->lines);
    free(statistics->parts);
    free(statistics);
    *statistics_in = NULL;
}

/* --- what is shown --- */

size_t
statistics_slot_count(const struct statistics *statistics, size_t cube, size_t axis)
{
    return statistics->cubes[cube].sizes[axis];
}

const struct statistics_slot *
statistics_slot(const struct statistics *statistics, size_t cube, size_t axis, size_t slot)
{
    return &statistics->axes[cubes[cube].axes[axis].axis].slots[slot];
}

struct statistics_cell
statistics_cell(const struct statistics *statistics, size_t cube, const uint16_t slots[STATISTICS_AXES])
{
    const struct cube *of = &statistics->cubes[cube];
    uint32_t at = of->first;

    for (int n = 0; n < of->description->axis_count; n++) {
        assert(slots[n] < of->sizes[n]);
        at += slots[n] * of->strides[n];
    }
    return statistics_cell_at(statistics, statistics->cell_of[at]);
}

uint64_t
statistics_small_count(const struct statistics *statistics)
{
    return statistics->small;
}

uint64_t
statistics_guarding_count(const struct statistics *statistics)
{
    return statistics->guarding;
}

size_t
statistics_line_count(const struct statistics *statistics)
{
    return statistics->disclosure.line_count;
}

struct statistics_line
statistics_line(const struct statistics *statistics, size_t n)
{
    const struct disclosure_line *line = &statistics->lines[n];

    return (struct statistics_line){ line->total, statistics->parts + line->first, line->part_count };
}

size_t
statistics_cell_count(const struct statistics *statistics)
{
    return statistics->disclosure.cell_count;
}

struct statistics_cell
statistics_cell_at(const struct statistics *statistics, size_t n)
{
    const struct disclosure_cell *cell = &statistics->disclosure.cells[n];

    return (struct statistics_cell){ cell->count, cell->hidden };
}
