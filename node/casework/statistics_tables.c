#include "node/casework/statistics_state.h"

static const struct statistics_table tables[] = {
    { "T1", "Volume",
      "Counted are cases that a report may count: included, counted only, or in an earlier report and "
      "followed up since; and of the persons in them those who agreed to be counted. Who was erased and "
      "let himself be counted is an individual by a count stub, once in each window, unless the case "
      "was left out by then. Not recorded of a count stub: new or follow-up." },
    { "T2", "Geography",
      "A State is one alleged to be responsible, and lies where UN M49 says; the State of a count stub "
      "may be the one where it happened. The United States, Israel and Turkey are counted in the "
      "Western European and Others group, in which they are elected. A State recurs if a case of the "
      "window was in an earlier report, or if it has a counted case of a window that ended before this "
      "one began. Not recorded: which States sit on the Human Rights Council." },
    { "T3", "Victims",
      "A person with several roles counts once in each. Not recorded of a count stub: role, gender and "
      "age." },
    { "T4", "Acts",
      "An act counts once. An individual counts once in each group of acts that names them, however "
      "many there are. A count stub says groups of acts and is no act: that is counted with the case." },
    { "T5", "Mechanisms", "A case with several UN actors counts once for each." },
    { "T6", "Alleged perpetrators", "" },
    { "T7", "Anonymity and withheld cases",
      "Anonymity is asked for where a person agreed to be in a report unnamed only; counted only, where "
      "not even that. Withheld are persons of cases that were left out for protection, and of counted "
      "cases those who have not agreed to be counted. Who refused to be counted at all is in no number. "
      "Not recorded: refusals to cooperate; self-censorship stands among the acts of T4." },
    { "T8", "Surveillance and digital acts", "" },
    { "T9", "Legislation",
      "An act with several legal bases counts once for each. States with restrictive laws: T8, the "
      "group of acts legislation. Regions are those of UN M49, in which the Middle East and North "
      "Africa are parts of two." },
    { "T10", "Transnational acts", "States where it happened, and States alleged to be responsible." },
    { "T11", "Outcome", "Cases with a follow-up in the window, by what was new." },
    { "T12", "Timeliness",
      "Days between dates that are known to the day, from the record of a case at its office on. Not "
      "recorded: when a case went to headquarters, when it was verified and so whether that was late, "
      "and how long nodes were apart." },
    { "T13", "Quality of the data",
      "Consent is of persons of counted cases who are counted or withheld. Sources are counted, whether "
      "or not they are independent of each other. Nodes that were not heard from: vigil status." },
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
    CUBE("T2", "Individuals by UN regional group", UNIT_INDIVIDUALS, BASE_COUNTED, false, 2, { AXIS_UN_GROUP, 1 }, { AXIS_PHASE, 1 }),
    CUBE("T2", "Cases by UN regional group", UNIT_CASES, BASE_COUNTED, false, 2, { AXIS_UN_GROUP, 1 }, { AXIS_PHASE, 1 }),
    CUBE("T2", "States by UN regional group", UNIT_STATES, BASE_COUNTED, false, 2, { AXIS_UN_GROUP, 1 }, { AXIS_PHASE, 1 }),
    CUBE("T2", "States that recur", UNIT_STATES, BASE_COUNTED, true, 1, { AXIS_RECURRENCE, 1 }),
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
    CUBE("T13", "Individuals by consent on record", UNIT_INDIVIDUALS, BASE_ASKED, true, 1, { AXIS_CONSENT, 1 }),
    CUBE("T13", "Cases by number of sources", UNIT_CASES, BASE_COUNTED, true, 1, { AXIS_SOURCES, 1 }),
    CUBE("T13", "Cases by verification", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_VERIFICATION, 1 }),
    CUBE("T13", "Cases with an open conflict", UNIT_CASES, BASE_COUNTED, true, 1, { AXIS_CONFLICT, 1 }),
    CUBE("T13", "Cases by next review", UNIT_CASES, BASE_COUNTED, false, 1, { AXIS_REVIEW, 1 }),
};
/* clang-format on */

_Static_assert(sizeof cubes / sizeof cubes[0] == CUBE_COUNT, "CUBE_COUNT is another");

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

static const struct axis_text axis_texts[AXIS_COUNT] = {
    [AXIS_PHASE] = { "phase",
                     "New or follow-up",
                     FACT_NONE,
                     { { "new", "New" }, { "follow_up", "Follow-up" } },
                     false },
    [AXIS_PLACE] = { "place", "Region", FACT_NONE, { { NULL } }, false },
    [AXIS_UN_GROUP] = { "un_group",
                        "UN regional group",
                        FACT_NONE,
                        { [REGION_GROUP_AFRICAN - 1] = { "african", "African" },
                          [REGION_GROUP_ASIA_PACIFIC - 1] = { "asia_pacific", "Asia-Pacific" },
                          [REGION_GROUP_EASTERN_EUROPEAN - 1] = { "eastern_european", "Eastern European" },
                          [REGION_GROUP_LATIN_AMERICAN - 1] = { "latin_american_and_caribbean",
                                                                "Latin American and Caribbean" },
                          [REGION_GROUP_WESTERN_EUROPEAN - 1] = { "western_european_and_others",
                                                                  "Western European and Others" },
                          [UN_GROUP_NONE - 1] = { "none", "In none" } },
                        false },
    [AXIS_RECURRENCE] = { "recurrence",
                          "Recurrence",
                          FACT_NONE,
                          { { "recurs", "In an earlier report" } },
                          false },
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
                         { { "asked_for", "Asked for" },
                           { "may_be_named", "May be named" },
                           { "counted_only", "Counted only" } },
                         false },
    [AXIS_CONSENT] = { "consent",
                       "Consent",
                       FACT_NONE,
                       { { "agreed", "Agreed to be counted" }, { "not_agreed", "On record, and not that" } },
                       false },
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

const struct axis_text *
statistics_axis_text(enum statistics_axis axis)
{
    return &axis_texts[axis];
}
